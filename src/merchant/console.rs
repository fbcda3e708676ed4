//! The console: pages for the merchant, rendered here. Each list can be filtered, leafed through, and had as CSV.
//!
//! The only thing it changes is what a person alone can know: that money was sent back, that goods came out. Everything
//! from outside is escaped; without a password file there is no console.

mod csv;
mod guesses;
mod lists;
mod machines;
mod page;
mod story;
mod today;
mod visitor;

use std::sync::Arc;
use std::time::Duration;

use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use subtle::ConstantTimeEq;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::ids::TransactionId;
use crate::merchant::client::Client;
use crate::merchant::config::token_digest;
use crate::merchant::console::lists::Asked;
use crate::merchant::console::visitor::{Language, Visitor};
use crate::merchant::http::routes::{Route, Who};
use crate::merchant::ledger::{Finding, Time};
use crate::merchant::store::reports::{Sales, SalesOf};
use crate::merchant::store::sql::{Failed, Sql};
use crate::merchant::store::{Asker, Unavailable, bills, logins, reports, story as history};
use crate::merchant::{Merchant, now};

use guesses::Tried;

pub use guesses::Guesses;

/// The platform counts days at +08:00, and so do its merchants.
const UTC_OFFSET: Duration = Duration::from_secs(8 * 3600);
/// A day in milliseconds.
const DAY: i64 = 24 * 3600 * 1000;
/// After so many seconds whoever found the database busy asks again.
pub const RETRY_AFTER: &str = "5";
/// The longest note, in characters.
const LONGEST_NOTE: usize = 500;

/// The largest form that settles a payment, in bytes: a note of Chinese characters takes nine for each.
const LARGEST_NOTE: usize = 8 * 1024;

/// The console's pages.
pub fn routes() -> Vec<Route> {
    use Who::{Anyone, Owner};
    let script = include_str!("console/console.js");
    let style = include_str!("console/console.css");
    vec![
        Route::get("/", Anyone, today),
        Route::get("/live", Owner, live),
        Route::post("/login", Anyone, log_in),
        Route::post("/logout", Anyone, log_out),
        Route::get("/link/{code}", Anyone, by_link),
        Route::get("/language/{to}", Anyone, speak),
        Route::get("/sales", Owner, sales),
        Route::get("/sales/list.csv", Owner, sales_csv),
        Route::get("/sales/{sale}", Owner, sale),
        Route::get("/refunds", Owner, refunds),
        Route::get("/refunds/list.csv", Owner, refunds_csv),
        Route::get("/reviews", Owner, reviews),
        Route::get("/reviews/list.csv", Owner, reviews_csv),
        Route::get("/kiosks", Owner, kiosks),
        Route::get("/kiosks/list.csv", Owner, kiosks_csv),
        Route::get("/problems", Owner, problems),
        Route::get("/problems/list.csv", Owner, problems_csv),
        Route::get("/bills", Owner, list_of_bills),
        Route::get("/bills/list.csv", Owner, bills_csv),
        Route::get("/bills/{line}", Owner, bill),
        Route::get("/payments/{transaction}", Owner, payment),
        Route::post("/payments/{transaction}", Owner, settle).takes(LARGEST_NOTE),
        Route::get("/console.js", Anyone, async move || {
            asset("text/javascript", script)
        }),
        Route::get("/console.css", Anyone, async move || {
            asset("text/css", style)
        }),
    ]
}

fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text)
}

type Shared = State<Arc<Merchant>>;
type Page = Result<Response, Unavailable>;

async fn today(State(merchant): Shared, language: Language, visitor: Option<Visitor>) -> Page {
    if visitor.is_none() {
        return Ok(html(StatusCode::OK, page::login(language, false)));
    }
    let figures = today::read(&merchant).await?;
    Ok(html(StatusCode::OK, today::page(language, &figures)))
}

/// What changes on today's page: it asks for this now and then.
async fn live(State(merchant): Shared, language: Language, visitor: Option<Visitor>) -> Page {
    if visitor.is_none() {
        return Ok(StatusCode::UNAUTHORIZED.into_response());
    }
    let figures = today::read(&merchant).await?;
    Ok(html(StatusCode::OK, today::live(language, &figures)))
}

#[derive(Deserialize)]
struct LogIn {
    password: String,
}

