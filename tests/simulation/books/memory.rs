//! The books in memory: the same requests, the same ledger, no database. A commit is made or not made, never torn.

use rustc_hash::FxHashMap;
use selpay_kiosk::ids::{KioskName, OrderNo, SaleId, TransactionId};
use selpay_kiosk::merchant::ledger::{Booked, Change, Disposition, Gap, Sale, Time};
use selpay_kiosk::merchant::store::requests::{self, Books, Deadlines};
use selpay_kiosk::merchant::store::sql::Failed;
use selpay_kiosk::sale::SaleStatus;

use super::{CLAIM_TIME, Died, Held, Question, Reply, Stands, Store};
use crate::dice::Dice;
use crate::story::Torn;

#[derive(Default)]
struct MemoryBooks {
    now: i64,
    /// In the order in which they began; everything else names a sale by its place here.
    sales: Vec<Sale>,
    places: FxHashMap<SaleId, usize>,
    orders: FxHashMap<OrderNo, usize>,
    payments: FxHashMap<TransactionId, Booked>,
    /// Everything that has become of payments, oldest first.
    lines: Vec<(TransactionId, Disposition)>,
    /// The sales that have not ended: all others are history.
    live: Vec<usize>,
}

/// A change did not find what it was decided on.
type Void = Failed;
const VOID: Void = Failed::Stale;

impl MemoryBooks {
    fn place(&self, sale: SaleId) -> Result<usize, Void> {
        self.places.get(&sale).copied().ok_or(VOID)
    }

    fn standing(&mut self, sale: SaleId, from: SaleStatus) -> Result<&mut Sale, Void> {
        let place = self.place(sale)?;
        let sale = &mut self.sales[place];
        if sale.status == from {
            Ok(sale)
        } else {
            Err(VOID)
        }
    }

    fn dispose(&mut self, transaction: TransactionId, to: Disposition) -> Result<(), Void> {
        let booked = self.payments.get_mut(&transaction).ok_or(VOID)?;
        booked.disposition = to;
        self.lines.push((transaction, to));
        for place in self.live.iter().chain(self.orders.get(&booked.order)) {
            let sale = &mut self.sales[*place];
            if sale.paid.is_some_and(|(paid_by, _)| paid_by == transaction) {
                sale.disposition = Some(to);
            }
        }
        Ok(())
    }

    fn make_one(&mut self, change: &Change) -> Result<(), Void> {
        let now = Time(self.now);
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
                let place = self.sales.len();
                self.sales.push(new);
                self.live.push(place);
                match self.places.insert(*sale, place) {
                    None => Ok(()),
                    Some(_) => Err(VOID),
                }
            }
            Change::NewOrder { order, sale } => {
                let place = self.place(*sale)?;
                self.sales[place].orders.push(*order);
                match self.orders.insert(*order, place) {
                    None => Ok(()),
                    Some(_) => Err(VOID),
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
                self.lines.push((payment.transaction, *disposition));
                match self.payments.insert(payment.transaction, booked) {
                    None => Ok(()),
                    Some(_) => Err(VOID),
                }
            }
            Change::Disposed { transaction, to } => self.dispose(*transaction, *to),
            Change::Paid { sale, transaction } => {
                let disposition = self
                    .payments
                    .get(transaction)
                    .map(|booked| booked.disposition);
                let sale = self.standing(*sale, SaleStatus::Open)?;
                sale.status = SaleStatus::Paid;
                sale.paid = Some((*transaction, now));
                sale.disposition = disposition;
                Ok(())
            }
            Change::Claimed { sale, claim } => {
                let sale = self.standing(*sale, SaleStatus::Paid)?;
                sale.status = SaleStatus::Claimed;
                sale.claim = Some((*claim, now));
                Ok(())
            }
            Change::Ended { sale, from, to } => {
                self.standing(*sale, *from)?.status = *to;
                let place = self.place(*sale)?;
                self.live.retain(|live| *live != place);
                Ok(())
            }
        }
    }

    fn found(&self, wanted: impl Fn(&Sale) -> bool) -> Vec<Sale> {
        let live = self.live.iter().map(|place| &self.sales[*place]);
        live.filter(|sale| wanted(sale)).cloned().collect()
    }
}

impl Books for MemoryBooks {
    type Error = Void;

    fn now(&self) -> Time {
        Time(self.now)
    }

    fn sale(&self, sale: SaleId) -> Result<Option<Sale>, Void> {
        Ok(self
            .places
            .get(&sale)
            .map(|place| self.sales[*place].clone()))
    }

    fn sale_of(&self, order: OrderNo) -> Result<Option<Sale>, Void> {
        Ok(self
            .orders
            .get(&order)
            .map(|place| self.sales[*place].clone()))
    }

    fn payment(&self, transaction: TransactionId) -> Result<Option<Booked>, Void> {
        Ok(self.payments.get(&transaction).cloned())
    }

    fn gaps(&self) -> Result<Vec<Gap>, Void> {
        Ok(Vec::new())
    }

