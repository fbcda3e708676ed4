//! The names of things on the wire and in the books: order numbers, sales, claims, transactions.
//!
//! All of them are held inline, so that the kiosk's machine can carry them without allocating. Each type holds
//! its documented alphabet: a value that exists is well formed.

use core::fmt;
use core::ops::Deref;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The text of a name: 1 to `N` bytes of ASCII, held inline.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: u16,
}

impl<const N: usize> Text<N> {
    fn new(text: &str, allowed: impl Fn(u8) -> bool) -> Option<Text<N>> {
        let len = text.len();
        if len == 0 || len > N || !text.bytes().all(|b| b.is_ascii() && allowed(b)) {
            return None;
        }
        let mut bytes = [0; N];
        bytes[..len].copy_from_slice(text.as_bytes());
        Some(Text {
            bytes,
            len: len as u16,
        })
    }
}

impl<const N: usize> Deref for Text<N> {
    type Target = str;

    fn deref(&self) -> &str {
        core::str::from_utf8(&self.bytes[..usize::from(self.len)]).expect("only ASCII is stored")
    }
}

/// Declares a name that is a text of this length at most and of this alphabet.
macro_rules! text_name {
    ($(#[$doc:meta])* $name:ident($max:literal), $rule:literal, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Text<$max>);

        impl $name {
            /// The name, if `text` is one.
            pub fn new(text: &str) -> Option<$name> {
                Text::new(text, $allowed).map($name)
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            fn text(&self) -> &Text<$max> {
                &self.0
            }
        }

        reads_and_prints!($name, $rule);
    };
}

/// Declares a name that is a number of 128 bits, and 32 lower-case hex digits as text.
macro_rules! number_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// As text, 32 lower-case hex digits.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// The name, if `text` is one.
            pub fn new(text: &str) -> Option<$name> {
                number(text).map($name)
            }

            /// A new one: a random UUID (version 4) of these random bits.
            pub fn from_random(random: u128) -> $name {
                $name(uuid(random))
            }

            /// The one with this number.
            pub fn from_u128(number: u128) -> $name {
                $name(number)
            }

            /// Its number.
            pub fn as_u128(&self) -> u128 {
                self.0
            }

            /// The name as 32 lower-case hex digits.
            pub fn text(&self) -> Text<32> {
                hex(self.0)
            }
        }

        reads_and_prints!($name, "32 lower-case hex digits");
    };
}

