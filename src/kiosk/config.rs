//! `kiosk.toml`: read, checked field by field, then complete.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::files::{self, Unusable};
use crate::ids::KioskName;
use crate::kiosk::machine::Settings;
use crate::kiosk::machine::screen::Language;
use crate::money::Fen;
use crate::selpay::add_order::ScanRules;

/// A kiosk's configuration, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our name at the merchant.
    pub kiosk: KioskName,
    /// The board file.
    pub board: PathBuf,
    /// The merchant's public key at the platform.
    pub app_key: String,
    /// Where the platform is, without a slash at the end.
    pub platform_url: String,
    /// Where a QR code may point to.
    pub scan_rules: ScanRules,
    /// How long the platform may take to add an order.
    pub platform_time: Duration,
    /// Where the merchant's server is, without a slash at the end.
    pub merchant_url: String,
    /// The only authority trusted for the merchant's certificate, as PEM.
    pub merchant_ca_file: Option<PathBuf>,
    /// This kiosk's secret at the merchant.
    pub token: String,
    /// Where the journal is.
    pub journal: PathBuf,
    /// The language to begin with.
    pub language: Language,
    /// The most that one sale may cost.
    pub max_total: Fen,
    /// The countdown of a QR code.
    pub pay_time: Duration,
    /// Whom to call when something is wrong.
    pub service_phone: Option<String>,
    /// Whether a claim may dispense after a power cut: not where the SD card lies about flushing.
    pub resumes_claims: bool,
    /// The Pi's own watchdog, for a kiosk that systemd does not watch over.
    pub watchdog: Option<PathBuf>,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Raw {
    kiosk: String,
    board: PathBuf,
    app_key: String,
    platform_url: String,
    scan_hosts: Vec<String>,
    #[serde(default = "default_scan_params")]
    scan_params: [String; 2],
    #[serde(default)]
    scan_check: ScanCheck,
    #[serde(default = "default_platform_seconds")]
    platform_seconds: u64,
    merchant_url: String,
    merchant_ca_file: Option<PathBuf>,
    token_file: PathBuf,
    journal: PathBuf,
    #[serde(default)]
    language: Language,
    #[serde(default = "default_max_total")]
    max_total: u32,
    #[serde(default = "default_pay_seconds")]
    pay_seconds: u64,
    service_phone: Option<String>,
    #[serde(default = "yes")]
    resumes_claims: bool,
    watchdog: Option<PathBuf>,
    #[serde(default)]
    allow_plain_http: bool,
}

/// What of a QR code's address is looked at.
#[derive(Deserialize, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum ScanCheck {
    #[default]
    Order,
    Host,
}

fn yes() -> bool {
    true
}

fn default_max_total() -> u32 {
    100_000
}

fn default_scan_params() -> [String; 2] {
    ScanRules::of(Vec::new()).params
}

fn default_platform_seconds() -> u64 {
    10
}

fn default_pay_seconds() -> u64 {
    120
}

impl Config {
    /// Reads and checks the file.
    pub fn load(file: &Path) -> Result<Config, Unusable> {
        Config::parse(file, &files::read_text(file)?)
    }

