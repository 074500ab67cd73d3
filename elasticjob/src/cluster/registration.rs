//! Joining a job: its class, the configuration in force, and the nodes of the new instance.
//!
//! The steps, each of which may be refused and is then decided again from what is there:
//!
//! 1. Read the root and the configuration. If the root names another class, the job is another one, and this
//!    application must not touch it.
//! 2. Store the configuration if the registry has none, or if the job's `overwrite` is on. Otherwise the registry's is
//!    in force. Either write expects the version that was read, so of two applications that start at once one stores,
//!    and the other reads what was stored.
//! 3. Write server, instance and member in one transaction, which checks that the configuration is still there. An
//!    instance is never half registered, and a job that is being removed is not brought back by its nodes.
//!
//! If an answer is lost, the subtree shows on the next try whether the instance is there, by its id.

use std::sync::Arc;

use elasticjob_config::job::JobConfig;
use tracing::{debug, info, warn};

use crate::guard;
use crate::registry::{self, Answer, CreateMode, Error as Registry, Limits, Read, Stat};

use super::layout::Node;
use super::member::Member;
use super::refusal::Refusal;
use super::session::Membership;
use super::subtree;
use super::transaction::Transaction;
use super::view::{StoredConfig, View};

/// How often a registration is tried if other instances that register at the same time interfere.
const ATTEMPTS: u32 = 20;

/// A job as this application would have it.
#[derive(Clone, Debug)]
pub(crate) struct Application {
    pub(crate) config: Arc<JobConfig>,
    /// What the job's root node is to hold: the name of a Java class, or a job type. `None` leaves it blank.
    pub(crate) implementation: Option<String>,
    /// What this instance says that it can run.
    pub(crate) labels: Arc<[String]>,
}

/// The configuration that the registry has of a job.
#[derive(Clone, Debug)]
pub(crate) enum Stored {
    /// A job can run by it.
    Valid { config: Arc<JobConfig>, known: KnownConfig },
    /// No job can.
    Refused(Refusal),
}

/// What tells the stored configuration that is known from a later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KnownConfig {
    /// It was read: the transaction that stored it.
    Read(i64),
    /// We stored it, with this text.
    Stored(String),
}

impl KnownConfig {
    /// Returns whether the stored configuration is this one.
    pub(crate) fn is(&self, stored: &StoredConfig) -> bool {
        match self {
            Self::Read(modified) => *modified == stored.modified,
            Self::Stored(text) => *text == stored.text,
        }
    }
}

/// Why a job cannot run here.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistrationError {
    /// The job is another one in the registry.
    #[error("job `{job}`: the registry has it as `{registered}`, this application as `{own}`")]
    Conflict {
        /// The name of the job.
        job: String,
        /// What the registry says it is.
        registered: String,
        /// What this application says it is.
        own: String,
    },
    /// The registry does not do what it is asked.
    #[error("job `{job}`: cannot be registered")]
    Registry {
        /// The name of the job.
        job: String,
        /// Why.
        source: registry::Error,
    },
}

impl RegistrationError {
    /// Returns the job.
    pub(crate) fn job(&self) -> &str {
        match self {
            Self::Conflict { job, .. } | Self::Registry { job, .. } => job,
        }
    }
}

impl Application {
    /// Returns the name of the job.
    pub(crate) fn name(&self) -> &str {
        self.config.name().as_str()
    }

    /// Checks that the job may be registered. Writes nothing.
    pub(crate) async fn check(&self, membership: &Membership) -> Result<(), RegistrationError> {
        let found = self.read(membership).await.map_err(|error| self.refused(error))?;
        self.check_found(&found)
    }

    fn check_found(&self, found: &Found) -> Result<(), RegistrationError> {
        let registered = found.root.as_deref().unwrap_or_default();
        if let Some(own) = &self.implementation
            && !registered.trim().is_empty()
            && registered != own
        {
            let (job, registered, own) = (self.name().to_owned(), registered.to_owned(), own.clone());
            return Err(RegistrationError::Conflict { job, registered, own });
        }
        Ok(())
    }

    /// Reads a stored configuration.
    ///
    /// # Errors
    /// Why no job can run by it. A text that our own reader panics on is refused like any other.
    pub(crate) fn stored(&self, text: &str) -> Result<JobConfig, String> {
        let stored = guard::call(|| JobConfig::from_registry(text))
            .map_err(|panicked| format!("reading it {panicked}"))?
            .map_err(|errors| errors.to_string())?;
        for warning in &stored.warnings {
            warn!(job = self.name(), key = warning.key, "{}", warning.message);
        }
        Ok(stored.config)
    }

    /// Stores our configuration where there is none or ours is to overwrite it; gives what the registry has then.
    ///
    /// What the stored one holds that we do not understand is kept.
    pub(crate) async fn configure(&self, membership: &Membership) -> Result<Stored, RegistrationError> {
        let mut refused = Registry::ConnectionLoss;
        for _ in 0..ATTEMPTS {
            let found = self.read(membership).await.map_err(|error| self.refused(error))?;
            self.check_found(&found)?;
            let (stored, steps) = self.plan(&found, membership.limits());
            if steps.is_empty() {
                return Ok(stored);
            }
            match membership.write(steps).await {
                Ok(_) => return Ok(stored),
                Err(error) if is_race(&error.error) => refused = error.error,
                Err(error) => return Err(self.refused(error.error)),
            }
        }
        Err(self.refused(refused))
    }

