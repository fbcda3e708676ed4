//! The kiosks' tokens: those of `merchant.toml`, and those that `merchant kiosk add` has made. The books hold only digests.

use std::collections::HashMap;
use std::sync::RwLock;

use crate::ids::KioskName;
use crate::merchant::config::{Kiosks, token_digest};
use crate::merchant::ledger::Time;
use crate::merchant::store::sql::{Failed, Row, Sql};
use crate::random;

/// The tokens of the books as this server knows them: made and revoked ones within a second.
#[derive(Debug, Default)]
pub struct Tokens(RwLock<HashMap<String, KioskName>>);

impl Tokens {
    /// Whose token this is; what `merchant.toml` says counts first.
    pub fn owner(&self, configured: &Kiosks, token: &str) -> Option<KioskName> {
        let made = || {
            let known = self.0.read();
            let known = known.expect("nobody panics while holding the lock");
            // By the digest of a long random text: nothing is learnt from how long that takes.
            known.get(&token_digest(token)).copied()
        };
        configured.of_token(token).or_else(made)
    }

    /// Whose tokens there are.
    pub fn names(&self) -> Vec<KioskName> {
        let known = self.0.read();
        let known = known.expect("nobody panics while holding the lock");
        known.values().copied().collect()
    }

    /// Takes these for all there are.
    pub fn know(&self, tokens: Vec<Token>) {
        let valid = tokens
            .into_iter()
            .filter(|token| token.revoked_at.is_none());
        let known = valid.map(|token| (token.digest, token.kiosk)).collect();
        *self
            .0
            .write()
            .expect("nobody panics while holding the lock") = known;
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

/// Revokes every token that was made for a kiosk; how many that were.
pub fn revoke(sql: &dyn Sql, kiosk: KioskName, now: Time) -> Result<u64, Failed> {
    sql.execute(
        "UPDATE tokens SET revoked_at = ?2 WHERE kiosk = ?1 AND revoked_at IS NULL",
        &[kiosk.as_str().into(), now.0.into()],
    )
}

/// Every token that was ever made, by kiosk, oldest first.
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
