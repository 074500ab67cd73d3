//! Settings of ours that Java does not have, from the job's props.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::property::{Properties, Reader, accept};

/// The largest age of a time that passed with no instance there and that the next owner makes up.
pub(crate) const CATCH_UP: &str = "elasticjob.catch-up";

/// How often an item is tried at one scheduled time, where its instances die running it.
pub(crate) const FAILOVER_ATTEMPTS: &str = "elasticjob.failover-attempts";

/// After how many runs in a row that failed an item is said to fail, in health.
pub(crate) const FAILED_RUNS: &str = "elasticjob.failed-runs";

/// What a job does beyond Java's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// After so many instances that died in a row while running an item, it is given up for that time.
    pub(crate) failover_attempts: u32,
    /// The newest missed time is made up if it is younger than this.
    pub(crate) catch_up: Option<SignedDuration>,
    /// Health lists an item if at least so many of its last runs failed.
    pub(crate) failed_runs: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            failover_attempts: 3,
            catch_up: None,
            failed_runs: 3,
        }
    }
}

impl Policy {
    /// Reads the props; a fault names the key, the value, and what is allowed.
    ///
    /// Other props of ours are not checked: a newer member may have written the configuration.
    pub(crate) fn of(props: &BTreeMap<String, String>) -> Result<Self, String> {
        let mut reader = Reader::new(props);
        let policy = Self::read(&mut reader);
        reader.finish(policy).map_err(|faults| faults.to_string())
    }
}

impl Properties for Policy {
    /// All of ours begin so, those of others included that are asked for beside these.
    const PREFIXES: &'static [&'static str] = &["elasticjob."];

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let failover_attempts = reader.with_default(FAILOVER_ATTEMPTS, &accept::POSITIVE, "3");
        let catch_up = reader.optional(CATCH_UP, &accept::DURATION);
        let failed_runs = reader.with_default(FAILED_RUNS, &accept::POSITIVE, "3");
        Some(Self {
            failover_attempts: failover_attempts?.get(),
            catch_up: catch_up?.map(|limit| SignedDuration::try_from(limit).unwrap_or(SignedDuration::MAX)),
            failed_runs: failed_runs?.get(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &str) -> Result<Policy, String> {
        Policy::of(&BTreeMap::from([(FAILOVER_ATTEMPTS.to_owned(), value.to_owned())]))
    }

    #[test]
    fn three_attempts_should_be_the_default() {
        assert_eq!(Policy::of(&BTreeMap::new()), Ok(Policy::default()));
        assert_eq!(Policy::default().failover_attempts, 3);
        assert_eq!(of("5").map(|policy| policy.failover_attempts), Ok(5));
    }

    #[test]
    fn refuses_a_bad_number_with_key_and_value() {
        for value in ["0", "-1", "many"] {
            let fault = of(value).expect_err("it is no number of attempts");
            assert!(fault.contains(FAILOVER_ATTEMPTS) && fault.contains(value), "{fault}");
        }
    }

    #[test]
    fn requires_at_least_one_failed_run() {
        let of = |text: &str| Policy::of(&BTreeMap::from([(FAILED_RUNS.to_owned(), text.to_owned())]));
        assert_eq!(of("1").map(|policy| policy.failed_runs), Ok(1));
        for text in ["0", "three"] {
            assert!(of(text).expect_err("it is no such number").contains(text), "{text}");
        }
    }

    #[test]
    fn props_of_newer_members_should_be_left_alone() {
        let props = BTreeMap::from([("elasticjob.mood".to_owned(), "good".to_owned())]);
        assert!(Policy::of(&props).is_ok());
    }

    #[test]
    fn catching_up_should_be_a_duration() {
        let of = |text: &str| Policy::of(&BTreeMap::from([(CATCH_UP.to_owned(), text.to_owned())]));
        assert_eq!(
            of("10m").map(|policy| policy.catch_up),
            Ok(Some(SignedDuration::from_mins(10)))
        );
        for text in ["soon", "-1h", "0s"] {
            assert!(of(text).expect_err("it is no such duration").contains(text), "{text}");
        }
    }
}
