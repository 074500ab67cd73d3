use std::fmt;
use std::sync::Arc;

use crate::job::{Components, MissingComponent, Place, Site, Start};

/// An implementation that an attribute declared, such as `#[job_executor(..)]`.
pub struct Declared<T: ?Sized + 'static> {
    parts: DeclaredParts<T>,
}

/// All that a [`Declared`] is made of, written by the attributes.
#[doc(hidden)]
#[allow(missing_docs, missing_debug_implementations, reason = "for generated code alone")]
pub struct DeclaredParts<T: ?Sized + 'static> {
    pub name: &'static str,
    pub site: Site,
    pub check: fn(&mut Start<'_>),
    pub build: fn(&Components) -> Result<Arc<T>, MissingComponent>,
}

impl<T: ?Sized> Declared<T> {
    #[doc(hidden)]
    pub const fn new(parts: DeclaredParts<T>) -> Self {
        Self { parts }
    }

    /// The name that configuration uses.
    pub fn name(&self) -> &'static str {
        self.parts.name
    }

    /// Where it was declared.
    pub fn place(&self) -> Place {
        self.parts.site.place()
    }

    pub(crate) fn site(&self) -> &Site {
        &self.parts.site
    }

    /// Reports every component that it would miss.
    pub fn check(&self, start: &mut Start<'_>) {
        (self.parts.check)(start);
    }

    /// Makes it.
    ///
    /// # Errors
    /// A component that is missing, which [`check`](Self::check) reports as well.
    pub fn build(&self, components: &Components) -> Result<Arc<T>, MissingComponent> {
        (self.parts.build)(components)
    }
}

impl<T: ?Sized> fmt::Debug for Declared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Declared")
            .field("name", &self.name())
            .field("place", &self.place())
            .finish_non_exhaustive()
    }
}
