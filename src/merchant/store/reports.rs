//! What the books say to people: refunds, reviews, sales, problems. Read only, also beside a running server.
//!
//! Lists are leafed through by key, and no question reads more than a bounded part of the books, however many they are.

use std::collections::HashMap;
use std::fmt;

use serde::Serialize;

use crate::ids::TransactionId;
use crate::merchant::ledger::{Time, UNASKED};
use crate::merchant::reconcile::Ours;
use crate::merchant::store::books::LIVE;
use crate::merchant::store::quarantine::AMBIGUOUS;
use crate::merchant::store::sql::{Failed, Row, Sql};
use crate::merchant::store::sums;

pub use crate::merchant::store::sums::{
    Balance, balance, full_balance, sales_by_status, takings_since,
};

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
    /// What was paid, in fen; in another currency its smallest unit.
    pub amount: i64,
    /// That currency, if it was no yuan that was paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Why it is here.
    pub reason: String,
    /// `due` for refunds, `open` for reviews.
    pub state: &'static str,
    /// Since when, in milliseconds since 1970.
    pub since: i64,
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

/// A place in a list: what comes after it is on the next page. As text, `AT-NAME`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// The time, or the line, by which the list is sorted.
    pub at: i64,
    /// Which of those with the same.
    pub name: String,
}

impl Key {
    /// The place that is written so.
    pub fn read(text: &str) -> Option<Key> {
        let (at, name) = text.split_once('-')?;
        let (at, name) = (at.parse().ok()?, name.to_owned());
        Some(Key { at, name })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.at, self.name)
    }
}

/// A part of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// It comes after this, or is the first.
    pub after: Option<Key>,
    /// No more than so many.
    pub most: i64,
}

impl Part {
    /// Everything.
    pub const ALL: Part = Part::first(i64::MAX);

    /// The first of a list.
    pub const fn first(most: i64) -> Part {
        Part { after: None, most }
    }
}

/// What payments are asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EntriesOf {
    /// For this reason, if it is not empty.
    pub reason: String,
}

impl Entry {
    /// Its place in a list.
    pub fn key(&self) -> Key {
        Key {
            at: self.since,
            name: self.transaction_id.clone(),
        }
    }
}

const ENTRY: &str = "SELECT w.transaction_id, p.order_no,
    (SELECT o.sale FROM orders o WHERE o.order_no = p.order_no), coalesce(f.total, p.total),
    w.reason, w.state, w.since, f.fee_type
    FROM owed w JOIN payments p ON p.transaction_id = w.transaction_id
    LEFT JOIN foreign_payments f ON f.transaction_id = w.transaction_id";

fn read_entry(row: &Row) -> Result<Entry, Failed> {
    Ok(Entry {
        transaction_id: row.text(0)?.to_owned(),
        order_no: row.text(1)?.to_owned(),
        sale: row.some_text(2)?.map(str::to_owned),
        amount: row.int(3)?,
        reason: row.text(4)?.to_owned(),
        state: match row.text(5)? {
            "review" => "open",
            _ => "due",
        },
        since: row.int(6)?,
        currency: row.some_text(7)?.map(str::to_owned),
    })
}

fn entries(sql: &dyn Sql, state: &str, of: &EntriesOf, part: &Part) -> Result<Vec<Entry>, Failed> {
    let reason = match of.reason.is_empty() {
        true => "?5 = ''",
        false => "w.reason = ?5",
    };
    let statement = format!(
        "{ENTRY} WHERE w.state = ?1 AND {reason} AND w.since >= ?2 AND (w.since > ?2 OR w.transaction_id > ?3)
         ORDER BY w.since, w.transaction_id LIMIT ?4"
    );
    let first = Key {
        at: i64::MIN,
        name: String::new(),
    };
    let after = part.after.as_ref().unwrap_or(&first);
    let asked = [
        state.into(),
        after.at.into(),
        (&after.name).into(),
        part.most.into(),
        (&of.reason).into(),
    ];
    sql.rows(&statement, &asked)?
        .iter()
        .map(read_entry)
        .collect()
}

/// Every payment whose money must go back, oldest first.
pub fn refunds(sql: &dyn Sql) -> Result<Vec<Entry>, Failed> {
    refunds_of(sql, &EntriesOf::default(), &Part::ALL)
}

/// Some of them.
pub fn refunds_of(sql: &dyn Sql, of: &EntriesOf, part: &Part) -> Result<Vec<Entry>, Failed> {
    entries(sql, "refund-due", of, part)
}

/// What is owed or open of this payment, if anything is.
pub fn unsettled(sql: &dyn Sql, transaction: &str) -> Result<Option<Entry>, Failed> {
    let statement = format!("{ENTRY} WHERE w.transaction_id = ?1");
    let found = sql.rows(&statement, &[transaction.into()])?;
    found.first().map(read_entry).transpose()
}

