//! The platform's bill beside our books: pure. Whatever stands on one side only is found, to the fen.
//!
//! A payment that is only on the bill was made, and its notification never came: its money must go back. Goods are never
//! dispensed for it, its customer has long gone.

pub mod bill;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::ids::TransactionId;
use crate::merchant::reconcile::bill::Entry;

/// A payment as the books hold it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ours {
    /// What was paid, in fen.
    pub total: u64,
    /// `time_end` of its notification, `yyyyMMddHHmmss` at +08:00.
    pub time_end: Option<String>,
}

/// What came of the comparison.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// On both sides, with the same amount.
    pub matched: Tally,
    /// Only on the bill.
    pub bill_only: Vec<Entry>,
    /// Only in the books, though they lie within the bill's time; in fen.
    pub ours_only: Vec<(TransactionId, u64)>,
    /// With another amount than the books have, or than the bill itself has elsewhere: its entry, and the other in fen.
    pub differs: Vec<(Entry, u64)>,
    /// Entries that the bill tells again.
    pub doubled: Vec<Entry>,
}

/// So many payments, and their sum.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// In fen.
    pub total: u64,
}

impl Tally {
    fn add(&mut self, total: u64) {
        self.count += 1;
        self.total += total;
    }

    fn of(totals: impl Iterator<Item = u64>) -> Tally {
        let mut tally = Tally::default();
        totals.for_each(|total| tally.add(total));
        tally
    }
}

/// What a bill came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// On both sides, with the same amount.
    pub matched: Tally,
    /// Only on the bill.
    pub bill_only: Tally,
    /// Only in the books.
    pub ours_only: Tally,
    /// With different amounts; the sum is the books'.
    pub differs: Tally,
    /// Told again by the bill.
    pub doubled: Tally,
    /// How many of those only on the bill wait: their sales are open, and their notifications may still come.
    pub awaited: u64,
    /// How many of those only on the bill are in review: they are of a time that the books do not know.
    pub doubted: u64,
    /// How many of those only on the bill became refunds due.
    pub refunds: u64,
}

/// What a bill says of the books.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Nothing is on one side only.
    Agree,
    /// What is only on the bill is owed to its customers, or in review.
    Owed,
    /// The same bill tells more once no notification comes any more.
    Waits,
    /// Somebody's books are wrong: a person must look.
    Wrong,
}

impl Summary {
    /// Matched, only on the bill, only in the books, with different amounts, told twice: in the order of its fields.
    pub fn tallies(&self) -> [Tally; 5] {
        [
            self.matched,
            self.bill_only,
            self.ours_only,
            self.differs,
            self.doubled,
        ]
    }

    /// What the bill says of the books; the worst of it.
    pub fn verdict(&self) -> Verdict {
        if self.ours_only.count + self.differs.count > 0 {
            Verdict::Wrong
        } else if self.awaited > 0 {
            Verdict::Waits
        } else if self.bill_only.count > 0 {
            Verdict::Owed
        } else {
            Verdict::Agree
        }
    }
}

impl Report {
    /// The same in numbers. What becomes of those only on the bill is not known here.
    pub fn summary(&self) -> Summary {
        Summary {
            matched: self.matched,
            bill_only: Tally::of(self.bill_only.iter().map(|entry| entry.total)),
            ours_only: Tally::of(self.ours_only.iter().map(|(_, total)| *total)),
            differs: Tally::of(self.differs.iter().map(|(_, ours)| *ours)),
            doubled: Tally::of(self.doubled.iter().map(|entry| entry.total)),
            ..Summary::default()
        }
    }
}

