//! The layer of `tracing` that keeps what is logged inside the span of a run.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use elasticjob_config::sources::RunLogLevel;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Span, Subscriber, callsite, dispatcher};
use tracing_subscriber::layer::{Context, Filter, Layer};
use tracing_subscriber::registry::{LookupSpan, Registry};

use crate::run::Lines;

/// The least important level that any history of the process keeps, as [`code`] writes it: 0 until one keeps logs of runs. It is
/// that of the process, as the subscriber is, which the application makes before it reads its configuration.
static LEVEL: AtomicU8 = AtomicU8::new(0);

/// Keeps the log of each run beside its row in the history: what is logged inside its span.
///
/// Add its [layer](Self::layer) to the subscriber. The setting `elasticjob.tracing.run-log` says what is kept, and until the application
/// has a history that keeps logs the layer costs nothing.
///
/// # Guarantees
/// - **No job waits for it.** A message is formatted and kept in memory, up to 16 KiB for an attempt, the newest ones; a task of the
///   history writes them.
/// - **It changes nothing for other layers.** Their filters are theirs. A filter of the whole subscriber, though, such as an `EnvFilter`
///   that is added like a layer, hides from this one what it hides from others: give it to the layer that writes the log.
/// - **Each message is seen as one.** Escape sequences and control characters are removed, and further lines of a message are indented.
/// - **Secrets that are known are replaced**: values of the job's secret props, and passwords in URLs.
///
/// Work that a job spawns itself is in its log if it runs in the span: `.instrument(Span::current())`.
///
/// ```
/// use elasticjob::trace::RunLog;
/// use tracing_subscriber::prelude::*;
/// use tracing_subscriber::{EnvFilter, fmt};
///
/// let written = fmt::layer().with_filter(EnvFilter::from_default_env());
/// tracing_subscriber::registry().with(written).with(RunLog::layer()).init();
/// ```
#[derive(Debug)]
pub struct RunLog(());

/// Lets pass what a log may keep, and the spans of runs.
#[derive(Debug)]
struct Kept;

/// The log of the run whose span this is.
struct Attached(Arc<Lines>);

impl RunLog {
    /// Returns the layer for a subscriber.
    #[must_use]
    pub fn layer<S>() -> impl Layer<S> + Send + Sync
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        Self(()).with_filter(Kept)
    }
}

/// Keeps messages of this level and more important ones, beside those that are kept already.
pub(crate) fn keep(level: RunLogLevel) {
    let code = code(level);
    if LEVEL.fetch_max(code, Ordering::Relaxed) < code {
        callsite::rebuild_interest_cache();
    }
}

fn code(level: RunLogLevel) -> u8 {
    match level {
        RunLogLevel::Error => 1,
        RunLogLevel::Warn => 2,
        RunLogLevel::Debug => 4,
        RunLogLevel::Trace => 5,
        _ => 3,
    }
}

fn kept_level() -> LevelFilter {
    match LEVEL.load(Ordering::Relaxed) {
        0 => LevelFilter::OFF,
        1 => LevelFilter::ERROR,
        2 => LevelFilter::WARN,
        3 => LevelFilter::INFO,
        4 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    }
}

/// Returns whether the subscriber of this thread has the layer.
pub(crate) fn is_installed() -> bool {
    dispatcher::get_default(tracing::Dispatch::is::<RunLog>)
}

/// Hangs a log on the span of its run, if there is a layer that would write to it.
pub(super) fn attach(span: &Span, lines: &Arc<Lines>) {
    span.with_subscriber(|(id, dispatch)| {
        if !dispatch.is::<RunLog>() {
            return;
        }
        let found = dispatch
            .downcast_ref::<Registry>()
            .and_then(|registry| registry.span(id));
        if let Some(found) = found {
            found.extensions_mut().insert(Attached(Arc::clone(lines)));
        }
    });
}

impl<S> Layer<S> for RunLog
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let level = *event.metadata().level();
        let Some(scope) = context.event_scope(event) else {
            return;
        };
        // The innermost: a one-off job that a job runs and waits for has a log of its own.
        for span in scope {
            let extensions = span.extensions();
            let Some(Attached(lines)) = extensions.get::<Attached>() else {
                continue;
            };
            if !lines.keeps(level) || is_said_already(event.metadata()) {
                return;
            }
            let lines = Arc::clone(lines);
            // What is formatted may log in turn.
            drop(extensions);
            let mut message = Message::default();
            event.record(&mut message);
            lines.add(&format!("{level} {}:", event.metadata().target()), &message.text());
            return;
        }
    }
}

/// Returns whether the log has it already: scripts write to it by themselves.
fn is_said_already(metadata: &Metadata<'_>) -> bool {
    metadata.target() == crate::trace::SCRIPT_OUTPUT
}

