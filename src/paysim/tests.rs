//! What the server promises on the wire: bytes in, bytes out, on real sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;

const KEY: &str = "5f53481517b449b0a8c8dbe808d8bf5c";
const PATIENCE: Duration = Duration::from_secs(10);

/// A platform on a free port, and how to end it.
struct Server {
    address: SocketAddr,
    end: oneshot::Sender<()>,
    served: JoinHandle<io::Result<()>>,
    runtime: Runtime,
}

impl Server {
    fn telling(notify_url: &str) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let runtime = Runtime::new().expect("a runtime");
        let (end, ended) = oneshot::channel::<()>();
        let config = config(notify_url);
        let served = runtime.spawn(serve(listener, config, async { drop(ended.await) }));
        Server {
            address,
            end,
            served,
            runtime,
        }
    }

    fn alone() -> Server {
        Server::telling("http://127.0.0.1:9/notify")
    }

    fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, String, Value) {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(PATIENCE))
            .build()
            .into();
        let url = format!("http://{}{path}", self.address);
        let mut response = match method {
            "GET" => agent.get(url).call(),
            _ => agent.post(url).send(body.unwrap_or_default().to_string()),
        }
        .expect("answered");
        let location = response.headers().get("location");
        let location = location.map_or("", |value| value.to_str().expect("text"));
        let location = location.to_owned();
        let text = response.body_mut().read_to_string().expect("text");
        let json = serde_json::from_str(&text).unwrap_or(Value::String(text));
        (response.status().as_u16(), location, json)
    }

    fn get(&self, path: &str) -> (u16, Value) {
        let (status, _, body) = self.call("GET", path, None);
        (status, body)
    }

    fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let (status, _, body) = self.call("POST", path, Some(body));
        (status, body)
    }

    fn adds(&self, order_no: &str) -> (u16, Value) {
        let order = json!({ "appKey": KEY, "orderNo": order_no, "total": 350 });
        self.post("/prod-api/up/public/AddOrderInfo", order)
    }

    /// Asks for the orders until they are as wanted.
    fn orders_become(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (_, orders) = self.get("/sim/orders");
            if wanted(&orders) {
                return orders;
            }
            assert!(Instant::now() < deadline, "{orders}");
        }
    }

    /// Ends it; how long that took.
    fn ends(self) -> Duration {
        let asked = Instant::now();
        self.end.send(()).expect("it is running");
        let ended = self
            .runtime
            .block_on(async { tokio::time::timeout(PATIENCE, self.served).await });
        ended
            .expect("it ends")
            .expect("it does not panic")
            .expect("it ends well");
        let took = asked.elapsed();
        self.runtime.shutdown_background();
        took
    }
}

fn config(notify_url: &str) -> Config {
    Config {
        notify_url: notify_url.to_owned(),
        sign_key: "secret".to_owned(),
        app_key: Some(KEY.to_owned()),
        public_url: None,
        mch_id: "7551000001".to_owned(),
        speed: 1_000_000.0,
        varies: false,
    }
}

/// A merchant who gives these answers, one per request, and passes on what it was sent.
fn merchant(answers: &'static [&'static str]) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/notify", listener.local_addr().expect("bound"));
    let (sent, received) = mpsc::channel();
    thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().expect("a notification");
            let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
            let (mut head, mut length) = (String::new(), 0);
            while reader.read_line(&mut head).expect("a line") > 2 {
                let line = head.lines().last().unwrap_or_default().to_lowercase();
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a number");
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            write!(stream, "{answer}").expect("it listens");
            let body = String::from_utf8(body).expect("UTF-8");
            sent.send(format!("{head}{body}")).expect("the test waits");
        }
    });
    (url, received)
}

#[test]
fn an_order_is_added_as_the_document_says() {
    let server = Server::alone();
    let (status, answer) = server.adds("asdfsdfsdfsdfds");
    assert_eq!(status, 200);
    let scan_url = format!(
        "http://{}/#/pages/rt/index?appKey={KEY}&no=asdfsdfsdfsdfds",
        server.address
    );
    assert_eq!(
        answer,
        json!({
            "msg": "操作成功",
            "code": 200,
            "data": {
                "scanUrl": scan_url,
                "order": { "appKey": KEY, "orderNo": "asdfsdfsdfsdfds", "total": 350 }
            }
        })
    );
}

