//! The table of routes: what the server answers to, who may ask, and how large a body each takes. The router is built from it
//! and from nothing else, and tests read it.

use std::sync::Arc;

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::{health, metrics, orders, platform};
use crate::http::DEFAULT_BODY;
use crate::merchant::{Merchant, console};
use crate::selpay::xml::MAX_BODY;

/// The kiosks' API is below this.
pub(super) const API: &str = "/v1";

/// Who may use a route. Others get an answer that tells nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    /// Anybody: what it tells is no secret, or it is how one logs in.
    Anyone,
    /// Whoever signs the body with the platform's key.
    Platform,
    /// A kiosk with its token.
    Kiosk,
    /// Whoever is logged in to the console.
    Owner,
    /// Whoever may read `/metrics`.
    Monitor,
}

/// What one method of one path does.
pub struct Route {
    /// Its method.
    pub method: Method,
    /// Its path; `{…}` stands for one part.
    pub path: String,
    /// Who may use it.
    pub who: Who,
    /// How large a body it takes, in bytes: more is refused before any handler sees it.
    pub body: usize,
    pub(super) service: MethodRouter<Arc<Merchant>>,
}

impl Route {
    fn new<H, T>(method: Method, path: &str, who: Who, handler: H) -> Route
    where
        H: Handler<T, Arc<Merchant>>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone());
        Route {
            method,
            path: path.to_owned(),
            who,
            body: DEFAULT_BODY,
            service: on(filter.expect("one of HTTP's own methods"), handler),
        }
    }

    /// What is read here; HEAD as well.
    pub(in crate::merchant) fn get<H, T>(path: &str, who: Who, handler: H) -> Route
    where
        H: Handler<T, Arc<Merchant>>,
        T: 'static,
    {
        Route::new(Method::GET, path, who, handler)
    }

    /// What is put here.
    pub(in crate::merchant) fn put<H, T>(path: &str, who: Who, handler: H) -> Route
    where
        H: Handler<T, Arc<Merchant>>,
        T: 'static,
    {
        Route::new(Method::PUT, path, who, handler)
    }

    /// What is posted here.
    pub(in crate::merchant) fn post<H, T>(path: &str, who: Who, handler: H) -> Route
    where
        H: Handler<T, Arc<Merchant>>,
        T: 'static,
    {
        Route::new(Method::POST, path, who, handler)
    }

    /// The same with bodies of at most so many bytes.
    pub(in crate::merchant) fn takes(self, body: usize) -> Route {
        Route { body, ..self }
    }

    /// Whether a request to this path is meant for this route.
    pub(super) fn is_at(&self, path: &str) -> bool {
        let mut parts = path.split('/');
        self.path.split('/').all(|wanted| {
            let part = parts.next();
            part.is_some_and(|part| wanted == part || wanted.starts_with('{') && !part.is_empty())
        }) && parts.next().is_none()
    }
}

/// Every route there is, with the platform's notifications at this path.
pub fn table(notify_path: &str) -> Vec<Route> {
    use Who::{Anyone, Kiosk, Monitor, Platform};
    let mut table = vec![
        // First, because it is asked for most.
        Route::post(notify_path, Platform, platform::notify).takes(MAX_BODY),
        Route::get("/v1/orders/{order_no}", Kiosk, orders::order),
        Route::put("/v1/orders/{order_no}", Kiosk, orders::register),
        Route::post("/v1/heartbeat", Kiosk, orders::heartbeat),
        Route::get("/v1/sales/unsettled", Kiosk, orders::unsettled),
        Route::post("/v1/sales/{sale}/claim", Kiosk, orders::claim),
        Route::post("/v1/sales/{sale}/outcome", Kiosk, orders::outcome),
        Route::post("/v1/sales/{sale}/close", Kiosk, orders::close),
        Route::get("/healthz", Anyone, health),
        Route::get("/metrics", Monitor, metrics),
    ];
    table.extend(console::routes());
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merchant::config::is_taken;

    #[test]
    fn no_notification_path_can_hide_a_route_of_ours() {
        for route in table("/notify").iter().skip(1) {
            assert!(is_taken(&route.path), "{}", route.path);
        }
        assert!(!is_taken("/notify"));
    }

    #[test]
    fn a_path_is_matched_as_the_router_matches_it() {
        let route = Route::get("/v1/sales/{sale}/claim", Who::Kiosk, async || "");
        assert!(route.is_at("/v1/sales/1f/claim"));
        for other in [
            "/v1/sales//claim",
            "/v1/sales/1f",
            "/v1/sales/1f/claim/",
            "/v1/sales/1f/2/claim",
            "v1/sales/1f/claim",
        ] {
            assert!(!route.is_at(other), "{other}");
        }
        assert!(Route::get("/", Who::Anyone, async || "").is_at("/"));
    }

    #[test]
    fn only_a_route_that_says_so_takes_more_than_a_small_body() {
        let more: Vec<_> = table("/notify")
            .into_iter()
            .filter(|route| route.body > DEFAULT_BODY)
            .map(|route| (route.path, route.body))
            .collect();
        let named = [
            ("/notify".to_owned(), 16 * 1024),
            ("/payments/{transaction}".to_owned(), 8 * 1024),
        ];
        assert_eq!(more, named);
    }
}
