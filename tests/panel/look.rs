//! A picture that has no symmetry, and how it looks on a glass.

use embedded_graphics::pixelcolor::Rgb565;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;

use crate::support::glass::Picture;
use selpay_kiosk::kiosk::ui::frame::Frame;

/// How a picture looks to a person.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    /// As it was drawn.
    Right,
    /// As in a mirror, whatever way up.
    Mirrored,
    /// Turned by 180 degrees.
    UpsideDown,
    /// Turned by 90 degrees clockwise: what is up points to the right.
    ToTheRight,
    /// Turned by 270 degrees.
    ToTheLeft,
    /// Right, but some rows or columns away; or too small.
    Shifted,
    /// Every colour is its opposite.
    Inverted,
    /// Red is blue and blue is red.
    RedAndBlueExchanged,
    /// No picture at all.
    Blank,
    /// Something else.
    Noise,
}

/// F and R, five by seven: neither has an axis.
const LETTERS: [[&str; 7]; 2] = [
    [
        "#####", "#....", "#....", "####.", "#....", "#....", "#....",
    ],
    [
        "####.", "#...#", "#...#", "####.", "#.#..", "#..#.", "#...#",
    ],
];

/// On white: two letters at the top left, a red, a green and a blue square below them, and a black line on the edge.
pub fn probe((width, height): (u32, u32)) -> Frame {
    let mut frame = Frame::new(width, height);
    let mut fill = |x: u32, y: u32, width: u32, height: u32, color| {
        let area = Rectangle::new(Point::new(x as i32, y as i32), Size::new(width, height));
        let Ok(()) = frame.fill_solid(&area, color);
    };
    fill(0, 0, width, height, Rgb565::BLACK);
    fill(1, 1, width - 2, height - 2, Rgb565::WHITE);
    let dot = width.min(height) / 20;
    for (place, letter) in (0..).zip(LETTERS) {
        for (y, row) in (0..).zip(letter) {
            for (x, cell) in (0..).zip(row.chars()) {
                if cell == '#' {
                    let left = (1 + place * 6 + x) * dot;
                    fill(left, (1 + y) * dot, dot, dot, Rgb565::BLACK);
                }
            }
        }
    }
    for (place, color) in (0..).zip([Rgb565::RED, Rgb565::GREEN, Rgb565::BLUE]) {
        fill((1 + place * 4) * dot, 10 * dot, 3 * dot, 3 * dot, color);
    }
    frame
}

/// The frame as it is to be seen. The least bits differ where a colour is sent with more of them.
fn drawn(frame: &Frame) -> Picture {
    let color = |pixel: &Rgb565| [pixel.r() << 3, pixel.g() << 2, pixel.b() << 3];
    let pixels = frame.pixels().iter().map(color).collect();
    (frame.width() as usize, frame.height() as usize, pixels)
}

fn masked((width, height, pixels): &Picture) -> Picture {
    let mask = |[r, g, b]: &[u8; 3]| [r & 0xf8, g & 0xfc, b & 0xf8];
    (*width, *height, pixels.iter().map(mask).collect())
}

/// The picture with each point taken from another place.
fn moved(
    (width, height, pixels): &Picture,
    size: (usize, usize),
    from: impl Fn(usize, usize) -> (usize, usize),
) -> Picture {
    let mut to = Vec::new();
    for y in 0..size.1 {
        for x in 0..size.0 {
            let (x, y) = from(x, y);
            assert!(x < *width && y < *height);
            to.push(pixels[y * width + x]);
        }
    }
    (size.0, size.1, to)
}

/// Turned clockwise by 90 degrees.
fn turned(picture: &Picture) -> Picture {
    let (width, height, _) = *picture;
    moved(picture, (height, width), |x, y| (y, height - 1 - x))
}

fn mirrored(picture: &Picture) -> Picture {
    let (width, height, _) = *picture;
    moved(picture, (width, height), |x, y| (width - 1 - x, y))
}

fn colored(picture: &Picture, color: impl Fn([u8; 3]) -> [u8; 3]) -> Picture {
    let (width, height, pixels) = picture;
    masked(&(
        *width,
        *height,
        pixels.iter().map(|pixel| color(*pixel)).collect(),
    ))
}

