//! A real PgBouncer before a PostgreSQL server, in transaction mode: each transaction may get another connection of its pool.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::databases::{DatabaseServer, PASSWORD, UNPRIVILEGED, USER, is_root, ordinary_user, program};
use crate::zookeeper::free_port;

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// A pooler. Dropping it kills it.
#[derive(Debug)]
pub struct Pooler {
    port: u16,
    process: Child,
    directory: TempDir,
}

impl Pooler {
    /// Starts one with so many connections to the server.
    ///
    /// # Errors
    /// If it is not installed, naming the package that brings it, and if it does not start.
    pub fn start(server: &DatabaseServer, connections: u32) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("pooler").tempdir()?;
        let port = free_port()?;
        let path = directory.path();
        let settings = format!(
            "[databases]\n\
             * = host=127.0.0.1 port={}\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {port}\n\
             unix_socket_dir =\n\
             auth_type = trust\n\
             auth_file = {}/users\n\
             pool_mode = transaction\n\
             default_pool_size = {connections}\n\
             max_client_conn = 200\n",
            server.port(),
            path.display(),
        );
        fs::write(path.join("settings"), settings)?;
        fs::write(path.join("users"), format!("\"{USER}\" \"{PASSWORD}\"\n"))?;
        if is_root() {
            for name in ["", "settings", "users"] {
                chown(path.join(name), Some(UNPRIVILEGED), Some(UNPRIVILEGED))?;
            }
        }
        let mut words = ordinary_user();
        words.push(program("pgbouncer", "pgbouncer")?.display().to_string());
        words.push(path.join("settings").display().to_string());
        let log = File::create(path.join("log"))?;
        let process = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("pgbouncer does not start")?;
        let mut pooler = Self {
            port,
            process,
            directory,
        };
        pooler.wait()?;
        Ok(pooler)
    }

    /// Returns the URL of the database that is there from the start, through the pooler.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/postgres", self.port)
    }

    fn wait(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        while TcpStream::connect(address).is_err() {
            if self.process.try_wait()?.is_some() || Instant::now() > deadline {
                bail!("pgbouncer does not serve: {}", text(&self.directory.path().join("log")));
            }
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // A failure cannot be reported here.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
