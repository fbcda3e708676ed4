//! When open sales were asked for last: only those that are asked for over a long time, so that no server closes a sale for
//! which a kiosk waits at another.

use std::time::Duration;

use crate::ids::SaleId;
use crate::merchant::ledger::{Time, UNASKED};
use crate::merchant::store::sql::{Failed, Sql};

/// What was noted longer ago than this keeps no sale open: it is forgotten.
const KEPT: Duration = Duration::from_secs(2 * UNASKED.as_secs());

/// Notes when these sales were asked for. What another server has noted later stays.
pub fn note(sql: &dyn Sql, asked: &[(SaleId, Time)], now: Time) -> Result<(), Failed> {
    const NOTE: &str = "INSERT INTO asked (sale, at) VALUES (?1, ?2) ON CONFLICT (sale) DO UPDATE
        SET at = excluded.at WHERE asked.at < excluded.at";
    for (sale, at) in asked {
        sql.execute(NOTE, &[(&sale.text()).into(), at.0.into()])?;
    }
    let old = [now.before(KEPT).0.into()];
    sql.execute("DELETE FROM asked WHERE at < ?1", &old)?;
    Ok(())
}
