//! The books in PostgreSQL, shared by several servers.
//!
//! Whoever changes sales or payments takes turns with all others on the same database, by one advisory lock, so that what was
//! read is still true when it is written; kiosks' requests and payments share such a turn and its commit (`writer`). All else
//! is written in `SERIALIZABLE` transactions, tried again within the time that an answer may take. Which sales were paid or
//! closed is told to all servers by `NOTIFY`, in the same commit.

mod batches;
mod group_books;
pub mod server;
mod writer;

use std::cell::RefCell;
use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ::postgres::error::SqlState;
use ::postgres::fallible_iterator::FallibleIterator;
use ::postgres::types::{FromSql, IsNull, ToSql, Type};
use ::postgres::{Client, IsolationLevel, Statement, Transaction};
use tokio::sync::Semaphore;

use crate::ids::SaleId;
use crate::merchant::ledger::Time;
use crate::merchant::store::requests::{Books, Reads};
use crate::merchant::store::sql::{Failed, Param, Row, Sql, Value};
use crate::merchant::store::{NotUsable, Unavailable, schema};
use server::Server;
use writer::Writer;

/// Sessions that one server holds at most.
const SESSIONS: usize = 16;
/// How long a request may be tried again: an answer to the platform has three seconds.
const PATIENCE: Duration = Duration::from_millis(2500);
/// Between two attempts to hear other servers again.
const LISTEN_AGAIN: Duration = Duration::from_millis(500);
const CHANNEL: &str = "selpay_sales";
/// The lock under which one server at a time brings the schema up to date.
const MIGRATION_LOCK: i64 = 0x5e17_a15a;
/// The lock under which sales and payments are changed, by one transaction at a time. Each statement in it has to see what was
/// committed when the lock was given: `READ COMMITTED`, and the lock in a statement of its own.
const BOOKS_LOCK: i64 = 0x5e17_b00c;
/// How each session is set. Statements and locks take no longer than an answer may. A scan of a whole table, which small ones
/// invite, would make every other transaction a conflict.
const SESSION: &str =
    "SET statement_timeout = 2500; SET lock_timeout = 2000; SET idle_in_transaction_session_timeout = 5000;
    SET enable_seqscan = off; SET jit = off";
/// What a database must be set to: see [`refuse_forgetful`].
const SETTINGS: &str =
    "SELECT name, current_setting(name) FROM unnest(ARRAY['fsync', 'synchronous_commit',
    'full_page_writes', 'server_encoding']) AS name";

/// The database of several servers.
#[derive(Debug)]
pub struct PostgresDatabase {
    url: String,
    writer: Writer,
    idle: Arc<Mutex<Vec<Session>>>,
    free: Arc<Semaphore>,
    unawaited: Arc<Semaphore>,
}

impl PostgresDatabase {
    /// Connects, refuses settings that lose commits, brings the schema up to date.
    pub fn open(url: &str) -> Result<PostgresDatabase, NotUsable> {
        // The client brings its own runtime, and cannot do that on a thread of somebody else's.
        let session = thread::scope(|scope| {
            let opened = scope.spawn(|| {
                let mut session = Session::connect(url)?;
                warn_of_settings(&mut session)?;
                migrate(&mut session)?;
                Ok::<_, NotUsable>(session)
            });
            opened.join().expect("it does not panic")
        })?;
        Ok(PostgresDatabase {
            url: url.to_owned(),
            writer: Writer::start(url.to_owned())?,
            idle: Arc::new(Mutex::new(vec![session])),
            free: Arc::new(Semaphore::new(SESSIONS)),
            unawaited: Arc::new(Semaphore::new(1)),
        })
    }

