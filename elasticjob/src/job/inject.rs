//! How a type that is a job is made.

use super::components::{Components, MissingComponent};
use super::extract::Component;
use super::start::Start;

/// Makes a value out of the application's components, once, at start.
///
/// Every `Default` is one. Derive it for a type with [`Component`]s as its fields:
///
/// ```
/// use elasticjob::prelude::*;
/// use elasticjob::job::Components;
///
/// #[derive(Inject)]
/// struct Settle {
///     greeting: Component<String>,
///     limit: Option<Component<u32>>,
/// }
///
/// let mut components = Components::default();
/// assert!(Settle::inject(&components).is_err());
///
/// components.provide(String::from("hello"))?;
/// let settle = Settle::inject(&components)?;
/// assert_eq!(*settle.greeting, "hello");
/// assert!(settle.limit.is_none());
/// # Ok::<_, BoxError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be made at start",
    label = "neither `Default` nor `Inject`",
    note = "derive `Default`, or `Inject` if it needs components"
)]
pub trait Inject: Sized {
    /// Makes the value.
    ///
    /// # Errors
    /// The first component that is missing.
    ///
    /// It must not block, and must not start anything: the job may be made to be checked, in an application that then
    /// does not start.
    fn inject(components: &Components) -> Result<Self, MissingComponent>;

    /// Reports everything that [`inject`](Self::inject) would miss.
    /// Unlike [`inject`](Self::inject), which stops at the first, it reports every component that is missing.
    fn check(start: &mut Start<'_>);
}

#[diagnostic::do_not_recommend]
impl<T: Default> Inject for T {
    fn inject(_: &Components) -> Result<Self, MissingComponent> {
        Ok(T::default())
    }

    fn check(_: &mut Start<'_>) {}
}

/// A field that `#[derive(Inject)]` can fill: a [`Component<T>`](Component), an `Option` of one, or a type that implements it.
///
/// ```
/// use elasticjob::job::{Component, Components, FromComponents, Inject, MissingComponent};
///
/// struct Pool;
///
/// /// The orders in the database of the application.
/// struct Orders(Component<Pool>);
///
/// impl FromComponents for Orders {
///     fn from_components(components: &Components) -> Result<Self, MissingComponent> {
///         Component::from_components(components).map(Self)
///     }
/// }
///
/// #[derive(Inject)]
/// struct Settle {
///     orders: Orders,
/// }
/// # let mut components = Components::default();
/// # assert!(Settle::inject(&components).is_err());
/// # components.provide(Pool).unwrap();
/// # let Settle { orders: Orders(_) } = Settle::inject(&components).unwrap();
/// ```
///
/// Configuration is not among them, as it may change while the application runs: a function takes it as
/// parameters, such as [`Props`](super::Props), for each run.
#[diagnostic::on_unimplemented(
    message = "`Inject` cannot fill a field of type `{Self}`",
    label = "not a component",
    note = "make it a `Component<{Self}>`, and hand it in with `ElasticJob::builder().component(..)`"
)]
pub trait FromComponents: Sized {
    /// Takes the value out of the components.
    ///
    /// # Errors
    /// The component that is missing.
    fn from_components(components: &Components) -> Result<Self, MissingComponent>;
}

impl<T: ?Sized + Send + Sync + 'static> FromComponents for Component<T> {
    fn from_components(components: &Components) -> Result<Self, MissingComponent> {
        components
            .get()
            .map(Component::from)
            .ok_or_else(MissingComponent::of::<T>)
    }
}

impl<T: ?Sized + Send + Sync + 'static> FromComponents for Option<Component<T>> {
    fn from_components(components: &Components) -> Result<Self, MissingComponent> {
        Ok(components.get().map(Component::from))
    }
}
