//! Every word a panel can show, Chinese and English side by side.
//!
//! Truth first (G5): "paid" stands only where something is paid, and where nobody knows, the text says so.
//! A `|` is where a line may best be broken.

use crate::kiosk::machine::amount::Refusal;
use crate::kiosk::machine::screen::{Doing, Failure, Language, Leaving, Outage, Remark};

/// A text in both languages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Words {
    zh: &'static str,
    en: &'static str,
}

const fn words(zh: &'static str, en: &'static str) -> Words {
    Words { zh, en }
}

impl Words {
    /// The text in this language.
    pub fn in_language(self, language: Language) -> &'static str {
        match language {
            Language::Zh => self.zh,
            Language::En => self.en,
        }
    }
}

pub const ENTER_AMOUNT: Words = words("请输入金额", "Enter the amount");
pub const THEN_CONFIRM: Words = words("输入后按 # 确认", "Then press # to go on");
/// Before what a key does that must be held down.
pub const HOLD: Words = words("按住", "Hold:");
pub const CONFIRM: Words = words("确认", "OK");
pub const CLEAR: Words = words("清除", "Clear");
pub const BACKSPACE: Words = words("退格", "Delete");
/// On the key that changes the language: in the language one gets.
pub const OTHER_LANGUAGE: Words = words("English", "中文");

pub const SCAN: Words = words("请用微信|或支付宝|扫码支付", "Scan with WeChat or Alipay");
pub const SECONDS: Words = words("秒", "s");
pub const NEW_CODE: Words = words("换码", "New code");
pub const CANCEL: Words = words("取消", "Cancel");
pub const ORDER_ENDS: Words = words("尾号", "No.");

pub const PAID: Words = words("已付款", "Paid");
pub const COMING: Words = words("正在出货，|请稍候", "Your goods are coming");
pub const THANK_YOU: Words = words("谢谢惠顾", "Thank you!");
pub const TAKE_GOODS: Words = words("请取走您的商品", "Please take your goods");

pub const NOT_RECEIVED: Words = words(
    "未收到付款。|如已付款，|请凭编号联系我们",
    "No payment was received. |If you have paid, contact us.",
);
pub const OLD_CODE: Words = words("请勿再扫旧码", "Please do not scan the old code");

pub const OUT_OF_SERVICE: Words = words("暂停服务", "Out of service");
pub const REFERENCE: Words = words("编号", "Number");
pub const PHONE: Words = words("客服电话", "Call us:");
pub const TRY_AGAIN: Words = words("重试", "Try again");
pub const BACK: Words = words("返回", "Back");

/// Why a key was refused: the words before and after the maximum, where one is told.
pub fn refusal(refusal: Refusal) -> (Words, Words) {
    let nothing = words("", "");
    match refusal {
        Refusal::ThirdDecimal => (words("最多两位小数", "Two decimals at most"), nothing),
        Refusal::SecondPoint => (words("已经有小数点了", "There is a point already"), nothing),
        Refusal::TooMuch(_) => (words("最多 ", "¥"), words(" 元", " at most")),
        Refusal::Zero => (words("请先输入金额", "Enter an amount first"), nothing),
        Refusal::NotMultiple(_) => (words("须为 ", "Multiples of ¥"), words(" 元的整数倍", "")),
    }
}

/// What the customer waits for.
pub fn doing(doing: Doing) -> (Words, Words) {
    let one_moment = words("请稍候", "One moment");
    let what = match doing {
        Doing::Starting => words("正在启动", "Starting up"),
        Doing::Placing => words("正在生成付款码", "Making your payment code"),
        Doing::Closing => words("正在关闭订单", "Closing your order"),
        Doing::Claiming => words("正在确认付款", "Checking your payment"),
    };
    (one_moment, what)
}

/// What is told beside the code.
pub fn remark(remark: Remark) -> Words {
    match remark {
        Remark::NoNewCode => words("换码失败 此码有效", "No new code, |this one works"),
        Remark::TooManyCodes => words("不能再换 此码有效", "No more codes, |this one works"),
        Remark::Unconnected => words("网络不稳 正在重连", "Weak network, |trying again"),
        Remark::OtherAmount => words("收到的金额不符", "Another amount |was paid"),
    }
}

/// How it ended without a payment.
pub fn leaving(leaving: Leaving) -> Words {
    match leaving {
        Leaving::Cancelled => words("已取消", "Cancelled"),
        Leaving::TimedOut => words("付款超时", "Time is up"),
        Leaving::Withdrawn => words("机器故障", "Machine trouble"),
    }
}

/// What went wrong, and what it means for the customer.
pub fn failure(failure: Failure) -> (Words, Words) {
    let not_charged = words(
        "没有扣款，|请重试",
        "You were not charged. |Please try again.",
    );
    match failure {
        Failure::NoAnswer => (words("网络不通", "No connection"), not_charged),
        Failure::Refused => (words("下单失败", "Order failed"), not_charged),
        Failure::InDoubt => (
            words("网络中断", "Connection lost"),
            words(
                "如已付款，|请凭编号联系我们",
                "If you have paid, |contact us.",
            ),
        ),
        Failure::TooLate => (
            words("付款太晚", "Paid too late"),
            words(
                "已付款，未出货。|请凭编号联系退款",
                "You have paid. |Contact us for a refund.",
            ),
        ),
        Failure::OtherAmount => (
            words("金额不符", "Wrong amount"),
            words(
                "已付款，未出货。|请凭编号联系退款",
                "Another amount was paid. |Contact us for a refund.",
            ),
        ),
        Failure::NotDispensed => (
            words("未能出货", "No goods"),
            words(
                "已付款，未出货。|请凭编号联系退款",
                "You have paid. |Contact us for a refund.",
            ),
        ),
        Failure::Unknown => (
            words("请联系我们", "Please contact us"),
            words(
                "已付款。|如未出货，|请凭编号联系我们",
                "You have paid. If nothing |came out, contact us.",
            ),
        ),
    }
}

/// Why nothing can be sold.
pub fn outage(outage: Outage) -> Words {
    match outage {
        Outage::NoMerchant => words("网络不通，|正在重新连接", "No connection, |trying again"),
        Outage::NotAdmitted => words("本机尚未授权", "This machine is not registered"),
        Outage::Dispenser => words("出货装置未就绪", "The dispenser is not ready"),
        Outage::Journal => words("存储故障", "The memory has a fault"),
        Outage::TooManyUnsettled => words("正在处理之前的订单", "Earlier orders are being settled"),
    }
}
