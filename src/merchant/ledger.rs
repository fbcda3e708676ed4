//! The rules of the books, pure: facts in, changes and an answer out.
//!
//! Each function is told what the books hold, decides what a request does to it, and names the [`Change`]s; a store
//! makes them in the same transaction in which it read the facts, or not at all. Nothing in here reads a clock, a
//! database or the network. What is never done here: a payment dropped, a sale paid twice, a refund taken back.

mod disposition;
#[cfg(test)]
mod tests;

use std::time::Duration;

use ::time::macros::{format_description, offset};
use ::time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

use crate::ids::{ClaimId, KioskName, OrderNo, SaleId, TransactionId};
use crate::money::Fen;
use crate::planted::{self, Bug};
use crate::sale::{Outcome, SaleStatus};
use crate::selpay::notification::Payment;

pub use disposition::{Disposition, Doubt, Reason};

/// A claimed sale whose kiosk says nothing for so long is put under review.
pub const SILENCE: Duration = Duration::from_secs(600);

/// An open sale that nobody has asked for in so long is closed: whoever wanted it has gone.
pub const UNASKED: Duration = Duration::from_secs(3600);

/// The most order numbers that one sale takes. A kiosk stops long before.
pub const MOST_NUMBERS: usize = 64;

/// The platform's clock.
const CHINA: UtcOffset = offset!(+8);
/// For so long the platform repeats a notification that is not answered with `success` (docs/protocol.md).
pub const RETRIES_END: Duration = Duration::from_secs(11_040);

/// A moment in the merchant's books: milliseconds since 1970, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Time(pub i64);

impl Time {
    /// How many whole seconds have passed since then; none if that lies ahead.
    pub fn seconds_since(self, then: Time) -> u64 {
        u64::try_from((self.0 - then.0) / 1000).unwrap_or(0)
    }

    /// As the platform writes it, by its own clock: `yyyyMMddHHmmss` at +08:00. Such texts sort as the times that they are.
    pub fn stamp(self) -> String {
        // The books hold no moment that this calendar does not.
        let moment = OffsetDateTime::from_unix_timestamp(self.0.div_euclid(1000));
        let moment = moment
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
            .to_offset(CHINA);
        let (year, month, day) = moment.to_calendar_date();
        let (hour, minute, second) = moment.to_hms();
        let month = u8::from(month);
        format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}")
    }

    /// The moment that is written so.
    pub fn read_stamp(text: &str) -> Result<Time, String> {
        let format = format_description!("[year][month][day][hour][minute][second]");
        let moment = PrimitiveDateTime::parse(text, format)
            .map_err(|_| "write the time at +08:00 as YYYYMMDDHHMMSS".to_owned())?;
        Ok(Time::in_china(moment))
    }

    /// When the clocks of China show this.
    pub fn in_china(shown: PrimitiveDateTime) -> Time {
        Time(shown.assume_offset(CHINA).unix_timestamp() * 1000)
    }

    /// The day that the platform's clock shows, in days since 1970.
    pub fn day(self) -> i64 {
        const DAY: i64 = 24 * 3600 * 1000;
        let offset = i64::from(CHINA.whole_seconds()) * 1000;
        (self.0.saturating_add(offset)).div_euclid(DAY)
    }

    /// So much earlier.
    pub fn before(self, time: Duration) -> Time {
        Time(self.0.saturating_sub(time.as_millis() as i64))
    }

    /// So much later.
    pub fn after(self, time: Duration) -> Time {
        Time(self.0.saturating_add(time.as_millis() as i64))
    }

    fn is_past(self, since: Time, patience: Duration) -> bool {
        self >= since.after(patience)
    }
}

/// A sale as the books hold it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sale {
    /// Its name.
    pub id: SaleId,
    /// Whose it is.
    pub kiosk: KioskName,
    /// What is to be paid for it, exactly.
    pub total: Fen,
    /// Where it stands.
    pub status: SaleStatus,
    /// When it began.
    pub began: Time,
    /// Every number it has, oldest first.
    pub orders: Vec<OrderNo>,
    /// The payment that pays it, and when that came.
    pub paid: Option<(TransactionId, Time)>,
    /// The claim that was granted, and when.
    pub claim: Option<(ClaimId, Time)>,
    /// What has become of the payment that pays it.
    pub disposition: Option<Disposition>,
}

impl Sale {
    /// Since when it stands where it stands, while it has not ended.
    pub fn since(&self) -> Time {
        match self.status {
            SaleStatus::Paid => self.paid.as_ref().map(|(_, at)| *at),
            SaleStatus::Claimed => self.claim.as_ref().map(|(_, at)| *at),
            _ => None,
        }
        .unwrap_or(self.began)
    }
}

