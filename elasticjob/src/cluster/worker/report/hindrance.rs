//! What keeps a job from going on: requests that the registry refuses however often the worker makes them.
//!
//! A single refusal is usual while other instances write, and the loss of a connection is reported elsewhere. A refusal
//! that no retry mends, or one that comes over and over, is reported once, and shown until the registry takes the request.
//!
//! Refusals are counted by what the request is for, and a success of the same kind ends the count. Contended requests,
//! such as claims, are refused as often as another instance is faster: for them only a permanent error counts as a
//! hindrance. An answer that was lost with the connection says nothing about the request and is not counted.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cluster::progress;
use crate::cluster::refusal::shortened;
use crate::cluster::worker::answer::Purpose;
use crate::cluster::{core::firing, core::governor};
use crate::registry::Error;

/// After so many refusals in a row the cause is not that other instances write at the same time.
const IN_A_ROW: u32 = 10;

/// Before a request is made again that no retry mends: access rights, or what it is about, may be others by then.
const PAUSE: Duration = Duration::from_secs(5);

/// Returns the answer to a request of the loop; one that no retry mends after a pause, since the loop makes the request again
/// as soon as it has the answer.
pub(in crate::cluster::worker) async fn unhurried<T, E: AsRef<Error>>(
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let answer = answer.await;
    if answer.as_ref().is_err_and(|error| error.as_ref().is_permanent()) {
        tokio::time::sleep(PAUSE).await;
    }
    answer
}

/// What a worker makes a request for.
#[derive(Clone, Copy, Debug)]
pub(in crate::cluster::worker) struct Action {
    name: &'static str,
    /// Whether refusals are usual for as long as another instance has what the request asks for.
    is_contended: bool,
}

impl Action {
    pub(in crate::cluster::worker) const READ_ALL: Self = Self::usual("read the job");
    pub(in crate::cluster::worker) const READ_CHANGES: Self = Self::usual("read what has changed");
    pub(in crate::cluster::worker) const WATCH: Self = Self::usual("watch the job");

    /// Makes an action that a working registry refuses only now and then.
    const fn usual(name: &'static str) -> Self {
        let is_contended = false;
        Self { name, is_contended }
    }

    /// Makes an action that is refused for as long as another instance is ahead.
    const fn contended(name: &'static str) -> Self {
        let is_contended = true;
        Self { name, is_contended }
    }

    /// Returns what a request of decisions is made for.
    pub(in crate::cluster::worker) fn of(purpose: &Purpose) -> Self {
        match purpose {
            Purpose::Governor(purpose) => Self::of_governor(purpose),
            Purpose::Firing(purpose) => Self::of_firing(purpose),
            Purpose::Progress(progress::Purpose::Write) => Self::contended("write the progress of runs"),
            Purpose::Progress(progress::Purpose::Look) => Self::usual("read the progress of runs"),
        }
    }

    /// Returns what a request about firings is made for.
    fn of_firing(purpose: &firing::Purpose) -> Self {
        match purpose {
            firing::Purpose::CheckClock => Self::usual("ask for the time of the registry"),
            firing::Purpose::Claim => Self::contended("claim items"),
            firing::Purpose::SurveyClaim | firing::Purpose::SettleClaim => Self::usual("read the items that it claims"),
            firing::Purpose::RecordEnds => Self::contended("record the ends of runs"),
            firing::Purpose::SettleEnds => Self::usual("read the items of ended runs"),
            firing::Purpose::SurveyTakeover => Self::usual("read the items that it takes over"),
            firing::Purpose::Contend => Self::contended("take items over"),
            firing::Purpose::LoadLedgers(_) => Self::usual("read the ledgers of its items"),
            firing::Purpose::CreateLedgers => Self::usual("create ledgers"),
        }
    }

