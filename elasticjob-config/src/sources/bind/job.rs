use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use super::{Binder, Bound};
use crate::job::setting::{Place, SETTINGS, Slot, Takes, Unit};
use crate::job::{Fault, RawJobConfig};
use crate::secret;
use crate::sources::Declared;
use crate::sources::error::{Error, Origin};
use crate::sources::key::{self, JobNames, JobProps, Key};
use crate::sources::layer::{self, Entry, Layer};
use crate::sources::placeholder::Lookup;
use crate::sources::settings::{Implementation, JobSettings};
use crate::sources::value;
use crate::spelling;

/// The jobs that the program declares, and which of them does the work of which configured job.
pub(in crate::sources) struct Declarations<'a> {
    declared: &'a [Declared],
    /// Looked up for each job: a search would make ten thousand jobs wait.
    by_name: BTreeMap<&'a str, &'a Declared>,
    /// The declared jobs that the class of a configured one may mean, where the names differ.
    by_class: BTreeMap<String, Vec<&'a Declared>>,
    running: JobNames,
}

impl<'a> Declarations<'a> {
    /// A class names a declared job by its whole name or by its last part, however that is spelt: `com.acme.SyncOrders`
    /// is the declared `sync_orders`. One that cannot be resolved is reported when it is bound.
    pub(in crate::sources) fn new(declared: &'a [Declared], layers: &[Layer], lookup: &Lookup<'_>) -> Self {
        let by_name: BTreeMap<_, _> = declared.iter().map(|declared| (&*declared.name, declared)).collect();
        let mut by_letters: BTreeMap<_, Vec<&Declared>> = BTreeMap::new();
        for declared in declared {
            by_letters
                .entry(key::canonical(&declared.name))
                .or_default()
                .push(declared);
        }
        let named_by = |class: &str| {
            let last = class.rsplit(['.', ':', '$']).next().unwrap_or(class);
            let exactly = by_name.get(class).or_else(|| by_name.get(last));
            let alike = || by_letters.get(&key::canonical(last)).cloned().unwrap_or_default();
            exactly.map_or_else(alike, |declared| vec![*declared])
        };
        let entries = || layers.iter().flat_map(|layer| &layer.entries);
        let mut by_class = BTreeMap::new();
        for (key, entry) in entries() {
            if let Key::JobSetting(job, "elastic-job-class") = key
                && !by_name.contains_key(&**job)
                && let Ok(class) = lookup.resolve(&entry.text)
            {
                // Of several layers the last counts, as for every setting.
                by_class.insert(job.clone(), named_by(class.trim()));
            }
        }
        let renamed: BTreeSet<&str> = by_class.values().flatten().map(|declared| &*declared.name).collect();
        let own = declared.iter().map(|declared| &*declared.name);
        let configured = entries().filter_map(|(key, _)| key.job());
        let running = own.filter(|name| !renamed.contains(name)).chain(configured);
        Self {
            declared,
            by_name,
            running: running.map(ToOwned::to_owned).collect(),
            by_class,
        }
    }

    /// The names of all jobs: those that are configured, and those that declared jobs run under, which are what a class
    /// calls them, else their own.
    pub(in crate::sources) fn running(&self) -> &JobNames {
        &self.running
    }

    /// The properties that some layers or an attribute set, by their job.
    pub(in crate::sources) fn props(&self, layers: &[Layer]) -> JobProps {
        let keys = layers.iter().flat_map(|layer| layer.entries.keys());
        let configured = keys.filter_map(|key| match key {
            Key::Prop(job, name) => Some((job.clone(), name.clone())),
            _ => None,
        });
        let declared = self.running.iter().flat_map(|job| {
            let values = self.of(job).map(|declared| declared.values.as_slice());
            let keys = values.unwrap_or_default().iter().map(|(key, _)| key);
            keys.filter_map(move |key| Some((job.to_owned(), key.strip_prefix("props.")?.to_owned())))
        });
        configured.chain(declared).collect()
    }

    fn of(&self, job: &str) -> Option<&'a Declared> {
        match self.by_class.get(job).map(Vec::as_slice) {
            Some([declared]) => Some(declared),
            _ => self.by_name.get(job).copied(),
        }
    }

    /// The job that was probably meant by the name of one that nothing works for.
    fn meant(&self, name: &str) -> Option<String> {
        let alike = self.running.alike(name).find(|other| *other != name);
        let declared = self.declared.iter().map(|declared| declared.name.as_str());
        alike
            .map(ToOwned::to_owned)
            .or_else(|| spelling::nearest(name, declared))
    }

    /// Why the class of a job leads to no declared one.
    fn not_by_class(&self, job: &str) -> String {
        match self.by_class.get(job).map(Vec::as_slice) {
            Some(several @ [_, _, ..]) => {
                let names: Vec<String> = several.iter().map(|declared| format!("`{}`", declared.name)).collect();
                format!(
                    "may mean each of the declared jobs {}: give the whole name of one",
                    names.join(", ")
                )
            }
            _ => format!("no job is declared under this name; {}", self.names()),
        }
    }

    /// Returns in words which jobs the program declares.
    fn names(&self) -> String {
        if self.declared.is_empty() {
            return "the program declares no job".to_owned();
        }
        let names = self.declared.iter().map(|declared| declared.name.as_str());
        format!("the program declares {}", spelling::listed(names))
    }
}

