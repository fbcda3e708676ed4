//! What every page is made of. Words in Chinese and English side by side; everything from outside goes through [`escape`].

use std::fmt::Write;

use super::visitor::{Language, Visitor};
use super::{moment, time_of_day};
use crate::ids::SaleCode;
use crate::merchant::commands::{foreign, yuan};
use crate::merchant::ledger::Time;
use crate::merchant::store::reports::{Entry, Line};

/// The login page.
pub fn login(language: Language, wrong: bool) -> String {
    let complaint = if wrong {
        language.say("密码不对，请再试一次", "Wrong password. Try again")
    } else {
        ""
    };
    let body = format!(
        r#"<main class="login"><h1>{title}</h1>
<form method="post" action="/login">
<label for="password">{password}</label>
<input id="password" name="password" type="password" autocomplete="current-password" required autofocus>
<p class="complaint" role="alert">{complaint}</p>
<button>{enter}</button>
</form></main>"#,
        title = language.say("售货管理", "Merchant console"),
        password = language.say("密码", "Password"),
        enter = language.say("登录", "Log in"),
    );
    frame(language, &body)
}

/// One payment that is owed or open; `None` if there is nothing left to say about it.
pub fn payment(visitor: &Visitor, entry: Option<&Entry>) -> String {
    let Visitor {
        language,
        form_token,
    } = visitor;
    let language = *language;
    let back = format!(r#"<a href="/">{}</a>"#, language.say("返回", "Back"));
    let Some(entry) = entry else {
        let done = language.say(
            "这笔付款没有待办事项",
            "Nothing is left to do for this payment",
        );
        let body = format!(r#"<main class="login"><h1>{done}</h1><p>{back}</p></main>"#);
        return frame(language, &body);
    };
    let button = |finding: &str, class: &str, label: &str| {
        format!(r#"<button class="{class}" name="finding" value="{finding}">{label}</button>"#)
    };
    let (title, question, buttons) = if entry.state == "due" {
        let sent = language.say("已在平台退款", "The money was sent back");
        (
            language.say("待退款", "Refund"),
            language.say(
                "在平台退款后，在此登记：",
                "Send the money back at the platform, then note it here:",
            ),
            button("money-sent", "", sent),
        )
    } else {
        let came = language.say("货物已出", "The goods came out");
        let not = language.say("没有出货，需退款", "Nothing came out: refund");
        (
            language.say("待核实", "Review"),
            language.say("请核实是否出货：", "Find out whether the goods came out:"),
            button("came-out", "", came) + &button("nothing-came-out", "", not),
        )
    };
    let body = format!(
        r#"<main class="login"><h1>{title} {amount}</h1>
<dl><dt>{why}</dt><dd>{reason}</dd><dt>{order}</dt><dd class="number">{order_no}</dd><dt>{name}</dt><dd class="number">{transaction}</dd></dl>
<form method="post" action="/payments/{transaction}"><input type="hidden" name="token" value="{form_token}">
<p>{question}</p><label for="note">{note}</label><input id="note" name="note" maxlength="500" autocomplete="off">{buttons}</form><p>{story}{back}</p></main>"#,
        note = language.say("备注（可不填）", "Note (optional)"),
        story = entry.sale.as_ref().map_or_else(String::new, |sale| format!(
            r#"<a href="/sales/{}">{}</a> · "#,
            escape(sale),
            language.say("订单经过", "The sale's story")
        )),
        amount = money(entry.amount, entry.currency.as_deref()),
        why = language.say("原因", "Reason"),
        reason = reason(language, &entry.reason),
        order = language.say("订单号", "Order number"),
        order_no = escape(&entry.order_no),
        name = language.say("平台交易号", "Transaction"),
        transaction = escape(&entry.transaction_id),
    );
    frame(language, &body)
}

/// The lists, by address.
const PLACES: [(&str, &str, &str); 7] = [
    ("/", "今日", "Today"),
    ("/sales", "订单", "Sales"),
    ("/refunds", "退款", "Refunds"),
    ("/reviews", "核实", "Reviews"),
    ("/kiosks", "机器", "Kiosks"),
    ("/problems", "异常", "Problems"),
    ("/bills", "对账", "Bills"),
];

/// A page of the console's, with the way to all others.
pub(super) fn shell(language: Language, here: &str, title: &str, body: &str) -> String {
    let mut places = String::new();
    for (path, zh, en) in PLACES {
        let current = match path == here {
            true => r#" aria-current="page""#,
            false => "",
        };
        // Writing to a String cannot fail.
        let _ = write!(
            places,
            r#"<a href="{path}"{current}>{}</a>"#,
            language.say(zh, en)
        );
    }
    let (other, tag) = (language.say("English", "中文"), language.say("en", "zh"));
    let leave = language.say("退出", "Log out");
    let body = format!(
        r#"<nav class="places">{places}</nav>
<header><h1>{title}</h1><a class="quiet" href="/language/{tag}?back={here}">{other}</a><form method="post" action="/logout"><button class="quiet">{leave}</button></form></header>
{body}"#
    );
    frame(language, &body)
}

/// The form to search with.
pub(super) fn search(language: Language, told: &str) -> String {
    format!(
        r#"<form class="search" method="get" action="/sales"><input id="search" name="q" value="{told}" aria-label="{label}" placeholder="{label}"><button>{find}</button></form>"#,
        told = escape(told),
        label = language.say(
            "编号、订单号或其后四位",
            "Code, order number or its last four"
        ),
        find = language.say("查找", "Search"),
    )
}

/// A column's head; numbers stand at its right.
pub(super) enum Head {
    Text(&'static str),
    Number(&'static str),
}

/// A table, or what is said where there is nothing in it.
pub(super) fn table(id: &str, heads: &[Head], rows: &str, nothing: &str) -> String {
    if rows.is_empty() {
        return format!(r#"<p class="nothing">{nothing}</p>"#);
    }
    let cell = |head: &Head| match head {
        Head::Text(text) => format!("<th>{text}</th>"),
        Head::Number(text) => format!(r#"<th class="money">{text}</th>"#),
    };
    let heads: String = heads.iter().map(cell).collect();
    format!(
        r#"<div class="table"><table id="{id}"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"#
    )
}

fn frame(language: Language, body: &str) -> String {
    format!(
        r#"<!DOCTYPE html>
<html lang="{lang}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><link rel="stylesheet" href="/console.css"></head><body>{body}</body></html>
"#,
        lang = language.say("zh", "en"),
        title = language.say("售货管理", "Merchant console"),
    )
}

/// Payments that are owed or open.
pub(super) fn entries(language: Language, id: &str, entries: &[Entry], nothing: &str) -> String {
    let mut rows = String::new();
    for entry in entries {
        let _ = write!(
            rows,
            r#"<tr><td class="money">{}</td><td>{}</td><td><a href="/payments/{transaction}">{settle}</a></td><td class="number">{}</td><td class="number">{transaction}</td></tr>"#,
            money(entry.amount, entry.currency.as_deref()),
            reason(language, &entry.reason),
            escape(&entry.order_no),
            transaction = escape(&entry.transaction_id),
            settle = language.say("处理", "Settle"),
        );
    }
    let heads = [
        Head::Number(language.say("金额", "Amount")),
        Head::Text(language.say("原因", "Reason")),
        Head::Text(""),
        Head::Text(language.say("订单号", "Order number")),
        Head::Text(language.say("平台交易号", "Transaction")),
    ];
    table(id, &heads, &rows, nothing)
}

/// Today's sales, each with its name.
pub(super) fn lines(language: Language, lines: &[(String, Line)], nothing: &str) -> String {
    all_lines(language, lines, nothing, time_of_day)
}

/// Sales of any day.
pub(super) fn dated_lines(language: Language, lines: &[(String, Line)], nothing: &str) -> String {
    all_lines(language, lines, nothing, moment)
}

fn all_lines(
    language: Language,
    lines: &[(String, Line)],
    nothing: &str,
    time: fn(Time) -> String,
) -> String {
    let mut rows = String::new();
    for (sale, line) in lines {
        let _ = write!(
            rows,
            r#"<tr><td>{}</td><td class="money">¥{}</td><td><span class="status {status}">{}</span></td><td>{}</td><td><a class="number" href="/sales/{sale}">{}</a></td><td class="number">{}</td></tr>"#,
            time(line.created_at),
            yuan(line.total),
            standing(language, &line.status),
            escape(&line.kiosk),
            code_of(sale),
            escape(&line.order_no),
            status = escape(&line.status),
            sale = escape(sale),
        );
    }
    let heads = [
        Head::Text(language.say("时间", "Time")),
        Head::Number(language.say("金额", "Amount")),
        Head::Text(language.say("状态", "Status")),
        Head::Text(language.say("机器", "Kiosk")),
        Head::Text(language.say("编号", "Code")),
        Head::Text(language.say("订单号", "Order number")),
    ];
    table("lines", &heads, &rows, nothing)
}

/// What a kiosk's screen calls the sale.
pub(super) fn code_of(sale: &str) -> String {
    let sale = sale.parse().map(SaleCode::of);
    sale.map_or_else(|_| String::new(), |code| code.to_string())
}

pub(super) fn standing(language: Language, status: &str) -> String {
    let zh = match status {
        "open" => "等待付款",
        "paid" => "已付款",
        "claimed" => "出货中",
        "dispensed" => "已出货",
        "not-dispensed" => "未出货",
        "unknown" => "待核实",
        "closed" => "已取消",
        "expired" => "超时退款",
        _ => return escape(status),
    };
    if language == Language::Zh {
        zh.to_owned()
    } else {
        escape(status)
    }
}

pub(super) fn reason(language: Language, reason: &str) -> String {
    let (zh, en) = match reason {
        "late" => ("关闭后付款", "paid after the close"),
        "duplicate" => ("重复付款", "paid twice"),
        "amount" => ("金额不符", "wrong amount"),
        "unknown-order" => ("订单号不存在", "unknown order number"),
        "expired" => ("超时未出货", "not collected in time"),
        "not-dispensed" => ("未出货", "nothing came out"),
        "unknown" => ("不知是否出货", "outcome unknown"),
        "silent" => ("机器失去联系", "kiosk went silent"),
        "gap" => ("恢复备份后缺失", "missing since a restore"),
        "decided" => ("核实后退款", "refund decided"),
        "bill-only" => ("仅账单有记录", "only on the bill"),
        "currency" => ("非人民币付款", "not paid in yuan"),
        _ => return escape(reason),
    };
    language.say(zh, en).to_owned()
}

/// What was paid: in fen, or in the smallest unit of another currency.
pub(super) fn money(amount: i64, currency: Option<&str>) -> String {
    match currency {
        None => format!("¥{}", yuan(amount)),
        Some(currency) => escape(&foreign(amount, currency)),
    }
}

/// Makes text safe inside elements and quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_becomes_markup() {
        let entry = Entry {
            transaction_id: "<script>alert(1)</script>".to_owned(),
            order_no: "\"'&".to_owned(),
            sale: None,
            amount: 350,
            currency: None,
            reason: "<b>".to_owned(),
            state: "due",
            since: 0,
        };
        let table = entries(Language::En, "refunds", &[entry], "");
        assert!(
            !table.contains("<script>") && !table.contains("<b>"),
            "{table}"
        );
        assert!(table.contains("&lt;script&gt;") && table.contains("&quot;&#39;&amp;"));
        assert!(table.contains("¥3.50"));
        assert_eq!(money(350, Some("<i>")), "350 &lt;i&gt; (smallest units)");
    }
}
