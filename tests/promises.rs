//! What the merchant promised when it started it keeps while it runs, or says that it cannot: the real program, and somebody
//! who takes its file away, starts a second server, fills its disk, damages a page.

#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output};

use crate::support::postgres::Cluster;
use crate::support::shop::{PATIENCE, Shop, call, eventually, paid, signed};
use rusqlite::Connection;
use serde_json::{Value, json};

/// What a notification is answered; empty if nobody is there.
fn told(shop: &Shop, order: &str, transaction: &str) -> String {
    let body = signed(paid(order, transaction, "350"));
    let request = format!(
        "POST /notify HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = TcpStream::connect(&shop.merchant.address).and_then(|mut stream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    });
    let answer = answer.unwrap_or_default();
    answer.rsplit("\r\n").next().unwrap_or_default().to_owned()
}

/// What the health check answers.
fn health(shop: &Shop) -> (u16, String) {
    let (status, told) = call("GET", &shop.merchant.url("/healthz"), "", &Value::Null);
    (status, told.as_str().unwrap_or_default().to_owned())
}

/// Starts a server that must not come up.
fn refused(shop: &Shop) -> String {
    let Output { status, stderr, .. } = shop.command(&["serve"]);
    assert_eq!(status.code(), Some(1));
    let told = String::from_utf8_lossy(&stderr).into_owned();
    told.lines().last().unwrap_or_default().to_owned()
}

/// Waits until the server has ended by itself.
fn ends(shop: &mut Shop) {
    eventually("the server ends", || {
        (!shop.merchant.is_running()).then_some(())
    });
}

const FILES: [&str; 3] = ["merchant.db", "merchant.db-wal", "merchant.db-shm"];

#[test]
fn a_server_whose_books_are_removed_ends_and_begins_no_new_ones() {
    let mut shop = Shop::open();
    let (_, order) = shop.sale(1);
    for file in FILES {
        fs::remove_file(shop.path(file)).expect("removed");
    }
    assert_ne!(told(&shop, order.as_str(), "T1"), "success");
    ends(&mut shop);
    let why = refused(&shop);
    assert!(
        why.contains("these books are gone") && why.contains("merchant.db.lock"),
        "{why}"
    );
    assert!(!shop.path("merchant.db").exists());
    // Somebody who means it can begin again.
    fs::remove_file(shop.path("merchant.db.lock")).expect("removed");
    shop.restart_merchant();
    assert_eq!(shop.the_books_balance()["verified"], 0);
}

#[test]
fn a_server_whose_books_are_moved_away_or_replaced_ends_and_nothing_confirmed_is_lost() {
    let mut shop = Shop::open();
    let (_, first) = shop.sale(1);
    let (_, second) = shop.sale(2);
    assert_eq!(told(&shop, first.as_str(), "T1"), "success");
    fs::rename(shop.path("merchant.db"), shop.path("elsewhere.db")).expect("moved");
    assert_ne!(told(&shop, second.as_str(), "T2"), "success");
    ends(&mut shop);
    assert!(refused(&shop).contains("these books are gone"));
    fs::rename(shop.path("elsewhere.db"), shop.path("merchant.db")).expect("moved back");
    shop.restart_merchant();
    let verified = shop.the_books_balance()["verified"].as_i64();
    assert!(
        verified >= Some(350),
        "what was confirmed is there: {verified:?}"
    );

    let other = Shop::open();
    let copy = shop.path("other.db").display().to_string();
    assert_eq!(other.command(&["backup", &copy]).status.code(), Some(0));
    fs::rename(shop.path("other.db"), shop.path("merchant.db")).expect("replaced");
    assert_ne!(told(&shop, second.as_str(), "T3"), "success");
    ends(&mut shop);
    let why = refused(&shop);
    assert!(why.contains("these are other books"), "{why}");
}

#[test]
fn a_second_server_on_the_same_file_is_refused_and_commands_go_on_beside_the_first() {
    let shop = Shop::open();
    let why = refused(&shop);
    assert!(why.contains("another server has these books open"), "{why}");
    assert_eq!(shop.books("refunds"), json!([]));
    let (_, order) = shop.sale(1);
    assert_eq!(told(&shop, order.as_str(), "T1"), "success");
}

#[test]
fn books_of_a_newer_version_are_refused_by_the_server_and_by_every_command() {
    let mut shop = Shop::open();
    shop.merchant.kill();
    let books = Connection::open(shop.path("merchant.db")).expect("opened");
    books.pragma_update(None, "user_version", 99).expect("set");
    drop(books);
    let why = refused(&shop);
    assert!(why.contains("newer version (schema 99"), "{why}");
    for command in ["refunds", "balance"] {
        let output = shop.command(&[command]);
        assert_eq!(output.status.code(), Some(1), "{command}");
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(why.contains("newer version"), "{command}: {why}");
    }
    let books = Connection::open(shop.path("merchant.db")).expect("opened");
    let version = books.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
    assert_eq!(version, Ok(99), "nothing was changed");
}

#[test]
fn nobody_else_can_read_the_books_whatever_the_umask() {
    let mut shop = Shop::open();
    shop.merchant.kill();
    for file in FILES.into_iter().chain(["merchant.db.lock"]) {
        // A server that was killed leaves its log; one that ended does not.
        let _ = fs::remove_file(shop.path(file));
    }
    let words = ["sh", "-c", "umask 000; exec \"$@\"", "sh"].map(str::to_owned);
    assert!(shop.restart_merchant_under(&words));
    shop.sale(1);
    for file in FILES.into_iter().chain(["merchant.db.lock"]) {
        let metadata = fs::metadata(shop.path(file)).expect("it is there");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{file}");
    }
}

#[test]
fn a_second_name_of_the_file_stops_confirmations_until_it_is_removed() {
    let shop = Shop::open();
    let (_, order) = shop.sale(1);
    fs::hard_link(shop.path("merchant.db"), shop.path("again.db")).expect("linked");
    assert_eq!(told(&shop, order.as_str(), "T1"), "fail");
    let (status, why) = health(&shop);
    assert_eq!(status, 503);
    assert!(why.contains("has 2 names"), "{why}");
    fs::remove_file(shop.path("again.db")).expect("removed");
    eventually("it goes on", || (health(&shop).0 == 200).then_some(()));
    assert_eq!(told(&shop, order.as_str(), "T1"), "success");
}

#[test]
fn a_damaged_page_is_called_damage_and_nothing_is_confirmed_any_more() {
    let mut shop = Shop::open();
    let (_, order) = shop.sale(1);
    assert_eq!(shop.merchant.terminate(), Some(0));
    let books = Connection::open(shop.path("merchant.db")).expect("opened");
    let page = "SELECT rootpage FROM sqlite_schema WHERE name = 'payments'";
    let page: i64 = books
        .query_row(page, [], |row| row.get(0))
        .expect("a table");
    books
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .expect("written");
    drop(books);
    let file = OpenOptions::new()
        .write(true)
        .open(shop.path("merchant.db"));
    let damaged = file
        .expect("opened")
        .write_all_at(&[0x55; 4096], (page as u64 - 1) * 4096);
    damaged.expect("written");
    shop.restart_merchant();
    assert_eq!(told(&shop, order.as_str(), "T1"), "fail");
    let (status, why) = health(&shop);
    assert_eq!(status, 503);
    assert!(why.contains("the database file is damaged"), "{why}");
    let (_, metrics) = call("GET", &shop.merchant.url("/metrics"), "", &Value::Null);
    assert!(
        !metrics
            .as_str()
            .unwrap_or_default()
            .contains("selpay_balance_holds 1")
    );
    assert!(shop.merchant.is_running());
}

#[test]
fn a_server_takes_over_books_of_version_0_1_0_and_answers_while_it_counts_them() {
    let mut shop = Shop::open();
    shop.merchant.kill();
    for file in FILES.into_iter().chain(["merchant.db.lock"]) {
        let _ = fs::remove_file(shop.path(file));
    }
    let books = Connection::open(shop.path("merchant.db")).expect("opened");
    let copy = include_str!("books/0.1.0.sql");
    let copied = books.execute_batch(&format!("PRAGMA foreign_keys = OFF; {copy}"));
    copied.expect("a copy");
    drop(books);
    shop.restart_merchant();
    let (_, order) = shop.sale(1);
    assert_eq!(told(&shop, order.as_str(), "T1"), "success");
    eventually("they are counted", || {
        let (_, page) = call("GET", &shop.merchant.url("/metrics"), "", &Value::Null);
        let page = page.as_str().expect("text").to_owned();
        page.contains("selpay_books_counted 1").then_some(())
    });
    let full = shop.command(&["balance", "--full", "--json"]);
    let full: Value = serde_json::from_slice(&full.stdout).expect("JSON");
    assert_eq!(full["holds"], true, "{full}");
    assert_eq!(full["verified"], 9509 + 730 + 350);
    assert_eq!(full, shop.the_books_balance());
}

/// Mounts a small disk; it is gone with the value.
struct SmallDisk<'a>(&'a Path);

