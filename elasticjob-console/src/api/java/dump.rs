//! Dumps: what a member says of a job at its dump port.
//!
//! The address and the port are given by the caller, so this could be used to reach any service that this host reaches. It connects only
//! to the address of a live instance of the job, written as the registry has it, and to a port for dumps; and each failure says the
//! same.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::Path;
use elasticjob::operation::{DumpLimits, dump_within};

use super::Caller;
use super::envelope::{Failure, Model, Reply};

/// The port of dumps that members have by default.
const PORT: u16 = 9888;

/// How long it may take to connect.
const CONNECT: Duration = Duration::from_secs(2);

/// Most bytes of a dump.
const MOST: u64 = 8 * 1024 * 1024;

/// What is said of any dump that cannot be had.
const SILENCE: &str = "the dump port did not answer";

/// The visitors that wait for a dump: each for one at a time. A std mutex: never held across an await.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dumps(Arc<Mutex<HashSet<String>>>);

/// That a visitor waits for a dump.
struct Waiting {
    dumps: Dumps,
    visitor: String,
}

impl Dumps {
    fn enter(&self, visitor: &str) -> Option<Waiting> {
        let mut visitors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        visitors.insert(visitor.to_owned()).then(|| Waiting {
            dumps: self.clone(),
            visitor: visitor.to_owned(),
        })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut visitors = self.dumps.0.lock().unwrap_or_else(PoisonError::into_inner);
        visitors.remove(&self.visitor);
    }
}

/// Answers with the dump, or with [`SILENCE`] in its place.
pub(super) async fn dump(caller: Caller, Path((server, port, job)): Path<(String, String, String)>) -> Reply<String> {
    let wrong = || Failure::argument("no instance of this job has such a dump port");
    let address = address(&server, &port).ok_or_else(wrong)?;
    let _waiting = (caller.site.dumps)
        .enter(caller.visitor.name())
        .ok_or_else(|| Failure::refused("you wait for another dump"))?;
    let jobs = caller.operations().java_jobs_on(&server, |name| name == job).await?;
    if !jobs.iter().any(|found| found.instance_count > 0) {
        return Err(wrong());
    }
    let mut limits = DumpLimits::default();
    (limits.connect, limits.bytes) = (CONNECT, MOST);
    let dump = dump_within(address, &job, limits).await;
    Ok(Model(dump.unwrap_or_else(|_| SILENCE.to_owned())))
}

/// Returns where to connect; `None` for what is not the plain address of another host, or not a port for dumps.
fn address(server: &str, port: &str) -> Option<SocketAddr> {
    let ip: IpAddr = server.parse().ok().filter(is_of_another_host)?;
    let port: u16 = port.parse().ok().filter(|port| *port == PORT)?;
    Some(SocketAddr::new(ip, port))
}

fn is_of_another_host(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_of_another_v4(*ip),
        IpAddr::V6(ip) => is_of_another_v6(*ip),
    }
}

fn is_of_another_v4(ip: Ipv4Addr) -> bool {
    let is_this_network = ip.octets()[0] == 0;
    !(ip.is_loopback() || ip.is_link_local() || ip.is_multicast() || ip.is_broadcast() || is_this_network)
}

/// Addresses that hold one of version 4 are refused whole: a host writes none.
fn is_of_another_v6(ip: Ipv6Addr) -> bool {
    let holds_v4 = ip.to_ipv4().is_some() || ip.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    !(ip.is_loopback() || ip.is_unspecified() || ip.is_unicast_link_local() || ip.is_multicast() || holds_v4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_asked_of_plain_addresses_alone() {
        for ip in ["10.0.0.7", "192.0.2.1", "2001:db8::7", "fd00::1"] {
            assert!(address(ip, "9888").is_some(), "{ip}");
        }
        for ip in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.0.0.1",
            "0177.0.0.1",
            "0",
            "0.0.0.0",
            "localhost",
            "member-1",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.7",
            "::10.0.0.7",
            "64:ff9b::10.0.0.7",
            "fe80::1",
            "ff02::1",
            "[2001:db8::7]",
            "10.0.0.7:22",
            "10.0.0.7 ",
            "",
        ] {
            assert_eq!(address(ip, "9888"), None, "{ip}");
        }
        for port in ["22", "0", "9889", "+9888", "09888", "99999", ""] {
            let is_port = address("10.0.0.7", port).is_some();
            assert!(!is_port || port.parse() == Ok(PORT), "{port}");
        }
        assert_eq!(address("10.0.0.7", "22"), None);
    }

    #[test]
    fn is_asked_one_at_a_time() {
        let dumps = Dumps::default();
        let waiting = dumps.enter("mei").expect("the first");
        assert!(dumps.enter("mei").is_none());
        assert!(dumps.enter("li").is_some());
        drop(waiting);
        assert!(dumps.enter("mei").is_some());
    }
}
