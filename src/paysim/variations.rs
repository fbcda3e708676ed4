//! The ways to spell AddOrderInfo's answer that do no harm: what servers, proxies and frameworks make of the document's one
//! sample. The real platform's own spelling is not known.

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Full};

/// What an answer is about.
#[derive(Clone, Copy, Debug)]
pub struct Added<'a> {
    /// `http://` or `https://` and a host.
    pub public_url: &'a str,
    /// Who added the order.
    pub app_key: &'a str,
    /// Its number.
    pub order_no: &'a str,
    /// Its amount in fen.
    pub total: u32,
}

/// What is other than in the document.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// Nothing is.
    Nothing,
    /// A part of the body.
    Part(&'static str, &'static str),
    /// The whole body.
    Body(&'static str),
    /// What stands before and after it.
    Around(&'static [u8], &'static [u8]),
    /// Its message, which is no UTF-8.
    Gbk,
    /// What follows the host in the address.
    Path(&'static str),
    /// The whole address.
    Url(fn(&str) -> String),
    /// The HTTP status.
    Status(u16),
    /// One more header, or another one.
    Header(&'static str, &'static str),
    /// It is sent in pieces, and how long it is told at its end.
    Pieces,
}

/// `{url}`, `{key}`, `{no}` and `{total}` are the order's own.
const BODY: &str = r#"{"msg":"操作成功","code":200,"data":{"scanUrl":"{url}","order":{"appKey":"{key}","orderNo":"{no}","total":{total}}}}"#;
const PATH: &str = "/#/pages/rt/index?appKey={key}&no={no}";
/// "操作成功".
const GBK: &[u8] = b"\xb2\xd9\xd7\xf7\xb3\xc9\xb9\xa6";

/// All of them, the document's own first, each with a name.
pub const ALL: &[(&str, What)] = &[
    ("as documented", What::Nothing),
    // The JSON.
    ("a byte-order mark", What::Around(b"\xef\xbb\xbf", b"")),
    ("blank lines", What::Around(b"\n \r\n", b"\n\n  ")),
    ("a NUL at the end", What::Around(b"", b"\0")),
    ("a message in GBK", What::Gbk),
    (
        "many lines",
        What::Body(
            "{\r\n\t\"msg\" : \"操作成功\",\r\n\t\"code\" : 200,\r\n\t\"data\" : {\r\n\t\t\"scanUrl\" : \"{url}\",\r\n\t\t\"order\" : { \"appKey\" : \"{key}\", \"orderNo\" : \"{no}\", \"total\" : {total} }\r\n\t}\r\n}\r\n",
        ),
    ),
    (
        "another order of fields",
        What::Body(
            r#"{"data":{"order":{"total":{total},"orderNo":"{no}","appKey":"{key}"},"scanUrl":"{url}"},"code":200,"msg":"操作成功"}"#,
        ),
    ),
    (
        "names in capitals",
        What::Body(
            r#"{"MSG":"操作成功","CODE":200,"DATA":{"SCANURL":"{url}","ORDER":{"APPKEY":"{key}","ORDERNO":"{no}","TOTAL":{total}}}}"#,
        ),
    ),
    (
        "names with underscores",
        What::Body(
            r#"{"msg":"操作成功","code":200,"data":{"scan_url":"{url}","order":{"app_key":"{key}","order_no":"{no}","total":{total}}}}"#,
        ),
    ),
    (
        "unknown fields",
        What::Body(
            r#"{"success":true,"timestamp":1764583200000,"traceId":null,"msg":"操作成功","code":200,"data":{"id":7,"tags":[],"scanUrl":"{url}","expires":1.5e3,"order":{"id":null,"appKey":"{key}","orderNo":"{no}","total":{total},"params":{},"createTime":"2026-11-30 12:00:00"}}}"#,
        ),
    ),
    (
        "the order beside the data",
        What::Body(
            r#"{"msg":"操作成功","code":200,"order":{"appKey":"{key}","orderNo":"{no}","total":{total}},"data":{"scanUrl":"{url}"}}"#,
        ),
    ),
    (
        "the order flat in the data",
        What::Body(
            r#"{"msg":"操作成功","code":200,"data":{"scanUrl":"{url}","appKey":"{key}","orderNo":"{no}","total":{total}}}"#,
        ),
    ),
    (
        "no data around it",
        What::Body(
            r#"{"msg":"操作成功","code":200,"scanUrl":"{url}","order":{"appKey":"{key}","orderNo":"{no}","total":{total}}}"#,
        ),
    ),
    (
        "the address as the data",
        What::Body(r#"{"msg":"操作成功","code":200,"data":"{url}"}"#),
    ),
    (
        "no order",
        What::Body(r#"{"msg":"操作成功","code":200,"data":{"scanUrl":"{url}"}}"#),
    ),
    (
        "the order null",
        What::Body(r#"{"msg":"操作成功","code":200,"data":{"scanUrl":"{url}","order":null}}"#),
    ),
    (
        "the order empty",
        What::Body(r#"{"msg":"操作成功","code":200,"data":{"scanUrl":"{url}","order":{}}}"#),
    ),
    (
        "the order a list",
        What::Body(r#"{"msg":"操作成功","code":200,"data":{"scanUrl":"{url}","order":[]}}"#),
    ),
    (
        "the order a number",
        What::Body(r#"{"msg":"操作成功","code":200,"data":{"scanUrl":"{url}","order":8813}}"#),
    ),
    ("code 200.0", What::Part(r#""code":200"#, r#""code":200.0"#)),
    ("code 2e2", What::Part(r#""code":200"#, r#""code":2e2"#)),
    (
        "code as text",
        What::Part(r#""code":200"#, r#""code":"200""#),
    ),
    ("code null", What::Part(r#""code":200"#, r#""code":null"#)),
    ("no code", What::Part(r#""code":200,"#, "")),
    (
        "code twice",
        What::Part(r#""code":200"#, r#""code":200,"code":200"#),
    ),
    ("scanURL", What::Part("scanUrl", "scanURL")),
    ("scanurl", What::Part("scanUrl", "scanurl")),
    ("orderno", What::Part("orderNo", "orderno")),
    ("no message", What::Part(r#""msg":"操作成功","#, "")),
    ("message null", What::Part(r#""操作成功""#, "null")),
    ("message a number", What::Part(r#""操作成功""#, "0")),
    (
        "message an object",
        What::Part(r#""操作成功""#, r#"{"zh":"操作成功","en":["done",true]}"#),
    ),
    (
        "message with quotes and emoji",
        What::Part(
            r#""操作成功""#,
            r#""\"操作\"\n成功 \ud83d\ude00 😀 \u0000""#,
        ),
    ),
    (
        "message of a failure",
        What::Part(r#""操作成功""#, r#""error: 500""#),
    ),
    (
        "message twice",
        What::Part(r#""操作成功""#, r#""操作成功","msg":"ok""#),
    ),
    ("no appKey", What::Part(r#""appKey":"{key}","#, "")),
    ("no orderNo", What::Part(r#""orderNo":"{no}","#, "")),
    ("no total", What::Part(r#","total":{total}"#, "")),
    (
        "appKey null",
        What::Part(r#""appKey":"{key}""#, r#""appKey":null"#),
    ),
    (
        "orderNo null",
        What::Part(r#""orderNo":"{no}""#, r#""orderNo":null"#),
    ),
    (
        "total null",
        What::Part(r#""total":{total}"#, r#""total":null"#),
    ),
    (
        "total with a place",
        What::Part(r#""total":{total}"#, r#""total":{total}.0"#),
    ),
    (
        "total with two places",
        What::Part(r#""total":{total}"#, r#""total":{total}.00"#),
    ),
    (
        "total with an exponent",
        What::Part(r#""total":{total}"#, r#""total":{total}E0"#),
    ),
    (
        "total as text",
        What::Part(r#""total":{total}"#, r#""total":"{total}""#),
    ),
    (
        "total as text with places",
        What::Part(r#""total":{total}"#, r#""total":"{total}.00""#),
    ),
    // HTTP.
    ("status 201", What::Status(201)),
    ("status 500", What::Status(500)),
    ("in pieces", What::Pieces),
    ("text/plain", What::Header("content-type", "text/plain")),
    (
        "text/html in GBK",
        What::Header("content-type", "text/html; charset=GBK"),
    ),
    (
        "a charset in capitals",
        What::Header("content-type", "application/json;charset=UTF-8"),
    ),
    ("an empty type", What::Header("content-type", "")),
    (
        "a cookie",
        What::Header("set-cookie", "JSESSIONID=1; Path=/; HttpOnly"),
    ),
    ("no cache", What::Header("cache-control", "no-store")),
    (
        "an end of the connection",
        What::Header("connection", "close"),
    ),
    // The address.
    (
        "a scheme in capitals",
        What::Url(|url| url.replace("http", "HTTP")),
    ),
    (
        "an address with spaces around",
        What::Url(|url| format!(" {url}\u{3000} ")),
    ),
    (
        "an address with escaped slashes",
        What::Url(|url| url.replace('/', "\\/")),
    ),
    (
        "an address with escaped letters",
        What::Url(|url| {
            url.chars()
                .map(|letter| format!("\\u{:04x}", u32::from(letter)))
                .collect()
        }),
    ),
    ("nothing but a query", What::Path("?appKey={key}&no={no}")),
    (
        "parameters the other way round",
        What::Path("/#/pages/rt/index?no={no}&appKey={key}"),
    ),
    (
        "more parameters",
        What::Path("/#/pages/rt/index?v=2&appKey={key}&from=kiosk&no={no}&t=1764583200000"),
    ),
    (
        "a parameter without a value",
        What::Path("/#/pages/rt/index?appKey={key}&no={no}&debug"),
    ),
    (
        "an empty parameter",
        What::Path("/#/pages/rt/index?appKey={key}&no={no}&shop=&"),
    ),
    (
        "a slash more",
        What::Path("/#/pages/rt/index/?appKey={key}&no={no}"),
    ),
    (
        "no hash",
        What::Path("/pages/rt/index?appKey={key}&no={no}"),
    ),
    (
        "a hash behind",
        What::Path("/pages/rt/index?appKey={key}&no={no}#/"),
    ),
    (
        "another page",
        What::Path("/h5/pay.html?appKey={key}&no={no}"),
    ),
    (
        "no key in the address",
        What::Path("/#/pages/rt/index?no={no}"),
    ),
    (
        "the number under another name",
        What::Path("/#/pages/rt/index?appKey={key}&orderNo={no}"),
    ),
    ("the number in the path", What::Path("/pay/{key}/{no}")),
    ("the number in a word", What::Path("/p/wx-{no}.html")),
    (
        "the number twice",
        What::Path("/#/pages/rt/index?appKey={key}&no={no}&no={no}"),
    ),
    (
        "parameters in capitals",
        What::Path("/#/pages/rt/index?APPKEY={key}&NO={no}"),
    ),
    (
        "escaped parameters",
        What::Path("/%23/pages/rt/index%3FappKey={key}&no={escaped-no}"),
    ),
    (
        "semicolons",
        What::Path("/#/pages/rt/index?appKey={key};no={no}"),
    ),
    (
        "Chinese letters",
        What::Path("/#/支付/订单?appKey={key}&no={no}&shop=小店"),
    ),
    (
        "a space and a pipe",
        What::Path("/#/pages/rt/index?appKey={key}&no={no}&title=a b|c"),
    ),
    (
        "braces",
        What::Path("/#/pages/rt/index?appKey={key}&no={no}&ext={a:1}"),
    ),
    (
        "a plus and a percent",
        What::Path("/#/pages/rt/index?appKey={key}&no={no}&m=1+1%25"),
    ),
    (
        "300 characters",
        What::Path(
            "/#/pages/rt/index?appKey={key}&no={no}&sign=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        ),
    ),
];

impl What {
    /// The answer's body.
    pub fn body(self, added: &Added<'_>) -> Vec<u8> {
        let template = match self {
            What::Body(whole) => whole.to_owned(),
            What::Part(usual, other) => BODY.replacen(usual, other, 1),
            _ => BODY.to_owned(),
        };
        let path = match self {
            What::Path(path) => path,
            _ => PATH,
        };
        let url = format!("{}{}", added.public_url, filled(path, added));
        let url = match self {
            What::Url(spell) => spell(&url),
            _ => url,
        };
        let body = filled(&template, added).replace("{url}", &url).into_bytes();
        match self {
            What::Around(before, behind) => [before, &body, behind].concat(),
            What::Gbk => {
                let (before, behind) = BODY.split_once("操作成功").expect("it stands there");
                let text = |part| filled(part, added).replace("{url}", &url);
                [text(before).as_bytes(), GBK, text(behind).as_bytes()].concat()
            }
            _ => body,
        }
    }

    /// The whole answer.
    pub(super) fn answer(self, added: &Added<'_>) -> Response {
        let body = self.body(added);
        let json = ("content-type", "application/json");
        match self {
            What::Status(status) => {
                let status = StatusCode::from_u16(status).expect("a status");
                (status, [json], body).into_response()
            }
            What::Header(name, value) => ([json], [(name, value)], body).into_response(),
            What::Pieces => {
                // Passed through so, its length is not known before.
                let pieces = Full::<Bytes>::from(body).map_frame(|frame| frame);
                ([json], Body::new(pieces)).into_response()
            }
            _ => ([json], body).into_response(),
        }
    }
}

fn filled(text: &str, added: &Added<'_>) -> String {
    let (first, rest) = added.order_no.split_at(1);
    let escaped = format!("%{:02x}{rest}", first.as_bytes()[0]);
    text.replace("{key}", added.app_key)
        .replace("{no}", added.order_no)
        .replace("{escaped-no}", &escaped)
        .replace("{total}", &added.total.to_string())
}
