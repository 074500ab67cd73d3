//! The rules of the protocol that can be left out, to see whether that is found.

use anyhow::Context as _;
use elasticjob::testing::Mutation;

/// The rule of this name.
///
/// # Errors
/// When there is none.
pub fn rule_named(name: &str) -> anyhow::Result<Mutation> {
    let known = Mutation::ALL.into_iter().find(|rule| format!("{rule:?}") == name);
    known.with_context(|| format!("no rule `{name}`: there are {:?}", Mutation::ALL))
}
