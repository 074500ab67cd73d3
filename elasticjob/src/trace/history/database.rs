//! The database, and the user to connect as.
//!
//! The settings are those that a Java member has in its configuration, so that both may share one file. A setting of
//! Java's pools that has no meaning here is accepted and listed; any other unknown setting is a fault, because a
//! misspelt password or URL would be noticed much later.
//!
//! Passwords: the URL to connect with is never shown. What is shown is put together from the parts that are no secret.

use std::fmt;
use std::str::FromStr;

use elasticjob_config::sources::{Error, TracingSettings};
use elasticjob_config::zone::Zone;

use super::dialect::Dialect;
use super::jdbc;

/// Where history is where nothing is said: a file in the working directory.
const DEFAULT_URL: &str = "sqlite:elasticjob-history.db";

/// Settings of Java's connection pools, which mean nothing to ours.
const POOL_SECTIONS: [&str; 4] = ["hikari", "tomcat", "dbcp2", "oracleucp"];
const POOL_SETTINGS: [&str; 13] = [
    "type",
    "name",
    "poolname",
    "generateuniquename",
    "minimumidle",
    "idletimeout",
    "maxlifetime",
    "connectiontimeout",
    "connectiontestquery",
    "connectioninitsql",
    "validationtimeout",
    "autocommit",
    "leakdetectionthreshold",
];

/// Databases that run in a Java process.
const JAVA_DATABASES: [&str; 3] = ["h2", "hsqldb", "derby"];

/// How many connections there are at most, where nothing is said.
const CONNECTIONS: u32 = 4;

/// A kind of database.
///
/// Each needs a feature of this crate, `history-sqlite`, `history-postgres` or `history-mysql`. A URL of a kind that
/// was not built in is refused with the name of the feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatabaseKind {
    /// A file.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MySQL, or MariaDB.
    MySql,
}

/// A database that history is in. It is shown without password, user and parameters.
///
/// It is made from a URL by `parse`, or from a configuration by [`of_settings`](Self::of_settings), and names a place
/// without connecting to it. A [`History`](super::History) asks it questions, and a [`Storage`](super::Storage) has
/// history recorded there.
///
/// ```
/// use elasticjob::trace::history::Database;
///
/// let database: Database = "sqlite:/var/lib/shop/history.db".parse()?;
/// assert_eq!(database.to_string(), "sqlite:/var/lib/shop/history.db");
/// let refused = "oracle://jobs:secret@db/history".parse::<Database>().unwrap_err();
/// assert!(!refused.to_string().contains("secret"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Database {
    pub(super) kind: DatabaseKind,
    /// With the password: never shown.
    pub(super) url: String,
    pub(super) connections: u32,
    shown: String,
    /// The zone that times without one are in: Java's drivers write local times.
    zone: Zone,
    /// Settings that were understood to mean nothing here.
    ignored: Vec<String>,
}

/// A database that there cannot be. No secret is in it.
///
/// Its text says what is wrong and what is expected, for the author of the URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidDatabase(pub(super) String);

impl FromStr for Database {
    type Err = InvalidDatabase;

    /// A URL: `sqlite:FILE`, `postgres://USER:PASSWORD@HOST/DATABASE`, `mysql://..`, `mariadb://..`, or what Java calls
    /// the same: `jdbc:postgresql://HOST/DATABASE?user=..`.
    ///
    /// It has four connections at most and the time zone of the machine. A database in memory is refused, because its
    /// history would end with the process.
    ///
    /// # Errors
    /// The scheme is unknown or was not built in, the host or the database is missing, or several hosts are named.
    fn from_str(url: &str) -> Result<Self, InvalidDatabase> {
        Self::of(url, None, None)
    }
}

