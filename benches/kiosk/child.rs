//! The kiosk that is measured: a process of its own. Keys come in as characters on standard input; on standard output there is a
//! line for each picture whose last byte is on the bus, and for each first edge of a pulse.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{ErrorType as PinError, OutputPin};
use embedded_hal::spi::{ErrorType as SpiError, Operation, SpiDevice};
use selpay_kiosk::ids::SaleId;
use selpay_kiosk::kiosk::board::mipi::{Bus, Lines, MipiPanel, Model, Mounting, open};
use selpay_kiosk::kiosk::board::{Board, typed_keypad};
use selpay_kiosk::kiosk::config::Config;
use selpay_kiosk::kiosk::machine::instant;
use selpay_kiosk::kiosk::ports::{Dispenser, Panel, Progress};
use selpay_kiosk::kiosk::runner::Happening;
use selpay_kiosk::kiosk::ui::frame::Frame;
use selpay_kiosk::kiosk::{Kiosk, machine::screen::Screen};
use selpay_kiosk::money::Fen;
use selpay_kiosk::sale::Outcome;

/// A bus that counts, and takes no time.
#[derive(Clone, Default)]
struct Wire(Rc<RefCell<usize>>);

impl SpiError for Wire {
    type Error = Infallible;
}

impl SpiDevice for Wire {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), Infallible> {
        for operation in operations {
            if let Operation::Write(bytes) = operation {
                *self.0.borrow_mut() += bytes.len();
            }
        }
        Ok(())
    }
}

struct Pin;

impl PinError for Pin {
    type Error = Infallible;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The data sheets' delays are left aside.
struct NoDelay;

impl DelayNs for NoDelay {
    fn delay_ns(&mut self, _: u32) {}
}

struct ToldPanel {
    panel: MipiPanel,
    wire: Wire,
    name: String,
}

impl ToldPanel {
    fn told(&self, progress: Progress) -> io::Result<Progress> {
        if progress == Progress::Whole {
            let bytes = self.wire.0.take();
            writeln!(io::stdout(), "picture {} {bytes}", self.name)?;
        }
        Ok(progress)
    }
}

impl Panel for ToldPanel {
    fn size(&self) -> (u32, u32) {
        self.panel.size()
    }

    fn show(&mut self, name: &str, frame: &Frame) -> io::Result<Progress> {
        name.clone_into(&mut self.name);
        let progress = self.panel.show(name, frame)?;
        self.told(progress)
    }

    fn go_on(&mut self) -> io::Result<Progress> {
        let progress = self.panel.go_on()?;
        self.told(progress)
    }
}

struct ToldDispenser(Option<instant::Instant>);

impl Dispenser for ToldDispenser {
    fn is_ready(&mut self) -> bool {
        true
    }

    fn start(&mut self, now: instant::Instant, _: SaleId, _: Fen) -> io::Result<()> {
        self.0 = Some(now + Duration::from_millis(50));
        writeln!(io::stdout(), "pulse")
    }

    fn poll(&mut self, now: instant::Instant) -> Option<Outcome> {
        self.0
            .take_if(|ends_at| now >= *ends_at)
            .map(|_| Outcome::Dispensed)
    }

