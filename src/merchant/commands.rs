//! `merchant` on the command line: the server, and the books beside a running one.

mod reconcile;

use std::fmt::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use tokio::runtime::Runtime;

use crate::cli::Failure;
use crate::files::{self, Unusable};
use crate::http;
use crate::ids::{KioskName, TransactionId};
use crate::merchant::config::Config;
use crate::merchant::ledger::{Finding, Time};
use crate::merchant::password::{self, Password};
use crate::merchant::store::books::SqlBooks;
use crate::merchant::store::reports;
use crate::merchant::store::requests;
use crate::merchant::store::{Address, Beside, sqlite};
use crate::merchant::{Merchant, now, tls, tokens};
use crate::selpay::sign::{self, SignKey};
use crate::selpay::xml;

pub use reconcile::{Reconcile, reconcile};

/// `merchant serve`: until SIGINT or SIGTERM. Prints where it listens once it is ready.
pub fn serve(file: &Path) -> Result<(), Failure> {
    let config = Config::load(file)?;
    allow_many_connections();
    check_limits(file, &config)?;
    let (listen, database) = (config.listen, config.database.to_string());
    let notify_path = config.notify_path.clone();
    let certified = config.tls.as_ref().map(tls::Files::read).transpose()?;
    if let Some(Password::Plain(_)) = config.console_password {
        tracing::warn!(
            "the console's password is kept as it is: better write what merchant password prints"
        );
    }
    let scheme = if certified.is_some() { "https" } else { "http" };
    let merchant = Merchant::open(config, certified).context(database)?;
    let listener = TcpListener::bind(listen).with_context(|| format!("listen = {listen}"))?;
    let runtime = Runtime::new()?;
    Ok(runtime.block_on(async {
        // Who is told that we listen may end us at once: the signals are heard from here on.
        let ended = tokio::spawn(http::asked_to_end());
        let file = file.to_owned();
        tokio::spawn(read_again(Arc::clone(&merchant), file));
        tokio::task::yield_now().await;
        let address = listener.local_addr()?;
        tracing::info!(
            "notifications are taken at {scheme}://{address}{notify_path}: give the platform this address, with the host as it \
             is seen from outside"
        );
        println!("listening on {address}");
        merchant.serve(listener, async { drop(ended.await) }).await
    })?)
}

/// Each kiosk that waits holds a connection: as many as the system lets us.
fn allow_many_connections() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    let all = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, all) {
        tracing::warn!("few connections may be open at once: {error}");
    }
}

/// A limit that the file descriptors do not allow would never be reached.
fn check_limits(file: &Path, config: &Config) -> Result<(), Failure> {
    let descriptors = http::Limits::descriptors();
    match config.connections {
        Some(connections) if connections >= descriptors => {
            let told = format!(
                "the system allows {descriptors} file descriptors, which are for files as well: write at most {}, or raise \
                 LimitNOFILE",
                http::Limits::default_connections()
            );
            Err(Unusable::field(file, "limits.connections", told).into())
        }
        _ => Ok(()),
    }
}

/// At each SIGHUP the signing keys are read again: a new one counts, and one that was taken out does no more. So is the
/// certificate. What cannot be read changes nothing.
async fn read_again(merchant: Arc<Merchant>, file: PathBuf) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut asked) = signal(SignalKind::hangup()) else {
        return tracing::warn!("SIGHUP is not heard: new keys need a restart");
    };
    while asked.recv().await.is_some() {
        let config = match Config::load(&file) {
            Ok(config) => config,
            Err(error) => {
                tracing::error!("everything stays as it is: {error}");
                continue;
            }
        };
        tracing::info!(
            "{} signing keys count from now on",
            config.sign_keys.count()
        );
        merchant.take_keys(config.sign_keys);
        match config.tls.as_ref().map(tls::Files::read) {
            Some(Ok(certified)) => merchant.take_certificate(certified),
            Some(Err(error)) => tracing::error!("the certificate stays as it is: {error}"),
            None => {}
        }
    }
}

