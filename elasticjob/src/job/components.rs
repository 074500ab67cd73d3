//! What an application hands to its jobs: connection pools, clients, settings.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::guard::Held;
use crate::type_name::shown;

/// The components of an application, at most one of each type.
///
/// ```
/// use std::sync::Arc;
/// use elasticjob::job::{BoxError, Components};
///
/// trait Mailer: Send + Sync {}
/// struct Smtp;
/// impl Mailer for Smtp {}
///
/// let mut components = Components::default();
/// components.provide(String::from("greeting"))?;
/// components.provide_shared::<dyn Mailer>(Arc::new(Smtp))?;
///
/// assert_eq!(components.get::<String>().as_deref().map(String::as_str), Some("greeting"));
/// assert!(components.get::<dyn Mailer>().is_some());
///
/// let again = components.provide(String::new()).unwrap_err();
/// assert_eq!(again.to_string(), "component String was provided twice");
/// # Ok::<_, BoxError>(())
/// ```
#[derive(Default)]
pub struct Components {
    /// By the type that jobs ask for. The value is an `Arc` of it, so that trait objects fit as well.
    by_type: HashMap<TypeId, Entry>,
}

struct Entry {
    type_name: &'static str,
    component: Held<Box<dyn Any + Send + Sync>>,
}

impl Components {
    /// Adds a component, which jobs take as `Component<T>`.
    ///
    /// # Errors
    /// When there is one of the type already. The first stays.
    pub fn provide<T: Send + Sync + 'static>(&mut self, component: T) -> Result<(), DuplicateComponent> {
        self.provide_shared(Arc::new(component))
    }

    /// Adds a component that the application shares; `T` may be a trait object.
    ///
    /// # Errors
    /// When there is one of the type already. The first stays.
    pub fn provide_shared<T>(&mut self, component: Arc<T>) -> Result<(), DuplicateComponent>
    where
        T: ?Sized + Send + Sync + 'static,
    {
        let type_name = type_name::<T>();
        let key = TypeId::of::<T>();
        if self.by_type.contains_key(&key) {
            return Err(DuplicateComponent { type_name });
        }
        self.by_type.insert(
            key,
            Entry {
                type_name,
                component: Held::new(Box::new(component)),
            },
        );
        Ok(())
    }

    /// The component of a type, if the application provided one.
    /// The type must be exactly that under which it was handed in: a component of type `Smtp` is not found as `dyn
    /// Mailer`.
    pub fn get<T: ?Sized + Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let entry = self.by_type.get(&TypeId::of::<T>())?;
        entry.component.downcast_ref::<Arc<T>>().cloned()
    }

    /// The names of the types that were provided, sorted.
    /// They are names for people, as the compiler writes them, and no identifiers.
    pub fn type_names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.by_type.values().map(|entry| entry.type_name).collect();
        names.sort_unstable();
        names
    }
}

impl fmt::Debug for Components {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.type_names()).finish()
    }
}

/// Two components of one type: jobs could not tell them apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("component {} was provided twice", shown(.type_name))]
pub struct DuplicateComponent {
    type_name: &'static str,
}

/// A job needs a component that the application did not provide.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no component {} was provided: hand it in with `ElasticJob::builder().component(..)`", shown(.type_name))]
pub struct MissingComponent {
    type_name: &'static str,
}

impl MissingComponent {
    /// Creates the error of a missing component `T`.
    pub fn of<T: ?Sized>() -> Self {
        Self {
            type_name: type_name::<T>(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_first_component_of_a_type() {
        let mut components = Components::default();
        components.provide(1_u32).unwrap();
        let refused = components.provide(2_u32).unwrap_err();
        assert_eq!(refused.to_string(), "component u32 was provided twice");
        assert_eq!(components.get::<u32>().as_deref(), Some(&1));
    }

    #[test]
    fn components_should_print_their_types_alone() {
        let mut components = Components::default();
        components.provide(String::from("a password")).unwrap();
        components.provide(1_u32).unwrap();
        assert_eq!(format!("{components:?}"), r#"{"alloc::string::String", "u32"}"#);
    }
}
