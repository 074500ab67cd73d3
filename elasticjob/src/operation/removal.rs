//! Shutting jobs down and removing what is left of them.

use std::collections::BTreeSet;

use crate::cluster::instance::InstanceId;
use crate::cluster::layout::Node;
use crate::cluster::transaction::{Transaction, packed};
use crate::cluster::walk::walk;
use crate::limits;
use crate::registry::{self, Step, size_of};

use super::parts::Part;
use super::survey::{Depth, Survey};
use super::switch::Switch;
use super::switch::write_note;
use super::{Error, Operations, Switched, Target};

/// How often a subtree is deleted that others write to meanwhile.
const ATTEMPTS: u32 = 10;

impl Operations {
    /// Shuts a job down where it runs: its instances stop firing, let their items end, and leave. They come back when
    /// their processes start again.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`], [`Error::NoSuchServer`], [`Error::Busy`], [`Error::Registry`]; where it is about several
    /// jobs, others may have been shut down.
    pub async fn shut_down(&self, target: &Target) -> Result<Vec<Switched>, Error> {
        let jobs = self.jobs_of(target).await?;
        let done = self.each(jobs, async |job| {
            self.switch_in_parts(&job, Depth::Brief, |survey| Ok(shutdown(survey, target)))
                .await
        });
        done.await
    }

    /// Shuts one instance down, in all its jobs; gives these.
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

    /// Shuts a job down, and removes its servers from the registry, with their switches.
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

    /// Removes a job with everything that the registry knows of it; gives how many nodes that were.
    ///
    /// # Errors
    /// [`Error::Running`] while it has instances, also if these only end their last runs: they would create parts of it
    /// again. [`Error::NoSuchJob`], [`Error::Busy`], [`Error::Registry`].
    pub async fn remove_job(&self, job: &str) -> Result<usize, Error> {
        let survey = self.survey(job, Depth::Whole).await?;
        // Those that an operator has shut down are members until their last runs are recorded.
        let present: BTreeSet<&InstanceId> = survey.view.instances.iter().chain(survey.view.members.keys()).collect();
        if !present.is_empty() {
            return Err(Error::Running {
                job: job.to_owned(),
                instances: present.into_iter().map(ToString::to_string).collect(),
            });
        }
        let mut deleted = 0;
        for _ in 0..ATTEMPTS {
            let paths = self.paths_below(&Node::Root.of(job)).await?;
            if paths.is_empty() {
                return Ok(deleted);
            }
            let steps = paths.into_iter().map(|path| vec![Step::Delete { path, version: None }]);
            for batch in packed(steps, limits::transaction_size(), size_of) {
                let count = batch.len();
                if !self.write(batch).await? {
                    break;
                }
                deleted += count;
            }
        }
        Err(Error::Busy { job: job.to_owned() })
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
        match jobs.is_empty() {
            true => Err(Error::NoSuchInstance {
                instance: instance.to_owned(),
            }),
            false => Ok(jobs),
        }
    }

    /// Returns a node and everything below it, children before their parents; nothing if it is not there.
    async fn paths_below(&self, root: &str) -> Result<Vec<String>, Error> {
        let session = self.session().await?;
        let mut found = Vec::new();
        let walked = walk::<registry::Error>(&*session, root.to_owned(), |node| {
            found.push(node.path);
            Ok(node.children)
        });
        walked.await.map_err(|error| self.failed(error))?;
        found.reverse();
        Ok(found)
    }
}

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
