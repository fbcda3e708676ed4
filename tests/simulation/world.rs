//! The world around the kiosk: time, customers, the network, the platform, the merchant, the power. All from one seed, on
//! one thread, with a clock that only this turns.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use selpay_kiosk::ids::{KioskName, OrderNo, ScanUrl, TransactionId};
use selpay_kiosk::kiosk::journal::Journal;
use selpay_kiosk::kiosk::machine::effect::{Effect, Effects};
use selpay_kiosk::kiosk::machine::event::Key;
use selpay_kiosk::kiosk::machine::screen::{Language, Screen};
use selpay_kiosk::kiosk::machine::{Machine, Settings};
use selpay_kiosk::kiosk::ports::Clock;
use selpay_kiosk::kiosk::runner::{Happening as Happens, Ports, Runner};
use selpay_kiosk::merchant::store::requests;
use selpay_kiosk::money::Fen;
use selpay_kiosk::selpay::notification::Payment;

use crate::dice::Dice;
use crate::kiosk::{Disk, Hardware};
use crate::memory::MemoryBooks;
use crate::oracle::Oracle;

pub const CLAIM_TIME: std::time::Duration = std::time::Duration::from_secs(120);
/// When the platform tries again after a notification that was not answered `success`, in seconds.
const RETRIES: [u64; 9] = [15, 15, 30, 180, 1800, 1800, 1800, 1800, 3600];

/// Between two looks of the merchant's at what is overdue, in milliseconds.
const SWEEP_EVERY: u64 = 5_000;

/// What a customer is going to do once the code shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Plan {
    PaysAtOnce,
    PaysLate,
    NeverPays,
    Cancels,
    /// Asks for a new code, then pays the first.
    PaysTheOlder,
    PaysTheNewer,
    PaysBoth,
    /// Two phones on one code.
    PaysTwice,
    /// Cancels, and pays in the same moment.
    PaysAtTheClose,
    /// Leaves, and pays later.
    PaysAfterLeaving,
    /// Pays another amount: the appKey is public.
    PaysTooMuch,
    /// Pays in the last second of the countdown.
    PaysAtTheEnd,
}

pub const PLANS: [Plan; 12] = [
    Plan::PaysAtOnce,
    Plan::PaysLate,
    Plan::NeverPays,
    Plan::Cancels,
    Plan::PaysTheOlder,
    Plan::PaysTheNewer,
    Plan::PaysBoth,
    Plan::PaysTwice,
    Plan::PaysAtTheClose,
    Plan::PaysAfterLeaving,
    Plan::PaysTooMuch,
    Plan::PaysAtTheEnd,
];

/// How bad the world is: so many times in a thousand.
#[derive(Clone, Copy, Default, Debug)]
pub struct Faults {
    /// A message is lost, on its way there or back.
    pub loss: u64,
    /// A request arrives long after nobody waits for it any more.
    pub straggling: u64,
    /// A message arrives twice.
    pub doubling: u64,
    /// The power goes at one of the steps.
    pub cut: u64,
    /// A notification takes hours.
    pub slow_notification: u64,
    /// Nothing gets through to the merchant for a while, decided at each customer.
    pub partition: u64,
}

impl Faults {
    pub const BAD_DAY: Faults = Faults {
        loss: 60,
        straggling: 20,
        doubling: 40,
        cut: 4,
        slow_notification: 30,
        partition: 40,
    };
}

/// What becomes of a write that the power cut interrupts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Torn {
    Lost,
    /// So many of its bytes.
    After(usize),
    Kept,
}

/// Something that happens at its time.
pub enum Happening {
    /// A customer comes with this plan and types.
    Visit,
    Key(char),
    /// Pays the first code, or the newest, of the running visit.
    Pays {
        newest: bool,
        total: u64,
    },
    /// A notification is on its way, for the so-manieth time.
    Notifies {
        payment: Payment,
        attempt: usize,
    },
    /// A request that straggled.
    Request(crate::kiosk::Request),
    Sweep,
}

