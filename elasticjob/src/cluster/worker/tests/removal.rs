//! Jobs that are removed from the registry with all that is theirs.

use super::*;

async fn remove_all(cluster: &Cluster, path: String) {
    for child in cluster.children(&path).await {
        Box::pin(remove_all(cluster, format!("{path}/{child}"))).await;
    }
    cluster.delete(&path).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_removed_should_stop_on_its_instances() {
    let mut cluster = Cluster::new().await;
    let instances = ["10.0.0.1", "10.0.0.2"].map(|ip| cluster.join(ip, every_second(2), quick()));
    cluster.until(3.2).await;
    remove_all(&cluster, "/job".to_owned()).await;
    cluster.until(6.0).await;
    for instance in instances {
        assert_eq!(*instance.handle.state.borrow(), JobState::Stopped);
    }
    assert_eq!(cluster.children("/job/instances").await, Vec::<String>::new());
    assert_eq!(cluster.history.count_at(at(5)), 0);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_removed_while_its_instance_is_cut_off_should_stop_there() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(3.2).await;
    only.link.cut();
    cluster.until(5.0).await;
    remove_all(&cluster, "/job".to_owned()).await;
    only.link.heal();
    cluster.until(9.0).await;
    assert_eq!(*only.handle.state.borrow(), JobState::Stopped);
    assert_eq!(cluster.history.count_at(at(8)), 0);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_removed_while_its_session_ends_should_be_registered_anew() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(3.2).await;
    only.link.cut();
    cluster.until(15.0).await;
    remove_all(&cluster, "/job".to_owned()).await;
    only.link.heal();
    cluster.until(24.5).await;
    assert_eq!(*only.handle.state.borrow(), JobState::Ready);
    assert!(cluster.data("/job/config").await.is_some());
    assert_eq!(by(&cluster.history.at(at(24)), &only.id()), [0, 1]);
    cluster.history.check();
}
