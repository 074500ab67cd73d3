//! The newest outcomes of an item, short: what a console draws of the time before it was opened.
//!
//! A ledger has the newest run and the newest gap whole. What replaces one of them leaves its outcome here, in the transaction that is
//! written anyway. An outcome takes about eight bytes: the ledger travels with every claim of the item.
//!
//! The stored form is one text. Outcomes are separated by spaces, the oldest first: `1767225600000s12 5000f3x2o 5000s11`.
//!
//! | part | |
//! |---|---|
//! | number | the time, in milliseconds after the one before; that of the first since 1970 |
//! | letter | `s` succeeded, `f` failed, `c` cancelled, `l` lost, `k` skipped, `u` unknown; `g` the times passed without a run |
//! | number, if known | how long the work took, in milliseconds; of a gap how long it is |
//! | `x` and a number | the attempt, if it was not the first |
//! | `m`, `o`, `n` | made up, taken over, by a source that a newer version has; without them a scheduled time |
//! | `t` and a name | triggered, by this request |
//! | `:` and a code | why the times passed |
//!
//! What follows the parts that a reader knows is left out by it.

use std::fmt::Write;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::run::{Source, Verdict};

use super::ledger::{End, Gap, Reason, Run};
use super::mutation::Mutation;

/// The most outcomes that are kept of an item.
const MOST: u32 = 16;

/// The most outcomes that are kept of a job: one of many items keeps fewer of each, or none, so that no claim is larger for them.
const MOST_OF_JOB: u32 = 4096;

/// The newest outcomes of an item, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recent(Vec<Past>);

/// What became of an item at one time, or at several that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Past {
    /// The time that the run was due at, or before which the last of the times passed, in milliseconds since 1970.
    pub(crate) time: i64,
    pub(crate) outcome: PastOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PastOutcome {
    Ran {
        verdict: Verdict,
        /// In milliseconds.
        took: Option<u64>,
        attempt: u32,
        source: Source,
        /// The first request that it served.
        request: Option<String>,
    },
    /// All times after this one, in milliseconds since 1970, passed without a run.
    Passed { after: i64, reason: Reason },
}

/// How many outcomes are kept of each item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept(u32);

impl Kept {
    /// Returns whether none are kept.
    #[cfg_attr(
        not(any(test, feature = "testing")),
        expect(dead_code, reason = "for the laws of the simulator")
    )]
    pub(crate) const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Returns how many are kept if the job has so many items.
    pub(crate) const fn of(total: u32) -> Self {
        let share = match total {
            0 => MOST,
            _ => MOST_OF_JOB / total,
        };
        Self(if share < MOST { share } else { MOST })
    }
}

impl Recent {
    /// Returns whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns them, the oldest first.
    pub(crate) fn all(&self) -> &[Past] {
        &self.0
    }

    /// Adds what becomes of a run that another one replaces.
    pub(super) fn add_run(&mut self, run: &Run, end: &End, kept: Kept) {
        let outcome = PastOutcome::Ran {
            verdict: end.verdict,
            took: end.took.and_then(|took| u64::try_from(took).ok()),
            attempt: run.attempt,
            source: run.source,
            request: run.requests.first().filter(|request| is_name(request)).cloned(),
        };
        self.add(Past { time: run.due, outcome }, kept);
    }

    /// Adds times that passed, once later ones pass for another reason.
    pub(super) fn add_gap(&mut self, gap: &Gap, kept: Kept) {
        let outcome = PastOutcome::Passed {
            after: gap.after,
            reason: gap.code.unwrap_or(Reason::Unknown),
        };
        self.add(
            Past {
                time: gap.before,
                outcome,
            },
            kept,
        );
    }

    fn add(&mut self, past: Past, Kept(kept): Kept) {
        if Mutation::ForgetRecent.is_on() {
            return;
        }
        self.0.push(past);
        let excess = self.0.len().saturating_sub(kept as usize);
        self.0.drain(..excess);
    }
}

/// Returns whether a text can stand in the stored form. All that we write can; a ledger may have been written by anything.
fn is_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=40).contains(&text.len()) && text.bytes().all(is_part)
}

