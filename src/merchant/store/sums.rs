//! What the books come to. The schema's triggers keep the sums with each change, in the same transaction, so that nobody
//! counts everything that ever was; [`full_balance`] does, and compares.
//!
//! Books that version 0.1.0 began are counted little by little ([`count_on`]) while the server answers. What has been
//! counted is exact at any time; the sums are those of all the books once [`are_complete`] says so.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::merchant::ledger::Time;
use crate::merchant::store::books::LIVE;
use crate::merchant::store::sql::{Failed, Row, Sql};

/// Everything is named before this.
const ALL: &str = "~";
/// The statuses of sales that were paid and have ended.
const ENDED_PAID: [&str; 4] = ["dispensed", "not-dispensed", "unknown", "expired"];

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

/// How many, and their fen, by day and key.
type Sums = BTreeMap<(i64, String), (i64, i64)>;

fn read_sums(sql: &dyn Sql, statement: &str) -> Result<Sums, Failed> {
    let read = |row: &Row| {
        let key = (
            row.int(0)?,
            row.some_text(1)?.unwrap_or_default().to_owned(),
        );
        Ok((key, (row.int(2)?, row.int(3)?)))
    };
    sql.rows(statement, &[])?.iter().map(read).collect()
}

/// The sums of money: under day 0.
const MONEY: &str = "SELECT 0, key, CAST(sum(count) AS BIGINT), CAST(sum(fen) AS BIGINT) FROM sums
    WHERE day = 0 AND key >= 'money/' AND key < 'money0' GROUP BY key";

/// How many payments stand in this state, and their fen.
fn money(sums: &Sums, state: &str) -> (i64, i64) {
    let key = (0, format!("money/{state}"));
    sums.get(&key).copied().unwrap_or_default()
}

fn balance_of(sums: &Sums, agrees: bool) -> Balance {
    let fen = |state: &str| money(sums, state).1;
    let states = sums.iter().filter(|((_, key), _)| key != "money/verified");
    let placed: i64 = states.map(|(_, (_, fen))| fen).sum();
    let verified = fen("verified");
    Balance {
        verified,
        dispensed: fen("dispensed"),
        refund_due: fen("refund-due"),
        refunded: fen("refunded"),
        review: fen("review"),
        waiting: fen("waiting"),
        holds: agrees && verified == placed,
    }
}

/// Whether all the books have been counted.
pub fn are_complete(sql: &dyn Sql) -> Result<bool, Failed> {
    let left = sql.row("SELECT count(*) FROM counted WHERE upto <> '~'", &[])?;
    Ok(left.int(0)? == 0)
}

/// The equation M2, from the sums: of what has been counted. It holds when every verified payment has a disposition, and
/// what waits for goods are the payments of sales that have not ended.
pub fn balance(sql: &dyn Sql) -> Result<Balance, Failed> {
    const WAITING: &str = "SELECT count(*) FILTER (WHERE state = 'waiting' AND paid_by <=
            (SELECT upto FROM counted WHERE what = 'payments')),
        count(*) FILTER (WHERE paid IS DISTINCT FROM total OR (status = 'paid' AND state IS DISTINCT FROM 'waiting'))
        FROM (SELECT s.paid_by, s.total, s.status, p.total AS paid, coalesce((SELECT d.state FROM dispositions d
                WHERE d.transaction_id = s.paid_by ORDER BY d.line DESC LIMIT 1), p.first_state) AS state
            FROM sales s LEFT JOIN payments p ON p.transaction_id = s.paid_by
            WHERE s.ended_at IS NULL AND s.status IN ('paid', 'claimed')) AS live";
    let sums = read_sums(sql, MONEY)?;
    let live = sql.row(WAITING, &[])?;
    let agrees = live.int(1)? == 0 && live.int(0)? == money(&sums, "waiting").0;
    Ok(balance_of(&sums, agrees))
}