/// Whether most of what was drawn is there, so many columns and rows away.
fn is_shifted(seen: &Picture, drawn: &Picture) -> bool {
    let at = |picture: &Picture, x: i64, y: i64| {
        let (width, height) = (picture.0 as i64, picture.1 as i64);
        let is_within = (0..width).contains(&x) && (0..height).contains(&y);
        is_within.then(|| picture.2[(y * width + x) as usize])
    };
    let (width, height) = (drawn.0 as i64, drawn.1 as i64);
    let is_there = |dx: i64, dy: i64, step: usize, share: i64| {
        let rows = (0..height).step_by(step);
        let places = rows.flat_map(|y| (0..width).step_by(step).map(move |x| (x, y)));
        let both = places.filter_map(|(x, y)| Some((at(drawn, x, y)?, at(seen, x + dx, y + dy)?)));
        let (mut same, mut other) = (0, 0);
        for (drawn, seen) in both {
            if drawn == seen {
                same += 1;
            } else {
                other += 1;
            }
        }
        let all = width * height / (step * step) as i64;
        same > all * 2 / 5 && other < same / share
    };
    let near = (-4..=4).flat_map(|dx| (-4..=4).map(move |dy| (dx, dy)));
    let far = [(0, 80), (0, -80), (80, 0), (-80, 0)];
    // Looked at roughly first: most places are out of the question.
    near.chain(far)
        .any(|(dx, dy)| is_there(dx, dy, 7, 10) && is_there(dx, dy, 1, 50))
}

/// How this frame looks in what is seen.
pub fn look(seen: Option<Picture>, frame: &Frame) -> Look {
    let Some(seen) = seen.map(|seen| masked(&seen)) else {
        return Look::Blank;
    };
    let drawn = drawn(frame);
    let quarter = turned(&drawn);
    let half = turned(&quarter);
    let rest = turned(&half);
    if seen == drawn {
        return Look::Right;
    }
    for (picture, look) in [
        (&quarter, Look::ToTheRight),
        (&half, Look::UpsideDown),
        (&rest, Look::ToTheLeft),
    ] {
        if seen == *picture {
            return look;
        }
    }
    if [&drawn, &quarter, &half, &rest]
        .iter()
        .any(|picture| seen == mirrored(picture))
    {
        return Look::Mirrored;
    }
    if seen == colored(&drawn, |color| color.map(|part| !part)) {
        return Look::Inverted;
    }
    if seen == colored(&drawn, |[red, green, blue]| [blue, green, red]) {
        return Look::RedAndBlueExchanged;
    }
    match is_shifted(&seen, &drawn) {
        true => Look::Shifted,
        false => Look::Noise,
    }
}

/// What a phone reads off a picture.
pub fn codes((width, height, pixels): &Picture) -> Vec<String> {
    // Twice as large, as a camera sees it from near.
    let gray = |x: usize, y: usize| pixels[(y / 2) * width + x / 2][1];
    let mut picture = rqrr::PreparedImage::prepare_from_greyscale(2 * width, 2 * height, gray);
    let grids = picture.detect_grids();
    grids
        .iter()
        .filter_map(|grid| Some(grid.decode().ok()?.1))
        .collect()
}

#[test]
fn each_look_is_told_from_every_other() {
    let frame = probe((128, 160));
    let right = drawn(&frame);
    let exchanged = |[red, green, blue]: [u8; 3]| [blue, green, red];
    let shifted = moved(&right, (128, 160), |x, y| (x.max(2) - 2, y.max(1) - 1));
    let noise = (
        128,
        160,
        (0..128 * 160)
            .map(|place| [(place % 251) as u8; 3])
            .collect(),
    );
    for (seen, told) in [
        (right.clone(), Look::Right),
        (mirrored(&right), Look::Mirrored),
        (mirrored(&turned(&right)), Look::Mirrored),
        (turned(&right), Look::ToTheRight),
        (turned(&turned(&right)), Look::UpsideDown),
        (turned(&turned(&turned(&right))), Look::ToTheLeft),
        (
            colored(&right, |color| color.map(|part| !part)),
            Look::Inverted,
        ),
        (colored(&right, exchanged), Look::RedAndBlueExchanged),
        (shifted, Look::Shifted),
        (noise, Look::Noise),
    ] {
        assert_eq!(look(Some(seen), &frame), told);
    }
    assert_eq!(look(None, &frame), Look::Blank);
}
