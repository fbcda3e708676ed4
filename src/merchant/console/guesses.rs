//! Passwords are tried slowly: each client by itself, so that who guesses from a few addresses does not keep the owner out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

/// The longest wait after wrong passwords.
const LONGEST_PATIENCE: Duration = Duration::from_secs(4);
/// So many of one client's may wait for their turn.
const MOST_WAITING: u32 = 16;
/// So many clients are remembered.
const MOST_CLIENTS: usize = 1024;
/// So many passwords are tried at once: each takes 19 MiB.
const AT_ONCE: usize = 2;

/// What every client has tried.
#[derive(Debug)]
pub struct Guesses {
    clients: Mutex<HashMap<IpAddr, Client>>,
    free: Arc<Semaphore>,
}

#[derive(Debug)]
struct Client {
    failures: u32,
    waiting: u32,
    last: Instant,
    /// One after the other: who sends many at once gains nothing.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Default for Guesses {
    fn default() -> Guesses {
        Guesses {
            clients: Mutex::default(),
            free: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl Guesses {
    /// Tries a password when the client's turn has come and the patience is over. `None`: too many of its wait already.
    pub async fn tries(
        &self,
        client: IpAddr,
        is_right: impl FnOnce() -> bool + Send + 'static,
    ) -> Option<bool> {
        let client = network(client);
        let turn = self.wait(client)?;
        let waiting = Waiting(self, client);
        let turn = turn.lock().await;
        tokio::time::sleep(self.patience(client)).await;
        // The semaphore is never closed; a panic counts as a wrong password.
        let permit = Arc::clone(&self.free).acquire_owned().await.ok();
        let tried = tokio::task::spawn_blocking(move || (is_right(), permit));
        let is_right = tried.await.is_ok_and(|(is_right, _)| is_right);
        if let Some(known) = self.lock().get_mut(&client) {
            known.failures = if is_right { 0 } else { known.failures + 1 };
        }
        drop((turn, waiting));
        Some(is_right)
    }

    /// One more of this client's waits.
    fn wait(&self, client: IpAddr) -> Option<Arc<tokio::sync::Mutex<()>>> {
        let mut clients = self.lock();
        if clients.len() >= MOST_CLIENTS && !clients.contains_key(&client) {
            let idle = clients.iter().filter(|(_, known)| known.waiting == 0);
            let oldest = idle.min_by_key(|(_, known)| known.last);
            let oldest = oldest.map(|(client, _)| *client)?;
            clients.remove(&oldest);
        }
        let known = clients.entry(client).or_insert_with(|| Client {
            failures: 0,
            waiting: 0,
            last: Instant::now(),
            turn: Arc::default(),
        });
        if known.waiting >= MOST_WAITING {
            return None;
        }
        (known.waiting, known.last) = (known.waiting + 1, Instant::now());
        Some(Arc::clone(&known.turn))
    }

    /// How long the client's next attempt must wait.
    fn patience(&self, client: IpAddr) -> Duration {
        match self.lock().get(&client).map_or(0, |known| known.failures) {
            0 => Duration::ZERO,
            failures => (Duration::from_millis(125) * (1 << failures.min(8))).min(LONGEST_PATIENCE),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Client>> {
        let locked = self.clients.lock();
        locked.expect("nobody panics while holding the lock")
    }
}

/// Whose guesses count together: an IPv6 client has a whole network of addresses.
fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// Somebody who waits for a turn, or has gone away meanwhile.
struct Waiting<'a>(&'a Guesses, IpAddr);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(known) = self.0.lock().get_mut(&self.1) {
            known.waiting -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_guesses_waits_longer_each_time_up_to_a_bound_and_nobody_else_does() {
        let guesses = Guesses::default();
        let mut waits = Vec::new();
        for _ in 0..8 {
            let began = Instant::now();
            assert_eq!(guesses.tries(client(1), || false).await, Some(false));
            waits.push(began.elapsed().as_millis());
        }
        assert_eq!(waits, [0, 250, 500, 1000, 2000, 4000, 4000, 4000]);
        let began = Instant::now();
        assert_eq!(guesses.tries(client(2), || true).await, Some(true));
        assert_eq!(began.elapsed(), Duration::ZERO, "another client");
        assert_eq!(guesses.tries(client(1), || true).await, Some(true));
        assert_eq!(guesses.patience(client(1)), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_sends_many_guesses_at_once_gains_nothing() {
        let guesses = Arc::new(Guesses::default());
        let began = Instant::now();
        let all: Vec<_> = (0..100)
            .map(|_| {
                let guesses = Arc::clone(&guesses);
                tokio::spawn(async move { guesses.tries(client(1), || false).await })
            })
            .collect();
        let mut tried = 0;
        for guess in all {
            tried += u32::from(guess.await.expect("no panic").is_some());
        }
        // 0 + 0.25 + 0.5 + 1 + 2, then 4 seconds for each.
        assert_eq!(tried, MOST_WAITING);
        assert_eq!(began.elapsed().as_millis(), 3750 + 11 * 4000);
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_clients_come_few_are_remembered() {
        let guesses = Guesses::default();
        for n in 0..2000u16 {
            let [high, low] = n.to_be_bytes();
            let from = IpAddr::from([198, 51, high, low]);
            assert_eq!(guesses.tries(from, || false).await, Some(false));
        }
        assert_eq!(guesses.lock().len(), MOST_CLIENTS);
    }

    #[test]
    fn one_house_has_one_turn() {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert_eq!(
            network(address("2001:db8:1:2:3:4:5:6")),
            network(address("2001:db8:1:2::9"))
        );
        assert_ne!(
            network(address("2001:db8:1:2::1")),
            network(address("2001:db8:1:3::1"))
        );
        assert_eq!(network(client(1)), client(1));
    }
}
