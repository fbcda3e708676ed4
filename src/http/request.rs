//! One request: it is read whole before its handler, and counted until its answer is written.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tokio::time::timeout;

use super::door::{Admitted, Closed, Connection, Stage, UnderWay};
use super::{Policy, READ_TIME};

/// How long the answer may take for a client that sends nothing more: it may have gone, or only shut down its sending side.
const LAST_ANSWER_TIME: Duration = Duration::from_secs(5);
/// How long a body that is too large is read on.
const READ_ON_TIME: Duration = Duration::from_secs(2);
/// How much of it is, in bytes.
const READ_ON: usize = 1024 * 1024;

/// Who is at the other end of the connection: in the extensions of every request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer(pub IpAddr);

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

/// The connection that a request came on: in the extensions of every request.
#[derive(Clone, Default, Debug)]
pub struct Caller(Option<Arc<Connection>>);

impl Caller {
    /// The caller has shown who it is: when there are too many connections, strangers' go first.
    pub fn is_known(&self) {
        if let Some(connection) = &self.0 {
            connection.vouch();
        }
    }

    /// Ends when the client sends nothing more: it has hung up, or still reads. An answer that is waited for is due now.
    pub async fn hung_up(&self) {
        match &self.0 {
            Some(connection) => connection.hung_up().await,
            None => std::future::pending().await,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Caller, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}

/// Reads the request whole, and lets the router answer it.
pub(super) async fn answer<P: Policy>(
    request: Request<Incoming>,
    peer: Peer,
    admitted: &Admitted,
    policy: &P,
    router: &TowerToHyperService<Router>,
) -> Result<Response<Answer>, Infallible> {
    let (door, connection) = (admitted.door(), admitted.connection());
    let (mut parts, body) = request.into_parts();
    let under_way = policy.is_proxy(peer.0).then(|| {
        let client = policy.client(peer.0, &parts.headers);
        door.begin(connection, client)
    });
    let limit = policy.body_limit(&parts.method, parts.uri.path());
    let response = match read_whole(body, limit, admitted).await {
        Ok(whole) => {
            door.request_is_whole(connection);
            parts.extensions.insert(peer);
            parts
                .extensions
                .insert(Caller(Some(Arc::clone(connection))));
            let request = Request::from_parts(parts, Body::from(whole));
            let abandoned = async {
                connection.hung_up().await;
                tokio::time::sleep(LAST_ANSWER_TIME).await;
            };
            tokio::select! {
                biased;
                response = router.call(request) => response?,
                // Most likely nobody is there: nothing is worked out for them any longer.
                () = abandoned => StatusCode::GATEWAY_TIMEOUT.into_response(),
            }
        }
        Err(why) => {
            connection.enter(Stage::Answering);
            policy.refuse(&parts, why)
        }
    };
    let written = Written {
        connection: Arc::clone(connection),
        _under_way: under_way,
    };
    Ok(response.map(|body| Answer {
        body,
        _written: written,
    }))
}

/// Reads a body of at most `limit` bytes, in [`READ_TIME`].
///
/// What is too large can be answered at once, and is read on for a while: who still writes when the connection closes may
/// never see the answer.
async fn read_whole(
    mut body: Incoming,
    limit: usize,
    admitted: &Admitted,
) -> Result<Bytes, NotRead> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let is_too_large = body.size_hint().lower() > limit as u64;
    if !is_too_large {
        let whole = {
            let mut whole = pin!(Limited::new(&mut body, limit).collect());
            let read = async {
                tokio::select! {
                    biased;
                    read = whole.as_mut() => Some(read),
                    // What has come is whole, or will never be.
                    () = admitted.connection().hung_up() => now_or_never(whole.as_mut()).await,
                }
            };
            timeout(READ_TIME, read).await
        };
        match whole {
            Ok(Some(Ok(whole))) => return Ok(whole.to_bytes()),
            Ok(Some(Err(error))) if error.is::<LengthLimitError>() => {}
            Ok(Some(Err(_)) | None) => return Err(NotRead::Incomplete),
            Err(_) => {
                admitted.door().count(Closed::Body);
                return Err(NotRead::Incomplete);
            }
        }
    }
    tokio::spawn(timeout(READ_ON_TIME, async {
        let mut rest = Limited::new(body, READ_ON);
        while let Some(Ok(_)) = rest.frame().await {}
    }));
    Err(NotRead::TooLarge)
}

/// What the future has to say at once.
async fn now_or_never<T>(mut future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(said) => Poll::Ready(Some(said)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// An answer's body. Once its last byte is with the connection, the next request may come.
pub(super) struct Answer {
    body: Body,
    _written: Written,
}

/// Dropped with the answer's body.
struct Written {
    connection: Arc<Connection>,
    _under_way: Option<UnderWay>,
}

impl Drop for Written {
    fn drop(&mut self) {
        self.connection.enter(Stage::Answered);
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
