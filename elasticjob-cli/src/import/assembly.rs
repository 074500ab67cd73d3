//! Decides what of Spring's XML an application of ours can have.
//!
//! An application has one registry centre and one database for its history. If the files have more, those that most jobs refer
//! to are taken, and each job of another is a remark.
//!
//! A remark is for the user to decide; a fault is what leaves no configuration to write, such as two jobs of one name.
//! All faults are gathered before the import fails.

use std::collections::{BTreeMap, BTreeSet};

use super::Remark;
use super::names::{self, Old};
use super::read::{self, Element, Files, Found};

/// What becomes an `application.yaml`.
#[derive(Default)]
pub(super) struct Application {
    /// What is in force always, then what is under a condition, each in the order of the files.
    pub(super) sections: Vec<Section>,
}

/// What is in force together.
#[derive(Default)]
pub(super) struct Section {
    /// The condition: any of these profiles; empty for always.
    pub(super) profiles: Vec<String>,
    pub(super) registry: Option<Settings>,
    pub(super) jobs: Vec<Job>,
    pub(super) tracing: Option<Tracing>,
    pub(super) dump_port: Option<String>,
}

/// Keys and values, in the order that they are written in.
pub(super) type Settings = Vec<(String, String)>;

pub(super) struct Job {
    pub(super) name: String,
    pub(super) settings: Settings,
    pub(super) props: Settings,
}

/// Where history is kept.
pub(super) struct Tracing {
    pub(super) data_source: Settings,
    /// The jobs that are recorded, unless all are.
    pub(super) only: Vec<String>,
}

/// The ids that most jobs refer to.
struct Chosen<'a> {
    registry: Option<&'a str>,
    data_source: Option<&'a str>,
}

/// Puts the application together.
///
/// # Errors
/// See [`import`](super::import).
pub(super) fn assemble<'a>(
    files: &'a Files<'a>,
    properties: &BTreeMap<String, String>,
) -> Result<(Application, Vec<Remark>), Vec<String>> {
    let found = files.find();
    if found.ours.is_empty() {
        let expected =
            "an element of `http://shardingsphere.apache.org/schema/elasticjob`, or of its predecessors, is expected";
        return Err(vec![format!("there is nothing of ElasticJob in the files: {expected}")]);
    }
    let mut assembly = Assembly {
        traces: found.ours.iter().filter_map(trace).collect(),
        properties,
        sections: BTreeMap::new(),
        order: Vec::new(),
        jobs: BTreeMap::new(),
        traced: BTreeSet::new(),
        remarks: found.remarks.clone(),
        faults: Vec::new(),
        found,
    };
    assembly.all();
    if !assembly.faults.is_empty() {
        return Err(assembly.faults);
    }
    let order = assembly.order.into_iter();
    let sections = order.filter_map(|profile| assembly.sections.remove(profile));
    let application = Application {
        sections: sections.collect(),
    };
    Ok((application, assembly.remarks))
}

/// The id of a trace, and that of its data source.
fn trace<'a>(element: &Element<'a>) -> Option<(&'a str, &'a str)> {
    let is_trace = element.tag().starts_with("rdb-");
    is_trace.then_some((element.attribute("id")?, element.attribute("data-source-ref")?))
}

/// Returns whether an element is a job, in any version of the namespace.
fn is_job(element: &Element<'_>) -> bool {
    matches!(element.tag(), "job" | "simple" | "dataflow" | "script")
}

/// The application as far as it is put together.
struct Assembly<'a> {
    found: Found<'a>,
    /// The data sources of traces.
    traces: BTreeMap<&'a str, &'a str>,
    properties: &'a BTreeMap<String, String>,
    sections: BTreeMap<&'a str, Section>,
    /// The conditions, in the order of the files, after that of always.
    order: Vec<&'a str>,
    /// The condition and the line of each job.
    jobs: BTreeMap<(&'a str, String), String>,
    /// The jobs that are recorded.
    traced: BTreeSet<String>,
    remarks: Vec<Remark>,
    faults: Vec<String>,
}

