//! Operations on an embedded registry that holds what members of any kind may have left there.

mod many;

use std::sync::Arc;

use elasticjob_config::job::JobConfig;

use crate::registry::memory::MemoryRegistry;
use crate::registry::metered::Metered;
use crate::registry::{Answer, CreateMode, Read, Registry, Session, Step};
use crate::run::Verdict;

use super::*;

const CONFIG: &str = "jobName: job\ncron: 0/5 * * * * ?\nshardingTotalCount: 2\n";

/// What can be seen from beside.
struct Cluster {
    session: Arc<dyn Session>,
    operations: Operations,
}

/// A namespace with these nodes, each `path=data`.
async fn cluster(nodes: &[&str]) -> Cluster {
    let registry = MemoryRegistry::new();
    let session = registry.connect().await.unwrap();
    let operations = Operations::new(Arc::new(registry));
    let cluster = Cluster { session, operations };
    for node in nodes {
        cluster.put(node).await;
    }
    cluster
}

impl Cluster {
    /// Creates a node with its parents, or sets it.
    async fn put(&self, node: &str) {
        let (path, data) = node.split_once('=').unwrap_or((node, ""));
        let ends = path.match_indices('/').skip(1).map(|(end, _)| end);
        for path in ends.map(|end| &path[..end]) {
            if self.get(path).await.is_none() {
                self.create(path, "").await;
            }
        }
        match self.get(path).await {
            None => self.create(path, data).await,
            Some(_) => {
                let (path, data) = (path.to_owned(), data.into());
                let version = None;
                self.session
                    .write(vec![Step::Set { path, data, version }])
                    .await
                    .unwrap();
            }
        }
    }

    async fn create(&self, path: &str, data: &str) {
        let (path, data) = (path.to_owned(), data.into());
        let mode = CreateMode::Persistent;
        self.session
            .write(vec![Step::Create { path, data, mode }])
            .await
            .unwrap();
    }

    async fn delete(&self, path: &str) {
        let (path, version) = (path.to_owned(), None);
        self.session.write(vec![Step::Delete { path, version }]).await.unwrap();
    }

    async fn get(&self, path: &str) -> Option<String> {
        let answers = self.session.read(vec![Read::Data(path.to_owned())]).await.unwrap();
        match answers.into_iter().next() {
            Some(Answer::Data(found)) => found.map(|(data, _)| String::from_utf8(data).unwrap()),
            other => panic!("unexpected {other:?}"),
        }
    }
}

#[tokio::test]
async fn the_status_of_a_job_should_be_that_of_the_java_console() {
    let cluster = cluster(&[&format!("/job/config={CONFIG}")]).await;
    let status = async || cluster.operations.job_brief("job").await.unwrap().status;
    assert_eq!(status().await, JobStatus::Crashed);
    cluster.put("/job/instances/a@-@1").await;
    assert_eq!(status().await, JobStatus::Disabled, "there is no server");
    cluster.put("/job/servers/a=disabled").await;
    assert_eq!(status().await, JobStatus::Disabled, "in any spelling");
    cluster.put("/job/servers/b=").await;
    assert_eq!(status().await, JobStatus::ShardingFlag, "nobody has an item");
    cluster.put("/job/sharding/0/instance=a@-@1").await;
    cluster.put("/job/sharding/1/instance=a@-@1").await;
    assert_eq!(status().await, JobStatus::Ok);
    cluster.put("/job/sharding/1/instance=a@-@2").await;
    assert_eq!(
        status().await,
        JobStatus::ShardingFlag,
        "one belongs to nobody who is there"
    );
}

#[tokio::test]
async fn a_job_with_an_item_that_has_no_owner_should_not_be_called_well() {
    let nodes = [
        &format!("/job/config={CONFIG}"),
        "/job/instances/a@-@1",
        "/job/servers/a=ENABLED",
        "/job/sharding/1/instance=a@-@1",
        "/job/sharding/2/instance=a@-@1",
    ];
    let cluster = cluster(&nodes).await;
    let status = async || cluster.operations.jobs().await.unwrap().jobs[0].status;
    assert_eq!(
        status().await,
        JobStatus::ShardingFlag,
        "an item beyond the total is none"
    );
    cluster.put("/job/sharding/0/instance=a@-@1").await;
    assert_eq!(status().await, JobStatus::Ok);
}

#[tokio::test]
async fn an_item_of_an_instance_that_is_gone_should_be_shown_without_one() {
    let cluster = cluster(&[
        &format!("/job/config={CONFIG}"),
        "/job/instances/a@-@1",
        "/job/sharding/0/instance=a@-@1",
        "/job/sharding/0/running=a@-@1",
        "/job/sharding/1/instance=b@-@9",
        "/job/sharding/1/failover=a@-@1",
        "/job/sharding/2/instance=a@-@1",
        "/job/sharding/2/disabled",
        "/job/sharding/2/running=a@-@1",
        "/job/sharding/10/instance=a@-@1",
        "/job/sharding/foreign/instance=a@-@1",
    ])
    .await;
    let items = cluster.operations.items("job").await.unwrap();
    let shown: Vec<_> = items
        .iter()
        .map(|item| (item.item, item.status, item.instance_id.as_deref(), item.failover))
        .collect();
    assert_eq!(
        shown,
        [
            (0, ItemStatus::Running, Some("a@-@1"), false),
            (1, ItemStatus::ShardingFlag, None, true),
            (2, ItemStatus::Disabled, Some("a@-@1"), false),
            (10, ItemStatus::Pending, Some("a@-@1"), false),
        ]
    );
    assert_eq!(items[1].assigned_to.as_deref(), Some("b@-@9"));
}

