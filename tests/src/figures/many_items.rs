//! Jobs of many items, on the embedded registry and on ZooKeeper: shared out, run, failed over, reshared.

use std::collections::BTreeSet;
use std::iter;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob::ElasticJob;
use elasticjob::job::{ShardingContext, job};
use elasticjob::operation::{Operations, Requested};
use elasticjob::registry::Registry;
use elasticjob::registry::memory::{Link, MemoryRegistry};
use elasticjob::registry::metered::{Counts, Metered};
use elasticjob::registry::zookeeper::ZooKeeperRegistry;
use tokio::sync::watch;
use tokio::task::block_in_place;
use tokio::time::{Instant, interval, timeout};

use super::{print, runtime};
use crate::proxy::{Close, Proxy};
use crate::zookeeper::Server;

const JOB: &str = "items";

/// Where jobs are, how many items they have, and how many instances share them. The longest is the last.
const JOBS: [(Centre, u32, usize); 4] = [
    (Centre::Embedded, 10_000, 3),
    (Centre::Embedded, 10_000, 100),
    (Centre::ZooKeeper, 10_000, 3),
    (Centre::Embedded, 100_000, 3),
];

/// When the session of a crashed instance ends.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two looks at the items of the instances.
const LOOK: Duration = Duration::from_millis(20);

/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(600);

const GRACE: Duration = Duration::from_secs(30);

/// A kind of registry centre.
#[derive(Clone, Copy)]
enum Centre {
    Embedded,
    ZooKeeper,
}

pub(super) fn measure() -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let server = block_in_place(Server::start)?;
        for (centre, items, instances) in JOBS {
            let (centre, place) = match centre {
                Centre::Embedded => ("embedded", Place::embedded()),
                Centre::ZooKeeper => ("zookeeper", Place::on(&server, items, instances)),
            };
            Life::measure(
                format!("{centre}, {items} items on {instances}"),
                place,
                items,
                instances,
            )
            .await?;
        }
        Ok(())
    })
}

/// The life of a job of many items, from the start of its first instance to the stop of its last.
struct Life {
    name: String,
    place: Place,
    items: u32,
    operations: Operations,
    work: Arc<Work>,
    started: usize,
    instances: Vec<Instance>,
}

impl Life {
    async fn measure(name: String, place: Place, items: u32, instances: usize) -> anyhow::Result<()> {
        let mut life = Self {
            operations: Operations::new(place.registry()?),
            name,
            place,
            items,
            work: Work::new(),
            started: 0,
            instances: Vec::new(),
        };
        life.share_out(instances).await?;
        life.run().await?;
        let crashed = life.fail_over().await?;
        life.reshard().await?;
        life.operations.close().await;
        for instance in life.instances {
            instance.stop().await;
        }
        // It cannot say goodbye: it is cut off.
        drop(crashed);
        Ok(())
    }

    async fn share_out(&mut self, instances: usize) -> anyhow::Result<()> {
        let phase = Phase::begin(&self.instances);
        for _ in 0..instances {
            self.start_one().await?;
        }
        self.until_shared_out().await?;
        self.report(&phase, "shared out, since the first start");
        Ok(())
    }

    /// Runs all items once.
    async fn run(&self) -> anyhow::Result<()> {
        let phase = Phase::begin(&self.instances);
        let requested = self.operations.trigger(JOB, None).await?;
        self.work.until(|ran| ran.begun.len() == self.items as usize).await?;
        print(
            format!("{}: all items begun, since the request", self.name),
            seconds(phase.begin.elapsed()),
            "s",
        );
        self.expect_success(&requested).await?;
        self.report(&phase, "all items run and recorded, since the request");
        Ok(())
    }

    /// Crashes an instance while all items run, and waits until its items have run elsewhere.
    async fn fail_over(&mut self) -> anyhow::Result<Instance> {
        self.work.hold();
        let requested = self.operations.trigger(JOB, None).await?;
        self.work.until(|ran| ran.begun.len() == self.items as usize).await?;
        let crashed = self.instances.swap_remove(0);
        let lost = crashed.items();
        let count = lost.len();
        let phase = Phase::begin(&self.instances);
        crashed.crash();
        self.work.release();
        self.work
            .until(|ran| lost.iter().all(|item| ran.taken_over.contains(item)))
            .await?;
        let timeout = SESSION_TIMEOUT.as_secs();
        print(
            format!(
                "{}: the {count} items of a crashed instance run elsewhere, since the crash and {timeout} s for its session",
                self.name
            ),
            seconds(phase.begin.elapsed().saturating_sub(SESSION_TIMEOUT)),
            "s",
        );
        self.expect_success(&requested).await?;
        self.until_shared_out().await?;
        self.report(
            &phase,
            &format!("they are recorded and have other owners, since the crash, {timeout} s included"),
        );
        Ok(crashed)
    }

