//! What is checked before a job fires for the first time.

use std::collections::BTreeMap;
use std::fmt;

use elasticjob_config::sources::{JobSettings, Origin};

use crate::guard;
use crate::type_name;

use super::components::{Components, MissingComponent};
use super::declaration::Place;

/// One job at start: what it will be given, and the faults found in that.
///
/// [`FromRun::check`](super::FromRun::check) reads it and [reports](Self::fault); all faults of all jobs come out together.
///
/// ```
/// use elasticjob::job::{BoxError, FromRun, RunContext, Start};
///
/// struct Region(String);
///
/// impl FromRun for Region {
///     fn from_run(run: &RunContext) -> Result<Self, BoxError> {
///         Ok(Region(run.props().get("region").ok_or("no region")?.clone()))
///     }
///
///     fn check(start: &mut Start<'_>) {
///         if !start.props().contains_key("region") {
///             start.fault("property `region` is missing");
///         }
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Start<'a> {
    parts: StartParts<'a>,
    /// What the fault is about, innermost: a parameter or field of the job.
    subject: Option<Subject>,
    faults: Vec<Fault>,
}

/// What a job will be given, as configured.
#[derive(Clone, Debug)]
pub(crate) struct StartParts<'a> {
    /// What is checked, in a word: a job, or an implementation that jobs name.
    pub(crate) kind: &'static str,
    pub(crate) job_name: &'a str,
    pub(crate) place: Place,
    pub(crate) sharding_total_count: u32,
    pub(crate) job_parameter: &'a str,
    /// Whether the job has no schedule, so that each of its runs is asked for, maybe with a parameter.
    pub(crate) is_one_off: bool,
    pub(crate) item_parameters: BTreeMap<u32, &'a str>,
    pub(crate) props: &'a BTreeMap<String, String>,
    pub(crate) components: &'a Components,
    /// Where the job's settings were written, and which of them are at fault; `None` for what has no settings.
    pub(crate) settings: Option<&'a JobSettings>,
}

#[derive(Clone, Copy, Debug)]
struct Subject {
    word: &'static str,
    name: &'static str,
    type_name: &'static str,
}

impl<'a> Start<'a> {
    pub(crate) fn new(parts: StartParts<'a>) -> Self {
        Self {
            parts,
            subject: None,
            faults: Vec::new(),
        }
    }

    /// The faults found.
    pub(crate) fn into_faults(self) -> Vec<Fault> {
        self.faults
    }

    /// The name of the job.
    pub fn job_name(&self) -> &str {
        self.parts.job_name
    }

    /// Into how many items the job is divided.
    pub fn sharding_total_count(&self) -> u32 {
        self.parts.sharding_total_count
    }

