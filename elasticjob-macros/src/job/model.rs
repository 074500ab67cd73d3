//! Arguments as settings: known keys with values of the right type.

use std::ops::RangeInclusive;

use jiff::SignedDuration;
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::{Lit, LitStr, Path};

use super::attribute::{Argument, Pair, Value};
use super::key::{self, Key, ValueKind};
use crate::faults::{Faults, nearest};

/// The settings, each key at most once.
#[derive(Default)]
pub(crate) struct Settings {
    settings: Vec<Setting>,
}

/// A setting as written, with its meaning.
pub(crate) struct Setting {
    pub(crate) key: &'static Key,
    /// The key as written.
    pub(crate) written: Ident,
    pub(crate) value: Typed,
    /// The value as written; the key, if there is none.
    pub(crate) tokens: TokenStream,
}

/// The value of a setting, in the type that its key takes.
pub(crate) enum Typed {
    Text(String),
    Number(i64),
    Flag(bool),
    Texts(Vec<LitStr>),
    Types(Vec<Path>),
    Props(Vec<Pair>),
    Path(Path),
}

impl Settings {
    /// Reads arguments. Unknown keys, values of another kind and keys that are given twice are faults, and are left
    /// out.
    pub(crate) fn read(arguments: Vec<Argument>, faults: &mut Faults) -> Self {
        let mut settings = Self::default();
        for argument in arguments {
            let Some(setting) = read(argument, faults) else {
                continue;
            };
            match settings.get(setting.key.names[0]) {
                Some(first) => faults.add(&setting.written, given_twice(first, &setting)),
                None => settings.settings.push(setting),
            }
        }
        settings
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.settings.iter()
    }

    /// Returns a setting by any of the names of its key.
    pub(crate) fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.key.is(key))
    }

    pub(crate) fn text(&self, key: &str) -> Option<(&str, &Setting)> {
        let setting = self.get(key)?;
        match &setting.value {
            Typed::Text(text) => Some((text, setting)),
            _ => None,
        }
    }

    pub(crate) fn number(&self, key: &str) -> Option<i64> {
        match self.get(key)?.value {
            Typed::Number(number) => Some(number),
            _ => None,
        }
    }

    pub(crate) fn flag(&self, key: &str) -> Option<(bool, &Setting)> {
        let setting = self.get(key)?;
        match setting.value {
            Typed::Flag(on) => Some((on, setting)),
            _ => None,
        }
    }

    /// The types of the job's listeners.
    pub(crate) fn listeners(&self) -> &[Path] {
        match self.get(key::LISTENERS).map(|setting| &setting.value) {
            Some(Typed::Types(types)) => types,
            _ => &[],
        }
    }

    /// The path of the façade crate.
    pub(crate) fn krate(&self) -> TokenStream {
        match self.get(key::CRATE).map(|setting| &setting.value) {
            Some(Typed::Path(path)) => path.to_token_stream(),
            _ => quote!(::elasticjob),
        }
    }
}

/// Returns that a key is given twice, in one spelling or in two.
fn given_twice(first: &Setting, second: &Setting) -> String {
    if first.written == second.written {
        return format!("`{}` is given twice", second.written);
    }
    format!(
        "`{}` and `{}` are the same key: give one of them",
        first.written, second.written
    )
}

fn read(Argument { key: written, value }: Argument, faults: &mut Faults) -> Option<Setting> {
    let name = written.to_string();
    let Some(key) = Key::find(&name) else {
        faults.add(&written, unknown(&name));
        return None;
    };
    let tokens = tokens_of(&written, &value);
    match typed(key.kind, &name, value) {
        Ok(value) => Some(Setting {
            key,
            written,
            value,
            tokens,
        }),
        Err(message) => {
            faults.add(tokens, message);
            None
        }
    }
}

/// Returns that a key is unknown, with the one that was probably meant or all there are.
fn unknown(name: &str) -> String {
    match nearest(name, Key::all_names()) {
        Some(nearest) => format!("unknown key `{name}`: did you mean `{nearest}`?"),
        None => {
            let short: Vec<_> = key::KEYS.iter().map(|key| key.names[0]).collect();
            format!("unknown key `{name}`, expected one of: {}", short.join(", "))
        }
    }
}

