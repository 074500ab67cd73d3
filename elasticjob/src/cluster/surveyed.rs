//! What an assignment has to know of each item, freshly read.
//!
//! The leader's view may be behind, and it does not have every ledger's version. Before it shares items out it
//! therefore reads owner, mark and ledger version of each item, after a sync. Of each answer only these few bytes are
//! kept, and the items are read in parts: the answers of a million items together would not fit into memory.

use crate::registry::{Answer, Error, Read, Session};

use super::instance::InstanceId;
use super::layout::{ItemKind, Node};
use super::mutation::Mutation;
use super::session::Membership;
use super::view::View;

/// One item as the survey found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Surveyed {
    pub(super) item: u32,
    pub(super) owner: Option<InstanceId>,
    pub(super) mark: Option<Mark>,
    /// The version of its ledger, if it has one.
    pub(super) ledger: Option<i32>,
    pub(super) node: ItemNode,
}

/// A mark that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The instance that runs the item, if the mark names it.
    pub(super) holder: Option<InstanceId>,
    /// Whether it goes with a session.
    pub(super) is_ephemeral: bool,
}

/// The node `sharding/{item}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ItemNode {
    Missing,
    /// It is there. Of an item beyond the total, the names below it: they go with it.
    There(Box<[String]>),
}

impl Surveyed {
    /// Returns the item's number.
    pub(crate) fn item(&self) -> u32 {
        self.item
    }

    /// Returns the item and its owner, if it has one.
    pub(crate) fn owned(&self) -> Option<(u32, &InstanceId)> {
        Some((self.item, self.owner.as_ref()?))
    }

    /// Returns the instance that runs the item, if the mark names it.
    pub(super) fn runner(&self) -> Option<&InstanceId> {
        self.mark.as_ref()?.holder.as_ref()
    }

    /// Returns whether an instance that lives, as far as we know, is running the item.
    pub(super) fn is_running(&self, view: &View) -> bool {
        let mark = self.mark.as_ref().filter(|_| !Mutation::MoveRunning.is_on());
        mark.is_some_and(|mark| mark.is_ephemeral || mark.holder.as_ref().is_none_or(|holder| view.is_alive(holder)))
    }
}

/// Reads these items, of a state that is not older than this call: some at a time, since the answers take many times what
/// is kept of them.
///
/// # Errors
/// That of the first request which has one.
pub(crate) async fn survey(
    membership: &Membership,
    job: &str,
    items: &[u32],
    total: u32,
) -> Result<Vec<Surveyed>, Error> {
    membership.sync().await?;
    read(&**membership.session(), job, items, total).await
}

async fn read(session: &dyn Session, job: &str, items: &[u32], total: u32) -> Result<Vec<Surveyed>, Error> {
    let mut found = Vec::with_capacity(items.len());
    for items in items.chunks(session.limits().items_at_once()) {
        let mut answers = session.read(reads(job, items)).await?.into_iter();
        found.extend(items.iter().map(|item| surveyed(*item, total, &mut answers)));
    }
    Ok(found)
}

/// Returns what has to be read of the items.
fn reads(job: &str, items: &[u32]) -> Vec<Read> {
    let of = |item: &u32| {
        let state = |kind| Node::ItemState { item: *item, kind }.of(job);
        [
            Read::Data(state(ItemKind::Owner)),
            Read::Data(state(ItemKind::Running)),
            Read::Data(Node::LedgerItem(*item).of(job)),
            Read::Children(Node::Item(*item).of(job)),
        ]
    };
    items.iter().flat_map(of).collect()
}

/// Takes the answers to the [`reads`] of one item.
fn surveyed(item: u32, total: u32, answers: &mut impl Iterator<Item = Answer>) -> Surveyed {
    let mut data = || match answers.next() {
        Some(Answer::Data(found)) => found,
        _ => None,
    };
    let id = |data: &[u8]| InstanceId::parse(&String::from_utf8_lossy(data));
    let owner = data().and_then(|(data, _)| id(&data));
    let mark = data().map(|(data, stat)| Mark {
        holder: id(&data),
        is_ephemeral: stat.ephemeral_owner != 0,
    });
    let ledger = data().map(|(_, stat)| stat.version);
    let node = match answers.next() {
        Some(Answer::Children(Some(names))) if item >= total => ItemNode::There(names.into()),
        Some(Answer::Children(Some(_))) => ItemNode::There(Box::default()),
        _ => ItemNode::Missing,
    };
    Surveyed {
        item,
        owner,
        mark,
        ledger,
        node,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;
    use crate::registry::memory::MemoryRegistry;
    use crate::registry::metered::Metered;
    use crate::registry::{CreateMode, Limits, Registry, Step};

    mod a_survey {
        use super::*;

        #[tokio::test]
        async fn finds_all_items_and_reads_some_at_a_time() {
            let _limits = limits::lower(1_024, 1_000);
            let most = u32::try_from(Limits::default().items_at_once()).expect("not so many");
            let registry = Metered::new(MemoryRegistry::new());
            let session = registry.connect().await.unwrap();
            let last = most * 10;
            let beyond = last + 1;
            for (path, data) in [
                ("/job".to_owned(), ""),
                ("/job/sharding".to_owned(), ""),
                (format!("/job/sharding/{last}"), ""),
                (format!("/job/sharding/{last}/instance"), "a@-@1"),
                (format!("/job/sharding/{beyond}"), ""),
                (format!("/job/sharding/{beyond}/running"), "a@-@2"),
            ] {
                let (data, mode) = (data.into(), CreateMode::Persistent);
                session.write(vec![Step::Create { path, data, mode }]).await.unwrap();
            }
            let before = registry.counts();
            let items: Vec<u32> = (0..=beyond).collect();
            let found = read(&*session, "job", &items, beyond).await.unwrap();
            let asked = registry.counts() - before;
            // Six requests for as many items as are read together, with none that reaches into the next.
            assert_eq!((asked.reads, asked.nodes_read), (61, 4 * u64::from(beyond + 1)));
            assert!(found.iter().map(Surveyed::item).eq(items));
            let there: Vec<&Surveyed> = found.iter().filter(|item| item.node != ItemNode::Missing).collect();
            let [there, beyond] = there[..] else {
                panic!("{there:?}");
            };
            let owner = InstanceId::parse("a@-@1");
            assert_eq!(there.owned(), Some((last, owner.as_ref().unwrap())));
            assert_eq!((&there.mark, &there.node), (&None, &ItemNode::There(Box::default())));
            let names: Box<[String]> = ["running".to_owned()].into();
            assert_eq!(
                (beyond.owned(), &beyond.node),
                (None, &ItemNode::There(names)),
                "to be removed"
            );
            assert_eq!(beyond.runner(), InstanceId::parse("a@-@2").as_ref());
        }
    }
}
