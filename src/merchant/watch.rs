//! What is seen in the books now and then: for alarms, metrics and the console's first page.
//!
//! Looking through all payments takes the longer the more there are. Whoever asks gets what was seen last, unless that is
//! so old that looking again takes a small part of the time since.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::merchant::alarms::{self, Alarm, Caller, Figures, Kind};
use crate::merchant::ledger::{RETRIES_END, SILENCE};
use crate::merchant::store::kiosks::{self, SILENT_AFTER};
use crate::merchant::store::sql::Sql;
use crate::merchant::store::{Asker, Unavailable, reports, sums};
use crate::merchant::{Merchant, now};
use crate::random;

/// What was seen is good for so many times as long as looking took.
const GOOD_FOR: u32 = 30;
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
    cost: Duration,
}

/// What was seen last. One looks at a time.
#[derive(Debug, Default)]
pub struct Watch(tokio::sync::Mutex<Option<Arc<Watched>>>);

impl Merchant {
    /// What was seen last, or is seen now.
    pub async fn watched(&self) -> Result<Arc<Watched>, Unavailable> {
        let mut last = self.watch.0.lock().await;
        if let Some(watched) = last.as_ref() {
            if watched.taken.elapsed() < watched.cost * GOOD_FOR {
                return Ok(Arc::clone(watched));
            }
        }
        let watched = Arc::new(self.look().await?);
        *last = Some(Arc::clone(&watched));
        Ok(watched)
    }

    async fn look(&self) -> Result<Watched, Unavailable> {
        let began = Instant::now();
        self.store.check().await?;
        let database = Some(began.elapsed());
        let (allowed, may_wait) = (self.known_kiosks(), self.config.claim_time + SILENCE);
        let now = now();
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
                may_wait,
                refunds: glance.refunds.0,
                reviews: glance.reviews.0,
                kiosks: kiosks.collect(),
                open: reports::open_sales(sql, now.before(RETRIES_END))?,
                refused: glance.refused,
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
            taken: began,
            cost: began.elapsed(),
        })
    }
}

/// Looks every half minute, tells the log what is new, and whoever is at `alarm-url`.
pub async fn watch(merchant: Arc<Merchant>) {
    let holder = format!("{:032x}", random::bits());
    let mut caller = merchant.config.alarm_url.clone().map(Caller::new);
    let mut alarms: Vec<Alarm> = Vec::new();
    let mut logged: Vec<Kind> = Vec::new();
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
                alarms.push(Alarm {
                    kind,
                    subjects: Vec::new(),
                    text: error.to_string(),
                });
            }
        }
        for alarm in alarms.iter().filter(|alarm| !logged.contains(&alarm.kind)) {
            tracing::error!("ALARM {}: {}", alarm.kind.as_str(), alarm.text);
        }
        logged = alarms.iter().map(|alarm| alarm.kind).collect();
        if let Some(caller) = &mut caller {
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
}
