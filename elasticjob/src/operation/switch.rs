//! Switching servers and items on and off.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::cluster::layout::{ItemKind, Node};
use crate::cluster::note::TEXT_LIMIT;
use crate::cluster::transaction::Transaction;
use crate::cluster::view::ServerStatus;
use crate::registry::{CreateMode, Step};

use super::parts::Part;
use super::pause::PauseChange;
use super::survey::{Depth, Survey};
use super::{Error, Note, Operations, Target};

/// What was switched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Switched {
    /// The name of the job.
    pub job_name: String,
    /// Its servers that the operation was about, whether they had to be changed or not. If the whole job was paused, or its
    /// pause ended: those that were switched for that.
    pub servers: Vec<String>,
    /// What became of the pause of the whole job; `None` if there is none.
    pub pause: Option<PauseChange>,
}

/// What can be switched off, and has a note then.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Switch {
    Server(String),
    Item(u32),
}

impl Operations {
    /// Returns a note for a switch at this time, with the operator and the reason.
    ///
    /// The time is that of the clock of these operations. Either text may be `None`: the note then says that it is
    /// unknown.
    #[must_use]
    pub fn note(&self, by: Option<&str>, reason: Option<&str>) -> Note {
        Note {
            at: self.now(),
            by: by.map(str::to_owned),
            reason: reason.map(str::to_owned),
            is_for_pause: false,
        }
    }

    /// Switches servers off, or pauses a job.
    ///
    /// ```no_run
    /// use elasticjob::operation::{Operations, Target};
    ///
    /// # async fn f(operations: &Operations) -> Result<(), elasticjob::operation::Error> {
    /// let note = operations.note(Some("mei"), Some("the warehouse is being moved"));
    /// for switched in operations.disable(&Target::job("sync_orders"), Some(note)).await? {
    ///     println!("{}: {:?}", switched.job_name, switched.pause);
    /// }
    /// // Later:
    /// operations.enable(&Target::job("sync_orders")).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [`Target::Server`] and [`Target::JobOnServer`]: the server's instances of the job give their items away, and get
    /// none.
    ///
    /// [`Target::Job`]: no member of ours starts anything of the job until [`enable`](Self::enable), on whichever server and
    /// however often it is restarted. When this returns nothing more is claimed; what was claimed before goes on to its end.
    /// Scheduled times that come meanwhile are skipped and accounted for as such, [`trigger`](Self::trigger) is refused, and
    /// what waits to be taken over goes on waiting. Java members do not know of pauses: their servers are switched off, and
    /// a member of ours switches those off that come later; see [`PauseChange`].
    ///
    /// # Errors
    /// [`Error::NoSuchJob`], [`Error::NoSuchServer`], [`Error::NoteTooLong`], [`Error::Busy`], [`Error::Registry`]; if it is
    /// about several jobs, the others may have been switched.
    ///
    /// # Cancel safety
    /// Dropping the future leaves open which jobs are switched. The call can be repeated with the same note.
    pub async fn disable(&self, target: &Target, note: Option<Note>) -> Result<Vec<Switched>, Error> {
        let note = checked(note.unwrap_or_else(|| self.note(None, None)))?;
        if let Target::Job(job) = target {
            return Ok(vec![self.pause(job, &note).await?]);
        }
        let jobs = self.jobs_of(target).await?;
        let switched = self.each(jobs, async |job| {
            let decide = |survey: &Survey| Ok(turn(survey, target, Some(&note)));
            self.switch_in_parts(&job, Depth::Whole, decide).await
        });
        switched.await
    }

    /// Switches servers on, or ends the pause of a job.
    ///
    /// [`Target::Job`]: if the job is paused, the pause ends, and the servers that it switched off are switched on; those
    /// that an operator switched off stay so. If it is not paused, all its servers are switched on.
    ///
    /// # Errors
    /// As [`disable`](Self::disable).
    pub async fn enable(&self, target: &Target) -> Result<Vec<Switched>, Error> {
        if let Target::Job(job) = target
            && let Some(switched) = self.end_pause(job).await?
        {
            return Ok(vec![switched]);
        }
        let jobs = self.jobs_of(target).await?;
        let switched = self.each(jobs, async |job| {
            self.switch_in_parts(&job, Depth::Whole, |survey| Ok(turn(survey, target, None)))
                .await
        });
        switched.await
    }

