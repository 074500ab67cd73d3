//! The YAML of the registry's `config` node.
//!
//! Java members write that node with SnakeYAML and read it with a closed list of keys. This module writes the same text
//! to the byte, so that a rewrite by either side changes only what was meant to change, and reads what a Java member, a
//! person or a tool may have put there: folded lines, JSON, repeated keys, YAML 1.1 numbers and switches.
//!
//! Start at [`Writer`] for writing and at [`tree::parse`] for reading. Which keys there are is not known here: see
//! [`crate::job`].
//!
//! The text is the one that SnakeYAML 2.2 writes, which is that of ElasticJob from 3.0.4 on; 1.33 writes the same, and 1.26
//! escapes characters beyond U+FFFF in double quotes besides. All three read what we write as the same values. There are
//! three deviations from 2.2, for the sake of those values:
//! - a text with control characters is written in double quotes with escapes where SnakeYAML writes `!!binary`, which breaks
//!   Java's own reading of `props`;
//! - so is a text with one of the line separators of YAML 1.1 (U+0085, U+2028, U+2029) or a byte order mark: SnakeYAML reads
//!   the first as a line feed, and readers of YAML 1.2 misread all of them raw;
//! - a text such as `08` stands in quotes, since SnakeYAML 1.26 takes it for a number, and read plain it is a text.

mod emit;
#[cfg(feature = "sources")]
pub(crate) mod lines;
pub(crate) mod resolve;
mod style;
#[cfg(feature = "sources")]
pub(crate) mod tree;
#[cfg(feature = "sources")]
pub(crate) mod value;
#[cfg(feature = "sources")]
pub(crate) mod verbatim;
mod writer;

pub(crate) use writer::{Value, Writer};
