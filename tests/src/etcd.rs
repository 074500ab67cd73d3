//! Real etcd servers, started from Debian's packages on free ports of the loopback address.
//!
//! They do not wait for the disk, so that they are quick, and end with the process that started them, however it ends. Calls
//! block their thread for as long as that takes.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::certificates::Certificates;
use crate::process::stop_all_threads;
use crate::zookeeper::free_port;

const HINT: &str = "these tests need etcd from Debian: apt-get install --no-install-recommends etcd-server etcd-client";

/// How long a server may take to start, or a cluster to elect.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts over on other ports if another process has taken one that was free.
const ATTEMPTS: usize = 5;

/// Runs a server until its standard input ends, which it does when we end.
const SUPERVISOR: &str = r#"
log=$1; shift
"$@" </dev/null >>"$log" 2>&1 &
echo $!
read -r word
kill -KILL $! 2>/dev/null
wait
"#;

/// Servers of one cluster. Dropping them kills them and deletes their data.
#[derive(Debug)]
pub struct Etcd {
    members: Vec<Member>,
    scheme: &'static str,
    authority: Option<std::path::PathBuf>,
    directory: TempDir,
}

/// How servers are started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// For connections of clients, who have to show a certificate of the same authority.
    pub certificates: Option<&'a Certificates>,
    /// How many bytes the data may take; the default if it is 0.
    pub quota: u64,
}

#[derive(Debug)]
struct Member {
    client_port: u16,
    arguments: Vec<String>,
    process: Option<Process>,
}

#[derive(Debug)]
struct Process {
    pid: Pid,
    supervisor: Child,
}

