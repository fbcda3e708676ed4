//! The merchant's HTTP API to the letter of the contract.

#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::shop::{self, OTHER_TOKEN, Shop, call, paid, signed};
use selpay_kiosk::api;
use selpay_kiosk::ids::{ClaimId, KioskName, OrderNo, SaleId, TransactionId};
use selpay_kiosk::merchant::ledger::{Reason, Time, Verdict};
use selpay_kiosk::merchant::store::{Address, Store};
use selpay_kiosk::money::Fen;
use selpay_kiosk::sale::SaleStatus;
use selpay_kiosk::selpay::notification::Payment;
use serde_json::{Value, json};

fn error(answer: &(u16, Value)) -> (u16, &str) {
    (
        answer.0,
        answer.1["error"].as_str().unwrap_or("no error code"),
    )
}

#[test]
fn an_order_is_registered_and_told_as_the_contract_says() {
    let shop = Shop::open();
    let (sale, order) = (SaleId::from_random(1), OrderNo::from_random(2));
    let path = format!("/v1/orders/{order}");
    let told = json!({ "orderNo": order, "sale": sale, "total": 350, "status": "open", "orders": [order] });
    let body = json!({ "sale": sale, "total": 350 });
    assert_eq!(
        shop.call("PUT", &path, &body),
        (201, told.clone()),
        "the first time"
    );
    assert_eq!(shop.call("PUT", &path, &body), (200, told.clone()), "again");
    assert_eq!(shop.call("GET", &path, &Value::Null), (200, told));

    let other_total = json!({ "sale": sale, "total": 351 });
    assert_eq!(
        error(&shop.call("PUT", &path, &other_total)),
        (409, "conflict")
    );
    assert_eq!(
        error(&shop.call(
            "PUT",
            &format!("/v1/orders/{}", OrderNo::from_random(3)),
            &other_total
        )),
        (409, "conflict")
    );
    let other_sale = json!({ "sale": SaleId::from_random(9), "total": 350 });
    assert_eq!(
        error(&shop.call("PUT", &path, &other_sale)),
        (409, "conflict")
    );
    assert_eq!(
        error(&shop.call_as(OTHER_TOKEN, "PUT", &path, &body)),
        (409, "conflict"),
        "another kiosk"
    );
    assert_eq!(
        shop.call("POST", &format!("/v1/sales/{sale}/close"), &json!({}))
            .0,
        200
    );
    let late = shop.call(
        "PUT",
        &format!("/v1/orders/{}", OrderNo::from_random(4)),
        &body,
    );
    assert_eq!(
        (error(&late), &late.1["status"]),
        ((409, "sale-not-open"), &json!("closed"))
    );
}

#[test]
fn bad_requests_are_named_and_change_nothing() {
    let shop = Shop::open();
    let sale = SaleId::from_random(1);
    let good = json!({ "sale": sale, "total": 350 });
    for (path, body) in [
        ("/v1/orders/a%20b", good.clone()),
        ("/v1/orders/123456789012345678901234567890123", good.clone()),
        ("/v1/orders/n", json!({ "sale": "ABC", "total": 350 })),
        ("/v1/orders/n", json!({ "sale": sale, "total": 0 })),
        (
            "/v1/orders/n",
            json!({ "sale": sale, "total": 100_000_001 }),
        ),
        ("/v1/orders/n", json!({ "sale": sale, "total": 3.5 })),
        ("/v1/orders/n", json!({ "sale": sale, "total": "350" })),
        ("/v1/orders/n", json!({ "sale": sale })),
        ("/v1/orders/n", json!("nonsense")),
    ] {
        let answer = shop.call("PUT", path, &body);
        assert_eq!(error(&answer), (400, "bad-request"), "{path} {body}");
        assert!(
            answer.1["message"]
                .as_str()
                .is_some_and(|message| message.len() > 5),
            "{answer:?}"
        );
    }
    assert_eq!(
        shop.call(
            "PUT",
            "/v1/orders/n",
            &json!({ "sale": sale, "total": 100_000_000, "new": 1 })
        )
        .0,
        201
    );
    assert_eq!(
        error(&shop.call("GET", "/v1/orders/n?wait=26", &Value::Null)),
        (400, "bad-request")
    );
    assert_eq!(
        error(&shop.call("GET", "/v1/nothing", &Value::Null)),
        (404, "not-found")
    );
    assert_eq!(
        error(&shop.call("DELETE", "/v1/orders/n", &Value::Null)),
        (405, "method-not-allowed")
    );
    let long = json!({ "sale": sale, "total": 350, "more": "x".repeat(5000) });
    assert_eq!(
        error(&shop.call("PUT", "/v1/orders/n", &long)),
        (413, "too-large")
    );
}

