//! The console's API for scripts of the Java console, over a tree that members of both kinds wrote: it answers what the Java API answers, and
//! what it does is done.

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use elasticjob_console::{Console, Rights, Visitor};
use elasticjob_tests::cluster::{Cluster, SHARE, ip};
use elasticjob_tests::java::Operator;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{Java, Ours, cluster, is_led_by, operations};

/// What programs of other kinds and versions left beside the members. Java fails on an owner that is gone, so there is none.
const LEFT: &[(&str, &str)] = &[
    ("/a.b-c.Lonely", ""),
    (
        "/a.b-c.Lonely/config",
        "jobName: a.b-c.Lonely\ncron: 0/5 * * * * ?\nshardingTotalCount: 1\ndescription: 每日备份\n",
    ),
    ("/a.b-c.Lonely/instances", ""),
    (
        "/a.b-c.Lonely/instances/10.9.9.1@-@1",
        "jobInstanceId: 10.9.9.1@-@1\nserverIp: 10.9.9.1\n",
    ),
    ("/half", ""),
    ("/half/config", "jobName: half\nshardingTotalCount: 3\n"),
    ("/half/instances", ""),
    (
        "/half/instances/10.9.9.1@-@1",
        "jobInstanceId: 10.9.9.1@-@1\nserverIp: 10.9.9.1\n",
    ),
    ("/half/servers", ""),
    ("/half/servers/10.9.9.1", "disabled"),
    ("/half/servers/10.9.9.2", "DISABLED"),
    ("/half/servers/10.9.9.3", ""),
    ("/half/sharding", ""),
    ("/half/sharding/0", ""),
    ("/half/sharding/0/instance", "10.9.9.1@-@1"),
    ("/half/sharding/1", ""),
    ("/half/sharding/1/instance", "10.9.9.1@-@1"),
    ("/half/sharding/1/disabled", ""),
    ("/half/sharding/2", ""),
    ("/no-job", "of another program"),
];

/// The API, and the Java API beside it.
struct Both {
    console: Router,
    java: Operator,
}

impl Both {
    fn open(cluster: &Cluster) -> anyhow::Result<Self> {
        let admin = Visitor::new("mei", Rights::Admin);
        let (console, _) = Console::router(operations(cluster), move |_| Some(admin.clone()));
        let java = Operator::start(cluster, None)?;
        Ok(Self { console, java })
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("access-token", "any");
        let request = request.body(Body::from(body.to_string()))?;
        let Ok(response) = self.console.clone().oneshot(request).await;
        let answer: Value = serde_json::from_slice(&to_bytes(response.into_body(), 1 << 20).await?)?;
        ensure!(answer.get("success") != Some(&json!(false)), "{path}: {answer}");
        Ok(answer)
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let mut answer = self.ask(Method::GET, path, &Value::Null).await?;
        // The counts are bare.
        Ok(match answer.get_mut("model") {
            Some(model) => model.take(),
            None => answer,
        })
    }

    async fn post(&self, path: &str) -> anyhow::Result<()> {
        let answer = self.ask(Method::POST, path, &Value::Null).await?;
        ensure!(answer["model"] == json!(true), "{path}: {answer}");
        Ok(())
    }

    /// Compares all that both say, of items only if Java can: it fails if the owner of one is gone. While members are at work a
    /// difference may be one of time.
    async fn compare(&mut self, items_too: bool) -> anyhow::Result<()> {
        let same = |path: &str, ours: Value, java: Value| {
            let (ours, java) = (plain(ours), plain(java));
            ensure!(ours == java, "{path}: {ours}, in Java {java}");
            Ok(ours)
        };
        let jobs = self.java.ask("jobs", "", json!({})).await?;
        let path = "/api/jobs/getAllJobsBriefInfo";
        let jobs = same(path, self.get(path).await?, jobs)?;
        let servers = self.java.ask("servers", "", json!({})).await?;
        let path = "/api/servers/getAllServersBriefInfo";
        let servers = same(path, self.get(path).await?, servers)?;
        let counts = json!([
            self.get("/api/jobs/count").await?,
            self.get("/api/servers/count").await?
        ]);
        same("counts", counts, self.java.ask("counts", "", json!({})).await?)?;
        for job in names(&jobs, "jobName") {
            if items_too {
                let items = self.java.ask("items", &job, json!({})).await?;
                let path = format!("/api/jobs/{job}/sharding");
                same(&path, self.get(&path).await?, items)?;
            }
            let fields = self.java.ask("fields", &job, json!({})).await?;
            let path = format!("/api/jobs/config/{job}");
            same(&path, self.get(&path).await?, fields)?;
        }
        for server in names(&servers, "serverIp") {
            let jobs = self.java.ask("jobs-on", "", json!({ "ip": server })).await?;
            let path = format!("/api/servers/{server}/jobs");
            same(&path, self.get(&path).await?, jobs)?;
        }
        Ok(())
    }
}

