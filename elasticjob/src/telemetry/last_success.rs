use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::facade::{Gauge, gauge};
use super::names;

/// Items with greater numbers share a series: jobs may have a million of them.
const ITEMS: u32 = 1000;

/// When items of a job last succeeded: a gauge for each item that is or was ours.
///
/// An alert on it says "this item has not succeeded for a day" without knowing which instance had it when. So exactly
/// one instance shows the time of an item, its owner, and the others show none: else the old owner would go on to show
/// an old time.
#[derive(Debug)]
pub(crate) struct LastSuccess {
    job: Arc<str>,
    known: BTreeMap<Series, Known>,
}

/// The item of a gauge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Series {
    Item(u32),
    /// All items from [`ITEMS`] on: the newest time of any.
    Others,
}

#[derive(Debug)]
struct Known {
    at: Timestamp,
    gauge: Gauge,
}

impl Series {
    fn of(item: u32) -> Self {
        match item {
            ..ITEMS => Self::Item(item),
            _ => Self::Others,
        }
    }

    fn label(self) -> String {
        match self {
            Self::Item(item) => item.to_string(),
            Self::Others => format!("{ITEMS}+"),
        }
    }
}

impl LastSuccess {
    pub(crate) fn new(job: &Arc<str>) -> Self {
        Self {
            job: Arc::clone(job),
            known: BTreeMap::new(),
        }
    }

    /// Records that an item succeeded then. An earlier time than the known one changes nothing.
    pub(crate) fn succeeded(&mut self, item: u32, at: Timestamp) {
        let series = Series::of(item);
        let known = self.known.entry(series).or_insert_with(|| Known {
            at: Timestamp::MIN,
            gauge: gauge(names::LAST_SUCCESS, &[("job", &*self.job), ("item", &*series.label())]),
        });
        known.at = known.at.max(at);
        // Also if it is no news: the item may have been another's meanwhile.
        known.gauge.set(seconds(known.at));
    }

    /// Hides the times of items that other instances own: those instances show them.
    pub(crate) fn keep_to(&self, items: &[u32]) {
        let ours: BTreeSet<Series> = items.iter().map(|item| Series::of(*item)).collect();
        let others = self.known.iter().filter(|(series, _)| !ours.contains(series));
        others.for_each(|(_, known)| known.gauge.set(f64::NAN));
    }
}

fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}
