//! Triggers that come with a transaction of the application, into a registry in the same PostgreSQL database.
//!
//! Nothing is asked of the registry's own session: the row that is written is all there is, and belongs to the application until it
//! commits. Members turn it into the nodes of an ordinary [trigger](super::trigger) then, so that everything else is as there.

use serde_json::json;
use sqlx::{Postgres, Transaction};

use crate::cluster::layout::Node;
use crate::cluster::trigger::Trigger;
use crate::registry;
use crate::registry::sql::Entry;

use super::survey::Depth;
use super::trigger::{Requested, check_length};
use super::{Error, Operations};

impl Operations {
    /// As [`trigger`](Self::trigger), by a transaction of the application: the run comes if the transaction is committed, and
    /// otherwise it does not. So an order is never stored without its run, nor a run started for an order that is not there.
    ///
    /// The registry has to be in the PostgreSQL database that the transaction is one of: the server and the database are compared, so
    /// that another address of the same server will do, and a pooler. The application of this value need not have the job. The role of
    /// the transaction needs `USAGE` on the schema `elasticjob` and `INSERT` on its table `inbox`.
    ///
    /// ```no_run
    /// use elasticjob::operation::Operations;
    /// use sqlx::PgPool;
    ///
    /// # async fn f(operations: &Operations, pool: &PgPool) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut transaction = pool.begin().await?;
    /// sqlx::query("INSERT INTO orders (number) VALUES (7)").execute(&mut *transaction).await?;
    /// let requested = operations.trigger_in(&mut transaction, "ship", Some("7")).await?;
    /// // Without the commit there is neither the order nor the run.
    /// transaction.commit().await?;
    /// # let _ = requested;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Instances look for it each 250 ms to 1 s, and a session of this process within 20 ms of the call and then ever more slowly; nothing
    /// is locked and no notification is sent by the transaction. The trigger is for the instances that there are when one of them finds
    /// it. If there is none, it waits for one; if the job is paused, for the end of that. From then on the run comes as any other
    /// triggered run does: as long as its instances live. Several calls in one transaction are several
    /// triggers, and join as others do. [`outcome`](Self::outcome) takes what is returned, after the commit. The outcome is known until a
    /// run for another trigger has ended.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`] and [`Error::ParameterTooLong`]. [`Error::Registry`] if the registry is of another kind, or if the transaction
    /// is one of another database, which names both. After these the transaction is as it was. After any other
    /// [`Error::Registry`] the database may have ended it: it can only be rolled back.
    ///
    /// # Cancel safety
    /// Dropping the future leaves open whether the run comes with the commit.
    pub async fn trigger_in(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        job: &str,
        parameter: Option<&str>,
    ) -> Result<Requested, Error> {
        check_length(parameter)?;
        self.survey(job, Depth::Brief).await?;
        let request = self.new_id();
        self.put(transaction, job, request.clone(), parameter)
            .await
            .map_err(|error| self.failed(error))?;
        Ok(requested(job, request))
    }

    /// Adds a trigger to a transaction, whether or not there is such a job. Its parameter is short enough.
    pub(crate) async fn put(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        job: &str,
        request: String,
        parameter: Option<&str>,
    ) -> Result<(), registry::Error> {
        let refused = |problem: String| Err(registry::Error::Refused(problem));
        let Some(inbox) = self.shared.registry.inbox() else {
            return refused(
                "a trigger comes with a transaction if the registry is in its PostgreSQL database".to_owned(),
            );
        };
        if let Some(place) = parameter.and_then(|parameter| parameter.find('\0')) {
            return refused(format!(
                "the parameter has U+0000 at byte {place}, which PostgreSQL takes in no text"
            ));
        }
        let trigger = Trigger {
            requests: vec![request],
            parameter: parameter.map(str::to_owned),
        };
        let entry = Entry {
            job: job.to_owned(),
            audience: Node::Instances.of(job),
            target: Node::Trigger.of(job),
            element: json!(trigger),
        };
        inbox.put(transaction, &entry).await
    }
}

/// Returns what is known of a trigger that comes with a commit.
pub(crate) fn requested(job: &str, request: String) -> Requested {
    Requested {
        job_name: job.to_owned(),
        request,
        server: None,
        item: None,
        instances: Vec::new(),
    }
}
