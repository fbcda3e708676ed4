//! Each rule as a sentence.

use super::*;

const CLAIM_TIME: Duration = Duration::from_secs(120);
const PAID_AT: Time = Time(1_000_000);

fn fen(amount: u32) -> Fen {
    Fen::new(amount).expect("an amount")
}

fn kiosk(name: &str) -> KioskName {
    name.parse().expect("a name")
}

fn number(n: u128) -> OrderNo {
    OrderNo::from_random(n)
}

fn transaction(name: &str) -> TransactionId {
    name.parse().expect("a name")
}

fn our_claim() -> ClaimId {
    ClaimId::from_random(5)
}

/// The sale of 3.50 with one number, in this status.
fn sale(status: SaleStatus) -> Sale {
    use SaleStatus::{Closed, Open, Paid};
    let paid = !matches!(status, Open | Closed);
    let claimed = paid && !matches!(status, Paid | SaleStatus::Expired);
    Sale {
        id: SaleId::from_random(1),
        kiosk: kiosk("kiosk-1"),
        total: fen(350),
        status,
        began: Time(0),
        orders: vec![number(2)],
        paid: paid.then_some((transaction("T1"), PAID_AT)),
        claim: claimed.then_some((our_claim(), PAID_AT)),
        disposition: paid.then_some(match status {
            SaleStatus::Dispensed => Disposition::Dispensed,
            SaleStatus::NotDispensed => Disposition::RefundDue(Reason::NotDispensed),
            SaleStatus::Expired => Disposition::RefundDue(Reason::Expired),
            SaleStatus::Unknown => Disposition::Review(Doubt::Unknown),
            _ => Disposition::Waiting,
        }),
    }
}

fn payment(name: &str, total: u64) -> Payment {
    Payment {
        transaction: transaction(name),
        order: number(2),
        total,
        fee_type: None,
        trade_type: None,
        time_end: None,
    }
}

/// In books that miss nothing.
fn pay(payment: &Payment, known: Option<&Booked>, sale: Option<&Sale>) -> Decision<Verdict> {
    super::pay(payment, known, sale, (&[], PAID_AT))
}

/// At [`PAID_AT`].
fn register(
    kiosk: KioskName,
    order: OrderNo,
    of: (SaleId, Fen),
    holder: Option<&Sale>,
    sale: Option<&Sale>,
    orphans: &[Booked],
) -> Decision<Result<bool, NotRegistered>> {
    super::register(kiosk, order, of, holder, sale, (orphans, PAID_AT))
}

/// The time of which the books know nothing: an hour that ends at [`PAID_AT`].
const GAP: Gap = Gap {
    began: Time(PAID_AT.0 - 3_600_000),
    ended: PAID_AT,
};

fn made_at(made: Time, payment: Payment) -> Payment {
    Payment {
        time_end: Some(made.stamp()),
        ..payment
    }
}

fn booked(payment: &Payment, disposition: Disposition) -> Booked {
    Booked {
        transaction: payment.transaction,
        order: payment.order,
        total: payment.total,
        booked_at: PAID_AT,
        fee_type: payment.fee_type.clone(),
        disposition,
    }
}

fn seconds_later(seconds: i64) -> Time {
    Time(PAID_AT.0 + seconds * 1000)
}

fn disposed(to: Disposition) -> Change {
    Change::Disposed {
        transaction: transaction("T1"),
        to,
    }
}

fn moved(from: SaleStatus, to: SaleStatus) -> Change {
    Change::Ended {
        sale: SaleId::from_random(1),
        from,
        to,
    }
}

#[test]
fn an_age_is_counted_in_whole_seconds_and_is_never_negative() {
    assert_eq!(Time(61_999).seconds_since(Time(60_000)), 1);
    assert_eq!(Time(65_000).seconds_since(Time(60_000)), 5);
    assert_eq!(Time(60_000).seconds_since(Time(65_000)), 0);
}

#[test]
fn a_sale_stands_where_it_stands_since_the_last_thing_that_happened_to_it() {
    let granted_at = Time(2_000_000);
    let at = |status| Sale {
        claim: (status == SaleStatus::Claimed).then_some((our_claim(), granted_at)),
        ..sale(status)
    };
    assert_eq!(at(SaleStatus::Open).since(), Time(0));
    assert_eq!(at(SaleStatus::Paid).since(), PAID_AT);
    assert_eq!(at(SaleStatus::Claimed).since(), granted_at);
}

