//! The world around the kiosk: time, chance, the network, the merchant's server and the power. One seed, one thread, a clock
//! that only this turns.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::ops::AddAssign;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

use rustc_hash::FxHashMap;
use rustix::time::ClockId;
use selpay_kiosk::ids::{ClaimId, KioskName, OrderNo, SaleId};
use selpay_kiosk::kiosk::journal::Journal;
use selpay_kiosk::kiosk::machine::effect::{Effect, Effects, Fact, Record};
use selpay_kiosk::kiosk::machine::event::Key;
use selpay_kiosk::kiosk::machine::instant::Instant;
use selpay_kiosk::kiosk::machine::screen::{Language, Screen};
use selpay_kiosk::kiosk::machine::{Machine, Settings};
use selpay_kiosk::kiosk::ports::Clock;
use selpay_kiosk::kiosk::runner::{Happening as Happens, Pace, Ports, Runner};
use selpay_kiosk::merchant::keys::Keys;
use selpay_kiosk::money::Fen;
use selpay_kiosk::selpay::sign::SignKey;

use crate::books::{self, Question, Reply, Store};
use crate::customers::Visit;
use crate::dice::Dice;
use crate::disk::Disk;
use crate::kiosk::{Hardware, KioskDisk};
use crate::oracle::Oracle;
use crate::platform::{self, Told};
use crate::story::{Books, Fate, Faults, Message, Plan, Story, Torn, Twist};

const FOUR_HOURS: u64 = 4 * 3600 * 1000;

/// Something that happens at its time.
#[derive(Clone, Debug)]
pub enum Happening {
    /// This customer comes, unless another has come meanwhile.
    Visit {
        nth: usize,
    },
    Key(char),
    /// Pays the first code of a visit, or the newest.
    Pays {
        nth: usize,
        newest: bool,
        total: u64,
        succeeds: bool,
    },
    /// A notification is on its way, for the so-manieth time.
    Notifies {
        told: usize,
        attempt: usize,
    },
    /// A request that straggled.
    Request(Box<Question>),
    /// A second kiosk of our name claims the sale that is being sold.
    Rival,
    /// Somebody stops the kiosk and starts it again.
    Restart,
    Sweep,
    /// The merchant's power comes back.
    MerchantStarts,
    /// From now on nothing fails any more.
    Heals,
}

pub struct World {
    pub now: u64,
    pub end: u64,
    pub dice: Dice,
    pub faults: Faults,
    pub oracle: Oracle,
    pub trace: u64,
    tells: bool,
    /// What is to happen and when, the next at the end.
    queue: Vec<(u64, Happening)>,
    is_healed: bool,

    // The kiosk.
    pub disk: Disk,
    pub keys: VecDeque<Key>,
    pub steps: u64,
    cuts: Vec<u64>,
    torn: Torn,
    pub boots: u64,
    power_cuts: u64,
    shares_power: bool,
    /// Somebody wants the kiosk to end.
    is_stopping: bool,
    /// The sale that the kiosk asks about.
    selling: Option<(SaleId, Fen)>,

    // The customers and the platform.
    pub plans: Vec<Plan>,
    pub visits: Vec<Visit>,
    pub orders: FxHashMap<OrderNo, Fen>,
    pub told: Vec<Told>,
    pub wire: bool,

    // The network.
    twists: Vec<Twist>,
    counts: [u32; 8],
    pub partition: Partition,
    pub poll_waits: u64,

    // The merchant.
    store: Box<dyn Store>,
    pub keys_of_merchant: Keys,
    pub merchant_is_up: bool,
    merchant_cuts: u64,
    /// Counts the commits: whoever waits for news looks again.
    pub commits: u64,
    sweep_every: u64,
    sweep_is_due: bool,
}

/// For a while nothing reaches the merchant.
#[derive(Clone, Copy, Default, Debug)]
pub struct Partition {
    pub from: u64,
    pub until: u64,
    /// But these still do: the kiosk's (false), or the platform's (true).
    pub spares: Option<bool>,
}

impl Partition {
    fn cuts_off(&self, now: u64, message: Message) -> bool {
        let is_platforms = message == Message::Notification;
        // The platform itself can always be reached.
        (self.from..self.until).contains(&now)
            && message != Message::AddOrder
            && self.spares != Some(is_platforms)
    }
}

