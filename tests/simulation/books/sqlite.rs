//! The books in SQLite: the product's own schema, settings, requests and group commit, on this thread, over a disk that
//! loses power.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::str::FromStr;
use std::sync::mpsc;

use rusqlite::{Connection, Row};
use selpay_kiosk::ids::{KioskName, OrderNo, SaleId, TransactionId};
use selpay_kiosk::merchant::ledger::Time;
use selpay_kiosk::merchant::store::books::SqlBooks;
use selpay_kiosk::merchant::store::group_commit::{commit_together, job};
use selpay_kiosk::merchant::store::sqlite::open_to_write;
use selpay_kiosk::merchant::store::{NotUsable, reports, requests};
use selpay_kiosk::sale::SaleStatus;

use super::{CLAIM_TIME, Died, Held, Question, Reply, Stands, Store, vfs};
use crate::dice::Dice;
use crate::story::Torn;

pub struct SqliteStore {
    kiosk: KioskName,
    /// None while the power is off.
    connection: Option<Connection>,
    /// Whether any sale has not ended, if that was looked up since the last commit.
    live: Option<bool>,
    /// The lines of the books that were told: of which payment, and 0 for what it was at first.
    told: BTreeSet<(TransactionId, i64)>,
}

impl SqliteStore {
    pub fn new(kiosk: KioskName) -> SqliteStore {
        thread_local! {
            static BEGUN: OnceCell<vfs::Image> = const { OnceCell::new() };
        }
        BEGUN.with(|begun| vfs::new_disk(begun.get_or_init(begun_books)));
        let connection = Some(open().expect("they were begun"));
        vfs::count_from_here();
        SqliteStore {
            kiosk,
            connection,
            live: None,
            told: BTreeSet::new(),
        }
    }

    fn connection(&self) -> &Connection {
        self.connection
            .as_ref()
            .expect("the merchant is asked only while its power is on")
    }
}

/// Opens the books as the merchant's server does when it starts.
fn open() -> Result<Connection, NotUsable> {
    let address = vfs::address("books.db");
    open_to_write(Path::new(&address))
}

/// Books in which nothing stands yet: every story begins with them.
fn begun_books() -> vfs::Image {
    vfs::new_disk(&Vec::new());
    drop(open().expect("a disk without faults"));
    vfs::image()
}

/// Begins books, and the power goes at this step; whether there was such a step. They are begun in the end.
pub fn begins(cut: u64, torn: Torn) -> bool {
    vfs::new_disk(&Vec::new());
    vfs::cut_at(Some(cut));
    let begun = open();
    let was_cut = vfs::has_died();
    assert_eq!(begun.is_err(), was_cut, "it fails only with the power");
    drop(begun);
    vfs::restart(torn, &mut Dice::new(cut));
    open().expect("no power cut may damage the books");
    was_cut
}

impl Store for SqliteStore {
    fn commit(
        &mut self,
        now: u64,
        questions: &[Question],
        answer: &mut dyn FnMut(usize, Reply),
    ) -> Result<(), Died> {
        self.live = None;
        let (sender, replies) = mpsc::channel();
        let jobs = questions.iter().enumerate().map(|(place, question)| {
            let (question, kiosk, sender) = (question.clone(), self.kiosk, sender.clone());
            let now = Time(now as i64);
            job(
                move |sql| question.answer(kiosk, &mut SqlBooks { sql, now }),
                move |reply| {
                    let reply = reply.unwrap_or_else(|error| {
                        assert!(vfs::has_died(), "the books refuse {error}");
                        Reply::Unavailable
                    });
                    // The receiver is below, on this thread.
                    let _ = sender.send((place, reply));
                },
            )
        });
        let committed = commit_together(self.connection(), jobs);
        for (place, reply) in replies.try_iter() {
            answer(place, reply);
        }
        if vfs::has_died() {
            self.connection = None;
            return Err(Died);
        }
        committed.expect("this disk fails only with the power");
        Ok(())
    }

    fn ask(&mut self, now: u64, question: &Question) -> Reply {
        let now = Time(now as i64);
        let sql = self.connection();
        let reply = question.answer(self.kiosk, &mut SqlBooks { sql, now });
        reply.expect("reading does not fail")
    }

    fn is_live(&mut self) -> bool {
        const LIVE: &str = "SELECT EXISTS (SELECT 1 FROM sales WHERE ended_at IS NULL)";
        *self.live.get_or_insert_with(|| {
            let connection = self.connection.as_ref().expect("its power is on");
            let mut statement = connection.prepare_cached(LIVE).expect("SQL");
            let live = statement.query_row([], |row| row.get(0));
            live.expect("an answer")
        })
    }

