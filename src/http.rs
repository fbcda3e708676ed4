//! Serves a router over HTTP/1.1, with the deadlines that keep slow and broken clients from holding a server.

use std::future::Future;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long a client may take to send a request's head, and again for its body.
pub const READ_TIME: Duration = Duration::from_secs(5);
/// How long open connections may take to end when the server does.
pub const LEAVE_TIME: Duration = Duration::from_secs(2);
/// How long a body that is too large is read on.
const READ_ON_TIME: Duration = Duration::from_secs(2);
/// How much of it is, in bytes.
const READ_ON: usize = 1024 * 1024;
/// How much of a request's head is read, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// Who is at the other end of the connection: in the extensions of every request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer(pub IpAddr);

/// What a connection becomes before HTTP is spoken on it.
pub trait Secure: Clone + Send + 'static {
    /// What HTTP is spoken on.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send;

    /// Agrees with the client, in [`READ_TIME`].
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

/// Serves `router` until `shutdown`, then lets open requests end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    serve_secure(listener, Plain, router, shutdown).await
}

/// The same over what `secure` makes of each connection.
pub async fn serve_secure(
    listener: TcpListener,
    secure: impl Secure,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => {
                    let peer = Peer(from.ip().to_canonical());
                    let served = (secure.clone(), router.clone(), stopped.clone());
                    connections.spawn(serve_one(stream, peer, served));
                }
                Err(error) => {
                    // Out of file descriptors, usually: some will be free in a moment.
                    tracing::warn!("a connection was not accepted: {error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    // Without any connection nobody listens, and that is as good.
    let _ = stop.send(true);
    let all_left = async { while connections.join_next().await.is_some() {} };
    if timeout(LEAVE_TIME, all_left).await.is_err() {
        connections.abort_all();
    }
    Ok(())
}

async fn serve_one<S: Secure>(
    stream: TcpStream,
    peer: Peer,
    (secure, router, mut stopped): (S, Router, watch::Receiver<bool>),
) {
    // An answer is one small packet: waiting to fill it only delays it. A socket that refuses is served all the same.
    let _ = stream.set_nodelay(true);
    let stream = match timeout(READ_TIME, secure.secure(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!("{}: no TLS: {error}", peer.0),
        Err(_) => return tracing::debug!("{}: no TLS in time", peer.0),
    };
    let router = TowerToHyperService::new(router);
    let service = hyper::service::service_fn(move |mut request: hyper::Request<_>| {
        request.extensions_mut().insert(peer);
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READ_TIME)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!("a connection ended: {error}");
    }
}

/// Why a body was not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotRead {
    /// Larger than it may be.
    #[error("the body is too large")]
    TooLarge,
    /// It did not come whole within [`READ_TIME`].
    #[error("the body did not come whole in time")]
    Incomplete,
}

/// Reads a body of at most `limit` bytes, in [`READ_TIME`].
///
/// What is too large can be answered at once, and is read on for a while: who still writes when the connection closes may
/// never see the answer.
pub async fn read_body(mut body: Body, limit: usize) -> Result<Bytes, NotRead> {
    let is_too_large = body.size_hint().lower() > limit as u64;
    if !is_too_large {
        match timeout(READ_TIME, Limited::new(&mut body, limit).collect()).await {
            Ok(Ok(whole)) => return Ok(whole.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {}
            Ok(Err(_)) | Err(_) => return Err(NotRead::Incomplete),
        }
    }
    tokio::spawn(timeout(READ_ON_TIME, async {
        let mut rest = Limited::new(body, READ_ON);
        while let Some(Ok(_)) = rest.frame().await {}
    }));
    Err(NotRead::TooLarge)
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
