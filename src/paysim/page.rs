//! The page that is the customer's phone. Only files and where they are found; what it shows, it asks for itself.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::Simulation;
use super::platform::Order;

/// Only our own files, and nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'";

/// Where the page and its files are.
pub fn router() -> Router<Arc<Simulation>> {
    Router::new()
        .route("/", get(phone))
        .route("/phone", get(newest))
        .route(
            "/phone.css",
            get(|| async { file("text/css; charset=utf-8", include_str!("page/phone.css")) }),
        )
        .route(
            "/phone.js",
            get(|| async {
                file(
                    "text/javascript; charset=utf-8",
                    include_str!("page/phone.js"),
                )
            }),
        )
}

/// Where a customer pays an order, below the platform's public address.
pub fn path_of(order: &Order) -> String {
    // Both are letters, digits, - and _: nothing to escape.
    let Order {
        app_key, order_no, ..
    } = order;
    format!("/#/pages/rt/index?appKey={app_key}&no={order_no}")
}

async fn phone() -> Response {
    let page = file("text/html; charset=utf-8", include_str!("page/phone.html"));
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], page).into_response()
}

/// To the newest order, as if its code had been scanned; without one the page waits for it.
async fn newest(State(simulation): State<Arc<Simulation>>) -> Response {
    let path = simulation.platform().newest_unpaid(None).map(path_of);
    match path {
        Some(path) => {
            let headers = [
                (header::LOCATION, path.as_str()),
                (header::CACHE_CONTROL, "no-store"),
            ];
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        None => phone().await,
    }
}

fn file(kind: &'static str, content: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, content).into_response()
}
