//! What the Java console says of jobs, items and servers, by its rules.
//!
//! Scripts for the Java console go by its words. So these rules are Java's to the letter, and know nothing of what is ours: a
//! [`JobStatus`](super::JobStatus) has pauses and items without an owner, and a [`Status`] has not. No member decides by any of this.
//!
//! All jobs are read in two rounds, in requests of a bounded size, as everywhere in operations. Java reads node by node.

use std::collections::{BTreeMap, BTreeSet};

use elasticjob_config::job::JobConfig;
use serde::Serialize;

use crate::cluster::instance::InstanceId;
use crate::cluster::layout::{ItemKind, Node};
use crate::registry::{Answer, Read};

use super::shell::{may_be_name, read_all};
use super::{Error, ItemReport, ItemStatus, Operations, ServerBrief};

/// The status of a job in the Java console: the first of these that applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum Status {
    /// It has no instance.
    Crashed,
    /// All its servers are switched off, or it has none.
    Disabled,
    /// No item has an owner, or an owner is no instance. An item without an owner does not count beside one that has an owner.
    ShardingFlag,
    /// None of these.
    Ok,
}

/// A job in short: Java's `JobBriefInfo`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct JobBriefInfo {
    /// The name of the job.
    pub job_name: String,
    /// The status of the job; on one server `Ok` or `Disabled`, by the switch of the server.
    pub status: Status,
    /// The description in the configuration; `None` on one server.
    pub description: Option<String>,
    /// The cron expression; `None` for a one-off job, and on one server.
    pub cron: Option<String>,
    /// The number of instances, on one server those of the server.
    pub instance_count: usize,
    /// The sharding total count; 0 on one server, and if the configuration has none that is a number.
    pub sharding_total_count: i64,
}

/// An item: Java's `ShardingInfo`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ShardingInfo {
    /// The number of the item, from 0.
    pub item: u32,
    /// The address of the owner's server; `None` if the item has no owner.
    pub server_ip: Option<String>,
    /// The id of the owner; `None` if the item has no owner. Java fails if the owner is gone.
    pub instance_id: Option<String>,
    /// The status of the item.
    pub status: ItemStatus,
    /// Whether an instance runs it in place of one that died.
    pub failover: bool,
}

/// What is read of each job, beside its servers and the names of its instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The configuration, and the owners of the items.
    Job,
    /// The data of the instances, which has their addresses.
    Instances,
}

/// A job as Java reads it: the texts of its nodes as they stand.
#[derive(Debug)]
struct Found {
    name: String,
    config: Option<String>,
    /// The switches, by address. `None` if the node was removed meanwhile.
    servers: BTreeMap<String, Option<String>>,
    /// The data of the instances, by id.
    instances: BTreeMap<String, Option<String>>,
    items: Vec<u32>,
    /// The owners of all items that have one.
    owners: BTreeSet<String>,
}

/// What is read in the second round.
enum Wanted {
    Server(String),
    Instance(String),
    Owner(u32),
}

impl Operations {
    /// Returns the jobs that the Java console lists, of those that `is_meant` accepts: all that have a configuration which is a map, also one
    /// that no job can run by. They are sorted by name.
    ///
    /// # Errors
    /// [`Error::Registry`], also if the registry does not let us read one of the jobs.
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub async fn java_jobs(&self, is_meant: impl Fn(&str) -> bool) -> Result<Vec<JobBriefInfo>, Error> {
        let names = self.java_names(is_meant).await?;
        let found = self.read_as_java(names, Part::Job).await?;
        Ok(found.iter().filter_map(Found::brief).collect())
    }

    /// Returns the servers of all jobs that `is_meant` accepts, counted as the Java console does, sorted by address.
    ///
    /// # Errors
    /// As [`java_jobs`](Self::java_jobs).
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub async fn java_servers(&self, is_meant: impl Fn(&str) -> bool) -> Result<Vec<ServerBrief>, Error> {
        let names = self.java_names(is_meant).await?;
        Ok(servers(&self.read_as_java(names, Part::Instances).await?))
    }

    /// Returns the jobs that have a switch for this server, of those that `is_meant` accepts. Of a job it says the name, and of the
    /// server in it the status and the number of instances.
    ///
    /// # Errors
    /// As [`java_jobs`](Self::java_jobs).
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub async fn java_jobs_on(
        &self,
        server: &str,
        is_meant: impl Fn(&str) -> bool,
    ) -> Result<Vec<JobBriefInfo>, Error> {
        let names = self.java_names(is_meant).await?;
        let found = self.read_as_java(names, Part::Instances).await?;
        Ok(found.iter().filter_map(|job| job.on(server)).collect())
    }

