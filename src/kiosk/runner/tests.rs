//! The loop with a slow panel, a line that remembers, and a shop in which everything goes well.

use core::cell::{Cell, RefCell};
use core::convert::Infallible;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use embedded_hal::digital::{ErrorType, OutputPin};

use super::*;
use crate::ids::{ClaimId, OrderNo, SaleId, ScanUrl};
use crate::kiosk::board::pulse::{Count, PulseDispenser, Shape};
use crate::kiosk::machine::Settings;
use crate::kiosk::machine::effect::Record;
use crate::kiosk::machine::event::{NoReply, NotAdded, Standing, Unsettled};
use crate::kiosk::machine::screen::Language;
use crate::kiosk::ports::{Idle, Motion, Pressed, Progress, Socket};
use crate::money::Fen;
use crate::sale::SaleStatus;

/// The time, which passes only where somebody takes it.
#[derive(Clone, Default)]
struct Time(Rc<Cell<u64>>);

impl Time {
    fn pass(&self, millis: u64) {
        self.0.set(self.0.get() + millis);
    }
}

impl Clock for Time {
    fn now(&self) -> Instant {
        Instant::from_millis(self.0.get())
    }
}

/// A panel on a slow bus.
struct SlowPanel(Time);

impl Display for SlowPanel {
    fn show(&mut self, _: &Screen, _: Language, _: Motion) -> io::Result<Progress> {
        self.0.pass(2000);
        Ok(Progress::Whole)
    }
}

/// A panel that sends a screen in so many parts of 20 ms, and what changes on it with the next; it notes when a key is
/// seen on it.
struct PartedPanel {
    time: Time,
    parts: u32,
    left: u32,
    shows: Option<(&'static str, Language)>,
    seen: Rc<RefCell<Vec<(u64, Key)>>>,
    pressed: Option<Key>,
}

impl Display for PartedPanel {
    fn show(
        &mut self,
        screen: &Screen,
        language: Language,
        motion: Motion,
    ) -> io::Result<Progress> {
        if let Some(key) = motion.pressed.filter(|key| self.pressed != Some(*key)) {
            self.seen.borrow_mut().push((self.time.0.get(), key));
        }
        self.pressed = motion.pressed;
        let shows = (screen.name(), language);
        self.left = match self.shows.replace(shows) == Some(shows) {
            true => self.left.max(1),
            false => self.parts,
        };
        self.go_on()
    }

    fn go_on(&mut self) -> io::Result<Progress> {
        self.time.pass(20);
        self.left -= 1;
        Ok(match self.left {
            0 => Progress::Whole,
            _ => Progress::Partly,
        })
    }
}

/// A key comes at each of these times.
struct Clockwork {
    time: Time,
    keys: Vec<(u64, Key)>,
}

impl Keypad for Clockwork {
    fn wait(&mut self, patience: Duration, _: Option<Socket<'_>>) -> io::Result<Pressed> {
        let until = self.time.0.get() + patience.as_millis() as u64;
        let Some((at, key)) = self.keys.first().copied() else {
            self.time.pass(patience.as_millis() as u64);
            return Ok(Pressed::Ended);
        };
        if at > until {
            self.time.pass(patience.as_millis() as u64);
            return Ok(Pressed::Nothing);
        }
        self.time.pass(at.saturating_sub(self.time.0.get()));
        self.keys.remove(0);
        Ok(Pressed::Key(key))
    }
}

/// Somebody types these keys, then waits for half a minute and goes.
struct Customer {
    time: Time,
    keys: Vec<char>,
    leaves_at: u64,
}

impl Keypad for Customer {
    fn wait(&mut self, patience: Duration, _: Option<Socket<'_>>) -> io::Result<Pressed> {
        if let Some(key) = self.keys.pop().and_then(Key::from_char) {
            return Ok(Pressed::Key(key));
        }
        self.time.pass((patience.as_millis() as u64).max(1));
        Ok(match self.time.0.get() {
            now if now < self.leaves_at => Pressed::Nothing,
            _ => Pressed::Ended,
        })
    }
}

/// The relay's line: every change, with its time.
#[derive(Clone)]
struct Relay(Time, Rc<RefCell<Vec<(u64, bool)>>>);

impl ErrorType for Relay {
    type Error = Infallible;
}

impl OutputPin for Relay {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.1.borrow_mut().push((self.0.0.get(), false));
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.1.borrow_mut().push((self.0.0.get(), true));
        Ok(())
    }
}

