//! `HTTP`, against a real web server.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::any;
use axum::serve::ListenerExt as _;
use elasticjob_tests::zookeeper::free_port;
use futures_util::{StreamExt as _, stream};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::application::{Application, PATIENCE, faults};

/// A request that came.
#[derive(Clone, Debug)]
struct Request {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: String,
}

/// A service with a path for each way to answer. Dropping it ends it.
struct Service {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
    /// How many connections there were so far.
    connections: Arc<AtomicUsize>,
    /// How many requests wait for an answer that never comes.
    waiting: watch::Receiver<usize>,
    _server: JoinSet<()>,
}

#[derive(Clone)]
struct Shared {
    requests: Arc<Mutex<Vec<Request>>>,
    waiting: Arc<watch::Sender<usize>>,
}

impl Service {
    async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = format!("http://{}", listener.local_addr()?);
        let (sender, waiting) = watch::channel(0);
        let shared = Shared {
            requests: Arc::default(),
            waiting: Arc::new(sender),
        };
        let requests = Arc::clone(&shared.requests);
        let connections = Arc::new(AtomicUsize::new(0));
        let accepted = Arc::clone(&connections);
        let listener = listener.tap_io(move |_| {
            accepted.fetch_add(1, Ordering::Relaxed);
        });
        let app = Router::new()
            .route("/silent", any(silent))
            .route("/dripping", any(dripping))
            .route("/chunked", any(async || pieces(5)))
            .route("/huge", any(async || pieces(1_000_000)))
            .route("/broken", any(async || broken()))
            .route("/status/{status}", any(status))
            .route("/moved", any(async || Redirect::to("/there")))
            .route("/round", any(async || Redirect::temporary("/round")))
            .fallback(take)
            .with_state(shared);
        let mut server = JoinSet::new();
        server.spawn(async move {
            // Until it is aborted.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self {
            address,
            requests,
            connections,
            waiting,
            _server: server,
        })
    }

    fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut *self.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns a job that asks for this path.
    async fn asked(
        &self,
        job: &'static str,
        method: &str,
        path: &str,
        further: &[(&str, &str)],
    ) -> anyhow::Result<Application> {
        let uri = format!("{}{path}", self.address);
        let mut settings = vec![
            ("elastic-job-type", "HTTP"),
            ("sharding-total-count", "1"),
            ("props.http.uri", &*uri),
            ("props.http.method", method),
        ];
        settings.retain(|(key, _)| further.iter().all(|(other, _)| other != key));
        settings.extend_from_slice(further);
        Application::start(job, &settings).await
    }
}

async fn take(State(shared): State<Shared>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> String {
    let request = Request {
        method,
        uri,
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    shared
        .requests
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(request);
    "done".to_owned()
}

/// Counts itself as long as it is there: until its connection is dropped.
struct Waiting(Arc<watch::Sender<usize>>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting -= 1);
    }
}

async fn silent(State(shared): State<Shared>) -> String {
    shared.waiting.send_modify(|waiting| *waiting += 1);
    let _waiting = Waiting(shared.waiting);
    std::future::pending().await
}

/// Returns a piece each 100 ms, for ever.
async fn dripping() -> Response {
    let pieces = stream::repeat(()).then(async |()| {
        sleep(Duration::from_millis(100)).await;
        anyhow::Ok(Bytes::from_static(b"."))
    });
    Body::from_stream(pieces).into_response()
}

/// Returns so many pieces of 100 bytes each, of which it does not say how many.
fn pieces(count: usize) -> Response {
    let pieces = stream::iter(0..count).map(|_| anyhow::Ok(Bytes::from_static(&[b'x'; 100])));
    Body::from_stream(pieces).into_response()
}

/// Breaks off after its first piece, which is sent by then.
fn broken() -> Response {
    let pieces = stream::iter([Ok(Bytes::from_static(b"half")), Err(anyhow::anyhow!("no disk"))]);
    let pieces = pieces.then(async |piece| {
        sleep(Duration::from_millis(100)).await;
        piece
    });
    Body::from_stream(pieces).into_response()
}

async fn status(Path(status): Path<u16>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, "no disk").into_response()
}

