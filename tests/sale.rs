//! Whole sales with the three real programs: keys on the kiosk's standard input, real HTTP, a real database.

#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]

use crate::support::shop::{self, Shop, deliveries, eventually, order_in, sim};
use crate::support::tls::{Certificate, TlsFront};
use serde_json::json;
use tokio_rustls::rustls::HandshakeKind;

#[test]
fn the_three_programs_make_a_whole_sale() {
    let shop = Shop::open();
    let platform = shop.platform(&["--app-key", shop::APP_KEY]);
    let mut kiosk = shop.kiosk(&platform, "");
    kiosk.types("3.50#");
    let url = kiosk.code(None);
    assert!(
        url.starts_with(&platform.url("/#/pages/rt/index?appKey=")),
        "{url}"
    );
    sim(&platform, "/sim/pay", &json!({ "orderNo": order_in(&url) }));
    kiosk.logs("screen thank-you");
    assert_eq!(kiosk.pulses().len(), 1);

    let log = kiosk.log();
    let at = |text: &str| {
        log.find(text)
            .unwrap_or_else(|| panic!("{text} is not in the log"))
    };
    assert!(
        at("Claimed {") < at("fact: Start"),
        "the claim was granted before the point of no return"
    );
    assert!(
        at("fact: Start") < at("Pulse {"),
        "the point of no return was on disk before the pulse"
    );
    assert!(at("Pulse {") < at("screen thank-you"));

    let sale = kiosk.pulses()[0]
        .strip_prefix("pulse ")
        .expect("the sale")
        .to_owned();
    assert_eq!(kiosk.ends(), Some(0), "it ends once it is idle");
    let balance = shop.the_books_balance();
    assert_eq!(
        (&balance["verified"], &balance["dispensed"]),
        (&json!(350), &json!(350))
    );
    assert_eq!(
        shop.status(order_in(&url).parse().expect("a number")),
        "dispensed"
    );
    assert_eq!(sale.len(), 32);
    assert_eq!(
        deliveries(&platform, &order_in(&url)).len(),
        1,
        "one notification was enough"
    );
}

#[test]
fn a_sale_through_tls_with_an_authority_of_ones_own() {
    let shop = Shop::open();
    let platform = shop.platform(&[]);
    let certificate = Certificate {
        names: &["127.0.0.1"],
        years: (2020, 2090),
    };
    let front = TlsFront::before(&shop.merchant.address, &certificate, &shop.path("ca.pem"));
    let mut kiosk = shop.kiosk_of(&platform, &front.url(), "merchant-ca-file = \"ca.pem\"");
    kiosk.types("3.50#");
    let older = kiosk.code(None);
    // The key gives the long poll up, and its connection with it: the next one goes on with the same TLS session.
    kiosk.types("R");
    let order = order_in(&kiosk.code(Some(&older)));
    sim(&platform, "/sim/pay", &json!({ "orderNo": order }));
    kiosk.logs("screen thank-you");
    assert_eq!(kiosk.pulses().len(), 1);
    assert_eq!(kiosk.ends(), Some(0));
    assert_eq!(shop.the_books_balance()["dispensed"], 350);
    let handshakes = front.handshakes.lock().expect("nobody panics with it");
    assert!(
        handshakes.len() > 1
            && handshakes[1..]
                .iter()
                .all(|kind| *kind == HandshakeKind::Resumed),
        "{handshakes:?}"
    );
}

