//! What a notification's body is worth, before the books are asked: pure.

use crate::selpay::notification::{self, Attempt, Notification, Payment};
use crate::selpay::sign::SignKey;
use crate::selpay::xml;

/// What a body turned out to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Worth {
    /// A verified payment: the books decide.
    Payment(Payment),
    /// Verified, but nothing was paid.
    Attempt(Attempt),
    /// Verified, but for another merchant at the platform: an alarm.
    Foreign(String),
    /// Verified, but not saying what it must: an alarm.
    Unreadable(String),
    /// Not verified: quarantine.
    Unverified(String),
    /// Not even a message: quarantine.
    Malformed(String),
}

impl Worth {
    /// The word for counters.
    pub fn word(&self) -> &'static str {
        match self {
            Worth::Payment(_) => "payment",
            Worth::Attempt(_) => "not-paid",
            Worth::Foreign(_) => "foreign",
            Worth::Unreadable(_) => "unreadable",
            Worth::Unverified(_) => "unverified",
            Worth::Malformed(_) => "malformed",
        }
    }
}

/// Size, strict XML, signature over the raw fields, whose merchant, the three zeros: in this order.
pub fn judge(body: &[u8], keys: &[SignKey], mch_id: Option<&str>) -> Worth {
    let fields = match xml::read(body) {
        Ok(fields) => fields,
        Err(error) => return Worth::Malformed(error.to_string()),
    };
    let verified = match notification::verify(fields, keys) {
        Ok(verified) => verified,
        Err(error) => return Worth::Unverified(error.to_string()),
    };
    if let (Some(ours), Some(theirs)) = (mch_id, verified.mch_id()) {
        if ours != theirs {
            return Worth::Foreign(format!("mch_id is {theirs}, not ours"));
        }
    }
    match verified.read() {
        Ok(Notification::Paid(_)) if mch_id.is_some() && verified.mch_id().is_none() => {
            Worth::Foreign("mch_id is missing".to_owned())
        }
        Ok(Notification::Paid(payment)) => Worth::Payment(payment),
        Ok(Notification::NotPaid(attempt)) => Worth::Attempt(attempt),
        Err(error) => Worth::Unreadable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLISHED: &[u8] = include_bytes!("../../tests/vectors/sp_notify_native_plain.xml");

    fn keys() -> Vec<SignKey> {
        ["another", "9d101c97133837e13dde2d32a5054abb"]
            .iter()
            .filter_map(|key| SignKey::new(key))
            .collect()
    }

    #[test]
    fn a_published_notification_is_a_payment() {
        let Worth::Payment(payment) = judge(PUBLISHED, &keys(), Some("7551000001")) else {
            panic!("it is signed")
        };
        assert_eq!(payment.order.as_str(), "pan_test_1470130571085");
        assert_eq!(payment.transaction.as_str(), "7551000001201608024004858153");
        assert_eq!(payment.total, 1);
    }

    #[test]
    fn every_doubt_has_its_own_word() {
        assert_eq!(
            judge(PUBLISHED, &keys(), Some("7551000002")).word(),
            "foreign"
        );
        assert_eq!(judge(PUBLISHED, &keys()[..1], None).word(), "unverified");
        assert_eq!(judge(b"", &keys(), None).word(), "malformed");
        assert_eq!(judge(b"<xml/>", &keys(), None).word(), "unverified");
        let forged = String::from_utf8_lossy(PUBLISHED)
            .replace("<total_fee><![CDATA[1]]>", "<total_fee><![CDATA[2]]>");
        assert_eq!(judge(forged.as_bytes(), &keys(), None).word(), "unverified");
    }
}
