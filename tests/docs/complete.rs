//! What the pages must not leave out: keys of the configuration, commands, alarms, metrics.

use std::process::Command;

use selpay_kiosk::merchant::alarms::Kind;

use super::{PROGRAMS, text_of};

/// The field names of the structs of a source file whose name begins like this, as they are written in TOML.
fn fields(source: &str, of: &str) -> Vec<String> {
    let text = text_of(source);
    let structs = text.split(of).skip(1);
    let bodies = structs.filter_map(|rest| Some(rest.split_once("{\n")?.1.split_once("\n}")?.0));
    let mut found = Vec::new();
    for line in bodies.flat_map(str::lines) {
        let line = line.trim().trim_start_matches("pub ");
        let name = line.split_once(": ").map_or("", |(name, _)| name);
        if !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            found.push(name.replace('_', "-"));
        }
    }
    found
}

#[test]
fn every_key_of_the_configuration_is_documented() {
    let page = text_of("docs/api.md");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (source, of) in [
        ("src/merchant/config.rs", "struct Raw"),
        ("src/kiosk/config.rs", "struct Raw"),
        ("src/kiosk/board/file/raw.rs", "struct Raw"),
        ("src/kiosk/board/file/raw.rs", "enum Raw"),
        ("src/merchant/reconcile/bill.rs", "struct BillMap"),
    ] {
        for name in fields(source, of) {
            seen += 1;
            let is_told = ["`", "`[", "`[[", "`[dispenser."]
                .iter()
                .any(|before| page.contains(&format!("{before}{name}")));
            if !is_told {
                wrong.push(format!("{source}: {name} is not in docs/api.md"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 60, "only {seen} keys were found");
}

#[test]
fn every_command_alarm_and_metric_is_documented() {
    let mut wrong = Vec::new();
    let api = text_of("docs/api.md");
    for (name, program) in PROGRAMS {
        let help = Command::new(program)
            .arg("--help")
            .output()
            .expect("started");
        let help = String::from_utf8_lossy(&help.stdout).into_owned();
        let Some((_, commands)) = help.split_once("Commands:\n") else {
            continue;
        };
        let commands = commands.lines().take_while(|line| !line.is_empty());
        for command in commands.filter_map(|line| line.split_whitespace().next()) {
            if command != "help" && !api.contains(&format!("`{name} {command}")) {
                wrong.push(format!("docs/api.md: {name} {command}"));
            }
        }
    }
    let metrics = text_of("src/merchant/metrics.rs");
    for name in metrics.split("\"selpay_").skip(1) {
        let ends = |c: char| !c.is_ascii_lowercase() && c != '_';
        let name = name.split(ends).next().unwrap_or_default();
        if !api.contains(&format!("| `selpay_{name}` |")) {
            wrong.push(format!("docs/api.md: selpay_{name}"));
        }
    }
    let operations = text_of("docs/operations.md");
    for kind in Kind::ALL {
        if !operations.contains(&format!("| `{}` |", kind.as_str())) {
            wrong.push(format!("docs/operations.md: {}", kind.as_str()));
        }
    }
    assert!(wrong.is_empty(), "not documented:\n{}", wrong.join("\n"));
}
