//! A firing as listeners see it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::trace::Source;

/// A firing, as an instance has it: all items of a job that it runs for one scheduled time or one request.
/// Clones share their contents.
#[derive(Clone)]
pub struct Firing {
    pub(super) parts: Arc<FiringParts>,
}

/// What a [`Firing`] is made of.
pub(crate) struct FiringParts {
    pub(crate) job_name: Arc<str>,
    pub(crate) task_id: Arc<str>,
    pub(crate) instance_id: Arc<str>,
    pub(crate) sharding_total_count: u32,
    pub(crate) job_parameter: Arc<str>,
    /// With their parameters.
    pub(crate) items: BTreeMap<u32, Option<Arc<str>>>,
    pub(crate) scheduled_time: Timestamp,
    pub(crate) source: Source,
}

impl Firing {
    pub(crate) fn new(parts: FiringParts) -> Self {
        Self { parts: Arc::new(parts) }
    }

    /// A firing of these items, to test a listener with.
    ///
    /// ```
    /// use elasticjob::listener::Firing;
    ///
    /// let firing = Firing::for_test("settle", [0, 2], 3);
    /// assert_eq!(firing.items().collect::<Vec<_>>(), [0, 2]);
    /// ```
    #[must_use]
    pub fn for_test(job_name: &str, items: impl IntoIterator<Item = u32>, sharding_total_count: u32) -> Self {
        Self::new(FiringParts {
            job_name: job_name.into(),
            task_id: format!("{job_name}@-@@-@READY@-@127.0.0.1@-@0").into(),
            instance_id: "127.0.0.1@-@0".into(),
            sharding_total_count,
            job_parameter: "".into(),
            items: items.into_iter().map(|item| (item, None)).collect(),
            scheduled_time: Timestamp::UNIX_EPOCH,
            source: Source::Schedule,
        })
    }

    /// The name of the job.
    #[must_use]
    pub fn job_name(&self) -> &str {
        &self.parts.job_name
    }

    /// The task id in the form that all members of the cluster use, `{job}@-@{items}@-@READY@-@{instance}`. It is one
    /// for all items of the firing on this instance, and the same again for each later firing of the same items here.
    #[must_use]
    pub fn task_id(&self) -> &str {
        &self.parts.task_id
    }

    /// The id of the instance that calls the listener.
    #[must_use]
    pub fn instance_id(&self) -> &str {
        &self.parts.instance_id
    }

    /// How many items the job is divided into.
    /// It is that of the whole cluster. [`items`](Self::items) are those of this instance.
    #[must_use]
    pub fn sharding_total_count(&self) -> u32 {
        self.parts.sharding_total_count
    }

    /// The job's parameter, or that of the request.
    /// It is empty if there is none.
    #[must_use]
    pub fn job_parameter(&self) -> &str {
        &self.parts.job_parameter
    }

    /// The items that this instance runs, in order. There is one at least.
    pub fn items(&self) -> impl ExactSizeIterator<Item = u32> {
        self.parts.items.keys().copied()
    }

    /// The parameter of one of these items, if it has one.
    /// `None` also for an item that this instance does not run in the firing.
    #[must_use]
    pub fn item_parameter(&self, item: u32) -> Option<&str> {
        self.parts.items.get(&item)?.as_deref()
    }

    /// The time it was scheduled for, or when it was asked for.
    #[must_use]
    pub fn scheduled_time(&self) -> Timestamp {
        self.parts.scheduled_time
    }

    /// Why it fires.
    /// A [`JobListener`](super::JobListener) sees items that were taken over as firings of their own, with
    /// [`Source::Failover`].
    #[must_use]
    pub fn source(&self) -> Source {
        self.parts.source
    }
}

impl fmt::Debug for Firing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No parameters: they may hold secrets.
        f.debug_struct("Firing")
            .field("task_id", &self.task_id())
            .field("scheduled_time", &self.scheduled_time())
            .field("source", &self.source())
            .finish_non_exhaustive()
    }
}
