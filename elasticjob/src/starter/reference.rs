//! `docs/properties.md` is what this build reads from the props of jobs: with `WRITE_REFERENCE=1` the test writes it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::cluster::policy::Policy;
use crate::error_handler::ErrorHandlers;
use crate::executor::{JobExecutors, Tries};
use crate::property::{Description, Presence, Reader, describe};
use crate::sharding::Strategies;

#[test]
fn page_of_properties_is_what_is_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/properties.md");
    let expected = page();
    if std::env::var_os("WRITE_REFERENCE").is_some() {
        fs::write(&path, &expected).expect("the file can be written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "docs/properties.md is not what jobs read: run this test with WRITE_REFERENCE=1"
    );
}

fn page() -> String {
    let mut page = String::from(
        "# Properties\n\n\
         What jobs read from their `props`, beside the settings of [settings.md](settings.md). The page is made of what the code\n\
         asks for, and a test holds it there. A blank value counts as none, and a property that is misspelt keeps the application\n\
         from starting. Job types and error handlers of your own read theirs with `elasticjob::property`.\n",
    );
    let every_job = [describe::<Policy>(), describe::<Tries>()].concat();
    page += &section("Of every job", &every_job);
    let types = JobExecutors::built_in();
    for name in types.names() {
        let executor = types.get(name).expect("it is one of the names");
        let read = read_by(|reader| drop(executor.open(reader)));
        page += &section(&format!("Of the job type `{name}`"), &read);
    }
    let strategies = Strategies::built_in();
    for name in strategies.names() {
        let strategy = strategies.get(name).expect("it is one of the names");
        page += &section(
            &format!("Of the sharding strategy `{name}`"),
            &read_by(|reader| strategy.check(1, reader)),
        );
    }
    let handlers = ErrorHandlers::built_in();
    for name in handlers.names() {
        let handler = handlers.get(name).expect("it is one of the names");
        let read = read_by(|reader| {
            let _ = handler.check(reader);
        });
        page += &section(&format!("Of the error handler `{name}`"), &read);
    }
    page
}

fn read_by(read: impl FnOnce(&mut Reader<'_>)) -> Vec<Description> {
    let props = BTreeMap::new();
    let mut reader = Reader::new(&props);
    read(&mut reader);
    reader.into_descriptions()
}

/// A table of these properties; nothing if there are none.
fn section(title: &str, properties: &[Description]) -> String {
    if properties.is_empty() {
        return String::new();
    }
    let mut section = format!("\n## {title}\n\n| property | value | without it |\n|---|---|---|\n");
    for property in properties {
        let Description {
            key,
            expected,
            presence,
            is_secret,
        } = property;
        let secret = if *is_secret { " (secret)" } else { "" };
        let without = match presence {
            Presence::Required => "the application does not start".to_owned(),
            Presence::Optional | Presence::Default("") => String::new(),
            Presence::Default(value) => format!("`{value}`"),
        };
        let expected = expected.replace('|', "\\|");
        writeln!(section, "| `{key}` | {expected}{secret} | {without} |").expect("a text takes all");
    }
    section
}
