//! Many instances of one job in virtual time, each over a link of its own by which it can be hurt.

use std::collections::HashSet;
use std::iter;
use std::ops::AddAssign;
use std::time::Duration;

use elasticjob::job::Registration;
use elasticjob::registry::memory::{Link, MemoryRegistry};
use elasticjob::registry::metered::Counts;
use elasticjob::registry::{Answer, Read, Registry as _};
use tokio::time::sleep;

use crate::metered::{JOB, Member, Site};

/// When the session of an instance that is silent ends.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

/// Seconds after which the cluster has settled after any fault.
pub const SETTLE: i64 = 60;

/// Between two looks, in virtual time.
const LOOK: Duration = Duration::from_millis(1);

/// Instances on one embedded registry.
#[derive(Debug)]
pub struct Crowd {
    /// Where they are.
    pub site: Site<MemoryRegistry>,
    members: Vec<(Link, Member<Link>)>,
}

impl Crowd {
    /// Starts so many instances of a job, one after the other, and waits until its items are shared out.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn gather(instances: usize, job: impl Fn() -> Registration) -> anyhow::Result<Self> {
        let site = Site::with_sessions(SESSION_TIMEOUT);
        let mut members = Vec::with_capacity(instances);
        for number in 0..instances {
            let link = site.registry.link(&number.to_string());
            let member = site.join_over(link.clone(), job()).await?;
            members.push((link, member));
        }
        site.pass(SETTLE).await;
        Ok(Self { site, members })
    }

    /// Returns the ways of the instances to the registry.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.members.iter().map(|(link, _)| link)
    }

    /// Lets pass what makes everything find its place.
    pub async fn settle(&self) {
        self.site.pass(SETTLE).await;
    }

    /// Waits until each of so many items belongs to an instance that is there.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub async fn shared_out(&self, items: u32) -> anyhow::Result<()> {
        let session = self.site.registry.connect().await?;
        let owners = (0..items).map(|item| Read::Data(format!("/{JOB}/sharding/{item}/instance")));
        let reads: Vec<Read> = iter::once(Read::Children(format!("/{JOB}/instances")))
            .chain(owners)
            .collect();
        loop {
            let mut answers = session.read(reads.clone()).await?.into_iter();
            let Some(Answer::Children(Some(instances))) = answers.next() else {
                anyhow::bail!("the job has no instances");
            };
            let instances: HashSet<String> = instances.into_iter().collect();
            let is_there = |owner: Answer| match owner {
                Answer::Data(Some((owner, _))) => str::from_utf8(&owner).is_ok_and(|owner| instances.contains(owner)),
                _ => false,
            };
            if answers.all(is_there) {
                return Ok(());
            }
            sleep(LOOK).await;
        }
    }

    /// Returns what all of them asked of the registry while this went on.
    pub async fn asked_during(&self, what: impl AsyncFnOnce()) -> Total {
        let before = self.total();
        what().await;
        let after = self.total();
        Total {
            requests: after.requests - before.requests,
            transactions: after.transactions - before.transactions,
            nodes_read: after.nodes_read - before.nodes_read,
        }
    }

    fn total(&self) -> Total {
        let mut total = Total::default();
        self.members.iter().for_each(|(_, member)| total += member.counts());
        total
    }
}

/// What many instances asked of the registry, the heartbeats left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Transactions, reads and watches.
    pub requests: u64,
    /// Transactions.
    pub transactions: u64,
    /// Nodes that were read, of which one request may name many.
    pub nodes_read: u64,
}

impl AddAssign<Counts> for Total {
    fn add_assign(&mut self, counts: Counts) {
        self.requests += counts.writes + counts.reads + counts.watches;
        self.transactions += counts.writes;
        self.nodes_read += counts.nodes_read;
    }
}
