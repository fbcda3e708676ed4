//! AddOrderInfo's answer: every harmless spelling shows a code, every hostile one shows none. The harmless ones are those of the
//! platform's stand-in, which shares no codec with the code that reads them.

#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]

use crate::support::shop::{self, Shop, eventually, sim};
use selpay_kiosk::ids::OrderNo;
use selpay_kiosk::money::Fen;
use selpay_kiosk::paysim::variations::{ALL, Added};
use selpay_kiosk::selpay::add_order::{self, NotAdded, Request, ScanRules};
use serde_json::{Value, json};

const APP_KEY: &str = "5f53481517b449b0a8c8dbe808d8bf5c";
const NUMBER: &str = "3fa91c027be44d109a55c0ffee123456";
const OTHER: &str = "ffffffff7be44d109a55c0ffee123456";

fn request() -> Request<'static> {
    Request {
        app_key: APP_KEY,
        order_no: OrderNo::new(NUMBER).expect("a number"),
        total: Fen::new(350).expect("an amount"),
    }
}

fn rules() -> ScanRules {
    ScanRules::of(vec!["up.selpay.cn".to_owned()])
}

fn read(body: &[u8]) -> Result<String, NotAdded> {
    let url = add_order::read(body, &request(), &rules())?;
    Ok(url.as_str().to_owned())
}

#[test]
fn every_harmless_spelling_shows_a_code() {
    let added = Added {
        public_url: "https://up.selpay.cn",
        app_key: APP_KEY,
        order_no: NUMBER,
        total: 350,
    };
    assert!(ALL.len() >= 70, "{}", ALL.len());
    for (name, what) in ALL {
        let body = what.body(&added);
        match read(&body) {
            Ok(url) => assert!(url.starts_with("https://up.selpay.cn/"), "{name}: {url}"),
            Err(error) => panic!("{name}: {error}: {}", String::from_utf8_lossy(&body)),
        }
    }
}

/// The document's own answer, with these fields other.
fn answer(path: &[&str], value: Value) -> String {
    let mut answer = json!({
        "msg": "操作成功", "code": 200,
        "data": {
            "scanUrl": format!("https://up.selpay.cn/#/pages/rt/index?appKey={APP_KEY}&no={NUMBER}"),
            "order": {"appKey": APP_KEY, "orderNo": NUMBER, "total": 350}
        }
    });
    let place = path
        .iter()
        .fold(&mut answer, |place, name| &mut place[name]);
    *place = value;
    answer.to_string()
}

fn address(url: &str) -> String {
    answer(&["data", "scanUrl"], json!(url))
}

