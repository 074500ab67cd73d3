//! When a job fires next.

use elasticjob_config::cron::Expression;
use elasticjob_config::job::JobConfig;
use elasticjob_config::zone::Zone;
use jiff::Timestamp;
use serde::Serialize;

use super::survey::Depth;
use super::{Error, Operations, listing};

/// The next firings of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct NextFirings {
    /// The expression; `None` for a one-off job, which has no firing of its own.
    pub cron: Option<String>,
    /// The expression in words.
    pub schedule: Option<String>,
    /// The zone that the times were computed in.
    pub zone: String,
    /// Whether the job leaves the zone to each instance, so that ours was taken here.
    pub is_zone_of_instance: bool,
    /// The times, the next first.
    pub times: Vec<Timestamp>,
}

impl NextFirings {
    /// Those of an expression.
    #[must_use]
    pub fn new(expression: &Expression, zone: &Zone, is_zone_of_instance: bool, times: Vec<Timestamp>) -> Self {
        Self {
            cron: Some(expression.to_string()),
            schedule: Some(expression.describe()),
            zone: zone.name().to_owned(),
            is_zone_of_instance,
            times,
        }
    }
}

impl Operations {
    /// The next firings of a job by the configuration in the registry.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`], [`Error::NoConfiguration`], [`Error::Configuration`], [`Error::Registry`].
    ///
    /// There are fewer than `count` times if the schedule ends before, and none for a one-off job. Pauses and switches
    /// are not looked at.
    pub async fn next_firings(&self, job: &str, count: usize) -> Result<NextFirings, Error> {
        let config = listing::configured(&self.survey(job, Depth::Brief).await?)?;
        Ok(NextFirings {
            cron: config.cron().map(ToString::to_string),
            schedule: config.cron().map(Expression::describe),
            zone: zone(&config).name().to_owned(),
            is_zone_of_instance: config.time_zone().is_none(),
            times: of(&config, self.now(), count),
        })
    }
}

/// The next times that an expression fires in a zone.
///
/// ```
/// use elasticjob::configuration::{cron::Expression, zone::Zone};
/// use elasticjob::operation::next_firings;
///
/// let expression = Expression::parse("0 30 1 * * ?").expect("it is one");
/// let zone = Zone::parse("Asia/Shanghai").expect("it is one");
/// let times = next_firings(&expression, &zone, "2026-01-01T00:00:00Z".parse()?, 2);
/// assert_eq!(times, ["2026-01-01T17:30:00Z".parse()?, "2026-01-02T17:30:00Z".parse()?]);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// A time at `after` itself is not among them. In the hours that a change to or from summer time skips or repeats, the
/// rules of the expression apply; see [`Expression`].
#[must_use]
pub fn next_firings(expression: &Expression, zone: &Zone, after: Timestamp, count: usize) -> Vec<Timestamp> {
    let next = |time: &Timestamp| expression.next_after(*time, zone.time_zone());
    std::iter::successors(next(&after), next).take(count).collect()
}

pub(super) fn of(config: &JobConfig, now: Timestamp, count: usize) -> Vec<Timestamp> {
    match config.cron() {
        Some(expression) => next_firings(expression, &zone(config), now, count),
        None => Vec::new(),
    }
}

/// Returns the zone that the times of a job are computed in here.
pub(super) fn zone(config: &JobConfig) -> Zone {
    config.time_zone().cloned().unwrap_or_else(Zone::system)
}
