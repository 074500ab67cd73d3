//! What an operator should know of a PostgreSQL server: versions, and settings that make it unsafe.

use std::fmt;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, Row as _};

use crate::registry::inspection::Finding;

/// What the server says of itself, as texts: a pooler passes these on as they are.
const QUESTIONS: &str = "SELECT current_setting('server_version'), pg_is_in_recovery()::text, current_setting('fsync'), \
     current_setting('full_page_writes'), current_setting('synchronous_commit'), \
     current_setting('synchronous_standby_names'), current_setting('default_transaction_read_only'), \
     (SELECT count(*) FROM pg_stat_replication)::text";

/// The answers to [`QUESTIONS`].
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    version: String,
    is_standby: bool,
    fsync: String,
    full_page_writes: String,
    synchronous_commit: String,
    synchronous_standbys: String,
    read_only: String,
    /// How many standbys follow; 0 also if our role may not see them.
    standbys: u32,
}

/// Asks the server over a connection of its own.
pub(super) async fn inspect(options: &PgConnectOptions) -> Result<Vec<Finding>, sqlx::Error> {
    let mut connection = options.connect().await?;
    let row = connection.fetch_one(sqlx::raw_sql(QUESTIONS)).await?;
    let text = |index: usize| row.try_get::<String, _>(index);
    let known = Known {
        version: text(0)?,
        is_standby: text(1)? == "true",
        fsync: text(2)?,
        full_page_writes: text(3)?,
        synchronous_commit: text(4)?,
        synchronous_standbys: text(5)?,
        read_only: text(6)?,
        standbys: text(7)?.parse().unwrap_or_default(),
    };
    connection.close().await?;
    Ok(judged(&known))
}

/// Says that the server could not be asked, although it gives sessions.
pub(super) fn unknown(problem: &dyn fmt::Display) -> Finding {
    Finding::notice(
        "settings",
        format!("the server does not say how it is set: {problem}"),
        "check by hand that `fsync` is on, and that commits wait for a standby",
    )
}

fn judged(known: &Known) -> Vec<Finding> {
    let mut findings = vec![Finding::good("versions", format!("PostgreSQL {}", known.version))];
    if known.is_standby {
        findings.push(Finding::unsafe_because(
            "servers",
            "the server is a standby, and takes no writes",
            "name the primary, or all servers with `target_session_attrs=read-write`",
        ));
    }
    if known.read_only == "on" {
        findings.push(Finding::unsafe_because(
            "settings",
            "`default_transaction_read_only` is on",
            "set it off for the role of the instances: `ALTER ROLE .. SET default_transaction_read_only = off`",
        ));
    }
    for (name, value) in [("fsync", &known.fsync), ("full_page_writes", &known.full_page_writes)] {
        if value == "off" {
            findings.push(Finding::unsafe_because(
                "settings",
                format!("`{name}` is off: a loss of power can undo or damage what was answered"),
                format!("set `{name} = on`"),
            ));
        }
    }
    findings.push(of_replication(known));
    findings
}

/// Judges whether what was answered survives a failover.
fn of_replication(known: &Known) -> Finding {
    let is_synchronous =
        !known.synchronous_standbys.is_empty() && !matches!(&*known.synchronous_commit, "off" | "local");
    if is_synchronous {
        let text = format!(
            "commits wait for a standby (`synchronous_standby_names = '{}'`)",
            known.synchronous_standbys
        );
        return Finding::good("replication", text);
    }
    if known.standbys == 0 {
        return Finding::notice(
            "replication",
            "no standby is seen: no job runs while the server is away, and all since the last backup is lost with its disk",
            "have a standby, and name it in `synchronous_standby_names`",
        );
    }
    Finding::unsafe_because(
        "replication",
        format!(
            "{} standbys follow, and commits do not wait for one: a failover can undo claims, and items run twice",
            known.standbys
        ),
        "set `synchronous_standby_names`, and leave `synchronous_commit` at `on`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::inspection::Level;

    fn known() -> Known {
        let text = str::to_owned;
        Known {
            version: text("15.10"),
            is_standby: false,
            fsync: text("on"),
            full_page_writes: text("on"),
            synchronous_commit: text("on"),
            synchronous_standbys: text("FIRST 1 (a, b)"),
            read_only: text("off"),
            standbys: 2,
        }
    }

    fn is_unsafe(change: impl FnOnce(&mut Known)) -> Vec<String> {
        let mut known = known();
        change(&mut known);
        let findings = judged(&known)
            .into_iter()
            .filter(|finding| finding.level == Level::Unsafe);
        findings.map(|finding| finding.text).collect()
    }

    mod a_server {
        use super::*;

        #[test]
        fn that_forgets_what_it_answered_is_unsafe() {
            assert_eq!(is_unsafe(|_| {}), Vec::<String>::new());
            assert!(is_unsafe(|known| known.fsync = "off".to_owned())[0].contains("`fsync` is off"));
            assert!(is_unsafe(|known| known.full_page_writes = "off".to_owned())[0].contains("`full_page_writes`"));
            assert!(is_unsafe(|known| known.is_standby = true)[0].contains("is a standby"));
            assert!(is_unsafe(|known| known.read_only = "on".to_owned())[0].contains("default_transaction_read_only"));
            assert!(is_unsafe(|known| known.synchronous_standbys.clear())[0].contains("2 standbys follow"));
            for setting in ["off", "local"] {
                assert_eq!(
                    is_unsafe(|known| known.synchronous_commit = setting.to_owned()).len(),
                    1,
                    "{setting}"
                );
            }
            let alone = is_unsafe(|known| {
                known.synchronous_standbys.clear();
                known.standbys = 0;
            });
            assert_eq!(alone, Vec::<String>::new(), "one server alone may be meant");
        }
    }
}
