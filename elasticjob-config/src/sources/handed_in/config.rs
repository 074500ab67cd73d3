//! A `config::Config`.

use config::{Config, Source as _, ValueKind};

use super::super::error::{Error, Origin};
use super::super::tree::{Content, Tree};

/// Reads all values, each with the origin that the crate knows.
pub(in super::super) fn read(config: &Config) -> Result<Tree, Error> {
    let origin = Origin::HandedIn("config".to_owned());
    match config.collect() {
        Ok(entries) => {
            let entries = entries.into_iter().map(|(key, value)| (key, tree(value))).collect();
            Ok(Tree {
                origin,
                content: Content::Map(entries),
            })
        }
        Err(error) => Err(Error::new("", error.to_string()).at(origin)),
    }
}

fn tree(value: config::Value) -> Tree {
    let origin = Origin::HandedIn(value.origin().unwrap_or("config").to_owned());
    let content = match value.kind {
        ValueKind::Nil => Content::Text(String::new()),
        ValueKind::Boolean(value) => Content::Text(value.to_string()),
        ValueKind::I64(value) => Content::Text(value.to_string()),
        ValueKind::I128(value) => Content::Text(value.to_string()),
        ValueKind::U64(value) => Content::Text(value.to_string()),
        ValueKind::U128(value) => Content::Text(value.to_string()),
        ValueKind::Float(value) => Content::Text(value.to_string()),
        ValueKind::String(text) => Content::Text(text),
        ValueKind::Table(entries) => Content::Map(entries.into_iter().map(|(key, value)| (key, tree(value))).collect()),
        ValueKind::Array(items) => Content::List(items.into_iter().map(tree).collect()),
    };
    Tree { origin, content }
}
