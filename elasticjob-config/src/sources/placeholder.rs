//! `${NAME:default}` in texts.
//!
//! A name is looked up in the environment as written, then among all keys of the configuration files, then in the
//! environment in capitals (`${zk.host}` finds `ZK_HOST`). Name and default may hold placeholders: `${zk.${env}.host}`. `\${`
//! stands for `${`.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::key;
use crate::text::{LARGEST_FILE, LARGEST_STORED};
use crate::work;
use crate::yaml::tree::DEEPEST;

/// Placeholders may make a text no longer than this.
const LARGEST_TEXT: usize = LARGEST_STORED;

/// All texts of an application together may get so many bytes from placeholders, and look so many of them up. Each of a
/// chain of keys may double the one before it, so that neither the length of a text nor its depth says what it costs.
const MOST_BYTES: usize = 4 * LARGEST_FILE;
const MOST_LOOKUPS: usize = 1_000_000;

/// Where names are looked for.
pub(super) struct Lookup<'a> {
    pub(super) environment: &'a BTreeMap<String, String>,
    pub(super) spent: Spent,
    /// Texts by the identity of their key.
    pub(super) keys: BTreeMap<String, String>,
}

/// What placeholders have cost until now.
#[derive(Debug, Default)]
pub(super) struct Spent {
    bytes: Cell<usize>,
    lookups: Cell<usize>,
}

impl Spent {
    fn look_up(&self) -> Result<(), String> {
        work::step();
        self.lookups.set(self.lookups.get() + 1);
        if self.lookups.get() > MOST_LOOKUPS {
            Err(format!(
                "more than {MOST_LOOKUPS} placeholders are looked up for the configuration"
            ))
        } else {
            Ok(())
        }
    }

    fn put_in(&self, bytes: usize) -> Result<(), String> {
        self.bytes.set(self.bytes.get() + bytes);
        if self.bytes.get() > MOST_BYTES {
            Err(format!(
                "placeholders put more than {MOST_BYTES} bytes into the configuration"
            ))
        } else {
            Ok(())
        }
    }
}

