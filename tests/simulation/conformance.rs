//! Whatever is asked of the books, they answer the same wherever they are kept: in memory, in SQLite, in PostgreSQL.
//!
//! Random requests on a few names, so that they meet; what fails is made as short as it can be.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use selpay_kiosk::api;
use selpay_kiosk::ids::{ClaimId, KioskName, OrderNo, SaleId, TransactionId};
use selpay_kiosk::merchant::ledger::{Finding, Time};
use selpay_kiosk::merchant::store::{Address, Beside, Store, reports};
use selpay_kiosk::money::Fen;
use selpay_kiosk::sale::Outcome;
use selpay_kiosk::selpay::notification::Payment;

use crate::books::postgres::{PostgresBooks, ask};
use crate::books::{
    self, CLAIM_TIME, MemoryStore, Question, Reply, SqliteStore, Stands, Store as _,
};
use crate::support::postgres::Cluster;

fn kiosk() -> KioskName {
    KioskName::new("kiosk-1").expect("a name")
}

fn total(place: u8) -> Fen {
    Fen::new(100 + u32::from(place)).expect("an amount")
}

fn payment(transaction: u8, order: u8, paid: u8) -> Payment {
    Payment {
        transaction: TransactionId::new(&format!("T{transaction}")).expect("a name"),
        order: OrderNo::from_random(order.into()),
        total: total(paid).get().into(),
        fee_type: (transaction == 5).then(|| "USD".to_owned()),
        trade_type: (transaction % 2 == 0).then(|| "pay.alipay.jspay".to_owned()),
        time_end: None,
    }
}

fn question() -> impl Strategy<Value = Question> {
    let (sale, claim) = (
        (0..3u8).prop_map(|sale| SaleId::from_random(sale.into())),
        (0..3u8).prop_map(|claim| ClaimId::from_random(claim.into())),
    );
    let order = (0..5u8).prop_map(|order| OrderNo::from_random(order.into()));
    let register = (order.clone(), sale.clone(), 0..2u8).prop_map(|(order, sale, cost)| {
        let total = total(cost);
        Question::Register(order, api::Register { sale, total })
    });
    let pay = (0..6u8, 0..6u8, 0..2u8).prop_map(|(transaction, order, paid)| {
        Question::Pay(payment(transaction, order, paid), Arc::from(*b"<xml/>"))
    });
    let outcome = prop_oneof![
        Just(Outcome::Dispensed),
        Just(Outcome::NotDispensed),
        Just(Outcome::Unknown)
    ];
    let report = (sale.clone(), claim.clone(), outcome)
        .prop_map(|(sale, claim, outcome)| Question::Report(sale, api::Report { claim, outcome }));
    let finding = prop_oneof![
        Just(Finding::CameOut),
        Just(Finding::NothingCameOut),
        Just(Finding::MoneySent)
    ];
    let settle = (0..6u8, finding).prop_map(|(transaction, finding)| {
        Question::Settle(payment(transaction, 0, 0).transaction, finding)
    });
    prop_oneof![
        6 => register,
        8 => pay,
        5 => (sale.clone(), claim).prop_map(|(sale, claim)| Question::Claim(sale, claim)),
        4 => report,
        2 => sale.clone().prop_map(Question::Close),
        3 => settle,
        2 => Just(Question::Sweep),
        1 => order.prop_map(Question::Poll),
        1 => Just(Question::Unsettled(None)),
        1 => sale.prop_map(|sale| Question::Unsettled(Some(sale))),
    ]
}

/// Requests, each so many milliseconds after the one before: now and then long enough for something to expire, or for a payment to
/// become too old for a number that is registered late.
fn requests() -> impl Strategy<Value = Vec<(u64, Question)>> {
    let pause = prop_oneof![20 => 1..500u64, 2 => 100_000..130_000u64, 1 => 550_000..650_000u64,
        1 => prop_oneof![3_590_000..3_610_000u64, 11_030_000..11_050_000u64]];
    proptest::collection::vec((pause, question()), 1..60)
}

fn committed(store: &mut dyn books::Store, now: u64, question: &Question) -> Reply {
    let mut answer = None;
    let all = std::slice::from_ref(question);
    let committed = store.commit(now, all, &mut |_, reply| answer = Some(reply));
    committed.expect("the power is on");
    answer.expect("an answer")
}

fn history(store: &mut dyn books::Store) -> Vec<(TransactionId, Stands)> {
    let mut lines = Vec::new();
    store.lines(0, &mut |transaction, stands| {
        lines.push((transaction, stands))
    });
    lines
}

