//! What a test asks of a member, a line of JSON each way.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a member is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Say whether it is ready.
    IsReady,
    /// Have a one-off job run on all instances, and say what became of its items.
    Execute {
        /// Which.
        job: String,
        /// How long to wait.
        timeout: Duration,
    },
}

/// What it says to that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Whether it is ready.
    Ready(bool),
    /// What became of each item.
    Executed(BTreeMap<u32, String>),
    /// Why the job could not be run.
    Refused(String),
}
