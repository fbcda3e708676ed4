//! Sockets that wait in the kiosk's loop: connecting, sending and receiving never keep it from a key.
//!
//! A transport of ureq's must be `Send + Sync + 'static`, so the loop is reached through a thread-local: [`awake`] lends it
//! for the time of one call. ureq's `unversioned` modules may change in a minor version; nothing else here knows of them.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};
use scoped_tls_hkt::scoped_thread_local;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, RustlsConnector, Transport,
};
use ureq::{Error, Timeout};

use crate::kiosk::ports::{Awake, Idle, Patience, Socket};

scoped_thread_local! {
    /// Who waits for the call that is under way on this thread.
    static mut WAITS: dyn Awake
}

thread_local! {
    /// Whether the loop has given that call up.
    static ABANDONED: Cell<bool> = const { Cell::new(false) };
}

/// Makes a call in which every wait is the loop's.
pub fn awake<T>(idle: Idle<'_>, call: impl FnOnce() -> T) -> T {
    ABANDONED.set(false);
    WAITS.set(idle, call)
}

/// Whether the loop has given the last call up: a key, or something else that is more urgent.
pub fn was_abandoned() -> bool {
    ABANDONED.get()
}

/// When a wait is over, and why.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Option<Instant>,
    reason: Timeout,
}

impl Deadline {
    /// The deadline that ureq sets.
    pub fn of(timeout: NextTimeout) -> Deadline {
        Deadline {
            at: timeout.not_zero().map(|after| Instant::now() + *after),
            reason: timeout.reason,
        }
    }

    /// The same, but so much time at most from now.
    pub fn within(self, time: Duration) -> Deadline {
        let at = Instant::now() + time;
        Deadline {
            at: Some(self.at.map_or(at, |earlier| earlier.min(at))),
            ..self
        }
    }

    fn left(&self) -> Result<Duration, Error> {
        let Some(at) = self.at else {
            return Ok(Duration::MAX);
        };
        match at.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(Error::Timeout(self.reason)),
            left => Ok(left),
        }
    }
}

/// Waits for the socket, or for less. An error if the time is up, or the loop gives the call up.
pub fn wait(socket: Socket<'_>, deadline: &Deadline) -> Result<(), Error> {
    let left = deadline.left()?;
    match WAITS.with(|idle| idle.wait(Some(socket), left)) {
        Patience::Wait => Ok(()),
        Patience::Abandon => {
            ABANDONED.set(true);
            // Never `ErrorKind::Interrupted`: `write_all` and rustls would try again for ever.
            Err(Error::Other("given up for something more urgent".into()))
        }
    }
}

/// Opens sockets.
#[derive(Debug)]
pub struct SocketConnector;

impl Connector for SocketConnector {
    type Out = SocketTransport;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _chained: Option<()>,
    ) -> Result<Option<SocketTransport>, Error> {
        let whole = Deadline::of(details.timeout);
        let mut failed = Error::ConnectionFailed;
        let mut addresses = details.addrs.iter();
        while let Some(address) = addresses.next() {
            // Each address gets half of what is left, the last one all of it.
            let share = if addresses.len() == 0 { 1 } else { 2 };
            let deadline = whole.within(whole.left()? / share);
            match connect(*address, &deadline) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    notice_silence(&stream).map_err(io::Error::from)?;
                    let buffers = LazyBuffers::new(
                        details.config.input_buffer_size(),
                        details.config.output_buffer_size(),
                    );
                    return Ok(Some(SocketTransport { stream, buffers }));
                }
                Err(error) if was_abandoned() => return Err(error),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

fn connect(address: SocketAddr, deadline: &Deadline) -> Result<TcpStream, Error> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))
        .map_err(io::Error::from)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) => return Ok(socket.into()),
        Err(Errno::INPROGRESS) => {}
        Err(error) => return Err(io::Error::from(error).into()),
    }
    loop {
        wait(
            Socket {
                file: socket.as_fd(),
                to_write: true,
            },
            deadline,
        )?;
        // Nothing is told before the connection stands, or has failed: a wait may end early.
        sockopt::socket_error(&socket)
            .map_err(io::Error::from)?
            .map_err(io::Error::from)?;
        if rustix::net::getpeername(&socket).is_ok() {
            return Ok(socket.into());
        }
    }
}

/// A long poll is silent for long, and so is a router that has lost its power: the kernel asks now and then.
fn notice_silence(stream: &TcpStream) -> rustix::io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(4))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(2))?;
    sockopt::set_tcp_keepcnt(stream, 3)
}

/// TLS by the agent's own settings, in one session for all its connections.
///
/// A request has its own deadline at most. ureq would build TLS anew for it, and remember no session.
#[derive(Debug, Default)]
pub struct TlsConnector(RustlsConnector);

impl Connector<SocketTransport> for TlsConnector {
    type Out = <RustlsConnector as Connector<SocketTransport>>::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<SocketTransport>,
    ) -> Result<Option<Self::Out>, Error> {
        let details = ConnectionDetails {
            request_level: false,
            uri: details.uri,
            addrs: details.addrs.clone(),
            config: details.config,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: details.register_shutdown.clone(),
        };
        self.0.connect(&details, chained)
    }
}

/// A connection.
pub struct SocketTransport {
    stream: TcpStream,
    buffers: LazyBuffers,
}

impl SocketTransport {
    /// Does this until it need not wait any longer.
    fn until_done<T>(
        stream: &TcpStream,
        to_write: bool,
        timeout: NextTimeout,
        mut work: impl FnMut() -> io::Result<T>,
    ) -> Result<T, Error> {
        let deadline = Deadline::of(timeout);
        loop {
            match work() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait(
                    Socket {
                        file: stream.as_fd(),
                        to_write,
                    },
                    &deadline,
                )?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return Ok(done?),
            }
        }
    }
}

impl Transport for SocketTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let SocketTransport { stream, buffers } = self;
        let mut rest = &buffers.output()[..amount];
        while !rest.is_empty() {
            let sent =
                Self::until_done(stream, true, timeout.for_write(), || (&*stream).write(rest))?;
            rest = &rest[sent..];
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let SocketTransport { stream, buffers } = self;
        let free = buffers.input_append_buf();
        let amount = Self::until_done(stream, false, timeout.for_read(), || (&*stream).read(free))?;
        buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        // Open and silent: an end, or bytes that nobody asked for, are both readable.
        let probe = self.stream.peek(&mut [0]);
        probe.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl fmt::Debug for SocketTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketTransport")
            .field("peer", &self.stream.peer_addr().ok())
            .finish()
    }
}