impl Database {
    /// Reads the data source of a configuration, as Java writes it too: `url` or `jdbc-url`, `username`, `password`,
    /// `driver-class-name`, `maximum-pool-size`; and `time-zone`. Without one it is `elasticjob-history.db` in the working
    /// directory, a file of SQLite.
    ///
    /// # Errors
    /// All that is wrong, each with its place.
    pub fn of_settings(tracing: &TracingSettings) -> Result<Self, Vec<Error>> {
        let fault = |name: &str, problem: &str| tracing.data_source_fault(name, problem);
        let Some(settings) = &tracing.data_source else {
            return Self::of(DEFAULT_URL, None, None).map_err(|invalid| vec![fault("url", &invalid.0)]);
        };
        let mut faults = Vec::new();
        let (mut url, mut user, mut password, mut driver, mut ignored) = (None, None, None, None, Vec::new());
        let (mut connections, mut zone) = (CONNECTIONS, Zone::system());
        for name in settings.names() {
            let value = settings.get(name).unwrap_or_default().trim();
            let canonical: String = name.chars().filter(|c| !matches!(c, '-' | '_')).collect();
            let canonical = canonical.to_ascii_lowercase();
            let section = canonical.split('.').next().unwrap_or_default();
            match canonical.as_str() {
                "url" | "jdbcurl" => url = Some((name, value)),
                "username" | "user" => user = Some(value),
                "password" => password = Some(value),
                "driverclassname" | "driver" => driver = Some((name, value)),
                "timezone" => match Zone::parse(value) {
                    Ok(parsed) => zone = parsed,
                    Err(error) => faults.push(fault(name, &error.to_string())),
                },
                "maximumpoolsize" | "maxpoolsize" | "hikari.maximumpoolsize" => match value.parse() {
                    Ok(number @ 1..) => connections = number,
                    _ => faults.push(fault(name, "a number from 1 is expected")),
                },
                _ if POOL_SETTINGS.contains(&section) || POOL_SECTIONS.contains(&section) => {
                    ignored.push(name.to_owned());
                }
                _ => faults.push(fault(
                    name,
                    "is not a setting that history is recorded by: there are `url`, `username`, `password`, \
                     `driver-class-name`, `maximum-pool-size` and `time-zone`",
                )),
            }
        }
        let database = match url {
            Some((name, url)) => Self::of(url, user, password).map_err(|invalid| fault(name, &invalid.0)),
            None => Err(fault("url", "is missing: which database history is recorded in")),
        };
        match database {
            Ok(mut database) => {
                if let Some((name, driver)) = driver
                    && let Some(problem) = database.disagreement(driver)
                {
                    faults.push(fault(name, &problem));
                }
                database.connections = connections.max(2);
                database.zone = zone;
                database.ignored.extend(ignored);
                if faults.is_empty() { Ok(database) } else { Err(faults) }
            }
            Err(fault) => {
                faults.push(fault);
                Err(faults)
            }
        }
    }

    /// Reads a URL. A user and a password that stand beside it count before those in it.
    fn of(url: &str, user: Option<&str>, password: Option<&str>) -> Result<Self, InvalidDatabase> {
        let translated;
        let (url, ignored) = match url.strip_prefix("jdbc:") {
            Some(rest) => {
                translated = jdbc::translate(rest)?;
                (translated.url.as_str(), translated.ignored.clone())
            }
            None => (url, Vec::new()),
        };
        let (scheme, rest) = url.split_once(':').ok_or_else(|| unknown(""))?;
        let kind = match scheme {
            "sqlite" => DatabaseKind::Sqlite,
            "postgres" | "postgresql" => DatabaseKind::Postgres,
            "mysql" | "mariadb" => DatabaseKind::MySql,
            _ => return Err(unknown(scheme)),
        };
        if !kind.is_built_in() {
            return Err(InvalidDatabase(format!(
                "this program was built without the feature `{}`",
                kind.feature()
            )));
        }
        let (url, shown) = match kind {
            DatabaseKind::Sqlite => file(rest)?,
            _ => server(scheme, rest, user, password)?,
        };
        Ok(Self {
            kind,
            url,
            shown,
            ignored,
            connections: CONNECTIONS,
            zone: Zone::system(),
        })
    }

