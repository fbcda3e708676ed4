//! What the machine wants done. Effects run in order; a [`Record`] is on disk before the next effect begins.

use crate::ids::{ClaimId, OrderNo, SaleId};
use crate::money::Fen;
use crate::sale::Outcome;

/// The effects of one step, in the order in which they must happen.
pub type Effects = heapless::Vec<Effect, 8>;

/// Something for the runner to do. All but `Record`, `Pulse` and `Ignored` are calls that end in one [`Event`](super::Event).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Make this durable. If that fails, begin no further effect and say `Event::JournalFailed`.
    Record(Record),
    /// Ask the merchant which sales of ours have not ended.
    AskUnsettled,
    /// Let the merchant hold this order number durably, before the platform can notify about it.
    Register {
        /// The new number.
        order: OrderNo,
        /// Whose number it is.
        sale: SaleId,
        /// What is to be paid.
        total: Fen,
    },
    /// Add the order at the platform.
    AddOrder {
        /// The number; the platform refuses a repeated one.
        order: OrderNo,
        /// What is to be paid.
        total: Fen,
    },
    /// Ask the merchant where the sale stands. A read: it may be abandoned.
    Poll {
        /// The number to ask by.
        order: OrderNo,
        /// The sale meant.
        sale: SaleId,
    },
    /// Claim the paid sale, so that this kiosk may dispense it once.
    Claim {
        /// The sale.
        sale: SaleId,
        /// Ours; a retry carries the same.
        claim: ClaimId,
    },
    /// Move the relay. Nothing may repeat this for a sale, ever.
    Pulse {
        /// The sale.
        sale: SaleId,
        /// What was paid: some dispensers count.
        total: Fen,
    },
    /// Tell the merchant what came of a claim.
    Report {
        /// The sale.
        sale: SaleId,
        /// The claim it was dispensed under.
        claim: ClaimId,
        /// What came of it.
        outcome: Outcome,
    },
    /// Close the sale at the merchant; it may answer that it is too late.
    Close {
        /// The sale.
        sale: SaleId,
    },
    /// An event came that means nothing now, a late reply for instance. For the log.
    Ignored(&'static str),
}

/// One line of the journal: what the kiosk has promised, written before it acts (docs/architecture.md, Journal and recovery).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// The sale it is about.
    pub sale: SaleId,
    /// What is promised.
    pub fact: Fact,
}

/// What a [`Record`] says about its sale.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fact {
    /// It begins, and this is to be paid.
    Sale(Fen),
    /// It gets this order number.
    Order(OrderNo),
    /// It is about to be claimed.
    Claim(ClaimId),
    /// The pulse is about to begin: the point of no return.
    Start,
    /// The pulse is over.
    Done(Outcome),
    /// It is about to be closed.
    Closing,
    /// The merchant has acknowledged its end.
    Settled,
}
