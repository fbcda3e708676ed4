//! Names, in a network of its own whose name server behaves as some do: the kiosk sells as soon as a name can be known.

#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::shop::Shop;

/// How soon a kiosk shows a code once a name can be known.
const SOON: Duration = Duration::from_secs(10);

/// How the name server behaves. The first four were met in shops; what they answer is in RFC 1035 and RFC 6891.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mood {
    Well,
    /// It answers FORMERR to whoever offers EDNS.
    FormErrToEdns,
    /// It answers NOTIMP to whoever offers EDNS.
    NotImpToEdns,
    /// It says nothing to whoever offers EDNS.
    SilentToEdns,
    /// It says nothing at all.
    Silent,
    /// The first question is lost.
    LosesOne,
    /// A router without its uplink: every name is an address where nobody answers, for a day.
    Lies,
    /// There is no such name.
    NxDomain,
    /// By UDP it only says that its answer is too long.
    OnlyTcp,
}

struct NameServer {
    mood: Mutex<Mood>,
    asked: AtomicU32,
}

impl NameServer {
    fn start() -> Arc<NameServer> {
        let server = Arc::new(NameServer {
            mood: Mutex::new(Mood::Well),
            asked: AtomicU32::new(0),
        });
        let udp = UdpSocket::bind("127.0.0.1:53").expect("a network of our own");
        let tcp = TcpListener::bind("127.0.0.1:53").expect("a network of our own");
        let by_udp = Arc::clone(&server);
        thread::spawn(move || {
            let mut question = [0; 1500];
            while let Ok((length, from)) = udp.recv_from(&mut question) {
                if let Some(answer) = by_udp.answer(&question[..length], false) {
                    let _ = udp.send_to(&answer, from);
                }
            }
        });
        let by_tcp = Arc::clone(&server);
        thread::spawn(move || {
            for stream in tcp.incoming() {
                let Ok(mut stream) = stream else { continue };
                let mut length = [0; 2];
                while stream.read_exact(&mut length).is_ok() {
                    let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
                    let answer = match stream.read_exact(&mut question) {
                        Ok(()) => by_tcp.answer(&question, true),
                        Err(_) => None,
                    };
                    let Some(answer) = answer else { break };
                    let length = (answer.len() as u16).to_be_bytes();
                    let _ = stream.write_all(&[&length[..], &answer].concat());
                }
            }
        });
        server
    }

    fn is(&self, mood: Mood) {
        *self.mood.lock().expect("nobody panics with it") = mood;
        self.asked.store(0, Ordering::Relaxed);
    }

    fn answer(&self, question: &[u8], is_tcp: bool) -> Option<Vec<u8>> {
        const NOERROR: u8 = 0;
        const FORMERR: u8 = 1;
        const NXDOMAIN: u8 = 3;
        const NOTIMP: u8 = 4;
        const TRUNCATED: u8 = 2;
        let mood = *self.mood.lock().expect("nobody panics with it");
        let is_first = self.asked.fetch_add(1, Ordering::Relaxed) == 0;
        // Whatever is additional in a question is EDNS's OPT record.
        let offers_edns = question[11] > 0;
        // The name ends with an empty label; type and class follow.
        let end = 12 + question[12..].iter().position(|byte| *byte == 0)? + 5;
        let wants_v4 = question[end - 4..end - 2] == [0, 1];
        let here = Ipv4Addr::LOCALHOST;
        let (code, truncated, address) = match mood {
            Mood::Silent => return None,
            Mood::SilentToEdns if offers_edns => return None,
            Mood::LosesOne if is_first => return None,
            Mood::FormErrToEdns if offers_edns => (FORMERR, 0, None),
            Mood::NotImpToEdns if offers_edns => (NOTIMP, 0, None),
            Mood::NxDomain => (NXDOMAIN, 0, None),
            Mood::OnlyTcp if !is_tcp => (NOERROR, TRUNCATED, None),
            Mood::Lies => (NOERROR, 0, Some(Ipv4Addr::new(127, 0, 0, 66))),
            _ => (NOERROR, 0, Some(here)),
        };
        let address = address.filter(|_| wants_v4);
        let mut answer = question[..2].to_vec();
        answer.extend([
            0x81 | truncated,
            0x80 | code,
            0,
            1,
            0,
            u8::from(address.is_some()),
        ]);
        answer.extend([0, 0, 0, 0]);
        answer.extend(&question[12..end]);
        if let Some(address) = address {
            // The same name, A, IN, a day, four bytes.
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 1, 0x51, 0x80, 0, 4]);
            answer.extend(address.octets());
        }
        Some(answer)
    }
}

