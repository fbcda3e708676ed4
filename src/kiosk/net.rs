//! The kiosk's network: the merchant's server and the platform, over HTTP with deadlines.
//!
//! A call blocks its caller and nobody else: every wait in it, for a name server, a connection, a TLS handshake or an
//! answer, is a turn of the kiosk's loop (`transport.rs`).
//!
//! Nothing is retried in here, no redirect is followed, and no answer is trusted beyond its shape. That there was no
//! answer is told as such: what the other side did is then unknown.

mod merchant;
mod platform;
mod resolver;
mod transport;
mod trouble;

pub use self::merchant::{MerchantClient, standing, unsettled};
pub use self::platform::{PlatformClient, Trial};

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ureq::Agent;
use ureq::http::Response;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::unversioned::transport::Connector;

use self::resolver::{Names, SystemResolver};
use self::transport::{SocketConnector, TlsConnector};
use crate::kiosk::ports::{Awake, Idle, Patience, Socket};
use crate::kiosk::ready;

/// How long a connection may take.
const CONNECT_TIME: Duration = Duration::from_secs(3);
/// How long a whole call to the merchant may take.
const CALL_TIME: Duration = Duration::from_secs(5);
/// The largest answer that is read, in bytes.
const MAX_ANSWER: u64 = 64 * 1024;
/// What a connection buffers in each direction, in bytes: our largest messages are a few hundred.
const BUFFER: usize = 16 * 1024;

/// An HTTP client that waits in the loop.
#[derive(Debug)]
struct Client {
    agent: Agent,
    names: Arc<Names>,
}

/// A client whose calls take so long at most, and which trusts these authorities.
fn client(root_certs: RootCerts, call_time: Duration) -> Client {
    let config = Agent::config_builder()
        .timeout_connect(Some(CONNECT_TIME))
        .timeout_global(Some(call_time))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent(concat!("selpay-kiosk/", env!("CARGO_PKG_VERSION")))
        .input_buffer_size(BUFFER)
        .output_buffer_size(BUFFER)
        .tls_config(TlsConfig::builder().root_certs(root_certs).build())
        .build();
    let connector = SocketConnector.chain(TlsConnector::default());
    let names = Arc::<Names>::default();
    let resolver = SystemResolver(Arc::clone(&names));
    let agent = Agent::with_parts(config, connector, resolver);
    Client { agent, names }
}

/// An answer that came whole.
struct Answer {
    status: u16,
    /// How long the other side wants to be left alone, if it says so.
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

/// What `kiosk check` learns from an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reached {
    /// What the other side says, in a word or two.
    pub says: String,
    /// By how many seconds its clock is ahead of ours; `None` if it does not tell the time.
    pub clock_ahead: Option<i64>,
}

/// By how many seconds the answer's clock is ahead of ours, to the second.
fn clock_ahead(response: &Response<ureq::Body>) -> Option<i64> {
    let date = response.headers().get("Date")?.to_str().ok()?;
    let theirs = httpdate::parse_http_date(date).ok()?;
    let ours = SystemTime::now();
    Some(match theirs.duration_since(ours) {
        Ok(ahead) => ahead.as_secs() as i64,
        Err(behind) => -(behind.duration().as_secs() as i64),
    })
}

/// What `Retry-After` says, in seconds. As a date, which nobody sends with 429, it is not read.
fn retry_after(response: &Response<ureq::Body>) -> Option<Duration> {
    let seconds = response.headers().get("Retry-After")?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

/// Reads an answer to its end.
fn read(mut response: Response<ureq::Body>) -> Result<Answer, ureq::Error> {
    let body = response.body_mut().with_config();
    let body = body.limit(MAX_ANSWER).read_to_vec()?;
    Ok(Answer {
        status: response.status().as_u16(),
        retry_after: retry_after(&response),
        body,
    })
}

impl Client {
    /// Makes the call and reads the answer to the end, or tells the log that there is none.
    fn whole(
        &self,
        call: &str,
        idle: Idle<'_>,
        run: impl FnOnce(&Agent) -> Result<Response<ureq::Body>, ureq::Error>,
    ) -> Option<Answer> {
        let answer = transport::awake(idle, || read(run(&self.agent)?));
        if let Err(error) = &answer {
            match transport::was_abandoned() {
                true => tracing::debug!("{call}: {error}"),
                false => {
                    tracing::warn!("{call}: no answer: {error}");
                    self.names.doubt();
                }
            }
        }
        answer.ok()
    }
}

/// The loop of a program that has nothing else to do: it waits for the socket, in poll(2).
#[derive(Debug)]
pub struct Patient;

impl Awake for Patient {
    fn wait(&mut self, socket: Option<Socket<'_>>, at_most: Duration) -> Patience {
        // An error would come again at once, from the socket itself. A call without a deadline has none for poll(2) either.
        let _ = ready::wait(None, socket, at_most.min(CALL_TIME));
        Patience::Wait
    }
}
