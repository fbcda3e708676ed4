//! What the platform tells the merchant about one payment: every mandatory field of the document's table.
//!
//! Pure: the same payment gives the same message, byte for byte, at each of its attempts.

use super::codec::{self, Fields, digits};
use super::schedule::UnixMs;

/// One payment, as the notification tells it.
#[derive(Clone, Copy, Debug)]
pub struct Payment<'a> {
    /// The platform's number of the merchant; at most 15 letters and digits.
    pub mch_id: &'a str,
    /// The number that was paid.
    pub order_no: &'a str,
    /// The amount that was paid, in fen.
    pub total_fee: u32,
    /// `0`, or why the payment failed.
    pub pay_result: &'a str,
    /// How it was paid, `pay.weixin.jspay` for example.
    pub trade_type: &'a str,
    /// Counts all payments of this platform from a random number on, so that no two share an id.
    pub serial: u64,
    /// When it was paid.
    pub at: UnixMs,
}

impl Payment<'_> {
    /// The platform's own number of this payment: merchant, day, serial; 32 letters and digits at most.
    pub fn transaction_id(&self) -> String {
        self.transaction_id_of(day(&self.time_end()))
    }

    /// When it was paid, as the platform writes it: `yyyyMMddHHmmss` in Beijing.
    pub fn time_end(&self) -> String {
        codec::beijing_time(self.at.0)
    }

    fn transaction_id_of(&self, day: &str) -> String {
        let width = 32 - day.len() - self.mch_id.len().min(15);
        [self.mch_id, day, &digits(self.serial, width)].concat()
    }

    /// The signed message; with `bad_sign` its signature is wrong.
    pub fn notification(&self, sign_key: &str, bad_sign: bool) -> String {
        let mut fields = self.fields();
        let mut sign = codec::sign(&fields, sign_key);
        if bad_sign {
            // Still hex of the right length: only the arithmetic can tell.
            let wrong = if sign.starts_with('0') { "1" } else { "0" };
            sign.replace_range(..1, wrong);
        }
        fields.insert("sign", sign.into());
        codec::write_xml(&fields)
    }

    fn fields(&self) -> Fields<'_> {
        let time = self.time_end();
        let alipay = self.trade_type.starts_with("pay.alipay");
        let (bank, payer) = if alipay {
            ("ALIPAYACCOUNT", ["2088", &digits(self.serial, 12)].concat())
        } else {
            ("CFT", ["oSim", &digits(self.serial, 24)].concat())
        };
        let out_transaction_id = ["4200", day(&time), &digits(self.serial, 16)].concat();
        let mut fields = Fields::from([
            ("bank_type", bank.into()),
            ("charset", "UTF-8".into()),
            ("fee_type", "CNY".into()),
            ("is_subscribe", "N".into()),
            ("mch_id", self.mch_id.into()),
            ("nonce_str", digits(self.serial ^ self.at.0, 20).into()),
            ("openid", payer.into()),
            ("out_trade_no", self.order_no.into()),
            ("out_transaction_id", out_transaction_id.into()),
            ("pay_result", self.pay_result.into()),
            ("result_code", "0".into()),
            ("sign_type", "MD5".into()),
            ("status", "0".into()),
            ("total_fee", self.total_fee.to_string().into()),
            ("trade_type", self.trade_type.into()),
            ("transaction_id", self.transaction_id_of(day(&time)).into()),
            ("version", "2.0".into()),
        ]);
        fields.insert("time_end", time.into());
        if self.pay_result != "0" {
            fields.insert("pay_info", "支付失败".into());
        }
        if self.serial % 2 == 1 {
            // The real one sends fields that its document leaves out, and texts that need their CDATA.
            fields.insert("appid", "wx1f87d44db95cba7a".into());
            fields.insert("attach", "无人售货 <1> & Co".into());
        }
        fields
    }
}

/// The day of a time as the platform writes it.
fn day(time: &str) -> &str {
    &time[..8]
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYMENT: Payment<'static> = Payment {
        mch_id: "7551000001",
        order_no: "asdfsdfsdfsdfds",
        total_fee: 350,
        pay_result: "0",
        trade_type: "pay.weixin.jspay",
        serial: 42,
        at: UnixMs(1_261_876_210_000),
    };

    #[test]
    fn every_field_the_document_demands_is_there_and_fits() {
        let longest = [
            ("version", 8),
            ("charset", 8),
            ("sign_type", 8),
            ("status", 16),
            ("result_code", 16),
            ("mch_id", 15),
            ("nonce_str", 32),
            ("openid", 128),
            ("trade_type", 32),
            ("is_subscribe", 1),
            ("pay_result", 16),
            ("transaction_id", 32),
            ("out_transaction_id", 32),
            ("out_trade_no", 32),
            ("total_fee", 10),
            ("bank_type", 16),
            ("time_end", 14),
        ];
        for trade_type in ["pay.weixin.jspay", "pay.alipay.native"] {
            let payment = Payment {
                trade_type,
                serial: u64::MAX,
                ..PAYMENT
            };
            let fields = payment.fields();
            for (name, length) in longest {
                let value = fields.get(name).unwrap_or_else(|| panic!("{name}"));
                assert!((1..=length).contains(&value.len()), "{name}: {value}");
            }
        }
        let text = PAYMENT.notification("key", false);
        assert!(
            text.contains("<time_end><![CDATA[20091227091010]]>"),
            "{text}"
        );
        assert!(text.contains("<total_fee><![CDATA[350]]>"), "{text}");
    }

    #[test]
    fn a_transaction_id_is_letters_and_digits_whatever_the_merchant() {
        for mch_id in ["7", "7551000001", "123456789012345"] {
            let id = Payment { mch_id, ..PAYMENT }.transaction_id();
            assert_eq!(id.len(), 32, "{id}");
            assert!(id.bytes().all(|b| b.is_ascii_alphanumeric()), "{id}");
            let next = Payment {
                mch_id,
                serial: 43,
                ..PAYMENT
            };
            assert_ne!(next.transaction_id(), id);
        }
    }

    #[test]
    fn a_wrong_signature_differs_in_nothing_else() {
        let (good, bad) = (
            PAYMENT.notification("key", false),
            PAYMENT.notification("key", true),
        );
        assert_eq!(good.len(), bad.len());
        let other = good.bytes().zip(bad.bytes()).filter(|(g, b)| g != b);
        assert_eq!(other.count(), 1);
    }
}