    fn payments_of(&self, order: OrderNo) -> Result<Vec<Booked>, Void> {
        let on_it = self
            .payments
            .values()
            .filter(|booked| booked.order == order);
        let mut on_it: Vec<Booked> = on_it.cloned().collect();
        // As they came.
        on_it.sort_by_key(|booked| {
            self.lines
                .iter()
                .position(|line| line.0 == booked.transaction)
        });
        Ok(on_it)
    }

    fn live(
        &self,
        kiosk: KioskName,
        after: Option<SaleId>,
        most: usize,
    ) -> Result<Vec<Sale>, Void> {
        let mut live = self.found(|sale| sale.kiosk == kiosk);
        live.sort_unstable_by_key(|sale| (sale.began, sale.id));
        if let Some(after) = after {
            let Some(place) = self.places.get(&after) else {
                return Ok(Vec::new());
            };
            let after = (self.sales[*place].began, after);
            live.retain(|sale| (sale.began, sale.id) > after);
        }
        live.truncate(most);
        Ok(live)
    }

    fn overdue(&self, deadlines: Deadlines) -> Result<Vec<Sale>, Void> {
        Ok(self.found(|sale| match sale.status {
            SaleStatus::Open => sale.began <= deadlines.asked,
            SaleStatus::Paid => sale.paid.is_some_and(|(_, at)| at <= deadlines.paid),
            SaleStatus::Claimed => {
                let is_waiting = sale.disposition == Some(Disposition::Waiting);
                is_waiting && sale.claim.is_some_and(|(_, at)| at <= deadlines.claimed)
            }
            _ => false,
        }))
    }

    fn make(&mut self, changes: &[Change], _body: &[u8]) -> Result<(), Void> {
        changes.iter().try_for_each(|change| self.make_one(change))
    }
}

/// The books, and the power that may go before a commit or behind it.
pub struct MemoryStore {
    kiosk: KioskName,
    books: MemoryBooks,
    steps: u64,
    cut_at: Option<u64>,
    died: bool,
}

impl MemoryStore {
    pub fn new(kiosk: KioskName) -> MemoryStore {
        MemoryStore {
            kiosk,
            books: MemoryBooks::default(),
            steps: 0,
            cut_at: None,
            died: false,
        }
    }

    fn step(&mut self) -> Result<(), Died> {
        self.steps += 1;
        self.died |= self.cut_at.is_some_and(|cut_at| self.steps >= cut_at);
        if self.died { Err(Died) } else { Ok(()) }
    }
}

impl Store for MemoryStore {
    fn commit(
        &mut self,
        now: u64,
        questions: &[Question],
        answer: &mut dyn FnMut(usize, Reply),
    ) -> Result<(), Died> {
        self.step()?;
        self.books.now = now as i64;
        let replies: Vec<Reply> = questions
            .iter()
            .map(|question| {
                let reply = question.answer(self.kiosk, &mut self.books);
                reply.expect("memory refuses nothing")
            })
            .collect();
        self.step()?;
        for (place, reply) in replies.into_iter().enumerate() {
            answer(place, reply);
        }
        Ok(())
    }

    fn ask(&mut self, now: u64, question: &Question) -> Reply {
        self.books.now = now as i64;
        let reply = question.answer(self.kiosk, &mut self.books);
        reply.expect("memory refuses nothing")
    }

    fn is_live(&mut self) -> bool {
        !self.books.live.is_empty()
    }

    fn is_overdue(&mut self, now: u64) -> bool {
        self.books.now = now as i64;
        let overdue = requests::overdue(&self.books, CLAIM_TIME);
        !overdue.expect("memory refuses nothing").is_empty()
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn cut_at(&mut self, step: Option<u64>) {
        self.cut_at = step;
    }

    fn restart(&mut self, _: Torn, _: &mut Dice) {
        self.cut_at = None;
        self.died = false;
    }

    fn lines(&mut self, from: usize, line: &mut dyn FnMut(TransactionId, Stands)) {
        for (transaction, disposition) in &self.books.lines[from..] {
            let (state, reason) = disposition.words();
            line(*transaction, Stands::read(state, reason));
        }
    }

    fn sale(&mut self, sale: SaleId) -> Option<Held> {
        let place = self.books.places.get(&sale)?;
        Some(held(&self.books.sales[*place]))
    }

    fn sales(&mut self) -> Vec<(SaleId, Held)> {
        let sales = self.books.sales.iter();
        sales.map(|sale| (sale.id, held(sale))).collect()
    }

    fn payments(&mut self) -> Vec<(TransactionId, OrderNo, u64)> {
        let payments = self.books.payments.values();
        payments
            .map(|booked| {
                // What is paid in another currency is no fen.
                let fen = booked.fee_type.as_ref().map_or(booked.total, |_| 0);
                (booked.transaction, booked.order, fen)
            })
            .collect()
    }

    fn balance(&mut self) -> Option<(bool, u64)> {
        None
    }
}

fn held(sale: &Sale) -> Held {
    Held {
        status: sale.status,
        total: u64::from(sale.total.get()),
        orders: sale.orders.clone(),
        paid_by: sale.paid.map(|(transaction, _)| transaction),
        claim: sale.claim.map(|(claim, _)| claim),
    }
}
