//! What the log says of an assignment: which items have another owner now, and why.

use std::collections::BTreeSet;

use elasticjob_config::ranges::Ranges;

use crate::cluster::surveyed::Surveyed;
use crate::cluster::view::View;

use super::Basis;

/// The log names no more instances than these, and counts the others.
const MOST_NAMES: usize = 5;

/// An assignment as an operator reads of it. Its texts are bounded, however many items and instances there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SharedOut {
    moved: Ranges,
    waiting: Ranges,
    reason: String,
}

impl SharedOut {
    /// Compares an assignment with the one before. `moved` are the items with another owner, in ascending order.
    pub(crate) fn new(view: &View, now: &Basis, items: &[Surveyed], moved: impl Iterator<Item = u32>) -> Self {
        let moved: Ranges = moved.collect();
        let mut reasons = reasons(view, now, items);
        if reasons.is_empty() {
            reasons.push(if moved.is_empty() {
                "it was asked for: all items were where they belong".to_owned()
            } else {
                "items were not where they belong".to_owned()
            });
        }
        Self {
            moved,
            waiting: now.deferred.iter().collect(),
            reason: reasons.join("; "),
        }
    }

    /// The items with another owner than before, those that lost theirs among them: `0-3, 7`, or `none`.
    pub(crate) fn items(&self) -> String {
        if self.moved.is_empty() {
            "none".to_owned()
        } else {
            self.moved.to_string()
        }
    }

    /// The items that move once their runs have ended, if there are any.
    pub(crate) fn waiting(&self) -> Option<String> {
        (!self.waiting.is_empty()).then(|| self.waiting.to_string())
    }

    /// What has changed since the assignment before.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }
}

fn reasons(view: &View, now: &Basis, items: &[Surveyed]) -> Vec<String> {
    let before = match view.epoch.as_ref().map(|epoch| epoch.basis.as_ref()) {
        None => return vec!["there was no assignment yet".to_owned()],
        Some(None) => return vec!["the assignment before cannot be read".to_owned()],
        Some(Some(before)) if before.is_unfinished() => return vec!["an assignment was left unfinished".to_owned()],
        Some(Some(before)) => before,
    };
    let mut reasons = of_instances(view, before, now);
    let is_any_gone = before.instances.iter().any(|id| !now.instances.contains(id));
    if before.total != now.total {
        reasons.push(format!("total count {} -> {}", before.total, now.total));
    }
    if before.strategy != now.strategy {
        reasons.push(format!("strategy {} -> {}", before.strategy, now.strategy));
    } else if before.settings != now.settings {
        reasons.push("what the strategy is given has changed".to_owned());
    }
    let is_free = |item: &&Surveyed| before.deferred.contains(item.item) && !item.is_running(view);
    let free: Ranges = items.iter().filter(is_free).map(|item| item.item).collect();
    if !free.is_empty() {
        reasons.push(format!("runs that were waited for have ended: {free}"));
    }
    let is_orphan = |item: &&Surveyed| {
        let owner = item.owner.as_ref();
        owner.is_some_and(|owner| !view.instances.contains(owner))
    };
    let orphans = items.iter().filter(|item| is_orphan(item) && !is_free(item));
    let orphans: Ranges = orphans.map(|item| item.item).collect();
    if !is_any_gone && !orphans.is_empty() {
        reasons.push(format!("their instances are gone: {orphans}"));
    }
    reasons
}

/// Instances that take items now and did not before, and the other way round.
fn of_instances(view: &View, before: &Basis, now: &Basis) -> Vec<String> {
    let [before, now] = [before, now].map(|basis| basis.instances.iter().map(String::as_str).collect::<BTreeSet<_>>());
    let is_there = |name: &&&str| view.instances.iter().any(|id| id.as_str() == **name);
    let (off, gone): (Vec<&str>, Vec<&str>) = before.difference(&now).partition(|name| is_there(name));
    let joined: Vec<&str> = now.difference(&before).copied().collect();
    let named = [
        ("joined", joined),
        ("left", gone),
        ("drained, leaving or switched off", off),
    ];
    named
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what}: {}", listed(&names)))
        .collect()
}

