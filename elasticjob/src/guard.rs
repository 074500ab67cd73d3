//! The one way in which the framework calls code of the application.
//!
//! Jobs, handlers, listeners, strategies and factories are the application's, and so are the values that they return: an
//! error is shown by its `Display`, walked by its `source`, dropped by its `Drop`, and each of these may panic. A panic in
//! the wrong place ends the task that met it, and an item without its task would run for ever. So all of it
//! happens behind this module: [`call`] for functions, [`future`] for futures, [`Held`] for values that we drop, [`Cause`]
//! for errors, [`text`] for texts. A lint refuses `catch_unwind` elsewhere.
//!
//! What it cannot do: a panic while another unwinds aborts the process, as Rust has it, and so does every panic in a
//! program that is built with `panic = "abort"`, or has a panic hook that panics.

use std::any::Any;
use std::error::Error;
use std::fmt::{self, Display, Write as _};
use std::future::Future;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tracing::error;

use crate::erased::BoxError;
use crate::type_name;

/// The longest text of one error that is kept, in bytes.
const TEXT_LIMIT: usize = 64 * 1024;

/// The longest chain of errors that is followed. One that leads back to itself has no end.
const SOURCES_LIMIT: usize = 64;

/// Code of the application panicked, with this message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("panicked: {0}")]
pub(crate) struct Panicked(pub(crate) String);

impl Panicked {
    /// Takes the message out of a payload, which is a value of the application's, too.
    fn from_payload(payload: Box<dyn Any + Send>) -> Self {
        let message = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
            (Some(message), _) => text(message),
            (_, Some(message)) => text(message),
            _ => "a panic without a message".to_owned(),
        };
        if let Err(again) = unwind(|| drop(payload)) {
            // It would do the same once more: it is leaked.
            std::mem::forget(again);
        }
        Self(message)
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place")]
fn unwind<T>(code: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    // What a panic may have left broken is the application's, which sees it happen, or is dropped.
    catch_unwind(AssertUnwindSafe(code))
}

/// Calls code of the application.
///
/// # Errors
/// [`Panicked`] when it did.
///
/// The message of the panic is kept up to 64 KiB. A payload that is no text is dropped behind the guard too.
pub(crate) fn call<T>(code: impl FnOnce() -> T) -> Result<T, Panicked> {
    unwind(code).map_err(Panicked::from_payload)
}

/// Drops a value of the application. A panic is an error in the log.
pub(crate) fn discard<T>(value: T) {
    if let Err(Panicked(message)) = call(|| drop(value)) {
        error!(kind = type_name::shown(std::any::type_name::<T>()), panic = %message, "a value panicked when it was dropped");
    }
}

/// Returns what a value of the application shows, at most 64 KiB. If its `Display` panics or fails, the text says so.
pub(crate) fn text(value: &(impl Display + ?Sized)) -> String {
    let mut shown = Bounded(String::new());
    let written = call(|| write!(shown, "{value}"));
    let Bounded(mut text) = shown;
    match written {
        Ok(Ok(())) => {}
        Ok(Err(fmt::Error)) if text.len() >= TEXT_LIMIT => text.push_str(".. (cut)"),
        Ok(Err(fmt::Error)) => text.push_str("(its text cannot be shown: `Display` failed)"),
        Err(panicked) => text.push_str(&format!("(its text cannot be shown: `Display` {panicked})")),
    }
    text
}

/// Takes as much as there is room for.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let room = TEXT_LIMIT - self.0.len();
        if part.len() <= room {
            self.0.push_str(part);
            return Ok(());
        }
        self.0.push_str(&part[..part.floor_char_boundary(room)]);
        // A character that does not fit counts as one that does: nothing more is to follow.
        while self.0.len() < TEXT_LIMIT {
            self.0.push(' ');
        }
        Err(fmt::Error)
    }
}

/// Returns the error and what led to it, outermost first. If its `source` panics, that comes last.
pub(crate) fn sources<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = Result<&'a (dyn Error + 'static), Panicked>> {
    let next = |error: &Result<&'a (dyn Error + 'static), Panicked>| {
        let error = *error.as_ref().ok()?;
        call(|| error.source()).transpose()
    };
    std::iter::successors(Some(Ok(error)), next).take(SOURCES_LIMIT)
}

/// A value of the application that is dropped behind the guard, wherever that happens.
pub(crate) struct Held<T>(Option<T>);

impl<T> Held<T> {
    /// Takes the value. It is dropped behind the guard from now on.
    pub(crate) fn new(value: T) -> Self {
        Self(Some(value))
    }
}

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("only `drop` takes it")
    }
}

impl<T: Clone> Clone for Held<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        if let Some(value) = self.0.take() {
            discard(value);
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Held<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// An error of the application: shown and dropped behind the guard.
///
/// It is no error itself, so that a handler which asks for the type of an error finds the application's.
pub(crate) struct Cause(Held<BoxError>);

impl Cause {
    /// Returns the error of the application, of its own type.
    pub(crate) fn error(&self) -> &(dyn Error + Send + Sync + 'static) {
        &**self.0
    }
}

impl<E: Into<BoxError>> From<E> for Cause {
    fn from(error: E) -> Self {
        Self(Held::new(error.into()))
    }
}

/// Shows what it shows, never by its own `Debug`.
impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text(self.error()))
    }
}

pin_project! {
    /// Polls and drops a future of the application. It ends with [`Panicked`] if the future panics in one of them.
    #[must_use = "futures do nothing unless polled"]
    pub(crate) struct Guarded<F> {
        // `None` once it ended.
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for Guarded<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Err(Panicked(message)) = call(|| this.future.set(None)) {
                error!(panic = %message, "a future panicked when it was dropped");
            }
        }
    }
}

