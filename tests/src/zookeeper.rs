//! Real ZooKeeper servers, started from Debian's package on free ports of the loopback address.
//!
//! Servers are small, quick to start (a third of a second) and unsafe against power failure; they end with
//! the process that started them, however it ends. Calls block their thread for as long as that takes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Sub;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::certificates::Issued;
use crate::process::stop_all_threads;

/// How often, and with what pause, a server is asked whether it serves: 30 s for a start or an election.
const QUESTIONS: usize = 3_000;
const PAUSE: Duration = Duration::from_millis(10);

/// Starts over on another port if another process has taken the one that was free.
const ATTEMPTS: usize = 5;

/// The shortest session timeout that the servers grant.
pub const MIN_SESSION_TIMEOUT: Duration = Duration::from_millis(500);

/// Runs a server until its standard input ends, which it does when we end. A last word decides on its data.
const SUPERVISOR: &str = r#"
dir=$1; shift
"$@" </dev/null >"$dir/log" 2>&1 &
echo $!
read -r word
kill -KILL $! 2>/dev/null
wait
[ "$word" = keep ] || rm -rf "$dir"
"#;

/// One server. Dropping it kills the server and deletes its data.
#[derive(Debug)]
pub struct Server {
    role: Role,
    port: u16,
    directory: PathBuf,
    process: Option<Process>,
    container_check: ContainerCheck,
    security: Option<Security>,
}

/// What a server demands of its clients, on a second port. It listens on all addresses of this machine then, IPv6 too.
#[derive(Clone, Debug, Default)]
pub struct Security {
    tls: Option<Tls>,
    users: Vec<(String, String)>,
    asks_each_client: bool,
}

#[derive(Clone, Debug)]
struct Tls {
    certificate: Issued,
    authority: PathBuf,
    port: u16,
}

impl Security {
    /// Shows this certificate, and demands one of this authority.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn over_tls(mut self, certificate: Issued, authority: PathBuf) -> anyhow::Result<Self> {
        self.tls = Some(Tls {
            certificate,
            authority,
            port: free_port()?,
        });
        Ok(self)
    }

    /// Knows this user, by SASL.
    #[must_use]
    pub fn knowing(mut self, user: &str, password: &str) -> Self {
        self.users.push((user.to_owned(), password.to_owned()));
        self
    }

    /// Serves none but users whom it knows, on all ports.
    #[must_use]
    pub fn asking_each_client(mut self) -> Self {
        self.asks_each_client = true;
        self
    }

    /// Returns the settings for this, and writes the files that they name.
    fn configuration(&self, directory: &Path) -> anyhow::Result<String> {
        let mut lines = String::new();
        if let Some(tls) = &self.tls {
            let store = directory.join("server.store.pem");
            let (key, certificate) = (fs::read(&tls.certificate.key)?, fs::read(&tls.certificate.certificate)?);
            fs::write(&store, [key, certificate].concat())?;
            lines += &format!(
                "secureClientPort={}\nsecureClientPortAddress=::\nssl.clientAuth=need\n\
                 ssl.keyStore.location={}\nssl.keyStore.type=PEM\nssl.trustStore.location={}\nssl.trustStore.type=PEM\n",
                tls.port,
                store.display(),
                tls.authority.display()
            );
        }
        if !self.users.is_empty() {
            lines += "authProvider.sasl=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n";
            let users = self
                .users
                .iter()
                .map(|(user, password)| format!("  user_{user}=\"{password}\"\n"));
            let module = "org.apache.zookeeper.server.auth.DigestLoginModule required";
            let jaas = format!("Server {{\n  {module}\n{}  ;\n}};\n", users.collect::<String>());
            fs::write(directory.join("jaas.conf"), jaas)?;
        }
        if self.asks_each_client {
            lines += "sessionRequireClientSASLAuth=true\n";
        }
        Ok(lines)
    }

    fn options(&self, directory: &Path) -> Vec<String> {
        // Plain NIO speaks no TLS.
        let mut options = vec![
            "-Dzookeeper.serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory".to_owned(),
            "-Dfile.encoding=UTF-8".to_owned(),
        ];
        if !self.users.is_empty() {
            let jaas = directory.join("jaas.conf");
            options.push(format!("-Djava.security.auth.login.config={}", jaas.display()));
        }
        options
    }
}

/// How often a server looks for containers that are empty, to delete them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ContainerCheck {
    /// Each minute, by default.
    Usual,
    /// So often that a test can see it.
    Frequent,
}

