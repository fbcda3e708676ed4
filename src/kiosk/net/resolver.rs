//! Names to addresses by the system's own resolver, in the kiosk's loop.
//!
//! getaddrinfo would block, and ureq's own resolver starts a thread for it. So it is asked in a child process, `getent ahosts NAME`,
//! whose output is waited for together with keypad and panel: `/etc/nsswitch.conf`, multicast, TCP and a server's dislike of
//! EDNS are then glibc's business. An answer is remembered for a minute, and doubted as soon as a call fails: a router that
//! has lost its uplink may answer anything. What was once known is used again only where nothing else answers.

use std::collections::HashMap;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::transport::{self, Deadline, was_abandoned};
use crate::kiosk::ports::Socket;

/// How long an answer is good without asking again.
const FRESH_TIME: Duration = Duration::from_secs(60);
/// How long the system may take: a call's other half is for the connection, to where the name was before.
const ASK_TIME: Duration = Duration::from_millis(2500);
/// Before the system is asked again where it did not know what was once known.
const RECHECK: Duration = Duration::from_secs(10);
/// A packet that is lost is sent again at once; glibc by itself waits for five seconds.
const RESOLVER_OPTIONS: &str = "timeout:1 attempts:2";
/// As many addresses of one name as ureq has room for.
const MOST: usize = 16;

/// What names stand for, as far as it was asked.
#[derive(Debug, Default)]
pub struct Names(Mutex<HashMap<String, Known>>);

#[derive(Clone, Debug)]
struct Known {
    addresses: Vec<IpAddr>,
    fresh_until: Instant,
}

