//! The YAML of the registry's `config` node.
//!
//! Java members write that node with SnakeYAML and read it with a closed list of keys. This module writes the same text
//! to the byte, so that a rewrite by either side changes only what was meant to change, and reads what a Java member, a
//! person or a tool may have put there: folded lines, JSON, repeated keys, YAML 1.1 numbers and switches.
//!
//! Start at [`Writer`] for writing and at [`tree::parse`] for reading. Which keys there are is not known here: see
//! [`crate::job`].
//!
//! Two deviations from SnakeYAML, both readable by it: a text with control characters is written in double quotes with
//! escapes where SnakeYAML writes `!!binary`, which breaks Java's own reading of `props`; and so is a text with one of
//! the line separators of YAML 1.1 (U+0085, U+2028, U+2029) or a byte order mark, which a YAML 1.2 reader would misread
//! raw.

mod emit;
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
