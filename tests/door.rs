//! The door of the merchant's server: whatever strangers do with their connections, on whatever route, an honest notification
//! is answered at once, and afterwards the server is as it was before. The real program with few file descriptors.

#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]

use std::collections::VecDeque;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::front::{certify, proxy, trusting};
use crate::support::shop::{self, Shop, eventually, free_port, paid, raw, signed};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use selpay_kiosk::files;
use selpay_kiosk::http::READ_TIME;
use selpay_kiosk::merchant::http::routes::{Route, Who, table};
use serde_json::Value;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// A proxy's word counts for nothing here: who connects is who they are.
const NO_PROXIES: &str = "trusted-proxies = []";

/// Words before a command that leave it 1,024 file descriptors.
fn few_descriptors() -> Vec<String> {
    let words = ["sh", "-c", "ulimit -n 1024; exec \"$@\"", "sh"];
    words.map(str::to_owned).to_vec()
}

/// A shop whose server has 1,024 file descriptors.
fn small_shop(lines: &str) -> Shop {
    let mut shop = Shop::open_with(lines);
    assert!(shop.restart_merchant_under(&few_descriptors()));
    shop
}

/// The same that speaks TLS.
fn small_tls_shop(lines: &str) -> Shop {
    let mut shop = Shop::open_with(lines);
    speak_tls(&shop);
    assert!(shop.restart_merchant_under(&few_descriptors()));
    shop
}

/// From its next start on.
fn speak_tls(shop: &Shop) {
    certify(shop);
    let file = shop.path("merchant.toml");
    let config = fs::read_to_string(&file).expect("read");
    let tls = "[tls]\ncertificate-file = \"tls.pem\"\nkey-file = \"tls.key\"\n";
    fs::write(&file, format!("{config}{tls}")).expect("written");
}

/// Connects from this address of 127.0.0.0/8 with small buffers.
fn connect_from(from: Ipv4Addr, to: &str) -> io::Result<TcpStream> {
    // No program that is started meanwhile is to have it.
    let cloexec = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, cloexec, None)?;
    sockopt::set_socket_recv_buffer_size(&socket, 4096)?;
    sockopt::set_socket_send_buffer_size(&socket, 4096)?;
    rustix::net::bind(&socket, &SocketAddrV4::new(from, 0))?;
    let to: SocketAddr = to.parse().expect("an address");
    rustix::net::connect(&socket, &to)?;
    Ok(TcpStream::from(socket))
}

/// One address, or a hundred in turn.
fn sender(serial: usize, many: bool) -> Ipv4Addr {
    match many {
        false => Ipv4Addr::new(127, 0, 1, 1),
        true => Ipv4Addr::new(127, 0, 2, 1 + (serial % 100) as u8),
    }
}

/// A path that this route is for.
fn path_of(route: &Route) -> String {
    let parts = route.path.split('/');
    let filled = parts.map(|part| if part.starts_with('{') { "1" } else { part });
    filled.collect::<Vec<_>>().join("/")
}

/// A request for this route of which the last byte is missing.
fn half_sent(route: &Route, with_head: bool) -> Vec<u8> {
    let (method, path) = (&route.method, path_of(route));
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\n",
        shop::TOKEN
    );
    match with_head {
        true => format!("{head}a=").into_bytes(),
        false => head.as_bytes()[..head.len() - 1].to_vec(),
    }
}

/// What `/metrics` says of this.
fn figure(page: &str, name: &str) -> u64 {
    let mut lines = page.lines();
    let found = lines.find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    found.unwrap_or_else(|| panic!("no {name} in\n{page}"))
}

fn metrics(shop: &Shop) -> String {
    match shop.call("GET", "/metrics", &Value::Null) {
        (200, Value::String(page)) => page,
        other => panic!("{other:?}"),
    }
}

fn closed(page: &str, reason: &str) -> u64 {
    let name = format!("selpay_connections_closed_total{{reason=\"{reason}\"}}");
    figure(page, &name)
}

