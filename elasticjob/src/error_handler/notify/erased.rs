//! Notifiers behind a pointer: their futures are boxed, so that one outbox serves any of them.

use crate::erased::BoxFuture;

use super::notice::Notice;
use super::{Notifier, Undelivered};

/// A [`Notifier`] of any type.
pub(super) trait ErasedNotifier: Send + Sync + 'static {
    fn notify<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), Undelivered>>;
}

impl<N: Notifier> ErasedNotifier for N {
    fn notify<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), Undelivered>> {
        Box::pin(Notifier::notify(self, notice))
    }
}
