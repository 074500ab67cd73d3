use clap::Args;

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output::Done;

/// Move all items of an instance to others as their runs end; the instance stays, without items
#[derive(Clone, Debug, Args)]
pub(crate) struct DrainArguments {
    /// The instance, by its id
    instance: String,
}

/// Let a drained instance take items again
#[derive(Clone, Debug, Args)]
pub(crate) struct UndrainArguments {
    /// The instance, by its id
    instance: String,
}

impl DrainArguments {
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        let to = context.operations()?.drain(&self.instance).await?;
        let what = "gives its items away";
        context.show(&Done { what, to })?;
        Ok(Outcome::Done)
    }
}

impl UndrainArguments {
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        let to = context.operations()?.undrain(&self.instance).await?;
        let what = "takes items again";
        context.show(&Done { what, to })?;
        Ok(Outcome::Done)
    }
}
