//! The table of the settings of the application; [`setting`](crate::job::setting) has those of a job.
//!
//! [`super::key`] finds settings by the two. `docs/settings.md` and `docs/application.schema.json` are made of them by the tests
//! of this module, which fail if the files say anything else: with `WRITE_REFERENCE=1` they write them.

#[cfg(test)]
mod tests;

use crate::job::setting::Takes;

/// What is said of a setting.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "the rest is for the reference"))]
pub(super) struct Entry {
    /// Its name in files, below `elasticjob` or a job.
    pub(super) name: &'static str,
    pub(super) takes: Takes,
    /// What counts without it; empty if nothing does.
    pub(super) default: &'static str,
    /// What it is for: one sentence.
    pub(super) about: &'static str,
}

use Takes::{Age, Duration, List, Number, OneOf, Secret, Switch, Text};

const PORT: Takes = Number(0, 65_535);
const MOST: i64 = i32::MAX as i64;

const fn entry(name: &'static str, takes: Takes, default: &'static str, about: &'static str) -> Entry {
    Entry {
        name,
        takes,
        default,
        about,
    }
}

/// The settings of the application, below `elasticjob`.
#[rustfmt::skip]
pub(super) const APPLICATION: &[Entry] = &[
    entry("enabled", Switch, "true", "Whether anything runs at all."),
    entry("labels", List, "", "What this instance says that it can run, for jobs that keep their items to some instances."),
    entry("profiles.active", List, "", "The active profiles; the later ones win."),
    entry("reg-center.type", OneOf(&["ZOOKEEPER", "EMBEDDED"]), "ZOOKEEPER", "The kind of registry centre; the embedded one is within one process."),
    entry("reg-center.required", Switch, "false", "Whether the start fails if no registry is named."),
    entry("reg-center.server-lists", Text, "", "The servers of ZooKeeper, `host:port` with commas between them, and a path behind the last if there is one."),
    entry("reg-center.url", Text, "", "The database that is the registry centre, instead of ZooKeeper: `sqlite:PATH`, a file that the processes of one machine share, or `postgres://USER:PASSWORD@HOST/DATABASE`; or etcd, `etcd://USER:PASSWORD@HOST,HOST`, `etcds://` for TLS."),
    entry("reg-center.compaction", Switch, "true", "Whether etcd is asked to forget what was changed more than ten minutes ago."),
    entry("reg-center.namespace", Text, "", "The node above those of the jobs."),
    entry("reg-center.base-sleep-time", Duration, "1s", "The first pause between attempts to connect."),
    entry("reg-center.max-sleep-time", Duration, "3s", "The longest pause between attempts to connect."),
    entry("reg-center.max-retries", Number(0, MOST), "3", "How many attempts follow the first, with `fail-fast`."),
    entry("reg-center.session-timeout", Duration, "10s", "How long the servers wait for an instance that is silent. Java's default is 60 s."),
    entry("reg-center.connection-timeout", Duration, "15s", "How long one attempt to connect may take."),
    entry("reg-center.digest", Secret, "", "User and password for ZooKeeper, separated by a colon."),
    entry("reg-center.tls.ca", Text, "", "A PEM file with the certificates of the authorities by which the servers of ZooKeeper or etcd are trusted. With it connections are encrypted."),
    entry("reg-center.tls.cert", Text, "", "A PEM file with our certificate, if the servers ask for one."),
    entry("reg-center.tls.key", Text, "", "A PEM file with the private key of `reg-center.tls.cert`."),
    entry("reg-center.tls.hostname-verification", OneOf(&["true"]), "", "Whether servers have to bear a name that their certificate is for: always, it cannot be switched off."),
    entry("reg-center.sasl.mechanism", OneOf(&["DIGEST-MD5"]), "", "How the password is proven to ZooKeeper: there is one way."),
    entry("reg-center.sasl.user", Text, "", "The user in the JAAS file of ZooKeeper's servers."),
    entry("reg-center.sasl.password", Secret, "", "The user's password."),
    entry("reg-center.fail-fast", Switch, "false", "Whether the start fails if no server answers, instead of trying on."),
    entry("shutdown.grace-period", Duration, "30s", "How long running items may take to end when the application stops."),
    entry("network.preferred-interface", Text, "", "The network interface with the address of the instance."),
    entry("network.preferred-ip", Text, "", "The beginning or the network of the instance's address: `10.0.1.`, `10.0.1.0/24`."),
    entry("network.ip", Text, "", "The instance's address itself."),
    entry("metrics.host", Text, "127.0.0.1", "The address on which metrics and health are shown."),
    entry("metrics.port", PORT, "", "The port on which metrics and health are shown; 0 for any that is free. Without it there is none."),
    entry("dump.enabled", Switch, "true", "Whether the dump port is opened, if `dump.port` is given."),
    entry("dump.host", Text, "127.0.0.1", "The address of the dump port."),
    entry("dump.port", PORT, "", "The dump port, which shows what the registry holds of a job; 0 for any that is free."),
    entry("console.port", PORT, "", "The port of the console, for programs that have one; 0 for any that is free. Without it there is none."),
    entry("console.host", Text, "127.0.0.1", "The address of the console: a loopback address, unless the console has users."),
    entry("console.allowed-hosts", List, "", "Further names by which browsers reach the console, such as that of a forwarding proxy."),
    entry("console.public-url", Text, "", "The address by which browsers reach the console, if a proxy stands before it: `https://jobs.example.org`."),
    entry("console.trusted-proxies", List, "", "Addresses or networks of proxies, `10.0.0.0/8`, of which the console believes `X-Forwarded-For`."),
    entry("console.data-dir", Text, "", "The directory in which the console keeps its audit log, sessions and tokens. Without it they last as long as the process."),
    entry("tracing.type", Text, "", "Where history goes: `RDB`, a database, or a type that the program brings. Without it none is recorded."),
    entry("tracing.include-job-names", List, "", "The only jobs with a recorded history."),
    entry("tracing.exclude-job-names", List, "", "The jobs without a recorded history."),
    entry("tracing.retention", Age, "", "How long history is kept: for ever if it is not given."),
    entry("tracing.run-log.level", OneOf(&["error", "warn", "info", "debug", "trace"]), "info", "The least important messages that the log of a run keeps."),
    entry("tracing.run-log.max-size", Text, "16KiB", "How much is kept of the log of each attempt, up to `1MiB`: the newest messages are."),
    entry("tracing.run-log.keep", OneOf(&["failed", "all", "none"]), "failed", "Of which runs the log is kept; while a run goes on its log can be read, too."),
];

