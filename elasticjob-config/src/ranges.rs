//! Many numbers in a few words: `0-2, 5, 7-8`.

use std::fmt;

/// More ranges than these are counted and not listed.
const MOST: usize = 20;

/// Ascending numbers, shown as ranges. If these are many, the last of them are counted.
///
/// ```
/// # mod elasticjob { pub mod configuration { pub use elasticjob_config::*; } }
/// use elasticjob::configuration::ranges::Ranges;
///
/// assert_eq!(Ranges::from_iter([0, 1, 2, 5, 7, 8]).to_string(), "0-2, 5, 7-8");
/// let odd = Ranges::from_iter((0..1_000).map(|number| 2 * number + 1));
/// assert!(odd.to_string().ends_with("37, 39 and 980 more"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    /// First and last, no two of them next to each other.
    ranges: Vec<(i64, i64)>,
    count: usize,
}

impl Ranges {
    /// Adds a number above all others.
    ///
    /// # Panics
    /// If it is not above them.
    pub fn push(&mut self, number: i64) {
        self.count += 1;
        match self.ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            last => {
                assert!(last.is_none_or(|(_, last)| *last < number), "the numbers ascend");
                self.ranges.push((number, number));
            }
        }
    }

    /// How many numbers there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether there is no number.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<T: Into<i64>> FromIterator<T> for Ranges {
    fn from_iter<I: IntoIterator<Item = T>>(numbers: I) -> Self {
        let mut ranges = Self::default();
        for number in numbers {
            ranges.push(number.into());
        }
        ranges
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.count;
        for (index, (first, last)) in self.ranges.iter().take(MOST).enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            if first == last {
                write!(f, "{first}")?
            } else {
                write!(f, "{first}-{last}")?
            }
            left -= usize::try_from(last - first).map_or(left, |width| width + 1);
        }
        if left > 0 {
            write!(f, " and {left} more")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(numbers: &[i64], shown: &str) {
        let ranges: Ranges = numbers.iter().copied().collect();
        assert_eq!((ranges.to_string().as_str(), ranges.count()), (shown, numbers.len()));
    }

    #[test]
    fn join_what_follows_each_other() {
        check(&[], "");
        check(&[4], "4");
        check(&[-2, -1, 0, 3], "-2-0, 3");
        check(&[0, 1, 2, 5, 7, 8], "0-2, 5, 7-8");
    }

    #[test]
    fn stay_short() {
        let all: Ranges = (0..1_000_000u32).collect();
        assert_eq!(all.to_string(), "0-999999");
        let even: Vec<i64> = (0..500_000).map(|number| 2 * number).collect();
        let listed: Vec<String> = even[..MOST].iter().map(ToString::to_string).collect();
        check(&even, &format!("{} and 499980 more", listed.join(", ")));
    }
}
