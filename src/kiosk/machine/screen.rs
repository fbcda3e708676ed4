//! What the customer is to see, as data. How it looks is `kiosk::ui`'s business; that it is true is ours (G5).

use crate::ids::{OrderNo, SaleCode, ScanUrl};
use crate::kiosk::machine::amount::{Refusal, Typed};
use crate::money::Fen;

/// The language of the screens. The `L` key changes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    /// Chinese.
    #[default]
    Zh,
    /// English.
    En,
}

impl Language {
    /// The other language.
    pub fn other(self) -> Language {
        match self {
            Language::Zh => Language::En,
            Language::En => Language::Zh,
        }
    }
}

/// One screen and everything that is told on it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, on the stack: nothing here allocates"
)]
pub enum Screen {
    /// An amount is being typed.
    Amount {
        /// What has been typed so far.
        typed: Typed,
        /// Why the last key was refused, for as long as the sign shows.
        refused: Option<Refusal>,
    },
    /// Something is being done that the customer waits for.
    OneMoment {
        /// What it is.
        doing: Doing,
        /// The sale it is about, if it is about one.
        total: Option<Fen>,
    },
    /// The QR code to pay with.
    Pay {
        /// What is to be paid.
        total: Fen,
        /// What the QR code says.
        url: ScanUrl,
        /// The order number behind the code.
        order: OrderNo,
        /// The countdown, in whole seconds, rounded up.
        seconds_left: u32,
        /// Where the countdown began.
        seconds: u32,
        /// What to tell besides.
        remark: Option<Remark>,
    },
    /// The payment is claimed, the goods are on their way.
    Paid {
        /// What was paid.
        total: Fen,
    },
    /// The goods are out.
    ThankYou {
        /// What was paid.
        total: Fen,
    },
    /// The sale is closed, and no payment was heard of. One may be on its way.
    NotPaid {
        /// How it ended.
        why: Leaving,
        /// The code to name when asking.
        reference: SaleCode,
    },
    /// Something went wrong, and this is what it means for the customer.
    CouldNot {
        /// What went wrong.
        what: Failure,
        /// What it was about.
        total: Fen,
        /// The code to name when asking; absent where nothing can have been paid.
        reference: Option<SaleCode>,
    },
    /// Nothing can be sold now.
    OutOfService {
        /// Why not.
        why: Outage,
    },
}

impl Screen {
    /// A short name for files and logs: `amount`, `one-moment`, `pay`, ….
    pub fn name(&self) -> &'static str {
        match self {
            Screen::Amount { .. } => "amount",
            Screen::OneMoment { .. } => "one-moment",
            Screen::Pay { .. } => "pay",
            Screen::Paid { .. } => "paid",
            Screen::ThankYou { .. } => "thank-you",
            Screen::NotPaid { .. } => "not-paid",
            Screen::CouldNot { .. } => "could-not",
            Screen::OutOfService { .. } => "out-of-service",
        }
    }
}

/// What the customer waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doing {
    /// The kiosk starts and asks the merchant what is left from before.
    Starting,
    /// The order is on its way to the merchant and the platform.
    Placing,
    /// The order is being closed at the merchant.
    Closing,
    /// The merchant said "paid"; the goods are being claimed.
    Claiming,
}

/// What is told beside a QR code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Remark {
    /// A new order number could not be had; the code shown is still good.
    NoNewCode,
    /// This sale has had as many order numbers as it may have.
    TooManyCodes,
    /// The merchant does not answer at the moment; a payment is noticed when it does.
    Unconnected,
    /// Another amount was paid: that buys nothing.
    OtherAmount,
}

/// How a customer left without paying.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leaving {
    /// The cancel key.
    Cancelled,
    /// The countdown ended.
    TimedOut,
    /// The dispenser failed while the code was shown: the kiosk took its offer back.
    Withdrawn,
}

/// What went wrong with a sale, as far as the customer is concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The merchant or the platform could not be reached; no code was shown, nothing can have been paid. Confirm tries again.
    NoAnswer,
    /// The platform refused the order; no code was shown, nothing can have been paid. Confirm tries again.
    Refused,
    /// A code was shown, and the merchant cannot be asked whether it was paid.
    InDoubt,
    /// Paid, but too late for the goods: the merchant is to give the money back.
    TooLate,
    /// Another amount was paid, which buys nothing: the merchant is to give the money back.
    OtherAmount,
    /// Paid, and the dispenser is sure that nothing came out: the merchant is to give the money back.
    NotDispensed,
    /// Paid, and nobody can tell whether the goods came out: a person looks into it.
    Unknown,
}

/// Why nothing can be sold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outage {
    /// The merchant does not answer.
    NoMerchant,
    /// The merchant does not know this kiosk's token.
    NotAdmitted,
    /// The dispenser is not ready.
    Dispenser,
    /// The journal cannot be written: what is promised could be forgotten.
    Journal,
    /// Too many sales wait for the merchant's acknowledgement.
    TooManyUnsettled,
}
