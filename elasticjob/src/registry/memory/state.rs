//! The servers: their sessions, the watches, and what is on its way over which link.
//!
//! Everything happens under one lock, in one order. Without faults a request is served and answered on the
//! spot; a [`Link`](super::Link) with a fault holds requests, answers and events back, in the order in which
//! one connection would carry them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::core::Deferred;
use super::link::{Break, Direction, Fate, LinkState};
use super::member::{Alarms, Delayed, Lag, Member, Message};
use super::tree::{Effects, Stamp, Transaction, Tree};
use crate::registry::queue::Queue;
use crate::registry::{Answer, Error, Read, SessionState, Step, WatchEvent, WriteError, Written, path};

/// The registry's time, in milliseconds since 1970.
pub(super) type Clock = Box<dyn Fn() -> i64 + Send + Sync>;

/// All servers and all sessions.
pub(super) struct State {
    /// What is committed.
    pub(super) tree: Tree,
    pub(super) sessions: BTreeMap<i64, Member>,
    /// The watchers of a path, for sessions with a server that is up to date.
    pub(super) watchers: HashMap<String, Vec<(i64, Arc<Queue>)>>,
    pub(super) links: Vec<LinkState>,
    pub(super) clock: Clock,
    pub(super) session_timeout: Duration,
    pub(super) last_transaction: i64,
    pub(super) last_session: i64,
    pub(super) effects: Effects,
    /// Most steps of a request.
    pub(super) steps: usize,
    /// What is to be done once the lock is released: it runs code of others.
    pub(super) deferred: Vec<Deferred>,
}

/// What became of a request at first.
pub(super) enum Submitted<T, E> {
    Answered(Result<T, E>),
    /// To be answered; a sender that is dropped stands for a lost connection.
    Waiting(oneshot::Receiver<Result<T, E>>),
}

/// What kind of request it is, for the faults that strike only some.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestKind {
    Write {
        /// Whether a cut waits for it.
        is_struck: bool,
    },
    Sync,
    /// Answered by the session's server alone.
    Read,
}

impl State {
    pub(super) fn new(clock: Clock, session_timeout: Duration) -> Self {
        let last_transaction = clock() << 20;
        Self {
            tree: Tree::default(),
            sessions: BTreeMap::new(),
            watchers: HashMap::new(),
            links: vec![LinkState::default()],
            clock,
            session_timeout,
            last_transaction,
            last_session: 0,
            effects: Effects::default(),
            steps: usize::MAX,
            deferred: Vec::new(),
        }
    }
}

// What clients ask for.
impl State {
    /// Opens a session over a link, if that is up.
    pub(super) fn connect(&mut self, link: usize) -> Result<(i64, watch::Receiver<SessionState>), Error> {
        if !self.links[link].is_up() {
            return Err(Error::Unreachable(format!(
                "the link `{}` is down",
                self.links[link].name
            )));
        }
        self.last_session += 1;
        let (state, receiver) = watch::channel(SessionState::Connected);
        let member = Member {
            link,
            is_alive: true,
            state,
            watches: BTreeMap::new(),
            lag: self.links[link].lags.then(|| Lag {
                tree: self.tree.clone(),
                backlog: VecDeque::new(),
            }),
            requests: VecDeque::new(),
            messages: VecDeque::new(),
            alarms: Alarms::default(),
        };
        self.sessions.insert(self.last_session, member);
        Ok((self.last_session, receiver))
    }

    pub(super) fn session_timeout(&self) -> Duration {
        self.session_timeout
    }

