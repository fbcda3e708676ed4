//! TLS in front of a plain server, with an authority of its own: what a merchant's proxy does.

#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]
#![allow(dead_code, reason = "each test file uses its part of it")]

use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{HandshakeKind, ServerConfig};

/// A certificate's names and the years in which it is valid.
pub struct Certificate<'a> {
    pub names: &'a [&'a str],
    pub years: (i32, i32),
}

/// A server that speaks TLS, gone when it is dropped.
pub struct TlsFront {
    pub port: u16,
    /// How each connection so far was agreed on, oldest first.
    pub handshakes: Arc<Mutex<Vec<HandshakeKind>>>,
    _runtime: Runtime,
}

impl TlsFront {
    /// Passes everything on to `upstream`, an address. The authority that signed is written to `ca_file`.
    pub fn before(upstream: &str, certificate: &Certificate<'_>, ca_file: &Path) -> TlsFront {
        let acceptor = TlsAcceptor::from(Arc::new(signed(certificate, ca_file)));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("set");
        let port = listener.local_addr().expect("an address").port();
        let runtime = Runtime::new().expect("a runtime");
        let upstream = upstream.to_owned();
        let handshakes = Arc::default();
        let noted = Arc::clone(&handshakes);
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, upstream) = (acceptor.clone(), upstream.clone());
                let noted: Arc<Mutex<Vec<_>>> = Arc::clone(&noted);
                tokio::spawn(async move {
                    // A client that does not trust us hangs up here.
                    let mut client = acceptor.accept(client).await?;
                    noted
                        .lock()
                        .expect("nobody panics with it")
                        .extend(client.get_ref().1.handshake_kind());
                    let mut server = TcpStream::connect(upstream).await?;
                    copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        TlsFront {
            port,
            handshakes,
            _runtime: runtime,
        }
    }

    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }
}

/// A certificate and its key, signed by an authority of its own, which is written to `ca_file`.
pub fn issue(certificate: &Certificate<'_>, ca_file: &Path) -> (rcgen::Certificate, KeyPair) {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Its own name, or the certificate would seem to have signed itself.
    let name = (DnType::CommonName, "an authority of a test");
    ca.distinguished_name.push(name.0, name.1);
    let ca_key = KeyPair::generate().expect("a key");
    let ca_certificate = ca.self_signed(&ca_key).expect("signed");
    std::fs::write(ca_file, ca_certificate.pem()).expect("written");

    let names: Vec<String> = certificate
        .names
        .iter()
        .map(|name| (*name).to_owned())
        .collect();
    let mut leaf = CertificateParams::new(names).expect("good names");
    leaf.not_before = date_time_ymd(certificate.years.0, 1, 1);
    leaf.not_after = date_time_ymd(certificate.years.1, 1, 1);
    let leaf_key = KeyPair::generate().expect("a key");
    let issuer = Issuer::new(ca, ca_key);
    let leaf = leaf.signed_by(&leaf_key, &issuer).expect("signed");
    (leaf, leaf_key)
}

fn signed(certificate: &Certificate<'_>, ca_file: &Path) -> ServerConfig {
    let (leaf, leaf_key) = issue(certificate, ca_file);
    ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::Pkcs8(leaf_key.serialize_der().into()),
        )
        .expect("a key that belongs to its certificate")
}
