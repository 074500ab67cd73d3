//! The handles, or what stands for them where the feature `metrics` is off.
//!
//! Code that measures is the same in both cases. Without the feature a handle is a type without a size, whose methods
//! do nothing, so that no caller needs a condition.

use super::names::Name;

#[cfg(feature = "metrics")]
pub(super) use metrics::{Counter, Gauge, Histogram};

/// A label's name and value.
pub(super) type Label<'a> = (&'static str, &'a str);

#[cfg(feature = "metrics")]
static METADATA: metrics::Metadata<'static> = metrics::Metadata::new("elasticjob", metrics::Level::INFO, None);

/// Returns the key of a series: the name of the metric with these labels.
#[cfg(feature = "metrics")]
fn key(name: Name, labels: &[Label<'_>]) -> metrics::Key {
    let labels = labels
        .iter()
        .map(|(label, value)| metrics::Label::new(*label, (*value).to_owned()));
    metrics::Key::from_parts(name.as_str(), labels.collect::<Vec<_>>())
}

#[cfg(feature = "metrics")]
pub(super) fn counter(name: Name, labels: &[Label<'_>]) -> Counter {
    metrics::with_recorder(|recorder| recorder.register_counter(&key(name, labels), &METADATA))
}

#[cfg(feature = "metrics")]
pub(super) fn gauge(name: Name, labels: &[Label<'_>]) -> Gauge {
    metrics::with_recorder(|recorder| recorder.register_gauge(&key(name, labels), &METADATA))
}

#[cfg(feature = "metrics")]
pub(super) fn histogram(name: Name, labels: &[Label<'_>]) -> Histogram {
    metrics::with_recorder(|recorder| recorder.register_histogram(&key(name, labels), &METADATA))
}

/// Describes the metrics to the recorder.
#[cfg(feature = "metrics")]
pub(crate) fn describe() {
    use super::names::{ALL, MetricKind};
    metrics::with_recorder(|recorder| {
        for metric in ALL {
            let (name, meaning) = (metric.name.as_str().into(), metric.meaning.into());
            let unit = metric.unit.map(|unit| match unit {
                super::names::Unit::Seconds => metrics::Unit::Seconds,
            });
            match metric.kind {
                MetricKind::Counter => recorder.describe_counter(name, unit, meaning),
                MetricKind::Gauge => recorder.describe_gauge(name, unit, meaning),
                MetricKind::Histogram => recorder.describe_histogram(name, unit, meaning),
            }
        }
    });
}

#[cfg(not(feature = "metrics"))]
pub(crate) fn describe() {}

#[cfg(not(feature = "metrics"))]
pub(super) use absent::{Counter, Gauge, Histogram, counter, gauge, histogram};

#[cfg(not(feature = "metrics"))]
mod absent {
    use super::{Label, Name};

    #[derive(Clone, Debug)]
    pub(in crate::telemetry) struct Counter;

    #[derive(Clone, Debug)]
    pub(in crate::telemetry) struct Gauge;

    #[derive(Clone, Debug)]
    pub(in crate::telemetry) struct Histogram;

    impl Counter {
        pub(in crate::telemetry) fn increment(&self, _by: u64) {}
    }

    impl Gauge {
        pub(in crate::telemetry) fn set(&self, _value: f64) {}
    }

    impl Histogram {
        pub(in crate::telemetry) fn record(&self, _value: std::time::Duration) {}
    }

    pub(in crate::telemetry) fn counter(_name: Name, _labels: &[Label<'_>]) -> Counter {
        Counter
    }

    pub(in crate::telemetry) fn gauge(_name: Name, _labels: &[Label<'_>]) -> Gauge {
        Gauge
    }

    pub(in crate::telemetry) fn histogram(_name: Name, _labels: &[Label<'_>]) -> Histogram {
        Histogram
    }
}
