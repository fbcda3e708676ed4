//! QR codes at their best for a panel: whole pixels per module, a full quiet zone, as large as fits.

mod mask;

use embedded_graphics::pixelcolor::Rgb565;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;
use qrcode::{Color, EcLevel, bits};

use crate::kiosk::ui::frame::Frame;

/// Clear modules around a code, as ISO/IEC 18004 asks for.
const QUIET: u32 = 4;

/// A code, and how large it is drawn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placed {
    modules: Vec<Color>,
    across: u32,
    module_px: u32,
}

/// The code of `text` with the largest modules that fit into the field, quiet zone included.
///
/// Of two such codes it is the one that bears more dirt, if that still leaves free what lies outside `liked`. Levels above
/// M are read less often, however clean the glass (`examples/camera.rs`). `None` if modules would have to be less than a
/// pixel.
pub fn largest(text: &str, field: Size, liked: Size) -> Option<Placed> {
    // From weak and small to strong and large; a level that cannot hold the text is not among them.
    let mut levels = Vec::new();
    for level in [EcLevel::L, EcLevel::M] {
        levels.extend(bits::encode_auto(text.as_bytes(), level).map(|bits| (bits, level)));
    }
    let across = |bits: &bits::Bits| bits.version().width() as u32 + 2 * QUIET;
    let (weakest, _) = levels.first()?;
    let module_px = field.width.min(field.height) / across(weakest);
    if module_px == 0 {
        return None;
    }
    let room = field.component_min(liked);
    let fits = |bits| across(bits) * module_px <= room.width.min(room.height);
    let best = levels.iter().rposition(|(bits, _)| fits(bits));
    let (bits, level) = levels.swap_remove(best.unwrap_or(0));
    Some(Placed {
        across: bits.version().width() as u32,
        modules: mask::best(bits, level).ok()?,
        module_px,
    })
}

impl Placed {
    /// The side of a module in pixels.
    pub fn module_px(&self) -> u32 {
        self.module_px
    }

    /// Its side in pixels, quiet zone included.
    pub fn side(&self) -> u32 {
        (self.across + 2 * QUIET) * self.module_px
    }

    /// The width of its quiet zone in pixels.
    #[cfg(test)]
    pub fn quiet(&self) -> u32 {
        QUIET * self.module_px
    }

    /// Draws it, black on white, quiet zone included.
    pub fn draw(&self, frame: &mut Frame, at: Point) {
        let field = Rectangle::new(at, Size::new_equal(self.side()));
        let Ok(()) = frame.fill_solid(&field, Rgb565::WHITE);
        let size = Size::new_equal(self.module_px);
        let dark = self.modules.iter().zip(0u32..);
        for (_, place) in dark.filter(|(color, _)| **color == Color::Dark) {
            let x = (place % self.across + QUIET) * self.module_px;
            let y = (place / self.across + QUIET) * self.module_px;
            let module = Rectangle::new(at + Point::new(x as i32, y as i32), size);
            let Ok(()) = frame.fill_solid(&module, Rgb565::BLACK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As long as the platform's own: 113 characters.
    const REAL: &str = "https://up.selpay.cn/#/pages/rt/index?appKey=5f53481517b449b0a8c8dbe808d8bf5c&no=3fa91c027be44d109a55c0ffee123456";

    fn square(side: u32) -> Size {
        Size::new_equal(side)
    }

    #[test]
    fn the_largest_modules_win_and_then_the_strongest_level() {
        // Level L has 41 modules across, level M 45.
        for (panel, module_px, across) in [(240, 4, 45), (320, 6, 45), (128, 2, 45)] {
            let wide = Size::new(1000, panel);
            let code = largest(REAL, wide, wide).expect("it fits");
            assert_eq!(
                (code.module_px, code.across),
                (module_px, across),
                "{panel}"
            );
        }
    }

    #[test]
    fn a_stronger_level_does_not_take_the_room_of_the_rest() {
        for (liked, across) in [(212, 45), (211, 41), (10, 41)] {
            let code = largest(REAL, square(240), square(liked)).expect("it fits");
            assert_eq!((code.module_px, code.across), (4, across), "{liked}");
        }
    }

    #[test]
    fn what_does_not_fit_is_not_drawn() {
        assert_eq!(largest(REAL, square(48), square(48)), None);
        assert_eq!(largest(&"x".repeat(5000), square(240), square(240)), None);
    }

    #[test]
    fn the_quiet_zone_is_white_on_all_sides() {
        let code = largest(REAL, square(240), square(240)).expect("it fits");
        let mut frame = Frame::new(code.side(), code.side());
        code.draw(&mut frame, Point::zero());
        let (side, quiet) = (code.side() as usize, code.quiet() as usize);
        for (place, pixel) in frame.pixels().iter().enumerate() {
            let clear = quiet..side - quiet;
            let inside = clear.contains(&(place % side)) && clear.contains(&(place / side));
            assert!(inside || *pixel == Rgb565::WHITE, "{place}");
        }
    }
}
