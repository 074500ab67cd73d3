//! A cluster of members in a namespace of its own, seen from beside: through the registry and the history.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob::registry::zookeeper::ZooKeeperRegistry;
use elasticjob::registry::{Answer, CreateMode, Read, Registry, Session, SessionState, Stat, Step};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout_at};

use crate::center::Center;
use crate::hearing::{self, Hearing};
use crate::history::{History, Run, RunEnd, breaches, gaps};
use crate::process::MemberSetup;

/// The period of the members' cron job.
pub const PERIOD: SignedDuration = SignedDuration::from_secs(2);

/// How many items it has.
pub const ITEMS: u32 = 10;

/// Its name.
pub const SHARE: &str = "share";

/// The session timeout of members. Those that are killed are missed after so long.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(3);

/// The session timeout of the one who looks on.
const OWN_SESSION: Duration = Duration::from_secs(10);

/// A session timeout that is longer than tests are patient: none of them can wait for it unnoticed.
pub const LASTING_SESSION: Duration = Duration::from_secs(60);

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(45);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(40);

/// How much of the members' logs is shown when something went wrong.
const TAIL: usize = 60;

/// A cluster. Dropping it forgets its directory; when a test fails it shows the members' logs before.
#[derive(Debug)]
pub struct Cluster {
    program: PathBuf,
    /// The setting by which members find the registry centre.
    center: (&'static str, String),
    namespace: String,
    registry: Arc<dyn Registry>,
    directory: TempDir,
    members: AtomicU32,
    /// Opened when it is needed, and again when it is lost.
    session: tokio::sync::Mutex<Option<Arc<dyn Session>>>,
    /// A std mutex: never held across an await.
    history: Mutex<History>,
}

impl Cluster {
    /// Returns a cluster of processes that run `program`, with the registry centre at `servers`.
    ///
    /// # Errors
    /// When the address is none, or there is no place for its files.
    pub fn new(program: impl Into<PathBuf>, servers: impl ToString, namespace: &str) -> anyhow::Result<Self> {
        let servers = servers.to_string();
        let registry = ZooKeeperRegistry::new(&servers, namespace)?.with_session_timeout(OWN_SESSION);
        let setting = ("ELASTICJOB_REG_CENTER_SERVER_LISTS", servers);
        Self::at(program, setting, Arc::new(registry), namespace)
    }

    /// Returns a cluster of processes that run `program`, on this registry centre.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    ///
    /// # Panics
    /// If the registry centre is in this process.
    pub fn on(center: &Center, program: impl Into<PathBuf>, namespace: &str) -> anyhow::Result<Self> {
        let registry = center.registry(namespace, OWN_SESSION)?;
        Self::at(program, center.setting(), registry, namespace)
    }

    fn at(
        program: impl Into<PathBuf>,
        center: (&'static str, String),
        registry: Arc<dyn Registry>,
        namespace: &str,
    ) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        Ok(Self {
            program: program.into(),
            center,
            registry,
            namespace: namespace.to_owned(),
            members: AtomicU32::new(0),
            session: tokio::sync::Mutex::default(),
            history: Mutex::new(History::of(&history_in(directory.path()))),
            directory,
        })
    }

    /// Returns where its files are, those of members included.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Keeps the files after the cluster is dropped, so that a developer can read them.
    pub fn keep_files(&mut self) -> &Path {
        self.directory.disable_cleanup(true);
        self.directory.path()
    }

    /// Returns the same cluster, on ZooKeeper, opened with this `user:password`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn seen_with_digest(mut self, digest: &str) -> anyhow::Result<Self> {
        let registry = ZooKeeperRegistry::new(&self.center.1, &self.namespace)?.with_session_timeout(OWN_SESSION);
        self.registry = Arc::new(registry.with_digest(digest));
        Ok(self)
    }

    /// Returns the same cluster, seen through this registry.
    #[must_use]
    pub fn seen_through(mut self, registry: ZooKeeperRegistry) -> Self {
        self.registry = Arc::new(registry);
        self
    }

    /// Returns a member to be, on the host of this number: `127.0.0.{host}`. Its items work for 100 ms.
    pub fn member(&self, host: u8) -> MemberSetup {
        self.member_of(&self.program, host)
    }

