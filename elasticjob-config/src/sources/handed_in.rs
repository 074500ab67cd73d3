//! Configuration that the application has read already.

use config::{Source as _, ValueKind};
use figment::Figment;
use figment::value::{Dict, Value};

use super::error::{Error, Origin};
use super::tree::{Content, Tree};
use super::unread;

/// What a `figment::Figment` holds for its selected profile below `elasticjob`, and below what is nearly called so.
pub(super) fn of_figment(figment: &Figment) -> Result<Tree, Error> {
    let root = Origin::HandedIn("figment".to_owned());
    let refused = |error: figment::Error| Error::new("elasticjob", error.to_string()).at(root.clone());
    let top: Dict = figment.extract().map_err(refused)?;
    let mut entries = Vec::new();
    for name in top.into_keys().filter(|name| unread::is_near(name)) {
        let value = figment.find_value(&name).map_err(refused)?;
        entries.push((name, figment_tree(figment, value)));
    }
    Ok(Tree {
        content: Content::Map(entries),
        origin: root,
    })
}

fn figment_tree(figment: &Figment, value: Value) -> Tree {
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
                .map(|(key, value)| (key, figment_tree(figment, value)))
                .collect(),
        ),
        Value::Array(_, items) => Content::List(items.into_iter().map(|item| figment_tree(figment, item)).collect()),
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

/// What a `config::Config` holds.
pub(super) fn of_config(config: &config::Config) -> Result<Tree, Error> {
    let origin = Origin::HandedIn("config".to_owned());
    match config.collect() {
        Ok(entries) => {
            let entries = entries
                .into_iter()
                .map(|(key, value)| (key, config_tree(value)))
                .collect();
            Ok(Tree {
                origin,
                content: Content::Map(entries),
            })
        }
        Err(error) => Err(Error::new("", error.to_string()).at(origin)),
    }
}

fn config_tree(value: config::Value) -> Tree {
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
        ValueKind::Table(entries) => Content::Map(
            entries
                .into_iter()
                .map(|(key, value)| (key, config_tree(value)))
                .collect(),
        ),
        ValueKind::Array(items) => Content::List(items.into_iter().map(config_tree).collect()),
    };
    Tree { origin, content }
}
