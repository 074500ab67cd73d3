//! Moves what a registry centre holds of jobs to another one: configurations, switches with their notes, ledgers.
//!
//! A move is a restart of the whole cluster, on another registry. So each node is copied that outlives the sessions of all
//! instances, as it is, and no other; and no instance may live meanwhile, on either side.
//!
//! A job is whole in the target when its configuration is there. Until then a [mark](MARK) stands in its ledger, so that a copy that
//! was cut is known for what it is. A repeated copy compares, and writes what is missing: nothing, for a job that is whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use serde::Serialize;

use crate::cluster::layout::{Guarantee, Node};
use crate::cluster::transaction::packed;
use crate::cluster::walk::{Visited, walk};
use crate::registry::{self, Answer, CreateMode, Read, Step, WriteError};

use super::shell::{may_be_name, read_all};
use super::{Error, Operations};

/// Stands below `ledger` in the target while a job is incomplete. Members of no version look at it.
const MARK: &str = "incomplete-copy";

/// What is to be done with what the target has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IfThere {
    /// Refuse to copy anything if a job is there with other content.
    Refuse,
    /// Give the job the content of the source.
    Overwrite,
}

/// What a copy did, or would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CopyReport {
    /// The registry that was read.
    pub from: String,
    /// The registry that was written.
    pub to: String,
    /// Each job of the source.
    pub jobs: Vec<CopiedJob>,
    /// What was not copied, and why.
    pub left_out: Vec<String>,
    /// Whether fencing tokens are lower in the target than they were; `None` if nothing was written.
    pub are_tokens_lower: Option<bool>,
}

/// What became of one job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CopiedJob {
    /// Its name.
    pub job: String,
    /// How many nodes it has.
    pub nodes: usize,
    /// How many of them were written or deleted in the target.
    pub changes: usize,
}

/// A job as it is in one registry, without what goes with sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tree {
    /// By path: parents come before their children.
    nodes: BTreeMap<String, Vec<u8>>,
    ephemeral: usize,
    /// The largest token of a node.
    token: i64,
    is_incomplete: bool,
}

impl Operations {
    /// Copies all jobs to another registry, one after the other.
    ///
    /// With `dry_run` nothing is written. If the copy is cut, or fails, it can be repeated; do not start instances on the target
    /// before it has succeeded.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use elasticjob::operation::{IfThere, Operations};
    /// use elasticjob::registry::memory::MemoryRegistry;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let (from, to) = (MemoryRegistry::new(), MemoryRegistry::new());
    /// let (from, to) = (Operations::new(Arc::new(from)), Operations::new(Arc::new(to)));
    /// let report = from.copy_to(&to, IfThere::Refuse, false).await?;
    /// assert!(report.jobs.is_empty());
    /// # Ok::<_, elasticjob::operation::Error>(())
    /// # })?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Running`] if a job has instances or standbys in the source or in the target, and [`Error::There`] if one has
    /// other content in the target: then nothing was written. [`Error::Registry`].
    ///
    /// # Cancel safety
    /// Dropping the future may leave some jobs copied, and one incomplete. The call can be repeated.
    pub async fn copy_to(&self, to: &Self, if_there: IfThere, dry_run: bool) -> Result<CopyReport, Error> {
        self.sync().await?;
        let (jobs, mut left_out) = self.jobs_to_copy().await?;
        for job in &jobs {
            self.refuse_living(job).await?;
        }
        if !dry_run {
            to.join().await?;
        }
        to.sync().await?;
        for job in &jobs {
            to.refuse_living(job).await?;
        }
        if if_there == IfThere::Refuse {
            let mut others = Vec::new();
            for job in &jobs {
                let there = to.tree(job).await?;
                let is_free = there.is_incomplete || there.nodes.is_empty();
                if !is_free && !self.tree(job).await?.is_that_of(&there, job) {
                    others.push(job.clone());
                }
            }
            if !others.is_empty() {
                let registry = to.registry();
                return Err(Error::There { jobs: others, registry });
            }
        }
        let mut report = CopyReport {
            from: self.registry(),
            to: to.registry(),
            jobs: Vec::new(),
            left_out: Vec::new(),
            are_tokens_lower: None,
        };
        let (mut ephemeral, mut before, mut after) = (0, 0, None);
        for job in jobs {
            let (source, target) = (self.tree(&job).await?, to.tree(&job).await?);
            let plan = Plan::new(&job, &source, &target, &self.registry());
            ephemeral += source.ephemeral;
            before = before.max(source.token);
            if !dry_run && plan.changes > 0 {
                to.carry_out(&job, plan.groups).await?;
                // One that began meanwhile may have written what was not read.
                self.refuse_living(&job).await?;
                after = after.max(Some(to.token_of(&job).await?));
            }
            let (nodes, changes) = (source.without_empty_containers(&job).nodes.len(), plan.changes);
            report.jobs.push(CopiedJob { job, nodes, changes });
        }
        if ephemeral > 0 {
            left_out.push(format!(
                "{ephemeral} nodes that go with sessions which are not quite over"
            ));
        }
        report.left_out = left_out;
        report.are_tokens_lower = after.map(|after| after <= before);
        Ok(report)
    }

