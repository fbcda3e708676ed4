//! `merchant quarantine`: notifications that were refused, listed, shown as they came, judged again.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::anyhow;

use super::{Books, ConfigFile, books, books_to_write, foreign, yuan};
use crate::cli::{self, Failure};
use crate::merchant::config::Config;
use crate::merchant::ledger::Verdict;
use crate::merchant::notify::{self, Particulars, Worth, shown};
use crate::merchant::now;
use crate::merchant::store::books::SqlBooks;
use crate::merchant::store::quarantine::{self, Kept};
use crate::merchant::store::{Beside, note_attempt, requests};
use crate::selpay::notification::Payment;

/// `merchant quarantine`
#[derive(Debug, clap::Subcommand)]
pub enum Quarantine {
    /// List the notifications that were refused, newest first
    List(Books),
    /// Print the body of one exactly as it came
    Show(Show),
    /// Judge all of them again under the keys of today; what is verified now is booked
    Retry(ConfigFile),
}

/// `merchant quarantine show`
#[derive(Debug, clap::Args)]
pub struct Show {
    /// Its name in the list
    id: String,
    /// merchant.toml
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// `merchant quarantine`: prints what was asked for. A key is read only to judge again.
pub fn quarantine(command: &Quarantine) -> Result<(), Failure> {
    match command {
        Quarantine::List(Books { config, json }) => {
            let kept = all(&mut books(config)?)?;
            Ok(cli::print(&match json {
                true => as_json(&kept),
                false => as_lines(&kept),
            })?)
        }
        Quarantine::Show(Show { id, config }) => {
            let kept = all(&mut books(config)?)?.into_iter();
            let mut found = kept.filter(|kept| kept.id == *id);
            let found = found
                .next()
                .ok_or_else(|| anyhow!("there is no {id}: see merchant quarantine list"))?;
            let mut out = io::stdout().lock();
            match out.write_all(&found.body).and_then(|()| out.flush()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                written => Ok(written?),
            }
        }
        Quarantine::Retry(ConfigFile { config }) => {
            let judges = Config::load(config)?;
            Ok(cli::print(&retry(&judges, books_to_write(config)?)?)?)
        }
    }
}

fn all(books: &mut Beside) -> Result<Vec<Kept>, Failure> {
    Ok(books.read(quarantine::all).map_err(anyhow::Error::from)?)
}

fn as_json(kept: &[Kept]) -> String {
    let told = kept.iter().map(|kept| {
        let says = Particulars::of(&kept.body);
        let text = |of: fn(&Particulars) -> &String| {
            let text = says.as_ref().map(of);
            text.filter(|text| !text.is_empty())
        };
        serde_json::json!({
            "id": kept.id,
            "at": kept.at.0,
            "kind": kept.kind,
            "times": kept.times,
            "reason": kept.reason,
            "orderNo": text(|says| &says.order_no),
            "mchId": text(|says| &says.mch_id),
            "transactionId": text(|says| &says.transaction),
        })
    });
    serde_json::Value::from_iter(told).to_string()
}

fn as_lines(kept: &[Kept]) -> String {
    if kept.is_empty() {
        return "no notification was refused".to_owned();
    }
    let mut text = format!(
        "{:<16}  {:<14}  {:>5}  {:<19}  {:<32}  {:<15}  reason",
        "id", "at (+08:00)", "times", "kind", "order number", "merchant"
    );
    for kept in kept {
        let says = Particulars::of(&kept.body).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n{:<16}  {:<14}  {:>5}  {:<19}  {:<32}  {:<15}  {}",
            kept.id,
            kept.at.stamp(),
            kept.times,
            kept.kind,
            shown(&says.order_no, 32),
            shown(&says.mch_id, 15),
            shown(&kept.reason, 200),
        );
    }
    text
}

/// Judges everything again, the oldest first, and books what is verified now as if it had just come.
fn retry(judges: &Config, mut books: Beside) -> Result<String, Failure> {
    let (mut text, mut booked, mut known, mut refused) = (String::new(), 0, 0, 0);
    for kept in all(&mut books)?.iter().rev() {
        let (worth, _) = notify::judge(&kept.body, &judges.sign_keys, &judges.mch_ids);
        match worth {
            Worth::Payment(payment) => {
                let paid = books.write(|sql| {
                    sql.take_turn()?;
                    let now = now();
                    let verdict = requests::pay(&mut SqlBooks { sql, now }, &payment, &kept.body)?;
                    if verdict != Verdict::Contradiction {
                        quarantine::forget(sql, kept)?;
                    }
                    Ok(verdict)
                });
                match paid.map_err(anyhow::Error::from)? {
                    Verdict::Known => known += 1,
                    verdict => {
                        booked += usize::from(verdict != Verdict::Contradiction);
                        let _ = writeln!(text, "{}  {}", kept.id, told(&payment, verdict));
                    }
                }
            }
            Worth::Attempt(attempt) => {
                let noted = books.write(|sql| {
                    note_attempt(sql, now(), &attempt)?;
                    quarantine::forget(sql, kept)
                });
                noted.map_err(anyhow::Error::from)?;
                let what = shown(&attempt.what, 200);
                let _ = writeln!(text, "{}  nothing was paid: {what}", kept.id);
            }
            _ => refused += 1,
        }
    }
    let _ = write!(
        text,
        "payments that are booked now: {booked}; that were in the books: {known}; still refused: {refused}"
    );
    Ok(text)
}

/// What has become of a payment.
fn told(payment: &Payment, verdict: Verdict) -> String {
    let amount = match &payment.fee_type {
        None => yuan(payment.total as i64),
        Some(currency) => foreign(payment.total as i64, currency),
    };
    let Payment {
        transaction, order, ..
    } = payment;
    let became = match verdict {
        Verdict::Pays(sale) => format!("pays sale {sale}"),
        Verdict::Known => "is known".to_owned(),
        Verdict::Refund(reason) => format!("goes back: {}", reason.as_str()),
        Verdict::Review(doubt) => format!("must be looked at: {}", doubt.as_str()),
        Verdict::Contradiction => {
            "is known with another number or amount: nothing was changed".to_owned()
        }
    };
    format!("payment {transaction} of {amount} on order {order} {became}")
}