/// What the program has in memory, in kB.
fn resident(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    let mut lines = status.lines();
    let size = lines.find_map(|line| line.strip_prefix("VmRSS:"));
    let size = size.and_then(|size| size.trim().strip_suffix(" kB"));
    size.and_then(|size| size.parse().ok()).expect("a size")
}

/// How many file descriptors the program has.
fn descriptors(id: u32) -> usize {
    let open = fs::read_dir(format!("/proc/{id}/fd"));
    open.expect("it runs").count()
}

/// How long honest notifications took that were sent one after the other while something else went on.
struct Honest(Vec<Duration>);

impl Honest {
    /// Each is answered `success`, whatever `attack` does.
    fn during<T>(shop: &Shop, url: &str, attack: impl FnOnce() -> T) -> (T, Honest) {
        static SERIAL: AtomicU64 = AtomicU64::new(1);
        let is_over = AtomicBool::new(false);
        let agent = shop
            .path("ca.pem")
            .exists()
            .then(|| trusting(&shop.path("ca.pem")));
        let agent = agent.unwrap_or_else(|| {
            let config = ureq::Agent::config_builder().timeout_global(Some(shop::PATIENCE));
            config.http_status_as_error(false).build().into()
        });
        thread::scope(|scope| {
            let honest = scope.spawn(|| {
                let mut times = Vec::new();
                while !is_over.load(Ordering::Relaxed) || times.len() < 20 {
                    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
                    let (order, transaction) = (format!("honest-{serial}"), format!("H{serial}"));
                    // Nobody knows the number: booked, and told so with `fail`.
                    let body = signed(paid(&order, &transaction, "350"));
                    let began = Instant::now();
                    let asked = agent.post(format!("{url}/notify"));
                    // A newcomer each time.
                    let said = asked.header("Connection", "close").send(body);
                    let said = said.and_then(|mut answer| answer.body_mut().read_to_string());
                    times.push(began.elapsed());
                    match said {
                        Ok(said) => assert_eq!(said, "fail"),
                        Err(error) => panic!("an honest notification had no answer: {error}"),
                    }
                }
                times
            });
            let done = attack();
            is_over.store(true, Ordering::Relaxed);
            let mut times = honest.join().expect("every one was answered");
            times.sort();
            (done, Honest(times))
        })
    }

    fn were_quick(&self, what: &str) {
        let Honest(times) = self;
        let p99 = times[(times.len() - 1) * 99 / 100];
        let worst = times[times.len() - 1];
        println!(
            "{what}: {} honest, p99 {p99:?}, worst {worst:?}",
            times.len()
        );
        assert!(p99 < Duration::from_secs(1), "{what}: p99 {p99:?}");
    }
}

/// Opens so many connections that send half a request for each route, and keeps the newest 5,000 open.
fn send_halves(
    address: &str,
    each: usize,
    many: bool,
    secure: Option<&Path>,
) -> (usize, VecDeque<Box<dyn Write>>) {
    let tls = secure.map(client_config);
    let mut sent = 0;
    let mut kept: VecDeque<Box<dyn Write>> = VecDeque::new();
    for route in table("/notify") {
        for serial in 0..each {
            let Ok(stream) = connect_from(sender(serial, many), address) else {
                continue;
            };
            stream
                .set_write_timeout(Some(Duration::from_secs(1)))
                .expect("set");
            stream
                .set_read_timeout(Some(Duration::from_secs(1)))
                .expect("set");
            let mut stream: Box<dyn Write> = match &tls {
                // Every third ends in the middle of the handshake.
                Some(_) if serial % 3 == 0 => Box::new(stream),
                Some(config) => Box::new(secured(config, stream)),
                None => Box::new(stream),
            };
            let half = match &tls {
                Some(_) if serial % 3 == 0 => b"\x16\x03\x01\x02\x00\x01".to_vec(),
                _ => half_sent(&route, serial % 2 == 0),
            };
            // Who was told to go already is gone.
            let _ = stream.write_all(&half).and_then(|()| stream.flush());
            kept.push_back(stream);
            if kept.len() > 5000 {
                kept.pop_front();
            }
            sent += 1;
        }
    }
    (sent, kept)
}

