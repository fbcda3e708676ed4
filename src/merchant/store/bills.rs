//! The bills that were held against the books, and what came of it.

use crate::merchant::ledger::{RETRIES_END, Time};
use crate::merchant::reconcile::{Summary, Verdict};
use crate::merchant::store::reports::Part;
use crate::merchant::store::sql::{Failed, Row, Sql, Value};

/// A bill that was held against the books.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bill {
    /// When.
    pub at: Time,
    /// The file's name.
    pub name: String,
    /// What it came to.
    pub summary: Summary,
}

impl Bill {
    /// Whether nobody needs to look at it, or to hold it against the books again.
    pub fn is_done(&self) -> bool {
        matches!(self.summary.verdict(), Verdict::Agree | Verdict::Owed)
    }

    /// From then on no notification comes any more of what is on it.
    pub fn tells_all_after(&self) -> Time {
        self.at.after(RETRIES_END)
    }
}

/// Keeps what came of a bill with this digest, which the same bill has again, and each difference as CSV.
pub fn keep(sql: &dyn Sql, bill: &Bill, digest: &[u8], report: &[u8]) -> Result<(), Failed> {
    let summary = serde_json::to_string(&bill.summary).expect("numbers are JSON");
    let kept = [
        bill.at.0.into(),
        (&bill.name).into(),
        digest.into(),
        (&summary).into(),
        i64::from(!bill.is_done()).into(),
        report.into(),
    ];
    sql.execute(
        "INSERT INTO bills (at, name, digest, summary, alarm, report) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        &kept,
    )?;
    Ok(())
}

/// The bills, newest first, each with its line in the books: all, or those that are done, or not. What came of a bill
/// that was held against the books again later is among all only.
pub fn list(sql: &dyn Sql, is_done: Option<bool>, part: &Part) -> Result<Vec<(i64, Bill)>, Failed> {
    // PostgreSQL takes a parameter for what it is first compared with: not a plain number, which is of 32 bits.
    const BILLS: &str = "SELECT line, at, name, summary FROM bills b
        WHERE line < ?2 AND (alarm = ?1 AND NOT EXISTS
            (SELECT 1 FROM bills later WHERE later.digest = b.digest AND later.line > b.line)
        OR ?1 < 0) ORDER BY line DESC LIMIT ?3";
    let read = |row: &Row| {
        let bill = Bill {
            at: Time(row.int(1)?),
            name: row.text(2)?.to_owned(),
            summary: row.name(3, |text| serde_json::from_str(text).ok())?,
        };
        Ok((row.int(0)?, bill))
    };
    let alarm = is_done.map_or(-1, |is_done| i64::from(!is_done));
    let before = part.after.as_ref().map_or(i64::MAX, |key| key.at);
    let asked = [alarm.into(), before.into(), part.most.into()];
    sql.rows(BILLS, &asked)?.iter().map(read).collect()
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
