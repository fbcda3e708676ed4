//! Every screen as it was when somebody last looked at it and liked it: `tests/golden`.
//!
//! A change shows as a picture, before, now and the difference side by side, in `target/golden`. Who likes it, runs
//! `UPDATE_GOLDEN=1 cargo test --test integration screens::` and commits the new pictures.

#![cfg(feature = "kiosk")]

use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use selpay_kiosk::kiosk::machine::screen::Language;
use selpay_kiosk::kiosk::ui::frame::Frame;
use selpay_kiosk::kiosk::ui::{self, Look, samples};
use selpay_kiosk::money::Fen;

/// The pictures that are kept.
const KEPT: [((u32, u32), Language, &str); 3] = [
    ((240, 320), Language::Zh, "240x320-zh"),
    ((240, 320), Language::En, "240x320-en"),
    ((480, 320), Language::Zh, "480x320-zh"),
];

/// A picture: its size, and three bytes a pixel.
#[derive(PartialEq)]
struct Picture {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

impl Picture {
    fn of(frame: &Frame) -> Picture {
        let (width, height, rgb) = (frame.width(), frame.height(), frame.rgb888());
        Picture { width, height, rgb }
    }

    fn read(file: &Path) -> Option<Picture> {
        let file = BufReader::new(fs::File::open(file).ok()?);
        let mut reader = png::Decoder::new(file).read_info().ok()?;
        let mut rgb = vec![0; reader.output_buffer_size()?];
        let info = reader.next_frame(&mut rgb).ok()?;
        let (width, height) = (info.width, info.height);
        Some(Picture { width, height, rgb })
    }

    fn write(&self, file: &Path) {
        fs::create_dir_all(file.parent().expect("a directory")).expect("made");
        let file = fs::File::create(file).expect("a file");
        let mut encoder = png::Encoder::new(file, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_compression(png::Compression::High);
        let mut writer = encoder.write_header().expect("written");
        writer.write_image_data(&self.rgb).expect("written");
    }

    fn pixels(&self) -> impl Iterator<Item = &[u8]> {
        self.rgb.chunks_exact(3)
    }

    /// Before, now, and what differs, side by side.
    fn beside(&self, now: &Picture) -> Picture {
        let mut rgb = Vec::new();
        let row = self.width as usize * 3;
        let same = [255; 3];
        let differ = self.pixels().zip(now.pixels());
        let differ: Vec<u8> = differ
            .flat_map(|(old, new)| if old == new { same } else { [200, 0, 60] })
            .collect();
        for place in (0..self.rgb.len()).step_by(row) {
            for picture in [&self.rgb, &now.rgb, &differ] {
                rgb.extend(&picture[place..place + row]);
            }
        }
        Picture {
            width: self.width * 3,
            height: self.height,
            rgb,
        }
    }
}

#[test]
fn every_screen_looks_as_it_did_when_it_was_liked() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let updates = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut changed = Vec::new();
    for ((width, height), language, kind) in KEPT {
        let look = Look {
            language,
            service_phone: Some("400-000-0000".to_owned()),
            ..Look::default()
        };
        for sample in samples::all(Fen::new(350).expect("an amount")) {
            let mut frame = Frame::new(width, height);
            ui::draw(&mut frame, &sample.screen, &look);
            let name = PathBuf::from(kind).join(format!("{}.png", sample.name));
            let (now, file) = (Picture::of(&frame), root.join("tests/golden").join(&name));
            let liked = Picture::read(&file);
            if liked.as_ref() == Some(&now) {
                continue;
            }
            if updates {
                now.write(&file);
                continue;
            }
            let shown = root.join("target/golden").join(&name);
            let what = match liked {
                Some(liked) if liked.rgb.len() == now.rgb.len() => {
                    liked.beside(&now).write(&shown);
                    let differ = liked.pixels().zip(now.pixels()).filter(|(a, b)| a != b);
                    format!("{} pixels differ", differ.count())
                }
                _ => {
                    now.write(&shown);
                    "there was none of this size".to_owned()
                }
            };
            changed.push(format!(
                "{}: {what}; look at {}",
                name.display(),
                shown.display()
            ));
        }
    }
    assert!(
        changed.is_empty(),
        "{} screens have changed:\n{}",
        changed.len(),
        changed.join("\n")
    );
}
