//! Typing an amount: integer fen from the first key on, refused at the key, never rounded.

use core::fmt;

use crate::money::{Fen, NotAnAmount};

/// An amount as typed so far: digits with at most one point and at most two decimals. Never above its maximum.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Typed(heapless::String<10>);

/// Why a key was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The smallest amount is one fen.
    ThirdDecimal,
    /// There is a point already.
    SecondPoint,
    /// More than this kiosk's maximum, which is told.
    TooMuch(Fen),
    /// There is nothing to pay yet.
    Zero,
    /// The dispenser can only count out whole numbers of this.
    NotMultiple(Fen),
}

impl Typed {
    /// Adds a digit (`0` to `9`) or the point.
    ///
    /// A lone leading zero gives way to the next digit, as on any pocket calculator.
    pub fn push(&mut self, key: char, max: Fen) -> Result<(), Refusal> {
        if key == '.' && self.0.contains('.') {
            return Err(Refusal::SecondPoint);
        }
        let mut next = if self.0 == "0" && key != '.' {
            heapless::String::new()
        } else {
            self.0.clone()
        };
        if next.is_empty() && key == '.' {
            next.push('0').map_err(|()| Refusal::TooMuch(max))?;
        }
        next.push(key).map_err(|()| Refusal::TooMuch(max))?;
        match Fen::from_yuan(&next) {
            Ok(fen) if fen > max => Err(Refusal::TooMuch(max)),
            Err(NotAnAmount::TooMuch) => Err(Refusal::TooMuch(max)),
            Err(NotAnAmount::ThirdDecimal) => Err(Refusal::ThirdDecimal),
            // Only what is not an amount yet: "0", "0.", "0.0".
            Ok(_) | Err(NotAnAmount::Zero | NotAnAmount::Malformed) => {
                self.0 = next;
                Ok(())
            }
        }
    }

    /// Takes back the last key.
    pub fn backspace(&mut self) {
        self.0.pop();
        if self.0 == "0" {
            self.0.clear();
        }
    }

    /// The amount, when there is something to pay.
    pub fn total(&self) -> Result<Fen, Refusal> {
        Fen::from_yuan(&self.0).map_err(|_| Refusal::Zero)
    }

    /// Whether nothing has been typed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What has been typed: `3.5`, or nothing.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Fen = Fen::new(100_000).expect("a thousand yuan");

    /// Types `keys`; the last key's answer and what stands there then.
    fn type_keys(keys: &str) -> (Result<(), Refusal>, String) {
        let mut typed = Typed::default();
        let mut last = Ok(());
        for key in keys.chars() {
            last = typed.push(key, MAX);
        }
        (last, typed.to_string())
    }

    #[test]
    fn every_usual_way_to_type_an_amount_works() {
        for (keys, fen) in [
            ("3.5", 350),
            ("3.50", 350),
            ("0.01", 1),
            (".5", 50),
            ("1000", 100_000),
            ("05", 500),
            ("7.", 700),
        ] {
            let mut typed = Typed::default();
            for key in keys.chars() {
                assert_eq!(typed.push(key, MAX), Ok(()), "{keys}");
            }
            assert_eq!(typed.total().map(Fen::get), Ok(fen), "{keys}");
        }
    }

    #[test]
    fn a_zero_gives_way_to_a_digit_and_stays_before_the_point() {
        assert_eq!(type_keys("05").1, "5");
        assert_eq!(type_keys("0.5").1, "0.5");
        assert_eq!(type_keys("00").1, "0");
    }

    #[test]
    fn a_key_that_would_need_rounding_is_refused_and_changes_nothing() {
        assert_eq!(
            type_keys("3.505"),
            (Err(Refusal::ThirdDecimal), "3.50".to_owned())
        );
        assert_eq!(
            type_keys("0.001"),
            (Err(Refusal::ThirdDecimal), "0.00".to_owned())
        );
        assert_eq!(
            type_keys("3.5."),
            (Err(Refusal::SecondPoint), "3.5".to_owned())
        );
        assert_eq!(
            type_keys("1000.01"),
            (Err(Refusal::TooMuch(MAX)), "1000.0".to_owned())
        );
        assert_eq!(
            type_keys("99999"),
            (Err(Refusal::TooMuch(MAX)), "999".to_owned())
        );
    }

    #[test]
    fn zero_cannot_be_confirmed() {
        for keys in ["", "0", "0.", "0.00"] {
            let mut typed = Typed::default();
            for key in keys.chars() {
                assert_eq!(typed.push(key, MAX), Ok(()));
            }
            assert_eq!(typed.total(), Err(Refusal::Zero), "{keys}");
        }
    }

    #[test]
    fn backspace_takes_back_one_key_at_a_time() {
        let mut typed = Typed::default();
        for key in ".5".chars() {
            assert_eq!(typed.push(key, MAX), Ok(()));
        }
        typed.backspace();
        assert_eq!(typed.as_str(), "0.");
        typed.backspace();
        assert!(
            typed.is_empty(),
            "the zero that came by itself goes by itself"
        );
    }

    #[test]
    fn the_largest_amount_of_all_still_fits() {
        let mut typed = Typed::default();
        for key in "1000000.00".chars() {
            assert_eq!(typed.push(key, Fen::MAX), Ok(()));
        }
        assert_eq!(typed.total(), Ok(Fen::MAX));
    }
}