/// The panic that is no panic: the power goes.
pub struct PowerCut;

#[derive(Clone)]
pub struct Shared(pub Rc<RefCell<World>>);

/// What a world came to, or many of them.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Ending {
    pub dispensed: u64,
    pub power_cuts: u64,
    pub merchant_cuts: u64,
    /// Steps of input and output at which the power could have gone.
    pub kiosk_steps: u64,
    pub merchant_steps: u64,
    /// The longest that a payment has waited for its goods, in milliseconds.
    pub slowest: u64,
    pub trace: u64,
}

impl AddAssign for Ending {
    fn add_assign(&mut self, other: Ending) {
        self.dispensed += other.dispensed;
        self.power_cuts += other.power_cuts;
        self.merchant_cuts += other.merchant_cuts;
        self.kiosk_steps += other.kiosk_steps;
        self.merchant_steps += other.merchant_steps;
        self.slowest = self.slowest.max(other.slowest);
        self.trace = self.trace.rotate_left(1) ^ other.trace;
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} dispensed, {} power cuts at the kiosk and {} at the merchant",
            self.dispensed, self.power_cuts, self.merchant_cuts
        )
    }
}

/// What this thread, or this process, has worked so far.
pub fn cpu_seconds(clock: ClockId) -> f64 {
    let time = rustix::time::clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Lives through a story. What kind of story it was is told if it fails.
pub fn live(name: &str, story: &Story) -> Ending {
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let shared = Shared(Rc::new(RefCell::new(World::new(story))));
        shared.lives();
        shared.0.borrow_mut().ending()
    }));
    lived.unwrap_or_else(|payload| {
        eprintln!("the story was: {name}");
        resume_unwind(payload)
    })
}

impl World {
    fn new(story: &Story) -> World {
        let name: KioskName = "kiosk-1".parse().expect("a name");
        let mut store = books::new(story.books, name);
        store.cut_at(story.merchant_cut);
        let mut world = World {
            now: 0,
            end: u64::MAX,
            dice: Dice::new(story.seed),
            faults: story.faults,
            oracle: Oracle::default(),
            trace: 0xcbf2_9ce4_8422_2325,
            tells: story.tells,
            queue: Vec::new(),
            is_healed: false,
            disk: Disk::default(),
            keys: VecDeque::new(),
            steps: 0,
            cuts: story.cuts.clone(),
            torn: story.torn,
            boots: 0,
            power_cuts: 0,
            shares_power: story.shares_power,
            is_stopping: false,
            selling: None,
            plans: story.visits.clone(),
            visits: Vec::new(),
            orders: FxHashMap::default(),
            told: Vec::new(),
            // Other books keep the bytes.
            wire: story.wire || story.books != Books::Memory,
            twists: story.twists.clone(),
            counts: [0; 8],
            partition: Partition {
                from: story.partition.unwrap_or_default().0,
                until: story.partition.unwrap_or_default().1,
                spares: None,
            },
            poll_waits: story.poll_waits,
            store,
            keys_of_merchant: SignKey::new(platform::KEY).expect("a key").into(),
            merchant_is_up: true,
            merchant_cuts: 0,
            commits: 0,
            sweep_every: story.sweep_every,
            sweep_is_due: false,
        };
        world.disk.lies = story.disk_lies;
        if story.aged {
            world.disk.content = crate::kiosk::aged_journal();
        }
        world.after(2_000, Happening::Visit { nth: 0 });
        world
    }

    pub fn after(&mut self, millis: u64, happening: Happening) {
        let time = self.now + millis;
        // Behind what happens at the same time.
        let later = self.queue.iter().rposition(|(later, _)| *later > time);
        let place = later.map_or(0, |place| place + 1);
        self.queue.insert(place, (time, happening));
    }

