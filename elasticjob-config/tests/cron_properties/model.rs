//! Random expressions, each as a text for the parser and as a slow predicate that knows nothing of it.

use jiff::ToSpan;
use jiff::civil::{Date, Time};
use proptest::prelude::*;
use proptest::sample::Index;

/// Every year means every year from here on.
const FIRST_YEAR: i16 = 1970;
const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// One element of a list.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Any,
    AnyStep(i16),
    One(i16),
    From(i16, i16),
    Range(i16, i16),
    RangeStep(i16, i16, i16),
}

/// A field that is a list of values, with the bounds of the field.
#[derive(Clone, Debug)]
pub(crate) struct List {
    parts: Vec<Part>,
    min: i16,
    max: i16,
    names: &'static [&'static str],
}

/// The day field that is not `?`.
#[derive(Clone, Debug)]
pub(crate) enum Days {
    OfMonth(List),
    Last(i16),
    Nearest(i16),
    LastNearest(i16),
    OfWeek(List),
    Saturday,
    LastOfWeek(i16),
    Nth(i16, i16),
}

/// A whole expression.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    seconds: List,
    minutes: List,
    hours: List,
    days: Days,
    months: List,
    years: Option<List>,
}

/// What to draw from.
#[derive(Clone, Copy)]
pub(crate) struct Choice {
    /// Ranges that go on at the minimum, `L-3`, days after the 28th, and years.
    pub(crate) everything: bool,
}

impl Part {
    /// Walks from the first value to the last, going on at the minimum, and takes each `step`-th.
    fn members(&self, min: i16, max: i16) -> Vec<i16> {
        let (first, last, step) = match *self {
            Self::Any => (min, max, 1),
            Self::AnyStep(step) => (min, max, step),
            Self::One(value) => (value, value, 1),
            Self::From(first, step) => (first, max, step),
            Self::Range(first, last) => (first, last, 1),
            Self::RangeStep(first, last, step) => (first, last, step),
        };
        let mut members = Vec::new();
        let (mut value, mut distance) = (first, 0);
        loop {
            if distance % step == 0 {
                members.push(value);
            }
            if value == last {
                return members;
            }
            value = if value == max { min } else { value + 1 };
            distance += 1;
        }
    }
}

impl List {
    fn members(&self) -> Vec<i16> {
        let mut members: Vec<i16> = self
            .parts
            .iter()
            .flat_map(|part| part.members(self.min, self.max))
            .collect();
        members.sort_unstable();
        members.dedup();
        members
    }

    fn text(&self) -> String {
        let name = |value: i16| match self.names.get((value - self.min) as usize) {
            Some(name) => (*name).to_owned(),
            None => value.to_string(),
        };
        let texts: Vec<String> = self
            .parts
            .iter()
            .map(|part| match part {
                Part::Any => "*".to_owned(),
                Part::AnyStep(step) => format!("*/{step}"),
                Part::One(value) => name(*value),
                Part::From(first, step) => format!("{first}/{step}"),
                Part::Range(first, last) => format!("{}-{}", name(*first), name(*last)),
                Part::RangeStep(first, last, step) => format!("{first}-{last}/{step}"),
            })
            .collect();
        texts.join(",")
    }
}

impl Days {
    fn texts(&self) -> (String, String) {
        let unset = || "?".to_owned();
        match self {
            Self::OfMonth(list) => (list.text(), unset()),
            Self::Last(0) => ("L".to_owned(), unset()),
            Self::Last(before) => (format!("L-{before}"), unset()),
            Self::Nearest(day) => (format!("{day}W"), unset()),
            Self::LastNearest(0) => ("LW".to_owned(), unset()),
            Self::LastNearest(before) => (format!("L-{before}W"), unset()),
            Self::OfWeek(list) => (unset(), list.text()),
            Self::Saturday => (unset(), "L".to_owned()),
            Self::LastOfWeek(weekday) => (unset(), format!("{weekday}L")),
            Self::Nth(weekday, nth) => (unset(), format!("{weekday}#{nth}")),
        }
    }

