//! What configuration can name: job types, strategies, handlers, pools, each by its type name.
//!
//! An implementation gets there by an attribute, which makes a [`Declared`] that is found at start, or by the
//! builder's method of its kind. Both are equal, and names are unique: two of one name stop the start.

use std::collections::{BTreeMap, btree_map};
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::guard::Held;
use crate::job::Place;

mod declared;

pub use declared::Declared;
#[doc(hidden)]
pub use declared::DeclaredParts;

/// Implementations of one trait by the names that configuration uses. Names are exact and unique.
pub struct Catalogue<T: ?Sized> {
    kind: &'static str,
    entries: BTreeMap<String, Entry<T>>,
}

struct Entry<T: ?Sized> {
    implementation: Held<Arc<T>>,
    place: Place,
}

impl<T: ?Sized> Catalogue<T> {
    /// An empty catalogue of `kind`, which is how errors call its entries: `sharding strategy`.
    #[must_use]
    pub fn new(kind: &'static str) -> Self {
        Self {
            kind,
            entries: BTreeMap::new(),
        }
    }

    /// Adds an entry. Its place is where this is called.
    ///
    /// # Errors
    /// [`NameTaken`] when there is one of that name; it stays.
    #[track_caller]
    pub fn register(&mut self, name: impl Into<String>, implementation: Arc<T>) -> Result<(), NameTaken> {
        self.register_at(name.into(), implementation, Location::caller().into())
    }

    pub(crate) fn register_at(&mut self, name: String, implementation: Arc<T>, place: Place) -> Result<(), NameTaken> {
        match self.entries.entry(name) {
            btree_map::Entry::Vacant(vacant) => {
                vacant.insert(Entry {
                    implementation: Held::new(implementation),
                    place,
                });
                Ok(())
            }
            btree_map::Entry::Occupied(occupied) => Err(NameTaken {
                kind: self.kind,
                name: occupied.key().clone(),
                places: [occupied.get().place, place],
            }),
        }
    }

    /// What an entry of this catalogue is: `sharding strategy`.
    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }

    /// The entry of that name.
    ///
    /// # Errors
    /// [`UnknownName`], which lists the names there are.
    pub fn get(&self, name: &str) -> Result<Arc<T>, UnknownName> {
        match self.entries.get(name) {
            Some(entry) => Ok(Arc::clone(&entry.implementation)),
            None => Err(UnknownName::new(self.kind, name, self.names())),
        }
    }

    /// All entries, in the order of their names.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, Arc<T>)> {
        let entries = self.entries.iter();
        entries.map(|(name, entry)| (name.as_str(), Arc::clone(&entry.implementation)))
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }
}

impl<T: ?Sized> Clone for Catalogue<T> {
    fn clone(&self) -> Self {
        Self {
            kind: self.kind,
            entries: self.entries.clone(),
        }
    }
}

impl<T: ?Sized> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Self {
            implementation: self.implementation.clone(),
            place: self.place,
        }
    }
}

impl<T: ?Sized> fmt::Debug for Catalogue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// Configuration names something that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {kind} `{name}`: {}", expected(known))]
pub struct UnknownName {
    kind: &'static str,
    name: String,
    known: Vec<String>,
}

impl UnknownName {
    pub(crate) fn new<'a>(kind: &'static str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            known: known.into_iter().map(str::to_owned).collect(),
        }
    }
}

fn expected(known: &[String]) -> String {
    match known {
        [] => "there is none".to_owned(),
        known => format!("expected one of {}", known.join(", ")),
    }
}

/// Two things of one kind have the same name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than one {kind} is named `{name}`: {}, {}", places[0], places[1])]
pub struct NameTaken {
    kind: &'static str,
    name: String,
    places: [Place; 2],
}

impl NameTaken {
    /// Where the two were registered or declared, the earlier one first.
    #[must_use]
    pub fn places(&self) -> [Place; 2] {
        self.places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colours() -> Catalogue<str> {
        let mut colours = Catalogue::new("colour");
        for name in ["RED", "BLUE"] {
            colours.register(name, Arc::from(name.to_lowercase())).unwrap();
        }
        colours
    }

    #[test]
    fn a_known_name_should_give_its_entry() {
        assert_eq!(&*colours().get("RED").unwrap(), "red");
    }

    #[test]
    fn refuses_an_unknown_name_with_the_known_ones() {
        let error = colours().get("red").unwrap_err();
        assert_eq!(error.to_string(), "unknown colour `red`: expected one of BLUE, RED");
    }

    #[test]
    fn a_name_should_be_given_once() {
        let mut colours = colours();
        let error = colours.register("RED", Arc::from("crimson")).unwrap_err();
        let [first, second] = error.places();
        assert_eq!(first.file(), file!());
        assert!(first.line() < second.line());
        assert_eq!(
            error.to_string(),
            format!("more than one colour is named `RED`: {first}, {second}")
        );
        assert_eq!(&*colours.get("RED").unwrap(), "red");
    }
}
