//! What an operator should know of a registry centre before jobs rely on it.
//!
//! [`inspect`] opens a session as an instance does, writes in a place of its own and measures. What one kind of registry alone
//! can say of itself, it says by [`Registry::inspect`]. Nothing stays behind: the node of the test goes with the session.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tokio::time::Instant;

use super::{Answer, CreateMode, Error, Read, Registry, Session, Step, WriteError, Written};

/// So many requests of each kind are measured: enough for a p99 that a single slow one does not decide.
const REQUESTS: usize = 200;

/// Measuring takes no longer than that: a slow registry is asked less often.
const LIMIT: Duration = Duration::from_secs(5);

/// A difference of clocks that the network explains, or that no schedule shows.
const USUAL_DIFFERENCE: SignedDuration = SignedDuration::from_secs(1);

/// What a registry centre was found to be.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Inspection {
    /// The registry, as it describes itself.
    pub registry: String,
    /// How long it waits for an instance that is silent, as it has granted that.
    pub session_timeout: Duration,
    /// How long transactions took, if they are allowed.
    pub writes: Option<Latency>,
    /// How long reads took.
    pub reads: Option<Latency>,
    /// How far its clock is ahead of ours, as far as the time of a request can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_ahead: Option<SignedDuration>,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
}

/// How long requests took, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Latency {
    /// How many there were.
    pub requests: usize,
    /// Half of them took no longer.
    pub p50: Duration,
    /// 99 of 100 took no longer.
    pub p99: Duration,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// What it is about: `servers`, `rights`.
    pub subject: &'static str,
    /// What was found.
    pub text: String,
    /// What an operator can do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum Level {
    /// Jobs cannot run, or promises of the framework do not hold.
    Unsafe,
    /// It may be meant, and an operator should know it.
    Notice,
    /// It is as it should be.
    Good,
}

impl Finding {
    /// It is as it should be.
    pub fn good(subject: &'static str, text: impl Into<String>) -> Self {
        Self {
            level: Level::Good,
            subject,
            text: text.into(),
            advice: None,
        }
    }

    /// It may be meant.
    pub fn notice(subject: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            level: Level::Notice,
            subject,
            text: text.into(),
            advice: Some(advice.into()),
        }
    }

    /// Jobs cannot run, or promises do not hold.
    pub fn unsafe_because(subject: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            level: Level::Unsafe,
            ..Self::notice(subject, text, advice)
        }
    }
}

impl Inspection {
    /// Returns whether nothing makes the registry unsafe.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        self.findings.iter().all(|finding| finding.level != Level::Unsafe)
    }
}

/// Inspects a registry. Creates an ephemeral node directly below the namespace, and removes it.
///
/// ```
/// use elasticjob::registry::inspection::inspect;
/// use elasticjob::registry::memory::MemoryRegistry;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let found = inspect(&MemoryRegistry::new()).await?;
/// assert!(found.is_safe() && found.writes.is_some(), "{found:?}");
/// # Ok::<_, elasticjob::registry::Error>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`Registry::connect_to_look`], and of requests that nothing but an absent registry can explain.
///
/// # Cancel safety
/// Dropping the future leaves at most an ephemeral node, for as long as its session lasts.
pub async fn inspect(registry: &dyn Registry) -> Result<Inspection, Error> {
    let session = registry.connect_to_look().await?;
    let measured = measure(&*session).await;
    session.close().await;
    let mut inspection = Inspection {
        registry: registry.describe(),
        session_timeout: session.timeout(),
        writes: None,
        reads: None,
        clock_ahead: None,
        findings: registry.inspect().await,
    };
    match measured {
        Ok(measured) => inspection.take(measured),
        Err(Error::Refused(reason)) => inspection.findings.push(Finding::unsafe_because(
            "rights",
            format!("a node cannot be created, set and deleted: {reason}"),
            "give the user of the instances all rights below the namespace",
        )),
        Err(error) => return Err(error),
    }
    inspection.findings.sort();
    Ok(inspection)
}

impl Inspection {
    /// Judges what was measured.
    fn take(&mut self, measured: Measured) {
        let (writes, reads) = (latency(measured.writes), latency(measured.reads));
        let ahead = measured.clock_ahead;
        self.findings
            .push(Finding::good("rights", "nodes can be created, set, read and deleted"));
        // An item is claimed by one transaction, and a heartbeat has a third of the timeout.
        if writes.p99 > self.session_timeout / 10 {
            self.findings.push(Finding::notice(
                "latency",
                format!(
                    "transactions take up to {:?} (p99), more than a tenth of the session timeout",
                    writes.p99
                ),
                "look at the disks and the network of the servers, or have a longer `reg-center.session-timeout`",
            ));
        }
        if ahead.abs() > USUAL_DIFFERENCE {
            self.findings.push(Finding::notice(
                "clock",
                format!("the clock of the registry and that of this machine differ by {:#}", ahead.abs()),
                "have both follow a time server: jobs run by the clocks of the instances, and operators read the registry's",
            ));
        }
        (self.writes, self.reads, self.clock_ahead) = (Some(writes), Some(reads), Some(ahead));
    }
}

/// What requests took and said.
struct Measured {
    writes: Vec<Duration>,
    reads: Vec<Duration>,
    clock_ahead: SignedDuration,
}

