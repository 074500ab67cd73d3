//! The API of the Java console: requests, and answers to the letter, over a registry that holds what members of any kind may leave there.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use elasticjob::operation::Operations;
use elasticjob::registry::memory::MemoryRegistry;
use elasticjob::registry::{Answer, CreateMode, Read, Registry, Session, Step};
use elasticjob_console::{Console, Globs, Rights, Visitor};
use serde_json::{Value, json};
use tower::ServiceExt;

/// What stands in the registry.
const TREE: [&str; 24] = [
    // No server has ever been written.
    "/a.lonely-Job.v2/config=jobName: a.lonely-Job.v2\ncron: 0/5 * * * * ?\nshardingTotalCount: 1\n",
    "/a.lonely-Job.v2/instances/10.0.0.1@-@1=jobInstanceId: 10.0.0.1@-@1\nserverIp: 10.0.0.1\n",
    // A server that is gone is on, so the job is not all off.
    "/stale/config=jobName: stale\nshardingTotalCount: 2\ndescription: '<script>alert(1)</script>'\n",
    "/stale/instances/10.0.0.1@-@1=jobInstanceId: 10.0.0.1@-@1\nserverIp: 10.0.0.1\n",
    "/stale/servers/10.0.0.1=DISABLED",
    "/stale/servers/10.0.0.9=ENABLED",
    // An item has no owner, and one an owner that is gone.
    "/备份/config=jobName: 备份\ncron: 0 0 2 * * ?\nshardingTotalCount: 4\ndescription: 每日备份\n",
    "/备份/instances/10.0.0.1@-@1=jobInstanceId: 10.0.0.1@-@1\nserverIp: 10.0.0.1\n",
    "/备份/servers/10.0.0.1=ENABLED",
    "/备份/sharding/0/instance=10.0.0.1@-@1",
    "/备份/sharding/0/running",
    "/备份/sharding/1/instance=10.0.0.2@-@7",
    "/备份/sharding/1/failover=10.0.0.1@-@1",
    "/备份/sharding/2/instance=",
    "/备份/sharding/3/instance=10.0.0.1@-@1",
    "/备份/sharding/3/disabled",
    // An item without an owner does not count beside others.
    "/well/config=jobName: well\ncron: 0 0 2 * * ?\nshardingTotalCount: 2\n",
    "/well/instances/10.0.0.1@-@1=jobInstanceId: 10.0.0.1@-@1\nserverIp: 10.0.0.1\n",
    "/well/servers/10.0.0.1=ENABLED",
    "/well/sharding/0/instance=10.0.0.1@-@1",
    "/well/sharding/1",
    // A configuration that Java takes and no job of ours can run by.
    "/odd/config=jobName: odd\ncron: every day\nshardingTotalCount: 1\n",
    "/foreign=of another program",
    "/odd/servers/10.0.0.9=disabled",
];

/// The API, and what changes what it answers.
struct Stage {
    router: Router,
    session: Arc<dyn Session>,
}

async fn stage(visitor: Option<Visitor>) -> Stage {
    let registry = MemoryRegistry::new();
    let session = registry.connect().await.expect("it is embedded");
    let (console, _) = Console::router(Operations::new(Arc::new(registry)), move |_| visitor.clone());
    let stage = Stage {
        router: Router::new().nest("/console", console),
        session,
    };
    for node in TREE {
        stage.put(node).await;
    }
    stage
}

async fn stage_of(rights: Rights) -> Stage {
    stage(Some(Visitor::new("mei", rights))).await
}

impl Stage {
    /// Creates a node with its parents, or sets it.
    async fn put(&self, node: &str) {
        let (path, data) = node.split_once('=').unwrap_or((node, ""));
        let ends = path.match_indices('/').skip(1).map(|(end, _)| end);
        for path in ends.map(|end| &path[..end]).chain([path]) {
            let (exists, path) = (self.text(path).await.is_some(), path.to_owned());
            let data: Vec<u8> = if path.len() == node.find('=').unwrap_or(node.len()) {
                data.into()
            } else {
                Vec::new()
            };
            let step = if !exists {
                let mode = CreateMode::Persistent;
                Step::Create { path, data, mode }
            } else if data.is_empty() {
                continue;
            } else {
                let version = None;
                Step::Set { path, data, version }
            };
            self.session.write(vec![step]).await.expect("it is written");
        }
    }

