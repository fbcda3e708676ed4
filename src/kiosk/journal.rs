//! Keeps what the kiosk has promised, so that a power cut cannot make it promise twice.
//!
//! One record is one line of text, appended and flushed to disk before the effect behind it begins. A last line that
//! is cut short is the power cut itself and is left out; anything else that cannot be read means damage, and a damaged
//! journal is never skipped over. When nothing is unsettled the file begins anew, so it stays small.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::files;
use crate::ids::SaleId;
use crate::kiosk::machine::effect::{Fact, Record};
use crate::kiosk::ports::Journal;
use crate::money::Fen;
use crate::sale::Outcome;

/// A journal in a file.
#[derive(Debug)]
pub struct FileJournal {
    path: PathBuf,
    file: File,
    unsettled: HashSet<SaleId>,
    length: u64,
}

/// The journal holds something that this program never wrote.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the journal is damaged in line {line}")]
pub struct Damaged {
    /// The first line that makes no sense.
    pub line: usize,
}

/// Above this many bytes the file begins anew as soon as nothing is unsettled.
const LONG: u64 = 64 * 1024;

impl FileJournal {
    /// Opens the journal, or begins one; what it says of sales that are not settled, in order.
    pub fn open(path: &Path) -> io::Result<(FileJournal, anyhow::Result<Vec<Record>>)> {
        let file = File::options()
            .create(true)
            .append(true)
            .read(true)
            .open(path)?;
        sync_directory(path)?;
        let text = fs::read(path)?;
        let mut journal = FileJournal {
            path: path.to_owned(),
            file,
            unsettled: HashSet::new(),
            length: text.len() as u64,
        };
        let replayed = match replay(&text) {
            Ok(replayed) => replayed,
            Err(damaged) => return Ok((journal, Err(damaged.into()))),
        };
        if replayed.whole < text.len() {
            journal.file.set_len(replayed.whole as u64)?;
            journal.length = replayed.whole as u64;
        }
        journal.unsettled = replayed.records.iter().map(|record| record.sale).collect();
        Ok((journal, Ok(replayed.records)))
    }
}

/// What the journal at `path` says of sales that are not settled, in order. Changes nothing.
pub fn read(path: &Path) -> anyhow::Result<Vec<Record>> {
    Ok(replay(&fs::read(path)?)?.records)
}

/// A journal's text, read.
struct Replayed {
    /// The records of sales that are not settled, in order.
    records: Vec<Record>,
    /// How many bytes of it are whole lines. What is behind them was being written when the power went.
    whole: usize,
}

fn replay(text: &[u8]) -> Result<Replayed, Damaged> {
    let last_end = text.iter().rposition(|&byte| byte == b'\n');
    let whole = last_end.map_or(0, |last| last + 1);
    let mut records = Vec::new();
    let mut unsettled = HashSet::new();
    let lines = text[..whole].split_inclusive(|&byte| byte == b'\n');
    for (number, line) in lines.enumerate() {
        let line = std::str::from_utf8(line).ok();
        let record = line.and_then(|line| record_in(line.strip_suffix('\n')?));
        let record = record.ok_or(Damaged { line: number + 1 })?;
        keep_count(&mut unsettled, &record);
        records.push(record);
    }
    records.retain(|record| unsettled.contains(&record.sale));
    Ok(Replayed { records, whole })
}

fn keep_count(unsettled: &mut HashSet<SaleId>, record: &Record) {
    match record.fact {
        Fact::Settled => unsettled.remove(&record.sale),
        _ => unsettled.insert(record.sale),
    };
}

impl Journal for FileJournal {
    fn append(&mut self, record: &Record) -> io::Result<()> {
        let line = line_of(record);
        self.file.write_all(line.as_bytes())?;
        self.file.sync_data()?;
        self.length += line.len() as u64;
        keep_count(&mut self.unsettled, record);
        if self.unsettled.is_empty() && self.length > LONG {
            files::replace(&self.path, b"")?;
            self.file = File::options().append(true).read(true).open(&self.path)?;
            sync_directory(&self.path)?;
            self.length = 0;
        }
        Ok(())
    }
}