    /// Switches all servers of a job off, as the Java console does to disable the job. The job is not paused: a server that comes
    /// later is on. [`disable`](Self::disable) pauses it.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`], [`Error::NoteTooLong`], [`Error::Busy`], [`Error::Registry`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves open which servers are switched. The call can be repeated with the same note.
    pub async fn disable_servers(&self, job: &str, note: Option<Note>) -> Result<Switched, Error> {
        let note = checked(note.unwrap_or_else(|| self.note(None, None)))?;
        let target = Target::job(job);
        self.switch_in_parts(job, Depth::Whole, |survey| Ok(turn(survey, &target, Some(&note))))
            .await
    }

    /// Switches all servers of a job on, as the Java console does to enable the job, and ends a pause of the job. Servers that an operator
    /// switched off one by one are on, too.
    ///
    /// # Errors
    /// As [`disable_servers`](Self::disable_servers).
    ///
    /// # Cancel safety
    /// Dropping the future leaves open which servers are switched. The call can be repeated.
    pub async fn enable_servers(&self, job: &str) -> Result<Switched, Error> {
        let ended = self.end_pause(job).await?;
        let target = Target::job(job);
        let mut switched = self
            .switch_in_parts(job, Depth::Whole, |survey| Ok(turn(survey, &target, None)))
            .await?;
        switched.pause = ended.map_or(switched.pause, |ended| ended.pause);
        Ok(switched)
    }

    /// Switches one item off: no run of it begins until [`enable_item`](Self::enable_item), and its scheduled times are skipped with
    /// that reason. A run that goes on is not ended: [`cancel`](Self::cancel) does that. The note is shown with the item.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`], [`Error::NoSuchItem`], [`Error::NoteTooLong`], [`Error::Busy`], [`Error::Registry`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves open whether the item is switched off. The call can be repeated with the same note.
    pub async fn disable_item(&self, job: &str, item: u32, note: Option<Note>) -> Result<(), Error> {
        let note = checked(note.unwrap_or_else(|| self.note(None, None)))?;
        let decide = |survey: &Survey| turn_item(survey, item, Some(&note));
        self.change(job, Depth::Whole, decide).await
    }

    /// Switches one item on, and removes the note. It runs at its next scheduled time. If it is on already, nothing changes.
    ///
    /// # Errors
    /// As [`disable_item`](Self::disable_item).
    pub async fn enable_item(&self, job: &str, item: u32) -> Result<(), Error> {
        self.change(job, Depth::Whole, |survey| turn_item(survey, item, None))
            .await
    }

    /// Changes what concerns servers of a job, in as many transactions as it takes.
    pub(super) async fn switch_in_parts(
        &self,
        job: &str,
        depth: Depth,
        decide: impl Fn(&Survey) -> Result<Part<Switched>, Error>,
    ) -> Result<Switched, Error> {
        let parts = self.change_in_parts(job, depth, decide).await?;
        let pause = parts.last().and_then(|last| last.pause);
        // A later part no longer sees what an earlier one has removed.
        let servers: BTreeSet<String> = parts.into_iter().flat_map(|part| part.servers).collect();
        Ok(Switched {
            job_name: job.to_owned(),
            servers: servers.into_iter().collect(),
            pause,
        })
    }

    /// The jobs that an operation is about, all of which know the server, if it is about one.
    pub(super) async fn jobs_of(&self, target: &Target) -> Result<Vec<String>, Error> {
        let named = match target {
            Target::Job(job) | Target::JobOnServer { job, .. } => Some(job),
            Target::Server(_) => None,
        };
        let surveys = match named {
            Some(job) => vec![self.survey(job, Depth::Brief).await?],
            None => {
                let names = self.names().await?;
                self.surveys(names.iter().map(String::as_str), Depth::Brief).await?
            }
        };
        let is_concerned = |survey: &&Survey| match target.server_name() {
            None => true,
            Some(server) => survey.view.servers.contains_key(server) || survey.instances_on(server).next().is_some(),
        };
        let concerned = surveys.iter().filter(is_concerned);
        let jobs: Vec<String> = concerned.map(|survey| survey.job().to_owned()).collect();
        match target.server_name() {
            Some(server) if jobs.is_empty() => Err(Error::NoSuchServer {
                server: server.to_owned(),
                job: named.cloned(),
            }),
            _ => Ok(jobs),
        }
    }
}

