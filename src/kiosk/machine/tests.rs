//! Sales as stories: what the customer does, what the others answer, and what the relay does about it.

use super::effect::{Effect, Fact};
use super::event::{Standing, Unsettled, UnsettledSale};
use super::screen::{Doing, Failure, Leaving, Remark};
use super::*;
use crate::ids::{ClaimId, OrderNo, SaleCode, ScanUrl};
use crate::sale::{Outcome, SaleStatus};

/// A kiosk on a bench: the machine, a clock in our hand, and everything it has wanted.
struct Bench {
    machine: Machine,
    now: Instant,
    draws: u128,
    /// Effects that nobody has answered yet.
    wanted: Vec<Effect>,
    /// Everything there ever was, in order.
    history: Vec<Effect>,
}

fn fen(amount: u32) -> Fen {
    Fen::new(amount).expect("an amount")
}

fn settings() -> Settings {
    Settings {
        max_total: fen(100_000),
        unit: None,
        pay_time: Duration::from_secs(120),
        language: Language::Zh,
        resumes_claims: true,
    }
}

fn url() -> ScanUrl {
    ScanUrl::new("https://up.selpay.cn/#/pages/rt/index?appKey=k&no=n").expect("an address")
}

impl Bench {
    /// A kiosk that waits for an amount.
    fn ready() -> Bench {
        Bench {
            machine: Machine::ready(settings()),
            now: Instant::default(),
            draws: 0,
            wanted: vec![],
            history: vec![],
        }
    }

    /// A kiosk that starts with this journal.
    fn starts_with(journal: &[Record]) -> Bench {
        let (machine, effects) =
            Machine::resume(settings(), Instant::default(), journal.iter().copied())
                .expect("possible");
        let mut bench = Bench {
            machine,
            now: Instant::default(),
            draws: 0,
            wanted: vec![],
            history: vec![],
        };
        bench.take(effects);
        bench.happens(Event::Dispenser { ready: true })
    }

    /// A kiosk that shows the code of a sale of 3.50.
    fn shows_code() -> Bench {
        let mut bench = Bench::ready()
            .types("3.50#")
            .registered(Ok(()))
            .added(Ok(url()));
        assert_eq!(bench.screen_name(), "pay");
        bench.history.clear();
        bench
    }

    fn take(&mut self, effects: Effects) {
        self.wanted.extend(
            effects
                .iter()
                .filter(|effect| !matches!(effect, Effect::Record(_) | Effect::Ignored(_))),
        );
        self.history.extend(effects);
    }

    fn happens(mut self, event: Event) -> Bench {
        let effects = self.machine.step(self.now, &event, &mut || {
            self.draws += 1;
            self.draws
        });
        self.take(effects);
        self
    }

    fn types(self, keys: &str) -> Bench {
        keys.chars()
            .filter_map(Key::from_char)
            .fold(self, |bench, key| bench.happens(Event::Key(key)))
    }

    /// Time passes, and the machine is woken whenever it wants to be.
    fn waits(mut self, time: Duration) -> Bench {
        let until = self.now + time;
        while let Some(wake_at) = self.machine.wake_at().filter(|wake_at| *wake_at <= until) {
            assert!(
                wake_at >= self.now || self.history.len() < 1000,
                "it must not spin"
            );
            self.now = self.now.max(wake_at);
            self = self.happens(Event::Woke);
        }
        self.now = until;
        self
    }

    fn seconds(self, seconds: u64) -> Bench {
        self.waits(Duration::from_secs(seconds))
    }

    /// Takes the oldest wanted effect that `pick` finds out of the list.
    fn answers<T>(&mut self, pick: impl Fn(&Effect) -> Option<T>) -> T {
        let place = self.wanted.iter().position(|effect| pick(effect).is_some());
        let Some(place) = place else {
            panic!("nobody asked for that; wanted are {:?}", self.wanted)
        };
        pick(&self.wanted.remove(place)).expect("just found")
    }

    /// The registration comes to nothing; where the call may come twice, twice.
    fn not_registered(self, why: NoReply) -> Bench {
        let bench = self.registered(Err(why));
        match why {
            NoReply::NoAnswer => bench.seconds(1).registered(Err(why)),
            _ => bench,
        }
    }

    fn registered(mut self, result: Result<(), NoReply>) -> Bench {
        let order = self.answers(|effect| {
            if let Effect::Register { order, .. } = effect {
                Some(*order)
            } else {
                None
            }
        });
        self.happens(Event::Registered { order, result })
    }

    fn added(mut self, result: Result<ScanUrl, NotAdded>) -> Bench {
        let order = self.answers(|effect| {
            if let Effect::AddOrder { order, .. } = effect {
                Some(*order)
            } else {
                None
            }
        });
        self.happens(Event::Added { order, result })
    }

    fn polled(self, result: Result<SaleStatus, NoReply>) -> Bench {
        self.stands(result.map(Standing::from))
    }

    fn stands(mut self, result: Result<Standing, NoReply>) -> Bench {
        if !self
            .wanted
            .iter()
            .any(|effect| matches!(effect, Effect::Poll { .. }))
        {
            self = self.waits(POLL_EVERY);
        }
        let sale = self.answers(|effect| {
            if let Effect::Poll { sale, .. } = effect {
                Some(*sale)
            } else {
                None
            }
        });
        self.happens(Event::Polled { sale, result })
    }

    fn claimed(mut self, result: Result<(), NoReply>) -> Bench {
        let sale = self.answers(|effect| {
            if let Effect::Claim { sale, .. } = effect {
                Some(*sale)
            } else {
                None
            }
        });
        self.happens(Event::Claimed { sale, result })
    }

    fn closed(mut self, result: Result<(), NoReply>) -> Bench {
        let sale = self.answers(|effect| {
            if let Effect::Close { sale } = effect {
                Some(*sale)
            } else {
                None
            }
        });
        self.happens(Event::Closed { sale, result })
    }

    fn vended(mut self, outcome: Outcome) -> Bench {
        let sale = self.answers(|effect| {
            if let Effect::Pulse { sale, .. } = effect {
                Some(*sale)
            } else {
                None
            }
        });
        self.happens(Event::Vended { sale, outcome })
    }

    fn reported(mut self, result: Result<(), NoReply>) -> Bench {
        let sale = self.answers(|effect| {
            if let Effect::Report { sale, .. } = effect {
                Some(*sale)
            } else {
                None
            }
        });
        self.happens(Event::Reported { sale, result })
    }

    fn unsettled(mut self, result: Result<Unsettled, NoReply>) -> Bench {
        self.answers(|effect| matches!(effect, Effect::AskUnsettled).then_some(()));
        self.happens(Event::Unsettled(result))
    }

    fn screen(&self) -> Screen {
        self.machine.screen(self.now)
    }

