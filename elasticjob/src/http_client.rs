//! The one way in which the framework makes HTTP clients.
//!
//! TLS is rustls with ring, chosen here and not for the whole process: an application may have another provider
//! installed. Servers are trusted that the system trusts (its certificate store, or `SSL_CERT_FILE`), and those of the
//! roots that browsers trust, which are built in, so that a container without certificates can call out.

use std::sync::{Arc, LazyLock};

use reqwest::{Response, Url};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use tracing::debug;

use crate::chain::Chain;
use crate::property::Accepts;

/// Made once: reading the system's certificates takes a while.
static TLS: LazyLock<ClientConfig> = LazyLock::new(tls);

/// The web address of a service. Parts of it may be secret: with a chat robot's address anybody may speak for it.
pub(crate) const ADDRESS: Accepts<Url> =
    Accepts::new("a web address, such as `https://example.org/hook?key=..`", |text| {
        let url = Url::parse(text.trim()).ok()?;
        (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
    })
    .secret();

/// The builder of a client. Time limits are the caller's to set.
pub(crate) fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured(TLS.clone())
        .user_agent(concat!("elasticjob/", env!("CARGO_PKG_VERSION")))
}

/// The beginning of an answer's body: at most so many bytes of it.
pub(crate) async fn text_within(mut response: Response, limit: usize) -> reqwest::Result<String> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        let room = limit - body.len();
        if piece.len() >= room {
            body.extend_from_slice(&piece[..room]);
            break;
        }
        body.extend_from_slice(&piece);
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

fn tls() -> ClientConfig {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let found = rustls_native_certs::load_native_certs();
    for error in found.errors {
        debug!(error = %Chain(&error), "certificates of the system cannot be read");
    }
    roots.add_parsable_certificates(found.certs);
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has suites for the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_a_client_beside_any_provider() {
        assert!(builder().build().is_ok());
    }
}
