//! Passwords are tried slowly: each client by itself, so that who guesses does not keep the owner out.
//!
//! Hashing takes memory and time by intent, so only a few attempts are hashed at once, and few wait for it: of those that wait,
//! who has tried least comes first. Once somebody has shown the right password, all others are held against that, and nothing
//! need be hashed any more: however many guess, whoever knows it is let in at once.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::http::network;
use crate::merchant::password::{Memory, Password};
use crate::random;

/// The longest wait after wrong passwords.
const LONGEST_PATIENCE: Duration = Duration::from_secs(4);
/// So many of one client's may wait for their turn.
const MOST_WAITING: u32 = 16;
/// So many clients are remembered.
const MOST_CLIENTS: usize = 16_384;
/// So many attempts may wait to be hashed, of all clients: each is little beside the connection that it waits on.
const MOST_QUEUED: usize = 1024;
/// Whoever has lost the place in that queue may come again so late.
const QUEUE_AGAIN: Duration = Duration::from_secs(1);

/// What came of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tried {
    /// It is the password.
    Right,
    /// It is not.
    Wrong,
    /// Nobody has looked: too many wait. It may be tried again after that.
    Later(Duration),
}

/// The console's password, and what every client has tried.
pub struct Guesses {
    password: Option<Password>,
    /// What the right password looks like under a random key, once somebody has shown it. In memory only: whoever reads that
    /// reads passwords as they are typed as well.
    known: OnceLock<[u8; 32]>,
    key: [u8; 32],
    clients: Mutex<HashMap<IpAddr, Client>>,
    queue: Arc<Queue>,
}

struct Client {
    failures: u32,
    /// Attempts since the last right one, also those that nobody has looked at.
    tries: u32,
    waiting: u32,
    last: Instant,
    /// One after the other: who sends many at once gains nothing.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// Nothing of it is for a log.
impl fmt::Debug for Guesses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guesses(…)")
    }
}

impl Guesses {
    /// For this password; hashing may take so much memory, in bytes.
    pub fn new(password: Option<Password>, memory: usize) -> Guesses {
        let takes = password.as_ref().map_or(0, Password::memory);
        let at_once = memory.checked_div(takes).unwrap_or(1).max(1);
        let mut key = [0; 32];
        for half in key.chunks_exact_mut(16) {
            half.copy_from_slice(&random::bits().to_ne_bytes());
        }
        Guesses {
            password,
            known: OnceLock::new(),
            key,
            clients: Mutex::default(),
            queue: Queue::of(at_once),
        }
    }

    /// Tries a password when the client's turn has come and the patience is over.
    pub async fn tries(&self, client: IpAddr, attempt: String) -> Tried {
        let client = network(client);
        let Some((turn, tries)) = self.wait(client) else {
            return Tried::Later(LONGEST_PATIENCE);
        };
        let waiting = Waiting(self, client);
        let turn = turn.lock().await;
        tokio::time::sleep(self.patience(client)).await;
        let judged = self.judge(attempt, tries).await;
        if let (Some(is_right), Some(known)) = (judged, self.lock().get_mut(&client)) {
            (known.failures, known.tries) = match is_right {
                true => (0, 0),
                false => (known.failures + 1, known.tries),
            };
        }
        drop((turn, waiting));
        match judged {
            Some(true) => Tried::Right,
            Some(false) => Tried::Wrong,
            None => Tried::Later(QUEUE_AGAIN),
        }
    }

    /// Whether it is the password, of a client that has tried so often. `None`: it has lost its place in the queue.
    async fn judge(&self, attempt: String, tries: u32) -> Option<bool> {
        let Some(password) = &self.password else {
            return Some(false);
        };
        if let Password::Plain(_) = password {
            return Some(password.is(&attempt, &mut Memory::default()));
        }
        let looks = self.look_of(&attempt);
        let as_known = || {
            let known = self.known.get();
            known.map(|known| bool::from(known.ct_eq(&looks)))
        };
        if let Some(is_right) = as_known() {
            return Some(is_right);
        }
        let mut place = Queue::enter(&self.queue, tries).await?;
        // Somebody may have shown it meanwhile.
        if let Some(is_right) = as_known() {
            return Some(is_right);
        }
        let password = password.clone();
        let hashed = tokio::task::spawn_blocking(move || {
            let is_right = password.is(&attempt, &mut place.memory);
            drop(place);
            is_right
        });
        // A panic counts as a wrong password.
        let is_right = hashed.await.unwrap_or(false);
        if is_right {
            let _ = self.known.set(looks);
        }
        Some(is_right)
    }

    fn look_of(&self, attempt: &str) -> [u8; 32] {
        let mut looks = Sha256::new();
        looks.update(self.key);
        looks.update(attempt.as_bytes());
        looks.finalize().into()
    }