    /// Returns what a move of the governor is made for.
    fn of_governor(purpose: &governor::Purpose) -> Self {
        use governor::Purpose;
        Self::usual(match purpose {
            Purpose::TakeTrigger(_) => "take a trigger",
            Purpose::Elect => "elect a leader",
            Purpose::SurveyContenders(_) => "read the contenders of the election",
            Purpose::RemoveContenders(_) => "remove contenders without an instance",
            Purpose::SurveyMarks(_) => "read the marks of dead instances",
            Purpose::RepairMarks { .. } => "remove the marks of dead instances",
            Purpose::SurveyAbandoned(_) => "read the items that wait for a take-over",
            Purpose::ClearFailover { .. } => "remove items that wait for a take-over",
            Purpose::ClearTriggers => "remove triggers for instances that are gone",
            Purpose::SurveyDisobedient(_) => "read the switches of servers that ignore a pause",
            Purpose::SwitchOffDisobedient(_) => "switch off servers that ignore a pause",
            Purpose::AnnounceResharding => "announce a resharding",
            Purpose::SurveyItems { .. } => "read the items to share them out",
            Purpose::Reshard => "share the items out",
        })
    }

    /// Returns the action in words that follow "cannot".
    pub(in crate::cluster::worker) fn name(self) -> &'static str {
        self.name
    }
}

/// All that the registry refuses at present, by the name of the action.
#[derive(Debug, Default)]
pub(in crate::cluster::worker) struct Hindrances(BTreeMap<&'static str, Refusals>);

/// The refusals of one action since it last succeeded.
#[derive(Debug)]
struct Refusals {
    in_a_row: u32,
    /// The refusal that was reported.
    reported: Option<Error>,
}

/// What there is to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cluster::worker) enum News {
    /// The registry refuses the request, and refused it so often in a row.
    Refused { in_a_row: u32 },
    /// The registry takes a request again that it refused, which was reported.
    Over,
}

impl Hindrances {
    /// Notes how a request went. Returns what is to be reported.
    pub(in crate::cluster::worker) fn note(&mut self, action: Action, result: Result<(), &Error>) -> Option<News> {
        let error = match result {
            Ok(()) => return self.0.remove(action.name)?.reported.map(|_| News::Over),
            Err(error) if error.is_outcome_unknown() || error.is_session_lost() => return None,
            Err(error) => error,
        };
        let refusals = self.0.entry(action.name).or_insert(Refusals {
            in_a_row: 0,
            reported: None,
        });
        refusals.in_a_row = refusals.in_a_row.saturating_add(1);
        // Others that are faster are no hindrance, unless they never let go.
        let is_raced = action.is_contended && !matches!(error, Error::Busy(_));
        let is_lasting = error.is_permanent() || (refusals.in_a_row >= IN_A_ROW && !is_raced);
        let is_news = match &refusals.reported {
            None => is_lasting,
            // Sizes change with what other instances write, and so do the steps that they get ahead of.
            Some(reported) => error.is_permanent() && !is_alike(reported, error),
        };
        is_news.then(|| {
            refusals.reported = Some(error.clone());
            News::Refused {
                in_a_row: refusals.in_a_row,
            }
        })
    }

    /// What this instance cannot do and why, in words that follow "cannot".
    pub(in crate::cluster::worker) fn texts(&self) -> Vec<String> {
        let reported = self
            .0
            .iter()
            .filter_map(|(name, refusals)| Some((name, refusals.reported.as_ref()?)));
        reported
            .map(|(name, error)| shortened(&format!("{name}: {error}")))
            .collect()
    }
}

