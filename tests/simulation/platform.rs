//! The platform: it holds orders, takes payments, and tells the merchant again and again until it hears `success`. Beside
//! it, those who would like to be the platform.

use std::collections::BTreeMap;
use std::sync::Arc;

use selpay_kiosk::ids::{OrderNo, TransactionId};
use selpay_kiosk::merchant::notify::{Worth, judge};
use selpay_kiosk::money::Fen;
use selpay_kiosk::paysim;
use selpay_kiosk::paysim::schedule::UnixMs;
use selpay_kiosk::selpay::notification::{Attempt, Payment};
use selpay_kiosk::selpay::sign::{self, SignKey};
use selpay_kiosk::selpay::xml;

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
    notification: Notification,
    /// What it says, where nobody has touched it.
    worth: Worth,
    heard: bool,
}

/// A notification.
#[derive(Clone, Copy)]
struct Notification {
    purchase: Purchase,
    serial: u64,
    /// When it was paid, by this world's clock.
    at: u64,
}

/// A notification as it arrives.
enum Arrival {
    /// As it was sent.
    Whole(usize),
    /// As somebody has made it.
    Bytes(Arc<[u8]>),
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
        let told = self.told.len();
        let notification = Notification {
            purchase,
            serial: told as u64,
            at: self.now,
        };
        let worth = notification.worth();
        if let Worth::Payment(payment) = &worth {
            let Purchase { order, total, .. } = purchase;
            self.oracle.paid(payment.transaction, order, total);
        }
        self.told.push(Told {
            notification,
            worth,
            heard: false,
        });
        self.after(delay, Happening::Notifies { told, attempt: 0 });
    }

    /// One attempt to tell the merchant.
    pub fn notifies(&mut self, told: usize, attempt: usize) {
        let fate = self.fate(Message::Notification);
        let success = match fate {
            Fate::Lost => false,
            Fate::Straggles(late) => {
                self.after(late, Happening::Notifies { told, attempt });
                return;
            }
            Fate::Garbled => {
                let mut garbled = self.told[told].notification.bytes(KEY);
                let cut = self.dice.within(0, garbled.len() as u64 - 1) as usize;
                match self.dice.chance(500) {
                    true => garbled.truncate(cut),
                    false => garbled[cut] ^= 1 << self.dice.within(0, 6),
                }
                // Believed it may be all the same: a letter of the signature may be of either case.
                let answers = self.delivers(&[Arrival::Bytes(garbled.into())]);
                answers.contains(&Some(true)) && self.was_told(told, &answers)
            }
            Fate::Doubled(0) => {
                // Both at once, in one commit.
                let answers = self.delivers(&[Arrival::Whole(told), Arrival::Whole(told)]);
                self.was_told(told, &answers)
            }
            Fate::Arrives | Fate::AnswerLost | Fate::Doubled(_) => {
                if let Fate::Doubled(later) = fate {
                    let attempt = RETRIES.len();
                    self.after(later, Happening::Notifies { told, attempt });
                }
                let answers = self.delivers(&[Arrival::Whole(told)]);
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
        if let Worth::Payment(payment) = &self.told[told].worth {
            for success in answers.iter().flatten() {
                self.oracle.told(payment.transaction, *success);
            }
        }
        answers.contains(&Some(true))
    }

    /// The merchant is told what is not true, or not readable.
    fn nonsense(&mut self, body: Vec<u8>) {
        self.note("nonsense", body.len() as u64);
        let arrival = Arrival::Bytes(body.into());
        for success in self.delivers(&[arrival]).into_iter().flatten() {
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
        let notification = Notification {
            purchase,
            serial: 1_000_000 + self.dice.within(0, 1000),
            at: self.now,
        };
        let signed = notification.bytes("a guess");
        let body = match self.dice.within(0, 3) {
            0 => signed,
            1 => {
                let text = String::from_utf8_lossy(&signed);
                let unsigned = text.replace("sign>", "sing>");
                unsigned.into_bytes()
            }
            2 => notification.cut_anew().into_bytes(),
            // A true message about another order, with this one's number in it.
            _ => match self.told.first() {
                Some(told) => {
                    let mut text = told.notification.text(KEY);
                    let at = text
                        .find("<out_trade_no>")
                        .expect("every message names its order");
                    let at = at + "<out_trade_no><![CDATA[".len();
                    if &text[at..at + 32] == order.as_str() {
                        return;
                    }
                    text.replace_range(at..at + 32, order.as_str());
                    text.into_bytes()
                }
                None => signed,
            },
        };
        self.nonsense(body);
    }

    /// The merchant's HTTP shell: what it makes of these notifications, and what it answers; `None` where nothing comes back.
    fn delivers(&mut self, arrivals: &[Arrival]) -> Vec<Option<bool>> {
        let mut answers = vec![None; arrivals.len()];
        if !self.merchant_is_up {
            return answers;
        }
        let mut questions = Vec::new();
        let mut places = Vec::new();
        for (place, arrival) in arrivals.iter().enumerate() {
            let (worth, body) = self.reads(arrival);
            match worth {
                Worth::Payment(payment) => {
                    questions.push(Question::Pay(payment, body));
                    places.push(place);
                }
                Worth::Attempt(_) => answers[place] = Some(true),
                _ => answers[place] = Some(false),
            }
        }
        self.commits(&questions, &mut |place, reply| {
            answers[places[place]] = match reply {
                Reply::Paid(verdict) => Some(verdict.is_success()),
                _ => Some(false),
            };
        });
        answers
    }

    /// What this is worth to the merchant. Where messages do not go over the wire, what nobody has touched says what was sent.
    fn reads(&self, arrival: &Arrival) -> (Worth, Arc<[u8]>) {
        let judged = |body: Arc<[u8]>| {
            let (worth, _) = judge(&body, &self.keys_of_merchant, &[MERCHANT_ID]);
            (worth, body)
        };
        match arrival {
            Arrival::Bytes(body) => judged(Arc::clone(body)),
            Arrival::Whole(told) => {
                let Told {
                    notification,
                    worth,
                    ..
                } = &self.told[*told];
                if !self.wire {
                    return (worth.clone(), Arc::default());
                }
                let (judged, body) = judged(notification.bytes(KEY).into());
                // Who does not believe it will be told of it by the oracle.
                assert!(
                    !judged.is_verified() || judged == *worth,
                    "the wire: {worth:?} was sent, and {judged:?} is read"
                );
                (judged, body)
            }
        }
    }
}

impl Notification {
    fn payment(&self) -> paysim::notification::Payment<'_> {
        paysim::notification::Payment {
            mch_id: MERCHANT_ID,
            order_no: self.purchase.order.as_str(),
            total_fee: self.purchase.total as u32,
            pay_result: if self.purchase.succeeds { "0" } else { "1" },
            trade_type: if self.serial % 3 == 0 {
                "pay.alipay.jspay"
            } else {
                "pay.weixin.jspay"
            },
            serial: self.serial,
            at: UnixMs(BEGINNING + self.at),
        }
    }

    fn text(&self, key: &str) -> String {
        self.payment().notification(key, false)
    }

    /// Somebody pays one fen on a number of their own, and has the platform sign what they like in `attach`. Cut in another
    /// way, the same signed text says this, and an unknown field swallows what is true.
    fn cut_anew(&self) -> String {
        let text = self.text(KEY);
        let sent = xml::read(text.as_bytes()).expect("a message");
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let mut wanted: BTreeMap<String, String> = sent.iter().map(owned).collect();
        wanted.retain(|name, _| name.as_str() > "attach" && name != "sign");
        let mut honest = wanted.clone();
        honest.insert("out_trade_no".to_owned(), "a-number-of-theirs".to_owned());
        honest.insert("total_fee".to_owned(), "1".to_owned());
        let text_of = |fields: &BTreeMap<String, String>| sign::string_to_sign(&fields.into());
        let swallowed = format!("&{}", text_of(&honest));
        honest.insert("attach".to_owned(), format!("x&{}&zz=", text_of(&wanted)));
        let key = SignKey::new(KEY).expect("a key");
        let signature = sign::signature(&(&honest).into(), &key);
        wanted.insert("attach".to_owned(), "x".to_owned());
        wanted.insert("zz".to_owned(), swallowed);
        wanted.insert("sign".to_owned(), signature);
        let elements = wanted
            .iter()
            .map(|(name, value)| format!("<{name}><![CDATA[{value}]]></{name}>"));
        format!("<xml>{}</xml>", elements.collect::<String>())
    }

    fn bytes(&self, key: &str) -> Vec<u8> {
        self.text(key).into_bytes()
    }

    /// What it is worth to who knows the key.
    fn worth(&self) -> Worth {
        let Purchase {
            order,
            total,
            succeeds,
        } = self.purchase;
        if !succeeds {
            return Worth::Attempt(Attempt {
                order: Some(order),
                what: "status=0 result_code=0 pay_result=1 pay_info=支付失败".to_owned(),
            });
        }
        let payment = self.payment();
        Worth::Payment(Payment {
            transaction: TransactionId::new(&payment.transaction_id()).expect("a name"),
            order,
            total,
            fee_type: None,
            trade_type: Some(payment.trade_type.to_owned()),
            time_end: Some(payment.time_end()),
        })
    }
}
