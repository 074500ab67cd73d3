//! Values that are never printed.

use std::collections::BTreeMap;
use std::fmt;

/// What is shown instead of a secret.
pub const PROVIDED: &str = "[provided]";

/// A text that prints as `[provided]`.
///
/// ```
/// use elasticjob_config::Secret;
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

/// Whether the value of a setting must not be shown, judged by the setting's name. A robot's webhook holds its token.
///
/// ```
/// assert!(elasticjob_config::is_secret("email.password"));
/// assert!(!elasticjob_config::is_secret("email.host"));
/// ```
#[must_use]
pub fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    [
        "password",
        "passwd",
        "secret",
        "token",
        "digest",
        "webhook",
        "credential",
        "api-key",
        "apikey",
        "authorization",
        "http.data",
        "http.uri",
    ]
    .iter()
    .any(|word| key.contains(word))
}

/// Shows a map of settings without its secrets.
pub(crate) struct WithoutSecrets<'a>(pub(crate) &'a BTreeMap<String, String>);

impl fmt::Debug for WithoutSecrets<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self
            .0
            .iter()
            .map(|(key, value)| (key, if is_secret(key) { PROVIDED } else { value }));
        formatter.debug_map().entries(shown).finish()
    }
}
