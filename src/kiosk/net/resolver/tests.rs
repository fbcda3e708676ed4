//! A name server on loopback, a router that dies, and the files.

use std::fs;
use std::thread;

use simple_dns::rdata::{A, AAAA, RData};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};
use tempfile::TempDir;

use super::*;
use crate::kiosk::net::Patient;
use crate::kiosk::net::transport::awake;
use crate::kiosk::ports::{Awake, Patience};

/// Somebody presses a key at once.
struct Hurried;

impl Awake for Hurried {
    fn wait(&mut self, _: Option<Socket<'_>>, _: Duration) -> Patience {
        Patience::Abandon
    }
}

/// A name server that answers so many packets.
fn server(
    packets: usize,
    answer: impl Fn(&Packet<'_>) -> Packet<'static> + Send + 'static,
) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("bound");
    thread::spawn(move || {
        let mut bytes = [0; 1500];
        for _ in 0..packets {
            let (length, from) = socket.recv_from(&mut bytes).expect("a question");
            let question = Packet::parse(&bytes[..length]).expect("a packet");
            let answer = answer(&question).build_bytes_vec().expect("a packet");
            socket.send_to(&answer, from).expect("sent");
        }
    });
    address
}

fn reply(question: &Packet<'_>) -> Packet<'static> {
    let mut reply = Packet::new_reply(question.id());
    reply.questions = question
        .questions
        .iter()
        .map(|q| q.clone().into_owned())
        .collect();
    reply
}

/// `merchant.example` has one address of each family.
fn knows(question: &Packet<'_>) -> Packet<'static> {
    let mut answer = reply(question);
    let data = match question.questions[0].qtype {
        QTYPE::TYPE(TYPE::A) => RData::A(A::from(Ipv4Addr::new(192, 0, 2, 7))),
        _ => RData::AAAA(AAAA::from(
            "2001:db8::7".parse::<Ipv6Addr>().expect("an address"),
        )),
    };
    let name = Name::new_unchecked("merchant.example").into_owned();
    answer
        .answers
        .push(ResourceRecord::new(name, CLASS::IN, 60, data));
    answer
}

/// A resolver with these servers and these hosts.
fn resolver(servers: &[SocketAddr], hosts: &str) -> (LoopResolver, TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let servers: String = servers
        .iter()
        .map(|server| format!("nameserver {server}\n"))
        .collect();
    fs::write(dir.path().join("hosts"), hosts).expect("written");
    fs::write(
        dir.path().join("resolv.conf"),
        format!("search shop.example\n{servers}"),
    )
    .expect("written");
    let resolver = LoopResolver::with(dir.path().join("hosts"), dir.path().join("resolv.conf"));
    (resolver, dir)
}

fn asks(resolver: &LoopResolver, host: &str) -> Result<Vec<String>, String> {
    let deadline = Deadline::of(NextTimeout::default()).within(Duration::from_millis(400));
    let found = awake(&mut Patient, || resolver.addresses(host, &deadline));
    let text = |address: IpAddr| address.to_string();
    found
        .map(|found| found.into_iter().map(text).collect())
        .map_err(|error| error.to_string())
}

const FOUND: [&str; 2] = ["192.0.2.7", "2001:db8::7"];

#[test]
fn addresses_and_the_files_need_no_network() {
    let (resolver, _dir) = resolver(
        &[],
        "192.0.2.1 merchant.example Merchant # the shop\n2001:db8::1 merchant.example\n",
    );
    assert_eq!(asks(&resolver, "192.0.2.9").expect("itself"), ["192.0.2.9"]);
    assert_eq!(
        asks(&resolver, "[2001:db8::9]").expect("itself"),
        ["2001:db8::9"]
    );
    assert_eq!(
        asks(&resolver, "localhost").expect("known"),
        ["127.0.0.1", "::1"]
    );
    assert_eq!(
        asks(&resolver, "merchant.EXAMPLE").expect("in the file"),
        ["192.0.2.1", "2001:db8::1"]
    );
    assert_eq!(
        asks(&resolver, "merchant").expect("in the file"),
        ["192.0.2.1"]
    );
}

#[test]
fn what_was_answered_is_remembered() {
    let (resolver, _dir) = resolver(&[server(2, knows)], "");
    assert_eq!(asks(&resolver, "merchant.example").expect("known"), FOUND);
    assert_eq!(
        asks(&resolver, "merchant.example").expect("remembered: the server is gone"),
        FOUND
    );
}

#[test]
fn old_addresses_serve_on_while_no_name_server_answers() {
    let (resolver, _dir) = resolver(&[server(2, knows)], "");
    asks(&resolver, "merchant.example").expect("known");
    let age = |resolver: &LoopResolver, days: u32| {
        let mut known = resolver.known();
        let known = known.get_mut("merchant.example").expect("known");
        let day = Duration::from_secs(24 * 3600);
        // A machine that has just started knows no such moment.
        let (Some(learned), now) = (Instant::now().checked_sub(day * days), Instant::now()) else {
            return false;
        };
        (known.learned, known.ask_again) = (learned, now);
        true
    };
    assert!(age(&resolver, 0));
    assert_eq!(asks(&resolver, "merchant.example").expect("stale"), FOUND);
    if age(&resolver, 8) {
        assert!(asks(&resolver, "merchant.example").is_err(), "too old");
    }
}

#[test]
fn the_next_server_is_asked_if_one_is_of_no_use() {
    let broken = server(2, |question| {
        let mut answer = reply(question);
        *answer.rcode_mut() = RCODE::ServerFailure;
        answer
    });
    let (resolver, _dir) = resolver(&[broken, server(2, knows)], "");
    assert_eq!(
        asks(&resolver, "merchant.example").expect("known there"),
        FOUND
    );
}

#[test]
fn a_short_name_is_looked_for_in_the_shops_domain() {
    let strict = server(2, |question| {
        assert_eq!(question.questions[0].qname.to_string(), "till.shop.example");
        knows(question)
    });
    let (resolver, _dir) = resolver(&[strict], "");
    assert_eq!(asks(&resolver, "till").expect("found"), FOUND);
}

#[test]
fn a_name_that_does_not_exist_is_told_as_such() {
    let nowhere = server(2, |question| {
        let mut answer = reply(question);
        *answer.rcode_mut() = RCODE::NameError;
        answer
    });
    let (resolver, _dir) = resolver(&[nowhere], "");
    assert_eq!(
        asks(&resolver, "merchent.example"),
        Err("host not found".to_owned())
    );
}

#[test]
fn a_router_without_uplink_does_not_make_a_known_name_unknown() {
    let router = server(4, {
        let asked = std::sync::atomic::AtomicU32::new(0);
        move |question| {
            if asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 2 {
                return knows(question);
            }
            let mut answer = reply(question);
            *answer.rcode_mut() = RCODE::NameError;
            answer
        }
    });
    let (resolver, _dir) = resolver(&[router], "");
    assert_eq!(asks(&resolver, "merchant.example").expect("known"), FOUND);
    let now = Instant::now();
    resolver
        .known()
        .get_mut("merchant.example")
        .expect("known")
        .ask_again = now;
    assert_eq!(asks(&resolver, "merchant.example").expect("stale"), FOUND);
}

#[test]
fn an_answer_that_was_cut_off_before_the_address_says_nothing() {
    let cut = server(2, |question| {
        let mut answer = reply(question);
        answer.set_flags(PacketFlag::TRUNCATION);
        answer
    });
    let (resolver, _dir) = resolver(&[cut, server(2, knows)], "");
    assert_eq!(
        asks(&resolver, "merchant.example").expect("known there"),
        FOUND
    );
}

#[test]
fn an_answer_to_another_question_is_no_answer() {
    type Forger = fn(&Packet<'_>) -> Packet<'static>;
    let another_id: Forger = |question| {
        let mut answer = Packet::new_reply(question.id() ^ 1);
        answer.answers = knows(question).answers;
        answer
    };
    let another_name: Forger = |question| {
        let mut answer = knows(question);
        answer.questions[0].qname = Name::new_unchecked("evil.example").into_owned();
        answer
    };
    let a_question: Forger = |question| {
        let mut answer = knows(question);
        answer.remove_flags(PacketFlag::RESPONSE);
        answer
    };
    for forge in [another_id, another_name, a_question] {
        let forger = server(2, forge);
        let (resolver, _dir) = resolver(&[forger], "");
        assert!(asks(&resolver, "merchant.example").is_err());
    }
}

#[test]
fn a_key_ends_the_wait_for_a_name_server() {
    let deaf = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let (resolver, _dir) = resolver(&[deaf.local_addr().expect("bound")], "");
    let deadline = Deadline::of(NextTimeout::default()).within(Duration::from_secs(60));
    let found = awake(&mut Hurried, || {
        resolver.addresses("merchant.example", &deadline)
    });
    assert!(found.is_err() && was_abandoned());
}
