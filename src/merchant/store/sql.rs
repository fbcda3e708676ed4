//! What the books ask of a database, whichever it is: statements with numbered parameters, rows of plain values.
//!
//! Statements are written once, in the SQL that SQLite and PostgreSQL share: `?1` for parameters, integers of 64 bits.

use std::fmt;

use ::postgres::error::SqlState;
use rusqlite::ErrorCode;

use crate::ids;

/// A parameter of a statement.
#[derive(Clone, Copy, Debug)]
pub enum Param<'a> {
    /// Nothing.
    Null,
    /// A number.
    Int(i64),
    /// A text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl From<i64> for Param<'_> {
    fn from(number: i64) -> Self {
        Param::Int(number)
    }
}

impl<'a> From<&'a str> for Param<'a> {
    fn from(text: &'a str) -> Self {
        Param::Text(text)
    }
}

impl<'a> From<&'a String> for Param<'a> {
    fn from(text: &'a String) -> Self {
        Param::Text(text)
    }
}

impl<'a, const N: usize> From<&'a ids::Text<N>> for Param<'a> {
    fn from(text: &'a ids::Text<N>) -> Self {
        Param::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Param<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Param::Bytes(bytes)
    }
}

impl<'a, T> From<&'a Option<T>> for Param<'a>
where
    &'a T: Into<Param<'a>>,
{
    fn from(value: &'a Option<T>) -> Self {
        value.as_ref().map_or(Param::Null, Into::into)
    }
}

/// A value in a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// Nothing.
    Null,
    /// A number.
    Int(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// A row of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row(pub Vec<Value>);

impl Row {
    /// The number in this column, if there is one.
    pub fn some_int(&self, column: usize) -> Result<Option<i64>, Failed> {
        match &self.0[column] {
            Value::Null => Ok(None),
            Value::Int(number) => Ok(Some(*number)),
            other => Err(nonsense(column, other)),
        }
    }

    /// The number in this column.
    pub fn int(&self, column: usize) -> Result<i64, Failed> {
        let missing = || nonsense(column, &Value::Null);
        self.some_int(column)?.ok_or_else(missing)
    }

    /// The text in this column, if there is one.
    pub fn some_text(&self, column: usize) -> Result<Option<&str>, Failed> {
        match &self.0[column] {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            other => Err(nonsense(column, other)),
        }
    }

    /// The text in this column.
    pub fn text(&self, column: usize) -> Result<&str, Failed> {
        let missing = || nonsense(column, &Value::Null);
        self.some_text(column)?.ok_or_else(missing)
    }

    /// What the text in this column names.
    pub fn name<T>(&self, column: usize, read: fn(&str) -> Option<T>) -> Result<T, Failed> {
        let name = self.some_name(column, read)?;
        name.ok_or_else(|| nonsense(column, &Value::Null))
    }

    /// What the text in this column names, if there is one.
    pub fn some_name<T>(
        &self,
        column: usize,
        read: fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Failed> {
        let Some(text) = self.some_text(column)? else {
            return Ok(None);
        };
        match read(text) {
            Some(name) => Ok(Some(name)),
            None => Err(nonsense(column, &self.0[column])),
        }
    }
}

fn nonsense(column: usize, value: &Value) -> Failed {
    Failed::Nonsense(format!(
        "column {column} holds {value:?}, which makes no sense"
    ))
}

/// A database that can be asked, mostly within a transaction.
pub trait Sql {
    /// Runs a statement that returns no rows; how many rows it changed.
    fn execute(&self, statement: &str, params: &[Param<'_>]) -> Result<u64, Failed>;

    /// Runs a statement that returns rows.
    fn rows(&self, statement: &str, params: &[Param<'_>]) -> Result<Vec<Row>, Failed>;

    /// Stands behind `INSERT` or `UPDATE` of one row where the whole request is taken back if it fails: then what the
    /// statement has done by then need not be taken back first, and is not noted.
    fn or_fail(&self) -> &'static str {
        ""
    }

    /// What is asked from here on in this transaction may take ten minutes.
    fn take_time(&self) -> Result<(), Failed> {
        Ok(())
    }

    /// This transaction is going to change sales or payments: from here to its end no other does. Comes before anything else in
    /// it.
    fn take_turn(&self) -> Result<(), Failed> {
        Ok(())
    }

    /// The same, and servers of version 0.1.0 beside, which know of no turns, wait as well.
    fn alone(&self) -> Result<(), Failed> {
        Ok(())
    }

    /// Tells other servers, once this is committed, that a sale is not what it was.
    fn tell(&self, _sale: &str) -> Result<(), Failed> {
        Ok(())
    }

    /// The one row of an answer that has one.
    fn row(&self, statement: &str, params: &[Param<'_>]) -> Result<Row, Failed> {
        let row = self.rows(statement, params)?.pop();
        row.ok_or_else(|| Failed::Nonsense("an answer without a row".to_owned()))
    }
}

/// The database does not do what it is asked.
#[derive(Debug)]
pub enum Failed {
    /// SQLite says so.
    Sqlite(rusqlite::Error),
    /// PostgreSQL says so.
    Postgres(postgres::Error),
    /// A change did not find what it was decided on.
    Stale,
    /// The books hold something that they cannot hold.
    Nonsense(String),
}

impl Failed {
    /// Whether the database file is not what it was written as.
    pub fn is_damage(&self) -> bool {
        let damage = [ErrorCode::DatabaseCorrupt, ErrorCode::NotADatabase];
        matches!(self, Failed::Sqlite(error) if error.sqlite_error_code().is_some_and(|code| damage.contains(&code)))
    }

    /// Whether a question took longer than it may.
    fn is_too_long(&self) -> bool {
        match self {
            Failed::Sqlite(error) => {
                error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted)
            }
            Failed::Postgres(error) => error.code() == Some(&SqlState::QUERY_CANCELED),
            Failed::Stale | Failed::Nonsense(_) => false,
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_damage() {
            f.write_str(
                "the database file is damaged: stop the server, keep the file, and put the books back from a copy (",
            )?;
        }
        if self.is_too_long() {
            f.write_str("this took too long: ask for less (")?;
        }
        self.cause(f)?;
        match self.is_damage() || self.is_too_long() {
            true => f.write_str(")"),
            false => Ok(()),
        }
    }
}

impl Failed {
    fn cause(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failed::Sqlite(error) => fmt::Display::fmt(error, f),
            // The client's own text says only which of its steps failed.
            Failed::Postgres(error) => match error.as_db_error() {
                Some(told) => write!(f, "{} ({})", told.message(), told.code().code()),
                None => {
                    fmt::Display::fmt(error, f)?;
                    match std::error::Error::source(error) {
                        Some(cause) => write!(f, ": {cause}"),
                        None => Ok(()),
                    }
                }
            },
            Failed::Stale => f.write_str("a change did not find what it was decided on"),
            Failed::Nonsense(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Failed {}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Failed {
        Failed::Sqlite(error)
    }
}

impl From<postgres::Error> for Failed {
    fn from(error: postgres::Error) -> Failed {
        Failed::Postgres(error)
    }
}
