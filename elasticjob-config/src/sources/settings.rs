use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::error::{Error, Origin};
use super::key::Key;
use super::network::Network;
use super::server::Server;
use crate::job::JobConfig;
use crate::secret::Secret;
use crate::spelling;

/// The checked configuration of an application.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// `enabled`: whether anything is to run at all. If not, nothing else has been read.
    pub enabled: bool,
    /// `reg-center`: where the instances of the application meet.
    pub registry: RegistrySettings,
    /// `jobs`: every job by its name.
    pub jobs: BTreeMap<String, JobSettings>,
    /// `shutdown.grace-period`: how long running items may take to end. Default: 30 s.
    pub grace_period: Duration,
    /// `labels`: what this instance says that it can run, for jobs that keep their items to some instances.
    pub labels: Vec<String>,
    /// `network`: how this instance finds its address.
    pub network: NetworkSettings,
    /// `metrics`: present if a port is given. A program without the feature for it refuses to start.
    pub metrics: Option<MetricsSettings>,
    /// `tracing`: present if a type is given. A program without the feature for it refuses to start.
    pub tracing: Option<TracingSettings>,
    /// `dump`: present if a port is given and it is not disabled.
    pub dump: Option<DumpSettings>,
    /// `console`: present if a port is given. A program that has no console refuses to start.
    pub console: Option<ConsoleSettings>,
    /// The active profiles, later ones win.
    pub profiles: Vec<String>,
    /// Which files all this comes from.
    pub sources: Sources,
    /// Where each of the settings above was written, by its name: `metrics.port`.
    pub origins: BTreeMap<&'static str, Origin>,
}

impl Settings {
    /// Returns a fault of a setting, `metrics.port`, as a caller finds it that knows more of its meaning.
    ///
    /// Its place is where the setting was written, or else a setting of the same section.
    #[must_use]
    pub fn fault(&self, setting: &str, value: Option<&str>, problem: impl Into<String>) -> Error {
        let section = setting.split('.').next().unwrap_or(setting);
        let of_section = || {
            let mut origins = self.origins.iter();
            let is_below = |name: &str| name.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'));
            origins.find(|(name, _)| is_below(name)).map(|(_, origin)| origin)
        };
        let mut error = Error::new(format!("elasticjob.{setting}"), problem);
        error.value = value.map(ToOwned::to_owned);
        error.origin = self.origins.get(setting).or_else(of_section).cloned();
        error
    }
}

/// Where settings were looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sources {
    /// The files that were read, with absolute paths. Later ones win.
    pub files: Vec<PathBuf>,
    /// The files that were looked for and are not there: `/app/config/application.{yaml,yml,toml,properties}`.
    pub absent: Vec<PathBuf>,
    /// Settings of Spring that would lead to other files or profiles there, and do nothing here.
    pub ignored: Vec<Error>,
}

impl Sources {
    /// Says which files were read and which are not there.
    pub(super) fn describe(&self) -> String {
        let list = |paths: &[PathBuf]| match paths {
            [] => "nothing".to_owned(),
            paths => paths
                .iter()
                .map(|path| path.display().to_string())
                .collect::<Vec<_>>()
                .join(", "),
        };
        format!("files read: {}; not there: {}", list(&self.files), list(&self.absent))
    }
}

/// Where the instances of an application meet.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RegistrySettings {
    /// Within one process, on purpose: `reg-center.type: EMBEDDED`.
    Embedded,
    /// Nothing names a registry. The embedded one stands in: each instance runs all items of all jobs alone.
    Unnamed,
    /// On ZooKeeper.
    ZooKeeper(ZooKeeperSettings),
    /// In a database: `reg-center.url`.
    Database(DatabaseSettings),
    /// On etcd: `reg-center.url`.
    Etcd(EtcdSettings),
}

