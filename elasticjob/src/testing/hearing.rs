//! The listeners of drawn jobs, and the calls that they have to get.
//!
//! A distribute-once hook may be called again only after the instance that called it is gone, or was stopped in it. Two instances
//! never call it at once. If nothing happens to the cluster, the hooks of each firing are called before its first item begins and after its
//! last has ended.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::cluster::layout::Moment;
use crate::job::BoxError;
use crate::listener::{DistributeOnceJobListener, Firing, JobListener};
use crate::trace::Source;

use super::history::History;
use super::work::Work;

/// What an instance waits for the others at most.
pub(super) const STARTED_LIMIT: Duration = Duration::from_secs(3);
pub(super) const COMPLETED_LIMIT: Duration = Duration::from_secs(5);

const ONCE: &str = "once";

/// A listener that takes some time and fails now and then, as the items of its job do.
pub(super) struct Hearer {
    pub(super) work: Work,
    pub(super) history: History,
    pub(super) is_once: bool,
}

/// One call of a hook.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) job: Arc<str>,
    pub(super) is_once: bool,
    pub(super) moment: Moment,
    pub(super) due: i64,
    pub(super) source: Source,
    pub(super) owner: String,
    pub(super) began_at: Duration,
    pub(super) state: CallState,
}

/// How it stands with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallState {
    UnderWay,
    Returned { at: Duration },
    Dropped,
}

/// A call that is under way. Dropping it ends it.
pub(super) struct Calling {
    pub(super) history: History,
    pub(super) index: usize,
}

/// Returns the name of a job's listener of either kind.
pub(super) fn name_of(job: &str, is_once: bool) -> String {
    format!("{job}-{}", if is_once { ONCE } else { "each" })
}

/// Returns whether the listener of this name is called once in the cluster.
pub(super) fn is_once(name: &str) -> bool {
    name.ends_with(ONCE)
}

impl Hearer {
    /// Notes a call, takes its time, and fails now and then.
    async fn hear(&self, moment: Moment, firing: &Firing) -> Result<(), BoxError> {
        let calling = self.history.called(Call {
            job: firing.job_name().into(),
            is_once: self.is_once,
            moment,
            due: firing.scheduled_time().as_millisecond(),
            source: firing.source(),
            owner: firing.instance_id().to_owned(),
            began_at: self.history.now(),
            state: CallState::UnderWay,
        });
        let (time, fails) = self.work.hook();
        tokio::time::sleep(time).await;
        calling.returned();
        if fails { Err("drawn to fail".into()) } else { Ok(()) }
    }
}

impl JobListener for Hearer {
    async fn before(&self, firing: &Firing) -> Result<(), BoxError> {
        self.hear(Moment::Started, firing).await
    }

    async fn after(&self, firing: &Firing) -> Result<(), BoxError> {
        self.hear(Moment::Completed, firing).await
    }
}

impl DistributeOnceJobListener for Hearer {
    async fn before(&self, firing: &Firing) -> Result<(), BoxError> {
        self.hear(Moment::Started, firing).await
    }

    async fn after(&self, firing: &Firing) -> Result<(), BoxError> {
        self.hear(Moment::Completed, firing).await
    }
}

impl Call {
    /// Returns whether both are of one hook of one firing.
    pub(super) fn is_of_same(&self, other: &Self) -> bool {
        let key = |call: &Self| (call.is_once, call.moment, call.due);
        self.job == other.job && key(self) == key(other)
    }
}

impl Calling {
    /// Notes that the hook came to its end, which dropping the call alone does not mean.
    fn returned(self) {
        self.history.returned(self.index);
    }
}

impl Drop for Calling {
    fn drop(&mut self) {
        self.history.dropped(self.index);
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            job,
            moment,
            due,
            owner,
            source,
            ..
        } = self;
        let kind = if self.is_once { "once" } else { "each" };
        write!(f, "{owner}: hook `{moment:?}` ({kind}) of {job} due {due} ({source:?})")
    }
}
