//! Reads a notification's body: one `<xml>` element whose children are the fields, and nothing else.
//!
//! Strict on purpose: a signed text must have exactly one reading. So no document type, no processing instruction,
//! no comment, no attribute, no nested and no repeated element; only the predefined and numeric entities; only UTF-8.
//! It must never expand, fetch or guess anything.

use std::borrow::Cow;
use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};

/// The largest body that is read (docs/protocol.md, Answers), in bytes.
pub const MAX_BODY: usize = 16 * 1024;

/// The fields of a message as received, by name in byte order. Nothing in here has been verified.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Fields<'a>(Vec<(&'a str, Cow<'a, str>)>);

impl<'a> Fields<'a> {
    /// The value of the field, if there is such a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        // Of two dozen names hardly any has the same length: quicker than by halves.
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| &**value)
    }

    /// Name and value of each, in byte order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (*name, &**value))
    }

    /// In byte order. Refused where a name stands twice: such a text has two readings.
    fn sorted(mut fields: Vec<(&'a str, Cow<'a, str>)>) -> Result<Fields<'a>, Malformed> {
        fields.sort_unstable_by_key(|(name, _)| *name);
        match fields.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(Malformed::Repeated(pair[0].0.to_owned())),
            None => Ok(Fields(fields)),
        }
    }
}

/// The fields of a message that somebody has made up.
impl<'a> From<&'a BTreeMap<String, String>> for Fields<'a> {
    fn from(fields: &'a BTreeMap<String, String>) -> Fields<'a> {
        let fields = fields.iter();
        Fields(
            fields
                .map(|(name, value)| (name.as_str(), value.into()))
                .collect(),
        )
    }
}

/// Why a body is not a message.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Malformed {
    /// Larger than [`MAX_BODY`].
    #[error("the body is larger than {MAX_BODY} bytes")]
    Oversized,
    /// Not UTF-8, or declared to be something else.
    #[error("the body is not UTF-8")]
    Encoding,
    /// Not well-formed XML.
    #[error("not well-formed XML: {0}")]
    Syntax(String),
    /// `<!DOCTYPE …>`: the door of entity attacks.
    #[error("a document type is not accepted")]
    DocumentType,
    /// A processing instruction, a comment, an attribute: nothing the platform sends.
    #[error("{0} is not accepted")]
    Foreign(&'static str),
    /// An element inside a field.
    #[error("the field {0} has an element inside")]
    Nested(String),
    /// The same field twice.
    #[error("the field {0} occurs twice")]
    Repeated(String),
    /// An entity other than the predefined and numeric ones, or a character XML does not allow.
    #[error("the reference &{0}; is not accepted")]
    Reference(String),
    /// Text outside the fields.
    #[error("text outside the fields")]
    StrayText,
    /// The root is missing, has another name, or is followed by something.
    #[error("the body must be one <xml> element")]
    Root,
}

/// Reads the body of a message into its raw fields.
///
/// A byte order mark and blanks around the document are tolerated; values are taken as they are, neither trimmed
/// nor normalised, because the signature covers them so.
pub fn read(body: &[u8]) -> Result<Fields<'_>, Malformed> {
    let text = text_of(body)?;
    match plain(text) {
        Some(fields) => Fields::sorted(fields),
        None => by_the_rules(text),
    }
}

/// The same, slowly: [`read`] looks for the usual form of a message first, and must agree with this.
pub fn read_slowly(body: &[u8]) -> Result<Fields<'_>, Malformed> {
    by_the_rules(text_of(body)?)
}

fn text_of(body: &[u8]) -> Result<&str, Malformed> {
    if body.len() > MAX_BODY {
        return Err(Malformed::Oversized);
    }
    let text = std::str::from_utf8(body).map_err(|_| Malformed::Encoding)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_ascii();
    match is_xml_text(text) {
        true => Ok(text),
        false => Err(Malformed::Encoding),
    }
}

