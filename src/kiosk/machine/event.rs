//! What happens to the machine. Every reply names the sale or order it is about, so that a late one is recognised.

use core::time::Duration;

use crate::ids::{ClaimId, OrderNo, SaleId, ScanUrl};
use crate::money::Fen;
use crate::sale::{Outcome, SaleStatus};

/// A key of the pad, by what it means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Key {
    /// `0` to `9`, as that character.
    Digit(char),
    /// The decimal point.
    Point,
    /// `#`: go on.
    Confirm,
    /// `C`: clear, cancel, back.
    Cancel,
    /// `B`: take back one key.
    Backspace,
    /// `R`: a new order number for the same sale.
    Regenerate,
    /// `L`: the other language.
    Language,
}

impl Key {
    /// The key of this cap (docs/api.md, Board files).
    pub fn from_char(cap: char) -> Option<Key> {
        match cap {
            '0'..='9' => Some(Key::Digit(cap)),
            '.' => Some(Key::Point),
            '#' => Some(Key::Confirm),
            'C' => Some(Key::Cancel),
            'B' => Some(Key::Backspace),
            'R' => Some(Key::Regenerate),
            'L' => Some(Key::Language),
            _ => None,
        }
    }

    /// The cap of this key.
    pub fn cap(self) -> char {
        match self {
            Key::Digit(digit) => digit,
            Key::Point => '.',
            Key::Confirm => '#',
            Key::Cancel => 'C',
            Key::Backspace => 'B',
            Key::Regenerate => 'R',
            Key::Language => 'L',
        }
    }
}

/// Something that happened: a key, the time, or the reply to an effect.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, on the stack: nothing here allocates"
)]
pub enum Event {
    /// A key was pressed.
    Key(Key),
    /// Time has passed; `Machine::wake_at` asked for it.
    Woke,
    /// The dispenser can, or cannot, dispense now.
    Dispenser {
        /// Whether it can.
        ready: bool,
    },
    /// A record could not be made durable. The effects after it were not begun.
    JournalFailed,
    /// The reply to `Effect::AskUnsettled`.
    Unsettled(Result<Unsettled, NoReply>),
    /// The reply to `Effect::Register`.
    Registered {
        /// The number it was about.
        order: OrderNo,
        /// Whether the merchant holds it durably.
        result: Result<(), NoReply>,
    },
    /// The reply to `Effect::AddOrder`.
    Added {
        /// The number it was about.
        order: OrderNo,
        /// The checked address to pay at.
        result: Result<ScanUrl, NotAdded>,
    },
    /// The reply to `Effect::Poll`.
    Polled {
        /// The sale it was about.
        sale: SaleId,
        /// Where the sale stands.
        result: Result<Standing, NoReply>,
    },
    /// The reply to `Effect::Claim`.
    Claimed {
        /// The sale it was about.
        sale: SaleId,
        /// Whether it was granted.
        result: Result<(), NoReply>,
    },
    /// The reply to `Effect::Close`.
    Closed {
        /// The sale it was about.
        sale: SaleId,
        /// Whether it is closed and unpaid.
        result: Result<(), NoReply>,
    },
    /// The reply to `Effect::Pulse`, when the pulse is over.
    Vended {
        /// The sale it was about.
        sale: SaleId,
        /// What is known of the goods.
        outcome: Outcome,
    },
    /// The reply to `Effect::Report`.
    Reported {
        /// The sale it was about.
        sale: SaleId,
        /// Whether the merchant has it.
        result: Result<(), NoReply>,
    },
}

/// Where a sale stands, as the merchant tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// How far it is.
    pub status: SaleStatus,
    /// A payment of it that buys nothing: it came too late, or is of another amount.
    pub useless: Option<Fen>,
}

impl From<SaleStatus> for Standing {
    fn from(status: SaleStatus) -> Standing {
        Standing {
            status,
            useless: None,
        }
    }
}

impl Event {
    /// A short name for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Key(_) => "key",
            Event::Woke => "woke",
            Event::Dispenser { .. } => "dispenser",
            Event::JournalFailed => "journal-failed",
            Event::Unsettled(_) => "unsettled",
            Event::Registered { .. } => "registered",
            Event::Added { .. } => "added",
            Event::Polled { .. } => "polled",
            Event::Claimed { .. } => "claimed",
            Event::Closed { .. } => "closed",
            Event::Vended { .. } => "vended",
            Event::Reported { .. } => "reported",
        }
    }
}

/// Why the merchant's reply is not the one hoped for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoReply {
    /// Nothing came, or nothing that makes sense: what the merchant did is **unknown**.
    NoAnswer,
    /// The merchant does not know our token; it did nothing.
    NotAdmitted,
    /// The merchant is to be asked again, but not before so long. What it did is as unknown as without an answer.
    Later(Duration),
    /// The merchant refused, and says where the sale stands. `None`: it does not know the sale.
    Refused(Option<SaleStatus>),
}

/// Why the platform gave no address to pay at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotAdded {
    /// Nothing came in time: the platform may hold the order or not.
    NoAnswer,
    /// The platform refused, or its answer failed the checks.
    Refused,
}

/// What the merchant holds of ours that has not ended, as far as it fits.
pub type Unsettled = heapless::Vec<UnsettledSale, 8>;

/// A sale of ours that has not ended at the merchant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnsettledSale {
    /// The sale.
    pub sale: SaleId,
    /// Its amount.
    pub total: Fen,
    /// Where it stands: open, paid or claimed.
    pub status: SaleStatus,
    /// For how long it has stood there.
    pub age: Duration,
    /// The newest number that the merchant holds of it.
    pub newest: Option<OrderNo>,
    /// The claim that was granted, if one was.
    pub claim: Option<ClaimId>,
}
