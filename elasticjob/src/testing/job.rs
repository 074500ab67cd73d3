//! The jobs of a simulated cluster: given by a caller, or drawn from the seed.

use std::sync::Arc;
use std::time::Duration;

use elasticjob_config::job::JobConfig;

use crate::cluster::policy::FAILOVER_ATTEMPTS;
use crate::executor;
use crate::job::Kind;
use crate::listener::{JobListeners, ListenerKind};
use crate::sharding::DEFAULT_STRATEGY;
use crate::starter::ApplicationJob;

use super::focus::Focus;
use super::hearing::{self, COMPLETED_LIMIT, Hearer, STARTED_LIMIT};
use super::history::History;
use super::scale::Scale;
use super::work::Work;

/// The periods that jobs are drawn from: all divide a minute.
const PERIODS: [u64; 6] = [1, 2, 3, 5, 6, 10];

/// Those of jobs with listeners, which take part in each firing: there are moments in which nothing happens.
const LONG_PERIODS: [u64; 3] = [5, 6, 10];

/// Those of jobs whose items are claimed in hundreds of requests.
const MINUTES: [u64; 1] = [60];

/// Jobs that are given are watched as if they were fired so often.
const GIVEN_PERIOD: Duration = Duration::from_secs(10);

/// How items are shared out.
const STRATEGIES: [&str; 5] = [
    "AVG_ALLOCATION",
    "ODEVITY",
    "ROUND_ROBIN",
    "SINGLE_SHARDING_BALANCE",
    "STICKY",
];

/// A job, as its configuration stands.
pub(super) struct Job {
    pub(super) name: String,
    /// The configuration in the registry, as far as operators know.
    pub(super) config: JobConfig,
    /// What is known of a job of ours.
    pub(super) drawn: Option<DrawnJob>,
}

/// A job that was drawn from the seed.
pub(super) struct DrawnJob {
    pub(super) period: Duration,
    pub(super) work: Work,
    /// What its period is drawn from, in seconds.
    periods: &'static [u64],
    pub(super) most_items: u32,
}

impl Job {
    /// Returns a job of a caller's application, of whose work nothing is known.
    pub(super) fn given(job: &ApplicationJob) -> Self {
        Self {
            name: job.config.name().as_str().to_owned(),
            config: (*job.config).clone(),
            drawn: None,
        }
    }

