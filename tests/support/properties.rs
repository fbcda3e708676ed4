//! What must hold for any bytes at all. `tests/properties.rs` tries some at each run, `fuzz/` for as long as one likes.

#[path = "readings.rs"]
pub mod readings;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use selpay_kiosk::ids::OrderNo;
use selpay_kiosk::kiosk;
use selpay_kiosk::kiosk::board::file::BoardFile;
use selpay_kiosk::kiosk::journal::{Journal, RECORD_SIZE, Storage};
use selpay_kiosk::kiosk::machine::effect::{Fact, Record};
use selpay_kiosk::kiosk::machine::instant::Instant;
use selpay_kiosk::kiosk::machine::screen::Language;
use selpay_kiosk::kiosk::machine::{Machine, Settings};
use selpay_kiosk::kiosk::ports;
use selpay_kiosk::merchant;
use selpay_kiosk::merchant::keys::Keys;
use selpay_kiosk::merchant::notify::judge;
use selpay_kiosk::money::Fen;
use selpay_kiosk::selpay::add_order::{self, Request, ScanRules};
use selpay_kiosk::selpay::sign::{self, SignKey};
use selpay_kiosk::selpay::xml;

use readings::Verifier;

const SIGNED: &[u8] = include_bytes!("../vectors/sp_notify_native_plain.xml");
const KEY: &str = "9d101c97133837e13dde2d32a5054abb";

/// Whoever it is for.
const ANY: &[&str] = &[];

static KEYS: LazyLock<Keys> = LazyLock::new(|| SignKey::new(KEY).expect("a key").into());

/// A body that is read has one reading: written anew, it reads the same.
pub fn xml(body: &[u8]) {
    assert_eq!(xml::read(body), xml::read_slowly(body));
    let Ok(fields) = xml::read(body) else {
        return;
    };
    let written: String = fields
        .iter()
        .map(|(name, value)| {
            let value = value
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;");
            // A line break of the text itself, not of its file.
            format!("<{name}>{}</{name}>", value.replace('\r', "&#13;"))
        })
        .collect();
    let written = format!("<xml>{written}</xml>");
    let again = xml::read(written.as_bytes());
    // Written out it may be too long.
    assert!(again == Ok(fields) || again == Err(xml::Malformed::Oversized));
}

/// Nothing that we have not signed is believed.
pub fn notification(body: &[u8]) {
    let (worth, _) = judge(body, &KEYS, ANY);
    let is_believed = worth.is_verified();
    let is_the_known_one = || xml::read(body) == xml::read(SIGNED);
    assert!(!is_believed || is_the_known_one(), "believed: {worth:?}");
}

/// A signed body, changed anywhere in any way, is not believed, unless it still says the same.
pub fn mutated(change: &[u8]) {
    let [high, low, cut, new @ ..] = change else {
        return;
    };
    let at = usize::from(u16::from_be_bytes([*high, *low])) % SIGNED.len();
    let end = (at + usize::from(*cut)).min(SIGNED.len());
    let mut body = SIGNED.to_vec();
    body.splice(at..end, new.iter().copied());
    let (worth, _) = judge(&body, &KEYS, ANY);
    if worth.is_verified() {
        assert_eq!(
            worth,
            judge(SIGNED, &KEYS, ANY).0,
            "a changed body is believed"
        );
    }
}

/// Whatever the fields are, their signature is good in either case of hex, and is not signed itself.
pub fn sign(text: &str) {
    let mut signed: BTreeMap<String, String> = text
        .split('\n')
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let key = &SignKey::new(KEY).expect("a key");
    let signature = sign::signature(&(&signed).into(), key);
    signed.insert("sign".to_owned(), signature);
    signed.remove("sign_type");
    let again = sign::signature(&(&signed).into(), key);
    signed.insert("sign".to_owned(), again.to_ascii_lowercase());
    assert_eq!(
        sign::signer(&(&signed).into(), std::slice::from_ref(key)),
        Ok(0),
        "either case of hex"
    );
}

/// Whatever the platform is made to sign: no two ways to cut the signed text into fields are both believed and say another
/// merchant, number, amount, transaction or outcome (M9).
pub fn recut(bytes: &[u8]) {
    let key = SignKey::new(KEY).expect("a key");
    let message = readings::message(bytes);
    let found = readings::contradiction(&message, &key, Verifier::Whole);
    assert_eq!(found, None, "of {message:?}");
}

