//! Which of many watches may have something to give.
//!
//! An instance with a thousand own items has a thousand watches. Polling all of them for each event would cost a
//! thousand calls; so each watch has a waker of its own, which notes the path of its watch and then wakes the task.
//! Only watches that are noted are polled, and a watch that had an event is noted again, because it need not wake for
//! the next one that it has already.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

/// Those that woke, and what is woken with each.
#[derive(Debug, Default)]
pub(super) struct Awake {
    // A std mutex: never held across an await, nor while a waker runs.
    state: Mutex<State>,
}

/// Behind one lock, so that no wake-up falls between taking a path and leaving the waker.
#[derive(Debug, Default)]
struct State {
    paths: BTreeSet<Arc<str>>,
    waker: Option<Waker>,
}

impl Awake {
    /// Has this one woken from now on.
    pub(super) fn wakes(&self, waker: &Waker) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut state.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Takes the first of those that woke, by path.
    pub(super) fn first(&self) -> Option<Arc<str>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.paths.pop_first()
    }

    /// Adds one, to be asked although it did not wake.
    pub(super) fn add(&self, path: Arc<str>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.paths.insert(path);
    }

    /// Notes a watch, and wakes the task after the lock was released.
    fn woke(&self, path: &Arc<str>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.paths.insert(Arc::clone(path));
        let waker = state.waker.clone();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The watch on one path, woken.
#[derive(Debug)]
pub(super) struct Awakened {
    path: Arc<str>,
    awake: Arc<Awake>,
}

impl Awakened {
    pub(super) fn new(path: String, awake: &Arc<Awake>) -> Self {
        Self {
            path: path.into(),
            awake: Arc::clone(awake),
        }
    }
}

impl Wake for Awakened {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.awake.woke(&self.path);
    }
}
