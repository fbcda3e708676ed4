//! The steps of a sale: what each reply does to it, and what is written down before anything is done.

use crate::ids::{ClaimId, OrderNo, SaleId};
use crate::kiosk::machine::backoff::Backoff;
use crate::kiosk::machine::effect::{Effect, Fact};
use crate::kiosk::machine::event::{NoReply, Standing};
use crate::kiosk::machine::owed::Duty;
use crate::kiosk::machine::screen::{Failure, Leaving, Outage, Remark, Screen};
use crate::kiosk::machine::state::{self, Claiming, Paying, Placing, Sale, State, Telling, Watch};
use crate::kiosk::machine::{
    CLAIM_PATIENCE, CLOSE_PATIENCE, Machine, POLL_EVERY, REGISTER_PATIENCE, REMARK_TIME,
    STILL_HERE, Turn, WATCH_EVERY,
};
use crate::money::Fen;
use crate::planted::{self, Bug};
use crate::sale::{Outcome, SaleStatus};

impl Machine {
    /// A sale begins: it is written down, then the merchant is to hold it.
    pub(super) fn begin(&mut self, total: Fen, turn: &mut Turn<'_>) -> State {
        let sale = Sale::new(SaleId::from_random(turn.random.draw()), total);
        turn.record(sale.id, Fact::Sale(total));
        self.place_again(sale, turn)
    }

    /// The first code of a sale, or one more where the power has taken the earlier one.
    pub(super) fn place_again(&mut self, mut sale: Sale, turn: &mut Turn<'_>) -> State {
        let order = OrderNo::from_random(turn.random.draw());
        self.place(&mut sale, order, turn);
        State::Placing(Placing {
            sale,
            order,
            register: Backoff::under_way(),
            earlier: None,
        })
    }

    /// A new number for the same sale. All earlier ones stay live at the merchant.
    pub(super) fn regenerate(&mut self, mut paying: Paying, turn: &mut Turn<'_>) -> State {
        if paying.sale.is_full() {
            paying.remark = Some((Remark::TooManyCodes, turn.now + REMARK_TIME));
            return State::Paying(paying);
        }
        let order = OrderNo::from_random(turn.random.draw());
        self.place(&mut paying.sale, order, turn);
        State::Placing(Placing {
            sale: paying.sale.clone(),
            order,
            register: Backoff::under_way(),
            earlier: Some(paying),
        })
    }

    fn place(&mut self, sale: &mut Sale, order: OrderNo, turn: &mut Turn<'_>) {
        sale.one_more()
            .expect("the caller looked whether there is room");
        turn.record(sale.id, Fact::Order(order));
        turn.emit(register(sale, order));
    }

    /// The merchant does not say that it holds the number. The call means the same when it comes again, so one bad answer costs
    /// no sale.
    pub(super) fn not_registered(
        &mut self,
        mut placing: Placing,
        why: NoReply,
        turn: &mut Turn<'_>,
    ) -> State {
        if !placing.register.has_failed() && matches!(why, NoReply::NoAnswer | NoReply::Later(_)) {
            placing.register.unanswered(why, turn.now, turn.random);
            if placing.register.due_at <= Some(turn.now + REGISTER_PATIENCE) {
                return State::Placing(placing);
            }
        }
        self.not_placed(placing, why, turn)
    }

    /// There will be no new code. The earlier one, if there is one, is still good.
    pub(super) fn not_placed(
        &mut self,
        placing: Placing,
        why: NoReply,
        turn: &mut Turn<'_>,
    ) -> State {
        if placing.earlier.is_some() && !self.dispenser_ready {
            return self.leave(placing.sale, Leaving::Withdrawn, turn);
        }
        if let Some(earlier) = placing.earlier {
            // The merchant refuses a number for a sale that is no longer open: asking tells what it is now.
            let poll = Backoff::due(turn.now);
            let remark = Some((Remark::NoNewCode, turn.now + REMARK_TIME));
            return State::Paying(Paying {
                poll,
                remark,
                ..earlier
            });
        }
        if placing.sale.shown.is_some() {
            // A code showed before the power cut, and may be paid: closing tells.
            return self.leave(placing.sale, Leaving::TimedOut, turn);
        }
        turn.record(placing.sale.id, Fact::Closing);
        self.give_up(placing.sale.id, turn);
        let what = match why {
            NoReply::NoAnswer | NoReply::Later(_) => Failure::NoAnswer,
            NoReply::Refused(_) => Failure::Refused,
            NoReply::NotAdmitted => return State::starting(turn.now, Some(Outage::NotAdmitted)),
        };
        Telling::sorry(&placing.sale, what, turn.now)
    }

