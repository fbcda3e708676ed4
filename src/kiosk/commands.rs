//! What the program `kiosk` does, once its arguments are read.

use std::fs;
use std::io::{self, BufRead, Write, stdout};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use crate::cli::{self, Failure};
use crate::files;
use crate::kiosk::board::file::BoardFile;
use crate::kiosk::board::{Board, Devices, encode_png};
use crate::kiosk::check::{self, Finding};
use crate::kiosk::config::Config;
use crate::kiosk::machine::screen::Language;
use crate::kiosk::net::PlatformClient;
use crate::kiosk::runner::Stop;
use crate::kiosk::ui::frame::Frame;
use crate::kiosk::ui::{self, Look, samples};
use crate::kiosk::{Kiosk, log_witness, tryout};
use crate::money::Fen;
use crate::sale::Outcome;

/// A device of the board.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Device {
    /// What shows the picture
    Panel,
    /// Where keys come from
    Keypad,
    /// What lets the goods out
    Dispenser,
    /// The platform's AddOrderInfo, with an order of 0.01; needs --config
    Platform,
}

/// `kiosk run`: sells until `stop` says so.
pub fn run(config: &Path, stop: Stop) -> Result<(), Failure> {
    let config = &Config::load(config)?;
    let board = BoardFile::load(&config.board)?;
    let board = Board::open(&board).with_context(|| config.board.display().to_string())?;
    Kiosk::open(config, &board)?.run(board, stop, Box::new(log_witness));
    Ok(())
}

/// `kiosk check`: a line for each thing that was looked at.
pub fn check(config: &Path) -> Result<(), Failure> {
    let config = &Config::load(config)?;
    let board = BoardFile::load(&config.board)?;
    let mut wrong = 0;
    let mut told = Ok(());
    check::check(config, &board, &mut |Finding { what, result }| {
        let (verdict, text) = match result {
            Ok(text) => ("ok   ", text),
            Err(text) => ("WRONG", text),
        };
        wrong += u32::from(verdict != "ok   ");
        told = cli::print(&format!("{verdict} {what}: {text}"));
    });
    told?;
    match wrong {
        0 => Ok(()),
        1 => Err(anyhow!("one thing is wrong").into()),
        wrong => Err(anyhow!("{wrong} things are wrong").into()),
    }
}

/// `kiosk screens`: every screen of this board in both languages, each as a PNG file.
pub fn screens(board: &Path, out: &Path) -> Result<(), Failure> {
    let board = BoardFile::load(board)?;
    let (width, height) = board.panel.size();
    let mut frame = Frame::new(width, height);
    fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    let mut written = 0;
    for (language, tail) in [(Language::Zh, "zh"), (Language::En, "en")] {
        let look = Look {
            language,
            service_phone: Some("400-000-0000".to_owned()),
            legend: board.keypad.legend(),
            ..Look::default()
        };
        let samples = samples::all(Fen::new(350).unwrap_or(Fen::MIN));
        for (number, sample) in samples.iter().enumerate() {
            ui::draw(&mut frame, &sample.screen, &look);
            let file = out.join(format!("{:02}-{}.{tail}.png", number + 1, sample.name));
            files::replace(&file, &encode_png(&frame))
                .with_context(|| file.display().to_string())?;
            written += 1;
        }
    }
    let out = out.display();
    cli::print(&format!("{written} screens of {width} × {height} in {out}"))?;
    Ok(())
}

/// What `kiosk try` tries.
#[derive(Debug, clap::Args)]
pub struct Trial {
    /// The board file
    #[arg(long, value_name = "FILE", required_unless_present = "config")]
    board: Option<PathBuf>,
    /// Or kiosk.toml, which names it
    #[arg(long, value_name = "FILE", conflicts_with = "board")]
    config: Option<PathBuf>,
    /// Do not ask before goods may fall, or an order is added
    #[arg(long)]
    yes: bool,
    /// What to try
    device: Device,
}

/// `kiosk try`: one device by itself, or the platform.
pub fn try_out(trial: &Trial, stop: &dyn Fn() -> bool) -> Result<(), Failure> {
    let (device, yes) = (trial.device, trial.yes);
    let config = trial.config.as_deref().map(Config::load).transpose()?;
    let file = config.as_ref().map(|config| config.board.clone());
    let file = file.or_else(|| trial.board.clone()).unwrap_or_default();
    let board = BoardFile::load(&file)?;
    let mut devices = Devices::of(&board);
    let named = || file.display().to_string();
    match device {
        Device::Platform => {
            let config = config.ok_or_else(|| {
                Failure::Unusable(anyhow!(
                    "the platform's address is in kiosk.toml: --config FILE"
                ))
            })?;
            let question = format!(
                "An order of {} is added at {}, for good; do not pay it. Go on?",
                Fen::MIN,
                config.platform_url
            );
            if !yes && !is_agreed(&question)? {
                return Err(anyhow!("nothing was added").into());
            }
            let mut panel = devices.panel().with_context(named)?;
            let look = Look {
                language: config.language,
                service_phone: config.service_phone.clone(),
                legend: board.keypad.legend(),
                ..Look::default()
            };
            let platform = PlatformClient::new(&config);
            tryout::platform(&platform, &mut *panel, &look, &mut stdout(), stop)?;
        }
        Device::Panel => {
            let mut panel = devices.panel().with_context(named)?;
            tryout::panel(&mut *panel, (&file, &board.panel), &mut stdout(), stop)?;
        }
        Device::Keypad => {
            let mut keypad = devices.keypad().with_context(named)?;
            let missing = tryout::keypad(&mut *keypad, &mut stdout(), stop)?;
            if !missing.is_empty() {
                return Err(anyhow!("never seen: {}", missing.join(", ")).into());
            }
        }
        Device::Dispenser => {
            if !yes && !is_agreed(&format!("Goods may fall: {}. Go on?", board.dispenser))? {
                return Err(anyhow!("nothing was moved").into());
            }
            let mut dispenser = devices.dispenser().with_context(named)?;
            match tryout::dispenser(&mut *dispenser, stop)? {
                Some(Outcome::Dispensed) => writeln!(stdout(), "dispensed")?,
                Some(Outcome::NotDispensed) => {
                    return Err(
                        anyhow!("the pulse is over, but the drop sensor saw nothing fall").into(),
                    );
                }
                Some(Outcome::Unknown) => {
                    return Err(anyhow!(
                        "nobody knows what the machine has done; the log says why"
                    )
                    .into());
                }
                None => return Err(anyhow!("cut off; the line is off").into()),
            }
        }
    }
    Ok(())
}

fn is_agreed(question: &str) -> io::Result<bool> {
    write!(stdout(), "{question} [y/N] ")?;
    stdout().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
