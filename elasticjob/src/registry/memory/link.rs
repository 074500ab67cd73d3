//! The way between one client and a [`MemoryRegistry`](super::MemoryRegistry), with faults to order.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::core::Core;
use super::session::MemorySession;
use crate::registry::{BoxFuture, Error, Registry, Session, Step};

/// One client's way to the registry, to be given to it as its registry.
///
/// A link carries any number of sessions, and each fault strikes all of them, since they share the wire and
/// the server at its other end. Faults add up until [`heal`](Self::heal); what they do is what a network and
/// ZooKeeper's servers do, no more: messages of one session stay in order, answers and events alike, and a
/// server may be behind the others but never goes back.
///
/// Time is tokio's, so that a test with a paused clock decides when a session times out.
///
/// ```
/// use std::time::Duration;
/// use elasticjob::registry::memory::MemoryRegistry;
/// use elasticjob::registry::{CreateMode, Read, Registry, Answer, SessionState, Step};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
/// let registry = MemoryRegistry::new().with_session_timeout(Duration::from_secs(10));
/// let link = registry.link("a");
/// let session = link.connect().await?;
/// let mode = CreateMode::Ephemeral;
/// session.write(vec![Step::Create { path: "/here".into(), data: vec![], mode }]).await?;
///
/// link.cut();
/// assert_eq!(*session.state().borrow(), SessionState::Suspended);
/// tokio::time::sleep(Duration::from_secs(11)).await;
///
/// let observer = registry.connect().await?;
/// let answers = observer.read(vec![Read::Data("/here".into())]).await?;
/// assert_eq!(answers, [Answer::Data(None)], "the registry ended the session");
/// assert_eq!(*session.state().borrow(), SessionState::Suspended, "which the client does not know yet");
/// link.heal();
/// assert_eq!(*session.state().borrow(), SessionState::Lost);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Link {
    pub(super) core: Arc<Core>,
    pub(super) index: usize,
    pub(super) name: Arc<str>,
}

/// One of the two ways of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the registry.
    Requests,
    /// From the registry to the client: answers and events.
    Answers,
}

/// What happens to a write if its connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It reached the registry and was executed; only the answer is lost.
    Applied,
    /// It never arrived.
    Dropped,
}

/// What a link does to what it carries.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a link may have any of these faults at once"
)]
pub(super) struct LinkState {
    pub(super) name: String,
    pub(super) is_cut: bool,
    stalls_requests: bool,
    stalls_answers: bool,
    pub(super) delay: Duration,
    /// Whether the server at the other end is behind the others.
    pub(super) lags: bool,
    /// Whether the server at the other end is cut off from the others.
    pub(super) is_isolated: bool,
    pub(super) breaks_at_write: Option<Break>,
    /// The next write of which this is true is overtaken.
    pub(super) overtaken: Option<fn(&[Step]) -> bool>,
    /// So many writes to a path with this in it are refused, since the registry is busy.
    pub(super) busy: Option<(String, u32)>,
    /// How many writes were struck.
    pub(super) breaks: u64,
    /// When the last fault was over, or struck, and what it had held up had arrived.
    pub(super) disturbed_until: Option<Instant>,
}

/// A cut that waits for a write.
#[derive(Clone, Debug)]
pub(super) struct Break {
    pub(super) fate: Fate,
    /// Only a write to a path with this in it is struck.
    pub(super) part: Option<String>,
}

impl Link {
    /// Closes the connection; both ends notice at once. What was on its way is lost in both directions: a
    /// request held by [`stall`](Self::stall) did not happen, and one did if its answer is held. Calls end with
    /// [`Error::ConnectionLoss`], [`Registry::connect`] with [`Error::Unreachable`].
    ///
    /// From here the registry ends the sessions after their timeout; the clients give them up after 7/5 of it.
    pub fn cut(&self) {
        self.core.order(|state| state.cut(self.index));
    }

    /// Makes one direction silent; neither end notices. What is sent waits for [`heal`](Self::heal), or is
    /// lost by [`cut`](Self::cut).
    ///
    /// After 2/5 of the session timeout the client takes the connection for lost. Its requests may still
    /// arrive later than that, when the link heals. A registry that hears nothing ends the sessions after
    /// their timeout.
    pub fn stall(&self, direction: Direction) {
        self.core.order(|state| state.stall(self.index, direction));
    }

    /// Lets the link carry everything again, without delay: held requests are served, then held messages
    /// delivered, then clients without a connection reconnect and learn whether their session still exists.
    pub fn heal(&self) {
        self.core.order(|state| state.heal(self.index));
    }

    /// Delivers every later answer and event that much after it was sent.
    /// Requests are not delayed, and the order of messages stays. [`heal`](Self::heal) ends it.
    pub fn delay(&self, delay: Duration) {
        self.core.order(|state| state.delay(self.index, delay));
    }

    /// Cuts the link at the next write: the writer gets [`Error::ConnectionLoss`] either way.
    pub fn cut_at_next_write(&self, fate: Fate) {
        self.break_at(Break { fate, part: None });
    }

    /// As [`cut_at_next_write`](Self::cut_at_next_write), at the next write to a path that contains `part`.
    pub fn cut_at_next_write_to(&self, part: &str, fate: Fate) {
        let part = Some(part.to_owned());
        self.break_at(Break { fate, part });
    }

