//! The books within one transaction: facts are read from them, changes are made in them.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::ids::{ClaimId, KioskName, OrderNo, SaleId, TransactionId};
use crate::merchant::ledger::{Booked, Change, Disposition, Sale, Time};
use crate::merchant::store::requests::Books;
use crate::money::Fen;
use crate::sale::SaleStatus;

/// The books within one transaction of SQLite's.
pub struct SqliteBooks<'a> {
    /// In which it was begun.
    pub connection: &'a Connection,
    /// When it is.
    pub now: Time,
}

const SALE: &str = "SELECT sale, kiosk, total, status, created_at, paid_by, paid_at, claim, claimed_at,
    (SELECT state FROM books WHERE transaction_id = paid_by) AS state,
    (SELECT reason FROM books WHERE transaction_id = paid_by) AS reason,
    (SELECT group_concat(order_no, ' ' ORDER BY place) FROM orders WHERE orders.sale = sales.sale) AS orders
    FROM sales WHERE ";

impl SqliteBooks<'_> {
    fn sales(&self, condition: &str, params: impl rusqlite::Params) -> rusqlite::Result<Vec<Sale>> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("{SALE} {condition} ORDER BY created_at, sale"))?;
        statement.query_map(params, read_sale)?.collect()
    }

    fn make_one(&self, change: &Change, body: &[u8]) -> rusqlite::Result<usize> {
        let run = |sql: &str, params: &[&dyn rusqlite::ToSql]| {
            self.connection.prepare_cached(sql)?.execute(params)
        };
        let now = self.now.0;
        match change {
            Change::NewSale { sale, kiosk, total } => run(
                "INSERT INTO sales (sale, kiosk, total, created_at) VALUES (?1, ?2, ?3, ?4)",
                &[&sale.as_str(), &kiosk.as_str(), &total.get(), &now],
            ),
            Change::NewOrder { order, sale } => run(
                "INSERT INTO orders (order_no, sale, place, registered_at)
                 VALUES (?1, ?2, (SELECT count(*) FROM orders WHERE sale = ?2), ?3)",
                &[&order.as_str(), &sale.as_str(), &now],
            ),
            Change::NewPayment {
                payment,
                disposition,
            } => {
                let total = i64::try_from(payment.total)
                    .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
                run(
                    "INSERT INTO payments (transaction_id, order_no, total, trade_type, time_end, received_at, body)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    &[&payment.transaction.as_str(), &payment.order.as_str(), &total, &payment.trade_type, &payment.time_end, &now, &body],
                )?;
                self.dispose(payment.transaction, *disposition)
            }
            Change::Disposed { transaction, to } => self.dispose(*transaction, *to),
            Change::Paid { sale, transaction } => run(
                "UPDATE sales SET status = 'paid', paid_by = ?2, paid_at = ?3 WHERE sale = ?1 AND status = 'open'",
                &[&sale.as_str(), &transaction.as_str(), &now],
            ),
            Change::Claimed { sale, claim } => run(
                "UPDATE sales SET status = 'claimed', claim = ?2, claimed_at = ?3 WHERE sale = ?1 AND status = 'paid'",
                &[&sale.as_str(), &claim.as_str(), &now],
            ),
            Change::Status { sale, from, to } => run(
                "UPDATE sales SET status = ?3, ended_at = ?4 WHERE sale = ?1 AND status = ?2",
                &[&sale.as_str(), &from.as_str(), &to.as_str(), &now],
            ),
        }
    }

    fn dispose(&self, transaction: TransactionId, to: Disposition) -> rusqlite::Result<usize> {
        let (state, reason) = to.words();
        self.connection
            .prepare_cached("INSERT INTO dispositions (transaction_id, state, reason, at) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![transaction.as_str(), state, reason, self.now.0])
    }
}

