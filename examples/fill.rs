//! Makes books as large as those of years: sales of several kiosks, with every status, refunds and reviews.
//!
//! `cargo run --release --example fill -- --payments 5000000 --database FILE`. Each payment goes through the requests that
//! the merchant's server makes, into a new file; only that it is on disk nobody waits for. Never for books that count.
#![allow(dead_code, reason = "tests/size.rs takes it in as a module")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use rusqlite::Connection;
use selpay_kiosk::api::{Register, Report};
use selpay_kiosk::ids::{ClaimId, KioskName, OrderNo, SaleId, TransactionId};
use selpay_kiosk::merchant::ledger::{Finding, Time};
use selpay_kiosk::merchant::store::books::SqlBooks;
use selpay_kiosk::merchant::store::kiosks::{self, Seen};
use selpay_kiosk::merchant::store::requests;
use selpay_kiosk::merchant::store::sql::Failed;
use selpay_kiosk::merchant::store::sqlite::open_to_write;
use selpay_kiosk::money::Fen;
use selpay_kiosk::sale::Outcome;
use selpay_kiosk::selpay::notification::Payment;

/// Over so long the sales are spread.
const YEARS: Duration = Duration::from_secs(2 * 365 * 24 * 3600);
const KIOSKS: u64 = 200;
const CLAIM_TIME: Duration = Duration::from_secs(120);
/// So many sales go into one transaction.
const AT_ONCE: u64 = 20_000;

#[derive(Parser)]
struct Arguments {
    /// How many payments the books are to hold
    #[arg(long)]
    payments: u64,
    /// The file, which must not exist yet
    #[arg(long)]
    database: PathBuf,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let began = Instant::now();
    let connection = fill(&arguments.database, arguments.payments)?;
    let took = began.elapsed().as_secs_f64();
    println!("{} payments in {took:.1} s", arguments.payments);
    println!("{}", sizes(&connection, arguments.payments)?);
    Ok(())
}

/// Makes books of so many payments in a new file.
pub fn fill(file: &Path, payments: u64) -> Result<Connection, Box<dyn Error>> {
    if file.exists() {
        return Err(format!("{} is there already", file.display()).into());
    }
    let connection = open_to_write(file)?;
    connection.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -2000000; PRAGMA foreign_keys = OFF",
    )?;
    connection.set_prepared_statement_cache_capacity(100);
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let end = since_1970.as_millis() as i64;
    let mut shop = Shop {
        sql: &connection,
        dice: Dice(payments + 1),
        payments: 0,
        begins: Time(end).before(YEARS).0,
        ends: end,
        wanted: payments,
    };
    let mut begun = 0;
    connection.execute_batch("BEGIN")?;
    while shop.payments < payments {
        shop.sell()?;
        begun += 1;
        if begun % AT_ONCE == 0 {
            connection.execute_batch("COMMIT; BEGIN")?;
        }
    }
    shop.people(Time(end))?;
    connection.execute_batch("COMMIT; PRAGMA journal_mode = WAL")?;
    Ok(connection)
}

/// Small, and the same everywhere (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn long(&mut self) -> u128 {
        (u128::from(self.next()) << 64) | u128::from(self.next())
    }
}

struct Shop<'a> {
    sql: &'a Connection,
    dice: Dice,
    payments: u64,
    begins: i64,
    ends: i64,
    wanted: u64,
}