pub struct World {
    pub now: u64,
    pub end: u64,
    pub dice: Dice,
    pub faults: Faults,
    pub books: MemoryBooks,
    pub oracle: Oracle,
    pub disk: Vec<u8>,
    pub keys: VecDeque<Key>,
    pub name: KioskName,
    /// The numbers that the platform holds, with their amounts.
    pub platform: HashMap<OrderNo, Fen>,
    /// The codes that the running visit was shown, oldest first.
    pub codes: Vec<OrderNo>,
    /// Until when nothing reaches the merchant.
    pub partition_until: u64,
    /// Steps of input and output so far, and those at which the power goes.
    pub steps: u64,
    pub cuts: Vec<u64>,
    pub torn: Torn,
    pub boots: u32,
    pub visits: u64,
    plans: VecDeque<Plan>,
    plan: Option<Plan>,
    transactions: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    order_of_events: u64,
    pub trace: u64,
    /// Whether everything is printed as it happens.
    pub tells: bool,
}

/// The panic that is no panic: the power goes.
pub struct PowerCut;

#[derive(Clone)]
pub struct Shared(pub Rc<RefCell<World>>);

impl World {
    pub fn new(seed: u64, faults: Faults, plans: &[Plan]) -> World {
        let mut world = World {
            now: 0,
            end: 0,
            dice: Dice::new(seed),
            faults,
            books: MemoryBooks::default(),
            oracle: Oracle::default(),
            disk: Vec::new(),
            keys: VecDeque::new(),
            name: "kiosk-1".parse().expect("a name"),
            platform: HashMap::new(),
            codes: Vec::new(),
            partition_until: 0,
            steps: 0,
            cuts: Vec::new(),
            torn: Torn::Kept,
            boots: 0,
            visits: 0,
            plans: plans.iter().copied().collect(),
            plan: None,
            transactions: 0,
            queue: BTreeMap::new(),
            order_of_events: 0,
            trace: 0xcbf2_9ce4_8422_2325,
            tells: false,
        };
        // Each visit has its time; after the last, all heals, and four hours pass.
        let visits = plans.len() as u64;
        for visit in 0..visits {
            world.at(2_000 + visit * 400_000, Happening::Visit);
        }
        world.end = visits * 400_000 + 4 * 3600 * 1000;
        world.at(1000, Happening::Sweep);
        world
    }

    pub fn at(&mut self, time: u64, happening: Happening) {
        self.order_of_events += 1;
        self.queue.insert((time, self.order_of_events), happening);
    }

