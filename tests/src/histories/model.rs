//! The nodes of one job as a registry should have them. Pure.

use std::collections::BTreeMap;
use std::rc::Rc;

use elasticjob::registry::{CreateMode, Error, Stat, Step, WatchEvent, Written};

use super::history::Nodes;

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    data: Rc<[u8]>,
    version: i32,
    /// `None` if the transaction has left no trace of its token.
    created: Option<i64>,
    modified: Option<i64>,
    pub(super) owner: i64,
    /// The greatest number that a sequential child was given.
    last_number: i64,
}

/// All nodes of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tree {
    nodes: BTreeMap<String, Node>,
}

/// The session that carries out steps, and the token of the transaction, if that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Author {
    pub(super) session: i64,
    pub(super) token: Option<i64>,
}

/// What became of a step.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Done {
    Created(String),
    Set(String, Node),
    Deleted(String),
    Checked,
}

/// Why a step is not carried out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// As a registry says it.
    Refused(Error),
    /// A sequential node was given a number that is none, or does not grow.
    Misnumbered(String),
}

impl Refusal {
    /// Returns whether a registry says it so.
    pub(super) fn is(&self, error: &Error) -> bool {
        matches!(self, Self::Refused(own) if own == error)
    }
}

impl Node {
    /// Returns whether a registry may describe the node so.
    pub(super) fn is(&self, stat: &Stat) -> bool {
        let is_token = |token: Option<i64>, shown| token.is_none_or(|token| token == shown);
        self.version == stat.version
            && self.owner == stat.ephemeral_owner
            && is_token(self.created, stat.created)
            && is_token(self.modified, stat.modified)
    }
}

impl Tree {
    /// Takes the nodes of a job as they are.
    pub(super) fn of(job: &str, nodes: &Nodes) -> Self {
        let node = |(data, stat): &(Vec<u8>, Stat)| Node {
            data: data.as_slice().into(),
            version: stat.version,
            created: Some(stat.created),
            modified: Some(stat.modified),
            owner: stat.ephemeral_owner,
            last_number: -1,
        };
        let of_job = nodes.iter().filter(|(path, _)| super::history::job_of(path) == job);
        Self {
            nodes: of_job.map(|(path, found)| (path.clone(), node(found))).collect(),
        }
    }

    pub(super) fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// Returns whether a read of the node may give this.
    pub(super) fn shows(&self, path: &str, found: Option<&(Vec<u8>, Stat)>) -> bool {
        match (self.nodes.get(path), found) {
            (None, None) => true,
            (Some(node), Some((data, stat))) => *node.data == **data && node.is(stat),
            _ => false,
        }
    }

    /// Returns the names of a node's children, sorted.
    pub(super) fn children(&self, path: &str) -> Option<Vec<&str>> {
        self.nodes.get(path)?;
        let prefix = format!("{path}/");
        let below = self.nodes.range(prefix.clone()..);
        let names = below.map_while(|(path, _)| path.strip_prefix(&prefix));
        Some(names.filter(|name| !name.contains('/')).collect())
    }

    /// Returns the nodes that differ between a model and what was found at last.
    pub(super) fn difference(&self, found: &Nodes, job: &str) -> Vec<String> {
        let is_right = |path: &&String| self.shows(path, found.get(*path));
        let found = found.keys().filter(|path| super::history::job_of(path) == job);
        let mut wrong: Vec<String> = self
            .nodes
            .keys()
            .chain(found)
            .filter(|path| !is_right(path))
            .cloned()
            .collect();
        wrong.sort_unstable();
        wrong.dedup();
        wrong
    }

    /// Returns the paths of a session's nodes.
    pub(super) fn owned_by(&self, session: i64) -> Vec<String> {
        let owned = self.nodes.iter().filter(|(_, node)| node.owner == session);
        owned.map(|(path, _)| path.clone()).collect()
    }

    /// Removes a node whose session is over.
    pub(super) fn remove(&mut self, path: &str) {
        self.nodes.remove(path);
    }

