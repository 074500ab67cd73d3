//! A shell script as a sharded job: all of it stands in `application.yaml`.

use std::io::IsTerminal as _;

use elasticjob::prelude::*;

#[tokio::main]
async fn main() -> elasticjob::Result<()> {
    tracing_subscriber::fmt()
        .with_ansi(std::io::stdout().is_terminal())
        .compact()
        .without_time()
        .with_target(false)
        .init();
    ElasticJob::builder()
        .directory(env!("CARGO_MANIFEST_DIR"))
        // Where the script lies; in an application of yours this is a line of the file, too.
        .set(
            "jobs.disk_usage.props.script.working-directory",
            env!("CARGO_MANIFEST_DIR"),
        )
        .build()?
        .run()
        .await
}
