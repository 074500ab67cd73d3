//! Pools: how many items of a job run at once on an instance.
//!
//! Java has thread pools here, and the names are theirs. Items of ours are futures, so a pool is a number of permits;
//! blocking work counts against it too. An item that waits for a permit is claimed, which is why a pool that is too
//! small delays items and loses none.

mod permits;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;

use crate::catalogue::{Catalogue, Declared, UnknownName};
use crate::guard::{self, Panicked};

pub(crate) use permits::{Permit, Permits};

/// The name of the pool of a job that names none.
pub const DEFAULT_POOL: &str = "CPU";

const FIXED: &str = "FIXED(n)";

/// How many items an instance runs at once; what is beyond waits in order.
///
/// Configuration chooses one for each job, by name: `CPU` (the default) is two items for each core that this process may
/// use, `SINGLE_THREAD` is one, `FIXED(8)` is eight, `UNBOUNDED` is all that there are. The choice may change while the
/// job runs: items that wait have a part of what is new, and those that run go on.
///
/// ```
/// use std::num::NonZeroUsize;
/// use elasticjob::ElasticJob;
/// use elasticjob::executor::Pool;
/// use elasticjob::job::job;
///
/// // Two jobs, and a database that bears four connections of both together.
/// let four = NonZeroUsize::new(4).ok_or("none")?;
/// let of = |name| job(name, async || {}).sharding(100).set("job-executor-service-handler-type", "DATABASE");
/// let builder = ElasticJob::builder()
///     .without_discovery()
///     .pool("DATABASE", Pool::shared(four))
///     .job(of("sync_orders"))
///     .job(of("sync_bills"));
/// assert!(builder.build().is_ok());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pool {
    limit: Option<NonZeroUsize>,
    /// Of all jobs that have this pool; else each opens its own.
    shared: Option<Permits>,
}

impl Pool {
    /// So many items of each job at once.
    /// Each job that names it has a pool of its own of this size.
    #[must_use]
    pub fn of(limit: NonZeroUsize) -> Self {
        Self {
            limit: Some(limit),
            shared: None,
        }
    }

    /// All items at once.
    /// The number of items that the instance owns is then the only bound.
    #[must_use]
    pub fn unbounded() -> Self {
        Self {
            limit: None,
            shared: None,
        }
    }

    /// So many items at once of all jobs together that have this pool or a clone of it.
    /// Use it for what several jobs share, such as the connections of a database.
    #[must_use]
    pub fn shared(limit: NonZeroUsize) -> Self {
        Self {
            limit: Some(limit),
            shared: Some(Permits::new(limit.get())),
        }
    }

    /// How many items run at once; `None` for no limit.
    #[must_use]
    pub fn limit(&self) -> Option<NonZeroUsize> {
        self.limit
    }

    /// Opens the pool for one job.
    pub(crate) fn open(&self) -> OpenPool {
        match &self.shared {
            Some(permits) => OpenPool {
                permits: permits.clone(),
                is_shared: true,
            },
            None => OpenPool {
                permits: Permits::new(self.size()),
                is_shared: false,
            },
        }
    }

    fn size(&self) -> usize {
        self.limit.map_or(usize::MAX, NonZeroUsize::get)
    }
}

/// The pool of one job.
#[derive(Clone, Debug)]
pub(crate) struct OpenPool {
    permits: Permits,
    is_shared: bool,
}

impl OpenPool {
    /// Returns the rights that items of this pool wait for.
    pub(crate) fn permits(&self) -> Permits {
        self.permits.clone()
    }

    /// Returns the pool of the same job from now on, with the items that are in this one if possible.
    pub(crate) fn changed_to(&self, pool: &Pool) -> Self {
        match &pool.shared {
            None if !self.is_shared => {
                self.permits.resize(pool.size());
                self.clone()
            }
            Some(shared) if shared.is_same_as(&self.permits) => self.clone(),
            _ => pool.open(),
        }
    }
}