    /// What happened goes into the trace: the same seed must leave the same.
    pub fn note(&mut self, what: &str, number: u64) {
        if self.tells {
            println!("{:>12.3} s  {what} {number}", self.now as f64 / 1000.0);
        }
        let mut mix = |word: u64| {
            self.trace = (self.trace ^ word)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(23);
        };
        for part in what.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            mix(u64::from_le_bytes(word));
        }
        mix(number);
        mix(self.now);
    }

    /// Whether a fault happens that comes so many times in a thousand.
    pub fn fails(&mut self, in_thousand: u64) -> bool {
        in_thousand > 0 && !self.is_healed && self.dice.chance(in_thousand)
    }

    /// When the next thing happens.
    pub fn next_at(&self) -> Option<u64> {
        self.queue.last().map(|(time, _)| *time)
    }

    /// Time passes, and everything happens that is due.
    pub fn passes(&mut self, until: u64) {
        while self.next_at().is_some_and(|time| time <= until) {
            let (time, happening) = self.queue.pop().expect("just looked");
            self.now = self.now.max(time);
            self.happens(happening);
        }
        self.now = self.now.max(until);
    }

    fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::Visit { nth } if nth == self.visits.len() => self.visit(),
            Happening::Visit { .. } => {}
            Happening::Key(key) => self.press(key),
            Happening::Pays {
                nth,
                newest,
                total,
                succeeds,
            } => {
                self.pays(nth, newest, total, succeeds);
            }
            Happening::Notifies { told, attempt } => self.notifies(told, attempt),
            Happening::Request(question) => {
                self.note("straggler", 0);
                self.oracle.has_straggled |= matches!(*question, Question::Register(..));
                self.merchant_answers(&question);
            }
            Happening::Rival => self.rival(),
            Happening::Restart => self.is_stopping = true,
            Happening::Sweep => {
                self.sweep_is_due = false;
                if self.merchant_is_up && self.store.is_live() {
                    // As the server does: almost always there is nothing to do, and that costs no commit.
                    if self.store.is_overdue(self.now) {
                        self.commits(&[Question::Sweep], &mut |_, _| {});
                    }
                    self.sweeps();
                }
            }
            Happening::MerchantStarts => self.merchant_starts(),
            Happening::Heals => {
                self.note("heals", 0);
                self.is_healed = true;
                self.partition = Partition::default();
                self.twists.clear();
                self.end = self.now + FOUR_HOURS;
            }
        }
    }

    /// A kiosk with our name and token, who knows why: it claims, and dispenses if it may.
    fn rival(&mut self) {
        let Some((sale, total)) = self.selling else {
            return;
        };
        let claim = ClaimId::from_random(u128::from(self.dice.draw()));
        let question = Question::Claim(sale, claim);
        let answer = self.merchant_answers(&question);
        let is_refused = matches!(answer, Some(Reply::Sale(None | Some(Err(_)))));
        // It may also have been granted, and the power gone before the answer.
        self.oracle.rival_was_granted |= !is_refused;
        if let Some(Reply::Sale(Some(Ok(())))) = answer {
            self.note("rival", 0);
            let held = self.held(sale);
            self.oracle.pulses(self.now, sale, total, held);
        }
    }

    /// What the network does to the next message of this kind.
    pub fn fate(&mut self, message: Message) -> Fate {
        let count = &mut self.counts[message as usize];
        *count += 1;
        let nth = *count;
        let is_meant =
            |twist: &&Twist| twist.message == message && (twist.nth == nth || twist.nth == 0);
        if let Some(twist) = self.twists.iter().find(is_meant) {
            return twist.fate;
        }
        let faults = self.faults;
        let is_lost = self.partition.cuts_off(self.now, message) || self.fails(faults.loss / 2);
        match () {
            () if is_lost => Fate::Lost,
            () if self.fails(faults.loss / 2) => Fate::AnswerLost,
            () if self.fails(faults.garbling) => Fate::Garbled,
            () if self.fails(faults.straggling) => {
                // Often about as long as a claim has time.
                let around = self.dice.pick(&[(5_000, 400_000), (100_000, 140_000)]);
                Fate::Straggles(self.dice.within(around.0, around.1))
            }
            () if self.fails(faults.doubling) => {
                let later = self.dice.pick(&[0, 1, 300, 20_000, 130_000]);
                Fate::Doubled(later)
            }
            () => Fate::Arrives,
        }
    }

    /// What the merchant answers a kiosk; `None` where nothing comes back.
    pub fn merchant_answers(&mut self, question: &Question) -> Option<Reply> {
        if !self.merchant_is_up {
            return None;
        }
        if question.is_read() {
            return Some(self.store.ask(self.now, question));
        }
        self.oracle.asked(question, &mut *self.store);
        let mut reply = None;
        self.commits(std::slice::from_ref(question), &mut |_, answer| {
            reply = Some(answer);
        });
        let reply = reply?;
        self.oracle
            .answered(self.now, question, &reply, &mut *self.store);
        Some(reply)
    }

    /// One commit of the merchant's; it tells the answers that leave.
    pub fn commits(&mut self, questions: &[Question], answer: &mut dyn FnMut(usize, Reply)) {
        if questions.is_empty() || !self.merchant_is_up {
            return;
        }
        if self.fails(self.faults.merchant_cut) {
            let step = self.store.steps() + self.dice.within(1, 12);
            self.store.cut_at(Some(step));
        }
        let committed = self.store.commit(self.now, questions, answer);
        self.commits += 1;
        match committed {
            Ok(()) => {
                self.oracle.look(self.now, &mut *self.store);
                self.sweeps();
            }
            Err(books::Died) => self.merchant_dies(),
        }
    }

    fn sweeps(&mut self) {
        if !self.sweep_is_due {
            self.sweep_is_due = true;
            self.after(self.sweep_every, Happening::Sweep);
        }
    }

    fn merchant_dies(&mut self) {
        self.note("the merchant's power goes", self.store.steps());
        self.merchant_is_up = false;
        // Nor does it put anything in order any more.
        self.store.cut_at(Some(self.store.steps() + 1));
        self.merchant_cuts += 1;
        let off = self.dice.within(2_000, 60_000);
        self.after(off, Happening::MerchantStarts);
    }

    fn merchant_starts(&mut self) {
        if self.merchant_is_up {
            return;
        }
        self.note("the merchant starts", 0);
        self.store.restart(self.torn, &mut self.dice);
        self.merchant_is_up = true;
        self.commits += 1;
        self.oracle.restarted(self.now, &mut *self.store);
        self.sweeps();
    }

    /// What the books hold of a sale, while there is anybody to ask.
    pub fn held(&mut self, sale: SaleId) -> Option<books::Held> {
        if !self.merchant_is_up {
            return None;
        }
        Some(
            self.store
                .sale(sale)
                .expect("the kiosk asks only about what it has registered"),
        )
    }

    /// The kiosk's power is off for a while, and its disk may not be what it was.
    fn kiosk_is_off(&mut self) {
        self.note("power cut", self.steps);
        self.power_cuts += 1;
        let is_honest = self.disk.loses_power(self.torn, &mut self.dice);
        let rots = self.fails(self.faults.rot) && self.disk.rots(&mut self.dice);
        let is_put_back = self.fails(self.faults.restored) && self.disk.is_put_back();
        self.oracle.disk_is_dishonest |= !is_honest || rots || is_put_back;
        self.keys.clear();
        if self.shares_power && self.merchant_is_up {
            self.merchant_dies();
        }
        // Nobody puts in another disk in two minutes.
        let off = match is_put_back {
            true => self.dice.within(200_000, 3_600_000),
            false => self.dice.within(15_000, 60_000),
        };
        let until = self.now + off;
        self.passes(until);
    }

    fn ending(&mut self) -> Ending {
        let was_cut = self.boots > 1;
        self.oracle.at_the_end(self.now, &mut *self.store, was_cut);
        Ending {
            dispensed: self.oracle.dispensed(),
            power_cuts: self.power_cuts,
            merchant_cuts: self.merchant_cuts,
            kiosk_steps: self.steps,
            merchant_steps: self.store.steps(),
            slowest: self.oracle.slowest,
            trace: self.trace,
        }
    }
}

