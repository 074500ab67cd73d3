//! The metrics of the session with the registry.

use std::sync::Arc;

use tokio::sync::watch;

use crate::registry::SessionState;
use crate::telemetry::SessionGauge;

use super::session::Membership;

/// Shows the state of the session until its keeper is gone.
///
/// # Cancel safety
/// Safe.
pub(crate) async fn follow(mut memberships: watch::Receiver<Option<Arc<Membership>>>) {
    let gauge = SessionGauge::new();
    loop {
        let membership = memberships.borrow_and_update().clone();
        let Some(membership) = membership else {
            gauge.show(SessionState::Lost);
            if memberships.changed().await.is_err() {
                return;
            }
            continue;
        };
        let mut state = membership.state();
        // A session ends when its last holder lets go of it.
        drop(membership);
        loop {
            gauge.show(*state.borrow_and_update());
            tokio::select! {
                changed = memberships.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return gauge.show(SessionState::Lost),
                },
                Ok(()) = state.changed() => {}
            }
        }
    }
}
