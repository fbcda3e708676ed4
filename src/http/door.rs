//! Who is connected: counts connections in all and per client address, and says who goes when a limit is reached.
//!
//! Never the newcomer: the one that has longest sent no whole request. A newcomer under a flood has as much time as the flood
//! needs to fill every place once, which is enough for an honest request.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// How many connections there may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// In all.
    pub connections: usize,
    /// From one address, an IPv6 network of 64 bits counting as one. Behind a proxy: requests under way for one address.
    pub per_address: usize,
}

impl Limits {
    /// 80 % of the file descriptors that this process may have: the rest is for databases and files.
    pub fn default_connections() -> usize {
        (Limits::descriptors() / 5 * 4).max(1)
    }

    /// How many file descriptors this process may have.
    pub fn descriptors() -> usize {
        /// Where the system sets no limit.
        const MANY: u64 = 1_048_576;
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        limit.current.unwrap_or(MANY).min(MANY) as usize
    }
}

/// Why a connection was closed by us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Closed {
    /// No whole TLS handshake in time.
    Handshake,
    /// Nothing was sent, or nothing more after an answer.
    Idle,
    /// No whole head in time.
    Head,
    /// No whole body in time.
    Body,
    /// The answer was not taken in time.
    Write,
    /// Its address had too many.
    Address,
    /// There were too many.
    Full,
}

/// By [`Closed`]'s order: the labels of their counters.
const REASONS: [&str; 7] = [
    "handshake",
    "idle",
    "head",
    "body",
    "write",
    "address",
    "full",
];

/// What a door has counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DoorCounts {
    /// Connections that are open now.
    pub open: usize,
    /// How many were closed by us, by reason, since the start.
    pub closed: [(&'static str, u64); REASONS.len()],
}

/// Who is connected to a server.
#[derive(Debug)]
pub struct Door {
    limits: Limits,
    began: Instant,
    /// A place is free again when its file descriptor is: what is told to go still has both.
    places: Arc<Semaphore>,
    table: Mutex<Table>,
    closed: [AtomicU64; REASONS.len()],
}

#[derive(Debug, Default)]
struct Table {
    last_id: u64,
    all: Members,
    by_address: HashMap<Address, Members>,
}

/// A client's address as it is counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Address(IpAddr);

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Address {
        Address(network(address))
    }
}

/// What counts as one client: an address of IPv4, or an IPv6 network of 64 bits, all of which whoever has one address of it has.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
        v4 => v4,
    }
}

impl Door {
    /// A door with these limits.
    pub fn new(limits: Limits) -> Arc<Door> {
        Arc::new(Door {
            limits,
            began: Instant::now(),
            places: Arc::new(Semaphore::new(limits.connections)),
            table: Mutex::default(),
            closed: Default::default(),
        })
    }

    /// What was counted so far.
    pub fn counts(&self) -> DoorCounts {
        let counted = |place: usize| self.closed[place].load(Ordering::Relaxed);
        DoorCounts {
            open: self.table().all.by_id.len(),
            closed: std::array::from_fn(|place| (REASONS[place], counted(place))),
        }
    }

    /// Takes a connection in, in the place of another where there are too many. A proxy's address is not counted.
    pub(super) async fn admit(self: &Arc<Door>, peer: IpAddr, is_proxy: bool) -> Admitted {
        let address = (!is_proxy).then(|| Address::from(peer));
        let connection = {
            let mut table = self.table();
            if let Some(address) = address {
                self.make_room_for(&mut table, address);
            }
            if table.all.by_id.len() >= self.limits.connections {
                self.evict_longest_quiet(&mut table);
            }
            table.last_id += 1;
            let connection = Arc::new(Connection::new(table.last_id, address, self.now()));
            table.all.add(&connection);
            if let Some(address) = address {
                table
                    .by_address
                    .entry(address)
                    .or_default()
                    .add(&connection);
            }
            connection
        };
        let place = Arc::clone(&self.places).acquire_owned().await;
        Admitted {
            door: Arc::clone(self),
            connection,
            _place: place.expect("the semaphore is never closed"),
        }
    }

    /// Closes the one that has longest sent no whole request.
    pub(super) fn shed(&self) {
        self.evict_longest_quiet(&mut self.table());
    }

    /// Asks all to end after the request that is under way.
    pub(super) fn close(&self) {
        let table = self.table();
        table
            .all
            .by_id
            .values()
            .for_each(|some| some.end.notify_one());
    }