    /// One more of this client's waits; how often it has tried before.
    fn wait(&self, client: IpAddr) -> Option<(Arc<tokio::sync::Mutex<()>>, u32)> {
        let mut clients = self.lock();
        if clients.len() >= MOST_CLIENTS && !clients.contains_key(&client) {
            let idle = clients.iter().filter(|(_, known)| known.waiting == 0);
            let oldest = idle.min_by_key(|(_, known)| known.last);
            let oldest = oldest.map(|(client, _)| *client)?;
            clients.remove(&oldest);
        }
        let known = clients.entry(client).or_insert_with(|| Client {
            failures: 0,
            tries: 0,
            waiting: 0,
            last: Instant::now(),
            turn: Arc::default(),
        });
        if known.waiting >= MOST_WAITING {
            return None;
        }
        let tries = known.tries;
        (known.waiting, known.tries) = (known.waiting + 1, tries.saturating_add(1));
        known.last = Instant::now();
        Some((Arc::clone(&known.turn), tries))
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

/// Somebody who waits for a turn, or has gone away meanwhile.
struct Waiting<'a>(&'a Guesses, IpAddr);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(known) = self.0.lock().get_mut(&self.1) {
            known.waiting -= 1;
        }
    }
}

/// Who may hash: so many at once, each with memory of its own, and so many wait.
#[derive(Debug)]
struct Queue(Mutex<Places>);

#[derive(Debug)]
struct Places {
    idle: Vec<Memory>,
    waiting: Vec<Queued>,
    /// How many have ever waited.
    count: u64,
}

#[derive(Debug)]
struct Queued {
    tries: u32,
    number: u64,
    enters: oneshot::Sender<Place>,
}

/// A place at which one may hash. The next may, when it is dropped.
#[derive(Debug)]
struct Place {
    memory: Memory,
    queue: Arc<Queue>,
}

impl Queue {
    fn of(at_once: usize) -> Arc<Queue> {
        Arc::new(Queue(Mutex::new(Places {
            idle: (0..at_once).map(|_| Memory::default()).collect(),
            waiting: Vec::new(),
            count: 0,
        })))
    }

    /// Waits for a place. `None`: others have tried less, and the queue is full.
    async fn enter(queue: &Arc<Queue>, tries: u32) -> Option<Place> {
        let entered = {
            let mut places = queue.lock();
            if let Some(memory) = places.idle.pop() {
                let queue = Arc::clone(queue);
                return Some(Place { memory, queue });
            }
            // Some may have gone away.
            places.waiting.retain(|queued| !queued.enters.is_closed());
            if places.waiting.len() >= MOST_QUEUED {
                let all = places.waiting.iter().enumerate();
                let last = all.max_by_key(|(_, queued)| (queued.tries, Reverse(queued.number)));
                let (last, _) = last.filter(|(_, queued)| queued.tries >= tries)?;
                // Dropped, it tells so.
                places.waiting.swap_remove(last);
            }
            places.count += 1;
            let (enters, entered) = oneshot::channel();
            let number = places.count;
            places.waiting.push(Queued {
                tries,
                number,
                enters,
            });
            entered
        };
        entered.await.ok()
    }

