//! `merchant` on the command line: the server, and the books beside a running one.

mod quarantine;
mod reconcile;

use std::fmt::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::runtime::Runtime;

use crate::cli::Failure;
use crate::files::{self, Unusable};
use crate::http;
use crate::ids::{KioskName, TransactionId};
use crate::merchant::config::{Config, Kiosks, token_digest};
use crate::merchant::ledger::{Finding, Time};
use crate::merchant::password::{self, Password};
use crate::merchant::store::books::SqlBooks;
use crate::merchant::store::logins;
use crate::merchant::store::reports;
use crate::merchant::store::requests;
use crate::merchant::store::sql::Sql;
use crate::merchant::store::sums;
use crate::merchant::store::{Address, Beside, sqlite};
use crate::merchant::{Merchant, now, tls, tokens};
use crate::random;
use crate::selpay::sign::{self, SignKey};
use crate::selpay::xml;

pub use quarantine::{Quarantine, quarantine};
pub use reconcile::{Reconcile, reconcile};

/// Whose server, or books.
#[derive(Debug, clap::Args)]
pub struct ConfigFile {
    /// merchant.toml
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

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

/// At each SIGHUP the signing keys and the kiosks' tokens are read again: a new one counts, and one that was taken out does no
/// more. So is the certificate. What cannot be read changes nothing.
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
            "{} signing keys and {} kiosks of {} count from now on",
            config.sign_keys.count(),
            config.kiosks.names().len(),
            file.display()
        );
        merchant.take_keys(config.sign_keys);
        merchant.take_kiosks(config.kiosks);
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
    let database = Config::load_database(config)?;
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
    /// Revoke every token of a kiosk: those that were made for it, and the one of merchant.toml
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
            let theirs = configured.digests().filter(|(_, kiosk)| kiosk == name);
            let theirs: Vec<String> = theirs.map(|(digest, _)| digest.to_owned()).collect();
            let mut books = books_to_write(config)?;
            let revoked = books.write(|sql| tokens::revoke(sql, *name, &theirs, now()));
            match revoked.map_err(anyhow::Error::from)? {
                0 => Err(anyhow!("{name} has no token that counts").into()),
                count => Ok(format!("{count} of {name}'s tokens are revoked")),
            }
        }
        Kiosk::List(Books { config, json }) => {
            let configured = Config::load(config)?.kiosks;
            let made = books(config)?.read(tokens::all);
            let made = made.map_err(anyhow::Error::from)?;
            Ok(list_kiosks(&configured, &made, *json))
        }
    }
}

