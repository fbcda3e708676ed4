//! AddOrderInfo at the platform.

use ureq::Agent;
use ureq::tls::RootCerts;

use super::transport::awake;
use super::{Client, Patient, Reached, client, clock_ahead, read, trouble};
use crate::ids::{OrderNo, ScanUrl};
use crate::kiosk::config::Config;
use crate::kiosk::machine::event::NotAdded;
use crate::kiosk::ports::{Idle, Platform};
use crate::money::Fen;
use crate::selpay::add_order::{self, Request, ScanRules};

/// The platform, as the kiosk knows it.
#[derive(Debug)]
pub struct PlatformClient {
    client: Client,
    url: String,
    app_key: String,
    rules: ScanRules,
}

impl PlatformClient {
    /// A client for the configured platform. Connects to nothing yet.
    pub fn new(config: &Config) -> PlatformClient {
        PlatformClient {
            client: client(RootCerts::WebPki, config.platform_time),
            url: format!("{}{}", config.platform_url, add_order::PATH),
            app_key: config.app_key.clone(),
            rules: config.scan_rules.clone(),
        }
    }
}

impl PlatformClient {
    /// Whether anybody answers at the platform's address. Adds no order: that cannot be taken back.
    pub fn check(&self) -> Result<Reached, String> {
        let response = awake(&mut Patient, || self.client.agent.get(&self.url).call());
        let response = response.map_err(|error| trouble::explain(&self.url, &error))?;
        Ok(Reached {
            says: format!("HTTP {}", response.status().as_u16()),
            clock_ahead: clock_ahead(&response),
        })
    }
}

/// One order that was added for a person to look at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trial {
    /// What was asked.
    pub question: String,
    /// What came back: status and body, shortened.
    pub answer: Result<String, String>,
    /// The address to draw, or why there is none.
    pub verdict: Result<ScanUrl, String>,
}

impl PlatformClient {
    /// Adds an order and tells all about it. That cannot be taken back; unless somebody pays it, it does no harm.
    pub fn try_out(&self, order: OrderNo, total: Fen) -> Trial {
        let request = self.request(order, total);
        let body = serde_json::to_string(&request).unwrap_or_default();
        let question = format!("POST {}\n{body}", self.url);
        let answer = awake(&mut Patient, || {
            read(self.client.agent.post(&self.url).send_json(&request)?)
        });
        let (answer, verdict) = match answer {
            Ok(answer) => (
                Ok(format!("HTTP {}\n{}", answer.status, shown(&answer.body))),
                add_order::read(&answer.body, &request, &self.rules)
                    .map_err(|error| error.to_string()),
            ),
            Err(error) => {
                let why = trouble::explain(&self.url, &error);
                (Err(why.clone()), Err(why))
            }
        };
        Trial {
            question,
            answer,
            verdict,
        }
    }

    fn request(&self, order_no: OrderNo, total: Fen) -> Request<'_> {
        Request {
            app_key: &self.app_key,
            order_no,
            total,
        }
    }
}

impl Platform for PlatformClient {
    fn add_order(
        &mut self,
        order: OrderNo,
        total: Fen,
        idle: Idle<'_>,
    ) -> Result<ScanUrl, NotAdded> {
        let request = self.request(order, total);
        let run = |agent: &Agent| agent.post(&self.url).send_json(&request);
        let answer = self.client.whole("AddOrderInfo", idle, run);
        let answer = answer.ok_or(NotAdded::NoAnswer)?;
        let (status, answered) = (answer.status, shown(&answer.body));
        // The body's code decides, not the HTTP status: errors come as HTTP 200 as well.
        let read = add_order::read(&answer.body, &request, &self.rules);
        match &read {
            Ok(_) => tracing::debug!("AddOrderInfo {order}: HTTP {status}: {answered}"),
            Err(error) => {
                tracing::warn!("AddOrderInfo {order}: {error}; HTTP {status}: {answered}")
            }
        }
        read.map_err(|error| match error {
            add_order::NotAdded::Garbage(_) => NotAdded::NoAnswer,
            _ => NotAdded::Refused,
        })
    }
}

/// An answer for the log: on one line, and not too long.
fn shown(body: &[u8]) -> String {
    const MOST: usize = 500;
    let text = String::from_utf8_lossy(&body[..body.len().min(MOST)]);
    let one_line = text.split(|c: char| c.is_control() || c.is_whitespace());
    let words: Vec<&str> = one_line.filter(|word| !word.is_empty()).collect();
    let more = if body.len() > MOST { " …" } else { "" };
    format!("{}{more}", words.join(" "))
}
