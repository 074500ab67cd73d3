//! Carries jobs over from Spring's XML, as Java's Spring namespaces read it, to an `application.yaml`.
//!
//! [`read`] finds the elements and beans in the files, [`assembly`] decides which of them an application of ours can have, with
//! the tables of [`names`], and [`yaml`] writes that down. Placeholders stay as they are. What cannot be carried over becomes a
//! [`Remark`] with its line; nothing is left out in silence.

mod assembly;
mod names;
mod read;
mod yaml;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use self::read::Files;

/// A file of XML.
pub(crate) struct Source {
    /// The name, as messages show it.
    pub(crate) name: String,
    /// The content.
    pub(crate) text: String,
}

/// The configuration that the files become.
#[derive(Debug, Serialize)]
pub(crate) struct Import {
    /// The text of `application.yaml`.
    pub(crate) yaml: String,
    /// What the text does not have, in the order of files and lines.
    pub(crate) remarks: Vec<Remark>,
}

/// Something that was not carried over, or that the user has to complete.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Remark {
    /// The file, as it was named.
    pub(crate) file: String,
    /// The line of it, from 1.
    pub(crate) line: usize,
    /// What is missing, and what to do.
    pub(crate) text: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.file, self.line, self.text)
    }
}

/// Carries the jobs of all files over. References between the files count.
///
/// `properties` are looked up for placeholders in the names of jobs, and only there: a name is a key of the YAML.
///
/// # Errors
/// Lists each fault with its file and line: XML that is not well-formed, a name of a job that cannot be found out or that two
/// jobs have, and files without any element of ElasticJob's namespaces.
pub(crate) fn import(sources: &[Source], properties: &BTreeMap<String, String>) -> Result<Import, Vec<String>> {
    let documents = read::parse(sources)?;
    let files = Files::new(sources, &documents);
    let (application, mut remarks) = assembly::assemble(&files, properties)?;
    remarks.sort();
    let yaml = yaml::write(&application, &remarks);
    Ok(Import { yaml, remarks })
}