/// Whatever the platform answers, a code is drawn only for our order, at a listed host, with our key.
pub fn add_order(body: &[u8]) {
    let request = Request {
        app_key: "5f53481517b449b0a8c8dbe808d8bf5c",
        order_no: OrderNo::new("asdfsdfsdfsdfds").expect("a number"),
        total: Fen::new(1).expect("an amount"),
    };
    let rules = ScanRules::of(vec!["up.selpay.cn".to_owned()]);
    let Ok(url) = add_order::read(body, &request, &rules) else {
        return;
    };
    let url = url.as_str();
    assert!(url.starts_with("https://up.selpay.cn/"), "{url}");
    let read = percent_encoding::percent_decode_str(url).decode_utf8_lossy();
    assert!(read.contains(request.order_no.as_str()), "{url}");
    assert!(url.bytes().all(|byte| byte.is_ascii_graphic()), "{url}");
}

/// The check of an address alone: most answers are no JSON at all.
pub fn scan_url(url: &str) {
    let answer = serde_json::json!({
        "code": 200,
        "data": {
            "scanUrl": url,
            "order": { "appKey": "5f53481517b449b0a8c8dbe808d8bf5c", "orderNo": "asdfsdfsdfsdfds", "total": 1 },
        },
    });
    add_order(answer.to_string().as_bytes());
}

/// Any text for a configuration is refused in one line that names the file, or is taken.
pub fn configurations(text: &str) {
    let refusals = [
        BoardFile::parse(Path::new("board.toml"), text).err(),
        kiosk::config::Config::parse(Path::new("kiosk.toml"), text).err(),
        merchant::config::Config::parse(Path::new("merchant.toml"), text).err(),
    ];
    for refusal in refusals.into_iter().flatten() {
        let refusal = refusal.to_string();
        assert_eq!(refusal.lines().count(), 1, "{refusal}");
    }
}

/// A disk in memory.
#[derive(Default)]
struct Memory(Vec<u8>);

impl Storage for &mut Memory {
    fn read<T>(&mut self, look: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
        Ok(look(&self.0))
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.0[at as usize..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn replace(&mut self, content: &[u8]) -> io::Result<()> {
        self.0 = content.to_vec();
        Ok(())
    }
}

fn settings() -> Settings {
    Settings {
        max_total: Fen::MAX,
        unit: None,
        pay_time: Duration::from_secs(120),
        language: Language::En,
        resumes_claims: true,
    }
}

/// Any bytes in the journal's place are damage, or a journal with which the machine starts.
pub fn journal(content: &[u8]) {
    let mut disk = Memory(content.to_vec());
    let (_, records) = Journal::open(&mut disk).expect("memory");
    if let Ok(records) = records {
        // A contradiction is refused, not believed.
        let _ = Machine::resume(settings(), Instant::default(), records);
    }
}

/// Bytes written over a true journal: what is read is a beginning of what was written, or damage.
pub fn damaged_journal(damage: &[u8]) {
    use selpay_kiosk::ids::{ClaimId, SaleId};
    let mut disk = Memory::default();
    let (mut journal, _) = Journal::open(&mut disk).expect("memory");
    let mut written = Vec::new();
    for number in 0..3 {
        let facts = [
            Fact::Sale(Fen::MAX),
            Fact::Order(OrderNo::from_random(number + 10)),
            Fact::Claim(ClaimId::from_random(number + 20)),
            Fact::Start,
        ];
        for fact in facts {
            let sale = SaleId::from_random(number);
            let record = Record { sale, fact };
            ports::Journal::append(&mut journal, &record).expect("memory");
            written.push(record);
        }
    }
    drop(journal);
    let [high, low, new @ ..] = damage else {
        return;
    };
    let used = (written.len() + 1) * RECORD_SIZE;
    let at = usize::from(u16::from_be_bytes([*high, *low])) % used;
    let end = (at + new.len()).min(disk.0.len());
    disk.0[at..end].copy_from_slice(&new[..end - at]);
    let (_, records) = Journal::open(&mut disk).expect("memory");
    if let Ok(records) = records {
        assert!(written.starts_with(&records), "something else was read");
        // Only the last can be taken for one that was torn.
        let torn = written.len() - records.len();
        assert!(torn <= 1 || end >= used, "{torn} records were skipped");
    }
}
