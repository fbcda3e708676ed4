//! Which QR code is read best off a panel? A simulated phone decides, not taste.
//!
//! `cargo run --release --example camera` draws the platform's address as every code that fits a panel (error-correction level,
//! pixels per module, quiet zone), lets a phone see each of them through the same bad moments (distance, tilt, blur, noise, glare,
//! uneven light, a black frame around the glass), and prints how often two decoders could read it: rqrr, and zbar where `zbarimg`
//! is there. One seed, so that all codes see the same moments.

use std::io::Write;
use std::process::{Command, Stdio};

use qrcode::{Color, EcLevel, QrCode};

/// As long as the platform's own: 113 characters.
const ADDRESS: &str = "https://up.selpay.cn/#/pages/rt/index?appKey=5f53481517b449b0a8c8dbe808d8bf5c&no=3fa91c027be44d109a55c0ffee123456";
/// The narrow sides of panels.
const PANELS: [usize; 3] = [128, 240, 320];
const LEVELS: [(EcLevel, char); 4] = [
    (EcLevel::L, 'L'),
    (EcLevel::M, 'M'),
    (EcLevel::Q, 'Q'),
    (EcLevel::H, 'H'),
];
/// Pictures that each code is seen in.
const MOMENTS: u64 = 400;
/// The phone's picture.
const PHOTO: usize = 480;

/// Grey values from 0.0 to 1.0.
struct Picture {
    width: usize,
    grey: Vec<f32>,
}

impl Picture {
    fn at(&self, x: f32, y: f32) -> Option<f32> {
        let height = self.grey.len() / self.width;
        if x < 0.0 || y < 0.0 || x >= self.width as f32 || y >= height as f32 {
            return None;
        }
        Some(self.grey[y as usize * self.width + x as usize])
    }
}

/// The dice: small, and the same everywhere (SplitMix64).
struct Dice(u64);

impl Dice {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn within(&mut self, from: f32, to: f32) -> f32 {
        from + (to - from) * (self.draw() >> 40) as f32 / (1u64 << 24) as f32
    }
}

/// A code in the middle of a square panel that is white but for it.
fn panel(level: EcLevel, side: usize, module: usize) -> Option<(Picture, f32)> {
    let code = QrCode::with_error_correction_level(ADDRESS, level).ok()?;
    let across = code.width() * module;
    let quiet = side.checked_sub(across)? / 2;
    let dark = code.into_colors();
    let mut grey = vec![1.0; side * side];
    let modules = across / module;
    for y in 0..across {
        for x in 0..across {
            if dark[y / module * modules + x / module] == Color::Dark {
                grey[(quiet + y) * side + quiet + x] = 0.0;
            }
        }
    }
    let quiet = quiet as f32 / module as f32;
    Some((Picture { width: side, grey }, quiet))
}

/// What a phone sees of it at a bad moment. The glass has a black frame.
fn photo(panel: &Picture, dice: &mut Dice) -> Picture {
    let side = panel.width as f32;
    // The panel takes up this part of the photo, turned and tilted.
    let part = dice.within(0.28, 0.8);
    let (sin, cos) = dice.within(-0.5, 0.5).sin_cos();
    let (tilt_x, tilt_y) = (dice.within(-0.45, 0.45), dice.within(-0.45, 0.45));
    let (off_x, off_y) = (dice.within(-0.08, 0.08), dice.within(-0.08, 0.08));
    let (light_x, light_y) = (dice.within(-0.25, 0.25), dice.within(-0.25, 0.25));
    let (white, black) = (dice.within(0.55, 0.95), dice.within(0.05, 0.3));
    let glare = (
        dice.within(-0.4, 0.4),
        dice.within(-0.4, 0.4),
        dice.within(0.04, 0.2),
    );
    let dazzle = dice.within(0.0, 0.9);
    let blur = dice.within(0.4, 2.2);
    let noise = dice.within(0.0, 0.12);
    let mut grey = Vec::with_capacity(PHOTO * PHOTO);
    for y in 0..PHOTO {
        for x in 0..PHOTO {
            let mut sum = 0.0;
            // Two by two samples a pixel.
            for (dx, dy) in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)] {
                let u = (x as f32 + dx) / PHOTO as f32 - 0.5 + off_x;
                let v = (y as f32 + dy) / PHOTO as f32 - 0.5 + off_y;
                let (u, v) = (u * cos - v * sin, u * sin + v * cos);
                let depth = part * (1.0 + u * tilt_x + v * tilt_y);
                let (u, v) = (u / depth, v / depth);
                let lit = panel.at((u + 0.5) * side, (v + 0.5) * side);
                let level = lit.map_or(0.02, |lit| black + (white - black) * lit);
                let far = (u - glare.0).hypot(v - glare.1) / glare.2;
                let shine = dazzle * (-far * far).exp();
                sum += (level * (1.0 + u * light_x + v * light_y) + shine).min(1.0);
            }
            grey.push(sum / 4.0);
        }
    }
    let blurred = blurred(&Picture { width: PHOTO, grey }, blur);
    let grey = blurred.grey.iter().map(|level| {
        // Three dice make a bell.
        let bell: f32 = (0..3).map(|_| dice.within(-1.0, 1.0)).sum();
        (level + bell * noise).clamp(0.0, 1.0)
    });
    Picture {
        width: PHOTO,
        grey: grey.collect(),
    }
}