#[test]
fn the_exact_amount_pays_an_open_sale() {
    let payment = payment("T1", 350);
    let decision = pay(&payment, None, Some(&sale(SaleStatus::Open)));
    assert_eq!(decision.answer, Verdict::Pays(SaleId::from_random(1)));
    assert!(decision.answer.is_success());
    let paid = Change::Paid {
        sale: SaleId::from_random(1),
        transaction: payment.transaction,
    };
    assert_eq!(
        decision.changes,
        [
            Change::NewPayment {
                payment,
                disposition: Disposition::Waiting
            },
            paid
        ]
    );
}

#[test]
fn a_payment_that_is_known_changes_nothing() {
    let payment = payment("T1", 350);
    for disposition in [
        Disposition::Waiting,
        Disposition::Dispensed,
        Disposition::RefundDue(Reason::Amount),
        Disposition::Refunded,
    ] {
        let decision = pay(
            &payment,
            Some(&booked(&payment, disposition)),
            Some(&sale(SaleStatus::Dispensed)),
        );
        assert_eq!(decision, Decision::nothing(Verdict::Known));
        assert!(decision.answer.is_success());
    }
}

#[test]
fn a_known_payment_told_differently_is_an_alarm_and_nothing_else() {
    let known = booked(&payment("T1", 350), Disposition::Waiting);
    let another_amount = pay(
        &payment("T1", 351),
        Some(&known),
        Some(&sale(SaleStatus::Paid)),
    );
    assert_eq!(another_amount, Decision::nothing(Verdict::Contradiction));
    let another_number = Payment {
        order: number(3),
        ..payment("T1", 350)
    };
    assert_eq!(
        pay(&another_number, Some(&known), None),
        Decision::nothing(Verdict::Contradiction)
    );
    assert!(!Verdict::Contradiction.is_success());
}

#[test]
fn every_other_verified_payment_is_booked_and_goes_back() {
    use SaleStatus as S;
    let cases = [
        (Some(S::Closed), 350, Reason::Late, true),
        (Some(S::Paid), 350, Reason::Duplicate, true),
        (Some(S::Claimed), 350, Reason::Duplicate, true),
        (Some(S::Dispensed), 350, Reason::Duplicate, true),
        (Some(S::NotDispensed), 350, Reason::Duplicate, true),
        (Some(S::Unknown), 350, Reason::Duplicate, true),
        (Some(S::Expired), 350, Reason::Duplicate, true),
        (Some(S::Open), 349, Reason::Amount, false),
        (Some(S::Open), 351, Reason::Amount, false),
        (Some(S::Open), 0, Reason::Amount, false),
        (Some(S::Open), 350 + (1 << 32), Reason::Amount, false),
        (None, 350, Reason::UnknownOrder, false),
    ];
    for (status, total, reason, success) in cases {
        let payment = payment("T2", total);
        let decision = pay(&payment, None, status.map(sale).as_ref());
        assert_eq!(
            decision.answer,
            Verdict::Refund(reason),
            "{status:?} {total}"
        );
        assert_eq!(decision.answer.is_success(), success, "{status:?} {total}");
        assert_eq!(
            decision.changes,
            [Change::NewPayment {
                payment,
                disposition: Disposition::RefundDue(reason)
            }]
        );
    }
}

#[test]
fn a_number_is_registered_once_and_again_only_the_same() {
    let open = sale(SaleStatus::Open);
    let (us, ours) = (kiosk("kiosk-1"), (open.id, open.total));
    let first = register(us, number(2), ours, None, None, &[]);
    assert_eq!(first.answer, Ok(true));
    let begins = Change::NewSale {
        sale: open.id,
        kiosk: us,
        total: open.total,
    };
    assert_eq!(
        first.changes,
        [
            begins,
            Change::NewOrder {
                order: number(2),
                sale: open.id
            }
        ]
    );
    assert_eq!(
        register(us, number(2), ours, Some(&open), Some(&open), &[]),
        Decision::nothing(Ok(false))
    );

    let conflict = Decision::nothing(Err(NotRegistered::Conflict));
    let them = kiosk("kiosk-2");
    assert_eq!(
        register(them, number(2), ours, Some(&open), Some(&open), &[]),
        conflict
    );
    assert_eq!(
        register(
            us,
            number(2),
            (open.id, fen(351)),
            Some(&open),
            Some(&open),
            &[]
        ),
        conflict
    );
    assert_eq!(
        register(
            us,
            number(2),
            (SaleId::from_random(9), fen(350)),
            Some(&open),
            None,
            &[]
        ),
        conflict
    );
    assert_eq!(
        register(us, number(3), (open.id, fen(351)), None, Some(&open), &[]),
        conflict
    );
    assert_eq!(
        register(them, number(3), ours, None, Some(&open), &[]),
        conflict
    );
}