#[test]
#[ignore = "needs root"]
fn whatever_the_name_server_does_the_kiosk_sells_as_soon_as_a_name_can_be_known() {
    if std::env::var_os("NAMES_INSIDE").is_none() {
        let itself = std::env::current_exe().expect("this program");
        let name =
            "names::whatever_the_name_server_does_the_kiosk_sells_as_soon_as_a_name_can_be_known";
        let mut inside = Command::new("unshare");
        inside.args(["--net", "--mount"]).arg(itself);
        inside.args([name, "--exact", "--ignored", "--nocapture"]);
        let ended = inside.env("NAMES_INSIDE", "1").status();
        assert!(ended.expect("unshare is there").success());
        return;
    }
    run("ip", &["link", "set", "lo", "up"]);
    let dir = tempfile::tempdir().expect("a directory");
    for (name, text) in [
        // As NetworkManager writes it on Raspberry Pi OS: without `options edns0`, glibc offers no EDNS.
        ("resolv.conf", "nameserver 127.0.0.1\n"),
        ("nsswitch.conf", "hosts: files dns\n"),
    ] {
        let ours = dir.path().join(name);
        fs::write(&ours, text).expect("written");
        let theirs = fs::canonicalize(format!("/etc/{name}")).expect("it is there");
        let [ours, theirs] = [&ours, &theirs].map(|path| path.to_str().expect("plain"));
        run("mount", &["--bind", ours, theirs]);
    }
    let server = NameServer::start();
    let shop = Shop::open();
    let platform = shop.platform(&[]);
    let port = |address: &str| address.split(':').nth(1).expect("a port").to_owned();
    let merchant_url = format!("http://merchant.test:{}", port(&shop.merchant.address));
    let platform_url = format!("http://platform.test:{}/prod-api", port(&platform.address));
    for (before, then) in [
        (Mood::Well, Mood::Well),
        (Mood::FormErrToEdns, Mood::FormErrToEdns),
        (Mood::NotImpToEdns, Mood::NotImpToEdns),
        (Mood::SilentToEdns, Mood::SilentToEdns),
        (Mood::LosesOne, Mood::LosesOne),
        (Mood::OnlyTcp, Mood::OnlyTcp),
        (Mood::Lies, Mood::Well),
        (Mood::NxDomain, Mood::Well),
        (Mood::Silent, Mood::Well),
    ] {
        server.is(before);
        let mut kiosk = shop.kiosk_between(&platform_url, &merchant_url, "allow-plain-http = true");
        if before != then {
            kiosk.logs("no answer");
            assert_eq!(threads(kiosk.child.id()), 1, "{before:?}");
            assert!(!kiosk.log().contains("screen amount"), "{before:?}");
            server.is(then);
        }
        let began = Instant::now();
        kiosk.types("3.50#");
        kiosk.code(None);
        let took = began.elapsed();
        println!("{before:?}, then {then:?}: a code after {took:?}");
        assert!(took < SOON, "{before:?}: {took:?}");
        kiosk.types("C");
        kiosk.logs("screen not-paid");
        let _ = fs::remove_file(shop.path("panel.png"));
    }
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status();
    let status = status.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(status.success(), "{program} {arguments:?}");
}

fn threads(id: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"));
    line.and_then(|count| count.trim().parse().ok())
        .expect("a number")
}
