//! What the merchant's server bears: `cargo bench --bench merchant` prints one table, measured in one run on this machine;
//! `cargo bench --bench merchant -- fleet` only that part of it (judge, notifications, instructions, history, fleet).
//!
//! The server is the real program on a disk, its clients are on loopback on the same two cores. Beside it, where Go is there,
//! a server as it is usually written (`merchant/plain.go`).

#[path = "merchant/client.rs"]
mod client;
#[path = "merchant/fleet.rs"]
mod fleet;
#[path = "../tests/support"]
mod support {
    pub mod postgres;
    pub mod shop;
}
#[path = "support/times.rs"]
mod times;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use selpay_kiosk::api::Register;
use selpay_kiosk::ids::{KioskName, OrderNo, SaleId};
use selpay_kiosk::merchant::ledger::{Change, Time};
use selpay_kiosk::merchant::notify;
use selpay_kiosk::merchant::store::books::SqlBooks;
use selpay_kiosk::merchant::store::requests::{self, Books};
use selpay_kiosk::merchant::store::sqlite::open_to_write;
use selpay_kiosk::money::Fen;
use selpay_kiosk::sale::SaleStatus;
use selpay_kiosk::selpay::sign::SignKey;
use support::postgres;
use support::shop::{MCH_ID, Program, SIGN_KEY, Shop, paid, signed};
use tempfile::TempDir;

use client::Client;
use times::Times;

/// As many notifications at once.
const CONNECTIONS: u64 = 32;
/// How long each server is asked.
const ASKED_FOR: Duration = Duration::from_secs(8);

fn main() {
    allow_many_files();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, times] = &arguments[..] {
        if first == "--judge" {
            return judge_again_and_again(times.parse().expect("a number"));
        }
    }
    println!("| what | | | beside |\n| --- | --- | --- | --- |");
    let parts: [(&str, fn()); 5] = [
        ("judge", judge),
        ("notifications", notifications),
        ("instructions", instructions),
        ("history", history),
        ("fleet", fleets),
    ];
    for (name, part) in parts {
        // cargo itself says `--bench`.
        let wanted = arguments.iter().filter(|word| !word.starts_with("--"));
        if wanted.clone().count() == 0 || wanted.into_iter().any(|word| word == name) {
            part();
        }
    }
}

/// Every waiting kiosk is a connection, here as well.
fn allow_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, all).expect("raised");
}

fn notification(serial: u64) -> String {
    signed(paid(
        &format!("N{serial:015}"),
        &format!("T{serial:015}"),
        "350",
    ))
}

fn judge_again_and_again(times: u64) {
    let body = notification(1);
    let keys = SignKey::new(SIGN_KEY).expect("a key").into();
    for _ in 0..times {
        let (worth, _) = notify::judge(body.as_bytes(), &keys, &[MCH_ID]);
        assert_eq!(worth.word(), "payment");
    }
}

/// Parsing and verifying alone.
fn judge() {
    const TIMES: u64 = 200_000;
    let began = Instant::now();
    judge_again_and_again(TIMES);
    let second = TIMES as f64 / began.elapsed().as_secs_f64();
    println!("| parse and verify a notification, on one core | {second:.0} a second | | |");
}

/// What a server takes in, each payment on the disk before it is answered.
struct Rate {
    second: f64,
    p50: f64,
    p99: f64,
}

/// Posts payments over so many connections for a while.
fn rate(address: &str, connections: u64, first: u64) -> Rate {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let serial = Arc::new(AtomicU64::new(first));
        let until = Instant::now() + ASKED_FOR;
        let began = Instant::now();
        let posting: Vec<_> = (0..connections)
            .map(|_| {
                let (address, serial) = (address.to_owned(), Arc::clone(&serial));
                tokio::spawn(async move {
                    let mut client = Client::new(&address);
                    let mut times = Vec::new();
                    while Instant::now() < until {
                        let body = notification(serial.fetch_add(1, Ordering::Relaxed));
                        let began = Instant::now();
                        let answer = client.call("POST", "/notify", "", body.as_bytes()).await;
                        times.push(began.elapsed());
                        // An unknown number is booked, and answered `fail`.
                        let said = String::from_utf8(answer.1).expect("text");
                        assert!(
                            answer.0 == 200 && matches!(&*said, "success" | "fail"),
                            "{said}"
                        );
                    }
                    times
                })
            })
            .collect();
        let mut times = Vec::new();
        for posting in posting {
            times.extend(posting.await.expect("it posts"));
        }
        let second = times.len() as f64 / began.elapsed().as_secs_f64();
        let times = Times::of(times);
        Rate {
            second,
            p50: times.part(0.5),
            p99: times.part(0.99),
        }
    })
}

