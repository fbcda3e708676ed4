//! One writer for each server, many requests, one commit: whatever waits when a transaction begins goes into it together.
//!
//! Two round trips for a group, however many requests are in it: the first waits for the turn and fetches every fact that they
//! read, the second writes every change and commits. Between them the requests run one after the other in memory
//! ([`GroupBooks`]), each seeing what those before it have made. Answers leave after the commit. A group that fails is tried
//! again; if one of its requests may be why, each is tried alone.

use std::collections::{HashMap, VecDeque};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use ::postgres::types::ToSql;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio_postgres::{Client, Statement};

use crate::merchant::ledger::Time;
use crate::merchant::store::Unavailable;
use crate::merchant::store::group_commit::{EndsTheProcess, GROUP, QUEUE};
use crate::merchant::store::postgres::batches::Batches;
use crate::merchant::store::postgres::group_books::{
    GAPS, GroupBooks, GroupReads, PAYMENTS, PAYMENTS_OF, sales_statement,
};
use crate::merchant::store::postgres::server::Server;
use crate::merchant::store::postgres::{
    BOOKS_LOCK, PATIENCE, SESSION, SETTINGS, is_passing, read_row, refuse_forgetful,
};
use crate::merchant::store::requests::{Books, Reads};
use crate::merchant::store::sql::{Failed, Row, Value};

/// The part of a commit's time for which those who were answered are awaited before the next.
const GATHERED_FOR: u32 = 4;
/// How often a group is tried again as it is; its requests have the rest of their time alone.
const GROUP_ATTEMPTS: u32 = 3;

/// The way to the writer.
#[derive(Clone, Debug)]
pub struct Writer {
    requests: SyncSender<Box<dyn Request>>,
}

impl Writer {
    /// Starts the writer's thread; it ends when the last `Writer` is gone.
    pub fn start(url: String) -> io::Result<Writer> {
        let (requests, queue) = mpsc::sync_channel(QUEUE);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let writer = thread::Builder::new().name("books".to_owned());
        writer.spawn(move || {
            let _guard = EndsTheProcess;
            write_groups(url, &runtime, &queue);
        })?;
        Ok(Writer { requests })
    }

    /// Runs a request and waits until it is durable. It may run several times until it is.
    pub async fn change<T: Send + 'static>(
        &self,
        now: Time,
        reads: Reads,
        request: impl Fn(&mut dyn Books<Error = Failed>) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (sender, answer) = oneshot::channel();
        let pending = Box::new(Pending {
            asked_at: Instant::now(),
            now,
            reads,
            request,
            result: None,
            sender,
        });
        self.requests
            .try_send(pending)
            .map_err(|error| match error {
                TrySendError::Full(_) => Unavailable("too many requests wait".to_owned()),
                TrySendError::Disconnected(_) => Unavailable("the writer has ended".to_owned()),
            })?;
        answer
            .await
            .map_err(|_| Unavailable("the writer has ended".to_owned()))?
    }
}

/// A request that waits for its commit.
trait Request: Send {
    fn asked_at(&self) -> Instant;
    fn reads(&self) -> &Reads;
    /// Runs it, and keeps its answer.
    fn run(&mut self, books: &mut GroupBooks) -> Result<(), Failed>;
    /// Gives the answer that was kept, or tells that nothing was committed.
    fn answer(self: Box<Self>, committed: Result<(), Unavailable>);
}

struct Pending<T, F> {
    asked_at: Instant,
    now: Time,
    reads: Reads,
    request: F,
    result: Option<T>,
    sender: oneshot::Sender<Result<T, Unavailable>>,
}

impl<T: Send, F> Request for Pending<T, F>
where
    F: Fn(&mut dyn Books<Error = Failed>) -> Result<T, Failed> + Send,
{
    fn asked_at(&self) -> Instant {
        self.asked_at
    }

    fn reads(&self) -> &Reads {
        &self.reads
    }

    fn run(&mut self, books: &mut GroupBooks) -> Result<(), Failed> {
        books.set_now(self.now);
        self.result = Some((self.request)(books)?);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), Unavailable>) {
        let Pending { result, sender, .. } = *self;
        let answer = committed.map(|()| result.expect("what is committed was run"));
        // Whoever asked may have gone away; what was done is done.
        let _ = sender.send(answer);
    }
}

type Group = Vec<Box<dyn Request>>;

