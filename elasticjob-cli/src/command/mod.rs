//! The commands, a file each.

pub(crate) mod cancel;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod drain;
pub(crate) mod dump;
pub(crate) mod explain;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod items;
pub(crate) mod job;
pub(crate) mod jobs;
pub(crate) mod log;
pub(crate) mod next;
pub(crate) mod registry;
pub(crate) mod remove;
pub(crate) mod servers;
pub(crate) mod shutdown;
pub(crate) mod switch;
mod target;
pub(crate) mod trigger;
