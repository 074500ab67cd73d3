//! Which jobs a visitor sees, by patterns of their names.

use std::fmt;
use std::sync::Arc;

/// The most patterns of one visitor.
const MOST: usize = 64;

/// The longest pattern, in bytes.
const LONGEST: usize = 256;

/// Patterns of names of jobs: `*` stands for any characters, `?` for one. A name has to match one of them as a whole.
///
/// ```
/// use elasticjob_console::Globs;
///
/// let globs = Globs::parse(["shop-*", "sync_orders"])?;
/// assert!(globs.matches("shop-invoices") && globs.matches("sync_orders"));
/// assert!(!globs.matches("workshop-1"));
/// assert!(Globs::all().matches("workshop-1"));
/// # Ok::<_, String>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Globs(Arc<[Patterns]>);

/// A name matches if one of these does. It has to match each set of patterns: without any, all names match.
type Patterns = Arc<[Box<str>]>;

impl Globs {
    /// Returns the patterns that match each name.
    #[must_use]
    pub fn all() -> Self {
        Self(Arc::new([]))
    }

    /// Returns these patterns. Without any, no name matches.
    ///
    /// # Errors
    /// If there are more than 64 patterns, or one is empty or longer than 256 bytes.
    pub fn parse<T: AsRef<str>>(patterns: impl IntoIterator<Item = T>) -> Result<Self, String> {
        let patterns: Vec<Box<str>> = patterns.into_iter().map(|pattern| pattern.as_ref().into()).collect();
        if patterns.len() > MOST {
            return Err(format!(
                "{} patterns of names of jobs: {MOST} are the most",
                patterns.len()
            ));
        }
        let is_wrong = |pattern: &str| pattern.is_empty() || pattern.len() > LONGEST;
        if let Some(wrong) = patterns.iter().find(|pattern| is_wrong(pattern)) {
            return Err(format!(
                "a pattern of names of jobs has 1 to {LONGEST} bytes, one has {}",
                wrong.len()
            ));
        }
        let has_all = patterns.iter().any(|pattern| &**pattern == "*");
        Ok(if has_all {
            Self::all()
        } else {
            Self(Arc::new([patterns.into()]))
        })
    }

    /// Returns what matches both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let further = other.0.iter().filter(|patterns| !self.0.contains(patterns));
        Self(self.0.iter().chain(further).cloned().collect())
    }

    /// Returns the sets of patterns, each of which a name has to match.
    #[cfg(feature = "sqlite")]
    pub(crate) fn sets(&self) -> Vec<Vec<&str>> {
        let mut sets = Vec::new();
        for patterns in self.0.iter() {
            sets.push(patterns.iter().map(|pattern| &**pattern).collect());
        }
        sets
    }

    /// Reads what [`sets`](Self::sets) returned.
    #[cfg(feature = "sqlite")]
    pub(crate) fn of_sets(sets: Vec<Vec<String>>) -> Result<Self, String> {
        let sets = sets.into_iter().map(Self::parse);
        sets.into_iter()
            .try_fold(Self::all(), |globs, set| Ok(globs.and(&set?)))
    }

    /// Returns whether each name matches.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether a name matches.
    #[must_use]
    pub fn matches(&self, job: &str) -> bool {
        let is_in = |patterns: &Patterns| patterns.iter().any(|pattern| is_match(pattern, job));
        self.0.iter().all(is_in)
    }
}

/// Writes the patterns, as `shop-*, sync_orders`; `*` if each name matches.
impl fmt::Display for Globs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() {
            return f.write_str("*");
        }
        for (index, patterns) in self.0.iter().enumerate() {
            f.write_str(if index > 0 { " & " } else { "" })?;
            f.write_str(&patterns.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Globs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Globs({self})")
    }
}

/// Returns whether a name matches a pattern: in steps of at most the product of their lengths, since only the last star is tried again.
fn is_match(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    // What is left of both after the last star, to be tried one character later.
    let mut star: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let before = name.clone();
        match (pattern.next(), name.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                name = before;
                star = Some((pattern.clone(), name.clone()));
            }
            (Some('?'), Some(_)) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => {
                let Some((rest, from)) = &mut star else {
                    return false;
                };
                if from.next().is_none() {
                    return false;
                }
                (pattern, name) = (rest.clone(), from.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Globs::parse([pattern]).unwrap().matches(name)
    }

    #[test]
    fn match_whole_names() {
        for (pattern, name) in [
            ("a*", "a"),
            ("a*", "abc"),
            ("*c", "abcc"),
            ("a?c", "a备c"),
            ("*备份*", "每日备份任务"),
            ("a*b*c", "a-b-b-c"),
            ("**", ""),
            ("*", "x"),
            ("a.b", "a.b"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("a*", "ba"),
            ("a", "ab"),
            ("a?c", "ac"),
            ("a.b", "axb"),
            ("A*", "a"),
            ("a*b*c", "a-c-b"),
            ("?", ""),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
        assert!(!Globs::parse::<&str>([]).unwrap().matches("a"));
        assert!(Globs::parse(["a", "*"]).unwrap().is_all());
    }

    #[test]
    fn match_what_both_match() {
        let (shop, daily) = (
            Globs::parse(["shop-*", "x"]).unwrap(),
            Globs::parse(["*-daily"]).unwrap(),
        );
        let both = shop.and(&daily);
        assert!(both.matches("shop-daily") && !both.matches("shop-hourly") && !both.matches("x"));
        assert_eq!(both.to_string(), "shop-*, x & *-daily");
        assert_eq!(shop.and(&Globs::all()), shop);
        assert_eq!(Globs::all().and(&shop), shop);
        assert_eq!(shop.and(&shop), shop);
        assert_eq!(Globs::all().to_string(), "*");
    }

    #[test]
    fn take_no_longer_with_many_stars() {
        let pattern = "a*".repeat(128);
        let name = "a".repeat(64 * 1024) + "b";
        assert!(matches(&pattern, &name));
        assert!(!matches(&format!("{}c", &pattern[..254]), &name));
    }

    #[test]
    fn have_limits() {
        assert!(Globs::parse(["a".repeat(257)]).unwrap_err().contains("one has 257"));
        assert!(Globs::parse([""]).unwrap_err().contains("one has 0"));
        assert!(Globs::parse(vec!["a"; 65]).unwrap_err().contains("64 are the most"));
    }
}
