//! Where the cluster is, and where on it we are. Pure.
//!
//! `etcd://user:password@host:2379,host2:2379`, or `etcds://` for TLS. All faults are reported at once, and none of them shows the
//! password.

use crate::registry::{Error, path};

use super::keys::MARK;

const DEFAULT_PORT: u16 = 2379;

/// Longer namespaces would spoil the arithmetic of [`size_of`](crate::registry::size_of): a key stands in a request up to four times.
const MAX_NAMESPACE_LENGTH: usize = 100;

/// Checked.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// `host:port`, in the order given.
    pub(super) servers: Vec<String>,
    pub(super) is_encrypted: bool,
    pub(super) user: Option<(String, String)>,
    /// An absolute path, `/` for none.
    pub(super) namespace: String,
}

impl Address {
    pub(super) fn parse(url: &str, namespace: &str) -> Result<Self, Error> {
        let mut faults = Vec::new();
        let (is_encrypted, rest) = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("etcd") => (false, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("etcds") => (true, rest),
            _ => {
                return Err(Error::InvalidArgument(
                    "`etcd://host:2379,host2:2379` is expected, or `etcds://` for TLS".to_owned(),
                ));
            }
        };
        // A password may have an at sign, a host none.
        let (user, servers) = match rest.rsplit_once('@') {
            Some((user, servers)) => (Some(user), servers),
            None => (None, rest),
        };
        let user = user.and_then(|user| parse_user(user).map_err(|fault| faults.push(fault)).ok());
        let servers = match servers.trim_end_matches('/').split_once('/') {
            Some((servers, _)) => {
                faults.push("nothing is expected behind the servers: a `/` in a password is written `%2F`".to_owned());
                servers
            }
            None => servers.trim_end_matches('/'),
        };
        let servers = servers
            .split(',')
            .zip(1..)
            .map(|(server, number)| parse_server(server.trim(), number))
            .filter_map(|server| server.map_err(|fault| faults.push(fault)).ok())
            .collect();
        let namespace = path::namespace(namespace);
        faults.extend(path::faults_of_namespace(&namespace, MAX_NAMESPACE_LENGTH));
        if namespace.split('/').any(|part| part.starts_with(MARK)) {
            faults.push(format!("namespace `{namespace}`: no part may begin with `{MARK}`"));
        }
        if !faults.is_empty() {
            return Err(Error::InvalidArgument(faults.join("; ")));
        }
        Ok(Self {
            servers,
            is_encrypted,
            user,
            namespace,
        })
    }
}

fn parse_user(user: &str) -> Result<(String, String), String> {
    let (name, password) = user
        .split_once(':')
        .ok_or("the user has no password: `etcd://user:password@host:2379`")?;
    let [name, password] = [name, password].map(unescape);
    match (name, password) {
        (Some(name), Some(password)) if !name.is_empty() => Ok((name, password)),
        _ => {
            Err("the user or the password has a `%` that no two hexadecimal digits follow, or the user is empty".into())
        }
    }
}

/// Takes `%40` for an at sign, and the like.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        let digits = after
            .get(..2)
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &after[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

/// No fault shows the text: it may be a user and a password that no `@` follows.
fn parse_server(server: &str, number: u32) -> Result<String, String> {
    let (host, port) = match server.rsplit_once(':') {
        // The colons of a bare IPv6 address in brackets are its own.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (server, None),
    };
    let is_bracketed = host.starts_with('[') && host.ends_with(']');
    let is_odd = |character: char| character.is_whitespace() || "/?#%;".contains(character);
    if host.is_empty() || host.contains(is_odd) || (host.contains(':') && !is_bracketed) {
        return Err(format!(
            "server {number} of the list: expected host:port, IPv6 addresses in brackets, separated by commas"
        ));
    }
    let port = match port {
        None => DEFAULT_PORT,
        Some(text) => match text.parse() {
            Ok(port) if port > 0 => port,
            _ => {
                return Err(format!(
                    "server {number} of the list: its port is not a number of 1-65535"
                ));
            }
        },
    };
    Ok(format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> String {
        match Address::parse(url, "shop") {
            Ok(address) => {
                let user = address.user.map(|(name, password)| format!("{name} {password} at "));
                let scheme = if address.is_encrypted { "tls " } else { "" };
                format!(
                    "{scheme}{}{} {}",
                    user.unwrap_or_default(),
                    address.servers.join(","),
                    address.namespace
                )
            }
            Err(error) => error.to_string(),
        }
    }

    mod urls {
        use super::*;

        #[test]
        fn say_servers_user_and_encryption() {
            for (url, expected) in [
                ("etcd://a", "a:2379 /shop"),
                ("etcd://a:1, b:2/", "a:1,b:2 /shop"),
                ("ETCDS://[::1],[::2]:7", "tls [::1]:2379,[::2]:7 /shop"),
                ("etcd://root:p%40:s@a", "root p@:s at a:2379 /shop"),
                ("etcd://%E4%BB%BB:@a", "任  at a:2379 /shop"),
            ] {
                assert_eq!(read(url), expected, "{url}");
            }
        }

        #[test]
        fn are_refused_with_all_faults_and_without_the_password() {
            for (url, expected) in [
                ("http://a", "`etcd://host:2379,host2:2379` is expected"),
                ("etcd://", "server 1 of the list: expected host:port"),
                (
                    "etcd://a:0,b:x",
                    "server 1 of the list: its port is not a number of 1-65535; server 2 of the list: its port",
                ),
                ("etcd://a,::1", "server 2 of the list: expected host:port"),
                ("etcd://a/shop", "nothing is expected behind the servers"),
                ("etcd://root@a", "the user has no password"),
                (
                    "etcd://root:s3cret%@a:0",
                    "two hexadecimal digits follow, or the user is empty; server 1 of the list",
                ),
            ] {
                let found = read(url);
                assert!(found.contains(expected), "{url}: {found}");
                assert!(!found.contains("s3cret"), "{found}");
            }
            for (namespace, expected) in [("a/=b", "no part may begin with `=`"), ("a//b", "namespace: path")] {
                let found = Address::parse("etcd://a", namespace).map(drop).unwrap_err().to_string();
                assert!(found.contains(expected), "{found}");
            }
        }
    }
}
