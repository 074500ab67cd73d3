//! Triggers that come with a transaction of the application.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use elasticjob::ElasticJob;
use elasticjob::job::job;
use elasticjob::operation::{Operations, Requested};
use elasticjob::prelude::*;
use elasticjob::registry::memory::MemoryRegistry;
use elasticjob::registry::sql::PostgresRegistry;
use elasticjob::registry::{CreateMode, Error, Registry, Session, Step, WatchEvent};
use elasticjob::starter::OneOff;
use elasticjob_tests::databases::{DatabaseServer, Kind};
use elasticjob_tests::nodes::{create, create_as, data};
use elasticjob_tests::pooler::Pooler;
use elasticjob_tests::proxy::{Close, Direction, Proxy};
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection, Row as _};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, timeout};

use super::{PATIENCE, connected, next as event, registry};

/// Of the orders that were stored, and of the runs, is the number.
const JOB: &str = "发货 \"ship\"";

/// A server with a registry, a table of orders, and one application.
struct Shop {
    server: DatabaseServer,
    application: ElasticJob,
    runs: UnboundedReceiver<String>,
    client: PgConnection,
}

impl Shop {
    async fn open() -> anyhow::Result<Self> {
        let server = DatabaseServer::start(Kind::Postgres)?;
        connected(&server).await?.close().await;
        let mut client = PgConnection::connect(&server.full_url()).await?;
        client.execute("CREATE TABLE orders (number text NOT NULL)").await?;
        let (application, runs) = application(Arc::new(registry(&server.full_url())?)).await?;
        Ok(Self {
            server,
            application,
            runs,
            client,
        })
    }

    fn ship(&self) -> anyhow::Result<OneOff> {
        Ok(self.application.one_off_named(JOB)?)
    }

    /// Returns the parameters of all runs up to that of this one, for which a transaction of its own asks.
    async fn runs_before(&mut self, last: &str) -> anyhow::Result<Vec<String>> {
        let ship = self.ship()?;
        let mut transaction = self.client.begin().await?;
        ship.execute_with_in(last, &mut transaction).await?;
        transaction.commit().await?;
        let mut runs = Vec::new();
        loop {
            match next(&mut self.runs).await? {
                run if run == last => return Ok(runs),
                run => runs.push(run),
            }
        }
    }

    async fn orders(&mut self) -> anyhow::Result<Vec<String>> {
        let orders = "SELECT number FROM orders ORDER BY number";
        Ok(sqlx::query_scalar(orders).fetch_all(&mut self.client).await?)
    }
}

/// An application of one instance, which reports the parameters of its runs.
async fn application(registry: Arc<dyn Registry>) -> anyhow::Result<(ElasticJob, UnboundedReceiver<String>)> {
    let (sender, runs) = unbounded_channel();
    let ship = job(JOB, move |shard: ShardingContext| {
        let sender = sender.clone();
        async move {
            // The test may have seen enough.
            let _ = sender.send(shard.job_parameter().to_owned());
        }
    });
    let application = ElasticJob::builder()
        .without_discovery()
        .directory("no-such-directory")
        .environment([])
        .registry(registry)
        .job(ship.sharding(1))
        .build()?
        .start()
        .await?;
    Ok((application, runs))
}

async fn next(runs: &mut UnboundedReceiver<String>) -> anyhow::Result<String> {
    let run = timeout(PATIENCE, runs.recv()).await?;
    run.ok_or_else(|| anyhow::anyhow!("the application has ended"))
}

async fn succeeded(operations: &Operations, requested: &Requested) -> anyhow::Result<bool> {
    Ok(operations.outcome(requested, PATIENCE).await?.is_success())
}