    /// Runs a request that reads no more than this, in a transaction with whatever else waits; see `Writer::change`.
    pub async fn change<T: Send + 'static>(
        &self,
        now: Time,
        reads: Reads,
        request: impl Fn(&mut dyn Books<Error = Failed>) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.writer.change(now, reads, request).await
    }

    /// Runs a request in a transaction, again and again until it goes through or takes too long.
    pub async fn write<T: Send + 'static>(
        &self,
        request: impl Fn(&dyn Sql) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.on_a_session(move |session| session.write(&request))
            .await
    }

    /// Runs a request some time, or not at all if others of its kind are under way.
    pub fn write_if_idle(&self, request: impl Fn(&dyn Sql) -> Result<(), Failed> + Send + 'static) {
        let Ok(permit) = Arc::clone(&self.unawaited).try_acquire_owned() else {
            return;
        };
        let (idle, url) = (Arc::clone(&self.idle), self.url.clone());
        tokio::task::spawn_blocking(move || {
            if let Err(error) = with_session(&idle, &url, |session| session.write(&request)) {
                tracing::warn!("{error}");
            }
            drop(permit);
        });
    }

    /// Reads what is committed.
    pub async fn read<T: Send + 'static>(
        &self,
        question: impl Fn(&dyn Sql) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.on_a_session(move |session| session.read(&question))
            .await
    }

    /// Whether the database still keeps what it commits: its settings may be changed while it runs.
    pub async fn look(&self) -> Result<(), Unavailable> {
        self.on_a_session(|session| refuse_forgetful(&session.client.query(SETTINGS, &[])?))
            .await
    }

    async fn on_a_session<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Session) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let free = Arc::clone(&self.free).acquire_owned();
        let permit = tokio::time::timeout(PATIENCE, free).await;
        let Ok(Ok(permit)) = permit else {
            return Err(Unavailable("too many requests wait".to_owned()));
        };
        let (idle, url) = (Arc::clone(&self.idle), self.url.clone());
        let worked = tokio::task::spawn_blocking(move || {
            let answer = with_session(&idle, &url, work);
            drop(permit);
            answer
        });
        let answer = worked
            .await
            .map_err(|error| Unavailable(error.to_string()))?;
        Ok(answer?)
    }

    /// Hears which sales any server has changed, on a thread of its own that lives as long as the process.
    pub fn listen(&self, told: impl Fn(Option<SaleId>) + Send + 'static) -> std::io::Result<()> {
        let url = self.url.clone();
        let listener = thread::Builder::new().name("changes".to_owned());
        listener.spawn(move || {
            loop {
                let Err(error) = hear(&url, &told);
                tracing::warn!(
                    "other servers are not heard, waiting kiosks look for themselves: {error}"
                );
                thread::sleep(LISTEN_AGAIN);
            }
        })?;
        Ok(())
    }
}

fn hear(url: &str, told: &dyn Fn(Option<SaleId>)) -> Result<std::convert::Infallible, Failed> {
    let mut client = Session::connect(url)?.client;
    client.batch_execute(&format!("LISTEN {CHANNEL}"))?;
    // What was told before nobody heard.
    told(None);
    let mut notifications = client.notifications();
    let mut told_of = notifications.blocking_iter();
    while let Some(notification) = told_of.next()? {
        told(SaleId::new(notification.payload()));
    }
    Err(Failed::Nonsense("the connection has ended".to_owned()))
}

/// Works on an idle session, or on a new one. If the session turns out to be broken, the work is done once more on a new
/// one: whatever became of it, doing it again leaves what doing it once leaves (M4).
fn with_session<T>(
    idle: &Mutex<Vec<Session>>,
    url: &str,
    work: impl Fn(&mut Session) -> Result<T, Failed>,
) -> Result<T, Failed> {
    let lock = || idle.lock().expect("nobody panics while holding the lock");
    let found = lock().pop();
    if let Some(mut session) = found {
        let answer = work(&mut session);
        if !session.client.is_closed() {
            lock().push(session);
            return answer;
        }
        // The others broke with it.
        lock().retain(|session| !session.client.is_closed());
    }
    let mut session = Session::connect(url)?;
    let answer = work(&mut session);
    if !session.client.is_closed() {
        lock().push(session);
    }
    answer
}

/// A connection and what was prepared on it.
pub struct Session {
    client: Client,
    prepared: RefCell<HashMap<String, Statement>>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session")
    }
}

impl Session {
    /// Connects.
    pub fn connect(url: &str) -> Result<Session, Failed> {
        let mut client = Server::read(url)?.connect()?;
        client.batch_execute(SESSION)?;
        refuse_forgetful(&client.query(SETTINGS, &[])?)?;
        Ok(Session {
            client,
            prepared: RefCell::default(),
        })
    }

    /// Brings the schema up to date for a command; refuses one that is newer than this program.
    pub fn migrate(&mut self) -> Result<(), NotUsable> {
        migrate(self)
    }

