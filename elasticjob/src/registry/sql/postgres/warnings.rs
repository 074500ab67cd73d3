//! Warnings of the server, which `sqlx` gives to `tracing` alone.
//!
//! One of them decides: if a commit waits for a synchronous standby, and the wait is cancelled, the server answers as if all was
//! well, with a warning in front. The transaction is then on this server alone, and gone if the standby takes its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::instrument::WithSubscriber as _;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

/// Counts the warnings of one connection.
#[derive(Clone, Debug)]
pub(super) struct Warnings {
    count: Arc<AtomicUsize>,
    dispatch: Dispatch,
    /// Of a single subscriber `tracing` assumes that it is the default everywhere: so there are two.
    _second: Dispatch,
}

impl Warnings {
    /// Counts, and passes on all that the present subscriber takes.
    pub(super) fn new() -> Self {
        let count = Arc::<AtomicUsize>::default();
        let listening = || Listening {
            count: Arc::clone(&count),
            subscriber: tracing::dispatcher::get_default(Clone::clone),
        };
        let _second = Dispatch::new(listening());
        let dispatch = Dispatch::new(listening());
        Self {
            count,
            dispatch,
            _second,
        }
    }

    /// Listens while a future is polled.
    pub(super) async fn while_it_runs<T>(&self, future: impl Future<Output = T>) -> T {
        future.with_subscriber(self.dispatch.clone()).await
    }

    /// Returns how many there were so far.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

/// Passes everything on to the subscriber that was there before.
#[derive(Debug)]
struct Listening {
    count: Arc<AtomicUsize>,
    subscriber: Dispatch,
}

fn is_warning(metadata: &Metadata<'_>) -> bool {
    metadata.target() == "sqlx::postgres::notice" && *metadata.level() == Level::WARN
}

impl Subscriber for Listening {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_warning(metadata) {
            Interest::always()
        } else {
            self.subscriber.register_callsite(metadata)
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_warning(metadata) || self.subscriber.enabled(metadata)
    }

    /// The highest level of all subscribers counts, so this one does not lower that of the application.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.subscriber.new_span(span)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.subscriber.record(span, values);
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.subscriber.record_follows_from(span, follows);
    }

    fn event(&self, event: &Event<'_>) {
        if is_warning(event.metadata()) {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        if self.subscriber.enabled(event.metadata()) {
            self.subscriber.event(event);
        }
    }

    fn enter(&self, span: &Id) {
        self.subscriber.enter(span);
    }

    fn exit(&self, span: &Id) {
        self.subscriber.exit(span);
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.subscriber.clone_span(id)
    }

    fn try_close(&self, id: Id) -> bool {
        self.subscriber.try_close(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warn() {
        tracing::event!(target: "sqlx::postgres::notice", Level::WARN, message = "canceling wait");
    }

    mod warnings {
        use super::*;

        #[tokio::test]
        async fn are_counted_while_a_future_runs() {
            let warnings = Warnings::new();
            warn();
            assert_eq!(warnings.count(), 0, "before");
            warnings
                .while_it_runs(async {
                    warn();
                    tokio::task::yield_now().await;
                    warn();
                    tracing::event!(target: "sqlx::postgres::notice", Level::INFO, message = "a notice");
                    tracing::warn!("of ours");
                })
                .await;
            assert_eq!(warnings.count(), 2);
        }
    }
}
