//! The books in PostgreSQL, as the merchant's server keeps them there: for the conformance suite.

use selpay_kiosk::ids::{KioskName, TransactionId};
use selpay_kiosk::merchant::ledger::Time;
use selpay_kiosk::merchant::store::sql::{Failed, Row, Sql};
use selpay_kiosk::merchant::store::{Address, Beside, Store, reports};

use super::{Question, Reply, Stands};

pub struct PostgresBooks {
    kiosk: KioskName,
    books: Beside,
    cleaner: postgres::Client,
}

impl PostgresBooks {
    /// Books at this address, which the product begins.
    pub fn begin(url: &str, kiosk: KioskName) -> PostgresBooks {
        let address = Address::Postgres(url.to_owned());
        Store::open(&address, super::CLAIM_TIME).expect("begun");
        PostgresBooks {
            kiosk,
            books: Beside::to_write(&address).expect("opened"),
            cleaner: postgres::Client::connect(url, postgres::NoTls).expect("connected"),
        }
    }

    /// Forgets everything, which the product itself cannot.
    pub fn clear(&mut self) {
        let all = "TRUNCATE sales, orders, payments, foreign_payments, dispositions, notes, tallies, takings, tally_changes,
            sales_of_kiosk, sales_gone_wrong, owed, mispaid RESTART IDENTITY";
        self.cleaner.batch_execute(all).expect("emptied");
    }

    pub fn answer(&mut self, now: u64, question: &Question) -> Reply {
        let kiosk = self.kiosk;
        let answered = self
            .books
            .change(Time(now as i64), |books| question.answer(kiosk, books));
        answered.expect("it answers")
    }

    /// Everything that has become of payments, and the sum of them if the equation holds.
    pub fn history(&mut self) -> (Vec<(TransactionId, Stands)>, Option<i64>) {
        let read = |sql: &dyn Sql| {
            let lines = "SELECT transaction_id, first_state, first_reason, received_at, CAST(0 AS BIGINT) FROM payments
                UNION ALL SELECT transaction_id, state, reason, at, line FROM dispositions ORDER BY 4, 5";
            let told = |row: &Row| {
                let transaction = row.name(0, TransactionId::new)?;
                Ok((transaction, Stands::read(row.text(1)?, row.text(2)?)))
            };
            let lines = sql.rows(lines, &[])?;
            let lines: Result<Vec<_>, Failed> = lines.iter().map(told).collect();
            let (full, differences) = reports::full_balance(sql)?;
            assert!(differences.is_empty(), "{differences:?}");
            assert_eq!(full, reports::balance(sql)?);
            Ok((lines?, full))
        };
        let (lines, balance) = self.books.read(read).expect("read");
        (lines, balance.holds.then_some(balance.verified))
    }
}
