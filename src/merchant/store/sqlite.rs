//! The books in SQLite: one writer with group commit, readers beside it (WAL).

mod books;

pub use books::SqliteBooks;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use rusqlite::{Connection, params};

use crate::api;
use crate::ids::{ClaimId, KioskName, OrderNo, SaleId, TransactionId};
use crate::merchant::ledger::{Disposition, Finding, NotRegistered, Time, Verdict};
use crate::merchant::store::group_commit::Writer;
use crate::merchant::store::{Unavailable, requests, schema};
use crate::money::Fen;
use crate::planted::{self, Bug};
use crate::sale::SaleStatus;
use crate::selpay::notification::{Attempt, Payment};

/// SQLite before this can corrupt a write-ahead log when it is reset.
const OLDEST_SQLITE: i32 = 3_051_003;
/// So many unbelieved bodies are kept.
const QUARANTINE_SLOTS: i64 = 256;
/// So many failed attempts are kept.
const ATTEMPTS_KEPT: i64 = 10_000;

/// The books.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    writer: Writer,
    readers: Mutex<Vec<Connection>>,
    claim_time: Duration,
}

/// The database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NotUsable {
    /// SQLite says so.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A setting did not take.
    #[error("{0}")]
    Setting(String),
    /// The writer cannot be started.
    #[error("{0}")]
    Thread(#[from] std::io::Error),
}

impl SqliteStore {
    /// Opens the books, or begins them; see [`open_to_write`].
    pub fn open(path: &Path, claim_time: Duration) -> Result<SqliteStore, NotUsable> {
        let writer = Writer::start(open_to_write(path)?)?;
        Ok(SqliteStore {
            path: path.to_owned(),
            writer,
            readers: Mutex::new(Vec::new()),
            claim_time,
        })
    }

    /// See [`requests::register`].
    pub async fn register(
        &self,
        now: Time,
        kiosk: KioskName,
        order: OrderNo,
        wanted: api::Register,
    ) -> Result<Result<(bool, api::Order), NotRegistered>, Unavailable> {
        self.change(now, move |books| {
            requests::register(books, kiosk, order, &wanted)
        })
        .await
    }

    /// See [`requests::pay`].
    pub async fn pay(
        &self,
        now: Time,
        payment: Payment,
        body: Vec<u8>,
    ) -> Result<Verdict, Unavailable> {
        self.change(now, move |books| requests::pay(books, &payment, &body))
            .await
    }

    /// See [`requests::claim`].
    pub async fn claim(
        &self,
        now: Time,
        kiosk: KioskName,
        sale: SaleId,
        claim: ClaimId,
    ) -> Result<Option<Result<Fen, SaleStatus>>, Unavailable> {
        let claim_time = self.claim_time;
        self.change(now, move |books| {
            requests::claim(books, kiosk, sale, claim, claim_time)
        })
        .await
    }

    /// See [`requests::close`].
    pub async fn close(
        &self,
        now: Time,
        kiosk: KioskName,
        sale: SaleId,
    ) -> Result<Option<Result<(), SaleStatus>>, Unavailable> {
        let claim_time = self.claim_time;
        self.change(now, move |books| {
            requests::close(books, kiosk, sale, claim_time)
        })
        .await
    }

    /// See [`requests::outcome`].
    pub async fn outcome(
        &self,
        now: Time,
        kiosk: KioskName,
        sale: SaleId,
        report: api::Report,
    ) -> Result<Option<Result<(), SaleStatus>>, Unavailable> {
        self.change(now, move |books| {
            requests::outcome(books, kiosk, sale, &report)
        })
        .await
    }

    /// See [`requests::settle`].
    pub async fn settle(
        &self,
        now: Time,
        transaction: TransactionId,
        finding: Finding,
    ) -> Result<Option<Result<(), Disposition>>, Unavailable> {
        self.change(now, move |books| {
            requests::settle(books, transaction, finding)
        })
        .await
    }

    /// Notes a verified notification of something that is no payment.
    pub async fn note_attempt(&self, now: Time, attempt: Attempt) -> Result<(), Unavailable> {
        self.writer
            .write(move |connection| {
                let order = attempt.order.map(|order| order.to_string());
                connection.execute(
                    "INSERT INTO attempts (order_no, what, at) VALUES (?1, ?2, ?3)",
                    params![order, attempt.what, now.0],
                )?;
                connection
                    .execute(
                        "DELETE FROM attempts WHERE line <= ?1",
                        [connection.last_insert_rowid() - ATTEMPTS_KEPT],
                    )
                    .map(drop)
            })
            .await
    }

    /// Keeps a body that is signed and yet refused, however often it comes.
    pub async fn refuse(
        &self,
        now: Time,
        reason: String,
        body: Vec<u8>,
    ) -> Result<(), Unavailable> {
        let keep =
            "INSERT INTO refused (body, reason, at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
        self.writer
            .write(move |connection| {
                connection
                    .execute(keep, params![body, reason, now.0])
                    .map(drop)
            })
            .await
    }

