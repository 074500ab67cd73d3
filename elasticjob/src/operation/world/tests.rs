//! A world over a registry in which jobs come, change and go.

use std::sync::Arc;

use super::*;
use crate::registry::memory::MemoryRegistry;
use crate::registry::metered::Metered;
use crate::registry::{CreateMode, Registry, Session, Step};
use crate::schedule::ManualClock;

const NOW: &str = "2026-03-01T10:00:01Z";

const CONFIG: &str = "jobName: NAME\ncron: 0/5 * * * * ?\nshardingTotalCount: 2\n";

/// A world, and what changes what it follows.
struct Stage {
    world: World,
    registry: Arc<Metered<MemoryRegistry>>,
    session: Arc<dyn Session>,
}

async fn stage() -> Stage {
    let registry = Arc::new(Metered::new(MemoryRegistry::new()));
    let session = registry.connect().await.unwrap();
    let clock = Arc::new(ManualClock::starting_at(NOW.parse().unwrap()));
    let followed: Arc<dyn Registry> = Arc::<Metered<_>>::clone(&registry);
    let world = World::new(Operations::with_clock(followed, Arc::<ManualClock>::clone(&clock)));
    Stage {
        world,
        registry,
        session,
    }
}

impl Stage {
    /// Runs a test beside the world.
    async fn run(&self, test: impl Future<Output = ()>) {
        tokio::select! {
            () = test => {}
            () = self.world.run(std::future::pending()) => unreachable!("nothing stops it"),
        }
    }

    async fn add(&self, job: &str) {
        let create = |path: String, data: &str| Step::Create {
            path,
            data: data.as_bytes().to_vec(),
            mode: CreateMode::Persistent,
        };
        let steps = vec![
            create(format!("/{job}"), ""),
            create(format!("/{job}/config"), &CONFIG.replace("NAME", job)),
        ];
        self.session.write(steps).await.unwrap();
    }

    /// Waits for a picture of which this holds.
    async fn seen(&self, holds: impl Fn(&Picture) -> bool) -> Picture {
        let mut picture = self.world.picture();
        while !holds(&picture) {
            let later = self.world.later_than(picture.revision);
            picture = tokio::time::timeout(Duration::from_secs(60), later)
                .await
                .expect("it comes within a minute");
        }
        picture
    }
}

fn names(picture: &Picture) -> Vec<&str> {
    picture.jobs.keys().map(|name| &**name).collect()
}

#[tokio::test(start_paused = true)]
async fn follows_jobs_that_come_change_and_go() {
    let stage = stage().await;
    stage.add("first").await;
    stage
        .run(async {
            stage.world.look([]);
            let picture = stage.world.read(Duration::from_secs(5)).await;
            assert_eq!(
                (picture.standing.clone(), names(&picture)),
                (Standing::Live, vec!["first"])
            );
            stage.add("second").await;
            let picture = stage.seen(|picture| picture.jobs.len() == 2).await;
            assert_eq!(names(&picture), ["first", "second"]);
            let remove = ["/second/config", "/second"].map(|path| Step::Delete {
                path: path.to_owned(),
                version: None,
            });
            stage.session.write(remove.to_vec()).await.unwrap();
            stage.seen(|picture| picture.jobs.len() == 1).await;
            let invalid = Step::Set {
                path: "/first/config".to_owned(),
                data: b"jobName: first\nshardingTotalCount: 0\n".to_vec(),
                version: None,
            };
            stage.session.write(vec![invalid]).await.unwrap();
            let picture = stage.seen(|picture| picture.jobs.is_empty()).await;
            assert_eq!(picture.others.keys().map(|name| &**name).collect::<Vec<_>>(), ["first"]);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn asks_for_nothing_while_nobody_looks() {
    let stage = stage().await;
    stage.add("first").await;
    stage
        .run(async {
            let before = stage.registry.counts().requests();
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            assert_eq!(stage.registry.counts().requests(), before);
            stage.world.look([]);
            stage.world.read(Duration::from_secs(5)).await;
            assert!(stage.registry.counts().requests() > before);
            let picture = stage.seen(|picture| picture.standing == Standing::Asleep).await;
            assert!(picture.jobs.is_empty());
            let asleep = stage.registry.counts().requests();
            stage.add("second").await;
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            assert_eq!(stage.registry.counts().requests(), asleep + 1, "that of the test alone");
            stage.world.look([]);
            let picture = stage.world.read(Duration::from_secs(5)).await;
            assert_eq!(names(&picture), ["first", "second"]);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn reads_jobs_that_change_all_the_time_at_a_pace() {
    let stage = stage().await;
    stage.add("busy").await;
    stage
        .run(async {
            stage.world.look(["busy"]);
            stage.world.read(Duration::from_secs(5)).await;
            let before = stage.registry.counts().requests();
            for _ in 0..1_000 {
                let set = Step::Set {
                    path: "/busy".to_owned(),
                    data: Vec::new(),
                    version: None,
                };
                stage.session.write(vec![set]).await.unwrap();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            // Ten seconds, four looks in each, one or two rounds of reads in each look.
            let reads = stage.registry.counts().requests() - before - 1_000;
            assert!((30..=90).contains(&reads), "{reads} requests");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn fills_in_the_times_of_a_job_that_no_instance_serves() {
    let stage = stage().await;
    stage.add("orphan").await;
    let firings = |picture: &Picture| picture.jobs["orphan"].firings.all().len();
    stage
        .run(async {
            stage.world.look(["orphan"]);
            let picture = stage.world.read(Duration::from_secs(5)).await;
            assert_eq!(firings(&picture), 0);
            let picture = stage.seen(|picture| firings(picture) == 2).await;
            let cells = picture.jobs["orphan"].firings.all().iter().flat_map(Firing::cells);
            assert_eq!(cells.count(), 0, "nothing was seen of them");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn keeps_its_picture_while_the_registry_is_away() {
    let registry = MemoryRegistry::new();
    let session = registry.connect().await.unwrap();
    let link = registry.link("world");
    let world = World::new(Operations::new(Arc::new(link.clone())));
    let stage = Stage {
        world,
        registry: Arc::new(Metered::new(registry)),
        session,
    };
    stage.add("first").await;
    stage
        .run(async {
            stage.world.look(["first"]);
            stage.world.read(Duration::from_secs(5)).await;
            link.cut();
            let picture = stage
                .seen(|picture| matches!(picture.standing, Standing::Away { .. }))
                .await;
            assert_eq!(names(&picture), ["first"]);
            // A job that comes meanwhile is seen when the registry is back.
            stage.add("second").await;
            link.heal();
            let picture = stage.seen(|picture| picture.standing == Standing::Live).await;
            assert_eq!(names(&picture), ["first", "second"]);
        })
        .await;
}
