//! What every command works with.

use std::sync::{Arc, OnceLock};

use elasticjob::configuration::sources::Loader;
use elasticjob::operation::Operations;
use elasticjob::registry::Registry;

use crate::confirm;
use crate::failure::Failure;
use crate::output::{Output, Show};
use crate::registry::RegistryArguments;

/// What every command works with.
pub(crate) struct Context {
    registry: RegistryArguments,
    output: Output,
    says_yes: bool,
    operations: OnceLock<Operations>,
}

impl Context {
    pub(crate) fn new(registry: RegistryArguments, output: Output, says_yes: bool) -> Self {
        Self {
            registry,
            output,
            says_yes,
            operations: OnceLock::new(),
        }
    }

    /// Operations on the registry centre that is meant. Commands that need none never ask which that is.
    pub(crate) fn operations(&self) -> Result<&Operations, Failure> {
        if let Some(operations) = self.operations.get() {
            return Ok(operations);
        }
        let operations = self.registry.operations()?;
        Ok(self.operations.get_or_init(|| operations))
    }

    /// Operations on the registry centre at a place that a command names.
    pub(crate) fn operations_at(&self, place: &str) -> Result<Operations, Failure> {
        Ok(Operations::new(self.registry.at(place)?))
    }

    /// The registry centre that is meant, for what is done with the whole of it.
    pub(crate) fn registry(&self) -> Result<Arc<dyn Registry>, Failure> {
        self.registry.registry()
    }

    /// The registry centre that the command has asked, if it has asked one.
    pub(crate) fn registry_name(&self) -> Option<String> {
        self.operations.get().map(Operations::registry)
    }

    /// What reads the configuration that is meant.
    pub(crate) fn loader(&self) -> Loader {
        self.registry.loader()
    }

    /// Returns which profiles the files have settings for, if the operator has named none and others count.
    pub(crate) fn forgotten_profiles(&self) -> Option<String> {
        self.registry.forgotten_profiles()
    }

    pub(crate) fn output(&self) -> &Output {
        &self.output
    }

    /// Shows an answer.
    pub(crate) fn show(&self, answer: &impl Show) -> Result<(), Failure> {
        self.output.show(answer)
    }

    /// Asks the operator for confirmation, unless `--yes` was given.
    pub(crate) fn confirm(&self, question: &str) -> Result<(), Failure> {
        if self.says_yes { Ok(()) } else { confirm::ask(question) }
    }

    /// Ends the session with the registry, if there is one.
    pub(crate) async fn close(&self) {
        if let Some(operations) = self.operations.get() {
            operations.close().await;
        }
    }
}
