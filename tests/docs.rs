//! The pages say what is so: their commands run as they are printed, their files are read by the programs, and what they and
//! the comments cite exists.
//!
//! Each page has a directory of its own, in which its blocks run in their order. A comment before a block says what is
//! special about it:
//!
//! - `<!-- file: NAME -->`: this TOML is that file.
//! - `<!-- stays running: TEXT -->`: started, TEXT awaited on its standard output, ended with the page.
//! - `<!-- ends by itself -->`: started, and ended before the page is.
//! - `<!-- not run: WHY -->`: not run. Its programs, options, targets and files must exist.
//!
//! Printed ports are replaced by free ones. Nothing else is changed.
#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]

mod cited;
mod complete;
mod desk;
mod look;

use std::fs;
use std::path::Path;

use selpay_kiosk::kiosk::board::file::BoardFile;

use desk::Desk;
use look::look_at;

/// The pages with commands or links.
const PAGES: [&str; 12] = [
    "README.md",
    "README.zh.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/api.md",
    "docs/architecture.md",
    "docs/hardware.md",
    "docs/measurements.md",
    "docs/operations.md",
    "docs/paysim.md",
    "docs/protocol.md",
    "docs/testing.md",
];
/// The platform's own document, as it is.
const NOT_OURS: &str = "docs/selpay-integration.zh.md";

/// The programs, as they are built for this test.
const PROGRAMS: [(&str, &str); 4] = [
    ("kiosk", env!("CARGO_BIN_EXE_kiosk")),
    ("merchant", env!("CARGO_BIN_EXE_merchant")),
    ("paysim", env!("CARGO_BIN_EXE_paysim")),
    ("demo", env!("CARGO_BIN_EXE_demo")),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text_of(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A fenced block of a page.
struct Block {
    /// `README.md:17`
    place: String,
    language: String,
    mark: Mark,
    text: String,
}

/// What the comment before a block says.
#[derive(PartialEq)]
enum Mark {
    None,
    File(String),
    StaysRunning(String),
    EndsByItself,
    NotRun,
}

impl Mark {
    fn read(line: &str, place: &str) -> Mark {
        let comment = line
            .strip_prefix("<!--")
            .and_then(|rest| rest.strip_suffix("-->"));
        let Some(comment) = comment.map(str::trim) else {
            return Mark::None;
        };
        match comment.split_once(": ") {
            Some(("file", name)) => Mark::File(name.to_owned()),
            Some(("stays running", text)) => Mark::StaysRunning(text.to_owned()),
            Some(("not run", _)) => Mark::NotRun,
            None if comment == "ends by itself" => Mark::EndsByItself,
            _ => panic!("{place}: nobody knows what {line} means"),
        }
    }
}

fn blocks(page: &str) -> Vec<Block> {
    let text = text_of(page);
    let mut found = Vec::new();
    let mut before = "";
    let mut lines = text.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        let place = format!("{page}:{number}");
        if let Some(language) = line.strip_prefix("```") {
            let inside = lines.by_ref().map(|(line, _)| line);
            let inside: Vec<&str> = inside.take_while(|line| *line != "```").collect();
            found.push(Block {
                mark: Mark::read(before, &place),
                place,
                language: language.to_owned(),
                text: inside.join("\n") + "\n",
            });
        }
        if !line.trim().is_empty() {
            before = line;
        }
    }
    found
}

fn run(page: &str) {
    let mut desk = Desk::open();
    for block in blocks(page) {
        match (block.language.as_str(), &block.mark) {
            ("sh", Mark::None) => desk.run(&block),
            ("sh", Mark::StaysRunning(text)) => desk.keep_running(&block, Some(text)),
            ("sh", Mark::EndsByItself) => desk.keep_running(&block, None),
            ("sh", Mark::NotRun) => look_at(&block),
            ("toml", Mark::File(name)) => desk.file(name, &block),
            ("toml", Mark::None) => {
                let read = BoardFile::parse(Path::new(&block.place), &block.text);
                assert!(read.is_ok(), "{}", read.expect_err("just looked"));
            }
            ("json", Mark::None) => {
                let read = serde_json::from_str::<serde_json::Value>(&block.text);
                assert!(read.is_ok(), "{}: {read:?}", block.place);
            }
            ("mermaid", Mark::None) => {}
            (language, _) => panic!("{}: what is to be done with {language:?}?", block.place),
        }
    }
    desk.close();
}

#[test]
fn the_readme_runs_as_it_is_printed() {
    run("README.md");
}

#[test]
fn the_chinese_readme_runs_as_it_is_printed() {
    run("README.zh.md");
}

#[test]
fn the_pages_run_as_they_are_printed() {
    for page in [
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "docs/architecture.md",
        "docs/hardware.md",
        "docs/measurements.md",
        "docs/protocol.md",
        "docs/testing.md",
    ] {
        run(page);
    }
}

#[test]
fn day_to_day_runs_as_it_is_printed() {
    run("docs/operations.md");
}

#[test]
#[ignore = "needs curl"]
fn the_api_answers_as_it_is_printed() {
    run("docs/api.md");
}

#[test]
#[ignore = "needs curl"]
fn a_sale_with_paysim_runs_as_it_is_printed() {
    run("docs/paysim.md");
}

#[test]
fn every_page_is_looked_at() {
    let docs = fs::read_dir(root().join("docs")).expect("docs");
    let docs = docs.map(|entry| {
        format!(
            "docs/{}",
            entry.expect("an entry").file_name().to_string_lossy()
        )
    });
    let pages: Vec<String> = docs
        .filter(|name| name.ends_with(".md") && name != NOT_OURS)
        .collect();
    assert!(pages.len() >= 8);
    for page in pages {
        assert!(PAGES.contains(&page.as_str()), "{page} is not in PAGES");
    }
}

#[test]
fn a_wrong_option_in_a_block_that_is_not_run_would_be_found() {
    let wrong = |text: &str| {
        let block = Block {
            place: "here".to_owned(),
            language: "sh".to_owned(),
            mark: Mark::NotRun,
            text: text.to_owned(),
        };
        std::panic::catch_unwind(move || look_at(&block)).is_err()
    };
    assert!(!wrong(
        "sudo -u x kiosk check --config /etc/kiosk.toml # all of it"
    ));
    assert!(!wrong(
        "A=$(x y) cargo run --bin merchant -- balance --config m.toml > out"
    ));
    for text in [
        "kiosk chek --config kiosk.toml",
        "sudo -u x kiosk check --confg kiosk.toml",
        "true && kiosk check --config kiosk.toml",
        "cargo run --release --bin merchant -- balance --confg m.toml",
        "cargo run --example simulate -- --sails 3",
        "cargo test --test integratoin sale::",
        "cargo test --test integration sail::",
        "kiosk try --board boards/pi-st7788.toml panel",
        ".ci/run lint",
        "frobnicate",
    ] {
        assert!(wrong(text), "{text}");
    }
}
