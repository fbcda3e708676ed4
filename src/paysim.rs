//! A stand-in for selpay and the paying customer: for development, tests and the demo. No money moves here.
//!
//! - [`platform`]: the platform's own side, pure: orders, payments, the retry schedule, faults on demand.
//! - `codec`: the platform's XML and signature, written from its document alone. It shares nothing with
//!   `crate::selpay`: a codec that agrees with itself proves nothing.
//! - `shell`: HTTP around it, the notifications, and the page that is the customer's phone.

mod codec;
pub mod platform;
mod shell;

use std::future::Future;
use std::net::TcpListener;

/// What a stand-in is to be.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where notifications go.
    pub notify_url: String,
    /// The key they are signed with.
    pub sign_key: String,
    /// The only `appKey` that may add orders; any, if there is none.
    pub app_key: Option<String>,
    /// How phones reach us; the listener's address, if there is none.
    pub public_url: Option<String>,
    /// The merchant's number, in every notification.
    pub mch_id: String,
    /// Divides the waits between two notifications.
    pub speed: f64,
}

/// Serves until `shutdown`. The listener is bound by the caller, to any port.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let address = listener.local_addr()?;
    let public_url = config
        .public_url
        .clone()
        .unwrap_or_else(|| format!("http://{address}"));
    crate::http::serve(listener, shell::router(config, public_url), shutdown).await
}
