//! Pages of lists: each begins behind a key, so that no row is missed or is on two pages if rows are added or removed between them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::endpoint::Query;

/// Rows of a page unless the caller says otherwise.
const USUAL: usize = 100;

/// Most rows of a page.
const MOST: usize = 1_000;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    rows: Vec<T>,
    /// What `after` is for the next page; absent if this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Which page is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    after: Option<String>,
    limit: Option<usize>,
    /// Only rows whose key has this in it.
    #[serde(default)]
    q: String,
}

/// The parameters of a page, as they are described.
pub(super) const QUERY: &[Query] = &[
    Query::text(
        "after",
        "The key behind which the page begins: `next` of the page before.",
    ),
    Query::number("limit", "Rows of the page: 1 to 1000, 100 unless it is said."),
    Query::text("q", "Only rows whose key has this text in it."),
];

impl Which {
    /// Cuts the page out of a list that is sorted by `key`.
    pub(super) fn of<T, K: Ord + ToString>(
        &self,
        rows: Vec<T>,
        key: impl Fn(&T) -> K,
        parse: impl Fn(&str) -> Option<K>,
    ) -> Page<T> {
        let limit = self.limit.unwrap_or(USUAL).clamp(1, MOST);
        let after = self.after.as_deref().and_then(parse);
        let is_behind = |row: &T| after.as_ref().is_none_or(|after| key(row) > *after);
        let is_meant = |row: &T| self.q.is_empty() || key(row).to_string().contains(&self.q);
        let mut rows: Vec<T> = rows
            .into_iter()
            .filter(|row| is_behind(row) && is_meant(row))
            .take(limit + 1)
            .collect();
        let is_last = rows.len() <= limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| !is_last).map(|row| key(row).to_string());
        Page { rows, next }
    }

    /// As [`of`](Self::of), by a name.
    pub(super) fn by_name<T>(&self, rows: Vec<T>, name: impl Fn(&T) -> String) -> Page<T> {
        self.of(rows, name, |after| Some(after.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(which: &Which, rows: &[&str]) -> (Vec<String>, Option<String>) {
        let rows = rows.iter().copied().map(str::to_owned).collect();
        let page = which.by_name(rows, Clone::clone);
        (page.rows, page.next)
    }

    fn which(after: &str, limit: usize) -> Which {
        Which {
            after: (!after.is_empty()).then(|| after.to_owned()),
            limit: Some(limit),
            q: String::new(),
        }
    }

    #[test]
    fn go_on_behind_a_row_that_is_gone() {
        let (rows, next) = page(&which("", 2), &["a", "b", "c", "d"]);
        assert_eq!(
            (&*rows, next.as_deref()),
            (&["a".to_owned(), "b".to_owned()][..], Some("b"))
        );
        // `b` is gone by now, and `aa` has come before it.
        let (rows, next) = page(&which("b", 2), &["a", "aa", "c", "d"]);
        assert_eq!((&*rows, next), (&["c".to_owned(), "d".to_owned()][..], None));
        assert_eq!(page(&which("z", 2), &["a"]), (Vec::new(), None));
        assert_eq!(page(&which("", 0), &["a", "b"]).0.len(), 1);
    }
}
