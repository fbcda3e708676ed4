//! `merchant` on the command line: the server, and the books beside a running one.

use std::fmt::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use tokio::runtime::Runtime;

use crate::cli::Failure;
use crate::files::{self, Unusable};
use crate::http;
use crate::ids::TransactionId;
use crate::merchant::config::Config;
use crate::merchant::ledger::Finding;
use crate::merchant::store::reports::{self, Entry};
use crate::merchant::store::requests;
use crate::merchant::store::{Address, Beside};
use crate::merchant::{Merchant, now};
use crate::selpay::sign::{self, SignKey};
use crate::selpay::xml;

/// `merchant serve`: until SIGINT or SIGTERM. Prints where it listens once it is ready.
pub fn serve(config: &Path) -> Result<(), Failure> {
    let config = Config::load(config)?;
    let (listen, database) = (config.listen, config.database.to_string());
    let merchant = Merchant::open(config).context(database)?;
    let listener = TcpListener::bind(listen).with_context(|| format!("listen = {listen}"))?;
    let runtime = Runtime::new()?;
    Ok(runtime.block_on(async {
        // Who is told that we listen may end us at once: the signals are heard from here on.
        let ended = tokio::spawn(http::asked_to_end());
        tokio::task::yield_now().await;
        println!("listening on {}", listener.local_addr()?);
        merchant.serve(listener, async { drop(ended.await) }).await
    })?)
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
    // Only books that are there already: a wrong path must not begin new ones.
    drop(books(config)?);
    let database = Config::load(config)?.database;
    let mut books = Beside::to_write(&database).with_context(|| database.to_string())?;
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

/// `merchant verify`: what a captured message says and whether it is signed by one of the keys.
pub fn verify(body: &Path, key_files: &[impl AsRef<Path>]) -> Result<(String, bool), Failure> {
    let mut keys = Vec::new();
    for file in key_files {
        keys.extend(SignKey::new(&files::read_secret(file.as_ref())?));
    }
    let bytes = std::fs::read(body).map_err(|error| Unusable::new(body, error.to_string()))?;
    let fields = match xml::read(&bytes) {
        Ok(fields) => fields,
        Err(error) => return Ok((format!("not a message: {error}"), false)),
    };
    let mut text = String::new();
    for (name, value) in &fields {
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
            file.as_ref().display(),
            sign::signature(&fields, key)
        );
    }
    let _ = writeln!(
        text,
        "received: {}",
        fields.get("sign").map_or("nothing", String::as_str)
    );
    let verdict = sign::verify(&fields, &keys);
    match verdict {
        Ok(key) => text.push_str(&format!(
            "verified with {}",
            key_files[key].as_ref().display()
        )),
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

fn list(entries: &[Entry], json: bool, nothing: &str) -> Result<String, Failure> {
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
