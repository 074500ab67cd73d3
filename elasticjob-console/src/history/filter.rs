//! What a visitor asks for, as text: `job:sync is:failed on:10.0.0.2 since:2h`.

use elasticjob::run::Source;
use elasticjob::trace::history::RunOutcome;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

/// Most characters and terms of a filter.
const LONGEST: usize = 256;
const TERMS: usize = 16;

/// A filter of runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// As the visitor wrote it.
    pub(crate) text: String,
    job: Option<String>,
    pub(super) item: Option<u32>,
    pub(super) outcome: Option<RunOutcome>,
    pub(super) source: Option<Source>,
    pub(super) server: Option<String>,
    pub(super) since: Option<Moment>,
    pub(super) until: Option<Moment>,
}

/// A time, or how long ago it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    At(Timestamp),
    Ago(SignedDuration),
}

/// What is wrong with a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// It has too many characters or terms.
    TooLong,
    /// There is no such term.
    Unknown(String),
    /// The value of a term is not one of those that it takes.
    Value {
        term: &'static str,
        value: String,
        expected: &'static str,
    },
}

impl Moment {
    pub(crate) fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Ago(ago) => now.checked_sub(ago).unwrap_or(Timestamp::MIN),
        }
    }

    /// Reads `2h`, `7d`, `2026-11-21`, `2026-11-21T08:00` in the zone of the machine, or a time with its offset.
    fn parse(text: &str) -> Option<Self> {
        if let Ok(time) = text.parse() {
            return Some(Self::At(time));
        }
        let local = text
            .parse::<DateTime>()
            .or_else(|_| text.parse::<Date>().map(|date| date.at(0, 0, 0, 0)));
        if let Ok(local) = local {
            return local
                .to_zoned(TimeZone::system())
                .ok()
                .map(|time| Self::At(time.timestamp()));
        }
        let ago = text
            .parse::<Span>()
            .ok()?
            .to_duration(SpanRelativeTo::days_are_24_hours())
            .ok()?;
        (!ago.is_negative()).then_some(Self::Ago(ago))
    }
}

impl Filter {
    /// Reads a filter. Terms that are wrong are left out, and all that is wrong is returned.
    pub(crate) fn parse(text: &str) -> (Self, Vec<Problem>) {
        let mut filter = Self {
            text: text.to_owned(),
            ..Self::default()
        };
        let terms = terms(text);
        if text.chars().count() > LONGEST || terms.len() > TERMS {
            filter.text = text.chars().take(LONGEST).collect();
            return (filter, vec![Problem::TooLong]);
        }
        let problems = terms.iter().filter_map(|term| filter.take(term).err()).collect();
        (filter, problems)
    }

    pub(crate) fn job(&self) -> Option<&str> {
        self.job.as_deref()
    }

    pub(crate) fn outcome(&self) -> Option<RunOutcome> {
        self.outcome
    }

    fn take(&mut self, (term, value): &(String, String)) -> Result<(), Problem> {
        let wrong = |term: &'static str, expected: &'static str| Problem::Value {
            term,
            value: value.clone(),
            expected,
        };
        match term.as_str() {
            "" | "job" => self.job = Some(value.clone()),
            "item" => self.item = Some(value.parse().map_err(|_| wrong("item", "0, 1, 2 .."))?),
            "is" => {
                let expected = "running, succeeded, failed, cancelled, lost";
                self.outcome = Some(value.parse().map_err(|_| wrong("is", expected))?);
            }
            "why" => {
                self.source = Some(match value.as_str() {
                    "schedule" => Source::Schedule,
                    "misfire" => Source::Misfire,
                    "trigger" => Source::Trigger,
                    "failover" => Source::Failover,
                    _ => return Err(wrong("why", "schedule, misfire, trigger, failover")),
                });
            }
            "on" => self.server = Some(value.clone()),
            "since" | "until" => {
                let (term, to) = match term.as_str() {
                    "since" => ("since", &mut self.since),
                    _ => ("until", &mut self.until),
                };
                let expected = "2h, 7d, 2026-11-21, 2026-11-21T08:00";
                *to = Some(Moment::parse(value).ok_or_else(|| wrong(term, expected))?);
            }
            unknown => return Err(Problem::Unknown(unknown.to_owned())),
        }
        Ok(())
    }

