//! Which address is ours.
//!
//! An instance is known by its IPv4 address: it names the instance's node and the server's, other members read
//! it, and operators look for it. So a machine should keep its address from start to start, and no two machines
//! should claim one. An address that is set explicitly is taken as it is. Otherwise one is [chosen](choose) from
//! the interfaces that are up, in an order that does not depend on how the system lists them.
//!
//! Start at [`NetworkSettings::check`], then [`Preferences::address`].

use std::io;
use std::net::Ipv4Addr;

use tracing::warn;

mod choice;
mod pattern;

use choice::{Interface, choose};
use pattern::AddressPattern;

/// What configuration says about our address, as texts. Nothing need be said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NetworkSettings {
    /// `elasticjob.network.ip`: the address itself, on this machine or not (behind NAT, in a container).
    pub(crate) ip: Option<String>,
    /// `elasticjob.network.preferred-interface`: take an address of this interface.
    pub(crate) preferred_interface: Option<String>,
    /// `elasticjob.network.preferred-ip`: take an address that fits this pattern.
    pub(crate) preferred_ip: Option<String>,
}

impl NetworkSettings {
    /// Checks the texts.
    ///
    /// # Errors
    /// All faults.
    pub(crate) fn check(&self) -> Result<Preferences, Vec<InvalidSetting>> {
        let mut faults = Vec::new();
        let ip = self
            .ip
            .as_deref()
            .and_then(|text| parse_ip(text).map_err(|fault| faults.push(fault)).ok());
        let pattern = self.preferred_ip.as_deref().and_then(|text| {
            let fault = InvalidSetting {
                setting: "network.preferred-ip",
                value: text.to_owned(),
                expected: "an address (10.0.1.7), the beginning of one (10.0.1. or 10.0.1.*), or a network (10.0.1.0/24); \
                           other regular expressions are not supported",
            };
            AddressPattern::parse(text).or_else(|| {
                faults.push(fault);
                None
            })
        });
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Preferences {
            ip,
            interface: self.preferred_interface.clone(),
            pattern,
        })
    }
}

fn parse_ip(text: &str) -> Result<Ipv4Addr, InvalidSetting> {
    let fault = || InvalidSetting {
        setting: "network.ip",
        value: text.to_owned(),
        expected: "the IPv4 address of one machine, such as 10.0.1.7",
    };
    let ip: Ipv4Addr = text.trim().parse().map_err(|_| fault())?;
    let is_of_one_machine = !ip.is_unspecified() && !ip.is_broadcast() && !ip.is_multicast();
    is_of_one_machine.then_some(ip).ok_or_else(fault)
}

/// A setting that says nothing we understand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid `elasticjob.{setting}` `{value}`: expected {expected}")]
pub(crate) struct InvalidSetting {
    pub(crate) setting: &'static str,
    pub(crate) value: String,
    pub(crate) expected: &'static str,
}

/// What our address should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Preferences {
    ip: Option<Ipv4Addr>,
    interface: Option<String>,
    pattern: Option<AddressPattern>,
}

impl Preferences {
    /// Our address. Falls back to the loopback address, with a warning, on a machine that has no other.
    ///
    /// # Errors
    /// [`NoAddress`] when no interface is as preferred, or the system does not tell its interfaces.
    pub(crate) fn address(&self) -> Result<Ipv4Addr, NoAddress> {
        if let Some(ip) = self.ip {
            return Ok(ip);
        }
        let ip = choose(&interfaces()?, self)?;
        if ip.is_loopback() && *self == Self::default() {
            warn!(%ip, "no network interface, using the loopback address: instances on other machines will clash");
        }
        Ok(ip)
    }
}

/// Why there is no address that we could use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAddress {
    /// The system does not tell.
    #[error("cannot list the network interfaces of this machine")]
    Unlisted(#[source] io::Error),
    /// No interface has the name asked for.
    #[error("no network interface `{name}` (`elasticjob.network.preferred-interface`): there are {present}")]
    Interface {
        /// The name asked for.
        name: String,
        /// What there is.
        present: String,
    },
    /// No address fits the pattern.
    #[error("no address fits `{pattern}` (`elasticjob.network.preferred-ip`): there are {present}")]
    Pattern {
        /// The pattern asked for.
        pattern: String,
        /// What there is.
        present: String,
    },
}

/// The name of this machine, for people; `unknown` where it has none.
pub(crate) fn host_name() -> String {
    let name = gethostname::gethostname().to_string_lossy().into_owned();
    if name.is_empty() { "unknown".to_owned() } else { name }
}

/// The interfaces that are up, once for each of their IPv4 addresses.
fn interfaces() -> Result<Vec<Interface>, NoAddress> {
    let all = if_addrs::get_if_addrs().map_err(NoAddress::Unlisted)?;
    let usable = all
        .into_iter()
        .filter(if_addrs::Interface::is_oper_up)
        .filter_map(|interface| match interface.addr {
            if_addrs::IfAddr::V4(address) => Some(Interface {
                name: interface.name,
                index: interface.index,
                ip: address.ip,
            }),
            if_addrs::IfAddr::V6(_) => None,
        });
    Ok(usable.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(ip: Option<&str>, preferred_ip: Option<&str>) -> NetworkSettings {
        NetworkSettings {
            ip: ip.map(str::to_owned),
            preferred_interface: None,
            preferred_ip: preferred_ip.map(str::to_owned),
        }
    }

    #[test]
    fn prefers_a_set_address() {
        let preferences = settings(Some(" 203.0.113.9 "), Some("10.")).check().unwrap();
        assert_eq!(preferences.address().unwrap(), Ipv4Addr::new(203, 0, 113, 9));
    }

    #[test]
    fn every_setting_that_says_nothing_should_be_reported() {
        let faults = settings(Some("::1"), Some("10.(1|2).*")).check().unwrap_err();
        let faults: Vec<_> = faults.iter().map(InvalidSetting::to_string).collect();
        assert_eq!(
            faults,
            [
                "invalid `elasticjob.network.ip` `::1`: expected the IPv4 address of one machine, such as 10.0.1.7",
                "invalid `elasticjob.network.preferred-ip` `10.(1|2).*`: expected an address (10.0.1.7), the beginning \
                 of one (10.0.1. or 10.0.1.*), or a network (10.0.1.0/24); other regular expressions are not supported",
            ]
        );
    }

    #[test]
    fn an_address_of_no_single_machine_should_be_refused() {
        for ip in ["0.0.0.0", "255.255.255.255", "224.0.0.1"] {
            assert!(settings(Some(ip), None).check().is_err(), "{ip}");
        }
    }

    #[test]
    fn this_machine_should_have_an_address_and_a_name() {
        let ip = Preferences::default().address().unwrap();
        assert!(!ip.is_unspecified());
        assert!(!host_name().is_empty());
    }
}