#[test]
fn without_a_token_nothing_is_told() {
    let shop = Shop::open();
    let (sale, order) = shop.sale(1);
    for token in ["", "wrong", "the token of kiosk-1 "] {
        let calls = [
            ("GET", format!("/v1/orders/{order}")),
            ("PUT", "/v1/orders/n".to_owned()),
            ("GET", "/v1/sales/unsettled".to_owned()),
            ("POST", format!("/v1/sales/{sale}/claim")),
            ("POST", format!("/v1/sales/{sale}/outcome")),
            ("POST", format!("/v1/sales/{sale}/close")),
            ("GET", "/v1/nothing".to_owned()),
        ];
        // A blank at the end of a header's value is no part of it.
        let expected = if token.trim() == shop::TOKEN { 0 } else { 401 };
        for (method, path) in calls.iter().filter(|_| expected == 401) {
            assert_eq!(
                error(&shop.call_as(token, method, path, &Value::Null)),
                (401, "unauthorized"),
                "{method} {path}"
            );
        }
    }
    assert_eq!(shop.status(order), "open");
}

#[test]
fn a_foreign_order_looks_like_a_missing_one() {
    let shop = Shop::open();
    let (sale, order) = shop.sale(1);
    let missing = shop.call_as(OTHER_TOKEN, "GET", "/v1/orders/nothing", &Value::Null);
    let foreign = shop.call_as(
        OTHER_TOKEN,
        "GET",
        &format!("/v1/orders/{order}"),
        &Value::Null,
    );
    assert_eq!(foreign, missing);
    assert_eq!(error(&foreign), (404, "not-found"));
    for call in ["claim", "outcome", "close"] {
        let body = json!({ "claim": ClaimId::from_random(1), "outcome": "dispensed" });
        let foreign = shop.call_as(
            OTHER_TOKEN,
            "POST",
            &format!("/v1/sales/{sale}/{call}"),
            &body,
        );
        assert_eq!(error(&foreign), (404, "not-found"), "{call}");
    }
    assert_eq!(
        shop.call_as(OTHER_TOKEN, "GET", "/v1/sales/unsettled", &Value::Null),
        (200, json!([]))
    );
}

#[test]
fn a_paid_sale_is_claimed_once_and_its_outcome_told_once() {
    let shop = Shop::open();
    let (sale, order) = shop.sale(1);
    let not_yet = shop.claim(sale, 1);
    assert_eq!(
        (error(&not_yet), &not_yet.1["status"]),
        ((409, "not-claimable"), &json!("open"))
    );
    shop.notify(signed(paid(order.as_str(), "T1", "350")));
    let claim = ClaimId::from_random(1);
    let granted = json!({ "sale": sale, "claim": claim, "total": 350, "status": "claimed" });
    assert_eq!(shop.claim(sale, 1), (200, granted.clone()));
    assert_eq!(
        shop.claim(sale, 1),
        (200, granted),
        "the same claim again: the same answer"
    );
    let other = shop.claim(sale, 2);
    assert_eq!(
        (error(&other), &other.1["status"]),
        ((409, "not-claimable"), &json!("claimed"))
    );
    let too_late = shop.call("POST", &format!("/v1/sales/{sale}/close"), &json!({}));
    assert_eq!(
        (error(&too_late), &too_late.1["status"]),
        ((409, "too-late"), &json!("claimed"))
    );

    let outcome = |word: &str| {
        shop.call(
            "POST",
            &format!("/v1/sales/{sale}/outcome"),
            &json!({ "claim": claim, "outcome": word }),
        )
    };
    assert_eq!(outcome("dispensed").0, 200);
    assert_eq!(outcome("dispensed").0, 200, "again");
    assert_eq!(error(&outcome("unknown")), (409, "conflict"));
    assert_eq!(outcome("eaten").0, 400);
    assert_eq!(
        error(&shop.claim(sale, 1)),
        (409, "not-claimable"),
        "never a second time"
    );
    let balance = shop.the_books_balance();
    assert_eq!(
        (&balance["dispensed"], &balance["waiting"]),
        (&json!(350), &json!(0))
    );
}

