//! Long polls: who waits for which sale.
//!
//! A waiter subscribes first and reads the books after, so that no change can slip between. Nothing is sent but
//! "look again": what has changed is in the books.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use tokio::sync::watch;

use crate::ids::SaleId;

/// Everybody who waits.
#[derive(Debug, Default)]
pub struct Waiters(Mutex<HashMap<SaleId, watch::Sender<()>>>);

impl Waiters {
    /// Begins to wait for a change of this sale.
    pub fn subscribe(&self, sale: SaleId) -> watch::Receiver<()> {
        self.lock()
            .entry(sale)
            .or_insert_with(|| watch::channel(()).0)
            .subscribe()
    }

    /// Tells all who wait for this sale to look again.
    pub fn wake(&self, sale: SaleId) {
        if let Some(sender) = self.lock().remove(&sale) {
            // Nobody there any more is as good as told.
            let _ = sender.send(());
        }
    }

    /// Ends a wait.
    pub fn unsubscribe(&self, sale: SaleId, waiter: watch::Receiver<()>) {
        drop(waiter);
        let mut waiting = self.lock();
        if waiting
            .get(&sale)
            .is_some_and(|sender| sender.receiver_count() == 0)
        {
            waiting.remove(&sale);
        }
    }

    /// How many sales are waited for.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SaleId, watch::Sender<()>>> {
        self.0.lock().expect("nobody panics while holding the lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_who_wait_for_a_sale_are_told_and_no_one_else() {
        let waiters = Waiters::default();
        let (paid, other) = (SaleId::from_random(1), SaleId::from_random(2));
        let mut first = waiters.subscribe(paid);
        let mut second = waiters.subscribe(paid);
        let third = waiters.subscribe(other);
        waiters.wake(paid);
        assert!(first.changed().await.is_ok() && second.changed().await.is_ok());
        assert_eq!(third.has_changed().ok(), Some(false));
        waiters.unsubscribe(paid, first);
        waiters.unsubscribe(other, third);
        assert_eq!(waiters.count(), 0, "nothing is left behind");
    }
}
