//! From closed contacts to pressed keys: pure.
//!
//! A press counts at the first contact, so that it is seen at once; a key is up again only after its contact has been
//! open for the debounce time, so that bouncing makes no second press and a held key is reported once. A contact that
//! three others close by themselves (the fourth corner of a rectangle) cannot be told from a press, and is refused.

use core::time::Duration;

use crate::kiosk::machine::instant::Instant;

/// What is known of each key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scanner {
    columns: usize,
    debounce: Duration,
    /// Since when each key that is down was last seen closed. At most 32 keys.
    down: [Option<Instant>; 32],
}

impl Scanner {
    /// A scanner of a pad with so many columns, none of whose keys is down.
    pub fn new(columns: usize, debounce: Duration) -> Scanner {
        Scanner {
            columns,
            debounce,
            down: [None; 32],
        }
    }

    /// Takes in which contacts are closed; the key that was pressed, if one was. Of several the others come next time.
    pub fn see(&mut self, now: Instant, closed: u32) -> Option<usize> {
        for (key, down) in self.down.iter_mut().enumerate() {
            match down {
                Some(seen_closed) if closed & (1 << key) != 0 => *seen_closed = now,
                Some(seen_closed) if now - *seen_closed >= self.debounce => *down = None,
                _ => {}
            }
        }
        let pressed = (0..32).find(|key| {
            closed & (1 << key) != 0 && self.down[*key].is_none() && !self.is_ghost(*key, closed)
        })?;
        self.down[pressed] = Some(now);
        Some(pressed)
    }

    /// Whether no key is down: nothing can happen before the next edge.
    pub fn is_idle(&self) -> bool {
        self.down.iter().all(Option::is_none)
    }

    /// Whether this contact is a corner of a rectangle whose other three are closed as well.
    fn is_ghost(&self, key: usize, closed: u32) -> bool {
        let (row, column) = (key / self.columns, key % self.columns);
        let is_closed = |row: usize, column: usize| {
            let place = row * self.columns + column;
            place < 32 && closed & (1 << place) != 0
        };
        let rows = 32_usize.div_ceil(self.columns);
        (0..rows)
            .filter(|other| *other != row && is_closed(*other, column))
            .any(|other_row| {
                (0..self.columns).any(|other_column| {
                    other_column != column
                        && is_closed(row, other_column)
                        && is_closed(other_row, other_column)
                })
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: usize = 4;
    const ROWS: usize = 4;

    /// A pad that behaves: contacts that bounce, and current that finds every way through closed ones.
    #[derive(Default)]
    struct Pad {
        /// Each held key, with when it was pressed and when released.
        holds: Vec<(usize, u64, u64)>,
        bounce: u64,
    }

    impl Pad {
        /// Whether the contact itself is closed: it bounces after each change.
        fn contact(&self, key: usize, now: u64) -> bool {
            self.holds
                .iter()
                .filter(|(held, ..)| *held == key)
                .any(|(_, pressed, released)| {
                    let since = |moment: &u64| now.checked_sub(*moment);
                    match (since(pressed), since(released)) {
                        (None, _) => false,
                        (Some(after), None) => after >= self.bounce || after % 2 == 0,
                        (Some(_), Some(after)) => after < self.bounce && after % 2 == 1,
                    }
                })
        }

        /// What the columns show, row by row: a driven row reaches every column through any chain of contacts.
        fn scanned(&self, now: u64) -> u32 {
            let mut closed = 0;
            for driven in 0..ROWS {
                let (mut rows, mut columns) = (1_u32 << driven, 0_u32);
                for _ in 0..ROWS {
                    for key in (0..ROWS * COLUMNS).filter(|key| self.contact(*key, now)) {
                        let (row, column) = (key / COLUMNS, key % COLUMNS);
                        if rows & (1 << row) != 0 || columns & (1 << column) != 0 {
                            rows |= 1 << row;
                            columns |= 1 << column;
                        }
                    }
                }
                closed |= columns << (driven * COLUMNS);
            }
            closed
        }

        /// Every key that is reported over the next second, scanned every millisecond.
        fn reports(&self) -> Vec<usize> {
            let mut scanner = Scanner::new(COLUMNS, Duration::from_millis(10));
            let reports = (0..1000)
                .filter_map(|now| scanner.see(Instant::from_millis(now), self.scanned(now)))
                .collect();
            assert!(scanner.is_idle(), "all keys are up at the end");
            reports
        }
    }

    #[test]
    fn every_key_is_reported_once_however_it_bounces() {
        for key in 0..ROWS * COLUMNS {
            let pad = Pad {
                holds: vec![(key, 100, 300)],
                bounce: 5,
            };
            assert_eq!(pad.reports(), [key]);
        }
    }

    #[test]
    fn a_key_is_seen_at_its_first_contact() {
        let mut scanner = Scanner::new(COLUMNS, Duration::from_millis(10));
        assert_eq!(scanner.see(Instant::from_millis(0), 0), None);
        assert_eq!(scanner.see(Instant::from_millis(1), 1 << 5), Some(5));
    }

    #[test]
    fn a_held_key_is_reported_once_and_again_after_it_was_released() {
        assert_eq!(
            Pad {
                holds: vec![(5, 0, 900)],
                bounce: 5
            }
            .reports(),
            [5]
        );
        assert_eq!(
            Pad {
                holds: vec![(5, 100, 200), (5, 300, 400)],
                bounce: 5
            }
            .reports(),
            [5, 5]
        );
    }

    #[test]
    fn two_keys_at_once_are_two_keys() {
        assert_eq!(
            Pad {
                holds: vec![(0, 100, 300), (5, 150, 350)],
                bounce: 5
            }
            .reports(),
            [0, 5]
        );
        assert_eq!(
            Pad {
                holds: vec![(0, 100, 300), (1, 100, 300)],
                bounce: 0
            }
            .reports(),
            [0, 1]
        );
    }

    #[test]
    fn the_fourth_corner_of_three_keys_is_no_key() {
        // 0 and 1 in the first row, 4 below 0: the current also finds its way to 5.
        let pad = Pad {
            holds: vec![(0, 100, 500), (1, 150, 500), (4, 200, 500)],
            bounce: 0,
        };
        assert_eq!(pad.scanned(250) & (1 << 5), 1 << 5, "the pad ghosts");
        assert_eq!(
            pad.reports(),
            [0, 1],
            "nobody can tell the third key from the ghost: neither counts"
        );
    }
}
