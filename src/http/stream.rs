//! A connection's bytes, with the deadlines for a head and for taking an answer.
//!
//! What HTTP is spoken on sees three things done to it: a head that does not come whole in time is an error, an answer that is
//! not taken in time is an error, and while an answer is not taken nothing more is read. That the client sends nothing more
//! is told when its request is answered, not before.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::door::{Closed, Connection, Door, Stage};
use super::{READ_TIME, WRITE_TIME};

/// How long an answer may take that does not fit into the kernel's buffer ...
const ANSWER_TIME: Duration = Duration::from_secs(15);
/// ... and a second more for so many bytes of it.
const SLOWEST: u64 = 16 * 1024;

/// A connection whose client must keep up.
pub(super) struct Timed<S> {
    stream: S,
    door: Arc<Door>,
    connection: Arc<Connection>,
    /// Since when a head is waited for.
    head_since: Instant,
    /// Whether something of it has come.
    has_begun: bool,
    /// What the client has not taken at once.
    untaken: Option<Untaken>,
    /// The client sends nothing more.
    has_ended: bool,
    /// Somebody wanted to read when there was nothing to read yet: to be woken.
    is_awaited: bool,
    /// Goes off at the deadline or before it; one that goes off early is set again.
    timer: Option<Pin<Box<Sleep>>>,
}

struct Untaken {
    since: Instant,
    /// When the client last took something.
    moved: Instant,
    taken: u64,
}

impl<S> Timed<S> {
    pub(super) fn new(stream: S, door: Arc<Door>, connection: Arc<Connection>) -> Timed<S> {
        Timed {
            stream,
            door,
            connection,
            head_since: Instant::now(),
            has_begun: false,
            untaken: None,
            has_ended: false,
            is_awaited: false,
            timer: None,
        }
    }

    /// Whether this moment has passed; if not, the task is woken when it has.
    fn is_past(&mut self, due: Instant, context: &mut Context<'_>) -> bool {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.is_elapsed() || timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        while timer.as_mut().poll(context).is_ready() {
            if Instant::now() >= due {
                return true;
            }
            timer.as_mut().reset(due);
        }
        false
    }

    fn close(&self, why: Closed) -> io::Error {
        self.door.count(why);
        io::ErrorKind::TimedOut.into()
    }

    /// Nothing has come. How long may that go on?
    fn nothing_to_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Bodies have their deadline with the request; an answer under way has as long as it needs.
        if self.connection.is_at(Stage::Head) {
            let due = self.head_since + READ_TIME;
            if self.is_past(due, context) {
                let why = if self.has_begun {
                    Closed::Head
                } else {
                    Closed::Idle
                };
                return Poll::Ready(Err(self.close(why)));
            }
        }
        Poll::Pending
    }

    /// The client sends nothing more.
    fn end_of_input(&mut self) -> Poll<io::Result<()>> {
        if self.connection.is_at(Stage::Head) {
            return Poll::Ready(Ok(()));
        }
        if !self.has_ended {
            self.has_ended = true;
            self.connection.hang_up();
        }
        self.is_awaited = true;
        Poll::Pending
    }

    /// What came of a write.
    fn wrote(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(count)) => {
                if let Some(untaken) = &mut self.untaken {
                    untaken.moved = Instant::now();
                    untaken.taken += count as u64;
                }
                Poll::Ready(Ok(count))
            }
            Poll::Pending => self.not_taken(context).map_ok(|()| 0),
            failed => failed,
        }
    }

    /// The client takes nothing. How long may that go on?
    fn not_taken(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let now = Instant::now();
        let untaken = self.untaken.get_or_insert(Untaken {
            since: now,
            moved: now,
            taken: 0,
        });
        let slowest = ANSWER_TIME + Duration::from_secs(untaken.taken / SLOWEST);
        let due = (untaken.moved + WRITE_TIME).min(untaken.since + slowest);
        if self.is_past(due, context) {
            return Poll::Ready(Err(self.close(Closed::Write)));
        }
        Poll::Pending
    }

    /// All that was written is with the kernel.
    fn all_taken(&mut self, context: &mut Context<'_>) {
        let mut can_read = self.untaken.take().is_some();
        if self.connection.is_at(Stage::Answered) {
            self.connection.enter(Stage::Head);
            self.head_since = Instant::now();
            self.has_begun = false;
            can_read |= self.has_ended;
            // Whoever reads next may wait for the socket alone, and not come by here: the deadline must wake them.
            can_read |= self.is_past(self.head_since + READ_TIME, context);
        }
        if can_read && self.is_awaited {
            self.is_awaited = false;
            context.waker().wake_by_ref();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Who takes no answers may send no questions: they would pile up here.
        if this.untaken.is_some() {
            this.is_awaited = true;
            return Poll::Pending;
        }
        if this.has_ended {
            return this.end_of_input();
        }
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Ready(Ok(())) if buffer.filled().len() > before => {
                if this.connection.is_at(Stage::Head) {
                    this.has_begun = true;
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Ok(())) if buffer.remaining() == 0 => Poll::Ready(Ok(())),
            Poll::Ready(Ok(())) => this.end_of_input(),
            // TLS that was not ended in due form is at its end all the same: lengths are HTTP's business.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                this.end_of_input()
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => this.nothing_to_read(context),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.wrote(written, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, parts);
        this.wrote(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_flush(context) {
            Poll::Ready(Ok(())) => {
                this.all_taken(context);
                Poll::Ready(Ok(()))
            }
            Poll::Pending => this.not_taken(context),
            failed => failed,
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_shutdown(context) {
            Poll::Pending => this.not_taken(context),
            done => done,
        }
    }
}
