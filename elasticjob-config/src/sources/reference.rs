//! The one table of settings: what each is called, what it takes, and what is without it.
//!
//! [`super::key`] finds settings by it. `docs/settings.md` and `docs/application.schema.json` are made of it by the tests of
//! this module, which fail if the files say anything else: with `WRITE_REFERENCE=1` they write them.

#[cfg(test)]
mod tests;

/// A setting.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "the rest is for the reference"))]
pub(super) struct Setting {
    /// Its name in files, below `elasticjob` or a job.
    pub(super) name: &'static str,
    pub(super) takes: Takes,
    /// What counts without it; empty if nothing does.
    pub(super) default: &'static str,
    /// What it is for: one sentence.
    pub(super) about: &'static str,
}

/// What the value of a setting may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    Text,
    /// A text that nothing shows.
    Secret,
    Switch,
    /// A whole number between two.
    Number(i64, i64),
    /// `10s`, `500ms`, `1m 30s`.
    Duration,
    /// As a duration, or in days: `30d`.
    Age,
    /// Texts: a list, or separated by commas.
    List,
    /// One of these texts.
    OneOf(&'static [&'static str]),
}

use Takes::{Age, Duration, List, Number, OneOf, Secret, Switch, Text};

const PORT: Takes = Number(0, 65_535);
const MOST: i64 = i32::MAX as i64;

const fn setting(name: &'static str, takes: Takes, default: &'static str, about: &'static str) -> Setting {
    Setting {
        name,
        takes,
        default,
        about,
    }
}

/// The settings of the application, below `elasticjob`.
#[rustfmt::skip]
pub(super) const APPLICATION: &[Setting] = &[
    setting("enabled", Switch, "true", "Whether anything runs at all."),
    setting("labels", List, "", "What this instance says that it can run, for jobs whose items are kept to some instances."),
    setting("profiles.active", List, "", "The active profiles; the later ones win."),
    setting("reg-center.type", OneOf(&["ZOOKEEPER", "EMBEDDED"]), "ZOOKEEPER", "The kind of registry centre; the embedded one is within one process."),
    setting("reg-center.required", Switch, "false", "Whether the start fails if no registry is named."),
    setting("reg-center.server-lists", Text, "", "The servers of ZooKeeper, `host:port` with commas between them, and a path behind the last if there is one."),
    setting("reg-center.namespace", Text, "", "The node above those of the jobs."),
    setting("reg-center.base-sleep-time", Duration, "1s", "The first pause between attempts to connect."),
    setting("reg-center.max-sleep-time", Duration, "3s", "The longest pause between attempts to connect."),
    setting("reg-center.max-retries", Number(0, MOST), "3", "How many attempts follow the first, with `fail-fast`."),
    setting("reg-center.session-timeout", Duration, "10s", "How long the servers wait for an instance that is silent. Java's default is 60 s."),
    setting("reg-center.connection-timeout", Duration, "15s", "How long one attempt to connect may take."),
    setting("reg-center.digest", Secret, "", "User and password for ZooKeeper, separated by a colon."),
    setting("reg-center.fail-fast", Switch, "false", "Whether the start fails if no server answers, instead of trying on."),
    setting("shutdown.grace-period", Duration, "30s", "How long running items may take to end when the application stops."),
    setting("network.preferred-interface", Text, "", "The network interface whose address is the instance's."),
    setting("network.preferred-ip", Text, "", "The beginning or the network of the instance's address: `10.0.1.`, `10.0.1.0/24`."),
    setting("network.ip", Text, "", "The instance's address itself."),
    setting("metrics.host", Text, "127.0.0.1", "The address on which metrics and health are shown."),
    setting("metrics.port", PORT, "", "The port on which metrics and health are shown; 0 for any that is free. Without it there is none."),
    setting("dump.enabled", Switch, "true", "Whether the dump port is opened, if `dump.port` is given."),
    setting("dump.host", Text, "127.0.0.1", "The address of the dump port."),
    setting("dump.port", PORT, "", "The dump port, which shows what the registry holds of a job; 0 for any that is free."),
    setting("tracing.type", Text, "", "Where history goes: `RDB`, a database, or a type that the program brings. Without it none is recorded."),
    setting("tracing.include-job-names", List, "", "The only jobs whose history is recorded."),
    setting("tracing.exclude-job-names", List, "", "The jobs whose history is not recorded."),
    setting("tracing.retention", Age, "", "How long history is kept: for ever if it is not given."),
];

