//! Three Java members and three of ours, on the same server, with the same job: what each kind costs, and their ratio.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::task::block_in_place;
use tokio::time::sleep;

use crate::cluster::{Cluster, ITEMS, LASTING_SESSION, SHARE, all_items, host_of};
use crate::history::{Run, since_boot};
use crate::process::{Member, MemberSetup};
use crate::zookeeper::Server;
use crate::{cluster, java};

use super::{member, print, process, runtime};

const HOSTS: [u8; 3] = [1, 2, 3];

/// Periods in which is counted.
const FIRINGS: u32 = 15;

/// Starts of which the median is shown.
const STARTS: usize = 7;

/// Members that are killed.
const KILLS: usize = 8;

/// Many jobs in one process.
const MANY: u32 = 300;

const NEVER: &str = "0 0 0 1 1 ? 2099";

/// Long enough that members are killed while they run items.
const WORK: Duration = Duration::from_millis(1200);

/// How long a process is left alone before it is looked at.
const SETTLE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug)]
enum Kind {
    Java,
    Ours,
}

impl Kind {
    fn name(self) -> String {
        match self {
            Self::Java => format!("java {}", java::version()),
            Self::Ours => "ours".to_owned(),
        }
    }

    fn cluster(self, server: &Server, what: &str) -> anyhow::Result<Cluster> {
        Cluster::new(std::env::current_exe()?, server.address(), &format!("{what}-{self:?}"))
    }

    fn member(self, cluster: &Cluster, host: u8, work: Duration) -> MemberSetup {
        let setup = match self {
            Self::Java => cluster
                .member_of(java::member(), host)
                .with("MEMBER_SHARES_ONLY", "yes")
                .working(work),
            Self::Ours => member::member(cluster, host, work),
        };
        setup.with("ELASTICJOB_JOBS_SHARE_FAILOVER", "true")
    }
}

pub(super) fn measure() -> anyhow::Result<()> {
    if !java::is_at_hand() {
        println!("not measured: there is no Maven to build Java members with");
        return Ok(());
    }
    runtime()?.block_on(async {
        let server = block_in_place(Server::start)?;
        block_in_place(java::member);
        compare("starts", async |kind| start_to_first_firing(kind, &server).await).await?;
        compare("requests", async |kind| requests(kind, &server).await).await?;
        for jobs in [1, MANY] {
            compare("footprint", async |kind| footprint(kind, &server, jobs).await).await?;
        }
        compare("kills", async |kind| kills(kind, &server).await).await
    })
}

