//! The tables and functions in PostgreSQL: made, upgraded, and checked before a member uses them.
//!
//! Everything is additive: an older program goes on beside a newer one, with the functions of its own version.

use sqlx::{AssertSqlSafe, Executor as _, PgConnection, Row as _};
use tracing::level_filters::{LevelFilter, STATIC_MAX_LEVEL};
use tracing::warn;

use super::failing::explained;
use crate::registry::Error;

/// The version of the tables and functions that this program makes and uses.
const VERSION: i32 = 3;

/// The oldest program that can use them. Version 1 knew neither the server that answers nor an upgrade. Version 2 does not look into
/// the inbox, which another member of the job does for it.
const OLDEST_PROGRAM: i32 = 2;

/// The oldest server.
const OLDEST_SERVER: i32 = 12;

/// Held while tables are made: an arbitrary number, which is ours.
const LOCK: i64 = 0x656c_6173_7469_6a31;

const STATEMENTS: &str = include_str!("schema.sql");

/// What a role needs that runs applications.
const RIGHTS: &str = "
    SELECT coalesce(string_agg(missing, ', '), '') FROM (
        SELECT needed.privilege || ' on ' || needed.relation AS missing
        FROM (VALUES
            ('elasticjob.schema_version', 'SELECT'),
            ('elasticjob.session', 'SELECT'), ('elasticjob.session', 'INSERT'), ('elasticjob.session', 'UPDATE'),
            ('elasticjob.session', 'DELETE'),
            ('elasticjob.job', 'SELECT'), ('elasticjob.job', 'INSERT'), ('elasticjob.job', 'UPDATE'),
            ('elasticjob.node', 'SELECT'), ('elasticjob.node', 'INSERT'), ('elasticjob.node', 'UPDATE'),
            ('elasticjob.node', 'DELETE'),
            ('elasticjob.change', 'SELECT'), ('elasticjob.change', 'INSERT'), ('elasticjob.change', 'DELETE'),
            ('elasticjob.inbox', 'SELECT'), ('elasticjob.inbox', 'INSERT'), ('elasticjob.inbox', 'DELETE')
        ) AS needed(relation, privilege)
        WHERE NOT has_table_privilege(needed.relation, needed.privilege)
        UNION ALL
        SELECT 'EXECUTE on ' || f FROM unnest(ARRAY['elasticjob.call_v2(bytea)', 'elasticjob.read_v2(bytea)',
            'elasticjob.clean_v2(text, bigint)', 'elasticjob.changes_v2(text, jsonb, boolean)',
            'elasticjob.followed_v2(text, jsonb, boolean)', 'elasticjob.server_v2()',
            'elasticjob.forget_v2(text, text, bigint)', 'elasticjob.waiting_v3(text, bigint)', 'elasticjob.take_v3(text, text, bigint)',
            'elasticjob.array_v3(bytea)', 'elasticjob.joined_v3(jsonb, jsonb)']) AS f
        WHERE NOT has_function_privilege(f, 'EXECUTE')
    ) AS rights";

/// What is known of a server and its database before anything is made there.
#[derive(Debug, serde::Deserialize)]
struct Place {
    is_standby: bool,
    is_read_only: bool,
    server: i32,
    encoding: String,
    role: String,
    database: String,
    /// Whether commits wait for a standby.
    awaits_standby: bool,
    /// How many servers receive its changes at present.
    standbys: i64,
}

const PLACE: &str = "
    SELECT json_build_object(
        'is_standby', pg_is_in_recovery(),
        'is_read_only', current_setting('default_transaction_read_only')::boolean,
        'server', current_setting('server_version_num')::integer / 10000,
        'encoding', current_setting('server_encoding'),
        'role', current_user,
        'database', current_database(),
        'awaits_standby', current_setting('synchronous_standby_names') <> '',
        'standbys', (SELECT count(*) FROM pg_stat_replication))::text";

/// Whether tables may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To run an application: what is missing is made.
    Join,
    /// To look: nothing is made.
    Look,
}

/// Why a database cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// A setting makes it read-only: of an operator, for ever, or of a provider, while its disk is full.
    ReadOnly(String),
    Otherwise(Error),
}

impl From<Error> for Unusable {
    fn from(error: Error) -> Self {
        Self::Otherwise(error)
    }
}

