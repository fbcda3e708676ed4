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

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use selpay_kiosk::kiosk;
use selpay_kiosk::kiosk::board::file::BoardFile;
use selpay_kiosk::merchant;
use selpay_kiosk::merchant::alarms::Kind;
use tempfile::TempDir;

use crate::support::shop::PATIENCE;

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
/// The addresses that the pages print; the programs get others.
const PRINTED: [&str; 2] = ["127.0.0.1:8080", "127.0.0.1:9000"];
/// No block takes longer, on a slow day.
const BLOCK_TIME: Duration = Duration::from_secs(60);
const PROGRAMS: [(&str, &str); 4] = [
    ("kiosk", env!("CARGO_BIN_EXE_kiosk")),
    ("merchant", env!("CARGO_BIN_EXE_merchant")),
    ("paysim", env!("CARGO_BIN_EXE_paysim")),
    ("demo", env!("CARGO_BIN_EXE_demo")),
];
/// `cargo run` without building anything.
const CARGO: &str = r#"#!/bin/sh
[ "$1" = run ] || { echo "cargo $1 is not run here: mark the block" >&2; exit 99; }
shift
program=demo
while [ $# -gt 0 ]; do
  case $1 in
    --release) ;;
    --bin) program=$2; shift ;;
    --) shift; break ;;
    *) echo "cargo run $1 is not run here: mark the block" >&2; exit 99 ;;
  esac
  shift
done
exec "$program" "$@"
"#;

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

/// A started block; its whole process group ends with the test.
struct Running {
    child: Child,
    place: String,
    /// Where its output goes, and its errors.
    printed: [PathBuf; 2],
    ends_by_itself: bool,
}

impl Running {
    fn signal(&self, signal: Signal) {
        let group = Pid::from_child(&self.child);
        // Who has ended already needs no signal.
        let _ = kill_process_group(group, signal);
    }

