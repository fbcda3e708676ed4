//! AddOrderInfo at the platform.

use ureq::Agent;
use ureq::tls::RootCerts;

use super::transport::awake;
use super::{Patient, Reached, agent, clock_ahead, trouble, whole};
use crate::ids::{OrderNo, ScanUrl};
use crate::kiosk::config::Config;
use crate::kiosk::machine::event::NotAdded;
use crate::kiosk::ports::{Idle, Platform};
use crate::money::Fen;
use crate::selpay::add_order::{self, Request, ScanRules};

/// The platform, as the kiosk knows it.
#[derive(Debug)]
pub struct PlatformClient {
    agent: Agent,
    url: String,
    app_key: String,
    rules: ScanRules,
}

impl PlatformClient {
    /// A client for the configured platform. Connects to nothing yet.
    pub fn new(config: &Config) -> PlatformClient {
        PlatformClient {
            agent: agent(RootCerts::WebPki),
            url: format!("{}{}", config.platform_url, add_order::PATH),
            app_key: config.app_key.clone(),
            rules: config.scan_rules.clone(),
        }
    }
}

impl PlatformClient {
    /// Whether anybody answers at the platform's address. Adds no order: that cannot be taken back.
    pub fn check(&self) -> Result<Reached, String> {
        let response = awake(&mut Patient, || self.agent.get(&self.url).call());
        let response = response.map_err(|error| trouble::explain(&self.url, &error))?;
        Ok(Reached {
            says: format!("HTTP {}", response.status().as_u16()),
            clock_ahead: clock_ahead(&response),
        })
    }
}

impl Platform for PlatformClient {
    fn add_order(
        &mut self,
        order: OrderNo,
        total: Fen,
        idle: Idle<'_>,
    ) -> Result<ScanUrl, NotAdded> {
        let request = Request {
            app_key: &self.app_key,
            order_no: order,
            total,
        };
        let answer = whole("AddOrderInfo", idle, || {
            self.agent.post(&self.url).send_json(&request)
        })
        .ok_or(NotAdded::NoAnswer)?;
        // The body's code decides, not the HTTP status: errors come as HTTP 200 as well.
        add_order::read(&answer.body, &request, &self.rules).map_err(|error| {
            tracing::error!("AddOrderInfo {order}: HTTP {}: {error}", answer.status);
            match error {
                add_order::NotAdded::Garbage(_) => NotAdded::NoAnswer,
                _ => NotAdded::Refused,
            }
        })
    }
}