    fn screen_name(&self) -> &'static str {
        self.screen().name()
    }

    fn pulses(&self) -> usize {
        self.history
            .iter()
            .filter(|effect| matches!(effect, Effect::Pulse { .. }))
            .count()
    }

    fn wants(&self, what: impl Fn(&Effect) -> bool) -> bool {
        self.wanted.iter().any(what)
    }

    fn facts(&self) -> Vec<&'static str> {
        let name = |effect: &Effect| match effect {
            Effect::Record(record) => Some(match record.fact {
                Fact::Sale(_) => "sale",
                Fact::Order(_) => "order",
                Fact::Claim(_) => "claim",
                Fact::Start => "start",
                Fact::Done(_) => "done",
                Fact::Closing => "closing",
                Fact::Settled => "settled",
            }),
            Effect::Register { .. } => Some("REGISTER"),
            Effect::AddOrder { .. } => Some("ADD"),
            Effect::Claim { .. } => Some("CLAIM"),
            Effect::Pulse { .. } => Some("PULSE"),
            Effect::Report { .. } => Some("REPORT"),
            Effect::Close { .. } => Some("CLOSE"),
            _ => None,
        };
        self.history.iter().filter_map(name).collect()
    }

    fn told(&self) -> Failure {
        match self.screen() {
            Screen::CouldNot { what, .. } => what,
            other => panic!("the screen is {other:?}"),
        }
    }

    fn not_paid(&self) -> Leaving {
        match self.screen() {
            Screen::NotPaid { why, .. } => why,
            other => panic!("the screen is {other:?}"),
        }
    }

    fn reference(&self) -> Option<SaleCode> {
        match self.screen() {
            Screen::CouldNot { reference, .. } => reference,
            other => panic!("the screen is {other:?}"),
        }
    }
}

const GONE: Result<(), NoReply> = Err(NoReply::NoAnswer);

fn refused<T>(status: SaleStatus) -> Result<T, NoReply> {
    Err(NoReply::Refused(Some(status)))
}

#[test]
fn a_whole_sale_writes_down_each_promise_before_it_acts() {
    let bench = Bench::ready()
        .types("3.50#")
        .registered(Ok(()))
        .added(Ok(url()))
        .polled(Ok(SaleStatus::Open))
        .polled(Ok(SaleStatus::Paid))
        .claimed(Ok(()));
    assert_eq!(
        bench.screen(),
        Screen::Paid { total: fen(350) },
        "paid is only said once it is claimed"
    );
    let bench = bench.vended(Outcome::Dispensed);
    assert_eq!(bench.screen(), Screen::ThankYou { total: fen(350) });
    let bench = bench.reported(Ok(())).seconds(10);
    assert_eq!(bench.screen_name(), "amount");
    assert!(bench.machine.is_idle());
    let story = [
        "sale", "order", "REGISTER", "ADD", "claim", "CLAIM", "start", "PULSE", "done", "REPORT",
        "settled",
    ];
    assert_eq!(bench.facts(), story);
}

#[test]
fn every_key_has_a_cap_of_its_own() {
    let caps = "0123456789.#CBRL";
    let keys = caps.chars().filter_map(Key::from_char);
    assert_eq!(keys.map(Key::cap).collect::<String>(), caps);
    assert_eq!(Key::from_char('x'), None);
}

#[test]
fn every_refused_key_shows_a_sign_for_a_while() {
    let bench = Bench::ready().types("3.505");
    let Screen::Amount { typed, refused } = bench.screen() else {
        panic!("an amount")
    };
    assert_eq!(
        (typed.as_str(), refused),
        ("3.50", Some(amount::Refusal::ThirdDecimal))
    );
    let bench = bench.seconds(2);
    assert!(matches!(
        bench.screen(),
        Screen::Amount { refused: None, .. }
    ));
    let bench = bench.types("C#");
    assert!(matches!(
        bench.screen(),
        Screen::Amount {
            refused: Some(amount::Refusal::Zero),
            ..
        }
    ));
    assert!(bench.wanted.is_empty(), "nothing was ordered");
    let bench = bench.types("99999");
    assert!(
        matches!(bench.screen(), Screen::Amount { refused: Some(amount::Refusal::TooMuch(max)), .. } if max == fen(100_000))
    );
}

#[test]
fn an_amount_that_cannot_be_counted_out_is_refused_before_anything_is_paid() {
    let mut bench = Bench::ready();
    bench.machine.settings.unit = Some(fen(100));
    let bench = bench.types("3.50#");
    let sign = amount::Refusal::NotMultiple(fen(100));
    assert!(
        matches!(bench.screen(), Screen::Amount { refused: Some(refused), .. } if refused == sign)
    );
    assert!(bench.wanted.is_empty(), "nothing was ordered");
    let bench = bench.types("C3#");
    assert!(bench.wants(|effect| matches!(effect, Effect::Register { .. })));
}

#[test]
fn an_amount_that_nobody_confirms_goes_away() {
    let bench = Bench::ready().types("3.5").seconds(61);
    assert!(matches!(bench.screen(), Screen::Amount { typed, .. } if typed.is_empty()));
    assert_eq!(bench.machine.wake_at(), None, "an idle kiosk sleeps");
}

#[test]
fn half_an_amount_that_was_typed_while_the_kiosk_started_is_none() {
    let bench = Bench::starts_with(&[]).types("3.");
    let bench = bench.unsettled(Ok(Unsettled::new())).types("50#");
    assert!(matches!(bench.screen(), Screen::Amount { typed, .. } if typed.is_empty()));
    let bench = bench.seconds(1).types("3.5");
    assert!(matches!(bench.screen(), Screen::Amount { typed, .. } if typed.as_str() == "3.5"));
}

#[test]
fn the_language_changes_at_any_time_and_nothing_else_does() {
    let bench = Bench::shows_code().types("L");
    assert_eq!(bench.machine.language(), Language::En);
    assert_eq!(bench.screen_name(), "pay");
    assert_eq!(bench.types("L").machine.language(), Language::Zh);
}

#[test]
fn the_next_customer_finds_the_kiosks_own_language() {
    let left = || Bench::shows_code().types("LC").closed(Ok(()));
    assert_eq!(left().seconds(59).machine.language(), Language::En);
    for next in [left().seconds(60), left().types("#"), left().types("7")] {
        assert_eq!(next.screen_name(), "amount");
        assert_eq!(next.machine.language(), Language::Zh);
    }
    // Whoever tries again is the same.
    let again = Bench::ready()
        .types("L1#")
        .not_registered(NoReply::NoAnswer);
    assert_eq!(again.types("#").machine.language(), Language::En);

    let chosen = Bench::ready().types("L").seconds(20).types("3");
    let chosen = chosen.seconds(29);
    assert_eq!(chosen.machine.language(), Language::En);
    let quiet = chosen.seconds(1);
    assert_eq!(quiet.machine.language(), Language::Zh);
    assert_eq!(
        quiet.seconds(60).machine.wake_at(),
        None,
        "an idle kiosk sleeps"
    );
}

