//! Which jobs the application has.
//!
//! Declared jobs are found by themselves, as far as they are linked: a crate that nothing names is not, and
//! `use that_crate as _;` links it. Registering jobs explicitly is an equal way. Here both come together,
//! sorted by name, with two jobs of one name refused. What test code declares is found from its own file alone.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::panic::Location;

use crate::catalogue::{Catalogue, Declared};
use crate::guard;
use crate::job::{Components, Declaration, Job, Place, Registration, Start, StartParts};

use super::fault::{Fault, Faults};

/// The jobs of an application, in the making.
///
/// ```
/// use elasticjob::prelude::*;
/// use elasticjob::starter::Jobs;
///
/// #[elastic_job(cron = "0 0 3 * * ?", sharding = 1)]
/// async fn reindex() {}
///
/// // Found and registered is the same job once.
/// let jobs = Jobs::discovered().register::<reindex>().finish()?;
/// assert_eq!(jobs.iter().filter(|job| job.name() == "reindex").count(), 1);
/// # Ok::<_, BoxError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Jobs {
    /// In the order they came, so that an explicit registration follows what was discovered.
    registrations: Vec<Registration>,
}

impl Jobs {
    /// No jobs at all.
    /// The start for a program that registers each job explicitly.
    pub fn none() -> Self {
        Self::default()
    }

    /// All declared jobs that are linked into the program, except for those that test code of other files declares.
    ///
    /// Test code is an integration test, a benchmark, and in a unit test binary every module that is named `test` or `tests`, or
    /// ends so (`order_tests`). [`register`](Self::register) adds one of its jobs.
    #[track_caller]
    pub fn discovered() -> Self {
        Self::discovered_from(Location::caller().file())
    }

    pub(super) fn discovered_from(file: &str) -> Self {
        let found = declarations().filter(|declaration| declaration.site().is_discovered_from(file));
        Self {
            registrations: found.map(Registration::from).collect(),
        }
    }

    /// Adds a declared job. One that was discovered, too, stays one job.
    pub fn register<J: Job>(self) -> Self {
        self.with(J::DECLARATION.into())
    }

    /// Adds a job. Of one declaration added twice, the later registration counts.
    pub fn with(mut self, registration: Registration) -> Self {
        self.registrations.push(registration);
        self
    }

    /// The jobs, sorted by name.
    ///
    /// # Errors
    /// All jobs that share their name with another.
    ///
    /// `Builder` does this by itself. Call it to see which jobs a program has, such as in a test.
    pub fn finish(self) -> Result<Vec<Registration>, DuplicateJobs> {
        let jobs = self.sorted();
        match duplicates(&jobs) {
            Some(duplicates) => Err(duplicates),
            None => Ok(jobs),
        }
    }

    /// The jobs, sorted by name, those that share one beside each other.
    pub(super) fn sorted(self) -> Vec<Registration> {
        let mut jobs: Vec<Registration> = Vec::with_capacity(self.registrations.len());
        // Where in `jobs` a declaration is. A declaration is a static, so its address is its identity.
        let mut declared: HashMap<*const Declaration, usize> = HashMap::new();
        for registration in self.registrations {
            let known = registration
                .declaration()
                .map(|it| declared.entry(it).or_insert(jobs.len()));
            match known {
                Some(&mut index) if index < jobs.len() => jobs[index] = registration,
                _ => jobs.push(registration),
            }
        }
        jobs.sort_by(|a, b| (a.name(), a.place()).cmp(&(b.name(), b.place())));
        jobs
    }
}

fn declarations() -> impl Iterator<Item = &'static Declaration> {
    inventory::iter::<&'static Declaration>.into_iter().copied()
}

/// Returns the jobs of test code that a builder made in `file` does not discover, each with its place, in order.
pub(super) fn undiscovered_from(file: &str) -> Vec<String> {
    let mut left_out: Vec<_> = declarations()
        .filter(|declaration| !declaration.site().is_discovered_from(file))
        .map(|declaration| format!("{} ({})", declaration.name(), declaration.place()))
        .collect();
    left_out.sort();
    left_out
}

