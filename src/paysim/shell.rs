//! HTTP around the platform's model: its call, its notifications, the customer's phone, and what tests may ask for.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::Config;
use super::platform::{Answer, Delivery, Fault, NotPaid, Notification, Pay, Platform, wait_before};
use crate::http::read_body;

/// How long the platform waits for the answer to a notification (its document, section 3).
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// How long a stalled AddOrderInfo takes.
const STALL_TIME: Duration = Duration::from_secs(60);
/// The largest request, in bytes.
const MAX_REQUEST: usize = 16 * 1024;

struct Shell {
    platform: Mutex<Platform>,
    notify_url: String,
    speed: f64,
    agent: ureq::Agent,
}

/// Everything the stand-in answers to.
pub fn router(config: Config, public_url: String) -> Router {
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(ANSWER_TIME))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .build();
    let shell = Arc::new(Shell {
        platform: Mutex::new(Platform::new(
            config.app_key,
            public_url,
            config.mch_id,
            config.sign_key,
        )),
        notify_url: config.notify_url,
        speed: config.speed,
        agent: agent.into(),
    });
    let file = |kind: &'static str, content: &'static str| {
        get(async move || ([(header::CONTENT_TYPE, kind)], content))
    };
    Router::new()
        .route("/prod-api/up/public/AddOrderInfo", post(add_order))
        .route("/", get(page))
        .route(
            "/phone.css",
            file("text/css", include_str!("page/phone.css")),
        )
        .route(
            "/phone.js",
            file("text/javascript", include_str!("page/phone.js")),
        )
        .route("/phone", get(phone))
        .route("/sim/newest", get(newest))
        .route(
            "/sim/orders",
            get(async |State(shell): State<Arc<Shell>>| Json(shell.platform().orders())),
        )
        .route("/sim/orders/{order_no}", get(order))
        .route("/sim/pay", post(pay))
        .route("/sim/faults", post(faults))
        .with_state(shell)
}

impl Shell {
    fn platform(&self) -> MutexGuard<'_, Platform> {
        self.platform
            .lock()
            .expect("nobody panics while holding the lock")
    }
}

async fn add_order(State(shell): State<Arc<Shell>>, body: Body) -> Response {
    let Ok(body) = read_body(body, MAX_REQUEST).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let answer = shell.platform().add_order(&body);
    match answer {
        Answer::Body(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Answer::Silence => {
            tokio::time::sleep(STALL_TIME).await;
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
    }
}

async fn page() -> Response {
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'";
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    (headers, include_str!("page/phone.html")).into_response()
}

/// The phone, held before the code that shows now.
async fn phone(State(shell): State<Arc<Shell>>) -> Redirect {
    Redirect::to(shell.platform().newest_page().as_deref().unwrap_or("/"))
}

/// The same for a page that is open already.
async fn newest(State(shell): State<Arc<Shell>>) -> Response {
    Json(json!({ "page": shell.platform().newest_page() })).into_response()
}

async fn order(State(shell): State<Arc<Shell>>, Path(order_no): Path<String>) -> Response {
    match shell.platform().order(&order_no) {
        Some(order) => Json(order).into_response(),
        None => refuse(StatusCode::NOT_FOUND, "not-found", "there is no such order"),
    }
}

async fn pay(State(shell): State<Arc<Shell>>, body: Body) -> Response {
    let wanted: Pay = match json(body).await {
        Ok(wanted) => wanted,
        Err(refusal) => return refusal,
    };
    let told = shell.platform().pay(&wanted, unix_millis(), random_bits);
    let told = match told {
        Ok(told) => told,
        Err(NotPaid::UnknownOrder) => {
            return refuse(StatusCode::NOT_FOUND, "not-found", "there is no such order");
        }
        Err(NotPaid::TooMany) => {
            return refuse(
                StatusCode::BAD_REQUEST,
                "bad-request",
                "times must be 0 … 100",
            );
        }
    };
    let ids: Vec<String> = told
        .iter()
        .map(|notification| notification.transaction_id.clone())
        .collect();
    for notification in told {
        let delay = Duration::from_millis(wanted.delay_ms);
        tokio::spawn(deliver(
            Arc::clone(&shell),
            wanted.order_no.clone(),
            notification,
            delay,
        ));
    }
    Json(json!({ "transactionIds": ids })).into_response()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Faults {
    add_order: Fault,
    times: Option<u32>,
}

async fn faults(State(shell): State<Arc<Shell>>, body: Body) -> Response {
    match json::<Faults>(body).await {
        Ok(Faults { add_order, times }) => {
            shell.platform().misbehave(add_order, times);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(refusal) => refusal,
    }
}

/// Delivers one notification until it is answered `success`, as the platform does.
async fn deliver(shell: Arc<Shell>, order_no: String, notification: Notification, delay: Duration) {
    tokio::time::sleep(delay).await;
    for wait in (0..).map_while(|attempt| wait_before(attempt, shell.speed)) {
        tokio::time::sleep(wait).await;
        let (to, body) = (Arc::clone(&shell), notification.body.clone());
        // A post that panics was not answered.
        let (status, answer) = tokio::task::spawn_blocking(move || to.post(&body))
            .await
            .unwrap_or_default();
        tracing::debug!("notified about {order_no}: {status} {answer}");
        let transaction_id = notification.transaction_id.clone();
        let delivery = Delivery {
            transaction_id,
            at_ms: unix_millis(),
            status,
            answer,
        };
        if shell.platform().delivered(&order_no, delivery) {
            return;
        }
    }
}

impl Shell {
    /// The answer's status and text; 0 and nothing, if there is none in time.
    fn post(&self, body: &str) -> (u16, String) {
        let answered = self
            .agent
            .post(&self.notify_url)
            .header("Content-Type", "text/xml;charset=UTF-8")
            .send(body);
        let read = answered.and_then(|mut answer| {
            let text = answer
                .body_mut()
                .with_config()
                .limit(64 * 1024)
                .lossy_utf8(true)
                .read_to_string()?;
            Ok((answer.status().as_u16(), text))
        });
        read.unwrap_or_else(|error| {
            tracing::warn!("{}: {error}", self.notify_url);
            (0, String::new())
        })
    }
}

fn refuse(status: StatusCode, error: &str, message: &str) -> Response {
    (status, Json(json!({ "error": error, "message": message }))).into_response()
}

async fn json<T: DeserializeOwned>(body: Body) -> Result<T, Response> {
    let bad = |message: String| refuse(StatusCode::BAD_REQUEST, "bad-request", &message);
    let body = read_body(body, MAX_REQUEST)
        .await
        .map_err(|error| bad(error.to_string()))?;
    serde_json::from_slice(&body).map_err(|error| bad(error.to_string()))
}

fn unix_millis() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis() as u64
}

fn random_bits() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("Linux has random numbers once it has started");
    u128::from_ne_bytes(bytes)
}
