//! What the attributes take: to compile is most of the test.

mod extractors;
mod places;