    async fn text(&self, path: &str) -> Option<String> {
        let read = self
            .session
            .read(vec![Read::Data(path.to_owned())])
            .await
            .expect("it answers");
        match &read[..] {
            [Answer::Data(Some((data, _)))] => Some(String::from_utf8(data.clone()).expect("a text")),
            _ => None,
        }
    }

    /// Sends a request as a script does, and returns the body.
    async fn send(&self, method: Method, path: &str, body: String) -> String {
        let request = Request::builder()
            .method(method)
            .uri(format!("/console/api{path}"))
            .header("access-token", "any");
        let request = request.body(Body::from(body)).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("a router answers");
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let bytes = to_bytes(response.into_body(), 16 << 20).await.expect("a body");
        String::from_utf8(bytes.to_vec()).expect("a text")
    }

    async fn get(&self, path: &str) -> Value {
        model(&self.send(Method::GET, path, String::new()).await)
    }

    async fn post(&self, path: &str) -> Value {
        model(&self.send(Method::POST, path, String::new()).await)
    }

    async fn delete(&self, path: &str) -> Value {
        model(&self.send(Method::DELETE, path, String::new()).await)
    }

    async fn put_config(&self, config: &Value) -> Value {
        model(&self.send(Method::PUT, "/jobs/config", config.to_string()).await)
    }
}

/// Returns the model of an answer, or its code and message.
fn model(answer: &str) -> Value {
    let mut answer: Value = serde_json::from_str(answer).expect("JSON");
    match answer["errorCode"].as_u64() {
        Some(0) => {
            assert_eq!((&answer["success"], &answer["errorMsg"]), (&json!(true), &Value::Null));
            answer["model"].take()
        }
        Some(code) => {
            assert_eq!((&answer["success"], &answer["model"]), (&json!(false), &Value::Null));
            json!([code, answer["errorMsg"]])
        }
        None => answer,
    }
}

#[tokio::test]
async fn lists_jobs_to_the_letter() {
    let stage = stage_of(Rights::Viewer).await;
    let all = stage
        .send(Method::GET, "/jobs/getAllJobsBriefInfo", String::new())
        .await;
    let expected = concat!(
        r#"{"success":true,"errorCode":0,"errorMsg":null,"model":["#,
        r#"{"jobName":"a.lonely-Job.v2","status":"DISABLED","description":"","cron":"0/5 * * * * ?","instanceCount":1,"shardingTotalCount":1},"#,
        r#"{"jobName":"odd","status":"CRASHED","description":"","cron":"every day","instanceCount":0,"shardingTotalCount":1},"#,
        r#"{"jobName":"stale","status":"SHARDING_FLAG","description":"<script>alert(1)</script>","cron":null,"instanceCount":1,"shardingTotalCount":2},"#,
        r#"{"jobName":"well","status":"OK","description":"","cron":"0 0 2 * * ?","instanceCount":1,"shardingTotalCount":2},"#,
        r#"{"jobName":"备份","status":"SHARDING_FLAG","description":"每日备份","cron":"0 0 2 * * ?","instanceCount":1,"shardingTotalCount":4}"#,
        "]}"
    );
    assert_eq!(all, expected);
    // Java counts each node, and answers bare.
    assert_eq!(stage.send(Method::GET, "/jobs/count", String::new()).await, "6");
}

