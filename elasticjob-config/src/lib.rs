//! elasticjob-config

pub mod cron;
mod marked;