fn client_config(ca_file: &Path) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(ca_file).expect("a certificate");
    roots.add(certificate).expect("added");
    let config = ClientConfig::builder().with_root_certificates(roots);
    Arc::new(config.with_no_client_auth())
}

fn secured(
    config: &Arc<ClientConfig>,
    stream: TcpStream,
) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let connection = ClientConnection::new(Arc::clone(config), name).expect("a connection");
    StreamOwned::new(connection, stream)
}

/// A client that asks and asks, and never reads. It proves that the server's writing has come to a halt: it does not read any
/// more either.
struct NeverReads {
    stream: TcpStream,
    /// How much of the questions, which begin anew at their end, has been sent.
    sent: usize,
    blocked_since: Option<Instant>,
}

impl NeverReads {
    fn connect(address: &str, from: Ipv4Addr) -> io::Result<NeverReads> {
        let stream = connect_from(from, address)?;
        stream.set_nonblocking(true)?;
        Ok(NeverReads {
            stream,
            sent: 0,
            blocked_since: None,
        })
    }

    /// Asks on, as far as the server reads; whether it has closed the connection.
    fn is_dropped(&mut self) -> bool {
        // The answer is some ten times as large as the question.
        const QUESTION: &[u8] = b"GET /console.js HTTP/1.1\r\nHost: x\r\n\r\n";
        let questions = QUESTION.repeat(64);
        match self.stream.write(&questions[self.sent..]) {
            Ok(count) => {
                self.sent = (self.sent + count) % questions.len();
                self.blocked_since = None;
                false
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.blocked_since.get_or_insert_with(Instant::now);
                false
            }
            Err(_) => true,
        }
    }

    fn blocked_for(&self) -> Duration {
        self.blocked_since
            .map_or(Duration::ZERO, |since| since.elapsed())
    }
}

/// How much more memory than before may stay in use, in kB.
const BACK_WITHIN: u64 = 20 * 1024;

/// What the server needs to be at work at all, in kB.
fn memory_at_work(shop: &Shop, url: &str) -> u64 {
    Honest::during(shop, url, || ());
    resident(shop.merchant.id())
}

/// The server's end of all this: nobody is held for longer than 30 s, and its memory is as before.
fn all_is_as_before(shop: &Shop, memory: u64, since: Instant, page: impl Fn() -> String) {
    let id = shop.merchant.id();
    // Ours is one of them.
    while figure(&page(), "selpay_connections ") > 2 {
        assert!(
            since.elapsed() < Duration::from_secs(30),
            "{} are still held",
            figure(&page(), "selpay_connections ")
        );
        thread::park_timeout(Duration::from_millis(50));
    }
    let now = eventually("its memory is free again", || {
        let now = resident(id);
        (now < memory + BACK_WITHIN).then_some(now)
    });
    println!(
        "memory {memory} kB before, {now} kB after; {} descriptors",
        descriptors(id)
    );
}

#[test]
fn each_route_answers_a_body_that_does_not_come_within_its_time() {
    let shop = small_shop(NO_PROXIES);
    let address = &shop.merchant.address;
    let began = Instant::now();
    let routes = table("/notify");
    assert!(routes.len() > 30);
    thread::scope(|scope| {
        let asked: Vec<_> = routes
            .iter()
            .map(|route| {
                let request = half_sent(route, true);
                (route, scope.spawn(move || raw(address, &request)))
            })
            .collect();
        for (route, answer) in asked {
            let answer = answer.join().expect("ended");
            let told = format!("{} {}: {answer}", route.method, route.path);
            assert!(answer.starts_with("HTTP/1.1 408 "), "{told}");
            match route.who {
                Who::Platform => assert!(answer.ends_with("\r\n\r\nfail"), "{told}"),
                Who::Kiosk => assert!(answer.contains("\"error\":\"timeout\""), "{told}"),
                Who::Anyone | Who::Owner | Who::Monitor => {}
            }
        }
    });
    assert!(began.elapsed() < READ_TIME * 2, "{:?}", began.elapsed());
    let count = routes.len() as u64;
    assert_eq!(closed(&metrics(&shop), "body"), count);
}

