//! What the settings mean, and whether they go together.
//!
//! Cron, zones, names and item parameters are checked by the code of `elasticjob-config`, as at start: what is refused there
//! is refused here in the same words.

use std::collections::BTreeSet;

use elasticjob_config::cron;
use elasticjob_config::item_parameters::ItemParameters;
use elasticjob_config::job::{JobName, MAX_SHARDING_TOTAL_COUNT};
use elasticjob_config::zone::Zone;
use jiff::civil;
use jiff::tz::TimeZone;
use syn::Lit;

use super::attribute::Pair;
use super::key::{self, Key};
use super::model::{Setting, Settings, Typed};
use crate::faults::Faults;

/// What the generated declaration holds of the settings.
pub(crate) struct Declared {
    /// By the names of configuration files.
    pub(crate) values: Vec<(String, String)>,
    pub(crate) one_off: bool,
}

pub(crate) fn settings(settings: &Settings, faults: &mut Faults) -> Declared {
    name_is_allowed(settings, faults);
    cron_parses(settings, faults);
    time_zone_exists(settings, faults);
    item_parameters_fit(settings, faults);
    nothing_excludes_another(settings, faults);

    Declared {
        values: settings.iter().flat_map(|setting| values(setting, faults)).collect(),
        one_off: settings.flag(key::ONE_OFF).is_some_and(|(on, _)| on),
    }
}

fn name_is_allowed(settings: &Settings, faults: &mut Faults) {
    let Some((name, setting)) = settings.text(key::NAME) else {
        return;
    };
    if let Err(error) = JobName::parse(name) {
        faults.add(&setting.tokens, error);
    }
}

/// Checks the expression, and marks each fault within the text.
fn cron_parses(settings: &Settings, faults: &mut Faults) {
    let Some((text, setting)) = settings.text(key::CRON) else {
        return;
    };
    let errors = match cron::Expression::parse(text) {
        Ok(expression) => {
            if !fires(&expression) {
                faults.add(
                    &setting.tokens,
                    "cron: there is no such day, so the job would never fire",
                );
            }
            return;
        }
        Err(errors) => errors,
    };
    for error in errors.iter() {
        faults.add_within(
            &setting.tokens,
            format_args!("cron: {}", error.message()),
            text,
            error.span(),
        );
    }
}

/// Whether there is any time at all that is meant. A build knows no time of day, so what fires in the past
/// alone is left to the start.
fn fires(expression: &cron::Expression) -> bool {
    // A search covers a hundred years. A program that starts in the second of these centuries sees no further.
    let centuries = [civil::date(1970, 1, 1), civil::date(2070, 1, 1)];
    let starts = centuries.into_iter().filter_map(|day| day.to_zoned(TimeZone::UTC).ok());
    starts
        .into_iter()
        .any(|start| expression.fires_after(start.timestamp(), &TimeZone::UTC))
}

fn time_zone_exists(settings: &Settings, faults: &mut Faults) {
    let Some((text, setting)) = settings.text(key::TIME_ZONE) else {
        return;
    };
    if let Err(error) = Zone::parse(text) {
        faults.add(&setting.tokens, error);
    }
}

/// Checks that each parameter is for an item that the job has, as far as the number of items is known here.
fn item_parameters_fit(settings: &Settings, faults: &mut Faults) {
    let Some((text, setting)) = settings.text(key::ITEM_PARAMETERS) else {
        return;
    };
    let total = settings
        .number(key::SHARDING)
        .and_then(|total| u32::try_from(total).ok());
    // If the number of items comes from elsewhere, all that is known is the largest.
    let total = total.unwrap_or(MAX_SHARDING_TOTAL_COUNT);
    let checked = ItemParameters::parse(text).and_then(|parameters| parameters.check_range(total));
    let Err(errors) = checked else {
        return;
    };
    for error in errors.iter() {
        let message = format_args!("{}: {}", setting.written, error.message());
        faults.add_within(&setting.tokens, message, text, error.span());
    }
}

