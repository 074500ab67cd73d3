//! What lets time act on a registry with faults: one task, which sleeps until the next thing is due.
//!
//! A registry without faults has none: nothing happens in it by time alone.

use std::sync::{Arc, Weak};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::core::Core;

/// Runs until the registry is gone.
pub(super) async fn run(core: Weak<Core>, rescheduled: Arc<Notify>) {
    loop {
        let Some(next) = core.upgrade().map(|core| core.with(|state| state.tick(Instant::now()))) else {
            return;
        };
        match next {
            None => rescheduled.notified().await,
            Some(due) => tokio::select! {
                () = sleep_until(due) => {}
                () = rescheduled.notified() => {}
            },
        }
    }
}
