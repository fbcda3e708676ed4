//! Device files: what an installer can do when one cannot be opened.

use std::io::{Error, ErrorKind};
use std::path::Path;

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
