//! The platform's bill as a file: which columns it has, its merchant says in a map.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use time::{PrimitiveDateTime, format_description};

use crate::files::{self, Unusable};
use crate::ids::{OrderNo, TransactionId};
use crate::merchant::ledger::Time;
use crate::selpay::notification::Payment;

/// How to read a bill (`docs/reconcile/map.toml`).
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BillMap {
    #[serde(default)]
    encoding: Encoding,
    #[serde(default)]
    skip_lines: usize,
    transaction: String,
    order: String,
    amount: String,
    unit: Unit,
    time: String,
    time_format: String,
    #[serde(default)]
    only: BTreeMap<String, String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Encoding {
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    Gbk,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Unit {
    Fen,
    Yuan,
}

/// A payment on the bill.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The platform's name of it.
    pub transaction: TransactionId,
    /// The number that was paid.
    pub order: OrderNo,
    /// What was paid, in fen.
    pub total: u64,
    /// When, `yyyyMMddHHmmss` at +08:00.
    pub time_end: String,
}

impl Entry {
    /// It as the books take it.
    pub fn payment(&self) -> Payment {
        Payment {
            transaction: self.transaction,
            order: self.order,
            total: self.total,
            fee_type: None,
            trade_type: None,
            time_end: Some(self.time_end.clone()),
        }
    }

    /// It as a line, to be kept with the payment where otherwise the platform's message is.
    pub fn row(&self) -> String {
        let Entry {
            transaction,
            order,
            total,
            time_end,
        } = self;
        format!("bill: {transaction} {order} {total} {time_end}")
    }
}

impl BillMap {
    /// Reads a map.
    pub fn load(file: &Path) -> Result<BillMap, Unusable> {
        files::parse_toml(file, &files::read_text(file)?)
    }

    /// Reads a bill; the first line that makes no sense ends it, with its number.
    pub fn read(&self, file: &Path) -> Result<Vec<Entry>, Unusable> {
        let bytes = std::fs::read(file).map_err(|error| Unusable::new(file, error.to_string()))?;
        self.parse(&bytes)
            .map_err(|error| Unusable::new(file, error))
    }

    fn parse(&self, bytes: &[u8]) -> Result<Vec<Entry>, String> {
        let encoding = match self.encoding {
            Encoding::Utf8 => encoding_rs::UTF_8,
            Encoding::Gbk => encoding_rs::GBK,
        };
        let (text, is_broken) = encoding.decode_with_bom_removal(bytes);
        if is_broken {
            return Err(format!(
                "it is not {}: set encoding in the map",
                encoding.name()
            ));
        }
        let mut skipped = text.as_ref();
        for _ in 0..self.skip_lines {
            skipped = skipped.split_once('\n').map_or("", |(_, rest)| rest);
        }
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .flexible(true)
            .from_reader(skipped.as_bytes());
        let head = reader.headers().map_err(|error| error.to_string())?.clone();
        let column = |name: &str| {
            head.iter()
                .position(|column| column == name)
                .ok_or_else(|| {
                    let there = head.iter().collect::<Vec<_>>().join(", ");
                    format!("there is no column {name}; there are {there}")
                })
        };
        let columns = [&self.transaction, &self.order, &self.amount, &self.time];
        let [transaction, order, amount, time] = columns.map(|name| column(name));
        let (transaction, order, amount, time) = (transaction?, order?, amount?, time?);
        let only = self
            .only
            .iter()
            .map(|(name, value)| Ok((column(name)?, value)));
        let only = only.collect::<Result<Vec<_>, String>>()?;
        let format = format_description::parse_strftime_borrowed(&self.time_format)
            .map_err(|error| format!("time-format in the map: {error}"))?;
        let mut entries = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| error.to_string())?;
            let cell = |column: usize| quoted(record.get(column).unwrap_or_default());
            if only.iter().any(|(column, value)| cell(*column) != **value) {
                continue;
            }
            let line = record.position().map_or(0, csv::Position::line) as usize + self.skip_lines;
            let wrong = |name: &str, value: &str, what: &str| {
                format!("line {line}: {name} {value:?} is not {what}")
            };
            let read_time = PrimitiveDateTime::parse(cell(time), &format);
            entries.push(Entry {
                transaction: TransactionId::new(cell(transaction)).ok_or_else(|| {
                    wrong(&self.transaction, cell(transaction), "a platform's number")
                })?,
                order: OrderNo::new(cell(order))
                    .ok_or_else(|| wrong(&self.order, cell(order), "an order number"))?,
                total: fen(cell(amount), self.unit)
                    .ok_or_else(|| wrong(&self.amount, cell(amount), "an amount"))?,
                time_end: read_time
                    .map(|shown| Time::in_china(shown).stamp())
                    .map_err(|_| wrong(&self.time, cell(time), "of time-format"))?,
            });
        }
        Ok(entries)
    }
}