    /// Returns the items of a job, in ascending order.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`], [`Error::Registry`].
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub async fn java_items(&self, job: &str) -> Result<Vec<ShardingInfo>, Error> {
        Ok(self.items(job).await?.iter().map(ShardingInfo::of).collect())
    }

    /// Returns how many nodes there are in the place of jobs, of those that `is_meant` accepts: one request.
    ///
    /// # Errors
    /// [`Error::Registry`].
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub async fn java_job_count(&self, is_meant: impl Fn(&str) -> bool) -> Result<usize, Error> {
        Ok(self.java_names(is_meant).await?.len())
    }

    /// Returns the names of the nodes in the place of jobs, sorted.
    async fn java_names(&self, is_meant: impl Fn(&str) -> bool) -> Result<Vec<String>, Error> {
        let mut names = self.names().await?;
        names.retain(|name| may_be_name(name) && is_meant(name));
        // In UTF-16 as in UTF-8: paths have no characters for which the two differ.
        names.sort();
        Ok(names)
    }

    /// Reads these jobs, in two rounds.
    async fn read_as_java(&self, names: Vec<String>, part: Part) -> Result<Vec<Found>, Error> {
        let session = self.session().await?;
        let failed = |error| self.failed(error);
        let first = names.iter().flat_map(|job| part.reads(job)).collect();
        let mut answers = read_all(&*session, first).await.map_err(failed)?.into_iter();
        let mut jobs: Vec<Found> = names
            .into_iter()
            .map(|name| Found::of(name, part, &mut answers))
            .collect();
        let second: Vec<(usize, Wanted)> = jobs
            .iter()
            .enumerate()
            .flat_map(|(index, job)| job.wanted(part).map(move |wanted| (index, wanted)))
            .collect();
        let reads = second.iter().map(|(index, wanted)| wanted.read(&jobs[*index].name));
        let answers = read_all(&*session, reads.collect()).await.map_err(failed)?;
        for ((index, wanted), answer) in second.into_iter().zip(answers) {
            jobs[index].take(wanted, text(Some(answer)));
        }
        Ok(jobs)
    }
}

impl Part {
    /// Returns what is read of a job in the first round.
    fn reads(self, job: &str) -> Vec<Read> {
        let of = |node: Node<'_>| node.of(job);
        let mut reads = vec![Read::Children(of(Node::Servers)), Read::Children(of(Node::Instances))];
        if self == Self::Job {
            reads.extend([Read::Data(of(Node::Config)), Read::Children(of(Node::Sharding))]);
        }
        reads
    }
}

impl Wanted {
    fn read(&self, job: &str) -> Read {
        Read::Data(match self {
            Self::Server(ip) => Node::Server(ip).of(job),
            Self::Instance(id) => Node::Instance(id).of(job),
            Self::Owner(item) => {
                let (item, kind) = (*item, ItemKind::Owner);
                Node::ItemState { item, kind }.of(job)
            }
        })
    }
}

impl Found {
    /// Takes the answers of the first round.
    fn of(name: String, part: Part, answers: &mut impl Iterator<Item = Answer>) -> Self {
        let named = |names: Vec<String>| names.into_iter().map(|name| (name, None)).collect();
        let (servers, instances) = (children(answers.next()), children(answers.next()));
        let (config, items) = match part {
            Part::Job => (text(answers.next()), children(answers.next())),
            Part::Instances => (None, Vec::new()),
        };
        Self {
            config,
            items: items.iter().filter_map(|item| item_of(&name, item)).collect(),
            servers: named(servers),
            instances: named(instances),
            owners: BTreeSet::new(),
            name,
        }
    }

    /// Returns what is read in the second round.
    fn wanted(&self, part: Part) -> impl Iterator<Item = Wanted> {
        let servers = self.servers.keys().cloned().map(Wanted::Server);
        let instances = self.instances.keys().filter(move |_| part == Part::Instances);
        let owners = self.items.iter().copied().map(Wanted::Owner);
        servers.chain(instances.cloned().map(Wanted::Instance)).chain(owners)
    }

    /// Takes an answer of the second round.
    fn take(&mut self, wanted: Wanted, text: Option<String>) {
        match wanted {
            Wanted::Server(ip) => drop(self.servers.insert(ip, text)),
            Wanted::Instance(id) => drop(self.instances.insert(id, text)),
            Wanted::Owner(_) => self.owners.extend(text.filter(|owner| !owner.is_empty())),
        }
    }

    /// Returns the job in short; `None` if it has no configuration that Java could read.
    fn brief(&self) -> Option<JobBriefInfo> {
        let settings = JobConfig::legible_settings(self.config.as_ref()?);
        // A map has at least the switches, which are off if it does not name them.
        if settings.is_empty() {
            return None;
        }
        let setting = |key: &str| settings.get(key).cloned();
        Some(JobBriefInfo {
            job_name: self.name.clone(),
            status: self.status(),
            description: Some(setting("description").unwrap_or_default()),
            cron: setting("cron"),
            instance_count: self.instances.len(),
            sharding_total_count: setting("shardingTotalCount")
                .and_then(|count| count.parse().ok())
                .unwrap_or_default(),
        })
    }

