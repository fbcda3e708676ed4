//! Stories with a name: each is one customer, and one thing that goes wrong.

use crate::story::{Fate, Message, PLANS, Plan, Story};

use Fate::{AnswerLost, Doubled, Garbled, Lost, Straggles};
use Message::{AddOrder, Claim, Close, Notification, Poll, Register, Report, Unsettled};
use Plan::{Cancels, PaysAfterLeaving, PaysAtOnce, PaysAtTheClose, PaysBoth, PaysTwice};

/// What goes wrong: with which customer, which message, the how-manieth of its kind (0: every one), and how.
const TWISTED: [(&str, Plan, Message, u32, Fate); 41] = [
    ("the registration is lost", PaysAtOnce, Register, 1, Lost),
    (
        "the registration's answer is lost",
        PaysAtOnce,
        Register,
        1,
        AnswerLost,
    ),
    (
        "the registration comes twice",
        PaysAtOnce,
        Register,
        1,
        Doubled(300),
    ),
    (
        "the registration straggles",
        PaysAtOnce,
        Register,
        1,
        Straggles(30_000),
    ),
    ("a second registration is lost", PaysBoth, Register, 2, Lost),
    (
        "a second registration straggles",
        PaysBoth,
        Register,
        2,
        Straggles(60_000),
    ),
    (
        "the platform does not answer",
        PaysAtOnce,
        AddOrder,
        1,
        Lost,
    ),
    (
        "the platform's answer is lost",
        PaysAtOnce,
        AddOrder,
        1,
        AnswerLost,
    ),
    (
        "the platform's answer is garbage",
        PaysAtOnce,
        AddOrder,
        1,
        Garbled,
    ),
    (
        "the platform does not answer twice",
        PaysBoth,
        AddOrder,
        2,
        AnswerLost,
    ),
    ("a poll is lost", PaysAtOnce, Poll, 1, Lost),
    (
        "every poll's answer is garbage",
        PaysAtOnce,
        Poll,
        0,
        Garbled,
    ),
    ("no poll gets through", PaysAtOnce, Poll, 0, Lost),
    ("the claim is lost", PaysAtOnce, Claim, 1, Lost),
    (
        "the claim's answer is lost",
        PaysAtOnce,
        Claim,
        1,
        AnswerLost,
    ),
    (
        "the claim's answer is garbage",
        PaysAtOnce,
        Claim,
        1,
        Garbled,
    ),
    (
        "the claim comes again after the goods",
        PaysAtOnce,
        Claim,
        1,
        Doubled(130_000),
    ),
    (
        "the claim straggles",
        PaysAtOnce,
        Claim,
        1,
        Straggles(10_000),
    ),
    (
        "every claim comes when nobody waits",
        PaysAtOnce,
        Claim,
        0,
        Straggles(90_000),
    ),
    ("no claim gets through", PaysAtOnce, Claim, 0, Lost),
    ("no claim is answered", PaysAtOnce, Claim, 0, AnswerLost),
    ("the report is lost", PaysAtOnce, Report, 1, Lost),
    (
        "the report's answer is lost",
        PaysAtOnce,
        Report,
        1,
        AnswerLost,
    ),
    (
        "the report comes after the silence",
        PaysAtOnce,
        Report,
        0,
        Straggles(660_000),
    ),
    ("no report gets through", PaysAtOnce, Report, 0, Lost),
    (
        "the report comes twice",
        PaysTwice,
        Report,
        1,
        Doubled(20_000),
    ),
    ("the close is lost", Cancels, Close, 1, Lost),
    ("the close's answer is lost", Cancels, Close, 1, AnswerLost),
    ("no close gets through", Cancels, Close, 0, Lost),
    (
        "the close straggles behind the payment",
        PaysAfterLeaving,
        Close,
        1,
        Straggles(60_000),
    ),
    (
        "the close's answer is lost as the payment comes",
        PaysAtTheClose,
        Close,
        1,
        AnswerLost,
    ),
    (
        "every close is doubled as the payment comes",
        PaysAtTheClose,
        Close,
        0,
        Doubled(1),
    ),
    (
        "the notification is lost",
        PaysAtOnce,
        Notification,
        1,
        Lost,
    ),
    (
        "the platform does not hear success",
        PaysAtOnce,
        Notification,
        1,
        AnswerLost,
    ),
    (
        "the notification is cut off",
        PaysAtOnce,
        Notification,
        1,
        Garbled,
    ),
    (
        "the notification comes twice at once",
        PaysAtOnce,
        Notification,
        1,
        Doubled(0),
    ),
    (
        "the notification comes again after the goods",
        PaysAtOnce,
        Notification,
        1,
        Doubled(20_000),
    ),
    (
        "the notification comes after three hours",
        PaysAtOnce,
        Notification,
        1,
        Straggles(10_800_000),
    ),
    (
        "of two payments the first is told last",
        PaysBoth,
        Notification,
        1,
        Straggles(9_000),
    ),
    (
        "the merchant is not there at the start",
        PaysAtOnce,
        Unsettled,
        1,
        Lost,
    ),
    (
        "the merchant's list is garbage",
        PaysAtOnce,
        Unsettled,
        1,
        Garbled,
    ),
];

/// All of them.
pub fn all() -> Vec<(String, Story)> {
    let plain = PLANS.map(|plan| (format!("{plan:?}"), Story::of(plan)));
    let twisted = TWISTED.map(|(name, plan, message, nth, fate)| {
        (name.to_owned(), Story::of(plan).with(message, nth, fate))
    });
    let cut_off = |name: &str, from, to| {
        let story = Story {
            partition: Some((from, to)),
            ..Story::of(PaysAtOnce)
        };
        (name.to_owned(), story)
    };
    let others = [
        cut_off(
            "the merchant cannot be reached when the customer pays",
            8_000,
            100_000,
        ),
        cut_off(
            "the merchant cannot be reached until it is too late",
            8_000,
            400_000,
        ),
        cut_off("the merchant cannot be reached at all at first", 0, 60_000),
        (
            "every claim comes too late, and the merchant has not looked".to_owned(),
            Story {
                sweep_every: 60_000,
                ..Story::of(PaysAtOnce).with(Claim, 0, Straggles(121_000))
            },
        ),
        (
            "the journal is full".to_owned(),
            Story {
                aged: true,
                ..Story::of(PaysBoth)
            },
        ),
        (
            "the merchant's polls do not wait".to_owned(),
            Story {
                poll_waits: 0,
                ..Story::of(PaysAtOnce)
            },
        ),
    ];
    plain.into_iter().chain(twisted).chain(others).collect()
}