/// Returns the statements that make the tables and functions, or upgrade them, in one transaction; and that let a role use them.
pub(super) fn ddl(role: Option<&str>) -> String {
    let grants = role.map(|role| {
        let role = format!("\"{}\"", role.replace('"', "\"\""));
        format!(
            "GRANT USAGE ON SCHEMA elasticjob TO {role};\n\
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA elasticjob TO {role};\n\
             GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA elasticjob TO {role};\n"
        )
    });
    // Only if it is not there: `IF NOT EXISTS` asks for the right to create schemas all the same.
    format!(
        "BEGIN;\n\
         SELECT pg_advisory_xact_lock({LOCK});\n\
         SET LOCAL lock_timeout = '1s';\n\
         DO $do$ BEGIN IF to_regnamespace('elasticjob') IS NULL THEN CREATE SCHEMA elasticjob; END IF; END $do$;\n\
         {STATEMENTS}\n\
         INSERT INTO elasticjob.schema_version SELECT {VERSION}, {OLDEST_PROGRAM}\n\
         WHERE NOT EXISTS (SELECT 1 FROM elasticjob.schema_version WHERE version = {VERSION});\n\
         {}COMMIT;\n",
        grants.unwrap_or_default()
    )
}

/// Makes sure that this program can use the database: makes or upgrades what is not there, one process at a time, and checks
/// the rights of the role.
pub(super) async fn prepare(connection: &mut PgConnection, purpose: Purpose) -> Result<(), Unusable> {
    let place = place(connection).await?;
    check(&place, STATIC_MAX_LEVEL)?;
    if place.standbys > 0 && !place.awaits_standby {
        let database = &*place.database;
        warn!(
            database,
            standbys = place.standbys,
            "a failover may lose what the registry answered, so that items run twice: `synchronous_standby_names` is empty"
        );
    }
    let version = version(connection).await?;
    if let Some((_, oldest_program)) = version
        && oldest_program > VERSION
    {
        let problem = format!(
            "the tables in the schema `elasticjob` need a program for version {oldest_program} or later: this one is for version {VERSION}"
        );
        return Err(Error::Refused(problem).into());
    }
    if version.is_none_or(|(version, _)| version < VERSION) {
        if purpose == Purpose::Look {
            let problem = match version {
                None => format!(
                    "the database `{}` has no tables of a registry in the schema `elasticjob`",
                    place.database
                ),
                Some((version, _)) => format!(
                    "the tables in the schema `elasticjob` have version {version}: the first application with version {VERSION} upgrades them"
                ),
            };
            return Err(Error::Refused(problem).into());
        }
        make(connection, &place).await?;
    }
    let missing = text(connection, RIGHTS).await?;
    if !missing.is_empty() {
        let problem = format!(
            "the role `{}` lacks {missing}: `elasticjob registry ddl --role {}` prints what grants it",
            place.role, place.role
        );
        return Err(Error::Refused(problem).into());
    }
    Ok(())
}

async fn place(connection: &mut PgConnection) -> Result<Place, Error> {
    let text = text(connection, PLACE).await?;
    serde_json::from_str(&text).map_err(|error| Error::Unreachable(format!("an answer that is none: {error}")))
}

/// Whether a registry can be there.
fn check(place: &Place, max_level: LevelFilter) -> Result<(), Unusable> {
    let Place { database, role, .. } = place;
    if place.is_standby {
        // It may become the primary.
        let problem = "the server is a standby, which takes no changes".to_owned();
        return Err(Error::Unreachable(problem).into());
    }
    let mut faults = Vec::new();
    if place.server < OLDEST_SERVER {
        faults.push(format!(
            "PostgreSQL {OLDEST_SERVER} or later is needed: this is {}",
            place.server
        ));
    }
    if place.encoding != "UTF8" {
        faults.push(format!(
            "the encoding of the database `{database}` is {}: UTF8 is needed, since names of jobs may have any character",
            place.encoding
        ));
    }
    if place.awaits_standby && max_level < LevelFilter::WARN {
        faults.push(
            "commits wait for a standby (`synchronous_standby_names`), and this program could not know that such a wait was cancelled: it \
             is built without warnings, by a feature `max_level_..` or `release_max_level_..` of the crate `tracing`; `warn` is the \
             least that is needed"
                .to_owned(),
        );
    }
    let is_otherwise_usable = faults.is_empty();
    if place.is_read_only {
        faults.push(format!(
            "transactions of the role `{role}` in the database `{database}` are read-only, since `default_transaction_read_only` \
             is on: `ALTER ROLE \"{role}\" SET default_transaction_read_only = off` mends it for the role"
        ));
    }
    match faults.join("; ") {
        problem if problem.is_empty() => Ok(()),
        problem if is_otherwise_usable => Err(Unusable::ReadOnly(problem)),
        problem => Err(Error::Refused(problem).into()),
    }
}

/// Returns the version of the tables that are there, and that of the oldest program that can use them.
async fn version(connection: &mut PgConnection) -> Result<Option<(i32, i32)>, Error> {
    let found = "SELECT (to_regclass('elasticjob.schema_version') IS NOT NULL)::text";
    if text(connection, found).await? == "false" {
        return Ok(None);
    }
    let versions = "SELECT json_build_array(coalesce(max(version), 0), coalesce(max(oldest_program), 0))::text
                    FROM elasticjob.schema_version";
    let versions = text(connection, versions).await?;
    let versions = serde_json::from_str(&versions);
    versions
        .map(Some)
        .map_err(|error| Error::Unreachable(format!("an answer that is none: {error}")))
}

