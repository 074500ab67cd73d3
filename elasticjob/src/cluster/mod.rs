//! How the instances of one job agree.

pub(crate) mod fence;