#[tokio::test]
async fn lists_items_to_the_letter() {
    let stage = stage_of(Rights::Viewer).await;
    let items = stage
        .send(Method::GET, "/jobs/%E5%A4%87%E4%BB%BD/sharding", String::new())
        .await;
    let expected = concat!(
        r#"{"success":true,"errorCode":0,"errorMsg":null,"model":["#,
        r#"{"item":0,"serverIp":"10.0.0.1","instanceId":"10.0.0.1@-@1","status":"RUNNING","failover":false},"#,
        r#"{"item":1,"serverIp":"10.0.0.2","instanceId":"10.0.0.2@-@7","status":"SHARDING_FLAG","failover":true},"#,
        r#"{"item":2,"serverIp":null,"instanceId":null,"status":"SHARDING_FLAG","failover":false},"#,
        r#"{"item":3,"serverIp":"10.0.0.1","instanceId":"10.0.0.1@-@1","status":"DISABLED","failover":false}"#,
        "]}"
    );
    assert_eq!(items, expected);
    assert_eq!(stage.get("/jobs/stale/sharding").await, json!([]));
    assert_eq!(
        stage.get("/jobs/no/sharding").await,
        json!([500, "there is no job `no` in the registry"])
    );
}

#[tokio::test]
async fn lists_servers_to_the_letter() {
    let stage = stage_of(Rights::Viewer).await;
    let servers = stage
        .send(Method::GET, "/servers/getAllServersBriefInfo", String::new())
        .await;
    let expected = concat!(
        r#"{"success":true,"errorCode":0,"errorMsg":null,"model":["#,
        r#"{"serverIp":"10.0.0.1","instances":["10.0.0.1@-@1"],"jobNames":["stale","well","备份"],"instancesNum":1,"jobsNum":3,"disabledJobsNum":1},"#,
        r#"{"serverIp":"10.0.0.9","instances":[],"jobNames":["odd","stale"],"instancesNum":0,"jobsNum":2,"disabledJobsNum":1}"#,
        "]}"
    );
    assert_eq!(servers, expected);
    assert_eq!(stage.send(Method::GET, "/servers/count", String::new()).await, "2");
    let jobs = stage.get("/servers/10.0.0.9/jobs").await;
    let job = |name: &str, status: &str| json!({"jobName": name, "status": status, "description": null, "cron": null, "instanceCount": 0, "shardingTotalCount": 0});
    assert_eq!(jobs, json!([job("odd", "DISABLED"), job("stale", "OK")]));
    assert_eq!(stage.get("/servers/10.0.0.77/jobs").await, json!([]));
}

mod configuration {
    use super::*;

    /// As a Java member wrote it, with secrets, and what only Java knows.
    const STORED: &str = "/well/config=jobName: well\ncron: 0 0 2 * * ?\ntimeZone: GMT+8\nshardingTotalCount: 2\n\
        shardingItemParameters: 0=北京,1=上海\njobParameter: ''\nmonitorExecution: true\nfailover: true\nmisfire: false\n\
        maxTimeDiffSeconds: -1\nreconcileIntervalMinutes: 10\njobErrorHandlerType: EMAIL\njobListenerTypes:\n- a\n- b\n\
        jobExtraConfigurations:\n- !!org.apache.shardingsphere.elasticjob.tracing.yaml.YamlTracingConfiguration\n  type: RDB\n\
        description: ''\nprops:\n  email.host: mail\n  email.password: tiger\n  elasticjob.retry: '3'\ndisabled: false\noverwrite: true\nstaticSharding: false\n";

    async fn stage(rights: Rights) -> Stage {
        let stage = stage_of(rights).await;
        stage.put(STORED).await;
        stage
    }

