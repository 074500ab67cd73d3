//! TLS, users, and a server without room.

use elasticjob_tests::certificates::Certificates;
use elasticjob_tests::etcd::{Etcd, Options};
use elasticjob_tests::nodes::{create, data, set};

use super::*;

#[tokio::test]
async fn tls_with_certificates_of_both_sides() -> anyhow::Result<()> {
    let certificates = Certificates::make()?;
    let options = Options {
        certificates: Some(&certificates),
        ..Options::default()
    };
    let etcd = Etcd::start_with(1, options)?;
    let file = |name: &str| std::fs::read(certificates.directory().join(name));
    let trusting = registry(&etcd.url(), "tls")?.with_authorities(file("ca.pem")?);
    let known = trusting
        .clone()
        .with_client_certificate(file("server.pem")?, file("server.key")?);
    let session = known.connect().await?;
    session.write(create("/job")).await?;
    assert!(data(&session, "/job").await?.is_some());

    let fast = |registry: EtcdRegistry| registry.with_connection_timeout(Duration::from_secs(2));
    for (registry, why) in [
        (trusting, "without a certificate of its own"),
        (registry(&etcd.url(), "tls")?, "without the authority"),
        (registry(&etcd.url().replace("etcds", "etcd"), "tls")?, "without TLS"),
    ] {
        assert!(fast(registry).connect().await.is_err(), "{why}");
    }
    Ok(())
}

#[tokio::test]
async fn users_with_and_without_rights() -> anyhow::Result<()> {
    let etcd = Etcd::start()?;
    for arguments in [
        &["user", "add", "root:secret"][..],
        &["user", "grant-role", "root", "root"],
        &["role", "add", "shop"],
        &[
            "role",
            "grant-permission",
            "shop",
            "readwrite",
            "--prefix=true",
            "/shop/",
        ],
        &["user", "add", "jobs:p@ss/word"],
        &["user", "grant-role", "jobs", "shop"],
        &["auth", "enable"],
    ] {
        let arguments: Vec<&str> = arguments.to_vec();
        etcd.control(&arguments)?;
    }
    let url = |user: &str| etcd.url().replace("://", &format!("://{user}@"));
    let session = connect(&url("jobs:p%40ss/word"), "shop").await?;
    session.write(create("/job")).await?;
    let mut watch = session.watch("/job").await?;
    session.write(set("/job")).await?;
    assert_eq!(next(&mut watch).await?, WatchEvent::Changed("/job".into()));

    for (url, namespace) in [(url("jobs:wrong"), "shop"), (etcd.url(), "shop")] {
        let error = registry(&url, namespace)?.connect().await.unwrap_err();
        assert!(matches!(error, Error::Refused(_)), "{error:?}");
        assert!(!error.to_string().contains("wrong"), "{error}");
    }
    let other = registry(&url("jobs:p%40ss/word"), "other")?;
    for refused in [other.connect().await, other.connect_to_look().await] {
        let error = refused.unwrap_err();
        assert!(
            matches!(&error, Error::Refused(text) if text.contains("permission denied")),
            "{error:?}"
        );
    }

    etcd.control(&["--user=root:secret", "role", "add", "look"])?;
    etcd.control(&[
        "--user=root:secret",
        "role",
        "grant-permission",
        "look",
        "read",
        "--prefix=true",
        "/shop/",
    ])?;
    etcd.control(&["--user=root:secret", "user", "add", "auditor:secret"])?;
    etcd.control(&["--user=root:secret", "user", "grant-role", "auditor", "look"])?;
    let auditor = registry(&url("auditor:secret"), "shop")?;
    assert!(matches!(auditor.connect().await.unwrap_err(), Error::Refused(_)));
    let looking = auditor.connect_to_look().await?;
    assert!(data(&looking, "/job").await?.is_some());
    looking.sync().await?;
    let refused = looking.write(set("/job")).await.unwrap_err();
    assert!(
        matches!(&refused.error, Error::Refused(text) if text.contains("permission denied")),
        "{refused:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_server_without_room_says_what_to_do() -> anyhow::Result<()> {
    let options = Options {
        quota: 4 * 1024 * 1024,
        ..Options::default()
    };
    let etcd = Etcd::start_with(1, options)?;
    let session = connect(&etcd.url(), "full").await?;
    session.write(create("/job")).await?;
    let value = vec![b'x'; 256 * 1024];
    let refused = timeout(PATIENCE, async {
        loop {
            if let Err(refused) = session.write(set_to("/job", &value)).await {
                return refused;
            }
        }
    })
    .await?;
    let text = refused.to_string();
    assert!(
        text.contains("database space exceeded") && text.contains("etcdctl alarm disarm"),
        "{text}"
    );
    let error = connect(&etcd.url(), "full").await.unwrap_err().to_string();
    assert!(
        error.starts_with("no registry server reachable") && error.contains("database space exceeded"),
        "{error}"
    );
    Ok(())
}

#[tokio::test]
async fn compaction_keeps_room() -> anyhow::Result<()> {
    let options = Options {
        quota: 24 * 1024 * 1024,
        ..Options::default()
    };
    let etcd = Etcd::start_with(1, options)?;
    let every = Duration::from_millis(300);
    let session = registry(&etcd.url(), "kept")?
        .with_compaction_every(every)
        .connect()
        .await?;
    session.write(create("/job")).await?;
    let value = vec![b'x'; 16 * 1024];
    // Three times the quota.
    for _ in 0..5_000 {
        session.write(set_to("/job", &value)).await?;
    }
    Ok(())
}
