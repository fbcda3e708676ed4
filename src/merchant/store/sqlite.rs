//! The books in SQLite: one writer with group commit, readers beside it (WAL).

pub mod file;

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, ToSql};

use crate::merchant::store::group_commit::{self, Writer};
use crate::merchant::store::sql::{Failed, Param, Row, Sql, Value};
use crate::merchant::store::{NotUsable, Unavailable, schema};
use crate::planted::{self, Bug};
use file::{BooksFile, Lock, Unsafe};

/// SQLite before this can corrupt a write-ahead log when it is reset.
const OLDEST_SQLITE: i32 = 3_051_003;
/// How long to wait for somebody else who holds the database.
const PATIENCE: Duration = Duration::from_secs(2);

/// So many statements are kept prepared: more than a program has.
const STATEMENTS: usize = 128;
/// How many steps of its virtual machine SQLite takes between two looks at the clock.
const STEPS: i32 = 10_000;

/// A database file, its writer and its readers.
#[derive(Debug)]
pub struct SqliteDatabase {
    path: PathBuf,
    file: BooksFile,
    writer: Writer,
    readers: Mutex<Vec<Connection>>,
    health: Arc<Health>,
}

/// What was found out about the database while it was used.
#[derive(Debug, Default)]
struct Health {
    /// Once damage was seen nothing is written any more.
    damage: OnceLock<String>,
    /// The last commit found no room on the disk.
    is_full: AtomicBool,
}

impl Health {
    fn note<T>(&self, answer: Result<T, Failed>) -> Result<T, Failed> {
        if let Err(error) = &answer {
            if error.is_damage() && self.damage.set(error.to_string()).is_ok() {
                tracing::error!("ALARM books-unsafe: {error}");
            }
        }
        answer
    }
}

impl SqliteDatabase {
    /// Opens the books for a server, or begins them; see [`open_to_write`]. Nobody else may read what is begun, and no other
    /// server may have it open.
    pub fn open(path: &Path) -> Result<SqliteDatabase, NotUsable> {
        let lock = Lock::take(path)?;
        file::create_private(path)?;
        let connection = open_to_write(path)?;
        // What waits for the commit stays in memory: only a commit can find the disk full.
        connection.pragma_update(None, "cache_spill", false)?;
        let identity = new_identity(&connection)?;
        Ok(SqliteDatabase {
            path: path.to_owned(),
            file: BooksFile::opened(path, &connection, lock, &identity)?,
            writer: Writer::start(connection)?,
            readers: Mutex::new(Vec::new()),
            health: Arc::default(),
        })
    }

    /// Runs a request in a transaction of the writer's, with whatever else waits. What it answers stands in the file that was
    /// opened: if that is gone the process ends.
    pub async fn write<T: Send + 'static>(
        &self,
        request: impl FnOnce(&dyn Sql) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Unavailable> {
        if let Some(damage) = self.health.damage.get() {
            return Err(Unavailable(damage.clone()));
        }
        let health = Arc::clone(&self.health);
        let written = self
            .writer
            .write(move |connection| health.note(request(connection)))
            .await;
        let is_full = written.as_ref().is_err_and(group_commit::is_disk_full);
        if is_full || written.is_ok() {
            let was_full = self.health.is_full.swap(is_full, Ordering::Relaxed);
            if is_full && !was_full {
                tracing::error!("ALARM books-unsafe: the disk is full");
            }
        }
        let answer = written?;
        self.look_at_file()?;
        Ok(answer)
    }

    /// The same for what nobody waits for; see [`Writer::write_if_idle`].
    pub fn write_if_idle(
        &self,
        request: impl FnOnce(&dyn Sql) -> Result<(), Failed> + Send + 'static,
    ) {
        self.writer
            .write_if_idle(move |connection| request(connection));
    }

    /// Whether what is written is safe: the files are those that were opened, nothing is damaged, and there is room.
    pub async fn look(&self) -> Result<(), Unavailable> {
        self.look_at_file()?;
        if let Some(damage) = self.health.damage.get() {
            return Err(Unavailable(damage.clone()));
        }
        if self.health.is_full.load(Ordering::Relaxed) {
            // Only a commit shows whether there is room again.
            const COMMIT: &str = "INSERT INTO leases (name, holder, until) VALUES ('room', '', 0)
                ON CONFLICT (name) DO UPDATE SET until = leases.until + 1";
            self.write(|sql| sql.execute(COMMIT, &[])).await?;
        }
        told(self.file.look_for_room())
    }

    fn look_at_file(&self) -> Result<(), Unavailable> {
        told(self.file.look())
    }

