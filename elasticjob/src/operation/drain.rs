//! Having an instance give its items away, and stay.
//!
//! Draining is a flag in the node of the member, which goes with its session: a process that starts again is not
//! drained. The leader counts a draining instance out when it shares the items out, and items that run move when their
//! runs have ended.

use serde::Serialize;

use crate::cluster::layout::Node;
use crate::cluster::member::Member;
use crate::cluster::transaction::Transaction;
use crate::registry::Step;

use super::survey::{Depth, Survey};
use super::{Error, Operations};

/// What became of an order to drain an instance, or to end that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Drained {
    /// The name of the job.
    pub job_name: String,
    /// Whether the leader follows the request: a Java leader goes on assigning items to the instance.
    pub is_effective: bool,
}

impl Operations {
    /// Drains an instance: it gives the items of all its jobs away, each as soon as its run ends, and takes no new ones. The instance
    /// stays a member, such as for an investigation, or before its process is stopped. [`undrain`](Self::undrain) ends this, and so
    /// does the end of its session.
    ///
    /// ```no_run
    /// use elasticjob::operation::Operations;
    ///
    /// # async fn f(operations: &Operations) -> Result<(), elasticjob::operation::Error> {
    /// for drained in operations.drain("10.0.0.7@-@4711-x1f2").await? {
    ///     if !drained.is_effective {
    ///         println!("{}: a Java member leads, and goes on assigning items", drained.job_name);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSuchInstance`], [`Error::NotOurs`], [`Error::Busy`], [`Error::Registry`].
    ///
    /// # Cancel safety
    /// Dropping the future may leave the instance drained in some of its jobs. The call can be repeated.
    pub async fn drain(&self, instance: &str) -> Result<Vec<Drained>, Error> {
        self.set_draining(instance, true).await
    }

    /// Ends the draining of an instance: the leaders of its jobs assign items to it again. Nothing changes for an instance that is
    /// not drained.
    ///
    /// # Errors
    /// As [`drain`](Self::drain).
    pub async fn undrain(&self, instance: &str) -> Result<Vec<Drained>, Error> {
        self.set_draining(instance, false).await
    }

    async fn set_draining(&self, instance: &str, draining: bool) -> Result<Vec<Drained>, Error> {
        let jobs = self.jobs_of_instance(instance).await?;
        let done = self.each(jobs, async |job| {
            self.change(&job, Depth::Whole, |survey| decide(survey, instance, draining))
                .await
        });
        done.await
    }
}

fn decide(survey: &Survey, instance: &str, draining: bool) -> Result<(Vec<Step>, Drained), Error> {
    let view = &survey.view;
    let Some((_, member)) = view.members.iter().find(|(id, _)| id.as_str() == instance) else {
        let instance = instance.to_owned();
        return Err(if view.instances.iter().any(|id| id.as_str() == instance) {
            Error::NotOurs { instance }
        } else {
            Error::NoSuchInstance { instance }
        });
    };
    let drained = Drained {
        job_name: survey.job().to_owned(),
        is_effective: view
            .leader
            .as_ref()
            .is_some_and(|leader| view.members.contains_key(leader)),
    };
    let mut transaction = Transaction::on(view);
    if member.draining != draining {
        transaction.set(
            Node::Member(instance),
            Member {
                draining,
                ..member.clone()
            }
            .to_bytes(),
            None,
        );
    }
    Ok((transaction.into_steps(), drained))
}
