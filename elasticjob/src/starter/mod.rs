//! From declarations to running jobs.

mod discovery;

pub use discovery::{DuplicateJob, DuplicateJobs, Jobs};
