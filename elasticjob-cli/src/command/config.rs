use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use elasticjob::configuration::job::JobConfig;
use elasticjob::configuration::text;
use elasticjob::operation::{Error, Operations, StoredConfiguration};

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output::{ChangeReport, SettingsReport, print};

/// Show or change the configuration of a job in the registry centre
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Show the settings
    Get {
        /// The job
        job: String,

        /// Print the text as it is in the registry centre, with secrets, for `diff` and `set --from`
        #[arg(long)]
        yaml: bool,
    },
    /// Change settings; all members apply them at once
    Set {
        /// The job
        job: String,

        /// Settings and values as `application.yaml` or the registry spells them, such as `cron='0/10 * * * * ?'`,
        /// `sharding-total-count=4`, `timeout=3s`, `props.batch=100`. An invalid configuration is repaired
        #[arg(value_name = "SETTING=VALUE", value_parser = assignment)]
        settings: Vec<(String, String)>,

        /// A setting to reset to its default, or a property to remove
        #[arg(long, value_name = "SETTING")]
        unset: Vec<String>,

        /// Take all settings from this file, as `get --yaml` writes it
        #[arg(long = "from", value_name = "PATH", conflicts_with_all = ["settings", "unset"])]
        from: Option<PathBuf>,

        /// Refuse the change unless the configuration has this version
        #[arg(long, value_name = "VERSION")]
        expect: Option<i32>,

        /// Only show what would change
        #[arg(long)]
        dry_run: bool,
    },
    /// Compare the configuration in the registry centre with a file, as `get --yaml` writes it
    Diff {
        /// The job
        job: String,

        /// The file
        path: PathBuf,
    },
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        let operations = context.operations()?;
        match self.command {
            Command::Get { job, yaml } => get(context, operations, &job, yaml).await,
            Command::Diff { job, path } => {
                let stored = operations.configuration(&job).await?.ok_or_else(|| missing(&job))?;
                let report = report(&stored, &of_file(&path)?, true);
                context.show(&report)?;
                Ok(if report.changes.is_empty() {
                    Outcome::Done
                } else {
                    Outcome::No
                })
            }
            Command::Set {
                job,
                settings,
                unset,
                from,
                expect,
                dry_run,
            } => {
                let stored = operations.configuration(&job).await?.ok_or_else(|| missing(&job))?;
                let after = match from {
                    // Also over an invalid configuration: this repairs it.
                    Some(path) => of_file(&path)?,
                    None => changed(&stored, &settings, &unset)?,
                };
                let mut report = report(&stored, &after, dry_run);
                let expected = expect.unwrap_or(stored.version);
                if dry_run && expected != stored.version {
                    let found = stored.version;
                    return Err(Error::Changed { job, expected, found }.into());
                }
                if !dry_run {
                    report.version = operations.update_configuration(&job, &after, expected).await?;
                }
                context.show(&report)?;
                Ok(Outcome::Done)
            }
        }
    }
}

async fn get(context: &Context, operations: &Operations, job: &str, yaml: bool) -> Result<Outcome, Failure> {
    if yaml {
        let stored = operations.configuration(job).await?;
        print(&stored.ok_or_else(|| missing(job))?.text)?;
    } else {
        let stored = operations.configuration(job).await?.ok_or_else(|| missing(job))?;
        context.show(&SettingsReport::new(&stored, &valid(&stored)?))?;
    }
    Ok(Outcome::Done)
}

/// What is in the registry, if a job can run by it.
fn valid(stored: &StoredConfiguration) -> Result<JobConfig, Failure> {
    stored.config.clone().map_err(|source| {
        let job = &stored.job_name;
        Failure::Refused(format!(
            "job `{job}` cannot run by the configuration that the registry holds: {source}\n\
             `elasticjob config get {job} --yaml` shows its text, `elasticjob config set {job} SETTING=VALUE` repairs settings, \
             `elasticjob config set {job} --from PATH` replaces all"
        ))
    })
}

fn changed(
    before: &StoredConfiguration,
    settings: &[(String, String)],
    unset: &[String],
) -> Result<JobConfig, Failure> {
    if settings.is_empty() && unset.is_empty() {
        let message = "nothing to set: SETTING=VALUE, --unset SETTING or --from PATH is expected";
        return Err(Failure::Usage(message.to_owned()));
    }
    let set = settings.iter().map(|(key, value)| (key.as_str(), Some(value.as_str())));
    let changes = set.chain(unset.iter().map(|key| (key.as_str(), None)));
    before.with_settings(changes).map_err(|error| {
        let failure = Failure::from(error);
        match before.config {
            Ok(_) => failure,
            Err(_) => failure.and(format!(
                "`elasticjob config set {} --from PATH` replaces the whole configuration",
                before.job_name
            )),
        }
    })
}

fn of_file(path: &Path) -> Result<JobConfig, Failure> {
    let text = text::read(path, text::LARGEST_STORED).map_err(|source| Failure::File {
        what: format!("cannot read {}", path.display()),
        source,
    })?;
    JobConfig::from_yaml(&text).map_err(|faults| Failure::Refused(faults.to_string()))
}

fn report(stored: &StoredConfiguration, after: &JobConfig, is_trial: bool) -> ChangeReport {
    let changes = stored.changes(after);
    let is_switched = changes.iter().any(|change| change.key == "disabled");
    ChangeReport {
        job_name: stored.job_name.clone(),
        version: stored.version,
        note: is_switched.then(|| about_disabled(&stored.job_name, after.disabled())),
        changes,
        is_trial,
    }
}

/// What `disabled` does: less than its name promises.
fn about_disabled(job: &str, is_disabled: bool) -> String {
    if is_disabled {
        format!(
            "`disabled` switches a server off when a process there first registers the job from now on. Members that are there go \
             on. `elasticjob disable {job}` pauses the job at once, on all servers."
        )
    } else {
        format!(
            "`disabled` counts when a process first registers the job. It switches nothing on that is off: \
             `elasticjob enable {job}` does."
        )
    }
}

fn missing(job: &str) -> Failure {
    Error::NoConfiguration { job: job.to_owned() }.into()
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("SETTING=VALUE is expected".to_owned()),
    }
}
