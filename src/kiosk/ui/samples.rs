//! Every screen there is, with everything that can be on it: for `kiosk screens`, and for whoever wants to look.

use crate::ids::{OrderNo, SaleCode, SaleId, ScanUrl};
use crate::kiosk::machine::amount::{Refusal, Typed};
use crate::kiosk::machine::screen::{Doing, Failure, Leaving, Outage, Remark, Screen};
use crate::money::Fen;

/// As long as the platform's own addresses.
const ADDRESS: &str = "https://up.selpay.cn/#/pages/rt/index?appKey=5f53481517b449b0a8c8dbe808d8bf5c&no=3fa91c027be44d109a55c0ffee123456";

/// A screen and a name for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sample {
    /// What it shows, in a file's name.
    pub name: String,
    /// The screen.
    pub screen: Screen,
}

/// Every screen in the order in which a customer may meet them, for a sale of this amount.
pub fn all(total: Fen) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut add = |name: &str, screen| {
        let name = name.to_owned();
        samples.push(Sample { name, screen });
    };
    let order = OrderNo::from_random(0xdbd8_b6b9_8b6d_0d6b_8d9b_dbb8_60d6_bd8b);
    let one_moment = |doing| Screen::OneMoment {
        doing,
        total: (doing != Doing::Starting).then_some(total),
    };
    add("starting", one_moment(Doing::Starting));
    add("amount-none", amount("", None));
    add("amount-typed", amount(&total.to_string(), None));
    for (name, refusal) in [
        ("third-decimal", Refusal::ThirdDecimal),
        ("second-point", Refusal::SecondPoint),
        ("too-much", Refusal::TooMuch(total)),
        ("not-multiple", Refusal::NotMultiple(total)),
        ("zero", Refusal::Zero),
    ] {
        let typed = total.to_string();
        let keys = if refusal == Refusal::Zero {
            "0"
        } else {
            &typed
        };
        add(&format!("refused-{name}"), amount(keys, Some(refusal)));
    }
    add("placing", one_moment(Doing::Placing));
    for (name, seconds_left, remark) in [
        ("pay", 118, None),
        ("pay-last-seconds", 9, None),
        ("pay-no-new-code", 71, Some(Remark::NoNewCode)),
        ("pay-too-many-codes", 64, Some(Remark::TooManyCodes)),
        ("pay-unconnected", 52, Some(Remark::Unconnected)),
        ("pay-other-amount", 40, Some(Remark::OtherAmount)),
    ] {
        let pay = Screen::Pay {
            total,
            url: ScanUrl::new(ADDRESS).expect("an address"),
            order,
            seconds_left,
            seconds: 120,
            remark,
        };
        add(name, pay);
    }
    add("closing", one_moment(Doing::Closing));
    let reference = SaleCode::of(SaleId::from_u128(0x3fa9_1c02_7be4_4d10_9a55_c0ff_ee12_3456));
    for (name, why) in [
        ("cancelled", Leaving::Cancelled),
        ("timed-out", Leaving::TimedOut),
        ("withdrawn", Leaving::Withdrawn),
    ] {
        add(
            &format!("not-paid-{name}"),
            Screen::NotPaid { why, reference },
        );
    }
    add("claiming", one_moment(Doing::Claiming));
    add("paid", Screen::Paid { total });
    add("thank-you", Screen::ThankYou { total });
    for (name, what) in [
        ("no-answer", Failure::NoAnswer),
        ("refused", Failure::Refused),
        ("in-doubt", Failure::InDoubt),
        ("too-late", Failure::TooLate),
        ("other-amount", Failure::OtherAmount),
        ("not-dispensed", Failure::NotDispensed),
        ("unknown", Failure::Unknown),
    ] {
        let unpaid = matches!(what, Failure::NoAnswer | Failure::Refused);
        let reference = (!unpaid).then_some(reference);
        let could_not = Screen::CouldNot {
            what,
            total,
            reference,
        };
        add(&format!("could-not-{name}"), could_not);
    }
    for (name, why) in [
        ("no-merchant", Outage::NoMerchant),
        ("not-admitted", Outage::NotAdmitted),
        ("dispenser", Outage::Dispenser),
        ("journal", Outage::Journal),
        ("too-many-unsettled", Outage::TooManyUnsettled),
    ] {
        add(
            &format!("out-of-service-{name}"),
            Screen::OutOfService { why },
        );
    }
    samples
}

fn amount(keys: &str, refused: Option<Refusal>) -> Screen {
    let mut typed = Typed::default();
    for key in keys.chars() {
        typed.push(key, Fen::MAX).expect("a possible amount");
    }
    Screen::Amount { typed, refused }
}
