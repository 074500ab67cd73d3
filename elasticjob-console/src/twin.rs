//! What an action of a page is on the command line and over the API, so that an operator can put it into a script.
//!
//! The command line cannot reach a registry that is embedded in the process of the console: the call alone is shown then.

use askama::Template;

use crate::page::Scene;
use crate::text::shown;
use crate::words::Words;

#[derive(Template)]
#[template(path = "twin.html")]
struct Twin<'a> {
    w: &'a Words,
    base: &'a str,
    command: Option<String>,
    call: String,
}

/// Returns the twins of an action as elements: the command, by its words, and the call, by the path behind `/api/v2`, which is
/// escaped, and the body, if there is one.
pub(crate) fn of(scene: &Scene, command: &[&str], path: &str, body: Option<&str>) -> String {
    let words = ["elasticjob"].iter().chain(command).copied();
    let body = body.map(|body| format!(" -d '{body}'")).unwrap_or_default();
    let base = &scene.base;
    let twin = Twin {
        w: scene.words,
        base,
        command: scene.is_shared.then(|| shown(&shell_words::join(words))),
        call: format!("curl -X POST -H \"Authorization: Bearer $TOKEN\" \"$CONSOLE{base}/api/v2{path}\"{body}"),
    };
    twin.render().expect("a template writes into a string")
}

/// The body of a request that switches something off, with a place for the reason.
pub(crate) const REASON: &str = "{\"reason\":\"..\"}";
