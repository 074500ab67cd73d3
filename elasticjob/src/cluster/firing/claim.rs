//! Claiming the items of a firing, all in one transaction.

use std::borrow::Cow;

use crate::cluster::instance::InstanceId;
use crate::cluster::layout::{ItemKind, Node};
use crate::cluster::ledger::{Gap, Record, Refusal, Run, Source};
use crate::cluster::mutation::Mutation;
use crate::cluster::transaction::Transaction;
use crate::cluster::view::{ItemView, View};
use crate::limits;
use crate::registry::{Answer, CreateMode, Error, Read, Stat, Step, WriteError, Written, size_of};

use super::{Circumstances, Claiming, Ended, Firings, Occasion, Running, Slot, Start, not_started};

/// A claim that was sent, or is to be.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(super) kind: Kind,
    /// How the `running` marks live; `None` where the job is not to be monitored.
    mark: Option<CreateMode>,
    items: Vec<ClaimedItem>,
    is_retry: bool,
}

/// What gives the right to the items.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// They are ours, by the assignment of this epoch; `None` where no leader of ours has shared them out yet.
    Owned { epoch: Option<i32> },
    /// They wait to be taken over. The contenders in Java's latch go with the claim.
    Takeover { contenders: Vec<String> },
}

/// One item of a claim.
#[derive(Clone, Debug)]
pub(super) struct ClaimedItem {
    item: u32,
    run: Run,
    /// The ledger expected.
    version: i32,
    /// The ledger with the claim in it.
    record: Record,
    /// The times before this one that passed without a run.
    gap: Option<Gap>,
    /// Whether there is a ledger to be set, and not to be created.
    has_ledger: bool,
    /// Whether an earlier taker left its mark.
    is_failovering: bool,
}

/// What a claim led to.
#[derive(Debug, Default)]
pub(crate) struct ClaimOutcome {
    pub(crate) starts: Vec<Start>,
    /// Items that are not run at this time, and why.
    pub(crate) refused: Vec<(u32, &'static str)>,
    /// Times before this one that passed without a run.
    pub(crate) skipped: Vec<(u32, Gap)>,
}

impl Claim {
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// A claim of items that wait to be taken over, to be added.
    pub(super) fn takeover(contenders: Vec<&str>) -> Self {
        Self {
            kind: Kind::Takeover {
                contenders: contenders.into_iter().map(str::to_owned).collect(),
            },
            mark: Some(CreateMode::Persistent),
            items: Vec::new(),
            is_retry: true,
        }
    }

    /// Adds an item: the version of its ledger, if it has one, and the ledger with the claim in it.
    pub(super) fn add_takeover(
        &mut self,
        item: u32,
        version: Option<i32>,
        record: Record,
        run: Run,
        is_failovering: bool,
    ) {
        // One that is created in the claim is set at its first version.
        let (has_ledger, version) = (version.is_some(), version.unwrap_or_default());
        self.items.push(ClaimedItem {
            item,
            run,
            version,
            record,
            gap: None,
            has_ledger,
            is_failovering,
        });
    }

    pub(super) fn is_takeover(&self) -> bool {
        matches!(self.kind, Kind::Takeover { .. })
    }

    pub(super) fn items(&self) -> impl Iterator<Item = u32> {
        self.items.iter().map(|claimed| claimed.item)
    }

    pub(super) fn claimed(&self) -> impl Iterator<Item = &ClaimedItem> {
        self.items.iter()
    }

    pub(super) fn of(&self, item: u32) -> Option<&ClaimedItem> {
        self.items.iter().find(|claimed| claimed.item == item)
    }

    /// The transaction: the epoch as expected; each item's mark created and ledger set.
    pub(super) fn steps(&self, view: &View) -> Vec<Step> {
        let mut transaction = Transaction::on(view);
        match &self.kind {
            Kind::Owned { epoch: Some(epoch) } if !Mutation::IgnoreEpoch.is_on() => {
                transaction.check(Node::Epoch, Some(*epoch));
            }
            Kind::Owned { .. } => {}
            Kind::Takeover { contenders } => contenders.iter().for_each(|name| {
                transaction.delete(Node::FailoverCandidate(name));
            }),
        }
        for ClaimedItem {
            item,
            run,
            version,
            record,
            has_ledger,
            is_failovering,
            ..
        } in &self.items
        {
            if self.is_takeover() {
                // In Java's order: taken, noted, no longer waiting.
                let node = |kind| Node::ItemState { item: *item, kind };
                transaction.create(node(ItemKind::Failover), run.owner.as_str(), CreateMode::Ephemeral);
                if *is_failovering {
                    transaction.delete(node(ItemKind::Failovering));
                }
                transaction.create(node(ItemKind::Failovering), run.owner.as_str(), CreateMode::Persistent);
                transaction.delete(Node::FailoverItem(*item));
            }
            if let Some(mode) = self.mark {
                let node = Node::ItemState {
                    item: *item,
                    kind: ItemKind::Running,
                };
                transaction.create(node, run.owner.as_str(), mode);
            }
            if !has_ledger {
                transaction.create(Node::LedgerItem(*item), "", CreateMode::Persistent);
            }
            let is_marked = || view.items.get(item).is_some_and(|item| item.is_misfire_marked);
            if run.source == Source::Misfire && is_marked() {
                transaction.delete(Node::ItemState {
                    item: *item,
                    kind: ItemKind::Misfire,
                });
            }
            transaction.set(Node::LedgerItem(*item), record.to_bytes(), expected(*version));
        }
        transaction.into_steps()
    }

