//! Job configuration for ElasticJob, from what people and registries hold to what the runtime accepts.
//!
//! In reading order: [`cron`], [`zone`] and [`item_parameters`] read one text each; [`job`] is the checked configuration
//! of a job and its form in the registry; `sources` puts the configuration of an application together from layers (feature
//! `sources`, on by default). [`spelling`] finds the name that was meant, [`ranges`] says many numbers in a few words.
//!
//! The features `config` and `figment`, both on by default, accept configuration that the application has read with the
//! crate of that name.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod cron;
pub mod item_parameters;
pub mod job;
#[cfg(feature = "sources")]
mod list;
mod marked;
pub mod ranges;
mod secret;
#[cfg(feature = "sources")]
pub mod sources;
pub mod spelling;
#[cfg(feature = "sources")]
pub mod text;
#[cfg(feature = "sources")]
mod work;
mod yaml;
pub mod zone;

#[cfg(feature = "sources")]
pub use secret::document_without_secrets;
pub use secret::{PROVIDED, Secret, is_secret, shown, without_secrets};
