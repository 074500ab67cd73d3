//! Jobs without code, on several processes: scripts that die with theirs, and requests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use elasticjob_tests::certificates::Certificates;
use elasticjob_tests::cluster::{Cluster, host_of};
use elasticjob_tests::hook::{Answer, Hook};
use elasticjob_tests::process::{Member, MemberSetup};

use crate::{NEVER, cluster};

/// It writes down its run, and goes on for ever where there is a file called `hold`.
const SCRIPT: &str = r#"echo "$ELASTIC_JOB_SHARDING_ITEM $ELASTIC_JOB_INSTANCE_ID $ELASTIC_JOB_ATTEMPT $$" >> runs
[ -e hold ] && exec sleep 600
exit 0
"#;

/// A run of the script.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Run {
    item: u32,
    host: u8,
    attempt: u32,
    pid: String,
}

fn runs(directory: &Path) -> anyhow::Result<Vec<Run>> {
    let text = fs::read_to_string(directory.join("runs")).unwrap_or_default();
    let run = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let [item, instance, attempt, pid] = words[..] else {
            anyhow::bail!("{line}");
        };
        Ok(Run {
            item: item.parse()?,
            host: host_of(instance)?,
            attempt: attempt.parse()?,
            pid: pid.to_owned(),
        })
    };
    text.lines().map(run).collect()
}

/// Returns whether a process is there and no zombie.
fn lives(pid: &str) -> bool {
    let status = fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    status.is_ok_and(|status| !status.contains(") Z "))
}

/// Returns a process that takes part in the job `tidy`, of two items and of this section of the configuration.
fn member(cluster: &Cluster, host: u8, section: &str) -> MemberSetup {
    let yaml = format!(
        "elasticjob:\n  jobs:\n    tidy:\n      cron: 0/1 * * * * ?\n      time-zone: GMT\n      \
         sharding-total-count: 2\n{section}"
    );
    let member = cluster.member(host).with("ELASTICJOB_JOBS_SHARE_CRON", NEVER);
    // Programs are looked for there, and a member is given no environment otherwise.
    let path = std::env::var("PATH").unwrap_or_default();
    let member = member.with("PATH", path).with("ELASTICJOB_SHUTDOWN_GRACE_PERIOD", "1s");
    member.configured(&yaml)
}

fn two(cluster: &Cluster, section: &str) -> anyhow::Result<[Member; 2]> {
    let start = |host| member(cluster, host, section).start();
    Ok([start(1)?, start(2)?])
}

#[tokio::test]
async fn kills_scripts_with_their_process() -> anyhow::Result<()> {
    let cluster = cluster("typed-script")?;
    let directory: PathBuf = cluster.directory().join("scripts");
    fs::create_dir(&directory)?;
    fs::write(directory.join("tidy"), SCRIPT)?;
    let [first, second] = two(
        &cluster,
        &format!(
            "      elastic-job-type: SCRIPT\n      failover: true\n      props:\n        \
             script.command.line: sh tidy\n        script.working-directory: {}\n",
            directory.display()
        ),
    )?;
    let hosts = |runs: &[Run]| -> BTreeMap<u32, u8> { runs.iter().map(|run| (run.item, run.host)).collect() };
    cluster
        .until("each of them runs an item", async || {
            let hosts: BTreeSet<u8> = hosts(&runs(&directory)?).into_values().collect();
            ensure!(hosts == BTreeSet::from([1, 2]), "{hosts:?}");
            Ok(())
        })
        .await;
    assert_eq!(cluster.text("/tidy").await?.as_deref(), Some("SCRIPT"));

    fs::write(directory.join("hold"), "")?;
    let held: BTreeMap<u8, Run> = cluster
        .until("each of them runs a script that goes on for ever", async || {
            let living: BTreeMap<_, _> = runs(&directory)?
                .into_iter()
                .filter(|run| fs::read_to_string(format!("/proc/{}/comm", run.pid)).is_ok_and(|name| name == "sleep\n"))
                .map(|run| (run.host, run))
                .collect();
            ensure!(living.len() == 2, "{living:?}");
            Ok(living)
        })
        .await;
    fs::remove_file(directory.join("hold"))?;

    second.kill().await?;
    let lost = &held[&2];
    cluster
        .until("the script dies with its process", async || {
            ensure!(!lives(&lost.pid), "{lost:?}");
            Ok(())
        })
        .await;
    cluster
        .until("its item runs again elsewhere", async || {
            let runs = runs(&directory)?;
            let again = runs
                .iter()
                .find(|run| (run.item, run.host, run.attempt) == (lost.item, 1, 2));
            again.map(|_| ()).with_context(|| format!("{runs:?}"))
        })
        .await;

    first.terminate()?;
    let kept = &held[&1];
    cluster
        .until("the script ends with the grace of its process", async || {
            ensure!(!lives(&kept.pid), "{kept:?}");
            Ok(())
        })
        .await;
    Ok(())
}

