//! Notifications that were refused, kept for people to look at, and to be judged again when a key was mended.
//!
//! Three places, so that one kind never pushes out another:
//!
//! - `refused`: signed by one of our keys, and yet refused. Kept for good; few of each signature, as the same signed text can
//!   be written in many ways.
//! - `unverified`: reads like a notification of a payment, and no key gives its signature. A ring: what names a number of
//!   ours is pushed out last, and few of each number are kept.
//! - `quarantine`: everything else. A ring.
//!
//! A message is named by its body, so that it has one name however often it came.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::merchant::ledger::Time;
use crate::merchant::store::sql::{Failed, Param, Row, Sql, Value};

/// So many bodies that are no notification are kept.
pub const JUNK_KEPT: i64 = 256;
/// So many that read like one and are signed by nobody we know.
pub const UNVERIFIED_KEPT: i64 = 512;
/// So many of them that name the same order number.
pub const OF_ONE_NUMBER: i64 = 8;
/// So many signed ones that have the same signature.
pub const OF_ONE_SIGNATURE: i64 = 4;
/// The most that are listed of those that are kept for good.
const REFUSED_LISTED: i64 = 10_000;

/// Why a signed message is an alarm of its own: what is signed can be read in two ways.
pub const AMBIGUOUS: &str = "signature-ambiguous";

/// A message that was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Its name: the beginning of its body's SHA-256, in hex.
    pub id: String,
    /// `junk`, `unverified`, or the verdict on a signed one: `foreign`, `unreadable`, `signature-ambiguous`.
    pub kind: String,
    /// What was wrong with it.
    pub reason: String,
    /// When it came: the first time if it was signed, otherwise the last time.
    pub at: Time,
    /// How often it came, as far as that is known.
    pub times: i64,
    /// As it came.
    pub body: Vec<u8>,
}

/// The name of a message with this body.
pub fn id(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Keeps what is no notification at all.
pub fn keep_junk(sql: &dyn Sql, now: Time, reason: &str, body: &[u8]) -> Result<(), Failed> {
    const KEEP: &str = "INSERT INTO quarantine (slot, reason, body, at)
        VALUES ((SELECT coalesce((SELECT (slot + 1) % ?1 FROM quarantine ORDER BY at DESC, slot DESC LIMIT 1), 0)),
            ?2, ?3, ?4)
        ON CONFLICT (slot) DO UPDATE SET reason = excluded.reason, body = excluded.body, at = excluded.at";
    let kept = [
        JUNK_KEPT.into(),
        reason.into(),
        body.into(),
        Param::Int(now.0),
    ];
    sql.execute(KEEP, &kept).map(drop)
}

/// Keeps what reads like a notification of a payment on this number, and is signed by nobody we know.
pub fn keep_unverified(
    sql: &dyn Sql,
    now: Time,
    reason: &str,
    order_no: &str,
    body: &[u8],
) -> Result<(), Failed> {
    const KNOWN: &str = "SELECT 1 FROM orders WHERE order_no = ?1";
    const KEEP: &str = "INSERT INTO unverified (id, order_no, is_known, reason, body, times, at)
        VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6)
        ON CONFLICT (id) DO UPDATE SET is_known = excluded.is_known, reason = excluded.reason,
            times = unverified.times + 1, at = excluded.at";
    const OTHERS_OF_THE_NUMBER: &str = "DELETE FROM unverified WHERE order_no = ?1 AND id NOT IN
        (SELECT id FROM unverified WHERE order_no = ?1 ORDER BY at DESC, id LIMIT ?2)";
    const OLDEST: &str = "DELETE FROM unverified WHERE id IN
        (SELECT id FROM unverified ORDER BY is_known DESC, at DESC, id LIMIT 16 OFFSET ?1)";
    let is_known = !sql.rows(KNOWN, &[order_no.into()])?.is_empty();
    let id = id(body);
    let kept = [
        (&id).into(),
        order_no.into(),
        i64::from(is_known).into(),
        reason.into(),
        body.into(),
        Param::Int(now.0),
    ];
    sql.execute(KEEP, &kept)?;
    sql.execute(
        OTHERS_OF_THE_NUMBER,
        &[order_no.into(), OF_ONE_NUMBER.into()],
    )?;
    sql.execute(OLDEST, &[UNVERIFIED_KEPT.into()])?;
    Ok(())
}

