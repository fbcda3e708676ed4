//! The merchant's HTTP API to the letter of the contract.

#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::shop::{self, OTHER_TOKEN, Shop, call, paid, signed};
use selpay_kiosk::ids::{ClaimId, OrderNo, SaleId};
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
    for line in [
        "selpay_notifications_total{verdict=\"paid\"} 1",
        "selpay_notifications_total{verdict=\"malformed\"} 1",
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
