//! The console's password, as its file holds it: a hash of `merchant password`, or the password itself.

use std::fmt;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A password that cannot be printed.
#[derive(Clone)]
pub enum Password {
    /// Its Argon2id hash, in PHC form.
    Hashed(String),
    /// Itself.
    Plain(String),
}

impl Password {
    /// From what the file holds. `None`: it begins like a hash and is none.
    pub fn read(text: String) -> Option<Password> {
        if !text.starts_with("$argon2") {
            return Some(Password::Plain(text));
        }
        PasswordHash::new(&text).ok()?;
        Some(Password::Hashed(text))
    }

    /// Whether this is it. Takes a while, and memory, by intent.
    pub fn is(&self, attempt: &str) -> bool {
        match self {
            Password::Hashed(hash) => PasswordHash::new(hash).is_ok_and(|hash| {
                let argon2 = Argon2::default();
                argon2.verify_password(attempt.as_bytes(), &hash).is_ok()
            }),
            // In constant time.
            Password::Plain(password) => {
                let [ours, theirs] =
                    [password, attempt].map(|text| Sha256::digest(text.as_bytes()));
                ours.ct_eq(&theirs).into()
            }
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// What the file should hold instead of this password.
pub fn hash(password: &str) -> Result<String, argon2::password_hash::Error> {
    let hash = Argon2::default().hash_password(password.as_bytes())?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_itself_and_by_its_hash() {
        let hashed = hash("open sesame").expect("a hash");
        assert!(
            hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hashed}"
        );
        for text in [hashed, "open sesame".to_owned()] {
            let password = Password::read(text).expect("a password");
            assert!(password.is("open sesame"));
            assert!(!password.is("open sesam") && !password.is(""));
            assert_eq!(format!("{password:?}"), "Password(…)");
        }
        assert!(Password::read("$argon2id$cut".to_owned()).is_none());
    }
}
