//! What an operator should know of the file.

use std::path::Path;

use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqliteConnection};

use super::file::Place;
use super::store;
use crate::registry::inspection::Finding;

/// Below that a file may not grow as it needs to.
#[cfg(unix)]
const LITTLE_ROOM: u64 = 256 * 1024 * 1024;

/// Looks at the file and its place.
pub(super) async fn inspect(path: &Path) -> Vec<Finding> {
    let mut findings = of_place(path.parent().unwrap_or(Path::new("/")));
    match of_file(path).await {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(Finding::unsafe_because(
            "file",
            format!("it cannot be read: {error}"),
            "see that the user of the instances may read and write it, and its folder",
        )),
    }
    findings.push(Finding::notice(
        "servers",
        "the file is on one machine: no job runs while that is away, and all is lost with its disk",
        "copy it with `sqlite3 FILE \".backup COPY\"`, or take a registry with several servers",
    ));
    findings
}

fn of_place(folder: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    match Place::of(folder) {
        Ok(Place::Local) => findings.push(Finding::good("place", "it is on a disk of this machine")),
        // Such a file is refused before.
        Ok(Place::Network(kind)) => findings.push(Finding::unsafe_because(
            "place",
            format!("it is on a network file system ({kind}), on which locks do not hold"),
            "move it to a disk of this machine",
        )),
        Ok(Place::Unknown(kind)) => findings.push(Finding::notice(
            "place",
            format!("it is on {kind}: a program serves this file system, and locks may not hold"),
            "move it to a disk of this machine",
        )),
        Err(error) => findings.push(Finding::notice(
            "place",
            format!("its folder: {error}"),
            "see that it can be read",
        )),
    }
    #[cfg(unix)]
    if let Ok(system) = rustix::fs::statvfs(folder) {
        let room = system.f_bavail.saturating_mul(system.f_frsize);
        if room < LITTLE_ROOM {
            let text = format!("{} MiB of the disk are free", room / (1024 * 1024));
            findings.push(Finding::notice(
                "place",
                text,
                "make room: with a full disk all sessions are lost",
            ));
        }
    }
    findings
}

async fn of_file(path: &Path) -> Result<Vec<Finding>, sqlx::Error> {
    let mut connection = store::options(path, false).connect().await?;
    let version = text(&mut connection, "SELECT sqlite_version()").await?;
    let journal = text(&mut connection, "PRAGMA journal_mode").await?;
    let damage = text(&mut connection, "PRAGMA quick_check(1)").await?;
    connection.close().await?;
    let mut findings = vec![Finding::good("versions", format!("SQLite {version}"))];
    findings.push(if damage == "ok" {
        Finding::good("file", "it is whole")
    } else {
        Finding::unsafe_because(
            "file",
            format!("it is damaged: {damage}"),
            "stop all instances, and restore a backup",
        )
    });
    if journal != "wal" {
        let text = format!("its journal is `{journal}`, and not `wal`: readers and writers wait for each other");
        findings.push(Finding::notice(
            "file",
            text,
            "let no other program change `journal_mode`",
        ));
    }
    Ok(findings)
}

async fn text(connection: &mut SqliteConnection, statement: &'static str) -> Result<String, sqlx::Error> {
    sqlx::query(statement).fetch_one(connection).await?.try_get(0)
}
