//! The output of a script, line by line into the log.
//!
//! Output is read as it comes, so a script never blocks on a full pipe, and a line without an end does not fill the
//! memory: it is logged in pieces of 8 KiB. The last lines are kept for the cause of a failure. Bytes that are no UTF-8
//! are replaced.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tracing::{info, warn};

use crate::run::Lines;
use crate::trace::SCRIPT_OUTPUT;

/// A longer line is logged in pieces.
const LINE_LIMIT: usize = 8 * 1024;

/// So many lines are kept for the cause of a failure,
const KEPT_LINES: usize = 10;

/// and so much of each.
const KEPT_BYTES: usize = 300;

/// The last lines of a script, on whichever stream.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// The log of the run has all of them.
    log: Option<Arc<Lines>>,
    /// A std mutex: never held across an await.
    lines: Mutex<VecDeque<String>>,
}

impl Tail {
    pub(super) fn new(log: Option<Arc<Lines>>) -> Self {
        Self { log, ..Self::default() }
    }

    /// Logs what comes by one stream until its end.
    pub(super) async fn log(&self, stream: &str, output: Option<impl AsyncRead + Unpin>) {
        let Some(mut output) = output else {
            return;
        };
        let mut lines = Splitter::default();
        let mut buffer = Vec::with_capacity(LINE_LIMIT);
        loop {
            buffer.clear();
            match output.read_buf(&mut buffer).await {
                Ok(0) => break,
                Ok(_) => lines.push(&buffer, |line| self.add(stream, line)),
                Err(error) => {
                    warn!(stream, %error, "output of the script cannot be read");
                    break;
                }
            }
        }
        lines.finish(|line| self.add(stream, line));
    }

    /// Logs a line, and keeps it as one of the last.
    fn add(&self, stream: &str, line: &str) {
        info!(target: SCRIPT_OUTPUT, stream, line, "script");
        if let Some(log) = &self.log {
            log.said(stream, line);
        }
        if line.trim().is_empty() {
            return;
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT_LINES {
            lines.pop_front();
        }
        lines.push_back(line[..line.floor_char_boundary(KEPT_BYTES)].to_owned());
    }

    /// The last lines, in the order in which they came.
    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines.into_inner().unwrap_or_else(PoisonError::into_inner).into()
    }
}

/// Finds the lines in pieces of output.
#[derive(Debug, Default)]
struct Splitter {
    /// Less than a line, and less than the limit.
    begun: Vec<u8>,
}

impl Splitter {
    fn push(&mut self, piece: &[u8], mut found: impl FnMut(&str)) {
        for part in piece.split_inclusive(|&byte| byte == b'\n') {
            let mut rest = part;
            while self.begun.len() + rest.len() > LINE_LIMIT {
                let (fitting, beyond) = rest.split_at(LINE_LIMIT - self.begun.len());
                self.begun.extend_from_slice(fitting);
                self.finish(&mut found);
                rest = beyond;
            }
            self.begun.extend_from_slice(rest);
            if self.begun.ends_with(b"\n") {
                self.finish(&mut found);
            }
        }
    }

    /// What was begun is a line now.
    fn finish(&mut self, mut found: impl FnMut(&str)) {
        let begun = std::mem::take(&mut self.begun);
        if begun.is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(&begun);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        found(line.strip_suffix('\r').unwrap_or(line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut found) = (Splitter::default(), Vec::new());
        for piece in pieces {
            lines.push(piece, |line| found.push(line.to_owned()));
        }
        lines.finish(|line| found.push(line.to_owned()));
        found
    }

    #[test]
    fn lines_should_be_found_however_the_output_comes() {
        assert_eq!(lines(&[b"a\nb", b"c\r\n", b"\n", b"d"]), ["a", "bc", "", "d"]);
        assert_eq!(lines(&["gr\u{f6}".as_bytes(), b"\xff\n"]), ["grö\u{fffd}"]);
        assert_eq!(lines(&[]), Vec::<String>::new());
    }

    #[test]
    fn a_line_without_an_end_should_come_in_pieces() {
        let long = vec![b'x'; LINE_LIMIT * 2 + 5];
        let found = lines(&[b"ab", &long, b"\ny\n"]);
        let lengths: Vec<_> = found.iter().map(String::len).collect();
        assert_eq!(lengths, [LINE_LIMIT, LINE_LIMIT, 7, 1]);
        assert_eq!(lines(&[&long[..LINE_LIMIT]]).len(), 1);
    }

    #[tokio::test]
    async fn the_last_lines_should_be_kept() {
        let tail = Tail::default();
        let text: String = (0..40).map(|line| format!("line {line}\n\n")).collect();
        tail.log("stdout", Some(text.as_bytes())).await;
        tail.log("stderr", Some("ö".repeat(500).as_bytes())).await;
        let kept = tail.into_lines();
        assert_eq!(kept.len(), KEPT_LINES);
        assert_eq!((&*kept[0], kept[9].len()), ("line 31", KEPT_BYTES));
    }
}