/// A dispenser on this line, whose pulses take so long.
fn dispenser(relay: Relay, pulse: Duration) -> Box<dyn Dispenser> {
    let shape = Shape {
        on: pulse,
        off: pulse,
        count: Count::Pulses(1),
    };
    let Ok(dispenser) = PulseDispenser::new(relay, false, shape) else {
        panic!("this line cannot fail")
    };
    Box::new(dispenser)
}

thread_local! {
    /// Told when a claim is granted.
    static CLAIMED: Cell<Option<Rc<Cell<bool>>>> = const { Cell::new(None) };
}

thread_local! {
    /// What the merchant was told of how the kiosk is.
    static TOLD: RefCell<Vec<Option<Outage>>> = const { RefCell::new(Vec::new()) };
}

thread_local! {
    /// What happens between a call to register and its reply, in order.
    static STORY: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    /// Whether the answer to it is not there at once.
    static IS_SLOW: Cell<bool> = const { Cell::new(false) };
}

/// A merchant and a platform where every sale is paid at once.
struct GoodDay;

impl Merchant for GoodDay {
    fn unsettled(&mut self, _: Idle<'_>) -> Result<Unsettled, NoReply> {
        Ok(Unsettled::new())
    }

    fn register(&mut self, _: OrderNo, _: SaleId, _: Fen, idle: Idle<'_>) -> Result<(), NoReply> {
        if IS_SLOW.get() {
            idle.wait(None, Duration::ZERO);
        }
        STORY.with_borrow_mut(|story| story.push("answer"));
        Ok(())
    }

    fn poll(&mut self, _: OrderNo, _: Idle<'_>) -> Result<Standing, NoReply> {
        Ok(SaleStatus::Paid.into())
    }

    fn claim(&mut self, _: SaleId, _: ClaimId, _: Idle<'_>) -> Result<(), NoReply> {
        if let Some(claimed) = CLAIMED.take() {
            claimed.set(true);
        }
        Ok(())
    }

    fn report(&mut self, _: SaleId, _: ClaimId, _: Outcome, _: Idle<'_>) -> Result<(), NoReply> {
        Ok(())
    }

    fn close(&mut self, _: SaleId, _: Idle<'_>) -> Result<(), NoReply> {
        Ok(())
    }

    fn heartbeat(&mut self, outage: Option<Outage>, _: Idle<'_>) {
        TOLD.with_borrow_mut(|told| told.push(outage));
    }
}

impl Platform for GoodDay {
    fn add_order(&mut self, _: OrderNo, _: Fen, _: Idle<'_>) -> Result<ScanUrl, NotAdded> {
        Ok(
            ScanUrl::new("https://up.selpay.cn/#/pages/rt/index?appKey=a&no=b")
                .expect("an address"),
        )
    }
}

impl Journal for GoodDay {
    fn append(&mut self, _: &Record) -> io::Result<()> {
        Ok(())
    }
}

const SETTINGS: Settings = Settings {
    max_total: Fen::MAX,
    unit: None,
    pay_time: Duration::from_secs(120),
    language: Language::Zh,
    resumes_claims: true,
};

/// A kiosk with these devices on a day when everything goes well.
fn good_day(
    time: &Time,
    display: Box<dyn Display>,
    keypad: Box<dyn Keypad>,
    dispenser: Box<dyn Dispenser>,
) -> Ports {
    let mut random = 0;
    Ports {
        clock: Box::new(time.clone()),
        random: Box::new(move || {
            random += 1;
            random
        }),
        display,
        keypad,
        dispenser,
        signals: Box::new(()),
        journal: Box::new(GoodDay),
        merchant: Box::new(GoodDay),
        platform: Box::new(GoodDay),
        pace: Pace::default(),
        stop: Box::new(|| false),
        alive: Box::new(|_| {}),
        witness: Box::new(|_, _| {}),
    }
}

