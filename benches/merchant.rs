//! What the merchant's server bears: `cargo bench --bench merchant` prints one table, measured in one run on this machine;
//! `cargo bench --bench merchant -- short postgres fleet` only those parts of it, in less time.
//!
//! The server is the real program on a disk, its clients are on loopback on the same two cores. Beside it servers as they are
//! usually written, where this machine has what they need (`benches/merchant/peers.rs`), and an older version of ours, if
//! `MERCHANT_BEFORE` names its program.

#[path = "merchant/client.rs"]
mod client;
#[path = "merchant/fleet.rs"]
mod fleet;
#[path = "merchant/peers.rs"]
mod peers;
#[path = "../tests/support"]
mod support {
    pub mod postgres;
    pub mod shop;
}
#[path = "support/times.rs"]
mod times;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
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

use client::Client;
use times::Times;

/// As many notifications at once.
const CONNECTIONS: u64 = 32;
/// The same where a fleet of shops is paid at once.
const CROWD: u64 = 128;

/// How long the parts take.
#[derive(Clone, Copy)]
struct Extent {
    /// Each server is asked for so long.
    asked_for: Duration,
    /// Fleets of so many kiosks.
    fleets: &'static [u64],
}

type Part = fn(Extent);

const LONG: Extent = Extent {
    asked_for: Duration::from_secs(8),
    fleets: &[1_000, 3_000, 10_000],
};
const SHORT: Extent = Extent {
    asked_for: Duration::from_secs(3),
    fleets: &[1_000],
};

fn main() {
    allow_many_files();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, times] = &arguments[..] {
        if first == "--judge" {
            return judge_again_and_again(times.parse().expect("a number"));
        }
    }
    println!("| what | | | beside |\n| --- | --- | --- | --- |");
    let parts: [(&str, Part); 7] = [
        ("judge", |_| judge()),
        ("sqlite", |extent| on_sqlite(extent, None)),
        ("slow-flush", on_slow_disk),
        ("postgres", on_postgres),
        ("instructions", |_| instructions()),
        ("history", |_| history()),
        ("fleet", fleets),
    ];
    // cargo itself says `--bench`.
    let words = arguments.iter().filter(|word| !word.starts_with("--"));
    let (short, wanted): (Vec<&String>, Vec<&String>) = words.partition(|word| *word == "short");
    let extent = if short.is_empty() { LONG } else { SHORT };
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|word| *word == name) {
            part(extent);
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
    count: usize,
    second: f64,
    p50: f64,
    p99: f64,
}

