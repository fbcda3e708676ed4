//! The books within one transaction: facts are read from them, changes are made in them.

use crate::ids::{ClaimId, KioskName, OrderNo, SaleId, TransactionId};
use crate::merchant::ledger::{Booked, Change, Disposition, Gap, Sale, Time};
use crate::merchant::store::packed;
use crate::merchant::store::requests::{Books, Deadlines, Facts};
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

/// Numbers come with their places, in any order: sorted here, SQLite needs no table of its own to sort them in.
pub(super) const SALE: &str =
    "SELECT sale, kiosk, total, status, created_at, paid_by, paid_at, claim, claimed_at,
    (SELECT state || '/' || reason FROM books WHERE transaction_id = paid_by),
    (SELECT string_agg(place || '/' || order_no, ' ') FROM orders WHERE orders.sale = sales.sale)
    FROM sales WHERE";

/// Sales that have not ended, in the words of the index `sales_live`: in others SQLite does not know it again, and reads every
/// sale there ever was.
pub(super) const LIVE: &str = "ended_at IS NULL";

const BOOKED: &str =
    "SELECT transaction_id, order_no, total, state || '/' || reason, received_at FROM books WHERE ";

impl SqlBooks<'_> {
    fn sales(&self, condition: &str, params: &[Param<'_>]) -> Result<Vec<Sale>, Failed> {
        let statement = format!("{SALE} {condition}");
        let rows = self.sql.rows(&statement, params)?;
        let sales: Result<Vec<Sale>, Failed> = rows.iter().map(read_sale).collect();
        let mut sales = sales?;
        // Asked for an order, SQLite walks through all sales by time.
        sales.sort_unstable_by_key(|sale| (sale.began, sale.id));
        Ok(sales)
    }

    fn make_one(&self, change: &Change, body: &[u8]) -> Result<u64, Failed> {
        let run = |statement: &str, params: &[Param<'_>]| self.sql.execute(statement, params);
        let now = Param::Int(self.now.0);
        match change {
            Change::NewSale { sale, kiosk, total } => run(
                "INSERT INTO sales (sale, kiosk, total, created_at) VALUES (?1, ?2, ?3, ?4)",
                &[
                    (&sale.text()).into(),
                    kiosk.as_str().into(),
                    i64::from(total.get()).into(),
                    now,
                ],
            ),
            Change::NewOrder { order, sale } => run(
                "INSERT INTO orders (order_no, sale, place, registered_at)
                 VALUES (?1, ?2, (SELECT count(*) FROM orders WHERE sale = ?2), ?3)",
                &[order.as_str().into(), (&sale.text()).into(), now],
            ),
            Change::NewPayment {
                payment,
                disposition,
            } => {
                let total = i64::try_from(payment.total)
                    .map_err(|error| Failed::Nonsense(error.to_string()))?;
                // What was paid in another currency is no fen, and in no sum of them.
                let total = match &payment.fee_type {
                    None => total,
                    Some(currency) => {
                        let foreign = [
                            payment.transaction.as_str().into(),
                            currency.into(),
                            total.into(),
                        ];
                        run(
                            "INSERT INTO foreign_payments (transaction_id, fee_type, total) VALUES (?1, ?2, ?3)",
                            &foreign,
                        )?;
                        0
                    }
                };
                let (state, reason) = disposition.words();
                let insert = format!(
                    "INSERT {} INTO payments (transaction_id, order_no, total, trade_type, time_end, received_at, body,
                        first_state, first_reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                    self.sql.or_fail()
                );
                run(
                    &insert,
                    &[
                        payment.transaction.as_str().into(),
                        payment.order.as_str().into(),
                        total.into(),
                        (&payment.trade_type).into(),
                        (&payment.time_end).into(),
                        now,
                        (&*packed::pack(body)).into(),
                        state.into(),
                        reason.into(),
                    ],
                )
            }
            Change::Disposed { transaction, to } => self.dispose(*transaction, *to),
            Change::Paid { sale, transaction } => {
                self.sql.tell(&sale.text())?;
                let update = format!(
                    "UPDATE {} sales SET status = 'paid', paid_by = ?2, paid_at = ?3 WHERE sale = ?1 AND status = 'open'",
                    self.sql.or_fail()
                );
                run(
                    &update,
                    &[(&sale.text()).into(), transaction.as_str().into(), now],
                )
            }
            Change::Claimed { sale, claim } => run(
                "UPDATE sales SET status = 'claimed', claim = ?2, claimed_at = ?3 WHERE sale = ?1 AND status = 'paid'",
                &[(&sale.text()).into(), (&claim.text()).into(), now],
            ),
            Change::Ended { sale, from, to } => {
                if *from == SaleStatus::Open {
                    self.sql.tell(&sale.text())?;
                }
                run(
                    "UPDATE sales SET status = ?3, ended_at = ?4 WHERE sale = ?1 AND status = ?2",
                    &[
                        (&sale.text()).into(),
                        from.as_str().into(),
                        to.as_str().into(),
                        now,
                    ],
                )
            }
        }
    }

    fn booked(&self, row: &Row) -> Result<Booked, Failed> {
        const FOREIGN: &str =
            "SELECT fee_type, total FROM foreign_payments WHERE transaction_id = ?1";
        let mut booked = read_booked(row)?;
        if booked.total == 0 {
            let foreign = self
                .sql
                .rows(FOREIGN, &[booked.transaction.as_str().into()])?;
            if let Some(row) = foreign.first() {
                booked.fee_type = Some(row.text(0)?.to_owned());
                booked.total = read_amount(row.int(1)?)?;
            }
        }
        Ok(booked)
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
        Ok(self.sales("sale = ?1", &[(&sale.text()).into()])?.pop())
    }

    fn sale_of(&self, order: OrderNo) -> Result<Option<Sale>, Failed> {
        let has_number = "sale = (SELECT sale FROM orders WHERE order_no = ?1)";
        Ok(self.sales(has_number, &[order.as_str().into()])?.pop())
    }

    fn payment(&self, transaction: TransactionId) -> Result<Option<Booked>, Failed> {
        let statement = format!("{BOOKED} transaction_id = ?1");
        let rows = self.sql.rows(&statement, &[transaction.as_str().into()])?;
        rows.first().map(|row| self.booked(row)).transpose()
    }

    fn facts(&self, transaction: TransactionId, order: OrderNo) -> Result<Facts, Failed> {
        /// Nearly always: an open sale, a new payment, no gap. All in one statement.
        const USUAL: &str = "SELECT s.sale, s.kiosk, s.total, s.created_at FROM orders o JOIN sales s ON s.sale = o.sale
            WHERE o.order_no = ?1 AND s.status = 'open'
            AND NOT EXISTS (SELECT 1 FROM payments WHERE transaction_id = ?2) AND NOT EXISTS (SELECT 1 FROM gaps)";
        let asked = [order.as_str().into(), transaction.as_str().into()];
        if let Some(row) = self.sql.rows(USUAL, &asked)?.first() {
            let sale = Sale {
                id: row.name(0, SaleId::new)?,
                kiosk: row.name(1, KioskName::new)?,
                total: read_total(row.int(2)?)?,
                status: SaleStatus::Open,
                began: Time(row.int(3)?),
                orders: vec![order],
                paid: None,
                claim: None,
                disposition: None,
            };
            return Ok((None, Some(sale), Vec::new()));
        }
        Ok((
            self.payment(transaction)?,
            self.sale_of(order)?,
            self.gaps()?,
        ))
    }

    fn payments_of(&self, order: OrderNo) -> Result<Vec<Booked>, Failed> {
        // One that waited at first is that of the number's sale: it is in no index by numbers.
        let statement = format!(
            "{BOOKED} transaction_id IN (SELECT transaction_id FROM payments
                WHERE order_no = ?1 AND first_state IS DISTINCT FROM 'waiting'
             UNION ALL SELECT s.paid_by FROM orders o JOIN sales s ON s.sale = o.sale WHERE o.order_no = ?1)
             AND order_no = ?1 ORDER BY received_at, transaction_id"
        );
        let rows = self.sql.rows(&statement, &[order.as_str().into()])?;
        rows.iter().map(|row| self.booked(row)).collect()
    }

    fn live(
        &self,
        kiosk: KioskName,
        after: Option<SaleId>,
        most: usize,
    ) -> Result<Vec<Sale>, Failed> {
        let kiosk = kiosk.as_str();
        let after = after.map_or(String::new(), |after| after.to_string());
        // Asked for an order, SQLite walks through all sales by time: the names of a kiosk's few are sorted here.
        let names = format!(
            "SELECT created_at, sale FROM sales WHERE {LIVE} AND kiosk = ?1 AND (?2 = ''
             OR (created_at, sale) > (SELECT l.created_at, l.sale FROM sales l WHERE l.sale = ?2))"
        );
        let rows = self.sql.rows(&names, &[kiosk.into(), (&after).into()])?;
        let read = |row: &Row| Ok((Time(row.int(0)?), row.name(1, SaleId::new)?));
        let mut names = rows.iter().map(read).collect::<Result<Vec<_>, Failed>>()?;
        names.sort_unstable();
        names.truncate(most);
        let (Some((first, _)), Some((last, _))) = (names.first(), names.last()) else {
            return Ok(Vec::new());
        };
        let between = format!("{LIVE} AND kiosk = ?1 AND created_at >= ?2 AND created_at <= ?3");
        let asked = [kiosk.into(), first.0.into(), last.0.into()];
        let mut sales = self.sales(&between, &asked)?;
        sales.retain(|sale| names.binary_search(&(sale.began, sale.id)).is_ok());
        Ok(sales)
    }

    fn overdue(&self, deadlines: Deadlines) -> Result<Vec<Sale>, Failed> {
        let late = format!(
            "{LIVE} AND ((status = 'paid' AND paid_at <= ?1) OR (status = 'claimed' AND claimed_at <= ?2
             AND (SELECT state FROM books WHERE transaction_id = paid_by) = 'waiting')
             OR (status = 'open' AND created_at <= ?3
             AND NOT EXISTS (SELECT 1 FROM asked WHERE asked.sale = sales.sale AND asked.at > ?3)))"
        );
        let Deadlines {
            paid,
            claimed,
            asked,
        } = deadlines;
        self.sales(&late, &[paid.0.into(), claimed.0.into(), asked.0.into()])
    }

    fn gaps(&self) -> Result<Vec<Gap>, Failed> {
        let rows = self.sql.rows("SELECT began, ended FROM gaps", &[])?;
        rows.iter().map(read_gap).collect()
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

/// How many of a kiosk's sales have not ended; no more than so many are counted.
pub fn live_count(sql: &dyn Sql, kiosk: KioskName, most: i64) -> Result<usize, Failed> {
    let some = format!("SELECT 1 FROM sales WHERE {LIVE} AND kiosk = ?1 LIMIT ?2");
    let rows = sql.rows(&some, &[kiosk.as_str().into(), most.into()])?;
    Ok(rows.len())
}

pub(super) fn read_sale(row: &Row) -> Result<Sale, Failed> {
    let paid: Option<TransactionId> = row.some_name(5, TransactionId::new)?;
    let claim: Option<ClaimId> = row.some_name(7, ClaimId::new)?;
    let time = |column| Ok::<_, Failed>(row.some_int(column)?.map(Time));
    let disposition = row.some_text(9)?;
    Ok(Sale {
        id: row.name(0, SaleId::new)?,
        kiosk: row.name(1, KioskName::new)?,
        total: read_total(row.int(2)?)?,
        status: row.name(3, SaleStatus::from_word)?,
        began: Time(row.int(4)?),
        orders: read_orders(row.some_text(10)?.unwrap_or_default())?,
        paid: paid.zip(time(6)?),
        claim: claim.zip(time(8)?),
        disposition: disposition.map(read_disposition).transpose()?,
    })
}

/// Numbers with their places, in any order.
fn read_orders(text: &str) -> Result<Vec<OrderNo>, Failed> {
    let placed = |text: &str| {
        let (place, order) = text.split_once('/')?;
        Some((place.parse().ok()?, OrderNo::new(order)?))
    };
    let orders = text.split_terminator(' ').map(placed);
    let orders: Option<Vec<(u32, OrderNo)>> = orders.collect();
    let mut orders = orders.ok_or_else(|| Failed::Nonsense(format!("numbers like {text}")))?;
    orders.sort_unstable_by_key(|(place, _)| *place);
    Ok(orders.into_iter().map(|(_, order)| order).collect())
}

fn read_total(total: i64) -> Result<Fen, Failed> {
    let fen = u32::try_from(total).ok().and_then(Fen::new);
    fen.ok_or_else(|| Failed::Nonsense(format!("a sale of {total} fen")))
}

pub(super) fn read_amount(total: i64) -> Result<u64, Failed> {
    u64::try_from(total).map_err(|_| Failed::Nonsense(format!("a payment of {total}")))
}

pub(super) fn read_booked(row: &Row) -> Result<Booked, Failed> {
    let total = row.int(2)?;
    let nonsense = || Failed::Nonsense(format!("a payment of {total} fen that is nowhere"));
    Ok(Booked {
        transaction: row.name(0, TransactionId::new)?,
        order: row.name(1, OrderNo::new)?,
        total: read_amount(total)?,
        booked_at: Time(row.int(4)?),
        fee_type: None,
        disposition: read_disposition(row.some_text(3)?.ok_or_else(nonsense)?)?,
    })
}

pub(super) fn read_gap(row: &Row) -> Result<Gap, Failed> {
    Ok(Gap {
        began: Time(row.int(0)?),
        ended: Time(row.int(1)?),
    })
}

/// State and reason: `refund-due/late`, `waiting/`.
fn read_disposition(text: &str) -> Result<Disposition, Failed> {
    let words = text.split_once('/');
    let disposition = words.and_then(|(state, reason)| Disposition::from_words(state, reason));
    disposition.ok_or_else(|| Failed::Nonsense(format!("no payment is {text}")))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use rusqlite::Connection;

    use super::*;
    use crate::api;
    use crate::merchant::ledger::{Finding, Verdict};
    use crate::merchant::store::{asked, bills, kiosks, reports, requests, schema, story, sums};
    use crate::sale::Outcome;
    use crate::selpay::notification::Payment;

    /// Keeps what SQLite says it does for each statement.
    struct Explained {
        connection: Connection,
        plans: RefCell<Vec<(String, String)>>,
    }

    impl Explained {
        fn explain(&self, statement: &str, params: &[Param<'_>]) -> Result<(), Failed> {
            let plan = format!("EXPLAIN QUERY PLAN {statement}");
            for step in self.connection.rows(&plan, params)? {
                let step = (step.text(3)?.to_owned(), statement.to_owned());
                self.plans.borrow_mut().push(step);
            }
            Ok(())
        }
    }

    impl Sql for Explained {
        fn execute(&self, statement: &str, params: &[Param<'_>]) -> Result<u64, Failed> {
            self.explain(statement, params)?;
            Sql::execute(&self.connection, statement, params)
        }

        fn rows(&self, statement: &str, params: &[Param<'_>]) -> Result<Vec<Row>, Failed> {
            self.explain(statement, params)?;
            self.connection.rows(statement, params)
        }
    }

    #[test]
    fn no_request_reads_everything_that_ever_was() {
        const HOUR: Duration = Duration::from_secs(3600);
        // Each of these is small, or is walked in its own order and left when enough was found.
        const NOT_MUCH: [&str; 19] = [
            "SCAN booked",
            "SCAN sums",
            "SCAN CONSTANT ROW",
            "SCAN asked",
            "SCAN gaps",
            "SCAN sales USING INDEX sales_live",
            "SCAN s USING INDEX sales_live",
            "SCAN counted",
            "SCAN tallies",
            "SCAN kiosks",
            "SCAN quarantine",
            "SCAN newest",
            "SCAN unpaid",
            "SCAN next",
            "SCAN live",
            "SCAN leases",
            "SCAN 2 CONSTANT ROWS",
            "SCAN (subquery-1)",
            "SCAN (subquery-2)",
        ];
        let connection = Connection::open_in_memory().expect("memory");
        schema::sqlite::migrate(&connection).expect("a schema");
        let sql = Explained {
            connection,
            plans: RefCell::default(),
        };
        let books = &mut SqlBooks {
            sql: &sql,
            now: Time(1_000_000_000_000),
        };
        let (kiosk, total) = (
            KioskName::new("kiosk-1").expect("a name"),
            Fen::new(350).expect("an amount"),
        );
        let sale = |number| SaleId::from_random(number);
        let order = |number| OrderNo::from_random(number);
        let claim = ClaimId::from_random(1);
        let transaction = TransactionId::new("1").expect("a name");
        let payment = Payment {
            transaction,
            order: order(1),
            total: 350,
            fee_type: None,
            trade_type: None,
            time_end: None,
        };
        let foreign = Payment {
            transaction: TransactionId::new("2").expect("a name"),
            fee_type: Some("USD".to_owned()),
            ..payment.clone()
        };
        let wanted = |number| api::Register {
            sale: sale(number),
            total,
        };
        let outcome = Outcome::Unknown;
        let mut ask = || -> Result<(), Failed> {
            let _ = requests::register(books, kiosk, order(1), &wanted(1))?;
            let _ = requests::register(books, kiosk, order(2), &wanted(2))?;
            let _ = requests::close(books, kiosk, sale(2), HOUR)?;
            requests::pay(books, &payment, b"")?;
            requests::pay(books, &foreign, b"")?;
            assert_eq!(requests::pay(books, &foreign, b"")?, Verdict::Known);
            requests::bill(books, &payment, b"")?;
            requests::order(books, kiosk, order(1))?;
            let _ = requests::claim(books, kiosk, sale(1), claim, HOUR)?;
            requests::unsettled(books, kiosk, None)?;
            requests::unsettled(books, kiosk, Some(sale(1)))?;
            requests::sweep(books, HOUR, &|_| Time(0))?;
            asked::note(&sql, &[(sale(1), Time(0))], Time(0))?;
            live_count(&sql, kiosk, 100)?;
            let _ = requests::outcome(books, kiosk, sale(1), &api::Report { claim, outcome })?;
            let _ = requests::settle(books, transaction, Finding::CameOut)?;
            requests::put_back(books)?;
            read_everything(&sql)
        };
        ask().expect("answers");
        let plans = sql.plans.borrow();
        let uses_live = |step: &(String, String)| step.0 == "SCAN sales USING INDEX sales_live";
        assert!(plans.iter().any(uses_live), "{plans:#?}");
        let is_read_whole =
            |step: &&(String, String)| step.0.starts_with("SCAN ") && !NOT_MUCH.contains(&&*step.0);
        let read_whole: Vec<_> = plans.iter().filter(is_read_whole).collect();
        assert!(read_whole.is_empty(), "{read_whole:#?}");
        // A list is read in its own order; only what has not ended, and what strangers sent, is so little that it is sorted.
        let is_sorted = |(step, statement): &&(String, String)| {
            let is_little = |word: &str| statement.contains(word);
            step.starts_with("USE TEMP B-TREE FOR ORDER BY")
                && statement.contains("LIMIT")
                && !["created_at + 0", "FROM quarantine"]
                    .into_iter()
                    .any(is_little)
        };
        let sorted: Vec<_> = plans.iter().filter(is_sorted).collect();
        assert!(sorted.is_empty(), "{sorted:#?}");
    }

    /// Every question that a page, a command or an alarm asks.
    fn read_everything(sql: &dyn Sql) -> Result<(), Failed> {
        let part = reports::Part {
            after: reports::Key::read("1000000000000-a"),
            most: 51,
        };
        for part in [&part, &reports::Part::first(51)] {
            for reason in ["", "late"] {
                let of = reports::EntriesOf {
                    reason: reason.to_owned(),
                };
                reports::refunds_of(sql, &of, part)?;
                reports::reviews_of(sql, &of, part)?;
            }
            for kind in ["", "not-paid", "refused", "unverified", "amount"] {
                reports::problems(sql, kind, part)?;
            }
            for status in ["", "open", "closed", "unknown", "dispensed"] {
                for kiosk in ["", "kiosk-1"] {
                    let of = reports::SalesOf {
                        status: status.to_owned(),
                        kiosk: kiosk.to_owned(),
                        ..reports::SalesOf::time(Time(0), Time(i64::MAX))
                    };
                    reports::sales(sql, &of, part)?;
                }
            }
            bills::list(sql, None, part)?;
            bills::list(sql, Some(false), part)?;
        }
        let then = Time(1_000_000_000_000);
        reports::unsettled(sql, "1")?;
        reports::glance(sql, then)?;
        reports::stream(sql, then, then)?;
        reports::open_sales(sql, then)?;
        reports::takings_since(sql, then)?;
        reports::sales_by_status(sql)?;
        reports::balance(sql)?;
        kiosks::all(sql)?;
        kiosks::takings(sql, then)?;
        for after in [None, reports::Key::read("1000000000000-a")] {
            story::find(sql, "ABCD-EFGH", after.clone())?;
            story::find(sql, "00ff", after)?;
        }
        let sale = SaleId::from_random(1).to_string();
        story::story(sql, &sale)?.expect("it was made");
        sums::count_on(sql, 1000)?;
        Ok(())
    }
}