    /// Checks a text as if it were that file's.
    pub fn parse(file: &Path, text: &str) -> Result<Config, Unusable> {
        let raw: Raw = files::parse_toml(file, text)?;
        let wrong = |field: &str, fix: String| Unusable::field(file, field, fix);
        let allowed = raw.allow_plain_http;
        let url = |field: &str, text: &str| {
            let secret = |url: String| {
                match allowed || is_secret(&url) {
                true => Ok(url),
                false => Err("whoever sits between reads and forges what goes over http://: write https://, or \
                     allow-plain-http = true"
                    .to_owned()),
            }
            };
            base_url(text)
                .and_then(secret)
                .map_err(|fix| wrong(field, fix))
        };
        if raw.app_key.is_empty() || !raw.app_key.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(wrong(
                "app-key",
                "must be the platform's appKey: letters and digits".to_owned(),
            ));
        }
        if raw.scan_hosts.is_empty() || !raw.scan_hosts.iter().all(|host| is_scan_host(host)) {
            return Err(wrong(
                "scan-hosts",
                "list the hosts a QR code may point to, like [\"up.selpay.cn\"] or [\"*.selpay.cn\"]"
                    .to_owned(),
            ));
        }
        let is_name = |name: &String| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        if !raw.scan_params.iter().all(is_name) {
            return Err(wrong(
                "scan-params",
                "must be the names of two parameters, letters and digits, like [\"appKey\", \"no\"]"
                    .to_owned(),
            ));
        }
        let seconds = |field: &str, seconds: u64, range: RangeInclusive<u64>| {
            let (least, most) = (range.start(), range.end());
            match range.contains(&seconds) {
                true => Ok(Duration::from_secs(seconds)),
                false => Err(wrong(
                    field,
                    format!("{seconds} is not within {least} … {most}"),
                )),
            }
        };
        let phone_is_short = raw
            .service_phone
            .as_ref()
            .is_none_or(|phone| (1..=24).contains(&phone.chars().count()));
        if !phone_is_short {
            return Err(wrong(
                "service-phone",
                "must be 1 to 24 characters, to fit the panel".to_owned(),
            ));
        }
        Ok(Config {
            kiosk: raw
                .kiosk
                .parse()
                .map_err(|error| wrong("kiosk", format!("{error}")))?,
            board: files::beside(file, &raw.board),
            app_key: raw.app_key,
            platform_url: url("platform-url", &raw.platform_url)?,
            scan_rules: ScanRules {
                params: raw.scan_params,
                is_host_enough: raw.scan_check == ScanCheck::Host,
                ..ScanRules::of(raw.scan_hosts)
            },
            platform_time: seconds("platform-seconds", raw.platform_seconds, 3..=30)?,
            merchant_url: url("merchant-url", &raw.merchant_url)?,
            merchant_ca_file: raw.merchant_ca_file.map(|ca| files::beside(file, &ca)),
            token: files::read_secret(&files::beside(file, &raw.token_file))?,
            journal: files::beside(file, &raw.journal),
            language: raw.language,
            max_total: raw
                .max_total
                .try_into()
                .map_err(|error| wrong("max-total", format!("{error}")))?,
            pay_time: seconds("pay-seconds", raw.pay_seconds, 10..=3600)?,
            service_phone: raw.service_phone,
            resumes_claims: raw.resumes_claims,
            watchdog: raw.watchdog.map(|device| files::beside(file, &device)),
        })
    }

    /// What the machine is to know of it, and of the dispenser that counts in this unit.
    pub fn settings(&self, unit: Option<Fen>) -> Settings {
        Settings {
            max_total: self.max_total,
            unit,
            pay_time: self.pay_time,
            language: self.language,
            resumes_claims: self.resumes_claims,
        }
    }
}

/// A host, perhaps with a port; a leading `*.` stands for whatever is below it.
fn is_scan_host(host: &str) -> bool {
    let name = host.strip_prefix("*.").unwrap_or(host);
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b':');
    !name.is_empty() && name.bytes().all(is_plain)
}

fn base_url(text: &str) -> Result<String, String> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    match rest {
        Some(rest)
            if !rest.is_empty()
                && rest.bytes().all(|b| b.is_ascii_graphic())
                && !rest.contains(['?', '#', '@']) =>
        {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err(format!(
            "{text} is not an address like https://merchant.example"
        )),
    }
}

