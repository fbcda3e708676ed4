//! Where a request comes from: the other end of the connection, or what a trusted proxy says of its own.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use ipnet::IpNet;

use crate::http::Peer;
use crate::merchant::Merchant;

/// Its address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Client(pub IpAddr);

impl FromRequestParts<Arc<Merchant>> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        merchant: &Arc<Merchant>,
    ) -> Result<Client, Infallible> {
        let peer = parts.extensions.get::<Peer>();
        let peer = peer.map_or(IpAddr::from([0, 0, 0, 0]), |Peer(address)| *address);
        let trusted = &merchant.config.trusted_proxies;
        Ok(Client(behind(peer, &parts.headers, trusted)))
    }
}

/// Whether this is the address of a proxy whose word counts.
pub fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&address))
}

/// The nearest address that no trusted proxy has. `X-Forwarded-For` counts from its end, as far as those wrote it: before
/// that anybody can have written anything.
pub fn behind(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let told = headers.get_all("x-forwarded-for").into_iter();
    let told: Vec<&str> = told
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    let mut nearest = peer;
    for address in told.iter().rev() {
        if !is_trusted(nearest, trusted) {
            break;
        }
        match address.trim().parse::<IpAddr>() {
            Ok(address) => nearest = address.to_canonical(),
            Err(_) => break,
        }
    }
    nearest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let headers = forwarded.iter().map(|value| {
            let name = "x-forwarded-for".parse().expect("a name");
            (Some(name), value.parse().expect("a value"))
        });
        let mut all = HeaderMap::new();
        headers.for_each(|(name, value): (Option<axum::http::HeaderName>, _)| {
            all.append(name.expect("a name"), value);
        });
        let trusted: Vec<IpNet> = trusted
            .iter()
            .map(|net| net.parse().expect("a network"))
            .collect();
        behind(peer.parse().expect("an address"), &all, &trusted).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_as_far_as_it_wrote() {
        let ours = ["10.0.0.0/8"];
        assert_eq!(from("10.0.0.1", &["203.0.113.9"], &ours), "203.0.113.9");
        assert_eq!(
            from("203.0.113.9", &["1.2.3.4"], &ours),
            "203.0.113.9",
            "no proxy of ours"
        );
        assert_eq!(
            from("10.0.0.1", &["1.2.3.4, 203.0.113.9"], &ours),
            "203.0.113.9",
            "forged before it"
        );
        assert_eq!(
            from("10.0.0.1", &["1.2.3.4", "203.0.113.9, 10.0.0.2"], &ours),
            "203.0.113.9",
            "two of ours"
        );
        assert_eq!(from("10.0.0.1", &["nonsense"], &ours), "10.0.0.1");
        assert_eq!(from("10.0.0.1", &[], &ours), "10.0.0.1");
        assert_eq!(
            from("10.0.0.1", &["203.0.113.9"], &[]),
            "10.0.0.1",
            "nobody is trusted"
        );
    }
}
