//! `#[executor_service_handler(..)]` stands on implementations of its trait, with a name.

use elasticjob::executor::{ExecutorServiceHandler, Pool};
use elasticjob::prelude::*;

#[derive(Default)]
struct Unnamed;

#[executor_service_handler]
impl ExecutorServiceHandler for Unnamed {
    fn pool(&self, _: &str) -> Pool {
        Pool::unbounded()
    }
}

#[derive(Default)]
struct Other;

#[executor_service_handler(name = "OTHER")]
impl Clone for Other {
    fn clone(&self) -> Self {
        Self
    }
}

#[executor_service_handler(name = "FUNCTION")]
fn function() {}

fn main() {}
