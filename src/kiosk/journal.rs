//! Keeps what the kiosk has promised, so that a power cut cannot make it promise twice (docs/architecture.md, Journal and recovery).
//!
//! One file of fixed size, written from its beginning to its end, one record at a time, each on disk before the effect
//! behind it begins. When it is full it is replaced at once by a new one that begins with what is not settled yet.
//!
//! A last record that is torn is the power cut itself, and is written over. Anything else that does not fit into the chain
//! of checksums means damage, and a damaged journal is never skipped over.

mod lock;
mod segment;
mod storage;

use std::io;
use std::path::Path;

use crate::kiosk::machine::effect::{Fact, Record};
use crate::kiosk::ports;
use crate::planted::{self, Bug};

use segment::Segment;
pub use segment::{Damaged, RECORD_SIZE};
pub use storage::{FileStorage, Storage};

/// A journal on its storage.
#[derive(Debug)]
pub struct Journal<S: Storage> {
    storage: S,
    segment: Segment,
    /// The records of sales that are not settled, in order.
    live: Vec<Record>,
    /// A record could not be written: what is on the disk is in doubt.
    failed: bool,
}

/// A journal in a file.
pub type FileJournal = Journal<FileStorage>;

/// A journal that was opened, and what it says.
pub type Opened<S> = (Journal<S>, Result<Vec<Record>, Damaged>);

impl FileJournal {
    /// Opens the journal of this kiosk at `path`, or begins one; what it says of sales that are not settled, in order. Refuses
    /// one that is open, or another kiosk's.
    pub fn at(path: &Path, owner: &str) -> io::Result<Opened<FileStorage>> {
        Journal::open(FileStorage::locked(path, owner)?)
    }
}

/// What the journal at `path` says of sales that are not settled, in order. Changes nothing.
pub fn read(path: &Path) -> anyhow::Result<Vec<Record>> {
    let (_, records) = FileStorage::new(path).read(replay)??;
    Ok(records)
}

impl<S: Storage> Journal<S> {
    /// Opens the journal, or begins one where there is none; what it says of sales that are not settled, in order.
    ///
    /// A damaged journal is left as it is, and nothing can be written to it.
    pub fn open(mut storage: S) -> io::Result<Opened<S>> {
        let replayed = storage.read(|content| (!content.is_empty()).then(|| replay(content)))?;
        let (segment, records) = match replayed {
            Some(Ok((segment, records))) => (segment, Ok(records)),
            Some(Err(damaged)) => (Segment::damaged(), Err(damaged)),
            None => {
                let (segment, image) = Segment::new(0).image(&[])?;
                storage.replace(&image)?;
                (segment, Ok(Vec::new()))
            }
        };
        let live = records.clone().unwrap_or_default();
        // What was read may be in memory only, if the kiosk was started again after the disk had refused it. Nothing may be
        // done on its word before it is flushed. Writing it over itself could tear it; a new file cannot.
        let segment = match storage.sync() {
            Err(_) if records.is_ok() => {
                let (segment, image) = Segment::new(segment.sequence()).image(&live)?;
                storage.replace(&image)?;
                segment
            }
            Ok(()) | Err(_) => segment,
        };
        let journal = Journal {
            storage,
            segment,
            live,
            failed: false,
        };
        Ok((journal, records))
    }
}

/// Where the segment goes on, and its records that count.
fn replay(content: &[u8]) -> Result<(Segment, Vec<Record>), Damaged> {
    let mut live = Vec::new();
    let segment = Segment::replay(content, |record| take(&mut live, record))?;
    if planted::has(Bug::JournalNotRead) {
        live.clear();
    }
    Ok((segment, live))
}

/// Takes a record in among those that count: of sales that are not settled.
fn take(live: &mut Vec<Record>, record: Record) {
    match record.fact {
        Fact::Settled => live.retain(|earlier| earlier.sale != record.sale),
        _ => live.push(record),
    }
}

impl<S: Storage> Journal<S> {
    fn write(&mut self, record: &Record) -> io::Result<()> {
        match self.segment.next(record)? {
            Some((at, bytes)) => {
                self.storage.write(at, &bytes)?;
                if record.fact == Fact::Start && planted::has(Bug::StartNotFlushed) {
                    return Ok(());
                }
                self.storage.sync()
            }
            None => {
                // The record is the last of those that the new segment begins with, or it has settled its sale.
                let (segment, image) = Segment::new(self.segment.sequence()).image(&self.live)?;
                self.segment = segment;
                self.storage.replace(&image)
            }
        }
    }
}

impl<S: Storage> ports::Journal for Journal<S> {
    fn append(&mut self, record: &Record) -> io::Result<()> {
        if self.segment.is_damaged() {
            return Err(io::Error::other("it is damaged, and left as it is"));
        }
        if self.failed {
            return Err(io::Error::other(
                "a record before this one is in doubt: nothing is added until the kiosk starts again",
            ));
        }
        take(&mut self.live, *record);
        let written = self.write(record);
        // What is on the disk then, only the disk knows: behind it nothing may follow.
        self.failed = written.is_err();
        written
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests;
