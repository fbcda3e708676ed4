//! A controller that an interference has reset is blank and has forgotten everything: it is set up again and shows the whole
//! picture. A healthy one shows nothing of that.

use std::time::Duration;

use super::look::Look;
use super::{amount, drawn, looks, panel, pay, show};
use crate::support::glass::Wire;
use crate::support::modules::{self, MODULES};
use selpay_kiosk::kiosk::board::mipi::MipiPanel;
use selpay_kiosk::kiosk::ports::{Panel, Progress};

/// A while after a pulse, as the kiosk's loop waits.
const AFTER_PULSE: Duration = Duration::from_millis(150);

/// Sets a panel up again as the loop does, but for the picture.
fn sets_up(panel: &mut MipiPanel, wire: &Wire) {
    wire.passes(AFTER_PULSE);
    let wait = panel.wake().expect("sent").expect("it can be reset");
    wire.passes(wait);
    panel.set_up().expect("sent");
}

#[test]
fn a_display_that_forgot_everything_shows_the_whole_picture_again() {
    for module in MODULES {
        let (mut panel, wire) = panel(module, 0);
        let frame = show(&mut panel, &pay(120));
        wire.0.borrow_mut().forgets_everything();
        assert_eq!(wire.picture(0), None, "{}", module.name);
        sets_up(&mut panel, &wire);
        while panel.go_on().expect("sent") == Progress::Partly {
            // Its memory is noise, which nobody sees.
            assert_eq!(wire.picture(0), None, "{}", module.name);
        }
        assert_eq!(looks(&wire, 0, &frame), Look::Right, "{}", module.name);
        let next = show(&mut panel, &pay(119));
        assert_eq!(looks(&wire, 0, &next), Look::Right, "{}", module.name);
    }
}

#[test]
fn another_screen_meanwhile_is_whole_as_well() {
    let (mut panel, wire) = panel(modules::ST7789_20, 0);
    show(&mut panel, &pay(120));
    wire.0.borrow_mut().forgets_everything();
    sets_up(&mut panel, &wire);
    assert_eq!(panel.go_on().ok(), Some(Progress::Partly));
    let frame = show(&mut panel, &amount(""));
    assert_eq!(looks(&wire, 0, &frame), Look::Right);
}

#[test]
fn nobody_sees_anything_of_it_on_a_display_that_has_forgotten_nothing() {
    // Software reset, sleep, display off, and all pixels off and on of the Sitronix controllers.
    const SEEN: [u8; 5] = [0x01, 0x10, 0x28, 0x22, 0x23];
    for module in MODULES {
        let (mut panel, wire) = panel(module, 0);
        let frame = show(&mut panel, &amount("3.50"));
        wire.0.borrow_mut().commands.clear();
        let (before, steps) = (wire.seen(0), ["woken", "set up", "painted"]);
        for step in steps {
            wire.passes(AFTER_PULSE);
            match step {
                "woken" => drop(panel.wake().expect("sent")),
                "set up" => panel.set_up().expect("sent"),
                _ => {
                    while panel.go_on().expect("sent") == Progress::Partly {
                        assert!(wire.seen(0) == before, "{}: {step}", module.name);
                    }
                }
            }
            assert!(wire.seen(0) == before, "{}: {step}", module.name);
        }
        assert_eq!(looks(&wire, 0, &frame), Look::Right);
        let commands = &wire.0.borrow().commands;
        assert!(!commands.iter().any(|command| SEEN.contains(command)));
    }
}

#[test]
fn it_costs_no_more_than_the_picture_and_a_few_registers() {
    let (mut panel, wire) = panel(modules::ST7735_GREEN_TAB, 0);
    let frame = drawn(&panel, &amount(""));
    panel.show_whole("amount", &frame).expect("shown");
    let (first, _) = wire.count();
    sets_up(&mut panel, &wire);
    while panel.go_on().expect("sent") == Progress::Partly {}
    let (again, _) = wire.count();
    assert!(again < first + 100, "{again} bytes after {first}");
}

