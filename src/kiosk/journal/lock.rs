//! One journal, one kiosk: two that write it destroy it, and another kiosk's says nothing of ours.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Held as long as the journal is open; the system lets it go with the process.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "it is held")] File);

impl Lock {
    /// Takes the lock beside the journal at `path`, `journal.lock`, for the kiosk of this name. It tells whose the journal is.
    pub fn take(path: &Path, owner: &str) -> io::Result<Lock> {
        let beside = beside(path);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.mode(0o600).open(&beside)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(io::Error::other(
                    "another kiosk has it open: end that one first, or give this one a journal of its own",
                ));
            }
            Err(error) => return Err(error.into()),
        }
        let mut known = String::new();
        file.read_to_string(&mut known)?;
        match known.trim() {
            // A power cut may have left it empty, and version 0.1.0 had none.
            "" => {
                file.rewind()?;
                file.write_all(format!("{owner}\n").as_bytes())?;
                file.sync_all()?;
            }
            known if known == owner => {}
            other => {
                return Err(io::Error::other(format!(
                    "it is of {other}, not of {owner}: a card that was copied? Give this kiosk a journal of its own; if {other} was \
                     renamed, and nothing of it is unsettled (kiosk check), remove {}",
                    beside.display()
                )));
            }
        }
        Ok(Lock(file))
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}