    pub(super) fn count(&self, why: Closed) {
        self.closed[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// This connection has sent a whole request.
    pub(super) fn request_is_whole(&self, connection: &Connection) {
        connection.quiet_since.store(self.now(), Ordering::Relaxed);
        connection.enter(Stage::Answering);
    }

    /// Counts a request that a proxy passes on, until the guard is dropped.
    pub(super) fn begin(
        self: &Arc<Door>,
        connection: &Arc<Connection>,
        client: IpAddr,
    ) -> UnderWay {
        let address = Address::from(client);
        // What this connection carried before was another client's.
        connection.quiet_since.store(self.now(), Ordering::Relaxed);
        let mut table = self.table();
        self.make_room_for(&mut table, address);
        // It may have been told to go meanwhile: then it is gone in a moment, and so is this.
        table.by_address.entry(address).or_default().add(connection);
        UnderWay {
            door: Arc::clone(self),
            id: connection.id,
            address,
        }
    }

    fn make_room_for(&self, table: &mut Table, address: Address) {
        let Some(same) = table.by_address.get_mut(&address) else {
            return;
        };
        let limit = self.limits.per_address;
        if same.by_id.len() >= limit {
            let is_spared = |some: &Connection| some.is_at(Stage::Answering);
            if let Some(longest) = same.longest_quiet(is_spared, limit / 8) {
                self.evict(table, &longest, Closed::Address);
                table.leave(address, longest.id);
            }
        }
    }

    fn evict_longest_quiet(&self, table: &mut Table) {
        let is_spared = |some: &Connection| some.is_at(Stage::Answering) || some.is_known();
        let limit = self.limits.connections;
        if let Some(longest) = table.all.longest_quiet(is_spared, limit / 8) {
            self.evict(table, &longest, Closed::Full);
        }
    }

    fn evict(&self, table: &mut Table, connection: &Connection, why: Closed) {
        self.count(why);
        self.forget(table, connection);
        connection.is_evicted.store(true, Ordering::Relaxed);
        connection.end.notify_one();
    }

    fn forget(&self, table: &mut Table, connection: &Connection) {
        if table.all.by_id.remove(&connection.id).is_none() {
            return;
        }
        if let Some(address) = connection.address {
            table.leave(address, connection.id);
        }
    }

    /// Microseconds since the start.
    fn now(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table
            .lock()
            .expect("nobody panics while holding the lock")
    }
}

impl Table {
    fn leave(&mut self, address: Address, id: u64) {
        if let Some(same) = self.by_address.get_mut(&address) {
            same.by_id.remove(&id);
            if same.by_id.is_empty() {
                self.by_address.remove(&address);
            }
        }
    }
}

/// Connections among which one may have to go.
#[derive(Debug, Default)]
struct Members {
    by_id: HashMap<u64, Arc<Connection>>,
    /// Those that go next: since when they were quiet when that was found out, and which. Several at once make one cheap.
    next: VecDeque<(u64, u64)>,
    /// They were chosen of all, because nearly all are to be spared.
    spares_none: bool,
}

impl Members {
    fn add(&mut self, connection: &Arc<Connection>) {
        self.by_id.insert(connection.id, Arc::clone(connection));
    }

    /// The one that has longest sent no whole request. Some are spared while there are more than so many others: newcomers
    /// need room as well.
    fn longest_quiet(
        &mut self,
        is_spared: impl Fn(&Connection) -> bool,
        others: usize,
    ) -> Option<Arc<Connection>> {
        // Whoever comes, or sends a whole request, is behind all that were found before: the order stays right.
        while let Some((quiet_since, id)) = self.next.pop_front() {
            let known = self.by_id.get(&id);
            let is_meant = |some: &Connection| self.spares_none || !is_spared(some);
            let found = known.filter(|some| some.quiet_since() == quiet_since && is_meant(some));
            if let Some(found) = found {
                return Some(Arc::clone(found));
            }
        }
        let mut all = self.by_age(|some| !is_spared(some));
        self.spares_none = all.len() <= others;
        if self.spares_none {
            all = self.by_age(|_| true);
        }
        let few = all.len() / 64 + 1;
        if few < all.len() {
            all.select_nth_unstable(few);
            all.truncate(few);
        }
        all.sort_unstable();
        self.next = all.into();
        let (_, id) = self.next.pop_front()?;
        self.by_id.get(&id).cloned()
    }

    fn by_age(&self, is_meant: impl Fn(&Connection) -> bool) -> Vec<(u64, u64)> {
        let meant = self.by_id.values().filter(|some| is_meant(some));
        meant.map(|some| (some.quiet_since(), some.id)).collect()
    }
}

/// How far a connection is with its request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// A head is waited for.
    Head = 0,
    /// A body is waited for.
    Body = 1,
    /// The request is whole.
    Answering = 2,
    /// The answer is written as far as it has bytes; the client may not have taken them.
    Answered = 3,
}

/// One connection, as all parts of the door see it.
#[derive(Debug)]
pub(super) struct Connection {
    id: u64,
    /// `None` for a proxy's.
    address: Option<Address>,
    /// Since when no whole request has come, in microseconds since the start.
    quiet_since: AtomicU64,
    is_known: AtomicBool,
    stage: AtomicU8,
    is_gone: AtomicBool,
    gone: Notify,
    is_evicted: AtomicBool,
    end: Notify,
}

impl Connection {
    fn new(id: u64, address: Option<Address>, now: u64) -> Connection {
        Connection {
            id,
            address,
            quiet_since: AtomicU64::new(now),
            is_known: AtomicBool::new(false),
            stage: AtomicU8::new(Stage::Head as u8),
            is_gone: AtomicBool::new(false),
            gone: Notify::new(),
            is_evicted: AtomicBool::new(false),
            end: Notify::new(),
        }
    }

