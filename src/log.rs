//! Where log lines go. Every one is one line of bounded length, whatever it quotes from outside; and whoever reads them may
//! stop reading without holding anybody up.
//!
//! Servers write from a thread of their own: what it cannot get rid of is dropped and counted. Their warnings and errors are
//! limited to a few a second from each place in the program; the others become one line that says how many they were. The
//! kiosk, which has one thread only, drops what standard error does not take at once.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use humantime::format_rfc3339_micros;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

/// The longest line, in bytes. A pipe that takes anything at all takes as much as this at once.
const LONGEST: usize = 2048;
/// So much waits to be written, in bytes; more is dropped.
const MOST_WAITING: usize = 1024 * 1024;
/// So many warnings are written of each place in the program ...
const AT_ONCE: u32 = 10;
/// ... in this time.
const WHILE: Duration = Duration::from_secs(1);
/// How long the last lines may take when the program ends.
const LAST_LINES: Duration = Duration::from_secs(1);

/// What a server's lines wait in.
static QUEUE: OnceLock<Arc<Queue>> = OnceLock::new();

/// A destination for a formatter of `tracing`: it writes each line with one call.
#[derive(Clone, Debug)]
pub struct Lines(To);

#[derive(Clone, Debug)]
enum To {
    /// A thread of its own.
    Thread(Arc<Queue>),
    /// Standard error, if it takes the line at once. How many it did not.
    AtOnce(Arc<AtomicU64>),
}

impl Lines {
    /// Standard error, written to by a thread of its own: for servers.
    pub fn on_a_thread() -> io::Result<Lines> {
        let queue = match QUEUE.get() {
            Some(queue) => Arc::clone(queue),
            None => {
                let queue = Queue::start(io::stderr())?;
                Arc::clone(QUEUE.get_or_init(|| queue))
            }
        };
        Ok(Lines(To::Thread(queue)))
    }

    /// Standard error as far as it takes lines at once: for a program with one thread.
    pub fn at_once() -> Lines {
        Lines(To::AtOnce(Arc::default()))
    }

    fn write(&self, place: Option<Identifier>, bytes: &[u8]) {
        let line = match std::str::from_utf8(bytes) {
            Ok(text) => clean(text),
            Err(_) => clean(&String::from_utf8_lossy(bytes)),
        };
        match &self.0 {
            To::Thread(queue) => queue.push(place, line),
            To::AtOnce(lost) => write_at_once(&line, lost),
        }
    }
}

/// Waits until what was logged is written, but not for a reader that has stopped. To be called before a process ends by
/// itself.
pub fn flush() {
    if let Some(queue) = QUEUE.get() {
        queue.flush();
    }
}

/// One line of the log on its way.
#[derive(Debug)]
pub struct Line<'a> {
    lines: &'a Lines,
    /// Where a warning or an error is from.
    place: Option<Identifier>,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lines.write(self.place.clone(), bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line {
            lines: self,
            place: None,
        }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> Line<'a> {
        let may_pour = *event.level() <= Level::WARN;
        Line {
            lines: self,
            place: may_pour.then(|| event.callsite()),
        }
    }
}

/// How a line reads: `2026-11-23T05:05:09.123456Z  INFO selpay_kiosk::merchant: …`, with fields behind the message. What
/// outsiders wrote is escaped once, by [`Lines`].
#[derive(Clone, Copy, Debug)]
pub struct Plain;

impl<S, N> FormatEvent<S, N> for Plain
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(writer, "{}", format_rfc3339_micros(SystemTime::now()))?;
        writer.write_str(match *event.metadata().level() {
            Level::ERROR => " ERROR ",
            Level::WARN => "  WARN ",
            Level::INFO => "  INFO ",
            Level::DEBUG => " DEBUG ",
            Level::TRACE => " TRACE ",
        })?;
        writer.write_str(event.metadata().target())?;
        writer.write_str(":")?;
        let mut fields = Fields {
            writer: &mut writer,
            written: Ok(()),
        };
        event.record(&mut fields);
        fields.written?;
        writer.write_str("\n")
    }
}

/// Writes an event's fields.
struct Fields<'a, 'w> {
    writer: &'a mut Writer<'w>,
    written: fmt::Result,
}

impl Visit for Fields<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self.writer, " {value:?}"),
            name => write!(self.writer, " {name}={value:?}"),
        };
        self.written = self.written.and(written);
    }
}