/// Whether two refusals are one to an operator.
fn is_alike(one: &Error, other: &Error) -> bool {
    let is_size = |error: &Error| matches!(error, Error::TooLarge { .. } | Error::TooManySteps { .. });
    one == other || is_size(one) && is_size(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_governor(purpose: governor::Purpose) -> Action {
        Action::of(&Purpose::Governor(purpose))
    }

    fn claim() -> Action {
        Action::of(&Purpose::Firing(firing::Purpose::Claim))
    }

    const TOO_LARGE: Error = Error::TooLarge { size: 2, limit: 1 };

    mod refusals {
        use super::*;

        #[test]
        fn that_no_retry_mends_are_reported_once_until_they_are_over() {
            let mut hindrances = Hindrances::default();
            let mut share = |result: Result<(), &Error>| {
                let news = hindrances.note(of_governor(governor::Purpose::Reshard), result);
                (news, hindrances.texts())
            };
            let texts = vec!["share the items out: the request has 2 bytes, the limit is 1".to_owned()];
            assert_eq!(
                share(Err(&TOO_LARGE)),
                (Some(News::Refused { in_a_row: 1 }), texts.clone())
            );
            let larger = Error::TooLarge { size: 3, limit: 1 };
            assert_eq!(share(Err(&larger)), (None, texts.clone()));
            assert_eq!(share(Err(&Error::ConnectionLoss)), (None, texts));
            assert_eq!(share(Ok(())), (Some(News::Over), Vec::new()));
            assert_eq!(share(Ok(())), (None, Vec::new()));
        }

        #[test]
        fn of_another_kind_are_reported_again() {
            let mut hindrances = Hindrances::default();
            assert!(hindrances.note(claim(), Err(&TOO_LARGE)).is_some());
            let refused = Error::Refused("/job/config: no auth".to_owned());
            assert_eq!(
                hindrances.note(claim(), Err(&refused)),
                Some(News::Refused { in_a_row: 2 })
            );
            assert_eq!(
                hindrances.texts(),
                ["claim items: the registry refused: /job/config: no auth"]
            );
        }

        #[test]
        fn over_and_over_are_reported() {
            let mut hindrances = Hindrances::default();
            let elect = of_governor(governor::Purpose::Elect);
            for _ in 1..IN_A_ROW {
                assert_eq!(hindrances.note(elect, Err(&Error::NodeExists)), None);
                assert_eq!(hindrances.note(of_governor(governor::Purpose::Reshard), Ok(())), None);
            }
            let reported = Some(News::Refused { in_a_row: IN_A_ROW });
            assert_eq!(hindrances.note(elect, Err(&Error::NodeExists)), reported);
            assert_eq!(hindrances.note(elect, Err(&Error::NoNode)), None);
            assert_eq!(hindrances.texts(), ["elect a leader: the node exists"]);
        }

        #[test]
        fn of_a_busy_registry_are_reported_although_others_contend() {
            let mut hindrances = Hindrances::default();
            let busy = Error::Busy("lock timeout".to_owned());
            for _ in 1..IN_A_ROW {
                assert_eq!(hindrances.note(claim(), Err(&busy)), None);
            }
            let reported = Some(News::Refused { in_a_row: IN_A_ROW });
            assert_eq!(hindrances.note(claim(), Err(&busy)), reported);
            assert_eq!(hindrances.texts(), ["claim items: the registry is busy: lock timeout"]);
        }

        #[test]
        fn now_and_then_are_not_reported() {
            let mut hindrances = Hindrances::default();
            let elect = of_governor(governor::Purpose::Elect);
            for _ in 0..5 * IN_A_ROW {
                assert_eq!(hindrances.note(elect, Err(&Error::NodeExists)), None);
                assert_eq!(hindrances.note(elect, Ok(())), None);
                assert_eq!(hindrances.note(claim(), Err(&Error::NodeExists)), None);
            }
            assert_eq!(hindrances.texts(), Vec::<String>::new());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn answers_that_no_retry_mends_come_after_a_pause() {
        let took = async |answer: Result<(), Error>| {
            let before = tokio::time::Instant::now();
            let same = unhurried(async { answer.clone() }).await;
            assert_eq!(same, answer);
            before.elapsed()
        };
        assert_eq!(took(Err(TOO_LARGE)).await, PAUSE);
        assert_eq!(took(Err(Error::ConnectionLoss)).await, Duration::ZERO);
        assert_eq!(took(Ok(())).await, Duration::ZERO);
    }
}