impl Shop<'_> {
    fn at(&self, now: Time) -> SqlBooks<'_> {
        SqlBooks { sql: self.sql, now }
    }

    /// One customer.
    fn sell(&mut self) -> Result<(), Failed> {
        let span = (self.ends - self.begins) as u64;
        let began = self.begins
            + (span / self.wanted * self.payments) as i64
            + self.dice.below(1000) as i64;
        let began = began.min(self.ends - 300_000);
        let now = move |seconds: u64| Time(began + seconds as i64 * 1000);
        // Some machines stand where more people pass.
        let kiosk = self.dice.below(KIOSKS).min(self.dice.below(KIOSKS));
        let kiosk = KioskName::new(&format!("kiosk-{kiosk:03}")).expect("a name");
        let total = 100 + 50 * self.dice.below(40) as u32;
        let total = Fen::new(total).expect("an amount");
        let (sale, mut order) = (
            SaleId::from_random(self.dice.long()),
            OrderNo::from_random(self.dice.long()),
        );
        let wanted = Register { sale, total };
        let fate = self.dice.below(1000);
        if fate == 999 {
            // Paid on a number that nobody registered.
            let paid = self.pay(now(0), order, total.get().into())?;
            return self.settle(now(0), paid, Finding::MoneySent);
        }
        let _ = requests::register(&mut self.at(now(0)), kiosk, order, &wanted)?;
        if self.dice.below(20) == 0 {
            order = OrderNo::from_random(self.dice.long());
            let _ = requests::register(&mut self.at(now(10)), kiosk, order, &wanted)?;
        }
        if fate < 200 {
            // Never paid, or too late.
            let _ = requests::close(&mut self.at(now(90)), kiosk, sale, CLAIM_TIME)?;
            if fate < 10 {
                let late = self.pay(now(100), order, total.get().into())?;
                self.settle(now(100), late, Finding::MoneySent)?;
            }
            return Ok(());
        }
        if fate < 203 {
            let wrong = self.pay(now(15), order, 1)?;
            self.settle(now(15), wrong, Finding::MoneySent)?;
        }
        let paid = self.pay(now(20), order, total.get().into())?;
        if fate < 208 {
            let second = self.pay(now(21), order, total.get().into())?;
            self.settle(now(21), second, Finding::MoneySent)?;
        }
        if fate < 225 {
            // The kiosk was gone.
            requests::sweep(&mut self.at(now(200)), CLAIM_TIME, &|_| now(200))?;
            return self.settle(now(200), paid, Finding::MoneySent);
        }
        let claim = ClaimId::from_random(self.dice.long());
        let _ = requests::claim(&mut self.at(now(21)), kiosk, sale, claim, CLAIM_TIME)?;
        let outcome = match fate {
            225..235 => Outcome::NotDispensed,
            235..240 => Outcome::Unknown,
            _ => Outcome::Dispensed,
        };
        let _ = requests::outcome(
            &mut self.at(now(25)),
            kiosk,
            sale,
            &Report { claim, outcome },
        )?;
        match outcome {
            Outcome::Dispensed => Ok(()),
            Outcome::NotDispensed => self.settle(now(25), paid, Finding::MoneySent),
            Outcome::Unknown => self.settle(now(25), paid, Finding::CameOut),
        }
    }

    /// A person does the next day what is to be done about a payment, mostly.
    fn settle(&mut self, now: Time, paid: TransactionId, finding: Finding) -> Result<(), Failed> {
        let later = now.after(Duration::from_secs(24 * 3600));
        if later.0 < self.ends && self.dice.below(50) > 0 {
            let _ = requests::settle(&mut self.at(later), paid, finding)?;
        }
        Ok(())
    }

    /// A payment arrives.
    fn pay(&mut self, now: Time, order: OrderNo, total: u64) -> Result<TransactionId, Failed> {
        self.payments += 1;
        let transaction = format!("7551000001{}{:010}", &now.stamp()[..8], self.payments);
        let transaction = TransactionId::new(&transaction).expect("a name");
        let payment = Payment {
            transaction,
            order,
            total,
            trade_type: Some("pay.weixin.jspay".to_owned()),
            time_end: Some(now.stamp()),
            fee_type: None,
        };
        let body = self.message(&payment);
        requests::pay(&mut self.at(now), &payment, body.as_bytes())?;
        Ok(transaction)
    }

    /// A notification as the platform sends it, but for its signature.
    fn message(&mut self, payment: &Payment) -> String {
        let (sign, open_id, sub_open_id, bank) = (
            self.dice.long(),
            self.dice.long(),
            self.dice.long(),
            self.dice.next(),
        );
        let fields = [
            ("bank_type", "CMB_CREDIT".to_owned()),
            ("charset", "UTF-8".to_owned()),
            ("fee_type", "CNY".to_owned()),
            ("is_subscribe", "N".to_owned()),
            ("mch_id", "7551000001".to_owned()),
            ("nonce_str", format!("{:032x}", self.dice.long())),
            ("openid", format!("oywgtu{:022x}", open_id >> 40)),
            ("out_trade_no", payment.order.to_string()),
            ("out_transaction_id", format!("42000012{bank:020}")),
            ("pay_result", "0".to_owned()),
            ("result_code", "0".to_owned()),
            ("sign", format!("{sign:032X}")),
            ("sign_type", "MD5".to_owned()),
            ("status", "0".to_owned()),
            ("sub_appid", "wxce38685bc050ef82".to_owned()),
            ("sub_is_subscribe", "N".to_owned()),
            ("sub_openid", format!("oHmbkt{:022x}", sub_open_id >> 40)),
            ("time_end", payment.time_end.clone().unwrap_or_default()),
            ("total_fee", payment.total.to_string()),
            ("trade_type", payment.trade_type.clone().unwrap_or_default()),
            ("transaction_id", payment.transaction.to_string()),
            ("version", "2.0".to_owned()),
        ];
        let field = |(name, value)| format!("<{name}><![CDATA[{value}]]></{name}>");
        let fields: String = fields.map(field).concat();
        format!("<xml>{fields}</xml>")
    }

    /// What is left to do at the end, and what the kiosks said last.
    fn people(&mut self, now: Time) -> Result<(), Failed> {
        let seen: Vec<(KioskName, Seen)> = (0..KIOSKS)
            .map(|kiosk| {
                let name = KioskName::new(&format!("kiosk-{kiosk:03}")).expect("a name");
                let seen = Seen {
                    at: now,
                    version: "0.1.0".to_owned(),
                    state: "ready".to_owned(),
                    fault: String::new(),
                    since: now,
                    told_at: now,
                };
                (name, seen)
            })
            .collect();
        kiosks::note(self.sql, &seen)
    }
}

/// How many bytes of the file a payment takes, in all and by table.
pub fn sizes(connection: &Connection, payments: u64) -> rusqlite::Result<String> {
    let mut statement =
        connection.prepare("SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC")?;
    let sizes = statement.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)? as u64))
    })?;
    let (mut text, mut all) = (String::new(), 0);
    for size in sizes {
        let (name, bytes) = size?;
        all += bytes;
        if bytes / payments.max(1) > 0 {
            text.push_str(&format!("{:>6}  {name}\n", bytes / payments.max(1)));
        }
    }
    Ok(format!(
        "{text}{:>6}  bytes a payment, all in",
        all / payments.max(1)
    ))
}