    /// Opens the session as an instance does, which creates the namespace, and a file, if there is none yet.
    async fn join(&self) -> Result<(), Error> {
        self.close().await;
        let connected = self.shared.registry.connect().await;
        let session = connected.map_err(|error| self.failed(error))?;
        *self.shared.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
        Ok(())
    }

    /// Waits until the server has seen all that was written before: one that is behind would show what is not so any more.
    async fn sync(&self) -> Result<(), Error> {
        let synced = self.session().await?.sync().await;
        synced.map_err(|error| self.failed(error))
    }

    /// Returns the jobs, and why other nodes are none.
    async fn jobs_to_copy(&self) -> Result<(Vec<String>, Vec<String>), Error> {
        let names = self.names().await?;
        let session = self.session().await?;
        let reads = names.iter().map(|name| Read::Data(Node::Config.of(name))).collect();
        let answers = read_all(&*session, reads).await.map_err(|error| self.failed(error))?;
        let (mut jobs, mut left_out) = (Vec::new(), Vec::new());
        for (name, config) in names.into_iter().zip(answers) {
            if may_be_name(&name) && matches!(config, Answer::Data(Some(_))) {
                jobs.push(name);
            } else {
                left_out.push(format!("/{name}: it is no job, since it has no configuration"));
            }
        }
        Ok((jobs, left_out))
    }

    /// Refuses a job that an instance has, or a process that stands by: these would write meanwhile.
    async fn refuse_living(&self, job: &str) -> Result<(), Error> {
        let session = self.session().await?;
        let nodes = [Node::Instances, Node::Members, Node::Standbys];
        let reads = nodes.map(|node| Read::Children(node.of(job)));
        let answers = read_all(&*session, reads.into())
            .await
            .map_err(|error| self.failed(error))?;
        let names = answers.into_iter().filter_map(|answer| match answer {
            Answer::Children(names) => names,
            Answer::Data(_) => None,
        });
        let instances: BTreeSet<String> = names.flatten().collect();
        if instances.is_empty() {
            return Ok(());
        }
        Err(Error::Running {
            job: job.to_owned(),
            instances: instances.into_iter().collect(),
        })
    }

    async fn tree(&self, job: &str) -> Result<Tree, Error> {
        let session = self.session().await?;
        let mut tree = Tree::default();
        let mark = mark(job);
        let taken = walk(&*session, Node::Root.of(job), |node| {
            Ok::<_, registry::Error>(tree.take(node, &mark))
        });
        taken.await.map_err(|error| self.failed(error))?;
        Ok(tree)
    }

    /// Writes the steps, in their order, in as few transactions as take them.
    async fn carry_out(&self, job: &str, groups: Vec<Vec<Step>>) -> Result<(), Error> {
        let session = self.session().await?;
        for part in packed(groups, session.limits()) {
            match session.write(part).await {
                Ok(_) => {}
                // Another program has written to the job.
                Err(WriteError {
                    step: Some(_),
                    error: refusal,
                }) if !matches!(refusal, registry::Error::Refused(_)) => {
                    return Err(Error::Busy { job: job.to_owned() });
                }
                Err(error) => return Err(self.failed(error.error)),
            }
        }
        Ok(())
    }

    /// Returns the token of the transaction that completed a job.
    async fn token_of(&self, job: &str) -> Result<i64, Error> {
        let session = self.session().await?;
        let read = vec![Read::Data(Node::Config.of(job))];
        let answers = read_all(&*session, read).await.map_err(|error| self.failed(error))?;
        Ok(match &answers[..] {
            [Answer::Data(Some((_, stat)))] => stat.modified,
            _ => 0,
        })
    }
}

