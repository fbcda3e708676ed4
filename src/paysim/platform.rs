//! The platform as a pure model: its orders, what customers pay, whom it tells and when, and how it fails on demand.
//!
//! No I/O, no clock, no randomness of its own: moments are arguments, and one seed makes all its ids. It must never
//! mark an order paid by a payment that failed, nor stop telling the merchant before it has heard `success`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::notification::Payment;
use super::schedule::{Schedule, UnixMs};

/// The only answer that ends the attempts.
const HEARD: &str = "success";
/// How much of an answer is kept, in characters.
const ANSWER_KEPT: usize = 200;
/// How a customer pays who says nothing else.
pub const WECHAT: &str = "pay.weixin.jspay";

/// The merchant's account at the platform. Not `Debug`: it holds the key.
#[derive(Clone)]
pub struct Account {
    /// The only `appKey` that may add orders; any, if there is none.
    pub app_key: Option<String>,
    /// The merchant's number; at most 15 letters and digits.
    pub mch_id: String,
    /// Signs the notifications.
    pub sign_key: String,
}

/// An order to be added, as it came in.
#[derive(Clone, Copy, Debug)]
pub struct NewOrder<'a> {
    /// Who adds it.
    pub app_key: &'a str,
    /// The merchant's number for it.
    pub order_no: &'a str,
    /// Its amount in fen.
    pub total: u64,
}

/// An order the platform holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// Who added it.
    pub app_key: String,
    /// The merchant's number for it; 1 to 32 of `A-Za-z0-9_-`.
    pub order_no: String,
    /// Its amount in fen, at least one.
    pub total: u32,
    /// Whether a payment for it has succeeded.
    pub paid: bool,
    /// Every attempt to tell the merchant, oldest first.
    pub deliveries: Vec<Delivery>,
}

/// One attempt to tell the merchant, and what came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// Which payment it was about.
    pub transaction_id: String,
    /// When it set out.
    pub at: UnixMs,
    /// The HTTP status of the answer; 0 if none came.
    pub status: u16,
    /// The answer's text, cut after 200 characters.
    pub answer: String,
}

/// What AddOrderInfo answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The order is added.
    Added(Order),
    /// It is not, and this is why.
    Refused(Refusal),
    /// It is added, but the answer comes far too late.
    Stalled(Order),
    /// It is added, but the answer is not what the document says.
    Garbled,
    /// It is added, but the answer leads the customer to somebody else.
    Foreign(Order),
}

/// Why an order was not added.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// The number was added before.
    #[error("订单号已存在")]
    Repeated,
    /// Not the merchant's key.
    #[error("appKey不存在")]
    UnknownAppKey,
    /// Not 1 to 32 of `A-Za-z0-9_-`.
    #[error("订单号不能为空，且只能由1至32位字母、数字、-、_组成")]
    BadOrderNo,
    /// Not a positive `int`.
    #[error("支付金额必须为正整数，单位为分")]
    BadTotal,
    /// It was told to refuse.
    #[error("系统繁忙，请稍后再试")]
    OnDemand,
}

/// How AddOrderInfo fails when it is told to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The order is refused and not kept.
    Refuse,
    /// The order is kept; the answer does not come.
    Stall,
    /// The order is kept; the answer is not JSON.
    Garbage,
    /// The order is kept; its `scanUrl` is at another host.
    Foreign,
}

/// What a customer does, and what goes wrong on the way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Purchase {
    /// The number that is paid.
    pub order_no: String,
    /// How many times it is paid.
    pub times: u32,
    /// Another amount than the order's.
    pub total_fee: Option<u32>,
    /// `0`, or why the payments fail.
    pub pay_result: String,
    /// How long the first notification takes to set out.
    pub delay_ms: u64,
    /// The notifications carry a wrong signature.
    pub bad_sign: bool,
    /// How it is paid.
    pub trade_type: String,
    /// Pay only if nobody has, as a customer's phone does.
    pub once: bool,
}

impl Purchase {
    /// One payment of the right amount with nothing wrong.
    pub fn of(order_no: &str) -> Purchase {
        Purchase {
            order_no: order_no.to_owned(),
            times: 1,
            total_fee: None,
            pay_result: "0".to_owned(),
            delay_ms: 0,
            bad_sign: false,
            trade_type: WECHAT.to_owned(),
            once: false,
        }
    }
}

