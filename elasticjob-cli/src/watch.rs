//! Looking again and again.

use std::time::Duration;

use clap::Args;
use elasticjob::operation::Operations;

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output::Show;

/// Between two looks, unless said otherwise.
const INTERVAL: &str = "2";

/// For commands that look at something.
#[derive(Clone, Debug, Args)]
pub(crate) struct WatchArguments {
    /// Look again every so many seconds, until interrupted
    #[arg(short, long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = INTERVAL)]
    #[arg(value_parser = seconds)]
    watch: Option<Duration>,
}

impl WatchArguments {
    /// Shows what `look` sees, once or again and again. A registry that does not answer, or has nothing of it, ends a
    /// single look only.
    pub(crate) async fn look<T: Show>(
        &self,
        context: &Context,
        look: impl AsyncFn(&Operations) -> Result<T, elasticjob::operation::Error>,
    ) -> Result<Outcome, Failure> {
        let operations = context.operations()?;
        let Some(interval) = self.watch else {
            let answer = look(operations).await?;
            let Some(nothing) = answer.is_nothing() else {
                context.show(&answer)?;
                return Ok(if answer.is_partial() {
                    Outcome::Refused
                } else {
                    Outcome::Done
                });
            };
            if context.output().is_json() {
                context.show(&answer)?;
            }
            return Err(Failure::NotThere(format!("{nothing} in {}", operations.registry())));
        };
        loop {
            match look(operations).await.map_err(Failure::from) {
                Ok(answer) => context.output().show_again(&answer)?,
                Err(failure) if failure.is_passing() => drop(failure.report()),
                Err(failure) => return Err(failure),
            }
            tokio::time::sleep(interval).await;
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds is expected".to_owned())?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    if duration >= Duration::from_millis(100) {
        Ok(duration)
    } else {
        Err("a tenth of a second is the shortest".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_a_tenth_of_a_second_at_least() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for refused in ["", "soon", "-1", "0", "0.01", "NaN", "1e300"] {
            assert!(seconds(refused).is_err(), "{refused}");
        }
    }
}