impl Clock for Shared {
    fn now(&self) -> Instant {
        Instant::from_millis(self.0.borrow().now)
    }
}

impl Shared {
    /// Lives through the whole story: the kiosk is switched on again after each power cut.
    fn lives(&self) {
        while self.0.borrow().now < self.0.borrow().end {
            match catch_unwind(AssertUnwindSafe(|| self.boots())) {
                Ok(()) => {}
                Err(payload) if payload.is::<PowerCut>() => self.0.borrow_mut().kiosk_is_off(),
                Err(payload) => resume_unwind(payload),
            }
        }
    }

    fn boots(&self) {
        let is_lying = {
            let mut world = self.0.borrow_mut();
            world.boots += 1;
            world.is_stopping = false;
            world.disk.lies
        };
        let settings = Settings {
            max_total: Fen::MAX,
            unit: None,
            pay_time: Duration::from_secs(120),
            language: Language::En,
            resumes_claims: !is_lying,
        };
        let disk = KioskDisk(self.clone());
        let (journal, records) = Journal::open(disk).expect("this disk reads");
        let resumed = records
            .map_err(|damaged| damaged.to_string())
            .and_then(|records| {
                let resumed = Machine::resume(settings, self.now(), records);
                resumed.map_err(|contradiction| contradiction.to_string())
            });
        match resumed {
            Ok((machine, first)) => self.runs(machine, first, journal),
            Err(damage) => {
                let mut world = self.0.borrow_mut();
                assert!(
                    world.oracle.disk_is_dishonest,
                    "{damage}: no power cut may do that"
                );
                world.note("damaged", 0);
                // It says so and sells nothing, until somebody comes and moves the journal away.
                let until = world.now + 3_600_000;
                world.passes(until);
                world.disk.is_emptied();
            }
        }
    }