#[test]
fn a_sale_takes_numbers_only_while_it_is_open() {
    for status in SaleStatus::ALL {
        let sale = sale(status);
        let decision = register(
            sale.kiosk,
            number(3),
            (sale.id, sale.total),
            None,
            Some(&sale),
            &[],
        );
        if status == SaleStatus::Open {
            assert_eq!(
                decision.changes,
                [Change::NewOrder {
                    order: number(3),
                    sale: sale.id
                }]
            );
        } else {
            assert_eq!(
                decision,
                Decision::nothing(Err(NotRegistered::SaleNotOpen(status)))
            );
        }
    }
}

#[test]
fn a_payment_that_came_before_its_number_pays_the_sale_when_the_number_comes() {
    let (us, ours) = (kiosk("kiosk-1"), (SaleId::from_random(1), fen(350)));
    let early = booked(
        &payment("T1", 350),
        Disposition::RefundDue(Reason::UnknownOrder),
    );
    let decision = register(
        us,
        number(2),
        ours,
        None,
        None,
        std::slice::from_ref(&early),
    );
    assert!(decision.changes.contains(&Change::Paid {
        sale: ours.0,
        transaction: early.transaction
    }));
    assert!(decision.changes.contains(&disposed(Disposition::Waiting)));

    let wrong_amount = booked(
        &payment("T1", 349),
        Disposition::RefundDue(Reason::UnknownOrder),
    );
    let gone_back = booked(&payment("T1", 350), Disposition::Refunded);
    let decision = register(us, number(2), ours, None, None, &[wrong_amount, gone_back]);
    assert_eq!(decision.changes.len(), 2, "only the sale and its number");
}

#[test]
fn an_orphan_is_adopted_only_while_the_platform_may_still_be_telling_of_it() {
    let (us, ours) = (kiosk("kiosk-1"), (SaleId::from_random(1), fen(350)));
    let unknown = Disposition::RefundDue(Reason::UnknownOrder);
    let orphan = booked(&payment("T1", 350), unknown);
    let at = |seconds| {
        let orphans = std::slice::from_ref(&orphan);
        super::register(
            us,
            number(2),
            ours,
            None,
            None,
            (orphans, seconds_later(seconds)),
        )
    };
    assert!(at(11_039).changes.contains(&disposed(Disposition::Waiting)));
    let late = at(11_040);
    assert_eq!(
        late.answer,
        Ok(true),
        "the number is registered all the same"
    );
    assert_eq!(late.changes.len(), 2, "only the sale and its number");
}

#[test]
fn a_sale_takes_so_many_numbers_and_no_more() {
    let with = |count: usize| Sale {
        orders: (0..count as u128).map(number).collect(),
        ..sale(SaleStatus::Open)
    };
    let one_more = |sale: &Sale| {
        let of = (sale.id, sale.total);
        register(sale.kiosk, number(999), of, None, Some(sale), &[]).answer
    };
    assert_eq!(one_more(&with(MOST_NUMBERS - 1)), Ok(true));
    let full = Err(NotRegistered::TooManyNumbers);
    assert_eq!(one_more(&with(MOST_NUMBERS)), full);
}

