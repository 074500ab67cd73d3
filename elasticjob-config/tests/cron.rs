//! What an expression says: when it fires around clock changes, what is wrong with it, how it reads.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use elasticjob_config::cron::{Errors, Expression, Field};
use jiff::Timestamp;
use jiff::tz::TimeZone;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn errors(text: &str) -> Errors {
    Expression::parse(text).expect_err(text)
}

/// The messages of all faults, each with the part of the text that it points at.
#[track_caller]
fn check_faults(text: &str, expected: &[(&str, &str)]) {
    let errors = errors(text);
    let found: Vec<_> = errors
        .iter()
        .map(|error| (&text[error.span()], error.message()))
        .collect();
    assert_eq!(found, expected);
}

#[track_caller]
fn check_next(text: &str, zone: &str, after: &str, expected: &str) {
    let next = Expression::parse(text)
        .unwrap()
        .next_after(at(after), &TimeZone::get(zone).unwrap());
    assert_eq!(next, Some(at(expected)));
}

#[track_caller]
fn check_words(text: &str, expected: &str) {
    assert_eq!(Expression::parse(text).unwrap().describe(), expected);
}

#[test]
fn a_time_in_the_spring_gap_is_skipped() {
    check_next(
        "0 30 2 * * ?",
        "America/New_York",
        "2024-03-10T00:00-05:00",
        "2024-03-11T02:30-04:00",
    );
}

#[test]
fn a_time_that_comes_twice_fires_the_second_time() {
    check_next(
        "0 30 1 * * ?",
        "America/New_York",
        "2024-11-03T00:00-04:00",
        "2024-11-03T01:30-05:00",
    );
    check_next(
        "0 0/20 * * * ?",
        "America/New_York",
        "2024-11-03T00:40-04:00",
        "2024-11-03T01:00-05:00",
    );
}

#[test]
fn a_start_on_the_first_pass_does_not_go_back() {
    check_next(
        "0 0/20 * * * ?",
        "America/New_York",
        "2024-11-03T01:30-04:00",
        "2024-11-03T01:40-05:00",
    );
}

#[test]
fn fractions_do_not_count_before_1970_either() {
    check_next("* * * * * ?", "UTC", "2024-01-01T00:00:00.999Z", "2024-01-01T00:00:01Z");
    check_next("* * * * * ?", "UTC", "1969-12-31T23:59:59.5Z", "1970-01-01T00:00:00Z");
}

#[test]
fn expressions_without_a_fire_time_should_say_so() {
    let now = at("2026-11-21T00:00Z");
    for text in [
        "0 0 0 30 2 ?",
        "0 0 0 1 1 ? 2025",
        "0 0 0 1 1 ? 2200",
        "0 0 0 L-30 FEB ?",
    ] {
        assert!(
            !Expression::parse(text).unwrap().fires_after(now, &TimeZone::UTC),
            "{text}"
        );
    }
    let new_york = TimeZone::get("America/New_York").unwrap();
    assert!(
        !Expression::parse("* * 2 ? MAR SUN#2")
            .unwrap()
            .fires_after(now, &new_york)
    );
    assert!(
        Expression::parse("0 0 0 29 2 ?")
            .unwrap()
            .fires_after(now, &TimeZone::UTC)
    );
}

#[test]
fn searches_at_the_ends_of_time_should_end() {
    let expression = Expression::parse("* * * * * ?").unwrap();
    assert_eq!(expression.next_after(Timestamp::MAX, &TimeZone::UTC), None);
    assert_eq!(expression.next_after(Timestamp::MIN, &TimeZone::UTC), None);
    assert_eq!(
        expression.latest_at_or_before(Timestamp::MIN, Timestamp::MIN, &TimeZone::UTC),
        None
    );
    assert_eq!(
        expression.latest_at_or_before(at("1969-12-31T12:00Z"), Timestamp::MIN, &TimeZone::UTC),
        None
    );
    assert_eq!(
        expression.count_between(Timestamp::MAX, Timestamp::MIN, &TimeZone::UTC),
        0
    );
}

#[test]
fn the_latest_leaves_out_the_first_pass() {
    let zone = TimeZone::get("America/New_York").unwrap();
    let expression = Expression::parse("0 0/20 * * * ?").unwrap();
    let latest = |now: &str| expression.latest_at_or_before(at(now), at("2024-11-01T00:00Z"), &zone);
    assert_eq!(latest("2024-11-03T01:50-04:00"), Some(at("2024-11-03T00:40-04:00")));
    assert_eq!(latest("2024-11-03T01:10-05:00"), Some(at("2024-11-03T01:00-05:00")));
    assert_eq!(
        expression.latest_at_or_before(at("2024-11-03T01:10Z"), at("2024-11-03T01:01Z"), &zone),
        None
    );
}

#[test]
fn a_count_leaves_out_swallowed_times() {
    let zone = TimeZone::get("America/New_York").unwrap();
    let minutes = Expression::parse("0 * * * * ?").unwrap();
    let count = |from: &str, until: &str| minutes.count_between(at(from), at(until), &zone);
    // 23 hours, and 25 of which one fires in its second pass only.
    assert_eq!(count("2024-03-10T00:00-05:00", "2024-03-11T00:00-04:00"), 23 * 60);
    assert_eq!(count("2024-11-03T00:00-04:00", "2024-11-04T00:00-05:00"), 24 * 60);
}

