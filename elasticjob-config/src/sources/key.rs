//! Which setting a key means, and what its writer may have meant.
//!
//! A key is known by its letters and digits alone, so `regCenter`, `reg-center` and `REG_CENTER` are one. Names of jobs
//! and keys of `props` belong to the user and stay as they are.
//!
//! An environment variable is the hard case: it has no dots, dashes or small letters, so that neither the end of a
//! job's name nor the spelling of a prop can be seen in it. Such a name is compared with the jobs and props that there
//! are. If it may mean two of them, it is refused, because either choice could be wrong without anybody noticing.

use std::collections::{BTreeMap, BTreeSet};

use super::reference::{APPLICATION, Entry, JAVA_NAMES, NAMED};
use crate::job::setting::{Place, SETTINGS, Setting, Takes};
use crate::spelling::nearest;

pub(super) use crate::spelling::canonical;

/// What settings stand below.
const SECTIONS: &[&str] = &[
    "jobs",
    "reg-center",
    "reg-center.tls",
    "reg-center.sasl",
    "shutdown",
    "network",
    "metrics",
    "console",
    "console.users",
    "console.tokens",
    "dump",
    "tracing",
    "tracing.data-source",
    "tracing.run-log",
    "profiles",
    "preferred",
];

/// What Java's starter takes and cannot be had here, and what to do instead.
const JAVA_ALONE: &[(&str, &str)] = &[(
    "tracing.data-source-bean-name",
    "names a bean of Java: give the database itself by `tracing.data-source`, or by `spring.datasource`",
)];

/// Keys of `props` whose spelling an environment variable cannot give.
const CAMEL_CASE_PROPS: &[&str] = &[
    "email.useSsl",
    "wechat.connectTimeoutMilliseconds",
    "wechat.readTimeoutMilliseconds",
    "dingtalk.connectTimeoutMilliseconds",
    "dingtalk.readTimeoutMilliseconds",
];