/// Runs one sale whose pulse takes so long; every change of the relay's line, with its time. `turns` is told of each
/// turn of the loop.
fn sale(
    pulse: Duration,
    stop: impl Fn(&Relay) -> bool + 'static,
    turns: impl Fn(&Relay) + 'static,
) -> Vec<(u64, bool)> {
    let time = Time::default();
    let relay = Relay(time.clone(), Rc::default());
    let (machine, first) = Machine::resume(SETTINGS, time.now(), []).expect("an empty journal");
    let run = || {
        let dispenser = dispenser(relay.clone(), pulse);
        let (stopping, turning) = (relay.clone(), relay.clone());
        let display = Box::new(SlowPanel(time.clone()));
        let keypad = Box::new(Customer {
            time: time.clone(),
            keys: vec!['#', '1'],
            leaves_at: 60_000,
        });
        let ports = Ports {
            stop: Box::new(move || stop(&stopping)),
            alive: Box::new(move |_| turns(&turning)),
            ..good_day(&time, display, keypad, dispenser)
        };
        Runner::new(machine, first, ports).run();
    };
    // A panic is one of the stories.
    let _ = catch_unwind(AssertUnwindSafe(run));
    relay.1.take()
}

fn is_on(relay: &Relay) -> bool {
    relay.1.borrow().last().is_some_and(|(_, on)| *on)
}

/// When the relay went on, and for how long it was.
fn pulse(changes: &[(u64, bool)]) -> (u64, u64) {
    let on = changes.iter().position(|(_, on)| *on).expect("it went on");
    let (began, ended) = (changes[on].0, changes[on + 1]);
    assert!(
        !ended.1 && changes[on + 1..].iter().all(|(_, on)| !on),
        "{changes:?}"
    );
    (began, ended.0 - began)
}

#[test]
fn a_slow_panel_does_not_shorten_the_pulse() {
    let changes = sale(Duration::from_millis(500), |_| false, |_| {});
    assert_eq!(pulse(&changes).1, 500, "{changes:?}");
}

#[test]
fn a_pulse_under_way_is_finished_before_the_kiosk_ends() {
    let changes = sale(Duration::from_millis(500), is_on, |_| {});
    assert_eq!(pulse(&changes).1, 500, "{changes:?}");
}

#[test]
fn a_claim_that_is_granted_while_the_kiosk_is_to_end_still_brings_the_goods() {
    // The point of no return is on the disk by then: the pulse belongs to it.
    let claims = Rc::new(Cell::new(false));
    CLAIMED.set(Some(Rc::clone(&claims)));
    let changes = sale(Duration::from_millis(500), move |_| claims.get(), |_| {});
    assert_eq!(pulse(&changes).1, 500, "{changes:?}");
}

#[test]
fn a_long_pulse_is_cut_off_when_the_kiosk_must_end() {
    let changes = sale(Duration::from_secs(60), is_on, |_| {});
    let (_, length) = pulse(&changes);
    assert!((5000..6000).contains(&length), "{length} ms");
}

#[test]
fn a_panic_in_the_middle_of_a_pulse_switches_it_off() {
    let fails = |relay: &Relay| assert!(!is_on(relay), "something else went wrong");
    let changes = sale(Duration::from_secs(60), |_| false, fails);
    assert!(pulse(&changes).1 < 60_000, "{changes:?}");
}

/// What was at which time.
type Timed<T> = Vec<(u64, T)>;

/// Runs a good day with a panel that sends pictures in so many parts; these keys come. When each was seen on the panel, and when
/// each call was made.
fn day_of_parts(parts: u32, keys: Vec<(u64, Key)>) -> (Timed<Key>, Timed<String>) {
    let time = Time::default();
    let relay = Relay(time.clone(), Rc::default());
    let dispenser = dispenser(relay, Duration::from_millis(500));
    let seen = Rc::default();
    let panel = PartedPanel {
        time: time.clone(),
        parts,
        left: 0,
        shows: None,
        seen: Rc::clone(&seen),
        pressed: None,
    };
    let keypad = Clockwork {
        time: time.clone(),
        keys,
    };
    let began = Rc::new(RefCell::new(Vec::new()));
    let noted = Rc::clone(&began);
    let ports = Ports {
        witness: Box::new(move |now, happening| {
            if let Happening::Effect(effect) = happening {
                let at = (now - Instant::from_millis(0)).as_millis() as u64;
                noted.borrow_mut().push((at, format!("{effect:?}")));
            }
        }),
        ..good_day(&time, Box::new(panel), Box::new(keypad), dispenser)
    };
    let (machine, first) = Machine::resume(SETTINGS, time.now(), []).expect("an empty journal");
    Runner::new(machine, first, ports).run();
    (seen.take(), began.take())
}

