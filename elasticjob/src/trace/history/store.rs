//! The connections to the database, and what is done there.
//!
//! Every request has a limit, after which the database is taken to be away. An error says whether the rows are at fault
//! or the database is: each database has codes of its own for that, and a code that is not known is a fault of the
//! database, because writing again later does less harm than dropping an event.

use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions, AnyRow};
use sqlx::error::ErrorKind;
use sqlx::{ConnectOptions, Executor};

use tracing::debug;

use super::connections::Connections;
use super::database::{Database, DatabaseKind};
use super::dialect::Dialect;
use super::error::{Error, FaultyPart};
use super::fit::Texts;
use super::rows::Rows;
use super::schema::{self, Definition, definitions};
use super::shape::{self, Shape};
use super::statement::{Statement, Table};
use crate::job::BoxError;

/// How long a connection is waited for.
const ACQUIRE_LIMIT: Duration = Duration::from_secs(3);

/// How long one request may take. A database that takes longer is taken to be away.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// What cannot be done, as errors say it.
pub(super) const READING: &str = "cannot read history";
const LOOKING: &str = "cannot look for tables";

/// MySQL's word for an index that is there.
const INDEX_IS_THERE: &str = "Duplicate key name";

/// A database, connected when it is first asked. Clones share its connections.
#[derive(Clone, Debug)]
pub(super) struct Store {
    place: Arc<Place>,
    dialect: Dialect,
    connections: Connections,
}

/// Where it is.
#[derive(Debug)]
struct Place {
    kind: DatabaseKind,
    /// Without user and password.
    shown: String,
}

/// What is done with a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// It is only asked.
    Read,
    /// It is written to, and made where it is a file that is not there.
    Write,
}

/// What was found of the tables, or made.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) shape: Shape,
    /// Indexes that the database refused to make, and why.
    pub(super) unmade: Vec<(String, Error)>,
}