    /// Reads what is committed.
    pub fn read<T>(
        &mut self,
        question: &dyn Fn(&dyn Sql) -> Result<T, Failed>,
    ) -> Result<T, Failed> {
        let builder = self.client.build_transaction();
        let transaction = builder
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()?;
        question(&InTransaction {
            transaction: RefCell::new(transaction),
            prepared: &self.prepared,
        })
    }

    /// Writes in one transaction, tried again while the database cannot serialize it with others.
    pub fn write<T>(
        &mut self,
        request: &dyn Fn(&dyn Sql) -> Result<T, Failed>,
    ) -> Result<T, Failed> {
        let began = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            match self.try_write(request) {
                Err(error) if is_passing(&error) && began.elapsed() < PATIENCE => {
                    thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(50));
                }
                answer => return answer,
            }
        }
    }

    fn try_write<T>(
        &mut self,
        request: &dyn Fn(&dyn Sql) -> Result<T, Failed>,
    ) -> Result<T, Failed> {
        let builder = self.client.build_transaction();
        let transaction = builder
            .isolation_level(IsolationLevel::Serializable)
            .start()?;
        let sql = InTransaction {
            transaction: RefCell::new(transaction),
            prepared: &self.prepared,
        };
        // Dropped without a commit, it is rolled back.
        let answer = request(&sql)?;
        sql.transaction.into_inner().commit()?;
        Ok(answer)
    }
}

/// Whether the same may go through at the next attempt: others came first.
fn is_passing(error: &Failed) -> bool {
    let Failed::Postgres(error) = error else {
        return matches!(error, Failed::Stale);
    };
    let passing = [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        // Two began the same row at once: the next attempt finds it.
        SqlState::UNIQUE_VIOLATION,
    ];
    error.code().is_some_and(|code| passing.contains(code))
}

struct InTransaction<'a> {
    transaction: RefCell<Transaction<'a>>,
    prepared: &'a RefCell<HashMap<String, Statement>>,
}

impl InTransaction<'_> {
    fn prepare(&self, statement: &str) -> Result<Statement, Failed> {
        if let Some(prepared) = self.prepared.borrow().get(statement) {
            return Ok(prepared.clone());
        }
        let numbered = statement.replace('?', "$");
        let prepared = self.transaction.borrow_mut().prepare(&numbered)?;
        let mut all = self.prepared.borrow_mut();
        all.insert(statement.to_owned(), prepared.clone());
        Ok(prepared)
    }
}

fn referred<'a>(params: &'a [Param<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    let refer = |param: &'a Param<'a>| param as &(dyn ToSql + Sync);
    params.iter().map(refer).collect()
}

impl Sql for InTransaction<'_> {
    fn execute(&self, statement: &str, params: &[Param<'_>]) -> Result<u64, Failed> {
        let statement = self.prepare(statement)?;
        let mut transaction = self.transaction.borrow_mut();
        Ok(transaction.execute(&statement, &referred(params))?)
    }

    fn rows(&self, statement: &str, params: &[Param<'_>]) -> Result<Vec<Row>, Failed> {
        let statement = self.prepare(statement)?;
        let mut transaction = self.transaction.borrow_mut();
        let found = transaction.query(&statement, &referred(params))?;
        found.iter().map(read_row).collect()
    }

    fn take_time(&self) -> Result<(), Failed> {
        let mut transaction = self.transaction.borrow_mut();
        Ok(transaction.batch_execute("SET LOCAL statement_timeout = 600000")?)
    }

    fn take_turn(&self) -> Result<(), Failed> {
        let mut transaction = self.transaction.borrow_mut();
        Ok(transaction.batch_execute(&format!(
            "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = 1000;
             SELECT pg_advisory_xact_lock({BOOKS_LOCK})"
        ))?)
    }

    fn alone(&self) -> Result<(), Failed> {
        self.take_turn()?;
        let mut transaction = self.transaction.borrow_mut();
        Ok(transaction.batch_execute(
            "LOCK TABLE sales, payments, dispositions IN SHARE ROW EXCLUSIVE MODE",
        )?)
    }

    fn tell(&self, sale: &str) -> Result<(), Failed> {
        let tell = "SELECT pg_notify(?1, ?2)";
        self.execute(tell, &[CHANNEL.into(), sale.into()]).map(drop)
    }
}

fn read_row(row: &::postgres::Row) -> Result<Row, Failed> {
    let values = (0..row.len()).map(|column| Ok(row.try_get(column)?));
    Ok(Row(values.collect::<Result<_, Failed>>()?))
}

impl ToSql for Param<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut ::postgres::types::private::BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Param::Null => Ok(IsNull::Yes),
            Param::Int(number) => number.to_sql(ty, out),
            Param::Text(text) => text.to_sql(ty, out),
            Param::Bytes(bytes) => bytes.to_sql(ty, out),
        }
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::INT8 | Type::TEXT | Type::BYTEA)
    }

    ::postgres::types::to_sql_checked!();
}

