//! What may be changed. Each change can be tried with `?dryRun=true`.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use elasticjob::configuration::PROVIDED;
use elasticjob::configuration::job::JobConfig;
use elasticjob::operation::{
    CancelReport, Change, Drained, Error, Execution, InstanceReport, JobReport, Requested, Switched, Target,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::Rights;
use crate::api::Caller;
use crate::masks::{self, MASK};

use super::plan::Plan;
use super::problem::{Asked, Body, Named, Problem};

/// Longest time that an answer waits for what a request has begun.
const LONGEST_WAIT: u64 = 600;

/// What a change answers.
pub(super) type Written<T> = Result<Json<Outcome<T>>, Problem>;

/// What was done, or would be.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Outcome<T> {
    Done(T),
    Planned(Plan),
}

/// Whether a change is only tried.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Dry {
    #[serde(default)]
    dry_run: bool,
}

/// A run that is asked for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Trigger {
    /// Given to the run instead of the job's parameter, at most 1 KiB.
    pub(super) parameter: Option<String>,
    /// The server on which alone it runs.
    pub(super) server: Option<String>,
    /// The item that alone is run.
    pub(super) item: Option<u32>,
    /// How long the answer waits for the end of the run, at most 600. Without it the answer comes at once.
    wait_seconds: Option<u64>,
}

/// Runs that are to be cancelled.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Cancel {
    /// The item; all if it is left out.
    pub(super) item: Option<u32>,
    reason: Option<String>,
    /// How long the answer waits for the ends of the runs, at most 600.
    wait_seconds: Option<u64>,
}

/// Why something is switched off.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Off {
    /// Shown to other operators.
    reason: Option<String>,
}

/// Changes of single settings.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The version that the change is made to. If there is another one, nothing is changed.
    version: i32,
    /// The settings by any of their names in files or in the registry. `null` gives a setting its default back.
    settings: BTreeMap<String, Option<String>>,
}

/// A run that was asked for, and what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Triggered {
    requested: Requested,
    /// What became of it in the time that was given; `null` if none was.
    execution: Option<Execution>,
}

/// The configuration as it was changed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Changed {
    /// The new version.
    version: i32,
    /// What is different. Secrets are not shown.
    changes: Vec<Change>,
}

/// What was removed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Removed {
    /// The number of nodes in the registry.
    nodes: usize,
}

fn done<T>(value: T) -> Written<T> {
    Ok(Json(Outcome::Done(value)))
}

fn planned<T>(plan: Plan) -> Written<T> {
    Ok(Json(Outcome::Planned(plan)))
}

fn wait(seconds: Option<u64>) -> Result<Duration, Problem> {
    match seconds.unwrap_or_default() {
        seconds if seconds <= LONGEST_WAIT => Ok(Duration::from_secs(seconds)),
        seconds => {
            let detail = format!("`waitSeconds` is {seconds}: {LONGEST_WAIT} are the most");
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail))
        }
    }
}

impl Caller {
    async fn report(&self, job: &str) -> Result<JobReport, Problem> {
        Ok(self.operations().job(job).await?)
    }

    /// Returns the jobs on a server that the caller sees.
    async fn jobs_on(&self, server: &str) -> Result<Vec<String>, Problem> {
        let jobs = self.operations().jobs_on_server(server).await?.into_iter();
        let jobs: Vec<String> = jobs
            .map(|job| job.job_name)
            .filter(|job| self.visitor.sees(job))
            .collect();
        if jobs.is_empty() {
            let (server, job) = (server.to_owned(), None);
            return Err(Error::NoSuchServer { server, job }.into());
        }
        Ok(jobs)
    }

    /// Returns the jobs of an instance with what each says of it. An instance that serves a job which the caller does not see is none
    /// of the caller's.
    async fn jobs_of(&self, instance: &str) -> Result<Vec<(String, InstanceReport)>, Problem> {
        let no_such_instance = || Error::NoSuchInstance {
            instance: instance.to_owned(),
        };
        let servers = self.operations().servers().await?;
        let server = servers
            .iter()
            .find(|server| server.instances.iter().any(|id| id == instance));
        let server = server.ok_or_else(no_such_instance)?;
        let mut found = Vec::new();
        for job in &server.job_names {
            let report = self.report(job).await?;
            let of_job = report.instances.into_iter().find(|report| report.id == instance);
            found.extend(of_job.map(|report| (job.clone(), report)));
        }
        if found.is_empty() || found.iter().any(|(job, _)| !self.visitor.sees(job)) {
            return Err(no_such_instance().into());
        }
        Ok(found)
    }
}

