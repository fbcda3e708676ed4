//! Alarms reach whoever is at `alarm-url`, once.

#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use crate::support::shop::{PATIENCE, Shop, paid, signed};
use serde_json::{Value, json};

/// Takes messages; each is told.
fn receiver() -> (String, mpsc::Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!(
        "http://{}/alarms?token=secret",
        listener.local_addr().expect("an address")
    );
    let (told, messages) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.expect("a connection"));
            let mut length = 0;
            let mut line = String::new();
            while stream.read_line(&mut line).expect("a head") > 2 {
                let value = line.to_lowercase();
                if let Some(value) = value.strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
                line.clear();
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).expect("a body");
            let answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
            stream.get_mut().write_all(answer).expect("answered");
            // The test may have ended.
            let _ = told.send(serde_json::from_slice(&body).expect("JSON"));
        }
    });
    (url, messages)
}

#[test]
fn money_that_must_go_back_is_told_once_by_one_of_the_servers() {
    let (url, messages) = receiver();
    let mut shop = Shop::open();
    shop.notify(signed(paid("nobody-knows-it", "T1", "350")));
    let file = shop.path("merchant.toml");
    let config = fs::read_to_string(&file).expect("read");
    fs::write(file, format!("alarm-url = \"{url}\"\n{config}")).expect("written");
    // A server looks as soon as it starts.
    shop.restart_merchant();
    let told = |alarm: &str| loop {
        let message = messages.recv_timeout(PATIENCE).expect("a message");
        if message["alarm"] == alarm {
            return message;
        }
    };
    told("notification-refused");
    let message = told("refund-due");
    assert_eq!(message["state"], "firing");
    assert_eq!(message["text"], "payments that must go back: 1");
    assert_eq!(message["subjects"], json!(["T1"]));
    let case = json!({
        "transactionId": "T1", "orderNo": "nobody-knows-it", "sale": null, "kiosk": null,
        "amount": 350, "reason": "unknown-order",
    });
    assert_eq!(message["cases"], json!([case]));
}

#[test]
#[ignore = "needs libfaketime, and minutes"]
fn a_clock_that_jumps_a_month_and_back_silences_no_alarm() {
    const TWO_LOOKS: Duration = Duration::from_secs(75);
    let (url, messages) = receiver();
    let mut shop = Shop::open();
    let file = shop.path("merchant.toml");
    let config = fs::read_to_string(&file).expect("read");
    fs::write(&file, format!("alarm-url = \"{url}\"\n{config}")).expect("written");
    let clock = shop.path("clock");
    let set_clock = |text: &str| fs::write(&clock, text).expect("written");
    set_clock("+0d");
    let is_up = shop.restart_merchant_under(&[
        "env".to_owned(),
        // Debian's package faketime.
        "LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1".to_owned(),
        format!("FAKETIME_TIMESTAMP_FILE={}", clock.display()),
        "FAKETIME_NO_CACHE=1".to_owned(),
        // Nobody sets the monotonic clock of a real machine.
        "DONT_FAKE_MONOTONIC=1".to_owned(),
    ]);
    assert!(is_up, "libfaketime is installed");
    for (day, transaction) in [
        ("+0d", "T1"),
        ("+30d", "T2"),
        ("+0d", "T3"),
        ("-30d", "T4"),
        ("+0d", "T5"),
    ] {
        set_clock(day);
        let (status, answer) = shop.notify(signed(paid("nobody-knows-it", transaction, "350")));
        assert_eq!(
            (status, answer.as_str()),
            (200, "fail"),
            "its number is unknown"
        );
        loop {
            let message = messages
                .recv_timeout(TWO_LOOKS)
                .unwrap_or_else(|_| panic!("{transaction} at {day} is told"));
            let cases = message["cases"].as_array().expect("a list");
            if message["alarm"] == "refund-due" {
                let told: Vec<_> = cases.iter().map(|case| &case["transactionId"]).collect();
                assert_eq!(told, [transaction], "each once");
                break;
            }
        }
    }
}
