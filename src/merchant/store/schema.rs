//! The schema, for each database in numbered steps. Unique keys carry the safety; triggers refuse every step that the
//! ledger does not know.

pub mod postgres;
pub mod sqlite;
