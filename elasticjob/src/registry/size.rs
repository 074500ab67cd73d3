//! How large a request may be, and how work is split into requests of that size.
//!
//! A ZooKeeper server closes the connection on a request beyond its limit, which looks like any other loss of the
//! connection and would be repeated for ever. An etcd server refuses a transaction of too many comparisons. So sizes are
//! checked here, before anything is sent. The estimate is coarse and on the safe side.

use std::iter::Sum;
use std::ops::{Add, AddAssign};

use crate::limits;

use super::{CreateMode, Error, Read, Step, path};

/// How much a registry takes in one request.
///
/// By default, these are the limits of a registry that counts bytes alone: as many steps as there may be, and
/// [`MAX_TRANSACTION_SIZE`](super::MAX_TRANSACTION_SIZE).
///
/// ```
/// use elasticjob::registry::{Limits, Step, size_of};
///
/// let check = Step::Check { path: "/job".into(), version: None };
/// let limits = Limits { steps: 2, ..Limits::default() };
/// assert!(limits.take(size_of(&[check.clone(), check.clone()])));
/// assert!(!limits.take(size_of(&[check.clone(), check.clone(), check])));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most steps, as [`Size::steps`] counts them. At least 48: the framework never needs more for what belongs together.
    pub steps: usize,
    /// Most bytes, as [`Size::bytes`] counts them.
    pub bytes: usize,
}

/// The size of a transaction, or of a request to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// How much the registry has to look at. To set or to check a node counts once. To create one counts twice, with its
    /// parent, and three times if it is sequential and has a counter. To delete one counts three times, with what is below, and
    /// what is beside it if its parent is deleted too. To read data counts once, and to read children twice.
    pub steps: usize,
    /// An estimate that is never less than half of what it takes on the wire.
    pub bytes: usize,
}

impl Limits {
    /// Returns whether a request of this size is within the limits.
    #[must_use]
    pub fn take(self, size: Size) -> bool {
        size.steps <= self.steps && size.bytes <= self.bytes
    }

    /// Returns what a transaction of this job's worker may take before the checks that it may still write are put around it.
    pub(crate) fn of_worker(self, job: &str) -> Self {
        Self {
            steps: self.steps.saturating_sub(STEPS_OF_CHECKS),
            bytes: self.bytes.saturating_sub(BYTES_OF_CHECKS + job.len()),
        }
    }

    /// Returns what is left beside something of this size.
    pub(crate) fn beside(self, size: Size) -> Self {
        Self {
            steps: self.steps.saturating_sub(size.steps),
            bytes: self.bytes.saturating_sub(size.bytes),
        }
    }

    /// So many items are looked at together, to be repaired, taken over or loaded, or change in one way alone. It bounds what
    /// is read for nothing if another instance was faster; what fits into a transaction is measured.
    pub(crate) fn batch(self) -> usize {
        (self.bytes / BYTES_AN_ITEM).min(self.steps / STEPS_AN_ITEM).max(1)
    }

    /// So many items are read together if all of them are to be read: a few requests are under way at a time, and their
    /// answers, which take many times what is kept of them, in memory.
    pub(crate) fn items_at_once(self) -> usize {
        self.batch() * 16
    }

    /// # Errors
    /// [`Error::TooLarge`], [`Error::TooManySteps`].
    fn check(self, size: Size) -> Result<(), Error> {
        let Self { steps, bytes } = self;
        if size.bytes > bytes {
            return Err(Error::TooLarge {
                size: size.bytes,
                limit: bytes,
            });
        }
        if size.steps > steps {
            return Err(Error::TooManySteps {
                steps: size.steps,
                limit: steps,
            });
        }
        Ok(())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            steps: usize::MAX,
            bytes: limits::transaction_size(),
        }
    }
}

impl Add for Size {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            steps: self.steps + other.steps,
            bytes: self.bytes + other.bytes,
        }
    }
}

