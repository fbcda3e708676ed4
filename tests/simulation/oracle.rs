//! What must never happen (docs/architecture.md, Promises), checked after every event. It shares no code with the product: it keeps
//! its own lists, and reads the books only to compare.

use rustc_hash::{FxHashMap, FxHashSet};
use selpay_kiosk::ids::{ClaimId, OrderNo, SaleCode, SaleId, TransactionId};
use selpay_kiosk::kiosk::machine::screen::{Failure, Screen};
use selpay_kiosk::money::Fen;
use selpay_kiosk::sale::{Outcome, SaleStatus};

use crate::books::{CLAIM_TIME, Held, Question, Reply, Stands, Store};

#[derive(Default)]
pub struct Oracle {
    /// Every payment that a customer has made: number and amount.
    paid: FxHashMap<TransactionId, (OrderNo, u64)>,
    /// Those of which the merchant was told, in words that it must have understood.
    told: FxHashSet<TransactionId>,
    /// Those that the merchant has answered `success` for.
    acknowledged: FxHashSet<TransactionId>,
    /// How many lines of the books were read, and where they leave each payment.
    lines: usize,
    stands: FxHashMap<TransactionId, Stands>,
    /// When each payment was first seen to wait for its claim.
    waits_since: FxHashMap<TransactionId, u64>,
    /// Since when the payment waits whose sale is being claimed for the first time.
    deadline_of: Option<u64>,
    granted: FxHashMap<SaleId, ClaimId>,
    /// Every sale whose end was answered for, and the end.
    ended: FxHashMap<SaleId, SaleStatus>,
    registered: FxHashMap<OrderNo, SaleId>,
    /// Every number that the kiosk has begun to register, and the sale it is for.
    placed: FxHashMap<OrderNo, SaleId>,
    /// Every sale of which the kiosk has begun to register a number.
    begun: FxHashSet<SaleId>,
    /// The one that was begun last: whoever stands there now, stands there for this one.
    last_begun: Option<SaleId>,
    /// Every sale for which a relay has moved, and for how much.
    pulsed: FxHashMap<SaleId, Fen>,
    /// Every sale of which the kiosk has told, or tried to tell, that its goods came out.
    reported: FxHashSet<SaleId>,
    /// The sale that the customer stands before, and whether a code of it was shown.
    current: Option<SaleId>,
    code_shown: bool,
    /// A disk that lies, rots or is put back forgets what it was told.
    pub disk_is_dishonest: bool,
    /// A second kiosk was, or may have been, granted a claim, and says nothing of what came of it.
    pub rival_was_granted: bool,
    /// A number was registered when nobody waited for it any more: its sale may stay open until the kiosk starts again.
    pub has_straggled: bool,
    /// Whether the kiosk asks for an amount.
    is_selling: bool,
    /// The longest that a payment has waited for its goods, in milliseconds.
    pub slowest: u64,
}

impl Oracle {
    pub fn paid(&mut self, transaction: TransactionId, order: OrderNo, total: u64) {
        self.paid.insert(transaction, (order, total));
    }

    /// The platform's notification of a payment has arrived whole, and was answered.
    pub fn told(&mut self, transaction: TransactionId, success: bool) {
        self.told.insert(transaction);
        if success {
            self.acknowledged.insert(transaction);
        }
    }

    /// A notification that the platform did not send was answered.
    pub fn told_nonsense(&mut self, success: bool) {
        assert!(!success, "M7: what nobody signed was answered success");
    }

    /// A kiosk asks the merchant, which has not looked yet.
    pub fn asked(&mut self, question: &Question, store: &mut dyn Store) {
        self.deadline_of = None;
        if let Question::Claim(sale, _) = question {
            let held = store.sale(*sale).filter(|held| held.claim.is_none());
            let paid_by = held.and_then(|held| held.paid_by);
            self.deadline_of = paid_by.and_then(|paid_by| self.waits_since.get(&paid_by).copied());
        }
    }

