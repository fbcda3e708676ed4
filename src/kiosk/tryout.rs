//! `kiosk try`: one device at a time, before anything is sold.

mod looks;

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant as SystemInstant};

use crate::ids::{OrderNo, SaleId};
use crate::kiosk::board::file::PanelKind;
use crate::kiosk::legend::Cap;
use crate::kiosk::machine::event::Key;
use crate::kiosk::machine::instant::Instant;
use crate::kiosk::machine::screen::Screen;
use crate::kiosk::net::PlatformClient;
use crate::kiosk::ports::{Dispenser, Keypad, Panel, Pressed};
use crate::kiosk::ready::{self, Ready};
use crate::kiosk::ui::frame::Frame;
use crate::kiosk::ui::{self, Look};
use crate::money::Fen;
use crate::random;
use crate::sale::Outcome;

pub use looks::{Cure, cures};

/// How long a key or the end of a pulse is waited for, between two looks at `stop`.
const SLICE: Duration = Duration::from_millis(20);

/// Shows the test card until Enter is pressed or `stop` says so. Tells what must be seen and, for each look of a panel that
/// is not described as it is, the line of the board file that cures it.
pub fn panel(
    panel: &mut dyn Panel,
    board: (&Path, &PanelKind),
    out: &mut dyn Write,
    stop: &dyn Fn() -> bool,
) -> io::Result<()> {
    let (width, height) = panel.size();
    let mut frame = Frame::new(width, height);
    ui::draw_test_card(&mut frame);
    panel.show_whole("test-card", &frame)?;
    writeln!(
        out,
        "The panel shows the test card, {width} × {height}, on white:\n\
         - an arrow that points up, and the letters FR, as they are printed here\n\
         - three bars: the one called RED is red, GREEN is green, BLUE is blue\n\
         - a red line, one pixel wide, on every edge of the glass"
    )?;
    if let (file, PanelKind::Mipi(wiring)) = board {
        let file = file.display();
        writeln!(out, "Where it looks otherwise, change [panel] in {file}:")?;
        for Cure { look, line } in cures(wiring) {
            writeln!(out, "  {look:<50} {line}")?;
        }
    }
    writeln!(out, "Enter ends it.")?;
    wait_for_enter(stop)
}

/// Adds one order of the smallest amount at the platform: question, answer and verdict, and the code on the panel until Enter
/// is pressed or `stop` says so.
pub fn platform(
    platform: &PlatformClient,
    panel: &mut dyn Panel,
    look: &Look,
    out: &mut dyn Write,
    stop: &dyn Fn() -> bool,
) -> io::Result<()> {
    let order = OrderNo::from_random(random::bits());
    let trial = platform.try_out(order, Fen::MIN);
    writeln!(out, "{}\n", trial.question)?;
    match &trial.answer {
        Ok(answer) => writeln!(out, "{answer}\n")?,
        Err(why) => writeln!(out, "no answer\n{why}\n")?,
    }
    let url = match trial.verdict {
        Ok(url) => url,
        Err(why) => return Err(io::Error::other(why)),
    };
    let (width, height) = panel.size();
    let mut frame = Frame::new(width, height);
    if !ui::is_readable(&mut frame, &url, look) {
        return Err(io::Error::other(format!(
            "the address is good, but no phone could read its code on {width} × {height}: take a larger panel"
        )));
    }
    let pay = Screen::Pay {
        total: Fen::MIN,
        url,
        order,
        seconds_left: 1,
        seconds: 1,
        remark: None,
    };
    ui::draw(&mut frame, &pay, look);
    panel.show_whole("pay", &frame)?;
    writeln!(
        out,
        "The order is ours, and its address is good: {}",
        url.as_str()
    )?;
    writeln!(out, "The panel shows its code. Enter ends it.")?;
    wait_for_enter(stop)
}

fn wait_for_enter(stop: &dyn Fn() -> bool) -> io::Result<()> {
    let enter = || ready::wait(Some(io::stdin().as_fd()), None, SLICE);
    while !stop() && enter()? != Ready::File {}
    Ok(())
}

