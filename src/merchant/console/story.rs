//! The page of one sale, second by second.

use std::fmt::Write;

use super::page::{code_of, escape, money, reason, shell, standing};
use super::visitor::Language;
use super::{day, time_of_day};
use crate::merchant::commands::yuan;
use crate::merchant::store::story::{Event, Payment, Story};
use crate::selpay::xml;

/// A sale's whole story.
pub fn story(language: Language, story: &Story) -> String {
    let line = &story.line;
    let mut events = String::new();
    for (at, event) in &story.events {
        // Writing to a String cannot fail.
        let _ = write!(
            events,
            r#"<li><time>{}</time><p>{}</p></li>"#,
            time_of_day(*at),
            told(language, event)
        );
    }
    let payments: String = story
        .payments
        .iter()
        .map(|payment| message(language, payment))
        .collect();
    let body = format!(
        r#"<main><dl><dt>{day_label}</dt><dd>{day}</dd><dt>{kiosk_label}</dt><dd>{kiosk}</dd><dt>{code_label}</dt><dd class="number">{code}</dd><dt>{sale_label}</dt><dd class="number">{sale}</dd></dl>
<ol class="story">{events}</ol>{payments}</main>"#,
        day_label = language.say("日期", "Day"),
        day = day(line.created_at),
        kiosk_label = language.say("机器", "Kiosk"),
        kiosk = escape(&line.kiosk),
        code_label = language.say("编号", "Code"),
        code = code_of(&story.sale),
        sale_label = language.say("销售", "Sale"),
        sale = escape(&story.sale),
    );
    let title = format!(
        r#"¥{} <span class="status {}">{}</span>"#,
        yuan(line.total),
        escape(&line.status),
        standing(language, &line.status)
    );
    shell(language, "/sales", &title, &body)
}

/// One event in a sentence.
fn told(language: Language, event: &Event) -> String {
    let number = |number: &str| format!(r#"<span class="number">{}</span>"#, escape(number));
    match event {
        Event::Began => language
            .say("顾客确认金额", "The customer confirmed the amount")
            .to_owned(),
        Event::Registered(order) => {
            let said = language.say("登记订单号", "Order number registered:");
            format!("{said} {}", number(order))
        }
        Event::NotPaid(what) => {
            let said = language.say("支付未成功", "A payment failed:");
            format!("{said} {}", escape(what))
        }
        Event::Notified {
            transaction,
            order_no,
            amount,
            currency,
        } => {
            let (paid, on) = (language.say("收到付款", "Paid"), language.say("订单", "on"));
            format!(
                "{paid} {} {on} {} · {}",
                money(*amount, currency.as_deref()),
                number(order_no),
                number(transaction)
            )
        }
        Event::Became {
            transaction,
            state,
            reason: why,
        } => {
            let state = match state.as_str() {
                "waiting" => language.say(
                    "付款有效，等待出货",
                    "The payment counts; goods may come out",
                ),
                "dispensed" => language.say("付款已换得货物", "The payment bought goods"),
                "refund-due" => language.say("付款应退回", "The money must go back"),
                "refunded" => language.say("已退款", "The money went back"),
                "review" => language.say("付款需人工核实", "A person must look at the payment"),
                other => return escape(other),
            };
            match why.as_str() {
                "" => format!("{state} · {}", number(transaction)),
                why => format!(
                    "{state}（{}） · {}",
                    reason(language, why),
                    number(transaction)
                ),
            }
        }
        Event::Noted(note) => {
            let said = language.say("备注", "Noted:");
            format!("{said} {}", escape(note))
        }
        Event::Claimed => language
            .say(
                "机器领取，开始出货",
                "The kiosk claimed it and began to dispense",
            )
            .to_owned(),
        Event::Ended(status) => {
            let said = language.say("结束", "It ended:");
            format!("{said} {}", standing(language, status))
        }
    }
}

/// The platform's message, field by field.
fn message(language: Language, payment: &Payment) -> String {
    let mut fields = String::new();
    for (name, value) in xml::read(&payment.body).unwrap_or_default().iter() {
        let _ = write!(
            fields,
            r#"<dt class="number">{}</dt><dd class="number">{}</dd>"#,
            escape(name),
            escape(value)
        );
    }
    format!(
        r#"<details><summary>{} {}</summary><dl>{fields}</dl></details>"#,
        language.say("平台通知", "The platform's message"),
        escape(&payment.transaction),
    )
}