    /// Decides which configuration is in force, and what has to be written for it. Pure.
    fn plan(&self, found: &Found, limits: Limits) -> (Stored, Vec<registry::Step>) {
        let view = View::within(limits, self.name());
        let mut transaction = Transaction::on(&view);
        let implementation = self.implementation.clone().unwrap_or_default();
        match &found.root {
            None => {
                transaction.create(Node::Root, implementation, CreateMode::Persistent);
            }
            Some(root) if root.is_empty() && !implementation.is_empty() => {
                transaction.set(Node::Root, implementation, None);
            }
            Some(_) => {}
        }
        let (config, known) = match &found.config {
            None => {
                let own = self.text(&self.config);
                transaction.create(Node::Config, own.as_str(), CreateMode::Persistent);
                (Arc::clone(&self.config), KnownConfig::Stored(own))
            }
            Some((text, stat)) if self.config.overwrite() => {
                let config = match self.stored(text) {
                    Ok(stored) => Arc::new(self.config.keeping(&stored)),
                    Err(_) => Arc::clone(&self.config),
                };
                let own = self.text(&config);
                if own == *text {
                    (config, KnownConfig::Read(stat.modified))
                } else {
                    info!(job = self.name(), "overwriting the configuration in the registry");
                    transaction.set(Node::Config, own.as_str(), Some(stat.version));
                    (config, KnownConfig::Stored(own))
                }
            }
            Some((text, stat)) => {
                let known = KnownConfig::Read(stat.modified);
                let stored = match self.stored(text) {
                    Ok(stored) => stored,
                    Err(reason) => return (Stored::Refused(Refusal { reason, known }), Vec::new()),
                };
                (Arc::new(stored), known)
            }
        };
        (Stored::Valid { config, known }, transaction.into_steps())
    }

    /// Returns the configuration as it is stored.
    fn text(&self, config: &JobConfig) -> String {
        let form = config.to_registry();
        // A warning where there is a Java member.
        for warning in &form.warnings {
            debug!(job = self.name(), key = warning.key, "{}", warning.message);
        }
        form.yaml
    }

    /// Reads the root and the configuration of the job.
    async fn read(&self, membership: &Membership) -> Result<Found, Registry> {
        let reads = vec![
            Read::Data(Node::Root.of(self.name())),
            Read::Data(Node::Config.of(self.name())),
        ];
        let mut answers = membership.read(reads).await?.into_iter();
        let mut next = || match answers.next() {
            Some(Answer::Data(Some((data, stat)))) => Some((String::from_utf8_lossy(&data).into_owned(), stat)),
            _ => None,
        };
        Ok(Found {
            root: next().map(|(text, _)| text),
            config: next(),
        })
    }

    /// Writes the nodes that say we are there: server, instance, member. The view is of before.
    ///
    /// An operator's word on the server is kept, except by a first start with a configuration that is disabled.
    pub(crate) async fn join(
        &self,
        membership: &Membership,
        config: &JobConfig,
        member: &Member,
        is_first: bool,
    ) -> Result<View, RegistrationError> {
        let mut refused = Registry::ConnectionLoss;
        for _ in 0..ATTEMPTS {
            let view = subtree::read(membership, self.name())
                .await
                .map_err(|error| self.refused(error))?;
            let id = membership.id();
            let server = Node::Server(id.server());
            let mut transaction = Transaction::on(&view);
            transaction.check(Node::Config, None);
            match (view.has(server), config.disabled()) {
                (false, false) => {
                    transaction.create(server, "ENABLED", CreateMode::Persistent);
                }
                (false, true) => {
                    transaction.create(server, "DISABLED", CreateMode::Persistent);
                }
                (true, true) if is_first => {
                    transaction.set(server, "DISABLED", None);
                }
                (true, _) => {}
            }
            transaction.create(Node::Instance(id.as_str()), id.to_yaml(), CreateMode::Ephemeral);
            if view.standbys.contains(id) {
                transaction.delete(Node::Standby(id.as_str()));
            }
            transaction.create(Node::Member(id.as_str()), member.to_bytes(), CreateMode::Ephemeral);
            match membership.write(transaction.into_steps()).await {
                Ok(_) => return Ok(view),
                Err(_) if view.instances.contains(id) => return Ok(view),
                Err(error) if is_race(&error.error) => refused = error.error,
                Err(error) => return Err(self.refused(error.error)),
            }
        }
        Err(self.refused(refused))
    }

    /// Wraps an error of the registry with the name of the job.
    pub(super) fn refused(&self, source: Registry) -> RegistrationError {
        RegistrationError::Registry {
            job: self.name().to_owned(),
            source,
        }
    }
}

/// What the registry has of a job.
struct Found {
    root: Option<String>,
    config: Option<(String, Stat)>,
}

impl RegistrationError {
    /// Returns whether another try may succeed.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Registry {
                source: Registry::Busy(_)
                    | Registry::ConnectionLoss
                    | Registry::SessionExpired
                    | Registry::Unreachable(_),
                ..
            }
        ) || matches!(self, Self::Registry { source, .. } if is_race(source))
    }
}

/// Returns whether other instances that write at the same time can be the cause.
fn is_race(error: &Registry) -> bool {
    matches!(error, Registry::NodeExists | Registry::NoNode | Registry::BadVersion)
}
