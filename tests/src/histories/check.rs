//! Judges a history. Pure.

use std::collections::BTreeMap;
use std::fmt;

use elasticjob::registry::{Answer, Error, Read, Stat, Step, WatchEvent, Written};

use super::history::{CallNumber, History, Moment, Record, Request, Response, SessionNumber, job_of};
use super::model::{Author, Tree};
use super::timeline::{Call, Cause, Facts, Outcome, Timeline, steps_in};

/// The promise that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// All of a transaction happens, or nothing.
    Atomic,
    /// Transactions happen one after the other, between call and answer.
    Order,
    /// The answer to a step is what it did.
    Answers,
    /// What is refused cannot be carried out.
    Refusals,
    /// A watch gives each change, once, in order.
    Events,
    /// Events come before answers.
    EventsFirst,
    /// A read shows what there was, and nothing older than the session knows already.
    Reads,
    /// The end of a session is the end of what it does.
    Dead,
    /// Ephemeral nodes go with their session, and not before.
    Ephemeral,
    /// A call ends, and so do the watches of a session that is over.
    Ends,
    /// The nodes are those that transactions made.
    State,
}

/// What is wrong with a history.
#[derive(Debug)]
pub struct Violation {
    /// The promise that was broken.
    pub rule: Rule,
    /// What was seen and what was expected.
    pub what: String,
    /// The job in which it was seen.
    pub job: Option<String>,
    /// The session that saw it.
    pub session: Option<SessionNumber>,
    /// When.
    pub at: Option<Moment>,
}

/// Why a history is not judged to be right.
#[derive(Debug)]
pub enum Fault {
    /// It is wrong.
    Violation(Violation),
    /// The observer lost its connection, so that the order of events is not known. The seed has to be played again.
    Unobserved,
}

/// What a history has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Transactions that were carried out and answered.
    pub done: u64,
    /// Transactions that were refused.
    pub refused: u64,
    /// Unknown outcomes that turned out to have happened.
    pub happened: u64,
    /// Unknown outcomes that did not.
    pub undone: u64,
    /// Answers to reads.
    pub reads: u64,
    /// Events.
    pub events: u64,
    /// Watches that had to read everything again.
    pub resyncs: u64,
    /// Sessions whose end was seen.
    pub deaths: u64,
}

/// Judges a history.
///
/// # Errors
/// If it is wrong, or cannot be judged.
pub fn check(history: &History) -> Result<Shown, Fault> {
    let facts = Facts::of(history);
    let timelines = history.jobs.iter().map(|job| Timeline::of(history, &facts, job));
    let timelines = timelines.collect::<Result<Vec<_>, _>>()?;
    order_of_several_jobs(&facts, &timelines)?;
    let mut judge = Judge {
        facts: &facts,
        timelines: &timelines,
        floors: BTreeMap::new(),
        watches: BTreeMap::new(),
        ages: BTreeMap::new(),
        shown: Shown::default(),
    };
    for (moment, record) in history.records.iter().enumerate() {
        judge.record(moment, record)?;
    }
    judge.end()?;
    Ok(judge.shown)
}

/// Transactions that name several jobs come in the same order in each.
fn order_of_several_jobs(facts: &Facts<'_>, timelines: &[Timeline]) -> Result<(), Violation> {
    let [first, others @ ..] = timelines else { return Ok(()) };
    for other in others {
        let mut before: Option<(usize, CallNumber)> = None;
        for entry in &first.entries {
            let Cause::Call(call) = entry.cause else { continue };
            let Some(place) = other.place_of(call) else { continue };
            if let Some((_, earlier)) = before.filter(|(earlier, _)| *earlier > place) {
                let what = format!(
                    "{earlier} comes before {call} in {}, and after it in {}",
                    first.job, other.job
                );
                return Err(Violation::new(Rule::Order, what).at(facts.call(call).called));
            }
            before = Some((place, call));
        }
    }
    Ok(())
}

