//! A session as its users hold it: it passes calls on to the session's task.
//!
//! A call is refused at once while there is no connection, because the client crate would keep it for an unknown time
//! and send it later: a write that is given up must not happen afterwards.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use zookeeper_client as zk;

use super::convert;
use super::namespace::Namespace;
use super::watch::{Registration, Watches, ZooKeeperWatch};
use super::worker::{Call, Deliver, Worker};
use crate::registry::calls::{failed, pass_on};
use crate::registry::{
    Answer, BoxFuture, Error, Limits, Read, Session, SessionState, Step, Watch, WriteError, Written, path, size,
};

/// Calls that wait for the session's task. It takes them at once, save in a flood.
const QUEUE_CAPACITY: usize = 1024;

/// One ZooKeeper session. Dropping it ends the session in the background; [`Session::close`] waits for it.
#[derive(Debug)]
pub(super) struct ZooKeeperSession {
    id: i64,
    timeout: Duration,
    connection_timeout: Duration,
    namespace: Namespace,
    state: watch::Receiver<SessionState>,
    calls: mpsc::Sender<Call>,
    watches: Watches,
    /// Cancelled to end the session.
    closing: CancellationToken,
    /// Cancelled by the task when the session has ended.
    over: CancellationToken,
    /// Owns the session's task, which goes when the session does.
    _tasks: JoinSet<()>,
}

impl ZooKeeperSession {
    /// Starts the task of a session that is connected.
    pub(super) fn start(client: zk::Client, namespace: Namespace, connection_timeout: Duration) -> Result<Self, Error> {
        let (id, timeout) = (client.session_id().0, client.session_timeout());
        let client = client
            .chroot(&*namespace.path)
            .map_err(|_| Error::InvalidArgument(format!("namespace {} is not a path", namespace.path)))?;
        let (calls, queue) = mpsc::channel(QUEUE_CAPACITY);
        let (published, state) = watch::channel(SessionState::Connected);
        let (watches, closing, over) = (Watches::default(), CancellationToken::new(), CancellationToken::new());
        let worker = Worker {
            timeout,
            connection_timeout,
            state: published,
            watches: watches.clone(),
            closing: closing.clone(),
            over: over.clone(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(worker.run(client, queue));
        Ok(Self {
            id,
            timeout,
            connection_timeout,
            namespace,
            state,
            calls,
            watches,
            closing,
            over,
            _tasks: tasks,
        })
    }

    /// Passes a request on to the session's task.
    fn call<T, E>(
        &self,
        request: impl for<'a> FnOnce(&'a zk::Client) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, E>>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        match *self.state.borrow() {
            SessionState::Connected => {}
            // The client would keep it for an unknown time.
            SessionState::Suspended => return failed(Error::ConnectionLoss),
            SessionState::Lost => return failed(Error::SessionExpired),
        }
        let (answer, receiver) = oneshot::channel();
        let call: Call = Box::new(move |client| {
            let request = request(client);
            Box::pin(async move {
                let result = request.await;
                // The caller may have dropped its future.
                Box::new(move || drop(answer.send(result))) as Deliver
            })
        });
        // If no answer can come, the task drops the call, and its sender with it.
        let answered = async { receiver.await.unwrap_or_else(|_| Err(Error::ConnectionLoss.into())) };
        pass_on(&self.calls, call, answered)
    }
}

impl Session for ZooKeeperSession {
    fn id(&self) -> i64 {
        self.id
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn limits(&self) -> Limits {
        Limits::default()
    }

    fn state(&self) -> watch::Receiver<SessionState> {
        self.state.clone()
    }

    fn write(&self, steps: Vec<Step>) -> BoxFuture<'static, Result<Vec<Written>, WriteError>> {
        if let Err(error) = size::check_steps(&steps, self.limits()) {
            return failed(error);
        }
        let namespace = self.namespace.clone();
        self.call(move |client| Box::pin(write(client, namespace, steps)))
    }

