//! Every word the panel can show, Chinese and English side by side.
//!
//! "Paid" stands only where something is paid; where nobody knows, it says so (G5).

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
pub const THEN_CONFIRM: Words = words("输入后按 # 确认", "Then press #");
pub const CONFIRM: Words = words("确认", "OK");
pub const CLEAR: Words = words("清除", "Clear");
pub const BACKSPACE: Words = words("退格", "Back");
/// On the key that changes the language: in the language one gets.
pub const OTHER_LANGUAGE: Words = words("English", "中文");
pub const SCAN: Words = words("请用微信或支付宝扫码", "Scan with WeChat or Alipay");
pub const NEW_CODE: Words = words("换码", "New");
pub const CANCEL: Words = words("取消", "Cancel");
pub const ORDER_ENDS: Words = words("尾号 ", "…");
pub const SECONDS: Words = words("秒", "s");
pub const PAID: Words = words("已付款", "Paid");
pub const COMING: Words = words("正在出货", "Here it comes");
pub const THANK_YOU: Words = words("谢谢惠顾", "Thank you");
pub const TAKE_GOODS: Words = words("请取走商品", "Take your goods");
pub const OUT_OF_SERVICE: Words = words("暂停服务", "Out of service");
pub const REFERENCE: Words = words("订单号", "Reference");
pub const PHONE: Words = words("电话", "Call");
pub const TRY_AGAIN: Words = words("重试", "Try again");
pub const BACK: Words = words("返回", "Back");

/// Why a key was refused. Where there is a most, its number follows.
pub fn refusal(refusal: Refusal) -> Words {
    match refusal {
        Refusal::ThirdDecimal => words("最多两位小数", "Two decimals at most"),
        Refusal::SecondPoint => words("小数点已经有了", "There is a point already"),
        Refusal::TooMuch(_) => words("最多", "At most"),
        Refusal::Zero => words("请先输入金额", "Enter an amount first"),
    }
}

/// What is being done, and what it means.
pub fn doing(doing: Doing) -> (Words, Words) {
    match doing {
        Doing::Starting => (words("正在启动", "Starting"), words("请稍候", "One moment")),
        Doing::Placing => (
            words("请稍候", "One moment"),
            words("正在生成二维码", "Your code is being made"),
        ),
        Doing::Closing => (
            words("请稍候", "One moment"),
            words("正在关闭订单", "Your order is being closed"),
        ),
        Doing::Claiming => (
            words("请稍候", "One moment"),
            words("正在确认付款", "Your payment is being confirmed"),
        ),
    }
}

/// What is told beside the code.
pub fn remark(remark: Remark) -> Words {
    match remark {
        Remark::NoNewCode => words("换码未成功，此码仍有效", "No new code. Use this one"),
        Remark::TooManyCodes => words("不能再换码，此码仍有效", "No more codes. Use this"),
        Remark::Unconnected => words("网络不稳定，正在重连", "Connection lost. Retrying"),
    }
}

/// How it ended without a payment.
pub fn leaving(leaving: Leaving) -> Words {
    match leaving {
        Leaving::Cancelled => words("已取消", "Cancelled"),
        Leaving::TimedOut => words("已超时", "Time is up"),
    }
}

pub const NOTHING_PAID: Words = words(
    "没有付款，订单已关闭",
    "Nothing was paid. The order is closed",
);
pub const OLD_CODE: Words = words("请勿再付旧二维码", "Do not pay the old code");

/// What went wrong, and what it means for the customer.
pub fn failure(failure: Failure) -> (Words, Words) {
    match failure {
        Failure::NoAnswer => (
            words("网络不通", "No connection"),
            words("没有扣款，请重试", "Nothing was charged. Please try again"),
        ),
        Failure::Refused => (
            words("下单失败", "Order refused"),
            words("没有扣款，请重试", "Nothing was charged. Please try again"),
        ),
        Failure::InDoubt => (
            words("网络中断", "Connection lost"),
            words(
                "如已付款，钱会退回",
                "If you have paid, your money goes back",
            ),
        ),
        Failure::TooLate => (
            words("未能出货", "No goods"),
            words("已付款，将原路退回", "You have paid. Your money goes back"),
        ),
        Failure::NotDispensed => (
            words("未能出货", "No goods"),
            words("已付款，将原路退回", "You have paid. Your money goes back"),
        ),
        Failure::Unknown => (
            words("请联系我们", "Please contact us"),
            words(
                "已付款，如未出货请联系我们",
                "You have paid. If nothing came, contact us",
            ),
        ),
    }
}

/// Why nothing is sold.
pub fn outage(outage: Outage) -> Words {
    match outage {
        Outage::NoMerchant | Outage::TooManyUnsettled => {
            words("网络不通，正在重连", "No connection. Trying again")
        }
        Outage::NotAdmitted => words("机器未授权", "This machine is not registered"),
        Outage::Dispenser => words("出货机构故障", "The dispenser does not work"),
        Outage::Journal => words("存储故障", "The memory does not work"),
    }
}
