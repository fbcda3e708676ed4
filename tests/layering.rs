//! The direction of imports (docs/architecture.md): from the shells to the pure cores, never back, never sideways.

use std::fs;
use std::path::{Path, PathBuf};

/// What any part may import: constants in every build but the one that looks for them.
const WORDS: &str = "planted";

/// A part of the house and what of `crate::` it may import. The longest matching part counts.
const RULES: &[(&str, &[&str])] = &[
    ("money", &[]),
    ("planted", &["planted"]),
    ("ids", &[]),
    ("sale", &[]),
    ("selpay", &["ids", "money", "selpay"]),
    ("api", &["ids", "money", "sale"]),
    ("files", &[]),
    ("random", &[]),
    ("cli", &["files", "log"]),
    ("log", &[]),
    ("http", &["http"]),
    // Pure: states, events, effects, screens as data.
    ("kiosk/machine", &["ids", "kiosk::machine", "money", "sale"]),
    (
        "kiosk/ports",
        &[
            "ids",
            "kiosk::legend",
            "kiosk::machine",
            "kiosk::ui::frame",
            "money",
            "sale",
        ],
    ),
    ("kiosk/legend", &["kiosk::machine"]),
    ("kiosk/ready", &["kiosk::ports"]),
    (
        "kiosk/config",
        &["files", "ids", "kiosk::machine", "money", "selpay"],
    ),
    // The adapters: none imports another.
    (
        "kiosk/net",
        &[
            "api",
            "files",
            "ids",
            "kiosk::config",
            "kiosk::machine",
            "kiosk::ports",
            "kiosk::ready",
            "money",
            "random",
            "sale",
            "selpay",
        ],
    ),
    (
        "kiosk/journal",
        &[
            "ids",
            "kiosk::journal",
            "kiosk::machine",
            "kiosk::ports",
            "money",
            "sale",
        ],
    ),
    (
        "kiosk/ui",
        &[
            "ids",
            "kiosk::board::encode_png",
            "kiosk::legend",
            "kiosk::machine",
            "kiosk::ports",
            "kiosk::ui",
            "money",
        ],
    ),
    (
        "kiosk/board",
        &[
            "files",
            "http",
            "ids",
            "kiosk::board",
            "kiosk::legend",
            "kiosk::machine",
            "kiosk::ports",
            "kiosk::ready",
            "kiosk::ui::frame",
            "money",
            "sale",
        ],
    ),
    (
        "kiosk/runner",
        &[
            "ids",
            "kiosk::machine",
            "kiosk::ports",
            "kiosk::ready",
            "sale",
        ],
    ),
    (
        "kiosk/painter",
        &["ids", "kiosk::machine", "kiosk::ports", "kiosk::ui"],
    ),
    ("kiosk/watchdog", &["kiosk::machine"]),
    ("kiosk/check", &["ids", "kiosk", "money"]),
    ("kiosk/tryout", &["ids", "kiosk", "money", "random", "sale"]),
    (
        "kiosk/commands",
        &["cli", "files", "kiosk", "money", "sale"],
    ),
    ("kiosk", &["cli", "kiosk", "random"]),
    // Pure: the rules of the books, and what a notification is worth.
    (
        "merchant/ledger",
        &["ids", "money", "sale", "selpay::notification"],
    ),
    ("merchant/keys", &["selpay"]),
    ("merchant/pem", &["files"]),
    ("merchant/notify", &["ids", "merchant::keys", "selpay"]),
    (
        "merchant/store",
        &[
            "api",
            "ids",
            "log",
            "merchant::ledger",
            "merchant::pem",
            "merchant::reconcile",
            "merchant::store",
            "money",
            "sale",
            "selpay::notification",
        ],
    ),
    (
        "merchant/config",
        &[
            "files",
            "ids",
            "merchant::alarms",
            "merchant::keys",
            "merchant::password",
            "merchant::store",
            "merchant::tls",
            "selpay",
        ],
    ),
    (
        "merchant",
        &[
            "api", "cli", "files", "http", "ids", "merchant", "money", "random", "sale", "selpay",
        ],
    ),
    // A codec that agrees with itself proves nothing: no `selpay` here.
    ("paysim", &["http", "paysim", "random"]),
    (
        "demo",
        &[
            "cli", "demo", "files", "http", "ids", "kiosk", "merchant", "money", "paysim",
            "random", "selpay",
        ],
    ),
];