    /// Sends a request over the session's link.
    pub(super) fn submit<T, E>(
        &mut self,
        session: i64,
        kind: RequestKind,
        serve: impl FnOnce(&mut Self) -> Result<T, E> + Send + 'static,
    ) -> Submitted<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let Some(member) = self.sessions.get_mut(&session) else {
            return Submitted::Answered(Err(Error::SessionExpired.into()));
        };
        let known = *member.state.borrow();
        match known {
            SessionState::Connected => {}
            SessionState::Suspended => return Submitted::Answered(Err(Error::ConnectionLoss.into())),
            SessionState::Lost => return Submitted::Answered(Err(Error::SessionExpired.into())),
        }
        let link = &mut self.links[member.link];
        let broken = match kind {
            RequestKind::Write { is_struck: true } => link.breaks_at_write.take(),
            _ => None,
        };
        if let Some(Break { fate, .. }) = broken {
            link.breaks += 1;
            if fate == Fate::Applied {
                // Any answer is lost with the connection.
                let _ = serve(self);
            }
            let link = self.sessions[&session].link;
            self.cut(link);
            return Submitted::Answered(Err(Error::ConnectionLoss.into()));
        }
        if link.stalls(Direction::Requests) || kind != RequestKind::Read && link.is_isolated {
            let (answer, receiver) = oneshot::channel();
            member.requests.push_back(Box::new(Delayed {
                serve,
                answer: Some(answer),
            }));
            return Submitted::Waiting(receiver);
        }
        let result = serve(self);
        if self.is_prompt(session) {
            return Submitted::Answered(result);
        }
        let (answer, receiver) = oneshot::channel();
        self.answer(session, answer, result);
        Submitted::Waiting(receiver)
    }

    /// Returns whether a cut waits for a write of these steps.
    pub(super) fn strikes(&self, session: i64, steps: &[Step]) -> bool {
        let Some(member) = self.sessions.get(&session) else {
            return false;
        };
        match &self.links[member.link].breaks_at_write {
            None => false,
            Some(Break { part: None, .. }) => true,
            Some(Break { part: Some(part), .. }) => steps.iter().any(|step| step.path().contains(part)),
        }
    }

    /// Serves a transaction.
    pub(super) fn write(&mut self, session: i64, steps: Vec<Step>) -> Result<Vec<Written>, WriteError> {
        self.expect_alive(session)?;
        if self.is_busy(session, &steps) {
            return Err(Error::Busy("another transaction holds what it needs".to_owned()).into());
        }
        self.overtake(session, &steps);
        let result = self.commit(session, steps);
        // A server answers a write, even a refused one, once it has seen everything before it.
        self.advance(session, usize::MAX);
        result
    }

    /// Returns whether these steps meet the lock of another transaction, as was ordered.
    fn is_busy(&mut self, session: i64, steps: &[Step]) -> bool {
        let link = &mut self.links[self.sessions[&session].link];
        let Some((part, writes)) = &mut link.busy else {
            return false;
        };
        if *writes == 0 || !steps.iter().any(|step| step.path().contains(&**part)) {
            return false;
        }
        *writes -= 1;
        true
    }

    /// Has another client's write come before these steps, if that is awaited: one that gives a node whose version they check the
    /// next version, and changes nothing else.
    fn overtake(&mut self, session: i64, steps: &[Step]) {
        let link = &mut self.links[self.sessions[&session].link];
        if link.overtaken.take_if(|is_overtaken| is_overtaken(steps)).is_none() {
            return;
        }
        let checked = steps.iter().find_map(|step| match step {
            Step::Check { path, version: Some(_) } => Some(path),
            _ => None,
        });
        let Some(path) = checked.cloned() else { return };
        let Answer::Data(Some((data, _))) = self.tree.read(&Read::Data(path.clone())) else {
            return;
        };
        let version = None;
        // It changes a node that is there.
        let _ = self.commit(session, vec![Step::Set { path, data, version }]);
    }

    /// Serves a read, from what the session's server has seen.
    pub(super) fn read(&mut self, session: i64, reads: &[Read]) -> Result<Vec<Answer>, Error> {
        self.expect_served(session)?;
        let tree = match &self.sessions[&session].lag {
            Some(lag) => &lag.tree,
            None => &self.tree,
        };
        Ok(reads.iter().map(|read| tree.read(read)).collect())
    }

    /// Serves a sync: the session's server has seen everything afterwards.
    pub(super) fn sync(&mut self, session: i64) -> Result<(), Error> {
        self.expect_alive(session)?;
        self.advance(session, usize::MAX);
        Ok(())
    }

    /// Sets a watch. A session has one watch on a path at most.
    pub(super) fn watch(&mut self, session: i64, path: &str) -> Result<Arc<Queue>, Error> {
        self.expect_served(session)?;
        let member = self.sessions.get_mut(&session).ok_or(Error::SessionExpired)?;
        if member.watches.contains_key(path) {
            return Err(Error::InvalidArgument(format!(
                "path `{path}` is watched by this session already"
            )));
        }
        let queue = Arc::new(Queue::default());
        member.watches.insert(path.to_owned(), Arc::clone(&queue));
        self.watchers
            .entry(path.to_owned())
            .or_default()
            .push((session, Arc::clone(&queue)));
        Ok(queue)
    }

    /// Removes a watch, if it is this one still.
    pub(super) fn unwatch(&mut self, session: i64, path: &str, queue: &Arc<Queue>) {
        if let Some(member) = self.sessions.get_mut(&session)
            && member
                .watches
                .get(path)
                .is_some_and(|registered| Arc::ptr_eq(registered, queue))
        {
            member.watches.remove(path);
        }
        if let Some(watchers) = self.watchers.get_mut(path) {
            watchers.retain(|(_, registered)| !Arc::ptr_eq(registered, queue));
            if watchers.is_empty() {
                self.watchers.remove(path);
            }
        }
    }

    /// The client ends the session; the servers hear of it if the link carries it.
    pub(super) fn close(&mut self, session: i64) {
        let Some(member) = self.sessions.get_mut(&session) else {
            return;
        };
        if *member.state.borrow() == SessionState::Lost {
            return;
        }
        let link = &self.links[member.link];
        if link.withholds_writes() {
            let serve = move |state: &mut Self| {
                state.end(session);
                Ok::<_, Error>(())
            };
            member.requests.push_back(Box::new(Delayed { serve, answer: None }));
        } else if !link.is_cut {
            self.end(session);
        }
        self.lose(session);
    }

    /// A server that is cut off from the others does not know that they ended the session.
    fn expect_served(&self, session: i64) -> Result<(), Error> {
        match self.sessions.get(&session) {
            Some(member) if self.links[member.link].is_isolated => Ok(()),
            _ => self.expect_alive(session),
        }
    }

    /// Refuses a request of a session that the servers have ended.
    pub(super) fn expect_alive(&self, session: i64) -> Result<(), Error> {
        match self.sessions.get(&session) {
            Some(member) if member.is_alive => Ok(()),
            _ => Err(Error::SessionExpired),
        }
    }
}