#[tokio::test]
async fn each_item_should_be_asked_for_with_its_context() -> anyhow::Result<()> {
    let service = Service::start().await?;
    let further = [
        ("sharding-total-count", "2"),
        ("sharding-item-parameters", "0=Größe,1=Rome's"),
        ("job-parameter", "a=b"),
    ];
    let application = service.asked("contexts", "GET", "/tidy?key=tiger", &further).await?;
    assert_eq!(application.run().await?, [(0, None), (1, None)].into());
    let mut requests = service.take_requests();
    requests.sort_by_key(|request| request.headers["shardingcontext"].as_bytes().to_vec());
    assert_eq!(requests.len(), 2, "{requests:?}");
    for (item, request) in requests.iter().enumerate() {
        assert_eq!(
            (&request.method, request.uri.to_string()),
            (&Method::GET, "/tidy?key=tiger".to_owned())
        );
        assert_eq!((&*request.body, request.headers.get("content-type")), ("", None));
        let context = std::str::from_utf8(request.headers["shardingcontext"].as_bytes())?;
        let escaped = ["Größe", r"Rome\u0027s"][item];
        let end = format!(
            r#""shardingTotalCount":2,"jobParameter":"a\u003db","shardingItem":{item},"shardingParameter":"{escaped}"}}"#
        );
        assert!(
            context.starts_with(r#"{"jobName":"contexts","taskId":"contexts@-@"#) && context.ends_with(&end),
            "{context}"
        );
        assert!(!request.headers["elasticjob-run-id"].is_empty());
        assert!(request.headers["elasticjob-fencing-token"].to_str()?.parse::<i64>()? > 0);
    }
    let log = application.stop().await;
    assert!(log.contains("the service answers status=200 body=\"done\""), "{log}");
    assert!(!log.contains("tiger"), "{log}");
    Ok(())
}

#[tokio::test]
async fn methods_should_send_what_they_are_given() -> anyhow::Result<()> {
    let service = Service::start().await?;
    let data = ("props.http.data", "a=b&c=ö");
    let json = ("props.http.content.type", "application/json");
    let form = Some("application/x-www-form-urlencoded");
    let cases = [
        ("POST", &[data][..], "a=b&c=ö", form),
        ("PUT", &[data, json][..], "a=b&c=ö", Some("application/json")),
        ("DELETE", &[data][..], "a=b&c=ö", form),
        ("POST", &[][..], "", None),
        ("OPTIONS", &[][..], "", None),
        ("HEAD", &[][..], "", None),
    ];
    for (method, further, body, content_type) in cases {
        let application = service.asked("methods", method, "/", further).await?;
        assert_eq!(application.run().await?, [(0, None)].into(), "{method}");
        let requests = service.take_requests();
        let [request] = &requests[..] else {
            anyhow::bail!("{requests:?}");
        };
        assert_eq!((request.method.as_str(), &*request.body), (method, body));
        let sent = request
            .headers
            .get("content-type")
            .map(|value| value.to_str())
            .transpose()?;
        assert_eq!(sent, content_type, "{method}");
        application.stop().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_status_of_failure_should_be_one_unless_that_is_switched_off() -> anyhow::Result<()> {
    let service = Service::start().await?;
    for status in [400, 404, 503] {
        let path = format!("/status/{status}");
        let application = service.asked("failing", "GET", &path, &[]).await?;
        let failure = application.failure().await?;
        let expected = format!("{}/.. answers with status {status} ", service.address);
        assert!(
            failure.starts_with(&expected) && failure.ends_with(": no disk"),
            "{failure}"
        );

        let off = ("props.http.fail-on-error-status", "false");
        let application = service.asked("warning", "GET", &path, &[off]).await?;
        assert_eq!(application.run().await?, [(0, None)].into());
        let log = application.stop().await;
        assert!(
            log.contains(&format!("a status that is no success status={status} body=\"no disk\"")),
            "{log}"
        );
    }
    let created = service.asked("created", "POST", "/status/201", &[]).await?;
    assert_eq!(created.run().await?, [(0, None)].into());
    Ok(())
}

#[tokio::test]
async fn only_what_a_service_may_answer_otherwise_later_should_be_asked_for_again() -> anyhow::Result<()> {
    let service = Service::start().await?;
    for (status, is_again) in [(503, true), (429, true), (404, false), (401, false)] {
        let path = format!("/status/{status}");
        let further = [("retry", "2"), ("retry-backoff", "1ms")];
        let application = service.asked("patient", "GET", &path, &further).await?;
        let failure = application.failure().await?;
        assert_eq!(failure.starts_with("tried 3 times: http://"), is_again, "{failure}");
        assert!(failure.ends_with(": no disk"), "{failure}");
        application.stop().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_connection_should_be_used_for_more_than_one_run() -> anyhow::Result<()> {
    let service = Service::start().await?;
    let application = service.asked("steady", "GET", "/", &[]).await?;
    for _ in 0..5 {
        assert_eq!(application.run().await?, [(0, None)].into());
    }
    assert_eq!(service.take_requests().len(), 5);
    let connections = service.connections.load(Ordering::Relaxed);
    assert!(connections < 5, "{connections}");
    Ok(())
}

#[tokio::test]
async fn answers_of_any_size_and_in_pieces_should_be_taken() -> anyhow::Result<()> {
    let service = Service::start().await?;
    for (path, length) in [("/chunked", 500), ("/huge", 64 * 1024)] {
        let application = service.asked("sizes", "GET", path, &[]).await?;
        assert_eq!(application.run().await?, [(0, None)].into(), "{path}");
        let log = application.stop().await;
        assert!(
            log.contains(&format!("body=\"{}\"", "x".repeat(length))),
            "{path}: {}",
            log.len()
        );
    }
    Ok(())
}

#[tokio::test]
async fn answers_that_break_off_or_never_end_should_fail_the_item() -> anyhow::Result<()> {
    let service = Service::start().await?;
    let read = ("props.http.read.timeout.milliseconds", "300");
    let body = ("props.http.body.timeout.milliseconds", "500");
    let cases = [
        ("/broken", &[][..], "/.. breaks off"),
        ("/silent", &[read][..], "timed out"),
        ("/dripping", &[read, body][..], "/.. did not end within 500ms"),
    ];
    for (path, further, expected) in cases {
        let application = service.asked("breaking", "GET", path, further).await?;
        let failure = application.failure().await?;
        assert!(failure.contains(expected), "{failure}");
    }
    Ok(())
}

#[tokio::test]
async fn redirects_should_be_followed_but_not_for_ever() -> anyhow::Result<()> {
    let service = Service::start().await?;
    let application = service
        .asked("moved", "POST", "/moved", &[("props.http.data", "a=b")])
        .await?;
    assert_eq!(application.run().await?, [(0, None)].into());
    let requests = service.take_requests();
    let followed = requests.first().context("it was followed")?;
    assert_eq!(
        (&followed.method, followed.uri.path(), &*followed.body),
        (&Method::GET, "/there", "")
    );
    let application = service.asked("round", "GET", "/round", &[]).await?;
    assert!(application.failure().await?.contains("too many redirects"));
    Ok(())
}

#[tokio::test]
async fn a_service_that_is_not_there_should_fail_the_item_without_secrets_and_the_job_live() -> anyhow::Result<()> {
    let service = Service::start().await?;
    let port = free_port()?;
    let gone = format!("http://lion:tiger@127.0.0.1:{port}/tidy?key=tiger");
    for (uri, expected) in [
        (&*gone, format!("cannot ask http://127.0.0.1:{port}/..: ")),
        (
            "http://service.invalid/?key=tiger",
            "cannot ask http://service.invalid/: ".to_owned(),
        ),
    ] {
        let application = service.asked("gone", "GET", "/", &[("props.http.uri", uri)]).await?;
        for _ in 0..2 {
            let failure = application.failure().await?;
            assert!(failure.starts_with(&expected), "{failure}");
        }
        let log = application.stop().await;
        assert!(!log.contains("tiger") && !log.contains("lion"), "{log}");
    }
    Ok(())
}

#[tokio::test]
async fn a_shutdown_should_drop_the_connection() -> anyhow::Result<()> {
    let mut service = Service::start().await?;
    let read = ("props.http.read.timeout.milliseconds", "600000");
    let application = service.asked("silent", "GET", "/silent", &[read]).await?;
    let job = application.running.one_off_named(application.job)?;
    let mut execution = JoinSet::new();
    execution.spawn(async move { job.execute_and_wait(PATIENCE).await });
    timeout(PATIENCE, service.waiting.wait_for(|waiting| *waiting == 1)).await??;
    application.running.shutdown(Duration::ZERO).await;
    timeout(PATIENCE, service.waiting.wait_for(|waiting| *waiting == 0)).await??;
    Ok(())
}

#[test]
fn refuses_bad_settings_before_running() {
    let fault = |settings: &[(&str, &str)]| {
        let mut all = vec![("elastic-job-type", "HTTP"), ("sharding-total-count", "1")];
        all.extend_from_slice(settings);
        faults(&all)
    };
    let missing = fault(&[]);
    for key in ["http.uri`: is missing", "http.method`: is missing"] {
        assert!(missing.contains(&format!("jobs.tidy.props.{key}")), "{missing}");
    }
    let odd = fault(&[
        ("props.http.uri", "tiger"),
        ("props.http.method", "FETCH"),
        ("props.http.url", "x"),
    ]);
    assert!(odd.contains("`FETCH`: expected one of `GET`, `POST`"), "{odd}");
    assert!(
        odd.contains("did you mean `http.uri`?") && !odd.contains("tiger"),
        "{odd}"
    );
}
