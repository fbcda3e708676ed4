//! The kiosks' tokens: those of `merchant.toml`, and those that `merchant kiosk add` has made. The books hold only digests.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{RwLock, RwLockReadGuard};

use crate::ids::KioskName;
use crate::merchant::config::{Kiosks, token_digest};
use crate::merchant::ledger::Time;
use crate::merchant::store::sql::{Failed, Row, Sql};
use crate::random;

/// The tokens as this server knows them: those of `merchant.toml` as it was read last, and those of the books, made and
/// revoked ones within a second.
#[derive(Debug, Default)]
pub struct Tokens(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    configured: Kiosks,
    made: HashMap<String, KioskName>,
    /// Digests that are good for nothing, wherever they stand.
    revoked: HashSet<String>,
}

impl Tokens {
    /// Those of `merchant.toml`; the books were not read yet.
    pub fn new(configured: Kiosks) -> Tokens {
        Tokens(RwLock::new(Known {
            configured,
            ..Known::default()
        }))
    }

    /// Whose token this is; what `merchant.toml` says counts first.
    pub fn owner(&self, token: &str) -> Option<KioskName> {
        // By the digest of a long random text: nothing is learnt from how long that takes.
        let digest = token_digest(token);
        let known = self.read();
        if known.revoked.contains(&digest) {
            return None;
        }
        let made = || known.made.get(&digest).copied();
        known.configured.of_digest(&digest).or_else(made)
    }

    /// Whose tokens there are.
    pub fn names(&self) -> BTreeSet<KioskName> {
        let known = self.read();
        let configured = known.configured.digests();
        let valid = configured.filter(|(digest, _)| !known.revoked.contains(*digest));
        let configured = valid.map(|(_, kiosk)| kiosk);
        configured.chain(known.made.values().copied()).collect()
    }

    /// Takes these for all that `merchant.toml` holds.
    pub fn configure(&self, configured: Kiosks) {
        self.write(|known| known.configured = configured);
    }

    /// Takes these for all that the books hold.
    pub fn know(&self, tokens: Vec<Token>) {
        let (valid, revoked): (Vec<_>, Vec<_>) = tokens
            .into_iter()
            .partition(|token| token.revoked_at.is_none());
        let made = valid.into_iter().map(|token| (token.digest, token.kiosk));
        let revoked = revoked.into_iter().map(|token| token.digest);
        let (made, revoked) = (made.collect(), revoked.collect());
        self.write(|known| (known.made, known.revoked) = (made, revoked));
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        let known = self.0.read();
        known.expect("nobody panics while holding the lock")
    }

    fn write(&self, change: impl FnOnce(&mut Known)) {
        let known = self.0.write();
        change(&mut known.expect("nobody panics while holding the lock"));
    }
}

/// A token in the books.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// `sha256:` and the digest in hex.
    pub digest: String,
    /// Whose it is.
    pub kiosk: KioskName,
    /// When it was made.
    pub made_at: Time,
    /// Since when it is good for nothing.
    pub revoked_at: Option<Time>,
}

/// Makes one more token for a kiosk. It is told here and nowhere else: the books hold its digest.
pub fn make(sql: &dyn Sql, kiosk: KioskName, now: Time) -> Result<String, Failed> {
    let token = format!("{:032x}{:032x}", random::bits(), random::bits());
    let digest = token_digest(&token);
    let made = [(&digest).into(), kiosk.as_str().into(), now.0.into()];
    sql.execute(
        "INSERT INTO tokens (digest, kiosk, made_at) VALUES (?1, ?2, ?3)",
        &made,
    )?;
    Ok(token)
}

/// Revokes every token of a kiosk: those that were made, and those of `merchant.toml`, which have these digests. How many
/// that were.
pub fn revoke(
    sql: &dyn Sql,
    kiosk: KioskName,
    configured: &[String],
    now: Time,
) -> Result<u64, Failed> {
    let mut revoked = sql.execute(
        "UPDATE tokens SET revoked_at = ?2 WHERE kiosk = ?1 AND revoked_at IS NULL",
        &[kiosk.as_str().into(), now.0.into()],
    )?;
    for digest in configured {
        // It was not made here: its line says only that it is good for nothing.
        revoked += sql.execute(
            "INSERT INTO tokens (digest, kiosk, made_at, revoked_at) VALUES (?1, ?2, ?3, ?3) ON CONFLICT DO NOTHING",
            &[digest.into(), kiosk.as_str().into(), now.0.into()],
        )?;
    }
    Ok(revoked)
}

/// Every token that was ever made or revoked, by kiosk, oldest first.
pub fn all(sql: &dyn Sql) -> Result<Vec<Token>, Failed> {
    let read = |row: &Row| {
        Ok(Token {
            digest: row.text(0)?.to_owned(),
            kiosk: row.name(1, KioskName::new)?,
            made_at: Time(row.int(2)?),
            revoked_at: row.some_int(3)?.map(Time),
        })
    };
    let all =
        "SELECT digest, kiosk, made_at, revoked_at FROM tokens ORDER BY kiosk, made_at, digest";
    sql.rows(all, &[])?.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str, kiosk: &str, revoked_at: Option<Time>) -> Token {
        Token {
            digest: token_digest(text),
            kiosk: KioskName::new(kiosk).expect("a name"),
            made_at: Time(0),
            revoked_at,
        }
    }

    #[test]
    fn a_token_counts_until_it_is_revoked_wherever_it_was_made() {
        let tokens = Tokens::default();
        tokens.know(vec![
            token("one", "kiosk-1", None),
            token("two", "kiosk-2", Some(Time(1))),
        ]);
        assert_eq!(tokens.owner("one"), KioskName::new("kiosk-1"));
        assert_eq!(tokens.owner("two"), None);
        assert_eq!(tokens.owner("three"), None);
        assert_eq!(tokens.names().len(), 1);
        tokens.know(vec![token("one", "kiosk-1", Some(Time(2)))]);
        assert_eq!((tokens.owner("one"), tokens.names().len()), (None, 0));
    }
}
