//! What a notification says, after its signature was verified.
//!
//! Verified is a type: a [`Notification`] can only be read from a [`Verified`], and a `Verified` only comes out of
//! [`verify`]. Fields that decide something are held to their documented alphabet.

use crate::ids::{OrderNo, TransactionId};
use crate::selpay::sign::{self, SignKey, Unverified};
use crate::selpay::xml::Fields;

/// The fields of a message whose signature was verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified<'a> {
    fields: Fields<'a>,
    key: usize,
}

/// Checks the signature; only then can the fields be read.
pub fn verify<'a>(fields: Fields<'a>, keys: &[SignKey]) -> Result<Verified<'a>, Unverified> {
    let key = sign::verify(&fields, keys)?;
    Ok(Verified { fields, key })
}

/// A verified notification.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notification {
    /// `status`, `result_code` and `pay_result` are all `"0"`: money was paid.
    Paid(Payment),
    /// Something else than a success; a later success still counts.
    NotPaid(Attempt),
}

/// One verified payment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Payment {
    /// The platform's name of it: payments are keyed by this, not by the order number (M5).
    pub transaction: TransactionId,
    /// The order number that was paid.
    pub order: OrderNo,
    /// `total_fee` in fen, whatever it is. `cash_fee` may be less where the customer had a coupon. In another currency its
    /// smallest unit.
    pub total: u64,
    /// `fee_type` in capitals, where that is not `CNY`: then it is no yuan that was paid.
    pub fee_type: Option<String>,
    /// `trade_type`: WeChat or Alipay, for people.
    pub trade_type: Option<String>,
    /// `time_end`, at +08:00, `yyyyMMddHHmmss`. Recorded, never used to decide.
    pub time_end: Option<String>,
}

/// A verified notification of something that is not a payment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// The order number it names, if it names one.
    pub order: Option<OrderNo>,
    /// What failed, for people: `status=1 message=…`.
    pub what: String,
}

