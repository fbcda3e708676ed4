//! Behind the kiosk's ports: a disk that loses power, a keypad under fingers, a relay that is watched, and a network that
//! loses, delays and doubles.

use std::cell::OnceCell;
use std::io;
use std::time::Duration;

use selpay_kiosk::api;
use selpay_kiosk::ids::{ClaimId, OrderNo, SaleId, ScanUrl};
use selpay_kiosk::kiosk::journal::{Journal, Storage};
use selpay_kiosk::kiosk::machine::effect::{Fact, Record};
use selpay_kiosk::kiosk::machine::event::{NoReply, NotAdded, Standing, Unsettled};
use selpay_kiosk::kiosk::machine::instant::Instant;
use selpay_kiosk::kiosk::machine::screen::{Language, Screen};
use selpay_kiosk::kiosk::net;
use selpay_kiosk::kiosk::ports::{
    self, Dispenser, Display, Idle, Keypad, Merchant, Motion, Patience, Platform, Pressed,
    Progress, Socket,
};
use selpay_kiosk::merchant::ledger::NotRegistered;
use selpay_kiosk::money::Fen;
use selpay_kiosk::sale::{Outcome, SaleStatus};
use selpay_kiosk::selpay::add_order::{self, Request, ScanRules};

use crate::books::{Question, Reply};
use crate::platform::Purchase;
use crate::story::{Fate, Message};
use crate::world::{Happening, Shared, World};

/// How long a call may take.
const CALL_TIME: u64 = 5_000;
const PULSE: Duration = Duration::from_millis(500);
const APP_KEY: &str = "demo";

/// The kiosk's disk.
pub struct KioskDisk(pub Shared);

impl KioskDisk {
    /// The power may go before this, or behind it.
    fn does(&mut self, work: impl FnOnce(&mut crate::disk::Disk)) {
        let is_cut = self.0.steps();
        {
            let mut world = self.0.0.borrow_mut();
            work(&mut world.disk);
            let until = world.now + 2;
            world.passes(until);
        }
        if is_cut {
            self.0.loses_power();
        }
    }
}

impl Storage for KioskDisk {
    fn read<T>(&mut self, look: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
        Ok(look(&self.0.0.borrow().disk.content))
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.does(|disk| disk.write(at as usize, bytes));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        // Where the power goes here, nothing is sure yet.
        if self.0.steps() {
            self.0.loses_power();
        }
        if self.0.refuses_records() {
            return Err(io::Error::other("this disk is tired"));
        }
        self.0.0.borrow_mut().disk.sync();
        Ok(())
    }

    fn replace(&mut self, content: &[u8]) -> io::Result<()> {
        self.does(|disk| disk.replace(content));
        Ok(())
    }
}

/// A journal of some hundred sales, all settled, with room for a few records more.
pub fn aged_journal() -> Vec<u8> {
    struct Memory(Vec<u8>);

    impl Storage for &mut Memory {
        fn read<T>(&mut self, look: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
            Ok(look(&self.0))
        }

        fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
            self.0[at as usize..][..bytes.len()].copy_from_slice(bytes);
            Ok(())
        }

        fn sync(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn replace(&mut self, content: &[u8]) -> io::Result<()> {
            self.0 = content.to_vec();
            Ok(())
        }
    }

    thread_local! {
        static AGED: OnceCell<Vec<u8>> = const { OnceCell::new() };
    }
    AGED.with(|aged| {
        aged.get_or_init(|| {
            let mut memory = Memory(Vec::new());
            let (mut journal, _) = Journal::open(&mut memory).expect("memory");
            for number in 0..1010 {
                let sale = SaleId::from_random(number / 2);
                let fact = match number % 2 {
                    0 => Fact::Sale(Fen::MAX),
                    _ => Fact::Settled,
                };
                ports::Journal::append(&mut journal, &Record { sale, fact }).expect("memory");
            }
            drop(journal);
            memory.0
        })
        .clone()
    })
}

/// Everything else that the kiosk holds.
pub struct Hardware {
    world: Shared,
    pulse: Option<Instant>,
}

impl Hardware {
    pub fn of(world: &Shared) -> Hardware {
        let world = world.clone();
        Hardware { world, pulse: None }
    }

    /// Time passes in a call; what the kiosk does meanwhile, it does. Whether it has not given the call up.
    fn passes(&self, millis: u64, idle: Idle<'_>) -> bool {
        let until = self.now() + millis;
        self.waits_until(until, idle, &|_| false)
    }

    /// The same, and it may end early.
    fn waits_until(&self, until: u64, idle: Idle<'_>, ends: &dyn Fn(&World) -> bool) -> bool {
        while self.now() < until && !ends(&self.world.0.borrow()) {
            let left = until - self.now();
            if idle.wait(None, Duration::from_millis(left)) == Patience::Abandon {
                return false;
            }
        }
        true
    }