/// The equation M2, counted from nothing, and what the sums say otherwise. Takes the longer the more payments there are.
pub fn full_balance(sql: &dyn Sql) -> Result<(Balance, Vec<String>), Failed> {
    const STATES: &str =
        "SELECT 0, 'money/' || coalesce(state, 'nowhere'), count(*), CAST(sum(total) AS BIGINT)
        FROM books GROUP BY state";
    const VERIFIED: &str = "SELECT 0, 'money/verified', count(*), CAST(coalesce(sum(total), 0) AS BIGINT) FROM payments";
    // A sale's payment is of its exact amount, and waits exactly as long as the sale is paid or claimed.
    const DISAGREE: &str = "SELECT count(*) FROM (SELECT s.total, s.status, p.total AS paid, coalesce((SELECT d.state
                FROM dispositions d WHERE d.transaction_id = s.paid_by ORDER BY d.line DESC LIMIT 1), p.first_state) AS state
            FROM sales s LEFT JOIN payments p ON p.transaction_id = s.paid_by WHERE s.paid_by IS NOT NULL) AS paid_sales
        WHERE paid IS DISTINCT FROM total OR (state = 'waiting' AND status NOT IN ('paid', 'claimed'))
            OR (status = 'paid' AND state IS DISTINCT FROM 'waiting')";
    sql.take_time()?;
    let mut counted = read_sums(sql, STATES)?;
    counted.extend(read_sums(sql, VERIFIED)?);
    let agrees = sql.row(DISAGREE, &[])?.int(0)? == 0;
    let mut differences = Vec::new();
    if are_complete(sql)? {
        let mut compare = |what: &str, counted: Sums, kept: Sums| {
            let of = |sums: &Sums, key: &(i64, String)| sums.get(key).copied().unwrap_or_default();
            let mut keys: Vec<_> = counted.keys().chain(kept.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let (counted, kept) = (of(&counted, key), of(&kept, key));
                if counted != kept {
                    let (day, name) = key;
                    differences.push(format!(
                        "{what} {name} of day {day}: {} of {} fen are kept, {} of {} fen are there",
                        kept.0, kept.1, counted.0, counted.1
                    ));
                }
            }
        };
        compare("payments", counted.clone(), read_sums(sql, MONEY)?);
        compare("owed", owed_of(&counted), read_sums(sql, OWED)?);
        let sales = read_sums(sql, COUNT_SALES)?;
        compare("sales", sales, read_sums(sql, SALES)?);
        compare(
            "kiosk",
            read_sums(sql, COUNT_TAKINGS)?,
            read_sums(sql, TAKINGS)?,
        );
        compare(
            "listed",
            read_sums(sql, COUNT_LISTED)?,
            read_sums(sql, LISTED)?,
        );
    }
    let balance = balance_of(&counted, agrees && differences.is_empty());
    Ok((balance, differences))
}

const SALES: &str =
    "SELECT day, key, CAST(sum(count) AS BIGINT), CAST(sum(fen) AS BIGINT) FROM sums
    WHERE key < 'money/' OR key >= 'money0' GROUP BY day, key";
const COUNT_SALES: &str = "SELECT (created_at + 28800000) / 86400000, 'began', count(*), CAST(sum(total) AS BIGINT)
        FROM sales GROUP BY 1, 2
    UNION ALL SELECT (created_at + 28800000) / 86400000, status, count(*), CAST(sum(total) AS BIGINT)
        FROM sales WHERE ended_at IS NOT NULL GROUP BY 1, 2";
const TAKINGS: &str =
    "SELECT day, kiosk, CAST(sum(count) AS BIGINT), CAST(sum(fen) AS BIGINT) FROM sums_of_kiosks
    GROUP BY day, kiosk";
const COUNT_TAKINGS: &str =
    "SELECT (created_at + 28800000) / 86400000, kiosk, count(*), CAST(sum(total) AS BIGINT)
    FROM sales WHERE status = 'dispensed' GROUP BY 1, 2";
const OWED: &str = "SELECT 0, o.state, count(*), CAST(sum(p.total) AS BIGINT) FROM owed o
    JOIN payments p ON p.transaction_id = o.transaction_id GROUP BY o.state";
const LISTED: &str = "SELECT 0, 'all', count(*), 0 FROM sales_of_kiosk
    UNION ALL SELECT 0, status, count(*), 0 FROM sales_gone_wrong GROUP BY status";
