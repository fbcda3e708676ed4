//! Device files: waiting for one, and what an installer can do when it cannot be opened.

use core::time::Duration;
use std::io::{Error, ErrorKind, Result};
use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// Waits until there is something to read, for so long at most; `None` only waits. A signal ends the wait early.
pub fn wait_readable(file: Option<BorrowedFd<'_>>, patience: Duration) -> Result<bool> {
    let patience = Timespec::try_from(patience).map_err(Error::other)?;
    let mut files: Vec<PollFd<'_>> =
        Vec::from_iter(file.iter().map(|file| PollFd::new(file, PollFlags::IN)));
    match poll(&mut files, Some(&patience)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The error, named with its file and its cure. `group` may open the file; `absent` tells why it may not be there.
pub fn explain(error: Error, file: &Path, group: &str, absent: &str) -> Error {
    let file = file.display();
    let told = match error.kind() {
        ErrorKind::NotFound => format!("{file} is not there: {absent}"),
        ErrorKind::PermissionDenied => format!(
            "{file}: no permission; add the kiosk's user to the group {group} (sudo usermod -aG {group} USER) and log in again"
        ),
        _ => format!("{file}: {error}"),
    };
    Error::new(error.kind(), told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_tells_the_file_and_the_cure() {
        let told = |kind: ErrorKind| {
            let file = Path::new("/dev/spidev0.0");
            explain(kind.into(), file, "spi", "SPI is off").to_string()
        };
        assert_eq!(
            told(ErrorKind::NotFound),
            "/dev/spidev0.0 is not there: SPI is off"
        );
        assert!(told(ErrorKind::PermissionDenied).contains("usermod -aG spi"));
        assert_eq!(
            told(ErrorKind::TimedOut),
            "/dev/spidev0.0: timed out",
            "what nobody knows better is told as it is"
        );
    }
}