/// Checks settings that contradict each other.
fn nothing_excludes_another(settings: &Settings, faults: &mut Faults) {
    let cron = settings.get(key::CRON);
    let is_on = |key: &str| settings.flag(key).filter(|(on, _)| *on).map(|(_, setting)| setting);

    if let (Some(_), Some(one_off)) = (cron, is_on(key::ONE_OFF)) {
        faults.add(
            &one_off.written,
            "`one_off` and `cron` exclude each other: a one-off job has no schedule",
        );
    }
    if let (Some(_), Some(bootstrap)) = (cron, settings.get(key::BOOTSTRAP)) {
        let written = &bootstrap.written;
        let message = format!("`{written}` and `cron` exclude each other: it names the handle of a one-off job");
        faults.add(written, message);
    }
    if let (Some(_), Some(types)) = (settings.get(key::LISTENERS), settings.get(key::LISTENER_TYPES)) {
        let message = "`job_listener_types` and `listeners` exclude each other: both are the job's listeners, in order";
        faults.add(&types.written, message);
    }
    for setting in settings.iter() {
        if let Some(prop) = prop_of(setting.key).filter(|prop| has_prop(prop, settings)) {
            let message = format!(
                "`{}` and the property `{prop}` are the same: give one of them",
                setting.written
            );
            faults.add(&setting.written, message);
        }
    }
    if let (Some((false, _)), Some(failover)) = (settings.flag(key::MONITOR_EXECUTION), is_on(key::FAILOVER)) {
        let message =
            "`failover` needs `monitor_execution`: without it there are no marks of the items that were running";
        faults.add(&failover.written, message);
    }
}

/// The prop that the key sets, if it sets one.
fn prop_of(key: &Key) -> Option<&str> {
    key.property.as_deref()?.strip_prefix("props.")
}

fn has_prop(prop: &str, settings: &Settings) -> bool {
    settings.iter().any(|setting| match &setting.value {
        Typed::Props(pairs) => pairs.iter().any(|pair| pair.name() == prop),
        _ => false,
    })
}

/// A setting as configuration files would have it.
fn values(setting: &Setting, faults: &mut Faults) -> Vec<(String, String)> {
    let Some(property) = setting.key.property.as_deref() else {
        return Vec::new();
    };
    let value = match &setting.value {
        Typed::Text(text) => text.clone(),
        Typed::Number(number) => number.to_string(),
        Typed::Flag(on) => on.to_string(),
        Typed::Texts(texts) => {
            for text in texts
                .iter()
                .filter(|text| text.value().trim().is_empty() || text.value().contains(','))
            {
                faults.add(
                    text,
                    format_args!("`{}`: a name cannot be blank or contain `,`", setting.written),
                );
            }
            texts.iter().map(syn::LitStr::value).collect::<Vec<_>>().join(",")
        }
        Typed::Props(pairs) => return props(property, pairs, faults),
        Typed::Path(_) | Typed::Types(_) => return Vec::new(),
    };
    vec![(property.to_owned(), value)]
}

fn props(property: &str, pairs: &[Pair], faults: &mut Faults) -> Vec<(String, String)> {
    let mut values = Vec::new();
    let mut known = BTreeSet::new();
    for pair in pairs {
        let name = pair.name();
        if name.trim().is_empty() {
            faults.add(&pair.key, "a property needs a name");
        }
        match prop_value(&pair.value) {
            Some(value) => values.push((format!("{property}.{name}"), value)),
            None => faults.add(&pair.value, "a property is a text, a number, or `true` or `false`"),
        }
        if !known.insert(name.clone()) {
            faults.add(&pair.key, format_args!("property `{name}` is given twice"));
        }
    }
    values
}

fn prop_value(literal: &Lit) -> Option<String> {
    match literal {
        Lit::Str(text) => Some(text.value()),
        Lit::Int(number) if number.suffix().is_empty() => Some(number.base10_digits().to_owned()),
        Lit::Float(number) if number.suffix().is_empty() => Some(number.base10_digits().to_owned()),
        Lit::Bool(on) => Some(on.value.to_string()),
        _ => None,
    }
}
