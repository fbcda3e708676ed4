//! The bytes of a journal: a header and a fixed number of records, each chained to the one before it. Pure.
//!
//! A slot is 64 bytes, so none lies across two sectors of a disk. All numbers are little-endian.
//!
//! | bytes | of the header | of a record |
//! | --- | --- | --- |
//! | 0–7 | | sequence number, over all segments |
//! | 8 | | kind |
//! | 9 | magic, 24 bytes | outcome |
//! | 12–15 | | amount in fen |
//! | 16–31 | | sale |
//! | 32–47 | 32–39: the first record's sequence number | order number or claim |
//! | 48–63 | XXH3-128 of the slot, zeros here | XXH3-128 of the slot, the checksum of the slot before it here |
//!
//! The checksum is against accidents: whoever can write to the disk can write a whole journal.

use std::io;

use twox_hash::XxHash3_128;

use crate::ids::{ClaimId, OrderNo, SaleId};
use crate::kiosk::machine::effect::{Fact, Record};
use crate::money::Fen;
use crate::planted::{self, Bug};
use crate::sale::Outcome;

/// Bytes of a slot.
pub const RECORD_SIZE: usize = 64;
/// Slots of a segment, the header's included: 64 KiB, some two hundred sales.
pub const SLOTS: usize = 1024;

const MAGIC: &[u8; 24] = b"selpay-kiosk journal 2\n\0";
const OUTCOMES: [Outcome; 3] = [Outcome::Dispensed, Outcome::NotDispensed, Outcome::Unknown];

type Slot = [u8; RECORD_SIZE];
type Checksum = [u8; 16];

/// The journal holds something that this program never wrote.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "the journal is damaged in record {record}: keep the file, settle what the merchant's reviews list, then move it away"
)]
pub struct Damaged {
    /// The first slot that makes no sense; 0 is the header.
    pub record: usize,
}

/// Where a segment's next record goes, and what it is chained to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segment {
    next_slot: usize,
    sequence: u64,
    chain: Checksum,
    damaged: bool,
}

impl Segment {
    /// A segment without records, whose first will have this sequence number.
    pub fn new(sequence: u64) -> Segment {
        Segment {
            next_slot: 1,
            sequence,
            chain: checksum(Checksum::default(), header(sequence)),
            damaged: false,
        }
    }

    /// What stands for a segment that cannot be read: nothing can be added to it.
    pub fn damaged() -> Segment {
        Segment {
            damaged: true,
            ..Segment::new(0)
        }
    }

    /// Whether it could not be read.
    pub fn is_damaged(&self) -> bool {
        self.damaged
    }

    /// The sequence number of the next record.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Where the next record goes and its bytes; `None` if the segment is full.
    pub fn next(&mut self, record: &Record) -> io::Result<Option<(u64, Slot)>> {
        if self.next_slot == SLOTS {
            return Ok(None);
        }
        let mut slot = encode(self.sequence, record)?;
        self.chain = checksum(self.chain, slot);
        slot[48..].copy_from_slice(&self.chain);
        let at = self.next_slot * RECORD_SIZE;
        self.next_slot += 1;
        self.sequence += 1;
        Ok(Some((at as u64, slot)))
    }

    /// The whole segment with these records in it, and where it goes on.
    pub fn image(mut self, records: &[Record]) -> io::Result<(Segment, Vec<u8>)> {
        let mut image = vec![0; SLOTS * RECORD_SIZE];
        image[..RECORD_SIZE].copy_from_slice(&header(self.sequence));
        image[48..64].copy_from_slice(&self.chain);
        for record in records {
            let full = || io::Error::other("more is unsettled than a journal holds");
            let (at, slot) = self.next(record)?.ok_or_else(full)?;
            image[at as usize..][..RECORD_SIZE].copy_from_slice(&slot);
        }
        Ok((self, image))
    }