#[test]
fn each_outcome_puts_the_money_where_it_belongs() {
    for (outcome, part, list) in [
        ("dispensed", "dispensed", None),
        ("not-dispensed", "refundDue", Some("refunds")),
        ("unknown", "review", Some("reviews")),
    ] {
        let shop = Shop::open();
        let (sale, order) = shop.sale(1);
        shop.notify(signed(paid(order.as_str(), "T1", "350")));
        shop.claim(sale, 1);
        let report = json!({ "claim": ClaimId::from_random(1), "outcome": outcome });
        assert_eq!(
            shop.call("POST", &format!("/v1/sales/{sale}/outcome"), &report)
                .0,
            200
        );
        assert_eq!(shop.status(order), outcome);
        assert_eq!(shop.the_books_balance()[part], 350, "{outcome}");
        if let Some(list) = list {
            let entry = &shop.books(list)[0];
            let told = [
                "transactionId",
                "orderNo",
                "sale",
                "amount",
                "reason",
                "state",
            ]
            .map(|field| entry[field].clone());
            let state = if list == "refunds" { "due" } else { "open" };
            let expected = [
                json!("T1"),
                json!(order),
                json!(sale),
                json!(350),
                json!(outcome),
                json!(state),
            ];
            assert_eq!(told, expected);
        }
    }
}

#[test]
fn a_claim_that_comes_too_late_is_refused_and_the_money_goes_back() {
    let shop = Shop::open_with("claim-seconds = 10");
    let (sale, order) = shop.sale(1);
    shop.notify(signed(paid(order.as_str(), "T1", "350")));
    shop::eventually("the expiry", || {
        (shop.status(order) == "expired").then_some(())
    });
    let late = shop.claim(sale, 1);
    assert_eq!(
        (error(&late), &late.1["status"]),
        ((409, "not-claimable"), &json!("expired"))
    );
    assert_eq!(shop.refund_reasons(), ["expired"]);
    shop.the_books_balance();
}

#[test]
fn unsettled_sales_are_listed_until_they_have_ended() {
    let shop = Shop::open();
    let (open, _) = shop.sale(1);
    let (claimed, order) = shop.sale(2);
    shop.notify(signed(paid(order.as_str(), "T1", "350")));
    shop.claim(claimed, 5);
    let (closed, _) = shop.sale(3);
    shop.call("POST", &format!("/v1/sales/{closed}/close"), &json!({}));
    let (status, list) = shop.call("GET", "/v1/sales/unsettled", &Value::Null);
    assert_eq!(status, 200);
    let mut told: Vec<_> = list
        .as_array()
        .expect("a list")
        .iter()
        .map(|sale| {
            (
                sale["sale"].clone(),
                sale["status"].clone(),
                sale["claim"].clone(),
            )
        })
        .collect();
    told.sort_by_key(|(sale, ..)| sale.to_string());
    let mut expected = vec![
        (json!(open), json!("open"), Value::Null),
        (
            json!(claimed),
            json!("claimed"),
            json!(ClaimId::from_random(5)),
        ),
    ];
    expected.sort_by_key(|(sale, ..)| sale.to_string());
    assert_eq!(told, expected);
}

