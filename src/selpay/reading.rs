//! A signed text has one reading (promise M9).
//!
//! What is signed is `a=1&b=2`, and nothing in it is escaped. So a signed message can be cut into other fields that have the
//! same signature: `attach=x&total_fee=99900&zz=` makes a field of its own, and an unknown field (`zz`) swallows the true
//! rest. Two rules leave every signed text one reading at most, as far as anything is decided by it:
//!
//! - No value contains `&name=` of a documented field. Then each documented field begins where its name stands in the text,
//!   in whatever reading.
//! - What decides, or is kept of a payment, contains no `&` at all. Then it ends at the next one, in whatever reading: no
//!   undocumented field behind it can be read as its end.
//!
//! `tests/support/properties.rs` (`recut`) cuts signed texts in every other way and finds none that verifies and says
//! something else.

use crate::selpay::xml::Fields;

/// Every field of a notification that the platform's document names (`selpay-integration.zh.md`, the table of section 3),
/// and `key`, which stands behind the fields in what is signed (docs/protocol.md, Signature). In byte order.
pub const DOCUMENTED: [&str; 35] = [
    "attach",
    "bank_billno",
    "bank_type",
    "cash_fee",
    "charset",
    "coupon_fee",
    "device_info",
    "err_code",
    "err_msg",
    "fee_type",
    "groupno",
    "is_subscribe",
    "key",
    "mch_id",
    "mdiscount",
    "message",
    "nonce_str",
    "openid",
    "out_trade_no",
    "out_transaction_id",
    "pay_info",
    "pay_result",
    "result_code",
    "sign",
    "sign_agentno",
    "sign_type",
    "status",
    "sub_appid",
    "sub_is_subscribe",
    "sub_openid",
    "time_end",
    "total_fee",
    "trade_type",
    "transaction_id",
    "version",
];

/// The fields by which anything is decided, or that are kept of a payment. In byte order.
pub const DECIDING: [&str; 13] = [
    "fee_type",
    "groupno",
    "mch_id",
    "out_trade_no",
    "pay_result",
    "result_code",
    "sign_agentno",
    "sign_type",
    "status",
    "time_end",
    "total_fee",
    "trade_type",
    "transaction_id",
];

/// The longest name of a field that is repeated in a message to people.
const LONGEST_NAME: usize = 32;

/// A field that lets its signed text be read in two ways.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the field {field} contains {found}: the signed text can be read in two ways")]
pub struct Ambiguity {
    /// The field, cut where its name is long.
    pub field: String,
    /// What its name or its value contains: `&total_fee=`, `&`.
    pub found: String,
}

/// Refuses fields whose signed text has another reading.
pub fn check(fields: &Fields<'_>) -> Result<(), Ambiguity> {
    fields
        .iter()
        .try_for_each(|(name, value)| check_field(name, value))
}

/// The same for one field: fields have one reading if each of them passes.
pub fn check_field(name: &str, value: &str) -> Result<(), Ambiguity> {
    let refuse = |found: String| {
        let field = name.chars().take(LONGEST_NAME).collect();
        Err(Ambiguity { field, found })
    };
    // No element of a message has such a name; fields may be made of something else.
    if let Some(cut) = name.bytes().find(|b| matches!(b, b'&' | b'=')) {
        return refuse(char::from(cut).to_string());
    }
    if !value.as_bytes().contains(&b'&') {
        return Ok(());
    }
    if DECIDING.binary_search(&name).is_ok() {
        return refuse("&".to_owned());
    }
    let mut pieces = value.split('&').skip(1);
    let hidden = pieces.find_map(|piece| {
        let (name, _) = piece.split_once('=')?;
        DOCUMENTED.binary_search(&name).is_ok().then_some(name)
    });
    match hidden {
        Some(name) => refuse(format!("&{name}=")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, value: &str) -> Option<String> {
        check_field(name, value).err().map(|refused| refused.found)
    }

    #[test]
    fn the_names_are_in_byte_order_and_what_decides_is_documented() {
        assert!(DOCUMENTED.is_sorted() && DECIDING.is_sorted());
        for name in DECIDING {
            assert!(DOCUMENTED.contains(&name), "{name}");
        }
    }

    #[test]
    fn a_value_that_contains_a_documented_field_is_refused_wherever_it_stands() {
        for name in DOCUMENTED {
            for value in [
                format!("&{name}="),
                format!("x&{name}=1"),
                format!("x&y&{name}=1&z=2"),
                format!("a=b&{name}==&"),
                format!("付款&{name}=元"),
            ] {
                assert_eq!(
                    found("attach", &value),
                    Some(format!("&{name}=")),
                    "{value}"
                );
                assert!(found("an_unknown_field", &value).is_some(), "{value}");
            }
        }
    }

    #[test]
    fn what_only_looks_like_a_field_is_taken() {
        for value in [
            "",
            "无人售货 <1> & Co",
            "a&b=c",
            "total_fee=1",
            "x total_fee=1",
            "x&total_fee",
            "x&total_fee&=1",
            "x& total_fee=1",
            "x&TOTAL_FEE=1",
            "x&my_total_fee=1",
            "x&total_fees=1",
            "https://pay.example/qr?a=1&uuid=2",
        ] {
            assert_eq!(found("attach", value), None, "{value}");
        }
    }

    #[test]
    fn what_decides_contains_no_ampersand_at_all() {
        for name in DECIDING {
            assert_eq!(found(name, "0&zz=1"), Some("&".to_owned()), "{name}");
            assert_eq!(found(name, "0"), None, "{name}");
        }
    }

    #[test]
    fn a_name_that_would_be_cut_is_refused() {
        for name in ["a&total_fee", "a=1&b"] {
            assert!(check_field(name, "1").is_err(), "{name}");
        }
        let long = "n".repeat(16_000);
        let refused = check_field(&long, "&key=").expect_err("ambiguous");
        assert_eq!(refused.field.len(), LONGEST_NAME);
        assert_eq!(
            check_field("attach", "x&key=1").map_err(|refused| refused.to_string()),
            Err(
                "the field attach contains &key=: the signed text can be read in two ways"
                    .to_owned()
            )
        );
    }
}
