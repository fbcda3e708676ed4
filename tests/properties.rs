//! What must hold for any bytes at all (`support/properties.rs`), tried with some thousands at each run.
//! `cargo fuzz run notification` tries more (docs/testing.md, Fuzzing).

#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]

use crate::support::properties;
use proptest::collection::vec;
use proptest::prelude::*;

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
