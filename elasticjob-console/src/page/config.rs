//! The configuration of a job: a form and YAML, what a change would do, and one save.

use askama::Template;
use elasticjob::configuration::job::JobConfig;
use elasticjob::operation::{StoredConfiguration, next_firings};
use jiff::Timestamp;

use crate::configure::{Draft, FIELDS, Input, Schedule, moved, props_text, yaml_text};
use crate::masks::{self, PROPS, Settings};
use crate::text::{shown, whole};
use crate::words::Words;

use super::job::{TabLink, tabs};
use super::{Scene, rendered};

/// Next times before and after a change.
const TIMES: usize = 10;

/// The page.
pub(crate) struct ConfigPage<'a> {
    pub(crate) stored: &'a StoredConfiguration,
    pub(crate) draft: Option<&'a Draft>,
    pub(crate) notice: Option<Notice>,
    pub(crate) may_edit: bool,
}

/// What stands above it.
pub(crate) enum Notice {
    /// Another operator was faster.
    Changed,
    /// The YAML cannot be read.
    Yaml { text: String, problem: String },
    /// The registry refused the change.
    Failed(String),
}

#[derive(Template)]
#[template(path = "config.html")]
struct Body<'a> {
    w: &'a Words,
    scene: &'a Scene,
    name: String,
    path: String,
    tabs: Vec<TabLink>,
    version: i32,
    may_edit: bool,
    notice: Option<String>,
    problem: String,
    /// What is wrong with the whole, or with a setting that has no field.
    faults: Vec<String>,
    is_checked: bool,
    can_save: bool,
    changes: Vec<ChangeRow>,
    effects: Vec<String>,
    times: Option<Times>,
    fields: Vec<FieldRow>,
    props: String,
    props_faults: Vec<String>,
    yaml: String,
}

struct ChangeRow {
    key: String,
    before: String,
    after: String,
}

struct FieldRow {
    id: String,
    name: String,
    label: &'static str,
    about: &'static str,
    default: &'static str,
    value: String,
    is_switch: bool,
    faults: Vec<String>,
}

/// The schedules before and after, in words, with their next times.
struct Times {
    before: String,
    after: String,
    rows: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "missing.html")]
struct Missing<'a> {
    text: &'a str,
    problem: Option<String>,
}

/// Makes the body of a page for a job that has no configuration.
pub(crate) fn missing(text: &str) -> String {
    rendered(&Missing { text, problem: None })
}