/// Holds the bill against the books.
pub fn compare(bill: &[Entry], ours: &HashMap<TransactionId, Ours>) -> Report {
    let mut report = Report::default();
    let mut billed = HashMap::with_capacity(bill.len());
    for entry in bill {
        match billed.insert(entry.transaction, entry.total) {
            None => {}
            Some(total) if total == entry.total => {
                report.doubled.push(entry.clone());
                continue;
            }
            Some(total) => {
                let held = ours.get(&entry.transaction).map(|held| held.total);
                report.differs.push((entry.clone(), held.unwrap_or(total)));
                continue;
            }
        }
        match ours.get(&entry.transaction) {
            None => report.bill_only.push(entry.clone()),
            Some(held) if held.total == entry.total => report.matched.add(entry.total),
            Some(held) => report.differs.push((entry.clone(), held.total)),
        }
    }
    let times = || bill.iter().map(|entry| entry.time_end.as_str());
    if let (Some(first), Some(last)) = (times().min(), times().max()) {
        // Texts of this form sort as the times that they are.
        let within = |held: &Ours| {
            let time = held.time_end.as_deref();
            time.is_some_and(|time| (first..=last).contains(&time))
        };
        let missing = ours
            .iter()
            .filter(|(name, held)| within(held) && !billed.contains_key(*name));
        report
            .ours_only
            .extend(missing.map(|(name, held)| (*name, held.total)));
        report.ours_only.sort();
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::OrderNo;

    fn name(serial: u64) -> TransactionId {
        TransactionId::new(&format!("T{serial:09}")).expect("a name")
    }

    fn entry(serial: u64, total: u64) -> Entry {
        Entry {
            transaction: name(serial),
            order: OrderNo::from_random(serial.into()),
            total,
            time_end: format!("20261123{:06}", serial % 240_000),
        }
    }

    fn held(entry: &Entry) -> (TransactionId, Ours) {
        let ours = Ours {
            total: entry.total,
            time_end: Some(entry.time_end.clone()),
        };
        (entry.transaction, ours)
    }

    #[test]
    fn what_stands_on_one_side_only_is_found_to_the_fen() {
        let bill: Vec<Entry> = (0..1000)
            .map(|serial| entry(serial, 100 + serial))
            .collect();
        let mut ours: HashMap<_, _> = bill.iter().map(held).collect();
        assert_eq!(compare(&bill, &ours).matched.count, 1000);
        ours.remove(&name(7));
        ours.get_mut(&name(8)).expect("held").total += 1;
        ours.extend([held(&entry(240_500, 5))]);
        let other_sum = Entry {
            total: 1,
            ..bill[5].clone()
        };
        let doubled = [bill.clone(), vec![bill[3].clone(), other_sum.clone()]].concat();
        let report = compare(&doubled, &ours);
        assert_eq!(report.bill_only, [bill[7].clone()]);
        assert_eq!(report.differs, [(bill[8].clone(), 109), (other_sum, 105)]);
        assert_eq!(report.ours_only, [(name(240_500), 5)]);
        assert_eq!(report.doubled, [bill[3].clone()]);
        let all: u64 = bill.iter().map(|entry| entry.total).sum();
        let apart = bill[7].total + bill[8].total;
        let matched = Tally {
            count: 998,
            total: all - apart,
        };
        assert_eq!(report.matched, matched);
        let summary = report.summary();
        let counts = summary.tallies().map(|tally| tally.count);
        assert_eq!(counts, [998, 1, 1, 2, 1]);
        assert_eq!(summary.bill_only.total, bill[7].total);
        assert_eq!(summary.verdict(), Verdict::Wrong);
    }

    #[test]
    fn the_worst_is_told() {
        let one = Tally { count: 1, total: 5 };
        let mut summary = Summary::default();
        assert_eq!(summary.verdict(), Verdict::Agree);
        summary.doubled = one;
        assert_eq!(summary.verdict(), Verdict::Agree);
        summary.bill_only = one;
        assert_eq!(summary.verdict(), Verdict::Owed);
        summary.awaited = 1;
        assert_eq!(summary.verdict(), Verdict::Waits);
        let differs = Summary {
            differs: one,
            ..summary
        };
        let ours_only = Summary {
            ours_only: one,
            ..summary
        };
        assert_eq!(differs.verdict(), Verdict::Wrong);
        assert_eq!(ours_only.verdict(), Verdict::Wrong);
    }

    #[test]
    fn what_the_bill_is_not_about_is_not_missed_on_it() {
        let bill: Vec<Entry> = (100..200).map(|serial| entry(serial, 1)).collect();
        let before_and_after = [entry(99, 1), entry(200, 1)];
        let ours = bill.iter().chain(&before_and_after).map(held).collect();
        let report = compare(&bill, &ours);
        assert_eq!(report.matched.count, 100);
        assert_eq!(report.summary().verdict(), Verdict::Agree);
        assert_eq!(
            compare(&[], &ours),
            Report::default(),
            "an empty bill is about nothing"
        );
    }
}