#[test]
fn no_code_shows_before_the_merchant_holds_the_order() {
    let bench = Bench::ready().types("1#");
    assert!(!bench.wants(|effect| matches!(effect, Effect::AddOrder { .. })));
    assert_eq!(
        bench.screen(),
        Screen::OneMoment {
            doing: Doing::Placing,
            total: Some(fen(100))
        }
    );
    let bench = bench.not_registered(NoReply::NoAnswer);
    assert!(!bench.wants(|effect| matches!(effect, Effect::AddOrder { .. })));
    assert_eq!(
        (bench.told(), bench.reference()),
        (Failure::NoAnswer, None),
        "nothing can have been paid"
    );
    assert!(
        bench.wants(|effect| matches!(effect, Effect::Close { .. })),
        "it may be registered all the same"
    );
}

#[test]
fn one_bad_answer_to_a_registration_costs_no_sale() {
    let busy = |seconds| Err(NoReply::Later(Duration::from_secs(seconds)));
    for (answer, seconds) in [(GONE, 1), (busy(1), 1), (busy(4), 4)] {
        let bench = Bench::ready().types("1#").registered(answer);
        assert_eq!(bench.screen_name(), "one-moment");
        let bench = bench.seconds(seconds).registered(Ok(())).added(Ok(url()));
        assert_eq!(bench.screen_name(), "pay");
        let registered: Vec<OrderNo> = bench
            .history
            .iter()
            .filter_map(|effect| match effect {
                Effect::Register { order, .. } => Some(*order),
                _ => None,
            })
            .collect();
        assert_eq!(registered.len(), 2);
        assert_eq!(registered[0], registered[1], "it is the same call");
    }
    // Nobody waits for longer than that, and a refusal is one.
    for answer in [busy(6), Err(NoReply::Refused(None))] {
        let bench = Bench::ready().types("1#").registered(answer);
        assert_eq!(bench.screen_name(), "could-not");
    }
}

#[test]
fn no_code_shows_while_the_dispenser_is_not_ready() {
    let bench = Bench::ready().happens(Event::Dispenser { ready: false });
    assert_eq!(
        bench.screen(),
        Screen::OutOfService {
            why: Outage::Dispenser
        }
    );
    let bench = bench.types("1#");
    assert!(bench.wanted.is_empty());
    let bench = bench
        .happens(Event::Dispenser { ready: true })
        .types("1#")
        .registered(Ok(()));
    let bench = bench
        .happens(Event::Dispenser { ready: false })
        .added(Ok(url()));
    assert_eq!(bench.screen_name(), "could-not");
    assert!(bench.wants(|effect| matches!(effect, Effect::Close { .. })));
}

#[test]
fn a_code_that_shows_when_the_dispenser_fails_is_taken_back() {
    let bench = Bench::shows_code().happens(Event::Dispenser { ready: false });
    assert_eq!(bench.facts(), ["closing", "CLOSE"]);
    let bench = bench.closed(Ok(()));
    assert_eq!(bench.not_paid(), Leaving::Withdrawn);
    assert_eq!(
        bench.seconds(60).screen(),
        Screen::OutOfService {
            why: Outage::Dispenser
        }
    );

    let failed = Event::Dispenser { ready: false };
    let bench = Bench::shows_code()
        .types("R")
        .registered(Ok(()))
        .happens(failed)
        .added(Ok(url()));
    assert!(
        bench.wants(|effect| matches!(effect, Effect::Close { .. })),
        "an earlier code is no better"
    );
}

#[test]
fn what_could_not_be_placed_is_tried_again_with_one_key() {
    for (failure, told) in [
        (NotAdded::NoAnswer, Failure::NoAnswer),
        (NotAdded::Refused, Failure::Refused),
    ] {
        let bench = Bench::ready()
            .types("3.50#")
            .registered(Ok(()))
            .added(Err(failure));
        assert_eq!((bench.told(), bench.reference()), (told, None));
        let bench = bench.closed(Ok(())).types("#");
        let totals: Vec<Fen> = bench
            .history
            .iter()
            .filter_map(|effect| {
                if let Effect::Register { total, .. } = effect {
                    Some(*total)
                } else {
                    None
                }
            })
            .collect();
        assert_eq!(totals, [fen(350), fen(350)]);
        let bench = bench.registered(Ok(())).added(Ok(url()));
        assert_eq!(bench.screen_name(), "pay");
    }
}

#[test]
fn whoever_cancels_while_the_order_is_on_its_way_leaves_at_once() {
    let left = |bench: Bench| {
        let bench = bench.types("C");
        assert_eq!(bench.screen_name(), "amount");
        assert_eq!(bench.facts().last(), Some(&"CLOSE"));
        bench
    };
    let bench = left(Bench::ready().types("1#")).registered(Ok(()));
    assert!(!bench.wants(|effect| matches!(effect, Effect::AddOrder { .. })));
    assert_eq!(bench.closed(Ok(())).facts().last(), Some(&"settled"));

    let bench = left(Bench::ready().types("1#").registered(Ok(())));
    assert_eq!(bench.added(Ok(url())).screen_name(), "amount", "no code");
}

#[test]
fn whoever_cancels_while_a_second_code_is_on_its_way_may_have_paid_the_first() {
    let bench = Bench::shows_code().types("RC");
    assert_eq!(bench.facts().last(), Some(&"CLOSE"));
    let bench = bench.registered(Ok(())).closed(refused(SaleStatus::Paid));
    assert_eq!(bench.claimed(Ok(())).pulses(), 1);
}

#[test]
fn a_payment_that_buys_nothing_is_told_while_its_customer_can_still_stand_there() {
    let useless = |status, amount| Standing {
        status,
        useless: Some(fen(amount)),
    };
    // Another amount, while the code shows: it may still be paid as it should.
    let bench = Bench::shows_code().stands(Ok(useless(SaleStatus::Open, 349)));
    assert!(matches!(
        bench.screen(),
        Screen::Pay {
            remark: Some(Remark::OtherAmount),
            ..
        }
    ));
    let bench = bench.polled(Ok(SaleStatus::Paid)).claimed(Ok(()));
    assert_eq!(bench.pulses(), 1);

    for (amount, told) in [(350, Failure::TooLate), (349, Failure::OtherAmount)] {
        let left = || Bench::shows_code().types("C").closed(Ok(()));
        let bench = left().polled(Ok(SaleStatus::Closed)).seconds(20);
        assert_eq!(bench.not_paid(), Leaving::Cancelled);
        let bench = bench.stands(Ok(useless(SaleStatus::Closed, amount)));
        assert_eq!(bench.told(), told);
        assert!(bench.reference().is_some());
        let asked = |bench: &Bench| bench.wants(|effect| matches!(effect, Effect::Poll { .. }));
        assert!(!asked(&bench.seconds(50)), "it is told once");
        // After that nobody stands there, and whoever comes next is not told of it.
        let mut later = left().seconds(31);
        later.wanted.clear();
        assert!(!asked(&later.seconds(20)));
        let mut next = left().types("7");
        next.wanted.clear();
        assert!(!asked(&next.seconds(5)));
    }
}

