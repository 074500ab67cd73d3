//! Files of JSON, a value a line, that several processes append to at once and that are read while they grow.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Writes lines.
#[derive(Debug)]
pub struct Appender(File);

/// Reads lines.
#[derive(Debug)]
pub struct Tail<T> {
    path: PathBuf,
    file: Option<File>,
    /// The beginning of a line, the end of which is still to come.
    rest: Vec<u8>,
    of: PhantomData<fn() -> T>,
}

impl Appender {
    /// Opens the file, which others append to as well.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Ok(Self(
            file.with_context(|| format!("cannot append to {}", path.display()))?,
        ))
    }

    /// Appends a line.
    ///
    /// # Panics
    /// When it cannot be written: what was to be proven by it is worth nothing then.
    pub fn append(&self, value: &impl Serialize) {
        let mut text = serde_json::to_string(value).expect("a line has only plain fields, which JSON can hold");
        text.push('\n');
        // One write to a file that is open for appending is not torn by those of others.
        (&self.0).write_all(text.as_bytes()).expect("the file can be written");
    }
}

impl<T: DeserializeOwned> Tail<T> {
    /// Returns the lines of a file, which need not be there yet.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            file: None,
            rest: Vec::new(),
            of: PhantomData,
        }
    }

    /// What was appended since the last time.
    ///
    /// # Errors
    /// When the file cannot be read, or holds something else.
    pub fn read(&mut self) -> anyhow::Result<Vec<T>> {
        if self.file.is_none() && self.path.exists() {
            self.file = Some(File::open(&self.path)?);
        }
        if let Some(file) = &mut self.file {
            file.read_to_end(&mut self.rest)?;
        }
        let last = self.rest.iter().rposition(|byte| *byte == b'\n');
        let whole: Vec<u8> = self.rest.drain(..last.map_or(0, |end| end + 1)).collect();
        let lines = whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let parse = |line: &[u8]| {
            let text = || {
                format!(
                    "unexpected in {}: {}",
                    self.path.display(),
                    String::from_utf8_lossy(line)
                )
            };
            serde_json::from_slice(line).with_context(text)
        };
        lines.map(parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_should_be_read_once_and_when_it_is_whole() -> anyhow::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("lines");
        let mut tail: Tail<(u32, String)> = Tail::of(&path);
        assert_eq!(tail.read()?, []);
        let appender = Appender::open(&path)?;
        appender.append(&(1, "one"));
        assert_eq!(tail.read()?, [(1, "one".to_owned())]);
        (&appender.0).write_all(b"[2,\"tw")?;
        assert_eq!(tail.read()?, []);
        (&appender.0).write_all(b"o\"]\nnothing\n")?;
        let error = tail.read().expect_err("the last is none");
        assert!(error.to_string().ends_with("nothing"), "{error}");
        Ok(())
    }
}
