use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use elasticjob::configuration::sources;
use encoding_rs::{Encoding, UTF_8};

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::import::{self, Import, Source};
use crate::output::{Show, Style};

/// The largest file that is read, in bytes: the same as for files of YAML.
const MOST_BYTES: u64 = 16 << 20;

/// Convert Spring's XML with Java's Spring namespaces to an application.yaml
///
/// Prints the configuration on the standard output and leaves placeholders as they are. Settings that cannot be converted are
/// listed with their lines, on the standard error and in a comment above the configuration; then the exit code is 1.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// Spring's files, such as `applicationContext.xml`; they may refer to each other
    #[arg(required = true, value_name = "XML")]
    files: Vec<PathBuf>,

    /// A `.properties` file with the values of placeholders in job names
    #[arg(long, value_name = "FILE")]
    properties: Vec<PathBuf>,
}

impl Arguments {
    pub(crate) fn run(self, context: &Context) -> Result<Outcome, Failure> {
        let mut sources = Vec::new();
        for path in &self.files {
            sources.push(Source {
                name: path.display().to_string(),
                text: read(path)?,
            });
        }
        let mut properties = BTreeMap::new();
        for path in &self.properties {
            let name = path.display().to_string();
            properties.extend(sources::read_properties(&name, &read(path)?).map_err(Failure::Settings)?);
        }
        let import = import::import(&sources, &properties).map_err(|faults| Failure::Usage(faults.join("\n")))?;
        context.show(&import)?;
        for remark in &import.remarks {
            eprintln!("{remark}");
        }
        Ok(if import.remarks.is_empty() {
            Outcome::Done
        } else {
            Outcome::No
        })
    }
}

impl Show for Import {
    fn text(&self, _: Style) -> String {
        self.yaml.clone()
    }
}

/// Reads a file: UTF-8, or the encoding that its first line names.
fn read(path: &Path) -> Result<String, Failure> {
    let failed = |source| Failure::File {
        what: format!("cannot read {}", path.display()),
        source,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MOST_BYTES {
        let most = MOST_BYTES >> 20;
        return Err(Failure::Usage(format!("{} has more than {most} MiB", path.display())));
    }
    let encoding = declared(&bytes);
    // The mark at the beginning of a file says more than its first line.
    let (text, encoding, is_damaged) = encoding.decode(&bytes);
    if is_damaged {
        let name = encoding.name();
        let way_out = "name the encoding in the first line, as in `<?xml version=\"1.0\" encoding=\"GBK\"?>`";
        return Err(Failure::Usage(format!("{} is not {name}: {way_out}", path.display())));
    }
    Ok(text.into_owned())
}

/// Returns the encoding that a declaration of XML names, UTF-8 if there is none or its name is unknown.
fn declared(bytes: &[u8]) -> &'static Encoding {
    let start = &bytes[..bytes.len().min(200)];
    let start = String::from_utf8_lossy(start);
    let declaration = start
        .trim_start_matches('\u{feff}')
        .strip_prefix("<?xml")
        .unwrap_or_default();
    let declaration = declaration.split("?>").next().unwrap_or_default();
    let name = declaration.split_once("encoding").map(|(_, name)| name);
    let name = name.and_then(|name| name.split(['"', '\'']).nth(1));
    name.and_then(|name| Encoding::for_label(name.as_bytes()))
        .unwrap_or(UTF_8)
}
