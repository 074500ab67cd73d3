//! The registry centres side by side: what a firing asks of each, how many transactions it takes, and how soon the items of a dead member
//! run elsewhere.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob::ElasticJob;
use elasticjob::job::job;
use elasticjob::registry::metered::Metered;
use elasticjob::registry::{CreateMode, Registry, Session, Step};
use elasticjob::schedule::SystemClock;
use elasticjob::starter::Builder;
use futures_util::future::try_join_all;
use futures_util::{StreamExt as _, stream};
use sqlx::{Connection as _, PgConnection, Row as _};
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep, timeout};

use crate::center::{AnyRegistry, Center, Kind};
use crate::cluster::{Cluster, SESSION_TIMEOUT, SHARE};
use crate::history::since_boot;
use crate::metered::{Site, ending_together};

use super::member::member;
use super::percentiles::print_times;
use super::{print, runtime};

const KINDS: [Kind; 5] = [
    Kind::Embedded,
    Kind::ZooKeeper,
    Kind::Sqlite,
    Kind::Etcd,
    Kind::Postgres,
];

/// Sessions that write at once.
const CLIENTS: [usize; 3] = [1, 16, 64];

/// Jobs that they write to.
const JOBS: usize = 200;

/// Each number of clients writes for so long.
const MEASURE: Duration = Duration::from_secs(5);

/// Firings that are counted, a second each, and seconds until everything has found its place.
const FIRINGS: i64 = 5;
const SETTLE: i64 = 4;

/// Jobs of one process: those that are registered, and those that rest.
const REGISTERED: usize = 10_000;
const RESTING: [usize; 2] = [1, 1_000];

/// How long resting jobs are watched.
const REST: Duration = Duration::from_secs(10);

/// Transactions whose traces are to be seen in the size of tables, and how long they may take.
const MANY: usize = 1_000_000;
const MANY_FEW: usize = 50_000;
const MANY_LIMIT: Duration = Duration::from_secs(240);

/// Transactions of one session under way at a time.
const UNDER_WAY: usize = 128;

/// Members that are killed.
const KILLS: usize = 4;
const HOSTS: [u8; 3] = [1, 2, 3];
const WORK: Duration = Duration::from_millis(1_200);

const TIMEOUT: Duration = Duration::from_secs(30);
const START_LIMIT: Duration = Duration::from_secs(600);
const PATIENCE: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_secs(5);

pub(super) fn measure() -> anyhow::Result<()> {
    runtime()?.block_on(async {
        for kind in KINDS {
            let center = block_in_place(|| Center::start(kind))?;
            connect(&center, "first").await?;
            firing(&center).await?;
            for clients in CLIENTS {
                transactions(&center, clients).await?;
            }
            for jobs in RESTING {
                rest(&center, jobs).await?;
            }
            registration(&center).await?;
            if kind != Kind::Embedded {
                kills(&center).await?;
            }
            tables(&center).await?;
        }
        Ok(())
    })
}

/// Waits for a server that listens before it serves.
async fn connect(center: &Center, namespace: &str) -> anyhow::Result<Arc<dyn Session>> {
    let (registry, deadline) = (center.registry(namespace, TIMEOUT)?, Instant::now() + PATIENCE);
    loop {
        match registry.connect().await {
            Err(error) if Instant::now() < deadline && !error.is_permanent() => sleep(Duration::from_millis(50)).await,
            session => return Ok(session?),
        }
    }
}

/// Counts at the trait what a firing asks for.
async fn firing(center: &Center) -> anyhow::Result<()> {
    let registry = AnyRegistry(center.registry("firing", TIMEOUT)?);
    let site = Site::new(registry, Arc::new(SystemClock::new()));
    let member = site.join(ending_together(10)).await?;
    site.pass(SETTLE).await;
    let before = member.counts();
    site.pass(FIRINGS).await;
    let counts = member.counts() - before;
    let requests = counts.requests() - counts.syncs;
    let each = requests as f64 / FIRINGS as f64;
    show(
        center,
        "round trips of a firing of 10 items",
        format!("{each:.1}"),
        "requests",
    );
    member.leave().await;
    Ok(())
}