    pub(super) fn is_at(&self, stage: Stage) -> bool {
        self.stage.load(Ordering::Relaxed) == stage as u8
    }

    pub(super) fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    /// Somebody has shown on it who they are: strangers go before it.
    pub(super) fn vouch(&self) {
        self.is_known.store(true, Ordering::Relaxed);
    }

    fn is_known(&self) -> bool {
        self.is_known.load(Ordering::Relaxed)
    }

    pub(super) fn head_is_read(&self) {
        self.enter(Stage::Body);
    }

    /// The client sends nothing more, though it may still read.
    pub(super) fn hang_up(&self) {
        self.is_gone.store(true, Ordering::Release);
        self.gone.notify_waiters();
    }

    /// Ends when the client sends nothing more.
    pub(super) async fn hung_up(&self) {
        // In this order: from here on nothing is missed.
        let gone = self.gone.notified();
        if !self.is_gone.load(Ordering::Acquire) {
            gone.await;
        }
    }

    /// Ends when the connection is to.
    pub(super) async fn asked_to_end(&self) {
        self.end.notified().await;
    }

    /// Whether it is to end at once.
    pub(super) fn is_evicted(&self) -> bool {
        self.is_evicted.load(Ordering::Relaxed)
    }

    fn quiet_since(&self) -> u64 {
        self.quiet_since.load(Ordering::Relaxed)
    }
}

/// A connection that was let in. Its place is free when this is dropped.
#[derive(Debug)]
pub(super) struct Admitted {
    door: Arc<Door>,
    connection: Arc<Connection>,
    _place: OwnedSemaphorePermit,
}

impl Admitted {
    pub(super) fn door(&self) -> &Arc<Door> {
        &self.door
    }

    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.door.forget(&mut self.door.table(), &self.connection);
    }
}

