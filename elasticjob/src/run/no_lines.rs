//! No lines of a run: the program was built without a history that would keep them.

/// Lines that there cannot be.
#[derive(Debug)]
pub(crate) enum Lines {}

#[cfg(feature = "script")]
impl Lines {
    pub(crate) fn said(&self, _stream: &str, _line: &str) {
        match *self {}
    }
}
