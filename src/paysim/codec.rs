//! How a notification looks on the wire: the signature, the XML, the platform's time.
//!
//! Written from the platform's document alone. It must never share code with the crate's other codec: a codec that
//! agrees with itself proves nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;

use md5::{Digest, Md5};

/// A message's elements. Their byte order is the order they are signed in.
pub type Fields<'a> = BTreeMap<&'static str, Cow<'a, str>>;

const BEIJING_OFFSET_SECONDS: u64 = 8 * 3600;
const DAY_SECONDS: u64 = 24 * 3600;

/// The signature over all fields but `sign` and the empty ones: upper-case hex of an MD5.
pub fn sign(fields: &Fields<'_>, key: &str) -> String {
    let mut text = String::with_capacity(1024);
    for (name, value) in fields {
        if *name != "sign" && !value.is_empty() {
            for part in [name, "=", value, "&"] {
                text.push_str(part);
            }
        }
    }
    text.push_str("key=");
    text.push_str(key);
    let digest = Md5::digest(text.as_bytes());
    format!("{:032X}", u128::from_be_bytes(digest.into()))
}

/// The fields as an XML message, each value in CDATA.
pub fn write_xml(fields: &Fields<'_>) -> String {
    let mut xml = String::with_capacity(2048);
    xml.push_str("<xml>");
    for (name, value) in fields {
        // A CDATA section cannot hold its own end: the value goes on in a second one.
        let value = match value.contains(']') {
            true => Cow::Owned(value.replace("]]>", "]]]]><![CDATA[>")),
            false => Cow::Borrowed(&**value),
        };
        for part in ["<", name, "><![CDATA[", &value, "]]></", name, ">"] {
            xml.push_str(part);
        }
    }
    xml.push_str("</xml>");
    xml
}

/// A moment as the platform writes it: `yyyyMMddHHmmss` in Beijing, whatever the machine's own zone is.
pub fn beijing_time(unix_ms: u64) -> String {
    let seconds = unix_ms / 1000 + BEIJING_OFFSET_SECONDS;
    let (year, month, day) = date(seconds / DAY_SECONDS);
    let of_day = seconds % DAY_SECONDS;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let of_year = [month, day, hour, minute, second];
    let number = of_year
        .iter()
        .fold(year, |number, part| number * 100 + part);
    digits(number, 14)
}

/// The last `width` decimal digits of a number, with leading zeros.
pub fn digits(number: u64, width: usize) -> String {
    let mut rest = number;
    let mut digits = vec![b'0'; width];
    for digit in digits.iter_mut().rev() {
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
    String::from_utf8(digits).expect("digits are ASCII")
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
fn date(days: u64) -> (u64, u64, u64) {
    // Years begin in March here, so that the leap day is a year's last; 400 years are an era of 146,097 days.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields<'a>(pairs: &[(&'static str, &'a str)]) -> Fields<'a> {
        pairs
            .iter()
            .map(|(name, value)| (*name, Cow::Borrowed(*value)))
            .collect()
    }

    // The key of the public demo merchant, and two notifications published with it; copied from vectors/ by hand.
    const DEMO_KEY: &str = "9d101c97133837e13dde2d32a5054abb";

    #[test]
    fn the_signature_of_a_published_wechat_notification_is_ours() {
        let published = fields(&[
            ("bank_type", "CMB_CREDIT"),
            ("charset", "UTF-8"),
            ("fee_type", "CNY"),
            ("is_subscribe", "N"),
            ("mch_id", "7551000001"),
            ("nonce_str", "1492745387968"),
            ("openid", "oywgtuJBTzG1wlOfagWqP32XfmKo"),
            ("out_trade_no", "58f977e88facf57b7d76edcf"),
            ("out_transaction_id", "4009762001201704217784370419"),
            ("pay_result", "0"),
            ("result_code", "0"),
            ("sign", "52F349C5F88A61DC397FEDA4B34777C3"),
            ("sign_type", "MD5"),
            ("status", "0"),
            ("sub_appid", "wxce38685bc050ef82"),
            ("sub_is_subscribe", "N"),
            ("sub_openid", "oHmbkt-sH80mkPChhgoGYZmj-boE"),
            ("time_end", "20170421112947"),
            ("total_fee", "1"),
            ("trade_type", "pay.weixin.jspay"),
            ("transaction_id", "7551000001201704215167208590"),
            ("version", "2.0"),
        ]);
        assert_eq!(sign(&published, DEMO_KEY), published["sign"]);
    }

    #[test]
    fn the_signature_of_a_published_alipay_notification_is_ours() {
        let published = fields(&[
            ("charset", "UTF-8"),
            ("fee_type", "CNY"),
            ("mch_id", "7551000001"),
            ("nonce_str", "1490875862134"),
            ("openid", "2088002110747631"),
            ("out_trade_no", "LX123456789"),
            ("out_transaction_id", "2017033021001004630219168483"),
            ("pay_result", "0"),
            ("result_code", "0"),
            ("sign", "5D3BAA1DFEE0DE6D354294743EDF2ED9"),
            ("sign_type", "MD5"),
            ("status", "0"),
            ("time_end", "20170330201101"),
            ("total_fee", "10"),
            ("trade_type", "pay.alipay.native"),
            ("transaction_id", "7551000001201703307131219603"),
            ("version", "2.0"),
        ]);
        assert_eq!(sign(&published, DEMO_KEY), published["sign"]);
    }

    #[test]
    fn an_empty_value_takes_no_part_in_the_signature() {
        // wx_v2_yansongda_empty of vectors.json.
        let published = fields(&[("name", "yansongda"), ("age", "29"), ("foo", "")]);
        assert_eq!(
            sign(&published, "yansongda"),
            "3213848AED2C380749FD1D559555881D"
        );
    }

    #[test]
    fn any_value_fits_into_the_xml_even_the_end_of_its_own_cdata() {
        let xml = write_xml(&fields(&[("attach", "a<b>&]]>c"), ("status", "0")]));
        assert_eq!(
            xml,
            "<xml><attach><![CDATA[a<b>&]]]]><![CDATA[>c]]></attach><status><![CDATA[0]]></status></xml>"
        );
    }

    #[test]
    fn time_is_beijings() {
        // The document's own example, 2009-12-27 09:10:10, is 01:10:10 UTC.
        assert_eq!(beijing_time(1_261_876_210_000), "20091227091010");
        assert_eq!(beijing_time(0), "19700101080000");
        assert_eq!(
            beijing_time(1_709_222_399_999),
            "20240229235959",
            "a leap day"
        );
        assert_eq!(
            beijing_time(1_709_222_400_000),
            "20240301000000",
            "and the next"
        );
        assert_eq!(
            beijing_time(1_735_660_800_000),
            "20250101000000",
            "a new year"
        );
    }
}
