//! The books in PostgreSQL, as the merchant's server keeps them there: for the conformance suite.

use std::sync::Arc;

use selpay_kiosk::ids::{KioskName, TransactionId};
use selpay_kiosk::kiosk::net;
use selpay_kiosk::merchant::ledger::Time;
use selpay_kiosk::merchant::store::sql::{Failed, Row, Sql};
use selpay_kiosk::merchant::store::{Address, Beside, Store, Unavailable, reports};
use tokio::runtime::Runtime;

use super::{Question, Reply, Stands};

pub struct PostgresBooks {
    kiosk: KioskName,
    /// Its tasks begin in the order in which they are spawned.
    runtime: Runtime,
    store: Arc<Store>,
    books: Beside,
    cleaner: postgres::Client,
}

impl PostgresBooks {
    /// Books at this address, which the product begins.
    pub fn begin(url: &str, kiosk: KioskName) -> PostgresBooks {
        let address = Address::Postgres(url.to_owned());
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        PostgresBooks {
            kiosk,
            runtime: runtime.enable_all().build().expect("a runtime"),
            store: Arc::new(Store::open(&address, super::CLAIM_TIME).expect("begun")),
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

    /// Asks all of these at once, each at its time: what can share a commit does.
    pub fn answer(&mut self, questions: &[(u64, Question)]) -> Vec<Reply> {
        self.runtime.block_on(async {
            let mut asked = Vec::new();
            for (now, question) in questions {
                let (store, kiosk) = (Arc::clone(&self.store), self.kiosk);
                let (now, question) = (Time(*now as i64), question.clone());
                asked.push(tokio::spawn(async move {
                    ask(&store, kiosk, now, question).await
                }));
            }
            let mut replies = Vec::new();
            for reply in asked {
                replies.push(reply.await.expect("it does not panic").expect("an answer"));
            }
            replies
        })
    }

    /// Everything that has become of payments, and the sum of them if the equation holds.
    pub fn history(&mut self) -> (Vec<(TransactionId, Stands)>, Option<i64>) {
        let read = |sql: &dyn Sql| {
            let lines = "SELECT transaction_id, first_state, first_reason, received_at, CAST(0 AS BIGINT) FROM payments
                WHERE first_state IS NOT NULL UNION ALL SELECT transaction_id, state, reason, at, line FROM dispositions ORDER BY 4, 5";
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

/// Asks as the merchant's server does.
pub async fn ask(
    store: &Store,
    kiosk: KioskName,
    now: Time,
    question: Question,
) -> Result<Reply, Unavailable> {
    Ok(match question {
        Question::Unsettled(after) => Reply::Unsettled(store.unsettled(now, kiosk, after).await?),
        Question::Register(order, wanted) => {
            let registered = store.register(now, kiosk, order, wanted).await?;
            Reply::Registered(registered.map(drop))
        }
        Question::Poll(order) => {
            let order = store.order(kiosk, order).await?;
            Reply::Order(order.map(|order| net::standing(&order)))
        }
        Question::Claim(sale, claim) => {
            let claimed = store.claim(now, kiosk, sale, claim).await?;
            Reply::Sale(claimed.map(|answer| answer.map(drop)))
        }
        Question::Report(sale, report) => {
            Reply::Sale(store.outcome(now, kiosk, sale, report).await?)
        }
        Question::Close(sale) => Reply::Sale(store.close(now, kiosk, sale).await?),
        Question::Pay(payment, body) => Reply::Paid(store.pay(now, payment, body.to_vec()).await?),
        Question::Settle(transaction, finding) => {
            let settled = store.settle(now, transaction, finding, String::new());
            Reply::Settled(settled.await?)
        }
        Question::Sweep => {
            store.sweep(now, |_| Time(0)).await?;
            Reply::Swept
        }
    })
}
