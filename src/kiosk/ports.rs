//! The few doors through which the kiosk's effects happen. The real adapters and the simulation both stand behind them.

use core::time::Duration;
use std::io;
use std::os::fd::BorrowedFd;

use crate::ids::{ClaimId, OrderNo, SaleId, ScanUrl};
use crate::kiosk::legend::Legend;
use crate::kiosk::machine::effect::Record;
use crate::kiosk::machine::event::{Key, NoReply, NotAdded, Standing, Unsettled};
use crate::kiosk::machine::instant::Instant;
use crate::kiosk::machine::screen::{Language, Outage, Screen};
use crate::kiosk::ui::frame::Frame;
use crate::money::Fen;
use crate::sale::Outcome;

/// The monotonic clock.
pub trait Clock {
    /// Now.
    fn now(&self) -> Instant;
}

/// How far a picture has come on its way to the glass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Progress {
    /// All of it is there.
    Whole,
    /// The rest waits for `go_on`: in between keys are heard.
    Partly,
}

/// What shows the picture.
pub trait Panel {
    /// Width and height in pixels.
    fn size(&self) -> (u32, u32);
    /// Begins to show the frame, whatever was on its way before. `name` is the screen's short name, for files and logs.
    fn show(&mut self, name: &str, frame: &Frame) -> io::Result<Progress>;
    /// Shows the next part of it. Only a panel on a slow bus has parts.
    fn go_on(&mut self) -> io::Result<Progress> {
        Ok(Progress::Whole)
    }
    /// Wakes up a panel that something may have reset; how long after that `set_up` may follow. `None` where nothing can be
    /// reset. One that is awake shows nothing of it.
    fn wake(&mut self) -> io::Result<Option<Duration>> {
        Ok(None)
    }
    /// Sets the panel up as when it was opened; `go_on` then sends the whole picture once more. One that has forgotten
    /// nothing shows nothing of it.
    fn set_up(&mut self) -> io::Result<()> {
        Ok(())
    }
    /// Shows all of it, where nobody presses keys meanwhile.
    fn show_whole(&mut self, name: &str, frame: &Frame) -> io::Result<()> {
        let mut progress = self.show(name, frame)?;
        while progress == Progress::Partly {
            progress = self.go_on()?;
        }
        Ok(())
    }
}

/// What moves on a screen that says the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Motion {
    /// The key that was pressed a moment ago: it is seen at once that it was heard.
    pub pressed: Option<Key>,
    /// Counts the beats while something is waited for.
    pub beat: u32,
}

