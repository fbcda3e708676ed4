//! Today's page: takings, who waits, what is owed, which machines are well. It renews itself.

use super::machines::{self, Kiosk};
use super::page::{self, shell};
use super::visitor::Language;
use super::{midnight_before, time_of_day};
use crate::merchant::alarms::{Alarm, Kind};
use crate::merchant::commands::yuan;
use crate::merchant::ledger::Time;
use crate::merchant::store::Unavailable;
use crate::merchant::store::reports::{self, Entry, Line, Part, SalesOf};
use crate::merchant::store::sql::Sql;
use crate::merchant::{Merchant, now};

/// So many sales, and payments that need somebody, are on the page.
const SOME: Part = Part::first(10);

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
    /// How many sales have not ended.
    pub live: i64,
    /// The newest sales.
    pub lines: Vec<(String, Line)>,
    /// Money that must go back, the oldest.
    pub refunds: Vec<Entry>,
    /// Payments that need a person, the oldest.
    pub reviews: Vec<Entry>,
    /// What must go back, and what needs a person, in fen.
    pub owed: (i64, i64),
    /// Whether the equation M2 held when it was looked at last.
    pub balances: bool,
    /// What somebody must be woken for.
    pub alarms: Vec<Alarm>,
    /// Every machine.
    pub kiosks: Vec<Kiosk>,
}

/// Reads what the page shows.
pub async fn read(merchant: &Merchant) -> Result<Today, Unavailable> {
    let now = now();
    let midnight = midnight_before(now);
    let kiosks = machines::all(merchant).await?;
    let watched = merchant.watched().await?;
    let read = move |sql: &dyn Sql| {
        let of = SalesOf::time(midnight, Time(i64::MAX));
        Ok((
            reports::takings_since(sql, midnight)?,
            reports::glance(sql, now)?,
            reports::sales(sql, &of, &SOME)?.lines,
            reports::refunds_of(sql, &Default::default(), &SOME)?,
            reports::reviews_of(sql, &Default::default(), &SOME)?,
        ))
    };
    let (taken, glance, lines, refunds, reviews) = merchant.store.read(read).await?;
    let (sales, dispensed, takings) = taken;
    Ok(Today {
        now,
        sales,
        dispensed,
        takings,
        live: glance.live,
        lines,
        refunds,
        reviews,
        owed: (glance.refunds.1, glance.reviews.1),
        balances: watched.figures.balance.holds,
        alarms: watched.alarms.clone(),
        kiosks,
    })
}

/// Today.
pub fn page(language: Language, today: &Today) -> String {
    let body = format!(
        r#"<main>{search}<div id="live">{live}</div></main><script src="/console.js" defer></script>"#,
        search = page::search(language, ""),
        live = live(language, today),
    );
    shell(language, "/", language.say("今日", "Today"), &body)
}

