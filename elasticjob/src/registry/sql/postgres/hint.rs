//! Hints that jobs have changed, which members give each other so that they need not wait for their next poll.
//!
//! A hint proves nothing, and may be lost: polls go on. It is sent apart from the transaction, for all that was written within
//! [`PAUSE`]: a notification within each transaction would put all commits of the database into one queue.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::message::Following;

/// The time between two hints of a member.
pub(super) const PAUSE: Duration = Duration::from_millis(20);

/// The server takes less than 8,000 bytes.
const LONGEST: usize = 7_000;

/// Jobs that have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Jobs {
    These(BTreeSet<String>),
    /// So many that they are not named.
    Any,
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hint {
    /// The session of the sender.
    pub(super) from: i64,
    /// None says any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jobs: Option<BTreeSet<String>>,
}

/// What a member and its pulse tell each other. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Hints {
    shared: Arc<Shared>,
}

/// The same, for as long as there is a member.
#[derive(Clone, Debug)]
pub(super) struct WeakHints {
    shared: Weak<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    // std mutex: never held across an await.
    state: Mutex<State>,
    /// There is something to send.
    written: Notify,
    /// There is something to do for the member.
    heard: Notify,
}

#[derive(Debug, Default)]
struct State {
    written: Jobs,
    heard: Jobs,
    probe: Probe,
    /// When the beat was last raised, by [`uptime`](crate::uptime::uptime).
    renewed_at: Duration,
    /// When a call was last answered, by the same clock.
    answered_at: Duration,
    /// The process of the server that serves calls.
    process: i64,
    /// When the application last put something into the inbox by a transaction of its own.
    expected_from: Option<Instant>,
}

/// What became of the probe of the present second connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Probe {
    #[default]
    Unwanted,
    Wanted,
    /// At this time.
    Sent(Duration),
}

impl Default for Jobs {
    fn default() -> Self {
        Self::These(BTreeSet::new())
    }
}

impl Jobs {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::These(jobs) if jobs.is_empty())
    }

    /// Whether a member that follows these has to look.
    pub(super) fn concern(&self, following: &Following) -> bool {
        match self {
            Self::These(jobs) if following.of_all => !jobs.is_empty(),
            Self::These(jobs) => jobs.iter().any(|job| following.cursors.contains_key(job)),
            Self::Any => following.of_all || !following.cursors.is_empty(),
        }
    }

    fn add(&mut self, others: Self) {
        match others {
            Self::These(others) => {
                if let Self::These(jobs) = self {
                    jobs.extend(others);
                }
            }
            Self::Any => *self = Self::Any,
        }
    }
}

impl Hint {
    pub(super) fn new(from: i64, jobs: Jobs) -> Self {
        let jobs = match jobs {
            Jobs::These(jobs) => Some(jobs),
            Jobs::Any => None,
        };
        Self { from, jobs }
    }

    /// The hint that says nothing: it shows whether hints arrive.
    pub(super) fn probe(from: i64) -> Self {
        Self::new(from, Jobs::default())
    }

    pub(super) fn text(&self) -> String {
        let text = |hint: &Self| serde_json::to_string(hint).expect("numbers and texts can be written");
        let whole = text(self);
        if whole.len() <= LONGEST {
            return whole;
        }
        text(&Self::new(self.from, Jobs::Any))
    }

    /// Reads a hint. One that is not understood may be of a newer version, and says any.
    pub(super) fn parse(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or(Self { from: 0, jobs: None })
    }

    pub(super) fn into_jobs(self) -> Jobs {
        self.jobs.map_or(Jobs::Any, Jobs::These)
    }
}

impl WeakHints {
    pub(super) fn upgrade(&self) -> Option<Hints> {
        self.shared.upgrade().map(|shared| Hints { shared })
    }

    pub(super) fn is_of(&self, hints: &Hints) -> bool {
        std::ptr::eq(self.shared.as_ptr(), Arc::as_ptr(&hints.shared))
    }
}

impl Hints {
    pub(super) fn downgrade(&self) -> WeakHints {
        let shared = Arc::downgrade(&self.shared);
        WeakHints { shared }
    }

    /// The member has changed jobs.
    pub(super) fn write(&self, jobs: BTreeSet<String>) {
        if !jobs.is_empty() {
            self.lock().written.add(Jobs::These(jobs));
            self.shared.written.notify_one();
        }
    }

    /// Returns what is to be sent.
    pub(super) fn take_written(&self) -> Jobs {
        std::mem::take(&mut self.lock().written)
    }

    pub(super) fn has_written(&self) -> bool {
        !self.lock().written.is_empty()
    }

    /// Waits until there is more to send.
    pub(super) async fn written(&self) {
        self.shared.written.notified().await;
    }