/// The settings of a job, below `elasticjob.jobs.NAME`.
#[rustfmt::skip]
pub(super) const JOB: &[Setting] = &[
    setting("elastic-job-class", Text, "", "The declared job that does the work, by its name or the last part of a Java class."),
    setting("elastic-job-type", Text, "", "The type of job that does the work, such as `SCRIPT` or `HTTP`, if no code does it."),
    setting("cron", Text, "", "When the job fires, as a Quartz expression in quotes. Without it the job runs when asked to."),
    setting("time-zone", Text, "the machine's", "The zone of the expression: an IANA name, or `GMT+8`."),
    setting("job-bootstrap-bean-name", Text, "", "What the application calls a one-off job when it asks for it."),
    setting("sharding-total-count", Number(1, crate::job::MAX_SHARDING_TOTAL_COUNT as i64), "", "Into how many items the job is divided."),
    setting("sharding-item-parameters", Text, "", "The parameters of the items: `0=Beijing,1=Shanghai`."),
    setting("job-parameter", Text, "", "The parameter of the job."),
    setting("monitor-execution", Switch, "true", "Whether runs are marked in the registry while they last."),
    setting("failover", Switch, "false", "Whether an item is run again elsewhere if its instance dies."),
    setting("misfire", Switch, "true", "Whether a time that came while the job ran is made up for."),
    setting("max-time-diff", Duration, "none", "How far the clock of an instance may be from that of the registry."),
    setting("reconcile-interval", Duration, "10m", "How often it is looked for items that are not where they should be; 0 for never."),
    setting("job-sharding-strategy-type", Text, "AVG_ALLOCATION", "How the items are shared out."),
    setting("job-executor-service-handler-type", Text, "CPU", "The pool in which the items run."),
    setting("job-error-handler-type", Text, "LOG", "What is done with failures."),
    setting("job-listener-types", List, "", "The listeners that are called around each firing."),
    setting("description", Text, "", "What people read about the job."),
    setting("disabled", Switch, "false", "Whether the job is switched off on this server when it is registered."),
    setting("overwrite", Switch, "false", "Whether this configuration replaces the one in the registry at each start."),
    setting("label", Text, "", "The labels that an instance needs to run items, with the strategy `LABEL`."),
    setting("static-sharding", Switch, "false", "Whether the items stay where they are when instances come and go."),
];

/// The props that are settings of ours, which stand beside the settings of a job for short.
#[rustfmt::skip]
pub(super) const SHORT: &[(Setting, &str)] = &[
    (setting("streaming", Switch, "false", "Whether a dataflow job goes on as long as there is data."), "streaming.process"),
    (setting("timeout", Duration, "none", "How long a run of an item may take."), "elasticjob.timeout"),
    (setting("retry", Number(0, 1000), "0", "How often an item that fails is tried again."), "elasticjob.retry"),
    (setting("retry-backoff", Duration, "1s", "The pause before the first of these tries."), "elasticjob.retry.backoff"),
    (setting("retry-max-backoff", Duration, "1m", "The longest pause before such a try."), "elasticjob.retry.max-backoff"),
];

/// Java's names for the same things, and the unit that their numbers are in.
#[rustfmt::skip]
pub(super) const JAVA_NAMES: &[(&str, &str, &str)] = &[
    ("reg-center.base-sleep-time-milliseconds", "reg-center.base-sleep-time", "ms"),
    ("reg-center.max-sleep-time-milliseconds", "reg-center.max-sleep-time", "ms"),
    ("reg-center.session-timeout-milliseconds", "reg-center.session-timeout", "ms"),
    ("reg-center.connection-timeout-milliseconds", "reg-center.connection-timeout", "ms"),
    ("preferred.network.interface", "network.preferred-interface", ""),
    ("preferred.network.ip", "network.preferred-ip", ""),
    ("max-time-diff-seconds", "max-time-diff", "s"),
    ("reconcile-interval-minutes", "reconcile-interval", "m"),
    ("job-executor-thread-pool-size-provider-type", "job-executor-service-handler-type", ""),
];