    /// Carries out a step. `name` is the path that the registry gave a sequential node; without one, any will do.
    /// After a refusal the tree is in no state that means anything.
    pub(super) fn step(&mut self, step: &Step, author: Author, name: Option<&str>) -> Result<Done, Refusal> {
        match step {
            Step::Create { path, data, mode } => self.create(path, data, *mode, author, name),
            Step::Set { path, data, version } => {
                let node = self.expect_version(path, *version)?;
                (node.data, node.modified) = (data.as_slice().into(), author.token);
                node.version += 1;
                Ok(Done::Set(path.clone(), node.clone()))
            }
            Step::Delete { path, version } => {
                self.expect_version(path, *version)?;
                if self.children(path).is_some_and(|children| !children.is_empty()) {
                    return Err(Refusal::Refused(Error::NotEmpty));
                }
                self.nodes.remove(path);
                Ok(Done::Deleted(path.clone()))
            }
            Step::Check { path, version } => self.expect_version(path, *version).map(|_| Done::Checked),
        }
    }

    /// Whether these steps could be carried out now; if not, at which it ends and why.
    pub(super) fn admits(&self, steps: &[(usize, &Step)], author: Author) -> Result<(), (usize, Refusal)> {
        let mut tree = self.clone();
        let mut carry_out = |(index, step): &(usize, &Step)| match tree.step(step, author, None) {
            Ok(_) => Ok(()),
            Err(refusal) => Err((*index, refusal)),
        };
        steps.iter().try_for_each(&mut carry_out)
    }

    fn create(
        &mut self,
        path: &str,
        data: &[u8],
        mode: CreateMode,
        author: Author,
        name: Option<&str>,
    ) -> Result<Done, Refusal> {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let parent = self.nodes.get_mut(parent).ok_or(Refusal::Refused(Error::NoNode))?;
        if parent.owner != 0 {
            return Err(Refusal::Refused(Error::EphemeralParent));
        }
        let mut path = path.to_owned();
        if mode == CreateMode::EphemeralSequential {
            let number = match name {
                Some(name) => number(name, &path).ok_or_else(|| Refusal::Misnumbered(name.to_owned()))?,
                None => parent.last_number + 1,
            };
            path = format!("{path}{number:010}");
            if number <= parent.last_number {
                return Err(Refusal::Misnumbered(path));
            }
            parent.last_number = number;
        }
        if self.nodes.contains_key(&path) {
            return Err(Refusal::Refused(Error::NodeExists));
        }
        let is_ephemeral = matches!(mode, CreateMode::Ephemeral | CreateMode::EphemeralSequential);
        let node = Node {
            data: data.into(),
            version: 0,
            created: author.token,
            modified: author.token,
            owner: if is_ephemeral { author.session } else { 0 },
            last_number: -1,
        };
        self.nodes.insert(path.clone(), node);
        Ok(Done::Created(path))
    }

    fn expect_version(&mut self, path: &str, version: Option<i32>) -> Result<&mut Node, Refusal> {
        let node = self.nodes.get_mut(path).ok_or(Refusal::Refused(Error::NoNode))?;
        if version.is_some_and(|version| version != node.version) {
            return Err(Refusal::Refused(Error::BadVersion));
        }
        Ok(node)
    }
}

impl Done {
    /// Returns whether a registry may answer the step so.
    pub(super) fn is(&self, written: &Written) -> bool {
        match (self, written) {
            (Self::Created(path), Written::Created(answered)) => path == answered,
            (Self::Set(_, node), Written::Set(stat)) => node.is(stat),
            (Self::Deleted(_), Written::Deleted) | (Self::Checked, Written::Checked) => true,
            _ => false,
        }
    }

    /// Returns the event of the step, if it changed something.
    pub(super) fn event(&self) -> Option<WatchEvent> {
        match self {
            Self::Created(path) => Some(WatchEvent::Created(path.clone())),
            Self::Set(path, _) => Some(WatchEvent::Changed(path.clone())),
            Self::Deleted(path) => Some(WatchEvent::Deleted(path.clone())),
            Self::Checked => None,
        }
    }
}

