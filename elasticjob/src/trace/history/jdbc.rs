//! The URLs of Java's drivers.
//!
//! They are translated and not used: parameters that change who is connected to and how safely are carried over by
//! their meaning, and all others are listed as ignored. A TLS mode that is not known is a fault, because a weaker one
//! must not be taken for it.

use super::database::InvalidDatabase;

/// A URL as we write it, and the parameters that mean nothing here.
#[derive(Debug)]
pub(super) struct Translated {
    pub(super) url: String,
    pub(super) ignored: Vec<String>,
}

/// Translates what stands behind `jdbc:`.
pub(super) fn translate(url: &str) -> Result<Translated, InvalidDatabase> {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let (scheme, place) = address.split_once(':').unwrap_or((address, ""));
    if scheme == "sqlite" {
        return Ok(Translated {
            url: format!("sqlite:{place}"),
            ignored: query.split('&').filter_map(name).collect(),
        });
    }
    let (mut user, mut password) = ("", None);
    let (mut parameters, mut ignored) = (Vec::new(), Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        match (scheme, key, value) {
            (_, "user", _) => user = value,
            (_, "password", _) => password = Some(value),
            ("postgresql", "ssl", "true" | "") => parameters.push("sslmode=verify-full".to_owned()),
            ("postgresql", "sslmode" | "sslrootcert" | "sslcert" | "sslkey", _) => parameters.push(pair.to_owned()),
            ("postgresql", "currentSchema", _) => {
                parameters.push(format!("options=-c%20search_path%3D{value}"));
            }
            ("postgresql", "ApplicationName", _) => parameters.push(format!("application_name={value}")),
            ("mysql" | "mariadb", "useSSL" | "useSsl", "false") => parameters.push("ssl-mode=DISABLED".to_owned()),
            ("mysql" | "mariadb", "useSSL" | "useSsl" | "requireSSL", "true") => {
                parameters.push("ssl-mode=REQUIRED".to_owned());
            }
            ("mysql" | "mariadb", "sslMode", _) => parameters.push(format!("ssl-mode={}", ssl_mode(value)?)),
            _ => ignored.push(key.to_owned()),
        }
    }
    let url = match (address.split_once("://"), user, password) {
        (Some((scheme, place)), "", None) => format!("{scheme}://{place}"),
        (Some((scheme, place)), user, None) => format!("{scheme}://{user}@{place}"),
        (Some((scheme, place)), user, Some(password)) => format!("{scheme}://{user}:{password}@{place}"),
        // Java takes the local server for one that is not named.
        (None, ..) => format!("{scheme}://localhost/{place}"),
    };
    let is_known = matches!(scheme, "postgresql" | "mysql" | "mariadb");
    let query = if parameters.is_empty() {
        String::new()
    } else {
        format!("?{}", parameters.join("&"))
    };
    Ok(Translated {
        url: if is_known { url + &query } else { format!("{scheme}:") },
        ignored,
    })
}

/// Returns the name of a parameter.
fn name(pair: &str) -> Option<String> {
    let key = pair.split('=').next()?;
    (!key.is_empty()).then(|| key.to_owned())
}

/// How MySQL's and MariaDB's drivers call the same.
fn ssl_mode(value: &str) -> Result<&'static str, InvalidDatabase> {
    let canonical = value.to_ascii_lowercase().replace('_', "-");
    match canonical.as_str() {
        "disabled" | "disable" => Ok("DISABLED"),
        "preferred" => Ok("PREFERRED"),
        "required" | "trust" => Ok("REQUIRED"),
        "verify-ca" => Ok("VERIFY_CA"),
        "verify-identity" | "verify-full" => Ok("VERIFY_IDENTITY"),
        _ => Err(InvalidDatabase(format!("unknown `sslMode` `{value}`"))),
    }
}
