//! Events on their way to the receiver of a watch.
//!
//! A receiver that is slow costs a bounded amount of memory: when its queue is full, all events are replaced by one
//! `Resync`, after which it reads everything again.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::WatchEvent;

/// Events that a watch holds for a receiver who does not come: beyond it they are given up for a `Resync`,
/// which bounds memory and loses nothing that the receiver could not read again.
const CAPACITY: usize = 64 * 1024;

/// A queue that is empty keeps room for no more than so many events.
const KEPT: usize = 8;

/// Events on their way from the registry to one watch.
#[derive(Debug, Default)]
pub(super) struct Queue {
    // std mutex: held for a push or a pop only.
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    events: VecDeque<WatchEvent>,
    is_closed: bool,
    waker: Option<Waker>,
}

impl Queue {
    /// Adds an event. The waker, if any, is to be woken once no lock is held.
    #[must_use]
    pub(super) fn push(&self, event: WatchEvent) -> Option<Waker> {
        let mut inner = self.lock();
        if inner.is_closed {
            return None;
        }
        match event {
            WatchEvent::Closed => inner.is_closed = true,
            WatchEvent::Resync => {
                inner.events.clear();
                inner.events.push_back(WatchEvent::Resync);
            }
            event if inner.events.len() < CAPACITY => inner.events.push_back(event),
            _ => {
                inner.events.clear();
                inner.events.push_back(WatchEvent::Resync);
            }
        }
        inner.waker.take()
    }

    /// Takes the next event, or leaves the waker.
    pub(super) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<WatchEvent> {
        let mut inner = self.lock();
        if let Some(event) = inner.events.pop_front() {
            return Poll::Ready(event);
        }
        // What came with the start is not needed again; ten thousand watches would keep its room.
        if inner.events.capacity() > KEPT {
            inner.events = VecDeque::new();
        }
        if inner.is_closed {
            return Poll::Ready(WatchEvent::Closed);
        }
        inner.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_should_turn_into_a_resync() {
        let queue = Queue::default();
        for _ in 0..=CAPACITY {
            assert!(queue.push(WatchEvent::Changed("/a".into())).is_none());
        }
        assert!(queue.push(WatchEvent::Deleted("/a".into())).is_none());

        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(queue.poll_pop(&mut cx), Poll::Ready(WatchEvent::Resync));
        assert_eq!(queue.poll_pop(&mut cx), Poll::Ready(WatchEvent::Deleted("/a".into())));
        assert_eq!(queue.poll_pop(&mut cx), Poll::Pending);
    }
}