    /// What happened goes into the trace: the same seed must leave the same.
    pub fn note(&mut self, what: &str) {
        if self.tells {
            println!("{:>9} ms: {what}", self.now);
        }
        for byte in what.bytes().chain(self.now.to_le_bytes()) {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn is_healed(&self) -> bool {
        self.visits >= 1 && self.plans.is_empty() && self.now + 3 * 3600 * 1000 > self.end
    }

    /// Whether a fault happens that comes so many times in a thousand.
    pub fn fails(&mut self, in_thousand: u64) -> bool {
        in_thousand > 0 && self.dice.chance(in_thousand) && !self.is_healed()
    }

    pub fn is_cut_off(&self) -> bool {
        self.now < self.partition_until
    }

    /// When the next thing happens.
    pub fn next_at(&self) -> Option<u64> {
        self.queue.first_key_value().map(|((time, _), _)| *time)
    }

    /// Time passes, and everything happens that is due.
    pub fn passes(&mut self, until: u64) {
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > until {
                break;
            }
            let ((time, _), happening) = entry.remove_entry();
            self.now = self.now.max(time);
            self.happens(happening);
        }
        self.now = self.now.max(until);
        self.books.now = self.now as i64;
    }

    fn happens(&mut self, happening: Happening) {
        self.books.now = self.now as i64;
        match happening {
            Happening::Visit => {
                self.visits += 1;
                self.plan = self.plans.pop_front();
                self.codes.clear();
                self.note("visit");
                if self.fails(self.faults.partition) {
                    self.partition_until = self.now + self.dice.within(1_000, 300_000);
                }
                let mut moment = self.now;
                for key in "C3.50#".chars() {
                    moment += self.dice.within(200, 900);
                    self.at(moment, Happening::Key(key));
                }
            }
            Happening::Key(key) => self.keys.extend(Key::from_char(key)),
            Happening::Pays { newest, total } => self.pays(newest, total),
            Happening::Notifies { payment, attempt } => self.notifies(payment, attempt),
            Happening::Request(request) => {
                self.note("a straggler");
                drop(request.serve(self));
            }
            Happening::Sweep => {
                let swept = requests::sweep(&mut self.books, CLAIM_TIME).expect("memory");
                if !swept.is_empty() {
                    self.note("swept");
                }
                self.at(self.now + SWEEP_EVERY, Happening::Sweep);
            }
        }
        self.oracle.look(&self.books);
    }

    /// The code of a sale is shown: the customer does what was planned.
    pub fn shows(&mut self, order: OrderNo) {
        if self.codes.contains(&order) {
            return;
        }
        self.codes.push(order);
        let Some(plan) = self.plan.filter(|_| self.codes.len() == 1) else {
            return;
        };
        let soon = self.now + self.dice.within(1_500, 20_000);
        let pays = |newest| Happening::Pays { newest, total: 350 };
        match plan {
            Plan::PaysAtOnce => self.at(soon, pays(false)),
            Plan::PaysLate => self.at(
                self.now + self.dice.clone().within(60_000, 119_000),
                pays(false),
            ),
            Plan::NeverPays => {}
            Plan::Cancels => self.at(soon, Happening::Key('C')),
            Plan::PaysTheOlder | Plan::PaysTheNewer | Plan::PaysBoth => {
                self.at(self.now + 1_000, Happening::Key('R'));
                let later = soon + 2_000;
                if plan != Plan::PaysTheNewer {
                    self.at(later, pays(false));
                }
                if plan != Plan::PaysTheOlder {
                    self.at(later + 10, pays(true));
                }
            }
            Plan::PaysTwice => {
                self.at(soon, pays(false));
                self.at(soon + 5, pays(false));
            }
            Plan::PaysAtTheClose => {
                self.at(soon, Happening::Key('C'));
                let moment = soon + self.dice.within(0, 60);
                self.at(moment, pays(false));
            }
            Plan::PaysAfterLeaving => {
                self.at(soon, Happening::Key('C'));
                self.at(soon + self.dice.clone().within(5_000, 200_000), pays(false));
            }
            Plan::PaysTooMuch => self.at(
                soon,
                Happening::Pays {
                    newest: false,
                    total: 351,
                },
            ),
            Plan::PaysAtTheEnd => {
                let moment = self.now + 119_900 + self.dice.within(0, 200);
                self.at(moment, pays(false));
            }
        }
    }

    fn pays(&mut self, newest: bool, total: u64) {
        let code = if newest {
            self.codes.last()
        } else {
            self.codes.first()
        };
        let Some(order) = code
            .copied()
            .filter(|order| self.platform.contains_key(order))
        else {
            return;
        };
        self.transactions += 1;
        let transaction = TransactionId::new(&format!("T{}", self.transactions)).expect("a name");
        let payment = Payment {
            transaction,
            order,
            total,
            trade_type: None,
            time_end: None,
        };
        self.note("pays");
        self.oracle.paid(transaction, order, total);
        let delay = match self.fails(self.faults.slow_notification) {
            true => self.dice.within(60_000, 3 * 3600 * 1000),
            false => self.dice.within(50, 1500),
        };
        self.at(
            self.now + delay,
            Happening::Notifies {
                payment,
                attempt: 0,
            },
        );
    }

    fn notifies(&mut self, payment: Payment, attempt: usize) {
        if self.fails(self.faults.doubling) {
            let again = payment.clone();
            let soon = self.now + self.dice.within(0, 2000);
            self.at(
                soon,
                Happening::Notifies {
                    payment: again,
                    attempt: RETRIES.len(),
                },
            );
        }
        let arrives = !self.is_cut_off() && !self.fails(self.faults.loss);
        let mut success = false;
        if arrives {
            let verdict = requests::pay(&mut self.books, &payment, b"").expect("memory");
            success = verdict.is_success();
            self.note("notified");
            self.oracle.notified(&payment, success);
            // The answer may be lost.
            success &= !self.fails(self.faults.loss);
        }
        if let Some(wait) = RETRIES.get(attempt).filter(|_| !success) {
            let attempt = attempt + 1;
            self.at(
                self.now + wait * 1000,
                Happening::Notifies { payment, attempt },
            );
        }
    }
}

impl Clock for Shared {
    fn now(&self) -> selpay_kiosk::kiosk::machine::instant::Instant {
        selpay_kiosk::kiosk::machine::instant::Instant::from_millis(self.0.borrow().now)
    }
}

impl Shared {
    /// Lives through the whole story: the kiosk is switched on again after each power cut.
    pub fn lives(&self) {
        while self.0.borrow().now < self.0.borrow().end {
            match catch_unwind(AssertUnwindSafe(|| self.boots())) {
                Ok(()) => {}
                Err(payload) if payload.is::<PowerCut>() => {
                    let mut world = self.0.borrow_mut();
                    world.note("power cut");
                    world.keys.clear();
                    let off = world.dice.within(15_000, 60_000);
                    let until = world.now + off;
                    world.passes(until);
                }
                Err(payload) => resume_unwind(payload),
            }
        }
        let world = self.0.borrow();
        world.oracle.at_the_end(&world.books, world.boots);
    }

