//! The recorder of the metrics that Prometheus reads.
//!
//! It is the recorder of the whole process, since the facade has one: metrics of the program's own are shown with ours.
//! A program that has installed another recorder gets ours through that, and gets an error where it asks for both.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::names::{Name, REGISTRY_REQUEST_DURATION, RUN_DURATION, START_DELAY};

/// The interval at which histograms are summed up without a request: until then each of their values is kept.
pub(crate) const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

const REGISTRY_BUCKETS: [f64; 11] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0];
const DELAY_BUCKETS: [f64; 11] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
const DURATION_BUCKETS: [f64; 11] = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0];

/// Metrics as Prometheus reads them. Clones show the same.
#[derive(Clone, Debug)]
pub(crate) struct Exposition(PrometheusHandle);

/// Why metrics cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstallError {
    #[error(
        "the program has installed a recorder for metrics of its own, which gets ours, too: leave the section out, and show them from there"
    )]
    AnotherRecorder,
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// The one of this process. A std mutex: never held across an await.
static INSTALLED: Mutex<Option<Exposition>> = Mutex::new(None);

impl Exposition {
    /// Installs the recorder of the process, or gives the one that we installed before.
    pub(crate) fn install() -> Result<Self, InstallError> {
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(installed) = &*installed {
            return Ok(installed.clone());
        }
        let buckets = |builder: PrometheusBuilder, name: Name, buckets: &[f64]| {
            builder.set_buckets_for_metric(Matcher::Full(name.as_str().to_owned()), buckets)
        };
        let builder = buckets(PrometheusBuilder::new(), START_DELAY, &DELAY_BUCKETS)?;
        let builder = buckets(builder, RUN_DURATION, &DURATION_BUCKETS)?;
        let builder = buckets(builder, REGISTRY_REQUEST_DURATION, &REGISTRY_BUCKETS)?;
        let recorder = builder.build_recorder();
        let exposition = Self(recorder.handle());
        metrics::set_global_recorder(recorder).map_err(|_| InstallError::AnotherRecorder)?;
        Ok(installed.insert(exposition).clone())
    }

    /// All metrics of the process, in the text format. It takes its time where there are many.
    pub(crate) fn render(&self) -> String {
        self.0.render()
    }

    /// Records what histograms have collected. To be called from time to time.
    pub(crate) fn upkeep(&self) {
        self.0.run_upkeep();
    }
}