/// Every payment that needs a person, oldest first.
pub fn reviews(sql: &dyn Sql) -> Result<Vec<Entry>, Failed> {
    reviews_of(sql, &EntriesOf::default(), &Part::ALL)
}

/// Some of them.
pub fn reviews_of(sql: &dyn Sql, of: &EntriesOf, part: &Part) -> Result<Vec<Entry>, Failed> {
    entries(sql, "review", of, part)
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
    /// Notifications since then that were refused, or of money that goes back. Anybody can send what is not signed: it counts
    /// if it names a number of ours.
    pub refused: i64,
    /// Signed ones since then that can be read in two ways.
    pub ambiguous: i64,
}

/// A glance; `since` is for what was refused.
pub fn glance(sql: &dyn Sql, since: Time) -> Result<Glance, Failed> {
    let live = format!(
        "SELECT count(*), min(paid_at) FILTER (WHERE NOT EXISTS (SELECT 1 FROM dispositions d
            WHERE d.transaction_id = paid_by AND d.state NOT IN ('waiting', 'refund-due')))
        FROM sales WHERE {LIVE}"
    );
    // What a wrong clock wrote far ahead is not of these minutes.
    const REFUSED: &str =
        "SELECT (SELECT count(*) FROM refused WHERE at BETWEEN ?1 AND ?1 + 1200000 AND coalesce(kind, '') <> ?2)
        + (SELECT count(*) FROM unverified WHERE is_known = 1 AND at BETWEEN ?1 AND ?1 + 1200000)
        + (SELECT count(*) FROM mispaid WHERE at BETWEEN ?1 AND ?1 + 1200000 AND reason <> 'currency'),
        (SELECT count(*) FROM refused WHERE at BETWEEN ?1 AND ?1 + 1200000 AND kind = ?2)";
    let live = sql.row(&live, &[])?;
    let refused = sql.row(REFUSED, &[since.0.into(), AMBIGUOUS.into()])?;
    Ok(Glance {
        refunds: sums::owed(sql, "refund-due")?,
        reviews: sums::owed(sql, "review")?,
        live: live.int(0)?,
        waiting_since: live.some_int(1)?.map(Time),
        refused: refused.int(0)?,
        ambiguous: refused.int(1)?,
    })
}

/// Sales that are open, or were for an hour before they were closed, and began since then, with whose they are; no more than
/// a thousand. One that was given up may have been paid all the same.
pub fn open_sales(sql: &dyn Sql, since: Time) -> Result<Vec<(String, String, Time)>, Failed> {
    const MOST: usize = 1000;
    // Among those that have not ended, not among all of that time: the sums keep the index by time out of it.
    const OPEN: &str =
        "SELECT sale, kiosk, created_at FROM sales WHERE ended_at IS NULL AND status = 'open' AND created_at + 0 >= ?1
         ORDER BY created_at + 0 LIMIT ?2";
    const GIVEN_UP: &str = "SELECT sale, kiosk, created_at FROM sales
        WHERE created_at >= ?1 AND status = 'closed' AND ended_at >= created_at + ?3 ORDER BY created_at LIMIT ?2";
    let most = MOST as i64;
    let mut rows = sql.rows(OPEN, &[since.0.into(), most.into()])?;
    let hour = UNASKED.as_millis() as i64;
    rows.extend(sql.rows(GIVEN_UP, &[since.0.into(), most.into(), hour.into()])?);
    let read = |row: &Row| {
        let (sale, kiosk) = (row.text(0)?.to_owned(), row.text(1)?.to_owned());
        Ok((sale, kiosk, Time(row.int(2)?)))
    };
    let mut sales = rows.iter().map(read).collect::<Result<Vec<_>, Failed>>()?;
    sales.sort_by_key(|(_, _, began)| *began);
    sales.truncate(MOST);
    Ok(sales)
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
    // Where so many sales in a row were not paid, it does not matter any more how many they are.
    const MANY: [i64; 2] = [1000, 20_000];
    const PAID: &str = "SELECT max(paid_at) FROM
        (SELECT paid_at FROM sales WHERE created_at >= ?1 ORDER BY created_at DESC LIMIT ?2) AS newest";
    const UNPAID: &str = "SELECT count(*) FROM
        (SELECT 1 FROM sales WHERE created_at > ?1 AND created_at <= ?2 LIMIT ?3) AS unpaid";
    let (sales, paid) = sums::paid_since(sql, since)?;
    let mut paid_at = None;
    for many in MANY {
        if paid_at.is_none() {
            let row = sql.row(PAID, &[since.0.into(), many.into()])?;
            paid_at = row.some_int(0)?.map(Time);
        }
    }
    let quiet_since = paid_at.unwrap_or(since);
    let asked = [quiet_since.0.into(), lately.0.into(), MANY[1].into()];
    Ok(Stream {
        sales,
        paid,
        paid_at,
        unpaid: sql.row(UNPAID, &asked)?.int(0)?,
    })
}