const COUNT_LISTED: &str = "SELECT 0, 'all', count(*), 0 FROM sales
    UNION ALL SELECT 0, status, count(*), 0 FROM sales
        WHERE status IN ('not-dispensed', 'unknown', 'expired') GROUP BY status";

/// What should be owed or open, of sums of money.
fn owed_of(money: &Sums) -> Sums {
    let owed = |(key, sum): (&(i64, String), &(i64, i64))| {
        let state = key.1.strip_prefix("money/")?;
        ["refund-due", "review"]
            .contains(&state)
            .then(|| ((0, state.to_owned()), *sum))
    };
    money.iter().filter_map(owed).collect()
}

/// How many payments stand in this state, and their fen.
pub fn money_in(sql: &dyn Sql, state: &str) -> Result<(i64, i64), Failed> {
    Ok(money(&read_sums(sql, MONEY)?, state))
}

/// How many payments are owed or open, and their fen: right also while the books are being counted.
pub fn owed(sql: &dyn Sql, state: &str) -> Result<(i64, i64), Failed> {
    if are_complete(sql)? {
        return money_in(sql, state);
    }
    let key = (0, state.to_owned());
    Ok(read_sums(sql, OWED)?.get(&key).copied().unwrap_or_default())
}

/// How many sales began on days from then on, how many of them were dispensed, and their takings in fen.
pub fn takings_since(sql: &dyn Sql, since: Time) -> Result<(i64, i64, i64), Failed> {
    const KEPT: &str = "SELECT CAST(coalesce(sum(count) FILTER (WHERE key = 'began'), 0) AS BIGINT),
        CAST(coalesce(sum(count) FILTER (WHERE key = 'dispensed'), 0) AS BIGINT),
        CAST(coalesce(sum(fen) FILTER (WHERE key = 'dispensed'), 0) AS BIGINT) FROM sums WHERE day >= ?1";
    const COUNTED: &str = "SELECT count(*), count(*) FILTER (WHERE status = 'dispensed'),
        CAST(coalesce(sum(total) FILTER (WHERE status = 'dispensed'), 0) AS BIGINT) FROM sales WHERE created_at >= ?1";
    let row = match are_complete(sql)? {
        true => sql.row(KEPT, &[since.day().into()])?,
        false => sql.row(COUNTED, &[since.0.into()])?,
    };
    Ok((row.int(0)?, row.int(1)?, row.int(2)?))
}

/// What each kiosk took of the sales that began on days from then on: how many were dispensed, and their fen.
pub fn takings_of_kiosks(sql: &dyn Sql, since: Time) -> Result<Vec<Row>, Failed> {
    const KEPT: &str =
        "SELECT kiosk, CAST(sum(count) AS BIGINT), CAST(sum(fen) AS BIGINT) FROM sums_of_kiosks
        WHERE day >= ?1 GROUP BY kiosk ORDER BY kiosk";
    const COUNTED: &str = "SELECT kiosk, count(*), CAST(sum(total) AS BIGINT) FROM sales
        WHERE created_at >= ?1 AND status = 'dispensed' GROUP BY kiosk ORDER BY kiosk";
    match are_complete(sql)? {
        true => sql.rows(KEPT, &[since.day().into()]),
        false => sql.rows(COUNTED, &[since.0.into()]),
    }
}

/// How many sales began on days from then on, and how many of them were paid.
pub fn paid_since(sql: &dyn Sql, since: Time) -> Result<(i64, i64), Failed> {
    const KEPT: &str =
        "SELECT key, CAST(sum(count) AS BIGINT) FROM sums WHERE day >= ?1 GROUP BY key";
    const COUNTED: &str = "SELECT count(*), count(paid_at) FROM sales WHERE created_at >= ?1";
    if !are_complete(sql)? {
        let row = sql.row(COUNTED, &[since.0.into()])?;
        return Ok((row.int(0)?, row.int(1)?));
    }
    let under_way = format!("SELECT count(*) FROM sales WHERE {LIVE} AND paid_at >= ?1");
    let mut paid = sql.row(&under_way, &[since.0.into()])?.int(0)?;
    let mut began = 0;
    for row in sql.rows(KEPT, &[since.day().into()])? {
        match row.text(0)? {
            "began" => began += row.int(1)?,
            key if ENDED_PAID.contains(&key) => paid += row.int(1)?,
            _ => {}
        }
    }
    Ok((began, paid))
}