impl Etcd {
    /// Starts one server.
    ///
    /// # Errors
    /// When it is not installed, naming the packages that bring it; when it does not start.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(1, Options::default())
    }

    /// Starts so many servers.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(count: usize, options: Options<'_>) -> anyhow::Result<Self> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match Self::try_to_start(count, options) {
                Ok(etcd) => return Ok(etcd),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("there was an attempt"))
    }

    /// Returns a server that all tests of this process share, each in a namespace of its own. It is not to be hurt.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Etcd> = LazyLock::new(|| Etcd::start().expect("an etcd server starts"));
        &SHARED
    }

    fn try_to_start(count: usize, options: Options<'_>) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("elasticjob-etcd-").tempdir()?;
        let scheme = if options.certificates.is_some() {
            "https"
        } else {
            "http"
        };
        let ports: Vec<(u16, u16)> = (0..count)
            .map(|_| Ok((free_port()?, free_port()?)))
            .collect::<anyhow::Result<_>>()?;
        let peer = |port: u16| format!("http://127.0.0.1:{port}");
        let cluster: Vec<String> = ports
            .iter()
            .enumerate()
            .map(|(number, (_, port))| format!("m{number}={}", peer(*port)))
            .collect();
        let member = |(number, (client_port, peer_port)): (usize, &(u16, u16))| {
            let client = format!("{scheme}://127.0.0.1:{client_port}");
            let mut arguments = vec![
                format!("--name=m{number}"),
                format!("--data-dir={}", directory.path().join(format!("m{number}")).display()),
                format!("--listen-client-urls={client}"),
                format!("--advertise-client-urls={client}"),
                format!("--listen-peer-urls={}", peer(*peer_port)),
                format!("--initial-advertise-peer-urls={}", peer(*peer_port)),
                format!("--initial-cluster={}", cluster.join(",")),
                format!("--quota-backend-bytes={}", options.quota),
                "--unsafe-no-fsync".to_owned(),
            ];
            if let Some(certificates) = options.certificates {
                let file = |name| certificates.directory().join(name).display().to_string();
                arguments.extend([
                    format!("--cert-file={}", file("server.pem")),
                    format!("--key-file={}", file("server.key")),
                    format!("--trusted-ca-file={}", file("ca.pem")),
                    "--client-cert-auth".to_owned(),
                ]);
            }
            Member {
                client_port: *client_port,
                arguments,
                process: None,
            }
        };
        let members = ports.iter().enumerate().map(member).collect();
        let mut etcd = Self {
            members,
            scheme,
            authority: options
                .certificates
                .map(|certificates| certificates.directory().to_owned()),
            directory,
        };
        for number in 0..count {
            etcd.launch(number)?;
        }
        etcd.wait_until_serving()?;
        Ok(etcd)
    }

    /// Returns the URL of a registry on all servers.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.scheme == "https" { "etcds" } else { "etcd" };
        let servers: Vec<String> = self
            .members
            .iter()
            .map(|member| format!("127.0.0.1:{}", member.client_port))
            .collect();
        format!("{scheme}://{}", servers.join(","))
    }

    /// Returns the address of the first server.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.members[0].client_port).into()
    }

    /// Ends a server without warning (SIGKILL). Its data stay.
    pub fn kill(&mut self, number: usize) {
        if let Some(mut process) = self.members[number].process.take() {
            drop(process.supervisor.stdin.take());
            let _ = process.supervisor.wait();
        }
    }

    /// Starts a server that was killed, on the same ports and with its data, and waits until the cluster serves.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_again(&mut self, number: usize) -> anyhow::Result<()> {
        self.launch(number)?;
        self.wait_until_serving()
    }

    /// Stops a process in mid-air (SIGSTOP): connections stay and nothing answers.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn pause(&self, number: usize) -> anyhow::Result<()> {
        let process = self.members[number].process.as_ref().context("the server runs")?;
        stop_all_threads(process.pid)
    }

    /// Lets a paused process go on (SIGCONT).
    ///
    /// # Errors
    /// When the process is gone.
    pub fn resume(&self, number: usize) -> anyhow::Result<()> {
        self.signal(number, Signal::CONT)
    }

    fn signal(&self, number: usize, signal: Signal) -> anyhow::Result<()> {
        let process = self.members[number].process.as_ref().context("the server runs")?;
        kill_process(process.pid, signal).context("could not signal the server")
    }

    /// Returns the number of the server that leads.
    ///
    /// # Errors
    /// When none does.
    pub fn leader(&self) -> anyhow::Result<usize> {
        for (number, member) in self.members.iter().enumerate() {
            let status = self.control_at(member, &["endpoint", "status", "--write-out=fields"]);
            let Ok(status) = status else { continue };
            let field = |name: &str| {
                let line = status.lines().find(|line| line.starts_with(&format!("\"{name}\"")))?;
                Some(line.split_once(':')?.1.trim().to_owned())
            };
            if field("Leader").is_some() && field("Leader") == field("MemberID") {
                return Ok(number);
            }
        }
        bail!("no server leads")
    }

    /// Has `etcdctl` do something, and returns what it prints.
    ///
    /// # Errors
    /// What it says when it fails.
    pub fn control(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let member = self
            .members
            .iter()
            .find(|member| member.process.is_some())
            .context("a server runs")?;
        self.control_at(member, arguments)
    }

    fn control_at(&self, member: &Member, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new("etcdctl");
        command
            .env("ETCDCTL_API", "3")
            .arg(format!(
                "--endpoints={}://127.0.0.1:{}",
                self.scheme, member.client_port
            ))
            .arg("--command-timeout=2s");
        if let Some(directory) = &self.authority {
            let file = |name: &str| directory.join(name).display().to_string();
            command
                .arg(format!("--cacert={}", file("ca.pem")))
                .arg(format!("--cert={}", file("server.pem")))
                .arg(format!("--key={}", file("server.key")));
        }
        let output = command.args(arguments).output().context(HINT)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "etcdctl {arguments:?}: {said}");
        Ok(String::from_utf8(output.stdout)?)
    }

    fn launch(&mut self, number: usize) -> anyhow::Result<()> {
        let log = self.directory.path().join(format!("m{number}.log"));
        let member = &mut self.members[number];
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, "supervisor"])
            .arg(&log)
            .arg("etcd")
            .args(&member.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = supervisor.stdout.take().context("the supervisor has no output")?;
        let mut pid = String::new();
        BufReader::new(output).read_line(&mut pid)?;
        let pid = Pid::from_raw(pid.trim().parse()?).context("a process id")?;
        member.process = Some(Process { pid, supervisor });
        Ok(())
    }

    fn wait_until_serving(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        for member in self.members.iter().filter(|member| member.process.is_some()) {
            while let Err(error) = self.control_at(member, &["endpoint", "health"]) {
                ensure!(Path::new("/usr/bin/etcd").exists(), HINT);
                ensure!(
                    Instant::now() < deadline,
                    "etcd does not start: {error:#}\n{}",
                    self.logs()
                );
                sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    fn logs(&self) -> String {
        let log = |number| std::fs::read_to_string(self.directory.path().join(format!("m{number}.log")));
        (0..self.members.len()).filter_map(|number| log(number).ok()).collect()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        (0..self.members.len()).for_each(|number| self.kill(number));
    }
}
