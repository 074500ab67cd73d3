//! Fingerprints of histories, kept in a file: a change of the code that only moves it leaves each of them equal.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

/// The fingerprints of seeds, as a file has them: a line `SEED FINGERPRINT` each.
#[derive(Debug)]
pub(crate) enum Fingerprints {
    /// There is no file yet: it is written at the end.
    Missing(PathBuf),
    Known {
        file: PathBuf,
        of_seeds: BTreeMap<u64, u64>,
    },
}

impl Fingerprints {
    /// Reads the file, if there is one.
    ///
    /// # Errors
    /// The file cannot be read, or a line of it is no fingerprint.
    pub(crate) fn read(file: &str) -> anyhow::Result<Self> {
        let file = PathBuf::from(file);
        if !file.exists() {
            return Ok(Self::Missing(file));
        }
        let text = fs::read_to_string(&file).with_context(|| format!("`{}` cannot be read", file.display()))?;
        let of_seeds: BTreeMap<u64, u64> = text
            .lines()
            .map(|line| parse(line).with_context(|| format!("`{line}` in `{}` is no fingerprint", file.display())))
            .collect::<anyhow::Result<_>>()?;
        ensure!(!of_seeds.is_empty(), "`{}` is empty", file.display());
        Ok(Self::Known { file, of_seeds })
    }

    /// Returns what is wrong with the fingerprint of a seed, if there is something to compare it with.
    pub(crate) fn fault(&self, seed: u64, found: u64) -> Option<String> {
        let Self::Known { file, of_seeds } = self else {
            return None;
        };
        match of_seeds.get(&seed) {
            Some(known) if *known == found => None,
            Some(_) => Some(format!("the history differs from the one in `{}`", file.display())),
            None => Some(format!("`{}` has no fingerprint of it", file.display())),
        }
    }

    /// Writes the fingerprints that were found, if there was no file. Returns a word on what was done.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn finish(&self, found: &BTreeMap<u64, u64>) -> anyhow::Result<String> {
        match self {
            Self::Known { file, .. } => Ok(format!("compared with `{}`", file.display())),
            Self::Missing(file) => {
                write(file, found)?;
                Ok(format!("written to `{}`", file.display()))
            }
        }
    }
}

fn parse(line: &str) -> anyhow::Result<(u64, u64)> {
    let Some((seed, fingerprint)) = line.split_once(' ') else {
        bail!("it lacks the blank after the seed");
    };
    Ok((seed.parse()?, u64::from_str_radix(fingerprint, 16)?))
}

fn write(file: &Path, found: &BTreeMap<u64, u64>) -> anyhow::Result<()> {
    let mut text = String::new();
    for (seed, fingerprint) in found {
        writeln!(text, "{seed} {fingerprint:016x}")?;
    }
    fs::write(file, text).with_context(|| format!("`{}` cannot be written", file.display()))
}
