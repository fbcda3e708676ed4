//! What must hold for any bytes at all (`support/properties.rs`), tried with some thousands at each run.
//! `cargo fuzz run notification` tries more (docs/testing.md, Fuzzing).

#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]

use std::thread;

use crate::support::properties;
use crate::support::properties::readings::{Message, Verifier, contradiction, hostile, message};
use crate::vectors;
use proptest::collection::vec;
use proptest::prelude::*;
use selpay_kiosk::selpay::sign::SignKey;

/// Texts that are almost what is expected.
fn almost(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => proptest::sample::select(pieces).prop_map(str::to_owned),
        1 => "\\PC{0,6}",
        1 => any::<char>().prop_map(String::from),
    ];
    vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

const XML: &[&str] = &[
    "<xml>",
    "</xml>",
    "<a>",
    "</a>",
    "<b>",
    "</b>",
    "<![CDATA[",
    "]]>",
    "&amp;",
    "&#65;",
    "&#x41;",
    "&x;",
    "<!--",
    "-->",
    "<?xml version=\"1.0\"?>",
    "<!DOCTYPE x>",
    " ",
    "\n",
    "\r\n",
    "1",
    "<a/>",
    "sign",
    "=",
    "&",
    "<",
    ">",
];
const URL: &[&str] = &[
    "https://",
    "http://",
    "up.selpay.cn",
    "@",
    ":",
    "443",
    "/",
    "#",
    "?",
    "&",
    "appKey=",
    "no=",
    "asdfsdfsdfsdfds",
    "5f53481517b449b0a8c8dbe808d8bf5c",
    "evil.example",
    "\\",
    "%2f",
    "..",
    "/pages/rt/index",
    "[::1]",
    "127.0.0.1",
];
const JSON: &[&str] = &[
    "{",
    "}",
    "\"code\"",
    ":",
    "200",
    ",",
    "\"data\"",
    "\"scanUrl\"",
    "\"order\"",
    "\"appKey\"",
    "\"orderNo\"",
    "\"total\"",
    "1",
    "null",
    "\"https://up.selpay.cn/?appKey=5f53481517b449b0a8c8dbe808d8bf5c&no=asdfsdfsdfsdfds\"",
    "500",
    "[",
    "]",
    "\"5f53481517b449b0a8c8dbe808d8bf5c\"",
    "\"asdfsdfsdfsdfds\"",
    "\"msg\"",
];
const TOML: &[&str] = &[
    "[panel]\n",
    "[keypad]\n",
    "[dispenser]\n",
    "[kiosks]\n",
    "kind = \"mipi\"\n",
    "kind = \"matrix\"\n",
    "kind = \"pulse\"\n",
    "kind = \"stdin\"\n",
    "model = \"st7789\"\n",
    "size = [240, 320]\n",
    "size = [0, 0]\n",
    "dc = 25\n",
    "reset = 27\n",
    "rows = [5, 6, 13, 19]\n",
    "columns = [16, 20, 21]\n",
    "keys = [\"123\"]\n",
    "pin = 17\n",
    "ms = 500\n",
    "rotate = 90\n",
    "spi = \"/dev/spidev0.0\"\n",
    "spi-hz = 99999999999\n",
    "board = \"bench.toml\"\n",
    "kiosk = \"kiosk-1\"\n",
    "listen = \"127.0.0.1:0\"\n",
    "database = \"sqlite:x\"\n",
    "sign-key-files = []\n",
    "pay-seconds = 120\n",
    "=",
    "\"",
    "\n",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_xml(body in almost(XML)) {
        properties::xml(body.as_bytes());
        properties::notification(body.as_bytes());
    }

    #[test]
    fn any_bytes(body in vec(any::<u8>(), 0..200)) {
        properties::xml(&body);
        properties::notification(&body);
        properties::add_order(&body);
        properties::journal(&body);
    }

    #[test]
    fn a_changed_signed_body(change in vec(any::<u8>(), 3..12)) {
        properties::mutated(&change);
    }

    #[test]
    fn any_fields(text in "([a-z_]{1,6}=\\PC{0,8}\n){0,6}") {
        properties::sign(&text);
    }

    #[test]
    fn any_way_to_cut_a_signed_text(bytes in vec(any::<u8>(), 0..80)) {
        properties::recut(&bytes);
    }

    #[test]
    fn any_answer_to_an_order(body in almost(JSON)) {
        properties::add_order(body.as_bytes());
    }

    #[test]
    fn any_address_to_pay_at(url in almost(URL)) {
        properties::scan_url(&url);
    }

    #[test]
    fn any_configuration(text in almost(TOML)) {
        properties::configurations(&text);
    }

    #[test]
    fn a_damaged_journal(damage in vec(any::<u8>(), 3..80)) {
        properties::damaged_journal(&damage);
    }
}

#[test]
fn every_single_byte_of_a_signed_body_counts() {
    for at in 0..u16::MAX {
        let [high, low] = at.to_be_bytes();
        properties::mutated(&[high, low, 1]);
        properties::mutated(&[high, low, 1, b'1']);
        properties::mutated(&[high, low, 0, b'0']);
        if usize::from(at) > 1200 {
            break;
        }
    }
}

/// The bytes of the message with this number.
fn bytes(number: u64) -> Vec<u8> {
    // SplitMix64: the same message in each run.
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let words = std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)).to_le_bytes()
    });
    words.take(10).flatten().collect()
}

/// Cuts the published samples and so many texts anew, each as it is and with the attack written into it.
fn no_text_has_two_readings(texts: u64) {
    let look = |name: &str, message: Message, key: &SignKey| {
        for message in [hostile(&message), message] {
            let found = contradiction(&message, key, Verifier::Whole);
            assert_eq!(found, None, "{name}: {message:?}");
        }
    };
    for (name, message, key) in vectors::published() {
        look(&name, message, &key);
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for first in 0..cores as u64 {
            scope.spawn(move || {
                let key = SignKey::new("9d101c97133837e13dde2d32a5054abb").expect("a key");
                for number in (first..texts).step_by(cores) {
                    look(&number.to_string(), message(&bytes(number)), &key);
                }
            });
        }
    });
}

#[test]
fn no_signed_text_can_be_cut_into_another_message() {
    no_text_has_two_readings(3000);
}

#[test]
#[ignore = "needs minutes"]
fn none_of_a_hundred_thousand_signed_texts_can_be_cut_into_another_message() {
    no_text_has_two_readings(100_000);
}

#[test]
fn the_signature_alone_lets_a_payment_of_one_fen_be_cut_into_another() {
    for (name, fields, key) in vectors::published() {
        let is_notification = fields.contains_key("pay_result");
        let found = contradiction(&hostile(&fields), &key, Verifier::SignatureAlone);
        assert_eq!(found.is_some(), is_notification, "{name}");
        if let Some((sent, cut)) = found {
            assert_eq!(sent["total_fee"], fields["total_fee"]);
            assert_eq!(cut["total_fee"], "99900", "{name}");
        }
    }
}

#[test]
fn the_search_finds_the_fault_that_each_half_of_the_rule_is_for() {
    let key = SignKey::new("k").expect("a key");
    for verifier in [Verifier::SignatureAlone, Verifier::DocumentedNamesAlone] {
        let is_found =
            |number: &u64| contradiction(&message(&bytes(*number)), &key, verifier).is_some();
        let found = (0..2000).filter(is_found).count();
        assert!(found >= 10, "{verifier:?}: {found} of 2000");
    }
}
