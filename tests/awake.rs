//! One thread that never goes deaf: keys are heard and shown while a call waits, whatever the network does.
//!
//! Nothing is timed in here: what must come first, comes first in the kiosk's log. Times are measured by the benches.

#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]

use std::fs;

use crate::support::network::{Network, Weather};
use crate::support::shop::{Kiosk, Program, Shop, order_in, sim};
use serde_json::json;

/// A shop, its platform and its kiosk, with a network before each server.
struct Street {
    shop: Shop,
    platform: Program,
    to_merchant: Network,
    to_platform: Network,
    kiosk: Kiosk,
}

fn street() -> Street {
    let shop = Shop::open();
    let platform = shop.platform(&[]);
    let to_merchant = Network::before(&shop.merchant.address);
    let to_platform = Network::before(&platform.address);
    let kiosk = shop.kiosk_between(&to_platform.url("/prod-api"), &to_merchant.url(""), "");
    Street {
        shop,
        platform,
        to_merchant,
        to_platform,
        kiosk,
    }
}

impl Street {
    /// Both calls of a new order fail in this weather.
    fn turns(&self, weather: Weather) {
        self.to_merchant.turns(weather);
        self.to_platform.turns(weather);
    }
}

/// What the log tells after this.
fn after<'a>(log: &'a str, text: &str) -> &'a str {
    let place = log.find(text);
    &log[place.unwrap_or_else(|| panic!("{text} is not in the log:\n{log}"))..]
}

#[test]
fn whoever_cancels_a_call_that_hangs_types_the_next_amount_at_once() {
    for weather in [Weather::Silence, Weather::Drip] {
        for (call, reply) in [("Register {", "Registered {"), ("AddOrder {", "Added {")] {
            let mut street = street();
            street.kiosk.types("1");
            match call {
                "Register {" => street.to_merchant.turns(weather),
                _ => street.to_platform.turns(weather),
            }
            street.kiosk.types("#");
            street.kiosk.logs(call);
            street.kiosk.types("C7");
            street.kiosk.logs(reply);
            let log = street.kiosk.log();
            let meanwhile = after(&log, call).split(reply).next().unwrap_or_default();
            let (_, cancelled) = meanwhile.split_once("key C").expect("heard meanwhile");
            let (left, typed) = cancelled.split_once("key 7").expect("and the next");
            let shows = "screen amount";
            assert!(left.contains(shows) && typed.contains(shows), "{meanwhile}");
            assert!(after(&log, reply).contains("Err(NoAnswer)"));
        }
    }
}

#[test]
fn a_key_gives_a_long_poll_up_and_the_sale_is_closed() {
    let mut street = street();
    street.kiosk.types("3.50#");
    let order = order_in(&street.kiosk.code(None));
    street.kiosk.logs("Poll {");
    street.kiosk.types("C");
    street.kiosk.logs("screen not-paid");
    let log = street.kiosk.log();
    let since = after(&log, "key C");
    assert!(
        since.find("screen one-moment") < since.find("Polled {"),
        "{since}"
    );
    assert_eq!(
        street.shop.status(order.parse().expect("a number")),
        "closed"
    );
}

#[test]
fn a_payment_is_heard_of_through_the_long_poll() {
    let mut street = street();
    street.kiosk.types("3.50#");
    let order = order_in(&street.kiosk.code(None));
    street.kiosk.logs("Poll {");
    sim(&street.platform, "/sim/pay", &json!({ "orderNo": order }));
    street.kiosk.logs("screen thank-you");
    let log = street.kiosk.log();
    let polls = after(&log, "screen pay").matches("Poll {").count();
    assert_eq!(polls, 1, "one question was enough:\n{log}");
}

#[test]
fn a_connection_that_breaks_is_made_again_and_the_payment_is_heard_of() {
    let mut street = street();
    street.kiosk.types("3.50#");
    let order = order_in(&street.kiosk.code(None));
    street.turns(Weather::Reset);
    sim(&street.platform, "/sim/pay", &json!({ "orderNo": order }));
    street.kiosk.logs("no answer");
    street.turns(Weather::Fair);
    street.kiosk.logs("screen thank-you");
    assert_eq!(street.kiosk.pulses().len(), 1);
}

#[test]
fn the_whole_kiosk_is_one_thread() {
    let mut street = street();
    street.kiosk.types("3.50#");
    street.kiosk.code(None);
    street.kiosk.logs("Poll {");
    let status = format!("/proc/{}/status", street.kiosk.child.id());
    let status = fs::read_to_string(status).expect("it runs");
    assert!(status.contains("\nThreads:\t1\n"), "{status}");
}