impl<S> Filter<S> for Kept {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        is_kept(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_kept(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let level = kept_level();
        // The span of a run has that level.
        Some(if level == LevelFilter::OFF {
            level
        } else {
            level.max(LevelFilter::INFO)
        })
    }
}

fn is_kept(metadata: &Metadata<'_>) -> bool {
    let level = kept_level();
    if metadata.is_span() {
        return level != LevelFilter::OFF && *metadata.level() <= Level::INFO;
    }
    *metadata.level() <= level
}

/// The text of an event: its message, and its fields behind it.
#[derive(Default)]
struct Message {
    message: String,
    fields: String,
}

impl Message {
    fn text(self) -> String {
        match (self.message.is_empty(), self.fields.is_empty()) {
            (_, true) => self.message,
            (true, false) => self.fields.trim_start().to_owned(),
            (false, false) => self.message + &self.fields,
        }
    }

    fn field(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        // Writing into a string fails only if a value refuses to be shown: what it has written so far stays.
        let _ = match field.name() {
            "message" => self.message.write_fmt(value),
            name => write!(self.fields, " {name}={value}"),
        };
    }
}

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.field(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.field(field, format_args!("{}", crate::chain::Chain(value)));
    }
}

#[cfg(test)]
mod tests {
    use elasticjob_config::sources::RunLogSettings;
    use jiff::Timestamp;
    use tokio::time::Instant;
    use tracing::{Instrument as _, debug, error, info, info_span, warn};
    use tracing_subscriber::prelude::*;

    use super::*;

    fn lines(level: RunLogLevel) -> Arc<Lines> {
        keep(RunLogLevel::Debug);
        let mut settings = RunLogSettings::default();
        settings.level = level;
        Arc::new(Lines::new(
            settings,
            (Timestamp::UNIX_EPOCH, Instant::now()),
            Arc::default(),
        ))
    }

    /// The messages without their times.
    fn messages(lines: &Lines) -> Vec<String> {
        let text = lines.text().text;
        text.lines()
            .map(|line| {
                line.split_once(' ')
                    .map_or(line, |(_, rest)| rest)
                    .replace("elasticjob::trace::run_log::layer::tests", "here")
            })
            .collect()
    }

    #[tokio::test]
    async fn keeps_what_is_logged_in_the_span_of_its_run() {
        let _subscriber = tracing_subscriber::registry().with(RunLog::layer()).set_default();
        assert!(is_installed());
        let (one, other) = (lines(RunLogLevel::Info), lines(RunLogLevel::Warn));
        let (first, second) = (info_span!("item"), info_span!("item"));
        attach(&first, &one);
        attach(&second, &other);
        let work = async {
            info!(orders = 3, "begun");
            debug!("not kept");
            async { warn!("in a span of its own") }
                .instrument(info_span!("inner"))
                .await;
        };
        work.instrument(first.clone()).await;
        second.in_scope(|| {
            info!("not important enough");
            let source = std::io::Error::other("disk is full");
            error!(error = &source as &(dyn std::error::Error + 'static), "failed");
        });
        info!("outside of all runs");
        // Threads of the application are in the span if they enter it.
        let span = first.clone();
        let dispatch = dispatcher::get_default(Clone::clone);
        std::thread::spawn(move || dispatcher::with_default(&dispatch, || span.in_scope(|| info!("elsewhere"))))
            .join()
            .unwrap();
        assert_eq!(
            messages(&one),
            [
                "INFO here: begun orders=3",
                "WARN here: in a span of its own",
                "INFO here: elsewhere"
            ]
        );
        assert_eq!(messages(&other), ["ERROR here: failed error=disk is full"]);
    }

    #[tokio::test]
    async fn leaves_other_layers_as_they_are() {
        use std::sync::Mutex;
        #[derive(Clone, Default)]
        struct Seen(Arc<Mutex<Vec<Level>>>);
        impl<S: Subscriber> Layer<S> for Seen {
            fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
                self.0.lock().unwrap().push(*event.metadata().level());
            }
        }
        let seen = Seen::default();
        let subscriber = tracing_subscriber::registry()
            .with(seen.clone().with_filter(LevelFilter::WARN))
            .with(RunLog::layer());
        let _subscriber = subscriber.set_default();
        let kept = lines(RunLogLevel::Info);
        let span = info_span!("item");
        attach(&span, &kept);
        span.in_scope(|| {
            info!("for the log of the run alone");
            error!("for both");
        });
        assert_eq!(*seen.0.lock().unwrap(), [Level::ERROR]);
        assert_eq!(messages(&kept).len(), 2);
    }
}