/// What a server's configuration says beside its port and directory.
#[derive(Clone, Debug)]
enum Role {
    Standalone,
    /// Member of an ensemble: its own number and the lines that name all members.
    Member {
        number: usize,
        members: String,
    },
}

#[derive(Debug)]
struct Process {
    pid: Pid,
    supervisor: Child,
    stdin: Option<ChildStdin>,
}

impl Server {
    /// Starts a server that stands alone, and waits until it serves.
    ///
    /// # Errors
    /// When Java or ZooKeeper is not installed, naming the package that brings it; when it does not start.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(ContainerCheck::Usual)
    }

    /// As [`start`](Self::start), a server that deletes empty containers at once, and not within a minute.
    ///
    /// # Errors
    /// As there.
    pub fn start_clearing_containers() -> anyhow::Result<Self> {
        Self::start_with(ContainerCheck::Frequent)
    }

    /// As [`start`](Self::start), a server that demands this of its clients.
    ///
    /// # Errors
    /// As there; when a file cannot be read.
    pub fn start_demanding(security: &Security) -> anyhow::Result<Self> {
        Self::start_as(|server| server.security = Some(security.clone()))
    }

    fn start_with(container_check: ContainerCheck) -> anyhow::Result<Self> {
        Self::start_as(|server| server.container_check = container_check)
    }

    fn start_as(set: impl Fn(&mut Self)) -> anyhow::Result<Self> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let mut server = Self::new(Role::Standalone, free_port()?)?;
            set(&mut server);
            match server.launch().and_then(|()| server.wait_until_serving()) {
                Ok(()) => return Ok(server),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("there was an attempt"))
    }

    /// As [`start`](Self::start), on this port.
    ///
    /// # Errors
    /// As `start`; when the port is taken.
    pub fn start_on(port: u16) -> anyhow::Result<Self> {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .with_context(|| format!("port {port} of 127.0.0.1 cannot be listened on"))?;
        let mut server = Self::new(Role::Standalone, port)?;
        server.launch()?;
        server.wait_until_serving()?;
        Ok(server)
    }

    /// Returns a server that all tests of this process share, each in a namespace of its own. It is not to be hurt.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Server> = LazyLock::new(|| Server::start().expect("a ZooKeeper server starts"));
        &SHARED
    }

    fn new(role: Role, port: u16) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("elasticjob-zookeeper-")
            .tempdir()?
            .keep();
        Ok(Self {
            role,
            port,
            directory,
            process: None,
            container_check: ContainerCheck::Usual,
            security: None,
        })
    }

    /// Returns the port it listens on, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Returns the port on which it speaks TLS.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn tls_port(&self) -> u16 {
        let tls = self.security.as_ref().and_then(|security| security.tls.as_ref());
        tls.expect("the server was started with TLS").port
    }

    /// Its process.
    ///
    /// # Panics
    /// When it was killed.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.process.as_ref().expect("the server runs").pid
    }

    /// Stops the process in mid-air (SIGSTOP): connections stay and nothing answers.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn pause(&self) -> anyhow::Result<()> {
        stop_all_threads(self.pid())
    }

    /// Lets a paused process go on (SIGCONT).
    ///
    /// # Errors
    /// When the process is gone.
    pub fn resume(&self) -> anyhow::Result<()> {
        kill_process(self.pid(), Signal::CONT).context("could not continue the server")
    }

    /// Ends the process without warning (SIGKILL). Its data stay for [`restart`](Self::restart).
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.end(After::KeepData);
        }
    }

    /// Starts the server again with the same data on the same port, killing it first if it runs.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.kill();
        self.launch()?;
        self.wait_until_serving()
    }

    /// Starts a server that was killed, and does not wait until it serves: alone it might have no quorum.
    ///
    /// # Errors
    /// When its program does not start.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        self.launch()
    }

    /// Returns whether it serves clients now.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        // While it starts, and without a quorum, it answers that it serves no client.
        four_letter_word(self.address(), "srvr").is_ok_and(|answer| answer.contains("Mode:"))
    }

    /// Returns what the server itself has counted so far.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn counters(&self) -> anyhow::Result<ServerCounters> {
        ServerCounters::parse(
            &four_letter_word(self.address(), "mntr")?,
            &four_letter_word(self.address(), "srvr")?,
        )
    }

    fn launch(&mut self) -> anyhow::Result<()> {
        let jar = jar()?;
        let configuration = self.directory.join("zoo.cfg");
        fs::write(&configuration, self.configuration()?)?;
        let main = match &self.role {
            Role::Standalone => "org.apache.zookeeper.server.ZooKeeperServerMain",
            Role::Member { number, .. } => {
                fs::write(self.directory.join("myid"), number.to_string())?;
                "org.apache.zookeeper.server.quorum.QuorumPeerMain"
            }
        };
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, "supervisor"])
            .arg(&self.directory)
            .arg("java")
            .args([
                "-Xms32m",
                "-Xmx128m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-XX:-UsePerfData",
            ])
            .args([
                "-Dzookeeper.jmx.log4j.disable=true",
                "-Dzookeeper.forceSync=no",
                "-Dzookeeper.preAllocSize=1024",
                // Synchronised by transactions, a follower of 3.8 acknowledges what it has not logged yet. If it is
                // killed then, it forgets writes that were acknowledged to clients (ZOOKEEPER-4646, -4643, -4785).
                "-Dzookeeper.forceSnapshotSync=true",
            ])
            .args(match self.container_check {
                ContainerCheck::Usual => None,
                ContainerCheck::Frequent => Some("-Dznode.container.checkIntervalMs=100"),
            })
            .args(
                self.security
                    .iter()
                    .flat_map(|security| security.options(&self.directory)),
            )
            .args(["-cp", &self.class_path(jar), main])
            .arg(&configuration)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("could not run `sh`")?;
        let stdin = supervisor.stdin.take();
        let mut line = String::new();
        BufReader::new(supervisor.stdout.take().context("the supervisor has no output")?).read_line(&mut line)?;
        let pid = Pid::from_raw(line.trim().parse()?).context("the supervisor named no process")?;
        self.process = Some(Process { pid, supervisor, stdin });
        Ok(())
    }

    /// Returns the jar, and with security those that Debian's jar forgets to name.
    fn class_path(&self, jar: &str) -> String {
        match (&self.security, jar.rsplit_once('/')) {
            (Some(_), Some((folder, _))) => format!("{jar}:{folder}/netty-codec.jar:{folder}/netty-resolver.jar"),
            _ => jar.to_owned(),
        }
    }

    fn configuration(&self) -> anyhow::Result<String> {
        let (port, directory) = (self.port, self.directory.display());
        let (address, security) = match &self.security {
            Some(security) => ("::", security.configuration(&self.directory)?),
            None => ("127.0.0.1", String::new()),
        };
        let members = match &self.role {
            Role::Standalone => "",
            Role::Member { members, .. } => members,
        };
        Ok(format!(
            "tickTime=200\ndataDir={directory}\nclientPort={port}\nclientPortAddress={address}\n\
             minSessionTimeout={}\nmaxSessionTimeout=60000\nmaxClientCnxns=0\nadmin.enableServer=false\n\
             4lw.commands.whitelist=*\n{members}{security}",
            MIN_SESSION_TIMEOUT.as_millis()
        ))
    }

    fn wait_until_serving(&self) -> anyhow::Result<()> {
        for _ in 0..QUESTIONS {
            if self.is_serving() {
                return Ok(());
            }
            let log = self.log();
            ensure!(!log.contains("BindException"), "port {} is taken: {log}", self.port);
            std::thread::sleep(PAUSE);
        }
        bail!("zookeeper does not serve on port {}: {}", self.port, self.log());
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        match self.process.take() {
            Some(process) => process.end(After::DeleteData),
            None => {
                // A directory that stays behind is not worth a panic.
                let _ = fs::remove_dir_all(&self.directory);
            }
        }
    }
}