    fn now(&self) -> u64 {
        self.world.0.borrow().now
    }

    fn step(&self) {
        if self.world.steps() {
            self.world.loses_power();
        }
    }

    /// One call to the merchant, through everything that a network can do to it. `None`: no answer that makes sense.
    fn asks(&self, message: Message, question: Question, idle: Idle<'_>) -> Option<Reply> {
        self.step();
        let (there, back, fate) = {
            let mut world = self.world.0.borrow_mut();
            let times = (world.dice.within(2, 60), world.dice.within(2, 60));
            (times.0, times.1, world.fate(message))
        };
        if !self.passes(there, idle) {
            return None;
        }
        let answer = {
            let mut world = self.world.0.borrow_mut();
            match fate {
                Fate::Lost => None,
                Fate::Straggles(late) => {
                    world.after(late, Happening::Request(Box::new(question)));
                    None
                }
                _ => {
                    if let Fate::Doubled(later) = fate {
                        world.after(later + 1, Happening::Request(Box::new(question.clone())));
                    }
                    world.note("asks", message as u64);
                    let answer = world.merchant_answers(&question);
                    answer.filter(|_| !matches!(fate, Fate::AnswerLost | Fate::Garbled))
                }
            }
        };
        self.step();
        let answered = answer.is_some() || fate == Fate::Garbled;
        let is_heard = self.passes(if answered { back } else { CALL_TIME }, idle);
        answer.filter(|_| is_heard)
    }

    /// A long poll: the merchant answers when there is news.
    fn waits(
        &self,
        question: &Question,
        mut answer: Option<Reply>,
        idle: Idle<'_>,
    ) -> Option<Reply> {
        let until = self.now() + self.world.0.borrow().poll_waits;
        while matches!(
            answer,
            Some(Reply::Order(Some(Standing {
                status: SaleStatus::Open,
                useless: None
            })))
        ) && self.now() < until
        {
            let commits = self.world.0.borrow().commits;
            let is_news = |world: &World| world.commits != commits;
            if !self.waits_until(until, idle, &is_news) {
                return None;
            }
            let mut world = self.world.0.borrow_mut();
            if is_news(&world) {
                answer = world.merchant_answers(question);
            }
        }
        answer
    }
}

impl Display for Hardware {
    fn show(&mut self, screen: &Screen, _: Language, _: Motion) -> io::Result<Progress> {
        self.world.shown(screen);
        Ok(Progress::Whole)
    }
}

impl Keypad for Hardware {
    fn wait(&mut self, patience: Duration, _: Option<Socket<'_>>) -> io::Result<Pressed> {
        let mut world = self.world.0.borrow_mut();
        let until = world.now + (patience.as_millis() as u64).max(1);
        // News at the merchant's come through a socket.
        let commits = world.commits;
        while world.keys.is_empty() && world.now < until.min(world.end) && world.commits == commits
        {
            let next = world.next_at().unwrap_or(until).clamp(world.now, until);
            world.passes(next);
        }
        Ok(world
            .keys
            .pop_front()
            .map_or(Pressed::Nothing, Pressed::Key))
    }
}

impl Dispenser for Hardware {
    fn is_ready(&mut self) -> bool {
        true
    }

    fn start(&mut self, now: Instant, sale: SaleId, total: Fen) -> io::Result<()> {
        self.step();
        {
            let mut world = self.world.0.borrow_mut();
            world.note("pulse", u64::from(total.get()));
            let (held, now) = (world.held(sale), world.now);
            world.oracle.pulses(now, sale, total, held);
        }
        self.step();
        self.pulse = Some(now + PULSE);
        Ok(())
    }

    fn poll(&mut self, now: Instant) -> Option<Outcome> {
        self.pulse
            .take_if(|ends_at| now >= *ends_at)
            .map(|_| Outcome::Dispensed)
    }

    fn wake_at(&self) -> Option<Instant> {
        self.pulse
    }
}

/// What a yes, a no and a silence mean to the machine.
fn known(reply: Option<Reply>) -> Result<(), NoReply> {
    match reply {
        Some(Reply::Sale(Some(Ok(()))) | Reply::Registered(Ok(()))) => Ok(()),
        Some(
            Reply::Sale(Some(Err(status)))
            | Reply::Registered(Err(NotRegistered::SaleNotOpen(status))),
        ) => Err(NoReply::Refused(Some(status))),
        Some(Reply::Sale(None) | Reply::Registered(Err(NotRegistered::Conflict))) => {
            Err(NoReply::Refused(None))
        }
        _ => Err(NoReply::NoAnswer),
    }
}

