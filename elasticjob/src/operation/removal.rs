//! Shutting jobs down and removing what is left of them.

use std::collections::BTreeSet;

use crate::cluster::layout::Node;
use crate::cluster::transaction::Transaction;
use crate::registry::{Answer, Read};

use super::parts::Part;
use super::remaining::{Next, Remaining, deletion};
use super::shell::{may_be_name, read_all};
use super::survey::{Depth, Survey};
use super::switch::Switch;
use super::switch::write_note;
use super::{Error, Operations, Switched, Target};

/// So many transactions of the removal of a job may be refused, since others write to it meanwhile, or have unknown outcomes.
const REFUSALS: u32 = 10;

impl Operations {
    /// Shuts jobs down: their instances fire no more, let their items end, and leave. The processes go on, and the jobs come back when
    /// these start again. Returns the jobs with the servers on which instances were shut down; it does not wait for their end.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`], [`Error::NoSuchServer`], [`Error::Busy`], [`Error::Registry`]; where it is about several
    /// jobs, others may have been shut down.
    ///
    /// # Cancel safety
    /// Dropping the future may leave some jobs shut down and others not. The call can be repeated.
    pub async fn shut_down(&self, target: &Target) -> Result<Vec<Switched>, Error> {
        let jobs = self.jobs_of(target).await?;
        let done = self.each(jobs, async |job| {
            self.switch_in_parts(&job, Depth::Brief, |survey| Ok(shutdown(survey, target)))
                .await
        });
        done.await
    }

    /// Shuts one instance down in all its jobs, and returns their names. It counts as alive until it has left, so no failover follows.
    ///
    /// # Errors
    /// [`Error::NoSuchInstance`], [`Error::Busy`], [`Error::Registry`].
    pub async fn shut_down_instance(&self, instance: &str) -> Result<Vec<String>, Error> {
        let jobs = self.jobs_of_instance(instance).await?;
        let done = self.each(jobs, async |job| {
            let decide = |survey: &Survey| {
                let mut transaction = Transaction::on(&survey.view);
                if survey.view.instances.iter().any(|id| id.as_str() == instance) {
                    transaction.delete(Node::Instance(instance));
                }
                Ok((transaction.into_steps(), survey.job().to_owned()))
            };
            self.change(&job, Depth::Brief, decide).await
        });
        done.await
    }

    /// Shuts jobs down, and removes their servers from the registry, with their switches and notes. A process that starts again creates
    /// its server again, switched on.
    ///
    /// # Errors
    /// As [`shut_down`](Self::shut_down).
    pub async fn remove(&self, target: &Target) -> Result<Vec<Switched>, Error> {
        let jobs = self.jobs_of(target).await?;
        let done = self.each(jobs, async |job| {
            self.switch_in_parts(&job, Depth::Whole, |survey| Ok(removal(survey, target)))
                .await
        });
        done.await
    }

    /// Removes a job with everything that the registry has of it: configuration, ledger, switches, leader. Returns the number of nodes.
    /// It cannot be undone. A job of many items is removed in many transactions; if they stop half-way, the call can be repeated.
    ///
    /// # Errors
    /// [`Error::Running`] while it has instances, also if these only end their last runs: they would create parts of it
    /// again. [`Error::NoSuchJob`], [`Error::Busy`], [`Error::Registry`].
    ///
    /// # Cancel safety
    /// Dropping the future may leave a part of the nodes. The call can be repeated.
    pub async fn remove_job(&self, job: &str) -> Result<usize, Error> {
        let instances = self.present(job).await?;
        if !instances.is_empty() {
            return Err(Error::Running {
                job: job.to_owned(),
                instances,
            });
        }
        self.remove_subtree(job).await
    }

    /// Returns the instances of a job, also those that an operator has shut down: they are members until their last runs are
    /// recorded. Reads nothing of its items.
    async fn present(&self, job: &str) -> Result<Vec<String>, Error> {
        let no_such_job = || Error::NoSuchJob { job: job.to_owned() };
        if !may_be_name(job) {
            return Err(no_such_job());
        }
        let nodes = [Node::Root, Node::Instances, Node::Members];
        let children = self.children(nodes.map(|node| node.of(job)).into()).await?;
        if children.first().is_none_or(Option::is_none) {
            return Err(no_such_job());
        }
        let present: BTreeSet<String> = children.into_iter().skip(1).flatten().flatten().collect();
        Ok(present.into_iter().collect())
    }

