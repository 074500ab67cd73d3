//! TLS: the files that a configuration names, and what is made of them.
//!
//! The files are read when a registry is made, so that a fault is known before anything runs, and again for each new session: a
//! certificate can be renewed without a restart. The client reports none of what is wrong with a handshake, so the probe of
//! servers makes one of its own, with the same certificates ([`Material::handshake`]).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use elasticjob_config::sources::TlsSettings;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, InconsistentKeys, RootCertStore};
use zookeeper_client as zk;

use super::fault::{Fault, Faults};

const CA: &str = "reg-center.tls.ca";
const CERT: &str = "reg-center.tls.cert";
const KEY: &str = "reg-center.tls.key";

/// The files by which the servers are trusted, and trust us. All are PEM.
///
/// ```
/// use elasticjob::registry::zookeeper::{Tls, ZooKeeperRegistry};
///
/// let tls = Tls::new("/etc/shop/authority.pem").with_identity("/etc/shop/shop.pem", "/etc/shop/shop.key");
/// let faults = ZooKeeperRegistry::new("zk1:2281", "shop")?.with_tls(tls).unwrap_err().to_string();
/// assert!(faults.contains("`elasticjob.reg-center.tls.ca` is `/etc/shop/authority.pem`: cannot be read"), "{faults}");
/// # Ok::<_, elasticjob::registry::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    ca: PathBuf,
    identity: Option<(PathBuf, PathBuf)>,
}

/// What the files hold.
pub(super) struct Material {
    /// For the client.
    pub(super) options: zk::TlsOptions,
    /// The same, for a handshake whose end can be seen.
    pub(super) handshake: Arc<ClientConfig>,
}

impl Tls {
    /// Trusts servers with a certificate of the authorities in this file. It may hold their revocation lists, too.
    pub fn new(ca: impl Into<PathBuf>) -> Self {
        let ca = ca.into();
        Self { ca, identity: None }
    }

    /// Shows the certificate in the file `cert`, with its private key in the file `key`, to servers that ask for one.
    #[must_use]
    pub fn with_identity(self, cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        let identity = Some((cert.into(), key.into()));
        Self { identity, ..self }
    }

    pub(super) fn from_settings(settings: &TlsSettings) -> Self {
        let tls = Self::new(&settings.ca);
        match &settings.identity {
            Some(identity) => tls.with_identity(&identity.cert, &identity.key),
            None => tls,
        }
    }

    /// Reads the files. Returns all that is wrong with them.
    pub(super) fn read(&self) -> Result<Material, Faults> {
        // The client takes the provider of the process, and panics if there are two to choose from.
        if CryptoProvider::get_default().is_none() {
            // Another thread was quicker: then there is one.
            let _ = ring::default_provider().install_default();
        }
        let mut faults = Faults::default();
        let authorities = faults.take(Authorities::read(&self.ca));
        let identity = match &self.identity {
            Some((cert, key)) => faults.take(Identity::read(cert, key)).map(Some),
            None => Some(None),
        };
        let (Some(authorities), Some(identity)) = (authorities, identity) else {
            return Err(faults);
        };
        self.material(authorities, identity).map_err(Faults::from)
    }

    fn material(&self, authorities: Authorities, identity: Option<Identity>) -> Result<Material, Fault> {
        let of_ca = |error: &dyn std::fmt::Display| Fault::of_file(CA, &self.ca, format!("cannot be used: {error}"));
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(authorities.roots), Arc::clone(&provider))
            .with_crls(authorities.revoked)
            .build()
            .map_err(|error| of_ca(&error))?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has suites for the default versions")
            .with_webpki_verifier(verifier);
        let options = zk::TlsOptions::new()
            .with_pem_ca(&authorities.pem)
            .map_err(|error| of_ca(&error))?;
        let Some(identity) = identity else {
            let handshake = Arc::new(config.with_no_client_auth());
            return Ok(Material { options, handshake });
        };
        let (chain, key) = (identity.chain.clone(), identity.key.clone_key());
        let config = config
            .with_client_auth_cert(chain, key)
            .map_err(|error| identity.does_not_fit(&error))?;
        let options = options
            .with_pem_identity(&identity.cert_pem, &identity.key_pem)
            .map_err(|error| identity.does_not_fit(&error))?;
        let handshake = Arc::new(config);
        Ok(Material { options, handshake })
    }
}

