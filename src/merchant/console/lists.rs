//! The lists: sales, refunds, reviews, machines, problems, bills. What is asked of one is in its address.

mod bills;

use std::fmt::{Display, Write};

use form_urlencoded::Serializer;
use serde::Deserialize;

use super::machines::Kiosk;
use super::page::{self, Head, escape, shell};
use super::visitor::Language;
use super::{DAY, beginning_of, moment};
use crate::merchant::commands::yuan;
use crate::merchant::ledger::{Doubt, Reason, Time};
use crate::merchant::store::reports::{EntriesOf, Entry, Line, Part, Problem, SalesOf};
use crate::sale::SaleStatus;

pub use bills::bills;

/// So many lines are on one page.
const ON_A_PAGE: i64 = 50;
/// So many are in a file at most.
pub const IN_FILE: Part = Part {
    skip: 0,
    most: 100_000,
};
const PROBLEMS: [&str; 7] = [
    "unverified",
    "refused",
    "signature-ambiguous",
    "amount",
    "unknown-order",
    "currency",
    "not-paid",
];

/// What is asked of a list. Each list takes what it knows.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// What a customer can tell.
    pub q: String,
    /// `2026-11-23`; empty for all days.
    pub day: String,
    /// A sale's status.
    pub status: String,
    /// A machine.
    pub kiosk: String,
    /// Why money is owed, or a payment is looked at.
    pub reason: String,
    /// Of which kind a problem is.
    pub kind: String,
    /// From 0.
    pub page: u16,
}

impl Asked {
    /// The page that is asked for, and one line more: then there is another.
    pub fn part(&self) -> Part {
        Part {
            skip: i64::from(self.page) * ON_A_PAGE,
            most: ON_A_PAGE + 1,
        }
    }

    /// The sales that are asked for. A day that is none is every day.
    pub fn sales(&self, now: Time) -> SalesOf {
        let from = beginning_of(&self.day);
        SalesOf {
            from: from.unwrap_or(Time(i64::MIN)),
            to: from.map_or(Time(now.0 + DAY), |from| Time(from.0 + DAY)),
            status: self.status.clone(),
            kiosk: self.kiosk.trim().to_owned(),
        }
    }

    /// The payments that are asked for.
    pub fn entries(&self) -> EntriesOf {
        EntriesOf {
            reason: self.reason.clone(),
            transaction: String::new(),
        }
    }

    /// Whether the bills that are asked for are done; `None` for all.
    pub fn is_done(&self) -> Option<bool> {
        match self.kind.as_str() {
            "done" => Some(true),
            "open" => Some(false),
            _ => None,
        }
    }

    /// As the end of an address: another page of the same.
    fn query(&self, page: u16) -> String {
        let mut query = Serializer::new(String::new());
        let all = [
            ("day", &self.day),
            ("status", &self.status),
            ("kiosk", &self.kiosk),
            ("reason", &self.reason),
            ("kind", &self.kind),
        ];
        for (name, value) in all.into_iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        if page > 0 {
            query.append_pair("page", &page.to_string());
        }
        match query.finish().as_str() {
            "" => String::new(),
            query => format!("?{query}"),
        }
    }
}

/// A page of a list.
struct List<'a> {
    language: Language,
    /// Its address.
    path: &'a str,
    title: &'a str,
    asked: &'a Asked,
    filters: String,
    table: String,
    /// Whether there is another page.
    goes_on: bool,
}