fn notifications() {
    let dir = tempfile::tempdir().expect("a directory");
    for slow in [None, slow_flush(dir.path())] {
        let (when, words) = match &slow {
            None => ("", Vec::new()),
            Some(library) => (
                ", each flush 5 ms slower",
                vec![
                    "env".to_owned(),
                    format!("LD_PRELOAD={}", library.display()),
                ],
            ),
        };
        let mut shop = Shop::open();
        shop.restart_merchant_under(&words);
        let one = rate(&shop.merchant.address, 1, 0);
        let ours = rate(&shop.merchant.address, CONNECTIONS, 1_000_000_000);
        told(
            &format!("durable payments on SQLite, {CONNECTIONS} connections{when}"),
            &ours,
            &format!(
                "{:.1} × one connection, so one commit each",
                ours.second / one.second
            ),
        );
        match Plain::start(&dir, &words) {
            Some(plain) => {
                let theirs = rate(&plain.0.address, CONNECTIONS, 0);
                let ratio = ours.second / theirs.second;
                told(
                    &format!("the same with Go, net/http, one commit each{when}"),
                    &theirs,
                    &format!("ours is {ratio:.1} × that"),
                );
            }
            None => println!("| the same with Go{when} | | | Go or its SQLite is not there |"),
        }
    }
    // Its own cluster flushes as a real one does.
    let cluster =
        postgres::Cluster::start(&["fsync=on", "synchronous_commit=on", "full_page_writes=on"]);
    let shop = Shop::open_on(&cluster.url(), "");
    let ours = rate(&shop.merchant.address, CONNECTIONS, 0);
    told(
        &format!("durable payments on PostgreSQL, {CONNECTIONS} connections"),
        &ours,
        "",
    );
}

fn told(what: &str, rate: &Rate, beside: &str) {
    let Rate { second, p50, p99 } = rate;
    println!("| {what} | {second:.0} a second | p50 {p50:.1} ms, p99 {p99:.1} ms | {beside} |");
}

/// A library that makes every flush slower, if it can be built.
fn slow_flush(dir: &Path) -> Option<PathBuf> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/merchant/slow_flush.c");
    let library = dir.join("slow_flush.so");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .args([source, "-ldl"])
        .status();
    built
        .is_ok_and(|status| status.success())
        .then_some(library)
}

/// The other server.
struct Plain(Program);

impl Plain {
    fn start(dir: &TempDir, words: &[String]) -> Option<Plain> {
        let program = dir.path().join("plain");
        if !program.exists() {
            let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/merchant/plain.go");
            let built = Command::new("go")
                .args(["build", "-o"])
                .arg(&program)
                .arg(source)
                // Debian's packages (golang-github-mattn-go-sqlite3-dev).
                .envs([
                    ("GO111MODULE", "off"),
                    ("GOPATH", "/usr/share/gocode"),
                    ("GOFLAGS", ""),
                ])
                .env("GOCACHE", dir.path().join("cache"))
                .status();
            if !built.is_ok_and(|status| status.success()) {
                return None;
            }
        }
        let database = dir.path().join("plain.db");
        for rest in ["", "-wal", "-shm"] {
            // There may be none.
            let _ = fs::remove_file(format!("{}{rest}", database.display()));
        }
        let mut all = words.iter().map(String::as_str).chain(program.to_str());
        let mut command = Command::new(all.next()?);
        command.args(all).arg(&database).arg(SIGN_KEY);
        Some(Plain(Program::serve(&mut command)))
    }
}

/// The same whatever else the machine does: instructions, where valgrind is there to count them.
fn instructions() {
    let collected = |told: Vec<u8>| -> Option<u64> {
        let told = String::from_utf8(told).ok()?;
        let count = told
            .lines()
            .find_map(|line| line.split("Collected : ").nth(1))?;
        count.trim().parse().ok()
    };
    let callgrind = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
    let judging = |times: &str| {
        let output = Command::new("valgrind")
            .args(callgrind)
            .arg(std::env::current_exe().ok()?)
            .args(["--judge", times])
            .output();
        collected(output.ok()?.stderr)
    };
    let (Some(few), Some(many)) = (judging("100"), judging("1100")) else {
        return println!("| instructions | | | valgrind is not there |");
    };
    println!(
        "| parse and verify a notification | {} instructions | | |",
        (many - few) / 1000
    );
    let kinds = [
        (
            "that pays, over a connection that is kept",
            Connects::Once,
            1100,
        ),
        (
            "that pays, over a connection of its own",
            Connects::EachTime,
            1100,
        ),
        (
            "on a number that nobody knows, over a connection that is kept",
            Connects::Once,
            0,
        ),
    ];
    for (what, connects, known) in kinds {
        // Both servers live for as long: what they do by themselves each second is not the notification's.
        let mut lived = Duration::ZERO;
        let mut serving = |times| {
            let (told, time) = serve_counted(times, known, (connects, lived), &callgrind);
            lived = time;
            collected(told)
        };
        if let (Some(many), Some(few)) = (serving(1100), serving(100)) {
            let each = (many - few) / 1000;
            println!(
                "| from socket to answer: a notification {what} | {each} instructions | | one at a time |"
            );
        }
    }
}