/// What shows the customer a screen.
pub trait Display {
    /// Begins to show it in this language. An error means that nobody knows what is seen now.
    fn show(&mut self, screen: &Screen, language: Language, motion: Motion)
    -> io::Result<Progress>;
    /// Shows the next part of it.
    fn go_on(&mut self) -> io::Result<Progress> {
        Ok(Progress::Whole)
    }
    /// Whether a phone could read the code of this address on it.
    fn can_show(&mut self, _: &ScanUrl) -> bool {
        true
    }
    /// See [`Panel::wake`].
    fn wake(&mut self) -> io::Result<Option<Duration>> {
        Ok(None)
    }
    /// See [`Panel::set_up`].
    fn set_up(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the kiosk says beside its panel: a buzzer, a light.
pub trait Signals {
    /// A key was heard.
    fn key(&mut self, now: Instant);
    /// Another screen shows, or the same with something else on it.
    fn screen(&mut self, now: Instant, screen: &Screen);
    /// Carries sounds and blinking on; when that is to be done next.
    fn go_on(&mut self, now: Instant) -> Option<Instant>;
}

/// A kiosk that says nothing.
impl Signals for () {
    fn key(&mut self, _: Instant) {}
    fn screen(&mut self, _: Instant, _: &Screen) {}
    fn go_on(&mut self, _: Instant) -> Option<Instant> {
        None
    }
}

/// What a keypad has to say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pressed {
    /// This key was pressed.
    Key(Key),
    /// The time is up, or the socket is ready.
    Nothing,
    /// There will be no more keys.
    Ended,
}

/// Where keys come from. Waiting for a key is how the loop sleeps.
pub trait Keypad {
    /// What is printed on its caps.
    fn legend(&self) -> Legend {
        Legend::default()
    }
    /// Waits for a key or for the socket, for so long at most. A signal may end the wait early.
    fn wait(&mut self, patience: Duration, socket: Option<Socket<'_>>) -> io::Result<Pressed>;
}

/// What lets the goods out.
pub trait Dispenser {
    /// What an amount must be a whole number of, if it counts.
    fn unit(&self) -> Option<Fen> {
        None
    }
    /// Whether it can dispense now.
    fn is_ready(&mut self) -> bool;
    /// Begins the pulse for a sale. An error means that nothing has moved.
    fn start(&mut self, now: Instant, sale: SaleId, total: Fen) -> io::Result<()>;
    /// Carries the pulse on; what came of it, once it is over.
    fn poll(&mut self, now: Instant) -> Option<Outcome>;
    /// When `poll` wants to be called next, while a pulse is under way.
    fn wake_at(&self) -> Option<Instant>;
}

/// What the kiosk remembers over a power cut.
pub trait Journal {
    /// Makes the record durable: it is on disk when this returns.
    fn append(&mut self, record: &Record) -> io::Result<()>;
}

/// A socket that a call waits for.
#[derive(Clone, Copy, Debug)]
pub struct Socket<'a> {
    /// It.
    pub file: BorrowedFd<'a>,
    /// Whether to write to; otherwise to read from.
    pub to_write: bool,
}

/// What a call is to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Patience {
    /// Go on.
    Wait,
    /// Give up. Said to a read only; a call that changes something has its own deadline.
    Abandon,
}

/// The kiosk's loop, as a call sees it that waits for an answer.
pub trait Awake {
    /// Waits until the socket is ready, for so long at most. Meanwhile keys are read, screens drawn, pulses ended.
    /// May come back early, with nothing to tell.
    fn wait(&mut self, socket: Option<Socket<'_>>, at_most: Duration) -> Patience;
}

/// How a network adapter waits, so that the kiosk stays awake. The loop owns what it holds (`'static`): a transport of
/// ureq's may borrow nothing, and is lent this through a thread-local.
pub type Idle<'a> = &'a mut (dyn Awake + 'static);

/// The merchant's server (docs/api.md, The merchant's HTTP API).
pub trait Merchant {
    /// Which of our sales have not ended there.
    fn unsettled(&mut self, idle: Idle<'_>) -> Result<Unsettled, NoReply>;
    /// Lets the merchant hold an order number.
    fn register(
        &mut self,
        order: OrderNo,
        sale: SaleId,
        total: Fen,
        idle: Idle<'_>,
    ) -> Result<(), NoReply>;
    /// Where the order's sale stands.
    fn poll(&mut self, order: OrderNo, idle: Idle<'_>) -> Result<Standing, NoReply>;
    /// Claims a paid sale.
    fn claim(&mut self, sale: SaleId, claim: ClaimId, idle: Idle<'_>) -> Result<(), NoReply>;
    /// Tells what came of a claim.
    fn report(
        &mut self,
        sale: SaleId,
        claim: ClaimId,
        outcome: Outcome,
        idle: Idle<'_>,
    ) -> Result<(), NoReply>;
    /// Closes a sale.
    fn close(&mut self, sale: SaleId, idle: Idle<'_>) -> Result<(), NoReply>;
    /// Tells that the kiosk is there, and what keeps it from selling. Nothing depends on whether that is heard.
    fn heartbeat(&mut self, _outage: Option<Outage>, _idle: Idle<'_>) {}
}

/// The platform.
pub trait Platform {
    /// Adds an order; the checked address to pay at.
    fn add_order(
        &mut self,
        order: OrderNo,
        total: Fen,
        idle: Idle<'_>,
    ) -> Result<ScanUrl, NotAdded>;
}
