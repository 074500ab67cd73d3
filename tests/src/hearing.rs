//! The calls of members' listeners: a file that all members append to, beside the history.

use std::path::{Path, PathBuf};
use std::time::Duration;

use elasticjob::listener::Firing;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::history::since_boot;
use crate::lines::{Appender, Tail};

/// A call of a listener, at one moment of one firing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hearing {
    /// When the listener was called, since the machine's start,
    pub began: Duration,
    /// and when it returned; a line is written at both, the first without this.
    pub ended: Option<Duration>,
    /// The name of the listener.
    pub listener: String,
    /// `before` or `after`.
    pub moment: String,
    /// The time that was due.
    pub scheduled: Timestamp,
    /// Which items the instance has.
    pub items: Vec<u32>,
    /// The instance that called the listener.
    pub instance: String,
}

/// Where a member's listeners write.
#[derive(Debug)]
pub struct Ears(Appender);

impl Ears {
    /// Opens the file beside this history.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(history: &Path) -> anyhow::Result<Self> {
        Ok(Self(Appender::open(&beside(history))?))
    }

    /// Records the begin of a call, waits for the pause, and records the end.
    pub async fn hear(&self, listener: &str, moment: &str, firing: &Firing, pause: Duration) {
        let mut hearing = Hearing {
            began: since_boot(),
            ended: None,
            listener: listener.to_owned(),
            moment: moment.to_owned(),
            scheduled: firing.scheduled_time(),
            items: firing.items().collect(),
            instance: firing.instance_id().to_owned(),
        };
        self.0.append(&hearing);
        tokio::time::sleep(pause).await;
        hearing.ended = Some(since_boot());
        self.0.append(&hearing);
    }
}

/// Returns all that was heard beside this history: what was begun, with its end if it has one.
///
/// # Errors
/// When the file cannot be read.
pub fn heard(history: &Path) -> anyhow::Result<Vec<Hearing>> {
    let mut hearings: Vec<Hearing> = Vec::new();
    for line in Tail::<Hearing>::of(&beside(history)).read()? {
        let is_same = |known: &&mut Hearing| {
            known.ended.is_none() && known.began == line.began && known.instance == line.instance
        };
        match hearings.iter_mut().find(is_same) {
            Some(known) if line.ended.is_some() => *known = line,
            _ => hearings.push(line),
        }
    }
    Ok(hearings)
}

fn beside(history: &Path) -> PathBuf {
    history.with_added_extension("heard")
}
