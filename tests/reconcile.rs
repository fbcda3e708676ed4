//! A bill of a million payments against books of a million, with differences planted on either side.

#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]

use std::fmt::Write;
use std::fs;
use std::time::Instant;

use crate::support::shop::Shop;
use rusqlite::Connection;

const PAYMENTS: u64 = 1_000_000;

#[test]
#[ignore = "needs a minute"]
fn a_million_payments_are_reconciled_and_each_planted_difference_is_found() {
    let shop = Shop::open();
    let books = Connection::open(shop.path("merchant.db")).expect("the books");
    // Late payments, as the server would have booked them.
    books
        .execute_batch(&format!(
            "PRAGMA synchronous = OFF; BEGIN;
             WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {PAYMENTS} - 1)
             INSERT INTO payments (transaction_id, order_no, total, trade_type, time_end, received_at, body,
                 first_state, first_reason) SELECT printf('T%09d', i), printf('N%09d', i), 100 + i % 900, NULL,
                 printf('20261123%02d%02d%02d', i / 3600 % 24, i / 60 % 60, i % 60), 0, x'',
                 'refund-due', 'late' FROM n;
             COMMIT;"
        ))
        .expect("filled");
    drop(books);
    let mut bill = String::from("\u{4ea4}易时间,平台订单号,商户订单号,订单金额,交易状态\n");
    let (mut missed, mut other) = (0, 0);
    for i in 0..PAYMENTS {
        // Every hundred thousandth is not on the bill, or has another amount there.
        if i % 100_000 == 7 {
            missed += 1;
            continue;
        }
        let differs = u64::from(i % 100_000 == 8);
        other += differs;
        let total = 100 + i % 900 + differs;
        let (hour, minute, second) = (i / 3600 % 24, i / 60 % 60, i % 60);
        writeln!(
            bill,
            "2026-11-23 {hour:02}:{minute:02}:{second:02},T{i:09},N{i:09},{}.{:02},支付成功",
            total / 100,
            total % 100
        )
        .expect("memory takes it");
    }
    for i in 0..50 {
        writeln!(bill, "2026-11-23 12:00:00,B{i:09},X{i:09},9.99,支付成功")
            .expect("memory takes it");
    }
    fs::write(shop.path("bill.csv"), bill).expect("written");
    let path = |name: &str| shop.path(name).display().to_string();
    let map = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reconcile/map.toml");
    let (bill, report) = (path("bill.csv"), path("report.csv"));
    let began = Instant::now();
    let flags = [
        "reconcile",
        "--bill",
        &bill,
        "--map",
        map,
        "--report",
        &report,
    ];
    let output = shop.command(&flags);
    let told = String::from_utf8(output.stdout).expect("text");
    println!("in {:.1} s:\n{told}", began.elapsed().as_secs_f32());
    assert_eq!(output.status.code(), Some(1), "{told}");
    let report = fs::read_to_string(report).expect("a report");
    let count = |what: &str| report.lines().filter(|line| line.starts_with(what)).count();
    assert_eq!(
        [
            count("only in the books"),
            count("amount differs"),
            count("only on the bill")
        ],
        [missed, other as usize, 50]
    );
    let balance = shop.the_books_balance();
    let all: u64 = (0..PAYMENTS).map(|i| 100 + i % 900).sum();
    assert_eq!(balance["verified"], all + 50 * 999);
}
