//! Curator's latch: contenders queue up as numbered nodes, and the first has the right.
//!
//! The number is given by the registry (a sequential node), and the node goes with the session of its creator. So there
//! is an order that all see alike, and a contender that dies leaves the queue by itself. Java members use the same
//! latches, therefore names and order are theirs.

use std::collections::BTreeSet;

/// Where our contender stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing<'a> {
    /// Our contenders, in order. An unknown outcome can have left more than one: the first counts.
    pub(crate) own: Vec<&'a str>,
    /// Whether the first of ours is the first of all.
    pub(crate) is_first: bool,
}

/// Returns the name of a new contender, to which the registry adds a number. `uuid` tells ours from others'.
pub(crate) fn contender(uuid: &str) -> String {
    format!("_c_{uuid}-latch-")
}

/// Returns where those of `uuid` stand among the contenders.
pub(crate) fn standing<'a>(contenders: &'a BTreeSet<String>, uuid: &str) -> Standing<'a> {
    let mut own: Vec<&str> = contenders
        .iter()
        .map(String::as_str)
        .filter(|name| name.contains(uuid))
        .collect();
    own.sort_by_key(|name| order(name));
    let first = first(contenders);
    Standing {
        is_first: first.is_some() && first == own.first().copied(),
        own,
    }
}

/// Returns the contender that has the right.
pub(crate) fn first(contenders: &BTreeSet<String>) -> Option<&str> {
    contenders.iter().map(String::as_str).min_by_key(|name| order(name))
}

/// Curator's order: the text after the last `latch-`.
fn order(name: &str) -> &str {
    name.rsplit_once("latch-").map_or(name, |(_, number)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_contenders_by_number() {
        let contenders = [
            "_c_zz-latch-0000000001",
            "_c_aa-latch-0000000002",
            "_c_aa-latch-0000000003",
        ];
        let contenders = contenders.map(str::to_owned).into();
        assert!(standing(&contenders, "zz").is_first);
        let later = standing(&contenders, "aa");
        assert_eq!(
            (later.own, later.is_first),
            (vec!["_c_aa-latch-0000000002", "_c_aa-latch-0000000003"], false)
        );
        assert!(!standing(&contenders, "bb").is_first);
    }
}
