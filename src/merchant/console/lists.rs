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
use crate::merchant::store::reports::{self, EntriesOf, Entry, Key, Part, Problem, Sales, SalesOf};
use crate::sale::SaleStatus;

pub use bills::bills;

/// So many lines are on one page.
const ON_A_PAGE: i64 = 50;
/// So many are in a file at most.
pub const IN_FILE: Part = Part::first(100_000);
/// For a page so many are looked at where no index helps; it leads to those before.
pub const LOOKED_AT: i64 = 5_000;
/// The same for a file.
pub const LOOKED_AT_IN_FILE: i64 = 1_000_000;
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
    /// Where the page before has ended; empty for the first.
    pub after: String,
    /// Of machines, from 0.
    pub page: u16,
}

impl Asked {
    /// Where the page before has ended.
    pub fn after(&self) -> Option<Key> {
        Key::read(&self.after)
    }

    /// The page that is asked for, and one line more: then there is another.
    pub fn part(&self) -> Part {
        Part {
            after: self.after(),
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
            looked_at: LOOKED_AT,
        }
    }

    /// The payments that are asked for.
    pub fn entries(&self) -> EntriesOf {
        EntriesOf {
            reason: self.reason.clone(),
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
    fn query(&self, place: &Place) -> String {
        let mut query = Serializer::new(String::new());
        let all = [
            ("q", &self.q),
            ("day", &self.day),
            ("status", &self.status),
            ("kiosk", &self.kiosk),
            ("reason", &self.reason),
            ("kind", &self.kind),
        ];
        for (name, value) in all.into_iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        match place {
            Place::First => {}
            Place::After(key) => {
                query.append_pair("after", &key.to_string());
            }
            Place::Page(page) => {
                query.append_pair("page", &page.to_string());
            }
        }
        match query.finish().as_str() {
            "" => String::new(),
            query => format!("?{query}"),
        }
    }
}

/// Where a page is in its list.
enum Place {
    /// At its beginning.
    First,
    /// After this line.
    After(Key),
    /// By its number.
    Page(u16),
}

/// What comes after a page.
enum Next {
    /// Nothing.
    End,
    /// Another page.
    Page(Place),
    /// Nobody knows: from here on it was not looked.
    Search(Key),
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
    next: Next,
}

impl List<'_> {
    fn page(&self) -> String {
        let List {
            language,
            path,
            asked,
            ..
        } = self;
        let file = format!("{path}/list.csv{}", asked.query(&Place::First));
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
        let is_first = asked.after.is_empty() && asked.page == 0;
        let before = match (is_first, asked.page.checked_sub(2)) {
            (true, _) => String::new(),
            (false, Some(page)) => leads(
                asked,
                path,
                &Place::Page(page + 1),
                language.say("← 上一页", "← Previous"),
            ),
            (false, None) => leads(
                asked,
                path,
                &Place::First,
                language.say("← 首页", "← First page"),
            ),
        };
        let body = format!(
            r#"<main>{search}{filters}<section>{}</section><nav class="leaves">{before}{}</nav></main>"#,
            self.table,
            next(*language, asked, path, &self.next),
            search = if *path == "/sales" {
                page::search(*language, &asked.q)
            } else {
                String::new()
            },
        );
        shell(self.language, path, self.title, &body)
    }
}

/// A link to another page.
fn leads(asked: &Asked, path: &str, place: &Place, label: &str) -> String {
    let query = asked.query(place);
    format!(r#"<a href="{path}{}">{label}</a>"#, escape(&query))
}

/// The way on.
fn next(language: Language, asked: &Asked, path: &str, next: &Next) -> String {
    match next {
        Next::End => String::new(),
        Next::Page(place) => leads(asked, path, place, language.say("下一页 →", "Next →")),
        Next::Search(key) => {
            let from = moment(Time(key.at));
            let label = match language {
                Language::Zh => format!("已查到 {from}，继续向前查找 →"),
                Language::En => format!("Looked back to {from}. Search further →"),
            };
            leads(asked, path, &Place::After(key.clone()), &label)
        }
    }
}

/// What belongs on this page of what was read, and what comes after it.
fn leaf<T>(mut lines: Vec<T>, key: impl Fn(&T) -> Key) -> (Vec<T>, Next) {
    let goes_on = lines.len() as i64 > ON_A_PAGE;
    lines.truncate(ON_A_PAGE as usize);
    let next = match lines.last() {
        Some(last) if goes_on => Next::Page(Place::After(key(last))),
        _ => Next::End,
    };
    (lines, next)
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

pub fn sales(language: Language, asked: &Asked, sales: Sales) -> String {
    let looked_to = sales.looked_to;
    let (sales, next) = leaf(sales.lines, reports::key_of);
    let next = looked_to.map_or(next, Next::Search);
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
        next,
    }
    .page()
}

/// What a search has found.
pub fn found(language: Language, asked: &Asked, sales: &Sales) -> String {
    let nothing = language.say(
        "没有找到。请输入屏幕上的编号、订单号、其后四位，或平台交易号",
        "Nothing found. Enter the code on the screen, an order number, its last four, or a transaction",
    );
    let further = sales.looked_to.clone().map(Next::Search);
    let further = next(language, asked, "/sales", &further.unwrap_or(Next::End));
    let body = format!(
        r#"<main>{}<section>{}</section><nav class="leaves">{further}</nav></main>"#,
        page::search(language, &asked.q),
        page::dated_lines(language, &sales.lines, nothing)
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
    let (entries, next) = leaf(entries, Entry::key);
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
        next,
    }
    .page()
}

pub fn problems(language: Language, asked: &Asked, problems: Vec<Problem>) -> String {
    let (goes_on, before) = (problems.len() as i64 > ON_A_PAGE, asked.after());
    let problems = &problems[..problems.len().min(ON_A_PAGE as usize)];
    let next = match reports::key_after(problems, before.as_ref()) {
        Some(key) if goes_on => Next::Page(Place::After(key)),
        _ => Next::End,
    };
    let kinds = PROBLEMS
        .into_iter()
        .map(|word| (word, kind(language, word)));
    let filters = choice(language, "kind", &asked.kind, kinds);
    let mut rows = String::new();
    for problem in problems {
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
        next,
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
    let here = here.skip(usize::from(asked.page) * ON_A_PAGE as usize);
    let mut kiosks: Vec<Kiosk> = here.take(ON_A_PAGE as usize + 1).collect();
    let another = asked.page.checked_add(1);
    let next = match another.filter(|_| kiosks.len() as i64 > ON_A_PAGE) {
        Some(page) => Next::Page(Place::Page(page)),
        None => Next::End,
    };
    kiosks.truncate(ON_A_PAGE as usize);
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
        next,
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
        let key = Key {
            at: 1_795_363_200_000,
            name: "0a-1".to_owned(),
        };
        assert_eq!(Key::read(&key.to_string()), Some(key.clone()));
        let same = "?status=closed&kiosk=a%26b%3Dc";
        assert_eq!(asked.query(&Place::First), same);
        let after = format!("{same}&after=1795363200000-0a-1");
        assert_eq!(asked.query(&Place::After(key)), after);
        assert_eq!(asked.query(&Place::Page(2)), format!("{same}&page=2"));
        assert_eq!(Asked::default().query(&Place::First), "");
        assert_eq!(asked.part(), Part::first(51));
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
    fn a_page_has_fifty_lines_and_says_where_the_next_begins() {
        let key = |line: &i64| Key {
            at: *line,
            name: String::new(),
        };
        let (lines, next) = leaf((0..51).collect(), key);
        assert_eq!(lines.len(), 50);
        assert!(matches!(next, Next::Page(Place::After(Key { at: 49, .. }))));
        assert!(matches!(leaf((0..50).collect(), key).1, Next::End));
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