async fn log_in(
    State(merchant): Shared,
    Client(client): Client,
    language: Language,
    Form(form): Form<LogIn>,
) -> Page {
    let Some(password) = &merchant.config.console_password else {
        return Ok(visitor::off());
    };
    match merchant.guesses.tries(client, form.password).await {
        Tried::Right => {}
        Tried::Wrong => {
            tracing::warn!("a wrong password for the console, from {client}");
            return Ok(html(StatusCode::UNAUTHORIZED, page::login(language, true)));
        }
        Tried::Later(after) => return Ok(too_many(language, after)),
    }
    let over_tls = merchant.config.is_over_tls();
    let (cookie, digest, until) = visitor::new_login(now(), password, over_tls);
    merchant.store.log_in(digest, until, now()).await?;
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response())
}

/// Too many passwords are tried from where this one comes, or everywhere.
fn too_many(language: Language, after: Duration) -> Response {
    let told = language.say(
        "尝试次数过多，请稍后再试；或在服务器上运行 merchant console link 获取登录链接",
        "Too many passwords are tried. Try again in a moment, or run merchant console link on the server: its link lets you in",
    );
    let headers = [
        (header::RETRY_AFTER, after.as_secs().max(1).to_string()),
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
    ];
    (StatusCode::TOO_MANY_REQUESTS, headers, told).into_response()
}

/// A link of `merchant console link`: it opens once, and waits behind nobody.
async fn by_link(State(merchant): Shared, language: Language, Path(code): Path<String>) -> Page {
    let Some(password) = &merchant.config.console_password else {
        return Ok(visitor::off());
    };
    let link = token_digest(&password.binds(&code));
    let asked = link.clone();
    // A guess costs no write.
    let is_link = merchant
        .store
        .read(move |sql| logins::is_link(sql, &asked, now()));
    if is_link.await? {
        let over_tls = merchant.config.is_over_tls();
        let (cookie, digest, until) = visitor::new_login(now(), password, over_tls);
        let used = merchant.store.log_in_by_link(link, digest, until, now());
        if used.await? {
            tracing::info!("somebody uses a link into the console");
            let headers = [
                (header::SET_COOKIE, cookie),
                (header::CACHE_CONTROL, "no-store".to_owned()),
                (header::REFERRER_POLICY, "no-referrer".to_owned()),
            ];
            return Ok((headers, Redirect::to("/")).into_response());
        }
    }
    let told = language.say(
        "链接已使用或已过期：请在服务器上重新运行 merchant console link",
        "This link was used, or is too old: run merchant console link on the server once more",
    );
    Ok((StatusCode::NOT_FOUND, told).into_response())
}

async fn log_out(State(merchant): Shared, headers: HeaderMap) -> Page {
    let password = merchant.config.console_password.as_ref();
    if let Some(login) = password.and_then(|password| visitor::login_of(&headers, password)) {
        merchant.store.log_out(login).await?;
    }
    Ok((
        [(header::SET_COOKIE, visitor::no_login())],
        Redirect::to("/"),
    )
        .into_response())
}

#[derive(Deserialize)]
struct Back {
    #[serde(default)]
    back: String,
}

/// Chooses a language, and goes back to where the visitor was.
async fn speak(Path(to): Path<String>, Query(Back { back }): Query<Back>) -> Response {
    // A page of ours, and no other site's.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_');
    let is_ours = back.starts_with('/') && !back.starts_with("//") && back.bytes().all(is_plain);
    let back = if is_ours { back.as_str() } else { "/" };
    let cookie = Language::read(&to).map(Language::cookie);
    let set = cookie.map(|cookie| [(header::SET_COOKIE, cookie)]);
    (set, Redirect::to(back)).into_response()
}

/// Sales by what a customer can tell, or by day, status and kiosk. The one that a customer's number means is shown at once.
async fn sales(
    State(merchant): Shared,
    Visitor { language, .. }: Visitor,
    Query(asked): Query<Asked>,
) -> Page {
    let wanted = asked.q.trim().to_owned();
    let page = match wanted.is_empty() {
        true => {
            let (of, part) = (asked.sales(now()), asked.part());
            let read = move |sql: &dyn Sql| reports::sales(sql, &of, &part);
            lists::sales(language, &asked, merchant.store.read(read).await?)
        }
        false => {
            let after = asked.after();
            let is_first = after.is_none();
            let read = move |sql: &dyn Sql| history::find(sql, &wanted, after.clone());
            let found = merchant.store.read(read).await?;
            if let ([(sale, _)], true) = (&found.lines[..], is_first) {
                return Ok(Redirect::to(&format!("/sales/{sale}")).into_response());
            }
            lists::found(language, &asked, &found)
        }
    };
    Ok(html(StatusCode::OK, page))
}

