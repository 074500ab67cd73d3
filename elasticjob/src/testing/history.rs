//! What happened, in the order in which it did, and what of it must not have.
//!
//! There is one thread at a time, so the order of entries is the order of events. A run is *live* from when its code is
//! executed first, after its claim was acknowledged, until its future returned or was dropped. While its machine is
//! paused it does nothing: then another run of the item may begin, and the paused one must never be polled again.
//!
//! Blocking work is live until it returns, and cannot be stopped. Once its session is over it may overlap with
//! another run; it writes to a resource that refuses a token smaller than the largest it has seen.
//!
//! What must not have happened is found at the moment it does, from what is known then. A violation does not end the
//! simulation: what follows from it may explain it. The fingerprint of all entries tells whether two simulations of one
//! seed went alike, which each of them has to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::core::firing;
use crate::cluster::ledger::{self, Source};

use super::hearing::{Call, CallState, Calling};
use super::outside::Stuck;

/// A time that is so far ahead comes from a faulty clock.
const CLOCK_FAULT: Duration = Duration::from_secs(50 * 60);

/// The history of one simulation. Clones are the same one.
#[derive(Clone)]
pub(super) struct History {
    began: Instant,
    /// A std mutex: never held across an await.
    inner: Arc<Mutex<Inner>>,
}

/// One entry.
#[derive(Clone, Debug, Hash)]
pub(super) struct Entry {
    at: Duration,
    what: String,
}

#[derive(Default)]
struct Inner {
    entries: Vec<Entry>,
    violations: Vec<String>,
    /// Those that are noted once.
    once: BTreeSet<String>,
    runs: Vec<Run>,
    calls: Vec<Call>,
    /// The newest run of each id and attempt, and its code while that is executed.
    attempts: BTreeMap<(String, u32), Attempt>,
    /// The runs of each item that have begun and are not over.
    live: BTreeMap<(Arc<str>, u32), Vec<usize>>,
    tokens: BTreeMap<(Arc<str>, u32), i64>,
    /// The largest token that the guarded resource of each item has seen.
    guards: BTreeMap<(Arc<str>, u32), i64>,
    /// The newest run, and its attempt, of each item and scheduled time.
    fired: BTreeMap<(Arc<str>, u32, i64), (String, u32)>,
    /// Runs with an end in the ledger.
    recorded: BTreeSet<String>,
    /// Machines of which a worker was made to panic.
    panicking: BTreeSet<usize>,
    /// When each instance of a job went.
    over: BTreeMap<(Arc<str>, String), Duration>,
    /// Instances that ran a job when it was removed from the registry, and when they have to know.
    removed: BTreeMap<(Arc<str>, String), Duration>,
}

/// An attempt of a run, and its code while that is executed.
struct Attempt {
    index: usize,
    live: Weak<LiveRun>,
}

/// One run of an item.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Run {
    pub(super) job: Arc<str>,
    pub(super) item: u32,
    pub(super) due: i64,
    pub(super) source: Source,
    pub(super) launched_at: Duration,
    /// When its code returned, or was dropped.
    pub(super) ended_at: Option<Duration>,
    id: String,
    attempt: u32,
    /// What was ordered to be given to it.
    parameter: Option<String>,
    token: i64,
    machine: usize,
    pub(super) owner: String,
    /// Whether its mark keeps others from running the item.
    is_monitored: bool,
    is_blocking: bool,
    has_begun: bool,
    is_frozen: bool,
    /// Since when another run of the item may go on in its place.
    superseded_at: Option<Duration>,
}

/// A live run. Dropping it ends the run.
pub(super) struct LiveRun {
    history: History,
    index: usize,
}