async fn make(connection: &mut PgConnection, place: &Place) -> Result<(), Error> {
    let result = connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(ddl(None)))).await;
    result.map(drop).map_err(|error| match explained(&error) {
        Error::Refused(problem) => Error::Refused(format!(
            "the role `{}` cannot make or upgrade the tables in the schema `elasticjob`: {problem}; a role that can may run what \
             `elasticjob registry ddl --role {}` prints",
            place.role, place.role
        )),
        other => other,
    })
}

/// Returns the one text that a query gives.
async fn text(connection: &mut PgConnection, query: &'static str) -> Result<String, Error> {
    let rows = connection.fetch_all(sqlx::raw_sql(query)).await;
    let rows = rows.map_err(|error| explained(&error))?;
    let text = rows.first().and_then(|row| row.try_get_unchecked(0).ok());
    text.ok_or_else(|| Error::Unreachable("the database gave no answer".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place {
            is_standby: false,
            is_read_only: false,
            server: 15,
            encoding: "UTF8".into(),
            role: "lion".into(),
            database: "shop".into(),
            awaits_standby: false,
            standbys: 0,
        }
    }

    mod a_database {
        use super::*;

        #[test]
        fn is_taken_if_it_can_be_written() {
            assert_eq!(check(&place(), LevelFilter::TRACE), Ok(()));
        }

        #[test]
        fn whose_warnings_nothing_shows_is_refused_if_it_has_a_standby() {
            let with_standby = Place {
                awaits_standby: true,
                standbys: 1,
                ..place()
            };
            for level in [LevelFilter::OFF, LevelFilter::ERROR] {
                let refused = check(&with_standby, level);
                assert!(
                    matches!(&refused, Err(Unusable::Otherwise(Error::Refused(text))) if text.contains("`release_max_level_..`")),
                    "{refused:?}"
                );
                assert_eq!(check(&place(), level), Ok(()));
            }
            assert_eq!(check(&with_standby, LevelFilter::WARN), Ok(()));
        }

        #[test]
        fn of_a_standby_is_waited_for() {
            let standby = Place {
                is_standby: true,
                is_read_only: true,
                ..place()
            };
            assert!(matches!(
                check(&standby, LevelFilter::TRACE),
                Err(Unusable::Otherwise(Error::Unreachable(_)))
            ));
        }

        #[test]
        fn that_cannot_be_used_is_refused_with_all_reasons() {
            let unusable = Place {
                is_read_only: true,
                server: 11,
                encoding: "LATIN1".into(),
                ..place()
            };
            let Err(Unusable::Otherwise(Error::Refused(text))) = check(&unusable, LevelFilter::TRACE) else {
                panic!("it is refused");
            };
            let read_only = Place {
                is_read_only: true,
                ..place()
            };
            assert!(matches!(
                check(&read_only, LevelFilter::TRACE),
                Err(Unusable::ReadOnly(_))
            ));
            for part in [
                "`ALTER ROLE \"lion\" SET",
                "12 or later is needed: this is 11",
                "`shop` is LATIN1",
            ] {
                assert!(text.contains(part), "{text}");
            }
        }
    }

    mod statements {
        use super::*;

        #[test]
        fn are_one_transaction() {
            let ddl = ddl(Some("li\"on"));
            assert!(
                ddl.starts_with("BEGIN;") && ddl.ends_with("TO \"li\"\"on\";\nCOMMIT;\n"),
                "{ddl}"
            );
        }

        #[test]
        fn make_the_functions_of_each_version_that_can_use_the_tables() {
            let of_version = |version: i32| {
                let ends = format!("_v{version}(");
                let functions = STATEMENTS.split("CREATE OR REPLACE FUNCTION elasticjob.").skip(1);
                let named = functions.filter_map(move |function| Some(function.split_once(&ends)?.0));
                named.filter(|name| !name.contains('(')).collect::<Vec<_>>()
            };
            assert_eq!(of_version(1), [""; 0], "an older program has its own");
            let second = ["server", "followed", "changes", "call", "read", "clean", "forget"];
            assert_eq!(of_version(OLDEST_PROGRAM), second);
            assert_eq!(of_version(VERSION), ["waiting", "array", "joined", "take"]);
        }

        /// Programs of version 2 rely on what they answer, and so does this one: a changed function must answer the same.
        #[test]
        fn leave_those_of_version_2_as_they_were() {
            let second = STATEMENTS.split("-- What applications have asked for").next();
            let functions = second
                .and_then(|text| text.split_once("-- Which server answers"))
                .expect("they are there")
                .1;
            let hash = functions.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
            assert_eq!(hash, 0x895a_429f_75a5_2a1c);
        }
    }
}
