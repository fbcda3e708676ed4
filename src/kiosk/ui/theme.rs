//! Colours that hold in sunlight: every text has a contrast of 7:1 or more to what is under it.
//!
//! One accent, green. Amber is for signs only.

use embedded_graphics::pixelcolor::Rgb565;

const fn rgb(red: u8, green: u8, blue: u8) -> Rgb565 {
    Rgb565::new(red >> 3, green >> 2, blue >> 3)
}

/// The ground of most screens. Pure, because QR codes stand on it.
pub const PAPER: Rgb565 = rgb(255, 255, 255);
/// Text.
pub const INK: Rgb565 = rgb(16, 24, 32);
/// Text that matters less.
pub const SOFT: Rgb565 = rgb(64, 72, 80);
/// The amount that is not typed yet. It says nothing, so it may be pale.
pub const GHOST: Rgb565 = rgb(184, 196, 196);
/// Fields on the paper, key caps, what is not filled yet.
pub const FIELD: Rgb565 = rgb(232, 244, 240);
/// Edges of fields.
pub const EDGE: Rgb565 = rgb(160, 188, 176);
/// The accent: what to do next, and what has gone well.
pub const GREEN: Rgb565 = rgb(0, 92, 64);
/// Text on [`GREEN`] that matters less.
pub const MINT: Rgb565 = rgb(232, 252, 240);
/// The ground of a sign that must be seen.
pub const AMBER: Rgb565 = rgb(255, 196, 40);

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_graphics::prelude::RgbColor;

    /// Relative luminance (WCAG 2.2).
    fn luminance(color: Rgb565) -> f64 {
        let channel = |value: u8, max: u8| {
            let value = f64::from(value) / f64::from(max);
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * channel(color.r(), 31)
            + 0.7152 * channel(color.g(), 63)
            + 0.0722 * channel(color.b(), 31)
    }

    #[test]
    fn every_text_can_be_read_in_sunlight() {
        for (text, ground) in [
            (INK, PAPER),
            (INK, FIELD),
            (INK, AMBER),
            (SOFT, PAPER),
            (SOFT, FIELD),
            (GREEN, PAPER),
            (GREEN, FIELD),
            (PAPER, GREEN),
            (MINT, GREEN),
        ] {
            let (one, other) = (luminance(text), luminance(ground));
            let contrast = (one.max(other) + 0.05) / (one.min(other) + 0.05);
            assert!(contrast >= 7.0, "{text:?} on {ground:?}: {contrast:.1}");
        }
    }
}