    /// Others have changed jobs.
    pub(super) fn hear(&self, jobs: Jobs) {
        if !jobs.is_empty() {
            self.lock().heard.add(jobs);
            self.shared.heard.notify_one();
        }
    }

    pub(super) fn take_heard(&self) -> Jobs {
        std::mem::take(&mut self.lock().heard)
    }

    /// The member is to send a probe.
    pub(super) fn want_probe(&self) {
        self.lock().probe = Probe::Wanted;
        self.shared.heard.notify_one();
    }

    pub(super) fn is_probe_wanted(&self) -> bool {
        self.lock().probe == Probe::Wanted
    }

    pub(super) fn probed(&self, now: Duration) {
        self.lock().probe = Probe::Sent(now);
    }

    /// Returns when the probe was sent, if it was.
    pub(super) fn probed_at(&self) -> Option<Duration> {
        match self.lock().probe {
            Probe::Sent(at) => Some(at),
            Probe::Unwanted | Probe::Wanted => None,
        }
    }

    /// Waits until there is something to do for the member.
    pub(super) async fn heard(&self) {
        self.shared.heard.notified().await;
    }

    /// Something comes into the inbox with a commit that is not known here.
    pub(super) fn expect(&self) {
        self.lock().expected_from = Some(Instant::now());
        self.shared.heard.notify_one();
    }

    /// Returns how long something has been expected, if it is.
    pub(super) fn expected_for(&self) -> Option<Duration> {
        self.lock().expected_from.map(|from| from.elapsed())
    }

    /// The beat was raised by a request that was sent at this time.
    pub(super) fn renewed(&self, sent_at: Duration) {
        let mut state = self.lock();
        state.renewed_at = state.renewed_at.max(sent_at);
    }

    pub(super) fn renewed_at(&self) -> Duration {
        self.lock().renewed_at
    }

    /// A call was answered at this time.
    pub(super) fn answered(&self, now: Duration) {
        self.lock().answered_at = now;
    }

    pub(super) fn answered_at(&self) -> Duration {
        self.lock().answered_at
    }

    /// Calls go to this process of the server from here on.
    pub(super) fn served_by(&self, process: i64) {
        self.lock().process = process;
    }

    pub(super) fn process(&self) -> i64 {
        self.lock().process
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The channel of a namespace. Two namespaces that share one disturb each other a little.
pub(super) fn channel(namespace: &str) -> String {
    let hash = namespace.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("elasticjob_{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::sql::cursor::Cursor;

    fn these(jobs: &[&str]) -> BTreeSet<String> {
        jobs.iter().map(|job| (*job).to_owned()).collect()
    }

    fn following(jobs: &[&str], of_all: bool) -> Following {
        let cursors = jobs.iter().map(|job| ((*job).to_owned(), Cursor::at(7))).collect();
        Following { cursors, of_all }
    }

    mod hints {
        use super::*;

        #[test]
        fn are_read_as_they_were_sent() {
            let hint = Hint::new(-7, Jobs::These(these(&["a", "任务", "\"'\\"])));
            assert_eq!(Hint::parse(&hint.text()), hint);
            assert!(Hint::parse(&Hint::probe(7).text()).into_jobs().is_empty());
        }

        #[test]
        fn say_any_if_they_are_long_or_not_understood() {
            let many = (0..2_000).map(|number| format!("job-{number}")).collect();
            let text = Hint::new(7, Jobs::These(many)).text();
            assert!(text.len() < 100, "{text}");
            assert_eq!(Hint::parse(&text), Hint::new(7, Jobs::Any));
            assert_eq!(Hint::parse("of a newer version").into_jobs(), Jobs::Any);
        }

        #[test]
        fn are_for_members_that_follow_the_jobs() {
            let jobs = Jobs::These(these(&["a"]));
            assert!(jobs.concern(&following(&["a", "b"], false)));
            assert!(!jobs.concern(&following(&["b"], false)));
            assert!(jobs.concern(&following(&[], true)));
            assert!(Jobs::Any.concern(&following(&["b"], false)));
            assert!(!Jobs::Any.concern(&following(&[], false)));
            assert!(!Jobs::default().concern(&following(&["a"], true)));
        }

        #[test]
        fn gather_until_they_are_sent() {
            let hints = Hints::default();
            hints.write(these(&["a"]));
            hints.write(these(&["b", "a"]));
            assert_eq!(hints.take_written(), Jobs::These(these(&["a", "b"])));
            assert!(!hints.has_written());
            hints.hear(Jobs::Any);
            hints.hear(Jobs::These(these(&["a"])));
            assert_eq!(hints.take_heard(), Jobs::Any);
        }
    }

    #[test]
    fn channels_fit_into_a_name() {
        let long = "任".repeat(1_000);
        assert!(channel(&long).len() <= 63);
        assert_ne!(channel("/a"), channel("/b"));
    }
}
