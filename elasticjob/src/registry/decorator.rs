//! Sessions with a decorator that sees, counts, delays or refuses their requests.
//!
//! Metering, the registry's metrics and faults in tests are decorators. Each implements the methods that it changes;
//! the others pass on.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Answer, BoxFuture, Error, Limits, Read, Session, SessionState, Step, Watch, WriteError, Written};

/// Sees the requests of a session. Each method passes its request on, unless it is implemented otherwise.
///
/// A method is called when the request is made, not when its future is first polled.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use elasticjob::registry::decorator::{Decorated, Decorator};
/// use elasticjob::registry::memory::MemoryRegistry;
/// use elasticjob::registry::{BoxFuture, Error, Registry, Session, Step, WriteError, Written};
///
/// /// Refuses to write for as long as a test says so.
/// #[derive(Debug, Default)]
/// struct ReadOnly(Arc<AtomicBool>);
///
/// impl Decorator for ReadOnly {
///     fn write(&self, session: &dyn Session, steps: Vec<Step>) -> BoxFuture<'static, Result<Vec<Written>, WriteError>> {
///         if self.0.load(Ordering::Relaxed) {
///             return Box::pin(async { Err(Error::Refused("read-only".to_owned()).into()) });
///         }
///         session.write(steps)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// let is_read_only = Arc::new(AtomicBool::new(true));
/// let session = MemoryRegistry::new().connect().await?;
/// let session = Decorated::new(session, ReadOnly(Arc::clone(&is_read_only)));
/// let check = || vec![Step::Check { path: "/".into(), version: None }];
/// assert!(session.write(check()).await.unwrap_err().error.is_permanent());
///
/// is_read_only.store(false, Ordering::Relaxed);
/// assert_eq!(session.write(check()).await.unwrap(), [Written::Checked]);
/// session.sync().await?;
/// # Ok(())
/// # }
/// ```
pub trait Decorator: fmt::Debug + Send + Sync + 'static {
    /// As [`Session::write`].
    fn write(&self, session: &dyn Session, steps: Vec<Step>) -> BoxFuture<'static, Result<Vec<Written>, WriteError>> {
        session.write(steps)
    }

    /// As [`Session::read_at_once`]: once for each request, of which one call of `read` may make several.
    fn read_at_once(&self, session: &dyn Session, reads: Vec<Read>) -> BoxFuture<'static, Result<Vec<Answer>, Error>> {
        session.read_at_once(reads)
    }

    /// As [`Session::sync`].
    fn sync(&self, session: &dyn Session) -> BoxFuture<'static, Result<(), Error>> {
        session.sync()
    }

    /// As [`Session::watch`].
    fn watch(&self, session: &dyn Session, path: &str) -> BoxFuture<'static, Result<Box<dyn Watch>, Error>> {
        session.watch(path)
    }

    /// As [`Session::close`].
    fn close(&self, session: &dyn Session) -> BoxFuture<'static, ()> {
        session.close()
    }
}

/// A session whose requests go through a [`Decorator`]. Its id, timeout, limits and state are those of the session.
#[derive(Debug)]
pub struct Decorated<D> {
    session: Arc<dyn Session>,
    decorator: D,
}

impl<D: Decorator> Decorated<D> {
    /// Decorates a session. The decorator sees the requests that are made through the returned session alone.
    #[expect(clippy::new_ret_no_self, reason = "nothing but a session is ever wanted of it")]
    pub fn new(session: Arc<dyn Session>, decorator: D) -> Arc<dyn Session> {
        Arc::new(Self { session, decorator })
    }
}

impl<D: Decorator> Session for Decorated<D> {
    fn id(&self) -> i64 {
        self.session.id()
    }

    fn timeout(&self) -> Duration {
        self.session.timeout()
    }

    fn limits(&self) -> Limits {
        self.session.limits()
    }

    fn state(&self) -> watch::Receiver<SessionState> {
        self.session.state()
    }

    fn write(&self, steps: Vec<Step>) -> BoxFuture<'static, Result<Vec<Written>, WriteError>> {
        self.decorator.write(&*self.session, steps)
    }

    fn read_at_once(&self, reads: Vec<Read>) -> BoxFuture<'static, Result<Vec<Answer>, Error>> {
        self.decorator.read_at_once(&*self.session, reads)
    }

    fn sync(&self) -> BoxFuture<'static, Result<(), Error>> {
        self.decorator.sync(&*self.session)
    }

    fn watch(&self, path: &str) -> BoxFuture<'static, Result<Box<dyn Watch>, Error>> {
        self.decorator.watch(&*self.session, path)
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.decorator.close(&*self.session)
    }
}