/// Whether nobody on the way can read or forge what goes to this address: TLS, or it does not leave the machine.
pub fn is_secret(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else {
        return true;
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(literal) => literal.split(']').next(),
        None => authority.split(':').next(),
    };
    let host = host.unwrap_or_default();
    let address = host.parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use super::*;
    use std::fs;

    const GOOD: &str = r#"
        kiosk = "kiosk-1"
        board = "boards/bench.toml"
        app-key = "5f53481517b449b0a8c8dbe808d8bf5c"
        platform-url = "https://upweb.selpay.cn/prod-api/"
        scan-hosts = ["up.selpay.cn"]
        merchant-url = "https://merchant.example"
        token-file = "token"
        journal = "journal"
    "#;

    /// Loads the good configuration with one line replaced, or added.
    fn load(line: &str) -> Result<Config, String> {
        let dir = tempfile::tempdir().expect("a directory");
        files::write_secret(&dir.path().join("token"), "secret\n").expect("written");
        let key = line.split('=').next().unwrap_or("").trim();
        let kept: Vec<&str> = GOOD
            .lines()
            .filter(|old| key.is_empty() || !old.trim().starts_with(key))
            .collect();
        let file = dir.path().join("kiosk.toml");
        fs::write(&file, format!("{}\n{line}\n", kept.join("\n"))).expect("written");
        Config::load(&file).map_err(|error| {
            error
                .to_string()
                .replace(&dir.path().display().to_string(), "")
        })
    }

    #[test]
    fn a_short_file_is_enough() {
        let config = load("").expect("good");
        assert_eq!(config.platform_url, "https://upweb.selpay.cn/prod-api");
        assert_eq!(config.token, "secret");
        assert_eq!(config.max_total.to_string(), "1000.00");
        assert_eq!(config.pay_time, Duration::from_secs(120));
        assert_eq!(config.language, Language::Zh);
    }

    #[test]
    fn what_goes_over_the_network_is_secret_unless_the_file_says_aloud_that_it_need_not_be() {
        for secret in [
            "http://127.0.0.1:8080",
            "http://127.9.9.9/x",
            "http://localhost:1/prod-api",
            "http://LOCALHOST",
            "http://[::1]:8080",
            "https://merchant.example",
        ] {
            let config = load(&format!("merchant-url = \"{secret}\""));
            assert!(config.is_ok(), "{secret}: {config:?}");
        }
        for open in [
            "http://merchant.example",
            "http://10.0.2.2:8080",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "http://[2001:db8::1]",
        ] {
            for field in ["merchant-url", "platform-url"] {
                let line = format!("{field} = \"{open}\"");
                let told = load(&line).map(drop).expect_err(open);
                assert!(
                    told.starts_with(&format!("/kiosk.toml: {field}: whoever sits between"))
                        && told.ends_with("or allow-plain-http = true"),
                    "{told}"
                );
                let said_aloud = format!("{line}\nallow-plain-http = true");
                assert!(load(&said_aloud).is_ok(), "{said_aloud}");
            }
        }
    }

    #[test]
    fn a_mistake_is_named_with_file_field_and_fix() {
        for (line, told) in [
            (
                "kiosk = \"a b\"",
                "/kiosk.toml: kiosk: must be 1 to 32 characters of A-Z a-z 0-9 _ - .",
            ),
            (
                "max-total = 0",
                "/kiosk.toml: max-total: zero is nothing to pay: the smallest amount is 0.01",
            ),
            (
                "max-total = 100000001",
                "/kiosk.toml: max-total: too much: the largest amount is 1000000.00",
            ),
            (
                "pay-seconds = 5",
                "/kiosk.toml: pay-seconds: 5 is not within 10 … 3600",
            ),
            (
                "merchant-url = \"merchant.example\"",
                "/kiosk.toml: merchant-url: merchant.example is not an address like https://merchant.example",
            ),
            (
                "scan-hosts = []",
                "/kiosk.toml: scan-hosts: list the hosts a QR code may point to, like [\"up.selpay.cn\"] or [\"*.selpay.cn\"]",
            ),
            (
                "scan-params = [\"appKey\", \"\"]",
                "/kiosk.toml: scan-params: must be the names of two parameters, letters and digits, like [\"appKey\", \"no\"]",
            ),
            (
                "platform-seconds = 2",
                "/kiosk.toml: platform-seconds: 2 is not within 3 … 30",
            ),
            (
                "token-file = \"nothing\"",
                "/nothing: No such file or directory (os error 2)",
            ),
        ] {
            assert_eq!(load(line).map(drop), Err(told.to_owned()), "{line}");
        }
        let unknown = load("colour = \"red\"").map(drop).expect_err("unknown");
        assert!(unknown.contains("unknown field `colour`"), "{unknown}");
        let language = load("language = \"de\"").map(drop).expect_err("unknown");
        assert!(
            language.ends_with("language: must be \"zh\" or \"en\", not \"de\""),
            "{language}"
        );
    }
}