fn list_kiosks(configured: &Kiosks, made: &[tokens::Token], json: bool) -> String {
    /// A kiosk, what its token is worth, whether it is of merchant.toml, and when it was made.
    type Line = (KioskName, &'static str, bool, Option<i64>);
    let is_revoked = |digest: &str| {
        let mut revoked = made.iter().filter(|token| token.revoked_at.is_some());
        revoked.any(|token| token.digest == digest)
    };
    let of_file = configured.digests().map(|(digest, kiosk)| {
        let state = match is_revoked(digest) {
            true => "revoked",
            false => "merchant.toml",
        };
        (kiosk, state, true, None)
    });
    let mut all: Vec<Line> = of_file.collect();
    all.sort_unstable();
    // Where one of the file was revoked, the books know it as well.
    let made = made
        .iter()
        .filter(|token| configured.of_digest(&token.digest).is_none());
    all.extend(made.map(|token| {
        let state = match token.revoked_at {
            None => "valid",
            Some(_) => "revoked",
        };
        (token.kiosk, state, false, Some(token.made_at.0))
    }));
    if json {
        let told = all.iter().map(|(kiosk, token, of_file, made_at)| {
            let from = if *of_file { "merchant.toml" } else { "books" };
            serde_json::json!({ "kiosk": kiosk, "token": token, "from": from, "madeAt": made_at })
        });
        return serde_json::Value::from_iter(told).to_string();
    }
    let line = |(kiosk, token, of_file, _): &Line| {
        let of_file = match *of_file && *token == "revoked" {
            true => " (merchant.toml)",
            false => "",
        };
        format!("{:<32}  {token}{of_file}", kiosk.as_str())
    };
    match all.is_empty() {
        true => "no kiosk has a token: merchant kiosk add NAME".to_owned(),
        false => all.iter().map(line).collect::<Vec<_>>().join("\n"),
    }
}

/// `merchant console`: ways into the console.
#[derive(Debug, clap::Subcommand)]
pub enum Console {
    /// Print a link into the console, for who sits at the machine: it opens once, within ten minutes
    Link {
        /// merchant.toml
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

/// `merchant console link`: the link to print. Whoever runs this can read the password's file as well.
pub fn console(Console::Link { config }: &Console) -> Result<String, Failure> {
    /// How long the link opens.
    const GOOD_FOR: Duration = Duration::from_secs(600);
    let read = Config::load(config)?;
    let Some(password) = &read.console_password else {
        let told = "the console is off: name a console-password-file first";
        return Err(Unusable::new(config, told).into());
    };
    let code = format!("{:032x}{:032x}", random::bits(), random::bits());
    let digest = token_digest(&password.binds(&code));
    let mut books = books_to_write(config)?;
    let (now, url) = (now(), read.url());
    let noted = books.write(|sql| logins::add_link(sql, &digest, now.after(GOOD_FOR), now));
    noted.map_err(anyhow::Error::from)?;
    Ok(format!("{url}/link/{code}"))
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
    let database = Config::load_database(config)?;
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
            sql.take_turn()?;
            let noted = [since.0.into(), now.0.into()];
            sql.execute("INSERT INTO gaps (began, ended) VALUES (?1, ?2)", &noted)?;
            // Who logged out since, or whose password was changed, must not be in again.
            sql.execute("DELETE FROM logins", &[])?;
            sql.execute("DELETE FROM console_links", &[])?;
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

/// `merchant balance`
#[derive(Debug, clap::Args)]
pub struct Balance {
    #[command(flatten)]
    books: Books,
    /// Count everything from nothing, and compare with the sums that are kept: minutes for millions of payments
    #[arg(long)]
    full: bool,
}

/// `merchant balance`: the equation, and whether it holds.
pub fn balance(arguments: &Balance) -> Result<(String, bool), Failure> {
    let Books { config, json } = &arguments.books;
    let full = arguments.full;
    let count = |sql: &dyn Sql| match full || !sums::are_complete(sql)? {
        true => reports::full_balance(sql),
        false => Ok((reports::balance(sql)?, Vec::new())),
    };
    let counted = books(config)?.read(count);
    let (balance, differences) = counted.map_err(anyhow::Error::from)?;
    for difference in &differences {
        tracing::error!("the sums are wrong: {difference}");
    }
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
        keys.extend(SignKey::new(&files::read_key(file)?));
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
    match &verdict {
        Ok(key) => text.push_str(&format!("verified with {}", key_files[*key].display())),
        Err(error) => text.push_str(&format!("NOT verified: {error}")),
    }
    Ok((text, verdict.is_ok()))
}

fn books(config: &Path) -> Result<Beside, Failure> {
    let database = Config::load_database(config)?;
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
    let database = Config::load_database(config)?;
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
        let amount = amount(entry);
        let _ = write!(
            text,
            "\n{:<32}  {:<32}  {amount:>12}  {}",
            entry.transaction_id, entry.order_no, entry.reason
        );
    }
    Ok(text)
}

/// What was paid, for people: yuan, or what it was instead.
pub fn amount(entry: &reports::Entry) -> String {
    match &entry.currency {
        None => yuan(entry.amount),
        Some(currency) => foreign(entry.amount, currency),
    }
}

/// So many of the smallest units of another currency: nobody here knows how many of them are one.
pub fn foreign(amount: i64, currency: &str) -> String {
    format!("{amount} {currency} (smallest units)")
}

/// Fen as yuan, for people. Totals of the books may be more than one sale's maximum.
pub fn yuan(fen: i64) -> String {
    format!("{}.{:02}", fen / 100, fen % 100)
}
