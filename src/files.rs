//! Reading what people write: configuration, boards, secrets. Every error names file, field and fix.

use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// A file that cannot be used as it is. One line: file, field, fix.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}: {what}", file.display())]
pub struct Unusable {
    /// Which file.
    pub file: PathBuf,
    /// What is wrong with it and what would be right.
    pub what: String,
}

impl Unusable {
    /// `file: what`.
    pub fn new(file: &Path, what: impl Into<String>) -> Unusable {
        Unusable {
            file: file.to_owned(),
            what: what.into(),
        }
    }

    /// `file: field: fix`.
    pub fn field(file: &Path, field: &str, fix: impl std::fmt::Display) -> Unusable {
        Unusable::new(file, format!("{field}: {fix}"))
    }
}

/// The text of a file.
pub fn read_text(file: &Path) -> Result<String, Unusable> {
    fs::read_to_string(file).map_err(|error| Unusable::new(file, error.to_string()))
}

/// Reads the text of a TOML file; `file` is only named in errors.
pub fn parse_toml<T: DeserializeOwned>(file: &Path, text: &str) -> Result<T, Unusable> {
    let unreadable = |error: &toml::de::Error, path: &str| {
        Unusable::new(file, mistake(text, error.span(), path, error.message()))
    };
    let read = toml::de::Deserializer::parse(text).map_err(|error| unreadable(&error, ""))?;
    serde_path_to_error::deserialize(read).map_err(|error| {
        let path = error.path().to_string();
        unreadable(error.inner(), &path)
    })
}

/// `line 9: max-total: must be a whole number, not "100"`.
fn mistake(text: &str, span: Option<Range<usize>>, path: &str, message: &str) -> String {
    let message = message.replace('\n', " ");
    let mut start = span.as_ref().map(|span| span.start);
    let mut path = path.trim_matches('.').to_owned();
    // A table of several kinds is only known as a whole: the line in it that holds what is wrong.
    if let Some(span) = span.and_then(|span| table(text, span)) {
        let wrong = message.split(['`', '"']).nth(1).unwrap_or_default();
        let holds = |line: &str| {
            line.split_once('=')
                .is_some_and(|(_, value)| value.contains(wrong))
        };
        let mut at = span.start;
        for line in text[span].split_inclusive('\n') {
            if !wrong.is_empty() && holds(line) {
                start = Some(at);
                let key = line.split('=').next().unwrap_or_default().trim();
                path = format!("{path}.{key}").trim_start_matches('.').to_owned();
                break;
            }
            at += line.len();
        }
    }
    let line = start.map(|start| text[..start].matches('\n').count() + 1);
    let line = line
        .map(|line| format!("line {line}: "))
        .unwrap_or_default();
    let is_named = message.contains(" field `") || path.is_empty() || path == "?";
    let field = if is_named {
        String::new()
    } else {
        format!("{path}: ")
    };
    format!("{line}{field}{}", in_words(&message))
}

/// The whole table whose header is at the span, or which the span is.
fn table(text: &str, span: Range<usize>) -> Option<Range<usize>> {
    let line = text[..span.start].rfind('\n').map_or(0, |end| end + 1);
    let is_header =
        text[line..].trim_start().starts_with('[') && text[line..span.start].trim().is_empty();
    if !is_header {
        return text[span.clone()].contains('\n').then_some(span);
    }
    let mut end = line;
    for (number, line) in text[line..].split_inclusive('\n').enumerate() {
        if number > 0 && line.trim_start().starts_with('[') {
            break;
        }
        end += line.len();
    }
    Some(span.start..end)
}

/// serde's message as people would say it.
fn in_words(message: &str) -> String {
    if let Some((field, known)) = message
        .strip_prefix("unknown field `")
        .and_then(|rest| rest.split_once("`, expected "))
    {
        let names: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
        let near = names
            .iter()
            .min_by_key(|name| strsim::osa_distance(field, name));
        let near = near.filter(|name| strsim::osa_distance(field, name) <= 3);
        let hint = near.map(|name| format!("; did you mean `{name}`?"));
        let hint = hint.unwrap_or_else(|| format!("; there are {}", names.join(", ")));
        return format!("unknown field `{field}`{hint}");
    }
    if let Some((variant, known)) = message
        .strip_prefix("unknown variant `")
        .and_then(|rest| rest.split_once("`, expected "))
    {
        let known = known.replace('`', "\"");
        return format!("must be {known}, not \"{variant}\"");
    }
    let told = ["invalid type: ", "invalid value: "];
    let told = told.iter().find_map(|start| message.strip_prefix(start));
    if let Some((found, wanted)) = told.and_then(|rest| rest.rsplit_once(", expected ")) {
        let wanted = match wanted {
            "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, zero or more",
            "i8" | "i16" | "i32" | "i64" => "a whole number",
            "f32" | "f64" => "a number",
            "a boolean" => "true or false",
            "a string" | "path string" => "text in quotes",
            "a sequence" => "a list in [ ]",
            other => other,
        };
        let found = found
            .trim_start_matches("string ")
            .trim_start_matches("integer ");
        return format!("must be {wanted}, not {}", found.replace('`', ""));
    }
    message.to_owned()
}

