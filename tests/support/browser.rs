//! A headless Chromium, moved by its driver over W3C WebDriver (w3.org/TR/webdriver2): JSON over HTTP, a call at a time.
//! Screenshots are left in the target directory's `tmp/screenshots`, to be looked at.
//!
//! A client crate would bring fifty others along for these few calls.

#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]
#![allow(dead_code, reason = "each test file uses its part of it")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use ureq::Agent;

use super::shop::{Ended, PATIENCE};

/// The Enter key, as WebDriver writes it.
pub const ENTER: char = '\u{E007}';
/// What the protocol calls an element's name in its answers.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
const STALE: &str = "stale element reference";
/// Between two looks for what is to come.
const PAUSE: Duration = Duration::from_millis(20);

/// Starts a program; what it prints.
pub fn start(command: &mut Command) -> (Ended, BufReader<ChildStdout>) {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    let lines = BufReader::new(child.stdout.take().expect("piped"));
    (Ended(child), lines)
}

/// The first line's rest after `begin`, trimmed.
pub fn told(lines: &mut impl BufRead, begin: &str) -> String {
    for line in lines.lines() {
        let line = line.expect("text");
        if let Some((_, rest)) = line.split_once(begin) {
            return rest.trim().to_owned();
        }
    }
    panic!("it ended without telling {begin}")
}

/// Asks again and again until it is so.
pub fn until(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it never came");
        thread::sleep(PAUSE);
    }
}

/// A browser that wants Chinese. It ends with its driver.
pub struct Browser {
    agent: Agent,
    session: String,
    _driver: Ended,
}

impl Browser {
    pub fn open() -> Browser {
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
        let options = json!({ "args": arguments, "prefs": { "intl.accept_languages": "zh-CN" } });
        let wanted = json!({ "alwaysMatch": { "goog:chromeOptions": options } });
        let mut browser = Browser {
            agent: Agent::config_builder()
                .http_status_as_error(false)
                .timeout_global(Some(Duration::from_secs(60)))
                .build()
                .into(),
            session: format!("http://127.0.0.1:{}/session", port.trim_end_matches('.')),
            _driver: driver,
        };
        let session = browser.post("", json!({ "capabilities": wanted }));
        let id = session["sessionId"].as_str().expect("a session");
        browser.session = format!("{}/{id}", browser.session);
        browser
    }

    pub fn goto(&self, url: &str) {
        self.post("/url", json!({ "url": url }));
    }

    pub fn refresh(&self) {
        self.post("/refresh", json!({}));
    }

    pub fn url(&self) -> String {
        text_of(self.get("/url"))
    }

    pub fn title(&self) -> String {
        text_of(self.get("/title"))
    }

    /// What a script returns; a promise is waited for.
    pub fn execute(&self, script: &str) -> Value {
        self.post("/execute/sync", json!({ "script": script, "args": [] }))
    }

    pub fn wait_for(&self, css: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.try_find(css).is_err() {
            assert!(Instant::now() < deadline, "{css} never came");
            thread::sleep(PAUSE);
        }
    }

    /// What stands there. A page may renew itself between the finding and the reading.
    pub fn text(&self, css: &str) -> String {
        loop {
            match self.try_get(&format!("{}/text", self.find(css))) {
                Ok(text) => return text_of(text),
                Err(error) if error == STALE => {}
                Err(error) => panic!("{css}: {error}"),
            }
        }
    }

    pub fn click(&self, css: &str) {
        self.post(&format!("{}/click", self.find(css)), json!({}));
    }

    /// Clicks what leads to another page, and waits until this one is gone: both may look alike.
    pub fn click_away(&self, css: &str) {
        let found = self.find(css);
        self.post(&format!("{found}/click"), json!({}));
        let deadline = Instant::now() + PATIENCE;
        while self.try_get(&format!("{found}/name")).is_ok() {
            assert!(Instant::now() < deadline, "{css} leads nowhere");
            thread::sleep(PAUSE);
        }
    }

    pub fn types(&self, css: &str, keys: &str) {
        self.post(
            &format!("{}/value", self.find(css)),
            json!({ "text": keys }),
        );
    }

    pub fn resize(&self, width: u32, height: u32) {
        self.post("/window/rect", json!({ "width": width, "height": height }));
    }

    /// Clicks a link that opens a window of its own, and goes there; the name of the window it was in.
    pub fn follow(&self, css: &str) -> String {
        let here = text_of(self.get("/window"));
        self.click(css);
        let all = self.get("/window/handles");
        let mut all = all.as_array().expect("windows").iter();
        let new = all
            .find(|window| **window != *here)
            .expect("another window");
        self.post("/window", json!({ "handle": new }));
        here
    }

    /// Closes this window, and goes to that one.
    pub fn back_to(&self, window: &str) {
        self.try_call(|agent, session| agent.delete(format!("{session}/window")).call())
            .expect("closed");
        self.post("/window", json!({ "handle": window }));
    }

    pub fn screenshot(&self, name: &str) {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
        std::fs::create_dir_all(&dir).expect("a directory");
        let picture = decode_base64(&text_of(self.get("/screenshot")));
        std::fs::write(dir.join(format!("{name}.png")), picture).expect("written");
    }

    /// Where its element is in the protocol.
    fn find(&self, css: &str) -> String {
        self.try_find(css)
            .unwrap_or_else(|error| panic!("{css}: {error}"))
    }

    fn try_find(&self, css: &str) -> Result<String, String> {
        let found = self.try_post("/element", json!({ "using": "css selector", "value": css }))?;
        Ok(format!(
            "/element/{}",
            found[ELEMENT].as_str().expect("its name")
        ))
    }

    fn get(&self, path: &str) -> Value {
        self.try_get(path)
            .unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn post(&self, path: &str, body: Value) -> Value {
        self.try_post(path, body)
            .unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn try_get(&self, path: &str) -> Result<Value, String> {
        self.try_call(|agent, session| agent.get(format!("{session}{path}")).call())
    }

    fn try_post(&self, path: &str, body: Value) -> Result<Value, String> {
        self.try_call(|agent, session| agent.post(format!("{session}{path}")).send_json(body))
    }

    /// What a command answers, or the word for why it does not.
    fn try_call(
        &self,
        call: impl FnOnce(&Agent, &str) -> Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Value, String> {
        let mut answer =
            call(&self.agent, &self.session).expect("Chromium and its driver are installed");
        let mut body: Value = answer
            .body_mut()
            .with_config()
            .limit(64 * 1024 * 1024)
            .read_json()
            .expect("JSON");
        match body["value"]["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(body["value"].take()),
        }
    }
}

impl Drop for Browser {
    /// Ends Chromium, which would outlive its driver.
    fn drop(&mut self) {
        // Without an answer it is gone already.
        let _ = self.agent.delete(&self.session).call();
    }
}

fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => panic!("{other} is no text"),
    }
}

/// Pictures come as base64.
pub fn decode_base64(text: &str) -> Vec<u8> {
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