impl Tree {
    /// Takes a node in. Returns its children that are to be read.
    fn take(&mut self, node: Visited, mark: &str) -> Vec<String> {
        self.token = self.token.max(node.stat.modified);
        if node.stat.ephemeral_owner != 0 {
            self.ephemeral += 1;
        } else if node.path == mark {
            self.is_incomplete = true;
        } else {
            self.nodes.insert(node.path, node.data);
        }
        node.children
    }

    /// Returns whether both have the same nodes, but for empty containers.
    fn is_that_of(&self, other: &Self, job: &str) -> bool {
        let nodes = |tree: &Self| tree.clone().without_empty_containers(job).nodes;
        nodes(self) == nodes(other)
    }

    /// Leaves out containers without anything in them: a registry may delete them at any time.
    fn without_empty_containers(mut self, job: &str) -> Self {
        let containers: Vec<String> = self
            .nodes
            .keys()
            .rev()
            .filter(|path| is_container(job, path))
            .cloned()
            .collect();
        for container in containers {
            let below = format!("{container}/");
            let next = self.nodes.range(below.clone()..).next();
            if next.is_none_or(|(path, _)| !path.starts_with(&below)) {
                self.nodes.remove(&container);
            }
        }
        self
    }
}

/// Returns whether members create this node as a container.
fn is_container(job: &str, path: &str) -> bool {
    matches!(
        Node::parse(job, path),
        Some(
            Node::Leader
                | Node::Election
                | Node::ElectionLatch
                | Node::FailoverLatch
                | Node::Guarantee(Guarantee::Latch(_))
        )
    )
}

/// What makes one job in the target that of the source.
#[derive(Debug)]
struct Plan {
    /// Steps that have to be in one transaction are together.
    groups: Vec<Vec<Step>>,
    /// How many nodes of the job are written or deleted.
    changes: usize,
}

impl Plan {
    /// Compares. The mark comes first and with it the configuration goes; both change places in the end.
    fn new(job: &str, source: &Tree, target: &Tree, from: &str) -> Self {
        if source.is_that_of(target, job) && !target.is_incomplete {
            return Self {
                groups: Vec::new(),
                changes: 0,
            };
        }
        // Those of the target count: one that a cut copy has left empty is there.
        let source = &source.clone().without_empty_containers(job);
        let config = Node::Config.of(job);
        let mut steps = Vec::new();
        // Children before their parents.
        let superfluous = target
            .nodes
            .keys()
            .rev()
            .filter(|path| !source.nodes.contains_key(*path));
        let (root, ledger) = (Node::Root.of(job), Node::Ledger.of(job));
        let superfluous: Vec<&String> = superfluous
            .filter(|path| ![&config, &root, &ledger].contains(path))
            .collect();
        let mut changes = superfluous.len();
        for path in [&root, &ledger] {
            if !target.nodes.contains_key(path) {
                let data = source.nodes.get(path).cloned().unwrap_or_default();
                steps.push(create(job, path, data));
            }
        }
        if !target.is_incomplete {
            steps.push(create(job, &mark(job), from.as_bytes().to_vec()));
        }
        if target.nodes.contains_key(&config) {
            steps.push(delete(config.clone()));
        }
        let mut groups = vec![steps];
        groups.extend(superfluous.into_iter().map(|path| vec![delete(path.clone())]));
        for (path, data) in &source.nodes {
            let there = target.nodes.get(path);
            if *path == config || there == Some(data) {
                continue;
            }
            changes += 1;
            match there {
                Some(_) => groups.push(vec![set(path.clone(), data.clone())]),
                None if [&root, &ledger].contains(&path) => {}
                None => groups.push(vec![create(job, path, data.clone())]),
            }
        }
        let mut steps = vec![delete(mark(job))];
        if !source.nodes.contains_key(&ledger) {
            steps.push(delete(ledger));
        }
        if let Some(data) = source.nodes.get(&config) {
            changes += 1;
            steps.push(create(job, &config, data.clone()));
        }
        groups.push(steps);
        Self { groups, changes }
    }
}

fn mark(job: &str) -> String {
    format!("{}/{MARK}", Node::Ledger.of(job))
}

fn create(job: &str, path: &str, data: Vec<u8>) -> Step {
    let mode = if is_container(job, path) {
        CreateMode::Container
    } else {
        CreateMode::Persistent
    };
    let path = path.to_owned();
    Step::Create { path, data, mode }
}

fn set(path: String, data: Vec<u8>) -> Step {
    Step::Set {
        path,
        data,
        version: None,
    }
}

fn delete(path: String) -> Step {
    Step::Delete { path, version: None }
}
