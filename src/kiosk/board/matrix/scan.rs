//! From closed contacts to pressed keys: pure.
//!
//! A press counts at the first contact, so that it is seen at once; a key is up again only after its contact has been
//! open for the debounce time, so that bouncing makes no second press and a held key is reported once. A contact that
//! three others close by themselves (the fourth corner of a rectangle) cannot be told from a press, and is refused.
//!
//! A cap with two keys must wait until it knows which one is meant: it is a press when it is released, and a hold once
//! it has been down for [`HOLD`].

use core::time::Duration;

use crate::kiosk::machine::instant::Instant;

/// A cap with two keys that is down for so long means its second key.
pub const HOLD: Duration = Duration::from_millis(600);

/// What happened to a cap, by its place on the pad: row × columns + column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stroke {
    /// It was pressed.
    Press(usize),
    /// It was held down.
    Hold(usize),
}

/// What is known of each key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scanner {
    columns: usize,
    debounce: Duration,
    /// The caps with two keys, one bit each.
    doubles: u32,
    /// The caps that are down. At most 32.
    down: [Option<Down>; 32],
}

/// A cap that is down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Down {
    since: Instant,
    seen_closed: Instant,
    told: bool,
}

impl Scanner {
    /// A scanner of a pad with so many columns, none of whose caps is down. `doubles` has a bit for each cap with two
    /// keys.
    pub fn new(columns: usize, debounce: Duration, doubles: u32) -> Scanner {
        Scanner {
            columns,
            debounce,
            doubles,
            down: [None; 32],
        }
    }

    /// Takes in which contacts are closed; what happened, if anything. Of several strokes the others come next time.
    pub fn see(&mut self, now: Instant, closed: u32) -> Option<Stroke> {
        let mut stroke = None;
        for (place, slot) in self.down.iter_mut().enumerate() {
            let Some(down) = slot else { continue };
            if closed & (1 << place) != 0 {
                down.seen_closed = now;
                if !down.told && stroke.is_none() && now - down.since >= HOLD {
                    down.told = true;
                    stroke = Some(Stroke::Hold(place));
                }
            } else if now - down.seen_closed >= self.debounce {
                if down.told {
                    *slot = None;
                } else if stroke.is_none() {
                    *slot = None;
                    stroke = Some(Stroke::Press(place));
                }
            }
        }
        if stroke.is_some() {
            return stroke;
        }
        let pressed = (0..32).find(|place| {
            closed & (1 << place) != 0
                && self.down[*place].is_none()
                && !self.is_ghost(*place, closed)
        })?;
        let is_double = self.doubles & (1 << pressed) != 0;
        self.down[pressed] = Some(Down {
            since: now,
            seen_closed: now,
            told: !is_double,
        });
        (!is_double).then_some(Stroke::Press(pressed))
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
            let strokes = self.strokes(0);
            let press = |(_, stroke)| match stroke {
                Stroke::Press(place) => place,
                Stroke::Hold(place) => panic!("{place} has no second key"),
            };
            strokes.into_iter().map(press).collect()
        }

        /// The same with caps of two keys, and with the time of each stroke.
        fn strokes(&self, doubles: u32) -> Vec<(u64, Stroke)> {
            let mut scanner = Scanner::new(COLUMNS, Duration::from_millis(10), doubles);
            let see = |now| {
                Some((
                    now,
                    scanner.see(Instant::from_millis(now), self.scanned(now))?,
                ))
            };
            let strokes = (0..1000).filter_map(see).collect();
            assert!(scanner.is_idle(), "all keys are up at the end");
            strokes
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
        let mut scanner = Scanner::new(COLUMNS, Duration::from_millis(10), 0);
        assert_eq!(scanner.see(Instant::from_millis(0), 0), None);
        assert_eq!(
            scanner.see(Instant::from_millis(1), 1 << 5),
            Some(Stroke::Press(5))
        );
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
    fn a_cap_with_two_keys_is_pressed_when_it_is_released_and_held_when_it_is_not() {
        let pad = |held: u64| Pad {
            holds: vec![(5, 100, 100 + held)],
            bounce: 5,
        };
        let [(at, stroke)] = pad(80).strokes(1 << 5)[..] else {
            panic!("one stroke")
        };
        assert_eq!(stroke, Stroke::Press(5));
        assert!((180..200).contains(&at), "at {at} ms");
        let [(at, stroke)] = pad(800).strokes(1 << 5)[..] else {
            panic!("one stroke, and none when it is released")
        };
        assert_eq!((at, stroke), (700, Stroke::Hold(5)));
        assert_eq!(
            pad(80).strokes(1 << 6),
            [(100, Stroke::Press(5))],
            "the others do not wait"
        );
    }

    #[test]
    fn two_caps_with_two_keys_released_at_once_are_two_presses() {
        let pad = Pad {
            holds: vec![(0, 100, 300), (5, 150, 300)],
            bounce: 0,
        };
        let strokes: Vec<Stroke> = pad.strokes(u32::MAX).into_iter().map(|(_, s)| s).collect();
        assert_eq!(strokes, [Stroke::Press(0), Stroke::Press(5)]);
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
