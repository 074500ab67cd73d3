//! What a member finds at its start: rights, tables of other versions, and databases that cannot be a registry.

use elasticjob::ElasticJob;
use elasticjob::job::job;
use elasticjob::prelude::*;
use elasticjob::registry::sql::PostgresRegistry;
use elasticjob::registry::{CreateMode, Error, Registry as _};
use elasticjob_tests::databases::{DatabaseServer, Kind, PASSWORD, USER};
use elasticjob_tests::nodes::{create, create_as, data};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use tokio::time::Instant;

use super::{PATIENCE, connected, registry};

/// A server that serves, and a connection of its administrator.
async fn server() -> anyhow::Result<(DatabaseServer, PgConnection)> {
    let server = DatabaseServer::start(Kind::Postgres)?;
    let deadline = Instant::now() + PATIENCE;
    let administrator = loop {
        match PgConnection::connect(&server.full_url()).await {
            Err(_) if Instant::now() < deadline => tokio::task::yield_now().await,
            connection => break connection?,
        }
    };
    Ok((server, administrator))
}

/// The registry as another role sees it.
fn registry_of(server: &DatabaseServer, role: &str) -> anyhow::Result<PostgresRegistry> {
    registry(&server.full_url().replace(&format!("{USER}:"), &format!("{role}:")))
}

