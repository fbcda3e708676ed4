//! A journal in a file, with the power cut at every byte, and with every byte damaged.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::rc::Rc;

use super::segment::SLOTS;
use super::*;
use crate::ids::{ClaimId, OrderNo, SaleId};
use crate::kiosk::ports::Journal as _;
use crate::money::Fen;
use crate::sale::Outcome;

const SALE: u128 = 1;

fn record(sale: u128, fact: Fact) -> Record {
    let sale = SaleId::from_random(sale);
    Record { sale, fact }
}

/// Everything that can be said of a sale but that it is settled.
fn records(sale: u128) -> Vec<Record> {
    let facts = [
        Fact::Sale(Fen::new(350).expect("an amount")),
        Fact::Order(OrderNo::from_random(2)),
        Fact::Claim(ClaimId::from_random(3)),
        Fact::Start,
        Fact::Done(Outcome::NotDispensed),
        Fact::Done(Outcome::Unknown),
        Fact::Done(Outcome::Dispensed),
        Fact::Closing,
    ];
    facts.map(|fact| record(sale, fact)).to_vec()
}

struct Disk {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

const OWNER: &str = "kiosk-1";

impl Disk {
    fn new() -> Disk {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("journal");
        Disk { _dir: dir, path }
    }

    /// What the journal says when the kiosk starts.
    fn remembered(&self) -> Result<Vec<Record>, Damaged> {
        FileJournal::at(&self.path, OWNER).expect("opened").1
    }

    fn appends(&self, records: &[Record]) {
        let (mut journal, before) = FileJournal::at(&self.path, OWNER).expect("opened");
        before.expect("whole");
        for record in records {
            journal.append(record).expect("written");
        }
    }

    fn content(&self) -> Vec<u8> {
        fs::read(&self.path).expect("read")
    }

    fn holds(&self, content: &[u8]) {
        fs::write(&self.path, content).expect("written");
    }
}

/// A disk that refuses to flush once, and is well again.
#[derive(Clone, Default)]
struct TiredDisk(Rc<RefCell<Tired>>);

#[derive(Default)]
struct Tired {
    content: Vec<u8>,
    /// What a power cut would leave.
    durable: Vec<u8>,
    /// Whether it refuses the next flush.
    refuses: bool,
}

impl Storage for TiredDisk {
    fn read<T>(&mut self, look: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
        Ok(look(&self.0.borrow().content))
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.borrow_mut().content[at as usize..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let disk = &mut *self.0.borrow_mut();
        if std::mem::take(&mut disk.refuses) {
            return Err(io::Error::other("tired"));
        }
        disk.durable.clone_from(&disk.content);
        Ok(())
    }

    fn replace(&mut self, content: &[u8]) -> io::Result<()> {
        let disk = &mut *self.0.borrow_mut();
        (disk.content, disk.durable) = (content.to_vec(), content.to_vec());
        Ok(())
    }
}

impl TiredDisk {
    /// What the journal would say after a power cut.
    fn durable(&self) -> Result<Vec<Record>, Damaged> {
        replay(&self.0.borrow().durable).map(|(_, records)| records)
    }

