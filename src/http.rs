//! Serves a router over HTTP/1.1 behind one [`Door`]: whatever the route, TLS or not, before any handler.
//!
//! - A TLS handshake, a request's head and its body each come whole within [`READ_TIME`]; a handler sees only whole requests,
//!   no larger than the [`Policy`] says.
//! - A client that takes nothing of its answer for [`WRITE_TIME`], or takes it too slowly, is dropped; while it has not taken
//!   one answer, no further request of its is read.
//! - Connections are counted in all and per client address. At a limit the one that has longest sent no whole request goes.
//! - A client that has shut down its sending side still gets its answer.
//!
//! A route added tomorrow is protected as all others are: nothing of this is in the handlers.

mod door;
mod memory;
mod request;
mod stream;

use std::future::Future;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

pub use door::{Door, DoorCounts, Limits, network};
pub use request::{Caller, NotRead, Peer};

use door::{Admitted, Closed};
use memory::Crowd;
use stream::Timed;

/// How long a client may take for a TLS handshake, for a request's head, and again for its body.
pub const READ_TIME: Duration = Duration::from_secs(5);
/// How long a client may take nothing of its answer.
pub const WRITE_TIME: Duration = Duration::from_secs(5);
/// How long open connections may take to end when the server does.
pub const LEAVE_TIME: Duration = Duration::from_secs(2);
/// How large a body may be where nothing else is said, in bytes.
pub const DEFAULT_BODY: usize = 4096;
/// How much of a request's head is read, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// How much the kernel keeps for each connection and direction, in bytes (it doubles them itself).
const KERNEL_BUFFER: usize = 64 * 1024;
/// So many connections may wait to be accepted: with std's 128, a burst makes honest clients wait a second to try again.
const BACKLOG: i32 = 4096;

/// How often it is looked whether a crowd has left.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What a server says of its requests before any of them is read.
pub trait Policy: Send + Sync + 'static {
    /// How large such a request's body may be, in bytes.
    fn body_limit(&self, _method: &Method, _path: &str) -> usize {
        DEFAULT_BODY
    }

    /// Whether this peer's connections carry the requests of others.
    fn is_proxy(&self, _peer: IpAddr) -> bool {
        false
    }

    /// Whose request this is that came from a proxy.
    fn client(&self, proxy: IpAddr, _headers: &HeaderMap) -> IpAddr {
        proxy
    }

    /// The answer to a request whose body was not read.
    fn refuse(&self, _request: &Parts, why: NotRead) -> Response {
        why.into_response()
    }
}

/// The policy of servers for development: bodies of at most so many bytes.
#[derive(Clone, Copy, Debug)]
pub struct UpTo(pub usize);

impl Policy for UpTo {
    fn body_limit(&self, _: &Method, _: &str) -> usize {
        self.0
    }
}

/// What a connection becomes before HTTP is spoken on it.
pub trait Secure: Clone + Send + 'static {
    /// What HTTP is spoken on.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send;

    /// Agrees with the client. The caller limits how long that takes.
    fn secure(&self, stream: TcpStream) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// Nothing: HTTP is spoken as it is.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

impl Secure for Plain {
    type Stream = TcpStream;

    async fn secure(&self, stream: TcpStream) -> io::Result<TcpStream> {
        Ok(stream)
    }
}

/// Serves `router` until `shutdown`, then lets open requests end: for servers of development, without a limit per address.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let connections = Limits::default_connections();
    let door = Door::new(Limits {
        connections,
        per_address: connections,
    });
    serve_behind(door, UpTo(MAX_HEAD), listener, Plain, router, shutdown).await
}

/// Serves `router` behind this door, over what `secure` makes of each connection.
pub async fn serve_behind(
    door: Arc<Door>,
    policy: impl Policy,
    listener: TcpListener,
    secure: impl Secure,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    bound_kernel_memory(&listener)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let policy = Arc::new(policy);
    let mut connections = JoinSet::new();
    let mut crowd = Crowd::default();
    let mut look = interval(LOOK_EVERY);
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            _ = look.tick() => crowd.give_back_behind(connections.len()),
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => {
                    let peer = Peer(from.ip().to_canonical());
                    let admitted = door.admit(peer.0, policy.is_proxy(peer.0)).await;
                    let served = Served {
                        secure: secure.clone(),
                        policy: Arc::clone(&policy),
                        router: TowerToHyperService::new(router.clone()),
                        peer,
                    };
                    connections.spawn(serve_one(stream, served, admitted));
                    crowd.is(connections.len());
                }
                Err(error) => {
                    tracing::warn!("a connection was not accepted: {error}");
                    if is_for_want_of_room(&error) {
                        door.shed();
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    door.close();
    let all_left = async { while connections.join_next().await.is_some() {} };
    if timeout(LEAVE_TIME, all_left).await.is_err() {
        connections.abort_all();
    }
    Ok(())
}

/// What a client can make the kernel keep. Accepted connections inherit it.
fn bound_kernel_memory(listener: &TcpListener) -> io::Result<()> {
    use rustix::net::{listen, sockopt};
    sockopt::set_socket_send_buffer_size(listener, KERNEL_BUFFER)?;
    sockopt::set_socket_recv_buffer_size(listener, KERNEL_BUFFER)?;
    // It listens already; again only changes how many may wait.
    Ok(listen(listener, BACKLOG)?)
}

/// Whether there is no descriptor or no memory for a connection; otherwise only that connection has failed.
fn is_for_want_of_room(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let want_of_room = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|errno| want_of_room.contains(&errno))
}

/// With what one connection is served.
struct Served<S, P> {
    secure: S,
    policy: Arc<P>,
    router: TowerToHyperService<Router>,
    peer: Peer,
}

async fn serve_one<S: Secure, P: Policy>(
    stream: TcpStream,
    served: Served<S, P>,
    // Dropped last: the file descriptor is free before its place is.
    admitted: Admitted,
) {
    let Served {
        secure,
        policy,
        router,
        peer,
    } = served;
    // An answer is one small packet: waiting to fill it only delays it. A socket that refuses is served all the same.
    let _ = stream.set_nodelay(true);
    let connection = admitted.connection();
    let secured = tokio::select! {
        secured = timeout(READ_TIME, secure.secure(stream)) => secured,
        () = connection.asked_to_end() => return,
    };
    let stream = match secured {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!("{}: no TLS: {error}", peer.0),
        Err(_) => {
            admitted.door().count(Closed::Handshake);
            return tracing::debug!("{}: no TLS in time", peer.0);
        }
    };
    let stream = Timed::new(stream, Arc::clone(admitted.door()), Arc::clone(connection));
    let service = hyper::service::service_fn(|request| {
        // Now, not when the future is first polled: what is read from here on belongs to this request.
        connection.head_is_read();
        request::answer(request, peer, &admitted, &*policy, &router)
    });
    // The deadlines are those of `Timed`: hyper's own for the head would run while an answer is still being taken.
    let served = http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = connection.asked_to_end() => {
            if connection.is_evicted() {
                return;
            }
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection from {} ended: {error}", peer.0);
    }
}

impl IntoResponse for NotRead {
    fn into_response(self) -> Response {
        let status = match self {
            NotRead::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            NotRead::Incomplete => StatusCode::REQUEST_TIMEOUT,
        };
        (status, self.to_string()).into_response()
    }
}

/// Ends when the process is asked to: SIGINT or SIGTERM.
pub async fn asked_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    match (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        // Without handlers the signals end the process by themselves.
        _ => std::future::pending().await,
    }
}