    /// Keeps as many items as one transaction takes, and gives the others.
    pub(super) fn split_off(&mut self, view: &View) -> Option<Self> {
        let mut fitting = self.items.len();
        while fitting > 1 {
            let part = Self {
                items: self.items[..fitting].to_vec(),
                ..self.clone()
            };
            if size_of(&part.steps(view)) <= limits::worker_transaction_size() {
                break;
            }
            fitting /= 2;
        }
        let rest = self.items.split_off(fitting.min(self.items.len()));
        (!rest.is_empty()).then(|| Self {
            items: rest,
            ..self.clone()
        })
    }

    /// What to read to know why it was refused, or whether it happened.
    pub(super) fn survey(&self, view: &View) -> Vec<Read> {
        let job = view.job();
        let mut reads = vec![Read::Data(Node::Epoch.of(job))];
        for claimed in &self.items {
            let state = |kind| {
                Read::Data(
                    Node::ItemState {
                        item: claimed.item,
                        kind,
                    }
                    .of(job),
                )
            };
            reads.push(state(ItemKind::Owner));
            reads.push(state(ItemKind::Running));
            reads.push(Read::Data(Node::LedgerItem(claimed.item).of(job)));
        }
        reads
    }
}

impl ClaimedItem {
    /// Whether the ledger says that it was claimed, and is being run.
    pub(super) fn is_in(&self, record: &Record) -> bool {
        let is_this = |run: &Run| run.is_same_attempt(&self.run) && run.end.is_none();
        record.run.as_ref().is_some_and(is_this)
    }
}

impl Firings {
    /// The claim of all own items that may run for the occasion, once the ends of those that are `ending` are recorded.
    pub(super) fn new_claim(
        &mut self,
        circumstances: &Circumstances<'_>,
        occasion: &Occasion,
        ending: &[u32],
    ) -> Claim {
        let Circumstances {
            view, me, config, now, ..
        } = *circumstances;
        let mark = config.monitor_execution().then_some(match config.failover() {
            true => CreateMode::Persistent,
            false => CreateMode::Ephemeral,
        });
        let mut items = Vec::new();
        let mut doubtful = Vec::new();
        let is_free = |item: u32, state: &ItemView| {
            mark.is_none() || (state.mark.is_none() && state.failover.is_none()) || ending.contains(&item)
        };
        let is_meant = |state: &ItemView| !occasion.is_for_marked || state.is_misfire_marked;
        // One that waits to be taken over is run for the time that it missed first.
        let is_runnable = |item: u32, state: &ItemView| {
            let is_staying = !view.is_moving(item) && !view.failover_queue.contains(&item);
            // A job that is not monitored any more has items without marks, and some that were taken over before.
            let is_running = self.running.contains_key(&item) && !ending.contains(&item);
            !state.is_disabled && !is_running && is_free(item, state) && is_meant(state) && is_staying
        };
        if view.is_available(me) {
            let own = view.items_of(me, config.sharding_total_count().get());
            for (item, _) in own.filter(|(item, state)| is_runnable(*item, state)) {
                let after_end = self.ended.get(&item).filter(|_| ending.contains(&item));
                let slot = match after_end {
                    Some(ended) => Cow::Owned(ended.slot()),
                    None => match self.slots.get(&item) {
                        Some(slot) => Cow::Borrowed(&**slot),
                        None => continue,
                    },
                };
                if occasion.source == Source::Misfire && slot.since.is_some_and(|since| occasion.time <= since) {
                    continue;
                }
                let is_alive = |owner: &str| InstanceId::parse(owner).is_some_and(|owner| view.is_alive(&owner));
                match slot
                    .record
                    .admits(occasion.source, occasion.time, now, me.as_str(), is_alive)
                {
                    Ok(()) => {}
                    Err(Refusal::Accounted) => continue,
                    Err(Refusal::RunningElsewhere) => {
                        doubtful.push(item);
                        continue;
                    }
                }
                let run = Run {
                    id: self.ids.run(),
                    due: occasion.time.as_millisecond(),
                    attempt: 1,
                    owner: me.as_str().to_owned(),
                    source: occasion.source,
                    requests: occasion.order.requests.clone(),
                    parameter: occasion.order.parameter.clone(),
                    end: None,
                };
                let gap = self.gap(&slot, &run, circumstances);
                let record = slot.claimed(&run, now).with_skipped(gap.clone());
                items.push(ClaimedItem {
                    item,
                    run,
                    version: slot.version,
                    record,
                    gap,
                    has_ledger: true,
                    is_failovering: false,
                });
            }
        }
        self.doubtful.extend(doubtful);
        Claim {
            kind: Kind::Owned {
                epoch: view.epoch.as_ref().map(|epoch| epoch.version),
            },
            mark,
            items,
            is_retry: false,
        }
    }

