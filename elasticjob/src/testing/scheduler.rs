//! Machines that can be stopped: the spawner of simulated processes, and the loop that polls their tasks.
//!
//! Which of the tasks that are ready is polled next is drawn from the seed, so that a seed stands for one order of
//! everything, and different seeds try different orders. Nothing else may decide: the set of ready tasks is sorted,
//! so that the order in which a library wakes them has no influence.
//!
//! The items of a job are often ready at one instant, and each is a task: a draw looks at some of them, not at all.

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
use super::sorted::Sorted;
use super::threads;

/// The tasks of all machines. They end with it: tasks own spawners, and spawners the tasks, so they would never be dropped
/// otherwise.
pub(super) struct Scheduler {
    shared: Arc<Shared>,
    steps: Steps,
    /// More polls at one instant than the cluster needs: a task polls in a loop.
    polls_at_once: usize,
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
    Signalled,
}

/// Tasks were polled over and over while no time passed.
#[derive(Debug)]
pub(super) struct Livelock {
    pub(super) task: &'static str,
}

/// What the scheduler, its machines and the wakers of their tasks share.
struct Shared {
    // Std mutexes: held for a look or a change, and never while a task is polled, woken or dropped.
    tasks: Mutex<Tasks>,
    scheduler: Mutex<Option<Waker>>,
}

/// All tasks, and which of them are ready.
struct Tasks {
    last: u64,
    all: BTreeMap<u64, Task>,
    machines: Vec<State>,
    /// The tasks that are ready, of machines that run.
    ready: Sorted,
    /// The tasks that are ready, of machines that are paused.
    waiting: BTreeSet<u64>,
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

impl Scheduler {
    /// Returns a scheduler without machines, which draws from this source.
    pub(super) fn new(rng: fastrand::Rng, steps: Steps, polls_at_once: usize) -> Self {
        let tasks = Tasks {
            last: 0,
            all: BTreeMap::new(),
            machines: Vec::new(),
            ready: Sorted::default(),
            waiting: BTreeSet::new(),
            rng,
        };
        let shared = Shared {
            tasks: Mutex::new(tasks),
            scheduler: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
            steps,
            polls_at_once,
        }
    }

    /// Returns a new machine.
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
            *self.shared.scheduler() = Some(cx.waker().clone());
            // Changes between two calls are observed, too.
            let mut goes_on = after();
            while goes_on && let Some(task) = self.poll_one() {
                goes_on = after();
                let now = Instant::now();
                polls = if now == instant { polls + 1 } else { 0 };
                instant = now;
                if polls > self.polls_at_once {
                    return Poll::Ready(Err(Livelock { task }));
                }
            }
            if !goes_on {
                return Poll::Ready(Ok(Paused::Signalled));
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
            tasks.forget(id);
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

    /// Its tasks are polled again, those that were woken meanwhile among them.
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
        let dropped: Vec<Task> = ids.iter().filter_map(|id| tasks.forget(*id)).collect();
        drop(tasks);
        drop(dropped);
    }

