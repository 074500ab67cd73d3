//! The reference of the API as a page, made of the list of requests and the schemas of their bodies.

use std::future::{Ready, ready};

use askama::Template;
use axum::extract::OriginalUri;
use axum::http::Uri;
use axum::response::Html;
use serde_json::Value;

use crate::assets;
use crate::routes::base;

use super::ENDPOINTS;
use super::endpoint::{self, Endpoint};

#[derive(Template)]
#[template(path = "api.html")]
struct Reference<'a> {
    base: &'a str,
    style: &'a str,
    icon: &'a str,
    entries: Vec<Entry>,
}

struct Entry {
    method: String,
    path: &'static str,
    about: &'static str,
    needs: &'static str,
    /// The parameters behind the question mark and the fields of the body.
    fields: Vec<Field>,
    call: String,
}

struct Field {
    name: String,
    kind: String,
    about: String,
}

/// Returns the page. It is not `async`, since the list of requests is made of functions that are.
pub(crate) fn page(OriginalUri(original): OriginalUri, uri: Uri) -> Ready<Html<String>> {
    let base = base(&original, &uri);
    let document = endpoint::as_json(ENDPOINTS, &base);
    let page = Reference {
        base: &base,
        style: &assets::STYLE,
        icon: &assets::ICON,
        entries: ENDPOINTS
            .iter()
            .map(|endpoint| Entry::of(endpoint, &document, &base))
            .collect(),
    };
    ready(Html(page.render().expect("a template writes into a string")))
}

impl Entry {
    fn of(endpoint: &Endpoint, document: &Value, base: &str) -> Self {
        let (method, path) = (endpoint.route.method.to_string(), endpoint.route.path);
        let operation = &document["paths"][path][method.to_lowercase()];
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let queries = parameters
            .filter(|parameter| parameter["in"] == "query")
            .map(|parameter| Field {
                name: format!("?{}", text(&parameter["name"])),
                kind: kind(&parameter["schema"]),
                about: text(&parameter["description"]),
            });
        let body = resolved(
            document,
            &operation["requestBody"]["content"]["application/json"]["schema"],
        );
        let properties = body["properties"].as_object().into_iter().flatten();
        let fields = properties.map(|(name, schema)| Field {
            name: name.clone(),
            kind: kind(schema),
            about: text(&schema["description"]),
        });
        let data = if body.is_object() { " -d '{..}'" } else { "" };
        let method_of_curl = if method == "GET" {
            String::new()
        } else {
            format!(" -X {method}")
        };
        Self {
            call: format!("curl{method_of_curl} -H \"Authorization: Bearer $TOKEN\" \"$CONSOLE{base}{path}\"{data}"),
            fields: queries.chain(fields).collect(),
            about: endpoint.about,
            needs: endpoint.needs(),
            method,
            path,
        }
    }
}

/// Returns the schema that another one refers to.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let reference = schema["$ref"]
        .as_str()
        .map(|reference| reference.trim_start_matches('#'));
    reference
        .and_then(|reference| document.pointer(reference))
        .unwrap_or(schema)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Returns the type of a schema in a word.
fn kind(schema: &Value) -> String {
    match &schema["type"] {
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => {
            let kinds = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null");
            kinds.collect::<Vec<_>>().join(" or ")
        }
        _ => "object".to_owned(),
    }
}