/// A setting that we know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// A setting of the application.
    Setting(&'static str),
    /// A setting of the data source for tracing.
    DataSource(String),
    /// A setting of something that its writer named, such as a user of the console.
    Named {
        /// The section that the names are in.
        section: &'static str,
        name: String,
        setting: &'static str,
    },
    /// A job by name, without a setting: it is there.
    Job(String),
    /// A setting of a job.
    JobSetting(String, &'static str),
    /// A property of a job.
    Prop(String, String),
}

impl Key {
    /// The name of the setting within its job or the application, as it stands in files: `cron`, `props.script.command.line`.
    pub(super) fn setting(&self) -> String {
        match self {
            Self::Setting(name) | Self::JobSetting(_, name) => (*name).to_owned(),
            Self::DataSource(name) => format!("tracing.data-source.{name}"),
            Self::Named { section, name, setting } => format!("{section}.{name}.{setting}"),
            Self::Prop(_, name) => format!("props.{name}"),
            Self::Job(_) => String::new(),
        }
    }

    /// Whether this is a list of texts.
    pub(super) fn is_list(&self) -> bool {
        match self {
            Self::Setting(name) => {
                let named = APPLICATION.iter().find(|entry| entry.name == *name);
                named.is_some_and(|entry| entry.takes == Takes::List)
            }
            Self::JobSetting(_, name) => {
                let named = SETTINGS.iter().find(|setting| setting.name == *name);
                named.is_some_and(|setting| setting.takes == Takes::List)
            }
            Self::Named { section, setting, .. } => takes_named(section, setting) == Some(Takes::List),
            Self::DataSource(_) | Self::Job(_) | Self::Prop(..) => false,
        }
    }

    /// The job that the setting is of.
    pub(super) fn job(&self) -> Option<&str> {
        match self {
            Self::Job(job) | Self::JobSetting(job, _) | Self::Prop(job, _) => Some(job),
            Self::Setting(_) | Self::DataSource(_) | Self::Named { .. } => None,
        }
    }
}

/// A variable of more words is no setting: each of them may end the name of a job, and is looked at with all before it.
const MOST_TOKENS: usize = 128;

/// A key, and the unit of the number behind it.
pub(super) type Known = (Key, &'static str);

/// Why a key cannot be taken for a setting.
pub(super) enum Unknown {
    /// It means nothing. This was probably meant.
    Nothing(Option<String>),
    /// It means each of these just as well.
    Ambiguous(Vec<Key>),
    /// It means something in Java alone.
    OfJava(&'static str),
}

/// The names of the jobs, which are never taken for each other. Likeness finds what an environment variable, or a slip of
/// the pen, may mean.
#[derive(Clone, Debug, Default)]
pub(super) struct JobNames {
    names: BTreeSet<String>,
    by_letters: BTreeMap<String, Vec<String>>,
}

impl JobNames {
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The names that have the letters and digits of this one, itself among them if a job has exactly this name.
    pub(super) fn alike(&self, written: &str) -> impl Iterator<Item = &str> {
        let alike = self.by_letters.get(&canonical(written));
        alike.into_iter().flatten().map(String::as_str)
    }

    /// The names that a variable may mean: the one that it spells exactly, else all that it is like.
    fn meant(&self, written: &str) -> Vec<&str> {
        match self.names.get(written) {
            Some(name) => vec![name],
            None => self.alike(written).collect(),
        }
    }
}

impl FromIterator<String> for JobNames {
    fn from_iter<T: IntoIterator<Item = String>>(names: T) -> Self {
        let mut jobs = Self::default();
        for name in names {
            if jobs.names.insert(name.clone()) {
                jobs.by_letters.entry(canonical(&name)).or_default().push(name);
            }
        }
        jobs
    }
}

/// The properties of jobs that are set, by their job and their letters and digits.
#[derive(Clone, Debug, Default)]
pub(super) struct JobProps(BTreeMap<(String, String), BTreeSet<String>>);

impl JobProps {
    fn alike(&self, job: &str, letters: &str) -> Vec<&str> {
        let alike = self.0.get(&(job.to_owned(), letters.to_owned()));
        alike.into_iter().flatten().map(String::as_str).collect()
    }
}

impl FromIterator<(String, String)> for JobProps {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(props: T) -> Self {
        let mut by_letters: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
        for (job, key) in props {
            by_letters.entry((job, canonical(&key))).or_default().insert(key);
        }
        Self(by_letters)
    }
}

/// The parts of a key: dots separate, unless brackets hold a part together as in `jobs.[my.job].cron`, which is also written
/// `jobs[my.job].cron`.
pub(super) fn parts(key: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut is_bracketed = false;
    for c in key.chars() {
        match c {
            '[' if !is_bracketed => {
                is_bracketed = true;
                if parts.last().is_some_and(|part| !part.is_empty()) {
                    parts.push(String::new());
                }
            }
            ']' if is_bracketed => is_bracketed = false,
            '.' if !is_bracketed => parts.push(String::new()),
            c => parts.last_mut().expect("there is always a part").push(c),
        }
    }
    parts
}

/// The job that a path below `elasticjob` is about.
pub(super) fn job_of(path: &[String]) -> Option<&str> {
    match path {
        [first, job, ..] if canonical(first) == "jobs" => Some(job),
        _ => None,
    }
}

/// Finds the setting of a path below `elasticjob`.
pub(super) fn find(path: &[String]) -> Result<Known, Unknown> {
    match path {
        [first, job, rest @ ..] if canonical(first) == "jobs" => find_job_setting(job.clone(), rest),
        [first, second, rest @ ..]
            if canonical(first) == "tracing" && canonical(second) == "datasource" && !rest.is_empty() =>
        {
            Ok((Key::DataSource(rest.join(".")), ""))
        }
        [first, second, name, rest @ ..] if let Some((section, entries)) = named_section(&[first, second]) => {
            find_named(section, entries, name, &rest.concat())
        }
        _ => {
            let (name, unit) = known(&path.join("."))?;
            Ok((Key::Setting(name), unit))
        }
    }
}

/// Returns the section of these parts in which each entry has a name, and the settings below such a name.
fn named_section<T: AsRef<str>>(parts: &[T]) -> Option<(&'static str, &'static [Entry])> {
    let parts: Vec<String> = parts.iter().map(|part| canonical(part.as_ref())).collect();
    let is_it = |(section, _): &&(&str, _)| section.split('.').map(canonical).eq(parts.iter().cloned());
    NAMED.iter().find(is_it).copied()
}

/// Returns whether a path below `elasticjob` has names of their writer below it, which may hold dots.
pub(super) fn has_names_below(path: &[String]) -> bool {
    match path {
        [jobs] => canonical(jobs) == "jobs",
        path => named_section(path).is_some(),
    }
}

fn find_named(section: &'static str, entries: &'static [Entry], name: &str, written: &str) -> Result<Known, Unknown> {
    let wanted = canonical(written);
    match entries.iter().find(|entry| canonical(entry.name) == wanted) {
        Some(entry) => {
            let (name, setting) = (name.to_owned(), entry.name);
            Ok((Key::Named { section, name, setting }, ""))
        }
        None => {
            let near = nearest(&wanted, entries.iter().map(|entry| entry.name));
            Err(Unknown::Nothing(near.map(|near| format!("{section}.{name}.{near}"))))
        }
    }
}

/// Returns what a setting of something named takes.
pub(super) fn takes_named(section: &str, setting: &str) -> Option<Takes> {
    let (_, entries) = NAMED.iter().find(|(known, _)| *known == section)?;
    entries
        .iter()
        .find(|entry| entry.name == setting)
        .map(|entry| entry.takes)
}

/// A path by which two spellings of one key are equal: names of jobs and keys of `props` stay as they are.
pub(super) fn identity(path: &[String]) -> String {
    let spelt = |parts: &[String]| parts.iter().map(|part| canonical(part)).collect::<Vec<_>>();
    let parts = match path {
        [first, second, job, rest @ ..] if canonical(first) == "elasticjob" && canonical(second) == "jobs" => {
            let start = ["elasticjob".to_owned(), "jobs".to_owned(), job.clone()];
            let end = match rest {
                [props, keys @ ..] if canonical(props) == "props" => [&["props".to_owned()], keys].concat(),
                _ => spelt(rest),
            };
            [start.as_slice(), &end].concat()
        }
        _ => spelt(path),
    };
    parts.join(".")
}

/// Whether settings are below this path, so that it may stand with nothing below it.
pub(super) fn is_section(path: &[String]) -> bool {
    let path = path.iter().map(|part| canonical(part)).collect::<Vec<_>>().join(".");
    path.is_empty() || SECTIONS.iter().any(|section| path == section.replace('-', ""))
}

/// Finds the setting of a path below the name of a job.
fn find_job_setting(job: String, rest: &[String]) -> Result<Known, Unknown> {
    match rest {
        [] => Ok((Key::Job(job), "")),
        [props] if canonical(props) == "props" => Ok((Key::Job(job), "")),
        [props, keys @ ..] if canonical(props) == "props" => Ok((Key::Prop(job, keys.join(".")), "")),
        _ => known_of_job(&job, &rest.join(".")),
    }
}

/// The setting of a job, by any of its names.
fn known_of_job(job: &str, written: &str) -> Result<Known, Unknown> {
    let (setting, unit) = setting_of_job(written)?;
    let key = match setting.place {
        Place::Prop(prop) => Key::Prop(job.to_owned(), prop.to_owned()),
        Place::Registry { .. } | Place::Application => Key::JobSetting(job.to_owned(), setting.name),
    };
    Ok((key, unit))
}

/// Finds a setting of a job by any of its names, with the unit of the number behind it.
pub(super) fn setting_of_job(written: &str) -> Result<(&'static Setting, &'static str), Unknown> {
    Setting::find(written).ok_or_else(|| {
        let names = SETTINGS.iter().map(|setting| setting.name);
        Unknown::Nothing(nearest(written, names))
    })
}

/// Finds the setting of an environment variable. Its name does not distinguish dots from dashes, nor show where a job's name ends.
pub(super) fn find_variable(tokens: &[&str], jobs: &JobNames, props: &JobProps) -> Result<Known, Unknown> {
    if tokens.len() > MOST_TOKENS {
        return Err(Unknown::Nothing(None));
    }
    let all = canonical(&tokens.concat());
    if let ["JOBS", rest @ ..] = tokens {
        return find_job_variable(rest, jobs, props);
    }
    if let Some(rest) = strip_tokens(tokens, "tracingdatasource") {
        return Ok((Key::DataSource(rest.join("-").to_lowercase()), ""));
    }
    for (section, entries) in NAMED {
        if let Some(rest) = strip_tokens(tokens, &canonical(section)) {
            return find_named_variable(section, entries, rest);
        }
    }
    let all = if all == "profileactive" {
        "profilesactive".to_owned()
    } else {
        all
    };
    let (name, unit) = known(&all)?;
    Ok((Key::Setting(name), unit))
}

/// A variable spells a name in small letters, with dashes: `CONSOLE_USERS_ALICE_SMITH_ROLE` is of `alice-smith`.
fn find_named_variable(section: &'static str, entries: &'static [Entry], tokens: &[&str]) -> Result<Known, Unknown> {
    let split = |end: usize| {
        let (name, setting) = tokens.split_at(end);
        find_named(section, entries, &name.join("-").to_lowercase(), &setting.concat())
    };
    let found = (1..tokens.len()).find_map(|end| split(end).ok());
    found.ok_or(Unknown::Nothing(None))
}

/// A variable does not tell where the name of its job ends: each job and setting that it can mean is looked for. What it
/// means beside others must not depend on which of them is found first.
fn find_job_variable(tokens: &[&str], jobs: &JobNames, props: &JobProps) -> Result<Known, Unknown> {
    let mut found: Vec<Known> = Vec::new();
    let mut ambiguous = Vec::new();
    let mut nothing = None;
    for end in (1..tokens.len()).rev() {
        let (name, rest) = tokens.split_at(end);
        for job in jobs.meant(&name.join("_")) {
            match find_setting_of_variable(job, rest, props) {
                Ok(known) => found.push(known),
                Err(Unknown::Ambiguous(keys)) => ambiguous.extend(keys),
                Err(unknown) => nothing = nothing.or(Some(unknown)),
            }
        }
    }
    match (found.len(), ambiguous.is_empty()) {
        (0, true) => Err(nothing.unwrap_or(Unknown::Nothing(None))),
        (1, true) => Ok(found.remove(0)),
        _ => {
            ambiguous.extend(found.into_iter().map(|(key, _)| key));
            Err(Unknown::Ambiguous(ambiguous))
        }
    }
}

fn find_setting_of_variable(job: &str, tokens: &[&str], props: &JobProps) -> Result<Known, Unknown> {
    match tokens {
        ["PROPS", keys @ ..] if !keys.is_empty() => prop_of_variable(job, keys, props).map(|key| (key, "")),
        _ => known_of_job(job, &tokens.concat()),
    }
}

/// A property that is set elsewhere, or one of ElasticJob's, gives its spelling; else tokens are joined by dots.
fn prop_of_variable(job: &str, tokens: &[&str], props: &JobProps) -> Result<Key, Unknown> {
    let wanted = canonical(&tokens.concat());
    let prop = |key: &str| Key::Prop(job.to_owned(), key.to_owned());
    let set = props.alike(job, &wanted);
    if set.len() > 1 {
        return Err(Unknown::Ambiguous(set.into_iter().map(prop).collect()));
    }
    let of_settings = SETTINGS.iter().filter_map(|setting| match setting.place {
        Place::Prop(prop) => Some(prop),
        Place::Registry { .. } | Place::Application => None,
    });
    let ours = CAMEL_CASE_PROPS.iter().copied().chain(of_settings);
    let known = set.into_iter().chain(ours).find(|key| canonical(key) == wanted);
    Ok(prop(known.unwrap_or(&tokens.join(".").to_lowercase())))
}

/// The tokens behind some first ones that spell `prefix`.
fn strip_tokens<'a, 'b>(tokens: &'a [&'b str], prefix: &str) -> Option<&'a [&'b str]> {
    let end = (1..tokens.len()).find(|end| canonical(&tokens[..*end].concat()) == prefix)?;
    Some(&tokens[end..])
}

/// A setting of the application, by the name that it has in files, or in Java's.
fn known(written: &str) -> Result<(&'static str, &'static str), Unknown> {
    let wanted = canonical(written);
    let find = |name: &str| APPLICATION.iter().find(|entry| canonical(entry.name) == name);
    if let Some(entry) = find(&wanted) {
        return Ok((entry.name, ""));
    }
    let named = JAVA_NAMES.iter().filter(|(java, ..)| canonical(java) == wanted);
    let mut java = named.filter_map(|(_, ours, unit)| Some((find(&canonical(ours))?.name, *unit)));
    let of_java = JAVA_ALONE.iter().find(|(java, _)| canonical(java) == wanted);
    match (java.next(), of_java) {
        (Some(known), _) => Ok(known),
        (None, Some((_, instead))) => Err(Unknown::OfJava(instead)),
        (None, None) => {
            let names = APPLICATION.iter().map(|entry| entry.name);
            Err(Unknown::Nothing(nearest(
                &wanted,
                names.chain(SECTIONS.iter().copied()),
            )))
        }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Setting(name) => write!(formatter, "elasticjob.{name}"),
            Self::DataSource(name) => write!(formatter, "elasticjob.tracing.data-source.{name}"),
            Self::Named { section, name, setting } => write!(formatter, "elasticjob.{section}.{name}.{setting}"),
            Self::Job(job) => write!(formatter, "elasticjob.jobs.{job}"),
            Self::JobSetting(job, name) => write!(formatter, "elasticjob.jobs.{job}.{name}"),
            Self::Prop(job, name) => write!(formatter, "elasticjob.jobs.{job}.props.{name}"),
        }
    }
}

