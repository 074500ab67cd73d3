//! The health of an application, for operators and their tools.
//!
//! Health is made from what this process knows, at the moment of the call. It asks the registry nothing, so that a
//! probe answers while the registry is away. The JSON form is the body of `/healthz` and `/readyz`.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::cluster::note::Note;
use crate::cluster::refusal::Trouble;
use crate::cluster::session::Membership;
use crate::cluster::worker::WorkerHandle;
use crate::cluster::worker::WorkerStatus;
use crate::registry::SessionState;
use crate::run::JobState;

/// A worker that is this late is blocked. Longer than any pause of a machine that is merely busy.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// The health of an application on this instance; see [`ElasticJob::health`](super::ElasticJob::health).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// Whether the application goes on by itself; if not, only a new process helps. It stays live while the registry does not
    /// answer, because a new process could not reach the registry either: the jobs come back with it.
    #[serde(rename = "live")]
    pub is_live: bool,
    /// Whether all jobs are registered and serve their schedules now: not before the start is complete, nor while the
    /// registry does not answer, nor while stopping.
    #[serde(rename = "ready")]
    pub is_ready: bool,
    /// The session with the registry; `None` if there is none at present.
    pub session: Option<SessionHealth>,
    /// The jobs by name.
    pub jobs: BTreeMap<String, JobHealth>,
}

/// The health of the session with the registry.
///
/// A process has one session with the registry, which all its jobs share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SessionHealth {
    /// The id of this instance, the same in all jobs while the session lives. A job that began again after a panic of its worker
    /// has another.
    pub instance: String,
    /// The state of the connection.
    pub state: SessionState,
    /// Whether work is held back because the registry has not answered for two thirds of the session timeout.
    #[serde(rename = "fenced")]
    pub is_fenced: bool,
}

/// The health of a job on this instance.
///
/// All lists and counts are those of this instance: other instances have their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct JobHealth {
    /// Whether the job is registered, starting, stopping or stopped here.
    pub state: JobState,
    /// Whether the job's event loop has been blocked for more than 30 s.
    #[serde(rename = "stuck")]
    pub is_stuck: bool,
    /// The items that this instance owns.
    pub items: Vec<u32>,
    /// The items that do not run because the job's sharding strategy gives them to no instance. Only the leader reports them.
    pub unassigned: Vec<u32>,
    /// The requests of this instance that the registry refuses for good or again and again, each with the reason.
    pub hindrances: Vec<String>,
    /// Whether the job is paused, so that none of its runs starts. A paused job is ready.
    #[serde(rename = "paused")]
    pub is_paused: bool,
    /// The operator, time and reason of the pause, if the job is paused and they are known.
    pub pause: Option<Note>,
    /// How many items run here or wait for room in the pool.
    pub running: usize,
    /// Since when at least one item has been running here without a break.
    #[serde(serialize_with = "as_text")]
    pub running_since: Option<Timestamp>,
    /// When the last firing began here.
    #[serde(serialize_with = "as_text")]
    pub last_firing: Option<Timestamp>,
    /// How many scheduled times of the items here have neither a verdict nor a recorded reason, although they should.
    pub unaccounted: u64,
    /// The items that failed here in their last runs, with the number of failures in a row, from `elasticjob.failed-runs` (a prop of the
    /// job, 3 by default) on. Such a job is ready, because a new process would fail as well.
    pub failing: BTreeMap<u32, u32>,
    /// Why the job stands by here although there is a session, or runs by an older configuration than the registry's.
    pub trouble: Option<String>,
}