impl History {
    /// Begins the history of a simulation, whose time begins now.
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            inner: Arc::default(),
        }
    }

    /// Returns the time since the beginning.
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Adds an entry.
    pub(super) fn note(&self, what: impl Into<String>) {
        let at = self.now();
        self.inner().entries.push(Entry { at, what: what.into() });
    }

    /// Adds an entry of something that must not have happened.
    pub(super) fn violation(&self, what: impl Into<String>) {
        let at = self.now();
        self.inner().violate(at, what.into());
    }

    /// A violation that is the same again and again.
    pub(super) fn violate_once(&self, what: &str) {
        let at = self.now();
        let mut inner = self.inner();
        if inner.once.insert(what.to_owned()) {
            inner.violate(at, what.to_owned());
        }
    }

    /// The simulation makes no more steps. Its time stands still, and another thread says so.
    pub(super) fn stuck(&self, Stuck(limit): Stuck) {
        let mut inner = self.inner();
        let runs = inner.live.values().flatten();
        let mut jobs: Vec<String> = runs
            .map(|run| &inner.runs[*run])
            .map(|run| format!("{}/{}", run.job, run.item))
            .collect();
        jobs.dedup();
        let what = format!(
            "nothing has happened for {limit:?} of real time, while these items ran: {}; code of one of them blocks the simulation, and \
             may wait for virtual time, which stands still meanwhile: blocking work waits by `testing::sleep_blocking`, and is done \
             in `run_blocking` alone",
            jobs.join(", ")
        );
        let at = inner.entries.last().map_or(Duration::ZERO, |last| last.at);
        inner.violate(at, what);
    }

    /// A claim was acknowledged, and its item is about to run.
    pub(super) fn launched(&self, machine: usize, job: &Arc<str>, start: &firing::Start, is_monitored: bool) {
        let at = self.now();
        self.inner().launched(at, machine, job, start, is_monitored);
    }

    /// The code of a run that was launched is about to be made.
    /// It is given the parameter of the order that it is for, if there is one in that.
    pub(super) fn made(&self, id: &str, attempt: u32, parameter: &str) -> Option<Arc<LiveRun>> {
        let at = self.now();
        let mut inner = self.inner();
        let key = (id.to_owned(), attempt);
        let run = &inner.runs[inner.attempts.get(&key)?.index];
        if let Some(ordered) = run.parameter.as_ref().filter(|ordered| *ordered != parameter) {
            let what = format!("{run}: is given `{parameter}` where `{ordered}` was ordered");
            inner.violate(at, what);
        }
        let attempt = inner.attempts.get_mut(&key)?;
        let live = Arc::new(LiveRun {
            history: self.clone(),
            index: attempt.index,
        });
        attempt.live = Arc::downgrade(&live);
        Some(live)
    }

    /// Returns a run if its code is being executed.
    pub(super) fn live(&self, id: &str, attempt: u32) -> Option<Arc<LiveRun>> {
        self.inner().attempts.get(&(id.to_owned(), attempt))?.live.upgrade()
    }

    /// The machine is paused: its runs do nothing.
    pub(super) fn freeze(&self, machine: usize) {
        let mut inner = self.inner();
        let live: Vec<usize> = inner.live.values().flatten().copied().collect();
        for index in live {
            let run = &mut inner.runs[index];
            run.is_frozen |= run.machine == machine;
        }
    }

    /// The registry ended the session of an instance, or the instance left.
    pub(super) fn instance_gone(&self, job: &str, id: &str) {
        self.note(format!("registry: {id} is gone from {job}"));
        let at = self.now();
        self.inner().over.insert((job.into(), id.to_owned()), at);
    }

    /// The registry has an instance of a job that it did not have.
    pub(super) fn instance_joined(&self, job: &str, id: &str) {
        self.note(format!("registry: {id} joins {job}"));
        let (mut inner, instance) = (self.inner(), (job.into(), id.to_owned()));
        inner.over.remove(&instance);
        // An instance that was joining a removed job joins the new job of that name.
        if !inner.is_running(&instance) {
            inner.removed.remove(&instance);
        }
    }

    /// The job was removed with all its marks and ledgers: these instances have to know within so long. An instance that registers
    /// the job again begins another job, which they neither disturb nor wait for.
    pub(super) fn removed(&self, job: &str, instances: &BTreeSet<String>, within: Duration) {
        let deadline = self.now() + within;
        let mut inner = self.inner();
        inner.fired.retain(|(of, _, _), _| **of != *job);
        inner
            .calls
            .iter_mut()
            .filter(|call| *call.job == *job)
            .for_each(|call| {
                if matches!(call.state, CallState::Returned { .. }) {
                    call.state = CallState::Dropped;
                }
            });
        for id in instances {
            inner.removed.entry((job.into(), id.clone())).or_insert(deadline);
        }
    }

    /// The registry has the end of a run.
    pub(super) fn ended(&self, run: String) {
        self.inner().recorded.insert(run);
    }

    /// A hook of a listener is called.
    pub(super) fn called(&self, call: Call) -> Calling {
        let at = self.now();
        let index = self.inner().called(at, call);
        let history = self.clone();
        Calling { history, index }
    }

    /// The call of a hook came to its end.
    pub(super) fn returned(&self, index: usize) {
        let at = self.now();
        self.inner().calls[index].state = CallState::Returned { at };
    }

    /// The call of a hook is over.
    pub(super) fn dropped(&self, index: usize) {
        let state = &mut self.inner().calls[index].state;
        if *state == CallState::UnderWay {
            *state = CallState::Dropped;
        }
    }

    /// Notes that a worker of this machine is made to panic. It gives its instance up then, in as many transactions as it takes.
    pub(super) fn panics(&self, machine: usize) {
        self.inner().panicking.insert(machine);
    }

    /// Returns whether the code of a run has ended on a machine of which a worker panics.
    pub(super) fn is_given_up(&self, run: &ledger::Run) -> bool {
        let inner = self.inner();
        let attempt = inner.attempts.get(&(run.id.clone(), run.attempt));
        attempt.is_some_and(|attempt| {
            attempt.live.strong_count() == 0 && inner.panicking.contains(&inner.runs[attempt.index].machine)
        })
    }

    /// Returns all calls of hooks.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.inner().calls.clone()
    }

    /// Returns when the code of the newest attempt of a run returned, or was dropped.
    pub(super) fn returned_at(&self, run: &str) -> Option<Instant> {
        let inner = self.inner();
        let newest = inner.runs.iter().rev().find(|known| known.id == run)?;
        newest.ended_at.map(|at| self.began + at)
    }

    /// Returns all runs, in the order of their claims.
    pub(super) fn runs(&self) -> Vec<Run> {
        self.inner().runs.clone()
    }

    /// Returns all that must not have happened, with its time.
    pub(super) fn violations(&self) -> Vec<String> {
        self.inner().violations.clone()
    }

    /// Returns a number that two histories share if they are the same.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.inner().entries.hash(&mut hasher);
        hasher.finish()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn violate(&mut self, at: Duration, what: String) {
        self.entries.push(Entry {
            at,
            what: format!("VIOLATION: {what}"),
        });
        self.violations.push(format!("{:.3}s {what}", at.as_secs_f64()));
    }

    fn launched(&mut self, at: Duration, machine: usize, job: &Arc<str>, start: &firing::Start, is_monitored: bool) {
        let firing::Start {
            item,
            run,
            fencing_token: token,
        } = start;
        self.entries.push(Entry {
            at,
            what: format!(
                "{}: launches {job}/{item} due {}, run {} attempt {} ({:?}, token {token})",
                run.owner, run.due, run.id, run.attempt, run.source
            ),
        });
        self.runs.push(Run {
            job: Arc::clone(job),
            item: *item,
            due: run.due,
            source: run.source,
            launched_at: at,
            ended_at: None,
            id: run.id.clone(),
            attempt: run.attempt,
            parameter: run.parameter.clone(),
            token: *token,
            machine,
            owner: run.owner.clone(),
            is_monitored,
            is_blocking: false,
            has_begun: false,
            is_frozen: false,
            superseded_at: None,
        });
        let attempt = Attempt {
            index: self.runs.len() - 1,
            live: Weak::new(),
        };
        self.attempts.insert((run.id.clone(), run.attempt), attempt);
    }

    fn called(&mut self, at: Duration, call: Call) -> usize {
        self.entries.push(Entry {
            at,
            what: call.to_string(),
        });
        let key = |call: &Call| (Arc::clone(&call.job), call.owner.clone());
        let is_removed = |call: &Call| self.removed.contains_key(&key(call));
        let is_gone = |call: &Call| self.over.contains_key(&key(call)) || is_removed(call);
        let others = self.calls.iter().filter(|other| other.is_of_same(&call));
        // A hook may be called again if no instance can know that it was called, or if it belongs to several triggers.
        let is_known = call.is_once && call.source != Source::Trigger && !is_removed(&call);
        let again = others
            .filter(|other| is_known && other.state != CallState::Dropped && !is_gone(other))
            .map(|other| format!("{call}, after {}: {:?}", other.owner, other.state))
            .next();
        if let Some(again) = again {
            self.violate(at, again);
        }
        self.calls.push(call);
        self.calls.len() - 1
    }

    fn is_running(&self, instance: &(Arc<str>, String)) -> bool {
        self.live
            .values()
            .flatten()
            .any(|run| self.runs[*run].instance() == *instance)
    }

    /// The run's code is executed for the first time.
    fn begins(&mut self, at: Duration, index: usize) {
        let run = self.runs[index].clone();
        if self.removed.contains_key(&run.instance()) {
            return;
        }
        let key = (Arc::clone(&run.job), run.item);
        if let Some(last) = self.tokens.insert(key.clone(), run.token)
            && last >= run.token
        {
            self.violate(at, format!("{run}: its token is {}, after {last}", run.token));
        }
        if self.recorded.contains(&run.id) {
            self.violate(at, format!("{run}: begins though its end is recorded"));
        }
        // Of times that clocks made up which were ahead by a day the ledger keeps none: a right one comes in between.
        let believed = super::world::origin() + at + CLOCK_FAULT;
        if run.source != Source::Trigger && run.due <= believed.as_millisecond() {
            let firing = (Arc::clone(&run.job), run.item, run.due);
            let before = self.fired.insert(firing, (run.id.clone(), run.attempt));
            if before.is_some_and(|(id, attempt)| id != run.id || attempt >= run.attempt) {
                self.violate(at, format!("{run}: the item was run for {} before", run.due));
            }
        }
        let others = self.live.entry(key).or_default().clone();
        for other in others.into_iter().filter(|_| run.is_monitored) {
            let other = &mut self.runs[other];
            let instance = other.instance();
            if !other.is_monitored || self.removed.contains_key(&instance) {
                continue;
            }
            let over = self.over.get(&instance);
            // A session that is ended out of turn is known to be over at that very instant, to all instances.
            if other.is_frozen || over == Some(&at) {
                other.superseded_at = Some(at);
                continue;
            }
            if other.is_blocking && over.is_some() {
                continue;
            }
            let what = format!("{run} overlaps {other}");
            self.violate(at, what);
        }
        self.live.entry((run.job, run.item)).or_default().push(index);
    }

    /// The run's own code is executed: it must be the only one to work on its item, and its session must not be over.
    fn polled(&mut self, at: Duration, index: usize) {
        if !std::mem::replace(&mut self.runs[index].has_begun, true) {
            self.begins(at, index);
        }
        let run = &mut self.runs[index];
        if run.is_blocking {
            // What waits for blocking work does nothing itself.
            return;
        }
        run.is_frozen = false;
        if run.superseded_at.take_if(|since| *since < at).is_some() {
            let what = format!("{run} goes on after another began");
            self.violate(at, what);
        }
        let run = &self.runs[index];
        let instance = run.instance();
        let over = self.removed.get(&instance).or_else(|| self.over.get(&instance));
        // At that very instant no instance can know it.
        if let Some(over) = over.copied()
            && over < at
        {
            let what = format!("{run} is executed though its session ended at {over:?}");
            self.over.remove(&instance);
            self.removed.remove(&instance);
            self.violate(at, what);
        }
    }
}

