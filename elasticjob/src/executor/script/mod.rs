//! `SCRIPT`: a program of any language runs the items.
//!
//! A job of this type is a section of the configuration, without a line of code:
//!
//! ```
//! # use std::time::Duration;
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! use elasticjob::ElasticJob;
//!
//! // As in application.yaml:
//! let builder = ElasticJob::builder()
//!     .without_discovery()
//!     .set("jobs.tidy-up.elastic-job-type", "SCRIPT")
//!     .set("jobs.tidy-up.sharding-total-count", "2")
//!     .set("jobs.tidy-up.props.script.command.line", "sh -c 'exit $ELASTIC_JOB_SHARDING_ITEM'");
//! let running = builder.build()?.start().await?;
//! let execution = running.one_off_named("tidy-up")?.execute_and_wait(Duration::from_secs(60)).await?;
//! let outcomes: Vec<String> = execution.items.values().map(|outcome| format!("{outcome:?}")).collect();
//! assert_eq!(outcomes, ["Succeeded", r#"Failed { cause: "the script ended with exit status: 1" }"#]);
//! # running.shutdown(Duration::ZERO).await;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Settings
//! They are props of the job. The command line is required.
//!
//! | prop | what it is | default |
//! |---|---|---|
//! | `script.command.line` | the program, looked up in `PATH`, and its first arguments | |
//! | `script.quoting` | how the line is taken apart: as shells do it (`posix`), or as Java members do it (`java`): there an argument that has blanks in it reaches the program with quotes around it | `posix` |
//! | `script.working-directory` | where the program runs | ours |
//! | `script.timeout` | when it is stopped; `0`: never | `0` |
//! | `script.kill-grace` | how long it may take to end once it was asked to, up to `10s` | `5s` |
//! | `script.environment` | what it has of our environment beyond what every program needs: names between commas, `AWS_*` for all that begin so, `*` for all | |
//!
//! # What a script sees
//! Its last argument is the sharding context as JSON, as with Java members: `jobName`, `taskId`, `shardingTotalCount`,
//! `jobParameter`, `shardingItem`, and `shardingParameter` if the item has one.
//!
//! Of our environment it has `PATH`, `HOME`, `USER`, `LOGNAME`, `SHELL`, `HOSTNAME`, `TERM`, `LANG`, `LANGUAGE`, `LC_*`, `TZ`, `TZDIR`,
//! `TMPDIR`, `TMP`, `TEMP`, `SSL_CERT_FILE`, `SSL_CERT_DIR`, and what `script.environment` names. No pattern means our own settings,
//! `ELASTICJOB_*`, which may be passwords: name one in full if a script needs it. This keeps secrets out of what scripts log
//! and start. It is no protection from a script that means harm: that runs as our user. Java members pass on all that they have.
//! Beside that the environment has
//!
//! | variable | |
//! |---|---|
//! | `ELASTIC_JOB_NAME`, `ELASTIC_JOB_TASK_ID`, `ELASTIC_JOB_INSTANCE_ID` | texts |
//! | `ELASTIC_JOB_SHARDING_TOTAL_COUNT`, `ELASTIC_JOB_SHARDING_ITEM` | numbers; items count from 0 |
//! | `ELASTIC_JOB_PARAMETER`, `ELASTIC_JOB_SHARDING_PARAMETER` | texts, empty where there is none |
//! | `ELASTIC_JOB_SCHEDULED_TIME` | the time that the run is for: `2026-03-01T04:00:00Z` |
//! | `ELASTIC_JOB_RUN_ID`, `ELASTIC_JOB_ATTEMPT`, `ELASTIC_JOB_RETRY`, `ELASTIC_JOB_FENCING_TOKEN` | which run this is; see [`ShardingContext`] |
//!
//! Its input is empty. What it says goes into the log line by line, with the job and the item, and into the log of the run that the
//! history keeps; the last lines are also in the cause of a failure. It has succeeded when its exit status is 0.
//!
//! # When it is stopped
//! A run that is cancelled, or takes too long, or is still going on at the end of a shutdown's grace, has the script
//! and all processes in its group asked to end (SIGTERM), and after `script.kill-grace` killed. The item stays claimed until
//! then. When the session with the registry centre can no longer be relied upon they are killed at once.
//!
//! On Linux the script dies with our process, even if that is killed, given `setpriv` of util-linux. Processes that it
//! started do not, nor those that left its group; and nothing stops any of them while our process stands still (SIGSTOP). Data that
//! must not be changed by a run that is over needs a check of the fencing token.

mod environment;
mod output;
mod process;
mod program;
mod settings;
mod words;

use std::ffi::OsString;

use tokio::runtime::Handle;
use tracing::Span;

use self::process::Script;
pub use self::settings::ScriptProperties;
use super::JobExecutor;
use super::context_json::context_json;
use crate::job::{BoxError, RunContext, ShardingContext};

/// Executes jobs of type `SCRIPT`; see the [module](self).
#[derive(Clone, Copy, Debug, Default)]
pub struct ScriptExecutor;

impl ScriptExecutor {
    /// The `elastic-job-type`.
    pub const NAME: &'static str = "SCRIPT";
}

impl JobExecutor for ScriptExecutor {
    type Properties = ScriptProperties;

    async fn execute(&self, run: &RunContext, properties: &ScriptProperties) -> Result<(), BoxError> {
        let ScriptProperties {
            words,
            directory,
            environment: passed,
            limit,
            kill_grace,
        } = properties.clone();
        let passed = passed.of(std::env::vars_os());
        let script = Script {
            words: words.into_iter().chain([context_json(run.sharding())]).collect(),
            directory,
            environment: passed.into_iter().chain(environment(run.sharding())).collect(),
            limit,
            kill_grace,
            cancellation: run.cancellation().clone(),
            fenced: run.fenced(),
            log: run.log().cloned(),
        };
        // As blocking work: this future is dropped when the run is to stop, but the item is not done before the script is.
        // And with a thread that lives as long as the script, which dies with it.
        let (runtime, span) = (Handle::current(), Span::current());
        let ended = run.run_blocking(move || span.in_scope(|| runtime.block_on(script.run())));
        Ok(ended.await??)
    }
}

/// Returns what is said about the run.
fn environment(run: &ShardingContext) -> impl Iterator<Item = (OsString, OsString)> {
    let variables = [
        ("ELASTIC_JOB_NAME", run.job_name().to_owned()),
        ("ELASTIC_JOB_TASK_ID", run.task_id().to_owned()),
        ("ELASTIC_JOB_INSTANCE_ID", run.instance_id().to_owned()),
        (
            "ELASTIC_JOB_SHARDING_TOTAL_COUNT",
            run.sharding_total_count().to_string(),
        ),
        ("ELASTIC_JOB_SHARDING_ITEM", run.sharding_item().to_string()),
        ("ELASTIC_JOB_PARAMETER", run.job_parameter().to_owned()),
        (
            "ELASTIC_JOB_SHARDING_PARAMETER",
            run.sharding_parameter().unwrap_or_default().to_owned(),
        ),
        ("ELASTIC_JOB_SCHEDULED_TIME", run.scheduled_time().to_string()),
        ("ELASTIC_JOB_RUN_ID", run.run_id().to_owned()),
        ("ELASTIC_JOB_ATTEMPT", run.attempt().to_string()),
        ("ELASTIC_JOB_RETRY", run.retry().to_string()),
        ("ELASTIC_JOB_FENCING_TOKEN", run.fencing_token().to_string()),
    ];
    variables.into_iter().map(|(name, value)| (name.into(), value.into()))
}
