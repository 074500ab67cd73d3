//! One simulation: what the cluster of a seed is made of, and its course.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use elasticjob_config::job::JobConfig;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::cluster::ids::Ids;
use crate::registry::Registry;
use crate::registry::memory::MemoryRegistry;

use super::clock::MachineClock;
use super::faults::Action;
use super::history::History;
use super::node::{Condition, Node, Parts, SimulatedJob};
use super::observer::Observer;
use super::scheduler::{Livelock, Scheduler};
use super::work::Work;

/// The periods that jobs are drawn from: all divide a minute.
const PERIODS: [u64; 6] = [1, 2, 3, 5, 6, 10];

/// More requests than this between two events, beside those for the time that passed, are a storm.
const BURST: u64 = 300;
const REQUESTS_A_SECOND: u64 = 200;

/// What the clocks of healthy machines differ by at most, either way.
const SKEW_MILLIS: i64 = 250;

/// Everything there is.
pub(super) struct World {
    pub(super) rng: fastrand::Rng,
    pub(super) history: History,
    pub(super) registry: MemoryRegistry,
    pub(super) observer: Observer,
    pub(super) nodes: Vec<Node>,
    pub(super) jobs: Vec<Job>,
    pub(super) session_timeout: Duration,
    pub(super) began: Instant,
    scheduler: Scheduler,
    ids: Ids,
    /// What is to be done, and when.
    agenda: BTreeMap<(Instant, u64), Action>,
    planned: u64,
    has_failed: bool,
}

/// A job, as its configuration stands.
pub(super) struct Job {
    pub(super) simulated: SimulatedJob,
    pub(super) name: String,
    pub(super) period: Duration,
    /// The configuration in the registry.
    pub(super) config: JobConfig,
}

impl World {
    /// Runs the simulation of this seed, from the first node's start to the verdict.
    pub(super) async fn run(seed: u64) -> History {
        let mut world = Self::draw(seed).await;
        world.start_nodes();
        world.go_through_faults().await;
        world.heal_everything();
        world.check_recovery().await;
        world.history
    }

    async fn draw(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let history = History::new();
        let session_timeout = Duration::from_millis(rng.u64(6_000..12_000));
        let began = Instant::now();
        let registry = MemoryRegistry::with_clock(move || (origin() + began.elapsed()).as_millisecond())
            .with_session_timeout(session_timeout);
        let jobs: Vec<Job> = ["alpha", "beta"]
            .iter()
            .take(rng.usize(1..=2))
            .map(|name| Job::draw(name, session_timeout, &mut rng))
            .collect();
        let names: Vec<String> = jobs.iter().map(|job| job.name.clone()).collect();
        let session = registry.connect().await.expect("nothing happens to it");
        let observer = Observer::new(session, &names, history.clone()).await;
        for job in &jobs {
            history.note(format!(
                "{}: period {:?}, {} items, failover {}, monitored {}",
                job.name,
                job.period,
                job.config.sharding_total_count(),
                job.config.failover(),
                job.config.monitor_execution()
            ));
        }
        Self {
            scheduler: Scheduler::new(rng.fork()),
            ids: Ids::seeded(rng.u64(..)),
            rng,
            history,
            registry,
            observer,
            nodes: Vec::new(),
            jobs,
            session_timeout,
            began,
            agenda: BTreeMap::new(),
            planned: 0,
            has_failed: false,
        }
    }

    fn start_nodes(&mut self) {
        for host in 1..=self.rng.usize(2..=4) {
            self.start_node(&format!("10.0.0.{host}"));
        }
    }

    /// Starts a process on the machine of this address.
    pub(super) fn start_node(&mut self, ip: &str) {
        let index = self.nodes.len();
        let skew = SignedDuration::from_millis(self.rng.i64(-SKEW_MILLIS..=SKEW_MILLIS));
        let uptime = Duration::from_secs(self.rng.u64(..1_000_000));
        let rate = 0.97 + 0.06 * self.rng.f64();
        let clock = MachineClock::new(self.began, origin(), skew, uptime, rate);
        let machine = self.scheduler.machine();
        let parts = Parts {
            index,
            ip: ip.to_owned(),
            machine,
            link: self.registry.link(&format!("{ip} {index}")),
            clock: Arc::new(clock),
            history: self.history.clone(),
            ids: self.ids.fork(),
        };
        self.history.note(format!("node {index} starts on {ip}"));
        let jobs: Vec<SimulatedJob> = self.jobs.iter().map(|job| job.simulated.clone()).collect();
        let mut node = Node::start(parts, &jobs);
        if self.rng.bool() {
            node.latency = Duration::from_millis(self.rng.u64(1..30));
            node.link.delay(node.latency);
        }
        self.nodes.push(node);
    }

