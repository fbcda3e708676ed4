//! The books as a group of requests sees them: the facts that they read, fetched together, and every change that was made
//! since, in memory. What is made is written together as well ([`Batches`]).
//!
//! Nobody else changes sales or payments meanwhile (see [`super::BOOKS_LOCK`]): what was fetched stays true until the commit.

use std::collections::{BTreeSet, HashMap};

use crate::ids::{KioskName, OrderNo, SaleId, TransactionId};
use crate::merchant::ledger::{Booked, Change, Disposition, Gap, Sale, Time};
use crate::merchant::store::books::{self, SALE};
use crate::merchant::store::postgres::batches::Batches;
use crate::merchant::store::requests::{Books, Deadlines, Reads};
use crate::merchant::store::sql::{Failed, Row, Value};
use crate::sale::SaleStatus;

/// Sales by name ($1) and by order number ($2).
pub fn sales_statement() -> String {
    format!(
        "{SALE} sale = ANY($1::text[] || ARRAY(SELECT sale FROM orders WHERE order_no = ANY($2::text[])))"
    )
}

/// Payments by name.
pub const PAYMENTS: &str = "SELECT b.transaction_id, b.order_no, b.total, b.state || '/' || b.reason, b.received_at,
    f.fee_type, f.total FROM books b LEFT JOIN foreign_payments f ON f.transaction_id = b.transaction_id
    WHERE b.transaction_id = ANY($1::text[])";

/// Payments by order number.
pub const PAYMENTS_OF: &str = "SELECT b.transaction_id, b.order_no, b.total, b.state || '/' || b.reason, b.received_at,
    f.fee_type, f.total FROM books b LEFT JOIN foreign_payments f ON f.transaction_id = b.transaction_id
    WHERE b.order_no = ANY($1::text[])";

/// Times of which the books know nothing.
pub const GAPS: &str = "SELECT began, ended FROM gaps";

/// What a whole group reads.
#[derive(Debug, Default)]
pub struct GroupReads {
    sales: BTreeSet<SaleId>,
    orders: BTreeSet<OrderNo>,
    payments: BTreeSet<TransactionId>,
    payments_of: BTreeSet<OrderNo>,
}

impl GroupReads {
    /// What all of these read.
    pub fn of<'a>(all: impl Iterator<Item = &'a Reads>) -> GroupReads {
        let mut reads = GroupReads::default();
        for one in all {
            reads.sales.extend(one.sale);
            reads.orders.extend(one.sale_of);
            reads.payments.extend(one.payment);
            reads.payments_of.extend(one.payments_of);
        }
        reads
    }

    /// Names of sales, order numbers; `None` if no sale is read.
    pub fn sales(&self) -> Option<[Vec<Value>; 2]> {
        let is_any = !(self.sales.is_empty() && self.orders.is_empty());
        is_any.then(|| [texts(&self.sales), texts(&self.orders)])
    }

    /// Names of payments; `None` if none is read.
    pub fn payments(&self) -> Option<[Vec<Value>; 1]> {
        (!self.payments.is_empty()).then(|| [texts(&self.payments)])
    }

    /// Numbers whose payments are read; `None` if there are none.
    pub fn payments_of(&self) -> Option<[Vec<Value>; 1]> {
        (!self.payments_of.is_empty()).then(|| [texts(&self.payments_of)])
    }
}

fn texts<T: ToString>(names: &BTreeSet<T>) -> Vec<Value> {
    let text = |name: &T| Value::Text(name.to_string());
    names.iter().map(text).collect()
}

/// The facts of a group and what it changes.
#[derive(Debug)]
pub struct GroupBooks {
    now: Time,
    /// `None`: there is none.
    sales: HashMap<SaleId, Option<Sale>>,
    sale_of: HashMap<OrderNo, Option<SaleId>>,
    paid_by: HashMap<TransactionId, SaleId>,
    payments: HashMap<TransactionId, Option<Booked>>,
    /// In the order in which they were booked.
    payments_of: HashMap<OrderNo, Vec<TransactionId>>,
    gaps: Vec<Gap>,
    batches: Batches,
}