    fn boots(&self) {
        self.0.borrow_mut().boots += 1;
        let settings = Settings {
            max_total: Fen::MAX,
            unit: None,
            pay_time: std::time::Duration::from_secs(120),
            language: Language::En,
            resumes_claims: true,
        };
        let (mut journal, records) = Journal::open(Disk(self.clone())).expect("this disk reads");
        let (machine, first) = match records {
            Ok(records) => Machine::resume(settings, self.now(), records).expect("possible"),
            Err(damaged) => panic!("{damaged}: no power cut may do that"),
        };
        self.runs(machine, first, &mut journal);
    }

    fn runs(&self, machine: Machine, first: Effects, journal: &mut Journal<Disk>) {
        let hardware = || Hardware::of(self);
        let dice = self.clone();
        let mut random = move || {
            let mut world = dice.0.borrow_mut();
            u128::from(world.dice.draw()) << 64 | u128::from(world.dice.draw())
        };
        let ports = Ports {
            clock: self,
            random: &mut random,
            display: &mut hardware(),
            keypad: &mut hardware(),
            dispenser: &mut hardware(),
            journal,
            merchant: &mut hardware(),
            platform: &mut hardware(),
            alive: &mut |_| {},
            witness: &mut |_, happening| {
                if let Happens::Effect(Effect::Report { sale, outcome, .. }) = happening {
                    self.0.borrow_mut().oracle.tells(*sale, *outcome);
                }
            },
        };
        let is_over = || self.0.borrow().now >= self.0.borrow().end;
        Runner::new(machine, first, ports).run(&is_over);
    }

    /// A step of input or output: here the power may go.
    pub fn steps(&self) -> bool {
        let mut world = self.0.borrow_mut();
        world.steps += 1;
        let step = world.steps;
        let by_chance = world.faults.cut;
        world.cuts.contains(&step) || world.fails(by_chance)
    }

    pub fn loses_power(&self) -> ! {
        resume_unwind(Box::new(PowerCut))
    }

    pub fn shown(&self, screen: &Screen) {
        let mut world = self.0.borrow_mut();
        world.note(screen.name());
        let until = world.now + 20;
        world.passes(until);
        match screen {
            Screen::Pay { order, .. } => world.shows(*order),
            Screen::ThankYou { .. } => world.oracle.thanks(),
            _ => {}
        }
    }

    pub fn url() -> ScanUrl {
        ScanUrl::new("https://up.selpay.cn/#/pages/rt/index?appKey=k&no=n").expect("an address")
    }
}