/// What changes on it.
pub fn live(language: Language, today: &Today) -> String {
    let figure = |id: &str, class: &str, link: &str, label: &str, value: &str, note: &str| {
        format!(
            r#"<a class="figure {class}" id="{id}" href="{link}"><span>{label}</span><b>{value}</b><small>{note}</small></a>"#
        )
    };
    let owed = |fen: i64| if fen > 0 { "owed" } else { "" };
    let (due, review) = today.owed;
    let holds = match today.balances {
        true => language.say("账目平衡", "The books balance"),
        false => language.say(
            "账目不平，请立即检查",
            "THE BOOKS DO NOT BALANCE: look into it now",
        ),
    };
    let success = match today.sales - today.live {
        ended if ended > 0 => format!(
            "{} {} %",
            language.say("成功率", "success"),
            today.dispensed * 100 / ended.max(today.dispensed)
        ),
        _ => format!("{} {}", today.sales, language.say("笔开始", "begun")),
    };
    let silent = today
        .kiosks
        .iter()
        .filter(|kiosk| kiosk.is_silent(today.now));
    let silent = silent.count();
    let down = today
        .kiosks
        .iter()
        .filter(|kiosk| kiosk.is_out_of_service());
    let down = down.filter(|kiosk| !kiosk.is_silent(today.now)).count();
    let well = today.kiosks.len() - silent - down;
    let kiosks_note = match (silent, down) {
        (0, 0) => language.say("一切正常", "all is well").to_owned(),
        (0, down) => format!("{down} {}", language.say("台停机", "out of service")),
        (silent, _) => format!("{silent} {}", language.say("台失联", "silent")),
    };
    let yuan = |fen| format!("¥{}", yuan(fen));
    let figures = [
        figure(
            "takings",
            "",
            "/sales?status=dispensed",
            language.say("今日收款", "Takings"),
            &yuan(today.takings),
            &format!(
                "{} {}",
                today.dispensed,
                language.say("笔出货", "dispensed")
            ),
        ),
        figure(
            "sales",
            "",
            "/sales",
            language.say("正在进行", "Waiting now"),
            &today.live.to_string(),
            &success,
        ),
        figure(
            "due",
            owed(due),
            "/refunds",
            language.say("待退款", "Refunds due"),
            &yuan(due),
            "",
        ),
        figure(
            "review",
            owed(review),
            "/reviews",
            language.say("待核实", "To review"),
            &yuan(review),
            "",
        ),
        figure(
            "kiosks",
            owed((silent + down) as i64),
            "/kiosks",
            language.say("机器", "Kiosks"),
            &format!("{well}/{}", today.kiosks.len()),
            &kiosks_note,
        ),
    ]
    .concat();
    format!(
        r#"{alarms}<section class="figures">{figures}</section>
<section><h2>{refunds_title}</h2>{refunds}</section>
<section><h2>{reviews_title}</h2>{reviews}</section>
<section><h2>{sales_title}</h2>{lines}</section>
<p id="balance" class="{balance_class}">{holds} · {time}</p>"#,
        alarms = alarms(language, &today.alarms),
        refunds_title = language.say("待退款", "Refunds due"),
        refunds = page::entries(
            language,
            "refunds",
            &today.refunds,
            language.say("没有待退款", "Nothing to refund")
        ),
        reviews_title = language.say("待核实", "To review"),
        reviews = page::entries(
            language,
            "reviews",
            &today.reviews,
            language.say("没有待核实的付款", "Nothing to review")
        ),
        sales_title = language.say("最近订单", "The newest sales"),
        lines = page::lines(
            language,
            &today.lines,
            language.say("今天还没有订单", "No sales yet today")
        ),
        balance_class = if today.balances { "" } else { "alarm" },
        time = time_of_day(today.now),
    )
}

/// What stands and is not told by a figure already.
fn alarms(language: Language, standing: &[Alarm]) -> String {
    let mut lines = String::new();
    for alarm in standing {
        let (zh, en) = match alarm.kind {
            Kind::PaidNotDispensed => (
                "有付款长时间未出货",
                "A payment waits for its goods for too long",
            ),
            Kind::NotificationRefused => (
                "收到不可信或金额不符的通知，见“异常”",
                "Notifications were refused: see Problems",
            ),
            Kind::SignatureAmbiguous => (
                "收到签名可作两种解读的通知，未采信，见“异常”",
                "Signed notifications can be read in two ways and were not believed: see Problems",
            ),
            Kind::NoNotification => (
                "很久没有收到付款通知：平台能访问我们的通知地址吗？",
                "No payment was heard of for long: does the platform reach our notification address?",
            ),
            Kind::NeverNotified => (
                "从未收到过平台的付款通知：请核对通知地址和签名密钥",
                "No notification was ever verified: check the notification address at the platform, and the key",
            ),
            Kind::DatabaseSlow => ("数据库响应缓慢", "The database is slow"),
            Kind::BooksUnsafe => (
                "账本存储不安全，暂停收款确认，请立即检查",
                "The books cannot be kept safely, and payments are not confirmed: look into it now",
            ),
            Kind::RetryWindow => (
                "有订单失去联系，平台重试即将结束：请确认通知地址可访问",
                "Sales are open and nobody asks for them: the platform soon gives up telling whether they were paid",
            ),
            Kind::WrongTokens => (
                "有人用无效的令牌频繁访问",
                "Somebody calls again and again with a token that no kiosk has",
            ),
            Kind::BooksDoNotBalance
            | Kind::KioskSilent
            | Kind::KioskOutOfService
            | Kind::RefundDue
            | Kind::ReviewOpen => continue,
        };
        let (told, title) = (language.say(zh, en), page::escape(&alarm.text));
        lines.push_str(&format!(r#"<li title="{title}">{told}</li>"#));
    }
    match lines.is_empty() {
        true => String::new(),
        false => format!(r#"<ul class="alarms">{lines}</ul>"#),
    }
}
