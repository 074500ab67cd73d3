//! What configuration can name: strategies, handlers, pools, each by its type name.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::Arc;

/// Implementations of one trait by the names that configuration uses. Names are exact and unique.
pub struct Catalogue<T: ?Sized> {
    kind: &'static str,
    entries: BTreeMap<String, Arc<T>>,
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

    /// Adds an entry.
    ///
    /// # Errors
    /// [`NameTaken`] when there is one of that name; it stays.
    pub fn register(&mut self, name: impl Into<String>, entry: Arc<T>) -> Result<(), NameTaken> {
        match self.entries.entry(name.into()) {
            Entry::Vacant(vacant) => {
                vacant.insert(entry);
                Ok(())
            }
            Entry::Occupied(occupied) => Err(NameTaken {
                kind: self.kind,
                name: occupied.key().clone(),
            }),
        }
    }

    /// The entry of that name.
    ///
    /// # Errors
    /// [`UnknownName`], which lists the names there are.
    pub fn get(&self, name: &str) -> Result<Arc<T>, UnknownName> {
        match self.entries.get(name) {
            Some(entry) => Ok(Arc::clone(entry)),
            None => Err(UnknownName::new(self.kind, name, self.names())),
        }
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

impl<T: ?Sized> fmt::Debug for Catalogue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// Configuration names something that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {kind} `{name}`: expected one of {}", known.join(", "))]
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

/// Two things of one kind have the same name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is a {kind} `{name}` already")]
pub struct NameTaken {
    kind: &'static str,
    name: String,
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
    fn an_unknown_name_should_be_refused_with_the_names_there_are() {
        let error = colours().get("red").unwrap_err();
        assert_eq!(error.to_string(), "unknown colour `red`: expected one of BLUE, RED");
    }

    #[test]
    fn a_name_should_be_given_once() {
        let mut colours = colours();
        let error = colours.register("RED", Arc::from("crimson")).unwrap_err();
        assert_eq!(error.to_string(), "there is a colour `RED` already");
        assert_eq!(&*colours.get("RED").unwrap(), "red");
    }
}
