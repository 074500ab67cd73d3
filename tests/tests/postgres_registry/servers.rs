//! Locks that are held, commits that are not certain, and servers that are others than before.

use std::task::{Context, Waker};

use elasticjob::registry::{CreateMode, Error, Registry as _, SessionState, WatchEvent, WriteError};
use elasticjob_tests::databases::{DatabaseServer, Kind};
use elasticjob_tests::nodes::{create, create_as, data, ready, set};
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};
use tokio::time::Instant;

use super::{PATIENCE, TIMEOUT, connected, held, next, reached, registry};

async fn administrator(server: &DatabaseServer) -> anyhow::Result<PgConnection> {
    Ok(PgConnection::connect(&server.full_url()).await?)
}

mod a_call {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn that_waits_too_long_for_a_lock_did_nothing() -> anyhow::Result<()> {
        let server = DatabaseServer::start(Kind::Postgres)?;
        let session = connected(&server).await?;
        session.write(create("/job")).await?;
        let held = held(&server).await?;
        let (mut state, start) = (session.state(), Instant::now());
        state.mark_unchanged();
        let busy = session.write(set("/job")).await;
        assert!(
            matches!(&busy, Err(WriteError { step: None, error: Error::Busy(text) }) if text.contains("lock timeout")),
            "{busy:?}"
        );
        assert!(start.elapsed() >= TIMEOUT / 6, "{:?}", start.elapsed());
        session.write(create("/other")).await?;
        drop(held);
        session.write(set("/job")).await?;
        let (_, stat) = data(&session, "/job").await?.expect("it is there");
        assert_eq!(stat.version, 1, "the call that was given up was not done later");
        assert!(!state.has_changed()?, "the connection is the same");
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn is_on_disk_and_without_a_time_limit_whatever_the_role_has() -> anyhow::Result<()> {
        let server = DatabaseServer::start(Kind::Postgres)?;
        let first = connected(&server).await?;
        let mut administrator = administrator(&server).await?;
        let statements = "
            CREATE TABLE public.seen (setting text);
            CREATE FUNCTION public.see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO public.seen VALUES
                    (current_setting('synchronous_commit') || ' ' || current_setting('statement_timeout'));
                RETURN NULL;
            END $$;
            CREATE TRIGGER see AFTER UPDATE ON elasticjob.job FOR EACH STATEMENT EXECUTE FUNCTION public.see();
            ALTER ROLE jobs SET synchronous_commit = off;
            ALTER ROLE jobs SET statement_timeout = '50s'";
        administrator.execute(sqlx::raw_sql(statements)).await?;
        let session = registry(&server.full_url())?.connect().await?;
        session.write(create("/job")).await?;
        administrator
            .execute("ALTER ROLE jobs SET synchronous_commit = local")
            .await?;
        let session = registry(&server.full_url())?.connect().await?;
        session.write(set("/job")).await?;
        let seen = "SELECT array_agg(DISTINCT setting) FROM public.seen";
        let seen: Vec<String> = administrator.fetch_one(seen).await?.try_get(0)?;
        assert_eq!(seen, ["on 0"]);
        drop(first);
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whose_wait_for_a_standby_was_cancelled_is_of_unknown_outcome() -> anyhow::Result<()> {
        let server = DatabaseServer::start(Kind::Postgres)?;
        connected(&server).await?.close().await;
        let mut administrator = administrator(&server).await?;
        // Longer than the test: silence is no reason to give the connection up.
        let registry = registry(&server.full_url())?.with_session_timeout(PATIENCE);
        let session = registry.connect().await?;
        session.write(create("/job")).await?;
        for statement in [
            "ALTER SYSTEM SET synchronous_standby_names = 'nobody'",
            "SELECT pg_reload_conf()",
        ] {
            administrator.execute(statement).await?;
        }
        let cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity
                      WHERE wait_event = 'SyncRep' AND query LIKE '%call_v2%'";
        let deadline = Instant::now() + PATIENCE / 3;
        let outcome = 'waiting: loop {
            let mut write = session.write(set("/job"));
            loop {
                if administrator.fetch_one(cancel).await?.try_get::<i64, _>(0)? > 0 {
                    break 'waiting write.await;
                }
                anyhow::ensure!(Instant::now() < deadline, "no commit waits for the standby");
                // The server has not read its settings yet.
                if write.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                    break;
                }
            }
        };
        assert_eq!(outcome, Err(Error::ConnectionLoss.into()), "it is on this server alone");
        assert!(Instant::now() < deadline, "and it was not given up for its silence");
        for statement in [
            "ALTER SYSTEM RESET synchronous_standby_names",
            "SELECT pg_reload_conf()",
        ] {
            administrator.execute(statement).await?;
        }
        reached(&session, SessionState::Connected).await?;
        session.sync().await?;
        session.write(set("/job")).await?;
        Ok(())
    }
}

