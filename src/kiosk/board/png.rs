//! The panel `png`: the picture as a file, whole at any moment.

use std::io;
use std::path::PathBuf;

use crate::files;
use crate::kiosk::ports::{Panel, Progress};
use crate::kiosk::ui::frame::Frame;

/// A panel that is a PNG file.
#[derive(Debug)]
pub struct PngPanel {
    file: PathBuf,
    size: (u32, u32),
}

impl PngPanel {
    /// A panel of this size; the file appears with the first picture.
    pub fn new(file: PathBuf, size: (u32, u32)) -> PngPanel {
        PngPanel { file, size }
    }
}

impl Panel for PngPanel {
    fn size(&self) -> (u32, u32) {
        self.size
    }

    fn show(&mut self, _name: &str, frame: &Frame) -> io::Result<Progress> {
        files::replace(&self.file, &encode(frame))?;
        Ok(Progress::Whole)
    }
}

/// The frame as a PNG file's content.
pub fn encode(frame: &Frame) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, frame.width(), frame.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::Fast);
    encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(&frame.rgb888()))
        .expect("a frame is a complete picture, and memory takes it");
    file
}