    fn read_at_once(&self, reads: Vec<Read>) -> BoxFuture<'static, Result<Vec<Answer>, Error>> {
        if let Err(error) = size::check_reads(&reads, self.limits()) {
            return failed(error);
        }
        self.call(move |client| Box::pin(read(client, reads)))
    }

    fn sync(&self) -> BoxFuture<'static, Result<(), Error>> {
        self.call(|client| Box::pin(sync(client)))
    }

    fn watch(&self, path: &str) -> BoxFuture<'static, Result<Box<dyn Watch>, Error>> {
        if let Err(error) = path::validate(path) {
            return failed(error);
        }
        let path = path.to_owned();
        match self.watches.register(&path) {
            Ok(registration) => self.call(move |client| Box::pin(watch(client, path, registration))),
            Err(error) => failed(error),
        }
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.closing.cancel();
        let (over, patience) = (self.over.clone(), self.connection_timeout);
        Box::pin(async move {
            // Without its word the registry ends the session by the timeout: nothing more can be done here.
            let _ = tokio::time::timeout(patience, over.cancelled()).await;
        })
    }
}

/// Executes a transaction. If a job cannot be created because the namespace is gone, it creates the namespace and tries
/// once more.
async fn write(client: &zk::Client, namespace: Namespace, steps: Vec<Step>) -> Result<Vec<Written>, WriteError> {
    let result = write_once(client, &namespace, &steps).await;
    let Err(WriteError {
        step: Some(step),
        error: Error::NoNode,
    }) = result
    else {
        return result;
    };
    if !matches!(&steps[step], Step::Create { path, .. } if path::split(path).0 == "/") {
        return result;
    }
    // The namespace itself is gone: a container, which the servers delete when its last job is removed.
    let Ok(root) = client.clone().chroot("/") else {
        return result;
    };
    namespace.ensure(&root).await?;
    write_once(client, &namespace, &steps).await
}

async fn write_once(client: &zk::Client, namespace: &Namespace, steps: &[Step]) -> Result<Vec<Written>, WriteError> {
    let mut writer = client.new_multi_writer();
    for (index, step) in steps.iter().enumerate() {
        convert::add(&mut writer, step, namespace).map_err(|error| WriteError {
            step: Some(index),
            error: convert::error(error),
        })?;
    }
    let results = writer
        .commit()
        .await
        .map_err(|error| convert::write_error(error, steps))?;
    Ok(results.into_iter().map(convert::written).collect::<Result<_, _>>()?)
}

/// Reads everything in one request.
async fn read(client: &zk::Client, reads: Vec<Read>) -> Result<Vec<Answer>, Error> {
    let mut reader = client.new_multi_reader();
    for read in &reads {
        match read {
            Read::Data(path) => reader.add_get_data(path),
            Read::Children(path) => reader.add_get_children(path),
        }
        .map_err(convert::error)?;
    }
    let results = reader.commit().await.map_err(convert::error)?;
    reads
        .iter()
        .zip(results)
        .map(|(read, result)| convert::answer(read, result))
        .collect()
}

/// ZooKeeper's own `sync` is answered by a leader without asking its followers, who may have left it
/// (ZOOKEEPER-2136). A transaction is not, and is answered by a server that has executed it.
async fn sync(client: &zk::Client) -> Result<(), Error> {
    let mut writer = client.new_multi_writer();
    writer.add_check_version("/", -1).map_err(convert::error)?;
    match writer.commit().await.map_err(|error| convert::write_error(error, &[])) {
        // That the namespace is gone has been agreed on as well.
        Ok(_)
        | Err(WriteError {
            error: Error::NoNode, ..
        }) => Ok(()),
        Err(WriteError { error, .. }) => Err(error),
    }
}

async fn watch(client: &zk::Client, path: String, registration: Registration) -> Result<Box<dyn Watch>, Error> {
    let mode = zk::AddWatchMode::PersistentRecursive;
    let watcher = client.watch(&path, mode).await.map_err(convert::error)?;
    Ok(Box::new(ZooKeeperWatch::new(watcher, registration)))
}