impl List<'_> {
    fn page(&self) -> String {
        let List {
            language,
            path,
            asked,
            ..
        } = self;
        let file = format!("{path}/list.csv{}", asked.query(0));
        let file = format!(
            r#"<a class="file" href="{}">{}</a>"#,
            escape(&file),
            language.say("下载 CSV", "Download CSV")
        );
        let show = language.say("筛选", "Filter");
        let filters = format!(
            r#"<form class="filters" method="get" action="{path}">{}<button class="quiet">{show}</button>{file}</form>"#,
            self.filters
        );
        let leaf = |page: Option<u16>, label: &str| {
            page.map_or_else(String::new, |page| {
                format!(
                    r#"<a href="{path}{}">{label}</a>"#,
                    escape(&asked.query(page))
                )
            })
        };
        let body = format!(
            r#"<main>{search}{filters}<section>{}</section><nav class="leaves">{}{}</nav></main>"#,
            self.table,
            leaf(
                asked.page.checked_sub(1),
                language.say("← 上一页", "← Previous")
            ),
            leaf(
                asked.page.checked_add(1).filter(|_| self.goes_on),
                language.say("下一页 →", "Next →")
            ),
            search = if *path == "/sales" {
                page::search(*language, &asked.q)
            } else {
                String::new()
            },
        );
        shell(self.language, path, self.title, &body)
    }
}

/// What belongs on this page of what was read, and whether there is more.
fn leaf<T>(mut lines: Vec<T>) -> (Vec<T>, bool) {
    let goes_on = lines.len() as i64 > ON_A_PAGE;
    lines.truncate(ON_A_PAGE as usize);
    (lines, goes_on)
}