#[test]
fn all_faults_come_at_once_in_order() {
    check_faults(
        "70 0/0 2 * FOO *",
        &[
            ("70", "seconds are 0 to 59, not 70"),
            ("0", "a step of the minute field is 1 to 59, not 0"),
            ("FOO", "months are 1 to 12 or JAN to DEC, not `FOO`"),
            (
                "*",
                "exactly one of day-of-month and day-of-week must be `?`: write `70 0/0 2 * FOO ?`",
            ),
        ],
    );
    let fields: Vec<_> = errors("70 0 25 * * ?").iter().map(|error| error.field()).collect();
    assert_eq!(fields, [Some(Field::Second), Some(Field::Hour)]);
}

#[test]
fn faults_should_give_the_way_out() {
    check_faults(
        "*/5 * * * *",
        &[(
            "*/5 * * * *",
            "an expression has 6 or 7 fields: second, minute, hour, day-of-month, month, day-of-week and perhaps year; \
             this one has 5, as the cron of Unix: write `0 */5 * * * ?`",
        )],
    );
    check_faults(
        "0 0 12 * * MON",
        &[(
            "*",
            "exactly one of day-of-month and day-of-week must be `?`: write `0 0 12 ? * MON`",
        )],
    );
    check_faults(
        "0 0 12 ? * ?",
        &[(
            "?",
            "exactly one of day-of-month and day-of-week must be `?`, not both: write `0 0 12 * * ?`",
        )],
    );
    check_faults(
        "0 0 12 1 * MON",
        &[(
            "MON",
            "exactly one of day-of-month and day-of-week must be `?`: write `0 0 12 1 * ?` or `0 0 12 ? * MON`",
        )],
    );
    check_faults(
        "0 0 12 ? * MON-FRI/2",
        &[("2", "a step does not work with names: write `2-6/2`")],
    );
    check_faults(
        "0 0 12 ? * monday",
        &[(
            "monday",
            "names of the day-of-week field have three letters: write `MON`",
        )],
    );
    check_faults(
        "0 0 12 ? * 0",
        &[("0", "days of the week are 1 (SUN) to 7 (SAT), not 0")],
    );
    check_faults(
        "0 0 12 1 1 ? 2030-2025",
        &[("2030-2025", "a range of years goes upwards: write `2025-2030`")],
    );
    check_faults(
        "0 0 12 1,15W * ?",
        &[("15W", "`W` is for day-of-month (`15W`, `LW`), alone in its field")],
    );
    check_faults(
        "0 0 12 1, * ?",
        &[(
            "",
            "an element of the day-of-month list is empty: leave out the extra comma",
        )],
    );
    check_faults(
        "0 0 12 * *\n?",
        &[("\n", "fields are separated by blanks or tabs, not by `\\n`")],
    );
}

#[test]
fn errors_should_show_carets_under_the_wrong_part() {
    let shown = "invalid cron expression\n\
                 minutes are 0 to 59, not 70\n  \
                 0 70 12 * * ?\n    \
                 ^^";
    assert_eq!(errors("0 70 12 * * ?").to_string(), shown);
    assert_eq!(
        errors("0 70 12 * * ?").one_line(),
        "invalid cron expression `0 70 12 * * ?`: minutes are 0 to 59, not 70"
    );
}

#[test]
fn intervals_should_read_as_such() {
    check_words("0/5 * * * * ?", "every 5 seconds");
    check_words("0 * * * * ?", "every minute");
    check_words("0 0/15 9-17 * * ?", "every 15 minutes from 09:00 to 17:45");
    check_words(
        "0 0 9-17/2 ? * MON-FRI",
        "every 2 hours from 09:00 to 17:00 from Monday to Friday",
    );
    check_words("0/5 0-10 8 * * ?", "every 5 seconds from 08:00:00 to 08:10:55");
    check_words("0 0/5 14,18 * * ?", "every 5 minutes of hours 14 and 18");
    // Not every 7 seconds: the last of a minute is 4 seconds before the first of the next.
    check_words("*/7 * * * * ?", "every 7th second from 0 to 56 of every minute");
}

#[test]
fn clock_times_should_read_as_such() {
    check_words("0 0 2 * * ?", "at 02:00 every day");
    check_words("30 0 2,14 1 * ?", "at 02:00:30 and 14:00:30 on the 1st of every month");
    check_words(
        "0 15 10 ? * 6L 2024-2026",
        "at 10:15 on the last Friday of the month, 2024 to 2026",
    );
    check_words(
        "0 0 12 ? MAR,SEP FRI#3",
        "at 12:00 on the third Friday of March and September",
    );
    check_words(
        "0 0 12 L-3W * ?",
        "at 12:00 on the weekday nearest to the 3rd day before the last day of the month",
    );
    check_words("0 0 12 ? * SAT-MON", "at 12:00 from Saturday to Monday");
    check_words("0 0 12 ? * SUN,WED", "at 12:00 every Sunday and Wednesday");
    check_words(
        "0 0 12 L FEB ? 2024/4",
        "at 12:00 on the last day of February, every 4th year from 2024 on",
    );
    check_words(
        "0 0 12 1 1 ? 2025,2030",
        "at 12:00 on the 1st of January, in 2025 and 2030",
    );
}

#[test]
fn describes_each_field_without_a_short_form() {
    check_words(
        "10 0-5,30 9,17 * * ?",
        "at second 10 of minutes 0 to 5 and 30 of hours 9 and 17",
    );
    check_words(
        "* 5 * 1-7 * ?",
        "every second of minute 5 of every hour on the 1st to the 7th of every month",
    );
}

#[test]
fn an_expression_should_keep_its_text() {
    let expression: Expression = "0 0  12 L * ?".parse().unwrap();
    assert_eq!(expression.to_string(), "0 0  12 L * ?");
    assert_eq!(expression, expression.clone());
    assert_ne!(expression, "0 0 12 L * ?".parse().unwrap());
}
