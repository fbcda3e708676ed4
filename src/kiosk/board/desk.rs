//! The board `desk`: panel, keypad and dispenser on a page in the browser.
//!
//! The page shows the frame exactly as the machine drew it, enlarged by a whole number. Its server runs on a thread
//! of its own; to the kiosk's loop the three devices are like any others. For development and the demo only.

mod devices;

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::http;
use crate::kiosk::machine::event::Key;

/// How long the page waits for something new before it asks again.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// The page and what it shows.
#[derive(Debug)]
pub struct Desk {
    address: SocketAddr,
    page: Arc<Page>,
    /// Where the pressed keys come out, as characters.
    keys: UnixStream,
}

/// What the page's server and the devices share.
#[derive(Debug)]
struct Page {
    shown: watch::Sender<Shown>,
    keys: UnixStream,
    links: Mutex<Links>,
}

/// What is to be seen now.
#[derive(Clone, Debug, Default, Serialize)]
struct Shown {
    version: u64,
    screen: String,
    pulses: u32,
    dispensing: bool,
    #[serde(skip)]
    png: Arc<[u8]>,
}

/// Where the page leads to, if anywhere.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Links {
    /// The customer's phone.
    pub phone: Option<String>,
    /// The merchant's console.
    pub console: Option<String>,
    /// The console's password, where it is no secret.
    pub password: Option<String>,
}

impl Desk {
    /// Opens the page at this address; port 0 is any free one.
    pub fn open(listen: SocketAddr) -> io::Result<Desk> {
        let listener = TcpListener::bind(listen)?;
        let address = listener.local_addr()?;
        let (pressed, keys) = UnixStream::pair()?;
        let page = Arc::new(Page {
            shown: watch::channel(Shown::default()).0,
            keys: pressed,
            links: Mutex::default(),
        });
        let router = router(Arc::clone(&page));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::Builder::new()
            .name("desk".to_owned())
            .spawn(move || {
                // The page lives as long as the process.
                if let Err(error) =
                    runtime.block_on(http::serve(listener, router, std::future::pending()))
                {
                    tracing::error!("the desk's page has ended: {error}");
                }
            })?;
        tracing::info!("the kiosk's page is http://{address}/");
        Ok(Desk {
            address,
            page,
            keys,
        })
    }

    /// Where the page is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the page is to lead to.
    pub fn lead_to(&self, links: Links) {
        *self
            .page
            .links
            .lock()
            .expect("nobody panics while holding the lock") = links;
    }

    /// Presses keys, as the page does.
    pub fn hand(&self) -> impl Fn(Key) + Send + use<> {
        let page = Arc::clone(&self.page);
        // A kiosk that has ended takes no more keys.
        move |key| {
            let _ = page.press(key);
        }
    }

    /// How often the relay has moved.
    pub fn pulses(&self) -> u32 {
        self.page.shown.borrow().pulses
    }
}

impl Page {
    fn press(&self, key: Key) -> io::Result<()> {
        (&self.keys).write_all(&[key.cap() as u8])
    }

    fn show(&self, change: impl FnOnce(&mut Shown)) {
        self.shown.send_modify(|shown| {
            change(shown);
            shown.version += 1;
        });
    }
}

fn router(page: Arc<Page>) -> Router {
    let file = |kind: &'static str, content: &'static str| {
        get(async move || ([(header::CONTENT_TYPE, kind)], content))
    };
    Router::new()
        .route("/", get(index))
        .route("/desk.css", file("text/css", include_str!("desk/desk.css")))
        .route(
            "/desk.js",
            file("text/javascript", include_str!("desk/desk.js")),
        )
        .route("/state", get(state))
        .route("/links", get(links))
        .route("/frame.png", get(frame))
        .route("/key", post(key))
        .with_state(page)
}

async fn index() -> Response {
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:; base-uri 'none'";
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    (headers, include_str!("desk/desk.html")).into_response()
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: u64,
}

/// What is to be seen, as soon as it is newer than what the page has.
async fn state(State(page): State<Arc<Page>>, Query(After { after }): Query<After>) -> Json<Shown> {
    let mut shown = page.shown.subscribe();
    // After a while the page is answered with what it has, and asks again.
    let _ = tokio::time::timeout(LONGEST_WAIT, shown.wait_for(|shown| shown.version > after)).await;
    Json(page.shown.borrow().clone())
}

async fn links(State(page): State<Arc<Page>>) -> Json<Links> {
    Json(
        page.links
            .lock()
            .expect("nobody panics while holding the lock")
            .clone(),
    )
}

async fn frame(State(page): State<Arc<Page>>) -> Response {
    let png = Arc::clone(&page.shown.borrow().png);
    (
        [
            (header::CONTENT_TYPE, "image/png"),
            (header::CACHE_CONTROL, "no-store"),
        ],
        png.to_vec(),
    )
        .into_response()
}

#[derive(Deserialize)]
struct Press {
    key: char,
}

async fn key(State(page): State<Arc<Page>>, Json(press): Json<Press>) -> StatusCode {
    match Key::from_char(press.key) {
        Some(key) if page.press(key).is_ok() => StatusCode::NO_CONTENT,
        Some(_) => StatusCode::GONE,
        None => StatusCode::BAD_REQUEST,
    }
}
