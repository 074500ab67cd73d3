//! Processes that share a file are killed at any moment.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use elasticjob::registry::sql::SqliteRegistry;
use elasticjob::registry::{Registry, Watch, WatchEvent};
use sqlx::{ConnectOptions as _, Row as _};
use tokio::time::Instant;

use super::{WRITER, children, data, member, next, ready, registry};

/// Processes at a time.
const WRITERS: usize = 4;

/// How many are killed.
const KILLS: usize = 40;

/// A turn of a process takes this long at most while others write, on a busy machine. Without the queue for the lock one of four
/// writers waits longer.
const LONGEST_TURN: Duration = Duration::from_secs(4);

/// A process that writes, and what it was answered.
struct Writer {
    name: String,
    process: Child,
    answers: std::thread::JoinHandle<Vec<(u64, Duration)>>,
}

impl Writer {
    fn start(file: &Path, name: String) -> anyhow::Result<Self> {
        let mut process = Command::new(WRITER)
            .arg(file)
            .arg(&name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().expect("it was asked for");
        Ok(Self {
            name,
            process,
            answers: std::thread::spawn(|| answers(output)),
        })
    }

    /// Kills it in mid-air.
    fn kill(mut self) -> anyhow::Result<(String, Vec<(u64, Duration)>)> {
        if let Some(status) = self.process.try_wait()? {
            anyhow::bail!("{} has ended by itself: {status}", self.name);
        }
        self.process.kill()?;
        self.process.wait()?;
        let answers = self
            .answers
            .join()
            .map_err(|_| anyhow::anyhow!("the reader panicked"))?;
        Ok((self.name, answers))
    }
}

fn answers(output: ChildStdout) -> Vec<(u64, Duration)> {
    // The last line may be cut: then its end is missing.
    let lines = BufReader::new(output).lines().map_while(Result::ok);
    let answer = |line: String| {
        let (number, micros) = line.split_once(' ')?;
        Some((number.parse().ok()?, Duration::from_micros(micros.parse().ok()?)))
    };
    lines.filter_map(answer).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn lose_nothing_that_was_answered() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("jobs.db");
    let observer = registry_of_writers(&file).connect().await?;
    let mut watch = observer.watch("/job/log").await?;
    let mut random = fastrand::Rng::with_seed(7);
    let mut writers = Vec::new();
    for number in 0..WRITERS {
        writers.push(Writer::start(&file, format!("writer-{number}"))?);
    }
    let mut answered = BTreeMap::new();
    let (mut longest, mut seen) = (Duration::ZERO, 0);
    for number in WRITERS..WRITERS + KILLS {
        // At any moment, which is what a seed cannot repeat: what happens until then is observed meanwhile.
        let until = Instant::now() + Duration::from_millis(random.u64(20..250));
        seen = observe(&mut watch, seen, until).await?;
        let (name, answers) = writers.remove(random.usize(..writers.len())).kill()?;
        for (number, turn) in answers {
            longest = longest.max(turn);
            assert_eq!(
                answered.insert(number, name.clone()),
                None,
                "{number} was answered twice"
            );
        }
        writers.push(Writer::start(&file, format!("writer-{number}"))?);
    }
    for writer in writers {
        let (name, answers) = writer.kill()?;
        answered.extend(answers.into_iter().map(|(number, _)| (number, name.clone())));
    }

    // All of a transaction or nothing, each number once, and what was answered is there, after all processes have gone.
    drop((observer, watch));
    let after = registry_of_writers(&file).connect().await?;
    let (counter, stat) = data(&after, "/job/counter").await?.expect("it was created");
    let counter: u64 = String::from_utf8(counter)?.parse()?;
    assert_eq!(u64::try_from(stat.version)?, counter);
    assert_eq!(children(&after, "/job/log").await?.len(), usize::try_from(counter)?);
    assert!(
        counter >= answered.len() as u64 && answered.len() > 100,
        "{counter}, {}",
        answered.len()
    );
    for (number, name) in &answered {
        let log = data(&after, &format!("/job/log/{number}")).await?;
        assert_eq!(log.map(|(name, _)| name), Some(name.clone().into_bytes()), "{number}");
    }
    assert!(seen > 0 && seen <= counter, "{seen} of {counter}");
    assert!(longest < LONGEST_TURN, "a turn took {longest:?}");
    let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(&file)
        .connect()
        .await?;
    let check = sqlx::query("PRAGMA integrity_check").fetch_all(&mut connection).await?;
    assert_eq!(check[0].try_get::<String, _>(0)?, "ok");

    // The sessions of the dead end, and with them what was ephemeral.
    let mut alive = after.watch("/job/alive").await?;
    let deadline = Instant::now() + super::PATIENCE;
    while !children(&after, "/job/alive").await?.is_empty() {
        assert!(Instant::now() < deadline);
        assert!(matches!(next(&mut alive).await?, WatchEvent::Deleted(_)));
    }
    Ok(())
}

fn registry_of_writers(file: &Path) -> SqliteRegistry {
    let registry = SqliteRegistry::new(file, "writers").expect("a path and a name");
    registry.with_session_timeout(Duration::from_secs(3))
}

/// Follows the numbers until then: each comes after the one before it. Returns the last.
async fn observe(watch: &mut Box<dyn Watch>, mut last: u64, until: Instant) -> anyhow::Result<u64> {
    while let Ok(event) = tokio::time::timeout_at(until, next(watch)).await {
        match event? {
            WatchEvent::Created(path) if path == "/job/log" => {}
            WatchEvent::Created(path) => {
                let number: u64 = path.trim_start_matches("/job/log/").parse()?;
                assert_eq!(number, last + 1, "no change is missing, and none comes twice");
                last = number;
            }
            other => anyhow::bail!("unexpected: {other:?}"),
        }
    }
    Ok(last)
}

#[tokio::test(flavor = "multi_thread")]
async fn leave_what_is_known_to_those_who_come_after() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("jobs.db");
    let writer = Writer::start(&file, "only".to_owned())?;
    let observer = registry_of_writers(&file).connect().await?;
    let mut watch = observer.watch("/job/log").await?;
    for _ in 0..20 {
        next(&mut watch).await?;
    }
    let (_, answers) = writer.kill()?;
    drop((observer, watch));
    let again = registry_of_writers(&file).connect().await?;
    for (number, _) in answers {
        assert!(data(&again, &format!("/job/log/{number}")).await?.is_some());
    }
    // Another namespace of the same file knows nothing of it.
    let other = member(&file).await?;
    assert_eq!(children(&other, "/").await?, Vec::<String>::new());
    let mut watch = other.watch("/").await?;
    assert_eq!(ready(&mut watch), None);
    registry(&file)?.connect_to_look().await?.close().await;
    Ok(())
}
