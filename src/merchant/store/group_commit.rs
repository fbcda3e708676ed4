//! One writer, many requests, one flush: whatever waits when a commit begins goes into it together.
//!
//! A request that fails takes no other with it: the first of a group has the transaction to itself, each of the others a
//! savepoint. Answers leave after the commit. A commit that fails ends the process: what is on disk is then unknown, and only a restart finds out.

use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread;

use rusqlite::{Connection, ErrorCode, Statement};
use tokio::sync::oneshot;

use crate::merchant::store::Unavailable;
use crate::merchant::store::sql::Failed;
use crate::planted::{self, Bug};

/// The most requests in one commit.
pub(super) const GROUP: usize = 256;
/// The most requests that wait; more are refused at once.
pub(super) const QUEUE: usize = 4096;
/// The most requests of those that nobody waits for.
const UNAWAITED: usize = 8;

/// Runs a request in the transaction that was begun, if one was; what it returns gives the answer, after the commit.
pub type Job = Box<dyn FnOnce(Result<Begun<'_>, Unavailable>) -> Answer + Send>;
/// Gives the answer, or tells that nothing was committed.
pub type Answer = Box<dyn FnOnce(Result<(), Unavailable>) + Send>;

/// A transaction that was begun.
#[derive(Clone, Copy)]
pub struct Begun<'a> {
    connection: &'a Connection,
    /// Nothing else was done in it: a request that fails takes it back as a whole.
    is_empty: bool,
}

/// What is told where a commit found no room.
const DISK_FULL: &str = "the disk is full: nothing can be booked until there is room";

/// Whether a commit found no room.
pub fn is_disk_full(error: &Unavailable) -> bool {
    error.0 == DISK_FULL
}

/// The way to the writer.
#[derive(Clone, Debug)]
pub struct Writer {
    jobs: SyncSender<Job>,
    /// How many of those that nobody waits for are in the queue.
    unawaited: Arc<AtomicUsize>,
}

impl Writer {
    /// Starts the writer's thread; it ends when the last `Writer` is gone.
    pub fn start(connection: Connection) -> std::io::Result<Writer> {
        let (jobs, queue) = mpsc::sync_channel(QUEUE);
        thread::Builder::new()
            .name("books".to_owned())
            .spawn(move || write_groups(connection, &queue))?;
        let unawaited = Arc::default();
        Ok(Writer { jobs, unawaited })
    }

    /// Runs a request and waits until it is durable.
    pub async fn write<T: Send + 'static>(
        &self,
        request: impl FnOnce(&Connection) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (sender, receiver) = oneshot::channel();
        self.queue(request, move |result| {
            // Whoever asked may have gone away; what was done is done.
            let _ = sender.send(result);
        })?;
        receiver
            .await
            .map_err(|_| Unavailable("the writer has ended".to_owned()))?
    }

    /// Runs a request some time; it is dropped if a few of its kind wait already, so that they never crowd out the
    /// others. Nobody waits for it.
    pub fn write_if_idle(
        &self,
        request: impl FnOnce(&Connection) -> Result<(), Failed> + Send + 'static,
    ) {
        if self.unawaited.fetch_add(1, Ordering::Relaxed) >= UNAWAITED {
            self.unawaited.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let unawaited = Arc::clone(&self.unawaited);
        let told = self.queue(request, move |result| {
            unawaited.fetch_sub(1, Ordering::Relaxed);
            if let Err(error) = result {
                tracing::warn!("{error}");
            }
        });
        if let Err(error) = told {
            self.unawaited.fetch_sub(1, Ordering::Relaxed);
            tracing::warn!("{error}");
        }
    }

    fn queue<T: Send + 'static>(
        &self,
        request: impl FnOnce(&Connection) -> Result<T, Failed> + Send + 'static,
        answer: impl FnOnce(Result<T, Unavailable>) + Send + 'static,
    ) -> Result<(), Unavailable> {
        self.jobs
            .try_send(job(request, answer))
            .map_err(|error| match error {
                TrySendError::Full(_) => Unavailable("too many requests wait".to_owned()),
                TrySendError::Disconnected(_) => Unavailable("the writer has ended".to_owned()),
            })
    }
}

