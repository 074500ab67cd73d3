//! Faults of our own that can be put in on purpose: a simulator that does not find them proves nothing.
//!
//! Without the feature `testing` there are none, and the code that asks for them is gone.
//!
//! Each names one rule of the protocol. The simulator leaves the rule out and must report a violation within some
//! seeds; if it does not, the rule is not tested. One rule at a time is left out, on one thread, so simulations may run
//! beside each other.

/// Declares the rules, and the list of all of them.
macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident,)*) => {
        /// A rule of the protocol that is left out.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Mutation {
            $($(#[$doc])* $rule,)*
        }

        impl Mutation {
            /// All of them.
            #[cfg(feature = "testing")]
            pub const ALL: &[Self] = &[$(Self::$rule),*];
        }
    };
}

rules! {
    /// Work goes on although its fence has passed.
    SkipSelfFencing,
    /// A contact counts from when it was answered, and not from when it was sent.
    FenceFromAnswer,
    /// A fence passes with the session timeout, and leaves nothing for clocks that differ in rate.
    FenceWithoutMargin,
    /// An instance keeps its id over sessions.
    ReuseInstanceId,
    /// A write does not check that its instance is still a member of the job.
    IgnoreMembership,
    /// A claim overwrites the ledger without checking its version.
    IgnoreLedgerVersion,
    /// A claim does not look whether the ledger says that a time has its verdict, or is being run.
    IgnoreLedger,
    /// A claim does not look whether the ledger says that a living instance runs the item.
    ClaimRunElsewhere,
    /// A claim does not check that the assignment is still the one it was made under.
    IgnoreEpoch,
    /// An item that waits to be moved is claimed again by its old owner.
    ClaimMoving,
    /// An item that waits to be taken over is claimed by its owner for its next time.
    ClaimQueued,
    /// An item that is disabled is claimed.
    ClaimDisabledItem,
    /// An instance claims items although its server is disabled.
    ClaimOnDisabledServer,
    /// A claim of which the answer was lost is taken for made.
    BelieveClaim,
    /// A claim of which the answer was lost is taken for not made.
    DisbelieveClaim,
    /// A time that came while the last firing was running is forgotten.
    DropMisfire,
    /// A claim replaces a run that a dead instance left open, without a word on it.
    ForgetLost,
    /// A claim drops what became of the item before.
    ForgetRecent,
    /// A time that comes before the items are shared out is not looked back at.
    LoseFirstTime,
    /// A scheduled time passes an item that is switched off, or has no instance, without a word.
    PassInSilence,
    /// A member claims items although the job is paused.
    IgnorePause,
    /// A claim of a single item leaves the order for it where it is.
    KeepRequest,
    /// A member lets a run go on that an operator has cancelled.
    IgnoreCancel,
    /// A time is forgotten if its make-up run could not be claimed.
    ForgetRefusedMakeUp,
    /// An end of which the answer was lost is taken for recorded.
    BelieveEnd,
    /// The end of a run does not answer its requests.
    ForgetAnswer,
    /// What a dead instance owned is taken over, whether it was running it or had finished.
    FailOverFinished,
    /// An item is parked after its first attempt: failover is off in effect.
    ParkAtOnce,
    /// An item is tried again however often its instances died.
    NeverPark,
    /// The next attempt of a run does not have its parameter.
    ForgetParameter,
    /// The next attempt of a run does not have its requests.
    ForgetRequests,
    /// An item that is disabled is taken over.
    TakeOverDisabledItem,
    /// An instance takes items over although its server is disabled.
    TakeOverOnDisabledServer,
    /// An instance that an operator removed counts as dead before it has left.
    BuryRemoved,
    /// A stale mark is removed without a word in the ledger.
    RepairSilently,
    /// An item moves although it is running.
    MoveRunning,
}

impl Mutation {
    /// Returns whether this rule is left out, on this thread or for good.
    #[cfg(feature = "testing")]
    pub(crate) fn is_on(self) -> bool {
        CURRENT.get().or_else(|| FOR_GOOD.get().copied()) == Some(self)
    }

    #[cfg(not(feature = "testing"))]
    pub(crate) const fn is_on(self) -> bool {
        false
    }
}

/// By the name that `Debug` shows.
#[cfg(feature = "testing")]
impl std::str::FromStr for Mutation {
    type Err = UnknownMutation;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.iter().copied();
        all.find(|rule| format!("{rule:?}") == name)
            .ok_or_else(|| UnknownMutation(name.to_owned()))
    }
}

/// A name that no rule has.
#[cfg(feature = "testing")]
#[derive(Debug, thiserror::Error)]
#[error("no rule `{0}`: there are {all:?}", all = Mutation::ALL)]
pub struct UnknownMutation(String);

#[cfg(feature = "testing")]
thread_local! {
    /// A simulation runs on one thread, and others may run beside it.
    static CURRENT: std::cell::Cell<Option<Mutation>> = const { std::cell::Cell::new(None) };
}

/// The rule left out of a whole process: timers of the framework run on threads of their own, which [`CURRENT`] does not reach.
#[cfg(feature = "testing")]
static FOR_GOOD: std::sync::OnceLock<Mutation> = std::sync::OnceLock::new();

/// Leaves a rule out of this process for good, the first time that this is called.
#[cfg(feature = "testing")]
pub(crate) fn leave_out_for_good(mutation: Mutation) {
    FOR_GOOD.get_or_init(|| mutation);
}

/// Returns the rule that is left out on this thread.
#[cfg(feature = "testing")]
pub(crate) fn left_out() -> Option<Mutation> {
    CURRENT.get()
}

/// Leaves a rule out on this thread for as long as the guard lives.
#[cfg(feature = "testing")]
pub(crate) fn leave_out(mutation: Option<Mutation>) -> LeftOut {
    LeftOut {
        before: CURRENT.replace(mutation),
    }
}

/// A rule that is left out; puts things right when it goes.
#[cfg(feature = "testing")]
#[derive(Debug)]
#[must_use = "the rule is left out for as long as this lives"]
pub(crate) struct LeftOut {
    before: Option<Mutation>,
}

#[cfg(feature = "testing")]
impl Drop for LeftOut {
    fn drop(&mut self) {
        CURRENT.set(self.before);
    }
}
