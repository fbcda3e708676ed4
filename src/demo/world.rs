//! The demo's small world: secrets made at the first start, three servers on free ports, one kiosk.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::cli::Failure;
use crate::demo::Arguments;
use crate::demo::gallery::Gallery;
use crate::files;
use crate::http;
use crate::kiosk::Kiosk;
use crate::kiosk::board::Board;
use crate::kiosk::board::desk::Links;
use crate::kiosk::board::file::BoardFile;
use crate::kiosk::config::Config;
use crate::kiosk::machine::event::Key;
use crate::kiosk::machine::screen::Language;
use crate::kiosk::runner::Witness;
use crate::merchant::config::token_digest;
use crate::merchant::{self, Merchant};
use crate::money::Fen;
use crate::paysim;
use crate::random;
use crate::selpay::add_order::ScanRules;

/// The key that stands in the platform's own document. It is public by nature.
const APP_KEY: &str = "5f53481517b449b0a8c8dbe808d8bf5c";
const MCH_ID: &str = "7551000001";

/// Everything that is needed for a sale, running.
pub struct World {
    runtime: Runtime,
    kiosk: Kiosk,
    board: Board,
    stop: Arc<AtomicBool>,
    stop_servers: watch::Sender<bool>,
    platform: SocketAddr,
    merchant: SocketAddr,
    password: String,
    _dir: Option<TempDir>,
}

impl World {
    /// Opens it: servers first, so that the kiosk finds them. `total` is what an unattended sale will be for.
    pub fn open(arguments: &Arguments, total: Option<Fen>) -> Result<World, Failure> {
        let (dir, temporary) = data_dir(arguments.dir.as_deref())?;
        let secrets = Secrets::at(&dir).context(dir.display().to_string())?;
        let bind = || {
            TcpListener::bind((arguments.listen, 0))
                .with_context(|| format!("--listen {}", arguments.listen))
        };
        let (for_platform, for_merchant) = (bind()?, bind()?);
        let (platform, merchant) = (for_platform.local_addr()?, for_merchant.local_addr()?);
        let merchant_file = write_merchant_file(&dir, merchant, &secrets.token)?;

        let runtime = Runtime::new()?;
        let (stop_servers, stopped) = watch::channel(false);
        let until_stopped = move || {
            let mut stopped = stopped.clone();
            // The sender lives in the world: an error means that it has ended.
            async move { drop(stopped.wait_for(|stopped| *stopped).await) }
        };
        let simulated = paysim::Config {
            notify_url: format!("http://{merchant}/notify"),
            sign_key: secrets.sign_key.clone(),
            app_key: Some(APP_KEY.to_owned()),
            public_url: None,
            mch_id: MCH_ID.to_owned(),
            speed: 1.0,
            varies: false,
        };
        runtime.spawn(paysim::serve(for_platform, simulated, until_stopped()));
        let books = Merchant::open(merchant::config::Config::load(&merchant_file)?, None)
            .context("the merchant's database")?;
        runtime.spawn(books.serve(for_merchant, until_stopped()));

        let mut board_file = BoardFile::parse(
            Path::new("boards/desk.toml"),
            include_str!("../../boards/desk.toml"),
        )?;
        board_file.desk_listen = SocketAddr::new(arguments.listen, 0);
        let mut board = Board::open(&board_file).context("boards/desk.toml")?;
        if let Some(screens) = &arguments.screens {
            std::fs::create_dir_all(screens).with_context(|| screens.display().to_string())?;
            board.panel = Box::new(Gallery::new(board.panel, screens.clone()));
        }
        let config = Config {
            kiosk: "kiosk-1".parse().context("our own name is one")?,
            board: PathBuf::from("boards/desk.toml"),
            app_key: APP_KEY.to_owned(),
            platform_url: format!("http://{platform}/prod-api"),
            // Only here may plain HTTP be drawn for an address that is not loopback.
            scan_rules: ScanRules {
                plain_http: true,
                ..ScanRules::of(vec![platform.to_string()])
            },
            platform_time: Duration::from_secs(10),
            merchant_url: format!("http://{merchant}"),
            merchant_ca_file: None,
            token: secrets.token.clone(),
            journal: dir.join("journal"),
            language: Language::Zh,
            max_total: total
                .map_or(Fen::new(100_000), Some)
                .max(Fen::new(100_000))
                .unwrap_or(Fen::MAX),
            pay_time: Duration::from_secs(arguments.expire),
            service_phone: Some("400-000-0000".to_owned()),
            resumes_claims: true,
            watchdog: None,
        };
        let world = World {
            kiosk: Kiosk::open(&config, &board)?,
            runtime,
            board,
            stop: Arc::new(AtomicBool::new(false)),
            stop_servers,
            platform,
            merchant,
            password: secrets.password,
            _dir: temporary,
        };
        world.desk().lead_to(Links {
            phone: Some(world.phone_url()),
            console: Some(world.console_url()),
            password: Some(world.password.clone()),
        });
        Ok(world)
    }

