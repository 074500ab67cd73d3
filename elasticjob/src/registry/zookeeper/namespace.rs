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
    /// The part of the path that is not ours to create, `/` for none.
    pub(super) chroot: Arc<str>,
    /// The whole path.
    pub(super) path: Arc<str>,
    pub(super) acls: zk::Acls<'static>,
}

impl Namespace {
    /// Creates what is missing below the chroot, and makes sure that we may use it.
    pub(super) async fn ensure(&self, client: &zk::Client) -> Result<(), Error> {
        self.check_chroot(client).await?;
        if *self.path == *self.chroot {
            return Ok(());
        }
        let options = zk::CreateMode::Container.with_acls(self.acls);
        let made = client.mkdir(&self.path, &options).await;
        made.map_err(|error| self.explain(error))?;
        // Creating what exists asks for no rights on it, reading does.
        self.check_rights(client).await
    }

    /// Checks that we may use the namespace if it exists.
    pub(super) async fn check(&self, client: &zk::Client) -> Result<(), Error> {
        self.check_chroot(client).await?;
        self.check_rights(client).await
    }

    async fn check_rights(&self, client: &zk::Client) -> Result<(), Error> {
        match client.get_data(&self.path).await {
            Ok(_) | Err(zk::Error::NoNode) => Ok(()),
            Err(error) => Err(self.explain(error)),
        }
    }

    /// Refuses a chroot that is not there. An operator creates it once, with the rights that it should have; one that is
    /// created by a slip of the pen would be a second cluster, which runs all jobs once more.
    async fn check_chroot(&self, client: &zk::Client) -> Result<(), Error> {
        let chroot = &*self.chroot;
        if chroot == "/" {
            return Ok(());
        }
        match client.check_stat(chroot).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(Error::Refused(format!(
                "there is no {chroot}, the path behind the servers in `reg-center.server-lists`: correct it, or create it with \
                 `create {chroot}` in `zkCli.sh`"
            ))),
            Err(error) => Err(self.explain(error)),
        }
    }

    /// Returns why the namespace cannot be used, in words for an operator.
    fn explain(&self, error: zk::Error) -> Error {
        let path = &self.path;
        match error {
            zk::Error::NoAuth => Error::Refused(format!(
                "no access to namespace {path}: it belongs to another digest or user than the one given, or a node above it may \
                 not be changed"
            )),
            zk::Error::AuthFailed => Error::Refused("our authentication was not accepted".to_owned()),
            zk::Error::InvalidAcl => Error::Refused(
                "no login of ours was accepted: a digest has the form user:password, and SASL needs users in the servers' JAAS file"
                    .to_owned(),
            ),
            error => match convert::error(error) {
                Error::ConnectionLoss | Error::SessionExpired => Error::Unreachable(format!(
                    "the connection was lost while namespace {path} was created or looked at"
                )),
                error => error,
            },
        }
    }
}
