//! The platform: it holds orders, takes payments, and tells the merchant again and again until it hears `success`. Beside
//! it, those who would like to be the platform.

use std::sync::Arc;

use selpay_kiosk::ids::{OrderNo, TransactionId};
use selpay_kiosk::merchant::notify::{Worth, judge};
use selpay_kiosk::money::Fen;
use selpay_kiosk::paysim::notification;
use selpay_kiosk::paysim::schedule::UnixMs;

use crate::books::{Question, Reply};
use crate::story::{Fate, Message};
use crate::world::{Happening, World};

/// When the platform tries again after a notification that was not answered `success`, in seconds.
const RETRIES: [u64; 9] = [15, 15, 30, 180, 1800, 1800, 1800, 1800, 3600];
const MERCHANT_ID: &str = "7551000001";
pub const KEY: &str = "9d101c97133837e13dde2d32a5054abb";
/// When the world begins, in milliseconds since 1970.
const BEGINNING: u64 = 1_790_000_000_000;

/// What the merchant is told about one payment, and whether it has heard.
pub struct Told {
    transaction: TransactionId,
    body: Arc<[u8]>,
    /// Whether anything was paid.
    is_paid: bool,
    heard: bool,
}

/// A customer's payment.
#[derive(Clone, Copy, Debug)]
pub struct Purchase {
    pub order: OrderNo,
    pub total: u64,
    pub succeeds: bool,
}

impl World {
    /// Adds an order; whether the platform has not had that number before.
    pub fn add_order(&mut self, order: OrderNo, total: Fen) -> bool {
        self.orders.insert(order, total).is_none()
    }

    /// Somebody pays, and the merchant will be told.
    pub fn purchase(&mut self, purchase: Purchase) {
        let delay = match self.fails(self.faults.slow_notification) {
            true => self.dice.within(60_000, 3 * 3600 * 1000),
            false => self.dice.within(50, 1500),
        };
        self.purchase_and_tell(purchase, delay);
    }

    pub fn purchase_and_tell(&mut self, purchase: Purchase, delay: u64) {
        self.note("pays", purchase.total);
        let (transaction, body) = self.message(purchase, self.told.len() as u64, KEY);
        if purchase.succeeds {
            let Purchase { order, total, .. } = purchase;
            self.oracle.paid(transaction, order, total);
        }
        let told = self.told.len();
        self.told.push(Told {
            transaction,
            body,
            is_paid: purchase.succeeds,
            heard: false,
        });
        self.after(delay, Happening::Notifies { told, attempt: 0 });
    }

    fn message(&self, purchase: Purchase, serial: u64, key: &str) -> (TransactionId, Arc<[u8]>) {
        let alipay = serial % 3 == 0;
        let payment = notification::Payment {
            mch_id: MERCHANT_ID,
            order_no: purchase.order.as_str(),
            total_fee: purchase.total as u32,
            pay_result: if purchase.succeeds { "0" } else { "1" },
            trade_type: if alipay {
                "pay.alipay.jspay"
            } else {
                "pay.weixin.jspay"
            },
            serial,
            at: UnixMs(BEGINNING + self.now),
        };
        let transaction = TransactionId::new(&payment.transaction_id()).expect("a name");
        let body = payment.notification(key, false).into_bytes();
        (transaction, body.into())
    }

