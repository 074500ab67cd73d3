//! Has etcd forget what was changed long ago.
//!
//! etcd keeps each change until it is asked to compact, and refuses all writes once its quota is full. The sessions of a
//! namespace take turns by a key: at most one of them asks each time, for what is older than the time before.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use etcd_client::{Compare, CompareOp, GetOptions, KvClient, Txn, TxnOp, TxnOpResponse};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::failure::{Failure, Stop};
use super::request::revision;

/// What is younger stays, so that a watch that was away for less goes on where it was.
const KEPT: Duration = Duration::from_secs(10 * 60);

/// What a session knows of it.
#[derive(Debug)]
pub(super) struct Compaction {
    key: Vec<u8>,
    every: Duration,
    due: Instant,
    // std mutex: never held across an await.
    known: Arc<Mutex<Known>>,
    /// Ends with the session.
    tasks: JoinSet<()>,
}

/// What was last seen of the key, and of etcd at that time.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    turns: i64,
    revision: i64,
    is_refused: bool,
}

impl Compaction {
    pub(super) fn new(key: Vec<u8>, every: Option<Duration>) -> Self {
        let every = every.unwrap_or(KEPT);
        Self {
            key,
            every,
            due: Instant::now() + every,
            known: Arc::default(),
            tasks: JoinSet::new(),
        }
    }

    /// Takes a turn if it is time.
    pub(super) fn go_on(&mut self, kv: &KvClient) {
        if Instant::now() < self.due {
            return;
        }
        self.due = Instant::now() + self.every;
        let (kv, key, known) = (kv.clone(), self.key.clone(), Arc::clone(&self.known));
        // One that has not ended by now is given up.
        self.tasks.abort_all();
        self.tasks.spawn(async move {
            let before = *known.lock().unwrap_or_else(PoisonError::into_inner);
            if before.is_refused {
                return;
            }
            match take_turn(kv, key, before).await {
                Ok(now) => *known.lock().unwrap_or_else(PoisonError::into_inner) = now,
                Err(Stop::Answer(error)) => {
                    warn!(%error, "etcd does not let us compact its history, which has to be done by others");
                    known.lock().unwrap_or_else(PoisonError::into_inner).is_refused = true;
                }
                Err(failure) => debug!(%failure, "the history of etcd was not compacted"),
            }
        });
    }
}

/// Compacts up to the revision that was known at the time before, unless another session has done so since.
async fn take_turn(mut kv: KvClient, key: Vec<u8>, before: Known) -> Result<Known, Failure> {
    let is_ours = Compare::version(key.clone(), CompareOp::Equal, before.turns);
    let look = TxnOp::get(key.clone(), Some(GetOptions::new().with_keys_only()));
    let transaction = Txn::new()
        .when([is_ours])
        .and_then([TxnOp::put(key, "", None)])
        .or_else([look]);
    let response = kv.txn(transaction).await?;
    let now = revision(&response);
    if !response.succeeded() {
        let turns = match response.op_responses().first() {
            Some(TxnOpResponse::Get(get)) => get.kvs().first().map_or(0, etcd_client::KeyValue::version),
            _ => 0,
        };
        return Ok(Known {
            turns,
            revision: now,
            is_refused: false,
        });
    }
    if before.revision > 0 {
        match kv.compact(before.revision, None).await.map_err(Failure::from) {
            Ok(_) => debug!(revision = before.revision, "compacted the history of etcd"),
            // Others compact, too.
            Err(Stop::Broken(reason)) if reason.contains("has been compacted") => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(Known {
        turns: before.turns + 1,
        revision: now,
        is_refused: false,
    })
}