/// How to reach ZooKeeper.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ZooKeeperSettings {
    /// `server-lists`: the servers, at least one.
    pub servers: Vec<Server>,
    /// A path behind the servers, below which everything is kept. It has to be there, as for Java members.
    pub chroot: Option<String>,
    /// `namespace`: the node above those of the jobs.
    pub namespace: String,
    /// `base-sleep-time`: the first pause between attempts to connect. Default: 1 s.
    pub base_sleep_time: Duration,
    /// `max-sleep-time`: the longest pause. Default: 3 s.
    pub max_sleep_time: Duration,
    /// `max-retries`: attempts after the first. Default: 3.
    pub max_retries: u32,
    /// `session-timeout`: how long the servers wait for an instance that is silent. Default, also for 0: 10 s (Java: 60 s).
    pub session_timeout: Duration,
    /// `connection-timeout`: how long one attempt may take. Default, also for 0: 15 s.
    pub connection_timeout: Duration,
    /// `digest`: user and password, separated by a colon.
    pub digest: Option<Secret>,
    /// `tls`: present if connections are encrypted. A program without the feature for it refuses to start.
    pub tls: Option<TlsSettings>,
    /// `sasl`: present if the servers know users. A program without the feature for it refuses to start.
    pub sasl: Option<SaslSettings>,
    /// `fail-fast`: whether the start fails when no server answers, instead of trying on. Default: no.
    pub fail_fast: bool,
}

impl ZooKeeperSettings {
    /// The servers as ZooKeeper's clients take them: `a:2181,b:2181/chroot`.
    #[must_use]
    pub fn connect_string(&self) -> String {
        let servers: Vec<String> = self.servers.iter().map(ToString::to_string).collect();
        servers.join(",") + self.chroot.as_deref().unwrap_or_default()
    }
}

/// How to speak TLS with ZooKeeper. All files are PEM, and are read again for each new session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsSettings {
    /// `tls.ca`: a file with the certificates of the authorities that servers are trusted by, and revocation lists of theirs.
    pub ca: PathBuf,
    /// `tls.cert` and `tls.key`: present if the servers ask for a certificate of ours.
    pub identity: Option<TlsIdentity>,
}

/// The certificate that we show to servers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsIdentity {
    /// `tls.cert`: a file with our certificate, and those between it and the authority.
    pub cert: PathBuf,
    /// `tls.key`: a file with its private key.
    pub key: PathBuf,
}

/// How to log in to ZooKeeper by SASL.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SaslSettings {
    /// `sasl.mechanism`: how the password is proven. Default: `DIGEST-MD5`.
    pub mechanism: SaslMechanism,
    /// `sasl.user`: the name of the user in the servers' JAAS file.
    pub user: String,
    /// `sasl.password`: the user's password.
    pub password: Secret,
}

/// A way to prove a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SaslMechanism {
    /// `DIGEST-MD5`: users and passwords stand in the servers' JAAS file.
    DigestMd5,
}

/// How to reach a registry in a database.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DatabaseSettings {
    /// `url`: which database.
    pub database: RegistryDatabase,
    /// `namespace`: what keeps the jobs of one group of applications apart from others in the same database.
    pub namespace: String,
    /// `base-sleep-time`: the first pause between attempts to connect. Default: 1 s.
    pub base_sleep_time: Duration,
    /// `max-sleep-time`: the longest pause. Default: 3 s.
    pub max_sleep_time: Duration,
    /// `max-retries`: attempts after the first. Default: 3.
    pub max_retries: u32,
    /// `session-timeout`: how long the others wait for an instance that is silent; at least a second. Default, also for 0: 10 s.
    pub session_timeout: Duration,
    /// `connection-timeout`: how long one attempt may take. Default, also for 0: 15 s.
    pub connection_timeout: Duration,
    /// `fail-fast`: whether the start fails if the database cannot be reached, instead of trying on. Default: no.
    pub fail_fast: bool,
}

