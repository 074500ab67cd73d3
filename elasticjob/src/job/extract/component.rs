//! Components as parameters.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::FromRun;
use crate::job::{BoxError, FromComponents, RunContext, Start};

/// A component that the application provides, shared by all jobs. Cloning is cheap.
///
/// `Option<Component<T>>` is for one that may be missing.
pub struct Component<T: ?Sized>(Arc<T>);

impl<T: ?Sized> Component<T> {
    /// The component as the `Arc` it is held in.
    /// Use it to keep the component longer than the run, such as in a task.
    pub fn into_inner(self) -> Arc<T> {
        self.0
    }
}

impl<T: ?Sized> From<Arc<T>> for Component<T> {
    fn from(component: Arc<T>) -> Self {
        Self(component)
    }
}

/// For tests of jobs, which are called with components of the test's own.
impl<T> From<T> for Component<T> {
    fn from(component: T) -> Self {
        Self(Arc::new(component))
    }
}

impl<T: ?Sized> Deref for Component<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized> Clone for Component<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Component<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Component").field(&&*self.0).finish()
    }
}

impl<T: ?Sized + Send + Sync + 'static> FromRun for Component<T> {
    fn from_run(run: &RunContext) -> Result<Self, BoxError> {
        Ok(Self::from_components(run.components())?)
    }

    fn check(start: &mut Start<'_>) {
        if let Err(missing) = Self::from_components(start.components()) {
            start.fault(missing);
        }
    }
}

impl<T: ?Sized + Send + Sync + 'static> FromRun for Option<Component<T>> {
    fn from_run(run: &RunContext) -> Result<Self, BoxError> {
        Ok(run.components().get().map(Component::from))
    }
}