/// Goes through the records with what each session has to know.
struct Judge<'a> {
    facts: &'a Facts<'a>,
    timelines: &'a [Timeline],
    /// The place in each job that a session has seen.
    floors: BTreeMap<(SessionNumber, usize), usize>,
    watches: BTreeMap<CallNumber, Following>,
    /// When nodes were modified, by their paths and tokens.
    ages: BTreeMap<(String, i64), i64>,
    shown: Shown,
}

/// A watch, and which event may be its next.
struct Following {
    session: SessionNumber,
    streams: Vec<Stream>,
    is_closed: bool,
}

/// The events of one job that a watch has to give.
struct Stream {
    job: usize,
    /// Their numbers among all events of the job.
    events: Vec<usize>,
    /// Which of them may be next. There are several if it is not certain where the watch began.
    next: Vec<usize>,
}

impl Judge<'_> {
    fn record(&mut self, moment: Moment, record: &Record) -> Result<(), Violation> {
        match record {
            Record::Answered { call, response } => {
                let call = &self.facts.calls[call.0];
                self.answered(call, moment, response)
                    .map_err(|violation| violation.by(call.session).at(moment))
            }
            Record::Event { watch, event } => self.event(*watch, moment, event),
            Record::Unwatched { watch } => {
                self.watches.remove(watch);
                Ok(())
            }
            Record::Unanswered { call } => Err(Violation::new(Rule::Ends, format!("{call} has no end"))
                .by(self.facts.call(*call).session)
                .at(moment)),
            Record::Open { watch } => {
                Err(Violation::new(Rule::Ends, format!("the watch of {watch} does not end")).at(moment))
            }
            Record::Remains { path } => {
                Err(Violation::new(Rule::Ephemeral, format!("{path} outlives its session")).at(moment))
            }
            _ => Ok(()),
        }
    }

    fn answered(&mut self, call: &Call<'_>, moment: Moment, response: &Response) -> Result<(), Violation> {
        match (call.request, response) {
            (Request::Write(steps), _) => self.written(call, moment, steps),
            (Request::Read(reads), Response::Read(Ok(answers))) => self.read(call, moment, reads, answers),
            (Request::Sync, Response::Synced(Ok(()))) => {
                self.alive(call)?;
                for job in 0..self.timelines.len() {
                    self.knows(call.session, job, self.timelines[job].reached(call.called))?;
                }
                let settled = self.facts.calls.iter().filter(|other| other.settled == Some(moment));
                for call in settled {
                    for job in 0..self.timelines.len() {
                        if let Some(place) = self.timelines[job].place_of(call.number) {
                            self.knows(call.session, job, place)?;
                        }
                    }
                }
                Ok(())
            }
            (Request::Watch(path), Response::Watching(Ok(()))) => {
                self.watch(call, moment, path);
                Ok(())
            }
            (_, Response::Read(Err(error)) | Response::Synced(Err(error)) | Response::Watching(Err(error))) => {
                match error {
                    Error::ConnectionLoss | Error::SessionExpired => Ok(()),
                    error => Err(Violation::new(
                        Rule::Answers,
                        format!("{} ended with: {error}", call.number),
                    )),
                }
            }
            _ => Err(Violation::new(
                Rule::Answers,
                format!("{} has the answer to another request", call.number),
            )),
        }
    }

    fn written(&mut self, call: &Call<'_>, moment: Moment, steps: &[Step]) -> Result<(), Violation> {
        let places = self.timelines.iter().map(|timeline| timeline.place_of(call.number));
        let places: Vec<_> = places
            .enumerate()
            .filter_map(|(job, place)| Some((job, place?)))
            .collect();
        match call.outcome() {
            Outcome::Done(answers) => {
                self.shown.done += 1;
                self.alive(call)?;
                for (answer, step) in answers.iter().zip(steps) {
                    if let Written::Set(stat) = answer {
                        self.age(step.path(), stat)?;
                    }
                }
                if places.is_empty() {
                    return self.judged(call, moment, steps, None);
                }
                places
                    .into_iter()
                    .try_for_each(|(job, place)| self.knows(call.session, job, place))
            }
            Outcome::Refused(step, error) => {
                self.shown.refused += 1;
                self.alive(call)?;
                self.judged(call, moment, steps, Some((step, error)))
            }
            Outcome::Unknown if places.is_empty() => {
                self.shown.undone += 1;
                Ok(())
            }
            Outcome::Unknown => {
                self.shown.happened += 1;
                Ok(())
            }
            Outcome::Nothing => Ok(()),
            Outcome::Unexpected(error) => Err(Violation::new(
                Rule::Refusals,
                format!("{} ended with: {error}", call.number),
            )),
        }
    }

    /// A transaction that changed nothing was judged in some place between its call and its answer.
    fn judged(
        &mut self,
        call: &Call<'_>,
        moment: Moment,
        steps: &[Step],
        refusal: Option<(usize, &Error)>,
    ) -> Result<(), Violation> {
        let author = Author {
            session: self.facts.sessions[call.session.0].id,
            token: None,
        };
        let last = refusal.map_or(steps.len(), |(step, _)| step + 1);
        for job in 0..self.timelines.len() {
            let timeline = &self.timelines[job];
            let concerned: Vec<_> = steps_in(&steps[..last.min(steps.len())], &timeline.job).collect();
            if concerned.is_empty() {
                continue;
            }
            let refused_here = refusal.filter(|(step, _)| concerned.iter().any(|(index, _)| index == step));
            let fits = |place: &usize| match (timeline.entries[*place].tree.admits(&concerned, author), refused_here) {
                (Ok(()), None) => true,
                (Err((index, found)), Some((step, error))) => index == step && found.is(error),
                _ => false,
            };
            let from = self.floor(call.session, job).max(timeline.reached(call.called));
            let Some(place) = (from..=timeline.reachable(moment)).find(fits) else {
                let what = match refusal {
                    Some((step, error)) => format!(
                        "{}: step {step} was refused with `{error}`, and nowhere is it so",
                        call.number
                    ),
                    None => format!("{}: it was not refused, and everywhere it should be", call.number),
                };
                return Err(Violation::new(Rule::Refusals, what).in_job(&timeline.job));
            };
            self.knows(call.session, job, place)?;
        }
        Ok(())
    }

    fn read(&mut self, call: &Call<'_>, moment: Moment, reads: &[Read], answers: &[Answer]) -> Result<(), Violation> {
        self.shown.reads += 1;
        let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
        for (read, answer) in reads.iter().zip(answers) {
            let (Read::Data(path) | Read::Children(path)) = read;
            if let Answer::Data(Some((_, stat))) = answer {
                self.age(path, stat)?;
            }
            let Some(job) = self.job(path) else { continue };
            let timeline = &self.timelines[job];
            let from = self.floor(call.session, job);
            let mut places = from..=timeline.reachable(moment);
            let Some(place) = places.find(|place| shows(&timeline.entries[*place].tree, path, answer)) else {
                let was =
                    (0..timeline.entries.len()).rfind(|place| shows(&timeline.entries[*place].tree, path, answer));
                let place = match was {
                    Some(place) => format!("as it was after {:?}", timeline.entries[place].cause),
                    None => "as it never was".to_owned(),
                };
                let since = timeline.entries[from].cause;
                let what = format!(
                    "{} shows {path} {place}; the session knows what is up to {since:?}",
                    call.number
                );
                return Err(Violation::new(Rule::Reads, what).in_job(&timeline.job));
            };
            let seen = seen.entry(job).or_default();
            *seen = place.max(*seen);
        }
        seen.into_iter()
            .try_for_each(|(job, place)| self.knows(call.session, job, place))
    }

    /// A node was modified once at a time.
    fn age(&mut self, path: &str, stat: &Stat) -> Result<(), Violation> {
        let at = *self
            .ages
            .entry((path.to_owned(), stat.modified))
            .or_insert(stat.modified_at);
        if at == stat.modified_at {
            return Ok(());
        }
        let what = format!(
            "{path} was modified at {at} and at {}, by one transaction",
            stat.modified_at
        );
        Err(Violation::new(Rule::Answers, what))
    }

    /// A session that has been seen to end answers no more.
    fn alive(&self, call: &Call<'_>) -> Result<(), Violation> {
        for timeline in self.timelines {
            for entry in &timeline.entries {
                if let Cause::Death(session, moment) = entry.cause
                    && session == call.session
                    && moment < call.called
                {
                    let what = format!("{} was answered after the nodes of its session had gone", call.number);
                    return Err(Violation::new(Rule::Dead, what).in_job(&timeline.job));
                }
            }
        }
        Ok(())
    }

    /// A session has an answer that comes from this place: its watches have all events up to there.
    fn knows(&mut self, session: SessionNumber, job: usize, place: usize) -> Result<(), Violation> {
        let floor = self.floors.entry((session, job)).or_default();
        *floor = place.max(*floor);
        let timeline = &self.timelines[job];
        let (entry, cause) = (&timeline.entries[place], timeline.entries[place].cause);
        for (number, watch) in self
            .watches
            .iter_mut()
            .filter(|(_, watch)| watch.session == session && !watch.is_closed)
        {
            for stream in watch.streams.iter_mut().filter(|stream| stream.job == job) {
                let count = stream.events.partition_point(|event| *event < entry.events);
                let nearest = stream.next.iter().max().copied().unwrap_or_default();
                stream.next.retain(|next| *next >= count);
                if stream.next.is_empty() {
                    let missing: Vec<_> = stream.events[nearest..count]
                        .iter()
                        .map(|event| &timeline.events[*event])
                        .collect();
                    let what =
                        format!("an answer shows {cause:?}, and the watch of {number} had not given {missing:?}");
                    return Err(Violation::new(Rule::EventsFirst, what).in_job(&timeline.job));
                }
            }
        }
        Ok(())
    }

    fn watch(&mut self, call: &Call<'_>, moment: Moment, path: &str) {
        let streams = (0..self.timelines.len()).filter_map(|job| {
            let timeline = &self.timelines[job];
            if path != "/" && job_of(path) != timeline.job {
                return None;
            }
            let is_below = |event: &usize| is_at_or_below(path_of(&timeline.events[*event]), path);
            let events: Vec<_> = (0..timeline.events.len()).filter(is_below).collect();
            let count = |place: usize| events.partition_point(|event| *event < timeline.entries[place].events);
            let next = (count(self.floor(call.session, job))..=count(timeline.reachable(moment))).collect();
            Some(Stream { job, events, next })
        });
        let following = Following {
            session: call.session,
            streams: streams.collect(),
            is_closed: false,
        };
        self.watches.insert(call.number, following);
    }

    fn event(&mut self, number: CallNumber, moment: Moment, event: &WatchEvent) -> Result<(), Violation> {
        let watch = self.watches.get_mut(&number).expect("a watch begins before its events");
        let fault = |what: String| {
            Violation::new(Rule::Events, format!("the watch of {number}: {what}"))
                .by(watch.session)
                .at(moment)
        };
        if watch.is_closed && *event != WatchEvent::Closed {
            return Err(fault(format!("{event:?} comes after its end")));
        }
        match event {
            WatchEvent::Closed => watch.is_closed = true,
            WatchEvent::Resync => {
                self.shown.resyncs += 1;
                for stream in &mut watch.streams {
                    let timeline = &self.timelines[stream.job];
                    let last = timeline.entries[timeline.reachable(moment)].events;
                    let first = stream.next.iter().min().copied().unwrap_or_default();
                    stream.next = (first..=stream.events.partition_point(|event| *event < last)).collect();
                }
            }
            event => {
                self.shown.events += 1;
                let job = self
                    .timelines
                    .iter()
                    .position(|timeline| timeline.job == job_of(path_of(event)));
                let stream = watch.streams.iter_mut().find(|stream| Some(stream.job) == job);
                let Some(stream) = stream else {
                    return Err(fault(format!("{event:?} is in no job that it watches")));
                };
                let timeline = &self.timelines[stream.job];
                let at = |next: usize| stream.events.get(next).map(|event| &timeline.events[*event]);
                let expected: Vec<_> = stream.next.iter().map(|next| at(*next)).collect();
                let fitting: Vec<_> = stream
                    .next
                    .iter()
                    .filter(|next| at(**next) == Some(event))
                    .map(|next| next + 1)
                    .collect();
                if fitting.is_empty() {
                    let shown = &expected[..expected.len().min(3)];
                    return Err(fault(format!("{event:?} comes, and {shown:?} was to come next")).in_job(&timeline.job));
                }
                stream.next = fitting;
            }
        }
        Ok(())
    }

    /// Each watch of a session that lives has given all events there are, if its last call was a sync.
    fn end(&mut self) -> Result<(), Violation> {
        let entries = self.timelines.iter().flat_map(|timeline| &timeline.entries);
        let mut dead: Vec<_> = entries
            .filter_map(|entry| match entry.cause {
                Cause::Death(session, _) => Some(session),
                _ => None,
            })
            .collect();
        dead.sort_unstable();
        dead.dedup();
        self.shown.deaths = dead.len() as u64;
        for session in (0..self.facts.sessions.len()).map(SessionNumber) {
            let last = self.facts.calls.iter().rfind(|call| call.session == session);
            let is_answered = |call: &Call<'_>| matches!(call.answer, Some((_, Response::Synced(Ok(())))));
            if self.facts.sessions[session.0].ended.is_none() && last.is_some_and(is_answered) {
                for job in 0..self.timelines.len() {
                    self.knows(session, job, self.timelines[job].entries.len() - 1)?;
                }
            }
        }
        Ok(())
    }

    fn floor(&self, session: SessionNumber, job: usize) -> usize {
        self.floors.get(&(session, job)).copied().unwrap_or_default()
    }

    fn job(&self, path: &str) -> Option<usize> {
        self.timelines.iter().position(|timeline| timeline.job == job_of(path))
    }
}

