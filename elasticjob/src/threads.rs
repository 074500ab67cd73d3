//! Threads for work that blocks.
//!
//! They are ours and not tokio's: a runtime that is dropped, as `#[tokio::main]` does when `main` returns, waits for its
//! blocking threads without end, so that one job which never returns would keep its process for ever. The end of a process
//! does not wait for these.
//!
//! A thread that has nothing to do is kept for a while. If [`MOST`] threads are busy, work waits for one of them.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tracing::error;

use crate::guard;

/// The largest number of threads at once, as many as tokio has.
const MOST: usize = 512;

/// How long a thread waits for more to do.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The threads of this process.
pub(crate) static THREADS: Threads = Threads::new();

/// A piece of work, and the runtime that it finds as the current one.
struct Piece {
    runtime: Handle,
    work: Box<dyn FnOnce() + Send>,
}

/// Threads that are started when they are needed.
pub(crate) struct Threads {
    /// Std mutex: held for moments, and never while work is done.
    state: Mutex<State>,
    /// There is something to do.
    added: Condvar,
}

struct State {
    queue: VecDeque<Piece>,
    threads: usize,
    /// Threads that take a piece as soon as there is one: they wait, or have just been started.
    idle: usize,
}

impl Threads {
    const fn new() -> Self {
        Self {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                threads: 0,
                idle: 0,
            }),
            added: Condvar::new(),
        }
    }

    /// Runs `work`, which does not panic, on a thread, with `runtime` as the current one.
    pub(crate) fn run(&'static self, runtime: Handle, work: Box<dyn FnOnce() + Send>) {
        let mut state = self.state();
        state.queue.push_back(Piece { runtime, work });
        if state.queue.len() <= state.idle || state.threads == MOST {
            self.added.notify_one();
            return;
        }
        state.threads += 1;
        state.idle += 1;
        drop(state);
        let thread = thread::Builder::new().name("elasticjob-blocking".to_owned());
        if let Err(error) = thread.spawn(|| self.work()) {
            self.not_started(&error);
        }
    }

    fn not_started(&self, error: &std::io::Error) {
        let mut state = self.state();
        state.threads -= 1;
        state.idle -= 1;
        let waits = state.threads > 0;
        // Without any thread nothing would ever run it. It is dropped, which its caller sees.
        let refused = if waits {
            VecDeque::new()
        } else {
            std::mem::take(&mut state.queue)
        };
        drop(state);
        error!(%error, waits, "cannot start a thread for work that blocks");
        refused.into_iter().for_each(guard::discard);
    }

    /// Takes one piece after the other, and waits a while for more.
    fn work(&self) {
        let mut state = self.state();
        loop {
            let waited = self
                .added
                .wait_timeout_while(state, KEEP_ALIVE, |state| state.queue.is_empty());
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.idle -= 1;
            let Some(Piece { runtime, work }) = state.queue.pop_front() else {
                state.threads -= 1;
                return;
            };
            drop(state);
            {
                let _current = runtime.enter();
                work();
            }
            state = self.state();
            state.idle += 1;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// Threads of a test's own.
    fn threads() -> &'static Threads {
        Box::leak(Box::new(Threads::new()))
    }

    #[tokio::test]
    async fn do_as_many_pieces_at_once_as_there_is_room_for() {
        let threads = threads();
        let (begun, begins) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let released = std::sync::Arc::new(Mutex::new(released));
        for piece in 0..MOST + 2 {
            let (begun, released) = (begun.clone(), std::sync::Arc::clone(&released));
            let work = move || {
                begun.send(piece).unwrap();
                let _ = released.lock().unwrap().recv();
            };
            threads.run(Handle::current(), Box::new(work));
        }
        for _ in 0..MOST {
            begins.recv_timeout(PATIENCE).unwrap();
        }
        assert_eq!(threads.state().queue.len(), 2, "no thread is left for these");
        drop(release);
        for _ in 0..2 {
            begins.recv_timeout(PATIENCE).unwrap();
        }
    }

    #[tokio::test]
    async fn are_used_again() {
        let threads = threads();
        for _ in 0..100 {
            let (done, ended) = mpsc::channel();
            threads.run(Handle::current(), Box::new(move || done.send(()).unwrap()));
            ended.recv_timeout(PATIENCE).unwrap();
            while threads.state().idle == 0 {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(threads.state().threads, 1);
    }

    #[test]
    fn have_the_runtime_and_outlive_it() {
        let threads = threads();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (begun, begins) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let (done, ended) = mpsc::channel();
        let work = move || {
            begun.send(Handle::current().id()).unwrap();
            let _ = released.recv();
            done.send(()).unwrap();
        };
        threads.run(runtime.handle().clone(), Box::new(work));
        assert_eq!(begins.recv_timeout(PATIENCE).unwrap(), runtime.handle().id());
        // It would wait here for a blocking thread of its own.
        drop(runtime);
        drop(release);
        ended.recv_timeout(PATIENCE).unwrap();
    }
}