/// Lets a name read, print and (de)serialise as its text.
macro_rules! reads_and_prints {
    ($name:ident, $rule:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = NotAName;

            fn from_str(text: &str) -> Result<$name, NotAName> {
                $name::new(text).ok_or(NotAName($rule))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.text())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// A text that is not the name it should be; says what would be one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("must be {0}")]
pub struct NotAName(&'static str);

text_name!(
    /// The merchant's number of one order at the platform (`orderNo`, `out_trade_no`).
    /// The platform refuses a repeated one. Ours are 32 lower-case hex digits ([`OrderNo::from_random`]).
    OrderNo(32), "1 to 32 characters of A-Z a-z 0-9 _ -",
    |b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'
);
number_name!(
    /// One customer's intent to pay an exact amount; it may have several order numbers.
    SaleId
);
number_name!(
    /// One kiosk's claim to dispense one sale, once. A retry carries the same claim.
    ClaimId
);
text_name!(
    /// The platform's name of one payment (`transaction_id`).
    TransactionId(32), "1 to 32 characters of A-Z a-z 0-9 _ -",
    |b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'
);
text_name!(
    /// A kiosk's name at the merchant.
    KioskName(32), "1 to 32 characters of A-Z a-z 0-9 _ - .",
    |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')
);
text_name!(
    /// The address behind a payment QR code. Only `selpay::add_order` makes one, after checking it.
    ScanUrl(512), "1 to 512 printable ASCII characters",
    |b| b.is_ascii_graphic()
);

/// A sale as people name it: `AB3C-7XYZ`. Eight of 31 characters, none of which looks like another; its first 39 bits, so
/// that all sales with one code stand side by side.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SaleCode(u64);

/// Neither 0 and O nor 1, I and L.
const CODE_ALPHABET: &[u8; 31] = b"23456789ABCDEFGHJKMNPQRSTUVWXYZ";
const CODE_LENGTH: usize = 8;
/// How many of a sale's bits are not in its code.
const CODE_LEAVES_OUT: u32 = 128 - 39;

impl SaleCode {
    /// The code of this sale.
    pub fn of(sale: SaleId) -> SaleCode {
        SaleCode((sale.0 >> CODE_LEAVES_OUT) as u64)
    }

    /// The code that somebody has read out or typed: in any case, with or without what stands between.
    pub fn read(text: &str) -> Option<SaleCode> {
        let mut code = 0_u64;
        let mut length = 0;
        for character in text.bytes().filter(u8::is_ascii_alphanumeric) {
            let character = character.to_ascii_uppercase();
            let value = CODE_ALPHABET.iter().position(|some| *some == character)?;
            length += 1;
            if length > CODE_LENGTH {
                return None;
            }
            code = code * CODE_ALPHABET.len() as u64 + value as u64;
        }
        let is_one = length == CODE_LENGTH && code >> (128 - CODE_LEAVES_OUT) == 0;
        is_one.then_some(SaleCode(code))
    }

    /// The first and the last sale that can have it.
    pub fn sales(self) -> (SaleId, SaleId) {
        let first = u128::from(self.0) << CODE_LEAVES_OUT;
        (SaleId(first), SaleId(first | ((1 << CODE_LEAVES_OUT) - 1)))
    }
}

impl fmt::Display for SaleCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        let mut letters = [0; CODE_LENGTH];
        for letter in letters.iter_mut().rev() {
            *letter = CODE_ALPHABET[(rest % CODE_ALPHABET.len() as u64) as usize];
            rest /= CODE_ALPHABET.len() as u64;
        }
        let (before, behind) = letters.split_at(CODE_LENGTH / 2);
        let text = |letters| core::str::from_utf8(letters).expect("ASCII");
        write!(f, "{}-{}", text(before), text(behind))
    }
}

impl fmt::Debug for SaleCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SaleCode({self})")
    }
}

/// The random UUID (version 4 and its variant are set) of these random bits.
fn uuid(random: u128) -> u128 {
    random & !(0xf << 76) & !(0b11 << 62) | (0x4 << 76) | (0b10 << 62)
}

/// A number as 32 hex digits.
fn hex(number: u128) -> Text<32> {
    let digit = |nibble| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
    let high = number.to_be_bytes().map(|byte| digit(byte >> 4));
    let low = number.to_be_bytes().map(|byte| digit(byte & 0xf));
    let bytes = core::array::from_fn(|place| [high, low][place % 2][place / 2]);
    Text { bytes, len: 32 }
}

/// The number whose [`hex`] this is.
fn number(text: &str) -> Option<u128> {
    let text: &[u8; 32] = text.as_bytes().try_into().ok()?;
    let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    // All of them, one after the other, without a branch for a processor to guess at.
    if !text.iter().fold(true, |all, byte| all & is_hex(byte)) {
        return None;
    }
    let digits = text.map(|byte| (byte & 0xf) + if byte > b'9' { 9 } else { 0 });
    let bytes = core::array::from_fn(|place| digits[2 * place] << 4 | digits[2 * place + 1]);
    Some(u128::from_be_bytes(bytes))
}

impl OrderNo {
    /// A new one: a random UUID (version 4) of these random bits, in hex.
    pub fn from_random(random: u128) -> OrderNo {
        OrderNo::from_u128(uuid(random))
    }

    /// The one whose 32 hex digits are this number.
    pub fn from_u128(number: u128) -> OrderNo {
        OrderNo(hex(number))
    }

    /// The number whose 32 hex digits it is, if it is one.
    pub fn as_u128(&self) -> Option<u128> {
        number(self.as_str())
    }