/// The names that several of the sorted jobs have, if there are any.
pub(super) fn duplicates(sorted: &[Registration]) -> Option<DuplicateJobs> {
    let groups = sorted
        .chunk_by(|a, b| a.name() == b.name())
        .filter(|group| group.len() > 1);
    let duplicate = |group: &[Registration]| DuplicateJob {
        name: group[0].name().to_owned(),
        places: group.iter().map(Registration::place).collect(),
    };
    let duplicates: Vec<_> = groups.map(duplicate).collect();
    (!duplicates.is_empty()).then_some(DuplicateJobs(duplicates))
}

/// Adds declared implementations to the catalogue of their kind, made of the application's components: those that a builder
/// made in `file` discovers.
pub(super) fn add<T: ?Sized + 'static>(
    catalogue: &mut Catalogue<T>,
    declared: impl Iterator<Item = &'static Declared<T>>,
    file: &str,
    components: &Components,
    faults: &mut Faults,
) {
    let mut declared: Vec<_> = declared
        .filter(|declared| declared.site().is_discovered_from(file))
        .collect();
    let no_props = BTreeMap::new();
    // They come in no order, and faults should.
    declared.sort_by_key(|declared| (declared.name(), declared.place()));
    for declared in declared {
        let mut start = Start::new(StartParts {
            kind: catalogue.kind(),
            job_name: declared.name(),
            place: declared.place(),
            sharding_total_count: 0,
            job_parameter: "",
            is_one_off: false,
            item_parameters: BTreeMap::new(),
            props: &no_props,
            components,
            settings: None,
        });
        start.guarded(|start| declared.check(start));
        let found = start.into_faults();
        if !found.is_empty() {
            faults.extend(found);
            continue;
        }
        match guard::call(|| declared.build(components)) {
            Ok(Ok(made)) => {
                if let Err(fault) = catalogue.register_at(declared.name().to_owned(), made, declared.place()) {
                    faults.push(fault);
                }
            }
            Ok(Err(missing)) => faults.push(missing),
            Err(panicked) => {
                let (kind, name, place) = (catalogue.kind(), declared.name(), declared.place());
                faults.push(Fault::new(format!("{kind} {name} ({place}): making it {panicked}")).at(place));
            }
        }
    }
}

/// The names that several jobs have.
///
/// `Display` names each with the places of its jobs. The error is complete: it has all names that occur more than once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateJobs(Vec<DuplicateJob>);

impl DuplicateJobs {
    /// Each name, with its jobs' places.
    pub fn iter(&self) -> impl Iterator<Item = &DuplicateJob> {
        self.0.iter()
    }
}

impl fmt::Display for DuplicateJobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, duplicate) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{duplicate}")?;
        }
        Ok(())
    }
}

impl std::error::Error for DuplicateJobs {}

/// A name that several jobs have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateJob {
    name: String,
    places: Vec<Place>,
}

impl DuplicateJob {
    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the jobs are declared, in order.
    pub fn places(&self) -> &[Place] {
        &self.places
    }
}

impl fmt::Display for DuplicateJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "several jobs are named {}: ", self.name)?;
        for (index, place) in self.places.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{place}")?;
        }
        Ok(())
    }
}

impl std::error::Error for DuplicateJob {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::job;

    fn empty(name: &str) -> Registration {
        job(name, || async {})
    }

    #[test]
    fn jobs_should_be_sorted_by_name() {
        let jobs = Jobs::none()
            .with(empty("b"))
            .with(empty("c"))
            .with(empty("a"))
            .finish()
            .unwrap();
        let names: Vec<_> = jobs.iter().map(Registration::name).collect();
        assert_eq!(names, ["a", "b", "c"]);
    }

    #[test]
    fn refuses_a_shared_name_with_both_places() {
        let first = job("a", || async {});
        let second = job("a", || async {});
        let places = (first.place(), second.place());
        assert_ne!(places.0, places.1);

        let refused = Jobs::none()
            .with(second)
            .with(empty("c"))
            .with(first)
            .with(empty("b"))
            .with(empty("b"))
            .finish()
            .unwrap_err();

        let names: Vec<_> = refused.iter().map(DuplicateJob::name).collect();
        assert_eq!(names, ["a", "b"]);
        let text = refused.to_string();
        assert!(
            text.starts_with(&format!("several jobs are named a: {}, {}; ", places.0, places.1)),
            "{text}"
        );
    }
}
