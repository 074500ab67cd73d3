use std::fmt;
use std::net::Ipv4Addr;

/// Matches the addresses that are preferred.
///
/// Java takes the beginning of an address or a regular expression. Of those the usual ones are understood,
/// `192\.168\..*` and `192.168.*`: a beginning, and anything after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AddressPattern {
    /// This address alone.
    Exact(Ipv4Addr),
    /// Addresses with a text that begins so.
    Beginning(String),
    /// Addresses that begin with these bits.
    Network { address: Ipv4Addr, bits: u32 },
}

impl AddressPattern {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some((address, bits)) = text.split_once('/') {
            let bits = bits.parse().ok().filter(|bits| *bits <= 32)?;
            return Some(Self::Network {
                address: address.parse().ok()?,
                bits,
            });
        }
        if let Ok(address) = text.parse() {
            return Some(Self::Exact(address));
        }
        let plain = text.replace("\\.", ".");
        // The dot before the star is kept: `10.1.*` is not to fit 10.10.0.1, though strictly Java's would.
        let beginning = match plain.strip_suffix('*') {
            Some(beginning) => beginning
                .strip_suffix("..")
                .map_or_else(|| beginning.to_owned(), |one| format!("{one}.")),
            None => plain,
        };
        let is_plain = beginning.starts_with(|c: char| c.is_ascii_digit())
            && beginning.chars().all(|c| c.is_ascii_digit() || c == '.');
        is_plain.then_some(Self::Beginning(beginning))
    }

    pub(super) fn fits(&self, ip: Ipv4Addr) -> bool {
        match self {
            Self::Exact(address) => *address == ip,
            Self::Beginning(beginning) => ip.to_string().starts_with(beginning),
            Self::Network { address, bits } => {
                let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
                ip.to_bits() & mask == address.to_bits() & mask
            }
        }
    }
}

impl fmt::Display for AddressPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(address) => write!(f, "{address}"),
            Self::Beginning(beginning) => write!(f, "{beginning}*"),
            Self::Network { address, bits } => write!(f, "{address}/{bits}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, fitting: &[&str], others: &[&str]) {
        let parsed = AddressPattern::parse(pattern).unwrap();
        for ip in fitting {
            assert!(parsed.fits(ip.parse().unwrap()), "{pattern} should fit {ip}");
        }
        for ip in others {
            assert!(!parsed.fits(ip.parse().unwrap()), "{pattern} should not fit {ip}");
        }
    }

    #[test]
    fn a_whole_address_should_fit_itself_alone() {
        check("10.0.0.1", &["10.0.0.1"], &["10.0.0.10", "10.0.0.2"]);
    }

    #[test]
    fn a_beginning_should_fit_as_text() {
        check("10.0.", &["10.0.3.4"], &["10.1.0.0", "110.0.0.1"]);
        check("10.1", &["10.1.0.0", "10.10.0.0"], &["10.2.0.0"]);
    }

    #[test]
    fn matches_the_usual_patterns_as_java_does() {
        for pattern in ["192.168.*", r"192\.168\..*", "192.168..*"] {
            check(pattern, &["192.168.0.1", "192.168.255.1"], &["192.169.0.1", "10.0.0.1"]);
        }
        check("10.1.*", &["10.1.0.1"], &["10.10.0.1"]);
    }

    #[test]
    fn a_network_should_fit_by_its_bits() {
        check(
            "172.16.0.0/12",
            &["172.16.0.1", "172.31.255.255"],
            &["172.32.0.0", "172.15.0.0"],
        );
        check("10.0.1.7/24", &["10.0.1.1"], &["10.0.2.1"]);
        check("10.0.1.7/32", &["10.0.1.7"], &["10.0.1.6"]);
        check("0.0.0.0/0", &["10.0.1.7", "255.255.255.255"], &[]);
    }

    #[test]
    fn other_expressions_should_not_be_understood() {
        for text in [
            "",
            "*",
            "10.(1|2).*",
            "10.[0-9]+",
            "eth0",
            "::1",
            "10.0.0.0/33",
            "10.0/16",
            ".0.1",
        ] {
            assert_eq!(AddressPattern::parse(text), None, "{text}");
        }
    }
}
