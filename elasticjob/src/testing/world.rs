//! One simulation: what the cluster of a seed is made of, and its course.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::cluster::ids::Ids;
use crate::error_handler::ErrorHandlers;
use crate::executor::Pools;
use crate::limits;
use crate::listener::JobListeners;
use crate::operation::Operations;
use crate::registry::memory::MemoryRegistry;
use crate::sharding::Strategies;
use crate::starter::ApplicationParts;

use super::clock::{Flaws, MachineClock, SKEW};
use super::faults::{Action, Trap};
use super::focus::Focus;
use super::history::History;
use super::job::Job;
use super::node::{Condition, Node, Parts};
use super::observer::Observer;
use super::outside::Steps;
use super::scale::Scale;
use super::scheduler::{Livelock, Paused, Scheduler};
use super::simulation::{Course, pools};

/// More requests than this of so many jobs between two events, beside those for the time that passed, are a storm.
const BURST: u64 = 300;
const REQUESTS_A_SECOND: u64 = 200;
const BURST_JOBS: usize = 3;
/// A follower of many items sets a watch on each of its own, some times over if owners come and go.
const BURST_AN_ITEM: u64 = 4;

/// More polls than this at one instant, of a job of few items or of each item of a job of many, come from a task that polls in a
/// loop.
const POLLS_AT_ONCE: usize = 50_000;
const POLLS_OF_AN_ITEM: usize = 50;

/// What a caller has of a simulation while it goes on.
#[derive(Clone, Default)]
pub(super) struct HandedOut {
    pub(super) history: Arc<OnceLock<History>>,
    pub(super) steps: Steps,
}

/// Everything there is.
pub(super) struct World {
    pub(super) rng: fastrand::Rng,
    /// Draws what operators cancel and run by hand, in every eighth cluster, where runs report their progress, too.
    pub(super) canceller: Option<fastrand::Rng>,
    pub(super) history: History,
    pub(super) registry: MemoryRegistry,
    pub(super) observer: Observer,
    pub(super) operations: Operations,
    pub(super) nodes: Vec<Node>,
    pub(super) jobs: Vec<Job>,
    pub(super) session_timeout: Duration,
    pub(super) began: Instant,
    pub(super) course: Course,
    pub(super) focus: Focus,
    pub(super) scale: Scale,
    /// What follows when a link is cut at a write.
    pub(super) trap: Option<Trap>,
    /// Whether an operator disables the next item that is queued to be taken over.
    pub(super) awaits_takeover: bool,
    application: ApplicationParts,
    scheduler: Scheduler,
    ids: Ids,
    /// What is to be done, and when.
    agenda: BTreeMap<(Instant, u64), Action>,
    planned: u64,
    has_failed: bool,
    /// Dropped with the world, so that limits are what they were.
    _limits: Option<limits::Lowered>,
}

impl World {
    /// Runs a simulation, from the first node's start to the verdict. Without an application one is drawn.
    ///
    /// The history is there from the beginning, for a caller that cannot wait for the end.
    pub(super) async fn run(
        seed: u64,
        application: Option<ApplicationParts>,
        course: Course,
        handed_out: HandedOut,
    ) -> History {
        let HandedOut { history, steps } = handed_out;
        let mut world = Self::draw(seed, application, course, steps).await;
        // Set once, and a caller that is gone needs none.
        let _ = history.set(world.history.clone());
        world.start_nodes();
        world.go_through_faults().await;
        world.heal_everything();
        world.check_recovery().await;
        world.history
    }