impl ConfigPage<'_> {
    pub(crate) fn body(&self, scene: &Scene) -> String {
        let (w, stored) = (scene.words, self.stored);
        let job = &*stored.job_name;
        let before = JobConfig::legible_settings(&stored.text);
        let settings = match self.draft {
            Some(draft) => draft.given.clone(),
            None => masked(&before),
        };
        let faults = self.draft.map_or(&[][..], |draft| &draft.faults);
        let of = |is_of: &dyn Fn(&str) -> bool| -> Vec<String> {
            let found = faults.iter().filter(|(name, _)| is_of(name));
            found.map(|(name, problem)| said(name, problem, w)).collect()
        };
        let is_field = |name: &str| {
            FIELDS
                .iter()
                .any(|field| is_of_field(name, field.key, field.setting.name))
        };
        let fields = FIELDS.iter().map(|field| FieldRow {
            id: format!("f-{}", field.key),
            name: field.name(),
            label: field.setting.name,
            about: (w.setting_about)(field.setting),
            default: field.setting.default,
            value: settings.get(field.key).cloned().unwrap_or_default(),
            is_switch: field.input() == Input::Switch,
            faults: of(&|name| is_of_field(name, field.key, field.setting.name)),
        });
        let effect = self.draft.and_then(|draft| draft.effect.as_ref());
        let (notice, problem, yaml) = match &self.notice {
            None => (None, String::new(), None),
            Some(Notice::Changed) => (Some((w.changed_meanwhile)(stored.version)), String::new(), None),
            Some(Notice::Yaml { text, problem }) => {
                (Some(w.yaml_unreadable.to_owned()), whole(problem), Some(text.clone()))
            }
            Some(Notice::Failed(problem)) => (Some(w.failed.to_owned()), problem.clone(), None),
        };
        let problem = match &stored.config {
            Err(errors) if problem.is_empty() && self.draft.is_none() => whole(&errors.to_string()),
            _ => problem,
        };
        let changes = self.draft.map_or(&[][..], |draft| &draft.changes);
        let value = |value: &Option<String>| value.as_deref().map_or(w.unset.to_owned(), shown);
        rendered(&Body {
            w,
            scene,
            name: shown(job),
            path: format!("{}/config", scene.job(job)),
            tabs: tabs(scene, job, None),
            version: stored.version,
            may_edit: self.may_edit,
            notice,
            problem,
            faults: of(&|name| !is_field(name) && !name.starts_with(PROPS)),
            is_checked: self.draft.is_some_and(|draft| draft.faults.is_empty()),
            can_save: effect.is_some() && !changes.is_empty(),
            changes: changes
                .iter()
                .map(|change| ChangeRow {
                    key: shown(&change.key),
                    before: value(&change.before),
                    after: value(&change.after),
                })
                .collect(),
            effects: self.effects(scene, &settings),
            times: effect.and_then(|effect| {
                let (before, after) = effect.schedule.as_ref()?;
                Some(times(before.as_ref(), after.as_ref(), scene))
            }),
            fields: fields.collect(),
            props: props_text(&settings),
            props_faults: of(&|name| name.starts_with(PROPS) && !is_field(name)),
            yaml: yaml.unwrap_or_else(|| yaml_text(job, &settings)),
        })
    }

    /// Says what a change does beside the schedule.
    fn effects(&self, scene: &Scene, settings: &Settings) -> Vec<String> {
        let w = scene.words;
        let Some(effect) = self.draft.and_then(|draft| draft.effect.as_ref()) else {
            return Vec::new();
        };
        let mut effects = Vec::new();
        if let Some((before, after)) = effect.items {
            effects.push((w.items_change)(before, after));
        }
        if effect.shares_out
            && let Some(job) = scene.picture.jobs.get(&*self.stored.job_name)
        {
            effects.push(moved(&job.report, settings).map_or(w.items_shared_out.to_owned(), w.items_move));
        }
        if !effect.unknown_to_java.is_empty() {
            let names: Vec<String> = effect.unknown_to_java.iter().map(|name| shown(name)).collect();
            effects.push((w.unknown_to_java)(&names.join(", ")));
        }
        effects
    }
}

/// Returns settings as they may be shown.
fn masked(settings: &Settings) -> Settings {
    let shown = |(name, value): (&String, &String)| (name.clone(), masks::masked(name, value).into_owned());
    settings.iter().map(shown).collect()
}

/// Returns whether a fault is about a field, by its name in the registry or in files.
fn is_of_field(name: &str, key: &str, setting: &str) -> bool {
    name == key || name == setting
}

/// Says what is wrong. A fault without a text is one of rights.
fn said(name: &str, problem: &str, w: &Words) -> String {
    match (name, problem) {
        (name, "") => (w.is_code)(&shown(name)),
        ("", problem) => shown(problem),
        (name, problem) if problem.contains(name) => shown(problem),
        (name, problem) => format!("{}: {}", shown(name), shown(problem)),
    }
}

fn times(before: Option<&Schedule>, after: Option<&Schedule>, scene: &Scene) -> Times {
    let w = scene.words;
    let words = |schedule: Option<&Schedule>| {
        schedule.map_or(w.when_triggered.to_owned(), |schedule| {
            format!("{} · {}", (w.schedule_of)(&schedule.expression), schedule.zone.name())
        })
    };
    let next = |schedule: Option<&Schedule>| -> Vec<String> {
        let Some(Schedule { expression, zone }) = schedule else {
            return Vec::new();
        };
        let times = next_firings(expression, zone, scene.now, TIMES);
        let written = |time: Timestamp| {
            time.to_zoned(zone.time_zone().clone())
                .strftime("%Y-%m-%d %H:%M:%S %:z")
                .to_string()
        };
        times.into_iter().map(written).collect()
    };
    let (was, is) = (next(before), next(after));
    let row = |index: usize| {
        let text = |times: &[String]| times.get(index).cloned().unwrap_or_default();
        (text(&was), text(&is))
    };
    Times {
        before: words(before),
        after: words(after),
        rows: (0..was.len().max(is.len())).map(row).collect(),
    }
}