mod a_run {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn comes_with_the_commit_and_not_before() -> anyhow::Result<()> {
        let mut shop = Shop::open().await?;
        let ship = shop.ship()?;
        let mut transaction = shop.client.begin().await?;
        transaction.execute("INSERT INTO orders VALUES ('1')").await?;
        let first = ship.execute_with_in("1", &mut transaction).await?;
        assert_eq!((&*first.job_name, first.instances.len()), (JOB, 0));
        ship.execute_with_in("2", &mut transaction).await?;
        ship.execute_with_in("1", &mut transaction).await?;
        ship.execute_in(&mut transaction).await?;
        // Another trigger, which comes and goes meanwhile, and does not wait for the transaction.
        assert!(ship.execute_with_and_wait("probe", PATIENCE).await?.is_success());
        assert_eq!(next(&mut shop.runs).await?, "probe");
        transaction.commit().await?;
        // The two that want the same are answered by one run.
        for expected in ["1", "2", ""] {
            assert_eq!(next(&mut shop.runs).await?, expected);
        }
        assert_eq!(shop.runs_before("last").await?, [""; 0]);
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn does_not_come_without_the_commit() -> anyhow::Result<()> {
        let mut shop = Shop::open().await?;
        let ship = shop.ship()?;
        let mut transaction = shop.client.begin().await?;
        ship.execute_with_in("rolled back", &mut transaction).await?;
        transaction.rollback().await?;

        let mut transaction = shop.client.begin().await?;
        ship.execute_with_in("before", &mut transaction).await?;
        let mut savepoint = transaction.begin().await?;
        ship.execute_with_in("to the savepoint", &mut savepoint).await?;
        savepoint.rollback().await?;
        let mut savepoint = transaction.begin().await?;
        ship.execute_with_in("behind", &mut savepoint).await?;
        savepoint.commit().await?;
        transaction.commit().await?;

        // As if its process was killed.
        let mut killed = PgConnection::connect(&shop.server.full_url()).await?;
        let process: i32 = killed.fetch_one("SELECT pg_backend_pid()").await?.try_get(0)?;
        let mut transaction = killed.begin().await?;
        ship.execute_with_in("killed", &mut transaction).await?;
        let end = format!("SELECT pg_terminate_backend({process})");
        shop.client.execute(AssertSqlSafe(end)).await?;
        assert!(transaction.commit().await.is_err());
        assert_eq!(shop.runs_before("last").await?, ["before", "behind"]);
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn comes_although_the_answer_to_the_commit_is_lost() -> anyhow::Result<()> {
        let mut shop = Shop::open().await?;
        let url = shop.server.full_url();
        let proxy = Proxy::start(([127, 0, 0, 1], shop.server.port()).into()).await?;
        let through_proxy = url.replace(&shop.server.port().to_string(), &proxy.address().port().to_string());
        let mut client = PgConnection::connect(&through_proxy).await?;
        let mut transaction = client.begin().await?;
        transaction.execute("INSERT INTO orders VALUES ('1')").await?;
        shop.ship()?.execute_with_in("1", &mut transaction).await?;
        proxy.stall(Direction::Answers);
        let commit = transaction.commit();
        let lost = async {
            let run = next(&mut shop.runs).await;
            proxy.cut(Close::Reset);
            run
        };
        let (committed, run) = tokio::join!(commit, lost);
        assert!(committed.is_err());
        assert_eq!(run?, "1");
        assert_eq!(shop.orders().await?, ["1"]);
        assert_eq!(shop.runs_before("last").await?, [""; 0]);
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn comes_long_before_the_next_poll() -> anyhow::Result<()> {
        const ROUNDS: u32 = 20;
        let mut shop = Shop::open().await?;
        let ship = shop.ship()?;
        // The first takes longer.
        shop.runs_before("first").await?;
        let mut fastest = Duration::MAX;
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let mut transaction = shop.client.begin().await?;
            ship.execute_in(&mut transaction).await?;
            transaction.commit().await?;
            next(&mut shop.runs).await?;
            fastest = fastest.min(start.elapsed());
        }
        // By polls alone each round takes a whole pause of 250 ms, since it begins with what the last one found. A busy machine makes some
        // rounds slow.
        assert!(fastest < Duration::from_millis(150), "{fastest:?}");
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn for_which_a_process_without_the_job_asks_comes_as_soon() -> anyhow::Result<()> {
        const ROUNDS: u32 = 20;
        let mut shop = Shop::open().await?;
        let operations = Operations::new(Arc::new(registry(&shop.server.full_url())?));
        shop.runs_before("first").await?;
        let mut fastest = Duration::MAX;
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let mut transaction = shop.client.begin().await?;
            operations.trigger_in(&mut transaction, JOB, None).await?;
            transaction.commit().await?;
            next(&mut shop.runs).await?;
            fastest = fastest.min(start.elapsed());
        }
        assert!(fastest < Duration::from_millis(150), "{fastest:?}");
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn has_any_parameter_that_postgresql_can_hold() -> anyhow::Result<()> {
        let mut shop = Shop::open().await?;
        let ship = shop.ship()?;
        let long = "字".repeat(341);
        let parameters = ["it's", "\\'; COMMIT; --", "$1", "\u{1}\u{7f}\"", "任务 🦀", &long];
        let mut transaction = shop.client.begin().await?;
        transaction.execute("SET standard_conforming_strings = off").await?;
        for parameter in parameters {
            ship.execute_with_in(parameter, &mut transaction).await?;
        }
        for (parameter, expected) in [
            ("x".repeat(1_025), "the parameter has 1025 bytes, the limit is 1024"),
            ("ab\0c".to_owned(), "the parameter has U+0000 at byte 2"),
        ] {
            let refused = ship.execute_with_in(parameter, &mut transaction).await;
            let text = refused.expect_err("it is refused").chain().to_string();
            assert!(text.contains(JOB) && text.contains(expected), "{text}");
        }
        transaction.commit().await?;
        assert_eq!(shop.runs_before("last").await?, parameters);
        Ok(())
    }
}

mod instances {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn that_come_after_the_commit_are_waited_for() -> anyhow::Result<()> {
        let mut shop = Shop::open().await?;
        shop.application.shutdown(PATIENCE).await;
        // A process that has no jobs at all.
        let operations = Operations::new(Arc::new(registry(&shop.server.full_url())?));
        let mut transaction = shop.client.begin().await?;
        let requested = operations.trigger_in(&mut transaction, JOB, Some("1")).await?;
        let unknown = operations.trigger_in(&mut transaction, "shipp", None).await;
        let text = unknown.expect_err("it is refused").to_string();
        assert_eq!(text, "there is no job `shipp` in the registry");
        transaction.commit().await?;
        operations.close().await;
        let (application, mut runs) = application(Arc::new(registry(&shop.server.full_url())?)).await?;
        assert_eq!(next(&mut runs).await?, "1");
        assert!(succeeded(&application.operations(), &requested).await?);
        let rows = "SELECT count(*) FROM elasticjob.inbox";
        assert_eq!(shop.client.fetch_one(rows).await?.try_get::<i64, _>(0)?, 0);
        Ok(())
    }

    /// Its node is there until its session ends, and nothing will take what is put there.
    #[tokio::test(flavor = "multi_thread")]
    async fn that_may_be_dead_are_given_nothing_alone() -> anyhow::Result<()> {
        let mut stage = Stage::set([]).await?;
        stage.session.write(create("/job/instances/dead")).await?;
        stage.put("1", None).await?;
        // A member that looks, without an instance of the job.
        let mut watch = stage.session.watch("/other").await?;
        let another = connected(&stage.server).await?;
        for _ in 0..3 {
            another.write(create("/other")).await?;
            assert_eq!(event(&mut watch).await?, WatchEvent::Created("/other".into()));
            another.write(delete("/other", None)).await?;
            assert_eq!(event(&mut watch).await?, WatchEvent::Deleted("/other".into()));
        }
        assert_eq!(data(&stage.session, "/job/trigger/dead").await?, None);
        let alive = create_as("/job/instances/alive", CreateMode::Ephemeral);
        another.write(alive).await?;
        for id in ["alive", "dead"] {
            assert_eq!(stage.triggers(id, 1).await?, json!([{"requests": ["1"]}]));
        }
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn that_are_others_than_at_the_call_run_each_item_once() -> anyhow::Result<()> {
        let shop = Shop::open().await?;
        let (mut before, mut client) = (shop.runs, shop.client);
        let ship = shop.application.one_off_named(JOB)?;
        let mut transaction = client.begin().await?;
        ship.execute_with_in("1", &mut transaction).await?;
        let (later, mut behind) = application(Arc::new(registry(&shop.server.full_url())?)).await?;
        shop.application.shutdown(PATIENCE).await;
        transaction.commit().await?;
        assert_eq!(next(&mut behind).await?, "1");
        let execution = later.one_off_named(JOB)?.execute_with_and_wait("2", PATIENCE).await?;
        assert!(execution.is_success());
        assert_eq!(next(&mut behind).await?, "2");
        assert!(before.recv().await.is_none(), "the first instance had left");
        Ok(())
    }

    /// They find ordinary triggers, which another member of the job makes.
    #[tokio::test(flavor = "multi_thread")]
    async fn that_know_no_inbox_have_their_triggers_made_for_them() -> anyhow::Result<()> {
        let mut stage = Stage::set(["a", "b"]).await?;
        stage.put("first", None).await?;
        for id in ["a", "b"] {
            assert_eq!(stage.triggers(id, 1).await?, json!([{"requests": ["first"]}]));
        }
        // What waits is joined, as by any other trigger, and one instance has taken its own meanwhile.
        stage.delete_trigger("a").await?;
        stage.put("second", Some("x")).await?;
        stage.put("third", None).await?;
        let joined = json!([{"requests": ["first", "third"]}, {"requests": ["second"], "parameter": "x"}]);
        assert_eq!(stage.triggers("b", 3).await?, joined);
        let alone = json!([{"requests": ["second"], "parameter": "x"}, {"requests": ["third"]}]);
        assert_eq!(stage.triggers("a", 2).await?, alone);
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn that_take_nothing_get_no_more_than_a_node_holds_and_nothing_is_lost() -> anyhow::Result<()> {
        let mut stage = Stage::set(["a"]).await?;
        let wanted: Vec<String> = (0..600)
            .map(|number| format!("{number:04}{}", "x".repeat(1_000)))
            .collect();
        let mut transaction = stage.client.begin().await?;
        for parameter in &wanted {
            stage
                .operations
                .trigger_in(&mut transaction, "job", Some(parameter))
                .await?;
        }
        transaction.commit().await?;
        let mut found = Vec::new();
        while found.len() < wanted.len() {
            let taken = stage.taken("a").await?;
            let triggers: Vec<Value> = serde_json::from_slice(&taken)?;
            assert!(taken.len() <= 256 * 1024, "{}", taken.len());
            found.extend(
                triggers
                    .iter()
                    .map(|trigger| trigger["parameter"].as_str().map(str::to_owned)),
            );
        }
        let found: Vec<String> = found.into_iter().flatten().collect();
        assert!(found == wanted, "all, in their order: {}", found.len());
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn that_have_something_else_in_their_node_take_it_first() -> anyhow::Result<()> {
        let mut stage = Stage::set(["a"]).await?;
        for other in ["", "[{\"requests\": [\"\\u0000\"]}]", "{}", "[7]", "\u{1}"] {
            stage.session.write(created("/job/trigger/a", other)).await?;
            stage.put("1", None).await?;
            // Whatever of the inbox could be taken was looked at by then.
            stage.session.sync().await?;
            let mut lock = stage.client.begin().await?;
            let taken = "SELECT elasticjob.take_v3('/shop', 'job', 1000)";
            assert!(!lock.fetch_one(taken).await?.try_get::<bool, _>(0)?, "{other}");
            lock.rollback().await?;
            let (found, _) = data(&stage.session, "/job/trigger/a").await?.expect("it is there");
            assert_eq!(found, other.as_bytes());
            stage.delete_trigger("a").await?;
            assert_eq!(stage.triggers("a", 1).await?, json!([{"requests": ["1"]}]));
            stage.delete_trigger("a").await?;
        }
        Ok(())
    }
}

mod a_transaction {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn of_another_database_is_refused_and_goes_on() -> anyhow::Result<()> {
        let mut shop = Shop::open().await?;
        let ship = shop.ship()?;
        shop.client.execute("CREATE DATABASE other").await?;
        let elsewhere = DatabaseServer::start(Kind::Postgres)?;
        connected(&elsewhere).await?.close().await;
        let mut refusals = BTreeSet::new();
        for (url, name) in [
            (shop.server.full_url_of("other"), "other"),
            // A server with a registry of its own, in a database of the same name and number.
            (elsewhere.full_url(), "postgres"),
        ] {
            let mut client = PgConnection::connect(&url).await?;
            let mut transaction = client.begin().await?;
            transaction.execute("CREATE TABLE orders (number text)").await?;
            let refused = ship.execute_in(&mut transaction).await.expect_err("it is refused");
            assert!(!refused.is_retryable());
            let text = refused.chain().to_string();
            assert!(
                text.contains(&format!("job `{JOB}`: no run can be asked for"))
                    && text.contains(&format!("the transaction is one of the database `{name}` (oid"))
                    && text.contains("and the registry is in the database `postgres` (oid"),
                "{text}"
            );
            transaction.execute("INSERT INTO orders VALUES ('1')").await?;
            transaction.commit().await?;
            refusals.insert(text);
        }
        assert_eq!(refusals.len(), 2);

        let mut transaction = shop.client.begin().await?;
        let (embedded, _runs) = application(Arc::new(MemoryRegistry::new())).await?;
        let refused = embedded.one_off_named(JOB)?.execute_in(&mut transaction).await;
        let text = refused.expect_err("it is refused").chain().to_string();
        assert!(text.contains("if the registry is in its PostgreSQL database"), "{text}");
        transaction.execute("INSERT INTO orders VALUES ('1')").await?;
        transaction.commit().await?;
        assert_eq!(shop.runs_before("last").await?, [""; 0]);
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_a_role_that_may_only_insert_is_enough() -> anyhow::Result<()> {
        let mut shop = Shop::open().await?;
        let ship = shop.ship()?;
        let role = "CREATE ROLE web; GRANT USAGE ON SCHEMA elasticjob TO web";
        shop.client.execute(sqlx::raw_sql(role)).await?;
        let mut transaction = shop.client.begin().await?;
        transaction.execute("SET LOCAL ROLE web").await?;
        let refused = ship.execute_in(&mut transaction).await.expect_err("it is refused");
        let text = refused.chain().to_string();
        assert!(text.contains("permission denied for table inbox"), "{text}");
        transaction.rollback().await?;
        shop.client.execute("GRANT INSERT ON elasticjob.inbox TO web").await?;
        let mut transaction = shop.client.begin().await?;
        transaction.execute("SET LOCAL ROLE web").await?;
        ship.execute_with_in("1", &mut transaction).await?;
        transaction.commit().await?;
        assert_eq!(shop.runs_before("last").await?, ["1"]);
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn holds_up_no_claim_and_is_held_up_by_none() -> anyhow::Result<()> {
        let mut shop = Shop::open().await?;
        let ship = shop.ship()?;
        let mut open = PgConnection::connect(&shop.server.full_url()).await?;
        let mut open = open.begin().await?;
        open.execute("SET LOCAL lock_timeout = '1ms'").await?;
        let mut held = shop.client.begin().await?;
        held.execute("SELECT 1 FROM elasticjob.job FOR UPDATE").await?;
        ship.execute_with_in("1", &mut open).await?;
        held.rollback().await?;
        // It stays open meanwhile.
        assert!(ship.execute_with_and_wait("2", PATIENCE).await?.is_success());
        open.rollback().await?;
        assert_eq!(shop.runs_before("last").await?, ["2"]);
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn may_go_through_a_pooler() -> anyhow::Result<()> {
        let mut shop = Shop::open().await?;
        let pooler = Pooler::start(&shop.server, 2)?;
        let (pooled, mut runs) = application(Arc::new(PostgresRegistry::new(&pooler.url(), "pooled")?)).await?;
        let ship = pooled.one_off_named(JOB)?;
        for round in 0..3 {
            let options: PgConnectOptions = pooler.url().parse()?;
            let mut client = options.extra_float_digits(None::<i8>).connect().await?;
            for connection in [&mut client, &mut shop.client] {
                let mut transaction = connection.begin().await?;
                ship.execute_with_in(round.to_string(), &mut transaction).await?;
                transaction.commit().await?;
                assert_eq!(next(&mut runs).await?, round.to_string());
            }
        }
        assert_eq!(shop.runs_before("last").await?, [""; 0], "another namespace");
        Ok(())
    }
}

/// A job whose instances are written by hand: nothing takes their triggers.
struct Stage {
    server: DatabaseServer,
    session: Arc<dyn Session>,
    operations: Operations,
    client: PgConnection,
}

impl Stage {
    async fn set<const N: usize>(instances: [&str; N]) -> anyhow::Result<Self> {
        let server = DatabaseServer::start(Kind::Postgres)?;
        let session = connected(&server).await?;
        for path in ["/job", "/job/config", "/job/instances", "/job/trigger"] {
            session.write(create(path)).await?;
        }
        // One of them is a member of this version.
        for (number, id) in instances.iter().enumerate() {
            let mode = match number {
                0 => CreateMode::Ephemeral,
                _ => CreateMode::Persistent,
            };
            session.write(create_as(&format!("/job/instances/{id}"), mode)).await?;
        }
        Ok(Self {
            session,
            operations: Operations::new(Arc::new(registry(&server.full_url())?)),
            client: PgConnection::connect(&server.full_url()).await?,
            server,
        })
    }

    /// Puts a trigger into the inbox by a transaction of its own, under a name of ours.
    async fn put(&mut self, request: &str, parameter: Option<&str>) -> anyhow::Result<()> {
        let mut transaction = self.client.begin().await?;
        let requested = self.operations.trigger_in(&mut transaction, "job", parameter).await?;
        let name = "UPDATE elasticjob.inbox SET element = jsonb_set(element, '{requests,0}', to_jsonb($1::text))
                    WHERE element -> 'requests' ->> 0 = $2";
        let named = sqlx::query(name).bind(request).bind(&requested.request);
        assert_eq!(named.execute(&mut *transaction).await?.rows_affected(), 1);
        transaction.commit().await?;
        Ok(())
    }

    /// Returns the triggers of an instance, once there are so many requests.
    async fn triggers(&self, id: &str, requests: usize) -> anyhow::Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = data(&self.session, &format!("/job/trigger/{id}")).await?;
            let triggers: Value = found.map_or(Ok(json!([])), |(data, _)| serde_json::from_slice(&data))?;
            let of_one = |trigger: &Value| trigger["requests"].as_array().map_or(0, Vec::len);
            let count: usize = triggers.as_array().into_iter().flatten().map(of_one).sum();
            if count >= requests {
                return Ok(triggers);
            }
            anyhow::ensure!(Instant::now() < deadline, "{triggers}");
        }
    }

    /// Takes the triggers of an instance as the instance does: by deleting them as they are.
    async fn taken(&self, id: &str) -> anyhow::Result<Vec<u8>> {
        let path = format!("/job/trigger/{id}");
        loop {
            self.triggers(id, 1).await?;
            let Some((data, stat)) = data(&self.session, &path).await? else {
                continue;
            };
            match self.session.write(delete(&path, Some(stat.version))).await {
                Err(refused) if refused.error == Error::BadVersion => {}
                written => {
                    written?;
                    return Ok(data);
                }
            }
        }
    }

    async fn delete_trigger(&self, id: &str) -> anyhow::Result<()> {
        self.session.write(delete(&format!("/job/trigger/{id}"), None)).await?;
        Ok(())
    }
}

fn delete(path: &str, version: Option<i32>) -> Vec<Step> {
    let path = path.to_owned();
    vec![Step::Delete { path, version }]
}

fn created(path: &str, data: &str) -> Vec<Step> {
    vec![Step::Create {
        path: path.to_owned(),
        data: data.as_bytes().to_vec(),
        mode: CreateMode::Persistent,
    }]
}
