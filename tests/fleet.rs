//! Several servers on one PostgreSQL: what one commits the other tells, and whoever is killed takes no payment along.

#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]

use crate::support::tls;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::postgres::Cluster;
use crate::support::shop::{
    self, PASSWORD, PATIENCE, Program, Shop, TOKEN, call, free_port, paid, signed,
};
use crate::support::visitor::Visitor;
use selpay_kiosk::ids::{OrderNo, SaleId};
use selpay_kiosk::merchant::ledger::Time;
use selpay_kiosk::merchant::store::{Address, Beside, leases, story};
use serde_json::{Value, json};

#[test]
#[ignore = "needs PostgreSQL"]
fn a_long_poll_on_one_server_wakes_when_the_other_commits() {
    let cluster = Cluster::start(&[]);
    let shop = Shop::open_on(&cluster.url(), "");
    let other = shop.one_more_server();
    for round in 0..5 {
        let (_, order) = shop.sale(round);
        let url = other.url(&format!("/v1/orders/{order}?wait=25"));
        let (sender, heard) = mpsc::channel();
        thread::spawn(move || {
            sender.send(()).expect("heard");
            let (_, held) = call("GET", &url, TOKEN, &Value::Null);
            let _ = sender.send(());
            assert_eq!(held["status"], "paid");
        });
        heard.recv().expect("it begins");
        thread::park_timeout(Duration::from_millis(200));
        let body = signed(paid(order.as_str(), &format!("T{round}"), "350"));
        assert_eq!(shop.notify(body), (200, "success".to_owned()));
        heard
            .recv_timeout(Duration::from_secs(2))
            .expect("long before the 25 s are over");
    }
    let address = Address::Postgres(cluster.url());
    let mut books = Beside::to_read(&address).expect("opened");
    let (sale, order) = shop.sale(99);
    let found = books.read(|sql| story::find(sql, &order.as_str()[28..], None));
    let found = found.expect("PostgreSQL understands").lines;
    assert!(
        found.iter().any(|(name, _)| *name == sale.to_string()),
        "{found:?}"
    );
    let told = books.read(|sql| story::story(sql, &found[0].0));
    assert!(told.expect("it understands").is_some());
    shop.the_books_balance();
}

#[test]
#[ignore = "needs PostgreSQL"]
fn the_way_to_the_database_is_secret_and_leads_nowhere_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let (ca, another) = (
        dir.path().join("our ca.pem"),
        dir.path().join("another.pem"),
    );
    let certificate = tls::Certificate {
        names: &["localhost"],
        years: (2020, 2100),
    };
    tls::issue(&certificate, &another);
    let (leaf, key) = tls::issue(&certificate, &ca);
    let port = free_port();
    let _cluster = Cluster::start_with_tls(&leaf.pem(), &key.serialize_pem(), port);
    let url =
        |host: &str, options: &str| format!("postgres://merchant@{host}:{port}/postgres{options}");
    let trusting = |ca: &Path| {
        let ca = ca.to_str().expect("plain").replace(' ', "%20");
        format!("?sslmode=verify-full&sslrootcert={ca}")
    };
    let is_encrypted = |url: String| {
        let mut books = Beside::to_read(&Address::Postgres(url)).map_err(|e| e.to_string())?;
        let asked = "SELECT count(*) FROM pg_stat_ssl WHERE ssl AND pid = pg_backend_pid()";
        let told = books.read(|sql| sql.row(asked, &[])?.int(0));
        Ok::<_, String>(told.expect("a row") == 1)
    };
    assert_eq!(is_encrypted(url("localhost", &trusting(&ca))), Ok(true));
    assert_eq!(is_encrypted(url("localhost", "")), Ok(false));
    let refused = |url: String| is_encrypted(url).expect_err("refused");
    let told = refused(url("localhost", &trusting(&another)));
    assert!(told.contains("invalid peer certificate"), "{told}");
    let told = refused(url("127.0.0.1", &trusting(&ca)));
    assert!(told.contains("not valid for name"), "{told}");
    // No browser trusts the authority of a test.
    let told = refused(url("localhost", "?sslmode=require"));
    assert!(told.contains("UnknownIssuer"), "{told}");
    // A whole shop on it.
    let shop = Shop::open_on(&url("localhost", &trusting(&ca)), "");
    let (_, order) = shop.sale(1);
    let body = signed(paid(order.as_str(), "T1", "350"));
    assert_eq!(shop.notify(body), (200, "success".to_owned()));
}

