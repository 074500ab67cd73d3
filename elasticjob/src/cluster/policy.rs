//! Settings of ours that Java does not have, from the job's props.

use std::collections::BTreeMap;

/// How often an item is tried at one scheduled time, where its instances die running it.
pub(crate) const FAILOVER_ATTEMPTS: &str = "elasticjob.failover-attempts";

const DEFAULT_ATTEMPTS: u32 = 3;

/// What a job does beyond Java's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// After so many instances that died in a row while running an item, it is given up for that time.
    pub(crate) failover_attempts: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            failover_attempts: DEFAULT_ATTEMPTS,
        }
    }
}

impl Policy {
    /// Reads the props; a fault names the key, the value, and what is allowed.
    pub(crate) fn of(props: &BTreeMap<String, String>) -> Result<Self, String> {
        let failover_attempts = match props.get(FAILOVER_ATTEMPTS) {
            None => DEFAULT_ATTEMPTS,
            Some(text) => match text.trim().parse() {
                Ok(attempts) if attempts > 0 => attempts,
                _ => {
                    return Err(format!(
                        "`props.{FAILOVER_ATTEMPTS}` is `{text}`: expected a number of 1 or more"
                    ));
                }
            },
        };
        Ok(Self { failover_attempts })
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
        assert_eq!(Policy::of(&BTreeMap::new()), Ok(Policy { failover_attempts: 3 }));
        assert_eq!(of("5"), Ok(Policy { failover_attempts: 5 }));
    }

    #[test]
    fn a_number_that_is_none_should_be_refused_with_key_and_value() {
        for value in ["0", "-1", "many"] {
            let fault = of(value).expect_err("it is no number of attempts");
            assert!(fault.contains(FAILOVER_ATTEMPTS) && fault.contains(value), "{fault}");
        }
    }
}