#[test]
fn a_key_is_heard_while_a_picture_is_on_its_way() {
    let digits = ['1', '2', '3'].map(Key::Digit);
    let keys: Vec<(u64, Key)> = [5000, 5650, 6333].into_iter().zip(digits).collect();
    let (seen, _) = day_of_parts(100, keys.clone());
    for ((pressed_at, pressed), (seen_at, seen)) in keys.iter().zip(&seen) {
        assert_eq!(pressed, seen);
        assert!(
            (0..=20).contains(&(seen_at - pressed_at)),
            "{pressed:?} at {pressed_at} is seen at {seen_at}, whole pictures take 2000"
        );
    }
    assert_eq!(seen.len(), 3);
}

#[test]
fn what_is_wanted_while_a_picture_is_on_its_way_does_not_wait_behind_it() {
    // Confirm comes between the parts of the language's picture.
    let keys = [
        (5000, Key::Digit('1')),
        (6000, Key::Language),
        (6010, Key::Confirm),
        (60_000, Key::Cancel),
    ];
    let (_, began) = day_of_parts(3, keys.to_vec());
    let recorded = began.iter().find(|(_, effect)| effect.contains("Sale("));
    let (at, _) = recorded.unwrap_or_else(|| panic!("{began:?}"));
    assert!(
        (6010..=6150).contains(at),
        "the sale began at {at} ms, two pictures take 120: {began:?}"
    );
}

/// A sale at a merchant who is slow or quick: what happens until its order is registered.
fn registering(is_slow: bool) -> Vec<&'static str> {
    IS_SLOW.set(is_slow);
    STORY.take();
    let time = Time::default();
    let relay = Relay(time.clone(), Rc::default());
    let dispenser = dispenser(relay, Duration::from_millis(500));
    let keypad = Customer {
        time: time.clone(),
        keys: vec!['#', '1'],
        leaves_at: 60_000,
    };
    let witness = |_, happening: Happening<'_>| {
        let what = match happening {
            Happening::Effect(Effect::Register { .. }) => "call",
            Happening::Screen(Screen::OneMoment { .. }) => "screen",
            Happening::Reply(Event::Registered { .. }) => "reply",
            _ => return,
        };
        STORY.with_borrow_mut(|story| story.push(what));
    };
    let panel = Box::new(SlowPanel(time.clone()));
    let ports = Ports {
        witness: Box::new(witness),
        ..good_day(&time, panel, Box::new(keypad), dispenser)
    };
    let (machine, first) = Machine::resume(SETTINGS, time.now(), []).expect("an empty journal");
    Runner::new(machine, first, ports).run();
    let story = STORY.take().into_iter();
    let story = story.skip_while(|what| *what != "call");
    let mut story: Vec<_> = story.collect();
    let reply = story.iter().position(|what| *what == "reply");
    story.truncate(reply.expect("it comes") + 1);
    story
}

#[test]
fn a_picture_is_drawn_while_the_answer_is_on_its_way_and_never_left_out() {
    assert_eq!(registering(true), ["call", "screen", "answer", "reply"]);
    assert_eq!(registering(false), ["call", "answer", "screen", "reply"]);
}

/// A dispenser that is not ready from one minute to the next.
struct Jams(Time);

impl Dispenser for Jams {
    fn is_ready(&mut self) -> bool {
        !(100_000..160_000).contains(&self.0.0.get())
    }

    fn start(&mut self, _: Instant, _: SaleId, _: Fen) -> io::Result<()> {
        panic!("nobody buys anything")
    }

    fn poll(&mut self, _: Instant) -> Option<Outcome> {
        None
    }

    fn wake_at(&self) -> Option<Instant> {
        None
    }
}

#[test]
fn the_merchant_is_told_once_a_minute_and_whenever_something_breaks_or_is_mended() {
    TOLD.take();
    let time = Time::default();
    let panel = Box::new(SlowPanel(time.clone()));
    let keypad = Box::new(Customer {
        time: time.clone(),
        keys: Vec::new(),
        leaves_at: 300_000,
    });
    let ports = good_day(&time, panel, keypad, Box::new(Jams(time.clone())));
    let (machine, first) = Machine::resume(SETTINGS, time.now(), []).expect("an empty journal");
    Runner::new(machine, first, ports).run();
    let down = Some(Outage::Dispenser);
    // At the start and after a minute; broken at 100 s, mended at 160 s, and two more minutes.
    assert_eq!(TOLD.take(), [None, None, down, None, None, None]);
}

