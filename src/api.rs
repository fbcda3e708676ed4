//! The merchant's HTTP API as types (docs/api.md): what a kiosk asks and what the merchant answers.
//!
//! Both sides are built from these, and the names on the wire are fixed here. Unknown fields are ignored, so that
//! either side may learn new ones first.

use serde::{Deserialize, Serialize};

use crate::ids::{ClaimId, OrderNo, SaleId};
use crate::money::Fen;
use crate::sale::{Outcome, SaleStatus};

/// The longest `wait` of a long poll, in seconds.
pub const MAX_WAIT_SECONDS: u64 = 25;

/// `PUT /v1/orders/{orderNo}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Register {
    /// The sale the number is for.
    pub sale: SaleId,
    /// What is to be paid, in fen; the same for every number of a sale.
    pub total: Fen,
}

/// An order: the answer to `PUT` and `GET /v1/orders/{orderNo}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// The number asked by.
    pub order_no: OrderNo,
    /// Its sale.
    pub sale: SaleId,
    /// What is to be paid, in fen.
    pub total: Fen,
    /// Where the sale stands.
    pub status: SaleStatus,
    /// Every number of the sale, oldest first.
    pub orders: Vec<OrderNo>,
    /// What was paid on any of them, in yuan, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payments: Vec<Paid>,
}

/// A payment of a sale.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Paid {
    /// How much it was, in fen.
    pub amount: u64,
    /// What has become of it: `waiting`, `dispensed`, `refund-due`, `refunded`, `review`.
    pub state: String,
}

/// `POST /v1/sales/{sale}/claim`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Claim {
    /// The kiosk's claim; a retry sends the same.
    pub claim: ClaimId,
}

/// The answer to a claim that is granted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Granted {
    /// The sale.
    pub sale: SaleId,
    /// The claim that may dispense it.
    pub claim: ClaimId,
    /// What was paid, in fen.
    pub total: Fen,
    /// `claimed`, or what came of it since.
    pub status: SaleStatus,
}

/// `POST /v1/sales/{sale}/outcome`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The claim the sale was dispensed under.
    pub claim: ClaimId,
    /// What came of it.
    pub outcome: Outcome,
}

/// The answer to a report and to a close: where the sale stands now.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Standing {
    /// Where the sale stands.
    pub status: SaleStatus,
}

/// `POST /v1/heartbeat`: a kiosk that has nothing to ask tells how it is, once a minute and whenever that changes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Heartbeat {
    /// `ready`, `selling`, `out-of-service`.
    pub state: String,
    /// Why it is out of service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// One entry of `GET /v1/sales/unsettled`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnsettledSale {
    /// The sale.
    pub sale: SaleId,
    /// What is to be paid, in fen.
    pub total: Fen,
    /// `open`, `paid` or `claimed`.
    pub status: SaleStatus,
    /// For how many seconds it has been that. A server that does not tell means: for a long time.
    #[serde(default = "a_long_time")]
    pub age_seconds: u64,
    /// Every number of the sale, oldest first.
    pub orders: Vec<OrderNo>,
    /// The claim that was granted, where one was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub claim: Option<ClaimId>,
}

fn a_long_time() -> u64 {
    u64::MAX
}

/// Every answer that is not a success.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// A code for programs: `conflict`, `sale-not-open`, `not-claimable`, `too-late`, ….
    pub error: String,
    /// For people.
    pub message: String,
    /// Where the sale stands, where that is the reason.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<SaleStatus>,
}