mod changes {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn that_are_missing_give_a_resync_of_their_job_alone() -> anyhow::Result<()> {
        let server = DatabaseServer::start(Kind::Postgres)?;
        let (session, observer) = (connected(&server).await?, connected(&server).await?);
        for path in ["/job", "/other"] {
            observer.write(create(path)).await?;
        }
        let (mut job, mut other) = (session.watch("/job").await?, session.watch("/other").await?);
        let mut administrator = administrator(&server).await?;
        let gap = "UPDATE elasticjob.job SET counter = counter + 5 WHERE name = 'job'";
        administrator.execute(gap).await?;
        assert_eq!(next(&mut job).await?, WatchEvent::Resync);
        observer.write(set("/other")).await?;
        assert_eq!(next(&mut other).await?, WatchEvent::Changed("/other".into()));
        observer.write(set("/job")).await?;
        assert_eq!(
            next(&mut job).await?,
            WatchEvent::Changed("/job".into()),
            "it goes on behind the gap"
        );
        session.sync().await?;
        assert_eq!(ready(&mut other), None);
        Ok(())
    }
}

mod a_dead_session {
    use super::*;

    const JOBS: usize = 60;

    #[tokio::test(flavor = "multi_thread")]
    async fn is_cleaned_by_several_members_with_each_event_once() -> anyhow::Result<()> {
        let server = DatabaseServer::start(Kind::Postgres)?;
        let session = connected(&server).await?;
        let mut cleaners = Vec::new();
        for _ in 0..4 {
            cleaners.push(connected(&server).await?);
        }
        for number in 0..JOBS {
            session.write(create(&format!("/job-{number}"))).await?;
            let ephemeral = create_as(&format!("/job-{number}/e"), CreateMode::Ephemeral);
            session.write(ephemeral).await?;
        }
        let mut watch = cleaners[0].watch("/").await?;
        let id = session.id();
        sqlx::query("UPDATE elasticjob.session SET dead = true WHERE id = $1")
            .bind(id)
            .execute(&mut administrator(&server).await?)
            .await?;
        let mut deleted = std::collections::BTreeSet::new();
        for _ in 0..JOBS {
            let event = next(&mut watch).await?;
            let WatchEvent::Deleted(path) = &event else {
                anyhow::bail!("unexpected: {event:?}");
            };
            anyhow::ensure!(deleted.insert(path.clone()), "twice: {path}");
        }
        reached(&session, SessionState::Lost).await?;
        cleaners[0].sync().await?;
        assert_eq!(ready(&mut watch), None);
        Ok(())
    }
}

mod a_server {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn that_is_another_or_on_another_timeline_gives_a_resync() -> anyhow::Result<()> {
        let server = DatabaseServer::start(Kind::Postgres)?;
        let session = connected(&server).await?;
        session.write(create("/job")).await?;
        let (mut watch, id) = (session.watch("/job").await?, session.id());
        let mut administrator = administrator(&server).await?;
        let shown = "SELECT elasticjob.server_v2()";
        let before: String = administrator.fetch_one(shown).await?.try_get(0)?;
        assert!(before.starts_with("00000001 "), "{before}");
        let other =
            "CREATE OR REPLACE FUNCTION elasticjob.server_v2() RETURNS text LANGUAGE sql AS 'SELECT ''00000002 7'''";
        administrator.execute(other).await?;
        assert_eq!(next(&mut watch).await?, WatchEvent::Resync);
        reached(&session, SessionState::Connected).await?;
        session.write(set("/job")).await?;
        assert_eq!(next(&mut watch).await?, WatchEvent::Changed("/job".into()));
        assert_eq!(session.id(), id, "the session lives on if its row is there");
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn that_takes_no_changes_for_a_while_suspends_the_session() -> anyhow::Result<()> {
        let server = DatabaseServer::start(Kind::Postgres)?;
        let session = connected(&server).await?;
        session.write(create_as("/e", CreateMode::Ephemeral)).await?;
        let mut administrator = administrator(&server).await?;
        for statement in [
            "ALTER SYSTEM SET default_transaction_read_only = on",
            "SELECT pg_reload_conf()",
        ] {
            administrator.execute(statement).await?;
        }
        // A renewal, or this, is refused with 25006.
        let mut state = session.state();
        while *state.borrow_and_update() == SessionState::Connected {
            // Done or not: that it ends is what counts.
            let _ = session.write(set("/e")).await;
        }
        assert_eq!(session.write(set("/e")).await, Err(Error::ConnectionLoss.into()));
        for statement in [
            "ALTER SYSTEM RESET default_transaction_read_only",
            "SELECT pg_reload_conf()",
        ] {
            administrator.execute(statement).await?;
        }
        reached(&session, SessionState::Connected).await?;
        session.write(set("/e")).await?;
        Ok(())
    }
}
