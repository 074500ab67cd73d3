use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

/// The name of a job: a node of the registry and a part of every task id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobName(String);

/// Why a text cannot be the name of a job.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// There is no text.
    #[error("the job has no name")]
    Empty,
    /// Blanks at an end are not seen and not meant.
    #[error("the name `{0}` starts or ends with a blank")]
    Blank(String),
    /// The name would be several nodes of the registry.
    #[error("the name `{0}` contains `/`, which separates the nodes of the registry")]
    Slash(String),
    /// Task and instance ids are cut at this text.
    #[error("the name `{0}` contains `@-@`, which separates the parts of a task id")]
    Separator(String),
    /// A node of the registry cannot be called so.
    #[error("the name `{0}` is not allowed for a node of the registry")]
    Dots(String),
    /// Characters that ZooKeeper refuses.
    #[error("the name {name:?} contains {character:?}, which the registry does not take")]
    Character {
        /// The name.
        name: String,
        /// The first character that is refused.
        character: char,
    },
}

impl JobName {
    /// Checks a name.
    ///
    /// # Errors
    /// If the registry could not hold the name, or a task id could not be cut apart again.
    ///
    /// ```
    /// # mod elasticjob { pub mod configuration { pub use elasticjob_config::*; } }
    /// use elasticjob::configuration::job::JobName;
    ///
    /// assert_eq!(JobName::parse("sync_orders")?.as_str(), "sync_orders");
    /// assert!(JobName::parse("shop/sync_orders").is_err());
    /// # Ok::<(), elasticjob_config::job::NameError>(())
    /// ```
    pub fn parse(name: &str) -> Result<Self, NameError> {
        let owned = || name.to_owned();
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.trim() != name {
            return Err(NameError::Blank(owned()));
        }
        if name.contains('/') {
            return Err(NameError::Slash(owned()));
        }
        if name.contains("@-@") {
            return Err(NameError::Separator(owned()));
        }
        if name == "." || name == ".." {
            return Err(NameError::Dots(owned()));
        }
        match name.chars().find(|c| is_refused_by_zookeeper(*c)) {
            Some(character) => Err(NameError::Character {
                name: owned(),
                character,
            }),
            None => Ok(Self(owned())),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_refused_by_zookeeper(c: char) -> bool {
    // ZooKeeper looks at UTF-16 units: everything outside of the basic plane is a pair of surrogates, which it refuses.
    matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..)
}

impl fmt::Display for JobName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for JobName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        Self::parse(name)
    }
}

impl AsRef<str> for JobName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for JobName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_language_should_be_accepted() {
        for name in ["demo", "sync-orders", "订单任务", "a b", "a.b", "..."] {
            assert_eq!(JobName::parse(name).map(|name| name.to_string()), Ok(name.to_owned()));
        }
    }

    #[test]
    fn names_that_break_paths_or_task_ids_are_refused() {
        for (name, message) in [
            ("", "the job has no name"),
            (" a", "the name ` a` starts or ends with a blank"),
            (
                "a/b",
                "the name `a/b` contains `/`, which separates the nodes of the registry",
            ),
            (
                "a@-@b",
                "the name `a@-@b` contains `@-@`, which separates the parts of a task id",
            ),
            ("..", "the name `..` is not allowed for a node of the registry"),
            (
                "a\u{0}b",
                "the name \"a\\0b\" contains '\\0', which the registry does not take",
            ),
            (
                "a😀",
                "the name \"a😀\" contains '😀', which the registry does not take",
            ),
        ] {
            assert_eq!(
                JobName::parse(name).map_err(|error| error.to_string()),
                Err(message.to_owned())
            );
        }
    }
}
