//! Registry centres that are not there, and such that do not let everybody in.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob::ElasticJob;
use elasticjob::job::job;
use elasticjob::operation::Finding;
use elasticjob_tests::cluster::{Cluster, SHARE, all_items};
use elasticjob_tests::command::{Answer, Command};
use elasticjob_tests::process::Member;
use elasticjob_tests::zookeeper::Server;
use zookeeper_client as zk;

use crate::{MEMBER, NEVER, cluster};

const DIGEST: &str = "shop:open sesame";

async fn has_logged(cluster: &Cluster, member: &Member, text: &str) {
    cluster
        .until(&format!("the log says {text}"), async || {
            ensure!(member.log().contains(text), "it does not");
            Ok(())
        })
        .await;
}

#[tokio::test]
async fn opens_nodes_only_to_the_digest() -> anyhow::Result<()> {
    let namespace = "access-digest";
    let cluster = cluster(namespace)?.seen_with_digest(DIGEST)?;
    let member = |host| cluster.member(host).with("ELASTICJOB_REG_CENTER_DIGEST", DIGEST);
    let _members = (member(1).start()?, member(2).start()?);
    cluster.shared_by(&[1, 2]).await;
    cluster.runs_without_gap(&all_items(), 1).await;

    let everybody = zk::Client::connect(&Server::shared().address().to_string()).await?;
    let stranger = zk::Client::connector()
        .with_auth("digest", DIGEST.as_bytes())
        .connect(&Server::shared().address().to_string())
        .await?;
    let leader = cluster
        .text("/share/leader/election/instance")
        .await?
        .context("there is a leader")?;
    let nodes = [
        "".to_owned(),
        "/share".to_owned(),
        "/share/config".to_owned(),
        format!("/share/instances/{leader}"),
        "/share/leader/election/instance".to_owned(),
        "/share/sharding/0/instance".to_owned(),
        "/share/ledger/items/0".to_owned(),
    ];
    for node in nodes {
        let path = format!("/{namespace}{node}");
        assert_eq!(everybody.get_data(&path).await.err(), Some(zk::Error::NoAuth), "{path}");
        let (acls, _) = stranger.get_acl(&path).await?;
        assert!(
            acls.iter()
                .all(|acl| acl.scheme() == "digest" && acl.id().starts_with("shop:")),
            "{path}: {acls:?}"
        );
        assert!(
            acls.iter().all(|acl| acl.permission() == zk::Permission::ALL),
            "{path}: {acls:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn refuses_a_wrong_digest_with_a_clear_error() -> anyhow::Result<()> {
    let cluster = cluster("access-refused")?.seen_with_digest(DIGEST)?;
    let _first = cluster.member(1).with("ELASTICJOB_REG_CENTER_DIGEST", DIGEST).start()?;
    cluster.shared_by(&[1]).await;
    let wrong = cluster
        .member(2)
        .with("ELASTICJOB_REG_CENTER_DIGEST", "shop:open barley");
    for member in [wrong, cluster.member(3)] {
        let (status, log) = member.start()?.ended().await?;
        assert!(!status.success(), "{log}");
        let error = log.lines().rfind(|line| line.contains("refused")).unwrap_or_default();
        assert!(error.contains("access-refused") && error.contains("digest"), "{log}");
        assert!(!log.contains("barley"), "the password is a secret: {log}");
    }
    let servers = cluster.children(&format!("/{SHARE}/servers")).await?;
    assert!(servers.iter().eq(["127.0.0.1"]), "{servers:?}");
    cluster.runs_without_gap(&all_items(), 1).await;
    Ok(())
}

/// Lets everybody do this with a node, and nothing else but change that.
async fn allow(client: &zk::Client, path: &str, permission: zk::Permission) -> anyhow::Result<()> {
    let acl = zk::Acl::new(permission | zk::Permission::ADMIN, zk::AuthId::anyone());
    client.set_acl(path, &[acl], None).await?;
    Ok(())
}

#[tokio::test]
async fn names_a_node_without_the_right_to_write() -> anyhow::Result<()> {
    let cluster = cluster("access-lost")?;
    let application = ElasticJob::builder()
        .without_discovery()
        .environment([])
        .set("network.ip", "127.0.0.1")
        .set("reg-center.server-lists", Server::shared().address().to_string())
        .set("reg-center.namespace", cluster.namespace())
        .job(job("tick", async || {}).sharding(1).cron("* * * * * ?"));
    let running = application.build()?.start().await?;
    running.ready().await?;
    let operations = running.operations();
    let newest_run = async || -> anyhow::Result<_> {
        let items = operations.items("tick").await?;
        let run = items.into_iter().next().and_then(|item| item.run).context("no run")?;
        run.due.context("of no time")
    };
    let first = cluster.until("the item runs", newest_run).await;

    let client = zk::Client::connect(&Server::shared().address().to_string()).await?;
    let ledger = format!("/{}/tick/ledger/items/0", cluster.namespace());
    allow(&client, &ledger, zk::Permission::READ).await?;
    let refusal = "cannot claim items: the registry refused: /tick/ledger/items/0: ";
    let explained = cluster
        .until("`explain` names the node", async || {
            let explained = operations.explain("tick").await?;
            let said = explained
                .findings
                .iter()
                .find(|finding| matches!(finding, Finding::Hindered { .. }));
            said.map(|finding| (finding.to_string(), finding.is_obstacle()))
                .context("it does not")
        })
        .await;
    assert!(explained.0.contains(refusal) && explained.1, "{explained:?}");
    let problems = running.health().problems();
    assert!(
        problems
            .iter()
            .any(|problem| problem.contains(&format!("job `tick` {refusal}"))),
        "{problems:?}"
    );

    allow(&client, &ledger, zk::Permission::ALL).await?;
    cluster
        .until("the item runs again", async || {
            ensure!(
                newest_run().await? > first && running.health().problems().is_empty(),
                "it does not"
            );
            Ok(())
        })
        .await;
    running.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

mod newcomers {
    //! Instances with another digest than the members that are there, in a namespace that is open to all.

    use super::*;
    use elasticjob::operation::{Operations, UnlistedReason};
    use elasticjob::registry::zookeeper::ZooKeeperRegistry;
    use elasticjob::starter::{Builder, ElasticJob as Running};
    use std::sync::Arc;

    const OTHER: &str = "shop:open barley";

    async fn open(namespace: &str) -> anyhow::Result<Cluster> {
        let cluster = cluster(namespace)?;
        let client = zk::Client::connect(&Server::shared().address().to_string()).await?;
        let options = zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all());
        client.create(&format!("/{namespace}"), b"", &options).await?;
        Ok(cluster)
    }

    fn application(cluster: &Cluster, ip: &str, digest: Option<&str>) -> Builder {
        let builder = ElasticJob::builder()
            .without_discovery()
            .environment([])
            .set("network.ip", ip)
            .set("reg-center.server-lists", Server::shared().address().to_string())
            .set("reg-center.namespace", cluster.namespace())
            .job(job("tick", async || {}).sharding(4).cron("* * * * * ?"));
        match digest {
            Some(digest) => builder.set("reg-center.digest", digest),
            None => builder,
        }
    }

    fn operations(cluster: &Cluster, digest: Option<&str>) -> anyhow::Result<Operations> {
        let registry = ZooKeeperRegistry::new(&Server::shared().address().to_string(), cluster.namespace())?;
        Ok(Operations::new(Arc::new(match digest {
            Some(digest) => registry.with_digest(digest),
            None => registry,
        })))
    }

    /// Returns why each request of an operator with this digest is refused.
    async fn refusals(cluster: &Cluster, digest: Option<&str>) -> anyhow::Result<Vec<String>> {
        let operations = operations(cluster, digest)?;
        let mut others = operations.jobs().await?.others.into_iter();
        let listed = others
            .find(|other| other.name == "tick")
            .context("it is not listed as closed")?;
        let UnlistedReason::Refused { problem } = listed.reason else {
            anyhow::bail!("it is not listed as closed: {:?}", listed.reason);
        };
        let refusals = [
            operations.explain("tick").await.err(),
            operations.items("tick").await.err(),
            operations.trigger("tick", None).await.err(),
        ];
        operations.close().await;
        let text = |error: Option<elasticjob::operation::Error>| Some(error?.chain().to_string());
        let refusals = refusals
            .into_iter()
            .map(|error| text(error).context("it is not refused"));
        std::iter::once(Ok(problem)).chain(refusals).collect()
    }

    #[tokio::test]
    async fn with_another_digest_are_refused_with_the_node() -> anyhow::Result<()> {
        let cluster = open("access-newcomer").await?;
        let member: Running = application(&cluster, "127.0.0.1", Some(DIGEST))
            .build()?
            .start()
            .await?;
        member.ready().await?;
        let problem = "/tick: not authorized: its access rights are for others, such as those with another digest";
        for digest in [Some(OTHER), None] {
            let newcomer = application(&cluster, "127.0.0.2", digest).build()?.start().await;
            let refused = newcomer.err().context("it starts")?.chain().to_string();
            assert!(
                refused.contains("job `tick`: cannot be registered") && refused.contains(problem),
                "{digest:?}: {refused}"
            );
            assert!(!refused.contains("barley"), "{refused}");
            for refused in refusals(&cluster, digest).await? {
                assert!(
                    refused.contains(problem) && !refused.contains("barley"),
                    "{digest:?}: {refused}"
                );
            }
        }
        assert!(
            member.health().problems().is_empty(),
            "{:?}",
            member.health().problems()
        );
        member.shutdown(Duration::from_secs(5)).await;
        Ok(())
    }

    #[tokio::test]
    async fn that_the_leader_cannot_see_say_so_in_health_and_explain() -> anyhow::Result<()> {
        let cluster = open("access-unseen").await?;
        let member: Running = application(&cluster, "127.0.0.1", None).build()?.start().await?;
        member.ready().await?;
        let newcomer: Running = application(&cluster, "127.0.0.2", Some(DIGEST))
            .build()?
            .start()
            .await?;
        newcomer.ready().await?;
        let problem = "cannot take items: the leader 127.0.0.1@-@";
        cluster
            .until("health says so", async || {
                let problems = newcomer.health().problems();
                let said = problems.iter().find(|said| said.contains(problem));
                let said = said.with_context(|| format!("it says {problems:?}"))?;
                ensure!(said.contains("another digest"), "without the cause: {said}");
                Ok(())
            })
            .await;
        let seeing = operations(&cluster, Some(DIGEST))?;
        cluster
            .until("explain says so", async || {
                let explained = seeing.explain("tick").await?;
                let said = explained
                    .findings
                    .iter()
                    .find(|said| said.to_string().contains(problem));
                ensure!(said.context("it does not")?.is_obstacle(), "it is no obstacle");
                Ok(())
            })
            .await;
        for refused in refusals(&cluster, None).await? {
            assert!(
                refused.contains("/tick/") && refused.contains("another digest"),
                "{refused}"
            );
        }

        // Once the leader is gone, nothing keeps it from its items.
        member.shutdown(Duration::from_secs(5)).await;
        cluster
            .until("the newcomer has the items", async || {
                ensure!(
                    newcomer.health().problems().is_empty(),
                    "{:?}",
                    newcomer.health().problems()
                );
                let items = seeing.items("tick").await?;
                ensure!(
                    items.iter().all(|item| item.server_ip.as_deref() == Some("127.0.0.2")),
                    "{items:?}"
                );
                Ok(())
            })
            .await;
        newcomer.shutdown(Duration::from_secs(5)).await;
        Ok(())
    }
}

#[tokio::test]
async fn waits_for_a_missing_registry_centre() -> anyhow::Result<()> {
    let mut server = Server::start()?;
    server.kill();
    let cluster = Cluster::new(MEMBER, server.address(), "access-late")?;
    let mut member = cluster
        .member(1)
        .with("ELASTICJOB_REG_CENTER_BASE_SLEEP_TIME", "100ms")
        .obeying()
        .start()?;
    has_logged(&cluster, &member, "waiting for the registry centre").await;
    has_logged(&cluster, &member, "attempt=3").await;
    assert!(
        member.log().contains(&server.address().to_string()),
        "it says for which: {}",
        member.log()
    );
    assert_eq!(member.ask(&Command::IsReady).await?, Answer::Ready(false));

    server.restart()?;
    cluster.shared_by(&[1]).await;
    cluster
        .until("the member is ready", async || {
            ensure!(member.ask(&Command::IsReady).await? == Answer::Ready(true), "it is not");
            Ok(())
        })
        .await;
    cluster.runs_without_gap(&all_items(), 1).await;
    Ok(())
}

#[tokio::test]
async fn gives_up_after_its_retries_if_set_to_fail_fast() -> anyhow::Result<()> {
    let mut server = Server::start()?;
    server.kill();
    let cluster = Cluster::new(MEMBER, server.address(), "access-fail-fast")?;
    let mut member = cluster
        .member(1)
        .with("ELASTICJOB_REG_CENTER_BASE_SLEEP_TIME", "50ms")
        .with("ELASTICJOB_REG_CENTER_MAX_RETRIES", "3")
        .with("ELASTICJOB_REG_CENTER_FAIL_FAST", "true")
        .start()?;
    let (status, log) = member.ended().await?;
    assert!(!status.success(), "{log}");
    assert_eq!(log.matches("waiting for the registry centre").count(), 3, "{log}");
    let mut error = log.lines().filter(|line| line.contains(&server.address().to_string()));
    assert!(
        error
            .next_back()
            .is_some_and(|line| line.contains("refuses connections")),
        "{log}"
    );
    Ok(())
}

#[tokio::test]
async fn ends_well_when_stopped_while_waiting() -> anyhow::Result<()> {
    let mut server = Server::start()?;
    server.kill();
    let cluster = Cluster::new(MEMBER, server.address(), "access-stopped")?;
    let mut member = cluster.member(1).with("ELASTICJOB_JOBS_SHARE_CRON", NEVER).start()?;
    has_logged(&cluster, &member, "waiting for the registry centre").await;
    member.terminate()?;
    let (status, log) = member.ended().await?;
    assert!(status.success(), "{log}");
    Ok(())
}