    /// Returns the same database, with this password in the place of the one in its URL.
    ///
    /// The password is given as it is, without percent-encoding. A file of SQLite has none, and stays what it was.
    ///
    /// ```
    /// use elasticjob::trace::history::Database;
    ///
    /// let database: Database = "postgres://jobs@db/history".parse()?;
    /// assert!(!database.has_password());
    /// assert!(database.with_password("tiger").has_password());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        let Some((scheme, rest)) = self.url.split_once(':').filter(|_| self.kind != DatabaseKind::Sqlite) else {
            // A file has none.
            return self;
        };
        let (url, _) = server(scheme, rest, None, Some(password)).expect("the URL has been understood before");
        self.url = url;
        self
    }

    /// Returns whether there is a password.
    ///
    /// It is looked for in the URL. A password that the driver would find elsewhere, such as in an environment
    /// variable, is not known here.
    #[must_use]
    pub fn has_password(&self) -> bool {
        let Some((_, rest)) = self.url.split_once("://").filter(|_| self.kind != DatabaseKind::Sqlite) else {
            return false;
        };
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let authority = place.split('/').next().unwrap_or_default();
        let is_in_front = authority.rsplit_once('@').is_some_and(|(who, _)| who.contains(':'));
        is_in_front || query.split('&').any(|pair| pair.starts_with("password="))
    }

    /// Which kind it is of.
    ///
    /// It follows from the scheme of the URL; `mariadb` is [`DatabaseKind::MySql`].
    #[must_use]
    pub fn kind(&self) -> DatabaseKind {
        self.kind
    }

    /// Settings that Java's drivers and pools have and that mean nothing here.
    ///
    /// They are named as they were written, so that an operator can find and remove them.
    #[must_use]
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// Returns the SQL to speak to it.
    pub(super) fn dialect(&self) -> Dialect {
        Dialect::new(self.kind, &self.zone)
    }

    /// Returns what is wrong if a Java driver is named that is not for this database.
    fn disagreement(&self, driver: &str) -> Option<String> {
        let of_driver = match driver {
            "org.sqlite.JDBC" => Some(DatabaseKind::Sqlite),
            "org.postgresql.Driver" => Some(DatabaseKind::Postgres),
            "com.mysql.jdbc.Driver" | "com.mysql.cj.jdbc.Driver" | "org.mariadb.jdbc.Driver" => {
                Some(DatabaseKind::MySql)
            }
            _ => None,
        };
        match of_driver {
            Some(kind) if kind == self.kind => None,
            Some(_) => Some(format!("`{driver}` is not for {}", self.shown)),
            None => Some(format!(
                "`{driver}` is not known: there are drivers for SQLite, PostgreSQL, MySQL and MariaDB"
            )),
        }
    }
}

impl DatabaseKind {
    /// Returns the feature of this crate that it needs.
    fn feature(self) -> &'static str {
        match self {
            Self::Sqlite => "history-sqlite",
            Self::Postgres => "history-postgres",
            Self::MySql => "history-mysql",
        }
    }

    /// Returns whether that feature is on.
    fn is_built_in(self) -> bool {
        match self {
            Self::Sqlite => cfg!(feature = "history-sqlite"),
            Self::Postgres => cfg!(feature = "history-postgres"),
            Self::MySql => cfg!(feature = "history-mysql"),
        }
    }
}

/// Returns that a URL is of no database that is known here, and what is expected.
fn unknown(scheme: &str) -> InvalidDatabase {
    if JAVA_DATABASES.contains(&scheme) {
        return InvalidDatabase(format!(
            "the database `{scheme}` is a part of Java processes: record in `sqlite:FILE`, `postgres://..`, `mysql://..` or \
             `mariadb://..`"
        ));
    }
    InvalidDatabase(format!(
        "no database is known for a URL that begins with `{scheme}:`: expected `sqlite:FILE`, `postgres://..`, \
         `mysql://..`, `mariadb://..`, or one of these after `jdbc:`"
    ))
}

