//! A fleet: kiosks that wait in long polls, of which some are paid every second, some of these notifications twice.

use std::fmt::Write;
use std::fs;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use selpay_kiosk::ids::{ClaimId, OrderNo, SaleId};
use selpay_kiosk::merchant::config::token_digest;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::client::Client;
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
    let (answers, heard, cpu) = runtime.block_on(async {
        let (waits, mut waiting) = mpsc::unbounded_channel();
        let (heard, mut all_heard) = mpsc::unbounded_channel();
        for kiosk in 0..kiosks {
            let (address, waits, heard) =
                (shop.merchant.address.clone(), waits.clone(), heard.clone());
            tokio::spawn(async move { sell(kiosk, &address, &waits, &heard).await });
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
            tokio::spawn(async move {
                let transaction = format!("T{serial:015}");
                let body = signed(paid(next.order.as_str(), &transaction, "350"));
                for time in 0..if serial % TWICE == 0 { 2 } else { 1 } {
                    let began = Instant::now();
                    let (status, answer) =
                        client.call("POST", "/notify", "", body.as_bytes()).await;
                    assert_eq!((status, &answer[..]), (200, &b"success"[..]));
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
    println!(
        "| {kiosks} kiosks in long polls on {on}, {RATE} payments a second: notification answered | p50 {:.1} ms | \
         p99 {:.1} ms, p99.9 {:.1} ms | {count} of them |",
        answers.part(0.5),
        answers.part(0.99),
        answers.part(0.999),
    );
    println!(
        "| paid → its long poll answered; the server | p50 {:.1} ms | p99 {:.1} ms | {:.0} MB at most, {:.0} % of a core, \
         {:.1} MB for 1,000 that wait |",
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
) {
    let (mut client, token) = (Client::new(address), token(kiosk));
    for serial in 0_u128.. {
        let random = u128::from(kiosk) << 32 | serial;
        let (sale, order) = (SaleId::from_random(random), OrderNo::from_random(random));
        let register = json!({ "sale": sale, "total": 350 }).to_string();
        let path = format!("/v1/orders/{order}");
        let registered = client.call("PUT", &path, &token, register.as_bytes()).await;
        assert_eq!(registered.0, 201);
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
            let (status, answer) = client.call("GET", &poll, &token, b"").await;
            assert_eq!(status, 200);
            let answer: Value = serde_json::from_slice(&answer).expect("JSON");
            if answer["status"] == "paid" {
                break;
            }
        }
        // The poll may be answered before the notification is.
        let waited = answered.get().map_or(Duration::ZERO, Instant::elapsed);
        if heard.send(waited).is_err() {
            return;
        }
        let claim = json!({ "claim": ClaimId::from_random(random) }).to_string();
        let path = format!("/v1/sales/{sale}");
        let claimed = client
            .call("POST", &format!("{path}/claim"), &token, claim.as_bytes())
            .await;
        assert_eq!(claimed.0, 200);
        let report =
            json!({ "claim": ClaimId::from_random(random), "outcome": "dispensed" }).to_string();
        let reported = client
            .call(
                "POST",
                &format!("{path}/outcome"),
                &token,
                report.as_bytes(),
            )
            .await;
        assert_eq!(reported.0, 200);
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