/// Returns the number of a sequential node: the ten digits after its prefix.
fn number(name: &str, prefix: &str) -> Option<i64> {
    let digits = name.strip_prefix(prefix)?;
    let are_digits = digits.len() == 10 && digits.bytes().all(|digit| digit.is_ascii_digit());
    are_digits.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUTHOR: Author = Author {
        session: 9,
        token: Some(5),
    };

    fn tree() -> Tree {
        let stat = Stat::default();
        let node = |path: &str| (path.to_owned(), (Vec::new(), stat));
        Tree::of(
            "a",
            &[node("/a"), node("/b"), node("/a/x"), node("/a/x-y"), node("/a/x/y")].into(),
        )
    }

    fn create(path: &str, mode: CreateMode) -> Step {
        Step::Create {
            path: path.into(),
            data: b"1".to_vec(),
            mode,
        }
    }

    fn refused(error: Error) -> Result<Done, Refusal> {
        Err(Refusal::Refused(error))
    }

    #[test]
    fn has_the_nodes_of_one_job_and_their_children() {
        assert_eq!(tree().children("/a"), Some(vec!["x", "x-y"]));
        assert_eq!(tree().children("/a/x"), Some(vec!["y"]));
        assert_eq!(tree().children("/b"), None);
    }

    #[test]
    fn refuses_what_a_registry_refuses() {
        let (any, persistent) = (None, CreateMode::Persistent);
        for (step, error) in [
            (create("/a/z/z", persistent), Error::NoNode),
            (create("/a/x", persistent), Error::NodeExists),
            (
                Step::Delete {
                    path: "/a/x".into(),
                    version: any,
                },
                Error::NotEmpty,
            ),
            (
                Step::Delete {
                    path: "/a/z".into(),
                    version: any,
                },
                Error::NoNode,
            ),
            (
                Step::Check {
                    path: "/a/x".into(),
                    version: Some(1),
                },
                Error::BadVersion,
            ),
            (
                Step::Set {
                    path: "/a/z".into(),
                    data: vec![],
                    version: any,
                },
                Error::NoNode,
            ),
        ] {
            assert_eq!(tree().step(&step, AUTHOR, None), refused(error), "{step:?}");
        }
        let mut tree = tree();
        tree.step(&create("/a/e", CreateMode::Ephemeral), AUTHOR, None).unwrap();
        assert_eq!(
            tree.step(&create("/a/e/f", persistent), AUTHOR, None),
            refused(Error::EphemeralParent)
        );
        assert_eq!(tree.owned_by(9), ["/a/e"]);
    }

    #[test]
    fn takes_growing_numbers_for_sequential_nodes() {
        let (mut tree, step) = (tree(), create("/a/x/q-", CreateMode::EphemeralSequential));
        let mut numbered = |name| tree.step(&step, AUTHOR, Some(name)).is_ok();
        assert!(numbered("/a/x/q-0000000003"));
        assert!(numbered("/a/x/q-0000000007"));
        assert!(!numbered("/a/x/q-0000000007"));
        assert!(!numbered("/a/x/q-8"));
    }

    #[test]
    fn counts_versions_and_keeps_tokens() {
        let mut tree = tree();
        let set = Step::Set {
            path: "/a/x".into(),
            data: b"2".to_vec(),
            version: Some(0),
        };
        let done = tree.step(&set, AUTHOR, None).unwrap();
        let stat = Stat {
            version: 1,
            modified: 5,
            ..Stat::default()
        };
        assert!(done.is(&Written::Set(stat)));
        assert!(!done.is(&Written::Set(Stat { version: 2, ..stat })));
        assert!(!done.is(&Written::Set(Stat { modified: 6, ..stat })));
        assert!(tree.shows("/a/x", Some(&(b"2".to_vec(), stat))));
        assert!(!tree.shows("/a/x", Some(&(b"1".to_vec(), stat))));
    }
}
