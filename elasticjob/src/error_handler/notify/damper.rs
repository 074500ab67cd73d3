//! Lets through the first failure of a kind, and counts those that follow at its heels.
//!
//! Pure: time is a parameter. [`Damper::admit`] decides for each failure whether it is sent at once. Failures that are held
//! back come out of [`Damper::due`] when their interval is over, as one summary.
//!
//! The kind of a failure is the text of its causes without words that have a digit in them, so that "order 17 failed"
//! and "order 18 failed" are one kind. For each kind there is one interval at a time: the first failure opens it and is
//! sent, those within it are counted with their items and the newest text, and at its end one summary is sent and the
//! next interval begins. A kind without a failure for one whole interval is forgotten. Memory is bounded: after
//! [`KINDS`] kinds all others share one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::notice::Occurrence;

/// So many kinds of failures of one job are distinguished. All others count as one kind, so that a job with a different text for
/// each failure is damped, too.
const KINDS: usize = 32;

/// How often one kind of failure is sent.
#[derive(Debug)]
pub(super) struct Damper {
    /// `None`: of every failure.
    interval: Option<Duration>,
    /// By kind. An entry is forgotten when its interval passes without another failure.
    kinds: BTreeMap<String, Interval>,
}

#[derive(Debug)]
struct Interval {
    end: Instant,
    held: Option<Held>,
}

/// Failures of one kind that were not sent yet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Held {
    pub(super) count: u64,
    pub(super) items: BTreeSet<u32>,
    pub(super) newest: Occurrence,
}

impl Damper {
    pub(super) fn new(interval: Option<Duration>) -> Self {
        Self {
            interval,
            kinds: BTreeMap::new(),
        }
    }

    /// Returns the failure if it must be sent now, or holds it.
    pub(super) fn admit(&mut self, failure: Occurrence, now: Instant) -> Option<Occurrence> {
        let Some(interval) = self.interval else {
            return Some(failure);
        };
        self.kinds.retain(|_, kind| kind.held.is_some() || kind.end > now);
        let kind = self.kind(&failure);
        if let Some(running) = self.kinds.get_mut(&kind) {
            running.hold(failure);
            return None;
        }
        self.kinds.insert(
            kind,
            Interval {
                end: now + interval,
                held: None,
            },
        );
        Some(failure)
    }

    /// When something held is due, if anything is held.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let holding = self.kinds.values().filter(|kind| kind.held.is_some());
        holding.map(|kind| kind.end).min()
    }

    /// What was held for its interval. The next interval of each begins.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Held> {
        let Some(interval) = self.interval else {
            return Vec::new();
        };
        let over = self.kinds.values_mut().filter(|kind| kind.end <= now);
        over.filter_map(|kind| {
            let held = kind.held.take()?;
            kind.end = now + interval;
            Some(held)
        })
        .collect()
    }

    /// All that is held, due or not.
    pub(super) fn flush(&mut self) -> Vec<Held> {
        self.kinds.values_mut().filter_map(|kind| kind.held.take()).collect()
    }

    /// Returns the kind that the failure counts as: its own, or that of all others if too many kinds are known.
    fn kind(&self, failure: &Occurrence) -> String {
        let kind = kind_of(&failure.causes);
        let others = String::new();
        if self.kinds.contains_key(&kind) || self.kinds.len() < KINDS {
            kind
        } else {
            others
        }
    }
}

impl Interval {
    /// Counts a failure that is not sent now. Of several, the newest is kept.
    fn hold(&mut self, failure: Occurrence) {
        let item = failure.item;
        match &mut self.held {
            Some(held) => {
                held.count += 1;
                held.items.extend(item);
                held.newest = failure;
            }
            None => {
                self.held = Some(Held {
                    count: 1,
                    items: item.into_iter().collect(),
                    newest: failure,
                });
            }
        }
    }
}

/// What failures with the same cause have in common: their texts, with each word that has a digit in it left out, since
/// such words are counters, ids, times and addresses.
fn kind_of(causes: &[String]) -> String {
    let mut kind = String::new();
    for (index, cause) in causes.iter().enumerate() {
        if index > 0 {
            kind.push('\n');
        }
        for piece in cause.split_inclusive(|character: char| !is_of_word(character)) {
            let word = piece.trim_end_matches(|character| !is_of_word(character));
            if word.contains(|character: char| character.is_ascii_digit()) {
                kind.push('#');
                kind.push_str(&piece[word.len()..]);
            } else {
                kind.push_str(piece);
            }
        }
    }
    kind
}