/// A lens that is not quite in focus: a bell of this width, first along, then across.
fn blurred(picture: &Picture, sigma: f32) -> Picture {
    let reach = (sigma * 3.0).ceil() as isize;
    let weights: Vec<f32> = (-reach..=reach)
        .map(|d| (-(d as f32 / sigma).powi(2) / 2.0).exp())
        .collect();
    let whole: f32 = weights.iter().sum();
    let pass = |grey: &[f32], step: isize| -> Vec<f32> {
        let at = |place: usize, d: isize| {
            let (line, across) = (place / PHOTO, place % PHOTO);
            let moved = if step == 1 { across } else { line } as isize + d;
            let moved = moved.clamp(0, PHOTO as isize - 1) as usize;
            grey[if step == 1 {
                line * PHOTO + moved
            } else {
                moved * PHOTO + across
            }]
        };
        let sum = |place: usize| {
            let weighed = weights
                .iter()
                .zip(-reach..=reach)
                .map(|(weight, d)| weight * at(place, d));
            weighed.sum::<f32>() / whole
        };
        (0..grey.len()).map(sum).collect()
    };
    let grey = pass(&pass(&picture.grey, 1), PHOTO as isize);
    Picture { width: PHOTO, grey }
}

fn rqrr_reads(photo: &Picture) -> bool {
    let grey = |x: usize, y: usize| (photo.grey[y * PHOTO + x] * 255.0) as u8;
    let mut prepared = rqrr::PreparedImage::prepare_from_greyscale(PHOTO, PHOTO, grey);
    let grids = prepared.detect_grids();
    grids
        .iter()
        .any(|grid| grid.decode().is_ok_and(|(_, text)| text == ADDRESS))
}

/// `None` where there is no zbarimg.
fn zbar_reads(photo: &Picture) -> Option<bool> {
    let mut zbar = Command::new("zbarimg")
        .args([
            "--quiet",
            "--raw",
            "--nodbus",
            "-Sdisable",
            "-Sqrcode.enable",
            "pgm:-",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut file = format!("P5 {PHOTO} {PHOTO} 255\n").into_bytes();
    file.extend(photo.grey.iter().map(|level| (level * 255.0) as u8));
    let mut stdin = zbar.stdin.take()?;
    stdin.write_all(&file).ok()?;
    drop(stdin);
    let output = zbar.wait_with_output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim() == ADDRESS)
}

fn main() {
    println!(
        "| panel | level | px a module | quiet zone | rqrr | zbar |\n| --- | --- | --- | --- | --- | --- |"
    );
    for side in PANELS {
        for (level, name) in LEVELS {
            for module in 1.. {
                let Some((panel, quiet)) = panel(level, side, module) else {
                    break;
                };
                // Small modules beside larger ones of the same level are never better.
                let is_largest = self::panel(level, side, module + 1).is_none();
                if !is_largest && module + 1 < side / 60 {
                    continue;
                }
                let mut dice = Dice(17);
                let (mut by_rqrr, mut by_zbar) = (0, Some(0));
                for _ in 0..MOMENTS {
                    let photo = photo(&panel, &mut dice);
                    by_rqrr += u32::from(rqrr_reads(&photo));
                    by_zbar = by_zbar.and_then(|sum| Some(sum + u32::from(zbar_reads(&photo)?)));
                }
                let percent = |count: u32| 100.0 * f64::from(count) / MOMENTS as f64;
                let zbar = by_zbar.map_or("not there".to_owned(), |count| {
                    format!("{:.1} %", percent(count))
                });
                println!(
                    "| {side} | {name} | {module} | {quiet:.1} modules | {:.1} % | {zbar} |",
                    percent(by_rqrr)
                );
            }
        }
    }
}