/// The fields of a message in its usual form: `<xml><name><![CDATA[value]]></name>…</xml>`, also without CDATA, with blanks
/// between the fields. `None`: there is more to it, be it allowed or not.
fn plain(text: &str) -> Option<Vec<(&str, Cow<'_, str>)>> {
    let mut rest = text.strip_prefix("<xml>")?;
    let mut fields = Vec::with_capacity(24);
    loop {
        let field = rest.trim_ascii_start().strip_prefix('<')?;
        if field == "/xml>" {
            return Some(fields);
        }
        let end = field.bytes().position(|byte| !is_of_names(byte))?;
        let (name, after) = (&field[..end], field[end..].strip_prefix('>')?);
        if name.is_empty() {
            return None;
        }
        let (value, after) = match after.strip_prefix("<![CDATA[") {
            Some(after) => {
                let mut end = position(after, b"]")?;
                while !after[end..].starts_with("]]>") {
                    end += 1 + position(&after[end + 1..], b"]")?;
                }
                (&after[..end], &after[end + "]]>".len()..])
            }
            None => {
                let end = position(after, b"<&]")?;
                (&after[..end], &after[end..])
            }
        };
        rest = after
            .strip_prefix("</")?
            .strip_prefix(name)?
            .strip_prefix('>')?;
        fields.push((name, Cow::Borrowed(value)));
    }
}

/// Where the first of these bytes is. What is looked for is near: nothing is prepared for a long search.
fn position<const N: usize>(text: &str, wanted: &[u8; N]) -> Option<usize> {
    text.bytes().position(|byte| wanted.contains(&byte))
}

fn by_the_rules(text: &str) -> Result<Fields<'_>, Malformed> {
    let mut reader = Reader::from_str(text);
    let mut place = Place::Before { declared: false };
    let mut fields = Vec::with_capacity(32);
    loop {
        let event = reader
            .read_event()
            .map_err(|error| Malformed::Syntax(error.to_string()))?;
        if matches!(event, Event::Eof) {
            return match place {
                Place::After => Fields::sorted(fields),
                _ => Err(Malformed::Root),
            };
        }
        place = place.after(event, text, &mut fields)?;
    }
}

/// Where in the document the reader is.
enum Place<'a> {
    Before { declared: bool },
    Root,
    Field { name: &'a str, value: Cow<'a, str> },
    After,
}

impl<'a> Place<'a> {
    /// Takes one event of this text in; a finished field goes into `fields`.
    fn after(
        self,
        event: Event<'a>,
        text: &'a str,
        fields: &mut Vec<(&'a str, Cow<'a, str>)>,
    ) -> Result<Place<'a>, Malformed> {
        match (self, event) {
            (_, Event::DocType(_)) => Err(Malformed::DocumentType),
            (_, Event::PI(_)) => Err(Malformed::Foreign("a processing instruction")),
            (_, Event::Comment(_)) => Err(Malformed::Foreign("a comment")),

            (Place::Before { declared: false }, Event::Decl(declaration)) => {
                check_encoding(&declaration)?;
                Ok(Place::Before { declared: true })
            }
            (Place::Before { .. }, Event::Start(start)) if field_name(&start, text)? == "xml" => {
                Ok(Place::Root)
            }
            (Place::Before { .. }, Event::Empty(start)) if field_name(&start, text)? == "xml" => {
                Ok(Place::After)
            }

            (Place::Root, Event::Start(start)) => Ok(Place::Field {
                name: field_name(&start, text)?,
                value: Cow::Borrowed(""),
            }),
            (Place::Root, Event::Empty(start)) => {
                fields.push((field_name(&start, text)?, Cow::Borrowed("")));
                Ok(Place::Root)
            }
            (Place::Root, Event::End(_)) => Ok(Place::After),

            (Place::Field { name, value }, Event::Text(more)) => {
                let value = value + more.decode().map_err(|_| Malformed::Encoding)?;
                Ok(Place::Field { name, value })
            }
            (Place::Field { name, value }, Event::CData(more)) => {
                let value = value + more.decode().map_err(|_| Malformed::Encoding)?;
                Ok(Place::Field { name, value })
            }
            (Place::Field { name, mut value }, Event::GeneralRef(reference)) => {
                value.to_mut().push(resolve(&reference)?);
                Ok(Place::Field { name, value })
            }
            (Place::Field { name, value }, Event::End(_)) => {
                fields.push((name, value));
                Ok(Place::Root)
            }
            (Place::Field { name, .. }, Event::Start(_) | Event::Empty(_)) => {
                Err(Malformed::Nested(name.to_owned()))
            }

            // Blanks between elements mean nothing; anything else there would be signed by nobody.
            (place @ (Place::Before { .. } | Place::Root), Event::Text(text)) => {
                if text.iter().all(u8::is_ascii_whitespace) {
                    Ok(place)
                } else {
                    Err(Malformed::StrayText)
                }
            }
            (Place::Root, Event::CData(_) | Event::GeneralRef(_)) => Err(Malformed::StrayText),
            (Place::Field { .. } | Place::Root, _) => Err(Malformed::Foreign("a late declaration")),
            (Place::Before { .. } | Place::After, _) => Err(Malformed::Root),
        }
    }
}