#[test]
fn an_older_code_or_a_newer_one_pays_the_same_sale_once() {
    for pay_the_older in [true, false] {
        let shop = Shop::open();
        let platform = shop.platform(&[]);
        let mut kiosk = shop.kiosk(&platform, "");
        kiosk.types("0.01#");
        let older = kiosk.code(None);
        kiosk.types("R");
        let newer = kiosk.code(Some(&older));
        let (paid, other) = if pay_the_older {
            (&older, &newer)
        } else {
            (&newer, &older)
        };
        sim(&platform, "/sim/pay", &json!({ "orderNo": order_in(paid) }));
        kiosk.logs("screen thank-you");
        // The other code was never taken back: paying it as well is a second payment, and goes back.
        sim(
            &platform,
            "/sim/pay",
            &json!({ "orderNo": order_in(other) }),
        );
        eventually("the second payment's refund", || {
            (shop.refund_reasons() == ["duplicate"]).then_some(())
        });
        assert_eq!(kiosk.pulses().len(), 1, "the goods come out once");
        assert_eq!(kiosk.ends(), Some(0));
        let balance = shop.the_books_balance();
        assert_eq!(
            (&balance["dispensed"], &balance["refundDue"]),
            (&json!(1), &json!(1))
        );
    }
}

#[test]
fn a_cancelled_sale_dispenses_nothing_and_a_late_payment_goes_back() {
    let shop = Shop::open();
    let platform = shop.platform(&[]);
    let mut kiosk = shop.kiosk(&platform, "");
    kiosk.types("3.5#");
    let url = kiosk.code(None);
    kiosk.types("C");
    kiosk.logs("screen not-paid");
    sim(&platform, "/sim/pay", &json!({ "orderNo": order_in(&url) }));
    eventually("the late payment's refund", || {
        (shop.refund_reasons() == ["late"]).then_some(())
    });
    // Whoever paid still stands there.
    kiosk.logs("screen could-not");
    assert!(kiosk.pulses().is_empty());
    kiosk.types("C");
    assert_eq!(kiosk.ends(), Some(0));
    shop.the_books_balance();
}

#[test]
fn a_wrong_amount_buys_nothing() {
    let shop = Shop::open();
    let platform = shop.platform(&[]);
    let mut kiosk = shop.kiosk(&platform, "");
    kiosk.types("3.50#");
    let order = order_in(&kiosk.code(None));
    sim(
        &platform,
        "/sim/pay",
        &json!({ "orderNo": order, "totalFee": 349 }),
    );
    eventually("the refund", || {
        (shop.refund_reasons() == ["amount"]).then_some(())
    });
    assert_eq!(deliveries(&platform, &order)[0]["answer"], "fail");
    assert_eq!(
        shop.status(order.parse().expect("a number")),
        "open",
        "it can still be paid properly"
    );
    sim(&platform, "/sim/pay", &json!({ "orderNo": order }));
    kiosk.logs("screen thank-you");
    assert_eq!(kiosk.pulses().len(), 1);
    shop.the_books_balance();
}

#[test]
fn no_code_shows_when_the_platform_misbehaves() {
    for (fault, told) in [
        ("refuse", "screen could-not"),
        ("garbage", "screen could-not"),
        ("foreign", "is not drawn"),
    ] {
        let shop = Shop::open();
        let platform = shop.platform(&[]);
        sim(&platform, "/sim/faults", &json!({ "addOrder": fault }));
        let mut kiosk = shop.kiosk(&platform, "");
        kiosk.types("3.50#");
        kiosk.logs(told);
        kiosk.logs("screen could-not");
        assert!(!kiosk.log().contains("screen pay"), "{fault}");
        sim(&platform, "/sim/faults", &json!({ "addOrder": "none" }));
        kiosk.types("#");
        kiosk.code(None);
    }
}

#[test]
fn a_kiosk_that_was_killed_shows_a_new_code_and_the_old_one_still_pays() {
    let shop = Shop::open();
    let platform = shop.platform(&[]);
    let mut kiosk = shop.kiosk(&platform, "");
    kiosk.types("3.50#");
    let url = kiosk.code(None);
    drop(kiosk);
    let kiosk = shop.kiosk(&platform, "");
    let next = kiosk.code(Some(&url));
    sim(&platform, "/sim/pay", &json!({ "orderNo": order_in(&url) }));
    kiosk.logs("screen thank-you");
    assert_eq!(kiosk.pulses().len(), 1);
    assert_eq!(kiosk.ends(), Some(0));
    assert_eq!(
        shop.status(order_in(&next).parse().expect("a number")),
        "dispensed"
    );
    assert_eq!(shop.the_books_balance()["dispensed"], 350);
}

