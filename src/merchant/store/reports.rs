//! What the books say to people: refunds, reviews, the balance, today's sales. Read only, also beside a running server.

use rusqlite::{Connection, Row, params};
use serde::Serialize;

use crate::merchant::ledger::Time;

/// Money that must go back, or a payment that needs a person (CONTRACT.md, `merchant refunds|reviews --json`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The platform's name of the payment.
    pub transaction_id: String,
    /// The number that was paid.
    pub order_no: String,
    /// Its sale, where the number is known.
    pub sale: Option<String>,
    /// What was paid, in fen.
    pub amount: i64,
    /// Why it is here.
    pub reason: String,
    /// `due` for refunds, `open` for reviews.
    pub state: &'static str,
    /// Since when, in milliseconds since 1970.
    pub since: i64,
}

/// M2 in one line, in fen: `verified` is the sum of all the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Balance {
    /// All verified payments.
    pub verified: i64,
    /// Goods that came out.
    pub dispensed: i64,
    /// Money that must go back.
    pub refund_due: i64,
    /// Money that went back.
    pub refunded: i64,
    /// Payments that need a person.
    pub review: i64,
    /// Paid sales that wait for their claim or its outcome.
    pub waiting: i64,
    /// Whether the equation holds.
    pub holds: bool,
}

/// A sale in a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// When it began.
    pub created_at: Time,
    /// Whose it is.
    pub kiosk: String,
    /// What was to be paid, in fen.
    pub total: i64,
    /// Where it stands.
    pub status: String,
    /// Its newest number.
    pub order_no: String,
}

const ENTRY: &str = "SELECT b.transaction_id, b.order_no, o.sale, b.total, b.reason, b.since
    FROM books b LEFT JOIN orders o ON o.order_no = b.order_no WHERE b.state = ?1 ORDER BY b.since, b.transaction_id";

fn entries(
    connection: &Connection,
    state: &str,
    told: &'static str,
) -> rusqlite::Result<Vec<Entry>> {
    let read = |row: &Row<'_>| {
        Ok(Entry {
            transaction_id: row.get(0)?,
            order_no: row.get(1)?,
            sale: row.get(2)?,
            amount: row.get(3)?,
            reason: row.get(4)?,
            state: told,
            since: row.get(5)?,
        })
    };
    connection
        .prepare(ENTRY)?
        .query_map([state], read)?
        .collect()
}

/// Every payment whose money must go back, oldest first.
pub fn refunds(connection: &Connection) -> rusqlite::Result<Vec<Entry>> {
    entries(connection, "refund-due", "due")
}

/// What is owed or open of this payment, if anything is.
pub fn unsettled(connection: &Connection, transaction: &str) -> rusqlite::Result<Option<Entry>> {
    let mut all = refunds(connection)?;
    all.extend(reviews(connection)?);
    Ok(all
        .into_iter()
        .find(|entry| entry.transaction_id == transaction))
}

/// Every payment that needs a person, oldest first.
pub fn reviews(connection: &Connection) -> rusqlite::Result<Vec<Entry>> {
    entries(connection, "review", "open")
}

/// The equation M2. It holds when every verified payment has a disposition, and the sales agree with their payments.
pub fn balance(connection: &Connection) -> rusqlite::Result<Balance> {
    const BALANCE: &str = "SELECT coalesce(sum(total), 0),
        coalesce(sum(total) FILTER (WHERE state = 'dispensed'), 0),
        coalesce(sum(total) FILTER (WHERE state = 'refund-due'), 0),
        coalesce(sum(total) FILTER (WHERE state = 'refunded'), 0),
        coalesce(sum(total) FILTER (WHERE state = 'review'), 0),
        coalesce(sum(total) FILTER (WHERE state = 'waiting'), 0) FROM books";
    // A sale's payment is of its exact amount, and waits exactly as long as the sale is paid or claimed.
    const DISAGREE: &str =
        "SELECT count(*) FROM sales s LEFT JOIN books b ON b.transaction_id = s.paid_by
        WHERE s.paid_by IS NOT NULL AND (b.total IS NOT s.total
            OR (b.state = 'waiting') > (s.status IN ('paid', 'claimed'))
            OR (s.status = 'paid') > (b.state = 'waiting'))";
    let disagree: i64 = connection.query_row(DISAGREE, [], |row| row.get(0))?;
    connection.query_row(BALANCE, [], |row| {
        let [verified, dispensed, refund_due, refunded, review, waiting] = [
            row.get::<_, i64>(0)?,
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
            row.get(5)?,
        ];
        let holds =
            disagree == 0 && verified == dispensed + refund_due + refunded + review + waiting;
        Ok(Balance {
            verified,
            dispensed,
            refund_due,
            refunded,
            review,
            waiting,
            holds,
        })
    })
}

/// The sales that began since then, newest first, no more than `most`.
pub fn sales_since(
    connection: &Connection,
    since: Time,
    most: usize,
) -> rusqlite::Result<Vec<Line>> {
    const SALES: &str = "SELECT created_at, kiosk, total, status,
        (SELECT order_no FROM orders WHERE orders.sale = sales.sale ORDER BY place DESC LIMIT 1)
        FROM sales WHERE created_at >= ?1 ORDER BY created_at DESC, sale LIMIT ?2";
    let read = |row: &Row<'_>| {
        Ok(Line {
            created_at: Time(row.get(0)?),
            kiosk: row.get(1)?,
            total: row.get(2)?,
            status: row.get(3)?,
            order_no: row.get(4)?,
        })
    };
    connection
        .prepare(SALES)?
        .query_map(params![since.0, most as i64], read)?
        .collect()
}

/// How many sales began since then, how many of them were dispensed, and their takings in fen.
pub fn takings_since(connection: &Connection, since: Time) -> rusqlite::Result<(i64, i64, i64)> {
    const TAKINGS: &str = "SELECT count(*), count(*) FILTER (WHERE status = 'dispensed'),
        coalesce(sum(total) FILTER (WHERE status = 'dispensed'), 0) FROM sales WHERE created_at >= ?1";
    connection.query_row(TAKINGS, [since.0], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })
}

/// How many sales stand where.
pub fn sales_by_status(connection: &Connection) -> rusqlite::Result<Vec<(String, i64)>> {
    let mut statement = connection.prepare("SELECT status, count(*) FROM sales GROUP BY status")?;
    statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}
