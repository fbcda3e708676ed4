//! What is asked of the books, whatever database holds them: facts, decision, changes, answer, in one transaction.

use core::time::Duration;

use crate::api;
use crate::ids::{ClaimId, KioskName, OrderNo, SaleId, TransactionId};
use crate::merchant::ledger::{
    self, Billed, Booked, Change, Decision, Disposition, Finding, Gap, NotRegistered, Sale, Time,
    Verdict,
};
use crate::money::Fen;
use crate::planted::{self, Bug};
use crate::sale::SaleStatus;
use crate::selpay::notification::Payment;

/// What came before these moments has waited for too long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadlines {
    /// Sales that were paid by then and not claimed.
    pub paid: Time,
    /// Sales that were claimed by then and not heard of since.
    pub claimed: Time,
    /// Open sales that began by then, and that no server has noted as asked for since.
    pub asked: Time,
}

/// When each open sale was asked for last, as far as this server knows.
pub type AskedAt<'a> = &'a dyn Fn(SaleId) -> Time;

/// The payment, if it is known; the sale of its number; every time of which the books know nothing.
pub type Facts = (Option<Booked>, Option<Sale>, Vec<Gap>);

/// The most sales in one answer to [`unsettled`].
const PAGE: usize = 100;
/// The most order numbers in it: what a kiosk reads is bounded.
const PAGE_NUMBERS: usize = 1000;

/// What a request reads, said beforehand: the facts of many requests are fetched together. Times that the books do not know
/// ([`Books::gaps`]) are read with any payment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reads {
    /// This sale.
    pub sale: Option<SaleId>,
    /// The sale that has this number.
    pub sale_of: Option<OrderNo>,
    /// This payment.
    pub payment: Option<TransactionId>,
    /// Every payment on this number.
    pub payments_of: Option<OrderNo>,
}

impl Reads {
    /// What [`register`] reads.
    pub fn of_registering(order: OrderNo, sale: SaleId) -> Reads {
        Reads {
            sale: Some(sale),
            sale_of: Some(order),
            payment: None,
            payments_of: Some(order),
        }
    }

    /// What [`pay`] reads.
    pub fn of_paying(payment: &Payment) -> Reads {
        Reads {
            payment: Some(payment.transaction),
            sale_of: Some(payment.order),
            ..Reads::default()
        }
    }

    /// What [`claim`], [`close`] and [`outcome`] read.
    pub fn of_sale(sale: SaleId) -> Reads {
        Reads {
            sale: Some(sale),
            ..Reads::default()
        }
    }
}

/// The books within one transaction. Nothing that is made here counts before that is committed.
pub trait Books {
    /// Why the database cannot do what it is asked.
    type Error;

    /// When this transaction is.
    fn now(&self) -> Time;
    /// The sale.
    fn sale(&self, sale: SaleId) -> Result<Option<Sale>, Self::Error>;
    /// The sale that has this number.
    fn sale_of(&self, order: OrderNo) -> Result<Option<Sale>, Self::Error>;
    /// The payment.
    fn payment(&self, transaction: TransactionId) -> Result<Option<Booked>, Self::Error>;
    /// All that a payment on this number is decided on. Of the sale's numbers there may be this one only.
    fn facts(&self, transaction: TransactionId, order: OrderNo) -> Result<Facts, Self::Error> {
        Ok((
            self.payment(transaction)?,
            self.sale_of(order)?,
            self.gaps()?,
        ))
    }
    /// Every payment on this number, oldest first.
    fn payments_of(&self, order: OrderNo) -> Result<Vec<Booked>, Self::Error>;
    /// The kiosk's sales that have not ended, oldest first: those after this one, no more than so many.
    fn live(
        &self,
        kiosk: KioskName,
        after: Option<SaleId>,
        most: usize,
    ) -> Result<Vec<Sale>, Self::Error>;
    /// Sales that a deadline may have passed.
    fn overdue(&self, deadlines: Deadlines) -> Result<Vec<Sale>, Self::Error>;
    /// Every time of which these books know nothing.
    fn gaps(&self) -> Result<Vec<Gap>, Self::Error>;
    /// Makes the changes. One that does not find what it was decided on fails, and the whole transaction with it.
    fn make(&mut self, changes: &[Change], body: &[u8]) -> Result<(), Self::Error>;
}