#[test]
fn the_next_customer_just_types() {
    let bench = Bench::shows_code().types("C").closed(Ok(()));
    assert_eq!(bench.not_paid(), Leaving::Cancelled);
    let bench = bench.types("7");
    assert!(matches!(bench.screen(), Screen::Amount { typed, .. } if typed.as_str() == "7"));
}

#[test]
fn regenerating_keeps_the_sale_and_every_number_of_it() {
    let bench = Bench::shows_code().types("R");
    assert_eq!(bench.facts(), ["order", "REGISTER"]);
    let bench = bench.registered(Ok(())).added(Ok(url()));
    assert_eq!(bench.screen_name(), "pay");
    let bench = bench
        .polled(Ok(SaleStatus::Paid))
        .claimed(Ok(()))
        .vended(Outcome::Dispensed);
    assert_eq!(bench.pulses(), 1);
}

#[test]
fn a_code_that_cannot_be_regenerated_stays() {
    for why in [NoReply::NoAnswer, NoReply::Refused(Some(SaleStatus::Paid))] {
        // The question under way is given up for the new code.
        let asked = Bench::shows_code().waits(Duration::ZERO);
        let mut bench = asked.types("R").not_registered(why);
        bench.wanted.clear();
        assert!(matches!(
            bench.screen(),
            Screen::Pay {
                remark: Some(Remark::NoNewCode),
                ..
            }
        ));
        let bench = bench.waits(Duration::ZERO);
        assert!(
            bench.wants(|effect| matches!(effect, Effect::Poll { .. })),
            "what it is now is asked at once"
        );
        let bench = bench.polled(Ok(SaleStatus::Paid)).claimed(Ok(()));
        assert_eq!(bench.pulses(), 1);
    }
}

#[test]
fn a_sale_has_a_bounded_number_of_codes() {
    let mut bench = Bench::shows_code();
    for _ in 1..8 {
        bench = bench.types("R").registered(Ok(())).added(Ok(url()));
    }
    let bench = bench.types("R");
    assert!(matches!(
        bench.screen(),
        Screen::Pay {
            remark: Some(Remark::TooManyCodes),
            ..
        }
    ));
    let bench = bench.seconds(4);
    assert!(
        matches!(
            bench.screen(),
            Screen::Pay {
                remark: Some(_),
                ..
            }
        ),
        "long enough to be read"
    );
    let bench = bench.seconds(2);
    assert!(matches!(bench.screen(), Screen::Pay { remark: None, .. }));
}

#[test]
fn the_countdown_ends_and_closes() {
    let bench = Bench::shows_code();
    assert!(matches!(
        bench.screen(),
        Screen::Pay {
            seconds_left: 120,
            seconds: 120,
            ..
        }
    ));
    let bench = bench.seconds(119);
    assert!(matches!(
        bench.screen(),
        Screen::Pay {
            seconds_left: 1,
            ..
        }
    ));
    let bench = bench.seconds(1);
    assert_eq!(bench.facts(), ["closing", "CLOSE"]);
    let bench = bench.closed(Ok(()));
    assert_eq!(bench.not_paid(), Leaving::TimedOut);
    assert_eq!(bench.pulses(), 0);
}

#[test]
fn a_payment_just_before_the_close_still_gets_its_goods() {
    let bench = Bench::shows_code()
        .types("C")
        .closed(refused(SaleStatus::Paid))
        .claimed(Ok(()))
        .vended(Outcome::Dispensed);
    assert_eq!(bench.pulses(), 1);
    assert_eq!(bench.screen_name(), "thank-you");
}

/// So many milliseconds pass before the answer comes.
fn after(millis: u64, bench: Bench) -> Bench {
    let mut bench = bench;
    bench.now = bench.now + Duration::from_millis(millis);
    bench
}

#[test]
fn goods_come_out_only_as_long_as_the_customer_can_still_be_there() {
    let leaving = || Bench::shows_code().types("C");
    let wants_claim = |bench: Bench| bench.wants(|effect| matches!(effect, Effect::Claim { .. }));
    let paid = || refused(SaleStatus::Paid);
    assert!(wants_claim(after(29_999, leaving()).closed(paid())));
    let too_late = after(30_000, leaving()).closed(paid());
    assert_eq!(too_late.told(), Failure::TooLate);

    let claiming = || Bench::shows_code().polled(Ok(SaleStatus::Paid));
    assert_eq!(after(59_999, claiming()).claimed(Ok(())).pulses(), 1);
    let too_late = after(60_000, claiming()).claimed(Ok(()));
    assert_eq!(
        (too_late.pulses(), too_late.told()),
        (0, Failure::NotDispensed)
    );
}

#[test]
fn a_close_without_an_answer_is_waited_for_but_not_for_ever() {
    let waits = |millis| after(millis, Bench::shows_code().types("C")).closed(GONE);
    assert_eq!(waits(7_999).screen_name(), "one-moment");
    assert_eq!(waits(8_000).told(), Failure::InDoubt);
}

#[test]
fn whoever_paid_and_left_gets_the_money_back_not_the_next_customer_the_goods() {
    let mut bench = Bench::shows_code().types("C");
    for _ in 0..4 {
        bench = bench.closed(GONE).seconds(5);
    }
    assert_eq!(bench.told(), Failure::InDoubt);
    let bench = bench.closed(refused(SaleStatus::Paid));
    assert_eq!(
        bench.facts().last(),
        Some(&"settled"),
        "the merchant expires it"
    );
    assert!(!bench.wants(|effect| matches!(effect, Effect::Claim { .. })));
    assert_eq!(bench.pulses(), 0);
}

#[test]
fn a_merchant_that_falls_silent_is_told_and_asked_less_and_less() {
    let bench = Bench::shows_code().polled(Err(NoReply::NoAnswer));
    assert!(matches!(
        bench.screen(),
        Screen::Pay {
            remark: Some(Remark::Unconnected),
            ..
        }
    ));
    let before = bench.now;
    let bench = bench
        .seconds(1)
        .polled(Err(NoReply::NoAnswer))
        .seconds(10)
        .polled(Ok(SaleStatus::Open));
    assert!(bench.now > before);
    assert!(matches!(bench.screen(), Screen::Pay { remark: None, .. }));
}