impl Serialize for Recent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::new();
        let mut before = 0;
        for past in &self.0 {
            if !text.is_empty() {
                text.push(' ');
            }
            // Any two times have a difference in this arithmetic, and it is undone by the reader's.
            past.write(past.time.wrapping_sub(before), &mut text);
            before = past.time;
        }
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Recent {
    /// Reads what is there. Of a form that this version does not know, all is left out: the ledger is worth more than its past.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let mut time = 0_i64;
        let parsed = value.as_str().unwrap_or_default().split_ascii_whitespace().map(|text| {
            let past = Past::parse(text, time)?;
            time = past.time;
            Some(past)
        });
        Ok(Self(parsed.collect::<Option<_>>().unwrap_or_default()))
    }
}

impl Past {
    /// Returns the request that the run served first.
    pub(crate) fn request(&self) -> Option<&str> {
        match &self.outcome {
            PastOutcome::Ran { request, .. } => request.as_deref(),
            PastOutcome::Passed { .. } => None,
        }
    }

    fn write(&self, difference: i64, text: &mut String) {
        // Writing to a text does not fail.
        let _ = match &self.outcome {
            PastOutcome::Passed { after, reason } => {
                let length = self.time.wrapping_sub(*after);
                write!(text, "{difference}g{length}:{}", reason.code())
            }
            PastOutcome::Ran {
                verdict,
                took,
                attempt,
                source,
                request,
            } => {
                let _ = write!(text, "{difference}{}", letter_of(*verdict));
                let _ = took.iter().try_for_each(|took| write!(text, "{took}"));
                if *attempt != 1 {
                    let _ = write!(text, "x{attempt}");
                }
                match (source, request) {
                    (Source::Schedule, _) => Ok(()),
                    (Source::Misfire, _) => write!(text, "m"),
                    (Source::Failover, _) => write!(text, "o"),
                    (Source::Trigger, request) => write!(text, "t{}", request.as_deref().unwrap_or_default()),
                    (Source::Unknown, _) => write!(text, "n"),
                }
            }
        };
    }

    /// Reads one outcome; `None` if it has no time that can be read.
    fn parse(text: &str, before: i64) -> Option<Self> {
        let end = text.find(|char: char| char.is_ascii_alphabetic())?;
        let (difference, rest) = text.split_at(end);
        let time = before.wrapping_add(difference.parse().ok()?);
        let (letter, rest) = rest.split_at(1);
        let (number, rest) = digits(rest);
        let outcome = if letter == "g" {
            PastOutcome::Passed {
                after: time.wrapping_sub(number.and_then(|length| i64::try_from(length).ok()).unwrap_or_default()),
                reason: Reason::from_code(rest.strip_prefix(':').unwrap_or_default()),
            }
        } else {
            let (attempt, rest) = rest.strip_prefix('x').map_or((None, rest), digits);
            let (source, request) = match rest.as_bytes().first() {
                None => (Source::Schedule, None),
                Some(b'm') => (Source::Misfire, None),
                Some(b'o') => (Source::Failover, None),
                Some(b't') => (Source::Trigger, Some(&rest[1..])),
                Some(_) => (Source::Unknown, None),
            };
            PastOutcome::Ran {
                verdict: verdict_of(letter),
                took: number,
                attempt: attempt.map_or(1, |attempt| u32::try_from(attempt).unwrap_or(u32::MAX)),
                source,
                request: request.filter(|request| is_name(request)).map(str::to_owned),
            }
        };
        Some(Self { time, outcome })
    }
}

/// Takes the digits that a text begins with.
fn digits(text: &str) -> (Option<u64>, &str) {
    let end = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    (digits.parse().ok(), rest)
}

const fn letter_of(verdict: Verdict) -> char {
    match verdict {
        Verdict::Succeeded => 's',
        Verdict::Failed => 'f',
        Verdict::Cancelled => 'c',
        Verdict::Lost => 'l',
        Verdict::Skipped => 'k',
        Verdict::Unknown => 'u',
    }
}

