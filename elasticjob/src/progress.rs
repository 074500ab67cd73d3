//! The progress that a run reports, on its way from the code of the job to the worker.
//!
//! A run may report at any rate and from any thread. Only the newest report is kept, and the worker is woken once until it
//! takes that, so calls cost neither requests nor memory. The worker writes reports at its own pace.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

/// Longest text of a report, in characters. It is kept in the registry while the run lasts.
pub(crate) const TEXT_LIMIT: usize = 200;

/// The newest report of one run. Clones are of the same run.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProgressCell(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// A std mutex: never held across an await.
    newest: Mutex<Newest>,
    /// Wakes the worker.
    wake: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Newest {
    report: Option<Reported>,
    is_taken: bool,
}

/// What a run reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reported {
    /// From 0 to 100, rounded down; `None` if the run does not say so.
    pub(crate) percent: Option<u8>,
    pub(crate) text: String,
    pub(crate) at: Instant,
}

impl ProgressCell {
    /// Creates the cell of a run. `wake` wakes its worker.
    pub(crate) fn waking(wake: &Arc<Notify>) -> Self {
        let wake = Arc::clone(wake);
        let newest = Mutex::default();
        Self(Arc::new(Shared { newest, wake }))
    }

    /// Keeps a report in the place of the one before.
    pub(crate) fn report(&self, fraction: Option<f64>, text: &str) {
        let report = Reported {
            percent: fraction.and_then(percent),
            text: shown(text),
            at: Instant::now(),
        };
        let was_waiting = {
            let mut newest = self.newest();
            let was_waiting = newest.report.is_some() && !newest.is_taken;
            *newest = Newest {
                report: Some(report),
                is_taken: false,
            };
            was_waiting
        };
        if !was_waiting {
            self.0.wake.notify_one();
        }
    }

    /// Returns when the report was made that is not taken yet.
    pub(crate) fn waiting_since(&self) -> Option<Instant> {
        let newest = self.newest();
        newest
            .report
            .as_ref()
            .filter(|_| !newest.is_taken)
            .map(|report| report.at)
    }

    /// Takes the newest report, if it is not taken yet.
    pub(crate) fn take(&self) -> Option<Reported> {
        let mut newest = self.newest();
        let is_taken = std::mem::replace(&mut newest.is_taken, true);
        newest.report.clone().filter(|_| !is_taken)
    }

    /// Puts the report back that was taken, unless there is a newer one anyway.
    pub(crate) fn put_back(&self) {
        self.newest().is_taken = false;
    }

    fn newest(&self) -> MutexGuard<'_, Newest> {
        self.0.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rounds down, so that only what is whole is 100 %. A fraction out of range is the nearest in range, and no number is none.
fn percent(fraction: f64) -> Option<u8> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is from 0 to 100"
    )]
    let percent = |fraction: f64| (fraction.clamp(0.0, 1.0) * 100.0).floor() as u8;
    (!fraction.is_nan()).then(|| percent(fraction))
}

/// The text as operators see it: one line, of bounded length.
fn shown(text: &str) -> String {
    let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
    match text.char_indices().nth(TEXT_LIMIT) {
        None => text.chars().map(plain).collect(),
        Some(_) => text.chars().take(TEXT_LIMIT - 1).map(plain).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn reported(fraction: impl Into<Option<f64>>, text: &str) -> (Option<u8>, String) {
        let cell = ProgressCell::default();
        cell.report(fraction.into(), text);
        let report = cell.take().expect("it is new");
        (report.percent, report.text)
    }

    #[test]
    fn keeps_the_newest_report_and_wakes_the_worker_once() {
        let wake = Arc::new(Notify::new());
        let cell = ProgressCell::waking(&wake);
        assert_eq!(cell.take(), None);
        for page in 0..100_000 {
            cell.report(Some(f64::from(page) / 100_000.0), &format!("page {page}"));
        }
        assert!(wake.notified().now_or_never().is_some());
        let newest = cell.take().expect("it is new");
        assert_eq!((newest.percent, newest.text.as_str()), (Some(99), "page 99999"));
        assert_eq!(cell.take(), None, "it was taken");
        assert!(wake.notified().now_or_never().is_none());
        cell.put_back();
        assert_eq!(cell.take(), Some(newest));
        cell.report(None, "done");
        assert!(wake.notified().now_or_never().is_some(), "woken for the next");
    }

    #[test]
    fn takes_any_number() {
        for (fraction, percent) in [
            (0.0, Some(0)),
            (0.4, Some(40)),
            (0.999, Some(99)),
            (1.0, Some(100)),
            (7.0, Some(100)),
            (-1.0, Some(0)),
            (f64::INFINITY, Some(100)),
            (f64::NEG_INFINITY, Some(0)),
            (f64::NAN, None),
        ] {
            assert_eq!(reported(fraction, "").0, percent, "{fraction}");
        }
        assert_eq!(reported(None, "第 40 页").0, None);
    }

    #[test]
    fn cuts_texts_by_characters_and_keeps_them_in_one_line() {
        let fits = "页".repeat(TEXT_LIMIT);
        assert_eq!(reported(None, &fits).1, fits);
        let cut = reported(None, &"🚀".repeat(64 * 1024)).1;
        assert_eq!((cut.chars().count(), cut.ends_with("🚀…")), (TEXT_LIMIT, true));
        assert_eq!(reported(None, "page 1\n\u{1b}[31mof 2").1, "page 1  [31mof 2");
    }
}
