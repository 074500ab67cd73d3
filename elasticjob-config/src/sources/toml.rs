//! TOML files: every value with its line.

use toml_edit::{ImDocument, Item, TableLike, Value};

use super::error::{Error, Origin};
use super::tree::{Content, Tree};

/// Reads a file.
pub(super) fn parse(path: &str, text: &str) -> Result<Tree, Error> {
    let file = File { path, text };
    match ImDocument::parse(text) {
        Ok(document) => Ok(file.table(document.as_table(), file.origin(0))),
        Err(error) => {
            let start = error.span().map_or(0, |span| span.start);
            let problem = format!("not TOML: {}", error.message().trim_end().replace('\n', "; "));
            Err(Error::new("", problem).at(file.origin(start)))
        }
    }
}

struct File<'a> {
    path: &'a str,
    text: &'a str,
}

impl File<'_> {
    fn origin(&self, position: usize) -> Origin {
        let line = self.text[..position].matches('\n').count() + 1;
        Origin::File {
            path: self.path.to_owned(),
            line: Some(line),
        }
    }

    fn table(&self, table: &dyn TableLike, origin: Origin) -> Tree {
        let entries = table.iter().map(|(name, item)| {
            let position = item
                .span()
                .or_else(|| table.key(name)?.span())
                .map_or(0, |span| span.start);
            // A dot in a quoted key is part of it.
            let name = if name.contains('.') {
                format!("[{name}]")
            } else {
                name.to_owned()
            };
            (name, self.item(item, self.origin(position)))
        });
        Tree {
            content: Content::Map(entries.collect()),
            origin,
        }
    }

    fn item(&self, item: &Item, origin: Origin) -> Tree {
        match item {
            Item::None => Tree {
                origin,
                content: Content::Text(String::new()),
            },
            Item::Value(value) => self.value(value, origin),
            Item::Table(table) => self.table(table, origin),
            Item::ArrayOfTables(tables) => {
                let tables = tables.iter().map(|table| self.table(table, origin.clone())).collect();
                Tree {
                    origin,
                    content: Content::List(tables),
                }
            }
        }
    }

    fn value(&self, value: &Value, origin: Origin) -> Tree {
        let content = match value {
            Value::String(text) => Content::Text(text.value().clone()),
            Value::Array(items) => Content::List(items.iter().map(|item| self.value(item, origin.clone())).collect()),
            Value::InlineTable(table) => return self.table(table, origin),
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {
                let text = value.span().map_or("", |span| &self.text[span]);
                Content::Text(text.to_owned())
            }
        };
        Tree { origin, content }
    }
}
