//! The search on wall-clock time: what a calendar on the wall says, without any zone.
//!
//! The search goes from the coarse to the fine. If the day matches and a time of it is still to come, that is the
//! answer. Else it looks for the next day that matches, year by year and month by month, and takes the first time of
//! that day; since no set of times is empty, there always is one. Searching backwards is the same with "last" for
//! "first".
//!
//! Counting uses that the times of day are the same on each day that matches: the days are counted, multiplied by the
//! times of a day, and the two partial days at the ends are put right.

use jiff::civil::{Date, DateTime, Time};

use super::days::Days;
use super::set::Set;
use super::years::Years;

/// All wall-clock seconds that an expression means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    pub(super) times: Times,
    pub(super) days: Days,
    pub(super) months: Set,
    pub(super) years: Years,
}

/// All times of day that an expression means. No set is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) seconds: Set,
    pub(super) minutes: Set,
    pub(super) hours: Set,
}

impl Schedule {
    /// The first match at or after `from` (whole seconds) in a year up to `last_year`.
    pub(super) fn first_from(&self, from: DateTime, last_year: i16) -> Option<DateTime> {
        if self.includes_day(from.date())
            && let Some(time) = self.times.first_from(from.time())
        {
            return Some(from.date().to_datetime(time));
        }
        let date = self.first_day_after(from.date(), last_year)?;
        Some(date.to_datetime(self.times.first()))
    }

    /// The last match at or before `until` in a year from `first_year` on.
    pub(super) fn last_until(&self, until: DateTime, first_year: i16) -> Option<DateTime> {
        if self.includes_day(until.date())
            && let Some(time) = self.times.last_until(until.time())
        {
            return Some(until.date().to_datetime(time));
        }
        let date = self.last_day_before(until.date(), first_year)?;
        Some(date.to_datetime(self.times.last()))
    }

    /// How many matches there are from `from` up to, but not including, `until`.
    pub(super) fn count(&self, from: DateTime, until: DateTime) -> u64 {
        if from >= until {
            return 0;
        }
        let whole_days = self.count_days(from.date(), until.date()) * self.times.len();
        // The days before `until`'s are counted whole, those of `from`'s day that were too early are taken off again.
        whole_days + self.count_in_day_before(until) - self.count_in_day_before(from)
    }

    /// Returns whether a day matches.
    fn includes_day(&self, date: Date) -> bool {
        self.years.contains(date.year())
            && self.months.contains(date.month() as u8)
            && self.days.in_month(date.first_of_month()).contains(date.day() as u8)
    }

    /// Returns the first day that matches and comes after this one.
    fn first_day_after(&self, date: Date, last_year: i16) -> Option<Date> {
        let mut year = self.years.first_from(date.year())?;
        let (mut month, mut day) = if year == date.year() {
            (date.month() as u8, date.day() as u8 + 1)
        } else {
            (1, 1)
        };
        while year <= last_year {
            let Some(found) = self.months.first_from(month) else {
                (year, month, day) = (self.years.first_from(year + 1)?, 1, 1);
                continue;
            };
            if found != month {
                (month, day) = (found, 1);
            }
            let first = first_of(year, month);
            if let Some(day) = self.days.in_month(first).first_from(day) {
                return Some(on_day(first, day));
            }
            (month, day) = (month + 1, 1);
        }
        None
    }

    /// Returns the last day that matches and comes before this one.
    fn last_day_before(&self, date: Date, first_year: i16) -> Option<Date> {
        let mut year = self.years.last_until(date.year())?;
        let (mut month, mut day) = if year == date.year() {
            (date.month() as u8, date.day() as u8 - 1)
        } else {
            (12, 31)
        };
        while year >= first_year {
            let Some(found) = self.months.last_until(month) else {
                (year, month, day) = (self.years.last_until(year - 1)?, 12, 31);
                continue;
            };
            if found != month {
                (month, day) = (found, 31);
            }
            let first = first_of(year, month);
            if let Some(day) = self.days.in_month(first).last_until(day) {
                return Some(on_day(first, day));
            }
            (month, day) = (month - 1, 31);
        }
        None
    }

    /// Returns how many matches the day has before this time of it.
    fn count_in_day_before(&self, end: DateTime) -> u64 {
        if self.includes_day(end.date()) {
            self.times.count_before(end.time())
        } else {
            0
        }
    }

