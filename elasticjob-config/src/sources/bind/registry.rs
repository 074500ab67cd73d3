use std::time::Duration;

use super::Binder;
use crate::secret::Secret;
use crate::sources::error::Error;
use crate::sources::key::Key;
use crate::sources::server;
use crate::sources::settings::{RegistrySettings, Sources, ZooKeeperSettings};

const TYPE: Key = Key::Setting("reg-center.type");
const REQUIRED: Key = Key::Setting("reg-center.required");
const SERVER_LISTS: Key = Key::Setting("reg-center.server-lists");
const NAMESPACE: Key = Key::Setting("reg-center.namespace");
const DIGEST: Key = Key::Setting("reg-center.digest");

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
                let problem = "but no registry is named: set `elasticjob.reg-center.server-lists` and \
                               `elasticjob.reg-center.namespace`";
                self.refuse_required(&format!("{problem} ({})", sources.describe()));
                None
            }
            (false, false) => Some(RegistrySettings::Unnamed),
            (false, true) => self.zookeeper(),
        }
    }

    /// The embedded registry, which was asked for.
    fn embedded(&mut self, is_required: bool) -> Option<RegistrySettings> {
        if is_required {
            self.refuse_required("but `elasticjob.reg-center.type` is `EMBEDDED`, which no other instance can reach");
            return None;
        }
        if let (Some(servers), Some(bound)) = (self.bound(&SERVER_LISTS), self.bound(&TYPE)) {
            let problem = format!(
                "but `{}` ({}) names servers: leave one of them out",
                servers.written, servers.origin
            );
            self.fault(&bound, problem);
            return None;
        }
        Some(RegistrySettings::Embedded)
    }

    fn refuse_required(&mut self, problem: &str) {
        if let Some(bound) = self.bound(&REQUIRED) {
            self.fault(&bound, problem);
        }
    }

    fn zookeeper(&mut self) -> Option<RegistrySettings> {
        let servers = self.servers();
        let namespace = self.namespace();
        let base_sleep_time = self.positive("reg-center.base-sleep-time", Duration::from_secs(1));
        let max_sleep_time = self.positive("reg-center.max-sleep-time", Duration::from_secs(3));
        let max_retries = self.number(
            &Key::Setting("reg-center.max-retries"),
            "a whole number from 0 is expected",
        );
        let session_timeout = self.positive("reg-center.session-timeout", Duration::from_secs(10));
        let connection_timeout = self.positive("reg-center.connection-timeout", Duration::from_secs(15));
        let digest = self.digest();
        let fail_fast = self.bool(&Key::Setting("reg-center.fail-fast")).unwrap_or(false);
        let (servers, chroot) = servers?;
        Some(RegistrySettings::ZooKeeper(ZooKeeperSettings {
            servers,
            chroot,
            namespace: namespace?,
            base_sleep_time,
            max_sleep_time,
            max_retries: max_retries.unwrap_or(3),
            session_timeout,
            connection_timeout,
            digest,
            fail_fast,
        }))
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

    fn namespace(&mut self) -> Option<String> {
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

    fn digest(&mut self) -> Option<Secret> {
        let bound = self.bound(&DIGEST)?;
        if !bound.text.contains(':') {
            self.fault(&bound, "user and password are expected, separated by a colon");
        }
        Some(Secret::new(bound.text))
    }

    /// Java takes 0 for the default.
    fn positive(&mut self, name: &'static str, default: Duration) -> Duration {
        self.duration(&Key::Setting(name))
            .filter(|duration| !duration.is_zero())
            .unwrap_or(default)
    }

    pub(super) fn missing(&mut self, key: &Key, problem: &str) {
        let mut error = Error::new(key.to_string(), problem);
        error.origin = self.entries.get(key).map(|bound| bound.origin.clone());
        self.faults.push(error);
    }
}
