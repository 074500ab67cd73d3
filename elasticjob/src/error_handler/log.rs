use tracing::error;

use super::{Chain, Failure, JobErrorHandler, Reaction};

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
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Buffer {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("cannot sync")]
    struct CannotSync(#[source] io::Error);

    #[test]
    fn the_log_should_name_the_job_the_item_and_every_cause() {
        let cause = CannotSync(io::Error::other("disk full"));
        let buffer = Buffer::default();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .without_time()
            .with_writer(buffer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            Log.handle(&Failure::new("sync_orders", &cause).with_item(3));
        });
        assert_eq!(
            String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap().trim_end(),
            "ERROR elasticjob::error_handler::log: job failed job=\"sync_orders\" item=3 cause=cannot sync: disk full"
        );
    }
}
