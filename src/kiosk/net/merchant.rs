//! The merchant's HTTP API, from the kiosk's side.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::Agent;
use ureq::http::Request;
use ureq::tls::{PemItem, RootCerts, parse_pem};

use super::transport::awake;
use super::{Answer, CALL_TIME, Client, Patient, Reached, client, clock_ahead, trouble};
use crate::api;
use crate::files::Unusable;
use crate::ids::{ClaimId, OrderNo, SaleId};
use crate::kiosk::config::Config;
use crate::kiosk::machine::event::{NoReply, Standing, Unsettled, UnsettledSale};
use crate::kiosk::machine::screen::Outage;
use crate::kiosk::ports::{Idle, Merchant};
use crate::money::Fen;
use crate::sale::{Outcome, SaleStatus};

/// How long the merchant may keep a question until there is news: the most that the API allows. Every proxy allows more.
const LONG_POLL: Duration = Duration::from_secs(25);

/// How long to leave a merchant alone that wants to be left alone and does not say for how long.
const LATER: Duration = Duration::from_secs(1);
/// The most pages of unsettled sales that are read at once: what is left is asked for again.
const MOST_PAGES: usize = 64;

/// The merchant's server, as the kiosk knows it.
#[derive(Debug)]
pub struct MerchantClient {
    client: Client,
    url: String,
    authorization: String,
}

impl MerchantClient {
    /// A client for the configured server. Connects to nothing yet.
    pub fn new(config: &Config) -> Result<MerchantClient, Unusable> {
        let root_certs = match &config.merchant_ca_file {
            None => RootCerts::WebPki,
            Some(file) => {
                let pem = fs::read(file).map_err(|error| Unusable::new(file, error.to_string()))?;
                let certificates: Vec<_> = parse_pem(&pem)
                    .filter_map(|item| match item {
                        Ok(PemItem::Certificate(certificate)) => Some(certificate),
                        _ => None,
                    })
                    .collect();
                if certificates.is_empty() {
                    return Err(Unusable::new(file, "holds no certificate in PEM form"));
                }
                RootCerts::Specific(Arc::new(certificates))
            }
        };
        Ok(MerchantClient {
            client: client(root_certs, CALL_TIME),
            url: config.merchant_url.clone(),
            authorization: format!("Bearer {}", config.token),
        })
    }

    /// Asks for what is unsettled, as at every start, and changes nothing; what is wrong if that fails.
    pub fn check(&self) -> Result<Reached, String> {
        awake(&mut Patient, || self.checked())
    }

    fn checked(&self) -> Result<Reached, String> {
        let url = format!("{}/v1/sales/unsettled", self.url);
        let request = self
            .client
            .agent
            .get(&url)
            .header("Authorization", &self.authorization);
        let mut response = request
            .call()
            .map_err(|error| trouble::explain(&url, &error))?;
        let clock_ahead = clock_ahead(&response);
        match response.status().as_u16() {
            200 => {}
            401 => {
                return Err(format!(
                    "{} does not know our token: compare token-file with the digest under [kiosks] in merchant.toml",
                    self.url
                ));
            }
            status => {
                return Err(format!(
                    "{url}: HTTP {status}: that is no selpay-kiosk merchant"
                ));
            }
        }
        let sales: Vec<api::UnsettledSale> = response
            .body_mut()
            .read_json()
            .map_err(|error| format!("{url}: {error}: that is no selpay-kiosk merchant"))?;
        // A page may be full: then there are more.
        let or_more = if sales.len() >= 50 { " or more" } else { "" };
        Ok(Reached {
            says: format!("{}{or_more} unsettled sales", sales.len()),
            clock_ahead,
        })
    }

    /// Makes one call; the answer's body as `A`.
    fn call<A: DeserializeOwned>(
        &self,
        idle: Idle<'_>,
        method: &str,
        path: &str,
        body: &impl Serialize,
    ) -> Result<A, NoReply> {
        let call = format!("{method} {path}");
        let body = serde_json::to_vec(body).expect("our own types are JSON");
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("Authorization", &self.authorization)
            .header("Content-Type", "application/json")
            .body(body)
            .map_err(|error| {
                tracing::error!("{call}: {error}");
                NoReply::NoAnswer
            })?;
        let run = |agent: &Agent| agent.run(request);
        let answer = self.client.whole(&call, idle, run);
        let answer = answer.ok_or(NoReply::NoAnswer)?;
        read(&call, &answer)
    }

    /// Asks; the merchant may let us wait for news for so long.
    fn get<A: DeserializeOwned>(
        &self,
        idle: Idle<'_>,
        path: &str,
        news: Duration,
    ) -> Result<A, NoReply> {
        let request = self
            .client
            .agent
            .get(format!("{}{path}", self.url))
            .header("Authorization", &self.authorization)
            .config()
            .timeout_global(Some(CALL_TIME + news))
            .build();
        let answer = self.client.whole(path, idle, |_| request.call());
        let answer = answer.ok_or(NoReply::NoAnswer)?;
        read(path, &answer)
    }
}

