//! The questions for one name, and what the answers say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use simple_dns::rdata::{OPT, RData};
use simple_dns::{CLASS, Name, Packet, PacketFlag, Question, RCODE, TYPE};

use crate::random;

/// What came of asking.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Addresses, IPv4 first.
    Found(Found),
    /// Who must know says that there is no such name, or that it has no address.
    NoSuchName,
    /// Nothing that is of use: ask somebody else.
    Nothing,
}

/// The addresses of a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// At least one.
    pub addresses: Vec<IpAddr>,
    /// For how many seconds they are valid.
    pub valid: u64,
}

/// A question for the addresses of each family.
#[derive(Debug)]
pub struct Questions<'a> {
    name: Name<'a>,
    families: [Family; 2],
}

#[derive(Debug)]
struct Family {
    id: u16,
    kind: TYPE,
    heard: Option<Answer>,
}

impl<'a> Questions<'a> {
    /// The questions for this name; `None` if it cannot be a name.
    pub fn new(name: &'a str) -> Option<Questions<'a>> {
        let dice = random::bits();
        let family = |kind, id| Family {
            id,
            kind,
            heard: None,
        };
        Some(Questions {
            name: Name::new(name).ok()?,
            families: [
                family(TYPE::A, dice as u16),
                family(TYPE::AAAA, (dice >> 16) as u16),
            ],
        })
    }

    /// As they go on the wire.
    pub fn packets(&self) -> Vec<Vec<u8>> {
        let packet = |family: &Family| {
            let mut packet = Packet::new_query(family.id);
            packet.set_flags(PacketFlag::RECURSION_DESIRED);
            let kind = family.kind.into();
            let question = Question::new(self.name.clone(), kind, CLASS::IN.into(), true);
            packet.questions.push(question);
            // The largest answer that no network cuts into pieces (the DNS flag day of 2020).
            *packet.opt_mut() = Some(OPT {
                opt_codes: Vec::new(),
                udp_packet_size: 1232,
                version: 0,
            });
            packet.build_bytes_vec().ok()
        };
        self.families.iter().filter_map(packet).collect()
    }

    /// Takes in a packet. What does not answer one of these questions is nobody's business.
    pub fn hear(&mut self, packet: &[u8]) {
        let Ok(packet) = Packet::parse(packet) else {
            return;
        };
        let Some(family) = self
            .families
            .iter_mut()
            .find(|family| family.id == packet.id() && family.heard.is_none())
        else {
            return;
        };
        let is_ours = |question: &Question<'_>| question.qname == self.name;
        // An answer by multicast need not repeat the question.
        let is_answer =
            packet.has_flags(PacketFlag::RESPONSE) && packet.questions.iter().all(is_ours);
        if !is_answer {
            return;
        }
        let mut found = Found {
            addresses: Vec::new(),
            valid: u64::MAX,
        };
        for record in &packet.answers {
            let address: IpAddr = match &record.rdata {
                RData::A(a) => Ipv4Addr::from(a.address).into(),
                RData::AAAA(aaaa) => Ipv6Addr::from(aaaa.address).into(),
                _ => continue,
            };
            found.addresses.push(address);
            found.valid = found.valid.min(u64::from(record.ttl));
        }
        family.heard = Some(match packet.rcode() {
            RCODE::NoError if !found.addresses.is_empty() => Answer::Found(found),
            // Cut off before the first address: that says nothing.
            _ if packet.has_flags(PacketFlag::TRUNCATION) => Answer::Nothing,
            RCODE::NoError | RCODE::NameError => Answer::NoSuchName,
            _ => Answer::Nothing,
        });
    }

    /// Whether nothing more is to be waited for.
    pub fn are_answered(&self) -> bool {
        self.families.iter().all(|family| family.heard.is_some())
    }

    /// Whether there is an address already.
    pub fn has_found(&self) -> bool {
        matches!(self.answer(), Answer::Found(_))
    }

    /// What both answers come to.
    pub fn answer(&self) -> Answer {
        let mut all = Found {
            addresses: Vec::new(),
            valid: u64::MAX,
        };
        for family in &self.families {
            if let Some(Answer::Found(found)) = &family.heard {
                all.addresses.extend(&found.addresses);
                all.valid = all.valid.min(found.valid);
            }
        }
        let says_no = |family: &Family| family.heard == Some(Answer::NoSuchName);
        match self.families.iter().all(says_no) {
            _ if !all.addresses.is_empty() => Answer::Found(all),
            true => Answer::NoSuchName,
            false => Answer::Nothing,
        }
    }
}
