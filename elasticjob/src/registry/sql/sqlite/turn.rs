//! The turns of writers.
//!
//! SQLite lets one connection write at a time, and a connection that finds another one writing tries again after a pause: one of
//! four busy writers may wait for seconds. So writers queue for a lock on a file beside the database, which the system gives
//! to one after the other, and frees if a process dies.
//!
//! The lock is no more than a queue. Correctness does not hang on it: a program that writes to the file without waiting
//! for its turn, such as a shell, is kept apart by SQLite's own locks.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

use super::file::Identity;
use crate::threads::THREADS;

/// The lock, for all sessions of this process that share it. Clones are the same lock.
#[derive(Clone, Debug)]
pub(super) struct Turns {
    // Held for a turn, and across the wait for it: sessions of one process come in the order in which they ask.
    file: Arc<Mutex<LockFile>>,
}

/// The file to lock, and who waits for it in this process.
#[derive(Debug)]
struct LockFile {
    path: PathBuf,
    /// Open, and locked during a turn.
    file: Option<File>,
    waiter: Waiter,
}

/// The caller that the lock is for once the thread that waits for it has it. Clones are the same.
///
/// If a caller gives up, the next one takes its place: a process that is stopped amid its turn holds up one thread here,
/// however often its turn is waited for. If there is no caller any more, the lock is free again at once.
#[derive(Clone, Debug, Default)]
struct Waiter {
    // std mutex: held for moments.
    state: Arc<std::sync::Mutex<WaiterState>>,
}

#[derive(Debug, Default)]
enum WaiterState {
    /// No thread waits for the lock.
    #[default]
    NoThread,
    /// A thread waits, for this caller unless it has given up.
    Thread(oneshot::Sender<io::Result<File>>),
}

/// The turn of a session. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    file: OwnedMutexGuard<LockFile>,
}

impl Turns {
    /// The turns at this database.
    pub(super) fn at(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-turn");
        Self {
            file: Arc::new(Mutex::new(LockFile {
                path: path.into(),
                file: None,
                waiter: Waiter::default(),
            })),
        }
    }

    /// Waits for our turn.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn take(&self) -> io::Result<Turn> {
        let mut file = Arc::clone(&self.file).lock_owned().await;
        file.lock().await?;
        Ok(Turn { file })
    }
}

impl LockFile {
    /// Locks the file that has the name now.
    async fn lock(&mut self) -> io::Result<()> {
        loop {
            let file = self.locked().await?;
            // If the file was removed meanwhile, others queue for another one.
            let identity = Identity::of_file(&file)?;
            if Identity::of(&self.path).is_ok_and(|named| named == identity) {
                self.file = Some(file);
                return Ok(());
            }
        }
    }

    /// Waits for the lock on a file that may have been removed meanwhile. A lock that is free is taken without a
    /// thread.
    async fn locked(&mut self) -> io::Result<File> {
        let (sender, locked) = oneshot::channel();
        if let Err(sender) = self.waiter.succeed(sender) {
            let file = match self.file.take() {
                Some(file) => file,
                None => open(&self.path)?,
            };
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => self.waiter.wait_for(file, sender),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        let without_thread = |_| Err(io::Error::other("there is no thread to wait for the lock"));
        locked.await.unwrap_or_else(without_thread)
    }
}

impl Waiter {
    /// Takes the place of the caller that a thread waits for, if one does.
    fn succeed(&self, sender: oneshot::Sender<io::Result<File>>) -> Result<(), oneshot::Sender<io::Result<File>>> {
        match &mut *self.state() {
            WaiterState::NoThread => Err(sender),
            WaiterState::Thread(given_up) => {
                *given_up = sender;
                Ok(())
            }
        }
    }

    /// Lets a thread wait.
    fn wait_for(&self, file: File, sender: oneshot::Sender<io::Result<File>>) {
        *self.state() = WaiterState::Thread(sender);
        let thread = WaitingThread(self.clone());
        let wait = move || {
            let result = file.lock().map(|()| file);
            if let WaiterState::Thread(sender) = thread.0.take() {
                // If the caller has given up, the file is closed, and the lock is free again.
                drop(sender.send(result));
            }
        };
        THREADS.run(Handle::current(), Box::new(wait));
    }

    /// Takes the caller out, so that there is no thread for the next one.
    fn take(&self) -> WaiterState {
        std::mem::take(&mut *self.state())
    }

    fn state(&self) -> MutexGuard<'_, WaiterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that waits, or would have if it had been started.
struct WaitingThread(Waiter);

impl Drop for WaitingThread {
    fn drop(&mut self) {
        drop(self.0.take());
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // A file that cannot be unlocked is closed, which unlocks it.
        self.file.file = self.file.file.take().filter(|file| file.unlock().is_ok());
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).open(path)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_turn_that_is_given_up_should_hold_up_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("jobs.db");
        let (first, second, third) = (Turns::at(&database), Turns::at(&database), Turns::at(&database));
        let turn = first.take().await.unwrap();
        for _ in 0..3 {
            let given_up = timeout(Duration::from_millis(20), second.take()).await;
            assert!(given_up.is_err());
        }
        drop(turn);
        // The thread of the second has the lock some time from now, for no caller.
        for turns in [&third, &second, &first, &third] {
            let turn = timeout(Duration::from_secs(10), turns.take()).await;
            drop(turn.expect("a turn comes").unwrap());
        }
    }

    #[tokio::test]
    async fn turns_should_be_at_the_file_that_has_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("jobs.db");
        let (first, second) = (Turns::at(&database), Turns::at(&database));
        let turn = first.take().await.unwrap();
        std::fs::remove_file(folder.path().join("jobs.db-turn")).unwrap();
        let other = second.take().await.unwrap();
        drop(turn);
        // The first has its file open, and finds that it has no name any more.
        assert!(timeout(Duration::from_millis(20), first.take()).await.is_err());
        drop(other);
        timeout(Duration::from_secs(10), first.take())
            .await
            .expect("a turn comes")
            .unwrap();
    }
}
