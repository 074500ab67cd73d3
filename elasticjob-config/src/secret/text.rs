//! Secrets that a text quotes: in URLs, parameters, headers and options.
//!
//! It is better to hide too much than too little: the text is shown to people, and nothing is read from it again.

use std::borrow::Cow;
use std::ops::Range;

use super::{PROVIDED, is_secret};

/// Names that hold secrets as parameters of a URL, and are too common to do so elsewhere.
const PARAMETERS: [&str; 9] = ["key", "sign", "sig", "auth", "code", "pass", "ak", "sk", "ticket"];

/// Words after which a header has its credentials.
const SCHEMES: [&str; 4] = ["bearer", "basic", "digest", "token"];

/// Options of common programs whose word is `USER:PASSWORD`.
const USER_OPTIONS: [&str; 3] = ["u", "user", "proxy-user"];

/// A longer password of a URL is none: the search for its end is bounded.
const LONGEST_USERINFO: usize = 1024;

/// Returns a text with `[provided]` for each secret in it: user and password in a URL (`//USER:PASSWORD@`), values of
/// parameters, keys, headers and options with secret names, and credentials after `Bearer`.
///
/// ```
/// # mod elasticjob { pub mod configuration { pub use elasticjob_config::*; } }
/// use elasticjob::configuration::without_secrets;
///
/// assert_eq!(
///     without_secrets("curl -H 'Authorization: Bearer tiger' https://lion:tiger@example.org/x?id=7&access_token=tiger"),
///     "curl -H 'Authorization: Bearer [provided]' https://[provided]@example.org/x?id=7&access_token=[provided]",
/// );
/// assert_eq!(without_secrets("nothing to hide"), "nothing to hide");
/// ```
#[must_use]
pub fn without_secrets(text: &str) -> Cow<'_, str> {
    let hidden = secrets(text);
    if hidden.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut end = 0;
    for secret in hidden {
        shown.push_str(&text[end..secret.start]);
        shown.push_str(PROVIDED);
        end = secret.end;
    }
    shown.push_str(&text[end..]);
    Cow::Owned(shown)
}

/// Finds where secrets stand, in the order of the text and without overlaps.
fn secrets(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut place = 0;
    while place < text.len() {
        let rest = &text[place..];
        if rest.starts_with("://") {
            let start = place + "://".len();
            let secret = userinfo(&text[start..]).map(|length| start..start + length);
            place = secret.as_ref().map_or(start, |secret| secret.end);
            found.extend(secret);
            continue;
        }
        let length = name_length(rest);
        if length == 0 {
            place += rest.chars().next().map_or(1, char::len_utf8);
            continue;
        }
        let name = Name {
            text,
            start: place,
            end: place + length,
        };
        let secret = name
            .secret()
            .filter(|secret| !secret.is_empty() && text[secret.clone()] != *PROVIDED);
        // A name without a secret may be the word that another name is about: `-u lion:tiger`.
        place = secret.as_ref().map_or(name.end, |secret| secret.end);
        found.extend(secret);
    }
    found
}

/// Returns the length of `USER:PASSWORD` in front of the `@` of a URL, whose text this is behind `://`.
fn userinfo(text: &str) -> Option<usize> {
    let bounded = &text[..text.floor_char_boundary(LONGEST_USERINFO)];
    let up_to = |end: fn(char) -> bool| &bounded[..bounded.find(end).unwrap_or(bounded.len())];
    let authority = up_to(|c| is_end_of_word(c) || matches!(c, '/' | '?' | '#'));
    let length = authority.rfind('@').or_else(|| {
        // A password with a slash in it is not allowed, and is written all the same.
        let (_, port) = authority.split_once(':')?;
        let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
        if is_port {
            return None;
        }
        up_to(is_end_of_word).rfind('@')
    })?;
    (length > 0 && bounded[..length] != *PROVIDED).then_some(length)
}

fn is_end_of_word(character: char) -> bool {
    character.is_whitespace() || matches!(character, '"' | '\'' | '`' | '<' | '>')
}

/// Returns how many bytes at the start of a text are those of a name.
fn name_length(text: &str) -> usize {
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    text.bytes().take_while(is_of_name).count()
}

/// What may be the name of something, and its place in the text.
#[derive(Clone, Copy)]
struct Name<'a> {
    text: &'a str,
    start: usize,
    end: usize,
}

impl Name<'_> {
    /// Finds the secret that belongs to the name.
    fn secret(&self) -> Option<Range<usize>> {
        let written = &self.text[self.start..self.end];
        if written.eq_ignore_ascii_case("bearer") {
            return self.next_word();
        }
        let is_option = written.starts_with('-');
        let name = written.trim_start_matches('-');
        if let Some(value) = self.assigned() {
            let is_parameter =
                || self.is_parameter() && PARAMETERS.iter().any(|known| known.eq_ignore_ascii_case(name));
            return (is_secret(name) || is_parameter()).then(|| self.value(value));
        }
        let word = self.next_word().filter(|_| is_option)?;
        let is_user = || USER_OPTIONS.contains(&name) && self.text[word.clone()].contains(':');
        (is_secret(name) || is_user()).then_some(word)
    }

    /// Returns where the value starts, if an `=` or a `:` follows, behind the quote that ends the name and blanks.
    fn assigned(&self) -> Option<usize> {
        let rest = &self.text[self.end..];
        let behind_quote = rest.strip_prefix(['"', '\'']).unwrap_or(rest);
        let behind_blanks = behind_quote.trim_start_matches([' ', '\t']);
        let value = behind_blanks.strip_prefix(['=', ':'])?;
        let is_scheme = behind_blanks.starts_with("://");
        (!is_scheme).then(|| self.text.len() - value.len())
    }

    /// Returns whether the name is that of a parameter in a URL.
    fn is_parameter(&self) -> bool {
        self.text[..self.start].ends_with(['?', '&', ';'])
    }

    /// Returns the range of the value that starts here: what is in quotes, or a word; behind the word that says how a header
    /// has its credentials.
    fn value(&self, start: usize) -> Range<usize> {
        let value = word(self.text, start);
        let is_scheme = SCHEMES
            .iter()
            .any(|scheme| scheme.eq_ignore_ascii_case(&self.text[value.clone()]));
        if is_scheme && self.text[value.end..].starts_with(' ') {
            word(self.text, value.end)
        } else {
            value
        }
    }

    /// Returns the range of the word behind the name, if blanks are all that is between and it is no option.
    fn next_word(&self) -> Option<Range<usize>> {
        let is_separated = self.text[self.end..].starts_with(char::is_whitespace);
        let word = word(self.text, self.end);
        (is_separated && !self.text[word.clone()].starts_with('-')).then_some(word)
    }
}

