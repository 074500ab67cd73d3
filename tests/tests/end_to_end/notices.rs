//! Failures on several processes are sent to people as the configuration in the registry says.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use elasticjob_tests::cluster::{Cluster, host_of};
use elasticjob_tests::command::Answer;
use elasticjob_tests::hook::Hook;
use elasticjob_tests::mail::{Encryption, MailServer, PASSWORD, USER};
use elasticjob_tests::process::Member;

use crate::one_off::{REBUILD, execute};
use crate::{NEVER, cluster};

const CONFIG: &str = "/rebuild/config";

/// Of each process an item of the job fails with an error, and another panics.
const FAILURES: [&str; 4] = [
    "caused by no disk for item 1",
    "caused by no disk for item 4",
    "caused by panicked: no memory for item 2",
    "caused by panicked: no memory for item 5",
];

fn mail_settings(server: &MailServer) -> String {
    let (port, authority) = (server.port(), server.authority());
    format!(
        "elasticjob:\n  jobs:\n    rebuild:\n      job-error-handler-type: EMAIL\n      props:\n        \
         email.host: localhost\n        email.port: {port}\n        email.ssl.caFile: {}\n        \
         email.username: {USER}\n        email.password: {PASSWORD}\n        \
         email.from: jobs@example.org\n        email.to: people@example.org\n",
        authority.display()
    )
}

async fn is_shared_by_two(cluster: &Cluster) {
    let shared = cluster.until("the items of the one-off job are shared", async || {
        let owners = cluster.owners(REBUILD).await?;
        let hosts: BTreeSet<u8> = owners.values().map(|id| host_of(id)).collect::<Result<_, _>>()?;
        ensure!(owners.len() == 6 && hosts.len() == 2, "{owners:?}");
        Ok(())
    });
    shared.await;
}

/// Returns how often these texts name each of the failures.
fn counts(texts: &[String]) -> BTreeMap<&'static str, usize> {
    let count = |failure| texts.iter().filter(|text| text.contains(failure)).count();
    FAILURES.map(|failure| (failure, count(failure))).into()
}