/// The URL of a file and how it is shown.
fn file(rest: &str) -> Result<(String, String), InvalidDatabase> {
    let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.contains(":memory:") || parameters.contains("mode=memory") {
        return Err(InvalidDatabase(
            "the file of the database is missing: history in memory would be gone with the process".to_owned(),
        ));
    }
    Ok((path.to_owned(), format!("sqlite:{path}")))
}

/// Returns the URL of a database on a server, with the user, and the URL as it is shown.
fn server(
    scheme: &str,
    rest: &str,
    user: Option<&str>,
    password: Option<&str>,
) -> Result<(String, String), InvalidDatabase> {
    let Some(rest) = rest.strip_prefix("//") else {
        return Err(InvalidDatabase(format!("expected `{scheme}://HOST/DATABASE`")));
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let (given, host) = authority
        .rsplit_once('@')
        .map_or(("", authority), |(who, host)| (who, host));
    let path = tail.split(['?', '#']).next().unwrap_or_default();
    if host.is_empty() || path.len() < 2 {
        return Err(InvalidDatabase(format!("expected `{scheme}://HOST/DATABASE`")));
    }
    if host.contains(',') {
        return Err(InvalidDatabase("several hosts are given: name one".to_owned()));
    }
    let (given_user, given_password) = given
        .split_once(':')
        .map_or((given, None), |(user, word)| (user, Some(word)));
    let user = user.map_or_else(|| given_user.to_owned(), encoded);
    let password = password.map(encoded).or_else(|| given_password.map(str::to_owned));
    let who = match (user.as_str(), password) {
        ("", None) => String::new(),
        (user, None) => format!("{user}@"),
        (user, Some(password)) => format!("{user}:{password}@"),
    };
    Ok((
        format!("{scheme}://{who}{host}{tail}"),
        format!("{scheme}://{host}{path}"),
    ))
}

/// Percent-encoded, but for what may stand anywhere.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Database").field(&self.shown).finish()
    }
}

#[cfg(test)]
#[cfg(all(feature = "history-sqlite", feature = "history-postgres", feature = "history-mysql"))]
mod tests {
    use elasticjob_config::sources::Loader;

    use super::*;

    fn check(url: &str, user: Option<&str>, password: Option<&str>, expected: &str, shown: &str) {
        let database = Database::of(url, user, password).unwrap();
        assert_eq!(database.url, expected);
        assert_eq!(database.to_string(), shown);
        assert!(!format!("{database:?}").contains("p%40ss"), "{database:?}");
    }

    #[test]
    fn reads_plain_and_jdbc_urls() {
        check(
            "sqlite:a b/history.db",
            None,
            None,
            "a b/history.db",
            "sqlite:a b/history.db",
        );
        check(
            "sqlite:///var/h.db?mode=rw",
            None,
            None,
            "/var/h.db",
            "sqlite:/var/h.db",
        );
        check("jdbc:sqlite:h.db", None, None, "h.db", "sqlite:h.db");
        check(
            "postgres://me:old@db:5433/jobs?sslmode=require",
            None,
            Some("p@ss"),
            "postgres://me:p%40ss@db:5433/jobs?sslmode=require",
            "postgres://db:5433/jobs",
        );
        check(
            "jdbc:postgresql://db/jobs?user=me&password=p%40ss&ssl=true&currentSchema=log&loginTimeout=3",
            None,
            None,
            "postgresql://me:p%40ss@db/jobs?sslmode=verify-full&options=-c%20search_path%3Dlog",
            "postgresql://db/jobs",
        );
        check(
            "jdbc:mysql://db:3306/jobs?useSSL=false&serverTimezone=UTC",
            Some("me"),
            Some("p@ss"),
            "mysql://me:p%40ss@db:3306/jobs?ssl-mode=DISABLED",
            "mysql://db:3306/jobs",
        );
    }

