use clap::Args;
use elasticjob::configuration::cron::Expression;
use elasticjob::configuration::zone::Zone;
use elasticjob::operation::{NextFirings, next_firings};
use elasticjob::schedule::{Clock as _, SystemClock};
use jiff::Timestamp;

use crate::context::Context;
use crate::failure::{Failure, Outcome};

/// Show the next times of a cron expression or a job
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// A Quartz cron expression, such as '0 30 1 ? * MON-FRI'
    #[arg(required_unless_present = "job")]
    expression: Option<String>,

    /// The job, with its configuration in the registry centre
    #[arg(long, conflicts_with_all = ["expression", "zone", "after"])]
    job: Option<String>,

    /// The zone of the expression, such as `Asia/Shanghai`; left out, that of this machine
    #[arg(short, long, value_name = "NAME")]
    zone: Option<String>,

    /// Times after this one, such as `2026-03-29T00:00:00Z`; left out, after now
    #[arg(long, value_name = "TIME")]
    after: Option<Timestamp>,

    /// How many times
    #[arg(short, long, value_name = "NUMBER", default_value_t = 5)]
    count: u16,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        let count = usize::from(self.count);
        let firings = match &self.job {
            Some(job) => context.operations()?.next_firings(job, count).await?,
            None => self.of_expression(count)?,
        };
        context.show(&firings)?;
        Ok(Outcome::Done)
    }

    fn of_expression(&self, count: usize) -> Result<NextFirings, Failure> {
        let text = self.expression.as_deref().unwrap_or_default();
        let expression = Expression::parse(text).map_err(|errors| Failure::Usage(errors.to_string()))?;
        let zone = match &self.zone {
            Some(name) => Zone::parse(name).map_err(|error| Failure::Usage(error.to_string()))?,
            None => Zone::system(),
        };
        let after = self.after.unwrap_or_else(|| SystemClock::new().now());
        let times = next_firings(&expression, &zone, after, count);
        Ok(NextFirings::new(&expression, &zone, false, times))
    }
}
