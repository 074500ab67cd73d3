use std::time::Duration;

use clap::Args;
use elasticjob::trace::history::{History, RecordedLog};

use crate::command::history::DatabaseArguments;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output::{Logs, Messages};

/// Between two looks at a run that goes on.
const LOOK: Duration = Duration::from_secs(1);

/// Show what a run has logged, each attempt for itself
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// The run, as `elasticjob history` shows it
    run: String,

    /// One attempt of it, from 1
    #[arg(short, long, value_name = "NUMBER")]
    attempt: Option<u32>,

    /// Go on until the run has ended, or until interrupted; also if it has logged nothing yet
    #[arg(long)]
    follow: bool,

    #[command(flatten)]
    database: DatabaseArguments,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        let database = self.database.database(context.loader())?;
        let history = History::open(&database)?;
        if self.follow && !context.output().is_json() {
            return self.follow(&history, context).await;
        }
        let logs = self.logs(&history).await?;
        if logs.is_empty() {
            return Err(Failure::NotThere(format!(
                "no log of run `{}` in {database}: `elasticjob.tracing.run-log` says of which runs logs are kept",
                self.run
            )));
        }
        context.show(&Logs(logs))?;
        Ok(Outcome::Done)
    }

    async fn logs(&self, history: &History) -> Result<Vec<RecordedLog>, Failure> {
        let mut logs = history.logs(&self.run).await?;
        logs.retain(|log| self.attempt.is_none_or(|attempt| log.attempt == attempt));
        Ok(logs)
    }

    /// Prints what is new, until the newest attempt is over.
    async fn follow(&self, history: &History, context: &Context) -> Result<Outcome, Failure> {
        let mut printed = Printed::default();
        loop {
            let logs = self.logs(history).await?;
            for log in &logs {
                let messages: Vec<&str> = log.messages().collect();
                let unseen = printed.unseen(log.attempt, log.cut(), &messages);
                if !unseen.is_empty() {
                    context.show(&Messages::new(log, unseen))?;
                }
            }
            if logs.last().is_some_and(|newest| newest.is_over) {
                return Ok(Outcome::Done);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// How many messages of which attempt have been printed.
#[derive(Debug, Default)]
struct Printed {
    attempt: u32,
    messages: u64,
}

impl Printed {
    /// Returns the messages of a log that have not been printed: those of an older attempt have.
    fn unseen<'a>(&mut self, attempt: u32, cut: u64, messages: &'a [&'a str]) -> &'a [&'a str] {
        if attempt < self.attempt {
            return &[];
        }
        if attempt > self.attempt {
            *self = Self { attempt, messages: 0 };
        }
        let seen = self.messages.saturating_sub(cut);
        self.messages = cut + messages.len() as u64;
        let seen = usize::try_from(seen).unwrap_or(usize::MAX).min(messages.len());
        &messages[seen..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_each_message_once() {
        let mut printed = Printed::default();
        assert_eq!(printed.unseen(1, 0, &["a", "b"]), ["a", "b"]);
        assert!(printed.unseen(1, 0, &["a", "b"]).is_empty());
        assert_eq!(printed.unseen(1, 1, &["b", "c"]), ["c"]);
        assert_eq!(
            printed.unseen(1, 7, &["h"]),
            ["h"],
            "what was cut off before it was seen is gone"
        );
        assert_eq!(printed.unseen(2, 0, &["a"]), ["a"]);
        assert!(printed.unseen(1, 0, &["z"]).is_empty(), "an attempt that is over");
    }
}
