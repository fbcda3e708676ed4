//! What the model promises, without a clock or a network.

use std::collections::HashSet;

use super::*;

const NOON: UnixMs = UnixMs(1_700_000_000_000);
const KEY: &str = "5f53481517b449b0a8c8dbe808d8bf5c";

fn platform(speed: f64) -> Platform {
    let account = Account {
        app_key: Some(KEY.to_owned()),
        mch_id: "7551000001".to_owned(),
        sign_key: "secret".to_owned(),
    };
    Platform::new(account, Schedule::new(speed).expect("a speed"), 7)
}

fn open() -> Platform {
    platform(1.0)
}

fn order(order_no: &str, total: u64) -> NewOrder<'_> {
    NewOrder {
        app_key: KEY,
        order_no,
        total,
    }
}

impl Platform {
    fn holds(mut self, order_no: &str) -> Platform {
        let answer = self.add_order(order(order_no, 350));
        assert!(matches!(answer, Answer::Added(_)), "{answer:?}");
        self
    }

    fn is_paid(&self, order_no: &str) -> bool {
        self.order(order_no).expect("it was added").paid
    }

    /// Lets time run until nothing is due any more; the moments of all attempts.
    fn run(&mut self, answer: impl Fn(usize) -> (u16, &'static str)) -> Vec<u64> {
        let mut attempts = Vec::new();
        while let Some(now) = self.wake_at() {
            for due in self.take_due(now) {
                let (status, text) = answer(attempts.len());
                attempts.push(now.0 - NOON.0);
                self.answered(due.id, status, text);
            }
        }
        attempts
    }
}

fn refused(platform: &mut Platform, new: NewOrder<'_>) -> Option<Refusal> {
    match platform.add_order(new) {
        Answer::Refused(why) => Some(why),
        _ => None,
    }
}

#[test]
fn a_repeated_number_is_refused_and_changes_nothing() {
    let mut platform = open().holds("a");
    assert_eq!(
        refused(&mut platform, order("a", 1)),
        Some(Refusal::Repeated)
    );
    assert_eq!(platform.order("a").map(|order| order.total), Some(350));
    assert_eq!(platform.orders().len(), 1);
}

#[test]
fn an_order_the_document_does_not_allow_is_refused() {
    let mut platform = open();
    for bad in [
        "",
        "a b",
        "订单",
        "a/b",
        "123456789012345678901234567890123",
    ] {
        assert_eq!(
            refused(&mut platform, order(bad, 1)),
            Some(Refusal::BadOrderNo),
            "{bad}"
        );
    }
    for bad in [0, 1 << 31, u64::MAX] {
        assert_eq!(
            refused(&mut platform, order("a", bad)),
            Some(Refusal::BadTotal),
            "{bad}"
        );
    }
    let foreign = NewOrder {
        app_key: "other",
        ..order("a", 1)
    };
    assert_eq!(
        refused(&mut platform, foreign),
        Some(Refusal::UnknownAppKey)
    );
    assert!(platform.orders().is_empty());
}

#[test]
fn without_an_app_key_of_its_own_the_platform_takes_any_but_none() {
    let mut platform = open();
    platform.account.app_key = None;
    let of = |app_key| NewOrder {
        app_key,
        ..order("a", 1)
    };
    assert_eq!(refused(&mut platform, of("")), Some(Refusal::UnknownAppKey));
    assert_eq!(refused(&mut platform, of("anything")), None);
}

#[test]
fn a_merchant_who_never_answers_is_told_ten_times_in_three_hours_and_four_minutes() {
    let mut platform = open().holds("a");
    platform.pay(NOON, &Purchase::of("a")).expect("paid");
    let attempts = platform.run(|_| (0, ""));
    let seconds: Vec<u64> = attempts.iter().map(|ms| ms / 1000).collect();
    assert_eq!(
        seconds,
        [0, 15, 30, 60, 240, 2040, 3840, 5640, 7440, 11_040]
    );
    assert_eq!(platform.order("a").map(|o| o.deliveries.len()), Some(10));
}

#[test]
fn the_platform_stops_after_success() {
    let mut platform = open().holds("a");
    let ids = platform.pay(NOON, &Purchase::of("a")).expect("paid");
    let answers = [(200, "fail"), (500, "success"), (200, "success")];
    assert_eq!(platform.run(|n| answers[n]), [0, 15_000, 30_000]);
    let told = &platform.order("a").expect("added").deliveries;
    assert!(
        told.iter()
            .all(|delivery| delivery.transaction_id == ids[0])
    );
    let seen: Vec<_> = told.iter().map(|d| (d.status, d.answer.as_str())).collect();
    assert_eq!(seen, answers);
}

#[test]
fn nothing_but_exactly_success_is_success() {
    for answer in ["SUCCESS", "success\n", " success", "\"success\"", ""] {
        let mut platform = open().holds("a");
        platform.pay(NOON, &Purchase::of("a")).expect("paid");
        assert_eq!(platform.run(|_| (200, answer)).len(), 10, "{answer:?}");
    }
    let mut platform = open().holds("a");
    platform.pay(NOON, &Purchase::of("a")).expect("paid");
    assert_eq!(platform.run(|_| (201, "success")).len(), 10);
}

#[test]
fn a_fast_platform_waits_less_and_delays_as_told() {
    let mut platform = platform(1000.0).holds("a");
    let late = Purchase {
        delay_ms: 500,
        ..Purchase::of("a")
    };
    platform.pay(NOON, &late).expect("paid");
    assert_eq!(platform.run(|_| (200, "fail"))[..4], [500, 515, 530, 560]);
}

#[test]
fn a_notification_on_its_way_does_not_set_out_again() {
    let mut platform = open().holds("a");
    platform.pay(NOON, &Purchase::of("a")).expect("paid");
    let due = platform.take_due(NOON);
    assert_eq!(due.len(), 1);
    assert!(platform.take_due(UnixMs(NOON.0 + 60_000)).is_empty());
    assert_eq!(platform.wake_at(), None);
    platform.answered(due[0].id, 200, "success");
    platform.answered(due[0].id, 200, "success");
    assert_eq!(platform.order("a").map(|o| o.deliveries.len()), Some(1));
}

#[test]
fn each_payment_of_one_number_has_its_own_transaction() {
    let mut platform = open().holds("a");
    let often = Purchase {
        times: 5,
        ..Purchase::of("a")
    };
    let mut ids = platform.pay(NOON, &often).expect("paid");
    ids.extend(platform.pay(NOON, &Purchase::of("a")).expect("paid again"));
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 6);
    assert_eq!(platform.run(|_| (200, "success")).len(), 6);
}