    async fn reshard(&mut self) -> anyhow::Result<()> {
        let phase = Phase::begin(&self.instances);
        self.start_one().await?;
        self.until_shared_out().await?;
        self.report(&phase, "reshared, since the start of another instance");
        Ok(())
    }

    async fn start_one(&mut self) -> anyhow::Result<()> {
        let instance = Instance::start(&self.place, self.started, self.items, &self.work).await?;
        self.started += 1;
        self.instances.push(instance);
        Ok(())
    }

    async fn expect_success(&self, requested: &Requested) -> anyhow::Result<()> {
        let run = self.operations.outcome(requested, PATIENCE).await?;
        ensure!(run.is_success(), "not all items of {} succeeded", self.name);
        Ok(())
    }

    /// Waits until each item belongs to one of the instances, evenly.
    async fn until_shared_out(&self) -> anyhow::Result<()> {
        let even = self.items as usize / self.instances.len();
        let mut looks = interval(LOOK);
        let shared_out = async {
            loop {
                looks.tick().await;
                let shares: Vec<usize> = self.instances.iter().map(|instance| instance.items().len()).collect();
                let is_even = shares.iter().all(|share| (even..=even + 1).contains(share));
                if is_even && shares.iter().sum::<usize>() == self.items as usize {
                    return;
                }
            }
        };
        timeout(PATIENCE, shared_out)
            .await
            .context("the items are not shared out")
    }

    /// Prints how long a phase has taken, and what its instances have asked of the registry.
    fn report(&self, phase: &Phase, what: &str) {
        let name = format!("{}: {what}", self.name);
        print(&name, seconds(phase.begin.elapsed()), "s");
        let asked = phase.asked(&self.instances);
        let columns: [Column; 3] = [
            ("transactions", |counts| counts.writes),
            ("requests", Counts::requests),
            ("bytes", |counts| counts.bytes_written),
        ];
        for (unit, of) in columns {
            let total: u64 = asked.iter().map(of).sum();
            print(
                format!("{name}: of an instance, on average"),
                total / asked.len() as u64,
                unit,
            );
            print(
                format!("{name}: of an instance, at most"),
                asked.iter().map(of).max().unwrap_or_default(),
                unit,
            );
        }
    }
}