    /// Reads a segment, record by record; where it goes on.
    pub fn replay(content: &[u8], mut tell: impl FnMut(Record)) -> Result<Segment, Damaged> {
        let damaged = |record| Damaged { record };
        if content.len() != SLOTS * RECORD_SIZE {
            return Err(damaged(0));
        }
        let slots = content.chunks_exact(RECORD_SIZE);
        let mut slots = slots.filter_map(|slot| <&Slot>::try_from(slot).ok());
        let first = slots.next().ok_or(damaged(0))?;
        let sequence = u64::from_le_bytes(part(first, 32));
        let mut segment = Segment::new(sequence);
        if first[..48] != header(sequence)[..48] || first[48..] != segment.chain {
            return Err(damaged(0));
        }
        for slot in slots {
            match segment.read(slot) {
                Some(record) => tell(record),
                // Free, or torn by the power cut: then nothing was written behind it.
                None if is_free(&content[(segment.next_slot + 1) * RECORD_SIZE..]) => break,
                None if planted::has(Bug::DamageSkipped) => break,
                None => return Err(damaged(segment.next_slot)),
            }
        }
        Ok(segment)
    }

    /// The record in the next slot, if it is one; the segment then goes on behind it.
    fn read(&mut self, slot: &Slot) -> Option<Record> {
        let chain = checksum(self.chain, *slot);
        if slot[48..] != chain || u64::from_le_bytes(part(slot, 0)) != self.sequence {
            return None;
        }
        let record = decode(slot)?;
        self.chain = chain;
        self.sequence += 1;
        self.next_slot += 1;
        Some(record)
    }
}

/// Whether nothing was ever written here.
fn is_free(slots: &[u8]) -> bool {
    // In pieces, each of which is one comparison of memory: most of a journal is free.
    let free = [0; 1024];
    slots
        .chunks(free.len())
        .all(|part| part == &free[..part.len()])
}

fn header(sequence: u64) -> Slot {
    let mut slot = [0; RECORD_SIZE];
    slot[..24].copy_from_slice(MAGIC);
    slot[32..40].copy_from_slice(&sequence.to_le_bytes());
    slot
}

/// XXH3-128 of the slot, chained to the slot before it.
fn checksum(before: Checksum, mut slot: Slot) -> Checksum {
    slot[48..].copy_from_slice(&before);
    XxHash3_128::oneshot(&slot).to_le_bytes()
}

fn part<const N: usize>(slot: &Slot, at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&slot[at..at + N]);
    bytes
}

fn encode(sequence: u64, record: &Record) -> io::Result<Slot> {
    let (kind, outcome, amount, id) = match &record.fact {
        Fact::Sale(total) => (1, 0, total.get(), None),
        Fact::Order(order) => (2, 0, 0, Some(ours(order)?)),
        Fact::Claim(claim) => (3, 0, 0, Some(claim.as_u128())),
        Fact::Start => (4, 0, 0, None),
        Fact::Done(outcome) => {
            let place = OUTCOMES.iter().position(|known| known == outcome);
            (5, place.map_or(0, |place| place as u8 + 1), 0, None)
        }
        Fact::Closing => (6, 0, 0, None),
        Fact::Settled => (7, 0, 0, None),
    };
    let mut slot = [0; RECORD_SIZE];
    slot[..8].copy_from_slice(&sequence.to_le_bytes());
    slot[8] = kind;
    slot[9] = outcome;
    slot[12..16].copy_from_slice(&amount.to_le_bytes());
    slot[16..32].copy_from_slice(&record.sale.as_u128().to_le_bytes());
    if let Some(id) = id {
        slot[32..48].copy_from_slice(&id.to_le_bytes());
    }
    Ok(slot)
}

/// Our own order numbers are 32 hex digits, all of them.
fn ours(order: &OrderNo) -> io::Result<u128> {
    let number = order.as_u128();
    number.ok_or_else(|| io::Error::other(format!("{order} is no number of this kiosk's making")))
}

fn decode(slot: &Slot) -> Option<Record> {
    let number = |at| u128::from_le_bytes(part(slot, at));
    let fact = match slot[8] {
        1 => Fact::Sale(Fen::new(u32::from_le_bytes(part(slot, 12)))?),
        2 => Fact::Order(OrderNo::from_u128(number(32))),
        3 => Fact::Claim(ClaimId::from_u128(number(32))),
        4 => Fact::Start,
        5 => Fact::Done(*OUTCOMES.get(usize::from(slot[9]).checked_sub(1)?)?),
        6 => Fact::Closing,
        7 => Fact::Settled,
        _ => return None,
    };
    let sale = SaleId::from_u128(number(16));
    Some(Record { sale, fact })
}
