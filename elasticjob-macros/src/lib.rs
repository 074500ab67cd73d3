//! elasticjob-macros
