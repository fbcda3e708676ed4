//! Reads a code back off a picture, as a phone does: what is drawn must also be readable.

use embedded_graphics::prelude::*;

use crate::kiosk::ui::frame::Frame;

/// What the codes on the picture say.
pub fn read(frame: &Frame) -> Vec<String> {
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    // Twice as large, as a camera sees it from near.
    let gray = |x: usize, y: usize| frame.pixels()[(y / 2) * width + x / 2].g() << 2;
    let mut picture = rqrr::PreparedImage::prepare_from_greyscale(2 * width, 2 * height, gray);
    let codes = picture.detect_grids();
    codes
        .iter()
        .filter_map(|code| Some(code.decode().ok()?.1))
        .collect()
}