/// A figure of one kind, by name, and its unit.
type Figure = (String, f64, &'static str);

/// Prints the figures of both kinds, and how many times ours Java's are.
async fn compare(what: &str, mut measure: impl AsyncFnMut(Kind) -> anyhow::Result<Vec<Figure>>) -> anyhow::Result<()> {
    let context = |kind: Kind| format!("{what} of {}", kind.name());
    let java = measure(Kind::Java).await.with_context(|| context(Kind::Java))?;
    let ours = measure(Kind::Ours).await.with_context(|| context(Kind::Ours))?;
    for ((name, java, unit), (_, ours, _)) in java.into_iter().zip(ours) {
        print(format!("{name}: {}", Kind::Java.name()), format!("{java:.1}"), unit);
        print(format!("{name}: {}", Kind::Ours.name()), format!("{ours:.1}"), unit);
        print(format!("{name}: ratio"), format!("{:.1}", java / ours), "times ours");
    }
    Ok(())
}

/// Three members.
async fn three(kind: Kind, cluster: &Cluster, work: Duration, session: Duration) -> anyhow::Result<Vec<Member>> {
    let start = |host: &u8| kind.member(cluster, *host, work).with_session_timeout(session).start();
    let members = HOSTS.iter().map(start).collect();
    cluster.shared_by(&HOSTS).await;
    members
}

/// Returns what the server counts while three members fire: all their requests, heartbeats and pings included.
async fn requests(kind: Kind, server: &Server) -> anyhow::Result<Vec<Figure>> {
    let cluster = kind.cluster(server, "requests")?;
    let members = three(kind, &cluster, Duration::from_millis(100), LASTING_SESSION).await?;
    cluster.runs_regularly(&all_items(), 2).await;
    let (begin, before) = (since_boot(), server.counters()?);
    sleep(cluster::PERIOD.unsigned_abs() * FIRINGS).await;
    let (end, counted) = (since_boot(), server.counters()? - before);
    drop(members);
    // A busy machine makes members skip times: what they ran is what counts.
    let runs = cluster.runs()?;
    let run = runs.iter().filter(|run| run.first >= begin && run.first < end).count();
    let firings = run as f64 / f64::from(ITEMS);
    ensure!(firings > 0.0, "nothing ran");
    let each = |name: &str, count: i64, unit| {
        let name = format!("per firing of 10 items on 3 instances, {name}");
        (name, count as f64 / firings, unit)
    };
    Ok(vec![
        each("requests to the server", counted.packets_received, "requests"),
        each("answers and events from the server", counted.packets_sent, "packets"),
        each("transactions", counted.transactions, "transactions"),
    ])
}

/// From the start of a process to the first item that it runs, where a firing is due each second.
async fn start_to_first_firing(kind: Kind, server: &Server) -> anyhow::Result<Vec<Figure>> {
    let mut times = Vec::new();
    for number in 0..STARTS {
        let cluster = kind.cluster(server, &format!("start-{number}"))?;
        let setup = kind.member(&cluster, 1, Duration::ZERO);
        let begin = since_boot();
        let member = setup.with("ELASTICJOB_JOBS_SHARE_CRON", "0/1 * * * * ?").start()?;
        let first = cluster.until("it runs an item", async || {
            let runs = cluster.runs()?;
            Ok(runs.first().context("none has run")?.first)
        });
        times.push(first.await.saturating_sub(begin));
        member.kill().await?;
    }
    Ok(vec![(
        "process start to first firing, one due each second, median".to_owned(),
        median(times),
        "ms",
    )])
}

/// Returns what a process with so many jobs, none of which is due, takes of the machine.
async fn footprint(kind: Kind, server: &Server, jobs: u32) -> anyhow::Result<Vec<Figure>> {
    let cluster = kind.cluster(server, &format!("footprint-{jobs}"))?;
    let setup = kind.member(&cluster, 1, Duration::ZERO).with("MEMBER_COPIES", jobs);
    let member = setup.with("ELASTICJOB_JOBS_SHARE_CRON", NEVER).start()?;
    let last = if jobs == 1 {
        SHARE.to_owned()
    } else {
        format!("{SHARE}{}", jobs - 1)
    };
    cluster
        .until("the last job is there", async || {
            ensure!(!cluster.instances(&last).await?.is_empty(), "it is not");
            Ok(())
        })
        .await;
    sleep(SETTLE).await;
    let name = |what: &str| format!("jobs at rest: {jobs}, {what} of the process");
    let (memory, threads) = process::footprint(member.pid())?;
    Ok(vec![
        (name("memory"), memory as f64 / f64::from(1 << 20), "MiB"),
        (name("threads"), threads as f64, "threads"),
    ])
}

/// From kill -9 of a member to the start elsewhere of each item that it was running.
async fn kills(kind: Kind, server: &Server) -> anyhow::Result<Vec<Figure>> {
    let cluster = kind.cluster(server, "kills")?;
    let mut members = three(kind, &cluster, WORK, cluster::SESSION_TIMEOUT).await?;
    let mut times = Vec::new();
    for round in 0..KILLS {
        let victim = round % HOSTS.len();
        let host = HOSTS[victim];
        cluster.shared_by(&HOSTS).await;
        let (cut_short, killed_at) = {
            cluster.run_on(host).await;
            let killed_at = since_boot();
            members.remove(victim).kill().await?;
            let mut runs = cluster.runs()?;
            runs.retain(|run| run.end.is_none() && host_of(&run.id.instance).is_ok_and(|of| of == host));
            (runs, killed_at)
        };
        let again = cluster.until("what it ran is run elsewhere", async || {
            let runs = cluster.runs()?;
            let begun = |before: &Run| {
                let is_next = |run: &&Run| {
                    run.id.item == before.id.item && run.id.instance != before.id.instance && run.first > killed_at
                };
                runs.iter().find(is_next).map(|run| run.first - killed_at)
            };
            let begun: Option<Vec<Duration>> = cut_short.iter().map(begun).collect();
            begun.context("not all of it is")
        });
        times.extend(again.await);
        let setup = kind
            .member(&cluster, host, WORK)
            .with_session_timeout(cluster::SESSION_TIMEOUT);
        members.insert(victim, setup.start()?);
    }
    Ok(vec![(
        "kill -9 to the item's start elsewhere, session timeout 3 s, median".to_owned(),
        median(times),
        "ms",
    )])
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times
        .get(times.len() / 2)
        .map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
}
