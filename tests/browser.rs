//! The pages as people use them, in headless Chromium: the desk, the phone, the console.
//!
//! Screenshots are left in the target directory's `tmp/screenshots`, to be looked at.

#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]

use std::ops::Deref;
use std::process::Command;
use std::time::Duration;

use crate::support::browser::{Browser, start, told};
use crate::support::shop::{self, Ended, PASSWORD, Shop, paid, signed};
use fantoccini::Locator;
use fantoccini::key::Key;
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
    async fn open() -> Desk {
        let (demo, mut lines) = start(
            Command::new(env!("CARGO_BIN_EXE_demo"))
                .arg("--listen")
                .arg("127.0.0.1"),
        );
        let kiosk = told(&mut lines, "kiosk    ");
        told(&mut lines, "phone    ");
        let console = told(&mut lines, "console  ");
        let (console, password) = console.split_once("  (password ").expect("the password");
        let browser = Browser::open().await;
        browser.goto(&kiosk).await;
        Desk {
            browser,
            kiosk,
            console: console.to_owned(),
            password: password.trim_end_matches(')').to_owned(),
            _demo: demo,
        }
    }

    async fn press(&self, caps: &str) {
        for cap in caps.chars() {
            let key = self
                .client
                .find(Locator::Css(&format!("[data-key='{cap}']")))
                .await
                .expect("the key");
            key.click().await.expect("pressed");
        }
    }

    async fn screen(&self, name: &str) {
        self.wait_for(&format!("canvas[data-screen='{name}']"))
            .await;
    }

    /// What a phone reads from the panel on the page, once there is a code that is not `before`.
    async fn code(&self, before: &str) -> String {
        let mut code = None;
        until(async || {
            code = self.code_now().await.filter(|code| code != before);
            code.is_some()
        })
        .await;
        code.expect("just read")
    }

    async fn code_now(&self) -> Option<String> {
        let script = "return document.getElementById('panel').toDataURL().split(',')[1]";
        let picture = self
            .client
            .execute(script, vec![])
            .await
            .expect("the picture");
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), decode_base64(picture.as_str().expect("text")))
            .expect("written");
        shop::read_code(file.path())
    }

    /// How many pixels of the sign's colour are on the panel.
    async fn amber_pixels(&self) -> u64 {
        let script = "const c = document.getElementById('panel');
            const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
            let n = 0;
            for (let i = 0; i < d.length; i += 4) if (d[i] > 250 && d[i+1] > 190 && d[i+1] < 210 && d[i+2] < 100) n++;
            return n";
        self.client
            .execute(script, vec![])
            .await
            .expect("counted")
            .as_u64()
            .expect("a number")
    }

    /// Clicks a link that opens a window of its own, and goes there.
    async fn follow(&self, css: &str) -> fantoccini::wd::WindowHandle {
        let here = self.client.window().await.expect("a window");
        self.client
            .find(Locator::Css(css))
            .await
            .expect("the link")
            .click()
            .await
            .expect("clicked");
        let all = self.client.windows().await.expect("windows");
        let new = all
            .into_iter()
            .find(|window| *window != here)
            .expect("another window");
        self.client.switch_to_window(new).await.expect("there");
        here
    }

    async fn back_to(&self, window: fantoccini::wd::WindowHandle) {
        self.client.close_window().await.expect("closed");
        self.client.switch_to_window(window).await.expect("back");
    }

    async fn close(self) {
        self.browser.client.close().await.expect("closed");
    }
}

impl Deref for Desk {
    type Target = Browser;

    fn deref(&self) -> &Browser {
        &self.browser
    }
}

