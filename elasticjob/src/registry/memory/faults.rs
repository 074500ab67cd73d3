//! What faults and time do to sessions.
//!
//! The timeouts are those of ZooKeeper and its client: a server ends a session after the session timeout without a word
//! from it; a client takes the connection for lost after 2/5 of that, and the session after 7/5. So there is a span in
//! which the server has ended a session and the client does not know, which is when two instances could run one item.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::core::Deferred;
use super::link::{Direction, LinkState};
use super::member::{Alarms, Lag, Message};
use super::state::State;
use crate::registry::{SessionState, WatchEvent};

impl State {
    /// Returns the index of the link of this name, which is made if there is none. Index 0 is the registry's own, which
    /// has no faults.
    pub(super) fn link(&mut self, name: &str) -> usize {
        if let Some(index) = self.links.iter().skip(1).position(|link| link.name == name) {
            return index + 1;
        }
        self.links.push(LinkState::named(name));
        self.links.len() - 1
    }

    pub(super) fn link_state(&mut self, link: usize) -> &mut LinkState {
        &mut self.links[link]
    }

    /// Returns the sessions over a link.
    pub(super) fn sessions_of(&self, link: usize) -> Vec<i64> {
        self.sessions
            .iter()
            .filter(|(_, member)| member.link == link)
            .map(|(id, _)| *id)
            .collect()
    }

    pub(super) fn set_session_timeout(&mut self, timeout: Duration) {
        self.session_timeout = timeout;
    }

    /// Notes that something strikes the link, or ends, and that messages are late by so much.
    fn disturb(&mut self, link: usize, late: Duration) {
        let until = Some(Instant::now() + late);
        let state = &mut self.links[link];
        state.disturbed_until = state.disturbed_until.max(until);
    }

    pub(super) fn delay(&mut self, link: usize, delay: Duration) {
        // What was sent before is as late as it was, and what follows comes after it.
        self.disturb(link, self.links[link].delay);
        self.links[link].delay = delay;
    }

    /// Closes the connections of a link: what is on its way is lost.
    pub(super) fn cut(&mut self, link: usize) {
        self.disturb(link, Duration::ZERO);
        self.links[link].is_cut = true;
        self.deferred.push(Deferred::Reschedule);
        let now = Instant::now();
        for session in self.sessions_of(link) {
            let Some(member) = self.sessions.get_mut(&session) else {
                continue;
            };
            // What was on its way is lost, in both directions.
            member.requests.clear();
            member.start_server_timeout(now, self.session_timeout);
            member.suspend(now, self.session_timeout, &mut self.deferred);
        }
    }

    /// Holds back one direction of a link. The client notices the silence later, and the server too if it hears
    /// nothing.
    pub(super) fn stall(&mut self, link: usize, direction: Direction) {
        self.disturb(link, Duration::ZERO);
        self.links[link].stall(direction);
        self.deferred.push(Deferred::Reschedule);
        let now = Instant::now();
        for session in self.sessions_of(link) {
            let Some(member) = self.sessions.get_mut(&session) else {
                continue;
            };
            if direction == Direction::Requests {
                member.start_server_timeout(now, self.session_timeout);
            }
            if *member.state.borrow() == SessionState::Connected && member.alarms.client_suspects.is_none() {
                member.alarms.client_suspects = Some(now + self.session_timeout * 2 / 5);
                member.alarms.client_gives_up = Some(now + self.session_timeout * 7 / 5);
            }
        }
    }

    /// Lets the servers hear nothing from the clients of a link, which notice nothing.
    pub(super) fn freeze(&mut self, link: usize) {
        self.disturb(link, Duration::ZERO);
        self.deferred.push(Deferred::Reschedule);
        let now = Instant::now();
        for session in self.sessions_of(link) {
            if let Some(member) = self.sessions.get_mut(&session) {
                member.start_server_timeout(now, self.session_timeout);
            }
        }
    }

    /// Cuts the server of a link off from the others: it answers reads as things were.
    pub(super) fn isolate(&mut self, link: usize) {
        self.disturb(link, Duration::ZERO);
        self.links[link].is_isolated = true;
        self.fall_behind(link);
        self.freeze(link);
    }

    /// Lets the servers hear the clients again. Sessions that they have ended stay ended.
    pub(super) fn thaw(&mut self, link: usize) {
        self.disturb(link, Duration::ZERO);
        let state = &self.links[link];
        if state.is_cut || state.withholds_writes() {
            return;
        }
        for session in self.sessions_of(link) {
            // If its client has closed the connection, it is heard again when the link heals.
            if let Some(member) = self.sessions.get_mut(&session)
                && *member.state.borrow() == SessionState::Connected
            {
                member.alarms.server_ends = None;
            }
        }
    }

