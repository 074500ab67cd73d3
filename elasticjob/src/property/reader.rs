//! The reader of props: it hands out typed values, and remembers what was asked for.
//!
//! From what was asked for it knows three things without further declarations: which names are unknown, what each
//! property is for the documentation, and which props a sharding strategy depends on.

use std::collections::{BTreeMap, BTreeSet};

use elasticjob_config::{PROVIDED, is_secret, shown, spelling};

use crate::guard;
use crate::type_name;

use super::{Accepts, Fault, Faults, Properties};

/// A property that is being read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// The key of the prop: `script.command.line`.
    pub key: &'static str,
    /// What its value may be, in words.
    pub expected: &'static str,
    /// What is without it.
    pub presence: Presence,
    /// Whether nothing shows its value.
    pub is_secret: bool,
}

/// What is without a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Presence {
    /// The job does not start.
    Required,
    /// Nothing.
    Optional,
    /// This counts.
    Default(&'static str),
}

/// Reads properties from the props of one job, and collects all that is wrong with them.
///
/// A blank value counts as none.
#[derive(Debug)]
pub struct Reader<'a> {
    props: Unshown<'a>,
    descriptions: Vec<Description>,
    prefixes: Vec<&'static str>,
    faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    /// A reader of these props.
    #[must_use]
    pub fn new(props: &'a BTreeMap<String, String>) -> Self {
        Self {
            props: Unshown(props),
            descriptions: Vec::new(),
            prefixes: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Reads the properties `P`; `None` where one of them is at fault.
    pub fn read<P: Properties>(&mut self) -> Option<P> {
        self.prefixes.extend(P::PREFIXES);
        let faults = self.faults.len();
        let read = guard::call(|| P::read(self)).unwrap_or_else(|panicked| {
            let key = P::PREFIXES.first().copied().unwrap_or("*");
            self.faults.push(Fault {
                key: key.to_owned(),
                value: None,
                problem: format!("{} {panicked}", type_name::shown(std::any::type_name::<P>())),
            });
            None
        });
        if self.faults.len() == faults {
            read
        } else {
            guard::discard(read);
            None
        }
    }

    /// Asks for a property that has to be there; `None` where it is at fault.
    /// Ask for all properties before `?` is used on any, so that all faults are found.
    pub fn required<T>(&mut self, key: &'static str, accepts: &Accepts<T>) -> Option<T> {
        self.describe(key, accepts, Presence::Required);
        let text = self.text(key);
        if text.is_none() {
            let problem = format!("is missing, expected {}", accepts.expected());
            self.faults.push(Fault {
                key: key.to_owned(),
                value: None,
                problem,
            });
        }
        self.parsed(key, accepts, text?)
    }

    /// Asks for a property that may be left out; `None` where it is at fault, `Some(None)` where it is left out.
    pub fn optional<T>(&mut self, key: &'static str, accepts: &Accepts<T>) -> Option<Option<T>> {
        self.describe(key, accepts, Presence::Optional);
        match self.text(key) {
            Some(text) => self.parsed(key, accepts, text).map(Some),
            None => Some(None),
        }
    }

    /// Asks for a property for which `default` counts where it is left out; `None` where it is at fault.
    /// The default is parsed like a value, so it must be accepted.
    pub fn with_default<T>(&mut self, key: &'static str, accepts: &Accepts<T>, default: &'static str) -> Option<T> {
        self.describe(key, accepts, Presence::Default(default));
        let text = self.text(key).unwrap_or(default);
        self.parsed(key, accepts, text)
    }

    /// Reports what else is wrong with a property, such as that it does not go with another.
    pub fn fault(&mut self, key: &'static str, problem: impl Into<String>) {
        let value = self.text(key).map(|text| self.shown(key, text));
        self.faults.push(Fault {
            key: key.to_owned(),
            value,
            problem: problem.into(),
        });
    }

    /// Returns the values after the last read. A prop that was not read, but has a name that begins like those that were, is a
    /// fault.
    ///
    /// # Errors
    /// All faults.
    pub fn finish<T>(mut self, read: Option<T>) -> Result<T, Faults> {
        let unknown = self.unknown();
        self.faults.extend(unknown);
        match read {
            Some(read) if self.faults.is_empty() => Ok(read),
            _ => Err(Faults(self.faults)),
        }
    }

    /// What was asked for and is set.
    pub(crate) fn taken(&self) -> impl Iterator<Item = (&'static str, &'a str)> {
        let asked = self.descriptions.iter().map(|property| property.key);
        asked.filter_map(|key| Some((key, self.text(key)?)))
    }

    pub(crate) fn into_descriptions(self) -> Vec<Description> {
        self.descriptions
    }

    fn describe<T>(&mut self, key: &'static str, accepts: &Accepts<T>, presence: Presence) {
        self.descriptions.push(Description {
            key,
            expected: accepts.expected(),
            presence,
            is_secret: accepts.is_secret() || is_secret(key),
        });
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        let text = self.props.0.get(key)?;
        (!text.trim().is_empty()).then_some(text)
    }

    fn parsed<T>(&mut self, key: &'static str, accepts: &Accepts<T>, text: &str) -> Option<T> {
        let problem = match accepts.parse(text) {
            Ok(value) => return Some(value),
            Err(problem) => problem,
        };
        let value = Some(self.shown(key, text));
        self.faults.push(Fault {
            key: key.to_owned(),
            value,
            problem,
        });
        None
    }

    fn shown(&self, key: &str, text: &str) -> String {
        let is_described = |known: &Description| known.key == key && known.is_secret;
        if self.descriptions.iter().any(is_described) {
            PROVIDED.to_owned()
        } else {
            shown(key, text).into_owned()
        }
    }

    fn unknown(&self) -> Vec<Fault> {
        if self.prefixes.is_empty() {
            return Vec::new();
        }
        let known: BTreeSet<&str> = self.descriptions.iter().map(|property| property.key).collect();
        let is_ours = |key: &str| self.prefixes.iter().any(|prefix| key.starts_with(prefix));
        let keys = self.props.0.keys().map(String::as_str);
        let unknown = keys.filter(|key| is_ours(key) && !known.contains(key));
        unknown
            .map(|key| {
                let hint = match spelling::nearest(key, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there are {}", known.iter().copied().collect::<Vec<_>>().join(", ")),
                };
                Fault {
                    key: key.to_owned(),
                    // The value of an unknown name may be a secret.
                    value: None,
                    problem: format!("unknown property, {hint}"),
                }
            })
            .collect()
    }
}

/// Props, which may hold secrets.
struct Unshown<'a>(&'a BTreeMap<String, String>);

