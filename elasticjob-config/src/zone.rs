//! Time zones by name: every IANA zone, and the fixed offsets that Java members understand.
//!
//! ElasticJob for Java accepts only names that begin with `GMT`, and reads any other name as GMT without a message. Here such a
//! name is refused.
//!
//! ```
//! # mod elasticjob { pub mod configuration { pub use elasticjob_config::*; } }
//! use elasticjob::configuration::zone::Zone;
//!
//! let zone = Zone::parse("Asia/Shanghai")?;
//! assert_eq!(zone.java_name(), None);
//! assert_eq!(Zone::parse("GMT+8")?.java_name(), Some("GMT+8"));
//! assert!(Zone::parse("UTC+8").unwrap_err().to_string().contains("write `GMT+8`"));
//! # Ok::<(), elasticjob_config::zone::Error>(())
//! ```

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

/// A time zone with its name. Cheap to clone.
///
/// An IANA zone has rules: its offset may change over the year, and with the version of the time zone database. A `GMT`
/// offset is always the same.
///
/// Two are equal when their names are: `GMT+8` and `GMT+08:00` are not, although they mean the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    name: Arc<str>,
    time_zone: TimeZone,
}

impl Zone {
    /// Finds a zone by its IANA name, in upper or lower case, or reads `GMT+8`, `GMT-3:30` and the like.
    ///
    /// # Errors
    /// When there is no such zone, with the name that was probably meant.
    pub fn parse(name: &str) -> Result<Self, Error> {
        if let Some(rest) = name.strip_prefix("GMT") {
            return match java_offset(rest) {
                Some(offset) => Ok(Self {
                    name: name.into(),
                    time_zone: TimeZone::fixed(offset),
                }),
                None => Err(Error::new(name)),
            };
        }
        match TimeZone::get(name) {
            Ok(time_zone) if !time_zone.is_unknown() => {
                let name = time_zone.iana_name().unwrap_or(name).into();
                Ok(Self { name, time_zone })
            }
            _ => Err(Error::new(name)),
        }
    }

    /// The zone of this machine. Its name is `system` if it has no other.
    ///
    /// Another machine may be in another one: a job whose zone is not written fires on each machine by that machine's.
    #[must_use]
    pub fn system() -> Self {
        let time_zone = TimeZone::system();
        Self {
            name: time_zone.iana_name().unwrap_or("system").into(),
            time_zone,
        }
    }

    /// The rules of the zone.
    #[must_use]
    pub fn time_zone(&self) -> &TimeZone {
        &self.time_zone
    }

    /// The name: an IANA name as the time zone database writes it, or the offset as it was given.
    ///
    /// What was given in lower case has the case of the database.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name that ElasticJob for Java reads as this very zone, if there is one: the `GMT` form.
    #[must_use]
    pub fn java_name(&self) -> Option<&str> {
        self.name.strip_prefix("GMT").and_then(java_offset).map(|_| self.name())
    }
}

/// Returns the zone that Java takes the variable `TZ` for, if that is another one than this process is in.
///
/// POSIX counts the offset of `TZ=GMT+8` to the west, Java to the east; what Java does not know is GMT to it.
///
/// ```
/// # mod elasticjob { pub mod configuration { pub use elasticjob_config::*; } }
/// use elasticjob::configuration::zone::read_by_java_otherwise;
///
/// assert_eq!(read_by_java_otherwise("GMT+8").as_deref(), Some("GMT+8"));
/// assert_eq!(read_by_java_otherwise("CST-8").as_deref(), Some("GMT"));
/// assert_eq!(read_by_java_otherwise("Asia/Shanghai"), None);
/// ```
#[must_use]
pub fn read_by_java_otherwise(tz: &str) -> Option<String> {
    let tz = tz.strip_prefix(':').unwrap_or(tz);
    if TimeZone::get(tz).is_ok() {
        return None;
    }
    let ours = TimeZone::posix(tz).ok()?;
    let of_java = tz.strip_prefix("GMT").and_then(java_offset);
    let java = of_java.unwrap_or(Offset::UTC);
    // Half a year apart, so that summer time shows.
    let [winter, summer] = [0, 180 * 86_400].map(|second| Timestamp::from_second(second).unwrap_or_default());
    if [winter, summer].iter().all(|moment| ours.to_offset(*moment) == java) {
        return None;
    }
    Some(of_java.map_or("GMT", |_| tz).to_owned())
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl std::str::FromStr for Zone {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::parse(name)
    }
}

