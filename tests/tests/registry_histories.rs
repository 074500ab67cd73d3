//! Random histories of several sessions, on each registry, held against a model of the contract.
//!
//! `ELASTICJOB_HISTORIES` is how many are played on each instead of the usual number, and `ELASTICJOB_HISTORIES_FROM` the first seed.

use elasticjob_tests::histories::check::Rule;
use elasticjob_tests::histories::flaw::{Flaw, Flawed};
use elasticjob_tests::histories::scenario::Mix;
use elasticjob_tests::histories::subject::{Embedded, Postgres, Sqlite, Subject, ZooKeeper};
use elasticjob_tests::histories::{Findings, Suite};
use tokio::runtime::{Builder, Runtime};

/// Faults of the embedded registry take no time.
const VIRTUAL: Mix = Mix { lasting: 3 };

/// A fault that lasts takes seconds on a server.
const REAL: Mix = Mix { lasting: 12 };

/// So many seeds find each flaw, by far.
const ENOUGH: u64 = 400;

#[test]
fn of_the_embedded_registry_are_right() -> anyhow::Result<()> {
    let runtime = virtual_time()?;
    let findings = play(&runtime, &Embedded, VIRTUAL, 1, 3_000)?;
    assert!(
        findings.shown.happened > 100 && findings.shown.undone > 100,
        "{findings}"
    );
    Ok(())
}

#[test]
fn of_sqlite_are_right() -> anyhow::Result<()> {
    play(&real_time()?, &Sqlite, REAL, 16, 500).map(drop)
}

#[test]
fn of_zookeeper_are_right() -> anyhow::Result<()> {
    play(&real_time()?, &ZooKeeper::start()?, REAL, 32, 500).map(drop)
}

#[test]
fn of_postgresql_are_right() -> anyhow::Result<()> {
    let runtime = real_time()?;
    let server = runtime.block_on(Postgres::start())?;
    play(&runtime, &server, REAL, 8, 30).map(drop)
}

/// Plays histories and expects them to be right, and to have shown what they are for.
fn play(runtime: &Runtime, subject: &dyn Subject, mix: Mix, at_once: usize, count: u64) -> anyhow::Result<Findings> {
    let count = number("ELASTICJOB_HISTORIES")?.unwrap_or(count);
    let from = number("ELASTICJOB_HISTORIES_FROM")?.unwrap_or(0);
    let suite = Suite { subject, mix, at_once };
    let findings = runtime.block_on(suite.run(from..from + count))?;
    println!("{findings}");
    let shown = findings.shown;
    if count >= 100 {
        let all = [
            shown.done,
            shown.refused,
            shown.happened + shown.undone,
            shown.reads,
            shown.events,
            shown.deaths,
        ];
        assert!(all.iter().all(|count| *count > 0), "{findings}");
    }
    Ok(findings)
}

fn number(variable: &str) -> anyhow::Result<Option<u64>> {
    std::env::var(variable).ok().map(|text| Ok(text.parse()?)).transpose()
}

/// A runtime whose clock goes to the next event when there is nothing else to do.
fn virtual_time() -> anyhow::Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().start_paused(true).build()?)
}

fn real_time() -> anyhow::Result<Runtime> {
    Ok(Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

mod flaws {
    use super::*;

    /// Expects the flaw to be found within so many seeds, as one of these.
    fn are_found(flaw: Flaw, within: u64, rules: &[Rule]) -> anyhow::Result<()> {
        let subject = Flawed {
            subject: Embedded,
            flaw,
        };
        let suite = Suite {
            subject: &subject,
            mix: VIRTUAL,
            at_once: 1,
        };
        let found = virtual_time()?.block_on(suite.search(0..ENOUGH))?;
        let (seed, violation) = found.unwrap_or_else(|| panic!("{flaw:?} is not found within {ENOUGH} seeds"));
        println!("{flaw:?} is found by seed {seed}: {violation}");
        assert!(
            seed < within && rules.contains(&violation.rule),
            "{flaw:?} is found by seed {seed}: {violation}"
        );
        Ok(())
    }

    #[test]
    fn that_drop_events_are_found() -> anyhow::Result<()> {
        are_found(Flaw::DropsEvents, 10, &[Rule::Events, Rule::EventsFirst])
    }

    #[test]
    fn that_swap_events_are_found() -> anyhow::Result<()> {
        are_found(Flaw::SwapsEvents, 10, &[Rule::Events, Rule::EventsFirst])
    }

    #[test]
    fn that_double_events_are_found() -> anyhow::Result<()> {
        are_found(Flaw::DoublesEvents, 10, &[Rule::Events])
    }

    #[test]
    fn that_answer_before_events_are_found() -> anyhow::Result<()> {
        are_found(Flaw::AnswersBeforeEvents, 10, &[Rule::EventsFirst])
    }

    #[test]
    fn that_hide_ends_of_sessions_are_found() -> anyhow::Result<()> {
        are_found(
            Flaw::HidesEnds,
            10,
            &[Rule::Events, Rule::Ephemeral, Rule::State, Rule::Order],
        )
    }

    #[test]
    fn that_write_twice_are_found() -> anyhow::Result<()> {
        are_found(Flaw::WritesTwice, 50, &[Rule::Events])
    }

    #[test]
    fn that_write_late_are_found() -> anyhow::Result<()> {
        are_found(Flaw::WritesLate, 50, &[Rule::Order, Rule::Reads, Rule::Events])
    }

    #[test]
    fn that_let_the_dead_write_are_found() -> anyhow::Result<()> {
        are_found(Flaw::LetsTheDeadWrite, 50, &[Rule::Atomic, Rule::Dead])
    }

    #[test]
    fn that_tear_transactions_are_found() -> anyhow::Result<()> {
        are_found(
            Flaw::TearsTransactions,
            10,
            &[Rule::Atomic, Rule::Order, Rule::Answers, Rule::Events, Rule::State],
        )
    }

    #[test]
    fn that_ignore_versions_are_found() -> anyhow::Result<()> {
        are_found(Flaw::IgnoresVersions, 50, &[Rule::Order, Rule::Refusals])
    }

    #[test]
    fn that_skip_versions_are_found() -> anyhow::Result<()> {
        are_found(Flaw::SkipsVersions, 10, &[Rule::Answers, Rule::Refusals])
    }

    #[test]
    fn that_keep_ephemeral_nodes_are_found() -> anyhow::Result<()> {
        are_found(
            Flaw::KeepsEphemerals,
            10,
            &[Rule::State, Rule::Reads, Rule::Ephemeral, Rule::Order],
        )
    }

    #[test]
    fn that_read_the_old_are_found() -> anyhow::Result<()> {
        are_found(Flaw::ReadsTheOld, 50, &[Rule::Reads, Rule::State])
    }
}
