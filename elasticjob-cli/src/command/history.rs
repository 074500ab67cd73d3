use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use elasticjob::configuration::Secret;
use elasticjob::configuration::sources::Loader;
use elasticjob::schedule::{Clock as _, SystemClock};
use elasticjob::trace::Source;
use elasticjob::trace::history::{Cursor, Database, History, Page, RecordedRun, RunFilter, RunOutcome};
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output::{Counts, RunPage, Skips, Took};

/// List runs from the history, the newest first, in the database that `elasticjob.tracing` names
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// The job; left out, all
    job: Option<String>,

    /// One item of the job
    #[arg(short, long, value_name = "NUMBER")]
    item: Option<u32>,

    /// Runs with this outcome: running, succeeded, failed, cancelled, lost
    #[arg(short, long)]
    outcome: Option<RunOutcome>,

    /// Runs with this source
    #[arg(long, value_enum)]
    source: Option<Reason>,

    /// Runs on this instance, or on the server with this address
    #[arg(long, value_name = "ID")]
    instance: Option<String>,

    /// From this time on: `2h`, `7d` ago, or a time such as `2026-11-21T08:00:00Z`
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,

    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,

    /// How many runs
    #[arg(short, long, value_name = "NUMBER", default_value_t = 20)]
    count: u32,

    /// Start after this run: the value that the previous page printed
    #[arg(long, value_name = "PLACE")]
    after: Option<Cursor>,

    /// Count runs by outcome, in intervals of this length, such as `1h`
    #[arg(long, value_name = "DURATION", value_parser = interval, group = "question")]
    per: Option<Duration>,

    /// Show how long runs took
    #[arg(long, group = "question")]
    durations: bool,

    /// Show skipped times, and why they were skipped
    #[arg(long, group = "question")]
    skipped: bool,

    #[command(flatten)]
    database: DatabaseArguments,
}

/// Which database the history is in.
#[derive(Clone, Debug, Args)]
pub(crate) struct DatabaseArguments {
    /// The database, if not that of the configuration: `sqlite:FILE`, `postgres://USER@HOST/DATABASE` ...; also by the
    /// environment variable ELASTICJOB_HISTORY_URL. Every user of the machine can see this argument: give a password by
    /// ELASTICJOB_HISTORY_URL, ELASTICJOB_HISTORY_PASSWORD or a file
    #[arg(long, value_name = "URL", value_parser = secret)]
    database: Option<Secret>,

    /// A file with the password of the database in its first line
    #[arg(long, value_name = "PATH")]
    password_file: Option<PathBuf>,
}

/// The environment variable with the URL of the database, and that with its password.
const URL: &str = "ELASTICJOB_HISTORY_URL";
const PASSWORD: &str = "ELASTICJOB_HISTORY_PASSWORD";

/// Why an item was run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Reason {
    Schedule,
    Misfire,
    Trigger,
    Failover,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        let database = self.database.database(context.loader())?;
        let history = History::open(&database)?;
        let filter = self.filter();
        if let Some(interval) = self.per {
            context.show(&Counts(history.counts(&filter, interval).await?))?;
        } else if self.durations {
            context.show(&Took(history.durations(&filter).await?))?;
        } else if self.skipped {
            context.show(&Skips(history.skipped(&filter, self.count).await?))?;
        } else {
            context.show(&RunPage(self.runs(&history, &filter).await?))?;
        }
        Ok(Outcome::Done)
    }

    /// As many runs as are asked for, where there are: a page of the history may be short.
    async fn runs(&self, history: &History, filter: &RunFilter) -> Result<Page<RecordedRun>, Failure> {
        let mut all = history.runs(filter, self.after.as_ref(), self.count).await?;
        while let Some(after) = &all.next {
            let missing = usize::try_from(self.count)
                .unwrap_or(usize::MAX)
                .saturating_sub(all.rows.len());
            let Ok(missing @ 1..) = u32::try_from(missing) else {
                break;
            };
            let page = history.runs(filter, Some(after), missing).await?;
            all.rows.extend(page.rows);
            all.next = page.next;
        }
        Ok(all)
    }

    fn filter(&self) -> RunFilter {
        let mut filter = RunFilter::default();
        if let Some(job) = &self.job {
            filter = filter.job(job);
        }
        if let Some(item) = self.item {
            filter = filter.item(item);
        }
        if let Some(outcome) = self.outcome {
            filter = filter.outcome(outcome);
        }
        if let Some(source) = self.source {
            filter = filter.source(source.into());
        }
        if let Some(instance) = &self.instance {
            filter = filter.instance(instance);
        }
        if let Some(since) = self.since {
            filter = filter.from(since);
        }
        if let Some(until) = self.until {
            filter = filter.until(until);
        }
        filter
    }
}