/// How many sales stand where, of those that have been counted.
pub fn sales_by_status(sql: &dyn Sql) -> Result<Vec<(String, i64)>, Failed> {
    const ENDED: &str = "SELECT key, CAST(sum(count) AS BIGINT) FROM sums
        WHERE key <> 'began' AND (key < 'money/' OR key >= 'money0') GROUP BY key";
    let live = format!("SELECT status, count(*) FROM sales WHERE {LIVE} GROUP BY status");
    let mut all = BTreeMap::new();
    for row in sql.rows(ENDED, &[])?.iter().chain(&sql.rows(&live, &[])?) {
        *all.entry(row.text(0)?.to_owned()).or_insert(0) += row.int(1)?;
    }
    Ok(all.into_iter().filter(|(_, count)| *count > 0).collect())
}

/// What puts sales named after ?1, and up to ?2, into the sums and lists.
const SALES_COUNTED: [&str; 5] = [
    "INSERT INTO tallies (day, key, count, fen)
        SELECT (created_at + 28800000) / 86400000, 'began', count(*), CAST(sum(total) AS BIGINT) FROM sales
        WHERE sale > ?1 AND sale <= ?2 GROUP BY 1, 2
        ON CONFLICT (day, key) DO UPDATE SET count = tallies.count + excluded.count, fen = tallies.fen + excluded.fen",
    "INSERT INTO tallies (day, key, count, fen)
        SELECT (created_at + 28800000) / 86400000, status, count(*), CAST(sum(total) AS BIGINT) FROM sales
        WHERE sale > ?1 AND sale <= ?2 AND ended_at IS NOT NULL GROUP BY 1, 2
        ON CONFLICT (day, key) DO UPDATE SET count = tallies.count + excluded.count, fen = tallies.fen + excluded.fen",
    "INSERT INTO takings (day, kiosk, count, fen)
        SELECT (created_at + 28800000) / 86400000, kiosk, count(*), CAST(sum(total) AS BIGINT) FROM sales
        WHERE sale > ?1 AND sale <= ?2 AND status = 'dispensed' GROUP BY 1, 2
        ON CONFLICT (day, kiosk) DO UPDATE SET count = takings.count + excluded.count, fen = takings.fen + excluded.fen",
    "INSERT INTO sales_of_kiosk (kiosk, created_at, sale) SELECT kiosk, created_at, sale FROM sales
        WHERE sale > ?1 AND sale <= ?2 ON CONFLICT DO NOTHING",
    "INSERT INTO sales_gone_wrong (status, created_at, sale, kiosk) SELECT status, created_at, sale, kiosk FROM sales
        WHERE sale > ?1 AND sale <= ?2 AND status IN ('not-dispensed', 'unknown', 'expired') ON CONFLICT DO NOTHING",
];

/// The same with payments.
const PAYMENTS_COUNTED: [&str; 2] = [
    "INSERT INTO tallies (day, key, count, fen)
        SELECT 0, 'money/verified', count(*), CAST(sum(total) AS BIGINT) FROM payments
        WHERE transaction_id > ?1 AND transaction_id <= ?2 HAVING count(*) > 0
        ON CONFLICT (day, key) DO UPDATE SET count = tallies.count + excluded.count, fen = tallies.fen + excluded.fen",
    "INSERT INTO tallies (day, key, count, fen)
        SELECT 0, 'money/' || state, count(*), CAST(sum(total) AS BIGINT) FROM books
        WHERE transaction_id > ?1 AND transaction_id <= ?2 AND state IS NOT NULL GROUP BY 1, 2
        ON CONFLICT (day, key) DO UPDATE SET count = tallies.count + excluded.count, fen = tallies.fen + excluded.fen",
];