/// A path written in `file`: relative ones are relative to it.
pub fn beside(file: &Path, path: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(path)
}

/// A secret is its file's content without one trailing newline. A file that others can read is refused.
pub fn read_secret(file: &Path) -> Result<String, Unusable> {
    let unreadable = |error: io::Error| Unusable::new(file, error.to_string());
    let mode = fs::metadata(file).map_err(unreadable)?.permissions().mode();
    if mode & 0o007 != 0 {
        return Err(Unusable::new(
            file,
            "others can read this secret; run chmod o-rwx on it",
        ));
    }
    let mut secret = fs::read_to_string(file).map_err(unreadable)?;
    if secret.ends_with('\n') {
        secret.pop();
        if secret.ends_with('\r') {
            secret.pop();
        }
    }
    if secret.is_empty() {
        return Err(Unusable::new(file, "the secret is empty"));
    }
    Ok(secret)
}

/// A key of the platform's: a secret of printable ASCII and nothing else. What is copied together with a key cannot be seen
/// and would make every signature wrong, so it is refused by its name.
pub fn read_key(file: &Path) -> Result<String, Unusable> {
    let secret = read_secret(file)?;
    match stray_character(&secret) {
        None => Ok(secret),
        Some((place, stray)) => {
            let name = name_of(stray).map_or(String::new(), |name| format!(" ({name})"));
            let code = u32::from(stray);
            let told = format!(
                "character {place} of the key is U+{code:04X}{name}: the file must hold the key alone, and one line break at most"
            );
            Err(Unusable::new(file, told))
        }
    }
}

/// The first character that is no part of a key, and its place, counted from 1.
fn stray_character(key: &str) -> Option<(usize, char)> {
    let is_quote = |c: char| matches!(c, '"' | '\'' | '`');
    let last = key.chars().count();
    let mut all = (1..).zip(key.chars());
    all.find(|(place, c)| {
        let is_at_an_end = *place == 1 || *place == last;
        !c.is_ascii_graphic() || is_at_an_end && is_quote(*c)
    })
}

/// What people call a character that they cannot see, or that an editor put there.
fn name_of(character: char) -> Option<&'static str> {
    Some(match character {
        '\t' => "a tab",
        '\n' | '\r' => "a line break",
        ' ' => "a blank",
        '"' | '\'' | '`' | '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}' => "a quotation mark",
        '\u{a0}' => "a no-break space",
        '\u{ad}' => "a soft hyphen",
        '\u{200b}'..='\u{200d}' | '\u{2060}' => "a zero-width character",
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' => "a mark of the writing direction",
        '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => {
            "a blank of another width"
        }
        '\u{feff}' => "a byte order mark",
        '\u{ff01}'..='\u{ff5e}' => "a full-width character",
        _ => return None,
    })
}

/// Writes a secret that only its owner can read.
pub fn write_secret(file: &Path, secret: &str) -> io::Result<()> {
    let mut options = File::options();
    options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)?
        .write_all(secret.as_bytes())
}