fn tokens_of(written: &Ident, value: &Value) -> TokenStream {
    match value {
        Value::Absent => written.to_token_stream(),
        Value::Literal(literal) => literal.to_token_stream(),
        Value::Path(path) => path.to_token_stream(),
        Value::Negative(_, tokens) | Value::Texts(_, tokens) | Value::Paths(_, tokens) | Value::Pairs(_, tokens) => {
            tokens.clone()
        }
    }
}

/// Reads a value as what the key takes.
///
/// # Errors
/// What the key takes instead, with an example.
fn typed(kind: ValueKind, name: &str, value: Value) -> Result<Typed, String> {
    let expected = match kind {
        ValueKind::Text | ValueKind::Name => format!("`{name}` takes a text in quotes: `{name} = \"..\"`"),
        ValueKind::Duration => format!("`{name}` takes a duration: `{name} = \"30s\"`"),
        ValueKind::Number { .. } => format!("`{name}` takes a number: `{name} = 1`"),
        ValueKind::Flag => format!("`{name}` is a flag: write `{name}`, `{name} = true` or `{name} = false`"),
        ValueKind::Texts => format!("`{name}` takes a list of texts: `{name} = [\"A\", \"B\"]`"),
        ValueKind::Types => format!("`{name}` takes a list of types: `{name} = [Audit, my::CleanUp]`"),
        ValueKind::Props => {
            format!("`{name}` takes keys and values: `{name}(\"email.host\" = \"localhost\", batch = 250)`")
        }
        ValueKind::Path => format!("`{name}` takes a path: `{name} = some::path`"),
    };
    match (kind, value) {
        (ValueKind::Text, Value::Literal(Lit::Str(text))) => Ok(Typed::Text(text.value())),
        (ValueKind::Name, Value::Literal(Lit::Str(text))) if text.value().trim().is_empty() => {
            Err(format!("`{name}` cannot be blank: leave it out instead"))
        }
        (ValueKind::Name, Value::Literal(Lit::Str(text))) => Ok(Typed::Text(text.value())),
        (ValueKind::Duration, Value::Literal(Lit::Str(text))) => duration(name, text.value()),
        (ValueKind::Number { least, most }, Value::Literal(Lit::Int(number))) if number.suffix().is_empty() => {
            in_range(name, least..=most, number.base10_parse().ok(), number.base10_digits())
        }
        (ValueKind::Number { least, most }, Value::Negative(number, _)) => {
            in_range(name, least..=most, Some(number), &number.to_string())
        }
        (ValueKind::Flag, Value::Absent) => Ok(Typed::Flag(true)),
        (ValueKind::Flag, Value::Literal(Lit::Bool(on))) => Ok(Typed::Flag(on.value)),
        (ValueKind::Texts, Value::Texts(texts, _)) => Ok(Typed::Texts(texts)),
        (ValueKind::Types, Value::Paths(paths, _)) => Ok(Typed::Types(paths)),
        (ValueKind::Types, Value::Texts(texts, _)) if texts.is_empty() => Ok(Typed::Types(Vec::new())),
        (ValueKind::Props, Value::Pairs(pairs, _)) => Ok(Typed::Props(pairs)),
        (ValueKind::Path, Value::Path(path)) => Ok(Typed::Path(path)),
        _ => Err(expected),
    }
}

fn duration(name: &str, text: String) -> Result<Typed, String> {
    match text.trim().parse::<SignedDuration>() {
        Ok(duration) if duration.is_positive() => Ok(Typed::Text(text)),
        Ok(_) => Err(format!(
            "`{name}` is longer than none, not `{text}`: leave it out instead"
        )),
        Err(_) => Err(format!(
            "`{name}` is a duration, such as `10s`, `500ms` or `1m 30s`, not `{text}`"
        )),
    }
}

fn in_range(name: &str, range: RangeInclusive<i64>, number: Option<i64>, written: &str) -> Result<Typed, String> {
    match number {
        Some(number) if range.contains(&number) => Ok(Typed::Number(number)),
        _ => Err(format!(
            "`{name}` is at least {} and at most {}, not {written}",
            range.start(),
            range.end()
        )),
    }
}