/// Counts so many more of the sales or payments that were in the books before sums were kept, in one transaction.
/// `false`: there are none left.
pub fn count_on(sql: &dyn Sql, at_once: i64) -> Result<bool, Failed> {
    let kinds = [
        ("sales", "sale", &SALES_COUNTED[..]),
        ("payments", "transaction_id", &PAYMENTS_COUNTED[..]),
    ];
    sql.alone()?;
    for (what, name, statements) in kinds {
        let upto = sql.row("SELECT upto FROM counted WHERE what = ?1", &[what.into()])?;
        let upto = upto.text(0)?;
        if upto == ALL {
            continue;
        }
        let next = format!(
            "SELECT count(*), max({name}) FROM
                (SELECT {name} FROM {what} WHERE {name} > ?1 ORDER BY {name} LIMIT ?2) AS next"
        );
        let next = sql.row(&next, &[upto.into(), at_once.into()])?;
        let reached = match next.some_text(1)? {
            Some(name) if next.int(0)? == at_once => name,
            _ => ALL,
        };
        for statement in statements {
            sql.execute(statement, &[upto.into(), reached.into()])?;
        }
        let done = "UPDATE counted SET upto = ?2 WHERE what = ?1";
        sql.execute(done, &[what.into(), reached.into()])?;
        return Ok(true);
    }
    Ok(false)
}