/// There is no time zone of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    name: String,
    suggestion: Option<String>,
}

impl Error {
    fn new(name: &str) -> Self {
        let suggestion = as_gmt(name)
            .or_else(|| zone_of_city(name))
            .or_else(|| nearest_name(name));
        Self {
            name: name.to_owned(),
            suggestion,
        }
    }

    /// The wrong part, as bytes of the name: all of it.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        0..self.name.len()
    }

    /// The name that was probably meant.
    ///
    /// It is looked for in this order: an offset in another notation, a zone whose city has this name, and the zone
    /// whose name differs least.
    #[must_use]
    pub fn suggestion(&self) -> Option<&str> {
        self.suggestion.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown time zone `{}`: ", self.name.escape_debug())?;
        match &self.suggestion {
            Some(name) => write!(f, "write `{name}`"),
            None => f.write_str(
                "expected an IANA name such as `Asia/Shanghai`, or an offset from `GMT-23:59` to `GMT+23:59`",
            ),
        }
    }
}

impl std::error::Error for Error {}

/// What follows `GMT`: nothing, `0`, or a sign with `h`, `hh`, `hmm`, `hhmm`, `h:mm` or `hh:mm`.
fn java_offset(rest: &str) -> Option<Offset> {
    if rest.is_empty() || rest == "0" {
        return Some(Offset::UTC);
    }
    let (sign, digits) = match rest.as_bytes() {
        [b'+', ..] => (1, &rest[1..]),
        [b'-', ..] => (-1, &rest[1..]),
        _ => return None,
    };
    let (hours, minutes) = match (digits.split_once(':'), digits.len()) {
        (Some((hours, minutes)), _) if minutes.len() == 2 => (hours, minutes),
        (None, 1 | 2) => (digits, "00"),
        (None, 3 | 4) if digits.is_ascii() => digits.split_at(digits.len() - 2),
        _ => return None,
    };
    let number = |text: &str, limit: i32| {
        let plain = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i32>().ok().filter(|&number| plain && number < limit)
    };
    let seconds = number(hours, 24)? * 3600 + number(minutes, 60)? * 60;
    Offset::from_seconds(sign * seconds).ok()
}

/// `UTC+8`, `gmt+8`, `+08:00` and `GMT8` as `GMT+8` and so on.
fn as_gmt(name: &str) -> Option<String> {
    let compact: String = name.chars().filter(|c| !c.is_whitespace()).collect();
    let rest = match compact.get(..3) {
        Some(head) if head.eq_ignore_ascii_case("GMT") || head.eq_ignore_ascii_case("UTC") => &compact[3..],
        _ if compact.starts_with(['+', '-']) => &compact,
        _ => return None,
    };
    let signed = if rest.starts_with(|c: char| c.is_ascii_digit()) {
        format!("+{rest}")
    } else {
        rest.to_owned()
    };
    java_offset(&signed).map(|_| format!("GMT{signed}"))
}

/// `Shanghai` as `Asia/Shanghai`, and `new york` as `America/New_York`.
fn zone_of_city(name: &str) -> Option<String> {
    let city = name.replace(' ', "_");
    let names = jiff::tz::db().available().map(|found| found.as_str().to_owned());
    let ends = |found: &String| {
        found
            .rsplit_once('/')
            .is_some_and(|(_, last)| last.eq_ignore_ascii_case(&city))
    };
    names.filter(ends).min()
}

/// The zone of the database that takes the fewest changes to write, if it takes but few.
fn nearest_name(name: &str) -> Option<String> {
    const MAX_LENGTH: usize = 64;
    let wanted: Vec<char> = name
        .chars()
        .take(MAX_LENGTH + 1)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    if wanted.len() > MAX_LENGTH || name.starts_with("GMT") {
        return None;
    }
    let allowed = wanted.len() / 5 + 1;
    let names = jiff::tz::db().available().map(|found| found.as_str().to_owned());
    let distances = names.map(|found| {
        let candidate: Vec<char> = found.chars().map(|c| c.to_ascii_lowercase()).collect();
        (distance(&wanted, &candidate), found)
    });
    // Short words are near to everything.
    let near = distances.filter(|(distance, found)| *distance <= allowed && *distance * 3 < found.len());
    near.min().map(|(_, found)| found)
}

