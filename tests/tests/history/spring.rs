//! The data source of the application itself, as the original's manual writes it.

use anyhow::Context as _;
use elasticjob::prelude::*;
use elasticjob::trace::history::RunFilter;

use crate::application::{execute, history, recorded};
use crate::place::Place;

pub(crate) async fn what_spring_names_should_be_recorded_in(place: Place) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let (url, user, password) = jdbc(&place.url).context("a URL")?;
    let file = format!(
        "spring:\n  datasource:\n    url: {url}\n    username: '{user}'\n    password: '{password}'\n    \
         hikari: {{idle-timeout: 1000}}\n    platform: any\nelasticjob:\n  tracing:\n    type: RDB\n"
    );
    std::fs::write(directory.path().join("application.yml"), file)?;
    let application = ElasticJob::builder()
        .without_discovery()
        .environment([])
        .directory(directory.path())
        .job(job("orders", async || ()).sharding(1))
        .build()?
        .start()
        .await?;
    execute(&application, "orders").await?;
    let history = history(&application)?;
    recorded(&history, &RunFilter::default(), |rows| rows.len() == 1).await?;
    let jobs = place.texts("SELECT job_name FROM JOB_EXECUTION_LOG").await?;
    assert_eq!(jobs, ["orders"]);
    application.shutdown(std::time::Duration::from_secs(5)).await;
    Ok(())
}

/// Returns the URL as Java writes it, user and password.
fn jdbc(url: &str) -> Option<(String, String, String)> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Some((format!("jdbc:{url}"), String::new(), String::new()));
    };
    let scheme = if scheme == "postgres" { "postgresql" } else { scheme };
    let (user, address) = rest.rsplit_once('@')?;
    // Encoded there, and as it is in Spring's settings.
    let (user, _) = user.split_once(':')?;
    let password = elasticjob_tests::databases::PASSWORD;
    Some((
        format!("jdbc:{scheme}://{address}"),
        user.to_owned(),
        password.to_owned(),
    ))
}
