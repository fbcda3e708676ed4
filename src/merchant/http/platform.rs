//! The platform's notifications: `success` or `fail`, in time.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::http::NotRead;
use crate::merchant::ledger::{Reason, Verdict};
use crate::merchant::notify::{self, Particulars, Worth, shown};
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

/// A reason is no longer in a line of the log, in characters: strangers write a part of it.
const LONGEST_REASON: usize = 200;

/// Whether the platform is told `success`.
async fn receive(merchant: Arc<Merchant>, body: Bytes) -> bool {
    let keys = merchant.sign_keys();
    let (worth, key) = notify::judge(&body, &keys, &merchant.config.mch_ids);
    if let Some(key) = key {
        merchant.metrics.signed_with(key);
    }
    let word = worth.word();
    match worth {
        Worth::Payment(payment) => book(&merchant, payment, body).await,
        Worth::Attempt(attempt) => {
            tracing::info!("not paid: {}", shown(&attempt.what, LONGEST_REASON));
            merchant.metrics.notification(word);
            merchant
                .store
                .note_attempt(now(), attempt)
                .await
                .inspect_err(|error| tracing::error!("{error}"))
                .is_ok()
        }
        Worth::Ambiguous(why) => {
            tracing::error!(
                "ALARM {word}: {}; the message is kept and was not believed",
                told(&why, &body)
            );
            refuse(&merchant, (word, why), body).await
        }
        Worth::Foreign(why) | Worth::Unreadable(why) => {
            tracing::error!(
                "ALARM a signed notification was refused: {}",
                told(&why, &body)
            );
            refuse(&merchant, (word, why), body).await
        }
        Worth::Unverified(why) | Worth::Malformed(why) => {
            tracing::warn!("a notification was refused: {}", told(&why, &body));
            merchant.metrics.notification(word);
            match Particulars::of(&body).filter(|says| says.is_payment) {
                Some(says) => {
                    let order = says.order_no;
                    let kept = merchant
                        .store
                        .keep_unverified(now(), why, order, body.to_vec());
                    if let Err(error) = kept.await {
                        tracing::error!("{error}");
                    }
                }
                None => merchant.store.quarantine(now(), why, body.to_vec()),
            }
            false
        }
    }
}

/// Why a body was refused, and what it says of itself.
fn told(why: &str, body: &[u8]) -> String {
    let why = shown(why, LONGEST_REASON);
    match Particulars::of(body) {
        Some(says) => format!("{why}; {says}"),
        None => why,
    }
}

/// Keeps what one of our keys has signed, and is refused all the same.
async fn refuse(merchant: &Merchant, verdict: (&'static str, String), body: Bytes) -> bool {
    merchant.metrics.notification(verdict.0);
    let signature = Particulars::of(&body).unwrap_or_default().sign;
    let kept = merchant
        .store
        .refuse(now(), verdict, signature, body.to_vec());
    if let Err(error) = kept.await {
        tracing::error!("{error}");
    }
    false
}

async fn book(merchant: &Merchant, payment: Payment, body: Bytes) -> bool {
    let (transaction, order, total) = (payment.transaction, payment.order, payment.total);
    let currency = payment.fee_type.clone();
    let verdict = match merchant.store.pay(now(), payment, body.to_vec()).await {
        Ok(verdict) => verdict,
        Err(error) => {
            tracing::error!("{error}");
            merchant.metrics.notification("unavailable");
            return false;
        }
    };
    let unit = currency.map_or("fen".to_owned(), |currency| {
        format!("smallest units of {}", shown(&currency, 8))
    });
    let told = format!("payment {transaction} of {total} {unit} on order {order}");
    let word = match verdict {
        Verdict::Pays(sale) => {
            tracing::info!("{told} pays sale {sale}");
            merchant.changed(sale);
            "paid"
        }
        Verdict::Known => "known",
        Verdict::Refund(reason @ (Reason::Amount | Reason::UnknownOrder)) => {
            tracing::error!("ALARM {told} goes back: {}", reason.as_str());
            "refund"
        }
        Verdict::Refund(Reason::Currency) => {
            tracing::error!("ALARM {told} is not in yuan: it buys nothing and goes back");
            "foreign-currency"
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
