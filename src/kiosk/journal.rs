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
use crate::kiosk::machine::effect::{Fact, Record};
use crate::kiosk::ports::Journal;
use crate::money::Fen;
use crate::sale::Outcome;

/// A journal in a file.
#[derive(Debug)]
pub struct FileJournal {
    path: PathBuf,
    file: File,
    unsettled: HashSet<crate::ids::SaleId>,
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
        let records = match journal.replay(&text) {
            Ok(records) => records,
            Err(damaged) => return Ok((journal, Err(damaged.into()))),
        };
        Ok((journal, Ok(records)))
    }

    fn replay(&mut self, text: &[u8]) -> Result<Vec<Record>, Damaged> {
        // What is behind the last line end was being written when the power went.
        let whole = text
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |last| last + 1);
        let mut records = Vec::new();
        for (number, line) in text[..whole]
            .split_inclusive(|&byte| byte == b'\n')
            .enumerate()
        {
            let damaged = Damaged { line: number + 1 };
            let line = std::str::from_utf8(line)
                .ok()
                .and_then(|line| line.strip_suffix('\n'))
                .ok_or(damaged.clone())?;
            let record = read(line).ok_or(damaged)?;
            self.keep_count(&record);
            records.push(record);
        }
        if whole < text.len() {
            self.file.set_len(whole as u64).map_err(|_| Damaged {
                line: records.len() + 1,
            })?;
            self.length = whole as u64;
        }
        records.retain(|record| self.unsettled.contains(&record.sale));
        Ok(records)
    }

    fn keep_count(&mut self, record: &Record) {
        match record.fact {
            Fact::Settled => self.unsettled.remove(&record.sale),
            _ => self.unsettled.insert(record.sale),
        };
    }
}

impl Journal for FileJournal {
    fn append(&mut self, record: &Record) -> io::Result<()> {
        let line = line_of(record);
        self.file.write_all(line.as_bytes())?;
        self.file.sync_data()?;
        self.length += line.len() as u64;
        self.keep_count(record);
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

fn read(line: &str) -> Option<Record> {
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
    use crate::ids::{ClaimId, OrderNo, SaleId};

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