/// Why nothing was paid.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotPaid {
    /// There is no such order.
    #[error("there is no order with this number")]
    UnknownOrder,
    /// It is paid, and was to be paid only once.
    #[error("this order is paid already")]
    AlreadyPaid,
}

/// Names one notification while it is under way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct NotificationId(u64);

/// A notification that must set out now.
#[derive(Clone, Debug)]
pub struct Due {
    /// Which one: [`Platform::answered`] wants to know.
    pub id: NotificationId,
    /// What to POST.
    pub body: Arc<str>,
}

/// A notification that the merchant has not confirmed yet.
struct Notification {
    order: usize,
    transaction_id: String,
    body: Arc<str>,
    attempts: usize,
    stage: Stage,
}

#[derive(Clone, Copy)]
enum Stage {
    Waiting { due_at: UnixMs },
    OnItsWay { since: UnixMs },
}

/// A fault and how often it is still to strike; for ever, if that is not said.
#[derive(Clone, Copy)]
struct Ordered {
    fault: Fault,
    left: Option<u32>,
}

/// The platform.
pub struct Platform {
    account: Account,
    schedule: Schedule,
    orders: Vec<Order>,
    by_number: HashMap<String, usize>,
    notifications: BTreeMap<NotificationId, Notification>,
    next_serial: u64,
    fault: Option<Ordered>,
}

impl Platform {
    /// A platform without orders. The seed makes its transaction ids differ from those of its other lives.
    pub fn new(account: Account, schedule: Schedule, seed: u64) -> Platform {
        Platform {
            account,
            schedule,
            orders: Vec::new(),
            by_number: HashMap::new(),
            notifications: BTreeMap::new(),
            next_serial: seed,
            fault: None,
        }
    }

    /// Adds an order. What the platform would refuse anyway spends no fault.
    pub fn add_order(&mut self, new: NewOrder<'_>) -> Answer {
        let order = match self.accept(new) {
            Ok(order) => order,
            Err(refusal) => return Answer::Refused(refusal),
        };
        let fault = self.spend_fault();
        if fault == Some(Fault::Refuse) {
            return Answer::Refused(Refusal::OnDemand);
        }
        self.by_number
            .insert(order.order_no.clone(), self.orders.len());
        self.orders.push(order.clone());
        match fault {
            Some(Fault::Stall) => Answer::Stalled(order),
            Some(Fault::Garbage) => Answer::Garbled,
            Some(Fault::Foreign) => Answer::Foreign(order),
            Some(Fault::Refuse) | None => Answer::Added(order),
        }
    }

    fn accept(&self, new: NewOrder<'_>) -> Result<Order, Refusal> {
        let known = match &self.account.app_key {
            Some(ours) => new.app_key == ours,
            None => is_word(new.app_key, 64),
        };
        if !known {
            return Err(Refusal::UnknownAppKey);
        }
        if !is_word(new.order_no, 32) {
            return Err(Refusal::BadOrderNo);
        }
        let total = amount(new.total).ok_or(Refusal::BadTotal)?;
        if self.by_number.contains_key(new.order_no) {
            return Err(Refusal::Repeated);
        }
        Ok(Order {
            app_key: new.app_key.to_owned(),
            order_no: new.order_no.to_owned(),
            total,
            paid: false,
            deliveries: Vec::new(),
        })
    }

    /// Lets the next `times` orders fail, all of them without `times`; none without a fault.
    pub fn fail(&mut self, fault: Option<Fault>, times: Option<u32>) {
        self.fault = fault.map(|fault| Ordered { fault, left: times });
    }

