//! What the system's files say of names: `/etc/hosts` and `/etc/resolv.conf`. A file that is not there says nothing.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// Where to ask, as `resolv.conf(5)` describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Configuration {
    /// The name servers, in order.
    pub servers: Vec<SocketAddr>,
    /// What may be missing at the end of a short name.
    pub search: Vec<String>,
}

impl Configuration {
    /// The names to ask for: a name without a dot may be a short one.
    pub fn full_names(&self, name: &str) -> Vec<String> {
        let is_short = !name.contains('.');
        let search = self.search.iter().filter(|_| is_short);
        let longer = search.map(|domain| format!("{name}.{domain}"));
        longer.chain([name.to_owned()]).collect()
    }
}

/// The addresses that `/etc/hosts` gives to this name.
pub fn hosts(file: &Path, name: &str) -> Vec<IpAddr> {
    let text = fs::read_to_string(file).unwrap_or_default();
    lines(&text)
        .filter_map(|mut words| Some((words.next()?.parse().ok()?, words)))
        .filter(|(_, names)| names.clone().any(|known| known.eq_ignore_ascii_case(name)))
        .map(|(address, _)| address)
        .collect()
}

/// What `/etc/resolv.conf` says; this machine itself where it names no server.
pub fn configuration(file: &Path) -> Configuration {
    let text = fs::read_to_string(file).unwrap_or_default();
    let (mut servers, mut search) = (Vec::new(), Vec::new());
    for mut words in lines(&text) {
        match words.next() {
            Some("nameserver") => servers.extend(words.next().and_then(server)),
            Some("search" | "domain") => search = words.map(str::to_ascii_lowercase).collect(),
            _ => {}
        }
    }
    if servers.is_empty() {
        servers.push(SocketAddr::from(([127, 0, 0, 1], 53)));
    }
    Configuration { servers, search }
}

/// An address, or an address with a port: `[::1]:5353`.
fn server(text: &str) -> Option<SocketAddr> {
    let address = || Some(SocketAddr::new(text.parse().ok()?, 53));
    text.parse().ok().or_else(address)
}

fn lines(text: &str) -> impl Iterator<Item = std::str::SplitAsciiWhitespace<'_>> {
    let is_comment = |c| matches!(c, '#' | ';');
    text.lines().map(move |line| {
        line.split(is_comment)
            .next()
            .unwrap_or("")
            .split_ascii_whitespace()
    })
}