/// The browser hands pictures over as base64.
fn decode_base64(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text.bytes().filter(|c| *c != b'=').map(value).collect();
    let mut bytes = Vec::new();
    for group in digits.chunks(4) {
        let bits = group
            .iter()
            .fold(0_u32, |bits, digit| bits << 6 | u32::from(*digit))
            << (6 * (4 - group.len()));
        bytes.extend(&bits.to_be_bytes()[1..group.len()]);
    }
    bytes
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn a_sale_on_the_desk_with_the_phone_beside_it() {
    let desk = Desk::open().await;
    desk.screen("amount").await;
    desk.screenshot("desk-1-amount").await;
    desk.press("3.50").await;
    desk.screenshot("desk-2-typed").await;
    desk.press("#").await;
    desk.screen("pay").await;
    let address = desk.code("").await;
    desk.screenshot("desk-3-pay").await;

    let kiosk = desk.follow("#phone").await;
    desk.wait_for("#pay").await;
    assert_eq!(
        desk.client
            .current_url()
            .await
            .expect("an address")
            .as_str(),
        address,
        "one click is what a scan is"
    );
    assert!(desk.text("#amount").await.contains("3.50"));
    desk.screenshot("phone-1-ready").await;
    desk.client
        .find(Locator::Css("#pay"))
        .await
        .expect("the button")
        .click()
        .await
        .expect("paid");
    desk.client
        .wait()
        .for_element(Locator::Css("#done"))
        .await
        .expect("done");
    desk.screenshot("phone-2-done").await;
    desk.back_to(kiosk).await;

    desk.screen("paid").await;
    desk.screenshot("desk-4-paid").await;
    desk.screen("thank-you").await;
    desk.screenshot("desk-5-thank-you").await;
    assert_eq!(desk.text("#pulses").await, "1");

    desk.goto(&desk.console).await;
    desk.types("#password", &desk.password).await;
    desk.click("form button").await;
    desk.wait_for("#lines .status.dispensed").await;
    assert!(desk.text("#takings").await.contains("¥3.50"));
    assert!(desk.text("#balance").await.contains("账目平衡"));
    desk.screenshot("desk-9-console").await;
    desk.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn a_new_code_a_cancel_and_wrong_keys() {
    let desk = Desk::open().await;
    desk.screen("amount").await;
    assert_eq!(desk.amber_pixels().await, 0);
    desk.press("1.234").await;
    until(async || desk.amber_pixels().await > 500).await;
    desk.screenshot("desk-6-refused").await;
    desk.press("C#").await;
    until(async || desk.amber_pixels().await > 500).await;
    desk.screen("amount").await;

    // The keyboard works like the pad.
    let page = desk
        .client
        .find(Locator::Css("body"))
        .await
        .expect("the page");
    page.send_keys("0.01").await.expect("typed");
    page.send_keys(&Key::Enter.to_string())
        .await
        .expect("typed");
    desk.screen("pay").await;
    let first = desk.code("").await;
    page.send_keys("r").await.expect("typed");
    desk.code(&first).await;
    desk.press("C").await;
    desk.screen("not-paid").await;
    desk.screenshot("desk-7-cancelled").await;
    desk.press("L").await;
    desk.press("2").await;
    desk.screen("amount").await;
    desk.screenshot("desk-8-english").await;
    assert_eq!(desk.text("#pulses").await, "0");

    desk.client
        .set_window_size(390, 844)
        .await
        .expect("as small as a phone");
    desk.client.goto(&desk.kiosk).await.expect("the desk");
    desk.screen("amount").await;
    desk.screenshot("desk-10-phone-sized").await;
    desk.close().await;
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

#[tokio::test]
#[ignore = "needs Chromium"]
async fn a_merchant_looks_after_the_day_in_the_console() {
    let shop = busy_shop();
    let (browser, url) = (Browser::open().await, shop.merchant.url(""));
    browser.goto(&url).await;
    for _ in 0..6 {
        browser.types("#password", "wrong").await;
        browser.click_away("form button").await;
        browser.wait_for(".complaint:not(:empty)").await;
    }
    browser.screenshot("console-1-wrong").await;
    browser.types("#password", PASSWORD).await;
    browser.click("form button").await;
    browser.wait_for("#lines").await;
    assert!(browser.text("#takings").await.contains("¥24.50"));
    browser.screenshot("console-2-today").await;

    // It renews itself, and lets whoever types.
    browser.types("#search", "T9").await;
    let (_, order) = shop.sale(14);
    until(async || browser.text("#lines").await.contains(order.as_str())).await;
    let typed = "return document.getElementById('search').value";
    let typed = browser.client.execute(typed, vec![]).await.expect("asked");
    assert_eq!(typed, "T9");

    // A customer names the last four: the whole story, in which a stranger's words are words.
    let told = selpay_kiosk::ids::OrderNo::from_random(1_000_006);
    let last_four = format!("{}{}", told.last_four(), char::from(Key::Enter));
    browser.goto(&format!("{url}/sales")).await;
    browser.types("#search", &last_four).await;
    browser.wait_for(".story").await;
    assert!(
        browser
            .text(".story")
            .await
            .contains("付款应退回（未出货）")
    );
    browser.click("summary").await;
    assert!(
        browser
            .text("details")
            .await
            .contains("<script>document.title = 'pwned'</script>")
    );
    assert_eq!(browser.client.title().await.expect("a title"), "售货管理");
    browser.screenshot("console-3-a-sale").await;

    // A refund was made at the platform, and is noted.
    browser
        .goto(&format!("{url}/refunds?reason=not-dispensed"))
        .await;
    browser.click("a[href='/payments/T6']").await;
    browser.types("#note", "收据 7").await;
    browser.screenshot("console-4-refund").await;
    browser.click("button[value='money-sent']").await;
    browser.wait_for("#refunds").await;
    assert!(!browser.text("#refunds").await.contains("T6"));
    assert_eq!(shop.the_books_balance()["refunded"], 350);

    // Somebody has looked whether the goods came out.
    browser.goto(&format!("{url}/reviews")).await;
    browser.screenshot("console-5-reviews").await;
    browser.click("a[href='/payments/T5']").await;
    browser.click("button[value='came-out']").await;
    browser.wait_for(".nothing").await;
    assert_eq!(shop.the_books_balance()["review"], 0);

    for (list, sees) in [
        ("kiosks", "停机：出货装置未就绪"),
        ("problems", "签名不符"),
        ("bills", "笔已记为待退款"),
        ("sales", "已取消"),
    ] {
        browser.goto(&format!("{url}/{list}")).await;
        let shown = async || browser.text("main").await.contains(sees);
        until(async || {
            let is_there = shown().await;
            if !is_there {
                browser.client.refresh().await.expect("again");
            }
            is_there
        })
        .await;
        browser.screenshot(&format!("console-6-{list}")).await;
    }
    let csv = "return fetch(document.querySelector('a.file').href).then((answer) => answer.text())";
    let csv = browser.client.execute(csv, vec![]).await.expect("fetched");
    let csv = csv.as_str().expect("text");
    assert!(
        csv.starts_with("began,sale,order") && csv.lines().count() == 15,
        "{csv}"
    );

    // On a phone nothing is cut off: lists move by themselves.
    browser.resize(390, 844).await;
    for place in ["", "sales", "kiosks", "problems", "payments/T99", "bills"] {
        browser.goto(&format!("{url}/{place}")).await;
        let wider =
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        let wider = browser.client.execute(wider, vec![]).await.expect("asked");
        assert_eq!(wider, 0, "{place}");
        let name = place.split('/').next().unwrap_or_default();
        browser.screenshot(&format!("console-7-phone-{name}")).await;
    }
    browser.goto(&url).await;
    browser.click("header a").await;
    until(async || browser.text("h1").await == "Today").await;
    browser.screenshot("console-8-english").await;
    browser.click("header button").await;
    browser.wait_for("input#password").await;
    browser.client.close().await.expect("closed");
}

/// Asks again and again until it is so.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + shop::PATIENCE;
    while !is_so().await {
        assert!(tokio::time::Instant::now() < deadline, "it never came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