    /// It will refuse the next flush.
    fn tires(&self) {
        self.0.borrow_mut().refuses = true;
    }
}

#[test]
fn a_record_is_on_the_disk_when_it_is_written() {
    let disk = TiredDisk::default();
    let (mut journal, _) = Journal::open(disk.clone()).expect("begun");
    for (place, record) in records(SALE).iter().enumerate() {
        journal.append(record).expect("written");
        assert_eq!(disk.durable(), Ok(records(SALE)[..=place].to_vec()));
    }
}

#[test]
fn nothing_is_written_behind_a_record_that_is_in_doubt() {
    let disk = TiredDisk::default();
    let (mut journal, _) = Journal::open(disk.clone()).expect("begun");
    let [first, second, third] = [0, 1, 2].map(|place| records(SALE)[place]);
    journal.append(&first).expect("written");
    disk.tires();
    assert!(journal.append(&second).is_err());
    let refused = journal.append(&third).expect_err("in doubt").to_string();
    assert!(
        refused.contains("until the kiosk starts again"),
        "{refused}"
    );
    let (_, remembered) = Journal::open(disk).expect("opened");
    assert_eq!(remembered.expect("whole"), [first, second]);
}

#[test]
fn what_is_read_is_on_the_disk_before_anything_is_done_on_its_word() {
    let disk = TiredDisk::default();
    let (mut journal, _) = Journal::open(disk.clone()).expect("begun");
    let [first, second] = [0, 1].map(|place| records(SALE)[place]);
    journal.append(&first).expect("written");
    disk.tires();
    journal.append(&second).expect_err("refused");
    assert_eq!(disk.durable(), Ok(vec![first]));
    // It still does not flush: what is there is written anew.
    disk.tires();
    let (mut journal, remembered) = Journal::open(disk.clone()).expect("opened");
    assert_eq!(remembered, Ok(vec![first, second]));
    assert_eq!(disk.durable(), Ok(vec![first, second]));
    let third = records(SALE)[2];
    journal.append(&third).expect("written");
    assert_eq!(disk.durable(), Ok(vec![first, second, third]));
    // But nothing is written over what cannot be read.
    disk.0.borrow_mut().content[RECORD_SIZE] ^= 1;
    let damaged = disk.0.borrow().content.clone();
    disk.tires();
    let (_, remembered) = Journal::open(disk.clone()).expect("opened");
    assert_eq!(remembered, Err(Damaged { record: 1 }));
    assert_eq!(disk.0.borrow().content, damaged);
}

#[test]
fn what_was_promised_is_remembered_until_it_is_settled() {
    let disk = Disk::new();
    assert_eq!(disk.remembered(), Ok(vec![]));
    disk.appends(&records(SALE));
    disk.appends(&records(9));
    disk.appends(&[record(9, Fact::Settled)]);
    assert_eq!(disk.remembered(), Ok(records(SALE)));
    assert_eq!(read(&disk.path).expect("whole"), records(SALE));
}

#[test]
fn its_place_on_the_disk_is_taken_from_the_beginning() {
    let disk = Disk::new();
    disk.appends(&[]);
    let size = disk.content().len();
    disk.appends(&records(SALE));
    assert_eq!(disk.content().len(), size);
    assert_eq!(size, SLOTS * RECORD_SIZE);
}

#[test]
fn a_record_torn_by_the_power_is_left_out_and_written_over() {
    let disk = Disk::new();
    let all = records(SALE);
    disk.appends(&all[..3]);
    let before = disk.content();
    disk.appends(&all[3..4]);
    let after = disk.content();
    let at = 4 * RECORD_SIZE;
    for torn in 0..=RECORD_SIZE {
        let mut content = before.clone();
        content[at..at + torn].copy_from_slice(&after[at..at + torn]);
        disk.holds(&content);
        // A disk that has written all but some zeros has written all.
        let written = if content == after { 4 } else { 3 };
        assert_eq!(
            disk.remembered(),
            Ok(all[..written].to_vec()),
            "torn at {torn}"
        );
        disk.appends(&all[written..]);
        assert_eq!(disk.remembered(), Ok(all.clone()), "written after {torn}");
    }
}

#[test]
fn the_last_slot_may_be_torn_as_any_other() {
    let disk = Disk::new();
    let filler = (0..SLOTS as u128 - 2).map(|number| {
        let fact = [Fact::Sale(Fen::MAX), Fact::Settled][number as usize % 2];
        record(number / 2, fact)
    });
    disk.appends(&filler.collect::<Vec<_>>());
    assert_eq!(disk.remembered(), Ok(vec![]));
    let before = disk.content();
    let last = records(1000)[0];
    disk.appends(&[last]);
    let after = disk.content();
    let at = (SLOTS - 1) * RECORD_SIZE;
    for torn in 0..=RECORD_SIZE {
        let mut content = before.clone();
        content[at..at + torn].copy_from_slice(&after[at..at + torn]);
        let is_whole = content == after;
        disk.holds(&content);
        let written = if is_whole { vec![last] } else { vec![] };
        assert_eq!(disk.remembered(), Ok(written.clone()), "torn at {torn}");
        // There is room for one more, or for none.
        let next = [records(1001)[0], records(1002)[0]];
        disk.appends(&next);
        let all = [&written[..], &next].concat();
        assert_eq!(disk.remembered(), Ok(all), "written after {torn}");
    }
}

#[test]
fn its_bytes_are_those_that_kiosks_have_on_their_disks() {
    let disk = Disk::new();
    disk.appends(&records(SALE)[1..2]);
    let hex = |slot: &[u8]| slot.iter().map(|byte| format!("{byte:02x}")).collect();
    let slots = &disk.content()[..2 * RECORD_SIZE];
    let parts: Vec<String> = slots.chunks(16).map(hex).collect();
    let header = [
        "73656c7061792d6b696f736b206a6f75", // selpay-kiosk jou
        "726e616c20320a000000000000000000", // rnal 2
        "00000000000000000000000000000000",
        "c026ce1f062a10ac97d75667e48241fb",
    ];
    let order = [
        "00000000000000000200000000000000",
        "01000000000000800040000000000000",
        "02000000000000800040000000000000",
        "718ded1dbda90eab403b9e9969751fb0",
    ];
    assert_eq!(parts, [header, order].concat());
}

#[test]
fn any_damage_before_the_last_record_is_told_and_never_skipped() {
    let disk = Disk::new();
    disk.appends(&records(SALE));
    let whole = disk.content();
    let last = records(SALE).len() * RECORD_SIZE;
    for place in 0..last {
        let mut content = whole.clone();
        content[place] ^= 0x10;
        disk.holds(&content);
        let damaged = disk.remembered().expect_err("damaged");
        assert_eq!(damaged.record, place / RECORD_SIZE, "byte {place}");
    }
    // Records that were swapped, lost, doubled, or come from another time.
    let slot = |record: usize| record * RECORD_SIZE..(record + 1) * RECORD_SIZE;
    for (to, from) in [(2, 3), (3, 2), (2, 1), (1, SLOTS - 1)] {
        let mut content = whole.clone();
        content.copy_within(slot(from), slot(to).start);
        disk.holds(&content);
        assert_eq!(disk.remembered(), Err(Damaged { record: to }));
    }
    for length in [0, 1, RECORD_SIZE, whole.len() - 1] {
        disk.holds(&whole[..length]);
        let expected = if length == 0 {
            Ok(vec![])
        } else {
            Err(Damaged { record: 0 })
        };
        assert_eq!(disk.remembered(), expected, "{length} bytes left");
    }
}

#[test]
fn a_damaged_journal_is_left_as_it_is() {
    let disk = Disk::new();
    disk.holds(b"this is no journal");
    let (mut journal, said) = FileJournal::at(&disk.path, OWNER).expect("opened");
    assert_eq!(said, Err(Damaged { record: 0 }));
    assert!(journal.append(&records(SALE)[0]).is_err());
    assert_eq!(disk.content(), b"this is no journal");
}

#[test]
fn a_journal_that_cannot_be_read_is_not_taken_for_a_new_one() {
    let disk = Disk::new();
    for to in [disk.path.clone(), disk.path.with_extension("missing")] {
        symlink(&to, &disk.path).expect("a link");
        FileJournal::at(&disk.path, OWNER).expect_err("it leads to itself, or to nothing");
        assert!(disk.path.is_symlink());
        fs::remove_file(&disk.path).expect("removed");
    }
}

#[test]
fn a_journal_is_of_one_kiosk_and_of_one_process() {
    let disk = Disk::new();
    let told = |owner| {
        FileJournal::at(&disk.path, owner)
            .map(drop)
            .map_err(|error| error.to_string())
    };
    let opened = FileJournal::at(&disk.path, OWNER).expect("opened");
    assert!(
        told(OWNER)
            .expect_err("open")
            .starts_with("another kiosk has it open")
    );
    drop(opened);
    assert_eq!(told(OWNER), Ok(()));
    let others = told("kiosk-2").expect_err("another's");
    assert!(
        others.starts_with("it is of kiosk-1, not of kiosk-2"),
        "{others}"
    );
    // A power cut may take what was never flushed.
    let lock = disk.path.with_extension("lock");
    fs::write(&lock, "").expect("emptied");
    assert_eq!(told("kiosk-2"), Ok(()));
    assert_eq!(fs::read_to_string(&lock).expect("read"), "kiosk-2\n");
}

#[test]
fn a_link_to_a_journal_stays_one() {
    let disk = Disk::new();
    disk.appends(&records(SALE));
    let target = disk.path.with_file_name("elsewhere");
    fs::rename(&disk.path, &target).expect("moved");
    symlink(&target, &disk.path).expect("a link");
    let (mut journal, said) = FileJournal::at(&disk.path, OWNER).expect("opened");
    assert!(said.is_ok());
    // Until it is replaced.
    for sale in 2..800 {
        for fact in [Fact::Sale(Fen::MAX), Fact::Settled] {
            journal.append(&record(sale, fact)).expect("written");
        }
    }
    assert!(disk.path.is_symlink());
    drop(journal);
    assert!(FileJournal::at(&target, OWNER).is_ok(), "it is the same");
}

#[test]
fn a_full_journal_begins_again_with_what_is_not_settled() {
    let disk = Disk::new();
    let (mut journal, _) = FileJournal::at(&disk.path, OWNER).expect("opened");
    let debt = &records(SALE)[..5];
    for record in debt {
        journal.append(record).expect("written");
    }
    for sale in 2..400 {
        for fact in [Fact::Sale(Fen::MAX), Fact::Closing, Fact::Settled] {
            journal.append(&record(sale, fact)).expect("written");
        }
    }
    let content = disk.content();
    assert_eq!(content.len(), SLOTS * RECORD_SIZE);
    let so_many_before = (SLOTS as u64 - 1).to_le_bytes();
    assert_eq!(content[32..40], so_many_before, "the numbers go on");
    assert_eq!(read(&disk.path).expect("whole"), debt);
    journal.append(&records(1000)[0]).expect("written");
    let mut expected = debt.to_vec();
    expected.push(records(1000)[0]);
    drop(journal);
    assert_eq!(disk.remembered(), Ok(expected));
}