#[test]
fn each_route_refuses_a_body_larger_than_it_takes_before_anything_of_it_is_kept() {
    let shop = small_shop(NO_PROXIES);
    let address = &shop.merchant.address;
    for route in table("/notify") {
        let (method, path) = (&route.method, path_of(&route));
        let length = route.body + 1;
        let told = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        let mut request = told.into_bytes();
        request.resize(request.len() + length, b'x');
        let answer = raw(address, &request);
        assert!(
            answer.starts_with("HTTP/1.1 413 "),
            "{method} {path}: {answer}"
        );
    }
}

#[test]
fn half_sent_requests_to_each_route_keep_no_notification_waiting() {
    for many in [false, true] {
        let shop = small_shop(NO_PROXIES);
        let (memory, began) = (
            memory_at_work(&shop, &shop.merchant.url("")),
            Instant::now(),
        );
        let (_, honest) = Honest::during(&shop, &shop.merchant.url(""), || {
            let (sent, kept) = send_halves(&shop.merchant.address, 60, many, None);
            eventually("the server has dealt with all of them", || {
                let page = metrics(&shop);
                let reasons = ["idle", "head", "body", "address", "full"];
                let gone: u64 = reasons.iter().map(|reason| closed(&page, reason)).sum();
                (gone + 816 >= sent as u64).then_some(())
            });
            drop(kept);
        });
        honest.were_quick("half-sent requests");
        let limit = if many { "full" } else { "address" };
        assert!(closed(&metrics(&shop), limit) > 0);
        all_is_as_before(&shop, memory, began, || metrics(&shop));
    }
}

#[test]
fn half_sent_requests_over_tls_keep_no_notification_waiting() {
    let shop = small_tls_shop(NO_PROXIES);
    let url = format!("https://{}", shop.merchant.address);
    let (memory, began) = (memory_at_work(&shop, &url), Instant::now());
    let ca = shop.path("ca.pem");
    let (sent, honest) = Honest::during(&shop, &url, || {
        send_halves(&shop.merchant.address, 15, true, Some(&ca)).0
    });
    assert!(sent > 400);
    honest.were_quick("half-sent requests over TLS");
    all_is_as_before(&shop, memory, began, || tls_metrics(&shop));
}

fn tls_metrics(shop: &Shop) -> String {
    let agent = trusting(&shop.path("ca.pem"));
    let page = agent.get(format!("https://{}/metrics", shop.merchant.address));
    let mut answer = page.call().expect("an answer");
    answer.body_mut().read_to_string().expect("a page")
}

#[test]
fn readers_that_never_read_are_dropped_and_keep_no_notification_waiting() {
    let shop = small_shop(NO_PROXIES);
    let (memory, began) = (
        memory_at_work(&shop, &shop.merchant.url("")),
        Instant::now(),
    );
    let (waited_for, honest) = Honest::during(&shop, &shop.merchant.url(""), || {
        never_read(&shop.merchant.address, 40)
    });
    honest.were_quick("readers that never read");
    assert!(waited_for >= 20, "{waited_for} of 40 prove something");
    let page = metrics(&shop);
    assert!(closed(&page, "write") >= waited_for, "{page}");
    all_is_as_before(&shop, memory, began, || metrics(&shop));
}

