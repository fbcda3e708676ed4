//! The console's pages as text. Words in Chinese and English side by side; everything from outside goes through [`escape`].

use std::fmt::Write;

use axum::http::{HeaderMap, header};

use crate::merchant::commands::yuan;
use crate::merchant::console::{story, time_of_day};
use crate::merchant::ledger::Time;
use crate::merchant::store::reports::{Balance, Entry, Line};

/// The language of the pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Language {
    /// Chinese.
    Zh,
    /// English.
    En,
}

impl Language {
    /// What the browser asks for; Chinese if it does not say.
    pub fn preferred(headers: &HeaderMap) -> Language {
        let wanted = headers
            .get(header::ACCEPT_LANGUAGE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("zh");
        let first = wanted
            .split(',')
            .map(str::trim)
            .find(|tag| tag.starts_with("zh") || tag.starts_with("en"));
        if first.is_some_and(|tag| tag.starts_with("en")) {
            Language::En
        } else {
            Language::Zh
        }
    }

    pub fn say(self, zh: &'static str, en: &'static str) -> &'static str {
        match self {
            Language::Zh => zh,
            Language::En => en,
        }
    }
}

/// What today's page shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Today {
    /// When it was asked for.
    pub now: Time,
    /// How many sales began.
    pub sales: i64,
    /// How many of them were dispensed.
    pub dispensed: i64,
    /// What these took, in fen.
    pub takings: i64,
    /// The newest sales.
    pub lines: Vec<(String, Line)>,
    /// Money that must go back.
    pub refunds: Vec<Entry>,
    /// Payments that need a person.
    pub reviews: Vec<Entry>,
    /// The equation M2.
    pub balance: Balance,
}

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
    frame(language, "", &body)
}

/// Today: takings, what is owed, what needs a person, the sales.
pub fn today(language: Language, today: &Today) -> String {
    let figure = |id: &str, class: &str, label: &str, value: &str, note: &str| {
        format!(
            r#"<div class="figure {class}" id="{id}"><span>{label}</span><b>{value}</b><small>{note}</small></div>"#
        )
    };
    let refund_note = format!("{} {}", today.refunds.len(), language.say("笔", "payments"));
    let review_note = format!("{} {}", today.reviews.len(), language.say("笔", "payments"));
    let sales_note = format!("{} {}", today.sales, language.say("笔开始", "begun"));
    let holds = if today.balance.holds {
        language.say("账目平衡", "The books balance")
    } else {
        language.say(
            "账目不平，请立即检查",
            "THE BOOKS DO NOT BALANCE: look into it now",
        )
    };
    let body = format!(
        r#"<header><h1>{title}</h1><form method="post" action="/logout"><button class="quiet">{leave}</button></form></header>
<main>
<section class="figures">{takings}{sales}{due}{review}</section>
{search}
<section><h2>{refunds_title} <a href="/refunds.csv">{csv}</a></h2>{refunds}</section>
<section><h2>{reviews_title} <a href="/reviews.csv">{csv}</a></h2>{reviews}</section>
<section><h2>{sales_title} <a href="/sales.csv">{csv}</a></h2>{lines}</section>
</main>
<footer id="balance" class="{balance_class}">{holds} · {time}</footer>"#,
        title = language.say("今日", "Today"),
        leave = language.say("退出", "Log out"),
        takings = figure(
            "takings",
            "",
            language.say("今日收款", "Takings"),
            &format!("¥{}", yuan(today.takings)),
            ""
        ),
        sales = figure(
            "sales",
            "",
            language.say("已出货", "Dispensed"),
            &today.dispensed.to_string(),
            &sales_note
        ),
        due = figure(
            "due",
            mark(today.balance.refund_due),
            language.say("待退款", "Refunds due"),
            &format!("¥{}", yuan(today.balance.refund_due)),
            &refund_note
        ),
        review = figure(
            "review",
            mark(today.balance.review),
            language.say("待核实", "To review"),
            &format!("¥{}", yuan(today.balance.review)),
            &review_note
        ),
        refunds_title = language.say("待退款", "Refunds due"),
        refunds = entries(
            language,
            "refunds",
            &today.refunds,
            language.say("没有待退款", "Nothing to refund")
        ),
        reviews_title = language.say("待核实", "To review"),
        reviews = entries(
            language,
            "reviews",
            &today.reviews,
            language.say("没有待核实的付款", "Nothing to review")
        ),
        sales_title = language.say("今日订单", "Sales today"),
        lines = lines(
            language,
            &today.lines,
            language.say("今天还没有订单", "No sales yet today")
        ),
        search = story::search(language, ""),
        csv = language.say("下载", "CSV"),
        balance_class = if today.balance.holds { "" } else { "alarm" },
        time = time_of_day(today.now),
    );
    frame(
        language,
        r#"<script src="/console.js" defer></script>"#,
        &body,
    )
}