impl Merchant for Hardware {
    fn unsettled(&mut self, idle: Idle<'_>) -> Result<Unsettled, NoReply> {
        let question = Question::Unsettled(None);
        let Some(Reply::Unsettled(theirs)) = self.asks(Message::Unsettled, question, idle) else {
            return Err(NoReply::NoAnswer);
        };
        Ok(net::unsettled(theirs))
    }

    fn register(
        &mut self,
        order: OrderNo,
        sale: SaleId,
        total: Fen,
        idle: Idle<'_>,
    ) -> Result<(), NoReply> {
        let wanted = api::Register { sale, total };
        known(self.asks(Message::Register, Question::Register(order, wanted), idle))
    }

    fn poll(&mut self, order: OrderNo, idle: Idle<'_>) -> Result<Standing, NoReply> {
        let question = Question::Poll(order);
        let answer = self.asks(Message::Poll, question.clone(), idle);
        match self.waits(&question, answer, idle) {
            Some(Reply::Order(Some(status))) => Ok(status),
            Some(Reply::Order(None)) => Err(NoReply::Refused(None)),
            _ => Err(NoReply::NoAnswer),
        }
    }

    fn claim(&mut self, sale: SaleId, claim: ClaimId, idle: Idle<'_>) -> Result<(), NoReply> {
        known(self.asks(Message::Claim, Question::Claim(sale, claim), idle))
    }

    fn report(
        &mut self,
        sale: SaleId,
        claim: ClaimId,
        outcome: Outcome,
        idle: Idle<'_>,
    ) -> Result<(), NoReply> {
        let report = api::Report { claim, outcome };
        known(self.asks(Message::Report, Question::Report(sale, report), idle))
    }

    fn close(&mut self, sale: SaleId, idle: Idle<'_>) -> Result<(), NoReply> {
        known(self.asks(Message::Close, Question::Close(sale), idle))
    }
}

impl Platform for Hardware {
    fn add_order(
        &mut self,
        order: OrderNo,
        total: Fen,
        idle: Idle<'_>,
    ) -> Result<ScanUrl, NotAdded> {
        self.step();
        let fate = self.world.0.borrow_mut().fate(Message::AddOrder);
        let answer = {
            let mut world = self.world.0.borrow_mut();
            let is_late = matches!(fate, Fate::Lost | Fate::Straggles(_));
            if is_late {
                None
            } else if world.add_order(order, total) {
                let early = world.faults.early_notification;
                if world.fails(early) {
                    // Somebody was faster than the answer; nobody knows how.
                    let total = u64::from(total.get());
                    let purchase = Purchase {
                        order,
                        total,
                        succeeds: true,
                    };
                    world.purchase_and_tell(purchase, 0);
                }
                (fate != Fate::AnswerLost).then(|| Ok(scan_url(order)))
            } else {
                Some(Err(NotAdded::Refused))
            }
        };
        self.step();
        self.passes(if answer.is_some() { 150 } else { CALL_TIME }, idle);
        let answer = answer.ok_or(NotAdded::NoAnswer)?;
        let is_garbled = fate == Fate::Garbled;
        if !is_garbled && !self.world.0.borrow().wire {
            return answer;
        }
        let mut body = body(&answer, order, total);
        if is_garbled {
            let last = body.len() as u64 - 1;
            let cut = self.world.0.borrow_mut().dice.within(0, last) as usize;
            body = body.chars().take(cut).collect();
        }
        let request = Request {
            app_key: APP_KEY,
            order_no: order,
            total,
        };
        let rules = ScanRules::of(vec!["up.selpay.cn".to_owned()]);
        let read = add_order::read(body.as_bytes(), &request, &rules);
        let read = read.map_err(|error| match error {
            add_order::NotAdded::Garbage(_) => NotAdded::NoAnswer,
            _ => NotAdded::Refused,
        });
        assert!(is_garbled || read == answer, "{body} is read as {read:?}");
        read
    }
}

/// Where the customer of an order pays.
fn scan_url(order: OrderNo) -> ScanUrl {
    let page = "https://up.selpay.cn/#/pages/rt/index?appKey=";
    let url = [page, APP_KEY, "&no=", order.as_str()].concat();
    ScanUrl::new(&url).expect("an address")
}

/// What the platform answers, on the wire.
fn body(answer: &Result<ScanUrl, NotAdded>, order: OrderNo, total: Fen) -> String {
    match answer {
        Ok(url) => format!(
            r#"{{"msg":"操作成功","code":200,"data":{{"scanUrl":"{url}","order":{{"appKey":"{APP_KEY}","orderNo":"{order}","total":{total}}}}}}}"#,
            total = total.get()
        ),
        Err(_) => r#"{"msg":"订单号已存在","code":500}"#.to_owned(),
    }
}
