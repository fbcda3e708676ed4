//! Blocks that are not run: their programs, options, targets and files must exist.

use std::process::Command;

use super::{Block, PROGRAMS, root, text_of};

/// A shell's words, as far as these pages use them: quotes, `$(…)` within a word, comments.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word = String::new();
    let end_word = |word: &mut String, commands: &mut Vec<Vec<String>>| {
        if !word.is_empty() {
            let last = commands.last_mut().expect("never empty");
            last.push(std::mem::take(word));
        }
    };
    let (mut quote, mut depth) = (None, 0);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            (_, Some(quoted)) if letter == quoted => quote = None,
            (_, Some(_)) => word.push(letter),
            ('\'' | '"', None) => quote = Some(letter),
            ('(', None) => {
                depth += 1;
                word.push(letter);
            }
            (')', None) => {
                depth -= 1;
                word.push(letter);
            }
            (_, None) if depth > 0 => word.push(letter),
            ('#', None) if word.is_empty() => {
                while letters.next_if(|next| *next != '\n').is_some() {}
            }
            ('\n' | ';' | '|' | '&', None) => {
                end_word(&mut word, &mut commands);
                commands.push(Vec::new());
            }
            (_, None) if letter.is_whitespace() => end_word(&mut word, &mut commands),
            (_, None) => word.push(letter),
        }
    }
    end_word(&mut word, &mut commands);
    commands.retain(|words| !words.is_empty());
    commands
}

/// A block that is not run: what it names must exist.
pub(super) fn look_at(block: &Block) {
    let Block { place, text, .. } = block;
    for words in commands(text) {
        let mut words: &[String] = &words;
        let is_setting = |word: &String| {
            let name = word.split_once('=').map_or("", |(name, _)| name);
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
        };
        while is_setting(&words[0]) {
            words = &words[1..];
        }
        if words[0] == "sudo" {
            words = if words[1] == "-u" {
                &words[3..]
            } else {
                &words[1..]
            };
        }
        let (program, rest) = words.split_first().expect("a command");
        match program.as_str() {
            "cargo" => look_at_cargo(place, rest),
            ".ci/run" => {
                let gate = text_of(".ci/run");
                for step in rest.iter().filter(|step| *step != "--list") {
                    assert!(
                        gate.contains(&format!("do_{step}()")),
                        "{place}: no step {step}"
                    );
                }
            }
            "apt" | "install" | "rustup" | "sudoedit" | "systemctl" => {}
            name => is_understood(place, name, rest),
        }
        for word in words.iter().filter_map(|word| word.split("boards/").nth(1)) {
            assert!(
                root().join("boards").join(word).exists(),
                "{place}: boards/{word}"
            );
        }
    }
}

/// Asks a program's own parser: `--help` behind the arguments, which are read first.
fn is_understood(place: &str, name: &str, arguments: &[String]) {
    let program = PROGRAMS.iter().find(|(known, _)| *known == name);
    let (_, program) = program.unwrap_or_else(|| panic!("{place}: what is {name}?"));
    let arguments = arguments.iter().take_while(|word| !word.starts_with('>'));
    let asked = Command::new(program).args(arguments).arg("--help").output();
    let asked = asked.expect("started");
    let told = String::from_utf8_lossy(&asked.stderr);
    assert!(asked.status.success(), "{place}: {name}: {told}");
}

fn look_at_cargo(place: &str, words: &[String]) {
    let manifest = text_of("Cargo.toml");
    let (command, words) = words.split_first().expect("a command of cargo's");
    let aliases = text_of(".cargo/config.toml");
    let is_alias = aliases.contains(&format!("\n{command} = "));
    let known = ["run", "test", "bench", "build", "deb", "fuzz", "mutants"];
    assert!(
        is_alias || known.contains(&command.as_str()),
        "{place}: cargo {command}"
    );
    let (ours, theirs) = match words.iter().position(|word| word == "--") {
        Some(place) => (&words[..place], &words[place + 1..]),
        None => (words, &[][..]),
    };
    let value = |flag: &str| {
        let at = ours.iter().position(|word| word == flag)?;
        ours.get(at + 1).map(String::as_str)
    };
    for flag in ["--test", "--bench", "--example"] {
        if let Some(name) = value(flag) {
            let named = manifest.contains(&format!("name = {name:?}"));
            assert!(named, "{place}: {flag} {name}");
        }
    }
    if let Some(variant) = value("--variant") {
        let section = format!("[package.metadata.deb.variants.{variant}]");
        assert!(manifest.contains(&section), "{place}: --variant {variant}");
    }
    if let Some(file) = value("--file") {
        assert!(root().join(file).exists(), "{place}: {file}");
    }
    if command == "fuzz" {
        let target = format!("fuzz/fuzz_targets/{}.rs", ours[1]);
        assert!(root().join(&target).exists(), "{place}: {target}");
    }
    match (command.as_str(), value("--bin"), value("--example")) {
        ("run", Some(program), _) => is_understood(place, program, theirs),
        ("run", None, Some("simulate")) => {
            let arguments = text_of("tests/simulation/simulate.rs");
            for flag in theirs.iter().filter_map(|word| word.strip_prefix("--")) {
                let field = format!("    {}: ", flag.replace('-', "_"));
                assert!(arguments.contains(&field), "{place}: --{flag}");
            }
        }
        ("run", None, Some(_)) => {}
        ("run", None, None) => is_understood(place, "demo", theirs),
        ("test", ..) => {
            let module = ours
                .iter()
                .chain(theirs)
                .find_map(|word| word.strip_suffix("::"));
            let file = module.map(|module| format!("tests/{module}.rs"));
            let exists = file.as_ref().is_none_or(|file| root().join(file).exists());
            assert!(exists, "{place}: {file:?}");
        }
        _ => {}
    }
}
