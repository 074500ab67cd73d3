//! Requests to etcd as its client takes them, and what of its answers is needed.

use std::collections::BTreeMap;

use etcd_client::{
    Compare, CompareOp, DeleteOptions, GetOptions, KeyValue, PutOptions, Txn, TxnOp, TxnOpResponse, TxnResponse,
};

use crate::registry::{Answer, Read};

use super::keys::{Keys, Place};
use super::plan::{Change, Condition, Counter, Test};
use super::value::{BELOW_PERSISTENT, Life, Meta, decode};

/// The key that lives as long as a session, as this connection last put it.
///
/// It has the session's lease, and a revision that comes once. So if it was last put then, the session lives, and no later
/// connection of it has been made: what an earlier one left on its way is refused.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    pub(super) session: i64,
    pub(super) key: Vec<u8>,
    pub(super) revision: i64,
}

/// What a guard was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guarded {
    Holds,
    /// A later connection of the session has been made.
    Replaced,
    /// The session is over.
    Gone,
}

impl Guard {
    /// Returns what it is by what was found at its key.
    pub(super) fn judge(&self, found: Option<Meta>) -> Guarded {
        match found.map_or(0, |meta| meta.modified) {
            revision if revision == self.revision => Guarded::Holds,
            0 => Guarded::Gone,
            _ => Guarded::Replaced,
        }
    }

    fn compare(&self) -> Compare {
        Compare::mod_revision(self.key.clone(), CompareOp::Equal, self.revision)
    }
}

/// Returns the transaction that makes these changes if the guard and the conditions hold, and else looks why they do not. It sets
/// the ticks with the changes.
pub(super) fn transaction(guard: &Guard, conditions: &[Condition], changes: &[Change], ticks: Vec<Vec<u8>>) -> Txn {
    let mut compares = vec![guard.compare()];
    compares.extend(conditions.iter().map(compare));
    let mut looks = vec![look(guard.key.clone())];
    looks.extend(conditions.iter().map(|condition| match &condition.test {
        Test::NoneBefore(to) => {
            let options = GetOptions::new().with_range(to.clone()).with_limit(1).with_keys_only();
            TxnOp::get(condition.key.clone(), Some(options))
        }
        _ => look(condition.key.clone()),
    }));
    let mut then: Vec<TxnOp> = changes.iter().map(|change| op(guard, change)).collect();
    then.extend(ticks.into_iter().map(|tick| put_tick(guard, tick)));
    Txn::new().when(compares).and_then(then).or_else(looks)
}

fn look(key: Vec<u8>) -> TxnOp {
    TxnOp::get(key, Some(GetOptions::new().with_keys_only()))
}

fn put_tick(guard: &Guard, tick: Vec<u8>) -> TxnOp {
    TxnOp::put(tick, "", Some(PutOptions::new().with_lease(guard.session)))
}

fn compare(condition: &Condition) -> Compare {
    let key = condition.key.clone();
    match &condition.test {
        Test::Absent => Compare::version(key, CompareOp::Equal, 0),
        Test::Present => Compare::version(key, CompareOp::Greater, 0),
        Test::Puts(puts) => Compare::version(key, CompareOp::Equal, *puts),
        // A key that is not there has no value that compares.
        Test::Parent => Compare::value(key, CompareOp::Greater, BELOW_PERSISTENT),
        Test::NoneBefore(to) => Compare::version(key, CompareOp::Equal, 0).with_range(to.clone()),
        Test::At(revision) => Compare::mod_revision(key, CompareOp::Equal, *revision),
    }
}

fn op(guard: &Guard, change: &Change) -> TxnOp {
    match change {
        Change::Put { key, value, life } => {
            let options = match life {
                Life::Persistent => PutOptions::new(),
                Life::Ephemeral => PutOptions::new().with_lease(guard.session),
            };
            TxnOp::put(key.clone(), value.clone(), Some(options.with_prev_key()))
        }
        // A transaction within the transaction: its comparison does not count beside the others.
        Change::Keep {
            key,
            persistent,
            ephemeral,
        } => {
            let put = |value: &Vec<u8>| {
                let options = PutOptions::new().with_ignore_lease().with_prev_key();
                vec![TxnOp::put(key.clone(), value.clone(), Some(options))]
            };
            let stays = Compare::value(key.clone(), CompareOp::Greater, BELOW_PERSISTENT);
            TxnOp::txn(
                Txn::new()
                    .when([stays])
                    .and_then(put(persistent))
                    .or_else(put(ephemeral)),
            )
        }
        Change::Delete { key } => TxnOp::delete(key.clone(), None::<DeleteOptions>),
    }
}

