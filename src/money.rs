//! Money is counted in fen (1/100 yuan), as the platform counts it, and never as a float.

use core::fmt;
use core::num::NonZeroU32;

use serde::{Deserialize, Serialize};

/// An amount of money in fen (1/100 yuan). Never zero, never above [`Fen::MAX`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Fen(NonZeroU32);

impl Fen {
    /// The least: 0.01.
    pub const MIN: Fen = Fen(NonZeroU32::MIN);
    /// The largest amount of one sale: one million yuan (docs/api.md: `total`, 1 … 100000000).
    pub const MAX: Fen = Fen(NonZeroU32::new(100_000_000).expect("not zero"));

    /// The amount of `fen` fen, if it lies within 1 … [`Fen::MAX`].
    pub const fn new(fen: u32) -> Option<Fen> {
        match NonZeroU32::new(fen) {
            Some(amount) if fen <= Self::MAX.get() => Some(Fen(amount)),
            _ => None,
        }
    }

    /// The number of fen.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// Reads an amount in yuan as people type it: `3.5`, `3.50`, `0.01`, `.5`, `12`, `7.`.
    ///
    /// Nothing is rounded: a third decimal is an error, and so is anything but digits and one point.
    pub fn from_yuan(text: &str) -> Result<Fen, NotAnAmount> {
        let (yuan, decimals) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if yuan.len() + decimals.len() == 0 || !digits(yuan) || !digits(decimals) {
            return Err(NotAnAmount::Malformed);
        }
        if decimals.len() > 2 {
            return Err(NotAnAmount::ThirdDecimal);
        }
        let decimals_to_come = 2 - decimals.len() as u32;
        let mut fen: u64 = 0;
        for digit in yuan.bytes().chain(decimals.bytes()) {
            fen = fen
                .saturating_mul(10)
                .saturating_add(u64::from(digit - b'0'));
        }
        fen = fen.saturating_mul(10_u64.pow(decimals_to_come));
        match u32::try_from(fen) {
            Ok(0) => Err(NotAnAmount::Zero),
            Ok(fen) => Fen::new(fen).ok_or(NotAnAmount::TooMuch),
            Err(_) => Err(NotAnAmount::TooMuch),
        }
    }
}

/// In yuan with two decimals: `3.50`.
impl fmt::Display for Fen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.get() / 100, self.get() % 100)
    }
}

impl TryFrom<u32> for Fen {
    type Error = NotAnAmount;

    fn try_from(fen: u32) -> Result<Fen, NotAnAmount> {
        if fen == 0 {
            return Err(NotAnAmount::Zero);
        }
        Fen::new(fen).ok_or(NotAnAmount::TooMuch)
    }
}

impl From<Fen> for u32 {
    fn from(amount: Fen) -> u32 {
        amount.get()
    }
}

/// Why a text or a number is no amount of money.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAnAmount {
    /// Not digits with at most one point.
    #[error("not an amount: write yuan with at most one point, like 3.50")]
    Malformed,
    /// Something smaller than one fen.
    #[error("more than two decimals: the smallest amount is 0.01")]
    ThirdDecimal,
    /// Nothing to pay.
    #[error("zero is nothing to pay: the smallest amount is 0.01")]
    Zero,
    /// Above [`Fen::MAX`].
    #[error("too much: the largest amount is {}", Fen::MAX)]
    TooMuch,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_type_them() {
        for (text, fen) in [
            ("3.5", 350),
            ("3.50", 350),
            ("0.01", 1),
            (".5", 50),
            ("12", 1200),
            ("7.", 700),
            ("007", 700),
            ("1000000", 100_000_000),
        ] {
            assert_eq!(Fen::from_yuan(text).map(Fen::get), Ok(fen), "{text}");
        }
    }

    #[test]
    fn nothing_is_rounded_and_nothing_is_guessed() {
        for (text, why) in [
            ("", NotAnAmount::Malformed),
            (".", NotAnAmount::Malformed),
            ("1.2.3", NotAnAmount::Malformed),
            ("-1", NotAnAmount::Malformed),
            ("+1", NotAnAmount::Malformed),
            (" 1", NotAnAmount::Malformed),
            ("1e2", NotAnAmount::Malformed),
            ("１", NotAnAmount::Malformed),
            ("0.001", NotAnAmount::ThirdDecimal),
            ("3.500", NotAnAmount::ThirdDecimal),
            ("0", NotAnAmount::Zero),
            ("0.00", NotAnAmount::Zero),
            ("1000000.01", NotAnAmount::TooMuch),
            ("99999999999999999999999999", NotAnAmount::TooMuch),
        ] {
            assert_eq!(Fen::from_yuan(text), Err(why), "{text}");
        }
    }

    #[test]
    fn a_number_of_fen_is_an_amount_from_one_to_the_most() {
        for (fen, amount) in [
            (0, Err(NotAnAmount::Zero)),
            (1, Ok(1)),
            (100_000_000, Ok(100_000_000)),
            (100_000_001, Err(NotAnAmount::TooMuch)),
        ] {
            assert_eq!(Fen::try_from(fen).map(Fen::get), amount, "{fen}");
        }
    }

    #[test]
    fn an_amount_prints_as_yuan_with_two_decimals() {
        assert_eq!(
            Fen::new(1).map(|fen| fen.to_string()).as_deref(),
            Some("0.01")
        );
        assert_eq!(Fen::MAX.to_string(), "1000000.00");
    }
}
