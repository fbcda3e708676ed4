//! What the books say to people: refunds, reviews, the balance, today's sales. Read only, also beside a running server.

use std::collections::HashMap;

use serde::Serialize;

use crate::ids::TransactionId;
use crate::merchant::ledger::Time;
use crate::merchant::reconcile::Ours;
use crate::merchant::store::books::LIVE;
use crate::merchant::store::sql::{Failed, Row, Sql};

/// Money that must go back, or a payment that needs a person (docs/api.md, `merchant refunds|reviews --json`).
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

impl Line {
    /// From the first five columns: began, kiosk, total, status, number.
    pub fn read(row: &Row) -> Result<Line, Failed> {
        Ok(Line {
            created_at: Time(row.int(0)?),
            kiosk: row.text(1)?.to_owned(),
            total: row.int(2)?,
            status: row.text(3)?.to_owned(),
            order_no: row.text(4)?.to_owned(),
        })
    }
}

/// A part of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// So many are left out before it.
    pub skip: i64,
    /// No more than so many.
    pub most: i64,
}

impl Part {
    /// Everything.
    pub const ALL: Part = Part {
        skip: 0,
        most: i64::MAX,
    };
}

/// What payments are asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EntriesOf {
    /// For this reason, if it is not empty.
    pub reason: String,
    /// Of this name, if it is not empty.
    pub transaction: String,
}

/// Payments that stand so now. The state is written out: only then an index knows that it is asked for.
fn standing(state: &str) -> String {
    format!(
        "FROM dispositions d JOIN payments p ON p.transaction_id = d.transaction_id
         WHERE d.state = '{state}' AND NOT EXISTS
            (SELECT 1 FROM dispositions n WHERE n.transaction_id = d.transaction_id AND n.line > d.line)"
    )
}

fn entries(
    sql: &dyn Sql,
    (state, told): (&str, &'static str),
    of: &EntriesOf,
    part: Part,
) -> Result<Vec<Entry>, Failed> {
    let statement = format!(
        "SELECT p.transaction_id, p.order_no,
            (SELECT o.sale FROM orders o WHERE o.order_no = p.order_no), p.total, d.reason, d.at {}
         AND (?1 = '' OR d.reason = ?1) AND (?2 = '' OR d.transaction_id = ?2)
         ORDER BY d.at, d.transaction_id LIMIT ?3 OFFSET ?4",
        standing(state)
    );
    let read = |row: &Row| {
        Ok(Entry {
            transaction_id: row.text(0)?.to_owned(),
            order_no: row.text(1)?.to_owned(),
            sale: row.some_text(2)?.map(str::to_owned),
            amount: row.int(3)?,
            reason: row.text(4)?.to_owned(),
            state: told,
            since: row.int(5)?,
        })
    };
    let asked = [
        (&of.reason).into(),
        (&of.transaction).into(),
        part.most.into(),
        part.skip.into(),
    ];
    sql.rows(&statement, &asked)?.iter().map(read).collect()
}

/// Every payment whose money must go back, oldest first.
pub fn refunds(sql: &dyn Sql) -> Result<Vec<Entry>, Failed> {
    refunds_of(sql, &EntriesOf::default(), Part::ALL)
}

/// Some of them.
pub fn refunds_of(sql: &dyn Sql, of: &EntriesOf, part: Part) -> Result<Vec<Entry>, Failed> {
    entries(sql, ("refund-due", "due"), of, part)
}

/// What is owed or open of this payment, if anything is.
pub fn unsettled(sql: &dyn Sql, transaction: &str) -> Result<Option<Entry>, Failed> {
    let of = EntriesOf {
        transaction: transaction.to_owned(),
        ..EntriesOf::default()
    };
    let mut found = refunds_of(sql, &of, Part::ALL)?;
    found.extend(reviews_of(sql, &of, Part::ALL)?);
    Ok(found.pop())
}

/// Every payment that needs a person, oldest first.
pub fn reviews(sql: &dyn Sql) -> Result<Vec<Entry>, Failed> {
    reviews_of(sql, &EntriesOf::default(), Part::ALL)
}

/// Some of them.
pub fn reviews_of(sql: &dyn Sql, of: &EntriesOf, part: Part) -> Result<Vec<Entry>, Failed> {
    entries(sql, ("review", "open"), of, part)
}

/// How many payments must go back, or need a person, and their sum in fen.
fn sum_of(sql: &dyn Sql, state: &str) -> Result<(i64, i64), Failed> {
    let sum = "SELECT count(*), CAST(coalesce(sum(p.total), 0) AS BIGINT)";
    let row = sql.row(&format!("{sum} {}", standing(state)), &[])?;
    Ok((row.int(0)?, row.int(1)?))
}

/// What the books show at a glance, however many payments they hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Glance {
    /// Payments that must go back, and their sum in fen.
    pub refunds: (i64, i64),
    /// Payments that need a person.
    pub reviews: (i64, i64),
    /// Sales that have not ended.
    pub live: i64,
    /// When the oldest payment that waits for its goods came.
    pub waiting_since: Option<Time>,
    /// Notifications since then that were refused, or of money that goes back.
    pub refused: i64,
}

