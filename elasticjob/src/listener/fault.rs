//! Faults of listeners, as the error handler of the job receives them.
//!
//! A fault names the listener and the hook; its source is the error of the application, a panic, or a limit that was
//! exceeded.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::cluster::layout::Moment;
use crate::guard::Cause;

/// What went wrong with a listener, for the job's error handler.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) listener: Arc<str>,
    pub(super) moment: Moment,
    pub(super) source: Cause,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job listener `{}` {} a firing", self.listener, when(self.moment))
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.source.error())
    }
}

fn when(moment: Moment) -> &'static str {
    match moment {
        Moment::Started => "before",
        Moment::Completed => "after",
    }
}

/// Why a listener failed by itself.
#[derive(Debug, thiserror::Error)]
pub(super) enum Reason {
    #[error("not done within {0:?}")]
    TooSlow(Duration),
    #[error("these items have not {} within {limit:?}: {missing:?}", verb(*moment))]
    Late {
        moment: Moment,
        limit: Duration,
        missing: Vec<u32>,
    },
    #[error("another instance has not called it within {0:?}")]
    NotCalled(Duration),
}

fn verb(moment: Moment) -> &'static str {
    match moment {
        Moment::Started => "started",
        Moment::Completed => "ended",
    }
}
