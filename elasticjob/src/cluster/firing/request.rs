//! What a firing asks for, and what it has started.

use crate::cluster::ledger::Run;
use crate::registry::{Read, Step};

/// What the registry is asked, about firings.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FiringRequest {
    /// Have the registry say what time it is there.
    CheckClock(Vec<Step>),
    /// Claim the items.
    Claim(Vec<Step>),
    /// Look why a claim was refused.
    SurveyClaim(Vec<Read>),
    /// Look whether a claim happened.
    SettleClaim(Vec<Read>),
    /// Look what there is to take over.
    SurveyTakeover(Vec<Read>),
    /// Join or leave the contenders for what there is to take over.
    Contend(Vec<Step>),
    /// Record ends.
    RecordEnds(Vec<Step>),
    /// Look whether ends were recorded.
    SettleEnds(Vec<Read>),
    /// Learn the ledgers of items that are newly ours.
    LoadLedgers(Vec<u32>, Vec<Read>),
}

/// A claimed item, to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) item: u32,
    pub(crate) run: Run,
    /// Greater than that of any run of the item before.
    pub(crate) fencing_token: i64,
}