/// Something that the platform, or somebody else, sent and that is no good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// When.
    pub at: Time,
    /// `not-paid`, `refused`, `signature-ambiguous`, `unverified`, `amount`, `unknown-order`, `currency`.
    pub kind: String,
    /// The order number, if it is known.
    pub order_no: String,
    /// What was wrong, or the transaction.
    pub what: String,
}

/// Whatever was sent and is no good, of this kind if it is not empty, newest first. The name in a key says how many of
/// the same moment come before.
pub fn problems(sql: &dyn Sql, kind: &str, part: &Part) -> Result<Vec<Problem>, Failed> {
    const NEWEST: &str = "at <= ?1 ORDER BY at DESC LIMIT ?2";
    const ATTEMPTS: &str =
        "SELECT at, 'not-paid', coalesce(order_no, ''), what FROM attempts WHERE";
    const REFUSED: &str = "SELECT at, 'refused', '', reason FROM refused WHERE coalesce(kind, '') <> 'signature-ambiguous' AND";
    const AMBIGUOUS: &str =
        "SELECT at, kind, '', reason FROM refused WHERE kind = 'signature-ambiguous' AND";
    const UNVERIFIED: &str = "SELECT at, 'unverified', order_no, reason FROM unverified WHERE";
    const JUNK: &str = "SELECT at, 'unverified', '', reason FROM quarantine WHERE";
    const MISPAID: &str = "SELECT m.at, m.reason, p.order_no, p.transaction_id FROM mispaid m
        JOIN payments p ON p.transaction_id = m.transaction_id WHERE";
    let (upto, seen) = match &part.after {
        Some(key) => (key.at, key.name.parse().unwrap_or(0)),
        None => (i64::MAX, 0),
    };
    let most = part.most.saturating_add(seen);
    let read = |row: &Row| {
        Ok::<_, Failed>(Problem {
            at: Time(row.int(0)?),
            kind: row.text(1)?.to_owned(),
            order_no: row.text(2)?.to_owned(),
            what: row.text(3)?.to_owned(),
        })
    };
    let mut found: Vec<Problem> = Vec::new();
    for (word, statement) in [
        ("not-paid", ATTEMPTS),
        ("refused", REFUSED),
        ("signature-ambiguous", AMBIGUOUS),
        ("unverified", UNVERIFIED),
        ("unverified", JUNK),
    ] {
        if kind.is_empty() || kind == word {
            let statement = format!("{statement} {NEWEST}");
            for row in sql.rows(&statement, &[upto.into(), most.into()])? {
                found.push(read(&row)?);
            }
        }
    }
    if kind.is_empty() || ["amount", "unknown-order", "currency"].contains(&kind) {
        let statement = format!(
            "{MISPAID} (?3 = '' OR m.reason = ?3) AND m.at <= ?1 ORDER BY m.at DESC LIMIT ?2"
        );
        for row in sql.rows(&statement, &[upto.into(), most.into(), kind.into()])? {
            found.push(read(&row)?);
        }
    }
    found.sort_by(|a, b| {
        let order = b.at.cmp(&a.at).then_with(|| a.kind.cmp(&b.kind));
        order.then_with(|| a.what.cmp(&b.what))
    });
    let (seen, most) = (seen.max(0) as usize, part.most.max(0) as usize);
    Ok(found.into_iter().skip(seen).take(most).collect())
}

