//! The one order in which the transactions of a job happened. Pure.
//!
//! Tokens give the order of transactions whose token is known: by the markers that they have left, or by the answer. The observer's events
//! show where sessions ended between them, and where a write happened of which nothing else is known.
//! Each transaction is carried out on the model in its place: its answers and its events have to be those that were seen.

use std::collections::VecDeque;

use elasticjob::registry::{Error, Step, WatchEvent, Written};

use super::check::{Fault, Rule, Violation};
use super::history::{CallNumber, History, Moment, Record, Request, Response, SessionNumber, job_of, marker};
use super::model::{Author, Tree};

/// A call and what is known of its end.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) number: CallNumber,
    pub(super) session: SessionNumber,
    pub(super) request: &'a Request,
    pub(super) called: Moment,
    pub(super) answer: Option<(Moment, &'a Response)>,
    /// When a sync was answered that its session asked for once it was connected again after an unknown outcome.
    pub(super) settled: Option<Moment>,
}

/// What a session's records say of it.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) id: i64,
    /// When it was to be closed, and whether nothing was in the way.
    pub(super) closing: Option<(Moment, bool)>,
    pub(super) ended: Option<Moment>,
    /// When it was last found connected after an unknown outcome.
    connected_again: Moment,
}

/// The records by calls and by sessions.
pub(super) struct Facts<'a> {
    pub(super) calls: Vec<Call<'a>>,
    pub(super) sessions: Vec<Life>,
}

/// The outcome of a transaction as its caller knows it.
#[derive(Debug)]
pub(super) enum Outcome<'a> {
    Done(&'a [Written]),
    /// At this step.
    Refused(usize, &'a Error),
    /// Certainly without effect.
    Nothing,
    Unknown,
    /// An error that no transaction here may have.
    Unexpected(&'a Error),
}

/// A place in the order of a job.
pub(super) struct Entry {
    pub(super) cause: Cause,
    /// Nothing before this moment has seen it.
    called: Option<Moment>,
    /// From this moment on it has happened.
    ended: Option<Moment>,
    /// The nodes afterwards.
    pub(super) tree: Tree,
    /// How many events there are up to here.
    pub(super) events: usize,
}

/// What made an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Start,
    Call(CallNumber),
    /// The end of a session, which the observer saw at this moment.
    Death(SessionNumber, Moment),
}

/// All that happened to a job.
pub(super) struct Timeline {
    pub(super) job: String,
    pub(super) entries: Vec<Entry>,
    pub(super) events: Vec<WatchEvent>,
    /// For each entry the latest moment at which it or an earlier one was called.
    called_until: Vec<Moment>,
}

impl<'a> Facts<'a> {
    pub(super) fn of(history: &'a History) -> Self {
        let mut facts = Self {
            calls: Vec::new(),
            sessions: Vec::new(),
        };
        for (moment, record) in history.records.iter().enumerate() {
            facts.take(moment, record);
        }
        facts
    }

    fn take(&mut self, moment: Moment, record: &'a Record) {
        match record {
            Record::Opened { id, .. } => self.sessions.push(Life {
                id: *id,
                closing: None,
                ended: None,
                connected_again: 0,
            }),
            Record::Called { call, session, request } => self.calls.push(Call {
                number: *call,
                session: *session,
                request,
                called: moment,
                answer: None,
                settled: None,
            }),
            Record::Answered { call, response } => {
                self.calls[call.0].answer = Some((moment, response));
                if let Response::Synced(Ok(())) = response {
                    self.settle(*call, moment);
                }
            }
            Record::Reconnected { session } => self.sessions[session.0].connected_again = moment,
            Record::Closing { session, is_calm } => self.sessions[session.0].closing = Some((moment, *is_calm)),
            Record::Ended { session } => self.sessions[session.0].ended = Some(moment),
            _ => {}
        }
    }

    /// Takes note that a session has the answer to a sync: its unknown outcomes from before it was connected again are
    /// certain.
    fn settle(&mut self, sync: CallNumber, moment: Moment) {
        let Call { session, called, .. } = self.calls[sync.0];
        let connected_again = self.sessions[session.0].connected_again;
        if called < connected_again {
            return;
        }
        let of_session = self.calls.iter_mut().filter(|call| call.session == session);
        for call in of_session.filter(|call| call.answer.is_some_and(|(answered, _)| answered < connected_again)) {
            if let Outcome::Unknown = call.outcome() {
                call.settled.get_or_insert(moment);
            }
        }
    }

    pub(super) fn call(&self, number: CallNumber) -> &Call<'a> {
        &self.calls[number.0]
    }

    fn session_of(&self, id: i64) -> Option<SessionNumber> {
        self.sessions.iter().position(|life| life.id == id).map(SessionNumber)
    }
}

