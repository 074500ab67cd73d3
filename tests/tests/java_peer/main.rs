//! Java members and ours share jobs, in both roles: real processes, a real ZooKeeper, and the laws that hold for all.
//!
//! All tests are below one module, whose name whoever runs everything else can leave out.

#![cfg(feature = "java-peer")]

mod beside_java;
