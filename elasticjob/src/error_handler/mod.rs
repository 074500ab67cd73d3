//! What happens when an item fails.
//!
//! The executor hands each failure to the job's [`JobErrorHandler`]. `LOG` (the default) writes it to the log,
//! `IGNORE` does nothing, `THROW` aborts the firing. [`ErrorHandlers`] finds them by name; add your own there.
//!
//! A handler decides about the firing that failed and about nothing else: the failure is recorded whatever it
//! answers, and the next firing comes as scheduled.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tracing::error;

use crate::catalogue::Catalogue;
use crate::tasks::panic_message;

mod chain;
mod ignore;
mod log;
mod throw;

pub(crate) use chain::Chain;
pub use ignore::Ignore;
pub use log::Log;
pub use throw::Throw;

/// The name of the handler of a job that names none.
pub const DEFAULT_HANDLER: &str = Log::NAME;

/// Handles the failures of jobs.
///
/// Called once for each item that failed, from several threads and for all jobs that name it. It must not
/// block: what takes time, such as sending mail, goes to a task or a thread of its own.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use elasticjob::error_handler::{Failure, JobErrorHandler, Reaction};
///
/// /// Aborts the firing at the third failure.
/// #[derive(Default)]
/// struct ThreeStrikes(AtomicUsize);
///
/// impl JobErrorHandler for ThreeStrikes {
///     fn handle(&self, _failure: &Failure<'_>) -> Reaction {
///         match self.0.fetch_add(1, Ordering::Relaxed) {
///             0 | 1 => Reaction::Continue,
///             _ => Reaction::Abort,
///         }
///     }
/// }
///
/// let cause = std::io::Error::other("disk full");
/// let (handler, failure) = (ThreeStrikes::default(), Failure::new("sync_orders", &cause));
/// assert_eq!([(); 3].map(|()| handler.handle(&failure)).map(|r| r == Reaction::Abort), [false, false, true]);
/// ```
pub trait JobErrorHandler: Send + Sync + 'static {
    /// Handles one failure, and says how the firing goes on.
    fn handle(&self, failure: &Failure<'_>) -> Reaction;
}

/// How a firing goes on after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reaction {
    /// The other items of the firing run as if nothing had happened.
    Continue,
    /// Items of the firing that have not begun are not run, and the firing counts as failed.
    Abort,
}

/// An item that failed, or a firing that did before it came to its items.
#[derive(Clone, Copy, Debug)]
pub struct Failure<'a> {
    job_name: &'a str,
    item: Option<u32>,
    cause: &'a (dyn Error + Send + Sync + 'static),
}

impl<'a> Failure<'a> {
    /// A failure of a job that belongs to none of its items.
    #[must_use]
    pub fn new(job_name: &'a str, cause: &'a (dyn Error + Send + Sync + 'static)) -> Self {
        Self {
            job_name,
            item: None,
            cause,
        }
    }

    /// The same failure, of that sharding item.
    #[must_use]
    pub fn with_item(mut self, item: u32) -> Self {
        self.item = Some(item);
        self
    }

    /// The name of the job.
    #[must_use]
    pub fn job_name(&self) -> &'a str {
        self.job_name
    }

    /// The sharding item that failed; `None` when the failure belongs to no single item.
    #[must_use]
    pub fn item(&self) -> Option<u32> {
        self.item
    }

    /// What the job returned, or a panic as an error. Its sources say what led to it.
    #[must_use]
    pub fn cause(&self) -> &'a (dyn Error + Send + Sync + 'static) {
        self.cause
    }
}

/// The error handlers there are, by name.
pub type ErrorHandlers = Catalogue<dyn JobErrorHandler>;

impl ErrorHandlers {
    /// `LOG`, `THROW` and `IGNORE`.
    #[must_use]
    pub fn built_in() -> Self {
        let mut handlers = Self::new("error handler");
        let entries: [(&str, Arc<dyn JobErrorHandler>); 3] = [
            (Log::NAME, Arc::new(Log)),
            (Throw::NAME, Arc::new(Throw)),
            (Ignore::NAME, Arc::new(Ignore)),
        ];
        for (name, handler) in entries {
            handlers.register(name, handler).expect("the built-in names differ");
        }
        handlers
    }
}

/// Lets a handler, which may be anybody's code, handle a failure. Its panic is logged, and the firing goes on.
pub(crate) fn handle(handler: &dyn JobErrorHandler, failure: &Failure<'_>) -> Reaction {
    catch_unwind(AssertUnwindSafe(|| handler.handle(failure))).unwrap_or_else(|panic| {
        let (job, item, cause) = (failure.job_name, failure.item, Chain(failure.cause));
        error!(job, item, %cause, panic = %panic_message(&*panic), "error handler panicked");
        Reaction::Continue
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn react(handler: &dyn JobErrorHandler) -> Reaction {
        handle(
            handler,
            &Failure::new("job", &std::io::Error::other("disk full")).with_item(2),
        )
    }

    #[test]
    fn only_throw_should_abort_the_firing() {
        let handlers = ErrorHandlers::built_in();
        let reaction = |name| react(&*handlers.get(name).unwrap());
        assert_eq!(reaction("LOG"), Reaction::Continue);
        assert_eq!(reaction("IGNORE"), Reaction::Continue);
        assert_eq!(reaction("THROW"), Reaction::Abort);
    }

    #[test]
    fn a_handler_that_does_not_exist_should_be_refused_with_those_that_do() {
        let error = ErrorHandlers::built_in().get("EMAIL").err().unwrap();
        assert_eq!(
            error.to_string(),
            "unknown error handler `EMAIL`: expected one of IGNORE, LOG, THROW"
        );
    }

    #[test]
    fn a_handler_that_panics_should_not_stop_the_firing() {
        struct Broken;
        impl JobErrorHandler for Broken {
            fn handle(&self, _failure: &Failure<'_>) -> Reaction {
                panic!("no network")
            }
        }
        assert_eq!(react(&Broken), Reaction::Continue);
    }
}
