//! Real processes on a real ensemble of ZooKeeper servers, a PostgreSQL server or a SQLite file, killed, stopped and cut off, from a seed.
//!
//! Rounds of harm are followed by calm: within the bound that the framework promises after the end of all faults each
//! item must run again at each of its times. What members did is in files, and judged by [`laws`] at the end. The same
//! seed draws the same faults, but real processes do not take the same time twice.

pub mod application;
mod fact;
mod faults;
mod fleet;
pub mod laws;
mod recovery;
mod servers;
mod witness;

use std::fmt;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob::testing::Mutation;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::center::Kind;
use crate::cluster::Cluster;
use crate::lines::Tail;

use application::JobPlan;
use fact::Fact;
use faults::Agenda;
use fleet::{Machine, Orders};
use laws::{Evidence, Hurt};
use servers::Servers;
use witness::Witness;

/// When the session of a member that is silent ends.
const SESSION_TIMEOUT: Duration = Duration::from_secs(4);

/// Harm, recovery and calm together take so long, or up to twice as long.
const ROUND: Duration = Duration::from_secs(90);

/// How long all may take to come up at first, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long.
    pub time: Duration,
    /// What is drawn from.
    pub seed: u64,
    /// How many members there are.
    pub instances: u8,
    /// Into how many items the busiest job is divided.
    pub items: u32,
    /// The registry centre that they share.
    pub registry: Kind,
    /// The rule of the protocol that members leave out.
    pub left_out: Option<Mutation>,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// How often instances fired jobs.
    pub firings: usize,
    /// How many items they ran.
    pub runs: usize,
    /// How many of these were second and third attempts.
    pub retries: usize,
    /// What should not have happened.
    pub violations: Vec<String>,
}

/// Everything there is.
struct Chaos {
    rng: fastrand::Rng,
    began: Instant,
    servers: Servers,
    cluster: Cluster,
    machines: Vec<Machine>,
    orders: Orders,
    plans: Vec<JobPlan>,
    witness: Witness,
    agenda: Agenda,
    planned: u64,
    hurts: Vec<Hurt>,
    kills: Vec<(i32, Duration)>,
    calm: Vec<(Timestamp, Timestamp)>,
    violations: Vec<String>,
}

/// Does all that, and says what it does on the standard output. Needs a runtime of several threads.
///
/// # Errors
/// When servers or members cannot be started or hurt.
pub async fn run(options: Options) -> anyhow::Result<Report> {
    let mut chaos = Chaos::start(&options).await?;
    chaos.wait_until_shared(START_LIMIT).await?;
    let accounted_after = Timestamp::now();
    let rounds = (options.time.as_secs() / ROUND.as_secs()).max(1);
    let round = options.time / u32::try_from(rounds)?;
    let bound = chaos.recovery_bound();
    for _ in 0..rounds {
        let harm = round.saturating_sub(bound + chaos.calm_time()).max(SESSION_TIMEOUT);
        chaos.rage(Instant::now() + harm).await?;
        File::create(&chaos.orders.calm)?;
        chaos.heal().await?;
        chaos.recover(bound).await?;
        std::fs::remove_file(&chaos.orders.calm)?;
    }
    chaos.end().await?;
    chaos.judge(accounted_after)
}

impl Chaos {
    async fn start(options: &Options) -> anyhow::Result<Self> {
        let mut servers = Servers::start(options.registry)?;
        let cluster = servers.cluster(std::env::current_exe()?)?;
        let plans = JobPlan::all(options.items).to_vec();
        let mut machines = Vec::new();
        for host in 1..=options.instances {
            machines.push(Machine::new(host, &mut servers).await?);
        }
        let orders = Orders::new(cluster.directory(), options);
        for machine in &mut machines {
            machine.start(&cluster, &orders)?;
        }
        Ok(Self {
            rng: fastrand::Rng::with_seed(options.seed),
            began: Instant::now(),
            witness: Witness::start(Arc::clone(cluster.registry()), &plans),
            servers,
            cluster,
            machines,
            orders,
            plans,
            agenda: Agenda::new(),
            planned: 0,
            hurts: Vec::new(),
            kills: Vec::new(),
            calm: Vec::new(),
            violations: Vec::new(),
        })
    }

    fn judge(mut self, accounted_after: Timestamp) -> anyhow::Result<Report> {
        for what in self.witness.forgotten() {
            self.violate(format!("the registry centre forgot {what}"));
        }
        let mut facts = self.witness.facts();
        facts.extend(Tail::<Fact>::of(&self.orders.facts).read()?);
        let accounted_until = self.calm.last().context("there was a round")?.1;
        let evidence = Evidence {
            plans: self.plans.clone(),
            runs: self.cluster.runs()?,
            facts,
            hurts: std::mem::take(&mut self.hurts),
            kills: std::mem::take(&mut self.kills),
            accounted: Some((accounted_after, accounted_until)),
            calm: std::mem::take(&mut self.calm),
        };
        ensure!(!evidence.runs.is_empty(), "nothing has run, so nothing is proven");
        let mut violations = std::mem::take(&mut self.violations);
        violations.extend(evidence.violations());
        if !violations.is_empty() {
            let directory = self.cluster.keep_files();
            println!("the history and the members' logs stay in {}", directory.display());
        }
        Ok(Report {
            firings: evidence.firings(),
            runs: evidence.runs.len(),
            retries: evidence.runs.iter().filter(|run| run.id.attempt > 1).count(),
            violations,
        })
    }

    fn say(&self, what: &str) {
        println!("{:>8.2}  {what}", self.began.elapsed().as_secs_f64());
    }

    fn violate(&mut self, what: String) {
        self.say(&format!("VIOLATION: {what}"));
        self.violations.push(what);
    }
}

/// The last line is the one to look at.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for violation in &self.violations {
            writeln!(f, "violation: {violation}")?;
        }
        writeln!(f, "second and third attempts: {}", self.retries)?;
        write!(
            f,
            "firings: {}, runs: {}, violations: {}",
            self.firings,
            self.runs,
            self.violations.len()
        )
    }
}