#[test]
fn unsettled_sales_are_told_in_pages_that_a_kiosk_can_read() {
    let shop = Shop::open();
    let mut sales: Vec<String> = (0..230)
        .map(|random| shop.sale(random).0.to_string())
        .collect();
    // Some have many numbers.
    for (place, sale) in sales.iter().enumerate().take(20) {
        for number in 0..60 {
            let path = format!("/v1/orders/n{place}-{number}");
            let body = json!({ "sale": sale, "total": 350 });
            assert_eq!(shop.call("PUT", &path, &body).0, 201);
        }
    }
    let page = |after: &str| {
        let path = format!("/v1/sales/unsettled{after}");
        let (status, list) = shop.call("GET", &path, &Value::Null);
        assert_eq!(status, 200, "{list}");
        assert!(list.to_string().len() < 60_000, "a kiosk reads 64 KB");
        let list = list.as_array().expect("a list").clone();
        let names = list
            .iter()
            .map(|sale| sale["sale"].as_str().expect("a name").to_owned());
        names.collect::<Vec<_>>()
    };
    let mut told = page("");
    let mut pages = 1;
    loop {
        let last = told.last().expect("a sale");
        let next = page(&format!("?after={last}"));
        if next.is_empty() {
            break;
        }
        told.extend(next);
        pages += 1;
    }
    assert!(pages >= 4, "{pages}");
    sales.sort();
    told.sort();
    assert_eq!(told, sales, "each of them once");
    assert_eq!(
        page(&format!("?after={}", SaleId::from_random(999))),
        [""; 0]
    );
    let bad = shop.call("GET", "/v1/sales/unsettled?after=x", &Value::Null);
    assert_eq!(error(&bad), (400, "bad-request"));
    let foreign = format!("/v1/sales/unsettled?after={}", told[0]);
    let foreign = shop.call_as(OTHER_TOKEN, "GET", &foreign, &Value::Null);
    assert_eq!(foreign, (200, json!([])));
}

#[test]
fn a_sale_takes_no_more_numbers_than_anybody_needs() {
    let shop = Shop::open();
    let sale = SaleId::from_random(1);
    let registers = |number: u32| {
        let body = json!({ "sale": sale, "total": 350 });
        shop.call("PUT", &format!("/v1/orders/n{number}"), &body)
    };
    for number in 0..64 {
        assert_eq!(registers(number).0, 201);
    }
    assert_eq!(error(&registers(64)), (409, "conflict"));
    assert_eq!(registers(63).0, 200, "it is there already");
}

