//! Hurts real processes and a real ensemble of ZooKeeper servers, or processes on a PostgreSQL server or a SQLite file, and looks whether the framework keeps its promises.
//!
//! ```text
//! chaos [--minutes N] [--seed N] [--instances N] [--items N] [--registry zookeeper|postgres|sqlite]
//! chaos .. --leave-out RULE            with a rule of the protocol left out, which should be found
//! ```
//!
//! The last line is `firings: N, runs: M, violations: K`.

mod usage;

use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use elasticjob_tests::center::Kind;
use elasticjob_tests::chaos::{self, Options, application};

const USAGE: &str = "chaos [--minutes N] [--seed N] [--instances N] [--items N] [--registry zookeeper|postgres|sqlite] [--leave-out RULE]";

fn main() -> anyhow::Result<ExitCode> {
    if std::env::var_os(application::MEMBER).is_some() {
        application::run()?;
        return Ok(ExitCode::SUCCESS);
    }
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => return Ok(usage::refused(&error, USAGE)),
    };
    println!("seed {}, {} members", options.seed, options.instances);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(chaos::run(options))?;
    println!("{report}");
    Ok(if report.violations.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn parse(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Options> {
    let mut options = Options {
        time: Duration::from_secs(3 * 60),
        seed: fastrand::u64(..1_000_000),
        instances: 5,
        items: 50,
        registry: Kind::ZooKeeper,
        left_out: None,
    };
    while let Some(name) = arguments.next() {
        let value = arguments.next().with_context(|| format!("`{name}` needs a value"))?;
        match name.as_str() {
            "--minutes" => options.time = minutes(number(&name, &value)?)?,
            "--seed" => options.seed = number(&name, &value)?,
            "--instances" => options.instances = number(&name, &value)?,
            "--items" => options.items = number(&name, &value)?,
            "--registry" => options.registry = registry(&value)?,
            "--leave-out" => options.left_out = Some(value.parse()?),
            _ => bail!("unknown option `{name}`"),
        }
    }
    Ok(options)
}

fn minutes(minutes: u64) -> anyhow::Result<Duration> {
    // A year: what is longer is a slip, and no clock counts it.
    let is_sane = minutes <= 366 * 24 * 60;
    ensure!(is_sane, "`--minutes` is more than any run takes");
    Ok(Duration::from_secs(60 * minutes))
}

fn registry(name: &str) -> anyhow::Result<Kind> {
    match name {
        "zookeeper" => Ok(Kind::ZooKeeper),
        "postgres" => Ok(Kind::Postgres),
        "sqlite" => Ok(Kind::Sqlite),
        _ => bail!("`--registry` needs `zookeeper`, `postgres` or `sqlite` and not `{name}`"),
    }
}

fn number<T: FromStr>(name: &str, value: &str) -> anyhow::Result<T> {
    let number = value.parse().ok();
    number.with_context(|| format!("`{name}` needs a number and not `{value}`"))
}
