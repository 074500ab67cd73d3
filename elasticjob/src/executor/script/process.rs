//! The process of a script, from its start to the end of all that it started.
//!
//! The script leads a process group of its own, so that a signal reaches what it starts as well. Stopping has three
//! levels: asked to end (SIGTERM) with a grace; killed after that; killed at once if the fence passes, because another
//! instance may start the item then. However this ends, the group is killed before the item counts as over, except
//! after an end by itself: what a script leaves running on purpose is left alone.

use std::ffi::OsString;
use std::future;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, join, select};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::output::Tail;
use super::program;
use crate::run::Lines;

/// How long to wait for output after the script has ended: another process may hold its pipes open.
const OUTPUT_LIMIT: Duration = Duration::from_secs(1);

/// The interval at which a process group that should end is checked; the system offers no event for it.
const LOOK: Duration = Duration::from_millis(20);

/// A script that is to be run.
#[derive(Debug)]
pub(super) struct Script {
    /// The program and all of its arguments; never empty.
    pub(super) words: Vec<String>,
    pub(super) directory: Option<PathBuf>,
    /// All of it: nothing is inherited.
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) limit: Option<Duration>,
    pub(super) kill_grace: Duration,
    pub(super) cancellation: CancellationToken,
    pub(super) fenced: CancellationToken,
    /// The log of the run, if one is kept.
    pub(super) log: Option<Arc<Lines>>,
}

