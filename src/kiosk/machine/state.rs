//! The machine's states. Each carries exactly its data, deadlines included; what shows and when to wake follow from it.

use core::time::Duration;

use crate::ids::{ClaimId, OrderNo, SaleCode, SaleId, ScanUrl};
use crate::kiosk::machine::amount::{Refusal, Typed};
use crate::kiosk::machine::backoff::Backoff;
use crate::kiosk::machine::instant::Instant;
use crate::kiosk::machine::screen::{self, Doing, Failure, Outage, Remark, Screen};
use crate::kiosk::machine::{GLAD_TIME, SORRY_TIME, STILL_HERE, TYPING_TIME};
use crate::money::Fen;

/// Where the kiosk is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// Before the first sale: what is left from before the last power cut is settled first.
    Starting(Starting),
    /// An amount is being typed, or nothing is.
    Typing(Typing),
    /// A number is on its way to the merchant and then to the platform.
    Placing(Placing),
    /// The code shows; the merchant is asked until the sale is paid.
    Paying(Paying),
    /// The sale is being closed.
    Leaving(Leaving),
    /// The merchant said "paid"; the claim is under way.
    Claiming(Claiming),
    /// The claim is granted, Start is on disk, the relay moves.
    Vending(Sale, ClaimId),
    /// How it ended is shown.
    Telling(Telling),
    /// The journal cannot be written: nothing is done any more.
    Halted,
}

