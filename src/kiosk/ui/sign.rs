//! The few signs that are understood without words.

use embedded_graphics::pixelcolor::Rgb565;

use crate::kiosk::ui::page::Page;
use crate::kiosk::ui::shapes::{self, Spot};

/// What can stand on a disc.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sign {
    /// Done.
    Tick,
    /// The goods come out.
    Down,
    /// It ended here.
    Cross,
    /// Look here.
    Alert,
    /// Wait: this one of three dots is strong.
    Dots(u32),
}

impl Sign {
    /// Draws it; its top left corner, its diameter, and the colours of the disc and of what stands on it.
    pub fn draw(self, page: &mut Page<'_>, (x, y): Spot, side: f32, ground: Rgb565, color: Rgb565) {
        let on = |(right, down): Spot| (x + right * side, y + down * side);
        let strong = match self {
            Sign::Dots(strong) => Some(strong as usize),
            _ => None,
        };
        if strong.is_none() {
            shapes::disc(page.frame, on((0.5, 0.5)), side / 2.0, ground);
        }
        let strokes: &[(Spot, Spot, f32)] = match self {
            Sign::Tick => &[
                ((0.29, 0.53), (0.44, 0.67), 0.09),
                ((0.44, 0.67), (0.72, 0.36), 0.09),
            ],
            Sign::Down => &[
                ((0.5, 0.22), (0.5, 0.54), 0.085),
                ((0.37, 0.43), (0.5, 0.56), 0.085),
                ((0.63, 0.43), (0.5, 0.56), 0.085),
                ((0.27, 0.58), (0.27, 0.73), 0.085),
                ((0.27, 0.73), (0.73, 0.73), 0.085),
                ((0.73, 0.73), (0.73, 0.58), 0.085),
            ],
            Sign::Cross => &[
                ((0.35, 0.35), (0.65, 0.65), 0.09),
                ((0.65, 0.35), (0.35, 0.65), 0.09),
            ],
            Sign::Alert => &[
                ((0.5, 0.26), (0.5, 0.55), 0.11),
                ((0.5, 0.73), (0.5, 0.73), 0.125),
            ],
            Sign::Dots(_) => &[
                ((0.14, 0.5), (0.14, 0.5), 0.24),
                ((0.5, 0.5), (0.5, 0.5), 0.24),
                ((0.86, 0.5), (0.86, 0.5), 0.24),
            ],
        };
        for (place, (from, to, width)) in strokes.iter().enumerate() {
            let color = match strong {
                Some(strong) if place != strong => ground,
                _ => color,
            };
            shapes::line(page.frame, on(*from), on(*to), width * side, color);
        }
    }
}