/// The note, if its texts are short enough to be kept.
pub(super) fn checked(note: Note) -> Result<Note, Error> {
    let longest = [&note.by, &note.reason].into_iter().flatten().map(String::len).max();
    match longest {
        Some(length) if length > TEXT_LIMIT => Err(Error::NoteTooLong {
            length,
            limit: TEXT_LIMIT,
        }),
        _ => Ok(note),
    }
}

/// Throws the switches of a job's servers: off with a note, on without.
fn turn(survey: &Survey, target: &Target, note: Option<&Note>) -> Part<Switched> {
    let is_meant = |ip: &str| target.server_name().is_none_or(|server| server == ip);
    let meant = || survey.view.servers.iter().filter(|(ip, _)| is_meant(ip));
    // Once the switch is as wanted with the note that is wanted there is nothing to do: an answer may have been lost.
    let is_done = |(ip, status): &(&String, &ServerStatus)| match note {
        Some(note) => {
            **status == ServerStatus::Disabled && survey.note_of(&Switch::Server((*ip).clone())) == Some(note)
        }
        None => **status == ServerStatus::Enabled,
    };
    let mut transaction = Transaction::on(&survey.view);
    let to_be_thrown = meant().filter(|server| !is_done(server)).map(|(ip, _)| ip);
    let (_, is_last) = throw(&mut transaction, survey, to_be_thrown, note);
    Part {
        steps: transaction.into_steps(),
        result: Switched {
            job_name: survey.job().to_owned(),
            servers: meant().map(|(ip, _)| ip.clone()).collect(),
            pause: survey.view.is_paused().then_some(PauseChange::Stays),
        },
        is_last,
    }
}

/// Throws the switches of as many of the servers as fit into the transaction, off with a note or on without. Returns which
/// these are, and whether they are all.
pub(super) fn throw<'a>(
    transaction: &mut Transaction<'_>,
    survey: &Survey,
    servers: impl IntoIterator<Item = &'a String>,
    note: Option<&Note>,
) -> (Vec<String>, bool) {
    let text = if note.is_some() { "DISABLED" } else { "ENABLED" };
    let mut thrown = Vec::new();
    for ip in servers {
        let is_added = transaction.add_if_it_fits(|transaction| {
            transaction.set(Node::Server(ip), text, None);
            write_note(transaction, survey, &Switch::Server(ip.clone()), note);
        });
        if !is_added {
            return (thrown, false);
        }
        thrown.push(ip.clone());
    }
    (thrown, true)
}

fn turn_item(survey: &Survey, item: u32, note: Option<&Note>) -> Result<(Vec<Step>, ()), Error> {
    let known = survey.view.items.get(&item).filter(|view| view.exists);
    let total = survey
        .configuration()
        .and_then(Result::ok)
        .map_or(0, |config| config.sharding_total_count().get());
    if known.is_none() && item >= total {
        let job = survey.job().to_owned();
        return Err(Error::NoSuchItem { job, item, total });
    }
    let switch = Switch::Item(item);
    let node = Node::ItemState {
        item,
        kind: ItemKind::Disabled,
    };
    let is_disabled = known.is_some_and(|view| view.is_disabled);
    let mut transaction = Transaction::on(&survey.view);
    match note {
        Some(note) if is_disabled && survey.note_of(&switch) == Some(note) => return Ok((Vec::new(), ())),
        // So that the switch is of the same transaction as the note.
        Some(_) if is_disabled => {
            transaction.set(node, "", None);
        }
        Some(_) => {
            transaction.create(node, "", CreateMode::Persistent);
        }
        None if is_disabled => {
            transaction.delete(node);
        }
        None => return Ok((Vec::new(), ())),
    }
    write_note(&mut transaction, survey, &switch, note);
    Ok((transaction.into_steps(), ()))
}

/// Writes the note of a switch, or removes it.
pub(super) fn write_note(transaction: &mut Transaction<'_>, survey: &Survey, switch: &Switch, note: Option<&Note>) {
    let node = match switch {
        Switch::Server(ip) => Node::ServerNote(ip),
        Switch::Item(item) => Node::ItemNote(*item),
    };
    match (note, survey.notes.contains_key(switch)) {
        (Some(note), true) => transaction.set(node, note.to_bytes(), None),
        (Some(note), false) => transaction.create(node, note.to_bytes(), CreateMode::Persistent),
        (None, true) => transaction.delete(node),
        (None, false) => transaction,
    };
}
