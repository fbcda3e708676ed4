//! Where the books are kept: facts are read, the ledger decides, changes are made, all in one transaction.
//!
//! A store decides nothing. Its answers are given only after the commit that holds them is flushed to disk (M1).

pub mod group_commit;
pub mod reports;
pub mod requests;
mod schema;
pub mod sqlite;

pub use sqlite::SqliteStore;

/// The books cannot be read or written now. What was asked may or may not be done: ask again.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the database does not answer: {0}")]
pub struct Unavailable(pub String);

impl From<rusqlite::Error> for Unavailable {
    fn from(error: rusqlite::Error) -> Unavailable {
        Unavailable(error.to_string())
    }
}