fn names(list: &Value, key: &str) -> Vec<String> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter()
        .filter_map(|entry| Some(entry[key].as_str()?.to_owned()))
        .collect()
}

/// Returns what is said, without what is nothing: the library that prints Java's objects here leaves nulls out. Sets are sorted.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let is_nothing = |name: &str, value: &Value| {
                value.is_null() || *value == json!([]) && name == "jobListenerTypes" || name == "jobExtraConfigurations"
            };
            let fields = fields.into_iter().filter(|(name, value)| !is_nothing(name, value));
            fields.map(|(name, value)| (name, plain(value))).collect()
        }
        Value::Array(mut entries) if entries.iter().all(Value::is_string) => {
            entries.sort_by_key(|entry| entry.to_string());
            Value::Array(entries)
        }
        Value::Array(entries) => entries.into_iter().map(plain).collect(),
        other => other,
    }
}

#[tokio::test]
async fn answers_as_the_java_api() -> anyhow::Result<()> {
    let cluster = cluster("console-api")?;
    let _java = Java.member(&cluster, 1).start()?;
    is_led_by(&cluster, 1).await;
    let _ours = Ours.member(&cluster, 2).start()?;
    cluster.shared_by(&[1, 2]).await;
    for (path, text) in LEFT {
        cluster.create(path, text).await?;
    }
    let mut both = Both::open(&cluster)?;
    let jobs = both.get("/api/jobs/getAllJobsBriefInfo").await?;
    let listed = names(&jobs, "jobName");
    ensure!(
        listed.iter().any(|job| job == "a.b-c.Lonely") && !listed.iter().any(|job| job == "no-job"),
        "{jobs}"
    );
    both.agree(&cluster).await;

    let share = format!("/api/jobs/{SHARE}");
    for path in [
        format!("{share}/disable"),
        format!("{share}/enable"),
        format!("{share}/sharding/0/disable"),
        format!("{share}/sharding/0/enable"),
        format!("/api/servers/{}/disable", ip(1)),
        format!("/api/servers/{}/enable", ip(1)),
        format!("/api/servers/{}/jobs/{SHARE}/disable", ip(2)),
        format!("/api/servers/{}/jobs/{SHARE}/enable", ip(2)),
        format!("{share}/trigger"),
    ] {
        both.post(&path).await?;
        both.agree(&cluster).await;
    }
    Ok(())
}

#[tokio::test]
async fn changes_what_java_members_run_by() -> anyhow::Result<()> {
    let cluster = cluster("console-api-config")?;
    let _java = Java.member(&cluster, 1).start()?;
    cluster.shared_by(&[1]).await;
    let mut both = Both::open(&cluster)?;
    let path = format!("/api/jobs/config/{SHARE}");
    let mut config = both.get(&path).await?;
    config["shardingTotalCount"] = json!(4);
    config["description"] = json!("备份 'of' \"all\": # é");
    both.ask(Method::PUT, "/api/jobs/config", &config).await?;
    // The Java member shares out four items now.
    cluster.shares(4, &[1]).await;
    both.agree(&cluster).await;
    let java = both.java.ask("fields", SHARE, json!({})).await?;
    assert_eq!(java["description"], config["description"]);

    both.post(&format!("/api/jobs/{SHARE}/shutdown")).await?;
    cluster
        .until("no instance is left", async || {
            ensure!(cluster.instances(SHARE).await?.is_empty());
            Ok(())
        })
        .await;
    both.agree_on(&cluster, false).await;
    both.ask(Method::DELETE, &path, &Value::Null).await?;
    let text = cluster.text(&format!("/{SHARE}")).await.context("it answers")?;
    assert_eq!(text, None);
    Ok(())
}

impl Both {
    /// Waits until both say the same.
    async fn agree(&mut self, cluster: &Cluster) {
        self.agree_on(cluster, true).await;
    }

    async fn agree_on(&mut self, cluster: &Cluster, items_too: bool) {
        let compare = async || self.compare(items_too).await;
        cluster.until("the console says what Java says", compare).await;
    }
}
