//! A sale's whole story, as the books hold it: the answer to "I paid and nothing came". Read only.

use crate::ids::{SaleCode, TransactionId};
use crate::merchant::ledger::Time;
use crate::merchant::store::packed;
use crate::merchant::store::reports::{Key, Line, Sales};
use crate::merchant::store::sql::{Failed, Row, Sql, Value};

/// A sale and everything that happened to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Story {
    /// Its name.
    pub sale: String,
    /// As it stands now; with its newest number.
    pub line: Line,
    /// What happened, in order.
    pub events: Vec<(Time, Event)>,
    /// Every payment on one of its numbers.
    pub payments: Vec<Payment>,
}

/// One thing that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The kiosk began it.
    Began,
    /// It got this number.
    Registered(String),
    /// The platform told of something that is no payment.
    NotPaid(String),
    /// A payment was booked on this number.
    Notified {
        /// Its name.
        transaction: String,
        /// The number.
        order_no: String,
        /// In fen; in another currency its smallest unit.
        amount: i64,
        /// That currency, if it was no yuan that was paid.
        currency: Option<String>,
    },
    /// A payment became this.
    Became {
        /// Its name.
        transaction: String,
        /// What it is from then on.
        state: String,
        /// Why.
        reason: String,
    },
    /// A person noted this.
    Noted(String),
    /// The kiosk was allowed to dispense.
    Claimed,
    /// It ended so.
    Ended(String),
}

/// A payment as it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Payment {
    /// Its name.
    pub transaction: String,
    /// The signed message.
    pub body: Vec<u8>,
}

/// The payments on the numbers of a sale: the one that pays it, which is in no index by numbers, and the others.
const OF_SALE: &str = "IN (SELECT paid_by FROM sales WHERE sale = ?1
    UNION ALL SELECT q.transaction_id FROM orders o
        JOIN payments q ON q.order_no = o.order_no AND q.first_state IS DISTINCT FROM 'waiting' WHERE o.sale = ?1)";

const SALE: &str = "SELECT created_at, kiosk, total, status,
    (SELECT order_no FROM orders WHERE orders.sale = sales.sale ORDER BY place DESC LIMIT 1), claimed_at, ended_at
    FROM sales WHERE sale = ?1";

/// The story of this sale, if there is such a sale.
pub fn story(sql: &dyn Sql, sale: &str) -> Result<Option<Story>, Failed> {
    let Some(row) = sql.rows(SALE, &[sale.into()])?.pop() else {
        return Ok(None);
    };
    let line = Line::read(&row)?;
    let mut events = vec![(line.created_at, Event::Began)];
    let mut add = |question: &str, read: &dyn Fn(&Row) -> Result<Event, Failed>| {
        for row in sql.rows(question, &[sale.into()])? {
            events.push((Time(row.int(0)?), read(&row)?));
        }
        Ok::<_, Failed>(())
    };
    add(
        "SELECT registered_at, order_no FROM orders WHERE sale = ?1 ORDER BY place",
        &|row| Ok(Event::Registered(row.text(1)?.to_owned())),
    )?;
    add(
        "SELECT a.at, a.what FROM attempts a JOIN orders o ON o.order_no = a.order_no WHERE o.sale = ?1 ORDER BY a.line",
        &|row| Ok(Event::NotPaid(row.text(1)?.to_owned())),
    )?;
    let notified = format!(
        "SELECT p.received_at, p.transaction_id, p.order_no, coalesce(f.total, p.total), f.fee_type FROM payments p
         LEFT JOIN foreign_payments f ON f.transaction_id = p.transaction_id
         WHERE p.transaction_id {OF_SALE} ORDER BY p.received_at, p.transaction_id"
    );
    add(&notified, &|row| {
        Ok(Event::Notified {
            transaction: row.text(1)?.to_owned(),
            order_no: row.text(2)?.to_owned(),
            amount: row.int(3)?,
            currency: row.some_text(4)?.map(str::to_owned),
        })
    })?;
    let became = |row: &Row| {
        Ok(Event::Became {
            transaction: row.text(1)?.to_owned(),
            state: row.text(2)?.to_owned(),
            reason: row.text(3)?.to_owned(),
        })
    };
    let at_first = format!(
        "SELECT received_at, transaction_id, first_state, first_reason FROM payments
         WHERE transaction_id {OF_SALE} AND first_state IS NOT NULL ORDER BY received_at, transaction_id"
    );
    add(&at_first, &became)?;
    let later = format!(
        "SELECT at, transaction_id, state, reason FROM dispositions WHERE transaction_id {OF_SALE} ORDER BY line"
    );
    add(&later, &became)?;
    let noted = format!("SELECT at, note FROM notes WHERE transaction_id {OF_SALE} ORDER BY line");
    add(&noted, &|row| Ok(Event::Noted(row.text(1)?.to_owned())))?;
    if let Some(at) = row.some_int(5)? {
        events.push((Time(at), Event::Claimed));
    }
    if let Some(at) = row.some_int(6)? {
        events.push((Time(at), Event::Ended(line.status.clone())));
    }
    // What happened in one transaction has one time, and stays in the order of a life.
    events.sort_by_key(|(at, _)| *at);
    let bodies = format!(
        "SELECT transaction_id, body FROM payments WHERE transaction_id {OF_SALE} ORDER BY received_at, transaction_id"
    );
    let read = |row: &Row| {
        let body = match &row.0[1] {
            Value::Bytes(body) => packed::unpack(body).unwrap_or_default().into_owned(),
            _ => Vec::new(),
        };
        let transaction = row.text(0)?.to_owned();
        Ok(Payment { transaction, body })
    };
    let payments = sql.rows(&bodies, &[sale.into()])?;
    Ok(Some(Story {
        sale: sale.to_owned(),
        line,
        events,
        payments: payments.iter().map(read).collect::<Result<_, Failed>>()?,
    }))
}