    /// The claim was answered. Events that came before the answer must be in the view already.
    pub(crate) fn claimed(
        &mut self,
        circumstances: &Circumstances<'_>,
        result: Result<Vec<Written>, WriteError>,
    ) -> ClaimOutcome {
        let Claiming::InFlight(claim) = std::mem::replace(&mut self.claiming, Claiming::Idle) else {
            return ClaimOutcome::default();
        };
        match result {
            Ok(written) => {
                let stats = written.into_iter().filter_map(|written| match written {
                    Written::Set(stat) => Some(stat),
                    _ => None,
                });
                // The ledgers are all that a claim sets.
                let claimed: Vec<_> = claim.items.iter().cloned().zip(stats).collect();
                self.begin(circumstances, claimed, &claim)
            }
            Err(WriteError {
                error: Error::SessionExpired,
                ..
            }) => {
                self.abandon(&claim);
                ClaimOutcome::default()
            }
            Err(WriteError { error, .. }) if error.is_outcome_unknown() => {
                self.claiming = Claiming::Unknown(claim);
                ClaimOutcome::default()
            }
            Err(_) if claim.is_retry => {
                self.abandon(&claim);
                if claim.is_takeover() {
                    self.takeover.refused(circumstances.elapsed);
                }
                // What we believe of the ledgers was wrong twice.
                claim.items().for_each(|item| drop(self.slots.remove(&item)));
                ClaimOutcome {
                    refused: claim.items().map(|item| (item, "running elsewhere")).collect(),
                    ..Default::default()
                }
            }
            Err(_) => {
                self.claiming = Claiming::Refused(claim);
                ClaimOutcome::default()
            }
        }
    }

    /// What was read after a claim was refused: it is tried once more with the items that are still to be had.
    pub(crate) fn surveyed_claim(
        &mut self,
        circumstances: &Circumstances<'_>,
        answers: Result<Vec<Answer>, Error>,
    ) -> (Option<Vec<Step>>, ClaimOutcome) {
        let Claiming::Surveying(claim) = std::mem::replace(&mut self.claiming, Claiming::Idle) else {
            return (None, ClaimOutcome::default());
        };
        let Ok(answers) = answers else {
            self.claiming = Claiming::Refused(claim);
            return (None, ClaimOutcome::default());
        };
        let Circumstances { view, me, now, .. } = *circumstances;
        let mut outcome = ClaimOutcome::default();
        let mut answers = Found::new(answers);
        let epoch = answers.next().map(|(_, stat)| stat.version);
        let mut retry = Claim {
            kind: Kind::Owned { epoch },
            mark: claim.mark,
            items: Vec::new(),
            is_retry: true,
        };
        for claimed in claim.items {
            let item = claimed.item;
            let owner = answers.next();
            let mark = answers.next();
            let Some((data, stat)) = answers.next() else {
                self.slots.remove(&item);
                outcome.refused.push((item, "its ledger is gone"));
                continue;
            };
            let slot = Slot {
                version: stat.version,
                record: Record::parse(&data),
                since: self.slots.get(&item).and_then(|slot| slot.since),
            };
            self.slots.insert(item, Box::new(slot.clone()));
            let is_alive = |owner: &str| InstanceId::parse(owner).is_some_and(|owner| view.is_alive(&owner));
            let refusal = if owner.is_none_or(|(owner, _)| owner != me.as_str().as_bytes()) {
                Some("given to another instance")
            } else if claim.mark.is_some() && mark.is_some() {
                Some("running elsewhere")
            } else {
                let record = &slot.record;
                match record.admits(claimed.run.source, due_of(&claimed.run), now, me.as_str(), is_alive) {
                    Ok(()) => None,
                    Err(Refusal::Accounted) => Some("accounted for already"),
                    Err(Refusal::RunningElsewhere) => Some("running elsewhere"),
                }
            };
            match refusal {
                Some(reason) => outcome.refused.push((item, reason)),
                None => {
                    // Somebody may have run it at times that we believed to be a gap.
                    let gap = self.gap(&slot, &claimed.run, circumstances);
                    let record = slot.claimed(&claimed.run, now).with_skipped(gap.clone());
                    retry.items.push(ClaimedItem {
                        version: stat.version,
                        record,
                        gap,
                        ..claimed
                    });
                }
            }
        }
        outcome.refused.iter().for_each(|(item, _)| self.close(*item));
        if retry.is_empty() {
            return (None, outcome);
        }
        let steps = retry.steps(view);
        self.claiming = Claiming::InFlight(retry);
        (Some(steps), outcome)
    }

