//! What job types and error handlers take from the props of a job.
//!
//! Props are texts by names. A handler or type that reads props declares them by a type that implements [`Properties`]: its
//! names, and the kind of each value. The same code describes them ([`describe`]), checks them at start, and gives the
//! typed values.
//!
//! Guarantees:
//! - **All faults are found at once,** before a job runs: missing props, values that do not parse, and unknown names that begin
//!   like known ones ("did you mean ..").
//! - **No fault shows a secret**, whether by its name (`password`, `token`, `webhook` ..) or by
//!   [`Accepts::secret`].
//!
//! Props under other names belong to the job's own code, which reads them through [`Props`](crate::job::Props).
//! Start reading at [`Properties`].

pub mod accept;
mod fault;
mod reader;

pub use accept::Accepts;
pub use fault::{Fault, Faults};
pub use reader::{Description, Presence, Reader};

use std::collections::BTreeMap;

/// Typed values that are read from the props of a job.
///
/// ```
/// use std::collections::BTreeMap;
/// use std::time::Duration;
/// use elasticjob::configuration::Secret;
/// use elasticjob::property::{self, Properties, Reader, accept};
///
/// struct Robot {
///     address: String,
///     token: Secret,
///     room: Option<String>,
///     timeout: Duration,
/// }
///
/// impl Properties for Robot {
///     const PREFIXES: &'static [&'static str] = &["robot."];
///
///     fn read(reader: &mut Reader<'_>) -> Option<Self> {
///         let address = reader.required("robot.address", &accept::TEXT);
///         let token = reader.required("robot.token", &accept::SECRET);
///         let room = reader.optional("robot.room", &accept::TEXT);
///         let timeout = reader.with_default("robot.timeout", &accept::DURATION, "5s");
///         Some(Self { address: address?, token: token?, room: room?, timeout: timeout? })
///     }
/// }
///
/// let mut props = BTreeMap::from([
///     ("robot.address".to_owned(), "https://chat.example.org".to_owned()),
///     ("robot.token".to_owned(), "tiger".to_owned()),
///     ("batch".to_owned(), "250".to_owned()),
/// ]);
/// let robot: Robot = property::read(&props)?;
/// assert_eq!(robot.timeout, Duration::from_secs(5));
///
/// props.insert("robot.time-out".to_owned(), "1m".to_owned());
/// let faults = property::read::<Robot>(&props).err().unwrap();
/// assert_eq!(faults.to_string(), "`props.robot.time-out`: unknown property, did you mean `robot.timeout`?");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub trait Properties: Sized + Send + Sync + 'static {
    /// What the names begin with: `["robot."]`. A prop that begins so and is never asked for is refused.
    const PREFIXES: &'static [&'static str];

    /// Asks for every property, and gives the values; `None` where one is at fault.
    ///
    /// It must read all props each time, even if others are faulty, so that all faults are found and all names are
    /// known. Rules over several props are checked afterwards, and reported by [`Reader::fault`].
    fn read(reader: &mut Reader<'_>) -> Option<Self>;
}

/// Takes nothing.
impl Properties for () {
    const PREFIXES: &'static [&'static str] = &[];

    fn read(_: &mut Reader<'_>) -> Option<Self> {
        Some(())
    }
}

/// Reads the properties `P` alone.
///
/// # Errors
/// All faults at once.
pub fn read<P: Properties>(props: &BTreeMap<String, String>) -> Result<P, Faults> {
    let mut reader = Reader::new(props);
    let properties = reader.read();
    reader.finish(properties)
}

/// What `P` asks for, in its order: name, what is accepted, default.
///
/// ```
/// use elasticjob::property::{Presence, describe};
///
/// assert!(describe::<()>().is_empty());
/// ```
#[must_use]
pub fn describe<P: Properties>() -> Vec<Description> {
    let props = BTreeMap::new();
    let mut reader = Reader::new(&props);
    // Without any props there are faults, and no values.
    let _ = reader.read::<P>();
    reader.into_descriptions()
}