#[test]
fn a_customers_phone_does_not_pay_twice() {
    let mut platform = open().holds("a");
    let phone = Purchase {
        once: true,
        ..Purchase::of("a")
    };
    assert!(platform.pay(NOON, &phone).is_ok());
    assert_eq!(platform.pay(NOON, &phone), Err(NotPaid::AlreadyPaid));
    assert_eq!(
        platform.pay(NOON, &Purchase::of("b")),
        Err(NotPaid::UnknownOrder)
    );
}

#[test]
fn a_failed_payment_is_told_but_does_not_pay_the_order() {
    let mut platform = open().holds("a");
    let failed = Purchase {
        pay_result: "1".to_owned(),
        ..Purchase::of("a")
    };
    platform.pay(NOON, &failed).expect("tried");
    let due = platform.take_due(NOON);
    assert!(due[0].body.contains("<pay_result><![CDATA[1]]>"));
    assert!(!platform.is_paid("a"));
    platform.pay(NOON, &Purchase::of("a")).expect("paid");
    assert!(platform.is_paid("a"));
}

#[test]
fn faults_strike_as_often_as_told() {
    let mut platform = open();
    platform.fail(Some(Fault::Refuse), Some(2));
    assert_eq!(
        refused(&mut platform, order("", 1)),
        Some(Refusal::BadOrderNo),
        "spends no fault"
    );
    for _ in 0..2 {
        assert_eq!(
            refused(&mut platform, order("a", 1)),
            Some(Refusal::OnDemand)
        );
    }
    assert_eq!(refused(&mut platform, order("a", 1)), None);

    platform.fail(Some(Fault::Garbage), None);
    for number in ["b", "c", "d"] {
        assert_eq!(platform.add_order(order(number, 1)), Answer::Garbled);
        assert!(platform.order(number).is_some(), "it is kept all the same");
    }
    platform.fail(None, None);
    assert!(matches!(
        platform.add_order(order("e", 1)),
        Answer::Added(_)
    ));
}

#[test]
fn the_newest_unpaid_order_is_the_one_a_customer_would_scan() {
    let mut platform = open().holds("a").holds("b").holds("c");
    let newest = |platform: &Platform, after| {
        let order = platform.newest_unpaid(after)?;
        Some(order.order_no.clone())
    };
    assert_eq!(newest(&platform, None).as_deref(), Some("c"));
    platform.pay(NOON, &Purchase::of("c")).expect("paid");
    assert_eq!(newest(&platform, None).as_deref(), Some("b"));
    assert_eq!(newest(&platform, Some("c")), None, "b was left behind");
    let platform = platform.holds("d");
    assert_eq!(newest(&platform, Some("c")).as_deref(), Some("d"));
}

#[test]
fn a_long_answer_is_cut() {
    let mut platform = open().holds("a");
    platform.pay(NOON, &Purchase::of("a")).expect("paid");
    let due = platform.take_due(NOON);
    platform.answered(due[0].id, 200, &"错".repeat(1000));
    let kept = &platform.order("a").expect("added").deliveries[0].answer;
    assert_eq!(kept.chars().count(), 200);
}
