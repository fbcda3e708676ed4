//! `merchant.toml`: read, checked field by field, then complete.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::files::{self, Unusable};
use crate::ids::KioskName;
use crate::merchant::alarms;
use crate::merchant::keys::{Keys, Scope};
use crate::merchant::password::Password;
use crate::merchant::store::Address;
use crate::merchant::store::postgres::server::Server;
use crate::merchant::tls;
use crate::selpay::sign::SignKey;

/// A merchant's configuration, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where the books are.
    pub database: Address,
    /// Any of them may sign.
    pub sign_keys: Keys,
    /// Our merchant numbers at the platform; none if they are not to be checked.
    pub mch_ids: Vec<String>,
    /// Where notifications come in.
    pub notify_path: String,
    /// How long a paid sale waits for its claim.
    pub claim_time: Duration,
    /// The console's password; without one the console is off.
    pub console_password: Option<Password>,
    /// The kiosks and the digests of their tokens.
    pub kiosks: Kiosks,
    /// Our own certificate, for those without a proxy.
    pub tls: Option<tls::Files>,
    /// Where alarms go, beside the log and the metrics.
    pub alarm_url: Option<alarms::Url>,
    /// Whose word counts for where a request comes from.
    pub trusted_proxies: Vec<IpNet>,
    /// Where people reach us, without a slash at the end.
    pub public_url: Option<String>,
    /// How much memory trying the console's password may take, in bytes.
    pub console_hash_memory: usize,
    /// How much one kiosk may ask.
    pub kiosk_limits: KioskLimits,
    /// What opens `/metrics` from outside.
    pub metrics_token: Option<String>,
    /// How many connections there may be; by default what the file descriptors allow.
    pub connections: Option<usize>,
    /// How many from one address.
    pub connections_per_address: usize,
}

impl Config {
    /// Where people reach us, without a slash at the end: what the file says, or where we listen.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let listen = || format!("{scheme}://{}", self.listen);
        self.public_url.clone().unwrap_or_else(listen)
    }

    /// Whether people reach us over TLS only: ours, or a proxy's.
    pub fn is_over_tls(&self) -> bool {
        let public = self.public_url.as_ref();
        self.tls.is_some() || public.is_some_and(|url| url.starts_with("https://"))
    }
}

/// How much one kiosk may ask: far more than one needs, and less than the books and the others can bear.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct KioskLimits {
    /// Calls, on the long run; ten times as many at once.
    pub requests_per_second: u32,
    /// Calls that wait for their answer, long polls among them.
    pub requests_at_once: u32,
    /// Order numbers, on the long run; as many at once.
    pub registrations_per_minute: u32,
    /// Sales that have not ended.
    pub open_sales: usize,
}

impl Default for KioskLimits {
    fn default() -> KioskLimits {
        KioskLimits {
            requests_per_second: 100,
            requests_at_once: 32,
            registrations_per_minute: 600,
            open_sales: 1000,
        }
    }
}

/// The kiosks we know, by their token's digest as `merchant.toml` holds it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Kiosks(HashMap<String, KioskName>);

/// The file as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Raw {
    listen: SocketAddr,
    database: String,
    #[serde(default)]
    sign_key_files: Vec<PathBuf>,
    #[serde(default)]
    sign_keys: Vec<RawKey>,
    mch_id: Option<OneOrMore>,
    #[serde(default = "default_notify_path")]
    notify_path: String,
    #[serde(default = "default_claim_seconds")]
    claim_seconds: u64,
    console_password_file: Option<PathBuf>,
    #[serde(default)]
    kiosks: BTreeMap<String, String>,
    tls: Option<RawTls>,
    alarm_url: Option<String>,
    #[serde(default = "default_trusted_proxies")]
    trusted_proxies: Vec<String>,
    public_url: Option<String>,
    #[serde(default = "default_hash_memory")]
    console_hash_memory: usize,
    #[serde(default)]
    kiosk_limits: KioskLimits,
    metrics_token_file: Option<PathBuf>,
    #[serde(default)]
    limits: RawLimits,
}