    #[tokio::test]
    async fn is_shown_to_the_letter_without_secrets() {
        let stage = stage(Rights::Viewer).await;
        let shown = stage.send(Method::GET, "/jobs/config/well", String::new()).await;
        let expected = concat!(
            r#"{"success":true,"errorCode":0,"errorMsg":null,"model":{"jobName":"well","cron":"0 0 2 * * ?","timeZone":"GMT+8","#,
            r#""shardingTotalCount":2,"shardingItemParameters":"0=北京,1=上海","jobParameter":"","monitorExecution":true,"failover":true,"#,
            r#""misfire":false,"maxTimeDiffSeconds":-1,"reconcileIntervalMinutes":10,"jobShardingStrategyType":null,"#,
            r#""jobExecutorServiceHandlerType":null,"jobErrorHandlerType":"EMAIL","jobListenerTypes":["a","b"],"#,
            r#""jobExtraConfigurations":null,"description":"","props":{"elasticjob.retry":"3","email.host":"mail","email.password":"******"},"#,
            r#""disabled":false,"overwrite":true,"label":null,"staticSharding":false}}"#
        );
        assert_eq!(shown, expected);
        // A name with dots; a configuration that no job can run by.
        assert_eq!(stage.get("/jobs/config/a.lonely-Job.v2").await["shardingTotalCount"], 1);
        assert_eq!(stage.get("/jobs/config/odd").await["cron"], "every day");
        assert_eq!(stage.get("/jobs/config/no").await[0], 500);
        assert_eq!(
            stage.get("/jobs/config/foreign").await[1],
            "job `foreign` has no configuration in the registry"
        );
    }

    #[tokio::test]
    async fn comes_back_as_it_was_shown() {
        let stage = stage(Rights::Editor).await;
        let shown = stage.get("/jobs/config/well").await;
        assert_eq!(stage.put_config(&shown).await, true);
        let once = stage.text("/well/config").await.expect("it is there");
        assert_eq!(stage.put_config(&shown).await, true);
        assert_eq!(stage.text("/well/config").await.as_deref(), Some(&*once));
        let lines = |text: &str| {
            text.lines()
                .map(str::to_owned)
                .collect::<std::collections::BTreeSet<_>>()
        };
        let (_, before) = STORED.split_once('=').expect("a path and a text");
        assert_eq!(lines(before), lines(&once), "nothing has changed but the order");

        let mut changed = shown.clone();
        changed["cron"] = json!("0 0 3 * * ?");
        changed["jobParameter"] = json!("备".repeat(21_845));
        assert_eq!(stage.put_config(&changed).await, true);
        let text = stage.text("/well/config").await.expect("it is there");
        for kept in [
            "cron: 0 0 3 * * ?",
            "email.password: tiger",
            "type: RDB",
            "elasticjob.retry: '3'",
        ] {
            assert!(text.contains(kept), "{kept}");
        }
        assert_eq!(
            stage.get("/jobs/config/well").await["jobParameter"]
                .as_str()
                .map(str::len),
            Some(65_535)
        );
    }

    #[tokio::test]
    async fn has_defaults_for_what_is_left_out() {
        let stage = stage(Rights::Editor).await;
        let short = json!({"jobName": "well", "shardingTotalCount": 3, "cron": null, "jobExecutorThreadPoolSizeProviderType": "CPU"});
        assert_eq!(stage.put_config(&short).await, true);
        let shown = stage.get("/jobs/config/well").await;
        for (name, value) in [
            ("shardingTotalCount", json!(3)),
            ("cron", Value::Null),
            ("monitorExecution", json!(false)),
            ("maxTimeDiffSeconds", json!(-1)),
            ("props", json!({})),
        ] {
            assert_eq!(shown[name], value, "{name}");
        }
        let text = stage.text("/well/config").await.expect("it is there");
        assert!(text.contains("type: RDB"), "what only Java knows stays");
    }

