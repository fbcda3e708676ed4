//! Which mask a code gets: of all eight the one whose modules look least like something else (ISO/IEC 18004, 7.8.3).
//!
//! The library finds the same one, but allocates for each module that it looks at, and takes eight million instructions.

use qrcode::canvas::{Canvas, MaskPattern};
use qrcode::{Color, EcLevel, QrResult, bits, ec};

const MASKS: [MaskPattern; 8] = [
    MaskPattern::Checkerboard,
    MaskPattern::HorizontalLines,
    MaskPattern::VerticalLines,
    MaskPattern::DiagonalLines,
    MaskPattern::LargeCheckerboard,
    MaskPattern::Fields,
    MaskPattern::Diamonds,
    MaskPattern::Meadow,
];

/// The modules of the code that holds these bits, row by row.
pub fn best(bits: bits::Bits, level: EcLevel) -> QrResult<Vec<Color>> {
    let version = bits.version();
    let (data, correction) = ec::construct_codewords(&bits.into_bytes(), version, level)?;
    let mut canvas = Canvas::new(version, level);
    canvas.draw_all_functional_patterns();
    canvas.draw_data(&data, &correction);
    let masked = MASKS.map(|mask| {
        let mut canvas = canvas.clone();
        canvas.apply_mask(mask);
        canvas.into_colors()
    });
    let penalty = |modules: &Vec<Color>| penalty(modules, version.width() as usize);
    let best = masked.into_iter().min_by_key(penalty);
    Ok(best.expect("there are eight"))
}

fn penalty(modules: &[Color], width: usize) -> usize {
    let is_dark = |x: usize, y: usize| modules[y * width + x] == Color::Dark;
    let lines: usize = (0..width)
        .map(|line| {
            let (row, column) = (
                (0..width).map(|x| is_dark(x, line)),
                (0..width).map(|y| is_dark(line, y)),
            );
            runs(row.clone()) + finders(row) + runs(column.clone()) + finders(column)
        })
        .sum();
    let dark = modules.iter().filter(|module| **module == Color::Dark);
    let unbalanced = (dark.count() * 200 / modules.len()).abs_diff(100);
    lines + blocks(modules, width) + unbalanced
}

/// Five or more modules of one colour in a line.
fn runs(line: impl Iterator<Item = bool>) -> usize {
    let (mut penalty, mut length, mut last) = (0, 0, None);
    for dark in line.map(Some).chain([None]) {
        if dark == last {
            length += 1;
        } else {
            penalty += if length >= 5 { length - 2 } else { 0 };
            (length, last) = (1, dark);
        }
    }
    penalty
}

/// What looks like a part of a finder pattern: `#.###.#` with four light modules before it or behind.
fn finders(line: impl Iterator<Item = bool>) -> usize {
    const PATTERN: u16 = 0b101_1101;
    // Outside all is light.
    let seen = line.chain([false; 4]).scan(0, |seen: &mut u16, dark| {
        *seen = *seen << 1 | u16::from(dark);
        Some(*seen)
    });
    let is_finder = |seen: &u16| {
        let (before, behind) = (seen >> 11 & 0b1111, seen & 0b1111);
        seen >> 4 & 0b111_1111 == PATTERN && (before == 0 || behind == 0)
    };
    40 * seen.filter(is_finder).count()
}

/// Squares of four modules of one colour.
fn blocks(modules: &[Color], width: usize) -> usize {
    let rows = modules.chunks_exact(width);
    let below = rows.clone().skip(1);
    let blocks = rows.zip(below).flat_map(|(row, below)| {
        let squares = row.windows(2).zip(below.windows(2));
        squares.filter(|(upper, lower)| upper == lower && upper[0] == upper[1])
    });
    3 * blocks.count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use qrcode::QrCode;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_one_that_the_library_finds(text in "[ -~]{1,200}", level in prop_oneof![Just(EcLevel::L), Just(EcLevel::M)]) {
            let bits = bits::encode_auto(text.as_bytes(), level).expect("it fits");
            let theirs = QrCode::with_error_correction_level(&text, level).expect("it fits");
            prop_assert!(best(bits, level).expect("it fits") == theirs.into_colors());
        }
    }

    #[test]
    fn each_resemblance_has_its_price() {
        let line = |text: &str| text.chars().map(|c| c == '#').collect::<Vec<_>>();
        for (text, runs_cost, finders_cost) in [
            ("####.", 0, 0),
            ("#####.", 3, 0),
            (".#####......", 3 + 4, 0),
            ("#.###.#", 0, 40),
            ("##.###.#.#", 0, 0),
            ("##.###.#....", 0, 40),
            ("#....#.###.##", 0, 40),
            ("#...#.###.#.#", 0, 0),
        ] {
            let line = line(text);
            assert_eq!(runs(line.iter().copied()), runs_cost, "{text}");
            assert_eq!(finders(line.iter().copied()), finders_cost, "{text}");
        }
    }
}