impl Lookup<'_> {
    /// Puts in what every placeholder of a text stands for.
    ///
    /// # Errors
    /// Says which placeholder stands for nothing or for itself, or that placeholders make too much of a text.
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
            let value = self.value(&inner[..end], open)?;
            self.spent.put_in(value.len())?;
            resolved.push_str(&value);
            if resolved.len() > LARGEST_TEXT {
                return Err(format!("placeholders make a text longer than {LARGEST_TEXT} bytes"));
            }
            rest = &inner[end + 1..];
        }
        resolved.push_str(rest);
        Ok(resolved)
    }

    /// The name that a placeholder looks for, which may be made of others.
    fn name(&self, written: &str, open: &mut Vec<String>) -> Result<String, String> {
        if !written.contains("${") {
            return Ok(written.trim().to_owned());
        }
        refuse_depth(open)?;
        open.push(written.to_owned());
        let name = self.resolve_within(written, open);
        open.pop();
        Ok(name?.trim().to_owned())
    }

    fn value(&self, inner: &str, open: &mut Vec<String>) -> Result<String, String> {
        self.spent.look_up()?;
        let (name, default) = match colon(inner) {
            Some(colon) => (&inner[..colon], Some(&inner[colon + 1..])),
            None => (inner, None),
        };
        let name = self.name(name, open)?;
        let name = name.as_str();
        if let Some(start) = open.iter().position(|opened| opened == name) {
            let circle = [&open[start..], &[name.to_owned()]].concat();
            return Err(format!("the placeholder refers to itself: {}", circle.join(" -> ")));
        }
        if let Some(text) = self.environment.get(name) {
            return Ok(text.clone());
        }
        refuse_depth(open)?;
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

fn refuse_depth(open: &[String]) -> Result<(), String> {
    if open.len() < DEEPEST {
        return Ok(());
    }
    let first = open[..3].join("` -> `");
    Err(format!(
        "placeholders lead deeper than {DEEPEST} levels: `{first}` -> and so on"
    ))
}

/// Where the placeholder ends whose inside begins the text.
fn closing_brace(text: &str) -> Option<usize> {
    outside_of_placeholders(text, '}')
}

/// Where the default of a placeholder begins.
fn colon(inner: &str) -> Option<usize> {
    outside_of_placeholders(inner, ':')
}

/// Where a character is that stands in no placeholder of the text.
fn outside_of_placeholders(text: &str, wanted: char) -> Option<usize> {
    let mut depth = 0_usize;
    let mut previous = ' ';
    for (index, c) in text.char_indices() {
        match c {
            '{' if previous == '$' => depth += 1,
            c if depth == 0 && c == wanted => return Some(index),
            '}' => depth = depth.saturating_sub(1),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What a text resolves to beside these keys.
    fn resolved(keys: impl IntoIterator<Item = (String, String)>, text: &str) -> Result<String, String> {
        let environment = BTreeMap::new();
        let lookup = Lookup {
            environment: &environment,
            spent: Spent::default(),
            keys: keys.into_iter().collect(),
        };
        lookup.resolve(text)
    }

    /// Keys each of which says so much of the next, and the last of which says `end`.
    fn chain(length: usize, of_next: impl Fn(&str) -> String, end: &str) -> Vec<(String, String)> {
        let name = |index: usize| format!("k{index}");
        let link = |index| {
            if index + 1 == length {
                (name(index), end.to_owned())
            } else {
                (name(index), of_next(&format!("${{{}}}", name(index + 1))))
            }
        };
        (0..length).map(link).collect()
    }

    mod limits {
        use super::*;

        #[test]
        fn of_depth() {
            let once = |next: &str| next.to_owned();
            assert_eq!(resolved(chain(DEEPEST, once, "x"), "${k0}").as_deref(), Ok("x"));
            for length in [DEEPEST + 1, 30_000] {
                let error = resolved(chain(length, once, "x"), "${k0}").expect_err("it is too deep");
                let expected = "placeholders lead deeper than 64 levels: `k0` -> `k1` -> `k2` -> and so on";
                assert_eq!(error, expected);
            }
            let opened: String = (0..100_000).map(|level| format!("${{a{level}:")).collect();
            let error = resolved([], &(opened + &"}".repeat(100_000))).expect_err("it is too deep");
            assert!(
                error.starts_with("placeholders lead deeper than 64 levels: `a0`"),
                "{error}"
            );
        }

        #[test]
        fn of_length() {
            let twice = |next: &str| next.repeat(2);
            let resolve = |length, end: &str| resolved(chain(length, twice, end), "${k0}");
            let end = "x".repeat(1 << 10);
            assert_eq!(resolve(11, &end).map(|text| text.len()), Ok(LARGEST_TEXT));
            for length in [12, 60] {
                let error = resolve(length, &end).expect_err("it is too long");
                assert_eq!(error, "placeholders make a text longer than 1048576 bytes");
            }
        }

        #[test]
        fn of_lookups() {
            let twice = |next: &str| next.repeat(2);
            let error = resolved(chain(60, twice, ""), "${k0}").expect_err("they are too many");
            assert_eq!(
                error,
                "more than 1000000 placeholders are looked up for the configuration"
            );
        }

        #[test]
        fn of_all_texts_together() {
            let environment = BTreeMap::new();
            let lookup = Lookup {
                environment: &environment,
                spent: Spent::default(),
                keys: BTreeMap::from([("k".to_owned(), "x".repeat(LARGEST_TEXT))]),
            };
            let fits = MOST_BYTES / LARGEST_TEXT;
            for _ in 0..fits {
                assert_eq!(lookup.resolve("${k}").map(|text| text.len()), Ok(LARGEST_TEXT));
            }
            let error = lookup.resolve("${k}").expect_err("it is too much");
            assert_eq!(
                error,
                "placeholders put more than 67108864 bytes into the configuration"
            );
            assert_eq!(lookup.resolve("no placeholder").as_deref(), Ok("no placeholder"));
        }
    }

    #[test]
    fn the_cost_of_a_text_grows_with_its_placeholders() {
        work::assert_grows_with_input(|size| {
            let keys = [("k".to_owned(), "x".to_owned())];
            assert_eq!(resolved(keys, &"${k}".repeat(size)), Ok("x".repeat(size)));
        });
    }
}
