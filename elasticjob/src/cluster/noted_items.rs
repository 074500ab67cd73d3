//! Items as they are noted in `ledger/epoch`: those that wait for their runs to end before they move, those left out.
//!
//! A node holds no more than a transaction takes, and any of the items may be noted at once. A few are noted as a list,
//! which processes of any version read; so many that a list would be long as a text with four bits of a digit each.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits;

/// A list takes this part of a transaction at most.
const PART_OF_LIST: usize = 16;

/// Some of a job's items, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NotedItems(BTreeSet<u32>);

impl NotedItems {
    /// Returns whether no item is noted.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether the item is noted.
    pub(crate) fn contains(&self, item: u32) -> bool {
        self.0.contains(&item)
    }

    /// Returns the items, in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().copied()
    }

    /// Returns what a list takes.
    fn length_of_list(&self) -> usize {
        let length = |item: &u32| item.checked_ilog10().unwrap_or_default() as usize + 2;
        self.0.iter().map(length).sum()
    }

    /// Returns a digit for each four items, up to the last of them: its lowest bit stands for the first of them.
    fn digits(&self) -> String {
        let Some(last) = self.0.last() else {
            return String::new();
        };
        let mut digits = vec![0_u8; *last as usize / 4 + 1];
        for item in &self.0 {
            digits[*item as usize / 4] |= 1 << (item % 4);
        }
        let digit = |bits: u8| char::from_digit(bits.into(), 16).expect("four bits are a digit");
        digits.into_iter().map(digit).collect()
    }

    /// Reads what [`digits`](Self::digits) wrote; `None` if another character stands there.
    fn of_digits(digits: &str) -> Option<Self> {
        let mut items = BTreeSet::new();
        for (first, digit) in (0..).step_by(4).zip(digits.chars()) {
            let bits = digit.to_digit(16)?;
            items.extend((0..4).filter(|bit| bits & (1 << bit) != 0).map(|bit| first + bit));
        }
        Some(Self(items))
    }
}

impl FromIterator<u32> for NotedItems {
    fn from_iter<I: IntoIterator<Item = u32>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}

impl Serialize for NotedItems {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.length_of_list() <= limits::transaction_size() / PART_OF_LIST {
            self.0.serialize(serializer)
        } else {
            self.digits().serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for NotedItems {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Noted {
            List(BTreeSet<u32>),
            Digits(String),
        }
        match Noted::deserialize(deserializer)? {
            Noted::List(items) => Ok(Self(items)),
            Noted::Digits(digits) => Self::of_digits(&digits)
                .ok_or_else(|| serde::de::Error::custom("items are noted in hexadecimal digits")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(items: impl IntoIterator<Item = u32>) -> NotedItems {
        NotedItems::from_iter(items)
    }

    mod noted {
        use super::*;

        fn check(deferred: &NotedItems, length: usize) {
            let text = serde_json::to_string(deferred).expect("json");
            assert!(text.len() <= length, "{} bytes", text.len());
            assert_eq!(serde_json::from_str::<NotedItems>(&text).expect("json"), *deferred);
        }

        #[test]
        fn a_few_are_a_list_that_older_processes_read() {
            assert_eq!(serde_json::to_string(&of([0, 3, 12])).expect("json"), "[0,3,12]");
            let text = serde_json::to_string(&of(0..1_000)).expect("json");
            assert_eq!(serde_json::from_str::<Vec<u32>>(&text).expect("json").len(), 1_000);
        }

        #[test]
        fn a_million_fit_into_a_node() {
            check(&of(0..1_000_000), 250_002);
            check(&of((0..1_000_000).step_by(2)), 250_002);
            check(&of((0..1_000_000).step_by(97)), 250_002);
        }

        #[test]
        fn none_and_one_are_read_as_they_were() {
            check(&of([]), 2);
            check(&of([999_999]), 8);
            assert_eq!(of([0, 5, 6]).digits(), "16");
            assert_eq!(NotedItems::of_digits("16"), Some(of([0, 5, 6])));
            assert_eq!(NotedItems::of_digits("1g"), None);
        }
    }
}