fn listed(names: &[&str]) -> String {
    let first = names.iter().take(MOST_NAMES).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST_NAMES) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Terms;
    use super::*;
    use crate::cluster::instance::InstanceId;
    use crate::cluster::surveyed::{ItemNode, Mark};
    use crate::registry::Stat;

    const AVG: Terms<'static> = Terms {
        total: 8,
        strategy: "AVG_ALLOCATION",
        settings: 0,
    };

    fn found(text: &str) -> Option<(Vec<u8>, Stat)> {
        Some((text.as_bytes().to_vec(), Stat::default()))
    }

    fn view(instances: &[&str]) -> View {
        let mut view = View::new("job");
        for id in instances {
            view.read(&format!("/job/instances/{id}"), found(""));
            let server = id.split('@').next().unwrap_or_default();
            view.read(&format!("/job/servers/{server}"), found("ENABLED"));
        }
        view
    }

    /// All items, owned by one instance.
    fn surveyed(owner: &str) -> Vec<Surveyed> {
        let item = |item| Surveyed {
            item,
            owner: InstanceId::parse(owner),
            mark: None,
            ledger: None,
            node: ItemNode::Missing,
        };
        (0..8).map(item).collect()
    }

    /// Why items are shared out to these instances and on these terms, after an assignment to the instance `a@-@1`.
    fn reason(instances: &[&str], terms: Terms<'_>, adjust: impl FnOnce(&mut Basis, &mut Vec<Surveyed>)) -> String {
        let (mut before, mut items) = (Basis::now(&view(&["a@-@1"]), AVG), surveyed("a@-@1"));
        adjust(&mut before, &mut items);
        let mut view = view(instances);
        let data = String::from_utf8(before.to_bytes()).expect("JSON is text");
        view.read("/job/ledger/epoch", found(&data));
        let now = Basis::now(&view, terms);
        SharedOut::new(&view, &now, &items, [0, 1, 2, 5].into_iter())
            .reason()
            .to_owned()
    }

    #[test]
    fn names_what_has_changed() {
        let as_it_was = |_: &mut Basis, _: &mut Vec<Surveyed>| {};
        assert_eq!(reason(&["a@-@1", "b@-@2"], AVG, as_it_was), "joined: b@-@2");
        assert_eq!(reason(&["b@-@2"], AVG, as_it_was), "joined: b@-@2; left: a@-@1");
        let terms = Terms { total: 12, ..AVG };
        assert_eq!(reason(&["a@-@1"], terms, as_it_was), "total count 8 -> 12");
        let terms = Terms {
            strategy: "STICKY",
            ..AVG
        };
        assert_eq!(
            reason(&["a@-@1"], terms, as_it_was),
            "strategy AVG_ALLOCATION -> STICKY"
        );
        let terms = Terms { settings: 7, ..AVG };
        assert_eq!(
            reason(&["a@-@1"], terms, as_it_was),
            "what the strategy is given has changed"
        );
        assert_eq!(
            reason(&["a@-@1"], AVG, |before, items| {
                before.deferred = (2..5).collect();
                items[3].mark = Some(Mark {
                    holder: None,
                    is_ephemeral: true,
                });
            }),
            "runs that were waited for have ended: 2, 4"
        );
        assert_eq!(
            reason(&["a@-@1"], AVG, |_, items| items[6].owner = InstanceId::parse("c@-@9")),
            "their instances are gone: 6"
        );
        assert_eq!(
            reason(&["a@-@1"], AVG, |before, _| *before = Basis::default()),
            "an assignment was left unfinished"
        );
        assert_eq!(reason(&["a@-@1"], AVG, as_it_was), "items were not where they belong");
    }

    #[test]
    fn distinguishes_switched_off_from_left() {
        let mut view = view(&["a@-@1", "b@-@2"]);
        let data = String::from_utf8(Basis::now(&view, AVG).to_bytes()).expect("JSON is text");
        view.read("/job/ledger/epoch", found(&data));
        view.read("/job/servers/b", found("DISABLED"));
        let now = Basis::now(&view, AVG);
        let shared = SharedOut::new(&view, &now, &surveyed("a@-@1"), std::iter::empty());
        assert_eq!(shared.reason(), "drained, leaving or switched off: b@-@2");
        assert_eq!((shared.items(), shared.waiting()), ("none".to_owned(), None));
    }

    #[test]
    fn is_short_for_a_large_job() {
        let ids: Vec<String> = (0..1_000).map(|id| format!("10.0.0.1@-@{id}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let reason = reason(&ids, AVG, |before, _| before.instances.clear());
        assert!(reason.contains(" and 995 more") && reason.len() < 200, "{reason}");
        let view = view(&["a@-@1"]);
        let mut now = Basis::now(&view, AVG);
        now.deferred = (0..100_000).filter(|item| item % 2 == 0).collect();
        let odd = (0..100_000).filter(|item| item % 2 == 1);
        let shared = SharedOut::new(&view, &now, &[], odd);
        assert!(shared.items().ends_with(" and 49980 more"), "{}", shared.items());
        assert!(shared.waiting().is_some_and(|waiting| waiting.len() < 200));
        assert_eq!(shared.reason(), "there was no assignment yet");
    }
}