impl Health {
    /// Returns a line for each problem: the reasons why the application is not ready or not live, then requests that the registry
    /// refuses, paused jobs, unassigned items, and items that fail again and again. Empty if there is none.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        problems.extend(self.session_problem().map(str::to_owned));
        for (name, job) in &self.jobs {
            let state = match job.state {
                JobState::Ready => None,
                JobState::Waiting => Some("is not registered at present"),
                JobState::StandingBy => Some("stands by: it takes no items here"),
                JobState::Draining => Some("is stopping"),
                JobState::Stopped => Some("has stopped"),
            };
            problems.extend(state.map(|state| format!("job `{name}` {state}")));
            problems.extend(job.trouble.iter().map(|trouble| format!("job `{name}`: {trouble}")));
            if job.is_stuck {
                problems.push(format!(
                    "job `{name}` has not reacted for over 30 s: its event loop is blocked"
                ));
            }
        }
        let others = self
            .hindrances()
            .chain(self.paused())
            .chain(self.unassigned())
            .chain(self.failing());
        if problems.is_empty() && !self.is_live {
            problems.push("the jobs cannot go on: see the log".to_owned());
        }
        if problems.is_empty() && !self.is_ready {
            problems.push("the application is starting or stopping".to_owned());
        }
        problems.extend(others);
        problems
    }

    fn hindrances(&self) -> impl Iterator<Item = String> {
        let of_job = |(name, job): (&String, &JobHealth)| {
            let texts = job.hindrances.iter();
            texts
                .map(|text| format!("job `{name}` cannot {text}"))
                .collect::<Vec<_>>()
        };
        self.jobs.iter().flat_map(of_job)
    }

    fn paused(&self) -> impl Iterator<Item = String> {
        let jobs = self.jobs.iter().filter(|(_, job)| job.is_paused);
        jobs.map(|(name, job)| {
            let said = job.pause.as_ref().map(|note| format!(" {note}")).unwrap_or_default();
            format!("job `{name}` is paused{said}")
        })
    }

    fn unassigned(&self) -> impl Iterator<Item = String> {
        let jobs = self.jobs.iter().filter(|(_, job)| !job.unassigned.is_empty());
        jobs.map(|(name, job)| {
            let items: Vec<String> = job.unassigned.iter().map(u32::to_string).collect();
            format!(
                "job `{name}`: its sharding strategy gives no instance the items {}",
                items.join(", ")
            )
        })
    }

    fn failing(&self) -> impl Iterator<Item = String> {
        self.jobs.iter().flat_map(|(name, job)| {
            let of_item = move |(item, runs): (&u32, &u32)| match runs {
                1 => format!("job `{name}`: the last run of item {item} failed"),
                _ => format!("job `{name}`: the last {runs} runs of item {item} failed"),
            };
            job.failing.iter().map(of_item)
        })
    }

    fn session_problem(&self) -> Option<&'static str> {
        match &self.session {
            None => Some("there is no session with the registry centre"),
            Some(session) if session.state != SessionState::Connected => {
                Some("the connection to the registry centre is lost")
            }
            Some(session) if session.is_fenced => {
                Some("the registry centre has not answered for too long, work is held back")
            }
            Some(_) => None,
        }
    }
}

impl SessionHealth {
    pub(super) fn of(membership: &Membership) -> Self {
        Self {
            instance: membership.id().to_string(),
            state: *membership.state().borrow(),
            is_fenced: membership.fence().is_passed(),
        }
    }

    pub(super) fn is_serving(&self) -> bool {
        self.state == SessionState::Connected && !self.is_fenced
    }
}

impl JobHealth {
    pub(super) fn of(worker: &WorkerHandle) -> Self {
        let status: &WorkerStatus = &worker.status;
        let now = status.now();
        Self {
            state: *worker.state.borrow(),
            is_stuck: status.overdue(tokio::time::Instant::now()) > STUCK_AFTER,
            items: now.items,
            unassigned: now.unassigned,
            hindrances: now.hindrances,
            is_paused: now.pause.is_some(),
            pause: now.pause.and_then(|pause| pause.note),
            running: now.running,
            running_since: now.running_since,
            last_firing: now.last_firing,
            unaccounted: now.unaccounted,
            failing: now.failing,
            trouble: now.trouble.as_ref().map(Trouble::to_text),
        }
    }
}