/// A cell without what keeps spreadsheets from taking a long number for a number: a leading ` or '.
fn quoted(cell: &str) -> &str {
    cell.strip_prefix(['`', '\'']).unwrap_or(cell)
}

/// An amount in fen. Digits and one point: nothing is rounded.
fn fen(text: &str, unit: Unit) -> Option<u64> {
    let (whole, decimals) = match unit {
        Unit::Fen => (text, "00"),
        Unit::Yuan => text.split_once('.').unwrap_or((text, "")),
    };
    let is_plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || decimals.len() > 2 || !is_plain(whole) || !is_plain(decimals) {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    match unit {
        Unit::Fen => Some(whole),
        Unit::Yuan => {
            let decimals: u64 = format!("{decimals:0<2}").parse().ok()?;
            whole.checked_mul(100)?.checked_add(decimals)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = include_str!("../../../docs/reconcile/map.toml");
    const BILL: &str = include_str!("../../../docs/reconcile/bill.csv");

    fn map(change: (&str, &str)) -> BillMap {
        let text = MAP.replace(change.0, change.1);
        files::parse_toml(Path::new("map.toml"), &text).expect("a map")
    }

    #[test]
    fn the_sample_bill_is_read_by_the_sample_map() {
        let entries = map(("", "")).parse(BILL.as_bytes()).expect("a bill");
        assert_eq!(entries.len(), 2, "what failed does not count");
        assert_eq!((entries[0].total, entries[1].total), (350, 1200));
        assert_eq!(entries[0].time_end, "20261123130509");
        let (gbk, _, _) = encoding_rs::GBK.encode(BILL);
        assert!(
            map(("", ""))
                .parse(&gbk)
                .expect_err("GBK")
                .contains("set encoding")
        );
        assert_eq!(map(("utf-8", "gbk")).parse(&gbk), Ok(entries));
    }

    #[test]
    fn a_line_that_makes_no_sense_is_named() {
        for (from, to, told) in [
            (
                "3.50",
                "3.505",
                "line 2: 订单金额 \"3.505\" is not an amount",
            ),
            ("12.00", "+12", "line 3: 订单金额 \"+12\" is not an amount"),
            ("13:06:41", "25:06:41", "line 3: 交易时间"),
            ("3fa91c02", "3fa 1c02", "line 2: 商户订单号"),
            (
                "订单金额",
                "金额",
                "there is no column 订单金额; there are 交易时间, ",
            ),
        ] {
            let told_instead = map(("", ""))
                .parse(BILL.replace(from, to).as_bytes())
                .expect_err(to);
            assert!(told_instead.starts_with(told), "{told_instead}");
        }
    }

    #[test]
    fn amounts_are_exact_in_either_unit() {
        let all = [
            ("0", 0),
            ("3", 300),
            ("3.5", 350),
            ("3.05", 305),
            ("1000000.00", 100_000_000),
        ];
        for (text, expected) in all {
            assert_eq!(fen(text, Unit::Yuan), Some(expected), "{text}");
        }
        assert_eq!(fen("350", Unit::Fen), Some(350));
        for text in [
            "",
            ".5",
            "1e2",
            "-1",
            "1.234",
            "3,50",
            "99999999999999999999",
        ] {
            assert_eq!(fen(text, Unit::Yuan), None, "{text}");
            assert_eq!(fen(text, Unit::Fen), None, "{text}");
        }
    }
}