/// How to reach etcd.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EtcdSettings {
    /// `url`: `etcd://user:password@host:2379,host2:2379`, or `etcds://` for TLS.
    pub url: Secret,
    /// `tls`: which authorities are trusted instead of those of the system, and our certificate.
    pub tls: Option<TlsSettings>,
    /// `namespace`: the prefix of all keys.
    pub namespace: String,
    /// `compaction`: whether etcd is asked to forget what was changed more than ten minutes ago. Default: yes.
    pub compaction: bool,
    /// `base-sleep-time`: the first pause between attempts to connect. Default: 1 s.
    pub base_sleep_time: Duration,
    /// `max-sleep-time`: the longest pause. Default: 3 s.
    pub max_sleep_time: Duration,
    /// `max-retries`: attempts after the first. Default: 3.
    pub max_retries: u32,
    /// `session-timeout`: how long etcd waits for an instance that is silent, in whole seconds, two at least. Default, also for 0: 10 s.
    pub session_timeout: Duration,
    /// `connection-timeout`: how long one attempt may take. Default, also for 0: 15 s.
    pub connection_timeout: Duration,
    /// `fail-fast`: whether the start fails if no server answers, instead of trying on. Default: no.
    pub fail_fast: bool,
}

/// A database that can be a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryDatabase {
    /// `sqlite:PATH`: a file, which the processes of one machine share.
    Sqlite(PathBuf),
    /// `postgres://USER:PASSWORD@HOST/DATABASE`: PostgreSQL, by its whole URL.
    Postgres(Secret),
}

/// A job and who does its work.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct JobSettings {
    /// The job's configuration.
    pub config: JobConfig,
    /// Who does the work.
    pub implementation: Implementation,
    /// `elastic-job-class`: the class that is written to the job's root node.
    pub class: Option<String>,
    /// `job-bootstrap-bean-name`: what the application calls the job when it asks for it.
    pub bootstrap: Option<String>,
    /// Where the job is declared or first mentioned.
    pub origin: Origin,
    /// Where each setting of the job was written, by its name in files: `cron`, `props.script.command.line`.
    pub origins: BTreeMap<String, Origin>,
    /// The settings that a fault is about, so that the configuration has their defaults. [`Loader::read`] alone returns jobs
    /// that have some.
    ///
    /// [`Loader::read`]: super::Loader::read
    pub faulty: BTreeSet<String>,
}

impl JobSettings {
    /// Returns where the value of a setting in force was written, `cron` or `props.script.command.line`: of one that was
    /// written nowhere, where the job is declared.
    #[must_use]
    pub fn place(&self, setting: &str) -> &Origin {
        self.origins.get(setting).unwrap_or(&self.origin)
    }

    /// Whether a fault is about this setting, or about one below it: `props` if it is about any property.
    #[must_use]
    pub fn is_faulty(&self, setting: &str) -> bool {
        let is_below = |name: &String| name.strip_prefix(setting).is_some_and(|rest| rest.starts_with('.'));
        self.faulty.contains(setting) || self.faulty.iter().any(is_below)
    }

    /// Returns a fault of a setting at its place, as a caller finds it that knows more of its meaning.
    ///
    /// `value` is what may be shown of it.
    #[must_use]
    pub fn fault(&self, setting: &str, value: Option<&str>, problem: impl Into<String>) -> Error {
        let written = format!("{}.{setting}", Key::Job(self.config.name().to_string()));
        let error = Error::new(written, problem).at(self.place(setting).clone());
        let mut error = error.of(Some(self.config.name().as_str()));
        error.value = value.map(ToOwned::to_owned);
        error
    }
}

/// Who does the work of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Implementation {
    /// A job that the program declares, by the name that it is declared under.
    Declared(String),
    /// `elastic-job-type`: a type of job, such as `SCRIPT`, that needs no code.
    Type(String),
    /// Nothing, as a fault says. [`Loader::read`] alone returns such a job.
    ///
    /// [`Loader::read`]: super::Loader::read
    Missing,
}

/// How an instance finds its address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkSettings {
    /// `network.preferred-interface`: the name of a network interface.
    pub preferred_interface: Option<String>,
    /// `network.preferred-ip`: the beginning, or a pattern, of the address.
    pub preferred_ip: Option<String>,
    /// `network.ip`: the address itself.
    pub ip: Option<IpAddr>,
}

/// The endpoint that shows metrics and health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetricsSettings {
    /// `metrics.host`: the address to listen on. Default: 127.0.0.1.
    pub host: IpAddr,
    /// `metrics.port`: 0 for any that is free.
    pub port: u16,
}