    /// Deletes a job's nodes. Returns how many they were.
    async fn remove_subtree(&self, job: &str) -> Result<usize, Error> {
        let mut remaining = Remaining::below(Node::Root.of(job), self.session().await?.limits());
        let (mut deleted, mut refusals) = (0, 0);
        while let Some(next) = remaining.next() {
            match next {
                Next::List(paths) => {
                    let children = self.children(paths.clone()).await?;
                    remaining.listed(paths.into_iter().zip(children));
                }
                Next::Delete(paths) if self.write(deletion(&paths)).await? => deleted += paths.len(),
                Next::Delete(_) if refusals == REFUSALS => return Err(Error::Busy { job: job.to_owned() }),
                Next::Delete(paths) => {
                    refusals += 1;
                    remaining.refused(paths);
                }
            }
        }
        Ok(deleted)
    }

    /// Returns the names below each of these nodes; `None` for one that is not there.
    async fn children(&self, paths: Vec<String>) -> Result<Vec<Option<Vec<String>>>, Error> {
        let session = self.session().await?;
        let reads = paths.into_iter().map(Read::Children).collect();
        let answers = read_all(&*session, reads).await.map_err(|error| self.failed(error))?;
        let names = |answer| match answer {
            Answer::Children(names) => names,
            Answer::Data(_) => None,
        };
        Ok(answers.into_iter().map(names).collect())
    }

    pub(super) async fn jobs_of_instance(&self, instance: &str) -> Result<Vec<String>, Error> {
        let names = self.names().await?;
        let surveys = self.surveys(names.iter().map(String::as_str), Depth::Brief).await?;
        let has = |survey: &&Survey| survey.view.instances.iter().any(|id| id.as_str() == instance);
        let jobs: Vec<String> = surveys
            .iter()
            .filter(has)
            .map(|survey| survey.job().to_owned())
            .collect();
        if jobs.is_empty() {
            Err(Error::NoSuchInstance {
                instance: instance.to_owned(),
            })
        } else {
            Ok(jobs)
        }
    }
}

/// Returns whether a server is among those that the target names.
fn is_meant(target: &Target, ip: &str) -> bool {
    target.server_name().is_none_or(|server| server == ip)
}

fn shutdown(survey: &Survey, target: &Target) -> Part<Switched> {
    let mut transaction = Transaction::on(&survey.view);
    let (servers, is_last) = delete_instances(&mut transaction, survey, target);
    part(survey, transaction, servers, is_last)
}

/// The instances go first: an instance without its server node would be on an unknown server.
fn removal(survey: &Survey, target: &Target) -> Part<Switched> {
    let mut transaction = Transaction::on(&survey.view);
    let (mut servers, mut is_last) = delete_instances(&mut transaction, survey, target);
    for ip in survey.view.servers.keys().filter(|ip| is_meant(target, ip)) {
        is_last = is_last
            && transaction.add_if_it_fits(|transaction| {
                transaction.delete(Node::Server(ip));
                write_note(transaction, survey, &Switch::Server(ip.clone()), None);
            });
        if !is_last {
            break;
        }
        servers.push(ip.clone());
    }
    part(survey, transaction, servers, is_last)
}

/// Deletes as many of the instances as fit into the transaction. Returns their servers, and whether they are all.
fn delete_instances(transaction: &mut Transaction<'_>, survey: &Survey, target: &Target) -> (Vec<String>, bool) {
    let mut servers = Vec::new();
    for id in survey.view.instances.iter().filter(|id| is_meant(target, id.server())) {
        let is_added = transaction.add_if_it_fits(|transaction| {
            transaction.delete(Node::Instance(id.as_str()));
        });
        if !is_added {
            return (servers, false);
        }
        servers.push(id.server().to_owned());
    }
    (servers, true)
}

fn part(survey: &Survey, transaction: Transaction<'_>, servers: Vec<String>, is_last: bool) -> Part<Switched> {
    Part {
        steps: transaction.into_steps(),
        result: Switched {
            job_name: survey.job().to_owned(),
            servers,
            pause: None,
        },
        is_last,
    }
}
