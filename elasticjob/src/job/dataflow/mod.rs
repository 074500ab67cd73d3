//! Jobs that fetch data and process it, batch after batch.
//!
//! A stream is one run of the cluster, however many batches it has. It looks for a reason to end between two batches,
//! and yields to the runtime there, so that it can be stopped although neither of its methods awaits.

mod closure;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use tracing::{debug, info};

use super::context::{RunContext, ShardingContext};
use super::declaration::Kind;
use super::erased::{ErasedJob, JobTrait};
use super::outcome::{BoxError, Outcome};
use crate::erased::BoxFuture;

pub use closure::{Fetch, IntoBatch, Process, dataflow};

/// The prop that has a dataflow job go on for as long as there is data. Java's name for it.
pub(crate) const STREAMING: &str = "streaming.process";

/// A job that fetches data of its sharding item and processes it.
///
/// Write both methods as plain `async fn`. The type is made by `Default`, or with its components by `#[derive(Inject)]`;
/// `#[elastic_job(..)]` on the `impl` block declares it. [`dataflow`] makes one of two closures.
///
/// # Flow
/// 1. [`fetch`](Self::fetch) returns a batch. If it is empty, the run has ended.
/// 2. [`process`](Self::process) receives the batch.
/// 3. By default the run has ended now: it is one batch for each scheduled time. With `streaming` it goes on at 1.
///
/// # Guarantees
/// - **A stream ends between two batches**, as a success, when the run [should end](RunContext::wind_down): the application stops, the
///   item is about to move to another instance, or an operator switches it off or changes the job's props or parameters. At the
///   next scheduled time the owner of the item goes on with the data that is left.
/// - **No item of an instance starves.** If one has run out of data, or the job is triggered, the streams of the others end when the
///   next time comes, so that all of them run again.
/// - **A batch has its limits to itself.** A `timeout` applies to each batch, and after each batch a stream has all its `retry`s again.
/// - **Each batch is processed by one run at a time**, like any item.
///
/// # Assumptions
/// - **`process` marks data as processed**, in the same transaction as its effects if there is one. If the process dies after
///   `fetch`, or in `process`, the next run fetches the batch again. With the mark no data is lost, and none is processed twice.
/// - **The data store refuses a late run**, by the [fencing token](ShardingContext::fencing_token), if `process` blocks or spawns tasks.
/// - **`fetch` returns as much as fits into memory**: the batch is a `Vec`.
///
/// ```
/// use elasticjob::prelude::*;
///
/// struct Bill(u64);
///
/// /// Settles the bills that are open.
/// #[derive(Default)]
/// struct Settle;
///
/// #[elastic_job(cron = "0 0 2 * * ?", sharding = 4, streaming)]
/// impl DataflowJob for Settle {
///     type Item = Bill;
///
///     async fn fetch(&self, shard: &ShardingContext) -> Result<Vec<Bill>, BoxError> {
///         // Such as `SELECT .. WHERE settled_at IS NULL AND id % 4 = item LIMIT 100`.
///         Ok(vec![Bill(u64::from(shard.sharding_item()))])
///     }
///
///     async fn process(&self, _shard: &ShardingContext, bills: Vec<Bill>) -> Result<(), BoxError> {
///         for Bill(id) in bills {
///             println!("settled {id}");
///         }
///         Ok(())
///     }
/// }
/// # use elasticjob::job::{Job, Kind};
/// # assert_eq!(Settle::DECLARATION.kind(), Kind::Dataflow);
/// # assert!(Settle::DECLARATION.values().contains(&("props.streaming.process", "true")));
/// ```
pub trait DataflowJob: Sized + Send + Sync + 'static {
    /// What it is that is processed.
    type Item: Send + 'static;

    /// Fetches the next batch of one sharding item. None at all means that there is no more.
    ///
    /// # Errors
    /// Any error fails the run and goes to the job's error handler.
    ///
    /// # Cancel safety
    /// The future is dropped at an await point when the run has to end early.
    fn fetch(&self, shard: &ShardingContext) -> impl Future<Output = Result<Vec<Self::Item>, BoxError>> + Send;

    /// Processes a batch, which is not empty.
    ///
    /// # Errors
    /// Any error fails the run and goes to the job's error handler. The run fetches no more data.
    ///
    /// # Cancel safety
    /// The future is dropped at an await point when the run has to end early: a run that only
    /// [should end](RunContext::wind_down) is given its time for this, within the grace period of a shutdown.
    fn process(
        &self,
        shard: &ShardingContext,
        data: Vec<Self::Item>,
    ) -> impl Future<Output = Result<(), BoxError>> + Send;

    #[doc(hidden)]
    const __ELASTIC_JOB_TRAIT: JobTrait<Self> =
        JobTrait::new(Kind::Dataflow, |job| Box::new(Dataflow(Arc::new(OfType(job)))));
}

/// Fetches and processes for a run, wherever it comes from.
trait Flow: Send + Sync + 'static {
    type Item: Send + 'static;

    fn fetch(&self, run: &RunContext) -> impl Future<Output = Result<Vec<Self::Item>, BoxError>> + Send;

    fn process(&self, run: &RunContext, data: Vec<Self::Item>) -> impl Future<Output = Outcome> + Send;
}

struct OfType<J>(J);

impl<J: DataflowJob> Flow for OfType<J> {
    type Item = J::Item;