#[test]
fn an_open_sale_that_nobody_asks_for_ends_by_itself_after_an_hour_and_no_other_does() {
    let hour = Time(3_600_000);
    let closed = vec![moved(SaleStatus::Open, SaleStatus::Closed)];
    let open = sale(SaleStatus::Open);
    assert_eq!(abandon(&open, Time(0), Time(hour.0 - 1)), None);
    assert_eq!(abandon(&open, Time(0), hour), Some(closed.clone()));
    let asked = Time(1000);
    assert_eq!(abandon(&open, asked, hour), None, "somebody asked for it");
    let later = Time(hour.0 + 1000);
    assert_eq!(abandon(&open, asked, later), Some(closed.clone()));
    // A clock that was put back makes nothing old.
    assert_eq!(abandon(&open, Time(0), Time(-1)), None);
    for status in SaleStatus::ALL {
        let left = abandon(&sale(status), Time(0), Time(i64::MAX));
        assert_eq!(left.is_some(), status == SaleStatus::Open, "{status}");
    }
    // Whoever pays after that is owed the money.
    let late = pay(&payment("T1", 350), None, Some(&sale(SaleStatus::Closed)));
    assert_eq!(late.answer, Verdict::Refund(Reason::Late));
    assert!(late.answer.is_success());
}

#[test]
fn time_does_one_thing_to_a_sale() {
    let long_after = seconds_later(9999);
    let lapsed = |status| lapse(&sale(status), long_after, CLAIM_TIME, Time(0));
    let first = |status| lapsed(status).and_then(|changes| changes.into_iter().next());
    let expired = moved(SaleStatus::Paid, SaleStatus::Expired);
    assert_eq!(first(SaleStatus::Paid), Some(expired));
    let closed = moved(SaleStatus::Open, SaleStatus::Closed);
    assert_eq!(first(SaleStatus::Open), Some(closed));
    let silent = disposed(Disposition::Review(Doubt::Silent));
    assert_eq!(first(SaleStatus::Claimed), Some(silent));
    assert_eq!(lapsed(SaleStatus::Dispensed), None);
}

#[test]
fn one_claim_wins_and_may_ask_again() {
    let now = seconds_later(119);
    let granted = claim(&sale(SaleStatus::Paid), our_claim(), now, CLAIM_TIME);
    assert_eq!(granted.answer, Ok(()));
    assert_eq!(
        granted.changes,
        [Change::Claimed {
            sale: SaleId::from_random(1),
            claim: our_claim()
        }]
    );
    let claimed = sale(SaleStatus::Claimed);
    assert_eq!(
        claim(&claimed, our_claim(), now, CLAIM_TIME),
        Decision::nothing(Ok(()))
    );
    let other = ClaimId::from_random(6);
    assert_eq!(
        claim(&claimed, other, now, CLAIM_TIME),
        Decision::nothing(Err(SaleStatus::Claimed))
    );
}

#[test]
fn a_claim_is_not_granted_again_once_its_outcome_is_known_or_a_person_was_asked() {
    for status in [
        SaleStatus::Dispensed,
        SaleStatus::NotDispensed,
        SaleStatus::Unknown,
    ] {
        assert_eq!(
            claim(&sale(status), our_claim(), PAID_AT, CLAIM_TIME),
            Decision::nothing(Err(status))
        );
    }
    let silent = Sale {
        disposition: Some(Disposition::Review(Doubt::Silent)),
        ..sale(SaleStatus::Claimed)
    };
    assert_eq!(
        claim(&silent, our_claim(), PAID_AT, CLAIM_TIME),
        Decision::nothing(Err(SaleStatus::Claimed))
    );
}

#[test]
fn claim_and_expiry_exclude_each_other() {
    let paid = sale(SaleStatus::Paid);
    let deadline = seconds_later(120);
    let expiry = expire(&paid, deadline, CLAIM_TIME).expect("it is time");
    let goes_back = disposed(Disposition::RefundDue(Reason::Expired));
    assert_eq!(
        expiry,
        [moved(SaleStatus::Paid, SaleStatus::Expired), goes_back]
    );
    let refused = Decision {
        changes: expiry,
        answer: Err(SaleStatus::Expired),
    };
    assert_eq!(claim(&paid, our_claim(), deadline, CLAIM_TIME), refused);
    assert_eq!(close(&paid, deadline, CLAIM_TIME), refused);
    assert_eq!(expire(&paid, Time(deadline.0 - 1), CLAIM_TIME), None);
    for status in SaleStatus::ALL
        .into_iter()
        .filter(|status| *status != SaleStatus::Paid)
    {
        assert_eq!(
            expire(&sale(status), seconds_later(9999), CLAIM_TIME),
            None,
            "{status}"
        );
    }
}