enum After {
    KeepData,
    DeleteData,
}

impl Process {
    fn end(mut self, after: After) {
        if let (Some(mut stdin), After::KeepData) = (self.stdin.take(), after) {
            // Should the supervisor be gone, so is the server.
            let _ = stdin.write_all(b"keep\n");
        }
        let _ = self.supervisor.wait();
    }
}

/// Several servers that elect a leader among them.
#[derive(Debug)]
pub struct Ensemble {
    servers: Vec<Server>,
}

impl Ensemble {
    /// Starts so many servers, and waits until they have a leader.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start(size: usize) -> anyhow::Result<Self> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match Self::start_once(size) {
                Ok(ensemble) => return Ok(ensemble),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("there was an attempt"))
    }

    fn start_once(size: usize) -> anyhow::Result<Self> {
        let mut members = "initLimit=20\nsyncLimit=10\n".to_owned();
        for number in 1..=size {
            members += &format!("server.{number}=127.0.0.1:{}:{}\n", free_port()?, free_port()?);
        }
        let servers = (1..=size)
            .map(|number| {
                Server::new(
                    Role::Member {
                        number,
                        members: members.clone(),
                    },
                    free_port()?,
                )
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut ensemble = Self { servers };
        ensemble.servers.iter_mut().try_for_each(Server::launch)?;
        ensemble.servers.iter().try_for_each(Server::wait_until_serving)?;
        Ok(ensemble)
    }

    /// Its servers.
    pub fn servers(&mut self) -> &mut [Server] {
        &mut self.servers
    }

    /// Returns which server leads, if one does.
    #[must_use]
    pub fn leader(&self) -> Option<usize> {
        let leads = |server: &Server| {
            four_letter_word(server.address(), "srvr").is_ok_and(|answer| answer.contains("Mode: leader"))
        };
        self.servers.iter().position(leads)
    }

    /// `127.0.0.1:port,127.0.0.1:port,…`
    #[must_use]
    pub fn connect_string(&self) -> String {
        self.servers
            .iter()
            .map(|server| server.address().to_string())
            .collect::<Vec<_>>()
            .join(",")
    }
}

/// What a server has counted. The difference of two is what happened between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerCounters {
    /// Requests, pings and four-letter words included.
    pub packets_received: i64,
    /// Answers and notifications.
    pub packets_sent: i64,
    /// Transactions, those that begin and end sessions or were refused included.
    pub transactions: i64,
    /// Nodes in the tree.
    pub nodes: i64,
    /// Watches that are set. A recursive one counts twice: for data and for children.
    pub watches: i64,
    /// Ephemeral nodes in the tree.
    pub ephemerals: i64,
}

