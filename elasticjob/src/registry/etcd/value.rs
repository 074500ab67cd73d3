//! What is stored of a node: how it lives, when it was set, and its data. Pure.
//!
//! `P1764547200000\n{data}` is a node that stays, `E1764547200000\n{data}` one that lives by a session. The letter comes first, and
//! is greater for the former: so one comparison of the value says that a parent is there and may have children.

use crate::registry::Stat;

/// How long a node lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Persistent,
    Ephemeral,
}

/// Values above this are those of nodes that stay.
pub(super) const BELOW_PERSISTENT: &[u8] = b"O";

impl Life {
    fn letter(self) -> char {
        match self {
            Self::Persistent => 'P',
            Self::Ephemeral => 'E',
        }
    }
}

/// Returns the stored form.
pub(super) fn encode(life: Life, at: i64, data: &[u8]) -> Vec<u8> {
    let mut value = format!("{}{at}\n", life.letter()).into_bytes();
    value.extend_from_slice(data);
    value
}

/// Returns when the node was set, and its data. A value that is not ours is all data.
pub(super) fn decode(value: &[u8]) -> (i64, &[u8]) {
    let header = value.iter().position(|byte| *byte == b'\n');
    let parsed = header.and_then(|end| {
        let at = std::str::from_utf8(value.get(1..end)?).ok()?.parse().ok()?;
        Some((at, value.get(end + 1..)?))
    });
    parsed.unwrap_or((0, value))
}

/// What etcd says of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Meta {
    /// How often it was put since it was created; 0 for a key that is not there.
    pub(super) version: i64,
    pub(super) created: i64,
    pub(super) modified: i64,
    pub(super) lease: i64,
}

impl Meta {
    /// Returns what the contract says of the node.
    pub(super) fn stat(self, at: i64) -> Stat {
        Stat {
            version: version_of(self.version),
            created: self.created,
            modified: self.modified,
            modified_at: at,
            ephemeral_owner: self.lease,
        }
    }
}

/// Returns the version of a node whose key was put so often: the first put creates it.
pub(super) fn version_of(puts: i64) -> i32 {
    i32::try_from(puts - 1).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    mod values {
        use super::*;

        #[test]
        fn hold_what_they_were_made_of() {
            for data in [&b""[..], b"a", b"\n\n", &[0, 0xff], "任务".as_bytes()] {
                for life in [Life::Persistent, Life::Ephemeral] {
                    assert_eq!(
                        decode(&encode(life, 1_764_547_200_000, data)),
                        (1_764_547_200_000, data)
                    );
                }
            }
        }

        #[test]
        fn of_nodes_that_stay_are_greater() {
            assert!(*encode(Life::Persistent, 0, b"") > *BELOW_PERSISTENT);
            assert!(*encode(Life::Ephemeral, i64::MAX, b"zzz") < *BELOW_PERSISTENT);
        }

        #[test]
        fn of_others_are_all_data() {
            for value in [&b""[..], b"x", b"\n", b"Px\n1"] {
                assert_eq!(decode(value), (0, value));
            }
        }
    }
}
