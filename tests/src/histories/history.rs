//! What sessions asked of a registry and what they were given, in the order in which the clients saw it.

use std::collections::BTreeMap;
use std::fmt;

use elasticjob::registry::{Answer, Error, Read, Stat, Step, WatchEvent, WriteError, Written};

/// A place among the records of a history: what is before was seen before.
pub type Moment = usize;

/// A session, by the order in which they were opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionNumber(pub usize);

/// A call, by the order in which they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallNumber(pub usize);

/// What a session asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A transaction.
    Write(Vec<Step>),
    /// Some reads.
    Read(Vec<Read>),
    /// A sync.
    Sync,
    /// A watch on a path. Its events bear the number of this call.
    Watch(String),
}

/// What it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// To a transaction.
    Written(Result<Vec<Written>, WriteError>),
    /// To reads.
    Read(Result<Vec<Answer>, Error>),
    /// To a sync.
    Synced(Result<(), Error>),
    /// To a watch, which begins.
    Watching(Result<(), Error>),
}

/// Something that a client did or saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A session was opened, with this id.
    Opened {
        /// Which one.
        session: SessionNumber,
        /// What its ephemeral nodes are marked with.
        id: i64,
    },
    /// A session asks.
    Called {
        /// What answers refer to.
        call: CallNumber,
        /// Which session.
        session: SessionNumber,
        /// For what.
        request: Request,
    },
    /// A call was answered. The events that could be taken then are recorded before.
    Answered {
        /// Which one.
        call: CallNumber,
        /// By what.
        response: Response,
    },
    /// A call was not answered in all the time that there was.
    Unanswered {
        /// Which one.
        call: CallNumber,
    },
    /// An event was taken from a watch.
    Event {
        /// The call that began the watch.
        watch: CallNumber,
        /// What happened.
        event: WatchEvent,
    },
    /// A watch was dropped.
    Unwatched {
        /// The call that began it.
        watch: CallNumber,
    },
    /// After calls with unknown outcomes, a session is found connected.
    Reconnected {
        /// Which one.
        session: SessionNumber,
    },
    /// A session is to be closed.
    Closing {
        /// Which one.
        session: SessionNumber,
        /// Whether nothing keeps the registry from learning of it.
        is_calm: bool,
    },
    /// A session is over for its client: it was closed, is lost, or its process was killed.
    Ended {
        /// Which one.
        session: SessionNumber,
    },
    /// The session is over, and one of its watches does not say so.
    Open {
        /// The call that began the watch.
        watch: CallNumber,
    },
    /// An ephemeral node is there long after the end of its session.
    Remains {
        /// Which one.
        path: String,
    },
}

/// Nodes by their paths.
pub type Nodes = BTreeMap<String, (Vec<u8>, Stat)>;

/// All that is known of one play.
#[derive(Debug)]
pub struct History {
    /// In the order in which it happened.
    pub records: Vec<Record>,
    /// The first path segments.
    pub jobs: Vec<String>,
    /// The session that nothing is done to. Its watches, one on each job, are the first.
    pub observer: SessionNumber,
    /// What was there before the first turn.
    pub before: Nodes,
    /// What was there when all was over.
    pub after: Nodes,
}

/// The node that a transaction creates in each job that it names, so that its outcome and its token can be read.
#[must_use]
pub fn marker(job: &str, call: CallNumber) -> String {
    format!("/{job}/log/{call}")
}

/// The ephemeral node of a session in a job, which shows its end to the observer.
#[must_use]
pub fn sign_of_life(job: &str, session: SessionNumber) -> String {
    format!("/{job}/live/{session}")
}

/// Returns the first segment of a path.
#[must_use]
pub fn job_of(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or_default()
}

impl fmt::Display for SessionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

impl fmt::Display for CallNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}", self.0)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened { session, id } => write!(f, "{session} is opened, with the id {id:x}"),
            Self::Called { call, session, request } => write!(f, "{session} calls {call}: {request}"),
            Self::Answered { call, response } => write!(f, "    {call} is answered: {response}"),
            Self::Unanswered { call } => write!(f, "    {call} is not answered"),
            Self::Event { watch, event } => write!(f, "    the watch of {watch} has {event:?}"),
            Self::Unwatched { watch } => write!(f, "    the watch of {watch} is dropped"),
            Self::Reconnected { session } => write!(f, "{session} is connected again"),
            Self::Closing { session, is_calm: true } => write!(f, "{session} is to be closed"),
            Self::Closing { session, .. } => write!(f, "{session} is to be closed amid a fault"),
            Self::Ended { session } => write!(f, "{session} is over"),
            Self::Open { watch } => write!(f, "    the watch of {watch} does not end with its session"),
            Self::Remains { path } => write!(f, "{path} remains"),
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(steps) => list(f, "write", steps.iter().map(step)),
            Self::Read(reads) => list(f, "read", reads.iter().map(|read| format!("{read:?}"))),
            Self::Sync => f.write_str("sync"),
            Self::Watch(path) => write!(f, "watch {path}"),
        }
    }
}

impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Written(Ok(answers)) => list(f, "written", answers.iter().map(|answer| format!("{answer:?}"))),
            Self::Read(Ok(answers)) => list(f, "read", answers.iter().map(answer)),
            Self::Synced(Ok(())) => f.write_str("synced"),
            Self::Watching(Ok(())) => f.write_str("watching"),
            Self::Written(Err(error)) => write!(f, "{error}"),
            Self::Read(Err(error)) | Self::Synced(Err(error)) | Self::Watching(Err(error)) => write!(f, "{error}"),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, what: &str, parts: impl Iterator<Item = String>) -> fmt::Result {
    write!(f, "{what} [{}]", parts.collect::<Vec<_>>().join(", "))
}

fn step(step: &Step) -> String {
    let at = |version: &Option<i32>| version.map(|version| format!(" at {version}")).unwrap_or_default();
    match step {
        Step::Create { path, data, mode } => format!("create {path} = {} ({mode:?})", text(data)),
        Step::Set { path, data, version } => format!("set {path} = {}{}", text(data), at(version)),
        Step::Delete { path, version } => format!("delete {path}{}", at(version)),
        Step::Check { path, version } => format!("check {path}{}", at(version)),
    }
}

fn answer(answer: &Answer) -> String {
    match answer {
        Answer::Data(Some((data, stat))) => format!("{} {stat:?}", text(data)),
        Answer::Data(None) | Answer::Children(None) => "no node".to_owned(),
        Answer::Children(Some(names)) => format!("{names:?}"),
    }
}

/// Data as text, of which only the beginning is shown.
pub(super) fn text(data: &[u8]) -> String {
    const SHOWN: usize = 24;
    let text = String::from_utf8_lossy(data);
    let shown: String = text.chars().take(SHOWN).collect();
    if shown.len() == text.len() {
        format!("`{text}`")
    } else {
        format!("`{shown}..` of {} bytes", data.len())
    }
}
