use super::{Failure, JobErrorHandler, Reaction};

/// `IGNORE`: does nothing. The failure is in the job's history all the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ignore;

impl Ignore {
    pub(super) const NAME: &'static str = "IGNORE";
}

impl JobErrorHandler for Ignore {
    fn handle(&self, _failure: &Failure<'_>) -> Reaction {
        Reaction::Continue
    }
}