/// Where execution is recorded.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TracingSettings {
    /// `tracing.type`: `RDB`, or the name of a type that the program brings.
    pub storage: String,
    /// `tracing.data-source`, or `spring.datasource` if that names no database: the data source's own settings, if it has any.
    pub data_source: Option<DataSourceSettings>,
    /// `tracing.include-job-names` or `tracing.exclude-job-names`.
    pub jobs: TracedJobs,
    /// Where these names were written; `None` if all jobs are traced.
    pub jobs_origin: Option<Origin>,
    /// Where `tracing.type` was written.
    pub origin: Origin,
    /// `tracing.retention`: how long what was recorded is kept. For ever, if it is not given.
    pub retention: Option<Duration>,
    /// `tracing.run-log`: what is kept of the log of each run.
    pub run_log: RunLogSettings,
}

/// What is kept of the log of each run, beside its row in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunLogSettings {
    /// `tracing.run-log.level`: the least important messages that are kept.
    pub level: RunLogLevel,
    /// `tracing.run-log.max-size`: how many bytes are kept of each attempt. The newest messages are.
    pub max_size: u32,
    /// `tracing.run-log.keep`: of which runs the log is kept.
    pub keep: KeptRunLogs,
}

/// How important a message is. The order is that of importance, the most important first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RunLogLevel {
    /// Something failed.
    Error,
    /// Something is wrong.
    Warn,
    /// What an operator may like to know.
    #[default]
    Info,
    /// What a developer may like to know.
    Debug,
    /// Everything.
    Trace,
}

/// Of which runs the log is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeptRunLogs {
    /// Of runs that did not succeed. While a run goes on its log can be read, too.
    #[default]
    Failed,
    /// Of all runs.
    All,
    /// Of none.
    None,
}

impl RunLogSettings {
    /// How many bytes are kept of each attempt if nothing else is said.
    pub const DEFAULT_SIZE: u32 = 16 * 1024;
}

impl Default for RunLogSettings {
    fn default() -> Self {
        Self {
            level: RunLogLevel::default(),
            max_size: Self::DEFAULT_SIZE,
            keep: KeptRunLogs::default(),
        }
    }
}

impl TracingSettings {
    /// Returns whether `tracing.data-source` names a database for history alone. If it does not, the data source may be that of
    /// Spring's settings.
    #[must_use]
    pub fn names_database(&self) -> bool {
        let mut settings = self.data_source.iter().flat_map(|settings| settings.0.values());
        settings.any(|setting| !setting.written.to_ascii_lowercase().starts_with("spring"))
    }

    /// Returns a fault of one setting of the data source, with its place and without its value.
    ///
    /// The fault of a setting that is missing stands where the first of the others was written, or else the type.
    #[must_use]
    pub fn data_source_fault(&self, name: &str, problem: impl Into<String>) -> Error {
        let wanted = super::key::canonical(name);
        let settings = || self.data_source.iter().flat_map(|settings| &settings.0);
        let given = settings().find(|(key, _)| super::key::canonical(key) == wanted);
        let (written, origin) = match (given, settings().next()) {
            (Some((_, setting)), _) => (setting.written.clone(), &setting.origin),
            (None, Some((_, first))) => (Key::DataSource(name.to_owned()).to_string(), &first.origin),
            (None, None) => (Key::DataSource(name.to_owned()).to_string(), &self.origin),
        };
        Error::new(written, problem).at(origin.clone())
    }
}

/// Which jobs are traced.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TracedJobs {
    /// All.
    All,
    /// Only these.
    Only(Vec<String>),
    /// All but these.
    AllBut(Vec<String>),
}

