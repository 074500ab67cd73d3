//! How large a request may be, and how work is split into requests of that size.
//!
//! A ZooKeeper server closes the connection on a request beyond its limit, which looks like any other loss of the
//! connection and would be repeated for ever. So sizes are checked here, before anything is sent. The estimate is
//! coarse and on the safe side.

use crate::limits;

use super::{Error, Read, Step, path};

/// What a step costs beside its path and data: headers, access rights, and the namespace before its path.
/// The other half of the server's limit covers namespaces of up to 100 bytes on the shortest steps.
const STEP_OVERHEAD: usize = 64;

/// The size of a transaction, never less than half of what it takes on the wire.
///
/// A caller that splits work over several transactions adds up the sizes of the steps:
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
    for read in reads {
        let (Read::Data(path) | Read::Children(path)) = read;
        path::validate(path)?;
    }
    check_size(reads.iter().map(size_of_read).sum(), limits::transaction_size())
}

/// The reads, in order, in as few requests as take them; one at least.
pub(super) fn parts(reads: Vec<Read>) -> Vec<Vec<Read>> {
    // One that is too large alone is refused alone, with its size.
    packed(reads, limits::transaction_size(), size_of_read)
}

/// Packs things, in order, into as few groups of at most `limit` bytes as take them; one at least. A thing that is too large
/// alone has a group of its own.
pub(crate) fn packed<T>(
    things: impl IntoIterator<Item = T>,
    limit: usize,
    size_of: impl Fn(&T) -> usize,
) -> Vec<Vec<T>> {
    let mut full = Vec::new();
    let (mut last, mut last_size) = (Vec::new(), 0);
    for thing in things {
        let size = size_of(&thing);
        if last_size + size > limit && last_size > 0 {
            full.push(std::mem::take(&mut last));
            last_size = 0;
        }
        last_size += size;
        last.push(thing);
    }
    full.push(last);
    full
}

fn size_of_read(read: &Read) -> usize {
    let (Read::Data(path) | Read::Children(path)) = read;
    STEP_OVERHEAD + path.len()
}

fn check_size(size: usize, limit: usize) -> Result<(), Error> {
    if size > limit {
        return Err(Error::TooLarge { size, limit });
    }
    Ok(())
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
                let parts = parts(reads.clone());
                assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), sizes);
                assert!(parts.iter().all(|part| check_reads(part).is_ok()));
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
            let parts = parts(vec![
                Read::Data("/a".into()),
                Read::Data("/a".repeat(MAX_TRANSACTION_SIZE)),
            ]);
            assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
            assert!(matches!(check_reads(&parts[1]), Err(Error::TooLarge { .. })));
        }

        #[cfg(feature = "testing")]
        #[test]
        fn obey_lowered_limits() {
            let _limits = limits::lower(1024, 1);
            assert_eq!(parts(of(17, 63)).len(), 3);
            assert!(check_reads(&of(9, 63)).is_err());
        }
    }
}
