//! The platform's side of the business, pure: time and randomness are arguments, nothing is sent from here.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::codec;

/// The waits before the ten notifications of one payment, in seconds, as the platform documents them.
pub const SCHEDULE: [u64; 10] = [0, 15, 15, 30, 180, 1800, 1800, 1800, 1800, 3600];
/// The most of an answer that is remembered, in characters.
const MAX_ANSWER: usize = 200;

/// The platform: its orders and how it misbehaves.
#[derive(Debug)]
pub struct Platform {
    app_key: Option<String>,
    public_url: String,
    mch_id: String,
    sign_key: String,
    orders: Vec<Order>,
    fault: Fault,
    faults_left: Option<u32>,
}

#[derive(Debug)]
struct Order {
    app_key: String,
    number: String,
    total: u64,
    paid: bool,
    deliveries: Vec<Delivery>,
}

/// One attempt to deliver a notification.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// The payment.
    pub transaction_id: String,
    /// When it was answered, or given up, in milliseconds since 1970.
    pub at_ms: u64,
    /// The HTTP status; 0 if there was no answer.
    pub status: u16,
    /// The answer.
    pub answer: String,
}

/// How AddOrderInfo fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// It does not.
    #[default]
    None,
    /// It refuses.
    Refuse,
    /// It adds the order, and does not answer.
    Stall,
    /// It answers nonsense.
    Garbage,
    /// It answers with an address elsewhere.
    Foreign,
}

/// What AddOrderInfo answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// This body, with HTTP 200.
    Body(String),
    /// Nothing, for long.
    Silence,
}

/// `POST /sim/pay`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pay {
    /// The number that is paid.
    pub order_no: String,
    /// How many payments; each is a transaction of its own.
    #[serde(default = "once")]
    pub times: u32,
    /// Another amount than the order's, in fen.
    pub total_fee: Option<u64>,
    /// Anything but `0` is a payment that failed.
    pub pay_result: Option<Value>,
    /// How long the first notification takes.
    #[serde(default)]
    pub delay_ms: u64,
    /// Whether it is signed wrongly.
    #[serde(default)]
    pub bad_sign: bool,
    /// `pay.weixin.jspay`, or what the customer pays with.
    pub trade_type: Option<String>,
}

fn once() -> u32 {
    1
}

/// Why a payment is not made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotPaid {
    /// There is no such order.
    UnknownOrder,
    /// More than a hundred payments at once.
    TooMany,
}

/// A notification to deliver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notification {
    /// The payment it is about.
    pub transaction_id: String,
    /// The signed message.
    pub body: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AddOrder {
    app_key: String,
    order_no: String,
    total: u64,
}

impl Platform {
    /// A platform without orders.
    pub fn new(
        app_key: Option<String>,
        public_url: String,
        mch_id: String,
        sign_key: String,
    ) -> Platform {
        Platform {
            app_key,
            public_url,
            mch_id,
            sign_key,
            orders: vec![],
            fault: Fault::None,
            faults_left: None,
        }
    }

    /// Lets AddOrderInfo fail from now on, so many times or until told otherwise.
    pub fn misbehave(&mut self, fault: Fault, times: Option<u32>) {
        (self.fault, self.faults_left) = (fault, times);
    }

