//! The merchant's HTTP API and the platform's notifications: reads requests, asks the books, writes answers.
//!
//! It decides nothing: what a body is worth is `notify`'s business, what it does to a sale is the ledger's.

mod orders;
mod platform;

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::Router;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};

use crate::api;
use crate::ids::KioskName;
use crate::merchant::client::Client;
use crate::merchant::limits::{Admitted, TooMany};
use crate::merchant::store::Unavailable;
use crate::merchant::{Merchant, console, now};
use crate::sale::SaleStatus;

/// The largest body of our own API, in bytes.
const MAX_REQUEST: usize = 4096;

/// Everything the server answers to.
pub fn router(merchant: Arc<Merchant>) -> Router {
    let api = Router::new()
        .route(
            "/orders/{order_no}",
            put(orders::register).get(orders::order),
        )
        .route("/heartbeat", post(orders::heartbeat))
        .route("/sales/unsettled", get(orders::unsettled))
        .route("/sales/{sale}/claim", post(orders::claim))
        .route("/sales/{sale}/outcome", post(orders::outcome))
        .route("/sales/{sale}/close", post(orders::close))
        .fallback(async |_: Kiosk| {
            Refused::new(StatusCode::NOT_FOUND, "not-found", "there is no such call")
        })
        .method_not_allowed_fallback(async |_: Kiosk| {
            Refused::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "this call has another method",
            )
        });
    let notify_path = merchant.config.notify_path.clone();
    Router::new()
        .nest("/v1", api)
        .route(&notify_path, post(platform::notify))
        .route("/healthz", get(health))
        .route("/metrics", get(metrics))
        .merge(console::routes())
        .fallback(platform::unknown_path)
        .method_not_allowed_fallback(platform::wrong_method)
        .with_state(merchant)
}

/// The kiosk that asks, by its token, and its place among the calls that it may make at once. Every call of the API has it, and
/// with it the kiosk's limits.
struct Kiosk(KioskName, Admitted);

impl FromRequestParts<Arc<Merchant>> for Kiosk {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        merchant: &Arc<Merchant>,
    ) -> Result<Kiosk, Response> {
        let token = token(&parts.headers);
        let Some(kiosk) = token.and_then(|token| merchant.tokens.owner(token)) else {
            if token.is_some() {
                let Ok(Client(from)) = Client::from_request_parts(parts, merchant).await;
                merchant.wrong_tokens.count(from, Instant::now());
            }
            let refusal = Refused::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "send a kiosk's token as Authorization: Bearer",
            );
            return Err(([(header::WWW_AUTHENTICATE, "Bearer")], refusal).into_response());
        };
        let agent = parts.headers.get(header::USER_AGENT);
        let agent = agent.and_then(|agent| agent.to_str().ok());
        let version = agent.and_then(|agent| agent.strip_prefix("selpay-kiosk/"));
        merchant.presence.heard(kiosk, now(), version);
        match admit(merchant, kiosk, &parts.method).await {
            Ok(admitted) => Ok(Kiosk(kiosk, admitted)),
            Err(refused) => Err(refused),
        }
    }
}

/// Lets a kiosk's call in, if it does not ask too much. Only what is put begins something.
async fn admit(
    merchant: &Merchant,
    kiosk: KioskName,
    method: &Method,
) -> Result<Admitted, Response> {
    let begins = *method == Method::PUT;
    let admitted = merchant.limits.admit(kiosk, begins, Instant::now());
    let admitted = admitted.map_err(|excess| too_many(merchant, excess))?;
    if let Some(most) = begins.then(|| admitted.begins()).flatten() {
        let open = merchant.store.live_count(kiosk, most).await;
        let open = open.map_err(|error| Refused::from(error).into_response())?;
        let may_begin = admitted.holds(open);
        may_begin.map_err(|excess| too_many(merchant, excess))?;
    }
    Ok(admitted)
}

/// The kiosk asks too much, and is told when to ask again.
fn too_many(merchant: &Merchant, TooMany { of, again }: TooMany) -> Response {
    merchant.metrics.too_many(of);
    let seconds = again.as_millis().div_ceil(1000).max(1).to_string();
    let message = format!(
        "more than this kiosk may ask ([kiosk-limits] {})",
        of.as_str()
    );
    let refusal = Refused::new(StatusCode::TOO_MANY_REQUESTS, "too-many", message);
    ([(header::RETRY_AFTER, seconds)], refusal).into_response()
}

fn token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

/// An answer that is not a success.
struct Refused {
    http: StatusCode,
    refusal: api::Refusal,
}

impl Refused {
    fn new(http: StatusCode, error: &str, message: impl Into<String>) -> Refused {
        let refusal = api::Refusal {
            error: error.to_owned(),
            message: message.into(),
            status: None,
        };
        Refused { http, refusal }
    }

    /// Tells where the sale stands as well.
    fn standing(mut self, status: SaleStatus) -> Refused {
        self.refusal.status = Some(status);
        self
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let again = match self.http {
            StatusCode::SERVICE_UNAVAILABLE => Some([(header::RETRY_AFTER, "1")]),
            _ => None,
        };
        (self.http, again, Json(self.refusal)).into_response()
    }
}

impl From<Unavailable> for Refused {
    fn from(error: Unavailable) -> Refused {
        tracing::error!("{error}");
        Refused::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "the database does not answer; ask again",
        )
    }
}

async fn health(State(merchant): State<Arc<Merchant>>) -> Response {
    match merchant.store.check().await {
        Ok(()) => "ok".into_response(),
        Err(error) => error.into_response(),
    }
}

async fn metrics(State(merchant): State<Arc<Merchant>>) -> Result<Response, Refused> {
    let watched = merchant.watched().await?;
    let waiting = merchant.waiters.count();
    let wrong_tokens = merchant.wrong_tokens.total();
    let page = merchant.metrics.page(waiting, wrong_tokens, &watched);
    Ok((
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        page,
    )
        .into_response())
}
