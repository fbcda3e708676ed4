//! The bills that were held against the books, and what came of it.

use crate::merchant::ledger::Time;
use crate::merchant::store::sql::{Failed, Row, Sql, Value};

/// A bill that was held against the books.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bill {
    /// When.
    pub at: Time,
    /// The file's name.
    pub name: String,
    /// What was said of it.
    pub summary: String,
    /// Whether somebody's books are wrong.
    pub is_alarm: bool,
}

/// The most bills that are listed.
const MOST: i64 = 100;

/// Keeps what came of a bill, with each difference as CSV.
pub fn keep(sql: &dyn Sql, bill: &Bill, report: &[u8]) -> Result<(), Failed> {
    let kept = [
        bill.at.0.into(),
        (&bill.name).into(),
        (&bill.summary).into(),
        i64::from(bill.is_alarm).into(),
        report.into(),
    ];
    sql.execute(
        "INSERT INTO bills (at, name, summary, alarm, report) VALUES (?1, ?2, ?3, ?4, ?5)",
        &kept,
    )?;
    Ok(())
}

/// The newest bills, each with its line in the books.
pub fn newest(sql: &dyn Sql) -> Result<Vec<(i64, Bill)>, Failed> {
    let read = |row: &Row| {
        let bill = Bill {
            at: Time(row.int(1)?),
            name: row.text(2)?.to_owned(),
            summary: row.text(3)?.to_owned(),
            is_alarm: row.int(4)? != 0,
        };
        Ok((row.int(0)?, bill))
    };
    let all = "SELECT line, at, name, summary, alarm FROM bills ORDER BY line DESC LIMIT ?1";
    sql.rows(all, &[MOST.into()])?.iter().map(read).collect()
}

/// The differences that were found, as CSV.
pub fn report(sql: &dyn Sql, line: i64) -> Result<Option<Vec<u8>>, Failed> {
    let rows = sql.rows("SELECT report FROM bills WHERE line = ?1", &[line.into()])?;
    Ok(rows
        .into_iter()
        .next()
        .and_then(|Row(mut values)| match values.pop() {
            Some(Value::Bytes(report)) => Some(report),
            _ => None,
        }))
}
