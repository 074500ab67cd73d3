//! What a worker goes by.

use std::sync::Arc;

use elasticjob_config::job::JobConfig;
use jiff::Timestamp;

use crate::cluster::extent::Extent;
use crate::cluster::placement::Placement;
use crate::cluster::policy::Policy;
use crate::cluster::process::Process;
use crate::cluster::registration::Application;
use crate::schedule::{Calendar, Clock};

/// The configuration in force, and what was made of it.
///
/// All parts belong to the same configuration: they are replaced together, and only after everything that the next one
/// needs was found to be there.
pub(super) struct Settings {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) config: Arc<JobConfig>,
    /// `None` for a one-off job, and before the first session.
    pub(super) calendar: Option<Calendar>,
    pub(super) policy: Policy,
    pub(super) placement: Placement,
    /// Since when its items are there, once this instance is registered.
    pub(super) extent: Extent,
    /// Whether the job has run by it: not before it was joined first.
    pub(super) is_in_force: bool,
}

impl Settings {
    /// What the application says, until it is known what the registry does.
    ///
    /// # Errors
    /// There is no sharding strategy of the name that the job gives, or it refuses the job's props.
    pub(super) fn of(application: &Application, process: &Process) -> Result<Self, String> {
        Ok(Self {
            clock: Arc::clone(&process.clock),
            config: Arc::clone(&application.config),
            calendar: None,
            policy: Policy::of(application.config.props()).unwrap_or_default(),
            placement: Placement::of(&application.config, &process.strategies)?,
            extent: Extent::new(application.config.sharding_total_count().get(), Timestamp::MIN),
            is_in_force: false,
        })
    }
}
