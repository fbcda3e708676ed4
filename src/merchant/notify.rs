//! What a notification's body is worth, before the books are asked: pure.

use crate::merchant::keys::Keys;
use crate::selpay::notification::{self, Attempt, Notification, Payment, Verified};
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
    /// Whether one of the keys has signed it.
    pub fn is_verified(&self) -> bool {
        !matches!(self, Worth::Malformed(_) | Worth::Unverified(_))
    }

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

/// Size, strict XML, signature over the raw fields, whose merchant, the three zeros: in this order. Beside it, what the key
/// is called that signed, if one did.
pub fn judge<'k>(body: &[u8], keys: &'k Keys, mch_id: Option<&str>) -> (Worth, Option<&'k str>) {
    let fields = match xml::read(body) {
        Ok(fields) => fields,
        Err(error) => return (Worth::Malformed(error.to_string()), None),
    };
    let keys = keys.of(&fields);
    match notification::verify(fields, keys.keys()) {
        Ok(verified) => (read(&verified, mch_id), Some(keys.label(verified.key()))),
        Err(error) => (Worth::Unverified(error.to_string()), None),
    }
}

fn read(verified: &Verified<'_>, mch_id: Option<&str>) -> Worth {
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
    use crate::selpay::sign::SignKey;

    const PUBLISHED: &[u8] = include_bytes!("../../tests/vectors/sp_notify_native_plain.xml");

    fn keys(all: &[&str]) -> Keys {
        let mut keys = Keys::default();
        for key in all {
            keys.add(key, None, SignKey::new(key).expect("a key"));
        }
        keys
    }

    const KEY: &str = "9d101c97133837e13dde2d32a5054abb";

    fn word(body: &[u8], keys: &Keys, mch_id: Option<&str>) -> &'static str {
        judge(body, keys, mch_id).0.word()
    }

    #[test]
    fn a_published_notification_is_a_payment() {
        let keys = keys(&["another", KEY]);
        let (Worth::Payment(payment), key) = judge(PUBLISHED, &keys, Some("7551000001")) else {
            panic!("it is signed")
        };
        assert_eq!(key, Some(KEY));
        assert_eq!(payment.order.as_str(), "pan_test_1470130571085");
        assert_eq!(payment.transaction.as_str(), "7551000001201608024004858153");
        assert_eq!(payment.total, 1);
    }

    #[test]
    fn every_doubt_has_its_own_word() {
        let all = keys(&["another", KEY]);
        assert_eq!(word(PUBLISHED, &all, Some("7551000002")), "foreign");
        assert_eq!(word(PUBLISHED, &keys(&["another"]), None), "unverified");
        assert_eq!(word(b"", &all, None), "malformed");
        assert_eq!(word(b"<xml/>", &all, None), "unverified");
        let forged = String::from_utf8_lossy(PUBLISHED)
            .replace("<total_fee><![CDATA[1]]>", "<total_fee><![CDATA[2]]>");
        assert_eq!(word(forged.as_bytes(), &all, None), "unverified");
    }
}
