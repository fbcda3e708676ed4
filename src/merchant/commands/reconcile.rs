//! `merchant reconcile`: the platform's bill beside the books, told to people and written for spreadsheets.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Context;
use sha2::{Digest, Sha256};

use super::{books_to_write, yuan};
use crate::cli::Failure;
use crate::files;
use crate::merchant::ledger::{Billed, Disposition};
use crate::merchant::now;
use crate::merchant::reconcile::bill::{BillMap, Entry};
use crate::merchant::reconcile::{Report, Summary, Tally, Verdict, compare};
use crate::merchant::store::bills::{self, Bill};
use crate::merchant::store::{reports, requests};

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
    let mut summary = found.summary();
    for some in found.bill_only.chunks(BOOKED_AT_ONCE) {
        let booked = books.change(now(), |books| {
            let book =
                |entry: &Entry| requests::bill(books, &entry.payment(), entry.row().as_bytes());
            some.iter().map(book).collect::<Result<Vec<_>, _>>()
        });
        let booked = booked.map_err(anyhow::Error::from)?;
        for billed in booked {
            match billed {
                Billed::Awaited => summary.awaited += 1,
                Billed::Booked(Disposition::Review(_)) => summary.doubted += 1,
                Billed::Booked(_) => summary.refunds += 1,
                Billed::Known => {}
            }
        }
    }
    let report = differences(&found);
    if let Some(file) = &arguments.report {
        files::replace(file, &report).with_context(|| file.display().to_string())?;
    }
    let digest = bill.iter().fold(Sha256::new(), |digest, entry| {
        digest.chain_update(entry.row())
    });
    let digest = digest.finalize();
    let name = arguments.bill.file_name().unwrap_or_default();
    let bill = Bill {
        at: now(),
        name: name.to_string_lossy().into_owned(),
        summary,
    };
    books
        .write(|sql| bills::keep(sql, &bill, &digest, &report))
        .map_err(anyhow::Error::from)?;
    Ok((told(&bill), bill.is_done()))
}

/// What a bill's tallies are called.
const TALLIES: [&str; 5] = [
    "matched",
    "only on the bill",
    "only in the books",
    "amount differs",
    "told twice",
];

/// What the bill came to, as lines.
fn told(bill: &Bill) -> String {
    let summary = &bill.summary;
    let mut text = String::new();
    for (what, Tally { count, total }) in TALLIES.into_iter().zip(summary.tallies()) {
        let total = yuan(total as i64);
        let _ = writeln!(text, "{what:<18}{count:>10}{total:>16}");
    }
    let Summary {
        awaited, doubted, ..
    } = summary;
    if *awaited > 0 {
        let _ = writeln!(
            text,
            "{awaited} of those only on the bill wait: their sales are open, and their notifications may still come. Hold this \
             bill against the books again after {} (at +08:00)",
            bill.tells_all_after().stamp()
        );
    }
    if *doubted > 0 {
        let _ = writeln!(
            text,
            "{doubted} of those only on the bill are of a time that these books do not know (merchant reviews)"
        );
    }
    text.push_str(match summary.verdict() {
        Verdict::Wrong => {
            "SOMEBODY'S BOOKS ARE WRONG: compare what is only in the books, or differs, with the platform"
        }
        Verdict::Agree => "they agree",
        _ if summary.refunds == 0 => "everything else agrees",
        _ if awaited + doubted > 0 => {
            "the others only on the bill are refunds due now (merchant refunds)"
        }
        _ => "what is only on the bill is a refund due now (merchant refunds)",
    });
    text
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