pub(super) async fn trigger(
    caller: Caller,
    Named(job): Named<String>,
    Asked(Dry { dry_run }): Asked<Dry>,
    Body(trigger): Body<Trigger>,
) -> Written<Triggered> {
    let wait = wait(trigger.wait_seconds)?;
    if dry_run {
        return planned(Plan::of_trigger(&caller.report(&job).await?, &trigger)?);
    }
    let (operations, parameter) = (caller.operations(), trigger.parameter.as_deref());
    let requested = match (&trigger.item, &trigger.server) {
        (Some(_), Some(_)) => {
            let detail = "`item` and `server` exclude each other: an item runs on its owner";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
        }
        (Some(item), None) => operations.trigger_item(&job, *item, parameter).await?,
        (None, Some(server)) => operations.trigger_on(&job, server, parameter).await?,
        (None, None) => operations.trigger(&job, parameter).await?,
    };
    let execution = match trigger.wait_seconds {
        Some(_) => Some(operations.outcome(&requested, wait).await?),
        None => None,
    };
    done(Triggered { requested, execution })
}

pub(super) async fn cancel(
    caller: Caller,
    Named(job): Named<String>,
    Asked(Dry { dry_run }): Asked<Dry>,
    Body(cancel): Body<Cancel>,
) -> Written<CancelReport> {
    let wait = wait(cancel.wait_seconds)?;
    if dry_run {
        return planned(Plan::of_cancel(&caller.report(&job).await?, &cancel)?);
    }
    let note = caller.note(cancel.reason.as_deref());
    let cancelled = caller.operations().cancel(&job, cancel.item, note).await?;
    done(caller.operations().cancelled(&cancelled, wait).await?)
}

pub(super) async fn disable(
    caller: Caller,
    Named(job): Named<String>,
    Asked(Dry { dry_run }): Asked<Dry>,
    Body(off): Body<Off>,
) -> Written<Vec<Switched>> {
    if dry_run {
        return planned(Plan::of_pause(&caller.report(&job).await?, true));
    }
    let note = caller.note(off.reason.as_deref());
    done(caller.operations().disable(&Target::job(job), note).await?)
}

pub(super) async fn enable(
    caller: Caller,
    Named(job): Named<String>,
    Asked(Dry { dry_run }): Asked<Dry>,
) -> Written<Vec<Switched>> {
    if dry_run {
        return planned(Plan::of_pause(&caller.report(&job).await?, false));
    }
    done(caller.operations().enable(&Target::job(job)).await?)
}

pub(super) async fn disable_item(
    caller: Caller,
    Named((job, item)): Named<(String, u32)>,
    Asked(Dry { dry_run }): Asked<Dry>,
    Body(off): Body<Off>,
) -> Written<()> {
    if dry_run {
        return planned(Plan::of_item(&caller.report(&job).await?, item, true)?);
    }
    let note = caller.note(off.reason.as_deref());
    done(caller.operations().disable_item(&job, item, note).await?)
}

pub(super) async fn enable_item(
    caller: Caller,
    Named((job, item)): Named<(String, u32)>,
    Asked(Dry { dry_run }): Asked<Dry>,
) -> Written<()> {
    if dry_run {
        return planned(Plan::of_item(&caller.report(&job).await?, item, false)?);
    }
    done(caller.operations().enable_item(&job, item).await?)
}

/// What is done to a server, in one job or in several.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnServer {
    Disable,
    Enable,
    ShutDown,
    Remove,
}

impl OnServer {
    fn effect(self, jobs: usize) -> String {
        let of_jobs = if jobs == 1 {
            "1 job".to_owned()
        } else {
            format!("{jobs} jobs")
        };
        match self {
            Self::Disable => format!("would switch the server off in {of_jobs}: its instances give their items away"),
            Self::Enable => format!("would switch the server on in {of_jobs}"),
            Self::ShutDown => format!("would shut the instances on the server down in {of_jobs}"),
            Self::Remove => format!("would shut the instances on the server down, and remove it, in {of_jobs}"),
        }
    }