impl<'a> Call<'a> {
    /// Returns the steps, if it is a transaction.
    pub(super) fn steps(&self) -> Option<&'a [Step]> {
        match self.request {
            Request::Write(steps) => Some(steps),
            _ => None,
        }
    }

    /// Returns what became of the transaction.
    pub(super) fn outcome(&self) -> Outcome<'a> {
        match self.answer {
            Some((_, Response::Written(Ok(answers)))) => Outcome::Done(answers),
            Some((_, Response::Written(Err(error)))) => match (error.step, &error.error) {
                (Some(step), error) => Outcome::Refused(step, error),
                (None, Error::ConnectionLoss) => Outcome::Unknown,
                (None, Error::SessionExpired) => Outcome::Nothing,
                (None, error) => Outcome::Unexpected(error),
            },
            _ => Outcome::Unknown,
        }
    }

    /// When it has happened, if it does.
    fn ended(&self) -> Option<Moment> {
        match self.outcome() {
            Outcome::Unknown => self.settled,
            _ => self.answer.map(|(moment, _)| moment),
        }
    }

    /// Returns the jobs in which it changes something.
    pub(super) fn jobs(&self) -> Vec<&'a str> {
        let changes = |step: &&Step| !matches!(step, Step::Check { .. });
        let mut jobs: Vec<_> = self
            .steps()
            .unwrap_or_default()
            .iter()
            .filter(changes)
            .map(|step| job_of(step.path()))
            .collect();
        jobs.sort_unstable();
        jobs.dedup();
        jobs
    }

    /// Whether it leaves a marker.
    fn is_marked(&self) -> bool {
        let is_marker = |step: &Step| step.path() == marker(job_of(step.path()), self.number);
        self.steps().unwrap_or_default().iter().any(is_marker)
    }
}

/// Returns the steps that concern a job, with their places in the transaction.
pub(super) fn steps_in<'a>(steps: &'a [Step], job: &'a str) -> impl Iterator<Item = (usize, &'a Step)> {
    steps
        .iter()
        .enumerate()
        .filter(move |(_, step)| job_of(step.path()) == job)
}

impl Timeline {
    /// Puts the transactions of a job in order.
    pub(super) fn of(history: &History, facts: &Facts<'_>, job: &str) -> Result<Self, Fault> {
        let seen = observed(history, facts, job)?;
        let Writes {
            mut known,
            mut unmarked,
        } = Writes::of(history, facts, job)?;
        let mut timeline = Self {
            job: job.to_owned(),
            entries: Vec::new(),
            events: Vec::new(),
            called_until: Vec::new(),
        };
        timeline.push(Cause::Start, None, None, Tree::of(job, &history.before));
        while let Some(result) = timeline.step(facts, &seen, &mut known, &mut unmarked) {
            result.map_err(|violation| violation.in_job(job))?;
        }
        timeline.check_order(facts)?;
        let wrong = timeline.last().tree.difference(&history.after, job);
        if let Some(path) = wrong.first() {
            let found = history.after.get(path);
            let what = format!("at the end, {path} is {found:?}, and not what the transactions made of it");
            return Err(Violation::new(Rule::State, what).in_job(job).into());
        }
        Ok(timeline)
    }

    /// Adds the next entry. `None` at the end.
    fn step(
        &mut self,
        facts: &Facts<'_>,
        seen: &[(Moment, &WatchEvent)],
        known: &mut VecDeque<(i64, CallNumber)>,
        unmarked: &mut Vec<CallNumber>,
    ) -> Option<Result<(), Violation>> {
        let rest = &seen[self.events.len().min(seen.len())..];
        let why = match known.front() {
            None if rest.is_empty() => return None,
            None => Violation::new(Rule::Events, "nothing is known that would make the event".to_owned()),
            Some((token, call)) => match self.carry_out(facts, *call, Some(*token), rest) {
                Ok(()) => {
                    known.pop_front();
                    return Some(Ok(()));
                }
                Err(violation) => violation,
            },
        };
        let Some((moment, event)) = rest.first() else {
            return Some(Err(why));
        };
        if let WatchEvent::Deleted(path) = event
            && let Some(owner) = self.last().tree.get(path).map(|node| node.owner)
            && let Some(session) = facts.session_of(owner)
        {
            return Some(self.bury(facts, session, rest));
        }
        if let WatchEvent::Changed(path) = event
            && let Some(place) = unmarked.iter().position(|call| sets(facts.call(*call), path))
        {
            return Some(self.carry_out(facts, unmarked.remove(place), None, rest));
        }
        Some(Err(why.with(&format!("the observer has {event:?}")).at(*moment)))
    }