impl Inner {
    /// Returns whether the item's resource accepts what the run writes.
    fn writes(&mut self, at: Duration, index: usize) -> bool {
        let run = self.runs[index].clone();
        self.runs[index].is_frozen = false;
        let key = (Arc::clone(&run.job), run.item);
        let seen = self.guards.entry(key.clone()).or_insert(run.token);
        if run.token >= *seen {
            *seen = run.token;
            return true;
        }
        if self.tokens.get(&key) == Some(&run.token) {
            self.violate(at, format!("{run} is refused, though none is newer"));
        }
        let what = format!("{run} overruns and is refused");
        self.entries.push(Entry { at, what });
        false
    }
}

impl LiveRun {
    /// From here on the run is blocking work.
    pub(super) fn blocks(&self) {
        self.history.inner().runs[self.index].is_blocking = true;
    }

    /// Returns whether the item's resource accepts what the run writes.
    pub(super) fn writes(&self) -> bool {
        let at = self.history.now();
        self.history.inner().writes(at, self.index)
    }

    /// The run's own code is about to be executed.
    pub(super) fn polled(&self) {
        let at = self.history.now();
        self.history.inner().polled(at, self.index);
    }

    /// The run is over.
    pub(super) fn end(&self, how: &str) {
        let run = self.history.inner().runs[self.index].clone();
        self.history.note(format!("{run} {how}"));
    }
}

impl Drop for LiveRun {
    fn drop(&mut self) {
        let at = self.history.now();
        let mut inner = self.history.inner();
        inner.runs[self.index].ended_at = Some(at);
        let run = &inner.runs[self.index];
        let key = (Arc::clone(&run.job), run.item);
        if let Some(live) = inner.live.get_mut(&key) {
            live.retain(|index| *index != self.index);
        }
    }
}

impl Run {
    fn instance(&self) -> (Arc<str>, String) {
        (Arc::clone(&self.job), self.owner.clone())
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            owner,
            job,
            item,
            id,
            attempt,
            ..
        } = self;
        write!(f, "{owner}: {job}/{item} run {id} attempt {attempt}")
    }
}

/// Readable, an entry a line.
impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Entry { at, what } in &self.inner().entries {
            writeln!(f, "{:>10.3}  {what}", at.as_secs_f64())?;
        }
        Ok(())
    }
}