/// One call in plain bytes: its status, what it says of `Retry-After`, and the error code.
fn retried_after(
    shop: &Shop,
    token: &str,
    call: &str,
    body: &str,
) -> (String, Option<u64>, String) {
    let answer = shop::raw(
        &shop.merchant.address,
        format!(
            "{call} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .as_bytes(),
    );
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let after = head.to_lowercase();
    let after = after
        .lines()
        .find_map(|line| line.strip_prefix("retry-after: "));
    let after = after.map(|seconds| seconds.parse().expect("seconds"));
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    (
        status,
        after,
        body["error"].as_str().unwrap_or_default().to_owned(),
    )
}

#[test]
fn a_kiosk_that_asks_too_much_is_told_when_to_ask_again_and_no_other_is() {
    let shop = Shop::open_with(
        "[kiosk-limits]\nregistrations-per-minute = 10\nopen-sales = 3\nrequests-at-once = 2\nrequests-per-second = 5",
    );
    let registers = |token: &str, number: u128| {
        let sale = SaleId::from_random(number);
        let call = format!("PUT /v1/orders/n{number}");
        let body = json!({ "sale": sale, "total": 350 }).to_string();
        retried_after(&shop, token, &call, &body)
    };
    let refused = |seconds: u64| ("429".to_owned(), Some(seconds), "too-many".to_owned());
    for number in 0..3 {
        assert_eq!(registers(shop::TOKEN, number).0, "201");
    }
    assert_eq!(
        registers(shop::TOKEN, 3),
        refused(30),
        "three sales are open"
    );
    assert_eq!(registers(OTHER_TOKEN, 1003).0, "201");
    let closes = format!("/v1/sales/{}/close", SaleId::from_random(0));
    assert_eq!(shop.call("POST", &closes, &json!({})).0, 200);
    assert_eq!(registers(shop::TOKEN, 3).0, "201", "one has ended");

    // Whoever closes as fast as it opens has a pace to keep.
    let mut refusal = None;
    for number in 10..20 {
        let (status, after, _) = registers(OTHER_TOKEN, number);
        if status == "429" {
            refusal = after;
            break;
        }
        let closes = format!("/v1/sales/{}/close", SaleId::from_random(number));
        assert_eq!(
            shop.call_as(OTHER_TOKEN, "POST", &closes, &json!({})).0,
            200
        );
    }
    assert!(
        refusal.is_some_and(|seconds| (1..=6).contains(&seconds)),
        "{refusal:?}"
    );

    // Two long polls at once, not three; when they end, others may.
    let url = shop.merchant.url("/v1/orders/n1?wait=20");
    thread::scope(|scope| {
        for _ in 0..2 {
            // Whoever looks whether both wait may take the place for a moment.
            scope.spawn(|| while call("GET", &url, shop::TOKEN, &Value::Null).0 == 429 {});
        }
        shop::eventually("one too many", || {
            let asked = retried_after(&shop, shop::TOKEN, "GET /v1/orders/n1", "");
            (asked == refused(1)).then_some(())
        });
        let asked = shop.call_as(OTHER_TOKEN, "GET", "/v1/orders/n1003", &Value::Null);
        assert_eq!(asked.0, 200);
        shop.notify(signed(paid("n1", "T1", "350")));
    });
    let (_, page) = call("GET", &shop.merchant.url("/metrics"), "", &Value::Null);
    let page = page.as_str().expect("text");
    for limit in ["registrations-per-minute", "requests-at-once", "open-sales"] {
        let counted = format!("selpay_kiosk_refusals_total{{limit=\"{limit}\"}} ");
        let line = page.lines().find_map(|line| line.strip_prefix(&counted));
        let count: u64 = line.expect(limit).parse().expect("a number");
        assert!(count > 0, "{limit}");
    }
}

#[test]
fn requests_have_a_pace_and_everything_behind_a_token_keeps_it() {
    let shop = Shop::open_with("[kiosk-limits]\nrequests-per-second = 1");
    let calls = [
        "GET /v1/nothing",
        "DELETE /v1/heartbeat",
        "GET /v1/sales/unsettled",
    ];
    let mut told = Vec::new();
    for turn in 0..40 {
        told.push(retried_after(&shop, shop::TOKEN, calls[turn % 3], "").0);
    }
    assert_eq!(told[..3], ["404", "405", "200"]);
    assert_eq!(told.last().map(String::as_str), Some("429"), "{told:?}");
}

#[test]
fn wrong_tokens_are_counted_and_many_are_an_alarm() {
    let shop = Shop::open();
    for _ in 0..40 {
        let asked = shop.call_as("wrong", "GET", "/v1/nothing", &Value::Null);
        assert_eq!(asked.0, 401);
    }
    for line in [
        "selpay_wrong_tokens_total 40",
        "selpay_alarm{alarm=\"wrong-tokens\"} 1",
    ] {
        shop::eventually(line, || {
            let (_, page) = call("GET", &shop.merchant.url("/metrics"), "", &Value::Null);
            let page = page.as_str().expect("text");
            page.lines().any(|found| found == line).then_some(())
        });
    }
}

#[tokio::test]
async fn open_sales_end_by_themselves_and_what_is_paid_after_that_goes_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let address = Address::Sqlite(dir.path().join("merchant.db"));
    let store = Store::open(&address, Duration::from_secs(120)).expect("opened");
    let kiosk = KioskName::new("kiosk-1").expect("a name");
    let total = Fen::new(350).expect("an amount");
    let (left, asked, noted) = (1, 2, 3);
    let at = |seconds: i64| Time(1_000_000_000_000 + seconds * 1000);
    let order = |number: u128| OrderNo::from_random(number);
    for number in [left, asked, noted] {
        let wanted = api::Register {
            sale: SaleId::from_random(number),
            total,
        };
        let registered = store.register(at(0), kiosk, order(number), wanted);
        assert!(registered.await.expect("an answer").is_ok());
    }
    // One is asked for here, one at another server, which has noted it.
    let other = vec![(SaleId::from_random(noted), at(3000))];
    store.note_asked(other, at(3000)).await.expect("noted");
    let asked_at = |sale| match sale == SaleId::from_random(asked) {
        true => at(3599),
        false => at(0),
    };
    let swept = store.sweep(at(3599), asked_at).await.expect("swept");
    assert_eq!(swept, []);
    let swept = store.sweep(at(3600), asked_at).await.expect("swept");
    assert_eq!(swept, [SaleId::from_random(left)]);
    let status = async |number: u128| {
        let held = store.order(kiosk, order(number)).await.expect("an answer");
        held.expect("it is there").status
    };
    assert_eq!(status(left).await, SaleStatus::Closed);
    assert_eq!(status(asked).await, SaleStatus::Open);
    assert_eq!(status(noted).await, SaleStatus::Open);
    let payment = |number: u128| Payment {
        transaction: TransactionId::new(&format!("T{number}")).expect("a name"),
        order: order(number),
        total: 350,
        trade_type: None,
        time_end: None,
        fee_type: None,
    };
    let verdict = store.pay(at(3601), payment(left), Vec::new()).await;
    assert_eq!(verdict, Ok(Verdict::Refund(Reason::Late)));
    let verdict = store.pay(at(3601), payment(asked), Vec::new()).await;
    assert_eq!(verdict, Ok(Verdict::Pays(SaleId::from_random(asked))));
    let swept = store.sweep(at(6600), |_| at(0)).await.expect("swept");
    let mut swept: Vec<_> = swept.iter().map(|sale| sale.as_u128()).collect();
    swept.sort();
    let mut both = [asked, noted].map(|number| SaleId::from_random(number).as_u128());
    both.sort();
    assert_eq!(swept, both, "one expired, one was left");
}

