//! Steps of work. Tests count them to see how they grow with the input; outside of tests this does nothing.

use std::hash::{Hash, Hasher};

#[cfg(test)]
thread_local! {
    static STEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Counts one step.
#[inline]
pub(crate) fn step() {
    #[cfg(test)]
    STEPS.set(STEPS.get() + 1);
}

/// A key that counts how often it is compared or hashed.
#[derive(Clone, Debug)]
pub(crate) struct Counted<T>(pub(crate) T);

impl<T: PartialEq> PartialEq for Counted<T> {
    fn eq(&self, other: &Self) -> bool {
        step();
        self.0 == other.0
    }
}

impl<T: Eq> Eq for Counted<T> {}

impl<T: Hash> Hash for Counted<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        step();
        self.0.hash(state);
    }
}

/// Checks that twice the input takes about twice the steps. `run` works on an input of the given size.
///
/// # Panics
/// If it takes more, or if no step is counted.
#[cfg(test)]
#[track_caller]
pub(crate) fn assert_grows_with_input(run: impl Fn(usize)) {
    let steps = |size| {
        let before = STEPS.get();
        run(size);
        STEPS.get() - before
    };
    let (once, twice) = (steps(500), steps(1_000));
    assert!(once > 0, "no step is counted");
    assert!(
        twice <= 2 * once + once / 4,
        "{once} steps, and {twice} for twice as much"
    );
}
