//! What happens when an item fails.
//!
//! The executor hands each failure to the job's [`JobErrorHandler`]. `LOG` (the default) writes it to the log,
//! `IGNORE` does nothing, `THROW` logs it and gives the firing up. The others log it, too, and tell people, each with the
//! feature of its name: `EMAIL`, `DINGTALK`, `FEISHU`, `SLACK`, `WECHAT`, and `WEBHOOK`, which sends JSON of any shape.
//!
//! [`ErrorHandlers`] finds them by name. Add your own with [`Builder`](crate::starter::Builder), or declare them with
//! [`#[job_error_handler(..)]`](crate::job_error_handler): a [`JobErrorHandler`]; a [`Notifier`], if it is to tell people;
//! an [`ErrorHandlerFactory`], if each job has settings of its own for it.
//!
//! ```
//! # #[cfg(feature = "dingtalk")] {
//! use elasticjob::prelude::*;
//!
//! let settle = job("settle", async || Err::<(), _>("no money")).sharding(1);
//! // As in application.yaml:
//! let builder = ElasticJob::builder()
//!     .without_discovery()
//!     .job(settle)
//!     .set("jobs.settle.job-error-handler-type", "DINGTALK")
//!     .set("jobs.settle.props.dingtalk.webhook", "https://oapi.dingtalk.com/robot/send?access_token=..")
//!     .set("jobs.settle.props.dingtalk.secrt", "SEC..")
//!     .set("jobs.settle.props.notify.interval", "5m");
//! let fault = builder.build().err().unwrap().to_string();
//! assert!(fault.contains("did you mean `dingtalk.secret`?"), "{fault}");
//! # }
//! ```
//!
//! # Settings
//! They are props of the job, and checked at start. Those without a default are required, unless they are in parentheses.
//!
//! | handler | props (default) |
//! |---|---|
//! | `EMAIL` | `email.host`, `email.port`, `email.from`, `email.to`, (`email.cc`), (`email.bcc`), each of these three one address or several with commas between; `email.username`, `email.password`, neither with `email.auth` (true) set to false; `email.subject` (`ElasticJob error message`); `email.useSsl` (true): TLS from the start; `email.startTls` (false): TLS after a greeting, with `email.useSsl` set to false; (`email.ssl.caFile`): a file with the certificates of a private authority; (`email.ssl.trust`): servers that are trusted without a certificate, `*` for any; `email.timeoutMilliseconds` (10000); `email.debug` (false): the server's answers go into the log |
//! | `WECHAT` | `wechat.webhook`, `wechat.connectTimeoutMilliseconds` (3000), `wechat.readTimeoutMilliseconds` (5000) |
//! | `DINGTALK` | `dingtalk.webhook`, (`dingtalk.keyword`), (`dingtalk.secret`), `dingtalk.connectTimeoutMilliseconds` (3000), `dingtalk.readTimeoutMilliseconds` (5000) |
//! | `FEISHU` | `feishu.webhook`, (`feishu.keyword`), (`feishu.secret`), `feishu.connectTimeoutMilliseconds` (3000), `feishu.readTimeoutMilliseconds` (5000) |
//! | `SLACK` | `slack.webhook`, `slack.connectTimeoutMilliseconds` (3000), `slack.readTimeoutMilliseconds` (5000) |
//! | `WEBHOOK` | `webhook.url`, `webhook.method` (`POST`, or `PUT`), (`webhook.authorization`): that header, `webhook.template`: JSON with `{{job}}`, `{{item}}`, `{{sharding-total-count}}`, `{{count}}`, `{{cause}}`, `{{causes}}`, `{{time}}`, `{{scheduled-time}}`, `{{attempt}}`, `{{run-id}}`, `{{instance-id}}`, `{{host}}`, `{{text}}` in its texts (an object of them all), `webhook.connectTimeoutMilliseconds` (3000), `webhook.readTimeoutMilliseconds` (5000) |
//! | all of these | `notify.interval` (`1m`; 0: none): of failures of one job with the same cause the first is sent at once, the others in one summary for each interval |
//!
//! All of them, with the least that each needs:
//!
//! ```
//! # #[cfg(feature = "full")] {
//! use elasticjob::prelude::*;
//!
//! let failing = |handler: &str| {
//!     let job = job(handler.to_lowercase(), async || Err::<(), _>("no money"));
//!     job.sharding(1).set("job-error-handler-type", handler)
//! };
//! let mut builder = ElasticJob::builder().without_discovery().environment([]);
//! for job in [
//!     failing("LOG"),
//!     failing("IGNORE"),
//!     failing("THROW"),
//!     failing("EMAIL")
//!         .set("props.email.host", "mail.example.org")
//!         .set("props.email.port", 465)
//!         .set("props.email.username", "jobs")
//!         .set("props.email.password", "..")
//!         .set("props.email.from", "Jobs <jobs@example.org>")
//!         .set("props.email.to", "night@example.org, day@example.org"),
//!     failing("WECHAT").set("props.wechat.webhook", "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=.."),
//!     failing("DINGTALK").set("props.dingtalk.webhook", "https://oapi.dingtalk.com/robot/send?access_token=.."),
//!     failing("FEISHU").set("props.feishu.webhook", "https://open.feishu.cn/open-apis/bot/v2/hook/.."),
//!     failing("SLACK").set("props.slack.webhook", "https://hooks.slack.com/services/.."),
//!     failing("WEBHOOK")
//!         .set("props.webhook.url", "https://events.example.org/v2/enqueue")
//!         .set("props.webhook.template", r#"{"summary": "{{job}}: {{cause}}", "item": "{{item}}"}"#),
//! ] {
//!     builder = builder.job(job);
//! }
//! assert_eq!(builder.build()?.job_names().count(), 9);
//! # }
//! # Ok::<_, elasticjob::Error>(())
//! ```
//!
//! A handler decides about the failed firing only: the failure is recorded with any answer, and the next firing comes as
//! scheduled.

