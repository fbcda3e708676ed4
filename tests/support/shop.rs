//! A shop for tests: the real binaries on loopback and free ports, in a directory of its own, gone when it is dropped.
#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]
#![allow(dead_code, reason = "each test file uses its part of the shop")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::iter;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use selpay_kiosk::files;
use selpay_kiosk::ids::{ClaimId, OrderNo, SaleId};
use selpay_kiosk::merchant::config::token_digest;
use selpay_kiosk::selpay::sign::{self, SignKey};
use serde_json::{Value, json};
use tempfile::TempDir;

pub const SIGN_KEY: &str = "9d101c97133837e13dde2d32a5054abb";
pub const APP_KEY: &str = "5f53481517b449b0a8c8dbe808d8bf5c";
pub const MCH_ID: &str = "7551000001";
pub const TOKEN: &str = "the token of kiosk-1";
pub const OTHER_TOKEN: &str = "the token of kiosk-2";
pub const PASSWORD: &str = "open sesame";

/// Whatever a test waits for comes within this time, or never.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A program that ends with the test.
pub struct Ended(pub Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running program that is ended when it is dropped.
pub struct Program {
    child: Child,
    pub address: String,
}

impl Program {
    /// Starts a server and waits until it says where it listens.
    pub fn serve(command: &mut Command) -> Program {
        Program::try_serve(command).expect("it says where it listens")
    }

    /// The same with its log in this file.
    pub fn serve_with_log(command: &mut Command, log: fs::File) -> Program {
        Program::start(command.stderr(log)).expect("it says where it listens")
    }

    /// The same, if it does not end before.
    pub fn try_serve(command: &mut Command) -> Option<Program> {
        Program::start(command.stderr(Stdio::null()))
    }

    fn start(command: &mut Command) -> Option<Program> {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("started");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("a line");
        let address = line.trim().strip_prefix("listening on ").map(str::to_owned);
        let Some(address) = address else {
            child.wait().expect("waited for");
            return None;
        };
        Some(Program { child, address })
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended by itself.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("asked").is_none()
    }

    /// SIGKILL: no chance to tidy up.
    pub fn kill(&mut self) {
        kill(&mut self.child);
    }

    /// Sends it this signal: `HUP`.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let mut kill = Command::new("kill");
        let sent = kill.arg(format!("-{name}")).arg(id);
        sent.status().expect("kill is there");
    }

    /// Asks it to end; its exit status.
    pub fn terminate(&mut self) -> Option<i32> {
        self.signal("TERM");
        self.child.wait().expect("waited for").code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        kill(&mut self.child);
    }
}