/// Notes what a person says about a payment.
pub fn note(
    sql: &dyn Sql,
    transaction: TransactionId,
    note: &str,
    now: Time,
) -> Result<(), Failed> {
    let noted = [transaction.as_str().into(), note.into(), now.0.into()];
    sql.execute(
        "INSERT INTO notes (transaction_id, note, at) VALUES (?1, ?2, ?3)",
        &noted,
    )?;
    Ok(())
}

/// The most sales that a search finds.
const MOST_FOUND: usize = 50;
/// The fewest characters of a number's end that are looked for.
const SHORTEST: usize = 4;

/// So many numbers with the same end are looked at in one search.
const SEARCHED: i64 = 1_000;

/// Sales by what a customer can tell: an order number, the platform's name of a payment, the code that a kiosk's screen shows, or
/// an order number's end (four characters at least). Each with its name; what is looked for by its end, newest number first, after that place.
pub fn find(sql: &dyn Sql, told: &str, after: Option<Key>) -> Result<Sales, Failed> {
    const BY_NAME: &str = "SELECT s.created_at, s.kiosk, s.total, s.status, o.order_no, s.sale
        FROM orders o JOIN sales s ON s.sale = o.sale
        WHERE o.order_no IN (?1, (SELECT order_no FROM payments WHERE transaction_id = ?1))";
    let Some((from, _)) = told.char_indices().rev().nth(SHORTEST - 1) else {
        return Ok(Sales::default());
    };
    let read = |row: &Row| Ok((row.text(5)?.to_owned(), Line::read(row)?));
    let named = sql.rows(BY_NAME, &[told.into()])?;
    if !named.is_empty() {
        let lines = named.iter().map(read).collect::<Result<_, Failed>>()?;
        return Ok(Sales {
            lines,
            looked_to: None,
        });
    }
    /// Sales with one code stand side by side.
    const BY_CODE: &str = "SELECT s.created_at, s.kiosk, s.total, s.status,
            (SELECT o.order_no FROM orders o WHERE o.sale = s.sale ORDER BY o.place DESC LIMIT 1), s.sale
        FROM sales s WHERE s.sale >= ?1 AND s.sale <= ?2";
    if let Some(code) = SaleCode::read(told) {
        let (first, last) = code.sales();
        let (first, last) = (first.to_string(), last.to_string());
        let coded = sql.rows(BY_CODE, &[(&first).into(), (&last).into()])?;
        if !coded.is_empty() {
            let lines = coded.iter().map(read).collect::<Result<_, Failed>>()?;
            return Ok(Sales {
                lines,
                looked_to: None,
            });
        }
    }
    // In the words of the index `orders_by_ending`.
    const BY_ENDING: &str = "SELECT registered_at, order_no, sale FROM orders
        WHERE substr(order_no, length(order_no) - 3) = ?1
            AND registered_at <= ?2 AND (registered_at < ?2 OR order_no < ?3)
        ORDER BY registered_at DESC, order_no DESC LIMIT ?4";
    const BY_SALE: &str =
        "SELECT s.created_at, s.kiosk, s.total, s.status, CAST(?2 AS TEXT), s.sale
        FROM sales s WHERE s.sale = ?1";
    let place = after.unwrap_or(Key {
        at: i64::MAX,
        name: String::new(),
    });
    let asked = [
        told[from..].into(),
        place.at.into(),
        (&place.name).into(),
        SEARCHED.into(),
    ];
    let rows = sql.rows(BY_ENDING, &asked)?;
    let (mut found, mut seen) = (Sales::default(), 0);
    for row in &rows {
        if found.lines.len() == MOST_FOUND {
            break;
        }
        seen += 1;
        let (order_no, sale) = (row.text(1)?, row.text(2)?);
        // Two numbers of one sale may end alike.
        let is_listed = found.lines.iter().any(|(listed, _)| listed == sale);
        if order_no.ends_with(told) && !is_listed {
            let of_sale = sql.row(BY_SALE, &[sale.into(), order_no.into()])?;
            found.lines.push(read(&of_sale)?);
        }
    }
    let is_all = seen == rows.len() && (seen as i64) < SEARCHED;
    if let (Some(last), false) = (rows[..seen].last(), is_all) {
        let (at, name) = (last.int(0)?, last.text(1)?.to_owned());
        found.looked_to = Some(Key { at, name });
    }
    Ok(found)
}
