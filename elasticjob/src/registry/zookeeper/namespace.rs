//! The node that all of ours are below.
//!
//! It is a container, as Curator makes it: the servers delete it some time after its last child is gone. So it may be
//! missing although this process has created it, and a write that finds it missing creates it again.

use std::sync::Arc;

use zookeeper_client as zk;

use super::convert;
use crate::registry::Error;

/// The namespace of a session, and the rights of what is created in it.
#[derive(Clone, Debug)]
pub(super) struct Namespace {
    pub(super) path: Arc<str>,
    pub(super) acls: zk::Acls<'static>,
}

/// Creates what is missing of the namespace, and makes sure that we may use it.
pub(super) async fn ensure(client: &zk::Client, namespace: &str, acls: zk::Acls<'static>) -> Result<(), Error> {
    if namespace == "/" {
        return Ok(());
    }
    let options = zk::CreateMode::Container.with_acls(acls);
    client
        .mkdir(namespace, &options)
        .await
        .map_err(|error| explain(error, namespace))?;
    // Creating what exists asks for no rights on it, reading does.
    check(client, namespace).await
}

/// Checks that we may use the namespace if it exists.
pub(super) async fn check(client: &zk::Client, namespace: &str) -> Result<(), Error> {
    match client.get_data(namespace).await {
        Ok(_) | Err(zk::Error::NoNode) => Ok(()),
        Err(error) => Err(explain(error, namespace)),
    }
}

/// Returns why the namespace cannot be used, in words for an operator.
fn explain(error: zk::Error, namespace: &str) -> Error {
    match error {
        zk::Error::NoAuth => Error::Refused(format!(
            "no access to namespace {namespace}: it belongs to another digest than the one given"
        )),
        zk::Error::AuthFailed => Error::Refused("our authentication was not accepted".to_owned()),
        zk::Error::InvalidAcl => Error::Refused("the digest is not of the form user:password".to_owned()),
        error => match convert::error(error) {
            Error::ConnectionLoss | Error::SessionExpired => Error::Unreachable(format!(
                "the connection was lost while namespace {namespace} was created or looked at"
            )),
            error => error,
        },
    }
}
