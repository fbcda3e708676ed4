//! Who is logged in to the console, on whichever server, and the links that open it once. Only digests are kept.

use crate::merchant::ledger::Time;
use crate::merchant::store::sql::{Failed, Sql};

/// Notes a login; forgets those that are over.
pub fn begin(sql: &dyn Sql, digest: &str, until: Time, now: Time) -> Result<(), Failed> {
    sql.execute("DELETE FROM logins WHERE until <= ?1", &[now.0.into()])?;
    let login = [digest.into(), until.0.into()];
    sql.execute("INSERT INTO logins (digest, until) VALUES (?1, ?2)", &login)?;
    Ok(())
}

/// Whether this login counts.
pub fn counts(sql: &dyn Sql, digest: &str, now: Time) -> Result<bool, Failed> {
    let asked = [digest.into(), now.0.into()];
    let rows = sql.rows(
        "SELECT 1 FROM logins WHERE digest = ?1 AND until > ?2",
        &asked,
    )?;
    Ok(!rows.is_empty())
}

/// Ends a login.
pub fn end(sql: &dyn Sql, digest: &str) -> Result<(), Failed> {
    sql.execute("DELETE FROM logins WHERE digest = ?1", &[digest.into()])?;
    Ok(())
}

/// Notes a link that opens the console once, until then; forgets those that are over.
pub fn add_link(sql: &dyn Sql, digest: &str, until: Time, now: Time) -> Result<(), Failed> {
    let old = "DELETE FROM console_links WHERE until <= ?1";
    sql.execute(old, &[now.0.into()])?;
    let link = [digest.into(), until.0.into()];
    let add = "INSERT INTO console_links (digest, until) VALUES (?1, ?2)";
    sql.execute(add, &link)?;
    Ok(())
}

/// Whether this link still opens.
pub fn is_link(sql: &dyn Sql, digest: &str, now: Time) -> Result<bool, Failed> {
    let asked = [digest.into(), now.0.into()];
    let link = "SELECT 1 FROM console_links WHERE digest = ?1 AND until > ?2";
    Ok(!sql.rows(link, &asked)?.is_empty())
}

/// Uses a link up; whether it was one.
pub fn use_link(sql: &dyn Sql, digest: &str, now: Time) -> Result<bool, Failed> {
    let asked = [digest.into(), now.0.into()];
    let used = "DELETE FROM console_links WHERE digest = ?1 AND until > ?2";
    Ok(sql.execute(used, &asked)? == 1)
}