/// A sale's whole story.
async fn sale(
    State(merchant): Shared,
    Visitor { language, .. }: Visitor,
    Path(sale): Path<String>,
) -> Page {
    let read = move |sql: &dyn Sql| history::story(sql, &sale);
    Ok(match merchant.store.read(read).await? {
        Some(told) => html(StatusCode::OK, story::story(language, &told)),
        None => html(
            StatusCode::NOT_FOUND,
            lists::found(language, &Asked::default(), &Sales::default()),
        ),
    })
}

async fn refunds(
    State(merchant): Shared,
    Visitor { language, .. }: Visitor,
    Query(asked): Query<Asked>,
) -> Page {
    let (of, part) = (asked.entries(), asked.part());
    let read = move |sql: &dyn Sql| reports::refunds_of(sql, &of, &part);
    let entries = merchant.store.read(read).await?;
    Ok(html(
        StatusCode::OK,
        lists::refunds(language, &asked, entries),
    ))
}

async fn reviews(
    State(merchant): Shared,
    Visitor { language, .. }: Visitor,
    Query(asked): Query<Asked>,
) -> Page {
    let (of, part) = (asked.entries(), asked.part());
    let read = move |sql: &dyn Sql| reports::reviews_of(sql, &of, &part);
    let entries = merchant.store.read(read).await?;
    Ok(html(
        StatusCode::OK,
        lists::reviews(language, &asked, entries),
    ))
}

async fn kiosks(
    State(merchant): Shared,
    Visitor { language, .. }: Visitor,
    Query(asked): Query<Asked>,
) -> Page {
    let kiosks = machines::all(&merchant).await?;
    Ok(html(
        StatusCode::OK,
        lists::kiosks(language, &asked, kiosks, now()),
    ))
}

async fn problems(
    State(merchant): Shared,
    Visitor { language, .. }: Visitor,
    Query(asked): Query<Asked>,
) -> Page {
    let (kind, part) = (asked.kind.clone(), asked.part());
    let read = move |sql: &dyn Sql| reports::problems(sql, &kind, &part);
    let problems = merchant.store.read(read).await?;
    Ok(html(
        StatusCode::OK,
        lists::problems(language, &asked, problems),
    ))
}

async fn list_of_bills(
    State(merchant): Shared,
    Visitor { language, .. }: Visitor,
    Query(asked): Query<Asked>,
) -> Page {
    let (is_done, part) = (asked.is_done(), asked.part());
    let read = move |sql: &dyn Sql| bills::list(sql, is_done, &part);
    let bills = merchant.store.read(read).await?;
    Ok(html(StatusCode::OK, lists::bills(language, &asked, bills)))
}

async fn sales_csv(State(merchant): Shared, _: Visitor, Query(asked): Query<Asked>) -> Page {
    let of = SalesOf {
        looked_at: lists::LOOKED_AT_IN_FILE,
        ..asked.sales(now())
    };
    let read = move |sql: &dyn Sql| {
        let sales = reports::sales(sql, &of, &lists::IN_FILE)?;
        Ok(csv::sales(&sales.lines))
    };
    csv_file(&merchant, "sales", read).await
}

async fn refunds_csv(State(merchant): Shared, _: Visitor, Query(asked): Query<Asked>) -> Page {
    let of = asked.entries();
    let read = move |sql: &dyn Sql| {
        let entries = reports::refunds_of(sql, &of, &lists::IN_FILE)?;
        Ok(csv::entries(&entries))
    };
    csv_file(&merchant, "refunds", read).await
}

async fn reviews_csv(State(merchant): Shared, _: Visitor, Query(asked): Query<Asked>) -> Page {
    let of = asked.entries();
    let read = move |sql: &dyn Sql| {
        let entries = reports::reviews_of(sql, &of, &lists::IN_FILE)?;
        Ok(csv::entries(&entries))
    };
    csv_file(&merchant, "reviews", read).await
}

async fn kiosks_csv(State(merchant): Shared, _: Visitor, Query(asked): Query<Asked>) -> Page {
    let kiosks = lists::asked_for(&asked, machines::all(&merchant).await?, now());
    Ok(as_file("kiosks", csv::kiosks(&kiosks)))
}

