//! Watches over compaction, many jobs, and large values.

use elasticjob_tests::etcd::Etcd;
use elasticjob_tests::nodes::{create, data, ready, set};
use elasticjob_tests::proxy::{Close, Proxy};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn begin_again_if_what_they_missed_was_compacted() -> anyhow::Result<()> {
    let etcd = Etcd::start()?;
    let proxy = Proxy::start(etcd.address()).await?;
    let session = EtcdRegistry::new(&format!("etcd://{}", proxy.address()), "compacted")?
        .connect()
        .await?;
    let observer = EtcdRegistry::new(&etcd.url(), "compacted")?.connect().await?;
    observer.write(create("/job")).await?;
    let mut watch = session.watch("/job").await?;
    proxy.cut(Close::Reset);
    reached(&session, SessionState::Suspended).await?;
    observer.write(create("/job/missed")).await?;
    observer.write(set("/job")).await?;
    let revision = data(&observer, "/job").await?.unwrap().1.modified;
    etcd.control(&["compact", &revision.to_string()])?;
    proxy.heal();
    reached(&session, SessionState::Connected).await?;
    until(&mut watch, &WatchEvent::Resync).await?;
    session.sync().await?;
    observer.write(create("/job/seen")).await?;
    until(&mut watch, &WatchEvent::Created("/job/seen".into())).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_hundreds_of_jobs_go_on_after_a_reconnect() -> anyhow::Result<()> {
    let etcd = Etcd::start()?;
    let proxy = Proxy::start(etcd.address()).await?;
    let session = EtcdRegistry::new(&format!("etcd://{}", proxy.address()), "many")?
        .connect()
        .await?;
    let observer = EtcdRegistry::new(&etcd.url(), "many")?.connect().await?;
    let mut watches = Vec::new();
    for number in 0..300 {
        watches.push(session.watch(&format!("/job-{number}")).await?);
    }
    proxy.interrupt(Close::Reset);
    reached(&session, SessionState::Suspended).await?;
    reached(&session, SessionState::Connected).await?;
    for watch in &mut watches {
        assert_eq!(ready(watch), Some(WatchEvent::Resync));
    }
    for number in 0..300 {
        observer.write(create(&format!("/job-{number}"))).await?;
    }
    session.sync().await?;
    for (number, watch) in watches.iter_mut().enumerate() {
        assert_eq!(ready(watch), Some(WatchEvent::Created(format!("/job-{number}"))));
        assert_eq!(ready(watch), None);
    }
    Ok(())
}

#[tokio::test]
async fn and_reads_take_large_values() -> anyhow::Result<()> {
    let session = connect(&Etcd::shared().url(), "large").await?;
    session.write(create("/job")).await?;
    let mut watch = session.watch("/job").await?;
    let value = "任务".repeat(64 * 1024 / 6).into_bytes();
    let reads = (0..110).map(|number| format!("/job/{number}"));
    for path in reads.clone() {
        session
            .write(create_with(&path, &value, CreateMode::Persistent))
            .await?;
        assert_eq!(ready(&mut watch), Some(WatchEvent::Created(path)));
    }
    let reads = reads.map(elasticjob::registry::Read::Data).collect();
    let answers = session.read_at_once(reads).await?;
    let is_whole = |answer: &elasticjob::registry::Answer| matches!(answer, elasticjob::registry::Answer::Data(Some((data, _))) if *data == value);
    assert!(answers.len() == 110 && answers.iter().all(is_whole));
    Ok(())
}