/// A payment as the books hold it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Booked {
    /// Its name at the platform.
    pub transaction: TransactionId,
    /// The number that was paid.
    pub order: OrderNo,
    /// What was paid, in fen; in another currency its smallest unit.
    pub total: u64,
    /// When it was booked.
    pub booked_at: Time,
    /// That currency, if it was no yuan that was paid.
    pub fee_type: Option<String>,
    /// What has become of it.
    pub disposition: Disposition,
}

/// A time of which the books know nothing, because they were put back from a copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gap {
    /// The last moment that the copy knows of.
    pub began: Time,
    /// When it was put back.
    pub ended: Time,
}

/// By so much the platform's clock and ours may differ.
const CLOCKS_DIFFER: Duration = Duration::from_secs(300);

impl Gap {
    /// Whether this payment, heard of now, may have bought something in that time, of which the books know nothing: it was
    /// made then, and its sale is not one that began since. One that does not say when it was made was, if the platform
    /// may still be telling what was made then.
    fn covers(&self, payment: &Payment, sale: Option<&Sale>, now: Time) -> bool {
        let from = self.began.before(CLOCKS_DIFFER).stamp();
        let to = self.ended.after(CLOCKS_DIFFER).stamp();
        let made_then = match &payment.time_end {
            Some(made) => (from..=to).contains(made),
            None => !now.is_past(self.ended, RETRIES_END),
        };
        made_then && sale.is_none_or(|sale| sale.began <= self.ended)
    }
}

/// One change to the books.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// A sale begins.
    NewSale {
        /// Its name.
        sale: SaleId,
        /// Whose it is.
        kiosk: KioskName,
        /// What is to be paid.
        total: Fen,
    },
    /// A sale gets a number.
    NewOrder {
        /// The number.
        order: OrderNo,
        /// The sale.
        sale: SaleId,
    },
    /// A payment is booked.
    NewPayment {
        /// The payment.
        payment: Payment,
        /// What becomes of it at first.
        disposition: Disposition,
    },
    /// A payment becomes something else.
    Disposed {
        /// The payment.
        transaction: TransactionId,
        /// What becomes of it.
        to: Disposition,
    },
    /// A sale is paid.
    Paid {
        /// The sale.
        sale: SaleId,
        /// By what.
        transaction: TransactionId,
    },
    /// A sale is claimed.
    Claimed {
        /// The sale.
        sale: SaleId,
        /// The claim.
        claim: ClaimId,
    },
    /// A sale ends.
    Ended {
        /// The sale.
        sale: SaleId,
        /// Where it stood: if it does not any more, the whole decision is void.
        from: SaleStatus,
        /// Where it stands now.
        to: SaleStatus,
    },
}

/// What a request does to the books, and its answer.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub struct Decision<A> {
    /// In this order.
    pub changes: Vec<Change>,
    /// Given only after the changes are durable.
    pub answer: A,
}

impl<A> Decision<A> {
    fn nothing(answer: A) -> Decision<A> {
        Decision {
            changes: Vec::new(),
            answer,
        }
    }
}

/// What came of a verified, paid notification.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It pays its sale.
    Pays(SaleId),
    /// Known already; nothing new.
    Known,
    /// Booked, and the money must go back.
    Refund(Reason),
    /// Booked, and a person must look.
    Review(Doubt),
    /// A known payment told differently: somebody is wrong, and nothing is changed.
    Contradiction,
}

impl Verdict {
    /// Whether the platform is told `success`: it then never notifies about this payment again.
    pub fn is_success(self) -> bool {
        match self {
            Verdict::Pays(_) | Verdict::Known | Verdict::Review(_) => true,
            Verdict::Refund(reason) => !matches!(reason, Reason::Amount | Reason::UnknownOrder),
            Verdict::Contradiction => false,
        }
    }
}

