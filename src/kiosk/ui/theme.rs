//! Colours that hold in sunlight: every text has a contrast of 7:1 or more to what is under it.

use embedded_graphics::pixelcolor::Rgb565;

const fn rgb(red: u8, green: u8, blue: u8) -> Rgb565 {
    Rgb565::new(red >> 3, green >> 2, blue >> 3)
}

/// The ground of most screens.
pub const PAPER: Rgb565 = rgb(255, 255, 255);
/// Text.
pub const INK: Rgb565 = rgb(16, 28, 24);
/// Text that matters less.
pub const SOFT: Rgb565 = rgb(64, 76, 72);
/// Lines, and what is not filled yet.
pub const LINE: Rgb565 = rgb(208, 220, 212);
/// What goes well.
pub const GREEN: Rgb565 = rgb(0, 84, 56);
/// Text on [`GREEN`] and [`RED`].
pub const ON_DARK: Rgb565 = rgb(255, 255, 255);
/// Text that matters less on [`GREEN`].
pub const SOFT_ON_GREEN: Rgb565 = rgb(216, 244, 228);
/// What goes wrong.
pub const RED: Rgb565 = rgb(152, 16, 16);
/// The ground of a sign that must be seen.
pub const AMBER: Rgb565 = rgb(255, 208, 88);
/// The ground of a key cap.
pub const CAP: Rgb565 = rgb(232, 240, 236);

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
            (SOFT, PAPER),
            (GREEN, PAPER),
            (RED, PAPER),
            (ON_DARK, GREEN),
            (SOFT_ON_GREEN, GREEN),
            (ON_DARK, RED),
            (INK, AMBER),
            (INK, CAP),
        ] {
            let (dark, light) = (
                luminance(text).min(luminance(ground)),
                luminance(text).max(luminance(ground)),
            );
            let contrast = (light + 0.05) / (dark + 0.05);
            assert!(contrast >= 7.0, "{text:?} on {ground:?}: {contrast:.1}");
        }
    }
}
