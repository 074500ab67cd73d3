//! The strategy that keeps items to instances with the labels that they need.
//!
//! Items with the same label form a class, and each class may run on the instances that carry its label. Within that,
//! the items are shared out evenly, as [`Sticky`](super::Sticky) does for one class of all.

use std::collections::BTreeMap;

use elasticjob_config::item_parameters::ItemParameters;

use super::spread::{Class, spread};
use super::{Assignment, Candidate, ShardingRequest, ShardingStrategy};
use crate::property::{self, Accepts, Properties, Reader};

/// `LABEL`: an item runs only on instances that carry its label.
///
/// Instances say which labels they carry in their configuration, `elasticjob.labels: [gpu, eu]`. The prop `label.items`
/// says which an item needs, `0=gpu,1=gpu&eu`; of several, joined by `&`, it needs all. An item that is not listed there
/// needs the job's `label`, and where there is none it runs anywhere. So a job runs on a part of the instances as a whole by
///
/// ```yaml
/// elasticjob:
///   labels: [gpu]                                  # this instance
///   jobs:
///     train:
///       job-sharding-strategy-type: LABEL
///       label: gpu                                 # every item, but
///       props: { label.items: "0=gpu&large" }      # the first
/// ```
///
/// ```
/// use std::collections::BTreeMap;
/// use elasticjob::sharding::{Candidate, Label, ShardingRequest, ShardingStrategy};
///
/// let (small, large) = (["gpu".to_owned()], ["gpu".to_owned(), "large".to_owned()]);
/// let instances = [
///     Candidate::new("10.0.0.1@-@7"),
///     Candidate::new("10.0.0.2@-@7").with_labels(&small),
///     Candidate::new("10.0.0.3@-@7").with_labels(&large),
/// ];
/// let props = BTreeMap::from([("label.items".to_owned(), "0=gpu&large".to_owned())]);
/// let request = ShardingRequest::new("train", 2, instances).with_props(&props).with_label("gpu");
/// let owners = Label.assign(&request);
/// let ip_of = |item| owners.owner(item).map(|owner| request.instances()[owner].ip());
/// assert_eq!([0, 1].map(ip_of), [Some("10.0.0.3"), Some("10.0.0.2")]);
/// ```
///
/// As far as labels allow, the items are shared evenly and stay where they are. An item that no instance may run waits for
/// one that may: the leader's log and its [health](crate::starter::ElasticJob::health) say so. Where Java members take part,
/// they carry no labels, and as leaders they look at none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Label;

impl Label {
    pub(super) const NAME: &'static str = "LABEL";
}

impl ShardingStrategy for Label {
    fn assign(&self, request: &ShardingRequest<'_>) -> Assignment {
        let Some(needs) = Needs::of(request) else {
            return Assignment::from_fn(request, |_| None);
        };
        let mut classes = Vec::new();
        let mut known = BTreeMap::new();
        let mut class_of = Vec::new();
        for item in 0..request.total_count() {
            let label = needs.label_of(item);
            class_of.push(*known.entry(label).or_insert_with(|| {
                classes.push(Class::of(request, |index| carries(&request.instances()[index], label)));
                classes.len() - 1
            }));
        }
        spread(request, &classes, |item| class_of[item as usize])
    }

    fn may_run(&self, request: &ShardingRequest<'_>, item: u32, instance: usize) -> bool {
        let needs = Needs::of(request);
        needs.is_some_and(|needs| carries(&request.instances()[instance], needs.label_of(item)))
    }

    fn check(&self, total_count: u32, props: &mut Reader<'_>) {
        let Some(Items(items)) = props.read() else { return };
        if let Err(errors) = items.check_range(total_count) {
            props.fault(ITEMS, errors.summary());
        }
    }
}

/// What the items need.
struct Needs<'a> {
    items: ItemParameters,
    others: &'a str,
}

impl<'a> Needs<'a> {
    /// `None` if it cannot be read, which was refused before.
    fn of(request: &'a ShardingRequest<'_>) -> Option<Self> {
        Some(Self {
            items: property::read::<Items>(request.props()).ok()?.0,
            others: request.label().unwrap_or_default(),
        })
    }

