//! The answer of a sharding strategy, and the check that it fits the question.

use super::ShardingRequest;

/// Which instance runs which item: the answer to a [`ShardingRequest`], as long as the request has items.
///
/// Several items may have one owner, and an item may have none: such an item does not run until the cluster changes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Assignment {
    owners: Vec<Option<usize>>,
}

impl Assignment {
    /// Assigns each item to the instance at the index in its place.
    ///
    /// # Errors
    /// [`InvalidAssignment`] when the length is not that of the request, or an index is beyond its instances.
    pub fn new(request: &ShardingRequest<'_>, owners: Vec<Option<usize>>) -> Result<Self, InvalidAssignment> {
        let assignment = Self { owners };
        assignment.check(request)?;
        Ok(assignment)
    }

    /// Assigns each item to the instance at the index that `owner` returns, or to none.
    ///
    /// # Panics
    /// When an index is beyond the instances of the request: a fault of the strategy.
    pub fn from_fn(request: &ShardingRequest<'_>, owner: impl FnMut(u32) -> Option<usize>) -> Self {
        let owners = (0..request.total_count()).map(owner).collect();
        Self::new(request, owners).unwrap_or_else(|fault| panic!("invalid assignment: {fault}"))
    }

    /// The owner of each item, by its index in [`ShardingRequest::instances`].
    #[must_use]
    pub fn owners(&self) -> &[Option<usize>] {
        &self.owners
    }

    /// Returns the owner of the item; `None` if no instance gets it.
    /// `None` also for an item that the job does not have.
    #[must_use]
    pub fn owner(&self, item: u32) -> Option<usize> {
        self.owners.get(item as usize).copied().flatten()
    }

    /// The items of the instance at that index, in ascending order.
    pub fn items_of(&self, instance: usize) -> impl Iterator<Item = u32> {
        (0..)
            .zip(&self.owners)
            .filter(move |(_, owner)| **owner == Some(instance))
            .map(|(item, _)| item)
    }

    pub(super) fn check(&self, request: &ShardingRequest<'_>) -> Result<(), InvalidAssignment> {
        let (items, expected) = (self.owners.len(), request.total_count() as usize);
        if items != expected {
            return Err(InvalidAssignment::Length { items, expected });
        }
        let instances = request.instances().len();
        match (0..)
            .zip(&self.owners)
            .find(|(_, owner)| owner.is_some_and(|owner| owner >= instances))
        {
            None => Ok(()),
            Some((item, _)) => Err(InvalidAssignment::Instance { item, instances }),
        }
    }
}

/// An assignment that is no answer to its request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAssignment {
    /// It is for another number of items.
    #[error("it has {items} items, the job has {expected}")]
    Length {
        /// Items of the assignment.
        items: usize,
        /// Items of the job.
        expected: usize,
    },
    /// It names an instance that there is not.
    #[error("it gives item {item} to an instance beyond the {instances} there are")]
    Instance {
        /// The first such item.
        item: u32,
        /// How many instances there are.
        instances: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::super::Candidate;
    use super::*;

    fn request() -> ShardingRequest<'static> {
        ShardingRequest::new(
            "job",
            3,
            [Candidate::new("10.0.0.1@-@1"), Candidate::new("10.0.0.2@-@1")],
        )
    }

    #[test]
    fn finds_items_by_owner_and_owners_by_item() {
        let assignment = Assignment::new(&request(), vec![Some(1), None, Some(1)]).unwrap();
        assert_eq!(assignment.items_of(1).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(assignment.items_of(0).count(), 0);
        assert_eq!([0, 1, 3].map(|item| assignment.owner(item)), [Some(1), None, None]);
    }

    #[test]
    fn what_does_not_fit_the_request_should_be_refused() {
        let too_short = Assignment::new(&request(), vec![None, None]).unwrap_err();
        assert_eq!(too_short, InvalidAssignment::Length { items: 2, expected: 3 });
        let beyond = Assignment::new(&request(), vec![Some(0), Some(2), Some(3)]).unwrap_err();
        assert_eq!(
            beyond.to_string(),
            "it gives item 1 to an instance beyond the 2 there are"
        );
    }

    #[test]
    #[should_panic(expected = "invalid assignment: it gives item 0")]
    fn refuses_an_index_out_of_range() {
        let _ = Assignment::from_fn(&request(), |_| Some(2));
    }
}