/// A verified payment arrives. `known` is what the books hold of this transaction, `sale` the sale of its number, and
/// `gaps` the times of which they know nothing.
pub fn pay(
    payment: &Payment,
    known: Option<&Booked>,
    sale: Option<&Sale>,
    (gaps, now): (&[Gap], Time),
) -> Decision<Verdict> {
    if let Some(known) = known {
        let same = known.order == payment.order
            && known.total == payment.total
            && known.fee_type == payment.fee_type;
        return Decision::nothing(if same {
            Verdict::Known
        } else {
            Verdict::Contradiction
        });
    }
    let booked = |disposition| Change::NewPayment {
        payment: payment.clone(),
        disposition,
    };
    let refund = |reason| Decision {
        changes: vec![booked(Disposition::RefundDue(reason))],
        answer: Verdict::Refund(reason),
    };
    // Whatever it is for: goods have their price in yuan.
    if payment.fee_type.is_some() {
        return refund(Reason::Currency);
    }
    // Its sale, or that it was paid and dispensed, may have been in the books that are lost.
    let is_open = sale.is_none_or(|sale| sale.status == SaleStatus::Open);
    if is_open && gaps.iter().any(|gap| gap.covers(payment, sale, now)) {
        return Decision {
            changes: vec![booked(Disposition::Review(Doubt::Gap))],
            answer: Verdict::Review(Doubt::Gap),
        };
    }
    let Some(sale) = sale else {
        return refund(Reason::UnknownOrder);
    };
    if payment.total != u64::from(sale.total.get()) && !planted::has(Bug::NoAmountCheck) {
        return refund(Reason::Amount);
    }
    match sale.status {
        SaleStatus::Open => Decision {
            changes: vec![
                booked(Disposition::Waiting),
                Change::Paid {
                    sale: sale.id,
                    transaction: payment.transaction,
                },
            ],
            answer: Verdict::Pays(sale.id),
        },
        SaleStatus::Closed if planted::has(Bug::LatePaymentForgotten) => {
            Decision::nothing(Verdict::Known)
        }
        SaleStatus::Closed => refund(Reason::Late),
        _ if planted::has(Bug::SecondPaymentRefused) => Decision::nothing(Verdict::Contradiction),
        _ => refund(Reason::Duplicate),
    }
}

/// Why an order number is not registered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotRegistered {
    /// The number, or the sale, is held with other particulars.
    Conflict,
    /// The sale stands where no further number is taken.
    SaleNotOpen(SaleStatus),
    /// The sale has [`MOST_NUMBERS`] already.
    TooManyNumbers,
}

/// A kiosk registers a number.
///
/// `holder` is the sale that holds the number already, `sale` the sale it is for, and `orphans` the payments that came
/// for the number before anybody knew it.
pub fn register(
    kiosk: KioskName,
    order: OrderNo,
    (id, total): (SaleId, Fen),
    holder: Option<&Sale>,
    sale: Option<&Sale>,
    (orphans, now): (&[Booked], Time),
) -> Decision<Result<bool, NotRegistered>> {
    let is_same = |held: &Sale| held.id == id && held.kiosk == kiosk && held.total == total;
    if let Some(holder) = holder {
        return Decision::nothing(if is_same(holder) {
            Ok(false)
        } else {
            Err(NotRegistered::Conflict)
        });
    }
    match sale {
        Some(sale) if !is_same(sale) => return Decision::nothing(Err(NotRegistered::Conflict)),
        Some(sale) if sale.status != SaleStatus::Open => {
            return Decision::nothing(Err(NotRegistered::SaleNotOpen(sale.status)));
        }
        Some(sale) if sale.orders.len() >= MOST_NUMBERS => {
            return Decision::nothing(Err(NotRegistered::TooManyNumbers));
        }
        _ => {}
    }
    let mut changes = Vec::new();
    if sale.is_none() {
        changes.push(Change::NewSale {
            sale: id,
            kiosk,
            total,
        });
    }
    changes.push(Change::NewOrder { order, sale: id });
    // A payment that came before its number was known pays the sale now, if its money has not gone back yet. An old one
    // does not: the platform repeats what it is not believed, so its number would have been registered by then.
    let pays = orphans.iter().find(|orphan| {
        orphan.disposition == Disposition::RefundDue(Reason::UnknownOrder)
            && orphan.total == u64::from(total.get())
            && !now.is_past(orphan.booked_at, RETRIES_END)
    });
    if let Some(orphan) = pays {
        changes.push(Change::Disposed {
            transaction: orphan.transaction,
            to: Disposition::Waiting,
        });
        changes.push(Change::Paid {
            sale: id,
            transaction: orphan.transaction,
        });
    }
    Decision {
        changes,
        answer: Ok(true),
    }
}