    fn label_of(&self, item: u32) -> &str {
        self.items.get(item).unwrap_or(self.others)
    }
}

/// Returns whether the instance carries all that `label` asks for.
fn carries(instance: &Candidate<'_>, label: &str) -> bool {
    let mut needed = label.split('&').map(str::trim).filter(|label| !label.is_empty());
    needed.all(|label| instance.has_label(label))
}

const ITEMS: &str = "label.items";

/// The labels of items.
struct Items(ItemParameters);

impl Properties for Items {
    const PREFIXES: &'static [&'static str] = &["label."];

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        const LABELS: Accepts<ItemParameters> =
            Accepts::explained("labels of items, such as `0=gpu,1=gpu&eu`", |text| {
                ItemParameters::parse(text).map_err(|errors| errors.summary())
            });
        let items = reader.optional(ITEMS, &LABELS)?;
        Some(Self(items.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn props(items: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(ITEMS.to_owned(), items.to_owned())])
    }

    /// The owners of four items, where the instances carry these labels: the last is the first in the order of ids.
    fn owners(items: &str, label: &str, labels: [&[&str]; 3]) -> Vec<Option<usize>> {
        let labels = labels.map(|labels| labels.iter().map(|label| (*label).to_owned()).collect::<Vec<_>>());
        let ids = ["c@-@1", "b@-@1", "a@-@1"];
        let candidates = ids
            .iter()
            .zip(&labels)
            .map(|(id, labels)| Candidate::new(id).with_labels(labels));
        let props = props(items);
        let request = ShardingRequest::new("job", 4, candidates)
            .with_props(&props)
            .with_label(label);
        Label.assign(&request).owners().to_vec()
    }

    #[test]
    fn assigns_an_item_only_to_its_label() {
        let owners = owners("0=gpu,1=gpu & eu,2=eu", "", [&["gpu"], &["eu", "gpu"], &[]]);
        assert_eq!(owners[1], Some(1), "both");
        assert_eq!(owners[0], Some(0), "the less burdened of two");
        assert_eq!(owners[2], Some(1));
        assert_eq!(owners[3], Some(2), "anywhere");
    }

    #[test]
    fn applies_the_job_label_to_other_items() {
        let owners = owners("2=eu", "gpu", [&["gpu"], &["eu"], &["gpu"]]);
        assert_eq!(owners[2], Some(1));
        let mut others = [owners[0], owners[1], owners[3]];
        others.sort();
        assert!(
            others == [Some(0), Some(0), Some(2)] || others == [Some(0), Some(2), Some(2)],
            "{owners:?}"
        );
    }

    #[test]
    fn leaves_an_item_with_an_unknown_label_unassigned() {
        let owners = owners("0=tape,3=gpu&tape", "", [&["gpu"], &[], &[]]);
        assert_eq!((owners[0], owners[3]), (None, None));
        assert!(owners[1].is_some() && owners[2].is_some());
    }

    #[test]
    fn reports_all_wrong_labels_at_once() {
        let check = |items: &str| {
            let props = props(items);
            let mut reader = Reader::new(&props);
            Label.check(3, &mut reader);
            reader.finish(Some(())).map_err(|faults| faults.to_string())
        };
        assert_eq!(check("0=gpu,2=eu"), Ok(()));
        let fault = check("0=gpu,3=eu,x=tape").unwrap_err();
        assert!(
            fault.starts_with("`props.label.items` is `0=gpu,3=eu,x=tape`: expected labels of items"),
            "{fault}"
        );
        let fault = check("0=gpu,3=eu").unwrap_err();
        assert!(fault.contains("`props.label.items` is `0=gpu,3=eu`: "), "{fault}");
        let props = BTreeMap::from([("label.item".to_owned(), "0=gpu".to_owned())]);
        let mut reader = Reader::new(&props);
        Label.check(3, &mut reader);
        let fault = reader.finish(Some(())).unwrap_err().to_string();
        assert_eq!(
            fault,
            "`props.label.item`: unknown property, did you mean `label.items`?"
        );
    }
}
