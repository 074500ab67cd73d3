//! The children of a node, by name.
//!
//! A registry of ten thousand jobs has twenty nodes for each: nearly all have no child or a few, and a few have very many.
//! The former lie beside each other, with no room to spare; the latter are hashed.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

use super::tree::Node;

/// Up to so many are searched one after the other.
const FEW: usize = 8;

/// The same in every run, so that a simulation repeats itself.
pub(super) type Hasher = BuildHasherDefault<DefaultHasher>;

/// Nodes by name.
#[derive(Clone, Debug)]
#[expect(
    clippy::box_collection,
    reason = "a table in place would make all nodes larger for the sake of a few"
)]
pub(super) enum Children {
    /// Sorted by name.
    Few(Vec<(Box<str>, Node)>),
    /// In no order. What had many children is likely to have them again, so it stays like this.
    Many(Box<HashMap<Box<str>, Node, Hasher>>),
}

impl Default for Children {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Children {
    /// Returns whether there is no child.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Few(few) => few.is_empty(),
            Self::Many(many) => many.is_empty(),
        }
    }

    /// Returns the child of this name.
    pub(super) fn get(&self, name: &str) -> Option<&Node> {
        match self {
            Self::Few(few) => few.iter().find(|(known, _)| **known == *name).map(|(_, node)| node),
            Self::Many(many) => many.get(name),
        }
    }

    /// Returns the child of this name, to be changed.
    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Node> {
        match self {
            Self::Few(few) => few.iter_mut().find(|(known, _)| **known == *name).map(|(_, node)| node),
            Self::Many(many) => many.get_mut(name),
        }
    }

    /// Adds a child; there must be none of that name.
    pub(super) fn insert(&mut self, name: &str, node: Node) {
        match self {
            Self::Few(few) if few.len() < FEW => {
                let place = few.partition_point(|(known, _)| **known < *name);
                few.reserve_exact(1);
                few.insert(place, (name.into(), node));
            }
            Self::Few(few) => {
                let mut many: HashMap<_, _, _> = few.drain(..).collect();
                many.insert(name.into(), node);
                *self = Self::Many(Box::new(many));
            }
            Self::Many(many) => {
                many.insert(name.into(), node);
            }
        }
    }

    /// Takes the child of this name out.
    pub(super) fn remove(&mut self, name: &str) -> Option<Node> {
        match self {
            Self::Few(few) => {
                let place = few.iter().position(|(known, _)| **known == *name)?;
                Some(few.remove(place).1)
            }
            Self::Many(many) => many.remove(name),
        }
    }

    /// All, sorted by name.
    pub(super) fn sorted(&self) -> Vec<(&str, &Node)> {
        match self {
            Self::Few(few) => few.iter().map(|(name, node)| (&**name, node)).collect(),
            Self::Many(many) => {
                let mut all: Vec<_> = many.iter().map(|(name, node)| (&**name, node)).collect();
                all.sort_unstable_by_key(|(name, _)| *name);
                all
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_any_number_of_children_in_order() {
        for count in [0, 1, FEW, FEW + 1, 10 * FEW] {
            let mut names: Vec<String> = (0..count).map(|number| number.to_string()).collect();
            let mut children = Children::default();
            for name in names.iter().rev() {
                children.insert(name, Node::default());
            }
            names.sort_unstable();
            let listed: Vec<&str> = children.sorted().into_iter().map(|(name, _)| name).collect();
            assert_eq!(listed, names);
            for name in &names {
                assert!(
                    children.get(name).is_some() && children.get_mut(name).is_some(),
                    "{name}"
                );
                assert!(children.remove(name).is_some(), "{name}");
                assert!(
                    children.get(name).is_none() && children.remove(name).is_none(),
                    "{name}"
                );
            }
            assert!(children.is_empty());
        }
    }
}
