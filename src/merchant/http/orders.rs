//! The kiosks' calls: register, ask, claim, report, close.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Kiosk, Refused};
use crate::api;
use crate::http::Caller;
use crate::ids::{OrderNo, SaleId};
use crate::merchant::ledger::{MOST_NUMBERS, NotRegistered};
use crate::merchant::{Merchant, now};
use crate::sale::SaleStatus;

type Answer = Result<Response, Refused>;

pub(super) async fn register(
    State(merchant): State<Arc<Merchant>>,
    Kiosk(kiosk, _admitted): Kiosk,
    Path(order): Path<String>,
    body: Bytes,
) -> Answer {
    let order: OrderNo = name(&order, "the order number")?;
    let wanted: api::Register = json(&body)?;
    let registered = merchant.store.register(now(), kiosk, order, wanted).await?;
    match registered {
        Ok((is_new, order)) => {
            // A payment may have come before its number: whoever waits for the sale is to look.
            if order.status != SaleStatus::Open {
                merchant.changed(order.sale);
            } else if order.orders.len() > 1 {
                // One more code is as good as a question: the sale is not left.
                merchant.polls.asked(order.sale, now());
            }
            let status = if is_new {
                StatusCode::CREATED
            } else {
                StatusCode::OK
            };
            Ok((status, Json(order)).into_response())
        }
        Err(NotRegistered::Conflict) => {
            let message = "the number or the sale exists with another sale, total or kiosk";
            Err(Refused::new(StatusCode::CONFLICT, "conflict", message))
        }
        Err(NotRegistered::SaleNotOpen(status)) => {
            let message = format!("the sale is {status} and takes no further number");
            Err(Refused::new(StatusCode::CONFLICT, "sale-not-open", message).standing(status))
        }
        Err(NotRegistered::TooManyNumbers) => {
            let message = format!("the sale has {MOST_NUMBERS} numbers and takes no further one");
            Err(Refused::new(StatusCode::CONFLICT, "conflict", message))
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Wait {
    #[serde(default)]
    wait: u64,
}

pub(super) async fn order(
    State(merchant): State<Arc<Merchant>>,
    Kiosk(kiosk, _admitted): Kiosk,
    Path(order): Path<String>,
    caller: Caller,
    wait: Result<Query<Wait>, axum::extract::rejection::QueryRejection>,
) -> Answer {
    let order: OrderNo = name(&order, "the order number")?;
    let seconds = wait
        .ok()
        .map(|Query(wait)| wait.wait)
        .filter(|seconds| *seconds <= api::MAX_WAIT_SECONDS);
    let seconds = seconds.ok_or_else(|| {
        Refused::new(
            StatusCode::BAD_REQUEST,
            "bad-request",
            "wait must be a whole number of seconds, 0 … 25",
        )
    })?;
    let look = async || {
        let found = merchant.store.order(kiosk, order).await?;
        // Foreign and unknown look alike: nobody learns which numbers exist.
        found.ok_or_else(|| {
            Refused::new(
                StatusCode::NOT_FOUND,
                "not-found",
                "this kiosk has no such order",
            )
        })
    };
    let mut found = look().await?;
    if found.status == SaleStatus::Open {
        merchant.polls.asked(found.sale, now());
    }
    if seconds > 0 && found.status == SaleStatus::Open {
        // The wait begins before the look: no change can slip between.
        let mut waiting = merchant.waiters.wait_for(found.sale);
        found = look().await?;
        if found.status == SaleStatus::Open {
            // Woken or not, the books say what is the case. Who has hung up waits no longer.
            tokio::select! {
                () = waiting.changed() => {}
                () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
                () = caller.hung_up() => {}
            }
            found = look().await?;
        }
    }
    Ok(Json(found).into_response())
}

/// A kiosk tells how it is. That it was heard of at all is noted with its token.
pub(super) async fn heartbeat(
    State(merchant): State<Arc<Merchant>>,
    Kiosk(kiosk, _admitted): Kiosk,
    body: Bytes,
) -> Answer {
    let told: api::Heartbeat = json(&body)?;
    merchant.presence.told(kiosk, now(), &told);
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Deserialize)]
pub(super) struct After {
    after: Option<String>,
}

pub(super) async fn unsettled(
    State(merchant): State<Arc<Merchant>>,
    Kiosk(kiosk, _admitted): Kiosk,
    Query(After { after }): Query<After>,
) -> Answer {
    let after = after.map(|after| name(&after, "after: the sale"));
    let sales = merchant.store.unsettled(now(), kiosk, after.transpose()?);
    let sales = sales.await?;
    Ok(Json(sales).into_response())
}

pub(super) async fn claim(
    State(merchant): State<Arc<Merchant>>,
    Kiosk(kiosk, _admitted): Kiosk,
    Path(sale): Path<String>,
    body: Bytes,
) -> Answer {
    let sale: SaleId = name(&sale, "the sale")?;
    let api::Claim { claim } = json(&body)?;
    let claimed = merchant.store.claim(now(), kiosk, sale, claim).await?;
    merchant.changed(sale);
    match claimed.ok_or_else(no_such_sale)? {
        Ok(total) => Ok(Json(api::Granted {
            sale,
            claim,
            total,
            status: SaleStatus::Claimed,
        })
        .into_response()),
        Err(status) => {
            let message = format!("the sale is {status}");
            Err(Refused::new(StatusCode::CONFLICT, "not-claimable", message).standing(status))
        }
    }
}

pub(super) async fn outcome(
    State(merchant): State<Arc<Merchant>>,
    Kiosk(kiosk, _admitted): Kiosk,
    Path(sale): Path<String>,
    body: Bytes,
) -> Answer {
    let sale: SaleId = name(&sale, "the sale")?;
    let report: api::Report = json(&body)?;
    let outcome = report.outcome;
    let reported = merchant.store.outcome(now(), kiosk, sale, report).await?;
    match reported.ok_or_else(no_such_sale)? {
        Ok(()) => Ok(Json(api::Standing {
            status: outcome.status(),
        })
        .into_response()),
        Err(status) => {
            let message = format!("the sale is {status}, or was claimed by another claim");
            Err(Refused::new(StatusCode::CONFLICT, "conflict", message).standing(status))
        }
    }
}

pub(super) async fn close(
    State(merchant): State<Arc<Merchant>>,
    Kiosk(kiosk, _admitted): Kiosk,
    Path(sale): Path<String>,
) -> Answer {
    let sale: SaleId = name(&sale, "the sale")?;
    let closed = merchant.store.close(now(), kiosk, sale).await?;
    merchant.changed(sale);
    match closed.ok_or_else(no_such_sale)? {
        Ok(()) => Ok(Json(api::Standing {
            status: SaleStatus::Closed,
        })
        .into_response()),
        Err(status) => {
            let message = format!("the sale is {status}");
            Err(Refused::new(StatusCode::CONFLICT, "too-late", message).standing(status))
        }
    }
}

fn no_such_sale() -> Refused {
    Refused::new(
        StatusCode::NOT_FOUND,
        "not-found",
        "this kiosk has no such sale",
    )
}

fn name<T: std::str::FromStr<Err: std::fmt::Display>>(
    text: &str,
    what: &str,
) -> Result<T, Refused> {
    text.parse().map_err(|error| {
        Refused::new(
            StatusCode::BAD_REQUEST,
            "bad-request",
            format!("{what} {error}"),
        )
    })
}

/// What a JSON body says, whatever its Content-Type.
fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body)
        .map_err(|error| Refused::new(StatusCode::BAD_REQUEST, "bad-request", error.to_string()))
}
