//! The command line `elasticjob` on a registry in PostgreSQL.

use elasticjob::registry::sql::PostgresRegistry;
use elasticjob_tests::databases::{DatabaseServer, Kind};
use elasticjob_tests::programs::program;
use tokio::process::Command;
use tokio::time::timeout;

use super::{PATIENCE, connected};

/// How a command ended.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

async fn said(arguments: &[&str], url: &str) -> anyhow::Result<Said> {
    let mut command = Command::new(program("elasticjob"));
    command.args(arguments).env_clear().current_dir(std::env::temp_dir());
    command
        .env("ELASTICJOB_REG_CENTER_URL", url)
        .env("ELASTICJOB_REG_CENTER_NAMESPACE", "shop");
    let output = timeout(PATIENCE, command.kill_on_drop(true).output()).await??;
    let said = Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout)?,
        err: String::from_utf8(output.stderr)?,
    };
    for secret in ["tiger", "p%40ss", "p@ss"] {
        assert!(!said.out.contains(secret) && !said.err.contains(secret), "{said:?}");
    }
    Ok(said)
}

mod a_look {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn makes_no_tables_and_shows_no_password() -> anyhow::Result<()> {
        let server = DatabaseServer::start(Kind::Postgres)?;
        let url = server.full_url();
        let other = server.full_url_of("template1");
        connected(&server).await?;
        let without = said(&["jobs"], &other).await?;
        assert_eq!(without.code, Some(9), "{without:?}");
        assert!(
            without
                .err
                .contains("the database `template1` has no tables of a registry"),
            "{without:?}"
        );
        let empty = said(&["jobs"], &url).await?;
        assert_eq!(empty.code, Some(3), "{empty:?}");
        assert!(empty.err.contains("/postgres, namespace /shop"), "{empty:?}");
        let refused = said(&["jobs"], &url.replace("p%40ss", "tiger")).await?;
        assert_eq!(refused.code, Some(9), "{refused:?}");
        assert!(refused.err.contains("password authentication failed"), "{refused:?}");
        Ok(())
    }

    #[tokio::test]
    async fn at_no_url_is_refused_with_what_is_expected() -> anyhow::Result<()> {
        for (url, expected) in [
            ("mysql://lion:tiger@db/shop", "no other database can be a registry"),
            ("postgres://lion:tiger/x@db/shop", "have to be written with `%`"),
            ("postgres://lion:tiger@db/shop?sslmode=sometimes", "`sslmode` is one of"),
        ] {
            let refused = said(&["jobs"], url).await?;
            assert_eq!(refused.code, Some(2), "{refused:?}");
            assert!(
                refused.err.contains("environment variable ELASTICJOB_REG_CENTER_URL")
                    && refused.err.contains(expected),
                "{refused:?}"
            );
        }
        Ok(())
    }
}

mod statements {
    use super::*;

    #[tokio::test]
    async fn are_printed_without_a_connection() -> anyhow::Result<()> {
        // No server is there.
        let printed = said(&["registry", "ddl", "--role", "sh\"op"], "postgres://127.0.0.1:1/shop").await?;
        assert_eq!(printed.code, Some(0), "{printed:?}");
        assert_eq!(printed.out.trim_end(), PostgresRegistry::ddl(Some("sh\"op")).trim_end());
        assert!(printed.out.contains("TO \"sh\"\"op\";"), "{printed:?}");
        Ok(())
    }
}
