//! What the framework costs, measured: requests to the registry, time, memory.
//!
//! Each [`Group`] prints a figure a line, `name: value unit`, and fails only where it could not measure. Promises are
//! asserted by tests; figures say by how much they are kept.

use std::fmt::Display;

use tokio::runtime::{Builder, Runtime};

mod cron;
mod day;
mod failover;
mod history;
mod java;
mod lateness;
mod listing;
mod many_items;
mod many_jobs;
mod member;
mod most_items;
mod percentiles;
mod process;
mod recording;
mod recovery;
mod registries;
mod requests;
mod resharding;
mod start;
mod stopwatch;

pub use member::{MEMBER, run_member};
pub use most_items::{MOST_ITEMS, run_most_items};
pub use start::{STARTED, run_started};

/// Figures that belong together.
#[derive(Debug)]
pub struct Group {
    /// What it is asked for by.
    pub name: &'static str,
    /// What it measures.
    pub summary: &'static str,
    measure: fn() -> anyhow::Result<()>,
}

/// All there are.
pub const GROUPS: &[Group] = &[
    Group {
        name: "requests",
        summary: "what a firing asks of the registry, in steady state and otherwise",
        measure: requests::measure,
    },
    Group {
        name: "registries",
        summary: "the registry centres side by side: round trips, transactions, jobs at rest, registration, kills, size of tables",
        measure: registries::measure,
    },
    Group {
        name: "many-jobs",
        summary: "10,000 jobs in one process: start, memory, threads, and how late firings are",
        measure: many_jobs::measure,
    },
    Group {
        name: "start",
        summary: "from the start of a process to its first registered instance",
        measure: start::measure,
    },
    Group {
        name: "failover",
        summary: "how soon other members do the work of a killed and of a stopped member, thirty times each",
        measure: failover::measure,
    },
    Group {
        name: "recovery",
        summary: "how soon items run again after all servers were restarted",
        measure: recovery::measure,
    },
    Group {
        name: "resharding",
        summary: "a resharding of a thousand items among a hundred instances",
        measure: resharding::measure,
    },
    Group {
        name: "many-items",
        summary: "10,000 and 100,000 items shared out, run, failed over and reshared on 3 and 100 instances, embedded and on ZooKeeper",
        measure: many_items::measure,
    },
    Group {
        name: "java",
        summary: "the same job by Java members and by ours, where Maven is at hand",
        measure: java::measure,
    },
    Group {
        name: "most-items",
        summary: "memory of one instance with 100,000 and 1,000,000 items, and of the removal of their job",
        measure: most_items::measure,
    },
    Group {
        name: "day",
        summary: "24 simulated hours of a hundred jobs on five instances, with faults",
        measure: day::measure,
    },
    Group {
        name: "history",
        summary: "questions to a history of a million runs, in SQLite",
        measure: history::measure,
    },
    Group {
        name: "recording",
        summary: "100,000 runs of five instances, recorded in SQLite, PostgreSQL and MariaDB",
        measure: recording::measure,
    },
    Group {
        name: "listing",
        summary: "a look at 2,000 jobs on ZooKeeper, by the operations API and by the command line",
        measure: listing::measure,
    },
    Group {
        name: "cron",
        summary: "the next fire time of an expression",
        measure: cron::measure,
    },
];

impl Group {
    /// Measures and prints.
    ///
    /// # Errors
    /// When something could not be measured.
    pub fn print(&self) -> anyhow::Result<()> {
        (self.measure)()
    }
}

fn print(name: impl Display, value: impl Display, unit: &str) {
    println!("{name}: {value} {unit}");
}

/// Returns the runtime that `#[tokio::main]` makes.
fn runtime() -> anyhow::Result<Runtime> {
    Ok(Builder::new_multi_thread().enable_all().build()?)
}
