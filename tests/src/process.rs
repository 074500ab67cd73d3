//! Members of a cluster as real processes: started, asked, stopped, paused, killed by their id.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::timeout;

use crate::command::{Answer, Command};

/// How long a member may take to end, or to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Stops a process (SIGSTOP), and waits until each of its threads stands still: the signal is taken up a moment later.
///
/// # Errors
/// When the process is gone.
pub fn stop_all_threads(pid: Pid) -> anyhow::Result<()> {
    kill_process(pid, Signal::STOP).context("could not stop the process")?;
    let tasks = PathBuf::from(format!("/proc/{pid}/task"));
    let is_stopped = |task: std::io::Result<fs::DirEntry>| -> anyhow::Result<bool> {
        let stat = fs::read_to_string(task?.path().join("stat")).unwrap_or_default();
        // Behind the name, which is in parentheses and may hold anything. A thread that has ended has no state.
        let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
        Ok(matches!(state, None | Some('T' | 'Z' | 'X')))
    };
    for _ in 0..PATIENCE.as_millis() {
        let stopped: anyhow::Result<Vec<bool>> = fs::read_dir(&tasks)?.map(is_stopped).collect();
        if stopped?.into_iter().all(|it| it) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    anyhow::bail!("the process {pid} does not stop")
}

/// A member to be started, in a directory and with an environment of its own.
#[derive(Clone, Debug)]
#[must_use = "nothing runs before `start`"]
pub struct MemberSetup {
    program: PathBuf,
    directory: PathBuf,
    environment: BTreeMap<String, String>,
}

/// A member that runs. Dropping it kills it.
#[derive(Debug)]
pub struct Member {
    pid: Pid,
    child: Child,
    directory: PathBuf,
    /// Its end would end the member.
    stdin: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl MemberSetup {
    /// Returns a member that runs `program` in `directory`, with an empty environment.
    pub fn new(program: &Path, directory: &Path) -> Self {
        Self {
            program: program.to_owned(),
            directory: directory.to_owned(),
            environment: BTreeMap::new(),
        }
    }

    /// With this in its environment.
    pub fn with(mut self, variable: &str, value: impl ToString) -> Self {
        self.environment.insert(variable.to_owned(), value.to_string());
        self
    }

    /// So that it obeys commands.
    pub fn obeying(self) -> Self {
        self.with("MEMBER_OBEYS", "yes")
    }

    /// With items that work so long.
    pub fn working(self, time: Duration) -> Self {
        self.with("MEMBER_WORK", time.as_millis())
    }

    /// With a session that ends after so long a silence.
    pub fn with_session_timeout(self, timeout: Duration) -> Self {
        let milliseconds = format!("{}ms", timeout.as_millis());
        self.with("ELASTICJOB_REG_CENTER_SESSION_TIMEOUT", milliseconds)
    }

    /// With this as its `application.yaml`.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn configured(self, yaml: &str) -> Self {
        fs::create_dir_all(&self.directory).expect("a directory can be made");
        fs::write(self.directory.join("application.yaml"), yaml).expect("a file can be written");
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn start(self) -> anyhow::Result<Member> {
        fs::create_dir_all(&self.directory)?;
        let mut child = tokio::process::Command::new(&self.program)
            .env_clear()
            .envs(&self.environment)
            .current_dir(&self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(log_of(&self.directory))?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let stdout = child.stdout.take().context("the member has no output")?;
        Ok(Member {
            pid: pid.context("the member has no process")?,
            stdin: child.stdin.take().context("the member has no input")?,
            answers: BufReader::new(stdout).lines(),
            directory: self.directory,
            child,
        })
    }
}

impl Member {
    /// Its process.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Returns what it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(log_of(&self.directory)).unwrap_or_default()
    }

    /// Asks it to stop (SIGTERM).
    ///
    /// # Errors
    /// When it is gone.
    pub fn terminate(&self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Asks it to stop as ctrl-c does (SIGINT).
    ///
    /// # Errors
    /// When it is gone.
    pub fn interrupt(&self) -> anyhow::Result<()> {
        self.signal(Signal::INT)
    }

    /// Stops it in mid-air (SIGSTOP).
    ///
    /// # Errors
    /// When it is gone.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.child.id().context("the member has ended")?;
        stop_all_threads(self.pid)
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// When it is gone.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Ends it without warning (SIGKILL), and waits until it is gone.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn has_ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        // The id cannot be another process's: ours has not been waited for yet, or `id` says so.
        self.child.id().context("the member has ended")?;
        kill_process(self.pid, signal).context("the member is gone")
    }

    /// Waits until it ends by itself; gives what it logged, too.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ended(&mut self) -> anyhow::Result<(ExitStatus, String)> {
        let ended = timeout(PATIENCE, self.child.wait()).await;
        let status = ended.with_context(|| format!("the member does not end: {}", self.log()))??;
        Ok((status, self.log()))
    }

    /// Sends a command to the member.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn ask(&mut self, command: &Command) -> anyhow::Result<Answer> {
        self.converse(command).await
    }

    /// As [`ask`](Self::ask), where it speaks another language.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn converse<A: DeserializeOwned>(&mut self, command: &impl Serialize) -> anyhow::Result<A> {
        let line = serde_json::to_string(command)? + "\n";
        self.stdin.write_all(line.as_bytes()).await?;
        let answer = timeout(PATIENCE, self.answers.next_line()).await;
        let answer = answer.with_context(|| format!("the member does not answer: {}", self.log()))??;
        Ok(serde_json::from_str(
            &answer.with_context(|| format!("the member is gone: {}", self.log()))?,
        )?)
    }
}

fn log_of(directory: &Path) -> PathBuf {
    directory.join("log")
}
