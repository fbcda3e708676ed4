//! What an installer meets: `kiosk check` and `kiosk try`, as the real program, with everything that can be wrong here.

#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use crate::support::shop::{Program, Shop, kiosk_program};
use crate::support::tls::{Certificate, TlsFront};
use selpay_kiosk::files;

/// What `kiosk check` says, line by line, and its exit status.
fn check(config: &Path) -> (Vec<String>, Option<i32>) {
    let mut command = kiosk_program();
    let output = command
        .args(["check", "--config"])
        .arg(config)
        .output()
        .expect("run");
    let told = String::from_utf8(output.stdout).expect("text");
    (
        told.lines().map(str::to_owned).collect(),
        output.status.code(),
    )
}

/// The line about one thing.
fn line<'a>(told: &'a [String], what: &str) -> &'a str {
    let begins = |line: &&String| line[6..].starts_with(&format!("{what}:"));
    told.iter()
        .find(begins)
        .unwrap_or_else(|| panic!("no line on {what} in {told:?}"))
}

fn check_with(shop: &Shop, platform: &Program, merchant_url: &str, lines: &str) -> Vec<String> {
    check(&shop.configure_kiosk(&platform.url("/prod-api"), merchant_url, lines)).0
}

/// `kiosk try` on the bench board with this on its standard input.
fn try_bench(shop: &Shop, arguments: &[&str], input: &str) -> Output {
    shop.configure_kiosk("http://127.0.0.1:1", "http://127.0.0.1:1", "");
    let mut command = kiosk_program();
    command
        .args(["try", "--board"])
        .arg(shop.path("bench.toml"))
        .args(arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("started");
    let mut keys = child.stdin.take().expect("piped");
    // It may have ended before it read everything.
    let _ = keys.write_all(input.as_bytes());
    drop(keys);
    child.wait_with_output().expect("ended")
}

const GOOD: Certificate<'_> = Certificate {
    names: &["127.0.0.1"],
    years: (2020, 2090),
};

#[test]
fn a_kiosk_in_order_is_told_so() {
    let shop = Shop::open();
    let platform = shop.platform(&[]);
    let config = shop.configure_kiosk(&platform.url("/prod-api"), &shop.merchant.url(""), "");
    let (told, status) = check(&config);
    assert_eq!(status, Some(0), "{told:?}");
    assert!(told.iter().all(|line| line.starts_with("ok ")), "{told:?}");
    assert!(line(&told, "merchant").ends_with("knows kiosk-1; 0 unsettled sales"));
    assert!(line(&told, "clock").ends_with("agrees with the server's"));
    assert!(
        !shop.path("journal").exists(),
        "looking leaves nothing behind"
    );
}

#[test]
fn a_panel_on_which_no_phone_can_read_the_code_is_refused() {
    let shop = Shop::open();
    let platform = shop.platform(&[]);
    let (platform, merchant) = (platform.url("/prod-api"), shop.merchant.url(""));
    let config = shop.configure_kiosk(&platform, &merchant, "");
    let code = |size: &str, host: &str| {
        let bench = include_str!("../boards/bench.toml");
        let board = bench.replace("[240, 320]", size);
        std::fs::write(shop.path("bench.toml"), board).expect("written");
        let text = std::fs::read_to_string(&config).expect("read");
        let hosts = format!("scan-hosts = [\"{host}\"]");
        let text = text.replace("scan-hosts = [\"127.0.0.1\"]", &hosts);
        let other = shop.path("other.toml");
        std::fs::write(&other, text).expect("written");
        line(&check(&other).0, "code").to_owned()
    };
    let usual = code("[128, 160]", "up.selpay.cn");
    assert!(
        usual.ends_with("on 128 × 160, 2 pixels a module"),
        "{usual}"
    );
    let long = format!("{}.{}.selpay.cn", "a".repeat(60), "b".repeat(60));
    let small = code("[128, 160]", &long);
    assert!(
        small.starts_with("WRONG") && small.ends_with("on 128 × 160: take a larger panel"),
        "{small}"
    );
    let large = code("[240, 320]", &long);
    assert!(large.ends_with("3 pixels a module"), "{large}");
}

#[test]
fn what_is_wrong_with_the_merchant_is_told_with_its_cure() {
    let shop = Shop::open();
    let platform = shop.platform(&[]);
    let at = |url: &str, lines: &str| check_with(&shop, &platform, url, lines);
    let merchant = |told: Vec<String>| line(&told, "merchant").to_owned();

    let nobody = merchant(at("http://127.0.0.1:1", ""));
    assert!(nobody.contains("no server at that port"), "{nobody}");
    let platform_instead = merchant(at(&platform.url(""), ""));
    assert!(
        platform_instead.contains("that is no selpay-kiosk merchant"),
        "{platform_instead}"
    );
    files::write_secret(&shop.path("token"), "not ours").expect("written");
    let token = merchant(at(&shop.merchant.url(""), ""));
    assert!(
        token.contains("does not know our token: compare token-file"),
        "{token}"
    );
}

