//! JSON with places to fill in.
//!
//! Places are `{{job}}` and the like, within the texts of the JSON. So the result is JSON with any values. A text
//! that consists of one place becomes the value itself, such as a number or null.

use serde_json::{Map, Value, json};

use crate::error_handler::Notice;

/// What is sent where no template is given.
pub(super) const DEFAULT: &str = r#"{"job":"{{job}}","item":"{{item}}","shardingTotalCount":"{{sharding-total-count}}","count":"{{count}}","cause":"{{cause}}","causes":"{{causes}}","time":"{{time}}","scheduledTime":"{{scheduled-time}}","attempt":"{{attempt}}","runId":"{{run-id}}","instanceId":"{{instance-id}}","host":"{{host}}","text":"{{text}}"}"#;

/// What stands in a place.
type Filling = fn(&Notice) -> Value;

/// What can be filled in.
const PLACES: [(&str, Filling); 13] = [
    ("job", |notice| notice.job_name().into()),
    ("item", |notice| notice.item().into()),
    ("sharding-total-count", |notice| notice.sharding_total_count().into()),
    ("count", |notice| notice.count().into()),
    ("cause", |notice| notice.cause().into()),
    ("causes", |notice| json!(notice.causes())),
    ("time", |notice| notice.time().to_string().into()),
    ("scheduled-time", |notice| {
        notice.scheduled_time().map(|time| time.to_string()).into()
    }),
    ("attempt", |notice| notice.attempt().into()),
    ("run-id", |notice| notice.run_id().into()),
    ("instance-id", |notice| notice.instance_id().into()),
    ("host", |notice| notice.host().into()),
    ("text", |notice| notice.text().into()),
];

/// JSON with places to fill in.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Template(Node);

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Fixed(Value),
    Text(Vec<Piece>),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    /// By its index in [`PLACES`].
    Place(usize),
}

impl Template {
    /// Reads a template, or says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        Node::parse(value).map(Self)
    }

    /// The JSON for one notice.
    pub(super) fn filled(&self, notice: &Notice) -> Value {
        self.0.filled(notice)
    }
}

impl Node {
    fn parse(value: Value) -> Result<Self, String> {
        Ok(match value {
            Value::String(text) => Self::Text(pieces(&text)?),
            Value::Array(values) => Self::Array(values.into_iter().map(Self::parse).collect::<Result<_, _>>()?),
            Value::Object(members) => {
                let parsed = members.into_iter().map(|(name, value)| Ok((name, Self::parse(value)?)));
                Self::Object(parsed.collect::<Result<_, String>>()?)
            }
            fixed => Self::Fixed(fixed),
        })
    }

    fn filled(&self, notice: &Notice) -> Value {
        match self {
            Self::Fixed(value) => value.clone(),
            Self::Text(pieces) => match pieces.as_slice() {
                [Piece::Place(place)] => PLACES[*place].1(notice),
                pieces => pieces
                    .iter()
                    .map(|piece| piece.filled(notice))
                    .collect::<String>()
                    .into(),
            },
            Self::Array(nodes) => nodes.iter().map(|node| node.filled(notice)).collect(),
            Self::Object(members) => {
                let filled = members.iter().map(|(name, node)| (name.clone(), node.filled(notice)));
                Value::Object(filled.collect::<Map<_, _>>())
            }
        }
    }
}

impl Piece {
    fn filled(&self, notice: &Notice) -> String {
        let value = match self {
            Self::Text(text) => return text.clone(),
            Self::Place(place) => PLACES[*place].1(notice),
        };
        match value {
            Value::Null => String::new(),
            Value::String(text) => text,
            other => other.to_string(),
        }
    }
}

fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after
            .split_once("}}")
            .ok_or_else(|| format!("`{{{{{after}` has no `}}}}`"))?;
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        pieces.push(Piece::Place(place(name.trim())?));
        rest = after;
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

fn place(name: &str) -> Result<usize, String> {
    let known = PLACES.iter().position(|(known, _)| *known == name);
    known.ok_or_else(|| {
        let names: Vec<_> = PLACES.iter().map(|(name, _)| format!("`{{{{{name}}}}}`")).collect();
        format!("there is no `{{{{{name}}}}}`, but {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error_handler::Failure;
    use crate::job::ShardingContext;

    fn filled(template: &str) -> Value {
        let shard = ShardingContext::for_test(3, 10).with_job_name("orders");
        let cause = std::io::Error::other("a \"quoted\"\nline {{job}}");
        Template::parse(template)
            .unwrap()
            .filled(&Notice::for_test(&Failure::of_run(&shard, &cause)))
    }

    #[test]
    fn places_should_be_filled_within_texts_and_as_values() {
        let template =
            r#"{"a": ["{{job}}/{{ item }}: {{cause}}", "{{item}}"], "b": {"c": true, "": ""}, "d": "{{causes}}"}"#;
        let cause = "a \"quoted\"\nline {{job}}";
        assert_eq!(
            filled(template),
            json!({"a": [format!("orders/3: {cause}"), 3], "b": {"c": true, "": ""}, "d": [cause]})
        );
    }

    #[test]
    fn fills_missing_values_with_null_or_nothing() {
        let cause = std::io::Error::other("no");
        let notice = Notice::for_test(&Failure::new("orders", &cause));
        let template = Template::parse(r#"["{{item}}", "item {{item}}"]"#).unwrap();
        assert_eq!(template.filled(&notice), json!([null, "item "]));
    }

    #[test]
    fn the_default_should_have_everything() {
        let Value::Object(members) = filled(DEFAULT) else {
            panic!("no object")
        };
        assert_eq!(members.len(), PLACES.len());
        assert_eq!(members["shardingTotalCount"], 10);
        assert_eq!(members["scheduledTime"], "1970-01-01T00:00:00Z");
    }

    #[test]
    fn a_template_with_faults_should_be_refused() {
        let check = |template: &str, expect: &str| {
            let error = Template::parse(template).unwrap_err();
            assert!(error.contains(expect), "{error}");
        };
        check("{", "EOF while parsing");
        check(r#"{"a": "{{jb}}"}"#, "there is no `{{jb}}`, but `{{job}}`, `{{item}}`");
        check(r#"["{{job"]"#, "`{{job` has no `}}`");
    }
}