#[tokio::test]
async fn each_process_should_make_the_requests_of_its_items() -> anyhow::Result<()> {
    let cluster = cluster("typed-http")?;
    let hook = Hook::start("{}").await?;
    let _members = two(
        &cluster,
        &format!(
            "      elastic-job-type: HTTP\n      props:\n        http.uri: {}\n        http.method: POST\n        \
             http.data: day=1\n",
            hook.url("/tidy")
        ),
    )?;
    let mut asked = BTreeSet::new();
    while asked.iter().map(|(_, host)| *host).collect::<BTreeSet<u8>>() != BTreeSet::from([1, 2]) {
        let request = hook.next().await?;
        assert_eq!((request.uri.path(), &request.body[..]), ("/tidy", &b"day=1"[..]));
        let context: serde_json::Value = serde_json::from_slice(request.headers["shardingcontext"].as_bytes())?;
        let item = context["shardingItem"].as_u64().context("an item")?;
        let task = context["taskId"].as_str().context("a task")?;
        let instance = task.split_once("@READY@-@").context("an instance")?.1;
        asked.insert((item, host_of(instance)?));
    }
    assert_eq!(cluster.text("/tidy").await?.as_deref(), Some("HTTP"));
    Ok(())
}

#[tokio::test]
async fn trusts_a_service_by_its_certificate() -> anyhow::Result<()> {
    let cluster = cluster("typed-https")?;
    let certificates = Certificates::make()?;
    let (secure, plain) = (
        Hook::start_with_tls("{}", &certificates).await?,
        Hook::start("{}").await?,
    );
    let section = format!(
        "      elastic-job-type: HTTP\n      props:\n        http.uri: {}\n        http.method: GET\n",
        secure.url("/tidy")
    );
    let logs = async |member: &Member, text: &str| {
        cluster
            .until(&format!("the log says {text}"), async || {
                ensure!(member.log().contains(text), "it does not");
                Ok(())
            })
            .await;
    };
    let strange = member(&cluster, 1, &section).start()?;
    logs(&strange, "UnknownIssuer").await;
    strange.kill().await?;
    assert_eq!(secure.rest().await, 0);

    let trusting = member(&cluster, 2, &section).with("SSL_CERT_FILE", certificates.authority().display());
    let trusting = trusting.start()?;
    assert_eq!(secure.next().await?.uri.path(), "/tidy");
    secure.answer(Answer::Elsewhere(plain.url("/tidy")));
    logs(
        &trusting,
        "answers with status 307 Temporary Redirect, a redirect that is not followed",
    )
    .await;
    secure.answer(Answer::Elsewhere(secure.url("/there")));
    while secure.next().await?.uri.path() != "/there" {}
    assert_eq!(plain.rest().await, 0);
    Ok(())
}

#[tokio::test]
async fn runs_a_custom_type_on_each_process() -> anyhow::Result<()> {
    let cluster = cluster("typed-own")?;
    let members = two(
        &cluster,
        "      elastic-job-type: NOTE\n      props:\n        note.text: good night\n",
    )?;
    cluster
        .until("each has noted another item", async || {
            let is_noted = |member: &Member, item: u32| {
                let text = format!("noted item={item} words=\"good night\"");
                member.log().contains(&text)
            };
            let noted = members
                .each_ref()
                .map(|member| [0, 1].map(|item| is_noted(member, item)));
            ensure!(
                (noted[0][0] && noted[1][1]) || (noted[0][1] && noted[1][0]),
                "{noted:?}"
            );
            Ok(())
        })
        .await;
    assert_eq!(cluster.text("/tidy").await?.as_deref(), Some("NOTE"));
    Ok(())
}
