//! What happens to a world, before it happens: who comes, what the network does to which message, when the power goes.

use crate::dice::Dice;

/// What a customer is going to do once the code shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Plan {
    PaysAtOnce,
    PaysLate,
    NeverPays,
    Cancels,
    /// Asks for a new code, then pays the first.
    PaysTheOlder,
    PaysTheNewer,
    PaysBoth,
    /// Two phones on one code.
    PaysTwice,
    /// Cancels, and pays in the same moment.
    PaysAtTheClose,
    /// Leaves, and pays later.
    PaysAfterLeaving,
    /// Pays another amount: the appKey is public.
    PaysTooMuch,
    /// Pays in the last second of the countdown.
    PaysAtTheEnd,
    /// The payment fails at the bank, then it is made again.
    PaysAtTheSecondTry,
    /// Asks for so many new codes that there are no more, and pays the last.
    PaysTheLastOfMany,
}

pub const PLANS: [Plan; 14] = [
    Plan::PaysAtOnce,
    Plan::PaysLate,
    Plan::NeverPays,
    Plan::Cancels,
    Plan::PaysTheOlder,
    Plan::PaysTheNewer,
    Plan::PaysBoth,
    Plan::PaysTwice,
    Plan::PaysAtTheClose,
    Plan::PaysAfterLeaving,
    Plan::PaysTooMuch,
    Plan::PaysAtTheEnd,
    Plan::PaysAtTheSecondTry,
    Plan::PaysTheLastOfMany,
];

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message {
    Unsettled,
    Register,
    AddOrder,
    Poll,
    Claim,
    Report,
    Close,
    Notification,
}

/// What the network does to a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Arrives,
    /// Nobody hears of it.
    Lost,
    /// It is done, but the answer is lost.
    AnswerLost,
    /// It is done, but the answer, or the notification's body, is garbage.
    Garbled,
    /// It arrives, and so many milliseconds later once more.
    Doubled(u64),
    /// It arrives so many milliseconds late: nobody waits for the answer any more.
    Straggles(u64),
}

/// The `nth` message of its kind has this fate; all of them, if that is 0.
#[derive(Clone, Copy, Debug)]
pub struct Twist {
    pub message: Message,
    pub nth: u32,
    pub fate: Fate,
}

/// How bad the world is: so many times in a thousand.
#[derive(Clone, Copy, Default, Debug)]
pub struct Faults {
    /// A message is lost, on its way there or back.
    pub loss: u64,
    /// A message is cut off or overwritten.
    pub garbling: u64,
    /// A request arrives long after nobody waits for it any more.
    pub straggling: u64,
    /// A message arrives twice.
    pub doubling: u64,
    /// Nothing gets through to the merchant for a while; decided at each customer.
    pub partition: u64,
    /// The kiosk's power goes at one of its steps.
    pub cut: u64,
    /// The merchant's power goes in one of its commits.
    pub merchant_cut: u64,
    /// A notification takes up to three hours.
    pub slow_notification: u64,
    /// The platform notifies before it has answered.
    pub early_notification: u64,
    /// Somebody sends a notification that the platform did not sign; decided at each code.
    pub forgery: u64,
    /// Somebody pays a number that we never made; decided at each customer.
    pub stranger: u64,
    /// A second kiosk with our name claims our sale; decided at each payment.
    pub rival: u64,
    /// Somebody stops the kiosk and starts it again; decided at each customer.
    pub restart: u64,
    /// The disk refuses a record; somebody starts the kiosk again after a while.
    pub disk_error: u64,
    /// At a power cut, a record of the journal rots.
    pub rot: u64,
    /// At a power cut, somebody puts an older copy of the disk in.
    pub restored: u64,
}

