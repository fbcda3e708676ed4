//! The books within one transaction: facts are read from them, changes are made in them.

use crate::ids::{ClaimId, KioskName, OrderNo, SaleId, TransactionId};
use crate::merchant::ledger::{Booked, Change, Disposition, Gap, Sale, Time};
use crate::merchant::store::requests::Books;
use crate::merchant::store::sql::{Failed, Param, Row, Sql};
use crate::money::Fen;
use crate::sale::SaleStatus;

/// The books within one transaction of a database's.
pub struct SqlBooks<'a> {
    /// In which it was begun.
    pub sql: &'a dyn Sql,
    /// When it is.
    pub now: Time,
}

const SALE: &str =
    "SELECT sale, kiosk, total, status, created_at, paid_by, paid_at, claim, claimed_at,
    (SELECT state FROM books WHERE transaction_id = paid_by),
    (SELECT reason FROM books WHERE transaction_id = paid_by),
    (SELECT string_agg(order_no, ' ' ORDER BY place) FROM orders WHERE orders.sale = sales.sale)
    FROM sales WHERE ";

const BOOKED: &str = "SELECT transaction_id, order_no, total, state, reason FROM books WHERE ";

impl SqlBooks<'_> {
    fn sales(&self, condition: &str, params: &[Param<'_>]) -> Result<Vec<Sale>, Failed> {
        let statement = format!(
            "{SALE} {condition} ORDER BY created_at, sale {}",
            self.sql.locked()
        );
        let rows = self.sql.rows(&statement, params)?;
        rows.iter().map(read_sale).collect()
    }

    fn make_one(&self, change: &Change, body: &[u8]) -> Result<u64, Failed> {
        let run = |statement: &str, params: &[Param<'_>]| self.sql.execute(statement, params);
        let now = Param::Int(self.now.0);
        match change {
            Change::NewSale { sale, kiosk, total } => run(
                "INSERT INTO sales (sale, kiosk, total, created_at) VALUES (?1, ?2, ?3, ?4)",
                &[
                    sale.as_str().into(),
                    kiosk.as_str().into(),
                    i64::from(total.get()).into(),
                    now,
                ],
            ),
            Change::NewOrder { order, sale } => run(
                "INSERT INTO orders (order_no, sale, place, registered_at)
                 VALUES (?1, ?2, (SELECT count(*) FROM orders WHERE sale = ?2), ?3)",
                &[order.as_str().into(), sale.as_str().into(), now],
            ),
            Change::NewPayment {
                payment,
                disposition,
            } => {
                let total = i64::try_from(payment.total)
                    .map_err(|error| Failed::Nonsense(error.to_string()))?;
                let booked = run(
                    "INSERT INTO payments (transaction_id, order_no, total, trade_type, time_end, received_at, body)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    &[
                        payment.transaction.as_str().into(),
                        payment.order.as_str().into(),
                        total.into(),
                        (&payment.trade_type).into(),
                        (&payment.time_end).into(),
                        now,
                        body.into(),
                    ],
                )?;
                self.dispose(payment.transaction, *disposition)?;
                Ok(booked)
            }
            Change::Disposed { transaction, to } => self.dispose(*transaction, *to),
            Change::Paid { sale, transaction } => {
                self.sql.tell(sale.as_str())?;
                run(
                    "UPDATE sales SET status = 'paid', paid_by = ?2, paid_at = ?3 WHERE sale = ?1 AND status = 'open'",
                    &[sale.as_str().into(), transaction.as_str().into(), now],
                )
            }
            Change::Claimed { sale, claim } => run(
                "UPDATE sales SET status = 'claimed', claim = ?2, claimed_at = ?3 WHERE sale = ?1 AND status = 'paid'",
                &[sale.as_str().into(), claim.as_str().into(), now],
            ),
            Change::Status { sale, from, to } => {
                if *from == SaleStatus::Open {
                    self.sql.tell(sale.as_str())?;
                }
                run(
                    "UPDATE sales SET status = ?3, ended_at = ?4 WHERE sale = ?1 AND status = ?2",
                    &[
                        sale.as_str().into(),
                        from.as_str().into(),
                        to.as_str().into(),
                        now,
                    ],
                )
            }
        }
    }

    fn dispose(&self, transaction: TransactionId, to: Disposition) -> Result<u64, Failed> {
        let (state, reason) = to.words();
        self.sql.execute(
            "INSERT INTO dispositions (transaction_id, state, reason, at) VALUES (?1, ?2, ?3, ?4)",
            &[
                transaction.as_str().into(),
                state.into(),
                reason.into(),
                self.now.0.into(),
            ],
        )
    }
}