    /// The merchant has answered a kiosk.
    pub fn answered(
        &mut self,
        now: u64,
        question: &Question,
        reply: &Reply,
        store: &mut dyn Store,
    ) {
        match (question, reply) {
            (Question::Register(order, wanted), Reply::Registered(Ok(()))) => {
                self.registered.insert(*order, wanted.sale);
            }
            (Question::Claim(sale, claim), Reply::Sale(Some(Ok(())))) => {
                let first = *self.granted.entry(*sale).or_insert(*claim);
                assert_eq!(first, *claim, "G2: {sale} was granted to two claims");
                if let Some(since) = self.deadline_of.take() {
                    let waited = now - since;
                    let deadline = CLAIM_TIME.as_millis() as u64;
                    assert!(
                        waited < deadline,
                        "G3: {sale} was claimed after {waited} ms"
                    );
                }
            }
            (Question::Close(sale), Reply::Sale(Some(Ok(())))) => {
                self.ended.insert(*sale, SaleStatus::Closed);
                let status = store.sale(*sale).map(|held| held.status);
                let is_closed = status == Some(SaleStatus::Closed);
                assert!(
                    is_closed,
                    "G5: told that {sale} is closed, it is {status:?}"
                );
            }
            (Question::Report(sale, report), Reply::Sale(Some(Ok(())))) => {
                let end = match report.outcome {
                    Outcome::Dispensed => SaleStatus::Dispensed,
                    Outcome::NotDispensed => SaleStatus::NotDispensed,
                    Outcome::Unknown => SaleStatus::Unknown,
                };
                self.ended.insert(*sale, end);
            }
            _ => {}
        }
    }

    /// A relay moves: ours, or a rival's of our name.
    pub fn pulses(&mut self, now: u64, sale: SaleId, total: Fen, held: Option<Held>) {
        assert!(
            self.last_begun.is_none_or(|last| last == sale) || self.disk_is_dishonest,
            "G5: the goods of {sale} come out before the next customer"
        );
        let before = self.pulsed.insert(sale, total);
        assert!(before.is_none(), "G2: {sale} was dispensed twice");
        assert!(
            self.granted.contains_key(&sale),
            "G1: {sale} moves the relay without a claim"
        );
        let Some(held) = held else {
            // The merchant's power is off: its books are looked at later.
            return;
        };
        let paid_by = self.is_paid_for(sale, total, &held);
        if let Some(since) = self.waits_since.get(&paid_by) {
            self.slowest = self.slowest.max(now - since);
        }
    }

    /// The relay moves for exactly what was paid; by which payment.
    fn is_paid_for(&self, sale: SaleId, total: Fen, held: &Held) -> TransactionId {
        assert_eq!(
            held.total,
            u64::from(total.get()),
            "G1: {sale} has another amount"
        );
        let paid_by = held.paid_by.expect("G1: nobody has paid");
        let (order, paid) = self
            .paid
            .get(&paid_by)
            .expect("M7: a payment that nobody made");
        assert!(
            held.orders.contains(order),
            "M6: {sale} was not paid, but {order}"
        );
        assert_eq!(*paid, held.total, "M6: another amount has bought {sale}");
        paid_by
    }

    /// The kiosk is about to register a number.
    pub fn places(&mut self, order: OrderNo, sale: SaleId) {
        if self.begun.insert(sale) {
            self.last_begun = Some(sale);
        }
        self.placed.insert(order, sale);
        self.concerns(sale);
    }

    /// The kiosk is about to ask about this sale.
    pub fn concerns(&mut self, sale: SaleId) {
        if self.current != Some(sale) {
            (self.current, self.code_shown) = (Some(sale), false);
        }
    }

    /// The kiosk is sure, and has it on its disk: from now on it must not forget.
    pub fn reports(&mut self, sale: SaleId, outcome: Outcome) {
        if outcome == Outcome::Dispensed {
            assert!(self.pulsed.contains_key(&sale), "G5: {sale} never came out");
            self.reported.insert(sale);
        }
        if outcome == Outcome::NotDispensed {
            assert!(
                !self.pulsed.contains_key(&sale) || self.is_excused(),
                "G5: {sale} came out"
            );
        }
    }

