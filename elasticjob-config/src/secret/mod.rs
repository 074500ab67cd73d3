//! Values that are never printed.
//!
//! A value is hidden whole if the name of its setting says that it is a secret ([`is_secret`]). Any other text may quote a
//! secret: a password in a URL, a token in a command line. [`without_secrets`] hides such parts and leaves the rest.

#[cfg(feature = "sources")]
mod document;
mod text;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

#[cfg(feature = "sources")]
pub use document::document_without_secrets;
pub use text::without_secrets;

/// What is shown instead of a secret.
pub const PROVIDED: &str = "[provided]";

/// A text that prints as `[provided]`.
///
/// ```
/// # mod elasticjob { pub mod configuration { pub use elasticjob_config::*; } }
/// use elasticjob::configuration::Secret;
///
/// let password = Secret::new("tiger");
/// assert_eq!(format!("{password} {password:?}"), "[provided] [provided]");
/// assert_eq!(password.reveal(), "tiger");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(PROVIDED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(PROVIDED)
    }
}

/// Parts of names whose values are secrets, without punctuation. A robot's webhook holds its token.
const WORDS: [&str; 17] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "digest",
    "webhook",
    "credential",
    "apikey",
    "accesskey",
    "privatekey",
    "authorization",
    "cookie",
    "signature",
    "httpdata",
    "httpuri",
];

/// The number that fences a run is called a token, and is no secret.
const FENCING_TOKEN: &str = "fencingtoken";

/// What a name ends with if its value is where a secret is, and not the secret.
const PLACE: &str = "file";

/// Returns whether the value of a setting must not be shown, judged by the setting's name, however that is spelt.
///
/// ```
/// # mod elasticjob { pub mod configuration { pub use elasticjob_config::*; } }
/// use elasticjob::configuration::is_secret;
///
/// assert!(is_secret("email.password"));
/// assert!(is_secret("sink.API_KEY"));
/// assert!(!is_secret("email.host"));
/// ```
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let letters = name.bytes().filter(u8::is_ascii_alphanumeric);
    let letters: String = letters.map(|byte| char::from(byte.to_ascii_lowercase())).collect();
    let letters = letters.replace(FENCING_TOKEN, "");
    !letters.ends_with(PLACE) && WORDS.iter().any(|word| letters.contains(word))
}

/// Returns the value of a setting as it may be shown: `[provided]` for a secret, and for any other value the value without
/// the secrets that it quotes.
///
/// ```
/// # mod elasticjob { pub mod configuration { pub use elasticjob_config::*; } }
/// use elasticjob::configuration::shown;
///
/// assert_eq!(shown("email.password", "tiger"), "[provided]");
/// assert_eq!(shown("jobParameter", "ftp://lion:tiger@files/in"), "ftp://[provided]@files/in");
/// assert_eq!(shown("cron", "0/5 * * * * ?"), "0/5 * * * * ?");
/// ```
#[must_use]
pub fn shown<'a>(name: &str, value: &'a str) -> Cow<'a, str> {
    if is_secret(name) {
        Cow::Borrowed(PROVIDED)
    } else {
        without_secrets(value)
    }
}

/// Shows a map of settings without its secrets.
pub(crate) struct WithoutSecrets<'a>(pub(crate) &'a BTreeMap<String, String>);

impl fmt::Debug for WithoutSecrets<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.0.iter().map(|(key, value)| (key, shown(key, value)));
        formatter.debug_map().entries(entries).finish()
    }
}
