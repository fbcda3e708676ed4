//! A sale's life as the merchant tells it and the kiosk reports it: words that both sides share.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Where a sale stands at the merchant.
///
/// `open → paid → claimed → dispensed | not-dispensed | unknown`, `open → closed`, `paid → expired`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SaleStatus {
    /// Nothing was paid yet; it may be paid.
    Open,
    /// Paid, waiting for the kiosk's claim.
    Paid,
    /// The kiosk may dispense, once.
    Claimed,
    /// The goods came out.
    Dispensed,
    /// The goods did not come out: the money goes back.
    NotDispensed,
    /// Nobody can tell: a person looks into it.
    Unknown,
    /// Ended before anything was paid.
    Closed,
    /// Paid but not claimed in time: the money goes back.
    Expired,
}

impl SaleStatus {
    /// All of them, in the order of a life.
    pub const ALL: [SaleStatus; 8] = [
        SaleStatus::Open,
        SaleStatus::Paid,
        SaleStatus::Claimed,
        SaleStatus::Dispensed,
        SaleStatus::NotDispensed,
        SaleStatus::Unknown,
        SaleStatus::Closed,
        SaleStatus::Expired,
    ];

    /// The word on the wire and in the books.
    pub fn as_str(self) -> &'static str {
        match self {
            SaleStatus::Open => "open",
            SaleStatus::Paid => "paid",
            SaleStatus::Claimed => "claimed",
            SaleStatus::Dispensed => "dispensed",
            SaleStatus::NotDispensed => "not-dispensed",
            SaleStatus::Unknown => "unknown",
            SaleStatus::Closed => "closed",
            SaleStatus::Expired => "expired",
        }
    }

    /// The status of this word.
    pub fn from_word(word: &str) -> Option<SaleStatus> {
        SaleStatus::ALL
            .into_iter()
            .find(|status| status.as_str() == word)
    }
}

impl fmt::Display for SaleStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What came of a granted claim.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The goods came out.
    Dispensed,
    /// It is sure that nothing came out.
    NotDispensed,
    /// Nobody can tell.
    Unknown,
}

impl Outcome {
    /// The status a sale has after this outcome.
    pub fn status(self) -> SaleStatus {
        match self {
            Outcome::Dispensed => SaleStatus::Dispensed,
            Outcome::NotDispensed => SaleStatus::NotDispensed,
            Outcome::Unknown => SaleStatus::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_contract() {
        for status in SaleStatus::ALL {
            let json = serde_json::to_value(status).expect("a word");
            assert_eq!(json, status.as_str());
            assert_eq!(status.to_string(), status.as_str());
            assert_eq!(SaleStatus::from_word(status.as_str()), Some(status));
        }
        assert_eq!(
            serde_json::to_value(Outcome::NotDispensed).expect("a word"),
            "not-dispensed"
        );
    }
}