    fn runs(&self, machine: Machine, first: Effects, journal: Journal<KioskDisk>) {
        let hardware = || Box::new(Hardware::of(self));
        let (dice, calendar, witness) = (self.clone(), self.clone(), self.clone());
        let random = move || {
            let mut world = dice.0.borrow_mut();
            u128::from(world.dice.draw()) << 64 | u128::from(world.dice.draw())
        };
        let is_over = move || {
            let world = calendar.0.borrow();
            world.is_stopping || world.now >= world.end
        };
        let ports = Ports {
            clock: Box::new(self.clone()),
            random: Box::new(random),
            display: hardware(),
            keypad: hardware(),
            dispenser: hardware(),
            signals: Box::new(()),
            journal: Box::new(journal),
            merchant: hardware(),
            platform: hardware(),
            // Nothing here needs a loop that turns for nothing: time goes from one event to the next.
            pace: Pace {
                idle: Duration::from_secs(3600),
                countdown: Duration::from_secs(30),
                beat: Duration::from_secs(3600),
                echo: Duration::ZERO,
            },
            stop: Box::new(is_over),
            alive: Box::new(|_| {}),
            witness: Box::new(move |_, happening| {
                if let Happens::Effect(effect) = happening {
                    witness.0.borrow_mut().witnesses(effect);
                }
            }),
        };
        Runner::new(machine, first, ports).run();
    }

    /// A step of the kiosk's input or output: whether the power goes.
    pub fn steps(&self) -> bool {
        let mut world = self.0.borrow_mut();
        world.steps += 1;
        let step = world.steps;
        let by_chance = world.faults.cut;
        world.cuts.contains(&step) || world.fails(by_chance)
    }

    /// Whether the disk refuses what was written. Somebody notices, and starts the kiosk again.
    pub fn refuses_records(&self) -> bool {
        let mut world = self.0.borrow_mut();
        let errors = world.faults.disk_error;
        let refuses = world.fails(errors);
        if refuses {
            world.note("the disk refuses", 0);
            let noticed = world.dice.within(10_000, 200_000);
            world.after(noticed, Happening::Restart);
        }
        refuses
    }

    pub fn loses_power(&self) -> ! {
        resume_unwind(Box::new(PowerCut))
    }

    pub fn shown(&self, screen: &Screen) {
        let mut world = self.0.borrow_mut();
        world.note(screen.name(), 0);
        let until = world.now + 20;
        world.passes(until);
        let World {
            oracle,
            store,
            merchant_is_up,
            ..
        } = &mut *world;
        oracle.shows(screen, |sale| {
            if *merchant_is_up {
                store.sale(sale)
            } else {
                None
            }
        });
        world.seen(screen);
    }
}

impl World {
    /// What the kiosk is about to do.
    fn witnesses(&mut self, effect: &Effect) {
        match effect {
            Effect::Register { order, sale, total } => {
                self.selling = Some((*sale, *total));
                self.oracle.places(*order, *sale);
            }
            Effect::Claim { sale, .. } => self.oracle.concerns(*sale),
            Effect::Record(Record {
                sale,
                fact: Fact::Sale(_) | Fact::Order(_) | Fact::Claim(_),
            }) => self.oracle.concerns(*sale),
            Effect::Report { sale, outcome, .. } => self.oracle.reports(*sale, *outcome),
            _ => {}
        }
    }
}
