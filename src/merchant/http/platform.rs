//! The platform's notifications: `success` or `fail`, in time.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::http::NotRead;
use crate::merchant::ledger::{Reason, Verdict};
use crate::merchant::notify::{self, Worth};
use crate::merchant::{Merchant, now};
use crate::selpay::notification::Payment;

/// The platform gives up after 5 s; an answer that is not ready by then is `fail`, and redelivery finds what was done.
const ANSWER_TIME: Duration = Duration::from_secs(3);

pub(super) async fn notify(State(merchant): State<Arc<Merchant>>, body: Bytes) -> Response {
    // The work goes on if the answer is late, or if nobody waits for it any more.
    let work = tokio::spawn(receive(Arc::clone(&merchant), body));
    let success = match tokio::time::timeout(ANSWER_TIME, work).await {
        Ok(Ok(success)) => success,
        Ok(Err(_)) | Err(_) => {
            tracing::error!("a notification was not booked within {ANSWER_TIME:?}");
            merchant.metrics.notification("unavailable");
            false
        }
    };
    answer(StatusCode::OK, success)
}

/// The answer to a notification that was not read.
pub(super) fn not_read(merchant: &Merchant, why: NotRead) -> Response {
    let (verdict, status) = match why {
        NotRead::TooLarge => ("oversized", StatusCode::PAYLOAD_TOO_LARGE),
        NotRead::Incomplete => ("incomplete", StatusCode::REQUEST_TIMEOUT),
    };
    merchant.metrics.notification(verdict);
    answer(status, false)
}

fn answer(status: StatusCode, success: bool) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, "text/plain")],
        if success { "success" } else { "fail" },
    )
        .into_response()
}

/// Whether the platform is told `success`.
async fn receive(merchant: Arc<Merchant>, body: Bytes) -> bool {
    let keys = merchant.sign_keys();
    let (worth, key) = notify::judge(&body, &keys, merchant.config.mch_id.as_deref());
    if let Some(key) = key {
        merchant.metrics.signed_with(key);
    }
    let word = worth.word();
    match worth {
        Worth::Payment(payment) => book(&merchant, payment, body).await,
        Worth::Attempt(attempt) => {
            tracing::info!("not paid: {}", attempt.what);
            merchant.metrics.notification(word);
            merchant
                .store
                .note_attempt(now(), attempt)
                .await
                .inspect_err(|error| tracing::error!("{error}"))
                .is_ok()
        }
        Worth::Foreign(why) | Worth::Unreadable(why) => {
            tracing::error!("ALARM a signed notification was refused: {why}");
            merchant.metrics.notification(word);
            if let Err(error) = merchant.store.refuse(now(), why, body.to_vec()).await {
                tracing::error!("{error}");
            }
            false
        }
        Worth::Unverified(why) | Worth::Malformed(why) => {
            tracing::warn!("a notification was refused: {why}");
            merchant.metrics.notification(word);
            merchant.store.quarantine(now(), why, body.to_vec());
            false
        }
    }
}

async fn book(merchant: &Merchant, payment: Payment, body: Bytes) -> bool {
    let (transaction, order, total) = (payment.transaction, payment.order, payment.total);
    let verdict = match merchant.store.pay(now(), payment, body.to_vec()).await {
        Ok(verdict) => verdict,
        Err(error) => {
            tracing::error!("{error}");
            merchant.metrics.notification("unavailable");
            return false;
        }
    };
    let told = format!("payment {transaction} of {total} fen on order {order}");
    let word = match verdict {
        Verdict::Pays(sale) => {
            tracing::info!("{told} pays sale {sale}");
            merchant.waiters.wake(sale);
            "paid"
        }
        Verdict::Known => "known",
        Verdict::Refund(reason @ (Reason::Amount | Reason::UnknownOrder)) => {
            tracing::error!("ALARM {told} goes back: {}", reason.as_str());
            "refund"
        }
        Verdict::Refund(reason) => {
            tracing::warn!("{told} goes back: {}", reason.as_str());
            "refund"
        }
        Verdict::Review(_) => {
            tracing::error!("ALARM {told} is of a time that these books do not know");
            "review"
        }
        Verdict::Contradiction => {
            tracing::error!("ALARM {told} is known with another number or amount");
            "contradiction"
        }
    };
    merchant.metrics.notification(word);
    verdict.is_success()
}