#[test]
fn what_was_paid_while_the_kiosk_was_off_comes_out_when_it_is_back() {
    let shop = Shop::open();
    let platform = shop.platform(&[]);
    let mut kiosk = shop.kiosk(&platform, "");
    kiosk.types("3.50#");
    let order = order_in(&kiosk.code(None));
    drop(kiosk);
    sim(&platform, "/sim/pay", &json!({ "orderNo": order }));
    eventually("the payment", || {
        (shop.status(order.parse().expect("a number")) == "paid").then_some(())
    });
    let kiosk = shop.kiosk(&platform, "");
    kiosk.logs("screen thank-you");
    assert_eq!(kiosk.pulses().len(), 1);
    assert_eq!(kiosk.ends(), Some(0));
    assert_eq!(shop.the_books_balance()["dispensed"], 350);
}

#[test]
fn the_kiosk_ends_on_a_signal() {
    let shop = Shop::open();
    let platform = shop.platform(&[]);
    for signal in ["-TERM", "-INT"] {
        let mut kiosk = shop.kiosk(&platform, "");
        kiosk.logs("screen amount");
        let id = kiosk.child.id().to_string();
        std::process::Command::new("kill")
            .args([signal, &id])
            .status()
            .expect("kill is there");
        assert_eq!(
            kiosk.child.wait().expect("waited for").code(),
            Some(0),
            "{signal}"
        );
    }
}

#[test]
fn a_damaged_journal_is_told_and_sells_nothing() {
    let shop = Shop::open();
    let platform = shop.platform(&[]);
    std::fs::write(shop.path("journal"), "this is no record\n").expect("written");
    let mut kiosk = shop.kiosk(&platform, "");
    kiosk.logs("the journal is damaged in record 0");
    kiosk.logs("screen out-of-service");
    kiosk.tries_to_type("3.50#");
    assert_eq!(kiosk.ends(), Some(0));
    assert_eq!(
        std::fs::read_to_string(shop.path("journal")).expect("read"),
        "this is no record\n",
        "nothing is touched"
    );
}

#[test]
fn a_kiosk_sells_though_six_hundred_sales_of_it_were_left_open() {
    let shop = Shop::open();
    let platform = shop.platform(&[]);
    for random in 0..600 {
        shop.sale(random);
    }
    let mut kiosk = shop.kiosk(&platform, "");
    kiosk.types("3.50#");
    let url = kiosk.code(None);
    sim(&platform, "/sim/pay", &json!({ "orderNo": order_in(&url) }));
    kiosk.logs("screen thank-you");
    let left = shop.call("GET", "/v1/sales/unsettled", &json!(null)).1;
    let left = left.as_array().expect("a list").iter();
    let open = left.filter(|sale| sale["status"] == "open").count();
    assert_eq!(open, 0, "all were closed");
}

#[test]
fn a_kiosk_that_is_told_to_ask_later_settles_what_it_owes_all_the_same() {
    let shop = Shop::open_with("[kiosk-limits]\nrequests-per-second = 1");
    let (_, order) = shop.sale(1);
    // Somebody with its token has used the pace up.
    eventually("too many", || {
        let asked = shop.call("GET", "/v1/orders/nothing", &json!(null));
        (asked.0 == 429).then_some(())
    });
    let platform = shop.platform(&[]);
    let kiosk = shop.kiosk(&platform, "");
    kiosk.logs("we ask too much");
    kiosk.logs("screen amount");
    assert_eq!(kiosk.ends(), Some(0));
    let path = format!("/v1/orders/{order}");
    eventually("the sale is closed", || {
        let (_, held) = shop.call("GET", &path, &json!(null));
        (held["status"] == "closed").then_some(())
    });
}
