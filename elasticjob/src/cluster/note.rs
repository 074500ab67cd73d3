//! Who switched something off, when and why: `ledger/notes` for servers and items, `ledger/pause` for a whole job.
//!
//! A note is written in the transaction that changes the switch, so the registry gives both the same number. If another operator
//! has changed the switch since, it has another number, and the note no longer applies.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Longest texts of a note, in bytes: a pause keeps one for each server that it switches off.
pub(crate) const TEXT_LIMIT: usize = 1024;

/// The operator, the time and the reason of a switch, a pause or a cancellation.
///
/// [`Operations::note`](crate::operation::Operations::note) makes one. Texts are free and are shown to other operators;
/// each has at most 1,024 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Note {
    /// When, by the clock of the operator.
    pub at: Timestamp,
    /// Who, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether a pause of the whole job switched the server off. The end of the pause switches it on.
    #[serde(default, rename = "pause", skip_serializing_if = "is_no")]
    pub is_for_pause: bool,
}

impl Note {
    /// Reads a stored note; `None` if it is none.
    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        serde_json::from_slice(data).ok()
    }

    /// Returns the stored form, JSON.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a note has only texts and a time, which JSON can hold")
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in a reference")]
fn is_no(value: &bool) -> bool {
    !value
}

/// "since .. by ..: ..", the end of a sentence.
impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "since {:.0}", self.at)?;
        self.by.iter().try_for_each(|by| write!(f, " by {by}"))?;
        self.reason.iter().try_for_each(|reason| write!(f, ": {reason}"))
    }
}