/// One payment that is owed or open; `None` if there is nothing left to say about it.
pub fn payment(language: Language, entry: Option<&Entry>, form_token: &str) -> String {
    let back = format!(r#"<a href="/">{}</a>"#, language.say("返回", "Back"));
    let Some(entry) = entry else {
        let done = language.say(
            "这笔付款没有待办事项",
            "Nothing is left to do for this payment",
        );
        return frame(
            language,
            "",
            &format!(r#"<main class="login"><h1>{done}</h1><p>{back}</p></main>"#),
        );
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
        r#"<main class="login"><h1>{title} ¥{amount}</h1>
<dl><dt>{why}</dt><dd>{reason}</dd><dt>{order}</dt><dd class="number">{order_no}</dd><dt>{name}</dt><dd class="number">{transaction}</dd></dl>
<form method="post" action="/payments/{transaction}"><input type="hidden" name="token" value="{form_token}">
<p>{question}</p>{buttons}</form><p>{back}</p></main>"#,
        amount = yuan(entry.amount),
        why = language.say("原因", "Reason"),
        reason = reason(language, &entry.reason),
        order = language.say("订单号", "Order number"),
        order_no = escape(&entry.order_no),
        name = language.say("平台交易号", "Transaction"),
        transaction = escape(&entry.transaction_id),
    );
    frame(language, "", &body)
}

fn mark(fen: i64) -> &'static str {
    if fen > 0 { "owed" } else { "" }
}

pub(super) fn frame(language: Language, head: &str, body: &str) -> String {
    format!(
        r#"<!DOCTYPE html>
<html lang="{lang}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><link rel="stylesheet" href="/console.css">{head}</head><body>{body}</body></html>
"#,
        lang = language.say("zh", "en"),
        title = language.say("售货管理", "Merchant console"),
    )
}

fn entries(language: Language, id: &str, entries: &[Entry], nothing: &str) -> String {
    if entries.is_empty() {
        return format!(r#"<p class="nothing">{nothing}</p>"#);
    }
    let mut rows = String::new();
    for entry in entries {
        // Writing to a String cannot fail.
        let _ = write!(
            rows,
            r#"<tr><td class="money">¥{}</td><td>{}</td><td><a href="/payments/{transaction}">{settle}</a></td><td class="number">{}</td><td class="number">{transaction}</td></tr>"#,
            yuan(entry.amount),
            reason(language, &entry.reason),
            escape(&entry.order_no),
            transaction = escape(&entry.transaction_id),
            settle = language.say("处理", "Settle"),
        );
    }
    format!(
        r#"<div class="table"><table id="{id}"><thead><tr><th class="money">{}</th><th>{}</th><th></th><th>{}</th><th>{}</th></tr></thead><tbody>{rows}</tbody></table></div>"#,
        language.say("金额", "Amount"),
        language.say("原因", "Reason"),
        language.say("订单号", "Order number"),
        language.say("平台交易号", "Transaction"),
    )
}

/// A table of sales, each with its name; or what is said where there is none.
pub(super) fn lines(language: Language, lines: &[(String, Line)], nothing: &str) -> String {
    if lines.is_empty() {
        return format!(r#"<p class="nothing">{nothing}</p>"#);
    }
    let mut rows = String::new();
    for (sale, line) in lines {
        let _ = write!(
            rows,
            r#"<tr><td>{}</td><td class="money">¥{}</td><td><span class="status {status}">{}</span></td><td>{}</td><td><a class="number" href="/sales/{sale}">{}</a></td></tr>"#,
            time_of_day(line.created_at),
            yuan(line.total),
            standing(language, &line.status),
            escape(&line.kiosk),
            escape(&line.order_no),
            status = escape(&line.status),
            sale = escape(sale),
        );
    }
    format!(
        r#"<div class="table"><table id="lines"><thead><tr><th>{}</th><th class="money">{}</th><th>{}</th><th>{}</th><th>{}</th></tr></thead><tbody>{rows}</tbody></table></div>"#,
        language.say("时间", "Time"),
        language.say("金额", "Amount"),
        language.say("状态", "Status"),
        language.say("机器", "Kiosk"),
        language.say("订单号", "Order number"),
    )
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
        _ => return escape(reason),
    };
    language.say(zh, en).to_owned()
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
    }

    #[test]
    fn the_browser_chooses_the_language() {
        let wants = |tags: &str| {
            Language::preferred(&HeaderMap::from_iter([(
                header::ACCEPT_LANGUAGE,
                tags.parse().expect("a header"),
            )]))
        };
        assert_eq!(wants("en-GB,en;q=0.9,zh;q=0.5"), Language::En);
        assert_eq!(wants("zh-CN"), Language::Zh);
        assert_eq!(wants("de-DE,en;q=0.5"), Language::En);
        assert_eq!(wants("de"), Language::Zh);
        assert_eq!(Language::preferred(&HeaderMap::new()), Language::Zh);
    }
}
