//! What a notification's body is worth, before the books are asked: pure.

use std::fmt;

use crate::ids::{OrderNo, TransactionId};
use crate::merchant::keys::Keys;
use crate::selpay::notification::{self, Attempt, Notification, Payment, Verified};
use crate::selpay::sign::Unverified;
use crate::selpay::xml::{self, Fields};

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
    /// Signed by one of the keys, and not verified: what is signed can be read in two ways (M9). An alarm.
    Ambiguous(String),
    /// Not verified: quarantine.
    Unverified(String),
    /// Not even a message: quarantine.
    Malformed(String),
}

impl Worth {
    /// Whether one of the keys has signed it, and nothing else with the same signature.
    pub fn is_verified(&self) -> bool {
        !matches!(
            self,
            Worth::Malformed(_) | Worth::Unverified(_) | Worth::Ambiguous(_)
        )
    }

    /// The word for counters.
    pub fn word(&self) -> &'static str {
        match self {
            Worth::Payment(_) => "payment",
            Worth::Attempt(_) => "not-paid",
            Worth::Foreign(_) => "foreign",
            Worth::Unreadable(_) => "unreadable",
            Worth::Ambiguous(_) => "signature-ambiguous",
            Worth::Unverified(_) => "unverified",
            Worth::Malformed(_) => "malformed",
        }
    }
}

/// Size, strict XML, signature over the raw fields, one reading, whose merchant, the three zeros: in this order. Beside it,
/// what the key is called that signed, if one did. Our merchant numbers are `mch_ids`; without any, whose it is does not count.
pub fn judge<'k>(
    body: &[u8],
    keys: &'k Keys,
    mch_ids: &[impl AsRef<str>],
) -> (Worth, Option<&'k str>) {
    let fields = match xml::read(body) {
        Ok(fields) => fields,
        Err(error) => return (Worth::Malformed(error.to_string()), None),
    };
    let keys = keys.of(&fields);
    match notification::verify(fields, keys.keys()) {
        Ok(verified) => (read(&verified, mch_ids), Some(keys.label(verified.key()))),
        Err(Unverified::Ambiguous(error)) => (Worth::Ambiguous(error.to_string()), None),
        Err(error) => (Worth::Unverified(error.to_string()), None),
    }
}

fn read(verified: &Verified<'_>, mch_ids: &[impl AsRef<str>]) -> Worth {
    if let Some(theirs) = verified.mch_id() {
        let is_ours = mch_ids.iter().any(|ours| ours.as_ref() == theirs);
        if !is_ours && !mch_ids.is_empty() {
            let theirs = shown(theirs, LONGEST_NAME);
            return Worth::Foreign(format!("mch_id is {theirs}, not ours"));
        }
    }
    match verified.read() {
        Ok(Notification::Paid(_)) if !mch_ids.is_empty() && verified.mch_id().is_none() => {
            Worth::Foreign("mch_id is missing".to_owned())
        }
        Ok(Notification::Paid(payment)) => Worth::Payment(payment),
        Ok(Notification::NotPaid(attempt)) => Worth::Attempt(attempt),
        Err(error) => Worth::Unreadable(error.to_string()),
    }
}

/// What a body says of itself. Nobody has verified it: for logs, and for people who look at what was refused.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Particulars {
    /// `out_trade_no`, whatever it is; empty if there is none. So are the others.
    pub order_no: String,
    /// `mch_id`.
    pub mch_id: String,
    /// `transaction_id`.
    pub transaction: String,
    /// `sign`, in capitals: whatever has the same one says the same text.
    pub sign: String,
    /// Whether it reads as a notification of a payment, up to its signature.
    pub is_payment: bool,
}

impl Particulars {
    /// Of this body; `None` if it is no message at all.
    pub fn of(body: &[u8]) -> Option<Particulars> {
        let fields = xml::read(body).ok()?;
        let text = |name| fields.get(name).unwrap_or_default();
        Some(Particulars {
            order_no: text("out_trade_no").to_owned(),
            mch_id: text("mch_id").to_owned(),
            transaction: text("transaction_id").to_owned(),
            sign: text("sign").to_ascii_uppercase(),
            is_payment: is_payment(&fields),
        })
    }
}