    /// Carries out a transaction in the last place.
    fn carry_out(
        &mut self,
        facts: &Facts<'_>,
        number: CallNumber,
        token: Option<i64>,
        seen: &[(Moment, &WatchEvent)],
    ) -> Result<(), Violation> {
        let call = facts.call(number);
        let fault = |rule, what: String| {
            Violation::new(rule, format!("{number}: {what}"))
                .by(call.session)
                .at(call.called)
        };
        let answers = match call.outcome() {
            Outcome::Done(answers) => Some(answers),
            _ => None,
        };
        let author = Author {
            session: facts.sessions[call.session.0].id,
            token,
        };
        let (mut tree, mut done, mut events) = (self.last().tree.clone(), Vec::new(), Vec::new());
        for (index, step) in steps_in(call.steps().unwrap_or_default(), &self.job) {
            let name = match answers.map(|answers| answers.get(index)) {
                Some(Some(Written::Created(path))) => Some(path.as_str()),
                Some(_) => None,
                None => match seen.get(events.len()) {
                    Some((_, WatchEvent::Created(path))) => Some(path.as_str()),
                    _ => None,
                },
            };
            let result = tree.step(step, author, name);
            let one = result.map_err(|refusal| {
                fault(
                    Rule::Order,
                    format!("it happened, and in its place step {index} is {refusal:?}"),
                )
            })?;
            events.extend(one.event());
            done.push((index, one));
        }
        if !events
            .iter()
            .eq(seen.iter().take(events.len()).map(|(_, event)| *event))
        {
            let found: Vec<_> = seen.iter().take(events.len()).map(|(_, event)| event).collect();
            return Err(fault(
                Rule::Events,
                format!("its events are {events:?}, and {found:?} were seen"),
            ));
        }
        if let Some(answers) = answers {
            for (index, done) in &done {
                let is_right = answers.get(*index).is_some_and(|answer| done.is(answer));
                if !is_right {
                    return Err(fault(
                        Rule::Answers,
                        format!(
                            "the answer to step {index} is {:?}, and it was {done:?}",
                            answers.get(*index)
                        ),
                    ));
                }
            }
        }
        self.events.extend(events);
        self.push(Cause::Call(number), Some(call.called), call.ended(), tree);
        Ok(())
    }

    /// Ends a session in the last place: all its nodes go, and nothing comes between.
    fn bury(
        &mut self,
        facts: &Facts<'_>,
        session: SessionNumber,
        seen: &[(Moment, &WatchEvent)],
    ) -> Result<(), Violation> {
        let life = &facts.sessions[session.0];
        let mut tree = self.last().tree.clone();
        let nodes = tree.owned_by(life.id);
        for (_, event) in &seen[..nodes.len().min(seen.len())] {
            match event {
                WatchEvent::Deleted(path) if nodes.contains(path) => tree.remove(path),
                other => {
                    let what = format!("the nodes {nodes:?} end with it, and amid their end there is {other:?}");
                    return Err(Violation::new(Rule::Ephemeral, what).by(session).at(seen[0].0));
                }
            }
            self.events.push((*event).clone());
        }
        if !tree.owned_by(life.id).is_empty() {
            let what = format!("some of its nodes {nodes:?} have not gone with it");
            return Err(Violation::new(Rule::Ephemeral, what).by(session).at(seen[0].0));
        }
        let is_calm = life.closing.is_some_and(|(_, is_calm)| is_calm);
        self.push(
            Cause::Death(session, seen[0].0),
            None,
            life.ended.filter(|_| is_calm),
            tree,
        );
        Ok(())
    }

    fn push(&mut self, cause: Cause, called: Option<Moment>, ended: Option<Moment>, tree: Tree) {
        let before = self.called_until.last().copied().unwrap_or_default();
        self.called_until.push(before.max(called.unwrap_or_default()));
        self.entries.push(Entry {
            cause,
            called,
            ended,
            tree,
            events: self.events.len(),
        });
    }

    pub(super) fn last(&self) -> &Entry {
        self.entries.last().expect("a timeline has a start")
    }

