//! What only one of several servers need do: who holds the lease does it.

use std::time::Duration;

use crate::merchant::ledger::Time;
use crate::merchant::store::sql::{Failed, Sql};

/// No lease is given for longer. One that ends later was taken by a clock that was wrong, and holds nobody up.
pub const LONGEST: Duration = Duration::from_secs(600);

/// Takes the lease of this name, or keeps it. `false`: another has it, and is not over.
pub fn take(
    sql: &dyn Sql,
    name: &str,
    holder: &str,
    now: Time,
    until: Time,
) -> Result<bool, Failed> {
    const TAKE: &str = "INSERT INTO leases (name, holder, until) VALUES (?1, ?2, ?4)
        ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
        WHERE leases.holder = excluded.holder OR leases.until <= ?3 OR leases.until > ?5";
    let lease = [
        name.into(),
        holder.into(),
        now.0.into(),
        until.0.into(),
        now.after(LONGEST).0.into(),
    ];
    Ok(sql.execute(TAKE, &lease)? == 1)
}