    /// The customer leaves while a number is on its way: its code will never show.
    pub(super) fn leave_unplaced(&mut self, sale: Sale, turn: &mut Turn<'_>) -> State {
        if sale.shown.is_some() {
            return self.leave(sale, Leaving::Cancelled, turn);
        }
        turn.record(sale.id, Fact::Closing);
        self.give_up(sale.id, turn);
        State::typing(turn.now)
    }

    /// A sale that was being closed is not waited for any longer: this customer is told that it is over, and the next may
    /// come. A second `Closing` in the journal says so: it must not go on after a power cut.
    fn give_up(&mut self, sale: SaleId, turn: &mut Turn<'_>) {
        turn.record(sale, Fact::Closing);
        self.owe(sale, Duty::Close, turn);
    }

    pub(super) fn polled(
        &mut self,
        mut paying: Paying,
        result: Result<Standing, NoReply>,
        turn: &mut Turn<'_>,
    ) -> State {
        let useless = result.ok().and_then(|standing| standing.useless);
        match result.map(|standing| standing.status) {
            Ok(SaleStatus::Open) => {
                // A merchant that keeps us waiting until there is news is asked again at once.
                paying.poll = Backoff::due(turn.now.max(paying.asked_at + POLL_EVERY));
                paying
                    .remark
                    .take_if(|(remark, _)| *remark == Remark::Unconnected);
                if useless.is_some() {
                    paying.remark = Some((Remark::OtherAmount, paying.ends_at));
                }
                State::Paying(paying)
            }
            Ok(SaleStatus::Paid) if planted::has(Bug::PollTrusted) => {
                self.vend(paying.sale, ClaimId::from_random(turn.random.draw()), turn)
            }
            Ok(SaleStatus::Paid) => self.claim(paying.sale, turn),
            Ok(status) => self.over(paying.sale, status, Leaving::TimedOut, turn),
            Err(why) => {
                paying.poll.unanswered(why, turn.now, turn.random);
                paying.remark = Some((Remark::Unconnected, paying.ends_at));
                State::Paying(paying)
            }
        }
    }

    /// A sale that is over was asked for: was it paid meanwhile?
    pub(super) fn watched(
        &mut self,
        mut telling: Telling,
        mut watch: Watch,
        result: Result<Standing, NoReply>,
        turn: &mut Turn<'_>,
    ) -> State {
        match result {
            Ok(Standing {
                useless: Some(amount),
                ..
            }) => {
                let what = match amount == watch.sale.total {
                    true => Failure::TooLate,
                    false => Failure::OtherAmount,
                };
                return Telling::sorry(&watch.sale, what, turn.now);
            }
            Ok(_) => watch.poll = Backoff::due(turn.now + WATCH_EVERY),
            Err(why) => watch.poll.unanswered(why, turn.now, turn.random),
        }
        telling.watch = Some(watch);
        State::Telling(telling)
    }

    /// The customer leaves: the merchant is asked to close, and may say that it is too late.
    pub(super) fn leave(&mut self, sale: Sale, why: Leaving, turn: &mut Turn<'_>) -> State {
        turn.record(sale.id, Fact::Closing);
        turn.emit(Effect::Close { sale: sale.id });
        State::Leaving(state::Leaving {
            sale,
            why,
            since: turn.now,
            backoff: Backoff::under_way(),
        })
    }

    pub(super) fn closed(
        &mut self,
        mut leaving: state::Leaving,
        result: Result<(), NoReply>,
        turn: &mut Turn<'_>,
    ) -> State {
        let waited = turn.now - leaving.since;
        match result {
            Ok(()) => self.over(leaving.sale, SaleStatus::Closed, leaving.why, turn),
            // Too late to close: somebody paid. The customer gets the goods, if they can still be here.
            Err(NoReply::Refused(Some(SaleStatus::Paid))) if waited < STILL_HERE => {
                self.claim(leaving.sale, turn)
            }
            Err(NoReply::Refused(Some(status))) => {
                self.over(leaving.sale, status, leaving.why, turn)
            }
            Err(NoReply::Refused(None)) => {
                turn.record(leaving.sale.id, Fact::Settled);
                Telling::sorry(&leaving.sale, Failure::InDoubt, turn.now)
            }
            Err(why @ (NoReply::NoAnswer | NoReply::NotAdmitted | NoReply::Later(_)))
                if waited < CLOSE_PATIENCE =>
            {
                leaving.backoff.unanswered(why, turn.now, turn.random);
                State::Leaving(leaving)
            }
            Err(NoReply::NoAnswer | NoReply::NotAdmitted | NoReply::Later(_)) => {
                self.give_up(leaving.sale.id, turn);
                Telling::sorry(&leaving.sale, Failure::InDoubt, turn.now)
            }
        }
    }