#[test]
fn a_merchant_that_wants_to_be_left_alone_is_asked_again_when_it_says_and_has_refused_nothing() {
    let later = Err(NoReply::Later(Duration::from_secs(5)));
    let asks = |bench: &Bench| bench.wants(|effect| matches!(effect, Effect::Poll { .. }));
    let claims = |bench: &Bench| bench.wants(|effect| matches!(effect, Effect::Claim { .. }));
    let bench = Bench::shows_code()
        .polled(Err(NoReply::Later(Duration::from_secs(5))))
        .waits(Duration::from_millis(4900));
    assert_eq!(bench.screen_name(), "pay");
    assert!(!asks(&bench));
    let bench = bench.waits(Duration::from_millis(100));
    assert!(asks(&bench));
    let bench = bench.polled(Ok(SaleStatus::Paid)).claimed(later);
    let bench = bench.waits(Duration::from_millis(4900));
    assert!(!claims(&bench));
    let bench = bench.waits(Duration::from_millis(100)).claimed(Ok(()));
    assert_eq!(bench.pulses(), 1);
    let bench = bench.vended(Outcome::Dispensed).reported(later).seconds(6);
    let reports = |effect: &Effect| matches!(effect, Effect::Report { .. });
    assert!(bench.wants(reports), "it is owed until the merchant has it");
}

#[test]
fn a_merchant_that_waits_for_news_is_asked_again_at_once_and_another_is_not() {
    let asks = |bench: &Bench| bench.wants(|effect| matches!(effect, Effect::Poll { .. }));
    let answered_after = |time| {
        let mut bench = Bench::shows_code().waits(Duration::ZERO);
        bench.now = bench.now + time;
        bench.polled(Ok(SaleStatus::Open)).waits(Duration::ZERO)
    };
    let plain = answered_after(Duration::from_millis(20));
    assert!(!asks(&plain), "it is left alone for a moment");
    assert!(asks(&plain.waits(POLL_EVERY)));
    assert!(asks(&answered_after(Duration::from_secs(25))));
}

