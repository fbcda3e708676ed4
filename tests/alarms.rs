//! Alarms reach whoever is at `alarm-url`, once.

#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;

use crate::support::shop::{PATIENCE, Shop, paid, signed};
use serde_json::Value;

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
    let message = told("refund-due");
    assert_eq!(message["state"], "firing");
    assert_eq!(message["text"], "payments that must go back: 1");
    told("notification-refused");
}