/// Echoes keys until each one of the pad was seen, or `stop` says so; those that were not.
pub fn keypad(
    keypad: &mut dyn Keypad,
    out: &mut dyn Write,
    stop: &dyn Fn() -> bool,
) -> io::Result<Vec<String>> {
    let legend = keypad.legend();
    let mut missing: Vec<(Key, Cap)> = all_keys()
        .filter_map(|key| Some((key, legend.cap(key)?)))
        .collect();
    writeln!(out, "Press each key once:{}", list(&missing))?;
    while !stop() && !missing.is_empty() {
        match keypad.wait(SLICE, None)? {
            Pressed::Key(key) => {
                missing.retain(|(wanted, _)| *wanted != key);
                writeln!(
                    out,
                    "{} is {}; left:{}",
                    named(&legend.cap(key)),
                    does(key),
                    list(&missing)
                )?;
            }
            Pressed::Nothing => {}
            Pressed::Ended => break,
        }
    }
    Ok(missing
        .into_iter()
        .map(|(_, cap)| named(&Some(cap)))
        .collect())
}

fn all_keys() -> impl Iterator<Item = Key> {
    "0123456789.#CBRL".chars().filter_map(Key::from_char)
}

fn named(cap: &Option<Cap>) -> String {
    match cap {
        Some(Cap { print, hold: false }) => print.clone(),
        Some(Cap { print, hold: true }) => format!("{print} held"),
        None => "a key without a cap".to_owned(),
    }
}

fn list(keys: &[(Key, Cap)]) -> String {
    let names = keys
        .iter()
        .map(|(_, cap)| format!(" {}", named(&Some(cap.clone()))));
    match names.collect::<String>() {
        none if none.is_empty() => " none".to_owned(),
        names => names,
    }
}

fn does(key: Key) -> String {
    match key {
        Key::Digit(digit) => format!("the digit {digit}"),
        Key::Point => "the decimal point".to_owned(),
        Key::Confirm => "confirm".to_owned(),
        Key::Cancel => "cancel".to_owned(),
        Key::Backspace => "backspace".to_owned(),
        Key::Regenerate => "a new code".to_owned(),
        Key::Language => "the other language".to_owned(),
    }
}

/// Dispenses once, for the smallest amount there is; what came of it. `None` if `stop` cut it off.
pub fn dispenser(
    dispenser: &mut dyn Dispenser,
    stop: &dyn Fn() -> bool,
) -> io::Result<Option<Outcome>> {
    let began = SystemInstant::now();
    let now = || Instant::from_millis(began.elapsed().as_millis() as u64);
    let total = dispenser.unit().unwrap_or(Fen::MIN);
    dispenser.start(now(), SaleId::from_random(0), total)?;
    while !stop() {
        if let Some(outcome) = dispenser.poll(now()) {
            return Ok(Some(outcome));
        }
        let left = dispenser.wake_at().map_or(SLICE, |wake_at| wake_at - now());
        thread::sleep(left.min(SLICE));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kiosk::legend::Legend;
    use crate::kiosk::ports::Socket;

    /// A pad on which these keys are pressed, one after the other.
    struct Fingers(Vec<Pressed>);

    impl Keypad for Fingers {
        fn legend(&self) -> Legend {
            let cap = |print: &str, hold| Cap {
                print: print.to_owned(),
                hold,
            };
            Legend::new([
                (Key::Confirm, cap("#", false)),
                (Key::Cancel, cap("*", true)),
            ])
        }

        fn wait(&mut self, _: Duration, _: Option<Socket<'_>>) -> io::Result<Pressed> {
            Ok(self.0.pop().unwrap_or(Pressed::Ended))
        }
    }

    fn tried(keys: &[Pressed]) -> (Vec<String>, String) {
        let mut out = Vec::new();
        let mut fingers = Fingers(keys.iter().rev().copied().collect());
        let missing = keypad(&mut fingers, &mut out, &|| false).expect("no error");
        (missing, String::from_utf8(out).expect("text"))
    }

    #[test]
    fn the_keys_that_were_never_seen_are_told() {
        let (missing, told) = tried(&[Pressed::Key(Key::Confirm)]);
        assert_eq!(missing, ["* held"]);
        assert_eq!(
            told,
            "Press each key once: # * held\n# is confirm; left: * held\n"
        );
    }

    #[test]
    fn it_ends_when_every_key_was_seen() {
        let keys = [Key::Cancel, Key::Confirm, Key::Confirm].map(Pressed::Key);
        let (missing, told) = tried(&keys);
        assert!(missing.is_empty());
        assert!(told.ends_with("# is confirm; left: none\n"), "{told}");
    }
}
