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

/// One who waits for a sale. Dropping it ends the wait: also when a kiosk hangs up.
#[derive(Debug)]
pub struct Waiting<'a> {
    waiters: &'a Waiters,
    sale: SaleId,
    /// `None` only while it is being dropped.
    told: Option<watch::Receiver<()>>,
}

impl Waiters {
    /// Begins to wait for a change of this sale.
    pub fn wait_for(&self, sale: SaleId) -> Waiting<'_> {
        let told = self
            .lock()
            .entry(sale)
            .or_insert_with(|| watch::channel(()).0)
            .subscribe();
        Waiting {
            waiters: self,
            sale,
            told: Some(told),
        }
    }

    /// Tells all who wait for this sale to look again.
    pub fn wake(&self, sale: SaleId) {
        if let Some(sender) = self.lock().remove(&sale) {
            // Nobody there any more is as good as told.
            let _ = sender.send(());
        }
    }

    /// Tells everybody to look again.
    pub fn wake_all(&self) {
        for (_, sender) in self.lock().drain() {
            let _ = sender.send(());
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

impl Waiting<'_> {
    /// Comes back when the sale has changed.
    pub async fn changed(&mut self) {
        if let Some(told) = &mut self.told {
            // Told, or nobody is left to tell: either way it is time to look.
            let _ = told.changed().await;
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.told = None;
        let mut waiting = self.waiters.lock();
        if waiting
            .get(&self.sale)
            .is_some_and(|sender| sender.receiver_count() == 0)
        {
            waiting.remove(&self.sale);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn all_who_wait_for_a_sale_are_told_and_no_one_else() {
        let waiters = Waiters::default();
        let (paid, other) = (SaleId::from_random(1), SaleId::from_random(2));
        let mut first = waiters.wait_for(paid);
        let mut second = waiters.wait_for(paid);
        let mut third = waiters.wait_for(other);
        waiters.wake(paid);
        first.changed().await;
        second.changed().await;
        let nothing = tokio::time::timeout(Duration::from_millis(1), third.changed()).await;
        assert!(nothing.is_err(), "the other sale has not changed");
    }

    #[test]
    fn nothing_is_left_behind_however_a_wait_ends() {
        let waiters = Waiters::default();
        let sale = SaleId::from_random(1);
        let (first, second) = (waiters.wait_for(sale), waiters.wait_for(sale));
        drop(first);
        assert_eq!(waiters.count(), 1);
        drop(second);
        assert_eq!(waiters.count(), 0);
        let told = waiters.wait_for(sale);
        waiters.wake(sale);
        let next = waiters.wait_for(sale);
        drop(told);
        assert_eq!(
            waiters.count(),
            1,
            "a later wait is not ended by an earlier one"
        );
        drop(next);
        assert_eq!(waiters.count(), 0);
    }
}
