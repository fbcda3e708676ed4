//! The unmodified ARM program on a virtual Pi: real spidev, real GPIO lines, a real matrix, a real number pad, a real
//! watchdog, a disk that loses its power.

#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]

use std::time::{Duration, Instant};

use crate::panel::look::{self, Look};
use crate::support::modules;
use crate::support::pi::{Parts, VirtualPi};
use crate::support::shop::{self, Program, Shop, eventually, order_in, sim};
use crate::support::tls::{Certificate, TlsFront};
use selpay_kiosk::kiosk::board::file::BoardFile;
use selpay_kiosk::kiosk::machine::screen::{Language, Screen};
use selpay_kiosk::kiosk::ui::frame::Frame;
use selpay_kiosk::kiosk::ui::{self, Look as Words};
use serde_json::json;

/// A small panel on a bus that is emulated bit by bit; everything else as the board files have it.
const BOARD: &str = r#"
[panel]
kind = "mipi"
model = "st7735s"
size = [128, 160]
offset = [2, 1]
color-order = "bgr"
spi = "/dev/spidev0.0"
spi-hz = 15000000
dc = 2
reset = 3
gpio-chip = "9030000.pl061"

KEYPAD

[dispenser]
kind = "pulse"
pin = 17
ms = PULSE
[dispenser.drop-sensor]
pin = 22
active = "low"
grace-ms = 3000
"#;
const MATRIX: &str = r#"
[keypad]
kind = "matrix"
rows = [5, 6, 13, 19]
columns = [12, 16, 20, 21]
keys = ["123C", "456B", "789R", ".0#L"]
debounce-ms = 10
"#;
const NUMBER_PAD: &str = "[keypad]\nkind = \"evdev\"\n";
const ROWS: [u32; 4] = [5, 6, 13, 19];
const COLUMNS: [u32; 4] = [12, 16, 20, 21];

/// The shop, its Pi, and the wires between them.
struct World {
    shop: Shop,
    platform: Program,
    _front: TlsFront,
    parts: Parts,
}

impl World {
    fn new() -> World {
        let shop = Shop::open();
        let platform = shop.platform(&["--public-url", "https://up.selpay.cn"]);
        // The host's loopback, as the guest sees it.
        let certificate = Certificate {
            names: &["10.0.2.2"],
            years: (2020, 2090),
        };
        let ca_file = shop.path("ca.pem");
        let front = TlsFront::before(&shop.merchant.address, &certificate, &ca_file);
        let parts = Parts::gather(&shop.path("pi"));
        let port = platform
            .address
            .rsplit(':')
            .next()
            .expect("a port")
            .to_owned();
        for (name, keypad, pulse_ms) in [
            ("matrix", MATRIX, "500"),
            ("pad", NUMBER_PAD, "500"),
            ("slow", NUMBER_PAD, "9000"),
        ] {
            let board = BOARD.replace("KEYPAD", keypad).replace("PULSE", pulse_ms);
            parts.put(&format!("etc/{name}-board.toml"), board, 0o644);
            let config = format!(
                "kiosk = \"kiosk-1\"\nboard = \"{name}-board.toml\"\napp-key = \"{}\"\n\
                 platform-url = \"http://10.0.2.2:{port}/prod-api\"\nscan-hosts = [\"up.selpay.cn\"]\n\
                 merchant-url = \"https://10.0.2.2:{}\"\nmerchant-ca-file = \"ca.pem\"\ntoken-file = \"token\"\n\
                 journal = \"/data/journal\"\nwatchdog = \"/dev/watchdog\"\nlanguage = \"en\"\n\
                 allow-plain-http = true\n",
                shop::APP_KEY,
                front.port,
            );
            parts.put(&format!("etc/{name}.toml"), config, 0o644);
        }
        parts.put("etc/token", shop::TOKEN, 0o600);
        parts.put(
            "etc/ca.pem",
            std::fs::read(ca_file).expect("written"),
            0o644,
        );
        World {
            shop,
            platform,
            _front: front,
            parts,
        }
    }

    /// Switches the Pi on. Its relay's line is watched from the beginning.
    fn boot(&self) -> VirtualPi {
        let mut pi = self.parts.boot(modules::ST7735_GREEN_TAB);
        // Nothing falls: the sensor's transistor is open, the Pi's own resistor pulls up.
        assert_eq!(pi.runs("echo watch 17 > /dev/hands"), 0);
        pi
    }

    fn pays(&self, url: &str) {
        sim(
            &self.platform,
            "/sim/pay",
            &json!({ "orderNo": order_in(url) }),
        );
    }

    fn status(&self, url: &str) -> String {
        self.shop.status(order_in(url).parse().expect("a number"))
    }
}

