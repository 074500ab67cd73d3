//! The address from which a request came.

use std::net::IpAddr;

use axum::http::header::{HeaderMap, HeaderName};
use elasticjob::configuration::sources::Network;

/// The address of the other end of a connection, in the extensions of its requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The address of our end of a connection, in the extensions of its requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local(pub(crate) IpAddr);

const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Returns the address from which a request came: that of the socket, or if a trusted proxy has it, the one that the proxy names. Proxies
/// append to the header, so it is read from the right, up to the first address that is no trusted proxy: what stands before it anyone may
/// have written.
pub(crate) fn of(socket: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut peer = socket.to_canonical();
    let lines: Vec<&str> = headers
        .get_all(FORWARDED)
        .iter()
        .map(|value| value.to_str().unwrap_or_default())
        .collect();
    let hops = lines.iter().rev().flat_map(|line| line.rsplit(','));
    for hop in hops {
        if !is_trusted(peer) {
            break;
        }
        match hop.trim().parse::<IpAddr>() {
            Ok(address) => peer = address.to_canonical(),
            Err(_) => break,
        }
    }
    peer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_believed_of_trusted_proxies_alone() {
        let trusted = [Network::parse("10.0.0.0/8").unwrap(), Network::parse("::1").unwrap()];
        for (socket, forwarded, expected) in [
            ("1.2.3.4", &["9.9.9.9"][..], "1.2.3.4"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["9.9.9.9"], "9.9.9.9"),
            ("::ffff:10.0.0.1", &["9.9.9.9"], "9.9.9.9"),
            // The first is what the visitor wrote.
            ("10.0.0.1", &["127.0.0.1, 9.9.9.9"], "9.9.9.9"),
            ("10.0.0.1", &["127.0.0.1", "9.9.9.9, 10.0.0.2"], "9.9.9.9"),
            ("::1", &["2001:db8::1"], "2001:db8::1"),
            ("10.0.0.1", &["9.9.9.9, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ] {
            let mut headers = HeaderMap::new();
            for line in forwarded {
                headers.append(FORWARDED, line.parse().unwrap());
            }
            let peer = of(socket.parse().unwrap(), &headers, &trusted);
            assert_eq!(peer, expected.parse::<IpAddr>().unwrap(), "{socket} {forwarded:?}");
        }
    }
}