/// Returns the range of a word behind blanks. Within quotes it goes on to the end of these.
fn word(text: &str, start: usize) -> Range<usize> {
    let rest = text[start..].trim_start();
    let start = text.len() - rest.len();
    let quoted = rest.chars().next().filter(|first| matches!(first, '"' | '\''));
    let (start, length) = match quoted {
        Some(quote) => {
            let inner = &rest[1..];
            (start + 1, end_of_quoted(inner, quote))
        }
        None => (
            start,
            rest.find(|c| is_end_of_word(c) || c == '&').unwrap_or(rest.len()),
        ),
    };
    start..start + length
}

/// Returns where the quote stands that ends a text, which is no escaped one.
fn end_of_quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    let end = text.find(|character| {
        let is_end = character == quote && !is_escaped;
        is_escaped = character == '\\' && !is_escaped;
        is_end
    });
    end.unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    mod hides {
        use super::*;

        #[track_caller]
        fn check(text: &str, expected: &str) {
            assert_eq!(without_secrets(text), expected);
            assert_eq!(without_secrets(expected), expected, "a second time");
        }

        #[test]
        fn user_and_password_of_a_url() {
            check("postgres://lion:tiger@db/jobs", "postgres://[provided]@db/jobs");
            check("jdbc:mysql://lion@db:3306/jobs", "jdbc:mysql://[provided]@db:3306/jobs");
            check(
                "to ftp://a:b:c@d@files.example.org, twice",
                "to ftp://[provided]@files.example.org, twice",
            );
            check(
                "amqp://lion:ti/ger@queue/x and http://a/b",
                "amqp://[provided]@queue/x and http://a/b",
            );
            check(
                "\"https://狮子:老虎@例子.中国/路\"",
                "\"https://[provided]@例子.中国/路\"",
            );
        }

        #[test]
        fn parameters() {
            check(
                "https://a/b?id=7&access_token=tiger&n=2",
                "https://a/b?id=7&access_token=[provided]&n=2",
            );
            check("https://a/b?key=tiger", "https://a/b?key=[provided]");
            check(
                "https://a/b?timestamp=1&SIGN=ti%2Bger;code=tiger",
                "https://a/b?timestamp=1&SIGN=[provided]",
            );
            check(
                "jdbc:postgresql://db/jobs?user=lion&password=tiger",
                "jdbc:postgresql://db/jobs?user=lion&password=[provided]",
            );
        }

        #[test]
        fn assignments() {
            check("DB_PASSWORD=tiger ./run", "DB_PASSWORD=[provided] ./run");
            check("password = 'ti ger' x", "password = '[provided]' x");
            check(
                r#"{"token": "ti\"ger", "id": 7}"#,
                r#"{"token": "[provided]", "id": 7}"#,
            );
            check("client-secret: 老虎", "client-secret: [provided]");
        }

        #[test]
        fn headers_and_options() {
            check(
                "-H 'Authorization: Bearer tiger'",
                "-H 'Authorization: Bearer [provided]'",
            );
            check(
                "authorization: Basic bGlvbjp0aWdlcg==",
                "authorization: Basic [provided]",
            );
            check("Authorization: tiger", "Authorization: [provided]");
            check("the bearer tiger is refused", "the bearer [provided] is refused");
            check(
                "run --password tiger --api-key=tiger -v",
                "run --password [provided] --api-key=[provided] -v",
            );
            check("curl -u lion:tiger http://a/b", "curl -u [provided] http://a/b");
        }

        #[test]
        fn long_values() {
            let long = "t".repeat(64 * 1024);
            check(&format!("token={long} x"), "token=[provided] x");
            assert!(without_secrets(&"://".repeat(100_000)).len() == 300_000);
        }
    }

    mod leaves {
        use super::*;

        #[test]
        fn what_is_no_secret() {
            for text in [
                "",
                "item 3: no disk",
                "http://192.0.2.1:8080/path/a@b",
                "https://a/@lion/x",
                "monkey=1, design=2, key: value",
                "token",
                "password: ",
                "--password --verbose",
                "fencing_token=17 fencingToken: 3",
                "--password-file /run/secrets/x --token-file=y",
                "{\"time\":\"2026-11-21T16:07:00Z\",\"attempt\":1}",
                "钥匙=1 😀",
                "-u lion",
                "://",
                "a://@b",
            ] {
                assert_eq!(without_secrets(text), text);
            }
        }
    }
}