    fn wake_at(&self) -> Option<instant::Instant> {
        self.0
    }
}

/// The child's own main.
pub fn run(config: &str) {
    let config = Config::load(Path::new(config)).expect("a good configuration");
    let mounting = Mounting {
        model: Model::St7789,
        bus: Bus::Serial,
        size: (240, 320),
        offset: (0, 0),
        rotate: 0,
        mirror: false,
        invert: true,
        bgr: false,
    };
    let wire = Wire::default();
    let buffer = Box::leak(vec![0; 4096].into_boxed_slice());
    let lines = Lines {
        dc: Pin,
        reset: Some(Pin),
        backlight: Some(Pin),
    };
    let glass = open(wire.clone(), lines, &mut NoDelay, &mounting, buffer);
    let panel = MipiPanel::new(glass.expect("it wakes up"), (240, 320));
    let board = Board {
        panel: Box::new(ToldPanel {
            panel,
            wire,
            name: String::new(),
        }),
        keypad: typed_keypad(io::stdin()),
        dispenser: Box::new(ToldDispenser(None)),
        signals: Box::new(()),
        desk: None,
    };
    let kiosk = Kiosk::open(&config, &board).expect("it opens");
    let witness = |_, happening: Happening<'_>| {
        if let Happening::Screen(Screen::Pay { order, .. }) = happening {
            // The panel has told of the picture before.
            let _ = writeln!(io::stdout(), "order {order}");
        }
    };
    kiosk.run(board, Box::new(|| false), Box::new(witness));
}

/// What the child has told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// A picture is on the bus.
    Picture { screen: String, bytes: usize },
    /// The order whose code is in it.
    Order(String),
    /// The relay has moved.
    Pulse,
}

/// The child, as the one knows it who measures.
pub struct Child {
    process: std::process::Child,
    keys: ChildStdin,
    told: Receiver<(Instant, Told)>,
    sent: (usize, u32),
}

impl Child {
    /// Starts it with this configuration.
    pub fn start(config: &Path) -> Child {
        let mut process = Command::new(std::env::current_exe().expect("this program"))
            .arg("--child")
            .arg(config)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let (sender, told) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let at = Instant::now();
                let words: Vec<&str> = line.split(' ').collect();
                let told = match words[..] {
                    ["picture", screen, bytes] => Told::Picture {
                        screen: screen.to_owned(),
                        bytes: bytes.parse().expect("a number"),
                    },
                    ["order", order] => Told::Order(order.to_owned()),
                    _ => Told::Pulse,
                };
                if sender.send((at, told)).is_err() {
                    return;
                }
            }
        });
        Child {
            keys: process.stdin.take().expect("piped"),
            process,
            told,
            sent: (0, 0),
        }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    pub fn press(&mut self, key: char) {
        self.keys.write_all(&[key as u8]).expect("the kiosk reads");
    }

    /// The next thing that it tells.
    pub fn next(&mut self) -> (Instant, Told) {
        let told = self
            .told
            .recv_timeout(Duration::from_secs(30))
            .expect("it tells");
        self.note(&told.1);
        told
    }

    /// What was told so far is not waited for.
    pub fn forget(&mut self) {
        loop {
            match self.told.try_recv() {
                Ok((_, told)) => self.note(&told),
                Err(_) => return,
            }
        }
    }

    /// The next picture, unless none comes in this time.
    pub fn picture_within(&mut self, time: Duration) -> Option<(Instant, usize)> {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.told.recv_timeout(left) {
                Ok((at, told)) => {
                    self.note(&told);
                    if let Told::Picture { bytes, .. } = told {
                        return Some((at, bytes));
                    }
                }
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => panic!("the kiosk has ended"),
            }
        }
    }

    /// When this screen showed for the first time from now on.
    pub fn until(&mut self, wanted: &str) -> Instant {
        loop {
            if let (at, Told::Picture { screen, .. }) = self.next() {
                if screen == wanted {
                    return at;
                }
            }
        }
    }

    /// The order of the next code.
    pub fn order(&mut self) -> String {
        loop {
            if let (_, Told::Order(order)) = self.next() {
                return order;
            }
        }
    }

    /// When the relay moves.
    pub fn until_pulse(&mut self) -> Instant {
        loop {
            if let (at, Told::Pulse) = self.next() {
                return at;
            }
        }
    }

    /// The bytes and the pictures that were sent since the last time.
    pub fn sent(&mut self) -> (usize, u32) {
        std::mem::take(&mut self.sent)
    }

    fn note(&mut self, told: &Told) {
        if let Told::Picture { bytes, .. } = told {
            self.sent.0 += bytes;
            self.sent.1 += 1;
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