/// A glance; `since` is for what was refused.
pub fn glance(sql: &dyn Sql, since: Time) -> Result<Glance, Failed> {
    let live = format!(
        "SELECT count(*), min(paid_at) FILTER (WHERE NOT EXISTS (SELECT 1 FROM dispositions d
            WHERE d.transaction_id = paid_by AND d.state NOT IN ('waiting', 'refund-due')))
        FROM sales WHERE {LIVE}"
    );
    const REFUSED: &str = "SELECT (SELECT count(*) FROM refused WHERE at >= ?1)
        + (SELECT count(*) FROM quarantine WHERE at >= ?1)
        + (SELECT count(*) FROM dispositions
            WHERE state = 'refund-due' AND reason IN ('amount', 'unknown-order') AND at >= ?1)";
    let live = sql.row(&live, &[])?;
    Ok(Glance {
        refunds: sum_of(sql, "refund-due")?,
        reviews: sum_of(sql, "review")?,
        live: live.int(0)?,
        waiting_since: live.some_int(1)?.map(Time),
        refused: sql.row(REFUSED, &[since.0.into()])?.int(0)?,
    })
}

/// Sales that are open and began since then, with whose they are, no more than a thousand.
pub fn open_sales(sql: &dyn Sql, since: Time) -> Result<Vec<(String, String, Time)>, Failed> {
    const OPEN: &str =
        "SELECT sale, kiosk, created_at FROM sales WHERE status = 'open' AND created_at >= ?1
        ORDER BY created_at LIMIT 1000";
    let read = |row: &Row| {
        let (sale, kiosk) = (row.text(0)?.to_owned(), row.text(1)?.to_owned());
        Ok((sale, kiosk, Time(row.int(2)?)))
    };
    sql.rows(OPEN, &[since.0.into()])?
        .iter()
        .map(read)
        .collect()
}

/// How payments came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stream {
    /// How many sales began since then.
    pub sales: i64,
    /// How many of them were paid.
    pub paid: i64,
    /// When the last of these was.
    pub paid_at: Option<Time>,
    /// How many sales began after that, and had the time to be paid.
    pub unpaid: i64,
}

/// How payments came in since then; a sale that began after `lately` may still be paid.
pub fn stream(sql: &dyn Sql, since: Time, lately: Time) -> Result<Stream, Failed> {
    const SALES: &str =
        "SELECT count(*), count(paid_at), max(paid_at) FROM sales WHERE created_at >= ?1";
    const UNPAID: &str = "SELECT count(*) FROM sales WHERE created_at > ?1 AND created_at <= ?2";
    let row = sql.row(SALES, &[since.0.into()])?;
    let paid_at = row.some_int(2)?.map(Time);
    let quiet_since = paid_at.unwrap_or(since);
    Ok(Stream {
        sales: row.int(0)?,
        paid: row.int(1)?,
        paid_at,
        unpaid: sql
            .row(UNPAID, &[quiet_since.0.into(), lately.0.into()])?
            .int(0)?,
    })
}

/// Something that the platform, or somebody else, sent and that is no good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// When.
    pub at: Time,
    /// `not-paid`, `refused`, `unverified`, `amount`, `unknown-order`.
    pub kind: String,
    /// The order number, if it is known.
    pub order_no: String,
    /// What was wrong, or the transaction.
    pub what: String,
}

/// Whatever was sent and is no good, of this kind if it is not empty, newest first.
pub fn problems(sql: &dyn Sql, kind: &str, part: Part) -> Result<Vec<Problem>, Failed> {
    const PROBLEMS: &str = "SELECT at, kind, order_no, what FROM (
            SELECT at, 'not-paid' AS kind, coalesce(order_no, '') AS order_no, what FROM attempts
            UNION ALL SELECT at, 'refused', '', reason FROM refused
            UNION ALL SELECT at, 'unverified', '', reason FROM quarantine
            UNION ALL SELECT d.at, d.reason, p.order_no, p.transaction_id FROM dispositions d
                JOIN payments p ON p.transaction_id = d.transaction_id
                WHERE d.state = 'refund-due' AND d.reason IN ('amount', 'unknown-order')) AS problems
        WHERE ?1 = '' OR kind = ?1 ORDER BY at DESC, kind, what LIMIT ?2 OFFSET ?3";
    let read = |row: &Row| {
        Ok(Problem {
            at: Time(row.int(0)?),
            kind: row.text(1)?.to_owned(),
            order_no: row.text(2)?.to_owned(),
            what: row.text(3)?.to_owned(),
        })
    };
    let asked = [kind.into(), part.most.into(), part.skip.into()];
    sql.rows(PROBLEMS, &asked)?.iter().map(read).collect()
}

