//! Pausing a whole job, and ending that.
//!
//! A pause is one node. The transaction that creates it also writes the epoch again, with its data unchanged. Each
//! claim checks the version of the epoch, so a claim that was decided before the pause, and comes after it, is refused.
//! Therefore nothing is claimed any more when the call returns, without waiting for the members to notice.
//!
//! Java members ignore the node. Their servers are switched off in the same call, with notes that say so, and only
//! servers with such notes are switched on when the pause ends: what an operator switched off stays off.

use serde::Serialize;

use crate::cluster::core::governor::resharding::Basis;
use crate::cluster::layout::Node;
use crate::cluster::note::Note;
use crate::cluster::pause::note_of_switch;
use crate::cluster::transaction::Transaction;
use crate::cluster::view::ServerStatus;
use crate::registry::CreateMode;

use super::parts::Part;
use super::survey::{Depth, Survey};
use super::switch::{Switch, throw};
use super::{Error, Operations, Switched};

/// What became of the pause of a whole job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum PauseChange {
    /// The job is paused, and a member of ours keeps it so: it switches off the servers of Java members that come.
    Begun,
    /// The job is paused. No member of ours is there to switch off servers that come, so Java members on servers that
    /// the registry does not know yet run it all the same. Members of ours obey the pause whenever they come.
    BegunUnkept,
    /// The pause is over.
    Ended,
    /// The job is paused as it was: an instance that was switched on starts nothing before the pause ends.
    Stays,
}

impl Operations {
    /// Pauses a job, and switches off each server on which something else than members that obey the pause may run.
    pub(super) async fn pause(&self, job: &str, note: &Note) -> Result<Switched, Error> {
        self.switch_in_parts(job, Depth::Whole, |survey| Ok(begin(survey, note)))
            .await
    }

    /// Ends the pause of a job, and switches on what it switched off; `None` if the job is not paused.
    pub(super) async fn end_pause(&self, job: &str) -> Result<Option<Switched>, Error> {
        let Some(pause) = self.survey(job, Depth::Brief).await?.view.pause else {
            return Ok(None);
        };
        let decide = |survey: &Survey| end(survey, pause.modified);
        Ok(Some(self.switch_in_parts(job, Depth::Whole, decide).await?))
    }
}

fn begin(survey: &Survey, note: &Note) -> Part<Switched> {
    let view = &survey.view;
    let mut transaction = Transaction::on(view);
    match &view.pause {
        // It is so already: an answer was lost, or this is a further part.
        Some(pause) if pause.note.as_ref() == Some(note) => {}
        // The newest word counts, if it is the newest still.
        Some(pause) => drop(transaction.set(Node::Pause, note.to_bytes(), Some(pause.version))),
        None => {
            transaction.create(Node::Pause, note.to_bytes(), CreateMode::Persistent);
            touch_epoch(&mut transaction, survey);
        }
    }
    let is_left_on = |ip: &str| {
        let mut instances = survey.instances_on(ip).peekable();
        instances.peek().is_some() && instances.all(|id| view.obeys_pause(id))
    };
    let enabled = view
        .servers
        .iter()
        .filter(|(_, status)| **status == ServerStatus::Enabled);
    let meant = enabled.map(|(ip, _)| ip).filter(|ip| !is_left_on(ip));
    let note = note_of_switch(Some(note));
    let (mut servers, is_last) = throw(&mut transaction, survey, meant, Some(&note));
    servers.extend(switched_off(survey).cloned());
    let change = if view.instances.iter().any(|id| view.obeys_pause(id)) {
        PauseChange::Begun
    } else {
        PauseChange::BegunUnkept
    };
    part(survey, transaction, servers, is_last, change)
}

fn part(
    survey: &Survey,
    transaction: Transaction<'_>,
    servers: Vec<String>,
    is_last: bool,
    change: PauseChange,
) -> Part<Switched> {
    Part {
        steps: transaction.into_steps(),
        result: Switched {
            job_name: survey.job().to_owned(),
            servers,
            pause: Some(change),
        },
        is_last,
    }
}

/// Ends the pause that was written by the transaction `meant`, and no other: a newer word counts.
pub(super) fn end(survey: &Survey, meant: i64) -> Result<Part<Switched>, Error> {
    let mut transaction = Transaction::on(&survey.view);
    match &survey.view.pause {
        Some(pause) if pause.modified == meant => {
            transaction.delete_version(Node::Pause, Some(pause.version));
        }
        Some(pause) => {
            return Err(Error::Paused {
                job: survey.job().to_owned(),
                note: pause.note.clone(),
            });
        }
        // It is over already: an answer was lost, or this is a further part.
        None => {}
    }
    let (servers, is_last) = throw(&mut transaction, survey, switched_off(survey), None);
    Ok(part(survey, transaction, servers, is_last, PauseChange::Ended))
}

/// Returns the servers that a pause switched off and that no operator has switched since.
fn switched_off(survey: &Survey) -> impl Iterator<Item = &String> {
    let is_of_pause = |ip: &&String| {
        let note = survey.note_of(&Switch::Server((*ip).clone()));
        note.is_some_and(|note| note.is_for_pause)
    };
    let disabled = survey
        .view
        .servers
        .iter()
        .filter(|(_, status)| **status == ServerStatus::Disabled);
    disabled.map(|(ip, _)| ip).filter(is_of_pause)
}

/// Writes what the epoch says once more, so that every claim that is on its way is of an earlier one.
fn touch_epoch(transaction: &mut Transaction<'_>, survey: &Survey) {
    match &survey.epoch {
        Some(epoch) => transaction.set(Node::Epoch, epoch.value.clone(), Some(epoch.stat.version)),
        None => transaction.create(Node::Epoch, Basis::default().to_bytes(), CreateMode::Persistent),
    };
}
