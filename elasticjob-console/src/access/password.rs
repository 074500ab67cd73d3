//! Passwords, which are kept as hashes by argon2id alone.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

/// Hashes that are computed at once: each takes 19 MiB and a core for some hundredths of a second.
const AT_ONCE: usize = 2;

/// Logins that may wait for their turn.
const WAITING: usize = 16;

/// The longest password, in bytes.
pub(crate) const LONGEST: usize = 1024;

/// Returns the hash of a password, as configuration has it.
pub(crate) fn hash(password: &str) -> String {
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.expect("the system gives random bytes, and a password has no limit here")
        .to_string()
}

fn is_of(hash: &str, password: &str) -> bool {
    let hash = PasswordHash::new(hash);
    hash.is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// Verifies passwords, a few at once.
#[derive(Debug)]
pub(crate) struct Passwords {
    admitted: Arc<Semaphore>,
    running: Arc<Semaphore>,
}

/// So many logins wait that another has to come later.
#[derive(Debug)]
pub(crate) struct Busy;

impl Passwords {
    pub(crate) fn new() -> Self {
        Self {
            admitted: Arc::new(Semaphore::new(AT_ONCE + WAITING)),
            running: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Returns whether a hash is that of a password.
    pub(crate) async fn verify(&self, hash: String, password: String) -> Result<bool, Busy> {
        let admitted = Arc::clone(&self.admitted).try_acquire_owned().map_err(|_| Busy)?;
        let running = Arc::clone(&self.running).acquire_owned().await;
        let running = running.expect("it is never closed");
        #[expect(
            clippy::disallowed_methods,
            reason = "it ends by itself, and its permits bound how many there are"
        )]
        let verified = tokio::task::spawn_blocking(move || {
            // A caller that leaves gives no other its turn: the work goes on.
            let _permits = (admitted, running);
            is_of(&hash, &password)
        });
        Ok(verified.await.unwrap_or(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn are_known_by_their_hash_alone() {
        let first = hash("tiger 虎");
        assert!(first.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{first}");
        assert_ne!(hash("tiger 虎"), first);
        let passwords = Passwords::new();
        assert!(passwords.verify(first.clone(), "tiger 虎".to_owned()).await.unwrap());
        for wrong in ["tiger", "", "tiger 虎 "] {
            assert!(!passwords.verify(first.clone(), wrong.to_owned()).await.unwrap());
        }
        assert!(!passwords.verify("$argon2id$".to_owned(), String::new()).await.unwrap());
    }

    #[tokio::test]
    async fn are_verified_a_few_at_once() {
        let passwords = Passwords::new();
        let held: Vec<_> = (0..AT_ONCE)
            .map(|_| Arc::clone(&passwords.running).try_acquire_owned().unwrap())
            .collect();
        let mut logins: Vec<_> = (0..AT_ONCE + WAITING + 1)
            .map(|_| Box::pin(passwords.verify(String::new(), String::new())))
            .collect();
        let last = logins.pop().unwrap();
        for login in &mut logins {
            assert!(futures_util::poll!(login).is_pending());
        }
        assert!(last.await.is_err());
        drop(held);
        for login in logins {
            assert!(!login.await.unwrap());
        }
    }
}