#[tokio::test]
async fn what_is_no_job_should_be_told_apart_from_jobs() {
    let cluster = cluster(&[
        &format!("/job/config={CONFIG}"),
        "/half/servers/a=ENABLED",
        "/odd/config=shardingTotalCount: many",
        "/somebody/elses/node=x",
    ])
    .await;
    let listing = cluster.operations.jobs().await.unwrap();
    assert_eq!(listing.jobs.len(), 1);
    let others: Vec<_> = listing
        .others
        .iter()
        .map(|other| (other.name.as_str(), &other.reason))
        .collect();
    assert!(
        matches!(
            others[..],
            [
                ("half", UnlistedReason::NoConfiguration),
                ("odd", UnlistedReason::InvalidConfiguration { .. }),
                ("somebody", UnlistedReason::Foreign),
            ]
        ),
        "{others:?}"
    );
    assert_eq!(cluster.operations.job_count().await.unwrap(), 4);
    assert_eq!(cluster.operations.servers().await.unwrap()[0].job_names, ["half"]);
    assert!(matches!(
        cluster.operations.job("half").await,
        Err(Error::NoConfiguration { .. })
    ));
    assert!(cluster.operations.configuration("half").await.unwrap().is_none());
}

#[tokio::test]
async fn a_look_at_two_thousand_jobs_should_cost_some_dozens_of_requests() {
    let registry = Metered::new(MemoryRegistry::new());
    let session = registry.connect().await.unwrap();
    for job in 0..2_000 {
        let create = |path: String, data: &str| Step::Create {
            path,
            data: data.into(),
            mode: CreateMode::Persistent,
        };
        let config = format!("jobName: job{job}\nshardingTotalCount: 2\n");
        let mut steps = vec![
            create(format!("/job{job}"), ""),
            create(format!("/job{job}/config"), &config),
        ];
        steps.extend(
            ["servers", "instances", "sharding", "sharding/0", "sharding/1"]
                .map(|name| create(format!("/job{job}/{name}"), "")),
        );
        steps.push(create(format!("/job{job}/servers/a"), "ENABLED"));
        steps.push(create(format!("/job{job}/instances/a@-@1"), ""));
        steps.push(create(format!("/job{job}/sharding/0/instance"), "a@-@1"));
        steps.push(create(format!("/job{job}/sharding/1/instance"), "a@-@1"));
        session.write(steps).await.unwrap();
    }
    let registry = Arc::new(registry);
    let before = registry.counts().requests();
    let listing = Operations::new(Arc::<Metered<_>>::clone(&registry))
        .jobs()
        .await
        .unwrap();
    assert_eq!(listing.jobs.len(), 2_000);
    assert!(listing.jobs.iter().all(|job| job.status == JobStatus::Ok));
    let requests = registry.counts().requests() - before;
    // Six reads a job, then three, of four hundred in a request; and one for the names.
    assert!(requests <= 50, "{requests}");
}

#[tokio::test]
async fn a_note_should_be_shown_as_long_as_its_switch_was_thrown_by_nobody_else() {
    let cluster = cluster(&[&format!("/job/config={CONFIG}"), "/job/servers/a=ENABLED"]).await;
    let operations = &cluster.operations;
    let note = operations.note(Some("ann"), Some("disk full"));
    let target = Target::job_on_server("job", "a");
    operations.disable(&target, Some(note.clone())).await.unwrap();
    assert_eq!(cluster.get("/job/servers/a").await.as_deref(), Some("DISABLED"));
    operations.disable_item("job", 1, Some(note.clone())).await.unwrap();
    let report = operations.job("job").await.unwrap();
    assert_eq!(report.servers[0].disabled.as_ref(), Some(&note));
    assert_eq!(operations.items("job").await.unwrap()[0].disabled.as_ref(), Some(&note));
    let explained = operations.explain("job").await.unwrap();
    let said: Vec<String> = explained.items[1].findings.iter().map(ToString::to_string).collect();
    assert!(said[0].contains("by ann: disk full"), "{said:?}");

    // As the Java console does it.
    cluster.put("/job/servers/a=ENABLED").await;
    cluster.put("/job/servers/a=DISABLED").await;
    let report = operations.job("job").await.unwrap();
    assert_eq!(report.servers[0].disabled, None, "that was somebody else");

    operations.enable(&target).await.unwrap();
    operations.enable_item("job", 1).await.unwrap();
    assert_eq!(cluster.get("/job/servers/a").await.as_deref(), Some("ENABLED"));
    assert_eq!(cluster.get("/job/sharding/1/disabled").await, None);
    assert_eq!(cluster.get("/job/ledger/notes/servers/a").await, None);
    assert_eq!(cluster.get("/job/ledger/notes/items/1").await, None);
}

mod pause {
    //! A pause of a whole job, as operators begin and end it.

    use super::*;

    const OURS: &str = r#"/job/ledger/members/a@-@1={"obeysPause":true}"#;

    /// A job with a member of ours on `a`, a Java member on `b`, and `c` switched off by an operator.
    async fn paused(by: &str) -> Cluster {
        let cluster = cluster(&[
            &format!("/job/config={CONFIG}"),
            "/job/servers/a=ENABLED",
            "/job/servers/b=ENABLED",
            "/job/servers/c=DISABLED",
            "/job/instances/a@-@1",
            "/job/instances/b@-@2",
            OURS,
            "/job/ledger/epoch={\"later\":\"shape\"}",
            "/job/sharding/0/instance=a@-@1",
            "/job/sharding/1/instance=a@-@1",
        ])
        .await;
        let note = cluster.operations.note(Some(by), Some("month end freeze"));
        let switched = cluster
            .operations
            .disable(&Target::job("job"), Some(note))
            .await
            .unwrap();
        assert_eq!(
            (&*switched[0].servers, switched[0].pause),
            (&["b".to_owned()][..], Some(PauseChange::Begun))
        );
        cluster
    }

