//! Certificates in files: the server's own, and whom to believe.

use std::fmt;
use std::path::Path;

use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use crate::files::Unusable;

/// Reads the certificates in a PEM file: one at least.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let unreadable = |error: &dyn fmt::Display| Unusable::new(file, error.to_string());
    let pem = std::fs::read(file).map_err(|error| unreadable(&error))?;
    let all: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| unreadable(&error))?;
    match all.is_empty() {
        true => Err(unreadable(&"holds no certificate in PEM form")),
        false => Ok(all),
    }
}
