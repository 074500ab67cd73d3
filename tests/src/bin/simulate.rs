//! Runs clusters in virtual time, each from a seed, and looks whether the framework keeps its promises.
//!
//! ```text
//! simulate [--seeds N] [--from SEED]      many seeds; the last line is `seeds: N, violations: K`
//! simulate .. --fingerprints FILE         writes the fingerprints of the histories, or compares them with those in the file
//! simulate --seed SEED                    one, with its history, and with logs where RUST_LOG asks for them
//! simulate --seeds N --items N            jobs of so many items each
//! simulate .. --leave-out RULE            with a rule of the protocol left out, which must be found
//! simulate --rules [RULE ..]              whether each rule that is left out, or each of these, is found within 6,000 seeds
//! ```

mod fingerprints;
mod usage;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, bail, ensure};
use elasticjob::configuration::job::MAX_SHARDING_TOTAL_COUNT;
use elasticjob::testing::{Mutation, Report, simulate, simulate_items};

use fingerprints::Fingerprints;

/// Of so many seeds one is run twice, to see that its history is the same.
const REPEATED: u64 = 50;

/// Within so many seeds a rule that is left out has to be found.
const RULE_SEEDS: u64 = 6_000;

const USAGE: &str = "simulate [--seeds N] [--from SEED] [--seed SEED] [--items N] [--leave-out RULE] [--fingerprints FILE] \
                     | --rules [RULE ..]";

struct Options {
    first: u64,
    seeds: u64,
    replay: Option<u64>,
    left_out: Option<Mutation>,
    fingerprints: Option<Fingerprints>,
    items: Option<u32>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.split_first() {
        Some((first, rules)) if first == "--rules" => named(rules).map(|rules| find_rules(&rules)),
        _ => Options::parse(arguments.into_iter()).and_then(|options| run(&options)),
    };
    done.unwrap_or_else(|error| usage::refused(&error, USAGE))
}

/// Returns the rules of these names, or all.
fn named(names: &[String]) -> anyhow::Result<Vec<Mutation>> {
    if names.is_empty() {
        return Ok(Mutation::ALL.to_vec());
    }
    names.iter().map(|name| Ok(name.parse()?)).collect()
}

fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let violations = match options.replay {
        Some(seed) => replay(seed, options),
        None => run_all(options)?,
    };
    println!("seeds: {}, violations: {violations}", options.seeds);
    Ok(match violations {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// Searches, for each rule, the first seed that fails without the rule and passes with it.
fn find_rules(rules: &[Mutation]) -> ExitCode {
    let next = AtomicUsize::new(0);
    let find_some = || {
        let mut missed = Vec::new();
        while let Some(rule) = rules.get(next.fetch_add(1, Ordering::Relaxed)) {
            let is_found_by = |seed: &u64| {
                !simulate(*seed, Some(*rule)).violations().is_empty() && simulate(*seed, None).violations().is_empty()
            };
            match (0..RULE_SEEDS).find(is_found_by) {
                Some(seed) => println!("{rule:?}: found by seed {seed}"),
                None => missed.push(*rule),
            }
        }
        missed
    };
    let missed = on_all_processors(find_some).concat();
    println!("rules: {}, missed: {missed:?}", rules.len());
    if missed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What the framework logs comes first, as far as `RUST_LOG` asks for it.
fn replay(seed: u64, options: &Options) -> usize {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .without_time()
        .init();
    let report = options.simulate(seed);
    print!("{report}");
    report.violations().len()
}

/// What a processor saw.
#[derive(Default)]
struct Seen {
    violations: usize,
    runs: usize,
    fingerprints: BTreeMap<u64, u64>,
}

/// Runs the seeds on all processors. Returns the number of violations.
fn run_all(options: &Options) -> anyhow::Result<usize> {
    let next = AtomicU64::new(options.first);
    let end = options.first + options.seeds;
    let run_some = || {
        let mut seen = Seen::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return seen;
            }
            let report = options.simulate(seed);
            let fingerprint = report.fingerprint();
            let mut found = report.violations();
            if seed.is_multiple_of(REPEATED) && options.simulate(seed).fingerprint() != fingerprint {
                found.push("the history is another one the second time".to_owned());
            }
            found.extend(
                options
                    .fingerprints
                    .as_ref()
                    .and_then(|known| known.fault(seed, fingerprint)),
            );
            for violation in &found {
                println!("seed {seed}: {violation}");
            }
            seen.violations += found.len();
            seen.runs += report.runs();
            seen.fingerprints.insert(seed, fingerprint);
        }
    };
    let seen = on_all_processors(run_some);
    println!("runs: {}", seen.iter().map(|seen| seen.runs).sum::<usize>());
    let violations = seen.iter().map(|seen| seen.violations).sum();
    if let Some(known) = &options.fingerprints {
        let found = seen.into_iter().flat_map(|seen| seen.fingerprints).collect();
        println!("fingerprints: {}", known.finish(&found)?);
    }
    Ok(violations)
}

/// Returns what each processor made of `work`.
fn on_all_processors<T: Send>(work: impl Fn() -> T + Sync) -> Vec<T> {
    let threads = thread::available_parallelism().map_or(1, |count| count.get());
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(&work)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a panic is a fault of the simulator"))
            .collect()
    })
}

impl Options {
    fn simulate(&self, seed: u64) -> Report {
        match self.items {
            Some(items) => simulate_items(seed, items, self.left_out),
            None => simulate(seed, self.left_out),
        }
    }

    fn parse(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut options = Self {
            first: 0,
            seeds: 2_000,
            replay: None,
            left_out: None,
            fingerprints: None,
            items: None,
        };
        while let Some(name) = arguments.next() {
            let value = arguments.next().with_context(|| format!("`{name}` needs a value"))?;
            let number = || {
                value
                    .parse()
                    .with_context(|| format!("`{name}` needs a number and not `{value}`"))
            };
            match name.as_str() {
                "--seeds" => options.seeds = number()?,
                "--from" => options.first = number()?,
                "--seed" => (options.replay, options.seeds) = (Some(number()?), 1),
                "--items" => options.items = Some(u32::try_from(number()?)?),
                "--leave-out" => options.left_out = Some(value.parse()?),
                "--fingerprints" => options.fingerprints = Some(Fingerprints::read(&value)?),
                _ => bail!("unknown option `{name}`"),
            }
        }
        let is_replay = options.replay.is_some() && options.fingerprints.is_some();
        ensure!(!is_replay, "`--fingerprints` is for many seeds, `--seed` replays one");
        let last = options.first.checked_add(options.seeds);
        let is_number = |items| (1..=MAX_SHARDING_TOTAL_COUNT).contains(&items);
        ensure!(
            options.items.is_none_or(is_number),
            "`--items` needs a number from 1 to {MAX_SHARDING_TOTAL_COUNT}"
        );
        ensure!(last.is_some(), "`--from` and `--seeds` go beyond the last seed");
        Ok(options)
    }
}
