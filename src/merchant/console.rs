//! The console: a few pages for the merchant, rendered here. Each list can be had as CSV.
//!
//! The only thing it changes is what a person alone can know: that money was sent back, that goods came out. Everything
//! from outside is escaped; without a password file there is no console.

mod csv;
mod page;
mod sessions;
mod story;

use std::sync::Arc;
use std::time::Duration;

use axum::Form;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use subtle::ConstantTimeEq;
use time::OffsetDateTime;

use crate::ids::TransactionId;
use crate::merchant::console::page::Today;
use crate::merchant::ledger::{Finding, Time};
use crate::merchant::store::sql::{Failed, Sql};
use crate::merchant::store::{Unavailable, reports, story as history};
use crate::merchant::{Merchant, now};

pub use sessions::Sessions;

/// The platform counts days at +08:00, and so do its merchants.
const UTC_OFFSET: Duration = Duration::from_secs(8 * 3600);
/// A day in milliseconds.
const DAY: i64 = 24 * 3600 * 1000;
/// The most sales on the page.
const MOST_SALES: usize = 200;
/// The most sales in a file.
const MOST_IN_FILE: usize = 100_000;

/// The console's pages.
pub fn routes() -> Router<Arc<Merchant>> {
    Router::new()
        .route("/", get(today))
        .route("/login", post(log_in))
        .route("/logout", post(log_out))
        .route("/sales", get(search))
        .route("/sales/{sale}", get(sale))
        .route("/sales.csv", get(sales_csv))
        .route("/refunds.csv", get(refunds_csv))
        .route("/reviews.csv", get(reviews_csv))
        .route("/payments/{transaction}", get(payment).post(settle))
        .route(
            "/console.js",
            get(async || {
                (
                    [(header::CONTENT_TYPE, "text/javascript")],
                    include_str!("console/console.js"),
                )
            }),
        )
        .route(
            "/console.css",
            get(async || {
                (
                    [(header::CONTENT_TYPE, "text/css")],
                    include_str!("console/console.css"),
                )
            }),
        )
}

async fn today(State(merchant): State<Arc<Merchant>>, headers: HeaderMap) -> Response {
    if merchant.config.console_password.is_none() {
        return (
            StatusCode::NOT_FOUND,
            "the console is off: merchant.toml has no console-password-file",
        )
            .into_response();
    }
    let language = page::Language::preferred(&headers);
    if !merchant.sessions.knows(&headers) {
        return html(StatusCode::OK, page::login(language, false));
    }
    let now = now();
    let midnight = midnight_before(now);
    let figures = merchant.store.read(move |books| {
        let (sales, dispensed, takings) = reports::takings_since(books, midnight)?;
        Ok(Today {
            now,
            sales,
            dispensed,
            takings,
            lines: reports::sales_since(books, midnight, MOST_SALES)?,
            refunds: reports::refunds(books)?,
            reviews: reports::reviews(books)?,
            balance: reports::balance(books)?,
        })
    });
    match figures.await {
        Ok(today) => html(StatusCode::OK, page::today(language, &today)),
        Err(error) => unavailable(&error),
    }
}

#[derive(Deserialize)]
struct LogIn {
    password: String,
}

async fn log_in(
    State(merchant): State<Arc<Merchant>>,
    headers: HeaderMap,
    Form(form): Form<LogIn>,
) -> Response {
    let password = merchant.config.console_password.as_ref();
    let is_right = || password.is_some_and(|password| password.is(&form.password));
    match merchant.sessions.tries(is_right).await {
        Some(true) => {}
        Some(false) => {
            let language = page::Language::preferred(&headers);
            return html(StatusCode::UNAUTHORIZED, page::login(language, true));
        }
        None => return StatusCode::TOO_MANY_REQUESTS.into_response(),
    }
    (
        [(header::SET_COOKIE, merchant.sessions.begin())],
        Redirect::to("/"),
    )
        .into_response()
}

async fn log_out(State(merchant): State<Arc<Merchant>>, headers: HeaderMap) -> Response {
    (
        [(header::SET_COOKIE, merchant.sessions.end(&headers))],
        Redirect::to("/"),
    )
        .into_response()
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    q: String,
}

/// The sales that a customer's number may mean. One is shown at once.
async fn search(
    State(merchant): State<Arc<Merchant>>,
    Query(told): Query<Told>,
    headers: HeaderMap,
) -> Response {
    if !merchant.sessions.knows(&headers) {
        return Redirect::to("/").into_response();
    }
    let wanted = told.q.trim().to_owned();
    let found = merchant
        .store
        .read(move |sql| history::find(sql, &wanted))
        .await;
    match found {
        Ok(sales) => match &sales[..] {
            [(sale, _)] => Redirect::to(&format!("/sales/{sale}")).into_response(),
            _ => {
                let language = page::Language::preferred(&headers);
                html(StatusCode::OK, story::found(language, &told.q, &sales))
            }
        },
        Err(error) => unavailable(&error),
    }
}

/// A sale's whole story.
async fn sale(
    State(merchant): State<Arc<Merchant>>,
    Path(sale): Path<String>,
    headers: HeaderMap,
) -> Response {
    if !merchant.sessions.knows(&headers) {
        return Redirect::to("/").into_response();
    }
    let language = page::Language::preferred(&headers);
    let told = merchant
        .store
        .read(move |sql| history::story(sql, &sale))
        .await;
    match told {
        Ok(Some(told)) => html(StatusCode::OK, story::story(language, &told)),
        Ok(None) => html(StatusCode::NOT_FOUND, story::found(language, "", &[])),
        Err(error) => unavailable(&error),
    }
}

