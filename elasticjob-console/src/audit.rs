//! The audit log: which visitor asked for what, and what came of it.
//!
//! Rows are only ever appended. Each has the digest of the one before it, so that a row that was changed, removed or put in between shows
//! ([`Row::is_right`]). A request that changes something has a row before it is carried out, and another when its outcome is known: an
//! action is in the log also if the process dies meanwhile, or if the visitor does not wait for the answer.

use axum::response::Response;
use jiff::Timestamp;
use ring::digest::{Context, SHA256};
use tracing::error;

use crate::access::random::Digest;
use crate::store::Store;

/// The longest of each text of a row, in characters.
const LONGEST: usize = 512;

/// What is to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The name of the visitor; of a login, the name that was given.
    pub(crate) visitor: String,
    /// The address that the request came from.
    pub(crate) peer: String,
    /// What was asked for, such as `POST /jobs/sync_orders/trigger`.
    pub(crate) action: String,
    pub(crate) outcome: Outcome,
    /// The number of the row that this is the outcome of.
    pub(crate) of: Option<i64>,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is not known yet: another row says it.
    Asked,
    Done,
    Failed(String),
    /// The visitor may not do this.
    Refused(String),
}

/// A row of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) number: i64,
    pub(crate) at: Timestamp,
    pub(crate) entry: Entry,
    /// The digest of the row before.
    pub(crate) previous: Digest,
    /// The digest of all of the above.
    pub(crate) digest: Digest,
}

impl Outcome {
    /// Returns its code, and what else there is to say.
    pub(crate) fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Asked => ("asked", ""),
            Self::Done => ("done", ""),
            Self::Failed(why) => ("failed", why),
            Self::Refused(why) => ("refused", why),
        }
    }

    /// Reads what [`parts`](Self::parts) returned.
    pub(crate) fn of_parts(code: &str, why: &str) -> Self {
        match code {
            "asked" => Self::Asked,
            "done" => Self::Done,
            "refused" => Self::Refused(why.to_owned()),
            _ => Self::Failed(why.to_owned()),
        }
    }

    /// Returns what an answer says of the request: its handler by an extension, or else its status.
    pub(crate) fn of_response(response: &Response) -> Self {
        let status = response.status();
        match response.extensions().get::<Self>() {
            Some(outcome) => outcome.clone(),
            None if status.is_client_error() || status.is_server_error() => Self::Failed(status.to_string()),
            None => Self::Done,
        }
    }
}

impl Entry {
    /// Returns the entry with texts of a length that a row has. What a text quotes of secrets is not in it.
    fn cut(mut self) -> Self {
        let short = |text: &str| {
            let shown = elasticjob::configuration::shown("", text);
            shown.chars().take(LONGEST).collect::<String>()
        };
        self.visitor = short(&self.visitor);
        self.peer = short(&self.peer);
        self.action = short(&self.action);
        let (code, why) = self.outcome.parts();
        self.outcome = Outcome::of_parts(code, &short(why));
        self
    }
}

impl Row {
    /// Returns the row of an entry behind another row.
    pub(crate) fn after(last: Option<(i64, Digest)>, entry: Entry, at: Timestamp) -> Self {
        let (number, previous) = last.unwrap_or_default();
        let mut row = Self {
            number: number + 1,
            // As it is kept.
            at: Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at),
            entry: entry.cut(),
            previous,
            digest: Digest::default(),
        };
        row.digest = row.computed();
        row
    }

    /// Returns the digest that the row should have. Each field is preceded by its length, so that none can pass for a part of another.
    fn computed(&self) -> Digest {
        let Entry {
            visitor,
            peer,
            action,
            outcome,
            of,
        } = &self.entry;
        let (code, why) = outcome.parts();
        let mut context = Context::new(&SHA256);
        context.update(&self.previous);
        for number in [self.number, self.at.as_millisecond(), of.unwrap_or_default()] {
            context.update(&number.to_be_bytes());
        }
        for text in [visitor, peer, action, code, why] {
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text.as_bytes());
        }
        let mut digest = Digest::default();
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }

    /// Returns whether the row is as it was written, and follows this one. The first that is left may follow one that was swept.
    #[cfg(any(test, feature = "sqlite"))]
    pub(crate) fn is_right(&self, last: Option<(i64, Digest)>) -> bool {
        let follows = last.is_none_or(|(number, digest)| number + 1 == self.number && digest == self.previous);
        follows && self.digest == self.computed()
    }
}

/// Appends to the log. What cannot be kept is in the log of the program.
pub(crate) async fn append(store: &Store, entry: Entry, now: Timestamp) -> Option<i64> {
    match store.append(entry.clone(), now).await {
        Ok(number) => Some(number),
        Err(error) => {
            let (outcome, why) = entry.outcome.parts();
            let Entry {
                visitor, peer, action, ..
            } = &entry;
            error!(visitor, peer, action, outcome, why, %error, "a row of the audit log was not kept");
            None
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn entry(action: &str) -> Entry {
        Entry {
            visitor: "alice".to_owned(),
            peer: "10.0.0.1".to_owned(),
            action: action.to_owned(),
            outcome: Outcome::Done,
            of: None,
        }
    }

    fn rows() -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for action in ["a", "b", "c", "d"] {
            let last = rows.last().map(|row| (row.number, row.digest));
            rows.push(Row::after(last, entry(action), Timestamp::UNIX_EPOCH));
        }
        rows
    }

    /// Returns the number of the first row that is wrong.
    fn first_wrong(rows: &[Row]) -> Option<i64> {
        let mut last = None;
        for row in rows {
            if !row.is_right(last) {
                return Some(row.number);
            }
            last = Some((row.number, row.digest));
        }
        None
    }

    #[test]
    fn shows_each_change_of_a_row() {
        assert_eq!(first_wrong(&rows()), None);
        // What is older than the retention may be gone.
        assert_eq!(first_wrong(&rows()[2..]), None);
        let changes: [fn(&mut Vec<Row>); 7] = [
            |rows| rows[1].entry.visitor = "bob".to_owned(),
            |rows| rows[1].entry.outcome = Outcome::Failed(String::new()),
            |rows| rows[1].at = Timestamp::MAX,
            |rows| rows[1].entry.of = Some(1),
            |rows| drop(rows.remove(1)),
            |rows| rows.swap(1, 2),
            // A text moves from one field to the next.
            |rows| (rows[1].entry.peer, rows[1].entry.action) = ("10.0.0.1b".to_owned(), String::new()),
        ];
        for (index, change) in changes.iter().enumerate() {
            let mut changed = rows();
            change(&mut changed);
            assert!(first_wrong(&changed).is_some(), "{index}");
        }
        // A row that is replaced, with a digest of its own, breaks the next.
        let mut forged = rows();
        let last = Some((forged[0].number, forged[0].digest));
        forged[1] = Row::after(last, entry("x"), Timestamp::UNIX_EPOCH);
        assert_eq!(first_wrong(&forged), Some(3));
    }

    #[test]
    fn has_no_secrets_and_no_long_texts() {
        let mut hostile = entry(&"x".repeat(10_000));
        hostile.outcome = Outcome::Failed("cannot reach postgres://lion:tiger@db/jobs".to_owned());
        let row = Row::after(None, hostile, Timestamp::UNIX_EPOCH);
        assert_eq!(row.entry.action.len(), LONGEST);
        assert!(!format!("{row:?}").contains("tiger"), "{row:?}");
    }
}
