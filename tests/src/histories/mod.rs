//! Random histories of several sessions, held against a model of what a registry promises.
//!
//! A [`Scenario`](scenario::Scenario) is drawn from a seed: the turns of a few clients, which write, read and watch, whose
//! connections are cut and whose processes are killed. The [`driver`] plays it on a registry and writes down each call, answer
//! and event. [`check`](check::check) judges this [`History`](history::History) afterwards, without a registry and without a
//! clock:
//!
//! - There is one order of the transactions of each job, by their tokens, in which each step has the answer that it was
//!   given, and no transaction comes before one that was answered before it began. What was refused is refused
//!   somewhere between the call and its answer, at that step and for that reason.
//! - Each watch has the events of that order: none is missing, none comes twice, none is out of order. Those up to an answer can be
//!   taken when the answer is given.
//! - What a read shows was so at one place of the order: not before the last sync or write of the session, nor before
//!   what the session has seen already.
//! - An unknown outcome is one of two, in all its jobs, and stays so once the session is connected again.
//! - A session writes nothing after its end, which deletes all its ephemeral nodes in one place.
//!
//! That the checks find what they are for is shown by [`Flaw`](flaw::Flaw)s: registries that break one promise.
//!
//! What a seed leads to depends on the speed of servers. So a seed that fails is played again with less and less in it, for as
//! long as the history stays wrong, and the last such history is printed.
//!
//! Another registry takes part by a [`Subject`](subject::Subject) of its own.

pub mod check;
pub mod driver;
pub mod flaw;
pub mod history;
mod model;
pub mod scenario;
pub mod subject;
mod suite;
mod timeline;

pub use suite::{Findings, Suite};