    async fn fetch(&self, run: &RunContext) -> Result<Vec<J::Item>, BoxError> {
        self.0.fetch(run.sharding()).await
    }

    async fn process(&self, run: &RunContext, data: Vec<J::Item>) -> Outcome {
        self.0.process(run.sharding(), data).await
    }
}

struct Dataflow<F>(Arc<F>);

impl<F: Flow> ErasedJob for Dataflow<F> {
    fn run(&self, run: RunContext) -> BoxFuture<'static, Outcome> {
        let flow = Arc::clone(&self.0);
        Box::pin(async move { go_through(&*flow, &run).await })
    }
}

/// One batch; where the job streams, one after the other.
async fn go_through<F: Flow>(flow: &F, run: &RunContext) -> Outcome {
    let is_streaming = is_streaming(run.props());
    let mut batches: u64 = 0;
    loop {
        let data = flow.fetch(run).await?;
        if data.is_empty() {
            debug!(batches, "no more data");
            return Ok(());
        }
        flow.process(run, data).await?;
        batches += 1;
        run.pieces().made();
        if !is_streaming {
            return Ok(());
        }
        // A run is stopped where it awaits, and neither of the two calls above has to await.
        tokio::task::yield_now().await;
        if run.wind_down().is_cancelled() {
            info!(batches, "stream ended before its data: the run was asked to end");
            return Ok(());
        }
    }
}

/// The starter has seen that it is `true` or `false`, in any case.
fn is_streaming(props: &BTreeMap<String, String>) -> bool {
    let value = props.get(STREAMING).map(|value| value.trim());
    value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::FutureExt as _;

    use super::*;

    /// Counts down by three at a time.
    struct CountDown {
        left: AtomicU32,
        processed: Mutex<Vec<Vec<u32>>>,
        /// The number that cannot be processed.
        bad: Option<u32>,
    }

    impl CountDown {
        fn from(left: u32) -> Arc<Self> {
            Arc::new(Self {
                left: AtomicU32::new(left),
                processed: Mutex::default(),
                bad: None,
            })
        }

        fn processed(&self) -> Vec<Vec<u32>> {
            self.processed.lock().unwrap().clone()
        }
    }

    impl DataflowJob for Arc<CountDown> {
        type Item = u32;

        async fn fetch(&self, _: &ShardingContext) -> Result<Vec<u32>, BoxError> {
            let left = self.left.load(Ordering::Relaxed);
            let next = left.saturating_sub(3);
            self.left.store(next, Ordering::Relaxed);
            Ok((next..left).rev().collect())
        }

        async fn process(&self, _: &ShardingContext, data: Vec<u32>) -> Result<(), BoxError> {
            if self.bad.is_some_and(|bad| data.contains(&bad)) {
                return Err("a bad number".into());
            }
            self.processed.lock().unwrap().push(data);
            Ok(())
        }
    }

    fn context(streaming: &str) -> RunContext {
        let props = BTreeMap::from([(STREAMING.to_owned(), streaming.to_owned())]);
        RunContext::for_test(ShardingContext::for_test(0, 1)).with_props(props)
    }

    fn erased(job: &Arc<CountDown>) -> Box<dyn ErasedJob> {
        <Arc<CountDown> as DataflowJob>::__ELASTIC_JOB_TRAIT.erase(Arc::clone(job))
    }

    #[tokio::test]
    async fn a_stream_should_end_with_its_data() {
        let job = CountDown::from(7);
        erased(&job).run(context("TRUE")).await.unwrap();
        assert_eq!(job.processed(), [vec![6, 5, 4], vec![3, 2, 1], vec![0]]);
    }

    #[tokio::test]
    async fn what_does_not_stream_should_process_one_batch() {
        for streaming in ["false", "False"] {
            let job = CountDown::from(7);
            erased(&job).run(context(streaming)).await.unwrap();
            assert_eq!(job.processed(), [[6, 5, 4]]);
        }
        let job = CountDown::from(7);
        let without_props = RunContext::for_test(ShardingContext::for_test(0, 1));
        erased(&job).run(without_props).await.unwrap();
        assert_eq!(job.processed(), [[6, 5, 4]]);
    }

    #[tokio::test]
    async fn nothing_should_be_processed_where_there_is_no_data() {
        let job = CountDown::from(0);
        erased(&job).run(context("true")).await.unwrap();
        assert!(job.processed().is_empty());
    }

    #[tokio::test]
    async fn ends_with_the_error_of_a_failed_batch() {
        let mut job = CountDown::from(9);
        Arc::get_mut(&mut job).unwrap().bad = Some(4);
        let failed = erased(&job).run(context("true")).await.unwrap_err();
        assert_eq!(failed.to_string(), "a bad number");
        assert_eq!(job.processed(), [[8, 7, 6]]);
        assert_eq!(job.left.load(Ordering::Relaxed), 3, "nothing more was fetched");
    }

    #[tokio::test]
    async fn ends_after_the_batch_at_hand() {
        let job = CountDown::from(9);
        let run = context("true");
        run.wind_down().cancel();
        erased(&job).run(run).await.unwrap();
        assert_eq!(job.processed(), [[8, 7, 6]]);
    }

    #[tokio::test]
    async fn can_be_stopped_between_batches() {
        let job = CountDown::from(u32::MAX);
        let mut run = erased(&job).run(context("true"));
        assert!(run.as_mut().now_or_never().is_none(), "it gives way");
        assert_eq!(job.processed().len(), 1);
    }
}
