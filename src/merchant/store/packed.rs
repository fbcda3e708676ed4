//! The platform's messages as they are kept: what they have in common with all others is left out.
//!
//! A message is mostly the names of its fields, which are kept as numbers: about a third of it is left, byte for byte
//! recoverable. One in another form is compressed by LZ4 with a dictionary. Names and a dictionary that were in a release are
//! never changed: better ones get the next mark.

use std::borrow::Cow;

/// Marks what is kept as it is, though its first byte is one of these marks.
const PLAIN: u8 = 0;
/// Marks LZ4 with [`NOTIFICATION`]; the length of the message in two bytes, little-endian, comes next.
const LZ4_NOTIFICATION: u8 = 1;
/// Marks the fields of a message in its usual form; see [`pack_fields`].
const FIELDS: u8 = 2;

/// A notification without its values, with and without line ends.
const NOTIFICATION: &[u8] = include_bytes!("packed/notification-1.xml");

/// The names of fields, in byte order; their places are kept.
const NAMES: [&str; 47] = [
    "appid",
    "attach",
    "bank_billno",
    "bank_type",
    "buyer_logon_id",
    "buyer_pay_amount",
    "cash_fee",
    "charset",
    "coupon_fee",
    "device_info",
    "err_code",
    "err_msg",
    "fee_type",
    "fund_bill_list",
    "gmt_create",
    "groupno",
    "invoice_amount",
    "is_subscribe",
    "mch_id",
    "mdiscount",
    "message",
    "nonce_str",
    "openid",
    "out_trade_no",
    "out_transaction_id",
    "pay_info",
    "pay_result",
    "point_amount",
    "promotion_detail",
    "receipt_amount",
    "result_code",
    "settle_key",
    "sign",
    "sign_agentno",
    "sign_type",
    "status",
    "sub_appid",
    "sub_is_subscribe",
    "sub_openid",
    "third_order_no",
    "time_end",
    "total_fee",
    "trade_state",
    "trade_type",
    "transaction_id",
    "uuid",
    "version",
];
/// With a name's place: its value stands in CDATA.
const IN_CDATA: u8 = 0x80;
/// With a name's place: its value stands there as it is.
const AS_TEXT: u8 = 0xc0;
/// Ends a value: no text has this byte.
const END: u8 = 0xff;

/// A message as it is kept. It is never longer than the message and one byte.
pub fn pack(message: &[u8]) -> Cow<'_, [u8]> {
    if let Some(packed) = pack_fields(message) {
        return Cow::Owned(packed);
    }
    if let Ok(length) = u16::try_from(message.len()) {
        let compressed = lz4_flex::block::compress_with_dict(message, NOTIFICATION);
        if compressed.len() + 3 < message.len() {
            let mut packed = Vec::with_capacity(compressed.len() + 3);
            packed.push(LZ4_NOTIFICATION);
            packed.extend(length.to_le_bytes());
            packed.extend(compressed);
            return Cow::Owned(packed);
        }
    }
    match message.first() {
        Some(&(PLAIN | LZ4_NOTIFICATION | FIELDS)) => Cow::Owned([&[PLAIN], message].concat()),
        _ => Cow::Borrowed(message),
    }
}

/// The message that is kept so; `None` if it is damaged. Messages of version 0.1.0 are kept as they came.
pub fn unpack(packed: &[u8]) -> Option<Cow<'_, [u8]>> {
    match packed {
        [PLAIN, message @ ..] => Some(Cow::Borrowed(message)),
        [LZ4_NOTIFICATION, low, high, compressed @ ..] => {
            let length = usize::from(u16::from_le_bytes([*low, *high]));
            let message =
                lz4_flex::block::decompress_with_dict(compressed, length, NOTIFICATION).ok()?;
            (message.len() == length).then_some(Cow::Owned(message))
        }
        [LZ4_NOTIFICATION, ..] => None,
        [FIELDS, fields @ ..] => unpack_fields(fields).map(Cow::Owned),
        message => Some(Cow::Borrowed(message)),
    }
}

/// A message in its usual form, `<xml><name><![CDATA[value]]></name>…</xml>`: each name is one byte, each value ends with
/// [`END`], blanks between fields stand for themselves. `None` for any other.
fn pack_fields(message: &[u8]) -> Option<Vec<u8>> {
    let mut rest = std::str::from_utf8(message).ok()?.strip_prefix("<xml>")?;
    let mut packed = Vec::with_capacity(message.len());
    packed.push(FIELDS);
    let mut place = 0;
    loop {
        let field = rest.trim_ascii_start();
        packed.extend_from_slice(&rest.as_bytes()[..rest.len() - field.len()]);
        let field = field.strip_prefix('<')?;
        let end = position(field, b'>')?;
        let (name, after) = (&field[..end], &field[end + 1..]);
        if name == "/xml" {
            return after.is_empty().then_some(packed);
        }
        // Most messages have their fields in byte order.
        let mut places = (place..NAMES.len()).chain(0..place);
        place = places.find(|place| NAMES[*place] == name)?;
        let (form, value, after) = match after.strip_prefix("<![CDATA[") {
            Some(after) => {
                let mut end = position(after, b']')?;
                while !after[end..].starts_with("]]>") {
                    end += 1 + position(&after[end + 1..], b']')?;
                }
                (IN_CDATA, &after[..end], &after[end + "]]>".len()..])
            }
            None => {
                let end = position(after, b'<')?;
                (AS_TEXT, &after[..end], &after[end..])
            }
        };
        rest = after
            .strip_prefix("</")?
            .strip_prefix(name)?
            .strip_prefix('>')?;
        packed.push(form | place as u8);
        packed.extend_from_slice(value.as_bytes());
        packed.push(END);
    }
}

