//! Which instance runs which sharding item.
//!
//! The leader of a job asks the job's [`ShardingStrategy`] whenever instances come or go. `AVG_ALLOCATION`
//! (the default), `ODEVITY` and `ROUND_ROBIN` give the same answers as those of Java ElasticJob, so that a mixed cluster
//! gets the same answer under any leader. [`SingleShardingBalance`] spreads jobs of one item, [`Sticky`] moves
//! as few items as possible, [`Label`] keeps items to instances that carry their labels.
//!
//! ```
//! use elasticjob::sharding::{Assignment, Candidate, ShardingRequest, Strategies};
//!
//! let instances = ["10.0.0.3@-@1", "10.0.0.2@-@1", "10.0.0.1@-@1"];
//! let request = ShardingRequest::new("orders", 7, instances.map(Candidate::new));
//! let assign = |strategy: &str| -> Assignment { Strategies::built_in().get(strategy).unwrap().assign(&request) };
//! let shares = |strategy: &str| [0, 1, 2].map(|index| assign(strategy).items_of(index).collect::<Vec<_>>());
//! assert_eq!(shares("AVG_ALLOCATION"), [vec![0, 1, 6], vec![2, 3], vec![4, 5]]);
//! // Which instance is the first depends on the name of the job: small jobs do not all end up on the same one.
//! let mut share_of_others = shares("ODEVITY");
//! share_of_others.sort();
//! assert_eq!(share_of_others, [vec![0, 1, 6], vec![2, 3], vec![4, 5]]);
//! for strategy in ["ROUND_ROBIN", "SINGLE_SHARDING_BALANCE", "STICKY", "LABEL"] {
//!     assert!(shares(strategy).iter().all(|items| [2, 3].contains(&items.len())), "{strategy}");
//! }
//!
//! // An instance is gone; its items alone move.
//! let current = [(0, "10.0.0.3@-@1"), (1, "10.0.0.9@-@1"), (2, "10.0.0.1@-@1")];
//! let request = ShardingRequest::new("orders", 3, instances.map(Candidate::new)).with_current(current);
//! let assignment = Strategies::built_in().get("STICKY").unwrap().assign(&request);
//! assert_eq!(assignment.owners(), [Some(0), Some(1), Some(2)]);
//! ```
//!
//! Configuration names them, and those of your own: by [`#[sharding_strategy(..)]`](crate::sharding_strategy), or by
//! the builder's [`sharding_strategy`](crate::starter::Builder::sharding_strategy). A strategy cannot harm
//! the cluster: if it panics, or its answer is invalid, each item stays with its owner, and an item without an owner does not
//! run, until the cluster changes. The leader logs it.

use std::sync::Arc;

use crate::catalogue::{Catalogue, Declared};
use crate::guard::{self, Panicked};
use crate::property::Reader;

mod assignment;
mod average;
mod java_hash;
mod label;
mod odd_even;
pub(crate) mod rendezvous;
mod request;
mod round_robin;
mod single_balance;
mod spread;
mod sticky;

pub use assignment::{Assignment, InvalidAssignment};
pub use average::AverageAllocation;
pub use label::Label;
pub use odd_even::OddEven;
pub use request::{Candidate, ShardingRequest};
pub use round_robin::RoundRobin;
pub use single_balance::SingleShardingBalance;
pub use sticky::Sticky;

/// The name of the strategy of a job that names none.
pub const DEFAULT_STRATEGY: &str = AverageAllocation::NAME;

/// Decides which instance runs which sharding item.
///
/// The answer is a function of the request alone. It need not be the same on each call, but an item that
/// moves without need is an item that is interrupted: [`ShardingRequest::current`] tells where it is now.
/// A strategy is called from several threads, for all jobs that name it, and must not block.
///
/// ```
/// use elasticjob::sharding::{Assignment, Candidate, ShardingRequest, ShardingStrategy};
///
/// /// The instance with the greatest id does it all, the others stand by.
/// struct Standby;
///
/// impl ShardingStrategy for Standby {
///     fn assign(&self, request: &ShardingRequest<'_>) -> Assignment {
///         let first = (!request.instances().is_empty()).then_some(0);
///         Assignment::from_fn(request, |_item| first)
///     }
/// }
///
/// let request = ShardingRequest::new("job", 3, [Candidate::new("10.0.0.1@-@7"), Candidate::new("10.0.0.2@-@7")]);
/// let assignment = Standby.assign(&request);
/// assert_eq!(request.instances()[0].ip(), "10.0.0.2");
/// assert_eq!(assignment.items_of(0).collect::<Vec<_>>(), [0, 1, 2]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` shares out no items",
    label = "no `ShardingStrategy`",
    note = "`#[sharding_strategy(..)]` stands on `impl ShardingStrategy for ..`"
)]
pub trait ShardingStrategy: Send + Sync + 'static {
    /// Assigns each item of the job to one instance, or to none.
    ///
    /// It is called on the leader alone, whenever the items are shared out, and for the check whether they are where
    /// they belong. If it panics, or names an instance that the request does not have, the items stay where they are.
    fn assign(&self, request: &ShardingRequest<'_>) -> Assignment;

    /// Returns whether the instance of that index may run the item at all: asked before it takes an item over from an instance
    /// that died running it. By default every instance may run every item.
    ///
    /// If it panics, the instance may not run the item.
    fn may_run(&self, request: &ShardingRequest<'_>, item: u32, instance: usize) -> bool {
        let _ = (request, item, instance);
        true
    }

    /// Reads the props that the strategy uses, for a job of so many items, so that faults are reported at start.
    /// When one of these props changes, the items are reshared. The values come again in
    /// [`ShardingRequest::props`]. By default it reads none.
    fn check(&self, total_count: u32, props: &mut Reader<'_>) {
        let _ = (total_count, props);
    }
}

