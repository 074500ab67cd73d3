//! What a registry costs that goes on for long: the size of its tables, and statements of an application that is idle.

use std::time::Duration;

use elasticjob_tests::databases::{DatabaseServer, Kind};
use elasticjob_tests::nodes::{create, set};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use tokio::time::Instant;

use super::{PATIENCE, connected};

async fn number(connection: &mut PgConnection, query: &'static str) -> anyhow::Result<i64> {
    let rows = connection.fetch_all(sqlx::raw_sql(query)).await?;
    Ok(rows[0].try_get_unchecked(0)?)
}

mod tables {
    use super::*;

    /// The transactions of so many firings of each of 20 jobs: a claim and an end, which mark an item, and write its ledger.
    fn firings(count: u32) -> String {
        format!(
            "DO $do$
            DECLARE
                frame jsonb := jsonb_build_object('namespace', '/soak', 'session', 7, 'connection', 0, 'timeout', 600000,
                    'renew', true, 'cursors', '{{}}'::jsonb, 'follow_all', false);
                parent text;
                job text;
            BEGIN
                FOR firing IN 1..{count} LOOP
                    FOR number IN 1..20 LOOP
                        job := 'job-' || number;
                        parent := '/' || job;
                        PERFORM elasticjob.call_v2(convert_to((frame || jsonb_build_object('jobs', jsonb_build_array(job), 'steps',
                            jsonb_build_array(jsonb_build_array('create', parent, 'running', NULL, '', 'persistent'),
                                jsonb_build_array('set', parent, 'ledger', NULL, repeat('ab', 400)))))::text, 'UTF8'));
                        COMMIT;
                        PERFORM elasticjob.call_v2(convert_to((frame || jsonb_build_object('jobs', jsonb_build_array(job), 'steps',
                            jsonb_build_array(jsonb_build_array('delete', parent, 'running', NULL),
                                jsonb_build_array('set', parent, 'ledger', NULL, repeat('cd', 400)))))::text, 'UTF8'));
                        COMMIT;
                    END LOOP;
                END LOOP;
            END $do$"
        )
    }

    /// Runs so many thousands of transactions. The server learns of dead rows at the end of each.
    async fn soak(connection: &mut PgConnection, thousands: u32) -> anyhow::Result<()> {
        for _ in 0..thousands {
            connection.execute(sqlx::raw_sql(AssertSqlSafe(firings(25)))).await?;
        }
        Ok(())
    }

    const SIZE: &str = "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
                        WHERE relkind = 'r' AND relnamespace = 'elasticjob'::regnamespace";

    #[tokio::test(flavor = "multi_thread")]
    async fn have_a_steady_size() -> anyhow::Result<()> {
        let server = DatabaseServer::start(Kind::Postgres)?;
        connected(&server).await?.close().await;
        let mut administrator = PgConnection::connect(&server.full_url()).await?;
        // The soak is as much shorter than one in earnest.
        for statement in ["ALTER SYSTEM SET autovacuum_naptime = '1s'", "SELECT pg_reload_conf()"] {
            administrator.execute(statement).await?;
        }
        let nodes = "
            INSERT INTO elasticjob.session VALUES (7, '/soak', 0, 0, false, 600000);
            INSERT INTO elasticjob.job SELECT '/soak', 'job-' || n, 0, 0 FROM generate_series(1, 20) n;
            INSERT INTO elasticjob.node VALUES ('/soak', '', '', '', 0, 0, 0, 0, 0, 0);
            INSERT INTO elasticjob.node SELECT '/soak', '/', 'job-' || n, '', 0, 0, 0, 0, 0, 0 FROM generate_series(1, 20) n;
            INSERT INTO elasticjob.node SELECT '/soak', '/job-' || n, 'ledger', '', 0, 0, 0, 0, 0, 0 FROM generate_series(1, 20) n";
        administrator.execute(sqlx::raw_sql(nodes)).await?;
        soak(&mut administrator, 20).await?;
        let steady = number(&mut administrator, SIZE).await?;
        soak(&mut administrator, 80).await?;
        let after = number(&mut administrator, SIZE).await?;
        let counted = "SELECT min(counter) FROM elasticjob.job WHERE namespace = '/soak'";
        assert_eq!(
            number(&mut administrator, counted).await?,
            10_000,
            "100,000 transactions with two changes each, on 20 jobs"
        );
        assert!(
            after < 2 * steady,
            "{steady} bytes after 20,000 transactions, {after} after 100,000"
        );
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn forget_changes_after_an_hour() -> anyhow::Result<()> {
        let server = DatabaseServer::start(Kind::Postgres)?;
        let session = connected(&server).await?;
        for number in 0..150 {
            session.write(create(&format!("/任务-{number}"))).await?;
        }
        session.close().await;
        let mut administrator = PgConnection::connect(&server.full_url()).await?;
        let older = "UPDATE elasticjob.change SET token = token - (3700000::bigint << 20)";
        administrator.execute(older).await?;
        let session = connected(&server).await?;
        session.write(set("/任务-7")).await?;
        let deadline = Instant::now() + PATIENCE;
        while number(&mut administrator, "SELECT count(*) FROM elasticjob.change").await? > 1 {
            anyhow::ensure!(Instant::now() < deadline, "they are still there");
        }
        let kept = "SELECT count(*) FROM elasticjob.change WHERE job = '任务-7' AND kind = 2";
        assert_eq!(number(&mut administrator, kept).await?, 1, "the one that is younger");
        Ok(())
    }
}

mod an_idle_application {
    use super::*;

    /// How long so many statements take at rest that an application needs at most four each second: polls, beats, and looks at the
    /// sessions of others.
    const STATEMENTS: i64 = 40;
    const AT_REST: Duration = Duration::from_secs(10);

    #[tokio::test(flavor = "multi_thread")]
    async fn asks_as_little_with_a_thousand_jobs_as_with_one() -> anyhow::Result<()> {
        for jobs in [1, 1_000] {
            let server = DatabaseServer::start(Kind::Postgres)?;
            let session = connected(&server).await?;
            let mut watches = Vec::new();
            for number in 0..jobs {
                session.write(create(&format!("/job-{number}"))).await?;
                watches.push(session.watch(&format!("/job-{number}")).await?);
            }
            // Its own statements count elsewhere.
            let mut observer = PgConnection::connect(&server.full_url_of("template1")).await?;
            let done = "SELECT xact_commit FROM pg_stat_database WHERE datname = 'postgres'";
            let deadline = Instant::now() + PATIENCE;
            loop {
                let (start, before) = (Instant::now(), number(&mut observer, done).await?);
                while number(&mut observer, done).await? < before + STATEMENTS {}
                if start.elapsed() >= AT_REST {
                    break;
                }
                anyhow::ensure!(Instant::now() < deadline, "{jobs} jobs: {:?}", start.elapsed());
            }
        }
        Ok(())
    }
}
