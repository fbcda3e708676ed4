//! The platform's messages as they are kept: what they have in common with all others is left out.
//!
//! A message is mostly the names of its fields. LZ4 with a dictionary of these keeps about a third of it, byte for byte
//! recoverable. A dictionary that was in a release is never changed: a better one gets the next number.

use std::borrow::Cow;

/// Marks what is kept as it is, though its first byte is one of these marks.
const PLAIN: u8 = 0;
/// Marks LZ4 with [`NOTIFICATION`]; the length of the message in two bytes, little-endian, comes next.
const LZ4_NOTIFICATION: u8 = 1;

/// A notification without its values, with and without line ends.
const NOTIFICATION: &[u8] = include_bytes!("packed/notification-1.xml");

/// A message as it is kept. It is never longer than the message and one byte.
pub fn pack(message: &[u8]) -> Cow<'_, [u8]> {
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
        Some(&(PLAIN | LZ4_NOTIFICATION)) => Cow::Owned([&[PLAIN], message].concat()),
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
        message => Some(Cow::Borrowed(message)),
    }
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
            b"<xml/>",
            b"T1,3.50",
            &mixed,
            &long,
        ] {
            assert_eq!(unpack(&pack(message)).as_deref(), Some(message));
        }
    }

    #[test]
    fn what_version_0_1_0_kept_is_read_as_it_is_and_damage_is_seen() {
        assert_eq!(unpack(b"<xml></xml>").as_deref(), Some(&b"<xml></xml>"[..]));
        let message = include_bytes!("../../../tests/vectors/sp_notify_jspay_cmb.xml");
        let packed = pack(message);
        assert_eq!(unpack(&packed[..packed.len() - 9]), None);
        assert_eq!(unpack(&[LZ4_NOTIFICATION]), None);
    }
}