    #[tokio::test]
    async fn is_refused_with_all_faults() {
        let stage = stage(Rights::Editor).await;
        let before = stage.text("/well/config").await;
        let shown = stage.get("/jobs/config/well").await;
        for (name, value, message) in [
            ("shardingTotalCount", json!(0), "`shardingTotalCount` is `0`"),
            ("shardingTotalCount", json!("many"), "a whole number is expected"),
            ("cron", json!("61 * * * * ?"), "seconds are 0 to 59"),
            ("cron", json!({}), "`cron` is {}: a text is expected"),
            ("failover", json!("maybe"), "true or false is expected"),
            ("jobListenerTypes", json!("a"), "a list is expected"),
            ("props", json!({"a": {}}), "`props.a` is {}: a text is expected"),
            ("props", json!([1]), "`props` is [[1]]: a text is expected"),
            ("__proto__", json!(1), "`__proto__` is not a setting"),
            ("jobName", json!(""), "jobName can not be empty."),
            ("jobName", json!("no"), "there is no job `no` in the registry"),
            ("jobName", json!("a/b"), "there is no job `a/b` in the registry"),
            (
                "label",
                json!("******"),
                "`label` has no stored value that its mask stands for",
            ),
        ] {
            let mut config = shown.clone();
            config[name] = value;
            let answer = stage.put_config(&config).await;
            let text = answer[1].as_str().unwrap_or_else(|| panic!("{name}: {answer}"));
            assert!(text.contains(message), "{name}: {text}");
        }
        let two = json!({"jobName": "well", "shardingTotalCount": "x", "misfire": 7});
        let answer = stage.put_config(&two).await;
        let text = answer[1].as_str().expect("a message");
        assert!(
            text.contains("shardingTotalCount") && text.contains("misfire"),
            "{text}"
        );
        assert_eq!(stage.text("/well/config").await, before);
    }

    #[tokio::test]
    async fn keeps_secrets_with_their_destination() {
        let stage = stage(Rights::Admin).await;
        let mut config = stage.get("/jobs/config/well").await;
        config["props"]["email.host"] = json!("evil.test");
        let answer = stage.put_config(&config).await;
        let text = answer[1].as_str().expect("a message");
        assert!(
            text.contains("enter `props.email.password` again, since `props.email.host` has changed"),
            "{text}"
        );
        assert!(!text.contains("tiger"));
        config["props"]["email.password"] = json!("new");
        assert_eq!(stage.put_config(&config).await, true);
    }

    #[tokio::test]
    async fn leaves_code_to_admins() {
        let set = json!({"script.command.line": "rm -rf /"});
        for (rights, code) in [(Rights::Editor, Some(403)), (Rights::Admin, None)] {
            let stage = stage(rights).await;
            let mut config = stage.get("/jobs/config/well").await;
            config["props"] = set.clone();
            assert_eq!(stage.put_config(&config).await[0].as_u64(), code, "{rights}");
        }
        let stage = stage(Rights::Operator).await;
        let config = stage.get("/jobs/config/well").await;
        assert_eq!(stage.put_config(&config).await[0], 403);
    }
}

mod operations {
    use super::*;

    const JOB: &str = "/jobs/%E5%A4%87%E4%BB%BD";

    #[tokio::test]
    async fn write_what_java_writes() {
        let stage = stage_of(Rights::Admin).await;
        let text = async |path: &str| stage.text(&format!("/备份{path}")).await;
        assert_eq!(stage.post(&format!("{JOB}/trigger")).await, true);
        assert!(text("/trigger/10.0.0.1@-@1").await.is_some());
        assert_eq!(stage.post(&format!("{JOB}/disable")).await, true);
        assert_eq!(text("/servers/10.0.0.1").await.as_deref(), Some("DISABLED"));
        assert_eq!(text("/ledger/pause").await, None, "Java knows no pause");
        assert_eq!(stage.post(&format!("{JOB}/enable")).await, true);
        assert_eq!(text("/servers/10.0.0.1").await.as_deref(), Some("ENABLED"));
        assert_eq!(stage.post(&format!("{JOB}/sharding/1/disable")).await, true);
        assert_eq!(text("/sharding/1/disabled").await.as_deref(), Some(""));
        assert_eq!(stage.post(&format!("{JOB}/sharding/1/enable")).await, true);
        assert_eq!(text("/sharding/1/disabled").await, None);
        assert_eq!(stage.post(&format!("{JOB}/shutdown")).await, true);
        assert_eq!(text("/instances/10.0.0.1@-@1").await, None);
        assert_eq!(stage.delete("/jobs/config/%E5%A4%87%E4%BB%BD").await, true);
        assert_eq!(text("").await, None);
    }

