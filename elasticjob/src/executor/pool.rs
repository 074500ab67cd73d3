use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::catalogue::Catalogue;

/// The name of the pool of a job that names none.
pub const DEFAULT_POOL: &str = "CPU";

/// How many items of one job an instance runs at once. Each job has its own; what is beyond waits in order.
///
/// ```
/// use std::sync::Arc;
/// use elasticjob::executor::{Pool, Pools};
///
/// let mut pools = Pools::built_in();
/// assert_eq!(pools.get("SINGLE_THREAD")?.limit().get(), 1);
/// # let eight = std::num::NonZeroUsize::new(8).unwrap();
/// pools.register("EIGHT", Arc::new(Pool::of(eight)))?;
/// assert_eq!(pools.get("EIGHT")?.limit(), eight);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    limit: NonZeroUsize,
}

impl Pool {
    /// A pool of so many items at once.
    #[must_use]
    pub fn of(limit: NonZeroUsize) -> Self {
        Self { limit }
    }

    /// How many items run at once.
    #[must_use]
    pub fn limit(&self) -> NonZeroUsize {
        self.limit
    }

    /// Opens the pool for one job.
    pub(crate) fn open(&self) -> Permits {
        // The limit of the semaphore is beyond what any machine could run.
        Permits(Arc::new(Semaphore::new(self.limit.get().min(Semaphore::MAX_PERMITS))))
    }
}

/// The pools there are, by name.
pub type Pools = Catalogue<Pool>;

impl Pools {
    /// `CPU`, of two items for each core that this process may use, and `SINGLE_THREAD`, of one.
    #[must_use]
    pub fn built_in() -> Self {
        let cores = available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let mut pools = Self::new("executor pool");
        let entries = [
            (DEFAULT_POOL, cores.saturating_mul(TWO)),
            ("SINGLE_THREAD", NonZeroUsize::MIN),
        ];
        for (name, limit) in entries {
            pools
                .register(name, Arc::new(Pool::of(limit)))
                .expect("the built-in names differ");
        }
        pools
    }
}

const TWO: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);

/// One job's right to run items, limited. Clones share the limit.
#[derive(Clone, Debug)]
pub(crate) struct Permits(Arc<Semaphore>);

impl Permits {
    /// Waits for the right to run one item, first come first served.
    ///
    /// # Cancel safety
    /// Dropping the future loses its place in the queue, and nothing else.
    pub(super) async fn acquire(self) -> OwnedSemaphorePermit {
        self.0.acquire_owned().await.expect("nobody closes the semaphore")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_should_be_two_items_a_core() {
        let cores = available_parallelism().unwrap().get();
        assert_eq!(Pools::built_in().get(DEFAULT_POOL).unwrap().limit().get(), 2 * cores);
    }

    #[test]
    fn a_pool_that_does_not_exist_should_be_refused_with_those_that_do() {
        let error = Pools::built_in().get("GPU").unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown executor pool `GPU`: expected one of CPU, SINGLE_THREAD"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_should_be_given_when_another_is_returned() {
        let permits = Pool::of(NonZeroUsize::MIN).open();
        let first = permits.clone().acquire().await;
        let mut second = std::pin::pin!(permits.clone().acquire());
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        drop(first);
        assert!(futures_util::poll!(second.as_mut()).is_ready());
    }
}