impl GroupBooks {
    /// The books as these rows say, where these reads were all that was asked for.
    pub fn fetched(
        reads: &GroupReads,
        sales: &[Row],
        payments: impl Iterator<Item = Row>,
        gaps: &[Row],
    ) -> Result<GroupBooks, Failed> {
        let mut books = GroupBooks {
            now: Time(0),
            sales: reads.sales.iter().map(|id| (*id, None)).collect(),
            sale_of: reads.orders.iter().map(|order| (*order, None)).collect(),
            paid_by: HashMap::new(),
            payments: reads.payments.iter().map(|id| (*id, None)).collect(),
            payments_of: HashMap::new(),
            gaps: gaps.iter().map(books::read_gap).collect::<Result<_, _>>()?,
            batches: Batches::default(),
        };
        for row in sales {
            let sale = books::read_sale(row)?;
            let numbers = sale.orders.iter().map(|order| (*order, Some(sale.id)));
            books.sale_of.extend(numbers);
            books
                .paid_by
                .extend(sale.paid.map(|(payment, _)| (payment, sale.id)));
            books.sales.insert(sale.id, Some(sale));
        }
        for row in payments {
            let booked = read_booked(&row)?;
            books.payments.insert(booked.transaction, Some(booked));
        }
        for order in &reads.payments_of {
            let on_it = books.payments.values().flatten();
            let on_it = on_it.filter(|booked| booked.order == *order);
            let mut on_it: Vec<_> = on_it.map(|on| (on.booked_at, on.transaction)).collect();
            on_it.sort_unstable();
            let names = on_it.into_iter().map(|(_, transaction)| transaction);
            books.payments_of.insert(*order, names.collect());
        }
        Ok(books)
    }

    /// What is asked from here on is asked at this moment.
    pub fn set_now(&mut self, now: Time) {
        self.now = now;
    }

    /// Everything that was made.
    pub fn into_batches(self) -> Batches {
        self.batches
    }

    fn standing(&mut self, sale: SaleId, from: SaleStatus) -> Result<&mut Sale, Failed> {
        let sale = self.sales.get_mut(&sale).and_then(Option::as_mut);
        sale.filter(|sale| sale.status == from).ok_or(Failed::Stale)
    }

    fn make_one(&mut self, change: &Change, body: &[u8]) -> Result<(), Failed> {
        let now = self.now;
        match change {
            Change::NewSale { sale, kiosk, total } => {
                let new = Sale {
                    id: *sale,
                    kiosk: *kiosk,
                    total: *total,
                    status: SaleStatus::Open,
                    began: now,
                    orders: Vec::new(),
                    paid: None,
                    claim: None,
                    disposition: None,
                };
                match self.sales.insert(*sale, Some(new)) {
                    Some(None) => self.batches.new_sale(*sale, *kiosk, *total, now),
                    _ => return Err(Failed::Stale),
                }
            }
            Change::NewOrder { order, sale } => {
                let place = {
                    let orders = &mut self.standing(*sale, SaleStatus::Open)?.orders;
                    orders.push(*order);
                    orders.len() as i64 - 1
                };
                match self.sale_of.insert(*order, Some(*sale)) {
                    Some(None) => self.batches.new_order(*order, *sale, place, now),
                    _ => return Err(Failed::Stale),
                }
            }
            Change::NewPayment {
                payment,
                disposition,
            } => {
                let booked = Booked {
                    transaction: payment.transaction,
                    order: payment.order,
                    total: payment.total,
                    booked_at: now,
                    fee_type: payment.fee_type.clone(),
                    disposition: *disposition,
                };
                let Some(None) = self.payments.insert(payment.transaction, Some(booked)) else {
                    return Err(Failed::Stale);
                };
                if let Some(on_it) = self.payments_of.get_mut(&payment.order) {
                    on_it.push(payment.transaction);
                }
                self.batches.new_payment(payment, body, now)?;
                self.batches
                    .disposed(payment.transaction, *disposition, now);
            }
            Change::Disposed { transaction, to } => {
                self.dispose(*transaction, *to);
                self.batches.disposed(*transaction, *to, now);
            }
            Change::Paid { sale, transaction } => {
                let payment = self.payments.get(transaction).and_then(Option::as_ref);
                let disposition = payment.map(|booked| booked.disposition);
                let paid = self.standing(*sale, SaleStatus::Open)?;
                paid.status = SaleStatus::Paid;
                paid.paid = Some((*transaction, now));
                paid.disposition = disposition;
                self.paid_by.insert(*transaction, *sale);
                self.batches.paid(*sale, *transaction, now);
            }
            Change::Claimed { sale, claim } => {
                let claimed = self.standing(*sale, SaleStatus::Paid)?;
                claimed.status = SaleStatus::Claimed;
                claimed.claim = Some((*claim, now));
                self.batches.claimed(*sale, *claim, now);
            }
            Change::Ended { sale, from, to } => {
                self.standing(*sale, *from)?.status = *to;
                self.batches.ended(*sale, (*from, *to), now);
            }
        }
        Ok(())
    }