/// Each client writes, waits for the answer, and writes again, to a job at random.
async fn transactions(center: &Center, clients: usize) -> anyhow::Result<()> {
    let namespace = format!("transactions-{clients}");
    prepare(&connect(center, &namespace).await?).await?;
    let sessions = try_join_all((0..clients).map(|_| connect(center, &namespace))).await?;
    let end = Instant::now() + MEASURE;
    let writing = sessions.iter().enumerate().map(async |(number, session)| {
        let (mut rng, mut times) = (fastrand::Rng::with_seed(number as u64), Vec::new());
        while Instant::now() < end {
            let begin = Instant::now();
            session.write(claim(rng.usize(..JOBS))).await?;
            times.push(begin.elapsed());
        }
        Ok::<_, anyhow::Error>(times)
    });
    let mut times = try_join_all(writing).await?.concat();
    ensure!(!times.is_empty(), "nothing was written");
    times.sort_unstable();
    let percentile = |percent: usize| times[(times.len() * percent).div_ceil(100) - 1];
    let rate = times.len() as f64 / MEASURE.as_secs_f64();
    let name = |what| format!("{clients} clients on {JOBS} jobs: {what}");
    show(center, &name("transactions"), format!("{rate:.0}"), "/s");
    show(center, &name("p50"), milliseconds(percentile(50)), "ms");
    show(center, &name("p99"), milliseconds(percentile(99)), "ms");
    for session in sessions {
        session.close().await;
    }
    Ok(())
}

/// Creates the jobs, each with two nodes.
async fn prepare(session: &Arc<dyn Session>) -> anyhow::Result<()> {
    let create = |path: String| Step::Create {
        path,
        data: vec![b'.'; 100],
        mode: CreateMode::Persistent,
    };
    for job in 0..JOBS {
        let paths = ["", "/ledger", "/mark"].map(|name| create(format!("/job-{job}{name}")));
        session.write(paths.into()).await?;
    }
    Ok(())
}

/// What a claim is to a registry: two nodes of one job are set.
fn claim(job: usize) -> Vec<Step> {
    let set = |name: &str| Step::Set {
        path: format!("/job-{job}/{name}"),
        data: vec![b'.'; 100],
        version: None,
    };
    vec![set("ledger"), set("mark")]
}

/// What jobs that do not fire ask for.
async fn rest(center: &Center, jobs: usize) -> anyhow::Result<()> {
    let namespace = format!("rest-{jobs}");
    let registry = Arc::new(Metered::new(AnyRegistry(center.registry(&namespace, TIMEOUT)?)));
    let started = timeout(START_LIMIT, application(&registry, jobs).build()?.start());
    let running = started.await.with_context(|| format!("{jobs} jobs do not start"))??;
    sleep(REST).await;
    let (asked, served) = (registry.counts().requests(), served(center).await?);
    sleep(REST).await;
    let rate = |count: u64| format!("{:.1}", count as f64 / REST.as_secs_f64());
    let name = |what| format!("{jobs} jobs at rest: {what}");
    show(
        center,
        &name("requests of the application"),
        rate(registry.counts().requests() - asked),
        "/s",
    );
    if let (Some(before), Some(after)) = (served, self::served(center).await?) {
        show(
            center,
            &name("requests or transactions by the server's count"),
            rate(after - before),
            "/s",
        );
    }
    running.shutdown(GRACE).await;
    Ok(())
}

/// Returns how many requests the server has counted, if there is one.
async fn served(center: &Center) -> anyhow::Result<Option<u64>> {
    if let Some(server) = center.zookeeper() {
        return Ok(Some(block_in_place(|| server.counters())?.packets_received.try_into()?));
    }
    let Some(server) = center.postgres() else {
        return Ok(None);
    };
    let mut connection = PgConnection::connect(&server.full_url()).await?;
    let query = "SELECT (xact_commit + xact_rollback)::bigint FROM pg_stat_database WHERE datname = current_database()";
    let row = sqlx::query(query).fetch_one(&mut connection).await?;
    Ok(Some(row.try_get::<i64, _>(0)?.try_into()?))
}

async fn registration(center: &Center) -> anyhow::Result<()> {
    let registry = Arc::new(Metered::new(AnyRegistry(center.registry("registration", TIMEOUT)?)));
    let ready = application(&registry, REGISTERED).build()?;
    let begin = Instant::now();
    let started = timeout(START_LIMIT, ready.start()).await;
    let running = started.with_context(|| format!("{REGISTERED} jobs do not start"))??;
    let time = format!("{:.1}", begin.elapsed().as_secs_f64());
    show(center, &format!("registration of {REGISTERED} jobs"), time, "s");
    running.shutdown(GRACE).await;
    Ok(())
}

