//! A session's connection to one server of an etcd cluster.
//!
//! All that a session asks goes to one server, so that a server that is cut off or stands still is left as a whole. Before a
//! connection serves calls it puts the session's key again: what an earlier connection has left on its way is refused from then on,
//! because it expects the key as it was.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{
    Client, Compare, CompareOp, KvClient, LeaseKeepAliveStream, LeaseKeeper, PutOptions, Txn, TxnOp, WatchOptions,
    WatchRequestSender, WatchResponseStream,
};
use tokio::time::Instant;

use super::Endpoints;
use super::failure::{Failure, Stop};
use super::keys::{Keys, Range};
use super::lease::Lease;
use super::request::{Guard, revision};

/// Answers to a request to read may be many nodes of half a megabyte each.
const MOST_IN_AN_ANSWER: usize = 512 * 1024 * 1024;

/// The number of the watch on the session's own key.
pub(super) const OWN: i64 = 1;

pub(super) struct Connection {
    pub(super) kv: KvClient,
    pub(super) guard: Guard,
    pub(super) keeper: LeaseKeeper,
    pub(super) beats: LeaseKeepAliveStream,
    pub(super) watcher: WatchRequestSender,
    pub(super) events: WatchResponseStream,
}

/// A session that a connection is to serve.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) id: i64,
    pub(super) keys: Arc<Keys>,
    /// Whether the session has a key: one of a user that may only read has none.
    pub(super) has_key: bool,
}

/// What a session is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Join,
    /// A user without the right to write may look.
    Look,
}

/// Asks a server for a new session. Returns the connection's client, with the session and its lease.
pub(super) async fn begin(
    endpoints: &Endpoints,
    server: &str,
    keys: Arc<Keys>,
    ttl: Duration,
    purpose: Purpose,
) -> Result<(Client, Identity, Lease), Failure> {
    let client = endpoints.client(server).await?;
    let asked_at = Instant::now();
    let seconds = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
    let granted = client.lease_client().grant(seconds, None).await?;
    let ttl = Duration::from_secs(u64::try_from(granted.ttl()).unwrap_or_default());
    let id = granted.id();
    let key = keys.session(id);
    let put = client
        .kv_client()
        .put(key, "", Some(PutOptions::new().with_lease(id)))
        .await;
    let has_key = match put.map_err(Failure::from) {
        Ok(_) => true,
        Err(Stop::Answer(_)) if purpose == Purpose::Look => {
            client.kv_client().get(keys.node("/"), None).await?;
            false
        }
        Err(failure) => return Err(failure),
    };
    let identity = Identity { id, keys, has_key };
    Ok((client, identity, Lease::granted(asked_at, ttl)))
}

impl Connection {
    /// Has a client serve a session from here on.
    pub(super) async fn open(client: Client, identity: &Identity, lease: &mut Lease) -> Result<Self, Failure> {
        lease.disconnected();
        lease.sends(Instant::now());
        let (keeper, beats) = client.lease_client().keep_alive(identity.id).await?;
        lease.answered();
        let mut kv = client.kv_client().max_decoding_message_size(MOST_IN_AN_ANSWER);
        let key = identity.keys.session(identity.id);
        let guard = Guard {
            session: identity.id,
            revision: put_again(&mut kv, identity, &key).await?,
            key: key.clone(),
        };
        // Its end is the end of the session. The stream needs a watch to begin with.
        let options = WatchOptions::new()
            .with_watch_id(OWN)
            .with_start_revision(guard.revision + 1);
        let stream = client
            .watch_client()
            .max_decoding_message_size(MOST_IN_AN_ANSWER)
            .watch(key, Some(options))
            .await?;
        let (watcher, events) = stream.split();
        Ok(Self {
            kv,
            guard,
            keeper,
            beats,
            watcher,
            events,
        })
    }
}

/// Has etcd watch a range of keys from behind a revision.
pub(super) async fn watch(
    watcher: &mut WatchRequestSender,
    number: i64,
    range: Range,
    revision: i64,
) -> Result<(), Failure> {
    let options = WatchOptions::new()
        .with_range(range.to)
        .with_watch_id(number)
        .with_start_revision(revision + 1);
    Ok(watcher.watch(range.from, Some(options)).await?)
}

/// Puts the session's key, if the session lives. Returns the revision at which it did; 0 for a session without one.
async fn put_again(kv: &mut KvClient, identity: &Identity, key: &[u8]) -> Result<i64, Failure> {
    if !identity.has_key {
        return Ok(0);
    }
    let lives = Compare::lease(key, CompareOp::Equal, identity.id);
    let put = TxnOp::put(key, "", Some(PutOptions::new().with_lease(identity.id)));
    let response = kv.txn(Txn::new().when([lives]).and_then([put])).await?;
    if !response.succeeded() {
        return Err(Stop::Over("its lease has ended".to_owned()));
    }
    Ok(revision(&response))
}