impl Books for SqlBooks<'_> {
    type Error = Failed;

    fn now(&self) -> Time {
        self.now
    }

    fn sale(&self, sale: SaleId) -> Result<Option<Sale>, Failed> {
        Ok(self.sales("sale = ?1", &[sale.as_str().into()])?.pop())
    }

    fn sale_of(&self, order: OrderNo) -> Result<Option<Sale>, Failed> {
        let has_number = "sale = (SELECT sale FROM orders WHERE order_no = ?1)";
        Ok(self.sales(has_number, &[order.as_str().into()])?.pop())
    }

    fn payment(&self, transaction: TransactionId) -> Result<Option<Booked>, Failed> {
        let statement = format!("{BOOKED} transaction_id = ?1");
        let rows = self.sql.rows(&statement, &[transaction.as_str().into()])?;
        rows.first().map(read_booked).transpose()
    }

    fn payments_of(&self, order: OrderNo) -> Result<Vec<Booked>, Failed> {
        let statement = format!("{BOOKED} order_no = ?1 ORDER BY received_at, transaction_id");
        let rows = self.sql.rows(&statement, &[order.as_str().into()])?;
        rows.iter().map(read_booked).collect()
    }

    fn live(&self, kiosk: KioskName) -> Result<Vec<Sale>, Failed> {
        let live = "status IN ('open', 'paid', 'claimed') AND kiosk = ?1";
        self.sales(live, &[kiosk.as_str().into()])
    }

    fn overdue(&self, expired: Time, silent: Time) -> Result<Vec<Sale>, Failed> {
        self.sales(
            "(status = 'paid' AND paid_at <= ?1) OR (status = 'claimed' AND claimed_at <= ?2
             AND (SELECT state FROM books WHERE transaction_id = paid_by) = 'waiting')",
            &[expired.0.into(), silent.0.into()],
        )
    }

    fn gaps(&self) -> Result<Vec<Gap>, Failed> {
        let rows = self.sql.rows("SELECT began, ended FROM gaps", &[])?;
        let read = |row: &Row| {
            Ok(Gap {
                began: Time(row.int(0)?),
                ended: Time(row.int(1)?),
            })
        };
        rows.iter().map(read).collect()
    }

    fn make(&mut self, changes: &[Change], body: &[u8]) -> Result<(), Failed> {
        for change in changes {
            if self.make_one(change, body)? != 1 {
                return Err(Failed::Stale);
            }
        }
        Ok(())
    }
}

fn read_sale(row: &Row) -> Result<Sale, Failed> {
    let paid: Option<TransactionId> = row.some_name(5, TransactionId::new)?;
    let claim: Option<ClaimId> = row.some_name(7, ClaimId::new)?;
    let time = |column| Ok::<_, Failed>(row.some_int(column)?.map(Time));
    let orders = row.some_text(11)?.unwrap_or_default();
    Ok(Sale {
        id: row.name(0, SaleId::new)?,
        kiosk: row.name(1, KioskName::new)?,
        total: read_total(row.int(2)?)?,
        status: row.name(3, SaleStatus::from_word)?,
        began: Time(row.int(4)?),
        orders: orders.split_whitespace().filter_map(OrderNo::new).collect(),
        paid: paid.zip(time(6)?),
        claim: claim.zip(time(8)?),
        disposition: read_disposition(row, 9)?,
    })
}

fn read_total(total: i64) -> Result<Fen, Failed> {
    let fen = u32::try_from(total).ok().and_then(Fen::new);
    fen.ok_or_else(|| Failed::Nonsense(format!("a sale of {total} fen")))
}

fn read_booked(row: &Row) -> Result<Booked, Failed> {
    let total = row.int(2)?;
    let nonsense = || Failed::Nonsense(format!("a payment of {total} fen that is nowhere"));
    Ok(Booked {
        transaction: row.name(0, TransactionId::new)?,
        order: row.name(1, OrderNo::new)?,
        total: total.try_into().map_err(|_| nonsense())?,
        disposition: read_disposition(row, 3)?.ok_or_else(nonsense)?,
    })
}

/// A disposition from two columns: state and reason.
fn read_disposition(row: &Row, column: usize) -> Result<Option<Disposition>, Failed> {
    match (row.some_text(column)?, row.some_text(column + 1)?) {
        (Some(state), Some(reason)) => Disposition::from_words(state, reason)
            .map(Some)
            .ok_or_else(|| Failed::Nonsense(format!("no payment is {state} {reason}"))),
        _ => Ok(None),
    }
}