#[test]
fn no_hostile_spelling_shows_a_code() {
    let other_orders = [
        (vec!["data", "order", "appKey"], json!("other")),
        (vec!["data", "order", "appKey"], json!(5)),
        (vec!["data", "order", "appKey"], json!([APP_KEY])),
        (vec!["data", "order", "app_key"], json!("other")),
        (vec!["data", "order", "orderNo"], json!(OTHER)),
        (
            vec!["data", "order", "orderNo"],
            json!(NUMBER.to_uppercase()),
        ),
        (vec!["data", "order", "order_no"], json!(OTHER)),
        (vec!["data", "orderNo"], json!(OTHER)),
        (vec!["data", "order", "total"], json!(349)),
        (vec!["data", "order", "total"], json!(1)),
        (vec!["data", "order", "total"], json!("349")),
        (vec!["data", "order", "total"], json!(3.5)),
        (vec!["data", "order", "total"], json!("3.50")),
        (vec!["data", "order", "total"], json!(350.5)),
        (vec!["data", "order", "total"], json!(-350)),
        (vec!["data", "order", "total"], json!("-350")),
        (vec!["data", "order", "total"], json!(true)),
        (vec!["data", "order", "total"], json!([350])),
        (vec!["data", "order", "total"], json!(4294967646_u64)),
        (vec!["data", "order", "TOTAL"], json!(349)),
        (vec!["data", "total"], json!(349)),
    ];
    let refusals = [500, 401, 403, 601, 0, 201, 20000, -200].map(|code| json!(code));
    let refusals = refusals.into_iter().chain([
        json!("500"),
        json!("ok"),
        json!(200.5),
        json!(true),
        json!({"code": 200}),
    ]);
    let addresses = [
        // Another host, or one that two readers take for different ones.
        "https://evil.example/#/pages/rt/index?appKey=KEY&no=NO",
        "https://up.selpay.cn.evil.example/#/?appKey=KEY&no=NO",
        "https://evilup.selpay.cn/#/?appKey=KEY&no=NO",
        "https://a.up.selpay.cn/#/?appKey=KEY&no=NO",
        "https://selpay.cn/#/?appKey=KEY&no=NO",
        "https://up.selpay.cn@evil.example/#/?appKey=KEY&no=NO",
        "https://evil.example@up.selpay.cn/#/?appKey=KEY&no=NO",
        "https://evil.example/up.selpay.cn/?appKey=KEY&no=NO",
        "https://evil.example#up.selpay.cn/?appKey=KEY&no=NO",
        "https://evil.example?up.selpay.cn/?appKey=KEY&no=NO",
        "https://evil.example\\@up.selpay.cn/?appKey=KEY&no=NO",
        "https://up.selpay.cn\\.evil.example/?appKey=KEY&no=NO",
        "https://up.selpay.cn%2eevil.example/?appKey=KEY&no=NO",
        "https://up.selpay.cn:8443/#/?appKey=KEY&no=NO",
        "https://up.selpay.cn:/#/?appKey=KEY&no=NO",
        "https://up.selpay.cn:443:1/#/?appKey=KEY&no=NO",
        "https://up.selpay.cn./#/?appKey=KEY&no=NO",
        "https://up。selpay。cn/#/?appKey=KEY&no=NO",
        "https://up.selpay.cn\u{ff0e}evil.example/?appKey=KEY&no=NO",
        "https://[::1]/#/?appKey=KEY&no=NO",
        "https:///#/?appKey=KEY&no=NO",
        "https://",
        // No address of the web, or one that can be read on the way.
        "http://up.selpay.cn/#/?appKey=KEY&no=NO",
        "ftp://up.selpay.cn/#/?appKey=KEY&no=NO",
        "javascript://up.selpay.cn/%0aalert(1)?appKey=KEY&no=NO",
        "weixin://up.selpay.cn/?appKey=KEY&no=NO",
        "//up.selpay.cn/#/?appKey=KEY&no=NO",
        "up.selpay.cn/#/?appKey=KEY&no=NO",
        "https:up.selpay.cn/#/?appKey=KEY&no=NO",
        "data:text/html,appKey=KEY&no=NO",
        "",
        // What moves a terminal, or is dropped by some readers and not by others.
        "https://up.selpay.cn/\u{1b}[2J?appKey=KEY&no=NO",
        "https://up.selpay.cn/\n?appKey=KEY&no=NO",
        "https://up.selpay.cn\t/#/?appKey=KEY&no=NO",
        "https://up.selpay.cn/\0?appKey=KEY&no=NO",
        "https://up.selpay.cn/\u{fffd}?appKey=KEY&no=NO",
        // Another order, or another merchant's.
        "https://up.selpay.cn/#/pages/rt/index",
        "https://up.selpay.cn/#/?appKey=KEY",
        "https://up.selpay.cn/#/?appKey=KEY&no=OTHER",
        "https://up.selpay.cn/#/?appKey=KEY&no=",
        "https://up.selpay.cn/#/?appKey=KEY&no=NO0",
        "https://up.selpay.cn/#/?appKey=KEY&no=OTHER&ours=NO",
        "https://up.selpay.cn/#/?appKey=KEY&no=NO&no=OTHER",
        "https://up.selpay.cn/#/?appKey=KEY&no=OTHER&no=NO",
        "https://up.selpay.cn/#/?appKey=KEY&no=NO&NO_=1&No=OTHER",
        "https://up.selpay.cn/#/?appKey=KEY;no=OTHER;x=NO",
        "https://up.selpay.cn/?no=OTHER#/?appKey=KEY&no=NO",
        "https://up.selpay.cn/#/?appKey=KEY&n%6f=OTHER&x=NO",
        "https://up.selpay.cn/#/?appKey=other&no=NO",
        "https://up.selpay.cn/#/?appkey=other&no=NO",
        "https://up.selpay.cn/#/?appKey=KEY&appKey=other&no=NO",
        "https://up.selpay.cn/#/?appKey=&no=NO",
    ];
    let addresses = addresses.map(|url| {
        // `NO` last: the others hold it.
        let url = url.replace("KEY", APP_KEY).replace("OTHER", OTHER);
        let url = url
            .replace("=NO_", "=NO")
            .replace("=NO", &format!("={NUMBER}"));
        address(&url)
    });
    let bodies = [
        "",
        "<html><body><h1>502 Bad Gateway</h1></body></html>",
        "null",
        "[]",
        "200",
        "\"success\"",
        "{}",
        r#"{"code":200}"#,
        r#"{"msg":"操作成功","code":200,"data":null}"#,
        r#"{"msg":"操作成功","code":200,"data":[]}"#,
        r#"{"msg":"操作成功","code":200,"data":{}}"#,
        r#"{"msg":"操作成功","code":200,"data":{"scanUrl":null}}"#,
        r#"{"msg":"操作成功","code":200,"data":{"scanUrl":7}}"#,
        r#"{"msg":"操作成功","code":200,"data":{"scanUrl":["https://up.selpay.cn/"]}}"#,
        r#"{"msg":"操作成功","code":200,"data":{"scanUrl":"https://up.sel"#,
    ];
    let long = format!(
        "https://up.selpay.cn/#/?appKey={APP_KEY}&no={NUMBER}&x={}",
        "x".repeat(500)
    );
    let hostile: Vec<String> = other_orders
        .into_iter()
        .map(|(path, value)| answer(&path, value))
        .chain(refusals.map(|code| answer(&["code"], code)))
        .chain(addresses)
        .chain(bodies.map(str::to_owned))
        .chain([address(&long)])
        .collect();
    assert!(hostile.len() >= 50 && hostile.len() + ALL.len() >= 120);
    for body in &hostile {
        let shown = read(body.as_bytes());
        assert!(shown.is_err(), "{body} shows {shown:?}");
    }
}

