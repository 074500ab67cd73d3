//! `#[job_error_handler(..)]` stands on implementations of its traits, with a name.

use elasticjob::error_handler::{Failure, JobErrorHandler, Notice, Notifier, Reaction, Undelivered};
use elasticjob::prelude::*;

#[derive(Default)]
struct Handler;

#[job_error_handler]
impl JobErrorHandler for Handler {
    fn handle(&self, _: &Failure<'_>) -> Reaction {
        Reaction::Continue
    }
}

#[derive(Default)]
struct Pager;

#[job_error_handler(name = "", nme = "PAGER")]
impl Notifier for Pager {
    async fn notify(&self, _: &Notice) -> Result<(), Undelivered> {
        Ok(())
    }
}

#[derive(Default)]
struct Plain;

#[job_error_handler(name = "PLAIN")]
impl Plain {}

#[job_error_handler(name = "FUNCTION")]
fn function() {}

#[derive(Default)]
struct Other;

#[job_error_handler(name = "OTHER")]
impl std::fmt::Display for Other {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}

struct Bare;

#[job_error_handler(name = "BARE")]
impl JobErrorHandler for Bare {
    fn handle(&self, _: &Failure<'_>) -> Reaction {
        Reaction::Continue
    }
}

fn main() {}