fn shows(tree: &Tree, path: &str, answer: &Answer) -> bool {
    match answer {
        Answer::Data(found) => tree.shows(path, found.as_ref()),
        Answer::Children(found) => match (found, tree.children(path)) {
            (None, None) => true,
            (Some(found), Some(children)) => found.iter().eq(children.iter()),
            _ => false,
        },
    }
}

fn path_of(event: &WatchEvent) -> &str {
    match event {
        WatchEvent::Created(path) | WatchEvent::Changed(path) | WatchEvent::Deleted(path) => path,
        _ => "",
    }
}

fn is_at_or_below(path: &str, ancestor: &str) -> bool {
    let rest = if ancestor == "/" {
        Some("")
    } else {
        path.strip_prefix(ancestor)
    };
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Violation {
    pub(super) fn new(rule: Rule, what: String) -> Self {
        Self {
            rule,
            what,
            job: None,
            session: None,
            at: None,
        }
    }

    pub(super) fn in_job(mut self, job: &str) -> Self {
        self.job.get_or_insert_with(|| job.to_owned());
        self
    }

    pub(super) fn by(mut self, session: SessionNumber) -> Self {
        self.session.get_or_insert(session);
        self
    }

    pub(super) fn at(mut self, moment: Moment) -> Self {
        self.at.get_or_insert(moment);
        self
    }

    pub(super) fn with(mut self, more: &str) -> Self {
        self.what = format!("{}; {more}", self.what);
        self
    }
}

impl From<Violation> for Fault {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.rule)?;
        if let Some(job) = &self.job {
            write!(f, ", job {job}")?;
        }
        if let Some(session) = &self.session {
            write!(f, ", session {session}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl std::ops::AddAssign for Shown {
    fn add_assign(&mut self, other: Self) {
        self.done += other.done;
        self.refused += other.refused;
        self.happened += other.happened;
        self.undone += other.undone;
        self.reads += other.reads;
        self.events += other.events;
        self.resyncs += other.resyncs;
        self.deaths += other.deaths;
    }
}

#[cfg(test)]
mod tests;