    /// Returns the text with one term replaced, added, or, without a value, left out.
    pub(crate) fn with(&self, term: &str, value: Option<&str>) -> String {
        let rest = terms(&self.text).into_iter().filter(|(name, _)| {
            let name = if name.is_empty() { "job" } else { name };
            name != term
        });
        let mut all: Vec<(String, String)> = rest.collect();
        all.extend(value.map(|value| (term.to_owned(), value.to_owned())));
        let written = all.iter().map(|(name, value)| match name.as_str() {
            "" => quoted(value),
            name => format!("{name}:{}", quoted(value)),
        });
        written.collect::<Vec<_>>().join(" ")
    }
}

/// Writes a value so that [`terms`] reads it.
fn quoted(value: &str) -> String {
    if value.contains([' ', ':', '"']) || value.is_empty() {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value.to_owned()
    }
}

/// Takes a text apart: terms with their values, or values alone. A value in quotes may have blanks, and a quote twice.
fn terms(text: &str) -> Vec<(String, String)> {
    let mut terms = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(&first) = rest.peek() {
        if first.is_whitespace() {
            rest.next();
            continue;
        }
        let (mut name, mut value, mut is_named, mut is_quoted) = (String::new(), String::new(), false, false);
        while let Some(c) = rest.next() {
            match c {
                '"' if is_quoted && rest.peek() == Some(&'"') => {
                    rest.next();
                    value.push('"');
                }
                '"' => is_quoted = !is_quoted,
                c if c.is_whitespace() && !is_quoted => break,
                ':' if !is_named && !is_quoted => {
                    is_named = true;
                    name = std::mem::take(&mut value).to_lowercase();
                }
                c => value.push(c),
            }
        }
        terms.push((name, value));
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Filter {
        let (filter, problems) = Filter::parse(text);
        assert_eq!(problems, [], "{text}");
        filter
    }

    #[test]
    fn reads_what_a_visitor_writes() {
        let filter = parsed("job:订单 item:3 is:failed why:trigger on:10.0.0.2 since:2h until:2026-11-21T08:00:00Z");
        assert_eq!(filter.job(), Some("订单"));
        assert_eq!((filter.item, filter.outcome), (Some(3), Some(RunOutcome::Failed)));
        assert_eq!(
            (filter.source, filter.server.as_deref()),
            (Some(Source::Trigger), Some("10.0.0.2"))
        );
        assert_eq!(filter.since, Some(Moment::Ago(SignedDuration::from_hours(2))));
        assert_eq!(parsed("sync_orders").job(), Some("sync_orders"));
        assert_eq!(parsed("\"a \"\"b\"\": c\"").job(), Some("a \"b\": c"));
        assert_eq!(parsed("on:10.0.0.2@-@7").server.as_deref(), Some("10.0.0.2@-@7"));
        assert_eq!(parsed("").job(), None);
    }

    #[test]
    fn names_all_that_is_wrong() {
        let (filter, problems) = Filter::parse("item:x is:green colour:red since:soon on:h");
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert!(problems.contains(&Problem::Unknown("colour".to_owned())));
        assert_eq!(filter.server.as_deref(), Some("h"));
        assert_eq!(Filter::parse(&"a ".repeat(17)).1, [Problem::TooLong]);
        assert_eq!(Filter::parse(&"a".repeat(257)).1, [Problem::TooLong]);
    }

    #[test]
    fn can_be_narrowed_and_widened() {
        let filter = parsed("\"my job\" is:failed");
        assert_eq!(filter.with("is", None), "\"my job\"");
        assert_eq!(filter.with("is", Some("lost")), "\"my job\" is:lost");
        assert_eq!(filter.with("job", Some("a:b")), "is:failed job:\"a:b\"");
        assert_eq!(parsed(&filter.with("job", Some("a \"b\":c"))).job(), Some("a \"b\":c"));
    }
}