impl AddAssign for Size {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Size {
    fn sum<I: Iterator<Item = Self>>(sizes: I) -> Self {
        sizes.fold(Self::default(), Add::add)
    }
}

/// What the checks of a worker take beside the job's name: a path, with the longest names that instances have.
const BYTES_OF_CHECKS: usize = 512;

/// That the instance is a member, and that the epoch is the one that it knows.
const STEPS_OF_CHECKS: usize = 2;

/// What an item usually takes at most: some paths, and its ledger.
const BYTES_AN_ITEM: usize = 1024;

/// One node is deleted, and another is created with its parent.
const STEPS_AN_ITEM: usize = 6;

/// What a step costs beside its path and data: headers, access rights, and the namespace before its path.
/// The other half of the server's limit covers namespaces of up to 100 bytes on the shortest steps.
const STEP_OVERHEAD: usize = 64;

/// Returns the size of a transaction.
///
/// A caller that splits work over several transactions adds up the sizes of the steps:
///
/// ```
/// use elasticjob::registry::{MAX_TRANSACTION_SIZE, Step, size_of};
///
/// let step = Step::Set { path: "/job/config".into(), data: vec![0; 1024], version: None };
/// let size = size_of(&[step.clone()]);
/// assert_eq!(size_of(&[step.clone(), step]), size + size);
/// assert!(size.steps == 1 && size.bytes < MAX_TRANSACTION_SIZE);
/// ```
#[must_use]
pub fn size_of(steps: &[Step]) -> Size {
    steps.iter().map(size_of_step).sum()
}

fn size_of_step(step: &Step) -> Size {
    let (steps, data) = match step {
        Step::Create { data, mode, .. } => (if *mode == CreateMode::EphemeralSequential { 3 } else { 2 }, data.len()),
        Step::Set { data, .. } => (1, data.len()),
        Step::Delete { .. } => (3, 0),
        Step::Check { .. } => (1, 0),
    };
    Size {
        steps,
        bytes: STEP_OVERHEAD + step.path().len() + data,
    }
}

/// Checks everything about a transaction that can be known before it is sent.
pub(super) fn check_steps(steps: &[Step], limits: Limits) -> Result<(), super::WriteError> {
    for (index, step) in steps.iter().enumerate() {
        check_step(step).map_err(|error| super::WriteError {
            step: Some(index),
            error,
        })?;
    }
    Ok(limits.check(size_of(steps))?)
}

fn check_step(step: &Step) -> Result<(), Error> {
    let path = step.path();
    path::validate(path)?;
    if path == "/" && matches!(step, Step::Create { .. } | Step::Delete { .. }) {
        return Err(Error::InvalidArgument(
            "the namespace itself can be neither created nor deleted".into(),
        ));
    }
    Ok(())
}

/// As [`check_steps`], for reads.
pub(super) fn check_reads(reads: &[Read], limits: Limits) -> Result<(), Error> {
    for read in reads {
        let (Read::Data(path) | Read::Children(path)) = read;
        path::validate(path)?;
    }
    limits.check(reads.iter().map(size_of_read).sum())
}

/// The reads, in order, in as few requests as take them; one at least.
pub(super) fn parts(reads: Vec<Read>, limits: Limits) -> Vec<Vec<Read>> {
    // One that is too large alone is refused alone, with its size.
    packed(reads, limits, size_of_read)
}

/// Packs things, in order, into as few groups within the limits as take them; one at least. A thing that is too large
/// alone has a group of its own.
pub(crate) fn packed<T>(
    things: impl IntoIterator<Item = T>,
    limits: Limits,
    size_of: impl Fn(&T) -> Size,
) -> Vec<Vec<T>> {
    let mut full = Vec::new();
    let (mut last, mut last_size) = (Vec::new(), Size::default());
    for thing in things {
        let size = size_of(&thing);
        if !last.is_empty() && !limits.take(last_size + size) {
            full.push(std::mem::take(&mut last));
            last_size = Size::default();
        }
        last_size += size;
        last.push(thing);
    }
    full.push(last);
    full
}

fn size_of_read(read: &Read) -> Size {
    let (steps, path) = match read {
        Read::Data(path) => (1, path),
        Read::Children(path) => (2, path),
    };
    Size {
        steps,
        bytes: STEP_OVERHEAD + path.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MAX_TRANSACTION_SIZE;

    mod reads {
        use super::*;

        fn of(paths: usize, length: usize) -> Vec<Read> {
            let path = |number| Read::Data(format!("/{number:0length$}"));
            (0..paths).map(path).collect()
        }

        #[test]
        fn go_in_as_few_requests_as_take_them_and_in_order() {
            let check = |reads: Vec<Read>, sizes: &[usize]| {
                let limits = Limits::default();
                let parts = parts(reads.clone(), limits);
                assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), sizes);
                assert!(parts.iter().all(|part| check_reads(part, limits).is_ok()));
                assert_eq!(parts.concat(), reads);
            };
            // 64 + 1 + 63 bytes each, so 4,096 fill a request.
            check(of(0, 63), &[0]);
            check(of(4096, 63), &[4096]);
            check(of(4097, 63), &[4096, 1]);
            check(
                of(40_000, 63),
                &[4096, 4096, 4096, 4096, 4096, 4096, 4096, 4096, 4096, 3136],
            );
        }

        #[test]
        fn that_no_request_takes_are_refused_alone() {
            let limits = Limits::default();
            let reads = vec![Read::Data("/a".into()), Read::Data("/a".repeat(MAX_TRANSACTION_SIZE))];
            let parts = parts(reads, limits);
            assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
            assert!(matches!(check_reads(&parts[1], limits), Err(Error::TooLarge { .. })));
        }

        #[cfg(feature = "testing")]
        #[test]
        fn obey_lowered_limits() {
            let _limits = limits::lower(1024, 1);
            assert_eq!(parts(of(17, 63), Limits::default()).len(), 3);
            assert!(check_reads(&of(9, 63), Limits::default()).is_err());
        }

        #[test]
        fn go_in_requests_of_as_many_steps_as_a_registry_takes() {
            let limits = Limits {
                steps: 10,
                ..Limits::default()
            };
            let children = vec![Read::Children("/a".into()); 11];
            let reads = [of(12, 3), children].concat();
            let parts = parts(reads.clone(), limits);
            assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [10, 6, 5, 2]);
            assert_eq!(parts.concat(), reads);
            let error = Error::TooManySteps { steps: 34, limit: 10 };
            assert_eq!(check_reads(&reads, limits), Err(error));
        }
    }
}