/// What the merchant's list, oldest first, means to the machine: the oldest, and the newest, which alone can have been under way.
/// What does not fit is asked for again when these are settled.
pub fn unsettled(mut theirs: Vec<api::UnsettledSale>) -> Unsettled {
    let read = |theirs: api::UnsettledSale| UnsettledSale {
        sale: theirs.sale,
        total: theirs.total,
        status: theirs.status,
        age: Duration::from_secs(theirs.age_seconds),
        newest: theirs.orders.last().copied(),
        claim: theirs.claim,
    };
    let fits = Unsettled::new().capacity();
    if theirs.len() > fits {
        theirs.drain(fits - 1..theirs.len() - 1);
    }
    theirs.into_iter().map(read).collect()
}

/// What an order that the merchant holds means to the machine.
pub fn standing(held: &api::Order) -> Standing {
    // Of what was paid, one payment at most buys.
    let is_unsold = matches!(held.status, SaleStatus::Open | SaleStatus::Closed);
    let is_useless = |paid: &&api::Paid| matches!(&*paid.state, "refund-due" | "refunded");
    let useless = held.payments.iter().rfind(is_useless);
    let amount = useless.and_then(|paid| u32::try_from(paid.amount).ok());
    let amount = amount.and_then(Fen::new);
    Standing {
        status: held.status,
        useless: amount.filter(|_| is_unsold),
    }
}

/// What an answer means to the machine.
fn read<A: DeserializeOwned>(call: &str, answer: &Answer) -> Result<A, NoReply> {
    match answer.status {
        200 | 201 => serde_json::from_slice(&answer.body).map_err(|error| {
            tracing::error!("{call}: the merchant's answer makes no sense: {error}");
            NoReply::NoAnswer
        }),
        401 => {
            tracing::error!(
                "{call}: the merchant does not know our token; compare token-file with its [kiosks]"
            );
            Err(NoReply::NotAdmitted)
        }
        404 | 409 => match serde_json::from_slice::<api::Refusal>(&answer.body) {
            Ok(refusal) => {
                tracing::warn!("{call}: refused: {}", refusal.message);
                Err(NoReply::Refused(refusal.status))
            }
            // A proxy without the merchant behind it says so too. It knows nothing of our sales.
            Err(_) => {
                tracing::error!("{call}: HTTP {}, not from the merchant", answer.status);
                Err(NoReply::NoAnswer)
            }
        },
        429 => {
            tracing::warn!("{call}: we ask too much");
            Err(NoReply::Later(answer.retry_after.unwrap_or(LATER)))
        }
        status => {
            tracing::error!("{call}: HTTP {status}");
            Err(answer.retry_after.map_or(NoReply::NoAnswer, NoReply::Later))
        }
    }
}

/// What keeps us from selling, in the API's words.
fn fault(outage: Outage) -> &'static str {
    match outage {
        Outage::NoMerchant => "network",
        Outage::NotAdmitted => "token",
        Outage::Dispenser => "dispenser",
        Outage::Journal => "storage",
        Outage::TooManyUnsettled => "unsettled",
    }
}

impl Merchant for MerchantClient {
    fn heartbeat(&mut self, outage: Option<Outage>, idle: Idle<'_>) {
        let state = match outage {
            None => "ready",
            Some(_) => "out-of-service",
        };
        let told = api::Heartbeat {
            state: state.to_owned(),
            fault: outage.map(fault).map(str::to_owned),
        };
        let url = format!("{}/v1/heartbeat", self.url);
        let run = |agent: &Agent| {
            let request = agent.post(&url);
            request
                .header("Authorization", &self.authorization)
                .send_json(&told)
        };
        // A merchant that does not want to know says 404.
        let _ = self.client.whole("POST /v1/heartbeat", idle, run);
    }

    fn unsettled(&mut self, idle: Idle<'_>) -> Result<Unsettled, NoReply> {
        const PATH: &str = "/v1/sales/unsettled";
        let fits = Unsettled::new().capacity();
        let mut theirs: Vec<api::UnsettledSale> = self.get(&mut *idle, PATH, Duration::ZERO)?;
        for _ in 0..MOST_PAGES {
            // Fewer than these are the last page.
            let Some(last) = theirs.last().filter(|_| theirs.len() >= fits) else {
                break;
            };
            let last = last.sale;
            let path = format!("{PATH}?after={last}");
            let next: Vec<api::UnsettledSale> = self.get(&mut *idle, &path, Duration::ZERO)?;
            // A merchant of an earlier version knows no pages, and tells all of them again.
            if next.is_empty() || next.iter().any(|sale| sale.sale == last) {
                break;
            }
            theirs.truncate(fits - 1);
            theirs.extend(next);
        }
        Ok(unsettled(theirs))
    }