    async fn shown(cluster: &Cluster) -> Vec<String> {
        let explained = cluster.operations.explain("job").await.unwrap();
        explained.findings.iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn is_shown_wherever_an_operator_looks() {
        let cluster = paused("alice").await;
        let brief = cluster.operations.job_brief("job").await.unwrap();
        assert_eq!((brief.status, brief.is_paused), (JobStatus::Paused, true));
        assert_eq!(brief.pause.and_then(|note| note.by).as_deref(), Some("alice"));
        let explained = cluster.operations.explain("job").await.unwrap();
        let first = explained.findings[0].to_string();
        assert!(
            first.starts_with("it is paused since ")
                && first.ends_with(" by alice: month end freeze: nothing of it starts"),
            "{first}"
        );
        let waits = |finding: &Finding| matches!(finding, Finding::Waits { .. });
        assert!(
            !explained.items.iter().any(|item| item.findings.iter().any(waits)),
            "{explained:?}"
        );
        let error = cluster.operations.trigger("job", None).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("job `job` is paused since ")
                && text.ends_with(" by alice: month end freeze: `enable` ends that"),
            "{text}"
        );
        assert_eq!(cluster.get("/job/trigger").await, None, "nobody is told");
        cluster.delete("/job/instances/a@-@1").await;
        cluster.delete("/job/instances/b@-@2").await;
        let brief = cluster.operations.job_brief("job").await.unwrap();
        assert_eq!((brief.status, brief.is_paused), (JobStatus::Crashed, true));
    }

    #[tokio::test]
    async fn writes_the_epoch_as_it_is() {
        let cluster = paused("alice").await;
        assert_eq!(
            cluster.get("/job/ledger/epoch").await.as_deref(),
            Some(r#"{"later":"shape"}"#)
        );
        let answers = cluster
            .session
            .read(vec![Read::Data("/job/ledger/epoch".into())])
            .await
            .unwrap();
        assert!(
            matches!(&answers[0], Answer::Data(Some((_, stat))) if stat.version == 1),
            "{answers:?}"
        );
    }

    #[tokio::test]
    async fn is_replaced_by_the_newest_word() {
        let cluster = paused("alice").await;
        let note = cluster.operations.note(Some("bob"), None);
        cluster
            .operations
            .disable(&Target::job("job"), Some(note))
            .await
            .unwrap();
        let brief = cluster.operations.job_brief("job").await.unwrap();
        assert_eq!(brief.pause.and_then(|note| note.by).as_deref(), Some("bob"));
        let switched = cluster.operations.enable(&Target::job("job")).await.unwrap();
        assert_eq!(
            (&*switched[0].servers, switched[0].pause),
            (&["b".to_owned()][..], Some(PauseChange::Ended))
        );
        assert_eq!(cluster.get("/job/servers/c").await.as_deref(), Some("DISABLED"));
        assert_eq!(cluster.get("/job/ledger/pause").await, None);
        assert_eq!(cluster.get("/job/ledger/notes/servers/b").await, None);
        assert!(shown(&cluster).await.iter().all(|finding| !finding.contains("paused")));
    }

    #[tokio::test]
    async fn is_not_ended_by_an_operator_that_meant_an_earlier_one() {
        let cluster = paused("alice").await;
        let survey = cluster
            .operations
            .survey("job", crate::operation::survey::Depth::Whole)
            .await
            .unwrap();
        let meant = survey.view.pause.as_ref().unwrap().modified;
        cluster.operations.enable(&Target::job("job")).await.unwrap();
        let note = cluster.operations.note(Some("bob"), None);
        cluster
            .operations
            .disable(&Target::job("job"), Some(note))
            .await
            .unwrap();
        // The answer to the end of alice's was lost, and it is decided once more.
        let survey = cluster
            .operations
            .survey("job", crate::operation::survey::Depth::Whole)
            .await
            .unwrap();
        let error = crate::operation::pause::end(&survey, meant).map(|_| ()).unwrap_err();
        assert!(
            matches!(&error, Error::Paused { note: Some(note), .. } if note.by.as_deref() == Some("bob")),
            "{error}"
        );
    }

    #[tokio::test]
    async fn stays_for_a_server_that_is_switched_on() {
        let cluster = paused("alice").await;
        let switched = cluster
            .operations
            .enable(&Target::job_on_server("job", "c"))
            .await
            .unwrap();
        assert_eq!(switched[0].pause, Some(PauseChange::Stays));
        assert_eq!(cluster.get("/job/servers/c").await.as_deref(), Some("ENABLED"));
        assert!(cluster.get("/job/ledger/pause").await.is_some());
    }

    #[tokio::test]
    async fn holds_although_its_note_cannot_be_read() {
        let cluster = paused("alice").await;
        cluster.put("/job/ledger/pause=a later shape").await;
        assert_eq!(
            shown(&cluster).await[0],
            "it is paused by an unknown operator: nothing of it starts"
        );
        let error = cluster.operations.trigger("job", None).await.unwrap_err();
        assert_eq!(error.to_string(), "job `job` is paused: `enable` ends that");
        cluster.operations.enable(&Target::job("job")).await.unwrap();
        assert_eq!(cluster.get("/job/ledger/pause").await, None);
        assert_eq!(cluster.get("/job/servers/b").await.as_deref(), Some("ENABLED"));
    }

    #[tokio::test]
    async fn switches_a_thousand_servers() {
        let cluster = cluster(&[&format!("/job/config={CONFIG}"), "/job/servers"]).await;
        for server in 0..1_001 {
            cluster.create(&format!("/job/servers/{server}"), "ENABLED").await;
        }
        let note = cluster.operations.note(Some("张伟"), Some(&"月末冻结".repeat(85)));
        let target = Target::job("job");
        let switched = cluster.operations.disable(&target, Some(note)).await.unwrap();
        assert_eq!(
            (switched[0].servers.len(), switched[0].pause),
            (1_001, Some(PauseChange::BegunUnkept))
        );
        assert_eq!(
            cluster.operations.enable(&target).await.unwrap()[0].servers.len(),
            1_001
        );
        let servers = cluster.operations.job("job").await.unwrap().servers;
        assert!(servers.iter().all(|server| server.switch == ServerSwitch::Enabled));
        let note = cluster.operations.note(None, Some(&"月".repeat(342)));
        let error = cluster.operations.disable(&target, Some(note)).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the operator's name or the reason has 1026 bytes, the limit is 1024"
        );
    }

    #[tokio::test]
    async fn goes_with_its_job() {
        let cluster = paused("alice").await;
        for node in [
            "/job/instances/a@-@1",
            "/job/instances/b@-@2",
            "/job/ledger/members/a@-@1",
        ] {
            cluster.delete(node).await;
        }
        cluster.operations.remove_job("job").await.unwrap();
        assert_eq!(cluster.get("/job/ledger/pause").await, None);
        let error = cluster.operations.disable(&Target::job("job"), None).await.unwrap_err();
        assert_eq!(error.to_string(), "there is no job `job` in the registry");
    }
}