#[test]
fn only_an_open_sale_can_be_closed_and_closing_again_is_no_error() {
    for status in SaleStatus::ALL {
        let decision = close(&sale(status), PAID_AT, CLAIM_TIME);
        match status {
            SaleStatus::Open => {
                assert_eq!(
                    decision.changes,
                    [moved(SaleStatus::Open, SaleStatus::Closed)]
                );
                assert_eq!(decision.answer, Ok(()));
            }
            SaleStatus::Closed => assert_eq!(decision, Decision::nothing(Ok(()))),
            _ => assert_eq!(decision, Decision::nothing(Err(status))),
        }
    }
}

#[test]
fn an_outcome_is_taken_once_from_the_claimant_only() {
    let claimed = sale(SaleStatus::Claimed);
    for (told, becomes) in [
        (Outcome::Dispensed, Disposition::Dispensed),
        (
            Outcome::NotDispensed,
            Disposition::RefundDue(Reason::NotDispensed),
        ),
        (Outcome::Unknown, Disposition::Review(Doubt::Unknown)),
    ] {
        let decision = outcome(&claimed, our_claim(), told);
        assert_eq!(decision.answer, Ok(()));
        assert_eq!(
            decision.changes,
            [moved(SaleStatus::Claimed, told.status()), disposed(becomes)]
        );
        assert_eq!(
            outcome(&sale(told.status()), our_claim(), told),
            Decision::nothing(Ok(())),
            "again"
        );
    }
    let refused = |sale: SaleStatus| Decision::nothing(Err(sale));
    assert_eq!(
        outcome(&claimed, ClaimId::from_random(6), Outcome::Dispensed),
        refused(SaleStatus::Claimed)
    );
    assert_eq!(
        outcome(&sale(SaleStatus::Dispensed), our_claim(), Outcome::Unknown),
        refused(SaleStatus::Dispensed)
    );
    assert_eq!(
        outcome(&sale(SaleStatus::Paid), our_claim(), Outcome::NotDispensed),
        refused(SaleStatus::Paid)
    );
}

#[test]
fn a_silent_claim_goes_to_review_and_a_late_report_settles_it() {
    let claimed = sale(SaleStatus::Claimed);
    assert_eq!(fall_silent(&claimed, seconds_later(599)), None);
    let review = Disposition::Review(Doubt::Silent);
    assert_eq!(
        fall_silent(&claimed, seconds_later(600)),
        Some(vec![disposed(review)])
    );
    let silent = Sale {
        disposition: Some(review),
        ..claimed
    };
    assert_eq!(fall_silent(&silent, seconds_later(9999)), None, "once");
    let late = outcome(&silent, our_claim(), Outcome::Dispensed);
    assert!(late.changes.contains(&disposed(Disposition::Dispensed)));
}

#[test]
fn what_a_person_decided_stands_against_a_late_report() {
    let decided = Sale {
        disposition: Some(Disposition::RefundDue(Reason::Decided)),
        ..sale(SaleStatus::Claimed)
    };
    let late = outcome(&decided, our_claim(), Outcome::Dispensed);
    assert_eq!(
        late.changes,
        [moved(SaleStatus::Claimed, SaleStatus::Dispensed)]
    );
}

#[test]
fn another_currency_buys_nothing_and_goes_back_whatever_it_is_for() {
    let foreign = Payment {
        fee_type: Some("USD".to_owned()),
        ..payment("T1", 350)
    };
    let goes_back = Disposition::RefundDue(Reason::Currency);
    let sales = SaleStatus::ALL.map(|status| Some(sale(status)));
    for sale in sales.iter().chain([&None]) {
        for gaps in [&[][..], &[GAP]] {
            let made = made_at(seconds_later(-60), foreign.clone());
            let decided = super::pay(&made, None, sale.as_ref(), (gaps, PAID_AT));
            let booked = Change::NewPayment {
                payment: made,
                disposition: goes_back,
            };
            assert_eq!(decided.changes, [booked], "{sale:?}");
            assert_eq!(decided.answer, Verdict::Refund(Reason::Currency));
            assert!(decided.answer.is_success(), "it is told once");
        }
    }
    let known = booked(&foreign, goes_back);
    let again = pay(&foreign, Some(&known), Some(&sale(SaleStatus::Open)));
    assert_eq!((again.changes, again.answer), (vec![], Verdict::Known));
    let in_yuan = pay(&payment("T1", 350), Some(&known), None);
    assert_eq!(in_yuan.answer, Verdict::Contradiction);
    // It came before its number was known: that makes no yuan of it.
    let (id, total) = (SaleId::from_random(1), fen(350));
    let registered = register(
        kiosk("kiosk-1"),
        number(2),
        (id, total),
        None,
        None,
        &[known],
    );
    assert_eq!(registered.changes.len(), 2, "a sale and its number");
}

