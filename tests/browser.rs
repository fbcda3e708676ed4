//! The pages as people use them, in headless Chromium: the desk, the phone, the console.
//!
//! Screenshots are left in the target directory's `tmp/screenshots`, to be looked at.

#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]

use std::ops::Deref;
use std::process::Command;

use crate::support::browser::{Browser, ENTER, decode_base64, start, told, until};
use crate::support::shop::{self, Ended, PASSWORD, Shop, paid, signed};
use serde_json::json;

/// Chromium, the demo, and the three pages.
struct Desk {
    browser: Browser,
    kiosk: String,
    console: String,
    password: String,
    _demo: Ended,
}

impl Desk {
    fn open() -> Desk {
        let (demo, mut lines) = start(
            Command::new(env!("CARGO_BIN_EXE_demo"))
                .arg("--listen")
                .arg("127.0.0.1"),
        );
        let kiosk = told(&mut lines, "kiosk    ");
        told(&mut lines, "phone    ");
        let console = told(&mut lines, "console  ");
        let (console, password) = console.split_once("  (password ").expect("the password");
        let browser = Browser::open();
        browser.goto(&kiosk);
        Desk {
            browser,
            kiosk,
            console: console.to_owned(),
            password: password.trim_end_matches(')').to_owned(),
            _demo: demo,
        }
    }

    fn press(&self, caps: &str) {
        for cap in caps.chars() {
            self.click(&format!("[data-key='{cap}']"));
        }
    }

    fn screen(&self, name: &str) {
        self.wait_for(&format!("canvas[data-screen='{name}']"));
    }

    /// What a phone reads from the panel on the page, once there is a code that is not `before`.
    fn code(&self, before: &str) -> String {
        let mut code = None;
        until(|| {
            code = self.code_now().filter(|code| code != before);
            code.is_some()
        });
        code.expect("just read")
    }

    fn code_now(&self) -> Option<String> {
        let script = "return document.getElementById('panel').toDataURL().split(',')[1]";
        let picture = self.execute(script);
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), decode_base64(picture.as_str().expect("text")))
            .expect("written");
        shop::read_code(file.path())
    }

    /// How many pixels of the sign's colour are on the panel.
    fn amber_pixels(&self) -> u64 {
        let script = "const c = document.getElementById('panel');
            const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
            let n = 0;
            for (let i = 0; i < d.length; i += 4) if (d[i] > 250 && d[i+1] > 190 && d[i+1] < 210 && d[i+2] < 100) n++;
            return n";
        self.execute(script).as_u64().expect("a number")
    }
}

impl Deref for Desk {
    type Target = Browser;

    fn deref(&self) -> &Browser {
        &self.browser
    }
}

#[test]
#[ignore = "needs Chromium"]
fn a_sale_on_the_desk_with_the_phone_beside_it() {
    let desk = Desk::open();
    desk.screen("amount");
    desk.screenshot("desk-1-amount");
    desk.press("3.50");
    desk.screenshot("desk-2-typed");
    desk.press("#");
    desk.screen("pay");
    let address = desk.code("");
    desk.screenshot("desk-3-pay");

    let kiosk = desk.follow("#phone");
    desk.wait_for("#pay");
    assert_eq!(desk.url(), address, "one click is what a scan is");
    assert!(desk.text("#amount").contains("3.50"));
    desk.screenshot("phone-1-ready");
    desk.click("#pay");
    desk.wait_for("#done");
    desk.screenshot("phone-2-done");
    desk.back_to(&kiosk);

    desk.screen("paid");
    desk.screenshot("desk-4-paid");
    desk.screen("thank-you");
    desk.screenshot("desk-5-thank-you");
    assert_eq!(desk.text("#pulses"), "1");

    desk.goto(&desk.console);
    desk.types("#password", &desk.password);
    desk.click("form button");
    desk.wait_for("#lines .status.dispensed");
    assert!(desk.text("#takings").contains("¥3.50"));
    assert!(desk.text("#balance").contains("账目平衡"));
    desk.screenshot("desk-9-console");
}

#[test]
#[ignore = "needs Chromium"]
fn a_new_code_a_cancel_and_wrong_keys() {
    let desk = Desk::open();
    desk.screen("amount");
    assert_eq!(desk.amber_pixels(), 0);
    desk.press("1.234");
    until(|| desk.amber_pixels() > 500);
    desk.screenshot("desk-6-refused");
    desk.press("C#");
    until(|| desk.amber_pixels() > 500);
    desk.screen("amount");

    // The keyboard works like the pad.
    desk.types("body", &format!("0.01{ENTER}"));
    desk.screen("pay");
    let first = desk.code("");
    desk.types("body", "r");
    desk.code(&first);
    desk.press("C");
    desk.screen("not-paid");
    desk.screenshot("desk-7-cancelled");
    desk.press("L");
    desk.press("2");
    desk.screen("amount");
    desk.screenshot("desk-8-english");
    assert_eq!(desk.text("#pulses"), "0");

    desk.resize(390, 844);
    desk.goto(&desk.kiosk);
    desk.screen("amount");
    desk.screenshot("desk-10-phone-sized");
}

