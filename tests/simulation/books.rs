//! The merchant's books in this world: the ledger on memory, or on SQLite over a disk that loses power.
//!
//! What the oracle reads, it reads in its own way, not through the product's.

mod memory;
pub mod postgres;
pub mod sqlite;
mod vfs;

use std::sync::Arc;
use std::time::Duration;

use selpay_kiosk::api;
use selpay_kiosk::ids::{ClaimId, KioskName, OrderNo, SaleId, TransactionId};
use selpay_kiosk::kiosk::machine::event::Standing;
use selpay_kiosk::kiosk::net;
use selpay_kiosk::merchant::ledger::{Disposition, Finding, NotRegistered, Time, Verdict};
use selpay_kiosk::merchant::store::requests;
use selpay_kiosk::merchant::store::sql::Failed;
use selpay_kiosk::sale::SaleStatus;
use selpay_kiosk::selpay::notification::Payment;

use crate::dice::Dice;
use crate::story;

pub use memory::MemoryStore;
pub use sqlite::SqliteStore;

pub const CLAIM_TIME: Duration = Duration::from_secs(120);

/// Any books, inside of one transaction.
pub type DynBooks<'a> = dyn requests::Books<Error = Failed> + 'a;

/// What is asked of the merchant.
#[derive(Clone, Debug)]
pub enum Question {
    /// The first page, or the one after this sale.
    Unsettled(Option<SaleId>),
    Register(OrderNo, api::Register),
    Poll(OrderNo),
    Claim(SaleId, ClaimId),
    Report(SaleId, api::Report),
    Close(SaleId),
    Pay(Payment, Arc<[u8]>),
    Settle(TransactionId, Finding),
    Sweep,
}

/// What it answers.
#[derive(Clone, Debug)]
pub enum Reply {
    Unsettled(Vec<api::UnsettledSale>),
    Registered(Result<(), NotRegistered>),
    Order(Option<Standing>),
    /// Of a claim, a report, a close: `None` where there is no such sale.
    Sale(Option<Result<(), SaleStatus>>),
    Paid(Verdict),
    /// `None` where there is no such payment.
    #[allow(dead_code, reason = "compared as text")]
    Settled(Option<Result<(), Disposition>>),
    Swept,
    /// The database does not answer.
    Unavailable,
}

impl Question {
    pub fn is_read(&self) -> bool {
        matches!(self, Question::Unsettled(_) | Question::Poll(_))
    }

    /// Whether it may share a commit with others of its kind.
    pub fn is_shared(&self) -> bool {
        let alone = matches!(self, Question::Settle(..) | Question::Sweep);
        !(alone || self.is_read())
    }

    pub fn answer(&self, kiosk: KioskName, books: &mut DynBooks<'_>) -> Result<Reply, Failed> {
        Ok(match self {
            Question::Unsettled(after) => {
                Reply::Unsettled(requests::unsettled(books, kiosk, *after)?)
            }
            Question::Register(order, wanted) => {
                let registered = requests::register(books, kiosk, *order, wanted)?;
                Reply::Registered(registered.map(drop))
            }
            Question::Poll(order) => {
                let order = requests::order(books, kiosk, *order)?;
                Reply::Order(order.map(|order| net::standing(&order)))
            }
            Question::Claim(sale, claim) => {
                let claimed = requests::claim(books, kiosk, *sale, *claim, CLAIM_TIME)?;
                Reply::Sale(claimed.map(|answer| answer.map(drop)))
            }
            Question::Report(sale, report) => {
                Reply::Sale(requests::outcome(books, kiosk, *sale, report)?)
            }
            Question::Close(sale) => Reply::Sale(requests::close(books, kiosk, *sale, CLAIM_TIME)?),
            Question::Pay(payment, body) => Reply::Paid(requests::pay(books, payment, body)?),
            Question::Settle(transaction, finding) => {
                Reply::Settled(requests::settle(books, *transaction, *finding)?)
            }
            Question::Sweep => {
                // No code is shown for as long as that: whatever is open then was left.
                requests::sweep(books, CLAIM_TIME, &|_| Time(0))?;
                Reply::Swept
            }
        })
    }
}

/// The power went: nobody is answered any more.
#[derive(Debug)]
pub struct Died;

/// Where a payment stands, in the words of the books.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Stands {
    Waiting,
    Dispensed,
    RefundDue,
    Refunded,
    /// The flag: because nobody was heard of.
    Review {
        silent: bool,
    },
}

impl Stands {
    fn read(state: &str, reason: &str) -> Stands {
        match state {
            "waiting" => Stands::Waiting,
            "dispensed" => Stands::Dispensed,
            "refund-due" => Stands::RefundDue,
            "refunded" => Stands::Refunded,
            "review" => Stands::Review {
                silent: reason == "silent",
            },
            other => panic!("the books know no {other}"),
        }
    }
}

/// A sale as it stands in the books.
#[derive(Clone, Debug)]
pub struct Held {
    pub status: SaleStatus,
    pub total: u64,
    pub orders: Vec<OrderNo>,
    pub paid_by: Option<TransactionId>,
    pub claim: Option<ClaimId>,
}

/// The books, and what the oracle may look at.
pub trait Store {
    /// Answers all of these in one commit, in order; what has left before the power went has left.
    fn commit(
        &mut self,
        now: u64,
        questions: &[Question],
        answer: &mut dyn FnMut(usize, Reply),
    ) -> Result<(), Died>;
    /// Answers a question that changes nothing.
    fn ask(&mut self, now: u64, question: &Question) -> Reply;

    /// Whether any sale has not ended: only then time changes anything.
    fn is_live(&mut self) -> bool;
    /// Whether a sweep would change anything.
    fn is_overdue(&mut self, now: u64) -> bool;

    /// Steps of input and output so far.
    fn steps(&self) -> u64;
    /// The power goes at this step.
    fn cut_at(&mut self, step: Option<u64>);
    /// The power is back.
    fn restart(&mut self, torn: story::Torn, dice: &mut Dice);

    /// What has become of payments, from this line of the books on.
    fn lines(&mut self, from: usize, line: &mut dyn FnMut(TransactionId, Stands));
    /// The sale.
    fn sale(&mut self, sale: SaleId) -> Option<Held>;
    fn sales(&mut self) -> Vec<(SaleId, Held)>;
    /// Every payment: number and amount.
    fn payments(&mut self) -> Vec<(TransactionId, OrderNo, u64)>;
    /// Whether the product's own equation holds; the sum of all that was verified.
    fn balance(&mut self) -> Option<(bool, u64)>;
}

/// New books.
pub fn new(kind: story::Books, kiosk: KioskName) -> Box<dyn Store> {
    match kind {
        story::Books::Memory => Box::new(MemoryStore::new(kiosk)),
        story::Books::Sqlite => Box::new(SqliteStore::new(kiosk)),
    }
}