#[test]
fn a_long_poll_answers_with_the_payment() {
    let shop = Shop::open();
    let (_, order) = shop.sale(1);
    let url = shop.merchant.url(&format!("/v1/orders/{order}?wait=20"));
    thread::scope(|scope| {
        let poll = scope.spawn(|| (call("GET", &url, shop::TOKEN, &Value::Null), Instant::now()));
        shop::eventually("somebody who waits", || {
            let (_, page) = call("GET", &shop.merchant.url("/metrics"), "", &Value::Null);
            page.as_str()
                .is_some_and(|page| page.contains("selpay_waiting_sales 1"))
                .then_some(())
        });
        let notified = Instant::now();
        shop.notify(signed(paid(order.as_str(), "T1", "350")));
        let ((status, told), answered) = poll.join().expect("answered");
        assert_eq!((status, &told["status"]), (200, &json!("paid")));
        assert!(
            answered.duration_since(notified) < Duration::from_secs(2),
            "with the payment, not after the wait"
        );
    });
    let begin = Instant::now();
    assert_eq!(
        shop.call("GET", &format!("/v1/orders/{order}?wait=20"), &Value::Null)
            .1["status"],
        "paid"
    );
    assert!(
        begin.elapsed() < Duration::from_secs(2),
        "what is paid already is told at once"
    );
}

#[test]
fn a_long_poll_ends_after_its_wait() {
    let shop = Shop::open();
    let (_, order) = shop.sale(1);
    let begin = Instant::now();
    assert_eq!(
        shop.call("GET", &format!("/v1/orders/{order}?wait=1"), &Value::Null)
            .1["status"],
        "open"
    );
    assert!((Duration::from_millis(900)..Duration::from_secs(5)).contains(&begin.elapsed()));
}