#[test]
fn an_installer_can_say_what_the_address_looks_like() {
    let shows = |rules: &ScanRules, url: &str| {
        let url = url.replace("KEY", APP_KEY).replace("NO", NUMBER);
        add_order::read(address(&url).as_bytes(), &request(), rules).is_ok()
    };
    let anywhere = ScanRules::of(vec!["*.selpay.cn".to_owned()]);
    for (url, is_shown) in [
        ("https://up.selpay.cn/NO", true),
        ("https://a.b.selpay.cn/NO", true),
        ("https://UP.SELPAY.CN:443/NO", true),
        ("https://selpay.cn/NO", false),
        ("https://evilselpay.cn/NO", false),
        ("https://.selpay.cn/NO", false),
        ("https://up.selpay.cn.evil.example/NO", false),
        ("https://up.selpay.cn:8443/NO", false),
    ] {
        assert_eq!(shows(&anywhere, url), is_shown, "{url}");
    }
    let named = ScanRules {
        params: ["merchant", "order"].map(str::to_owned),
        ..rules()
    };
    for (url, is_shown) in [
        ("https://up.selpay.cn/?merchant=KEY&order=NO", true),
        (
            "https://up.selpay.cn/?merchant=KEY&order=other&no=NO",
            false,
        ),
        ("https://up.selpay.cn/?merchant=other&order=NO", false),
        ("https://up.selpay.cn/?appKey=other&order=NO", true),
    ] {
        assert_eq!(shows(&named, url), is_shown, "{url}");
    }
    let short = ScanRules {
        is_host_enough: true,
        ..rules()
    };
    for (url, is_shown) in [
        ("https://up.selpay.cn/s/7Qx", true),
        ("https://evil.example/s/7Qx", false),
        ("http://up.selpay.cn/s/7Qx", false),
    ] {
        assert_eq!(shows(&short, url), is_shown, "{url}");
    }
}

#[test]
fn a_kiosk_sells_whatever_way_the_platform_spells_its_answers() {
    /// A sale has eight codes at most.
    const CODES: usize = 8;
    let shop = Shop::open();
    let platform = shop.platform(&["--variations"]);
    let mut kiosk = shop.kiosk(&platform, "");
    let mut before: Option<String> = None;
    for (number, (name, _)) in ALL.iter().enumerate() {
        match number % CODES {
            0 => kiosk.types("3.50#"),
            _ => kiosk.types("R"),
        }
        println!("{name}");
        before = Some(kiosk.code(before.as_deref()));
        if number % CODES == CODES - 1 || number == ALL.len() - 1 {
            let path = platform.url("/sim/orders");
            let (_, orders) = shop::call("GET", &path, "", &Value::Null);
            let orders = orders["orders"].as_array().expect("a list");
            let newest = &orders[number]["orderNo"];
            sim(&platform, "/sim/pay", &json!({ "orderNo": newest }));
            let sales = number / CODES + 1;
            eventually("the goods", || {
                (kiosk.pulses().len() == sales).then_some(())
            });
            kiosk.logs("screen thank-you");
            kiosk.types("C");
        }
    }
    assert_eq!(kiosk.ends(), Some(0));
    let sales = ALL.len().div_ceil(CODES) as i64;
    assert_eq!(shop.the_books_balance()["dispensed"], 350 * sales);
}
