//! A network between the kiosk and a server: it can fall silent, drip, or break what goes through it.
#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]
#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What becomes of the bytes that a server sends back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Weather {
    /// They pass.
    Fair,
    /// Nothing passes, and nobody is told.
    Silence,
    /// One byte passes in a second.
    Drip,
    /// The connection breaks instead.
    Reset,
}

/// A port that leads to a server.
pub struct Network {
    pub address: SocketAddr,
    weather: Arc<Mutex<Weather>>,
}

impl Network {
    /// Before the server at this address. Its threads end with the process.
    pub fn before(server: &str) -> Network {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let weather = Arc::new(Mutex::new(Weather::Fair));
        let (server, seen) = (server.to_owned(), Arc::clone(&weather));
        thread::spawn(move || {
            for inner in listener.incoming() {
                let (Ok(inner), Ok(outer)) = (inner, TcpStream::connect(&server)) else {
                    continue;
                };
                for side in [&inner, &outer] {
                    side.set_nodelay(true).expect("set");
                }
                let (there, here) = (pair(&inner, &outer), pair(&outer, &inner));
                let seen = Arc::clone(&seen);
                thread::spawn(move || carry(there, || Weather::Fair));
                thread::spawn(move || carry(here, || *seen.lock().expect("whole")));
            }
        });
        Network { address, weather }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// From now on.
    pub fn turns(&self, weather: Weather) {
        *self.weather.lock().expect("whole") = weather;
    }
}

fn pair(from: &TcpStream, to: &TcpStream) -> (TcpStream, TcpStream) {
    let clone = |stream: &TcpStream| stream.try_clone().expect("a second handle");
    (clone(from), clone(to))
}

/// Carries bytes until one side ends.
fn carry((mut from, mut to): (TcpStream, TcpStream), weather: impl Fn() -> Weather) {
    let mut bytes = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        let sent = match weather() {
            Weather::Fair => to.write_all(&bytes[..length]),
            Weather::Silence => Ok(()),
            Weather::Drip => bytes[..length].iter().try_for_each(|byte| {
                thread::sleep(Duration::from_secs(1));
                to.write_all(&[*byte])
            }),
            Weather::Reset => break,
        };
        if sent.is_err() {
            break;
        }
    }
    // Either side may be gone already.
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
