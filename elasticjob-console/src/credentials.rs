//! What the configuration of a console's users needs.

use crate::access::{password, random, token};

/// Returns the hash of a password, for `elasticjob.console.users.NAME.password-hash`.
///
/// ```
/// let hash = elasticjob_console::credentials::hash_password("a long sentence");
/// assert!(hash.starts_with("$argon2id$"));
/// ```
#[must_use]
pub fn hash_password(password: &str) -> String {
    password::hash(password)
}

/// Returns an API token, and its digest for `elasticjob.console.tokens.NAME.sha256`.
///
/// ```
/// let (token, digest) = elasticjob_console::credentials::make_token();
/// assert!(token.starts_with("ej_"));
/// assert_eq!(digest.len(), 64);
/// ```
#[must_use]
pub fn make_token() -> (String, String) {
    let token = token::new();
    let digest = random::hex(&random::sha256(&token));
    (token, digest)
}
