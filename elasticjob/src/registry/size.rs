//! How large a request may be.

use super::{Error, Read, Step, path};
use crate::limits;

/// The largest transaction, in bytes as [`size_of`] counts them, that a session sends: half of what a
/// ZooKeeper server takes by default, since it answers anything larger by cutting the connection.
pub const MAX_TRANSACTION_SIZE: usize = 512 * 1024;

/// What a step costs beside its path and data: headers, access rights, and the namespace before its path.
/// The other half of the server's limit covers namespaces of up to 100 bytes on the shortest steps.
const STEP_OVERHEAD: usize = 64;

/// The size of a transaction, never less than half of what it takes on the wire.
///
/// Whoever splits work over several transactions adds up the sizes of the steps:
///
/// ```
/// use elasticjob::registry::{MAX_TRANSACTION_SIZE, Step, size_of};
///
/// let step = Step::Set { path: "/job/config".into(), data: vec![0; 1024], version: None };
/// assert_eq!(size_of(&[step.clone(), step.clone()]), 2 * size_of(&[step.clone()]));
/// assert!(size_of(&[step]) < MAX_TRANSACTION_SIZE);
/// ```
#[must_use]
pub fn size_of(steps: &[Step]) -> usize {
    steps.iter().map(size_of_step).sum()
}

fn size_of_step(step: &Step) -> usize {
    STEP_OVERHEAD
        + match step {
            Step::Create { path, data, .. } | Step::Set { path, data, .. } => path.len() + data.len(),
            Step::Delete { path, .. } | Step::Check { path, .. } => path.len(),
        }
}

/// Checks everything about a transaction that can be known before it is sent.
pub(super) fn check_steps(steps: &[Step]) -> Result<(), super::WriteError> {
    for (index, step) in steps.iter().enumerate() {
        check_step(step).map_err(|error| super::WriteError {
            step: Some(index),
            error,
        })?;
    }
    check_size(size_of(steps), limits::transaction_size())?;
    Ok(())
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
pub(super) fn check_reads(reads: &[Read]) -> Result<(), Error> {
    let mut size = 0;
    for read in reads {
        let (Read::Data(path) | Read::Children(path)) = read;
        path::validate(path)?;
        size += STEP_OVERHEAD + path.len();
    }
    check_size(size, MAX_TRANSACTION_SIZE)
}

fn check_size(size: usize, limit: usize) -> Result<(), Error> {
    if size > limit {
        return Err(Error::TooLarge { size, limit });
    }
    Ok(())
}