/// A merchant's day: sales of every fate, a refund, a review, somebody who plays with notifications, a bill.
fn busy_shop() -> Shop {
    let shop = Shop::open();
    for random in 1..=12 {
        let (sale, order) = shop.sale(random);
        if random % 4 == 0 {
            shop.call("POST", &format!("/v1/sales/{sale}/close"), &json!({}));
            continue;
        }
        let mut fields = paid(order.as_str(), &format!("T{random}"), "350");
        fields.insert(
            "attach".to_owned(),
            "<script>document.title = 'pwned'</script>".to_owned(),
        );
        shop.notify(signed(fields));
        let (_, granted) = shop.claim(sale, random);
        let outcome = match random {
            5 => "unknown",
            6 => "not-dispensed",
            _ => "dispensed",
        };
        let report = json!({ "claim": granted["claim"], "outcome": outcome });
        shop.call("POST", &format!("/v1/sales/{sale}/outcome"), &report);
    }
    shop.sale(13);
    shop.notify(signed(paid("nobody-knows-it", "T99", "350")));
    shop.notify("<xml><a>forged</a></xml>");
    shop.call(
        "POST",
        "/v1/heartbeat",
        &json!({ "state": "out-of-service", "fault": "dispenser" }),
    );
    let other = |path: &str, body| shop.call_as(shop::OTHER_TOKEN, "POST", path, &body);
    other("/v1/heartbeat", json!({ "state": "ready" }));
    let bill = include_str!("../docs/reconcile/bill.csv");
    std::fs::write(shop.path("bill.csv"), bill).expect("written");
    let bill = shop.path("bill.csv").display().to_string();
    let map = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reconcile/map.toml");
    shop.command(&["reconcile", "--bill", &bill, "--map", map]);
    shop
}

#[test]
#[ignore = "needs Chromium"]
fn a_merchant_looks_after_the_day_in_the_console() {
    let shop = busy_shop();
    let (browser, url) = (Browser::open(), shop.merchant.url(""));
    browser.goto(&url);
    for _ in 0..6 {
        browser.types("#password", "wrong");
        browser.click_away("form button");
        browser.wait_for(".complaint:not(:empty)");
    }
    browser.screenshot("console-1-wrong");
    browser.types("#password", PASSWORD);
    browser.click("form button");
    browser.wait_for("#lines");
    assert!(browser.text("#takings").contains("¥24.50"));
    browser.screenshot("console-2-today");

    // It renews itself, and lets whoever types.
    browser.types("#search", "T9");
    let (_, order) = shop.sale(14);
    until(|| browser.text("#lines").contains(order.as_str()));
    let typed = "return document.getElementById('search').value";
    let typed = browser.execute(typed);
    assert_eq!(typed, "T9");

    // A customer names the last four: the whole story, in which a stranger's words are words.
    let told = selpay_kiosk::ids::OrderNo::from_random(1_000_006);
    let last_four = format!("{}{}", told.last_four(), ENTER);
    browser.goto(&format!("{url}/sales"));
    browser.types("#search", &last_four);
    browser.wait_for(".story");
    assert!(browser.text(".story").contains("付款应退回（未出货）"));
    browser.click("summary");
    assert!(
        browser
            .text("details")
            .contains("<script>document.title = 'pwned'</script>")
    );
    assert_eq!(browser.title(), "售货管理");
    browser.screenshot("console-3-a-sale");

    // A refund was made at the platform, and is noted.
    browser.goto(&format!("{url}/refunds?reason=not-dispensed"));
    browser.click("a[href='/payments/T6']");
    browser.types("#note", "收据 7");
    browser.screenshot("console-4-refund");
    browser.click("button[value='money-sent']");
    browser.wait_for("#refunds");
    assert!(!browser.text("#refunds").contains("T6"));
    assert_eq!(shop.the_books_balance()["refunded"], 350);

    // Somebody has looked whether the goods came out.
    browser.goto(&format!("{url}/reviews"));
    browser.screenshot("console-5-reviews");
    browser.click("a[href='/payments/T5']");
    browser.click("button[value='came-out']");
    browser.wait_for(".nothing");
    assert_eq!(shop.the_books_balance()["review"], 0);

    for (list, sees) in [
        ("kiosks", "停机：出货装置未就绪"),
        ("problems", "签名不符"),
        ("bills", "笔已记为待退款"),
        ("sales", "已取消"),
    ] {
        browser.goto(&format!("{url}/{list}"));
        let shown = || browser.text("main").contains(sees);
        until(|| {
            let is_there = shown();
            if !is_there {
                browser.refresh();
            }
            is_there
        });
        browser.screenshot(&format!("console-6-{list}"));
    }
    let csv = "return fetch(document.querySelector('a.file').href).then((answer) => answer.text())";
    let csv = browser.execute(csv);
    let csv = csv.as_str().expect("text");
    assert!(
        csv.starts_with("began,sale,order") && csv.lines().count() == 15,
        "{csv}"
    );

    // On a phone nothing is cut off: lists move by themselves.
    browser.resize(390, 844);
    for place in ["", "sales", "kiosks", "problems", "payments/T99", "bills"] {
        browser.goto(&format!("{url}/{place}"));
        let wider =
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        let wider = browser.execute(wider);
        assert_eq!(wider, 0, "{place}");
        let name = place.split('/').next().unwrap_or_default();
        browser.screenshot(&format!("console-7-phone-{name}"));
    }
    browser.goto(&url);
    browser.click("header a");
    until(|| browser.text("h1") == "Today");
    browser.screenshot("console-8-english");
    browser.click("header button");
    browser.wait_for("input#password");
}
