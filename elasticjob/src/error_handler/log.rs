use tracing::error;

use crate::chain::Chain;

use super::{Failure, JobErrorHandler, Reaction};

/// `LOG`: writes the failure to the log as an error, with all that led to it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Log;

impl Log {
    pub(super) const NAME: &'static str = "LOG";
}

impl JobErrorHandler for Log {
    fn handle(&self, failure: &Failure<'_>) -> Reaction {
        error!(job = failure.job_name(), item = failure.item(), cause = %Chain(failure.cause()), "job failed");
        Reaction::Continue
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::test_log;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot sync")]
    struct CannotSync(#[source] io::Error);

    #[test]
    fn names_job_item_and_every_cause() {
        let cause = CannotSync(io::Error::other("disk full"));
        let log = test_log::Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .without_time()
            .with_writer(log.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            Log.handle(&Failure::new("sync_orders", &cause).with_item(3));
        });
        assert_eq!(
            log.text().trim_end(),
            "ERROR elasticjob::error_handler::log: job failed job=\"sync_orders\" item=3 cause=cannot sync: disk full"
        );
    }
}
