//! Machines that can be stopped: the spawner of simulated processes, and the loop that polls their tasks.
//!
//! Which of the tasks that are ready is polled next is drawn from the seed, so that a seed stands for one order of
//! everything, and different seeds try different orders. Nothing else may decide: the set of ready tasks is sorted,
//! so that the order in which a library wakes them has no influence.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tokio::task::unconstrained;
use tokio::time::{Instant, sleep_until};

use crate::erased::BoxFuture;
use crate::tasks::Spawner;

use super::outside::Steps;
use super::threads;

/// More polls at one instant than any cluster needs: a task polls in a loop.
const POLLS_AT_ONCE: usize = 50_000;

/// The tasks of all machines. They end with it: tasks own spawners, and spawners the tasks, so they would never be dropped
/// otherwise.
pub(super) struct Scheduler {
    shared: Arc<Shared>,
    steps: Steps,
}

/// One machine's way to the scheduler.
#[derive(Clone)]
pub(super) struct Machine {
    shared: Arc<Shared>,
    index: usize,
}

/// Why no more is polled for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paused {
    /// The time has come.
    Due,
    /// The observer asked for it.
    Told,
}

/// Tasks were polled over and over while no time passed.
#[derive(Debug)]
pub(super) struct Livelock {
    pub(super) task: &'static str,
}

struct Shared {
    // Std mutexes: held for a look or a change, and never while a task is polled or dropped.
    tasks: Mutex<Tasks>,
    ready: Mutex<Ready>,
}

struct Tasks {
    last: u64,
    all: BTreeMap<u64, Task>,
    machines: Vec<State>,
    rng: fastrand::Rng,
}

struct Task {
    machine: usize,
    name: &'static str,
    /// Taken out while it is polled.
    future: Option<BoxFuture<'static, ()>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Paused,
    Crashed,
}

#[derive(Default)]
struct Ready {
    tasks: BTreeSet<u64>,
    scheduler: Option<Waker>,
}

impl Scheduler {
    pub(super) fn new(rng: fastrand::Rng, steps: Steps) -> Self {
        let tasks = Tasks {
            last: 0,
            all: BTreeMap::new(),
            machines: Vec::new(),
            rng,
        };
        let shared = Shared {
            tasks: Mutex::new(tasks),
            ready: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
            steps,
        }
    }

    /// A new machine.
    pub(super) fn machine(&self) -> Machine {
        let mut tasks = self.shared.tasks();
        tasks.machines.push(State::Running);
        Machine {
            shared: Arc::clone(&self.shared),
            index: tasks.machines.len() - 1,
        }
    }

    /// Polls ready tasks until `at`; `after` each poll decides whether to go on.
    pub(super) async fn run_until(&self, at: Instant, mut after: impl FnMut() -> bool) -> Result<Paused, Livelock> {
        let mut sleep = pin!(sleep_until(at));
        let mut instant = Instant::now();
        let mut polls = 0;
        let run = poll_fn(|cx| {
            self.shared.ready().scheduler = Some(cx.waker().clone());
            // Changes between two calls are observed, too.
            let mut goes_on = after();
            while goes_on && let Some(task) = self.poll_one() {
                goes_on = after();
                let now = Instant::now();
                polls = if now == instant { polls + 1 } else { 0 };
                instant = now;
                if polls > POLLS_AT_ONCE {
                    return Poll::Ready(Err(Livelock { task }));
                }
            }
            if !goes_on {
                return Poll::Ready(Ok(Paused::Told));
            }
            sleep.as_mut().poll(cx).map(|()| Ok(Paused::Due))
        });
        unconstrained(run).await
    }

    /// Polls one of the tasks that are ready; gives its name.
    fn poll_one(&self) -> Option<&'static str> {
        let (id, mut future, name) = self.shared.take_one()?;
        self.steps.count();
        let waker = Waker::from(Arc::new(TaskWaker {
            shared: Arc::clone(&self.shared),
            id,
        }));
        let is_over = unconstrained_poll(&mut future, &mut Context::from_waker(&waker)).is_ready();
        let mut tasks = self.shared.tasks();
        if is_over {
            tasks.all.remove(&id);
        } else if let Some(task) = tasks.all.get_mut(&id) {
            task.future = Some(future);
            return Some(name);
        }
        drop(tasks);
        Some(name)
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        let mut tasks = self.shared.tasks();
        // What a task spawns when it is dropped is dropped at once.
        tasks.machines.fill(State::Crashed);
        let all = std::mem::take(&mut tasks.all);
        drop(tasks);
        drop(all);
    }
}

/// A library's own limit on how much a task does at once would let the count of polls decide what happens.
fn unconstrained_poll(future: &mut BoxFuture<'static, ()>, cx: &mut Context<'_>) -> Poll<()> {
    let mut future = unconstrained(future.as_mut());
    pin!(&mut future).poll(cx)
}

impl Machine {
    /// None of its tasks is polled until it goes on.
    pub(super) fn pause(&self) {
        self.set(State::Paused);
    }

    pub(super) fn go_on(&self) {
        self.set(State::Running);
        self.shared.wake_scheduler();
    }

    /// All its tasks are dropped where they are, and none is started any more.
    pub(super) fn crash(&self) {
        self.set(State::Crashed);
        let mut tasks = self.shared.tasks();
        let own = |(id, task): (&u64, &Task)| (task.machine == self.index).then_some(*id);
        let ids: Vec<u64> = tasks.all.iter().filter_map(own).collect();
        let dropped: Vec<Task> = ids.iter().filter_map(|id| tasks.all.remove(id)).collect();
        drop(tasks);
        drop(dropped);
    }

    fn set(&self, state: State) {
        let mut tasks = self.shared.tasks();
        if tasks.machines[self.index] != State::Crashed {
            tasks.machines[self.index] = state;
        }
    }
}

impl Spawner for Machine {
    fn spawn(&self, name: &'static str, future: BoxFuture<'static, ()>) {
        let mut tasks = self.shared.tasks();
        if tasks.machines[self.index] == State::Crashed {
            drop(tasks);
            drop(future);
            return;
        }
        tasks.last += 1;
        let id = tasks.last;
        let task = Task {
            machine: self.index,
            name,
            future: Some(future),
        };
        tasks.all.insert(id, task);
        drop(tasks);
        self.shared.wake(id);
    }

    fn spawn_blocking(&self, name: &'static str, work: Box<dyn FnOnce() + Send>) {
        self.spawn(name, Box::pin(threads::run(work)));
    }
}

impl Shared {
    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ready(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws one of the ready tasks of the machines that run.
    fn take_one(&self) -> Option<(u64, BoxFuture<'static, ()>, &'static str)> {
        let mut tasks = self.tasks();
        let mut ready = self.ready();
        let Tasks { all, machines, rng, .. } = &mut *tasks;
        ready.tasks.retain(|id| all.contains_key(id));
        let can_run = |id: &&u64| all.get(id).is_some_and(|task| machines[task.machine] == State::Running);
        let count = ready.tasks.iter().filter(can_run).count();
        if count == 0 {
            return None;
        }
        let id = *ready.tasks.iter().filter(can_run).nth(rng.usize(..count))?;
        ready.tasks.remove(&id);
        let task = all.get_mut(&id)?;
        Some((id, task.future.take()?, task.name))
    }

    fn wake(&self, id: u64) {
        self.ready().tasks.insert(id);
        self.wake_scheduler();
    }

    fn wake_scheduler(&self) {
        let waker = self.ready().scheduler.clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

struct TaskWaker {
    shared: Arc<Shared>,
    id: u64,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.shared.wake(self.id);
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}