#[tokio::test]
async fn a_server_should_be_switched_in_all_its_jobs_and_no_other() {
    let cluster = cluster(&[
        &format!("/one/config={}", CONFIG.replace("job\n", "one\n")),
        "/one/servers/a=ENABLED",
        "/one/servers/b=ENABLED",
        "/two/servers/a=ENABLED",
        "/three/servers/b=ENABLED",
        "/one/instances/a@-@1",
        "/one/instances/a2@-@1",
    ])
    .await;
    let operations = &cluster.operations;
    let switched = operations.disable(&Target::server("a"), None).await.unwrap();
    let jobs: Vec<_> = switched.iter().map(|switched| switched.job_name.as_str()).collect();
    assert_eq!(jobs, ["one", "two"]);
    for (path, expected) in [
        ("/one/servers/a", "DISABLED"),
        ("/two/servers/a", "DISABLED"),
        ("/one/servers/b", "ENABLED"),
        ("/three/servers/b", "ENABLED"),
    ] {
        assert_eq!(cluster.get(path).await.as_deref(), Some(expected), "{path}");
    }
    let on_server = operations.jobs_on_server("a").await.unwrap();
    let shown: Vec<_> = on_server
        .iter()
        .map(|job| (job.job_name.as_str(), job.status, job.instance_count))
        .collect();
    assert_eq!(
        shown,
        [("one", JobStatus::Disabled, 1), ("two", JobStatus::Disabled, 0)]
    );

    operations.remove(&Target::server("a")).await.unwrap();
    assert_eq!(cluster.get("/one/servers/a").await, None);
    assert_eq!(cluster.get("/one/instances/a@-@1").await, None);
    assert!(cluster.get("/one/instances/a2@-@1").await.is_some(), "another server");
    let error = operations.enable(&Target::server("a")).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no server `a`");
    let error = operations.enable(&Target::job_on_server("one", "c")).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no server `c` of job `one`");
}

#[tokio::test]
async fn a_configuration_should_be_changed_in_the_version_that_was_seen_and_keep_what_is_others() {
    let extra = "jobExtraConfigurations:\n- !!org.example.Tracing\n  url: jdbc\n";
    let cluster = cluster(&[&format!("/job/config={CONFIG}{extra}")]).await;
    let operations = &cluster.operations;
    let stored = operations.configuration("job").await.unwrap().unwrap();
    let config = stored.config.unwrap();
    let changed = config.with_settings([("cron", Some("0 0 2 * * ?"))]).unwrap();
    let version = operations
        .update_configuration("job", &changed, stored.version)
        .await
        .unwrap();
    assert_eq!(version, stored.version + 1);
    let text = cluster.get("/job/config").await.unwrap();
    assert!(
        text.contains("cron: 0 0 2 * * ?") && text.contains("!!org.example.Tracing"),
        "{text}"
    );

    let again = operations
        .update_configuration("job", &changed, stored.version)
        .await
        .unwrap();
    assert_eq!(again, version, "it is so already");
    let other = config.with_settings([("cron", Some("0 0 3 * * ?"))]).unwrap();
    let error = operations
        .update_configuration("job", &other, stored.version)
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Changed { found, .. } if found == version),
        "{error}"
    );

    let heavy = config.to_builder().description("订".repeat(400_000)).build().unwrap();
    let error = operations
        .update_configuration("job", &heavy, version)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unreadable { .. }), "{error}");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("at most 1048576 are read"), "{source}");
    assert_eq!(cluster.get("/job/config").await.unwrap(), text, "nothing was written");

    let foreign = JobConfig::builder("other").sharding_total_count(1).build().unwrap();
    let error = operations
        .update_configuration("job", &foreign, version)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the configuration is that of job `other`, not of `job`"
    );
}

mod settings {
    //! Changes of single settings.

    use super::*;

    /// The configuration in the registry once these settings are changed.
    async fn set(stored: &str, changes: &[(&str, Option<&str>)]) -> Result<String, String> {
        let cluster = cluster(&[&format!("/job/config={stored}")]).await;
        let operations = &cluster.operations;
        let stored = operations.configuration("job").await.unwrap().unwrap();
        let text = |error: Error| error.chain().to_string();
        let changed = stored.with_settings(changes.iter().copied()).map_err(text)?;
        let version = operations.update_configuration("job", &changed, stored.version).await;
        assert_eq!(version.map_err(text)?, stored.version + 1);
        Ok(cluster.get("/job/config").await.unwrap())
    }

