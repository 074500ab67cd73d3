//! What a firing asks for, and what it has started.

use crate::cluster::core::request::Request;
use crate::cluster::ledger::Run;

/// What a request about firings is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Have the registry say what time it is there.
    CheckClock,
    /// Claim the items.
    Claim,
    /// Look why a claim was refused.
    SurveyClaim,
    /// Look whether a claim happened.
    SettleClaim,
    /// Look what there is to take over.
    SurveyTakeover,
    /// Join or leave the contenders for what there is to take over.
    Contend,
    /// Record ends.
    RecordEnds,
    /// Look whether ends were recorded.
    SettleEnds,
    /// Learn the ledgers of items that are newly ours.
    LoadLedgers(Vec<u32>),
    /// Create ledgers that are missing.
    CreateLedgers,
}

/// A request about firings.
pub(crate) type FiringRequest = Request<Purpose>;

/// A claimed item, to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) item: u32,
    pub(crate) run: Run,
    /// Greater than that of any run of the item before.
    pub(crate) fencing_token: i64,
}
