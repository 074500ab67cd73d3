//! Java members and ours share jobs, in both roles: real processes, a real ZooKeeper, and the laws that hold for all.
//!
//! All tests are below one module, so that a run can leave them out by its name.

#![cfg(feature = "java-peer")]

mod beside_java;