/// A kiosk registers a number. `true` if it is new.
pub fn register<B: Books + ?Sized>(
    books: &mut B,
    kiosk: KioskName,
    order: OrderNo,
    wanted: &api::Register,
) -> Result<Result<(bool, api::Order), NotRegistered>, B::Error> {
    let holder = books.sale_of(order)?;
    let sale = books.sale(wanted.sale)?;
    let orphans = match holder {
        None => books.payments_of(order)?,
        Some(_) => Vec::new(),
    };
    let Decision { changes, answer } = ledger::register(
        kiosk,
        order,
        (wanted.sale, wanted.total),
        holder.as_ref(),
        sale.as_ref(),
        (&orphans, books.now()),
    );
    books.make(&changes, &[])?;
    let registered = books.sale_of(order)?;
    Ok(answer.map(|is_new| {
        let sale = registered.expect("it was registered in this transaction");
        (is_new, told(order, sale))
    }))
}

/// A verified payment arrives.
pub fn pay<B: Books + ?Sized>(
    books: &mut B,
    payment: &Payment,
    body: &[u8],
) -> Result<Verdict, B::Error> {
    let (mut known, sale, gaps) = books.facts(payment.transaction, payment.order)?;
    if planted::has(Bug::KeyedByOrderNumber) {
        known = books.payments_of(payment.order)?.pop();
    }
    let when = (gaps.as_slice(), books.now());
    let Decision { changes, answer } = ledger::pay(payment, known.as_ref(), sale.as_ref(), when);
    books.make(&changes, body)?;
    Ok(answer)
}

/// A payment that only the platform's bill tells of.
pub fn bill<B: Books + ?Sized>(
    books: &mut B,
    payment: &Payment,
    row: &[u8],
) -> Result<Billed, B::Error> {
    let known = books.payment(payment.transaction)?;
    let sale = books.sale_of(payment.order)?;
    let (gaps, now) = (books.gaps()?, books.now());
    let Decision { changes, answer } =
        ledger::bill(payment, known.as_ref(), sale.as_ref(), (&gaps, now));
    books.make(&changes, row)?;
    Ok(answer)
}

/// A kiosk claims its sale; what was paid. `None`: it has no such sale.
pub fn claim<B: Books + ?Sized>(
    books: &mut B,
    kiosk: KioskName,
    sale: SaleId,
    claim: ClaimId,
    claim_time: Duration,
) -> Result<Option<Result<Fen, SaleStatus>>, B::Error> {
    let now = books.now();
    of_own_sale(books, kiosk, sale, |sale| {
        let Decision { changes, answer } = ledger::claim(sale, claim, now, claim_time);
        let answer = answer.map(|()| sale.total);
        Decision { changes, answer }
    })
}

/// A kiosk closes its sale. `None`: it has no such sale.
pub fn close<B: Books + ?Sized>(
    books: &mut B,
    kiosk: KioskName,
    sale: SaleId,
    claim_time: Duration,
) -> Result<Option<Result<(), SaleStatus>>, B::Error> {
    let now = books.now();
    of_own_sale(books, kiosk, sale, |sale| {
        ledger::close(sale, now, claim_time)
    })
}

/// A kiosk reports an outcome. `None`: it has no such sale.
pub fn outcome<B: Books + ?Sized>(
    books: &mut B,
    kiosk: KioskName,
    sale: SaleId,
    report: &api::Report,
) -> Result<Option<Result<(), SaleStatus>>, B::Error> {
    let outcome = |sale: &Sale| ledger::outcome(sale, report.claim, report.outcome);
    of_own_sale(books, kiosk, sale, outcome)
}

/// Lets time pass: sales that nobody claimed expire, claims that nobody reported go to review, open sales that nobody asks
/// for are closed. What changed.
pub fn sweep<B: Books + ?Sized>(
    books: &mut B,
    claim_time: Duration,
    asked_at: AskedAt<'_>,
) -> Result<Vec<SaleId>, B::Error> {
    let now = books.now();
    let mut swept = Vec::new();
    for sale in overdue(books, claim_time)? {
        if let Some(changes) = ledger::lapse(&sale, now, claim_time, asked_at(sale.id)) {
            books.make(&changes, &[])?;
            swept.push(sale.id);
        }
    }
    Ok(swept)
}

