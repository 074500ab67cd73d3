//! Our own API: what it answers over a registry with jobs of members, held against the schemas of its own description.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use elasticjob::ElasticJob;
use elasticjob::job::job;
use elasticjob::operation::Operations;
use elasticjob::registry::memory::MemoryRegistry;
use elasticjob::registry::{Answer, BoxFuture, CreateMode, Read, Registry, Session, Step};
use elasticjob_console::{Console, Globs, Rights, Visitor};
use serde_json::{Value, json};
use tower::ServiceExt;

/// What a script, a browser or a terminal could take for something else.
const HOSTILE: &str = "<script>alert(1)</script>\r\n\r\ndata:\u{202e}\u{1b}[31m__proto__";

/// A running application with a job of three items, and the API beside it.
struct Stage {
    router: Router,
    registry: MemoryRegistry,
    session: Arc<dyn Session>,
    running: Option<elasticjob::starter::ElasticJob>,
    following: Option<BoxFuture<'static, ()>>,
    document: Value,
}

async fn stage(visitor: Option<Visitor>) -> Stage {
    let registry = MemoryRegistry::new();
    let session = registry.connect().await.expect("it is embedded");
    let operations = Operations::new(Arc::new(registry.clone()));
    let (console, following) = Console::router(operations, move |_| visitor.clone());
    let mut stage = Stage {
        router: Router::new().nest("/ops", console),
        registry,
        session,
        running: None,
        following: Some(following),
        document: Value::Null,
    };
    let (status, document) = stage.send(Method::GET, "/openapi.json", "").await;
    assert_eq!(status, StatusCode::OK);
    stage.document = document;
    stage
}

async fn stage_of(rights: Rights) -> Stage {
    stage(Some(Visitor::new("mei", rights))).await
}

