//! What the metrics are called and what they mean. `docs/metrics.md` is held to it by a test.
//!
//! Names and labels are an interface: dashboards and alerts go by them. Each begins with `elasticjob_`, ends with
//! `_total` if it is a counter and with `_seconds` if it measures time, as Prometheus has it.

/// The name of a metric.
///
/// A type of its own, so that no handle is made for a name that is not in this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name(&'static str);

impl Name {
    #[cfg_attr(
        not(any(test, feature = "metrics")),
        expect(dead_code, reason = "without the feature there are no metrics")
    )]
    pub(super) const fn as_str(self) -> &'static str {
        self.0
    }
}

pub(super) const FIRINGS: Name = Name("elasticjob_firings_total");
pub(super) const RUNS: Name = Name("elasticjob_runs_total");
pub(super) const START_DELAY: Name = Name("elasticjob_start_delay_seconds");
pub(super) const RUN_DURATION: Name = Name("elasticjob_run_duration_seconds");
pub(super) const ITEMS_OWNED: Name = Name("elasticjob_items_owned");
pub(super) const ITEMS_UNASSIGNED: Name = Name("elasticjob_items_unassigned");
pub(super) const PAUSED: Name = Name("elasticjob_paused");
pub(super) const ITEMS_RUNNING: Name = Name("elasticjob_items_running");
pub(super) const LAST_SUCCESS: Name = Name("elasticjob_last_success_timestamp_seconds");
pub(super) const FAILOVERS: Name = Name("elasticjob_failovers_total");
pub(super) const RETRIES: Name = Name("elasticjob_retries_total");
pub(super) const MISFIRES: Name = Name("elasticjob_misfires_total");
pub(super) const SKIPPED_TIMES: Name = Name("elasticjob_skipped_times_total");
pub(super) const UNACCOUNTED_TIMES: Name = Name("elasticjob_unaccounted_times");
pub(super) const RESHARDINGS: Name = Name("elasticjob_reshardings_total");
pub(super) const DROPPED_EVENTS: Name = Name("elasticjob_dropped_events_total");
pub(super) const SESSION_STATE: Name = Name("elasticjob_session_state");
#[cfg(feature = "metrics")]
pub(super) const REGISTRY_REQUESTS: Name = Name("elasticjob_registry_requests_total");
#[cfg(feature = "metrics")]
pub(super) const REGISTRY_REQUEST_DURATION: Name = Name("elasticjob_registry_request_duration_seconds");

/// A metric and its meaning.
#[cfg(feature = "metrics")]
pub(super) struct Metric {
    pub(super) name: Name,
    pub(super) kind: MetricKind,
    pub(super) unit: Option<Unit>,
    /// Its labels, for readers.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the table in the documents"))]
    pub(super) labels: &'static str,
    pub(super) meaning: &'static str,
}

/// How a metric moves.
#[cfg(feature = "metrics")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MetricKind {
    Counter,
    Gauge,
    Histogram,
}

/// What a metric is measured in.
#[cfg(feature = "metrics")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
}

/// Describes a number that only grows while the process lives.
#[cfg(feature = "metrics")]
const fn counter(name: Name, labels: &'static str, meaning: &'static str) -> Metric {
    Metric {
        name,
        kind: MetricKind::Counter,
        unit: None,
        labels,
        meaning,
    }
}

/// Describes a number that is what it is at the moment.
#[cfg(feature = "metrics")]
const fn gauge(name: Name, labels: &'static str, meaning: &'static str) -> Metric {
    Metric {
        name,
        kind: MetricKind::Gauge,
        unit: None,
        labels,
        meaning,
    }
}

/// Describes a distribution of times.
#[cfg(feature = "metrics")]
const fn seconds(name: Name, labels: &'static str, meaning: &'static str) -> Metric {
    Metric {
        name,
        kind: MetricKind::Histogram,
        unit: Some(Unit::Seconds),
        labels,
        meaning,
    }
}

/// All metrics there are, of this instance alone.
#[cfg(feature = "metrics")]
pub(super) const ALL: &[Metric] = &[
    counter(
        FIRINGS,
        "job, source",
        "Firings that began: items claimed together and handed to the pool",
    ),
    counter(
        RUNS,
        "job, outcome",
        "Runs of items that have ended; a lost run counts on the instance that recorded the loss",
    ),
    seconds(
        START_DELAY,
        "job",
        "From a scheduled time to the first line of an item's work; first attempts only",
    ),
    seconds(
        RUN_DURATION,
        "job",
        "From the first line of an item's work to its end, without the wait for the pool; each try counts by itself",
    ),
    gauge(ITEMS_OWNED, "job", "Items that this instance owns"),
    gauge(
        ITEMS_UNASSIGNED,
        "job",
        "Items that do not run because the sharding strategy gives them to no instance; only the leader of the job reports them, and 0 is normal",
    ),
    gauge(
        PAUSED,
        "job",
        "1 if the job is paused, as far as this instance knows, else 0",
    ),
    gauge(ITEMS_RUNNING, "job", "Items that run or wait for room in the pool"),
    Metric {
        unit: Some(Unit::Seconds),
        ..gauge(
            LAST_SUCCESS,
            "job, item",
            "Time of the item's last successful run, since 1970, reported by its owner; NaN on other instances, and if it is unknown",
        )
    },
    counter(
        FAILOVERS,
        "job",
        "Items that were taken over after their instance died while running them",
    ),
    counter(
        RETRIES,
        "job",
        "Tries that failed or timed out, and were tried again in the same run",
    ),
    counter(
        MISFIRES,
        "job",
        "Scheduled times that came while the previous firing was still running",
    ),
    counter(
        SKIPPED_TIMES,
        "job",
        "Scheduled times of items that were skipped and recorded as skipped, including items that are switched off or have no instance",
    ),
    gauge(
        UNACCOUNTED_TIMES,
        "job",
        "Scheduled times of own items, some seconds past, that have neither a verdict nor a recorded reason yet; 0 is normal",
    ),
    counter(
        RESHARDINGS,
        "job",
        "How often this instance, as leader of the job, shared the items out",
    ),
    counter(
        DROPPED_EVENTS,
        "recipient",
        "Events that were dropped because the history or a trace listener was unavailable, too slow, or refused them",
    ),
    gauge(
        SESSION_STATE,
        "state",
        "1 for the current state of the session with the registry, 0 for the other states",
    ),
    counter(REGISTRY_REQUESTS, "operation, outcome", "Requests to the registry"),
    seconds(
        REGISTRY_REQUEST_DURATION,
        "operation",
        "From a request to the registry to its answer, or to the moment when no answer could come any more",
    ),
];

#[cfg(all(test, feature = "metrics"))]
mod tests {
    use super::*;

    #[test]
    fn matches_the_table_of_the_documents() {
        let document = include_str!("../../../docs/metrics.md");
        let rows: Vec<&str> = document
            .lines()
            .filter(|line| line.starts_with("| `elasticjob_"))
            .collect();
        let expected: Vec<String> = ALL
            .iter()
            .map(|metric| {
                let kind = format!("{:?}", metric.kind).to_lowercase();
                let unit = metric.unit.map_or("", |unit| match unit {
                    Unit::Seconds => "s",
                });
                let (name, labels, meaning) = (metric.name.as_str(), metric.labels, metric.meaning);
                format!("| `{name}` | {kind} | {unit} | {labels} | {meaning} |")
            })
            .collect();
        assert_eq!(rows, expected);
    }
}