use std::error::Error;
use std::sync::Arc;

use tracing::error;

use crate::catalogue::{Catalogue, Declared};
use crate::chain::Chain;
use crate::guard::{self, Panicked};
use crate::job::ShardingContext;

mod channel;
mod factory;
mod ignore;
mod log;
mod notify;
mod throw;

pub(crate) use factory::NoHandler;
pub use factory::{ErrorHandlerFactory, ErrorHandlerKind, ForJob, WithInterval};
#[doc(hidden)]
pub use factory::{IntoErrorHandlerKind, error_handler_kind};
pub use ignore::Ignore;
pub use log::Log;
pub(crate) use notify::Post;
pub use notify::{Notice, Notifier, Undelivered};
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
    ///
    /// If it panics, the panic is logged together with the failure, and the firing goes on.
    fn handle(&self, failure: &Failure<'_>) -> Reaction;
}

/// How a firing goes on after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reaction {
    /// The other items of the firing run as if nothing had happened.
    Continue,
    /// The firing is given up: a time that came meanwhile is not made up after it, and where it failed before its items
    /// were begun they are not run. Those that run or wait for room go on.
    Abort,
}

/// An item that failed, or a firing that did before it came to its items.
#[derive(Clone, Copy, Debug)]
pub struct Failure<'a> {
    job_name: &'a str,
    item: Option<u32>,
    run: Option<&'a ShardingContext>,
    cause: &'a (dyn Error + Send + Sync + 'static),
}