/// Sections in which each entry has a name that its writer chose, and the settings below such a name.
#[rustfmt::skip]
pub(super) const NAMED: &[(&str, &[Entry])] = &[
    ("console.users", &[
        entry("password-hash", Secret, "", "The hash of the user's password, as `elasticjob-console hash-password` writes it."),
        entry("role", ROLE, "viewer", "What the user may do: look, operate jobs, edit their configuration, or all."),
        entry("jobs", List, "*", "The jobs that the user sees, as patterns: `shop-*`."),
    ]),
    ("console.tokens", &[
        entry("sha256", Secret, "", "The SHA-256 of an API token in hexadecimal digits, as `elasticjob-console make-token` writes it."),
        entry("role", ROLE, "viewer", "What requests with the token may do."),
        entry("jobs", List, "*", "The jobs that requests with the token see, as patterns."),
        entry("expires", Text, "", "When the token ends, as a date or a time: `2027-01-31`."),
    ]),
];

const ROLE: Takes = OneOf(&["viewer", "operator", "editor", "admin"]);

/// Java's names for the same things of the application, and the unit that their numbers are in.
#[rustfmt::skip]
pub(super) const JAVA_NAMES: &[(&str, &str, &str)] = &[
    ("reg-center.base-sleep-time-milliseconds", "reg-center.base-sleep-time", "ms"),
    ("reg-center.max-sleep-time-milliseconds", "reg-center.max-sleep-time", "ms"),
    ("reg-center.session-timeout-milliseconds", "reg-center.session-timeout", "ms"),
    ("reg-center.connection-timeout-milliseconds", "reg-center.connection-timeout", "ms"),
    ("preferred.network.interface", "network.preferred-interface", ""),
    ("preferred.network.ip", "network.preferred-ip", ""),
];