    /// Returns the faults of an application with this environment beside `tracing.type`.
    fn faults(environment: &[(&str, &str)]) -> Vec<String> {
        let environment = [&[("ELASTICJOB_TRACING_TYPE", "RDB")], environment].concat();
        let variables = environment
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let tracing = Loader::new().environment(variables).load_tracing().unwrap().unwrap();
        let faults = Database::of_settings(&tracing).unwrap_err();
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_the_place_of_each_fault() {
        assert_eq!(
            faults(&[
                ("SPRING_DATASOURCE_URL", "jdbc:h2:mem:secret"),
                ("SPRING_DATASOURCE_DRIVER_CLASS_NAME", "org.h2.Driver"),
            ]),
            [
                "environment variable SPRING_DATASOURCE_URL: `spring.datasource.url`: the database `h2` is a part of Java \
              processes: record in `sqlite:FILE`, `postgres://..`, `mysql://..` or `mariadb://..`"
            ]
        );
        assert_eq!(
            faults(&[
                ("ELASTICJOB_TRACING_DATA_SOURCE_URL", "sqlite:a.db"),
                (
                    "ELASTICJOB_TRACING_DATA_SOURCE_DRIVER_CLASS_NAME",
                    "org.postgresql.Driver"
                ),
                ("ELASTICJOB_TRACING_DATA_SOURCE_TIME_ZONE", "Mars"),
            ])
            .iter()
            .map(|fault| fault.split("`: ").next().unwrap())
            .collect::<Vec<_>>(),
            [
                "environment variable ELASTICJOB_TRACING_DATA_SOURCE_TIME_ZONE: `elasticjob.tracing.data-source.time-zone",
                "environment variable ELASTICJOB_TRACING_DATA_SOURCE_DRIVER_CLASS_NAME: \
                 `elasticjob.tracing.data-source.driver-class-name",
            ]
        );
        let missing = faults(&[("ELASTICJOB_TRACING_DATA_SOURCE_USERNAME", "me")]);
        assert_eq!(
            missing,
            [
                "environment variable ELASTICJOB_TRACING_DATA_SOURCE_USERNAME: `elasticjob.tracing.data-source.url`: is missing: \
              which database history is recorded in"
            ]
        );
    }

    #[test]
    fn a_password_should_be_given_apart_from_the_url() {
        let database: Database = "mysql://me@db:3306/jobs?ssl-mode=REQUIRED".parse().unwrap();
        assert_eq!(
            database.with_password("p@ss").url,
            "mysql://me:p%40ss@db:3306/jobs?ssl-mode=REQUIRED"
        );
        let file: Database = "sqlite:h:1@x.db".parse().unwrap();
        assert_eq!(file.clone().with_password("p@ss"), file);
        for (url, has_password) in [
            ("postgres://me:secret@db/jobs", true),
            ("postgres://db/jobs?password=secret", true),
            ("jdbc:mysql://db/jobs?user=me&password=secret", true),
            ("postgres://me@db/jobs", false),
            ("postgres://db:5432/a:b@c", false),
        ] {
            let database: Database = url.parse().unwrap();
            assert_eq!(database.has_password(), has_password, "{url}");
        }
    }

    #[test]
    fn refuses_other_urls_without_their_secrets() {
        let check = |url: &str, expected: &str| {
            let fault = url.parse::<Database>().unwrap_err().to_string();
            assert!(fault.contains(expected), "{fault}");
            assert!(!fault.contains("secret"), "{fault}");
        };
        check("jdbc:h2:mem:secret", "the database `h2` is a part of Java processes");
        check("oracle://me:secret@db/jobs", "begins with `oracle:`");
        check("me:secret@db", "begins with `me:`");
        check("postgres://me:secret@db", "expected `postgres://HOST/DATABASE`");
        check("jdbc:postgresql://a,b/jobs?password=secret", "name one");
        check("sqlite::memory:", "gone with the process");
        check("secret", "expected `sqlite:FILE`");
    }
}
