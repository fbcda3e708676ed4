//! Names to addresses, in the kiosk's loop: `/etc/hosts`, what is remembered, then the network's name servers.
//!
//! getaddrinfo would block, and ureq's own resolver starts a thread for it. What was once known is remembered for as long
//! as it is valid; where no name server answers, the old addresses serve on for days (RFC 8767): the name of a merchant's
//! server changes more rarely than a shop's router fails. Names in `.local` are asked for with multicast (RFC 6762).

mod files;
mod query;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use self::query::{Answer, Found};
use super::transport::{self, Deadline, was_abandoned};
use crate::kiosk::ports::Socket;

/// How long one name server has to answer before the next is asked.
const SERVER_TIME: Duration = Duration::from_millis(1500);
/// For so long old addresses serve on while no name server answers (RFC 8767, section 5).
const STALE_TIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// Before the name servers are asked again after they did not answer.
const RECHECK: Duration = Duration::from_secs(30);
/// What a name server says of how long its answer is valid, within reason.
const VALID: std::ops::RangeInclusive<u64> = 5..=86_400;
/// Where a `.local` name is asked for.
const MULTICAST: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(224, 0, 0, 251)), 5353);
/// As many addresses of one name as ureq has room for.
const MOST: usize = 16;

/// The names that were asked for, and where to ask.
#[derive(Debug)]
pub struct LoopResolver {
    hosts: PathBuf,
    configuration: PathBuf,
    known: Mutex<HashMap<String, Known>>,
}

/// The addresses of one name.
#[derive(Clone, Debug)]
struct Known {
    addresses: Vec<IpAddr>,
    learned: Instant,
    ask_again: Instant,
}

impl Default for LoopResolver {
    fn default() -> LoopResolver {
        LoopResolver::with("/etc/hosts", "/etc/resolv.conf")
    }
}

impl Resolver for LoopResolver {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().ok_or(Error::HostNotFound)?;
        let port = uri
            .port_u16()
            .unwrap_or(if uri.scheme_str() == Some("https") {
                443
            } else {
                80
            });
        let mut found = self.empty();
        for address in self
            .addresses(host, &Deadline::of(timeout))?
            .iter()
            .take(MOST)
        {
            found.push(SocketAddr::new(*address, port));
        }
        Ok(found)
    }
}

impl LoopResolver {
    /// A resolver that reads these files, each time that it needs them.
    fn with(hosts: impl Into<PathBuf>, configuration: impl Into<PathBuf>) -> LoopResolver {
        LoopResolver {
            hosts: hosts.into(),
            configuration: configuration.into(),
            known: Mutex::default(),
        }
    }

    /// The addresses of a host, at least one.
    fn addresses(&self, host: &str, deadline: &Deadline) -> Result<Vec<IpAddr>, Error> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse() {
            return Ok(vec![address]);
        }
        let name = bare.trim_end_matches('.').to_ascii_lowercase();
        if name == "localhost" || name.ends_with(".localhost") {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let hosts = files::hosts(&self.hosts, &name);
        if !hosts.is_empty() {
            return Ok(hosts);
        }
        let now = Instant::now();
        let known = self.known().get(&name).cloned();
        if let Some(known) = known.as_ref().filter(|known| now < known.ask_again) {
            return Ok(known.addresses.clone());
        }
        match (self.ask_network(&name, deadline), known) {
            (Ok(Answer::Found(Found { addresses, valid })), _) => {
                let seconds = valid.clamp(*VALID.start(), *VALID.end());
                let known = Known {
                    addresses: addresses.clone(),
                    learned: now,
                    ask_again: now + Duration::from_secs(seconds),
                };
                self.known().insert(name, known);
                Ok(addresses)
            }
            (Err(error), _) if was_abandoned() => Err(error),
            // A router that has lost its uplink may say that there is no such name: one that there was is kept.
            (Ok(Answer::NoSuchName | Answer::Nothing) | Err(_), Some(mut known))
                if now - known.learned < STALE_TIME =>
            {
                tracing::warn!("no name server knows {name} now; going on with what it was");
                known.ask_again = now + RECHECK;
                let addresses = known.addresses.clone();
                self.known().insert(name, known);
                Ok(addresses)
            }
            (Ok(Answer::NoSuchName | Answer::Nothing), _) => Err(Error::HostNotFound),
            (Err(error), _) => Err(error),
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks one after the other who could know.
    fn ask_network(&self, name: &str, deadline: &Deadline) -> Result<Answer, Error> {
        let configuration = files::configuration(&self.configuration);
        let is_local = name.ends_with(".local");
        let multicast = is_local.then_some(MULTICAST);
        let mut last = Answer::Nothing;
        for full in configuration.full_names(name) {
            for server in multicast.into_iter().chain(configuration.servers.clone()) {
                match ask(server, &full, deadline) {
                    Ok(Answer::Nothing) => {}
                    Ok(answer @ Answer::Found(_)) => return Ok(answer),
                    Ok(Answer::NoSuchName) => {
                        last = Answer::NoSuchName;
                        break;
                    }
                    Err(error) if was_abandoned() => return Err(error),
                    // The whole time is up, or only that of this server.
                    Err(Error::Timeout(reason)) if deadline.is_over() => {
                        return Err(Error::Timeout(reason));
                    }
                    Err(error) => tracing::debug!("the name server {server}: {error}"),
                }
            }
        }
        Ok(last)
    }
}

/// Asks one server for the addresses of both families.
fn ask(server: SocketAddr, name: &str, deadline: &Deadline) -> Result<Answer, Error> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.set_nonblocking(true)?;
    let is_multicast = server.ip().is_multicast();
    if !is_multicast {
        // Then the kernel drops whatever comes from anybody else.
        socket.connect(server)?;
    }
    let mut questions = query::Questions::new(name).ok_or(Error::HostNotFound)?;
    for packet in questions.packets() {
        match is_multicast {
            true => socket.send_to(&packet, server)?,
            false => socket.send(&packet)?,
        };
    }
    let deadline = deadline.within(SERVER_TIME);
    let mut packet = [0; 1500];
    while !questions.are_answered() {
        match socket.recv(&mut packet) {
            Ok(length) => questions.hear(&packet[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let socket = Socket {
                    file: socket.as_fd(),
                    to_write: false,
                };
                match transport::wait(socket, &deadline) {
                    // One family is enough; a server that drops the other's question is no reason to fail.
                    Err(_) if !was_abandoned() && questions.has_found() => break,
                    waited => waited?,
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(questions.answer())
}

#[cfg(test)]
mod tests;