// What servers do.
impl State {
    /// Executes a transaction under the next number, and publishes it. A refused one uses up no number.
    pub(super) fn commit(&mut self, session: i64, steps: Vec<Step>) -> Result<Vec<Written>, WriteError> {
        let stamp = Stamp {
            transaction: self.last_transaction + 1,
            at: (self.clock)(),
        };
        let (written, transaction) = self.tree.execute(session, steps, stamp, self.effects)?;
        self.last_transaction += 1;
        self.publish(transaction);
        Ok(written)
    }

    /// Sends the events of a transaction to the watches, and the transaction itself to servers that are behind.
    pub(super) fn publish(&mut self, transaction: Transaction) {
        for change in &transaction.changes {
            for path in path::self_and_ancestors(change.path()) {
                let Some(watchers) = self.watchers.get(path) else {
                    continue;
                };
                for (session, queue) in watchers {
                    let Some(member) = self.sessions.get_mut(session) else {
                        continue;
                    };
                    if member.lag.is_none() {
                        member.notify(queue, change.event(), &self.links[member.link], &mut self.deferred);
                    }
                }
            }
        }
        if !self.links.iter().any(LinkState::is_behind) {
            return;
        }
        let transaction = Arc::new(transaction);
        for lag in self.sessions.values_mut().filter_map(|member| member.lag.as_mut()) {
            lag.backlog.push_back(Arc::clone(&transaction));
        }
    }

    /// Lets the session's server see that many more transactions, or as many as there are.
    pub(super) fn advance(&mut self, session: i64, transactions: usize) -> usize {
        let Some(member) = self.sessions.get_mut(&session) else {
            return 0;
        };
        for seen in 0..transactions {
            let Some(lag) = &mut member.lag else { return seen };
            let Some(transaction) = lag.backlog.pop_front() else {
                return seen;
            };
            lag.tree.follow(&transaction);
            for change in &transaction.changes {
                for path in path::self_and_ancestors(change.path()) {
                    if let Some(queue) = member.watches.get(path).cloned() {
                        member.notify(&queue, change.event(), &self.links[member.link], &mut self.deferred);
                    }
                }
            }
        }
        transactions
    }

    /// The servers end the session: its ephemeral nodes go. The client does not learn it from this.
    pub(super) fn end(&mut self, session: i64) {
        let Some(member) = self.sessions.get_mut(&session) else {
            return;
        };
        if !member.is_alive {
            return;
        }
        member.is_alive = false;
        member.alarms.server_ends = None;
        let steps = self.tree.end_of(session);
        if !steps.is_empty() {
            self.commit(session, steps)
                .expect("ephemeral nodes have no children and are deleted once");
        }
        self.forget_if_over(session);
    }

    /// The client takes the session for lost.
    pub(super) fn lose(&mut self, session: i64) {
        let Some(member) = self.sessions.get_mut(&session) else {
            return;
        };
        member.disconnect(&mut self.deferred);
        member.alarms.client_gives_up = None;
        member.state.send_replace(SessionState::Lost);
        for (path, queue) in std::mem::take(&mut member.watches) {
            self.deferred.extend(queue.push(WatchEvent::Closed).map(Deferred::Wake));
            self.unwatch(session, &path, &queue);
        }
        self.forget_if_over(session);
    }

    /// Forgets a session once both halves know that it is over.
    pub(super) fn forget_if_over(&mut self, session: i64) {
        if let Some(member) = self.sessions.get(&session)
            && !member.is_alive
            && *member.state.borrow() == SessionState::Lost
        {
            self.sessions.remove(&session);
        }
    }

    /// Returns whether the answers of a session arrive at once.
    pub(super) fn is_prompt(&self, session: i64) -> bool {
        self.sessions
            .get(&session)
            .is_none_or(|member| member.is_prompt(&self.links[member.link]))
    }

    /// Sends an answer, behind all that is on its way to the client.
    pub(super) fn answer<T, E>(&mut self, session: i64, answer: oneshot::Sender<Result<T, E>>, result: Result<T, E>)
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let Some(member) = self.sessions.get_mut(&session) else {
            return;
        };
        let deliver = Box::new(move || {
            // The receiver may have lost interest.
            let _ = answer.send(result);
        });
        let due = Instant::now() + self.links[member.link].delay;
        if member.is_prompt(&self.links[member.link]) {
            self.deferred.push(Deferred::Run(deliver));
        } else {
            member.messages.push_back((due, Message::Answer(deliver)));
            self.deferred.push(Deferred::Reschedule);
        }
    }
}