    /// Whether the books can be read and written.
    pub async fn check(&self) -> Result<(), Unavailable> {
        self.read(|books| books.query_row("SELECT count(*) FROM refused", [], |_| Ok(())))
            .await?;
        self.writer.write(|_| Ok(())).await
    }

    /// Keeps a body that is not believed, for people to look at. Nobody waits for it.
    pub fn quarantine(&self, now: Time, reason: String, body: Vec<u8>) {
        self.writer.write_if_idle(move |connection| {
            connection.execute(
                "INSERT OR REPLACE INTO quarantine (slot, reason, body, at)
                 VALUES ((SELECT coalesce((SELECT (slot + 1) % ?1 FROM quarantine ORDER BY at DESC, slot DESC LIMIT 1), 0)), ?2, ?3, ?4)",
                params![QUARANTINE_SLOTS, reason, body, now.0],
            )
            .map(drop)
        });
    }

    /// See [`requests::sweep`].
    pub async fn sweep(&self, now: Time) -> Result<Vec<SaleId>, Unavailable> {
        let claim_time = self.claim_time;
        // Almost always there is nothing to do: that must not cost a commit.
        let overdue = self
            .ask(now, move |books| requests::overdue(books, claim_time))
            .await?;
        if overdue.is_empty() {
            return Ok(Vec::new());
        }
        self.change(now, move |books| requests::sweep(books, claim_time))
            .await
    }

    /// See [`requests::order`].
    pub async fn order(
        &self,
        kiosk: KioskName,
        order: OrderNo,
    ) -> Result<Option<api::Order>, Unavailable> {
        self.ask(Time(0), move |books| requests::order(books, kiosk, order))
            .await
    }

    /// See [`requests::unsettled`].
    pub async fn unsettled(
        &self,
        now: Time,
        kiosk: KioskName,
    ) -> Result<Vec<api::UnsettledSale>, Unavailable> {
        self.ask(now, move |books| requests::unsettled(books, kiosk))
            .await
    }

    /// Reads beside the writer.
    pub async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let idle = self
            .readers
            .lock()
            .expect("no reader panics while it holds the lock")
            .pop();
        let path = self.path.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let connection = match idle {
                Some(connection) => connection,
                None => connect_to_read(&path)?,
            };
            Ok::<_, rusqlite::Error>((question(&connection)?, connection))
        });
        let (answer, connection) = asked
            .await
            .map_err(|error| Unavailable(error.to_string()))??;
        self.readers
            .lock()
            .expect("no reader panics while it holds the lock")
            .push(connection);
        Ok(answer)
    }

    /// One request of the writer's.
    async fn change<T: Send + 'static>(
        &self,
        now: Time,
        request: impl FnOnce(&mut SqliteBooks<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.writer
            .write(move |connection| request(&mut SqliteBooks { connection, now }))
            .await
    }

    /// A question, beside the writer.
    async fn ask<T: Send + 'static>(
        &self,
        now: Time,
        question: impl FnOnce(&SqliteBooks<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.read(move |connection| question(&SqliteBooks { connection, now }))
            .await
    }
}

/// Opens the books to write in them, or begins them. Refuses a SQLite or settings that could lose a commit.
pub fn open_to_write(path: &Path) -> Result<Connection, NotUsable> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        let version = rusqlite::version();
        return Err(NotUsable::Setting(format!(
            "SQLite {version} can corrupt its log; 3.51.3 is the oldest that is safe"
        )));
    }
    let connection = connect(path)?;
    set(&connection, "journal_mode", "wal", "wal")?;
    if planted::has(Bug::SynchronousNormal) {
        set(&connection, "synchronous", "NORMAL", "1")?;
    } else {
        set(&connection, "synchronous", "FULL", "2")?;
    }
    schema::migrate(&connection)?;
    Ok(connection)
}

/// Opens a connection for reading only: also beside a running server.
pub fn connect_to_read(path: &Path) -> rusqlite::Result<Connection> {
    use rusqlite::OpenFlags;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(2))?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(2))?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Sets a setting and reads it back: SQLite says nothing where it does not take.
fn set(
    connection: &Connection,
    setting: &str,
    value: &str,
    reads_back: &str,
) -> Result<(), NotUsable> {
    connection.pragma_update(None, setting, value)?;
    let read: rusqlite::types::Value =
        connection.pragma_query_value(None, setting, |row| row.get(0))?;
    let read = match read {
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text,
        other => format!("{other:?}"),
    };
    if read == reads_back {
        Ok(())
    } else {
        Err(NotUsable::Setting(format!(
            "{setting} is {read}, not {value}: this file system is not fit for the books"
        )))
    }
}