/// Until the last [`Writer`] is gone.
fn write_groups(url: String, runtime: &Runtime, queue: &Receiver<Box<dyn Request>>) {
    let mut writing = Writing { url, session: None };
    let mut waiting = VecDeque::new();
    let (mut expected, mut gather_until) = (1, Instant::now());
    loop {
        if waiting.is_empty() {
            let Ok(first) = queue.recv() else { return };
            waiting.push_back(first);
        }
        while waiting.len() < expected {
            let left = gather_until.saturating_duration_since(Instant::now());
            let Ok(next) = queue.recv_timeout(left) else {
                break;
            };
            waiting.push_back(next);
        }
        waiting.extend(queue.try_iter().take(GROUP));
        let group: Group = waiting.drain(..waiting.len().min(GROUP)).collect();
        let (count, began) = (group.len(), Instant::now());
        runtime.block_on(writing.commit_in_time(group));
        // A flush costs the same for few as for many, and who was just answered often asks again at once.
        gather_until = Instant::now() + began.elapsed() / GATHERED_FOR;
        waiting.extend(queue.try_iter().take(GROUP));
        expected = (count + waiting.len()).min(GROUP);
    }
}

fn answer_all(group: Group, committed: &Result<(), Unavailable>) {
    for request in group {
        request.answer(committed.clone());
    }
}

/// Why a group was not committed.
enum NotCommitted {
    /// The request at this place failed by itself, before anything was written.
    Request(usize, Failed),
    /// The database has refused the group, or is not there.
    Group(Failed),
}

impl From<Failed> for NotCommitted {
    fn from(error: Failed) -> NotCommitted {
        NotCommitted::Group(error)
    }
}

impl From<tokio_postgres::Error> for NotCommitted {
    fn from(error: tokio_postgres::Error) -> NotCommitted {
        NotCommitted::Group(error.into())
    }
}

struct Writing {
    url: String,
    session: Option<PipelinedSession>,
}

impl Writing {
    /// Commits those that have not waited for too long.
    async fn commit_in_time(&mut self, group: Group) {
        let (in_time, late): (Group, Group) = group
            .into_iter()
            .partition(|request| request.asked_at().elapsed() < PATIENCE);
        answer_all(late, &Err(Unavailable("too many requests wait".to_owned())));
        self.commit(in_time).await;
    }

    /// Commits a group and gives its answers, whatever that takes.
    async fn commit(&mut self, mut group: Group) {
        let mut pause = Duration::from_millis(1);
        let (mut attempts, mut has_reconnected) = (0, false);
        while let Some(first) = group.first() {
            let asked_at = first.asked_at();
            let had_session = self.session.is_some();
            let error = match self.try_commit(&mut group).await {
                Ok(()) => return answer_all(group, &Ok(())),
                Err(NotCommitted::Request(place, error)) => {
                    self.roll_back().await;
                    group.remove(place).answer(Err(error.into()));
                    continue;
                }
                Err(NotCommitted::Group(error)) => error,
            };
            attempts += 1;
            self.roll_back().await;
            if self.session.is_none() {
                // Whatever became of it, doing it again on another connection leaves what doing it once leaves (M4).
                if had_session && !std::mem::replace(&mut has_reconnected, true) {
                    continue;
                }
            } else if is_passing(&error)
                && asked_at.elapsed() < PATIENCE
                && (group.len() == 1 || attempts < GROUP_ATTEMPTS)
            {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(50));
                continue;
            } else if group.len() > 1 && is_of_one_request(&error) {
                for request in group {
                    Box::pin(self.commit(vec![request])).await;
                }
                return;
            }
            return answer_all(group, &Err(error.into()));
        }
    }

    async fn try_commit(&mut self, group: &mut Group) -> Result<(), NotCommitted> {
        let session = match &mut self.session {
            Some(session) => session,
            none => none.insert(PipelinedSession::connect(&self.url).await?),
        };
        let reads = GroupReads::of(group.iter().map(|request| request.reads()));
        let mut books = session.begin(&reads).await?;
        for (place, request) in group.iter_mut().enumerate() {
            let run = request.run(&mut books);
            run.map_err(|error| NotCommitted::Request(place, error))?;
        }
        Ok(session.commit(&books.into_batches()).await?)
    }

    /// Ends the transaction that has failed; forgets a connection on which that cannot be done.
    async fn roll_back(&mut self) {
        if let Some(session) = &self.session {
            if session.client.batch_execute("ROLLBACK").await.is_err() {
                self.session = None;
            }
        }
    }
}

/// Whether one request of a group may be why it was refused, so that the others go through without it.
fn is_of_one_request(error: &Failed) -> bool {
    const DATA: &str = "22";
    const CONSTRAINT: &str = "23";
    const TRIGGER: &str = "P0";
    match error {
        Failed::Postgres(error) => error.code().is_none_or(|code| {
            [DATA, CONSTRAINT, TRIGGER]
                .iter()
                .any(|class| code.code().starts_with(class))
        }),
        Failed::Stale | Failed::Nonsense(_) => true,
        Failed::Sqlite(_) => false,
    }
}

/// A connection on which statements do not wait for the answers of those before them.
struct PipelinedSession {
    client: Client,
    prepared: HashMap<&'static str, Statement>,
    sales: Statement,
}