    #[tokio::test]
    async fn are_taken_as_files_spell_them() {
        let changes = [
            ("timeout", Some("3s")),
            ("retry", Some("2")),
            ("retry-backoff", Some("500ms")),
            ("streaming", Some("true")),
            ("max-time-diff", Some("1m 30s")),
            ("reconcile-interval", Some("1h")),
            ("job-executor-thread-pool-size-provider-type", Some("SINGLE_THREAD")),
            ("SHARDING_TOTAL_COUNT", Some("4")),
            ("misfire", Some("off")),
        ];
        let text = set(CONFIG, &changes).await.unwrap();
        for line in [
            "  elasticjob.timeout: 3s\n",
            "  elasticjob.retry: '2'\n",
            "  elasticjob.retry.backoff: 500ms\n",
            "  streaming.process: 'true'\n",
            "maxTimeDiffSeconds: 90\n",
            "reconcileIntervalMinutes: 60\n",
            "jobExecutorServiceHandlerType: SINGLE_THREAD\n",
            "shardingTotalCount: 4\n",
            "misfire: false\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        let unset = set(&text, &[("timeout", None), ("retry", None)]).await.unwrap();
        assert!(
            !unset.contains("elasticjob.timeout") && unset.contains("elasticjob.retry.backoff"),
            "{unset}"
        );
    }

    #[tokio::test]
    async fn that_no_member_could_run_by_are_refused_before_anything_is_written() {
        for (changes, expected) in [
            ([("timeout", Some("soon"))], "`props.elasticjob.timeout` is `soon`"),
            ([("retry", Some("9999"))], "a whole number from 0 to 1000"),
            (
                [("props.elasticjob.failover-attempts", Some("0"))],
                "elasticjob.failover-attempts",
            ),
            (
                [("reconcile-interval", Some("90s"))],
                "the registry holds whole minutes",
            ),
            ([("max-time-diff", Some("30"))], "a duration is expected"),
            ([("timeuot", Some("3s"))], "did you mean `timeout`?"),
            ([("elastic-job-class", Some("x"))], "belongs to the application"),
        ] {
            let error = set(CONFIG, &changes).await.unwrap_err();
            assert!(
                error.contains("job `job`") && error.contains(expected),
                "{changes:?}: {error}"
            );
        }
    }

    #[tokio::test]
    async fn repair_a_configuration_that_no_job_can_run_by() {
        let broken = "jobName: job\ncron: 61 * * * * ?\nshardingTotalCount: 2\nowner: 组长\n";
        let text = set(broken, &[("cron", Some("0 0 2 * * ?"))]).await.unwrap();
        assert!(
            text.contains("cron: 0 0 2 * * ?") && text.contains("owner: 组长"),
            "{text}"
        );
        let worse = broken.replace(": 2", ": many");
        let error = set(&worse, &[("cron", Some("0 0 2 * * ?"))]).await.unwrap_err();
        assert!(
            error.contains("many") && !error.contains("61") && error.matches("shardingTotalCount").count() == 1,
            "what is still wrong, once: {error}"
        );
        let both = [("cron", None), ("sharding-total-count", Some("3"))];
        let text = set(&worse, &both).await.unwrap();
        assert!(
            text.contains("shardingTotalCount: 3") && !text.contains("cron"),
            "{text}"
        );
        for (stored, key, value, line) in [
            (
                "jobName: job\nshardingTotalCount: 2\nmisfire: perhaps\n",
                "misfire",
                "on",
                "misfire: true\n",
            ),
            (
                "jobName: job\nshardingTotalCount: 2\njobListenerTypes: {a: b}\n",
                "job-listener-types",
                "",
                "shardingTotalCount: 2\n",
            ),
            (
                "jobName: job\nshardingTotalCount: 2\njobExecutorThreadPoolSizeProviderType: [a]\n",
                "job-executor-service-handler-type",
                "CPU",
                "PoolSizeProviderType: CPU\n",
            ),
            (
                "jobName: job\nshardingTotalCount: 2\nprops:\n  elasticjob.time-zone: [a]\n",
                "time-zone",
                "Asia/Shanghai",
                "elasticjob.time-zone: Asia/Shanghai\n",
            ),
            (
                "jobName: job\nshardingTotalCount: 2\nprops:\n  批: {a: b}\n",
                "props.批",
                "7",
                "批: '7'\n",
            ),
            ("shardingTotalCount: 2\n", "failover", "true", "jobName: job\n"),
            (
                "jobName: other\nshardingTotalCount: 2\n",
                "failover",
                "true",
                "jobName: job\n",
            ),
        ] {
            let text = set(stored, &[(key, Some(value))]).await.expect(stored);
            assert!(text.contains(line), "{stored}: {text}");
        }
        let error = set("{", &both).await.unwrap_err();
        assert!(error.contains("not YAML"), "{error}");
    }

    #[tokio::test]
    async fn are_shown_beside_what_could_not_be_used() {
        let broken = "jobName: job\ncron: 61 * * * * ?\nshardingTotalCount: many\nprops: {sink.password: tiger}\n";
        let cluster = cluster(&[&format!("/job/config={broken}")]).await;
        let stored = cluster.operations.configuration("job").await.unwrap().unwrap();
        let settings = [("cron", Some("0 0 2 * * ?")), ("sharding-total-count", Some("3"))];
        let changes = stored.changes(&stored.with_settings(settings).unwrap());
        let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
        let expected = ["cron: 61 * * * * ? -> 0 0 2 * * ?", "shardingTotalCount: many -> 3"];
        assert_eq!(changes, expected);
    }
}

#[tokio::test]
async fn a_job_should_be_removed_whole_and_not_while_it_is_served() {
    let cluster = cluster(&[
        &format!("/job/config={CONFIG}"),
        "/job/instances/a@-@1",
        "/job/ledger/members/a@-@1={}",
        "/job/servers/a=ENABLED",
        "/job/foreign/node/deep/down=x",
        "/job2/config=x",
    ])
    .await;
    let operations = &cluster.operations;
    let error = operations.remove_job("job").await.unwrap_err();
    assert!(matches!(error, Error::Running { .. }), "{error}");
    let shut = operations.shut_down(&Target::job("job")).await.unwrap();
    assert_eq!(shut[0].servers, ["a"]);
    assert_eq!(cluster.get("/job/instances/a@-@1").await, None);
    let error = operations.remove_job("job").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "job `job` is served by a@-@1: shut it down first, and let them end their runs",
        "it is a member until its last run is recorded"
    );
    cluster.delete("/job/ledger/members/a@-@1").await;
    assert_eq!(operations.remove_job("job").await.unwrap(), 11);
    assert_eq!(cluster.get("/job").await, None);
    assert!(cluster.get("/job2/config").await.is_some());
    let error = operations.remove_job("job").await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[tokio::test]
async fn what_is_stale_should_be_removed_and_nothing_else() {
    let cluster = cluster(&[
        &format!("/job/config={CONFIG}"),
        "/job/instances/a@-@1",
        "/job/servers/a=ENABLED",
        "/job/servers/gone=ENABLED",
        "/job/servers/off=DISABLED",
        "/job/trigger/a@-@1",
        "/job/trigger/b@-@1",
        "/job/sharding/0/instance=a@-@1",
        "/job/sharding/0/running=a@-@1",
        "/job/sharding/1/running=dead@-@1",
        "/job/sharding/2/instance=dead@-@1",
        "/job/sharding/3/running=a@-@1",
        "/job/leader/failover/items/1",
        "/job/leader/failover/items/7",
        "/job/ledger/notes/servers/a={\"at\":\"2026-01-01T00:00:00Z\"}",
        "/job/ledger/items/1={\"run\":{\"id\":\"r\",\"due\":0,\"attempt\":1,\"owner\":\"dead@-@1\",\"source\":\"schedule\"}}",
    ])
    .await;
    let expected = [
        "/leader/failover/items/7",
        "/ledger/notes/servers/a",
        "/servers/gone",
        "/sharding/1/running",
        "/sharding/2",
        "/sharding/2/instance",
        "/trigger/b@-@1",
    ];
    let operations = &cluster.operations;
    assert_eq!(operations.stale("job").await.unwrap(), expected);
    assert_eq!(operations.remove_stale("job").await.unwrap(), expected);
    assert_eq!(operations.stale("job").await.unwrap(), [""; 0]);
    for path in expected {
        assert_eq!(cluster.get(&format!("/job{path}")).await, None, "{path}");
    }
    let items = operations.items("job").await.unwrap();
    let run = items[1].run.as_ref().unwrap();
    assert_eq!(run.verdict, Some(Verdict::Lost), "the ledger says so");
}

#[tokio::test]
async fn every_obstacle_should_be_explained() {
    let cluster = cluster(&[
        &format!("/job/config={}misfire: false\n", CONFIG.replace(": 2", ": 8")),
        "/job/instances/a@-@1",
        "/job/instances/b@-@1",
        "/job/servers/a=ENABLED",
        "/job/servers/b=DISABLED",
        "/job/leader/sharding/necessary",
        "/job/trigger/a@-@1",
        "/job/ledger/epoch={\"instances\":[],\"total\":8,\"strategy\":\"LABEL\",\"left_out\":[7]}",
        "/job/ledger/members/a@-@1={\"draining\":true,\"hindrances\":[\"claim items: the request is too large\"],\
         \"differences\":\"cron is x in the registry, y here\"}",
        "/job/ledger/members/b@-@1={\"differences\":\"cron is x in the registry, y here\"}",
        "/job/sharding/1/instance=gone@-@1",
        "/job/sharding/2/instance=b@-@1",
        "/job/sharding/3/instance=a@-@1",
        "/job/sharding/3/running=gone@-@1",
        "/job/sharding/4/instance=a@-@1",
        "/job/sharding/4/running=a@-@1",
        "/job/sharding/5/instance=a@-@1",
        "/job/sharding/5/disabled",
        "/job/sharding/6/instance=a@-@1",
        "/job/ledger/items/6={\"run\":{\"id\":\"r\",\"due\":0,\"attempt\":3,\"owner\":\"a@-@1\",\"source\":\"failover\",\
         \"end\":{\"verdict\":\"lost\",\"cause\":\"parked: its instances died in a row\"}},\
         \"skipped\":{\"after\":0,\"before\":5000,\"count\":4,\"reason\":\"no instance ran the item\"}}",
    ])
    .await;
    let explained = cluster.operations.explain("job").await.unwrap();
    let is = |found: &[Finding], wanted: &dyn Fn(&Finding) -> bool| found.iter().any(wanted);
    let of_job = &explained.findings;
    assert!(
        matches!(of_job[0], Finding::Resharding { is_under_way: false }),
        "{of_job:?}"
    );
    assert!(is(
        of_job,
        &|found| matches!(found, Finding::ServerDisabled { server, note: None } if server == "b")
    ));
    assert!(is(of_job, &|found| matches!(
        found,
        Finding::TriggerWaits { is_present: true, .. }
    )));
    assert!(is(of_job, &|found| matches!(found, Finding::Draining { .. })));
    assert!(is(of_job, &|found| found.is_obstacle()
        && found.to_string()
            == "a@-@1 cannot claim items: the request is too large"));
    assert!(is(of_job, &|found| !found.is_obstacle()
        && found.to_string()
            == "the registry's configuration is in force, and differs from that of the application of a@-@1, b@-@1: cron is x in the \
                registry, y here"));
    assert!(is(of_job, &|found| matches!(found, Finding::MisfireOff)));
    assert!(is(of_job, &|found| matches!(found, Finding::MonitorExecutionOff)));
    assert!(is(of_job, &|found| matches!(found, Finding::NoLeader)));
    let first = |item: usize| &explained.items[item].findings[0];
    assert!(matches!(first(0), Finding::NoOwner), "{:?}", first(0));
    assert!(matches!(first(1), Finding::OwnerGone { .. }), "{:?}", first(1));
    assert!(matches!(first(2), Finding::OwnerDisabled { .. }), "{:?}", first(2));
    assert!(matches!(first(3), Finding::DeadMark { .. }), "{:?}", first(3));
    assert!(
        matches!(first(4), Finding::Running { on: Some(_), .. }),
        "{:?}",
        first(4)
    );
    assert!(
        matches!(first(5), Finding::ItemDisabled { note: None }),
        "{:?}",
        first(5)
    );
    assert!(matches!(first(7), Finding::Unassigned), "{:?}", first(7));
    let parked = &explained.items[6].findings;
    assert!(
        matches!(&parked[..], [Finding::Parked { .. }, Finding::Skipped { .. }]),
        "it waits for no time while nothing of the job starts: {parked:?}"
    );
}

mod triggers_on_a_server {
    //! Runs that the instances of one server are asked for.