#[test]
#[ignore = "needs PostgreSQL"]
fn postgresql_understands_the_console_and_the_commands() {
    let cluster = Cluster::start(&[]);
    let shop = Shop::open_on(&cluster.url(), "");
    let (sale, order) = shop.sale(1);
    shop.notify(signed(paid(order.as_str(), "T1", "350")));
    shop.notify(signed(paid(order.as_str(), "T2", "350")));
    shop.notify("<xml><a>forged</a></xml>");
    shop.call("POST", "/v1/heartbeat", &json!({ "state": "ready" }));
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reconcile");
    let (bill, map) = (format!("{docs}/bill.csv"), format!("{docs}/map.toml"));
    shop.command(&["reconcile", "--bill", &bill, "--map", &map]);
    let mut visitor = Visitor::of(&shop);
    assert_eq!(visitor.post("/login", &[("password", PASSWORD)]), 303);
    let story = format!("/sales/{sale}");
    let search = format!("/sales?q={}", order.last_four());
    for page in [
        "/",
        "/live",
        &story,
        &search,
        "/sales?status=paid&day=2026-11-23&kiosk=kiosk-1&page=1",
        "/sales/list.csv",
        "/refunds?reason=duplicate",
        "/refunds/list.csv",
        "/reviews?reason=unknown",
        "/reviews/list.csv",
        "/kiosks?kind=silent",
        "/kiosks/list.csv",
        "/problems?kind=unverified&page=1",
        "/problems/list.csv",
        "/bills",
        "/bills?kind=open",
        "/bills?kind=done",
        "/bills/list.csv",
        "/bills/1",
        "/payments/T2",
    ] {
        let (status, body) = visitor.get(page);
        let found = if page == search { 303 } else { 200 };
        assert_eq!(status, found, "{page}: {body}");
    }
    let token = visitor.form_token("/payments/T2");
    let sent = [("token", &*token), ("finding", "money-sent"), ("note", "7")];
    assert_eq!(visitor.post("/payments/T2", &sent), 303);
    assert_eq!(shop.the_books_balance()["refunded"], 350);
    let (_, metrics) = visitor.get("/metrics");
    let looked = r#"selpay_alarm{alarm="books-do-not-balance"} 0"#;
    assert!(metrics.contains(looked), "{metrics}");
    for command in [
        vec!["refunds"],
        vec!["reviews", "--json"],
        vec!["kiosk", "list"],
        vec!["kiosk", "add", "kiosk-9"],
        vec!["kiosk", "revoke", "kiosk-9"],
        vec!["restored", "--since", "20261123100000"],
    ] {
        let output = shop.command(&command);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {told}");
    }
    assert_eq!(visitor.post("/logout", &[("token", "")]), 303);

    let mut books = Beside::to_write(&Address::Postgres(cluster.url())).expect("opened");
    let mut take = |holder: &str, now| {
        let taken = books.write(|sql| leases::take(sql, "test", holder, Time(now), Time(now + 10)));
        taken.expect("PostgreSQL understands")
    };
    assert!(take("one", 0) && take("one", 5));
    assert!(!take("other", 14) && take("other", 15) && !take("one", 20));
}

/// The platform, as it notifies whichever server it reaches: payment after payment, each until it is acknowledged.
struct Platform<'a> {
    servers: &'a Mutex<Vec<String>>,
    /// What was acknowledged.
    told: Mutex<BTreeSet<String>>,
    next: AtomicU64,
    is_over: AtomicBool,
}