/// The place after these problems, which came after that one.
pub fn key_after(problems: &[Problem], before: Option<&Key>) -> Option<Key> {
    let at = problems.last()?.at;
    let here = problems.iter().filter(|problem| problem.at == at).count();
    let earlier = before.filter(|key| key.at == at.0);
    let earlier = earlier.and_then(|key| key.name.parse().ok()).unwrap_or(0);
    Some(Key {
        at: at.0,
        name: (here + earlier).to_string(),
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
    /// Where no index helps, no more than so many are looked at.
    pub looked_at: i64,
}

impl SalesOf {
    /// All of that time.
    pub fn time(from: Time, to: Time) -> SalesOf {
        SalesOf {
            from,
            to,
            status: String::new(),
            kiosk: String::new(),
            looked_at: i64::MAX,
        }
    }
}

/// Sales that were found, each with its name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sales {
    /// Newest first.
    pub lines: Vec<(String, Line)>,
    /// How far was looked, where that was not everything and fewer than asked for were found.
    pub looked_to: Option<Key>,
}

/// The place of a sale in a list.
pub fn key_of((sale, line): &(String, Line)) -> Key {
    Key {
        at: line.created_at.0,
        name: sale.clone(),
    }
}

/// Sales, newest first.
pub fn sales(sql: &dyn Sql, of: &SalesOf, part: &Part) -> Result<Sales, Failed> {
    /// So many are read at once, at most.
    const AT_ONCE: i64 = 1000;
    const LIVE: [&str; 3] = ["open", "paid", "claimed"];
    const GONE_WRONG: [&str; 3] = ["not-dispensed", "unknown", "expired"];
    let is_complete = sums::are_complete(sql)?;
    // Where to look: the shortest list that has all of them.
    let (source, at) = match () {
        // The sum keeps the index by time out of it, which has all sales there ever were.
        () if LIVE.contains(&&*of.status) => {
            ("sales s WHERE s.ended_at IS NULL", "s.created_at + 0")
        }
        () if is_complete && GONE_WRONG.contains(&&*of.status) && !of.kiosk.is_empty() => (
            "sales_gone_wrong k JOIN sales s ON s.sale = k.sale WHERE k.kiosk = ?6 AND k.status = ?5",
            "k.created_at",
        ),
        () if is_complete && GONE_WRONG.contains(&&*of.status) => (
            "sales_gone_wrong k JOIN sales s ON s.sale = k.sale WHERE k.status = ?5",
            "k.created_at",
        ),
        () if is_complete && !of.kiosk.is_empty() => (
            "sales_of_kiosk k JOIN sales s ON s.sale = k.sale WHERE k.kiosk = ?6",
            "k.created_at",
        ),
        () => ("sales s WHERE true", "s.created_at"),
    };
    let sale = match at.starts_with('k') {
        true => "k.sale",
        false => "s.sale",
    };
    let statement = format!(
        "SELECT s.created_at, s.kiosk, s.total, s.status,
            CASE WHEN (?5 = '' OR s.status = ?5) AND (?6 = '' OR s.kiosk = ?6) THEN (SELECT o.order_no FROM orders o
                WHERE o.sale = s.sale ORDER BY o.place DESC LIMIT 1) END, s.sale
        FROM {source} AND {at} >= ?1 AND {at} <= ?2 AND ({at} < ?2 OR {sale} < ?3)
        ORDER BY {at} DESC, {sale} DESC LIMIT ?4"
    );
    let mut after = part.after.clone().filter(|key| key.at < of.to.0);
    let mut chunk = part.most.clamp(1, AT_ONCE);
    let mut looked_at = 0;
    let mut lines = Vec::new();
    loop {
        let first = Key {
            at: of.to.0.saturating_sub(1),
            name: "~".to_owned(),
        };
        let place = after.as_ref().unwrap_or(&first);
        let asked = [
            of.from.0.into(),
            place.at.into(),
            (&place.name).into(),
            chunk.into(),
            (&of.status).into(),
            (&of.kiosk).into(),
        ];
        let rows = sql.rows(&statement, &asked)?;
        let is_end = (rows.len() as i64) < chunk;
        for row in &rows {
            if row.some_text(4)?.is_some() {
                lines.push((row.text(5)?.to_owned(), Line::read(row)?));
                if lines.len() as i64 >= part.most {
                    let looked_to = None;
                    return Ok(Sales { lines, looked_to });
                }
            }
        }
        if let Some(row) = rows.last() {
            let (at, name) = (row.int(0)?, row.text(5)?.to_owned());
            after = Some(Key { at, name });
        }
        looked_at += rows.len() as i64;
        if is_end || looked_at >= of.looked_at {
            let looked_to = after.filter(|_| !is_end);
            return Ok(Sales { lines, looked_to });
        }
        // Most lists are full after a few more.
        chunk = (chunk * 2).min(AT_ONCE);
    }
}

/// The last moment of which the books know anything.
pub fn last_moment(sql: &dyn Sql) -> Result<Time, Failed> {
    const LAST: &str = "SELECT max(at) FROM (SELECT max(registered_at) AS at FROM orders
        UNION ALL SELECT max(received_at) FROM payments
        UNION ALL SELECT max(at) FROM dispositions
        UNION ALL SELECT max(claimed_at) FROM sales
        UNION ALL SELECT max(ended_at) FROM sales) AS all_of_them";
    Ok(Time(sql.row(LAST, &[])?.some_int(0)?.unwrap_or(0)))
}

/// Every payment in the books: name, amount in fen, and when it was made by the platform's clock.
pub fn payments(sql: &dyn Sql) -> Result<HashMap<TransactionId, Ours>, Failed> {
    // What was paid in another currency counts in its smallest unit, as on the bill.
    const PAYMENTS: &str =
        "SELECT p.transaction_id, coalesce(f.total, p.total), p.time_end FROM payments p
        LEFT JOIN foreign_payments f ON f.transaction_id = p.transaction_id";
    let rows = sql.rows(PAYMENTS, &[])?;
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