/// Guards a future of the application. Make it of an `async` block, so that what makes the future is behind the guard, too.
pub(crate) fn future<F: Future>(future: F) -> Guarded<F> {
    Guarded { future: Some(future) }
}

impl<F: Future> Future for Guarded<F> {
    type Output = Result<F::Output, Panicked>;

    /// # Panics
    /// When polled after it ended.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut future = self.project().future;
        let polled = call(|| {
            let future = future.as_mut().as_pin_mut();
            future.expect("a future is not polled after it ended").poll(cx)
        });
        let outcome = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(panicked) => Err(panicked),
        };
        match (call(|| future.set(None)), outcome) {
            (Err(panicked), Ok(output)) => {
                discard(output);
                Poll::Ready(Err(panicked))
            }
            (_, outcome) => Poll::Ready(outcome),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::future::{pending, poll_fn, ready};
    use std::panic::panic_any;
    use std::pin::pin;

    use futures_util::FutureExt as _;

    use super::*;

    /// Panics when it is dropped, again and again.
    pub(crate) struct FailsWhenDropped;

    impl Drop for FailsWhenDropped {
        fn drop(&mut self) {
            panic_any(FailsWhenDropped);
        }
    }

    /// An error that panics wherever it can.
    pub(crate) struct Hostile(pub(crate) FailsWhenDropped);

    impl Display for Hostile {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("begun, ")?;
            panic!("in Display")
        }
    }

    impl fmt::Debug for Hostile {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("in Debug")
        }
    }

    impl Error for Hostile {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            panic!("in source")
        }
    }

    /// Leads back to itself.
    #[derive(Debug)]
    struct Endless;

    impl Display for Endless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("round and round")
        }
    }

    impl Error for Endless {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(self)
        }
    }

    mod call {
        use super::*;

        #[test]
        fn takes_the_message_of_a_panic() {
            assert_eq!(super::super::call(|| 7), Ok(7));
            let panicked = |code: fn()| super::super::call(code).unwrap_err().to_string();
            assert_eq!(panicked(|| panic!("no luck")), "panicked: no luck");
            assert_eq!(panicked(|| panic!("no {}", "luck")), "panicked: no luck");
            assert_eq!(panicked(|| panic_any(7)), "panicked: a panic without a message");
        }

        #[test]
        fn outlives_a_payload_that_panics_when_dropped() {
            let panicked = super::super::call(|| panic_any(FailsWhenDropped)).unwrap_err();
            assert_eq!(panicked.to_string(), "panicked: a panic without a message");
        }
    }

    mod errors {
        use super::*;

        #[test]
        fn are_shown_as_far_as_they_can_be() {
            let cause = Cause::from(Hostile(FailsWhenDropped));
            assert_eq!(
                text(cause.error()),
                "begun, (its text cannot be shown: `Display` panicked: in Display)"
            );
            assert_eq!(format!("{cause:?}"), text(cause.error()));
        }

        #[test]
        fn are_walked_as_far_as_they_can_be() {
            let cause = Cause::from(Hostile(FailsWhenDropped));
            let walked: Vec<_> = sources(cause.error()).collect();
            assert_eq!(walked.len(), 2);
            assert_eq!(walked[1].as_ref().unwrap_err().to_string(), "panicked: in source");
            assert_eq!(sources(&Endless).count(), SOURCES_LIMIT);
        }

        #[test]
        fn are_cut() {
            struct Flood;
            impl Display for Flood {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    loop {
                        f.write_str("数据库")?;
                    }
                }
            }
            let shown = text(&Flood);
            assert!(shown.starts_with("数据库数据库") && shown.ends_with(".. (cut)"));
            assert!(shown.len() < TEXT_LIMIT + 16);
        }

        #[test]
        fn that_fail_to_be_shown_say_so() {
            struct Fails;
            impl Display for Fails {
                fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                    Err(fmt::Error)
                }
            }
            assert_eq!(text(&Fails), "(its text cannot be shown: `Display` failed)");
        }
    }

    mod future {
        use super::super::future;
        use super::*;

        fn outcome<T>(made: impl Future<Output = T>) -> Result<T, String> {
            let outcome = future(made).now_or_never().expect("it ends at once");
            outcome.map_err(|panicked| panicked.to_string())
        }

        #[test]
        fn ends_with_its_output_or_its_panic() {
            assert_eq!(outcome(ready(7)), Ok(7));
            let fails = poll_fn(|_| -> Poll<()> { panic!("in a poll") });
            assert_eq!(outcome(fails), Err("panicked: in a poll".to_owned()));
        }

        #[test]
        fn that_panics_when_dropped_has_panicked() {
            let held = FailsWhenDropped;
            let keeps = poll_fn(move |_| {
                let _keeps = &held;
                Poll::Ready(7)
            });
            assert_eq!(outcome(keeps), Err("panicked: a panic without a message".to_owned()));
        }

        #[test]
        fn is_dropped_behind_the_guard() {
            let held = FailsWhenDropped;
            let mut waits = Box::pin(future(async move {
                let _keeps = &held;
                pending::<()>().await;
            }));
            assert!(pin!(waits.as_mut()).now_or_never().is_none());
            drop(waits);
            drop(future(async move {
                let _never_begun = FailsWhenDropped;
            }));
        }
    }

    mod held {
        use super::*;

        #[test]
        fn is_dropped_behind_the_guard() {
            let held = Held::new(std::sync::Arc::new(FailsWhenDropped));
            drop(held.clone());
            drop(held);
        }
    }
}