/// Writes a time as RFC 3339, and none as `null`.
fn as_text<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(state: JobState, session: Option<SessionState>, is_fenced: bool) -> Health {
        let job = JobHealth {
            state,
            is_stuck: false,
            items: vec![0, 2],
            unassigned: Vec::new(),
            hindrances: Vec::new(),
            is_paused: false,
            pause: None,
            running: 1,
            running_since: Some(Timestamp::UNIX_EPOCH),
            last_firing: None,
            unaccounted: 0,
            failing: BTreeMap::new(),
            trouble: None,
        };
        Health {
            is_live: true,
            is_ready: false,
            session: session.map(|state| SessionHealth {
                instance: "10.0.0.1@-@1@-@abc".to_owned(),
                state,
                is_fenced,
            }),
            jobs: BTreeMap::from([("sync".to_owned(), job)]),
        }
    }

    #[test]
    fn names_the_subject_of_each_problem() {
        let well = Health {
            is_ready: true,
            ..health(JobState::Ready, Some(SessionState::Connected), false)
        };
        assert_eq!(well.problems(), Vec::<String>::new());
        let lost = health(JobState::Waiting, None, false);
        assert_eq!(
            lost.problems(),
            [
                "there is no session with the registry centre",
                "job `sync` is not registered at present"
            ]
        );
        let fenced = health(JobState::Ready, Some(SessionState::Connected), true);
        assert_eq!(
            fenced.problems(),
            ["the registry centre has not answered for too long, work is held back"]
        );
        let mut unassigned = well.clone();
        unassigned.jobs.values_mut().for_each(|job| job.unassigned = vec![1, 3]);
        assert_eq!(
            unassigned.problems(),
            ["job `sync`: its sharding strategy gives no instance the items 1, 3"]
        );
        let mut hindered = well.clone();
        let hindrance = || vec!["share the items out: the request has 2 bytes, the limit is 1".to_owned()];
        hindered.jobs.values_mut().for_each(|job| job.hindrances = hindrance());
        assert_eq!(
            hindered.problems(),
            ["job `sync` cannot share the items out: the request has 2 bytes, the limit is 1"]
        );
        let mut failing = well.clone();
        failing
            .jobs
            .values_mut()
            .for_each(|job| job.failing = BTreeMap::from([(0, 3), (2, 1)]));
        assert_eq!(
            failing.problems(),
            [
                "job `sync`: the last 3 runs of item 0 failed",
                "job `sync`: the last run of item 2 failed"
            ]
        );
        let mut refused = health(JobState::StandingBy, Some(SessionState::Connected), false);
        let trouble = "it cannot run by the configuration in the registry: no such handler";
        refused
            .jobs
            .values_mut()
            .for_each(|job| job.trouble = Some(trouble.to_owned()));
        assert_eq!(
            refused.problems(),
            [
                "job `sync` stands by: it takes no items here".to_owned(),
                format!("job `sync`: {trouble}")
            ]
        );
        let mut paused = well.clone();
        let note = Note::parse(br#"{"at":"2026-11-30T03:00:00Z","by":"alice","reason":"month end freeze"}"#);
        paused.jobs.values_mut().for_each(|job| {
            job.is_paused = true;
            job.pause.clone_from(&note);
        });
        assert_eq!(
            paused.problems(),
            ["job `sync` is paused since 2026-11-30T03:00:00Z by alice: month end freeze"]
        );
        let mut stuck = health(JobState::Ready, Some(SessionState::Connected), false);
        stuck.jobs.values_mut().for_each(|job| job.is_stuck = true);
        assert_eq!(
            stuck.problems(),
            ["job `sync` has not reacted for over 30 s: its event loop is blocked"]
        );
    }

    #[test]
    fn it_should_be_read_by_machines() {
        let text = serde_json::to_string(&health(JobState::Draining, Some(SessionState::Suspended), true)).unwrap();
        assert_eq!(
            text,
            r#"{"live":true,"ready":false,"session":{"instance":"10.0.0.1@-@1@-@abc","state":"suspended","fenced":true},"jobs":{"sync":{"state":"draining","stuck":false,"items":[0,2],"unassigned":[],"hindrances":[],"paused":false,"pause":null,"running":1,"running_since":"1970-01-01T00:00:00Z","last_firing":null,"unaccounted":0,"failing":{},"trouble":null}}}"#
        );
    }
}
