//! `#[job_listener]` stands on implementations of its traits, and jobs name listeners by type or by name.

use elasticjob::prelude::*;

#[derive(Default)]
struct Audit;

#[job_listener(name = "", started_timeout = "0s", completed_timeot = "3s")]
impl JobListener for Audit {}

#[derive(Default)]
struct Slow;

#[job_listener(completed_timeout = "soon")]
impl DistributeOnceJobListener for Slow {}

#[derive(Default)]
struct Plain;

#[job_listener]
impl Plain {}

#[job_listener]
fn function() {}

#[derive(Default)]
struct Other;

#[job_listener]
impl std::fmt::Display for Other {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}

struct Bare;

#[job_listener]
impl JobListener for Bare {}

#[derive(Default)]
struct Undeclared;

impl JobListener for Undeclared {}

#[elastic_job(sharding = 1, listeners = [Undeclared])]
async fn named_by_type() {}

#[elastic_job(sharding = 1, listeners = ["AUDIT"])]
async fn named_by_name() {}

#[elastic_job(sharding = 1, job_listener_types = [Audit])]
async fn named_by_type_where_names_are() {}

#[elastic_job(sharding = 1, listeners = [Audit], job_listener_types = ["SLOW"])]
async fn named_by_both() {}

fn main() {}
