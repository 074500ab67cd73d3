//! The URL of a database that is a registry centre. No message about one holds a part of it that may be a secret.

use std::path::PathBuf;

use super::settings::RegistryDatabase;
use crate::secret::{PROVIDED, Secret, without_secrets};

const POSTGRES_FORM: &str = "`postgres://USER:PASSWORD@HOST/DATABASE`";

/// The parameters of a PostgreSQL URL. Its client would log the value of any other, which may be a secret.
const PARAMETERS: [&str; 18] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

impl RegistryDatabase {
    /// Reads the URL of a registry centre: `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`.
    ///
    /// ```
    /// # mod elasticjob { pub mod configuration { pub use elasticjob_config::*; } }
    /// use elasticjob::configuration::sources::RegistryDatabase;
    ///
    /// let database = RegistryDatabase::parse("postgres://lion:tiger@db.example.org/shop?sslmode=verify-full")?;
    /// assert!(!format!("{database:?}").contains("tiger"));
    /// let faults = RegistryDatabase::parse("mysql://lion:tiger@db.example.org/shop").unwrap_err();
    /// assert!(!faults[0].contains("tiger"));
    /// # Ok::<_, Vec<String>>(())
    /// ```
    ///
    /// # Errors
    /// All that is wrong with it, at least one fault. None holds user, password or the value of an unknown parameter.
    pub fn parse(url: &str) -> Result<Self, Vec<String>> {
        let url = url.trim();
        let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
        match scheme.to_ascii_lowercase().as_str() {
            "sqlite" => file(rest).map(Self::Sqlite).map_err(|fault| vec![fault.to_owned()]),
            "postgres" | "postgresql" => {
                let faults = server_faults(rest);
                if faults.is_empty() {
                    Ok(Self::Postgres(Secret::new(url)))
                } else {
                    Err(faults)
                }
            }
            "jdbc" => Err(vec![format!(
                "a URL without `jdbc:` is expected: {POSTGRES_FORM}, or `sqlite:PATH`"
            )]),
            _ => Err(vec![format!(
                "`sqlite:PATH`, the URL of a file, or {POSTGRES_FORM} is expected: no other database can be a registry"
            )]),
        }
    }
}

/// Returns a URL as a message may show it. All between the scheme and the last `@` is hidden, since a password may hold any
/// character if a placeholder stands for it.
pub(super) fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return without_secrets(url).into_owned();
    };
    match rest.rsplit_once('@') {
        Some((_, place)) => format!("{scheme}://{PROVIDED}@{}", without_secrets(place)),
        None => without_secrets(url).into_owned(),
    }
}

fn file(rest: &str) -> Result<PathBuf, &'static str> {
    match rest.strip_prefix("//").unwrap_or(rest) {
        "" => Err("the path of the file is missing: `sqlite:jobs.db`, or `sqlite:///var/lib/shop/jobs.db`"),
        path if path.contains(":memory:") => {
            Err("a database in memory is for one process alone: set `reg-center.type: EMBEDDED` instead")
        }
        path if path.contains('?') => Err("the path of a file is expected, without parameters behind a `?`"),
        path => Ok(PathBuf::from(path)),
    }
}

/// Finds what is wrong with the URL of a server, behind its scheme and the colon.
fn server_faults(rest: &str) -> Vec<String> {
    let Some(rest) = rest.strip_prefix("//") else {
        return vec![format!("{POSTGRES_FORM} is expected")];
    };
    let (authority, behind) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if behind.contains('@') || rest.contains(char::is_whitespace) {
        // Read as it stands, it would name another host, and a part of the password as a path or a parameter.
        return vec![
            "characters of user, password and parameters that mean something in a URL have to be written with `%`: `/` as \
             `%2F`, `?` as `%3F`, `#` as `%23`, `@` as `%40`, a blank as `%20`; or leave the password out, and set the \
             environment variable PGPASSWORD"
                .to_owned(),
        ];
    }
    let mut faults = Vec::new();
    let (path, query) = behind.split_once('?').unwrap_or((behind, ""));
    if has_raw_percent(rest) {
        faults.push(
            "a `%` stands before two hexadecimal digits, for the character of that number: `%` itself is written `%25`"
                .to_owned(),
        );
    }
    if behind.contains('#') {
        faults.push("a `#` has no meaning in it: in a password it is written `%23`".to_owned());
    }
    let parameters = || {
        let pairs = query.split('#').next().unwrap_or_default().split('&');
        pairs
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
    };
    let has = |names: &[&str]| parameters().any(|(name, value)| names.contains(&name) && !value.is_empty());
    let host = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') && !port.ends_with(']') => (host, Some(port)),
        _ => (host, None),
    };
    if host.is_empty() && !has(&["host", "hostaddr"]) {
        faults.push(format!("the host is missing: {POSTGRES_FORM} is expected"));
    }
    if port.is_some_and(|port| !matches!(port.parse::<u16>(), Ok(1..))) {
        faults.push("the port behind the host is none: ports are 1 to 65535".to_owned());
    }
    let database = path.trim_start_matches('/');
    if database.is_empty() && !has(&["dbname"]) {
        faults.push(format!(
            "the name of the database is missing: {POSTGRES_FORM} is expected"
        ));
    } else if database.contains('/') {
        faults.push("one name of a database is expected behind the host, without a further `/`".to_owned());
    }
    for (name, value) in parameters() {
        let is_option = name.starts_with("options[") && name.ends_with(']');
        if !PARAMETERS.contains(&name) && !is_option {
            faults.push(unknown_parameter(name));
        } else if matches!(name, "sslmode" | "ssl-mode") && !SSL_MODES.contains(&value) {
            faults.push(format!("`{name}` is one of `{}`", SSL_MODES.join("`, `")));
        }
    }
    faults
}

/// Returns whether a `%` begins no character.
fn has_raw_percent(text: &str) -> bool {
    let digits = |rest: &str| {
        rest.as_bytes()
            .iter()
            .take(2)
            .filter(|digit| digit.is_ascii_hexdigit())
            .count()
    };
    text.split('%').skip(1).any(|rest| digits(rest) < 2)
}

fn unknown_parameter(name: &str) -> String {
    // Anything else may be a part of a password.
    let is_name = name.len() <= 40 && name.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, '-' | '_'));
    let known = PARAMETERS.join("`, `");
    if is_name {
        format!("`{name}` is not a parameter of it: there are `{known}`")
    } else {
        format!("a parameter is not known: there are `{known}`")
    }
}