    async fn go_through_faults(&mut self) {
        let end = Instant::now() + Duration::from_secs(self.rng.u64(30..90));
        while !self.has_failed {
            let pause = Duration::from_millis(match self.rng.u8(..4) {
                0 => self.rng.u64(..300),
                1 | 2 => self.rng.u64(300..3_000),
                _ => self.rng.u64(3_000..8_000),
            });
            let next = Instant::now() + pause;
            self.pass_time_until(next.min(end)).await;
            if next >= end {
                return;
            }
            self.cause_a_fault();
        }
    }

    /// Lets time pass, with what is on the agenda.
    pub(super) async fn pass_time_until(&mut self, at: Instant) {
        while !self.has_failed {
            let first = self.agenda.first_key_value().map(|((due, _), _)| *due);
            let Some(due) = first.filter(|due| *due <= at) else {
                return self.step(at).await;
            };
            self.step(due).await;
            if let Some((_, action)) = self.agenda.pop_first() {
                self.act(action);
            }
        }
    }

    async fn step(&mut self, at: Instant) {
        let before: Vec<_> = self.nodes.iter().map(|node| node.registry.counts()).collect();
        let from = Instant::now();
        let observer = &mut self.observer;
        let result = self.scheduler.run_until(at, || observer.look()).await;
        if let Err(Livelock { task }) = result {
            self.history.violation(format!("`{task}` is polled without end"));
            self.has_failed = true;
        }
        let allowed = BURST + from.elapsed().as_secs() * REQUESTS_A_SECOND;
        for (node, before) in self.nodes.iter_mut().zip(before) {
            let requests = (node.registry.counts() - before).requests();
            if requests > allowed {
                let (index, passed) = (node.index, from.elapsed());
                self.history
                    .violation(format!("node {index} made {requests} requests in {passed:?}"));
            }
            for fault in node.faults() {
                self.history.violation(fault);
            }
        }
    }

    /// Puts something on the agenda.
    pub(super) fn plan(&mut self, after: Duration, action: Action) {
        self.planned += 1;
        self.agenda.insert((Instant::now() + after, self.planned), action);
    }

    /// Everything is well from here on, whatever was planned.
    fn heal_everything(&mut self) {
        self.history.note("everything is healed");
        self.agenda.clear();
        for index in 0..self.nodes.len() {
            let node = &mut self.nodes[index];
            if node.condition == Condition::Crashed {
                continue;
            }
            if node.condition == Condition::Paused {
                node.condition = Condition::Running;
            }
            let skew = self.rng.i64(-SKEW_MILLIS..=SKEW_MILLIS);
            node.clock.set_offset(SignedDuration::from_millis(skew));
            node.clock.notice();
            node.machine.go_on();
            node.link.heal();
            node.link.catch_up();
            node.link.delay(node.latency);
        }
        if !self.nodes.iter().any(Node::is_there) {
            self.start_node("10.0.0.1");
        }
        for job in &self.jobs {
            job.simulated.work.calm_down();
            let servers = format!("/{}/servers", job.name);
            for server in self.observer.children(&servers) {
                self.observer.set(&format!("{servers}/{server}"), "ENABLED");
            }
            for item in self.observer.children(&format!("/{}/sharding", job.name)) {
                self.observer.delete(&format!("/{}/sharding/{item}/disabled", job.name));
            }
        }
    }
}

impl Job {
    fn draw(name: &str, session_timeout: Duration, rng: &mut fastrand::Rng) -> Self {
        let period = PERIODS[rng.usize(..PERIODS.len())];
        let builder = JobConfig::builder(name)
            .cron(cron(period))
            .time_zone("GMT")
            .sharding_total_count(rng.u32(1..=5))
            .failover(rng.bool())
            .misfire(rng.bool())
            .monitor_execution(rng.u8(..8) > 0);
        let config = builder.build().expect("a valid configuration");
        let longest = if rng.bool() {
            session_timeout * 2
        } else {
            Duration::from_secs(period)
        };
        let pool = if rng.u8(..4) == 0 { 1 } else { 64 };
        let simulated = SimulatedJob {
            config: config.clone(),
            work: Work::new(rng.fork(), longest),
            pool: NonZeroUsize::new(pool).expect("not zero"),
        };
        Self {
            simulated,
            name: name.to_owned(),
            period: Duration::from_secs(period),
            config,
        }
    }

    /// Another schedule, another number of items, or other switches.
    pub(super) fn redraw(&mut self, rng: &mut fastrand::Rng) {
        let builder = self.config.to_builder();
        let builder = match rng.u8(..4) {
            0 => {
                let period = PERIODS[rng.usize(..PERIODS.len())];
                self.period = Duration::from_secs(period);
                builder.cron(cron(period))
            }
            1 | 2 => builder.sharding_total_count(rng.u32(1..=6)),
            _ => builder.failover(!self.config.failover()).misfire(rng.bool()),
        };
        self.config = builder.build().expect("a valid configuration");
    }
}

fn cron(period: u64) -> String {
    format!("0/{period} * * * * ?")
}

/// What a right clock shows at the beginning.
pub(super) fn origin() -> Timestamp {
    Timestamp::constant(1_767_225_600, 0)
}
