//! The hunt for planted bugs (`src/planted.rs`): the named stories, then random ones, until one of them breaks a promise.
//!
//! `RUSTFLAGS="--cfg planted" cargo test --test simulation bugs -- --nocapture` prints which promise each bug breaks, and
//! after how many stories; a random one has ten sales. docs/measurements.md has the table.

use std::panic;
use std::sync::{Arc, Mutex};

use rustix::time::ClockId;
use selpay_kiosk::planted::{Bug, plant};

use crate::scenarios;
use crate::story::{Books, Story};
use crate::world::{cpu_seconds, live};

/// A bug that is not found in so many stories is not found.
const STORIES: u64 = 20_000;

/// What the oracle must say of it: a bug that is found by an accident is not found.
fn breaks(bug: Bug) -> &'static str {
    match bug {
        Bug::AnswerBeforeCommit | Bug::SynchronousNormal => "is gone",
        Bug::KeyedByOrderNumber
        | Bug::SecondPaymentRefused
        | Bug::LatePaymentForgotten
        | Bug::KnownFieldsSigned => "M8: ",
        Bug::NoAmountCheck => "M6: ",
        Bug::SignatureIgnored | Bug::AmbiguousSigned => "M7: ",
        Bug::ClaimWithoutCompare | Bug::DamageSkipped | Bug::PulseAgain => "G2: ",
        Bug::ClaimDeadlineIgnored => "G3: ",
        Bug::CloseOutsideTransaction | Bug::PollTrusted => "G5: ",
        Bug::StartNotFlushed => "no power cut may do that",
        Bug::JournalNotRead => "the kiosk knew that it came out",
        Bug::NewClaimAtEachRetry | Bug::ReportedOnce => "an honest kiosk was not heard of",
    }
}

#[test]
fn every_planted_bug_is_found() {
    let last = Arc::new(Mutex::new(String::new()));
    let heard = Arc::clone(&last);
    panic::set_hook(Box::new(move |broken| {
        let text = broken.payload_as_str().unwrap_or("?").to_owned();
        *heard.lock().expect("nobody panics here") = text;
    }));
    let began = cpu_seconds(ClockId::ThreadCPUTime);
    let mut missed = Vec::new();
    println!("\n| bug | stories | what it breaks |\n| --- | --- | --- |");
    for bug in Bug::ALL {
        let books = match bug {
            Bug::AnswerBeforeCommit | Bug::SynchronousNormal => Books::Sqlite,
            _ => Books::Memory,
        };
        let named = scenarios::all()
            .into_iter()
            .map(|(_, story)| Story { books, ..story });
        let random = (0..STORIES).map(|seed| Story::random(seed, 10, books));
        let is_broken_by = |story: &Story| {
            plant(Some(bug));
            let lived = panic::catch_unwind(|| live(&format!("{bug:?}"), story));
            plant(None);
            lived.is_err()
        };
        let Some(found) = named.chain(random).position(|story| is_broken_by(&story)) else {
            missed.push(bug);
            continue;
        };
        let broken = last.lock().expect("nobody panics here").clone();
        let promise = broken.lines().next().unwrap_or_default();
        println!("| {bug:?} | {} | {promise} |", found + 1);
        assert!(promise.contains(breaks(bug)), "{bug:?} breaks {promise}");
    }
    let _ = panic::take_hook();
    let worked = cpu_seconds(ClockId::ThreadCPUTime) - began;
    println!("{worked:.1} s of CPU");
    assert!(missed.is_empty(), "not found: {missed:?}");
}
