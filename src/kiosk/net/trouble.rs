//! Why a call failed, as an installer can mend it.

use ureq::Error;

/// What is wrong and what to do, for a call to this address.
pub fn explain(url: &str, error: &Error) -> String {
    let told = error.to_string();
    let is = |words: &[&str]| words.iter().any(|word| told.contains(word));
    // TLS tells its reasons in words only.
    let cure = if is(&[
        "NotValidYet",
        "not valid yet",
        "Expired",
        "certificate expired",
    ]) {
        "the certificate is not valid today: set this Pi's clock first (timedatectl), then look at the certificate"
    } else if is(&["UnknownIssuer", "unknown issuer"]) {
        "nobody we trust has signed the certificate: name the authority in merchant-ca-file, or get another certificate"
    } else if is(&["not valid for name"]) {
        "the certificate is for another name: compare the address with it"
    } else {
        match error {
            Error::HostNotFound => {
                "the name is not known: is the Pi on the network, and the name right?"
            }
            Error::ConnectionFailed => {
                "nobody answers there: is the server on, and the port right?"
            }
            Error::Timeout(_) => "no answer in time: is there a firewall in between?",
            Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                "the computer is there, but no server at that port"
            }
            _ => "the answer makes no sense: is it the right server?",
        }
    };
    format!("{url}: {told}; {cure}")
}