fn verdict_of(letter: &str) -> Verdict {
    match letter {
        "s" => Verdict::Succeeded,
        "f" => Verdict::Failed,
        "c" => Verdict::Cancelled,
        "l" => Verdict::Lost,
        "k" => Verdict::Skipped,
        _ => Verdict::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(time: i64, verdict: Verdict) -> Past {
        let outcome = PastOutcome::Ran {
            verdict,
            took: Some(12),
            attempt: 1,
            source: Source::Schedule,
            request: None,
        };
        Past { time, outcome }
    }

    fn text(recent: &Recent) -> String {
        serde_json::to_value(recent).unwrap().as_str().unwrap().to_owned()
    }

    fn read(text: &str) -> Recent {
        serde_json::from_value(text.into()).unwrap()
    }

    #[test]
    fn is_read_as_it_was_written() {
        let mut recent = Recent::default();
        let kept = Kept::of(1);
        recent.add(ran(1_767_225_600_000, Verdict::Succeeded), kept);
        for (source, request) in [
            (Source::Misfire, None),
            (Source::Failover, None),
            (Source::Trigger, Some("k3j5h2l1m0ab".to_owned())),
            (Source::Trigger, None),
            (Source::Unknown, None),
        ] {
            let outcome = PastOutcome::Ran {
                verdict: Verdict::Failed,
                took: None,
                attempt: 2,
                source,
                request,
            };
            recent.add(
                Past {
                    time: 1_767_225_605_000,
                    outcome,
                },
                kept,
            );
        }
        let passed = PastOutcome::Passed {
            after: 1_767_225_605_000,
            reason: Reason::SwitchedOff,
        };
        recent.add(
            Past {
                time: 1_767_225_701_000,
                outcome: passed,
            },
            kept,
        );
        assert_eq!(
            text(&recent),
            "1767225600000s12 5000fx2m 0fx2o 0fx2tk3j5h2l1m0ab 0fx2t 0fx2n 96000g96000:switched-off"
        );
        assert_eq!(read(&text(&recent)), recent);
    }

    #[test]
    fn holds_any_two_times() {
        let mut recent = Recent::default();
        for time in [i64::MIN, i64::MAX, 0, -1, i64::MIN] {
            recent.add(ran(time, Verdict::Lost), Kept::of(1));
        }
        assert_eq!(read(&text(&recent)), recent);
    }

    #[test]
    fn reads_what_it_does_not_know() {
        let of_newer = read("5000z12 1000s3?new 1000gx:y");
        let times: Vec<i64> = of_newer.all().iter().map(|past| past.time).collect();
        assert_eq!(times, [5000, 6000, 7000]);
        let foreign = [
            "s",
            "x5",
            "5",
            "5000s1 ÿs2",
            "\u{0}",
            "99999999999999999999s1",
            "t",
            "-",
        ];
        for text in foreign {
            assert!(read(text).is_empty(), "{text:?}");
        }
        for value in [serde_json::json!(5), serde_json::json!([1, 2]), serde_json::json!(null)] {
            assert!(serde_json::from_value::<Recent>(value).unwrap().is_empty());
        }
    }

    #[test]
    fn keeps_no_more_of_a_job_than_its_share() {
        for (total, kept) in [
            (0, 16),
            (1, 16),
            (256, 16),
            (257, 15),
            (4096, 1),
            (4097, 0),
            (u32::MAX, 0),
        ] {
            let mut recent = Recent::default();
            for time in 0..40 {
                recent.add(ran(time * 5000, Verdict::Succeeded), Kept::of(total));
            }
            assert_eq!(recent.all().len(), kept, "{total}");
            assert!(recent.all().last().is_none_or(|newest| newest.time == 39 * 5000));
        }
    }

    #[test]
    fn takes_eight_bytes_for_an_outcome() {
        let mut recent = Recent::default();
        for time in 0..16 {
            recent.add(ran(1_767_225_600_000 + time * 5000, Verdict::Succeeded), Kept::of(3));
        }
        assert!(text(&recent).len() <= 16 * 8 + 16, "{}", text(&recent));
    }
}