/// Kills a program; where it is strace, the one that it has started: strace ends after it. It may have ended already.
fn kill(child: &mut Child) {
    let id = child.id();
    let started = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let started: Vec<&str> = started.split_whitespace().collect();
    if !started.is_empty() {
        let _ = Command::new("kill").arg("-KILL").args(started).status();
        let deadline = Instant::now() + PATIENCE;
        while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// A directory with everything that the three programs read.
pub struct Shop {
    dir: TempDir,
    pub merchant: Program,
}

impl Shop {
    /// A merchant's server with an empty database.
    pub fn open() -> Shop {
        Shop::open_with("")
    }

    /// The same with more lines in merchant.toml.
    pub fn open_with(lines: &str) -> Shop {
        Shop::open_on("sqlite:merchant.db", lines)
    }

    /// The same with the books somewhere else.
    pub fn open_on(database: &str, lines: &str) -> Shop {
        Shop::open_under(&[], database, lines)
    }

    /// The same, with these words before the server's command.
    pub fn open_under(words: &[String], database: &str, lines: &str) -> Shop {
        let dir = tempfile::tempdir().expect("a directory");
        let write_secret = |name: &str, secret: &str| {
            files::write_secret(&dir.path().join(name), secret).expect("written")
        };
        write_secret("sign.key", &format!("{SIGN_KEY}\n"));
        write_secret("token", TOKEN);
        write_secret("console.password", PASSWORD);
        // One token does in a second what a kiosk does in a day.
        let limits = match lines.contains("[kiosk-limits]") {
            true => "",
            false => {
                "[kiosk-limits]\nrequests-per-second = 1000000\nrequests-at-once = 100000\n\
                 registrations-per-minute = 1000000\nopen-sales = 1000000"
            }
        };
        let config = format!(
            "listen = \"127.0.0.1:0\"\ndatabase = \"{database}\"\nsign-key-files = [\"sign.key\"]\nmch-id = \"{MCH_ID}\"\n\
             console-password-file = \"console.password\"\n{lines}\n{limits}\n[kiosks]\nkiosk-1 = \"{}\"\nkiosk-2 = \"{}\"\n",
            token_digest(TOKEN),
            token_digest(OTHER_TOKEN)
        );
        fs::write(dir.path().join("merchant.toml"), config).expect("written");
        let merchant = Program::serve(&mut merchant_program(dir.path(), words));
        Shop { dir, merchant }
    }

    /// Starts one more server of this merchant's, on the same books.
    pub fn one_more_server(&self) -> Program {
        serve_merchant(self.dir.path())
    }

    /// The same where the first keeps its port.
    pub fn one_more_server_on_a_free_port(&self) -> Program {
        let file = self.path("merchant.toml");
        let config = fs::read_to_string(&file).expect("read");
        let listen = config.lines().next().expect("the listen line");
        let other = config.replace(listen, "listen = \"127.0.0.1:0\"");
        fs::write(self.path("other.toml"), other).expect("written");
        let mut program = Command::new(env!("CARGO_BIN_EXE_merchant"));
        program.args(["serve", "--config"]);
        Program::serve(program.arg(self.path("other.toml")))
    }

    /// Kills the merchant's server and starts it again, on another port unless it keeps its own.
    pub fn restart_merchant(&mut self) {
        let is_up = self.restart_merchant_under(&[]);
        assert!(is_up, "it says where it listens");
    }

    /// The same, with these words before its command; whether it listens.
    pub fn restart_merchant_under(&mut self, words: &[String]) -> bool {
        self.merchant.kill();
        let merchant = Program::try_serve(&mut merchant_program(self.dir.path(), words));
        let is_up = merchant.is_some();
        self.merchant = merchant.unwrap_or_else(|| serve_merchant(self.dir.path()));
        is_up
    }

    /// The merchant's server comes back to the same port from now on.
    pub fn keep_port(&mut self) {
        // Not one of those that the kernel gives to whoever connects: it could connect to itself.
        static TAKEN: AtomicU16 = AtomicU16::new(0);
        let first = 20_000 + std::process::id() as u16 % 10_000;
        let mut ports = iter::repeat_with(|| first + TAKEN.fetch_add(1, Ordering::Relaxed));
        let port = ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
        let address = format!("127.0.0.1:{}", port.expect("one is free"));
        let file = self.path("merchant.toml");
        let config = fs::read_to_string(&file).expect("read");
        fs::write(file, config.replace("127.0.0.1:0", &address)).expect("written");
        self.restart_merchant();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs `merchant` with `--config` at its end.
    pub fn command(&self, arguments: &[&str]) -> Output {
        let config = self.path("merchant.toml");
        Command::new(env!("CARGO_BIN_EXE_merchant"))
            .args(arguments)
            .arg("--config")
            .arg(config)
            .output()
            .expect("run")
    }

    /// `merchant refunds --json`, and the like.
    pub fn books(&self, list: &str) -> Value {
        let words: Vec<&str> = list.split(' ').chain(["--json"]).collect();
        let output = self.command(&words);
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// The equation must hold at the end of every story.
    pub fn the_books_balance(&self) -> Value {
        let balance = self.books("balance");
        assert_eq!(balance["holds"], true, "{balance}");
        let sum: i64 = ["dispensed", "refundDue", "refunded", "review", "waiting"]
            .iter()
            .filter_map(|part| balance[part].as_i64())
            .sum();
        assert_eq!(balance["verified"], sum, "{balance}");
        balance
    }

    pub fn refund_reasons(&self) -> Vec<String> {
        let refunds = self.books("refunds");
        refunds
            .as_array()
            .expect("a list")
            .iter()
            .map(|refund| refund["reason"].as_str().expect("a word").to_owned())
            .collect()
    }

    /// One call of the kiosks' API.
    pub fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        self.call_as(TOKEN, method, path, body)
    }

    pub fn call_as(&self, token: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        call(method, &self.merchant.url(path), token, body)
    }

    /// A sale of 3.50 that the merchant holds.
    pub fn sale(&self, random: u128) -> (SaleId, OrderNo) {
        let (sale, order) = (
            SaleId::from_random(random),
            OrderNo::from_random(random + 1_000_000),
        );
        let (status, _) = self.call(
            "PUT",
            &format!("/v1/orders/{order}"),
            &json!({ "sale": sale, "total": 350 }),
        );
        assert_eq!(status, 201);
        (sale, order)
    }

    pub fn status(&self, order: OrderNo) -> String {
        let (_, order) = self.call("GET", &format!("/v1/orders/{order}"), &Value::Null);
        order["status"].as_str().expect("a status").to_owned()
    }

    pub fn claim(&self, sale: SaleId, random: u128) -> (u16, Value) {
        let claim = ClaimId::from_random(random);
        self.call(
            "POST",
            &format!("/v1/sales/{sale}/claim"),
            &json!({ "claim": claim }),
        )
    }

    /// Posts a body where the platform posts its notifications; HTTP status and answer.
    pub fn notify(&self, body: impl AsRef<[u8]>) -> (u16, String) {
        post(&self.merchant.url("/notify"), body.as_ref())
    }

    /// Starts the platform's stand-in, which notifies this shop.
    pub fn platform(&self, arguments: &[&str]) -> Program {
        let key = self.path("sign.key");
        let notify_url = self.merchant.url("/notify");
        Program::serve(
            Command::new(env!("CARGO_BIN_EXE_paysim"))
                .args([
                    "--listen",
                    "127.0.0.1:0",
                    "--speed",
                    "1000",
                    "--mch-id",
                    MCH_ID,
                    "--notify-url",
                    &notify_url,
                    "--sign-key-file",
                ])
                .arg(key)
                .args(arguments),
        )
    }

    /// Writes kiosk.toml and the bench board beside it.
    pub fn configure_kiosk(&self, platform_url: &str, merchant_url: &str, lines: &str) -> PathBuf {
        let config = format!(
            "kiosk = \"kiosk-1\"\nboard = \"bench.toml\"\napp-key = \"{APP_KEY}\"\nplatform-url = \"{platform_url}\"\n\
             scan-hosts = [\"127.0.0.1\"]\nmerchant-url = \"{merchant_url}\"\ntoken-file = \"token\"\njournal = \"journal\"\n{lines}\n",
        );
        let bench = include_str!("../../boards/bench.toml");
        fs::write(self.path("bench.toml"), bench).expect("written");
        fs::write(self.path("kiosk.toml"), config).expect("written");
        self.path("kiosk.toml")
    }

    /// Starts the kiosk on the bench board; keys go to its standard input.
    pub fn kiosk(&self, platform: &Program, lines: &str) -> Kiosk {
        self.kiosk_of(platform, &self.merchant.url(""), lines)
    }

    /// The same with these words before its command.
    pub fn kiosk_under(&self, words: &[String], platform: &Program, lines: &str) -> Kiosk {
        let merchant = self.merchant.url("");
        let config = self.configure_kiosk(&platform.url("/prod-api"), &merchant, lines);
        self.start_kiosk(under(words, env!("CARGO_BIN_EXE_kiosk")), config)
    }

    /// The same with the merchant at another address.
    pub fn kiosk_of(&self, platform: &Program, merchant_url: &str, lines: &str) -> Kiosk {
        self.kiosk_between(&platform.url("/prod-api"), merchant_url, lines)
    }

    /// The same with both at other addresses.
    pub fn kiosk_between(&self, platform_url: &str, merchant_url: &str, lines: &str) -> Kiosk {
        let config = self.configure_kiosk(platform_url, merchant_url, lines);
        self.start_kiosk(kiosk_program(), config)
    }

    fn start_kiosk(&self, mut program: Command, config: PathBuf) -> Kiosk {
        let mut child = program
            .args(["run", "--log", "kiosk=debug", "--config"])
            .arg(config)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.path("kiosk.log")).expect("a log"))
            .spawn()
            .expect("started");
        let keys = child.stdin.take();
        Kiosk {
            child,
            keys,
            dir: self.dir.path().to_owned(),
        }
    }
}

/// The kiosk's program. The gate runs the ARM builds through qemu here.
pub fn kiosk_program() -> Command {
    let command = std::env::var("KIOSK_COMMAND").unwrap_or(env!("CARGO_BIN_EXE_kiosk").to_owned());
    let mut words = command.split(' ');
    let mut program = Command::new(words.next().expect("a program"));
    program.args(words);
    program
}

/// A program, with these words before its command.
fn under(words: &[String], program: &str) -> Command {
    let mut words = words.iter().map(String::as_str).chain([program]);
    let mut command = Command::new(words.next().expect("at least the program"));
    command.args(words);
    command
}

fn merchant_program(dir: &Path, words: &[String]) -> Command {
    let mut program = under(words, env!("CARGO_BIN_EXE_merchant"));
    program
        .args(["serve", "--config"])
        .arg(dir.join("merchant.toml"));
    program
}

fn serve_merchant(dir: &Path) -> Program {
    Program::serve(&mut merchant_program(dir, &[]))
}

/// A kiosk on the bench.
pub struct Kiosk {
    pub child: Child,
    keys: Option<ChildStdin>,
    dir: PathBuf,
}

impl Kiosk {
    /// Types; an amount not before the kiosk asks for one.
    pub fn types(&mut self, keys: &str) {
        if keys.starts_with(|key: char| key.is_ascii_digit()) {
            self.logs("screen amount");
        }
        self.keys
            .as_mut()
            .expect("open")
            .write_all(keys.as_bytes())
            .expect("the kiosk reads");
    }

    /// Types, if anybody reads it.
    pub fn tries_to_type(&mut self, keys: &str) {
        let _ = self.keys.as_mut().expect("open").write_all(keys.as_bytes());
    }

    /// Whether it has not ended by itself.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("asked").is_none()
    }

    /// SIGKILL: no chance to tidy up.
    pub fn kill(&mut self) {
        kill(&mut self.child);
    }

    /// No more keys: it ends once nothing is owed. Its exit status.
    pub fn ends(mut self) -> Option<i32> {
        drop(self.keys.take());
        // What a customer must read may show for a minute.
        let status = within(Duration::from_secs(90), "the kiosk's end", || {
            self.child.try_wait().expect("asked")
        });
        status.code()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("kiosk.log")).expect("a log")
    }

    /// The lines of the dispenser's log.
    pub fn pulses(&self) -> Vec<String> {
        let log = fs::read_to_string(self.dir.join("dispenser.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// What a phone reads from the panel, once there is a code on it that is not `before`.
    pub fn code(&self, before: Option<&str>) -> String {
        eventually("a code on the panel", || {
            let code = read_code(&self.dir.join("panel.png"))?;
            (Some(code.as_str()) != before).then_some(code)
        })
    }

    /// Waits until the kiosk's log tells this.
    pub fn logs(&self, text: &str) {
        eventually(text, || self.log().contains(text).then_some(()));
    }
}

impl Drop for Kiosk {
    fn drop(&mut self) {
        kill(&mut self.child);
    }
}

/// Reads the QR code of a PNG file.
pub fn read_code(file: &Path) -> Option<String> {
    let mut reader = png::Decoder::new(BufReader::new(fs::File::open(file).ok()?))
        .read_info()
        .ok()?;
    let mut bytes = vec![0; reader.output_buffer_size()?];
    let picture = reader.next_frame(&mut bytes).ok()?;
    let samples = picture.color_type.samples();
    let (width, height) = (picture.width as usize, picture.height as usize);
    let green = |x: usize, y: usize| bytes[(y * width + x) * samples + 1];
    let mut prepared = rqrr::PreparedImage::prepare_from_greyscale(width, height, green);
    prepared
        .detect_grids()
        .first()?
        .decode()
        .ok()
        .map(|(_, text)| text)
}

/// The order number in an address to pay at.
pub fn order_in(url: &str) -> String {
    url.split("no=").nth(1).expect("an order number").to_owned()
}

/// Asks again and again until there is an answer.
pub fn eventually<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, what, ask)
}

