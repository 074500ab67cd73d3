//! elasticjob-config

pub mod cron;
mod marked;
pub mod zone;
