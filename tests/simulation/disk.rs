//! The kiosk's disk: what was not synced may be lost or torn, and a bad disk loses what it said was synced.

use crate::dice::Dice;
use crate::story::Torn;

/// A write and what it wrote over.
struct Change {
    at: usize,
    old: Slot,
    new: Slot,
}

/// So many writes a lying disk can lose.
const LIES: usize = 6;
const SLOT_SIZE: usize = selpay_kiosk::kiosk::journal::RECORD_SIZE;

type Slot = [u8; SLOT_SIZE];

#[derive(Default)]
pub struct Disk {
    pub content: Vec<u8>,
    unsynced: Vec<Change>,
    /// What a lying disk has said was synced, the newest last.
    lied: Vec<Change>,
    pub lies: bool,
    copy: Option<Vec<u8>>,
}

impl Disk {
    pub fn write(&mut self, at: usize, new: &[u8]) {
        let record = |bytes: &[u8]| Slot::try_from(bytes).expect("one record");
        let place = &mut self.content[at..at + SLOT_SIZE];
        let (old, new) = (record(place), record(new));
        place.copy_from_slice(&new);
        self.unsynced.push(Change { at, old, new });
    }

    pub fn sync(&mut self) {
        if self.lies {
            self.lied.append(&mut self.unsynced);
            let durable = self.lied.len().saturating_sub(LIES);
            self.lied.drain(..durable);
        }
        self.unsynced.clear();
    }

    pub fn replace(&mut self, content: &[u8]) {
        self.content = content.to_vec();
        self.unsynced.clear();
        self.lied.clear();
    }

    /// The power goes. Whether the disk keeps its word.
    pub fn loses_power(&mut self, torn: Torn, dice: &mut Dice) -> bool {
        let unsynced = std::mem::take(&mut self.unsynced);
        self.undo(&unsynced);
        let lied = std::mem::take(&mut self.lied);
        self.undo(&lied);
        let kept = dice.within(0, lied.len() as u64) as usize;
        let missing = dice
            .chance(200)
            .then(|| dice.within(0, LIES as u64) as usize);
        for (place, change) in lied[..kept].iter().enumerate() {
            if missing != Some(place) {
                self.apply(change, change.new.len());
            }
        }
        if kept < lied.len() {
            return false;
        }
        for change in &unsynced {
            match torn {
                Torn::Lost => {}
                Torn::Kept => self.apply(change, change.new.len()),
                Torn::Front(length) => self.apply(change, length),
                Torn::Noise(length) => {
                    self.apply(change, length);
                    let end = change.at + change.new.len();
                    for byte in &mut self.content[(change.at + length).min(end)..end] {
                        *byte = dice.draw() as u8;
                    }
                }
            }
        }
        missing.is_none_or(|place| place >= kept)
    }

    fn undo(&mut self, changes: &[Change]) {
        for change in changes.iter().rev() {
            self.content[change.at..change.at + change.old.len()].copy_from_slice(&change.old);
        }
    }

    fn apply(&mut self, change: &Change, length: usize) {
        let length = length.min(change.new.len());
        self.content[change.at..change.at + length].copy_from_slice(&change.new[..length]);
    }

    /// A record rots, but not the last: that would be a torn one.
    pub fn rots(&mut self, dice: &mut Dice) -> bool {
        let is_used = |slot: &&[u8]| slot.iter().any(|byte| *byte != 0);
        let used = self
            .content
            .chunks_exact(SLOT_SIZE)
            .take_while(is_used)
            .count();
        if used < 3 {
            return false;
        }
        // Mostly one of the newest: the others matter to nobody any more.
        let back = dice.within(2, 6).min(used as u64 - 1) as usize;
        let at = (used - back) * SLOT_SIZE + dice.within(0, SLOT_SIZE as u64 - 1) as usize;
        self.content[at] ^= 1 << dice.within(0, 7);
        true
    }

    /// Somebody keeps a copy of the disk.
    pub fn is_copied(&mut self) {
        self.copy = Some(self.content.clone());
    }

    /// Somebody puts the copy back in.
    pub fn is_put_back(&mut self) -> bool {
        let copy = self
            .copy
            .take()
            .filter(|copy| copy.len() == self.content.len());
        let is_back = copy.is_some();
        self.content = copy.unwrap_or_else(|| std::mem::take(&mut self.content));
        is_back
    }

    /// Somebody has moved a damaged journal away.
    pub fn is_emptied(&mut self) {
        let lies = self.lies;
        *self = Disk {
            lies,
            ..Disk::default()
        };
    }
}
