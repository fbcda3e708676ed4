//! Where the books are kept: facts are read, the ledger decides, changes are made, all in one transaction.
//!
//! A store decides nothing. Its answers are given only after the commit that holds them is flushed to disk (M1).
//! [`sqlite`] is one file and one writer; [`postgres`] is shared by several servers. Both run the same statements
//! ([`books`], [`reports`]) through the same small door ([`sql`]).

pub mod asked;
pub mod bills;
pub mod books;
pub mod cases;
pub mod group_commit;
pub mod kiosks;
pub mod leases;
pub mod logins;
pub mod packed;
pub mod postgres;
pub mod quarantine;
pub mod reports;
pub mod requests;
mod schema;
pub mod sql;
pub mod sqlite;
pub mod story;
pub mod sums;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api;
use crate::ids::{ClaimId, KioskName, OrderNo, SaleId, TransactionId};
use crate::merchant::ledger::{self, Disposition, Finding, NotRegistered, Sale, Time, Verdict};
use crate::merchant::store::books::SqlBooks;
use crate::merchant::store::postgres::PostgresDatabase;
use crate::merchant::store::requests::{Books, Reads};
use crate::merchant::store::sql::{Failed, Sql};
use crate::merchant::store::sqlite::SqliteDatabase;
use crate::money::Fen;
use crate::sale::SaleStatus;
use crate::selpay::notification::{Attempt, Payment};

/// The books cannot be read or written now. What was asked may or may not be done: ask again.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the database does not answer: {0}")]
pub struct Unavailable(pub String);

impl From<Failed> for Unavailable {
    fn from(error: Failed) -> Unavailable {
        Unavailable(error.to_string())
    }
}

/// The database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NotUsable {
    /// It says so.
    #[error("{0}")]
    Failed(#[from] Failed),
    /// A setting would lose commits.
    #[error("{0}")]
    Setting(String),
    /// The writer cannot be started.
    #[error("{0}")]
    Thread(#[from] std::io::Error),
}

impl From<rusqlite::Error> for NotUsable {
    fn from(error: rusqlite::Error) -> NotUsable {
        NotUsable::Failed(error.into())
    }
}

/// Where the books are.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// In this file.
    Sqlite(PathBuf),
    /// Behind this address, `postgres://…`.
    Postgres(String),
}

/// Without the password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Sqlite(file) => write!(f, "{}", file.display()),
            Address::Postgres(url) => {
                // A password may also stand behind the question mark.
                let url = url.split('?').next().unwrap_or_default();
                let without = url.split_once("://").and_then(|(scheme, rest)| {
                    let (who, place) = rest.split_once('@')?;
                    let user = who.split(':').next()?;
                    Some(format!("{scheme}://{user}@{place}"))
                });
                f.write_str(without.as_deref().unwrap_or(url))
            }
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// So many that read like notifications, and are signed by nobody we know, are written down at once. More are dropped: the
/// platform sends its own again.
const UNVERIFIED_AT_ONCE: usize = 8;
/// So many failed attempts are kept.
const ATTEMPTS_KEPT: i64 = 10_000;

/// How long a question may wait for its turn.
const TURN: Duration = Duration::from_millis(2500);
/// So many sales or payments of older books are counted in one transaction: others wait for it.
const COUNTED_AT_ONCE: i64 = 1000;

/// Who asks. Each kind has places of its own, so that none holds up another, and a time that its questions may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asker {
    /// A kiosk, which has a customer.
    Kiosk,
    /// A person, before a page.
    Person,
    /// A person who waits for a file.
    File,
    /// Alarms and metrics.
    Watch,
}

impl Asker {
    /// How many of the kind ask at once: more would only wait for the same cores, each with a cache of its own.
    const PLACES: [usize; 4] = [4, 2, 1, 1];
    /// The same where the database has cores of its own.
    const PLACES_BEYOND: [usize; 4] = [12, 2, 1, 1];

    /// How long one question may take.
    fn limit(self) -> Duration {
        Duration::from_millis(match self {
            Asker::Kiosk => 2500,
            Asker::Person => 5000,
            Asker::File => 60_000,
            Asker::Watch => 10_000,
        })
    }
}

