//! Many instances of one job in virtual time, each over a link of its own by which it can be hurt.

use std::ops::AddAssign;
use std::time::Duration;

use elasticjob::job::Registration;
use elasticjob::registry::memory::{Link, MemoryRegistry};
use elasticjob::registry::metered::Counts;

use crate::metered::{Member, Site};

/// When the session of an instance that is silent ends.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

/// Seconds after which everything has found its place, whatever happened.
pub const SETTLE: i64 = 60;

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

    /// The ways of the instances to the registry.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.members.iter().map(|(link, _)| link)
    }

    /// What all of them asked of the registry while this went on.
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