/// Adds up what PostgreSQL keeps change by change, so that the changes stay few. What is seen stays the same.
pub fn add_up(sql: &dyn Sql) -> Result<(), Failed> {
    const ADD_UP: &str = "WITH done AS (
            DELETE FROM tally_changes WHERE line IN (SELECT line FROM tally_changes ORDER BY line LIMIT ?1)
            RETURNING day, kiosk, key, count, fen),
        of_days AS (
            INSERT INTO tallies (day, key, count, fen)
            SELECT day, key, CAST(sum(count) AS BIGINT), CAST(sum(fen) AS BIGINT) FROM done
            WHERE kiosk = '' GROUP BY day, key
            ON CONFLICT (day, key) DO UPDATE
                SET count = tallies.count + excluded.count, fen = tallies.fen + excluded.fen)
        INSERT INTO takings (day, kiosk, count, fen)
        SELECT day, kiosk, CAST(sum(count) AS BIGINT), CAST(sum(fen) AS BIGINT) FROM done
        WHERE kiosk <> '' GROUP BY day, kiosk
        ON CONFLICT (day, kiosk) DO UPDATE
            SET count = takings.count + excluded.count, fen = takings.fen + excluded.fen";
    sql.execute(ADD_UP, &[20_000_i64.into()]).map(drop)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rusqlite::Connection;

    use super::*;
    use crate::api::{Register, Report};
    use crate::ids::{ClaimId, KioskName, OrderNo, SaleId, TransactionId};
    use crate::merchant::ledger::Finding;
    use crate::merchant::store::books::SqlBooks;
    use crate::merchant::store::{reports, requests, schema, story};
    use crate::money::Fen;
    use crate::sale::Outcome;
    use crate::selpay::notification::Payment;

    const CLAIM_TIME: Duration = Duration::from_secs(10);
    /// An hour after the last thing that version 0.1.0 wrote into them.
    const NOW: Time = Time(1_796_088_100_000);

    /// A copy of books as version 0.1.0 left them, each kind of sale in it.
    fn old_books() -> Connection {
        let connection = Connection::open_in_memory().expect("memory");
        let books = include_str!("../../../tests/books/0.1.0.sql");
        connection
            .execute_batch(&format!("PRAGMA foreign_keys = OFF; {books}"))
            .expect("the copy");
        connection
            .execute_batch("PRAGMA foreign_keys = ON")
            .expect("set");
        schema::sqlite::migrate(&connection).expect("the newest schema");
        connection
    }

    /// One more sale from beginning to end.
    fn sell(sql: &Connection, number: u128) -> Result<(), Failed> {
        let (kiosk, total) = (
            KioskName::new("kiosk-1").expect("a name"),
            Fen::new(350).expect("an amount"),
        );
        // Names from everywhere, before and after what has been counted.
        let (sale, order) = (
            SaleId::from_u128(number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)),
            OrderNo::from_random(number),
        );
        let transaction = TransactionId::new(&format!("{}T", number % 97)).expect("a name");
        let payment = Payment {
            transaction,
            order,
            total: 350,
            trade_type: None,
            time_end: None,
            fee_type: None,
        };
        let claim = ClaimId::from_random(number);
        let outcome = [Outcome::Dispensed, Outcome::Unknown][number as usize % 2];
        let books = &mut SqlBooks { sql, now: NOW };
        let _ = requests::register(books, kiosk, order, &Register { sale, total })?;
        requests::pay(books, &payment, b"<xml/>")?;
        let _ = requests::claim(books, kiosk, sale, claim, CLAIM_TIME)?;
        let _ = requests::outcome(books, kiosk, sale, &Report { claim, outcome })?;
        Ok(())
    }

    #[test]
    fn books_of_version_0_1_0_are_counted_a_few_at_a_time_while_they_change() {
        for at_once in [1, 2, 7, 1000] {
            let books = old_books();
            assert!(!are_complete(&books).expect("asked"));
            let mut step = 0;
            while count_on(&books, at_once).expect("counted") {
                sell(&books, step).expect("sold");
                if step == 1 {
                    let now = &mut SqlBooks {
                        sql: &books,
                        now: NOW,
                    };
                    let swept = requests::sweep(now, CLAIM_TIME, &|_| NOW).expect("swept");
                    assert_eq!(swept.len(), 2, "one was paid, one claimed");
                    for entry in reports::refunds(&books).expect("refunds") {
                        let paid = TransactionId::new(&entry.transaction_id).expect("a name");
                        let settled = requests::settle(now, paid, Finding::MoneySent);
                        assert_eq!(settled.expect("settled"), Some(Ok(())));
                    }
                }
                let partly = balance(&books).expect("a balance");
                assert!(
                    partly.holds,
                    "what was counted is right at any time: {partly:?}"
                );
                let owed = [owed(&books, "refund-due"), owed(&books, "review")];
                let listed = [reports::refunds(&books), reports::reviews(&books)];
                for (owed, listed) in owed.into_iter().zip(listed) {
                    let listed = listed.expect("a list");
                    let sum = listed.iter().map(|entry| entry.amount).sum();
                    assert_eq!(owed.expect("a sum"), (listed.len() as i64, sum));
                }
                step += 1;
            }
            assert!(are_complete(&books).expect("asked"));
            let (full, differences) = full_balance(&books).expect("counted");
            assert_eq!(differences, Vec::<String>::new(), "{at_once} at once");
            assert_eq!(balance(&books).expect("a balance"), full);
            assert!(full.holds && full.verified >= 9509 + 730, "{full:?}");
        }
    }

    #[test]
    fn a_message_that_version_0_1_0_kept_is_still_told_in_the_story() {
        let books = old_books();
        let sale = books
            .query_row(
                "SELECT sale FROM sales WHERE status = 'unknown'",
                [],
                |row| row.get::<_, String>(0),
            )
            .expect("a sale");
        let told = story::story(&books, &sale).expect("read").expect("a story");
        let body = String::from_utf8_lossy(&told.payments[0].body);
        assert!(body.starts_with("<xml><bank_type>"), "{body}");
    }

    #[test]
    fn a_sum_that_is_wrong_is_found_by_counting_from_nothing() {
        let books = old_books();
        while count_on(&books, 1000).expect("counted") {}
        for damage in [
            "UPDATE tallies SET count = count + 1 WHERE key = 'began'",
            "UPDATE tallies SET fen = fen + 1 WHERE key = 'money/refund-due'",
            "UPDATE takings SET fen = 0",
            "DELETE FROM owed WHERE state = 'review'",
            "DELETE FROM sales_of_kiosk WHERE kiosk = 'kiosk-2'",
            "DELETE FROM sales_gone_wrong",
        ] {
            books
                .execute_batch(&format!("SAVEPOINT whole; {damage}"))
                .expect("damaged");
            let (balance, differences) = full_balance(&books).expect("counted");
            assert!(!balance.holds && !differences.is_empty(), "{damage}");
            books
                .execute_batch("ROLLBACK TO whole; RELEASE whole")
                .expect("mended");
        }
        assert!(full_balance(&books).expect("counted").0.holds);
    }
}
