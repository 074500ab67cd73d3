//! Nothing that is generated offends the lints of a strict crate, or its own names.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unreachable_pub, unused_qualifications, unused_results)]
#![deny(clippy::all, clippy::pedantic)]

use elasticjob::job::{Component, Inject, ShardingContext, SimpleJob};

mod core {}
mod std {}
mod elasticjob_config {}

/// Not the one of the prelude.
#[allow(dead_code)]
enum Result {
    /// Nor this.
    Ok,
}

#[allow(dead_code)]
trait Send {}

#[deprecated]
#[elasticjob::elastic_job(cron = "0 0 2 * * ?")]
async fn old(_: ShardingContext) {
    ::core::future::ready(()).await;
}

/// Documented.
#[elasticjob::elastic_job(sharding = 1)]
pub fn documented() {}

#[elasticjob::elastic_job(sharding = 1)]
fn blocking(start: &Component<u8>, job: &Component<u8>) -> ::core::result::Result<(), String> {
    if **start < **job { Err(String::new()) } else { Ok(()) }
}

#[derive(Inject)]
struct Tuple(Component<u8>, Option<Component<dyn Fn() + ::core::marker::Send + Sync>>);

#[elasticjob::elastic_job(sharding = 1)]
impl SimpleJob for Tuple {
    async fn execute(&self, _: &ShardingContext) -> ::core::result::Result<(), elasticjob::job::BoxError> {
        let _ = (&self.0, &self.1);
        Ok(())
    }
}

#[test]
fn jobs_of_a_strict_crate_are_found() {
    let jobs = elasticjob::starter::Jobs::discovered().finish().unwrap();
    let names: Vec<_> = jobs.iter().map(elasticjob::job::Registration::name).collect();
    assert_eq!(names, ["Tuple", "blocking", "documented", "old"]);
}