    /// Reads beside the writer what is committed at one moment, for so long at most.
    pub async fn read<T: Send + 'static>(
        &self,
        limit: Duration,
        question: impl FnOnce(&dyn Sql) -> Result<T, Failed> + Send + 'static,
        place: impl Send + 'static,
    ) -> Result<T, Unavailable> {
        let idle = self
            .readers
            .lock()
            .expect("no reader panics while it holds the lock")
            .pop();
        let (path, health) = (self.path.clone(), Arc::clone(&self.health));
        let asked = tokio::task::spawn_blocking(move || {
            let connection = match idle {
                Some(connection) => connection,
                None => connect_to_read(&path)?,
            };
            let until = Instant::now() + limit;
            connection.progress_handler(STEPS, Some(move || Instant::now() >= until))?;
            let answer = health.note(at_one_moment(&connection, question))?;
            // Whoever asked may have gone away: the work is over only now.
            drop(place);
            Ok::<_, Failed>((answer, connection))
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
}

/// Asks within one transaction: all answers are of the same books.
pub fn at_one_moment<T>(
    connection: &Connection,
    question: impl FnOnce(&dyn Sql) -> Result<T, Failed>,
) -> Result<T, Failed> {
    let transaction = connection.unchecked_transaction()?;
    let answer = question(connection)?;
    transaction.commit()?;
    Ok(answer)
}

fn told(looked: Result<(), Unsafe>) -> Result<(), Unavailable> {
    looked.map_err(|wrong| match wrong {
        Unsafe::Now(told) => Unavailable(told),
        Unsafe::Lost(told) => {
            tracing::error!(
                "ALARM books-unsafe: {told}; the process ends, what was confirmed is in the file that it had"
            );
            std::process::exit(1);
        }
    })
}

/// A random name for books.
fn new_identity(connection: &Connection) -> rusqlite::Result<String> {
    connection.query_row("SELECT lower(hex(randomblob(16)))", [], |row| row.get(0))
}

impl ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Param::Null => ValueRef::Null,
            Param::Int(number) => ValueRef::Integer(*number),
            Param::Text(text) => ValueRef::Text(text.as_bytes()),
            Param::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl Sql for Connection {
    fn or_fail(&self) -> &'static str {
        "OR FAIL"
    }

    fn execute(&self, statement: &str, params: &[Param<'_>]) -> Result<u64, Failed> {
        let params = rusqlite::params_from_iter(params);
        Ok(self.prepare_cached(statement)?.execute(params)? as u64)
    }

    fn rows(&self, statement: &str, params: &[Param<'_>]) -> Result<Vec<Row>, Failed> {
        let mut statement = self.prepare_cached(statement)?;
        let columns = statement.column_count();
        let mut found = statement.query(rusqlite::params_from_iter(params))?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            let values = (0..columns).map(|column| {
                Ok(match row.get_ref(column)? {
                    ValueRef::Null => Value::Null,
                    ValueRef::Integer(number) => Value::Int(number),
                    ValueRef::Text(text) => Value::Text(match std::str::from_utf8(text) {
                        Ok(text) => text.to_owned(),
                        Err(_) => String::from_utf8_lossy(text).into_owned(),
                    }),
                    ValueRef::Blob(bytes) => Value::Bytes(bytes.to_owned()),
                    ValueRef::Real(number) => {
                        return Err(Failed::Nonsense(format!("{number} is no whole number")));
                    }
                })
            });
            rows.push(Row(values.collect::<Result<_, Failed>>()?));
        }
        Ok(rows)
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
    schema::sqlite::migrate(&connection)?;
    Ok(connection)
}

/// Opens a connection for reading only: also beside a running server.
pub fn connect_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Copies the books as they stand into a new file, beside a running server; its size in bytes. The copy is on disk when
/// this returns, and nobody else may read it.
pub fn back_up(from: &Path, to: &Path) -> Result<u64, NotUsable> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)?;
    let copied = || -> Result<(), NotUsable> {
        let connection = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.busy_timeout(PATIENCE)?;
        // An empty file is taken for a new one.
        connection.execute("VACUUM INTO ?1", [&*to.to_string_lossy()])?;
        file.sync_all()?;
        Ok(())
    };
    copied().inspect_err(|_| {
        // Half a copy is none. That it cannot be removed is not worse than that it could not be made.
        let _ = fs::remove_file(to);
    })?;
    if let Some(parent) = to.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        File::open(parent)?.sync_all()?;
    }
    Ok(file.metadata()?.len())
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
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