/// Keeps what is signed and yet refused, with this verdict.
pub fn keep_refused(
    sql: &dyn Sql,
    now: Time,
    (kind, reason): (&str, &str),
    signature: &str,
    body: &[u8],
) -> Result<(), Failed> {
    const HELD: &str = "SELECT count(*) FROM refused WHERE signature = ?1";
    const KEEP: &str =
        "INSERT INTO refused (body, reason, at, kind, signature) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT DO NOTHING";
    if sql.row(HELD, &[signature.into()])?.int(0)? >= OF_ONE_SIGNATURE {
        return Ok(());
    }
    let kept = [
        body.into(),
        reason.into(),
        Param::Int(now.0),
        kind.into(),
        signature.into(),
    ];
    sql.execute(KEEP, &kept).map(drop)
}

/// Everything that is kept, newest first.
pub fn all(sql: &dyn Sql) -> Result<Vec<Kept>, Failed> {
    const ALL: [&str; 3] = [
        "SELECT coalesce(kind, 'refused'), reason, at, 1, body FROM refused ORDER BY at DESC LIMIT ?1",
        "SELECT 'unverified', reason, at, times, body FROM unverified ORDER BY at DESC LIMIT ?1",
        "SELECT 'junk', reason, at, 1, body FROM quarantine ORDER BY at DESC LIMIT ?1",
    ];
    let mut kept: Vec<Kept> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for question in ALL {
        for row in sql.rows(question, &[REFUSED_LISTED.into()])? {
            let next = read(&row)?;
            match places.get(&next.id) {
                // The same in several places of a ring: the newest comes first.
                Some(place) => kept[*place].times += next.times,
                None => {
                    places.insert(next.id.clone(), kept.len());
                    kept.push(next);
                }
            }
        }
    }
    kept.sort_by(|one, other| (other.at, &other.id).cmp(&(one.at, &one.id)));
    Ok(kept)
}

fn read(row: &Row) -> Result<Kept, Failed> {
    let body = match &row.0[4] {
        Value::Bytes(body) => body.clone(),
        other => return Err(Failed::Nonsense(format!("{other:?} is no body"))),
    };
    Ok(Kept {
        id: id(&body),
        kind: row.text(0)?.to_owned(),
        reason: row.text(1)?.to_owned(),
        at: Time(row.int(2)?),
        times: row.int(3)?,
        body,
    })
}

