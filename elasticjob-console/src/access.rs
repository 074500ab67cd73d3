//! Visitors of the console, and their rights.

use std::fmt;
use std::sync::Arc;

use axum::http::request::Parts;

/// What a visitor may do. The order is that of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Rights {
    /// Looks.
    Viewer,
    /// Also triggers jobs, cancels runs, and switches jobs, items and servers off and on.
    Operator,
}

/// A visitor of the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    name: Arc<str>,
    rights: Rights,
}

impl Visitor {
    /// Returns a visitor of this name, which stands in the notes of what is switched off.
    pub fn new(name: impl Into<Arc<str>>, rights: Rights) -> Self {
        Self {
            name: name.into(),
            rights,
        }
    }

    /// Returns the name of the visitor.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether the visitor has these rights, or more.
    #[must_use]
    pub fn may(&self, rights: Rights) -> bool {
        self.rights >= rights
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
