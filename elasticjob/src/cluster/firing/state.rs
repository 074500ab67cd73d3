//! Where a firing stands, and the runs of its items.

use std::collections::BTreeSet;

use crate::cluster::ledger::{End, Record, Run};

use super::listening::ListenerPhase;
use super::make_up::MakeUp;
use super::{Claim, Occasion};

/// The firing under way.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) occasion: Occasion,
    /// Claimed, or to be claimed, with ends not recorded yet.
    pub(super) open: BTreeSet<u32>,
    /// What did not fit into the transaction of the claim.
    pub(super) rest: Option<Claim>,
    /// Whether any of it was claimed.
    pub(super) is_begun: bool,
    pub(super) listening: ListenerPhase,
}

/// Where the claim of the firing under way stands.
#[derive(Debug)]
pub(super) enum Claiming {
    /// Nothing is asked.
    Idle,
    InFlight(Claim),
    /// It was refused: what is so has to be read.
    Refused(Claim),
    Surveying(Claim),
    /// The answer was lost.
    Unknown(Claim),
    Settling(Claim),
}

/// Where the recording of ends stands.
#[derive(Debug)]
pub(super) enum Recording {
    Idle,
    InFlight(Batch),
    /// The transaction was refused, or its answer was lost: what it was about is looked at.
    Doubtful(Batch),
    Settling(Batch),
}

/// What one transaction records.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) ending: Vec<u32>,
    /// The firing that follows, claimed in the same transaction.
    pub(super) make_up: Option<MakeUp>,
}

/// An item being run.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) run: Run,
    /// The ledger's version since the claim.
    pub(super) version: i32,
    pub(super) record: Record,
    pub(super) is_marked: bool,
    /// Whether it was taken over; then its `failover` node, and
    pub(super) is_failover: bool,
    /// its `failovering` node, are there and go with its end.
    pub(super) is_failovering: bool,
}

/// An item whose run ended, until that is recorded.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) running: Box<Running>,
    pub(super) end: End,
    /// Whether it is to be run again, as the next attempt, and does not end with this.
    pub(super) goes_on: bool,
    /// How often it was written without being recorded.
    pub(super) attempts: u32,
}

impl Recording {
    /// What is being recorded; nothing is from here on.
    pub(super) fn take(&mut self) -> Option<Batch> {
        match std::mem::replace(self, Self::Idle) {
            Self::Idle => None,
            Self::InFlight(batch) | Self::Doubtful(batch) | Self::Settling(batch) => Some(batch),
        }
    }
}