impl PipelinedSession {
    async fn connect(url: &str) -> Result<PipelinedSession, Failed> {
        let client = Server::read(url)?.connect_pipelined().await?;
        // One plan for arrays of every length: to plan such a statement takes longer than to run it. A server that stops in the
        // middle of its turn loses it.
        let settings = format!(
            "{SESSION}; SET plan_cache_mode = force_generic_plan; SET idle_in_transaction_session_timeout = 1000"
        );
        client.batch_execute(&settings).await?;
        refuse_forgetful(&client.query(SETTINGS, &[]).await?)?;
        Ok(PipelinedSession {
            sales: client.prepare(&sales_statement()).await?,
            prepared: HashMap::new(),
            client,
        })
    }

    async fn prepare(
        &mut self,
        statements: impl Iterator<Item = &'static str>,
    ) -> Result<(), Failed> {
        for statement in statements {
            if !self.prepared.contains_key(statement) {
                let prepared = self.client.prepare(statement).await?;
                self.prepared.insert(statement, prepared);
            }
        }
        Ok(())
    }

    /// Begins a transaction in which nobody else changes sales or payments, and fetches what is read in it.
    async fn begin(&mut self, reads: &GroupReads) -> Result<GroupBooks, Failed> {
        self.prepare([PAYMENTS, PAYMENTS_OF, GAPS].into_iter())
            .await?;
        // Each statement sees what was committed when it began: those behind the lock, what whoever had it before has made.
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT pg_advisory_xact_lock({BOOKS_LOCK})"
        );
        let (sales, payments, payments_of) = (reads.sales(), reads.payments(), reads.payments_of());
        let gaps = (payments.is_some() || payments_of.is_some()).then_some([]);
        let fetch = async |statement: &Statement, columns: Option<&[Vec<Value>]>| {
            let Some(columns) = columns else {
                return Ok(Vec::new());
            };
            self.client.query(statement, &arrays(columns)).await
        };
        let begun = async {
            self.client.batch_execute(&begin).await?;
            Ok(Vec::new())
        };
        let rows = pipelined(vec![
            Box::pin(begun),
            Box::pin(fetch(&self.sales, as_slice(&sales))),
            Box::pin(fetch(&self.prepared[PAYMENTS], as_slice(&payments))),
            Box::pin(fetch(&self.prepared[PAYMENTS_OF], as_slice(&payments_of))),
            Box::pin(fetch(&self.prepared[GAPS], as_slice(&gaps))),
        ]);
        let mut read = Vec::new();
        for rows in rows.await? {
            read.push(rows.iter().map(read_row).collect::<Result<Vec<Row>, _>>()?);
        }
        let [_, sales, payments, payments_of, gaps]: [Vec<Row>; 5] =
            read.try_into().expect("an answer for each statement");
        GroupBooks::fetched(
            reads,
            &sales,
            payments.into_iter().chain(payments_of),
            &gaps,
        )
    }

    /// Writes everything and commits.
    async fn commit(&mut self, batches: &Batches) -> Result<(), Failed> {
        self.prepare(batches.all().map(|batch| batch.statement))
            .await?;
        let execute = async |statement: &Statement, columns: &[Vec<Value>]| {
            self.client.execute(statement, &arrays(columns)).await
        };
        let mut statements: Vec<InFlight<'_, u64>> = Vec::new();
        for batch in batches.all() {
            let statement = &self.prepared[batch.statement];
            statements.push(Box::pin(execute(statement, &batch.columns)));
        }
        // Behind a statement that has failed, PostgreSQL takes this for a ROLLBACK.
        statements.push(Box::pin(async {
            self.client.batch_execute("COMMIT").await?;
            Ok(0)
        }));
        pipelined(statements).await?;
        Ok(())
    }
}

fn as_slice<const N: usize>(columns: &Option<[Vec<Value>; N]>) -> Option<&[Vec<Value>]> {
    columns.as_ref().map(<[_; N]>::as_slice)
}

fn arrays(columns: &[Vec<Value>]) -> Vec<&(dyn ToSql + Sync)> {
    let array = |column| column as &(dyn ToSql + Sync);
    columns.iter().map(array).collect()
}

type InFlight<'a, T> = Pin<Box<dyn Future<Output = Result<T, tokio_postgres::Error>> + 'a>>;

/// Sends all of these, in order, before it waits for the answer of any. The first error ends it: behind a statement that could
/// not be sent none is sent.
async fn pipelined<T>(
    mut statements: Vec<InFlight<'_, T>>,
) -> Result<Vec<T>, tokio_postgres::Error> {
    let mut answers: Vec<Option<T>> = statements.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut all = Poll::Ready(Ok(()));
        for (statement, answer) in statements.iter_mut().zip(&mut answers) {
            if answer.is_some() {
                continue;
            }
            match statement.as_mut().poll(context) {
                Poll::Ready(Ok(told)) => *answer = Some(told),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => all = Poll::Pending,
            }
        }
        all
    })
    .await?;
    Ok(answers.into_iter().flatten().collect())
}