    #[tokio::test]
    async fn on_servers_write_what_java_writes() {
        let stage = stage_of(Rights::Admin).await;
        let switches = async || {
            let [stale, well] = ["/stale", "/well"].map(|job| format!("{job}/servers/10.0.0.1"));
            [stage.text(&stale).await, stage.text(&well).await].map(Option::unwrap_or_default)
        };
        assert_eq!(stage.post("/servers/10.0.0.1/enable").await, true);
        assert_eq!(switches().await, ["ENABLED", "ENABLED"]);
        assert_eq!(stage.post("/servers/10.0.0.1/jobs/well/disable").await, true);
        assert_eq!(switches().await, ["ENABLED", "DISABLED"]);
        assert_eq!(stage.post("/servers/10.0.0.1/jobs/well/enable").await, true);
        assert_eq!(stage.post("/servers/10.0.0.1/disable").await, true);
        assert_eq!(switches().await, ["DISABLED", "DISABLED"]);
        assert_eq!(stage.post("/servers/10.0.0.1/jobs/well/shutdown").await, true);
        assert_eq!(stage.text("/well/instances/10.0.0.1@-@1").await, None);
        assert!(stage.text("/stale/instances/10.0.0.1@-@1").await.is_some());
        assert_eq!(stage.delete("/servers/10.0.0.1/jobs/well").await, true);
        assert_eq!(stage.text("/well/servers/10.0.0.1").await, None);
        assert_eq!(stage.post("/servers/10.0.0.1/shutdown").await, true);
        assert_eq!(stage.text("/stale/instances/10.0.0.1@-@1").await, None);
        assert_eq!(stage.delete("/servers/10.0.0.1").await, true);
        assert_eq!(switches().await, ["", ""]);
        assert_eq!(stage.text("/stale/servers/10.0.0.9").await.as_deref(), Some("ENABLED"));
    }

    #[tokio::test]
    async fn that_reach_nothing_say_so() {
        let stage = stage_of(Rights::Admin).await;
        for (path, message) in [
            ("/jobs/no/trigger", "there is no job `no` in the registry"),
            ("/jobs/no/disable", "there is no job `no` in the registry"),
            ("/jobs/a%2Fb/shutdown", "there is no job `a/b` in the registry"),
            ("/jobs/odd/trigger", "job `odd` has no instance that could run it"),
            (
                "/jobs/well/sharding/9/disable",
                "job `well` has no item 9: its items are 0 to 1",
            ),
            ("/servers/10.0.0.77/disable", "there is no server `10.0.0.77`"),
            (
                "/servers/10.0.0.9/jobs/well/disable",
                "there is no server `10.0.0.9` of job `well`",
            ),
        ] {
            assert_eq!(stage.post(path).await, json!([500, message]), "{path}");
        }
        let answer = stage.post("/jobs/well/sharding/x/disable").await;
        assert_eq!(answer, json!([400, "item `x` of job `well` is not a number"]));
        // It would come back in pieces.
        let answer = stage.delete("/jobs/config/well").await;
        assert!(
            answer[1]
                .as_str()
                .is_some_and(|text| text.contains("shut it down first")),
            "{answer}"
        );
        assert_eq!(stage.text("/no").await, None);
        assert_eq!(stage.text("/well/servers/10.0.0.9").await, None, "Java would create it");
    }

