//! The job's props as a type of the user's.

use std::collections::{BTreeMap, btree_map};
use std::fmt;
use std::ops::Deref;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::FromRun;
use crate::guard;
use crate::job::{BoxError, RunContext, Start};

/// The job's props as a `T`: numbers, booleans and unit enums are read from their text.
///
/// A key with dots is one key: `#[serde(rename = "email.host")]`. For the props as they are, take
/// `Props<BTreeMap<String, String>>`.
///
/// ```
/// use std::collections::BTreeMap;
/// use elasticjob::job::{BoxError, FromRun, Props, RunContext, ShardingContext};
///
/// #[derive(serde::Deserialize)]
/// struct Limits {
///     batch: u32,
///     #[serde(default)]
///     dry_run: bool,
/// }
///
/// let props = BTreeMap::from([("batch".to_owned(), "250".to_owned())]);
/// let run = RunContext::for_test(ShardingContext::for_test(0, 1)).with_props(props);
/// let limits: Props<Limits> = Props::from_run(&run)?;
/// assert_eq!((limits.batch, limits.dry_run), (250, false));
/// # Ok::<_, BoxError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Props<T>(pub T);

impl<T> Deref for Props<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned> FromRun for Props<T> {
    fn from_run(run: &RunContext) -> Result<Self, BoxError> {
        Ok(Self(read(run.props())?))
    }

    fn check(start: &mut Start<'_>) {
        match read::<T>(start.props()) {
            Ok(read) => guard::discard(read),
            Err(error) => {
                let setting = error.setting();
                start.fault_of(&setting, error);
            }
        }
    }
}

fn read<T: DeserializeOwned>(props: &BTreeMap<String, String>) -> Result<T, Error> {
    T::deserialize(Document(props))
}

/// Why props are not what the job expects. Quotes no value: props may hold secrets.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("props: {0}")]
    Whole(String),
    #[error("property `{key}`: {message}")]
    Value { key: String, message: String },
}

impl Error {
    /// The setting at fault, as it is called in files.
    fn setting(&self) -> String {
        match self {
            Self::Whole(_) => "props".to_owned(),
            Self::Value { key, .. } => format!("props.{key}"),
        }
    }
}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Whole(message.to_string())
    }
}

struct Document<'a>(&'a BTreeMap<String, String>);

impl<'de> Deserializer<'de> for Document<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(Pairs {
            rest: self.0.iter(),
            current: None,
        })
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Pairs<'a> {
    rest: btree_map::Iter<'a, String, String>,
    current: Option<(&'a str, &'a str)>,
}

impl<'de> MapAccess<'de> for Pairs<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((key, value)) = self.rest.next() else {
            return Ok(None);
        };
        self.current = Some((key, value));
        seed.deserialize(IntoDeserializer::<Error>::into_deserializer(key.as_str()))
            .map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let (key, value) = self.current.expect("serde asks for a value after its key");
        seed.deserialize(Text(value)).map_err(|error| match error {
            Error::Whole(message) => Error::Value {
                key: key.to_owned(),
                message,
            },
            within @ Error::Value { .. } => within,
        })
    }
}

/// One value. What it is depends on what is asked for.
struct Text<'a>(&'a str);

macro_rules! parsed {
    ($($method:ident $visit:ident $expected:literal)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.0.trim().parse() {
                Ok(value) => visitor.$visit(value),
                Err(_) => Err(serde::de::Error::custom(concat!("expected ", $expected))),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Text<'_> {
    type Error = Error;

    parsed! {
        deserialize_bool visit_bool "`true` or `false`"
        deserialize_i8 visit_i8 "a whole number of 8 bits"
        deserialize_i16 visit_i16 "a whole number of 16 bits"
        deserialize_i32 visit_i32 "a whole number of 32 bits"
        deserialize_i64 visit_i64 "a whole number of 64 bits"
        deserialize_i128 visit_i128 "a whole number of 128 bits"
        deserialize_u8 visit_u8 "a whole number from 0 to 255"
        deserialize_u16 visit_u16 "a whole number from 0 to 65535"
        deserialize_u32 visit_u32 "a whole number from 0 to 4294967295"
        deserialize_u64 visit_u64 "a whole number from 0, of 64 bits"
        deserialize_u128 visit_u128 "a whole number from 0, of 128 bits"
        deserialize_f32 visit_f32 "a number"
        deserialize_f64 visit_f64 "a number"
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(IntoDeserializer::<Error>::into_deserializer(self.0))
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Mode {
        FastForward,
        Careful,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Host(String);

    #[derive(Debug, PartialEq, Deserialize)]
    struct Mail {
        #[serde(rename = "email.host")]
        host: Host,
        #[serde(rename = "email.port")]
        port: Option<u16>,
        ratio: f64,
        mode: Mode,
        debug: bool,
        sign: char,
        cc: Option<String>,
    }

    fn props(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|&(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    const MAIL: [(&str, &str); 6] = [
        ("email.host", "localhost"),
        ("email.port", " 25 "),
        ("ratio", "0.5"),
        ("mode", "fast-forward"),
        ("debug", "true"),
        ("sign", "#"),
    ];

    #[test]
    fn values_should_be_read_as_what_is_asked_for() {
        let expected = Mail {
            host: Host("localhost".to_owned()),
            port: Some(25),
            ratio: 0.5,
            mode: Mode::FastForward,
            debug: true,
            sign: '#',
            cc: None,
        };
        assert_eq!(read::<Mail>(&props(&MAIL)).unwrap(), expected);
    }

    #[test]
    fn props_should_be_had_as_they_are() {
        let all = props(&MAIL);
        assert_eq!(read::<BTreeMap<String, String>>(&all).unwrap(), all);
    }

    #[test]
    fn flattened_props_should_keep_their_text() {
        #[derive(Deserialize)]
        struct Open {
            ratio: f64,
            #[serde(flatten)]
            rest: BTreeMap<String, String>,
        }
        let open: Open = read(&props(&[("ratio", "2"), ("port", "25")])).unwrap();
        assert_eq!((open.ratio, open.rest), (2.0, props(&[("port", "25")])));
    }

    #[test]
    fn names_the_key_and_not_the_value() {
        let mut wrong = props(&MAIL);
        wrong.insert("email.port".to_owned(), "secret".to_owned());
        let error = read::<Mail>(&wrong).unwrap_err().to_string();
        assert_eq!(error, "property `email.port`: expected a whole number from 0 to 65535");
    }

    #[test]
    fn a_missing_property_should_be_named() {
        let mut fewer = props(&MAIL);
        fewer.remove("mode");
        assert_eq!(
            read::<Mail>(&fewer).unwrap_err().to_string(),
            "props: missing field `mode`"
        );
    }
}
