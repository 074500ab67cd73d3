//! Configuration that the application has read with another crate, a feature and a file for each.

#[cfg(feature = "config")]
pub(super) mod config;
#[cfg(feature = "figment")]
pub(super) mod figment;