/// How many letters must be added, dropped, changed or swapped with their neighbour.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before_last = vec![0; to.len() + 1];
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, &a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &b) in to.iter().enumerate() {
            let mut best = (last[j] + usize::from(a != b)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a == to[j - 1] && from[i - 1] == b {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_offset(name: &str, hours: i32, minutes: i32) {
        let zone = Zone::parse(name).unwrap_or_else(|error| panic!("{error}"));
        let offset = zone.time_zone().to_fixed_offset().expect("fixed").seconds();
        assert_eq!(offset, hours * 3600 + minutes * 60, "{name}");
        assert_eq!(zone.java_name(), Some(name));
    }

    #[track_caller]
    fn check_suggestion(name: &str, expected: Option<&str>) {
        assert_eq!(Zone::parse(name).expect_err(name).suggestion(), expected);
    }

    #[test]
    fn offsets_that_java_understands_should_be_read_alike() {
        for name in ["GMT", "GMT0", "GMT+0", "GMT-00:00"] {
            check_offset(name, 0, 0);
        }
        for name in ["GMT+8", "GMT+08", "GMT+8:00", "GMT+08:00", "GMT+0800", "GMT+800"] {
            check_offset(name, 8, 0);
        }
        check_offset("GMT-3:30", -3, -30);
        check_offset("GMT-330", -3, -30);
        check_offset("GMT+14", 14, 0);
        check_offset("GMT+23:59", 23, 59);
    }

    #[test]
    fn offsets_that_java_takes_for_gmt_are_refused() {
        for name in [
            "GMT+24:00",
            "GMT+8:60",
            "GMT+5:5",
            "GMT+",
            "GMTX",
            "GMT+8:00:00",
            "GMT+:30",
            "GMT+12345",
            "GMT+é",
        ] {
            check_suggestion(name, None);
        }
    }

    #[test]
    fn the_name_that_was_meant_should_be_suggested() {
        check_suggestion("GMT8", Some("GMT+8"));
        check_suggestion("GMT 8", Some("GMT+8"));
        check_suggestion("UTC+8", Some("GMT+8"));
        check_suggestion("gmt-3:30", Some("GMT-3:30"));
        check_suggestion("+08:00", Some("GMT+08:00"));
        check_suggestion("Asia/Shanghia", Some("Asia/Shanghai"));
        check_suggestion("America/NewYork", Some("America/New_York"));
        check_suggestion("shanghai", Some("Asia/Shanghai"));
        check_suggestion("New York", Some("America/New_York"));
        check_suggestion("", None);
        check_suggestion("nowhere at all", None);
    }

    #[test]
    fn variables_that_java_reads_otherwise_are_found() {
        for (tz, expected) in [
            ("GMT+8", Some("GMT+8")),
            ("GMT-3:30", Some("GMT-3:30")),
            ("UTC+8", Some("GMT")),
            ("<+08>-8", Some("GMT")),
            ("GMT0", None),
            ("GMT", None),
            ("UTC0", None),
            ("GMT0BST,M3.5.0/1,M10.5.0", Some("GMT")),
            ("Asia/Shanghai", None),
            (":Asia/Shanghai", None),
            ("Etc/GMT-8", None),
            ("", None),
            ("no zone", None),
        ] {
            assert_eq!(read_by_java_otherwise(tz).as_deref(), expected, "{tz}");
        }
    }

    #[test]
    fn iana_names_take_the_case_of_the_database() {
        let zone = Zone::parse("asia/shanghai").expect("a zone");
        assert_eq!(zone.name(), "Asia/Shanghai");
        assert_eq!(zone.java_name(), None);
        assert_eq!(zone, Zone::parse("Asia/Shanghai").expect("a zone"));
        assert_eq!(Zone::parse("UTC").expect("a zone").java_name(), None);
        assert_eq!(Zone::parse("Etc/GMT-8").expect("a zone").java_name(), None);
    }

    #[test]
    fn every_zone_is_found_by_its_name() {
        for name in jiff::tz::db()
            .available()
            .filter(|name| !name.as_str().starts_with("GMT"))
        {
            let zone = Zone::parse(name.as_str()).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(zone.name(), name.as_str());
        }
    }

    #[test]
    fn an_error_names_the_zone() {
        let message = Zone::parse("CST").expect_err("ambiguous").to_string();
        assert_eq!(
            message,
            "unknown time zone `CST`: expected an IANA name such as `Asia/Shanghai`, or an offset from `GMT-23:59` to `GMT+23:59`"
        );
        assert!(!Zone::system().name().is_empty());
    }
}
