use tracing::error;

use crate::chain::Chain;

use super::{Failure, JobErrorHandler, Reaction};

/// `THROW`: writes the failure to the log as an error, and gives the firing up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Throw;

impl Throw {
    pub(super) const NAME: &'static str = "THROW";
}

impl JobErrorHandler for Throw {
    fn handle(&self, failure: &Failure<'_>) -> Reaction {
        error!(
            job = failure.job_name(),
            item = failure.item(),
            cause = %Chain(failure.cause()),
            "job failed, its firing is given up"
        );
        Reaction::Abort
    }
}
