use super::*;

const NOW: Time = Time(100_000_000);

fn ago(seconds: i64) -> Time {
    Time(NOW.0 - seconds * 1000)
}

fn kiosk(name: &str, heard: i64, fault: &str) -> (KioskName, Seen) {
    let seen = Seen {
        at: ago(heard),
        version: "0.1.0".to_owned(),
        state: "ready".to_owned(),
        fault: fault.to_owned(),
        since: ago(heard),
        told_at: ago(heard),
    };
    (KioskName::new(name).expect("a name"), seen)
}

fn open(sale: &str, kiosk: &str, seconds: i64) -> (String, String, Time) {
    (sale.to_owned(), kiosk.to_owned(), ago(seconds))
}

/// A shop in which nothing is wrong.
fn well() -> Figures {
    Figures {
        now: NOW,
        balance: Balance {
            verified: 0,
            dispensed: 0,
            refund_due: 0,
            refunded: 0,
            review: 0,
            waiting: 0,
            holds: true,
        },
        waiting_since: Some(ago(779)),
        waiting: Cases::default(),
        may_wait: Duration::from_secs(720),
        refunds: Cases::default(),
        reviews: Cases::default(),
        kiosks: vec![kiosk("kiosk-1", 179, "")],
        open: vec![
            open("young", "kiosk-9", 599),
            open("over", "kiosk-9", 11_040),
        ],
        refused: 0,
        never_notified: 4,
        wrong_tokens: 29,
        ambiguous: 0,
        paid_at: Some(ago(3600)),
        unpaid: 0,
        week: (1000, 900),
        database: Some(Duration::from_millis(999)),
    }
}

/// The names of the alarms that stand.
fn kinds(figures: &Figures) -> Vec<&'static str> {
    look(figures)
        .iter()
        .map(|alarm| alarm.kind.as_str())
        .collect()
}

#[test]
fn nothing_is_told_of_a_shop_in_which_nothing_is_wrong() {
    assert_eq!(look(&well()), []);
}

#[test]
fn each_thing_that_goes_wrong_has_its_alarm() {
    let told = |change: fn(&mut Figures)| {
        let mut figures = well();
        change(&mut figures);
        kinds(&figures)
    };
    assert_eq!(
        told(|shop| shop.balance.holds = false),
        ["books-do-not-balance"]
    );
    assert_eq!(told(|shop| shop.database = None), ["database-slow"]);
    assert_eq!(
        told(|shop| shop.database = Some(Duration::from_secs(1))),
        ["database-slow"]
    );
    assert_eq!(
        told(|shop| shop.kiosks = vec![kiosk("kiosk-1", 180, "")]),
        ["kiosk-silent"]
    );
    assert_eq!(
        told(|shop| shop.kiosks = vec![kiosk("kiosk-1", 1, "dispenser")]),
        ["kiosk-out-of-service"]
    );
    assert_eq!(
        told(|shop| shop.waiting_since = Some(ago(780))),
        ["paid-not-dispensed"]
    );
    assert_eq!(told(|shop| shop.refunds.count = 1), ["refund-due"]);
    assert_eq!(told(|shop| shop.reviews.count = 1), ["review-open"]);
    assert_eq!(told(|shop| shop.refused = 1), ["notification-refused"]);
    assert_eq!(told(|shop| shop.wrong_tokens = 30), ["wrong-tokens"]);
    assert_eq!(told(|shop| shop.ambiguous = 1), ["signature-ambiguous"]);
    assert_eq!(told(|shop| shop.unpaid = 4), ["no-notification"]);
    assert_eq!(told(|shop| shop.never_notified = 5), ["never-notified"]);
    assert_eq!(
        told(|shop| shop.open = vec![open("A", "kiosk-9", 600)]),
        ["retry-window"]
    );
    for kind in Kind::ALL {
        assert_eq!(kind.as_str(), kind.as_str().to_lowercase());
    }
}

#[test]
fn a_kiosk_that_is_silent_is_not_out_of_service_as_well_and_all_of_them_are_us() {
    let mut figures = well();
    figures.kiosks = vec![
        kiosk("a", 200, "dispenser"),
        kiosk("b", 300, ""),
        kiosk("c", 1, ""),
    ];
    let alarms = look(&figures);
    assert_eq!(
        (alarms.len(), &alarms[0].subjects[..]),
        (1, &["a".to_owned(), "b".to_owned()][..])
    );
    figures.kiosks.pop();
    assert!(look(&figures)[0].text.contains("are we cut off?"));
}

#[test]
fn the_platform_gives_up_so_long_after_the_oldest_sale_that_it_may_still_tell_of() {
    let mut figures = well();
    figures.open = vec![
        open("A", "kiosk-9", 600),
        open("B", "kiosk-1", 11_039),
        open("C", "kiosk-9", 11_040),
        open("D", "kiosk-9", 599),
        // Its kiosk is there, and counts down.
        open("E", "kiosk-1", 3899),
    ];
    let alarm = look(&figures).remove(0);
    assert_eq!(alarm.subjects, ["A", "B"]);
    assert!(alarm.text.contains("in 0 minutes"), "{}", alarm.text);
    figures.open.truncate(1);
    assert!(look(&figures)[0].text.contains("in 174 minutes"));
}

#[test]
fn how_long_it_may_be_quiet_depends_on_how_quiet_it_usually_is() {
    let is_told = |week, unpaid| {
        let figures = Figures {
            week,
            unpaid,
            ..well()
        };
        !look(&figures).is_empty()
    };
    // Nine of ten are paid: four in a row are not by chance less than once in a thousand.
    assert!(!is_told((1000, 900), 2) && is_told((1000, 900), 4));
    assert!(!is_told((1000, 200), 30) && is_told((1000, 200), 32));
    // A shop that has just opened.
    assert!(!is_told((0, 0), 9) && is_told((0, 0), 10));
}

#[test]
fn a_new_shop_whose_sales_are_paid_and_never_notified_is_told_of_its_address() {
    let mut figures = well();
    // Nobody can tell from the books that they were paid.
    (figures.week, figures.unpaid, figures.never_notified) = ((300, 0), 300, 300);
    let alarms = look(&figures);
    assert_eq!(kinds(&figures), ["never-notified"]);
    assert!(
        alarms[0].text.starts_with("300 numbers were registered"),
        "{}",
        alarms[0].text
    );
}

#[test]
fn a_clock_that_was_wrong_for_a_while_hides_nothing() {
    let month = 30 * 24 * 3600;
    let mut figures = well();
    figures.kiosks = vec![kiosk("kiosk-1", -month, "")];
    figures.waiting_since = Some(ago(-month));
    assert_eq!(kinds(&figures), ["kiosk-silent", "paid-not-dispensed"]);
}