impl std::fmt::Debug for Unshown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use elasticjob_config::Secret;

    use super::super::{accept, describe, read};
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Mail {
        host: String,
        port: u16,
        password: Secret,
        account: Option<String>,
        tls: bool,
    }

    impl Properties for Mail {
        const PREFIXES: &'static [&'static str] = &["mail."];

        fn read(reader: &mut Reader<'_>) -> Option<Self> {
            let host = reader.required("mail.host", &accept::TEXT);
            let port = reader.required("mail.port", &accept::PORT);
            let password = reader.required("mail.password", &accept::SECRET);
            let account = reader.optional("mail.account", &const { accept::TEXT.secret() });
            let tls = reader.with_default("mail.tls", &accept::FLAG, "true");
            if tls == Some(false) && port == Some(465) {
                reader.fault("mail.port", "is for TLS, which `mail.tls` switches off");
            }
            Some(Self {
                host: host?,
                port: port?,
                password: password?,
                account: account?,
                tls: tls?,
            })
        }
    }

    /// The faults of a mail section with these changes; an empty value takes a prop out.
    fn faults(changes: &[(&str, &str)]) -> Vec<String> {
        match read_with(changes) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.iter().map(ToString::to_string).collect(),
        }
    }

    fn read_with(changes: &[(&str, &str)]) -> Result<Mail, Faults> {
        let mut props = BTreeMap::new();
        let sound = [("mail.host", "mx"), ("mail.port", "25"), ("mail.password", "tiger")];
        for (key, value) in sound.iter().chain(changes) {
            props.insert((*key).to_owned(), (*value).to_owned());
        }
        read(&props)
    }

    #[test]
    fn values_should_be_typed_and_defaults_filled_in() {
        let mail = Mail {
            host: "mx".to_owned(),
            port: 25,
            password: Secret::new("tiger"),
            account: None,
            tls: true,
        };
        assert_eq!(read_with(&[("batch", "250"), ("mailbox", "x")]), Ok(mail));
        let without = read_with(&[("mail.tls", "false"), ("mail.account", "me")]).unwrap();
        assert_eq!((without.account.as_deref(), without.tls), (Some("me"), false));
    }

    #[test]
    fn reports_all_faults_without_secrets() {
        let found = faults(&[
            ("mail.host", " "),
            ("mail.port", "smtp"),
            ("mail.tsl", "yes"),
            ("mail.tls", "yes"),
            ("mail.pasword", "tiger2"),
            ("mail.colour", "red"),
        ]);
        assert_eq!(
            found,
            [
                "`props.mail.host`: is missing, expected a text",
                "`props.mail.port` is `smtp`: expected a port from 1 to 65535",
                "`props.mail.tls` is `yes`: expected `true` or `false`",
                "`props.mail.colour`: unknown property, there are mail.account, mail.host, mail.password, mail.port, \
                 mail.tls",
                "`props.mail.pasword`: unknown property, did you mean `mail.password`?",
                "`props.mail.tsl`: unknown property, did you mean `mail.tls`?",
            ]
        );
    }

    #[test]
    fn reports_a_fault_of_several_properties_with_the_value() {
        let found = faults(&[("mail.port", "465"), ("mail.tls", "false")]);
        assert_eq!(
            found,
            ["`props.mail.port` is `465`: is for TLS, which `mail.tls` switches off"]
        );
    }

    #[test]
    fn hides_a_value_that_is_secret_by_its_type() {
        const PIN: Accepts<u16> = Accepts::new("a number", |text| text.parse().ok()).secret();
        let props = BTreeMap::from([("door".to_owned(), "tiger".to_owned())]);
        let mut reader = Reader::new(&props);
        assert!(!format!("{reader:?}").contains("tiger"));
        let pin = reader.required("door", &PIN);
        let faults = reader.finish(pin).unwrap_err();
        assert_eq!(faults.to_string(), "`props.door` is `[provided]`: expected a number");
    }

    #[test]
    fn shares_a_prefix_between_readers() {
        struct Subject;
        impl Properties for Subject {
            const PREFIXES: &'static [&'static str] = &["mail."];

            fn read(reader: &mut Reader<'_>) -> Option<Self> {
                reader.required("mail.subject", &accept::TEXT).map(|_| Self)
            }
        }
        let props = ["host", "password", "subject"].map(|key| (format!("mail.{key}"), "x".to_owned()));
        let mut props = BTreeMap::from(props);
        props.insert("mail.port".to_owned(), "25".to_owned());
        let mut reader = Reader::new(&props);
        let both = reader.read::<Mail>().zip(reader.read::<Subject>());
        assert!(reader.finish(both).is_ok());
    }

    #[test]
    fn a_description_should_say_what_is_asked_for() {
        let described = describe::<Mail>();
        let keys: Vec<_> = described.iter().map(|property| property.key).collect();
        assert_eq!(
            keys,
            ["mail.host", "mail.port", "mail.password", "mail.account", "mail.tls"]
        );
        let secrets: Vec<_> = described.iter().map(|property| property.is_secret).collect();
        assert_eq!(secrets, [false, false, true, true, false]);
        assert_eq!(described[4].presence, Presence::Default("true"));
        assert_eq!(described[1].expected, "a port from 1 to 65535");
    }
}