    fn desk(&self) -> &crate::kiosk::board::desk::Desk {
        self.board.desk.as_ref().expect("the desk board has a desk")
    }

    /// The page with panel and keypad.
    pub fn kiosk_url(&self) -> String {
        format!("http://{}/", self.desk().address())
    }

    /// The page that is the customer's phone.
    pub fn phone_url(&self) -> String {
        format!("http://{}/phone", self.platform)
    }

    /// The merchant's console.
    pub fn console_url(&self) -> String {
        format!("http://{}/", self.merchant)
    }

    /// The platform's stand-in.
    pub fn platform_url(&self) -> String {
        format!("http://{}", self.platform)
    }

    /// The console's password.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// A finger on the keypad.
    pub fn hand(&self) -> impl Fn(Key) + Send + use<> {
        self.desk().hand()
    }

    /// Ends the world when it is called.
    pub fn end(&self) -> impl Fn() + Send + use<> {
        let stop = Arc::clone(&self.stop);
        move || stop.store(true, Ordering::Relaxed)
    }

    /// Runs the kiosk on this thread, until `ended` or [`World::end`]. How often the relay has moved.
    pub fn run(
        mut self,
        witness: Witness,
        ended: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<u32> {
        let end = self.end();
        self.runtime.spawn(async move {
            ended.await;
            end();
        });
        let stop = Arc::clone(&self.stop);
        let desk = self.board.desk.take();
        let stop = Box::new(move || stop.load(Ordering::Relaxed));
        self.kiosk.run(self.board, stop, witness);
        // The servers end with their last request; nobody may be left to listen.
        let _ = self.stop_servers.send(true);
        let pulses = desk.map_or(0, |desk| desk.pulses());
        self.runtime.shutdown_timeout(http::LEAVE_TIME);
        Ok(pulses)
    }
}

/// What a world must keep secret, made at its first start.
struct Secrets {
    sign_key: String,
    token: String,
    password: String,
}

impl Secrets {
    fn at(dir: &Path) -> anyhow::Result<Secrets> {
        let secret = |name: &str, length: usize| {
            let file = dir.join(name);
            if !file.exists() {
                let hex = format!("{:032x}", random::bits());
                files::write_secret(&file, &hex[..length])?;
            }
            anyhow::Ok(files::read_secret(&file)?)
        };
        Ok(Secrets {
            sign_key: secret("sign.key", 32)?,
            token: secret("token", 32)?,
            password: secret("console.password", 8)?,
        })
    }
}

fn data_dir(wanted: Option<&Path>) -> Result<(PathBuf, Option<TempDir>), Failure> {
    match wanted {
        Some(dir) => {
            std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
            Ok((dir.to_owned(), None))
        }
        None => {
            let dir = tempfile::Builder::new().prefix("selpay-demo-").tempdir()?;
            Ok((dir.path().to_owned(), Some(dir)))
        }
    }
}

/// A real configuration file: the merchant's command line works on the demo as well.
fn write_merchant_file(dir: &Path, listen: SocketAddr, token: &str) -> io::Result<PathBuf> {
    let digest = token_digest(token);
    let text = format!(
        "listen = \"{listen}\"\ndatabase = \"sqlite:merchant.db\"\nsign-key-files = [\"sign.key\"]\nmch-id = \"{MCH_ID}\"\n\
         console-password-file = \"console.password\"\n\n[kiosks]\nkiosk-1 = \"{digest}\"\n"
    );
    let file = dir.join("merchant.toml");
    std::fs::write(&file, text)?;
    Ok(file)
}
