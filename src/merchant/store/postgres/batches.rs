//! What a group of requests writes: for each kind of change one statement, however many rows it writes.
//!
//! None asks again whether a change still finds what it was decided on. The schema does: unique keys and triggers refuse every
//! step that a sale or payment cannot take, and the whole group with it.

use crate::ids::{ClaimId, KioskName, OrderNo, SaleId, TransactionId};
use crate::merchant::ledger::{Disposition, Time};
use crate::merchant::store::packed;
use crate::merchant::store::postgres::CHANNEL;
use crate::merchant::store::sql::{Failed, Value};
use crate::money::Fen;
use crate::sale::SaleStatus;
use crate::selpay::notification::Payment;

/// A statement and the rows that it writes, as one array for each column.
#[derive(Debug)]
pub struct Batch {
    /// Its parameters are the arrays.
    pub statement: &'static str,
    /// The arrays, all of the same length.
    pub columns: Vec<Vec<Value>>,
}

impl Batch {
    fn new(statement: &'static str) -> Batch {
        Batch {
            statement,
            columns: Vec::new(),
        }
    }

    fn push<const N: usize>(&mut self, row: [Value; N]) {
        self.columns.resize_with(N, Vec::new);
        for (column, value) in self.columns.iter_mut().zip(row) {
            column.push(value);
        }
    }
}

const NEW_SALES: &str = "INSERT INTO sales (sale, kiosk, total, created_at)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])";
const NEW_ORDERS: &str = "INSERT INTO orders (order_no, sale, place, registered_at)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])";
const FOREIGN_PAYMENTS: &str = "INSERT INTO foreign_payments (transaction_id, fee_type, total)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])";
const NEW_PAYMENTS: &str = "INSERT INTO payments (transaction_id, order_no, total, trade_type, time_end, received_at, body)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::bytea[])";
// In the order in which they were made: the newest line counts.
const DISPOSITIONS: &str = "INSERT INTO dispositions (transaction_id, state, reason, at)
    SELECT transaction_id, state, reason, at FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
    WITH ORDINALITY AS made (transaction_id, state, reason, at, place) ORDER BY place";
// Not joined with the arrays: of a join PostgreSQL may think that reading every sale is best.
const PAID: &str =
    "UPDATE sales SET status = 'paid', paid_by = ($2::text[])[array_position($1::text[], sale)],
    paid_at = ($3::bigint[])[array_position($1::text[], sale)] WHERE sale = ANY($1::text[])";
const CLAIMED: &str =
    "UPDATE sales SET status = 'claimed', claim = ($2::text[])[array_position($1::text[], sale)],
    claimed_at = ($3::bigint[])[array_position($1::text[], sale)] WHERE sale = ANY($1::text[])";
const ENDED: &str = "UPDATE sales SET status = ($2::text[])[array_position($1::text[], sale)],
    ended_at = ($3::bigint[])[array_position($1::text[], sale)] WHERE sale = ANY($1::text[])";
const CHANGED: &str = "SELECT pg_notify(channel, sale) FROM unnest($1::text[], $2::text[]) AS changed (channel, sale)";

/// What a group writes.
#[derive(Debug)]
pub struct Batches {
    sales: Batch,
    orders: Batch,
    foreign: Batch,
    payments: Batch,
    dispositions: Batch,
    paid: Batch,
    claimed: Batch,
    ended: Batch,
    changed: Batch,
}

impl Default for Batches {
    fn default() -> Batches {
        Batches {
            sales: Batch::new(NEW_SALES),
            orders: Batch::new(NEW_ORDERS),
            foreign: Batch::new(FOREIGN_PAYMENTS),
            payments: Batch::new(NEW_PAYMENTS),
            dispositions: Batch::new(DISPOSITIONS),
            paid: Batch::new(PAID),
            claimed: Batch::new(CLAIMED),
            ended: Batch::new(ENDED),
            changed: Batch::new(CHANGED),
        }
    }
}

impl Batches {
    /// Those that write anything, in an order in which each finds what it names. A sale takes its steps in this order too.
    pub fn all(&self) -> impl Iterator<Item = &Batch> {
        let all = [
            &self.sales,
            &self.orders,
            &self.foreign,
            &self.payments,
            &self.dispositions,
            &self.paid,
            &self.claimed,
            &self.ended,
            &self.changed,
        ];
        all.into_iter().filter(|batch| !batch.columns.is_empty())
    }

    /// A sale begins.
    pub fn new_sale(&mut self, sale: SaleId, kiosk: KioskName, total: Fen, at: Time) {
        let total = Value::Int(total.get().into());
        self.sales
            .push([text(&sale.text()), text(kiosk.as_str()), total, time(at)]);
    }

    /// A sale gets a number, at this place among its numbers.
    pub fn new_order(&mut self, order: OrderNo, sale: SaleId, place: i64, at: Time) {
        let (order, sale) = (text(order.as_str()), text(&sale.text()));
        self.orders.push([order, sale, Value::Int(place), time(at)]);
    }

    /// A payment is booked.
    pub fn new_payment(&mut self, payment: &Payment, body: &[u8], at: Time) -> Result<(), Failed> {
        let transaction = || text(payment.transaction.as_str());
        let total = i64::try_from(payment.total);
        let mut total = total.map_err(|error| Failed::Nonsense(error.to_string()))?;
        // What was paid in another currency is no fen, and in no sum of them.
        if let Some(currency) = &payment.fee_type {
            self.foreign
                .push([transaction(), text(currency), Value::Int(total)]);
            total = 0;
        }
        self.payments.push([
            transaction(),
            text(payment.order.as_str()),
            Value::Int(total),
            some_text(payment.trade_type.as_deref()),
            some_text(payment.time_end.as_deref()),
            time(at),
            Value::Bytes(packed::pack(body).into_owned()),
        ]);
        Ok(())
    }

    /// A payment becomes this.
    pub fn disposed(&mut self, transaction: TransactionId, to: Disposition, at: Time) {
        let (state, reason) = to.words();
        self.dispositions.push([
            text(transaction.as_str()),
            text(state),
            text(reason),
            time(at),
        ]);
    }

    /// A sale is paid.
    pub fn paid(&mut self, sale: SaleId, by: TransactionId, at: Time) {
        self.paid
            .push([text(&sale.text()), text(by.as_str()), time(at)]);
        self.changed.push([text(CHANNEL), text(&sale.text())]);
    }

    /// A sale is claimed.
    pub fn claimed(&mut self, sale: SaleId, claim: ClaimId, at: Time) {
        self.claimed
            .push([text(&sale.text()), text(&claim.text()), time(at)]);
    }

    /// A sale ends.
    pub fn ended(&mut self, sale: SaleId, (from, to): (SaleStatus, SaleStatus), at: Time) {
        self.ended
            .push([text(&sale.text()), text(to.as_str()), time(at)]);
        if from == SaleStatus::Open {
            self.changed.push([text(CHANNEL), text(&sale.text())]);
        }
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn some_text(text: Option<&str>) -> Value {
    text.map_or(Value::Null, |text| Value::Text(text.to_owned()))
}

fn time(at: Time) -> Value {
    Value::Int(at.0)
}