impl Store {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// If the URL is not one of a supported database.
    pub(super) fn new(database: &Database, access: Access) -> Result<Self, Error> {
        sqlx::any::install_default_drivers();
        let url = match (database.kind, access) {
            (DatabaseKind::Sqlite, Access::Read) => format!("sqlite:{}?mode=rw", escaped(&database.url)),
            (DatabaseKind::Sqlite, Access::Write) => format!("sqlite:{}?mode=rwc", escaped(&database.url)),
            (DatabaseKind::Postgres | DatabaseKind::MySql, _) => database.url.clone(),
        };
        let options: AnyConnectOptions = url
            .parse()
            .map_err(|source: sqlx::Error| error(&Place::of(database), "its URL cannot be used", source))?;
        let prepare = match (database.kind, access) {
            // Readers and the writer do not wait for each other then. A crash of the machine may lose the newest rows.
            (DatabaseKind::Sqlite, Access::Write) => "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL",
            // A page looks at rows that lie far apart.
            (DatabaseKind::Sqlite, Access::Read) => "PRAGMA cache_size = -32768",
            (DatabaseKind::Postgres | DatabaseKind::MySql, _) => "",
        };
        let pool = AnyPoolOptions::new()
            .max_connections(database.connections)
            .acquire_timeout(ACQUIRE_LIMIT)
            .idle_timeout(Duration::from_secs(60))
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if !prepare.is_empty()
                        && let Err(error) = connection.execute(prepare).await
                    {
                        // A file that may only be read, or is being written to, can be asked all the same.
                        debug!(%error, "the database of the history keeps its settings");
                    }
                    Ok(())
                })
            })
            .connect_lazy_with(options.disable_statement_logging());
        Ok(Self {
            dialect: database.dialect(),
            place: Arc::new(Place::of(database)),
            connections: Connections::Own(pool),
        })
    }

    /// Uses a pool that the application has, and never closes it.
    pub(super) fn of_pool(connections: Connections, kind: DatabaseKind, shown: &str, dialect: Dialect) -> Self {
        let place = Place {
            kind,
            shown: shown.to_owned(),
        };
        Self {
            place: Arc::new(place),
            dialect,
            connections,
        }
    }

    /// Returns how the database is shown, without user and password.
    pub(super) fn database(&self) -> &str {
        &self.place.shown
    }

    pub(super) fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    /// Creates what is absent, and looks how the tables are that are there.
    pub(super) async fn prepare(&self) -> Result<Prepared, Error> {
        let mut unmade = Vec::new();
        for definition in definitions(&self.dialect) {
            unmade.extend(self.create(definition).await?);
        }
        let shape = self.shape(LOOKING, &shape::WRITTEN).await?;
        Ok(Prepared { shape, unmade })
    }

    /// Creates the table of the logs of runs if it is absent.
    pub(super) async fn prepare_logs(&self) -> Result<(), Error> {
        for (name, refused) in self.create(schema::logs(&self.dialect)).await? {
            debug!(name, error = %refused.chain(), "an index of the logs of runs cannot be made");
        }
        Ok(())
    }

    /// Creates a table and its indexes if they are absent. Returns the indexes that the database refuses, and why.
    async fn create(&self, definition: Definition) -> Result<Vec<(String, Error)>, Error> {
        let mut unmade = Vec::new();
        // Checked first: a user without the right to create tables can use existing ones.
        if !self.has(LOOKING, definition.table, "1").await? {
            self.run("cannot create tables", &definition.create).await?;
        }
        for (name, create) in definition.indexes {
            match self.run("cannot create an index", &create).await {
                Err(refused) if refused.chain().to_string().contains(INDEX_IS_THERE) => {}
                // Questions are slow without it, and nothing else. A connection that broke is another matter.
                Err(refused) if refused.is_an_answer() => unmade.push((name, refused)),
                result => result?,
            }
        }
        Ok(unmade)
    }

    /// Reads the shape of the tables. An error says that what is asked cannot be done.
    pub(super) async fn shape(&self, asked: &'static str, tables: &[&'static Table]) -> Result<Shape, Error> {
        let mut shape = Shape::default();
        for table in tables {
            let rows = self.ask(asked, &shape::columns(&self.dialect, table)).await?;
            let learnt = shape.learn(table, &self.dialect, &rows);
            learnt.map_err(|source| self.not_understood(source))?;
        }
        Ok(shape)
    }

    /// Returns whether a table is there, with this column, and may be read by us. An error says that what is asked cannot
    /// be done.
    pub(super) async fn has(&self, asked: &'static str, table: &str, column: &str) -> Result<bool, Error> {
        let question = Statement::of(format!("SELECT {column} FROM {table} WHERE 1 = 0"));
        let asking = async {
            match self.connections.rows(&question).await {
                Ok(_) => Ok(true),
                Err(refused) if is_of_the_question(self.place.kind, &refused) => Ok(false),
                // A database that is busy or stops says nothing about its tables.
                Err(other) => Err(other),
            }
        };
        self.limited(asked, asking).await
    }

    /// Runs a statement without parameters.
    async fn run(&self, asked: &'static str, sql: &str) -> Result<(), Error> {
        self.execute(asked, &Statement::of(sql)).await.map(drop)
    }

    /// Writes rows, all or none.
    ///
    /// After any other error it is unknown which rows were written: writing them again is right.
    pub(super) async fn write(&self, rows: &Rows<'_>, shape: &Shape, texts: Texts) -> Result<(), Error> {
        let statements = rows.statements(&self.dialect, shape, texts);
        let writing = self.connections.execute_together(&statements);
        self.limited("cannot write history", writing).await
    }

    /// Runs statements in one transaction.
    pub(super) async fn execute_together(&self, asked: &'static str, statements: &[Statement]) -> Result<(), Error> {
        self.limited(asked, self.connections.execute_together(statements)).await
    }

    /// Runs one statement; how many rows it changed.
    pub(super) async fn execute(&self, asked: &'static str, statement: &Statement) -> Result<u64, Error> {
        self.limited(asked, self.connections.execute(statement)).await
    }

    /// What a query finds.
    pub(super) async fn rows(&self, statement: &Statement) -> Result<Vec<AnyRow>, Error> {
        self.ask(READING, statement).await
    }

    /// Asks a question.
    async fn ask(&self, asked: &'static str, statement: &Statement) -> Result<Vec<AnyRow>, Error> {
        self.limited(asked, self.connections.rows(statement)).await
    }

    /// That what was read cannot be understood.
    pub(super) fn not_understood(&self, source: sqlx::Error) -> Error {
        error(&self.place, "cannot understand what stands", source)
    }

    /// That a request was given up.
    pub(super) fn out_of_time(&self) -> Error {
        self.failed("cannot write history", "the application stops")
    }

    /// Closes the connections, if they are ours. It takes two seconds at most.
    pub(super) async fn close(&self) {
        // Connections that do not close are dropped with the runtime.
        let _ = tokio::time::timeout(Duration::from_secs(2), self.connections.close()).await;
    }

    /// Waits for a request, no longer than the limit. `asked` says in an error what was asked.
    async fn limited<T>(
        &self,
        asked: &'static str,
        request: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, Error> {
        let source = match tokio::time::timeout(REQUEST_LIMIT, request).await {
            Ok(Ok(result)) => return Ok(result),
            Ok(Err(sqlx::Error::PoolTimedOut)) => return Err(self.without_connection(asked).await),
            Ok(Err(source)) => return Err(error(&self.place, asked, source)),
            Err(_) => format!("no answer within {} s", REQUEST_LIMIT.as_secs()),
        };
        Err(self.failed(asked, source))
    }

    /// Finds out why there was no connection in time: the pool tries again after refusals, and does not report them.
    async fn without_connection(&self, asked: &'static str) -> Error {
        match tokio::time::timeout(ACQUIRE_LIMIT, self.connections.try_to_connect()).await {
            Ok(Ok(())) => {
                let connections = self.connections.limit();
                self.failed(asked, format!("all {connections} connections are in use"))
            }
            Ok(Err(source)) => error(&self.place, asked, source),
            Err(_) => self.failed(
                asked,
                format!(
                    "no connection within {} s: nothing answers there",
                    ACQUIRE_LIMIT.as_secs()
                ),
            ),
        }
    }

    /// Returns that the database, and not what was written, is at fault.
    fn failed(&self, asked: &'static str, source: impl Into<BoxError>) -> Error {
        Error {
            asked,
            database: self.place.shown.clone(),
            kind: FaultyPart::Database,
            source: source.into(),
        }
    }
}

