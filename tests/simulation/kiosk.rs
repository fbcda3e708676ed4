//! Behind the kiosk's ports: a disk that loses power, a keypad under fingers, a relay that is watched, and a network that
//! loses, delays and doubles.

use std::io;
use std::time::Duration;

use selpay_kiosk::api;
use selpay_kiosk::ids::{ClaimId, OrderNo, SaleId, ScanUrl};
use selpay_kiosk::kiosk::journal::Storage;
use selpay_kiosk::kiosk::machine::event::{NoReply, NotAdded, Unsettled, UnsettledSale};
use selpay_kiosk::kiosk::machine::instant::Instant;
use selpay_kiosk::kiosk::machine::screen::{Language, Screen};
use selpay_kiosk::kiosk::ports::{Dispenser, Display, Idle, Keypad, Merchant, Platform, Pressed};
use selpay_kiosk::merchant::ledger::NotRegistered;
use selpay_kiosk::merchant::store::requests;
use selpay_kiosk::money::Fen;
use selpay_kiosk::sale::{Outcome, SaleStatus};

use crate::world::{CLAIM_TIME, Happening, Shared, Torn, World};

/// How long a call may take.
const CALL_TIME: u64 = 5_000;
const PULSE: Duration = Duration::from_millis(500);

/// The kiosk's disk.
pub struct Disk(pub Shared);

impl Storage for Disk {
    fn read(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.0.0.borrow().disk.clone())
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let is_cut = self.0.steps();
        {
            let mut world = self.0.0.borrow_mut();
            let written = match world.torn {
                _ if !is_cut => bytes.len(),
                Torn::Lost => 0,
                Torn::After(length) => length.min(bytes.len()),
                Torn::Kept => bytes.len(),
            };
            let at = at as usize;
            world.disk[at..at + written].copy_from_slice(&bytes[..written]);
            let until = world.now + 4;
            world.passes(until);
        }
        if is_cut {
            self.0.loses_power();
        }
        Ok(())
    }

    fn replace(&mut self, content: &[u8]) -> io::Result<()> {
        let is_cut = self.0.steps();
        let torn = self.0.0.borrow().torn;
        if !is_cut || torn == Torn::Kept {
            self.0.0.borrow_mut().disk = content.to_vec();
        }
        if is_cut {
            self.0.loses_power();
        }
        Ok(())
    }
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

    fn passes(&self, millis: u64) {
        let mut world = self.world.0.borrow_mut();
        let until = world.now + millis;
        world.passes(until);
    }

    fn step(&self) {
        if self.world.steps() {
            self.world.loses_power();
        }
    }

    /// One call to the merchant, through everything that a network can do to it.
    fn asks(&self, request: Request) -> Answer {
        self.step();
        let (there, back) = {
            let mut world = self.world.0.borrow_mut();
            (world.dice.within(2, 60), world.dice.within(2, 60))
        };
        self.passes(there);
        let answer = {
            let mut world = self.world.0.borrow_mut();
            let faults = world.faults;
            if world.is_cut_off() || world.fails(faults.loss) {
                None
            } else if world.fails(faults.straggling) {
                let late = world.now + world.dice.clone().within(5_000, 400_000);
                world.at(late, Happening::Request(request));
                None
            } else {
                if world.fails(faults.doubling) {
                    let again = world.now + world.dice.clone().within(1, 90_000);
                    world.at(again, Happening::Request(request.clone()));
                }
                let answer = request.serve(&mut world);
                (!world.fails(faults.loss)).then_some(answer)
            }
        };
        self.step();
        match answer {
            Some(answer) => {
                self.passes(back);
                answer
            }
            None => {
                self.passes(CALL_TIME);
                Err(NoReply::NoAnswer)
            }
        }
    }
}

impl Display for Hardware {
    fn show(&mut self, screen: &Screen, _: Language) -> io::Result<()> {
        self.world.shown(screen);
        Ok(())
    }
}