#[tokio::test]
async fn follow_the_configuration_in_the_registry() -> anyhow::Result<()> {
    let mail = MailServer::start(Encryption::Tls).await?;
    let chat = Hook::start(r#"{"errcode":0,"errmsg":"ok"}"#).await?;
    let cluster = cluster("notices")?;
    let member = |host| {
        let member = cluster.member(host).with("ELASTICJOB_JOBS_SHARE_CRON", NEVER);
        member.configured(&mail_settings(&mail))
    };
    let (mut first, second) = (member(1).obeying().start()?, member(2).start()?);
    is_shared_by_two(&cluster).await;

    let Answer::Executed(outcomes) = first.ask(&execute(REBUILD)).await? else {
        anyhow::bail!("the job was not run");
    };
    assert_eq!(outcomes.len(), 6, "{outcomes:?}");
    let mut mails = Vec::new();
    for _ in FAILURES {
        mails.push(mail.next().await?.text());
    }
    assert_eq!(counts(&mails), FAILURES.map(|failure| (failure, 1)).into(), "{mails:?}");

    // As the console does it. What the handler of before asks for is a prop like any other then.
    let stored = cluster.text(CONFIG).await?.context("the job has a configuration")?;
    assert!(stored.contains("jobErrorHandlerType: EMAIL\n"), "{stored}");
    let props = format!(
        "props:\n  dingtalk.webhook: {}\n  dingtalk.secret: lion\n",
        chat.url("/send?access_token=bear")
    );
    let changed = stored
        .replace("jobErrorHandlerType: EMAIL", "jobErrorHandlerType: DINGTALK")
        .replace("props:\n", &props);
    cluster.set(CONFIG, &changed).await?;
    for member in [&first, &second] {
        cluster
            .until("the change is in force", async || {
                ensure!(member.log().contains("configuration changed"), "nothing of that");
                Ok(())
            })
            .await;
    }
    first.ask(&execute(REBUILD)).await?;
    let mut texts = Vec::new();
    for _ in FAILURES {
        let request = chat.next().await?;
        let query = request.uri.query().unwrap_or_default();
        assert!(
            query.starts_with("access_token=bear&timestamp=") && query.contains("&sign="),
            "{query}"
        );
        texts.push(
            request.json()?["text"]["content"]
                .as_str()
                .context("a text")?
                .to_owned(),
        );
    }
    assert_eq!(counts(&texts), FAILURES.map(|failure| (failure, 1)).into(), "{texts:?}");
    assert_eq!((mail.rest().await, chat.rest().await), (0, 0));
    for log in [first.log(), second.log()] {
        for secret in [PASSWORD, "lion", "bear"] {
            assert!(!log.contains(secret), "{log}");
        }
    }
    Ok(())
}

/// The ways of telling people that are left, the prop of each that is the address, and how a service says there that it
/// took a notice.
const WAYS: [(&str, &str, &str); 4] = [
    ("WECHAT", "wechat.webhook", r#"{"errcode":0,"errmsg":"ok"}"#),
    ("FEISHU", "feishu.webhook", r#"{"code":0,"msg":"success","data":{}}"#),
    ("SLACK", "slack.webhook", "ok"),
    ("WEBHOOK", "webhook.url", ""),
];

/// Starts two processes with a job that has this error handler and these props; the first obeys commands.
fn two(cluster: &Cluster, handler: &str, props: &str) -> anyhow::Result<[Member; 2]> {
    let section = format!("elasticjob:\n  jobs:\n    rebuild:\n      job-error-handler-type: {handler}\n{props}");
    let member = |host| {
        let member = cluster.member(host).with("ELASTICJOB_JOBS_SHARE_CRON", NEVER);
        member.configured(&section)
    };
    Ok([member(1).obeying().start()?, member(2).start()?])
}

#[tokio::test]
async fn are_sent_in_each_configured_way() -> anyhow::Result<()> {
    for (handler, address, taken) in WAYS {
        let hook = Hook::start(taken).await?;
        let cluster = cluster(&format!("notices-{}", handler.to_lowercase()))?;
        let props = format!("      props:\n        {address}: {}\n", hook.url("/in"));
        let [mut first, _second] = two(&cluster, handler, &props)?;
        is_shared_by_two(&cluster).await;
        first.ask(&execute(REBUILD)).await?;
        let mut texts = Vec::new();
        for _ in FAILURES {
            texts.push(hook.next().await?.json()?.to_string());
        }
        for failure in FAILURES {
            let failure = failure.trim_start_matches("caused by ");
            let times = texts.iter().filter(|text| text.contains(failure)).count();
            assert_eq!(times, 1, "{handler}: {failure} in {texts:?}");
        }
        assert_eq!(hook.rest().await, 0, "{handler}");
    }
    Ok(())
}

#[tokio::test]
async fn are_logged_unless_ignored() -> anyhow::Result<()> {
    for (handler, times) in [("LOG", 1), ("THROW", 1), ("IGNORE", 0)] {
        let cluster = cluster(&format!("notices-{}", handler.to_lowercase()))?;
        let [mut first, mut second] = two(&cluster, handler, "")?;
        is_shared_by_two(&cluster).await;
        let Answer::Executed(outcomes) = first.ask(&execute(REBUILD)).await? else {
            anyhow::bail!("the job was not run");
        };
        assert_eq!(outcomes.len(), 6, "{handler}: {outcomes:?}");
        let mut logs = String::new();
        for member in [&mut first, &mut second] {
            member.terminate()?;
            logs.push_str(&member.ended().await?.1);
        }
        for failure in FAILURES {
            let failure = failure.trim_start_matches("caused by ");
            let is_logged = |line: &&str| line.contains(" ERROR ") && line.contains(failure);
            let logged = logs.lines().filter(is_logged).count();
            assert_eq!(logged, times, "{handler}: {failure}\n{logs}");
        }
    }
    Ok(())
}
