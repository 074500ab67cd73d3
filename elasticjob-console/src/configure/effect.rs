//! What a change of the configuration does. Pure.

use std::collections::BTreeMap;

use elasticjob::configuration::cron::Expression;
use elasticjob::configuration::zone::Zone;
use elasticjob::operation::{ItemReport, JobReport};
use elasticjob::sharding::{Candidate, DEFAULT_STRATEGY, ShardingRequest, Strategies};

use crate::masks::{PROPS, Settings};

/// What Java members know by name; other names are ours, or those of an application.
const STRATEGIES: [&str; 4] = ["AVG_ALLOCATION", "ODEVITY", "ROUND_ROBIN", "SINGLE_SHARDING_BALANCE"];
const POOLS: [&str; 2] = ["CPU", "SINGLE_THREAD"];

/// Props that members of ours alone read.
const OURS: &str = "elasticjob.";

/// Settings by which items are shared out.
const SHARING: [&str; 4] = [
    "shardingTotalCount",
    "jobShardingStrategyType",
    "label",
    "staticSharding",
];

/// What a change does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effect {
    /// The schedule before and after, if it changes.
    pub(crate) schedule: Option<(Option<Schedule>, Option<Schedule>)>,
    /// The number of items before and after, if it changes.
    pub(crate) items: Option<(u32, u32)>,
    /// Whether items are shared out again.
    pub(crate) shares_out: bool,
    /// Settings and values that Java members do not know.
    pub(crate) unknown_to_java: Vec<String>,
}

/// When a job fires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    pub(crate) expression: Expression,
    pub(crate) zone: Zone,
}

impl Effect {
    pub(crate) fn new(before: &Settings, after: &Settings) -> Self {
        let is_changed = |name: &str| before.get(name) != after.get(name);
        let items = |settings: &Settings| settings.get("shardingTotalCount").and_then(|count| count.parse().ok());
        let is_rescheduled = is_changed("cron") || is_changed("timeZone");
        Self {
            schedule: is_rescheduled.then(|| (Schedule::of(before), Schedule::of(after))),
            items: items(before)
                .zip(items(after))
                .filter(|(before, after)| before != after),
            shares_out: SHARING.iter().any(|name| is_changed(name)),
            unknown_to_java: unknown_to_java(after),
        }
    }
}

/// Returns how many items would have another owner than now; `None` if the application has its own way to share them out.
pub(crate) fn moved(report: &JobReport, after: &Settings) -> Option<usize> {
    let total: u32 = after.get("shardingTotalCount")?.parse().ok()?;
    let name = after
        .get("jobShardingStrategyType")
        .map_or(DEFAULT_STRATEGY, String::as_str);
    // It goes by the labels of instances, which a report does not have.
    if name == "LABEL" {
        return None;
    }
    let strategy = Strategies::built_in().get(name).ok()?;
    let ids: Vec<&str> = report.instances.iter().map(|instance| instance.id.as_str()).collect();
    let candidates = report.instances.iter().map(|instance| Candidate::new(&instance.id));
    let owner = |item: &ItemReport| Some((item.item, item.instance_id.clone()?));
    let current: Vec<(u32, String)> = report.items.iter().filter_map(owner).collect();
    let props: BTreeMap<String, String> = after
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(PROPS)?.to_owned(), value.clone())))
        .collect();
    let request = ShardingRequest::new(&report.brief.job_name, total, candidates)
        .with_props(&props)
        .with_current(current.iter().map(|(item, owner)| (*item, owner.as_str())));
    // Sharing out numbers instances in an order of its own.
    let (order, assignment) = (request.instances(), strategy.assign(&request));
    let is_known = |id: &str| ids.contains(&id);
    let moves = |(item, owner): &&(u32, String)| {
        let next = assignment.owners().get(*item as usize).copied().flatten();
        let next = next.and_then(|index| order.get(index)).map(Candidate::id);
        is_known(owner) && next != Some(owner.as_str())
    };
    Some(current.iter().filter(moves).count())
}

impl Schedule {
    /// Returns the schedule of settings; `None` if they have none, or one that cannot be read.
    pub(crate) fn of(settings: &Settings) -> Option<Self> {
        let zone = match settings.get("timeZone") {
            Some(name) => Zone::parse(name).ok()?,
            None => Zone::system(),
        };
        Some(Self {
            expression: Expression::parse(settings.get("cron")?).ok()?,
            zone,
        })
    }
}

/// Returns what Java members would refuse or ignore.
fn unknown_to_java(settings: &Settings) -> Vec<String> {
    let named = [
        ("jobShardingStrategyType", &STRATEGIES[..]),
        ("jobExecutorServiceHandlerType", &POOLS[..]),
    ];
    let names = named.into_iter().filter_map(|(name, known)| {
        let value = settings.get(name)?;
        (!known.contains(&value.as_str())).then(|| format!("{name}: {value}"))
    });
    let props = settings.keys().filter(|name| {
        let key = name.strip_prefix(PROPS);
        key.is_some_and(|key| key.starts_with(OURS))
    });
    names.chain(props.cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(entries: &[(&str, &str)]) -> Settings {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        entries.iter().map(owned).collect()
    }

    #[test]
    fn has_what_changes_alone() {
        let before = settings(&[("cron", "0/5 * * * * ?"), ("shardingTotalCount", "4")]);
        assert_eq!(Effect::new(&before, &before), Effect::default());
        let mut after = before.clone();
        after.insert("description".to_owned(), "new".to_owned());
        assert_eq!(Effect::new(&before, &after), Effect::default());
        after.insert("shardingTotalCount".to_owned(), "6".to_owned());
        after.insert("cron".to_owned(), "0 0 2 * * ?".to_owned());
        let effect = Effect::new(&before, &after);
        assert_eq!((effect.items, effect.shares_out), (Some((4, 6)), true));
        let (was, is) = effect.schedule.unwrap();
        assert!(was.is_some() && is != was);
    }

    #[test]
    fn names_what_java_does_not_know() {
        let ours = settings(&[
            ("jobShardingStrategyType", "STICKY"),
            ("jobExecutorServiceHandlerType", "FIXED(4)"),
            ("props.elasticjob.timeout", "3s"),
            ("props.batch", "3"),
        ]);
        assert_eq!(unknown_to_java(&ours).len(), 3);
        assert_eq!(
            unknown_to_java(&settings(&[("jobShardingStrategyType", "ODEVITY")])),
            [""; 0]
        );
    }
}
