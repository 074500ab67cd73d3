//! Permits to run an item. Their number can change while items hold some.
//!
//! Lowering the number takes no permit away: those that are out beyond it are counted as excess, and each that comes
//! back is forgotten until the excess is gone. Raising it first works off the excess. So at no moment do more items
//! begin than the newest size allows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The right to run items, limited. Clones share the limit.
#[derive(Clone, Debug)]
pub(crate) struct Permits(Arc<Gate>);

/// The right to run one item. Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    gate: Arc<Gate>,
    /// There until it is dropped.
    permit: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
struct Gate {
    semaphore: Arc<Semaphore>,
    /// A std mutex: never held across an await.
    size: Mutex<Size>,
}

#[derive(Debug)]
struct Size {
    limit: usize,
    /// So many rights are out beyond the limit, since it was lowered.
    excess: usize,
}

impl Permits {
    /// So many at once; as many as a semaphore can count at the most, which no machine could run.
    pub(super) fn new(limit: usize) -> Self {
        let limit = limit.min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Gate {
            semaphore: Arc::new(Semaphore::new(limit)),
            size: Mutex::new(Size { limit, excess: 0 }),
        }))
    }

    /// Changes the size. Waiting items get the new permits at once. Running items go on; if they are more than the new size, no
    /// item begins until they are not.
    pub(super) fn resize(&self, limit: usize) {
        let limit = limit.min(Semaphore::MAX_PERMITS);
        let Gate { semaphore, .. } = &*self.0;
        let mut size = self.0.size();
        if limit >= size.limit {
            let more = limit - size.limit;
            let owed = size.excess.min(more);
            size.excess -= owed;
            semaphore.add_permits(more - owed);
        } else {
            let fewer = size.limit - limit;
            size.excess += fewer - semaphore.forget_permits(fewer);
        }
        size.limit = limit;
    }

    /// Returns whether both are the same rights.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Waits for the right to run one item, first come first served.
    ///
    /// # Cancel safety
    /// Dropping the future loses its place in the queue, and nothing else.
    pub(in crate::executor) async fn acquire(self) -> Permit {
        let permit = Arc::clone(&self.0.semaphore).acquire_owned().await;
        Permit {
            permit: Some(permit.expect("the semaphore is never closed")),
            gate: self.0,
        }
    }
}

impl Gate {
    fn size(&self) -> MutexGuard<'_, Size> {
        self.size.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut size = self.gate.size();
        let permit = self.permit.take();
        if size.excess > 0 {
            size.excess -= 1;
            permit.into_iter().for_each(OwnedSemaphorePermit::forget);
        }
        // Else it goes back now, before another task reads the size.
    }
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};

    use futures_util::FutureExt;

    use super::*;

    fn taken(permits: &Permits) -> Option<Permit> {
        permits.clone().acquire().now_or_never()
    }

    #[tokio::test]
    async fn a_right_should_be_given_when_another_is_returned() {
        let permits = Permits::new(1);
        let first = taken(&permits).unwrap();
        let mut second = pin!(permits.clone().acquire());
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        drop(first);
        assert!(futures_util::poll!(second.as_mut()).is_ready());
    }

    #[tokio::test]
    async fn admits_waiters_when_the_limit_is_raised() {
        let permits = Permits::new(1);
        let _first = taken(&permits).unwrap();
        let mut waiting: Vec<Pin<Box<_>>> = (0..3).map(|_| Box::pin(permits.clone().acquire())).collect();
        for one in &mut waiting {
            assert!(futures_util::poll!(one.as_mut()).is_pending());
        }
        permits.resize(3);
        // Held until all have been looked at.
        let begun: Vec<Option<Permit>> = waiting.iter_mut().map(|one| one.as_mut().now_or_never()).collect();
        let begun: Vec<bool> = begun.iter().map(Option::is_some).collect();
        assert_eq!(begun, [true, true, false]);
    }

    #[test]
    fn admits_no_item_until_below_a_lowered_limit() {
        let permits = Permits::new(4);
        let mut running: Vec<Permit> = (0..3).map(|_| taken(&permits).unwrap()).collect();
        permits.resize(1);
        for _ in 0..3 {
            assert!(taken(&permits).is_none());
            running.pop();
        }
        let only = taken(&permits).unwrap();
        assert!(taken(&permits).is_none());
        drop(only);
        assert!(taken(&permits).is_some());
    }

    #[test]
    fn restores_a_limit_that_went_down_and_up() {
        let permits = Permits::new(4);
        let running: Vec<Permit> = (0..4).map(|_| taken(&permits).unwrap()).collect();
        permits.resize(1);
        permits.resize(3);
        permits.resize(usize::MAX);
        permits.resize(5);
        let fifth = taken(&permits);
        assert!(fifth.is_some() && taken(&permits).is_none());
        drop((running, fifth));
        let all: Vec<Permit> = std::iter::from_fn(|| taken(&permits)).take(9).collect();
        assert_eq!(all.len(), 5);
    }
}
