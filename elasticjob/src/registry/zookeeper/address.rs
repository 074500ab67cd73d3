//! Where the ensemble is, and where on it we are.
//!
//! The form is that of ZooKeeper's connect string, `host:port,host:port/root`. All faults of it are reported at once.

use crate::registry::{Error, path};

const DEFAULT_PORT: u16 = 2181;

/// Longer namespaces would spoil the arithmetic of [`size_of`](crate::registry::size_of).
const MAX_NAMESPACE_LENGTH: usize = 100;

/// Checked: the client takes blanks and semicolons for parts of a host's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// `host:port`, in the order given.
    servers: Vec<String>,
    /// The path behind the servers, `/` for none.
    pub(super) chroot: String,
    /// The whole path, with that of the chroot; `/` for none.
    pub(super) namespace: String,
}

impl Address {
    /// Reads a connect string and a namespace. The root of the former and the latter together are the path of the
    /// namespace.
    pub(super) fn parse(servers: &str, namespace: &str) -> Result<Self, Error> {
        let mut faults = Vec::new();
        let (servers, root) = match servers.split_once('/') {
            Some((servers, root)) => (servers, root),
            None => (servers, ""),
        };
        let servers = servers
            .split(',')
            .map(|server| parse_server(server.trim()))
            .filter_map(|server| server.map_err(|fault| faults.push(fault)).ok())
            .collect();
        let chroot = join(root.trim(), "");
        let namespace = join(root.trim(), namespace.trim());
        faults.extend(path::faults_of_namespace(&namespace, MAX_NAMESPACE_LENGTH));
        if !faults.is_empty() {
            return Err(Error::InvalidArgument(faults.join("; ")));
        }
        Ok(Self {
            servers,
            chroot,
            namespace,
        })
    }

    /// The servers, each as `host:port`.
    pub(super) fn list(&self) -> &[String] {
        &self.servers
    }

    /// The servers in one text, for logs and errors.
    pub(super) fn servers(&self) -> String {
        self.servers.join(",")
    }
}

fn parse_server(server: &str) -> Result<String, String> {
    let (host, port) = match server.rsplit_once(':') {
        // The colons of a bare IPv6 address in brackets are its own.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (server, None),
    };
    let is_bracketed = host.starts_with('[') && host.ends_with(']');
    if host.is_empty() || host.contains([' ', '\t', ';']) || (host.contains(':') && !is_bracketed) {
        return Err(format!(
            "server `{server}`: expected host:port, IPv6 addresses in brackets, separated by commas"
        ));
    }
    let port = match port {
        None => DEFAULT_PORT,
        Some(text) => match text.parse() {
            Ok(port) if port > 0 => port,
            _ => return Err(format!("server `{server}`: port `{text}` is not a number of 1-65535")),
        },
    };
    Ok(format!("{host}:{port}"))
}

/// Returns the absolute path of a namespace below a root; either may be empty.
fn join(root: &str, namespace: &str) -> String {
    let parts = [root, namespace].map(|part| part.trim_matches('/'));
    format!(
        "/{}",
        parts
            .iter()
            .filter(|part| !part.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join("/")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(servers: &str, namespace: &str, expected: &str) {
        let address = Address::parse(servers, namespace);
        let found = match &address {
            Ok(address) => format!("{} {}", address.servers(), address.namespace),
            Err(error) => error.to_string(),
        };
        assert!(found.contains(expected), "{servers:?} {namespace:?}: {found}");
    }

    #[test]
    fn addresses_should_be_read_as_java_reads_them() {
        check("localhost", "", "localhost:2181 /");
        check(" a:1 , b:2,c", "shop", "a:1,b:2,c:2181 /shop");
        check("[::1]:7,[::2]", "/shop/orders/", "[::1]:7,[::2]:2181 /shop/orders");
        check("a:1,b:2/chroot", "shop", "a:1,b:2 /chroot/shop");
    }

    #[test]
    fn names_all_faults_of_an_address() {
        for (servers, namespace, expected) in [
            ("", "a", "server ``: expected host:port"),
            ("a:1;b:2", "a", "server `a:1;b:2`"),
            ("a:x", "a", "port `x` is not a number of 1-65535"),
            ("a:0", "a", "port `0`"),
            ("::1:7", "a", "IPv6 addresses in brackets"),
            ("a:70000,,b", "a//b", "port `70000`"),
            ("a:70000,,b", "a//b", "server ``"),
            ("a:70000,,b", "a//b", "namespace: path `/a//b`"),
            ("a", &"x".repeat(101), "has 102 bytes, at most 100"),
        ] {
            check(servers, namespace, expected);
        }
    }
}
