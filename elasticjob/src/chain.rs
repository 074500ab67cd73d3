use std::error::Error;
use std::fmt;

use crate::guard;

/// Shows an error and what led to it: `cannot sync: connection lost: reset by peer`.
///
/// An error that repeats its source in its own text, as many do, is not made to say it twice.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn Error + 'static));

impl Chain<'_> {
    /// The texts of the error and of what led to it, outermost first, without repetitions.
    pub(crate) fn texts(&self) -> Vec<String> {
        let mut texts: Vec<String> = Vec::new();
        for error in guard::sources(self.0) {
            let text = match error {
                Ok(error) => guard::text(error),
                Err(panicked) => format!("(what led to it cannot be shown: `source` {panicked})"),
            };
            if texts.last().is_none_or(|shown| !shown.ends_with(&text)) {
                texts.push(text);
            }
        }
        texts
    }
}

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.texts().join(": "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Caused(&'static str, #[source] Option<Box<Caused>>);

    fn check(texts: [&'static str; 3], expect: &str) {
        let [outer, middle, inner] = texts;
        let error = Caused(
            outer,
            Some(Box::new(Caused(middle, Some(Box::new(Caused(inner, None)))))),
        );
        assert_eq!(Chain(&error).to_string(), expect);
    }

    #[test]
    fn every_cause_should_be_shown() {
        check(
            ["cannot sync", "connection lost", "reset by peer"],
            "cannot sync: connection lost: reset by peer",
        );
    }

    #[test]
    fn repeats_no_cause_that_was_just_shown() {
        check(
            ["cannot sync: lost", "lost", "reset by peer"],
            "cannot sync: lost: reset by peer",
        );
        check(
            ["cannot sync: lost: reset", "lost: reset", "reset"],
            "cannot sync: lost: reset",
        );
    }
}
