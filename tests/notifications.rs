//! Notifications as they must be answered, and as they must not be believed: every row of the table, over real HTTP.

#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]

use std::thread;
use std::time::{Duration, Instant};

use crate::support::postgres::Cluster;
use crate::support::shop::{self, Shop, paid, post, raw, signed, unsigned};
use selpay_kiosk::ids::OrderNo;
use serde_json::{Value, json};

fn success() -> (u16, String) {
    (200, "success".to_owned())
}

fn fail() -> (u16, String) {
    (200, "fail".to_owned())
}

#[test]
fn the_exact_amount_pays_an_open_sale() {
    let shop = Shop::open();
    let (sale, order) = shop.sale(1);
    assert_eq!(
        shop.notify(signed(paid(order.as_str(), "T1", "350"))),
        success()
    );
    assert_eq!(shop.status(order), "paid");
    assert_eq!(shop.claim(sale, 1).0, 200);
    shop.the_books_balance();
}

#[test]
fn the_same_transaction_again_changes_nothing() {
    let shop = Shop::open();
    let (sale, order) = shop.sale(1);
    let message = signed(paid(order.as_str(), "T1", "350"));
    for _ in 0..3 {
        assert_eq!(shop.notify(&message), success());
    }
    assert_eq!(shop.claim(sale, 1).0, 200);
    assert_eq!(
        shop.notify(&message),
        success(),
        "a late duplicate does not turn a claimed sale back"
    );
    assert_eq!(shop.status(order), "claimed");
    assert_eq!(shop.the_books_balance()["verified"], 350);
}

#[test]
fn sixteen_copies_at_once_are_one_payment_and_sixteen_successes() {
    let shop = Shop::open();
    let (_, order) = shop.sale(1);
    let message = signed(paid(order.as_str(), "T1", "350"));
    let url = shop.merchant.url("/notify");
    let answers: Vec<_> = thread::scope(|scope| {
        let posts: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| post(&url, message.as_bytes())))
            .collect();
        posts
            .into_iter()
            .map(|post| post.join().expect("posted"))
            .collect()
    });
    assert_eq!(answers, vec![success(); 16]);
    assert_eq!(shop.the_books_balance()["verified"], 350);
    assert!(shop.refund_reasons().is_empty());
}

#[test]
fn two_payments_of_one_sale_are_one_sale_and_one_refund() {
    let shop = Shop::open();
    let (sale, first) = shop.sale(1);
    let second = OrderNo::from_random(77);
    let (status, order) = shop.call(
        "PUT",
        &format!("/v1/orders/{second}"),
        &json!({ "sale": sale, "total": 350 }),
    );
    assert_eq!((status, &order["orders"]), (201, &json!([first, second])));
    assert_eq!(
        shop.notify(signed(paid(first.as_str(), "T1", "350"))),
        success()
    );
    assert_eq!(
        shop.notify(signed(paid(second.as_str(), "T2", "350"))),
        success()
    );
    assert_eq!(
        shop.notify(signed(paid(first.as_str(), "T3", "350"))),
        success(),
        "two on one number are two payments"
    );
    assert_eq!(shop.refund_reasons(), ["duplicate", "duplicate"]);
    assert_eq!(shop.the_books_balance()["waiting"], 350);
}

#[test]
fn a_payment_after_the_close_goes_back() {
    let shop = Shop::open();
    let (sale, order) = shop.sale(1);
    assert_eq!(
        shop.call("POST", &format!("/v1/sales/{sale}/close"), &json!({})),
        (200, json!({ "status": "closed" }))
    );
    assert_eq!(
        shop.notify(signed(paid(order.as_str(), "T1", "350"))),
        success()
    );
    assert_eq!(shop.refund_reasons(), ["late"]);
    assert_eq!(shop.status(order), "closed");
    shop.the_books_balance();
}