async fn problems_csv(State(merchant): Shared, _: Visitor, Query(asked): Query<Asked>) -> Page {
    let kind = asked.kind.clone();
    let read = move |sql: &dyn Sql| {
        let problems = reports::problems(sql, &kind, &lists::IN_FILE)?;
        Ok(csv::problems(&problems))
    };
    csv_file(&merchant, "problems", read).await
}

async fn bills_csv(State(merchant): Shared, _: Visitor, Query(asked): Query<Asked>) -> Page {
    let is_done = asked.is_done();
    let read = move |sql: &dyn Sql| Ok(csv::bills(&bills::list(sql, is_done, &lists::IN_FILE)?));
    csv_file(&merchant, "bills", read).await
}

/// What came of a bill, as it was written then.
async fn bill(State(merchant): Shared, _: Visitor, Path(line): Path<i64>) -> Page {
    let read = move |sql: &dyn Sql| bills::report(sql, line);
    Ok(match merchant.store.read(read).await? {
        Some(report) => as_file(&format!("bill-{line}"), report),
        None => StatusCode::NOT_FOUND.into_response(),
    })
}

/// A list as a file to keep.
async fn csv_file(
    merchant: &Merchant,
    name: &str,
    read: impl Fn(&dyn Sql) -> Result<Vec<u8>, Failed> + Send + 'static,
) -> Page {
    let file = merchant.store.read_for(Asker::File, read).await?;
    Ok(as_file(name, file))
}

fn as_file(name: &str, file: Vec<u8>) -> Response {
    let named = format!("attachment; filename=\"{name}-{}.csv\"", day(now()));
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, named),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    (headers, file).into_response()
}

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        let again = [(header::RETRY_AFTER, RETRY_AFTER)];
        (StatusCode::SERVICE_UNAVAILABLE, again, self.to_string()).into_response()
    }
}

/// One payment that is owed or open, and what can be said about it.
async fn payment(
    State(merchant): Shared,
    visitor: Visitor,
    Path(transaction): Path<String>,
) -> Page {
    let read = move |sql: &dyn Sql| reports::unsettled(sql, &transaction);
    let entry = merchant.store.read(read).await?;
    Ok(html(
        StatusCode::OK,
        page::payment(&visitor, entry.as_ref()),
    ))
}

#[derive(Deserialize)]
struct Settle {
    token: String,
    finding: Finding,
    #[serde(default)]
    note: String,
}

async fn settle(
    State(merchant): Shared,
    visitor: Option<Visitor>,
    Path(transaction): Path<TransactionId>,
    Form(form): Form<Settle>,
) -> Page {
    // The token shows that the form is ours; without a login there is none.
    let is_ours = visitor.is_some_and(|visitor| {
        let token = visitor.form_token;
        token.as_bytes().ct_eq(form.token.as_bytes()).into()
    });
    if !is_ours {
        return Ok(StatusCode::FORBIDDEN.into_response());
    }
    let note: String = form.note.trim().chars().take(LONGEST_NOTE).collect();
    let finding = form.finding;
    let settled = merchant.store.settle(now(), transaction, finding, note);
    Ok(match settled.await? {
        Some(Ok(())) => {
            tracing::info!("{transaction}: {finding:?}, says a person");
            let list = match finding {
                Finding::MoneySent => "/refunds",
                Finding::CameOut | Finding::NothingCameOut => "/reviews",
            };
            Redirect::to(list).into_response()
        }
        // Somebody has settled it otherwise: the page tells.
        _ => Redirect::to(&format!("/payments/{transaction}")).into_response(),
    })
}

fn html(status: StatusCode, page: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
    ];
    (status, headers, page).into_response()
}

/// The last midnight at +08:00.
fn midnight_before(now: Time) -> Time {
    let offset = UTC_OFFSET.as_millis() as i64;
    Time((now.0 + offset).div_euclid(DAY) * DAY - offset)
}

/// When this day begins at +08:00: `2026-11-23`.
fn beginning_of(day: &str) -> Option<Time> {
    let date = time::Date::parse(day, format_description!("[year]-[month]-[day]")).ok()?;
    Some(Time::in_china(date.midnight()))
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

/// Day and time.
fn moment(time: Time) -> String {
    format!("{} {}", day(time), time_of_day(time))
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
        assert_eq!(beginning_of("2026-11-23"), Some(midnight));
        for nonsense in ["", "2026-02-30", "yesterday", "2026-11-23 "] {
            assert_eq!(beginning_of(nonsense), None, "{nonsense}");
        }
    }
}