#[test]
fn what_is_wrong_with_tls_is_told_with_its_cure() {
    let shop = Shop::open();
    let platform = shop.platform(&[]);
    let ca_line = "merchant-ca-file = \"ca.pem\"";
    let through = |certificate: &Certificate<'_>, lines: &str| {
        let front = TlsFront::before(&shop.merchant.address, certificate, &shop.path("ca.pem"));
        line(
            &check_with(&shop, &platform, &front.url(), lines),
            "merchant",
        )
        .to_owned()
    };
    let good = through(&GOOD, ca_line);
    assert!(
        good.starts_with("ok ") && good.contains("knows kiosk-1"),
        "{good}"
    );
    let stranger = through(&GOOD, "");
    assert!(
        stranger.contains("name the authority in merchant-ca-file"),
        "{stranger}"
    );
    for years in [(2020, 2021), (2088, 2090)] {
        let not_today = through(&Certificate { years, ..GOOD }, ca_line);
        assert!(
            not_today.contains("set this Pi's clock first"),
            "{not_today}"
        );
    }
    let names = &["merchant.example"];
    let other_name = through(&Certificate { names, ..GOOD }, ca_line);
    assert!(
        other_name.contains("the certificate is for another name"),
        "{other_name}"
    );
}

#[test]
fn a_journal_that_cannot_be_written_or_read_is_told() {
    let shop = Shop::open();
    let platform = shop.platform(&[]);
    let journal = |name: &str| {
        let config = shop.configure_kiosk(&platform.url("/prod-api"), &shop.merchant.url(""), "");
        let text = fs::read_to_string(&config).expect("text");
        let text = text.replace("journal = \"journal\"", &format!("journal = \"{name}\""));
        fs::write(&config, text).expect("written");
        let (told, status) = check(&config);
        assert_eq!(status, Some(1));
        line(&told, "journal").to_owned()
    };
    let nowhere = journal("nowhere/journal");
    assert!(nowhere.contains("No such file or directory"), "{nowhere}");
    fs::write(shop.path("damaged"), "what is this\n").expect("written");
    let damaged = journal("damaged");
    assert!(
        damaged.contains("the journal is damaged in record 0"),
        "{damaged}"
    );
}

#[test]
fn a_board_without_its_hardware_is_told_what_is_missing() {
    let shop = Shop::open();
    let platform = shop.platform(&[]);
    let config = shop.configure_kiosk(&platform.url("/prod-api"), &shop.merchant.url(""), "");
    let board = include_str!("../boards/pi-hat35.toml");
    let elsewhere = board.replace("/dev/spidev0.0", "/dev/nothing0.0");
    let elsewhere = elsewhere.replace("[panel]", "gpio-chip = \"no-such-chip\"\n\n[panel]");
    let pad = "kind = \"evdev\"\ndevice = \"/dev/input/by-id/nothing\"";
    let elsewhere = elsewhere.replace("kind = \"evdev\"", pad);
    fs::write(shop.path("bench.toml"), elsewhere).expect("written");
    let (told, status) = check(&config);
    assert_eq!(status, Some(1));
    for (what, why) in [
        ("gpio chip", "no GPIO chip is labelled no-such-chip"),
        (
            "panel",
            "/dev/nothing0.0 is not there: SPI is off; run sudo raspi-config",
        ),
        (
            "keypad",
            "/dev/input/by-id/nothing is not there: plug the number pad in",
        ),
        ("dispenser", "no GPIO chip is labelled no-such-chip"),
    ] {
        let told = line(&told, what);
        assert!(told.starts_with("WRONG") && told.contains(why), "{told}");
    }
}

#[test]
fn a_device_is_tried_by_itself() {
    let shop = Shop::open();
    let panel = try_bench(&shop, &["panel"], "\n");
    assert_eq!(panel.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&panel.stdout).contains("an arrow that points up"));
    assert!(shop.path("panel.png").exists());

    let all = try_bench(&shop, &["keypad"], "0123456789.#CBRL");
    assert_eq!(all.status.code(), Some(0));
    let few = try_bench(&shop, &["keypad"], "0123456789.#CB");
    assert_eq!(few.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&few.stderr).trim(),
        "never seen: R, L"
    );
}

#[test]
fn goods_fall_only_when_somebody_agrees() {
    let shop = Shop::open();
    let pulses = || {
        fs::read_to_string(shop.path("dispenser.log"))
            .unwrap_or_default()
            .lines()
            .count()
    };
    assert_eq!(
        try_bench(&shop, &["dispenser"], "n\n").status.code(),
        Some(1)
    );
    assert_eq!(try_bench(&shop, &["dispenser"], "").status.code(), Some(1));
    assert_eq!(pulses(), 0);
    assert_eq!(
        try_bench(&shop, &["dispenser"], "y\n").status.code(),
        Some(0)
    );
    assert_eq!(
        try_bench(&shop, &["dispenser", "--yes"], "").status.code(),
        Some(0)
    );
    assert_eq!(pulses(), 2);
}

#[test]
fn a_token_in_clear_text_is_refused_unless_the_file_says_so_aloud() {
    let shop = Shop::open();
    let merchant = "http://merchant.example";
    let config = shop.configure_kiosk("https://up.selpay.cn", merchant, "");
    let mut command = kiosk_program();
    let refused = command.args(["run", "--config"]).arg(&config).output();
    let refused = refused.expect("run");
    assert_eq!(refused.status.code(), Some(2));
    let told = String::from_utf8(refused.stderr).expect("text");
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(
        told.contains("kiosk.toml: merchant-url: whoever sits between")
            && told.trim_end().ends_with("or allow-plain-http = true"),
        "{told}"
    );
    let aloud = "allow-plain-http = true";
    let config = shop.configure_kiosk("https://127.0.0.1:1", "http://0.0.0.0:1", aloud);
    let (told, _) = check(&config);
    assert!(
        line(&told, "merchant").starts_with("WRONG"),
        "it was asked: {told:?}"
    );
}