impl Place {
    fn of(database: &Database) -> Self {
        Self {
            kind: database.kind,
            shown: database.to_string(),
        }
    }
}

fn error(place: &Place, asked: &'static str, source: sqlx::Error) -> Error {
    Error {
        asked,
        database: place.shown.clone(),
        kind: kind(place.kind, &source),
        source: source.into(),
    }
}

/// Returns what is at fault, by the code of the database.
fn kind(database: DatabaseKind, error: &sqlx::Error) -> FaultyPart {
    let Some(refusal) = error.as_database_error() else {
        return FaultyPart::Database;
    };
    let code = refusal.code().unwrap_or_default();
    let is_of_rows = match database {
        // The lower byte: too big, a constraint, a wrong type, out of range.
        DatabaseKind::Sqlite => code
            .parse::<u32>()
            .is_ok_and(|code| matches!(code & 0xff, 18 | 19 | 20 | 25)),
        // Data that cannot be, and constraints.
        DatabaseKind::Postgres | DatabaseKind::MySql => code.starts_with("22") || code.starts_with("23"),
    };
    // A character that the table's character set lacks, and a value that is too long.
    let is_text_refused = database == DatabaseKind::MySql
        && ["Incorrect string value", "Data too long"]
            .iter()
            .any(|word| refusal.message().starts_with(word));
    if is_of_rows || is_text_refused || refusal.kind() != ErrorKind::Other {
        FaultyPart::Rows
    } else {
        FaultyPart::Database
    }
}

/// Returns whether a question was refused for what it asks for: a table or a column that is not there, or not for us.
fn is_of_the_question(database: DatabaseKind, error: &sqlx::Error) -> bool {
    let Some(refusal) = error.as_database_error() else {
        return false;
    };
    let code = refusal.code().unwrap_or_default();
    match database {
        DatabaseKind::Sqlite => code == "1",
        // No such table, no such column, not permitted.
        DatabaseKind::Postgres => ["42P01", "42703", "42501"].contains(&&*code),
        // The same. The last is said of any table that is not for us, there or not, and its code is that of others, too.
        DatabaseKind::MySql => ["42S02", "42S22"].contains(&&*code) || refusal.message().contains("command denied"),
    }
}

/// A path in a URL.
fn escaped(path: &str) -> String {
    path.replace('%', "%25").replace('?', "%3F").replace('#', "%23")
}