    async fn draw(seed: u64, application: Option<ApplicationParts>, course: Course, steps: Steps) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let history = History::new();
        let session_timeout = Duration::from_millis(rng.u64(6_000..12_000));
        let began = Instant::now();
        let clock = move || origin() + began.elapsed();
        let is_drawn = application.is_none();
        let canceller = (is_drawn && seed % 8 == 7).then(|| fastrand::Rng::with_seed(!seed));
        let scale = match (&application, course.items) {
            (Some(_), _) => Scale::Small,
            (None, Some(items)) => Scale::Of(items),
            (None, None) => Scale::draw(seed, &mut rng),
        };
        let steps_taken = if is_drawn { scale.steps(seed) } else { None };
        let mut registry =
            MemoryRegistry::with_clock(move || clock().as_millisecond()).with_session_timeout(session_timeout);
        if let Some(steps) = steps_taken {
            registry = registry.with_steps(steps).with_net_effects();
        }
        // What users have is not to be begun again beside itself.
        let focus = match application {
            Some(_) => Focus::Nothing,
            None => Focus::draw(seed),
        };
        let limits = scale.lower_limits(&mut rng);
        let (jobs, application) = match application {
            Some(application) => (application.jobs.iter().map(Job::given).collect(), application),
            None => Self::draw_jobs(&history, session_timeout, scale, seed, &mut rng),
        };
        if canceller.is_some() {
            let drawn = jobs.iter().filter_map(|job: &Job| job.drawn.as_ref());
            drawn.for_each(|drawn| drawn.work.report_progress());
        }
        let names: Vec<String> = jobs.iter().map(|job: &Job| job.name.clone()).collect();
        let observer = Observer::new(
            &registry,
            if steps_taken.is_some() { 1 } else { 2 },
            &names,
            clock,
            history.clone(),
        )
        .await;
        let operations = Operations::new(Arc::new(registry.clone())).with_ids(Ids::seeded(!seed));
        let is_large = scale == Scale::Large;
        history.note(format!("session timeout {session_timeout:?}, large {is_large}"));
        if scale.is_slow() || focus != Focus::Nothing {
            history.note(format!("jobs {scale:?}, dwelling on {focus:?}"));
        }
        if let Some(steps) = steps_taken {
            history.note(format!("a request takes {steps} steps, and each node changes once"));
        }
        for job in &jobs {
            history.note(format!("job {}", job.describe()));
        }
        Self {
            scheduler: Scheduler::new(rng.fork(), steps, polls_at_once(&jobs)),
            ids: Ids::seeded(rng.u64(..)),
            rng,
            canceller,
            history,
            registry,
            observer,
            operations,
            nodes: Vec::new(),
            jobs,
            session_timeout,
            began,
            course,
            focus,
            scale,
            trap: None,
            awaits_takeover: false,
            application,
            agenda: BTreeMap::new(),
            planned: 0,
            has_failed: false,
            _limits: limits,
        }
    }

    fn draw_jobs(
        history: &History,
        session_timeout: Duration,
        scale: Scale,
        seed: u64,
        rng: &mut fastrand::Rng,
    ) -> (Vec<Job>, ApplicationParts) {
        let count = rng.usize(1..=2);
        let drawn = scale.names(seed).into_iter().take(count);
        let focus = Focus::draw(seed);
        let mut listeners = JobListeners::none();
        let (jobs, application_jobs) = drawn
            .map(|name| Job::draw(&name, history, session_timeout, (scale, focus), &mut listeners, rng))
            .unzip();
        let application = ApplicationParts {
            jobs: application_jobs,
            components: Arc::default(),
            strategies: Strategies::built_in(),
            error_handlers: ErrorHandlers::built_in(),
            listeners,
            pools: pools(&Pools::built_in()),
            labels: Arc::default(),
        };
        (jobs, application)
    }

    fn start_nodes(&mut self) {
        let count = match self.course.instances {
            Some(count) => count.get(),
            None => self.rng.usize(2..=4),
        };
        for host in 1..=count {
            self.start_node(&format!("10.0.0.{host}"));
        }
    }

    /// Starts a process on the machine of this address.
    pub(super) fn start_node(&mut self, ip: &str) {
        let index = self.nodes.len();
        let uptime = Duration::from_secs(self.rng.u64(..1_000_000));
        let flaws = Flaws::draw(&mut self.rng);
        let clock = Arc::new(MachineClock::new(self.began, origin(), uptime, flaws));
        let machine = self.scheduler.machine();
        let parts = Parts {
            index,
            ip: ip.to_owned(),
            machine,
            link: self.registry.link(&format!("{ip} {index}")),
            clock: Arc::clone(&clock),
            history: self.history.clone(),
            ids: self.ids.fork(),
        };
        self.history.note(format!("node {index} starts on {ip}"));
        let mut node = Node::start(parts, &self.application);
        if self.rng.bool() {
            node.latency = Duration::from_millis(self.rng.u64(1..30));
            node.link.delay(node.latency);
        }
        self.observer.follow(node.link.clone(), clock);
        self.nodes.push(node);
    }

    async fn go_through_faults(&mut self) {
        let time = match self.course.time {
            Some(time) => time,
            None => Duration::from_secs(self.rng.u64(30..90)),
        };
        let end = Instant::now() + time;
        if !self.course.has_faults {
            return self.pass_time_until(end).await;
        }
        // As many in a day as in some minutes.
        let stretch = time.as_secs_f64().div_euclid(90.0).clamp(1.0, 100.0);
        while !self.has_failed {
            let pause = Duration::from_millis(match self.rng.u8(..4) {
                0 => self.rng.u64(..300),
                1 | 2 => self.rng.u64(300..3_000),
                _ => self.rng.u64(3_000..8_000),
            });
            let mut next = Instant::now() + pause.mul_f64(stretch);
            if self.rng.u8(..4) == 0 {
                // In the very moments in which items are claimed.
                next = self.next_second(next) + SKEW.mul_f64(self.rng.f64());
            }
            self.pass_time_until(next.min(end)).await;
            if next >= end {
                return;
            }
            self.cause_a_fault();
        }
    }

    /// Returns the first full second after `at`, on a right clock.
    pub(super) fn next_second(&self, at: Instant) -> Instant {
        self.began + Duration::from_secs((at - self.began).as_secs() + 1)
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
        while self.step_to_trap(at).await.is_continue() {}
        let allowed = BURST + from.elapsed().as_secs() * REQUESTS_A_SECOND;
        let for_items = if self.scale.is_slow() {
            self.items() * BURST_AN_ITEM
        } else {
            0
        };
        let allowed = allowed * self.jobs.len().div_ceil(BURST_JOBS) as u64 + for_items;
        for (node, before) in self.nodes.iter_mut().zip(before) {
            let requests = (node.registry.counts() - before).requests();
            if requests > allowed {
                let (index, passed) = (node.index, from.elapsed());
                self.history
                    .violation(format!("node {index} made {requests} requests in {passed:?}"));
                // It would go on like this.
                self.has_failed = true;
            }
            for fault in node.faults() {
                self.history.violation(fault);
            }
        }
    }

    /// Returns how many items all jobs have together.
    pub(super) fn items(&self) -> u64 {
        let totals = self.jobs.iter().map(|job| job.config.sharding_total_count().get());
        totals.map(u64::from).sum()
    }

    /// Goes on until `at`, or until a process walks into the trap and crashes.
    async fn step_to_trap(&mut self, at: Instant) -> ControlFlow<()> {
        let observer = &mut self.observer;
        let awaits_takeover = self.awaits_takeover;
        let trap = self.trap.map(|trap| (trap, self.nodes[trap.node()].link.clone()));
        let look = || {
            observer.look();
            let is_struck = trap.as_ref().is_some_and(|(trap, link)| trap.is_sprung(link));
            let is_queued = awaits_takeover && observer.has_queued();
            !is_struck && !is_queued
        };
        match self.scheduler.run_until(at, look).await {
            Ok(Paused::Due) => ControlFlow::Break(()),
            Ok(Paused::Signalled) => {
                if let Some(queued) = self.observer.take_queued().filter(|_| self.awaits_takeover) {
                    self.disable_queued(queued);
                } else if let Some(trap) = self.trap.take() {
                    self.spring(trap);
                }
                ControlFlow::Continue(())
            }
            Err(Livelock { task }) => {
                self.history.violation(format!("`{task}` is polled without end"));
                self.has_failed = true;
                ControlFlow::Break(())
            }
        }
    }

    /// Puts something on the agenda.
    pub(super) fn plan(&mut self, after: Duration, action: Action) {
        self.planned += 1;
        self.agenda.insert((Instant::now() + after, self.planned), action);
    }

    /// Returns whether the agenda has a process to start.
    pub(super) fn expects_a_start(&self) -> bool {
        self.agenda
            .values()
            .any(|action| matches!(action, Action::Start { .. }))
    }

    /// Ends all faults from here on, also those that were planned.
    fn heal_everything(&mut self) {
        self.history.note("everything is healed");
        for action in std::mem::take(&mut self.agenda).into_values() {
            if let Action::RemoveRest { job } = action {
                self.remove_rest(job);
            }
        }
        self.agenda.clear();
        self.trap = None;
        self.awaits_takeover = false;
        for index in 0..self.nodes.len() {
            let node = &mut self.nodes[index];
            if node.condition == Condition::Crashed {
                continue;
            }
            if node.condition == Condition::Paused {
                node.condition = Condition::Running;
            }
            node.clock.set_right();
            node.panic_at(0);
            node.clock.notice();
            node.machine.go_on();
            node.link.heal();
            node.link.catch_up();
            node.link.delay(node.latency);
            if node.condition == Condition::Running && node.lacks_a_job() {
                // The operator that removed a job starts the process again.
                let ip = node.ip.clone();
                node.stop(Duration::ZERO);
                self.start_node(&ip);
            }
        }
        if !self.nodes.iter().any(Node::is_there) {
            self.start_node("10.0.0.1");
        }
        for job in &self.jobs {
            if let Some(drawn) = &job.drawn {
                drawn.work.calm_down();
            }
            let servers = format!("/{}/servers", job.name);
            for server in self.observer.children(&servers) {
                self.observer.set(&format!("{servers}/{server}"), "ENABLED");
            }
            for item in self.observer.children(&format!("/{}/sharding", job.name)) {
                self.observer.delete(&format!("/{}/sharding/{item}/disabled", job.name));
            }
        }
        for job in 0..self.jobs.len() {
            self.restore(job);
            self.end_pause(job);
        }
    }

    /// A job was removed from the registry: the instance that registers it again uses the application's configuration.
    pub(super) fn begin_again(&mut self, index: usize) {
        let config = &self.application.jobs[index].config;
        self.jobs[index].adopt(&config.to_registry().yaml);
    }

    /// Puts a job's configuration back, unless an instance that joined meanwhile did.
    pub(super) fn restore(&mut self, index: usize) {
        let job = &mut self.jobs[index];
        let path = format!("/{}/config", job.name);
        self.observer.create(&path, &job.config.to_registry().yaml);
        // What it shows is of its last look.
        self.observer.look();
        if let Some(stored) = self.observer.data(&path) {
            job.adopt(&stored);
        }
    }
}

fn polls_at_once(jobs: &[Job]) -> usize {
    let items = |job: &Job| {
        let most = job.drawn.as_ref().map_or(0, |drawn| drawn.most_items);
        job.config.sharding_total_count().get().max(most) as usize
    };
    POLLS_AT_ONCE.max(jobs.iter().map(items).sum::<usize>() * POLLS_OF_AN_ITEM)
}

/// Returns what a right clock shows at the beginning.
pub(super) fn origin() -> Timestamp {
    Timestamp::constant(1_767_225_600, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_items_of_a_large_job_that_run_at_once_are_no_livelock() {
        let items = 100_000;
        let polls = |scale| {
            let mut rng = fastrand::Rng::with_seed(1);
            let (name, timeout) = ("alpha", Duration::from_secs(6));
            let (job, _) = Job::draw(
                name,
                &History::new(),
                timeout,
                (scale, Focus::Nothing),
                &mut JobListeners::none(),
                &mut rng,
            );
            polls_at_once(&[job])
        };
        assert!(polls(Scale::Of(items)) > 10 * items as usize);
        assert_eq!(polls(Scale::Small), POLLS_AT_ONCE);
    }
}