    async fn carry_out(
        self,
        caller: &Caller,
        server: &str,
        jobs: Vec<String>,
        dry_run: bool,
        off: &Off,
    ) -> Written<Vec<Switched>> {
        if dry_run {
            let plan = Plan::new(self.effect(jobs.len()), jobs).on_server(server);
            return planned(plan);
        }
        let (operations, note) = (caller.operations(), caller.note(off.reason.as_deref()));
        let mut switched = Vec::new();
        for job in jobs {
            let target = Target::job_on_server(job, server);
            switched.extend(match self {
                Self::Disable => operations.disable(&target, note.clone()).await?,
                Self::Enable => operations.enable(&target).await?,
                Self::ShutDown => operations.shut_down(&target).await?,
                Self::Remove => operations.remove(&target).await?,
            });
        }
        done(switched)
    }

    async fn in_all(self, caller: &Caller, server: &str, dry_run: bool, off: &Off) -> Written<Vec<Switched>> {
        let jobs = caller.jobs_on(server).await?;
        self.carry_out(caller, server, jobs, dry_run, off).await
    }

    async fn in_one(
        self,
        caller: &Caller,
        (job, server): (String, String),
        dry_run: bool,
        off: &Off,
    ) -> Written<Vec<Switched>> {
        let report = caller.report(&job).await?;
        if !report.servers.iter().any(|known| known.ip == server) {
            return Err(Error::NoSuchServer { server, job: Some(job) }.into());
        }
        self.carry_out(caller, &server, vec![job], dry_run, off).await
    }
}

pub(super) async fn disable_server(
    caller: Caller,
    Named(server): Named<String>,
    Asked(Dry { dry_run }): Asked<Dry>,
    Body(off): Body<Off>,
) -> Written<Vec<Switched>> {
    OnServer::Disable.in_all(&caller, &server, dry_run, &off).await
}

pub(super) async fn enable_server(
    caller: Caller,
    Named(server): Named<String>,
    Asked(Dry { dry_run }): Asked<Dry>,
) -> Written<Vec<Switched>> {
    OnServer::Enable
        .in_all(&caller, &server, dry_run, &Off::default())
        .await
}

pub(super) async fn shut_down_server(
    caller: Caller,
    Named(server): Named<String>,
    Asked(Dry { dry_run }): Asked<Dry>,
) -> Written<Vec<Switched>> {
    OnServer::ShutDown
        .in_all(&caller, &server, dry_run, &Off::default())
        .await
}

pub(super) async fn remove_server(
    caller: Caller,
    Named(server): Named<String>,
    Asked(Dry { dry_run }): Asked<Dry>,
) -> Written<Vec<Switched>> {
    OnServer::Remove
        .in_all(&caller, &server, dry_run, &Off::default())
        .await
}

pub(super) async fn disable_on_server(
    caller: Caller,
    Named(named): Named<(String, String)>,
    Asked(Dry { dry_run }): Asked<Dry>,
    Body(off): Body<Off>,
) -> Written<Vec<Switched>> {
    OnServer::Disable.in_one(&caller, named, dry_run, &off).await
}

pub(super) async fn enable_on_server(
    caller: Caller,
    Named(named): Named<(String, String)>,
    Asked(Dry { dry_run }): Asked<Dry>,
) -> Written<Vec<Switched>> {
    OnServer::Enable.in_one(&caller, named, dry_run, &Off::default()).await
}

pub(super) async fn shut_down(
    caller: Caller,
    Named(job): Named<String>,
    Asked(Dry { dry_run }): Asked<Dry>,
) -> Written<Vec<Switched>> {
    if dry_run {
        return planned(Plan::of_shutdown(&caller.report(&job).await?));
    }
    done(caller.operations().shut_down(&Target::job(job)).await?)
}

pub(super) async fn shut_down_instance(
    caller: Caller,
    Named(instance): Named<String>,
    Asked(Dry { dry_run }): Asked<Dry>,
) -> Written<Vec<String>> {
    let jobs: Vec<String> = caller
        .jobs_of(&instance)
        .await?
        .into_iter()
        .map(|(job, _)| job)
        .collect();
    if dry_run {
        let effect = format!("would shut the instance down in {} jobs", jobs.len());
        return planned(Plan::new(effect, jobs).of_instance(&instance));
    }
    done(caller.operations().shut_down_instance(&instance).await?)
}

