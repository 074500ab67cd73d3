//! What an application logs, for a test to look at.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use elasticjob::trace::RunLog;
use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, fmt};

/// What is logged. Clones are the same log.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Takes what the framework logs, in full, and what runs log for their histories.
    pub fn subscriber(&self) -> impl Subscriber + Send + Sync + 'static {
        let taken = fmt::layer()
            .with_ansi(false)
            .with_writer(self.clone())
            .with_filter(EnvFilter::new("elasticjob=debug"));
        tracing_subscriber::registry().with(taken).with(RunLog::layer())
    }

    /// Returns all of it so far.
    #[must_use]
    pub fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
