//! Lists of servers, as ZooKeeper's own client reads them: `zk1:2181,[::1]:2181/chroot`.

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

/// The port of a server that names none.
const PORT: u16 = 2181;

/// Reads a list; all faults at once. Blanks around a server, a comma at an end and a `/` without a name do not matter.
pub(super) fn parse_list(text: &str) -> Result<(Vec<Server>, Option<String>), Vec<String>> {
    if text.contains("://") {
        return Err(vec!["servers are written `host:port`, without a scheme".to_owned()]);
    }
    let (list, chroot) = match text.split_once('/') {
        Some((list, chroot)) => (list, Some(chroot.trim()).filter(|chroot| !chroot.is_empty())),
        None => (text, None),
    };
    let chroot = chroot.map(|chroot| format!("/{chroot}"));
    let mut faults = Vec::new();
    if list.contains(';') {
        return Err(vec!["servers are separated by commas, not by `;`".to_owned()]);
    }
    let mut servers = Vec::new();
    for piece in list.split(',').map(str::trim).filter(|piece| !piece.is_empty()) {
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
    if servers.is_empty() && faults.is_empty() {
        faults.push("no server is named: `host:2181` is expected".to_owned());
    }
    if faults.is_empty() {
        Ok((servers, chroot))
    } else {
        Err(faults)
    }
}

fn parse(server: &str) -> Result<Server, String> {
    let (host, port) = match server.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest
                .split_once(']')
                .ok_or_else(|| format!("`{server}` lacks a closing bracket"))?;
            if !is_ipv6_address(host) {
                return Err(format!("`{host}` is not an IPv6 address"));
            }
            match port.strip_prefix(':') {
                None if !port.is_empty() => return Err(format!("`{server}` is not `[address]:port`")),
                port => (host, port),
            }
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
    let Some(port) = port else {
        return Ok(Server {
            host: host.to_owned(),
            port: PORT,
        });
    };
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

/// Whether this is an address, with or without the zone that a link-local one needs: `fe80::1%eth0`.
fn is_ipv6_address(host: &str) -> bool {
    let (address, zone) = host
        .split_once('%')
        .map_or((host, None), |(address, zone)| (address, Some(zone)));
    let is_of_zone = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    address.parse::<Ipv6Addr>().is_ok() && zone.is_none_or(|zone| !zone.is_empty() && zone.chars().all(is_of_zone))
}
