//! A `figment::Figment`.

use figment::Figment;
use figment::value::{Dict, Value};

use super::super::error::{Error, Origin};
use super::super::tree::{Content, Tree};
use super::super::unread;

/// Reads the values of the selected profile below `elasticjob`, and below keys that look like a misspelt `elasticjob`.
pub(in super::super) fn read(figment: &Figment) -> Result<Tree, Error> {
    let root = Origin::HandedIn("figment".to_owned());
    let refused = |error: figment::Error| Error::new("elasticjob", error.to_string()).at(root.clone());
    let top: Dict = figment.extract().map_err(refused)?;
    let mut entries = Vec::new();
    for name in top.into_keys().filter(|name| unread::is_near(name)) {
        let value = figment.find_value(&name).map_err(refused)?;
        entries.push((name, tree(figment, value)));
    }
    Ok(Tree {
        content: Content::Map(entries),
        origin: root,
    })
}

fn tree(figment: &Figment, value: Value) -> Tree {
    let metadata = figment.get_metadata(value.tag());
    let origin = Origin::HandedIn(metadata.map_or_else(
        || "figment".to_owned(),
        |metadata| match &metadata.source {
            Some(source) => format!("{} {source}", metadata.name),
            None => metadata.name.to_string(),
        },
    ));
    let content = match value {
        Value::String(_, text) => Content::Text(text),
        Value::Char(_, c) => Content::Text(c.to_string()),
        Value::Bool(_, value) => Content::Text(value.to_string()),
        Value::Num(_, number) => Content::Text(number_text(number)),
        Value::Empty(..) => Content::Text(String::new()),
        Value::Dict(_, entries) => Content::Map(
            entries
                .into_iter()
                .map(|(key, value)| (key, tree(figment, value)))
                .collect(),
        ),
        Value::Array(_, items) => Content::List(items.into_iter().map(|item| tree(figment, item)).collect()),
    };
    Tree { origin, content }
}

fn number_text(number: figment::value::Num) -> String {
    match (number.to_u128(), number.to_i128(), number.to_f64()) {
        (Some(number), ..) => number.to_string(),
        (None, Some(number), _) => number.to_string(),
        (None, None, Some(number)) => number.to_string(),
        (None, None, None) => String::new(),
    }
}