    /// AddOrderInfo. Errors are HTTP 200 with a `code` in the body, as common admin frameworks do it.
    pub fn add_order(&mut self, body: &[u8]) -> Answer {
        let fault = self.next_fault();
        let refuse = |msg: &str| Answer::Body(json!({ "msg": msg, "code": 500 }).to_string());
        match fault {
            Fault::Refuse => return refuse("系统繁忙，请稍后再试"),
            Fault::Garbage => {
                return Answer::Body("<html><body>502 Bad Gateway</body></html>".to_owned());
            }
            Fault::None | Fault::Stall | Fault::Foreign => {}
        }
        let Ok(wanted) = serde_json::from_slice::<AddOrder>(body) else {
            return refuse("参数错误");
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if self
            .app_key
            .as_ref()
            .is_some_and(|known| *known != wanted.app_key)
            || wanted.app_key.is_empty()
        {
            return refuse("appKey不存在");
        }
        if !(1..=32).contains(&wanted.order_no.len())
            || !wanted.order_no.bytes().all(plain)
            || wanted.total == 0
        {
            return refuse("参数错误");
        }
        if self.find(&wanted.order_no).is_some() {
            return refuse("订单号重复");
        }
        let AddOrder {
            app_key,
            order_no,
            total,
        } = wanted;
        let host = if fault == Fault::Foreign {
            "https://evil.example"
        } else {
            self.public_url.as_str()
        };
        let scan_url = format!("{host}{}", page(&app_key, &order_no));
        let answer = json!({
            "msg": "操作成功", "code": 200,
            "data": { "scanUrl": scan_url, "order": { "appKey": app_key, "orderNo": order_no, "total": total } }
        });
        self.orders.push(Order {
            app_key,
            number: order_no,
            total,
            paid: false,
            deliveries: vec![],
        });
        if fault == Fault::Stall {
            Answer::Silence
        } else {
            Answer::Body(answer.to_string())
        }
    }

    fn next_fault(&mut self) -> Fault {
        match &mut self.faults_left {
            None => self.fault,
            Some(0) => Fault::None,
            Some(left) => {
                *left -= 1;
                self.fault
            }
        }
    }

    /// A customer pays; what the merchant is to be told.
    pub fn pay(
        &mut self,
        pay: &Pay,
        unix_millis: u64,
        mut random: impl FnMut() -> u128,
    ) -> Result<Vec<Notification>, NotPaid> {
        if pay.times > 100 {
            return Err(NotPaid::TooMany);
        }
        let place = self.find(&pay.order_no).ok_or(NotPaid::UnknownOrder)?;
        let pay_result = match &pay.pay_result {
            None => "0".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        self.orders[place].paid |= pay_result == "0" && pay.times > 0;
        let told = (0..pay.times).map(|_| {
            self.notification(&self.orders[place], pay, &pay_result, unix_millis, random())
        });
        Ok(told.collect())
    }

    fn notification(
        &self,
        order: &Order,
        pay: &Pay,
        pay_result: &str,
        unix_millis: u64,
        random: u128,
    ) -> Notification {
        let transaction_id = format!("{}{:018}", self.mch_id, random % 1_000_000_000_000_000_000);
        let trade_type = pay.trade_type.as_deref().unwrap_or("pay.weixin.jspay");
        let fields = [
            ("version", "2.0".to_owned()),
            ("charset", "UTF-8".to_owned()),
            ("sign_type", "MD5".to_owned()),
            ("status", "0".to_owned()),
            ("result_code", "0".to_owned()),
            ("mch_id", self.mch_id.clone()),
            ("nonce_str", format!("{:032x}", random.rotate_left(64))),
            ("openid", "oywgtuKWbuy3crsXWtPEQfKl4x_E".to_owned()),
            ("trade_type", trade_type.to_owned()),
            ("is_subscribe", "N".to_owned()),
            ("pay_result", pay_result.to_owned()),
            ("transaction_id", transaction_id.clone()),
            (
                "out_transaction_id",
                format!("42000{:023}", random % 100_000_000_000_000_000_000_000),
            ),
            ("out_trade_no", order.number.clone()),
            (
                "total_fee",
                pay.total_fee.unwrap_or(order.total).to_string(),
            ),
            ("fee_type", "CNY".to_owned()),
            ("attach", "<售货机> & more]]>".to_owned()),
            ("bank_type", "CFT".to_owned()),
            ("time_end", codec::time_end(unix_millis)),
        ];
        let key = if pay.bad_sign {
            "another key"
        } else {
            self.sign_key.as_str()
        };
        Notification {
            body: codec::signed_xml(&fields, key),
            transaction_id,
        }
    }

    /// Remembers how a delivery went. Whether it is over: only these seven bytes, with HTTP 200, are a success.
    pub fn delivered(&mut self, order_no: &str, mut delivery: Delivery) -> bool {
        let success = delivery.status == 200 && delivery.answer == "success";
        delivery.answer = delivery.answer.chars().take(MAX_ANSWER).collect();
        if let Some(place) = self.find(order_no) {
            self.orders[place].deliveries.push(delivery);
        }
        success
    }

    /// `GET /sim/orders`: all orders, oldest first.
    pub fn orders(&self) -> Value {
        let told = |order: &Order| json!({ "orderNo": order.number, "total": order.total, "paid": order.paid, "deliveries": order.deliveries });
        json!({ "orders": self.orders.iter().map(told).collect::<Vec<_>>() })
    }

    /// One order, for its page.
    pub fn order(&self, order_no: &str) -> Option<Value> {
        let order = &self.orders[self.find(order_no)?];
        Some(json!({ "orderNo": order.number, "total": order.total, "paid": order.paid }))
    }

    /// Where the newest order that is not paid can be paid, below our own address.
    pub fn newest_page(&self) -> Option<String> {
        let newest = self.orders.iter().rev().find(|order| !order.paid)?;
        Some(page(&newest.app_key, &newest.number))
    }

    fn find(&self, order_no: &str) -> Option<usize> {
        self.orders
            .iter()
            .position(|order| order.number == order_no)
    }
}

fn page(app_key: &str, order_no: &str) -> String {
    format!("/#/pages/rt/index?appKey={app_key}&no={order_no}")
}

/// How long to wait before this attempt, the first being 0; `None` after the last.
pub fn wait_before(attempt: usize, speed: f64) -> Option<Duration> {
    SCHEDULE
        .get(attempt)
        .map(|seconds| Duration::from_secs(*seconds).div_f64(speed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform() -> Platform {
        Platform::new(
            Some("K".to_owned()),
            "https://up.example".to_owned(),
            "7551000001".to_owned(),
            "key".to_owned(),
        )
    }

    fn add(platform: &mut Platform, order_no: &str) -> Value {
        let body = json!({ "appKey": "K", "orderNo": order_no, "total": 350 }).to_string();
        match platform.add_order(body.as_bytes()) {
            Answer::Body(body) => serde_json::from_str(&body).unwrap_or(Value::String(body)),
            Answer::Silence => Value::Null,
        }
    }

    fn pay(order_no: &str) -> Pay {
        serde_json::from_value(json!({ "orderNo": order_no })).expect("enough")
    }

    #[test]
    fn an_order_is_answered_as_documented() {
        let answer = add(&mut platform(), "N1");
        assert_eq!(answer["code"], 200);
        assert_eq!(
            answer["data"]["scanUrl"],
            "https://up.example/#/pages/rt/index?appKey=K&no=N1"
        );
        assert_eq!(
            answer["data"]["order"],
            json!({ "appKey": "K", "orderNo": "N1", "total": 350 })
        );
    }

    #[test]
    fn a_repeated_number_and_bad_particulars_are_refused_in_the_body() {
        let mut platform = platform();
        add(&mut platform, "N1");
        assert_eq!(add(&mut platform, "N1")["code"], 500);
        for body in [
            r#"{"appKey":"other","orderNo":"N2","total":1}"#,
            r#"{"appKey":"K","orderNo":"","total":1}"#,
            r#"{"appKey":"K","orderNo":"N 2","total":1}"#,
            r#"{"appKey":"K","orderNo":"N2","total":0}"#,
            r#"{"appKey":"K","orderNo":"N2","total":-1}"#,
            r#"{"appKey":"K","orderNo":"N2","total":0.5}"#,
            r#"{"appKey":"K","orderNo":"N2"}"#,
            "",
        ] {
            let Answer::Body(answer) = platform.add_order(body.as_bytes()) else {
                panic!("it answers")
            };
            assert!(answer.contains("500"), "{body}: {answer}");
        }
        assert_eq!(
            platform.orders()["orders"].as_array().map(Vec::len),
            Some(1)
        );
    }

    #[test]
    fn faults_come_as_often_as_asked_for() {
        let mut platform = platform();
        platform.misbehave(Fault::Refuse, Some(1));
        assert_eq!(add(&mut platform, "N1")["code"], 500);
        assert_eq!(add(&mut platform, "N1")["code"], 200);
        platform.misbehave(Fault::Garbage, None);
        assert!(add(&mut platform, "N2").is_string());
        assert!(add(&mut platform, "N2").is_string());
        platform.misbehave(Fault::Stall, Some(1));
        assert_eq!(add(&mut platform, "N2"), Value::Null);
        assert!(platform.order("N2").is_some(), "it is added all the same");
        platform.misbehave(Fault::Foreign, Some(1));
        assert!(
            add(&mut platform, "N3")["data"]["scanUrl"]
                .as_str()
                .is_some_and(|url| url.contains("evil.example"))
        );
    }

    #[test]
    fn two_payments_of_one_number_are_two_transactions() {
        let mut platform = platform();
        add(&mut platform, "N1");
        let mut dice = 0;
        let twice = Pay {
            times: 2,
            ..pay("N1")
        };
        let told = platform.pay(&twice, 0, || {
            dice += 1;
            dice
        });
        let told = told.expect("paid");
        assert_eq!(told.len(), 2);
        assert_ne!(told[0].transaction_id, told[1].transaction_id);
        assert!(told[0].transaction_id.len() <= 32);
        assert!(
            told[0]
                .body
                .contains("<total_fee><![CDATA[350]]></total_fee>")
        );
        assert_eq!(platform.order("N1").expect("there")["paid"], true);
        assert_eq!(
            platform.pay(&pay("N9"), 0, || 1),
            Err(NotPaid::UnknownOrder)
        );
    }

    #[test]
    fn a_failed_payment_does_not_make_an_order_paid() {
        let mut platform = platform();
        add(&mut platform, "N1");
        let failed = Pay {
            pay_result: Some(json!(1)),
            ..pay("N1")
        };
        let told = platform.pay(&failed, 0, || 1).expect("told");
        assert!(
            told[0]
                .body
                .contains("<pay_result><![CDATA[1]]></pay_result>")
        );
        assert_eq!(platform.order("N1").expect("there")["paid"], false);
    }

    #[test]
    fn there_are_ten_attempts_over_three_hours_and_four_minutes() {
        let waits: Vec<Duration> = (0..)
            .map_while(|attempt| wait_before(attempt, 1.0))
            .collect();
        assert_eq!(waits.len(), 10);
        assert_eq!(waits.iter().sum::<Duration>(), Duration::from_secs(11_040));
        assert_eq!(wait_before(4, 100.0), Some(Duration::from_millis(1800)));
    }

    #[test]
    fn only_the_exact_answer_is_a_success() {
        let mut platform = platform();
        add(&mut platform, "N1");
        let mut answered = |status, answer: &str| {
            let delivery = Delivery {
                transaction_id: "T".to_owned(),
                at_ms: 1,
                status,
                answer: answer.to_owned(),
            };
            platform.delivered("N1", delivery)
        };
        assert!(answered(200, "success"));
        for (status, answer) in [
            (200, "success\n"),
            (200, "SUCCESS"),
            (200, "fail"),
            (201, "success"),
            (500, "success"),
            (0, ""),
        ] {
            assert!(!answered(status, answer), "{status} {answer}");
        }
        assert_eq!(
            platform.orders()["orders"][0]["deliveries"]
                .as_array()
                .map(Vec::len),
            Some(7)
        );
    }
}