/// Whose books, and how they are told.
#[derive(Debug, clap::Args)]
pub struct Books {
    /// merchant.toml
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

/// `merchant refunds`
#[derive(Debug, clap::Args)]
pub struct Refunds {
    #[command(flatten)]
    books: Books,
    /// The money of this payment was sent back; may be given several times
    #[arg(long, value_name = "TRANSACTION")]
    done: Vec<TransactionId>,
}

/// `merchant reviews`
#[derive(Debug, clap::Args)]
pub struct Reviews {
    #[command(flatten)]
    books: Books,
    /// The goods of this payment came out; may be given several times
    #[arg(long, value_name = "TRANSACTION")]
    dispensed: Vec<TransactionId>,
    /// Nothing came out for this payment, its money must go back; may be given several times
    #[arg(long, value_name = "TRANSACTION")]
    refund: Vec<TransactionId>,
}

/// `merchant refunds`: notes which are done, and lists the others.
pub fn refunds(arguments: &Refunds) -> Result<String, Failure> {
    let Books { config, json } = &arguments.books;
    settle(config, &arguments.done, Finding::MoneySent)?;
    list(
        &books(config)?
            .read(reports::refunds)
            .map_err(anyhow::Error::from)?,
        *json,
        "no refund is due",
    )
}

/// `merchant reviews`: settles some, and lists the others.
pub fn reviews(arguments: &Reviews) -> Result<String, Failure> {
    let Books { config, json } = &arguments.books;
    settle(config, &arguments.dispensed, Finding::CameOut)?;
    settle(config, &arguments.refund, Finding::NothingCameOut)?;
    list(
        &books(config)?
            .read(reports::reviews)
            .map_err(anyhow::Error::from)?,
        *json,
        "no review is open",
    )
}

/// Writes down what a person has found out, beside a running server. The first that cannot be settled so ends it.
fn settle(config: &Path, transactions: &[TransactionId], finding: Finding) -> Result<(), Failure> {
    if transactions.is_empty() {
        return Ok(());
    }
    let database = Config::load(config)?.database;
    let mut books = books_to_write(config)?;
    for transaction in transactions {
        let settled = books.change(now(), |books| {
            requests::settle(books, *transaction, finding)
        });
        match settled.with_context(|| database.to_string())? {
            Some(Ok(())) => {}
            Some(Err(disposition)) => {
                let (state, reason) = disposition.words();
                let stands = format!("{state} {reason}");
                let stands = stands.trim_end();
                return Err(anyhow!(
                    "payment {transaction} is {stands}: there is nothing to settle so"
                )
                .into());
            }
            None => return Err(anyhow!("there is no payment {transaction} in the books").into()),
        }
    }
    Ok(())
}

/// `merchant kiosk`: the kiosks' tokens.
#[derive(Debug, clap::Subcommand)]
pub enum Kiosk {
    /// Make a token for a kiosk, and print it: it is shown this once
    Add(Named),
    /// Revoke every token that was made for a kiosk
    Revoke(Named),
    /// List the tokens that were made, and those of merchant.toml
    List(Books),
}

/// A kiosk by its name.
#[derive(Debug, clap::Args)]
pub struct Named {
    /// The kiosk's name
    name: KioskName,
    /// merchant.toml
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// `merchant kiosk`: what to print. A running server knows of it within a second.
pub fn kiosk(command: &Kiosk) -> Result<String, Failure> {
    match command {
        Kiosk::Add(Named { name, config }) => {
            let mut books = books_to_write(config)?;
            let made = books.write(|sql| tokens::make(sql, *name, now()));
            Ok(made.map_err(anyhow::Error::from)?)
        }
        Kiosk::Revoke(Named { name, config }) => {
            let configured = Config::load(config)?.kiosks;
            if configured.names().contains(name) {
                let told = format!(
                    "take its line out of [kiosks], and restart the server: {name} has its token there"
                );
                return Err(Unusable::new(config, told).into());
            }
            let mut books = books_to_write(config)?;
            let revoked = books.write(|sql| tokens::revoke(sql, *name, now()));
            match revoked.map_err(anyhow::Error::from)? {
                0 => Err(anyhow!("{name} has no token that was made here").into()),
                count => Ok(format!("{count} of {name}'s tokens are revoked")),
            }
        }
        Kiosk::List(Books { config, json }) => {
            let configured = Config::load(config)?.kiosks;
            let made = books(config)?.read(tokens::all);
            let made = made.map_err(anyhow::Error::from)?;
            Ok(list_kiosks(configured.names().into_iter(), &made, *json))
        }
    }
}

fn list_kiosks(
    configured: impl Iterator<Item = KioskName>,
    made: &[tokens::Token],
    json: bool,
) -> String {
    let configured = configured.map(|kiosk| (kiosk, "merchant.toml", None));
    let made = made.iter().map(|token| {
        let state = match token.revoked_at {
            None => "valid",
            Some(_) => "revoked",
        };
        (token.kiosk, state, Some(token.made_at.0))
    });
    let all = configured.chain(made);
    if json {
        let told = all.map(|(kiosk, token, made_at)| {
            serde_json::json!({ "kiosk": kiosk, "token": token, "madeAt": made_at })
        });
        return serde_json::Value::from_iter(told).to_string();
    }
    let lines: Vec<String> = all
        .map(|(kiosk, token, _)| format!("{:<32}  {token}", kiosk.as_str()))
        .collect();
    match lines.is_empty() {
        true => "no kiosk has a token: merchant kiosk add NAME".to_owned(),
        false => lines.join("\n"),
    }
}

/// `merchant backup`
#[derive(Debug, clap::Args)]
pub struct Backup {
    /// Where to
    file: PathBuf,
    /// merchant.toml
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// `merchant backup`: a copy of the books as they stand, while the server runs.
pub fn backup(Backup { file, config }: &Backup) -> Result<String, Failure> {
    let database = Config::load(config)?.database;
    let Address::Sqlite(from) = &database else {
        let told = "PostgreSQL has its own backups: pg_dump, or pg_basebackup with an archive";
        return Err(Unusable::new(config, told).into());
    };
    // Only books that are there already: a wrong path must not begin new ones.
    drop(books(config)?);
    let pages = sqlite::back_up(from, file).with_context(|| file.display().to_string())?;
    Ok(format!("{} holds the books, {pages} bytes", file.display()))
}

/// `merchant password`: what the console's password file should hold, for the password on standard input.
pub fn password() -> Result<String, Failure> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let typed = line.trim_end_matches(['\r', '\n']);
    if typed.is_empty() {
        return Err(anyhow!("type the password, or pipe it in").into());
    }
    password::hash(typed).map_err(|error| anyhow!("{error}").into())
}

/// `merchant restored`
#[derive(Debug, clap::Args)]
pub struct Restored {
    /// When the copy was made, at +08:00; if it is not given, the last moment that the books know of
    #[arg(long, value_name = "YYYYMMDDHHMMSS", value_parser = Time::read_stamp)]
    since: Option<Time>,
    /// merchant.toml
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// `merchant restored`: the books were put back from a copy. What happened since the copy was made they do not know: what
/// was paid and unsettled then, and what the platform tells of that time, a person must look at.
pub fn restored(Restored { since, config }: &Restored) -> Result<String, Failure> {
    /// Books that know of something so recent have a server at work already.
    const RECENT: u64 = 600;
    let mut books = books_to_write(config)?;
    let now = now();
    let last = books
        .read(reports::last_moment)
        .map_err(anyhow::Error::from)?;
    if since.is_none() && now.seconds_since(last) < RECENT {
        let told = format!(
            "these books know of something at {}: does a server run on them already? Stop it, and say when the copy was made: \
             --since YYYYMMDDHHMMSS",
            last.stamp()
        );
        return Err(Unusable::new(config, told).into());
    }
    let since = since.unwrap_or(last);
    let (doubted, refunds, reviews) = books
        .write(|sql| {
            let noted = [since.0.into(), now.0.into()];
            sql.execute("INSERT INTO gaps (began, ended) VALUES (?1, ?2)", &noted)?;
            // Who logged out since, or whose password was changed, must not be in again.
            sql.execute("DELETE FROM logins", &[])?;
            let glance = reports::glance(sql, now)?;
            let doubted = requests::put_back(&mut SqlBooks { sql, now })?;
            Ok((doubted, glance.refunds.0, glance.reviews.0))
        })
        .map_err(anyhow::Error::from)?;
    Ok(format!(
        "these books know nothing from {} to {} (at +08:00)\n\
         payments that were unsettled, and are to be reviewed now: {doubted}\n\
         refunds and reviews that were open, and may have been settled since: {refunds} and {reviews}\n\
         hold the platform's bill of that time against the books (merchant reconcile), and revoke again the tokens that were \
         revoked since (merchant kiosk)",
        since.stamp(),
        now.stamp()
    ))
}

/// `merchant balance`: the equation, and whether it holds.
pub fn balance(arguments: &Books) -> Result<(String, bool), Failure> {
    let Books { config, json } = arguments;
    let balance = books(config)?
        .read(reports::balance)
        .map_err(anyhow::Error::from)?;
    if *json {
        return Ok((
            serde_json::to_string(&balance).context("a balance is plain data")?,
            balance.holds,
        ));
    }
    let parts = [
        ("dispensed", balance.dispensed),
        ("refund due", balance.refund_due),
        ("refunded", balance.refunded),
        ("under review", balance.review),
        ("waiting", balance.waiting),
    ];
    let mut text = format!("{:<14}{:>14}\n", "verified", yuan(balance.verified));
    for (sign, (name, fen)) in ["=", "+", "+", "+", "+"].iter().zip(parts) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{sign} {name:<12}{:>14}", yuan(fen));
    }
    text.push_str(if balance.holds {
        "it holds"
    } else {
        "IT DOES NOT HOLD: keep the database as it is and look into it"
    });
    Ok((text, balance.holds))
}

/// `merchant verify`
#[derive(Debug, clap::Args)]
pub struct Verify {
    /// The message's body
    body: PathBuf,
    /// A file with the platform's key; may be given several times
    #[arg(long = "sign-key-file", value_name = "FILE", required = true)]
    sign_key_files: Vec<PathBuf>,
}

/// `merchant verify`: what a captured message says and whether it is signed by one of the keys.
pub fn verify(arguments: &Verify) -> Result<(String, bool), Failure> {
    let Verify {
        body,
        sign_key_files: key_files,
    } = arguments;
    let mut keys = Vec::new();
    for file in key_files {
        keys.extend(SignKey::new(&files::read_secret(file)?));
    }
    let bytes = std::fs::read(body).map_err(|error| Unusable::new(body, error.to_string()))?;
    let fields = match xml::read(&bytes) {
        Ok(fields) => fields,
        Err(error) => return Ok((format!("not a message: {error}"), false)),
    };
    let mut text = String::new();
    for (name, value) in fields.iter() {
        let _ = writeln!(text, "{name} = {}", value.escape_debug());
    }
    let _ = writeln!(
        text,
        "\nstring to sign\n{}&key=***\n",
        sign::string_to_sign(&fields)
    );
    for (file, key) in key_files.iter().zip(&keys) {
        let _ = writeln!(
            text,
            "computed with {}: {}",
            file.display(),
            sign::signature(&fields, key)
        );
    }
    let _ = writeln!(
        text,
        "received: {}",
        fields.get("sign").unwrap_or("nothing")
    );
    let verdict = sign::verify(&fields, &keys);
    match verdict {
        Ok(key) => text.push_str(&format!("verified with {}", key_files[key].display())),
        Err(error) => text.push_str(&format!("NOT verified: {error}")),
    }
    Ok((text, verdict.is_ok()))
}

fn books(config: &Path) -> Result<Beside, Failure> {
    let database = Config::load(config)?.database;
    if let Address::Sqlite(file) = &database {
        if !file.exists() {
            let told = "there are no books yet; merchant serve begins them";
            return Err(Unusable::new(file, told).into());
        }
    }
    Ok(Beside::to_read(&database).with_context(|| database.to_string())?)
}

/// The same to write in them. Only books that are there already: a wrong path must not begin new ones.
fn books_to_write(config: &Path) -> Result<Beside, Failure> {
    drop(books(config)?);
    let database = Config::load(config)?.database;
    Ok(Beside::to_write(&database).with_context(|| database.to_string())?)
}

fn list(entries: &[reports::Entry], json: bool, nothing: &str) -> Result<String, Failure> {
    if json {
        return Ok(serde_json::to_string(entries).context("entries are plain data")?);
    }
    if entries.is_empty() {
        return Ok(nothing.to_owned());
    }
    let mut text = format!(
        "{:<32}  {:<32}  {:>12}  reason",
        "transaction", "order number", "amount"
    );
    for entry in entries {
        let amount = yuan(entry.amount);
        let _ = write!(
            text,
            "\n{:<32}  {:<32}  {amount:>12}  {}",
            entry.transaction_id, entry.order_no, entry.reason
        );
    }
    Ok(text)
}

/// Fen as yuan, for people. Totals of the books may be more than one sale's maximum.
pub fn yuan(fen: i64) -> String {
    format!("{}.{:02}", fen / 100, fen % 100)
}