/// A kiosk claims a sale. The answer is the refusal's status, if it is refused.
pub fn claim(
    sale: &Sale,
    claim: ClaimId,
    now: Time,
    claim_time: Duration,
) -> Decision<Result<(), SaleStatus>> {
    let expired = expire(sale, now, claim_time);
    if let Some(changes) = expired.filter(|_| !planted::has(Bug::ClaimDeadlineIgnored)) {
        return Decision {
            changes,
            answer: Err(SaleStatus::Expired),
        };
    }
    match (sale.status, sale.claim) {
        (SaleStatus::Claimed, _) if planted::has(Bug::ClaimWithoutCompare) => {
            Decision::nothing(Ok(()))
        }
        (SaleStatus::Paid, _) => Decision {
            changes: vec![Change::Claimed {
                sale: sale.id,
                claim,
            }],
            answer: Ok(()),
        },
        // The same claim again is the same grant, until its outcome is known or a person has been asked: a kiosk whose
        // disk was put back must not dispense a second time.
        (SaleStatus::Claimed, Some((granted, _)))
            if granted == claim && sale.disposition == Some(Disposition::Waiting) =>
        {
            Decision::nothing(Ok(()))
        }
        (status, _) => Decision::nothing(Err(status)),
    }
}

/// A kiosk closes a sale. The answer is where it stands, if it is too late.
pub fn close(sale: &Sale, now: Time, claim_time: Duration) -> Decision<Result<(), SaleStatus>> {
    if let Some(expired) = expire(sale, now, claim_time) {
        return Decision {
            changes: expired,
            answer: Err(SaleStatus::Expired),
        };
    }
    match sale.status {
        SaleStatus::Open => Decision {
            changes: vec![Change::Ended {
                sale: sale.id,
                from: SaleStatus::Open,
                to: SaleStatus::Closed,
            }],
            answer: Ok(()),
        },
        SaleStatus::Closed => Decision::nothing(Ok(())),
        SaleStatus::Paid if planted::has(Bug::CloseOutsideTransaction) => Decision::nothing(Ok(())),
        status => Decision::nothing(Err(status)),
    }
}

/// A kiosk reports what came of its claim. The answer is where the sale stands, if that contradicts the report.
pub fn outcome(sale: &Sale, claim: ClaimId, outcome: Outcome) -> Decision<Result<(), SaleStatus>> {
    let is_claimant = sale.claim.is_some_and(|(granted, _)| granted == claim);
    if is_claimant && sale.status == outcome.status() {
        return Decision::nothing(Ok(()));
    }
    if !is_claimant || sale.status != SaleStatus::Claimed {
        return Decision::nothing(Err(sale.status));
    }
    let mut changes = vec![Change::Ended {
        sale: sale.id,
        from: SaleStatus::Claimed,
        to: outcome.status(),
    }];
    // A late report settles a silent claim; what a person has decided in the meantime stands.
    if let (
        Some((transaction, _)),
        Some(Disposition::Waiting | Disposition::Review(Doubt::Silent)),
    ) = (sale.paid, sale.disposition)
    {
        let to = match outcome {
            Outcome::Dispensed => Disposition::Dispensed,
            Outcome::NotDispensed => Disposition::RefundDue(Reason::NotDispensed),
            Outcome::Unknown => Disposition::Review(Doubt::Unknown),
        };
        if sale.disposition != Some(to) {
            changes.push(Change::Disposed { transaction, to });
        }
    }
    Decision {
        changes,
        answer: Ok(()),
    }
}

/// A paid sale that nobody claimed in time: its money goes back. Claim and expiry exclude each other.
pub fn expire(sale: &Sale, now: Time, claim_time: Duration) -> Option<Vec<Change>> {
    let (transaction, paid_at) = sale.paid?;
    if sale.status != SaleStatus::Paid || !now.is_past(paid_at, claim_time) {
        return None;
    }
    Some(vec![
        Change::Ended {
            sale: sale.id,
            from: SaleStatus::Paid,
            to: SaleStatus::Expired,
        },
        Change::Disposed {
            transaction,
            to: Disposition::RefundDue(Reason::Expired),
        },
    ])
}

/// A claimed sale whose kiosk has been silent for too long: a person must look. A late report still settles it.
pub fn fall_silent(sale: &Sale, now: Time) -> Option<Vec<Change>> {
    let (_, claimed_at) = sale.claim?;
    let (transaction, _) = sale.paid?;
    let waits =
        sale.status == SaleStatus::Claimed && sale.disposition == Some(Disposition::Waiting);
    (waits && now.is_past(claimed_at, SILENCE)).then(|| {
        vec![Change::Disposed {
            transaction,
            to: Disposition::Review(Doubt::Silent),
        }]
    })
}

