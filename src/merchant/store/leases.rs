//! What only one of several servers need do: who holds the lease does it.

use crate::merchant::ledger::Time;
use crate::merchant::store::sql::{Failed, Sql};

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
        WHERE leases.holder = excluded.holder OR leases.until <= ?3";
    let lease = [name.into(), holder.into(), now.0.into(), until.0.into()];
    Ok(sql.execute(TAKE, &lease)? == 1)
}