    /// What was read after the answer to a claim was lost: where the ledger has our run, the claim happened.
    pub(crate) fn settled_claim(
        &mut self,
        circumstances: &Circumstances<'_>,
        answers: Result<Vec<Answer>, Error>,
    ) -> ClaimOutcome {
        let Claiming::Settling(claim) = std::mem::replace(&mut self.claiming, Claiming::Idle) else {
            return ClaimOutcome::default();
        };
        let Ok(answers) = answers else {
            self.claiming = Claiming::Unknown(claim);
            return ClaimOutcome::default();
        };
        let mut answers = Found::new(answers);
        answers.next();
        let mut claimed = Vec::new();
        for item in &claim.items {
            let (_owner, _mark, ledger) = (answers.next(), answers.next(), answers.next());
            let Some((data, stat)) = ledger else { continue };
            if item.is_in(&Record::parse(&data)) {
                claimed.push((item.clone(), stat));
            }
        }
        if claimed.is_empty() {
            // It did not happen.
            self.abandon(&claim);
            let is_all = self
                .current
                .as_ref()
                .is_some_and(|current| current.open.is_empty() && current.rest.is_none());
            if !claim.is_takeover()
                && is_all
                && let Some(current) = self.current.take()
            {
                // The occasion is as due as it was.
                self.due.get_or_insert(current.occasion);
            }
            return ClaimOutcome::default();
        }
        self.begin(circumstances, claimed, &claim)
    }

    /// Starts what is claimed, except for what was given away meanwhile.
    pub(super) fn begin(
        &mut self,
        circumstances: &Circumstances<'_>,
        claimed: Vec<(ClaimedItem, Stat)>,
        claim: &Claim,
    ) -> ClaimOutcome {
        let Circumstances { view, me, elapsed, .. } = *circumstances;
        let mut outcome = ClaimOutcome::default();
        for (claimed, stat) in claimed {
            let ClaimedItem {
                item, run, record, gap, ..
            } = claimed;
            outcome.skipped.extend(gap.map(|gap| (item, gap)));
            let running = Box::new(Running {
                run: run.clone(),
                version: stat.version,
                record,
                is_marked: claim.mark.is_some(),
                is_failover: claim.is_takeover(),
                is_failovering: claim.is_takeover(),
            });
            let is_owner = view.items.get(&item).and_then(|item| item.owner.as_ref()) == Some(me);
            if is_owner || claim.is_takeover() {
                self.running.insert(item, running);
                outcome.starts.push(Start {
                    item,
                    run,
                    fencing_token: stat.modified,
                });
            } else {
                let end = not_started("given to another instance");
                self.ended.insert(
                    item,
                    Box::new(Ended {
                        running,
                        end: Some(end),
                        attempts: 0,
                    }),
                );
                self.linger(elapsed);
                outcome.refused.push((item, "given to another instance"));
            }
        }
        outcome
    }

    fn abandon(&mut self, claim: &Claim) {
        for item in claim.items() {
            self.close(item);
        }
    }
}

fn expected(version: i32) -> Option<i32> {
    (!Mutation::IgnoreLedgerVersion.is_on()).then_some(version)
}

pub(super) fn due_of(run: &Run) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(run.due).unwrap_or(jiff::Timestamp::MIN)
}

/// The data found, answer by answer.
pub(super) struct Found(std::vec::IntoIter<Answer>);

impl Found {
    pub(super) fn new(answers: Vec<Answer>) -> Self {
        Self(answers.into_iter())
    }

    pub(super) fn next(&mut self) -> Option<(Vec<u8>, Stat)> {
        match self.0.next() {
            Some(Answer::Data(found)) => found,
            _ => None,
        }
    }
}
