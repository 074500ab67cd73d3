//! Three servers.

use elasticjob_tests::etcd::{Etcd, Options};
use elasticjob_tests::nodes::{create, create_as, data, ready, set};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn keeps_sessions_and_tokens_when_its_leader_is_killed() -> anyhow::Result<()> {
    let mut etcd = Etcd::start_with(3, Options::default())?;
    let registry = EtcdRegistry::new(&etcd.url(), "leader")?;
    let mut sessions = Vec::new();
    for _ in 0..6 {
        sessions.push(registry.connect().await?);
    }
    sessions[0].write(create("/job")).await?;
    let mut watches = Vec::new();
    for (number, session) in sessions.iter().enumerate() {
        session
            .write(create_as(&format!("/job/{number}"), CreateMode::Ephemeral))
            .await?;
    }
    for session in &sessions {
        watches.push(session.watch("/job").await?);
    }
    let mut token = data(&sessions[0], "/job").await?.unwrap().1.modified;
    let leader = etcd.leader()?;
    etcd.kill(leader);
    for session in &sessions {
        until_answered(session, set("/job")).await?;
        session.sync().await?;
        let modified = data(session, "/job").await?.unwrap().1.modified;
        assert!(modified > token, "{modified} after {token}");
        token = modified;
    }
    for (number, (session, watch)) in sessions.iter().zip(&mut watches).enumerate() {
        session.sync().await?;
        let stat = data(session, &format!("/job/{number}"))
            .await?
            .expect("its session lives")
            .1;
        assert_eq!(stat.ephemeral_owner, session.id());
        while ready(watch).is_some() {}
    }
    until_answered(&sessions[0], set("/job")).await?;
    for watch in &mut watches {
        until(watch, &WatchEvent::Changed("/job".into())).await?;
    }
    etcd.start_again(leader)?;
    until_answered(&sessions[0], set("/job")).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn serves_nobody_without_a_majority() -> anyhow::Result<()> {
    let mut etcd = Etcd::start_with(3, Options::default())?;
    let session = EtcdRegistry::new(&etcd.url(), "majority")?.connect().await?;
    session.write(create("/job")).await?;
    etcd.kill(0);
    etcd.kill(1);
    reached(&session, SessionState::Suspended).await?;
    assert_eq!(session.sync().await, Err(Error::ConnectionLoss));
    etcd.start_again(0)?;
    reached(&session, SessionState::Connected).await?;
    until_answered(&session, set("/job")).await?;
    Ok(())
}
