//! Telling people of failures, without the jobs waiting for it.
//!
//! A [`Notifier`] delivers one [`Notice`]: a mail, a message to a chat. Everything around that is done for it: each
//! failure is in the log as with `LOG`, and goes into a bounded queue; a flood is damped; a delivery that takes too long
//! is given up, one that failed for a passing reason is tried again; what cannot be delivered is an error in the log
//! and nothing more. A job never waits for its notifier, and never fails by it.
//!
//! Of failures of one job with the same cause the first is sent at once, and the following in one summary for each
//! `notify.interval` (a minute; `0`: every failure is sent). Causes are the same when their texts are, words with digits
//! in them (ids, counters, times) left out.

mod damper;
mod erased;
mod notice;
mod outbox;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub use self::notice::Notice;
use self::notice::Occurrence;
use self::outbox::{Outbox, Sender};
use super::{Failure, JobErrorHandler, Log, Reaction};
use crate::guard::Cause;
use crate::job::BoxError;
use crate::schedule::Clock;
use crate::tasks::Tasks;

/// Sends notifications of failures to people in one way.
///
/// ```
/// use elasticjob::error_handler::{Notice, Notifier, Undelivered};
///
/// /// Rings a bell, as long as it hangs.
/// struct Bell { hangs: bool }
///
/// impl Notifier for Bell {
///     async fn notify(&self, notice: &Notice) -> Result<(), Undelivered> {
///         if !self.hangs {
///             return Err("the bell fell down".into());
///         }
///         println!("ding: {}", notice.text());
///         Ok(())
///     }
/// }
///
/// # use elasticjob::error_handler::Failure;
/// # let cause = std::io::Error::other("disk full");
/// # let notice = Notice::for_test(&Failure::new("sync_orders", &cause));
/// let ring = |hangs| futures_util::FutureExt::now_or_never(Bell { hangs }.notify(&notice)).unwrap();
/// assert!(ring(true).is_ok());
/// assert!(!ring(false).unwrap_err().is_transient());
/// ```
pub trait Notifier: Send + Sync + 'static {
    /// Delivers a notice. It is called for one notice after the other, and dropped when it takes longer than 30 s.
    ///
    /// # Errors
    /// Why the notice was not delivered. After a [transient](Undelivered::transient) reason it is called again.
    ///
    /// # Cancel safety
    /// The future is dropped after 30 s, and the notice then counts as not delivered: it is not sent again, because it
    /// may have arrived.
    fn notify(&self, notice: &Notice) -> impl Future<Output = Result<(), Undelivered>> + Send;
}

/// Why a notice was not delivered. Any error becomes one with `?` or `into`, and is final then.
///
/// It goes into the log with all that led to it, so no secret may stand in it.
#[derive(Debug)]
pub struct Undelivered {
    cause: Cause,
    is_transient: bool,
}

impl Undelivered {
    /// A reason that may pass, such as a server that is not reached or too busy.
    pub fn transient(cause: impl Into<BoxError>) -> Self {
        Self {
            cause: Cause::from(cause),
            is_transient: true,
        }
    }

    /// Returns whether another attempt may succeed.
    /// The framework tries up to twice more, after 1 s and after 5 s.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.is_transient
    }

    /// What went wrong.
    #[must_use]
    pub fn cause(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        self.cause.error()
    }
}

impl<E: Into<BoxError>> From<E> for Undelivered {
    fn from(cause: E) -> Self {
        Self {
            cause: Cause::from(cause),
            is_transient: false,
        }
    }
}

/// What every notifying handler of a process uses.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) tasks: Tasks,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) host: Arc<str>,
}

#[cfg(test)]
impl Post {
    pub(crate) fn for_test() -> Self {
        Self {
            tasks: Tasks::new(),
            clock: Arc::new(crate::schedule::SystemClock::new()),
            host: "host".into(),
        }
    }
}

/// The error handler that a notifier becomes for one job.
pub(super) struct Notifying {
    outbox: Outbox,
    clock: Arc<dyn Clock>,
}

impl Notifying {
    /// `way` is the handler's name. Without an interval every failure is sent.
    pub(super) fn new(
        way: &str,
        job_name: &str,
        notifier: impl Notifier,
        interval: Option<Duration>,
        post: &Post,
    ) -> Self {
        let sender = Sender {
            way: way.into(),
            job_name: job_name.into(),
            host: Arc::clone(&post.host),
            interval,
        };
        Self {
            outbox: Outbox::new(sender, Box::new(notifier), post.tasks.clone()),
            clock: Arc::clone(&post.clock),
        }
    }
}

impl JobErrorHandler for Notifying {
    fn handle(&self, failure: &Failure<'_>) -> Reaction {
        // First to the log: the failure is there, even if the notification is lost.
        let reaction = Log.handle(failure);
        self.outbox.put(Occurrence::of(failure, self.clock.now()));
        reaction
    }
}

impl fmt::Debug for Notifying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Notifying").field(&self.outbox).finish()
    }
}