    /// Takes out who comes next: of those who have tried least, the newest. The oldest may have given up.
    fn next(places: &mut Places) -> Option<Queued> {
        let all = places.waiting.iter().enumerate();
        let first = all.min_by_key(|(_, queued)| (queued.tries, Reverse(queued.number)));
        let first = first.map(|(first, _)| first)?;
        Some(places.waiting.swap_remove(first))
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.0.lock().expect("nobody panics while holding the lock")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        let mut places = self.queue.lock();
        let Some(next) = Queue::next(&mut places) else {
            return places.idle.push(memory);
        };
        drop(places);
        let queue = Arc::clone(&self.queue);
        // Whoever has gone away leaves the place to the next, by dropping it.
        let _ = next.enters.send(Place { memory, queue });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merchant::password;

    fn client(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn plain() -> Guesses {
        Guesses::new(Some(Password::Plain("right".to_owned())), 0)
    }

    async fn tries(guesses: &Guesses, from: IpAddr, attempt: &str) -> Tried {
        guesses.tries(from, attempt.to_owned()).await
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_guesses_waits_longer_each_time_up_to_a_bound_and_nobody_else_does() {
        let guesses = plain();
        let mut waits = Vec::new();
        for _ in 0..8 {
            let began = Instant::now();
            assert_eq!(tries(&guesses, client(1), "wrong").await, Tried::Wrong);
            waits.push(began.elapsed().as_millis());
        }
        assert_eq!(waits, [0, 250, 500, 1000, 2000, 4000, 4000, 4000]);
        let began = Instant::now();
        assert_eq!(tries(&guesses, client(2), "right").await, Tried::Right);
        assert_eq!(began.elapsed(), Duration::ZERO, "another client");
        assert_eq!(tries(&guesses, client(1), "right").await, Tried::Right);
        assert_eq!(guesses.patience(client(1)), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_sends_many_guesses_at_once_gains_nothing() {
        let guesses = Arc::new(plain());
        let began = Instant::now();
        let all: Vec<_> = (0..100)
            .map(|_| {
                let guesses = Arc::clone(&guesses);
                tokio::spawn(async move { tries(&guesses, client(1), "wrong").await })
            })
            .collect();
        let mut tried = 0;
        for guess in all {
            tried += u32::from(guess.await.expect("no panic") == Tried::Wrong);
        }
        // The first may be over before the last comes.
        assert!(
            (MOST_WAITING..=MOST_WAITING + 1).contains(&tried),
            "{tried}"
        );
        // 0 + 0.25 + 0.5 + 1 + 2, then 4 seconds for each.
        let slow = u128::from(tried) - 5;
        assert_eq!(began.elapsed().as_millis(), 3750 + slow * 4000);
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_clients_come_few_are_remembered() {
        let guesses = plain();
        for n in 0..20_000u16 {
            let [high, low] = n.to_be_bytes();
            let from = IpAddr::from([198, 51, high, low]);
            assert_eq!(tries(&guesses, from, "wrong").await, Tried::Wrong);
        }
        assert_eq!(guesses.lock().len(), MOST_CLIENTS);
    }

    #[tokio::test]
    async fn once_the_password_was_shown_nothing_is_hashed_any_more() {
        let hash = password::hash("right").expect("a hash");
        let guesses = Guesses::new(Password::read(hash), 40 << 20);
        assert_eq!(tries(&guesses, client(1), "wrong").await, Tried::Wrong);
        assert_eq!(tries(&guesses, client(2), "right").await, Tried::Right);
        // Every place is taken, and who waits there waits for ever.
        let (_one, _two) = (
            Queue::enter(&guesses.queue, 0).await.expect("a place"),
            Queue::enter(&guesses.queue, 0).await.expect("a place"),
        );
        assert_eq!(guesses.queue.lock().idle.len(), 0, "40 MiB are two");
        assert_eq!(tries(&guesses, client(3), "wrong").await, Tried::Wrong);
        assert_eq!(tries(&guesses, client(4), "right").await, Tried::Right);
        assert_eq!(tries(&guesses, client(5), "").await, Tried::Wrong);
    }

    #[tokio::test]
    async fn who_has_tried_least_comes_first_and_nobody_takes_a_place_along() {
        let queue = Queue::of(1);
        let place = Queue::enter(&queue, 0).await.expect("a place");
        let waits = |tries| {
            let queue = Arc::clone(&queue);
            tokio::spawn(async move { Queue::enter(&queue, tries).await })
        };
        let waiting = async |count| {
            while queue.lock().waiting.len() != count {
                tokio::task::yield_now().await;
            }
        };
        let often = waits(5);
        waiting(1).await;
        let gone = waits(0);
        waiting(2).await;
        let seldom = waits(1);
        waiting(3).await;
        gone.abort();
        drop(place);
        let place = seldom.await.expect("no panic").expect("its place");
        assert!(!often.is_finished());
        drop(place);
        drop(often.await.expect("no panic").expect("its place"));
        assert_eq!(queue.lock().idle.len(), 1);
    }

    #[tokio::test]
    async fn a_full_queue_has_room_for_whoever_has_tried_less() {
        let queue = Queue::of(1);
        let place = Queue::enter(&queue, 0).await.expect("a place");
        let waits = |tries| {
            let queue = Arc::clone(&queue);
            tokio::spawn(async move { Queue::enter(&queue, tries).await })
        };
        let guesses = |_| {
            let queue = Arc::clone(&queue);
            // Whoever gets a place leaves it at once.
            tokio::spawn(async move { Queue::enter(&queue, 1).await.is_some() })
        };
        let guessers: Vec<_> = (0..MOST_QUEUED).map(guesses).collect();
        while queue.lock().waiting.len() < MOST_QUEUED {
            tokio::task::yield_now().await;
        }
        assert!(Queue::enter(&queue, 2).await.is_none(), "it has tried more");
        let owner = waits(0);
        while queue.lock().count <= MOST_QUEUED as u64 {
            tokio::task::yield_now().await;
        }
        drop(place);
        let owner = owner.await.expect("no panic").expect("a place");
        assert_eq!(queue.lock().waiting.len(), MOST_QUEUED - 1);
        drop(owner);
        let mut lost = 0;
        for guesser in guessers {
            lost += usize::from(!guesser.await.expect("no panic"));
        }
        assert_eq!(lost, 1);
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
