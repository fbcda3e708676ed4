//! TLS for those without a proxy: one certificate, read again when the server is told to.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::server::TlsStream;

use crate::files::{self, Unusable};
use crate::http::Secure;
use crate::merchant::pem;

/// Where certificate and key are (`[tls]` in merchant.toml).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Files {
    /// The certificate and what leads to its authority, PEM, its own first.
    pub certificates: PathBuf,
    /// Its key, PEM; nobody else may read it.
    pub key: PathBuf,
}

impl Files {
    /// Reads both; they must belong together.
    pub fn read(&self) -> Result<Certified, Unusable> {
        let file = &self.certificates;
        let chain = pem::certificates(file)?;
        let secret = files::read_secret(&self.key)?;
        let key = PrivateKeyDer::from_pem_slice(secret.as_bytes())
            .map_err(|_| Unusable::new(&self.key, "holds no private key in PEM form"))?;
        let certified =
            CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|error| {
                Unusable::new(
                    &self.key,
                    format!("{error}: it must be the key of {}", file.display()),
                )
            })?;
        Ok(Certified(Arc::new(certified)))
    }
}

/// A certificate and its key.
#[derive(Clone, Debug)]
pub struct Certified(Arc<CertifiedKey>);

/// What connections are secured with: the newest certificate that was read.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    newest: Arc<Newest>,
}

#[derive(Debug)]
struct Newest(RwLock<Arc<CertifiedKey>>);

impl Tls {
    /// TLS with this certificate.
    pub fn new(certified: Certified) -> Tls {
        let newest = Arc::new(Newest(RwLock::new(certified.0)));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has what every version needs")
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&newest) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Tls {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            newest,
        }
    }

    /// Takes this one for every connection from now on.
    pub fn take(&self, certified: Certified) {
        let mut newest = self.newest.0.write();
        let newest = newest
            .as_mut()
            .expect("nobody panics while holding the lock");
        **newest = certified.0;
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

impl ResolvesServerCert for Newest {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let newest = self.0.read();
        Some(Arc::clone(
            &newest.expect("nobody panics while holding the lock"),
        ))
    }
}

impl Secure for Tls {
    type Stream = TlsStream<TcpStream>;

    async fn secure(&self, stream: TcpStream) -> io::Result<Self::Stream> {
        self.acceptor.accept(stream).await
    }
}
