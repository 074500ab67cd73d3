//! How often decisions look at single items: counted in tests, because no decision may look at all items each time.

#[cfg(test)]
pub(crate) use counted::take_looks;

/// Counts a look at one item.
#[inline]
pub(crate) fn look() {
    #[cfg(test)]
    counted::LOOKS.set(counted::LOOKS.get() + 1);
}

#[cfg(test)]
mod counted {
    use std::cell::Cell;

    thread_local! {
        pub(super) static LOOKS: Cell<u64> = const { Cell::new(0) };
    }

    /// Returns how many looks there were on this thread since this was called last.
    pub(crate) fn take_looks() -> u64 {
        LOOKS.take()
    }
}