impl Platform<'_> {
    /// One sale after the other is registered and paid, until it is over.
    fn notifies(&self) {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(5)))
            .build()
            .into();
        while !self.is_over.load(Ordering::Relaxed) {
            let serial = self.next.fetch_add(1, Ordering::Relaxed);
            let (sale, order) = (
                SaleId::from_random(serial.into()),
                OrderNo::from_random(u128::from(serial) << 64 | 1),
            );
            let wanted = json!({ "sale": sale, "total": 350 });
            self.until(serial, |server| {
                let put = agent.put(format!("{server}/v1/orders/{order}"));
                let put = put.header("Authorization", format!("Bearer {TOKEN}"));
                put.send_json(&wanted)
                    .is_ok_and(|held| held.status().is_success())
            });
            let transaction = format!("P{serial}");
            let body = signed(paid(order.as_str(), &transaction, "350"));
            self.until(serial, |server| {
                let told = agent.post(format!("{server}/notify")).send(&body);
                let answer = told.and_then(|mut told| told.body_mut().read_to_string());
                answer.is_ok_and(|answer| answer == "success")
            });
            let mut told = self.told.lock().expect("whole");
            told.insert(transaction);
        }
    }

    /// Asks one server after the other until one does it.
    fn until(&self, serial: u64, done: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + 2 * PATIENCE;
        for turn in serial.. {
            let servers = self.servers.lock().expect("whole").clone();
            if done(&servers[turn as usize % servers.len()]) {
                return;
            }
            assert!(Instant::now() < deadline, "nobody does it");
            thread::park_timeout(Duration::from_millis(20));
        }
    }
}

/// Lets four customers pay all the time while this happens; afterwards every acknowledged payment must be in the books.
fn under_load(shop: &mut Shop, others: &[&Program], what: impl FnOnce(&mut Shop, &AtomicU64)) {
    let all = [&shop.merchant].into_iter().chain(others.iter().copied());
    let servers = Mutex::new(all.map(|server| server.url("")).collect());
    let platform = Platform {
        servers: &servers,
        told: Mutex::default(),
        next: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| platform.notifies());
        }
        what(shop, &platform.next);
        platform.is_over.store(true, Ordering::Relaxed);
    });
    let told = platform.told.into_inner().expect("whole");
    let balance = shop.the_books_balance();
    println!("{} payments acknowledged, {balance}", told.len());
    assert!(told.len() > 50, "{}", told.len());
    assert_eq!(balance["verified"], 350 * told.len() as i64);
}

/// Waits until so many more sales were begun.
fn goes_on(sales: &AtomicU64, more: u64) {
    let goal = sales.load(Ordering::Relaxed) + more;
    shop::eventually("sales go on", || {
        (sales.load(Ordering::Relaxed) >= goal).then_some(())
    });
}

#[test]
#[ignore = "needs PostgreSQL"]
fn one_of_two_servers_is_killed_and_no_acknowledged_payment_is_lost() {
    let cluster = Cluster::start(&[]);
    let mut shop = Shop::open_on(&cluster.url(), "");
    shop.keep_port();
    let other = shop.one_more_server_on_a_free_port();
    under_load(&mut shop, &[&other], |shop, sales| {
        for _ in 0..5 {
            goes_on(sales, 20);
            shop.merchant.kill();
            goes_on(sales, 20);
            shop.restart_merchant();
        }
    });
}

#[test]
#[ignore = "needs PostgreSQL"]
fn the_database_is_killed_and_no_acknowledged_payment_is_lost() {
    let mut cluster = Cluster::start(&[]);
    let mut shop = Shop::open_on(&cluster.url(), "");
    let other = shop.one_more_server();
    under_load(&mut shop, &[&other], |shop, sales| {
        for _ in 0..3 {
            goes_on(sales, 20);
            cluster.kill();
            let body = signed(paid("nobody-knows-it", "while-it-is-away", "1"));
            assert_eq!(shop.notify(body).1, "fail", "nothing can be booked");
            cluster.restart();
            goes_on(sales, 20);
        }
    });
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_database_that_forgets_what_it_confirmed_is_refused() {
    for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
        let cluster = Cluster::start(&[&format!("{setting}=off")]);
        let dir = tempfile::tempdir().expect("a directory");
        let key = dir.path().join("sign.key");
        selpay_kiosk::files::write_secret(&key, "key").expect("written");
        let config = dir.path().join("merchant.toml");
        let text = format!(
            "listen = \"127.0.0.1:0\"\ndatabase = \"{}\"\nsign-key-files = [\"sign.key\"]\n",
            cluster.url()
        );
        std::fs::write(&config, text).expect("written");
        let output = Command::new(env!("CARGO_BIN_EXE_merchant"))
            .args(["serve", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .output()
            .expect("run");
        assert_eq!(output.status.code(), Some(1), "{setting}");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains(&format!("{setting} is off")), "{told}");
    }
}