/// The books.
#[derive(Debug)]
pub struct Store {
    database: Database,
    claim_time: Duration,
    unverified: Semaphore,
    places: [Arc<Semaphore>; 4],
    /// Why what is written now is not safe, as it was seen last.
    broken: Mutex<Option<Unavailable>>,
}

#[derive(Debug)]
enum Database {
    Sqlite(SqliteDatabase),
    Postgres(PostgresDatabase),
}

impl Store {
    /// Opens the books, or begins them. Refuses a database that could lose a commit.
    pub fn open(address: &Address, claim_time: Duration) -> Result<Store, NotUsable> {
        let database = match address {
            Address::Sqlite(file) => Database::Sqlite(SqliteDatabase::open(file)?),
            Address::Postgres(url) => Database::Postgres(PostgresDatabase::open(url)?),
        };
        let places = match database {
            Database::Sqlite(_) => Asker::PLACES,
            Database::Postgres(_) => Asker::PLACES_BEYOND,
        };
        Ok(Store {
            database,
            claim_time,
            unverified: Semaphore::new(UNVERIFIED_AT_ONCE),
            places: places.map(|places| Arc::new(Semaphore::new(places))),
            broken: Mutex::new(None),
        })
    }

    /// Looks again at what was promised when the books were opened: that what is committed stays. While it does not, nothing
    /// is written, and nobody is told that it was.
    pub async fn look(&self) -> Result<(), Unavailable> {
        let looked = match &self.database {
            Database::Sqlite(database) => database.look().await,
            Database::Postgres(database) => database.look().await,
        };
        let broken = looked.clone().err();
        let mut before = self
            .broken
            .lock()
            .expect("nobody panics while holding the lock");
        match (&*before, &broken) {
            (None, Some(error)) => tracing::error!("ALARM books-unsafe: {error}"),
            (Some(_), None) => tracing::warn!("the books can be written again"),
            _ => {}
        }
        *before = broken;
        looked
    }

    /// Whether what is written now would not be safe.
    pub fn is_broken(&self) -> bool {
        self.broken().is_some()
    }

    fn broken(&self) -> Option<Unavailable> {
        let broken = self.broken.lock();
        broken
            .expect("nobody panics while holding the lock")
            .clone()
    }

    /// Counts some more of older books, or adds up what was counted apart. `true`: there is more to count.
    pub async fn count_on(&self) -> Result<bool, Unavailable> {
        if !self.read_for(Asker::Watch, sums::are_complete).await? {
            return self.write(|sql| sums::count_on(sql, COUNTED_AT_ONCE)).await;
        }
        if let Database::Postgres(_) = &self.database {
            self.write(sums::add_up).await?;
        }
        Ok(false)
    }

    /// Calls back with each sale that another server has changed, and with `None` when some may have been missed.
    /// Books in one file have one server.
    pub fn listen(&self, told: impl Fn(Option<SaleId>) + Send + 'static) -> std::io::Result<()> {
        match &self.database {
            Database::Sqlite(_) => Ok(()),
            Database::Postgres(database) => database.listen(told),
        }
    }