impl<'a> Assembly<'a> {
    /// Goes through all elements, after it is known which registry centre and which database most jobs refer to.
    fn all(&mut self) {
        self.section("");
        let ours = std::mem::take(&mut self.found.ours);
        let jobs = ours.iter().filter(|element| is_job(element));
        let chosen = Chosen {
            registry: most(jobs.clone().filter_map(|job| job.attribute("registry-center-ref"))).or_else(|| {
                ours.iter()
                    .find(|element| element.tag() == "zookeeper")?
                    .attribute("id")
            }),
            data_source: most(jobs.filter_map(|job| self.data_source(job))),
        };
        for element in &ours {
            match element.tag() {
                "zookeeper" => self.registry(element, &chosen),
                "snapshot" | "monitor" | "embed" => self.dump(element),
                tag if tag.starts_with("rdb-") => self.trace(element, &chosen),
                _ if is_job(element) => self.job(element, &chosen),
                tag => self.remark(element, format!("`{tag}` is not known")),
            }
        }
        let mut by = ours.iter().filter(|element| match chosen.data_source {
            None => false,
            id => element.attribute("data-source-ref") == id || self.data_source(element) == id,
        });
        if let (Some(id), Some(by)) = (chosen.data_source, by.next()) {
            self.tracing(id, *by);
        }
    }

    /// Returns the section of a condition, which begins empty.
    fn section(&mut self, profile: &'a str) -> &mut Section {
        if !self.sections.contains_key(profile) {
            self.order.push(profile);
        }
        self.sections.entry(profile).or_insert_with(|| Section {
            profiles: profile
                .split([',', ';', ' '])
                .filter(|name| !name.is_empty())
                .map(ToOwned::to_owned)
                .collect(),
            ..Section::default()
        })
    }

    fn remark(&mut self, element: &Element<'_>, text: impl Into<String>) {
        self.remarks.push(element.remark(text));
    }