/// A new name in a directory is only there after a power cut if the directory was flushed as well.
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path
        .parent()
        .filter(|directory| !directory.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

fn line_of(record: &Record) -> String {
    let sale = record.sale;
    match record.fact {
        Fact::Sale(total) => format!("{sale} sale {}\n", total.get()),
        Fact::Order(order) => format!("{sale} order {order}\n"),
        Fact::Claim(claim) => format!("{sale} claim {claim}\n"),
        Fact::Start => format!("{sale} start\n"),
        Fact::Done(outcome) => format!("{sale} done {}\n", outcome.status()),
        Fact::Closing => format!("{sale} closing\n"),
        Fact::Settled => format!("{sale} settled\n"),
    }
}

fn record_in(line: &str) -> Option<Record> {
    let words: Vec<&str> = line.split(' ').collect();
    let fact = match words[1..] {
        ["sale", total] => Fact::Sale(Fen::new(total.parse().ok()?)?),
        ["order", order] => Fact::Order(order.parse().ok()?),
        ["claim", claim] => Fact::Claim(claim.parse().ok()?),
        ["start"] => Fact::Start,
        ["done", word] => Fact::Done(
            [Outcome::Dispensed, Outcome::NotDispensed, Outcome::Unknown]
                .into_iter()
                .find(|o| o.status().as_str() == word)?,
        ),
        ["closing"] => Fact::Closing,
        ["settled"] => Fact::Settled,
        _ => return None,
    };
    Some(Record {
        sale: words[0].parse().ok()?,
        fact,
    })
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use super::*;
    use crate::ids::{ClaimId, OrderNo};

    fn facts() -> Vec<Fact> {
        vec![
            Fact::Sale(Fen::new(350).expect("an amount")),
            Fact::Order(OrderNo::from_random(2)),
            Fact::Claim(ClaimId::from_random(3)),
            Fact::Start,
            Fact::Done(Outcome::NotDispensed),
            Fact::Closing,
        ]
    }

    fn records(sale: SaleId) -> Vec<Record> {
        facts()
            .into_iter()
            .map(|fact| Record { sale, fact })
            .collect()
    }

    /// What the journal at `path` says when the kiosk starts.
    fn remembered(path: &Path) -> anyhow::Result<Vec<Record>> {
        FileJournal::open(path).expect("opened").1
    }

    #[test]
    fn what_was_promised_is_remembered_until_it_is_settled() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("journal");
        let (mut journal, before) = FileJournal::open(&path).expect("opened");
        assert_eq!(before.expect("whole"), []);
        let (kept, settled) = (SaleId::from_random(1), SaleId::from_random(9));
        for record in records(kept).iter().chain(&records(settled)) {
            journal.append(record).expect("written");
        }
        journal
            .append(&Record {
                sale: settled,
                fact: Fact::Settled,
            })
            .expect("written");
        assert_eq!(remembered(&path).expect("whole"), records(kept));
    }

    #[test]
    fn a_line_cut_short_by_the_power_is_left_out_and_written_over() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("journal");
        let sale = SaleId::from_random(1);
        let whole: String = records(sale).iter().map(line_of).collect();
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).expect("written");
            let lines = whole[..cut].matches('\n').count();
            assert_eq!(
                remembered(&path).expect("whole"),
                records(sale)[..lines],
                "cut at byte {cut}"
            );
            let (mut journal, _) = FileJournal::open(&path).expect("opened");
            journal.append(&records(sale)[lines]).expect("written");
            assert_eq!(
                remembered(&path).expect("whole"),
                records(sale)[..=lines],
                "written after a cut at byte {cut}"
            );
        }
    }

    #[test]
    fn damage_is_told_with_its_line_and_never_skipped() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("journal");
        let sale = SaleId::from_random(1);
        for damage in ["start\n", "\n", "\0\0\0\n", "zz start\n", "x sale 0\n"] {
            let text = format!(
                "{}{damage}{}",
                line_of(&records(sale)[0]),
                line_of(&records(sale)[1])
            );
            fs::write(&path, text).expect("written");
            let error = remembered(&path).expect_err("damaged").to_string();
            assert_eq!(error, "the journal is damaged in line 2", "{damage:?}");
        }
    }

    #[test]
    fn the_file_stays_small() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("journal");
        let (mut journal, _) = FileJournal::open(&path).expect("opened");
        journal.length = LONG;
        for fact in facts().into_iter().chain([Fact::Settled]) {
            journal
                .append(&Record {
                    sale: SaleId::from_random(1),
                    fact,
                })
                .expect("written");
        }
        assert_eq!(fs::metadata(&path).expect("there").len(), 0);
        journal
            .append(&records(SaleId::from_random(2))[0])
            .expect("written");
        assert_eq!(remembered(&path).expect("whole").len(), 1);
    }
}
