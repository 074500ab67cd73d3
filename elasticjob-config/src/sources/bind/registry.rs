use std::time::Duration;

use super::{Binder, zookeeper};
use crate::sources::error::Error;
use crate::sources::key::Key;
use crate::sources::server;
use crate::sources::settings::{DatabaseSettings, RegistryDatabase, RegistrySettings, Sources, ZooKeeperSettings};

const TYPE: Key = Key::Setting("reg-center.type");
const REQUIRED: Key = Key::Setting("reg-center.required");
const SERVER_LISTS: Key = Key::Setting("reg-center.server-lists");
pub(super) const URL: Key = Key::Setting("reg-center.url");
const NAMESPACE: Key = Key::Setting("reg-center.namespace");
const SESSION_TIMEOUT: &str = "reg-center.session-timeout";

/// What names another registry than a URL does.
pub(super) const NAMED_OTHERWISE: [(Key, &str); 2] =
    [(SERVER_LISTS, "names servers"), (TYPE, "names another registry")];

/// The shortest timeout of a session in a database: members look several times in it whether the others live.
const SHORTEST_SESSION: Duration = Duration::from_secs(1);

/// What is the same for each kind of registry that is reached over a connection.
pub(super) struct Connecting {
    pub(super) base_sleep_time: Duration,
    pub(super) max_sleep_time: Duration,
    pub(super) max_retries: u32,
    pub(super) session_timeout: Duration,
    pub(super) connection_timeout: Duration,
    pub(super) fail_fast: bool,
}

