//! The signature of the platform's messages: MD5 over the sorted raw fields and the shared key.
//!
//! `sign = HEX(MD5("a=1&b=2&key=" + KEY))` (docs/protocol.md, Signature). Every received field takes part, known or not;
//! only `sign` itself and empty values are left out. A key must never be printed: [`SignKey`] has no way to.

use std::fmt;

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

use crate::planted::{self, Bug};
use crate::selpay::reading::{self, Ambiguity};
use crate::selpay::xml::Fields;

/// A key shared with the platform.
#[derive(Clone, PartialEq, Eq)]
pub struct SignKey(String);

impl SignKey {
    /// The key as the platform gave it. An empty key signs nothing: there is none.
    pub fn new(key: &str) -> Option<SignKey> {
        (!key.is_empty()).then(|| SignKey(key.to_owned()))
    }
}

impl fmt::Debug for SignKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignKey(…)")
    }
}

/// Why a message is not verified.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unverified {
    /// There is no `sign`, or it is empty.
    #[error("the message is not signed")]
    Unsigned,
    /// A `sign_type` other than `MD5`, in any case.
    #[error("the sign_type is not MD5")]
    SignType,
    /// None of the keys gives this signature.
    #[error("the signature does not match any key")]
    Mismatch,
    /// One of the keys gives this signature, and gives it to another message as well.
    #[error(transparent)]
    Ambiguous(#[from] Ambiguity),
}

/// What is signed, without the key: `a=1&b=2`.
pub fn string_to_sign(fields: &Fields<'_>) -> String {
    let mut text = String::with_capacity(1024);
    for (name, value) in fields.iter() {
        if planted::has(Bug::KnownFieldsSigned) && matches!(name, "appid" | "attach") {
            continue;
        }
        if name != "sign" && !value.is_empty() {
            if !text.is_empty() {
                text.push('&');
            }
            text.push_str(name);
            text.push('=');
            text.push_str(value);
        }
    }
    text
}

/// The signature of `fields` under `key`: 32 upper-case hex digits.
pub fn signature(fields: &Fields<'_>, key: &SignKey) -> String {
    let digest = digest(&string_to_sign(fields), key);
    format!("{:032X}", u128::from_be_bytes(digest))
}

fn digest(text: &str, key: &SignKey) -> [u8; 16] {
    let mut digest = Md5::new();
    digest.update(text);
    digest.update("&key=");
    digest.update(&key.0);
    digest.finalize().into()
}

/// The digest that these hex digits, in either case, are.
fn read_digest(sign: &str) -> Option<[u8; 16]> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let sign: &[u8; 32] = sign.as_bytes().try_into().ok()?;
    let mut digest = [0; 16];
    for (byte, pair) in digest.iter_mut().zip(sign.chunks_exact(2)) {
        *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
    }
    Some(digest)
}

/// Checks the message's signature, and that what is signed has one reading (M9); the index of the key that made it.
pub fn verify(fields: &Fields<'_>, keys: &[SignKey]) -> Result<usize, Unverified> {
    let key = signer(fields, keys)?;
    if !planted::has(Bug::AmbiguousSigned) {
        reading::check(fields)?;
    }
    Ok(key)
}