/// How the platform's notifications come.
#[derive(Clone, Copy, PartialEq)]
enum Connects {
    /// All on one connection.
    Once,
    /// Each on its own.
    EachTime,
}

/// What callgrind says of a server that takes in so many notifications, one at a time, and lives for so long at least; how
/// long it did. Of their numbers so many are registered.
fn serve_counted(
    times: u64,
    known: u64,
    (connects, lives): (Connects, Duration),
    callgrind: &[&str],
) -> (Vec<u8>, Duration) {
    let mut shop = Shop::open();
    register_all(&shop.path("merchant.db"), known);
    let log = shop.path("callgrind.log");
    let mut words = vec!["valgrind".to_owned()];
    words.extend(callgrind.iter().map(|word| (*word).to_owned()));
    // To look into it with callgrind_annotate.
    if let Ok(out) = std::env::var("CALLGRIND_OUT") {
        let kept = connects == Connects::Once;
        words.push(format!("--callgrind-out-file={out}-{kept}-{known}-{times}"));
    }
    words.push(format!("--log-file={}", log.display()));
    assert!(shop.restart_merchant_under(&words), "it listens");
    let began = Instant::now();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut client = Client::new(&shop.merchant.address);
        for serial in 0..times {
            if connects == Connects::EachTime {
                client = Client::new(&shop.merchant.address);
            }
            let body = notification(serial);
            let answer = client.call("POST", "/notify", "", body.as_bytes()).await;
            let said = if serial < known { "success" } else { "fail" };
            assert_eq!(answer, (200, said.as_bytes().to_owned()));
        }
    });
    std::thread::sleep(lives.saturating_sub(began.elapsed()));
    let lived = began.elapsed();
    shop.merchant.terminate();
    (fs::read(log).expect("its log"), lived)
}

/// Registers the numbers of so many notifications, each of a sale of its own.
fn register_all(books: &Path, known: u64) {
    let sql = open_to_write(books).expect("the server's books");
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = Time(since_1970.expect("a clock").as_millis() as i64);
    sql.execute_batch("BEGIN IMMEDIATE").expect("begun");
    for serial in 0..known {
        let order = OrderNo::new(&format!("N{serial:015}")).expect("a number");
        let wanted = Register {
            sale: SaleId::from_random(serial.into()),
            total: Fen::new(350).expect("an amount"),
        };
        let kiosk = KioskName::new("kiosk-1").expect("a name");
        let registered =
            requests::register(&mut SqlBooks { sql: &sql, now }, kiosk, order, &wanted);
        assert!(registered.expect("made").is_ok());
    }
    sql.execute_batch("COMMIT").expect("on the disk");
}

/// What the server does every second must not grow with all that it has ever sold.
fn history() {
    const FEW: u32 = 1_000;
    const MANY: u32 = 300_000;
    let look = |sales: u32| {
        let dir = tempfile::tempdir().expect("a directory");
        let sql = open_to_write(&dir.path().join("books.db")).expect("begun");
        let now = Time(1_790_000_000_000);
        let mut books = SqlBooks { sql: &sql, now };
        sql.execute_batch("BEGIN").expect("begun");
        for serial in 0..sales {
            let sale = SaleId::from_random(serial.into());
            let begins = Change::NewSale {
                sale,
                kiosk: KioskName::new("kiosk-1").expect("a name"),
                total: Fen::new(350).expect("an amount"),
            };
            let ends = Change::Ended {
                sale,
                from: SaleStatus::Open,
                to: SaleStatus::Closed,
            };
            books.make(&[begins, ends], &[]).expect("made");
        }
        sql.execute_batch("COMMIT").expect("on the disk");
        let looks = (0..1_000).map(|_| {
            let began = Instant::now();
            let overdue = requests::overdue(&books, Duration::from_secs(120)).expect("read");
            assert!(overdue.is_empty());
            began.elapsed()
        });
        Times::of(looks).part(0.5) * 1000.0
    };
    let (few, many) = (look(FEW), look(MANY));
    println!(
        "| look for what is overdue among {MANY} sales | {many:.1} µs | | {:.1} × among {FEW} |",
        many / few
    );
}

fn fleets() {
    for kiosks in [1_000, 3_000, 10_000] {
        fleet::play(kiosks, None);
    }
    let cluster =
        postgres::Cluster::start(&["fsync=on", "synchronous_commit=on", "full_page_writes=on"]);
    fleet::play(1_000, Some(&cluster.url()));
}
