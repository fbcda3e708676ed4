//! The address that a QR code is drawn of: to a listed host, about our order.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::{Request, ScanRules};
use crate::ids::ScanUrl;

/// What belongs in no address, and is escaped where it is drawn; so is whatever is no ASCII.
const NOT_DRAWN: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Takes an address apart by the one grammar that we accept, `scheme://host[:port]/…`: no user part, nothing before the path that
/// two programs could read differently. What is no ASCII behind it, or belongs in no address, is escaped.
pub(super) fn check(
    text: &str,
    request: &Request<'_>,
    rules: &ScanRules,
) -> Result<ScanUrl, &'static str> {
    let text = text.trim();
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return Err("it is not UTF-8");
    }
    if text.contains(char::is_control) {
        return Err("it holds control characters");
    }
    let (scheme, rest) = text.split_once("://").ok_or("it has no scheme")?;
    let scheme = scheme.to_ascii_lowercase();
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    let host = Host::read(authority)?;
    if !rules
        .hosts
        .iter()
        .any(|allowed| host.matches(allowed, &scheme))
    {
        return Err("its host is not in scan-hosts");
    }
    match &*scheme {
        "https" => {}
        "http" if host.is_loopback() || rules.plain_http => {}
        _ => return Err("it is not https"),
    }
    if !rules.is_host_enough {
        is_about(path, request, rules)?;
    }
    // Whoever opens it puts the slash there as well.
    let root = if path.starts_with('/') { "" } else { "/" };
    let authority = authority.to_ascii_lowercase();
    let whole = format!(
        "{scheme}://{authority}{root}{}",
        utf8_percent_encode(path, NOT_DRAWN)
    );
    ScanUrl::new(&whole).ok_or("it is longer than 512 characters")
}

/// Whether our order number is in it, and nothing of another order: what bears one of the names is ours.
fn is_about(path: &str, request: &Request<'_>, rules: &ScanRules) -> Result<(), &'static str> {
    let [key, number] = &rules.params;
    // Whatever may part one value from the next, for whomever reads it.
    for pair in path.split(['&', '?', '#', ';', '/']) {
        let Some((name, value)) = pair.split_once('=') else {
            continue;
        };
        let (name, value) = (unescaped(name), unescaped(value));
        if name.eq_ignore_ascii_case(key) && value != request.app_key {
            return Err("its key is not ours");
        }
        if name.eq_ignore_ascii_case(number) && value != request.order_no.as_str() {
            return Err("its number is not our order number");
        }
    }
    match unescaped(path).contains(request.order_no.as_str()) {
        true => Ok(()),
        false => Err("our order number is not in it"),
    }
}

/// A text with its `%41` as the characters they stand for.
fn unescaped(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// The host part of an address.
struct Host<'a> {
    name: &'a str,
    port: Option<&'a str>,
}

impl<'a> Host<'a> {
    fn read(authority: &'a str) -> Result<Host<'a>, &'static str> {
        let (name, port) = match authority.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (authority, None),
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
        let is_port = |port: &str| {
            !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit())
        };
        if name.is_empty() || !name.bytes().all(plain) || !port.is_none_or(is_port) {
            return Err("its host is not a plain name");
        }
        Ok(Host { name, port })
    }

    fn is_loopback(&self) -> bool {
        self.name.eq_ignore_ascii_case("localhost")
            || self
                .name
                .parse::<std::net::Ipv4Addr>()
                .is_ok_and(|address| address.is_loopback())
    }

    fn matches(&self, allowed: &str, scheme: &str) -> bool {
        let (name, port) = match allowed.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (allowed, None),
        };
        let own_port = if scheme == "https" { "443" } else { "80" };
        let port_fits = match port {
            Some(port) => self.port.unwrap_or(own_port) == port,
            None => self.is_loopback() || self.port.is_none_or(|port| port == own_port),
        };
        let ours = self.name.to_ascii_lowercase();
        let name = name.to_ascii_lowercase();
        let name_fits = match name.strip_prefix('*') {
            // A leading `*.`: one label or more before the dot.
            Some(domain) => ours
                .strip_suffix(domain)
                .is_some_and(|labels| !labels.is_empty()),
            None => ours == name,
        };
        name_fits && port_fits
    }
}
