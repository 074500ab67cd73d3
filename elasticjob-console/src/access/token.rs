//! API tokens: by which programs use the console. Pure: the time is a parameter.
//!
//! A token is `ej_` and 40 letters and digits, so that scanners of repositories find it. Kept is its SHA-256 alone.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::Rights;
use super::random::{self, Digest, sha256};
use crate::globs::Globs;

/// What each token begins with.
const PREFIX: &str = "ej_";

/// The letters and digits of a token: 238 bits.
const LENGTH: usize = 40;

/// How long a token lasts that a user makes, at most.
pub(crate) const LONGEST: SignedDuration = SignedDuration::from_hours(90 * 24);

/// Tokens that users made.
const MOST: usize = 1_000;

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// The user that made it; `None` if it is of the configuration.
    pub(crate) owner: Option<String>,
    pub(crate) rights: Rights,
    pub(crate) jobs: Globs,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) used: Option<Timestamp>,
}

/// All tokens, by their names.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    tokens: BTreeMap<String, Token>,
    names: BTreeMap<Digest, String>,
}

/// Returns a new token.
pub(crate) fn new() -> String {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = PREFIX.to_owned();
    while text.len() < PREFIX.len() + LENGTH {
        // Bytes beyond the last multiple of 62 would make some letters likelier.
        let usable = random::bytes::<64>().into_iter().filter(|byte| *byte < 248);
        let letters = usable.map(|byte| char::from(LETTERS[usize::from(byte % 62)]));
        text.extend(letters.take(PREFIX.len() + LENGTH - text.len()));
    }
    text
}

/// Returns whether a text has the form of a token.
fn is_token(text: &str) -> bool {
    let rest = text.strip_prefix(PREFIX).unwrap_or_default();
    rest.len() == LENGTH && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl Tokens {
    /// Keeps a token under a name. Returns `false` if there is one of that name, or there are too many.
    pub(crate) fn add(&mut self, name: &str, digest: Digest, token: Token) -> bool {
        let is_full = self.tokens.len() >= MOST && token.owner.is_some();
        if is_full || self.tokens.contains_key(name) {
            return false;
        }
        self.names.insert(digest, name.to_owned());
        self.tokens.insert(name.to_owned(), token);
        true
    }

    /// Returns the name and the token of a text, if it is not over, and notes that it was used.
    pub(crate) fn find(&mut self, text: &str, now: Timestamp) -> Option<(&str, &Token)> {
        if !is_token(text) {
            return None;
        }
        let name = self.names.get(&sha256(text))?;
        let token = self.tokens.get_mut(name)?;
        if token.expires.is_some_and(|expires| expires <= now) {
            return None;
        }
        token.used = Some(now);
        Some((name, token))
    }

    /// Returns all tokens.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Token)> {
        self.tokens.iter().map(|(name, token)| (&**name, token))
    }

    /// Returns whether a token can be ended that `may` says.
    pub(crate) fn can_be_revoked(&self, name: &str, may: impl Fn(&Token) -> bool) -> bool {
        self.tokens
            .get(name)
            .is_some_and(|token| token.owner.is_some() && may(token))
    }

    /// Ends a token that `may` says. Those of the configuration end there.
    pub(crate) fn revoke(&mut self, name: &str, may: impl Fn(&Token) -> bool) -> Option<Token> {
        self.can_be_revoked(name, may).then_some(())?;
        self.names.retain(|_, of| of != name);
        self.tokens.remove(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn of(owner: Option<&str>, expires: Option<Timestamp>) -> Token {
        Token {
            owner: owner.map(str::to_owned),
            rights: Rights::Viewer,
            jobs: Globs::all(),
            expires,
            used: None,
        }
    }

    #[test]
    fn have_a_form_that_scanners_find() {
        let one = new();
        assert!(is_token(&one) && one.len() == 43, "{one}");
        assert_ne!(new(), one);
        for wrong in [
            "",
            "ej_",
            &one[1..],
            &one[..42],
            &format!("{one}a"),
            &format!("{}-", &one[..42]),
        ] {
            assert!(!is_token(wrong), "{wrong}");
        }
    }

    #[test]
    fn end_by_time_and_by_hand() {
        let mut tokens = Tokens::default();
        let (own, configured) = (new(), new());
        assert!(tokens.add("ci", sha256(&own), of(Some("alice"), Some(at(10)))));
        assert!(
            !tokens.add("ci", sha256(&new()), of(Some("bob"), None)),
            "the name is taken"
        );
        assert!(tokens.add("fixed", sha256(&configured), of(None, None)));
        assert_eq!(tokens.find(&own, at(9)).unwrap().0, "ci");
        assert!(tokens.find(&own, at(10)).is_none());
        assert_eq!(
            tokens.all().find(|(name, _)| *name == "ci").unwrap().1.used,
            Some(at(9))
        );
        assert!(tokens.find(&new(), at(0)).is_none());
        let of_bob = |token: &Token| token.owner.as_deref() == Some("bob");
        assert!(tokens.revoke("ci", of_bob).is_none());
        assert!(tokens.revoke("ci", |_| true).is_some());
        assert!(tokens.find(&own, at(0)).is_none());
        assert!(tokens.revoke("fixed", |_| true).is_none());
        assert!(tokens.find(&configured, at(0)).is_some());
    }
}