    use std::time::Duration;

    use super::*;

    /// A job on two servers: one instance of ours and one of Java on `a`, one on `b`.
    async fn shared() -> Cluster {
        cluster(&[
            &format!("/job/config={}", CONFIG.replace(": 2", ": 4")),
            "/job/servers/a=ENABLED",
            "/job/servers/b=ENABLED",
            "/job/servers/c=ENABLED",
            "/job/instances/a@-@1",
            "/job/instances/a@-@2",
            "/job/instances/b@-@1",
            "/job/ledger/members/a@-@1={}",
            "/job/ledger/members/b@-@1={}",
            "/job/sharding/0/instance=a@-@1",
            "/job/sharding/1/instance=b@-@1",
            "/job/sharding/2/instance=a@-@2",
            r#"/job/trigger/b@-@1=[{"requests":["earlier"]}]"#,
            "/job/trigger/gone@-@1",
        ])
        .await
    }

    #[tokio::test]
    async fn ask_its_instances_and_no_others() {
        let cluster = shared().await;
        let requested = cluster.operations.trigger_on("job", "a", Some("五月")).await.unwrap();
        assert_eq!(requested.instances, ["a@-@1", "a@-@2"]);
        let order = cluster.get("/job/trigger/a@-@1").await.unwrap();
        assert!(order.contains(&requested.request) && order.contains("五月"), "{order}");
        assert_eq!(
            cluster.get("/job/trigger/a@-@2").await.as_deref(),
            Some(""),
            "a Java member"
        );
        let other = cluster.get("/job/trigger/b@-@1").await.unwrap();
        assert_eq!(other, r#"[{"requests":["earlier"]}]"#);
        let run = cluster.operations.outcome(&requested, Duration::ZERO).await.unwrap();
        let items: Vec<u32> = run.items.keys().copied().collect();
        assert_eq!(items, [0, 2, 3], "item 3, which nobody has yet, may come to it");
        assert_eq!(run.items[&2], crate::starter::ItemOutcome::Unknown);
        assert!(!run.is_over());
    }

    #[tokio::test]
    async fn count_an_item_that_has_moved_since() {
        let cluster = shared().await;
        cluster.put("/job/sharding/3/instance=b@-@1").await;
        let requested = cluster.operations.trigger_on("job", "a", None).await.unwrap();
        let request = &requested.request;
        let answered = format!(r#"{{"answered":{{"requests":["{request}"],"end":{{"verdict":"succeeded"}}}}}}"#);
        cluster.put(&format!("/job/ledger/items/0={answered}")).await;
        cluster.put("/job/sharding/0/instance=b@-@1").await;
        cluster.put("/job/sharding/2/instance=b@-@1").await;
        let run = cluster.operations.outcome(&requested, Duration::ZERO).await.unwrap();
        assert_eq!(run.items.keys().copied().collect::<Vec<_>>(), [0]);
        assert!(run.is_over() && run.is_success(), "{run:?}");
        let none = cluster.operations.trigger_on("job", "a", None).await.unwrap();
        let none = cluster.operations.outcome(&none, Duration::ZERO).await.unwrap();
        assert!(none.is_over() && !none.is_success(), "no item has run: {none:?}");
    }

    #[tokio::test]
    async fn are_refused_if_nobody_is_there() {
        let cluster = shared().await;
        let error = cluster.operations.trigger_on("job", "c", None).await.unwrap_err();
        assert_eq!(error.to_string(), "job `job` has no instance on server `c`");
        assert!(error.is_retryable());
        // A server is known by its whole address.
        let error = cluster.operations.trigger_on("job", "", None).await.unwrap_err();
        assert_eq!(error.to_string(), "there is no server `` of job `job`");
        assert!(error.is_not_found());
        assert!(
            cluster.get("/job/trigger/gone@-@1").await.is_some(),
            "nothing was written"
        );
    }
}

mod obstacles {
    //! What holds up a run that was asked for.

    use std::time::Duration;

    use super::*;

    /// A job that `a` serves alone, and a run that was asked for.
    async fn asked() -> (Cluster, Requested) {
        let cluster = cluster(&[
            &format!(
                "/job/config={}",
                CONFIG
                    .replace(": 2", ": 4")
                    .replace("0/5 * * * * ?", "0 0 0 1 1 ? 1999")
            ),
            "/job/instances/a@-@1",
            "/job/servers/a=ENABLED",
            "/job/leader/election/instance=a@-@1",
            "/job/ledger/members/a@-@1={}",
            "/job/sharding/0/instance=a@-@1",
            "/job/sharding/1/instance=a@-@1",
            "/job/sharding/2/instance=a@-@1",
            "/job/sharding/3/instance=a@-@1",
        ])
        .await;
        let requested = cluster.operations.trigger("job", None).await.unwrap();
        (cluster, requested)
    }

    /// What is said of it at this moment.
    async fn said(cluster: &Cluster, requested: &Requested) -> Vec<(String, Vec<u32>)> {
        let run = cluster.operations.outcome(requested, Duration::ZERO).await.unwrap();
        let obstacles = run.obstacles.into_iter();
        obstacles
            .map(|obstacle| (obstacle.finding.to_string(), obstacle.items))
            .collect()
    }

    #[tokio::test]
    async fn are_none_although_the_schedule_never_fires() {
        let (cluster, requested) = asked().await;
        assert_eq!(said(&cluster, &requested).await, []);
    }

    #[tokio::test]
    async fn of_the_whole_job_come_alone_and_name_the_operator() {
        let (cluster, requested) = asked().await;
        let note = cluster.operations.note(Some("张伟"), Some("月末冻结"));
        let target = Target::job_on_server("job", "a");
        cluster.operations.disable(&target, Some(note)).await.unwrap();
        cluster.put("/job/sharding/1/instance=gone@-@1").await;
        let off = said(&cluster, &requested).await;
        assert_eq!(off.len(), 2, "{off:?}");
        assert_eq!(off[0].0, "all servers that have instances are switched off");
        assert!(off[1].0.ends_with(" by 张伟: 月末冻结"), "{off:?}");
        cluster.operations.disable(&Target::job("job"), None).await.unwrap();
        let paused = said(&cluster, &requested).await;
        assert!(paused[0].0.starts_with("it is paused"), "{paused:?}");
        cluster.operations.enable(&Target::job("job")).await.unwrap();
        cluster.delete("/job/instances/a@-@1").await;
        assert_eq!(said(&cluster, &requested).await[0].0, "no instance serves it");
    }

    #[tokio::test]
    async fn of_items_are_said_together_and_only_while_these_have_not_ended() {
        let (cluster, requested) = asked().await;
        let run = |id: &str, request: &str| {
            format!(
                r#"{{"run":{{"id":"{id}","due":0,"attempt":1,"owner":"a@-@1","source":"trigger","requests":["{request}"]}}}}"#
            )
        };
        cluster.put("/job/sharding/1/running=a@-@1").await;
        cluster
            .put(&format!("/job/ledger/items/1={}", run("r1", "another")))
            .await;
        cluster.put("/job/sharding/2/running=a@-@1").await;
        cluster
            .put(&format!("/job/ledger/items/2={}", run("r2", "a third")))
            .await;
        cluster.put("/job/sharding/3/running=a@-@1").await;
        cluster
            .put(&format!("/job/ledger/items/3={}", run("r3", &requested.request)))
            .await;
        cluster.put("/job/sharding/0/instance=gone@-@1").await;
        assert_eq!(
            said(&cluster, &requested).await,
            [
                ("it was given to gone@-@1, which is gone".to_owned(), vec![0]),
                ("it runs on a@-@1".to_owned(), vec![1, 2]),
            ],
            "what was asked for holds nothing up"
        );
        let answered = format!(
            r#"{{"answered":{{"requests":["{}"],"end":{{"verdict":"succeeded"}}}}}}"#,
            requested.request
        );
        for item in [1, 2] {
            cluster.delete(&format!("/job/sharding/{item}/running")).await;
            cluster.put(&format!("/job/ledger/items/{item}={answered}")).await;
        }
        cluster.delete("/job/sharding/0/instance").await;
        cluster.put("/job/sharding/0/disabled").await;
        assert_eq!(
            said(&cluster, &requested).await,
            [],
            "an item that is switched off is skipped"
        );
    }

    #[tokio::test]
    async fn are_told_while_the_run_is_followed() {
        let (cluster, requested) = asked().await;
        cluster.put("/job/servers/a=DISABLED").await;
        let (seen, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let follow = cluster.operations.follow(&requested, Duration::from_secs(600), |run| {
            seen.send(run.obstacles.len()).unwrap();
        });
        let end = async {
            assert_eq!(heard.recv().await, Some(2));
            cluster.put("/job/servers/a=ENABLED").await;
            while heard.recv().await != Some(0) {}
            let answered = format!(
                r#"{{"answered":{{"requests":["{}"],"end":{{"verdict":"succeeded"}}}}}}"#,
                requested.request
            );
            for item in 0..4 {
                cluster.put(&format!("/job/ledger/items/{item}={answered}")).await;
            }
        };
        let (run, ()) = tokio::join!(follow, end);
        let run = run.unwrap();
        assert!(run.is_success() && run.obstacles.is_empty(), "{run:?}");
    }
}

#[tokio::test]
async fn an_order_that_nobody_can_take_should_be_refused() {
    let cluster = cluster(&[&format!("/job/config={CONFIG}")]).await;
    let operations = &cluster.operations;
    let error = operations.trigger("job", None).await.unwrap_err();
    assert_eq!(error.to_string(), "job `job` has no instance that could run it");
    assert!(error.is_retryable());
    cluster.put("/job/instances/a@-@1").await;
    let error = operations.trigger("job", Some(&"x".repeat(2000))).await.unwrap_err();
    assert!(matches!(error, Error::ParameterTooLong { .. }), "{error}");
    let requested = operations.trigger("job", Some("x")).await.unwrap();
    assert_eq!(requested.instances, ["a@-@1"]);
    assert_eq!(
        cluster.get("/job/trigger/a@-@1").await.as_deref(),
        Some(""),
        "Java writes nothing into it"
    );
    for odd in ["", "no/such", "none"] {
        assert!(operations.trigger(odd, None).await.unwrap_err().is_not_found(), "{odd}");
    }
}

#[tokio::test]
async fn only_an_instance_of_ours_should_be_drained() {
    let cluster = cluster(&[
        &format!("/job/config={CONFIG}"),
        "/job/instances/a@-@1",
        "/job/instances/b@-@1",
        "/job/ledger/members/a@-@1={\"labels\":[\"gpu\"]}",
        "/job/leader/election/instance=b@-@1",
    ])
    .await;
    let operations = &cluster.operations;
    let drained = operations.drain("a@-@1").await.unwrap();
    assert!(!drained[0].is_effective, "a Java member leads");
    let instances = operations.job("job").await.unwrap().instances;
    assert_eq!(
        instances
            .iter()
            .map(|instance| instance.is_draining)
            .collect::<Vec<_>>(),
        [true, false]
    );
    operations.undrain("a@-@1").await.unwrap();
    let member = cluster.get("/job/ledger/members/a@-@1").await;
    assert_eq!(member.as_deref(), Some(r#"{"draining":false,"labels":["gpu"]}"#));
    assert!(!operations.job("job").await.unwrap().instances[0].is_draining);
    assert!(matches!(operations.drain("b@-@1").await, Err(Error::NotOurs { .. })));
    assert!(matches!(
        operations.drain("c@-@1").await,
        Err(Error::NoSuchInstance { .. })
    ));
}

#[tokio::test]
async fn a_lost_session_should_be_followed_by_the_next() {
    let cluster = cluster(&[&format!("/job/config={CONFIG}")]).await;
    assert_eq!(cluster.operations.jobs().await.unwrap().jobs.len(), 1);
    cluster.operations.close().await;
    assert_eq!(cluster.operations.jobs().await.unwrap().jobs.len(), 1);
}

mod session {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::registry::{self, BoxFuture};

    /// Counts the sessions that were opened.
    #[derive(Debug)]
    struct Counting {
        registry: MemoryRegistry,
        sessions: AtomicUsize,
    }

    impl Registry for Counting {
        fn connect(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, registry::Error>> {
            self.sessions.fetch_add(1, Ordering::Relaxed);
            Box::pin(async {
                tokio::task::yield_now().await;
                self.registry.connect().await
            })
        }

        fn describe(&self) -> String {
            self.registry.describe()
        }
    }

    #[tokio::test]
    async fn is_shared_by_calls_that_come_at_once() {
        let counting = Arc::new(Counting {
            registry: MemoryRegistry::new(),
            sessions: AtomicUsize::new(0),
        });
        let operations = Operations::new(counting.clone());
        let calls = futures_util::future::join_all((0..10).map(|_| operations.jobs())).await;
        assert!(calls.iter().all(Result::is_ok));
        assert_eq!(counting.sessions.load(Ordering::Relaxed), 1);
    }
}
