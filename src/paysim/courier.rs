//! Carries notifications to the merchant when the platform says so, and brings back the answers.
//!
//! It decides nothing: what counts as heard and when to come again is the platform's. It must never follow a redirect
//! or turn an HTTP status into an error: both are answers.

use std::convert::Infallible;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use ureq::Agent;

use super::Simulation;
use super::platform::Due;
use super::schedule::UnixMs;

/// How long the merchant may take, as the document says.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much of an answer is read, in bytes. A longer one is not `success` anyway.
const MAX_ANSWER: u64 = 4096;

/// What the merchant said; status 0 if nothing came back in time.
struct Reply {
    status: u16,
    text: String,
}

/// Carries every notification as soon as it is due, any number at once. Dropping it drops what is under way.
pub async fn carry(simulation: Arc<Simulation>, notify_url: String) -> Infallible {
    let agent = agent();
    let notify_url: Arc<str> = notify_url.into();
    let mut on_their_way = JoinSet::new();
    loop {
        let (due, wake_at) = {
            let mut platform = simulation.platform();
            (
                platform.take_due(simulation.clock.now()),
                platform.wake_at(),
            )
        };
        for due in due {
            let (agent, url) = (agent.clone(), Arc::clone(&notify_url));
            on_their_way.spawn(deliver(Arc::clone(&simulation), agent, url, due));
        }
        tokio::select! {
            () = simulation.news.notified() => {}
            () = sleep_until(&simulation, wake_at) => {}
            Some(_) = on_their_way.join_next() => {}
        }
    }
}

async fn sleep_until(simulation: &Simulation, wake_at: Option<UnixMs>) {
    match wake_at {
        Some(at) => {
            let wait = at.0.saturating_sub(simulation.clock.now().0);
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
        None => std::future::pending().await,
    }
}

async fn deliver(simulation: Arc<Simulation>, agent: Agent, url: Arc<str>, due: Due) {
    let Due { id, body } = due;
    let posted = tokio::task::spawn_blocking(move || post(&agent, &url, &body)).await;
    let reply = posted.unwrap_or_else(|_| Reply {
        status: 0,
        text: "the courier was lost".to_owned(),
    });
    tracing::info!(
        "notification answered: {} {:?}",
        reply.status,
        reply.text.chars().take(80).collect::<String>()
    );
    simulation
        .platform()
        .answered(id, reply.status, &reply.text);
}

fn agent() -> Agent {
    Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        // A merchant that has restarted must not cost an attempt through a connection that died with it.
        .max_idle_connections(0)
        .build()
        .into()
}

fn post(agent: &Agent, url: &str, body: &str) -> Reply {
    let sent = agent
        .post(url)
        .header("Content-Type", "text/xml; charset=UTF-8")
        .send(body.as_bytes());
    let response = match sent {
        Ok(response) => response,
        Err(error) => return no_answer(&error),
    };
    let status = response.status().as_u16();
    let mut text = Vec::new();
    let mut reader = response.into_body().into_reader().take(MAX_ANSWER);
    match reader.read_to_end(&mut text) {
        Ok(_) => Reply {
            status,
            text: String::from_utf8_lossy(&text).into_owned(),
        },
        // An answer that is not complete within the time is none.
        Err(error) => no_answer(&error),
    }
}

fn no_answer(error: &dyn std::error::Error) -> Reply {
    tracing::debug!("no answer from the merchant: {error}");
    Reply {
        status: 0,
        text: String::new(),
    }
}