fn sorted<T: Ord>(all: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = all.into_iter().collect();
    all.sort();
    all
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    })
}

#[test]
fn memory_and_sqlite_answer_the_same() {
    let run = runner(1000).run(&requests(), |requests| {
        let mut memory = MemoryStore::new(kiosk());
        let mut sqlite = SqliteStore::new(kiosk());
        let mut now = 1_000_000;
        for (pause, question) in &requests {
            now += pause;
            let told = committed(&mut memory, now, question);
            let also = committed(&mut sqlite, now, question);
            prop_assert_eq!(
                format!("{:?}", told),
                format!("{:?}", also),
                "{:?}",
                question
            );
        }
        prop_assert_eq!(history(&mut memory), history(&mut sqlite));
        prop_assert_eq!(sorted(memory.payments()), sorted(sqlite.payments()));
        let held = |store: &mut dyn books::Store| {
            sorted(store.sales().iter().map(|sale| format!("{sale:?}")))
        };
        prop_assert_eq!(held(&mut memory), held(&mut sqlite));
        let verified: u64 = memory.payments().iter().map(|payment| payment.2).sum();
        prop_assert_eq!(sqlite.balance(), Some((true, verified)));
        Ok(())
    });
    run.expect("they agree");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn sqlite_and_postgres_answer_the_same() {
    let cluster = Cluster::start(&[]);
    let postgres = std::cell::RefCell::new(PostgresBooks::begin(&cluster.url(), kiosk()));
    let run = runner(400).run(&requests(), |requests| {
        let mut postgres = postgres.borrow_mut();
        postgres.clear();
        let mut sqlite = SqliteStore::new(kiosk());
        let mut now = 1_000_000;
        let timed = requests.iter().map(|(pause, question)| {
            now += pause;
            (now, question.clone())
        });
        let timed: Vec<(u64, Question)> = timed.collect();
        let shares = |(_, one): &(u64, Question), (_, next): &(u64, Question)| {
            one.is_shared() && next.is_shared()
        };
        for together in timed.chunk_by(shares) {
            let told = together
                .iter()
                .map(|(now, question)| format!("{:?}", committed(&mut sqlite, *now, question)));
            let also = postgres.answer(together);
            let also = also.iter().map(|reply| format!("{reply:?}"));
            prop_assert_eq!(
                told.collect::<Vec<_>>(),
                also.collect::<Vec<_>>(),
                "{:?}",
                together
            );
        }
        let lines = history(&mut sqlite);
        let (theirs, verified) = postgres.history();
        prop_assert_eq!(lines, theirs);
        let payments = sqlite.payments();
        let sum: u64 = payments.iter().map(|payment| payment.2).sum();
        prop_assert_eq!(verified, Some(sum as i64));
        Ok(())
    });
    run.expect("they agree");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn what_postgres_refuses_takes_no_other_request_of_its_group_with_it() {
    let cluster = Cluster::start(&[]);
    let address = Address::Postgres(cluster.url());
    let store = Arc::new(Store::open(&address, CLAIM_TIME).expect("begun"));
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    let answers = runtime.block_on(async {
        let mut asked = Vec::new();
        for serial in 0..32 {
            let mut payment = payment(0, 1, 0);
            payment.transaction = TransactionId::new(&format!("T{serial}")).expect("a name");
            // No text in PostgreSQL holds this.
            payment.trade_type = (serial == 20).then(|| "\0".to_owned());
            let store = Arc::clone(&store);
            asked.push(tokio::spawn(async move {
                store.pay(Time(1), payment, b"<xml/>".to_vec()).await
            }));
        }
        let mut answers = Vec::new();
        for answer in asked {
            answers.push(answer.await.expect("it does not panic").is_ok());
        }
        answers
    });
    let refused: Vec<usize> = (0..32).filter(|serial| !answers[*serial]).collect();
    assert_eq!(refused, [20]);
    let mut books = Beside::to_read(&address).expect("opened");
    let (balance, differences) = books.read(|sql| reports::full_balance(sql)).expect("read");
    assert!(differences.is_empty() && balance.holds, "{balance:?}");
    assert_eq!(balance.refund_due, 31 * 100);
}

/// Two servers on the same books, each asked for the same few sales by many at once.
#[test]
#[ignore = "needs PostgreSQL"]
fn two_servers_at_once_grant_a_sale_once_and_keep_the_sums() {
    const ASKED: usize = 6000;
    let cluster = Cluster::start(&[]);
    let address = Address::Postgres(cluster.url());
    let open = || Arc::new(Store::open(&address, CLAIM_TIME).expect("begun"));
    let servers = [open(), open()];
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut runner = TestRunner::deterministic();
    // Names enough that sales begin, live and end all the time.
    let spread = |question: &mut Question, round: u128| match question {
        Question::Register(order, wanted) => {
            *order = OrderNo::from_random(round << 8 | u128::from(order.as_str().as_bytes()[31]));
            wanted.sale = SaleId::from_u128(wanted.sale.as_u128() ^ round << 8);
        }
        Question::Pay(payment, _) => {
            let (order, transaction) = (payment.order, payment.transaction);
            payment.order =
                OrderNo::from_random(round << 8 | u128::from(order.as_str().as_bytes()[31]));
            payment.transaction =
                TransactionId::new(&format!("{transaction}R{round}")).expect("a name");
        }
        Question::Claim(sale, _) | Question::Report(sale, _) | Question::Close(sale) => {
            *sale = SaleId::from_u128(sale.as_u128() ^ round << 8);
        }
        _ => {}
    };
    let questions: Vec<Question> = (0..ASKED)
        .map(|serial| {
            let mut question = question()
                .new_tree(&mut runner)
                .expect("a question")
                .current();
            spread(&mut question, serial as u128 / 60);
            question
        })
        .collect();
    let granted = runtime.block_on(async {
        let questions = Arc::new(questions);
        let next = Arc::new(AtomicUsize::new(0));
        let mut asking = Vec::new();
        for place in 0..32 {
            let (server, questions, next) = (
                Arc::clone(&servers[place % 2]),
                Arc::clone(&questions),
                Arc::clone(&next),
            );
            asking.push(tokio::spawn(async move {
                let mut granted = Vec::new();
                loop {
                    let serial = next.fetch_add(1, Ordering::Relaxed);
                    let Some(question) = questions.get(serial) else {
                        return granted;
                    };
                    let now = Time(1_000_000 + serial as i64);
                    let reply = ask(&server, kiosk(), now, question.clone()).await;
                    let reply = reply.expect("an answer");
                    if let (Question::Claim(sale, claim), Reply::Sale(Some(Ok(())))) =
                        (question, reply)
                    {
                        granted.push((*sale, *claim));
                    }
                }
            }));
        }
        let mut granted = BTreeSet::new();
        for asking in asking {
            granted.extend(asking.await.expect("it does not panic"));
        }
        granted
    });
    let sales: BTreeSet<SaleId> = granted.iter().map(|(sale, _)| *sale).collect();
    assert_eq!(sales.len(), granted.len(), "two claims of one sale");
    assert!(sales.len() > 50, "{}", sales.len());
    let mut books = Beside::to_read(&address).expect("opened");
    let (balance, differences) = books.read(|sql| reports::full_balance(sql)).expect("read");
    assert!(
        balance.holds && differences.is_empty(),
        "{balance:?} {differences:?}"
    );
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_payment_at_one_server_while_its_number_is_registered_at_the_other_pays_its_sale() {
    const SALES: u8 = 200;
    let cluster = Cluster::start(&[]);
    let address = Address::Postgres(cluster.url());
    let open = || Arc::new(Store::open(&address, CLAIM_TIME).expect("begun"));
    let servers = [open(), open()];
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        for serial in 0..SALES {
            let sale = SaleId::from_random(serial.into());
            let wanted = api::Register {
                sale,
                total: total(0),
            };
            let paid = payment(0, serial, 0);
            let transaction = TransactionId::new(&format!("T{serial}")).expect("a name");
            let paid = Payment {
                transaction,
                ..paid
            };
            let register = Question::Register(paid.order, wanted);
            let pay = Question::Pay(paid, Arc::from(*b"<xml/>"));
            let now = Time(1_000_000);
            let (registered, paid) = tokio::join!(
                ask(&servers[0], kiosk(), now, register),
                ask(&servers[1], kiosk(), now, pay)
            );
            registered.and(paid).expect("both answer");
        }
    });
    let mut books = Beside::to_read(&address).expect("opened");
    let (balance, differences) = books.read(|sql| reports::full_balance(sql)).expect("read");
    assert!(differences.is_empty() && balance.holds, "{balance:?}");
    assert_eq!(balance.waiting, i64::from(SALES) * 100, "{balance:?}");
}
