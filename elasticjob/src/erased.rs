//! Futures and errors behind a box, as the object-safe traits of this crate name them.

use std::pin::Pin;

/// A future on the heap, as the object-safe traits of this crate return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The error of a job: any error there is.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
