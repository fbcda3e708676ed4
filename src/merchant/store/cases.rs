//! Payments that somebody must be told of, as a clerk looks them up: the newest few, however many there are.

use std::fmt;

use serde::Serialize;

use crate::merchant::ledger::Time;
use crate::merchant::store::books::LIVE;
use crate::merchant::store::sql::{Failed, Row, Sql};

/// The most payments that one list names.
pub const MOST: usize = 100;

/// One payment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    /// The platform's name of the payment.
    pub transaction_id: String,
    /// The number that was paid.
    pub order_no: String,
    /// Its sale, where the number is known.
    pub sale: Option<String>,
    /// The kiosk that registered the number.
    pub kiosk: Option<String>,
    /// What was paid, in fen.
    pub amount: i64,
    /// Why somebody must be told: a reason of the books, or `waiting`.
    pub reason: String,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Case {
            transaction_id,
            order_no,
            amount,
            reason,
            ..
        } = self;
        write!(
            f,
            "transaction {transaction_id}, {amount} fen on order {order_no}, {reason}"
        )?;
        match &self.kiosk {
            Some(kiosk) => write!(f, ", {kiosk}"),
            None => Ok(()),
        }
    }
}

/// How many there are, and the newest of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Cases {
    /// All of them.
    pub count: i64,
    /// The newest first, no more than [`MOST`].
    pub newest: Vec<Case>,
}

impl Cases {
    /// Whether all of them are listed.
    pub fn is_complete(&self) -> bool {
        self.count <= self.newest.len() as i64
    }
}

/// The newest payments that stand so now: `refund-due` or `review`.
pub fn newest(sql: &dyn Sql, state: &str) -> Result<Vec<Case>, Failed> {
    const NEWEST: &str =
        "SELECT p.transaction_id, p.order_no, o.sale, s.kiosk, coalesce(f.total, p.total), w.reason
        FROM owed w JOIN payments p ON p.transaction_id = w.transaction_id
        LEFT JOIN foreign_payments f ON f.transaction_id = w.transaction_id
        LEFT JOIN orders o ON o.order_no = p.order_no LEFT JOIN sales s ON s.sale = o.sale
        WHERE w.state = ?1 ORDER BY w.since DESC, w.transaction_id DESC LIMIT ?2";
    let asked = [state.into(), (MOST as i64).into()];
    sql.rows(NEWEST, &asked)?.iter().map(read).collect()
}

/// The payments that wait for their goods since before then.
pub fn waiting(sql: &dyn Sql, since: Time) -> Result<Vec<Case>, Failed> {
    let statement = format!(
        "SELECT p.transaction_id, p.order_no, sales.sale, sales.kiosk, p.total, 'waiting'
         FROM sales JOIN payments p ON p.transaction_id = sales.paid_by
         WHERE {LIVE} AND paid_at <= ?1 AND NOT EXISTS (SELECT 1 FROM dispositions d
            WHERE d.transaction_id = paid_by AND d.state NOT IN ('waiting', 'refund-due'))
         ORDER BY paid_at DESC LIMIT ?2"
    );
    sql.rows(&statement, &[since.0.into(), (MOST as i64).into()])?
        .iter()
        .map(read)
        .collect()
}

fn read(row: &Row) -> Result<Case, Failed> {
    Ok(Case {
        transaction_id: row.text(0)?.to_owned(),
        order_no: row.text(1)?.to_owned(),
        sale: row.some_text(2)?.map(str::to_owned),
        kiosk: row.some_text(3)?.map(str::to_owned),
        amount: row.int(4)?,
        reason: row.text(5)?.to_owned(),
    })
}

/// How many sales began by then, a thousand at most, if none of all there are was ever paid by a notification, and none came that
/// was signed.
pub fn never_notified(sql: &dyn Sql, by: Time) -> Result<i64, Failed> {
    const ANY: &str = "SELECT CASE WHEN EXISTS (SELECT 1 FROM sales WHERE ended_at IS NULL AND paid_by IS NOT NULL)
        OR EXISTS (SELECT 1 FROM sums WHERE count > 0
            AND (key = 'dispensed' OR key = 'not-dispensed' OR key = 'unknown' OR key = 'expired'))
        OR EXISTS (SELECT 1 FROM attempts) OR EXISTS (SELECT 1 FROM refused) THEN 1 ELSE 0 END";
    const BEGAN: &str =
        "SELECT count(*) FROM (SELECT 1 FROM sales WHERE created_at <= ?1 LIMIT 1000) AS began";
    if sql.row(ANY, &[])?.int(0)? != 0 {
        return Ok(0);
    }
    sql.row(BEGAN, &[by.0.into()])?.int(0)
}