/// An open sale that nobody has asked for since `asked_at`, or since it began, for too long: it is closed. A payment that
/// comes after that is late, as after any other close.
pub fn abandon(sale: &Sale, asked_at: Time, now: Time) -> Option<Vec<Change>> {
    let is_left = sale.status == SaleStatus::Open && now.is_past(sale.began.max(asked_at), UNASKED);
    is_left.then(|| {
        vec![Change::Ended {
            sale: sale.id,
            from: SaleStatus::Open,
            to: SaleStatus::Closed,
        }]
    })
}

/// What time alone does to a sale, if anything: it expires, its claim goes to review, or it is closed because nobody has
/// asked for it since `asked_at`.
pub fn lapse(sale: &Sale, now: Time, claim_time: Duration, asked_at: Time) -> Option<Vec<Change>> {
    expire(sale, now, claim_time)
        .or_else(|| fall_silent(sale, now))
        .or_else(|| abandon(sale, asked_at, now))
}

/// The books were put back from a copy. What this sale, as the copy has it, was paid for may have come out since: a person
/// must look. What was claimed goes to review as if its kiosk had been silent, so that its report still settles it.
pub fn put_back(sale: &Sale) -> Vec<Change> {
    let Some((transaction, _)) = sale.paid else {
        return Vec::new();
    };
    let doubted = |doubt| Change::Disposed {
        transaction,
        to: Disposition::Review(doubt),
    };
    match (sale.status, sale.disposition) {
        (SaleStatus::Paid, _) => vec![
            Change::Ended {
                sale: sale.id,
                from: SaleStatus::Paid,
                to: SaleStatus::Expired,
            },
            doubted(Doubt::Gap),
        ],
        (SaleStatus::Claimed, Some(Disposition::Waiting)) => vec![doubted(Doubt::Silent)],
        _ => Vec::new(),
    }
}

/// What came of a payment that only the platform's bill tells of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Billed {
    /// The books hold it meanwhile.
    Known,
    /// Its sale is open and its notification may still come: nothing is done.
    Awaited,
    /// Booked so.
    Booked(Disposition),
}

/// A payment that only the platform's bill tells of. Its customer has gone: the money goes back, nothing is dispensed. But
/// while its notification may still come, and its sale is open, that decides.
pub fn bill(
    payment: &Payment,
    known: Option<&Booked>,
    sale: Option<&Sale>,
    (gaps, now): (&[Gap], Time),
) -> Decision<Billed> {
    if known.is_some() {
        return Decision::nothing(Billed::Known);
    }
    let in_gap = gaps.iter().any(|gap| gap.covers(payment, sale, now));
    // One of that time was answered perhaps, and never comes again.
    let is_open = !in_gap && sale.is_some_and(|sale| sale.status == SaleStatus::Open);
    let may_come = |made: &String| *made >= now.before(RETRIES_END).stamp();
    if is_open && payment.time_end.as_ref().is_some_and(may_come) {
        return Decision::nothing(Billed::Awaited);
    }
    let disposition = match in_gap {
        true => Disposition::Review(Doubt::Gap),
        false => Disposition::RefundDue(Reason::BillOnly),
    };
    Decision {
        changes: vec![Change::NewPayment {
            payment: payment.clone(),
            disposition,
        }],
        answer: Billed::Booked(disposition),
    }
}

/// What a person has found out, or done, about a payment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// The goods came out.
    CameOut,
    /// Nothing came out: the money must go back.
    NothingCameOut,
    /// The money went back.
    MoneySent,
}

/// A person settles a review, or has sent a refund: a new line in the books, never a change of an old one. The answer is
/// where the payment stands, if there is nothing of that kind to settle.
pub fn settle(payment: &Booked, finding: Finding) -> Decision<Result<(), Disposition>> {
    let to = match (payment.disposition, finding) {
        (Disposition::Review(_), Finding::CameOut) => Disposition::Dispensed,
        (Disposition::Review(_), Finding::NothingCameOut) => {
            Disposition::RefundDue(Reason::Decided)
        }
        (Disposition::RefundDue(_), Finding::MoneySent) => Disposition::Refunded,
        // Somebody was faster, or clicked twice.
        (Disposition::Dispensed, Finding::CameOut)
        | (Disposition::RefundDue(Reason::Decided), Finding::NothingCameOut)
        | (Disposition::Refunded, Finding::MoneySent) => return Decision::nothing(Ok(())),
        (disposition, _) => return Decision::nothing(Err(disposition)),
    };
    Decision {
        changes: vec![Change::Disposed {
            transaction: payment.transaction,
            to,
        }],
        answer: Ok(()),
    }
}