/// A unit, and what is counted in it.
type Column = (&'static str, fn(&Counts) -> u64);

/// A part of the life of a job that is measured.
struct Phase {
    begin: Instant,
    /// What the instances had asked of the registry before.
    before: Vec<Counts>,
}

impl Phase {
    fn begin(instances: &[Instance]) -> Self {
        Self {
            begin: Instant::now(),
            before: instances.iter().map(|instance| instance.meter.counts()).collect(),
        }
    }

    /// Returns what the same instances, and those that started after them, have asked of the registry since.
    fn asked(&self, instances: &[Instance]) -> Vec<Counts> {
        let before = self.before.iter().copied().chain(iter::repeat(Counts::default()));
        let now = instances.iter().map(|instance| instance.meter.counts());
        now.zip(before).map(|(now, before)| now - before).collect()
    }
}

/// The registry of one instance, which counts.
#[derive(Clone)]
enum Meter {
    Embedded(Arc<Metered<Link>>),
    ZooKeeper(Arc<Metered<ZooKeeperRegistry>>),
}

impl Meter {
    fn counts(&self) -> Counts {
        match self {
            Self::Embedded(registry) => registry.counts(),
            Self::ZooKeeper(registry) => registry.counts(),
        }
    }

    fn registry(&self) -> Arc<dyn Registry> {
        match self {
            Self::Embedded(registry) => Arc::clone(registry) as _,
            Self::ZooKeeper(registry) => Arc::clone(registry) as _,
        }
    }
}

/// A registry centre.
enum Place {
    Embedded(MemoryRegistry),
    ZooKeeper { server: SocketAddr, namespace: String },
}

/// The connection of one instance to the registry centre, which can be cut.
enum Way {
    Embedded(Link),
    ZooKeeper(Proxy),
}

impl Place {
    fn embedded() -> Self {
        Self::Embedded(MemoryRegistry::new().with_session_timeout(SESSION_TIMEOUT))
    }

    fn on(server: &Server, items: u32, instances: usize) -> Self {
        Self::ZooKeeper {
            server: server.address(),
            namespace: format!("many-items-{items}-{instances}"),
        }
    }

    /// The registry for operators.
    fn registry(&self) -> anyhow::Result<Arc<dyn Registry>> {
        Ok(match self {
            Self::Embedded(registry) => Arc::new(registry.clone()),
            Self::ZooKeeper { server, namespace } => Arc::new(zookeeper(*server, namespace)?),
        })
    }

    /// Opens a connection for an instance.
    async fn way(&self, number: usize) -> anyhow::Result<(Way, Meter)> {
        Ok(match self {
            Self::Embedded(registry) => {
                let link = registry.link(&number.to_string());
                let meter = Meter::Embedded(Arc::new(Metered::new(link.clone())));
                (Way::Embedded(link), meter)
            }
            Self::ZooKeeper { server, namespace } => {
                let proxy = Proxy::start(*server).await?;
                let meter = Meter::ZooKeeper(Arc::new(Metered::new(zookeeper(proxy.address(), namespace)?)));
                (Way::ZooKeeper(proxy), meter)
            }
        })
    }
}

fn zookeeper(address: SocketAddr, namespace: &str) -> anyhow::Result<ZooKeeperRegistry> {
    let registry = ZooKeeperRegistry::new(&address.to_string(), namespace)?;
    Ok(registry.with_session_timeout(SESSION_TIMEOUT))
}

/// One instance of the job.
struct Instance {
    running: ElasticJob,
    way: Way,
    meter: Meter,
}

impl Instance {
    async fn start(place: &Place, number: usize, items: u32, work: &Arc<Work>) -> anyhow::Result<Self> {
        let (way, meter) = place.way(number).await?;
        let work = Arc::clone(work);
        let run = move |shard: ShardingContext| {
            let work = Arc::clone(&work);
            async move { work.run(shard.sharding_item(), shard.attempt()).await }
        };
        let declared = job(JOB, run).sharding(items).set("failover", true);
        let builder = ElasticJob::builder()
            .without_discovery()
            .environment([])
            .set("network.ip", format!("10.0.{}.{}", number / 250, number % 250 + 1))
            .registry(meter.registry())
            .job(declared.set("job-executor-service-handler-type", "UNBOUNDED"));
        let running = builder.build()?.start().await?;
        running.ready().await?;
        Ok(Self { running, way, meter })
    }

    /// Returns the items that it owns.
    fn items(&self) -> Vec<u32> {
        self.running.health().jobs[JOB].items.clone()
    }

    /// Cuts its connection: to the registry centre and the other instances, it has died.
    fn crash(&self) {
        match &self.way {
            Way::Embedded(link) => link.cut(),
            Way::ZooKeeper(proxy) => proxy.cut(Close::Reset),
        }
    }

    async fn stop(self) {
        self.running.shutdown(GRACE).await;
    }
}

/// The work of all items: each waits until it may end.
struct Work {
    may_end: watch::Sender<bool>,
    ran: watch::Sender<Ran>,
}

/// The items that have run since the last hold.
#[derive(Debug, Default)]
struct Ran {
    begun: BTreeSet<u32>,
    /// Items of which a further attempt has ended.
    taken_over: BTreeSet<u32>,
}

impl Work {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            may_end: watch::Sender::new(true),
            ran: watch::Sender::default(),
        })
    }

    /// Keeps items from their end, from here on.
    fn hold(&self) {
        self.ran.send_replace(Ran::default());
        self.may_end.send_replace(false);
    }

    fn release(&self) {
        self.may_end.send_replace(true);
    }

    async fn run(&self, item: u32, attempt: u32) {
        self.ran.send_modify(|ran| ran.begun.extend([item]));
        // The sender is ours.
        let _ = self.may_end.subscribe().wait_for(|may_end| *may_end).await;
        if attempt > 1 {
            self.ran.send_modify(|ran| ran.taken_over.extend([item]));
        }
    }

    async fn until(&self, holds: impl FnMut(&Ran) -> bool) -> anyhow::Result<()> {
        let mut ran = self.ran.subscribe();
        timeout(PATIENCE, ran.wait_for(holds))
            .await
            .context("not all items ran")??;
        Ok(())
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64())
}
