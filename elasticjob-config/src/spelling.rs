//! Suggests the known name that an unknown name probably means.

/// Letters and digits in lower case: what is left of a name when its spelling does not matter.
pub(crate) fn canonical(name: &str) -> String {
    #[cfg(feature = "sources")]
    crate::work::step();
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// The name that takes the fewest edits, if they are few; or else the only one that goes on where this one ends, if it is at least
/// half of it. Case, and characters between words, do not count.
///
/// ```
/// # mod elasticjob { pub mod configuration { pub use elasticjob_config::*; } }
/// use elasticjob::configuration::spelling::nearest;
///
/// let names = ["http.uri", "http.method"];
/// assert_eq!(nearest("http.url", names.into_iter()).as_deref(), Some("http.uri"));
/// assert_eq!(nearest("colour", names.into_iter()), None);
/// let names = ["wechat.connectTimeoutMilliseconds", "wechat.webhook"];
/// assert_eq!(nearest("wechat.connectTimeout", names.into_iter()).as_deref(), Some(names[0]));
/// ```
pub fn nearest<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let wanted = canonical(written);
    let names: Vec<&str> = names.collect();
    let distances = names.iter().map(|name| (distance(&wanted, &canonical(name)), *name));
    let (distance, name) = distances.min()?;
    if distance <= 2.max(wanted.chars().count() / 4) {
        return Some(name.to_owned());
    }
    let goes_on = |name: &str| name.starts_with(&wanted) && wanted.len() * 2 >= name.len();
    let mut longer = names.into_iter().filter(|name| goes_on(&canonical(name)));
    let only = longer.next()?;
    longer.next().is_none().then(|| only.to_owned())
}

/// Names in back quotes. If there are many, the last of them are counted.
#[cfg(feature = "sources")]
pub(crate) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const MOST: usize = 20;
    let mut names = names;
    let first: Vec<String> = names.by_ref().take(MOST).map(|name| format!("`{name}`")).collect();
    match names.count() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(all(test, feature = "sources"))]
mod tests {
    use super::*;

    #[test]
    fn many_names_are_counted() {
        assert_eq!(listed(["a", "b"].into_iter()), "`a`, `b`");
        let listed = listed(std::iter::repeat_n("a", 10_000));
        assert_eq!(
            (listed.matches("`a`").count(), listed.ends_with("`a` and 9980 more")),
            (20, true)
        );
    }
}
