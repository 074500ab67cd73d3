//! What a worker goes by.

use std::sync::Arc;

use elasticjob_config::job::JobConfig;

use crate::cluster::placement::Placement;
use crate::cluster::policy::Policy;
use crate::schedule::Calendar;

/// The configuration in force, and what was made of it.
pub(super) struct Settings {
    pub(super) config: Arc<JobConfig>,
    /// `None` for a one-off job, and before the first session.
    pub(super) calendar: Option<Calendar>,
    pub(super) policy: Policy,
    pub(super) placement: Placement,
}