#[test]
fn a_connection_serves_on_after_a_request_whose_body_nobody_needs() {
    let shop = Shop::open();
    let (sale, order) = shop.sale(1);
    let mut stream = TcpStream::connect(&shop.merchant.address).expect("connected");
    stream
        .set_read_timeout(Some(shop::PATIENCE))
        .expect("a limit");
    let head = format!(
        "POST /v1/sales/{sale}/close HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {}\r\nContent-Length: 2\r\n\r\n",
        shop::TOKEN
    );
    for before in ["open", "closed"] {
        // The body comes on its own, as from the kiosk: nothing is done before the request is whole.
        stream.write_all(head.as_bytes()).expect("sent");
        assert_eq!(shop.status(order), before);
        stream.write_all(b"{}").expect("sent");
        let mut answer = String::new();
        while !answer.contains(r#"{"status":"closed"}"#) {
            let mut part = [0; 4096];
            let length = stream.read(&mut part).expect("an answer");
            assert!(length > 0, "it ends with {answer}");
            answer += &String::from_utf8_lossy(&part[..length]);
        }
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let answer = answer.to_lowercase();
        assert!(!answer.contains("connection: close"), "{answer}");
    }
}

#[test]
fn health_and_metrics_are_for_everybody() {
    let shop = Shop::open();
    assert_eq!(
        call("GET", &shop.merchant.url("/healthz"), "", &Value::Null),
        (200, json!("ok"))
    );
    let (_, order) = shop.sale(1);
    shop.notify(signed(paid(order.as_str(), "T1", "350")));
    shop.notify("forged");
    let forged = signed(paid(order.as_str(), "T2", "350")).replace("[350]", "[351]");
    shop.notify(forged);
    for line in [
        "selpay_notifications_total{verdict=\"paid\"} 1",
        "selpay_notifications_total{verdict=\"malformed\"} 1",
        "selpay_notifications_total{verdict=\"unverified\"} 1",
        "selpay_notifications_total{verdict=\"signature-ambiguous\"} 0",
        "selpay_notifications_total{verdict=\"foreign-currency\"} 0",
        "selpay_money_fen{state=\"waiting\"} 350",
        "selpay_sales{status=\"paid\"} 1",
        "selpay_balance_holds 1",
        "selpay_alarm{alarm=\"notification-refused\"} 1",
        "selpay_alarm{alarm=\"books-do-not-balance\"} 0",
    ] {
        // What was seen a moment ago is as good.
        shop::eventually(line, || {
            let (status, page) = call("GET", &shop.merchant.url("/metrics"), "", &Value::Null);
            assert_eq!(status, 200);
            let page = page.as_str().expect("text");
            page.lines().any(|found| found == line).then_some(())
        });
    }
}

#[test]
fn the_server_ends_cleanly_when_asked_to() {
    let mut shop = Shop::open();
    let (_, order) = shop.sale(1);
    shop.notify(signed(paid(order.as_str(), "T1", "350")));
    assert_eq!(shop.merchant.terminate(), Some(0));
    assert_eq!(
        shop.the_books_balance()["waiting"],
        350,
        "the books are read without a server as well"
    );
}

#[test]
fn every_metric_of_the_alert_rules_is_there() {
    let shop = Shop::open();
    let (status, page) = shop.call("GET", "/metrics", &Value::Null);
    assert_eq!(status, 200);
    let page = page.as_str().expect("text");
    let dashboard: Value =
        serde_json::from_str(include_str!("../packaging/merchant/grafana.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let asked = panels.flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    let asked: Vec<String> = asked
        .map(|target| target["expr"].as_str().expect("an expression").to_owned())
        .collect();
    let rules = include_str!("../packaging/merchant/alerts.yml").to_owned();
    for text in [rules, asked.join("\n")] {
        let words = text.split(|letter: char| !(letter.is_ascii_lowercase() || letter == '_'));
        let metrics: Vec<&str> = words.filter(|word| word.starts_with("selpay_")).collect();
        assert!(metrics.len() > 5, "{metrics:?}");
        for metric in metrics {
            assert!(page.contains(&format!("\n{metric}")), "{metric}");
        }
        let labels = text.split(['{', '}']).skip(1).step_by(2);
        let plain = ["state=\"", "verdict=\"", "alarm=\""];
        for label in labels.filter(|label| plain.iter().any(|begin| label.starts_with(begin))) {
            assert!(page.contains(&format!("{{{label}}}")), "{label}");
        }
    }
}
