//! The platform over HTTP: the call of its document, and `/sim/…` for whoever plays the customer or the bad day.
//!
//! Reads and writes JSON, and decides nothing: every answer comes from the [`platform`](super::platform).

mod customer;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::platform::{Answer, Delivery, NewOrder, Order};
use super::variations::Added;
use super::{Simulation, page};

/// How long a stalled answer takes.
const STALL_TIME: Duration = Duration::from_secs(60);
/// Where [`Answer::Foreign`] leads.
const FOREIGN_URL: &str = "https://evil.example";

/// Everything the platform's server answers.
pub fn router(simulation: Arc<Simulation>) -> Router {
    Router::new()
        .route("/prod-api/up/public/AddOrderInfo", post(add_order))
        .route("/sim/orders", get(orders))
        .route("/sim/orders/{orderNo}", get(order))
        .route("/sim/newest", get(newest))
        .route("/sim/pay", post(customer::pay))
        .route("/sim/faults", post(customer::fail))
        .merge(page::router())
        .fallback(async || problem(StatusCode::NOT_FOUND, "not-found", "there is nothing here"))
        .with_state(simulation)
}

/// Any JSON value in each field: the platform says itself which one is wrong.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct AddOrder {
    app_key: Value,
    order_no: Value,
    total: Value,
}

async fn add_order(State(simulation): State<Arc<Simulation>>, body: Bytes) -> Response {
    let asked: AddOrder = match read(&body) {
        Ok(asked) => asked,
        Err(why) => return not_added(&format!("请求参数格式不正确: {why}")),
    };
    let new = NewOrder {
        app_key: asked.app_key.as_str().unwrap_or_default(),
        order_no: asked.order_no.as_str().unwrap_or_default(),
        // Zero is refused, like whatever else is no count of fen.
        total: asked.total.as_u64().unwrap_or_default(),
    };
    let answer = simulation.platform().add_order(new);
    tracing::info!("AddOrderInfo {:?}: {answer:?}", new.order_no);
    match answer {
        Answer::Added(order) => added(&simulation, &simulation.public_url, &order),
        Answer::Foreign(order) => added(&simulation, FOREIGN_URL, &order),
        Answer::Refused(why) => not_added(&why.to_string()),
        Answer::Garbled => (
            [(header::CONTENT_TYPE, "text/html; charset=utf-8")],
            "<html><body><h1>502 Bad Gateway</h1></body></html>",
        )
            .into_response(),
        Answer::Stalled(order) => {
            let mut ended = simulation.ended.clone();
            match timeout(STALL_TIME, ended.wait_for(|ended| *ended)).await {
                Err(_) => added(&simulation, &simulation.public_url, &order),
                Ok(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            }
        }
    }
}

fn added(simulation: &Simulation, public_url: &str, order: &Order) -> Response {
    let (name, what) = simulation.spelling();
    tracing::info!("spelled with {name}");
    what.answer(&Added {
        public_url,
        app_key: &order.app_key,
        order_no: &order.order_no,
        total: order.total,
    })
}

/// The platform's way to say no: HTTP 200, and the truth in the body.
fn not_added(why: &str) -> Response {
    Json(json!({ "msg": why, "code": 500 })).into_response()
}

/// An order without its deliveries.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OrderLine {
    order_no: String,
    total: u32,
    paid: bool,
}

impl OrderLine {
    fn of(order: &Order) -> OrderLine {
        OrderLine {
            order_no: order.order_no.clone(),
            total: order.total,
            paid: order.paid,
        }
    }
}

#[derive(Serialize)]
struct OrderEntry {
    #[serde(flatten)]
    line: OrderLine,
    deliveries: Vec<DeliveryEntry>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeliveryEntry {
    transaction_id: String,
    at_ms: u64,
    status: u16,
    answer: String,
}

impl DeliveryEntry {
    fn of(delivery: &Delivery) -> DeliveryEntry {
        DeliveryEntry {
            transaction_id: delivery.transaction_id.clone(),
            at_ms: delivery.at.0,
            status: delivery.status,
            answer: delivery.answer.clone(),
        }
    }
}

async fn orders(State(simulation): State<Arc<Simulation>>) -> Response {
    let orders: Vec<OrderEntry> = simulation
        .platform()
        .orders()
        .iter()
        .map(|order| OrderEntry {
            line: OrderLine::of(order),
            deliveries: order.deliveries.iter().map(DeliveryEntry::of).collect(),
        })
        .collect();
    Json(json!({ "orders": orders })).into_response()
}

async fn order(
    State(simulation): State<Arc<Simulation>>,
    Path(order_no): Path<String>,
) -> Response {
    match simulation.platform().order(&order_no) {
        Some(order) => Json(OrderLine::of(order)).into_response(),
        None => unknown_order(),
    }
}

#[derive(Deserialize)]
struct After {
    after: Option<String>,
}

/// Where the newest unpaid order is paid: `{"path": "/#/…"}`, or `null` while there is none.
async fn newest(
    State(simulation): State<Arc<Simulation>>,
    Query(After { after }): Query<After>,
) -> Response {
    let platform = simulation.platform();
    let newest = platform.newest_unpaid(after.as_deref());
    Json(json!({ "path": newest.map(page::path_of) })).into_response()
}

/// Reads a JSON body, or says in a line why it cannot be read.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

fn unknown_order() -> Response {
    let why = "there is no order with this number";
    problem(StatusCode::NOT_FOUND, "unknown-order", why)
}

fn problem(status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(json!({ "error": code, "message": message }))).into_response()
}
