//! The environment of a script: what every program needs, and what the job says.
//!
//! Ours holds what is none of a script's business: the password of the registry centre, of databases, of mail servers. What
//! a program has in its environment ends up in its logs, its dumps of crashes, and in all that it starts.

use std::ffi::{OsStr, OsString};

use crate::property::Accepts;

/// What programs need to find files, speak a language and know the time. None of it is a secret.
const BASE: [&str; 16] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "HOSTNAME",
    "TERM",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TZDIR",
    "TMPDIR",
    "TMP",
    "TEMP",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// What the names of all settings of a locale begin with.
const LOCALE: &str = "LC_";

/// What the names of our own settings begin with. Some are passwords: a pattern never means them.
const OURS: &str = "ELASTICJOB_";

/// What a script has of our environment beyond [`BASE`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Passed(Vec<Pattern>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// A variable.
    Name(String),
    /// All variables with names that begin so, but for our settings.
    Beginning(String),
}

pub(super) const PASSED: Accepts<Passed> = Accepts::explained(
    "names of variables between commas, such as `JAVA_HOME, AWS_*`, or `*` for all but `ELASTICJOB_*`",
    |text| {
        let names = text.split([',', ' ', '\n']).filter(|name| !name.is_empty());
        names.map(Pattern::parse).collect::<Result<_, _>>().map(Passed)
    },
);

impl Pattern {
    /// Reads one name, or the beginning of names with `*` after it.
    fn parse(text: &str) -> Result<Self, String> {
        let beginning = text.strip_suffix('*');
        let name = beginning.unwrap_or(text);
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(format!("`{text}` is no name"));
        }
        Ok(match beginning {
            Some(beginning) => Self::Beginning(beginning.to_owned()),
            None => Self::Name(name.to_owned()),
        })
    }

    /// Returns whether the variable is meant. A pattern never means our own settings; a full name does.
    fn means(&self, name: &OsStr) -> bool {
        match self {
            Self::Name(known) => name == known.as_str(),
            Self::Beginning(beginning) => begins_with(name, beginning) && !begins_with(name, OURS),
        }
    }
}

impl Passed {
    /// Returns those of `ours` that a script has.
    pub(super) fn of(&self, ours: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<(OsString, OsString)> {
        let is_passed = |name: &OsStr| {
            BASE.iter().any(|base| name == *base)
                || begins_with(name, LOCALE)
                || self.0.iter().any(|pattern| pattern.means(name))
        };
        ours.into_iter().filter(|(name, _)| is_passed(name)).collect()
    }
}

fn begins_with(name: &OsStr, beginning: &str) -> bool {
    name.as_encoded_bytes().starts_with(beginning.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::property::Reader;

    /// Returns the names that are left of some, for a job with this prop.
    fn left(prop: &str) -> Result<Vec<String>, String> {
        let props = [("passed".to_owned(), prop.to_owned())].into();
        let mut reader = Reader::new(&props);
        let passed = reader.with_default("passed", &PASSED, "");
        let passed = reader.finish(passed).map_err(|faults| faults.to_string())?;
        let ours = [
            "PATH",
            "LC_ALL",
            "TZ",
            "PATHS",
            "JAVA_HOME",
            "AWS_KEY",
            "AWS_REGION",
            "ELASTICJOB_REG_CENTER_DIGEST",
            "密码",
        ];
        let left = passed.of(ours.map(|name| (name.into(), "x".into())));
        Ok(left.into_iter().map(|(name, _)| name.into_string().unwrap()).collect())
    }

    const BASE_LEFT: [&str; 3] = ["PATH", "LC_ALL", "TZ"];

    #[test]
    fn is_clean_by_default() {
        assert_eq!(left("").unwrap(), BASE_LEFT);
    }

    #[test]
    fn has_what_is_named() {
        let with =
            |names: &[&str]| -> Vec<String> { BASE_LEFT.iter().chain(names).map(|name| (*name).to_owned()).collect() };
        assert_eq!(left("JAVA_HOME, NOT_THERE").unwrap(), with(&["JAVA_HOME"]));
        assert_eq!(left("AWS_*").unwrap(), with(&["AWS_KEY", "AWS_REGION"]));
        assert_eq!(
            left("*").unwrap(),
            with(&["PATHS", "JAVA_HOME", "AWS_KEY", "AWS_REGION", "密码"])
        );
        assert_eq!(left("ELASTICJOB_*").unwrap(), BASE_LEFT);
        let digest = "ELASTICJOB_REG_CENTER_DIGEST";
        assert_eq!(left(digest).unwrap(), with(&[digest]), "by its full name");
    }

    #[test]
    fn refuses_what_is_no_name() {
        for text in ["A=B", "1A", "A**", "*A", "密码", "A;B"] {
            let fault = left(text).unwrap_err();
            assert!(fault.contains(&format!("`{text}` is no name")), "{fault}");
        }
    }
}
