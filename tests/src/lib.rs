//! What the end-to-end tests share: real servers to run against, and ways to hurt them.

pub mod proxy;
pub mod zookeeper;