    /// How many days match from `from` up to, but not including, `until`.
    fn count_days(&self, from: Date, until: Date) -> u64 {
        let mut count = 0;
        let mut year = from.year();
        while let Some(found) = self.years.first_from(year).filter(|&found| found <= until.year()) {
            year = found;
            for month in self.months.iter() {
                let first = first_of(year, month);
                let days = self.days.in_month(first);
                let first_day = if first < from { days_into(first, from) } else { 0 };
                let end_day = days_into(first, until);
                count += u64::from(days.count_below(end_day).saturating_sub(days.count_below(first_day)));
            }
            year += 1;
        }
        count
    }
}

impl Times {
    /// Returns how many times there are in a day.
    pub(super) fn len(&self) -> u64 {
        u64::from(self.seconds.len()) * u64::from(self.minutes.len()) * u64::from(self.hours.len())
    }

    /// Returns the first time of a day.
    fn first(&self) -> Time {
        time(first(self.hours), first(self.minutes), first(self.seconds))
    }

    /// Returns the last time of a day.
    fn last(&self) -> Time {
        time(last(self.hours), last(self.minutes), last(self.seconds))
    }

    /// Returns the first time that is not before this one, if there is one on the same day.
    fn first_from(&self, from: Time) -> Option<Time> {
        let (hour, minute, second) = parts(from);
        if self.hours.contains(hour) {
            if self.minutes.contains(minute)
                && let Some(second) = self.seconds.first_from(second)
            {
                return Some(time(hour, minute, second));
            }
            if let Some(minute) = self.minutes.first_from(minute + 1) {
                return Some(time(hour, minute, first(self.seconds)));
            }
        }
        let hour = self.hours.first_from(hour + 1)?;
        Some(time(hour, first(self.minutes), first(self.seconds)))
    }

    /// Returns the last time that is not after this one, if there is one on the same day.
    fn last_until(&self, until: Time) -> Option<Time> {
        let (hour, minute, second) = parts(until);
        if self.hours.contains(hour) {
            if self.minutes.contains(minute)
                && let Some(second) = self.seconds.last_until(second)
            {
                return Some(time(hour, minute, second));
            }
            if let Some(minute) = minute.checked_sub(1).and_then(|minute| self.minutes.last_until(minute)) {
                return Some(time(hour, minute, last(self.seconds)));
            }
        }
        let hour = hour.checked_sub(1).and_then(|hour| self.hours.last_until(hour))?;
        Some(time(hour, last(self.minutes), last(self.seconds)))
    }

    /// Returns how many times of a day come before this one.
    fn count_before(&self, end: Time) -> u64 {
        let (hour, minute, second) = parts(end);
        let (hours, minutes) = (
            u64::from(self.hours.count_below(hour)),
            u64::from(self.minutes.count_below(minute)),
        );
        let (per_minute, per_hour) = (u64::from(self.seconds.len()), u64::from(self.minutes.len()));
        let mut count = hours * per_hour * per_minute;
        if self.hours.contains(hour) {
            count += minutes * per_minute;
            if self.minutes.contains(minute) {
                count += u64::from(self.seconds.count_below(second));
            }
        }
        count
    }
}

fn parts(time: Time) -> (u8, u8, u8) {
    (time.hour() as u8, time.minute() as u8, time.second() as u8)
}

fn time(hour: u8, minute: u8, second: u8) -> Time {
    Time::constant(hour as i8, minute as i8, second as i8, 0)
}

fn first(set: Set) -> u8 {
    set.first().expect("the parser makes no empty set")
}

fn last(set: Set) -> u8 {
    set.last().expect("the parser makes no empty set")
}

fn first_of(year: i16, month: u8) -> Date {
    Date::constant(year, month as i8, 1)
}

fn on_day(first: Date, day: u8) -> Date {
    Date::constant(first.year(), first.month(), day as i8)
}

/// The day of `date` within the month that starts with `first`: 0 before it, 32 after it.
fn days_into(first: Date, date: Date) -> u8 {
    if date < first {
        0
    } else if date.first_of_month() == first {
        date.day() as u8
    } else {
        32
    }
}