    /// The last four characters, for a person to read out.
    pub fn last_four(&self) -> &str {
        let text = self.as_str();
        &text[text.len().saturating_sub(4)..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_say_it_and_finds_its_sales() {
        let sale = SaleId::from_u128(0x3fa9_1c02_7be4_4d10_9a55_c0ff_ee12_3456);
        let code = SaleCode::of(sale);
        let told = code.to_string();
        assert_eq!(told.len(), 9);
        for said in [
            told.clone(),
            told.to_lowercase(),
            told.replace('-', " "),
            told.replace('-', ""),
        ] {
            assert_eq!(SaleCode::read(&said), Some(code), "{said}");
        }
        let (first, last) = code.sales();
        assert!(first <= sale && sale <= last);
        for other in [first, last] {
            assert_eq!(SaleCode::of(other), code);
        }
        let behind = SaleId::from_u128(last.as_u128() + 1);
        assert_ne!(SaleCode::of(behind), code);
        let most = SaleCode::of(SaleId::from_u128(u128::MAX));
        assert_eq!(SaleCode::read(&most.to_string()), Some(most));
        // Too short, too long, a character that looks like another, more than any sale has.
        for no_code in [
            "",
            "ABCD-EFG",
            "ABCD-EFGH-J",
            "ABCD-EFG0",
            "ZZZZ-ZZZZ",
            "ABCDEFG元",
        ] {
            assert_eq!(SaleCode::read(no_code), None, "{no_code}");
        }
    }

    #[test]
    fn our_order_numbers_are_random_uuids_without_dashes() {
        assert_eq!(
            OrderNo::from_random(0).as_str(),
            "00000000000040008000000000000000"
        );
        assert_eq!(
            OrderNo::from_random(u128::MAX).as_str(),
            "ffffffffffff4fffbfffffffffffffff"
        );
        assert_eq!(OrderNo::from_random(0x1234).last_four(), "1234");
    }

    #[test]
    fn our_names_are_numbers_in_hex() {
        let name = "0123456789abcdef0000000000000001";
        let number = 0x0123_4567_89ab_cdef_0000_0000_0000_0001;
        assert_eq!(&*SaleId::from_u128(number).text(), name);
        assert_eq!(SaleId::new(name), Some(SaleId::from_u128(number)));
        assert_eq!(OrderNo::from_u128(number).as_u128(), Some(number));
        assert_eq!(OrderNo::new("1").and_then(|short| short.as_u128()), None);
        for last in (' '..='~').filter(|last| !last.is_ascii_uppercase()) {
            let name = format!("0123456789abcdef000000000000000{last}");
            let read = OrderNo::new(&name).and_then(|order| order.as_u128());
            let digit = last.to_digit(16);
            assert_eq!(
                read,
                digit.map(|digit| number - 1 + u128::from(digit)),
                "{name}"
            );
        }
        let foreign = OrderNo::new("0123456789ABCDEF0000000000000001").expect("a number");
        assert_eq!(foreign.as_u128(), None, "upper case is not ours");
    }

    #[test]
    fn a_name_outside_its_alphabet_does_not_exist() {
        assert!(OrderNo::new("pan_test-1470130571085").is_some());
        for text in [
            "",
            "a b",
            "订单",
            "a/b",
            "x&total_fee=1",
            "123456789012345678901234567890123",
        ] {
            assert!(OrderNo::new(text).is_none(), "{text}");
        }
        for text in [
            "ABCDEF00ABCDEF00ABCDEF00ABCDEF00",
            "abc",
            "g0000000000000000000000000000000",
        ] {
            assert!(SaleId::new(text).is_none(), "{text}");
        }
    }

    #[test]
    fn names_are_plain_text_in_json() {
        let order = OrderNo::from_random(7);
        let json = serde_json::to_string(&order).expect("a string");
        assert_eq!(
            serde_json::from_str::<OrderNo>(&json).expect("the same"),
            order
        );
        let sale = serde_json::to_value(SaleId::from_u128(0xf)).expect("a string");
        assert_eq!(sale, "0000000000000000000000000000000f");
        let error = serde_json::from_str::<OrderNo>("\"a b\"").expect_err("a blank is not allowed");
        assert!(error.to_string().contains("1 to 32 characters"), "{error}");
    }
}
