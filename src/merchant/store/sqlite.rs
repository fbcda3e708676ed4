//! The books in SQLite: one writer with group commit, readers beside it (WAL).

mod books;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use rusqlite::{Connection, params};

use crate::api;
use crate::ids::{ClaimId, KioskName, OrderNo, SaleId};
use crate::merchant::ledger::{self, Decision, NotRegistered, Sale, Time, Verdict};
use crate::merchant::store::group_commit::Writer;
use crate::merchant::store::sqlite::books::{Books, told};
use crate::merchant::store::{Unavailable, schema};
use crate::money::Fen;
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
    /// Opens the books, or begins them. Refuses a SQLite or settings that could lose a commit.
    pub fn open(path: &Path, claim_time: Duration) -> Result<SqliteStore, NotUsable> {
        if rusqlite::version_number() < OLDEST_SQLITE {
            let version = rusqlite::version();
            return Err(NotUsable::Setting(format!(
                "SQLite {version} can corrupt its log; 3.51.3 is the oldest that is safe"
            )));
        }
        let connection = connect(path)?;
        set(&connection, "journal_mode", "wal", "wal")?;
        set(&connection, "synchronous", "FULL", "2")?;
        schema::migrate(&connection)?;
        let writer = Writer::start(connection)?;
        Ok(SqliteStore {
            path: path.to_owned(),
            writer,
            readers: Mutex::new(Vec::new()),
            claim_time,
        })
    }

    /// A kiosk registers a number. `true` if it is new.
    pub async fn register(
        &self,
        now: Time,
        kiosk: KioskName,
        order: OrderNo,
        wanted: api::Register,
    ) -> Result<Result<(bool, api::Order), NotRegistered>, Unavailable> {
        self.decide(
            now,
            move |books| {
                let holder = books.sale_of(order)?;
                let sale = books.sale(wanted.sale)?;
                let orphans = if holder.is_none() {
                    books.payments_of(order)?
                } else {
                    Vec::new()
                };
                Ok(ledger::register(
                    kiosk,
                    order,
                    (wanted.sale, wanted.total),
                    holder.as_ref(),
                    sale.as_ref(),
                    &orphans,
                ))
            },
            move |books, answer| match answer {
                Ok(is_new) => Ok(Ok((
                    is_new,
                    books
                        .order(order)?
                        .expect("it was registered in this transaction"),
                ))),
                Err(refused) => Ok(Err(refused)),
            },
        )
        .await
    }

    /// A verified payment arrives.
    pub async fn pay(
        &self,
        now: Time,
        payment: Payment,
        body: Vec<u8>,
    ) -> Result<Verdict, Unavailable> {
        self.writer
            .write(move |connection| {
                let books = Books { connection, now };
                let known = books.payment(payment.transaction)?;
                let sale = books.sale_of(payment.order)?;
                let Decision { changes, answer } =
                    ledger::pay(&payment, known.as_ref(), sale.as_ref());
                books.make(&changes, &body)?;
                Ok(answer)
            })
            .await
    }

    /// A kiosk claims its sale. `None`: it has no such sale.
    pub async fn claim(
        &self,
        now: Time,
        kiosk: KioskName,
        sale: SaleId,
        claim: ClaimId,
    ) -> Result<Option<Result<Fen, SaleStatus>>, Unavailable> {
        let claim_time = self.claim_time;
        self.with_own_sale(now, kiosk, sale, move |sale| {
            let Decision { changes, answer } = ledger::claim(sale, claim, now, claim_time);
            Decision {
                changes,
                answer: answer.map(|()| sale.total),
            }
        })
        .await
    }

    /// A kiosk closes its sale. `None`: it has no such sale.
    pub async fn close(
        &self,
        now: Time,
        kiosk: KioskName,
        sale: SaleId,
    ) -> Result<Option<Result<(), SaleStatus>>, Unavailable> {
        let claim_time = self.claim_time;
        self.with_own_sale(now, kiosk, sale, move |sale| {
            ledger::close(sale, now, claim_time)
        })
        .await
    }

    /// A kiosk reports an outcome. `None`: it has no such sale.
    pub async fn outcome(
        &self,
        now: Time,
        kiosk: KioskName,
        sale: SaleId,
        report: api::Report,
    ) -> Result<Option<Result<(), SaleStatus>>, Unavailable> {
        self.with_own_sale(now, kiosk, sale, move |sale| {
            ledger::outcome(sale, report.claim, report.outcome)
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

    /// Lets time pass: sales that nobody claimed expire, claims that nobody reported go to review. What changed.
    pub async fn sweep(&self, now: Time) -> Result<Vec<SaleId>, Unavailable> {
        let claim_time = self.claim_time;
        let due = move |connection: &Connection| {
            let books = Books { connection, now };
            let expired = now.0 - claim_time.as_millis() as i64;
            let silent = now.0 - ledger::SILENCE.as_millis() as i64;
            books.sales(
                "(status = 'paid' AND paid_at <= ?1) OR (status = 'claimed' AND claimed_at <= ?2
                 AND (SELECT state FROM books WHERE transaction_id = paid_by) = 'waiting')",
                params![expired, silent],
            )
        };
        if self.read(due).await?.is_empty() {
            return Ok(Vec::new());
        }
        self.writer
            .write(move |connection| {
                let books = Books { connection, now };
                let mut swept = Vec::new();
                for sale in due(connection)? {
                    let changes = ledger::expire(&sale, now, claim_time)
                        .or_else(|| ledger::fall_silent(&sale, now));
                    books.make(&changes.unwrap_or_default(), &[])?;
                    swept.push(sale.id);
                }
                Ok(swept)
            })
            .await
    }

    /// An order of this kiosk's.
    pub async fn order(
        &self,
        kiosk: KioskName,
        order: OrderNo,
    ) -> Result<Option<api::Order>, Unavailable> {
        self.read(move |connection| {
            let sale = Books::read_only(connection).sale_of(order)?;
            Ok(sale
                .filter(|sale| sale.kiosk == kiosk)
                .map(|sale| told(order, sale)))
        })
        .await
    }

    /// This kiosk's sales that have not ended, oldest first.
    pub async fn unsettled(
        &self,
        now: Time,
        kiosk: KioskName,
    ) -> Result<Vec<api::UnsettledSale>, Unavailable> {
        let told = move |sale: Sale| api::UnsettledSale {
            sale: sale.id,
            total: sale.total,
            status: sale.status,
            age_seconds: now.seconds_since(sale.since()),
            claim: sale.claim.map(|(claim, _)| claim),
            orders: sale.orders,
        };
        self.read(move |connection| {
            let live = "status IN ('open', 'paid', 'claimed') AND kiosk = ?1";
            let sales = Books::read_only(connection).sales(live, [kiosk.as_str()])?;
            Ok(sales.into_iter().map(told).collect())
        })
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

    async fn with_own_sale<T: Send + 'static>(
        &self,
        now: Time,
        kiosk: KioskName,
        id: SaleId,
        rule: impl FnOnce(&Sale) -> Decision<T> + Send + 'static,
    ) -> Result<Option<T>, Unavailable> {
        self.decide(
            now,
            move |books| {
                Ok(match books.sale(id)?.filter(|sale| sale.kiosk == kiosk) {
                    None => Decision {
                        changes: Vec::new(),
                        answer: None,
                    },
                    Some(sale) => {
                        let Decision { changes, answer } = rule(&sale);
                        Decision {
                            changes,
                            answer: Some(answer),
                        }
                    }
                })
            },
            |_, answer| Ok(answer),
        )
        .await
    }

    /// Facts, decision, changes, answer: one request of the writer's.
    async fn decide<D: 'static, T: Send + 'static>(
        &self,
        now: Time,
        rule: impl FnOnce(&Books<'_>) -> rusqlite::Result<Decision<D>> + Send + 'static,
        answer: impl FnOnce(&Books<'_>, D) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.writer
            .write(move |connection| {
                let books = Books { connection, now };
                let decision = rule(&books)?;
                books.make(&decision.changes, &[])?;
                answer(&books, decision.answer)
            })
            .await
    }
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