    /// The bean that a job is recorded by.
    fn data_source(&self, job: &Element<'a>) -> Option<&'a str> {
        let trace = job.attribute("tracing-ref");
        job.attribute("event-trace-rdb-data-source")
            .or_else(|| self.traces.get(trace?).copied())
    }

    /// Takes a registry centre, if it is the chosen one.
    fn registry(&mut self, element: &Element<'a>, chosen: &Chosen<'a>) {
        let id = element.attribute("id");
        if id != chosen.registry {
            let text = "an application has one registry centre, and most jobs refer to another; start a process of its own for this";
            return self.remark(element, format!("registry centre `{}`: {text}", id.unwrap_or_default()));
        }
        let mut settings = Settings::new();
        for (name, value) in self.attributes(element) {
            match name {
                _ if names::REGISTRY.contains(&name) => settings.push((name.to_owned(), value)),
                "id" => {}
                _ => self.remark(element, format!("`{name}` of the registry centre has no counterpart")),
            }
        }
        if self.section(element.profile).registry.replace(settings).is_some() {
            self.faults
                .push(element.fault("the registry centre is here a second time"));
        }
    }

    /// Takes the port on which the state of the jobs is shown.
    fn dump(&mut self, element: &Element<'a>) {
        let port = element
            .attribute("dump-port")
            .or_else(|| element.attribute("monitor-port"));
        self.section(element.profile).dump_port = port.map(ToOwned::to_owned);
    }

    /// Says what is lost of a tracing that is not the chosen one.
    fn trace(&mut self, element: &Element<'a>, chosen: &Chosen<'a>) {
        let source = element.attribute("data-source-ref");
        match chosen.data_source {
            None => self.remark(element, "no job refers to this tracing"),
            chosen if chosen != source => self.remark(
                element,
                "an application keeps its history in one database, and most jobs refer to another",
            ),
            Some(_) => {}
        }
    }

    /// Takes a job, if it is of the chosen registry centre.
    fn job(&mut self, element: &Element<'a>, chosen: &Chosen<'a>) {
        let Some(name) = self.name(element) else { return };
        if element.attribute("registry-center-ref") != chosen.registry {
            let other = element.attribute("registry-center-ref").unwrap_or_default();
            let text = format!("job `{name}` is of another registry centre, `{other}`, and is left out");
            return self.remark(element, text);
        }
        if let Some(source) = self.data_source(element) {
            if chosen.data_source == Some(source) {
                self.traced.insert(name.clone());
            } else {
                self.remark(
                    element,
                    format!("the history of job `{name}` goes to another database, `{source}`"),
                );
            }
        }
        let mut job = Job {
            settings: self.implementation(element, &name),
            name,
            props: Settings::new(),
        };
        for (attribute, value) in self.attributes(element) {
            self.setting(element, &mut job, attribute, value);
        }
        if element.attribute("cron").is_none_or(str::is_empty) {
            // A job without a cron is asked for by name.
            job.settings
                .push(("job-bootstrap-bean-name".to_owned(), job.name.clone()));
        }
        for child in element.children() {
            self.child(element, &mut job, child);
        }
        let (file, line) = element.place();
        let place = format!("{file}:{line}");
        if let Some(first) = self.jobs.insert((element.profile, job.name.clone()), place) {
            let text = format!("job `{}` is here a second time, after {first}", job.name);
            self.faults.push(element.fault(&text));
        }
        self.section(element.profile).jobs.push(job);
    }

    /// The name of a job, which becomes a key: no placeholder can be in it.
    fn name(&mut self, element: &Element<'a>) -> Option<String> {
        let Some(id) = element.attribute("id").filter(|id| !id.is_empty()) else {
            self.faults.push(element.fault("a job has no `id`, which is its name"));
            return None;
        };
        let mut name = String::new();
        let mut rest = id;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((key, after)) = after.split_once('}') else {
                break;
            };
            let (key, default) = key
                .split_once(':')
                .map_or((key, None), |(key, default)| (key, Some(default)));
            let Some(value) = self.properties.get(key).map(String::as_str).or(default) else {
                self.faults.push(element.fault(&format!(
                    "the job's name is `{id}`, and a name is a key in YAML, which no placeholder can be: give the file that has \
                     `{key}` with --properties"
                )));
                return None;
            };
            name.push_str(before);
            name.push_str(value);
            rest = after;
        }
        name.push_str(rest);
        Some(name)
    }

    /// The attributes, without those that no value of ours can be.
    fn attributes(&mut self, element: &Element<'a>) -> Vec<(&'a str, String)> {
        let mut attributes = Vec::new();
        for attribute in element
            .node
            .attributes()
            .filter(|attribute| attribute.namespace().is_none())
        {
            let (name, value) = (attribute.name(), attribute.value().trim());
            if value.contains("#{") {
                self.remark(
                    element,
                    format!("`{name}` is an expression of Spring, which is not carried over: {value}"),
                )
            } else {
                attributes.push((name, value.to_owned()))
            }
        }
        attributes
    }

    /// Takes an attribute of a job: a setting of today, one of an older version, or a remark.
    fn setting(&mut self, element: &Element<'a>, job: &mut Job, attribute: &str, value: String) {
        let name = &job.name;
        match attribute {
            "id" | "class" | "job-ref" | "job-type" | "registry-center-ref" | "tracing-ref" => {}
            "event-trace-rdb-data-source" => {}
            // An empty attribute says as much as none.
            _ if value.is_empty() => {}
            _ if names::is_of_job(attribute) => job.settings.push((attribute.to_owned(), value)),
            "streaming-process" => job.props.push(("streaming.process".to_owned(), value)),
            "script-command-line" => job.props.push(("script.command.line".to_owned(), value)),
            _ => match names::old(attribute, &value) {
                Some(Old::Is(key, value)) => job.settings.push((key.to_owned(), value.to_owned())),
                Some(Old::Default) => {}
                Some(Old::Nothing(advice)) => {
                    let text = format!("`{attribute}={value}` of job `{name}` has no counterpart: {advice}");
                    self.remark(element, text);
                }
                None => self.remark(
                    element,
                    format!("`{attribute}={value}` of job `{name}` has no counterpart"),
                ),
            },
        }
    }