/// Returns an application of jobs that run when they are asked to.
fn application(registry: &Arc<Metered<AnyRegistry>>, jobs: usize) -> Builder {
    let builder = ElasticJob::builder().without_discovery().environment([]);
    let builder = builder.registry(Arc::clone(registry) as Arc<dyn Registry>);
    let jobs = (0..jobs).map(|number| job(format!("job-{number}"), async || {}).sharding(1));
    jobs.fold(builder, Builder::job)
}

/// Kills members. Measures how much later than the session timeout the items that they ran are begun elsewhere.
async fn kills(center: &Center) -> anyhow::Result<()> {
    let cluster = Cluster::on(center, std::env::current_exe()?, "kills")?;
    let start = |host| member(&cluster, host, WORK).start();
    let mut members = HOSTS.map(start).into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let mut times = Vec::new();
    for round in 0..KILLS {
        let place = round % HOSTS.len();
        let host = HOSTS[place];
        cluster.shared_by(&HOSTS).await;
        let run = cluster.run_on(host).await;
        let killed_at = since_boot();
        std::mem::replace(&mut members[place], start(host)?).kill().await?;
        let again = cluster.until("what it ran is run elsewhere", async || {
            let runs = cluster.runs()?;
            let is_next = |other: &&crate::history::Run| {
                other.id.run == run.id.run && other.id.item == run.id.item && other.id.attempt == run.id.attempt + 1
            };
            Ok(runs.iter().find(is_next).context("not run again")?.first)
        });
        times.push(again.await.saturating_sub(killed_at + SESSION_TIMEOUT));
    }
    let name = format!(
        "{}: from kill -9 to the start elsewhere, beyond the session timeout",
        name(center)
    );
    ensure!(cluster.runs()?.iter().any(|run| run.id.job == SHARE), "nothing has run");
    print_times(&name, times)
}

/// The size of the tables after few and after many transactions.
async fn tables(center: &Center) -> anyhow::Result<()> {
    let Some(before) = size(center).await? else {
        return Ok(());
    };
    show(center, "tables before", before / 1024, "kB");
    let session = connect(center, "tables").await?;
    prepare(&session).await?;
    let sessions = try_join_all((0..8).map(|_| connect(center, "tables"))).await?;
    let (begin, mut done) = (Instant::now(), 0);
    for until in [MANY_FEW, MANY] {
        let writes = (done..until).map(|number| sessions[number % sessions.len()].write(claim(number % JOBS)));
        let mut writes = stream::iter(writes).buffered(UNDER_WAY);
        while let Some(result) = writes.next().await {
            result?;
            done += 1;
            if begin.elapsed() > MANY_LIMIT {
                break;
            }
        }
        let kilobytes = size(center).await?.unwrap_or_default() / 1024;
        show(center, &format!("tables after {done} transactions"), kilobytes, "kB");
    }
    let rate = done as f64 / begin.elapsed().as_secs_f64();
    show(
        center,
        &format!("transactions of {} clients, {UNDER_WAY} under way", sessions.len()),
        format!("{rate:.0}"),
        "/s",
    );
    Ok(())
}

/// Returns the bytes that the tables take, if there are any.
async fn size(center: &Center) -> anyhow::Result<Option<u64>> {
    if let Some(folder) = center.folder() {
        let mut size = 0;
        for file in std::fs::read_dir(folder)? {
            size += file?.metadata()?.len();
        }
        return Ok(Some(size));
    }
    let Some(server) = center.postgres() else {
        return Ok(None);
    };
    let mut connection = PgConnection::connect(&server.full_url()).await?;
    let query = "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
        WHERE relnamespace = 'elasticjob'::regnamespace AND relkind = 'r'";
    let row = sqlx::query(query).fetch_one(&mut connection).await?;
    Ok(Some(row.try_get::<i64, _>(0)?.try_into()?))
}

fn show(center: &Center, what: &str, value: impl std::fmt::Display, unit: &str) {
    print(format!("{}: {what}", name(center)), value, unit);
}

fn name(center: &Center) -> &'static str {
    match center.kind() {
        Kind::Embedded => "embedded",
        Kind::ZooKeeper => "zookeeper",
        Kind::Postgres => "postgresql",
        Kind::Sqlite => "sqlite",
        Kind::Etcd => "etcd",
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1000.0)
}
