//! Lists of servers: `zk1:2181,[::1]:2181/chroot`.

use std::fmt;
use std::net::Ipv6Addr;

/// A server by host and port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Server {
    /// The host: a name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

/// Reads a list; all faults at once.
pub(super) fn parse_list(text: &str) -> Result<(Vec<Server>, Option<String>), Vec<String>> {
    if text.contains("://") {
        return Err(vec!["servers are written `host:port`, without a scheme".to_owned()]);
    }
    let (list, chroot) = match text.split_once('/') {
        Some((list, chroot)) => (list, Some(format!("/{}", chroot.trim()))),
        None => (text, None),
    };
    let mut faults = Vec::new();
    if list.contains(';') {
        return Err(vec!["servers are separated by commas, not by `;`".to_owned()]);
    }
    let mut servers = Vec::new();
    for piece in list.split(',').map(str::trim) {
        match parse(piece) {
            Ok(server) => servers.push(server),
            Err(fault) => faults.push(fault),
        }
    }
    if chroot
        .as_deref()
        .is_some_and(|path| path.len() < 2 || path.ends_with('/') || path.contains("//"))
    {
        faults.push("the path behind the servers is written `/name` or `/name/name`".to_owned());
    }
    if chroot.as_deref().is_some_and(|path| path.contains(',')) {
        faults.push("the path stands once, behind the last server".to_owned());
    }
    if faults.is_empty() {
        Ok((servers, chroot))
    } else {
        Err(faults)
    }
}

fn parse(server: &str) -> Result<Server, String> {
    if server.is_empty() {
        return Err("a server is missing before or after a comma".to_owned());
    }
    let (host, port) = match server.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest
                .split_once(']')
                .ok_or_else(|| format!("`{server}` lacks a closing bracket"))?;
            if host.parse::<Ipv6Addr>().is_err() {
                return Err(format!("`{host}` is not an IPv6 address"));
            }
            (host, port.strip_prefix(':'))
        }
        None if server.matches(':').count() > 1 => {
            return Err(format!(
                "`{server}` is not `host:port`; an IPv6 address stands in brackets: `[::1]:2181`"
            ));
        }
        None => server
            .split_once(':')
            .map_or((server, None), |(host, port)| (host, Some(port))),
    };
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    if host.is_empty() || !host.chars().all(is_name) {
        return Err(format!("`{server}` has no valid host: `host:2181` is expected"));
    }
    let port = port.ok_or_else(|| format!("`{server}` has no port: write `{server}:2181`"))?;
    match port.parse::<u16>() {
        Ok(number) if number > 0 => Ok(Server {
            host: host.to_owned(),
            port: number,
        }),
        _ => Err(format!(
            "`{server}` has no valid port: ports are 1 to 65535, not `{port}`"
        )),
    }
}