/// What the attribute of a job sets, under the name that the job runs under.
fn attribute(name: &str, declared: &Declared, faults: &mut Vec<Error>) -> Layer {
    let origin = Origin::Attribute(declared.origin.clone());
    let entry = |written: String, text: &str, unit| Entry {
        written,
        text: text.to_owned(),
        unit,
        origin: origin.clone(),
    };
    let mut layer = Layer::default();
    layer.set(Key::Job(name.to_owned()), entry(name.to_owned(), "", ""), faults);
    for (written, text) in &declared.values {
        let mut path = vec!["jobs".to_owned(), name.to_owned()];
        path.extend(key::parts(written));
        match key::find(&path) {
            Ok((key, unit)) => layer.set(key.clone(), entry(key.to_string(), text, unit), faults),
            Err(unknown) => faults.push(layer::unknown_key(written, unknown).at(origin.clone())),
        }
    }
    layer
}

impl Binder<'_> {
    /// Puts together and checks one job after the other, so that no more is held of ten thousand than of one.
    pub(super) fn jobs(
        &mut self,
        mut configured: BTreeMap<String, Layer>,
        declarations: &Declarations<'_>,
    ) -> BTreeMap<String, JobSettings> {
        let mut jobs = BTreeMap::new();
        let mut bootstraps: BTreeMap<String, String> = BTreeMap::new();
        for name in declarations.running().iter() {
            let declared = declarations.of(name);
            let faults_before = self.faults.len();
            let attribute = declared.map(|declared| attribute(name, declared, &mut self.faults));
            let merged = layer::merge(attribute.into_iter().chain(configured.remove(name)));
            let mut binder = Binder::new(merged, self.lookup, mem::take(&mut self.faults));
            if let Some(settings) = binder.job(name, declarations, faults_before) {
                if let Some(bootstrap) = &settings.bootstrap
                    && let Some(other) = bootstraps.insert(bootstrap.clone(), name.to_owned())
                    && let Some(bound) = binder.bound(&Key::JobSetting(name.to_owned(), "job-bootstrap-bean-name"))
                {
                    binder.fault(&bound, format!("job `{other}` is called so too"));
                }
                jobs.insert(name.to_owned(), settings);
            }
            self.faults = binder.faults;
            let of_job = self.faults.split_off(faults_before).into_iter();
            self.faults.extend(of_job.map(|fault| fault.of(Some(name))));
        }
        jobs
    }

    /// Goes on where something is wrong. `faults_before` is how many faults there were before those of this job.
    fn job(&mut self, name: &str, declarations: &Declarations<'_>, faults_before: usize) -> Option<JobSettings> {
        let origin = self.origin_of(name, declarations)?;
        let implementation = self.implementation(name, declarations, &origin);
        let (config, faults) = self.raw(name).check_as_far_as_possible();
        for fault in &faults {
            self.job_fault(name, fault, &origin, faults_before);
        }
        let text = |key| self.text(&Key::JobSetting(name.to_owned(), key));
        Some(JobSettings {
            config: config?,
            implementation: implementation.unwrap_or(Implementation::Missing),
            class: text("elastic-job-class"),
            bootstrap: text("job-bootstrap-bean-name"),
            origins: self.job_origins(),
            faulty: self.faulty(faults_before),
            origin,
        })
    }

    fn implementation(
        &mut self,
        name: &str,
        declarations: &Declarations<'_>,
        origin: &Origin,
    ) -> Option<Implementation> {
        let bound = |binder: &Self, key| binder.bound(&Key::JobSetting(name.to_owned(), key));
        let class = bound(self, "elastic-job-class");
        let declared = declarations.of(name);
        match (bound(self, "elastic-job-type"), class, declared) {
            (Some(job_type), Some(class), _) => {
                self.fault(
                    &job_type,
                    format!("a job has a type or a class, not both; its class is `{}`", class.text),
                );
                None
            }
            (Some(job_type), None, Some(declared)) => {
                let problem = format!(
                    "the program does this job's work (attribute at {}): leave the type out",
                    declared.origin
                );
                self.fault(&job_type, problem);
                None
            }
            (Some(job_type), None, None) => Some(Implementation::Type(job_type.text.trim().to_owned())),
            (None, _, Some(declared)) => Some(Implementation::Declared(declared.name.clone())),
            (None, Some(class), None) => {
                let problem = declarations.not_by_class(name);
                self.fault(&class, problem);
                None
            }
            (None, None, None) => {
                let hint = declarations
                    .meant(name)
                    .map(|near| format!(", did you mean `{near}`?"))
                    .unwrap_or_default();
                let problem = format!(
                    "nothing does this job's work: {}{hint} Otherwise set `elastic-job-type` or `elastic-job-class`",
                    declarations.names() + if hint.is_empty() { "." } else { "" }
                );
                self.faults
                    .push(Error::new(Key::Job(name.to_owned()).to_string(), problem).at(origin.clone()));
                None
            }
        }
    }

    /// Where the job is declared, else the first place that mentions it.
    fn origin_of(&self, name: &str, declarations: &Declarations<'_>) -> Option<Origin> {
        if let Some(declared) = declarations.of(name) {
            return Some(Origin::Attribute(declared.origin.clone()));
        }
        let job = self.entries.get(&Key::Job(name.to_owned()));
        let mentioned = job.or_else(|| self.entries.values().next());
        mentioned.map(|bound| bound.origin.clone())
    }

    /// Reads all settings of a job that the registry holds, by the table of settings.
    fn raw(&mut self, name: &str) -> RawJobConfig {
        let mut raw = RawJobConfig::new(name);
        for setting in &SETTINGS {
            let Place::Registry { slot, .. } = setting.place else {
                continue;
            };
            let key = Key::JobSetting(name.to_owned(), setting.name);
            match slot {
                Slot::Text(of) if setting.takes == Takes::Verbatim => *of(&mut raw) = self.verbatim(&key),
                Slot::Text(of) => *of(&mut raw) = self.text(&key),
                Slot::Number(of) => *of(&mut raw) = self.number(&key, value::WHOLE_NUMBER),
                Slot::Units(units, of) => *of(&mut raw) = self.count(&key, units.unit),
                Slot::Switch(of) => *of(&mut raw) = self.bool(&key),
                Slot::List(of) => *of(&mut raw) = self.list(&key),
            }
        }
        raw.props = self
            .props()
            .map(|(key, bound)| (key.to_owned(), bound.text.clone()))
            .collect();
        raw
    }

    /// Returns where each setting was written.
    fn job_origins(&self) -> BTreeMap<String, Origin> {
        let settings = self.entries.iter().filter(|(key, _)| !matches!(key, Key::Job(_)));
        settings
            .map(|(key, bound)| (key.setting(), bound.origin.clone()))
            .collect()
    }

    /// The settings that the newer faults are about.
    fn faulty(&self, faults_before: usize) -> BTreeSet<String> {
        let written: BTreeSet<&str> = self.faults[faults_before..].iter().map(|fault| &*fault.key).collect();
        let is_faulty = |(_, bound): &(&Key, &Bound)| written.contains(&*bound.written);
        let faulty = self.entries.iter().filter(is_faulty).map(|(key, _)| key);
        faulty.chain(&self.unusable).map(Key::setting).collect()
    }

    /// The properties of the job.
    fn props(&self) -> impl Iterator<Item = (&str, &Bound)> {
        self.entries.iter().filter_map(|(key, bound)| match key {
            Key::Prop(_, name) => Some((&**name, bound)),
            _ => None,
        })
    }

    /// The registry holds whole units only.
    fn count(&mut self, key: &Key, unit: Unit) -> Option<i64> {
        let bound = self.bound(key)?;
        let duration = self.signed_duration(key)?;
        unit.count(duration).map_err(|problem| self.fault(&bound, problem)).ok()
    }

    /// A fault of the job's configuration, at the place where the setting was written.
    fn job_fault(&mut self, job: &str, fault: &Fault, origin: &Origin, faults_before: usize) {
        let key = key::job_setting(job, &fault.key);
        let bound = key.as_ref().and_then(|key| self.entries.get(key)).cloned();
        if let Some(bound) = bound {
            // Not given, because what was given could not be read, and that has been said.
            let is_known = self.faults[faults_before..]
                .iter()
                .any(|error| error.key == bound.written);
            if !is_known {
                self.fault(&bound, fault.problem.clone());
            }
            return;
        }
        let key = key.unwrap_or_else(|| Key::Job(job.to_owned()));
        if self.unusable.contains(&key) {
            return;
        }
        let mut error = Error::new(key.to_string(), fault.problem.clone()).at(origin.clone());
        error.value = fault.value.clone().filter(|_| !secret::is_secret(&fault.key));
        self.faults.push(error);
        self.unusable.push(key);
    }
}