fn field_name<'a>(start: &BytesStart<'_>, text: &'a str) -> Result<&'a str, Malformed> {
    if !start.attributes_raw().trim_ascii().is_empty() {
        return Err(Malformed::Foreign("an attribute"));
    }
    // The event gives its name away for as long as it lives itself; the text lies there for longer.
    let name = start.name().into_inner();
    let from = (name.as_ptr().addr()).wrapping_sub(text.as_ptr().addr());
    let name = text.get(from..from.wrapping_add(name.len())).unwrap_or("");
    if !is_field_name(name) {
        return Err(Malformed::Foreign(
            "an element name beyond A-Z a-z 0-9 _ - .",
        ));
    }
    Ok(name)
}

fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_of_names)
}

fn is_of_names(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn check_encoding(declaration: &BytesDecl<'_>) -> Result<(), Malformed> {
    match declaration.encoding() {
        None => Ok(()),
        Some(Ok(name)) if name.eq_ignore_ascii_case(b"utf-8") => Ok(()),
        Some(_) => Err(Malformed::Encoding),
    }
}

fn resolve(reference: &BytesRef<'_>) -> Result<char, Malformed> {
    let name = reference.decode().map_err(|_| Malformed::Encoding)?;
    let refused = || Malformed::Reference(name.chars().take(32).collect());
    match &*name {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => match reference.resolve_char_ref() {
            Ok(Some(c)) if is_xml_char(c) => Ok(c),
            _ => Err(refused()),
        },
    }
}

/// Whether XML 1.0 allows all of these characters: [`is_xml_char`] of each, but quick.
fn is_xml_text(text: &str) -> bool {
    let is_control = |byte: u8| byte < b' ' && byte != b'\t' && byte != b'\n' && byte != b'\r';
    // Both forbidden characters begin with this byte. Without an early end the compiler looks at many bytes at once.
    let (controls, rare) = text.bytes().fold((false, false), |(controls, rare), byte| {
        (controls | is_control(byte), rare | (byte == 0xef))
    });
    !(controls || rare && text.contains(['\u{fffe}', '\u{ffff}']))
}

/// Whether XML 1.0 allows the character at all.
fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(body: &str) -> Result<Vec<(String, String)>, Malformed> {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        read(body.as_bytes()).map(|fields| fields.iter().map(owned).collect())
    }

    fn one(value: &str) -> Result<Vec<(String, String)>, Malformed> {
        Ok(vec![("a".to_owned(), value.to_owned())])
    }

    #[test]
    fn values_are_read_as_they_are() {
        assert_eq!(fields("<xml><a>1</a></xml>"), one("1"));
        assert_eq!(fields("<xml><a> 1\n</a></xml>"), one(" 1\n"), "not trimmed");
        assert_eq!(fields("<xml><a><![CDATA[<&>]]></a></xml>"), one("<&>"));
        assert_eq!(fields("<xml><a>x<![CDATA[y]]>z</a></xml>"), one("xyz"));
        assert_eq!(
            fields("<xml><a>&amp;&lt;&gt;&quot;&apos;&#20803;&#x5143;</a></xml>"),
            one("&<>\"'元元")
        );
        assert_eq!(
            fields("<xml><a>%20+</a></xml>"),
            one("%20+"),
            "no URL decoding"
        );
        assert_eq!(fields("<xml><a><![CDATA[]]></a></xml>"), one(""));
        assert_eq!(fields("<xml><a>x<![CDATA[]]></a></xml>"), one("x"));
        assert_eq!(fields("<xml><a>&amp;x<![CDATA[y]]></a></xml>"), one("&xy"));
        assert_eq!(fields("<xml><a/></xml>"), one(""));
        assert_eq!(fields("<xml><a></a></xml>"), one(""));
        assert_eq!(fields("<xml/>"), Ok(vec![]));
    }

    #[test]
    fn fields_come_in_byte_order_whatever_the_order_of_the_text() {
        let text = b"<xml><b>1</b><B>2</B><a>3</a></xml>";
        let fields = read(text).expect("a message");
        let order = [("B", "2"), ("a", "3"), ("b", "1")];
        assert!(fields.iter().eq(order), "{fields:?}");
        for (name, value) in order {
            assert_eq!(fields.get(name), Some(value));
        }
        assert_eq!(fields.get("c"), None);
    }

    #[test]
    fn a_byte_order_mark_and_blanks_around_are_tolerated() {
        assert_eq!(
            fields(
                "\u{feff}\r\n <?xml version=\"1.0\" encoding=\"utf-8\"?>\n<xml> <a>1</a>\n</xml>\n\n"
            ),
            one("1")
        );
    }

    #[test]
    fn a_document_type_is_refused_wherever_it_stands() {
        let entity = "<!DOCTYPE xml [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>";
        assert_eq!(
            fields(&format!("{entity}<xml><a>&x;</a></xml>")),
            Err(Malformed::DocumentType)
        );
        assert_eq!(
            fields(&format!(
                "<?xml version=\"1.0\"?>{entity}<xml><a>1</a></xml>"
            )),
            Err(Malformed::DocumentType)
        );
        assert!(fields(&format!("<xml>{entity}<a>1</a></xml>")).is_err());
        assert_eq!(
            fields("<xml><a>&x;</a></xml>"),
            Err(Malformed::Reference("x".to_owned()))
        );
    }

    #[test]
    fn a_text_with_two_readings_is_refused() {
        for (body, why) in [
            (
                "<xml><a>1</a><a>2</a></xml>",
                Malformed::Repeated("a".to_owned()),
            ),
            (
                "<xml><a>1</a><a/></xml>",
                Malformed::Repeated("a".to_owned()),
            ),
            (
                "<xml><a>1</a><b>2</b><a>3</a></xml>",
                Malformed::Repeated("a".to_owned()),
            ),
            (
                "<xml><a><b>1</b></a></xml>",
                Malformed::Nested("a".to_owned()),
            ),
            ("<xml><a>1<b/></a></xml>", Malformed::Nested("a".to_owned())),
            (
                "<xml><a>1<!-- -->2</a></xml>",
                Malformed::Foreign("a comment"),
            ),
            (
                "<xml><!-- --><a>1</a></xml>",
                Malformed::Foreign("a comment"),
            ),
            (
                "<xml><?php ?><a>1</a></xml>",
                Malformed::Foreign("a processing instruction"),
            ),
            (
                "<xml><a b=\"1\">1</a></xml>",
                Malformed::Foreign("an attribute"),
            ),
            ("<xml>1<a>1</a></xml>", Malformed::StrayText),
            ("<xml><![CDATA[1]]><a>1</a></xml>", Malformed::StrayText),
            ("<xml><a>1</a></xml><xml/>", Malformed::Root),
            ("<xml><a>1</a></xml>x", Malformed::Root),
            ("x<xml><a>1</a></xml>", Malformed::StrayText),
            ("<html><a>1</a></html>", Malformed::Root),
            ("<html/>", Malformed::Root),
            (
                "<xml><a:b>1</a:b></xml>",
                Malformed::Foreign("an element name beyond A-Z a-z 0-9 _ - ."),
            ),
            ("", Malformed::Root),
            ("<xml><a>1</a>", Malformed::Root),
        ] {
            assert_eq!(fields(body), Err(why), "{body}");
        }
    }

    #[test]
    fn broken_xml_is_refused() {
        for body in [
            "<xml><a>1</b></xml>",
            "<xml><a>1</xml>",
            "<xml",
            "<xml><a>&#0;</a></xml>",
            "<xml><a>&#1;</a></xml>",
            "<xml><a>&#xD800;</a></xml>",
            "<xml><a>&#xFFFE;</a></xml>",
            "<xml><a>& b</a></xml>",
            "{}",
        ] {
            assert!(fields(body).is_err(), "{body}");
        }
    }

    #[test]
    fn only_utf_8_is_read() {
        assert_eq!(
            read(b"<xml><a>\xd6\xd0</a></xml>"),
            Err(Malformed::Encoding)
        );
        assert_eq!(read(b"<xml><a>\x01</a></xml>"), Err(Malformed::Encoding));
        assert_eq!(
            fields("<?xml version=\"1.0\" encoding=\"GBK\"?><xml/>"),
            Err(Malformed::Encoding)
        );
    }

    #[test]
    fn an_oversized_body_is_not_even_looked_at() {
        assert_eq!(read(&[0xff; 16_385]), Err(Malformed::Oversized));
        let filler = "x".repeat(16_384 - "<xml><a></a></xml>".len());
        assert!(read(format!("<xml><a>{filler}</a></xml>").as_bytes()).is_ok());
    }

    #[test]
    fn a_text_is_of_allowed_characters() {
        for c in '\0'..=char::MAX {
            let text = format!("a{c}");
            assert_eq!(is_xml_text(&text), is_xml_char(c), "{c:?}");
        }
    }
}
