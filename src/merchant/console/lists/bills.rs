//! The list of bills: what each came to, and what is to be done about it.

use std::fmt::Write;

use super::{Asked, List, choice, leaf};
use crate::merchant::commands::yuan;
use crate::merchant::console::moment;
use crate::merchant::console::page::{self, Head, escape};
use crate::merchant::console::visitor::Language;
use crate::merchant::reconcile::{Tally, Verdict};
use crate::merchant::store::bills::Bill;
use crate::merchant::store::reports::Key;

pub fn bills(language: Language, asked: &Asked, bills: Vec<(i64, Bill)>) -> String {
    let (bills, next) = leaf(bills, |(line, _)| Key {
        at: *line,
        name: String::new(),
    });
    let kinds = [
        ("open", language.say("需处理", "to look at")),
        ("done", language.say("已了结", "done")),
    ];
    let filters = choice(language, "kind", &asked.kind, kinds);
    let mut rows = String::new();
    for (line, bill) in &bills {
        let (verdict, class) = verdict(language, bill.summary.verdict());
        let _ = write!(
            rows,
            r#"<tr><td><a class="number" href="/bills/{line}">{}</a><small>{}</small></td><td><span class="status {class}">{verdict}</span></td>"#,
            escape(&bill.name),
            moment(bill.at),
        );
        for Tally { count, total } in bill.summary.tallies() {
            let _ = match count {
                0 => write!(rows, r#"<td class="money none">0</td>"#),
                _ => write!(
                    rows,
                    r#"<td class="money">{count}<small>¥{}</small></td>"#,
                    yuan(total as i64)
                ),
            };
        }
        let _ = write!(
            rows,
            r#"<td class="wide">{}</td></tr>"#,
            advice(language, bill),
        );
    }
    let heads = [
        Head::Text(language.say("账单", "Bill")),
        Head::Text(language.say("结果", "Outcome")),
        Head::Number(language.say("相符", "Matched")),
        Head::Number(language.say("仅账单有", "Only on the bill")),
        Head::Number(language.say("仅本店有", "Only in the books")),
        Head::Number(language.say("金额不符", "Amount differs")),
        Head::Number(language.say("账单重复", "Told twice")),
        Head::Text(language.say("怎么办", "What to do")),
    ];
    let nothing = language.say(
        "没有账单。对账：merchant reconcile --bill 账单.csv --map map.toml",
        "No bills. To hold one against the books: merchant reconcile --bill BILL.csv --map map.toml",
    );
    let table = page::table("bills", &heads, &rows, nothing);
    let (path, title) = ("/bills", language.say("对账", "Bills"));
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

/// What a bill says of the books, and how that looks.
fn verdict(language: Language, verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Agree => (language.say("相符", "they agree"), "dispensed"),
        Verdict::Owed => (language.say("已补记", "booked"), "dispensed"),
        Verdict::Waits => (language.say("待再次对账", "to be held again"), "unknown"),
        Verdict::Wrong => (language.say("账目有误", "books are wrong"), "unknown"),
    }
}

/// What is to be done about a bill.
fn advice(language: Language, bill: &Bill) -> String {
    let summary = &bill.summary;
    let mut all = Vec::new();
    if summary.verdict() == Verdict::Wrong {
        all.push(
            language
                .say(
                    "与平台核对“仅本店有”和“金额不符”的付款",
                    "Compare what is only in the books, or differs, with the platform",
                )
                .to_owned(),
        );
    }
    if summary.refunds > 0 {
        let (zh, en) = ("笔已记为待退款", "became refunds due");
        all.push(format!("{} {}", summary.refunds, language.say(zh, en)));
    }
    if summary.doubted > 0 {
        let (zh, en) = ("笔待核实（备份之后）", "went to review, after a restore");
        all.push(format!("{} {}", summary.doubted, language.say(zh, en)));
    }
    if summary.awaited > 0 {
        let after = moment(bill.tells_all_after());
        all.push(match language {
            Language::Zh => format!(
                "{} 笔通知可能还在途中，{after} 后请再次对账",
                summary.awaited
            ),
            Language::En => format!(
                "{} may still be notified: hold the bill against the books again after {after}",
                summary.awaited
            ),
        });
    }
    all.join(language.say("；", "; "))
}
