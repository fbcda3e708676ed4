//! The server behind a `postgres://` address, and how the way to it is secured.
//!
//! `sslmode` and `sslrootcert` are libpq's, with one difference: what is encrypted is verified as well. Who encrypts for
//! whoever answers keeps nothing from them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::postgres::config::SslMode;
use ::postgres::{Client, NoTls};
use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::merchant::pem;
use crate::merchant::store::sql::Failed;

/// Where a server is.
pub struct Server {
    config: Config,
    /// Whom its certificate must come from, if the way is encrypted.
    roots: Option<RootCertStore>,
}

impl Server {
    /// Reads an address, and the file of authorities that it names.
    pub fn read(url: &str) -> Result<Server, Failed> {
        let (place, options) = url.split_once('?').unwrap_or((url, ""));
        let (mut mode, mut file, mut others) = ("prefer", None, Vec::new());
        for option in options.split('&') {
            match option.split_once('=') {
                Some(("sslmode", value)) => mode = value,
                Some(("sslrootcert", value)) => file = Some(value),
                _ => others.push(option),
            }
        }
        let roots = match (mode, file) {
            // Whoever prefers has no reason to trust the answer.
            ("disable" | "allow" | "prefer", None) => None,
            ("require" | "verify-ca" | "verify-full", file) => Some(roots(file)?),
            ("disable" | "allow" | "prefer", Some(_)) => {
                return Err(wrong("sslrootcert: it is for sslmode=verify-full"));
            }
            _ => {
                let told = format!("sslmode: {mode} is none: write disable or verify-full");
                return Err(wrong(&told));
            }
        };
        let mut config: Config = format!("{place}?{}", others.join("&")).parse()?;
        config.ssl_mode(match roots {
            Some(_) => SslMode::Require,
            None => SslMode::Disable,
        });
        if config.get_application_name().is_none() {
            config.application_name("selpay-merchant");
        }
        config
            .connect_timeout(Duration::from_secs(2))
            .tcp_user_timeout(Duration::from_secs(5))
            .keepalives_idle(Duration::from_secs(10));
        Ok(Server { config, roots })
    }

    /// Connects, for one question at a time.
    pub fn connect(self) -> Result<Client, Failed> {
        let config = ::postgres::Config::from(self.config);
        Ok(match self.roots {
            None => config.connect(NoTls)?,
            Some(roots) => config.connect(verified_by(roots))?,
        })
    }

    /// Connects, for questions that do not wait for each other's answers. The connection lives on the runtime that this is
    /// called on.
    pub async fn connect_pipelined(self) -> Result<tokio_postgres::Client, Failed> {
        // How a connection ends is told to whoever asks on it.
        Ok(match self.roots {
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                tokio::spawn(connection);
                client
            }
            Some(roots) => {
                let (client, connection) = self.config.connect(verified_by(roots)).await?;
                tokio::spawn(connection);
                client
            }
        })
    }
}

fn verified_by(roots: RootCertStore) -> MakeRustlsConnect {
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has what every version needs")
        .with_root_certificates(roots)
        .with_no_client_auth();
    MakeRustlsConnect::new(tls)
}

/// The authorities in this PEM file, or those that browsers trust.
fn roots(file: Option<&str>) -> Result<RootCertStore, Failed> {
    let mut roots = RootCertStore::empty();
    let file = file
        .map(|file| percent_decode_str(file).decode_utf8())
        .transpose()
        .map_err(|error| wrong(&format!("sslrootcert: {error}")))?;
    let Some(file) = file.filter(|file| file != "system") else {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        return Ok(roots);
    };
    let authorities = pem::certificates(Path::new(&*file));
    for authority in authorities.map_err(|error| wrong(&format!("sslrootcert: {error}")))? {
        let added = roots.add(authority);
        added.map_err(|error| wrong(&format!("sslrootcert: {file}: {error}")))?;
    }
    Ok(roots)
}

fn wrong(what: &str) -> Failed {
    Failed::Nonsense(what.to_owned())
}