    /// One attempt to tell the merchant.
    pub fn notifies(&mut self, told: usize, attempt: usize) {
        let fate = self.fate(Message::Notification);
        let body = Arc::clone(&self.told[told].body);
        let success = match fate {
            Fate::Lost => false,
            Fate::Straggles(late) => {
                self.after(late, Happening::Notifies { told, attempt });
                return;
            }
            Fate::Garbled => {
                let cut = self.dice.within(0, body.len() as u64 - 1) as usize;
                let mut garbled = body.to_vec();
                match self.dice.chance(500) {
                    true => garbled.truncate(cut),
                    false => garbled[cut] ^= 1 << self.dice.within(0, 6),
                }
                // Believed it may be all the same: a letter of the signature may be of either case.
                let answers = self.delivers(&[garbled.into()]);
                answers.contains(&Some(true)) && self.was_told(told, &answers)
            }
            Fate::Doubled(0) => {
                // Both at once, in one commit.
                let answers = self.delivers(&[Arc::clone(&body), body]);
                self.was_told(told, &answers)
            }
            Fate::Arrives | Fate::AnswerLost | Fate::Doubled(_) => {
                if let Fate::Doubled(later) = fate {
                    let attempt = RETRIES.len();
                    self.after(later, Happening::Notifies { told, attempt });
                }
                let answers = self.delivers(&[body]);
                self.was_told(told, &answers) && fate != Fate::AnswerLost
            }
        };
        self.told[told].heard |= success;
        if let Some(wait) = RETRIES.get(attempt).filter(|_| !self.told[told].heard) {
            let attempt = attempt + 1;
            self.after(wait * 1000, Happening::Notifies { told, attempt });
        }
    }

    /// The merchant has answered, or not.
    fn was_told(&mut self, told: usize, answers: &[Option<bool>]) -> bool {
        let Told {
            transaction,
            is_paid,
            ..
        } = self.told[told];
        for success in answers.iter().flatten().filter(|_| is_paid) {
            self.oracle.told(transaction, *success);
        }
        answers.contains(&Some(true))
    }

    /// The merchant is told what is not true, or not readable.
    fn nonsense(&mut self, body: Arc<[u8]>) {
        self.note("nonsense", body.len() as u64);
        for success in self.delivers(&[body]).into_iter().flatten() {
            self.oracle.told_nonsense(success);
        }
    }

    /// Somebody who does not know the key tells that this order was paid.
    pub fn forges(&mut self, order: OrderNo, total: u64) {
        let purchase = Purchase {
            order,
            total,
            succeeds: true,
        };
        let serial = 1_000_000 + self.dice.within(0, 1000);
        let (_, signed) = self.message(purchase, serial, "a guess");
        let body: Arc<[u8]> = match self.dice.within(0, 2) {
            0 => signed,
            1 => {
                let text = String::from_utf8_lossy(&signed);
                let unsigned = text.replace("sign>", "sing>");
                unsigned.into_bytes().into()
            }
            // A true message about another order, with this one's number in it.
            _ => match self.told.first() {
                Some(told) => {
                    let text = String::from_utf8_lossy(&told.body);
                    let at = text
                        .find("<out_trade_no>")
                        .expect("every message names its order");
                    let mut text = text.into_owned();
                    let at = at + "<out_trade_no><![CDATA[".len();
                    if &text[at..at + 32] == order.as_str() {
                        return;
                    }
                    text.replace_range(at..at + 32, order.as_str());
                    text.into_bytes().into()
                }
                None => signed,
            },
        };
        self.nonsense(body);
    }

    /// The merchant's HTTP shell: what it makes of these bodies, and what it answers; `None` where nothing comes back.
    fn delivers(&mut self, bodies: &[Arc<[u8]>]) -> Vec<Option<bool>> {
        let mut answers = vec![None; bodies.len()];
        if !self.merchant_is_up {
            return answers;
        }
        let mut questions = Vec::new();
        let mut places = Vec::new();
        for (place, body) in bodies.iter().enumerate() {
            match judge(body, &self.keys_of_merchant, Some(MERCHANT_ID)).0 {
                Worth::Payment(payment) => {
                    questions.push(Question::Pay(payment, Arc::clone(body)));
                    places.push(place);
                }
                Worth::Attempt(_) => answers[place] = Some(true),
                _ => answers[place] = Some(false),
            }
        }
        for (place, reply) in self.commits(&questions) {
            answers[places[place]] = match reply {
                Reply::Paid(verdict) => Some(verdict.is_success()),
                _ => Some(false),
            };
        }
        answers
    }
}