    fn spend_fault(&mut self) -> Option<Fault> {
        let ordered = self.fault.as_mut()?;
        let fault = ordered.fault;
        if let Some(left) = &mut ordered.left {
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => {
                    self.fault = None;
                    return None;
                }
            }
        }
        Some(fault)
    }

    /// A customer pays. Answers the ids of the payments; each has a notification that is due after the delay.
    pub fn pay(&mut self, now: UnixMs, purchase: &Purchase) -> Result<Vec<String>, NotPaid> {
        let place = *self
            .by_number
            .get(&purchase.order_no)
            .ok_or(NotPaid::UnknownOrder)?;
        if purchase.once && self.orders[place].paid {
            return Err(NotPaid::AlreadyPaid);
        }
        if purchase.pay_result == "0" {
            self.orders[place].paid = true;
        }
        Ok((0..purchase.times)
            .map(|_| self.notify(now, place, purchase))
            .collect())
    }

    fn notify(&mut self, now: UnixMs, place: usize, purchase: &Purchase) -> String {
        let serial = self.next_serial;
        self.next_serial = serial.wrapping_add(1);
        let payment = Payment {
            mch_id: &self.account.mch_id,
            order_no: &purchase.order_no,
            total_fee: purchase.total_fee.unwrap_or(self.orders[place].total),
            pay_result: &purchase.pay_result,
            trade_type: &purchase.trade_type,
            serial,
            at: now,
        };
        let transaction_id = payment.transaction_id();
        let body = payment.notification(&self.account.sign_key, purchase.bad_sign);
        let due_at = UnixMs(now.0.saturating_add(purchase.delay_ms));
        let notification = Notification {
            order: place,
            transaction_id: transaction_id.clone(),
            body: body.into(),
            attempts: 0,
            stage: Stage::Waiting { due_at },
        };
        self.notifications
            .insert(NotificationId(serial), notification);
        transaction_id
    }

    /// When [`Platform::take_due`] will have something next, if nothing else happens.
    pub fn wake_at(&self) -> Option<UnixMs> {
        let waiting =
            self.notifications
                .values()
                .filter_map(|notification| match notification.stage {
                    Stage::Waiting { due_at } => Some(due_at),
                    Stage::OnItsWay { .. } => None,
                });
        waiting.min()
    }

    /// The notifications that must set out now. Each is on its way until [`Platform::answered`].
    pub fn take_due(&mut self, now: UnixMs) -> Vec<Due> {
        let mut due = Vec::new();
        for (id, notification) in &mut self.notifications {
            if matches!(notification.stage, Stage::Waiting { due_at } if due_at <= now) {
                notification.stage = Stage::OnItsWay { since: now };
                let body = Arc::clone(&notification.body);
                due.push(Due { id: *id, body });
            }
        }
        due
    }

    /// The merchant has answered, or not: `status` 0. Only `success` with status 200 ends the attempts early.
    pub fn answered(&mut self, id: NotificationId, status: u16, answer: &str) {
        let Some(notification) = self.notifications.get_mut(&id) else {
            return;
        };
        let Stage::OnItsWay { since } = notification.stage else {
            return;
        };
        self.orders[notification.order].deliveries.push(Delivery {
            transaction_id: notification.transaction_id.clone(),
            at: since,
            status,
            answer: answer.chars().take(ANSWER_KEPT).collect(),
        });
        notification.attempts += 1;
        let heard = status == 200 && answer == HEARD;
        match self.schedule.wait_ms(notification.attempts) {
            Some(wait_ms) if !heard => {
                let due_at = UnixMs(since.0.saturating_add(wait_ms));
                notification.stage = Stage::Waiting { due_at };
            }
            _ => {
                self.notifications.remove(&id);
            }
        }
    }

    /// All orders, oldest first.
    pub fn orders(&self) -> &[Order] {
        &self.orders
    }

    /// The order with this number.
    pub fn order(&self, order_no: &str) -> Option<&Order> {
        Some(&self.orders[*self.by_number.get(order_no)?])
    }

    /// The newest order that nobody has paid; with `after`, only if it is newer than that one.
    pub fn newest_unpaid(&self, after: Option<&str>) -> Option<&Order> {
        let older = after
            .and_then(|number| self.by_number.get(number))
            .map_or(0, |place| place + 1);
        self.orders[older..].iter().rev().find(|order| !order.paid)
    }
}

/// An amount of fen as the platform takes it: a positive Java `int`.
pub fn amount(total: u64) -> Option<u32> {
    i32::try_from(total)
        .ok()
        .filter(|total| *total > 0)
        .map(i32::unsigned_abs)
}

/// Whether the text is 1 to `longest` of `A-Za-z0-9_-`.
pub fn is_word(text: &str, longest: usize) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    (1..=longest).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests;
