//! The merchant's HTTP API and the platform's notifications: reads requests, asks the books, writes answers.
//!
//! It decides nothing: what a body is worth is `notify`'s business, what it does to a sale is the ledger's.

mod orders;
mod platform;
pub mod routes;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::Router;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use crate::api;
use crate::http::{Caller, DEFAULT_BODY, NotRead, Policy};
use crate::ids::KioskName;
use crate::merchant::client::{self, Client};
use crate::merchant::limits::{Admitted, TooMany};
use crate::merchant::store::Unavailable;
use crate::merchant::{Merchant, now};
use crate::sale::SaleStatus;
use routes::{API, Route, Who};

/// Everything the server answers to.
pub fn router(merchant: Arc<Merchant>) -> Router {
    let (mut api, mut others) = (Router::new(), Router::new());
    for route in routes::table(&merchant.config.notify_path) {
        match route.path.strip_prefix(API) {
            Some(call) if call.starts_with('/') => api = api.route(call, route.service),
            _ => others = others.route(&route.path, route.service),
        }
    }
    // After the routes: a fallback for methods is one of the routes that are there already.
    let api = api
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
    let others = others
        .fallback(
            async |State(merchant): Shared, method: Method, uri: Uri, client: Client| {
                note_misdirected(&merchant, &method, &uri, client);
                StatusCode::NOT_FOUND
            },
        )
        .method_not_allowed_fallback(
            async |State(merchant): Shared, method: Method, uri: Uri, client: Client| {
                note_misdirected(&merchant, &method, &uri, client);
                StatusCode::METHOD_NOT_ALLOWED
            },
        );
    others.nest(API, api).with_state(merchant)
}

type Shared = State<Arc<Merchant>>;

/// A POST that nothing takes is most likely a notification, and its address a mistake: nobody else would ever tell.
fn note_misdirected(merchant: &Merchant, method: &Method, uri: &Uri, Client(client): Client) {
    if method == Method::POST {
        merchant.metrics.misdirected_post();
        tracing::warn!(
            "a POST from {client} to {}, which takes none: notifications go to {}",
            uri.path(),
            merchant.config.notify_path
        );
    }
}

/// What the door is told of the merchant's requests.
pub struct Requests {
    merchant: Arc<Merchant>,
    table: Vec<Route>,
}

impl Requests {
    /// Those of this merchant's server.
    pub fn of(merchant: Arc<Merchant>) -> Requests {
        Requests {
            table: routes::table(&merchant.config.notify_path),
            merchant,
        }
    }

    fn route(&self, method: &Method, path: &str) -> Option<&Route> {
        let mut routes = self.table.iter();
        routes.find(|route| route.method == *method && route.is_at(path))
    }
}

impl Policy for Requests {
    fn body_limit(&self, method: &Method, path: &str) -> usize {
        self.route(method, path)
            .map_or(DEFAULT_BODY, |route| route.body)
    }

    fn is_proxy(&self, peer: IpAddr) -> bool {
        client::is_trusted(peer, &self.merchant.config.trusted_proxies)
    }

    fn client(&self, proxy: IpAddr, headers: &HeaderMap) -> IpAddr {
        client::behind(proxy, headers, &self.merchant.config.trusted_proxies)
    }

    fn refuse(&self, request: &Parts, why: NotRead) -> Response {
        let route = self.route(&request.method, request.uri.path());
        match route.map(|route| route.who) {
            Some(Who::Platform) => platform::not_read(&self.merchant, why),
            Some(Who::Kiosk) => Refused::not_read(why).into_response(),
            Some(Who::Anyone | Who::Owner | Who::Monitor) | None => why.into_response(),
        }
    }
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
        if let Some(caller) = parts.extensions.get::<Caller>() {
            caller.is_known();
        }
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

    /// The body was not read.
    fn not_read(why: NotRead) -> Refused {
        match why {
            NotRead::TooLarge => Refused::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                format!("the body is larger than {DEFAULT_BODY} bytes"),
            ),
            NotRead::Incomplete => {
                Refused::new(StatusCode::REQUEST_TIMEOUT, "timeout", why.to_string())
            }
        }
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

async fn health(State(merchant): Shared) -> Response {
    match merchant.store.check().await {
        Ok(()) => "ok".into_response(),
        Err(error) => error.into_response(),
    }
}

async fn metrics(
    State(merchant): Shared,
    Client(client): Client,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    if !may_read_metrics(&merchant, client, &headers) {
        let told = "ask from this machine, or send the token of metrics-token-file as Authorization: Bearer";
        let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
        return Ok((StatusCode::UNAUTHORIZED, challenge, told).into_response());
    }
    let watched = merchant.watched().await?;
    let waiting = merchant.waiters.count();
    let wrong_tokens = merchant.wrong_tokens.total();
    let mut page = merchant.metrics.page(waiting, wrong_tokens, &watched);
    merchant
        .metrics
        .add_door(&mut page, &merchant.door.counts());
    Ok((
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        page,
    )
        .into_response())
}

/// Turnover is nobody's business. Without TLS and without a token the proxy in front decides, as docs/proxy shows.
fn may_read_metrics(merchant: &Merchant, client: IpAddr, headers: &HeaderMap) -> bool {
    let wanted = merchant.config.metrics_token.as_deref();
    if (merchant.tls.is_none() && wanted.is_none()) || client.is_loopback() {
        return true;
    }
    let sent = token(headers).unwrap_or_default();
    wanted.is_some_and(|wanted| wanted.as_bytes().ct_eq(sent.as_bytes()).into())
}
