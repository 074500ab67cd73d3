//! Who switched something off, when and why: `ledger/notes`.
//!
//! A note is written in the transaction that throws the switch, so the registry gives both the same number. A switch
//! that somebody else has thrown since has another, and the note says nothing of it any more.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Who switched something off, when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Note {
    /// When, by the clock of whoever did it.
    pub at: Timestamp,
    /// Who, in their own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why, in their own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a note is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Switch {
    Server(String),
    Item(u32),
}

impl Note {
    pub(super) fn parse(data: &[u8]) -> Option<Self> {
        serde_json::from_slice(data).ok()
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a note has only texts and a time, which JSON can hold")
    }
}
