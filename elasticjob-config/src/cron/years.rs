//! The year field: too wide for a bit set, so kept as arithmetic progressions.

use super::field::YEARS;

/// The years of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Years(Vec<Progression>);

/// Every `step`-th year from `first` to `last`, both included where reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progression {
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) step: u16,
}

impl Years {
    /// Returns no years, to be filled.
    pub(super) const fn none() -> Self {
        Self(Vec::new())
    }

    /// Returns all years that there are, for an expression that names none.
    pub(super) fn every() -> Self {
        Self(vec![Progression {
            first: YEARS.0,
            last: YEARS.1,
            step: 1,
        }])
    }

    pub(super) fn insert(&mut self, progression: Progression) {
        self.0.push(progression);
    }

    pub(super) fn is_every(&self) -> bool {
        self.0
            .iter()
            .any(|part| part.first == YEARS.0 && part.last == YEARS.1 && part.step == 1)
    }

    pub(super) fn contains(&self, year: i16) -> bool {
        self.first_from(year) == Some(year)
    }

    /// The earliest of the years that is not before `year`.
    pub(super) fn first_from(&self, year: i16) -> Option<i16> {
        self.0.iter().filter_map(|part| part.first_from(year)).min()
    }

    /// The latest of the years that is not after `year`.
    pub(super) fn last_until(&self, year: i16) -> Option<i16> {
        self.0.iter().filter_map(|part| part.last_until(year)).max()
    }

    /// Returns the years as they were written, for a description.
    pub(super) fn parts(&self) -> &[Progression] {
        &self.0
    }
}

impl Progression {
    /// Returns the first of its years that is not before this one.
    fn first_from(self, year: i16) -> Option<i16> {
        let (first, last, step) = self.signed();
        let steps = (year - first).max(0).unsigned_abs().div_ceil(self.step);
        let found = i32::from(first) + i32::from(steps) * step;
        (found <= i32::from(last)).then_some(found as i16)
    }

    /// Returns the last of its years that is not after this one.
    fn last_until(self, year: i16) -> Option<i16> {
        let (first, last, step) = self.signed();
        let year = year.min(last);
        (year >= first).then(|| first + ((i32::from(year - first) / step) * step) as i16)
    }

    /// All years are below 10,000, so that they fit.
    fn signed(self) -> (i16, i16, i32) {
        (self.first as i16, self.last as i16, self.step.into())
    }
}