    /// Waits until it has ended well; what it printed to the end, if it has not.
    fn ends_well(&mut self) {
        let began = Instant::now();
        let status = loop {
            match self.child.try_wait().expect("waited for") {
                Some(status) => break Some(status),
                None if began.elapsed() > BLOCK_TIME => break None,
                None => thread::sleep(Duration::from_millis(5)),
            }
        };
        let printed = self.printed.iter().map(fs::read_to_string);
        let printed: String = printed.map(Result::unwrap_or_default).collect();
        let is_good = status.is_some_and(|status| status.success());
        assert!(is_good, "{}: {status:?}\n{printed}", self.place);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            self.signal(Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// Where a page's blocks run.
struct Desk {
    running: Vec<Running>,
    /// Files as they are printed.
    files: BTreeMap<String, String>,
    /// Printed addresses, and what they are here.
    addresses: BTreeMap<&'static str, String>,
    dir: TempDir,
}

impl Desk {
    fn open() -> Desk {
        let dir = TempDir::new().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        for name in ["boards", "bin"] {
            fs::create_dir(at(name)).expect("made");
        }
        for board in fs::read_dir(root().join("boards")).expect("boards") {
            let board = board.expect("a board").path();
            if board.extension().is_some_and(|kind| kind == "toml") {
                let name = board.file_name().expect("a name");
                fs::copy(&board, dir.path().join("boards").join(name)).expect("copied");
            }
        }
        for name in ["docs", "tests"] {
            symlink(root().join(name), at(name)).expect("linked");
        }
        for (name, program) in PROGRAMS {
            symlink(program, dir.path().join("bin").join(name)).expect("linked");
        }
        let cargo = dir.path().join("bin/cargo");
        fs::write(&cargo, CARGO).expect("written");
        fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).expect("changed");
        Desk {
            running: Vec::new(),
            files: BTreeMap::new(),
            addresses: PRINTED
                .map(|printed| (printed, "127.0.0.1:0".to_owned()))
                .into(),
            dir,
        }
    }

    fn here(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (printed, here) in &self.addresses {
            text = text.replace(printed, here);
        }
        text
    }

    fn write_files(&self) {
        for (name, text) in &self.files {
            fs::write(self.dir.path().join(name), self.here(text)).expect("written");
        }
    }

    /// A file that the page tells to make: the program that reads it must like it.
    fn file(&mut self, name: &str, block: &Block) {
        self.files.insert(name.to_owned(), block.text.clone());
        self.write_files();
        let path = self.dir.path().join(name);
        let read = match name {
            "merchant.toml" => merchant::config::Config::load(&path).map(drop),
            "kiosk.toml" => kiosk::config::Config::load(&path)
                .and_then(|config| BoardFile::load(&config.board).map(drop)),
            other => panic!("{}: no program reads {other}", block.place),
        };
        if let Err(error) = read {
            panic!("{}: {error}", block.place);
        }
    }

    /// Where what a block prints is kept.
    fn output(&self, block: &Block, name: &str) -> PathBuf {
        let place = block.place.replace('/', "-");
        self.dir.path().join(format!("{place}.{name}"))
    }

    fn start(&self, block: &Block, output: Stdio) -> Running {
        // A shell would not outlive the signal that ends the program well.
        let exec = match block.mark {
            Mark::StaysRunning(_) => "exec ",
            _ => "",
        };
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", self.dir.path().join("bin").display());
        let child = Command::new("sh")
            .args(["-euc", &format!("{exec}{}", self.here(&block.text))])
            .current_dir(&self.dir)
            .env("PATH", path)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(File::create(self.output(block, "stderr")).expect("a file"))
            .process_group(0)
            .spawn()
            .expect("started");
        Running {
            child,
            place: block.place.clone(),
            printed: ["stdout", "stderr"].map(|name| self.output(block, name)),
            ends_by_itself: false,
        }
    }

    fn run(&self, block: &Block) {
        let stdout = File::create(self.output(block, "stdout")).expect("a file");
        self.start(block, stdout.into()).ends_well();
    }

    fn keep_running(&mut self, block: &Block, awaited: Option<&str>) {
        let mut running = self.start(block, Stdio::piped());
        running.ends_by_itself = awaited.is_none();
        let lines = lines_of(&mut running.child);
        if let Some(awaited) = awaited {
            let line = loop {
                match lines.recv_timeout(PATIENCE) {
                    Ok(line) if line.contains(awaited) => break line,
                    Ok(_) => {}
                    Err(_) => panic!("{}: it never says {awaited:?}", block.place),
                }
            };
            if let Some(address) = line.strip_prefix("listening on ") {
                let printed = self.listens_on(block);
                self.addresses.insert(printed, address.to_owned());
                self.write_files();
            }
        }
        self.running.push(running);
    }

    /// Which printed address this block's server listens on.
    fn listens_on(&self, block: &Block) -> &'static str {
        let configured = self.files.get("merchant.toml");
        let of = |printed: &&&str| {
            block.text.contains(&format!("--listen {printed}"))
                || !block.text.contains("--listen ")
                    && configured.is_some_and(|text| text.contains(**printed))
        };
        let printed = PRINTED.iter().find(of);
        *printed.unwrap_or_else(|| panic!("{}: where does it listen?", block.place))
    }

    fn close(mut self) {
        for running in &mut self.running {
            if !running.ends_by_itself {
                running.signal(Signal::TERM);
            }
            running.ends_well();
        }
    }
}

/// What it prints, line by line, read for as long as it does.
fn lines_of(child: &mut Child) -> Receiver<String> {
    let (sender, lines) = channel();
    let stdout = BufReader::new(child.stdout.take().expect("piped"));
    thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            // Nobody waits for it any more: it must be read all the same.
            let _ = sender.send(line);
        }
    });
    lines
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

/// A shell's words, as far as these pages use them: quotes, `$(…)` within a word, comments.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word = String::new();
    let end_word = |word: &mut String, commands: &mut Vec<Vec<String>>| {
        if !word.is_empty() {
            let last = commands.last_mut().expect("never empty");
            last.push(std::mem::take(word));
        }
    };
    let (mut quote, mut depth) = (None, 0);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            (_, Some(quoted)) if letter == quoted => quote = None,
            (_, Some(_)) => word.push(letter),
            ('\'' | '"', None) => quote = Some(letter),
            ('(', None) => {
                depth += 1;
                word.push(letter);
            }
            (')', None) => {
                depth -= 1;
                word.push(letter);
            }
            (_, None) if depth > 0 => word.push(letter),
            ('#', None) if word.is_empty() => {
                while letters.next_if(|next| *next != '\n').is_some() {}
            }
            ('\n' | ';' | '|' | '&', None) => {
                end_word(&mut word, &mut commands);
                commands.push(Vec::new());
            }
            (_, None) if letter.is_whitespace() => end_word(&mut word, &mut commands),
            (_, None) => word.push(letter),
        }
    }
    end_word(&mut word, &mut commands);
    commands.retain(|words| !words.is_empty());
    commands
}