/// A text, or a list of them.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "write a text, like \"7551000001\", or a list of texts"
)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawKey {
    label: String,
    file: PathBuf,
    groupno: Option<String>,
    sign_agentno: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawLimits {
    connections: Option<usize>,
    per_address: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawTls {
    certificate_file: PathBuf,
    key_file: PathBuf,
}

/// How many connections one address may have if nothing else is said.
const PER_ADDRESS: usize = 256;
/// The fewest connections that a shop can work with.
const FEWEST_CONNECTIONS: usize = 16;

/// The first parts of paths that mean something else: the API, and the console's pages.
const TAKEN: [&str; 18] = [
    "",
    "bills",
    "console.css",
    "console.js",
    "healthz",
    "kiosks",
    "language",
    "link",
    "live",
    "login",
    "logout",
    "metrics",
    "payments",
    "problems",
    "refunds",
    "reviews",
    "sales",
    "v1",
];

/// Whether a path is one of ours, and so none for notifications.
pub fn is_taken(path: &str) -> bool {
    let first = path.strip_prefix('/').unwrap_or(path).split('/').next();
    TAKEN.contains(&first.unwrap_or_default())
}

/// A proxy on the same machine: without it all its clients would be one.
fn default_trusted_proxies() -> Vec<String> {
    vec!["127.0.0.0/8".to_owned(), "::1".to_owned()]
}

fn default_notify_path() -> String {
    "/notify".to_owned()
}

fn default_claim_seconds() -> u64 {
    120
}

/// In MiB: two passwords at once, hashed as `merchant password` does.
fn default_hash_memory() -> usize {
    40
}

impl Config {
    /// Reads and checks the file.
    pub fn load(file: &Path) -> Result<Config, Unusable> {
        Config::parse(file, &files::read_text(file)?)
    }

    /// Reads where the books are, and no secret: for what is done beside a server, and judges no notification.
    pub fn load_database(file: &Path) -> Result<Address, Unusable> {
        let raw: Raw = files::parse_toml(file, &files::read_text(file)?)?;
        read_database(file, &raw.database)
    }

    /// Checks a text as if it were that file's.
    pub fn parse(file: &Path, text: &str) -> Result<Config, Unusable> {
        let raw: Raw = files::parse_toml(file, text)?;
        let wrong = |field: &str, fix: &str| Unusable::field(file, field, fix);
        let database = read_database(file, &raw.database)?;
        let mch_ids = match raw.mch_id {
            None => Vec::new(),
            Some(OneOrMore::One(number)) => vec![number],
            Some(OneOrMore::More(numbers)) if numbers.is_empty() => {
                return Err(wrong("mch-id", "name one merchant number at least"));
            }
            Some(OneOrMore::More(numbers)) => numbers,
        };
        if mch_ids.iter().any(String::is_empty) {
            return Err(wrong("mch-id", "a merchant number must not be empty"));
        }
        let mut sign_keys = Keys::default();
        let mut add = |label: &str, scope, key: &Path| {
            let path = files::beside(file, key);
            let key = SignKey::new(&files::read_key(&path)?);
            let key = key.ok_or_else(|| Unusable::new(&path, "holds no key"))?;
            sign_keys.add(label, scope, key);
            Ok::<_, Unusable>(())
        };
        for key in &raw.sign_key_files {
            let label = key.file_name().unwrap_or_default().to_string_lossy();
            add(&label, None, key)?;
        }
        for key in raw.sign_keys {
            let scope = match (key.groupno, key.sign_agentno) {
                (Some(_), Some(_)) => {
                    let told =
                        "a key is a chain's (groupno) or an agent's (sign-agentno), not both";
                    return Err(wrong("sign-keys", told));
                }
                (group, agent) => group.map(Scope::Group).or(agent.map(Scope::Agent)),
            };
            if let Some(Scope::Group(whose) | Scope::Agent(whose)) = &scope {
                if whose.is_empty() {
                    let told = "groupno and sign-agentno must not be empty; leave them out";
                    return Err(wrong("sign-keys", told));
                }
                // It signs for every merchant of the chain's or the agent's.
                if mch_ids.is_empty() {
                    let told = "name our merchant number, or a list of them: a chain's or an agent's key (sign-keys) signs other merchants' payments as well";
                    return Err(wrong("mch-id", told));
                }
            }
            add(&key.label, scope, &key.file)?;
        }
        if sign_keys.count() == 0 {
            return Err(wrong(
                "sign-key-files",
                "name at least one file with the platform's key",
            ));
        }
        let path = raw.notify_path.as_str();
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.');
        if !path.starts_with('/') || !path.bytes().all(plain) || is_taken(path) {
            return Err(wrong(
                "notify-path",
                "must be a path of its own, like /notify",
            ));
        }
        if !(10..=3600).contains(&raw.claim_seconds) {
            return Err(wrong("claim-seconds", "must be within 10 … 3600"));
        }
        let console_password = match raw.console_password_file {
            None => None,
            Some(password) => {
                let password = files::beside(file, &password);
                let read = Password::read(files::read_secret(&password)?);
                let told = "begins like a hash and is none: write what merchant password prints";
                Some(read.ok_or_else(|| Unusable::new(&password, told))?)
            }
        };
        if !(1..=4096).contains(&raw.console_hash_memory) {
            return Err(wrong("console-hash-memory", "must be within 1 … 4096 MiB"));
        }
        let console_hash_memory = raw.console_hash_memory << 20;
        let takes = console_password.as_ref().map_or(0, Password::memory);
        if takes > console_hash_memory {
            let told = format!(
                "the password's hash takes {} MiB: allow as much",
                takes.div_ceil(1 << 20)
            );
            return Err(wrong("console-hash-memory", &told));
        }
        let limits = raw.kiosk_limits;
        for (key, limit) in [
            ("requests-per-second", limits.requests_per_second as usize),
            ("requests-at-once", limits.requests_at_once as usize),
            (
                "registrations-per-minute",
                limits.registrations_per_minute as usize,
            ),
            ("open-sales", limits.open_sales),
        ] {
            if !(1..=1_000_000).contains(&limit) {
                let field = format!("kiosk-limits.{key}");
                return Err(wrong(&field, "must be within 1 … 1000000"));
            }
        }
        let public_url = raw.public_url.map(|url| {
            let told = "write where people reach us, like https://merchant.example";
            base_url(&url).ok_or_else(|| wrong("public-url", told))
        });
        let public_url = public_url.transpose()?;
        let proxies = raw.trusted_proxies.iter().map(|text| {
            let address = || text.parse::<IpAddr>().map(IpNet::from);
            let told = "write addresses or networks, like \"127.0.0.1\" or \"10.0.0.0/8\"";
            text.parse()
                .or_else(|_| address())
                .map_err(|_| wrong("trusted-proxies", told))
        });
        let trusted_proxies = proxies.collect::<Result<_, _>>()?;
        let metrics_token = raw
            .metrics_token_file
            .map(|token| files::read_secret(&files::beside(file, &token)))
            .transpose()?;
        let RawLimits {
            connections,
            per_address,
        } = raw.limits;
        if connections.is_some_and(|connections| connections < FEWEST_CONNECTIONS) {
            let told = format!("must be at least {FEWEST_CONNECTIONS}");
            return Err(wrong("limits.connections", &told));
        }
        if per_address == Some(0) {
            return Err(wrong("limits.per-address", "must be at least 1"));
        }
        let read_url = |text: String| {
            alarms::Url::read(&text)
                .ok_or_else(|| wrong("alarm-url", "write an address of HTTP or HTTPS"))
        };
        let alarm_url = raw.alarm_url.map(read_url).transpose()?;
        let tls = raw.tls.map(|tls| tls::Files {
            certificates: files::beside(file, &tls.certificate_file),
            key: files::beside(file, &tls.key_file),
        });
        let mut kiosks = Kiosks::default();
        for (name, digest) in &raw.kiosks {
            let field = format!("kiosks.{name}");
            let known = name
                .parse()
                .map_err(|error| Unusable::field(file, &field, error))?;
            let digest = normalized(digest).ok_or_else(|| {
                wrong(
                    &field,
                    "write sha256: and the 64 hex digits of the token's SHA-256",
                )
            })?;
            if kiosks.0.insert(digest, known).is_some() {
                return Err(wrong(
                    &field,
                    "another kiosk has this token: each settles its own sales and needs its own",
                ));
            }
        }
        Ok(Config {
            listen: raw.listen,
            database,
            sign_keys,
            mch_ids,
            notify_path: raw.notify_path,
            claim_time: Duration::from_secs(raw.claim_seconds),
            console_password,
            kiosks,
            tls,
            alarm_url,
            trusted_proxies,
            public_url,
            console_hash_memory,
            kiosk_limits: limits,
            metrics_token,
            connections,
            connections_per_address: per_address.unwrap_or(PER_ADDRESS),
        })
    }
}

fn read_database(file: &Path, text: &str) -> Result<Address, Unusable> {
    match text.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => {
            Ok(Address::Sqlite(files::beside(file, Path::new(path))))
        }
        Some(("postgres" | "postgresql", _)) => {
            Server::read(text).map_err(|error| Unusable::field(file, "database", error))?;
            Ok(Address::Postgres(text.to_owned()))
        }
        _ => Err(Unusable::field(
            file,
            "database",
            "write sqlite:FILE, like sqlite:merchant.db, or postgres://USER:PASSWORD@HOST/DATABASE",
        )),
    }
}

impl Kiosks {
    /// The names of those that have their token in the file.
    pub fn names(&self) -> BTreeSet<KioskName> {
        self.0.values().copied().collect()
    }

    /// Whose token has this digest. By the digest of a long random text: nothing is learnt from how long that takes.
    pub fn of_digest(&self, digest: &str) -> Option<KioskName> {
        self.0.get(digest).copied()
    }

    /// Each token's digest, and whose it is.
    pub fn digests(&self) -> impl Iterator<Item = (&str, KioskName)> {
        let all = self.0.iter();
        all.map(|(digest, kiosk)| (digest.as_str(), *kiosk))
    }
}

/// What `merchant.toml` holds of a token: `sha256:` and its digest in hex.
pub fn token_digest(token: &str) -> String {
    let hex: String = Sha256::digest(token.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}

/// The digest as [`token_digest`] writes it.
fn normalized(text: &str) -> Option<String> {
    let hex = text.strip_prefix("sha256:")?;
    let is_digest = hex.len() == 64 && hex.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_digest.then(|| format!("sha256:{}", hex.to_ascii_lowercase()))
}

/// An address of HTTP or HTTPS without a slash at the end.
fn base_url(text: &str) -> Option<String> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))?;
    let is_plain = rest.bytes().all(|byte| byte.is_ascii_graphic())
        && !rest.contains(['?', '#', '@', '"', '<', '>']);
    let text = text.trim_end_matches('/');
    (is_plain && !rest.trim_matches('/').is_empty()).then(|| text.to_owned())
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use super::*;
    use std::fs;

    const GOOD: &str = "listen = \"127.0.0.1:0\"\ndatabase = \"sqlite:merchant.db\"\nsign-key-files = [\"sign.key\"]\n";

    fn load(text: &str) -> Result<Config, String> {
        let dir = tempfile::tempdir().expect("a directory");
        files::write_secret(&dir.path().join("sign.key"), "key\n").expect("written");
        let file = dir.path().join("merchant.toml");
        fs::write(&file, text).expect("written");
        Config::load(&file).map_err(|error| {
            error
                .to_string()
                .replace(&dir.path().display().to_string(), "")
        })
    }

    #[test]
    fn a_short_file_is_enough() {
        let config = load(GOOD).expect("good");
        assert_eq!(config.claim_time, Duration::from_secs(120));
        assert_eq!(config.notify_path, "/notify");
        assert!(config.console_password.is_none(), "the console is off");
        let Address::Sqlite(file) = config.database else {
            panic!("a file")
        };
        assert!(file.ends_with("merchant.db"));
    }

    #[test]
    fn a_kiosk_is_known_by_its_token_only() {
        let digest = token_digest("secret");
        let config = load(&format!("{GOOD}[kiosks]\nkiosk-1 = \"{digest}\"\n")).expect("good");
        let owner = |token| config.kiosks.of_digest(&token_digest(token));
        assert_eq!(owner("secret"), KioskName::new("kiosk-1"));
        assert_eq!(owner("Secret"), None);
        assert_eq!(owner(""), None);
        // Some tools write hex in capitals.
        let capitals = digest.to_uppercase().replace("SHA256:", "sha256:");
        let config = load(&format!("{GOOD}[kiosks]\nkiosk-1 = \"{capitals}\"\n"));
        let kiosks = config.expect("good").kiosks;
        assert_eq!(kiosks.of_digest(&digest), KioskName::new("kiosk-1"));
    }

    #[test]
    fn a_kiosk_may_ask_as_much_as_the_file_says() {
        assert_eq!(
            load(GOOD).expect("good").kiosk_limits,
            KioskLimits::default()
        );
        let config = load(&format!("{GOOD}[kiosk-limits]\nopen-sales = 7\n"));
        let limits = KioskLimits {
            open_sales: 7,
            ..KioskLimits::default()
        };
        assert_eq!(config.expect("good").kiosk_limits, limits);
        for (wrong, told) in [
            (
                "requests-per-second = 0\n",
                "/merchant.toml: kiosk-limits.requests-per-second: must be within",
            ),
            (
                "open-sale = 1\n",
                "/merchant.toml: line 5: unknown field `open-sale`",
            ),
        ] {
            let error = load(&format!("{GOOD}[kiosk-limits]\n{wrong}"));
            let error = error.map(drop).expect_err(wrong);
            assert!(error.starts_with(told), "{error}");
        }
    }

    #[test]
    fn a_proxy_on_this_machine_is_trusted_unless_the_file_says_otherwise() {
        let trusts = |lines: &str, address: [u8; 4]| {
            let config = load(&format!("{lines}{GOOD}")).expect("good");
            let address = IpAddr::from(address);
            config
                .trusted_proxies
                .iter()
                .any(|net| net.contains(&address))
        };
        assert!(trusts("", [127, 0, 0, 1]) && !trusts("", [10, 0, 0, 1]));
        assert!(!trusts("trusted-proxies = []\n", [127, 0, 0, 1]));
    }

    #[test]
    fn cookies_are_secure_where_people_reach_us_over_tls() {
        let is_secure = |url: &str| {
            let config = load(&format!("public-url = \"{url}\"\n{GOOD}"));
            config.map(|config| config.is_over_tls())
        };
        assert!(!load(GOOD).expect("good").is_over_tls());
        assert_eq!(is_secure("https://merchant.example/"), Ok(true));
        assert_eq!(is_secure("http://merchant.example"), Ok(false));
        let told = is_secure("merchant.example").expect_err("no address");
        let wanted = "/merchant.toml: public-url: write where people reach us";
        assert!(told.starts_with(wanted), "{told}");
    }

    #[test]
    fn a_mistake_is_named_with_file_field_and_fix() {
        for (from, to, told) in [
            (
                "sqlite:merchant.db",
                "merchant.db",
                "/merchant.toml: database: write sqlite:FILE",
            ),
            (
                "[\"sign.key\"]",
                "[]",
                "/merchant.toml: sign-key-files: name at least one",
            ),
            (
                "sqlite:merchant.db",
                "postgres://merchant@db:port/books",
                "/merchant.toml: database: invalid connection string",
            ),
            (
                "sqlite:merchant.db",
                "postgres://merchant@db/books?sslmode=verify-ful",
                "/merchant.toml: database: sslmode: verify-ful is none: write disable or verify-full",
            ),
            (
                "sqlite:merchant.db",
                "postgres://merchant@db/books?sslrootcert=/ca.pem",
                "/merchant.toml: database: sslrootcert: it is for sslmode=verify-full",
            ),
            (
                "sqlite:merchant.db",
                "postgres://merchant@db/books?sslmode=require&sslrootcert=/no/ca.pem",
                "/merchant.toml: database: sslrootcert: /no/ca.pem: No such file",
            ),
            (
                "sqlite:merchant.db",
                "postgres://merchant@db/books?sslmode=require&sslcert=/me.pem",
                "/merchant.toml: database: invalid connection string: unknown option `sslcert`",
            ),
            ("sign.key", "other.key", "/other.key: No such file"),
            (
                "listen",
                "claim-seconds = 1\nlisten",
                "/merchant.toml: claim-seconds: must be within",
            ),
            (
                "listen",
                "notify-path = \"/\"\nlisten",
                "/merchant.toml: notify-path: must be a path of its own",
            ),
            (
                "listen",
                "lisen = 1\nlisten",
                "/merchant.toml: line 1: unknown field `lisen`",
            ),
        ] {
            let error = load(&GOOD.replace(from, to)).map(drop).expect_err(to);
            assert!(error.starts_with(told), "{error}");
        }
        let error = load(&format!("{GOOD}[kiosks]\nkiosk-1 = \"secret\"\n"))
            .map(drop)
            .expect_err("no digest");
        assert!(
            error.starts_with("/merchant.toml: kiosks.kiosk-1: write sha256:"),
            "{error}"
        );
    }

    #[test]
    fn keys_have_names_and_may_belong_to_a_chain_or_an_agent() {
        let good = format!("{GOOD}mch-id = \"7551000001\"\n");
        let keys = "[[sign-keys]]\nlabel = \"chain\"\nfile = \"sign.key\"\ngroupno = \"77\"\n";
        let config = load(&format!("{good}{keys}")).expect("good");
        let labels: Vec<_> = config.sign_keys.labels().collect();
        assert_eq!(labels, ["sign.key", "chain"]);
        for (wrong, told) in [
            (
                format!("{good}{keys}sign-agentno = \"88\"\n"),
                "/merchant.toml: sign-keys: a key is a chain's",
            ),
            (
                format!("{good}{}", keys.replace("77", "")),
                "/merchant.toml: sign-keys: groupno and sign-agentno must not be empty",
            ),
            (
                format!("{GOOD}{keys}"),
                "/merchant.toml: mch-id: name our merchant number",
            ),
            (
                format!("{GOOD}{}", keys.replace("groupno", "sign-agentno")),
                "/merchant.toml: mch-id: name our merchant number",
            ),
        ] {
            let error = load(&wrong).map(drop).expect_err(told);
            assert!(error.starts_with(told), "{error}");
        }
        let unscoped = keys.replace("groupno = \"77\"\n", "");
        assert!(
            load(&format!("{GOOD}{unscoped}")).is_ok(),
            "our own key signs for us alone"
        );
    }

    #[test]
    fn a_merchant_may_have_several_numbers() {
        let numbers = |text: &str| load(&format!("{GOOD}{text}\n")).map(|config| config.mch_ids);
        assert_eq!(numbers(""), Ok(vec![]));
        assert_eq!(numbers("mch-id = \"1\""), Ok(vec!["1".to_owned()]));
        assert_eq!(
            numbers("mch-id = [\"1\", \"2\"]"),
            Ok(vec!["1".to_owned(), "2".to_owned()])
        );
        for (wrong, told) in [
            ("mch-id = []", "/merchant.toml: mch-id: name one"),
            (
                "mch-id = [\"\"]",
                "/merchant.toml: mch-id: a merchant number",
            ),
            (
                "mch-id = 1",
                "/merchant.toml: line 4: mch-id: write a text, like",
            ),
        ] {
            let error = numbers(wrong).expect_err(wrong);
            assert!(error.starts_with(told), "{error}");
        }
    }

    #[test]
    fn where_the_books_are_is_read_without_a_secret() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("merchant.toml");
        fs::write(&file, GOOD).expect("written");
        let address = Config::load_database(&file).expect("no key is read");
        assert_eq!(address, Address::Sqlite(dir.path().join("merchant.db")));
        assert!(Config::load(&file).is_err(), "the server needs its key");
    }

    #[test]
    fn proxies_are_addresses_or_networks_and_alarms_go_to_an_address_of_http() {
        let more = "trusted-proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\nalarm-url = \"https://a.example\"\n";
        let config = load(&format!("{GOOD}{more}")).expect("good");
        assert_eq!(config.trusted_proxies.len(), 2);
        for (wrong, told) in [
            (
                "trusted-proxies = [\"proxy.example\"]\n",
                "/merchant.toml: trusted-proxies: write addresses",
            ),
            (
                "alarm-url = \"a.example\"\n",
                "/merchant.toml: alarm-url: write an address",
            ),
            (
                "notify-path = \"/kiosks/notify\"\n",
                "/merchant.toml: notify-path: must be a path of its own",
            ),
        ] {
            let error = load(&format!("{GOOD}{wrong}")).map(drop).expect_err(wrong);
            assert!(error.starts_with(told), "{error}");
        }
    }

    #[test]
    fn limits_are_whole_numbers_and_a_proxy_on_this_machine_is_trusted() {
        let config = load(GOOD).expect("good");
        assert_eq!(
            (config.connections, config.connections_per_address),
            (None, 256)
        );
        let trusted = |config: &Config, address: &str| {
            let address: IpAddr = address.parse().expect("an address");
            let mut networks = config.trusted_proxies.iter();
            networks.any(|network| network.contains(&address))
        };
        assert!(trusted(&config, "127.0.0.1") && trusted(&config, "::1"));
        assert!(!trusted(&config, "10.0.0.1"));
        let more = "trusted-proxies = []\n[limits]\nconnections = 800\nper-address = 20000\n";
        let config = load(&format!("{GOOD}{more}")).expect("good");
        assert_eq!(
            (config.connections, config.connections_per_address),
            (Some(800), 20_000)
        );
        assert!(!trusted(&config, "127.0.0.1"));
        for (wrong, told) in [
            (
                "[limits]\nconnections = 3\n",
                "/merchant.toml: limits.connections: must be at least 16",
            ),
            (
                "[limits]\nper-address = 0\n",
                "/merchant.toml: limits.per-address: must be at least 1",
            ),
            (
                "[limits]\nper-addres = 1\n",
                "/merchant.toml: line 5: unknown field `per-addres`",
            ),
            (
                "metrics-token-file = \"no.token\"\n",
                "/no.token: No such file",
            ),
        ] {
            let error = load(&format!("{GOOD}{wrong}")).map(drop).expect_err(wrong);
            assert!(error.starts_with(told), "{error}");
        }
    }

    #[test]
    fn two_kiosks_with_one_token_are_refused() {
        let digest = token_digest("secret");
        let text = format!("{GOOD}[kiosks]\nkiosk-1 = \"{digest}\"\nkiosk-2 = \"{digest}\"\n");
        let error = load(&text).map(drop).expect_err("one token");
        assert!(
            error.contains("kiosks.kiosk-2: another kiosk has this token"),
            "{error}"
        );
    }
}
