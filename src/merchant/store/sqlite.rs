//! The books in SQLite: one writer with group commit, readers beside it (WAL).

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, ToSql};
use tokio::sync::Semaphore;

use crate::merchant::store::group_commit::Writer;
use crate::merchant::store::sql::{Failed, Param, Row, Sql, Value};
use crate::merchant::store::{NotUsable, Unavailable, schema};
use crate::planted::{self, Bug};

/// SQLite before this can corrupt a write-ahead log when it is reset.
const OLDEST_SQLITE: i32 = 3_051_003;
/// How long to wait for somebody else who holds the database.
const PATIENCE: Duration = Duration::from_secs(2);

/// So many read at once for kiosks, and so many for people: more would only wait for the same cores, each with a cache of its
/// own, and a long list must not keep a kiosk waiting.
const READERS: [usize; 2] = [4, 2];
/// How long a question may wait for its turn.
const TURN: Duration = Duration::from_millis(2500);

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asker {
    /// A kiosk, which has a customer.
    Kiosk,
    /// A person, or a program that watches.
    Person,
}

/// A database file, its writer and its readers.
#[derive(Debug)]
pub struct SqliteDatabase {
    path: PathBuf,
    writer: Writer,
    readers: Mutex<Vec<Connection>>,
    free: [Arc<Semaphore>; 2],
}

impl SqliteDatabase {
    /// Opens the books, or begins them; see [`open_to_write`].
    pub fn open(path: &Path) -> Result<SqliteDatabase, NotUsable> {
        Ok(SqliteDatabase {
            path: path.to_owned(),
            writer: Writer::start(open_to_write(path)?)?,
            readers: Mutex::new(Vec::new()),
            free: READERS.map(|readers| Arc::new(Semaphore::new(readers))),
        })
    }

    /// Runs a request in a transaction of the writer's, with whatever else waits.
    pub async fn write<T: Send + 'static>(
        &self,
        request: impl FnOnce(&dyn Sql) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.writer
            .write(move |connection| request(connection))
            .await
    }

    /// The same for what nobody waits for; see [`Writer::write_if_idle`].
    pub fn write_if_idle(
        &self,
        request: impl FnOnce(&dyn Sql) -> Result<(), Failed> + Send + 'static,
    ) {
        self.writer
            .write_if_idle(move |connection| request(connection));
    }

    /// Reads beside the writer.
    pub async fn read<T: Send + 'static>(
        &self,
        asker: Asker,
        question: impl FnOnce(&dyn Sql) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let free = Arc::clone(&self.free[asker as usize]).acquire_owned();
        let Ok(Ok(permit)) = tokio::time::timeout(TURN, free).await else {
            return Err(Unavailable("too many questions wait".to_owned()));
        };
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
            let answer = question(&connection)?;
            // Whoever asked may have gone away: the work is over only now.
            drop(permit);
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
                    ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
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
