//! Real database servers, started from Debian's packages on free ports of the loopback address, with data of their own.
//!
//! They run as an ordinary user, since PostgreSQL refuses to be run by root, and end with the process that started them,
//! however it ends. Calls block their thread for as long as that takes.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;
use tokio::time::Instant;

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// The user and the group without rights, which run servers that root starts.
pub(crate) const UNPRIVILEGED: u32 = 65534;

/// Who may use the databases.
pub const USER: &str = "jobs";

/// The password: one that a URL cannot hold as it is.
pub const PASSWORD: &str = "p@ss/word";

/// Runs a server until its standard input ends, which it does when we end.
const SUPERVISOR: &str = r#"
signal=$1; log=$2; shift 2
"$@" </dev/null >>"$log" 2>&1 &
echo $!
read -r word
kill -$signal $! 2>/dev/null
wait
"#;

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// From the package `postgresql`.
    Postgres,
    /// From the packages `mariadb-server-core` and `mariadb-client`.
    MariaDb,
}

/// A server. Dropping it kills it and deletes its data.
#[derive(Debug)]
pub struct DatabaseServer {
    kind: Kind,
    port: u16,
    directory: TempDir,
    supervisor: Option<Child>,
}

static POSTGRES: LazyLock<Result<DatabaseServer, String>> = LazyLock::new(|| started(Kind::Postgres));
static MARIADB: LazyLock<Result<DatabaseServer, String>> = LazyLock::new(|| started(Kind::MariaDb));

fn started(kind: Kind) -> Result<DatabaseServer, String> {
    DatabaseServer::start(kind).map_err(|error| format!("{error:#}"))
}

impl DatabaseServer {
    /// Returns the server that the tests of a process share, each with databases of its own. It runs until the process ends.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn shared(kind: Kind) -> anyhow::Result<&'static Self> {
        let server = match kind {
            Kind::Postgres => &POSTGRES,
            Kind::MariaDb => &MARIADB,
        };
        server.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// Makes a server with empty databases and starts it.
    ///
    /// # Errors
    /// When it is not installed, naming the package that brings it; when it does not start.
    pub fn start(kind: Kind) -> anyhow::Result<Self> {
        let mut server = Self::empty(kind)?;
        server.initialize()?;
        server.start_again()?;
        Ok(server)
    }