impl Binder<'_> {
    /// The registry.
    pub(super) fn registry(&mut self, sources: &Sources) -> Option<RegistrySettings> {
        let is_required = self.bool(&REQUIRED).unwrap_or(false);
        let is_embedded = match self.text(&TYPE).map(|text| text.trim().to_ascii_uppercase()).as_deref() {
            None | Some("ZOOKEEPER") => false,
            Some("EMBEDDED") => true,
            Some(_) => {
                self.parsed::<()>(&TYPE, "the types are `ZOOKEEPER` and `EMBEDDED`", |_| None);
                return None;
            }
        };
        let is_named = self
            .entries
            .keys()
            .any(|key| matches!(key, Key::Setting(name) if name.starts_with("reg-center.") && *key != REQUIRED));
        match (is_embedded, is_named) {
            (true, _) => self.embedded(is_required),
            (false, false) if is_required => {
                let problem = "but no registry is named: set `elasticjob.reg-center.server-lists` or \
                               `elasticjob.reg-center.url`, and `elasticjob.reg-center.namespace`";
                self.refuse_required(&format!("{problem} ({})", sources.describe()));
                None
            }
            (false, false) => Some(RegistrySettings::Unnamed),
            (false, true) if self.is_of_etcd() => self.etcd(),
            (false, true) if self.bound(&URL).is_some() => self.database(),
            (false, true) => self.zookeeper(),
        }
    }

    /// The embedded registry, which was asked for.
    fn embedded(&mut self, is_required: bool) -> Option<RegistrySettings> {
        if is_required {
            self.refuse_required("but `elasticjob.reg-center.type` is `EMBEDDED`, which no other instance can reach");
            return None;
        }
        let is_alone = self.stands_alone(&TYPE, &[(SERVER_LISTS, "names servers"), (URL, "names a database")]);
        is_alone.then_some(RegistrySettings::Embedded)
    }

    /// Refuses a setting beside others that contradict it: each with what it does.
    pub(super) fn stands_alone(&mut self, key: &Key, others: &[(Key, &str)]) -> bool {
        let Some(bound) = self.bound(key) else { return true };
        let mut is_alone = true;
        for (other, does) in others {
            if let Some(other) = self.bound(other) {
                let problem = format!(
                    "but `{}` ({}) {does}: leave one of them out",
                    other.written, other.origin
                );
                self.fault(&bound, problem);
                is_alone = false;
            }
        }
        is_alone
    }

    fn refuse_required(&mut self, problem: &str) {
        if let Some(bound) = self.bound(&REQUIRED) {
            self.fault(&bound, problem);
        }
    }

    /// Reads the settings of ZooKeeper, and reports all that is wrong with them.
    fn zookeeper(&mut self) -> Option<RegistrySettings> {
        let servers = self.servers();
        let namespace = self.namespace();
        let connecting = self.connecting();
        let digest = self.digest();
        let tls = self.tls();
        let sasl = self.sasl();
        let (servers, chroot) = servers?;
        Some(RegistrySettings::ZooKeeper(ZooKeeperSettings {
            servers,
            chroot,
            namespace: namespace?,
            base_sleep_time: connecting.base_sleep_time,
            max_sleep_time: connecting.max_sleep_time,
            max_retries: connecting.max_retries,
            session_timeout: connecting.session_timeout,
            connection_timeout: connecting.connection_timeout,
            digest,
            tls,
            sasl,
            fail_fast: connecting.fail_fast,
        }))
    }

    /// Reads the settings of a registry in a database, beside which those of another kind are faults.
    fn database(&mut self) -> Option<RegistrySettings> {
        let of_zookeeper = zookeeper::KEYS.map(|key| (key, "is for ZooKeeper"));
        let is_alone = self.stands_alone(&URL, &[&NAMED_OTHERWISE[..], &of_zookeeper].concat());
        let database = self.url();
        let namespace = self.namespace();
        let connecting = self.connecting();
        if let Some(bound) = self.bound(&Key::Setting(SESSION_TIMEOUT))
            && connecting.session_timeout < SHORTEST_SESSION
        {
            self.fault(&bound, "at least `1s` is expected for a registry in a database");
        }
        let (database, namespace) = (database?, namespace?);
        is_alone.then_some(RegistrySettings::Database(DatabaseSettings {
            database,
            namespace,
            base_sleep_time: connecting.base_sleep_time,
            max_sleep_time: connecting.max_sleep_time,
            max_retries: connecting.max_retries,
            session_timeout: connecting.session_timeout,
            connection_timeout: connecting.connection_timeout,
            fail_fast: connecting.fail_fast,
        }))
    }

    fn url(&mut self) -> Option<RegistryDatabase> {
        let bound = self.bound(&URL)?;
        match RegistryDatabase::parse(&bound.text) {
            Ok(database) => Some(database),
            Err(problems) => {
                problems.into_iter().for_each(|problem| self.fault(&bound, problem));
                None
            }
        }
    }

    /// Reads how to connect, with Java's defaults.
    pub(super) fn connecting(&mut self) -> Connecting {
        let max_retries = self.number(
            &Key::Setting("reg-center.max-retries"),
            "a whole number from 0 is expected",
        );
        Connecting {
            base_sleep_time: self.positive("reg-center.base-sleep-time", Duration::from_secs(1)),
            max_sleep_time: self.positive("reg-center.max-sleep-time", Duration::from_secs(3)),
            max_retries: max_retries.unwrap_or(3),
            session_timeout: self.positive(SESSION_TIMEOUT, Duration::from_secs(10)),
            connection_timeout: self.positive("reg-center.connection-timeout", Duration::from_secs(15)),
            fail_fast: self.bool(&Key::Setting("reg-center.fail-fast")).unwrap_or(false),
        }
    }

    fn servers(&mut self) -> Option<(Vec<server::Server>, Option<String>)> {
        let Some(bound) = self.bound(&SERVER_LISTS) else {
            let problem = "is missing: name the servers, or set `reg-center.type: EMBEDDED` for the embedded registry";
            self.missing(&SERVER_LISTS, problem);
            return None;
        };
        match server::parse_list(&bound.text) {
            Ok(servers) => Some(servers),
            Err(faults) => {
                for fault in faults {
                    self.fault(&bound, fault);
                }
                None
            }
        }
    }

    pub(super) fn namespace(&mut self) -> Option<String> {
        let Some(bound) = self.bound(&NAMESPACE) else {
            self.missing(&NAMESPACE, "is missing: the node that holds the nodes of all jobs");
            return None;
        };
        let namespace = bound.text.trim();
        let is_valid = namespace
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
            && !namespace.chars().any(char::is_control);
        if !is_valid {
            self.fault(
                &bound,
                "a namespace is written `name` or `name/name`, without `/` at an end",
            );
        }
        is_valid.then(|| namespace.to_owned())
    }

    /// Java takes 0 for the default.
    fn positive(&mut self, name: &'static str, default: Duration) -> Duration {
        self.duration(&Key::Setting(name))
            .filter(|duration| !duration.is_zero())
            .unwrap_or(default)
    }

    /// Reports that a setting is missing, with its place if it was written without a value.
    pub(super) fn missing(&mut self, key: &Key, problem: &str) {
        let mut error = Error::new(key.to_string(), problem);
        error.origin = self.entries.get(key).map(|bound| bound.origin.clone());
        self.faults.push(error);
    }
}