#[test]
fn every_disposition_has_its_own_words() {
    let others = [
        Disposition::Waiting,
        Disposition::Dispensed,
        Disposition::Refunded,
        Disposition::Review(Doubt::Unknown),
        Disposition::Review(Doubt::Silent),
        Disposition::Review(Doubt::Gap),
    ];
    for disposition in Reason::ALL
        .map(Disposition::RefundDue)
        .into_iter()
        .chain(others)
    {
        let (state, reason) = disposition.words();
        assert_eq!(Disposition::from_words(state, reason), Some(disposition));
    }
    assert_eq!(Disposition::from_words("refund-due", ""), None);
}

#[test]
fn a_person_settles_reviews_and_refunds_once_and_nothing_else() {
    use Disposition::{Dispensed, RefundDue, Refunded, Review, Waiting};
    let review = |doubt| Review(doubt);
    let answers = |disposition, finding| {
        let booked = Booked {
            transaction: transaction("T1"),
            order: number(1),
            total: 350,
            booked_at: PAID_AT,
            fee_type: None,
            disposition,
        };
        settle(&booked, finding)
    };
    for (from, finding, to) in [
        (review(Doubt::Unknown), Finding::CameOut, Dispensed),
        (review(Doubt::Silent), Finding::CameOut, Dispensed),
        (review(Doubt::Gap), Finding::CameOut, Dispensed),
        (
            review(Doubt::Unknown),
            Finding::NothingCameOut,
            RefundDue(Reason::Decided),
        ),
        (RefundDue(Reason::Late), Finding::MoneySent, Refunded),
        (RefundDue(Reason::Decided), Finding::MoneySent, Refunded),
        (RefundDue(Reason::Currency), Finding::MoneySent, Refunded),
    ] {
        let settled = answers(from, finding);
        assert_eq!(
            (settled.changes, settled.answer),
            (vec![disposed(to)], Ok(()))
        );
        let again = answers(to, finding);
        assert_eq!(
            (again.changes, again.answer),
            (vec![], Ok(())),
            "clicked twice"
        );
    }
    for (from, finding) in [
        (Waiting, Finding::CameOut),
        (Waiting, Finding::MoneySent),
        (Dispensed, Finding::MoneySent),
        (Dispensed, Finding::NothingCameOut),
        (Refunded, Finding::CameOut),
        (RefundDue(Reason::Late), Finding::CameOut),
        (RefundDue(Reason::Late), Finding::NothingCameOut),
        (review(Doubt::Silent), Finding::MoneySent),
    ] {
        assert_eq!(answers(from, finding), Decision::nothing(Err(from)));
    }
}

#[test]
fn the_platform_writes_its_times_as_they_are_in_china() {
    assert_eq!(Time(0).stamp(), "19700101080000");
    assert_eq!(Time(1_795_363_200_999).stamp(), "20261123000000");
    assert_eq!(
        Time::read_stamp("20261123000000"),
        Ok(Time(1_795_363_200_000))
    );
    assert!(Time::read_stamp("2026-11-23").is_err());
}