    /// A port and a folder for a server, with a folder for its data that it may write to.
    fn empty(kind: Kind) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("database").tempdir()?;
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let server = Self {
            kind,
            port,
            directory,
            supervisor: None,
        };
        fs::create_dir(server.data())?;
        fs::set_permissions(server.data(), fs::Permissions::from_mode(0o700))?;
        fs::write(server.directory.path().join("log"), "")?;
        if is_root() {
            chown(server.data(), Some(UNPRIVILEGED), Some(UNPRIVILEGED))?;
        }
        Ok(server)
    }

    /// Runs a command that makes the data.
    fn made_by(&self, words: &[String]) -> anyhow::Result<()> {
        let made = Command::new(&words[0]).args(&words[1..]).current_dir("/").output()?;
        let said = String::from_utf8_lossy(&made.stderr);
        let output = String::from_utf8_lossy(&made.stdout);
        ensure!(made.status.success(), "{:?} cannot be made: {output}{said}", self.kind);
        Ok(())
    }

    /// Makes a standby of a PostgreSQL server, which streams from it, and starts it.
    ///
    /// # Errors
    /// When it cannot be copied; when it does not start.
    pub fn standby(&self) -> anyhow::Result<Self> {
        ensure!(self.kind == Kind::Postgres, "{:?} has no standby here", self.kind);
        let mut standby = Self::empty(self.kind)?;
        let mut words: Vec<String> = ordinary_user();
        words.push(postgres_program("pg_basebackup")?.display().to_string());
        words.extend(
            [
                "--write-recovery-conf",
                "--checkpoint=fast",
                "--wal-method=stream",
                "--no-sync",
                "-d",
            ]
            .map(str::to_owned),
        );
        words.push(self.full_url());
        words.extend(["-D".to_owned(), standby.data().display().to_string()]);
        standby.made_by(&words)?;
        standby.start_again()?;
        Ok(standby)
    }

    /// Kills it in mid-air. Its data stay.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        if let Some(mut supervisor) = self.supervisor.take() {
            drop(supervisor.stdin.take());
            supervisor.wait()?;
        }
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
            ensure!(Instant::now() < deadline, "{:?} still listens", self.kind);
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Starts it after it was stopped, on the same port and with the data that it had.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        let signal = match self.kind {
            // The others that it runs would outlive it a little otherwise, and keep its data.
            Kind::Postgres => "QUIT",
            Kind::MariaDb => "KILL",
        };
        let log = self.directory.path().join("log");
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, "sh", signal])
            .arg(&log)
            .args(ordinary_user())
            .args(self.command()?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = supervisor.stdout.take().context("the supervisor has no output")?;
        let mut pid = String::new();
        BufReader::new(output).read_line(&mut pid)?;
        self.supervisor = Some(supervisor);
        let deadline = Instant::now() + PATIENCE;
        while !self.is_serving() {
            if Instant::now() > deadline {
                let log = fs::read_to_string(&log).unwrap_or_default();
                bail!("{:?} does not start: {log}", self.kind);
            }
            sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Returns its port on the loopback address.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL of a database that is there from the start, without user and password.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of(match self.kind {
            Kind::Postgres => "postgres",
            Kind::MariaDb => "jobs",
        })
    }

    /// Returns the same of another of its databases.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        let scheme = match self.kind {
            Kind::Postgres => "postgres",
            Kind::MariaDb => "mysql",
        };
        format!("{scheme}://127.0.0.1:{}/{database}", self.port)
    }

    /// Returns the URL of the database that is there from the start, with user and password.
    #[must_use]
    pub fn full_url(&self) -> String {
        with_user(&self.url())
    }

    /// Returns the same of another of its databases.
    #[must_use]
    pub fn full_url_of(&self, database: &str) -> String {
        with_user(&self.url_of(database))
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn initialize(&self) -> anyhow::Result<()> {
        let (data, directory) = (self.data(), self.directory.path());
        let password = directory.join("password");
        fs::write(&password, PASSWORD)?;
        fs::write(
            directory.join("init.sql"),
            format!(
                "CREATE DATABASE IF NOT EXISTS jobs CHARACTER SET latin1;\n\
                 CREATE USER IF NOT EXISTS {USER} IDENTIFIED BY '{PASSWORD}';\n\
                 GRANT ALL ON *.* TO {USER} WITH GRANT OPTION;\n"
            ),
        )?;
        let mut words: Vec<String> = ordinary_user();
        match self.kind {
            Kind::Postgres => {
                words.push(postgres_program("initdb")?.display().to_string());
                words.extend(["--username", USER, "--auth=scram-sha-256", "--pwfile"].map(str::to_owned));
                words.push(password.display().to_string());
                words.extend(["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "-D"].map(str::to_owned));
                words.push(data.display().to_string());
            }
            Kind::MariaDb => {
                words.push(
                    program("mariadb-install-db", "mariadb-server-core")?
                        .display()
                        .to_string(),
                );
                let options = [
                    "--no-defaults",
                    "--auth-root-authentication-method=normal",
                    "--skip-test-db",
                ];
                words.extend(options.map(str::to_owned));
                words.push(format!("--datadir={}", data.display()));
            }
        }
        self.made_by(&words)
    }

    fn command(&self) -> anyhow::Result<Vec<String>> {
        let (data, port) = (self.data(), self.port);
        let directory = self.directory.path().display();
        let data = data.display();
        Ok(match self.kind {
            Kind::Postgres => vec![
                postgres_program("postgres")?.display().to_string(),
                "-D".to_owned(),
                data.to_string(),
                "-p".to_owned(),
                port.to_string(),
                "-clisten_addresses=127.0.0.1".to_owned(),
                "-cunix_socket_directories=".to_owned(),
                "-cfsync=off".to_owned(),
            ],
            Kind::MariaDb => vec![
                program("mariadbd", "mariadb-server-core")?.display().to_string(),
                "--no-defaults".to_owned(),
                format!("--datadir={data}"),
                format!("--port={port}"),
                "--bind-address=127.0.0.1".to_owned(),
                "--skip-name-resolve".to_owned(),
                format!("--socket={data}/socket"),
                format!("--init-file={directory}/init.sql"),
                "--innodb-flush-log-at-trx-commit=2".to_owned(),
            ],
        })
    }

    fn is_serving(&self) -> bool {
        // It listens, PostgreSQL even before it accepts clients; a client that connects tries again.
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok()
    }
}

impl Drop for DatabaseServer {
    fn drop(&mut self) {
        // A failure cannot be reported here; the supervisor ends with this process anyhow.
        let _ = self.stop();
    }
}

fn with_user(url: &str) -> String {
    url.replace("://", &format!("://{USER}:p%40ss%2Fword@"))
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Returns what comes before a command so that it is not root that runs it.
pub(crate) fn ordinary_user() -> Vec<String> {
    if !is_root() {
        return Vec::new();
    }
    let user = format!("--reuid={UNPRIVILEGED}");
    let group = format!("--regid={UNPRIVILEGED}");
    vec!["setpriv".to_owned(), user, group, "--clear-groups".to_owned()]
}

/// Returns a program of PostgreSQL. Debian keeps those of each version apart.
fn postgres_program(name: &str) -> anyhow::Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions
        .map(|version| version.path().join("bin").join(name))
        .filter(|program| program.exists())
        .collect();
    found.sort();
    found
        .pop()
        .with_context(|| format!("`{name}` is missing: the package `postgresql` brings it"))
}

pub(crate) fn program(name: &str, package: &str) -> anyhow::Result<PathBuf> {
    let directories = ["/usr/bin", "/usr/sbin", "/usr/local/bin"];
    let mut found = directories.iter().map(|directory| Path::new(directory).join(name));
    found
        .find(|program| program.exists())
        .with_context(|| format!("`{name}` is missing: the package `{package}` brings it"))
}
