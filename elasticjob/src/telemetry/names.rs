//! What the metrics are called and what they mean. `docs/metrics.md` is held to it by a test.

/// The name of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name(&'static str);

impl Name {
    #[cfg_attr(
        not(any(test, feature = "metrics")),
        expect(dead_code, reason = "nobody is told without the feature")
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
pub(super) const ITEMS_LEFT_OUT: Name = Name("elasticjob_items_left_out");
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
    pub(super) kind: Kind,
    pub(super) unit: Option<Unit>,
    /// Its labels, for readers.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the table in the documents"))]
    pub(super) labels: &'static str,
    pub(super) meaning: &'static str,
}

/// How a metric moves.
#[cfg(feature = "metrics")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
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

#[cfg(feature = "metrics")]
const fn counter(name: Name, labels: &'static str, meaning: &'static str) -> Metric {
    Metric {
        name,
        kind: Kind::Counter,
        unit: None,
        labels,
        meaning,
    }
}

#[cfg(feature = "metrics")]
const fn gauge(name: Name, labels: &'static str, meaning: &'static str) -> Metric {
    Metric {
        name,
        kind: Kind::Gauge,
        unit: None,
        labels,
        meaning,
    }
}

#[cfg(feature = "metrics")]
const fn seconds(name: Name, labels: &'static str, meaning: &'static str) -> Metric {
    Metric {
        name,
        kind: Kind::Histogram,
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
        "Firings that were begun: items claimed together and handed to the pool",
    ),
    counter(
        RUNS,
        "job, outcome",
        "Runs of items whose end was recorded; lost ones by whoever recorded the loss",
    ),
    seconds(
        START_DELAY,
        "job",
        "From a scheduled time to the first line of an item's work, first attempts alone",
    ),
    seconds(
        RUN_DURATION,
        "job",
        "From the first line of an item's work to its end, waiting for the pool not counted; each retry by itself",
    ),
    gauge(ITEMS_OWNED, "job", "Items that are shared out to this instance"),
    gauge(
        ITEMS_LEFT_OUT,
        "job",
        "Items that nobody runs since the sharding strategy gives them to no instance, told by the instance that leads the job: 0 where all is well",
    ),
    gauge(
        PAUSED,
        "job",
        "Whether the whole job is paused, as far as this instance knows: 1 or 0",
    ),
    gauge(ITEMS_RUNNING, "job", "Items that run, or wait for room in the pool"),
    Metric {
        unit: Some(Unit::Seconds),
        ..gauge(
            LAST_SUCCESS,
            "job, item",
            "When a run of the item last succeeded, since 1970, told by the instance that has the item: NaN where another has it or that is not known",
        )
    },
    counter(
        FAILOVERS,
        "job",
        "Items that were taken over after their instance died running them",
    ),
    counter(
        RETRIES,
        "job",
        "Runs of items that failed or took too long, and were tried again on the spot",
    ),
    counter(
        MISFIRES,
        "job",
        "Scheduled times that came while the firing before them was still running",
    ),
    counter(
        SKIPPED_TIMES,
        "job",
        "Scheduled times of items that passed without a run and were accounted for as that, items that are switched off or have no instance included",
    ),
    gauge(
        UNACCOUNTED_TIMES,
        "job",
        "Scheduled times of own items, some seconds past, that have neither a verdict nor a stated reason yet: 0 where all is well",
    ),
    counter(
        RESHARDINGS,
        "job",
        "Times that this instance, leading the job, shared the items out",
    ),
    counter(
        DROPPED_EVENTS,
        "recipient",
        "Events that the history or a trace listener never got: it was away, too slow, or refused them",
    ),
    gauge(
        SESSION_STATE,
        "state",
        "1 for the state that the session with the registry is in, 0 for the others",
    ),
    counter(REGISTRY_REQUESTS, "operation, outcome", "Requests to the registry"),
    seconds(
        REGISTRY_REQUEST_DURATION,
        "operation",
        "From a request to the registry to its answer, or until none was to be expected",
    ),
];

#[cfg(all(test, feature = "metrics"))]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_documents_should_be_that_of_the_code() {
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