impl Books for SqliteBooks<'_> {
    type Error = rusqlite::Error;

    fn now(&self) -> Time {
        self.now
    }

    fn sale(&self, sale: SaleId) -> rusqlite::Result<Option<Sale>> {
        Ok(self.sales("sale = ?1", [sale.as_str()])?.pop())
    }

    fn sale_of(&self, order: OrderNo) -> rusqlite::Result<Option<Sale>> {
        let has_number = "sale = (SELECT sale FROM orders WHERE order_no = ?1)";
        Ok(self.sales(has_number, [order.as_str()])?.pop())
    }

    fn payment(&self, transaction: TransactionId) -> rusqlite::Result<Option<Booked>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT transaction_id, order_no, total, state, reason FROM books WHERE transaction_id = ?1",
        )?;
        statement
            .query_row([transaction.as_str()], read_booked)
            .optional()
    }

    fn payments_of(&self, order: OrderNo) -> rusqlite::Result<Vec<Booked>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT transaction_id, order_no, total, state, reason FROM books WHERE order_no = ?1
             ORDER BY received_at, transaction_id",
        )?;
        statement
            .query_map([order.as_str()], read_booked)?
            .collect()
    }

    fn live(&self, kiosk: KioskName) -> rusqlite::Result<Vec<Sale>> {
        let live = "status IN ('open', 'paid', 'claimed') AND kiosk = ?1";
        self.sales(live, [kiosk.as_str()])
    }

    fn overdue(&self, expired: Time, silent: Time) -> rusqlite::Result<Vec<Sale>> {
        self.sales(
            "(status = 'paid' AND paid_at <= ?1) OR (status = 'claimed' AND claimed_at <= ?2
             AND (SELECT state FROM books WHERE transaction_id = paid_by) = 'waiting')",
            params![expired.0, silent.0],
        )
    }

    fn make(&mut self, changes: &[Change], body: &[u8]) -> rusqlite::Result<()> {
        for change in changes {
            let changed = self.make_one(change, body)?;
            if changed != 1 {
                return Err(rusqlite::Error::StatementChangedRows(changed));
            }
        }
        Ok(())
    }
}

fn read_sale(row: &Row<'_>) -> rusqlite::Result<Sale> {
    let paid: Option<TransactionId> = optional_name(row, "paid_by", TransactionId::new)?;
    let claim: Option<ClaimId> = optional_name(row, "claim", ClaimId::new)?;
    let time =
        |column: &str| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(Time));
    let orders: Option<String> = row.get("orders")?;
    Ok(Sale {
        id: name(row, "sale", SaleId::new)?,
        kiosk: name(row, "kiosk", KioskName::new)?,
        total: Fen::new(row.get("total")?).ok_or_else(|| nonsense("total"))?,
        status: name(row, "status", SaleStatus::from_word)?,
        began: Time(row.get("created_at")?),
        orders: orders
            .unwrap_or_default()
            .split_whitespace()
            .filter_map(OrderNo::new)
            .collect(),
        paid: paid.zip(time("paid_at")?),
        claim: claim.zip(time("claimed_at")?),
        disposition: read_disposition(row)?,
    })
}

fn read_booked(row: &Row<'_>) -> rusqlite::Result<Booked> {
    Ok(Booked {
        transaction: name(row, "transaction_id", TransactionId::new)?,
        order: name(row, "order_no", OrderNo::new)?,
        total: row
            .get::<_, i64>("total")?
            .try_into()
            .map_err(|_| nonsense("total"))?,
        disposition: read_disposition(row)?.ok_or_else(|| nonsense("state"))?,
    })
}

fn read_disposition(row: &Row<'_>) -> rusqlite::Result<Option<Disposition>> {
    let words: (Option<String>, Option<String>) = (row.get("state")?, row.get("reason")?);
    match words {
        (Some(state), Some(reason)) => Disposition::from_words(&state, &reason)
            .map(Some)
            .ok_or_else(|| nonsense("state")),
        _ => Ok(None),
    }
}

fn name<T>(
    row: &Row<'_>,
    column: &'static str,
    read: fn(&str) -> Option<T>,
) -> rusqlite::Result<T> {
    read(&row.get::<_, String>(column)?).ok_or_else(|| nonsense(column))
}

fn optional_name<T>(
    row: &Row<'_>,
    column: &'static str,
    read: fn(&str) -> Option<T>,
) -> rusqlite::Result<Option<T>> {
    row.get::<_, Option<String>>(column)?
        .map(|text| read(&text).ok_or_else(|| nonsense(column)))
        .transpose()
}

fn nonsense(column: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(
        0,
        rusqlite::types::Type::Text,
        format!("the column {column} makes no sense").into(),
    )
}