    fn dispose(&mut self, transaction: TransactionId, to: Disposition) {
        if let Some(Some(booked)) = self.payments.get_mut(&transaction) {
            booked.disposition = to;
        }
        let sale = self.paid_by.get(&transaction);
        if let Some(Some(sale)) = sale.and_then(|sale| self.sales.get_mut(sale)) {
            sale.disposition = Some(to);
        }
    }
}

/// A request asks for something that it did not say it would read: an error in the program.
fn not_fetched(what: impl std::fmt::Display) -> Failed {
    Failed::Nonsense(format!("{what} was not fetched"))
}

impl Books for GroupBooks {
    type Error = Failed;

    fn now(&self) -> Time {
        self.now
    }

    fn sale(&self, sale: SaleId) -> Result<Option<Sale>, Failed> {
        self.sales
            .get(&sale)
            .cloned()
            .ok_or_else(|| not_fetched(sale))
    }

    fn sale_of(&self, order: OrderNo) -> Result<Option<Sale>, Failed> {
        match self.sale_of.get(&order) {
            None => Err(not_fetched(order)),
            Some(None) => Ok(None),
            Some(Some(sale)) => self.sale(*sale),
        }
    }

    fn payment(&self, transaction: TransactionId) -> Result<Option<Booked>, Failed> {
        self.payments
            .get(&transaction)
            .cloned()
            .ok_or_else(|| not_fetched(transaction))
    }

    fn payments_of(&self, order: OrderNo) -> Result<Vec<Booked>, Failed> {
        let on_it = self
            .payments_of
            .get(&order)
            .ok_or_else(|| not_fetched(order))?;
        let booked = on_it.iter().map(|transaction| self.payment(*transaction));
        Ok(booked
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect())
    }

    fn live(
        &self,
        kiosk: KioskName,
        _after: Option<SaleId>,
        _most: usize,
    ) -> Result<Vec<Sale>, Failed> {
        Err(not_fetched(kiosk))
    }

    fn overdue(&self, _: Deadlines) -> Result<Vec<Sale>, Failed> {
        Err(not_fetched("what is overdue"))
    }

    fn gaps(&self) -> Result<Vec<Gap>, Failed> {
        Ok(self.gaps.clone())
    }

    fn make(&mut self, changes: &[Change], body: &[u8]) -> Result<(), Failed> {
        changes
            .iter()
            .try_for_each(|change| self.make_one(change, body))
    }
}

fn read_booked(row: &Row) -> Result<Booked, Failed> {
    let mut booked = books::read_booked(row)?;
    if let (Some(currency), Some(total)) = (row.some_text(5)?, row.some_int(6)?) {
        booked.fee_type = Some(currency.to_owned());
        booked.total = books::read_amount(total)?;
    }
    Ok(booked)
}