/// Checks the signature alone: the index of the key that made it. Other fields may have the same one.
///
/// Compares in constant time and takes either case of hex, as both are seen.
pub fn signer(fields: &Fields<'_>, keys: &[SignKey]) -> Result<usize, Unverified> {
    let sign = match fields.get("sign") {
        None | Some("") => return Err(Unverified::Unsigned),
        Some(sign) => read_digest(sign),
    };
    // Absent or empty means the documented default, MD5.
    let sign_type = fields.get("sign_type").unwrap_or_default();
    if !sign_type.is_empty() && !sign_type.eq_ignore_ascii_case("MD5") {
        return Err(Unverified::SignType);
    }
    let text = string_to_sign(fields);
    keys.iter()
        .position(|key| sign.is_some_and(|sign| digest(&text, key).ct_eq(&sign).into()))
        .or(planted::has(Bug::SignatureIgnored).then_some(0))
        .ok_or(Unverified::Mismatch)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    type Message = BTreeMap<String, String>;

    fn verify(message: &Message, keys: &[SignKey]) -> Result<usize, Unverified> {
        super::verify(&message.into(), keys)
    }

    fn signature(message: &Message, key: &SignKey) -> String {
        super::signature(&message.into(), key)
    }

    fn message(pairs: &[(&str, &str)]) -> Message {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn key(text: &str) -> SignKey {
        SignKey::new(text).expect("not empty")
    }

    #[test]
    fn names_are_joined_in_byte_order_without_sign_and_empty_values() {
        let message = message(&[
            ("b", "2"),
            ("B", "1"),
            ("sign", "X"),
            ("a", ""),
            ("zero", "0"),
            ("sign_type", "MD5"),
        ]);
        assert_eq!(
            string_to_sign(&Fields::from(&message)),
            "B=1&b=2&sign_type=MD5&zero=0"
        );
    }

    #[test]
    fn wechats_own_published_example_verifies() {
        let mut example = message(&[
            ("appid", "wxd930ea5d5a258f4f"),
            ("body", "test"),
            ("device_info", "1000"),
            ("mch_id", "10000100"),
            ("nonce_str", "ibuaiVcKdpRxkhJA"),
        ]);
        let keys = [key("wrong"), key("192006250b4c09247ec02edce69f6a2d")];
        assert_eq!(
            signature(&example, &keys[1]),
            "9A0A8659F005D6984697E2CA0A9CF3B7"
        );
        example.insert(
            "sign".to_owned(),
            "9a0a8659f005d6984697e2ca0a9cf3b7".to_owned(),
        );
        assert_eq!(
            verify(&example, &keys),
            Ok(1),
            "either case, any of the keys"
        );
        assert_eq!(verify(&example, &keys[..1]), Err(Unverified::Mismatch));
    }

    #[test]
    fn every_field_takes_part_known_or_not() {
        let mut message = message(&[("total_fee", "350"), ("invented", "yes")]);
        let sign = signature(&message, &key("k"));
        message.insert("sign".to_owned(), sign);
        assert_eq!(verify(&message, &[key("k")]), Ok(0));
        for (name, value) in [("invented", "no"), ("total_fee", "351"), ("added", "1")] {
            let mut forged = message.clone();
            forged.insert(name.to_owned(), value.to_owned());
            assert_eq!(
                verify(&forged, &[key("k")]),
                Err(Unverified::Mismatch),
                "{name}"
            );
        }
        message.remove("invented");
        assert_eq!(verify(&message, &[key("k")]), Err(Unverified::Mismatch));
    }

    #[test]
    fn an_unsigned_or_otherwise_signed_message_is_not_verified() {
        let mut message = message(&[("a", "1")]);
        assert_eq!(verify(&message, &[key("k")]), Err(Unverified::Unsigned));
        message.insert("sign".to_owned(), String::new());
        assert_eq!(verify(&message, &[key("k")]), Err(Unverified::Unsigned));
        for sign_type in ["HMAC-SHA256", "RSA", "MD5 ", "ＭＤ５"] {
            message.insert("sign_type".to_owned(), sign_type.to_owned());
            message.insert("sign".to_owned(), signature(&message, &key("k")));
            assert_eq!(verify(&message, &[key("k")]), Err(Unverified::SignType));
        }
        for sign_type in ["MD5", "md5", "Md5", ""] {
            message.insert("sign_type".to_owned(), sign_type.to_owned());
            message.insert("sign".to_owned(), signature(&message, &key("k")));
            assert_eq!(verify(&message, &[key("k")]), Ok(0), "{sign_type}");
        }
        message.remove("sign_type");
        message.insert("sign".to_owned(), signature(&message, &key("k")));
        assert_eq!(
            verify(&message, &[key("k")]),
            Ok(0),
            "an absent sign_type means MD5"
        );
    }

    #[test]
    fn a_text_that_can_be_cut_into_another_message_is_signed_and_yet_not_verified() {
        let mut sent = message(&[("attach", "x&total_fee=99900&zz="), ("total_fee", "1")]);
        let sign = signature(&sent, &key("k"));
        let mut cut = message(&[
            ("attach", "x"),
            ("total_fee", "99900"),
            ("zz", "&total_fee=1"),
        ]);
        for message in [&mut sent, &mut cut] {
            message.insert("sign".to_owned(), sign.clone());
            let fields = Fields::from(&*message);
            assert_eq!(signer(&fields, &[key("k")]), Ok(0), "the same signature");
            let verified = super::verify(&fields, &[key("k")]);
            let Err(Unverified::Ambiguous(refused)) = verified else {
                panic!("{message:?} is believed")
            };
            assert_eq!(refused.found, "&total_fee=");
            assert_eq!(
                super::verify(&fields, &[key("another")]),
                Err(Unverified::Mismatch),
                "whoever has no key is told nothing else"
            );
        }
    }

    #[test]
    fn a_key_cannot_be_printed() {
        assert_eq!(format!("{:?}", key("secret")), "SignKey(…)");
        assert_eq!(SignKey::new(""), None);
    }
}