/// Returns what etcd says of a key.
pub(super) fn meta(found: &KeyValue) -> Meta {
    Meta {
        version: found.version(),
        created: found.create_revision(),
        modified: found.mod_revision(),
        lease: found.lease(),
    }
}

/// Returns the revision of an answer.
pub(super) fn revision(response: &TxnResponse) -> i64 {
    response.header().map_or(0, etcd_client::ResponseHeader::revision)
}

/// Returns what was there before each change.
pub(super) fn before(responses: &[TxnOpResponse]) -> Vec<Option<Meta>> {
    responses.iter().map(before_one).collect()
}

fn before_one(response: &TxnOpResponse) -> Option<Meta> {
    match response {
        TxnOpResponse::Put(put) => put.prev_key().map(meta),
        TxnOpResponse::Txn(within) => before_one(within.op_responses().first()?),
        TxnOpResponse::Get(_) | TxnOpResponse::Delete(_) => None,
    }
}

/// Returns what a transaction that did not come about looked at: what is at the guard's key, then of each condition.
pub(super) fn looked(responses: &[TxnOpResponse]) -> Vec<Option<Meta>> {
    let found = |response: &TxnOpResponse| match response {
        TxnOpResponse::Get(get) => get.kvs().first().map(meta),
        _ => None,
    };
    responses.iter().map(found).collect()
}

/// Returns the transaction that reads these, and sets the ticks.
pub(super) fn reading(keys: &Keys, guard: &Guard, reads: &[Read], ticks: Vec<Vec<u8>>) -> Txn {
    let mut ops = Vec::new();
    for read in reads {
        match read {
            Read::Data(path) => ops.push(TxnOp::get(keys.node(path), None)),
            Read::Children(path) => {
                ops.push(look(keys.node(path)));
                let children = keys.children(path);
                let options = GetOptions::new().with_range(children.to).with_keys_only();
                ops.push(TxnOp::get(children.from, Some(options)));
            }
        }
    }
    ops.extend(ticks.into_iter().map(|tick| put_tick(guard, tick)));
    Txn::new().and_then(ops)
}

/// Returns the answers to [`reading`].
pub(super) fn read(keys: &Keys, reads: &[Read], responses: Vec<TxnOpResponse>) -> Vec<Answer> {
    let mut found = responses.into_iter().map(|response| match response {
        TxnOpResponse::Get(mut get) => get.take_kvs(),
        _ => Vec::new(),
    });
    let mut next = || found.next().unwrap_or_default();
    let answer = |read: &Read| match read {
        Read::Data(path) => Answer::Data(match next().first() {
            Some(found) => {
                let (at, data) = decode(found.value());
                Some((data.to_vec(), meta(found).stat_of(path, at)))
            }
            // It is there before it is set.
            None if Place::of(path).is_root() => Some((Vec::new(), Meta::default().stat_of(path, 0))),
            None => None,
        }),
        Read::Children(path) => {
            let (node, children) = (next(), next());
            let range = keys.children(path);
            let name = |child: &KeyValue| Some(Keys::child(&range, child.key())?.to_owned());
            let is_there = !node.is_empty() || Place::of(path).is_root();
            Answer::Children(is_there.then(|| children.iter().filter_map(name).collect()))
        }
    };
    reads.iter().map(answer).collect()
}

/// Returns the transaction that reads the counters of these nodes.
pub(super) fn counting(keys: &Keys, nodes: &[&str]) -> Txn {
    let get = |path: &&str| TxnOp::get(keys.counter(path), None);
    Txn::new().and_then(nodes.iter().map(get).collect::<Vec<_>>())
}

/// Returns the counters that were read.
pub(super) fn counted<'a>(nodes: &[&'a str], responses: Vec<TxnOpResponse>) -> BTreeMap<&'a str, Counter> {
    let counter = |(path, response): (&&'a str, TxnOpResponse)| {
        let TxnOpResponse::Get(get) = response else { return None };
        let found = get.kvs().first()?;
        let next = std::str::from_utf8(found.value()).ok()?.parse().ok()?;
        let revision = found.mod_revision();
        Some((*path, Counter { next, revision }))
    };
    nodes.iter().zip(responses).filter_map(counter).collect()
}

/// Returns the transaction that sets ticks if the guard holds, and else looks at it.
pub(super) fn ticking(guard: &Guard, ticks: Vec<Vec<u8>>) -> Txn {
    transaction(guard, &[], &[], ticks)
}