    /// The job's parameter; empty when there is none.
    pub fn job_parameter(&self) -> &'a str {
        self.parts.job_parameter
    }

    /// Returns whether the job has no schedule: each of its runs is asked for, and may be given a parameter then.
    pub fn is_one_off(&self) -> bool {
        self.parts.is_one_off
    }

    /// Every item of the job with its parameter.
    /// The items come in ascending order. `None` is an item to which the configuration gives no parameter.
    pub fn item_parameters(&self) -> impl Iterator<Item = (u32, Option<&'a str>)> {
        (0..self.parts.sharding_total_count).map(|item| (item, self.parts.item_parameters.get(&item).copied()))
    }

    /// The job's props.
    /// Their values are not checked here: that is what the check is for. They may be secrets, which a fault must not
    /// quote.
    pub fn props(&self) -> &'a BTreeMap<String, String> {
        self.parts.props
    }

    /// The components that the application provided.
    pub fn components(&self) -> &'a Components {
        self.parts.components
    }

    /// Reports a fault of what is checked now. Job, place, and the parameter's name and type are added to it.
    ///
    /// A check may report several faults, and goes on after each, so that the user learns of all at once. Use
    /// [`fault_of`](Self::fault_of) for the fault of a setting.
    pub fn fault(&mut self, message: impl fmt::Display) {
        self.report(None, message);
    }

    /// Reports a fault of a setting of the job, by its name in configuration files: `job-parameter`, `props.region`. The fault
    /// names the place where the value in force was written. It is not reported again if the setting could not be read.
    ///
    /// ```
    /// use elasticjob::job::Start;
    ///
    /// fn check(start: &mut Start<'_>) {
    ///     if start.props().get("region").is_none_or(|region| region.len() != 2) {
    ///         start.fault_of("props.region", "property `region` is a country of two letters");
    ///     }
    /// }
    /// ```
    pub fn fault_of(&mut self, setting: &str, message: impl fmt::Display) {
        match self.parts.settings {
            Some(settings) if settings.is_faulty(setting) => guard::discard(message),
            Some(settings) => self.report(Some(settings.place(setting).clone()), message),
            None => self.report(None, message),
        }
    }

    fn report(&mut self, origin: Option<Origin>, message: impl fmt::Display) {
        let text = guard::text(&message);
        guard::discard(message);
        self.faults.push(Fault {
            kind: self.parts.kind,
            job: self.parts.job_name.to_owned(),
            place: self.parts.place,
            // Of a value from the attribute the place of the declaration says the same.
            origin: origin.filter(|origin| !matches!(origin, Origin::Attribute(_))),
            subject: self.subject,
            message: text,
        });
    }

    /// Calls a check of the application's. A panic in it is a fault.
    pub(crate) fn guarded(&mut self, check: impl FnOnce(&mut Self)) {
        let subject = self.subject;
        if let Err(panicked) = guard::call(|| check(self)) {
            // What was checked within it stays the subject where it unwound.
            self.fault(format!("the check {panicked}"));
            self.subject = subject;
        }
    }

    /// Checks an extractor as the job's parameter `name`. It has no bound on the type, so that the compiler reports a type that is
    /// no extractor at only one place of the generated code.
    #[doc(hidden)]
    pub fn parameter(&mut self, name: &'static str, type_name: &'static str, check: fn(&mut Self)) {
        self.about("parameter", name, type_name, check);
    }

    /// Reports what the field `name` of the job's type misses. Without a bound, as above.
    #[doc(hidden)]
    pub fn field(&mut self, name: &'static str, type_name: &'static str, missing: Option<MissingComponent>) {
        let Some(missing) = missing else {
            return;
        };
        self.about("field", name, type_name, |start| start.fault(missing));
    }

    fn about(
        &mut self,
        word: &'static str,
        name: &'static str,
        type_name: &'static str,
        check: impl FnOnce(&mut Self),
    ) {
        let subject = Subject { word, name, type_name };
        let outer = self.subject.replace(subject);
        self.guarded(check);
        self.subject = outer;
    }
}

/// A reason why a job cannot start, with the job, its place in the source, and the parameter at fault.
#[derive(Clone, Debug)]
pub struct Fault {
    kind: &'static str,
    job: String,
    place: Place,
    /// Where the value was written, if not in the declaration.
    origin: Option<Origin>,
    subject: Option<Subject>,
    message: String,
}

impl Fault {
    /// The name of the job.
    pub fn job(&self) -> &str {
        &self.job
    }

    /// Where the job was declared.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Returns whether it is about a job, and not about an implementation that jobs name.
    pub(crate) fn is_of_job(&self) -> bool {
        self.kind == JOB_KIND
    }

    /// Shows the place that has to be changed.
    pub(crate) fn shown_place(&self) -> impl fmt::Display + '_ {
        let shown: &dyn fmt::Display = match &self.origin {
            Some(origin) => origin,
            None => &self.place,
        };
        shown
    }

    /// Shows what is wrong, with the parameter or field.
    pub(crate) fn problem(&self) -> impl fmt::Display + '_ {
        Problem(self)
    }
}

/// The kind of what is checked, if it is a job.
pub(crate) const JOB_KIND: &str = "job";

struct Problem<'a>(&'a Fault);