/// A block that is not run: what it names must exist.
fn look_at(block: &Block) {
    let Block { place, text, .. } = block;
    for words in commands(text) {
        let mut words: &[String] = &words;
        let is_setting = |word: &String| {
            let name = word.split_once('=').map_or("", |(name, _)| name);
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
        };
        while is_setting(&words[0]) {
            words = &words[1..];
        }
        if words[0] == "sudo" {
            words = if words[1] == "-u" {
                &words[3..]
            } else {
                &words[1..]
            };
        }
        let (program, rest) = words.split_first().expect("a command");
        match program.as_str() {
            "cargo" => look_at_cargo(place, rest),
            ".ci/run" => {
                let gate = text_of(".ci/run");
                for step in rest.iter().filter(|step| *step != "--list") {
                    assert!(
                        gate.contains(&format!("do_{step}()")),
                        "{place}: no step {step}"
                    );
                }
            }
            "apt" | "install" | "rustup" | "sudoedit" | "systemctl" => {}
            name => is_understood(place, name, rest),
        }
        for word in words.iter().filter_map(|word| word.split("boards/").nth(1)) {
            assert!(
                root().join("boards").join(word).exists(),
                "{place}: boards/{word}"
            );
        }
    }
}

/// Asks a program's own parser: `--help` behind the arguments, which are read first.
fn is_understood(place: &str, name: &str, arguments: &[String]) {
    let program = PROGRAMS.iter().find(|(known, _)| *known == name);
    let (_, program) = program.unwrap_or_else(|| panic!("{place}: what is {name}?"));
    let arguments = arguments.iter().take_while(|word| !word.starts_with('>'));
    let asked = Command::new(program).args(arguments).arg("--help").output();
    let asked = asked.expect("started");
    let told = String::from_utf8_lossy(&asked.stderr);
    assert!(asked.status.success(), "{place}: {name}: {told}");
}

fn look_at_cargo(place: &str, words: &[String]) {
    let manifest = text_of("Cargo.toml");
    let (command, words) = words.split_first().expect("a command of cargo's");
    let aliases = text_of(".cargo/config.toml");
    let is_alias = aliases.contains(&format!("\n{command} = "));
    let known = ["run", "test", "bench", "build", "deb", "fuzz", "mutants"];
    assert!(
        is_alias || known.contains(&command.as_str()),
        "{place}: cargo {command}"
    );
    let (ours, theirs) = match words.iter().position(|word| word == "--") {
        Some(place) => (&words[..place], &words[place + 1..]),
        None => (words, &[][..]),
    };
    let value = |flag: &str| {
        let at = ours.iter().position(|word| word == flag)?;
        ours.get(at + 1).map(String::as_str)
    };
    for flag in ["--test", "--bench", "--example"] {
        if let Some(name) = value(flag) {
            let named = manifest.contains(&format!("name = {name:?}"));
            assert!(named, "{place}: {flag} {name}");
        }
    }
    if let Some(variant) = value("--variant") {
        let section = format!("[package.metadata.deb.variants.{variant}]");
        assert!(manifest.contains(&section), "{place}: --variant {variant}");
    }
    if let Some(file) = value("--file") {
        assert!(root().join(file).exists(), "{place}: {file}");
    }
    if command == "fuzz" {
        let target = format!("fuzz/fuzz_targets/{}.rs", ours[1]);
        assert!(root().join(&target).exists(), "{place}: {target}");
    }
    match (command.as_str(), value("--bin"), value("--example")) {
        ("run", Some(program), _) => is_understood(place, program, theirs),
        ("run", None, Some("simulate")) => {
            let arguments = text_of("tests/simulation/simulate.rs");
            for flag in theirs.iter().filter_map(|word| word.strip_prefix("--")) {
                let field = format!("    {}: ", flag.replace('-', "_"));
                assert!(arguments.contains(&field), "{place}: --{flag}");
            }
        }
        ("run", None, Some(_)) => {}
        ("run", None, None) => is_understood(place, "demo", theirs),
        ("test", ..) => {
            let module = ours
                .iter()
                .chain(theirs)
                .find_map(|word| word.strip_suffix("::"));
            let file = module.map(|module| format!("tests/{module}.rs"));
            let exists = file.as_ref().is_none_or(|file| root().join(file).exists());
            assert!(exists, "{place}: {file:?}");
        }
        _ => {}
    }
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

/// Every file below, with this ending.
fn files(dir: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.extension().is_some_and(|kind| kind == ending) {
            found.push(path);
        }
    }
}