    fn test(&self) -> Box<dyn Fn(Date) -> bool> {
        let day = |date: Date| i16::from(date.day());
        let last = |date: Date| i16::from(date.days_in_month());
        let weekday = |date: Date| i16::from(date.weekday().to_sunday_one_offset());
        match *self {
            Self::OfMonth(ref list) => {
                let days = list.members();
                Box::new(move |date| days.contains(&day(date)))
            }
            Self::Last(before) => Box::new(move |date| day(date) + before == last(date)),
            Self::Nearest(target) => Box::new(move |date| nearest_weekday(date, target) == Some(date)),
            Self::LastNearest(before) => Box::new(move |date| {
                let target = last(date) - before;
                target >= 1 && nearest_weekday(date, target) == Some(date)
            }),
            Self::OfWeek(ref list) => {
                let weekdays = list.members();
                Box::new(move |date| weekdays.contains(&weekday(date)))
            }
            Self::Saturday => Box::new(move |date| weekday(date) == 7),
            Self::LastOfWeek(wanted) => {
                Box::new(move |date| weekday(date) == wanted && (date + 7.days()).month() != date.month())
            }
            Self::Nth(wanted, nth) => Box::new(move |date| weekday(date) == wanted && (day(date) - 1) / 7 + 1 == nth),
        }
    }
}

/// The weekday nearest to a day of the month of `date`, without leaving that month.
fn nearest_weekday(date: Date, target: i16) -> Option<Date> {
    let is_weekday = |date: &Date| !matches!(date.weekday().to_sunday_one_offset(), 1 | 7);
    let target = date.first_of_month() + i64::from(target - 1).days();
    let in_month = |day: &Date| day.month() == date.month();
    let candidates: &[i64] = match () {
        () if is_weekday(&target) => &[0],
        () if in_month(&target) => &[-1, 1, -2, 2],
        // Beyond the month's end only a Saturday, which moves back by a day, can come to lie in the month.
        () if target.weekday().to_sunday_one_offset() == 7 => &[-1],
        () => &[],
    };
    candidates
        .iter()
        .map(|&by| target + by.days())
        .find(|day| is_weekday(day) && in_month(day))
}

impl Model {
    pub(crate) fn text(&self) -> String {
        let (of_month, of_week) = self.days.texts();
        let (seconds, minutes, hours) = (self.seconds.text(), self.minutes.text(), self.hours.text());
        let years = self
            .years
            .as_ref()
            .map(|years| format!(" {}", years.text()))
            .unwrap_or_default();
        format!(
            "{seconds} {minutes} {hours} {of_month} {} {of_week}{years}",
            self.months.text()
        )
    }

    /// Midnight of every day that is meant.
    pub(crate) fn at_midnight(days: Days) -> Self {
        let list = |part, min, max| List {
            parts: vec![part],
            min,
            max,
            names: &[],
        };
        let zero = |max| list(Part::One(0), 0, max);
        let months = list(Part::Any, 1, 12);
        Self {
            seconds: zero(59),
            minutes: zero(59),
            hours: zero(23),
            days,
            months,
            years: None,
        }
    }

    /// A test for days, with the lists worked out once.
    pub(crate) fn days(&self) -> impl Fn(Date) -> bool {
        let years = self.years.as_ref().map(List::members);
        let months = self.months.members();
        let day = self.days.test();
        move |date| {
            date.year() >= FIRST_YEAR
                && years
                    .as_ref()
                    .is_none_or(|years| years.binary_search(&date.year()).is_ok())
                && months.contains(&i16::from(date.month()))
                && day(date)
        }
    }

    /// All times of day, in order.
    pub(crate) fn times(&self) -> Vec<Time> {
        let mut times = Vec::new();
        let (minutes, seconds) = (self.minutes.members(), self.seconds.members());
        for hour in self.hours.members() {
            for &minute in &minutes {
                times.extend(
                    seconds
                        .iter()
                        .map(|&second| Time::constant(hour as i8, minute as i8, second as i8, 0)),
                );
            }
        }
        times
    }
}