/// Creates, sets, reads and deletes a node that no job has.
async fn measure(session: &dyn Session) -> Result<Measured, Error> {
    let path = format!("/elasticjob-check-{}", uuid::Uuid::from_u128(fastrand::u128(..)));
    let create = Step::Create {
        path: path.clone(),
        data: Vec::new(),
        mode: CreateMode::Ephemeral,
    };
    session.write(vec![create]).await.map_err(error)?;
    let (mut writes, mut reads) = (Vec::new(), Vec::new());
    // Of the quickest request the registry's time is known best.
    let mut best: Option<(Duration, SignedDuration)> = None;
    let begun = Instant::now();
    while writes.len() < REQUESTS && begun.elapsed() < LIMIT {
        let set = Step::Set {
            path: path.clone(),
            data: b"check".to_vec(),
            version: None,
        };
        let (sent, sent_at) = (Timestamp::now(), Instant::now());
        let written = session.write(vec![set]).await.map_err(error)?;
        let took = sent_at.elapsed();
        if let [Written::Set(stat)] = &written[..]
            && best.is_none_or(|(quickest, _)| took < quickest)
        {
            let halfway = sent + SignedDuration::try_from(took / 2).unwrap_or_default();
            let theirs = SignedDuration::from_millis(stat.modified_at);
            best = Some((took, theirs - SignedDuration::from_millis(halfway.as_millisecond())));
        }
        writes.push(took);
        let asked_at = Instant::now();
        let answers = session.read_at_once(vec![Read::Data(path.clone())]).await?;
        reads.push(asked_at.elapsed());
        if !matches!(&answers[..], [Answer::Data(Some((data, _)))] if data == b"check") {
            return Err(Error::Refused(format!("{path} cannot be read as it was written")));
        }
    }
    session
        .write(vec![Step::Delete { path, version: None }])
        .await
        .map_err(error)?;
    Ok(Measured {
        writes,
        reads,
        clock_ahead: best.map(|(_, ahead)| ahead).unwrap_or_default(),
    })
}

fn error(error: WriteError) -> Error {
    error.error
}

fn latency(mut took: Vec<Duration>) -> Latency {
    took.sort_unstable();
    let at = |percent: usize| took.get((took.len() * percent / 100).min(took.len().saturating_sub(1)));
    Latency {
        requests: took.len(),
        p50: at(50).copied().unwrap_or_default(),
        p99: at(99).copied().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::registry::BoxFuture;
    use crate::registry::decorator::{Decorated, Decorator};
    use crate::registry::memory::MemoryRegistry;

    mod latency {
        use super::*;

        #[test]
        fn is_that_of_the_request_at_its_place() {
            let took = (1..=200).rev().map(Duration::from_millis).collect();
            let latency = super::super::latency(took);
            assert_eq!(
                (latency.requests, latency.p50, latency.p99),
                (200, Duration::from_millis(101), Duration::from_millis(199))
            );
            let one = super::super::latency(vec![Duration::from_millis(7)]);
            assert_eq!((one.p50, one.p99), (Duration::from_millis(7), Duration::from_millis(7)));
        }
    }

    mod inspection {
        use super::*;

        /// A registry that forbids to set nodes, or whose clock is ahead.
        #[derive(Debug)]
        struct Odd {
            registry: MemoryRegistry,
            forbids: bool,
        }

        #[derive(Debug)]
        struct Forbids;

        impl Decorator for Forbids {
            fn write(
                &self,
                session: &dyn Session,
                steps: Vec<Step>,
            ) -> BoxFuture<'static, Result<Vec<Written>, WriteError>> {
                if matches!(steps[..], [Step::Set { .. }]) {
                    return Box::pin(async { Err(Error::Refused("/x: not authorized".to_owned()).into()) });
                }
                session.write(steps)
            }
        }

        impl Registry for Odd {
            fn connect(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, Error>> {
                Box::pin(async {
                    let session = self.registry.connect().await?;
                    Ok(if self.forbids {
                        Decorated::new(session, Forbids)
                    } else {
                        session
                    })
                })
            }

            fn describe(&self) -> String {
                "odd".to_owned()
            }
        }

        async fn children(registry: &MemoryRegistry) -> Vec<Answer> {
            let session = registry.connect().await.unwrap();
            session.read(vec![Read::Children("/".into())]).await.unwrap()
        }

        #[tokio::test]
        async fn leaves_nothing_behind() {
            let registry = MemoryRegistry::new();
            let found = inspect(&registry).await.unwrap();
            assert!(found.is_safe(), "{found:?}");
            assert_eq!(found.writes.unwrap().requests, REQUESTS);
            assert_eq!(children(&registry).await, [Answer::Children(Some(vec![]))]);
        }

        #[tokio::test]
        async fn says_which_rights_are_missing_and_leaves_nothing_behind() {
            let registry = MemoryRegistry::new();
            let odd = Odd {
                registry: registry.clone(),
                forbids: true,
            };
            let found = inspect(&odd).await.unwrap();
            assert!(!found.is_safe() && found.writes.is_none(), "{found:?}");
            assert!(found.findings[0].text.contains("/x: not authorized"), "{found:?}");
            assert_eq!(children(&registry).await, [Answer::Children(Some(vec![]))]);
        }

        #[tokio::test]
        async fn tells_a_clock_that_is_ahead() {
            let ahead = || (Timestamp::now() + SignedDuration::from_mins(5)).as_millisecond();
            let odd = Odd {
                registry: MemoryRegistry::with_clock(ahead),
                forbids: false,
            };
            let found = inspect(&odd).await.unwrap();
            let clock = found
                .findings
                .iter()
                .find(|finding| finding.subject == "clock")
                .unwrap();
            assert_eq!(clock.level, Level::Notice);
            assert!(found.clock_ahead.unwrap() > SignedDuration::from_secs(299), "{found:?}");
            assert!(
                inspect(&MemoryRegistry::new())
                    .await
                    .unwrap()
                    .clock_ahead
                    .unwrap()
                    .abs()
                    < USUAL_DIFFERENCE
            );
        }
    }
}
