//! Every way in which a signed text can be cut into fields again, and whether another one is believed (promise M9).
//!
//! Cut is what is signed, the text `a=1&b=2`, by eyes of its own: a field begins where `name=` stands, names are distinct and
//! in byte order, no value is empty, `sign` is no part of it. Whether such fields are believed is the product's word.

use std::collections::BTreeMap;

use selpay_kiosk::selpay::notification;
use selpay_kiosk::selpay::reading;
use selpay_kiosk::selpay::sign::{self, SignKey};
use selpay_kiosk::selpay::xml::Fields;

/// The fields of a message.
pub type Message = BTreeMap<String, String>;

/// Up to so many places at which a text can be cut, each way is tried as it is; beyond, only those of which no field alone is
/// refused: nothing that is left out could be believed.
const TRIED_WHOLE: usize = 12;
/// So many ways are tried where only the signature counts: the first that does harm is soon found.
const MOST: usize = 20_000;

/// Who believes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verifier {
    /// The product.
    Whole,
    /// The product without M9: any message with the same signature is believed.
    SignatureAlone,
    /// The product with one half of M9: what decides may contain any `&` that begins no documented field.
    DocumentedNamesAlone,
}

impl Verifier {
    /// Whether this field alone makes a message unbelievable.
    fn refuses(self, name: &str, value: &str) -> bool {
        match self {
            Verifier::Whole => reading::check_field(name, value).is_err(),
            Verifier::SignatureAlone => false,
            // A field that decides nothing is held to this half alone.
            Verifier::DocumentedNamesAlone => reading::check_field("attach", value).is_err(),
        }
    }
}

/// What is decided by, in the words of the message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Says([Option<String>; DECIDING.len()]);

const DECIDING: [&str; 13] = [
    "out_trade_no",
    "total_fee",
    "transaction_id",
    "status",
    "result_code",
    "pay_result",
    "mch_id",
    "fee_type",
    "groupno",
    "sign_agentno",
    "sign_type",
    "time_end",
    "trade_type",
];

impl Says {
    fn of(message: &Message) -> Says {
        let text = |name| message.get(name).filter(|text| !text.is_empty()).cloned();
        Says(DECIDING.map(text))
    }

    /// Whether a number, an amount and a transaction are paid: whoever believes it, books it.
    fn is_payment(&self) -> bool {
        let is_name = |text: &String| {
            text.len() <= 32
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        };
        let is_amount = |text: &String| text.bytes().all(|b| b.is_ascii_digit());
        let [order, total, transaction, zeros @ .., _, _, _, _, _, _, _] = &self.0;
        order.as_ref().is_some_and(is_name)
            && transaction.as_ref().is_some_and(is_name)
            && total.as_ref().is_some_and(is_amount)
            && zeros.iter().all(|zero| zero.as_deref() == Some("0"))
    }
}

/// Two messages with one signature, both believed, that do not say the same.
pub type Contradiction = (Message, Message);

/// Signs the message, cuts what is signed in every other way, and looks for two that are believed and contradict each other.
pub fn contradiction(
    message: &Message,
    key: &SignKey,
    verifier: Verifier,
) -> Option<Contradiction> {
    let text = sign::string_to_sign(&message.into());
    let signature = sign::signature(&message.into(), key);
    let keys = std::slice::from_ref(key);
    let starts = starts(&text);
    let refuses_early = starts.len() > TRIED_WHOLE;
    // Where the signature alone counts, what was sent is believed as well.
    let mut believed: Option<(Message, Says)> =
        (verifier == Verifier::SignatureAlone).then(|| (message.clone(), Says::of(message)));
    let mut tries = 0;
    let mut judge = |fields: &[(&str, &str)]| {
        tries += 1;
        if tries > MOST && verifier == Verifier::SignatureAlone {
            return Some(None);
        }
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut cut: Message = fields.iter().map(owned).collect();
        let says = Says::of(&cut);
        let cut_text = sign::string_to_sign(&(&cut).into());
        assert_eq!(cut_text, text, "every cut of a text has its signature");
        cut.insert("sign".to_owned(), signature.clone());
        let is_believed = match verifier {
            Verifier::Whole => notification::verify(Fields::from(&cut), keys).is_ok(),
            Verifier::SignatureAlone => {
                sign::signer(&Fields::from(&cut), keys).is_ok() && says.is_payment()
            }
            Verifier::DocumentedNamesAlone => {
                let is_refused = |(name, value): &(&str, &str)| verifier.refuses(name, value);
                sign::signer(&Fields::from(&cut), keys).is_ok() && !fields.iter().any(is_refused)
            }
        };
        if !is_believed {
            return None;
        }
        match &believed {
            Some((first, said)) if *said != says => Some(Some((first.clone(), cut))),
            Some(_) => None,
            None => {
                believed = Some((cut, says));
                None
            }
        }
    };
    let refuses = |name: &str, value: &str| refuses_early && verifier.refuses(name, value);
    let mut fields = Vec::new();
    each_cut(&text, &starts, &refuses, &mut fields, &mut judge).flatten()
}

