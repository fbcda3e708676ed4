//! The schema, for each database in numbered steps. Unique keys carry the safety; triggers refuse every step that the
//! ledger does not know.

pub mod postgres;
pub mod sqlite;

use crate::merchant::store::NotUsable;

/// Refuses books of a later version: it may keep what this program would forget.
pub(super) fn refuse_newer(applied: i64, known: usize) -> Result<(), NotUsable> {
    if applied <= known as i64 {
        return Ok(());
    }
    Err(NotUsable::Setting(format!(
        "these books were written by a newer version (schema {applied}, this program knows {known}): install that version again"
    )))
}
