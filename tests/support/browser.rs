//! A headless Chromium. Screenshots are left in the target directory's `tmp/screenshots`, to be looked at.

#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]
#![allow(dead_code, reason = "each test file uses its part of it")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};

use super::shop::{Ended, PATIENCE};

/// Starts a program; what it prints.
pub fn start(command: &mut Command) -> (Ended, BufReader<std::process::ChildStdout>) {
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

/// A browser that wants Chinese.
pub struct Browser {
    pub client: Client,
    _driver: Ended,
}

impl Browser {
    pub async fn open() -> Browser {
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
        Browser {
            client,
            _driver: driver,
        }
    }

    pub async fn goto(&self, url: &str) {
        self.client.goto(url).await.expect(url);
    }

    pub async fn wait_for(&self, css: &str) {
        let wait = self.client.wait().at_most(Duration::from_secs(20));
        let found = wait.for_element(Locator::Css(css)).await;
        assert!(found.is_ok(), "{css} never came");
    }

    /// What stands there. A page may renew itself between the finding and the reading.
    pub async fn text(&self, css: &str) -> String {
        loop {
            let found = self.client.find(Locator::Css(css)).await.expect(css);
            match found.text().await {
                Ok(text) => return text,
                Err(error) if error.is_stale_element_reference() => {}
                Err(error) => panic!("{css}: {error}"),
            }
        }
    }

    pub async fn click(&self, css: &str) {
        let found = self.client.find(Locator::Css(css)).await.expect(css);
        found.click().await.expect("clicked");
    }

    /// Clicks what leads to another page, and waits until this one is gone: both may look alike.
    pub async fn click_away(&self, css: &str) {
        let found = self.client.find(Locator::Css(css)).await.expect(css);
        found.clone().click().await.expect("clicked");
        let deadline = Instant::now() + PATIENCE;
        while found.tag_name().await.is_ok() {
            assert!(Instant::now() < deadline, "{css} leads nowhere");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub async fn types(&self, css: &str, keys: &str) {
        let found = self.client.find(Locator::Css(css)).await.expect(css);
        found.send_keys(keys).await.expect("typed");
    }

    pub async fn resize(&self, width: u32, height: u32) {
        let resized = self.client.set_window_size(width, height).await;
        resized.expect("resized");
    }

    pub async fn screenshot(&self, name: &str) {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
        std::fs::create_dir_all(&dir).expect("a directory");
        let picture = self.client.screenshot().await.expect("a screenshot");
        std::fs::write(dir.join(format!("{name}.png")), picture).expect("written");
    }
}