    /// The merchant says how the sale has ended; nothing more is to be done for it.
    fn over(&mut self, sale: Sale, status: SaleStatus, why: Leaving, turn: &mut Turn<'_>) -> State {
        turn.record(sale.id, Fact::Settled);
        match status {
            SaleStatus::Closed => Telling::not_paid(&sale, why, turn.now),
            SaleStatus::Paid | SaleStatus::Expired => {
                Telling::sorry(&sale, Failure::TooLate, turn.now)
            }
            SaleStatus::NotDispensed => Telling::sorry(&sale, Failure::NotDispensed, turn.now),
            SaleStatus::Open
            | SaleStatus::Claimed
            | SaleStatus::Dispensed
            | SaleStatus::Unknown => Telling::sorry(&sale, Failure::Unknown, turn.now),
        }
    }

    pub(super) fn claim(&mut self, sale: Sale, turn: &mut Turn<'_>) -> State {
        let claim = ClaimId::from_random(turn.random.draw());
        turn.record(sale.id, Fact::Claim(claim));
        self.claim_as(claim, sale, turn)
    }

    /// Claims with a name that is in the journal.
    pub(super) fn claim_as(&mut self, claim: ClaimId, sale: Sale, turn: &mut Turn<'_>) -> State {
        turn.emit(Effect::Claim {
            sale: sale.id,
            claim,
        });
        State::Claiming(Claiming {
            sale,
            claim,
            since: turn.now,
            backoff: Backoff::under_way(),
        })
    }

    pub(super) fn claimed(
        &mut self,
        mut claiming: Claiming,
        result: Result<(), NoReply>,
        turn: &mut Turn<'_>,
    ) -> State {
        let Claiming { claim, since, .. } = claiming;
        let in_time = turn.now - since < CLAIM_PATIENCE;
        match result {
            Ok(()) if in_time && self.dispenser_ready => self.vend(claiming.sale, claim, turn),
            // No pulse has begun, so it is sure that nothing came out.
            Ok(()) => self.vended(claiming.sale, claim, Outcome::NotDispensed, turn),
            Err(NoReply::Refused(status)) => self.over(
                claiming.sale,
                status.unwrap_or(SaleStatus::Expired),
                Leaving::TimedOut,
                turn,
            ),
            Err(why @ (NoReply::NoAnswer | NoReply::NotAdmitted | NoReply::Later(_)))
                if in_time =>
            {
                claiming.backoff.unanswered(why, turn.now, turn.random);
                if planted::has(Bug::NewClaimAtEachRetry) {
                    claiming.claim = ClaimId::from_random(turn.random.draw());
                }
                State::Claiming(claiming)
            }
            Err(NoReply::NoAnswer | NoReply::NotAdmitted | NoReply::Later(_)) => {
                self.vended(claiming.sale, claim, Outcome::NotDispensed, turn)
            }
        }
    }

    /// The point of no return.
    fn vend(&mut self, sale: Sale, claim: ClaimId, turn: &mut Turn<'_>) -> State {
        turn.record(sale.id, Fact::Start);
        turn.emit(Effect::Pulse {
            sale: sale.id,
            total: sale.total,
        });
        State::Vending(sale, claim)
    }

    pub(super) fn vended(
        &mut self,
        sale: Sale,
        claim: ClaimId,
        outcome: Outcome,
        turn: &mut Turn<'_>,
    ) -> State {
        turn.record(sale.id, Fact::Done(outcome));
        self.owe(sale.id, Duty::Report(claim, outcome), turn);
        match outcome {
            Outcome::Dispensed => Telling::glad(Screen::ThankYou { total: sale.total }, turn.now),
            Outcome::NotDispensed => Telling::sorry(&sale, Failure::NotDispensed, turn.now),
            Outcome::Unknown => Telling::sorry(&sale, Failure::Unknown, turn.now),
        }
    }
}

/// The call that lets the merchant hold a number.
pub(super) fn register(sale: &Sale, order: OrderNo) -> Effect {
    Effect::Register {
        order,
        sale: sale.id,
        total: sale.total,
    }
}
