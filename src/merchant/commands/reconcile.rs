//! `merchant reconcile`: the platform's bill beside the books, told to people and written for spreadsheets.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Context;

use super::{books_to_write, yuan};
use crate::cli::Failure;
use crate::files;
use crate::merchant::ledger::{Billed, Disposition, Doubt, RETRIES_END, Time};
use crate::merchant::now;
use crate::merchant::reconcile::bill::{BillMap, Entry};
use crate::merchant::reconcile::{Report, compare};
use crate::merchant::store::{bills, reports, requests};

/// `merchant reconcile`
#[derive(Debug, clap::Args)]
pub struct Reconcile {
    /// The platform's bill, a CSV file
    #[arg(long, value_name = "FILE")]
    bill: PathBuf,
    /// Which columns it has (docs/reconcile/map.toml)
    #[arg(long, value_name = "FILE")]
    map: PathBuf,
    /// Where each difference is to be written, as CSV
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// merchant.toml
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// How many payments of a bill are booked in one commit.
const BOOKED_AT_ONCE: usize = 500;

/// `merchant reconcile`: the differences, and whether nobody must look at them. What is only on the bill is booked, and its
/// money goes back; doing it again changes nothing.
pub fn reconcile(arguments: &Reconcile) -> Result<(String, bool), Failure> {
    let map = BillMap::load(&arguments.map)?;
    let bill = map.read(&arguments.bill)?;
    let mut books = books_to_write(&arguments.config)?;
    let ours = books.read(reports::payments).map_err(anyhow::Error::from)?;
    let found = compare(&bill, &ours);
    let (mut awaited, mut doubted) = (0, 0);
    for some in found.bill_only.chunks(BOOKED_AT_ONCE) {
        let booked = books.change(now(), |books| {
            let book =
                |entry: &Entry| requests::bill(books, &entry.payment(), entry.row().as_bytes());
            some.iter().map(book).collect::<Result<Vec<_>, _>>()
        });
        let booked = booked.map_err(anyhow::Error::from)?;
        let count = |wanted| booked.iter().filter(|billed| **billed == wanted).count();
        awaited += count(Billed::Awaited);
        doubted += count(Billed::Booked(Disposition::Review(Doubt::Gap)));
    }
    let report = differences(&found);
    if let Some(file) = &arguments.report {
        files::replace(file, &report).with_context(|| file.display().to_string())?;
    }
    let sum = |totals: &mut dyn Iterator<Item = u64>| yuan(totals.sum::<u64>() as i64);
    let lines = [
        (
            "matched",
            found.matched as usize,
            yuan(found.matched_total as i64),
        ),
        (
            "only on the bill",
            found.bill_only.len(),
            sum(&mut found.bill_only.iter().map(|entry| entry.total)),
        ),
        (
            "only in the books",
            found.ours_only.len(),
            sum(&mut found.ours_only.iter().map(|(_, total)| *total)),
        ),
        (
            "amount differs",
            found.differs.len(),
            sum(&mut found.differs.iter().map(|(_, ours)| *ours)),
        ),
        (
            "told twice",
            found.doubled.len(),
            sum(&mut found.doubled.iter().map(|entry| entry.total)),
        ),
    ];
    let mut text = String::new();
    for (what, count, total) in lines {
        let _ = writeln!(text, "{what:<18}{count:>10}{total:>16}");
    }
    if awaited > 0 {
        let again = Time(now().0 + RETRIES_END.as_millis() as i64);
        let _ = writeln!(
            text,
            "{awaited} of those only on the bill wait: their sales are open, and their notifications may still come. Hold this \
             bill against the books again after {} (at +08:00)",
            again.stamp()
        );
    }
    if doubted > 0 {
        let _ = writeln!(
            text,
            "{doubted} of those only on the bill are of a time that these books do not know (merchant reviews)"
        );
    }
    text.push_str(match found.is_alarm() {
        true => "SOMEBODY'S BOOKS ARE WRONG: compare what is only in the books, or differs, with the platform",
        false if found.bill_only.is_empty() => "they agree",
        false if found.bill_only.len() == awaited + doubted => "everything else agrees",
        false => "what is only on the bill is a refund due now (merchant refunds)",
    });
    let is_done = !found.is_alarm() && awaited == 0;
    let name = arguments
        .bill
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let bill = bills::Bill {
        at: now(),
        name: name.into_owned(),
        summary: text.clone(),
        is_alarm: !is_done,
    };
    books
        .write(|sql| bills::keep(sql, &bill, &report))
        .map_err(anyhow::Error::from)?;
    Ok((text, is_done))
}

fn differences(found: &Report) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer("\u{feff}".as_bytes().to_vec());
    let told = |writer: &mut csv::Writer<Vec<u8>>| {
        writer.write_record(["what", "transaction", "order", "bill", "books"])?;
        let mut write = |what: &str, entry: &Entry, ours: Option<u64>| {
            let ours = ours.map_or(String::new(), |ours| yuan(ours as i64));
            let bill = yuan(entry.total as i64);
            let (transaction, order) = (entry.transaction.as_str(), entry.order.as_str());
            writer.write_record([what, transaction, order, &bill, &ours])
        };
        for entry in &found.bill_only {
            write("only on the bill", entry, None)?;
        }
        for (entry, ours) in &found.differs {
            write("amount differs", entry, Some(*ours))?;
        }
        for entry in &found.doubled {
            write("told twice", entry, None)?;
        }
        for (transaction, total) in &found.ours_only {
            let total = yuan(*total as i64);
            writer.write_record(["only in the books", transaction.as_str(), "", "", &total])?;
        }
        writer.flush().map_err(csv::Error::from)
    };
    told(&mut writer).expect("memory takes it, and every row has its columns");
    writer.into_inner().expect("memory takes it")
}
