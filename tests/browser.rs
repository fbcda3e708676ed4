//! The pages as people use them, in headless Chromium: the desk, the phone, the console.
//!
//! Screenshots are left in the target directory's `tmp/screenshots`, to be looked at.

#[path = "support/shop.rs"]
mod shop;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::key::Key;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};

/// A program that ends with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(command: &mut Command) -> (Ended, BufReader<std::process::ChildStdout>) {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    let lines = BufReader::new(child.stdout.take().expect("piped"));
    (Ended(child), lines)
}

/// The first line's rest after `begin`, trimmed.
fn told(lines: &mut impl BufRead, begin: &str) -> String {
    for line in lines.lines() {
        let line = line.expect("text");
        if let Some((_, rest)) = line.split_once(begin) {
            return rest.trim().to_owned();
        }
    }
    panic!("it ended without telling {begin}")
}

/// Chromium, the demo, and the three pages.
struct Desk {
    client: Client,
    kiosk: String,
    console: String,
    password: String,
    _programs: [Ended; 2],
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
        let (driver, mut lines) = start(Command::new("chromedriver").arg("--port=0"));
        let port = told(&mut lines, "was started successfully on port ");
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1180,820",
        ];
        let wanted = json!({ "goog:chromeOptions": { "args": arguments, "prefs": { "intl.accept_languages": "zh-CN" } } });
        let Value::Object(wanted) = wanted else {
            unreachable!("it is an object")
        };
        let port = port.trim_end_matches('.');
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(wanted)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("Chromium and its driver are installed");
        let password = password.trim_end_matches(')').to_owned();
        let (console, _programs) = (console.to_owned(), [demo, driver]);
        client.goto(&kiosk).await.expect("the desk");
        Desk {
            client,
            kiosk,
            console,
            password,
            _programs,
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

    async fn wait_for(&self, css: &str) {
        let wait = self.client.wait().at_most(Duration::from_secs(20));
        let found = wait.for_element(Locator::Css(css)).await;
        assert!(found.is_ok(), "{css} never came");
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

    async fn screenshot(&self, name: &str) {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
        std::fs::create_dir_all(&dir).expect("a directory");
        let picture = self.client.screenshot().await.expect("a screenshot");
        std::fs::write(dir.join(format!("{name}.png")), picture).expect("written");
    }

    async fn text(&self, css: &str) -> String {
        self.client
            .find(Locator::Css(css))
            .await
            .expect(css)
            .text()
            .await
            .expect("text")
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
        self.client.close().await.expect("closed");
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

    desk.client.goto(&desk.console).await.expect("the console");
    let enter = async |password: &str| {
        desk.client
            .find(Locator::Css("#password"))
            .await
            .expect("a field")
            .send_keys(password)
            .await
            .expect("typed");
        desk.client
            .find(Locator::Css("form button"))
            .await
            .expect("a button")
            .click()
            .await
            .expect("clicked");
    };
    enter("wrong").await;
    desk.wait_for(".complaint").await;
    assert!(!desk.text(".complaint").await.is_empty());
    desk.screenshot("console-1-wrong").await;
    enter(&desk.password).await;
    desk.wait_for("#lines .status.dispensed").await;
    assert!(desk.text("#takings").await.contains("¥3.50"));
    assert!(desk.text("#balance").await.contains("账目平衡"));
    desk.screenshot("console-2-today").await;
    let today = desk.client.current_url().await.expect("an address");
    let order = desk.text("#lines a").await;
    let field = desk.client.find(Locator::Css("#search")).await;
    let last_four = &order[order.len() - 4..];
    let typed = format!("{last_four}{}", char::from(Key::Enter));
    field
        .expect("a field")
        .send_keys(&typed)
        .await
        .expect("typed");
    desk.wait_for(".story").await;
    assert!(desk.text(".story").await.contains("付款已换得货物"));
    desk.screenshot("console-4-a-sale").await;
    desk.client
        .goto(today.as_str())
        .await
        .expect("back to today");
    desk.wait_for("#lines .status.dispensed").await;
    desk.client
        .set_window_size(390, 844)
        .await
        .expect("as small as a phone");
    desk.screenshot("console-3-phone-sized").await;
    desk.client
        .set_window_size(1180, 820)
        .await
        .expect("large again");
    desk.client
        .find(Locator::Css("header button"))
        .await
        .expect("a button")
        .click()
        .await
        .expect("clicked");
    desk.wait_for("input#password").await;
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
    desk.screenshot("desk-9-phone-sized").await;
    desk.close().await;
}

/// Asks again and again until it is so.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + shop::PATIENCE;
    while !is_so().await {
        assert!(tokio::time::Instant::now() < deadline, "it never came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
