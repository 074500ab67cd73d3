//! The props of jobs of type `SCRIPT`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;

use super::environment::{PASSED, Passed};
use super::words::QUOTING;
use crate::property::{Accepts, Properties, Reader, accept};

/// What a job of type `SCRIPT` says about its script.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct ScriptProperties {
    /// The program and its first arguments; never empty.
    pub(super) words: Vec<String>,
    pub(super) directory: Option<PathBuf>,
    /// What the script has of our environment.
    pub(super) environment: Passed,
    pub(super) limit: Option<Duration>,
    pub(super) kill_grace: Duration,
}

/// The framework waits 15 s for a script that should stop.
const LONGEST_GRACE: Duration = Duration::from_secs(10);

const KILL_GRACE: Accepts<Duration> = Accepts::new("a duration from `0s` to `10s`", |text| {
    let grace: SignedDuration = text.trim().parse().ok()?;
    Duration::try_from(grace).ok().filter(|grace| *grace <= LONGEST_GRACE)
});

impl Properties for ScriptProperties {
    const PREFIXES: &'static [&'static str] = &["script."];

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let line = reader.required("script.command.line", &accept::TEXT);
        let quoting = reader.with_default("script.quoting", &QUOTING, "posix");
        let directory = reader.optional("script.working-directory", &accept::TEXT);
        let environment = reader.with_default("script.environment", &PASSED, "");
        let limit = reader.with_default("script.timeout", &accept::DURATION_OR_OFF, "0");
        let kill_grace = reader.with_default("script.kill-grace", &KILL_GRACE, "5s");
        let words = quoting?
            .split(&line?)
            .map_err(|problem| reader.fault("script.command.line", format!("cannot be split into words: {problem}")));
        Some(Self {
            words: words.ok()?,
            directory: directory?.map(PathBuf::from),
            environment: environment?,
            limit: limit?,
            kill_grace: kill_grace?,
        })
    }
}

/// Arguments may be secret, so the program alone is shown.
impl fmt::Debug for ScriptProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptProperties")
            .field("program", &self.words.first())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::property;

    fn read(props: &[(&str, &str)]) -> Result<ScriptProperties, String> {
        let props = props.iter().map(|&(key, value)| (key.to_owned(), value.to_owned()));
        property::read(&BTreeMap::from_iter(props)).map_err(|faults| faults.to_string())
    }

    #[test]
    fn a_command_line_should_be_enough() {
        let settings = ScriptProperties {
            words: vec!["sh".to_owned(), "-c".to_owned(), "exit 3".to_owned()],
            directory: None,
            environment: Passed::default(),
            limit: None,
            kill_grace: Duration::from_secs(5),
        };
        assert_eq!(read(&[("script.command.line", "sh -c 'exit 3'")]), Ok(settings));
    }

    #[test]
    fn each_fault_should_name_the_key_the_value_and_what_is_expected() {
        let check = |props: &[_], expect: &str| assert_eq!(read(props), Err(expect.to_owned()));
        check(&[], "`props.script.command.line`: is missing, expected a text");
        check(
            &[("script.command.line", "sh -c 'exit")],
            "`props.script.command.line` is `sh -c 'exit`: cannot be split into words: a quote is not closed",
        );
        let line = ("script.command.line", "true");
        check(
            &[line, ("script.quoting", "bash")],
            "`props.script.quoting` is `bash`: expected `posix` or `java`",
        );
        check(
            &[line, ("script.kill-grace", "11s")],
            "`props.script.kill-grace` is `11s`: expected a duration from `0s` to `10s`",
        );
        check(
            &[line, ("script.environment", "JAVA_HOME A=tiger")],
            "`props.script.environment` is `JAVA_HOME A=tiger`: expected names of variables between commas, such as `JAVA_HOME, AWS_*`, \
             or `*` for all but `ELASTICJOB_*`: `A=tiger` is no name",
        );
        check(
            &[line, ("script.time-out", "1m")],
            "`props.script.time-out`: unknown property, did you mean `script.timeout`?",
        );
    }
}