fn within<T>(time: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + time;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "this never came: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .build()
        .into()
}

/// One call with a token; HTTP status and JSON.
pub fn call(method: &str, url: &str, token: &str, body: &Value) -> (u16, Value) {
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(url)
        .header("Authorization", format!("Bearer {token}"));
    let mut response = if body.is_null() {
        agent()
            .run(request.body(()).expect("a request"))
            .expect("an answer")
    } else {
        agent()
            .run(request.body(body.to_string()).expect("a request"))
            .expect("an answer")
    };
    let text = response.body_mut().read_to_string().expect("a body");
    (
        response.status().as_u16(),
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

/// Posts raw bytes; HTTP status and text.
pub fn post(url: &str, body: &[u8]) -> (u16, String) {
    let mut response = agent().post(url).send(body).expect("an answer");
    (
        response.status().as_u16(),
        response.body_mut().read_to_string().expect("a body"),
    )
}

/// Posts JSON to the platform's stand-in.
pub fn sim(platform: &Program, path: &str, body: &Value) -> Value {
    let (status, answer) = call("POST", &platform.url(path), "", body);
    assert!((200..300).contains(&status), "{status} {answer}");
    answer
}

/// All deliveries of an order that the stand-in has made so far.
pub fn deliveries(platform: &Program, order: &str) -> Vec<Value> {
    let (_, orders) = call("GET", &platform.url("/sim/orders"), "", &Value::Null);
    let all = orders["orders"].as_array().expect("a list");
    let found = all
        .iter()
        .find(|found| found["orderNo"] == order)
        .expect("the order");
    found["deliveries"].as_array().expect("a list").clone()
}

/// The fields of a message.
pub type Fields = BTreeMap<String, String>;

/// The fields of a paid notification.
pub fn paid(order: &str, transaction: &str, total: &str) -> Fields {
    let pairs = [
        ("version", "2.0"),
        ("charset", "UTF-8"),
        ("sign_type", "MD5"),
        ("status", "0"),
        ("result_code", "0"),
        ("mch_id", MCH_ID),
        ("pay_result", "0"),
        ("trade_type", "pay.weixin.jspay"),
        ("transaction_id", transaction),
        ("out_trade_no", order),
        ("total_fee", total),
        ("time_end", "20261123130509"),
    ];
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// These fields as a message, signed with the shop's key.
pub fn signed(mut fields: Fields) -> String {
    let key = SignKey::new(SIGN_KEY).expect("a key");
    let signature = sign::signature(&(&fields).into(), &key);
    fields.insert("sign".to_owned(), signature);
    unsigned(&fields)
}

/// These fields as a message, as they are.
pub fn unsigned(fields: &Fields) -> String {
    let elements: String = fields
        .iter()
        .map(|(name, value)| format!("<{name}><![CDATA[{value}]]></{name}>"))
        .collect();
    format!("<xml>{elements}</xml>")
}

/// Sends raw bytes and reads what comes back until the other side closes.
pub fn raw(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    // The other side may close before it has read everything.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Any port that is free now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}