impl TracedJobs {
    /// Returns whether this job is traced.
    #[must_use]
    pub fn has(&self, job: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.iter().any(|name| name == job),
            Self::AllBut(names) => !names.iter().any(|name| name == job),
        }
    }

    /// Returns each name that none of these jobs has, and the job that was probably meant.
    ///
    /// ```
    /// # mod elasticjob { pub mod configuration { pub use elasticjob_config::*; } }
    /// use elasticjob::configuration::sources::TracedJobs;
    ///
    /// let traced = TracedJobs::AllBut(vec!["heartbeat".to_owned(), "sync-order".to_owned()]);
    /// let unknown = traced.unknown_names(["heartbeat", "sync_orders"].into_iter());
    /// assert_eq!(unknown, [("sync-order", Some("sync_orders".to_owned()))]);
    /// ```
    #[must_use]
    pub fn unknown_names<'a, 'b>(
        &'a self,
        jobs: impl Iterator<Item = &'b str> + Clone,
    ) -> Vec<(&'a str, Option<String>)> {
        let names: &[String] = match self {
            Self::All => &[],
            Self::Only(names) | Self::AllBut(names) => names,
        };
        let known: BTreeSet<&str> = match names {
            [] => BTreeSet::new(),
            _ => jobs.clone().collect(),
        };
        let unknown = names.iter().filter(|name| !known.contains(&***name));
        unknown
            .map(|name| (&**name, spelling::nearest(name, jobs.clone())))
            .collect()
    }
}

/// The settings of a data source. Their values are never shown: any of them may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct DataSourceSettings(pub(super) BTreeMap<String, DataSourceSetting>);

/// One setting of a data source.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct DataSourceSetting {
    pub(super) text: String,
    /// The key in the spelling of its writer.
    pub(super) written: String,
    pub(super) origin: Origin,
}

impl DataSourceSettings {
    /// A setting by its name, however that was spelt: `driver-class-name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let wanted = super::key::canonical(name);
        self.0
            .iter()
            .find(|(key, _)| super::key::canonical(key) == wanted)
            .map(|(_, value)| value.text.as_str())
    }

    /// The names that are set.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl fmt::Debug for DataSourceSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.keys().map(|key| (key, crate::secret::PROVIDED));
        formatter.debug_map().entries(shown).finish()
    }
}

/// The console.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsoleSettings {
    /// `console.host`: the address to listen on. It is a loopback address unless there are users. Default: 127.0.0.1.
    pub host: IpAddr,
    /// `console.port`; 0 for any that is free.
    pub port: u16,
    /// `console.allowed-hosts`: further names by which browsers reach the console.
    pub allowed_hosts: Vec<String>,
    /// `console.public-url`: the address by which browsers reach it, a scheme and a host, without a slash behind.
    pub public_url: Option<String>,
    /// `console.trusted-proxies`: whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// `console.data-dir`: where the audit log, sessions and tokens are kept.
    pub data_dir: Option<PathBuf>,
    /// `console.users`, by name.
    pub users: BTreeMap<String, ConsoleUser>,
    /// `console.tokens`, by name.
    pub tokens: BTreeMap<String, ConsoleToken>,
}

/// What a user of the console may do. The order is that of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ConsoleRole {
    /// Looks.
    Viewer,
    /// Also operates jobs.
    Operator,
    /// Also edits their configuration.
    Editor,
    /// May do everything.
    Admin,
}

impl ConsoleRole {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "viewer" => Some(Self::Viewer),
            "operator" => Some(Self::Operator),
            "editor" => Some(Self::Editor),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }
}

/// A user of the console.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsoleUser {
    /// What the user may do.
    pub role: ConsoleRole,
    /// Patterns of the jobs that the user sees.
    pub jobs: Vec<String>,
    /// The hash of the password: argon2id in PHC form.
    pub password_hash: Secret,
}

/// A token by which programs use the console.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsoleToken {
    /// What requests with the token may do.
    pub role: ConsoleRole,
    /// Patterns of the jobs that they see.
    pub jobs: Vec<String>,
    /// The SHA-256 of the token.
    pub sha256: [u8; 32],
    /// When the token ends.
    pub expires: Option<Timestamp>,
}

impl fmt::Debug for ConsoleToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("ConsoleToken");
        shown
            .field("role", &self.role)
            .field("jobs", &self.jobs)
            .field("expires", &self.expires);
        shown.field("sha256", &crate::secret::PROVIDED).finish()
    }
}

/// The dump port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DumpSettings {
    /// `dump.host`: the address to listen on. Default: 127.0.0.1, this machine alone.
    pub host: IpAddr,
    /// `dump.port`; 0 for any that is free.
    pub port: u16,
}
