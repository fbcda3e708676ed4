//! When each kiosk was heard of last, and what it said of itself.

use std::time::Duration;

use crate::ids::KioskName;
use crate::merchant::ledger::Time;
use crate::merchant::store::sql::{Failed, Row, Sql};
use crate::merchant::store::sums;

/// A kiosk that was not heard of for so long is silent: it tells how it is once a minute.
pub const SILENT_AFTER: Duration = Duration::from_secs(180);

/// A kiosk as it was heard of last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// When.
    pub at: Time,
    /// Its program's version; empty if it does not say.
    pub version: String,
    /// What it does: `ready`, `selling`, `out-of-service`.
    pub state: String,
    /// Why it is out of service; empty if it is not.
    pub fault: String,
    /// Since when state and fault are these.
    pub since: Time,
    /// When it said so last.
    pub told_at: Time,
}

impl Seen {
    /// Whether it was not heard of for too long. A time far ahead was noted by a clock that was wrong: whoever lives is heard of
    /// again in a moment.
    pub fn is_silent(&self, now: Time) -> bool {
        now.seconds_since(self.at) >= SILENT_AFTER.as_secs()
            || self.at.seconds_since(now) >= SILENT_AFTER.as_secs()
    }

    /// Whether it says that it cannot sell.
    pub fn is_out_of_service(&self) -> bool {
        !self.fault.is_empty()
    }
}

/// Notes kiosks. What another server has heard later stays, but for a time so far ahead that a wrong clock wrote it.
pub fn note(sql: &dyn Sql, seen: &[(KioskName, Seen)]) -> Result<(), Failed> {
    const NOTE: &str = "INSERT INTO kiosks (kiosk, seen_at, version, state, fault, since, told_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (kiosk) DO UPDATE
        SET seen_at = excluded.seen_at, version = excluded.version WHERE kiosks.seen_at < excluded.seen_at OR kiosks.seen_at > excluded.seen_at + 180000";
    const TOLD: &str = "UPDATE kiosks SET state = ?2, fault = ?3, since = ?4, told_at = ?5
        WHERE kiosk = ?1 AND (told_at < ?5 OR told_at > ?5 + 180000)";
    for (kiosk, seen) in seen {
        let row = [
            kiosk.as_str().into(),
            seen.at.0.into(),
            (&seen.version).into(),
            (&seen.state).into(),
            (&seen.fault).into(),
            seen.since.0.into(),
            seen.told_at.0.into(),
        ];
        sql.execute(NOTE, &row)?;
        let [kiosk, _, _, state, fault, since, told_at] = row;
        sql.execute(TOLD, &[kiosk, state, fault, since, told_at])?;
    }
    Ok(())
}

/// Every kiosk that was ever heard of, by name.
pub fn all(sql: &dyn Sql) -> Result<Vec<(KioskName, Seen)>, Failed> {
    let read = |row: &Row| {
        let seen = Seen {
            at: Time(row.int(1)?),
            version: row.text(2)?.to_owned(),
            state: row.text(3)?.to_owned(),
            fault: row.text(4)?.to_owned(),
            since: Time(row.int(5)?),
            told_at: Time(row.int(6)?),
        };
        Ok((row.name(0, KioskName::new)?, seen))
    };
    let all =
        "SELECT kiosk, seen_at, version, state, fault, since, told_at FROM kiosks ORDER BY kiosk";
    sql.rows(all, &[])?.iter().map(read).collect()
}

/// What each kiosk took of the sales that began on days from then on: how many were dispensed, and their fen.
pub fn takings(sql: &dyn Sql, since: Time) -> Result<Vec<(KioskName, i64, i64)>, Failed> {
    let read = |row: &Row| Ok((row.name(0, KioskName::new)?, row.int(1)?, row.int(2)?));
    let takings = sums::takings_of_kiosks(sql, since)?;
    takings.iter().map(read).collect()
}