impl Keypad for Hardware {
    fn wait(&mut self, patience: Duration) -> io::Result<Pressed> {
        let mut world = self.world.0.borrow_mut();
        let until = world.now + (patience.as_millis() as u64).max(1);
        while world.keys.is_empty() && world.now < until {
            let next = world.next_at().unwrap_or(until);
            let next = next.clamp(world.now, until);
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
            world.note("pulse");
            let World { oracle, books, .. } = &mut *world;
            oracle.pulses(sale, total, books);
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

/// What a kiosk asks the merchant.
#[derive(Clone)]
pub enum Request {
    Unsettled,
    Register(OrderNo, api::Register),
    Poll(OrderNo),
    Claim(SaleId, ClaimId),
    Report(SaleId, api::Report),
    Close(SaleId),
}

pub enum Reply {
    Unsettled(Box<Unsettled>),
    Status(SaleStatus),
    Done,
}

type Answer = Result<Reply, NoReply>;

impl Request {
    /// What the merchant does with it, and answers.
    pub fn serve(self, world: &mut World) -> Answer {
        let (books, kiosk) = (&mut world.books, world.name);
        books.now = world.now as i64;
        let known = |answer: Option<Result<(), SaleStatus>>| match answer {
            Some(Ok(())) => Ok(Reply::Done),
            Some(Err(status)) => Err(NoReply::Refused(Some(status))),
            None => Err(NoReply::Refused(None)),
        };
        let answer = match self {
            Request::Unsettled => {
                let theirs = requests::unsettled(books, kiosk).expect("memory");
                let read = |theirs: api::UnsettledSale| UnsettledSale {
                    sale: theirs.sale,
                    total: theirs.total,
                    status: theirs.status,
                    age: Duration::from_secs(theirs.age_seconds),
                    claim: theirs.claim,
                };
                let fits = Unsettled::new().capacity();
                let theirs = theirs.into_iter().take(fits).map(read).collect();
                Ok(Reply::Unsettled(Box::new(theirs)))
            }
            Request::Register(order, wanted) => {
                match requests::register(books, kiosk, order, &wanted).expect("memory") {
                    Ok(_) => Ok(Reply::Done),
                    Err(NotRegistered::Conflict) => Err(NoReply::Refused(None)),
                    Err(NotRegistered::SaleNotOpen(status)) => Err(NoReply::Refused(Some(status))),
                }
            }
            Request::Poll(order) => match requests::order(books, kiosk, order).expect("memory") {
                Some(order) => Ok(Reply::Status(order.status)),
                None => Err(NoReply::Refused(None)),
            },
            Request::Claim(sale, claim) => {
                let claimed = requests::claim(books, kiosk, sale, claim, CLAIM_TIME);
                known(claimed.expect("memory").map(|answer| answer.map(drop)))
            }
            Request::Report(sale, report) => {
                known(requests::outcome(books, kiosk, sale, &report).expect("memory"))
            }
            Request::Close(sale) => {
                known(requests::close(books, kiosk, sale, CLAIM_TIME).expect("memory"))
            }
        };
        world.oracle.look(&world.books);
        answer
    }
}

impl Merchant for Hardware {
    fn unsettled(&mut self, _: Idle<'_>) -> Result<Unsettled, NoReply> {
        match self.asks(Request::Unsettled)? {
            Reply::Unsettled(unsettled) => Ok(*unsettled),
            _ => Err(NoReply::NoAnswer),
        }
    }

    fn register(
        &mut self,
        order: OrderNo,
        sale: SaleId,
        total: Fen,
        _: Idle<'_>,
    ) -> Result<(), NoReply> {
        self.asks(Request::Register(order, api::Register { sale, total }))
            .map(drop)
    }

    fn poll(&mut self, order: OrderNo, _: Idle<'_>) -> Result<SaleStatus, NoReply> {
        match self.asks(Request::Poll(order))? {
            Reply::Status(status) => Ok(status),
            _ => Err(NoReply::NoAnswer),
        }
    }

    fn claim(&mut self, sale: SaleId, claim: ClaimId, _: Idle<'_>) -> Result<(), NoReply> {
        self.asks(Request::Claim(sale, claim)).map(drop)
    }

    fn report(
        &mut self,
        sale: SaleId,
        claim: ClaimId,
        outcome: Outcome,
        _: Idle<'_>,
    ) -> Result<(), NoReply> {
        self.asks(Request::Report(sale, api::Report { claim, outcome }))
            .map(drop)
    }

    fn close(&mut self, sale: SaleId, _: Idle<'_>) -> Result<(), NoReply> {
        self.asks(Request::Close(sale)).map(drop)
    }
}

impl Platform for Hardware {
    fn add_order(&mut self, order: OrderNo, total: Fen, _: Idle<'_>) -> Result<ScanUrl, NotAdded> {
        self.step();
        let answered = {
            let mut world = self.world.0.borrow_mut();
            let loss = world.faults.loss;
            let arrives = !world.fails(loss);
            if arrives && world.platform.insert(order, total).is_some() {
                return Err(NotAdded::Refused);
            }
            arrives && !world.fails(loss)
        };
        self.step();
        self.passes(if answered { 150 } else { CALL_TIME });
        if answered {
            Ok(Shared::url())
        } else {
            Err(NotAdded::NoAnswer)
        }
    }
}