    fn break_at(&self, awaited: Break) {
        self.core
            .order(|state| state.link_state(self.index).breaks_at_write = Some(awaited));
    }

    /// Lets another client's write overtake the next write of which `is_overtaken` is true: a node whose version this one checks has
    /// the next version when it arrives, so it is refused. A write that checks no version goes through.
    pub fn overtake_next_write_that(&self, is_overtaken: fn(&[Step]) -> bool) {
        self.core
            .order(|state| state.link_state(self.index).overtaken = Some(is_overtaken));
    }

    /// Answers so many of the next writes to a path that contains `part` with [`Error::Busy`], and carries none of them out.
    pub fn be_busy_for(&self, part: &str, writes: u32) {
        self.core
            .order(|state| state.link_state(self.index).busy = Some((part.to_owned(), writes)));
    }

    /// How many writes the link was cut at.
    #[must_use]
    pub fn cuts_at_writes(&self) -> u64 {
        self.core.with(|state| state.link_state(self.index).breaks)
    }

    /// Cuts the server at the other end off from the other servers, though not from the client: reads are answered as
    /// things were, pings too, but writes and [`Session::sync`] wait for [`heal`](Self::heal). The other servers hear
    /// nothing of the sessions and end them after their timeout, of which the client learns when the link heals.
    pub fn isolate(&self) {
        self.core.order(|state| state.isolate(self.index));
    }

    /// The registry ends the link's sessions: their ephemeral nodes go. The clients learn of it at once if
    /// the link is whole, and when it heals otherwise.
    pub fn expire(&self) {
        self.core.order(|state| state.expire(self.index));
    }

    /// Stops the client's process: the registry hears nothing from it and ends its sessions after their timeout; the
    /// client, which does not run, notices nothing. The caller makes sure that the client does not run.
    pub fn freeze(&self) {
        self.core.order(|state| state.freeze(self.index));
    }

    /// Lets the client's process go on: the registry hears from the sessions that it has not ended. Sessions that it has
    /// ended answer the next call with that.
    pub fn thaw(&self) {
        self.core.order(|state| state.thaw(self.index));
    }

    /// Lets the server at the other end fall behind: reads and events show the registry as it was, until
    /// the session itself writes or calls [`Session::sync`], or [`advance`](Self::advance) is ordered.
    pub fn lag(&self) {
        self.core.order(|state| state.lag(self.index));
    }

    /// Lets a server that lags see that many more transactions, for each session of the link. Says how many there
    /// were for the session that had the most.
    pub fn advance(&self, transactions: usize) -> usize {
        self.core.order(|state| {
            let sessions = state.sessions_of(self.index).into_iter();
            sessions
                .map(|session| state.advance(session, transactions))
                .max()
                .unwrap_or_default()
        })
    }

    /// Ends [`lag`](Self::lag).
    pub fn catch_up(&self) {
        self.core.order(|state| state.catch_up(self.index));
    }

    /// Since when the link has carried everything in order, and how late answers and events are; `None` while something
    /// keeps them from arriving, or shows them as they were.
    #[cfg(feature = "testing")]
    pub(crate) fn steady(&self) -> Option<(Option<Instant>, Duration)> {
        self.core.with(|state| {
            let link = state.link_state(self.index);
            let is_steady = link.is_up() && !link.is_behind();
            is_steady.then_some((link.disturbed_until, link.delay))
        })
    }

    /// The ids of the sessions over this link that the client or the registry still has.
    /// A session is among them until both have forgotten it.
    #[must_use]
    pub fn sessions(&self) -> Vec<i64> {
        self.core.with(|state| state.sessions_of(self.index))
    }
}

impl Registry for Link {
    fn connect(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, Error>> {
        let session = MemorySession::open(&self.core, self.index).map(|session| Arc::new(session) as Arc<dyn Session>);
        Box::pin(std::future::ready(session))
    }

    fn describe(&self) -> String {
        format!("embedded registry over link {}", self.name)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("name", &self.name).finish_non_exhaustive()
    }
}

impl LinkState {
    pub(super) fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// Returns whether requests and answers pass, and reach a server that is with the others.
    pub(super) fn is_up(&self) -> bool {
        !self.is_cut && !self.is_isolated && !self.stalls_requests && !self.stalls_answers
    }

    /// Returns whether what needs more than one server, or any, does not arrive.
    pub(super) fn withholds_writes(&self) -> bool {
        self.is_isolated || self.stalls_requests
    }

    /// Returns whether its server may show things as they were.
    pub(super) fn is_behind(&self) -> bool {
        self.lags || self.is_isolated
    }

    /// Returns whether this direction is held back.
    pub(super) fn stalls(&self, direction: Direction) -> bool {
        match direction {
            Direction::Requests => self.stalls_requests,
            Direction::Answers => self.stalls_answers,
        }
    }

    pub(super) fn stall(&mut self, direction: Direction) {
        match direction {
            Direction::Requests => self.stalls_requests = true,
            Direction::Answers => self.stalls_answers = true,
        }
    }

    pub(super) fn heal(&mut self) {
        self.is_cut = false;
        self.is_isolated = false;
        self.stalls_requests = false;
        self.stalls_answers = false;
        self.breaks_at_write = None;
        self.overtaken = None;
        self.busy = None;
        self.delay = Duration::ZERO;
    }
}
