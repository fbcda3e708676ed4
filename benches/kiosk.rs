//! How quick the kiosk is: `cargo bench --bench kiosk` prints one table, measured in one run on this machine;
//! `cargo bench --bench kiosk -- confirm` only that part of it.
//!
//! The kiosk is a process of its own with the real loop, journal, screens and network code; its panel's bus takes bytes and no
//! time, and says when the last one was sent. Merchant and platform are the real programs on loopback; between them and the
//! kiosk is a network that can fall silent, drip or break.

#[path = "kiosk/child.rs"]
mod child;
#[path = "../tests/support"]
mod support {
    pub mod network;
    pub mod shop;
}
#[path = "support/times.rs"]
mod times;

use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, thread};

use selpay_kiosk::ids::{OrderNo, SaleId};
use selpay_kiosk::kiosk::board::mipi::changes;
use selpay_kiosk::kiosk::ui::frame::Frame;
use selpay_kiosk::kiosk::ui::{self, Look, samples};
use selpay_kiosk::money::Fen;
use selpay_kiosk::selpay::add_order;
use serde_json::json;
use support::network::{Network, Weather};
use support::shop::{self, Program, Shop};

use child::Child;
use times::Times;

/// The whole picture, as a program sends it that does not look what has changed.
const WHOLE_PICTURE: f64 = 240.0 * 320.0 * 2.0;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, config] = &arguments[..] {
        if first == "--child" {
            return child::run(config);
        }
    }
    if let [first, screen, times] = &arguments[..] {
        if first == "--draw" {
            let screen = screen.as_str();
            return (0..times.parse().expect("a number")).for_each(|_| prepare(screen));
        }
    }
    println!("| what | p50 | p99 | worst | beside |\n| --- | --- | --- | --- | --- |");
    let parts: [(&str, fn()); 7] = [
        ("start", cold_start),
        ("keys", keys),
        ("confirm", confirm),
        ("notification", notification),
        ("rest", rest),
        ("pictures", pictures),
        ("instructions", instructions),
    ];
    for (name, part) in parts {
        // cargo itself says `--bench`.
        let wanted = arguments.iter().filter(|word| !word.starts_with("--"));
        if wanted.clone().count() == 0 || wanted.into_iter().any(|word| word == name) {
            part();
        }
    }
}

/// A shop, its platform, and a network before each.
struct Street {
    shop: Shop,
    _platform: Program,
    to_merchant: Network,
    to_platform: Network,
}

impl Street {
    fn open() -> Street {
        let shop = Shop::open();
        let platform = shop.platform(&[]);
        Street {
            to_merchant: Network::before(&shop.merchant.address),
            to_platform: Network::before(&platform.address),
            shop,
            _platform: platform,
        }
    }

    fn kiosk(&self) -> Child {
        let (platform, merchant) = (self.to_platform.url("/prod-api"), self.to_merchant.url(""));
        Child::start(&self.shop.configure_kiosk(&platform, &merchant, ""))
    }

    fn turns(&self, weather: Weather) {
        self.to_merchant.turns(weather);
        self.to_platform.turns(weather);
    }
}

fn cold_start() {
    let street = Street::open();
    let times: Vec<Duration> = (0..30)
        .map(|_| {
            let began = Instant::now();
            let mut kiosk = street.kiosk();
            kiosk.until("one-moment") - began
        })
        .collect();
    Times::of(times).print(
        "process started → first picture on the bus",
        "Python 250 ms, C 4.9 ms",
    );
}

/// Presses keys as somebody does who is in a hurry; how long each took to be seen, and the bytes of it.
fn press(kiosk: &mut Child, keys: impl IntoIterator<Item = char>) -> Vec<(Duration, usize)> {
    let mut seen = Vec::new();
    for key in keys {
        thread::sleep(Duration::from_millis(60));
        kiosk.forget();
        let pressed = Instant::now();
        kiosk.press(key);
        let (at, bytes) = kiosk
            .picture_within(Duration::from_secs(10))
            .expect("it is seen");
        seen.push((at - pressed, bytes));
    }
    seen
}

fn keys() {
    let street = Street::open();
    let mut kiosk = street.kiosk();
    kiosk.until("amount");
    let typed = press(&mut kiosk, "123BBB".chars().cycle().take(240));
    let most = typed.iter().map(|(_, bytes)| *bytes).max().unwrap_or(0);
    let part = WHOLE_PICTURE / most as f64;
    let beside = format!("at most {most} bytes: the whole picture is {part:.0} × that");
    times(typed).print("key → its last byte on the bus", &beside);
    for (weather, name) in [
        (Weather::Silence, "falls silent"),
        (Weather::Drip, "drips a byte a second"),
        (Weather::Reset, "breaks every connection"),
    ] {
        let mut seen = Vec::new();
        for _ in 0..4 {
            let street = Street::open();
            let mut kiosk = street.kiosk();
            kiosk.until("amount");
            street.turns(weather);
            kiosk.press('1');
            kiosk.press('#');
            kiosk.until("one-moment");
            // About as long as the call may take; then the kiosk says that there is no connection.
            seen.extend(press(&mut kiosk, "7R".chars().cycle().take(60)));
        }
        let what = format!("key → seen, while the network {name}");
        times(seen).print(&what, "a blocking client hears nothing for 5 s");
    }
}

