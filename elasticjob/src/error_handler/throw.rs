use super::{Failure, JobErrorHandler, Reaction};

/// `THROW`: aborts the firing. Whoever aborts it logs the failure.
#[derive(Clone, Copy, Debug, Default)]
pub struct Throw;

impl Throw {
    pub(super) const NAME: &'static str = "THROW";
}

impl JobErrorHandler for Throw {
    fn handle(&self, _failure: &Failure<'_>) -> Reaction {
        Reaction::Abort
    }
}
