//! One sale that plays by itself: the keys are pressed, the customer pays, the goods come out. For scripts and tests.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};

use crate::cli::Failure;
use crate::demo::{Arguments, World};
use crate::http;
use crate::ids::OrderNo;
use crate::kiosk::machine::effect::{Effect, Fact};
use crate::kiosk::machine::event::{Event, Key};
use crate::kiosk::machine::screen::Screen;
use crate::kiosk::runner::Happening;
use crate::money::Fen;

/// A sale that has not ended by then never will; the countdown comes on top.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the story goes on with.
enum Turn {
    AmountShows,
    CodeShows(OrderNo),
    Dispensed,
    NotPaid,
    Failed(String),
    Settled,
}

/// Plays the sale; fails unless it ends as it must.
pub fn run(arguments: &Arguments, total: Fen) -> Result<(), Failure> {
    let world = World::open(arguments, Some(total))?;
    let (hand, end, platform) = (world.hand(), world.end(), world.platform_url());
    let (turns, story) = mpsc::channel();
    let play = arguments.clone();
    let player = thread::spawn(move || {
        let ended = Player {
            hand: &hand,
            platform,
            arguments: &play,
            total,
        }
        .play(&story);
        end();
        ended
    });
    let begin = Instant::now();
    let pulses = world.run(
        Box::new(move |_, happening| tell(begin, &happening, &turns)),
        http::asked_to_end(),
    )?;
    player.join().map_err(|_| anyhow!("the player gave up"))??;
    let expected = u32::from(!arguments.never_pay);
    if pulses != expected {
        return Err(anyhow!("the relay has moved {pulses} times, not {expected}").into());
    }
    println!(
        "{:>8} ms  {}",
        begin.elapsed().as_millis(),
        if pulses == 1 {
            "dispensed, once"
        } else {
            "nothing dispensed"
        }
    );
    Ok(())
}

/// One line per step, with its time; and the turns of the story for the player.
fn tell(begin: Instant, happening: &Happening<'_>, turns: &Sender<Turn>) {
    let line = match happening {
        Happening::Key(key) => format!("key        {}", key.cap()),
        Happening::Screen(screen) => format!("screen     {}", screen_line(screen)),
        Happening::Reply(event) => match reply_line(event) {
            Some(line) => format!("           {line}"),
            None => return,
        },
        Happening::Effect(Effect::Poll { .. }) => return,
        Happening::Effect(effect) => effect_line(effect),
    };
    println!("{:>8} ms  {line}", begin.elapsed().as_millis());
    let turn = match happening {
        Happening::Screen(Screen::Amount { typed, .. }) if typed.is_empty() => {
            Some(Turn::AmountShows)
        }
        Happening::Screen(Screen::Pay {
            order,
            seconds_left,
            seconds,
            ..
        }) if seconds_left == seconds => Some(Turn::CodeShows(*order)),
        Happening::Screen(Screen::ThankYou { .. }) => Some(Turn::Dispensed),
        Happening::Screen(Screen::NotPaid { .. }) => Some(Turn::NotPaid),
        Happening::Screen(screen @ (Screen::CouldNot { .. } | Screen::OutOfService { .. })) => {
            Some(Turn::Failed(format!("{screen:?}")))
        }
        Happening::Effect(Effect::Record(record)) if record.fact == Fact::Settled => {
            Some(Turn::Settled)
        }
        _ => None,
    };
    if let Some(turn) = turn {
        // A player who has seen enough is not told the rest.
        let _ = turns.send(turn);
    }
}

fn screen_line(screen: &Screen) -> String {
    match screen {
        Screen::Amount { typed, .. } => format!("{} {typed}", screen.name()),
        Screen::Pay {
            total,
            order,
            seconds_left,
            ..
        } => {
            format!(
                "{} {total}, order …{}, {seconds_left} s left",
                screen.name(),
                order.last_four()
            )
        }
        _ => screen.name().to_owned(),
    }
}