async fn sales_csv(State(merchant): State<Arc<Merchant>>, headers: HeaderMap) -> Response {
    let midnight = midnight_before(now());
    let read = move |sql: &dyn Sql| {
        let sales = reports::sales_since(sql, midnight, MOST_IN_FILE)?;
        Ok(csv::sales(&sales))
    };
    csv_file(&merchant, &headers, "sales", read).await
}

async fn refunds_csv(State(merchant): State<Arc<Merchant>>, headers: HeaderMap) -> Response {
    let read = |sql: &dyn Sql| Ok(csv::entries(&reports::refunds(sql)?));
    csv_file(&merchant, &headers, "refunds", read).await
}

async fn reviews_csv(State(merchant): State<Arc<Merchant>>, headers: HeaderMap) -> Response {
    let read = |sql: &dyn Sql| Ok(csv::entries(&reports::reviews(sql)?));
    csv_file(&merchant, &headers, "reviews", read).await
}

/// A list as a file to keep.
async fn csv_file(
    merchant: &Merchant,
    headers: &HeaderMap,
    name: &str,
    read: impl Fn(&dyn Sql) -> Result<Vec<u8>, Failed> + Send + 'static,
) -> Response {
    if !merchant.sessions.knows(headers) {
        return Redirect::to("/").into_response();
    }
    match merchant.store.read(read).await {
        Ok(file) => {
            let named = format!("attachment; filename=\"{name}-{}.csv\"", day(now()));
            let headers = [
                (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
                (header::CONTENT_DISPOSITION, named),
                (header::CACHE_CONTROL, "no-store".to_owned()),
            ];
            (headers, file).into_response()
        }
        Err(error) => unavailable(&error),
    }
}

fn unavailable(error: &Unavailable) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response()
}

/// One payment that is owed or open, and what can be said about it.
async fn payment(
    State(merchant): State<Arc<Merchant>>,
    Path(transaction): Path<String>,
    headers: HeaderMap,
) -> Response {
    let language = page::Language::preferred(&headers);
    let Some(form_token) = merchant.sessions.form_token(&headers) else {
        return Redirect::to("/").into_response();
    };
    let found = merchant
        .store
        .read(move |books| reports::unsettled(books, &transaction));
    match found.await {
        Ok(entry) => html(
            StatusCode::OK,
            page::payment(language, entry.as_ref(), &form_token),
        ),
        Err(error) => unavailable(&error),
    }
}

#[derive(Deserialize)]
struct Settle {
    token: String,
    finding: Finding,
}

async fn settle(
    State(merchant): State<Arc<Merchant>>,
    Path(transaction): Path<TransactionId>,
    headers: HeaderMap,
    Form(form): Form<Settle>,
) -> Response {
    // The token shows that the form is ours; without a session there is none.
    let is_ours = merchant
        .sessions
        .form_token(&headers)
        .is_some_and(|token| token.as_bytes().ct_eq(form.token.as_bytes()).into());
    if !is_ours {
        return StatusCode::FORBIDDEN.into_response();
    }
    let settled = merchant
        .store
        .settle(now(), transaction, form.finding)
        .await;
    match settled {
        Ok(Some(Ok(()))) => {
            tracing::info!("{transaction}: {:?}, says a person", form.finding);
            Redirect::to("/").into_response()
        }
        // Somebody has settled it otherwise: the page tells.
        Ok(_) => Redirect::to(&format!("/payments/{transaction}")).into_response(),
        Err(error) => unavailable(&error),
    }
}

fn html(status: StatusCode, page: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
    ];
    (status, headers, page).into_response()
}

/// The last midnight at +08:00.
fn midnight_before(now: Time) -> Time {
    let offset = UTC_OFFSET.as_millis() as i64;
    Time((now.0 + offset).div_euclid(DAY) * DAY - offset)
}

/// The day at +08:00: `2026-11-23`.
fn day(time: Time) -> String {
    // The books hold no moment that this calendar does not.
    let moment = OffsetDateTime::from_unix_timestamp(time.0.div_euclid(1000));
    let moment = moment.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    (moment + UTC_OFFSET).date().to_string()
}

/// The time of day at +08:00: `13:05:09`.
fn time_of_day(time: Time) -> String {
    let seconds = (time.0 - midnight_before(time).0) / 1000;
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_in_china() {
        // 2026-11-23 00:00:00 +08:00
        let midnight = Time(1_795_363_200_000);
        assert_eq!(midnight_before(midnight), midnight);
        assert_eq!(midnight_before(Time(midnight.0 + 86_399_999)), midnight);
        assert_eq!(time_of_day(Time(midnight.0 + 47_109_000)), "13:05:09");
        assert_eq!(day(Time(midnight.0 - 1)), "2026-11-22");
        assert_eq!(day(midnight), "2026-11-23");
        assert_eq!(day(Time(0)), "1970-01-01");
        assert_eq!(day(Time(1_709_136_000_000)), "2024-02-29");
        assert_eq!(day(Time(1_709_222_400_000)), "2024-03-01");
    }
}
