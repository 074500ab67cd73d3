//! From declarations to running jobs.
//!
//! [`ElasticJob::run`] does it all. In steps: [`ElasticJob::builder`] puts the application together,
//! [`Builder::build`] checks everything, [`Ready::start`] joins the cluster, [`ElasticJob`] is the handle of what
//! runs, [`ElasticJob::shutdown`] ends it.
//!
//! Each step is a type of its own, and a fault is found in the earliest step that can find it. [`Builder`] accepts
//! everything. [`Ready`] is an application in which every name, parameter, prop and component is known to be in order,
//! and of which nothing runs. [`ElasticJob`] is connected, or is waiting for a registry that does not answer yet.
//!
//! Stopping is a sequence, too: no new firing, running items end or are cancelled after the grace period, their ends
//! are recorded, the instances leave, the session is closed. Each step has a deadline, and the log names each item that
//! outlasts it.

mod assemble;
mod builder;
mod check;
mod companion;
mod discovery;
#[cfg(feature = "prometheus")]
mod endpoint;
mod error;
mod fault;
mod handle;
mod health;
mod one_off;
mod ready;
#[cfg(all(
    test,
    feature = "dingtalk",
    feature = "email",
    feature = "feishu",
    feature = "http",
    feature = "script",
    feature = "slack",
    feature = "webhook",
    feature = "wechat"
))]
mod reference;
mod running;
mod signal;
mod watchdog;
#[cfg(feature = "axum")]
mod web;

#[cfg(feature = "testing")]
pub(crate) use assemble::{ApplicationJob, ApplicationParts, AssembledJob, Assembly, Surroundings, assemble};
pub use builder::Builder;
pub use companion::{Companion, CompanionContext};
pub use discovery::{DuplicateJob, DuplicateJobs, Jobs};
pub use error::Error;
pub use fault::{Fault, Faults};
pub use handle::ElasticJob;
pub use health::{Health, JobHealth, SessionHealth};
pub use one_off::{OneOff, OneOffJob};
pub use ready::Ready;
pub use signal::stop_signal;
#[cfg(feature = "axum")]
pub use web::OneOffRejection;

pub use crate::cluster::registration::RegistrationError;
pub use crate::cluster::worker::TriggerError;
pub use crate::operation::Execution;
pub use crate::run::{ItemOutcome, JobState};