fn is_payment(fields: &Fields<'_>) -> bool {
    let text = |name| fields.get(name).unwrap_or_default();
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    OrderNo::new(text("out_trade_no")).is_some()
        && TransactionId::new(text("transaction_id")).is_some()
        && is_digits(text("total_fee"))
        && !text("sign").is_empty()
}

/// On one line of a log.
impl fmt::Display for Particulars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [order, merchant] =
            [&self.order_no, &self.mch_id].map(|text| shown(text, LONGEST_NAME));
        write!(f, "it says order \"{order}\" of merchant \"{merchant}\"")
    }
}

/// No name of an order, a merchant or a payment is longer, in characters.
const LONGEST_NAME: usize = 40;

/// A stranger's text as people may see it: escaped, on one line, and cut after so many characters.
pub fn shown(text: &str, most: usize) -> String {
    let mut shown: String = text.chars().take(most).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown.escape_debug().collect()
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

    /// Whoever it is for.
    const ANY: &[&str] = &[];
    const OURS: &[&str] = &["7551000001"];

    fn word(body: &[u8], keys: &Keys, mch_ids: &[&str]) -> &'static str {
        judge(body, keys, mch_ids).0.word()
    }

    #[test]
    fn a_published_notification_is_a_payment() {
        let keys = keys(&["another", KEY]);
        let (Worth::Payment(payment), key) = judge(PUBLISHED, &keys, OURS) else {
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
        assert_eq!(word(PUBLISHED, &all, &["7551000002"]), "foreign");
        assert_eq!(
            word(PUBLISHED, &all, &["7551000002", "7551000001"]),
            "payment",
            "a merchant may have several numbers"
        );
        assert_eq!(word(PUBLISHED, &keys(&["another"]), ANY), "unverified");
        assert_eq!(word(b"", &all, ANY), "malformed");
        assert_eq!(word(b"<xml/>", &all, ANY), "unverified");
        let forged = String::from_utf8_lossy(PUBLISHED)
            .replace("<total_fee><![CDATA[1]]>", "<total_fee><![CDATA[2]]>");
        assert_eq!(word(forged.as_bytes(), &all, ANY), "unverified");
    }

    #[test]
    fn a_published_notification_that_is_cut_anew_has_a_word_of_its_own() {
        let all = keys(&[KEY]);
        let cut = String::from_utf8_lossy(PUBLISHED)
            .replace("]]></fee_type><is_subscribe><![CDATA[", "&is_subscribe=");
        let (worth, key) = judge(
            cut.replace("</is_subscribe>", "</fee_type>").as_bytes(),
            &all,
            ANY,
        );
        assert_eq!(worth.word(), "signature-ambiguous");
        assert!(!worth.is_verified());
        assert_eq!(key, None);
    }

    #[test]
    fn what_a_body_says_of_itself_is_told_whoever_signed_it() {
        let told = Particulars::of(PUBLISHED).expect("a message");
        assert!(told.is_payment);
        assert_eq!(told.transaction, "7551000001201608024004858153");
        assert_eq!(
            told.to_string(),
            "it says order \"pan_test_1470130571085\" of merchant \"7551000001\""
        );
        let other = format!(
            "<xml><out_trade_no>a&#10;ALARM{}</out_trade_no><sign>ab</sign></xml>",
            "x".repeat(9999)
        );
        let told = Particulars::of(other.as_bytes()).expect("a message");
        assert!(!told.is_payment);
        assert_eq!(told.sign, "AB");
        let line = told.to_string();
        assert!(
            line.starts_with("it says order \"a\\nALARMxxx") && line.len() < 100,
            "{line}"
        );
        assert_eq!(Particulars::of(b"junk"), None);
    }
}