impl ToSql for Value {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut ::postgres::types::private::BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let param = match self {
            Value::Null => Param::Null,
            Value::Int(number) => Param::Int(*number),
            Value::Text(text) => Param::Text(text),
            Value::Bytes(bytes) => Param::Bytes(bytes),
        };
        param.to_sql(ty, out)
    }

    fn accepts(ty: &Type) -> bool {
        Param::accepts(ty)
    }

    ::postgres::types::to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Value, Box<dyn Error + Sync + Send>> {
        Ok(match *ty {
            Type::INT8 => Value::Int(i64::from_sql(ty, raw)?),
            // A number in the statement itself.
            Type::INT4 => Value::Int(i32::from_sql(ty, raw)?.into()),
            Type::BOOL => Value::Int(bool::from_sql(ty, raw)?.into()),
            Type::BYTEA => Value::Bytes(raw.to_owned()),
            _ => Value::Text(String::from_sql(ty, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Value, Box<dyn Error + Sync + Send>> {
        Ok(Value::Null)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(
            *ty,
            Type::INT8 | Type::INT4 | Type::BOOL | Type::TEXT | Type::BYTEA
        )
    }
}

/// Refuses a database with these [`SETTINGS`] if it forgets what it has committed, or cannot hold every text.
fn refuse_forgetful(settings: &[::postgres::Row]) -> Result<(), Failed> {
    for row in settings {
        let (setting, stands): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
        match (setting, stands) {
            ("server_encoding", "UTF8") => {}
            ("server_encoding", _) => {
                return Err(Failed::Nonsense(format!(
                    "the database's encoding is {stands}: create one with ENCODING 'UTF8', which holds every text"
                )));
            }
            (_, "off") => {
                return Err(Failed::Nonsense(format!(
                    "{setting} is off: PostgreSQL would forget payments it has confirmed; set it to on in postgresql.conf"
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Warns of a database that has no second copy.
fn warn_of_settings(session: &mut Session) -> Result<(), NotUsable> {
    if setting_of(session, "synchronous_standby_names")?.is_empty() {
        tracing::warn!(
            "PostgreSQL has no synchronous standby: if its disk is lost, so are payments that were confirmed (synchronous_standby_names)"
        );
    }
    Ok(())
}

fn setting_of(session: &mut Session, setting: &str) -> Result<String, Failed> {
    let row = session
        .client
        .query_one("SELECT current_setting($1)", &[&setting])?;
    Ok(row.try_get(0)?)
}

/// Brings the schema up to date, one server after the other.
fn migrate(session: &mut Session) -> Result<(), NotUsable> {
    let mut transaction = session.client.transaction()?;
    // It may take its time, and so may another server that does the same.
    transaction.batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&MIGRATION_LOCK])?;
    transaction
        .batch_execute("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")?;
    let applied: i64 = transaction
        .query_one("SELECT coalesce(max(version), 0) FROM schema_version", &[])?
        .try_get(0)?;
    let migrations = schema::postgres::MIGRATIONS;
    schema::refuse_newer(applied, migrations.len())?;
    for (migration, version) in migrations.iter().zip(1i64..).skip(applied as usize) {
        transaction.batch_execute(migration)?;
        transaction.execute("INSERT INTO schema_version VALUES ($1)", &[&version])?;
    }
    transaction.commit()?;
    Ok(())
}

impl From<::postgres::Error> for NotUsable {
    fn from(error: ::postgres::Error) -> NotUsable {
        NotUsable::Failed(error.into())
    }
}