    /// Who does the work: a type of job, or the class that names a function of the program.
    fn implementation(&mut self, element: &Element<'a>, name: &str) -> Settings {
        let is = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
        if element.tag() == "script" {
            return is("elastic-job-type", "SCRIPT");
        }
        if let Some(kind) = element.attribute("job-type") {
            return is("elastic-job-type", kind);
        }
        if let Some(class) = element.attribute("class") {
            return is("elastic-job-class", class);
        }
        let Some(bean) = element.attribute("job-ref") else {
            self.remark(element, format!("job `{name}` has neither `job-ref` nor `job-type`"));
            return Settings::new();
        };
        let beans = self.found.beans.get(bean).into_iter().flatten();
        match beans.filter_map(|bean| bean.attribute("class")).next() {
            Some(class) => is("elastic-job-class", class),
            None => {
                let way_out =
                    format!("declare the job under the name `{name}`, or give its class with `elastic-job-class`");
                self.remark(
                    element,
                    format!("the bean `{bean}` of job `{name}` is not in these files: {way_out}"),
                );
                Settings::new()
            }
        }
    }

    /// Takes what stands below a job: its props. Listeners are code, and a remark.
    fn child(&mut self, element: &Element<'a>, job: &mut Job, child: Element<'a>) {
        match child.tag() {
            "props" => {
                for prop in child.children() {
                    let value = prop.node.text().unwrap_or_default().trim();
                    match prop.attribute("key") {
                        Some(key) if !value.contains("#{") => job.props.push((key.to_owned(), value.to_owned())),
                        _ => self.remark(
                            &prop,
                            format!("a property of job `{}` that cannot be read: {value}", job.name),
                        ),
                    }
                }
            }
            "listener" | "distributed-listener" => {
                let class = child.attribute("class").unwrap_or_default();
                let text = format!(
                    "the listener `{class}` of job `{}`: write it with `#[job_listener]` and name it in `job-listener-types`",
                    job.name
                );
                self.remark(&child, text);
            }
            tag => self.remark(element, format!("`{tag}` of job `{}` is not known", job.name)),
        }
    }

    /// Where history goes: to the bean, in each section that has it. `by` refers to it.
    fn tracing(&mut self, id: &'a str, by: Element<'a>) {
        let beans = self.found.beans.get(id).cloned().unwrap_or_default();
        if beans.is_empty() {
            let text = "write `tracing.type: RDB` and `tracing.data-source`";
            self.remark(&by, format!("the data source `{id}` is not in these files: {text}"));
        }
        let all = self.jobs.keys().all(|(_, job)| self.traced.contains(job));
        let only: Vec<String> = if all {
            Vec::new()
        } else {
            self.traced.iter().cloned().collect()
        };
        for bean in beans {
            let mut settings = Settings::new();
            for (property, value) in read::properties(&bean) {
                match names::of_data_source(property) {
                    Some(key) => settings.push((key.to_owned(), value.to_owned())),
                    None => self.remark(
                        &bean,
                        format!("`{property}` of the data source `{id}` has no counterpart"),
                    ),
                }
            }
            let only = only.clone();
            self.section(bean.profile).tracing = Some(Tracing {
                data_source: settings,
                only,
            });
        }
    }
}

/// The text that is there most often; of several the first.
fn most<'a>(texts: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for text in texts {
        match counts.iter_mut().find(|(other, _)| *other == text) {
            Some((_, count)) => *count += 1,
            None => counts.push((text, 1)),
        }
    }
    // The last of the largest counts is the one that `max_by_key` gives.
    counts
        .into_iter()
        .rev()
        .max_by_key(|(_, count)| *count)
        .map(|(text, _)| text)
}
