//! `${NAME:default}` in texts.
//!
//! A name is looked for in the environment as it stands, then as a key of the configuration, whoever's, then in the
//! environment in capitals (`${zk.host}` finds `ZK_HOST`). A default may hold placeholders. `\${` stands for `${`.

use std::collections::BTreeMap;

use super::key;

/// Where names are looked for.
pub(super) struct Lookup<'a> {
    pub(super) environment: &'a BTreeMap<String, String>,
    /// Texts by the identity of their key.
    pub(super) keys: BTreeMap<String, String>,
}

impl Lookup<'_> {
    /// Puts in what every placeholder of a text stands for.
    ///
    /// # Errors
    /// Says which placeholder stands for nothing, or for itself.
    pub(super) fn resolve(&self, text: &str) -> Result<String, String> {
        self.resolve_within(text, &mut Vec::new())
    }

    /// `open` are the names that are being resolved.
    fn resolve_within(&self, text: &str, open: &mut Vec<String>) -> Result<String, String> {
        let mut resolved = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            if let Some(before) = rest[..start].strip_suffix('\\') {
                resolved.push_str(before);
                resolved.push_str("${");
                rest = &rest[start + 2..];
                continue;
            }
            resolved.push_str(&rest[..start]);
            let inner = &rest[start + 2..];
            let Some(end) = closing_brace(inner) else {
                return Err(
                    "a placeholder has no closing brace; write `\\${` for the characters themselves".to_owned(),
                );
            };
            resolved.push_str(&self.value(&inner[..end], open)?);
            rest = &inner[end + 1..];
        }
        resolved.push_str(rest);
        Ok(resolved)
    }

    fn value(&self, inner: &str, open: &mut Vec<String>) -> Result<String, String> {
        let (name, default) = match inner.split_once(':') {
            Some((name, default)) => (name.trim(), Some(default)),
            None => (inner.trim(), None),
        };
        if let Some(start) = open.iter().position(|opened| opened == name) {
            let circle = [&open[start..], &[name.to_owned()]].concat();
            return Err(format!("the placeholder refers to itself: {}", circle.join(" -> ")));
        }
        if let Some(text) = self.environment.get(name) {
            return Ok(text.clone());
        }
        open.push(name.to_owned());
        let value = if let Some(text) = self.keys.get(&key::identity(&key::parts(name))) {
            self.resolve_within(text, open)
        } else if let Some(text) = self.environment.get(&in_capitals(name)) {
            Ok(text.clone())
        } else if let Some(default) = default {
            self.resolve_within(default, open)
        } else {
            let way_out = format!("has no default: write `${{{name}:default}}`");
            Err(format!(
                "`${{{name}}}` is neither an environment variable nor a key, and {way_out}"
            ))
        };
        open.pop();
        value
    }
}

/// Where the placeholder ends whose inside begins the text.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut previous = ' ';
    for (index, c) in text.char_indices() {
        match c {
            '{' if previous == '$' => depth += 1,
            '}' if depth == 0 => return Some(index),
            '}' => depth -= 1,
            _ => {}
        }
        previous = c;
    }
    None
}

fn in_capitals(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect()
}
