//! The console's password, as its file holds it: a hash of `merchant password`, or the password itself.

use std::fmt;

use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Block, Params, Version};
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

/// What hashing needs: kept and used again, so that any number of attempts takes no more of it than some at once.
#[derive(Default)]
pub struct Memory(Vec<Block>);

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory(…)")
    }
}

impl Password {
    /// From what the file holds. `None`: it begins like a hash and is none.
    pub fn read(text: String) -> Option<Password> {
        if !text.starts_with("$argon2") {
            return Some(Password::Plain(text));
        }
        let hash = PasswordHash::new(&text).ok()?;
        argon2_of(&hash)?;
        Some(Password::Hashed(text))
    }

    /// How much memory one attempt takes, in bytes.
    pub fn memory(&self) -> usize {
        let Password::Hashed(hash) = self else {
            return 0;
        };
        let hash = PasswordHash::new(hash).ok();
        let argon2 = hash.as_ref().and_then(argon2_of);
        argon2.map_or(0, |argon2| argon2.params().block_count() * Block::SIZE)
    }

    /// Whether this is it. Takes a while, and memory, by intent.
    pub fn is(&self, attempt: &str, memory: &mut Memory) -> bool {
        match self {
            Password::Hashed(hash) => is_hashed_as(hash, attempt, memory).unwrap_or(false),
            // In constant time.
            Password::Plain(password) => {
                let [ours, theirs] =
                    [password, attempt].map(|text| Sha256::digest(text.as_bytes()));
                ours.ct_eq(&theirs).into()
            }
        }
    }

    /// A secret that is good only together with this password: after a change of it nobody has it.
    pub fn binds(&self, secret: &str) -> String {
        let (Password::Hashed(file) | Password::Plain(file)) = self;
        let file = Sha256::digest(file.as_bytes());
        let file: String = file.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{secret} {file}")
    }
}

fn argon2_of(hash: &PasswordHash) -> Option<Argon2<'static>> {
    let algorithm = Algorithm::new(hash.algorithm.as_str()).ok()?;
    let version = match hash.version {
        Some(version) => Version::try_from(version).ok()?,
        None => Version::default(),
    };
    let params = Params::try_from(hash).ok()?;
    Some(Argon2::new(algorithm, version, params))
}

/// `None`: the hash is none.
fn is_hashed_as(hash: &str, attempt: &str, Memory(blocks): &mut Memory) -> Option<bool> {
    let hash = PasswordHash::new(hash).ok()?;
    let (argon2, expected, salt) = (argon2_of(&hash)?, hash.hash?, hash.salt?);
    blocks.resize(argon2.params().block_count(), Block::new());
    let mut output = vec![0; expected.len()];
    let hashed = argon2.hash_password_into_with_memory(
        attempt.as_bytes(),
        &salt,
        &mut output,
        &mut blocks[..],
    );
    hashed.ok()?;
    Some(output.ct_eq(expected.as_bytes()).into())
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
        let memory = &mut Memory::default();
        for (text, takes) in [(hashed, 19 << 20), ("open sesame".to_owned(), 0)] {
            let password = Password::read(text).expect("a password");
            assert!(password.is("open sesame", memory));
            assert!(!password.is("open sesam", memory) && !password.is("", memory));
            assert!(password.is("open sesame", memory), "memory is used again");
            assert_eq!(password.memory(), takes);
            assert_eq!(format!("{password:?}"), "Password(…)");
        }
        assert!(Password::read("$argon2id$cut".to_owned()).is_none());
    }

    #[test]
    fn a_secret_is_bound_to_the_password() {
        let bound = |password: &str| Password::Plain(password.to_owned()).binds("secret");
        assert_eq!(bound("open sesame"), bound("open sesame"));
        assert_ne!(bound("open sesame"), bound("another one"));
        assert!(!bound("open sesame").contains("sesame"));
    }
}
