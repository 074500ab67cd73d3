use std::sync::Arc;

use tokio::sync::watch;

use crate::cluster::session::Membership;
use crate::registry::SessionState;

use super::facade::gauge;
use super::names::SESSION_STATE;

/// Shows the state of the session with the registry, until nobody keeps one any more.
///
/// # Cancel safety
/// Safe.
pub(crate) async fn follow(mut memberships: watch::Receiver<Option<Arc<Membership>>>) {
    let gauges = [
        (SessionState::Connected, "connected"),
        (SessionState::Suspended, "suspended"),
        (SessionState::Lost, "lost"),
    ]
    .map(|(state, label)| (state, gauge(SESSION_STATE, &[("state", label)])));
    let show = |current: SessionState| {
        for (state, gauge) in &gauges {
            gauge.set(f64::from(u8::from(*state == current)));
        }
    };
    show(SessionState::Lost);
    loop {
        let membership = memberships.borrow_and_update().clone();
        let Some(membership) = membership else {
            show(SessionState::Lost);
            if memberships.changed().await.is_err() {
                return;
            }
            continue;
        };
        let mut state = membership.state();
        // Held no longer than it is looked at: a session ends when the last who holds it lets go.
        drop(membership);
        loop {
            show(*state.borrow_and_update());
            tokio::select! {
                changed = memberships.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return show(SessionState::Lost),
                },
                Ok(()) = state.changed() => {}
            }
        }
    }
}