/// A verified message that does not say what it must.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unreadable {
    /// A mandatory field is missing or empty.
    #[error("the field {0} is missing")]
    Missing(&'static str),
    /// A field is outside its documented alphabet.
    #[error("the field {0} is not what the platform documents")]
    Alphabet(&'static str),
}

impl Verified<'_> {
    /// Which of the keys signed it.
    pub fn key(&self) -> usize {
        self.key
    }

    /// The merchant at the platform, `mch_id`.
    pub fn mch_id(&self) -> Option<&str> {
        self.text("mch_id")
    }

    /// Reads what the notification says.
    ///
    /// Paid means `status` = `result_code` = `pay_result` = `"0"`, compared as strings, all three.
    pub fn read(&self) -> Result<Notification, Unreadable> {
        for name in ["status", "result_code", "pay_result"] {
            if self.text(name).ok_or(Unreadable::Missing(name))? != "0" {
                return Ok(Notification::NotPaid(self.attempt()));
            }
        }
        let total = self
            .text("total_fee")
            .ok_or(Unreadable::Missing("total_fee"))?;
        // Fifteen digits are more money than there is, and fit every database.
        let digits = total.len() <= 15 && total.bytes().all(|b| b.is_ascii_digit());
        Ok(Notification::Paid(Payment {
            transaction: self.name("transaction_id", TransactionId::new)?,
            order: self.name("out_trade_no", OrderNo::new)?,
            total: total
                .parse()
                .ok()
                .filter(|_| digits)
                .ok_or(Unreadable::Alphabet("total_fee"))?,
            fee_type: self.foreign_currency()?,
            trade_type: self.text("trade_type").map(str::to_owned),
            time_end: self.text("time_end").map(str::to_owned),
        }))
    }

    /// The currency, if it is not the documented default.
    fn foreign_currency(&self) -> Result<Option<String>, Unreadable> {
        match self.text("fee_type").map(str::to_ascii_uppercase) {
            None => Ok(None),
            Some(currency) if currency == "CNY" => Ok(None),
            Some(currency)
                if currency.len() <= 8 && currency.bytes().all(|b| b.is_ascii_graphic()) =>
            {
                Ok(Some(currency))
            }
            Some(_) => Err(Unreadable::Alphabet("fee_type")),
        }
    }

    fn attempt(&self) -> Attempt {
        let told = [
            "status",
            "result_code",
            "pay_result",
            "message",
            "err_code",
            "err_msg",
            "pay_info",
        ];
        let what: Vec<String> = told
            .iter()
            .filter_map(|name| Some(format!("{name}={}", self.text(name)?)))
            .collect();
        Attempt {
            order: self.text("out_trade_no").and_then(OrderNo::new),
            what: what.join(" "),
        }
    }

    /// A field's text. An empty field is as good as none: it does not take part in the signature.
    fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name).filter(|text| !text.is_empty())
    }

    fn name<T>(&self, name: &'static str, read: fn(&str) -> Option<T>) -> Result<T, Unreadable> {
        let text = self.text(name).ok_or(Unreadable::Missing(name))?;
        read(text).ok_or(Unreadable::Alphabet(name))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// What a paid notification says with these fields set, or removed where the value is empty; signed and verified.
    fn read(changes: &[(&str, &str)]) -> Result<Notification, Unreadable> {
        let mut fields = BTreeMap::new();
        let usual = [
            ("status", "0"),
            ("result_code", "0"),
            ("pay_result", "0"),
            ("transaction_id", "T1"),
            ("out_trade_no", "N1"),
            ("total_fee", "350"),
            ("trade_type", "pay.alipay.native"),
        ];
        for (name, value) in usual.iter().chain(changes) {
            fields.insert((*name).to_owned(), (*value).to_owned());
        }
        let key = SignKey::new("k").expect("not empty");
        sign_with(&key, &mut fields);
        let verified = verify(Fields::from(&fields), &[key]).expect("signed with that key");
        verified.read()
    }

    /// Whether a paid notification with this field is signed, and has one reading.
    fn is_verified(name: &str, value: &str) -> bool {
        let key = SignKey::new("k").expect("not empty");
        let mut fields = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        sign_with(&key, &mut fields);
        verify(Fields::from(&fields), &[key]).is_ok()
    }

    fn sign_with(key: &SignKey, fields: &mut BTreeMap<String, String>) {
        let sign = sign::signature(&Fields::from(&*fields), key);
        fields.insert("sign".to_owned(), sign);
    }

    #[test]
    fn which_of_the_keys_signed_is_told() {
        let [a, b] = ["a", "b"].map(|key| SignKey::new(key).expect("not empty"));
        for (place, key) in [&a, &b].into_iter().enumerate() {
            let mut fields = BTreeMap::from([("status".to_owned(), "0".to_owned())]);
            sign_with(key, &mut fields);
            let verified = verify(Fields::from(&fields), &[a.clone(), b.clone()]).expect("signed");
            assert_eq!(verified.key(), place);
        }
    }

    #[test]
    fn a_payment_is_read_whoever_the_customer_paid_with() {
        let Ok(Notification::Paid(payment)) = read(&[]) else {
            panic!("paid")
        };
        assert_eq!(payment.transaction.as_str(), "T1");
        assert_eq!(payment.order.as_str(), "N1");
        assert_eq!(payment.total, 350);
        assert_eq!(payment.trade_type.as_deref(), Some("pay.alipay.native"));
    }

    #[test]
    fn all_three_zeros_are_needed_and_compared_as_text() {
        for name in ["status", "result_code", "pay_result"] {
            for value in ["1", "00", "0 ", "+0", "0.0", "SUCCESS"] {
                let read = read(&[(name, value)]);
                assert!(
                    matches!(read, Ok(Notification::NotPaid(_))),
                    "{name}={value}: {read:?}"
                );
            }
            assert_eq!(read(&[(name, "")]), Err(Unreadable::Missing(name)));
        }
    }

    #[test]
    fn a_failed_payment_names_its_order_and_its_reason() {
        let Ok(Notification::NotPaid(attempt)) =
            read(&[("result_code", "1"), ("err_code", "SYSTEMERROR")])
        else {
            panic!("not paid")
        };
        assert_eq!(attempt.order, OrderNo::new("N1"));
        assert_eq!(
            attempt.what,
            "status=0 result_code=1 pay_result=0 err_code=SYSTEMERROR"
        );
    }

    #[test]
    fn a_total_is_digits_only() {
        for value in [
            "0.12",
            "1e2",
            "+1",
            " 1",
            "1 ",
            "-1",
            "１",
            "0x10",
            "99999999999999999999999",
        ] {
            assert_eq!(
                read(&[("total_fee", value)]),
                Err(Unreadable::Alphabet("total_fee")),
                "{value}"
            );
        }
        assert_eq!(
            read(&[("total_fee", "")]),
            Err(Unreadable::Missing("total_fee"))
        );
    }

    #[test]
    fn a_field_that_hides_another_is_not_verified() {
        assert!(!is_verified("out_trade_no", "N1&total_fee=1"));
        assert!(!is_verified("transaction_id", "T1&x=1"));
        assert!(!is_verified("attach", "x&total_fee=1"));
        assert_eq!(
            read(&[("out_trade_no", "N1/N2")]),
            Err(Unreadable::Alphabet("out_trade_no"))
        );
        // The customer's own words may hold anything else; they decide nothing.
        let Ok(Notification::Paid(payment)) = read(&[("attach", "x&y=1 total_fee=1")]) else {
            panic!("paid")
        };
        assert_eq!(payment.total, 350);
    }

    #[test]
    fn yuan_are_the_default_in_any_case_and_every_other_currency_is_named() {
        let currency = |value: &str| match read(&[("fee_type", value)]) {
            Ok(Notification::Paid(payment)) => Ok(payment.fee_type),
            Ok(other) => panic!("{other:?} is not paid"),
            Err(error) => Err(error),
        };
        for value in ["", "CNY", "cny", "Cny"] {
            assert_eq!(currency(value), Ok(None), "{value}");
        }
        for (value, told) in [("USD", "USD"), ("hkd", "HKD"), ("X", "X")] {
            assert_eq!(currency(value), Ok(Some(told.to_owned())));
        }
        for value in ["CNY ", "人民币", "NOCURRENCY", "\u{a0}CNY"] {
            assert_eq!(
                currency(value),
                Err(Unreadable::Alphabet("fee_type")),
                "{value}"
            );
        }
    }

    #[test]
    fn a_coupon_does_not_change_the_total() {
        let Ok(Notification::Paid(payment)) = read(&[("cash_fee", "100"), ("coupon_fee", "250")])
        else {
            panic!("paid")
        };
        assert_eq!(payment.total, 350);
    }

    #[test]
    fn the_time_of_payment_is_kept_as_told_and_decides_nothing() {
        for time in [
            "20261123130509",
            "20091227091010",
            "99999999999999",
            "yesterday",
        ] {
            let Ok(Notification::Paid(payment)) = read(&[("time_end", time)]) else {
                panic!("paid")
            };
            assert_eq!(payment.time_end.as_deref(), Some(time));
            assert_eq!(payment.total, 350);
        }
    }
}
