//! Databases of one test each.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use elasticjob_tests::databases::{DatabaseServer, Kind};
use elasticjob_tests::log::Log;
use sqlx::any::install_default_drivers;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// What all applications of this process log. Their threads are not those of their tests.
static LOG: LazyLock<Log> = LazyLock::new(|| {
    let log = Log::default();
    tracing::subscriber::set_global_default(log.subscriber()).expect("there is no other");
    log
});
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// An empty database.
pub(crate) struct Place {
    pub(crate) kind: &'static str,
    /// With user and password.
    pub(crate) url: String,
    _directory: Option<TempDir>,
}

impl Place {
    pub(crate) fn sqlite() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        LazyLock::force(&LOG);
        Ok(Self {
            kind: "sqlite",
            url: format!("sqlite:{}/a history.db", directory.path().display()),
            _directory: Some(directory),
        })
    }

    pub(crate) async fn postgres() -> anyhow::Result<Self> {
        Self::on("postgres", Kind::Postgres, "").await
    }

    /// Returns one of this encoding.
    pub(crate) async fn postgres_in(encoding: &str) -> anyhow::Result<Self> {
        let options = format!("TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'");
        Self::on("postgres", Kind::Postgres, &options).await
    }

    pub(crate) async fn mariadb() -> anyhow::Result<Self> {
        Self::on("mariadb", Kind::MariaDb, "").await
    }

    /// Creates a database with tables that have this character set unless they name another.
    pub(crate) async fn mariadb_in(character_set: &str) -> anyhow::Result<Self> {
        Self::on("mariadb", Kind::MariaDb, &format!("CHARACTER SET {character_set}")).await
    }

    async fn on(kind: &'static str, server: Kind, options: &str) -> anyhow::Result<Self> {
        LazyLock::force(&LOG);
        // These runtimes have several threads.
        let server = tokio::task::block_in_place(|| DatabaseServer::shared(server))?;
        let name = format!("place_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        execute(&server.full_url(), &[&format!("CREATE DATABASE {name} {options}")]).await?;
        Ok(Self {
            kind,
            url: server.full_url_of(&name),
            _directory: None,
        })
    }

    /// Returns what was logged about this database.
    pub(crate) fn log(&self) -> String {
        let (_, name) = self.url.rsplit_once(['@', ':']).unwrap_or_default();
        logged(name)
    }

    /// Executes statements as another program would.
    pub(crate) async fn execute(&self, statements: &[&str]) -> anyhow::Result<()> {
        execute(&self.url_to_write(), statements).await
    }

    /// Asks for one column of texts.
    pub(crate) async fn texts(&self, query: &str) -> anyhow::Result<Vec<String>> {
        let mut connection = connect(&self.url_to_write()).await?;
        let rows = sqlx::query(AssertSqlSafe(query.to_owned()))
            .fetch_all(&mut connection)
            .await?;
        Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
    }

    fn url_to_write(&self) -> String {
        match self.kind {
            "sqlite" => format!("{}?mode=rwc", self.url),
            _ => self.url.clone(),
        }
    }
}

/// Returns what was logged about the database that is called so.
pub(crate) fn logged(name: &str) -> String {
    let log = LOG.text();
    let is_about = |line: &&str| {
        let mut found = line.match_indices(name);
        found.any(|(at, _)| !line[at + name.len()..].starts_with(|c: char| c.is_ascii_digit()))
    };
    let lines: Vec<&str> = log.lines().filter(is_about).collect();
    lines.join("\n")
}

async fn execute(url: &str, statements: &[&str]) -> anyhow::Result<()> {
    let mut connection = connect(url).await?;
    for statement in statements {
        let result = sqlx::query(AssertSqlSafe((*statement).to_owned()))
            .execute(&mut connection)
            .await;
        result.with_context(|| (*statement).to_owned())?;
    }
    Ok(connection.close().await?)
}

/// Connects, also to a server that has just begun to listen.
pub(crate) async fn connect(url: &str) -> anyhow::Result<AnyConnection> {
    install_default_drivers();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match AnyConnection::connect(url).await {
            Ok(connection) => return Ok(connection),
            Err(error) if Instant::now() > deadline => return Err(error.into()),
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}
