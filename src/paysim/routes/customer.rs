//! `/sim/pay` and `/sim/faults`: what tests, scripts and the phone's page ask of the platform and its customers.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{problem, read, unknown_order};
use crate::paysim::Simulation;
use crate::paysim::platform::{Fault, NotPaid, Purchase, amount, is_word};

/// How many payments one call may make.
const MAX_TIMES: u32 = 100;
/// How long a notification may be held back: a day.
const MAX_DELAY_MS: u64 = 24 * 3600 * 1000;

/// The body of `/sim/pay`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Pay {
    order_no: String,
    times: Option<u32>,
    total_fee: Option<u64>,
    pay_result: Option<PayResult>,
    delay_ms: Option<u64>,
    bad_sign: Option<bool>,
    trade_type: Option<String>,
    /// Ours: refuse with 409 if somebody has paid, as a customer's phone does.
    once: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum PayResult {
    Number(i64),
    Text(String),
}

impl Pay {
    /// What is asked for, or which field cannot be.
    fn purchase(self) -> Result<Purchase, String> {
        let plain = Purchase::of(&self.order_no);
        let times = self.times.unwrap_or(plain.times);
        if !(1..=MAX_TIMES).contains(&times) {
            return Err(format!("times: must be within 1 … {MAX_TIMES}"));
        }
        let total_fee = match self.total_fee {
            None => None,
            Some(fee) => Some(amount(fee).ok_or("totalFee: must be a positive number of fen")?),
        };
        let pay_result = match self.pay_result {
            None => plain.pay_result,
            Some(PayResult::Number(number)) => number.to_string(),
            Some(PayResult::Text(text)) => text,
        };
        if !is_word(&pay_result, 16) {
            return Err("payResult: must be a number or 1 to 16 of A-Za-z0-9_-".to_owned());
        }
        let delay_ms = self.delay_ms.unwrap_or(plain.delay_ms);
        if delay_ms > MAX_DELAY_MS {
            return Err(format!("delayMs: must be within 0 … {MAX_DELAY_MS}"));
        }
        let trade_type = self.trade_type.unwrap_or(plain.trade_type);
        // Letters and digits between dots, pay.alipay.native for example.
        if trade_type.len() > 32 || !trade_type.split('.').all(|part| is_word(part, 32)) {
            return Err("tradeType: must be like pay.weixin.jspay".to_owned());
        }
        Ok(Purchase {
            order_no: self.order_no,
            times,
            total_fee,
            pay_result,
            delay_ms,
            bad_sign: self.bad_sign.unwrap_or(plain.bad_sign),
            trade_type,
            once: self.once.unwrap_or(plain.once),
        })
    }
}

/// A customer pays; answers at once, the notifications follow.
pub async fn pay(State(simulation): State<Arc<Simulation>>, body: Bytes) -> Response {
    let purchase = match read::<Pay>(&body).and_then(Pay::purchase) {
        Ok(purchase) => purchase,
        Err(why) => return problem(StatusCode::BAD_REQUEST, "unusable", &why),
    };
    tracing::info!("{purchase:?}");
    let paid = simulation.platform().pay(simulation.clock.now(), &purchase);
    match paid {
        Ok(transaction_ids) => {
            simulation.news.notify_one();
            Json(json!({ "transactionIds": transaction_ids })).into_response()
        }
        Err(NotPaid::UnknownOrder) => unknown_order(),
        Err(why @ NotPaid::AlreadyPaid) => {
            problem(StatusCode::CONFLICT, "already-paid", &why.to_string())
        }
    }
}

/// The body of `/sim/faults`, and its answer.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Faults {
    add_order: AddOrderFault,
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<u32>,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum AddOrderFault {
    Refuse,
    Stall,
    Garbage,
    Foreign,
    None,
}

/// Something is to go wrong from now on, or nothing any more; answers what was understood.
pub async fn fail(State(simulation): State<Arc<Simulation>>, body: Bytes) -> Response {
    let faults: Faults = match read(&body) {
        Ok(faults) => faults,
        Err(why) => return problem(StatusCode::BAD_REQUEST, "unusable", &why),
    };
    if faults.times == Some(0) {
        let why = "times: must be at least 1; addOrder none ends a fault";
        return problem(StatusCode::BAD_REQUEST, "unusable", why);
    }
    let fault = match faults.add_order {
        AddOrderFault::Refuse => Some(Fault::Refuse),
        AddOrderFault::Stall => Some(Fault::Stall),
        AddOrderFault::Garbage => Some(Fault::Garbage),
        AddOrderFault::Foreign => Some(Fault::Foreign),
        AddOrderFault::None => None,
    };
    tracing::info!(
        "AddOrderInfo is to fail: {fault:?}, times {:?}",
        faults.times
    );
    simulation.platform().fail(fault, faults.times);
    Json(faults).into_response()
}