/// A proxied request that is counted for its client.
#[derive(Debug)]
pub(super) struct UnderWay {
    door: Arc<Door>,
    id: u64,
    address: Address,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.door.table().leave(self.address, self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(connections: usize, per_address: usize) -> Arc<Door> {
        Door::new(Limits {
            connections,
            per_address,
        })
    }

    fn closed(door: &Door, reason: &str) -> u64 {
        let counts = door.counts();
        let found = counts.closed.iter().find(|(name, _)| *name == reason);
        found.expect("a reason").1
    }

    /// Lets somebody in; whoever has to go for it goes.
    async fn enter(door: &Arc<Door>, from: &str, others: &mut Vec<Admitted>) -> u64 {
        let peer: IpAddr = from.parse().expect("an address");
        let (place, ()) = tokio::join!(door.admit(peer, false), async {
            tokio::task::yield_now().await;
            others.retain(|other| !other.connection.is_evicted());
        });
        let id = place.connection.id;
        others.push(place);
        // The next comes later.
        while door.now() == others.last().expect("one").connection.quiet_since() {
            std::hint::spin_loop();
        }
        id
    }

    #[tokio::test]
    async fn the_one_that_has_longest_sent_no_whole_request_goes_and_not_the_newcomer() {
        let door = door(3, 100);
        let mut here = Vec::new();
        for from in ["10.0.0.1", "10.0.0.2", "10.0.0.3"] {
            enter(&door, from, &mut here).await;
        }
        door.request_is_whole(&here[0].connection);
        here[0].connection.enter(Stage::Head);
        let newest = enter(&door, "10.0.0.4", &mut here).await;
        let left: Vec<u64> = here.iter().map(|some| some.connection.id).collect();
        assert_eq!(
            left,
            [1, 3, newest],
            "the second had sent nothing for longest"
        );
        enter(&door, "10.0.0.5", &mut here).await;
        let left: Vec<u64> = here.iter().map(|some| some.connection.id).collect();
        assert_eq!(left, [1, 4, 5]);
        assert_eq!(closed(&door, "full"), 2);
        drop(here);
        assert_eq!(door.counts().open, 0);
        assert!(door.table().by_address.is_empty());
    }

    #[tokio::test]
    async fn one_address_fills_only_its_own_places_and_a_network_of_ipv6_is_one() {
        let door = door(100, 2);
        let mut here = Vec::new();
        let honest = enter(&door, "10.0.0.1", &mut here).await;
        for host in 1..=20 {
            enter(&door, &format!("2001:db8:0:7::{host:x}"), &mut here).await;
        }
        assert_eq!(here.len(), 3, "two of the network, and the other");
        assert_eq!(here[0].connection.id, honest);
        assert_eq!(closed(&door, "address"), 18);
        enter(&door, "2001:db8:0:8::1", &mut here).await;
        enter(&door, "::ffff:10.0.0.1", &mut here).await;
        enter(&door, "10.0.0.1", &mut here).await;
        assert_eq!(
            here.len(),
            5,
            "an address in the form of the other family is the same"
        );
    }

    #[tokio::test]
    async fn whoever_has_shown_a_token_stays_while_strangers_fill_the_rest() {
        let door = door(16, 100);
        let mut here = Vec::new();
        let kiosk = enter(&door, "10.0.0.1", &mut here).await;
        here[0].connection.vouch();
        for host in 1..=50 {
            enter(&door, &format!("10.0.1.{host}"), &mut here).await;
        }
        assert!(here.iter().any(|some| some.connection.id == kiosk));
        // But kiosks alone do not keep the next one out for ever.
        here.iter().for_each(|some| some.connection.vouch());
        let newcomer = enter(&door, "10.0.2.1", &mut here).await;
        let next = enter(&door, "10.0.2.2", &mut here).await;
        let left: Vec<u64> = here.iter().map(|some| some.connection.id).collect();
        assert!(left.contains(&newcomer) && left.contains(&next), "{left:?}");
        assert_eq!(door.counts().open, 16);
    }

    #[tokio::test]
    async fn a_request_that_is_being_answered_is_not_cut_off_for_one_that_may_never_come() {
        let door = door(16, 100);
        let mut here = Vec::new();
        let honest = enter(&door, "10.0.0.1", &mut here).await;
        door.request_is_whole(&here[0].connection);
        for host in 1..=50 {
            enter(&door, &format!("10.0.1.{host}"), &mut here).await;
        }
        assert_eq!(here[0].connection.id, honest);
        here[0].connection.enter(Stage::Answered);
        for host in 1..=50 {
            enter(&door, &format!("10.0.1.{host}"), &mut here).await;
        }
        assert!(here[0].connection.id != honest, "it has its answer");
    }

    #[tokio::test]
    async fn a_proxys_requests_count_for_whoever_asked_and_only_while_they_are_under_way() {
        let door = door(100, 2);
        let proxy: IpAddr = "10.0.0.9".parse().expect("an address");
        let client: IpAddr = "203.0.113.1".parse().expect("an address");
        let mut connections = Vec::new();
        for _ in 0..10 {
            connections.push(door.admit(proxy, true).await);
        }
        assert_eq!(closed(&door, "address"), 0, "they are one proxy's");
        for one in &connections {
            drop(door.begin(&one.connection, client));
        }
        assert_eq!(closed(&door, "address"), 0, "one after the other");
        let mut under_way = Vec::new();
        for one in &connections[..3] {
            std::thread::yield_now();
            under_way.push(door.begin(&one.connection, client));
        }
        assert_eq!(closed(&door, "address"), 1);
        let other: IpAddr = "203.0.113.2".parse().expect("an address");
        let _other = door.begin(&connections[4].connection, other);
        assert_eq!(closed(&door, "address"), 1, "another client's count apart");
        drop((under_way, connections));
    }
}