async fn set_draining(caller: &Caller, instance: &str, is_drained: bool, dry_run: bool) -> Written<Vec<Drained>> {
    let jobs = caller.jobs_of(instance).await?;
    if jobs.iter().any(|(_, report)| !report.is_ours) {
        let instance = instance.to_owned();
        return Err(Error::NotOurs { instance }.into());
    }
    if dry_run {
        let items: usize = jobs.iter().map(|(_, report)| report.items.len()).sum();
        let effect = if is_drained {
            format!("would have the instance give {items} items away, each as its run ends")
        } else {
            "would end the draining of the instance".to_owned()
        };
        let jobs = jobs.into_iter().map(|(job, _)| job);
        return planned(Plan::new(effect, jobs).of_instance(instance));
    }
    done(if is_drained {
        caller.operations().drain(instance).await?
    } else {
        caller.operations().undrain(instance).await?
    })
}

pub(super) async fn drain(
    caller: Caller,
    Named(instance): Named<String>,
    Asked(Dry { dry_run }): Asked<Dry>,
) -> Written<Vec<Drained>> {
    set_draining(&caller, &instance, true, dry_run).await
}

pub(super) async fn undrain(
    caller: Caller,
    Named(instance): Named<String>,
    Asked(Dry { dry_run }): Asked<Dry>,
) -> Written<Vec<Drained>> {
    set_draining(&caller, &instance, false, dry_run).await
}

pub(super) async fn configure(
    caller: Caller,
    Named(job): Named<String>,
    Asked(Dry { dry_run }): Asked<Dry>,
    Body(Settings { version, settings }): Body<Settings>,
) -> Written<Changed> {
    let unacceptable = |detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
    let is_mask = |text: &String| text == MASK || text.contains(PROVIDED);
    if let Some((name, _)) = settings.iter().find(|(_, value)| value.as_ref().is_some_and(is_mask)) {
        return Err(unacceptable(format!(
            "`{name}` has the mask of a secret: leave out what stays as it is"
        )));
    }
    let stored = caller.operations().configuration(&job).await?;
    let stored = stored.ok_or_else(|| Error::NoConfiguration { job: job.clone() })?;
    if stored.version != version {
        let (expected, found) = (version, stored.version);
        return Err(Error::Changed { job, expected, found }.into());
    }
    let changes = settings.iter().map(|(name, value)| (&**name, value.as_deref()));
    let config = stored.with_settings(changes)?;
    let (before, after) = (JobConfig::legible_settings(&stored.text), config.settings());
    let faults = masks::astray(&before, &after, |name| !settings.contains_key(name));
    if !faults.is_empty() {
        return Err(unacceptable(faults.join("; ")));
    }
    let code = masks::changes_of_code(&before, &after);
    if !code.is_empty() && !caller.visitor.may(Rights::Admin) {
        let code = code.join("`, `");
        let detail = format!("`{code}` is code on every instance: an admin may change it");
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    let changes = stored.changes(&config);
    if dry_run {
        let effect = format!("would change {} settings", changes.len());
        return planned(Plan::new(effect, [job]).with_changes(changes));
    }
    let version = caller.operations().update_configuration(&job, &config, version).await?;
    done(Changed { version, changes })
}

pub(super) async fn remove(
    caller: Caller,
    Named(job): Named<String>,
    Asked(Dry { dry_run }): Asked<Dry>,
) -> Written<Removed> {
    if dry_run {
        let instances = match caller.operations().job(&job).await {
            Ok(report) => report.instances.into_iter().map(|instance| instance.id).collect(),
            Err(Error::NoConfiguration { .. } | Error::Configuration { .. }) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        if !instances.is_empty() {
            return Err(Error::Running { job, instances }.into());
        }
        let effect = "would remove the job with its configuration, its ledger and its switches; it cannot be undone";
        return planned(Plan::new(effect, [job]));
    }
    let nodes = caller.operations().remove_job(&job).await?;
    done(Removed { nodes })
}
