//! An operator's word that a run is to end: `ledger/cancels/{item}`.
//!
//! It names the run, so it is for that one in all its attempts, and for no later run of the item. The owner of the run, or the
//! instance that takes it over, stops it, and removes the node with the transaction that records an end of the item.

use serde::{Deserialize, Serialize};

use super::ledger::End;
use super::note::Note;

/// An operator's word that a run is to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cancel {
    /// The id of the run.
    pub(crate) run: String,
    /// Who cancelled it, when and why.
    pub(crate) note: Note,
}

impl Cancel {
    /// Reads what an operator wrote; `None` if that says nothing.
    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        serde_json::from_slice(data).ok()
    }

    /// Returns the stored form, JSON.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("it has only texts and a time, which JSON can hold")
    }

    /// Returns the end of a run that it cancels.
    pub(crate) fn end(&self) -> End {
        End::by_operator(self.cause())
    }

    /// Who cancelled the run and why, to stand behind the word "cancelled".
    pub(crate) fn cause(&self) -> String {
        let by = self.note.by.as_deref().unwrap_or("an operator");
        match &self.note.reason {
            Some(reason) => format!("by {by}: {reason}"),
            None => format!("by {by}"),
        }
    }
}
