use std::time::Duration;

use super::Binder;
use crate::secret::Secret;
use crate::sources::error::Error;
use crate::sources::key::Key;
use crate::sources::server;
use crate::sources::settings::{RegistrySettings, ZooKeeperSettings};

const SERVER_LISTS: Key = Key::Setting("reg-center.server-lists");
const NAMESPACE: Key = Key::Setting("reg-center.namespace");
const DIGEST: Key = Key::Setting("reg-center.digest");

impl Binder<'_> {
    /// The registry; the embedded one if nothing is said of any.
    pub(super) fn registry(&mut self) -> Option<RegistrySettings> {
        let is_left_out = !self
            .entries
            .keys()
            .any(|key| matches!(key, Key::Setting(name) if name.starts_with("reg-center.")));
        if is_left_out {
            return Some(RegistrySettings::Embedded);
        }
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
            let problem = "is missing: name the servers, or leave all of `reg-center` out for the embedded registry";
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
            self.missing(&NAMESPACE, "is missing: the node above those of the jobs");
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