/// The text as one line of bounded length in which everything can be seen: what outsiders wrote can neither begin a line of
/// its own, nor hide or turn around what is there.
fn clean(text: &str) -> String {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let is_usual = |byte: u8| matches!(byte, b' '..=b'~');
    if text.len() <= LONGEST - 40 && text.bytes().all(is_usual) {
        return format!("{text}\n");
    }
    let mut line = String::with_capacity(text.len().min(LONGEST) + 1);
    for (at, character) in text.char_indices() {
        let before = line.len();
        if is_deceptive(character) {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
        // The cut itself is told, in the room that is left for it.
        if line.len() > LONGEST - 40 {
            line.truncate(before);
            // Writing to a String cannot fail.
            let _ = write!(line, "… and {} bytes more", text.len() - at);
            break;
        }
    }
    line.push('\n');
    line
}

/// Control characters, and those that are invisible or change the direction of what follows.
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// Writes a line if that does not have to wait.
fn write_at_once(line: &str, lost: &AtomicU64) {
    let stderr = io::stderr();
    let mut asked = [PollFd::new(&stderr, PollFlags::OUT)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let takes_some =
        poll(&mut asked, Some(&now)).is_ok() && asked[0].revents().contains(PollFlags::OUT);
    if !takes_some {
        lost.fetch_add(1, Ordering::Relaxed);
        return;
    }
    let mut text = String::new();
    let before = lost.swap(0, Ordering::Relaxed);
    if before > 0 {
        text = told_lost(before);
    }
    text.push_str(line);
    // Nobody can be told that this fails.
    let _ = stderr.lock().write_all(text.as_bytes());
}

fn told_lost(count: u64) -> String {
    format!("{count} lines of the log were dropped here: nobody read them\n")
}

/// Lines that wait for their thread.
#[derive(Debug, Default)]
struct Queue {
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    text: String,
    /// Dropped since the text began.
    lost: u64,
    /// The thread has taken text and not written it yet.
    is_writing: bool,
    pouring: HashMap<Identifier, Pouring>,
}

/// Warnings of one place within [`WHILE`].
#[derive(Debug)]
struct Pouring {
    since: Instant,
    count: u32,
    /// The last one that was not written.
    last: String,
}

impl Queue {
    /// Begins to write what will come.
    fn start(to: impl Write + Send + 'static) -> io::Result<Arc<Queue>> {
        let queue = Arc::new(Queue::default());
        let thread = thread::Builder::new().name("log".to_owned());
        let its = Arc::clone(&queue);
        thread.spawn(move || its.write_to(to))?;
        Ok(queue)
    }

    fn push(&self, place: Option<Identifier>, line: String) {
        let mut waiting = self.lock();
        let has_waited = !waiting.text.is_empty();
        if let Some(place) = place {
            let now = Instant::now();
            let pouring = waiting.pouring.entry(place).or_insert(Pouring {
                since: now,
                count: 0,
                last: String::new(),
            });
            let summary = if now.duration_since(pouring.since) >= WHILE {
                let summary = pouring.summary();
                (pouring.since, pouring.count) = (now, 0);
                summary
            } else {
                None
            };
            pouring.count += 1;
            if pouring.count > AT_ONCE {
                pouring.last = line;
                let is_first = pouring.count == AT_ONCE + 1;
                drop(waiting);
                // The thread is to tell of it in time, if nobody else comes.
                if is_first {
                    self.changed.notify_all();
                }
                return;
            }
            summary.into_iter().for_each(|line| waiting.add(&line));
        }
        waiting.add(&line);
        drop(waiting);
        if !has_waited {
            self.changed.notify_all();
        }
    }

    /// Writes for ever.
    fn write_to(&self, mut to: impl Write) {
        let mut waiting = self.lock();
        loop {
            let next_summary = waiting.add_summaries(Instant::now());
            if waiting.text.is_empty() && waiting.lost == 0 {
                waiting = match next_summary {
                    None => self
                        .changed
                        .wait(waiting)
                        .expect("nobody panics while holding the lock"),
                    Some(time) => {
                        let waited = self.changed.wait_timeout(waiting, time);
                        waited.expect("nobody panics while holding the lock").0
                    }
                };
                continue;
            }
            let mut text = std::mem::take(&mut waiting.text);
            let lost = std::mem::take(&mut waiting.lost);
            waiting.is_writing = true;
            drop(waiting);
            if lost > 0 {
                text.push_str(&told_lost(lost));
            }
            // Nobody can be told that this fails.
            let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
            waiting = self.lock();
            waiting.is_writing = false;
            self.changed.notify_all();
        }
    }

    fn flush(&self) {
        let until = Instant::now() + LAST_LINES;
        let mut waiting = self.lock();
        waiting.add_summaries(Instant::now() + WHILE);
        self.changed.notify_all();
        while !waiting.text.is_empty() || waiting.is_writing {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.changed.wait_timeout(waiting, left);
            waiting = waited.expect("nobody panics while holding the lock").0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state
            .lock()
            .expect("nobody panics while holding the lock")
    }
}

impl Waiting {
    fn add(&mut self, line: &str) {
        if self.text.len() + line.len() > MOST_WAITING {
            self.lost += 1;
        } else {
            self.text.push_str(line);
        }
    }

    /// Tells of what has poured for [`WHILE`]; how long until there is more to tell.
    fn add_summaries(&mut self, now: Instant) -> Option<Duration> {
        let mut due = Vec::new();
        let mut next = None;
        self.pouring.retain(|_, pouring| {
            let left = WHILE.saturating_sub(now.saturating_duration_since(pouring.since));
            if left.is_zero() {
                due.extend(pouring.summary());
            } else if pouring.count > AT_ONCE {
                next = Some(next.map_or(left, |next: Duration| next.min(left)));
            }
            !left.is_zero()
        });
        due.iter().for_each(|line| self.add(line));
        next
    }
}

impl Pouring {
    fn summary(&mut self) -> Option<String> {
        let more = self.count.checked_sub(AT_ONCE).filter(|more| *more > 0)?;
        let last = std::mem::take(&mut self.last);
        Some(format!(
            "{} (the last of {more} more like it within a second)\n",
            last.trim_end_matches('\n')
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn nothing_from_outside_begins_a_line_of_its_own_or_hides_what_is_there() {
        let forged =
            "WARN refused: <a\nERROR ALARM all is lost\r\u{1b}[2K>\u{202e}gnp.exe\u{200b}\n";
        let line = clean(forged);
        assert_eq!(
            line,
            "WARN refused: <a\\nERROR ALARM all is lost\\r\\u{1b}[2K>\\u{202e}gnp.exe\\u{200b}\n"
        );
        assert_eq!(clean("付款 ok \"quoted\"\n"), "付款 ok \"quoted\"\n");
    }

    #[test]
    fn a_line_is_cut_and_says_so() {
        for long in [
            "x".repeat(1_000_000),
            "付".repeat(50_000),
            "\n".repeat(9_000),
        ] {
            let line = clean(&long);
            assert!(line.len() <= LONGEST, "{}", line.len());
            assert!(line.ends_with(" bytes more\n"), "{line}");
            assert_eq!(line.matches('\n').count(), 1);
        }
        let fits = "y".repeat(LONGEST - 60);
        assert_eq!(clean(&fits), format!("{fits}\n"));
    }

    /// What was written, and a writer that waits until it may.
    struct Slow {
        may: mpsc::Receiver<()>,
        written: Arc<Mutex<String>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Without anybody to say so it may always.
            let _ = self.may.recv();
            let text = std::str::from_utf8(bytes).expect("text");
            self.written.lock().expect("alone").push_str(text);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (mpsc::Sender<()>, Arc<Mutex<String>>, Arc<Queue>) {
        let (let_go, may) = mpsc::channel();
        let written = Arc::default();
        let to = Slow {
            may,
            written: Arc::clone(&written),
        };
        (let_go, written, Queue::start(to).expect("a thread"))
    }

    #[test]
    fn a_reader_that_stops_costs_lines_and_no_time() {
        let (let_go, written, queue) = slow();
        let line = format!("{}\n", "x".repeat(1000));
        let began = Instant::now();
        for _ in 0..10_000 {
            queue.push(None, line.clone());
        }
        assert!(began.elapsed() < Duration::from_secs(2));
        assert!(queue.lock().text.len() <= MOST_WAITING);
        queue.flush();
        assert!(
            began.elapsed() < Duration::from_secs(4),
            "it does not wait for ever"
        );
        drop(let_go);
        queue.flush();
        let written = written.lock().expect("alone");
        let lost: usize = written
            .lines()
            .filter_map(|line| line.split_once(" lines of the log were dropped"))
            .map(|(count, _)| count.parse::<usize>().expect("a number"))
            .sum();
        let kept = written.lines().filter(|line| line.starts_with('x')).count();
        assert_eq!(kept + lost, 10_000);
    }

    #[test]
    fn what_pours_becomes_one_line_that_counts_it() {
        struct Callsite;
        impl tracing::callsite::Callsite for Callsite {
            fn set_interest(&self, _: tracing::subscriber::Interest) {}
            fn metadata(&self) -> &Metadata<'_> {
                unreachable!("only its address counts")
            }
        }
        static PLACE: Callsite = Callsite;
        let (let_go, written, queue) = slow();
        drop(let_go);
        for serial in 1..=1000 {
            queue.push(Some(Identifier(&PLACE)), format!("refused {serial}\n"));
        }
        queue.push(None, "paid\n".to_owned());
        queue.flush();
        let written = written.lock().expect("alone");
        let lines: Vec<&str> = written.lines().collect();
        assert_eq!(lines.len(), 12, "{lines:?}");
        assert_eq!(lines[9], "refused 10");
        assert!(lines.contains(&"paid"));
        assert!(
            lines.contains(&"refused 1000 (the last of 990 more like it within a second)"),
            "{lines:?}"
        );
    }
}
