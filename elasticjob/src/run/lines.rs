//! What one attempt has logged: a ring of messages, bounded by bytes, which keeps the newest.
//!
//! A message comes from the application and from what it talks to, so it may hold anything. Escape sequences of terminals and control
//! characters are removed. A message of several lines keeps them, each behind a sign, so that no message can look like several: only a
//! line that begins with a time begins a message. Values of the job's secret props are replaced, and so are secrets that a text
//! quotes, such as the password in a URL.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use elasticjob_config::sources::{RunLogLevel, RunLogSettings};
use elasticjob_config::{PROVIDED, without_secrets};
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::Level;

/// Most bytes of one message.
const MESSAGE_LIMIT: usize = 8 * 1024;

/// So much more of a message is looked at for secrets that its cut would go through.
const MARGIN: usize = 4 * 1024;

/// What stands before each further line of a message.
pub(crate) const CONTINUED: &str = "\n  | ";

/// What stands behind the number of messages that were cut off, in a line of its own.
pub(crate) const CUT_OFF: &str = " earlier messages were cut off)";

/// The messages of one attempt, which the job writes and the history reads.
#[derive(Debug)]
pub(crate) struct Lines {
    /// A std mutex: never held across an await, and only while a line is moved.
    ring: Mutex<Ring>,
    most: usize,
    level: Level,
    secrets: Arc<[String]>,
    /// When the run began, by the wall clock and by the one that is never set.
    began: (Timestamp, Instant),
}

#[derive(Debug, Default)]
struct Ring {
    messages: VecDeque<String>,
    bytes: usize,
    /// Messages that were cut off in front.
    cut: u64,
    /// Counts messages.
    revision: u64,
}

/// What there is of a log at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// How many messages there have been.
    pub(crate) revision: u64,
    pub(crate) text: String,
}

impl Lines {
    pub(crate) fn new(settings: RunLogSettings, began: (Timestamp, Instant), secrets: Arc<[String]>) -> Self {
        Self {
            ring: Mutex::default(),
            most: settings.max_size as usize,
            level: level(settings.level),
            secrets,
            began,
        }
    }

    /// Returns whether messages of this level are kept.
    pub(crate) fn keeps(&self, level: Level) -> bool {
        level <= self.level
    }

    /// Adds a line that the run's own program has said.
    #[cfg_attr(not(feature = "script"), expect(dead_code, reason = "scripts alone say something"))]
    pub(crate) fn said(&self, stream: &str, line: &str) {
        self.add(stream, line);
    }

    /// Adds a message. `from` stands before it: its level and its target, or the stream of a script.
    pub(crate) fn add(&self, from: &str, message: &str) {
        let (wall, steady) = self.began;
        let at = wall.saturating_add(steady.elapsed()).unwrap_or(wall);
        let mut line = format!("{at:.3} {from} ");
        push_plain(&mut line, &self.without_secrets(message));
        line.push('\n');
        self.ring().push(line, self.most);
    }

    /// Replaces what the job's configuration says is secret, and what looks like it.
    fn without_secrets(&self, message: &str) -> String {
        let limit = MESSAGE_LIMIT.min(self.most / 2);
        // Secrets go before the cut, which may go through one. A message of megabytes is not looked through for that.
        let mut text = message[..message.floor_char_boundary(limit + MARGIN)].to_owned();
        let is_whole = text.len() == message.len();
        for secret in &*self.secrets {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), PROVIDED);
            }
        }
        let mut text = without_secrets(&text).into_owned();
        if !is_whole || text.len() > limit {
            let beyond = if is_whole { 0 } else { MARGIN };
            text.truncate(text.floor_char_boundary(limit.min(text.len().saturating_sub(beyond))));
            text.push('…');
        }
        text
    }

    /// Returns how many messages there have been.
    pub(crate) fn revision(&self) -> u64 {
        self.ring().revision
    }

    /// Returns what is kept now.
    pub(crate) fn text(&self) -> Said {
        let ring = self.ring();
        let mut text = String::with_capacity(ring.bytes + 64);
        if ring.cut > 0 {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "({}{CUT_OFF}", ring.cut);
        }
        text.extend(ring.messages.iter().map(String::as_str));
        Said {
            revision: ring.revision,
            text,
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn push(&mut self, line: String, most: usize) {
        self.revision += 1;
        self.bytes += line.len();
        self.messages.push_back(line);
        while self.bytes > most && self.messages.len() > 1 {
            let oldest = self.messages.pop_front().map_or(0, |oldest| oldest.len());
            self.bytes -= oldest;
            self.cut += 1;
        }
    }
}

fn level(level: RunLogLevel) -> Level {
    match level {
        RunLogLevel::Error => Level::ERROR,
        RunLogLevel::Warn => Level::WARN,
        RunLogLevel::Debug => Level::DEBUG,
        RunLogLevel::Trace => Level::TRACE,
        _ => Level::INFO,
    }
}

/// Writes a text without escape sequences and control characters, and its further lines behind a sign.
fn push_plain(to: &mut String, text: &str) {
    let mut rest = text.trim_end_matches(['\r', '\n']).chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => skip_sequence(&mut rest),
            // The sequences that begin with one character.
            '\u{9b}' => skip_control_sequence(&mut rest),
            '\n' => to.push_str(CONTINUED),
            '\t' => to.push('\t'),
            // Line ends of other kinds would begin a line in some viewers.
            '\u{2028}' | '\u{2029}' => to.push_str(CONTINUED),
            c if c.is_control() => {}
            c => to.push(c),
        }
    }
}