impl DatabaseArguments {
    /// Returns the database that the arguments, the environment or the configuration name.
    pub(crate) fn database(&self, loader: Loader) -> Result<Database, Failure> {
        let database = self.database_of_url(loader)?;
        let password = match &self.password_file {
            Some(path) => Some(first_line(path)?),
            None => variable(PASSWORD),
        };
        Ok(match password {
            Some(password) => database.with_password(&password),
            None => database,
        })
    }

    /// Returns the database, with the password that stands in its URL, if one does.
    fn database_of_url(&self, loader: Loader) -> Result<Database, Failure> {
        if let Some(url) = &self.database {
            let database = parsed("--database", url.reveal())?;
            if database.has_password() {
                eprintln!(
                    "warning: every user of this machine can see the password in --database: give it by {URL}, by {PASSWORD} or by \
                     --password-file"
                );
            }
            return Ok(database);
        }
        if let Some(url) = variable(URL) {
            return parsed(URL, &url);
        }
        let Some(tracing) = loader.load_tracing()? else {
            return Err(Failure::Unnamed(format!(
                "no database is named: neither by `elasticjob.tracing` in application.* nor by --database or {URL}"
            )));
        };
        if tracing.storage != "RDB" {
            return Err(Failure::Usage(format!(
                "{}: `elasticjob.tracing.type` is `{}`, a type of the application, which cannot be read here: name a database by \
                 --database or {URL}",
                tracing.origin, tracing.storage
            )));
        }
        Database::of_settings(&tracing).map_err(|faults| {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            Failure::Usage(faults.join("; "))
        })
    }
}

impl From<Reason> for Source {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Schedule => Self::Schedule,
            Reason::Misfire => Self::Misfire,
            Reason::Trigger => Self::Trigger,
            Reason::Failover => Self::Failover,
        }
    }
}

/// A value that nothing prints.
#[expect(clippy::unnecessary_wraps, reason = "a value parser may fail")]
fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}

/// Returns the value of an environment variable, if it is one.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn parsed(origin: &str, url: &str) -> Result<Database, Failure> {
    url.parse()
        .map_err(|fault| Failure::Usage(format!("{origin}: {fault}")))
}

fn first_line(path: &Path) -> Result<String, Failure> {
    let text = fs::read_to_string(path).map_err(|source| Failure::File {
        what: format!("cannot read {}", path.display()),
        source,
    })?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(Failure::Usage(format!(
            "--password-file: the first line of {} is empty, and a password is expected there",
            path.display()
        ))),
    }
}

/// A time, or how long ago it was.
fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let ago = span(text)?;
    let now = SystemClock::new().now();
    now.checked_sub(ago).map_err(|_| "that is too long ago".to_owned())
}

fn interval(text: &str) -> Result<Duration, String> {
    let length = Duration::try_from(span(text)?).map_err(|_| "a length above zero is expected".to_owned())?;
    if length.is_zero() {
        Err("a length above zero is expected".to_owned())
    } else {
        Ok(length)
    }
}

fn span(text: &str) -> Result<SignedDuration, String> {
    let span: Result<Span, jiff::Error> = text.parse();
    let length = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
    length.map_err(|_| "a duration such as `30m`, `2h` or `7d` is expected".to_owned())
}
