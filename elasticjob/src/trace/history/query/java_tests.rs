//! Pages of the Java console over tables with rows as Java members and others write them.

use tempfile::TempDir;

use super::*;

/// A history with these executions and statuses; the directory that it is in.
async fn history() -> (History, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/history.db", directory.path().display());
    let store = Store::new(&url.parse().unwrap(), Access::Write).unwrap();
    store.prepare().await.unwrap();
    let run = |id: &str, job: &str, ip: &str, item: u32, source: &str, success: u8, start: u64| {
        format!(
            "INSERT INTO JOB_EXECUTION_LOG (id, job_name, task_id, hostname, ip, sharding_item, execution_source, failure_cause, \
             is_success, start_time, complete_time) VALUES ('{id}', '{job}', 't', 'h', '{ip}', {item}, '{source}', NULL, {success}, \
             {start}, NULL)"
        )
    };
    let status = |id: &str, job: &str, state: &str, created: u64| {
        format!(
            "INSERT INTO JOB_STATUS_TRACE_LOG (id, job_name, original_task_id, task_id, slave_id, source, execution_type, \
             sharding_item, state, message, creation_time) VALUES ('{id}', '{job}', '', 't', 's', 'LITE_EXECUTOR', 'READY', \
             '[0, 1]', '{state}', 'm', {created})"
        )
    };
    for row in [
        run("a", "备份", "10.0.0.1", 0, "NORMAL_TRIGGER", 1, 1_000),
        run("b", "备份", "10.0.0.2", 1, "FAILOVER", 0, 2_000),
        // A word that no version of Java has does not fail the page.
        run("c", "sync_1", "10.0.0.1", 0, "NEW_WORD", 1, 3_000),
        run("d", "syncX1", "10.0.0.1", 0, "MISFIRE", 0, 3_000),
        status("s", "备份", "TASK_FINISHED", 1_000),
        status("u", "sync_1", "TASK_NEW", 2_000),
    ] {
        store.execute(READING, &Statement::of(row)).await.unwrap();
    }
    (History::of(store), directory)
}

async fn ids(history: &History, filter: &JavaFilter, paging: &JavaPaging) -> (u64, String) {
    let page = history.java_executions(filter, paging).await.unwrap();
    (page.total, page.rows.into_iter().map(|row| row.id).collect())
}

#[tokio::test]
async fn have_a_total_and_the_order_that_is_asked_for() {
    let (history, _directory) = history().await;
    let all = JavaFilter::default();
    let paging = |size, number, sort: &str, is_ascending| JavaPaging {
        size,
        number,
        sort: Some(sort.to_owned()),
        is_ascending,
    };
    for (paging, expected) in [
        (JavaPaging::default(), "dcba"),
        (paging(3, 1, "unknown", true), "dcb"),
        (paging(3, 2, "unknown", true), "a"),
        (paging(3, 9, "unknown", true), ""),
        (paging(0, 0, "startTime", true), "a"),
        (paging(9, 1, "startTime", true), "abcd"),
        (paging(9, 1, "id; DROP TABLE JOB_EXECUTION_LOG", true), "dcba"),
        (paging(9, 1, "source", false), "acdb"),
    ] {
        assert_eq!(
            ids(&history, &all, &paging).await,
            (4, expected.to_owned()),
            "{paging:?}"
        );
    }
}

#[tokio::test]
async fn have_what_is_equal_and_strictly_between() {
    let (history, _directory) = history().await;
    let text = |text: &str| Some(text.to_owned());
    let at = |milliseconds| Some(Timestamp::from_millisecond(milliseconds).unwrap());
    let none = JavaFilter::default;
    for (filter, expected) in [
        (
            JavaFilter {
                job: text("备份"),
                ..none()
            },
            "ba",
        ),
        (
            JavaFilter {
                job: text("' OR 1 = 1 --"),
                ..none()
            },
            "",
        ),
        (
            JavaFilter {
                ip: text("10.0.0.1"),
                ..none()
            },
            "dca",
        ),
        (
            JavaFilter {
                is_success: Some(false),
                ..none()
            },
            "db",
        ),
        (
            JavaFilter {
                after: at(1_000),
                before: at(3_000),
                ..none()
            },
            "b",
        ),
        (
            JavaFilter {
                job: text("备份"),
                is_success: Some(true),
                ..none()
            },
            "a",
        ),
    ] {
        let found = ids(&history, &filter, &JavaPaging::default()).await;
        assert_eq!(found, (expected.len() as u64, expected.to_owned()), "{filter:?}");
    }
    let filter = JavaFilter {
        state: text("TASK_NEW"),
        ..none()
    };
    let page = history.java_statuses(&filter, &JavaPaging::default()).await.unwrap();
    assert_eq!(
        (page.total, &*page.rows[0].id, &*page.rows[0].sharding_items),
        (1, "u", "[0, 1]")
    );
}

#[tokio::test]
async fn are_json_as_java_writes_it() {
    let (history, _directory) = history().await;
    let page = history
        .java_executions(&JavaFilter::default(), &JavaPaging::default())
        .await
        .unwrap();
    let expected = serde_json::json!({
        "id": "c", "hostname": "h", "ip": "10.0.0.1", "taskId": "t", "jobName": "sync_1", "source": "NEW_WORD", "shardingItem": 0,
        "startTime": 3_000, "completeTime": null, "success": true, "failureCause": null,
    });
    assert_eq!(serde_json::to_value(&page.rows[1]).unwrap(), expected);
}

#[tokio::test]
async fn complete_names_to_the_letter() {
    let (history, _directory) = history().await;
    for (of, prefix, expected) in [
        (JavaName::ExecutionJob, "", &["syncX1", "sync_1", "备份"][..]),
        // No sign of a pattern.
        (JavaName::ExecutionJob, "sync_", &["sync_1"]),
        (JavaName::ExecutionJob, "%", &[]),
        (JavaName::ExecutionJob, "备", &["备份"]),
        (JavaName::ExecutionIp, "10.0.0.", &["10.0.0.1", "10.0.0.2"]),
        (JavaName::StatusJob, "s", &["sync_1"]),
    ] {
        assert_eq!(history.java_names(of, prefix, 20).await.unwrap(), expected, "{prefix}");
    }
    assert_eq!(
        history.java_names(JavaName::ExecutionJob, "", 1).await.unwrap().len(),
        1
    );
}
