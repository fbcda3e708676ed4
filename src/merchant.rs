//! The merchant's server: holds the order numbers, believes only signed notifications, keeps the books.
//!
//! - [`ledger`]: the rules, pure. [`store`]: the books, in which they are applied.
//! - [`notify`]: what a notification's body is worth, pure. [`http`]: the shell around all of it, without a decision.
//! - [`console`]: the pages for the merchant. [`commands`]: the books on the command line.
//!   [`reconcile`]: the platform's bill beside the books.
//!   [`tokens`]: what kiosks show who they are with. [`config`]: `merchant.toml`.

pub mod commands;
pub mod config;
pub mod console;
pub mod http;
pub mod ledger;
mod metrics;
pub mod notify;
pub mod reconcile;
pub mod store;
pub mod tokens;
mod waiters;

use std::future::Future;
use std::net::TcpListener;
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::merchant::config::Config;
use crate::merchant::console::Sessions;
use crate::merchant::ledger::Time;
use crate::merchant::metrics::Metrics;
use crate::merchant::store::{NotUsable, Store};
use crate::merchant::tokens::Tokens;
use crate::merchant::waiters::Waiters;
use crate::selpay::sign::SignKey;

/// Between two looks for claims that were not made and outcomes that were not told.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// A merchant's server: its configuration, its books, and who waits for them.
#[derive(Debug)]
pub struct Merchant {
    config: Config,
    /// Any of them may sign. They are read again without a restart.
    sign_keys: RwLock<Arc<[SignKey]>>,
    store: Store,
    waiters: Waiters,
    metrics: Metrics,
    sessions: Sessions,
    tokens: Tokens,
}

impl Merchant {
    /// Opens the books.
    pub fn open(config: Config) -> Result<Arc<Merchant>, NotUsable> {
        let store = Store::open(&config.database, config.claim_time)?;
        let merchant = Arc::new(Merchant {
            sign_keys: RwLock::new(config.sign_keys.clone().into()),
            config,
            store,
            waiters: Waiters::default(),
            metrics: Metrics::default(),
            sessions: Sessions::default(),
            tokens: Tokens::default(),
        });
        let hears = Arc::clone(&merchant);
        merchant.store.listen(move |changed| match changed {
            Some(sale) => hears.waiters.wake(sale),
            None => hears.waiters.wake_all(),
        })?;
        Ok(merchant)
    }

    /// Serves until `shutdown`. The listener is bound by the caller, to any port.
    pub async fn serve(
        self: Arc<Merchant>,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        // Before anybody is served: a kiosk must not be turned away for a moment.
        self.learn_tokens().await;
        let sweeper = tokio::spawn(sweep(Arc::clone(&self)));
        let served = http::serve(listener, http::router(self), shutdown).await;
        sweeper.abort();
        served
    }

    /// Takes these keys for the platform's from now on.
    pub fn take_keys(&self, keys: Vec<SignKey>) {
        *self
            .sign_keys
            .write()
            .expect("nobody panics while holding the lock") = keys.into();
    }

    fn sign_keys(&self) -> Arc<[SignKey]> {
        let keys = self.sign_keys.read();
        Arc::clone(&keys.expect("nobody panics while holding the lock"))
    }

    /// Learns which tokens were made and revoked. While the books cannot be read, what was known stays known.
    async fn learn_tokens(&self) {
        match self.store.read(tokens::all).await {
            Ok(all) => self.tokens.know(all),
            Err(error) => tracing::error!("{error}"),
        }
    }
}

/// Lets time pass in the books, tells those who wait, and learns which tokens were made and revoked.
async fn sweep(merchant: Arc<Merchant>) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match merchant.store.sweep(now()).await {
            Ok(swept) => swept
                .into_iter()
                .for_each(|sale| merchant.waiters.wake(sale)),
            Err(error) => tracing::error!("{error}"),
        }
        merchant.learn_tokens().await;
    }
}

/// The wall clock.
fn now() -> Time {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Time(since_1970.as_millis() as i64)
}