    fn status(&self) -> Status {
        let is_off = |switch: &Option<String>| switch.as_deref() == Some("DISABLED");
        let is_instance = |owner: &String| self.instances.contains_key(owner);
        if self.instances.is_empty() {
            Status::Crashed
        } else if self.servers.values().all(is_off) {
            Status::Disabled
        } else if self.owners.is_empty() || !self.owners.iter().all(is_instance) {
            Status::ShardingFlag
        } else {
            Status::Ok
        }
    }

    /// Returns the job on one server; `None` if the job has no switch for the server.
    fn on(&self, server: &str) -> Option<JobBriefInfo> {
        let switch = self.servers.get(server)?;
        Some(JobBriefInfo {
            job_name: self.name.clone(),
            status: if is_disabled(switch.as_deref()) {
                Status::Disabled
            } else {
                Status::Ok
            },
            description: None,
            cron: None,
            instance_count: self.addresses().filter(|(_, address)| *address == server).count(),
            sharding_total_count: 0,
        })
    }

    /// Returns the ids of the instances, each with the address of its server.
    fn addresses(&self) -> impl Iterator<Item = (&str, &str)> {
        self.instances
            .iter()
            .map(|(id, data)| (&**id, address(id, data.as_deref())))
    }
}

/// Counts the servers of jobs. Java goes through the jobs from the last to the first, and counts an instance only if it has met its server by
/// then.
fn servers(jobs: &[Found]) -> Vec<ServerBrief> {
    let mut servers: BTreeMap<&str, ServerBrief> = BTreeMap::new();
    for job in jobs.iter().rev() {
        for (ip, switch) in &job.servers {
            let server = servers.entry(ip).or_insert_with(|| ServerBrief {
                server_ip: ip.clone(),
                instances: Vec::new(),
                job_names: Vec::new(),
                instances_num: 0,
                jobs_num: 0,
                disabled_jobs_num: 0,
            });
            server.disabled_jobs_num += usize::from(is_disabled(switch.as_deref()));
            server.job_names.push(job.name.clone());
        }
        for (id, address) in job.addresses() {
            if let Some(server) = servers.get_mut(address) {
                server.instances.push(id.to_owned());
            }
        }
    }
    servers.into_values().map(counted).collect()
}

/// Returns a server with its instances and jobs sorted, each once, and counted.
fn counted(mut server: ServerBrief) -> ServerBrief {
    for names in [&mut server.instances, &mut server.job_names] {
        names.sort();
        names.dedup();
    }
    server.instances_num = server.instances.len();
    server.jobs_num = server.job_names.len();
    server
}

impl ShardingInfo {
    fn of(report: &ItemReport) -> Self {
        let owner = report.assigned_to.as_deref().and_then(InstanceId::parse);
        Self {
            item: report.item,
            server_ip: owner.as_ref().map(|owner| owner.server().to_owned()),
            instance_id: report.assigned_to.clone(),
            status: report.status,
            failover: report.failover,
        }
    }
}

/// Returns whether a switch is off, as Java reads one switch alone. Where it looks at all switches of a job, it minds the case.
fn is_disabled(switch: Option<&str>) -> bool {
    switch.is_some_and(|switch| switch.eq_ignore_ascii_case("DISABLED"))
}

/// Returns the address of an instance, by its data. Instances of versions that write none have it in their id.
fn address<'a>(id: &'a str, data: Option<&'a str>) -> &'a str {
    let mut lines = data.unwrap_or_default().lines();
    let written = lines.find_map(|line| line.strip_prefix("serverIp:"));
    let written = written.map(|text| text.trim().trim_matches(['\'', '"']));
    let written = written.filter(|address| !address.is_empty());
    written.unwrap_or_else(|| id.split_once("@-@").map_or(id, |(address, _)| address))
}

/// Returns the number of an item by the name of its node.
fn item_of(job: &str, name: &str) -> Option<u32> {
    let path = format!("{}/{name}", Node::Sharding.of(job));
    match Node::parse(job, &path) {
        Some(Node::Item(item)) => Some(item),
        _ => None,
    }
}

fn children(answer: Option<Answer>) -> Vec<String> {
    match answer {
        Some(Answer::Children(Some(names))) => names,
        _ => Vec::new(),
    }
}

fn text(answer: Option<Answer>) -> Option<String> {
    match answer {
        Some(Answer::Data(Some((data, _)))) => Some(String::from_utf8_lossy(&data).into_owned()),
        _ => None,
    }
}
