//! What must never happen (DESIGN.md, section 2), checked after every event. It shares no code with the product: it keeps
//! its own lists, and reads the books only to compare.

use std::collections::{BTreeMap, BTreeSet};

use selpay_kiosk::ids::{OrderNo, SaleId, TransactionId};
use selpay_kiosk::merchant::ledger::{Disposition, Doubt};
use selpay_kiosk::money::Fen;
use selpay_kiosk::sale::{Outcome, SaleStatus};
use selpay_kiosk::selpay::notification::Payment;

use crate::memory::MemoryBooks;

#[derive(Default)]
pub struct Oracle {
    /// Every payment that a customer has made: number and amount.
    paid: BTreeMap<TransactionId, (OrderNo, u64)>,
    /// Those of which the merchant was told.
    notified: BTreeSet<TransactionId>,
    /// Every sale for which the relay has moved.
    pulsed: BTreeMap<SaleId, u32>,
    /// Every sale of which the kiosk has told, or tried to tell, that its goods came out.
    told: BTreeSet<SaleId>,
    pulses: u32,
    thanks: u32,
    /// The last that was seen to become of each payment.
    seen: BTreeMap<TransactionId, usize>,
}

impl Oracle {
    pub fn paid(&mut self, transaction: TransactionId, order: OrderNo, total: u64) {
        self.paid.insert(transaction, (order, total));
    }

    pub fn notified(&mut self, payment: &Payment, success: bool) {
        let known = self.paid.get(&payment.transaction);
        assert_eq!(
            known,
            Some(&(payment.order, payment.total)),
            "the platform tells the truth here"
        );
        self.notified.insert(payment.transaction);
        let _ = success;
    }

    /// The relay moves.
    pub fn pulses(&mut self, sale: SaleId, total: Fen, books: &MemoryBooks) {
        self.pulses += 1;
        let times = self.pulsed.entry(sale).or_default();
        *times += 1;
        assert_eq!(*times, 1, "G2: {sale} was dispensed {times} times");
        let held = books
            .sales
            .get(&sale)
            .unwrap_or_else(|| panic!("G1: nobody knows {sale}"));
        assert_eq!(
            held.status,
            SaleStatus::Claimed,
            "G1: {sale} moves the relay without a claim"
        );
        assert_eq!(held.total, total, "G1: {sale} has another amount");
        let exact = |(transaction, (order, paid)): (&TransactionId, &(OrderNo, u64))| {
            self.notified.contains(transaction)
                && held.orders.contains(order)
                && *paid == u64::from(total.get())
        };
        assert!(
            self.paid.iter().any(exact),
            "G1, M6: nobody has paid {total} for {sale}"
        );
    }

    /// The kiosk is sure, and has it on its disk: from now on it must not forget.
    pub fn tells(&mut self, sale: SaleId, outcome: Outcome) {
        if outcome == Outcome::Dispensed {
            assert!(self.pulsed.contains_key(&sale), "G5: {sale} never came out");
            self.told.insert(sale);
        }
    }

    pub fn thanks(&mut self) {
        self.thanks += 1;
        assert!(self.thanks <= self.pulses, "G5: thanked for nothing");
    }

    /// After every event.
    pub fn look(&mut self, books: &MemoryBooks) {
        for (transaction, (booked, history)) in &books.payments {
            let seen = self.seen.entry(*transaction).or_default();
            if *seen == history.len() {
                continue;
            }
            let (order, total) = self
                .paid
                .get(transaction)
                .expect("M7: a payment that nobody made");
            assert_eq!(
                (*order, *total),
                (booked.order, booked.total),
                "M5: {transaction}"
            );
            // M3: what is terminal stays.
            for pair in history.windows(2) {
                let is_terminal = matches!(pair[0], Disposition::Dispensed | Disposition::Refunded);
                assert!(!is_terminal, "M3: {transaction}: {history:?}");
            }
            *seen = history.len();
        }
    }

    /// All has healed, and four hours have passed. The kiosk was switched on so many times.
    pub fn at_the_end(&self, books: &MemoryBooks, boots: u32) {
        for transaction in &self.notified {
            assert!(
                books.payments.contains_key(transaction),
                "M8: {transaction} was dropped"
            );
        }
        let mut dispensed: BTreeMap<SaleId, u32> = BTreeMap::new();
        for (transaction, (booked, history)) in &books.payments {
            let silent = booked.disposition == Disposition::Review(Doubt::Silent);
            assert!(
                !silent || boots > 1,
                "{transaction}: a kiosk that never lost its power was not heard of"
            );
            let waiting = booked.disposition == Disposition::Waiting;
            assert!(
                !waiting,
                "L2, M2: {transaction} waits for ever: {history:?}"
            );
            let sale = books
                .sales
                .values()
                .find(|sale| sale.orders.contains(&booked.order));
            if booked.disposition == Disposition::Dispensed {
                let sale = sale.expect("M6: dispensed for nothing");
                *dispensed.entry(sale.id).or_default() += 1;
            }
        }
        for (sale, payments) in &dispensed {
            assert_eq!(*payments, 1, "two payments bought {sale}");
            assert!(
                self.pulsed.contains_key(sale),
                "{sale} is booked as dispensed, but nothing moved"
            );
        }
        for sale in self.pulsed.keys() {
            let held = &books.sales[sale];
            let (paid_by, _) = held.paid.expect("it was claimed");
            let fate = books.payments[&paid_by].0.disposition;
            let forgotten = self.told.contains(sale) && fate != Disposition::Dispensed;
            assert!(
                !forgotten,
                "{sale}: the kiosk knew that it came out, the books say {fate:?}"
            );
            let is_told = matches!(fate, Disposition::Dispensed | Disposition::Review(_));
            assert!(
                is_told,
                "{sale} came out, but its payment is {fate:?}: free goods"
            );
        }
        for sale in books.sales.values() {
            let is_live = matches!(sale.status, SaleStatus::Paid);
            assert!(!is_live, "L2: {} is {} for ever", sale.id, sale.status);
        }
    }

    pub fn dispensed(&self) -> u32 {
        self.pulses
    }
}