/// Creates a [`Pool`] for each job that names it.
///
/// A [`Pool`] is one, the same for all jobs. Another may look at the job, or at what the machine can bear.
///
/// ```
/// use std::num::NonZeroUsize;
/// use elasticjob::executor::{ExecutorServiceHandler, Pool};
///
/// /// Reports are heavy: one at a time, beside all other jobs.
/// struct Careful;
///
/// impl ExecutorServiceHandler for Careful {
///     fn pool(&self, job_name: &str) -> Pool {
///         match job_name.ends_with("_report") {
///             true => Pool::of(NonZeroUsize::MIN),
///             false => Pool::unbounded(),
///         }
///     }
/// }
///
/// let builder = elasticjob::ElasticJob::builder().pool("CAREFUL", Careful);
/// assert_eq!(Careful.pool("sync").limit(), None);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` gives jobs no pool",
    label = "no `ExecutorServiceHandler`",
    note = "`#[executor_service_handler(..)]` stands on `impl ExecutorServiceHandler for ..`"
)]
pub trait ExecutorServiceHandler: Send + Sync + 'static {
    /// The pool of this job. Asked when the job starts, and again whenever its configuration has changed; it must not
    /// block.
    ///
    /// If it panics, the job does not run by that configuration, and says so.
    fn pool(&self, job_name: &str) -> Pool;
}

impl ExecutorServiceHandler for Pool {
    fn pool(&self, _: &str) -> Pool {
        self.clone()
    }
}

/// The pools there are, by name.
pub type Pools = Catalogue<dyn ExecutorServiceHandler>;

inventory::collect!(&'static Declared<dyn ExecutorServiceHandler>);

impl Pools {
    /// `CPU`, `SINGLE_THREAD` and `UNBOUNDED`. `FIXED(n)` needs no entry.
    #[must_use]
    pub fn built_in() -> Self {
        let cores = available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let mut pools = Self::new("executor pool");
        let entries = [
            (DEFAULT_POOL, Pool::of(cores.saturating_mul(TWO))),
            ("SINGLE_THREAD", Pool::of(NonZeroUsize::MIN)),
            ("UNBOUNDED", Pool::unbounded()),
        ];
        for (name, pool) in entries {
            pools.register(name, Arc::new(pool)).expect("the built-in names differ");
        }
        pools
    }

    /// The declared ones that are linked into the program.
    pub(crate) fn discovered() -> impl Iterator<Item = &'static Declared<dyn ExecutorServiceHandler>> {
        inventory::iter::<&'static Declared<dyn ExecutorServiceHandler>>
            .into_iter()
            .copied()
    }

    /// The pool that a job names.
    ///
    /// # Errors
    /// [`NoPool`] if there is none of that name, or the handler that creates it panics.
    pub(crate) fn pool(&self, name: &str, job_name: &str) -> Result<Pool, NoPool> {
        if let Some(limit) = name.strip_prefix("FIXED(").and_then(|rest| rest.strip_suffix(')')) {
            let limit = limit.trim().parse();
            return limit.map(Pool::of).map_err(|_| NoPool::Fixed { name: name.to_owned() });
        }
        let Ok(handler) = self.get(name) else {
            let mut names: Vec<&str> = self.names().chain([FIXED]).collect();
            names.sort_unstable();
            return Err(UnknownName::new(self.kind(), name, names).into());
        };
        guard::call(|| handler.pool(job_name)).map_err(|panicked| NoPool::Panicked {
            name: name.to_owned(),
            panicked,
        })
    }
}

const TWO: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);