impl Names {
    /// Something came to nothing: whatever is known is asked for again before it is used.
    pub fn doubt(&self) {
        let now = Instant::now();
        for known in self.known().values_mut() {
            known.fresh_until = known.fresh_until.min(now);
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The addresses of a host, at least one.
    fn addresses(
        &self,
        host: &str,
        ask: impl FnOnce(&str) -> Result<Vec<IpAddr>, Error>,
    ) -> Result<Vec<IpAddr>, Error> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse() {
            return Ok(vec![address]);
        }
        let name = bare.to_ascii_lowercase();
        if name == "localhost" || name.ends_with(".localhost") {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let known = self.known().get(&name).cloned();
        let fresh = known.as_ref();
        if let Some(fresh) = fresh.filter(|known| Instant::now() < known.fresh_until) {
            return Ok(fresh.addresses.clone());
        }
        let asked = ask(&name);
        let (addresses, fresh_for) = match (asked, known) {
            (Ok(addresses), _) if !addresses.is_empty() => (addresses, FRESH_TIME),
            (Err(error), _) if was_abandoned() => return Err(error),
            (_, Some(known)) => {
                tracing::warn!("the system does not know {name} now: going on with what it was");
                (known.addresses, RECHECK)
            }
            (Ok(_), None) => return Err(Error::HostNotFound),
            (Err(error), None) => return Err(error),
        };
        let known = Known {
            addresses: addresses.clone(),
            fresh_until: Instant::now() + fresh_for,
        };
        self.known().insert(name, known);
        Ok(addresses)
    }
}

/// Resolves for ureq.
#[derive(Debug)]
pub struct SystemResolver(pub Arc<Names>);

impl Resolver for SystemResolver {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().ok_or(Error::HostNotFound)?;
        let own_port = if uri.scheme_str() == Some("https") {
            443
        } else {
            80
        };
        let port = uri.port_u16().unwrap_or(own_port);
        let deadline = Deadline::of(timeout).within(ASK_TIME);
        let addresses = self.0.addresses(host, |name| ask(name, &deadline))?;
        let mut found = self.empty();
        for address in addresses.into_iter().take(MOST) {
            found.push(SocketAddr::new(address, port));
        }
        Ok(found)
    }
}

/// Asks the system; none if it does not know the name.
fn ask(name: &str, deadline: &Deadline) -> Result<Vec<IpAddr>, Error> {
    let mut command = Command::new("getent");
    command.args(["ahosts", "--", name]);
    if std::env::var_os("RES_OPTIONS").is_none() {
        command.env("RES_OPTIONS", RESOLVER_OPTIONS);
    }
    let command = command.stdin(Stdio::null()).stderr(Stdio::null());
    let child = command.stdout(Stdio::piped()).spawn();
    let mut child = Asked(child.inspect_err(|error| tracing::error!("getent: {error}"))?);
    let output = child.0.stdout.take().ok_or(Error::HostNotFound)?;
    let said = read(output, deadline)?;
    child.0.wait()?;
    Ok(addresses_in(&said))
}

/// A child process that does not outlive the question.
struct Asked(Child);

impl Drop for Asked {
    fn drop(&mut self) {
        // It may have ended by itself, and been waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// All that it says.
fn read(mut output: ChildStdout, deadline: &Deadline) -> Result<String, Error> {
    rustix::io::ioctl_fionbio(&output, true).map_err(io::Error::from)?;
    let mut said = Vec::new();
    let mut piece = [0; 1024];
    loop {
        match output.read(&mut piece) {
            Ok(0) => return Ok(String::from_utf8_lossy(&said).into_owned()),
            Ok(length) => said.extend(&piece[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let file = output.as_fd();
                let to_write = false;
                transport::wait(Socket { file, to_write }, deadline)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The addresses in getent's lines, each once: `192.0.2.1       STREAM merchant.example`, and the same as DGRAM and RAW.
fn addresses_in(said: &str) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    let first_words = said
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    for address in first_words.filter_map(|word| word.parse().ok()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const FIRST: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const SECOND: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn each_address_is_taken_once_and_in_getents_order() {
        // As Debian 12's getent printed it.
        let said = "2001:db8::5     STREAM merchant.example\n2001:db8::5     DGRAM  \n2001:db8::5     RAW    \n\
                    192.0.2.1       STREAM \n192.0.2.1       DGRAM  \n192.0.2.1       RAW    \nfe80::1%eth0 STREAM\n";
        let v6: IpAddr = "2001:db8::5".parse().expect("an address");
        assert_eq!(addresses_in(said), [v6, FIRST]);
        assert_eq!(addresses_in(""), [] as [IpAddr; 0]);
    }

    #[test]
    fn what_is_an_address_or_this_machine_is_asked_nobody() {
        let names = Names::default();
        let nobody = |_: &str| panic!("asked");
        for (host, address) in [("192.0.2.1", "192.0.2.1"), ("[2001:db8::5]", "2001:db8::5")] {
            let address: IpAddr = address.parse().expect("an address");
            assert_eq!(names.addresses(host, nobody).expect("known"), [address]);
        }
        for host in ["localhost", "LOCALHOST", "a.localhost"] {
            let found = names.addresses(host, nobody).expect("known");
            assert!(found.iter().all(IpAddr::is_loopback), "{host}");
        }
    }

    #[test]
    fn an_answer_is_good_until_it_is_doubted_and_then_only_for_want_of_another() {
        let names = Names::default();
        let asked = Cell::new(0);
        let look = |answer: Result<Vec<IpAddr>, Error>| {
            names.addresses("merchant.example", |_| {
                asked.set(asked.get() + 1);
                answer
            })
        };
        assert!(matches!(look(Ok(vec![])), Err(Error::HostNotFound)));
        assert_eq!(look(Ok(vec![FIRST])).expect("found"), [FIRST]);
        assert_eq!(look(Ok(vec![SECOND])).expect("found"), [FIRST]);
        assert_eq!(asked.get(), 2, "it is remembered");
        names.doubt();
        assert_eq!(look(Ok(vec![SECOND])).expect("found"), [SECOND]);
        names.doubt();
        let silent = Err(Error::Timeout(ureq::Timeout::Resolve));
        for nothing in [Ok(vec![]), silent] {
            assert_eq!(look(nothing).expect("what it was"), [SECOND]);
            names.doubt();
        }
        assert_eq!(look(Ok(vec![FIRST])).expect("found"), [FIRST]);
    }
}
