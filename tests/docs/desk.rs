//! Where a page's blocks run: a directory with what a clone has, the built programs in its PATH, and no cargo that builds.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use selpay_kiosk::kiosk;
use selpay_kiosk::kiosk::board::file::BoardFile;
use selpay_kiosk::merchant;
use tempfile::TempDir;

use super::{Block, Mark, PROGRAMS, root};
use crate::support::shop::PATIENCE;

/// The addresses that the pages print; the programs get others.
const PRINTED: [&str; 2] = ["127.0.0.1:8080", "127.0.0.1:9000"];
/// No block takes longer, on a slow day.
const BLOCK_TIME: Duration = Duration::from_secs(60);
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
pub(super) struct Desk {
    running: Vec<Running>,
    /// Files as they are printed.
    files: BTreeMap<String, String>,
    /// Printed addresses, and what they are here.
    addresses: BTreeMap<&'static str, String>,
    dir: TempDir,
}

impl Desk {
    pub(super) fn open() -> Desk {
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
    pub(super) fn file(&mut self, name: &str, block: &Block) {
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

    pub(super) fn run(&self, block: &Block) {
        let stdout = File::create(self.output(block, "stdout")).expect("a file");
        self.start(block, stdout.into()).ends_well();
    }

    pub(super) fn keep_running(&mut self, block: &Block, awaited: Option<&str>) {
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
        printed.unwrap_or_else(|| panic!("{}: where does it listen?", block.place))
    }

    pub(super) fn close(mut self) {
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
