//! Watches that outlive a connection.
//!
//! A watcher of the client crate gets no node events once its connection is gone. The session's task sets
//! each watch again on the next connection and hands the new watcher over through a [`Slot`]; the watch takes
//! it before anything else, so that its `Resync` comes before the first answer of the new connection.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use zookeeper_client as zk;

use crate::registry::{Error, Watch, WatchEvent};

/// The watches of a session, by path.
#[derive(Clone, Debug, Default)]
pub(super) struct Watches {
    // std mutex: never held across an await, nor while foreign code runs.
    slots: Arc<Mutex<BTreeMap<String, Arc<Slot>>>>,
}

/// A path's place among the watches of a session. Dropping it ends the watch.
#[derive(Debug)]
pub(super) struct Registration {
    path: String,
    slot: Arc<Slot>,
    watches: Watches,
}

/// Where the session's task leaves word for a watch.
#[derive(Debug, Default)]
pub(super) struct Slot {
    // std mutex: never held across an await, nor while foreign code runs.
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// The watcher on the newest connection, until the watch takes it.
    replacement: Option<zk::PersistentWatcher>,
    is_closed: bool,
    waker: Option<Waker>,
}

impl Watches {
    /// Takes the path's place.
    pub(super) fn register(&self, path: &str) -> Result<Registration, Error> {
        let mut slots = self.lock();
        if slots.contains_key(path) {
            return Err(Error::InvalidArgument(format!(
                "path `{path}` is watched by this session already"
            )));
        }
        let slot = Arc::<Slot>::default();
        slots.insert(path.to_owned(), Arc::clone(&slot));
        Ok(Registration {
            path: path.to_owned(),
            slot,
            watches: self.clone(),
        })
    }

    /// The watches that have to be set again on a new connection.
    pub(super) fn all(&self) -> Vec<(String, Arc<Slot>)> {
        self.lock()
            .iter()
            .map(|(path, slot)| (path.clone(), Arc::clone(slot)))
            .collect()
    }

    /// Signals to all watchers that the session is over.
    pub(super) fn close(&self) {
        for (_, slot) in self.all() {
            slot.close();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.watches.lock().remove(&self.path);
    }
}

impl Slot {
    /// Hands over the watcher on a new connection, and wakes the watch.
    pub(super) fn replace(&self, watcher: zk::PersistentWatcher) {
        let mut inner = self.lock();
        let older = inner.replacement.replace(watcher);
        let waker = inner.waker.take();
        drop(inner);
        drop(older);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Leaves word that the session is over, and wakes the watch.
    fn close(&self) {
        let mut inner = self.lock();
        inner.is_closed = true;
        let waker = inner.waker.take();
        drop(inner);
        waker.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A watch of a [`ZooKeeperSession`](super::session::ZooKeeperSession).
#[derive(Debug)]
pub(super) struct ZooKeeperWatch {
    /// `None` once the session is over, since the client panics when it is asked again after that.
    watcher: Option<zk::PersistentWatcher>,
    registration: Registration,
}

impl ZooKeeperWatch {
    pub(super) fn new(watcher: zk::PersistentWatcher, registration: Registration) -> Self {
        Self {
            watcher: Some(watcher),
            registration,
        }
    }

    /// Checks for a message of the session's task, and registers to be woken by it.
    fn poll_slot(&mut self, cx: &mut Context<'_>) -> Option<WatchEvent> {
        let mut inner = self.registration.slot.lock();
        inner.waker = Some(cx.waker().clone());
        let replacement = inner.replacement.take();
        let is_closed = inner.is_closed;
        drop(inner);
        if is_closed {
            self.watcher = None;
            return Some(WatchEvent::Closed);
        }
        self.watcher = Some(replacement?);
        Some(WatchEvent::Resync)
    }
}

impl Watch for ZooKeeperWatch {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<WatchEvent> {
        loop {
            if let Some(event) = self.poll_slot(cx) {
                return Poll::Ready(event);
            }
            let Some(watcher) = &mut self.watcher else {
                return Poll::Ready(WatchEvent::Closed);
            };
            // Nothing is lost by dropping this future: an event is taken when it is ready, not before.
            let Poll::Ready(event) = pin!(watcher.changed()).poll(cx) else {
                return Poll::Pending;
            };
            match event.event_type {
                zk::EventType::NodeCreated => return Poll::Ready(WatchEvent::Created(event.path)),
                zk::EventType::NodeDataChanged => return Poll::Ready(WatchEvent::Changed(event.path)),
                zk::EventType::NodeDeleted => return Poll::Ready(WatchEvent::Deleted(event.path)),
                // Recursive watches have none of these: each child's own event says it all.
                zk::EventType::NodeChildrenChanged => {}
                zk::EventType::Session if event.session_state.is_terminated() => self.watcher = None,
                // A new connection is the session's task's business, see `poll_slot`.
                zk::EventType::Session => {}
            }
        }
    }
}
