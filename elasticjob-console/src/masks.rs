//! Secrets of a configuration that a visitor is shown, and may send back: pure, on settings by their names in the registry.
//!
//! A secret is never shown. A value that comes back as it was shown means the one that is stored. But a secret stays with its
//! destination: if the host that gets a password could be changed without the password being entered, any editor could have it sent
//! to a host of theirs.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use elasticjob::configuration::{PROVIDED, is_secret, without_secrets};

/// Settings by name; properties as `props.KEY`.
pub(crate) type Settings = BTreeMap<String, String>;

/// What is shown instead of a secret.
pub(crate) const MASK: &str = "******";

/// What stands before the key of a property.
pub(crate) const PROPS: &str = "props.";

/// Ends of keys that say where a secret is sent, without punctuation, in small letters.
const DESTINATIONS: [&str; 14] = [
    "host", "port", "url", "uri", "webhook", "user", "username", "address", "server", "endpoint", "proxy", "cafile",
    "trust", "ssl",
];

/// Returns a value as it may be shown.
pub(crate) fn masked<'a>(name: &str, value: &'a str) -> Cow<'a, str> {
    if is_secret(name) {
        Cow::Borrowed(MASK)
    } else {
        without_secrets(value)
    }
}

/// Returns what a visitor means by the settings that were sent back: each that is as it was shown has its stored value.
///
/// # Errors
/// Returns all faults: values that were shown for another setting, and secrets that have to be entered again, since where they are sent has
/// changed.
pub(crate) fn restored(stored: &Settings, given: Settings) -> Result<Settings, Vec<String>> {
    let mut faults = Vec::new();
    let mut kept: BTreeSet<String> = BTreeSet::new();
    let mut restore = |(name, value): (String, String)| {
        let known = stored.get(&name);
        let is_as_shown = known.is_some_and(|known| masked(&name, known) == value && *known != value);
        let value = match known {
            Some(known) if is_as_shown => {
                kept.insert(name.clone());
                known.clone()
            }
            _ if value == MASK || value.contains(PROVIDED) => {
                faults.push(format!(
                    "`{name}` has no stored value that its mask stands for: enter its value"
                ));
                value
            }
            _ => value,
        };
        (name, value)
    };
    let meant: Settings = given.into_iter().map(&mut restore).collect();
    faults.extend(astray(stored, &meant, |name| kept.contains(name)));
    if faults.is_empty() { Ok(meant) } else { Err(faults) }
}

/// Returns what is wrong if secrets that were not entered again, as `is_kept` says by their names, would be sent elsewhere.
pub(crate) fn astray(before: &Settings, after: &Settings, is_kept: impl Fn(&str) -> bool) -> Vec<String> {
    let changed = changes(before, after);
    let is_kept = |(name, value): &(&String, &String)| {
        !changed.contains(name.as_str()) && masked(name, value) != **value && is_kept(name)
    };
    let fault = |(name, _): (&String, &String)| {
        let mut moved = changed.iter();
        let moved = moved.find(|other| is_destination(other) && group(other) == group(name))?;
        Some(format!("enter `{name}` again, since `{moved}` has changed"))
    };
    after.iter().filter(is_kept).filter_map(fault).collect()
}

/// Returns the names of all settings that are not the same in both.
fn changes<'a>(before: &'a Settings, after: &'a Settings) -> BTreeSet<&'a str> {
    let names = before.keys().chain(after.keys());
    let is_changed = |name: &&String| before.get(*name) != after.get(*name);
    names.filter(is_changed).map(String::as_str).collect()
}

/// Returns the settings that are code on every instance, and are not the same in both. Only an admin may change them.
pub(crate) fn changes_of_code<'a>(before: &'a Settings, after: &'a Settings) -> Vec<&'a str> {
    let is_code = |name: &&str| {
        let prop = name.strip_prefix(PROPS).unwrap_or_default();
        prop.starts_with("script.") || ["http.uri", "http.data"].contains(&prop)
    };
    changes(before, after).into_iter().filter(is_code).collect()
}

fn is_destination(name: &str) -> bool {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    let letters: String = letters.map(|letter| letter.to_ascii_lowercase()).collect();
    DESTINATIONS.iter().any(|end| letters.ends_with(end))
}

/// Returns what settings of one channel have in common: the first part of their keys.
fn group(name: &str) -> Option<&str> {
    let prop = name.strip_prefix(PROPS)?;
    Some(prop.split_once('.').map_or("", |(group, _)| group))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(entries: &[(&str, &str)]) -> Settings {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        entries.iter().map(owned).collect()
    }

    fn stored() -> Settings {
        settings(&[
            ("jobParameter", "ftp://lion:tiger@files/in"),
            ("props.email.host", "mail"),
            ("props.email.password", "tiger"),
            ("props.sink.password", "lion"),
            ("props.sink.batch", "10"),
        ])
    }

    /// What is shown of the stored settings, with some changed.
    fn sent(changes: &[(&str, &str)]) -> Settings {
        let mut sent = stored();
        for (name, value) in &mut sent {
            *value = masked(name, value).into_owned();
        }
        sent.extend(settings(changes));
        sent
    }

    #[test]
    fn stand_for_what_is_stored() {
        let shown = sent(&[]);
        assert_eq!(shown["props.email.password"], MASK);
        assert_eq!(shown["jobParameter"], "ftp://[provided]@files/in");
        assert_eq!(restored(&stored(), shown).unwrap(), stored());
        let meant = restored(
            &stored(),
            sent(&[("props.sink.batch", "20"), ("props.sink.password", "puma")]),
        )
        .unwrap();
        assert_eq!(
            (&*meant["props.sink.password"], &*meant["props.email.password"]),
            ("puma", "tiger")
        );
    }

    #[test]
    fn stand_for_nothing_elsewhere() {
        for (name, value) in [
            ("props.mine", MASK),
            ("props.mine.password", MASK),
            ("jobParameter", "ftp://[provided]@evil.test/in"),
            ("description", "[provided]"),
        ] {
            let faults = restored(&stored(), sent(&[(name, value)])).unwrap_err();
            assert!(
                faults[0].starts_with(&format!("`{name}` has no stored value")),
                "{faults:?}"
            );
        }
    }

    #[test]
    fn are_refused_if_the_destination_changes() {
        for (name, value) in [
            ("props.email.host", "evil.test"),
            ("props.email.port", "25"),
            ("props.email.username", "me"),
            ("props.email.ssl.caFile", "/tmp/ca"),
        ] {
            let faults = restored(&stored(), sent(&[(name, value)])).unwrap_err();
            let expected = format!("enter `props.email.password` again, since `{name}` has changed");
            assert_eq!(faults, [expected]);
            let entered = sent(&[(name, value), ("props.email.password", "tiger2")]);
            assert!(restored(&stored(), entered).is_ok());
        }
        let mut without = sent(&[]);
        without.remove("props.email.host");
        assert!(restored(&stored(), without).is_err());
    }

    #[test]
    fn of_code_are_for_admins() {
        let (before, after) = (
            stored(),
            sent(&[
                ("props.script.command.line", "rm"),
                ("props.http.uri", "x"),
                ("cron", "c"),
            ]),
        );
        let after = restored(&before, after).unwrap();
        assert_eq!(
            changes_of_code(&before, &after),
            ["props.http.uri", "props.script.command.line"]
        );
    }
}
