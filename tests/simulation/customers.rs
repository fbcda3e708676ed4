//! The customers: each does what was planned once the code shows.

use selpay_kiosk::ids::OrderNo;
use selpay_kiosk::kiosk::machine::event::Key;
use selpay_kiosk::kiosk::machine::screen::Screen;

use crate::platform::Purchase;
use crate::story::Plan;
use crate::world::{Happening, Partition, World};

/// A customer who has left, at the latest; the next comes.
const VISIT_TIME: u64 = 400_000;
const AMOUNTS: [(&str, u64); 3] = [("3.50", 350), ("12", 1200), (".01", 1)];

/// One customer.
pub struct Visit {
    plan: Plan,
    total: u64,
    /// The codes that were shown, oldest first.
    codes: Vec<OrderNo>,
    /// How many more new codes are wanted.
    more_codes: u32,
    is_over: bool,
}

impl World {
    /// Somebody comes and types an amount; or it is the end.
    pub fn visit(&mut self) {
        if let Some(visit) = self.visits.last_mut() {
            visit.is_over = true;
        }
        let place = self.visits.len();
        let Some(plan) = self.plans.get(place).copied() else {
            return;
        };
        let (amount, total) = match self.plans.len() {
            1 => AMOUNTS[0],
            _ => self.dice.pick(&AMOUNTS),
        };
        self.note("visit", place as u64);
        self.visits.push(Visit {
            plan,
            total,
            codes: Vec::new(),
            more_codes: if plan == Plan::PaysTheLastOfMany {
                9
            } else {
                1
            },
            is_over: false,
        });
        if self.fails(self.faults.partition) {
            let length = self.dice.within(1_000, 300_000);
            self.partition = Partition {
                from: self.now,
                until: self.now + length,
                spares: self.dice.pick(&[None, Some(false), Some(true)]),
            };
        }
        if self.fails(self.faults.stranger) {
            let order = OrderNo::from_random(u128::from(self.dice.draw()));
            let purchase = Purchase {
                order,
                total: 1,
                succeeds: true,
            };
            self.purchase(purchase);
        }
        if self.faults.restored > 0 && self.fails(200) {
            self.disk.is_copied();
        }
        if self.fails(self.faults.restart) {
            let moment = self.dice.within(0, 30_000);
            self.after(moment, Happening::Restart);
        }
        let mut moment = 0;
        for key in ["C", amount, "#"].concat().chars() {
            moment += self.dice.within(200, 900);
            self.after(moment, Happening::Key(key));
        }
        let heals = place + 1 == self.plans.len();
        let next = if heals {
            Happening::Heals
        } else {
            Happening::Visit { nth: place + 1 }
        };
        self.after(VISIT_TIME, next);
    }

    /// What the customer sees.
    pub fn seen(&mut self, screen: &Screen) {
        match screen {
            Screen::Pay { order, .. } => self.code(*order),
            Screen::ThankYou { .. } | Screen::NotPaid { .. } | Screen::CouldNot { .. } => {
                let nth = self.visits.len();
                let Some(visit) = self.visits.last_mut().filter(|visit| !visit.is_over) else {
                    return;
                };
                visit.is_over = true;
                if nth < self.plans.len() {
                    let pause = self.dice.within(3_000, 10_000);
                    self.after(pause, Happening::Visit { nth });
                }
            }
            _ => {}
        }
    }

    /// A code shows.
    fn code(&mut self, order: OrderNo) {
        let Some(nth) = self.visits.len().checked_sub(1) else {
            return;
        };
        let visit = &mut self.visits[nth];
        if visit.codes.contains(&order) {
            return;
        }
        visit.codes.push(order);
        let (plan, total) = (visit.plan, visit.total);
        let is_first = visit.codes.len() == 1;
        if self.fails(self.faults.forgery) {
            self.forges(order, total);
        }
        let wants_more = matches!(
            plan,
            Plan::PaysTheOlder | Plan::PaysTheNewer | Plan::PaysBoth | Plan::PaysTheLastOfMany
        );
        let visit = &mut self.visits[nth];
        if wants_more && visit.more_codes > 0 {
            visit.more_codes -= 1;
            self.after(1_000, Happening::Key('R'));
        }
        if !is_first {
            return;
        }
        let soon = self.dice.within(1_500, 20_000);
        let pays = |newest| Happening::Pays {
            nth,
            newest,
            total,
            succeeds: true,
        };
        match plan {
            Plan::PaysAtOnce => self.after(soon, pays(false)),
            Plan::PaysLate => {
                let late = self.dice.within(60_000, 119_000);
                self.after(late, pays(false));
            }
            Plan::NeverPays => {}
            Plan::Cancels => self.after(soon, Happening::Key('C')),
            Plan::PaysTheOlder | Plan::PaysTheNewer | Plan::PaysBoth => {
                let later = soon + 2_000;
                if plan != Plan::PaysTheNewer {
                    self.after(later, pays(false));
                }
                if plan != Plan::PaysTheOlder {
                    self.after(later + 10, pays(true));
                }
            }
            Plan::PaysTheLastOfMany => self.after(soon + 25_000, pays(true)),
            Plan::PaysTwice => {
                self.after(soon, pays(false));
                self.after(soon + 5, pays(false));
            }
            Plan::PaysAtTheClose => {
                self.after(soon, Happening::Key('C'));
                let moment = soon + self.dice.within(0, 60);
                self.after(moment, pays(false));
            }
            Plan::PaysAfterLeaving => {
                self.after(soon, Happening::Key('C'));
                let later = soon + self.dice.within(5_000, 200_000);
                self.after(later, pays(false));
            }
            Plan::PaysTooMuch => {
                let total = total + 1;
                self.after(
                    soon,
                    Happening::Pays {
                        nth,
                        newest: false,
                        total,
                        succeeds: true,
                    },
                );
            }
            Plan::PaysAtTheEnd => {
                let moment = 119_900 + self.dice.within(0, 200);
                self.after(moment, pays(false));
            }
            Plan::PaysAtTheSecondTry => {
                self.after(
                    soon,
                    Happening::Pays {
                        nth,
                        newest: false,
                        total,
                        succeeds: false,
                    },
                );
                self.after(soon + 6_000, pays(false));
            }
        }
    }

    /// A customer pays a code that was shown, if the platform knows it.
    pub fn pays(&mut self, nth: usize, newest: bool, total: u64, succeeds: bool) {
        let codes = &self.visits[nth].codes;
        let code = if newest { codes.last() } else { codes.first() };
        let known = code.filter(|order| self.orders.contains_key(order));
        let Some(order) = known.copied() else {
            return;
        };
        let purchase = Purchase {
            order,
            total,
            succeeds,
        };
        self.purchase(purchase);
        if self.fails(self.faults.rival) {
            let moment = self.dice.within(0, 2_000);
            self.after(moment, Happening::Rival);
        }
    }

    pub fn press(&mut self, key: char) {
        self.keys.extend(Key::from_char(key));
    }
}
