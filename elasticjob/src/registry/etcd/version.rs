//! Which servers may end a lease that is kept alive. Pure.
//!
//! A leader that stands still, at a slow disk for instance, takes itself for the leader until it goes on. Then it ends the leases that
//! were kept alive at its successor (etcd-io/etcd#15247). Versions since 3.4.31, 3.5.13 and 3.6 refuse that.

/// Returns whether a server of this version may do so. A version that cannot be read is taken for a newer one.
pub(super) fn is_before_fix(version: &str) -> bool {
    let release = version.split(['-', '+']).next().unwrap_or_default();
    let mut numbers = release.split('.').map(|number| number.parse::<u32>().ok());
    let mut next = || numbers.next().flatten();
    match (next(), next(), next()) {
        (Some(3), Some(4), Some(patch)) => patch < 31,
        (Some(3), Some(5), Some(patch)) => patch < 13,
        (Some(3), Some(minor), _) => minor < 4,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_before_the_fix_are_known_by_their_version() {
        for version in ["3.4.23", "3.4.30", "3.5.0", "3.5.12", "3.3.27", "3.5.12-rc.1"] {
            assert!(is_before_fix(version), "{version}");
        }
        for version in ["3.4.31", "3.5.13", "3.6.0", "3.10.1", "4.0.0", "", "unknown", "3.5"] {
            assert!(!is_before_fix(version), "{version}");
        }
    }
}
