//! The blocking work of one run: it counts against the pool, and is refused once the run is to stop.
//!
//! Work that has begun cannot be stopped from outside. So it keeps the room of its item in the pool until it ends, and
//! the end of the run waits for it: until then the item's mark keeps every other instance from running the item.

use std::sync::Weak;

use tokio_util::sync::CancellationToken;

use crate::cluster::fence::Fence;
use crate::erased::BoxFuture;
use crate::job::BlockingExecutor;
use crate::tasks::Tasks;

use super::{Permit, Ticket};

/// What a run holds until it is over, and its blocking work with it.
#[derive(Debug)]
pub(super) struct Stay {
    /// Its room in the pool: work that overruns still counts.
    pub(super) _permit: Permit,
    /// Its place among the runs that go on.
    pub(super) ticket: Ticket,
}

/// Runs the blocking work of one run of an item, and only while that run lasts.
#[derive(Debug)]
pub(super) struct RunBlocking {
    /// A branch that has the work of this run alone.
    pub(super) tasks: Tasks,
    pub(super) fence: Fence,
    /// Cancelled when the run is to stop, and when it is over.
    pub(super) cancellation: CancellationToken,
    /// Weak, because the job may keep this executor for as long as it likes.
    pub(super) stay: Weak<Stay>,
}

impl BlockingExecutor for RunBlocking {
    /// Refuses work once the run is to stop; also such as waited for a thread until then.
    fn run(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        let Some(stay) = self.stay.upgrade() else {
            return Box::pin(async {});
        };
        let (fence, cancellation) = (self.fence.clone(), self.cancellation.clone());
        let task = self.tasks.spawn_blocking("blocking job", move || {
            if !fence.is_passed() && !cancellation.is_cancelled() {
                let _goes_on = stay.ticket.blocking();
                work();
            }
            drop(stay);
        });
        Box::pin(async move {
            // It ended, or was dropped with the runtime: the task that waits for its result sees which.
            let _ = task.await;
        })
    }
}