/// So many readers that never read, until each of them is dropped; how many of them the server's writing had waited for.
fn never_read(address: &str, count: usize) -> u64 {
    let connect = |serial| NeverReads::connect(address, sender(serial, true));
    let mut readers: Vec<NeverReads> = (0..count)
        .filter_map(|serial| connect(serial).ok())
        .collect();
    let mut waited_for = 0;
    let deadline = Instant::now() + Duration::from_secs(120);
    while !readers.is_empty() {
        readers.retain_mut(|reader| {
            let blocked_for = reader.blocked_for();
            let is_dropped = reader.is_dropped();
            assert!(
                is_dropped || blocked_for < Duration::from_secs(30),
                "one is still held"
            );
            waited_for += u64::from(is_dropped && blocked_for > Duration::from_secs(3));
            !is_dropped
        });
        assert!(
            Instant::now() < deadline,
            "{} are still held",
            readers.len()
        );
        thread::park_timeout(Duration::from_millis(2));
    }
    waited_for
}

#[test]
fn a_client_that_shuts_down_its_sending_side_still_gets_its_answer() {
    let shop = small_shop(NO_PROXIES);
    let body = signed(paid("nobody-knows-it", "T1", "350"));
    let notification = format!(
        "POST /notify HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let (_, order) = shop.sale(1);
    let poll = format!(
        "GET /v1/orders/{order}?wait=25 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
        shop::TOKEN
    );
    for (request, told) in [
        (notification.as_str(), "\r\n\r\nfail"),
        ("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n\r\nok"),
        // Nobody may be there any more: it is told how things stand, at once.
        (poll.as_str(), "\"status\":\"open\""),
    ] {
        let began = Instant::now();
        let mut stream = TcpStream::connect(&shop.merchant.address).expect("connected");
        stream.write_all(request.as_bytes()).expect("sent");
        stream.shutdown(Shutdown::Write).expect("shut down");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(
            answer.starts_with("HTTP/1.1 200 ") && answer.contains(told),
            "{answer}"
        );
        assert!(
            began.elapsed() < Duration::from_secs(4),
            "{:?}",
            began.elapsed()
        );
    }
    // Half a request is none, and is told so at once.
    let began = Instant::now();
    let mut stream = TcpStream::connect(&shop.merchant.address).expect("connected");
    let half = half_sent(&table("/notify")[0], true);
    stream.write_all(&half).expect("sent");
    stream.shutdown(Shutdown::Write).expect("shut down");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(began.elapsed() < Duration::from_secs(4));
}

#[test]
fn a_client_of_tls_that_shuts_down_its_sending_side_still_gets_its_answer() {
    let shop = small_tls_shop(NO_PROXIES);
    let config = client_config(&shop.path("ca.pem"));
    for in_due_form in [true, false] {
        let stream = TcpStream::connect(&shop.merchant.address).expect("connected");
        let mut stream = secured(&config, stream);
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            .expect("sent");
        if in_due_form {
            stream.conn.send_close_notify();
        }
        stream.flush().expect("sent");
        stream.sock.shutdown(Shutdown::Write).expect("shut down");
        let mut answer = String::new();
        // How the other side ends is its own affair.
        let _ = stream.read_to_string(&mut answer);
        assert!(answer.ends_with("\r\n\r\nok"), "{in_due_form}: {answer}");
    }
}

#[test]
fn a_long_poll_outlives_the_deadlines_and_ends_with_who_hangs_up() {
    let shop = small_shop(NO_PROXIES);
    let (sale, order) = shop.sale(1);
    let began = Instant::now();
    let (status, answer) = shop.call("GET", &format!("/v1/orders/{order}?wait=7"), &Value::Null);
    assert_eq!(
        (status, &answer["status"]),
        (200, &Value::from("open")),
        "{sale}"
    );
    assert!(began.elapsed() >= Duration::from_secs(7));
    let mut hangs_up = TcpStream::connect(&shop.merchant.address).expect("connected");
    let poll = format!(
        "GET /v1/orders/{order}?wait=25 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
        shop::TOKEN
    );
    hangs_up.write_all(poll.as_bytes()).expect("sent");
    let waiting = || figure(&metrics(&shop), "selpay_waiting_sales ");
    eventually("it waits", || (waiting() == 1).then_some(()));
    let began = Instant::now();
    drop(hangs_up);
    eventually("nobody waits", || (waiting() == 0).then_some(()));
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn behind_a_proxy_each_client_has_its_own_share() {
    let shop = small_shop("[limits]\nper-address = 8");
    let address = &shop.merchant.address;
    let head = |client: &str| {
        format!(
            "POST /notify HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {client}\r\nContent-Length: 10\r\n\r\n<"
        )
    };
    let mut greedy = Vec::new();
    for _ in 0..30 {
        let mut stream = TcpStream::connect(address).expect("connected");
        stream
            .write_all(head("203.0.113.9").as_bytes())
            .expect("sent");
        greedy.push(stream);
    }
    for host in 1..=20 {
        let mut stream = TcpStream::connect(address).expect("connected");
        let client = format!("2001:db8:0:{host:x}::1");
        stream.write_all(head(&client).as_bytes()).expect("sent");
        greedy.push(stream);
    }
    eventually("the greedy one's are counted", || {
        (closed(&metrics(&shop), "address") == 22).then_some(())
    });
    eventually("and the others' are left", || {
        let open = figure(&metrics(&shop), "selpay_connections ");
        (open == 8 + 20 + 1).then_some(())
    });
}

#[test]
fn turnover_is_told_to_this_machine_and_to_whoever_has_the_token() {
    let mut shop = Shop::open();
    speak_tls(&shop);
    let ask = |shop: &Shop, headers: &[(&str, &str)]| {
        let page = format!("https://{}/metrics", shop.merchant.address);
        let agent = trusting(&shop.path("ca.pem"));
        let asked = headers
            .iter()
            .fold(agent.get(page), |asked, (name, value)| {
                asked.header(*name, *value)
            });
        asked.call().expect("an answer").status().as_u16()
    };
    let outside = ("X-Forwarded-For", "203.0.113.9");
    shop.restart_merchant();
    assert_eq!(ask(&shop, &[]), 200, "this machine");
    assert_eq!(ask(&shop, &[outside]), 401, "there is no token");
    assert_eq!(ask(&shop, &[outside, ("Authorization", "Bearer ")]), 401);

    files::write_secret(&shop.path("metrics.token"), "what Prometheus sends\n").expect("written");
    let file = shop.path("merchant.toml");
    let config = fs::read_to_string(&file).expect("read");
    fs::write(
        &file,
        format!("metrics-token-file = \"metrics.token\"\n{config}"),
    )
    .expect("written");
    shop.restart_merchant();
    let with = |token: &'static str| ask(&shop, &[outside, ("Authorization", token)]);
    assert_eq!(with("Bearer what Prometheus sends"), 200);
    assert_eq!(with("Bearer what Prometheus send"), 401);
    assert_eq!(ask(&shop, &[outside]), 401);
    assert_eq!(ask(&shop, &[]), 200, "this machine");
}

#[test]
fn more_connections_than_the_system_allows_are_refused_at_the_start() {
    let shop = Shop::open_with("[limits]\nconnections = 2000");
    let mut words = few_descriptors().into_iter();
    let output = Command::new(words.next().expect("a shell"))
        .args(words)
        .args([env!("CARGO_BIN_EXE_merchant"), "serve", "--config"])
        .arg(shop.path("merchant.toml"))
        .output()
        .expect("run");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(
        told.contains("merchant.toml: limits.connections: the system allows 1024 file descriptors")
            && told.contains("write at most 816, or raise LimitNOFILE"),
        "{told}"
    );
}

/// A server and its log.
struct Logged {
    child: Child,
    address: String,
    _shop: Shop,
}

impl Logged {
    /// The server of a new shop.
    fn start(arguments: &[&str]) -> Logged {
        let mut shop = Shop::open();
        // Its books have one server at a time.
        shop.merchant.kill();
        let mut child = Command::new(env!("CARGO_BIN_EXE_merchant"))
            .args(["serve", "--config"])
            .arg(shop.path("merchant.toml"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening on ");
        Logged {
            address: address.expect("an address").to_owned(),
            child,
            _shop: shop,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Its log so far, and what comes until it ends.
    fn ends(mut self) -> Vec<String> {
        let id = self.child.id().to_string();
        let kill = Command::new("kill").args(["-TERM", &id]).status();
        assert!(kill.expect("kill is there").success());
        let mut log = String::new();
        let mut stderr = self.child.stderr.take().expect("piped");
        stderr.read_to_string(&mut log).expect("text");
        assert_eq!(self.child.wait().expect("ended").code(), Some(0), "{log}");
        log.lines().map(str::to_owned).collect()
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_notification_to_a_wrong_address_is_counted_and_told_beside_the_right_one() {
    let server = Logged::start(&[]);
    let body = signed(paid("nobody-knows-it", "T1", "350"));
    for path in ["/notify/", "/pay/notify"] {
        assert_eq!(shop::post(&server.url(path), body.as_bytes()).0, 404);
    }
    assert_eq!(shop::post(&server.url("/"), body.as_bytes()).0, 405);
    let (_, page) = shop::call("GET", &server.url("/metrics"), "", &Value::Null);
    let page = page.as_str().expect("a page");
    assert_eq!(figure(page, "selpay_misdirected_posts_total "), 3);
    let right = format!(
        "notifications are taken at http://{}/notify: ",
        server.address
    );
    let log = server.ends();
    assert!(log.iter().any(|line| line.contains(&right)), "{log:?}");
    for path in ["/notify/", "/pay/notify", "/"] {
        let told = format!(
            "a POST from 127.0.0.1 to {path}, which takes none: notifications go to /notify"
        );
        assert!(log.iter().any(|line| line.contains(&told)), "{log:?}");
    }
}

#[test]
fn a_stranger_writes_no_line_of_their_own_into_the_log() {
    let server = Logged::start(&[]);
    let forged = "<xml><a\n2026-11-30T00:00:00.000000Z ERROR ALARM all is lost\u{202e}>x</a></xml>";
    shop::post(&server.url("/notify"), forged.as_bytes());
    let long = format!(
        "POST /{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "x".repeat(9_000)
    );
    raw(&server.address, long.as_bytes());
    let log = server.ends();
    assert!(
        log.iter()
            .any(|line| line.contains("a notification was refused")),
        "{log:?}"
    );
    for line in &log {
        assert!(!line.starts_with("2026-11-30"), "{line}");
        assert!(line.len() <= 2048 && !line.contains('\u{202e}'), "{line}");
    }
    assert!(
        log.iter().any(|line| line.ends_with(" bytes more")),
        "{log:?}"
    );
}

#[test]
fn refusals_that_pour_are_a_few_lines_and_a_count() {
    let server = Logged::start(&[]);
    for _ in 0..500 {
        let (status, said) = shop::post(&server.url("/notify"), b"<xml><a>x</a></xml>");
        assert_eq!((status, said.as_str()), (200, "fail"));
    }
    let log = server.ends();
    let refused: Vec<_> = log
        .iter()
        .filter(|line| line.contains("a notification was refused"))
        .collect();
    let counted: u64 = refused
        .iter()
        .map(|line| match line.split_once("(the last of ") {
            Some((_, more)) => more.split(' ').next().and_then(|more| more.parse().ok()),
            None => Some(1),
        })
        .map(|count| count.expect("a number"))
        .sum();
    assert_eq!(counted, 500, "{refused:?}");
    assert!(refused.len() < 250, "{} lines", refused.len());
}

#[test]
fn a_log_that_nobody_reads_holds_nobody_up() {
    // With every connection in it: much more than a pipe holds.
    let server = Logged::start(&["--log", "debug"]);
    let nonsense = format!("{}\r\n\r\n", "\u{1b}".repeat(60));
    for _ in 0..1500 {
        raw(&server.address, nonsense.as_bytes());
    }
    for serial in 0..50 {
        let body = signed(paid("nobody-knows-it", &format!("T{serial}"), "350"));
        let began = Instant::now();
        let (status, said) = shop::post(&server.url("/notify"), body.as_bytes());
        assert_eq!((status, said.as_str()), (200, "fail"));
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "{:?}",
            began.elapsed()
        );
    }
    let size: usize = server.ends().iter().map(String::len).sum();
    assert!(size > 128 * 1024, "{size} bytes are no proof");
}

/// How many half-sent requests a flood has for each route: HALF_SENT, or 500.
fn flood() -> usize {
    let told = std::env::var("HALF_SENT").ok();
    told.map_or(500, |told| told.parse().expect("a number"))
}

/// One attack of this size at a time is what two cores show anything of.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A flood of them.
fn many_half_sent_requests(name: &str, many: bool, over_tls: bool) {
    let _alone = alone();
    let shop = match over_tls {
        true => small_tls_shop(NO_PROXIES),
        false => small_shop(NO_PROXIES),
    };
    let ca = over_tls.then(|| shop.path("ca.pem"));
    let (url, page): (String, fn(&Shop) -> String) = match over_tls {
        true => (format!("https://{}", shop.merchant.address), tls_metrics),
        false => (shop.merchant.url(""), metrics),
    };
    let memory = memory_at_work(&shop, &url);
    let (sent, honest) = Honest::during(&shop, &url, || {
        send_halves(&shop.merchant.address, flood(), many, ca.as_deref()).0
    });
    let began = Instant::now();
    println!("{name}: {sent} half-sent requests");
    honest.were_quick(name);
    all_is_as_before(&shop, memory, began, || page(&shop));
}

#[test]
#[ignore = "needs minutes: in .ci/run, HALF_SENT says how many to each route"]
fn a_flood_of_half_sent_requests_to_each_route_from_one_address() {
    many_half_sent_requests("from one address", false, false);
}

#[test]
#[ignore = "needs minutes: in .ci/run, HALF_SENT says how many to each route"]
fn a_flood_of_half_sent_requests_to_each_route_from_many_addresses() {
    many_half_sent_requests("from many addresses", true, false);
}

#[test]
#[ignore = "needs minutes: in .ci/run, HALF_SENT says how many to each route"]
fn a_flood_of_half_sent_requests_to_each_route_over_tls() {
    many_half_sent_requests("over TLS, from many addresses", true, true);
}

#[test]
#[ignore = "needs minutes"]
fn a_thousand_readers_that_never_read() {
    let _alone = alone();
    let shop = small_shop(NO_PROXIES);
    let memory = memory_at_work(&shop, &shop.merchant.url(""));
    let (waited_for, honest) = Honest::during(&shop, &shop.merchant.url(""), || {
        never_read(&shop.merchant.address, 1000)
    });
    assert!(waited_for >= 400, "{waited_for} prove something");
    let began = Instant::now();
    honest.were_quick("a thousand readers that never read");
    all_is_as_before(&shop, memory, began, || metrics(&shop));
}

#[test]
#[ignore = "needs nginx and Caddy, and minutes"]
fn the_same_through_the_proxies_of_the_examples() {
    let _alone = alone();
    for name in ["nginx", "caddy"] {
        let shop = small_shop("");
        certify(&shop);
        let port = free_port();
        let _proxy = proxy(&shop, name, port);
        let url = format!("https://127.0.0.1:{port}");
        let agent = trusting(&shop.path("ca.pem"));
        eventually(name, || agent.get(format!("{url}/healthz")).call().ok());
        let memory = memory_at_work(&shop, &url);
        let ca = shop.path("ca.pem");
        let address = format!("127.0.0.1:{port}");
        for many in [false, true] {
            let (sent, honest) = Honest::during(&shop, &url, || {
                send_halves(&address, 500, many, Some(&ca)).0
            });
            honest.were_quick(&format!("{name}, {sent} half-sent requests"));
        }
        let began = Instant::now();
        all_is_as_before(&shop, memory, began, || metrics(&shop));
    }
}