#[test]
fn one_fen_off_is_booked_refused_and_goes_back() {
    let shop = Shop::open();
    let (sale, order) = shop.sale(1);
    for (number, total) in ["349", "351", "1", "0", "35000", "4294967646"]
        .iter()
        .enumerate()
    {
        assert_eq!(
            shop.notify(signed(paid(order.as_str(), &format!("T{number}"), total))),
            fail(),
            "{total}"
        );
    }
    assert_eq!(shop.status(order), "open");
    assert_eq!(shop.claim(sale, 1).0, 409);
    assert_eq!(shop.refund_reasons(), ["amount"; 6]);
    shop.the_books_balance();
}

#[test]
fn an_unknown_number_is_booked_refused_and_pays_once_it_is_registered() {
    let shop = Shop::open();
    let order = OrderNo::from_random(1_000_001);
    let message = signed(paid(order.as_str(), "T1", "350"));
    assert_eq!(shop.notify(&message), fail());
    assert_eq!(shop.refund_reasons(), ["unknown-order"]);
    assert_eq!(shop.books("refunds")[0]["sale"], Value::Null);
    shop.sale(1);
    assert_eq!(shop.status(order), "paid");
    assert!(shop.refund_reasons().is_empty());
    assert_eq!(shop.notify(&message), success());
    shop.the_books_balance();
}

#[test]
fn a_failed_payment_is_noted_and_a_later_success_still_counts() {
    let shop = Shop::open();
    let (_, order) = shop.sale(1);
    for field in ["result_code", "pay_result", "status"] {
        let mut failed = paid(order.as_str(), "T1", "350");
        failed.insert(field.to_owned(), "1".to_owned());
        assert_eq!(shop.notify(signed(failed)), success(), "{field}");
    }
    assert_eq!(shop.status(order), "open");
    assert_eq!(
        shop.notify(signed(paid(order.as_str(), "T1", "350"))),
        success()
    );
    assert_eq!(shop.status(order), "paid");
}

#[test]
fn a_known_transaction_told_differently_changes_nothing() {
    let shop = Shop::open();
    let (_, order) = shop.sale(1);
    let (_, other) = shop.sale(2);
    assert_eq!(
        shop.notify(signed(paid(order.as_str(), "T1", "350"))),
        success()
    );
    assert_eq!(
        shop.notify(signed(paid(order.as_str(), "T1", "351"))),
        fail()
    );
    assert_eq!(
        shop.notify(signed(paid(other.as_str(), "T1", "350"))),
        fail()
    );
    assert_eq!(shop.status(other), "open");
    assert_eq!(shop.the_books_balance()["verified"], 350);
}

#[test]
fn another_merchants_notification_is_refused() {
    let shop = Shop::open();
    let (_, order) = shop.sale(1);
    let mut foreign = paid(order.as_str(), "T1", "350");
    foreign.insert("mch_id".to_owned(), "7551000002".to_owned());
    assert_eq!(shop.notify(signed(foreign)), fail());
    assert_eq!(shop.status(order), "open");
}

#[test]
fn what_is_not_signed_by_the_key_changes_nothing() {
    let shop = Shop::open();
    let (_, order) = shop.sale(1);
    let good = paid(order.as_str(), "T1", "350");
    let message = signed(good.clone());
    let forged = [
        unsigned(&good),
        message.replace("[350]", "[351]"),
        message.replace("</xml>", "<added>1</added></xml>"),
        message.replace("<sign_type><![CDATA[MD5]]></sign_type>", ""),
        message.replace("[MD5]", "[RSA]"),
        message.replace("<sign>", "<sign> "),
        String::new(),
        "{}".to_owned(),
        "<xml></xml>".to_owned(),
    ];
    for body in &forged {
        assert_eq!(shop.notify(body), fail(), "{body}");
    }
    assert_eq!(shop.status(order), "open");
    assert_eq!(shop.the_books_balance()["verified"], 0);
}