/// A request, and what is done with its answer.
pub fn job<T: Send + 'static>(
    request: impl FnOnce(&Connection) -> Result<T, Failed> + Send + 'static,
    answer: impl FnOnce(Result<T, Unavailable>) + Send + 'static,
) -> Job {
    Box::new(move |begun| {
        let result = begun.and_then(|begun| match begun.is_empty {
            true => Ok(or_roll_back(begun.connection, request)?),
            false => Ok(in_savepoint(begun.connection, request)?),
        });
        Box::new(move |committed: Result<(), Unavailable>| answer(committed.and(result)))
    })
}

fn or_roll_back<T>(
    connection: &Connection,
    request: impl FnOnce(&Connection) -> Result<T, Failed>,
) -> Result<T, Failed> {
    let result = request(connection);
    // Some errors have taken the transaction back already. What cannot be taken back must not be committed: that ends the process.
    if result.is_err() && !connection.is_autocommit() {
        run(connection, "ROLLBACK").expect("what was begun is taken back");
    }
    result
}

fn in_savepoint<T>(
    connection: &Connection,
    request: impl FnOnce(&Connection) -> Result<T, Failed>,
) -> Result<T, Failed> {
    run(connection, "SAVEPOINT request")?;
    let result = request(connection);
    if result.is_err() && !connection.is_autocommit() {
        run(connection, "ROLLBACK TO request").expect("what was begun is taken back");
    }
    run(connection, "RELEASE request")?;
    result
}

fn run(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}

/// Whether a commit that failed so has not begun to write what makes it count: there was no room for the rest, or a page
/// that it needs is damaged.
fn is_not_begun(error: &rusqlite::Error) -> bool {
    let codes = [ErrorCode::DiskFull, ErrorCode::DatabaseCorrupt];
    let code = error.sqlite_error_code();
    code.is_some_and(|code| codes.contains(&code))
}

/// A server that cannot write must not go on answering: its supervisor is to start another.
pub(super) struct EndsTheProcess;

impl Drop for EndsTheProcess {
    fn drop(&mut self) {
        if thread::panicking() {
            crate::log::flush();
            std::process::exit(1);
        }
    }
}

fn write_groups(connection: Connection, queue: &Receiver<Job>) {
    let _guard = EndsTheProcess;
    let write_all = || {
        let mut transactions = Transactions::of(&connection)?;
        while let Ok(first) = queue.recv() {
            transactions.commit_together(iter::once(first).chain(queue.try_iter()))?;
        }
        Ok::<_, rusqlite::Error>(())
    };
    if let Err(error) = write_all() {
        tracing::error!(
            "the books cannot be written: {error}; the process ends, a restart recovers"
        );
        crate::log::flush();
        std::process::exit(1);
    }
}

/// Runs requests in one transaction, and gives the answers when it is durable. After an error nobody knows what is.
pub fn commit_together(
    connection: &Connection,
    jobs: impl IntoIterator<Item = Job>,
) -> rusqlite::Result<()> {
    Transactions::of(connection)?.commit_together(jobs)
}

/// The statements around every group of requests, prepared once.
struct Transactions<'a> {
    connection: &'a Connection,
    begin: Statement<'a>,
    commit: Statement<'a>,
}

