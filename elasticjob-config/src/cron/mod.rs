//! Cron expressions as Quartz reads them, since the Java members of a job fire by Quartz.
//!
//! An [`Expression`] has six or seven fields: second, minute, hour, day of the month, month, day of the
//! week and, if wanted, year. It gives the same fire times as Quartz 2.3.2 and 2.4.0, through all changes
//! of daylight saving time: a time that the clock skips does not fire, one that the clock shows twice
//! fires the second time. Asked at present, that is; where Quartz ends a hundred years from today, a search
//! here ends a hundred years after the time that it starts from, so that no result depends on the day of the asking.
//!
//! What Quartz accepts by accident is refused here (`5X`, `*/0`, `MON/2`), and never read in another way.
//! All faults of an expression are reported at once, each with its place in the text.
//!
//! Nothing here reads a clock. Start with [`Expression::parse`].
//!
//! ```
//! # mod elasticjob { pub mod configuration { pub use elasticjob_config::*; } }
//! use elasticjob::configuration::cron::Expression;
//! use jiff::{Timestamp, tz::TimeZone};
//!
//! let expression = Expression::parse("0 0 2 ? * MON-FRI")?;
//! let friday: Timestamp = "2024-03-01T02:00:00Z".parse()?;
//! assert_eq!(expression.next_after(friday, &TimeZone::UTC), Some("2024-03-04T02:00:00Z".parse()?));
//! assert_eq!(expression.describe(), "at 02:00 from Monday to Friday");
//!
//! let errors = Expression::parse("0 70 2 * * *").unwrap_err();
//! assert_eq!(errors.iter().next().unwrap().message(), "minutes are 0 to 59, not 70");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod days;
mod describe;
mod error;
mod field;
mod parse;
mod schedule;
mod set;
mod years;
mod zoned;

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

pub use error::{Error, Errors};
pub use field::Field;

use schedule::Schedule;

/// A cron expression that was checked. Cheap to clone.
///
/// It knows no zone: the same expression may be asked in several, and gives the wall-clock times of each. All its fire
/// times are full seconds.
///
/// Two are equal when their texts are.
#[derive(Clone)]
pub struct Expression {
    source: Arc<str>,
    schedule: Arc<Schedule>,
}

impl Expression {
    /// Reads an expression.
    ///
    /// Blanks and tabs separate the fields, any number of them, also in front and behind. Words are read in upper and
    /// lower case. Exactly one of the two day fields has to be `?`. What follows the seventh field is left out, as
    /// Quartz does.
    ///
    /// # Errors
    /// Everything that is wrong with it, with places.
    pub fn parse(source: &str) -> Result<Self, Errors> {
        match parse::schedule(source) {
            Ok(schedule) => Ok(Self {
                source: source.into(),
                schedule: Arc::new(schedule),
            }),
            Err(errors) => Err(Errors::new(source, errors)),
        }
    }

    /// The expression as it was written.
    ///
    /// It is the text that other members and operators see, and not a rewritten form of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// The first fire time after `after`, whose fraction of a second does not count: from
    /// 10:00:00.9 the next second is 10:00:01.
    ///
    /// `None` when none comes within a hundred years.
    ///
    /// The time that is given never counts itself, so that asking again with the answer goes from one fire time to the
    /// next. A time that is years away is found without going through the days before it.
    #[must_use]
    pub fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        self.schedule.next_after(after, zone)
    }

    /// The last fire time that is neither after `at` nor before `not_before`.
    ///
    /// For misfires: when `not_before` is a fire time that was planned and has passed, this is the
    /// newest that was missed.
    ///
    /// `None` if there is none in between, also if `at` is before `not_before`. Unlike [`next_after`](Self::next_after)
    /// it counts the time that is given.
    ///
    /// ```
    /// # use {elasticjob_config::cron::Expression, jiff::{Timestamp, tz::TimeZone}};
    /// let expression = Expression::parse("0 0/10 * * * ?")?;
    /// let planned: Timestamp = "2024-03-01T02:00:00Z".parse()?;
    /// let now: Timestamp = "2024-03-01T09:25:13Z".parse()?;
    /// assert_eq!(expression.latest_at_or_before(now, planned, &TimeZone::UTC), Some("2024-03-01T09:20:00Z".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn latest_at_or_before(&self, at: Timestamp, not_before: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        self.schedule.latest_at_or_before(at, not_before, zone)
    }

    /// How many fire times there are after `after`, up to and including `until`. Computed without going
    /// through them one by one.
    ///
    /// 0 if `until` is not after `after`. It takes time for each month in between, and not for each fire time: a
    /// second-by-second expression over ten years is as fast as a daily one.
    ///
    /// ```
    /// # use {elasticjob_config::cron::Expression, jiff::tz::TimeZone};
    /// let expression = Expression::parse("* * * * * ?")?;
    /// let year = expression.count_between("2024-01-01T00:00Z".parse()?, "2025-01-01T00:00Z".parse()?, &TimeZone::UTC);
    /// assert_eq!(year, 366 * 24 * 60 * 60);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn count_between(&self, after: Timestamp, until: Timestamp, zone: &TimeZone) -> u64 {
        self.schedule.count_between(after, until, zone)
    }

    /// Returns whether there is any fire time after `after`. Quartz refuses to schedule an expression without
    /// one, such as 30 February, and callers that start a job should refuse it too.
    #[must_use]
    pub fn fires_after(&self, after: Timestamp, zone: &TimeZone) -> bool {
        self.next_after(after, zone).is_some()
    }

    /// The expression in words, such as "at 10:15 on the last Friday of the month, 2024 to 2026".
    #[must_use]
    pub fn describe(&self) -> String {
        describe::describe(&self.schedule)
    }

    /// As [`describe`](Self::describe), in Chinese.
    ///
    /// ```
    /// # mod elasticjob { pub mod configuration { pub use elasticjob_config::*; } }
    /// use elasticjob::configuration::cron::Expression;
    ///
    /// assert_eq!(Expression::parse("0 0 2 ? * MON-FRI")?.describe_in_chinese(), "每周一至周五 02:00");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn describe_in_chinese(&self) -> String {
        describe::describe_in_chinese(&self.schedule)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Expression {}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source).finish()
    }
}

impl std::str::FromStr for Expression {
    type Err = Errors;

    fn from_str(source: &str) -> Result<Self, Errors> {
        Self::parse(source)
    }
}
