//! What bars items from being claimed, and whether the claimer has to know of it.
//!
//! Operators switch items and servers off at any time. And the old owner must not claim an item that waits for its run to end
//! before it moves. A claim checks neither in the registry, so a claim that was on its way is legal. A claim that is
//! made long after the claimer received the event, over a link without faults, is not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::instance::InstanceId;
use crate::registry::memory::Link;

use super::clock::MachineClock;
use super::node::index_of;

/// An instance with a link without faults acts by events that are at most so old.
const GRACE: Duration = Duration::from_millis(500);

/// As many messages, one after the other, are on their way at most between what an instance decides and its claim.
const ROUNDS: u32 = 5;

/// All bars there are, and the machines that have to know of them.
#[derive(Default)]
pub(super) struct Bars {
    machines: Vec<Machine>,
    servers: BTreeMap<(String, String), Instant>,
    /// Since when each job has its leader: nothing moves in a job without one.
    led: BTreeMap<String, Instant>,
    items: BTreeMap<(String, u32), ItemBars>,
}

/// A machine, as far as it decides what its instances have to know.
struct Machine {
    link: Link,
    clock: Arc<MachineClock>,
}

/// What bars one item.
#[derive(Default)]
struct ItemBars {
    disabled: Option<Instant>,
    moves: Option<Instant>,
    /// When it was last seen to be disabled, or to change hands.
    disabled_at: Option<Instant>,
    moved_at: Option<Instant>,
}

/// What a claimer had to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bar {
    ItemDisabled,
    ServerDisabled,
    ItemMoves,
}

impl Bars {
    /// Follows the next machine.
    pub(super) fn follow(&mut self, link: Link, clock: Arc<MachineClock>) {
        self.machines.push(Machine { link, clock });
    }

    /// An operator switched an item off, or on again.
    pub(super) fn switch_item(&mut self, job: &str, item: u32, is_disabled: bool) {
        let now = Instant::now();
        let bars = self.of_mut(job, item);
        bars.disabled_at = Some(now);
        bars.disabled = is_disabled.then(|| bars.disabled.unwrap_or(now));
    }

    /// An operator switched a server off for a job, or on again.
    pub(super) fn switch_server(&mut self, job: &str, ip: &str, is_disabled: bool) {
        let key = (job.to_owned(), ip.to_owned());
        if is_disabled {
            self.servers.entry(key).or_insert_with(Instant::now);
        } else if self.servers.remove(&key).is_some() {
            // Its items were not run until now.
            let now = Instant::now();
            let items = self.items.iter_mut().filter(|((of, _), _)| of == job);
            items.for_each(|(_, bars)| bars.moved_at = Some(now));
        }
    }

    /// The job has a leader, or none.
    pub(super) fn led(&mut self, job: &str, is_led: bool) {
        if is_led {
            self.led.insert(job.to_owned(), Instant::now());
        } else {
            self.led.remove(job);
        }
    }

    /// These items of the job wait for their runs to end, to move, and no others do.
    pub(super) fn moving(&mut self, job: &str, moving: &BTreeSet<u32>) {
        let now = Instant::now();
        for item in moving {
            self.of_mut(job, *item);
        }
        for ((of, item), bars) in &mut self.items {
            if of == job {
                let was_moving = bars.moves;
                bars.moves = moving.contains(item).then(|| was_moving.unwrap_or(now));
                if was_moving.or(bars.moves).is_some() {
                    bars.moved_at = Some(now);
                }
            }
        }
    }

    /// The item has another owner, or none.
    pub(super) fn moved(&mut self, job: &str, item: u32) {
        self.of_mut(job, item).moved_at = Some(Instant::now());
    }

    /// Returns which of these bars the instance has to know of.
    pub(super) fn known(&self, job: &str, item: u32, instance: &str, bars: &[Bar]) -> Option<Bar> {
        bars.iter().copied().find(|bar| {
            let since = self.since(job, item, instance, *bar);
            since.is_some_and(|since| self.must_know(instance, since))
        })
    }

    /// Returns when the item was last disabled.
    pub(super) fn disabled_at(&self, job: &str, item: u32) -> Option<Instant> {
        let bars = self.items.get(&(job.to_owned(), item))?;
        bars.disabled.map(|_| Instant::now()).or(bars.disabled_at)
    }

    /// Returns when anything last kept the owner of an item from claiming it.
    pub(super) fn barred_at(&self, job: &str, item: u32, owner: &str) -> Option<Instant> {
        let bars = self.items.get(&(job.to_owned(), item));
        let is_moving = bars.is_some_and(|bars| bars.moves.is_some());
        let is_off = is_moving || self.since(job, item, owner, Bar::ServerDisabled).is_some();
        let now = is_off.then(Instant::now);
        now.max(self.disabled_at(job, item)).max(bars?.moved_at)
    }

    /// Returns whether the clock of this instance is as right as that of a healthy machine.
    pub(super) fn has_right_clock(&self, instance: &str) -> bool {
        let machine = index_of(instance).and_then(|index| self.machines.get(index));
        machine.is_some_and(|machine| !machine.clock.was_set())
    }

    /// Returns since when an item has been barred in this way, if it is.
    fn since(&self, job: &str, item: u32, instance: &str, bar: Bar) -> Option<Instant> {
        let of_item = || self.items.get(&(job.to_owned(), item));
        match bar {
            Bar::ItemDisabled => of_item()?.disabled,
            Bar::ItemMoves => Some(of_item()?.moves?.max(*self.led.get(job)?)),
            Bar::ServerDisabled => {
                let server = InstanceId::parse(instance)?.server().to_owned();
                self.servers.get(&(job.to_owned(), server)).copied()
            }
        }
    }

    /// Returns whether the instance has to know now what has been so in the registry since then.
    pub(super) fn must_know(&self, instance: &str, since: Instant) -> bool {
        self.had_to_know(instance, since, Instant::now())
    }

    /// Returns whether the instance had to know at this moment what has been so in the registry since then.
    pub(super) fn had_to_know(&self, instance: &str, since: Instant, at: Instant) -> bool {
        let machine = index_of(instance).and_then(|index| self.machines.get(index));
        let Some((disturbed_until, delay)) = machine.and_then(|machine| machine.link.steady()) else {
            return false;
        };
        let known = disturbed_until.map_or(since, |until| until.max(since));
        at > known + GRACE + delay * ROUNDS
    }

    fn of_mut(&mut self, job: &str, item: u32) -> &mut ItemBars {
        self.items.entry((job.to_owned(), item)).or_default()
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ItemDisabled => "is disabled",
            Self::ServerDisabled => "is not for a disabled server",
            Self::ItemMoves => "waits to be moved",
        })
    }
}
