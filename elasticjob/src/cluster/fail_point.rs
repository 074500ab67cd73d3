//! Panics that are put in on purpose, to see what follows.
//!
//! Without tests and the feature `testing` there are none, and the code that asks for them is gone.

#[cfg(any(test, feature = "testing"))]
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts the steps of a process's workers, and panics at one of them if a test set that step.
#[derive(Debug, Default)]
pub(crate) struct FailPoint {
    /// How many steps there are up to the panic, itself included; 0 for none.
    #[cfg(any(test, feature = "testing"))]
    left: AtomicU32,
}

impl FailPoint {
    /// Panics at the step of that number from now on, counted from 1.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn panic_at(&self, step: u32) {
        self.left.store(step, Ordering::Relaxed);
    }

    /// Returns whether the panic is still to come.
    #[cfg(test)]
    pub(crate) fn is_set(&self) -> bool {
        self.left.load(Ordering::Relaxed) > 0
    }

    /// One step is done.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn pass(&self) {
        let count = |left: u32| left.checked_sub(1);
        // Relaxed: it orders nothing.
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count) == Ok(1) {
            // Not by `panic!`, which would have the hook print it, thousands of times in a simulation.
            std::panic::resume_unwind(Box::new("put in on purpose"));
        }
    }

    #[cfg(not(any(test, feature = "testing")))]
    #[expect(clippy::unused_self, reason = "as with tests")]
    pub(crate) const fn pass(&self) {}
}