/// The strategies there are, by name.
pub type Strategies = Catalogue<dyn ShardingStrategy>;

inventory::collect!(&'static Declared<dyn ShardingStrategy>);

impl Strategies {
    /// Those of this module.
    #[must_use]
    pub fn built_in() -> Self {
        let mut strategies = Self::new("sharding strategy");
        let entries: [(&str, Arc<dyn ShardingStrategy>); 6] = [
            (AverageAllocation::NAME, Arc::new(AverageAllocation)),
            (Label::NAME, Arc::new(Label)),
            (OddEven::NAME, Arc::new(OddEven)),
            (RoundRobin::NAME, Arc::new(RoundRobin)),
            (SingleShardingBalance::NAME, Arc::new(SingleShardingBalance)),
            (Sticky::NAME, Arc::new(Sticky)),
        ];
        for (name, strategy) in entries {
            strategies.register(name, strategy).expect("the built-in names differ");
        }
        strategies
    }

    /// The declared ones that are linked into the program.
    pub(crate) fn discovered() -> impl Iterator<Item = &'static Declared<dyn ShardingStrategy>> {
        inventory::iter::<&'static Declared<dyn ShardingStrategy>>
            .into_iter()
            .copied()
    }
}

/// Asks a strategy, which may be the application's code, and checks its answer.
///
/// # Errors
/// [`StrategyFault`] when it panicked or its answer does not fit the request.
pub(crate) fn assign(
    strategy: &dyn ShardingStrategy,
    request: &ShardingRequest<'_>,
) -> Result<Assignment, StrategyFault> {
    let assignment = guard::call(|| strategy.assign(request)).map_err(StrategyFault::Panicked)?;
    // It may have been made for another request.
    assignment.check(request)?;
    Ok(assignment)
}

/// Returns whether a strategy allows the instance of that index to run the item. If it panics, it allows none.
pub(crate) fn may_run(
    strategy: &dyn ShardingStrategy,
    request: &ShardingRequest<'_>,
    item: u32,
    instance: usize,
) -> bool {
    guard::call(|| strategy.may_run(request, item, instance)).unwrap_or(false)
}

/// Lets a strategy check the props of a job. The reader then has the faults.
///
/// # Errors
/// [`StrategyFault`] when it panicked.
pub(crate) fn check(
    strategy: &dyn ShardingStrategy,
    total_count: u32,
    props: &mut Reader<'_>,
) -> Result<(), StrategyFault> {
    guard::call(|| strategy.check(total_count, props)).map_err(StrategyFault::Panicked)
}

/// A sharding strategy did not do its work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StrategyFault {
    /// It panicked.
    #[error("the sharding strategy {0}")]
    Panicked(Panicked),
    /// Its answer is to another question.
    #[error("the sharding strategy gave an answer that does not fit: {0}")]
    Invalid(#[from] InvalidAssignment),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> ShardingRequest<'static> {
        ShardingRequest::new("job", 2, [Candidate::new("10.0.0.1@-@7")])
    }

    struct Scripted(fn() -> Assignment);

    impl ShardingStrategy for Scripted {
        fn assign(&self, _request: &ShardingRequest<'_>) -> Assignment {
            (self.0)()
        }
    }

    #[test]
    fn finds_the_built_in_strategies_by_name() {
        let strategies = Strategies::built_in();
        assert_eq!(
            strategies.names().collect::<Vec<_>>(),
            [
                "AVG_ALLOCATION",
                "LABEL",
                "ODEVITY",
                "ROUND_ROBIN",
                "SINGLE_SHARDING_BALANCE",
                "STICKY"
            ]
        );
        let strategy = strategies.get(DEFAULT_STRATEGY).unwrap();
        assert_eq!(assign(&*strategy, &request()).unwrap().owners(), [Some(0), Some(0)]);
    }

    #[test]
    fn refuses_a_missing_strategy_with_the_known_ones() {
        let error = Strategies::built_in().get("AVERAGE").err().unwrap();
        assert_eq!(
            error.to_string(),
            "unknown sharding strategy `AVERAGE`: expected one of AVG_ALLOCATION, LABEL, ODEVITY, ROUND_ROBIN, \
             SINGLE_SHARDING_BALANCE, STICKY"
        );
    }

    #[test]
    fn a_strategy_that_panics_should_be_a_fault() {
        let fault = assign(&Scripted(|| panic!("no idea")), &request()).unwrap_err();
        assert_eq!(fault, StrategyFault::Panicked(Panicked("no idea".to_owned())));
    }

    #[test]
    fn an_answer_to_another_request_should_be_a_fault() {
        let other = || Assignment::from_fn(&ShardingRequest::new("job", 3, []), |_| None);
        let fault = assign(&Scripted(other), &request()).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "the sharding strategy gave an answer that does not fit: it has 3 items, the job has 2"
        );
    }
}