    #[tokio::test]
    async fn dump_connects_nowhere_else() {
        let stage = stage_of(Rights::Admin).await;
        // A local service that must not be reached, at an address that an instance could claim.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        for id in ["127.0.0.1", "169.254.169.254", "localhost"] {
            stage.put(&format!("/well/instances/{id}@-@1=serverIp: {id}\n")).await;
            stage.put(&format!("/well/servers/{id}=ENABLED")).await;
        }
        for path in [
            format!("/servers/127.0.0.1/{port}/jobs/well/dump"),
            "/servers/127.0.0.1/9888/jobs/well/dump".to_owned(),
            "/servers/localhost/9888/jobs/well/dump".to_owned(),
            "/servers/169.254.169.254/9888/jobs/well/dump".to_owned(),
            "/servers/10.0.0.1/22/jobs/well/dump".to_owned(),
            "/servers/10.0.0.77/9888/jobs/well/dump".to_owned(),
            "/servers/10.0.0.1/9888/jobs/no/dump".to_owned(),
        ] {
            let answer = stage.post(&path).await;
            assert_eq!(
                answer,
                json!([400, "no instance of this job has such a dump port"]),
                "{path}"
            );
        }
        let accepted = tokio::time::timeout(std::time::Duration::ZERO, listener.accept()).await;
        assert!(accepted.is_err(), "no connection was made");
    }
}

#[tokio::test]
async fn serves_one_registry_centre() {
    let stage = stage_of(Rights::Admin).await;
    let centre = json!({
        "name": "embedded registry, this process only", "zkAddressList": "embedded registry, this process only",
        "namespace": "", "digest": null, "activated": true,
    });
    assert_eq!(stage.get("/registry-center/activated").await, centre);
    assert_eq!(stage.get("/registry-center/load").await, json!([centre]));
    let connect = async |name: &str| {
        let body = json!({"name": name}).to_string();
        model(&stage.send(Method::POST, "/registry-center/connect", body).await)
    };
    assert_eq!(connect("embedded registry, this process only").await, true);
    assert_eq!(connect("other").await, false);
    let refused = json!([
        500,
        "this console serves the registry centre of its application, and no other"
    ]);
    assert_eq!(stage.post("/registry-center/add").await, refused);
    assert_eq!(stage.delete("/registry-center").await, refused);
}

mod visitors {
    use super::*;

    #[tokio::test]
    async fn that_are_unknown_get_the_words_of_java() {
        let stage = stage(None).await;
        for path in ["/jobs/count", "/jobs/getAllJobsBriefInfo", "/servers/count"] {
            let answer = stage.send(Method::GET, path, String::new()).await;
            assert_eq!(
                answer,
                r#"{"success":false,"errorCode":403,"errorMsg":"Unauthorized.","model":null}"#
            );
        }
    }

    #[tokio::test]
    async fn of_some_jobs_find_no_others_in_any_byte() {
        let globs = Globs::parse(["stale"]).expect("a pattern");
        let stage = stage(Some(Visitor::new("mei", Rights::Admin).only(globs))).await;
        for path in [
            "/jobs/getAllJobsBriefInfo",
            "/servers/getAllServersBriefInfo",
            "/servers/10.0.0.1/jobs",
            "/jobs/stale/sharding",
        ] {
            let answer = stage.send(Method::GET, path, String::new()).await;
            assert!(
                !answer.contains("well") && !answer.contains("备份") && !answer.contains("odd"),
                "{path}: {answer}"
            );
        }
        assert_eq!(stage.send(Method::GET, "/jobs/count", String::new()).await, "1");
        assert_eq!(stage.send(Method::GET, "/servers/count", String::new()).await, "2");
        let unknown = json!([500, "there is no job `well` in the registry"]);
        for path in ["/jobs/config/well", "/jobs/well/sharding"] {
            assert_eq!(stage.get(path).await, unknown, "{path}");
        }
        assert_eq!(stage.post("/jobs/well/disable").await, unknown);
        assert_eq!(
            stage
                .put_config(&json!({"jobName": "well", "shardingTotalCount": 1}))
                .await,
            unknown
        );
        // A server is switched in the jobs that the visitor sees.
        assert_eq!(stage.post("/servers/10.0.0.1/disable").await, true);
        assert_eq!(stage.text("/well/servers/10.0.0.1").await.as_deref(), Some("ENABLED"));
        assert_eq!(stage.post("/servers/10.0.0.1/enable").await, true);
        assert_eq!(stage.text("/stale/servers/10.0.0.1").await.as_deref(), Some("ENABLED"));
    }
}