    /// Ends all faults of a link, and lets its clients reconnect.
    pub(super) fn heal(&mut self, link: usize) {
        self.disturb(link, Duration::ZERO);
        let was_isolated = self.links[link].is_isolated;
        self.links[link].heal();
        if was_isolated && !self.links[link].lags {
            self.catch_up(link);
        }
        for session in self.sessions_of(link) {
            self.reconnect(session);
        }
    }

    /// Serves what was held, delivers what was held, and tells the client whether its session still exists. In this
    /// order, as one connection would.
    pub(super) fn reconnect(&mut self, session: i64) {
        let Some(member) = self.sessions.get_mut(&session) else {
            return;
        };
        // If the client of a session is gone, the session ends by its timeout.
        if *member.state.borrow() != SessionState::Lost {
            member.alarms = Alarms::default();
        }
        // What the network had swallowed arrives, though the client may have given it up.
        for request in std::mem::take(&mut member.requests) {
            request.serve(self, session);
        }
        self.deliver_due(session, None);
        let Some(member) = self.sessions.get_mut(&session) else {
            return;
        };
        if !member.is_alive {
            return self.lose(session);
        }
        if *member.state.borrow() == SessionState::Suspended {
            for queue in member.watches.values() {
                self.deferred.extend(queue.push(WatchEvent::Resync).map(Deferred::Wake));
            }
            member.state.send_replace(SessionState::Connected);
        }
    }

    /// The servers end all sessions of the link; a connected client learns it at once.
    pub(super) fn expire(&mut self, link: usize) {
        self.disturb(link, Duration::ZERO);
        for session in self.sessions_of(link) {
            self.end(session);
            if self.links[link].is_up() {
                self.lose(session);
            }
        }
    }

    /// Lets the server of a link fall behind from now on.
    pub(super) fn lag(&mut self, link: usize) {
        self.disturb(link, Duration::ZERO);
        self.links[link].lags = true;
        self.fall_behind(link);
    }

    /// Gives each session of a link a copy of the tree as it is, and a backlog of what follows.
    fn fall_behind(&mut self, link: usize) {
        for member in self
            .sessions
            .values_mut()
            .filter(|member| member.link == link && member.lag.is_none())
        {
            member.lag = Some(Lag {
                tree: self.tree.clone(),
                backlog: VecDeque::new(),
            });
        }
    }

    /// Lets the server of a link see everything, unless it is cut off from the others.
    pub(super) fn catch_up(&mut self, link: usize) {
        self.disturb(link, Duration::ZERO);
        self.links[link].lags = false;
        if self.links[link].is_isolated {
            return;
        }
        for session in self.sessions_of(link) {
            self.advance(session, usize::MAX);
            if let Some(member) = self.sessions.get_mut(&session) {
                member.lag = None;
            }
        }
    }

    /// Deletes what [`Tree::empty_containers`] finds, each in a transaction of its own as ZooKeeper does.
    pub(super) fn collect_containers(&mut self) -> usize {
        let steps = self.tree.empty_containers();
        let count = steps.len();
        for step in steps {
            self.commit(0, vec![step]).expect("an empty container can be deleted");
        }
        count
    }

    /// Does what is due, and says when the next thing is.
    pub(super) fn tick(&mut self, now: Instant) -> Option<Instant> {
        loop {
            let (due, session) = self
                .sessions
                .iter()
                .filter_map(|(id, member)| Some((member.next_due(&self.links[member.link])?, *id)))
                .min()?;
            if due > now {
                return Some(due);
            }
            self.act(session, now);
        }
    }

    /// Does what time has brought for a session: delivers, suspects, ends, gives up.
    pub(super) fn act(&mut self, session: i64, now: Instant) {
        self.deliver_due(session, Some(now));
        let Some(member) = self.sessions.get_mut(&session) else {
            return;
        };
        if member.alarms.client_suspects.is_some_and(|due| due <= now) {
            // Its connection closed, the servers count from here if they had still heard it.
            member.start_server_timeout(now, self.session_timeout);
            member.suspend(now, self.session_timeout, &mut self.deferred);
        }
        if member.alarms.server_ends.is_some_and(|due| due <= now) {
            self.end(session);
        }
        let Some(member) = self.sessions.get_mut(&session) else {
            return;
        };
        if member.alarms.client_gives_up.is_some_and(|due| due <= now) {
            self.lose(session);
        }
    }

    /// Hands over the messages that are due; all of them when no time is given.
    pub(super) fn deliver_due(&mut self, session: i64, now: Option<Instant>) {
        let Some(member) = self.sessions.get_mut(&session) else {
            return;
        };
        if self.links[member.link].stalls(Direction::Answers) {
            return;
        }
        while let Some((due, _)) = member.messages.front() {
            if now.is_some_and(|now| *due > now) {
                return;
            }
            match member.messages.pop_front() {
                Some((_, Message::Event(queue, event))) => {
                    self.deferred.extend(queue.push(event).map(Deferred::Wake));
                }
                Some((_, Message::Answer(deliver))) => self.deferred.push(Deferred::Run(deliver)),
                None => return,
            }
        }
    }
}
