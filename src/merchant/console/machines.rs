//! The merchant's machines, as they were heard of last.

use std::collections::{BTreeMap, HashMap};

use super::midnight_before;
use crate::ids::KioskName;
use crate::merchant::ledger::Time;
use crate::merchant::store::Unavailable;
use crate::merchant::store::kiosks::{self, Seen};
use crate::merchant::store::sql::Sql;
use crate::merchant::{Merchant, now};

/// A machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kiosk {
    /// Its name.
    pub name: KioskName,
    /// When and how it was heard of last.
    pub seen: Option<Seen>,
    /// How many sales it dispensed today.
    pub sold: i64,
    /// What they took, in fen.
    pub takings: i64,
}

impl Kiosk {
    /// Whether it was heard of, and is not any more.
    pub fn is_silent(&self, now: Time) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.is_silent(now))
    }

    /// Whether it says that it cannot sell.
    pub fn is_out_of_service(&self) -> bool {
        self.seen.as_ref().is_some_and(Seen::is_out_of_service)
    }
}

/// Every machine that may call, or has called: the silent ones first, then those out of service, then by name.
pub async fn all(merchant: &Merchant) -> Result<Vec<Kiosk>, Unavailable> {
    let (now, allowed) = (now(), merchant.known_kiosks());
    let midnight = midnight_before(now);
    let figures = move |sql: &dyn Sql| Ok((kiosks::all(sql)?, kiosks::takings(sql, midnight)?));
    let (seen, takings) = merchant.store.read(figures).await?;
    let mut seen: HashMap<KioskName, Seen> = seen.into_iter().collect();
    let mut all: BTreeMap<KioskName, Kiosk> = allowed
        .into_iter()
        .map(|name| {
            let seen = seen.remove(&name);
            let (sold, takings) = (0, 0);
            (
                name,
                Kiosk {
                    name,
                    seen,
                    sold,
                    takings,
                },
            )
        })
        .collect();
    for (name, sold, takings) in takings {
        if let Some(kiosk) = all.get_mut(&name) {
            (kiosk.sold, kiosk.takings) = (sold, takings);
        }
    }
    let mut all: Vec<Kiosk> = all.into_values().collect();
    all.sort_by_key(|kiosk| (!kiosk.is_silent(now), !kiosk.is_out_of_service()));
    Ok(all)
}