impl Faults {
    const NETWORK: Faults = Faults {
        loss: 60,
        garbling: 15,
        straggling: 20,
        doubling: 40,
        partition: 60,
        cut: 0,
        merchant_cut: 0,
        slow_notification: 30,
        early_notification: 20,
        forgery: 50,
        stranger: 20,
        rival: 0,
        restart: 0,
        disk_error: 0,
        rot: 0,
        restored: 0,
    };
    const POWER: Faults = Faults {
        loss: 0,
        garbling: 0,
        straggling: 0,
        doubling: 0,
        partition: 0,
        cut: 15,
        merchant_cut: 15,
        slow_notification: 0,
        early_notification: 0,
        forgery: 0,
        stranger: 0,
        rival: 0,
        restart: 50,
        disk_error: 5,
        rot: 0,
        restored: 0,
    };
    pub const BAD_DAY: Faults = Faults {
        cut: 5,
        merchant_cut: 5,
        rival: 20,
        restart: 50,
        disk_error: 2,
        ..Faults::NETWORK
    };
    const BAD_DISK: Faults = Faults {
        cut: 15,
        loss: 60,
        rot: 200,
        restored: 200,
        ..Faults::POWER
    };
}

/// What becomes of the writes that the power cut interrupts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Torn {
    Lost,
    /// So many of their bytes are new, the others old.
    Front(usize),
    /// So many of their bytes are new, the others are noise.
    Noise(usize),
    Kept,
}

pub const TORN: [Torn; 4] = [Torn::Lost, Torn::Front(20), Torn::Noise(40), Torn::Kept];

/// Which books the merchant keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Books {
    /// The ledger alone: a commit is made or not made, and never torn.
    Memory,
    /// SQLite on a disk that loses power.
    Sqlite,
}

#[derive(Clone, Debug)]
pub struct Story {
    pub seed: u64,
    pub books: Books,
    /// One customer after the other.
    pub visits: Vec<Plan>,
    pub twists: Vec<Twist>,
    pub faults: Faults,
    /// The kiosk's steps at which its power goes, and what becomes of what it was writing.
    pub cuts: Vec<u64>,
    /// The merchant's step at which its power goes.
    pub merchant_cut: Option<u64>,
    pub torn: Torn,
    /// Nothing reaches the merchant from here to there, in milliseconds.
    pub partition: Option<(u64, u64)>,
    /// How long a poll waits at the merchant, in milliseconds; a plain server answers at once.
    pub poll_waits: u64,
    /// Between two looks of the merchant's at what is overdue, in milliseconds.
    pub sweep_every: u64,
    /// When the kiosk's power goes, the merchant's goes too.
    pub shares_power: bool,
    /// The kiosk's disk says that it has flushed when it has not.
    pub disk_lies: bool,
    /// The kiosk's journal is almost full.
    pub aged: bool,
    /// Whether what the platform sends goes over the wire, also where nobody touches it: then it is signed, written as XML or
    /// JSON and read again.
    pub wire: bool,
    /// Whether everything is printed as it happens.
    pub tells: bool,
}

impl Story {
    /// One customer on a good day.
    pub fn of(plan: Plan) -> Story {
        Story {
            seed: 1,
            books: Books::Memory,
            visits: vec![plan],
            twists: Vec::new(),
            faults: Faults::default(),
            cuts: Vec::new(),
            merchant_cut: None,
            torn: Torn::Kept,
            partition: None,
            poll_waits: 8_000,
            sweep_every: 5_000,
            shares_power: false,
            disk_lies: false,
            aged: false,
            wire: true,
            tells: false,
        }
    }

    /// So many customers on a day of which only the seed knows how bad it is.
    pub fn random(seed: u64, customers: usize, books: Books) -> Story {
        let mut dice = Dice::new(seed);
        let faults = match seed % 8 {
            0 => Faults::POWER,
            1 | 2 => Faults::NETWORK,
            3 => Faults::BAD_DISK,
            _ => Faults::BAD_DAY,
        };
        let visits = (0..customers).map(|_| dice.pick(&PLANS)).collect();
        Story {
            seed,
            books,
            visits,
            faults,
            torn: dice.pick(&TORN),
            // A plain server makes long stories: few of them are enough.
            poll_waits: if dice.chance(30) { 0 } else { 25_000 },
            sweep_every: dice.pick(&[5_000, 60_000]),
            shares_power: seed % 16 == 0,
            disk_lies: seed % 16 == 3,
            aged: dice.chance(20),
            ..Story::of(Plan::NeverPays)
        }
    }

    pub fn with(mut self, message: Message, nth: u32, fate: Fate) -> Story {
        self.twists.push(Twist { message, nth, fate });
        self
    }
}
