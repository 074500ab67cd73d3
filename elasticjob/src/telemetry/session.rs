use crate::registry::SessionState;

use super::facade::{Gauge, gauge};
use super::names::SESSION_STATE;

/// The state of the session with the registry, as a gauge for each state, of which one is 1.
pub(crate) struct SessionGauge([(SessionState, Gauge); 3]);

impl SessionGauge {
    /// Creates the gauges. They show that there is no session.
    pub(crate) fn new() -> Self {
        let states = [
            (SessionState::Connected, "connected"),
            (SessionState::Suspended, "suspended"),
            (SessionState::Lost, "lost"),
        ];
        let gauges = Self(states.map(|(state, label)| (state, gauge(SESSION_STATE, &[("state", label)]))));
        gauges.show(SessionState::Lost);
        gauges
    }

    /// Shows the state.
    pub(crate) fn show(&self, current: SessionState) {
        for (state, gauge) in &self.0 {
            gauge.set(f64::from(u8::from(*state == current)));
        }
    }
}