    /// Changes the state of the machine. A crash is for good.
    fn set(&self, state: State) {
        let mut tasks = self.shared.tasks();
        if tasks.machines[self.index] != State::Crashed {
            tasks.machines[self.index] = state;
            tasks.sort_out(self.index);
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

    fn scheduler(&self) -> MutexGuard<'_, Option<Waker>> {
        self.scheduler.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws one of the ready tasks of the machines that run.
    fn take_one(&self) -> Option<(u64, BoxFuture<'static, ()>, &'static str)> {
        let mut tasks = self.tasks();
        let Tasks { all, ready, rng, .. } = &mut *tasks;
        if ready.is_empty() {
            return None;
        }
        let id = ready.take(rng.usize(..ready.len()));
        let task = all.get_mut(&id)?;
        Some((id, task.future.take()?, task.name))
    }

    fn wake(&self, id: u64) {
        self.tasks().wake(id);
        self.wake_scheduler();
    }

    /// Has the scheduler look for ready tasks.
    fn wake_scheduler(&self) {
        let waker = self.scheduler().clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Tasks {
    /// Makes a task ready. One that is over stays so.
    fn wake(&mut self, id: u64) {
        let Some(task) = self.all.get(&id) else { return };
        match self.machines[task.machine] {
            State::Running => self.ready.insert(id),
            State::Paused => drop(self.waiting.insert(id)),
            State::Crashed => {}
        }
    }

    /// Removes a task.
    fn forget(&mut self, id: u64) -> Option<Task> {
        self.ready.remove(id);
        self.waiting.remove(&id);
        self.all.remove(&id)
    }

    /// Puts the ready tasks of a machine, which has another state now, where they belong.
    fn sort_out(&mut self, machine: usize) {
        let is_own = |id: &u64| self.all.get(id).is_some_and(|task| task.machine == machine);
        let ready = self.ready.iter().chain(self.waiting.iter().copied());
        let own: Vec<u64> = ready.filter(is_own).collect();
        for id in own {
            self.ready.remove(id);
            self.waiting.remove(&id);
            self.wake(id);
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::schedule::{Clock, SystemClock};

    /// A scheduler with a machine, and how often its tasks were polled.
    struct Bench {
        scheduler: Scheduler,
        machine: Machine,
        polls: Arc<AtomicUsize>,
    }

    impl Bench {
        /// Starts so many tasks, each of which ends when it is first polled.
        fn start(tasks: usize) -> Self {
            let scheduler = Scheduler::new(fastrand::Rng::with_seed(1), Steps::default(), tasks + 10);
            let (machine, polls) = (scheduler.machine(), Arc::new(AtomicUsize::new(0)));
            for _ in 0..tasks {
                let polls = Arc::clone(&polls);
                let poll = async move {
                    polls.fetch_add(1, Ordering::Relaxed);
                };
                machine.spawn("item", Box::pin(poll));
            }
            Self {
                scheduler,
                machine,
                polls,
            }
        }

        async fn pass_a_second(&self, goes_on: impl FnMut() -> bool) -> Result<Paused, Livelock> {
            let end = Instant::now() + Duration::from_secs(1);
            self.scheduler.run_until(end, goes_on).await
        }

        fn polls(&self) -> usize {
            self.polls.load(Ordering::Relaxed)
        }
    }

    mod tasks_that_are_ready_at_once {
        use super::*;

        /// Thousands of times as long as it takes, and a small part of what it takes if each draw looks at all.
        const LIMIT: Duration = Duration::from_secs(60);

        #[tokio::test(start_paused = true)]
        async fn are_drawn_without_a_look_at_all() {
            let bench = Bench::start(200_000);
            let clock = SystemClock::new();
            let began = clock.elapsed();
            let paused = bench.pass_a_second(|| clock.elapsed() - began < LIMIT).await.unwrap();
            assert_eq!((paused, bench.polls()), (Paused::Due, 200_000));
        }

        #[tokio::test(start_paused = true)]
        async fn wait_for_their_machine() {
            let bench = Bench::start(3);
            bench.machine.pause();
            bench.pass_a_second(|| true).await.unwrap();
            assert_eq!(bench.polls(), 0);
            bench.machine.go_on();
            bench.pass_a_second(|| true).await.unwrap();
            assert_eq!(bench.polls(), 3);
        }

        #[tokio::test(start_paused = true)]
        async fn go_with_their_machine() {
            let bench = Bench::start(3);
            bench.machine.crash();
            bench.machine.go_on();
            bench.pass_a_second(|| true).await.unwrap();
            assert_eq!(bench.polls(), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_polls_in_a_loop_is_found() {
        let bench = Bench::start(3);
        let looping = std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        bench.machine.spawn("loop", Box::pin(looping));
        let found = bench.pass_a_second(|| true).await.unwrap_err();
        assert_eq!(found.task, "loop");
    }
}