#[test]
fn a_payment_of_a_time_that_the_books_lost_is_looked_at_and_never_goes_back_by_itself() {
    let gaps = [GAP];
    let review = Decision {
        changes: Vec::new(),
        answer: Verdict::Review(Doubt::Gap),
    };
    let lost = |payment: &Payment, now| super::pay(payment, None, None, (&gaps, now));
    for made in [GAP.began, PAID_AT] {
        let payment = made_at(made, payment("T1", 350));
        let decision = lost(&payment, PAID_AT);
        assert_eq!(decision.answer, review.answer);
        assert!(decision.answer.is_success());
        let disposition = Disposition::Review(Doubt::Gap);
        let booked = Change::NewPayment {
            payment,
            disposition,
        };
        assert_eq!(decision.changes, [booked]);
    }
    let unknown = Verdict::Refund(Reason::UnknownOrder);
    // Clocks differ by five minutes at most.
    for made in [Time(GAP.began.0 - 301_000), Time(GAP.ended.0 + 301_000)] {
        let payment = made_at(made, payment("T1", 350));
        assert_eq!(lost(&payment, PAID_AT).answer, unknown);
    }
    // One that does not say when it was made, while the platform may still tell of that time.
    let (soon, late) = (seconds_later(11_039), seconds_later(11_040));
    assert_eq!(lost(&payment("T1", 350), soon).answer, review.answer);
    assert_eq!(lost(&payment("T1", 350), late).answer, unknown);
    // A sale that the copy has as open may have been paid and dispensed since; one that began after that was not.
    let pays = |began| {
        let sale = Sale {
            began,
            ..sale(SaleStatus::Open)
        };
        let payment = made_at(PAID_AT, payment("T1", 350));
        super::pay(&payment, None, Some(&sale), (&gaps, PAID_AT)).answer
    };
    assert_eq!(pays(GAP.ended), review.answer);
    let since = Time(GAP.ended.0 + 1);
    assert_eq!(pays(since), Verdict::Pays(SaleId::from_random(1)));
    // What is settled in the copy is settled.
    let made = made_at(PAID_AT, payment("T1", 350));
    let closed = super::pay(
        &made,
        None,
        Some(&sale(SaleStatus::Closed)),
        (&gaps, PAID_AT),
    );
    assert_eq!(closed.answer, Verdict::Refund(Reason::Late));
}

#[test]
fn what_was_paid_and_unsettled_in_a_copy_is_looked_at_when_that_is_put_back() {
    let paid = put_back(&sale(SaleStatus::Paid));
    let expired = moved(SaleStatus::Paid, SaleStatus::Expired);
    let gap = disposed(Disposition::Review(Doubt::Gap));
    assert_eq!(paid, [expired, gap]);
    let silent = disposed(Disposition::Review(Doubt::Silent));
    assert_eq!(put_back(&sale(SaleStatus::Claimed)), [silent]);
    for ended in [
        SaleStatus::Open,
        SaleStatus::Closed,
        SaleStatus::Dispensed,
        SaleStatus::NotDispensed,
        SaleStatus::Unknown,
        SaleStatus::Expired,
    ] {
        assert_eq!(put_back(&sale(ended)), [], "{ended}");
    }
}

#[test]
fn what_only_a_bill_tells_of_waits_for_its_notification_then_goes_back() {
    let told = |made: Time, sale: Option<&Sale>, gaps: &[Gap]| {
        let payment = made_at(made, payment("T1", 350));
        bill(&payment, None, sale, (gaps, seconds_later(20_000))).answer
    };
    let open = sale(SaleStatus::Open);
    let back = Billed::Booked(Disposition::RefundDue(Reason::BillOnly));
    assert_eq!(
        told(seconds_later(20_000 - 11_040), Some(&open), &[]),
        Billed::Awaited
    );
    assert_eq!(told(seconds_later(20_000 - 11_041), Some(&open), &[]), back);
    assert_eq!(
        told(seconds_later(20_000), Some(&sale(SaleStatus::Closed)), &[]),
        back
    );
    assert_eq!(told(seconds_later(20_000), None, &[]), back);
    let doubted = Billed::Booked(Disposition::Review(Doubt::Gap));
    assert_eq!(told(PAID_AT, None, &[GAP]), doubted);
    assert_eq!(
        told(PAID_AT, Some(&open), &[GAP]),
        doubted,
        "it was answered perhaps"
    );
    let payment = payment("T1", 350);
    let known = booked(&payment, Disposition::Dispensed);
    let again = bill(&payment, Some(&known), Some(&open), (&[GAP], PAID_AT));
    assert_eq!(again, Decision::nothing(Billed::Known));
}