/// Where a field may begin: the place of its name, and of its value.
fn starts(text: &str) -> Vec<(usize, usize)> {
    let is_name = |name: &str| {
        let simple = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        !name.is_empty() && name.bytes().all(simple) && name != "sign"
    };
    let begins = text.match_indices('&').map(|(at, _)| at + 1);
    let starts = [0].into_iter().chain(begins).filter_map(|at| {
        let (name, _) = text[at..].split_once('=')?;
        is_name(name).then_some((at, at + name.len() + 1))
    });
    starts.collect()
}

/// Name and value.
type Field<'a> = (&'a str, &'a str);

/// Tries each way to go on behind these fields, those with most fields first, until `judge` has an answer. A field that is
/// refused is not gone on with, and no longer value of its either.
fn each_cut<'a, T>(
    text: &'a str,
    starts: &[(usize, usize)],
    refuses: &dyn Fn(&str, &str) -> bool,
    fields: &mut Vec<Field<'a>>,
    judge: &mut dyn FnMut(&[Field<'a>]) -> Option<T>,
) -> Option<T> {
    // Only from its beginning on a text is all fields.
    let [(begin, value), later @ ..] = starts else {
        return None;
    };
    if fields.is_empty() && *begin != 0 {
        return None;
    }
    let name = &text[*begin..*value - 1];
    for (place, (next, next_value)) in later.iter().enumerate() {
        let is_in_order = text[*next..*next_value - 1] > *name;
        let ends_at = *next - 1;
        if !is_in_order || ends_at <= *value {
            continue;
        }
        let value = &text[*value..ends_at];
        if refuses(name, value) {
            return None;
        }
        fields.push((name, value));
        let found = each_cut(text, &later[place..], refuses, fields, judge);
        fields.pop();
        if found.is_some() {
            return found;
        }
    }
    let value = &text[*value..];
    if value.is_empty() || refuses(name, value) {
        return None;
    }
    fields.push((name, value));
    let found = judge(fields);
    fields.pop();
    found
}

/// A message that the platform may be made to sign, by these bytes: honest fields, and some in which somebody has written
/// what looks like others.
pub fn message(bytes: &[u8]) -> Message {
    let mut bytes = bytes.iter().copied().chain(std::iter::repeat(0));
    let mut next = |below: usize| usize::from(bytes.next().unwrap_or_default()) % below;
    let mut message = Message::new();
    let honest = [
        ("mch_id", "7551000001"),
        ("out_trade_no", "N1"),
        ("pay_result", "0"),
        ("result_code", "0"),
        ("status", "0"),
        ("total_fee", "1"),
        ("transaction_id", "T1"),
    ];
    let more = [
        ("sign_type", "MD5"),
        ("bank_type", "CFT"),
        ("fee_type", "CNY"),
        ("time_end", "20261123130509"),
        ("trade_type", "pay.weixin.jspay"),
        ("appid", "wx1f87d44db95cba7a"),
        ("charset", "UTF-8"),
        ("version", "2.0"),
    ];
    for (name, value) in honest {
        // Now and then one is missing: it can be written into another.
        if next(16) != 1 {
            message.insert(name.to_owned(), value.to_owned());
        }
    }
    let count = next(4) * next(3);
    for (name, value) in more.into_iter().cycle().skip(next(8)).take(count) {
        message.insert(name.to_owned(), value.to_owned());
    }
    const NAMES: [&str; 24] = [
        "attach",
        "zz",
        "a",
        "total_fee",
        "out_trade_no",
        "mch_id",
        "transaction_id",
        "pay_result",
        "status",
        "result_code",
        "message",
        "device_info",
        "openid",
        "fee_type",
        "groupno",
        "sign_agentno",
        "key",
        "sign",
        "pay_resulu",
        "total_fef",
        "A",
        "x.y",
        "statut",
        "sign_typf",
    ];
    const VALUES: [&str; 16] = [
        "0",
        "1",
        "99900",
        "N2",
        "T2",
        "7551000002",
        "x",
        "=",
        "&",
        "&&",
        "中",
        "",
        "MD5",
        "USD",
        "&zz",
        "==",
    ];
    for _ in 0..next(4) {
        // A hostile one is rather what somebody can write in than what decides.
        let name = NAMES[match next(3) {
            0 => next(NAMES.len()),
            _ => [0, 1, 2, 10, 11, 12, 20, 21][next(8)],
        }];
        let mut value = VALUES[next(VALUES.len())].to_owned();
        for _ in 0..next(5) {
            let (name, text) = (NAMES[next(NAMES.len())], VALUES[next(VALUES.len())]);
            match next(4) {
                0 => value += text,
                _ => value += &format!("&{name}={text}"),
            }
        }
        message.insert(name.to_owned(), value);
    }
    message.remove("sign");
    message
}

/// The attack as it was found: one fen is paid with this message, and what is written in `attach` is another payment.
pub fn hostile(message: &Message) -> Message {
    let mut wanted = message.clone();
    wanted.retain(|name, _| name.as_str() > "attach" && name != "sign");
    wanted.insert("out_trade_no".to_owned(), "N2".to_owned());
    wanted.insert("total_fee".to_owned(), "99900".to_owned());
    let mut hostile = message.clone();
    hostile.retain(|name, _| name.as_str() > "attach" && name != "sign");
    let attach = format!("x&{}&zz=", sign::string_to_sign(&(&wanted).into()));
    hostile.insert("attach".to_owned(), attach);
    hostile
}
