//! AddOrderInfo: the one call the platform offers, and the check of the address it answers with.
//!
//! The call is unsigned and the answer comes from the network: what ends up in a QR code must point to a configured
//! host and name our own order, or nothing is drawn.

use serde::{Deserialize, Serialize};

use crate::ids::{OrderNo, ScanUrl};
use crate::money::Fen;

/// Where the call goes, below the configured platform address.
pub const PATH: &str = "/up/public/AddOrderInfo";

/// The request's body.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request<'a> {
    /// The merchant's key at the platform. It stands in every QR code: it is public.
    pub app_key: &'a str,
    /// A number that was never used before.
    pub order_no: OrderNo,
    /// What is to be paid, in fen.
    pub total: Fen,
}

#[derive(Deserialize)]
struct Answer {
    code: i64,
    #[serde(default)]
    msg: Option<String>,
    #[serde(default)]
    data: Option<Added>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Added {
    scan_url: String,
    order: Echo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Echo {
    app_key: String,
    order_no: String,
    total: i64,
}

/// Why there is no address to pay at.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAdded {
    /// The platform says no. Its `code` counts, whatever the HTTP status; `msg` is for people.
    #[error("the platform refused the order: code {code}, {msg}")]
    Refused {
        /// The body's `code`.
        code: i64,
        /// The body's `msg`.
        msg: String,
    },
    /// The answer is not what the platform documents.
    #[error("the platform's answer makes no sense: {0}")]
    Garbage(String),
    /// The answer is about another order.
    #[error("the platform's answer is about another order: its {0} is not ours")]
    Mismatch(&'static str),
    /// The address may not be drawn.
    #[error("the platform's address {url} is not drawn: {why}")]
    Foreign {
        /// The address.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// Which addresses a QR code may point to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScanRules {
    /// Hosts, with a port where it is not the scheme's own: `up.selpay.cn`, `127.0.0.1:8081`.
    /// A loopback host without a port stands for any of its ports.
    pub hosts: Vec<String>,
    /// Whether `http` is good enough for a listed host that is not loopback. Only the demo says so.
    pub plain_http: bool,
}

/// Reads the platform's answer to `request` and checks the address in it.
pub fn read(body: &[u8], request: &Request<'_>, rules: &ScanRules) -> Result<ScanUrl, NotAdded> {
    let answer: Answer =
        serde_json::from_slice(body).map_err(|error| NotAdded::Garbage(error.to_string()))?;
    if answer.code != 200 {
        let msg = answer
            .msg
            .unwrap_or_default()
            .chars()
            .filter(|c| !c.is_control())
            .take(200)
            .collect();
        return Err(NotAdded::Refused {
            code: answer.code,
            msg,
        });
    }
    let added = answer
        .data
        .ok_or_else(|| NotAdded::Garbage("code 200 without data".to_owned()))?;
    if added.order.app_key != request.app_key {
        return Err(NotAdded::Mismatch("appKey"));
    }
    if added.order.order_no != request.order_no.as_str() {
        return Err(NotAdded::Mismatch("orderNo"));
    }
    if added.order.total != i64::from(request.total.get()) {
        return Err(NotAdded::Mismatch("total"));
    }
    check_url(&added.scan_url, request, rules).map_err(|why| NotAdded::Foreign {
        url: added
            .scan_url
            .chars()
            .filter(|c| !c.is_control())
            .take(255)
            .collect(),
        why,
    })
}

/// Takes an address apart by the one grammar we accept: `scheme://host[:port]/…?appKey=…&no=…`.
///
/// Printable ASCII only, no user part, no backslash: nothing that two programs could read differently.
fn check_url(
    text: &str,
    request: &Request<'_>,
    rules: &ScanRules,
) -> Result<ScanUrl, &'static str> {
    let url = ScanUrl::new(text).ok_or("it is longer than 255 characters or not plain ASCII")?;
    if text.contains(['\\', '"', '<', '>', '^', '`', '{', '|', '}']) {
        return Err("it holds characters that belong in no address");
    }
    let (scheme, rest) = text.split_once("://").ok_or("it has no scheme")?;
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    let host = Host::read(authority)?;
    if !rules
        .hosts
        .iter()
        .any(|allowed| host.matches(allowed, scheme))
    {
        return Err("its host is not in scan-hosts");
    }
    match scheme {
        "https" => {}
        "http" if host.is_loopback() || rules.plain_http => {}
        _ => return Err("it is not https"),
    }
    if !path.starts_with('/') {
        return Err("it has no path");
    }
    let (_, query) = path.split_once('?').ok_or("it names no order")?;
    if only_value(query, "appKey")? != request.app_key {
        return Err("its appKey is not ours");
    }
    if only_value(query, "no")? != request.order_no.as_str() {
        return Err("its no is not our order number");
    }
    Ok(url)
}

/// The value of a parameter that occurs exactly once.
fn only_value<'a>(query: &'a str, name: &str) -> Result<&'a str, &'static str> {
    let mut values = query
        .split(['&', '?', '#', ';'])
        .filter_map(|pair| pair.split_once('='))
        .filter(|(key, _)| *key == name);
    match (values.next(), values.next()) {
        (Some((_, value)), None) => Ok(value),
        (None, _) => Err("it lacks appKey or no"),
        (Some(_), Some(_)) => Err("it names appKey or no twice"),
    }
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
        self.name.eq_ignore_ascii_case(name) && port_fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP_KEY: &str = "5f53481517b449b0a8c8dbe808d8bf5c";

    fn request() -> Request<'static> {
        Request {
            app_key: APP_KEY,
            order_no: "asdfsdfsdfsdfds".parse().expect("a number"),
            total: Fen::new(12).expect("an amount"),
        }
    }