/// Skips what belongs to an escape.
fn skip_sequence(rest: &mut std::str::Chars<'_>) {
    match rest.clone().next() {
        Some('[') => {
            rest.next();
            skip_control_sequence(rest);
        }
        // A command to the terminal, which ends with BEL or ESC \. One without an end is taken for a lone escape: the rest of the
        // message is text.
        Some(']' | 'P' | '^' | '_' | 'X') => {
            let mut ahead = rest.clone();
            let mut before = '\0';
            while let Some(c) = ahead.next() {
                let is_end = c == '\u{7}' || c == '\u{9c}' || (before == '\u{1b}' && c == '\\');
                if is_end {
                    *rest = ahead;
                    return;
                }
                before = c;
            }
        }
        Some(c) if (' '..='/').contains(&c) => {
            // Intermediate characters, and one at the end.
            while rest.clone().next().is_some_and(|c| (' '..='/').contains(&c)) {
                rest.next();
            }
            rest.next();
        }
        Some(c) if ('0'..='~').contains(&c) => {
            rest.next();
        }
        _ => {}
    }
}

/// Skips parameters up to the character that ends a control sequence.
fn skip_control_sequence(rest: &mut std::str::Chars<'_>) {
    while rest.clone().next().is_some_and(|c| (' '..='?').contains(&c)) {
        rest.next();
    }
    if rest.clone().next().is_some_and(|c| ('@'..='~').contains(&c)) {
        rest.next();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(settings: RunLogSettings, secrets: &[&str]) -> Lines {
        let secrets: Vec<String> = secrets.iter().map(|&secret| secret.to_owned()).collect();
        Lines::new(settings, (Timestamp::UNIX_EPOCH, Instant::now()), secrets.into())
    }

    /// What a message is, without its time.
    fn kept(message: &str, secrets: &[&str]) -> String {
        let lines = lines(RunLogSettings::default(), secrets);
        lines.add("INFO", message);
        let text = lines.text().text;
        let (_, message) = text.split_once(" INFO ").expect("a message");
        message.strip_suffix('\n').expect("an ended line").to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_the_newest_messages_and_says_what_was_cut() {
        let mut settings = RunLogSettings::default();
        settings.max_size = 1024;
        let lines = lines(settings, &[]);
        for number in 0..100 {
            lines.add("INFO", &format!("message {number}"));
        }
        let text = lines.text().text;
        let cut = text.lines().next().unwrap();
        assert!(text.len() <= 1024 + cut.len() + 1, "{}", text.len());
        assert!(
            cut.starts_with('(') && cut.ends_with(" earlier messages were cut off)"),
            "{cut}"
        );
        let number: usize = cut[1..].split(' ').next().unwrap().parse().unwrap();
        assert_eq!(number + text.lines().count() - 1, 100);
        assert!(text.ends_with("1970-01-01T00:00:00.000Z INFO message 99\n"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn cuts_a_message_of_megabytes() {
        let lines = lines(RunLogSettings::default(), &[]);
        lines.add("INFO", &"ö".repeat(4 * 1024 * 1024));
        lines.add("INFO", "the next");
        let text = lines.text().text;
        assert!(text.len() <= 16 * 1024, "{}", text.len());
        assert!(text.contains("ö…\n") && text.ends_with("the next\n"));
    }

    #[test]
    fn has_no_escape_sequences() {
        for (message, plain) in [
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}[38;5;196mred\u{9b}0m", "red"),
            ("\u{1b}]0;title\u{7}text", "text"),
            ("\u{1b}]8;;http://evil.test\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}Pdevice\u{1b}\\text", "text"),
            ("\u{1b}(Btext\u{1b}c", "text"),
            ("\u{1b}]0;without an end", "]0;without an end"),
            ("a\u{8}\u{7}\0b\u{1b}", "ab"),
            ("tab\tstays, 备份 ö 🎉", "tab\tstays, 备份 ö 🎉"),
        ] {
            assert_eq!(kept(message, &[]), plain, "{message:?}");
        }
    }

    #[test]
    fn is_not_forged_by_a_message() {
        let forged = "done\n2026-01-01T00:00:00.000Z ERROR paid twice\r\n2026-01-01T00:00:00.000Z INFO ok\u{2028}x\n";
        let kept = kept(forged, &[]);
        assert_eq!(
            kept,
            "done\n  | 2026-01-01T00:00:00.000Z ERROR paid twice\n  | 2026-01-01T00:00:00.000Z INFO ok\n  | x"
        );
    }

    #[test]
    fn has_none_of_the_secrets_that_are_known() {
        assert_eq!(kept("sent s3cret!/x", &["s3cret!"]), "sent [provided]/x");
        let quoted = kept("cannot reach postgres://jobs:tiger@db/history", &[]);
        assert!(!quoted.contains("tiger"), "{quoted}");
        // The cut of a long message is behind the secret, not amid it.
        let long = "x".repeat(MESSAGE_LIMIT - 3) + "s3cret!";
        assert!(!kept(&long, &["s3cret!"]).contains("s3c"));
    }
}
