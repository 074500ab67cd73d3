//! elasticjob-config