    /// See [`requests::register`].
    pub async fn register(
        &self,
        now: Time,
        kiosk: KioskName,
        order: OrderNo,
        wanted: api::Register,
    ) -> Result<Result<(bool, api::Order), NotRegistered>, Unavailable> {
        let reads = Reads::of_registering(order, wanted.sale);
        self.change(now, reads, move |books| {
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
        let reads = Reads::of_paying(&payment);
        self.change(now, reads, move |books| {
            requests::pay(books, &payment, &body)
        })
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
        self.change(now, Reads::of_sale(sale), move |books| {
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
        self.change(now, Reads::of_sale(sale), move |books| {
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
        self.change(now, Reads::of_sale(sale), move |books| {
            requests::outcome(books, kiosk, sale, &report)
        })
        .await
    }

    /// A person settles a payment, and may say more about it. See [`requests::settle`].
    pub async fn settle(
        &self,
        now: Time,
        transaction: TransactionId,
        finding: Finding,
        note: String,
    ) -> Result<Option<Result<(), Disposition>>, Unavailable> {
        self.write(move |sql| {
            sql.take_turn()?;
            let settled = requests::settle(&mut SqlBooks { sql, now }, transaction, finding)?;
            if settled == Some(Ok(())) && !note.is_empty() {
                story::note(sql, transaction, &note, now)?;
            }
            Ok(settled)
        })
        .await
    }

    /// See [`logins::begin`].
    pub async fn log_in(&self, digest: String, until: Time, now: Time) -> Result<(), Unavailable> {
        self.write(move |sql| logins::begin(sql, &digest, until, now))
            .await
    }

    /// See [`logins::end`].
    pub async fn log_out(&self, digest: String) -> Result<(), Unavailable> {
        self.write(move |sql| logins::end(sql, &digest)).await
    }

    /// Uses a link up and logs in; whether it was one. See [`logins::use_link`].
    pub async fn log_in_by_link(
        &self,
        link: String,
        digest: String,
        until: Time,
        now: Time,
    ) -> Result<bool, Unavailable> {
        self.write(move |sql| {
            let is_link = logins::use_link(sql, &link, now)?;
            if is_link {
                logins::begin(sql, &digest, until, now)?;
            }
            Ok(is_link)
        })
        .await
    }

    /// See [`leases::take`].
    pub async fn take_lease(
        &self,
        name: &'static str,
        holder: String,
        now: Time,
        until: Time,
    ) -> Result<bool, Unavailable> {
        self.write(move |sql| leases::take(sql, name, &holder, now, until))
            .await
    }

    /// See [`kiosks::note`].
    pub async fn note_kiosks(
        &self,
        seen: Vec<(KioskName, kiosks::Seen)>,
    ) -> Result<(), Unavailable> {
        self.write(move |sql| kiosks::note(sql, &seen)).await
    }

    /// See [`note_attempt`].
    pub async fn note_attempt(&self, now: Time, attempt: Attempt) -> Result<(), Unavailable> {
        self.write(move |sql| note_attempt(sql, now, &attempt))
            .await
    }

    /// Keeps a body that is signed and yet refused with this verdict. See [`quarantine::keep_refused`].
    pub async fn refuse(
        &self,
        now: Time,
        (kind, reason): (&'static str, String),
        signature: String,
        body: Vec<u8>,
    ) -> Result<(), Unavailable> {
        self.write(move |sql| {
            quarantine::keep_refused(sql, now, (kind, &reason), &signature, &body)
        })
        .await
    }

    /// Keeps a body that reads like a notification of a payment, and is signed by nobody we know. See
    /// [`quarantine::keep_unverified`].
    pub async fn keep_unverified(
        &self,
        now: Time,
        reason: String,
        order_no: String,
        body: Vec<u8>,
    ) -> Result<(), Unavailable> {
        let Ok(_permit) = self.unverified.try_acquire() else {
            return Ok(());
        };
        self.write(move |sql| quarantine::keep_unverified(sql, now, &reason, &order_no, &body))
            .await
    }

    /// Whether the books can be read and written, and keep what is.
    pub async fn check(&self) -> Result<(), Unavailable> {
        self.look().await?;
        self.read_for(Asker::Kiosk, |sql| {
            sql.row("SELECT count(*) FROM gaps", &[]).map(drop)
        })
        .await?;
        self.change(Time(0), Reads::default(), |_| Ok(())).await
    }

    /// Keeps a body that is no notification, for people to look at. Nobody waits for it. See [`quarantine::keep_junk`].
    pub fn quarantine(&self, now: Time, reason: String, body: Vec<u8>) {
        let keep = move |sql: &dyn Sql| quarantine::keep_junk(sql, now, &reason, &body);
        match &self.database {
            Database::Sqlite(database) => database.write_if_idle(keep),
            Database::Postgres(database) => database.write_if_idle(keep),
        }
    }

    /// See [`requests::sweep`].
    pub async fn sweep(
        &self,
        now: Time,
        asked_at: impl Fn(SaleId) -> Time + Send + Sync,
    ) -> Result<Vec<SaleId>, Unavailable> {
        let claim_time = self.claim_time;
        // Almost always there is nothing to do: that must not cost a commit.
        let overdue = self
            .ask(now, move |books| requests::overdue(books, claim_time))
            .await?;
        let lapses = |sale: &Sale| {
            let at = asked_at(sale.id);
            ledger::lapse(sale, now, claim_time, at).map(|_| (sale.id, at))
        };
        let asked: HashMap<SaleId, Time> = overdue.iter().filter_map(lapses).collect();
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        self.write(move |sql| {
            sql.take_turn()?;
            // One that was not looked at is taken for one that was just asked for.
            let asked_at = |sale| asked.get(&sale).copied().unwrap_or(now);
            requests::sweep(&mut SqlBooks { sql, now }, claim_time, &asked_at)
        })
        .await
    }

    /// See [`asked::note`].
    pub async fn note_asked(
        &self,
        asked: Vec<(SaleId, Time)>,
        now: Time,
    ) -> Result<(), Unavailable> {
        self.write(move |sql| asked::note(sql, &asked, now)).await
    }

    /// How many of a kiosk's sales have not ended; no more than so many are counted.
    pub async fn live_count(&self, kiosk: KioskName, most: usize) -> Result<usize, Unavailable> {
        self.read_for(Asker::Kiosk, move |sql| {
            books::live_count(sql, kiosk, most as i64)
        })
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
        after: Option<SaleId>,
    ) -> Result<Vec<api::UnsettledSale>, Unavailable> {
        self.ask(now, move |books| requests::unsettled(books, kiosk, after))
            .await
    }

    /// Reads for a person, in no transaction that others would wait for.
    pub async fn read<T: Send + 'static>(
        &self,
        question: impl Fn(&dyn Sql) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.read_for(Asker::Person, question).await
    }

    /// The same for whoever asks.
    pub async fn read_for<T: Send + 'static>(
        &self,
        asker: Asker,
        question: impl Fn(&dyn Sql) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let place = self.place_for(asker).await?;
        match &self.database {
            Database::Sqlite(database) => database.read(asker.limit(), question, place).await,
            Database::Postgres(database) => {
                let answer = database.read(question).await;
                drop(place);
                answer
            }
        }
    }

    async fn place_for(&self, asker: Asker) -> Result<OwnedSemaphorePermit, Unavailable> {
        let place = Arc::clone(&self.places[asker as usize]).acquire_owned();
        match tokio::time::timeout(TURN, place).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(Unavailable("too many questions wait".to_owned())),
        }
    }

    /// Runs in a transaction, perhaps several times until it goes through.
    async fn write<T: Send + 'static>(
        &self,
        request: impl Fn(&dyn Sql) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Unavailable> {
        if let Some(broken) = self.broken() {
            return Err(broken);
        }
        match &self.database {
            Database::Sqlite(database) => database.write(request).await,
            Database::Postgres(database) => database.write(request).await,
        }
    }

    /// Runs a request of a kiosk's or the platform's, which reads no more than this, in a commit with others.
    async fn change<T: Send + 'static>(
        &self,
        now: Time,
        reads: Reads,
        request: impl Fn(&mut dyn Books<Error = Failed>) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Unavailable> {
        if let Some(broken) = self.broken() {
            return Err(broken);
        }
        match &self.database {
            Database::Sqlite(database) => {
                let request = move |sql: &dyn Sql| request(&mut SqlBooks { sql, now });
                database.write(request).await
            }
            Database::Postgres(database) => database.change(now, reads, request).await,
        }
    }

    async fn ask<T: Send + 'static>(
        &self,
        now: Time,
        question: impl Fn(&dyn Books<Error = Failed>) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.read_for(Asker::Kiosk, move |sql| question(&SqlBooks { sql, now }))
            .await
    }
}

/// Notes a verified notification of something that is no payment.
pub fn note_attempt(sql: &dyn Sql, now: Time, attempt: &Attempt) -> Result<(), Failed> {
    let order = attempt.order.as_ref().map(|order| order.to_string());
    let note = [(&order).into(), attempt.what.as_str().into(), now.0.into()];
    sql.execute(
        "INSERT INTO attempts (order_no, what, at) VALUES (?1, ?2, ?3)",
        &note,
    )?;
    let old = "DELETE FROM attempts WHERE line <= (SELECT max(line) FROM attempts) - ?1";
    sql.execute(old, &[ATTEMPTS_KEPT.into()])?;
    Ok(())
}

/// The books beside a running server, for one command.
pub enum Beside {
    /// In a file.
    Sqlite(rusqlite::Connection),
    /// On a server.
    Postgres(Box<postgres::Session>),
}

impl Beside {
    /// Opens books that are there already, to look.
    pub fn to_read(address: &Address) -> Result<Beside, NotUsable> {
        Ok(match address {
            Address::Sqlite(file) => {
                let connection = sqlite::connect_to_read(file)?;
                if !schema::sqlite::is_newest(&connection)? {
                    drop(sqlite::open_to_write(file)?);
                }
                Beside::Sqlite(connection)
            }
            Address::Postgres(url) => {
                let mut session = postgres::Session::connect(url)?;
                session.migrate()?;
                Beside::Postgres(Box::new(session))
            }
        })
    }

    /// Opens books that are there already, to write in them.
    pub fn to_write(address: &Address) -> Result<Beside, NotUsable> {
        Ok(match address {
            Address::Sqlite(file) => Beside::Sqlite(sqlite::open_to_write(file)?),
            Address::Postgres(_) => Beside::to_read(address)?,
        })
    }

    /// Reads.
    pub fn read<T>(
        &mut self,
        question: impl Fn(&dyn Sql) -> Result<T, Failed>,
    ) -> Result<T, Failed> {
        match self {
            Beside::Sqlite(connection) => sqlite::at_one_moment(connection, question),
            Beside::Postgres(session) => session.read(&question),
        }
    }

    /// Writes in one transaction: what fails has changed nothing.
    pub fn change<T>(
        &mut self,
        now: Time,
        request: impl Fn(&mut dyn Books<Error = Failed>) -> Result<T, Failed>,
    ) -> Result<T, Failed> {
        self.write(|sql| {
            sql.take_turn()?;
            request(&mut SqlBooks { sql, now })
        })
    }

    /// The same with bare statements; those that change sales or payments begin with [`Sql::take_turn`].
    pub fn write<T>(
        &mut self,
        request: impl Fn(&dyn Sql) -> Result<T, Failed>,
    ) -> Result<T, Failed> {
        match self {
            Beside::Sqlite(connection) => {
                let behavior = rusqlite::TransactionBehavior::Immediate;
                let transaction = connection.transaction_with_behavior(behavior)?;
                let answer = request(&*transaction)?;
                transaction.commit()?;
                Ok(answer)
            }
            Beside::Postgres(session) => session.write(&request),
        }
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_question_that_takes_too_long_is_ended_and_holds_up_no_other_kind() {
        let dir = tempfile::tempdir().expect("a directory");
        let books = Address::Sqlite(dir.path().join("merchant.db"));
        let store = Store::open(&books, Duration::from_secs(120)).expect("begun");
        let endless = |sql: &dyn Sql| {
            const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
                SELECT count(*) FROM n";
            sql.row(ENDLESS, &[]).map(drop)
        };
        let kiosk = async {
            // When both places of people's are taken.
            tokio::time::sleep(Duration::from_millis(100)).await;
            let began = Instant::now();
            let asked = store.read_for(Asker::Kiosk, |sql| sql.row("SELECT 1", &[]).map(drop));
            (asked.await, began.elapsed())
        };
        let third = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            store.read(|_| Ok(())).await
        };
        let (first, second, third, (kiosk, took)) =
            tokio::join!(store.read(endless), store.read(endless), third, kiosk);
        for ended in [first, second] {
            let why = ended.expect_err("it never ends by itself").to_string();
            assert!(why.contains("took too long"), "{why}");
        }
        let why = third.expect_err("nobody is kept waiting").to_string();
        assert!(why.contains("too many questions wait"), "{why}");
        assert_eq!(kiosk, Ok(()));
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert_eq!(store.read(|_| Ok(())).await, Ok(()), "there is room again");
    }
}
