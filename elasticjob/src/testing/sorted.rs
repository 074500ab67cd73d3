//! A sorted set of numbers that gives its nth.
//!
//! Drawing one of ten thousand ready tasks has to be cheap and must not depend on the order in which they became ready.
//! Blocks of neighbouring numbers make the nth of them a walk over the blocks.

use std::collections::BTreeMap;

/// Numbers that are equal but for their lower bits lie in one block.
const BLOCK_BITS: u32 = 9;

/// Numbers, which are looked for within one block, and counted block by block.
#[derive(Default)]
pub(super) struct Sorted {
    /// None is empty, and each is sorted.
    blocks: BTreeMap<u64, Vec<u64>>,
    len: usize,
}

impl Sorted {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a number, unless it is there.
    pub(super) fn insert(&mut self, number: u64) {
        let block = self.blocks.entry(number >> BLOCK_BITS).or_default();
        if let Err(place) = block.binary_search(&number) {
            block.insert(place, number);
            self.len += 1;
        }
    }

    /// Removes a number, if it is there.
    pub(super) fn remove(&mut self, number: u64) {
        let key = number >> BLOCK_BITS;
        let place = self
            .blocks
            .get(&key)
            .and_then(|block| block.binary_search(&number).ok());
        if let Some(place) = place {
            self.remove_at(key, place);
        }
    }

    /// Removes and returns the number that has so many smaller ones.
    ///
    /// # Panics
    /// If there is none.
    pub(super) fn take(&mut self, smaller: usize) -> u64 {
        let mut left = smaller;
        for (key, block) in &self.blocks {
            if left < block.len() {
                return self.remove_at(*key, left);
            }
            left -= block.len();
        }
        panic!("number {smaller} of {}", self.len);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u64> {
        self.blocks.values().flatten().copied()
    }

    fn remove_at(&mut self, key: u64, place: usize) -> u64 {
        let block = self.blocks.get_mut(&key).expect("the caller has found it");
        let number = block.remove(place);
        if block.is_empty() {
            self.blocks.remove(&key);
        }
        self.len -= 1;
        number
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn gives_its_nth_as_a_plain_set_does() {
        let mut rng = fastrand::Rng::with_seed(1);
        let (mut sorted, mut plain) = (Sorted::default(), BTreeSet::new());
        for _ in 0..20_000 {
            let number = rng.u64(..5_000);
            match rng.u8(..4) {
                0 => {
                    sorted.remove(number);
                    plain.remove(&number);
                }
                1 if !plain.is_empty() => {
                    let smaller = rng.usize(..plain.len());
                    let expected = *plain.iter().nth(smaller).unwrap();
                    assert_eq!(sorted.take(smaller), expected);
                    plain.remove(&expected);
                }
                _ => {
                    sorted.insert(number);
                    plain.insert(number);
                }
            }
            assert_eq!(sorted.len(), plain.len());
            assert_eq!(sorted.is_empty(), plain.is_empty());
        }
        assert!(sorted.iter().eq(plain));
    }
}
