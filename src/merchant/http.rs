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
use crate::merchant::store::{Unavailable, reports};
use crate::merchant::{Merchant, console};
use crate::sale::SaleStatus;

pub use crate::http::serve;

/// The largest body of our own API, in bytes.
const MAX_REQUEST: usize = 4096;

/// Everything the server answers to.
pub fn router(merchant: Arc<Merchant>) -> Router {
    let api = Router::new()
        .route(
            "/orders/{order_no}",
            put(orders::register).get(orders::order),
        )
        .route("/sales/unsettled", get(orders::unsettled))
        .route("/sales/{sale}/claim", post(orders::claim))
        .route("/sales/{sale}/outcome", post(orders::outcome))
        .route("/sales/{sale}/close", post(orders::close))
        .fallback(async |_: Kiosk| {
            refuse(StatusCode::NOT_FOUND, "not-found", "there is no such call")
        })
        .method_not_allowed_fallback(async |_: Kiosk| {
            refuse(
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
        token(&parts.headers)
            .and_then(|token| merchant.config.kiosks.of_token(token))
            .map(Kiosk)
            .ok_or_else(|| {
                let refusal = refuse(
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
fn refuse(status: StatusCode, error: &str, message: &str) -> Response {
    refuse_as(status, error, message, None)
}

/// The same, with where the sale stands.
fn refuse_as(status: StatusCode, error: &str, message: &str, sale: Option<SaleStatus>) -> Response {
    let refusal = api::Refusal {
        error: error.to_owned(),
        message: message.to_owned(),
        status: sale,
    };
    (status, Json(refusal)).into_response()
}

fn unavailable(error: &Unavailable) -> Response {
    tracing::error!("{error}");
    refuse(
        StatusCode::SERVICE_UNAVAILABLE,
        "unavailable",
        "the database does not answer; ask again",
    )
}

async fn health(State(merchant): State<Arc<Merchant>>) -> Response {
    match merchant
        .store
        .read(|books| books.query_row("SELECT 1", [], |_| Ok(())))
        .await
    {
        Ok(()) => "ok".into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}

async fn metrics(State(merchant): State<Arc<Merchant>>) -> Response {
    let figures = merchant
        .store
        .read(|books| Ok((reports::balance(books)?, reports::sales_by_status(books)?)))
        .await;
    match figures {
        Ok((balance, sales)) => {
            let page = merchant
                .metrics
                .page(merchant.waiters.count(), &balance, &sales);
            (
                [(
                    header::CONTENT_TYPE,
                    "text/plain; version=0.0.4; charset=utf-8",
                )],
                page,
            )
                .into_response()
        }
        Err(error) => unavailable(&error),
    }
}
