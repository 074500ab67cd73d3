//! Properties of the cron engine over random expressions, all zones and many years.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod model;
mod reference;

use std::sync::LazyLock;

use croner::parser::{CronParser, Seconds, Year};
use elasticjob_config::cron::Expression;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;
use proptest::sample::Index;

use model::{Choice, Model, all_special_days, index, models};
use reference::Found;

const EVERYTHING: Choice = Choice { everything: true };
/// What croner reads as Quartz does.
const COMMON: Choice = Choice { everything: false };

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// One of all zones.
fn zone(index: Index) -> TimeZone {
    static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
        jiff::tz::db()
            .available()
            .map(|name| name.as_str().to_owned())
            .collect()
    });
    assert!(NAMES.len() > 300, "a time zone database is needed");
    TimeZone::get(index.get::<String>(&NAMES)).unwrap()
}

/// Seconds from 1968 to 2080.
fn instants() -> impl Strategy<Value = Timestamp> {
    (-63_158_400..3_471_292_800i64).prop_map(|second| Timestamp::from_second(second).unwrap())
}

/// A time shortly before or after the next clock change of the zone, which may be no change of ours.
fn near_a_change(instant: Timestamp, zone: &TimeZone, distance: i64) -> Timestamp {
    let change = zone
        .following(instant)
        .next()
        .map_or(instant, |change| change.timestamp());
    // Beyond 2080 the slow search would leave the years of jiff's rules.
    if change > instant + (50 * 8766).hours() {
        instant
    } else {
        change + distance.seconds()
    }
}

/// Compares one step with the slow search.
fn check(model: &Model, after: Timestamp, zone: &TimeZone) {
    let text = model.text();
    let expression = Expression::parse(&text).unwrap_or_else(|errors| panic!("{errors}"));
    let ours = expression.next_after(after, zone);
    match reference::next_after(model, after, zone) {
        Found::At(theirs) => assert_eq!(ours, Some(theirs), "`{text}` after {after} in {zone:?}"),
        Found::NotBefore(end) => assert!(
            ours.is_none_or(|ours| ours >= end),
            "`{text}` after {after} in {zone:?}: {ours:?}"
        ),
    }
}

/// In 28 years every month begins on every weekday, leap years included.
#[test]
fn special_days_are_those_of_a_slow_search() {
    let (first, end) = (date(2000, 1, 1), date(2028, 1, 1));
    let midnight = |date: Date| TimeZone::UTC.to_timestamp(date.into()).unwrap();
    for days in all_special_days() {
        let model = Model::at_midnight(days);
        let is_meant = model.days();
        let expression = Expression::parse(&model.text()).unwrap();
        let mut after = midnight(first) - 1.second();
        for day in first
            .series(1.day())
            .take_while(|day| *day < end)
            .filter(|day| is_meant(*day))
        {
            after = expression.next_after(after, &TimeZone::UTC).unwrap();
            assert_eq!(after, midnight(day), "{}", model.text());
        }
    }
}

proptest! {
    #![proptest_config(config(800))]

    #[test]
    fn times_are_those_of_a_slow_search(
        model in models(EVERYTHING), zone_index in index(), after in instants(),
    ) {
        check(&model, after, &zone(zone_index));
    }

    #[test]
    fn times_around_clock_changes_are_those_of_a_slow_search(
        model in models(EVERYTHING), zone_index in index(), instant in instants(), distance in -100_000..20_000i64,
    ) {
        let zone = zone(zone_index);
        check(&model, near_a_change(instant, &zone, distance), &zone);
    }

    #[test]
    fn the_latest_and_the_count_agree_with_single_steps(
        model in models(EVERYTHING), zone_index in index(), instant in instants(), distance in -100_000..20_000i64,
        steps in 0..300usize, beyond in 0..5_000i64,
    ) {
        let zone = zone(zone_index);
        let after = near_a_change(instant, &zone, distance);
        let expression = Expression::parse(&model.text()).unwrap();
        let mut times = Vec::new();
        let mut last = after;
        while let Some(next) = expression.next_after(last, &zone).filter(|_| times.len() <= steps) {
            assert!(next > last);
            times.push(next);
            last = next;
        }
        // All that was found but the last, and perhaps some time beyond, short of the last.
        let Some((&end, times)) = times.split_last() else { return Ok(()) };
        let at = times.last().map_or(after, |&last| (last + beyond.seconds()).min(end - 1.nanosecond()));
        let first = times.first().copied().unwrap_or(end);
        prop_assert_eq!(expression.latest_at_or_before(at, first, &zone), times.last().copied());
        prop_assert_eq!(expression.count_between(after, at, &zone), times.len() as u64);
    }

    #[test]
    fn times_are_those_of_croner(
        model in models(COMMON), after in instants().prop_filter("no year before 1970", |after| after.as_second() > 0),
    ) {
        let text = model.text();
        let theirs = CronParser::builder()
            .seconds(Seconds::Required)
            .year(Year::Optional)
            .alternative_weekdays(true)
            .dom_and_dow(true)
            .sloppy_ranges(true)
            .build()
            .parse(&text)
            .unwrap();
        let expected = theirs.find_next_occurrence(&after.to_zoned(TimeZone::UTC), false).unwrap().timestamp();
        let ours = Expression::parse(&text).unwrap().next_after(after, &TimeZone::UTC);
        prop_assert_eq!(ours, Some(expected), "{}", text);
    }

    #[test]
    fn every_expression_should_have_a_description(model in models(EVERYTHING)) {
        let description = Expression::parse(&model.text()).unwrap().describe();
        prop_assert!(description.starts_with("at ") || description.starts_with("every "), "{}", description);
        prop_assert!(!description.contains("  ") && description.trim() == description, "{}", description);
    }
}

proptest! {
    #![proptest_config(config(3_000))]

    #[test]
    fn any_text_is_read_or_refused(
        text in prop_oneof!["\\PC*", "[0-9*?/,#LWlwA-F \\-]{0,30}", "([0-9*?/,\\-]{1,4} ){5,7}([0-9LW#?*]{1,3})", "([*0-9?]|MON|é| |\t|\n){0,20}"],
    ) {
        match Expression::parse(&text) {
            Ok(expression) => {
                prop_assert_eq!(expression.to_string(), &text[..]);
                prop_assert!(!expression.describe().is_empty());
                let _ = expression.next_after(Timestamp::UNIX_EPOCH, &TimeZone::UTC);
            }
            Err(errors) => {
                prop_assert!(errors.iter().count() > 0);
                prop_assert!(errors.to_string().contains('^'));
                prop_assert_eq!(errors.one_line().lines().count(), 1);
                for error in errors.iter() {
                    prop_assert!(text.get(error.span()).is_some(), "{:?}", error);
                }
            }
        }
    }
}