/// Any expression.
pub(crate) fn models(choice: Choice) -> impl Strategy<Value = Model> {
    let list = move |min, max| lists(min, max, &[], choice);
    let months = prop_oneof![lists(1, 12, &[], choice), lists(1, 12, &MONTHS, choice)];
    let years = if choice.everything {
        prop_oneof![3 => Just(None), 1 => years().prop_map(Some)].boxed()
    } else {
        Just(None).boxed()
    };
    (list(0, 59), list(0, 59), list(0, 23), days(choice), months, years).prop_map(
        |(seconds, minutes, hours, days, months, years)| Model {
            seconds,
            minutes,
            hours,
            days,
            months,
            years,
        },
    )
}

fn days(choice: Choice) -> impl Strategy<Value = Days> {
    let last_day: i16 = if choice.everything { 31 } else { 28 };
    let last_offset: i16 = if choice.everything { 30 } else { 0 };
    let saturday = if choice.everything {
        Days::Saturday
    } else {
        Days::LastOfWeek(7)
    };
    prop_oneof![
        3 => lists(1, last_day, &[], choice).prop_map(move |list| Days::OfMonth(List { max: 31, ..list })),
        1 => (0..=last_offset).prop_map(Days::Last),
        1 => (1..=last_day).prop_map(Days::Nearest),
        1 => (0..=last_offset).prop_map(Days::LastNearest),
        2 => lists(1, 7, &[], choice).prop_map(Days::OfWeek),
        1 => lists(1, 7, &WEEKDAYS, choice).prop_map(Days::OfWeek),
        1 => Just(saturday),
        1 => (1..=7i16).prop_map(Days::LastOfWeek),
        1 => (1..=7i16, 1..=5i16).prop_map(|(weekday, nth)| Days::Nth(weekday, nth)),
    ]
}

fn years() -> impl Strategy<Value = List> {
    let part = prop_oneof![
        (1970..2100i16).prop_map(Part::One),
        (1970..2100i16, 0..40i16).prop_map(|(first, length)| Part::Range(first, first + length)),
        (1970..2100i16, 0..40i16, 1..9i16).prop_map(|(first, length, step)| Part::RangeStep(
            first,
            first + length,
            step
        )),
        (1970..2100i16, 1..9i16).prop_map(|(first, step)| Part::From(first, step)),
    ];
    proptest::collection::vec(part, 1..4).prop_map(|parts| List {
        parts,
        min: 1970,
        max: 9999,
        names: &[],
    })
}

/// Lists within bounds. With names there are no steps, which do not go together.
fn lists(min: i16, max: i16, names: &'static [&'static str], choice: Choice) -> impl Strategy<Value = List> {
    let value = min..=max;
    let step = 1..=max;
    let ordered = move |first: i16, last: i16| {
        if choice.everything || first <= last {
            (first, last)
        } else {
            (last, first)
        }
    };
    let plain = prop_oneof![
        value.clone().prop_map(Part::One),
        (value.clone(), value.clone()).prop_map(move |(first, last)| {
            let (first, last) = ordered(first, last);
            Part::Range(first, last)
        }),
    ];
    let stepped = prop_oneof![
        step.clone().prop_map(Part::AnyStep),
        (value.clone(), step.clone()).prop_map(|(first, step)| Part::From(first, step)),
        (value.clone(), value, step).prop_map(move |(first, last, step)| {
            let (first, last) = ordered(first, last);
            Part::RangeStep(first, last, step)
        }),
    ];
    let part = if names.is_empty() {
        prop_oneof![plain, stepped].boxed()
    } else {
        plain.boxed()
    };
    let parts = prop_oneof![
        2 => Just(vec![Part::Any]),
        3 => part.clone().prop_map(|part| vec![part]),
        1 => proptest::collection::vec(part, 2..4),
    ];
    parts.prop_map(move |parts| List { parts, min, max, names })
}

/// All forms of the day fields that are not lists.
pub(crate) fn all_special_days() -> impl Iterator<Item = Days> {
    let nth = (1..=7).flat_map(|weekday| (1..=5).map(move |nth| Days::Nth(weekday, nth)));
    let from_last = (0..=30).flat_map(|before| [Days::Last(before), Days::LastNearest(before)]);
    nth.chain(from_last)
        .chain((1..=31).map(Days::Nearest))
        .chain((1..=7).map(Days::LastOfWeek))
        .chain([Days::Saturday])
}

/// An index into a list that is known later.
pub(crate) fn index() -> impl Strategy<Value = Index> {
    any::<Index>()
}
