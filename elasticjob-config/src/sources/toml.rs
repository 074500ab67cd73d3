//! TOML files: every value with its line.

use toml_edit::{ImDocument, Item, TableLike, Value};

use super::error::{Error, Origin};
use super::tree::{Content, Tree};
use crate::work;
use crate::yaml::tree::Limits;

/// Reads a file.
pub(super) fn parse(path: &str, text: &str) -> Result<Tree, Error> {
    let file = File::new(path, text);
    file.refuse_many_values()?;
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
    /// Where each line starts.
    lines: Vec<usize>,
}

impl<'a> File<'a> {
    fn new(path: &'a str, text: &'a str) -> Self {
        let behind_breaks = text.match_indices('\n').map(|(position, _)| position + 1);
        Self {
            path,
            text,
            lines: [0].into_iter().chain(behind_breaks).collect(),
        }
    }

    /// A value takes the memory of many of its bytes. Each has one of these characters in front of it, or is the first of
    /// its list or table.
    fn refuse_many_values(&self) -> Result<(), Error> {
        let most = Limits::FILE.nodes;
        match self.text.match_indices(['=', ',', '[']).nth(most) {
            None => Ok(()),
            Some((position, _)) => {
                let problem = format!("the file has more than {most} values, counted by `=`, `,` and `[`");
                Err(Error::new("", problem).at(self.origin(position)))
            }
        }
    }

    fn origin(&self, position: usize) -> Origin {
        let line = self.lines.partition_point(|start| {
            work::step();
            *start <= position
        });
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
            // In any notation: `0x5`, `1_000`.
            Value::Integer(number) => Content::Text(number.value().to_string()),
            Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {
                let text = value.span().map_or("", |span| &self.text[span]);
                Content::Text(text.to_owned())
            }
        };
        Tree { origin, content }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::assert_grows_with_input;

    #[test]
    fn the_cost_of_places_grows_with_their_number() {
        assert_grows_with_input(|size| {
            let text: String = (0..size).map(|index| format!("a{index} = 1\n")).collect();
            let Content::Map(entries) = parse("file", &text).expect("it is well formed").content else {
                panic!("a map")
            };
            let lines = entries.iter().map(|(_, tree)| tree.origin.to_string());
            assert!(lines.eq((1..=size).map(|line| format!("file:{line}"))));
        });
    }

    #[test]
    fn more_values_than_a_file_has_are_refused() {
        let text = format!("a = 1\nb = [{}]\n", "1,".repeat(Limits::FILE.nodes));
        let error = parse("file", &text).expect_err("they are too many").to_string();
        let expected = "file:2: the file has more than 1000000 values, counted by `=`, `,` and `[`";
        assert_eq!(error, expected);
    }

    #[test]
    fn deep_nesting_is_refused() {
        for text in [
            format!("a = {}{}\n", "[".repeat(100_000), "]".repeat(100_000)),
            format!("{}a = 1\n", "a.".repeat(100_000)),
            format!("[{}a]\nb = 1\n", "a.".repeat(100_000)),
        ] {
            let error = parse("file", &text).expect_err("it is too deep").to_string();
            assert!(error.starts_with("file:1: not TOML: "), "{error}");
        }
    }
}