impl Stage {
    /// Runs a job of three items that never fires by itself. Its items succeed, except item 2.
    async fn with_job(mut self) -> Self {
        let work = async |context: elasticjob::job::ShardingContext| match context.sharding_item() {
            2 => Err(format!("no disk {HOSTILE}")),
            _ => Ok(()),
        };
        let ready = ElasticJob::builder()
            .without_discovery()
            .without_files()
            .environment([])
            .registry(Arc::new(self.registry.clone()))
            .job(
                job("sync", work)
                    .cron("0 0 0 1 1 ? 2099")
                    .sharding(3)
                    .set("description", HOSTILE),
            )
            .build()
            .expect("it is configured");
        self.running = Some(ready.start().await.expect("it starts"));
        let owners = async || {
            let (_, items) = self.send(Method::GET, "/jobs/sync/items", "").await;
            let items = items["rows"].as_array().cloned().unwrap_or_default();
            items.iter().filter(|item| item["instanceId"].is_string()).count()
        };
        let shared = async {
            while owners().await < 3 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), shared)
            .await
            .expect("the items have owners");
        self
    }

    async fn put(&self, path: &str, data: &str) {
        let (path, data, mode) = (path.to_owned(), data.into(), CreateMode::Persistent);
        self.session
            .write(vec![Step::Create { path, data, mode }])
            .await
            .expect("it is created");
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

    async fn send(&self, method: Method, path: &str, body: &str) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(format!("/ops/api/v2{path}"))
            .header(header::AUTHORIZATION, "Bearer any");
        let request = request.body(Body::from(body.to_owned())).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("a router answers");
        let (status, form) = (response.status(), response.headers()[header::CONTENT_TYPE].clone());
        let expected = if status.is_success() {
            "application/json"
        } else {
            "application/problem+json"
        };
        assert_eq!(form, expected, "{path}");
        let bytes = to_bytes(response.into_body(), 16 << 20).await.expect("a body");
        (status, serde_json::from_slice(&bytes).expect("JSON"))
    }

    /// Sends a request, and holds the answer against the schema of the endpoint.
    async fn ask(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let (status, answer) = self.send(method.clone(), path, &text).await;
        let operation = self.operation(&method, path);
        let responses = &operation["responses"];
        let schema = if status.is_success() {
            &responses["200"]["content"]["application/json"]["schema"]
        } else {
            &responses["default"]["content"]["application/problem+json"]["schema"]
        };
        assert!(schema.is_object(), "{path}");
        if let Err(fault) = fits(&self.document, schema, &answer, "") {
            panic!("{method} {path}: {fault} in {answer}");
        }
        (status, answer)
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask(Method::GET, path, Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(Method::POST, path, body).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    /// Returns the status and the words of a refusal.
    async fn refused(&self, method: Method, path: &str, body: Value) -> (u16, String) {
        let (status, answer) = self.ask(method, path, body).await;
        assert!(!status.is_success(), "{path}: {answer}");
        assert_eq!(answer["status"], status.as_u16());
        (status.as_u16(), answer["detail"].as_str().expect("words").to_owned())
    }

    /// Finds the description of a request by its path.
    fn operation(&self, method: &Method, path: &str) -> &Value {
        let path = path.split('?').next().unwrap_or_default();
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let is_it = |described: &str| {
            let described: Vec<&str> = described.trim_start_matches("/api/v2/").split('/').collect();
            let is_part = |(one, other): (&&str, &&str)| one == other || one.starts_with('{');
            described.len() == parts.len() && described.iter().zip(&parts).all(is_part)
        };
        let paths = self.document["paths"].as_object().expect("paths");
        let item = paths
            .iter()
            .find(|(described, _)| is_it(described))
            .expect("it is described")
            .1;
        &item[method.as_str().to_lowercase()]
    }
}

/// Holds a value against a schema: as much of JSON Schema as the document uses.
fn fits(document: &Value, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    let resolve = |reference: &str| {
        document
            .pointer(reference.trim_start_matches('#'))
            .expect("it is there")
    };
    if let Some(reference) = schema["$ref"].as_str() {
        return fits(document, resolve(reference), value, place);
    }
    for all in schema["allOf"].as_array().into_iter().flatten() {
        fits(document, all, value, place)?;
    }
    if let Some(one_of) = schema["oneOf"].as_array() {
        let faults: Vec<String> = one_of
            .iter()
            .filter_map(|one| fits(document, one, value, place).err())
            .collect();
        if faults.len() == one_of.len() {
            return Err(faults.join(" | "));
        }
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !types.is_empty() && !types.contains(&found) {
        return Err(format!("{place} is {found}, not {types:?}"));
    }
    if let Some(values) = schema["enum"].as_array()
        && !values.contains(value)
    {
        return Err(format!("{place} is {value}, none of {values:?}"));
    }
    if let Some(fields) = value.as_object() {
        for required in schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if !fields.contains_key(required) {
                return Err(format!("{place}.{required} is missing"));
            }
        }
        let described = &schema["properties"];
        for (name, value) in fields {
            let (own, other) = (&described[name], &schema["additionalProperties"]);
            if own.is_object() {
                fits(document, own, value, &format!("{place}.{name}"))?;
            } else if other.is_object() {
                fits(document, other, value, &format!("{place}.{name}"))?;
            }
        }
    }
    for (index, value) in value.as_array().into_iter().flatten().enumerate() {
        if schema["items"].is_object() {
            fits(document, &schema["items"], value, &format!("{place}[{index}]"))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn says_what_there_is() {
    let stage = stage_of(Rights::Viewer).await.with_job().await;
    let jobs = stage.get("/jobs").await;
    assert_eq!(jobs["rows"][0]["jobName"], "sync");
    assert_eq!(jobs["rows"][0]["description"], HOSTILE);
    let job = stage.get("/jobs/sync").await;
    assert_eq!(
        (&job["status"], &job["instances"][0]["isLeader"]),
        (&json!("OK"), &json!(true))
    );
    assert_eq!(stage.get("/jobs/sync/items/1").await["status"], "PENDING");
    assert_eq!(stage.get("/jobs/sync/instances").await[0]["items"], json!([0, 1, 2]));
    let explained = stage.get("/jobs/sync/explain").await;
    assert_eq!(explained["items"][0]["findings"][0]["finding"], "WAITS");
    let next = stage.get("/jobs/sync/next?count=3").await;
    assert_eq!(next["times"].as_array().map(Vec::len), Some(1));
    let config = stage.get("/jobs/sync/config").await;
    assert_eq!(
        (&config["version"], &config["settings"]["shardingTotalCount"]),
        (&json!(0), &json!("3"))
    );
    let servers = stage.get("/servers").await;
    let server = servers["rows"][0]["serverIp"].as_str().expect("an address").to_owned();
    assert_eq!(
        stage.get(&format!("/servers/{server}/jobs")).await[0]["jobName"],
        "sync"
    );
}

#[tokio::test]
async fn pages_by_key() {
    let stage = stage_of(Rights::Viewer).await;
    for number in 0..5 {
        stage.put(&format!("/job-{number}"), "").await;
        let config = format!("jobName: job-{number}\nshardingTotalCount: 1\n");
        stage.put(&format!("/job-{number}/config"), &config).await;
    }
    let names = |page: &Value| -> Vec<String> {
        let rows = page["rows"].as_array().cloned().unwrap_or_default();
        rows.iter()
            .map(|row| row["jobName"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let first = stage.get("/jobs?limit=2").await;
    assert_eq!(
        (names(&first), &first["next"]),
        (vec!["job-0".to_owned(), "job-1".to_owned()], &json!("job-1"))
    );
    let second = stage.get("/jobs?limit=2&after=job-1").await;
    assert_eq!(names(&second), ["job-2", "job-3"]);
    let last = stage.get("/jobs?limit=2&after=job-3").await;
    assert_eq!((names(&last), &last["next"]), (vec!["job-4".to_owned()], &Value::Null));
    assert_eq!(names(&stage.get("/jobs?q=-3").await), ["job-3"]);
    for query in ["limit=x", "limit=-1", "dryRun=true", "offset=3"] {
        assert_eq!(
            stage
                .refused(Method::GET, &format!("/jobs?{query}"), Value::Null)
                .await
                .0,
            400,
            "{query}"
        );
    }
}

#[tokio::test]
async fn triggers_and_waits() {
    let mut stage = stage_of(Rights::Operator).await.with_job().await;
    let following = stage.following.take().expect("it runs once");
    let test = async {
        stage.get("/jobs/sync/firings").await;
        let plan = stage.post("/jobs/sync/trigger?dryRun=true", Value::Null).await;
        assert_eq!(plan["effect"], "would start 3 items on 1 instances");
        assert_eq!((&plan["items"], &plan["dryRun"]), (&json!([0, 1, 2]), &json!(true)));
        assert_eq!(
            stage.get("/jobs/sync/items/0").await["run"],
            Value::Null,
            "nothing has run"
        );

        let body = json!({"parameter": "2026-11", "waitSeconds": 20});
        let triggered = stage.post("/jobs/sync/trigger", body).await;
        let items = &triggered["execution"]["items"];
        assert_eq!(items["0"]["outcome"], "SUCCEEDED", "{triggered}");
        assert_eq!(items["2"]["outcome"], "FAILED");
        let one = stage
            .post("/jobs/sync/trigger", json!({"item": 1, "waitSeconds": 20}))
            .await;
        assert_eq!(one["execution"]["items"], json!({"1": {"outcome": "SUCCEEDED"}}));
        assert_eq!(
            stage.post("/jobs/sync/trigger", json!({})).await["execution"],
            Value::Null
        );
        // The one before has ended when this one has.
        stage.post("/jobs/sync/trigger", json!({"waitSeconds": 20})).await;
        let explained = stage.get("/jobs/sync/explain").await;
        assert!(explained.to_string().contains("NOT_SUCCEEDED"), "{explained}");
        let firings = stage.get("/jobs/sync/firings").await;
        let newest = firings
            .as_array()
            .and_then(|firings| firings.last())
            .expect("a firing was seen");
        assert!(
            newest["request"].is_string() && newest["items"][0]["source"] == "trigger",
            "{firings}"
        );
        for (path, body, status, words) in [
            (
                "/jobs/no/trigger",
                json!({}),
                404,
                "there is no job `no` in the registry",
            ),
            ("/jobs/sync/trigger", json!({"item": 9}), 404, "has no item 9"),
            (
                "/jobs/sync/trigger",
                json!({"item": 1, "server": "a"}),
                422,
                "exclude each other",
            ),
            (
                "/jobs/sync/trigger",
                json!({"parameter": "x".repeat(1025)}),
                413,
                "1025 bytes",
            ),
            (
                "/jobs/sync/trigger?dryRun=true",
                json!({"parameter": "x".repeat(1025)}),
                413,
                "1025 bytes",
            ),
            (
                "/jobs/sync/trigger?dryRun=true",
                json!({"item": 9}),
                404,
                "has no item 9",
            ),
            (
                "/jobs/sync/trigger",
                json!({"waitSeconds": 601}),
                422,
                "600 are the most",
            ),
            (
                "/jobs/sync/trigger",
                json!({"paramter": "x"}),
                422,
                "unknown field `paramter`",
            ),
            ("/jobs/sync/trigger", json!([]), 422, "the body is not what is expected"),
            ("/jobs/sync/cancel", json!({}), 409, "nothing of job `sync` runs now"),
            (
                "/jobs/sync/cancel?dryRun=true",
                json!({}),
                409,
                "nothing of job `sync` runs now",
            ),
        ] {
            let (found, detail) = stage.refused(Method::POST, path, body).await;
            assert!(found == status && detail.contains(words), "{path}: {found} {detail}");
        }
        let (status, answer) = stage.send(Method::POST, "/jobs/sync/trigger", "{").await;
        assert_eq!((status.as_u16(), &answer["title"]), (400, &json!("Bad Request")));
    };
    tokio::select! {
        () = test => {}
        () = following => unreachable!("it never ends"),
    }
}

#[tokio::test]
async fn switches_with_a_reason_after_a_dry_run() {
    let stage = stage_of(Rights::Operator).await.with_job().await;
    let server = stage.get("/servers").await["rows"][0]["serverIp"]
        .as_str()
        .expect("an address")
        .to_owned();
    let instance = stage.get("/jobs/sync/instances").await[0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let off = json!({"reason": "new disk"});
    for (action, back) in [
        ("/jobs/sync/disable".to_owned(), Some("/jobs/sync/enable".to_owned())),
        (
            "/jobs/sync/items/1/disable".to_owned(),
            Some("/jobs/sync/items/1/enable".to_owned()),
        ),
        (
            format!("/servers/{server}/disable"),
            Some(format!("/servers/{server}/enable")),
        ),
        (
            format!("/jobs/sync/servers/{server}/disable"),
            Some(format!("/jobs/sync/servers/{server}/enable")),
        ),
        (
            format!("/instances/{instance}/drain"),
            Some(format!("/instances/{instance}/undrain")),
        ),
    ] {
        let before = tree(&stage).await;
        let body = if action.ends_with("disable") {
            off.clone()
        } else {
            Value::Null
        };
        let plan = stage.post(&format!("{action}?dryRun=true"), body.clone()).await;
        assert!(plan["effect"].is_string(), "{action}: {plan}");
        assert_eq!(tree(&stage).await, before, "{action} was tried alone");
        stage.post(&action, body).await;
        let explained = stage.get("/jobs/sync/explain").await.to_string();
        let is_said = explained.contains("new disk") && explained.contains("mei") || explained.contains("DRAINING");
        assert!(is_said, "{action}: {explained}");
        if let Some(back) = back {
            stage.post(&format!("{back}?dryRun=true"), Value::Null).await;
            stage.post(&back, Value::Null).await;
        }
    }
    stage.post("/jobs/sync/disable", off).await;
    for path in ["/jobs/sync/trigger", "/jobs/sync/trigger?dryRun=true"] {
        let (status, detail) = stage.refused(Method::POST, path, Value::Null).await;
        assert!(
            status == 409 && detail.contains("is paused since") && detail.contains("by mei: new disk"),
            "{status} {detail}"
        );
    }
    for (path, status) in [
        ("/servers/10.0.0.77/disable", 404),
        ("/jobs/sync/servers/10.0.0.77/disable", 404),
        ("/instances/10.0.0.77@-@1/drain", 404),
        ("/instances/10.0.0.77@-@1/shutdown", 404),
        ("/jobs/sync/items/9/disable", 404),
        ("/jobs/sync/items/9/disable?dryRun=true", 404),
        ("/jobs/sync/items/x/disable", 400),
    ] {
        assert_eq!(stage.refused(Method::POST, path, Value::Null).await.0, status, "{path}");
    }
}

/// Returns what the registry has of the switches of the job.
async fn tree(stage: &Stage) -> Vec<Option<String>> {
    let server = stage.get("/servers").await["rows"][0]["serverIp"]
        .as_str()
        .expect("an address")
        .to_owned();
    let mut texts = Vec::new();
    for path in [
        "/ledger/pause",
        "/sharding/1/disabled",
        "/config",
        "/ledger/notes",
        &format!("/servers/{server}"),
    ] {
        texts.push(stage.text(&format!("/sync{path}")).await);
    }
    texts
}

#[tokio::test]
async fn configures_one_version() {
    let stage = stage_of(Rights::Editor).await;
    stage.put("/sync", "").await;
    let stored =
        "jobName: sync\ncron: 0 0 2 * * ?\nshardingTotalCount: 2\nprops: {email.host: mail, email.password: tiger}\n";
    stage.put("/sync/config", stored).await;
    let path = "/jobs/sync/config";
    let shown = stage.get(path).await;
    assert_eq!(shown["settings"]["props.email.password"], "******");
    let change = |settings: Value| json!({"version": 0, "settings": settings});

    let body = change(json!({"cron": "0 0 3 * * ?", "props.email.to": "a@example.org"}));
    let (status, plan) = stage
        .ask(Method::PATCH, &format!("{path}?dryRun=true"), body.clone())
        .await;
    assert_eq!(
        (status, plan["changes"].as_array().map(Vec::len)),
        (StatusCode::OK, Some(2))
    );
    assert_eq!(stage.text("/sync/config").await.as_deref(), Some(stored));

    for (settings, status, words) in [
        (
            json!({"cron": "61 * * * * ?", "sharding-total-count": "x"}),
            422,
            "seconds are 0 to 59",
        ),
        (json!({"timeuot": "5s"}), 422, "timeuot"),
        (
            json!({"props.email.password": "******"}),
            422,
            "has the mask of a secret",
        ),
        (json!({"props.other": "[provided]"}), 422, "has the mask of a secret"),
        (
            json!({"props.email.host": "evil.test"}),
            422,
            "enter `props.email.password` again",
        ),
        (
            json!({"props.script.command.line": "rm -rf /"}),
            403,
            "is code on every instance",
        ),
    ] {
        let (found, detail) = stage.refused(Method::PATCH, path, change(settings)).await;
        assert!(
            found == status && detail.contains(words) && !detail.contains("tiger"),
            "{found} {detail}"
        );
    }
    let (status, changed) = stage.ask(Method::PATCH, path, body.clone()).await;
    assert_eq!((status, &changed["version"]), (StatusCode::OK, &json!(1)));
    let entered = json!({"version": 1, "settings": {"props.email.host": "other", "props.email.password": "lion"}});
    assert_eq!(stage.ask(Method::PATCH, path, entered).await.0, StatusCode::OK);
    // Another operator was faster.
    let (status, detail) = stage
        .refused(Method::PATCH, path, change(json!({"misfire": "true"})))
        .await;
    assert!(status == 409 && detail.contains("has version 2, not 0"), "{detail}");
    assert_eq!(stage.refused(Method::PATCH, path, json!({})).await.0, 422);
    assert_eq!(stage.get(path).await["settings"]["cron"], "0 0 3 * * ?");
}

#[tokio::test]
async fn removes_what_no_instance_serves() {
    let mut stage = stage_of(Rights::Admin).await.with_job().await;
    let server = stage.get("/servers").await["rows"][0]["serverIp"]
        .as_str()
        .expect("an address")
        .to_owned();
    for path in ["/jobs/sync", "/jobs/sync?dryRun=true"] {
        let (status, detail) = stage.refused(Method::DELETE, path, Value::Null).await;
        assert!(
            status == 409 && detail.contains("shut it down first"),
            "{status} {detail}"
        );
    }
    let plan = stage.post("/jobs/sync/shutdown?dryRun=true", Value::Null).await;
    assert_eq!(plan["effect"], "would shut 1 instances down");
    assert_eq!(
        stage.get("/jobs/sync/instances").await.as_array().map(Vec::len),
        Some(1)
    );
    let running = stage.running.take().expect("it runs");
    running.shutdown(Duration::from_secs(10)).await;
    let (_, plan) = stage
        .ask(Method::DELETE, &format!("/servers/{server}?dryRun=true"), Value::Null)
        .await;
    assert_eq!(plan["servers"], json!([server]));
    let (status, _) = stage
        .ask(Method::DELETE, &format!("/servers/{server}"), Value::Null)
        .await;
    assert_eq!(status, StatusCode::OK);
    let (_, plan) = stage.ask(Method::DELETE, "/jobs/sync?dryRun=true", Value::Null).await;
    assert!(
        plan["effect"]
            .as_str()
            .is_some_and(|text| text.contains("cannot be undone")),
        "{plan}"
    );
    let (status, removed) = stage.ask(Method::DELETE, "/jobs/sync", Value::Null).await;
    assert!(status.is_success() && removed["nodes"].as_u64() > Some(3), "{removed}");
    assert_eq!(stage.text("/sync").await, None);
    assert_eq!(stage.refused(Method::DELETE, "/jobs/sync", Value::Null).await.0, 404);
}

#[tokio::test]
async fn refuses_in_problems() {
    let strangers = stage(None).await;
    assert_eq!(strangers.refused(Method::GET, "/jobs", Value::Null).await.0, 401);
    let viewer = stage_of(Rights::Viewer).await;
    assert_eq!(
        viewer.refused(Method::POST, "/jobs/sync/trigger", Value::Null).await.0,
        403
    );
    let (status, answer) = viewer.send(Method::GET, "/nothing", "").await;
    assert_eq!((status, &answer["title"]), (StatusCode::NOT_FOUND, &json!("Not Found")));
    // What is not seen and what is not there look the same.
    let globs = Globs::parse(["other"]).expect("a pattern");
    let limited = stage(Some(Visitor::new("mei", Rights::Admin).only(globs)))
        .await
        .with_hidden()
        .await;
    for path in [
        "/jobs/sync",
        "/jobs/sync/items",
        "/jobs/sync/explain",
        "/jobs/sync/config",
    ] {
        let hidden = limited.refused(Method::GET, path, Value::Null).await;
        assert_eq!(hidden, (404, "there is no job `sync` in the registry".to_owned()));
    }
    assert_eq!(limited.get("/jobs").await["rows"], json!([]));
    assert_eq!(limited.get("/servers").await["rows"], json!([]));
    for path in ["/servers/10.0.0.1/disable", "/instances/10.0.0.1@-@1/shutdown"] {
        assert_eq!(limited.refused(Method::POST, path, Value::Null).await.0, 404, "{path}");
    }
    assert_eq!(limited.text("/sync/servers/10.0.0.1").await.as_deref(), Some("ENABLED"));
}

impl Stage {
    /// Adds a job that a limited visitor does not see.
    async fn with_hidden(self) -> Self {
        for (path, text) in [
            ("/sync", ""),
            ("/sync/config", "jobName: sync\nshardingTotalCount: 1\n"),
            ("/sync/servers", ""),
            ("/sync/servers/10.0.0.1", "ENABLED"),
            ("/sync/instances", ""),
            (
                "/sync/instances/10.0.0.1@-@1",
                "jobInstanceId: 10.0.0.1@-@1\nserverIp: 10.0.0.1\n",
            ),
        ] {
            self.put(path, text).await;
        }
        self
    }
}

#[tokio::test]
async fn has_a_reference_of_all_requests() {
    let stage = stage_of(Rights::Viewer).await;
    let request = Request::get("/ops/api").body(Body::empty()).expect("a request");
    let response = stage.router.clone().oneshot(request).await.expect("a router answers");
    assert_eq!(response.status(), StatusCode::OK);
    let bytes = to_bytes(response.into_body(), 1 << 20).await.expect("a body");
    let page = String::from_utf8(bytes.to_vec()).expect("a text");
    for (path, item) in stage.document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            let head = format!("<code>{} {path}</code>", method.to_uppercase());
            assert!(page.contains(&head), "{head}");
            let about = operation["summary"].as_str().expect("a sentence");
            assert!(page.contains(about), "{about}");
        }
    }
    for part in [
        "\"$CONSOLE/ops/api/v2/jobs/{job}/trigger\"",
        "<code>waitSeconds</code> (integer)",
        "<code>?dryRun</code> (boolean)",
        "href=\"/ops/api/v2/openapi.json\"",
    ] {
        let part = if part.starts_with('"') {
            part.replace('"', "&#34;")
        } else {
            part.to_owned()
        };
        assert!(page.contains(&part), "{part} in {page}");
    }
}