    fn is_overdue(&mut self, now: u64) -> bool {
        let (sql, now) = (self.connection(), Time(now as i64));
        let overdue = requests::overdue(&SqlBooks { sql, now }, CLAIM_TIME);
        !overdue.expect("it reads").is_empty()
    }

    fn steps(&self) -> u64 {
        vfs::steps()
    }

    fn cut_at(&mut self, step: Option<u64>) {
        vfs::cut_at(step);
    }

    fn restart(&mut self, torn: Torn, dice: &mut Dice) {
        (self.connection, self.live) = (None, None);
        vfs::restart(torn, dice);
        self.connection = Some(open().expect("no power cut may damage the books"));
    }

    fn lines(&mut self, from: usize, line: &mut dyn FnMut(TransactionId, Stands)) {
        // What a payment is at first, and what came after, in the order of time. What was told before may stand anywhere in
        // it: one moment has several.
        const LINES: &str =
            "SELECT transaction_id, first_state, first_reason, received_at, 0 FROM payments
            UNION ALL SELECT transaction_id, state, reason, at, line FROM dispositions ORDER BY 4, 5";
        let mut told = std::mem::take(&mut self.told);
        if from == 0 {
            told.clear();
        }
        let mut statement = self.connection().prepare_cached(LINES).expect("SQL");
        let mut rows = statement.query([]).expect("rows");
        while let Some(row) = rows.next().expect("a row") {
            let transaction: TransactionId = name(row, 0);
            if told.insert((transaction, row.get(4).expect("a line"))) {
                let (state, reason): (String, String) =
                    (row.get(1).expect("a state"), row.get(2).expect("a reason"));
                line(transaction, Stands::read(&state, &reason));
            }
        }
        drop(rows);
        drop(statement);
        self.told = told;
    }

    fn sale(&mut self, sale: SaleId) -> Option<Held> {
        let sql = format!("{SALES} WHERE s.sale = ?1");
        let mut statement = self.connection().prepare_cached(&sql).expect("SQL");
        let mut rows = statement.query([&*sale.text()]).expect("rows");
        rows.next().expect("a row").map(held)
    }

    fn sales(&mut self) -> Vec<(SaleId, Held)> {
        let mut statement = self.connection().prepare_cached(SALES).expect("SQL");
        let sales = statement.query_map([], |row| Ok((name(row, 0), held(row))));
        sales
            .expect("rows")
            .map(|sale| sale.expect("a row"))
            .collect()
    }

    fn payments(&mut self) -> Vec<(TransactionId, OrderNo, u64)> {
        const PAYMENTS: &str = "SELECT transaction_id, order_no, total FROM payments";
        let mut statement = self.connection().prepare_cached(PAYMENTS).expect("SQL");
        let read = |row: &Row<'_>| Ok((name(row, 0), name(row, 1), row.get::<_, i64>(2)? as u64));
        let payments = statement.query_map([], read).expect("rows");
        payments.map(|payment| payment.expect("a row")).collect()
    }

    fn balance(&mut self) -> Option<(bool, u64)> {
        let balance = reports::balance(self.connection()).expect("a balance");
        let (full, differences) = reports::full_balance(self.connection()).expect("a balance");
        assert!(differences.is_empty(), "{differences:?}");
        assert_eq!(balance, full, "the sums are what was counted from nothing");
        Some((balance.holds, balance.verified as u64))
    }
}

const SALES: &str = "SELECT s.sale, s.status, s.total, s.paid_by, s.claim,
    (SELECT group_concat(order_no, ' ') FROM orders o WHERE o.sale = s.sale) FROM sales s";

fn held(row: &Row<'_>) -> Held {
    let status: String = row.get(1).expect("a status");
    let orders: Option<String> = row.get(5).expect("numbers");
    Held {
        status: SaleStatus::from_word(&status).expect("a status"),
        total: row.get::<_, i64>(2).expect("a total") as u64,
        paid_by: some_name(row, 3),
        claim: some_name(row, 4),
        orders: orders
            .unwrap_or_default()
            .split(' ')
            .filter_map(OrderNo::new)
            .collect(),
    }
}

fn some_name<T: FromStr>(row: &Row<'_>, column: usize) -> Option<T> {
    let text: Option<String> = row.get(column).expect("a text");
    text.and_then(|text| text.parse().ok())
}

fn name<T: FromStr>(row: &Row<'_>, column: usize) -> T {
    some_name(row, column).expect("the books hold a name")
}
