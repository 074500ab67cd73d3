//! The one lock of a registry, and what lets time act on it.
//!
//! Wakers, answers and drops of values run code of others, which may call the registry again. So they are collected
//! under the lock and run after it was released. That is the only rule of locking here, and no call can deadlock by it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::driver;
use super::state::{Clock, State};

/// The lock around the state, and what has to be done outside of it.
pub(super) struct Core {
    // std mutex: never held across an await, nor while foreign code runs.
    state: Mutex<State>,
    /// Wakes the driver, since the next thing to happen may have become another.
    rescheduled: Arc<Notify>,
    /// Lets virtual time act once a fault was ordered. It ends with the registry.
    driver: Mutex<JoinSet<()>>,
}

/// What is to be done once the lock is released, because it runs code of others.
pub(super) enum Deferred {
    Wake(Waker),
    Run(Box<dyn FnOnce() + Send>),
    /// Tell the driver that there may be something earlier to do.
    Reschedule,
}

impl Core {
    /// Creates an empty registry.
    pub(super) fn new(clock: Clock, session_timeout: Duration) -> Arc<Self> {
        let state = State::new(clock, session_timeout);
        Arc::new(Self {
            state: Mutex::new(state),
            rescheduled: Arc::default(),
            driver: Mutex::default(),
        })
    }

    /// Runs `act` under the lock, and afterwards what it left to be done outside.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut state);
        let deferred = std::mem::take(&mut state.deferred);
        drop(state);
        for deferred in deferred {
            match deferred {
                Deferred::Wake(waker) => waker.wake(),
                Deferred::Run(run) => run(),
                Deferred::Reschedule => self.rescheduled.notify_one(),
            }
        }
        result
    }

    /// As [`with`](Self::with), for faults: sees to it that time acts on them.
    pub(super) fn order<R>(self: &Arc<Self>, act: impl FnOnce(&mut State) -> R) -> R {
        let result = self.with(act);
        self.drive();
        result
    }

    /// Starts the driver if it does not run yet.
    fn drive(self: &Arc<Self>) {
        let mut driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        // Without a runtime there is no time either: then nothing ends by itself.
        if driver.is_empty() && Handle::try_current().is_ok() {
            driver.spawn(driver::run(Arc::downgrade(self), Arc::clone(&self.rescheduled)));
        }
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").finish_non_exhaustive()
    }
}