/// What the pure parts must not touch, whatever they import.
const PURE: &[&str] = &[
    "kiosk/machine",
    "merchant/keys",
    "merchant/ledger",
    "merchant/notify",
    "selpay",
    "money",
    "ids",
    "sale",
    "paysim/platform",
];
const IMPURE: &[&str] = &[
    "std::io",
    "std::fs",
    "std::net::Tcp",
    "std::thread",
    "std::time::Instant",
    "SystemTime",
    "std::env",
    "tracing::",
    "tokio",
    "ureq",
    "axum",
    "rusqlite",
    "getrandom",
    "f32",
    "f64",
    "println!",
];

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Each file's place below `src`, without its ending, and its text without tests and comments.
fn house() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = sources(&root);
    assert!(files.len() > 50, "the house has more rooms than that");
    let read = |path: &PathBuf| {
        let place = path
            .strip_prefix(&root)
            .expect("below src")
            .with_extension("")
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(path).expect("text");
        let product = text.split("\nmod tests {").next().expect("the beginning");
        let code: Vec<&str> = product
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect();
        (place, code.join("\n"))
    };
    let is_product = |(place, _): &(String, String)| {
        !place.starts_with("bin/") && place != "lib" && !place.ends_with("/tests")
    };
    files.iter().map(read).filter(is_product).collect()
}

/// Every `crate::…` path in the text, groups taken apart: `crate::a::{b, c::d}` is `a::b` and `a::c::d`.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let end = rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
            .unwrap_or(rest.len());
        let path = &rest[..end];
        match (
            path.strip_suffix("::"),
            rest[end..]
                .strip_prefix('{')
                .and_then(|group| group.split_once('}')),
        ) {
            (Some(prefix), Some((group, _))) => {
                let items = group
                    .split(',')
                    .map(|item| item.split("::{").next().unwrap_or(item).trim());
                found.extend(
                    items
                        .filter(|item| !item.is_empty())
                        .map(|item| format!("{prefix}::{item}")),
                );
            }
            _ => found.push(path.trim_end_matches(':').to_owned()),
        }
    }
    found
}

fn is_within(place: &str, part: &str) -> bool {
    place == part || place.starts_with(&format!("{part}/"))
}

#[test]
fn imports_go_from_the_shells_to_the_cores_only() {
    let mut wrong = Vec::new();
    for (place, code) in house() {
        let rule = RULES
            .iter()
            .filter(|(part, _)| is_within(&place, part))
            .max_by_key(|(part, _)| part.len());
        let (_, allowed) = rule.unwrap_or_else(|| {
            panic!("src/{place}.rs has no rule: say in tests/layering.rs what it may import")
        });
        for import in imports(&code) {
            let is_allowed = allowed
                .iter()
                .chain([&WORDS])
                .any(|allowed| import == *allowed || import.starts_with(&format!("{allowed}::")));
            if !is_allowed {
                wrong.push(format!("src/{place}.rs imports crate::{import}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_pure_parts_touch_nothing_outside() {
    let mut wrong = Vec::new();
    for (place, code) in house() {
        if PURE.iter().any(|part| is_within(&place, part)) {
            wrong.extend(
                IMPURE
                    .iter()
                    .filter(|word| code.contains(**word))
                    .map(|word| format!("src/{place}.rs: {word}")),
            );
        }
    }
    // The speed of a simulation is no money.
    wrong.retain(|line| line != "src/paysim/platform.rs: f64");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_forbidden_import_would_be_found() {
    let code = "use crate::kiosk::{machine::Machine, net};\nlet x = crate::merchant::store::SqliteStore::open();\nuse crate::ids;";
    assert_eq!(
        imports(code),
        [
            "kiosk::machine::Machine",
            "kiosk::net",
            "merchant::store::SqliteStore::open",
            "ids"
        ]
    );
}

#[test]
fn binaries_parse_and_hand_over() {
    for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin")) {
        let lines = fs::read_to_string(&path).expect("text").lines().count();
        assert!(lines < 80, "{} has {lines} lines", path.display());
    }
}
