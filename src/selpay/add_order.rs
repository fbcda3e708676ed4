//! AddOrderInfo: the one call the platform offers, and the check of what it answers.
//!
//! The call is unsigned and the answer comes from the network: what ends up in a QR code must point to a configured
//! host and name our own order, or nothing is drawn. The real platform was never reached from here, so the rest is read with
//! open arms: what is there must be ours; what is missing, or spelled otherwise in JSON, stops no sale. The money is
//! safe either way: the merchant compares what was paid with the total that it holds.

mod address;

use serde::Serialize;
use serde_json::Value;

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

/// Why there is no address to pay at.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAdded {
    /// The platform says no. Its `code` counts, whatever the HTTP status; `msg` is for people.
    #[error("the platform refused the order: code {code}, {msg}")]
    Refused {
        /// The body's `code`, as it is spelled.
        code: String,
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
    /// Hosts, with a port where it is not the scheme's own: `up.selpay.cn`, `*.selpay.cn`, `127.0.0.1:8081`.
    /// A loopback host without a port stands for any of its ports; a leading `*.` for one label or more.
    pub hosts: Vec<String>,
    /// What the address calls our key and our order number: `appKey`, `no`.
    pub params: [String; 2],
    /// Only the host is looked at, for short links. Otherwise our order number must be in the address, and what bears one
    /// of the names must be ours.
    pub is_host_enough: bool,
    /// Whether `http` is good enough for a listed host that is not loopback. Only the demo says so.
    pub plain_http: bool,
}

impl ScanRules {
    /// The rules for these hosts, with the platform's own names.
    pub fn of(hosts: Vec<String>) -> ScanRules {
        ScanRules {
            hosts,
            params: ["appKey", "no"].map(str::to_owned),
            is_host_enough: false,
            plain_http: false,
        }
    }
}

/// Reads the platform's answer to `request` and checks the address in it.
pub fn read(body: &[u8], request: &Request<'_>, rules: &ScanRules) -> Result<ScanUrl, NotAdded> {
    // A message for people in another encoding is no reason to sell nothing.
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').trim_end_matches('\0');
    let answer: Value =
        serde_json::from_str(text).map_err(|error| NotAdded::Garbage(error.to_string()))?;
    if !answer.is_object() {
        return Err(NotAdded::Garbage("it is no JSON object".to_owned()));
    }
    if let Some(code) = field(&answer, "code").filter(|code| whole(code) != Some(200)) {
        let msg = field(&answer, "msg").map(spelled).unwrap_or_default();
        return Err(NotAdded::Refused {
            code: shown(&spelled(code), 20),
            msg: shown(&msg, 200),
        });
    }
    let data = field(&answer, "data").unwrap_or(&answer);
    let url = field(data, "scanUrl").unwrap_or(data).as_str();
    let url = url.ok_or_else(|| NotAdded::Garbage("it holds no scanUrl".to_owned()))?;
    let orders = [field(data, "order"), field(&answer, "order")];
    for echo in orders.into_iter().flatten().chain([data]) {
        check_echo(echo, request)?;
    }
    address::check(url, request, rules).map_err(|why| NotAdded::Foreign {
        url: shown(url, 255),
        why,
    })
}

/// What the answer repeats of the order must be ours, as far as it is there.
fn check_echo(echo: &Value, request: &Request<'_>) -> Result<(), NotAdded> {
    let total = i64::from(request.total.get());
    let is_ours = |name, value: &Value| match name {
        "appKey" => spelled(value) == request.app_key,
        "orderNo" => spelled(value) == request.order_no.as_str(),
        _ => whole(value) == Some(total),
    };
    for name in ["appKey", "orderNo", "total"] {
        if !fields(echo, name).all(|value| is_ours(name, value)) {
            return Err(NotAdded::Mismatch(name));
        }
    }
    Ok(())
}

/// A field by its documented name, or else by that name in other letters.
fn field<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    let documented = object.get(name).filter(|value| !value.is_null());
    documented.or_else(|| fields(object, name).next())
}

/// All fields whose name has these letters: `scanUrl`, `scan_url`, `ScanURL`. `null` is none.
fn fields<'a>(object: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    fn letters(name: &str) -> impl Iterator<Item = u8> {
        let letters = name.bytes().filter(|byte| !matches!(byte, b'_' | b'-'));
        letters.map(|byte| byte.to_ascii_lowercase())
    }
    let all = object.as_object().into_iter().flatten();
    all.filter(move |(found, value)| !value.is_null() && letters(found).eq(letters(name)))
        .map(|(_, value)| value)
}

/// A whole number, however it is spelled: `350`, `350.0`, `3.5e2`, `"350"`.
fn whole(value: &Value) -> Option<i64> {
    if !value.is_number() && !value.is_string() {
        return None;
    }
    // An exponent is gone once the JSON is read.
    let text = spelled(value);
    let (digits, places) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let is_whole = places.bytes().all(|place| place == b'0');
    digits.parse().ok().filter(|_| is_whole)
}

/// A value as people would write it.
fn spelled(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// So much of a text from outside as may stand in a log.
fn shown(text: &str, most: usize) -> String {
    let plain = text.chars().filter(|c| !c.is_control());
    plain.take(most).collect()
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
        ScanRules::of(vec![host.to_owned()])
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
                    code: code.to_string(),
                    msg: "订单号重复".to_owned()
                })
            );
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
    fn plain_http_is_for_loopback_only_unless_the_demo_says_so() {
        let tail = format!("/#/pages/rt/index?appKey={APP_KEY}&no=asdfsdfsdfsdfds");
        let check = |url: &str, rules: &ScanRules| {
            address::check(&format!("{url}{tail}"), &request(), rules).is_ok()
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
                plain_http: true,
                ..rules("192.168.1.7:8081")
            }
        ));
    }
}
