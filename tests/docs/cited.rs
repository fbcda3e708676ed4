//! Promises, files, headings and tests that pages and comments cite.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{PAGES, root, text_of};

/// Every file below, with this ending.
fn files(dir: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.extension().is_some_and(|kind| kind == ending) {
            found.push(path);
        }
    }
}

/// Our sources, by their path from the root.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for dir in ["src", "tests", "benches", "examples", "fuzz/fuzz_targets"] {
        files(&root().join(dir), "rs", &mut found);
    }
    let read = |path: &PathBuf| {
        let name = path
            .strip_prefix(root())
            .expect("ours")
            .display()
            .to_string();
        let text = text_of(&name);
        (name, text)
    };
    let itself = |(name, _): &(String, String)| !name.starts_with("tests/docs");
    found.iter().map(read).filter(itself).collect()
}

#[test]
fn every_promise_that_is_cited_stands_in_the_architecture() {
    let page = text_of("docs/architecture.md");
    let mut cited = BTreeSet::new();
    let pages = PAGES.map(|page| (page.to_owned(), text_of(page)));
    for (name, text) in sources().into_iter().chain(pages) {
        let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        for word in words {
            let number = word.strip_prefix(['M', 'G', 'L']).unwrap_or("");
            if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
                cited.insert(word.to_owned());
                let anchor = format!("<a id=\"{}\"></a>{word} |", word.to_lowercase());
                assert!(page.contains(&anchor), "{name} cites {word}");
            }
        }
    }
    assert!(cited.len() > 15, "{cited:?}");
}

/// What looks like a path of ours, in a text.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    const DIRS: [&str; 10] = [
        "src/",
        "tests/",
        "benches/",
        "docs/",
        "boards/",
        "packaging/",
        "examples/",
        "fuzz/",
        ".ci/",
        ".cargo/",
    ];
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "_-./*".contains(letter);
    let words = text.split(move |letter| !is_part(letter));
    let words = words.map(|word| word.trim_end_matches(['.', '/', '-']));
    words.filter(|word| {
        DIRS.iter().any(|dir| word.starts_with(dir))
            || (word.ends_with(".md") && word.len() > 3 && !word.starts_with('/'))
    })
}

/// Whether there is such a file; `*` stands for any part of its name.
fn exists(path: &str) -> bool {
    let Some((before, after)) = path.split_once('*') else {
        return root().join(path).exists() || root().join("docs").join(path).exists();
    };
    let (dir, begin) = before.rsplit_once('/').unwrap_or((".", before));
    let is_it = |entry: fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with(begin) && name.ends_with(after)
    };
    let entries = fs::read_dir(root().join(dir));
    entries.is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(is_it)))
}

#[test]
fn every_file_that_a_comment_cites_exists() {
    let mut names = Vec::new();
    files(&root().join("src"), "rs", &mut names);
    files(&root().join("tests"), "rs", &mut names);
    let is_known = |wanted: &str| names.iter().any(|path| path.ends_with(wanted));
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for (name, text) in sources() {
        let comments = text
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("//"));
        for line in comments {
            for path in paths(line) {
                seen += 1;
                if !exists(path) {
                    wrong.push(format!("{name} cites {path}"));
                }
            }
            let is_part = |letter: char| letter.is_ascii_alphanumeric() || "_-./".contains(letter);
            let words = line.split(|letter| !is_part(letter));
            let files = words.filter(|word| word.ends_with(".rs") && word.len() > 3);
            let missing = files.filter(|file| !exists(file) && !is_known(file));
            wrong.extend(missing.map(|file| format!("{name} cites {file}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 20, "only {seen} paths were found");
}

/// The page without its fenced blocks.
fn prose(page: &str) -> String {
    let text = text_of(page);
    let mut inside = false;
    let kept = text.lines().filter(|line| {
        let is_fence = line.starts_with("```");
        inside ^= is_fence;
        !inside && !is_fence
    });
    kept.collect::<Vec<_>>().join("\n")
}

/// The anchors that GitHub gives a page.
fn anchors(page: &str) -> BTreeSet<String> {
    let text = prose(page);
    let slug = |title: &str| {
        let kept = title
            .chars()
            .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let headings = headings.map(|line| slug(line.trim_start_matches('#').trim()));
    let named = text.split("<a id=\"").skip(1);
    let named = named.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()));
    headings.chain(named).collect()
}

#[test]
fn every_file_and_every_place_that_a_page_cites_exists() {
    let made = text_of(".gitignore");
    let mut wrong = Vec::new();
    for page in PAGES {
        let text = prose(page);
        for code in text.split('`').skip(1).step_by(2) {
            let is_made = |path: &str| made.lines().any(|line| line == format!("/{path}"));
            let missing = paths(code).filter(|path| !exists(path) && !is_made(path));
            wrong.extend(missing.map(|path| format!("{page} cites {path}")));
        }
        let beside = Path::new(page).parent().expect("a file");
        let links = text.split("](").skip(1);
        for link in links.filter_map(|rest| Some(rest.split_once(')')?.0)) {
            if link.starts_with("https://") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => page.to_owned(),
                path => beside.join(path).display().to_string(),
            };
            if !root().join(&target).exists() {
                wrong.push(format!("{page} leads to {link}"));
            } else if !anchor.is_empty() && !anchors(&target).contains(anchor) {
                wrong.push(format!("{page} leads to {link}: there is no such heading"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_test_that_a_page_cites_exists() {
    let sources = sources();
    let mut seen = 0;
    for page in PAGES {
        let text = prose(page);
        let is_name = |word: &&str| {
            word.matches('_').count() > 2
                && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        };
        for name in text.split('`').skip(1).step_by(2).filter(is_name) {
            seen += 1;
            let line = format!("fn {name}(");
            let exists = sources.iter().any(|(_, text)| text.contains(&line));
            let is_metric = name.starts_with("selpay_");
            assert!(exists || is_metric, "{page} cites {name}");
        }
    }
    assert!(seen > 10, "only {seen} tests are cited");
}