impl ServerCounters {
    fn parse(mntr: &str, srvr: &str) -> anyhow::Result<Self> {
        let values: BTreeMap<_, _> = mntr.lines().filter_map(|line| line.split_once('\t')).collect();
        let value = |key: &str| -> anyhow::Result<i64> {
            let text = values
                .get(key)
                .with_context(|| format!("the server does not count {key}"))?;
            text.parse().with_context(|| format!("{key} is not a number: {text}"))
        };
        let zxid = srvr
            .lines()
            .find_map(|line| line.strip_prefix("Zxid: 0x"))
            .context("the server names no zxid")?;
        Ok(Self {
            packets_received: value("zk_packets_received")?,
            packets_sent: value("zk_packets_sent")?,
            // The upper half is the number of the leader's reign.
            transactions: i64::from_str_radix(zxid.trim(), 16)? & 0xffff_ffff,
            nodes: value("zk_znode_count")?,
            watches: value("zk_watch_count")?,
            ephemerals: value("zk_ephemerals_count")?,
        })
    }
}

impl Sub for ServerCounters {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            packets_received: self.packets_received - before.packets_received,
            packets_sent: self.packets_sent - before.packets_sent,
            transactions: self.transactions - before.transactions,
            nodes: self.nodes - before.nodes,
            watches: self.watches - before.watches,
            ephemerals: self.ephemerals - before.ephemerals,
        }
    }
}

/// Asks a server one of its four-letter words, such as `srvr`.
///
/// # Errors
/// When it does not answer within a second.
pub fn four_letter_word(address: SocketAddr, word: &str) -> anyhow::Result<String> {
    let timeout = Duration::from_secs(1);
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.write_all(word.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Returns a port of the loopback address that is free at the moment.
///
/// # Errors
/// When there is none.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Returns the path of Debian's jar. Its manifest brings the rest of the class path.
fn jar() -> anyhow::Result<&'static str> {
    static JAR: LazyLock<Result<String, String>> = LazyLock::new(|| find_jar().map_err(|error| format!("{error:#}")));
    match &*JAR {
        Ok(jar) => Ok(jar),
        Err(error) => bail!("{error}"),
    }
}

fn find_jar() -> anyhow::Result<String> {
    let hint = "these tests need ZooKeeper 3.8 from Debian: apt-get install --no-install-recommends zookeeper";
    let listing = Command::new("dpkg")
        .args(["-L", "libzookeeper-java"])
        .output()
        .context(hint)?;
    let listing = String::from_utf8(listing.stdout)?;
    let jar = listing
        .lines()
        .find(|line| line.ends_with("/java/zookeeper.jar"))
        .context(hint)?;
    ensure!(Path::new(jar).exists(), "{hint} ({jar} is gone)");
    let java = Command::new("java")
        .arg("-version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    ensure!(java.is_ok_and(|status| status.success()), "{hint} (there is no `java`)");
    Ok(jar.to_owned())
}
