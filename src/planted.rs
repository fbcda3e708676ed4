//! Bugs that are planted on purpose: a simulation that does not find them proves nothing.
//!
//! They exist only under `RUSTFLAGS="--cfg planted"`, in builds that no release can be; everywhere else [`has`] is a
//! constant `false`, and the compiler leaves nothing of them. `tests/simulation/bugs.rs` hunts each of them.

#[cfg(all(planted, not(debug_assertions)))]
compile_error!("a build with planted bugs must never be released");

/// One bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// The merchant answers before the commit, not after it.
    AnswerBeforeCommit,
    /// A payment is known by its order number, not by its transaction.
    KeyedByOrderNumber,
    /// Any amount buys the goods.
    NoAmountCheck,
    /// A second payment of a sale is told to come again, and never booked.
    SecondPaymentRefused,
    /// A payment of a closed sale is answered `success` and forgotten.
    LatePaymentForgotten,
    /// Every claim of a claimed sale is granted.
    ClaimWithoutCompare,
    /// A sale can be claimed however late.
    ClaimDeadlineIgnored,
    /// A close is answered from what was read before its transaction.
    CloseOutsideTransaction,
    /// The database does not flush at each commit.
    SynchronousNormal,
    /// Only the fields that the document names are signed.
    KnownFieldsSigned,
    /// A signature that does not match is good enough.
    SignatureIgnored,
    /// A signed text that can be cut into other fields is believed.
    AmbiguousSigned,
    /// The journal's `Start` is not flushed before the pulse.
    StartNotFlushed,
    /// A damaged record of the journal is skipped.
    DamageSkipped,
    /// The journal is not read when the kiosk starts.
    JournalNotRead,
    /// A pulse whose end is unknown is begun again.
    PulseAgain,
    /// "Paid" in a poll's answer is as good as a claim.
    PollTrusted,
    /// Each attempt to claim has a new name.
    NewClaimAtEachRetry,
    /// An outcome that the merchant did not acknowledge is not reported again.
    ReportedOnce,
}

#[cfg(planted)]
impl Bug {
    /// All of them.
    pub const ALL: [Bug; 19] = [
        Bug::AnswerBeforeCommit,
        Bug::KeyedByOrderNumber,
        Bug::NoAmountCheck,
        Bug::SecondPaymentRefused,
        Bug::LatePaymentForgotten,
        Bug::ClaimWithoutCompare,
        Bug::ClaimDeadlineIgnored,
        Bug::CloseOutsideTransaction,
        Bug::SynchronousNormal,
        Bug::KnownFieldsSigned,
        Bug::SignatureIgnored,
        Bug::AmbiguousSigned,
        Bug::StartNotFlushed,
        Bug::DamageSkipped,
        Bug::JournalNotRead,
        Bug::PulseAgain,
        Bug::PollTrusted,
        Bug::NewClaimAtEachRetry,
        Bug::ReportedOnce,
    ];
}

/// Whether this build, on this thread, has the bug.
#[cfg(not(planted))]
pub const fn has(_bug: Bug) -> bool {
    false
}

#[cfg(planted)]
pub use planted::{has, plant};

#[cfg(planted)]
mod planted {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Whether this thread has the bug.
    pub fn has(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }

    /// This thread has this bug from now on, and no other.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }
}
