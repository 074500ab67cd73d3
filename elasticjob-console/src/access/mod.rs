//! Visitors of the console, and their rights.
//!
//! The application around a console says which visitor sent a request ([`Access`]), or the console has users of its own
//! ([`Accounts`]).

mod accounts;
pub(crate) mod password;
pub(crate) mod peer;
pub(crate) mod random;
pub(crate) mod session;
mod throttle;
pub(crate) mod token;

use std::fmt;
use std::sync::Arc;

use axum::http::request::Parts;

use crate::globs::Globs;

pub(crate) use accounts::{Accounts, LogIn, NoToken};

/// What a visitor may do. The order is that of power: each has the rights of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Rights {
    /// Looks.
    Viewer,
    /// Also triggers jobs, cancels runs, and switches jobs, items and servers off and on.
    Operator,
    /// Also changes the configuration of jobs, except what is code on every instance.
    Editor,
    /// Also removes jobs, and changes users, tokens and settings.
    Admin,
}

impl Rights {
    /// All rights, from the least.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Editor, Self::Admin];

    /// Returns the name, as configuration has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }

    /// Reads a name, as configuration has it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rights| rights.name() == name)
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A visitor of the console: a name, rights, and the jobs that they are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    name: Arc<str>,
    rights: Rights,
    jobs: Globs,
}

impl Visitor {
    /// Returns a visitor of this name, with rights on all jobs. The name stands in the notes of what is switched off.
    pub fn new(name: impl Into<Arc<str>>, rights: Rights) -> Self {
        Self {
            name: name.into(),
            rights,
            jobs: Globs::all(),
        }
    }

    /// Limits the visitor to some jobs. For this visitor there are no others.
    #[must_use]
    pub fn only(mut self, jobs: Globs) -> Self {
        self.jobs = jobs;
        self
    }

    /// Returns the name of the visitor.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the rights of the visitor.
    #[must_use]
    pub fn rights(&self) -> Rights {
        self.rights
    }

    /// Returns whether the visitor has these rights, or more.
    #[must_use]
    pub fn may(&self, rights: Rights) -> bool {
        self.rights >= rights
    }

    /// Returns the jobs that the visitor sees.
    #[must_use]
    pub fn jobs(&self) -> &Globs {
        &self.jobs
    }

    /// Returns whether the visitor sees a job.
    #[must_use]
    pub fn sees(&self, job: &str) -> bool {
        self.jobs.matches(job)
    }
}

type Decide = dyn Fn(&Parts) -> Option<Visitor> + Send + Sync;

/// Says which visitor sent a request; `None` if that visitor may not look.
#[derive(Clone)]
pub(crate) struct Access(Arc<Decide>);

impl Access {
    pub(crate) fn new(decide: impl Fn(&Parts) -> Option<Visitor> + Send + Sync + 'static) -> Self {
        Self(Arc::new(decide))
    }

    pub(crate) fn of(&self, request: &Parts) -> Option<Visitor> {
        (self.0)(request)
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Access")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grow_with_each_role() {
        assert!(Rights::ALL.is_sorted());
        for rights in Rights::ALL {
            assert_eq!(Rights::parse(rights.name()), Some(rights));
            assert!(Visitor::new("a", Rights::Admin).may(rights));
            assert_eq!(Visitor::new("a", Rights::Viewer).may(rights), rights == Rights::Viewer);
        }
        assert_eq!(Rights::parse("Admin"), None);
        assert_eq!(Rights::parse(""), None);
    }
}