    fn rules(host: &str) -> ScanRules {
        ScanRules {
            hosts: vec![host.to_owned()],
            plain_http: false,
        }
    }

    fn url(text: &str) -> Result<ScanUrl, &'static str> {
        check_url(text, &request(), &rules("up.selpay.cn"))
    }

    fn documented() -> serde_json::Value {
        serde_json::json!({
            "msg": "操作成功", "code": 200,
            "data": {
                "scanUrl": format!("https://up.selpay.cn/#/pages/rt/index?appKey={APP_KEY}&no=asdfsdfsdfsdfds"),
                "order": {"appKey": APP_KEY, "orderNo": "asdfsdfsdfsdfds", "total": 12}
            }
        })
    }

    fn answer(value: &serde_json::Value) -> Result<ScanUrl, NotAdded> {
        read(
            value.to_string().as_bytes(),
            &request(),
            &rules("up.selpay.cn"),
        )
    }

    #[test]
    fn the_request_is_the_documented_one() {
        let json = serde_json::to_value(request()).expect("plain data");
        assert_eq!(
            json,
            serde_json::json!({"appKey": APP_KEY, "orderNo": "asdfsdfsdfsdfds", "total": 12})
        );
    }

    #[test]
    fn the_documented_answer_gives_its_address() {
        let url = answer(&documented()).expect("the document's own sample");
        assert_eq!(
            url.as_str(),
            "https://up.selpay.cn/#/pages/rt/index?appKey=5f53481517b449b0a8c8dbe808d8bf5c&no=asdfsdfsdfsdfds"
        );
    }

    #[test]
    fn an_error_code_in_a_http_200_body_is_a_refusal() {
        for code in [500, 401, 403, 601] {
            let refused = answer(&serde_json::json!({"msg": "订单号重复", "code": code}));
            assert_eq!(
                refused,
                Err(NotAdded::Refused {
                    code,
                    msg: "订单号重复".to_owned()
                })
            );
        }
    }

    #[test]
    fn an_answer_that_is_not_the_documented_one_is_garbage() {
        for body in [
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"code":"200"}"#,
            r#"{"code":200}"#,
            r#"{"code":200,"data":null}"#,
            r#"{"code":200,"data":{}}"#,
        ] {
            let read = read(body.as_bytes(), &request(), &rules("up.selpay.cn"));
            assert!(
                matches!(read, Err(NotAdded::Garbage(_))),
                "{body}: {read:?}"
            );
        }
    }

    #[test]
    fn an_answer_about_another_order_is_refused() {
        for (field, value) in [
            ("appKey", serde_json::json!("other")),
            ("orderNo", serde_json::json!("other")),
            ("total", serde_json::json!(13)),
        ] {
            let mut other = documented();
            other["data"]["order"][field] = value;
            assert_eq!(answer(&other), Err(NotAdded::Mismatch(field)));
        }
    }

    #[test]
    fn an_address_elsewhere_is_never_drawn() {
        let tail = format!("/#/pages/rt/index?appKey={APP_KEY}&no=asdfsdfsdfsdfds");
        assert!(url(&format!("https://up.selpay.cn{tail}")).is_ok());
        assert!(url(&format!("https://UP.selpay.cn:443{tail}")).is_ok());
        for start in [
            "https://evil.example",
            "https://up.selpay.cn.evil.example",
            "https://evilup.selpay.cn",
            "https://up.selpay.cn@evil.example",
            "https://evil.example/up.selpay.cn",
            "https://evil.example\\@up.selpay.cn",
            "https://up.selpay.cn:8443",
            "http://up.selpay.cn",
            "ftp://up.selpay.cn",
            "javascript://up.selpay.cn",
            "//up.selpay.cn",
            "up.selpay.cn",
            "https://",
            "https://[::1]",
            "https://up.selpay.cn:",
            "https://up.selpay.cn\u{ff0e}",
            "https://up.selpay.cn\n",
        ] {
            assert!(url(&format!("{start}{tail}")).is_err(), "{start}");
        }
    }

    #[test]
    fn a_host_is_a_plain_name_and_a_port_a_number() {
        for authority in ["pay-1.example", "127.0.0.1", "a:1", "a:65535"] {
            assert!(Host::read(authority).is_ok(), "{authority}");
        }
        for authority in [
            "", ":1", "a:", "a:123456", "a:8o", "a:+1", "a_b", "a%2eb", "a@b", "a b",
        ] {
            assert!(Host::read(authority).is_err(), "{authority}");
        }
    }

    #[test]
    fn an_address_that_is_refused_cannot_steer_a_terminal() {
        let mut other = documented();
        other["data"]["scanUrl"] = serde_json::json!("https://evil.example/\u{1b}[2J\n");
        let Err(NotAdded::Foreign { url, .. }) = answer(&other) else {
            panic!("not refused");
        };
        assert_eq!(url, "https://evil.example/[2J");
    }

    #[test]
    fn an_address_must_name_our_order_exactly_once() {
        let start = "https://up.selpay.cn/#/pages/rt/index";
        for query in [
            "".to_owned(),
            "?no=asdfsdfsdfsdfds".to_owned(),
            format!("?appKey={APP_KEY}"),
            format!("?appKey={APP_KEY}&no=other"),
            "?appKey=other&no=asdfsdfsdfsdfds".to_owned(),
            format!("?appKey={APP_KEY}&no=asdfsdfsdfsdfds&no=other"),
            format!("?appKey={APP_KEY}&no=asdfsdfsdfsdfdsX"),
            format!("?appKey={APP_KEY}&no=asdfsdfsdfsdfds?appKey=other"),
        ] {
            assert!(url(&format!("{start}{query}")).is_err(), "{query}");
        }
    }

    #[test]
    fn plain_http_is_for_loopback_only_unless_the_demo_says_so() {
        let tail = format!("/#/pages/rt/index?appKey={APP_KEY}&no=asdfsdfsdfsdfds");
        let check = |url: &str, rules: &ScanRules| {
            check_url(&format!("{url}{tail}"), &request(), rules).is_ok()
        };
        assert!(
            check("http://127.0.0.1:8081", &rules("127.0.0.1")),
            "any port of loopback"
        );
        assert!(check("http://127.0.0.1:8081", &rules("127.0.0.1:8081")));
        assert!(!check("http://127.0.0.1:8082", &rules("127.0.0.1:8081")));
        assert!(!check(
            "http://192.168.1.7:8081",
            &rules("192.168.1.7:8081")
        ));
        assert!(check(
            "http://192.168.1.7:8081",
            &ScanRules {
                hosts: vec!["192.168.1.7:8081".to_owned()],
                plain_http: true
            }
        ));
    }
}
