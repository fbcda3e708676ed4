//! The platform's notification as it goes over the wire: XML with CDATA, signed with MD5.
//!
//! Written from the platform's document alone; it must never use `crate::selpay`.

use md5::{Digest, Md5};

/// Writes the fields as a signed message, in the order given.
pub fn signed_xml(fields: &[(&str, String)], key: &str) -> String {
    let sign = sign(fields, key);
    let mut xml = String::from("<xml>");
    for (name, value) in fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .chain([("sign", sign.as_str())])
    {
        // A CDATA section cannot hold its own end: it is ended between the two brackets and begun anew.
        let value = value.replace("]]>", "]]]]><![CDATA[>");
        xml.push_str(&format!("<{name}><![CDATA[{value}]]></{name}>"));
    }
    xml.push_str("</xml>");
    xml
}

fn sign(fields: &[(&str, String)], key: &str) -> String {
    let mut sorted: Vec<_> = fields
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
    sorted.sort();
    let mut text = String::new();
    for (name, value) in sorted {
        text += &format!("{name}={value}&");
    }
    text += &format!("key={key}");
    let digest = Md5::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// `yyyyMMddHHmmss` at +08:00.
pub fn time_end(unix_millis: u64) -> String {
    let seconds = unix_millis / 1000 + 8 * 3600;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, in eras of 400 years (Hinnant, "chrono-compatible low-level date algorithms").
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!(
        "{year:04}{month:02}{day:02}{:02}{:02}{:02}",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wechats_own_published_example_gets_its_published_signature() {
        let fields = [
            ("appid", "wxd930ea5d5a258f4f"),
            ("mch_id", "10000100"),
            ("device_info", "1000"),
            ("body", "test"),
            ("attach", ""),
            ("nonce_str", "ibuaiVcKdpRxkhJA"),
        ]
        .map(|(name, value)| (name, value.to_owned()));
        let xml = signed_xml(&fields, "192006250b4c09247ec02edce69f6a2d");
        assert!(
            xml.ends_with("<sign><![CDATA[9A0A8659F005D6984697E2CA0A9CF3B7]]></sign></xml>"),
            "{xml}"
        );
    }

    #[test]
    fn a_value_may_hold_the_end_of_its_own_section() {
        let xml = signed_xml(&[("attach", "a]]>b".to_owned())], "k");
        assert!(
            xml.starts_with("<xml><attach><![CDATA[a]]]]><![CDATA[>b]]></attach>"),
            "{xml}"
        );
    }

    #[test]
    fn a_payment_ends_at_the_platforms_own_time() {
        // The document's example: 2009-12-27 09:10:10 at +08:00.
        assert_eq!(time_end(1_261_876_210_000), "20091227091010");
        assert_eq!(time_end(951_753_600_000), "20000229000000");
    }
}