/// The authorities by which servers are trusted.
struct Authorities {
    pem: String,
    roots: RootCertStore,
    revoked: Vec<CertificateRevocationListDer<'static>>,
}

impl Authorities {
    fn read(path: &Path) -> Result<Self, Faults> {
        let pem = text(CA, path)?;
        let mut roots = RootCertStore::empty();
        for certificate in all::<CertificateDer<'_>>(CA, path, &pem)? {
            let added = roots.add(certificate);
            added.map_err(|error| {
                Fault::of_file(CA, path, format!("holds a certificate that cannot be used: {error}"))
            })?;
        }
        if roots.is_empty() {
            return Err(Fault::of_file(CA, path, "holds no certificate: a PEM file is expected").into());
        }
        let revoked = all(CA, path, &pem)?;
        Ok(Self { pem, roots, revoked })
    }
}

/// Our certificate and its key.
struct Identity {
    key_path: PathBuf,
    cert_path: PathBuf,
    cert_pem: String,
    key_pem: String,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads both files, also if the first is at fault.
    fn read(cert: &Path, key: &Path) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let chain = faults.take(Self::chain(cert));
        let private = faults.take(Self::private(key));
        let (Some((cert_pem, chain)), Some((key_pem, private))) = (chain, private) else {
            return Err(faults);
        };
        Ok(Self {
            key_path: key.to_owned(),
            cert_path: cert.to_owned(),
            cert_pem,
            key_pem,
            chain,
            key: private,
        })
    }

    fn chain(path: &Path) -> Result<(String, Vec<CertificateDer<'static>>), Faults> {
        let pem = text(CERT, path)?;
        let chain = all(CERT, path, &pem)?;
        if chain.is_empty() {
            return Err(Fault::of_file(CERT, path, "holds no certificate: a PEM file is expected").into());
        }
        Ok((pem, chain))
    }

    fn private(path: &Path) -> Result<(String, PrivateKeyDer<'static>), Faults> {
        let pem = text(KEY, path)?;
        let problem = match PrivateKeyDer::from_pem_slice(pem.as_bytes()) {
            Ok(key) => return Ok((pem, key)),
            Err(pem::Error::NoItemsFound) if pem.contains("ENCRYPTED") => {
                "holds a key that is encrypted: a key without a passphrase is expected".to_owned()
            }
            Err(pem::Error::NoItemsFound) => "holds no private key: a PEM file is expected".to_owned(),
            Err(error) => format!("is no valid PEM file: {error}"),
        };
        Err(Fault::of_file(KEY, path, problem).into())
    }

    fn does_not_fit(&self, error: &dyn std::error::Error) -> Fault {
        let mismatch = rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch).to_string();
        let problem = if error.to_string() == mismatch {
            format!("is not the key of the certificate in `{}`", self.cert_path.display())
        } else {
            format!(
                "cannot be used with the certificate in `{}`: {error}",
                self.cert_path.display()
            )
        };
        Fault::of_file(KEY, &self.key_path, problem)
    }
}

/// Reads a text file.
fn text(setting: &'static str, path: &Path) -> Result<String, Fault> {
    fs::read_to_string(path).map_err(|error| Fault::of_file(setting, path, format!("cannot be read: {error}")))
}

/// Returns everything of one kind that a PEM file holds.
fn all<T: PemObject>(setting: &'static str, path: &Path, pem: &str) -> Result<Vec<T>, Fault> {
    let found: Result<Vec<T>, _> = T::pem_slice_iter(pem.as_bytes()).collect();
    found.map_err(|error| Fault::of_file(setting, path, format!("is no valid PEM file: {error}")))
}

/// Returns what is wrong with the names of these servers. The client panics at a name that no certificate can bear.
pub(super) fn faults_of_names(servers: &[String]) -> Faults {
    let mut faults = Faults::default();
    for server in servers {
        if server_name(server).is_none() {
            let problem = "has a name that no certificate can bear: TLS needs a host name or an address without a zone";
            faults.push(Fault::new("reg-center.server-lists", Some(server.clone()), problem));
        }
    }
    faults
}

/// Returns what the certificate of a server, `host:port`, has to name.
pub(super) fn server_name(server: &str) -> Option<ServerName<'static>> {
    let (host, _) = server.rsplit_once(':')?;
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    ServerName::try_from(host.to_owned()).ok()
}
