//! `#[trace_listener]` stands on implementations of its trait, and names jobs to include or to exclude.

use elasticjob::prelude::*;

#[derive(Default)]
struct Audit;

#[trace_listener(name = "", timeout = "0s", include_job_name = ["settle"])]
impl TraceListener for Audit {
    async fn on_event(&self, _: &JobEvent) -> Result<(), BoxError> {
        Ok(())
    }
}

#[derive(Default)]
struct Both;

#[trace_listener(include_job_names = ["settle"], exclude_job_names = ["close_day"])]
impl TraceListener for Both {
    async fn on_event(&self, _: &JobEvent) -> Result<(), BoxError> {
        Ok(())
    }
}

#[derive(Default)]
struct None;

#[trace_listener(include_job_names = [], exclude_job_names = "settle")]
impl TraceListener for None {
    async fn on_event(&self, _: &JobEvent) -> Result<(), BoxError> {
        Ok(())
    }
}

#[derive(Default)]
struct Other;

#[trace_listener]
impl JobListener for Other {}

struct Bare;

#[trace_listener]
impl TraceListener for Bare {
    async fn on_event(&self, _: &JobEvent) -> Result<(), BoxError> {
        Ok(())
    }
}

#[trace_listener]
fn function() {}

fn main() {}