    /// Transactions are in the order of time, and none comes after the end of its session.
    fn check_order(&self, facts: &Facts<'_>) -> Result<(), Fault> {
        let mut dead = Vec::new();
        let mut latest: Option<(Moment, Cause)> = None;
        for entry in &self.entries {
            if let (Some(ended), Some((called, cause))) = (entry.ended, latest)
                && ended < called
            {
                let what = format!(
                    "{:?} was over before {cause:?} began, which comes before it",
                    entry.cause
                );
                return Err(Violation::new(Rule::Order, what).at(ended).in_job(&self.job).into());
            }
            if let Some(called) = entry.called
                && latest.is_none_or(|(moment, _)| moment < called)
            {
                latest = Some((called, entry.cause));
            }
            match entry.cause {
                Cause::Death(session, _) => dead.push(session),
                Cause::Call(call) if dead.contains(&facts.call(call).session) => {
                    let session = facts.call(call).session;
                    let what = format!("{call} happened after the nodes of its session had gone");
                    return Err(Violation::new(Rule::Dead, what)
                        .by(session)
                        .at(facts.call(call).called)
                        .in_job(&self.job)
                        .into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns the place of a call.
    pub(super) fn place_of(&self, call: CallNumber) -> Option<usize> {
        self.entries.iter().position(|entry| entry.cause == Cause::Call(call))
    }

    /// Returns the last place that had certainly been reached at this moment.
    pub(super) fn reached(&self, moment: Moment) -> usize {
        let is_reached = |entry: &Entry| entry.ended.is_some_and(|ended| ended < moment);
        self.entries.iter().rposition(is_reached).unwrap_or_default()
    }

    /// Returns the last place that may have been reached at this moment.
    pub(super) fn reachable(&self, moment: Moment) -> usize {
        self.called_until
            .partition_point(|called| *called < moment)
            .saturating_sub(1)
    }
}

fn sets(call: &Call<'_>, path: &str) -> bool {
    call.steps().unwrap_or_default().iter().any(|step| step.path() == path)
}

/// Returns what the observer's watch on a job has seen, and when it was taken.
fn observed<'a>(history: &'a History, facts: &Facts<'_>, job: &str) -> Result<Vec<(Moment, &'a WatchEvent)>, Fault> {
    let is_watch = |call: &&Call<'_>| {
        call.session == history.observer && matches!(call.request, Request::Watch(path) if job_of(path) == job)
    };
    let watch = facts.calls.iter().find(is_watch).ok_or(Fault::Unobserved)?.number;
    let mut seen = Vec::new();
    for (moment, record) in history.records.iter().enumerate() {
        match record {
            Record::Event {
                watch: of,
                event: WatchEvent::Resync | WatchEvent::Closed,
            } if *of == watch => {
                return Err(Fault::Unobserved);
            }
            Record::Event { watch: of, event } if *of == watch => seen.push((moment, event)),
            _ => {}
        }
    }
    Ok(seen)
}

/// The transactions of a job.
struct Writes {
    /// Those that happened, in the order of their tokens.
    known: VecDeque<(i64, CallNumber)>,
    /// Those without a marker that may have happened.
    unmarked: Vec<CallNumber>,
}

impl Writes {
    fn of(history: &History, facts: &Facts<'_>, job: &str) -> Result<Self, Fault> {
        let (mut known, mut unmarked) = (Vec::new(), Vec::new());
        for call in facts.calls.iter().filter(|call| call.jobs().contains(&job)) {
            let fault = |rule, what: &str| {
                Violation::new(rule, format!("{}: {what}", call.number))
                    .by(call.session)
                    .at(call.called)
                    .in_job(job)
            };
            let traces = || {
                call.jobs()
                    .into_iter()
                    .map(|job| history.after.get(&marker(job, call.number)))
            };
            if !call.is_marked() {
                match call.outcome() {
                    Outcome::Done([Written::Set(stat)]) => known.push((stat.modified, call.number)),
                    Outcome::Unknown => unmarked.push(call.number),
                    _ => {}
                }
                continue;
            }
            let (left, missing) = (traces().flatten().count(), traces().filter(Option::is_none).count());
            match call.outcome() {
                Outcome::Done(_) if missing > 0 => {
                    return Err(fault(Rule::Atomic, "it was carried out, and has left no trace").into());
                }
                Outcome::Refused(..) | Outcome::Nothing if left > 0 => {
                    return Err(fault(Rule::Atomic, "it was not carried out, and has left a trace").into());
                }
                Outcome::Unexpected(error) => {
                    return Err(fault(Rule::Refusals, &format!("it ended with: {error}")).into());
                }
                _ if left > 0 && missing > 0 => {
                    return Err(fault(Rule::Atomic, "it has left a trace in one job alone").into());
                }
                _ => {}
            }
            if let Some((_, stat)) = history.after.get(&marker(job, call.number)) {
                known.push((stat.created, call.number));
            }
        }
        known.sort_unstable_by_key(|(token, _)| *token);
        match known.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => {
                let what = format!("{} and {} have the same token", pair[0].1, pair[1].1);
                Err(Violation::new(Rule::Order, what).in_job(job).into())
            }
            None => Ok(Self {
                known: known.into(),
                unmarked,
            }),
        }
    }
}
