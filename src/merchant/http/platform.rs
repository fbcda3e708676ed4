//! The platform's notifications: `success` or `fail`, in time.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::runtime::Handle;

use crate::http::NotRead;
use crate::ids::{OrderNo, TransactionId};
use crate::merchant::ledger::{Reason, Verdict};
use crate::merchant::notify::{self, Particulars, Worth, shown};
use crate::merchant::{Merchant, now};
use crate::selpay::notification::Payment;

/// The platform gives up after 5 s; an answer that is not ready by then is `fail`, and redelivery finds what was done.
const ANSWER_TIME: Duration = Duration::from_secs(3);

pub(super) async fn notify(State(merchant): State<Arc<Merchant>>, body: Bytes) -> Response {
    let work = GoesOn::new(receive(Arc::clone(&merchant), body));
    let success = match tokio::time::timeout(ANSWER_TIME, work).await {
        Ok(success) => success,
        Err(_) => {
            tracing::error!("a notification was not booked within {ANSWER_TIME:?}");
            merchant.metrics.notification("unavailable");
            false
        }
    };
    answer(StatusCode::OK, success)
}

/// Work that goes on, as a task of its own, when nobody waits for it any more: the answer is late, or the client is gone.
struct GoesOn<T>(Option<Pin<Box<dyn Future<Output = T> + Send>>>)
where
    T: Send + 'static;

impl<T: Send + 'static> GoesOn<T> {
    fn new(work: impl Future<Output = T> + Send + 'static) -> GoesOn<T> {
        GoesOn(Some(Box::pin(work)))
    }
}

impl<T: Send + 'static> Future for GoesOn<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Taken while it is polled: what has panicked does not go on.
        let mut work = self.0.take().expect("it is not polled after its end");
        let polled = work.as_mut().poll(context);
        if polled.is_pending() {
            self.0 = Some(work);
        }
        polled
    }
}

impl<T: Send + 'static> Drop for GoesOn<T> {
    fn drop(&mut self) {
        if let (Some(work), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(work);
        }
    }
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

/// A payment, for the log.
struct Told {
    transaction: TransactionId,
    order: OrderNo,
    total: u64,
    currency: Option<String>,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Told {
            transaction,
            order,
            total,
            currency,
        } = self;
        match currency {
            None => write!(f, "payment {transaction} of {total} fen on order {order}"),
            Some(currency) => {
                let currency = shown(currency, 8);
                write!(
                    f,
                    "payment {transaction} of {total} smallest units of {currency} on order {order}"
                )
            }
        }
    }
}

async fn book(merchant: &Merchant, payment: Payment, body: Bytes) -> bool {
    let told = Told {
        transaction: payment.transaction,
        order: payment.order,
        total: payment.total,
        currency: payment.fee_type.clone(),
    };
    let verdict = match merchant.store.pay(now(), payment, body.to_vec()).await {
        Ok(verdict) => verdict,
        Err(error) => {
            tracing::error!("{error}");
            merchant.metrics.notification("unavailable");
            return false;
        }
    };
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