/// The books were put back from a copy: what was paid and not settled then may be otherwise by now. How many payments a
/// person must look at.
pub fn put_back<B: Books + ?Sized>(books: &mut B) -> Result<usize, B::Error> {
    let all = Deadlines {
        paid: Time(i64::MAX),
        claimed: Time(i64::MAX),
        asked: Time(i64::MIN),
    };
    let mut doubted = 0;
    for sale in books.overdue(all)? {
        let changes = ledger::put_back(&sale);
        doubted += usize::from(!changes.is_empty());
        books.make(&changes, &[])?;
    }
    Ok(doubted)
}

/// A person settles a payment. `None`: there is no such payment.
pub fn settle<B: Books + ?Sized>(
    books: &mut B,
    transaction: TransactionId,
    finding: Finding,
) -> Result<Option<Result<(), Disposition>>, B::Error> {
    let Some(payment) = books.payment(transaction)? else {
        return Ok(None);
    };
    let Decision { changes, answer } = ledger::settle(&payment, finding);
    books.make(&changes, &[])?;
    Ok(Some(answer))
}

/// What a sweep would look at.
pub fn overdue<B: Books + ?Sized>(books: &B, claim_time: Duration) -> Result<Vec<Sale>, B::Error> {
    let ago = |time: Duration| books.now().before(time);
    books.overdue(Deadlines {
        paid: ago(claim_time),
        claimed: ago(ledger::SILENCE),
        asked: ago(ledger::UNASKED),
    })
}

/// An order of this kiosk's.
pub fn order<B: Books + ?Sized>(
    books: &B,
    kiosk: KioskName,
    order: OrderNo,
) -> Result<Option<api::Order>, B::Error> {
    let own = books.sale_of(order)?.filter(|sale| sale.kiosk == kiosk);
    let Some(sale) = own else { return Ok(None) };
    let mut payments = Vec::new();
    for number in &sale.orders {
        payments.extend(books.payments_of(*number)?);
    }
    payments.retain(|booked: &Booked| booked.fee_type.is_none());
    payments.sort_by_key(|booked| booked.booked_at);
    let paid = |booked: &Booked| api::Paid {
        amount: booked.total,
        state: booked.disposition.words().0.to_owned(),
    };
    let payments = payments.iter().map(paid).collect();
    Ok(Some(api::Order {
        payments,
        ..told(order, sale)
    }))
}

/// This kiosk's sales that have not ended, oldest first: those after this one, as many as a kiosk reads at once. Where none
/// follow, the answer is empty.
pub fn unsettled<B: Books + ?Sized>(
    books: &B,
    kiosk: KioskName,
    after: Option<SaleId>,
) -> Result<Vec<api::UnsettledSale>, B::Error> {
    let now = books.now();
    let told = |sale: Sale| api::UnsettledSale {
        sale: sale.id,
        total: sale.total,
        status: sale.status,
        age_seconds: now.seconds_since(sale.since()),
        claim: sale.claim.map(|(claim, _)| claim),
        orders: sale.orders,
    };
    let mut sales = books.live(kiosk, after, PAGE)?;
    let mut numbers = 0;
    let fits = sales.iter().take_while(|sale| {
        numbers += sale.orders.len();
        numbers <= PAGE_NUMBERS
    });
    // However many numbers the first has: an empty page would say that none follow.
    let fits = fits.count().max(1);
    sales.truncate(fits);
    Ok(sales.into_iter().map(told).collect())
}

/// A sale of another kiosk's answers like one that does not exist.
fn of_own_sale<B: Books + ?Sized, T>(
    books: &mut B,
    kiosk: KioskName,
    id: SaleId,
    rule: impl FnOnce(&Sale) -> Decision<T>,
) -> Result<Option<T>, B::Error> {
    let Some(sale) = books.sale(id)?.filter(|sale| sale.kiosk == kiosk) else {
        return Ok(None);
    };
    let Decision { changes, answer } = rule(&sale);
    books.make(&changes, &[])?;
    Ok(Some(answer))
}

/// An order as the API tells it.
fn told(order: OrderNo, sale: Sale) -> api::Order {
    api::Order {
        order_no: order,
        sale: sale.id,
        total: sale.total,
        status: sale.status,
        orders: sale.orders,
        payments: Vec::new(),
    }
}