/// Our sources, by their path from the root.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for dir in ["src", "tests", "benches", "examples", "fuzz/fuzz_targets"] {
        files(&root().join(dir), "rs", &mut found);
    }
    let read = |path: &PathBuf| {
        let name = path
            .strip_prefix(root())
            .expect("ours")
            .display()
            .to_string();
        let text = text_of(&name);
        (name, text)
    };
    let itself = |(name, _): &(String, String)| name != "tests/docs.rs";
    found.iter().map(read).filter(itself).collect()
}

#[test]
fn every_promise_that_is_cited_stands_in_the_architecture() {
    let page = text_of("docs/architecture.md");
    let mut cited = BTreeSet::new();
    let pages = PAGES.map(|page| (page.to_owned(), text_of(page)));
    for (name, text) in sources().into_iter().chain(pages) {
        let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        for word in words {
            let number = word.strip_prefix(['M', 'G', 'L']).unwrap_or("");
            if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
                cited.insert(word.to_owned());
                let anchor = format!("<a id=\"{}\"></a>{word} |", word.to_lowercase());
                assert!(page.contains(&anchor), "{name} cites {word}");
            }
        }
    }
    assert!(cited.len() > 15, "{cited:?}");
}

/// What looks like a path of ours, in a text.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    const DIRS: [&str; 10] = [
        "src/",
        "tests/",
        "benches/",
        "docs/",
        "boards/",
        "packaging/",
        "examples/",
        "fuzz/",
        ".ci/",
        ".cargo/",
    ];
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "_-./*".contains(letter);
    let words = text.split(move |letter| !is_part(letter));
    let words = words.map(|word| word.trim_end_matches(['.', '/', '-']));
    words.filter(|word| {
        DIRS.iter().any(|dir| word.starts_with(dir))
            || (word.ends_with(".md") && word.len() > 3 && !word.starts_with('/'))
    })
}

/// Whether there is such a file; `*` stands for any part of its name.
fn exists(path: &str) -> bool {
    let Some((before, after)) = path.split_once('*') else {
        return root().join(path).exists() || root().join("docs").join(path).exists();
    };
    let (dir, begin) = before.rsplit_once('/').unwrap_or((".", before));
    let is_it = |entry: fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with(begin) && name.ends_with(after)
    };
    let entries = fs::read_dir(root().join(dir));
    entries.is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(is_it)))
}

