//! QR codes at their best for a panel: whole pixels per module, a full quiet zone, as large as fits.

use embedded_graphics::pixelcolor::Rgb565;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;
use qrcode::{Color, EcLevel, QrCode};

use crate::kiosk::ui::frame::Frame;

/// Clear modules around a code, as ISO/IEC 18004 asks for.
const QUIET: u32 = 4;

/// A code and how large its modules are drawn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Code {
    modules: Vec<Color>,
    across: u32,
    module_px: u32,
}

impl Code {
    /// The code of `text` with the largest modules that fit into a square of `side` pixels, quiet zone included;
    /// of those, the one that bears the most dirt. `None` if it would need modules of less than 2 pixels.
    pub fn largest(text: &str, side: u32) -> Option<Code> {
        let fits = |level| {
            let code = QrCode::with_error_correction_level(text, level).ok()?;
            let across = code.width() as u32;
            let module_px = side / (across + 2 * QUIET);
            (module_px >= 2).then(|| Code {
                modules: code.into_colors(),
                across,
                module_px,
            })
        };
        // The last of several largest counts: the levels go from weak to strong.
        [EcLevel::L, EcLevel::M, EcLevel::Q, EcLevel::H]
            .into_iter()
            .filter_map(fits)
            .max_by_key(|code| code.module_px)
    }

    /// Its side in pixels, quiet zone included.
    pub fn side(&self) -> u32 {
        (self.across + 2 * QUIET) * self.module_px
    }

    /// Draws it, black on white, quiet zone included.
    pub fn draw(&self, frame: &mut Frame, at: Point) {
        let Ok(()) = frame.fill_solid(
            &Rectangle::new(at, Size::new_equal(self.side())),
            Rgb565::WHITE,
        );
        let module = Size::new_equal(self.module_px);
        for (place, color) in self.modules.iter().enumerate() {
            if *color == Color::Dark {
                let (x, y) = (
                    place as u32 % self.across + QUIET,
                    place as u32 / self.across + QUIET,
                );
                let corner =
                    at + Point::new((x * self.module_px) as i32, (y * self.module_px) as i32);
                let Ok(()) = frame.fill_solid(&Rectangle::new(corner, module), Rgb565::BLACK);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The platform's own address: 113 characters.
    const REAL: &str = "https://up.selpay.cn/#/pages/rt/index?appKey=5f53481517b449b0a8c8dbe808d8bf5c&no=0123456789abcdef0123456789abcdef";

    #[test]
    fn the_real_address_gets_four_pixels_a_module_on_a_small_panel_and_six_on_a_large_one() {
        assert_eq!(REAL.len(), 113);
        let code = Code::largest(REAL, 240).expect("it fits");
        assert_eq!((code.module_px, code.across), (4, 49), "level Q");
        assert_eq!(code.side(), 228);
        let code = Code::largest(REAL, 320).expect("it fits");
        assert_eq!(code.module_px, 6);
    }

    #[test]
    fn a_code_too_fine_to_read_is_not_drawn() {
        assert_eq!(Code::largest(REAL, 90), None);
        assert_eq!(Code::largest(&"x".repeat(5000), 240), None);
    }

    #[test]
    fn the_quiet_zone_is_white_on_all_sides() {
        let code = Code::largest(REAL, 240).expect("it fits");
        let mut frame = Frame::new(code.side(), code.side());
        code.draw(&mut frame, Point::zero());
        let quiet = (QUIET * code.module_px) as usize;
        let side = code.side() as usize;
        for (place, pixel) in frame.pixels().iter().enumerate() {
            let (x, y) = (place % side, place / side);
            let inside = (quiet..side - quiet).contains(&x) && (quiet..side - quiet).contains(&y);
            assert!(inside || *pixel == Rgb565::WHITE, "({x}, {y})");
        }
    }
}