/// One customer's intent to pay an exact amount.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sale {
    pub id: SaleId,
    pub total: Fen,
    /// How many numbers it has had. All of them stay live.
    pub order_count: u8,
    /// The number whose code was shown last: the one that the customer may have paid.
    pub shown: Option<OrderNo>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Starting {
    /// The question about unsettled sales.
    pub backoff: Backoff,
    /// Whether the merchant has answered it.
    pub answered: bool,
    /// Whether it is asked once more when all that it told is settled.
    pub asks_again: bool,
    /// What is wrong, if the first attempt failed.
    pub trouble: Option<Outage>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Typing {
    pub typed: Typed,
    pub refused: Option<(Refusal, Instant)>,
    pub clear_at: Instant,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placing {
    pub sale: Sale,
    pub order: OrderNo,
    /// The call that registers the number.
    pub register: Backoff,
    /// The code that showed before, where this is a regeneration.
    pub earlier: Option<Paying>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Paying {
    pub sale: Sale,
    pub order: OrderNo,
    pub url: ScanUrl,
    pub ends_at: Instant,
    pub poll: Backoff,
    /// When the merchant was asked last.
    pub asked_at: Instant,
    pub remark: Option<(Remark, Instant)>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leaving {
    pub sale: Sale,
    pub why: screen::Leaving,
    pub since: Instant,
    pub backoff: Backoff,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claiming {
    pub sale: Sale,
    pub claim: ClaimId,
    pub since: Instant,
    pub backoff: Backoff,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Telling {
    pub screen: Screen,
    pub until: Instant,
    /// What `#` sells again.
    pub again: Option<Fen>,
    /// A payment may still be heard of.
    pub watch: Option<Watch>,
}

/// A sale that is closed, while its customer may still stand there: a payment that comes now is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Watch {
    pub sale: Sale,
    /// The number to ask by.
    pub order: OrderNo,
    pub until: Instant,
    pub poll: Backoff,
}

impl State {
    pub fn starting(now: Instant, trouble: Option<Outage>) -> State {
        let mut backoff = Backoff::due(now);
        if trouble.is_some() {
            // The merchant has just refused us: asking again at once would only be refused again.
            backoff.due_at = Some(now + Duration::from_secs(5));
        }
        State::Starting(Starting {
            backoff,
            answered: false,
            asks_again: false,
            trouble,
        })
    }

    pub fn typing(now: Instant) -> State {
        State::Typing(Typing::empty(now))
    }

    /// The sale under way, if a code of it was shown, and what a customer is to be told if it cannot go on.
    pub fn shown_sale(&self) -> Option<(&Sale, Failure)> {
        let (sale, what) = match self {
            State::Placing(Placing { sale, .. })
            | State::Paying(Paying { sale, .. })
            | State::Leaving(Leaving { sale, .. })
            | State::Claiming(Claiming { sale, .. }) => (sale, Failure::InDoubt),
            State::Vending(sale, _) => (sale, Failure::Unknown),
            State::Starting(_) | State::Typing(_) | State::Telling(_) | State::Halted => {
                return None;
            }
        };
        sale.shown.map(|_| (sale, what))
    }

    pub fn screen(&self, now: Instant, pay_time: Duration) -> Screen {
        let one_moment = |doing, sale: &Sale| Screen::OneMoment {
            doing,
            total: Some(sale.total),
        };
        match self {
            State::Starting(Starting {
                trouble: Some(why), ..
            }) => Screen::OutOfService { why: *why },
            State::Starting(_) => Screen::OneMoment {
                doing: Doing::Starting,
                total: None,
            },
            State::Typing(typing) => Screen::Amount {
                typed: typing.typed.clone(),
                refused: typing.refused.map(|(refusal, _)| refusal),
            },
            State::Placing(placing) => one_moment(Doing::Placing, &placing.sale),
            State::Paying(paying) => Screen::Pay {
                total: paying.sale.total,
                url: paying.url,
                order: paying.order,
                seconds_left: (paying.ends_at - now).as_millis().div_ceil(1000) as u32,
                seconds: pay_time.as_secs() as u32,
                remark: paying.remark.map(|(remark, _)| remark),
            },
            State::Leaving(leaving) => one_moment(Doing::Closing, &leaving.sale),
            State::Claiming(claiming) => one_moment(Doing::Claiming, &claiming.sale),
            State::Vending(sale, _) => Screen::Paid { total: sale.total },
            State::Telling(telling) => telling.screen.clone(),
            State::Halted => Screen::OutOfService {
                why: Outage::Journal,
            },
        }
    }

    pub fn wake_at(&self) -> Option<Instant> {
        let earliest = |times: &[Option<Instant>]| times.iter().flatten().min().copied();
        match self {
            State::Starting(starting) => starting.backoff.due_at,
            State::Typing(typing) => {
                let clear_at = (!typing.typed.is_empty()).then_some(typing.clear_at);
                earliest(&[clear_at, typing.refused.map(|(_, until)| until)])
            }
            State::Paying(paying) => earliest(&[
                Some(paying.ends_at),
                paying.poll.due_at,
                paying.remark.map(|(_, until)| until),
            ]),
            State::Placing(placing) => placing.register.due_at,
            State::Leaving(leaving) => leaving.backoff.due_at,
            State::Claiming(claiming) => claiming.backoff.due_at,
            State::Telling(telling) => {
                let watch = telling.watch.as_ref();
                let poll = watch.and_then(|watch| watch.poll.due_at.filter(|at| *at < watch.until));
                earliest(&[Some(telling.until), poll])
            }
            State::Vending(..) | State::Halted => None,
        }
    }
}

impl Sale {
    /// So many numbers a sale can have.
    const MOST_ORDERS: u8 = 8;

    pub fn new(id: SaleId, total: Fen) -> Sale {
        Sale {
            id,
            total,
            order_count: 0,
            shown: None,
        }
    }

    /// Whether it can have no further number.
    pub fn is_full(&self) -> bool {
        self.order_count >= Sale::MOST_ORDERS
    }

    /// It gets one more number; `None` if it can have none.
    pub fn one_more(&mut self) -> Option<()> {
        if self.is_full() {
            return None;
        }
        self.order_count += 1;
        Some(())
    }
}

impl Typing {
    pub fn empty(now: Instant) -> Typing {
        Typing {
            typed: Typed::default(),
            refused: None,
            clear_at: now + TYPING_TIME,
        }
    }

    /// The same some time later: signs go away, and so does an amount that nobody confirms.
    pub fn at(mut self, now: Instant) -> Typing {
        self.refused.take_if(|(_, until)| now >= *until);
        if now >= self.clear_at {
            Typing::empty(now)
        } else {
            self
        }
    }
}

impl Telling {
    pub fn glad(screen: Screen, now: Instant) -> State {
        State::Telling(Telling {
            screen,
            until: now + GLAD_TIME,
            again: None,
            watch: None,
        })
    }

    /// No payment was heard of. If one is on its way, the customer must know by what name to ask for it.
    pub fn not_paid(sale: &Sale, why: screen::Leaving, now: Instant) -> State {
        let reference = SaleCode::of(sale.id);
        State::Telling(Telling {
            screen: Screen::NotPaid { why, reference },
            until: now + SORRY_TIME,
            again: None,
            watch: sale.shown.map(|order| Watch {
                sale: sale.clone(),
                order,
                until: now + STILL_HERE,
                poll: Backoff::due(now),
            }),
        })
    }

    /// Bad news. The reference is told where something may have been paid; where nothing can have been, `#` tries again.
    pub fn sorry(sale: &Sale, what: Failure, now: Instant) -> State {
        let unpaid = matches!(what, Failure::NoAnswer | Failure::Refused);
        let is_told = sale.shown.is_some() && !unpaid;
        let reference = is_told.then(|| SaleCode::of(sale.id));
        let screen = Screen::CouldNot {
            what,
            total: sale.total,
            reference,
        };
        State::Telling(Telling {
            screen,
            until: now + SORRY_TIME,
            again: unpaid.then_some(sale.total),
            watch: None,
        })
    }

    /// Whether this is the sale that may still be paid.
    pub fn watches(&self, sale: SaleId) -> bool {
        let watch = self.watch.as_ref();
        watch.is_some_and(|watch| watch.sale.id == sale)
    }

    /// Whether a stray key must not take the screen away: there is a reference on it.
    pub fn must_be_read(&self) -> bool {
        matches!(
            self.screen,
            Screen::CouldNot {
                reference: Some(_),
                ..
            }
        )
    }
}