#[test]
fn a_signed_text_with_two_readings_is_refused() {
    let shop = Shop::open();
    let (_, order) = shop.sale(1);
    let message = signed(paid(order.as_str(), "T1", "350"));
    let total = "<total_fee><![CDATA[350]]></total_fee>";
    for body in [
        format!("<!DOCTYPE xml [<!ENTITY x \"350\">]>{message}"),
        message.replace(
            "<xml>",
            "<!DOCTYPE xml SYSTEM \"http://127.0.0.1:1/x\"><xml>",
        ),
        message.replace(total, &format!("{total}{total}")),
        message.replace(total, &format!("<total_fee>1</total_fee>{total}")),
        message.replace(total, "<total_fee><b>350</b></total_fee>"),
        message.replace(total, "<total_fee>3<!-- -->50</total_fee>"),
        format!("<?php ?>{message}"),
        format!("{message}<xml/>"),
    ] {
        assert_eq!(shop.notify(&body), fail(), "{body}");
    }
    assert_eq!(shop.status(order), "open");
    // What only looks different is taken: a byte order mark, blanks, an XML declaration, another Content-Type.
    assert_eq!(
        shop.notify(format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{message}\r\n"
        )),
        success()
    );
}

#[test]
fn the_answer_is_seven_bytes_of_plain_text() {
    let shop = Shop::open();
    let (_, order) = shop.sale(1);
    let body = signed(paid(order.as_str(), "T1", "350"));
    let request = format!(
        "POST /notify HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = raw(&shop.merchant.address, request.as_bytes());
    let (head, text) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert_eq!(text, "success");
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(
        head.to_lowercase().contains("content-type: text/plain\r\n"),
        "{head}"
    );
}

#[test]
fn an_oversized_body_is_refused_whether_its_length_is_told_or_not() {
    let shop = Shop::open();
    let (status, answer) = shop.notify(vec![b'x'; 16 * 1024 + 1]);
    assert_eq!((status, answer.as_str()), (413, "fail"));
    let told = "POST /notify HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n";
    assert!(
        raw(&shop.merchant.address, told.as_bytes()).starts_with("HTTP/1.1 413"),
        "before the body has come"
    );
    let mut chunked =
        b"POST /notify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..256 {
        chunked.extend_from_slice(b"1000\r\n");
        chunked.extend_from_slice(&[b'x'; 0x1000]);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let answer = raw(&shop.merchant.address, &chunked);
    // A client that goes on sending reads the answer all the same.
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[test]
fn an_unfinished_request_is_ended_and_holds_nobody_up() {
    let shop = Shop::open();
    let (_, order) = shop.sale(1);
    let address = shop.merchant.address.clone();
    let begin = Instant::now();
    let unfinished = [
        "POST /notify HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n<xml>",
        "POST /notify HTTP/1.1\r\nHost: x\r\nContent-Le",
        "PUT /v1/orders/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer the token of kiosk-1\r\nContent-Length: 1000\r\n\r\n{",
    ];
    thread::scope(|scope| {
        let waits: Vec<_> = unfinished
            .iter()
            .map(|request| scope.spawn(|| raw(&address, request.as_bytes())))
            .collect();
        assert_eq!(
            shop.notify(signed(paid(order.as_str(), "T1", "350"))),
            success(),
            "others are served meanwhile"
        );
        assert!(begin.elapsed() < Duration::from_secs(4), "and at once");
        let answers: Vec<String> = waits
            .into_iter()
            .map(|wait| wait.join().expect("ended"))
            .collect();
        assert!(answers[0].starts_with("HTTP/1.1 408"), "{}", answers[0]);
        assert!(answers[2].starts_with("HTTP/1.1 408"), "{}", answers[2]);
    });
    let ended_after = begin.elapsed();
    assert!(
        (Duration::from_secs(4)..Duration::from_secs(12)).contains(&ended_after),
        "{ended_after:?}"
    );
}

#[test]
fn an_answered_payment_outlives_the_servers_death() {
    let mut shop = Shop::open();
    for number in 1..=20_u128 {
        let (_, order) = shop.sale(number);
        assert_eq!(
            shop.notify(signed(paid(order.as_str(), &format!("T{number}"), "350"))),
            success()
        );
        shop.restart_merchant();
        assert_eq!(shop.status(order), "paid");
    }
    assert_eq!(shop.the_books_balance()["waiting"], 20 * 350);
}

#[test]
fn a_database_that_does_not_answer_is_a_fail_in_time_and_a_success_after() {
    let shop = Shop::open();
    let (_, order) = shop.sale(1);
    let message = signed(paid(order.as_str(), "T1", "350"));
    let somebody_else = rusqlite::Connection::open(shop.path("merchant.db")).expect("opened");
    somebody_else
        .execute_batch("BEGIN IMMEDIATE")
        .expect("the database is free");
    let begin = Instant::now();
    assert_eq!(shop.notify(&message), fail());
    assert!(
        begin.elapsed() < Duration::from_secs(4),
        "the platform gives up after five seconds"
    );
    assert_eq!(shop.status(order), "open", "others are still read to");
    somebody_else.execute_batch("ROLLBACK").expect("released");
    assert_eq!(shop.notify(&message), success());
    assert_eq!(shop.the_books_balance()["verified"], 350);
}

#[test]
fn what_was_signed_and_yet_refused_is_kept_whatever_strangers_send() {
    let shop = Shop::open();
    let foreign = shop::signed(shop::paid("no order/number", "7551000001", "350"));
    for _ in 0..3 {
        assert_eq!(shop.notify(&foreign), (200, "fail".to_owned()));
    }
    for junk in 0..600 {
        shop.notify(format!("<xml><junk>{junk}</junk></xml>"));
    }
    let books = rusqlite::Connection::open(shop.path("merchant.db")).expect("opened");
    let kept: Vec<u8> = books
        .query_row("SELECT body FROM refused", [], |row| row.get(0))
        .expect("exactly one");
    assert_eq!(kept, foreign.as_bytes());
    shop.the_books_balance();
}

#[test]
fn a_signed_message_that_is_cut_anew_buys_nothing_and_is_kept() {
    let shop = Shop::open();
    let (_, order) = shop.sale(1);
    // One fen on another number, and a payment of the sale in the text that comes back with it.
    let mut honest = paid("a-number-of-theirs", "T1", "1");
    honest.insert("bank_type".to_owned(), "CFT".to_owned());
    let mut wanted = paid(order.as_str(), "T2", "350");
    wanted.insert("bank_type".to_owned(), "CFT".to_owned());
    let text = |fields: &shop::Fields| selpay_kiosk::selpay::sign::string_to_sign(&fields.into());
    wanted.insert("zz".to_owned(), format!("&{}", text(&honest)));
    let mut within = wanted.clone();
    within.remove("zz");
    honest.insert("attach".to_owned(), format!("x&{}&zz=", text(&within)));
    wanted.insert("attach".to_owned(), "x".to_owned());
    let sent = signed(honest);
    let cut = signed(wanted);
    let sign_of = |message: &str| message.split("<sign>").nth(1).map(str::to_owned);
    assert_eq!(
        sign_of(&sent).expect("signed")[..41],
        sign_of(&cut).expect("signed")[..41],
        "one signature is good for both"
    );
    for message in [&cut, &sent, &cut] {
        assert_eq!(shop.notify(message), fail());
    }
    assert_eq!(shop.status(order), "open");
    assert_eq!(shop.the_books_balance()["verified"], 0);
    let kept = shop.books("quarantine list");
    let kinds: Vec<_> = kept.as_array().expect("a list").iter().collect();
    assert_eq!(kinds.len(), 2, "{kept}");
    assert!(
        kinds
            .iter()
            .all(|kept| kept["kind"] == "signature-ambiguous")
    );
    for line in [
        "selpay_notifications_total{verdict=\"signature-ambiguous\"} 3",
        "selpay_alarm{alarm=\"signature-ambiguous\"} 1",
        "selpay_alarm{alarm=\"notification-refused\"} 0",
    ] {
        shop::eventually(line, || shows(&shop, line));
    }
}

/// Whether `/metrics` has this line.
fn shows(shop: &Shop, line: &str) -> Option<()> {
    let (_, page) = shop.call("GET", "/metrics", &Value::Null);
    let page = page.as_str().expect("text");
    page.lines().any(|found| found == line).then_some(())
}

#[test]
fn another_currency_is_booked_as_what_it_is_and_buys_nothing() {
    dollars_are_paid(&Shop::open());
}

#[test]
#[ignore = "needs PostgreSQL"]
fn another_currency_buys_nothing_on_postgres_as_well() {
    let cluster = Cluster::start(&[]);
    dollars_are_paid(&Shop::open_on(&cluster.url(), ""));
}

fn dollars_are_paid(shop: &Shop) {
    let (sale, order) = shop.sale(1);
    let mut foreign = paid(order.as_str(), "T1", "350");
    foreign.insert("fee_type".to_owned(), "usd".to_owned());
    let message = signed(foreign);
    for _ in 0..2 {
        assert_eq!(shop.notify(&message), success(), "it is told once");
    }
    assert_eq!(shop.status(order), "open");
    assert_eq!(shop.claim(sale, 1).0, 409);
    assert_eq!(shop.the_books_balance()["verified"], 0, "no fen was paid");
    let refunds = shop.books("refunds");
    let (amount, currency) = (&refunds[0]["amount"], &refunds[0]["currency"]);
    assert_eq!((amount, currency), (&json!(350), &json!("USD")));
    assert_eq!(shop.refund_reasons(), ["currency"]);
    let told = shop.command(&["refunds"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("350 USD (smallest units)"), "{told}");

    // The same transaction in yuan is another story; a payment in yuan pays the sale.
    assert_eq!(
        shop.notify(signed(paid(order.as_str(), "T1", "350"))),
        fail()
    );
    let mut yuan = paid(order.as_str(), "T2", "350");
    yuan.insert("fee_type".to_owned(), "cny".to_owned());
    assert_eq!(shop.notify(signed(yuan)), success());
    assert_eq!(shop.status(order), "paid");
    assert_eq!(shop.books("refunds")[0]["currency"], "USD");
    let done = shop.command(&["refunds", "--done", "T1", "--json"]);
    assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), "[]");
    let balance = shop.the_books_balance();
    assert_eq!(
        (&balance["verified"], &balance["refunded"]),
        (&json!(350), &json!(0))
    );
}

#[test]
fn a_lower_case_sign_type_is_taken() {
    let shop = Shop::open();
    let (_, order) = shop.sale(1);
    let mut fields = paid(order.as_str(), "T1", "350");
    fields.insert("sign_type".to_owned(), "md5".to_owned());
    assert_eq!(shop.notify(signed(fields)), success());
    assert_eq!(shop.status(order), "paid");
}

#[test]
fn a_chains_key_is_taken_for_our_own_numbers_alone() {
    let lines = "[[sign-keys]]\nlabel = \"chain\"\nfile = \"sign.key\"\ngroupno = \"77\"\n";
    let shop = Shop::open_with(lines);
    let file = shop.path("merchant.toml");
    let config = std::fs::read_to_string(&file).expect("read");
    let notify = |shop: &Shop, number: u128, mch_id: &str| {
        let (_, order) = shop.sale(number);
        let mut fields = paid(order.as_str(), &format!("T{number}"), "350");
        fields.insert("groupno".to_owned(), "77".to_owned());
        fields.insert("mch_id".to_owned(), mch_id.to_owned());
        shop.notify(signed(fields))
    };
    assert_eq!(notify(&shop, 1, shop::MCH_ID), success());
    assert_eq!(notify(&shop, 2, "7551000002"), fail());

    let mut shop = shop;
    let one = format!("mch-id = \"{}\"\n", shop::MCH_ID);
    let both = format!("mch-id = [\"7551000002\", \"{}\"]\n", shop::MCH_ID);
    std::fs::write(&file, config.replace(&one, &both)).expect("written");
    shop.restart_merchant();
    assert_eq!(notify(&shop, 3, "7551000002"), success());
    assert_eq!(notify(&shop, 4, shop::MCH_ID), success());

    std::fs::write(&file, config.replace(&one, "")).expect("written");
    let refused = shop.command(&["serve"]);
    assert_eq!(refused.status.code(), Some(2));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        told.contains("merchant.toml: mch-id: name our merchant number"),
        "{told}"
    );
}

