//! What the end-to-end tests share: real servers and processes to run against, ways to hurt them, and what must hold
//! nevertheless. And the figures.
#![cfg(feature = "servers")]

pub mod browser;
pub mod center;
pub mod certificates;
pub mod chaos;
pub mod cluster;
pub mod command;
pub mod crowd;
pub mod databases;
pub mod etcd;
pub mod figures;
pub mod hearing;
pub mod histories;
pub mod history;
pub mod hook;
pub mod java;
pub mod lines;
pub mod log;
pub mod mail;
pub mod metered;
pub mod nodes;
pub mod pooler;
pub mod process;
pub mod programs;
pub mod proxy;
pub mod snakeyaml;
pub mod stream;
pub mod zookeeper;
