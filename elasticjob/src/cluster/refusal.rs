//! Why a job does not run here as the registry has it, for people: in the log, in health, and in the registry.

use serde::{Deserialize, Serialize};

use super::registration::KnownConfig;

/// Longest reason that is kept in the registry, in bytes.
const REASON_LIMIT: usize = 4096;

/// A stored configuration that this process cannot run the job by.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// What is missing or wrong, and what there is.
    pub(crate) reason: String,
    /// Which configuration it is.
    pub(crate) known: KnownConfig,
}

/// What keeps a job from being run here as the registry has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It cannot be run by the stored configuration, and none was in force before: this process takes no part in it.
    Refused { reason: String },
    /// It cannot be run by the stored configuration: the one before stays in force.
    Outdated { reason: String },
    /// What decides about it panicked: this process takes no part in it for a while.
    Panicked { message: String },
}

impl Trouble {
    /// In words, for health.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::Refused { reason } => format!("it cannot run by the configuration in the registry: {reason}"),
            Self::Panicked { message } => format!("its worker panicked and begins again: {message}"),
            Self::Outdated { reason } => {
                format!("it runs by the configuration before, since it cannot run by the one in the registry: {reason}")
            }
        }
    }
}

/// The word of a process that has the job and takes no part in it: `ledger/standby/{id}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standby {
    /// Why.
    #[serde(default)]
    pub(crate) reason: String,
}

impl Standby {
    /// Creates the record of a process that stands by for this reason, cut to what is kept.
    pub(crate) fn because(reason: &str) -> Self {
        let reason = shortened(reason);
        Self { reason }
    }

    /// Reads what a process wrote; what cannot be read is a word without a reason.
    pub(crate) fn parse(data: &[u8]) -> Self {
        serde_json::from_slice(data).unwrap_or_default()
    }

    /// Returns the stored form, JSON.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a word has only texts, which JSON can hold")
    }
}

/// Returns the beginning of a reason, which may quote any value whole.
pub(crate) fn shortened(reason: &str) -> String {
    match reason.floor_char_boundary(REASON_LIMIT) {
        end if end < reason.len() => format!("{}.. (cut)", &reason[..end]),
        _ => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_between_two_characters() {
        let standby = Standby::because(&"月".repeat(30_000));
        assert!(standby.reason.len() < REASON_LIMIT + 20 && standby.reason.ends_with("月.. (cut)"));
        assert_eq!(Standby::parse(&standby.to_bytes()), standby);
        assert_eq!(Standby::parse(b"?"), Standby::default());
    }
}
