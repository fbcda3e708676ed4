//! What is seen in the books now and then: for alarms, metrics and the console's first page.
//!
//! Whoever asks gets what was seen in the last seconds, or looks again. Alarms are looked for every half minute, whatever else is
//! slow: telling them is another task's work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::merchant::alarms::{self, Alarm, Caller, Figures, Kind, Told, Url};
use crate::merchant::ledger::{RETRIES_END, SILENCE};
use crate::merchant::store::cases::{self, Cases};
use crate::merchant::store::kiosks::{self, SILENT_AFTER};
use crate::merchant::store::sql::Sql;
use crate::merchant::store::{Asker, Unavailable, reports, sums};
use crate::merchant::{Merchant, now};
use crate::random;

/// What was seen is good for so long.
const GOOD_FOR: Duration = Duration::from_secs(3);
/// Who looks for longer has seen that the database is slow.
const LOOK_TIME: Duration = Duration::from_secs(20);
/// A sale that is younger may still be paid and notified.
const NOTIFIED_WITHIN: Duration = Duration::from_secs(300);
/// Refused notifications are an alarm for so long.
const REFUSED_FOR: Duration = Duration::from_secs(600);
/// A week, in which a shop shows how it usually is.
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long one of several servers tells alarms before another may.
const LEASE: Duration = Duration::from_secs(120);

/// What was seen.
#[derive(Clone, PartialEq, Debug)]
pub struct Watched {
    /// In the books.
    pub figures: Figures,
    /// How many sales stand where.
    pub sales: Vec<(String, i64)>,
    /// Whether these, and the money, are all that the books hold: older ones are being counted.
    pub counted: bool,
    /// What somebody must be woken for.
    pub alarms: Vec<Alarm>,
    taken: Instant,
}

/// What was seen last. One looks at a time.
#[derive(Debug, Default)]
pub struct Watch(tokio::sync::Mutex<Option<Arc<Watched>>>);

impl Merchant {
    /// What was seen last, or is seen now.
    pub async fn watched(&self) -> Result<Arc<Watched>, Unavailable> {
        let mut last = self.watch.0.lock().await;
        if let Some(watched) = last.as_ref() {
            // What was seen of books that were safe says nothing of them now.
            if watched.taken.elapsed() < GOOD_FOR && !self.store.is_broken() {
                return Ok(Arc::clone(watched));
            }
        }
        let looked = tokio::time::timeout(LOOK_TIME, self.look()).await;
        let too_long = || Unavailable(format!("it was not seen through in {LOOK_TIME:?}"));
        let watched = Arc::new(looked.map_err(|_| too_long())??);
        *last = Some(Arc::clone(&watched));
        Ok(watched)
    }

    async fn look(&self) -> Result<Watched, Unavailable> {
        let began = Instant::now();
        self.store.check().await?;
        let database = Some(began.elapsed());
        let (allowed, may_wait) = (self.known_kiosks(), self.config.claim_time + SILENCE);
        let now = now();
        let wrong_tokens = self.wrong_tokens.lately(Instant::now());
        let read = move |sql: &dyn Sql| {
            let glance = reports::glance(sql, now.before(REFUSED_FOR))?;
            let stream = reports::stream(sql, now.before(WEEK), now.before(SILENT_AFTER))?;
            let kiosks = kiosks::all(sql)?;
            let kiosks = kiosks
                .into_iter()
                .filter(|(name, _)| allowed.contains(name));
            let figures = Figures {
                now,
                balance: reports::balance(sql)?,
                waiting_since: glance.waiting_since,
                waiting: Cases {
                    count: 0,
                    newest: cases::waiting(sql, now.before(may_wait))?,
                },
                may_wait,
                refunds: Cases {
                    count: glance.refunds.0,
                    newest: cases::newest(sql, "refund-due")?,
                },
                reviews: Cases {
                    count: glance.reviews.0,
                    newest: cases::newest(sql, "review")?,
                },
                kiosks: kiosks.collect(),
                open: reports::open_sales(sql, now.before(RETRIES_END))?,
                refused: glance.refused,
                never_notified: cases::never_notified(sql, now.before(NOTIFIED_WITHIN))?,
                wrong_tokens,
                ambiguous: glance.ambiguous,
                paid_at: stream.paid_at,
                unpaid: stream.unpaid,
                week: (stream.sales, stream.paid),
                database,
            };
            let sales = reports::sales_by_status(sql)?;
            Ok((figures, sales, sums::are_complete(sql)?))
        };
        let (figures, sales, counted) = self.store.read_for(Asker::Watch, read).await?;
        Ok(Watched {
            counted,
            alarms: alarms::look(&figures),
            figures,
            sales,
            taken: Instant::now(),
        })
    }
}

/// Looks every half minute, and tells the log what is new. Whoever is at `alarm-url` is told by a task of its own: one who does
/// not answer holds up no look.
pub async fn watch(merchant: Arc<Merchant>) {
    let (seen, standing) = tokio::sync::watch::channel(Vec::new());
    let tells = merchant
        .config
        .alarm_url
        .clone()
        .map(|url| tell(Arc::clone(&merchant), url, standing));
    let looks = look_again_and_again(merchant, seen);
    match tells {
        Some(tells) => drop(tokio::join!(looks, tells)),
        None => looks.await,
    }
}

async fn look_again_and_again(
    merchant: Arc<Merchant>,
    seen: tokio::sync::watch::Sender<Vec<Alarm>>,
) {
    let mut alarms: Vec<Alarm> = Vec::new();
    let mut logged = Told::default();
    let mut ticks = tokio::time::interval(alarms::LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match merchant.watched().await {
            Ok(watched) => alarms.clone_from(&watched.alarms),
            Err(error) => {
                // What stood before is not over because nobody can look.
                let kind = match merchant.store.is_broken() {
                    true => Kind::BooksUnsafe,
                    false => Kind::DatabaseSlow,
                };
                alarms.retain(|alarm| alarm.kind != kind);
                alarms.push(Alarm::new(kind, Vec::new(), error.to_string()));
            }
        }
        let at = Instant::now();
        for message in logged.due((now(), at), &alarms) {
            match message.state {
                "firing" => tracing::error!("ALARM {message}"),
                _ => tracing::info!("{message}"),
            }
            logged.took(&message, at);
        }
        seen.send_replace(alarms.clone());
    }
}

/// Tells what was seen, each time it is.
async fn tell(
    merchant: Arc<Merchant>,
    url: Url,
    mut standing: tokio::sync::watch::Receiver<Vec<Alarm>>,
) {
    let holder = format!("{:032x}", random::bits());
    let mut caller = Caller::new(url);
    while standing.changed().await.is_ok() {
        let alarms = standing.borrow_and_update().clone();
        let now = now();
        let until = now.after(LEASE);
        let lease = merchant
            .store
            .take_lease("alarms", holder.clone(), now, until);
        // Without a database nobody can know who else tells: better twice than never.
        if lease.await.unwrap_or(true) {
            caller.tell(now, &alarms).await;
        }
    }
}