/// The real kiosk on emulated glass, with the real merchant's server and the platform's stand-in.
#[cfg(all(feature = "server", feature = "sim"))]
mod sold {
    use std::cell::{Cell, RefCell};
    use std::io::{self, Write};
    use std::os::unix::net::UnixStream;
    use std::rc::Rc;
    use std::time::{Duration, Instant as SystemInstant};

    use super::super::look::{Look, look};
    use super::super::{drawn, panel};
    use crate::support::glass::Wire;
    use crate::support::modules;
    use crate::support::shop::{Shop, order_in, sim};
    use selpay_kiosk::ids::SaleId;
    use selpay_kiosk::kiosk::Kiosk;
    use selpay_kiosk::kiosk::board::{Board, typed_keypad};
    use selpay_kiosk::kiosk::config::Config;
    use selpay_kiosk::kiosk::machine::instant::Instant;
    use selpay_kiosk::kiosk::machine::screen::Screen;
    use selpay_kiosk::kiosk::ports::Dispenser;
    use selpay_kiosk::kiosk::runner::Happening;
    use selpay_kiosk::money::Fen;
    use selpay_kiosk::sale::Outcome;
    use serde_json::json;

    /// A relay whose spike, when it lets go, makes the display forget everything.
    struct Relay {
        wire: Wire,
        ends_at: Option<Instant>,
    }

    impl Dispenser for Relay {
        fn is_ready(&mut self) -> bool {
            true
        }

        fn start(&mut self, now: Instant, _: SaleId, _: Fen) -> io::Result<()> {
            self.ends_at = Some(now + Duration::from_millis(50));
            Ok(())
        }

        fn poll(&mut self, now: Instant) -> Option<Outcome> {
            self.ends_at.take_if(|ends_at| now >= *ends_at)?;
            self.wire.0.borrow_mut().forgets_everything();
            Some(Outcome::Dispensed)
        }

        fn wake_at(&self) -> Option<Instant> {
            self.ends_at
        }
    }

    #[test]
    fn a_panel_that_forgets_everything_in_a_pulse_shows_the_next_screen_whole() {
        let shop = Shop::open();
        let platform = shop.platform(&[]);
        let config = shop.configure_kiosk(&platform.url("/prod-api"), &shop.merchant.url(""), "");
        let config = Config::load(&config).expect("good");
        let (panel, wire) = panel(modules::ST7789_20, 0);
        let total = Fen::new(350).expect("an amount");
        let thanks = drawn(&panel, &Screen::ThankYou { total });
        let (keys, mut fingers) = UnixStream::pair().expect("a pair");
        let board = Board {
            panel: Box::new(panel),
            keypad: typed_keypad(keys),
            dispenser: Box::new(Relay {
                wire: wire.clone(),
                ends_at: None,
            }),
            signals: Box::new(()),
            desk: None,
        };
        let kiosk = Kiosk::open(&config, &board).unwrap_or_else(|_| panic!("it opens"));
        let story = Rc::new(RefCell::new(Vec::new()));
        let (told, is_blank) = (Rc::clone(&story), Rc::new(Cell::new(false)));
        let (glass, was_blank) = (wire.clone(), Rc::clone(&is_blank));
        let witness = move |_: Instant, happening: Happening<'_>| match happening {
            Happening::Screen(Screen::Amount { .. }) if told.borrow().is_empty() => {
                fingers.write_all(b"3.50#").expect("typed");
                told.borrow_mut().push("typed");
            }
            Happening::Screen(Screen::Pay { url, .. }) if !told.borrow().contains(&"pay") => {
                let order = order_in(url.as_str());
                sim(&platform, "/sim/pay", &json!({ "orderNo": order }));
                told.borrow_mut().push("pay");
            }
            Happening::Screen(screen @ Screen::ThankYou { .. }) => {
                was_blank.set(glass.picture(0).is_none());
                told.borrow_mut().push(screen.name());
            }
            _ => {}
        };
        let deadline = SystemInstant::now() + Duration::from_secs(30);
        let stop = move || {
            assert!(SystemInstant::now() < deadline, "only {:?}", story.borrow());
            story.borrow().contains(&"thank-you") && look(wire.picture(0), &thanks) == Look::Right
        };
        kiosk.run(board, Box::new(stop), Box::new(witness));
        assert!(is_blank.get(), "it had forgotten everything");
    }
}