#[test]
fn junk_neither_pushes_out_what_may_be_a_payment_nor_holds_an_alarm_on() {
    let shop = Shop::open();
    let (_, order) = shop.sale(1);
    let told = paid(order.as_str(), "T1", "350");
    let unknown_key = signed(told).replace("<sign><![CDATA[", "<sign><![CDATA[0");
    for junk in 0..300 {
        shop.notify(format!("<xml><junk>{junk}</junk></xml>"));
    }
    assert!(shows(&shop, "selpay_alarm{alarm=\"notification-refused\"} 0").is_some());
    assert_eq!(shop.notify(&unknown_key), fail());
    for junk in 0..600 {
        shop.notify(format!("<xml><junk>{junk}</junk></xml>"));
    }
    let kept = shop.books("quarantine list");
    let kept = kept.as_array().expect("a list");
    let mut ours = kept.iter().filter(|kept| kept["kind"] == "unverified");
    let ours = ours.next().expect("it is kept");
    assert_eq!(ours["orderNo"], order.as_str());
    assert_eq!(ours["mchId"], shop::MCH_ID);
    let line = "selpay_alarm{alarm=\"notification-refused\"} 1";
    shop::eventually(line, || shows(&shop, line));
}

#[test]
fn a_notification_to_a_wrong_address_is_counted() {
    let shop = Shop::open();
    let (_, order) = shop.sale(1);
    let message = signed(paid(order.as_str(), "T1", "350"));
    for (path, status) in [("/notify/", 404), ("/pay/notify", 404), ("/", 405)] {
        let (answered, _) = post(&shop.merchant.url(path), message.as_bytes());
        assert_eq!(answered, status, "{path}");
    }
    assert_eq!(shop.call("GET", "/no-such-page", &Value::Null).0, 404);
    let line = "selpay_misdirected_posts_total 3";
    shop::eventually(line, || shows(&shop, line));
    assert_eq!(shop.status(order), "open");
}