    /// As [`member`](Self::member), of another program.
    pub fn member_of(&self, program: impl AsRef<Path>, host: u8) -> MemberSetup {
        self.process(program, &format!("on-{host}"))
            .with("ELASTICJOB_NETWORK_IP", ip(host))
            .with("MEMBER_HISTORY", history_in(self.directory.path()).display())
            .with("RUST_LOG", "info,elasticjob=debug")
            .working(Duration::from_millis(100))
            .with_session_timeout(SESSION_TIMEOUT)
    }

    /// Returns a process to be that knows where the registry centre is.
    pub fn process(&self, program: impl AsRef<Path>, name: &str) -> MemberSetup {
        let number = self.members.fetch_add(1, Ordering::Relaxed);
        let directory = self.directory.path().join(format!("member-{number}-{name}"));
        MemberSetup::new(program.as_ref(), &directory)
            .with(self.center.0, &self.center.1)
            .with("ELASTICJOB_REG_CENTER_NAMESPACE", &self.namespace)
    }

    /// Calls `look` until it succeeds. Its errors say what it saw instead.
    ///
    /// # Panics
    /// When that takes too long, with the last error, the registry's nodes and the members' logs.
    pub async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> anyhow::Result<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut last = anyhow::anyhow!("nothing was seen");
        loop {
            match timeout_at(deadline, look()).await {
                Ok(Ok(seen)) => return seen,
                Ok(Err(error)) => last = error,
                Err(_) => {}
            }
            if deadline <= Instant::now() {
                panic!("waited for this: {what}; last seen: {last:#}\n{}", self.tree().await);
            }
            sleep(PAUSE).await;
        }
    }

    /// Returns the nodes of the namespace with their data, a line each; or why they cannot be read.
    async fn tree(&self) -> String {
        let mut lines = String::new();
        let mut paths = vec![String::new()];
        while let Some(path) = paths.pop() {
            let node = async {
                let path = if path.is_empty() { "/" } else { &path };
                Ok::<_, anyhow::Error>((self.text(path).await?, self.children(path).await?))
            };
            match timeout_at(Instant::now() + PAUSE * 50, node).await {
                Ok(Ok((data, children))) => {
                    lines += &format!("{path} = {}\n", data.unwrap_or_default());
                    paths.extend(children.iter().rev().map(|name| format!("{path}/{name}")));
                }
                Ok(Err(error)) => lines += &format!("{path}: {error:#}\n"),
                Err(_) => lines += &format!("{path}: no answer\n"),
            }
        }
        lines
    }

    /// Returns where sessions beside those of the members come from.
    #[must_use]
    pub fn registry(&self) -> &Arc<dyn Registry> {
        &self.registry
    }

    /// Returns a session of our own, beside those of the members.
    ///
    /// # Errors
    /// When there is none to be had now.
    pub async fn session(&self) -> anyhow::Result<Arc<dyn Session>> {
        let mut session = self.session.lock().await;
        if let Some(session) = &*session
            && *session.state().borrow() != SessionState::Lost
        {
            return Ok(Arc::clone(session));
        }
        Ok(Arc::clone(session.insert(self.registry.connect().await?)))
    }

    /// Returns a node's text, if the node is there.
    ///
    /// # Errors
    /// When the registry does not answer.
    pub async fn text(&self, path: &str) -> anyhow::Result<Option<String>> {
        let node = self.node(path).await?;
        Ok(node.map(|(data, _)| String::from_utf8(data)).transpose()?)
    }

    /// Returns a node, if it is there.
    ///
    /// # Errors
    /// When the registry does not answer.
    pub async fn node(&self, path: &str) -> anyhow::Result<Option<(Vec<u8>, Stat)>> {
        let mut answers = self.session().await?.read(vec![Read::Data(path.to_owned())]).await?;
        match answers.pop() {
            Some(Answer::Data(node)) => Ok(node),
            other => anyhow::bail!("no data but {other:?}"),
        }
    }

    /// Returns the names of a node's children, none when it is not there.
    ///
    /// # Errors
    /// When the registry does not answer.
    pub async fn children(&self, path: &str) -> anyhow::Result<BTreeSet<String>> {
        let session = self.session().await?;
        let mut answers = session.read(vec![Read::Children(path.to_owned())]).await?;
        match answers.pop() {
            Some(Answer::Children(names)) => Ok(names.unwrap_or_default().into_iter().collect()),
            other => anyhow::bail!("no children but {other:?}"),
        }
    }

    /// Writes a text into a node that is there.
    ///
    /// # Errors
    /// When the registry refuses.
    pub async fn set(&self, path: &str, text: &str) -> anyhow::Result<()> {
        let (path, data) = (path.to_owned(), text.into());
        let step = Step::Set {
            path,
            data,
            version: None,
        };
        Ok(self.session().await?.write(vec![step]).await.map(drop)?)
    }

    /// Creates a persistent node.
    ///
    /// # Errors
    /// When the registry refuses.
    pub async fn create(&self, path: &str, text: &str) -> anyhow::Result<()> {
        let (path, data) = (path.to_owned(), text.into());
        let mode = CreateMode::Persistent;
        let step = Step::Create { path, data, mode };
        Ok(self.session().await?.write(vec![step]).await.map(drop)?)
    }

    /// Deletes a node.
    ///
    /// # Errors
    /// When the registry refuses.
    pub async fn delete(&self, path: &str) -> anyhow::Result<()> {
        let step = Step::Delete {
            path: path.to_owned(),
            version: None,
        };
        Ok(self.session().await?.write(vec![step]).await.map(drop)?)
    }

    /// Returns the instances of a job by their host's number.
    ///
    /// # Errors
    /// When the registry does not answer, or a host has several.
    pub async fn instances(&self, job: &str) -> anyhow::Result<BTreeMap<u8, String>> {
        let ids = self.children(&format!("/{job}/instances")).await?;
        let mut instances = BTreeMap::new();
        for id in ids {
            let replaced = instances.insert(host_of(&id)?, id);
            ensure!(
                replaced.is_none(),
                "two instances on one host: {replaced:?} and {instances:?}"
            );
        }
        Ok(instances)
    }

    /// Returns the owners of a job's items, those without an owner left out.
    ///
    /// # Errors
    /// When the registry does not answer.
    pub async fn owners(&self, job: &str) -> anyhow::Result<BTreeMap<u32, String>> {
        let mut owners = BTreeMap::new();
        for item in self.children(&format!("/{job}/sharding")).await? {
            if let Some(owner) = self.text(&format!("/{job}/sharding/{item}/instance")).await? {
                owners.insert(item.parse().context("an item is a number")?, owner);
            }
        }
        Ok(owners)
    }

    /// Waits until the items of the cron job are shared out evenly among living instances on exactly these hosts;
    /// gives the owner of each.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn shared_by(&self, hosts: &[u8]) -> BTreeMap<u32, String> {
        self.shares(ITEMS, hosts).await
    }

    /// As [`shared_by`](Self::shared_by), with so many items.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn shares(&self, items: u32, hosts: &[u8]) -> BTreeMap<u32, String> {
        self.until(&format!("{items} items shared by the hosts {hosts:?}"), async || {
            let owners = self.owners(SHARE).await?;
            let instances = self.instances(SHARE).await?;
            let mut shares: BTreeMap<u8, usize> = BTreeMap::new();
            for owner in owners.values() {
                let host = host_of(owner)?;
                ensure!(
                    instances.get(&host) == Some(owner),
                    "{owner} owns an item, among {instances:?}"
                );
                *shares.entry(host).or_default() += 1;
            }
            ensure!(owners.len() == items as usize, "{owners:?}");
            ensure!(shares.keys().copied().eq(hosts.iter().copied()), "{shares:?}");
            let (least, most) = (shares.values().min(), shares.values().max());
            ensure!(most <= least.map(|least| least + 1).as_ref(), "{shares:?}");
            Ok(owners)
        })
        .await
    }

    /// Returns all runs so far.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn runs(&self) -> anyhow::Result<Vec<Run>> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).read()
    }

    /// Returns all calls of listeners so far.
    ///
    /// # Errors
    /// If the file that they write cannot be read.
    pub fn heard(&self) -> anyhow::Result<Vec<Hearing>> {
        hearing::heard(&history_in(self.directory.path()))
    }

    /// Waits until an item of the cron job runs on a host; gives the newest run there.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn run_on(&self, host: u8) -> Run {
        self.until(&format!("an item runs on host {host}"), async || {
            let runs = self.runs()?;
            let is_there = |run: &&Run| run.id.job == SHARE && host_of(&run.id.instance).is_ok_and(|of| of == host);
            let newest = runs.iter().rfind(is_there).context("there was none")?;
            ensure!(newest.end.is_none(), "{newest:?}");
            Ok(newest.clone())
        })
        .await
    }

    /// Returns how a run ended, if it has.
    ///
    /// # Errors
    /// When the history cannot be read, or has no such run.
    pub fn end_of(&self, run: &Run) -> anyhow::Result<Option<RunEnd>> {
        let runs = self.runs()?;
        Ok(runs.iter().find(|other| other.id == run.id).context("no such run")?.end)
    }

    /// Waits until the items of the cron job have run at each of the next `count` times; gives these times. Until
    /// then, and ever before, no law was broken.
    ///
    /// # Panics
    /// When that takes too long, or a law was broken.
    pub async fn runs_without_gap(&self, items: &[u32], count: i32) -> Vec<Timestamp> {
        let times = times_after(Timestamp::now(), count);
        self.runs_at(items, &times).await;
        times
    }

    /// Waits until the items of the cron job have run at each of so many times in a row; gives these times. Until then, and
    /// ever before, no law was broken.
    ///
    /// It need not be the next times: on a busy machine a Java member is late, and skips a time while it makes up for it.
    ///
    /// # Panics
    /// When that takes too long, or a law was broken.
    pub async fn runs_regularly(&self, items: &[u32], count: usize) -> Vec<Timestamp> {
        let begin = Timestamp::now();
        let times = self
            .until(&format!("{items:?} run at {count} times in a row"), async || {
                let periods = begin.duration_until(Timestamp::now()).as_secs() / PERIOD.as_secs();
                let times = times_after(begin, i32::try_from(periods)?);
                let missing = gaps(&self.runs()?, SHARE, items, &times);
                let is_whole = |time: &Timestamp| !missing.iter().any(|(missing, _)| missing == time);
                let row = times.windows(count).find(|row| row.iter().all(is_whole));
                Ok(row.with_context(|| format!("not run: {missing:?}"))?.to_vec())
            })
            .await;
        self.assert_lawful();
        times
    }

    /// Waits until the items of the cron job have run at each of these times. Until then, and ever before, no law was
    /// broken.
    ///
    /// # Panics
    /// When that takes too long, or a law was broken.
    pub async fn runs_at(&self, items: &[u32], times: &[Timestamp]) {
        self.until(&format!("items {items:?} run at {times:?}"), async || {
            let gaps = gaps(&self.runs()?, SHARE, items, times);
            ensure!(gaps.is_empty(), "not run: {gaps:?}");
            Ok(())
        })
        .await;
        self.assert_lawful();
    }

    /// # Panics
    /// When members did what they must never do.
    pub fn assert_lawful(&self) {
        let runs = self.runs().expect("the history can be read");
        let breaches = breaches(&runs);
        assert!(breaches.is_empty(), "{}", breaches.join("\n"));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", Logs(self.directory.path()));
        }
    }
}

