//! Names of jobs in the lists of those that are given events.

use elasticjob_config::sources::TracedJobs;
use tracing::warn;

use super::TraceListeners;

/// Logs each name in the lists of trace listeners that no job has.
pub(crate) fn warn_of_unknown_to<'a>(listeners: &TraceListeners, jobs: impl Iterator<Item = &'a str> + Clone) {
    for (name, kind) in listeners.entries() {
        warn_of_unknown(name, None, &kind.jobs, jobs.clone());
    }
}

/// Logs each name that no job has. It is no fault: applications may share a configuration, or a crate of listeners.
///
/// `place` is where the names were written.
pub(crate) fn warn_of_unknown<'a>(
    recipient: &str,
    place: Option<&str>,
    traced: &TracedJobs,
    jobs: impl Iterator<Item = &'a str> + Clone,
) {
    let list = match traced {
        TracedJobs::Only(_) => "include-job-names",
        _ => "exclude-job-names",
    };
    for (name, meant) in traced.unknown_names(jobs) {
        warn!(
            recipient,
            place,
            list,
            name,
            did_you_mean = meant,
            "no job has the name that a list of traced jobs holds"
        );
    }
}