fn times(seen: Vec<(Duration, usize)>) -> Times {
    Times::of(seen.into_iter().map(|(time, _)| time))
}

/// Sales that are cancelled as soon as the code shows.
const CONFIRMED: u32 = 40;

fn confirm() {
    let street = Street::open();
    let mut kiosk = street.kiosk();
    kiosk.until("amount");
    let (mut whole, mut bytes, mut pictures) = (Vec::new(), 0, 0);
    for _ in 0..CONFIRMED {
        kiosk.press('1');
        thread::sleep(Duration::from_millis(60));
        kiosk.forget();
        let pressed = Instant::now();
        kiosk.press('#');
        whole.push(kiosk.until("pay") - pressed);
        kiosk.press('C');
        kiosk.until("not-paid");
        let (sent, shown) = kiosk.sent();
        (bytes, pictures) = (bytes + sent, pictures + shown);
    }
    let add = street
        .to_platform
        .url(&format!("/prod-api{}", add_order::PATH));
    let agent = ureq::Agent::new_with_defaults();
    let calls = (0..u128::from(CONFIRMED)).map(|place| {
        let began = Instant::now();
        let (sale, order) = (
            SaleId::from_random(place),
            OrderNo::from_random(1_000 + place),
        );
        let held = agent
            .put(street.to_merchant.url(&format!("/v1/orders/{order}")))
            .header("Authorization", format!("Bearer {}", shop::TOKEN))
            .send_json(json!({ "sale": sale, "total": 100 }));
        assert_eq!(held.expect("held").status(), 201);
        let added = agent
            .post(&add)
            .send_json(json!({ "appKey": shop::APP_KEY, "orderNo": order, "total": 100 }));
        assert!(
            added
                .expect("added")
                .body_mut()
                .read_to_string()
                .expect("text")
                .contains("scanUrl")
        );
        began.elapsed()
    });
    let calls = Times::of(calls).part(0.5);
    let whole = Times::of(whole);
    let ours = whole.part(0.5) - calls;
    let beside = format!("the same two calls alone {calls:.2} ms, so {ours:.2} ms are ours");
    whole.print("confirm → the last byte of the code on the bus", &beside);
    let (each, ratio) = (
        bytes / CONFIRMED as usize,
        f64::from(pictures) * WHOLE_PICTURE / bytes as f64,
    );
    println!(
        "| bytes on the bus in a cancelled sale | {each} | | | whole pictures would be {ratio:.1} × that |"
    );
}

fn notification() {
    let street = Street::open();
    let mut kiosk = street.kiosk();
    kiosk.until("amount");
    let mut serial = 0;
    let mut pays = |order: &str| {
        serial += 1;
        let fields = shop::paid(order, &format!("T{serial}"), "100");
        let sent = Instant::now();
        let answer = street.shop.notify(shop::signed(fields));
        assert_eq!(answer, (200, "success".to_owned()));
        (sent, Instant::now())
    };
    let mut after_sent = Vec::new();
    let mut after_answer = Vec::new();
    for place in 0..120 {
        kiosk.press('1');
        kiosk.press('#');
        let order = kiosk.order();
        thread::sleep(Duration::from_millis(10 + place % 7 * 10));
        let (sent, answered) = pays(&order);
        let pulse = kiosk.until_pulse();
        after_sent.push(pulse - sent);
        after_answer.push(pulse.saturating_duration_since(answered));
        kiosk.until("thank-you");
    }
    let ours = Times::of(after_answer);
    Times::of(after_sent).print(
        "notification sent → first edge of the pulse",
        "its own round trip and commit included",
    );
    ours.print("notification answered → first edge of the pulse", "");
    for seconds in [1, 3] {
        let waited = (0..6u64).map(|place| {
            let (_, order) = street.shop.sale(u128::from(seconds * 1000 + place));
            let url = street.shop.merchant.url(&format!("/v1/orders/{order}"));
            let poll = thread::spawn(move || {
                loop {
                    let (_, held) = shop::call("GET", &url, shop::TOKEN, &serde_json::Value::Null);
                    if held["status"] != "open" {
                        return Instant::now();
                    }
                    thread::sleep(Duration::from_secs(seconds));
                }
            });
            thread::sleep(Duration::from_millis(150 + place * 413));
            let mut fields = shop::paid(order.as_str(), &format!("P{seconds}-{place}"), "350");
            fields.insert("total_fee".to_owned(), "350".to_owned());
            street.shop.notify(shop::signed(fields));
            let answered = Instant::now();
            poll.join()
                .expect("paid")
                .saturating_duration_since(answered)
        });
        let waited = Times::of(waited.collect::<Vec<_>>());
        let ratio = waited.part(0.5) / ours.part(0.5);
        waited.print(
            &format!("notification answered → heard, with a poll every {seconds} s"),
            &format!("{ratio:.0} × ours"),
        );
    }
}