/// Returns all items of the cron job.
#[must_use]
pub fn all_items() -> Vec<u32> {
    (0..ITEMS).collect()
}

/// Returns the address of a host.
#[must_use]
pub fn ip(host: u8) -> String {
    format!("127.0.0.{host}")
}

/// Returns the number of the host that an instance is on.
///
/// # Errors
/// When it is not one of ours.
pub fn host_of(instance: &str) -> anyhow::Result<u8> {
    let host = instance
        .split_once("@-@")
        .and_then(|(ip, _)| ip.strip_prefix("127.0.0."))
        .with_context(|| format!("no instance of ours: {instance}"))?;
    Ok(host.parse()?)
}

/// Returns the cron job's next times after this one.
#[must_use]
pub fn times_after(time: Timestamp, count: i32) -> Vec<Timestamp> {
    let period = PERIOD.as_secs();
    let first = Timestamp::from_second((time.as_second() / period + 1) * period).expect("within range");
    (0..count).map(|index| first + PERIOD * index).collect()
}

fn history_in(directory: &Path) -> PathBuf {
    directory.join("history")
}

/// The ends of the logs of all members that ever were.
struct Logs<'a>(&'a Path);

impl fmt::Display for Logs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members: BTreeSet<PathBuf> = fs::read_dir(self.0)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        for member in members {
            let Ok(log) = fs::read_to_string(member.join("log")) else {
                continue;
            };
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(TAIL)..];
            writeln!(f, "--- {}\n{}", member.display(), tail.join("\n"))?;
        }
        Ok(())
    }
}
