//! What a newcomer runs first: `cargo run -- --sale …`.

#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]

use crate::support::shop;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn demo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_demo"))
        .args(arguments)
        .output()
        .expect("run")
}

fn lines(output: &Output) -> Vec<String> {
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect()
}

/// The number of the first line that tells this.
fn at(lines: &[String], text: &str) -> usize {
    lines
        .iter()
        .position(|line| line.contains(text))
        .unwrap_or_else(|| panic!("{text} is not in\n{}", lines.join("\n")))
}

fn address(lines: &[String]) -> &str {
    let line = &lines[at(lines, "to pay at ")];
    line.split("to pay at ").nth(1).expect("the address")
}

fn screens(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory");
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn a_sale_plays_by_itself_and_its_screens_are_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let shots = dir.path().join("shots");
    let lines = lines(&demo(&[
        "--sale",
        "3.50",
        "--screens",
        shots.to_str().expect("plain"),
    ]));
    assert!(at(&lines, "the claim is granted") < at(&lines, "relay      pulse"));
    assert!(at(&lines, "journal    Start") < at(&lines, "relay      pulse"));
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.contains("relay      pulse"))
            .count(),
        1
    );
    assert!(
        lines.iter().all(|line| line.contains(" ms  ")),
        "each step has its time"
    );
    let kept = screens(&shots);
    let expected = [
        "01-amount.png",
        "02-one-moment.png",
        "03-pay.png",
        "04-one-moment.png",
        "05-paid.png",
        "06-thank-you.png",
    ];
    assert_eq!(kept, expected);
    assert_eq!(
        shop::read_code(&shots.join("03-pay.png")).as_deref(),
        Some(address(&lines))
    );
}

#[test]
#[ignore = "needs zbarimg"]
fn zbar_reads_exactly_the_address_from_the_panel() {
    let dir = tempfile::tempdir().expect("a directory");
    let shots = dir.path().to_str().expect("plain");
    let lines = lines(&demo(&["--sale", "3.50", "--screens", shots]));
    let file = dir.path().join("03-pay.png");
    let read = Command::new("zbarimg")
        .args(["--quiet", "--raw"])
        .arg(file)
        .output()
        .expect("zbarimg is installed");
    assert_eq!(
        String::from_utf8_lossy(&read.stdout).trim_end(),
        address(&lines)
    );
}

#[test]
fn the_older_code_pays_after_a_new_one_was_asked_for() {
    let lines = lines(&demo(&["--sale", "0.01", "--regenerate"]));
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.contains("AddOrderInfo"))
            .count(),
        2
    );
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.contains("relay      pulse"))
            .count(),
        1
    );
    assert!(
        lines
            .last()
            .is_some_and(|line| line.ends_with("dispensed, once"))
    );
}

#[test]
fn a_sale_that_is_never_paid_dispenses_nothing() {
    let lines = lines(&demo(&["--sale", "3.50", "--never-pay", "--expire", "3"]));
    assert!(!lines.iter().any(|line| line.contains("relay")));
    assert!(at(&lines, "it is closed") < at(&lines, "screen     not-paid"));
    assert!(
        lines
            .last()
            .is_some_and(|line| line.ends_with("nothing dispensed"))
    );
}

#[test]
fn the_data_stay_where_they_are_wanted_and_the_books_balance() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_str().expect("plain");
    for _ in 0..2 {
        lines(&demo(&["--sale", "3.50", "--dir", path]));
    }
    let config = dir.path().join("merchant.toml");
    let output = Command::new(env!("CARGO_BIN_EXE_merchant"))
        .args(["balance", "--json", "--config"])
        .arg(config)
        .output();
    let balance: serde_json::Value =
        serde_json::from_slice(&output.expect("run").stdout).expect("JSON");
    assert_eq!(
        (&balance["dispensed"], &balance["holds"]),
        (&700.into(), &true.into())
    );
}