/// Why a job has no pool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoPool {
    #[error(transparent)]
    Unknown(#[from] UnknownName),
    /// The number is none.
    #[error("executor pool `{name}`: expected a number of 1 or more, as in `FIXED(8)`")]
    Fixed { name: String },
    /// The handler that creates it panicked.
    #[error("executor pool `{name}`: its handler {panicked}")]
    Panicked { name: String, panicked: Panicked },
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn limit(name: &str) -> Option<usize> {
        let pool = Pools::built_in().pool(name, "job").unwrap();
        pool.limit().map(NonZeroUsize::get)
    }

    fn refusal(pools: &Pools, name: &str) -> String {
        pools.pool(name, "job").unwrap_err().to_string()
    }

    /// How many items can begin now.
    fn room(pool: &OpenPool) -> usize {
        let begin = || pool.permits().acquire().now_or_never();
        let begun: Vec<Permit> = std::iter::from_fn(begin).take(100).collect();
        begun.len()
    }

    fn pool_of(limit: usize) -> Pool {
        Pool::of(limit.try_into().unwrap())
    }

    #[test]
    fn finds_the_built_in_pools_by_name() {
        let cores = available_parallelism().unwrap().get();
        assert_eq!(limit(DEFAULT_POOL), Some(2 * cores));
        assert_eq!(limit("SINGLE_THREAD"), Some(1));
        assert_eq!(limit("FIXED(8)"), Some(8));
        assert_eq!(limit("FIXED( 8 )"), Some(8));
        assert_eq!(limit("UNBOUNDED"), None);
    }

    #[test]
    fn refuses_a_missing_pool_with_the_known_ones() {
        let pools = Pools::built_in();
        for name in ["GPU", "FIXED", "FIXED(8", "fixed(8)"] {
            assert_eq!(
                refusal(&pools, name),
                format!("unknown executor pool `{name}`: expected one of CPU, FIXED(n), SINGLE_THREAD, UNBOUNDED")
            );
        }
        for name in [
            "FIXED()",
            "FIXED(0)",
            "FIXED(-1)",
            "FIXED(n)",
            "FIXED(99999999999999999999)",
        ] {
            assert_eq!(
                refusal(&pools, name),
                format!("executor pool `{name}`: expected a number of 1 or more, as in `FIXED(8)`")
            );
        }
    }

    #[test]
    fn a_handler_that_panics_should_be_refused() {
        struct Panics;

        impl ExecutorServiceHandler for Panics {
            fn pool(&self, job_name: &str) -> Pool {
                panic!("no idea of {job_name}")
            }
        }

        let mut pools = Pools::built_in();
        pools.register("PANICS", Arc::new(Panics)).unwrap();
        assert_eq!(
            refusal(&pools, "PANICS"),
            "executor pool `PANICS`: its handler panicked: no idea of job"
        );
    }

    #[test]
    fn shares_a_pool_only_if_it_says_so() {
        let (own, shared) = (pool_of(2), Pool::shared(TWO));
        let first = own.open();
        let _taken = first.permits().acquire().now_or_never().unwrap();
        assert_eq!((room(&first), room(&own.clone().open())), (1, 2));
        let first = shared.open();
        let _taken = first.permits().acquire().now_or_never().unwrap();
        assert_eq!((room(&first), room(&shared.clone().open())), (1, 1));
    }

    #[test]
    fn keeps_running_items_when_a_job_changes_its_pool() {
        let pool = pool_of(2).open();
        let taken = pool.permits().acquire().now_or_never().unwrap();
        let larger = pool.changed_to(&pool_of(5));
        assert_eq!((room(&pool), room(&larger)), (4, 4));
        let unbounded = larger.changed_to(&Pool::unbounded());
        assert_eq!(room(&unbounded), 100);
        let smaller = unbounded.changed_to(&pool_of(1));
        assert_eq!((room(&smaller), room(&pool)), (0, 0));
        drop(taken);
        assert_eq!(room(&smaller), 1);

        // The items of other jobs do not come along.
        let shared = Pool::shared(TWO);
        let common = smaller.changed_to(&shared);
        let _taken = common.permits().acquire().now_or_never().unwrap();
        assert_eq!(room(&common.changed_to(&shared)), 1);
        assert_eq!(room(&common.changed_to(&pool_of(2))), 2);
        assert_eq!(room(&shared.open()), 1);
    }
}