/// A panel that can be reset; what is done to it, and when.
struct ResetPanel {
    time: Time,
    story: Rc<RefCell<Timed<&'static str>>>,
    is_set_up: bool,
}

impl ResetPanel {
    fn notes(&self, what: &'static str) {
        self.story.borrow_mut().push((self.time.0.get(), what));
    }
}

impl Display for ResetPanel {
    fn show(&mut self, screen: &Screen, _: Language, _: Motion) -> io::Result<Progress> {
        self.notes(screen.name());
        Ok(Progress::Whole)
    }

    fn go_on(&mut self) -> io::Result<Progress> {
        if core::mem::take(&mut self.is_set_up) {
            self.notes("whole picture");
        }
        Ok(Progress::Whole)
    }

    fn wake(&mut self) -> io::Result<Option<Duration>> {
        self.notes("woken");
        Ok(Some(Duration::from_millis(120)))
    }

    fn set_up(&mut self) -> io::Result<()> {
        self.is_set_up = true;
        self.notes("set up");
        Ok(())
    }
}

/// A day on which these keys come: what is done to the panel.
fn day_of_resets(keypad: impl FnOnce(&Time) -> Box<dyn Keypad>) -> Timed<&'static str> {
    let time = Time::default();
    let story = Rc::default();
    let panel = Box::new(ResetPanel {
        time: time.clone(),
        story: Rc::clone(&story),
        is_set_up: false,
    });
    let relay = Relay(time.clone(), Rc::default());
    let dispenser = dispenser(relay.clone(), Duration::from_millis(500));
    let keypad = keypad(&time);
    let (machine, first) = Machine::resume(SETTINGS, time.now(), []).expect("an empty journal");
    let ports = good_day(&time, panel, keypad, dispenser);
    Runner::new(machine, first, ports).run();
    let changes = relay.1.take();
    let mut story = story.take();
    if changes.iter().any(|(_, on)| *on) {
        let (began, length) = pulse(&changes);
        story.push((began + length, "pulse ended"));
    }
    story.sort_by_key(|(at, _)| *at);
    story
}

/// When that was done.
fn times(story: &Timed<&'static str>, what: &str) -> Vec<u64> {
    let is_that = |(at, done): &(u64, &str)| (*done == what).then_some(*at);
    story.iter().filter_map(is_that).collect()
}

#[test]
fn the_panel_is_set_up_again_soon_after_a_pulse_and_gets_the_whole_picture() {
    let story = day_of_resets(|time| {
        Box::new(Customer {
            time: time.clone(),
            keys: vec!['#', '1'],
            leaves_at: 60_000,
        })
    });
    let [ended] = times(&story, "pulse ended")[..] else {
        panic!("{story:?}")
    };
    let [woken] = times(&story, "woken")[..] else {
        panic!("once: {story:?}")
    };
    // What has just been reset does not wake up for 120 ms, and takes no register for another 120.
    assert!((120..=200).contains(&(woken - ended)), "{story:?}");
    let set_up = times(&story, "set up");
    assert!((120..=140).contains(&(set_up[0] - woken)), "{story:?}");
    assert_eq!(times(&story, "whole picture"), set_up, "{story:?}");
}

#[test]
fn an_idle_panel_is_set_up_again_every_ten_minutes_and_not_while_somebody_types() {
    let story = day_of_resets(|time| {
        Box::new(Clockwork {
            time: time.clone(),
            // Somebody comes after nine minutes, types and cancels; nobody comes for half an hour.
            keys: vec![
                (540_000, Key::Digit('1')),
                (541_000, Key::Cancel),
                (2_400_000, Key::Digit('1')),
            ],
        })
    });
    let set_up = times(&story, "set up");
    let [first, second, third] = set_up[..] else {
        panic!("three times: {set_up:?}")
    };
    for (at, since) in [(first, 541_000), (second, first), (third, second)] {
        let idle = at - since;
        assert!((600_000..602_000).contains(&idle), "{idle} ms: {story:?}");
    }
    assert_eq!(times(&story, "whole picture"), set_up, "{story:?}");
}
