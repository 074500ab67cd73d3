//! That a session's work stops before etcd can end its lease.

use elasticjob::registry::{Answer, Read};
use elasticjob_tests::etcd::Etcd;
use elasticjob_tests::nodes::{create, create_as, set};
use tokio::time::Instant;

use super::*;

/// Transactions go on while keep-alives do not: each finds the lease alive, and none renews it. If such a transaction moved the
/// fence, an instance would go on with its items after others have taken them.
#[tokio::test]
async fn ends_behind_the_fence_of_each_write_that_was_answered() -> anyhow::Result<()> {
    let url = Etcd::shared().url();
    let (frozen, observer) = (
        registry(&url, "frozen")?.without_keep_alives().connect().await?,
        connect(&url, "frozen").await?,
    );
    frozen.write(create("/job")).await?;
    frozen.write(create_as("/job/instance", CreateMode::Ephemeral)).await?;
    let mut watch = observer.watch("/job/instance").await?;
    let lost = async {
        while next(&mut watch).await? != WatchEvent::Deleted("/job/instance".to_owned()) {}
        anyhow::Ok(Instant::now())
    };
    let writes = async {
        let (mut fence, mut answered) = (Instant::now(), 0);
        loop {
            let sent_at = Instant::now();
            match frozen.write(set("/job")).await {
                Ok(_) => (fence, answered) = (sent_at + frozen.timeout(), answered + 1),
                Err(refused) if refused.error == Error::SessionExpired => return (fence, answered),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    let (lost, (fence, answered)) = timeout(PATIENCE, async { tokio::join!(lost, writes) }).await?;
    assert!(answered > 0, "writes were answered at first");
    assert!(
        fence <= lost?,
        "the lease has ended {:?} before the fence",
        fence - Instant::now()
    );
    Ok(())
}

#[tokio::test]
async fn is_two_thirds_of_what_etcd_waits() -> anyhow::Result<()> {
    let session = connect(&Etcd::shared().url(), "two-thirds").await?;
    assert_eq!(session.timeout(), TTL * 2 / 3);
    let short =
        EtcdRegistry::new(&Etcd::shared().url(), "two-thirds")?.with_session_timeout(Duration::from_millis(300));
    assert_eq!(short.connect().await?.timeout(), Duration::from_secs(2) * 2 / 3);
    Ok(())
}

#[tokio::test]
async fn ends_with_a_process_that_is_gone_and_nobody_can_write_in_its_name() -> anyhow::Result<()> {
    let etcd = Etcd::start()?;
    let (session, observer) = (connect(&etcd.url(), "gone").await?, connect(&etcd.url(), "gone").await?);
    session.write(create("/job")).await?;
    session.write(create_as("/job/instance", CreateMode::Ephemeral)).await?;
    etcd.control(&["lease", "revoke", &format!("{:x}", session.id())])?;
    reached(&session, SessionState::Lost).await?;
    assert_eq!(
        session.write(set("/job")).await.unwrap_err().error,
        Error::SessionExpired
    );
    let answers = observer.read_at_once(vec![Read::Data("/job/instance".into())]).await?;
    assert_eq!(answers, [Answer::Data(None)]);
    Ok(())
}