    /// What the customer is told is true (G5).
    pub fn shows(&mut self, screen: &Screen, held: impl FnOnce(SaleId) -> Option<Held>) {
        self.is_selling = matches!(screen, Screen::Amount { .. });
        let Some(sale) = self.current else {
            return;
        };
        let status = |held: Option<Held>| held.map(|held| held.status);
        match screen {
            Screen::Pay { total, order, .. } => {
                self.code_shown = true;
                assert_eq!(
                    self.registered.get(order),
                    Some(&sale),
                    "G5: a code shows that the merchant does not hold"
                );
                let asked = held(sale).map(|held| held.total);
                let is_exact = asked.is_none_or(|asked| asked == u64::from(total.get()));
                assert!(is_exact, "G5: {sale} costs {asked:?}, and {total} shows");
            }
            Screen::ThankYou { .. } => {
                assert!(self.pulsed.contains_key(&sale), "G5: thanked for nothing");
            }
            Screen::Paid { .. } => {
                let is_claimed = self.granted.contains_key(&sale);
                assert!(is_claimed, "G5: {sale} is shown as paid, and not claimed");
            }
            Screen::NotPaid { reference, .. } => {
                let status = status(held(sale));
                let is_true = status.is_none_or(|status| status == SaleStatus::Closed);
                assert!(is_true, "G5: {sale} is shown as not paid");
                let is_ours = *reference == SaleCode::of(sale);
                assert!(is_ours, "G5: the reference is another sale's");
            }
            Screen::CouldNot {
                what, reference, ..
            } => {
                let is_told = reference.is_some() || !self.code_shown || self.disk_is_dishonest;
                assert!(is_told, "G5: a code was shown, and no reference is given");
                let is_ours = reference.is_none_or(|code| code == SaleCode::of(sale));
                assert!(is_ours, "G5: the reference is another sale's");
                self.could_not(sale, *what, status(held(sale)));
            }
            Screen::Amount { .. } | Screen::OneMoment { .. } | Screen::OutOfService { .. } => {}
        }
    }

    fn could_not(&self, sale: SaleId, what: Failure, status: Option<SaleStatus>) {
        let is_out = self.pulsed.contains_key(&sale);
        match what {
            Failure::NoAnswer | Failure::Refused => {
                // Somebody may pay a number whose code was never shown: nobody knows how.
                let is_true = !self.is_charged(sale) || !self.code_shown || self.disk_is_dishonest;
                assert!(is_true, "G5: {sale} is told as not charged");
            }
            Failure::OtherAmount => {
                assert!(self.is_charged(sale), "G5: nothing was paid for {sale}");
            }
            Failure::TooLate => {
                let ended = [SaleStatus::Paid, SaleStatus::Expired];
                let is_late = status == Some(SaleStatus::Closed) && self.is_charged(sale);
                let is_true = is_late || status.is_none_or(|status| ended.contains(&status));
                assert!(
                    is_true && !is_out,
                    "G5: {sale} was not too late: {status:?}"
                );
            }
            Failure::NotDispensed => {
                assert!(!is_out || self.is_excused(), "G5: {sale} came out");
            }
            Failure::InDoubt | Failure::Unknown => {}
        }
    }

    fn is_charged(&self, sale: SaleId) -> bool {
        let mut paid = self.paid.values();
        paid.any(|(order, _)| self.placed.get(order) == Some(&sale))
    }

    /// After every commit.
    pub fn look(&mut self, now: u64, store: &mut dyn Store) {
        let Oracle {
            paid,
            stands,
            lines,
            waits_since,
            ..
        } = self;
        store.lines(*lines, &mut |transaction, stand| {
            *lines += 1;
            assert!(
                paid.contains_key(&transaction),
                "M7: a payment that nobody made"
            );
            let before = stands.insert(transaction, stand);
            // M3: what is terminal stays.
            let was_terminal = matches!(before, Some(Stands::Dispensed | Stands::Refunded));
            assert!(
                !was_terminal,
                "M3: {transaction} was {before:?}, is {stand:?}"
            );
            if stand == Stands::Waiting {
                waits_since.entry(transaction).or_insert(now);
            }
        });
    }

    /// The merchant's power is back: nothing that it has answered for may be gone.
    pub fn restarted(&mut self, now: u64, store: &mut dyn Store) {
        self.lines = 0;
        self.stands.clear();
        self.look(now, store);
        for transaction in &self.acknowledged {
            let is_known = self.stands.contains_key(transaction);
            assert!(
                is_known,
                "M1: {transaction} was answered success and is gone"
            );
        }
        self.all_is_kept(&store.sales().into_iter().collect());
    }

