//! What is printed on the caps of a pad, so that a screen can name a key as the customer sees it.

use crate::kiosk::machine::event::Key;

/// Under which cap a key is found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cap {
    /// What is printed on it.
    pub print: String,
    /// Whether it must be held down: a press of it is another key.
    pub hold: bool,
}

/// The caps of a pad. By default each key has a cap of its own, with its own letter (docs/api.md, Board files).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Legend(Option<Vec<(Key, Cap)>>);

impl Legend {
    /// A pad with these keys and no others. Of two caps for one key the first is told, one that is pressed before one
    /// that is held.
    pub fn new(caps: impl IntoIterator<Item = (Key, Cap)>) -> Legend {
        let mut caps: Vec<(Key, Cap)> = caps.into_iter().collect();
        caps.sort_by_key(|(_, cap)| cap.hold);
        Legend(Some(caps))
    }

    /// The key's cap, if the pad has it.
    pub fn cap(&self, key: Key) -> Option<Cap> {
        match &self.0 {
            Some(caps) => {
                let found = caps.iter().find(|(there, _)| *there == key);
                found.map(|(_, cap)| cap.clone())
            }
            None => Some(Cap {
                print: key.cap().to_string(),
                hold: false,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cap(print: &str, hold: bool) -> Cap {
        Cap {
            print: print.to_owned(),
            hold,
        }
    }

    #[test]
    fn a_key_is_named_by_its_cap_and_a_press_is_named_before_a_hold() {
        let legend = Legend::new([
            (Key::Cancel, cap("*", true)),
            (Key::Cancel, cap("7", false)),
            (Key::Regenerate, cap("#", true)),
        ]);
        assert_eq!(legend.cap(Key::Cancel), Some(cap("7", false)));
        assert_eq!(legend.cap(Key::Regenerate), Some(cap("#", true)));
        assert_eq!(legend.cap(Key::Language), None, "this pad has none");
        assert_eq!(
            Legend::default().cap(Key::Language),
            Some(cap("L", false)),
            "by default each key has its own letter"
        );
    }
}
