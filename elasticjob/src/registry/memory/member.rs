//! One session as the registry sees it, and what is on its way over its link.
//!
//! Server and client are two halves with different knowledge: `is_alive` is what the servers know, `state` is what the
//! client knows. They disagree for a while after each fault, as they do in reality.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::core::Deferred;
use super::link::{Direction, LinkState};
use super::state::State;
use super::tree::{Transaction, Tree};
use crate::registry::queue::Queue;
use crate::registry::{Error, SessionState, WatchEvent};

/// One session: the server's half, the client's half, and what is between them.
pub(super) struct Member {
    pub(super) link: usize,
    /// Whether the servers have the session. The client learns of its end late.
    pub(super) is_alive: bool,
    pub(super) state: watch::Sender<SessionState>,
    pub(super) watches: BTreeMap<String, Arc<Queue>>,
    /// What the session's server has not seen yet, if it lags.
    pub(super) lag: Option<Lag>,
    /// On the way to the server.
    pub(super) requests: VecDeque<Box<dyn Request>>,
    /// On the way to the client.
    pub(super) messages: VecDeque<(Instant, Message)>,
    pub(super) alarms: Alarms,
}

/// A server that is behind the others.
pub(super) struct Lag {
    pub(super) tree: Tree,
    pub(super) backlog: VecDeque<Arc<Transaction>>,
}

/// When time will do something to a session, if nothing else happens.
#[derive(Default)]
pub(super) struct Alarms {
    /// The servers, having heard nothing for the session timeout, end the session.
    pub(super) server_ends: Option<Instant>,
    /// The client, having heard nothing, takes the connection for lost.
    pub(super) client_suspects: Option<Instant>,
    /// The client, not served for so long, takes the session for lost.
    pub(super) client_gives_up: Option<Instant>,
}

pub(super) enum Message {
    Event(Arc<Queue>, WatchEvent),
    Answer(Box<dyn FnOnce() + Send>),
}

/// A request that has not reached the server.
pub(super) trait Request: Send {
    /// Serves it, however late.
    fn serve(self: Box<Self>, state: &mut State, session: i64);
    /// The client no longer waits for the answer.
    fn abandon(&mut self);
}

pub(super) struct Delayed<T, E, F> {
    pub(super) serve: F,
    pub(super) answer: Option<oneshot::Sender<Result<T, E>>>,
}

impl Member {
    /// Returns whether nothing holds back what the server sends.
    pub(super) fn is_prompt(&self, link: &LinkState) -> bool {
        self.messages.is_empty() && link.delay.is_zero() && !link.stalls(Direction::Answers)
    }

    /// Sends an event to a watch: at once, or behind what is on its way. A client without a connection gets none, and a
    /// `Resync` later.
    pub(super) fn notify(
        &mut self,
        queue: &Arc<Queue>,
        event: WatchEvent,
        link: &LinkState,
        deferred: &mut Vec<Deferred>,
    ) {
        let known = *self.state.borrow();
        if !self.is_alive || known != SessionState::Connected {
            return;
        }
        if self.is_prompt(link) {
            deferred.extend(queue.push(event).map(Deferred::Wake));
        } else {
            self.messages
                .push_back((Instant::now() + link.delay, Message::Event(Arc::clone(queue), event)));
            deferred.push(Deferred::Reschedule);
        }
    }

    /// Begins the time after which the servers end the session, unless it runs already.
    pub(super) fn start_server_timeout(&mut self, now: Instant, timeout: Duration) {
        if self.is_alive && self.alarms.server_ends.is_none() {
            self.alarms.server_ends = Some(now + timeout);
        }
    }

    /// The client takes the connection for lost.
    pub(super) fn suspend(&mut self, now: Instant, timeout: Duration, deferred: &mut Vec<Deferred>) {
        if *self.state.borrow() != SessionState::Connected {
            return;
        }
        self.disconnect(deferred);
        self.alarms.client_gives_up.get_or_insert(now + timeout * 7 / 5);
        self.state.send_replace(SessionState::Suspended);
    }

    /// The client's end of the connection goes, and with it every answer it waited for.
    pub(super) fn disconnect(&mut self, deferred: &mut Vec<Deferred>) {
        self.alarms.client_suspects = None;
        // An answer may own a watch, which locks the registry when it goes.
        let messages = std::mem::take(&mut self.messages);
        if !messages.is_empty() {
            deferred.push(Deferred::Run(Box::new(move || drop(messages))));
        }
        self.requests.iter_mut().for_each(|request| request.abandon());
    }

    /// Returns when time will next do something to the session.
    pub(super) fn next_due(&self, link: &LinkState) -> Option<Instant> {
        let Alarms {
            server_ends,
            client_suspects,
            client_gives_up,
        } = self.alarms;
        let message = self
            .messages
            .front()
            .filter(|_| !link.stalls(Direction::Answers))
            .map(|(due, _)| *due);
        [server_ends, client_suspects, client_gives_up, message]
            .into_iter()
            .flatten()
            .min()
    }
}

impl<T, E, F> Request for Delayed<T, E, F>
where
    T: Send + 'static,
    E: From<Error> + Send + 'static,
    F: FnOnce(&mut State) -> Result<T, E> + Send,
{
    fn serve(self: Box<Self>, state: &mut State, session: i64) {
        let result = (self.serve)(state);
        match self.answer {
            Some(answer) => state.answer(session, answer, result),
            // The value may own things that lock the registry when they go.
            None => state.deferred.push(Deferred::Run(Box::new(move || drop(result)))),
        }
    }

    fn abandon(&mut self) {
        self.answer = None;
    }
}
