//! What a page costs does not grow with the books: measured on books of several sizes, as `examples/fill.rs` makes them.

#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]

#[path = "../examples/fill.rs"]
mod fill;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::shop::{PASSWORD, Shop};
use crate::support::visitor::Visitor;

/// A page costs no more than so many times what it costs with the smallest books, and
const GROWS: f64 = 3.0;
/// never more than this. What takes less than a few milliseconds is measured too roughly to be compared.
const MOST: Duration = Duration::from_millis(300);
const ROUGH: Duration = Duration::from_millis(5);

/// Each page of the console's, and each filter.
const PAGES: [&str; 32] = [
    "/",
    "/live",
    "/sales",
    "/sales?status=open",
    "/sales?status=paid",
    "/sales?status=claimed",
    "/sales?status=dispensed",
    "/sales?status=not-dispensed",
    "/sales?status=unknown",
    "/sales?status=closed",
    "/sales?status=expired",
    "/sales?kiosk=kiosk-000",
    "/sales?kiosk=kiosk-199",
    "/sales?kiosk=no-such-kiosk",
    "/sales?kiosk=kiosk-000&status=unknown",
    "/sales?kiosk=kiosk-000&status=closed",
    "/sales?kiosk=kiosk-000&status=open",
    "/sales?day=DAY",
    "/sales?day=DAY&status=unknown",
    "/sales?day=DAY&kiosk=kiosk-000&status=closed",
    "/sales?after=MIDDLE",
    "/sales?after=MIDDLE&status=closed&kiosk=kiosk-199",
    "/sales?q=00ff",
    "/refunds",
    "/refunds?reason=late",
    "/refunds?after=MIDDLE",
    "/reviews",
    "/reviews?reason=silent",
    "/kiosks",
    "/problems",
    "/problems?kind=amount",
    "/problems?after=MIDDLE",
];

/// The median of some calls, after one that warms up.
fn median(mut call: impl FnMut()) -> Duration {
    call();
    let mut times: Vec<Duration> = (0..7)
        .map(|_| {
            let began = Instant::now();
            call();
            began.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

/// What everything costs with so many payments.
fn costs(payments: u64) -> Vec<(String, Duration)> {
    let mut shop = Shop::open();
    let books = shop.path("filled.db");
    let filled = fill::fill(&books, payments).expect("filled");
    let middle = "SELECT min(created_at) + (max(created_at) - min(created_at)) / 2 FROM sales";
    let middle: i64 = filled
        .query_row(middle, [], |row| row.get(0))
        .expect("sales");
    println!(
        "{payments} payments:\n{}",
        fill::sizes(&filled, payments).expect("sizes")
    );
    drop(filled);
    let file = shop.path("merchant.toml");
    let config = fs::read_to_string(&file).expect("read");
    fs::write(
        file,
        config.replace("sqlite:merchant.db", "sqlite:filled.db"),
    )
    .expect("written");
    shop.restart_merchant();
    let day = selpay_kiosk::merchant::ledger::Time(middle).stamp();
    let day = format!("{}-{}-{}", &day[..4], &day[4..6], &day[6..8]);
    let mut visitor = Visitor::of(&shop);
    visitor.post("/login", &[("password", PASSWORD)]);
    let mut costs = Vec::new();
    for page in PAGES {
        let path = page
            .replace("DAY", &day)
            .replace("MIDDLE", &format!("{middle}-0"));
        let cost = median(|| assert_eq!(visitor.get(&path).0, 200, "{path}"));
        costs.push((page.to_owned(), cost));
    }
    let found = visitor.get("/sales").1;
    let story = found.split(r#"<a class="number" href="/sales/"#).nth(1);
    let story = story.expect("a sale");
    let story = format!("/sales/{}", story.split('"').next().expect("its name"));
    costs.push((
        "/sales/SALE".to_owned(),
        median(|| drop(visitor.get(&story))),
    ));
    costs.push((
        "/healthz".to_owned(),
        median(|| drop(visitor.get("/healthz"))),
    ));
    // A look is kept for thirty times what it cost: each of these is a new one.
    let mut looks = Vec::new();
    for _ in 0..5 {
        thread::park_timeout(Duration::from_secs(3));
        let began = Instant::now();
        assert_eq!(visitor.get("/metrics").0, 200);
        looks.push(began.elapsed());
    }
    looks.sort();
    costs.push(("/metrics, with a look for alarms".to_owned(), looks[2]));
    let balance = median(|| drop(shop.the_books_balance()));
    costs.push(("merchant balance".to_owned(), balance));
    costs
}

#[test]
#[ignore = "needs minutes, and gigabytes for its largest books: BOOKS_SIZES=5000,500000,5000000"]
fn what_a_page_costs_does_not_grow_with_the_books() {
    let sizes = std::env::var("BOOKS_SIZES").unwrap_or("5000,50000".to_owned());
    let sizes: Vec<u64> = sizes
        .split(',')
        .map(|size| size.parse().expect("a number"))
        .collect();
    let all: Vec<_> = sizes.iter().map(|size| costs(*size)).collect();
    let head: String = sizes.iter().map(|size| format!("{size:>12}")).collect();
    println!("{:<52}{head}", "ms, the median of seven, warm");
    let mut too_much = Vec::new();
    for (place, (what, least)) in all[0].iter().enumerate() {
        let row: Vec<Duration> = all.iter().map(|costs| costs[place].1).collect();
        let told = |cost: &Duration| format!("{:>12.1}", cost.as_secs_f64() * 1000.0);
        println!("{what:<52}{}", row.iter().map(told).collect::<String>());
        let most = least.max(&ROUGH).mul_f64(GROWS);
        if row.iter().any(|cost| *cost > most || *cost > MOST) {
            too_much.push(what.clone());
        }
    }
    assert!(too_much.is_empty(), "these grow: {too_much:?}");
}

#[test]
fn filled_books_balance_when_they_are_counted_from_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let books = fill::fill(&dir.path().join("filled.db"), 2000).expect("filled");
    let counted = selpay_kiosk::merchant::store::reports::full_balance(&books);
    let (balance, differences) = counted.expect("counted");
    assert!(balance.holds, "{differences:?}");
    let sales: i64 = books
        .query_row("SELECT count(DISTINCT status) FROM sales", [], |row| {
            row.get(0)
        })
        .expect("sales");
    assert!(sales >= 5, "every way a sale can end");
}