fn effect_line(effect: &Effect) -> String {
    match effect {
        Effect::Record(record) => format!("journal    {:?}", record.fact),
        Effect::AskUnsettled => "merchant   what is unsettled?".to_owned(),
        Effect::Register { order, total, .. } => format!("merchant   register {order} for {total}"),
        Effect::AddOrder { order, total } => format!("platform   AddOrderInfo {order} for {total}"),
        Effect::Poll { order, .. } => format!("merchant   how is {order}?"),
        Effect::Claim { sale, .. } => format!("merchant   claim {sale}"),
        Effect::Pulse { .. } => "relay      pulse".to_owned(),
        Effect::Report { outcome, .. } => format!("merchant   report {outcome:?}"),
        Effect::Close { sale } => format!("merchant   close {sale}"),
        Effect::Ignored(what) => format!("           ignored: {what}"),
    }
}

fn reply_line(event: &Event) -> Option<String> {
    match event {
        Event::Added {
            result: Ok(url), ..
        } => Some(format!("to pay at {url}")),
        Event::Claimed { result: Ok(()), .. } => Some("the claim is granted".to_owned()),
        Event::Closed { result: Ok(()), .. } => Some("it is closed".to_owned()),
        Event::Vended { outcome, .. } => Some(format!("{outcome:?}")),
        Event::Registered {
            result: Err(why), ..
        } => Some(format!("not registered: {why:?}")),
        Event::Added {
            result: Err(why), ..
        } => Some(format!("not added: {why:?}")),
        Event::Claimed {
            result: Err(why), ..
        }
        | Event::Closed {
            result: Err(why), ..
        } => Some(format!("no: {why:?}")),
        _ => None,
    }
}

/// Who types and pays.
struct Player<'a> {
    hand: &'a dyn Fn(Key),
    platform: String,
    arguments: &'a Arguments,
    total: Fen,
}

impl Player<'_> {
    fn play(&self, story: &Receiver<Turn>) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE + Duration::from_secs(self.arguments.expire);
        let mut codes = Vec::new();
        let mut over = false;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match story
                .recv_timeout(left)
                .context("the sale did not end in time, or was stopped")?
            {
                Turn::AmountShows if codes.is_empty() => {
                    self.type_keys(&format!("{}#", self.total))
                }
                Turn::CodeShows(order) if !codes.contains(&order) => {
                    codes.push(order);
                    self.goes_on(&codes)?;
                }
                Turn::Dispensed if !self.arguments.never_pay => over = true,
                Turn::NotPaid if self.arguments.never_pay => over = true,
                Turn::Dispensed | Turn::NotPaid => bail!("the sale did not end as it should"),
                Turn::Failed(screen) => bail!("the kiosk shows {screen}"),
                Turn::Settled | Turn::AmountShows | Turn::CodeShows(_) => {}
            }
            // The closed sale is settled before its screen shows; the dispensed one after.
            if over
                && (self.arguments.never_pay
                    || matches!(story.recv_timeout(PATIENCE), Ok(Turn::Settled)))
            {
                return Ok(());
            }
        }
    }

    /// A code shows: a new one is asked for, or it is paid, or it is left alone.
    fn goes_on(&self, codes: &[OrderNo]) -> anyhow::Result<()> {
        if self.arguments.regenerate && codes.len() == 1 {
            self.type_keys("R");
            return Ok(());
        }
        if self.arguments.never_pay {
            return Ok(());
        }
        // With a second code on the panel the customer still has the first one on the phone: that one is paid.
        let response = ureq::post(format!("{}/sim/pay", self.platform))
            .send_json(serde_json::json!({ "orderNo": codes[0] }));
        response
            .map(drop)
            .context("the simulated customer could not pay")
    }

    fn type_keys(&self, keys: &str) {
        keys.chars().filter_map(Key::from_char).for_each(self.hand);
    }
}