/// What the kiosk costs while nothing happens.
fn rest() {
    let street = Street::open();
    let mut kiosk = street.kiosk();
    kiosk.until("amount");
    costs("nobody is there", &kiosk);
    kiosk.press('1');
    kiosk.press('#');
    kiosk.order();
    costs("a code shows", &kiosk);
    let status = status(&kiosk);
    let threads = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"));
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    println!(
        "| memory at most (this build holds the servers too), threads | {} | | | {} |",
        most.unwrap_or("?").trim(),
        threads.unwrap_or("?").trim()
    );
}

fn status(kiosk: &Child) -> String {
    fs::read_to_string(format!("/proc/{}/status", kiosk.id())).expect("it runs")
}

/// CPU time in milliseconds and wake-ups so far.
fn spent(kiosk: &Child) -> (f64, u64) {
    let stat = fs::read_to_string(format!("/proc/{}/schedstat", kiosk.id())).expect("it runs");
    let nanoseconds: f64 = stat
        .split(' ')
        .next()
        .and_then(|word| word.parse().ok())
        .expect("a number");
    let wakeups = status(kiosk).lines().find_map(|line| {
        line.strip_prefix("voluntary_ctxt_switches:")?
            .trim()
            .parse()
            .ok()
    });
    (nanoseconds / 1e6, wakeups.expect("a number"))
}

fn costs(when: &str, kiosk: &Child) {
    const SECONDS: f64 = 10.0;
    let before = spent(kiosk);
    thread::sleep(Duration::from_secs_f64(SECONDS));
    let after = spent(kiosk);
    let percent = (after.0 - before.0) / SECONDS / 10.0;
    let wakeups = (after.1 - before.1) as f64 / SECONDS;
    println!("| while {when}: wake-ups a second, of a core | {wakeups:.1} | | | {percent:.3} % |");
}

/// What drawing takes, of the time between two calls, and what finding the changes takes.
fn pictures() {
    let look = Look::default();
    let mut frame = Frame::new(240, 320);
    let samples = samples::all(Fen::new(350).expect("an amount"));
    let sample = |name: &str| {
        let found = samples.iter().find(|sample| sample.name == name);
        found.expect("there is such a screen")
    };
    for name in ["amount-typed", "placing", "pay", "thank-you"] {
        let drawn = (0..200).map(|_| {
            let began = Instant::now();
            ui::draw(&mut frame, &sample(name).screen, &look);
            began.elapsed()
        });
        Times::of(drawn).print(&format!("drawing the screen {name}"), "");
    }
    for [from, to] in [["amount-typed", "placing"], ["placing", "pay"]] {
        let [old, new] = [from, to].map(|name| {
            ui::draw(&mut frame, &sample(name).screen, &look);
            frame.clone()
        });
        let found = (0..200).map(|_| {
            let began = Instant::now();
            let areas = changes(old.pixels(), new.pixels(), old.width());
            assert!(!areas.is_empty());
            began.elapsed()
        });
        Times::of(found).print(&format!("finding what changes from {from} to {to}"), "");
    }
}

/// Draws a screen after the one before it, and finds what has changed: all that is done between a reply and the bus.
fn prepare(screen: &str) {
    let look = Look::default();
    let samples = samples::all(Fen::new(350).expect("an amount"));
    let place = samples.iter().position(|sample| sample.name == screen);
    let place = place.expect("there is such a screen");
    let [old, new] = [place - 1, place].map(|place| {
        let mut frame = Frame::new(240, 320);
        ui::draw(&mut frame, &samples[place].screen, &look);
        frame
    });
    assert!(!changes(old.pixels(), new.pixels(), old.width()).is_empty());
}

/// The same whatever else the machine does: instructions, where valgrind is there to count them.
fn instructions() {
    let count = |screen: &str, times: &str| -> Option<u64> {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe().ok()?)
            .args(["--draw", screen, times])
            .output()
            .ok()?;
        let told = String::from_utf8(output.stderr).ok()?;
        let count = told
            .lines()
            .find_map(|line| line.split("Collected : ").nth(1))?;
        count.trim().parse().ok()
    };
    for screen in ["placing", "pay"] {
        let (Some(few), Some(many)) = (count(screen, "1"), count(screen, "11")) else {
            return println!("| instructions | | | | valgrind is not there |");
        };
        let millions = (many - few) as f64 / 1e7;
        println!(
            "| drawing {screen} and the screen before it, and finding what changes | {millions:.2} million instructions | | | |"
        );
    }
}