/// The setting of a job by any of its names.
pub(super) fn job_setting(job: &str, name: &str) -> Option<Key> {
    if let Some(prop) = name.strip_prefix("props.") {
        return Some(Key::Prop(job.to_owned(), prop.to_owned()));
    }
    known_of_job(job, name).ok().map(|(key, _)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_should_be_those_of_props() {
        let short = SETTINGS.iter().filter_map(|setting| match setting.place {
            Place::Prop(prop) => Some((setting.name, prop)),
            Place::Registry { .. } | Place::Application => None,
        });
        for (short, prop) in short {
            let path = ["jobs", "a", short].map(str::to_owned);
            let found = find(&path).ok().expect("it is known");
            assert_eq!(found, (Key::Prop("a".to_owned(), prop.to_owned()), ""));
            assert_eq!(job_setting("a", short), Some(found.0));
        }
        let jobs = JobNames::from_iter(["a".to_owned()]);
        let variable = |name: &str| {
            let tokens: Vec<&str> = name.split('_').collect();
            find_variable(&tokens, &jobs, &JobProps::default())
                .ok()
                .map(|(key, _)| key)
        };
        let expected = Some(Key::Prop("a".to_owned(), "elasticjob.retry.max-backoff".to_owned()));
        assert_eq!(variable("JOBS_A_RETRY_MAX_BACKOFF"), expected);
        assert_eq!(variable("JOBS_A_PROPS_ELASTICJOB_RETRY_MAX_BACKOFF"), expected);
    }

    mod cost {
        use super::*;
        use crate::work::assert_grows_with_input;

        #[test]
        fn of_variables_grows_with_their_number() {
            let jobs = JobNames::from_iter(["a".to_owned()]);
            assert_grows_with_input(|size| {
                let props: JobProps = (0..size)
                    .map(|prop| ("a".to_owned(), format!("some.k{prop}")))
                    .collect();
                for prop in 0..size {
                    let last = format!("K{prop}");
                    let found = find_variable(&["JOBS", "A", "PROPS", "SOME", &last], &jobs, &props);
                    let expected = Key::Prop("a".to_owned(), format!("some.k{prop}"));
                    assert_eq!(found.ok().map(|(key, _)| key), Some(expected));
                }
            });
        }

        #[test]
        fn of_a_variable_is_bounded() {
            let jobs = JobNames::from_iter(["a".to_owned()]);
            let tokens: Vec<&str> = ["JOBS"].into_iter().chain(std::iter::repeat_n("A", 50_000)).collect();
            assert!(find_variable(&tokens, &jobs, &JobProps::default()).is_err());
        }
    }
}
