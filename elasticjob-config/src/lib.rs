//! elasticjob-config

pub mod cron;
pub mod item_parameters;
mod marked;
pub mod zone;