fn is_of_word(character: char) -> bool {
    character.is_alphanumeric() || character == '-' || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn failure(item: u32, cause: &str) -> Occurrence {
        Occurrence::for_test(Some(item), &[cause])
    }

    /// How many failures each summary stands for.
    fn counts(held: &[Held]) -> Vec<u64> {
        held.iter().map(|held| held.count).collect()
    }

    #[test]
    fn sends_the_first_failure_and_sums_up_the_rest() {
        let (mut damper, start) = (Damper::new(Some(MINUTE)), Instant::now());
        assert_eq!(
            damper.admit(failure(0, "disk full"), start),
            Some(failure(0, "disk full"))
        );
        assert_eq!(damper.next_due(), None);
        for item in [3, 1, 3] {
            assert_eq!(damper.admit(failure(item, "disk full"), start + MINUTE / 2), None);
        }
        assert_eq!(damper.next_due(), Some(start + MINUTE));
        assert_eq!(damper.due(start + MINUTE * 9 / 10), []);
        let summary = Held {
            count: 3,
            items: [1, 3].into(),
            newest: failure(3, "disk full"),
        };
        assert_eq!(damper.due(start + MINUTE), [summary]);
        assert_eq!(damper.next_due(), None);
    }

    #[test]
    fn a_flood_should_be_one_summary_each_interval() {
        let (mut damper, start) = (Damper::new(Some(MINUTE)), Instant::now());
        let mut sent = Vec::new();
        for second in 0..=300 {
            let now = start + Duration::from_secs(second);
            sent.extend(damper.due(now).iter().map(|held| (second, held.count)));
            sent.extend(damper.admit(failure(0, "disk full"), now).map(|_| (second, 1)));
        }
        assert_eq!(sent, [(0, 1), (60, 59), (120, 60), (180, 60), (240, 60), (300, 60)]);
    }

    #[test]
    fn sends_a_failure_after_a_quiet_interval_at_once() {
        let (mut damper, start) = (Damper::new(Some(MINUTE)), Instant::now());
        assert!(damper.admit(failure(0, "disk full"), start).is_some());
        assert!(damper.admit(failure(0, "disk full"), start + MINUTE).is_some());
        // An interval that ended with a summary is followed by another.
        assert!(damper.admit(failure(0, "disk full"), start + MINUTE * 3 / 2).is_none());
        assert_eq!(counts(&damper.due(start + MINUTE * 2)), [1]);
        assert!(damper.admit(failure(0, "disk full"), start + MINUTE * 5 / 2).is_none());
        assert!(damper.due(start + MINUTE * 5 / 2).is_empty());
        assert_eq!(counts(&damper.due(start + MINUTE * 3)), [1]);
        assert!(damper.admit(failure(0, "disk full"), start + MINUTE * 4).is_some());
    }

    #[test]
    fn sends_another_cause_at_once() {
        let (mut damper, now) = (Damper::new(Some(MINUTE)), Instant::now());
        assert!(damper.admit(failure(0, "disk full"), now).is_some());
        assert!(damper.admit(failure(0, "no network"), now).is_some());
        assert!(damper.admit(failure(0, "disk full"), now).is_none());
    }

    #[test]
    fn joins_causes_that_differ_in_numbers_alone() {
        let check = |one: &str, other: &str, is_same| {
            let kinds = [one, other].map(|cause| kind_of(&[cause.to_owned()]));
            assert_eq!(kinds[0] == kinds[1], is_same, "{kinds:?}");
        };
        check("order 17 failed", "order 4711 failed", true);
        check(
            "no row 3f2504e0-4f89-11d3-9a0c-0305e82c3301",
            "no row b2504e0f-4f89-11d3-9a0c-0305e82c3302",
            true,
        );
        check("10.0.0.1:2181 refused", "10.0.0.23:9 refused", true);
        check("order 17 failed", "order 17 late", false);
        check("größe 1", "größe 2", true);
        assert_eq!(
            kind_of(&["row 7, x_1 (2)".to_owned(), "no".to_owned()]),
            "row #, # (#)\nno"
        );
    }

    #[test]
    fn failures_that_all_read_differently_should_be_damped_too() {
        let (mut damper, now) = (Damper::new(Some(MINUTE)), Instant::now());
        // Words without digits: `aa`, `ab` ..
        let word = |number: u8| String::from_utf8(vec![b'a' + number / 26, b'a' + number % 26]).unwrap();
        let sent = (0..200).filter(|&number| damper.admit(failure(0, &word(number)), now).is_some());
        assert_eq!(
            sent.count(),
            KINDS + 1,
            "the distinct kinds, and the first of the others"
        );
        assert_eq!(counts(&damper.due(now + MINUTE)), [200 - KINDS as u64 - 1]);
    }

    #[test]
    fn sends_every_failure_without_an_interval() {
        let (mut damper, now) = (Damper::new(None), Instant::now());
        for _ in 0..3 {
            assert!(damper.admit(failure(0, "disk full"), now).is_some());
        }
        assert_eq!(damper.next_due(), None);
        assert!(damper.due(now + MINUTE).is_empty() && damper.flush().is_empty());
    }

    #[test]
    fn returns_all_held_failures_before_the_end() {
        let (mut damper, now) = (Damper::new(Some(MINUTE)), Instant::now());
        for cause in ["disk full", "no network", "disk full", "no network", "no network"] {
            damper.admit(failure(0, cause), now);
        }
        assert_eq!(counts(&damper.flush()), [1, 2]);
        assert_eq!(damper.next_due(), None);
    }
}