#[test]
fn keys_are_changed_without_a_restart() {
    use selpay_kiosk::files;
    use selpay_kiosk::selpay::sign::{self, SignKey};
    let shop = Shop::open();
    let signed_with = |key: &str, transaction: &str| {
        let mut fields = paid("nobody-knows-it", transaction, "1");
        let signature = sign::signature(&(&fields).into(), &SignKey::new(key).expect("a key"));
        fields.insert("sign".to_owned(), signature);
        shop::unsigned(&fields)
    };
    let is_booked = |transaction: &str| {
        let refunds = shop.books("refunds");
        let mut refunds = refunds.as_array().expect("a list").iter();
        refunds.any(|refund| refund["transactionId"] == transaction)
    };
    shop.notify(signed_with("the-next-key", "T0"));
    assert!(!is_booked("T0"), "nobody knows that key");

    files::write_secret(&shop.path("next.key"), "the-next-key").expect("written");
    let file = shop.path("merchant.toml");
    let config = std::fs::read_to_string(&file).expect("read");
    let both = config.replace("[\"sign.key\"]", "[\"sign.key\", \"next.key\"]");
    std::fs::write(&file, &both).expect("written");
    shop.merchant.signal("HUP");
    shop::eventually("the new key counts", || {
        shop.notify(signed_with("the-next-key", "T1"));
        is_booked("T1").then_some(())
    });
    shop.notify(signed(paid("nobody-knows-it", "T2", "1")));
    assert!(is_booked("T2"), "the old one still does");

    // A file that makes no sense changes nothing.
    std::fs::write(&file, "listen = 1").expect("written");
    shop.merchant.signal("HUP");
    std::fs::write(&file, both.replace("\"sign.key\", ", "")).expect("written");
    shop.merchant.signal("HUP");
    let mut tries = 0;
    shop::eventually("the old one counts no more", || {
        tries += 1;
        let name = format!("old-{tries}");
        shop.notify(signed(paid("nobody-knows-it", &name, "1")));
        (!is_booked(&name)).then_some(())
    });
    shop.notify(signed_with("the-next-key", "T3"));
    assert!(is_booked("T3"));
}