/// Why a script failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("cannot start the script")]
    Missing(#[from] program::Missing),
    #[error("cannot start the script: there is no working directory `{}`", .0.display())]
    NoDirectory(PathBuf),
    #[error("cannot start the script")]
    Start(#[source] io::Error),
    #[error("the script cannot be waited for")]
    Lost(#[source] io::Error),
    #[error("the script ended with {status}{}", ending(said))]
    Status { status: ExitStatus, said: Vec<String> },
    #[error("the script took longer than {limit:?} and was stopped{}", ending(said))]
    TooLong { limit: Duration, said: Vec<String> },
    #[error("the script was stopped")]
    Stopped,
}

/// How a script ended.
#[derive(Clone, Copy, Debug)]
enum End {
    /// By itself, or by a signal from elsewhere.
    Exit(ExitStatus),
    /// At ours.
    Stopped(Stop),
}

/// Why we stop a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Fenced,
    Cancelled,
    TooLong(Duration),
}

impl Script {
    /// Runs it to its end.
    ///
    /// When the fence passes, all that it started is killed at once; when the run is cancelled or takes too long, that is
    /// asked to end first. It has to run on a thread of its own: where the system can do it, the script dies with the
    /// thread that started it.
    ///
    /// # Cancel safety
    /// Dropping the future kills the script.
    pub(super) async fn run(self) -> Result<(), Failure> {
        let mut child = self.command()?.spawn().map_err(Failure::Start)?;
        let mut group = Group::of(&child);
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let tail = Tail::new(self.log.clone());
        let end = {
            let logged = pin!(join(tail.log("stdout", stdout), tail.log("stderr", stderr)));
            let end = pin!(self.end(&mut child, &group));
            match select(end, logged).await {
                Either::Left((end, logged)) => {
                    if timeout(OUTPUT_LIMIT, logged).await.is_err() {
                        debug!("the script has left processes that hold its output open");
                    }
                    end
                }
                Either::Right((_, end)) => end.await,
            }
        };
        let end = end.map_err(Failure::Lost)?;
        group.release();
        match end {
            End::Exit(status) if status.success() => Ok(()),
            End::Exit(status) => Err(Failure::Status {
                status,
                said: tail.into_lines(),
            }),
            End::Stopped(Stop::TooLong(limit)) => Err(Failure::TooLong {
                limit,
                said: tail.into_lines(),
            }),
            End::Stopped(_) => Err(Failure::Stopped),
        }
    }

    /// Returns the command that starts the script: its own environment, no input, a group of its own.
    fn command(&self) -> Result<Command, Failure> {
        let directory = self.directory.as_deref();
        if let Some(directory) = directory.filter(|directory| !directory.is_dir()) {
            return Err(Failure::NoDirectory(directory.to_owned()));
        }
        let (program, arguments) = self.words.split_first().expect("a script has words");
        let program = program::find(program, directory)?;
        let mut command = match program::dying_with_us() {
            [] => Command::new(program),
            [wrapper, options @ ..] => {
                let mut command = Command::new(wrapper);
                command.args(options).arg(program);
                command
            }
        };
        command
            .args(arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(directory) = directory {
            command.current_dir(directory);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // A group of its own: signals reach what it starts, too, and ctrl-c in our terminal does not reach it past us.
        command.process_group(0);
        Ok(command)
    }

    /// Waits for the end, and brings it about when it is time.
    async fn end(&self, child: &mut Child, group: &Group) -> io::Result<End> {
        let too_long = async {
            match self.limit {
                Some(limit) => {
                    sleep(limit).await;
                    limit
                }
                None => future::pending().await,
            }
        };
        let stop = tokio::select! {
            biased;
            () = self.fenced.cancelled() => Stop::Fenced,
            status = child.wait() => return status.map(End::Exit),
            () = self.cancellation.cancelled() => Stop::Cancelled,
            limit = too_long => Stop::TooLong(limit),
        };
        info!(?stop, "stopping the script");
        if stop != Stop::Fenced {
            tokio::select! {
                biased;
                () = self.fenced.cancelled() => {}
                result = self.ask_to_end(child, group) => result?,
            }
        }
        group.signal(Signal::KILL);
        child.wait().await?;
        Ok(End::Stopped(stop))
    }

    /// Asks the script and all that it started to end, and waits for that as long as they are granted.
    async fn ask_to_end(&self, child: &mut Child, group: &Group) -> io::Result<()> {
        group.signal(Signal::TERM);
        let deadline = Instant::now() + self.kill_grace;
        if let Ok(ended) = timeout_at(deadline, child.wait()).await {
            ended?;
            while group.is_there() && Instant::now() < deadline {
                sleep(LOOK).await;
            }
        }
        Ok(())
    }
}

/// The script and what it started, as far as that has made no group of its own.
#[derive(Debug)]
struct Group {
    /// `None` once it is no business of ours.
    id: Option<Pid>,
}

impl Group {
    /// The group that `child` leads.
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        Self { id }
    }

    /// Sends a signal to all its processes. It is no error if none is left.
    ///
    /// Once the leader is gone, the id could in theory be given away: systems go through all others first.
    fn signal(&self, signal: Signal) {
        if let Some(id) = self.id
            && let Err(error) = kill_process_group(id, signal)
        {
            debug!(%error, ?signal, "no process of the script takes the signal");
        }
    }

    /// Returns whether a process of it is left.
    fn is_there(&self) -> bool {
        self.id.is_some_and(|id| test_kill_process_group(id).is_ok())
    }

    /// Leaves the remaining processes alive.
    fn release(&mut self) {
        self.id = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// What it said last, at the end of an error's text.
fn ending(said: &[String]) -> String {
    if said.is_empty() {
        return String::new();
    }
    format!(", its last output was: {}", said.join(" | "))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use tempfile::TempDir;

    use super::*;

    /// Longer than anything takes on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// Longer than a test waits for anything.
    const LONG: Duration = Duration::from_secs(300);

    /// `line` run by `sh` in this directory.
    fn script(directory: &TempDir, line: &str) -> Script {
        Script {
            words: ["sh", "-c", line, "sh"].map(ToOwned::to_owned).to_vec(),
            directory: Some(directory.path().to_owned()),
            environment: vec![
                ("PATH".into(), std::env::var_os("PATH").unwrap()),
                ("ELASTIC_JOB_NAME".into(), "orders".into()),
            ],
            limit: None,
            kill_grace: LONG,
            cancellation: CancellationToken::new(),
            fenced: CancellationToken::new(),
            log: None,
        }
    }

    /// Waits until a script has written this file.
    async fn written(directory: &TempDir, name: &str) -> String {
        let path = directory.path().join(name);
        let looking = async {
            loop {
                match fs::read_to_string(&path) {
                    Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
                    _ => sleep(LOOK).await,
                }
            }
        };
        timeout(PATIENCE, looking).await.expect("the script writes")
    }

    /// Returns whether a process is there and no zombie.
    fn lives(pid: &str) -> bool {
        let status = fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
        status.is_ok_and(|status| !status.contains(") Z "))
    }

    /// Waits until a process is gone.
    async fn gone(pid: &str) {
        let looking = async {
            while lives(pid) {
                sleep(LOOK).await;
            }
        };
        timeout(PATIENCE, looking).await.expect("the process ends");
    }

    async fn run(script: Script) -> Result<(), String> {
        let ended = timeout(PATIENCE, script.run()).await.expect("the script ends");
        ended.map_err(|failure| crate::chain::Chain(&failure).to_string())
    }

    #[tokio::test]
    async fn decides_by_exit_status_and_quotes_the_last_lines() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(run(script(&directory, "echo $ELASTIC_JOB_NAME > out")).await, Ok(()));
        assert_eq!(written(&directory, "out").await, "orders");
        let failing = script(&directory, "echo one; echo; echo two; exit 3");
        let expected = "the script ended with exit status: 3, its last output was: one | two";
        assert_eq!(run(failing).await, Err(expected.to_owned()));
        let complaining = script(&directory, "echo no disk >&2; kill -9 $$");
        let failure = run(complaining).await.unwrap_err();
        assert_eq!(
            failure,
            "the script ended with signal: 9 (SIGKILL), its last output was: no disk"
        );
    }

    #[tokio::test]
    async fn reports_why_a_script_cannot_start() {
        let directory = tempfile::tempdir().unwrap();
        let mut missing = script(&directory, "");
        missing.words = vec!["no-such-program".to_owned()];
        let expected = "cannot start the script: no program `no-such-program`: it is in no directory of PATH";
        assert_eq!(run(missing).await, Err(expected.to_owned()));
        let mut lost = script(&directory, "");
        lost.directory = Some("/no/such/directory".into());
        let expected = "cannot start the script: there is no working directory `/no/such/directory`";
        assert_eq!(run(lost).await, Err(expected.to_owned()));
        let mut odd = script(&directory, "");
        odd.words.push("\0".to_owned());
        assert!(run(odd).await.unwrap_err().contains("nul byte"));
    }

    #[tokio::test]
    async fn terminates_a_slow_script_with_its_children() {
        let directory = tempfile::tempdir().unwrap();
        let line = "trap 'echo polite > out; exit' TERM; sleep 600 & echo $! > child; echo begun; wait";
        let mut slow = script(&directory, line);
        slow.limit = Some(Duration::from_millis(500));
        let failure = run(slow).await.unwrap_err();
        assert_eq!(
            failure,
            "the script took longer than 500ms and was stopped, its last output was: begun"
        );
        assert_eq!(written(&directory, "out").await, "polite");
        gone(&written(&directory, "child").await).await;
    }

    #[tokio::test]
    async fn kills_a_stubborn_script_after_its_grace() {
        let directory = tempfile::tempdir().unwrap();
        let mut stubborn = script(&directory, "trap '' TERM; echo $$ > pid; while :; do sleep 1; done");
        stubborn.kill_grace = Duration::from_millis(300);
        let cancellation = stubborn.cancellation.clone();
        let stop = async {
            let pid = written(&directory, "pid").await;
            cancellation.cancel();
            pid
        };
        let start = Instant::now();
        let (ended, pid) = tokio::join!(run(stubborn), stop);
        assert_eq!(ended, Err("the script was stopped".to_owned()));
        assert!(start.elapsed() >= Duration::from_millis(300));
        assert!(!lives(&pid));
    }

    #[tokio::test]
    async fn grants_the_grace_to_children_of_a_script() {
        let directory = tempfile::tempdir().unwrap();
        // The shell ends at once, and its child in its own time.
        let child = "trap 'sleep 0.3; echo done > out; exit' TERM; echo $$ > child; while :; do sleep 0.1; done";
        fs::write(directory.path().join("child.sh"), child).unwrap();
        let leaving = script(&directory, "sh child.sh & wait");
        let cancellation = leaving.cancellation.clone();
        let stop = async {
            written(&directory, "child").await;
            cancellation.cancel();
        };
        let (ended, ()) = tokio::join!(run(leaving), stop);
        assert_eq!(ended, Err("the script was stopped".to_owned()));
        assert_eq!(fs::read_to_string(directory.path().join("out")).unwrap(), "done\n");
    }

    #[tokio::test]
    async fn kills_at_the_fence_without_grace() {
        for is_cancelled_before in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let line = "trap 'echo asked > out' TERM; sleep 600 & echo $! > child; wait; while :; do sleep 1; done";
            let stubborn = script(&directory, line);
            let (cancellation, fenced) = (stubborn.cancellation.clone(), stubborn.fenced.clone());
            let fence = async {
                let child = written(&directory, "child").await;
                if is_cancelled_before {
                    cancellation.cancel();
                    written(&directory, "out").await;
                }
                fenced.cancel();
                // As the framework does it.
                cancellation.cancel();
                child
            };
            let (ended, child) = tokio::join!(run(stubborn), fence);
            assert_eq!(ended, Err("the script was stopped".to_owned()));
            gone(&child).await;
            assert_eq!(directory.path().join("out").exists(), is_cancelled_before);
        }
    }

    #[tokio::test]
    async fn waits_for_no_output_that_is_held_open() {
        let directory = tempfile::tempdir().unwrap();
        let start = Instant::now();
        let leaving = script(&directory, "sleep 600 & echo $! > child; exit 0");
        assert_eq!(run(leaving).await, Ok(()));
        assert!(start.elapsed() < Duration::from_secs(300));
        // A server that a script has started is none of our business.
        let child = written(&directory, "child").await;
        assert!(lives(&child));
        let child = Pid::from_raw(child.parse().unwrap()).unwrap();
        rustix::process::kill_process(child, Signal::KILL).unwrap();
    }

    #[tokio::test]
    async fn kills_the_script_of_a_dropped_future() {
        let directory = tempfile::tempdir().unwrap();
        let mut running = Box::pin(script(&directory, "echo $$ > pid; sleep 600").run());
        let pid = tokio::select! {
            ended = &mut running => panic!("{ended:?}"),
            pid = written(&directory, "pid") => pid,
        };
        drop(running);
        gone(&pid).await;
    }
}