    /// Draws a job with its work and its listeners, and returns it with the job as an application has it.
    pub(super) fn draw(
        name: &str,
        history: &History,
        session_timeout: Duration,
        (scale, focus): (Scale, Focus),
        listeners: &mut JobListeners,
        rng: &mut fastrand::Rng,
    ) -> (Self, ApplicationJob) {
        let is_listened_to = rng.u8(..3) == 0;
        let periods: &'static [u64] = match () {
            () if scale.patience() > 1 => &MINUTES,
            () if is_listened_to || scale.is_slow() => &LONG_PERIODS,
            () => &PERIODS,
        };
        let period = draw_period(periods, rng);
        let items = scale.items();
        let builder = JobConfig::builder(name)
            .cron(cron(period))
            .time_zone("GMT")
            .sharding_total_count(rng.u32(items.clone()))
            .failover(rng.bool())
            .misfire(rng.bool() || focus == Focus::MakeUps)
            .monitor_execution(rng.u8(..8) > 0)
            .prop(FAILOVER_ATTEMPTS, rng.u8(1..=3).to_string())
            .sharding_strategy(STRATEGIES[rng.usize(..STRATEGIES.len())]);
        let builder = match rng.u8(..4) {
            0 => builder.executor_service_handler("SINGLE_THREAD"),
            _ => builder,
        };
        let kinds: &[bool] = match rng.u8(..3) {
            _ if !is_listened_to => &[],
            0 => &[true],
            1 => &[false],
            _ => &[true, false],
        };
        let builder = kinds.iter().fold(builder, |builder, is_once| {
            builder.listener_type(hearing::name_of(name, *is_once))
        });
        let config = builder.build().expect("a valid configuration");
        let longest = if rng.bool() {
            session_timeout * 2
        } else {
            Duration::from_secs(period)
        };
        let blocks = rng.u8(..6) == 0 && !scale.is_huge();
        let work = Work::new(history.clone(), rng.fork(), longest, blocks);
        if focus == Focus::MakeUps {
            // Runs go on past the next time, which is made up.
            work.take_at_least(Duration::from_secs(period) * 3 / 2);
        }
        for is_once in kinds {
            let hearer = Hearer {
                work: work.clone(),
                history: history.clone(),
                is_once: *is_once,
            };
            let kind = if *is_once {
                ListenerKind::distribute_once(hearer)
            } else {
                ListenerKind::regular(hearer)
            };
            let kind = kind.started_timeout(STARTED_LIMIT).completed_timeout(COMPLETED_LIMIT);
            listeners
                .register(hearing::name_of(name, *is_once), Arc::new(kind))
                .expect("jobs have different names");
        }
        let application_job = ApplicationJob {
            config: Arc::new(config.clone()),
            implementation: None,
            bootstrap: None,
            declared: name.to_owned(),
            origin: "drawn".to_owned(),
            work: executor::Work::Declared {
                job: Arc::new(work.clone()),
                kind: Kind::Simple,
            },
        };
        let drawn = DrawnJob {
            period: Duration::from_secs(period),
            work,
            periods,
            most_items: items.end,
        };
        let job = Self {
            name: name.to_owned(),
            config,
            drawn: Some(drawn),
        };
        (job, application_job)
    }

    /// Takes the stored configuration, of any origin.
    pub(super) fn adopt(&mut self, stored: &str) {
        let Ok(stored) = JobConfig::from_registry(stored) else {
            return;
        };
        self.config = stored.config;
        let is_of = |period: &u64| self.config.cron().is_some_and(|known| known.as_str() == cron(*period));
        if let Some(drawn) = &mut self.drawn
            && let Some(period) = PERIODS.into_iter().find(is_of)
        {
            drawn.period = Duration::from_secs(period);
        }
    }

    /// Another schedule, another number of items, or other switches; whether there is something to be drawn.
    pub(super) fn redraw(&mut self, rng: &mut fastrand::Rng) -> bool {
        let Some(drawn) = &mut self.drawn else { return false };
        let builder = self.config.to_builder();
        let builder = match rng.u8(..7) {
            0 => {
                let period = draw_period(drawn.periods, rng);
                drawn.period = Duration::from_secs(period);
                builder.cron(cron(period))
            }
            1..4 => builder.sharding_total_count(rng.u32(1..=drawn.most_items)),
            4 => builder.failover(!self.config.failover()).misfire(rng.bool()),
            5 => builder.sharding_strategy(STRATEGIES[rng.usize(..STRATEGIES.len())]),
            _ => builder.monitor_execution(!self.config.monitor_execution()),
        };
        self.config = builder.build().expect("a valid configuration");
        true
    }

    /// Returns whether it is a job of ours that has listeners.
    pub(super) fn is_listened_to(&self) -> bool {
        self.drawn.is_some() && !self.config.listener_types().is_empty()
    }

    /// Returns whether its firings take some seconds, after which nothing happens before the next.
    pub(super) fn is_slow(&self) -> bool {
        let is_drawn_so = |drawn: &DrawnJob| drawn.periods != PERIODS;
        self.is_listened_to() || self.drawn.as_ref().is_some_and(is_drawn_so)
    }

    /// Returns the time between two firings of a job of ours.
    pub(super) fn period(&self) -> Duration {
        self.drawn.as_ref().map_or(GIVEN_PERIOD, |drawn| drawn.period)
    }

    /// Returns the job in a line of the history.
    pub(super) fn describe(&self) -> String {
        let config = &self.config;
        format!(
            "{}: cron {}, {} items by {}, failover {}, misfire {}, monitored {}, listeners {:?}",
            self.name,
            config.cron().map_or_else(String::new, ToString::to_string),
            config.sharding_total_count(),
            config.sharding_strategy().unwrap_or(DEFAULT_STRATEGY),
            config.failover(),
            config.misfire(),
            config.monitor_execution(),
            config.listener_types()
        )
    }
}

/// Draws the seconds between two firings.
fn draw_period(periods: &[u64], rng: &mut fastrand::Rng) -> u64 {
    periods[rng.usize(..periods.len())]
}

fn cron(period: u64) -> String {
    match period {
        ..60 => format!("0/{period} * * * * ?"),
        _ => format!("0 0/{} * * * ?", period / 60),
    }
}