#[test]
fn every_file_that_a_comment_cites_exists() {
    let mut names = Vec::new();
    files(&root().join("src"), "rs", &mut names);
    files(&root().join("tests"), "rs", &mut names);
    let is_known = |wanted: &str| names.iter().any(|path| path.ends_with(wanted));
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for (name, text) in sources() {
        let comments = text
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("//"));
        for line in comments {
            for path in paths(line) {
                seen += 1;
                if !exists(path) {
                    wrong.push(format!("{name} cites {path}"));
                }
            }
            let is_part = |letter: char| letter.is_ascii_alphanumeric() || "_-./".contains(letter);
            let words = line.split(|letter| !is_part(letter));
            let files = words.filter(|word| word.ends_with(".rs") && word.len() > 3);
            let missing = files.filter(|file| !exists(file) && !is_known(file));
            wrong.extend(missing.map(|file| format!("{name} cites {file}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 20, "only {seen} paths were found");
}

/// The page without its fenced blocks.
fn prose(page: &str) -> String {
    let text = text_of(page);
    let mut inside = false;
    let kept = text.lines().filter(|line| {
        let is_fence = line.starts_with("```");
        inside ^= is_fence;
        !inside && !is_fence
    });
    kept.collect::<Vec<_>>().join("\n")
}

/// The anchors that GitHub gives a page.
fn anchors(page: &str) -> BTreeSet<String> {
    let text = prose(page);
    let slug = |title: &str| {
        let kept = title
            .chars()
            .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let headings = headings.map(|line| slug(line.trim_start_matches('#').trim()));
    let named = text.split("<a id=\"").skip(1);
    let named = named.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()));
    headings.chain(named).collect()
}

#[test]
fn every_file_and_every_place_that_a_page_cites_exists() {
    let made = text_of(".gitignore");
    let mut wrong = Vec::new();
    for page in PAGES {
        let text = prose(page);
        for code in text.split('`').skip(1).step_by(2) {
            let is_made = |path: &str| made.lines().any(|line| line == format!("/{path}"));
            let missing = paths(code).filter(|path| !exists(path) && !is_made(path));
            wrong.extend(missing.map(|path| format!("{page} cites {path}")));
        }
        let beside = Path::new(page).parent().expect("a file");
        let links = text.split("](").skip(1);
        for link in links.filter_map(|rest| Some(rest.split_once(')')?.0)) {
            if link.starts_with("https://") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => page.to_owned(),
                path => beside.join(path).display().to_string(),
            };
            if !root().join(&target).exists() {
                wrong.push(format!("{page} leads to {link}"));
            } else if !anchor.is_empty() && !anchors(&target).contains(anchor) {
                wrong.push(format!("{page} leads to {link}: there is no such heading"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_test_that_a_page_cites_exists() {
    let sources = sources();
    let mut seen = 0;
    for page in PAGES {
        let text = prose(page);
        let is_name = |word: &&str| {
            word.matches('_').count() > 2
                && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        };
        for name in text.split('`').skip(1).step_by(2).filter(is_name) {
            seen += 1;
            let line = format!("fn {name}(");
            let exists = sources.iter().any(|(_, text)| text.contains(&line));
            let is_metric = name.starts_with("selpay_");
            assert!(exists || is_metric, "{page} cites {name}");
        }
    }
    assert!(seen > 10, "only {seen} tests are cited");
}

/// The field names of the structs of a source file whose name begins like this, as they are written in TOML.
fn fields(source: &str, of: &str) -> Vec<String> {
    let text = text_of(source);
    let structs = text.split(of).skip(1);
    let bodies = structs.filter_map(|rest| Some(rest.split_once("{\n")?.1.split_once("\n}")?.0));
    let mut found = Vec::new();
    for line in bodies.flat_map(str::lines) {
        let line = line.trim().trim_start_matches("pub ");
        let name = line.split_once(": ").map_or("", |(name, _)| name);
        if !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            found.push(name.replace('_', "-"));
        }
    }
    found
}

#[test]
fn every_key_of_the_configuration_is_documented() {
    let page = text_of("docs/api.md");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (source, of) in [
        ("src/merchant/config.rs", "struct Raw"),
        ("src/kiosk/config.rs", "struct Raw"),
        ("src/kiosk/board/file/raw.rs", "struct Raw"),
        ("src/kiosk/board/file/raw.rs", "enum Raw"),
        ("src/merchant/reconcile/bill.rs", "struct BillMap"),
    ] {
        for name in fields(source, of) {
            seen += 1;
            let is_told = ["`", "`[", "`[[", "`[dispenser."]
                .iter()
                .any(|before| page.contains(&format!("{before}{name}")));
            if !is_told {
                wrong.push(format!("{source}: {name} is not in docs/api.md"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 60, "only {seen} keys were found");
}

#[test]
fn every_command_alarm_and_metric_is_documented() {
    let mut wrong = Vec::new();
    let api = text_of("docs/api.md");
    for (name, program) in PROGRAMS {
        let help = Command::new(program)
            .arg("--help")
            .output()
            .expect("started");
        let help = String::from_utf8_lossy(&help.stdout).into_owned();
        let Some((_, commands)) = help.split_once("Commands:\n") else {
            continue;
        };
        let commands = commands.lines().take_while(|line| !line.is_empty());
        for command in commands.filter_map(|line| line.split_whitespace().next()) {
            if command != "help" && !api.contains(&format!("`{name} {command}")) {
                wrong.push(format!("docs/api.md: {name} {command}"));
            }
        }
    }
    let metrics = text_of("src/merchant/metrics.rs");
    for name in metrics.split("\"selpay_").skip(1) {
        let name = name.split('"').next().unwrap_or_default();
        if !api.contains(&format!("| `selpay_{name}` |")) {
            wrong.push(format!("docs/api.md: selpay_{name}"));
        }
    }
    let operations = text_of("docs/operations.md");
    for kind in Kind::ALL {
        if !operations.contains(&format!("| `{}` |", kind.as_str())) {
            wrong.push(format!("docs/operations.md: {}", kind.as_str()));
        }
    }
    assert!(wrong.is_empty(), "not documented:\n{}", wrong.join("\n"));
}
