//! The servers: addresses on which instances are, and their switches.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use elasticjob::operation::ServerSwitch;

use crate::text::shown;
use crate::twin;
use crate::words::Words;

use super::{Fragments, Scene, escaped, id_of, rendered};

/// Servers on the page.
const ROWS: usize = 300;

/// Jobs that a server names.
const NAMED: usize = 5;

/// The page of servers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServersView {}

#[derive(Default)]
struct Server<'a> {
    instances: BTreeSet<&'a str>,
    jobs: Vec<&'a str>,
    off: usize,
}

impl ServersView {
    pub(super) fn fragments(self, scene: &Scene) -> Fragments {
        let w = scene.words;
        let mut fragments = Fragments::new(w.servers);
        let servers = servers(scene);
        let rest = servers.len().checked_sub(ROWS).filter(|rest| *rest > 0);
        for (address, server) in servers.into_iter().take(ROWS) {
            fragments.list("rows", id_of("s", address), &Row::of(address, &server, scene));
        }
        let is_empty = !fragments.lists.contains_key("rows");
        fragments.lists.entry("rows").or_default();
        let note = if is_empty {
            w.no_servers.to_owned()
        } else {
            rest.map(w.more_jobs).unwrap_or_default()
        };
        fragments.push("note", &NotePart { note });
        fragments
    }

    pub(super) fn body(self, scene: &Scene, fragments: &Fragments) -> String {
        rendered(&ServersBody {
            w: scene.words,
            rows: fragments.listed("rows"),
            note: fragments.html("note"),
        })
    }
}

fn servers(scene: &Scene) -> BTreeMap<&str, Server<'_>> {
    let mut servers: BTreeMap<&str, Server<'_>> = BTreeMap::new();
    for (name, job) in scene.picture.jobs.iter() {
        for found in &job.report.servers {
            let server = servers.entry(&found.ip).or_default();
            server.jobs.push(name);
            server.off += usize::from(found.switch == ServerSwitch::Disabled);
            let here = job
                .report
                .instances
                .iter()
                .filter(|instance| instance.server == found.ip);
            server.instances.extend(here.map(|instance| &*instance.id));
        }
    }
    servers
}

#[derive(Template)]
#[template(path = "servers.html")]
struct ServersBody<'a> {
    w: &'a Words,
    rows: String,
    note: &'a str,
}

#[derive(Template)]
#[template(path = "note.html")]
struct NotePart {
    note: String,
}

#[derive(Template)]
#[template(path = "server_row.html")]
struct Row<'a> {
    w: &'a Words,
    scene: &'a Scene,
    id: String,
    address: String,
    /// The path of its actions.
    path: String,
    instances: Vec<String>,
    jobs: Vec<(String, String)>,
    more: Option<String>,
    off: Option<String>,
    is_all_off: bool,
    /// The twins of the button.
    twins: String,
}

impl<'a> Row<'a> {
    fn of(address: &str, server: &Server<'_>, scene: &'a Scene) -> Self {
        let w = scene.words;
        let is_all_off = server.off == server.jobs.len();
        let path = format!("/servers/{}", escaped(address));
        Row {
            w,
            scene,
            id: id_of("s", address),
            address: shown(address),
            path: format!("{}/servers/{}", scene.base, escaped(address)),
            instances: server.instances.iter().take(NAMED).map(|id| shown(id)).collect(),
            jobs: server
                .jobs
                .iter()
                .take(NAMED)
                .map(|job| (shown(job), scene.job(job)))
                .collect(),
            more: server
                .jobs
                .len()
                .checked_sub(NAMED)
                .filter(|more| *more > 0)
                .map(w.more_jobs),
            off: (server.off > 0).then(|| (w.off_in)(server.off, server.jobs.len())),
            is_all_off,
            twins: if is_all_off {
                twin::of(scene, &["enable", "--server", address], &format!("{path}/enable"), None)
            } else {
                twin::of(
                    scene,
                    &["disable", "--server", address],
                    &format!("{path}/disable"),
                    Some(twin::REASON),
                )
            },
        }
    }
}
