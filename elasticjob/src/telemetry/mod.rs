//! What a running application shows of itself: metrics, through the facade of the crate `metrics`.
//!
//! The names are those of [`names::ALL`], which `docs/metrics.md` explains. Handles are made once: [`JobMetrics`] for
//! each job, [`LastSuccess`] for its items, [`DroppedEvents`] for each recipient of events, [`Observed`] for the registry. Labels name
//! jobs and kinds, and items up to a bound, never runs or instances, so
//! that their number is known beforehand. Without the feature `metrics` all of it is empty and costs nothing.
//!
//! The application must install a recorder before the start, because a handle keeps the recorder that was installed when it was
//! created.

mod events;
mod facade;
mod job;
mod last_success;
mod names;
#[cfg(feature = "prometheus")]
mod prometheus;
#[cfg(feature = "metrics")]
mod registry;
mod session;

use std::sync::Arc;

use crate::registry::Registry;

pub(crate) use events::DroppedEvents;
pub(crate) use facade::describe;
pub(crate) use job::{JobMetrics, lateness};
pub(crate) use last_success::LastSuccess;
#[cfg(feature = "prometheus")]
pub(crate) use prometheus::{Exposition, UPKEEP_INTERVAL};
pub(crate) use session::SessionGauge;

/// The registry with its requests counted and timed.
#[cfg(feature = "metrics")]
pub(crate) fn observed(registry: Arc<dyn Registry>) -> Arc<dyn Registry> {
    Arc::new(registry::Observed::new(registry))
}

#[cfg(not(feature = "metrics"))]
pub(crate) fn observed(registry: Arc<dyn Registry>) -> Arc<dyn Registry> {
    registry
}