#[test]
fn a_claim_that_gets_no_answer_is_made_again_with_the_same_id() {
    let bench = Bench::shows_code()
        .polled(Ok(SaleStatus::Paid))
        .claimed(GONE)
        .seconds(1)
        .claimed(GONE)
        .seconds(2)
        .claimed(Ok(()));
    let claims: Vec<ClaimId> = bench
        .history
        .iter()
        .filter_map(|effect| {
            if let Effect::Claim { claim, .. } = effect {
                Some(*claim)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(claims, [claims[0]; 3]);
    assert_eq!(bench.pulses(), 1);
}

#[test]
fn a_claim_that_stays_without_an_answer_ends_without_goods_and_with_a_reference() {
    let mut bench = Bench::shows_code().polled(Ok(SaleStatus::Paid));
    for _ in 0..30 {
        if bench.screen_name() != "one-moment" {
            break;
        }
        bench = bench.claimed(GONE).seconds(10);
    }
    assert_eq!(bench.told(), Failure::NotDispensed);
    assert!(bench.reference().is_some());
    assert_eq!(bench.pulses(), 0);
    assert!(bench.wants(|effect| matches!(
        effect,
        Effect::Report {
            outcome: Outcome::NotDispensed,
            ..
        }
    )));
}

#[test]
fn a_refused_claim_moves_nothing() {
    let bench = Bench::shows_code()
        .polled(Ok(SaleStatus::Paid))
        .claimed(refused(SaleStatus::Expired));
    assert_eq!((bench.told(), bench.pulses()), (Failure::TooLate, 0));
    assert!(bench.reference().is_some());
    let bench = bench.types("5");
    assert_eq!(
        bench.screen_name(),
        "could-not",
        "a stray key does not take the reference away"
    );
    assert_eq!(bench.types("C").screen_name(), "amount");
}

#[test]
fn a_claim_granted_while_the_dispenser_fails_is_reported_as_not_dispensed() {
    let bench = Bench::shows_code()
        .polled(Ok(SaleStatus::Paid))
        .happens(Event::Dispenser { ready: false })
        .claimed(Ok(()));
    assert_eq!((bench.told(), bench.pulses()), (Failure::NotDispensed, 0));
    assert!(bench.wants(|effect| matches!(
        effect,
        Effect::Report {
            outcome: Outcome::NotDispensed,
            ..
        }
    )));
}

#[test]
fn an_unknown_outcome_is_told_with_a_reference_and_never_pulsed_again() {
    let bench = Bench::shows_code()
        .polled(Ok(SaleStatus::Paid))
        .claimed(Ok(()))
        .vended(Outcome::Unknown);
    assert_eq!(bench.told(), Failure::Unknown);
    let bench = bench.reported(GONE).seconds(120).reported(Ok(()));
    assert_eq!(bench.pulses(), 1);
}

#[test]
fn an_outcome_is_reported_until_it_is_acknowledged_while_sales_go_on() {
    let mut bench = Bench::shows_code()
        .polled(Ok(SaleStatus::Paid))
        .claimed(Ok(()))
        .vended(Outcome::Dispensed);
    for _ in 0..3 {
        bench = bench.reported(GONE).seconds(20);
    }
    assert_eq!(bench.screen_name(), "amount");
    assert!(!bench.machine.is_idle());
    let bench = bench.reported(refused(SaleStatus::Dispensed));
    assert!(
        bench.machine.is_idle(),
        "a refusal ends the debt: the merchant knows better"
    );
}

#[test]
fn a_kiosk_that_owes_too_much_sells_nothing() {
    let mut bench = Bench::ready();
    for _ in 0..8 {
        bench = bench.types("1#").not_registered(NoReply::NoAnswer);
        bench.wanted.clear();
        bench = bench.types("C");
    }
    assert_eq!(
        bench.screen(),
        Screen::OutOfService {
            why: Outage::TooManyUnsettled
        }
    );
    let bench = bench.types("1#");
    assert!(bench.wanted.is_empty());
}

#[test]
fn a_journal_that_cannot_be_written_ends_all_selling() {
    let journal = Screen::OutOfService {
        why: Outage::Journal,
    };
    let bench = Bench::ready().types("1#").happens(Event::JournalFailed);
    assert_eq!(bench.screen(), journal, "no code was shown yet");

    let bench = Bench::shows_code().happens(Event::JournalFailed);
    let Screen::CouldNot {
        what: Failure::InDoubt,
        reference: Some(_),
        ..
    } = bench.screen()
    else {
        panic!(
            "who has paid already must know what to ask by: {:?}",
            bench.screen()
        )
    };
    let bench = bench.types("1#").seconds(1000);
    assert_eq!(bench.screen(), journal);
    assert!(bench.types("1#").wanted.is_empty());
}

#[test]
fn what_the_customer_was_told_stays_when_the_journal_fails_behind_it() {
    let claiming = || Bench::shows_code().polled(Ok(SaleStatus::Paid));
    let vending = || claiming().claimed(Ok(()));
    let doubtful = Bench::shows_code().types("C").seconds(9);
    for (bench, told) in [
        (
            claiming().claimed(refused(SaleStatus::Expired)),
            Failure::TooLate,
        ),
        (vending().vended(Outcome::Unknown), Failure::Unknown),
        (
            vending().vended(Outcome::NotDispensed),
            Failure::NotDispensed,
        ),
        (doubtful.closed(GONE), Failure::InDoubt),
    ] {
        let bench = bench.happens(Event::JournalFailed);
        assert_eq!(bench.told(), told);
        assert!(bench.reference().is_some(), "{told:?}");
        let out_of_service = Screen::OutOfService {
            why: Outage::Journal,
        };
        assert_eq!(bench.seconds(61).screen(), out_of_service);
    }
}

#[test]
fn a_close_that_is_owed_for_one_sale_does_not_take_the_answer_of_the_next() {
    let mut bench = Bench::shows_code().types("C");
    for _ in 0..4 {
        bench = bench.closed(GONE).seconds(5);
    }
    assert_eq!(bench.told(), Failure::InDoubt);
    bench.wanted.clear();
    let bench = bench.types("C2#").registered(Ok(())).added(Ok(url()));
    let bench = bench.types("C").closed(Ok(()));
    assert_eq!(bench.screen_name(), "not-paid");
}

#[test]
fn confirming_after_the_end_of_a_sale_sells_nothing_twice() {
    let vended = Bench::shows_code()
        .polled(Ok(SaleStatus::Paid))
        .claimed(Ok(()))
        .vended(Outcome::Dispensed)
        .types("#");
    assert_eq!(vended.screen_name(), "amount");
    let failed = || Bench::ready().types("1#").not_registered(NoReply::NoAnswer);
    assert!(
        failed()
            .types("#")
            .wants(|effect| matches!(effect, Effect::Register { .. }))
    );
    let broken = failed().happens(Event::Dispenser { ready: false });
    let broken = broken.types("#");
    assert!(!broken.wants(|effect| matches!(effect, Effect::Register { .. })));
}

#[test]
fn the_reference_is_the_code_of_the_sale_whatever_its_numbers() {
    // No new code could be had: the customer pays the old one, and then it is too late.
    let bench = Bench::shows_code().types("R");
    let bench = bench.not_registered(NoReply::NoAnswer);
    assert_eq!(bench.screen_name(), "pay");
    let bench = bench
        .polled(Ok(SaleStatus::Paid))
        .claimed(refused(SaleStatus::Expired));
    let claimed = bench.history.iter().find_map(|effect| match effect {
        Effect::Claim { sale, .. } => Some(*sale),
        _ => None,
    });
    let claimed = claimed.expect("it was claimed");
    assert_eq!(bench.reference(), Some(SaleCode::of(claimed)));
}

#[test]
fn a_report_waits_for_a_claim_that_is_still_on_its_way() {
    // The claim timed out here, but a proxy still holds it.
    let mut bench = Bench::shows_code().polled(Ok(SaleStatus::Paid));
    while bench.wants(|effect| matches!(effect, Effect::Claim { .. })) {
        bench = bench.claimed(GONE).seconds(10);
    }
    let bench = bench.reported(refused(SaleStatus::Paid));
    assert!(!bench.machine.is_idle(), "it may be granted yet");
    let bench = bench.seconds(70).reported(Ok(()));
    assert!(bench.machine.is_idle());
}

#[test]
fn a_merchant_who_is_gone_is_asked_for_one_debt_at_a_time_and_never_while_somebody_types() {
    let mut bench = Bench::ready();
    for _ in 0..4 {
        bench = bench
            .types("1#")
            .not_registered(NoReply::NoAnswer)
            .closed(GONE)
            .types("C");
    }
    let tries = |bench: &Bench| {
        let is_close = |effect: &&Effect| matches!(effect, Effect::Close { .. });
        bench.history.iter().filter(is_close).count()
    };
    let mut before = tries(&bench);
    // Somebody types for a while.
    bench = bench.types("1").seconds(50);
    assert_eq!(tries(&bench), before);
    bench = bench.types("C");
    for _ in 0..10 {
        bench = bench.seconds(10);
        let asked = bench.wanted.len();
        assert!(asked <= 1, "{asked} at once");
        if asked == 1 {
            bench = bench.closed(GONE);
        }
    }
    assert!(tries(&bench) > before + 3);
    // The merchant is back: everything at once.
    bench = bench.seconds(10);
    before = tries(&bench);
    for _ in 0..4 {
        bench = bench.closed(Ok(())).seconds(1);
    }
    assert!(bench.machine.is_idle(), "all four within four seconds");
    assert_eq!(tries(&bench), before + 3);
}

#[test]
fn an_answer_about_another_sale_is_heard_in_no_state() {
    let order = OrderNo::from_random(99);
    let sale = SaleId::from_random(99);
    let (done, paid) = (Ok(()), Ok(SaleStatus::Paid.into()));
    let outcome = Outcome::Dispensed;
    let answers = [
        Event::Registered {
            order,
            result: done,
        },
        Event::Added {
            order,
            result: Ok(url()),
        },
        Event::Polled { sale, result: paid },
        Event::Claimed { sale, result: done },
        Event::Vended { sale, outcome },
        Event::Closed { sale, result: done },
        Event::Reported { sale, result: done },
    ];
    let shown = Bench::shows_code;
    let registering = || Bench::ready().types("1#");
    let claiming = || shown().stands(paid);
    for mut bench in [
        Bench::ready(),
        registering(),
        registering().registered(done),
        shown(),
        shown().types("R"),
        shown().types("C"),
        claiming(),
        claiming().claimed(done),
        claiming().claimed(done).vended(outcome),
    ] {
        let before = (bench.screen(), bench.wanted.clone());
        bench.history.clear();
        for answer in answers.clone() {
            bench = bench.happens(answer);
        }
        assert_eq!((bench.screen(), bench.wanted), before);
        let ignored = bench.history.iter().map(|effect| match effect {
            Effect::Ignored(what) => *what,
            effect => panic!("nothing is done about it: {effect:?}"),
        });
        let told = [
            "registered",
            "added",
            "polled",
            "claimed",
            "vended",
            "closed",
            "an answer about nothing owed",
        ];
        assert_eq!(ignored.collect::<Vec<_>>(), told, "each is told to the log");
    }
}

#[test]
fn a_stale_paid_answer_after_the_close_does_not_claim() {
    let bench = Bench::shows_code().waits(Duration::ZERO).types("C");
    let bench = bench.polled(Ok(SaleStatus::Paid));
    assert!(!bench.wants(|effect| matches!(effect, Effect::Claim { .. })));
    assert_eq!(bench.closed(Ok(())).screen_name(), "not-paid");
}

mod after_a_power_cut {
    use super::*;

    fn sale() -> SaleId {
        SaleId::from_random(1)
    }

    fn claim() -> ClaimId {
        ClaimId::from_random(3)
    }

    /// The number whose code showed before the power cut.
    fn shown_before() -> OrderNo {
        OrderNo::from_random(2)
    }

    /// The journal of a sale that got so far.
    fn journal(length: usize) -> Vec<Record> {
        let order = Fact::Order(shown_before());
        let facts = [
            Fact::Sale(fen(350)),
            order,
            Fact::Claim(claim()),
            Fact::Start,
            Fact::Done(Outcome::Dispensed),
        ];
        facts[..length]
            .iter()
            .map(|fact| Record {
                sale: sale(),
                fact: *fact,
            })
            .collect()
    }

    fn nothing() -> Result<Unsettled, NoReply> {
        Ok(Unsettled::new())
    }

    /// The merchant holds the sale so, and has for an hour.
    fn held(status: SaleStatus, claim: Option<ClaimId>) -> Result<Unsettled, NoReply> {
        held_for(3600, status, claim)
    }

    fn held_for(
        seconds: u64,
        status: SaleStatus,
        claim: Option<ClaimId>,
    ) -> Result<Unsettled, NoReply> {
        Ok([UnsettledSale {
            sale: sale(),
            total: fen(350),
            status,
            age: Duration::from_secs(seconds),
            newest: Some(shown_before()),
            claim,
        }]
        .into_iter()
        .collect())
    }

    #[test]
    fn what_is_left_is_settled_before_anything_is_sold() {
        for (length, owed) in [
            (1, Effect::Close { sale: sale() }),
            (2, Effect::Close { sale: sale() }),
            (
                3,
                Effect::Report {
                    sale: sale(),
                    claim: claim(),
                    outcome: Outcome::NotDispensed,
                },
            ),
            (
                4,
                Effect::Report {
                    sale: sale(),
                    claim: claim(),
                    outcome: Outcome::Unknown,
                },
            ),
            (
                5,
                Effect::Report {
                    sale: sale(),
                    claim: claim(),
                    outcome: Outcome::Dispensed,
                },
            ),
        ] {
            let bench = Bench::starts_with(&journal(length)).unsettled(nothing());
            assert_eq!(bench.screen_name(), "one-moment", "{length} records");
            assert_eq!(bench.wanted, [owed], "{length} records");
            let bench = if length < 3 {
                bench.closed(Ok(()))
            } else {
                bench.reported(Ok(()))
            };
            assert_eq!(bench.facts().last(), Some(&"settled"));
            assert_eq!(bench.screen_name(), "amount", "{length} records");
            assert_eq!(
                bench.seconds(600).pulses(),
                0,
                "no power cut makes the relay move"
            );
        }
    }

    /// A sale that got so far, with a customer who still stands there.
    fn goes_on(length: usize, status: SaleStatus, granted: Option<ClaimId>) -> Bench {
        Bench::starts_with(&journal(length)).unsettled(held_for(30, status, granted))
    }

    #[test]
    fn a_young_sale_goes_on_with_a_new_code() {
        let slow = Bench::starts_with(&journal(2)).seconds(20);
        assert_eq!(
            slow.wanted,
            [Effect::AskUnsettled],
            "nothing is closed before it is known"
        );
        let bench = goes_on(2, SaleStatus::Open, None);
        assert!(
            bench.wants(
                |effect| matches!(effect, Effect::Register { sale: id, .. } if *id == sale())
            )
        );
        let bench = bench.registered(Ok(())).added(Ok(url()));
        assert_eq!(bench.screen_name(), "pay");
        let bench = bench
            .polled(Ok(SaleStatus::Paid))
            .claimed(Ok(()))
            .vended(Outcome::Dispensed);
        assert_eq!((bench.screen_name(), bench.pulses()), ("thank-you", 1));
    }

    #[test]
    fn a_young_sale_that_gets_no_new_code_is_closed_and_never_told_without_its_number() {
        for why in [NoReply::NoAnswer, NoReply::Refused(None)] {
            let bench = goes_on(2, SaleStatus::Open, None).not_registered(why);
            assert!(bench.wants(|effect| matches!(effect, Effect::Close { .. })));
            let paid = Err(NoReply::Refused(Some(SaleStatus::Paid)));
            let bench = bench.closed(paid).claimed(Ok(()));
            assert_eq!(
                bench.screen_name(),
                "paid",
                "the code from before the cut was"
            );
        }
    }

    #[test]
    fn a_sale_that_was_paid_meanwhile_is_claimed_and_dispensed() {
        for length in [2, 3] {
            let bench = goes_on(length, SaleStatus::Paid, None).claimed(Ok(()));
            let bench = bench.vended(Outcome::Dispensed);
            assert_eq!((bench.screen_name(), bench.pulses()), ("thank-you", 1));
        }
        let mut closing = journal(2);
        closing.push(Record {
            sale: sale(),
            fact: Fact::Closing,
        });
        let paid = held_for(30, SaleStatus::Paid, None);
        let bench = Bench::starts_with(&closing).unsettled(paid).claimed(Ok(()));
        assert_eq!(bench.screen_name(), "paid", "it was too late to close");
    }

    #[test]
    fn a_granted_claim_without_a_start_is_claimed_by_its_name_and_dispensed() {
        let bench = goes_on(3, SaleStatus::Claimed, Some(claim()));
        let same = Effect::Claim {
            sale: sale(),
            claim: claim(),
        };
        assert_eq!(bench.wanted, [same]);
        let bench = bench.claimed(Ok(())).vended(Outcome::Dispensed);
        assert_eq!((bench.screen_name(), bench.pulses()), ("thank-you", 1));
    }

    #[test]
    fn the_reference_after_a_power_cut_is_the_same_sales() {
        let mut journal = journal(2);
        journal.push(Record {
            sale: sale(),
            fact: Fact::Order(OrderNo::from_random(77)),
        });
        let open = held_for(30, SaleStatus::Open, None);
        let bench = Bench::starts_with(&journal).unsettled(open);
        let bench = bench.types("C").closed(refused(SaleStatus::Expired));
        assert_eq!(bench.reference(), Some(SaleCode::of(sale())));
    }

    #[test]
    fn a_start_is_never_followed_by_another_pulse_however_young() {
        for length in [4, 5] {
            let bench = goes_on(length, SaleStatus::Claimed, Some(claim()));
            let bench = bench.reported(Ok(())).seconds(600);
            assert_eq!((bench.screen_name(), bench.pulses()), ("amount", 0));
        }
    }

    #[test]
    fn an_old_sale_or_one_that_was_being_closed_is_closed() {
        for status in [SaleStatus::Open, SaleStatus::Paid] {
            let old = Bench::starts_with(&journal(2)).unsettled(held_for(120, status, None));
            assert_eq!(old.wanted, [Effect::Close { sale: sale() }]);
        }
        let mut closing = journal(2);
        closing.push(Record {
            sale: sale(),
            fact: Fact::Closing,
        });
        let open = held_for(1, SaleStatus::Open, None);
        let cancelled = Bench::starts_with(&closing).unsettled(open);
        assert_eq!(cancelled.wanted, [Effect::Close { sale: sale() }]);
    }

    #[test]
    fn a_sale_that_was_given_up_before_the_power_cut_does_not_go_on_before_the_next_customer() {
        let mut in_doubt = Bench::shows_code().types("C");
        for _ in 0..4 {
            in_doubt = in_doubt.closed(GONE).seconds(5);
        }
        assert_eq!(in_doubt.told(), Failure::InDoubt);
        // Somebody may have paid it all the same: the platform can notify before it answers.
        let no_code = Bench::ready().types("3.50#").registered(Ok(()));
        let no_code = no_code.added(Err(NotAdded::NoAnswer));
        assert_eq!(no_code.told(), Failure::NoAnswer);
        let no_patience = Bench::ready().types("3.50#C");
        assert_eq!(no_patience.screen_name(), "amount");
        for bench in [in_doubt, no_code, no_patience] {
            does_not_go_on(&bench);
        }
    }

    /// The power goes, and the merchant has heard of a payment.
    fn does_not_go_on(bench: &Bench) {
        let recorded = bench.history.iter().filter_map(|effect| match effect {
            Effect::Record(record) => Some(*record),
            _ => None,
        });
        let closings: Vec<Record> = recorded
            .map(|record| Record {
                sale: sale(),
                ..record
            })
            .collect();
        let journal = [journal(2), closings].concat();
        let bench = Bench::starts_with(&journal).unsettled(held_for(30, SaleStatus::Paid, None));
        assert_eq!(bench.wanted, [Effect::Close { sale: sale() }]);
    }

    #[test]
    fn a_claim_that_is_not_ours_or_too_old_moves_nothing() {
        let other = Some(ClaimId::from_random(99));
        for theirs in [
            held_for(30, SaleStatus::Claimed, other),
            held_for(120, SaleStatus::Claimed, Some(claim())),
            held_for(120, SaleStatus::Paid, None),
        ] {
            let bench = Bench::starts_with(&journal(3)).unsettled(theirs);
            assert!(bench.wants(|effect| matches!(effect, Effect::Report { .. })));
            assert_eq!(bench.reported(Ok(())).seconds(600).pulses(), 0);
        }
    }

    #[test]
    fn on_a_disk_that_lies_no_claim_is_taken_up_again() {
        let settings = Settings {
            resumes_claims: false,
            ..settings()
        };
        for theirs in [
            held_for(1, SaleStatus::Claimed, Some(claim())),
            held_for(1, SaleStatus::Paid, None),
        ] {
            let (machine, effects) =
                Machine::resume(settings, Instant::default(), journal(3)).expect("possible");
            let mut bench = Bench {
                machine,
                ..Bench::ready()
            };
            bench.take(effects);
            let bench = bench.unsettled(theirs);
            let unknown = Effect::Report {
                sale: sale(),
                claim: claim(),
                outcome: Outcome::Unknown,
            };
            assert_eq!(
                bench.wanted,
                [unknown],
                "the Start may be lost, and the goods out"
            );
        }
    }

    #[test]
    fn what_is_owed_at_the_start_is_tried_until_it_is_heard() {
        let bench = Bench::starts_with(&journal(5)).unsettled(nothing());
        let bench = bench.reported(GONE).seconds(2).reported(GONE).seconds(3);
        assert_eq!(bench.screen_name(), "one-moment");
        assert_eq!(bench.reported(Ok(())).screen_name(), "amount");
    }

    #[test]
    fn an_empty_journal_starts_at_once() {
        assert_eq!(
            Bench::starts_with(&[]).unsettled(nothing()).screen_name(),
            "amount"
        );
    }

    #[test]
    fn the_merchant_is_the_second_witness_when_the_journal_is_lost() {
        let bench = Bench::starts_with(&[]).unsettled(held(SaleStatus::Open, None));
        assert_eq!(bench.wanted, [Effect::Close { sale: sale() }]);
        assert_eq!(bench.closed(Ok(())).screen_name(), "amount");

        let bench = Bench::starts_with(&[]).unsettled(held(SaleStatus::Claimed, Some(claim())));
        assert_eq!(
            bench.wanted,
            [Effect::Report {
                sale: sale(),
                claim: claim(),
                outcome: Outcome::Unknown
            }]
        );
        assert_eq!(bench.reported(Ok(())).pulses(), 0);

        let bench = Bench::starts_with(&[]).unsettled(held(SaleStatus::Paid, None));
        assert_eq!(
            bench.screen_name(),
            "amount",
            "the merchant gives that money back by itself"
        );
    }

    #[test]
    fn a_merchant_that_holds_more_than_it_tells_is_asked_until_all_of_it_is_settled() {
        let held = |status| {
            move |number| UnsettledSale {
                sale: SaleId::from_random(number),
                total: fen(350),
                status,
                age: Duration::from_secs(9999),
                newest: None,
                claim: None,
            }
        };
        let list = |count: std::ops::Range<u128>, status| -> Result<Unsettled, NoReply> {
            Ok(count.map(held(status)).collect())
        };
        let mut bench = Bench::starts_with(&[]);
        for from in [0, 8, 16] {
            bench = bench.unsettled(list(from..from + 8, SaleStatus::Open));
            for _ in 0..8 {
                assert_eq!(bench.screen_name(), "one-moment");
                bench = bench.closed(Ok(())).waits(Duration::ZERO);
            }
            assert_eq!(bench.wanted, [Effect::AskUnsettled], "after {from}");
        }
        // What is paid and not claimed ends by itself: nobody waits for that.
        let bench = bench.unsettled(list(24..32, SaleStatus::Paid));
        assert_eq!(bench.screen_name(), "amount");
        assert_eq!(bench.wanted, []);
    }

    #[test]
    fn nothing_is_sold_until_the_merchant_answers() {
        let bench = Bench::starts_with(&journal(4)).unsettled(Err(NoReply::NoAnswer));
        assert_eq!(
            bench.screen(),
            Screen::OutOfService {
                why: Outage::NoMerchant
            }
        );
        let bench = bench.types("1#").seconds(1);
        assert!(!bench.wants(|effect| matches!(effect, Effect::Register { .. })));
        let bench = bench.unsettled(nothing()).reported(Ok(()));
        assert_eq!(bench.screen_name(), "amount");
        let bench = Bench::starts_with(&[]).unsettled(Err(NoReply::NotAdmitted));
        assert_eq!(
            bench.screen(),
            Screen::OutOfService {
                why: Outage::NotAdmitted
            }
        );
    }

    #[test]
    fn a_journal_that_contradicts_itself_is_not_believed() {
        let resume = |records: Vec<Record>| {
            Machine::resume(settings(), Instant::default(), records).map(drop)
        };
        let start = Record {
            sale: sale(),
            fact: Fact::Start,
        };
        assert_eq!(
            resume(vec![start]),
            Err(recovery::Contradiction::NeverClaimed)
        );
        let many = (0..9)
            .map(|n| Record {
                sale: SaleId::from_random(n),
                fact: Fact::Closing,
            })
            .collect();
        assert_eq!(resume(many), Err(recovery::Contradiction::TooManyUnsettled));
        assert_eq!(
            Machine::halted(settings()).screen(Instant::default()),
            Screen::OutOfService {
                why: Outage::Journal
            }
        );
    }
}
