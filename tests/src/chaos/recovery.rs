//! Whether everything is as it should be again, within the bound that is promised for the end of all faults.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{bail, ensure};
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use super::application::JobPlan;
use super::fleet::Condition;
use super::{Chaos, SESSION_TIMEOUT, START_LIMIT};

/// What recovery may take beside twice the session timeout and one period: the back-off, and a little.
const SLACK: Duration = Duration::from_secs(2 + 5);

/// So many of the longest periods are watched then.
const PERIODS: u32 = 2;

/// When the last of the times that are watched must have been run.
const LAST_RUNS: Duration = Duration::from_secs(4);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

impl Chaos {
    /// Returns how long recovery may take.
    pub(super) fn recovery_bound(&self) -> Duration {
        2 * SESSION_TIMEOUT + SLACK + self.longest_period()
    }

    /// Returns how long it is watched that all is well.
    pub(super) fn calm_time(&self) -> Duration {
        PERIODS * self.longest_period() + LAST_RUNS
    }

    fn longest_period(&self) -> Duration {
        let longest = self.plans.iter().map(|plan| plan.period).max();
        Duration::from_secs(longest.map_or(0, i32::unsigned_abs).into())
    }

    /// Waits for as long as recovery may take, and watches what comes then.
    pub(super) async fn recover(&mut self, bound: Duration) -> anyhow::Result<()> {
        let healed = Instant::now();
        self.say(&format!("all is healed: everything is to be normal within {bound:?}"));
        self.wait_until_shared(bound).await?;
        self.say(&format!("the items are shared out {:.1?} later", healed.elapsed()));
        self.pass_time_until(healed + bound).await?;
        let from = Timestamp::now();
        self.pass_time_until(Instant::now() + PERIODS * self.longest_period())
            .await?;
        let until = Timestamp::now();
        self.pass_time_until(Instant::now() + LAST_RUNS).await?;
        self.calm.push((from, until));
        self.look_for_left_overs().await;
        Ok(())
    }

    /// Waits until each item belongs to an instance that is there, and each machine has one. That it takes longer is
    /// a violation.
    pub(super) async fn wait_until_shared(&mut self, limit: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            let Err(error) = self.is_shared().await else {
                return Ok(());
            };
            if Instant::now() >= deadline {
                self.violate(format!("the items are not shared out after {limit:?}: {error:#}"));
                return Ok(());
            }
            self.pass_time_until(Instant::now() + PAUSE).await?;
        }
    }

    async fn is_shared(&self) -> anyhow::Result<()> {
        for plan in &self.plans {
            let instances = self.cluster.instances(plan.name).await?;
            ensure!(
                instances.len() == self.machines.len(),
                "{} has the instances {instances:?}",
                plan.name
            );
            let owners = self.cluster.owners(plan.name).await?;
            let mut shares: BTreeMap<&str, usize> = instances.values().map(|id| (id.as_str(), 0)).collect();
            for (item, owner) in &owners {
                match shares.get_mut(owner.as_str()) {
                    Some(share) => *share += 1,
                    None => bail!("{}/{item} belongs to {owner}, among {instances:?}", plan.name),
                }
            }
            let (least, most) = (shares.values().min(), shares.values().max());
            ensure!(
                owners.len() == plan.items as usize && most <= least.map(|least| least + 1).as_ref(),
                "{} is shared out as {shares:?}",
                plan.name
            );
        }
        Ok(())
    }

    /// Checks that nothing waits for an instance when all is calm.
    async fn look_for_left_overs(&mut self) {
        for plan in self.plans.clone() {
            match self.left_overs(&plan).await {
                Ok(None) => {}
                Ok(Some(left)) => self.violate(format!("{}: {left}", plan.name)),
                Err(error) => self.violate(format!("the registry does not answer though all is calm: {error:#}")),
            }
        }
    }

    async fn left_overs(&self, plan: &JobPlan) -> anyhow::Result<Option<String>> {
        let name = plan.name;
        let instances = self.cluster.children(&format!("/{name}/instances")).await?;
        let members = self.cluster.children(&format!("/{name}/ledger/members")).await?;
        if members != instances {
            return Ok(Some(format!(
                "the members are {members:?}, the instances {instances:?}"
            )));
        }
        for path in ["leader/failover/items", "leader/sharding", "trigger"] {
            let left: BTreeSet<String> = self.cluster.children(&format!("/{name}/{path}")).await?;
            if !left.is_empty() {
                return Ok(Some(format!("{left:?} is left over in {path}")));
            }
        }
        for item in 0..plan.items {
            for mark in ["running", "failover", "failovering"] {
                let holder = self.cluster.text(&format!("/{name}/sharding/{item}/{mark}")).await?;
                // An item that runs at the moment has a holder that is present.
                if let Some(holder) = holder.filter(|holder| !holder.is_empty() && !instances.contains(holder)) {
                    return Ok(Some(format!("item {item} is marked as {mark} by {holder}")));
                }
            }
        }
        Ok(None)
    }

    /// Waits until all servers serve again.
    pub(super) async fn wait_for_servers(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        while !self.servers.are_all_serving().await {
            ensure!(Instant::now() < deadline, "the servers do not serve again");
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Has all members leave.
    pub(super) async fn end(&mut self) -> anyhow::Result<()> {
        self.say("tells all members to stop");
        for machine in &mut self.machines {
            if machine.condition == Condition::Running {
                machine.terminate()?;
            }
        }
        let deadline = Instant::now() + START_LIMIT;
        for index in 0..self.machines.len() {
            while self.machines[index].condition == Condition::Leaving {
                if Instant::now() > deadline {
                    let host = self.machines[index].host;
                    self.violate(format!("the member on host {host} does not stop"));
                    break;
                }
                if let Some(Err(fault)) = self.machines[index].reap()? {
                    self.violate(fault);
                }
                sleep(PAUSE).await;
            }
        }
        Ok(())
    }
}