impl fmt::Display for Problem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { subject, message, .. } = self.0;
        if let Some(Subject { word, name, type_name }) = subject {
            write!(f, "{word} `{name}: {}`: ", type_name::shown(type_name))?;
        }
        f.write_str(message)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, job, subject, .. } = self;
        let (place, problem) = (self.shown_place(), self.problem());
        let separator = if subject.is_some() { ',' } else { ':' };
        write!(f, "{kind} {job} ({place}){separator} {problem}")
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use super::*;
    use crate::job::{Component, ItemParameter, JobParameter, Props, ShardingContext, job};

    #[derive(serde::Deserialize)]
    #[allow(dead_code, reason = "only read in")]
    struct Limits {
        batch: u8,
    }

    /// The faults of a job with three items, `job_parameter`, one parameter per text, and one prop `batch`.
    fn faults(job_parameter: &str, items: &[&str], batch: &str, check: impl Fn(&mut Start<'_>)) -> Vec<String> {
        faults_of(3, job_parameter, items, batch, check)
    }

    fn faults_of(
        total: u32,
        job_parameter: &str,
        items: &[&str],
        batch: &str,
        check: impl Fn(&mut Start<'_>),
    ) -> Vec<String> {
        let props = BTreeMap::from([("batch".to_owned(), batch.to_owned())]);
        let components = Components::default();
        let mut start = Start::new(StartParts {
            kind: JOB_KIND,
            job_name: "orders",
            place: Place::from(Location::caller()),
            sharding_total_count: total,
            job_parameter,
            is_one_off: false,
            item_parameters: (0..).zip(items.iter().copied()).collect(),
            props: &props,
            components: &components,
            settings: None,
        });
        check(&mut start);
        let place = format!(" ({})", start.parts.place);
        start
            .into_faults()
            .iter()
            .map(|fault| fault.to_string().replace(&place, ""))
            .collect()
    }

    #[test]
    fn every_fault_of_every_parameter_should_be_found() {
        let job = job(
            "orders",
            |_: ShardingContext, _: Component<u64>, _: JobParameter<i8>, _: ItemParameter<i8>, _: Props<Limits>| async {
            },
        );
        let found = faults("x", &["1", "y"], "256", |start| job.check(start));
        assert_eq!(
            found,
            [
                "job orders, parameter `2: Component<u64>`: no component u64 was provided: hand it in with \
                 `ElasticJob::builder().component(..)`",
                "job orders, parameter `3: JobParameter<i8>`: job parameter `x` does not parse as i8: invalid digit found \
                 in string",
                "job orders, parameter `4: ItemParameter<i8>`: parameter `y` of sharding item 1 does not parse as i8: \
                 invalid digit found in string",
                "job orders, parameter `4: ItemParameter<i8>`: sharding item 2 has no parameter, expected i8",
                "job orders, parameter `5: Props<Limits>`: property `batch`: expected a whole number from 0 to 255",
            ]
        );
    }

    mod many_items {
        use super::*;

        /// The faults of a job of 1,200 items with these parameters, without what they are faults of.
        fn said(items: &[&str], check: impl Fn(&mut Start<'_>)) -> Vec<String> {
            let faults = faults_of(1_200, "", items, "", check);
            let message = |fault: &String| fault.split_once("`: ").unwrap().1.to_owned();
            faults.iter().map(message).collect()
        }

        #[test]
        fn without_a_parameter_are_one_fault() {
            let job = job("orders", |_: ItemParameter<i8>| async {});
            let found = said(&[], |start| job.check(start));
            assert_eq!(found, ["sharding items 0-1199 have no parameter, expected i8"]);
            let found = said(&["1", "2", "x"], |start| job.check(start));
            let expected = [
                "parameter `x` of sharding item 2 does not parse as i8: invalid digit found in string",
                "sharding items 3-1199 have no parameter, expected i8",
            ];
            assert_eq!(found, expected);
        }

        #[test]
        fn are_one_fault_for_each_reason() {
            let job = job("orders", |_: Option<ItemParameter<i8>>| async {});
            let items: Vec<&str> = ["x", "1", "300"].into_iter().cycle().take(1_200).collect();
            let found = said(&items, |start| job.check(start));
            let expected = [
                "such as `x`, do not parse as i8: invalid digit found in string",
                "such as `300`, do not parse as i8: number too large to fit in target type",
            ];
            assert_eq!(found.len(), 2, "{found:?}");
            for (found, expected) in found.iter().zip(expected) {
                assert!(found.starts_with("parameters of sharding items "), "{found}");
                assert!(found.ends_with(expected), "{found}");
            }
        }

        #[test]
        fn are_few_faults_where_each_has_a_reason_of_its_own() {
            let job = job("orders", |_: ItemParameter<Refusing>| async {});
            let items: Vec<String> = (0..1_200).map(|item| format!("x{item}")).collect();
            let items: Vec<&str> = items.iter().map(String::as_str).collect();
            let found = said(&items, |start| job.check(start));
            assert_eq!(found.len(), 10, "{found:?}");
            assert!(
                found[9].starts_with("parameters of sharding items 9-1199, such as `x9`,"),
                "{found:?}"
            );
        }

        /// Never parses, and names in its error what it was given.
        struct Refusing;

        impl std::str::FromStr for Refusing {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Err(format!("not this: {text}"))
            }
        }
    }

    #[test]
    fn what_is_optional_may_be_missing_but_not_wrong() {
        let job = job(
            "orders",
            |_: Option<Component<u64>>, _: Option<JobParameter<i8>>, _: Option<ItemParameter<i8>>| async {},
        );
        assert_eq!(faults("", &[], "1", |start| job.check(start)), [""; 0]);
        assert_eq!(faults("x", &["y"], "1", |start| job.check(start)).len(), 2);
    }

    #[test]
    fn a_fault_outside_of_parameters_should_name_the_job() {
        let found = faults("", &[], "", |start| start.fault("no disk"));
        assert_eq!(found, ["job orders: no disk"]);
    }
}