impl Transactions<'_> {
    fn of(connection: &Connection) -> rusqlite::Result<Transactions<'_>> {
        Ok(Transactions {
            connection,
            begin: connection.prepare("BEGIN IMMEDIATE")?,
            commit: connection.prepare("COMMIT")?,
        })
    }

    fn commit_together(&mut self, jobs: impl IntoIterator<Item = Job>) -> rusqlite::Result<()> {
        let connection = self.connection;
        let mut jobs = jobs.into_iter().take(GROUP);
        while let Some(first) = jobs.next() {
            if let Err(error) = self.begin.execute([]) {
                // Somebody else holds the database: nothing was begun, so nothing is in doubt. Any other error is no reason to
                // go on.
                let held = [ErrorCode::DatabaseBusy, ErrorCode::DatabaseLocked];
                let code = error.sqlite_error_code();
                if !code.is_some_and(|code| held.contains(&code)) {
                    return Err(error);
                }
                first(Err(Failed::from(error).into()))(Ok(()));
                return Ok(());
            }
            let mut begun = Begun {
                connection,
                is_empty: true,
            };
            let first = first(Ok(begun));
            if connection.is_autocommit() {
                // It has failed, and nothing is begun any more: the others begin anew.
                first(Ok(()));
                continue;
            }
            begun.is_empty = false;
            let mut answers = vec![first];
            answers.extend(jobs.map(|job| job(Ok(begun))));
            if planted::has(Bug::AnswerBeforeCommit) {
                answers.drain(..).for_each(|answer| answer(Ok(())));
            }
            let committed = self.commit()?;
            let answer_all = |answer: Answer| answer(committed.clone());
            answers.into_iter().for_each(answer_all);
            return Ok(());
        }
        Ok(())
    }

    /// Commits, or tells why nothing is committed. After an error nobody knows what is.
    fn commit(&mut self) -> rusqlite::Result<Result<(), Unavailable>> {
        let connection = self.connection;
        match self.commit.execute([]) {
            Ok(_) => Ok(Ok(())),
            // What makes the transaction count was not written, so nothing is in doubt: it is rolled back, and was not made.
            Err(error) if is_not_begun(&error) => {
                if !connection.is_autocommit() {
                    run(connection, "ROLLBACK")?;
                }
                Ok(Err(match error.sqlite_error_code() {
                    Some(ErrorCode::DiskFull) => Unavailable(DISK_FULL.to_owned()),
                    _ => Failed::from(error).into(),
                }))
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer() -> Writer {
        let connection = Connection::open_in_memory().expect("memory");
        connection
            .execute_batch("CREATE TABLE lines (line TEXT PRIMARY KEY)")
            .expect("a table");
        Writer::start(connection).expect("a thread")
    }

    fn insert(
        line: &'static str,
    ) -> impl FnOnce(&Connection) -> Result<(), Failed> + Send + 'static {
        move |connection| {
            connection.execute("INSERT INTO lines VALUES (?1)", [line])?;
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_request_that_fails_takes_no_other_with_it() {
        let writer = writer();
        let half_done = |connection: &Connection| {
            insert("half")(connection)?;
            insert("half")(connection)
        };
        let (first, failed, last) = tokio::join!(
            writer.write(insert("a")),
            writer.write(half_done),
            writer.write(insert("b"))
        );
        assert!(first.is_ok() && last.is_ok());
        assert!(failed.is_err());
        let count = writer
            .write(|c| {
                Ok(c.query_row("SELECT count(*) FROM lines", [], |row| row.get::<_, i64>(0))?)
            })
            .await;
        assert_eq!(count, Ok(2));
    }

    #[test]
    fn a_request_that_fails_first_leaves_a_transaction_to_the_others() {
        let connection = Connection::open_in_memory().expect("memory");
        let table = "CREATE TABLE lines (line TEXT PRIMARY KEY)";
        connection.execute_batch(table).expect("a table");
        let (sender, answers) = mpsc::channel();
        let jobs = ["", "a", "", "b"].map(|line| {
            let sender = sender.clone();
            let request = move |connection: &Connection| match line {
                "" => insert("half")(connection).and_then(|()| insert("half")(connection)),
                line => insert(line)(connection),
            };
            job(request, move |answer| {
                sender.send(answer.is_ok()).expect("it is waited for");
            })
        });
        commit_together(&connection, jobs).expect("committed");
        let answers: Vec<bool> = answers.try_iter().collect();
        assert_eq!(answers, [false, true, false, true]);
        let lines = "SELECT string_agg(line, '') FROM lines";
        let lines: String = connection
            .query_row(lines, [], |row| row.get(0))
            .expect("read");
        assert_eq!(lines, "ab");
    }

    #[tokio::test]
    async fn requests_that_wait_together_share_a_commit() {
        let writer = writer();
        let (begin, waits) = mpsc::channel::<()>();
        let slow = writer.write(move |_| {
            waits.recv().expect("told to begin");
            Ok(())
        });
        let commits = |c: &Connection| {
            let changes = c.query_row("SELECT total_changes()", [], |row| row.get::<_, i64>(0))?;
            Ok((changes, c.is_autocommit()))
        };
        let (_, one, two, ()) = tokio::join!(
            slow,
            writer.write(insert("a")),
            writer.write(commits),
            async {
                begin.send(()).expect("the writer listens");
            }
        );
        assert!(one.is_ok());
        assert_eq!(
            two,
            Ok((1, false)),
            "the insert is seen before any commit ended the transaction"
        );
    }
}