async fn role(administrator: &mut PgConnection, role: &str) -> anyhow::Result<()> {
    execute(administrator, format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")).await
}

async fn execute(administrator: &mut PgConnection, statement: String) -> anyhow::Result<()> {
    administrator.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await?;
    Ok(())
}

/// Why there is no session, for good.
async fn refused(registry: &PostgresRegistry) -> anyhow::Result<String> {
    match registry.connect().await {
        Err(Error::Refused(text)) => Ok(text),
        other => anyhow::bail!("unexpected: {other:?}"),
    }
}

mod a_role {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn without_rights_is_refused_with_those_it_lacks() -> anyhow::Result<()> {
        let (server, mut administrator) = server().await?;
        role(&mut administrator, "poor").await?;
        let registry = registry_of(&server, "poor")?;
        let text = refused(&registry).await?;
        assert!(
            text.contains("the role `poor` cannot make or upgrade the tables")
                && text.contains("permission denied for database postgres")
                && text.contains("`elasticjob registry ddl --role poor`"),
            "{text}"
        );
        execute(&mut administrator, PostgresRegistry::ddl(None)).await?;
        let text = refused(&registry).await?;
        assert!(text.contains("permission denied for schema elasticjob"), "{text}");
        execute(&mut administrator, "GRANT USAGE ON SCHEMA elasticjob TO poor".into()).await?;
        let text = refused(&registry).await?;
        assert!(text.contains("permission denied for table schema_version"), "{text}");
        let reading =
            "GRANT SELECT ON ALL TABLES IN SCHEMA elasticjob TO poor; GRANT INSERT ON elasticjob.change TO poor";
        execute(&mut administrator, reading.into()).await?;
        let text = refused(&registry).await?;
        let lacking = "the role `poor` lacks INSERT on elasticjob.session, UPDATE on elasticjob.session";
        assert!(
            text.contains(lacking)
                && text.contains("DELETE on elasticjob.change")
                && !text.contains("INSERT on elasticjob.change"),
            "{text}"
        );
        execute(&mut administrator, PostgresRegistry::ddl(Some("poor"))).await?;
        let session = registry.connect().await?;
        session.write(create_as("/job", CreateMode::Ephemeral)).await?;
        session.close().await;
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn that_owns_the_schema_makes_the_tables() -> anyhow::Result<()> {
        let (server, mut administrator) = server().await?;
        role(&mut administrator, "keeper").await?;
        execute(
            &mut administrator,
            "CREATE SCHEMA elasticjob AUTHORIZATION keeper".into(),
        )
        .await?;
        let session = registry_of(&server, "keeper")?.connect().await?;
        session.write(create("/job")).await?;
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn that_is_not_let_in_is_refused_without_its_password() -> anyhow::Result<()> {
        let (server, _administrator) = server().await?;
        for (url, expected) in [
            (
                server.full_url().replace("p%40ss", "tiger"),
                "password authentication failed",
            ),
            (server.full_url_of("nowhere"), "database \"nowhere\" does not exist"),
        ] {
            let text = refused(&registry(&url)?).await?;
            assert!(text.contains(expected), "{text}");
            assert!(!text.contains("tiger") && !text.contains("ss/word"), "{text}");
        }
        Ok(())
    }
}

mod a_database {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn of_read_only_transactions_is_refused_with_what_to_do() -> anyhow::Result<()> {
        let (server, mut administrator) = server().await?;
        let joined = registry(&server.full_url())?;
        let session = joined.connect().await?;
        execute(
            &mut administrator,
            format!("ALTER ROLE {USER} SET default_transaction_read_only = on"),
        )
        .await?;
        let text = refused(&registry(&server.full_url())?).await?;
        let remedy = format!("`ALTER ROLE \"{USER}\" SET default_transaction_read_only = off`");
        assert!(text.contains(&remedy), "{text}");
        // A provider does it while the disk is full: an application that runs waits for the end of that.
        let waiting = joined.connect().await;
        assert!(
            matches!(&waiting, Err(Error::Unreachable(text)) if text.contains(&remedy)),
            "{waiting:?}"
        );
        drop(session);
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn without_tables_is_left_as_it_is_by_a_look() -> anyhow::Result<()> {
        let (server, mut administrator) = server().await?;
        let looking = registry(&server.full_url())?.connect_to_look().await;
        assert!(
            matches!(&looking, Err(Error::Refused(text)) if text.contains("the database `postgres` has no tables of a registry")),
            "{looking:?}"
        );
        let schema = "SELECT to_regnamespace('elasticjob') IS NULL";
        assert!(administrator.fetch_one(schema).await?.try_get::<bool, _>(0)?);
        let _session = registry(&server.full_url())?.connect().await?;
        registry(&server.full_url())?.connect_to_look().await?;
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_an_encoding_that_lacks_characters_is_refused() -> anyhow::Result<()> {
        let (server, mut administrator) = server().await?;
        let latin = "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0";
        execute(&mut administrator, latin.into()).await?;
        let text = refused(&registry(&server.full_url_of("latin"))?).await?;
        assert!(
            text.contains("the encoding of the database `latin` is LATIN1: UTF8 is needed"),
            "{text}"
        );
        Ok(())
    }
}

mod tls {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
    use std::path::Path;

    use elasticjob_tests::certificates::Certificates;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn is_as_the_url_asks() -> anyhow::Result<()> {
        let (server, mut administrator) = server().await?;
        let without = registry(&format!("{}?sslmode=require", server.full_url()))?
            .connect()
            .await;
        assert!(
            matches!(&without, Err(Error::Unreachable(text)) if text.contains("TLS")),
            "{without:?}"
        );

        let certificates = Certificates::make()?;
        let data: String = administrator.fetch_one("SHOW data_directory").await?.try_get(0)?;
        let owner = fs::metadata(&data)?;
        for name in ["server.pem", "server.key"] {
            let path = Path::new(&data).join(name);
            fs::copy(certificates.directory().join(name), &path)?;
            fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            chown(&path, Some(owner.uid()), Some(owner.gid()))?;
        }
        for statement in [
            "ALTER SYSTEM SET ssl_cert_file = 'server.pem'",
            "ALTER SYSTEM SET ssl_key_file = 'server.key'",
            "ALTER SYSTEM SET ssl = on",
            "SELECT pg_reload_conf()",
        ] {
            administrator.execute(statement).await?;
        }
        let verified = |certificates: &Certificates| {
            let authority = certificates.authority();
            registry(&format!(
                "{}?sslmode=verify-full&sslrootcert={}",
                server.full_url(),
                authority.display()
            ))
        };
        let deadline = Instant::now() + PATIENCE;
        let session = loop {
            match verified(&certificates)?.connect().await {
                // The server has not read its settings yet.
                Err(Error::Unreachable(_)) if Instant::now() < deadline => {}
                session => break session?,
            }
        };
        session.write(create("/job")).await?;
        let plain = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                     WHERE application_name LIKE 'elasticjob%' AND NOT ssl";
        assert_eq!(administrator.fetch_one(plain).await?.try_get::<i64, _>(0)?, 0);
        let other = verified(&Certificates::make()?)?.connect().await;
        assert!(
            matches!(&other, Err(Error::Unreachable(text)) if text.contains("certificate")),
            "{other:?}"
        );
        Ok(())
    }
}

mod older_tables {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn are_upgraded_with_what_they_hold() -> anyhow::Result<()> {
        let (server, mut administrator) = server().await?;
        let session = connected(&server).await?;
        session.write(create("/任务")).await?;
        session.close().await;
        let older = "DROP FUNCTION elasticjob.call_v2(bytea), elasticjob.read_v2(bytea), elasticjob.clean_v2(text, bigint),
                         elasticjob.changes_v2(text, jsonb, boolean), elasticjob.followed_v2(text, jsonb, boolean),
                         elasticjob.server_v2();
                     CREATE FUNCTION elasticjob.call_v1(message bytea) RETURNS text LANGUAGE sql AS 'SELECT ''as before''';
                     UPDATE elasticjob.schema_version SET version = 1, oldest_program = 1";
        execute(&mut administrator, older.into()).await?;
        let looking = registry(&server.full_url())?.connect_to_look().await;
        assert!(
            matches!(&looking, Err(Error::Refused(text)) if text.contains("have version 1")),
            "{looking:?}"
        );
        let session = connected(&server).await?;
        assert!(data(&session, "/任务").await?.is_some());
        let versions = "SELECT array_agg(version ORDER BY version) FROM elasticjob.schema_version";
        assert_eq!(
            administrator.fetch_one(versions).await?.try_get::<Vec<i32>, _>(0)?,
            [1, 3]
        );
        let before = "SELECT elasticjob.call_v1('')";
        assert_eq!(
            administrator.fetch_one(before).await?.try_get::<String, _>(0)?,
            "as before"
        );
        Ok(())
    }
}

mod an_application {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn meets_where_its_configuration_says() -> anyhow::Result<()> {
        let (server, mut administrator) = server().await?;
        let environment = [
            ("DB_PASSWORD", "p%40ss%2Fword"),
            (
                "ELASTICJOB_REG_CENTER_URL",
                &*server.full_url().replace("p%40ss%2Fword", "${DB_PASSWORD}"),
            ),
            ("ELASTICJOB_REG_CENTER_NAMESPACE", "shop"),
            ("ELASTICJOB_REG_CENTER_CONNECTION_TIMEOUT", "60s"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let (sender, mut runs) = tokio::sync::mpsc::channel(1);
        let tick = job("tick", move |_shard: ShardingContext| {
            let sender = sender.clone();
            async move {
                // Only the first run matters.
                let _ = sender.try_send(());
            }
        });
        let application = ElasticJob::builder()
            .without_discovery()
            .directory("no-such-directory")
            .environment(environment)
            .job(tick.sharding(1).cron("* * * * * ?"))
            .build()?
            .start()
            .await?;
        tokio::time::timeout(PATIENCE, runs.recv()).await?;
        let config =
            "SELECT count(*) FROM elasticjob.node WHERE namespace = '/shop' AND parent = '/tick' AND name = 'config'";
        assert_eq!(administrator.fetch_one(config).await?.try_get::<i64, _>(0)?, 1);
        application.shutdown(PATIENCE).await;
        Ok(())
    }
}
