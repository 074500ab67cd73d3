//! The listeners of one job, called one after another.
//!
//! All calls of a firing run in one task, behind the fence of the session: if the session can no longer be relied on,
//! the call stops where it is. A distribute-once listener waits at its barrier first. An instance that is stopped while
//! it waits withdraws from the barrier, because its session may live on and the others would wait for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::fault::{Fault, Reason};
use super::firing::FiringParts;
use super::kind::ListenerKind;
use super::{Firing, JobListeners};
use crate::catalogue::UnknownName;
use crate::cluster::fence::Gated;
use crate::cluster::guarantee::{Barrier, Failed, HookTurn, Passage};
use crate::cluster::launch::{CallResult, ListenerCall};
use crate::cluster::layout::Moment;
use crate::guard::{self, Cause, Panicked};
use crate::trace::Source;

/// The listeners of one job, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listeners {
    listeners: Arc<[Named]>,
    /// One for the job, over changes of its configuration: a firing from before a change contends with one after it.
    contending: Arc<Mutex<()>>,
}

#[derive(Debug)]
struct Named {
    name: Arc<str>,
    kind: Arc<ListenerKind>,
}

impl Listeners {
    /// Those of these names, in the place of those before.
    ///
    /// # Errors
    /// The first name that stands for none, or for one that cannot say its place.
    pub(crate) fn of(names: &[String], catalogue: &JobListeners, before: Option<&Self>) -> Result<Self, NoListener> {
        let mut listeners = Vec::with_capacity(names.len());
        for name in names {
            let kind = catalogue.get(name)?;
            let order = guard::call(|| kind.listener.order()).map_err(|panicked| NoListener::Panicked {
                name: name.clone(),
                panicked,
            })?;
            let name = name.as_str().into();
            listeners.push((order, Named { name, kind }));
        }
        // Stable: of one order they stay as they are named.
        listeners.sort_by_key(|(order, _)| *order);
        Ok(Self {
            listeners: listeners.into_iter().map(|(_, named)| named).collect(),
            contending: before.map(|before| Arc::clone(&before.contending)).unwrap_or_default(),
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.listeners.is_empty()
    }

    /// Calls all of them, in their order. The fence of the session and the cancellation stop it where it is.
    pub(crate) async fn call_listeners(self, call: ListenerCall) -> CallResult {
        let call = Arc::new(call);
        let firing = firing(&call);
        let mut called = CallResult::default();
        for index in 0..self.listeners.len() {
            let (fence, cancellation) = (call.membership.fence(), call.cancellation.clone());
            let one = self.clone().call_one(index, Arc::clone(&call), firing.clone());
            match Gated::new(Box::pin(one), fence, cancellation).await {
                Ok(One { result, turn }) => {
                    // The hook was called, even if this task is stopped from here on.
                    if let Some(turn) = turn {
                        turn.close().await;
                    }
                    if let Err(fault) = result {
                        called.faults.push(Box::new(fault));
                    }
                }
                Err(stopped) => {
                    let Named { name, kind } = &self.listeners[index];
                    debug!(listener = &**name, reason = %stopped, "listener stopped");
                    if kind.is_once {
                        // The session may live on, and others would wait for us.
                        barrier(&call, Arc::clone(&self.contending)).withdraw().await;
                    }
                    break;
                }
            }
        }
        called
    }

    async fn call_one(self, index: usize, call: Arc<ListenerCall>, firing: Firing) -> One {
        let Named { name, kind } = &self.listeners[index];
        let One { result, turn } = if kind.is_once {
            once(name, kind, &call, &firing, self.contending.clone()).await
        } else {
            One::without_turn(invoke(kind, call.moment, &firing).await)
        };
        let result = result.map_err(|source| Fault {
            listener: Arc::clone(name),
            moment: call.moment,
            source,
        });
        One { result, turn }
    }
}

/// Why a job does not have its listeners.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoListener {
    #[error(transparent)]
    Unknown(#[from] UnknownName),
    #[error("job listener `{name}`: `order` {panicked}")]
    Panicked { name: String, panicked: Panicked },
}

/// What came of a call of one listener.
struct One<E = Fault> {
    result: Result<(), E>,
    /// The hook was called here, for all instances: they have to learn it.
    turn: Option<HookTurn>,
}

impl<E> One<E> {
    fn without_turn(result: Result<(), E>) -> Self {
        Self { result, turn: None }
    }
}

/// Calls the hook, within its limit; a panic of it is a fault like any other.
async fn invoke(kind: &ListenerKind, moment: Moment, firing: &Firing) -> Result<(), Cause> {
    let limit = kind.limit(moment);
    // Made where a panic is caught, too: a hook need not be an async fn.
    let hook = guard::future(async { kind.listener.call(moment, firing).await });
    match timeout(limit, hook).await {
        Ok(Ok(result)) => result.map_err(Cause::from),
        Ok(Err(panicked)) => Err(panicked.into()),
        Err(_) => Err(Reason::TooSlow(limit).into()),
    }
}

/// Calls the hook if this instance has the right to, or waits until another instance has called it.
async fn once(
    name: &str,
    kind: &ListenerKind,
    call: &ListenerCall,
    firing: &Firing,
    contending: Arc<Mutex<()>>,
) -> One<Cause> {
    let barrier = barrier(call, contending);
    let limit = kind.limit(call.moment);
    let result = match barrier.wait(name, deadline(limit)).await {
        Ok(Passage::Called | Passage::Left) => Ok(()),
        Ok(Passage::Ours(turn)) => {
            return One {
                result: invoke(kind, call.moment, firing).await,
                turn: Some(turn),
            };
        }
        Err(Failed::Late(missing)) if missing.is_empty() => Err(Reason::NotCalled(limit).into()),
        Err(Failed::Late(missing)) => Err(Reason::Late {
            moment: call.moment,
            limit,
            missing,
        }
        .into()),
        // The fence stops us about now; who goes on sees to the hook.
        Err(Failed::SessionLost) => Ok(()),
    };
    One::without_turn(result)
}

/// Returns the barrier of a call.
fn barrier(call: &ListenerCall, contending: Arc<Mutex<()>>) -> Barrier {
    Barrier {
        membership: Arc::clone(&call.membership),
        clock: Arc::clone(&call.clock),
        job: call.config.name().as_str().into(),
        moment: call.moment,
        firing: call.firing.clone(),
        is_takeover: call.source == Source::Failover,
        items: call.items.clone(),
        total: call.config.sharding_total_count().get(),
        absent: call.absent.clone(),
        leaving: call.leaving.clone(),
        contending,
    }
}

/// Returns the moment at which a limit that begins now is over.
fn deadline(limit: Duration) -> Instant {
    let now = Instant::now();
    // Of a limit that no clock holds a century is as good.
    now.checked_add(limit)
        .unwrap_or_else(|| now + Duration::from_secs(100 * 365 * 24 * 3600))
}

/// Returns the firing as listeners see it.
fn firing(call: &ListenerCall) -> Firing {
    let config = &call.config;
    let parameter = |item: u32| config.item_parameters().get(item).map(Into::into);
    Firing::new(FiringParts {
        job_name: config.name().as_str().into(),
        task_id: Arc::clone(&call.task_id),
        instance_id: call.membership.id().clone().into_text(),
        sharding_total_count: config.sharding_total_count().get(),
        job_parameter: call.parameter.as_deref().unwrap_or(config.job_parameter()).into(),
        items: call.items.iter().map(|item| (*item, parameter(*item))).collect(),
        scheduled_time: call.scheduled_time,
        source: call.source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_no_hook_twice_at_once_over_a_change() {
        let catalogue = JobListeners::none();
        let before = Listeners::of(&[], &catalogue, None).unwrap();
        let _calling = before.contending.try_lock().unwrap();
        let after = Listeners::of(&[], &catalogue, Some(&before)).unwrap();
        assert!(after.contending.try_lock().is_err());
    }
}