/// The equation M2. It holds when every verified payment has a disposition, and the sales agree with their payments.
pub fn balance(sql: &dyn Sql) -> Result<Balance, Failed> {
    const BALANCE: &str = "SELECT CAST(coalesce(sum(total), 0) AS BIGINT),
        CAST(coalesce(sum(total) FILTER (WHERE state = 'dispensed'), 0) AS BIGINT),
        CAST(coalesce(sum(total) FILTER (WHERE state = 'refund-due'), 0) AS BIGINT),
        CAST(coalesce(sum(total) FILTER (WHERE state = 'refunded'), 0) AS BIGINT),
        CAST(coalesce(sum(total) FILTER (WHERE state = 'review'), 0) AS BIGINT),
        CAST(coalesce(sum(total) FILTER (WHERE state = 'waiting'), 0) AS BIGINT) FROM books";
    // A sale's payment is of its exact amount, and waits exactly as long as the sale is paid or claimed.
    const DISAGREE: &str =
        "SELECT count(*) FROM sales s LEFT JOIN books b ON b.transaction_id = s.paid_by
        WHERE s.paid_by IS NOT NULL AND (b.total IS DISTINCT FROM s.total
            OR (b.state = 'waiting') > (s.status IN ('paid', 'claimed'))
            OR (s.status = 'paid') > (b.state = 'waiting'))";
    sql.take_time()?;
    let disagree = sql.row(DISAGREE, &[])?.int(0)?;
    let sums = sql.row(BALANCE, &[])?;
    let (verified, dispensed) = (sums.int(0)?, sums.int(1)?);
    let (refund_due, refunded) = (sums.int(2)?, sums.int(3)?);
    let (review, waiting) = (sums.int(4)?, sums.int(5)?);
    let placed = dispensed + refund_due + refunded + review + waiting;
    Ok(Balance {
        verified,
        dispensed,
        refund_due,
        refunded,
        review,
        waiting,
        holds: disagree == 0 && verified == placed,
    })
}

/// What sales are asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SalesOf {
    /// That began then or later,
    pub from: Time,
    /// and before this.
    pub to: Time,
    /// That stand so, if it is not empty.
    pub status: String,
    /// Of this kiosk, if it is not empty.
    pub kiosk: String,
}

/// Sales, each with its name, newest first.
pub fn sales(sql: &dyn Sql, of: &SalesOf, part: Part) -> Result<Vec<(String, Line)>, Failed> {
    const SALES: &str = "SELECT created_at, kiosk, total, status,
        (SELECT order_no FROM orders WHERE orders.sale = sales.sale ORDER BY place DESC LIMIT 1), sale
        FROM sales WHERE created_at >= ?1 AND created_at < ?2 AND (?3 = '' OR status = ?3) AND (?4 = '' OR kiosk = ?4)
        ORDER BY created_at DESC, sale LIMIT ?5 OFFSET ?6";
    let read = |row: &Row| Ok((row.text(5)?.to_owned(), Line::read(row)?));
    let asked = [
        of.from.0.into(),
        of.to.0.into(),
        (&of.status).into(),
        (&of.kiosk).into(),
        part.most.into(),
        part.skip.into(),
    ];
    sql.rows(SALES, &asked)?.iter().map(read).collect()
}

/// How many sales began since then, how many of them were dispensed, and their takings in fen.
pub fn takings_since(sql: &dyn Sql, since: Time) -> Result<(i64, i64, i64), Failed> {
    const TAKINGS: &str = "SELECT count(*), count(*) FILTER (WHERE status = 'dispensed'),
        CAST(coalesce(sum(total) FILTER (WHERE status = 'dispensed'), 0) AS BIGINT) FROM sales WHERE created_at >= ?1";
    let row = sql.row(TAKINGS, &[since.0.into()])?;
    Ok((row.int(0)?, row.int(1)?, row.int(2)?))
}

/// How many sales stand where.
pub fn sales_by_status(sql: &dyn Sql) -> Result<Vec<(String, i64)>, Failed> {
    let rows = sql.rows(
        "SELECT status, count(*) FROM sales GROUP BY status ORDER BY status",
        &[],
    )?;
    let read = |row: &Row| Ok((row.text(0)?.to_owned(), row.int(1)?));
    rows.iter().map(read).collect()
}

/// The last moment of which the books know anything.
pub fn last_moment(sql: &dyn Sql) -> Result<Time, Failed> {
    const LAST: &str = "SELECT max(at) FROM (SELECT max(registered_at) AS at FROM orders
        UNION ALL SELECT max(at) FROM dispositions
        UNION ALL SELECT max(claimed_at) FROM sales
        UNION ALL SELECT max(ended_at) FROM sales) AS all_of_them";
    Ok(Time(sql.row(LAST, &[])?.some_int(0)?.unwrap_or(0)))
}

/// Every payment in the books: name, amount in fen, and when it was made by the platform's clock.
pub fn payments(sql: &dyn Sql) -> Result<HashMap<TransactionId, Ours>, Failed> {
    let rows = sql.rows("SELECT transaction_id, total, time_end FROM payments", &[])?;
    let read = |row: &Row| {
        let total = row.int(1)?;
        let ours = Ours {
            total: u64::try_from(total)
                .map_err(|_| Failed::Nonsense(format!("a payment of {total} fen")))?,
            time_end: row.some_text(2)?.map(str::to_owned),
        };
        Ok((row.name(0, TransactionId::new)?, ours))
    };
    rows.iter().map(read).collect()
}