/// A choice of these; the first is none.
fn choice(
    language: Language,
    name: &str,
    chosen: &str,
    all: impl IntoIterator<Item = (&'static str, impl Display)>,
) -> String {
    let none = language.say("全部", "All");
    let selected = if chosen.is_empty() { " selected" } else { "" };
    let mut options = format!(r#"<option value=""{selected}>{none}</option>"#);
    for (value, label) in all {
        let selected = if value == chosen { " selected" } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(
            options,
            r#"<option value="{value}"{selected}>{label}</option>"#
        );
    }
    format!(r#"<select name="{name}" aria-label="{name}">{options}</select>"#)
}

pub fn sales(language: Language, asked: &Asked, sales: Vec<(String, Line)>) -> String {
    let (sales, goes_on) = leaf(sales);
    let words = SaleStatus::ALL.map(SaleStatus::as_str);
    let statuses = words
        .into_iter()
        .map(|word| (word, page::standing(language, word)));
    let filters = format!(
        r#"<input type="date" name="day" value="{}" aria-label="{}">{}<input name="kiosk" value="{}" placeholder="{kiosk}" aria-label="{kiosk}">"#,
        escape(&asked.day),
        language.say("日期", "Day"),
        choice(language, "status", &asked.status, statuses),
        escape(&asked.kiosk),
        kiosk = language.say("机器", "Kiosk"),
    );
    let table = page::dated_lines(language, &sales, language.say("没有订单", "No sales"));
    let (path, title) = ("/sales", language.say("订单", "Sales"));
    List {
        language,
        path,
        title,
        asked,
        filters,
        table,
        goes_on,
    }
    .page()
}

/// What a search has found.
pub fn found(language: Language, asked: &Asked, sales: &[(String, Line)]) -> String {
    let nothing = language.say(
        "没有找到。请输入订单号、其后四位，或平台交易号",
        "Nothing found. Enter an order number, its last four, or a transaction",
    );
    let body = format!(
        r#"<main>{}<section>{}</section></main>"#,
        page::search(language, &asked.q),
        page::dated_lines(language, sales, nothing)
    );
    shell(language, "/sales", language.say("查找", "Search"), &body)
}

pub fn refunds(language: Language, asked: &Asked, entries: Vec<Entry>) -> String {
    let reasons = Reason::ALL.map(Reason::as_str);
    let nothing = language.say("没有待退款", "Nothing to refund");
    let list = (
        "/refunds",
        language.say("待退款", "Refunds due"),
        "refunds",
        nothing,
    );
    owed(language, asked, entries, &reasons, list)
}

pub fn reviews(language: Language, asked: &Asked, entries: Vec<Entry>) -> String {
    let doubts = Doubt::ALL.map(Doubt::as_str);
    let nothing = language.say("没有待核实的付款", "Nothing to review");
    let list = (
        "/reviews",
        language.say("待核实", "To review"),
        "reviews",
        nothing,
    );
    owed(language, asked, entries, &doubts, list)
}

fn owed(
    language: Language,
    asked: &Asked,
    entries: Vec<Entry>,
    reasons: &[&'static str],
    (path, title, id, nothing): (&str, &str, &str, &str),
) -> String {
    let (entries, goes_on) = leaf(entries);
    let reasons = reasons
        .iter()
        .map(|word| (*word, page::reason(language, word)));
    let filters = choice(language, "reason", &asked.reason, reasons);
    let table = page::entries(language, id, &entries, nothing);
    List {
        language,
        path,
        title,
        asked,
        filters,
        table,
        goes_on,
    }
    .page()
}

pub fn problems(language: Language, asked: &Asked, problems: Vec<Problem>) -> String {
    let (problems, goes_on) = leaf(problems);
    let kinds = PROBLEMS
        .into_iter()
        .map(|word| (word, kind(language, word)));
    let filters = choice(language, "kind", &asked.kind, kinds);
    let mut rows = String::new();
    for problem in &problems {
        let _ = write!(
            rows,
            r#"<tr><td>{}</td><td>{}</td><td class="number">{}</td><td class="wide">{}</td></tr>"#,
            moment(problem.at),
            kind(language, &problem.kind),
            escape(&problem.order_no),
            escape(&problem.what),
        );
    }
    let heads = [
        Head::Text(language.say("时间", "Time")),
        Head::Text(language.say("类别", "Kind")),
        Head::Text(language.say("订单号", "Order number")),
        Head::Text(language.say("说明", "What")),
    ];
    let nothing = language.say("没有异常", "No problems");
    let table = page::table("problems", &heads, &rows, nothing);
    let (path, title) = ("/problems", language.say("异常", "Problems"));
    List {
        language,
        path,
        title,
        asked,
        filters,
        table,
        goes_on,
    }
    .page()
}

fn kind(language: Language, kind: &str) -> String {
    let (zh, en) = match kind {
        "unverified" => ("签名不符，未采信", "not signed by the platform"),
        "refused" => ("非本商户或缺字段", "signed, but not for us or incomplete"),
        "signature-ambiguous" => (
            "签名可作两种解读，未采信",
            "signed, but can be read in two ways",
        ),
        "not-paid" => ("支付未成功", "a payment failed"),
        other => return page::reason(language, other),
    };
    language.say(zh, en).to_owned()
}

/// The machines that are asked for: all, those that are silent, those out of service.
pub fn asked_for(asked: &Asked, mut kiosks: Vec<Kiosk>, now: Time) -> Vec<Kiosk> {
    match asked.kind.as_str() {
        "silent" => kiosks.retain(|kiosk| kiosk.is_silent(now)),
        "out-of-service" => {
            kiosks.retain(|kiosk| kiosk.is_out_of_service() && !kiosk.is_silent(now));
        }
        _ => {}
    }
    kiosks
}

pub fn kiosks(language: Language, asked: &Asked, kiosks: Vec<Kiosk>, now: Time) -> String {
    let kinds = [
        ("silent", language.say("失联", "silent")),
        ("out-of-service", language.say("停机", "out of service")),
    ];
    let filters = choice(language, "kind", &asked.kind, kinds);
    let here = asked_for(asked, kiosks, now).into_iter();
    let part = asked.part();
    let here = here.skip(part.skip as usize).take(part.most as usize);
    let (kiosks, goes_on) = leaf(here.collect());
    let mut rows = String::new();
    for kiosk in &kiosks {
        let (state, class) = state(language, kiosk, now);
        let (seen, version) = match &kiosk.seen {
            Some(seen) => (
                ago(language, now.seconds_since(seen.at)),
                escape(&seen.version),
            ),
            None => (language.say("从未", "never").to_owned(), String::new()),
        };
        let _ = write!(
            rows,
            r#"<tr><td><a href="/sales?kiosk={name}">{name}</a></td><td><span class="status {class}">{state}</span></td><td>{seen}</td><td class="money">¥{}</td><td class="money">{}</td><td class="number">{version}</td></tr>"#,
            yuan(kiosk.takings),
            kiosk.sold,
            name = escape(kiosk.name.as_str()),
        );
    }
    let heads = [
        Head::Text(language.say("机器", "Kiosk")),
        Head::Text(language.say("状态", "State")),
        Head::Text(language.say("最近联系", "Heard of")),
        Head::Number(language.say("今日收款", "Takings today")),
        Head::Number(language.say("出货", "Dispensed")),
        Head::Text(language.say("版本", "Version")),
    ];
    let nothing = language.say(
        "还没有机器：merchant kiosk add",
        "No kiosks yet: merchant kiosk add",
    );
    let table = page::table("kiosks", &heads, &rows, nothing);
    let (path, title) = ("/kiosks", language.say("机器", "Kiosks"));
    List {
        language,
        path,
        title,
        asked,
        filters,
        table,
        goes_on,
    }
    .page()
}

/// How a machine is, in a word, and how that looks.
fn state(language: Language, kiosk: &Kiosk, now: Time) -> (String, &'static str) {
    let Some(seen) = &kiosk.seen else {
        return (language.say("未联系", "not heard of yet").to_owned(), "");
    };
    if kiosk.is_silent(now) {
        return (language.say("失联", "silent").to_owned(), "expired");
    }
    let (zh, en) = match (seen.fault.as_str(), seen.state.as_str()) {
        ("", "ready") => ("正常", "ready"),
        ("", "selling") => ("售货中", "selling"),
        ("", "") => ("在线", "online"),
        ("dispenser", _) => ("停机：出货装置未就绪", "out of service: dispenser"),
        ("storage", _) => ("停机：存储故障", "out of service: storage"),
        ("unsettled", _) => (
            "停机：正在处理之前的订单",
            "out of service: settles earlier sales",
        ),
        ("", other) | (other, _) => return (escape(other), "unknown"),
    };
    let class = match seen.fault.is_empty() {
        true => "dispensed",
        false => "unknown",
    };
    (language.say(zh, en).to_owned(), class)
}

fn ago(language: Language, seconds: u64) -> String {
    let (number, zh, en) = match seconds {
        0..60 => (seconds, "秒前", "s ago"),
        60..3600 => (seconds / 60, "分钟前", "min ago"),
        3600..86_400 => (seconds / 3600, "小时前", "h ago"),
        _ => (seconds / 86_400, "天前", "days ago"),
    };
    format!("{number} {}", language.say(zh, en))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_page_asks_for_the_same() {
        let asked = Asked {
            status: "closed".to_owned(),
            kiosk: "a&b=c".to_owned(),
            ..Asked::default()
        };
        assert_eq!(asked.query(0), "?status=closed&kiosk=a%26b%3Dc");
        assert_eq!(asked.query(2), "?status=closed&kiosk=a%26b%3Dc&page=2");
        assert_eq!(Asked::default().query(0), "");
        assert_eq!(asked.part(), Part { skip: 0, most: 51 });
    }

    #[test]
    fn a_day_is_from_midnight_to_midnight_in_china() {
        let asked = Asked {
            day: "2026-11-23".to_owned(),
            ..Asked::default()
        };
        let of = asked.sales(Time(0));
        assert_eq!(super::super::day(of.from), "2026-11-23");
        assert_eq!(of.to.0 - of.from.0, DAY);
        assert_eq!(Asked::default().sales(Time(0)).from, Time(i64::MIN));
    }

    #[test]
    fn a_page_has_fifty_lines_and_says_if_there_are_more() {
        let (lines, goes_on) = leaf((0..51).collect());
        assert_eq!((lines.len(), goes_on), (50, true));
        assert!(!leaf((0..50).collect::<Vec<_>>()).1);
    }

    #[test]
    fn how_long_ago_is_told_as_people_tell_it() {
        let told = |seconds| ago(Language::En, seconds);
        let all = [0, 59, 60, 3599, 3600, 86_400, 200_000].map(told);
        assert_eq!(
            all,
            [
                "0 s ago",
                "59 s ago",
                "1 min ago",
                "59 min ago",
                "1 h ago",
                "1 days ago",
                "2 days ago"
            ]
        );
    }
}
