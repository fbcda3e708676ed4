//! Which rectangles to send so that one picture becomes another, for as few bytes as is worth the search: pure.

use core::ops::Range;

use embedded_graphics::pixelcolor::Rgb565;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;

/// What a rectangle costs beside its pixels, in bytes: column and page address, memory write.
pub const OVERHEAD: u32 = 11;
const PIXEL: u32 = 2;

/// Rectangles that cover every pixel in which the two pictures differ.
///
/// First exactly: a run of changed pixels and the same run in the rows below it. Then, from the top, each of these
/// joins the open rectangle to which it adds the fewest bytes, or begins its own where that is cheaper. Both pictures
/// are `width` pixels wide and equally high.
pub fn changes(old: &[Rgb565], new: &[Rgb565], width: u32) -> Vec<Rectangle> {
    let mut closed: Vec<Patch> = Vec::new();
    let mut open: Vec<Patch> = Vec::new();
    for exact in exact(old, new, width) {
        let mut nearest: Option<(u32, usize)> = None;
        let mut place = 0;
        while let Some(patch) = open.get(place) {
            // What ended above this row never grows again: the next one no longer touches it.
            if patch.rows.end < exact.rows.start {
                closed.push(open.swap_remove(place));
                continue;
            }
            let more = patch.joined(&exact).cost() - patch.cost();
            if nearest.is_none_or(|(least, _)| more < least) {
                nearest = Some((more, place));
            }
            place += 1;
        }
        match nearest {
            Some((more, place)) if more <= exact.cost() => open[place] = open[place].joined(&exact),
            _ => open.push(exact),
        }
    }
    closed.extend(open);
    merged(closed)
        .into_iter()
        .map(Patch::into_rectangle)
        .collect()
}

/// What grew towards each other, as one where that is cheaper.
fn merged(mut patches: Vec<Patch>) -> Vec<Patch> {
    // With a larger gap between them, the pixels in it cost more than a rectangle of its own.
    const REACH: u32 = OVERHEAD / PIXEL;
    patches.sort_by_key(|patch| patch.rows.start);
    let (mut done, mut near): (Vec<Patch>, Vec<Patch>) = (Vec::new(), Vec::new());
    for patch in patches {
        let mut place = 0;
        while let Some(other) = near.get(place) {
            if other.rows.end + REACH < patch.rows.start {
                done.push(near.swap_remove(place));
            } else if other.joined(&patch).cost() <= other.cost() + patch.cost() {
                break;
            } else {
                place += 1;
            }
        }
        match near.get_mut(place) {
            Some(other) => *other = other.joined(&patch),
            None => near.push(patch),
        }
    }
    done.append(&mut near);
    done
}

/// The changed pixels and nothing else, as runs that go on for some rows; from the top.
fn exact(old: &[Rgb565], new: &[Rgb565], width: u32) -> Vec<Patch> {
    let (mut ended, mut going_on): (Vec<Patch>, Vec<Patch>) = (Vec::new(), Vec::new());
    let rows = old
        .chunks_exact(width as usize)
        .zip(new.chunks_exact(width as usize));
    for (y, (old, new)) in (0..).zip(rows) {
        let mut next = Vec::new();
        for columns in runs(old, new) {
            let above = going_on.iter().position(|patch| patch.columns == columns);
            let rows = match above {
                Some(place) => going_on.swap_remove(place).rows.start..y + 1,
                None => y..y + 1,
            };
            next.push(Patch { columns, rows });
        }
        ended.append(&mut going_on);
        going_on = next;
    }
    ended.append(&mut going_on);
    ended.sort_by_key(|patch| (patch.rows.start, patch.columns.start));
    ended
}

