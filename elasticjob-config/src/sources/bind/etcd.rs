//! How to reach etcd.
//!
//! The registry reads the URL and the files: here it is only known that they are for etcd.

use super::Binder;
use super::registry::{NAMED_OTHERWISE, URL};
use crate::secret::Secret;
use crate::sources::key::Key;
use crate::sources::settings::{EtcdSettings, RegistrySettings};

const COMPACTION: Key = Key::Setting("reg-center.compaction");

/// What ZooKeeper alone has.
const OF_ZOOKEEPER: [Key; 4] = [
    Key::Setting("reg-center.digest"),
    Key::Setting("reg-center.sasl.mechanism"),
    Key::Setting("reg-center.sasl.user"),
    Key::Setting("reg-center.sasl.password"),
];

impl Binder<'_> {
    /// Returns whether the URL of the registry is one of etcd.
    pub(super) fn is_of_etcd(&self) -> bool {
        let scheme = self
            .bound(&URL)
            .and_then(|bound| Some(bound.text.trim().split_once("://")?.0.to_ascii_lowercase()));
        matches!(scheme.as_deref(), Some("etcd" | "etcds"))
    }

    /// Reads the settings of etcd, beside which those of another registry are faults.
    pub(super) fn etcd(&mut self) -> Option<RegistrySettings> {
        let of_zookeeper = OF_ZOOKEEPER.map(|key| (key, "is for ZooKeeper"));
        let is_alone = self.stands_alone(&URL, &[&NAMED_OTHERWISE[..], &of_zookeeper].concat());
        let url = self.bound(&URL)?;
        let tls = self.tls();
        if tls.is_some() && !url.text.trim().to_ascii_lowercase().starts_with("etcds") {
            self.fault(&url, "`etcds://` is expected, since `reg-center.tls` has settings");
        }
        let namespace = self.namespace();
        let compaction = self.bool(&COMPACTION).unwrap_or(true);
        let connecting = self.connecting();
        let namespace = namespace?;
        is_alone.then_some(RegistrySettings::Etcd(EtcdSettings {
            url: Secret::new(url.text.trim()),
            tls,
            namespace,
            compaction,
            base_sleep_time: connecting.base_sleep_time,
            max_sleep_time: connecting.max_sleep_time,
            max_retries: connecting.max_retries,
            session_timeout: connecting.session_timeout,
            connection_timeout: connecting.connection_timeout,
            fail_fast: connecting.fail_fast,
        }))
    }
}