/// Posts payments over so many connections for a while.
fn rate(address: &str, connections: u64, asked_for: Duration) -> Rate {
    /// No payment comes twice, whichever server it is for.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let until = Instant::now() + asked_for;
        let began = Instant::now();
        let posting: Vec<_> = (0..connections)
            .map(|_| {
                let address = address.to_owned();
                tokio::spawn(async move {
                    let mut client = Client::new(&address);
                    let mut times = Vec::new();
                    while Instant::now() < until {
                        let body = notification(NEXT.fetch_add(1, Ordering::Relaxed));
                        let began = Instant::now();
                        let answer = client.call("POST", "/notify", "", body.as_bytes()).await;
                        times.push(began.elapsed());
                        // An unknown number is booked, and answered `fail`.
                        let said = String::from_utf8(answer.body).expect("text");
                        assert!(
                            answer.status == 200 && matches!(&*said, "success" | "fail"),
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
        let (count, elapsed) = (times.len(), began.elapsed());
        let times = Times::of(times);
        Rate {
            count,
            second: count as f64 / elapsed.as_secs_f64(),
            p50: times.part(0.5),
            p99: times.part(0.99),
        }
    })
}

/// Ours with one connection, so that each payment has its own commit, and with many. Every payment that was answered must be in
/// the books.
fn ours(shop: &Shop, asked_for: Duration) -> (Rate, Rate) {
    let one = rate(&shop.merchant.address, 1, asked_for);
    let many = rate(&shop.merchant.address, CONNECTIONS, asked_for);
    let verified = shop.the_books_balance()["verified"].as_i64();
    assert_eq!(verified, Some(350 * (one.count + many.count) as i64));
    (one, many)
}

/// A peer beside ours, with as many connections, or why there is none.
fn beside(
    what: &str,
    peer: &Result<Program, String>,
    (ours, connections): (&Rate, u64),
    asked_for: Duration,
) {
    match peer {
        Ok(peer) => {
            let theirs = rate(&peer.address, connections, asked_for);
            let ratio = ours.second / theirs.second;
            told(what, &theirs, &format!("ours is {ratio:.1} × that"));
        }
        Err(why) => println!("| {what} | | | not compared: {why} |"),
    }
}

fn on_sqlite(extent: Extent, slow_flush: Option<&Path>) {
    let dir = tempfile::tempdir().expect("a directory");
    let (when, words) = match slow_flush {
        None => ("", Vec::new()),
        Some(library) => (
            ", each flush 5 ms slower",
            vec![
                "env".to_owned(),
                format!("LD_PRELOAD={}", library.display()),
            ],
        ),
    };
    let shop = Shop::open_under(&words, "sqlite:merchant.db", "");
    let (one, many) = ours(&shop, extent.asked_for);
    drop(shop);
    told(
        &format!("durable payments on SQLite, {CONNECTIONS} connections{when}"),
        &many,
        &format!(
            "{:.1} × one connection, so one commit each",
            many.second / one.second
        ),
    );
    beside(
        &format!("the same with Go, net/http, one commit each{when}"),
        &peers::go_on_sqlite(dir.path(), &words),
        (&many, CONNECTIONS),
        extent.asked_for,
    );
    beside(
        &format!("the same with Starlette on uvicorn, one process, one commit each{when}"),
        &peers::starlette(dir.path(), &words),
        (&many, CONNECTIONS),
        extent.asked_for,
    );
}

fn on_slow_disk(extent: Extent) {
    let dir = tempfile::tempdir().expect("a directory");
    match slow_flush(dir.path()) {
        Some(library) => on_sqlite(extent, Some(&library)),
        None => println!("| each flush 5 ms slower | | | not measured: no C compiler |"),
    }
}

fn on_postgres(extent: Extent) {
    let dir = tempfile::tempdir().expect("a directory");
    // It flushes as a real one does.
    let flushing = ["fsync=on", "synchronous_commit=on", "full_page_writes=on"];
    let cluster = postgres::Cluster::start(&flushing);
    let shop = Shop::open_on(&cluster.url(), "");
    let (one, many) = ours(&shop, extent.asked_for);
    let crowd = rate(&shop.merchant.address, CROWD, extent.asked_for);
    drop(shop);
    told(
        &format!("durable payments on PostgreSQL, {CONNECTIONS} connections"),
        &many,
        &format!(
            "{:.1} × one connection, so one commit each",
            many.second / one.second
        ),
    );
    let go = peers::go_on_postgres(dir.path(), cluster.socket());
    let with_go = "the same with Go, net/http, pgx, one commit each";
    beside(with_go, &go, (&many, CONNECTIONS), extent.asked_for);
    let with_crowd = format!("durable payments on PostgreSQL, {CROWD} connections");
    told(&with_crowd, &crowd, "");
    beside(with_go, &go, (&crowd, CROWD), extent.asked_for);
    drop((go, cluster));
    let Ok(before) = env::var("MERCHANT_BEFORE") else {
        return println!(
            "| the same with an older version of ours | | | not compared: MERCHANT_BEFORE names none |"
        );
    };
    let cluster = postgres::Cluster::start(&flushing);
    let instead = format!("shift; exec '{before}' \"$@\"");
    let words = ["sh", "-c", &instead, "sh"].map(str::to_owned);
    let shop = Shop::open_under(&words, &cluster.url(), "");
    let theirs = rate(&shop.merchant.address, CONNECTIONS, extent.asked_for);
    told(
        "the same with an older version of ours",
        &theirs,
        &format!("ours is {:.1} × that", many.second / theirs.second),
    );
}

fn told(what: &str, rate: &Rate, beside: &str) {
    let Rate {
        second, p50, p99, ..
    } = rate;
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
            assert_eq!((answer.status, &*answer.body), (200, said.as_bytes()));
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

fn fleets(extent: Extent) {
    for kiosks in extent.fleets {
        fleet::play(*kiosks, None);
    }
    let flushing = ["fsync=on", "synchronous_commit=on", "full_page_writes=on"];
    let cluster = postgres::Cluster::start(&flushing);
    fleet::play(1_000, Some(&cluster.url()));
}
