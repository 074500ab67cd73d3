//! The database of the history: the one that the application records in.

use axum::Json;
use axum::extract::State;
use elasticjob::trace::history::{Database, History};
use serde::{Deserialize, Serialize};

use crate::api::Caller;
use crate::history::Histories;

use super::envelope::{Body, Failure, Model, Reply};

/// The databases of a history, each as Java names its driver and as it is named here.
const DRIVERS: [(&str, &str); 3] = [
    ("com.mysql.cj.jdbc.Driver", "mysql://host/history"),
    ("org.postgresql.Driver", "postgres://host/history"),
    ("org.sqlite.JDBC", "sqlite:history.db"),
];

/// Java's `DataSourceConfiguration`. User and password are never shown.
#[derive(Serialize)]
pub(super) struct DataSource {
    name: String,
    driver: &'static str,
    url: String,
    username: Option<String>,
    password: Option<String>,
    activated: bool,
}

#[derive(Deserialize)]
pub(super) struct Named {
    name: String,
}

impl DataSource {
    fn of(history: &History, activated: bool) -> Self {
        let url = history.database().to_owned();
        let is_of = |example: &str| url.split(':').next() == example.split(':').next();
        let driver = DRIVERS
            .iter()
            .find(|(_, example)| is_of(example))
            .map_or("", |(driver, _)| driver);
        Self {
            name: url.clone(),
            driver,
            url,
            username: None,
            password: None,
            activated,
        }
    }
}

/// Returns the drivers of the databases that this program was built with.
pub(super) async fn drivers(_caller: Caller) -> Reply<Vec<&'static str>> {
    let is_there = |example: &str| {
        example
            .parse::<Database>()
            .is_ok_and(|database| History::open(&database).is_ok())
    };
    let drivers = DRIVERS.iter().filter(|(_, example)| is_there(example));
    Ok(Model(drivers.map(|(driver, _)| *driver).collect()))
}

/// Answers with a bare word, as Java does.
pub(super) async fn activated(_caller: Caller, State(recorded): State<Histories>) -> Json<bool> {
    Json(recorded.all().next().is_some())
}

pub(super) async fn load(_caller: Caller, State(recorded): State<Histories>) -> Reply<Vec<DataSource>> {
    let all = recorded.all().enumerate();
    Ok(Model(
        all.map(|(index, history)| DataSource::of(history, index == 0))
            .collect(),
    ))
}

/// Connects to the database that answers already.
pub(super) async fn connect(
    caller: Caller,
    State(recorded): State<Histories>,
    Body(Named { name }): Body<Named>,
) -> Reply<bool> {
    let first = recorded.all().next();
    if first.is_some_and(|history| history.database() == name) {
        return Ok(Model(true));
    }
    change(caller).await
}

/// Refuses to add, to try and to remove databases.
pub(super) async fn change(_caller: Caller) -> Reply<bool> {
    Err(Failure::refused(
        "this console reads the history of its application, `elasticjob.tracing`, and no other",
    ))
}