    /// What a kiosk was answered about its sales still holds.
    fn all_is_kept(&self, sales: &FxHashMap<SaleId, Held>) {
        for (order, sale) in &self.registered {
            let is_known = sales
                .get(sale)
                .is_some_and(|held| held.orders.contains(order));
            assert!(is_known, "{order} was registered, and is gone");
        }
        for (sale, claim) in &self.granted {
            let is_known = sales
                .get(sale)
                .is_some_and(|held| held.claim == Some(*claim));
            assert!(is_known, "G2: a granted claim of {sale} is gone");
        }
        for (sale, end) in &self.ended {
            let status = sales.get(sale).map(|held| held.status);
            assert!(
                status == Some(*end),
                "{sale} was answered to be {end:?}, which is gone: it is {status:?}"
            );
        }
    }

    fn is_excused(&self) -> bool {
        self.disk_is_dishonest || self.rival_was_granted
    }

    /// All has healed, and four hours have passed. Whether the kiosk has ever lost its power.
    pub fn at_the_end(&mut self, now: u64, store: &mut dyn Store, was_cut: bool) {
        self.look(now, store);
        let payments = store.payments();
        let sales: FxHashMap<SaleId, Held> = store.sales().into_iter().collect();
        let mut sum = 0;
        for (transaction, order, total) in &payments {
            assert_eq!(
                self.paid.get(transaction),
                Some(&(*order, *total)),
                "M5: {transaction}"
            );
            sum += total;
            let stands = self.stands.get(transaction);
            let stands = stands.unwrap_or_else(|| panic!("M3: {transaction} has no disposition"));
            match stands {
                Stands::Waiting => panic!("L2, M2: {transaction} waits for ever"),
                Stands::Review { silent: true } => assert!(
                    self.is_excused(),
                    "{transaction}: an honest kiosk was not heard of"
                ),
                Stands::Review { silent: false } => {
                    assert!(was_cut, "{transaction}: who did not know what came out?");
                }
                Stands::Dispensed | Stands::RefundDue | Stands::Refunded => {}
            }
        }
        assert_eq!(
            payments.len(),
            self.stands.len(),
            "M2: a line without a payment"
        );
        if let Some((holds, verified)) = store.balance() {
            assert!(holds, "M2: the product's own equation does not hold");
            assert_eq!(verified, sum, "M2");
        }
        for transaction in &self.told {
            assert!(
                self.stands.contains_key(transaction),
                "M8: {transaction} was dropped"
            );
        }
        self.all_is_kept(&sales);
        let sale_of: FxHashMap<OrderNo, SaleId> = sales
            .iter()
            .flat_map(|(sale, held)| held.orders.iter().map(|order| (*order, *sale)))
            .collect();
        let mut bought: FxHashMap<SaleId, u32> = FxHashMap::default();
        for (transaction, order, _) in &payments {
            if self.stands[transaction] == Stands::Dispensed {
                let sale = sale_of.get(order).expect("M6: dispensed for nothing");
                *bought.entry(*sale).or_default() += 1;
            }
        }
        for (sale, payments) in &bought {
            assert_eq!(*payments, 1, "M3: two payments bought {sale}");
            assert!(
                self.pulsed.contains_key(sale),
                "{sale} is booked as dispensed, but nothing moved"
            );
        }
        for (sale, total) in &self.pulsed {
            let paid_by = self.is_paid_for(*sale, *total, &sales[sale]);
            let stands = self.stands[&paid_by];
            let forgotten = self.reported.contains(sale) && stands != Stands::Dispensed;
            assert!(
                !forgotten || self.is_excused(),
                "{sale}: the kiosk knew that it came out, the books say {stands:?}"
            );
            let is_told = matches!(stands, Stands::Dispensed | Stands::Review { .. });
            // A disk that was put back from between the claim and the pulse knows of no pulse (README.md, Limits).
            assert!(
                is_told || self.disk_is_dishonest,
                "{sale} came out, but its payment is {stands:?}: free goods"
            );
        }
        for (sale, held) in &sales {
            assert_ne!(held.status, SaleStatus::Paid, "L2: {sale} is paid for ever");
            let is_left = held.status == SaleStatus::Open;
            assert!(
                !is_left || self.has_straggled || self.is_excused(),
                "L2: {sale} is open for ever"
            );
        }
        assert!(
            self.is_selling || self.disk_is_dishonest,
            "L2: all is well, and the kiosk does not sell"
        );
    }

    pub fn dispensed(&self) -> u64 {
        self.pulsed.len() as u64
    }
}