/// Replaces a file at once: whoever reads it sees the old content or the new, never half of it.
pub fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = file.with_file_name(name);
    fs::write(&new, content)?;
    fs::rename(&new, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Raw {
        #[expect(dead_code, reason = "only read")]
        listen: String,
    }

    #[test]
    fn a_mistake_is_named_with_its_file_and_line() {
        let error = parse_toml::<Raw>(Path::new("m.toml"), "listen = \"x\"\n\nlisen = 1\n")
            .expect_err("unknown");
        let text = error.to_string();
        assert!(
            text.starts_with("m.toml: line 3: unknown field `lisen`"),
            "{text}"
        );
        assert!(!text.contains('\n'));
    }

    #[test]
    fn a_wrong_value_is_named_with_its_field_and_what_would_be_right() {
        #[derive(serde::Deserialize, Debug)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        #[expect(dead_code, reason = "only read")]
        struct Whole {
            pay_seconds: u64,
            language: Option<Language>,
            panel: Option<Panel>,
            scan_hosts: Option<Vec<String>>,
        }
        #[derive(serde::Deserialize, Debug)]
        #[serde(rename_all = "kebab-case")]
        enum Language {
            Zh,
            En,
        }
        #[derive(serde::Deserialize, Debug)]
        #[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
        #[expect(dead_code, reason = "only read")]
        enum Panel {
            Png { size: [u32; 2] },
            Desk {},
        }
        for (text, told) in [
            (
                "pay-seconds = \"3\"",
                "line 1: pay-seconds: must be a whole number, zero or more, not \"3\"",
            ),
            (
                "pay-seconds = -3",
                "line 1: pay-seconds: must be a whole number, zero or more, not -3",
            ),
            (
                "pay-seconds = 3\nlanguage = \"de\"",
                "line 2: language: must be \"zh\" or \"en\", not \"de\"",
            ),
            (
                "pay-second = 3",
                "line 1: unknown field `pay-second`; did you mean `pay-seconds`?",
            ),
            (
                "colour = 3",
                "line 1: unknown field `colour`; there are pay-seconds, language, panel, scan-hosts",
            ),
            (
                "pay-seconds = 3\nscan-hosts = [\"a\", 1]",
                "line 2: scan-hosts[1]: must be text in quotes, not 1",
            ),
            (
                "pay-seconds = 3\n\n[panel]\nsize = [1, 2]\nkind = \"pngx\"\n",
                "line 5: panel.kind: must be \"png\" or \"desk\", not \"pngx\"",
            ),
            (
                "pay-seconds = 3\n[panel]\nkind = \"png\"\nsize = [240, \"x\"]\n",
                "line 4: panel.size: must be a whole number, zero or more, not \"x\"",
            ),
            ("language = \"zh\"", "line 1: missing field `pay-seconds`"),
        ] {
            let error = parse_toml::<Whole>(Path::new("k.toml"), text).expect_err(text);
            assert_eq!(error.to_string(), format!("k.toml: {told}"));
        }
    }

    #[test]
    fn paths_are_relative_to_the_file_they_stand_in() {
        assert_eq!(
            beside(Path::new("/etc/kiosk.toml"), Path::new("token")),
            Path::new("/etc/token")
        );
        assert_eq!(
            beside(Path::new("/etc/kiosk.toml"), Path::new("/run/token")),
            Path::new("/run/token")
        );
        assert_eq!(
            beside(Path::new("kiosk.toml"), Path::new("token")),
            Path::new("token")
        );
    }

    #[cfg(feature = "sim")]
    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("key");
        write_secret(&file, "secret\r\n").expect("written");
        assert_eq!(read_secret(&file).as_deref(), Ok("secret"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("changed");
        let error = read_secret(&file)
            .expect_err("readable by others")
            .to_string();
        assert!(error.contains("chmod"), "{error}");
        write_secret(&dir.path().join("empty"), "\n").expect("written");
        assert!(read_secret(&dir.path().join("empty")).is_err());
    }

    #[cfg(feature = "sim")]
    #[test]
    fn what_cannot_be_seen_in_a_key_is_refused_by_its_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("sign.key");
        let read = |text: &str| {
            write_secret(&file, text).expect("written");
            read_key(&file).map_err(|error| error.what)
        };
        for key in ["9d101c97133837e13dde2d32a5054abb", "it's-~!\"#%&=x"] {
            for end in ["", "\n", "\r\n"] {
                assert_eq!(read(&format!("{key}{end}")).as_deref(), Ok(key));
            }
        }
        for (text, told) in [
            (
                "\u{feff}abc",
                "character 1 of the key is U+FEFF (a byte order mark)",
            ),
            (" abc", "character 1 of the key is U+0020 (a blank)"),
            ("abc \n", "character 4 of the key is U+0020 (a blank)"),
            ("ab c", "character 3 of the key is U+0020 (a blank)"),
            (
                "abc\u{a0}",
                "character 4 of the key is U+00A0 (a no-break space)",
            ),
            (
                "ab\u{200b}c",
                "character 3 of the key is U+200B (a zero-width character)",
            ),
            ("abc\n\n", "character 4 of the key is U+000A (a line break)"),
            ("\nabc", "character 1 of the key is U+000A (a line break)"),
            (
                "abc\r\n\r\n",
                "character 4 of the key is U+000D (a line break)",
            ),
            ("abc\t", "character 4 of the key is U+0009 (a tab)"),
            (
                "\"abc\"",
                "character 1 of the key is U+0022 (a quotation mark)",
            ),
            (
                "abc'",
                "character 4 of the key is U+0027 (a quotation mark)",
            ),
            (
                "\u{201c}abc",
                "character 1 of the key is U+201C (a quotation mark)",
            ),
            (
                "\u{3000}abc",
                "character 1 of the key is U+3000 (a blank of another width)",
            ),
            (
                "ａbc",
                "character 1 of the key is U+FF41 (a full-width character)",
            ),
            ("\u{430}bc", "character 1 of the key is U+0430:"),
            ("a\u{7}bc", "character 2 of the key is U+0007:"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.starts_with(told), "{text:?}: {error}");
            assert!(!error.contains("abc"), "{error} shows the key");
        }
        fs::write(&file, b"\xff\xfea\0b\0").expect("written");
        assert!(read_key(&file).is_err(), "UTF-16");
    }
}
