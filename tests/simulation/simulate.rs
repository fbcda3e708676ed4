//! The simulation for hours, or one seed told step by step:
//!
//! ```text
//! cargo run --release --example simulate -- --sales 36000000
//! cargo run --example simulate -- --books sqlite --seed 17 --tell
//! ```

#![allow(dead_code, reason = "the tests use the rest of it")]

mod books;
mod customers;
mod dice;
mod disk;
mod kiosk;
mod oracle;
mod platform;
mod story;
mod world;

use std::panic;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use clap::Parser;
use mimalloc::MiMalloc;

use story::{Books, Story};
use world::{Ending, live};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Random stories of the kiosk's world: customers, network, platform, power. Exit code 1 if a promise was broken.
#[derive(Parser)]
struct Arguments {
    /// How many sales
    #[arg(long, default_value_t = 100_000)]
    sales: u64,
    /// How many sales to a story; each story has its own seed
    #[arg(long, default_value_t = 50)]
    customers: usize,
    /// The first story's seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Only this story
    #[arg(long)]
    seed: Option<u64>,
    /// Which books the merchant keeps
    #[arg(long, value_enum, default_value_t = Books::Memory)]
    books: Books,
    /// On memory, too, let everything that the platform sends go over the wire: signed, written and read again
    #[arg(long)]
    wire: bool,
    /// Print everything as it happens
    #[arg(long)]
    tell: bool,
    /// How many stories at once
    #[arg(long, default_value_t = 1)]
    threads: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    panic::set_hook(Box::new(|broken| eprintln!("BROKEN: {broken}")));
    let stories = match arguments.seed {
        Some(_) => 1,
        None => arguments.sales.div_ceil(arguments.customers as u64),
    };
    let first = arguments.seed.unwrap_or(arguments.from);
    let next = AtomicU64::new(first);
    let began = Instant::now();
    let (sums, broken) = thread::scope(|scope| {
        let live_some = || {
            let (mut sum, mut broken) = (Ending::default(), 0);
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= first + stories {
                    return (sum, broken);
                }
                match tell(seed, &arguments) {
                    Some(ending) => sum += ending,
                    None => broken += 1,
                }
            }
        };
        let threads: Vec<_> = (0..arguments.threads)
            .map(|_| scope.spawn(live_some))
            .collect();
        let ended = threads
            .into_iter()
            .map(|thread| thread.join().expect("it catches"));
        ended.fold((Ending::default(), 0), |(mut sum, broken), (part, more)| {
            sum += part;
            (sum, broken + more)
        })
    });
    let sales = stories * arguments.customers as u64;
    let cpu = world::cpu_seconds(rustix::time::ClockId::ProcessCPUTime);
    println!(
        "{sales} sales in {stories} stories, {broken} of them broken; {sums}; trace {:016x}\n{:.0} s, {cpu:.0} s of CPU: {:.0} sales a CPU-second",
        sums.trace,
        began.elapsed().as_secs_f64(),
        sales as f64 / cpu,
    );
    ExitCode::from(u8::from(broken > 0))
}

/// Lives through one story, if nothing breaks.
fn tell(seed: u64, arguments: &Arguments) -> Option<Ending> {
    let story = Story {
        tells: arguments.tell,
        wire: arguments.wire,
        ..Story::random(seed, arguments.customers, arguments.books)
    };
    let lived = panic::catch_unwind(|| live(&format!("seed {seed}"), &story));
    if arguments.tell {
        if let Ok(ending) = &lived {
            println!("the trace is {:016x}", ending.trace);
        }
    }
    lived.ok()
}
