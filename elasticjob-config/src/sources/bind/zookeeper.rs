//! How to connect to ZooKeeper safely: digest, TLS and SASL.
//!
//! What is missing is refused here. The registry reads the files, and knows which texts its client can send.

use std::path::PathBuf;

use super::Binder;
use crate::secret::Secret;
use crate::sources::key::Key;
use crate::sources::settings::{SaslMechanism, SaslSettings, TlsIdentity, TlsSettings};

const DIGEST: Key = Key::Setting("reg-center.digest");
const CA: Key = Key::Setting("reg-center.tls.ca");
const CERT: Key = Key::Setting("reg-center.tls.cert");
const KEY: Key = Key::Setting("reg-center.tls.key");
const HOSTNAME_VERIFICATION: Key = Key::Setting("reg-center.tls.hostname-verification");
const MECHANISM: Key = Key::Setting("reg-center.sasl.mechanism");
const USER: Key = Key::Setting("reg-center.sasl.user");
const PASSWORD: Key = Key::Setting("reg-center.sasl.password");

/// The settings that no other registry has, beside the servers.
pub(super) const KEYS: [Key; 8] = [DIGEST, CA, CERT, KEY, HOSTNAME_VERIFICATION, MECHANISM, USER, PASSWORD];

impl Binder<'_> {
    /// Reads the user and the password of ZooKeeper's digest scheme.
    pub(super) fn digest(&mut self) -> Option<Secret> {
        let bound = self.bound(&DIGEST)?;
        if !bound.text.contains(':') {
            self.fault(&bound, "user and password are expected, separated by a colon");
        }
        Some(Secret::new(bound.text))
    }

    /// Reads how to speak TLS; `None` if no setting of it is given, or with faults.
    pub(super) fn tls(&mut self) -> Option<TlsSettings> {
        if [CA, CERT, KEY, HOSTNAME_VERIFICATION]
            .iter()
            .all(|key| self.bound(key).is_none())
        {
            return None;
        }
        if self.bool(&HOSTNAME_VERIFICATION) == Some(false)
            && let Some(bound) = self.bound(&HOSTNAME_VERIFICATION)
        {
            let problem = "cannot be switched off: without it any holder of a certificate of the authority could stand in for a \
                           server. Name the servers as their certificates do, or issue certificates for these names";
            self.fault(&bound, problem);
        }
        let ca = self.bound(&CA);
        if ca.is_none() {
            self.missing(
                &CA,
                "is missing: a PEM file with the certificates of the authorities that the servers are trusted by",
            );
        }
        let (cert, key) = (self.bound(&CERT), self.bound(&KEY));
        if cert.is_some() && key.is_none() {
            self.missing(
                &KEY,
                "is missing: a PEM file with the private key of `elasticjob.reg-center.tls.cert`",
            );
        }
        if key.is_some() && cert.is_none() {
            self.missing(
                &CERT,
                "is missing: a PEM file with the certificate for `elasticjob.reg-center.tls.key`",
            );
        }
        let identity = cert.zip(key).map(|(cert, key)| TlsIdentity {
            cert: PathBuf::from(cert.text),
            key: PathBuf::from(key.text),
        });
        Some(TlsSettings {
            ca: PathBuf::from(ca?.text),
            identity,
        })
    }

    /// Reads how to log in; `None` if no setting of it is given, or with faults.
    pub(super) fn sasl(&mut self) -> Option<SaslSettings> {
        if [MECHANISM, USER, PASSWORD].iter().all(|key| self.bound(key).is_none()) {
            return None;
        }
        let mechanism = match self
            .text(&MECHANISM)
            .map(|text| text.trim().to_ascii_uppercase())
            .as_deref()
        {
            None | Some("DIGEST-MD5") => Some(SaslMechanism::DigestMd5),
            Some("GSSAPI") => {
                let problem = "cannot be used: Kerberos needs libraries of the system that this program is not built with. Use \
                               `DIGEST-MD5`, or a client certificate (`reg-center.tls.cert`)";
                self.parsed::<()>(&MECHANISM, problem, |_| None);
                None
            }
            Some(_) => {
                self.parsed::<()>(&MECHANISM, "the only mechanism is `DIGEST-MD5`", |_| None);
                None
            }
        };
        let (user, password) = (self.bound(&USER), self.bound(&PASSWORD));
        if user.is_none() {
            self.missing(
                &USER,
                "is missing: the name of a user in the JAAS file of ZooKeeper's servers",
            );
        }
        if password.is_none() {
            self.missing(
                &PASSWORD,
                "is missing: the user's password in the JAAS file of ZooKeeper's servers",
            );
        }
        Some(SaslSettings {
            mechanism: mechanism?,
            user: user?.text,
            password: Secret::new(password?.text),
        })
    }
}
