//! The nodes that a process leaves behind if it gives a barrier up.

use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::cluster::ids::Ids;
use crate::cluster::session::{FenceAlarm, Keeper, Place, Retry};
use crate::registry::memory::{Link, MemoryRegistry};
use crate::registry::{Answer, CreateMode, Read, Registry, Session};
use crate::schedule::ManualClock;
use crate::tasks::Tasks;

/// Longer than anything takes, in virtual time.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process and an observer.
struct Fixture {
    link: Link,
    membership: Arc<Membership>,
    clock: Arc<dyn Clock>,
    contending: Arc<Mutex<()>>,
    observer: Arc<dyn Session>,
    _tasks: Tasks,
}

impl Fixture {
    async fn new() -> Self {
        let registry = MemoryRegistry::new();
        let observer = registry.connect().await.unwrap();
        let link = registry.link("member");
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::starting_at(jiff::Timestamp::UNIX_EPOCH));
        let tasks = Tasks::new();
        let (keeper, mut memberships) = Keeper::new(Place {
            registry: Arc::new(link.clone()),
            clock: Arc::clone(&clock),
            tasks: tasks.clone(),
            ids: Ids::seeded(1),
            ip: "10.0.0.1".to_owned(),
            pid: 1,
            retry: Retry {
                base: Duration::from_secs(1),
                limit: Duration::from_secs(1),
                attempts: None,
            },
            alarm: FenceAlarm::Task,
        });
        tasks.spawn("keeper", keeper.run());
        let membership = memberships.wait_for(Option::is_some).await.unwrap().clone().unwrap();
        // As the first barrier of a job finds it.
        for path in ["/job", "/job/ledger", "/job/guarantee"] {
            let create = Step::Create {
                path: path.to_owned(),
                data: Vec::new(),
                mode: CreateMode::Persistent,
            };
            observer.write(vec![create]).await.unwrap();
        }
        Self {
            link,
            membership,
            clock,
            contending: Arc::default(),
            observer,
            _tasks: tasks,
        }
    }

    /// Returns the begin of the firing of this second, of a job of two items of which this instance runs one alone.
    fn barrier(&self, second: i64, item: u32) -> Barrier {
        Barrier {
            membership: Arc::clone(&self.membership),
            clock: Arc::clone(&self.clock),
            job: "job".into(),
            moment: Moment::Started,
            firing: FiringKey::Time(second * 1000),
            is_takeover: false,
            items: [item].into(),
            total: 2,
            absent: [1 - item].into(),
            leaving: CancellationToken::new(),
            contending: Arc::clone(&self.contending),
        }
    }

    async fn children(&self, node: Guarantee<'_>) -> Vec<String> {
        let answers = self
            .observer
            .read(vec![Read::Children(Node::Guarantee(node).of("job"))]);
        match answers.await.unwrap().remove(0) {
            Answer::Children(Some(names)) => names,
            _ => Vec::new(),
        }
    }

    /// Waits until there are so many.
    async fn until(&self, node: Guarantee<'_>, count: usize) {
        let wait = async {
            while self.children(node).await.len() != count {
                sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = timeout(PATIENCE, wait).await;
        assert!(waited.is_ok(), "{node:?}: {:?}", self.children(node).await);
    }
}

#[tokio::test(start_paused = true)]
async fn keeps_contender_of_another_firing() {
    let place = Fixture::new().await;
    let calling = place.barrier(1, 0);
    let passage = calling.wait("listener", Instant::now() + PATIENCE).await;
    let Ok(Passage::Ours(turn)) = passage else {
        panic!("{passage:?}");
    };
    place.barrier(2, 1).withdraw().await;
    assert_eq!(place.children(Guarantee::Latch(Moment::Started)).await.len(), 1);
    turn.close().await;
    assert_eq!(place.children(Guarantee::Latch(Moment::Started)).await.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn removes_contender_given_up_while_on_its_way() {
    let place = Fixture::new().await;
    let held_up = Arc::clone(&place.contending).lock_owned().await;
    let barrier = place.barrier(1, 0);
    let comes_on_its_way = async {
        place.until(Guarantee::Barrier(Moment::Started), 1).await;
        // It contends now, and gets no answer.
        place.link.isolate();
        drop(held_up);
        sleep(Duration::from_millis(100)).await;
        assert!(place.contending.try_lock().is_err());
    };
    tokio::select! {
        passage = barrier.wait("listener", Instant::now() + PATIENCE) => panic!("{passage:?}"),
        () = comes_on_its_way => {}
    }
    let heals = async {
        sleep(Duration::from_millis(100)).await;
        place.link.heal();
    };
    tokio::join!(barrier.withdraw(), heals);
    assert_eq!(place.children(Guarantee::Latch(Moment::Started)).await.len(), 0);
    assert_eq!(place.children(Guarantee::Barrier(Moment::Started)).await.len(), 0);
}