/// Forgets a message that is in the books now. What was signed is kept all the same.
pub fn forget(sql: &dyn Sql, kept: &Kept) -> Result<(), Failed> {
    let body = kept.body.as_slice();
    sql.execute("DELETE FROM unverified WHERE id = ?1", &[(&kept.id).into()])?;
    sql.execute("DELETE FROM quarantine WHERE body = ?1", &[body.into()])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::merchant::store::{reports, schema};

    fn books() -> Connection {
        let connection = Connection::open_in_memory().expect("memory");
        schema::sqlite::migrate(&connection).expect("a schema");
        connection
    }

    fn kinds(books: &Connection, kind: &str) -> Vec<String> {
        let all = all(books).expect("read").into_iter();
        let all = all.filter(|kept| kept.kind == kind);
        all.map(|kept| String::from_utf8(kept.body).expect("text"))
            .collect()
    }

    fn unverified(books: &Connection, at: i64, order: &str, body: &str) {
        keep_unverified(books, Time(at), "why", order, body.as_bytes()).expect("kept");
    }

    #[test]
    fn junk_pushes_out_junk_alone() {
        let books = books();
        unverified(&books, 1, "N1", "ours");
        keep_refused(&books, Time(2), (AMBIGUOUS, "why"), "AB", b"signed").expect("kept");
        for number in 0..2 * JUNK_KEPT {
            let body = format!("junk {number}");
            keep_junk(&books, Time(10 + number), "why", body.as_bytes()).expect("kept");
        }
        let junk = kinds(&books, "junk");
        assert_eq!(junk.len() as i64, JUNK_KEPT);
        assert_eq!(junk[0], "junk 511");
        assert_eq!(kinds(&books, "unverified"), ["ours"]);
        assert_eq!(kinds(&books, AMBIGUOUS), ["signed"]);
    }

    #[test]
    fn what_names_a_number_of_ours_is_pushed_out_last() {
        let books = books();
        books
            .execute_batch(
                "INSERT INTO sales (sale, kiosk, total, created_at) VALUES ('S', 'k', 350, 0);
                 INSERT INTO orders VALUES ('OURS', 'S', 0, 0)",
            )
            .expect("a sale");
        unverified(&books, 1, "OURS", "ours");
        for number in 0..2 * UNVERIFIED_KEPT {
            let order = format!("N{number}");
            unverified(&books, 10 + number, &order, &order);
        }
        let kept = kinds(&books, "unverified");
        assert_eq!(kept.len() as i64, UNVERIFIED_KEPT);
        assert!(kept.contains(&"ours".to_owned()) && kept.contains(&"N1023".to_owned()));
        assert!(!kept.contains(&"N511".to_owned()));
    }

    #[test]
    fn only_what_not_everybody_can_send_counts_for_an_alarm() {
        let books = books();
        let counts = || {
            let glance = reports::glance(&books, Time(5)).expect("read");
            (glance.refused, glance.ambiguous)
        };
        books
            .execute_batch(
                "INSERT INTO sales (sale, kiosk, total, created_at) VALUES ('S', 'k', 350, 0);
                 INSERT INTO orders VALUES ('OURS', 'S', 0, 0)",
            )
            .expect("a sale");
        keep_junk(&books, Time(10), "why", b"junk").expect("kept");
        unverified(&books, 10, "UNKNOWN", "somebody's");
        assert_eq!(counts(), (0, 0));
        unverified(&books, 10, "OURS", "ours");
        assert_eq!(counts(), (1, 0));
        keep_refused(&books, Time(10), ("foreign", "why"), "A", b"signed").expect("kept");
        assert_eq!(counts(), (2, 0));
        keep_refused(&books, Time(10), (AMBIGUOUS, "why"), "B", b"signed too").expect("kept");
        assert_eq!(counts(), (2, 1));
        keep_refused(&books, Time(4), (AMBIGUOUS, "why"), "C", b"long ago").expect("kept");
        assert_eq!(counts(), (2, 1));
    }

    #[test]
    fn few_of_one_number_and_of_one_signature_are_kept() {
        let books = books();
        for number in 0..20 {
            let body = format!("body {number}");
            unverified(&books, number, "N1", &body);
            keep_refused(
                &books,
                Time(number),
                ("foreign", "why"),
                "AB",
                body.as_bytes(),
            )
            .expect("kept");
        }
        let kept = kinds(&books, "unverified");
        assert_eq!(kept.len() as i64, OF_ONE_NUMBER);
        assert_eq!(kept[0], "body 19");
        let refused = books.query_row("SELECT count(*) FROM refused", [], |row| row.get(0));
        assert_eq!(refused, Ok(OF_ONE_SIGNATURE));
    }

    #[test]
    fn the_same_message_has_one_name_and_is_counted() {
        let books = books();
        for at in 1..=10 {
            unverified(&books, at, "N1", "ours");
            keep_junk(&books, Time(at), "why", b"junk").expect("kept");
        }
        let all = all(&books).expect("read");
        let told: Vec<_> = all
            .iter()
            .map(|kept| (kept.kind.as_str(), kept.times, kept.at.0, kept.id.len()))
            .collect();
        assert_eq!(told.len(), 2);
        assert!(told.contains(&("unverified", 10, 10, 16)), "{told:?}");
        assert!(told.contains(&("junk", 10, 10, 16)), "{told:?}");
        for kept in &all {
            forget(&books, kept).expect("forgotten");
        }
        assert_eq!(super::all(&books).expect("read"), []);
    }
}
