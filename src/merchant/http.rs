//! The merchant's HTTP API and the platform's notifications: reads requests, asks the books, writes answers.
//!
//! It decides nothing: what a body is worth is `notify`'s business, what it does to a sale is the ledger's.

mod orders;
mod platform;

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};

use crate::api;
use crate::ids::KioskName;
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
        .with_state(merchant)
}

/// The kiosk that asks, by its token.
struct Kiosk(KioskName);

impl FromRequestParts<Arc<Merchant>> for Kiosk {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        merchant: &Arc<Merchant>,
    ) -> Result<Kiosk, Response> {
        let known = token(&parts.headers)
            .and_then(|token| merchant.tokens.owner(&merchant.config.kiosks, token));
        if let Some(kiosk) = known {
            let agent = parts.headers.get(header::USER_AGENT);
            let agent = agent.and_then(|agent| agent.to_str().ok());
            let version = agent.and_then(|agent| agent.strip_prefix("selpay-kiosk/"));
            merchant.presence.heard(kiosk, now(), version);
        }
        known.map(Kiosk).ok_or_else(|| {
            let refusal = Refused::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "send a kiosk's token as Authorization: Bearer",
            );
            ([(header::WWW_AUTHENTICATE, "Bearer")], refusal).into_response()
        })
    }
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
    let page = merchant.metrics.page(merchant.waiters.count(), &watched);
    Ok((
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        page,
    )
        .into_response())
}