/// Where this byte is first. It is near: nothing is prepared for a long search.
fn position(text: &str, wanted: u8) -> Option<usize> {
    text.bytes().position(|byte| byte == wanted)
}

fn unpack_fields(mut packed: &[u8]) -> Option<Vec<u8>> {
    let mut message = b"<xml>".to_vec();
    while let Some((&first, after)) = packed.split_first() {
        packed = after;
        if first.is_ascii_whitespace() {
            message.push(first);
            continue;
        }
        let end = packed.iter().position(|byte| *byte == END)?;
        let (value, after) = (&packed[..end], &packed[end + 1..]);
        let form = first & AS_TEXT;
        let name = *NAMES.get(usize::from(first & !AS_TEXT))?;
        let parts = match form {
            IN_CDATA => ["<", name, "><![CDATA[", "]]></", name, ">"],
            AS_TEXT => ["<", name, ">", "</", name, ">"],
            _ => return None,
        };
        parts[..3]
            .iter()
            .for_each(|part| message.extend_from_slice(part.as_bytes()));
        message.extend_from_slice(value);
        parts[3..]
            .iter()
            .for_each(|part| message.extend_from_slice(part.as_bytes()));
        packed = after;
    }
    message.extend_from_slice(b"</xml>");
    Some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_notification_takes_less_than_half_and_comes_back_as_it_was() {
        for message in [
            &include_bytes!("../../../tests/vectors/sp_notify_jspay_cmb.xml")[..],
            &include_bytes!("../../../tests/vectors/sp_notify_native_plain.xml")[..],
            &include_bytes!("../../../tests/vectors/sp_notify_durian_ok.xml")[..],
            &include_bytes!("../../../tests/vectors/sp_notify_alipay_spaces.xml")[..],
        ] {
            let packed = pack(message);
            println!("{} of {} bytes", packed.len(), message.len());
            assert!(packed.len() * 2 < message.len(), "{}", packed.len());
            assert_eq!(unpack(&packed).as_deref(), Some(message));
        }
    }

    #[test]
    fn whatever_was_sent_comes_back_byte_for_byte() {
        let long = [b'x'; 70_000];
        let mixed: Vec<u8> = (0..2000u32).map(|n| ((n * n) >> 3) as u8).collect();
        for message in [
            &b""[..],
            b"\0",
            b"\x01",
            b"\x01\xff\xff<",
            b"\x02\x80\xff",
            b"<xml/>",
            b"<xml></xml>",
            b"<xml></xml>\n",
            b"<xml> \r\n</xml>",
            b"<xml><sign>1</sign><appid></appid>\t<sign><![CDATA[x]]]></sign></xml>",
            b"<xml><sign>1&amp;]]></sign><sign><![CDATA[]]></sign></xml>",
            b"<xml><sign>1<![CDATA[2]]></sign></xml>",
            b"<xml><sign ><![CDATA[2]]></sign></xml>",
            b"<xml><sign><![CDATA[\xff]]></sign></xml>",
            b"<xml><unheard_of><![CDATA[2]]></unheard_of></xml>",
            "<xml><attach><![CDATA[\u{4ed8}\u{6b3e}]]></attach></xml>".as_bytes(),
            b"T1,3.50",
            &mixed,
            &long,
        ] {
            assert_eq!(unpack(&pack(message)).as_deref(), Some(message));
        }
    }

    #[test]
    fn the_names_are_in_byte_order_and_fit_beside_their_form() {
        assert!(NAMES.is_sorted() && NAMES.len() < usize::from(AS_TEXT - IN_CDATA) - 1);
    }

    #[test]
    fn what_version_0_1_0_kept_is_read_as_it_is_and_damage_is_seen() {
        assert_eq!(unpack(b"<xml></xml>").as_deref(), Some(&b"<xml></xml>"[..]));
        let message = include_bytes!("../../../tests/vectors/sp_notify_jspay_cmb.xml");
        let packed = pack(message);
        assert_eq!(unpack(&packed[..packed.len() - 9]), None);
        assert_eq!(unpack(&[LZ4_NOTIFICATION]), None);
        assert_eq!(unpack(&[FIELDS, 1, END]), None);
        let before = lz4_flex::block::compress_with_dict(message, NOTIFICATION);
        let length = (message.len() as u16).to_le_bytes();
        let before = [&[LZ4_NOTIFICATION], &length[..], &before].concat();
        assert_eq!(unpack(&before).as_deref(), Some(&message[..]));
    }
}