/// The runs of changed pixels in a row.
fn runs(old: &[Rgb565], new: &[Rgb565]) -> Vec<Range<u32>> {
    let mut runs: Vec<Range<u32>> = Vec::new();
    for (x, (old, new)) in (0..).zip(old.iter().zip(new)) {
        if old != new {
            match runs.last_mut() {
                Some(run) if run.end == x => run.end = x + 1,
                _ => runs.push(x..x + 1),
            }
        }
    }
    runs
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Patch {
    columns: Range<u32>,
    rows: Range<u32>,
}

impl Patch {
    fn cost(&self) -> u32 {
        let (width, height) = (
            self.columns.end - self.columns.start,
            self.rows.end - self.rows.start,
        );
        width * height * PIXEL + OVERHEAD
    }

    /// The smallest patch that covers both.
    fn joined(&self, other: &Patch) -> Patch {
        let cover = |a: &Range<u32>, b: &Range<u32>| a.start.min(b.start)..a.end.max(b.end);
        Patch {
            columns: cover(&self.columns, &other.columns),
            rows: cover(&self.rows, &other.rows),
        }
    }

    fn into_rectangle(self) -> Rectangle {
        let corner = Point::new(self.columns.start as i32, self.rows.start as i32);
        Rectangle::new(
            corner,
            Size::new(self.columns.len() as u32, self.rows.len() as u32),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: u32 = 16;

    /// Two pictures that differ where there is a `#`.
    fn pictures(rows: &[&str]) -> (Vec<Rgb565>, Vec<Rgb565>) {
        let new: Vec<Rgb565> = rows
            .iter()
            .flat_map(|row| row.chars())
            .map(|c| {
                if c == '#' {
                    Rgb565::WHITE
                } else {
                    Rgb565::BLACK
                }
            })
            .collect();
        (vec![Rgb565::BLACK; new.len()], new)
    }

    fn rectangles(rows: &[&str]) -> Vec<(i32, i32, u32, u32)> {
        let (old, new) = pictures(rows);
        let mut found: Vec<_> = changes(&old, &new, WIDTH)
            .iter()
            .map(|area| {
                (
                    area.top_left.x,
                    area.top_left.y,
                    area.size.width,
                    area.size.height,
                )
            })
            .collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn nothing_changed_is_nothing_sent() {
        assert_eq!(rectangles(&["................", "................"]), []);
    }

    #[test]
    fn a_block_is_one_rectangle() {
        assert_eq!(
            rectangles(&[
                "................",
                "..####..........",
                "..####..........",
                "................"
            ]),
            [(2, 1, 4, 2)]
        );
    }

    #[test]
    fn a_small_gap_is_bridged_and_a_large_one_is_not() {
        assert_eq!(rectangles(&["##.....##......."]), [(0, 0, 9, 1)]);
        assert_eq!(
            rectangles(&["##......##......"]),
            [(0, 0, 2, 1), (8, 0, 2, 1)]
        );
    }

    #[test]
    fn what_lies_far_apart_stays_apart() {
        let rows = [
            "##............##",
            "##............##",
            "................",
            "................",
            "................",
            "......####......",
        ];
        assert_eq!(
            rectangles(&rows),
            [(0, 0, 2, 2), (6, 5, 4, 1), (14, 0, 2, 2)]
        );
    }

    #[test]
    fn every_changed_pixel_is_covered_whatever_changes() {
        let mut seed = 1_u32;
        for _ in 0..200 {
            let mut draw = || {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                seed >> 16
            };
            let density = draw() % 16;
            let old: Vec<Rgb565> = (0..WIDTH * 12).map(|_| Rgb565::BLACK).collect();
            let new: Vec<Rgb565> = old
                .iter()
                .map(|_| {
                    if draw() % 16 < density {
                        Rgb565::WHITE
                    } else {
                        Rgb565::BLACK
                    }
                })
                .collect();
            let areas = changes(&old, &new, WIDTH);
            for (place, pixel) in new.iter().enumerate() {
                let at = Point::new(place as i32 % WIDTH as i32, place as i32 / WIDTH as i32);
                assert!(
                    *pixel == Rgb565::BLACK || areas.iter().any(|area| area.contains(at)),
                    "{at}"
                );
            }
            let bytes: u32 = areas
                .iter()
                .map(|area| area.size.width * area.size.height * PIXEL + OVERHEAD)
                .sum();
            assert!(bytes <= WIDTH * 12 * PIXEL * 3 / 2, "{bytes}");
        }
    }
}
