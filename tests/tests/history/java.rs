//! The tables as Java members create them, and rows as they write them.

use crate::place::Place;

/// Returns the tables of Java 3.0.3; of 3.0.5, where states have no source.
pub(crate) fn tables(kind: &str, has_source: bool) -> [String; 2] {
    let (auto_id, flag) = match kind {
        "mariadb" => ("auto_id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, ", "INT"),
        "postgres" => ("", "BOOLEAN"),
        _ => ("", "INT"),
    };
    let (key, plain) = match kind {
        "mariadb" => (", UNIQUE KEY (id)", ""),
        _ => (", PRIMARY KEY (id)", ", PRIMARY KEY (id)"),
    };
    let source = if has_source {
        "source VARCHAR(50) NOT NULL, "
    } else {
        ""
    };
    [
        format!(
            "CREATE TABLE JOB_EXECUTION_LOG ({auto_id}id VARCHAR(40) NOT NULL, job_name VARCHAR(100) NOT NULL, \
             task_id VARCHAR(255) NOT NULL, hostname VARCHAR(255) NOT NULL, ip VARCHAR(50) NOT NULL, \
             sharding_item INT NOT NULL, execution_source VARCHAR(20) NOT NULL, failure_cause VARCHAR(4000) NULL, \
             is_success {flag} NOT NULL, start_time TIMESTAMP NULL, complete_time TIMESTAMP NULL{key})"
        ),
        format!(
            "CREATE TABLE JOB_STATUS_TRACE_LOG ({auto_id}id VARCHAR(40) NOT NULL, job_name VARCHAR(100) NOT NULL, \
             original_task_id VARCHAR(255) NOT NULL, task_id VARCHAR(255) NOT NULL, slave_id VARCHAR(50) NOT NULL, \
             {source}execution_type VARCHAR(20) NOT NULL, sharding_item VARCHAR(100) NOT NULL, \
             state VARCHAR(20) NOT NULL, message VARCHAR(4000) NULL, creation_time TIMESTAMP NULL{plain})"
        ),
    ]
}

/// Returns the tables of the manual's page, which people make themselves: less room for causes, more for tasks.
pub(crate) fn tables_of_manual(kind: &str) -> [String; 2] {
    let flag = if kind == "mariadb" { "BIT" } else { "BOOLEAN" };
    [
        format!(
            "CREATE TABLE JOB_EXECUTION_LOG (id VARCHAR(40) NOT NULL PRIMARY KEY, job_name VARCHAR(100) NOT NULL, \
             task_id VARCHAR(1000) NOT NULL, hostname VARCHAR(255) NOT NULL, ip VARCHAR(50) NOT NULL, \
             sharding_item INT NOT NULL, execution_source VARCHAR(20) NOT NULL, failure_cause VARCHAR(2000) NULL, \
             is_success {flag} NOT NULL, start_time TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, \
             complete_time TIMESTAMP NULL)"
        ),
        "CREATE TABLE JOB_STATUS_TRACE_LOG (id VARCHAR(40) NOT NULL PRIMARY KEY, job_name VARCHAR(100) NOT NULL, \
         original_task_id VARCHAR(1000) NOT NULL, task_id VARCHAR(1000) NOT NULL, slave_id VARCHAR(1000) NOT NULL, \
         source VARCHAR(50) NOT NULL, execution_type VARCHAR(20) NOT NULL, sharding_item VARCHAR(255) NOT NULL, \
         state VARCHAR(20) NOT NULL, message VARCHAR(2000) NULL, creation_time TIMESTAMP NULL)"
            .to_owned(),
    ]
}

/// Returns a step of a firing as Java 3.0.5 writes it, which knows no source.
pub(crate) fn status_without_source(id: &str) -> String {
    format!(
        "INSERT INTO JOB_STATUS_TRACE_LOG (id, job_name, original_task_id, task_id, slave_id, execution_type, \
         sharding_item, state, message, creation_time) VALUES ('{id}', 'java', '', 'java@-@0', '10.0.0.7', 'READY', \
         '[0]', 'TASK_STAGING', '', NULL)"
    )
}

/// Runs of Java members, as one statement.
pub(crate) fn insert(rows: &[String]) -> String {
    format!(
        "INSERT INTO JOB_EXECUTION_LOG (id, job_name, task_id, hostname, ip, sharding_item, execution_source, \
         failure_cause, is_success, start_time, complete_time) VALUES {}",
        rows.join(", ")
    )
}

/// Returns a run of a Java member: the number of its item, how many seconds it took, and why it failed, if it did.
pub(crate) fn row(place: &Place, id: &str, item: u32, took: Option<u32>, failure: Option<&str>) -> String {
    let start = i64::from(item) * 60;
    let flag = match (place.kind, took.is_some() && failure.is_none()) {
        ("postgres", is_success) => is_success.to_string(),
        (_, is_success) => u8::from(is_success).to_string(),
    };
    let complete = took.map_or("NULL".to_owned(), |took| moment(place, start + i64::from(took)));
    let failure = failure.map_or("NULL".to_owned(), |failure| format!("'{failure}'"));
    let start = moment(place, start);
    format!(
        "('{id}', 'java', 'java@-@0', 'there', '10.0.0.7', {item}, 'NORMAL_TRIGGER', {failure}, {flag}, {start}, \
         {complete})"
    )
}

/// Returns so many seconds after 2026-01-01 00:00 UTC, as Java's drivers write it: PostgreSQL's as a local time.
fn moment(place: &Place, seconds: i64) -> String {
    const BEGIN: i64 = 1_767_225_600;
    let time = jiff::Timestamp::from_second(BEGIN + seconds).expect("in range");
    match place.kind {
        "postgres" => {
            let local = time.to_zoned(jiff::tz::TimeZone::system()).datetime();
            format!("'{}'", local.strftime("%Y-%m-%d %H:%M:%S"))
        }
        "mariadb" => format!("FROM_UNIXTIME({})", BEGIN + seconds),
        _ => time.as_millisecond().to_string(),
    }
}
