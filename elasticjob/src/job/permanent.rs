//! Errors that another try does not help against.

use std::error::Error;
use std::fmt;

use crate::guard;

use super::outcome::BoxError;

/// Marks an error as permanent: the run fails at once, without the tries that `retry` allows.
///
/// ```
/// use elasticjob::prelude::*;
/// use elasticjob::job::permanent;
///
/// #[elastic_job(sharding = 1, retry = 3)]
/// async fn charge(account: JobParameter<String>) -> Result<(), BoxError> {
///     let number: u64 = account.parse().map_err(permanent)?;
///     println!("charging {number}");
///     Ok(())
/// }
/// # let refused = charge(JobParameter("none".to_owned()));
/// # let refused = futures_util::FutureExt::now_or_never(refused).unwrap().unwrap_err();
/// # assert!(elasticjob::job::is_permanent(&*refused));
/// ```
pub fn permanent(cause: impl Into<BoxError>) -> Permanent {
    Permanent(Mark { cause: cause.into() })
}

/// Returns whether an error, or one of those behind it, was marked by [`permanent`].
///
/// It follows the sources of the error, up to 64 of them. If a `source` panics, the error counts as not marked from
/// there on.
#[must_use]
pub fn is_permanent(error: &(dyn Error + 'static)) -> bool {
    let mut chain = guard::sources(error).filter_map(Result::ok);
    chain.any(|error| error.is::<Permanent>() || error.is::<Mark>())
}

/// An error that was marked by [`permanent`]. It is shown as that error.
#[derive(Debug)]
pub struct Permanent(Mark);

/// The next in the chain of errors. A caller that boxes the first in a type of its own, as `anyhow` does, hides that one. This one
/// has the same text, and a chain that is shown without repetitions shows it once.
#[derive(Debug)]
struct Mark {
    cause: BoxError,
}

impl fmt::Display for Permanent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.cause.fmt(f)
    }
}

impl Error for Permanent {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl Error for Mark {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot charge")]
    struct Outer(#[source] Permanent);

    #[test]
    fn an_error_should_be_permanent_however_it_is_wrapped() {
        let error = || permanent(std::io::Error::other("no account"));
        assert!(is_permanent(&error()));
        assert!(is_permanent(&Outer(error())));
        let anyhow: BoxError = anyhow::Error::new(error()).into();
        assert!(is_permanent(&*anyhow));
        let with_context: BoxError = anyhow::Error::new(error()).context("at night").into();
        assert!(is_permanent(&*with_context));
        assert!(!is_permanent(&std::io::Error::other("no network")));
    }

    #[test]
    fn it_should_be_shown_as_what_it_is() {
        let error = permanent("no account");
        assert_eq!(error.to_string(), "no account");
        let shown = crate::chain::Chain(&error).to_string();
        assert_eq!(shown, "no account");
    }
}