    fn register(
        &mut self,
        order: OrderNo,
        sale: SaleId,
        total: Fen,
        idle: Idle<'_>,
    ) -> Result<(), NoReply> {
        let held: api::Order = self.call(
            idle,
            "PUT",
            &format!("/v1/orders/{order}"),
            &api::Register { sale, total },
        )?;
        if held.order_no == order && held.sale == sale && held.total == total {
            Ok(())
        } else {
            Err(NoReply::NoAnswer)
        }
    }

    fn poll(&mut self, order: OrderNo, idle: Idle<'_>) -> Result<Standing, NoReply> {
        let held: api::Order = self.get(
            idle,
            &format!("/v1/orders/{order}?wait={}", LONG_POLL.as_secs()),
            LONG_POLL,
        )?;
        if held.order_no == order {
            Ok(standing(&held))
        } else {
            Err(NoReply::NoAnswer)
        }
    }

    fn claim(&mut self, sale: SaleId, claim: ClaimId, idle: Idle<'_>) -> Result<(), NoReply> {
        let granted: api::Granted = self.call(
            idle,
            "POST",
            &format!("/v1/sales/{sale}/claim"),
            &api::Claim { claim },
        )?;
        match granted {
            api::Granted {
                sale: theirs,
                claim: granted,
                status: SaleStatus::Claimed,
                ..
            } if theirs == sale && granted == claim => Ok(()),
            api::Granted { status, .. } => Err(NoReply::Refused(Some(status))),
        }
    }

    fn report(
        &mut self,
        sale: SaleId,
        claim: ClaimId,
        outcome: Outcome,
        idle: Idle<'_>,
    ) -> Result<(), NoReply> {
        let report = api::Report { claim, outcome };
        self.call::<api::Standing>(idle, "POST", &format!("/v1/sales/{sale}/outcome"), &report)
            .map(drop)
    }

    fn close(&mut self, sale: SaleId, idle: Idle<'_>) -> Result<(), NoReply> {
        let standing: api::Standing = self.call(
            idle,
            "POST",
            &format!("/v1/sales/{sale}/close"),
            &serde_json::json!({}),
        )?;
        match standing.status {
            SaleStatus::Closed => Ok(()),
            status => Err(NoReply::Refused(Some(status))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused_with(status: u16, body: &str) -> NoReply {
        refused_for(status, None, body)
    }

    fn refused_for(status: u16, seconds: Option<u64>, body: &str) -> NoReply {
        let answer = Answer {
            status,
            retry_after: seconds.map(Duration::from_secs),
            body: body.as_bytes().to_vec(),
        };
        read::<api::Granted>("claim", &answer).expect_err("refused")
    }

    #[test]
    fn a_merchant_that_is_asked_too_much_is_asked_again_later() {
        let busy = r#"{"error":"too-many","message":"more than this kiosk may ask"}"#;
        let later = |seconds| NoReply::Later(Duration::from_secs(seconds));
        assert_eq!(refused_for(429, Some(30), busy), later(30));
        assert_eq!(refused_for(429, None, busy), later(1));
        assert_eq!(refused_for(503, Some(2), ""), later(2));
        assert_eq!(refused_for(503, None, ""), NoReply::NoAnswer);
    }

    #[test]
    fn of_many_unsettled_sales_the_oldest_and_the_newest_are_told() {
        let sale = |number| api::UnsettledSale {
            sale: SaleId::from_u128(number),
            total: Fen::MAX,
            status: SaleStatus::Open,
            age_seconds: 1,
            orders: Vec::new(),
            claim: None,
        };
        let told = |count| {
            let told = unsettled((0..count).map(sale).collect());
            told.iter()
                .map(|sale| sale.sale.as_u128())
                .collect::<Vec<_>>()
        };
        assert_eq!(told(0), []);
        assert_eq!(told(8), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(told(9), [0, 1, 2, 3, 4, 5, 6, 8]);
        assert_eq!(told(600), [0, 1, 2, 3, 4, 5, 6, 599]);
    }

    #[test]
    fn only_the_merchant_himself_refuses() {
        let merchant = r#"{"error":"not-claimable","message":"it has expired","status":"expired"}"#;
        let expired = NoReply::Refused(Some(SaleStatus::Expired));
        assert_eq!(refused_with(409, merchant), expired);
        let unknown = r#"{"error":"not-found","message":"there is no such sale"}"#;
        assert_eq!(refused_with(404, unknown), NoReply::Refused(None));
        // A proxy that has lost its merchant knows nothing of our sales.
        for body in ["404 page not found", "", "{}", "<html></html>"] {
            assert_eq!(refused_with(404, body), NoReply::NoAnswer, "{body}");
            assert_eq!(refused_with(409, body), NoReply::NoAnswer, "{body}");
        }
    }
}
