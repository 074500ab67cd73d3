use std::net::Ipv4Addr;

use super::{NoAddress, Preferences};

/// Interfaces that container engines and hypervisors make. Their addresses are the same on many machines.
const INTERNAL: [&str; 9] = [
    "docker", "br-", "veth", "virbr", "vmnet", "vboxnet", "cni", "flannel", "podman",
];

/// An address of an interface that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) name: String,
    /// The system's number of the interface, which grows as they are added.
    pub(super) index: Option<u32>,
    pub(super) ip: Ipv4Addr,
}

/// How little an address is wanted. Earlier is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Usual,
    Internal,
    LinkLocal,
    Loopback,
}

impl Interface {
    fn rank(&self) -> Rank {
        if self.ip.is_loopback() {
            return Rank::Loopback;
        }
        if self.ip.is_link_local() {
            return Rank::LinkLocal;
        }
        let is_internal = INTERNAL.iter().any(|prefix| self.name.starts_with(prefix));
        if is_internal { Rank::Internal } else { Rank::Usual }
    }
}

/// Chooses our address: as preferred, then the first of the interface that was added first, and one that only
/// this machine may know only where there is no other.
///
/// The order of the interfaces does not matter. Without any, and without preferences, it is 127.0.0.1.
pub(super) fn choose(interfaces: &[Interface], preferences: &Preferences) -> Result<Ipv4Addr, NoAddress> {
    let mut candidates: Vec<_> = interfaces
        .iter()
        .filter(|interface| !interface.ip.is_unspecified())
        .collect();
    let present = list(&candidates);

    if let Some(name) = &preferences.interface {
        candidates.retain(|interface| interface.name == *name);
        if candidates.is_empty() {
            return Err(NoAddress::Interface {
                name: name.clone(),
                present,
            });
        }
    }
    if let Some(pattern) = &preferences.pattern {
        candidates.retain(|interface| pattern.fits(interface.ip));
        if candidates.is_empty() {
            return Err(NoAddress::Pattern {
                pattern: pattern.to_string(),
                present,
            });
        }
    }

    let order = |interface: &&Interface| (interface.rank(), interface.index, interface.name.clone(), interface.ip);
    Ok(candidates
        .into_iter()
        .min_by_key(order)
        .map_or(Ipv4Addr::LOCALHOST, |interface| interface.ip))
}

fn list(interfaces: &[&Interface]) -> String {
    if interfaces.is_empty() {
        return "none".to_owned();
    }
    let mut texts: Vec<_> = interfaces
        .iter()
        .map(|interface| format!("{} ({})", interface.name, interface.ip))
        .collect();
    texts.sort();
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::NetworkSettings;
    use super::*;

    fn interface(name: &str, index: u32, ip: &str) -> Interface {
        Interface {
            name: name.to_owned(),
            index: Some(index),
            ip: ip.parse().unwrap(),
        }
    }

    fn machine() -> Vec<Interface> {
        vec![
            interface("lo", 1, "127.0.0.1"),
            interface("docker0", 2, "172.17.0.1"),
            interface("eth1", 4, "10.9.0.5"),
            interface("eth0", 3, "192.168.7.2"),
            interface("eth0", 3, "192.168.7.20"),
        ]
    }

    fn preferences(preferred_interface: Option<&str>, preferred_ip: Option<&str>) -> Preferences {
        let settings = NetworkSettings {
            ip: None,
            preferred_interface: preferred_interface.map(str::to_owned),
            preferred_ip: preferred_ip.map(str::to_owned),
        };
        settings.check().unwrap()
    }

    fn check(interface: Option<&str>, ip: Option<&str>, expect: &str) {
        assert_eq!(
            choose(&machine(), &preferences(interface, ip)).unwrap().to_string(),
            expect
        );
    }

    #[test]
    fn takes_the_first_usual_interface_by_default() {
        check(None, None, "192.168.7.2");
    }

    #[test]
    fn meets_preferences_by_unusual_addresses() {
        check(Some("eth1"), None, "10.9.0.5");
        check(Some("docker0"), None, "172.17.0.1");
        check(Some("lo"), None, "127.0.0.1");
        check(None, Some("10.9.0.0/16"), "10.9.0.5");
        check(None, Some("127."), "127.0.0.1");
        check(Some("eth0"), Some("192.168.7.20"), "192.168.7.20");
    }

    #[test]
    fn refuses_unmet_preferences_with_the_addresses() {
        let there_are = "there are docker0 (172.17.0.1), eth0 (192.168.7.2), eth0 (192.168.7.20), eth1 (10.9.0.5), \
                         lo (127.0.0.1)";
        let error = choose(&machine(), &preferences(Some("wlan0"), None))
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            format!("no network interface `wlan0` (`elasticjob.network.preferred-interface`): {there_are}")
        );
        let error = choose(&machine(), &preferences(Some("eth1"), Some("192.168.*")))
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            format!("no address fits `192.168.*` (`elasticjob.network.preferred-ip`): {there_are}")
        );
        assert!(choose(&[], &preferences(Some("eth0"), None)).is_err());
    }

    #[test]
    fn takes_a_local_address_as_the_last_resort() {
        let take = |interfaces: &[Interface]| choose(interfaces, &Preferences::default()).unwrap().to_string();
        let mut interfaces = vec![interface("lo", 1, "127.0.0.2")];
        assert_eq!(take(&interfaces), "127.0.0.2");
        interfaces.push(interface("eth0", 2, "169.254.3.3"));
        assert_eq!(take(&interfaces), "169.254.3.3");
        interfaces.push(interface("br-12af", 3, "172.18.0.1"));
        assert_eq!(take(&interfaces), "172.18.0.1");
        interfaces.push(interface("eth1", 4, "10.0.0.9"));
        assert_eq!(take(&interfaces), "10.0.0.9");
        assert_eq!(take(&[]), "127.0.0.1");
    }

    proptest! {
        #[test]
        fn ignores_the_order_of_interfaces(
            interfaces in Just(machine()).prop_shuffle(),
        ) {
            let chosen = choose(&interfaces, &Preferences::default()).unwrap();
            prop_assert_eq!(chosen, Ipv4Addr::new(192, 168, 7, 2));
        }
    }
}