/// Starts the kiosk with this configuration and waits until it sells.
fn sells(pi: &mut VirtualPi, name: &str) {
    pi.forget();
    pi.types(&format!(
        "/kiosk run --log kiosk=debug --config /etc/{name}.toml &"
    ));
    pi.says("screen amount");
}

/// Presses a key of the matrix with contacts that bounce, until the kiosk has seen it.
fn presses(pi: &mut VirtualPi, key: char) {
    let place = "123C456B789R.0#L".find(key).expect("on the pad");
    let contact = format!("{} {}", ROWS[place / 4], COLUMNS[place % 4]);
    let hand = |what: &str| format!("echo {what} {contact} > /dev/hands; ");
    let bounce = hand("close") + &hand("open") + &hand("close") + &hand("open");
    pi.forget();
    let press = format!("{bounce}{}usleep 60000; {bounce}", hand("close"));
    pi.types(press.trim_end_matches("; "));
    pi.says(&format!("key {key}"));
    // Whatever bounces after the release is no other key.
    pi.runs("usleep 60000");
    let seen = pi.told().matches("DEBUG selpay_kiosk::kiosk: key").count();
    assert_eq!(seen, 0, "{key} was seen once: {}", pi.told());
}

/// What a phone reads off the panel, once there is a code on it that is not `before`.
fn code(pi: &VirtualPi, before: Option<&str>) -> String {
    pi.eventually("a code on the panel", |pi| {
        let picture = pi.display.lock().expect("whole").picture(0)?;
        let url = look::codes(&picture).pop()?;
        (Some(url.as_str()) != before).then_some(url)
    })
}

/// When the relay's line was high, and when low again, so far: in milliseconds of the Pi's clock.
fn pulses(told: &str) -> Vec<(String, u64)> {
    let line = |line: &str| {
        let (_, rest) = line.split_once("header: BCM 17 is ")?;
        let (level, rest) = rest.split_once(" at ")?;
        Some((level.to_owned(), rest.split(' ').next()?.parse().ok()?))
    };
    told.lines().filter_map(line).collect()
}

/// Goods fall through the chute.
fn goods_fall(pi: &mut VirtualPi) {
    pi.types("echo low 22 > /dev/hands; usleep 20000; echo free 22 > /dev/hands");
}

#[test]
#[ignore = "needs .ci/virtual-pi, qemu-system-arm and the ARM build"]
fn a_whole_sale_on_a_virtual_pi_with_a_matrix_and_a_drop_sensor() {
    let world = World::new();
    let mut pi = world.boot();

    // What the installer runs first.
    assert_eq!(
        pi.runs("/kiosk check --config /etc/matrix.toml"),
        0,
        "{}",
        pi.told()
    );
    let told = pi.told();
    assert!(
        told.contains("(pinctrl-bcm2835)") && !told.contains("WRONG"),
        "{told}"
    );

    sells(&mut pi, "matrix");
    pi.forget();
    pi.runs("/kiosk check --config /etc/matrix.toml");
    let told = pi.told();
    assert!(
        told.contains("pin: BCM 17 is held by another selpay-kiosk (systemctl stop selpay-kiosk)"),
        "{told}"
    );

    let began = Instant::now();
    let bytes = pi.display.lock().expect("whole").bytes;
    for key in "3.50#".chars() {
        presses(&mut pi, key);
    }
    let url = code(&pi, None);
    let sent = pi.display.lock().expect("whole").bytes - bytes;
    println!(
        "from the first key to the code: {sent} bytes on the bus, {:.1} s",
        began.elapsed().as_secs_f32()
    );
    pi.forget();
    // The memory it takes while the code shows.
    pi.runs("grep VmRSS /proc/$(pidof kiosk)/status");
    println!(
        "{}",
        pi.told()
            .lines()
            .find(|line| line.contains("VmRSS"))
            .unwrap_or_default()
    );

    pi.forget();
    world.pays(&url);
    pi.says("BCM 17 is high");
    goods_fall(&mut pi);
    let told = pi.says("screen thank-you");
    let [(on, began), (off, ended)] = &pulses(&told)[..] else {
        panic!("one pulse: {told}")
    };
    assert_eq!((on.as_str(), off.as_str()), ("high", "low"));
    assert!(
        (500..1500).contains(&(ended - began)),
        "a pulse of {} ms\n{told}",
        ended - began
    );
    eventually("the merchant knows", || {
        (world.status(&url) == "dispensed").then_some(())
    });

    // Nothing falls: the customer gets the money back, and is told so.
    pi.says("screen amount");
    for key in ".01#".chars() {
        presses(&mut pi, key);
    }
    let next = code(&pi, Some(&url));
    pi.forget();
    world.pays(&next);
    let told = pi.says("screen could-not");
    assert_eq!(pulses(&told).len(), 2, "one pulse: {told}");
    eventually("the merchant knows", || {
        (world.status(&next) == "not-dispensed").then_some(())
    });
    assert_eq!(world.shop.refund_reasons(), ["not-dispensed"]);
    world.shop.the_books_balance();

    // A loop that hangs is a machine that starts again.
    pi.runs("kill -STOP $(pidof kiosk)");
    pi.resets();
}