impl<'a> Failure<'a> {
    /// A failure of a job that belongs to none of its items.
    #[must_use]
    pub fn new(job_name: &'a str, cause: &'a (dyn Error + Send + Sync + 'static)) -> Self {
        Self {
            job_name,
            item: None,
            run: None,
            cause,
        }
    }

    /// The failure of a run.
    #[must_use]
    pub fn of_run(run: &'a ShardingContext, cause: &'a (dyn Error + Send + Sync + 'static)) -> Self {
        Self {
            job_name: run.job_name(),
            item: Some(run.sharding_item()),
            run: Some(run),
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
    /// Such a failure is one of a listener, for example.
    #[must_use]
    pub fn item(&self) -> Option<u32> {
        self.item
    }

    /// The run that failed; `None` when the failure belongs to no single run.
    #[must_use]
    pub fn run(&self) -> Option<&'a ShardingContext> {
        self.run
    }

    /// What the job returned, or a panic as an error. Its sources say what led to it.
    /// Use `downcast_ref` on it to find an error of the application's own.
    #[must_use]
    pub fn cause(&self) -> &'a (dyn Error + Send + Sync + 'static) {
        self.cause
    }
}

/// The error handlers there are, by name.
pub type ErrorHandlers = Catalogue<ErrorHandlerKind>;

inventory::collect!(&'static Declared<ErrorHandlerKind>);

impl ErrorHandlers {
    /// The declared ones that are linked into the program.
    pub(crate) fn discovered() -> impl Iterator<Item = &'static Declared<ErrorHandlerKind>> {
        inventory::iter::<&'static Declared<ErrorHandlerKind>>
            .into_iter()
            .copied()
    }

    /// Returns `LOG`, `THROW` and `IGNORE`, and the notification handlers that are switched on as features.
    #[must_use]
    pub fn built_in() -> Self {
        let mut handlers = Self::new("error handler");
        let plain = [
            (Log::NAME, ErrorHandlerKind::shared(Log)),
            (Throw::NAME, ErrorHandlerKind::shared(Throw)),
            (Ignore::NAME, ErrorHandlerKind::shared(Ignore)),
        ];
        for (name, handler) in plain.into_iter().chain(channel::all()) {
            handlers
                .register(name, Arc::new(handler))
                .expect("the built-in names differ");
        }
        handlers
    }
}

/// The feature that would bring a handler which there is not.
pub(crate) fn missing_feature(name: &str) -> Option<&'static str> {
    let mut features = channel::FEATURES.iter();
    features.find(|(known, _)| *known == name).map(|(_, feature)| *feature)
}

/// Lets a handler, which may be the application's code, handle a failure. Its panic is logged, and the firing goes on.
pub(crate) fn handle(handler: &dyn JobErrorHandler, failure: &Failure<'_>) -> Reaction {
    guard::call(|| handler.handle(failure)).unwrap_or_else(|Panicked(panic)| {
        let (job, item, cause) = (failure.job_name, failure.item, Chain(failure.cause));
        error!(job, item, %cause, panic, "error handler panicked");
        Reaction::Continue
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn react(handler: &dyn JobErrorHandler) -> Reaction {
        handle(
            handler,
            &Failure::new("job", &std::io::Error::other("disk full")).with_item(2),
        )
    }

    #[tokio::test]
    async fn only_throw_should_abort_the_firing() {
        let (handlers, post) = (ErrorHandlers::built_in(), Post::for_test());
        let reaction = |name| {
            let kind = handlers.get(name).unwrap();
            react(&*kind.make(name, "job", &BTreeMap::new(), &post).unwrap())
        };
        assert_eq!(reaction("LOG"), Reaction::Continue);
        assert_eq!(reaction("IGNORE"), Reaction::Continue);
        assert_eq!(reaction("THROW"), Reaction::Abort);
    }

    #[test]
    fn refuses_a_missing_handler_with_the_known_ones() {
        let error = ErrorHandlers::built_in().get("PAGER").unwrap_err().to_string();
        assert!(
            error.starts_with("unknown error handler `PAGER`: expected one of "),
            "{error}"
        );
        assert!(error.contains("IGNORE, LOG, "), "{error}");
    }

    #[test]
    fn every_way_should_be_known_with_its_feature() {
        for (name, _) in channel::all() {
            assert_eq!(missing_feature(name), Some(&*name.to_lowercase()));
        }
        assert_eq!(missing_feature("PAGER"), None);
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
