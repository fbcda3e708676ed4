//! A fleet: kiosks that wait in long polls, of which some are paid every second, some of these notifications twice.

use std::fmt::Write;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use selpay_kiosk::ids::{ClaimId, OrderNo, SaleId};
use selpay_kiosk::merchant::config::token_digest;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::client::{Client, Refusals};
use crate::support::shop::{Shop, paid, signed};
use crate::times::Times;

/// Payments a second.
const RATE: u64 = 200;
const PLAYED_FOR: Duration = Duration::from_secs(20);
/// Each of so many notifications comes twice.
const TWICE: u64 = 20;

/// A kiosk that waits, and when its payment was answered with `success`.
struct Waiting {
    order: OrderNo,
    answered: Arc<OnceLock<Instant>>,
}

/// So many kiosks on SQLite, or on the database of this address; prints two rows.
pub fn play(kiosks: u64, database: Option<&str>) {
    // They all come from one address.
    let limits = format!("[limits]\nper-address = {}", kiosks + 256);
    let mut shop = Shop::open_on(database.unwrap_or("sqlite:merchant.db"), &limits);
    let file = shop.path("merchant.toml");
    let mut config = fs::read_to_string(&file).expect("read");
    for kiosk in 0..kiosks {
        let digest = token_digest(&token(kiosk));
        writeln!(config, "fleet-{kiosk} = \"{digest}\"").expect("memory takes it");
    }
    fs::write(file, config).expect("written");
    shop.restart_merchant();
    let server = shop.merchant.id();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (refusals, fails) = (Arc::new(Refusals::default()), Arc::new(AtomicU64::new(0)));
    let (answers, heard, cpu) = runtime.block_on(async {
        let (waits, mut waiting) = mpsc::unbounded_channel();
        let (heard, mut all_heard) = mpsc::unbounded_channel();
        for kiosk in 0..kiosks {
            let (address, waits, heard) =
                (shop.merchant.address.clone(), waits.clone(), heard.clone());
            let refusals = Arc::clone(&refusals);
            tokio::spawn(async move { sell(kiosk, &address, &waits, &heard, &refusals).await });
        }
        // Everybody waits.
        let mut ready = Vec::new();
        while ready.len() < kiosks as usize {
            ready.push(waiting.recv().await.expect("kiosks live on"));
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        let before = cpu(server);
        let began = Instant::now();
        let mut answers = Vec::new();
        let (answered, mut all_answered) = mpsc::unbounded_channel();
        let mut ticks = tokio::time::interval(Duration::from_micros(1_000_000 / RATE));
        let mut free: Vec<Client> = Vec::new();
        let (back, mut returned) = mpsc::unbounded_channel();
        for serial in 0.. {
            ticks.tick().await;
            if began.elapsed() > PLAYED_FOR {
                break;
            }
            while let Ok(again) = waiting.try_recv() {
                ready.push(again);
            }
            while let Ok(client) = returned.try_recv() {
                free.push(client);
            }
            let Some(next) = ready.pop() else { continue };
            let mut client = free
                .pop()
                .unwrap_or_else(|| Client::new(&shop.merchant.address));
            let (answered, back) = (answered.clone(), back.clone());
            let fails = Arc::clone(&fails);
            tokio::spawn(async move {
                let transaction = format!("T{serial:015}");
                let body = signed(paid(next.order.as_str(), &transaction, "350"));
                for time in 0..if serial % TWICE == 0 { 2 } else { 1 } {
                    let began = Instant::now();
                    // What is not acknowledged comes again.
                    loop {
                        let answer = client.call("POST", "/notify", "", body.as_bytes()).await;
                        if answer.status == 200 && answer.body == b"success" {
                            break;
                        }
                        fails.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                    if time == 0 {
                        // Only once.
                        let _ = next.answered.set(Instant::now());
                    }
                    let _ = answered.send(began.elapsed());
                }
                let _ = back.send(client);
            });
        }
        let cpu = (cpu(server) - before).as_secs_f64() / began.elapsed().as_secs_f64();
        tokio::time::sleep(Duration::from_secs(1)).await;
        while let Ok(time) = all_answered.try_recv() {
            answers.push(time);
        }
        let mut times = Vec::new();
        while let Ok(time) = all_heard.try_recv() {
            times.push(time);
        }
        (answers, times, cpu)
    });
    let memory = memory(server);
    drop(runtime);
    let count = answers.len();
    let (answers, heard) = (Times::of(answers), Times::of(heard));
    let on = if database.is_some() {
        "PostgreSQL"
    } else {
        "SQLite"
    };
    let fails = match fails.load(Ordering::Relaxed) {
        0 => String::new(),
        fails => format!("; {fails} answered `fail` and sent again"),
    };
    println!(
        "| {kiosks} kiosks in long polls on {on}, {RATE} payments a second: notification answered | p50 {:.1} ms | \
         p99 {:.1} ms, p99.9 {:.1} ms | {count} of them{fails} |",
        answers.part(0.5),
        answers.part(0.99),
        answers.part(0.999),
    );
    println!(
        "| paid → its long poll answered; the server | p50 {:.1} ms | p99 {:.1} ms | {:.0} MB at most, {:.0} % of a core, \
         {:.1} MB for 1,000 that wait{refusals} |",
        heard.part(0.5),
        heard.part(0.99),
        memory / 1e3,
        cpu * 100.0,
        memory / kiosks as f64,
    );
}

fn token(kiosk: u64) -> String {
    format!("the token of fleet-{kiosk}")
}

/// Sells one thing after the other, as a kiosk does.
async fn sell(
    kiosk: u64,
    address: &str,
    waits: &mpsc::UnboundedSender<Waiting>,
    heard: &mpsc::UnboundedSender<Duration>,
    refusals: &Refusals,
) {
    let (mut client, token) = (Client::new(address), token(kiosk));
    let ask = async |client: &mut Client, call: (&str, &str), body: &[u8]| {
        client.call_until_done(call, &token, body, refusals).await
    };
    for serial in 0_u128.. {
        let random = u128::from(kiosk) << 32 | serial;
        let (sale, order) = (SaleId::from_random(random), OrderNo::from_random(random));
        let register = json!({ "sale": sale, "total": 350 }).to_string();
        let path = format!("/v1/orders/{order}");
        let registered = ask(&mut client, ("PUT", &path), register.as_bytes()).await;
        // 200 is the answer to a call that was made again.
        assert!(
            matches!(registered.status, 200 | 201),
            "{}",
            registered.status
        );
        let answered = Arc::new(OnceLock::new());
        let waiting = Waiting {
            order,
            answered: Arc::clone(&answered),
        };
        if waits.send(waiting).is_err() {
            return;
        }
        let poll = format!("{path}?wait=25");
        loop {
            let answer = ask(&mut client, ("GET", &poll), b"").await;
            assert_eq!(answer.status, 200);
            let answer: Value = serde_json::from_slice(&answer.body).expect("JSON");
            if answer["status"] == "paid" {
                break;
            }
        }
        // The poll may be answered before the notification is.
        let waited = answered.get().map_or(Duration::ZERO, Instant::elapsed);
        if heard.send(waited).is_err() {
            return;
        }
        let path = format!("/v1/sales/{sale}");
        let claim = ClaimId::from_random(random);
        let report = json!({ "claim": claim, "outcome": "dispensed" }).to_string();
        let claim = json!({ "claim": claim }).to_string();
        for (what, body) in [("claim", claim), ("outcome", report)] {
            let path = format!("{path}/{what}");
            let answer = ask(&mut client, ("POST", &path), body.as_bytes()).await;
            assert_eq!(answer.status, 200, "{what}");
        }
    }
}

/// The processor time that a process has had.
fn cpu(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .expect("fields")
        .split_whitespace()
        .collect();
    let ticks: u64 = [11, 12]
        .iter()
        .map(|place| fields[*place].parse::<u64>().expect("a number"))
        .sum();
    // A tick is a hundredth of a second on every Linux that we have seen.
    Duration::from_millis(ticks * 10)
}

/// The most memory that a process has had, in kilobytes.
fn memory(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let words = line.and_then(|line| line.split_whitespace().next());
    words
        .and_then(|number| number.parse().ok())
        .expect("a number")
}