/// Types 0.01 on the number pad and waits for the code.
fn orders(pi: &mut VirtualPi, before: Option<&str>) -> String {
    pi.types("echo .01 > /tmp/keys");
    let url = code(pi, before);
    pi.forget();
    url
}

#[test]
#[ignore = "needs .ci/virtual-pi, qemu-system-arm and the ARM build"]
fn a_panel_that_forgets_everything_in_a_pulse_shows_the_next_screen_whole() {
    let world = World::new();
    let mut pi = world.boot();
    pi.runs("mkfifo /tmp/keys");
    pi.types("/numpad <> /tmp/keys &");
    sells(&mut pi, "pad");
    pi.says("the keypad is there");
    let url = orders(&mut pi, None);
    world.pays(&url);
    pi.says("BCM 17 is high");
    pi.display.lock().expect("whole").forgets_everything();
    goods_fall(&mut pi);
    pi.says("screen thank-you");
    pi.says("screen amount");

    let board = BOARD.replace("KEYPAD", NUMBER_PAD).replace("PULSE", "500");
    let board = BoardFile::parse(std::path::Path::new("board.toml"), &board).expect("good");
    let mut frame = Frame::new(128, 160);
    let next = Screen::Amount {
        typed: Default::default(),
        refused: None,
    };
    let words = Words {
        language: Language::En,
        legend: board.keypad.legend(),
        ..Words::default()
    };
    ui::draw(&mut frame, &next, &words);
    pi.eventually("the next screen, whole", |pi| {
        let display = pi.display.lock().expect("whole");
        (look::look(display.picture(0), &frame) == Look::Right).then_some(())
    });
}

#[test]
#[ignore = "needs .ci/virtual-pi, qemu-system-arm and the ARM build"]
fn a_pulse_ends_with_its_process_and_never_begins_again() {
    let world = World::new();
    let mut pi = world.boot();
    let plug_in = "/numpad <> /tmp/keys &";

    // A number pad that is not there yet, comes, goes and comes back.
    pi.runs("mkfifo /tmp/keys");
    sells(&mut pi, "slow");
    pi.says("waiting for the keypad");
    for _ in 0..2 {
        pi.forget();
        pi.types(plug_in);
        pi.says("the keypad is there: virtual number pad");
        pi.types("echo -n 7 > /tmp/keys");
        pi.says("key 7");
        pi.types("killall numpad");
        pi.says("the keypad is gone");
    }
    pi.forget();
    pi.types(plug_in);
    pi.says("the keypad is there");
    pi.types("echo -n - > /tmp/keys");
    pi.says("key C");

    // SIGTERM, then SIGINT, in the middle of a pulse of nine seconds: it is cut off after five.
    let mut before: Option<String> = None;
    for signal in ["TERM", "INT"] {
        let url = orders(&mut pi, before.as_deref());
        world.pays(&url);
        pi.says("BCM 17 is high");
        pi.types(&format!("killall -{signal} kiosk"));
        let told = pi.says("BCM 17 is low");
        let times = pulses(&told);
        let length = times[1].1 - times[0].1;
        assert!(length < 7000, "SIG{signal}: {length} ms");
        pi.runs("while pidof kiosk >/dev/null; do usleep 50000; done");
        sells(&mut pi, "slow");
        let status = || (world.status(&url) == "unknown").then_some(());
        eventually("the merchant knows that nobody knows", status);
        before = Some(url);
    }

    // The power goes in the middle of a pulse.
    let url = orders(&mut pi, before.as_deref());
    world.pays(&url);
    pi.says("BCM 17 is high");
    pi.loses_power();
    let mut pi = world.boot();
    pi.runs("mkfifo /tmp/keys");
    sells(&mut pi, "slow");
    let status = || (world.status(&url) == "unknown").then_some(());
    eventually("the merchant knows that nobody knows", status);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(
        pulses(&pi.told()),
        [],
        "no second pulse, whatever became of the first"
    );
    let reviews = world.shop.books("reviews");
    assert_eq!(reviews.as_array().map(Vec::len), Some(3), "{reviews}");
    world.shop.the_books_balance();
}