impl SmallDisk<'_> {
    fn mount(path: &Path) -> SmallDisk<'_> {
        fs::create_dir(path).expect("made");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
            .arg(path);
        assert!(mount.status().expect("mount is there").success());
        SmallDisk(path)
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
#[ignore = "needs root, to mount a small disk"]
fn a_full_disk_stops_confirmations_and_not_the_server_and_it_goes_on_when_there_is_room() {
    let mut shop = Shop::open();
    let path = shop.path("disk");
    let _disk = SmallDisk::mount(&path);
    let file = shop.path("merchant.toml");
    let config = fs::read_to_string(&file).expect("read");
    let config = config.replace("sqlite:merchant.db", "sqlite:disk/merchant.db");
    fs::write(&file, config).expect("written");
    shop.restart_merchant();
    let orders: Vec<_> = (0..200).map(|random| shop.sale(random).1).collect();
    let mut filler = fs::File::create(path.join("filler")).expect("made");
    while filler.write_all(&[0; 512]).is_ok() {}
    // The log may have room left in the file that it has: until it has not.
    let full = orders
        .iter()
        .enumerate()
        .find(|(place, order)| told(&shop, order.as_str(), &format!("T{place}")) != "success");
    let (place, order) = full.expect("the disk is full");
    let (status, why) = health(&shop);
    assert_eq!(status, 503);
    assert!(why.contains("full"), "{why}");
    assert!(shop.merchant.is_running());
    assert_eq!(shop.the_books_balance()["verified"], 350 * place as i64);
    drop(filler);
    fs::remove_file(path.join("filler")).expect("removed");
    eventually("it goes on", || (health(&shop).0 == 200).then_some(()));
    assert_eq!(told(&shop, order.as_str(), &format!("T{place}")), "success");
    assert!(shop.merchant.is_running());
    assert_eq!(
        shop.the_books_balance()["verified"],
        350 * (place as i64 + 1)
    );
    shop.merchant.kill();
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_postgres_that_forgets_is_seen_when_its_settings_are_reloaded() {
    let cluster = Cluster::start(&[]);
    let shop = Shop::open_on(&cluster.url(), "");
    let (_, order) = shop.sale(1);
    let mut somebody = postgres::Client::connect(&cluster.url(), postgres::NoTls).expect("in");
    somebody
        .batch_execute("ALTER SYSTEM SET fsync = off")
        .expect("set");
    somebody
        .batch_execute("SELECT pg_reload_conf()")
        .expect("reloaded");
    let why = eventually("it is seen", || {
        let (status, why) = health(&shop);
        (status == 503).then_some(why)
    });
    assert!(why.contains("fsync is off"), "{why}");
    assert_eq!(told(&shop, order.as_str(), "T1"), "fail");
    somebody
        .batch_execute("ALTER SYSTEM RESET fsync")
        .expect("set");
    somebody
        .batch_execute("SELECT pg_reload_conf()")
        .expect("reloaded");
    eventually("it goes on", || (health(&shop).0 == 200).then_some(()));
    assert_eq!(told(&shop, order.as_str(), "T1"), "success");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_postgres_database_of_a_newer_version_or_of_another_encoding_is_refused() {
    let cluster = Cluster::start(&[]);
    let mut shop = Shop::open_on(&cluster.url(), "");
    shop.merchant.kill();
    let mut somebody = postgres::Client::connect(&cluster.url(), postgres::NoTls).expect("in");
    somebody
        .batch_execute("INSERT INTO schema_version VALUES (99)")
        .expect("written");
    assert!(refused(&shop).contains("newer version (schema 99"));
    let ascii =
        "CREATE DATABASE ascii ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0";
    somebody.batch_execute(ascii).expect("made");
    let file = shop.path("merchant.toml");
    let config = fs::read_to_string(&file).expect("read");
    fs::write(&file, config.replace("/postgres\"", "/ascii\"")).expect("written");
    let why = refused(&shop);
    assert!(why.contains("encoding is SQL_ASCII"), "{why}");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn sums_in_postgres_are_those_that_are_counted_from_nothing() {
    let cluster = Cluster::start(&[]);
    let shop = Shop::open_on(&cluster.url(), "claim-seconds = 10");
    for random in 0..20 {
        let (sale, order) = shop.sale(random);
        if random % 4 > 0 {
            assert_eq!(
                told(&shop, order.as_str(), &format!("T{random}")),
                "success"
            );
        }
        if random % 4 > 1 {
            let (_, granted) = shop.claim(sale, random);
            let outcome = ["dispensed", "unknown"][random as usize % 2];
            let report = json!({ "claim": granted["claim"], "outcome": outcome });
            shop.call("POST", &format!("/v1/sales/{sale}/outcome"), &report);
        }
    }
    // Also after what was written change by change has been added up.
    let mut somebody = postgres::Client::connect(&cluster.url(), postgres::NoTls).expect("in");
    eventually("it is added up", || {
        let left = somebody.query_one("SELECT count(*) FROM tally_changes", &[]);
        (left.expect("a count").get::<_, i64>(0) == 0).then_some(())
    });
    let full = shop.command(&["balance", "--full", "--json"]);
    let full: Value = serde_json::from_slice(&full.stdout).expect("JSON");
    assert_eq!(full["holds"], true, "{full}");
    assert_eq!(full["verified"], 15 * 350);
    assert_eq!(full["dispensed"], 5 * 350);
}