#[test]
fn what_is_wrong_with_an_order_is_told_in_the_body_with_status_200() {
    let server = Server::alone();
    server.adds("a");
    let bad = [
        json!({ "appKey": KEY, "orderNo": "a", "total": 350 }),
        json!({ "appKey": "other", "orderNo": "b", "total": 350 }),
        json!({ "appKey": KEY, "total": 350 }),
        json!({ "appKey": KEY, "orderNo": 7, "total": 350 }),
        json!({ "appKey": KEY, "orderNo": "b", "total": "350" }),
        json!({ "appKey": KEY, "orderNo": "b", "total": 3.5 }),
        json!({ "appKey": KEY, "orderNo": "b", "total": -1 }),
        json!([1, 2, 3, 4]),
        json!("text"),
    ];
    for order in bad {
        let (status, answer) = server.post("/prod-api/up/public/AddOrderInfo", order.clone());
        assert_eq!((status, &answer["code"]), (200, &json!(500)), "{order}");
        assert!(answer["msg"].is_string() && answer.get("data").is_none());
    }
    let (_, orders) = server.get("/sim/orders");
    assert_eq!(orders["orders"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_payment_is_told_again_until_the_merchant_says_success() {
    let (url, received) = merchant(&[
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfail",
        "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 7\r\nConnection: close\r\n\r\nsuccess",
        "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nsuccess",
    ]);
    let server = Server::telling(&url);
    server.adds("a");
    let (status, paid) = server.post("/sim/pay", json!({ "orderNo": "a" }));
    assert_eq!(status, 200);
    let messages: Vec<String> = (0..3)
        .map(|_| received.recv_timeout(PATIENCE).expect("a notification"))
        .collect();
    assert!(
        messages[0].starts_with("POST /notify HTTP/1.1\r\n"),
        "{}",
        messages[0]
    );
    let id = paid["transactionIds"][0].as_str().expect("an id");
    let told = format!("<transaction_id><![CDATA[{id}]]></transaction_id>");
    assert!(messages.iter().all(|message| message.contains(&told)));

    let done = server.orders_become(|orders| orders["orders"][0]["deliveries"][2].is_object());
    let deliveries = &done["orders"][0]["deliveries"];
    let seen = |n: usize| {
        (
            deliveries[n]["status"].clone(),
            deliveries[n]["answer"].clone(),
        )
    };
    assert_eq!(seen(0), (json!(200), json!("fail")));
    assert_eq!(seen(1), (json!(302), json!("success")));
    assert_eq!(seen(2), (json!(200), json!("success")));
    assert_eq!(deliveries[0]["transactionId"], json!(id));
    assert!(deliveries[0]["atMs"].as_u64().expect("a time") > 1_600_000_000_000);
    assert_eq!(deliveries.as_array().map(Vec::len), Some(3));
}

#[test]
fn a_merchant_who_is_not_there_is_told_ten_times() {
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/notify", nobody.local_addr().expect("bound"));
    drop(nobody);
    let server = Server::telling(&url);
    server.adds("a");
    server.post("/sim/pay", json!({ "orderNo": "a" }));
    let done = server.orders_become(|orders| orders["orders"][0]["deliveries"][9].is_object());
    let last = &done["orders"][0]["deliveries"][9];
    assert_eq!((&last["status"], &last["answer"]), (&json!(0), &json!("")));
}

#[test]
fn a_payment_that_cannot_be_made_is_explained() {
    let server = Server::alone();
    server.adds("a");
    for (field, value) in [
        ("times", json!(0)),
        ("times", json!(101)),
        ("totalFee", json!(0)),
        ("totalFee", json!("1")),
        ("payResult", json!("")),
        ("payResult", json!("a b")),
        ("delayMs", json!(-1)),
        ("delayMs", json!(u64::MAX)),
        ("tradeType", json!("pay..x")),
        ("totalfee", json!(1)),
    ] {
        let mut body = json!({ "orderNo": "a" });
        body[field] = value.clone();
        let (status, answer) = server.post("/sim/pay", body);
        assert_eq!(
            (status, &answer["error"]),
            (400, &json!("unusable")),
            "{field}: {value}"
        );
        assert!(answer["message"].is_string());
    }
    let (status, answer) = server.post("/sim/pay", json!({ "orderNo": "b" }));
    assert_eq!((status, &answer["error"]), (404, &json!("unknown-order")));
    let (_, order) = server.get("/sim/orders/a");
    assert_eq!(
        order,
        json!({ "orderNo": "a", "total": 350, "paid": false })
    );
}

#[test]
fn a_phone_cannot_pay_twice_but_a_test_can() {
    let server = Server::alone();
    server.adds("a");
    let (once, often) = (
        json!({ "orderNo": "a", "once": true }),
        json!({ "orderNo": "a", "times": 3, "payResult": 1 }),
    );
    assert_eq!(server.post("/sim/pay", once.clone()).0, 200);
    let (status, answer) = server.post("/sim/pay", once);
    assert_eq!((status, &answer["error"]), (409, &json!("already-paid")));
    let (status, answer) = server.post("/sim/pay", often);
    assert_eq!(status, 200);
    assert_eq!(answer["transactionIds"].as_array().map(Vec::len), Some(3));
}

#[test]
fn faults_of_the_platform_come_and_go() {
    let server = Server::alone();
    let fault = |name: &str| json!({ "addOrder": name, "times": 1 });
    assert_eq!(server.post("/sim/faults", fault("refuse")).0, 200);
    assert_eq!(server.adds("a").1["code"], json!(500));
    assert_eq!(server.post("/sim/faults", fault("garbage")).0, 200);
    assert!(server.adds("a").1.is_string(), "not JSON");
    assert_eq!(server.post("/sim/faults", fault("foreign")).0, 200);
    let (_, foreign) = server.adds("b");
    let url = foreign["data"]["scanUrl"].as_str().expect("a URL");
    assert!(url.starts_with("https://evil.example/#/"), "{url}");
    assert_eq!(server.adds("c").1["code"], json!(200));
    assert_eq!(
        server.post("/sim/faults", json!({ "addOrder": "x" })).0,
        400
    );
    let stay = json!({ "addOrder": "refuse" });
    assert_eq!(server.post("/sim/faults", stay.clone()), (200, stay));
    assert_eq!(server.adds("d").1["code"], json!(500));
    let none = json!({ "addOrder": "none" });
    assert_eq!(server.post("/sim/faults", none).0, 200);
    assert_eq!(server.adds("d").1["code"], json!(200));
}

#[test]
fn the_end_waits_neither_for_stalled_answers_nor_for_retries() {
    // It takes the connection and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/notify", silent.local_addr().expect("bound"));
    let server = Server::telling(&url);
    server.adds("a");
    server.post("/sim/pay", json!({ "orderNo": "a", "times": 3 }));
    server.post("/sim/pay", json!({ "orderNo": "a", "delayMs": 60_000 }));
    let (_notified, _) = silent.accept().expect("a notification is under way");
    server.post("/sim/faults", json!({ "addOrder": "stall" }));
    let body = json!({ "appKey": KEY, "orderNo": "b", "total": 1 }).to_string();
    let mut stalled = std::net::TcpStream::connect(server.address).expect("connected");
    let request = format!(
        "POST /prod-api/up/public/AddOrderInfo HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stalled.write_all(request.as_bytes()).expect("it listens");
    server.orders_become(|orders| orders["orders"][1].is_object());
    let took = server.ends();
    assert!(took < Duration::from_millis(1500), "{took:?}");
}

#[test]
fn the_phone_opens_the_newest_order_and_waits_without_one() {
    let server = Server::alone();
    let (status, _, page) = server.call("GET", "/phone", None);
    assert_eq!(status, 200);
    assert!(page.as_str().is_some_and(|page| page.contains("phone.js")));
    assert_eq!(server.get("/sim/newest").1, json!({ "path": null }));
    server.adds("a");
    server.adds("b");
    let path = format!("/#/pages/rt/index?appKey={KEY}&no=b");
    let (status, location, _) = server.call("GET", "/phone", None);
    assert_eq!((status, location.as_str()), (303, path.as_str()));
    assert_eq!(server.get("/sim/newest").1, json!({ "path": path }));
    assert_eq!(server.get("/sim/newest?after=b").1, json!({ "path": null }));
}

#[test]
fn a_configuration_that_cannot_work_is_refused_by_name() {
    let good = config("http://127.0.0.1:9/notify");
    assert_eq!(good.check(), Ok(()));
    for (bad, field) in [
        (config("127.0.0.1:9/notify"), "notify-url"),
        (config("ftp://x/notify"), "notify-url"),
        (
            Config {
                public_url: Some("/up".to_owned()),
                ..good.clone()
            },
            "public-url",
        ),
        (
            Config {
                app_key: Some("a&b".to_owned()),
                ..good.clone()
            },
            "app-key",
        ),
        (
            Config {
                mch_id: "75510000011234567".to_owned(),
                ..good.clone()
            },
            "mch-id",
        ),
        (
            Config {
                speed: 0.0,
                ..good.clone()
            },
            "speed",
        ),
    ] {
        let error = bad.check().expect_err(field).to_string();
        assert!(error.starts_with(field), "{error}");
    }
}
